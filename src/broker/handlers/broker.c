/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "broker/handlers/session.h"

#include <stdlib.h>
#include <time.h>

enum { STEP_MS = 100, STEP_BUDGET_MS = 50 };

static void state_replay(void *arg, struct str key, struct str value)
{
	struct mqs_broker *b = arg;

	if (str_is(key, "cluster") && value.n > 0 && value.n < sizeof(b->cluster_id_text)) {
		memcpy(b->cluster_id_text, value.p, value.n);
		b->cluster_id = (struct str){b->cluster_id_text, value.n};
		return;
	}
	mqs_topic_replay(b, key, value);
	mqs_security_replay(b, key, value);
}

static void cluster_id_make(struct mqs_broker *b)
{
	struct arena *a = arena_new(4096);
	struct str id = rnd_text(a, 22, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
	struct coord_record rec = {STR("cluster"), id};

	memcpy(b->cluster_id_text, id.p, id.n);
	b->cluster_id = (struct str){b->cluster_id_text, id.n};
	mqs_statelog_put(&b->state, &rec, 1);
	arena_free(a);
}

/* Retention, compaction, recovery points. */
static void *keep_house(void *arg)
{
	struct mqs_broker *b = arg;
	const struct timespec pause = {.tv_nsec = STEP_MS * 1000000L};

	while (!atomic_load(&b->stopping))
		if (!plog_store_step(b->store, clock_now_ms(), STEP_BUDGET_MS))
			nanosleep(&pause, NULL);
	return NULL;
}

static void init(struct mqs_broker *b)
{
	pthread_mutexattr_t recursive;

	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&b->coord, &recursive);
	pthread_mutexattr_destroy(&recursive);
	pthread_rwlock_init(&b->topics, NULL);
	pthread_rwlock_init(&b->security, NULL);
	pthread_mutex_init(&b->usage_lock, NULL);
	pthread_mutex_init(&b->pub_lock, NULL);
	pthread_mutex_init(&b->sessions_lock, NULL);
	b->by_name = map_new();
	b->by_id = map_new();
	b->usage = map_new();
	b->started_ms = clock_now_ms();
}

int mqs_broker_open(struct mqs_broker *b, struct mqs_server *server, struct err *err)
{
	init(b);
	b->server = server;
	int code = plog_store_open(&(struct plog_store_config){.dir = b->options.dir}, &b->store, err);

	if (code == 0)
		code = mqs_statelog_open(&b->state, b, MQS_STATE_TOPIC, state_replay, b, err);
	if (code == 0)
		code = mqs_security_open(b, err);
	if (code != 0)
		return code;
	if (!b->cluster_id.p)
		cluster_id_make(b);
	if (mqs_topics_load(b) != 0)
		log_error("not all partitions could be opened");
	code = mqs_coord_open(b, err);
	if (code != 0)
		return code;
	mqs_coord_start(b);
	if (pthread_create(&b->housekeeper, NULL, keep_house, b) != 0)
		return err_set(err, ERR_APPIA_0500, "a thread cannot be made");
	b->housekeeping = true;
	return 0;
}

void mqs_broker_close(struct mqs_broker *b)
{
	atomic_store(&b->stopping, true);
	if (b->housekeeping)
		pthread_join(b->housekeeper, NULL);
	b->housekeeping = false;
	if (b->by_name) {
		mqs_coord_close(b);
		fetch_sessions_free(b);
	}
}

/* Behind mqs_server_free(): requests hold topics. */
void mqs_broker_free(struct mqs_broker *b)
{
	if (!b->by_name)
		return;
	mqs_topics_free(b);
	mqs_statelog_close(&b->state);
	mqs_statelog_close(&b->group_log);
	mqs_statelog_close(&b->txn_log);
	plog_store_close(&b->store);
	mqs_security_close(b);
	map_free(b->usage);
	b->by_name = NULL;
}

#define ON_LOOP(name)                                                                                                  \
	{                                                                                                              \
		MQS_LOOP, mqs_handle_##name                                                                            \
	}
#define ON_WORKER(name)                                                                                                \
	{                                                                                                              \
		MQS_WORKER, mqs_handle_##name                                                                          \
	}

const struct mqs_handler mqs_handlers[KAFKA_API_KEY_MAX + 1] = {
	[KAFKA_API_PRODUCE] = ON_LOOP(produce),
	[KAFKA_API_FETCH] = ON_LOOP(fetch),
	[KAFKA_API_LIST_OFFSETS] = ON_LOOP(list_offsets),
	[KAFKA_API_METADATA] = ON_LOOP(metadata),
	[KAFKA_API_OFFSET_COMMIT] = ON_LOOP(offset_commit),
	[KAFKA_API_OFFSET_FETCH] = ON_LOOP(offset_fetch),
	[KAFKA_API_FIND_COORDINATOR] = ON_LOOP(find_coordinator),
	[KAFKA_API_JOIN_GROUP] = ON_LOOP(join_group),
	[KAFKA_API_HEARTBEAT] = ON_LOOP(heartbeat),
	[KAFKA_API_LEAVE_GROUP] = ON_LOOP(leave_group),
	[KAFKA_API_SYNC_GROUP] = ON_LOOP(sync_group),
	[KAFKA_API_DESCRIBE_GROUPS] = ON_LOOP(describe_groups),
	[KAFKA_API_LIST_GROUPS] = ON_LOOP(list_groups),
	[KAFKA_API_SASL_HANDSHAKE] = ON_LOOP(sasl_handshake),
	[KAFKA_API_API_VERSIONS] = ON_LOOP(api_versions),
	[KAFKA_API_CREATE_TOPICS] = ON_WORKER(create_topics),
	[KAFKA_API_DELETE_TOPICS] = ON_WORKER(delete_topics),
	[KAFKA_API_DELETE_RECORDS] = ON_WORKER(delete_records),
	[KAFKA_API_INIT_PRODUCER_ID] = ON_LOOP(init_producer_id),
	[KAFKA_API_OFFSET_FOR_LEADER_EPOCH] = ON_LOOP(offset_for_leader_epoch),
	[KAFKA_API_ADD_PARTITIONS_TO_TXN] = ON_LOOP(add_partitions_to_txn),
	[KAFKA_API_ADD_OFFSETS_TO_TXN] = ON_LOOP(add_offsets_to_txn),
	[KAFKA_API_END_TXN] = ON_LOOP(end_txn),
	[KAFKA_API_TXN_OFFSET_COMMIT] = ON_LOOP(txn_offset_commit),
	[KAFKA_API_DESCRIBE_ACLS] = ON_WORKER(describe_acls),
	[KAFKA_API_CREATE_ACLS] = ON_WORKER(create_acls),
	[KAFKA_API_DELETE_ACLS] = ON_WORKER(delete_acls),
	[KAFKA_API_DESCRIBE_CONFIGS] = ON_WORKER(describe_configs),
	[KAFKA_API_ALTER_CONFIGS] = ON_WORKER(alter_configs),
	[KAFKA_API_ALTER_REPLICA_LOG_DIRS] = ON_WORKER(alter_replica_log_dirs),
	[KAFKA_API_DESCRIBE_LOG_DIRS] = ON_WORKER(describe_log_dirs),
	[KAFKA_API_SASL_AUTHENTICATE] = ON_WORKER(sasl_authenticate),
	[KAFKA_API_CREATE_PARTITIONS] = ON_WORKER(create_partitions),
	[KAFKA_API_DELETE_GROUPS] = ON_LOOP(delete_groups),
	[KAFKA_API_ELECT_LEADERS] = ON_WORKER(elect_leaders),
	[KAFKA_API_INCREMENTAL_ALTER_CONFIGS] = ON_WORKER(incremental_alter_configs),
	[KAFKA_API_ALTER_PARTITION_REASSIGNMENTS] = ON_WORKER(alter_partition_reassignments),
	[KAFKA_API_LIST_PARTITION_REASSIGNMENTS] = ON_WORKER(list_partition_reassignments),
	[KAFKA_API_OFFSET_DELETE] = ON_LOOP(offset_delete),
	[KAFKA_API_DESCRIBE_CLIENT_QUOTAS] = ON_WORKER(describe_client_quotas),
	[KAFKA_API_ALTER_CLIENT_QUOTAS] = ON_WORKER(alter_client_quotas),
	[KAFKA_API_DESCRIBE_USER_SCRAM_CREDENTIALS] = ON_WORKER(describe_user_scram_credentials),
	[KAFKA_API_ALTER_USER_SCRAM_CREDENTIALS] = ON_WORKER(alter_user_scram_credentials),
	[KAFKA_API_DESCRIBE_QUORUM] = ON_WORKER(describe_quorum),
	[KAFKA_API_UPDATE_FEATURES] = ON_WORKER(update_features),
	[KAFKA_API_DESCRIBE_CLUSTER] = ON_LOOP(describe_cluster),
	[KAFKA_API_DESCRIBE_PRODUCERS] = ON_WORKER(describe_producers),
	[KAFKA_API_DESCRIBE_TRANSACTIONS] = ON_LOOP(describe_transactions),
	[KAFKA_API_LIST_TRANSACTIONS] = ON_LOOP(list_transactions),
	[KAFKA_API_CONSUMER_GROUP_HEARTBEAT] = ON_LOOP(consumer_group_heartbeat),
	[KAFKA_API_CONSUMER_GROUP_DESCRIBE] = ON_LOOP(consumer_group_describe),
	[KAFKA_API_GET_TELEMETRY_SUBSCRIPTIONS] = ON_LOOP(get_telemetry_subscriptions),
	[KAFKA_API_PUSH_TELEMETRY] = ON_LOOP(push_telemetry),
	[KAFKA_API_LIST_CONFIG_RESOURCES] = ON_WORKER(list_config_resources),
	[KAFKA_API_DESCRIBE_TOPIC_PARTITIONS] = ON_LOOP(describe_topic_partitions),
};
