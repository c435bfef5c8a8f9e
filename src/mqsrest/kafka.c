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

rd_kafka_conf_t *rest_kafka_conf(const struct rest_server *server, rest_kafka_connect *on_connect, void *opaque,
				 struct err *err)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const char *refused = "bootstrap.servers";

	rd_kafka_conf_set_log_cb(conf, on_log);
	rd_kafka_conf_set_opaque(conf, opaque);
	rest_kafka_set(conf, "client.id", "appia-mqs-rest");
	rest_kafka_set(conf, "socket.timeout.ms", "10000");
	rest_kafka_set(conf, "reconnect.backoff.max.ms", "1000");
	rest_kafka_set(conf, "log.connection.close", "false");
	if (rd_kafka_conf_set(conf, refused, server->options.kafka.servers.p, NULL, 0) == RD_KAFKA_CONF_OK)
		refused = kclient_rdkafka_secure(conf, &server->options.kafka, on_connect);
	if (!refused)
		return conf;
	err_set_text(err, ERR_APPIA_0400, "the settings mqs.* do not fit: %s", refused);
	rd_kafka_conf_destroy(conf);
	return NULL;
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
