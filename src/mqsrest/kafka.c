/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "mqsrest/priv.h"

#include <stdlib.h>

#define PROBE_MS 2000

void rest_kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK) {
		log_error("librdkafka: %s", why);
		abort();
	}
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	log_debug("librdkafka: %s: %s", facility, text);
}

static int set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
	char why[256];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) == RD_KAFKA_CONF_OK)
		return 0;
	return err_set_text(err, ERR_APPIA_0400, "the settings mqs.* do not fit: %s", name);
}

static int set_security(const struct rest_options *o, rd_kafka_conf_t *conf, struct err *err)
{
	int rc = set(conf, "security.protocol", o->protocol, err);

	if (rc == 0 && strstr(o->protocol, "ssl"))
		rc = set(conf, "ssl.ca.location", o->ca_file, err);
	if (rc || !o->user[0])
		return rc;
	rc = set(conf, "sasl.mechanism", o->mechanism, err);
	if (rc == 0)
		rc = set(conf, "sasl.username", o->user, err);
	return rc ? rc : set(conf, "sasl.password", o->password, err);
}

rd_kafka_conf_t *rest_kafka_conf(const struct rest_server *server, struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	rd_kafka_conf_set_log_cb(conf, on_log);
	rest_kafka_set(conf, "client.id", "appia-mqs-rest");
	rest_kafka_set(conf, "socket.timeout.ms", "10000");
	rest_kafka_set(conf, "reconnect.backoff.max.ms", "1000");
	rest_kafka_set(conf, "log.connection.close", "false");
	if (set(conf, "bootstrap.servers", server->options.servers, err) || set_security(&server->options, conf, err)) {
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	return conf;
}

bool rest_kafka_reachable(rd_kafka_t *rk)
{
	const struct rd_kafka_metadata *found;

	if (rd_kafka_metadata(rk, 0, NULL, &found, PROBE_MS))
		return false;
	rd_kafka_metadata_destroy(found);
	return true;
}

bool rest_kafka_away(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__RESOLVE:
	case RD_KAFKA_RESP_ERR__WAIT_COORD:
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR__QUEUE_FULL:
	case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
	case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
	case RD_KAFKA_RESP_ERR__DESTROY:
	case RD_KAFKA_RESP_ERR__FATAL:
	case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
	case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
	case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
	case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
	case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
	case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
		return true;
	default:
		return false;
	}
}

int rest_kafka_unavailable(struct err *err, const char *why)
{
	return err_set_retriable(err, ERR_APPIA_0503_BROKER_UNAVAILABLE, "%s", why);
}
