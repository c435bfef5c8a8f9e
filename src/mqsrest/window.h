/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MQSREST_WINDOW_H
#define MQSREST_WINDOW_H

#include "base/buf.h"

#include <stdint.h>

/* What a group has in hand of one partition: messages that were read and are not all done with yet, in the order of
 * their offsets. A pure state machine, without Kafka, clocks and locks.
 *
 *   READY   may be given to a consumer
 *   OUT     given, until its deadline; then it may be given again
 *   DONE    acknowledged, or passed over; goes when that has been committed
 *
 * What is committed is the prefix, the offset before which all is done, and as the commit's metadata a bit map of what
 * is done behind it. So a message that was acknowledged out of order is not given again after a crash. */
enum rest_state { REST_READY, REST_OUT, REST_DONE };

/* Only messages so near to the prefix are given, so that the bit map is small and complete. */
#define REST_SPAN 1024

struct rest_entry {
	int64_t offset;
	int64_t delivery; /* of the last time it was given; 0: never */
	int64_t deadline_ms; /* OUT */
	void *message; /* the caller's; NULL once DONE is committed */
	size_t bytes;
	enum rest_state state;
	bool saved; /* its being DONE is in the commit under way */
};

struct rest_window {
	struct rest_entry *v;
	size_t n, cap;
	size_t ready, bytes; /* READY entries that were never given; bytes of all messages held */
	int64_t next; /* behind the last that was read; -1: nothing known yet */
	int64_t committed; /* the last committed prefix; -1: none */
	int64_t tried; /* the prefix of the last commit that was begun; -1: none */
	bool dirty; /* there is something to commit */
	int64_t done_base; /* what a former life had done: bits from this offset on */
	uint8_t done[REST_SPAN / 8];
	void (*release)(void *message); /* called for each message that is let go */
};

void rest_window_init(struct rest_window *w, void (*release)(void *message));
/* Lets all messages go. May be initialised again. */
void rest_window_done(struct rest_window *w);

/* Begins where a commit says; offset -1: nothing was committed. Metadata that is not ours means that nothing behind the
 * offset is done. */
void rest_window_restore(struct rest_window *w, int64_t offset, struct str metadata);

/* Takes a message that was read. False when it is not wanted, because it is done with or was read before: then it stays
 * the caller's. */
bool rest_window_add(struct rest_window *w, int64_t offset, void *message, size_t bytes);

/* The next entry at or behind index *at that may be given, NULL when there is none; *at becomes the index behind it. */
struct rest_entry *rest_window_next(struct rest_window *w, size_t *at, int64_t now_ms);
/* When the first OUT entry may be given again; INT64_MAX when there is none. */
int64_t rest_window_wake(const struct rest_window *w);
/* Whether an entry is OUT and its deadline still to come. */
bool rest_window_busy(const struct rest_window *w, int64_t now_ms);

/* e: one that rest_window_next() returned. */
void rest_window_give(struct rest_window *w, struct rest_entry *e, int64_t delivery, int64_t deadline_ms);
/* Done without having been given: nobody of the group may see it. */
void rest_window_pass(struct rest_window *w, struct rest_entry *e);

/* The entry that is OUT by this delivery and not late; else NULL. */
struct rest_entry *rest_window_find(struct rest_window *w, int64_t offset, int64_t delivery, int64_t now_ms);
/* What became of one that was finished by this delivery, as long as the window is the same. */
enum rest_fate {
	REST_COMMITTED,
	REST_FINISHED, /* waits for its commit */
	REST_OPEN, /* the commit failed: may be finished again */
	REST_LOST /* was given again */
};
enum rest_fate rest_window_fate(const struct rest_window *w, int64_t offset, int64_t delivery);
/* What the consumer said of it. */
void rest_window_finish(struct rest_window *w, struct rest_entry *e);
void rest_window_return(struct rest_window *w, struct rest_entry *e);

/* Whether an offset that Kafka has is of a commit of ours: the last one that ended well, or the last that was begun,
 * whose end we do not know yet, or never got to know. Else somebody else has committed. */
bool rest_window_own(const struct rest_window *w, int64_t offset);
/* Begins a commit: the prefix, and appends the metadata. -1 when nothing was ever read. One at a time; its end is one
 * of the two below. */
int64_t rest_window_save(struct rest_window *w, struct buf *metadata);
void rest_window_saved(struct rest_window *w, int64_t prefix);
/* What the failed commit would have covered is as if it had not been acknowledged. */
void rest_window_unsaved(struct rest_window *w);

/* The offset before which all is done; -1 when nothing was ever read. */
int64_t rest_window_prefix(const struct rest_window *w);

#endif
