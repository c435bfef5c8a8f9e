/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "broker/log/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int check_times(const struct plog_config *cfg, const struct log_batch *b, int64_t now_ms)
{
	if (cfg->append_time)
		return PLOG_OK;
	if (b->attrs & KAFKA_ATTR_APPEND_TIME)
		return PLOG_INVALID_TIMESTAMP;
	if (cfg->timestamp_after_max_ms >= 0 && b->max_ts > now_ms && b->max_ts - now_ms > cfg->timestamp_after_max_ms)
		return PLOG_INVALID_TIMESTAMP;
	if (cfg->timestamp_before_max_ms >= 0 && b->base_ts >= 0 && b->base_ts < now_ms &&
	    now_ms - b->base_ts > cfg->timestamp_before_max_ms)
		return PLOG_INVALID_TIMESTAMP;
	return PLOG_OK;
}

/* A compacted topic has no use for records without key. */
static int check_keys(struct plog *p, const struct log_batch *b, const uint8_t *data, bool *keyless)
{
	struct kafka_batch batch;
	struct buf scratch;
	int32_t index;

	if (!batch_whole(data, b->size, &batch))
		return PLOG_CORRUPT;
	buf_init(&scratch, p->store->cfg.inflate_max);
	int rc = -kafka_batch_validate_records(&batch, true, &scratch, &index);

	*keyless = rc && index >= 0;
	buf_done(&scratch);
	return rc;
}

static int check_batch(struct plog *p, struct plog_append *a, size_t at, struct log_batch *b)
{
	if (a->n - at < KAFKA_BATCH_SIZE)
		return PLOG_CORRUPT;
	if (a->batches[at + KAFKA_BATCH_AT_MAGIC] < 2)
		return PLOG_UNSUPPORTED_FORMAT;
	if (!batch_parse(a->batches + at, b) || b->size > a->n - at)
		return PLOG_CORRUPT;
	if (b->size > p->cfg.max_message_bytes)
		return PLOG_TOO_LARGE;
	if (!a->crc_checked && kafka_crc32c_extend(0, a->batches + at + KAFKA_BATCH_AT_ATTRIBUTES,
						   b->size - KAFKA_BATCH_AT_ATTRIBUTES) != b->crc)
		return PLOG_CORRUPT;
	if ((b->attrs & KAFKA_ATTR_CODEC_MASK) > KAFKA_CODEC_ZSTD)
		return PLOG_UNSUPPORTED_CODEC;
	if (b->count < 1 || b->last - b->base != b->count - 1 || (b->attrs & KAFKA_ATTR_CONTROL) ||
	    ((b->attrs & KAFKA_ATTR_TRANSACTIONAL) && b->producer_id < 0))
		return PLOG_INVALID_RECORD;
	int rc = check_times(&p->cfg, b, a->now_ms);

	return rc || !p->cfg.cleanup_compact ? rc : check_keys(p, b, a->batches + at, &a->keyless);
}

/* Looks at all batches before anything changes. *ret_records is how many offsets they take. */
static int check_all(struct plog *p, struct plog_append *a, int64_t *ret_records)
{
	const struct producer_batch *dup = NULL;
	int64_t records = 0;
	struct log_batch b;

	if (!a->n || a->n > INT32_MAX)
		return a->n ? PLOG_TOO_LARGE : PLOG_INVALID_RECORD;
	for (size_t at = 0; at < a->n; at += b.size) {
		int rc = check_batch(p, a, at, &b);

		if (rc)
			return rc;
		if (b.producer_id >= 0) {
			/* A produce request has one batch per partition; sequences are checked on that. */
			if (b.size != a->n)
				return PLOG_INVALID_RECORD;
			rc = plog__producer_check(&p->producers, &b, &dup);
			if (rc)
				return rc;
		}
		records += b.count;
	}
	if (dup) {
		a->duplicate = true;
		a->base_offset = dup->last_offset - (b.last - b.base);
		a->end_offset = dup->last_offset + 1;
		a->append_time = p->cfg.append_time ? dup->ts : -1;
	}
	*ret_records = records;
	return PLOG_OK;
}

static void patch(struct plog *p, struct plog_append *a, int32_t epoch)
{
	int64_t offset = p->end.offset;
	struct log_batch b;

	for (size_t at = 0; at < a->n; at += b.size) {
		char *h = (char *)a->batches + at;

		if (!batch_parse(a->batches + at, &b))
			abort(); /* was checked */
		kafka_batch_set_place(h, offset, epoch);
		if (p->cfg.append_time)
			kafka_batch_set_append_time(h, b.size, a->now_ms);
		offset += b.last - b.base + 1;
	}
}

/* The segment that takes n more bytes and offsets, rolled when the last is full or old. */
static int segment_for(struct plog *p, size_t n, int64_t records, int64_t now_ms)
{
	struct plog_segment *seg = plog__active(p);

	if (!seg->size)
		seg->created_ms = now_ms;
	if (seg->size && ((int64_t)seg->size + (int64_t)n > p->cfg.segment_bytes ||
			  p->end.offset + records - seg->base > INT32_MAX ||
			  (p->cfg.segment_ms >= 0 && now_ms - seg->created_ms >= p->cfg.segment_ms)))
		return plog__roll(p, now_ms);
	return PLOG_OK;
}

/* Reserves disk space ahead: less fragments, and a full disk shows before data is half written. */
static void reserve(struct plog *p, struct plog_segment *seg, int fd, size_t n)
{
	struct plog_store *store = p->store;
	uint64_t need = seg->size + n, step = seg->size;

	if (need <= seg->reserved || atomic_load_explicit(&store->no_fallocate, memory_order_relaxed))
		return;
	if (step < 64 << 10)
		step = 64 << 10;
	if (step > store->cfg.prealloc_max)
		step = store->cfg.prealloc_max;
	uint64_t want = need + step;

	if (want > (uint64_t)p->cfg.segment_bytes)
		want = (uint64_t)p->cfg.segment_bytes;
	if (want < need)
		want = need;
	if (!fallocate(fd, FALLOC_FL_KEEP_SIZE, seg->size, (off_t)(want - seg->size)))
		seg->reserved = (uint32_t)want;
	else if (errno == EOPNOTSUPP || errno == ENOSYS)
		atomic_store(&store->no_fallocate, true);
}

/* Writes behind the segment's end. A failure leaves nothing behind it. */
static int write_bytes(struct plog *p, const void *bytes, size_t n)
{
	struct plog_segment *seg = plog__active(p);
	int fd = plog__seg_fd(p, seg);

	if (fd < 0)
		return PLOG_STORAGE;
	if (seg->torn) {
		if (ftruncate(fd, seg->size))
			return PLOG_STORAGE;
		seg->torn = false;
	}
	reserve(p, seg, fd, n);
	if (!plog__write(fd, bytes, n, seg->size))
		return PLOG_OK;
	seg->reserved = 0;
	seg->torn = ftruncate(fd, seg->size) != 0;
	return PLOG_STORAGE;
}

/* Notes what was written in producers and indexes, and shows it to readers. */
static void publish(struct plog *p, const uint8_t *bytes, size_t n, int64_t now_ms, const struct plog_marker *m)
{
	struct plog_segment *seg = plog__active(p);
	struct plog_txn_entry abort_entry;
	struct log_batch b;
	uint32_t pos = seg->size;

	pthread_mutex_lock(&p->lock);
	for (size_t at = 0; at < n; at += b.size) {
		if (!batch_parse(bytes + at, &b))
			abort(); /* was checked */
		struct plog_at here = {b.base, seg->base, pos};

		if (b.producer_id >= 0 && !m)
			plog__producer_apply(&p->producers, &b, &here, now_ms);
		plog__seg_note(seg, &b, pos);
		if (m && plog__producer_apply_marker(&p->producers, &b, m->commit, m->coordinator_epoch, now_ms,
						     &abort_entry))
			plog__seg_note_abort(seg, &abort_entry);
		p->recent[p->recent_n++ % RECENT] = here;
		pos += b.size;
		p->end = (struct plog_at){b.last + 1, seg->base, pos};
	}
	seg->size = pos;
	seg->appended_ms = now_ms;
	p->bytes += (int64_t)n;
	plog__stable_update(p);
	pthread_mutex_unlock(&p->lock);
}

static void flush_policy(struct plog *p, int64_t records)
{
	p->unflushed += records;
	if (p->cfg.flush_messages >= 0 && p->unflushed >= p->cfg.flush_messages) {
		p->unflushed = 0;
		plog__sync_kick(p);
	} else if (p->cfg.flush_ms >= 0) {
		plog__sync_timed(p, clock_mono_ms() + p->cfg.flush_ms);
	}
}

static int write_out(struct plog *p, struct plog_append *a, int64_t records)
{
	int32_t epoch = a->leader_epoch >= 0 ? a->leader_epoch : p->epochs[p->n_epochs - 1].epoch;
	int rc = segment_for(p, a->n, records, a->now_ms);

	if (rc)
		return rc;
	rc = plog__seg_load(p, plog__active(p)) ? PLOG_STORAGE : PLOG_OK;
	if (rc)
		return rc;
	patch(p, a, epoch);
	rc = write_bytes(p, a->batches, a->n);
	if (rc)
		return rc;
	a->base_offset = p->end.offset;
	publish(p, a->batches, a->n, a->now_ms, NULL);
	a->end_offset = p->end.offset;
	a->append_time = p->cfg.append_time ? a->now_ms : -1;
	flush_policy(p, records);
	atomic_fetch_add_explicit(&p->store->appended_bytes, a->n, memory_order_relaxed);
	return PLOG_OK;
}

/* writer is held. */
static int append(struct plog *p, struct plog_append *a)
{
	int64_t records = 0;

	a->duplicate = false;
	int rc = plog__open_error(p);

	if (!rc)
		rc = plog__producers_ready(p);
	if (!rc)
		rc = check_all(p, a, &records);
	if (!rc && !a->duplicate)
		rc = write_out(p, a, records);
	a->start = p->start;
	if (rc == PLOG_STORAGE)
		atomic_fetch_add(&p->store->append_errors, 1);
	return rc;
}

static struct plog_append *next_left(struct plog *p)
{
	pthread_mutex_lock(&p->lock);
	struct plog_waiter *w = p->left;

	if (w) {
		p->left = w->next;
		if (!p->left)
			p->left_end = &p->left;
	}
	pthread_mutex_unlock(&p->lock);
	return (struct plog_append *)w;
}

/* Writes what other threads left to the one that holds writer. */
static void append_left(struct plog *p)
{
	struct plog_append *a;

	while ((a = next_left(p)))
		plog__deliver(&a->done, append(p, a));
}

static bool any_left(struct plog *p)
{
	pthread_mutex_lock(&p->lock);
	bool any = p->left;

	pthread_mutex_unlock(&p->lock);
	return any;
}

void plog__writer_unlock(struct plog *p)
{
	do {
		append_left(p);
		pthread_mutex_unlock(&p->writer);
		/* What came in between was left to nobody, unless somebody else writes by now. */
	} while (any_left(p) && !pthread_mutex_trylock(&p->writer));
}

int plog_append(struct plog *p, struct plog_append *a)
{
	pthread_mutex_lock(&p->writer);
	int rc = append(p, a);

	plog__writer_unlock(p);
	return rc;
}

int plog_submit(struct plog *p, struct plog_append *a)
{
	if (!pthread_mutex_trylock(&p->writer)) {
		append_left(p); /* may be this thread's, and came first */
		int rc = append(p, a);

		plog__writer_unlock(p);
		return rc;
	}
	a->done.next = NULL;
	pthread_mutex_lock(&p->lock);
	*p->left_end = &a->done;
	p->left_end = &a->done.next;
	pthread_mutex_unlock(&p->lock);
	/* The one who wrote may have looked for the last time before. */
	if (!pthread_mutex_trylock(&p->writer))
		plog__writer_unlock(p);
	return PLOG_PENDING;
}

static int write_marker(struct plog *p, const struct plog_marker *m)
{
	int rc = plog__producer_check_marker(&p->producers, m);

	if (rc)
		return rc;
	buf_reset(&p->marker);
	if (kafka_control_batch(p->end.offset, m->producer_id, m->producer_epoch,
				m->commit ? KAFKA_CONTROL_COMMIT : KAFKA_CONTROL_ABORT, m->coordinator_epoch, m->now_ms,
				&p->marker))
		return PLOG_STORAGE;
	rc = segment_for(p, p->marker.n, 1, m->now_ms);
	if (!rc && plog__seg_load(p, plog__active(p)))
		rc = PLOG_STORAGE;
	if (rc)
		return rc;
	kafka_batch_set_place(p->marker.p, p->end.offset, p->epochs[p->n_epochs - 1].epoch);
	rc = write_bytes(p, p->marker.p, p->marker.n);
	if (!rc) {
		publish(p, (const uint8_t *)p->marker.p, p->marker.n, m->now_ms, m);
		flush_policy(p, 1);
	}
	return rc;
}

int plog_append_marker(struct plog *p, const struct plog_marker *m, int64_t *ret_offset, int64_t *ret_end)
{
	pthread_mutex_lock(&p->writer);
	int rc = plog__open_error(p);

	if (!rc)
		rc = plog__producers_ready(p);
	if (!rc)
		rc = write_marker(p, m);
	if (!rc) {
		*ret_end = p->end.offset;
		*ret_offset = p->end.offset - 1;
	}
	plog__writer_unlock(p);
	if (rc == PLOG_STORAGE)
		atomic_fetch_add(&p->store->append_errors, 1);
	return rc;
}
