/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "broker/log/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Compaction of one partition at a time, a batch per step. First the keys of the not yet compacted ("dirty") part go
 * into a table with their last offset; then all sealed segments up to there are written anew without the records that
 * the table has a later offset for, without records of aborted transactions, and without tombstones and markers that
 * have served delete.retention.ms. Small results are joined. A new file replaces old ones by renames that recovery can
 * finish (recover.c). */

struct slot {
	uint64_t hash, check;
	int64_t offset; /* -1: free */
};

enum phase { MAP, REWRITE, DONE };

struct compaction {
	struct plog *p;
	enum phase phase;
	int64_t now_ms;
	uint64_t generation;
	struct plog_segment **segs; /* sealed, oldest first, with references */
	int64_t *ends;
	uint32_t n, at, pos;
	int64_t first_dirty, map_end;
	int64_t skip; /* end of what could be compacted when it began */
	struct slot *slots;
	size_t n_slots, used;
	struct plog_txn_entry *aborted; /* by producer, then first offset */
	size_t n_aborted;
	struct producers live; /* transactions of which records stay */
	struct plog_config cfg;
	uint8_t *data; /* a batch */
	size_t data_n, data_cap;
	struct buf scratch, out;
	struct kafka_builder builder;
	/* the file being written */
	struct plog_segment *into;
	uint32_t group_from, group_n;
	bool changed;
};

enum { OUT_MAX = 1 << 20, ABORTED_MAX = 1 << 20 };

static void cleaned_path(char *buf, const struct compaction *c)
{
	plog__path(buf, c->p, c->into->base, ".cleaned");
}

static void give_up_file(struct compaction *c)
{
	char path[PLOG_PATH];

	if (!c->into)
		return;
	cleaned_path(path, c);
	unlinkat(c->p->store->dirfd, path, 0);
	plog__seg_unref(c->into);
	c->into = NULL;
}

static void compaction_free(struct compaction *c)
{
	give_up_file(c);
	for (uint32_t i = 0; i < c->n; i++)
		plog__seg_unref(c->segs[i]);
	free(c->segs);
	free(c->ends);
	free(c->slots);
	free(c->aborted);
	plog__producers_done(&c->live);
	free(c->data);
	buf_done(&c->scratch);
	buf_done(&c->out);
	kafka_builder_done(&c->builder);
	plog_unref(c->p);
	free(c);
}

void plog__compact_stop(struct plog_store *store)
{
	if (store->compaction)
		compaction_free(store->compaction);
	store->compaction = NULL;
}

/* ---- keys ---- */

static struct slot *slot_of(struct compaction *c, struct str key)
{
	/* A keyed hash, which nobody can choose collisions for, and a second opinion. */
	uint64_t hash = map_hash(key), check = (uint64_t)kafka_crc32c(key.p, key.n) << 32 | (uint32_t)key.n;
	size_t i = hash & (c->n_slots - 1);

	while (c->slots[i].offset >= 0 && (c->slots[i].hash != hash || c->slots[i].check != check))
		i = (i + 1) & (c->n_slots - 1);
	if (c->slots[i].offset < 0) {
		c->slots[i].hash = hash;
		c->slots[i].check = check;
	}
	return &c->slots[i];
}

static int txn_order(const void *a, const void *b)
{
	const struct plog_txn_entry *x = a, *y = b;

	if (x->producer_id != y->producer_id)
		return x->producer_id < y->producer_id ? -1 : 1;
	return (x->first > y->first) - (x->first < y->first);
}

static bool is_aborted(const struct compaction *c, const struct log_batch *b)
{
	size_t lo = 0, hi = c->n_aborted;

	if (!(b->attrs & KAFKA_ATTR_TRANSACTIONAL))
		return false;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct plog_txn_entry *e = &c->aborted[mid];

		if (e->producer_id < b->producer_id || (e->producer_id == b->producer_id && e->first <= b->base))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo && c->aborted[lo - 1].producer_id == b->producer_id && c->aborted[lo - 1].last >= b->base;
}

/* ---- choosing ---- */

/* How far the log may be compacted, as a number of segments; lock is held. */
static uint32_t cleanable(const struct plog *p, int64_t now_ms)
{
	int64_t limit = plog__lso(p) < p->durable.offset ? plog__lso(p) : p->durable.offset;
	uint32_t n = 0;

	while (n + 1 < p->n_segs && p->segs[n + 1]->base <= limit &&
	       (p->cfg.min_compaction_lag_ms <= 0 || p->segs[n]->max_ts <= now_ms - p->cfg.min_compaction_lag_ms))
		n++;
	return n;
}

/* Takes the segments of a partition that is worth it. */
static bool choose(struct compaction *c, struct plog *p)
{
	int64_t dirty = 0, total = 0;

	pthread_mutex_lock(&p->lock);
	uint32_t n = !p->code && p->cfg.cleanup_compact ? cleanable(p, c->now_ms) : 0;

	for (uint32_t i = 0; i < n; i++) {
		total += p->segs[i]->size;
		dirty += p->segs[i + 1]->base > p->clean_end ? p->segs[i]->size : 0;
	}
	bool due = n && dirty && p->segs[n]->base != p->compact_skip && dirty * 100 >= total * p->cfg.min_dirty_percent;

	if (due) {
		c->segs = mem_alloc(n * sizeof(*c->segs));
		c->ends = mem_alloc(n * sizeof(*c->ends));
		for (; c->n < n; c->n++) {
			c->segs[c->n] = plog__seg_ref(p->segs[c->n]);
			c->ends[c->n] = p->segs[c->n + 1]->base;
		}
		c->generation = p->generation;
		c->cfg = p->cfg;
		c->first_dirty = p->clean_end > p->segs[0]->base ? p->clean_end : p->segs[0]->base;
		c->skip = p->segs[n]->base;
	}
	pthread_mutex_unlock(&p->lock);
	return due;
}

/* Aborted transactions, of all segments: a marker may stand behind what is compacted. */
static int collect_aborted(struct compaction *c)
{
	struct plog_segment *seg;
	size_t cap = 0;
	int rc = 0;

	for (int64_t at = -1; !rc && (seg = plog__seg_after(c->p, at)); plog__seg_unref(seg)) {
		at = seg->base;
		if (!seg->txn_n)
			continue;
		rc = plog__seg_load(c->p, seg);
		pthread_mutex_lock(&seg->lock);
		uint32_t n = rc ? 0 : seg->index[INDEX_TXN].n;

		if (c->n_aborted + n > ABORTED_MAX)
			rc = -1;
		if (!rc && c->n_aborted + n > cap) {
			cap = (c->n_aborted + n) * 2;
			c->aborted = mem_realloc(c->aborted, cap * sizeof(*c->aborted));
		}
		if (!rc && n)
			memcpy(c->aborted + c->n_aborted, seg->index[INDEX_TXN].v, n * sizeof(*c->aborted));
		pthread_mutex_unlock(&seg->lock);
		c->n_aborted += rc ? 0 : n;
	}
	if (c->n_aborted)
		qsort(c->aborted, c->n_aborted, sizeof(*c->aborted), txn_order);
	return rc;
}

static struct compaction *begin(struct plog *p, int64_t now_ms)
{
	struct plog_store *store = p->store;
	struct compaction *c = mem_zalloc(sizeof(*c));

	c->p = plog_ref(p);
	c->now_ms = now_ms;
	buf_init(&c->scratch, store->cfg.inflate_max);
	buf_init(&c->out, PLOG_BATCH_MAX + OUT_MAX);
	kafka_builder_init(&c->builder, store->cfg.inflate_max);
	c->live.max = store->cfg.producers_max;
	if (!choose(c, p) || collect_aborted(c)) {
		compaction_free(c);
		return NULL;
	}
	for (c->n_slots = 1024; c->n_slots * 2 * sizeof(*c->slots) <= store->cfg.compact_memory;)
		c->n_slots *= 2;
	c->slots = mem_alloc(c->n_slots * sizeof(*c->slots));
	for (size_t i = 0; i < c->n_slots; i++)
		c->slots[i].offset = -1;
	c->map_end = c->first_dirty;
	while (c->at < c->n && c->ends[c->at] <= c->first_dirty)
		c->at++;
	return c;
}

/* ---- reading ---- */

/* The batch at the present place into data: 1, 0 at the end of the segment, -1. */
static int next_batch(struct compaction *c, struct log_batch *ret_b)
{
	struct plog_segment *seg = c->segs[c->at];
	uint8_t head[KAFKA_BATCH_SIZE];
	int fd = plog__seg_fd(c->p, seg);

	/* Retention may have taken the segment meanwhile: there is nothing to be read, and nothing to be exchanged. */
	if (c->pos >= seg->size || (fd < 0 && errno == ENOENT))
		return 0;
	if (fd < 0 || plog__read_at(fd, head, sizeof(head), c->pos) || !batch_parse(head, ret_b) ||
	    ret_b->size > seg->size - c->pos || ret_b->size > PLOG_BATCH_MAX)
		return -1;
	if (c->data_cap < ret_b->size) {
		free(c->data);
		c->data = mem_alloc(ret_b->size);
		c->data_cap = ret_b->size;
	}
	if (plog__read_at(fd, c->data, ret_b->size, c->pos))
		return -1;
	c->data_n = ret_b->size;
	c->pos += ret_b->size;
	return 1;
}

static bool open_records(struct compaction *c, const struct log_batch *b, struct kafka_batch *batch,
			 struct kafka_records *it)
{
	return batch_whole(c->data, b->size, batch) && !kafka_records_open(it, batch, &c->scratch);
}

/* ---- phase one ---- */

static void map_batch(struct compaction *c, const struct log_batch *b)
{
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;

	if (b->last < c->first_dirty || (b->attrs & KAFKA_ATTR_CONTROL) || is_aborted(c, b) ||
	    !open_records(c, b, &batch, &it))
		return;
	/* A key that finds no room is as if it came later: its older records just stay for another time. */
	while (kafka_records_next(&it, &r) == 1) {
		if (!r.key.p || (c->used >= c->n_slots / 4 * 3 && slot_of(c, r.key)->offset < 0))
			continue;
		struct slot *s = slot_of(c, r.key);

		c->used += s->offset < 0;
		s->offset = r.offset;
	}
}

static int step_map(struct compaction *c)
{
	struct log_batch b;

	if (c->at == c->n || c->used >= c->n_slots / 4 * 3) {
		/* Segments behind the last one that was looked at wait for another time. */
		while (c->n > c->at + 1)
			plog__seg_unref(c->segs[--c->n]);
		c->phase = REWRITE;
		c->at = c->pos = 0;
		return 0;
	}
	int there = next_batch(c, &b);

	if (there < 0)
		return -1;
	if (there) {
		map_batch(c, &b);
		c->map_end = b.last + 1;
	} else {
		c->map_end = c->ends[c->at];
		c->at++;
		c->pos = 0;
	}
	return 0;
}

/* ---- phase two ---- */

static int flush_out(struct compaction *c)
{
	int rc = plog__write(atomic_load(&c->into->fd), c->out.p, c->out.n, (int64_t)c->into->size - (int64_t)c->out.n);

	buf_reset(&c->out);
	return rc;
}

static int emit(struct compaction *c, struct str bytes)
{
	struct log_batch b;

	if (!batch_parse((const uint8_t *)bytes.p, &b))
		return -1;
	plog__seg_note(c->into, &b, c->into->size);
	buf_str(&c->out, bytes);
	c->into->size += (uint32_t)bytes.n;
	if (b.attrs & KAFKA_ATTR_TRANSACTIONAL && !(b.attrs & KAFKA_ATTR_CONTROL) && b.count)
		plog__producer_apply(&c->live, &b, &(struct plog_at){b.base, c->into->base, 0}, c->now_ms);
	return c->out.failed ? -1 : c->out.n >= OUT_MAX ? flush_out(c) : 0;
}

/* Tombstones and markers that all readers had time to see. */
static bool horizon_passed(const struct compaction *c, const struct plog_segment *seg)
{
	return seg->clean_ms && c->now_ms - seg->clean_ms >= c->cfg.delete_retention_ms;
}

static bool stays(struct compaction *c, const struct plog_segment *seg, const struct kafka_record *r)
{
	if (!r->key.p)
		return true;
	const struct slot *s = slot_of(c, r->key);

	return s->offset <= r->offset && (r->value.p || !horizon_passed(c, seg));
}

/* The last batch of a producer stays as an empty one: its sequence number is still asked for. */
static bool last_of_producer(struct compaction *c, const struct log_batch *b)
{
	if (b->producer_id < 0)
		return false;
	pthread_mutex_lock(&c->p->writer);
	const struct producer *pr =
		plog__producers_ready(c->p) ? NULL : plog__producer_find(&c->p->producers, b->producer_id);
	bool last = pr && pr->n_batches && pr->batches[pr->n_batches - 1].last_offset == b->last;

	plog__writer_unlock(c->p);
	return last;
}

static int rewrite_marker(struct compaction *c, const struct log_batch *b)
{
	struct plog_segment *seg = c->segs[c->at];
	struct plog_txn_entry aborted;
	const struct producer *pr = plog__producer_find(&c->live, b->producer_id);
	int32_t epoch;
	int type = batch_marker(c->data, b->size, &epoch);
	bool data_left = pr && pr->txn_first >= 0;

	if (type >= 0 && pr)
		plog__producer_apply_marker(&c->live, b, type, epoch, c->now_ms, &aborted);
	/* Without its marker a transaction would seem open for ever, so it stays as long as any record of it. */
	if (type >= 0 && !data_left && horizon_passed(c, seg) && !last_of_producer(c, b)) {
		c->changed = true;
		return 0;
	}
	for (size_t i = 0; type == KAFKA_CONTROL_ABORT && i < c->n_aborted; i++) {
		if (c->aborted[i].last == b->base)
			plog__seg_note_abort(c->into, &c->aborted[i]);
	}
	return emit(c, (struct str){(const char *)c->data, c->data_n});
}

/* Copies the records that stay (it NULL: none) into a batch with the same head. */
static int rebuild(struct compaction *c, struct kafka_batch *batch, struct kafka_records *it)
{
	struct plog_segment *seg = c->segs[c->at];
	struct kafka_record r;

	kafka_builder_reset(&c->builder);
	while (it && kafka_records_next(it, &r) == 1) {
		if (stays(c, seg, &r) && kafka_builder_copy(&c->builder, (int32_t)(r.offset - batch->base_offset), &r))
			return -1;
	}
	kafka_builder_like(&c->builder, batch);
	struct buf bytes;

	buf_init(&bytes, PLOG_BATCH_MAX);
	int rc = kafka_builder_finish(&c->builder, kafka_batch_codec(batch), KAFKA_LEVEL_DEFAULT, &bytes);

	if (!rc)
		rc = emit(c, buf_view(&bytes));
	buf_done(&bytes);
	return rc ? -1 : 0;
}

static int rewrite_batch(struct compaction *c, const struct log_batch *b)
{
	struct plog_segment *seg = c->segs[c->at];
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;
	int64_t kept = 0, seen = 0, before = b->base - 1;
	bool aborted = is_aborted(c, b);

	if (b->attrs & KAFKA_ATTR_CONTROL)
		return rewrite_marker(c, b);
	if (!aborted) {
		/* What cannot be read is no reason to lose it. */
		if (!open_records(c, b, &batch, &it))
			return emit(c, (struct str){(const char *)c->data, c->data_n});
		for (; kafka_records_next(&it, &r) == 1 && r.offset > before; before = r.offset, seen++)
			kept += stays(c, seg, &r);
		if (seen != b->count || (kept == seen && kept))
			return emit(c, (struct str){(const char *)c->data, c->data_n});
	}
	if (!kept) {
		bool last = last_of_producer(c, b);

		if (last && !b->count)
			return emit(c, (struct str){(const char *)c->data, c->data_n});
		c->changed = true;
		if (!last)
			return 0;
	}
	c->changed = true;
	if (kept ? !open_records(c, b, &batch, &it) : !batch_whole(c->data, b->size, &batch))
		return -1;
	return rebuild(c, &batch, kept ? &it : NULL);
}

static int open_file(struct compaction *c)
{
	struct plog_segment *seg = c->segs[c->at];
	char path[PLOG_PATH];

	c->into = plog__seg_new(c->p->store, seg->base);
	c->into->created_ms = seg->created_ms;
	c->into->clean_ms = seg->clean_ms;
	c->into->loaded = c->into->sealed = true;
	c->group_from = c->at;
	c->group_n = 0;
	c->changed = false;
	buf_reset(&c->out);
	cleaned_path(path, c);
	int fd = openat(c->p->store->dirfd, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	atomic_store(&c->into->fd, fd);
	atomic_fetch_add(&c->p->store->open_files, 1);
	return 0;
}

/* May segment i go into the file that is being written? */
static bool joins(const struct compaction *c, uint32_t i)
{
	const struct plog_segment *seg = c->segs[i];

	if ((int64_t)c->into->size + seg->size > c->cfg.segment_bytes || c->ends[i] - c->into->base > INT32_MAX)
		return false;
	/* The time since when a segment is clean must not begin anew by being joined, or tombstones stay for ever. */
	return (!c->into->clean_ms && !seg->clean_ms) ||
	       (c->into->clean_ms && seg->clean_ms && horizon_passed(c, c->segs[c->group_from]) &&
		horizon_passed(c, seg));
}

/* In p->segs the group gives place to the new segment; writer is held. False when it is not there any more. */
static bool exchange(struct compaction *c)
{
	struct plog *p = c->p;
	bool same;

	pthread_mutex_lock(&p->lock);
	uint32_t at = plog__segs_find(p, c->segs[c->group_from]->base);

	same = !p->code && p->generation == c->generation && at + c->group_n < p->n_segs;
	for (uint32_t i = 0; same && i < c->group_n; i++)
		same = p->segs[at + i] == c->segs[c->group_from + i];
	for (uint32_t i = 0; same && i < c->group_n; i++) {
		p->bytes -= p->segs[at + i]->size;
		plog__seg_unref(p->segs[at + i]); /* the compaction has another reference */
	}
	if (same) {
		plog__segs_remove(p, at, c->group_n - 1);
		p->segs[at] = plog__seg_ref(c->into);
		p->recent_n = 0; /* positions in the old files, whose base the new one has */
		p->bytes += c->into->size;
	}
	pthread_mutex_unlock(&p->lock);
	return same;
}

/* 1: the group is not there any more. */
static int swap_files(struct compaction *c)
{
	struct plog *p = c->p;
	int64_t end = c->ends[c->group_from + c->group_n - 1];
	char from[PLOG_PATH], swap[PLOG_PATH], to[PLOG_PATH];

	/* Readers that still have the old segments need their files open: the names go. */
	for (uint32_t i = 0; i < c->group_n; i++) {
		if (plog__seg_pin(p, c->segs[c->group_from + i]))
			return errno == ENOENT ? 1 : -1;
	}
	cleaned_path(from, c);
	snprintf(swap, sizeof(swap), "%s/%020" PRId64 "-%020" PRId64 ".swap", p->name, c->into->base, end);
	plog__path(to, p, c->into->base, ".log");
	pthread_mutex_lock(&p->writer);
	int rc = renameat(p->store->dirfd, from, p->store->dirfd, swap);

	if (!rc && !exchange(c)) {
		unlinkat(p->store->dirfd, swap, 0);
		rc = 1;
	}
	if (!rc) {
		for (uint32_t i = 1; i < c->group_n; i++)
			plog__seg_unlink(p, c->segs[c->group_from + i]);
		rc = renameat(p->store->dirfd, swap, p->store->dirfd, to);
		plog__seg_save(p, c->into);
		pthread_mutex_lock(&p->lock);
		p->dir_dirty = true;
		/* Without its name the file is lost to later opens: not before recovery has given it. */
		if (rc) {
			p->code = PLOG_STORAGE;
			p->stuck = true;
			rc = -1;
		}
		pthread_mutex_unlock(&p->lock);
	}
	plog__writer_unlock(p);
	return rc;
}

static int close_file(struct compaction *c)
{
	bool all_clean = c->ends[c->group_from + c->group_n - 1] <= c->map_end;

	if (!c->changed && c->group_n == 1) {
		struct plog_segment *seg = c->segs[c->group_from];

		pthread_mutex_lock(&c->p->lock);
		if (!seg->clean_ms && all_clean)
			seg->clean_ms = c->now_ms;
		pthread_mutex_unlock(&c->p->lock);
		give_up_file(c);
		return 0;
	}
	if (!c->into->clean_ms && all_clean)
		c->into->clean_ms = c->now_ms;
	int rc = flush_out(c) || plog__fdatasync(atomic_load(&c->into->fd)) ? -1 : swap_files(c);

	if (rc) {
		give_up_file(c);
		return rc < 0 ? -1 : 0;
	}
	atomic_fetch_add(&c->p->store->compacted_segments, c->group_n);
	plog__seg_unref(c->into);
	c->into = NULL;
	return 0;
}

static int step_rewrite(struct compaction *c)
{
	struct log_batch b;

	if (c->into && !c->pos && (c->at == c->n || !joins(c, c->at)) && c->group_n)
		return close_file(c);
	if (c->at == c->n) {
		c->phase = DONE;
		return 0;
	}
	if (!c->into && open_file(c))
		return -1;
	if (!c->pos && c->segs[c->at]->clean_ms > c->into->clean_ms && c->into->clean_ms)
		c->into->clean_ms = c->segs[c->at]->clean_ms;
	int there = next_batch(c, &b);

	if (there < 0)
		return -1;
	if (there)
		return rewrite_batch(c, &b);
	c->at++;
	c->pos = 0;
	c->group_n++;
	return 0;
}

static void finish(struct compaction *c, bool good)
{
	struct plog *p = c->p;

	pthread_mutex_lock(&p->lock);
	if (good && p->generation == c->generation)
		p->clean_end = c->map_end;
	/* After an error not before something new has come; a full disk is no reason to try all the time. */
	if (!good || c->map_end >= c->skip)
		p->compact_skip = c->skip;
	pthread_mutex_unlock(&p->lock);
	p->store->state_dirty = true;
	p->store->checkpoint_due = 0;
	plog__compact_stop(p->store);
}

bool plog__compact_step(struct plog_store *store, int64_t now_ms, int64_t until_mono_ms)
{
	uint32_t todo = plog__store_count(store) / 10 + 2;

	while (clock_mono_ms() <= until_mono_ms) {
		struct compaction *c = store->compaction;

		if (c) {
			int rc = plog__open_error(c->p);

			if (!rc)
				rc = c->phase == MAP ? step_map(c) : step_rewrite(c);
			if (rc || c->phase == DONE)
				finish(c, !rc);
			continue;
		}
		if (!todo--)
			return false;
		size_t at = store->compact_at;
		struct plog *p = plog_store_next(store, &at);

		store->compact_at = p ? (uint32_t)at : 0;
		if (p)
			store->compaction = begin(p, now_ms);
		plog_unref(p);
	}
	return store->compaction != NULL;
}
