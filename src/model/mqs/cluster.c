/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mqs/cluster.h"

#include "base/clock.h"
#include "base/log.h"
#include "kclient/rdkafka.h"
#include "model/mqs/cluster_priv.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define TRUST_MS 1000
#define MAX_ENTRIES 1000 /* settings of a topic that a change carries over */

void cluster__set(rd_kafka_conf_t *conf, const char *name, const char *value)
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

static int unfit(struct model *m, const char *name)
{
	return err_set(&m->err, ERR_MQS_005000070, "the settings mqs.* do not fit: %s", name);
}

/* Of librdkafka's threads. */
static int on_connect(int fd, const struct sockaddr *to, int size, const char *id, void *opaque)
{
	struct kclient_settings k = cluster__settings(opaque);

	return kclient_rdkafka_connect(&k, fd, id);
}

static int set_security(struct model *m, rd_kafka_conf_t *conf)
{
	struct kclient_settings k = cluster__settings(m->settings);
	const char *refused = kclient_rdkafka_secure(conf, &k, on_connect);

	/* The settings live as long as the process. */
	rd_kafka_conf_set_opaque(conf, (void *)(uintptr_t)m->settings);
	return refused ? unfit(m, refused) : 0;
}

rd_kafka_conf_t *cluster__conf(struct model *m)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	rd_kafka_conf_set_log_cb(conf, on_log);
	cluster__set(conf, "client.id", "appia");
	cluster__set(conf, "socket.timeout.ms", "10000");
	cluster__set(conf, "reconnect.backoff.max.ms", "500");
	cluster__set(conf, "log.connection.close", "false");
	cluster__set(conf, "topic.metadata.refresh.interval.ms", "-1");
	if (rd_kafka_conf_set(conf, "bootstrap.servers", arena_cstr(m->arena, m->settings->mqs_servers), NULL, 0) !=
	    RD_KAFKA_CONF_OK)
		unfit(m, "bootstrap.servers");
	else if (set_security(m, conf) == 0)
		return conf;
	rd_kafka_conf_destroy(conf);
	return NULL;
}

int cluster__handle(struct model *m, rd_kafka_t **ret)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static rd_kafka_t *shared; /* as long as the process: settings do not change in between */
	char why[256];
	static _Atomic int64_t seen_ms; /* when Kafka last let us in */
	/* The library connects in the background and tries for as long as a call may last. That nobody listens, or that
	 * the user is refused, is known at once. */
	int64_t now = clock_mono_ms();
	int rc = now - atomic_load(&seen_ms) < TRUST_MS ? 0 : cluster_ping(m);

	if (rc)
		return rc;
	atomic_store(&seen_ms, now);
	pthread_mutex_lock(&lock);
	if (!shared) {
		rd_kafka_conf_t *conf = cluster__conf(m);

		shared = conf ? rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why)) : NULL;
		if (conf && !shared) {
			rd_kafka_conf_destroy(conf);
			err_set(&m->err, ERR_MQS_005000070, "%s", why);
		}
	}
	*ret = shared;
	pthread_mutex_unlock(&lock);
	return *ret ? 0 : m->err.code;
}

int cluster__fault(struct model *m, rd_kafka_resp_err_t code, const char *text)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
		return CLUSTER_EXISTS;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
	case RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND:
		return CLUSTER_UNKNOWN;
	case RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP:
	case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
	case RD_KAFKA_RESP_ERR_GROUP_SUBSCRIBED_TO_TOPIC:
		return CLUSTER_BUSY;
	case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
		return err_set(&m->err, ERR_MQS_00400861, NULL);
	case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
		return err_set(&m->err, ERR_MQS_00400102, NULL);
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
		return err_set(&m->err, ERR_MQS_00400101, NULL);
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__RESOLVE:
	case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
	case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
	case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
	case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
		return cluster__away(m, rd_kafka_err2name(code));
	default:
		return err_set(&m->err, ERR_MQS_005000020, "Kafka refused it: %s",
			       text && *text ? text : rd_kafka_err2str(code));
	}
}

int cluster__begin(struct model *m, struct cluster_ask *ask, rd_kafka_admin_op_t op)
{
	char why[256];

	*ask = (struct cluster_ask){0};
	int rc = cluster__handle(m, &ask->rk);

	if (rc)
		return rc;
	ask->queue = rd_kafka_queue_new(ask->rk);
	ask->options = rd_kafka_AdminOptions_new(ask->rk, op);
	int wait_ms = (int)cluster__left_ms(m);

	if (wait_ms == 0)
		return cluster__away(m, "its answers take too long");
	rd_kafka_AdminOptions_set_request_timeout(ask->options, wait_ms, why, sizeof(why));
	if (op == RD_KAFKA_ADMIN_OP_CREATETOPICS || op == RD_KAFKA_ADMIN_OP_DELETETOPICS ||
	    op == RD_KAFKA_ADMIN_OP_CREATEPARTITIONS)
		rd_kafka_AdminOptions_set_operation_timeout(ask->options, wait_ms / 2, why, sizeof(why));
	return 0;
}

int cluster__await(struct model *m, struct cluster_ask *ask)
{
	ask->event = rd_kafka_queue_poll(ask->queue, (int)cluster__left_ms(m) + 1000);
	if (!ask->event)
		return cluster__away(m, "no reply");
	rd_kafka_resp_err_t code = rd_kafka_event_error(ask->event);

	return code ? cluster__fault(m, code, rd_kafka_event_error_string(ask->event)) : 0;
}

void cluster__end(struct cluster_ask *ask)
{
	if (ask->event)
		rd_kafka_event_destroy(ask->event);
	if (ask->options)
		rd_kafka_AdminOptions_destroy(ask->options);
	if (ask->queue)
		rd_kafka_queue_destroy(ask->queue);
}

static void read_topic(struct model *m, const rd_kafka_metadata_topic_t *t, struct cluster_topic *ret)
{
	*ret = (struct cluster_topic){.name = arena_str(m->arena, str_of(t->topic)),
				      .partitions = t->partition_cnt,
				      .replication = t->partition_cnt ? t->partitions[0].replica_cnt : 0};
}

int cluster_topics(struct model *m, struct cluster_topic **ret, size_t *ret_n)
{
	const rd_kafka_metadata_t *md;
	rd_kafka_t *rk;
	int rc = cluster__handle(m, &rk);

	if (rc)
		return rc;
	rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 1, NULL, &md, (int)cluster__left_ms(m));

	if (code)
		return cluster__fault(m, code, NULL);
	*ret_n = (size_t)md->topic_cnt;
	*ret = ARENA_ARRAY(m->arena, struct cluster_topic, *ret_n + 1);
	for (size_t i = 0; i < *ret_n; i++)
		read_topic(m, &md->topics[i], &(*ret)[i]);
	rd_kafka_metadata_destroy(md);
	return 0;
}

/* All topics are asked for, because asking for one by name makes it where Kafka is told to make topics by itself. */
int cluster_topic(struct model *m, struct str name, struct cluster_topic *ret)
{
	struct cluster_topic *list;
	size_t n;
	int rc = cluster_topics(m, &list, &n);

	for (size_t i = 0; rc == 0 && i < n; i++)
		if (str_eq(list[i].name, name)) {
			*ret = list[i];
			return 0;
		}
	return rc ? rc : CLUSTER_UNKNOWN;
}

static int brokers(struct model *m, rd_kafka_t *rk, int *ret)
{
	const rd_kafka_metadata_t *md;
	rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 0, NULL, &md, (int)cluster__left_ms(m));

	if (code)
		return cluster__fault(m, code, NULL);
	*ret = md->broker_cnt;
	rd_kafka_metadata_destroy(md);
	return 0;
}

/* The requests here name one topic: so does the answer. */
static int topic_result(struct model *m, const rd_kafka_topic_result_t **list, size_t n)
{
	if (n != 1)
		return err_set(&m->err, ERR_MQS_005000020, "Kafka's answer is not about the topic");
	rd_kafka_resp_err_t code = rd_kafka_topic_result_error(list[0]);

	return code ? cluster__fault(m, code, rd_kafka_topic_result_error_string(list[0])) : 0;
}

int cluster_topic_create(struct model *m, const struct cluster_topic *topic, const struct cluster_config *configs,
			 size_t n)
{
	rd_kafka_NewTopic_t *fresh = NULL;
	struct cluster_ask ask;
	char why[256];
	int copies = 1;
	size_t results = 0;
	int rc = cluster__begin(m, &ask, RD_KAFKA_ADMIN_OP_CREATETOPICS);

	if (rc == 0)
		rc = brokers(m, ask.rk, &copies);
	if (rc)
		goto out;
	if (topic->replication < copies)
		copies = (int)topic->replication;
	fresh = rd_kafka_NewTopic_new(arena_cstr(m->arena, topic->name), (int)topic->partitions, copies, why,
				      sizeof(why));
	if (!fresh) {
		rc = err_set(&m->err, ERR_MQS_00400062, "%s", why);
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		if (configs[i].value.p)
			rd_kafka_NewTopic_set_config(fresh, configs[i].name, arena_cstr(m->arena, configs[i].value));
	rd_kafka_CreateTopics(ask.rk, &fresh, 1, ask.options, ask.queue);
	rc = cluster__await(m, &ask);
	if (rc == 0) {
		const rd_kafka_topic_result_t **list =
			rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ask.event), &results);

		rc = topic_result(m, list, results);
	}
out:
	if (fresh)
		rd_kafka_NewTopic_destroy(fresh);
	cluster__end(&ask);
	return rc;
}

int cluster_topic_delete(struct model *m, struct str name)
{
	struct cluster_ask ask;
	size_t n = 0;
	int rc = cluster__begin(m, &ask, RD_KAFKA_ADMIN_OP_DELETETOPICS);

	if (rc == 0) {
		rd_kafka_DeleteTopic_t *old = rd_kafka_DeleteTopic_new(arena_cstr(m->arena, name));

		rd_kafka_DeleteTopics(ask.rk, &old, 1, ask.options, ask.queue);
		rc = cluster__await(m, &ask);
		rd_kafka_DeleteTopic_destroy(old);
	}
	if (rc == 0) {
		const rd_kafka_topic_result_t **list =
			rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(ask.event), &n);

		rc = topic_result(m, list, n);
	}
	cluster__end(&ask);
	return rc;
}

int cluster_topic_grow(struct model *m, struct str name, int64_t partitions)
{
	struct cluster_ask ask;
	char why[256];
	size_t n = 0;
	int rc = cluster__begin(m, &ask, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS);

	if (rc == 0) {
		rd_kafka_NewPartitions_t *more =
			rd_kafka_NewPartitions_new(arena_cstr(m->arena, name), (size_t)partitions, why, sizeof(why));

		rd_kafka_CreatePartitions(ask.rk, &more, 1, ask.options, ask.queue);
		rc = cluster__await(m, &ask);
		rd_kafka_NewPartitions_destroy(more);
	}
	if (rc == 0) {
		const rd_kafka_topic_result_t **list =
			rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(ask.event), &n);

		rc = topic_result(m, list, n);
	}
	cluster__end(&ask);
	return rc;
}

/* The settings that the topic has of its own: altering them all is the only way that every Kafka knows, so what is not
 * to change is said again. */
static int own_configs(struct model *m, struct str name, rd_kafka_ConfigResource_t *ret)
{
	rd_kafka_ConfigResource_t *asked =
		rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, arena_cstr(m->arena, name));
	struct cluster_ask ask;
	size_t n = 0;
	int rc = cluster__begin(m, &ask, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);

	if (rc == 0) {
		rd_kafka_DescribeConfigs(ask.rk, &asked, 1, ask.options, ask.queue);
		rc = cluster__await(m, &ask);
	}
	if (rc == 0) {
		const rd_kafka_ConfigResource_t **list =
			rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(ask.event), &n);
		rd_kafka_resp_err_t code = n == 1 ? rd_kafka_ConfigResource_error(list[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;

		rc = code ? cluster__fault(m, code, NULL) : 0;
		const rd_kafka_ConfigEntry_t **entries = rc ? NULL : rd_kafka_ConfigResource_configs(list[0], &n);

		for (size_t i = 0; rc == 0 && i < n && i < MAX_ENTRIES; i++)
			if (rd_kafka_ConfigEntry_source(entries[i]) == RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG &&
			    rd_kafka_ConfigEntry_value(entries[i]))
				rd_kafka_ConfigResource_set_config(ret, rd_kafka_ConfigEntry_name(entries[i]),
								   rd_kafka_ConfigEntry_value(entries[i]));
	}
	cluster__end(&ask);
	rd_kafka_ConfigResource_destroy(asked);
	return rc;
}

/* The library has no way to take an entry back: it is built up again without what goes back to the default. */
static rd_kafka_ConfigResource_t *merged(struct model *m, struct str name, const rd_kafka_ConfigResource_t *own,
					 const struct cluster_config *configs, size_t n)
{
	rd_kafka_ConfigResource_t *out =
		rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, arena_cstr(m->arena, name));
	size_t n_own = 0;
	const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(own, &n_own);

	for (size_t i = 0; i < n_own; i++) {
		const char *key = rd_kafka_ConfigEntry_name(entries[i]);
		bool changes = false;

		for (size_t k = 0; k < n; k++)
			changes |= str_is(str_of(key), configs[k].name);
		if (!changes)
			rd_kafka_ConfigResource_set_config(out, key, rd_kafka_ConfigEntry_value(entries[i]));
	}
	for (size_t k = 0; k < n; k++)
		if (configs[k].value.p)
			rd_kafka_ConfigResource_set_config(out, configs[k].name,
							   arena_cstr(m->arena, configs[k].value));
	return out;
}

static int alter(struct model *m, rd_kafka_ConfigResource_t *resource)
{
	struct cluster_ask ask;
	size_t n = 0;
	int rc = cluster__begin(m, &ask, RD_KAFKA_ADMIN_OP_ALTERCONFIGS);

	if (rc == 0) {
		rd_kafka_AlterConfigs(ask.rk, &resource, 1, ask.options, ask.queue);
		rc = cluster__await(m, &ask);
	}
	if (rc == 0) {
		const rd_kafka_ConfigResource_t **list =
			rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(ask.event), &n);
		rd_kafka_resp_err_t code = n == 1 ? rd_kafka_ConfigResource_error(list[0]) : RD_KAFKA_RESP_ERR__BAD_MSG;

		if (code)
			rc = cluster__fault(m, code, n == 1 ? rd_kafka_ConfigResource_error_string(list[0]) : NULL);
	}
	cluster__end(&ask);
	return rc;
}

int cluster_topic_configure(struct model *m, struct str name, const struct cluster_config *configs, size_t n)
{
	rd_kafka_ConfigResource_t *own =
		rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, arena_cstr(m->arena, name));
	int rc = own_configs(m, name, own);

	if (rc == 0) {
		rd_kafka_ConfigResource_t *all = merged(m, name, own, configs, n);

		rc = alter(m, all);
		rd_kafka_ConfigResource_destroy(all);
	}
	rd_kafka_ConfigResource_destroy(own);
	return rc;
}
