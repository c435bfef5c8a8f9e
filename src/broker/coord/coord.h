/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_COORD_COORD_H
#define BROKER_COORD_COORD_H

#include "base/buf.h"
#include "base/cursor.h"

/* What the group and the transaction coordinator share: codes, records, timers. Both are state machines of one thread
 * without sockets, files or a clock: the caller passes the time, stores records, and sends answers. */

/* Kafka's error codes that coordinators answer with, to be sent as they are. */
enum coord_code {
	COORD_OK = 0,
	COORD_OFFSET_METADATA_TOO_LARGE = 12,
	COORD_LOAD_IN_PROGRESS = 14,
	COORD_NOT_AVAILABLE = 15,          /* the record could not be stored: retry */
	COORD_ILLEGAL_GENERATION = 22,
	COORD_INCONSISTENT_GROUP_PROTOCOL = 23,
	COORD_INVALID_GROUP_ID = 24,
	COORD_UNKNOWN_MEMBER_ID = 25,
	COORD_INVALID_SESSION_TIMEOUT = 26,
	COORD_REBALANCE_IN_PROGRESS = 27,
	COORD_INVALID_COMMIT_OFFSET_SIZE = 28,
	COORD_INVALID_REQUEST = 42,
	COORD_INVALID_PRODUCER_EPOCH = 47,
	COORD_INVALID_TXN_STATE = 48,
	COORD_INVALID_PRODUCER_ID_MAPPING = 49,
	COORD_INVALID_TRANSACTION_TIMEOUT = 50,
	COORD_CONCURRENT_TRANSACTIONS = 51,
	COORD_NON_EMPTY_GROUP = 68,
	COORD_GROUP_ID_NOT_FOUND = 69,
	COORD_MEMBER_ID_REQUIRED = 79,
	COORD_GROUP_MAX_SIZE_REACHED = 81,
	COORD_FENCED_INSTANCE_ID = 82,
	COORD_GROUP_SUBSCRIBED_TO_TOPIC = 86,
	COORD_UNSTABLE_OFFSET_COMMIT = 88,
	COORD_PRODUCER_FENCED = 90,
	COORD_TRANSACTIONAL_ID_NOT_FOUND = 105,
	COORD_FENCED_MEMBER_EPOCH = 110,
	COORD_UNRELEASED_INSTANCE_ID = 111,
	COORD_UNSUPPORTED_ASSIGNOR = 112,
	COORD_STALE_MEMBER_EPOCH = 113,
	COORD_TRANSACTION_ABORTABLE = 120,
	COORD_INVALID_RECORD_STATE = 121,
	COORD_SHARE_SESSION_NOT_FOUND = 122,
	COORD_INVALID_SHARE_SESSION_EPOCH = 123,
	COORD_INVALID_REGULAR_EXPRESSION = 128,
	COORD_SHARE_SESSION_LIMIT_REACHED = 133
};

struct coord_uuid {
	uint8_t b[16];
};

/* A record of a coordinator's state: key and value in a layout of our own, little-endian, first byte its version.
 * value.p == NULL deletes the key. A later record of a key replaces the earlier one. */
struct coord_record {
	struct str key, value;
};

/* Stores n records as one unit: after a crash either all of them are replayed or none. The bytes are lent for the call.
 * The caller answers later, or from inside the call, with the coordinator's *_persisted(batch, ok), in the order of
 * the calls. ok means: they survive what an answer promises to survive. */
typedef void coord_persist_f(void *arg, const struct coord_record *v, size_t n, uint64_t batch);

/* Receives one live record of a snapshot; lent for the call. */
typedef void coord_record_f(void *arg, struct coord_record rec);

/* ---- Timers: a heap of deadlines, embedded into their owners ---- */

struct coord_timer {
	int64_t at;   /* ms, the caller's clock */
	size_t pos;   /* place in the heap, from 1; 0: not running */
	int kind;     /* whose timer it is; set by the owner once */
};

struct coord_timers {
	struct coord_timer **v;
	size_t n, cap;
};

/* Starts or moves the timer. */
void coord_timer_set(struct coord_timers *ts, struct coord_timer *t, int64_t at);
void coord_timer_stop(struct coord_timers *ts, struct coord_timer *t);
/* Stops and returns a timer that is due at now_ms, or NULL. */
struct coord_timer *coord_timers_due(struct coord_timers *ts, int64_t now_ms);
/* The earliest deadline, INT64_MAX without one. */
int64_t coord_timers_next(const struct coord_timers *ts);
void coord_timers_done(struct coord_timers *ts);

/* ---- Owned strings and the layout of records ---- */

/* A copy on the heap; STR_NONE stays STR_NONE, an empty string has p != NULL. */
struct str coord_own(struct str s);
/* Frees a copy and makes it STR_NONE. */
void coord_disown(struct str *s);
/* u32 length and bytes; UINT32_MAX for STR_NONE. Read back with cursor_str(). */
void coord_put_str(struct buf *b, struct str s);

#endif
