/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_TXN_TXN_H
#define BROKER_TXN_TXN_H

#include "base/arena.h"
#include "broker/coord/coord.h"

/* The transaction coordinator: producer ids and epochs (KIP-98, KIP-360), transactions over partitions and groups'
 * offsets, their timeouts, and the second version of the protocol with a new epoch per transaction (KIP-890).
 *
 * One object, one thread, no socket, no clock; see group.h for the shape. A change of a transaction is one record; it
 * counts, and is answered, when txn_persisted() reported it. While it is under way, other calls for the same
 * transactional id get COORD_CONCURRENT_TRANSACTIONS, which clients repeat. When storing fails, the call gets
 * COORD_NOT_AVAILABLE and nothing has changed.
 *
 * Markers: once the decision to commit or abort is stored it is answered, and markers() is called with all partitions
 * and groups. The caller writes a control batch to each partition, calls group_txn_end() for each group, and then
 * txn_markers_done(). When that fails, or after a restart, markers() comes again: writing a marker twice is harmless.
 *
 * Versions: COORD_PRODUCER_FENCED is for InitProducerId from 4, AddPartitionsToTxn, AddOffsetsToTxn and EndTxn from 2,
 * AddPartitionsToTxn verification and TxnOffsetCommit: older versions answer COORD_INVALID_PRODUCER_EPOCH, see
 * txn_code_for(). */

struct txn_coord;

enum txn_state {
	TXN_EMPTY, TXN_ONGOING, TXN_PREPARE_COMMIT, TXN_PREPARE_ABORT, TXN_COMPLETE_COMMIT, TXN_COMPLETE_ABORT,
	TXN_STATES
};

enum txn_op { TXN_INIT, TXN_ADD_PARTITIONS, TXN_ADD_OFFSETS, TXN_END };

struct txn_partition {
	struct str topic;
	int32_t partition;
};

struct txn_reply {
	enum txn_op op;
	int16_t code;         /* enum coord_code; of an AddPartitions it is that of each partition */
	int64_t producer_id;  /* init, end: to use from now on; -1 with an error */
	int16_t epoch;
};

struct txn_markers {
	struct str txn_id;
	int64_t producer_id;
	int16_t epoch;                 /* of the control batches */
	bool commit;
	const struct txn_partition *partitions;
	size_t n_partitions;
	const struct str *groups;
	size_t n_groups;
};

struct txn_env {
	void *arg;
	coord_persist_f *persist;      /* may call txn_persisted() */
	void (*reply)(void *arg, uint64_t token, const struct txn_reply *reply); /* may not call back */
	void (*markers)(void *arg, const struct txn_markers *m); /* lent; may call txn_markers_done() */
};

/* Zeros mean the defaults in brackets. */
struct txn_config {
	int32_t timeout_max_ms;        /* transaction.max.timeout.ms [900000] */
	int64_t expiry_ms;             /* transactional.id.expiration.ms [7 days] */
	int32_t ids_max;               /* transactional ids [50000] */
	int32_t partitions_max;        /* per transaction [10000], and groups */
	size_t bytes_max;              /* of all state, about [64 MiB] */
	int32_t id_block;              /* producer ids reserved by one record [1000] */
	int32_t retry_ms;              /* pause before something is tried again [100] */
};

struct txn_coord *txn_coord_new(const struct txn_env *env, const struct txn_config *cfg);
void txn_coord_free(struct txn_coord *t); /* NULL is legal; answers nobody */

/* As group_replay(), group_loaded(), group_snapshot(). txn_loaded() hands out the markers that were not acknowledged
 * before the restart. */
int txn_replay(struct txn_coord *t, struct coord_record rec);
void txn_loaded(struct txn_coord *t, int64_t now_ms);
void txn_snapshot(struct txn_coord *t, coord_record_f *fn, void *arg);

void txn_persisted(struct txn_coord *t, uint64_t batch, bool ok, int64_t now_ms);
int64_t txn_deadline(const struct txn_coord *t);
/* Aborts what timed out, repeats markers, forgets ids that were not used for long. */
void txn_tick(struct txn_coord *t, int64_t now_ms);

/* InitProducerId. txn_id STR_NONE: an id for an idempotent producer, epoch 0. producer_id and epoch as known to the
 * client, -1 before version 3. Aborts the transaction of an earlier instance and fences it: that takes a
 * COORD_CONCURRENT_TRANSACTIONS and a repetition. COORD_INVALID_TRANSACTION_TIMEOUT above the maximum. */
void txn_init(struct txn_coord *t, struct str txn_id, int32_t timeout_ms, int64_t producer_id, int16_t epoch,
	      uint64_t token, int64_t now_ms);

/* AddPartitionsToTxn, one transaction. Also for Produce from version 12, which adds by itself (KIP-890). */
void txn_add_partitions(struct txn_coord *t, struct str txn_id, int64_t producer_id, int16_t epoch,
			const struct txn_partition *v, size_t n, uint64_t token, int64_t now_ms);
/* The same, only asking (verify_only, and Produce before version 12): the code per partition, without change.
 * COORD_TRANSACTION_ABORTABLE for one that is not part; Produce before version 12 and AddPartitionsToTxn before
 * version 5 answer COORD_INVALID_TXN_STATE instead. */
void txn_verify_partitions(struct txn_coord *t, struct str txn_id, int64_t producer_id, int16_t epoch,
			   const struct txn_partition *v, size_t n, int16_t *ret_codes);
/* AddOffsetsToTxn; also for TxnOffsetCommit from version 5, which adds by itself. */
void txn_add_offsets(struct txn_coord *t, struct str txn_id, int64_t producer_id, int16_t epoch, struct str group_id,
		     uint64_t token, int64_t now_ms);
/* Whether TxnOffsetCommit of this producer is part of an ongoing transaction with this group. */
int16_t txn_verify_offsets(struct txn_coord *t, struct str txn_id, int64_t producer_id, int16_t epoch,
			   struct str group_id);

/* EndTxn. bump: version 5 and later; the epoch grows with each transaction and the answer carries the new one. */
void txn_end(struct txn_coord *t, struct str txn_id, int64_t producer_id, int16_t epoch, bool commit, bool bump,
	     uint64_t token, int64_t now_ms);

/* All markers of this producer id and epoch are written (ok), or have to be tried again. Unknown ones are ignored. */
void txn_markers_done(struct txn_coord *t, struct str txn_id, int64_t producer_id, int16_t epoch, bool ok,
		      int64_t now_ms);

struct txn_described {
	struct str txn_id;
	int16_t code;         /* COORD_TRANSACTIONAL_ID_NOT_FOUND, COORD_INVALID_REQUEST for an empty id */
	enum txn_state state;
	int32_t timeout_ms;
	int64_t start_ms;     /* -1 outside of a transaction */
	int64_t producer_id;
	int16_t epoch;
	const struct txn_partition *partitions; /* sorted */
	size_t n_partitions;
};
void txn_describe(struct txn_coord *t, struct str txn_id, struct arena *a, struct txn_described *ret);

struct txn_filter {
	uint32_t states;             /* bits 1 << enum txn_state; 0: all */
	const int64_t *producer_ids; /* none: all */
	size_t n_producer_ids;
	int64_t min_duration_ms;     /* those going on for longer; -1: all */
};
/* Without partitions; sorted by id; lives in the arena. */
size_t txn_list(struct txn_coord *t, const struct txn_filter *f, int64_t now_ms, struct arena *a,
		const struct txn_described **ret);

/* Kafka's names, "PrepareCommit". txn_state_find() returns -1 for an unknown one. */
const char *txn_state_name(enum txn_state state);
int txn_state_find(struct str name);

/* The code as a client of an older version knows it: fenced false for versions before COORD_PRODUCER_FENCED. */
int16_t txn_code_for(int16_t code, bool fenced);

struct txn_stats {
	size_t ids, ongoing, preparing, bytes;
	uint64_t timeouts, expired, failed_batches;
};
void txn_coord_stats(const struct txn_coord *t, struct txn_stats *ret_stats);

#endif
