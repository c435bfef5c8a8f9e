/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_HANDLERS_BROKER_H
#define BROKER_HANDLERS_BROKER_H

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rnd.h"
#include "broker/group/group.h"
#include "broker/server/server.h"
#include "broker/share/share.h"
#include "broker/txn/txn.h"
#include "kafka/batch.h"
#include "kafka_err.h"
#include "kafka_msg.h"
#include "published/published.h"
#include "sign/sign.h"

#include <pthread.h>

/* What the handlers of requests share: topics, coordinators, settings, rights.
 *
 * Locks, outer to inner: broker.coord (recursive; the coordinators), broker.topics, mqs_part.lock; the locks of logs
 * are inside of all. state.lock and broker.security are leaves above logs. */

enum { MQS_NODE_ID = 1 };

#define MQS_STATE_TOPIC STR("__appia_state")
#define MQS_GROUPS_TOPIC STR("__appia_groups")
#define MQS_TXNS_TOPIC STR("__appia_transactions")

/* ---- settings of topics (config.c) ---- */

enum mqs_config_id {
	CFG_CLEANUP_POLICY,
	CFG_COMPRESSION_TYPE,
	CFG_DELETE_RETENTION_MS,
	CFG_FILE_DELETE_DELAY_MS,
	CFG_FLUSH_MESSAGES,
	CFG_FLUSH_MS,
	CFG_FOLLOWER_THROTTLED,
	CFG_INDEX_INTERVAL_BYTES,
	CFG_LEADER_THROTTLED,
	CFG_MAX_COMPACTION_LAG_MS,
	CFG_MAX_MESSAGE_BYTES,
	CFG_DOWNCONVERSION,
	CFG_TIMESTAMP_AFTER,
	CFG_TIMESTAMP_BEFORE,
	CFG_TIMESTAMP_TYPE,
	CFG_MIN_DIRTY_RATIO,
	CFG_MIN_COMPACTION_LAG_MS,
	CFG_MIN_INSYNC,
	CFG_PREALLOCATE,
	CFG_RETENTION_BYTES,
	CFG_RETENTION_MS,
	CFG_SEGMENT_BYTES,
	CFG_SEGMENT_INDEX_BYTES,
	CFG_SEGMENT_JITTER_MS,
	CFG_SEGMENT_MS,
	CFG_UNCLEAN_ELECTION,
	CFG_COUNT
};

/* Kafka's numbers of types in DescribeConfigs. */
enum mqs_config_type { CFG_BOOLEAN = 1, CFG_STRING = 2, CFG_INT = 3, CFG_LONG = 5, CFG_DOUBLE = 6, CFG_LIST = 7 };

struct mqs_config_def {
	const char *name, *broker_name;
	enum mqs_config_type type;
	const char *def;
	int64_t min, max;
	const char *values; /* comma-separated, of a string or list */
	const char *doc;
};

extern const struct mqs_config_def mqs_config_defs[CFG_COUNT];

/* What was set for a topic; NULL: default. Strings are owned. */
struct mqs_settings {
	char *v[CFG_COUNT];
};

int mqs_config_find(struct str name); /* -1: none */
/* NULL when the value is fine, else what is wrong. */
const char *mqs_config_check(int id, struct str value);
void mqs_settings_copy(struct mqs_settings *to, const struct mqs_settings *from);
void mqs_settings_done(struct mqs_settings *s);
void mqs_settings_set(struct mqs_settings *s, int id, struct str value); /* STR_NONE: default */

/* ---- topics (topics.c) ---- */

struct json;
struct mqs_watch;
struct mqs_topic;

struct mqs_part {
	struct plog *log;
	struct mqs_topic *topic;
	int32_t index;
	pthread_mutex_t lock; /* watches */
	struct mqs_watch *watches;
	atomic_int n_watches;
};

struct mqs_parts {
	int32_t n;
	struct mqs_parts *older; /* freed with the topic */
	struct mqs_part *v[];
};

struct mqs_topic {
	atomic_uint refs;
	struct str name;
	struct kafka_uuid id;
	_Atomic(struct mqs_parts *) parts;
	int32_t wanted; /* partitions, at the start */
	struct mqs_settings settings; /* broker.topics */
	atomic_int codec; /* compression.type as KAFKA_CODEC_*; -1: as the producer has it */
	atomic_bool addressed; /* has got a record with consumer_key (tags.h); never false again */
	bool gone;
};

/* A request that waits for records of a partition. */
struct mqs_watch {
	struct mqs_watch *prev, *next;
	struct mqs_part *part;
	struct mqs_loop *loop;
	struct mqs_task *task;
};

void mqs_watch_add(struct mqs_watch *w, struct mqs_part *part);
void mqs_watch_remove(struct mqs_watch *w);
/* Records were added, or the stable offset moved: those who wait look again. Any thread. */
void mqs_part_notify(struct mqs_part *part);

struct mqs_topic *mqs_topic_ref(struct mqs_topic *t);
void mqs_topic_unref(struct mqs_topic *t);

/* ---- state that survives (state.c): a log of keys and values, compacted ---- */

struct mqs_statelog {
	struct mqs_broker *broker;
	struct plog *log;
	struct plog_inbox *inbox;
	void (*stored)(struct mqs_statelog *sl, uint64_t batch, bool ok);
	pthread_mutex_t lock;
	struct mqs_stored *first, **end; /* under way, in order */
	struct kafka_builder builder;
	struct buf bytes;
};

typedef void mqs_replay_f(void *arg, struct str key, struct str value);

int mqs_statelog_open(struct mqs_statelog *sl, struct mqs_broker *b, struct str topic, mqs_replay_f *replay, void *arg,
		      struct err *err);
void mqs_statelog_close(struct mqs_statelog *sl);
/* Appends one batch; stored(batch, ok) is called when it is durable, in order, on the inbox's thread or within. */
void mqs_statelog_add(struct mqs_statelog *sl, const struct coord_record *v, size_t n, uint64_t batch);
/* The same, waiting; an error of the protocol. Not on a loop. */
int mqs_statelog_put(struct mqs_statelog *sl, const struct coord_record *v, size_t n);

/* ---- security (security.c) ---- */

struct mqs_acl {
	int8_t resource, pattern, operation, permission;
	struct str name, principal, host;
};

struct mqs_scram {
	struct str user, salt, stored_key, server_key;
	int mechanism; /* 1: SHA-256, 2: SHA-512 */
	int32_t iterations;
};

/* Bytes, percents of a thread, partitions made or deleted, connections: all per second. */
enum quota_kind {
	QUOTA_PRODUCE,
	QUOTA_FETCH,
	QUOTA_REQUEST,
	QUOTA_MUTATION,
	QUOTA_CLIENT_KINDS,
	QUOTA_CONNECTION = QUOTA_CLIENT_KINDS, /* of addresses, the others of users and clients */
	QUOTA_KINDS
};

struct mqs_quota {
	struct str user, client; /* STR_NONE: not part of the entity; "" with *_default: the default entity */
	bool user_default, client_default;
	double rate[QUOTA_KINDS]; /* negative: not set */
};

struct mqs_ip_quota {
	struct str ip; /* empty: of all that have none of their own */
	double rate;
};

enum { ACL_TOPIC = 2, ACL_GROUP = 3, ACL_CLUSTER = 4, ACL_TXN = 5, ACL_TOKEN = 6, ACL_USER = 7 };
enum {
	OP_ANY = 1,
	OP_ALL = 2,
	OP_READ = 3,
	OP_WRITE = 4,
	OP_CREATE = 5,
	OP_DELETE = 6,
	OP_ALTER = 7,
	OP_DESCRIBE = 8,
	OP_CLUSTER_ACTION = 9,
	OP_DESCRIBE_CONFIGS = 10,
	OP_ALTER_CONFIGS = 11,
	OP_IDEMPOTENT_WRITE = 12,
	OP_CREATE_TOKENS = 13,
	OP_DESCRIBE_TOKENS = 14
};

struct mqs_broker_options {
	const char *dir; /* data */
	const char *published, *key; /* of the installation; either may be missing */
	int32_t default_partitions;
	int64_t retention_ms, max_message_bytes, segment_bytes;
	bool auto_create, delete_topics;
	int64_t offsets_retention_ms;
	int64_t sasl_lifetime_ms; /* 0: sessions do not end */
	struct str administrators; /* comma-separated */
	int32_t group_session_min_ms; /* the shortest that classic members may ask for */
	int32_t group_initial_delay_ms, group_session_ms, group_interval_ms, group_members_max;
	int32_t fetch_sessions_max;
};

struct marker_job;
struct mqs_token;
struct mqs_usage;

struct mqs_broker {
	struct mqs_broker_options options;
	struct mqs_server *server;
	struct plog_store *store;
	struct str cluster_id;
	char cluster_id_text[32];
	int64_t started_ms;

	pthread_rwlock_t topics;
	struct map *by_name, *by_id;
	struct mqs_settings defaults; /* of topics, set as broker settings */
	struct map *groups_set; /* struct mqs_group_setting by group; broker.coord */
	struct {
		struct str name;
		struct kafka_uuid id;
	} * gone; /* topics whose deletion the last run may not have ended; while opening */
	size_t n_gone;

	struct mqs_statelog state, group_log, txn_log;
	pthread_mutex_t coord;
	struct group_coord *groups;
	struct txn_coord *txns;
	struct marker_job *markers; /* on their way; coord */
	struct share_coord *share;
	uv_timer_t coord_timer;
	pthread_t housekeeper;
	bool housekeeping;
	atomic_bool stopping;

	pthread_rwlock_t security;
	struct mqs_acl *acls;
	size_t n_acls, cap_acls;
	struct mqs_scram *scram;
	size_t n_scram, cap_scram;
	struct mqs_quota *quotas;
	size_t n_quotas, cap_quotas;
	struct mqs_ip_quota *ip_quotas;
	size_t n_ip_quotas;
	struct mqs_token *tokens;
	size_t n_tokens;
	atomic_bool have_quotas, have_request_quotas, have_ip_quotas;
	pthread_mutex_t usage_lock;
	int64_t usage_swept_ms;
	struct map *usage;
	pthread_mutex_t pub_lock;
	struct pub *pub;
	uint64_t pub_seq; /* of the coordinators' timer */
	struct sign_keyring *keys;

	pthread_mutex_t sessions_lock;
	struct fetch_session **sessions;
	uint32_t n_sessions;
};

/* Opens the data and everything in it; loops of the server exist, and do not run yet. */
int mqs_broker_open(struct mqs_broker *b, struct mqs_server *server, struct err *err);
/* Behind mqs_server_stop(): nothing answers any more. */
void mqs_broker_close(struct mqs_broker *b);
/* Behind mqs_server_free(), whose requests hold topics. The orderly stop of the store. */
void mqs_broker_free(struct mqs_broker *b);
extern const struct mqs_handler mqs_handlers[KAFKA_API_KEY_MAX + 1];

/* A topic for the time of the request; NULL when there is none. Any thread that has the request. */
struct mqs_topic *mqs_topic_of(struct mqs_request *rq, struct str name);
struct mqs_topic *mqs_topic_of_id(struct mqs_request *rq, struct kafka_uuid id);
struct mqs_part *mqs_part_of(struct mqs_topic *t, int32_t index);
/* All topics, sorted by name, for the time of the request. */
struct mqs_topic **mqs_topics_all(struct mqs_request *rq, size_t *ret_n);
bool mqs_topic_internal(struct str name);

/* Changes; on the worker thread or at the start. Errors of the protocol, *ret_text may say more. */
int mqs_topic_check(struct mqs_broker *b, struct str name, const char **ret_text);
int mqs_topic_create(struct mqs_broker *b, struct str name, int32_t partitions, struct mqs_settings *settings,
		     struct kafka_uuid *ret_id);
int mqs_topic_grow(struct mqs_broker *b, struct mqs_topic *t, int32_t partitions);
int mqs_topic_delete(struct mqs_broker *b, struct mqs_topic *t);
int mqs_topic_configure(struct mqs_broker *b, struct mqs_topic *t, const struct mqs_settings *settings);
/* Notes, durably, that the topic has records for single applications. */
int mqs_topic_address(struct mqs_broker *b, struct mqs_topic *t);
int mqs_defaults_configure(struct mqs_broker *b, const struct mqs_settings *settings);
int mqs_topics_load(struct mqs_broker *b);
void mqs_topics_free(struct mqs_broker *b);
void mqs_topic_replay(struct mqs_broker *b, struct str key, struct str value);
/* The effective value as text. */
struct str mqs_config_value(struct mqs_broker *b, const struct mqs_settings *s, int id, struct arena *a,
			    int *ret_source);

/* Members of groups that subscribe by a regular expression are told of topics that came, went, or may be seen now. */
void mqs_groups_refresh(struct mqs_broker *b);

/* What was set for single groups (group_settings.c). Numbers, the isolation level by its place among the values;
 * -1: not set. */
enum {
	GROUP_SESSION_MS,
	GROUP_INTERVAL_MS,
	GROUP_SHARE_SESSION_MS,
	GROUP_SHARE_INTERVAL_MS,
	GROUP_SHARE_LOCK_MS,
	GROUP_SHARE_ISOLATION,
	GROUP_SHARE_RESET, /* the text is in reset */
	GROUP_SETTINGS
};
enum { GROUP_RESET_MAX = 64, SHARE_LOCK_MS = 30000 };
struct mqs_group_setting {
	struct str group;
	int32_t v[GROUP_SETTINGS];
	char reset[GROUP_RESET_MAX]; /* latest, earliest, by_duration:PT...; empty: not set */
};
extern const struct mqs_config_def mqs_group_defs[GROUP_SETTINGS];
/* Sets one of them; STR_NONE: back to the default. False when the value is none. */
bool mqs_group_set(struct mqs_group_setting *s, int id, struct str value);
/* The value that holds, as text. *ret_default: it was not set. */
struct str mqs_group_text(struct mqs_broker *b, const struct mqs_group_setting *s, int id, struct arena *a,
			  bool *ret_default);
/* How far behind now a share group begins: 0 with the next record, -1 with the first. In ms. */
int64_t mqs_group_reset(const struct mqs_group_setting *s);
void mqs_group_replay(struct mqs_broker *b, struct str key, struct str value);
void mqs_group_free(struct mqs_broker *b);
void mqs_group_of(struct mqs_broker *b, struct str group, struct mqs_group_setting *ret);
/* On the worker thread; an error of the protocol. */
int mqs_group_put(struct mqs_broker *b, struct str group, const struct mqs_group_setting *s);

/* Coordinators (coord.c). */
int mqs_coord_open(struct mqs_broker *b, struct err *err);
void mqs_coord_start(struct mqs_broker *b); /* timers, on loop 0 before it runs */
void mqs_coord_close(struct mqs_broker *b);
/* A call of a coordinator on behalf of a request. The token is its address. */
struct mqs_call {
	struct mqs_request *rq;
	void (*group)(struct mqs_call *call, const struct group_reply *reply);
	void (*txn)(struct mqs_call *call, const struct txn_reply *reply);
	void (*share)(struct mqs_call *call, bool ok);
	int32_t index;
	void *res;
};
struct mqs_call *mqs_call_new(struct mqs_request *rq);
static inline uint64_t mqs_token(struct mqs_call *call)
{
	return (uint64_t)(uintptr_t)call;
}
int64_t mqs_now(void);
struct group_client mqs_client(struct mqs_request *rq);
/* Whoever may not know of a topic may not learn of it by a group that reads it. */
bool mqs_group_visible(struct mqs_request *rq, const struct group_described *d);

/* Rights (security.c). True when the peer may. */
bool mqs_may(struct mqs_request *rq, int resource, struct str name, int operation);
/* As mqs_may() for a topic. *ret_right: the application's right of the published state, also where an ACL decided; NULL
 * when there is none or it has no say. From the same look, in the request's arena. */
bool mqs_may_topic(struct mqs_request *rq, struct str topic, int operation, const struct json **ret_right);
static inline bool mqs_may_cluster(struct mqs_request *rq, int operation)
{
	return mqs_may(rq, ACL_CLUSTER, STR("kafka-cluster"), operation);
}
void mqs_security_replay(struct mqs_broker *b, struct str key, struct str value);
int mqs_security_open(struct mqs_broker *b, struct err *err);
void mqs_security_close(struct mqs_broker *b);
/* What the published state was changed by last; 0 without one. */
uint64_t mqs_published_seq(struct mqs_broker *b);
bool mqs_administrator(const struct mqs_broker *b, struct str user);
/* Whether somebody whose group subscribes by a regular expression may describe the topic. */
bool mqs_topic_visible(void *arg, struct str principal, struct str topic);
/* The secret of an application; lives in the arena. */
bool mqs_app_secret(struct mqs_broker *b, struct arena *a, struct str key, struct str *ret_secret, struct str *ret_id);

/* Quotas (quota.c): notes bytes; the connection pauses behind the answer. Returns for how long, in ms. */
int32_t mqs_quota_produce(struct mqs_request *rq, size_t bytes);
int32_t mqs_quota_fetch(struct mqs_request *rq, size_t bytes);

/* Whether the address may make one more connection now. Any thread. */
bool mqs_quota_admit(void *broker, const char *host);

/* Codes of a log are negated codes of the protocol. */
static inline int16_t mqs_code(int plog_code)
{
	return (int16_t)-plog_code;
}

#define MQS_HANDLER(name) void mqs_handle_##name(struct mqs_request *rq)
MQS_HANDLER(api_versions);
MQS_HANDLER(metadata);
MQS_HANDLER(describe_cluster);
MQS_HANDLER(describe_topic_partitions);
MQS_HANDLER(produce);
MQS_HANDLER(fetch);
MQS_HANDLER(list_offsets);
MQS_HANDLER(offset_for_leader_epoch);
MQS_HANDLER(create_topics);
MQS_HANDLER(delete_topics);
MQS_HANDLER(create_partitions);
MQS_HANDLER(delete_records);
MQS_HANDLER(describe_configs);
MQS_HANDLER(alter_configs);
MQS_HANDLER(incremental_alter_configs);
MQS_HANDLER(list_config_resources);
MQS_HANDLER(describe_log_dirs);
MQS_HANDLER(alter_replica_log_dirs);
MQS_HANDLER(elect_leaders);
MQS_HANDLER(alter_partition_reassignments);
MQS_HANDLER(list_partition_reassignments);
MQS_HANDLER(describe_quorum);
MQS_HANDLER(update_features);
MQS_HANDLER(get_telemetry_subscriptions);
MQS_HANDLER(push_telemetry);
MQS_HANDLER(describe_producers);
MQS_HANDLER(find_coordinator);
MQS_HANDLER(join_group);
MQS_HANDLER(sync_group);
MQS_HANDLER(heartbeat);
MQS_HANDLER(leave_group);
MQS_HANDLER(describe_groups);
MQS_HANDLER(list_groups);
MQS_HANDLER(delete_groups);
MQS_HANDLER(offset_commit);
MQS_HANDLER(offset_fetch);
MQS_HANDLER(offset_delete);
MQS_HANDLER(consumer_group_heartbeat);
MQS_HANDLER(consumer_group_describe);
MQS_HANDLER(share_group_heartbeat);
MQS_HANDLER(share_group_describe);
MQS_HANDLER(share_fetch);
MQS_HANDLER(share_acknowledge);
MQS_HANDLER(describe_share_group_offsets);
MQS_HANDLER(alter_share_group_offsets);
MQS_HANDLER(delete_share_group_offsets);
MQS_HANDLER(init_producer_id);
MQS_HANDLER(add_partitions_to_txn);
MQS_HANDLER(add_offsets_to_txn);
MQS_HANDLER(end_txn);
MQS_HANDLER(write_txn_markers);
MQS_HANDLER(txn_offset_commit);
MQS_HANDLER(describe_transactions);
MQS_HANDLER(list_transactions);
MQS_HANDLER(sasl_handshake);
MQS_HANDLER(sasl_authenticate);
MQS_HANDLER(describe_acls);
MQS_HANDLER(create_acls);
MQS_HANDLER(delete_acls);
MQS_HANDLER(describe_client_quotas);
MQS_HANDLER(alter_client_quotas);
MQS_HANDLER(describe_user_scram_credentials);
MQS_HANDLER(alter_user_scram_credentials);
MQS_HANDLER(create_delegation_token);
MQS_HANDLER(renew_delegation_token);
MQS_HANDLER(expire_delegation_token);
MQS_HANDLER(describe_delegation_token);

#endif
