/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_SHARE_SHARE_H
#define BROKER_SHARE_SHARE_H

#include "base/arena.h"
#include "broker/coord/coord.h"

/* Delivery of share groups (KIP-932): which records of a partition a group has not seen, who has them in hand and until
 * when, and which are done with; and the sessions of those who fetch. Members and assignments of the groups are in
 * broker/group.
 *
 * One object serves all groups of a broker. One thread at a time, no socket, no file, no clock: calls take the time in
 * ms of a clock that goes on over restarts; share_deadline() says when share_tick() is due.
 *
 * A share partition is the pair of a group and a partition of a topic. Below its start offset everything is done with.
 * From there on it knows runs of offsets, each in one state: available, acquired by a member until a time, acknowledged
 * or archived. Behind the runs nobody has looked yet. The start offset moves up over what is done with.
 *
 * Durability: the whole state of a share partition is one record. It is written when something was acknowledged,
 * released or archived; acquiring writes nothing: what was in hand at a crash is available again, with the count of
 * deliveries it had when its neighbours were written last. Changes gather while a batch is under way.
 *
 * Limits: share partitions, offsets in flight of one and of all, sessions and their partitions; see share_config. */

struct share_coord;

struct share_tp {
	struct coord_uuid topic;
	int32_t partition;
};

struct share_env {
	void *arg;
	coord_persist_f *persist;
	/* What share_wait() was called for is stored, or could not be: then it stays marked, and goes with the next
	 * batch. */
	void (*reply)(void *arg, uint64_t token, bool ok);
	/* There may be records for somebody now. */
	void (*available)(void *arg, const struct share_tp *tp);
	/* Whether there is such a topic. */
	bool (*topic)(void *arg, const struct coord_uuid *id);
};

/* Zeros mean the defaults in brackets. */
struct share_config {
	int16_t deliveries_max; /* group.share.delivery.count.limit [5] */
	int32_t records_max; /* group.share.partition.max.record.locks [2000]; never more, also within a batch */
	int64_t offsets_max; /* in flight, of all [4000000] */
	size_t parts_max; /* share partitions [100000] */
	size_t sessions_max; /* group.share.max.share.sessions [2000] */
	size_t session_parts_max; /* [2000] */
	size_t batch_bytes; /* soft limit of a batch [1 MiB] */
	int32_t retry_ms; /* pause after a failed persist() [100] */
};

/* ---- Life ---- */

struct share_coord *share_new(const struct share_env *env, const struct share_config *cfg);
/* Frees without answering anybody. NULL is legal. */
void share_free(struct share_coord *c);
/* Applies a stored record: 0, or -1 when it is none of this layout (nothing changed). Before share_loaded(). */
int share_replay(struct share_coord *c, struct coord_record rec);
/* Whether a record's key is one of ours. */
bool share_record(struct str key);
/* Ends the replay; what belongs to topics that have gone goes. */
void share_loaded(struct share_coord *c, int64_t now_ms);
/* Emits the records that rebuild the present state. */
void share_snapshot(struct share_coord *c, coord_record_f *fn, void *arg);
void share_persisted(struct share_coord *c, uint64_t batch, bool ok, int64_t now_ms);
int64_t share_deadline(const struct share_coord *c);
void share_tick(struct share_coord *c, int64_t now_ms);
/* Replies to the token once everything that was changed so far is stored; maybe within the call. */
void share_wait(struct share_coord *c, uint64_t token, int64_t now_ms);

struct share_stats {
	size_t parts, sessions;
	int64_t in_flight; /* offsets */
	uint64_t timeouts, archived, failed_batches;
};
void share_stats(const struct share_coord *c, struct share_stats *ret_stats);

/* ---- Share partitions ---- */

enum share_look {
	SHARE_UNKNOWN, /* needs share_open() */
	SHARE_WAIT, /* nothing now; available() says when */
	SHARE_READ /* read the log from *ret_from to *ret_upto, then share_acquire() */
};
/* What a member could be given: about max_records from the first free offset on. */
enum share_look share_look(struct share_coord *c, struct str group, const struct share_tp *tp, int32_t max_records,
			   int64_t *ret_from, int64_t *ret_upto);
/* A share partition that begins at an offset; nothing is given from it until that is stored, then available() is
 * called. False when there are too many. One that exists stays as it is. */
bool share_open(struct share_coord *c, struct str group, const struct share_tp *tp, int64_t start, int64_t now_ms);
/* The log goes from start to end: what lies outside is forgotten. */
void share_fit(struct share_coord *c, struct str group, const struct share_tp *tp, int64_t start, int64_t end,
	       int64_t now_ms);

/* A batch of the log. hidden: there is nothing in it for a member (markers, aborted transactions). */
struct share_batch {
	int64_t first, last;
	bool hidden;
};
struct share_acquire {
	struct str group, member;
	struct share_tp tp;
	int64_t from; /* as share_look() said; what lies between batches counts to the later one */
	const struct share_batch *batches; /* in order */
	size_t n;
	int32_t max_records, batch_size, lock_ms;
	bool exact; /* never more than max_records; else batches are not cut for that */
};
struct share_acquired {
	int64_t first, last;
	int16_t deliveries; /* with this one */
};
/* Acquires what is free of the batches. Entries lie in the arena; they are cut between batches when they have
 * batch_size records or more. */
size_t share_acquire(struct share_coord *c, const struct share_acquire *in, struct arena *a,
		     const struct share_acquired **ret, int64_t now_ms);

enum share_type { SHARE_GAP, SHARE_ACCEPT, SHARE_RELEASE, SHARE_REJECT, SHARE_RENEW };
struct share_ack {
	int64_t first, last;
	const int8_t *types; /* one for all, or one for each */
	size_t n;
};
/* Whether acknowledgements are well-formed: COORD_OK or COORD_INVALID_REQUEST. */
int16_t share_ack_check(const struct share_ack *v, size_t n, bool renew);
/* All of them or none: COORD_INVALID_RECORD_STATE for what the member does not hold. Offsets below the start are passed
 * by. *ret_changed: there is something to wait for. v has been checked. */
int16_t share_acknowledge(struct share_coord *c, struct str group, struct str member, const struct share_tp *tp,
			  const struct share_ack *v, size_t n, int32_t lock_ms, bool *ret_changed, int64_t now_ms);

/* ---- Sessions ---- */

enum { SHARE_EPOCH_FINAL = -1, SHARE_EPOCH_FIRST = 0 };

struct share_session_req {
	struct str group, member;
	uint64_t conn; /* whose end ends the session */
	int32_t epoch;
	bool fetch; /* ShareFetch; else ShareAcknowledge, which begins none */
	const struct share_tp *add, *forget;
	size_t n_add, n_forget;
};
/* Finds, makes or moves the session on; for SHARE_EPOCH_FINAL only looks whether there is one. *ret: the partitions it
 * has, in the arena, beginning with another one each time. Returns COORD_OK or the code of the whole. */
int16_t share_session(struct share_coord *c, const struct share_session_req *in, struct arena *a,
		      const struct share_tp **ret, size_t *ret_n);
/* Ends a session: what the member holds in its partitions is available again. */
void share_session_end(struct share_coord *c, struct str group, struct str member, int64_t now_ms);
void share_conn_gone(struct share_coord *c, uint64_t conn, int64_t now_ms);

/* ---- Administration ---- */

struct share_offset {
	struct share_tp tp;
	int64_t start; /* -1: not known yet */
	int64_t done; /* offsets behind start that are done with */
};
/* All share partitions of a group, sorted; in the arena. */
size_t share_offsets(struct share_coord *c, struct str group, struct arena *a, const struct share_offset **ret);
bool share_offset(struct share_coord *c, struct str group, const struct share_tp *tp, struct share_offset *ret);
/* Begins anew at an offset. False when there are too many. */
bool share_alter(struct share_coord *c, struct str group, const struct share_tp *tp, int64_t start, int64_t now_ms);
/* Forgets all of a group, or of a topic of it. True when there was something. */
bool share_drop(struct share_coord *c, struct str group, const struct coord_uuid *topic, int64_t now_ms);
void share_topic_deleted(struct share_coord *c, const struct coord_uuid *topic, int64_t now_ms);

#endif
