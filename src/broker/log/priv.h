/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_LOG_PRIV_H
#define BROKER_LOG_PRIV_H

#include "base/cursor.h"
#include "base/map.h"
#include "broker/log/batch.h"
#include "broker/log/log.h"

#include <pthread.h>

/* Locks, outer to inner: plog.writer, plog_store.lock, plog.lock, plog_segment.lock; plog_sync.lock and
 * plog_inbox.lock are leaves. writer is held over file writes, the others never are;
 * who must not wait for it leaves appends to the thread that has it (plog_submit()). */

/* A place in a log: an offset, and the file position of the batch that begins there. */
struct plog_at {
	int64_t offset, seg; /* seg: base offset of the segment */
	uint32_t pos;
};

/* ---- index.c: sorted arrays beside a segment ---- */

struct plog_offset_entry {
	uint32_t rel, pos;
};

struct plog_time_entry {
	int64_t ts; /* the largest timestamp so far */
	uint32_t rel, pos; /* of the batch that has it */
};

struct plog_txn_entry {
	int64_t producer_id, first, last, lso; /* an aborted transaction; lso: last stable offset behind its marker */
};

enum plog_index_kind { INDEX_OFFSET, INDEX_TIME, INDEX_TXN, INDEX_KINDS };

/* On the heap while it grows, mapped from its file once that is written. */
struct plog_index {
	const uint8_t *v;
	uint8_t *heap;
	void *map;
	size_t map_len;
	uint32_t n, cap;
};

extern const uint32_t plog__entry_size[INDEX_KINDS];
extern const char *const plog__index_suffix[INDEX_KINDS];
void plog__index_add(struct plog_index *idx, enum plog_index_kind kind, const void *entry);
void plog__index_done(struct plog_index *idx);
/* Writes the file; -1 when that failed (the old file is whole or gone). An empty index has no file. */
int plog__index_save(int dirfd, const char *path, const struct plog_index *idx, enum plog_index_kind kind,
		     int64_t base);
/* Maps the file. -1 when it is missing or damaged. */
int plog__index_load(int dirfd, const char *path, enum plog_index_kind kind, int64_t base, struct plog_index *ret_idx);
/* Number of the last entry whose key (rel or ts) is <= key, or -1. */
int64_t plog__offset_find(const struct plog_index *idx, uint32_t rel);
int64_t plog__time_find(const struct plog_index *idx, int64_t ts);

/* ---- segment.c ---- */

struct plog_segment {
	atomic_uint refs;
	struct plog_store *store;
	int64_t base;
	uint32_t size;     /* published bytes; changes under plog.lock */
	uint32_t reserved; /* disk space asked for; writer */
	int64_t max_ts, max_ts_offset; /* -1: none; offset: of the batch. Writer changes, under plog.lock */
	int64_t created_ms; /* of the first append */
	int64_t appended_ms; /* the last append of this process; under plog.lock */
	int64_t clean_ms;  /* compaction: since when it holds no superseded keys; 0: it may */
	atomic_int fd;     /* -1: closed */
	atomic_llong used_ms;
	bool torn;         /* bytes behind size could not be cut off; writer */
	bool sealed;
	pthread_mutex_t lock; /* index[]; to change the three below, which are looked at without it */
	struct plog_index index[INDEX_KINDS];
	atomic_uint txn_n; /* entries of the txn index, known also when it is not loaded */
	atomic_bool loaded; /* index[] is complete in memory or mapped */
	atomic_bool saved; /* its files are written */
	uint32_t indexed_pos; /* position of the last offset entry; writer */
};

struct plog_segment *plog__seg_new(struct plog_store *store, int64_t base);
struct plog_segment *plog__seg_ref(struct plog_segment *seg);
void plog__seg_unref(struct plog_segment *seg);
/* The open file, or -1. Any thread that holds a reference. */
int plog__seg_fd(struct plog *p, struct plog_segment *seg);
void plog__seg_close(struct plog_segment *seg); /* nobody else may hold a reference */
/* Makes the file of a new segment, from a spare one when there is one. -1: errno. */
int plog__seg_create(struct plog *p, struct plog_segment *seg);
/* Notes a batch at pos in the indexes; writer or sole owner. */
void plog__seg_note(struct plog_segment *seg, const struct log_batch *b, uint32_t pos);
void plog__seg_note_abort(struct plog_segment *seg, const struct plog_txn_entry *e);
int plog__seg_save(struct plog *p, struct plog_segment *seg);
/* Indexes in memory, read or rebuilt; -1 when the log cannot be read. Any thread. */
int plog__seg_load(struct plog *p, struct plog_segment *seg);
/* Before its names go, or other files get them: opens and loads, as who has a reference may only now begin to read. -1
 * with errno when there is no file. */
int plog__seg_pin(struct plog *p, struct plog_segment *seg);
void plog__seg_unlink(struct plog *p, struct plog_segment *seg);

/* Path of a segment's file, relative to the store's directory. */
enum { PLOG_PATH = PLOG_TOPIC_MAX + 64 };
void plog__path(char *buf, const struct plog *p, int64_t offset, const char *suffix);

/* Walks batches of a file from "from" up to "to": framing, offsets not below min_offset, positions; with crc also
 * checksums. data holds all of a batch up to SCAN_WHOLE bytes, its head otherwise. fn returns 0 to go on. Ends at the
 * first thing that is no good batch: *ret_valid is where. -1: the file could not be read. */
enum { SCAN_WHOLE = 4096 };
typedef int plog_scan_f(void *arg, const struct log_batch *b, const uint8_t *data, uint32_t pos);
int plog__scan(int fd, uint32_t from, uint32_t to, int64_t min_offset, bool crc, plog_scan_f *fn, void *arg,
	       uint32_t *ret_valid);

/* ---- producer.c ---- */

struct producer_batch {
	int64_t last_offset, ts;
	int32_t first_seq, last_seq;
};

struct producer {
	int64_t id, last_ts;
	int64_t seen_ms;   /* when it last wrote, by our clock */
	int64_t txn_first; /* -1: no transaction */
	int32_t coordinator_epoch;
	int16_t epoch;
	uint8_t n_batches;
	struct producer_batch batches[PLOG_PRODUCER_BATCHES]; /* oldest first */
};

struct plog_txn {
	int64_t producer_id;
	struct plog_at at; /* first batch */
};

struct producers {
	struct producer *v;
	uint32_t n, cap, max;
	uint32_t *slots, n_slots; /* hash table: number in v + 1, 0 empty; n_slots is a power of two */
	struct plog_txn *txns;    /* open transactions by first offset */
	uint32_t n_txns, cap_txns;
};

void plog__producers_done(struct producers *ps);
struct producer *plog__producer_find(const struct producers *ps, int64_t id);
/* What plog_append() answers for a batch with a producer id; *ret_dup is set when it was seen before. */
int plog__producer_check(const struct producers *ps, const struct log_batch *b, const struct producer_batch **ret_dup);
int plog__producer_check_marker(const struct producers *ps, const struct plog_marker *m);
/* A batch was written: notes sequence and transaction. at is where it begins. */
void plog__producer_apply(struct producers *ps, const struct log_batch *b, const struct plog_at *at, int64_t now_ms);
/* A marker was written; true and the entry when it aborted a transaction of this log. */
bool plog__producer_apply_marker(struct producers *ps, const struct log_batch *b, int type, int32_t coordinator_epoch,
				 int64_t now_ms, struct plog_txn_entry *ret_abort);
void plog__producers_expire(struct producers *ps, int64_t before_ms);
void plog__producers_encode(const struct producers *ps, int64_t offset, struct buf *out);
bool plog__producers_decode(struct producers *ps, struct str file, int64_t *ret_offset);

/* ---- plog.c, append.c: a partition ---- */

struct plog_epoch {
	int32_t epoch;
	int64_t start;
};

enum { RECENT = 16 };

struct plog {
	atomic_uint refs;
	struct plog_store *store;
	char name[PLOG_TOPIC_MAX + 16]; /* the folder */
	size_t topic_n;
	int32_t partition;
	uint8_t topic_id[16];

	pthread_mutex_t writer;
	struct producers producers;     /* writer */
	bool producers_loaded;          /* writer */
	int64_t unflushed;              /* records since the last flush was asked for; writer */
	struct buf marker;              /* writer */

	pthread_mutex_t lock;
	struct plog_waiter *left, **left_end; /* appends left to the thread that holds writer: plog_append.done */
	struct plog_config cfg;         /* lock to change, writer or lock to read */
	struct plog_segment **segs;     /* never empty when open; the last is active */
	uint32_t n_segs, cap_segs;
	int64_t start;
	struct plog_at end, durable, stable; /* stable: first open transaction; offset -1: none */
	struct plog_at recent[RECENT];  /* starts of the newest batches, a ring */
	uint32_t recent_n;
	int64_t bytes;
	struct plog_epoch *epochs;      /* room for one more when opened; only opening adds one */
	uint32_t n_epochs;
	int code;                       /* PLOG_OK or why it does not work; PLOG_GONE: deleted */
	uint64_t generation;            /* grows when segments are cut or taken away under others' feet */
	struct plog_waiter *waiters;
	bool stuck;                     /* only recovery helps: a compacted file did not get its name */
	bool dir_dirty;                 /* a file was made since the folder was synced */

	/* sync.c, under its lock */
	struct plog *sync_next;
	bool sync_queued;
	struct plog *timed_next;
	bool timed;
	int64_t sync_due;

	/* housekeeping, its thread */
	struct plog_at checkpoint;      /* written as recovery point; under lock */
	uint32_t checkpoint_producers;  /* under lock */
	uint32_t checkpoint_txns;       /* entries of the txn index of its segment up to there; under lock */
	uint32_t prepared_txns;         /* the same, of the recovery point that is being made */
	int64_t snapshots[2];           /* offsets of the snapshot files there are; -1 */
	int64_t clean_end;              /* compaction has been up to here; under lock */
	int64_t compact_skip;           /* no use to compact while the end of the sealed part is this */
	int64_t expired_ms;
};

int plog__open_error(struct plog *p); /* code under lock */
struct plog *plog__new(struct plog_store *store, struct str name, const uint8_t *topic_id);
bool plog__name_split(struct str name, size_t *ret_topic_n, int32_t *ret_partition);
void plog__segs_add(struct plog *p, struct plog_segment *seg); /* lock */
void plog__segs_remove(struct plog *p, uint32_t at, uint32_t n); /* lock; does not unref */
struct plog_segment *plog__active(struct plog *p); /* writer or lock */
/* Number of the segment that holds offset; lock. */
uint32_t plog__segs_find(const struct plog *p, int64_t offset);
int64_t plog__seg_end(const struct plog *p, uint32_t i); /* lock */
int64_t plog__hw(const struct plog *p);  /* lock */
int64_t plog__lso(const struct plog *p); /* lock */
int plog__roll(struct plog *p, int64_t now_ms); /* writer */
int plog__meta_save(struct plog *p, bool sync); /* writer, or sole owner */
int plog__meta_load(struct plog_store *store, struct str name, uint8_t *topic_id, int64_t *ret_start,
		    struct plog_epoch **ret_epochs, uint32_t *ret_n);
int plog__producers_ready(struct plog *p); /* writer: loads the snapshot after an orderly start */
void plog__stable_update(struct plog *p); /* writer and lock */
/* Deletes the n oldest segments; writer. */
void plog__drop_front(struct plog *p, uint32_t n);

/* Position of the batch that holds offset (or is the first behind it) in seg, of which "size" bytes are published. */
int plog__locate(struct plog *p, struct plog_segment *seg, uint32_t size, int64_t offset, struct plog_at *ret_at,
		 struct log_batch *ret_b);

/* ---- recover.c ---- */

/* What the state file knows of a partition. */
struct plog_seg_state {
	int64_t base, max_ts, max_ts_offset, created_ms, clean_ms;
	uint32_t size, txn_n;
};

struct plog_state {
	struct str name;
	const uint8_t *topic_id;
	int64_t start, end, clean_end;
	struct plog_at checkpoint, stable;
	uint32_t producers;
	int64_t snapshots[2];
	struct plog_epoch *epochs;
	uint32_t n_epochs;
	struct plog_seg_state *segs;
	uint32_t n_segs;
};

/* Builds the partition from state alone. */
int plog__adopt(struct plog *p, const struct plog_state *s);
/* Builds it from its folder; s may be NULL. */
int plog__recover(struct plog *p, const struct plog_state *s);
/* Scans segment number i from pos and those behind it, into producers (from an offset on). With cut also into indexes,
 * checks checksums and cuts the log at the first bad batch. */
int plog__replay(struct plog *p, uint32_t i, uint32_t pos, int64_t producers_from, bool cut);
/* Newest usable producer snapshot at or below offset; producers are empty and *ret_offset -1 when there is none. */
void plog__snapshot_load(struct plog *p, int64_t max_offset, int64_t *ret_offset);
/* The next segment behind base, with a reference. */
struct plog_segment *plog__seg_after(struct plog *p, int64_t base);
int plog__index_rebuild(struct plog *p, struct plog_segment *seg, struct plog_index *ret_index);

/* ---- append.c ---- */

/* Every unlock of writer: first does the appends that others left to the thread that held it. */
void plog__writer_unlock(struct plog *p);

/* ---- state.c ---- */

int plog__state_save(struct plog_store *store, bool clean);
/* Reads the file into arena; *ret_clean: written by an orderly stop. -1 when there is none or it is damaged. */
struct arena;
int plog__state_load(struct plog_store *store, struct arena *a, struct plog_state **ret_v, uint32_t *ret_n,
		     bool *ret_clean);
/* Writes indexes and a producer snapshot; *ret_at is the recovery point they allow, once everything is flushed. False
 * when there is nothing new or it failed. */
bool plog__checkpoint_prepare(struct plog *p, struct plog_at *ret_at, uint32_t *ret_producers, uint64_t *ret_gen);
void plog__checkpoint_set(struct plog *p, const struct plog_at *at, uint32_t producers, uint64_t gen);

/* ---- sync.c ---- */

struct plog_sync {
	pthread_t thread;
	bool running, stop;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct plog *queue, *timed;
	int64_t next_due;
};

int plog__sync_start(struct plog_store *store);
void plog__sync_stop(struct plog_store *store);
void plog__sync_kick(struct plog *p);
void plog__sync_timed(struct plog *p, int64_t due_mono_ms);
/* Flushes on the caller's thread. */
int plog__sync_now(struct plog *p);
void plog__waiters_fail(struct plog *p, int code);
/* Calls fn with code, by way of the inbox when there is one. */
void plog__deliver(struct plog_waiter *w, int code);
void plog__heal(struct plog *p);
/* fdatasync(), replaceable by tests. */
extern int (*plog__fdatasync)(int fd);

/* ---- retain.c, compact.c ---- */

bool plog__retain(struct plog *p, int64_t now_ms); /* true when something was deleted */
struct compaction;
/* One bit of compaction work on the store; true while there is more. */
bool plog__compact_step(struct plog_store *store, int64_t now_ms, int64_t until_mono_ms);
void plog__compact_stop(struct plog_store *store);

/* ---- store.c, file.c ---- */

struct plog_store {
	struct plog_store_config cfg;
	char *dir;
	int dirfd, lockfd;
	pthread_mutex_t lock;    /* partitions, v, n */
	struct map *by_name;
	struct plog **v;         /* each with a reference; NULL: free slot */
	uint32_t n, cap, free_at; /* free_at: no free slot before it */
	struct plog_sync sync;
	atomic_int open_files;
	atomic_int spares;
	atomic_bool no_fallocate;
	atomic_uint spare_seq;
	atomic_ullong appended_bytes, append_errors, sync_rounds, sync_files, sync_waiters, sync_errors;
	atomic_ullong recovered, truncated_bytes, compacted_segments, deleted_segments, trash;
	uint64_t state_seq;
	/* housekeeping */
	int64_t checkpoint_due;
	uint32_t step_at;
	int step_phase;
	bool state_dirty;
	struct compaction *compaction;
	uint32_t compact_at;
};

uint32_t plog__store_count(struct plog_store *store); /* partitions, about */
/* All of it or -1 (errno); a short write counts as no space. */
int plog__write(int fd, const void *p, size_t n, int64_t pos);
int plog__read_at(int fd, void *p, size_t n, int64_t pos); /* 0, or -1 also at the end of the file */
/* Writes path anew: temporary file, then rename. sync: durable before the rename. */
int plog__replace(int dirfd, const char *path, struct str content, bool sync);
/* The whole file into out; -1 also when it is larger than out may be. */
int plog__slurp(int dirfd, const char *path, struct buf *out);
int plog__dir_sync(int dirfd, const char *path);

#endif
