/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "broker/handlers/quota.h"
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
	mqs_group_replay(b, key, value);
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
	/* Who waits for the disk, and how he is told, goes with the server. */
	if (b->store)
		plog_store_quiet(b->store);
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
	b->by_name = NULL;
}

/* Key, where it runs, name. */
#define HANDLERS(X)                                                                                                    \
	X(PRODUCE, LOOP, produce)                                                                                      \
	X(FETCH, LOOP, fetch)                                                                                          \
	X(LIST_OFFSETS, LOOP, list_offsets)                                                                            \
	X(METADATA, LOOP, metadata)                                                                                    \
	X(OFFSET_COMMIT, LOOP, offset_commit)                                                                          \
	X(OFFSET_FETCH, LOOP, offset_fetch)                                                                            \
	X(FIND_COORDINATOR, LOOP, find_coordinator)                                                                    \
	X(JOIN_GROUP, LOOP, join_group)                                                                                \
	X(HEARTBEAT, LOOP, heartbeat)                                                                                  \
	X(LEAVE_GROUP, LOOP, leave_group)                                                                              \
	X(SYNC_GROUP, LOOP, sync_group)                                                                                \
	X(DESCRIBE_GROUPS, LOOP, describe_groups)                                                                      \
	X(LIST_GROUPS, LOOP, list_groups)                                                                              \
	X(SASL_HANDSHAKE, LOOP, sasl_handshake)                                                                        \
	X(API_VERSIONS, LOOP, api_versions)                                                                            \
	X(CREATE_TOPICS, WORKER, create_topics)                                                                        \
	X(DELETE_TOPICS, WORKER, delete_topics)                                                                        \
	X(DELETE_RECORDS, WORKER, delete_records)                                                                      \
	X(INIT_PRODUCER_ID, LOOP, init_producer_id)                                                                    \
	X(OFFSET_FOR_LEADER_EPOCH, LOOP, offset_for_leader_epoch)                                                      \
	X(ADD_PARTITIONS_TO_TXN, LOOP, add_partitions_to_txn)                                                          \
	X(ADD_OFFSETS_TO_TXN, LOOP, add_offsets_to_txn)                                                                \
	X(END_TXN, LOOP, end_txn)                                                                                      \
	X(WRITE_TXN_MARKERS, WORKER, write_txn_markers)                                                                \
	X(TXN_OFFSET_COMMIT, LOOP, txn_offset_commit)                                                                  \
	X(DESCRIBE_ACLS, WORKER, describe_acls)                                                                        \
	X(CREATE_ACLS, WORKER, create_acls)                                                                            \
	X(DELETE_ACLS, WORKER, delete_acls)                                                                            \
	X(DESCRIBE_CONFIGS, WORKER, describe_configs)                                                                  \
	X(ALTER_CONFIGS, WORKER, alter_configs)                                                                        \
	X(ALTER_REPLICA_LOG_DIRS, WORKER, alter_replica_log_dirs)                                                      \
	X(DESCRIBE_LOG_DIRS, WORKER, describe_log_dirs)                                                                \
	X(SASL_AUTHENTICATE, WORKER, sasl_authenticate)                                                                \
	X(CREATE_PARTITIONS, WORKER, create_partitions)                                                                \
	X(CREATE_DELEGATION_TOKEN, WORKER, create_delegation_token)                                                    \
	X(RENEW_DELEGATION_TOKEN, WORKER, renew_delegation_token)                                                      \
	X(EXPIRE_DELEGATION_TOKEN, WORKER, expire_delegation_token)                                                    \
	X(DESCRIBE_DELEGATION_TOKEN, WORKER, describe_delegation_token)                                                \
	X(DELETE_GROUPS, LOOP, delete_groups)                                                                          \
	X(ELECT_LEADERS, WORKER, elect_leaders)                                                                        \
	X(INCREMENTAL_ALTER_CONFIGS, WORKER, incremental_alter_configs)                                                \
	X(ALTER_PARTITION_REASSIGNMENTS, WORKER, alter_partition_reassignments)                                        \
	X(LIST_PARTITION_REASSIGNMENTS, WORKER, list_partition_reassignments)                                          \
	X(OFFSET_DELETE, LOOP, offset_delete)                                                                          \
	X(DESCRIBE_CLIENT_QUOTAS, WORKER, describe_client_quotas)                                                      \
	X(ALTER_CLIENT_QUOTAS, WORKER, alter_client_quotas)                                                            \
	X(DESCRIBE_USER_SCRAM_CREDENTIALS, WORKER, describe_user_scram_credentials)                                    \
	X(ALTER_USER_SCRAM_CREDENTIALS, WORKER, alter_user_scram_credentials)                                          \
	X(DESCRIBE_QUORUM, WORKER, describe_quorum)                                                                    \
	X(UPDATE_FEATURES, WORKER, update_features)                                                                    \
	X(DESCRIBE_CLUSTER, LOOP, describe_cluster)                                                                    \
	X(DESCRIBE_PRODUCERS, WORKER, describe_producers)                                                              \
	X(DESCRIBE_TRANSACTIONS, LOOP, describe_transactions)                                                          \
	X(LIST_TRANSACTIONS, LOOP, list_transactions)                                                                  \
	X(CONSUMER_GROUP_HEARTBEAT, LOOP, consumer_group_heartbeat)                                                    \
	X(CONSUMER_GROUP_DESCRIBE, LOOP, consumer_group_describe)                                                      \
	X(GET_TELEMETRY_SUBSCRIPTIONS, LOOP, get_telemetry_subscriptions)                                              \
	X(PUSH_TELEMETRY, LOOP, push_telemetry)                                                                        \
	X(LIST_CONFIG_RESOURCES, WORKER, list_config_resources)                                                        \
	X(SHARE_GROUP_HEARTBEAT, LOOP, share_group_heartbeat)                                                          \
	X(SHARE_GROUP_DESCRIBE, LOOP, share_group_describe)                                                            \
	X(SHARE_FETCH, LOOP, share_fetch)                                                                              \
	X(SHARE_ACKNOWLEDGE, LOOP, share_acknowledge)                                                                  \
	X(DESCRIBE_SHARE_GROUP_OFFSETS, LOOP, describe_share_group_offsets)                                            \
	X(ALTER_SHARE_GROUP_OFFSETS, LOOP, alter_share_group_offsets)                                                  \
	X(DELETE_SHARE_GROUP_OFFSETS, LOOP, delete_share_group_offsets)                                                \
	X(DESCRIBE_TOPIC_PARTITIONS, LOOP, describe_topic_partitions)

static void (*const handle[KAFKA_API_KEY_MAX + 1])(struct mqs_request *rq) = {
#define ROW(key, where, name) [KAFKA_API_##key] = mqs_handle_##name,
	HANDLERS(ROW)
#undef ROW
};

static void run_LOOP(struct mqs_request *rq)
{
	mqs_run_timed(rq, handle[rq->head.key], true);
}

static void run_WORKER(struct mqs_request *rq)
{
	mqs_run_timed(rq, handle[rq->head.key], false);
}

const struct mqs_handler mqs_handlers[KAFKA_API_KEY_MAX + 1] = {
#define ROW(key, where, name) [KAFKA_API_##key] = {MQS_##where, run_##where},
	HANDLERS(ROW)
#undef ROW
};
