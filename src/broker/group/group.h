/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_GROUP_GROUP_H
#define BROKER_GROUP_GROUP_H

#include "base/arena.h"
#include "broker/coord/coord.h"

/* The group coordinator: classic consumer groups (JoinGroup ... LeaveGroup, static members of KIP-345, KIP-394,
 * KIP-814), consumer groups of KIP-848 (ConsumerGroupHeartbeat, assignors "uniform" and "range"), and committed
 * offsets of both and of simple consumers, also inside transactions (KIP-447).
 *
 * One object serves all groups of a broker. It has one thread, no socket and no clock: every call takes the time, in ms
 * of a clock that goes on over restarts (wall clock); group_deadline() says when group_tick() is due.
 *
 * Durability: what a call changes is collected into one batch of records at a time, handed to persist(), and what
 * depends on it is answered only when group_persisted() reported it as stored. Calls that arrive meanwhile share the
 * next batch, so the cost of a disk flush is shared by all groups. When storing fails, those who wait get
 * COORD_NOT_AVAILABLE (clients retry), what changed stays marked and goes with the next batch; offsets of a failed
 * commit are forgotten. Readers see offsets only once they are stored.
 *
 * Restart: group_replay() for each record in order, then group_loaded(). Members keep their ids, generations, epochs
 * and assignments; their session timeouts begin anew, so clients that come back in time notice nothing. A rebalance
 * that was going on goes on. Only joins that were not answered yet are repeated by their clients.
 *
 * Tokens are the caller's name of a request. A request is answered once, through reply() or by the returned code; the
 * caller ignores answers to tokens whose connection has gone.
 *
 * Limits: members per group, groups, bytes of all state, protocols per member, bytes of metadata; see the
 * configuration. All strings and arrays passed in are lent for the call; those of replies for the callback. */

struct group_coord;

enum group_op {
	GROUP_JOIN, GROUP_SYNC, GROUP_LEAVE, GROUP_COMMIT, GROUP_OFFSET_DELETE, GROUP_DELETE, GROUP_TXN_END,
	GROUP_CONSUMER_HEARTBEAT
};

struct group_partition {
	struct coord_uuid topic;
	int32_t partition;
};

struct group_join_member {
	struct str member_id, instance_id, metadata;
};

struct group_reply {
	enum group_op op;
	int16_t code;                 /* enum coord_code; with another than COORD_OK only member_id is set */
	struct str message;           /* for error_message where the response has one, else STR_NONE */
	struct str member_id;         /* join and consumer heartbeat: the id to use from now on */
	union {
		struct {
			int32_t generation;
			struct str protocol_type, protocol_name, leader;
			bool skip_assignment;
			const struct group_join_member *members; /* the leader's answer only */
			size_t n;
		} join;
		struct {
			struct str protocol_type, protocol_name, assignment;
		} sync;
		struct {
			const int16_t *codes; /* leave: per member; commit and offset delete: per partition, in order of
					       * the request; with code != COORD_OK each one is that code */
			size_t n;
		} each;
		struct {
			int32_t epoch, interval_ms;
			bool has_assignment;          /* else the assignment field is null: no change */
			const struct group_partition *v; /* sorted by topic id and partition */
			size_t n;
		} consumer;
	};
};

/* What the coordinator needs of its broker. Callbacks may not call back into the coordinator, except persist(), which
 * may call group_persisted(). */
struct group_env {
	void *arg;
	coord_persist_f *persist;
	void (*reply)(void *arg, uint64_t token, const struct group_reply *reply);
	/* Topics, for groups of KIP-848; false when there is no such topic. */
	bool (*topic)(void *arg, struct str name, struct coord_uuid *ret_id, int32_t *ret_partitions);
	/* STR_NONE when the topic has gone; lent until the next call. */
	struct str (*topic_name)(void *arg, const struct coord_uuid *id);
	/* Walks all topics: start with *at == 0, false at the end. */
	bool (*topic_next)(void *arg, size_t *at, struct str *ret_name);
	/* Whether a principal may describe a topic that its regular expression matches. NULL: everybody all. */
	bool (*topic_visible)(void *arg, struct str principal, struct str topic);
	/* A group of KIP-848 or a share group with times of its own: changes what is set of them. NULL: none has. */
	void (*times)(void *arg, struct str group_id, bool share, int32_t *session_ms, int32_t *interval_ms);
	/* A member of a share group is no more. May be NULL. */
	void (*share_left)(void *arg, struct str group_id, struct str member_id);
};

/* Zeros mean the defaults in brackets. Times in ms. */
struct group_config {
	int32_t session_min_ms, session_max_ms;       /* classic [6000, 1800000] */
	int32_t initial_delay_ms;                     /* group.initial.rebalance.delay.ms [3000]; -1: none */
	int32_t consumer_session_ms, consumer_interval_ms; /* KIP-848 [45000, 5000] */
	int32_t share_session_ms, share_interval_ms; /* KIP-932 [45000, 5000] */
	int32_t share_members_max;                    /* per share group [200] */
	int32_t members_max;                          /* per group [500], as ROMA's limit */
	int32_t groups_max;                           /* [10000] */
	size_t bytes_max;                             /* of all state, about [256 MiB] */
	int32_t protocols_max;                        /* per member [32] */
	size_t member_metadata_max;                   /* of a member's protocol metadata, of an assignment [1 MiB] */
	int32_t offset_metadata_max;                  /* [4096] */
	int32_t offsets_max;                          /* per group [100000] */
	int64_t offsets_retention_ms;                 /* offsets.retention.minutes [7 days] */
	int64_t offsets_check_ms;                     /* offsets.retention.check.interval.ms [600000] */
	size_t batch_bytes;                           /* soft limit of a batch [1 MiB] */
	int32_t retry_ms;                             /* pause after a failed persist() [100] */
};

struct group_client {
	struct str client_id, host, principal;
};

/* ---- Life ---- */

struct group_coord *group_coord_new(const struct group_env *env, const struct group_config *cfg);
/* Frees without answering anybody. NULL is legal. An orderly stop needs no more than that: all that was answered is
 * stored, and whoever waits is told by the end of its connection. */
void group_coord_free(struct group_coord *g);

/* Applies a stored record. 0, or -1 when it is not a record of this layout (nothing changed). Before group_loaded(). */
int group_replay(struct group_coord *g, struct coord_record rec);
/* Ends the replay: starts the timers, mends what a torn history left, goes on with interrupted rebalances. */
void group_loaded(struct group_coord *g, int64_t now_ms);
/* Emits the records that rebuild the present state, for compaction: all of them, each once. */
void group_snapshot(struct group_coord *g, coord_record_f *fn, void *arg);

/* Reports the batch that persist() was called with. */
void group_persisted(struct group_coord *g, uint64_t batch, bool ok, int64_t now_ms);

/* When group_tick() is due, INT64_MAX for never. */
int64_t group_deadline(const struct group_coord *g);
void group_tick(struct group_coord *g, int64_t now_ms);

/* Topics were created, deleted or got partitions: targets of KIP-848 groups are computed again. */
void group_topics_changed(struct group_coord *g, int64_t now_ms);

struct group_stats {
	size_t groups, members, offsets, pending_offsets, waiting, bytes;
	uint64_t rebalances, expired_members, expired_offsets, failed_batches;
};
void group_coord_stats(const struct group_coord *g, struct group_stats *ret_stats);

/* ---- Classic groups ---- */

struct group_protocol {
	struct str name, metadata;
};

struct group_join {
	struct str group_id, member_id, instance_id, protocol_type;
	int32_t session_timeout_ms, rebalance_timeout_ms; /* rebalance < 0: as the session (version 0) */
	const struct group_protocol *protocols;           /* in order of preference */
	size_t n;
	int16_t version;   /* of JoinGroup: from 4 a new member gets COORD_MEMBER_ID_REQUIRED and its id first, from 9
			    * a static leader that came back may skip the assignment */
	struct group_client client;
};
/* Answered when the rebalance is complete; at once where none is needed. A second join of a member replaces its first,
 * which gets COORD_REBALANCE_IN_PROGRESS. */
void group_join(struct group_coord *g, const struct group_join *in, uint64_t token, int64_t now_ms);

struct group_assignment {
	struct str member_id, assignment;
};
struct group_sync {
	struct str group_id, member_id, instance_id;
	struct str protocol_type, protocol_name;  /* STR_NONE before version 5 */
	int32_t generation;
	const struct group_assignment *assignments; /* the leader's */
	size_t n;
};
/* Answered when the leader's assignment is stored. */
void group_sync(struct group_coord *g, const struct group_sync *in, uint64_t token, int64_t now_ms);

/* The code to answer at once. */
int16_t group_heartbeat(struct group_coord *g, struct str group_id, struct str member_id, struct str instance_id,
			int32_t generation, int64_t now_ms);

struct group_leaver {
	struct str member_id, instance_id; /* an administrator removes static members by the instance id alone */
};
/* Of classic groups, and by administrators of consumer groups. reply->each has a code per leaver. */
void group_leave(struct group_coord *g, struct str group_id, const struct group_leaver *v, size_t n, uint64_t token,
		 int64_t now_ms);

/* ---- KIP-848 ---- */

struct group_consumer_heartbeat {
	struct str group_id, member_id, instance_id, rack_id, assignor, regex; /* STR_NONE: null, unchanged */
	int32_t epoch;                    /* 0 joins, -1 leaves, -2 leaves for a while (static) */
	int32_t rebalance_timeout_ms;     /* -1: unchanged */
	const struct str *topics;         /* subscribed names; NULL: unchanged */
	size_t n_topics;
	const struct group_partition *owned; /* NULL: unchanged */
	size_t n_owned;
	struct group_client client;
};
/* A classic group without members becomes a consumer group and the other way round; one with members of the other
 * protocol refuses (Kafka's migration policy "disabled"): COORD_GROUP_ID_NOT_FOUND here,
 * COORD_INCONSISTENT_GROUP_PROTOCOL for group_join(). */
void group_consumer_heartbeat(struct group_coord *g, const struct group_consumer_heartbeat *in, uint64_t token,
			      int64_t now_ms);

/* ---- KIP-932: members of share groups; what they get is in broker/share ---- */

/* As group_consumer_heartbeat(), with less: group, member, rack, epoch (0 joins, -1 leaves) and topics. Groups are made
 * by the first member, and never change to or from another type. */
void group_share_heartbeat(struct group_coord *g, const struct group_consumer_heartbeat *in, uint64_t token,
			   int64_t now_ms);
/* Makes an empty share group where there is none of that name. False when that is one too many. */
bool group_share_make(struct group_coord *g, struct str group_id, int64_t now_ms);
/* Whether there is such a share group. */
bool group_is_share(struct group_coord *g, struct str group_id, bool *ret_empty);

/* ---- Looking ---- */

struct group_listed {
	struct str group_id, protocol_type, state, type; /* state "Stable", type "classic", "consumer" or "share" */
};
/* All groups whose state and type are among those named (no names: all), without regard to case; lives in the arena,
 * sorted by name. */
size_t group_list(struct group_coord *g, const struct str *states, size_t n_states, const struct str *types,
		  size_t n_types, struct arena *a, const struct group_listed **ret);

struct group_described_member {
	struct str member_id, instance_id, client_id, host;
	struct str metadata, assignment;              /* classic, while stable */
	struct str rack_id, regex;                    /* KIP-848 from here */
	int32_t epoch;
	const struct str *topics;
	size_t n_topics;
	const struct group_partition *assigned, *target;
	size_t n_assigned, n_target;
};
struct group_described {
	int16_t code;         /* COORD_GROUP_ID_NOT_FOUND: no such group, or of the other type */
	struct str state, protocol_type, protocol_name, assignor;
	int32_t epoch, assignment_epoch;
	const struct group_described_member *members;
	size_t n;
};
/* DescribeGroups. A missing group has state "Dead" and the code; versions before 6 answer it without the code. A
 * consumer group is described as far as a classic one can be. */
void group_describe(struct group_coord *g, struct str group_id, struct arena *a, struct group_described *ret);
/* ConsumerGroupDescribe. */
void group_consumer_describe(struct group_coord *g, struct str group_id, struct arena *a,
			     struct group_described *ret);
/* ShareGroupDescribe. */
void group_share_describe(struct group_coord *g, struct str group_id, struct arena *a, struct group_described *ret);

/* DeleteGroups, one group: COORD_NON_EMPTY_GROUP, COORD_GROUP_ID_NOT_FOUND. */
void group_delete(struct group_coord *g, struct str group_id, uint64_t token, int64_t now_ms);

/* ---- Offsets ---- */

struct group_offset {
	struct str topic;
	int32_t partition;
	int64_t offset;
	int32_t leader_epoch;    /* -1: not known */
	struct str metadata;     /* STR_NONE is kept as null */
};
struct group_commit {
	struct str group_id, member_id, instance_id;
	int32_t generation;      /* or member epoch; -1: of a consumer that assigns itself */
	int64_t retention_ms;    /* versions 2 to 4; -1: the group's rule */
	const struct group_offset *v;
	size_t n;
	bool txn;                /* TxnOffsetCommit: pending until group_txn_end(); the caller has checked the epoch */
	int64_t producer_id;
};
void group_commit(struct group_coord *g, const struct group_commit *in, uint64_t token, int64_t now_ms);

/* The marker of a transaction reached the offsets of a group: its pending offsets become valid or go. May come any
 * number of times; without pending offsets it is answered with COORD_OK. */
void group_txn_end(struct group_coord *g, struct str group_id, int64_t producer_id, bool commit, uint64_t token,
		   int64_t now_ms);

struct group_fetched {
	struct str topic;
	int32_t partition;
	int64_t offset;          /* -1: none committed */
	int32_t leader_epoch;
	struct str metadata;     /* "" without a commit */
	int16_t code;
};
struct group_fetch {
	struct str group_id, member_id;  /* member and epoch from version 9; STR_NONE and -1: not checked */
	int32_t epoch;
	bool all;                /* all partitions with an offset, v is ignored */
	bool require_stable;     /* COORD_UNSTABLE_OFFSET_COMMIT for those with pending offsets */
	const struct group_offset *v; /* topic and partition count */
	size_t n;
};
/* Returns the code of the whole. Results live in the arena; in order of the request, or by topic. */
int16_t group_offsets_fetch(struct group_coord *g, const struct group_fetch *in, struct arena *a,
			    const struct group_fetched **ret, size_t *ret_n);

/* OffsetDelete: COORD_GROUP_SUBSCRIBED_TO_TOPIC per partition while members are subscribed; COORD_NON_EMPTY_GROUP for
 * groups of other protocol types with members. */
void group_offsets_delete(struct group_coord *g, struct str group_id, const struct group_offset *v, size_t n,
			  uint64_t token, int64_t now_ms);
/* A topic was deleted: its offsets go from all groups. */
void group_topic_deleted(struct group_coord *g, struct str topic, int64_t now_ms);

#endif
