/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_GROUP_GROUP_PRIV_H
#define BROKER_GROUP_GROUP_PRIV_H

#include "base/map.h"
#include "broker/group/group.h"

#include <stdlib.h>

enum { GROUP_PENDING_BYTES = 200, GROUP_PROTOCOLS_MAX = 64 };

/* Stored in records: values may be added, not changed. */
enum group_type { GROUP_CLASSIC, GROUP_CONSUMER, GROUP_SHARE };

/* Stored in records: values may be added, not changed. */
enum group_state {
	GROUP_EMPTY,
	GROUP_PREPARING,  /* classic: waits for joins */
	GROUP_COMPLETING, /* classic: waits for the leader's assignment */
	GROUP_STABLE
};

enum member_state {
	MEMBER_STABLE,
	MEMBER_UNREVOKED,  /* has to give partitions back before it goes on */
	MEMBER_UNRELEASED  /* waits for partitions that others still have */
};

enum timer_kind { TIMER_SESSION, TIMER_REVOKE, TIMER_GROUP, TIMER_PENDING, TIMER_RETRY, TIMER_EXPIRY };

/* A sorted set of partitions. */
struct part_set {
	struct group_partition *v;
	size_t n;
};

/* A request that waits for the member to be answered. */
struct waiting_token {
	bool on;
	uint64_t token;
};

struct member {
	struct group *group;
	struct str id, instance_id, client_id, host;
	struct coord_timer session;
	int32_t rebalance_ms;
	bool dirty, flying;       /* has to be stored; is part of the batch under way */
	size_t bytes;             /* what it counts towards the limit */

	/* classic */
	int32_t session_ms;
	struct group_protocol *protocols; /* owned */
	size_t n_protocols;
	struct str assignment;
	struct waiting_token join, sync;
	int16_t join_version;
	bool joined;              /* takes part in the rebalance under way */
	bool skip;                /* a static leader that came back without a rebalance */
	bool synced;              /* has asked for the assignment of this generation */

	/* KIP-848 */
	struct str rack_id, regex, assignor, principal;
	struct str *topics;       /* subscribed, sorted, owned */
	size_t n_topics;
	struct str *matched;      /* what regex stands for now, sorted, owned; not stored */
	size_t n_matched;
	int32_t epoch, previous_epoch;
	enum member_state state;
	struct part_set assigned, revoking, target;
	struct coord_timer revoke;
};

/* A member id given out that has not been used yet (KIP-394). */
struct pending_member {
	struct group *group;
	struct str id;
	struct coord_timer timer;
};

struct offset {
	struct str key;           /* topic, NUL, partition: of the map */
	struct str topic;         /* inside key */
	int32_t partition;
	int64_t offset, commit_ms, expire_ms; /* expire_ms -1: the group's rule */
	int32_t leader_epoch;
	struct str metadata;
	unsigned pending;         /* transactions that have one for it */
	bool committed;           /* false: only pending */
	bool going;               /* its deletion is being stored */
};

struct txn_offset {
	struct txn_offset *next;
	int64_t producer_id;
	struct str topic, metadata;
	int32_t partition, leader_epoch;
	int64_t offset, commit_ms;
};

struct group {
	struct str id;
	enum group_type type;
	enum group_state state;
	int32_t generation;       /* or group epoch */
	struct map *members;      /* by id */
	struct map *instances;    /* static members by instance id */
	struct map *pending;      /* struct pending_member by id */
	struct map *offsets;      /* struct offset by key */
	struct txn_offset *txn;
	struct str protocol_type, protocol_name, leader;
	int64_t state_ms;         /* since when it is in this state */
	struct coord_timer timer; /* rebalance or sync deadline */
	int64_t initial_left;     /* first rebalance: how much longer joins may extend the wait; -1: not the first */
	bool newcomer;            /* a member came in the present initial wait */
	bool deleting;            /* its deletion is being stored */
	struct str assignor;
	int32_t target_epoch;

	bool dirty, flying;
	bool listed;              /* is in g->dirty */
	bool under_way;           /* is in g->flying */
	struct str *gone;         /* ids of members whose records must go */
	size_t n_gone, n_gone_flying;
};

/* A request whose answer waits for a batch. */
struct waiter {
	struct waiter *next;
	enum group_op op;
	uint64_t token;
	int16_t code;
	struct str message, member_id, group_id;
	size_t bytes;
	int16_t *codes;           /* leave, commit, offset delete */
	size_t n;
	struct group_offset *offsets; /* commit, delete: owned copies */
	int64_t producer_id, retention_ms, now_ms;
	bool txn, commit, silent; /* silent: our own work, nobody waits */
	int32_t epoch, interval_ms; /* consumer heartbeat */
	bool has_assignment;
	struct part_set parts;
};

struct group_coord {
	struct group_env env;
	struct group_config cfg;
	struct map *groups;
	struct coord_timers timers;
	struct coord_timer retry, expiry;
	struct group **dirty;     /* groups with something to store */
	size_t n_dirty, cap_dirty;
	struct group **flying;    /* groups with something in the batch under way */
	size_t n_flying;
	struct waiter *queue, **queue_end; /* for the next batch */
	struct waiter *sent;      /* of the batch under way */
	uint64_t batch;           /* number of the batch under way, or of the last one */
	bool busy;                /* a batch is under way */
	bool pumping;             /* group__pump() is at work further up the stack */
	bool expiring;            /* a search for expired offsets is queued */
	bool loaded;
	int64_t now_ms;
	struct group_stats stats;
};

/* group.c */
struct group *group__find(struct group_coord *g, struct str id);
/* NULL when a limit is reached. */
struct group *group__make(struct group_coord *g, struct str id, enum group_type type, int64_t now_ms);
void group__drop(struct group_coord *g, struct group *gr);
struct member *group__member(struct group *gr, struct str id);
struct member *group__member_new(struct group_coord *g, struct group *gr, struct str id, struct str instance_id);
/* Removes and frees; its record goes with the next batch. Waiting requests of it are answered with code. */
void group__member_drop(struct group_coord *g, struct member *m, int16_t code);
void group__member_free(struct group_coord *g, struct member *m);
/* Another id for a static member. */
void group__member_rename(struct group_coord *g, struct member *m, struct str id);
void group__member_count(struct group_coord *g, struct member *m);
void group__set_state(struct group *gr, enum group_state state, int64_t now_ms);
void group__new_id(struct str prefix, char *ret, size_t cap);
const char *group__state_name(const struct group *gr);
void group__describe(struct group_coord *g, struct str group_id, enum group_type type, struct arena *a,
		     struct group_described *ret);
/* Fencing of static members and unknown ids. NULL and the code, or the member. */
struct member *group__checked_member(struct group *gr, struct str id, struct str instance_id, int16_t *ret_code);
void group__set_str(struct str *dst, struct str src);
bool group__fits(const struct group_coord *g, size_t more);

/* save.c */
void group__touch(struct group_coord *g, struct group *gr);
void group__touch_member(struct group_coord *g, struct member *m);
void group__gone(struct group_coord *g, struct group *gr, struct str member_id);
struct waiter *group__waiter(struct group_coord *g, enum group_op op, uint64_t token, int64_t now_ms);
void group__enqueue(struct group_coord *g, struct waiter *w);
void group__pump(struct group_coord *g);
void group__waiter_free(struct group_coord *g, struct waiter *w);
void group__refuse(struct group_coord *g, enum group_op op, uint64_t token, int16_t code, const char *message);
void group__refuse_each(struct group_coord *g, enum group_op op, uint64_t token, int16_t code, size_t n);
void group__saved_forget(struct group_coord *g, struct group *gr);

/* record.c: puts of a batch */
struct batch {
	struct buf bytes;
	struct {
		size_t key, key_n, value, value_n;
		bool has_value;
	} *v;
	size_t n, cap;
};
void group__put_group(struct batch *b, const struct group *gr);
void group__put_member(struct batch *b, const struct member *m);
void group__put_offset(struct batch *b, struct str group_id, const struct offset *o);
void group__put_txn_offset(struct batch *b, struct str group_id, const struct txn_offset *o);
void group__del_group(struct batch *b, struct str group_id);
void group__del_member(struct batch *b, struct str group_id, struct str member_id);
void group__del_offset(struct batch *b, struct str group_id, struct str topic, int32_t partition);
void group__del_txn_offset(struct batch *b, struct str group_id, const struct txn_offset *o);
void group__batch_done(struct batch *b);
struct coord_record group__batch_at(const struct batch *b, size_t i);

/* classic.c */
/* Each member votes for the first of its protocols that all support; STR_NONE when there is none. */
struct str group__select_protocol(const struct group *gr);
bool group__member_speaks(const struct member *m, struct str protocol);
bool group__all_speak(const struct group *gr, struct str protocol);
void group__session_start(struct group_coord *g, struct member *m, int64_t now_ms);
void group__rebalance(struct group_coord *g, struct group *gr, int64_t now_ms);
void group__classic_left(struct group_coord *g, struct group *gr, int64_t now_ms);
void group__classic_timeout(struct group_coord *g, struct group *gr, int64_t now_ms);
/* Answers joins and syncs whose state is stored now. */
void group__classic_saved(struct group_coord *g, struct group *gr, bool ok);
void group__classic_loaded(struct group_coord *g, struct group *gr, int64_t now_ms);
bool group__classic_subscribed(const struct group *gr, struct str topic, bool *ret_known);
void group__pending_drop(struct group_coord *g, struct pending_member *p);
void group__answer_wait(struct group_coord *g, struct waiting_token *w, enum group_op op, int16_t code);

/* consumer.c */
void group__consumer_left(struct group_coord *g, struct group *gr, int64_t now_ms);
void group__consumer_loaded(struct group_coord *g, struct group *gr, int64_t now_ms);
void group__consumer_revoke_timeout(struct group_coord *g, struct member *m, int64_t now_ms);
bool group__consumer_subscribed(const struct member *m, struct str topic);

/* Also for share groups. */
void group__new_epoch(struct group_coord *g, struct group *gr);
int32_t group__session_of(const struct group_coord *g, const struct group *gr);
void group__consumer_refuse(struct group_coord *g, const struct group_consumer_heartbeat *in, uint64_t token,
			    int16_t code, const char *message);
/* Answers once everything of the group is stored. */
void group__consumer_respond(struct group_coord *g, const struct group *gr, struct str member_id, int32_t epoch,
			     const struct part_set *parts, uint64_t token, int64_t now_ms);
/* True when the target has to be computed again. */
bool group__consumer_update(struct group_coord *g, struct member *m, const struct group_consumer_heartbeat *in);

/* share.c */
bool group__share_retarget(struct group_coord *g, struct group *gr);

/* target.c */
int group__part_cmp(const struct group_partition *a, const struct group_partition *b);
bool group__parts_have(const struct part_set *s, const struct group_partition *p);
void group__parts_sort(struct part_set *s);
void group__parts_copy(struct part_set *dst, const struct group_partition *v, size_t n);
void group__parts_free(struct part_set *s);
bool group__parts_equal(const struct part_set *a, const struct part_set *b);
/* Computes the target of every member of a KIP-848 group; changed members are marked to be stored. True when one
 * changed. */
bool group__retarget(struct group_coord *g, struct group *gr);

/* offsets.c */
void group__offset_apply(struct group_coord *g, struct group *gr, const struct group_offset *in, int64_t now_ms,
			 int64_t expire_ms);
void group__offset_drop(struct group_coord *g, struct group *gr, struct offset *o);
void group__txn_offset_apply(struct group_coord *g, struct group *gr, int64_t producer_id,
			     const struct group_offset *in, int64_t now_ms);
void group__txn_offset_drop(struct group_coord *g, struct group *gr, struct txn_offset **at);
struct offset *group__offset_find(struct group *gr, struct str topic, int32_t partition);
/* Build the records of a waiter, and do what it was for once they are stored. */
void group__waiter_put(struct group_coord *g, struct waiter *w, struct batch *b);
void group__waiter_done(struct group_coord *g, struct waiter *w, bool ok);
/* Runs alone in its batch, because it looks at what earlier batches stored. */
bool group__waiter_alone(const struct waiter *w);
/* Has to wait until those before it are stored: the end of a transaction whose offsets are on their way. */
bool group__waiter_follows(const struct waiter *w, const struct waiter *sent);

/* regex.c */
/* False when the expression is not valid. */
bool group__regex_check(struct str regex);
/* The topics that the member's expression stands for. True when they changed. */
bool group__regex_resolve(struct group_coord *g, struct member *m);

#endif
