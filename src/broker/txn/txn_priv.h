/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_TXN_TXN_PRIV_H
#define BROKER_TXN_TXN_PRIV_H

#include "base/map.h"
#include "broker/txn/txn.h"

#include <stdlib.h>

enum { TXN_EPOCH_MAX = INT16_MAX };

/* What is stored of a transactional id. The strings of partitions and groups are shared between the present and the
 * next version of it; "fresh" marks those that only the next has. */
struct txn_part {
	struct str topic;
	int32_t partition;
	bool fresh;
};

struct txn_group {
	struct str id;
	bool fresh;
};

struct txn_data {
	int64_t pid, last_pid;    /* last_pid: before an epoch overflow; -1 */
	int64_t next_pid;         /* to continue with after this transaction; -1 */
	int16_t epoch, last_epoch; /* last_epoch: whose answer may have got lost; -1: nobody's */
	int32_t timeout_ms;
	enum txn_state state;
	int64_t start_ms, update_ms;
	struct txn_part *parts;   /* sorted */
	size_t n_parts;
	struct txn_group *groups;
	size_t n_groups;
};

struct txn {
	struct str id;
	struct txn_data cur, next;
	bool saving;              /* next is being stored */
	uint64_t batch;
	bool answer;              /* somebody waits for it */
	enum txn_op op;
	uint64_t token;
	int16_t code;             /* of the answer once it is stored */
	bool marking;             /* the caller has the markers */
	struct coord_timer timer; /* by state: transaction timeout, markers again, expiry */
	size_t bytes;
};

struct txn_coord {
	struct txn_env env;
	struct txn_config cfg;
	struct map *ids;
	struct coord_timers timers;
	uint64_t batch;
	struct map *flying;       /* struct txn by batch number (8 bytes) */
	int64_t next_pid, end_pid; /* what is left of the reserved producer ids */
	int64_t reserved;         /* end of all blocks ever reserved, stored */
	uint64_t block_batch;     /* the block being stored; 0: none */
	struct coord_timer block_timer;
	bool loaded;
	struct txn_stats stats;
};

enum { TXN_TIMER_TXN, TXN_TIMER_BLOCK };

/* txn.c */
struct txn *txn__find(struct txn_coord *t, struct str id);
struct txn *txn__make(struct txn_coord *t, struct str id);
void txn__drop(struct txn_coord *t, struct txn *x);
void txn__count(struct txn_coord *t, struct txn *x);
void txn__free_data(struct txn_data *d);
void txn__set_timer(struct txn_coord *t, struct txn *x, int64_t now_ms);
/* -1 when no id is reserved yet. */
int64_t txn__new_pid(struct txn_coord *t);
int txn__part_cmp(const void *a, const void *b);
/* next as a copy of cur, ready to be changed. */
void txn__begin(struct txn *x, int64_t now_ms);
/* Stores next; then the answer is code. */
void txn__save(struct txn_coord *t, struct txn *x, int64_t now_ms);
void txn__answer_after(struct txn *x, enum txn_op op, uint64_t token, int16_t code);
void txn__reply(struct txn_coord *t, enum txn_op op, uint64_t token, int16_t code, int64_t pid, int16_t epoch);
/* To Prepare*, for a client's EndTxn, a new instance of the producer (fence) or a timeout (fence). False when no
 * producer id is there for an exhausted epoch. */
bool txn__prepare(struct txn_coord *t, struct txn *x, bool commit, bool bump, bool fence, int64_t now_ms);
void txn__hand_out(struct txn_coord *t, struct txn *x);
void txn__reserve(struct txn_coord *t, int64_t now_ms);

/* record.c */
void txn__put(struct buf *key, struct buf *value, struct str id, const struct txn_data *d);
void txn__put_block(struct buf *key, struct buf *value, int64_t end);
void txn__key(struct buf *key, struct str id);

#endif
