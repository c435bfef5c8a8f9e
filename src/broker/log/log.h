/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_LOG_LOG_H
#define BROKER_LOG_LOG_H

#include "base/buf.h"
#include "base/err.h"

#include <stdatomic.h>

/* The storage of appia-mqs: partitions as logs of record batches, stored as producers sent them.
 *
 * A store is one data directory with one folder per partition, "<topic>-<partition>":
 *   <base offset, 20 digits>.log        record batches (Kafka message format 2), only base offset, leader epoch and,
 *                                       for append time, the maximum timestamp are set here
 *   <base offset>.index .timeindex .txnindex   offset to position, time to offset, aborted transactions; rebuilt from
 *                                       the log when missing or damaged
 *   <offset>.snapshot                   what is known of producers before that offset
 *   meta                                topic id, format version, log start offset, leader epochs
 * and in the store's own directory "state" (recovery points; after an orderly stop all there is to know), "spare-*"
 * (prepared segment files) and "lock".
 *
 * What survives what:
 *   - An append that returned 0 survives the death of the process (kill -9): it is in the page cache.
 *   - An append whose waiter was called with 0 survives the loss of power: fdatasync() of its segment returned, and of
 *     the folder when the segment is new. Costs one shared disk flush.
 *   - A batch is never seen half: recovery cuts the log behind the last whole batch with a good checksum. Batches
 *     before the recovery point were synced and are not read again.
 *   - Power loss may take batches that no waiter was told of, as acks=1 allows; readers have seen them unless the
 *     partition has hw_durable. The leader epoch grows by one with each opening after a stop that was not orderly, so
 *     consumers that saw them notice (KIP-320).
 *
 * Codes: functions on partitions return 0 or a negated Kafka error code (enum plog_code), to be sent as it is.
 *
 * Threads: each function says its own. Two rules: what changes a partition (append, marker, delete, truncate,
 * configure) takes the partition's writer lock, which a caller that keeps a partition on one loop finds free except
 * for the instants in which plog_store_step() swaps a segment; readers take a lock only to copy a few words and to
 * count references. */

enum plog_code {
	PLOG_OK = 0,
	PLOG_OFFSET_OUT_OF_RANGE = -1,
	PLOG_CORRUPT = -2,                /* CORRUPT_MESSAGE: checksum or framing of a batch */
	PLOG_GONE = -3,                   /* UNKNOWN_TOPIC_OR_PARTITION: deleted, or there is none */
	PLOG_TOO_LARGE = -10,             /* MESSAGE_TOO_LARGE: a batch above max_message_bytes */
	PLOG_INVALID_TOPIC = -17,         /* a name that is no folder name */
	PLOG_INVALID_TIMESTAMP = -32,
	PLOG_EXISTS = -36,                /* TOPIC_ALREADY_EXISTS */
	PLOG_INVALID_REQUEST = -42,
	PLOG_UNSUPPORTED_FORMAT = -43,    /* not message format 2 */
	PLOG_OUT_OF_ORDER = -45,          /* OUT_OF_ORDER_SEQUENCE_NUMBER */
	PLOG_INVALID_EPOCH = -47,         /* INVALID_PRODUCER_EPOCH: a newer producer took over */
	PLOG_INVALID_TXN_STATE = -48,     /* a plain batch of a producer inside its transaction */
	PLOG_COORDINATOR_FENCED = -52,    /* TRANSACTION_COORDINATOR_FENCED */
	PLOG_STORAGE = -56,               /* KAFKA_STORAGE_ERROR: the disk is full or broken; may work again later */
	PLOG_UNSUPPORTED_CODEC = -76,     /* UNSUPPORTED_COMPRESSION_TYPE */
	PLOG_INVALID_RECORD = -87
};

enum {
	PLOG_TOPIC_MAX = 249,             /* bytes of a topic name */
	PLOG_BATCH_MAX = 100 << 20,       /* bytes of a batch, whatever max_message_bytes says */
	PLOG_SLICES_MAX = 4,              /* file slices of one read */
	PLOG_EPOCHS_MAX = 256,            /* remembered leader epochs; the oldest go first */
	PLOG_PRODUCER_BATCHES = 5         /* remembered batches per producer (Kafka's max.in.flight) */
};

struct plog_store_config {
	const char *dir;                  /* made when missing, with mode 0700 */
	int64_t checkpoint_ms;            /* how often recovery points are written; 0: 10 s */
	int64_t checkpoint_bytes;         /* ... and after so many bytes of one partition; 0: 256 MiB */
	int64_t producer_expiry_ms;       /* producer.id.expiration.ms; 0: one day */
	uint32_t producers_max;           /* producers remembered per partition; 0: 100,000 */
	uint32_t open_files_max;          /* segment files kept open, about; 0: 4096 */
	uint32_t idle_close_ms;           /* files unused for so long are closed; 0: one minute */
	uint32_t prealloc_max;            /* disk space is reserved in steps of at most so much; 0: 32 MiB */
	uint32_t spare_files;             /* prepared segment files kept; 0: 4 */
	uint32_t index_interval;          /* bytes of log per index entry; 0: 4096 */
	size_t compact_memory;            /* bytes of the key table of compaction, 24 per key; 0: 16 MiB */
	size_t inflate_max;               /* bytes a batch may have when decompressed; 0: 64 MiB */
};

/* Settings of a topic, in the units of Kafka's. -1 means "without limit" where Kafka allows it. */
struct plog_config {
	int64_t segment_bytes, segment_ms;         /* segment.bytes (at most 2^31-1), segment.ms */
	int64_t retention_bytes, retention_ms;
	int64_t max_message_bytes;
	int64_t flush_messages, flush_ms;          /* 0 and 1 messages: flush with every append; -1: never by itself */
	int64_t delete_retention_ms, min_compaction_lag_ms;
	int64_t timestamp_before_max_ms, timestamp_after_max_ms;
	int min_dirty_percent;                     /* min.cleanable.dirty.ratio in percent */
	bool cleanup_delete, cleanup_compact;      /* cleanup.policy */
	bool append_time;                          /* message.timestamp.type=LogAppendTime */
	bool hw_durable;                           /* readers see what is durable only; consumers wait for the flush */
};

/* Kafka's defaults, retention of 72 hours. */
void plog_config_default(struct plog_config *ret_cfg);

struct plog_store;
struct plog;

/* ---- Store ---- */

/* Opens or makes the directory and all partitions in it. After an orderly stop no segment is touched; otherwise every
 * partition is recovered from its last recovery point. Partitions have the default configuration until
 * plog_configure(). ERR_APPIA_0500 with the reason, ERR_APPIA_0503 when another process has the directory,
 * ERR_APPIA_0507 when the disk is full. A partition that cannot be opened does not stop the others: it is counted in
 * plog_store_stats() and answers PLOG_STORAGE. */
int plog_store_open(const struct plog_store_config *cfg, struct plog_store **ret, struct err *err);
/* Before plog_store_close(): waits for the flush under way, if there is one; from then on no waiter is called, and all
 * may be freed, their inboxes too. Nobody may append or wait any more. */
void plog_store_quiet(struct plog_store *store);
/* Orderly stop: everything durable, indexes and producer snapshots written, state marked clean. Nobody may use the
 * store or its partitions meanwhile; references to partitions and slices must have been given back. NULL is legal. */
void plog_store_close(struct plog_store **store);
/* For tests and emergencies: gives everything up without writing, as kill -9 would. */
void plog_store_abandon(struct plog_store **store);

/* A new empty partition. topic_id are 16 bytes. The folder exists when it returns and survives kill -9; call
 * plog_store_commit() once behind a group of creations or deletions to have them survive a loss of power. PLOG_EXISTS,
 * PLOG_INVALID_TOPIC, PLOG_STORAGE. The caller gets a reference. Any thread. */
int plog_store_create(struct plog_store *store, struct str topic, int32_t partition, const uint8_t *topic_id,
		      const struct plog_config *cfg, struct plog **ret_p);
int plog_store_commit(struct plog_store *store);
/* NULL when absent; else a reference. Any thread. */
struct plog *plog_store_find(struct plog_store *store, struct str topic, int32_t partition);
/* Walks all partitions in no order: start with *at == 0; NULL at the end; each with a reference. Partitions made or
 * deleted meanwhile may be missed. Any thread. */
struct plog *plog_store_next(struct plog_store *store, size_t *at);
/* Removes the partition: it answers PLOG_GONE from now on, waiters are called with PLOG_GONE, its files go. Slices in
 * use stay readable. The topic name is free at once. Any thread. */
int plog_store_delete(struct plog_store *store, struct plog *p);

/* The housekeeping of the store: checkpoints, retention, compaction, closing of idle files. Does what is due for about
 * budget_ms, then returns; true when more is due right now. Call it every 100 ms or so. One thread at a time, any. */
bool plog_store_step(struct plog_store *store, int64_t now_ms, int budget_ms);

struct plog_store_stats {
	uint64_t partitions, broken;      /* broken: could not be opened or synced */
	uint64_t open_files;
	uint64_t appended_bytes, append_errors;
	uint64_t sync_rounds, sync_files, sync_waiters, sync_errors;
	uint64_t recovered, truncated_bytes; /* at opening: partitions scanned, bytes cut off */
	uint64_t compacted_segments, deleted_segments;
};
void plog_store_stats(struct plog_store *store, struct plog_store_stats *ret_stats);

/* ---- Partition ---- */

struct plog *plog_ref(struct plog *p);
/* NULL is legal. */
void plog_unref(struct plog *p);

/* Names live as long as the reference. */
struct str plog_topic(const struct plog *p);
int32_t plog_partition(const struct plog *p);
const uint8_t *plog_topic_id(const struct plog *p); /* 16 bytes */

/* Takes effect at once; limits are checked (segment_bytes is kept between 1 KiB and 2^31-1). Any thread. */
void plog_configure(struct plog *p, const struct plog_config *cfg);

struct plog_info {
	int64_t start, end;               /* log start offset, log end offset (of the next record) */
	int64_t high_watermark;           /* end, or durable with hw_durable */
	int64_t durable;                  /* everything below survives a loss of power */
	int64_t last_stable;              /* below: no open transaction; at most high_watermark */
	int64_t bytes;                    /* of all segments, for quotas and DescribeLogDirs */
	int32_t leader_epoch;
	uint32_t segments;
	int code;                         /* 0, or why the partition does not work */
};
void plog_info(struct plog *p, struct plog_info *ret_info); /* any thread, cheap */

/* The loop of one thread that waits for durability: waiters come back through it. */
struct plog_inbox;

/* Embedded by the caller; must stay until it is called. With an inbox, the waiter is handed over by plog_inbox_take()
 * on the caller's own thread; without, fn runs on the sync thread and must be quick. fn runs once: code 0 when all
 * offsets below "offset" are durable, PLOG_STORAGE when the flush failed, PLOG_GONE when the partition was deleted. */
struct plog_waiter {
	struct plog_waiter *next;
	struct plog_inbox *inbox;
	void (*fn)(struct plog_waiter *w, int code);
	int64_t offset;
	int code;
};

/* Waits until offsets below "offset" (the end that plog_append() returned) are durable; asks for a flush round. Called
 * back at once, within the call, when they are already. Any thread. */
void plog_wait_durable(struct plog *p, int64_t offset, struct plog_waiter *w);

struct plog_inbox *plog_inbox_new(void);
void plog_inbox_free(struct plog_inbox *inbox); /* no waiter may be under way; NULL is legal */
int plog_inbox_fd(const struct plog_inbox *inbox); /* an eventfd, readable when there is something */
/* Calls fn of every waiter that is done. The inbox's own thread. */
void plog_inbox_take(struct plog_inbox *inbox);

/* ---- Append ---- */

struct plog_append {
	struct plog_waiter done;          /* first; inbox and fn are for plog_submit() */
	/* in */
	uint8_t *batches;                 /* one or more whole batches; patched in place */
	size_t n;
	int32_t leader_epoch;             /* -1: the partition's own */
	int64_t now_ms;                   /* for append time and timestamp limits */
	bool crc_checked;                 /* the caller has verified checksums */
	/* out, when 0 was returned */
	int64_t base_offset, end_offset;  /* of the first record; behind the last: what to wait for */
	int64_t append_time;              /* -1 with create time */
	int64_t start;                    /* log start offset */
	bool duplicate;                   /* sent before: nothing was written, base_offset is the first one's */
	/* out, with PLOG_INVALID_RECORD */
	bool keyless;                     /* a compacted topic, and a record of the last batch looked at is to blame */
};

/* Appends all of the batches or none. Checks framing, checksum, size, timestamps, producer epoch and sequence
 * (KIP-98), keys on compacted topics; refuses control batches. On PLOG_STORAGE nothing was written that a reader or a
 * recovery could see. Allocates nothing except what grows with the log (index, producers). No disk flush: acks=1
 * answers at once, acks=all after plog_wait_durable(p, end_offset). */
int plog_append(struct plog *p, struct plog_append *a);

/* As plog_append(), without ever waiting for another thread that writes to the partition: then the append is left to
 * that thread, PLOG_PENDING is returned, and later a->done.fn is called through a->done.inbox with what plog_append()
 * would have returned. Until then *a and the batches must stay. Appends of one thread keep their order. */
enum { PLOG_PENDING = 1000 };
int plog_submit(struct plog *p, struct plog_append *a);

/* Ends the transaction of a producer here: appends the control batch. PLOG_INVALID_EPOCH for an older epoch,
 * PLOG_COORDINATOR_FENCED for an older coordinator. */
struct plog_marker {
	int64_t producer_id;
	int16_t producer_epoch;
	int32_t coordinator_epoch;
	bool newer;                       /* an open transaction wants a newer epoch than its own (KIP-1228) */
	bool commit;
	int64_t now_ms;
};
int plog_append_marker(struct plog *p, const struct plog_marker *m, int64_t *ret_offset, int64_t *ret_end);

struct plog_producer {
	int64_t id;
	int32_t epoch, coordinator_epoch, last_sequence; /* last_sequence -1: none known */
	int64_t last_timestamp;
	int64_t txn_first;                /* first offset of the open transaction, or -1 */
};
/* Copies up to max producers in no order; the number there are. For DescribeProducers. Any thread. */
size_t plog_producers(struct plog *p, struct plog_producer *ret, size_t max);

/* ---- Read ---- */

enum plog_isolation { PLOG_READ_UNCOMMITTED, PLOG_READ_COMMITTED };

struct plog_segment;

struct plog_slice {
	struct plog_segment *seg;         /* keeps fd open and the file there */
	int fd;
	uint32_t len;
	int64_t pos;
	const char *memory;               /* of users who put other bytes in the place of a slice; never set here */
};

struct plog_aborted {
	int64_t producer_id, first_offset;
};

struct plog_read {
	/* in */
	int64_t offset;
	uint32_t max_bytes;
	bool at_least_one;                /* the first batch whole, even above max_bytes (KIP-74) */
	enum plog_isolation isolation;
	struct plog_aborted *aborted;     /* with PLOG_READ_COMMITTED: room for aborted_max transactions */
	uint32_t aborted_max;
	/* out */
	struct plog_slice slices[PLOG_SLICES_MAX];
	uint32_t n_slices;
	uint64_t bytes;
	uint32_t n_aborted;               /* above aborted_max: no slices; call again with that much room */
	int64_t high_watermark, last_stable, start;
};

/* Finds what is to be sent from offset on: whole batches, the first holding offset, at most max_bytes. Nothing at the
 * high watermark (or last stable offset). The slices must be given back with plog_read_done(); until then they may be
 * read with sendfile() or pread() whatever happens to the partition, except plog_truncate(). PLOG_OFFSET_OUT_OF_RANGE
 * (the watermarks are filled then, too). Any thread. */
int plog_read(struct plog *p, struct plog_read *r);
void plog_read_done(struct plog_read *r);

enum { PLOG_TIME_LATEST = -1, PLOG_TIME_EARLIEST = -2, PLOG_TIME_MAX = -3 };

/* ListOffsets: the first record at or after the time, or one of the above; -1 and -1 when there is none. LATEST is the
 * high watermark or last stable offset. Any thread. */
int plog_offset_by_time(struct plog *p, int64_t time, enum plog_isolation isolation, int64_t *ret_offset,
			int64_t *ret_time, int32_t *ret_epoch);

/* OffsetForLeaderEpoch (KIP-320): the largest epoch at or below the asked one, and where it ends. -1 and -1 when it is
 * older than all known. Any thread. */
void plog_epoch_end(struct plog *p, int32_t epoch, int32_t *ret_epoch, int64_t *ret_end);

/* ---- Delete ---- */

/* DeleteRecords: moves the log start offset up (offset -1: to the high watermark). */
int plog_delete_before(struct plog *p, int64_t offset, int64_t *ret_start);

/* Cuts everything at and above offset off (to the start of the batch that holds it); at the log start: empties the log.
 * Readers with open slices may come to read less. Not for use under live consumers. */
int plog_truncate(struct plog *p, int64_t offset);

/* Ends the active segment now, so that retention and compaction may take it. Nothing when it is empty. */
int plog_roll(struct plog *p);

#endif
