/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "broker/log/priv.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOP = 4096 };

/* A window on a file, to hop from batch head to batch head. */
struct hop {
	int fd;
	uint32_t from, n;
	uint8_t buf[HOP];
};

/* The head of the batch at pos, which must lie below "end": 1 there, 0 end, -1 unreadable or damaged. */
static int hop_head(struct hop *h, uint32_t pos, uint32_t end, struct log_batch *ret_b)
{
	if (pos >= end)
		return 0;
	if (end - pos < KAFKA_BATCH_SIZE)
		return -1;
	if (pos < h->from || pos + KAFKA_BATCH_SIZE > h->from + h->n) {
		ssize_t k;

		do
			k = pread(h->fd, h->buf, end - pos < HOP ? end - pos : HOP, pos);
		while (k < 0 && errno == EINTR);
		if (k < KAFKA_BATCH_SIZE)
			return -1;
		h->from = pos;
		h->n = (uint32_t)k;
	}
	return batch_parse(h->buf + (pos - h->from), ret_b) && ret_b->size <= end - pos ? 1 : -1;
}

/* The entry of the offset index at or below offset, as a position; 0 when there is none. */
static uint32_t index_pos(struct plog_segment *seg, int64_t offset)
{
	int64_t rel = offset - seg->base;
	uint32_t pos = 0;

	if (rel < 0)
		return 0;
	pthread_mutex_lock(&seg->lock);
	int64_t i = plog__offset_find(&seg->index[INDEX_OFFSET], rel > UINT32_MAX ? UINT32_MAX : (uint32_t)rel);

	if (i >= 0)
		pos = ((const struct plog_offset_entry *)(const void *)seg->index[INDEX_OFFSET].v)[i].pos;
	pthread_mutex_unlock(&seg->lock);
	return pos;
}

int plog__locate(struct plog *p, struct plog_segment *seg, uint32_t size, int64_t offset, struct plog_at *ret_at,
		 struct log_batch *ret_b)
{
	int fd = plog__seg_fd(p, seg), there = 0;
	struct hop h;

	if (fd < 0 || plog__seg_load(p, seg))
		return PLOG_STORAGE;
	h.fd = fd;
	h.from = h.n = 0;
	uint32_t pos = index_pos(seg, offset);

	while ((there = hop_head(&h, pos, size, ret_b)) == 1 && ret_b->last < offset)
		pos += ret_b->size;
	if (there < 0)
		return PLOG_STORAGE;
	*ret_at = (struct plog_at){there ? ret_b->base : -1, seg->base, pos};
	return PLOG_OK;
}

/* What a read sees of a segment. */
struct view {
	struct plog_segment *seg;
	uint32_t size; /* visible bytes */
	int64_t end; /* offset behind them */
};

struct plan {
	struct view v[PLOG_SLICES_MAX];
	uint32_t n;
	bool known; /* pos is where offset begins in the first */
	uint32_t pos;
};

static struct plog_at visible_end(const struct plog *p, enum plog_isolation isolation)
{
	struct plog_at lim = p->end;

	if (p->cfg.hw_durable && p->durable.offset < lim.offset)
		lim = p->durable;
	if (isolation == PLOG_READ_COMMITTED && p->stable.offset >= 0 && p->stable.offset < lim.offset)
		lim = p->stable;
	return lim;
}

/* Positions of the newest batches are known without asking index or file. */
static void find_recent(const struct plog *p, int64_t offset, struct plan *plan)
{
	uint32_t n = p->recent_n < RECENT ? p->recent_n : RECENT;

	for (uint32_t i = 0; i < n; i++) {
		const struct plog_at *at = &p->recent[(p->recent_n - 1 - i) % RECENT];

		if (at->offset > offset)
			continue;
		if (plan->n && at->seg == plan->v[0].seg->base) {
			plan->known = true;
			plan->pos = at->pos;
		}
		return;
	}
}

/* Takes references on the segments to read; lock is held. */
static void make_plan(const struct plog *p, const struct plog_read *r, struct plan *plan)
{
	struct plog_at lim = visible_end(p, r->isolation);
	uint64_t bytes = 0;

	*plan = (struct plan){0};
	if (r->offset >= lim.offset)
		return;
	for (uint32_t i = plog__segs_find(p, r->offset); i < p->n_segs && plan->n < PLOG_SLICES_MAX; i++) {
		struct plog_segment *seg = p->segs[i];
		uint32_t size = seg->size;
		int64_t end = plog__seg_end(p, i);

		if (seg->base > lim.seg || (plan->n > 1 && bytes >= r->max_bytes))
			break;
		if (seg->base == lim.seg && lim.pos <= size) {
			size = lim.pos;
			end = lim.offset;
		}
		if (!size)
			continue; /* compaction left nothing here */
		if (plan->n)
			bytes += size;
		plan->v[plan->n++] = (struct view){plog__seg_ref(seg), size, end};
	}
	find_recent(p, r->offset, plan);
}

/* How many bytes from pos on are whole batches within max; at least one batch when "one". *end becomes the offset
 * behind them. */
static int cut(const struct view *v, uint32_t pos, uint64_t max, bool one, uint32_t *ret_n, int64_t *ret_end)
{
	struct hop h = {.fd = atomic_load(&v->seg->fd)};
	struct log_batch b;
	int there;

	if (max >= v->size - pos) {
		*ret_n = v->size - pos;
		*ret_end = v->end;
		return PLOG_OK;
	}
	uint32_t limit = pos + (uint32_t)max, at = pos;
	const struct plog_index *idx = &v->seg->index[INDEX_OFFSET];

	pthread_mutex_lock(&v->seg->lock);
	const struct plog_offset_entry *e = (const struct plog_offset_entry *)(const void *)idx->v;
	int64_t lo = 0, hi = idx->n;

	while (lo < hi) {
		int64_t mid = lo + (hi - lo) / 2;

		if (e[mid].pos <= limit)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo && e[lo - 1].pos > pos)
		at = e[lo - 1].pos;
	pthread_mutex_unlock(&v->seg->lock);
	*ret_end = -1;
	while ((there = hop_head(&h, at, v->size, &b)) == 1) {
		*ret_end = b.base;
		if (at + b.size > limit && !(one && at == pos))
			break;
		at += b.size;
		*ret_end = b.last + 1;
		if (at >= limit)
			break;
	}
	*ret_n = at - pos;
	return there < 0 ? PLOG_STORAGE : PLOG_OK;
}

/* Turns the plan into slices; *ret_end is the offset behind them. */
static int make_slices(struct plog *p, struct plog_read *r, const struct plan *plan, int64_t *ret_end)
{
	for (uint32_t i = 0; i < plan->n; i++) {
		const struct view *v = &plan->v[i];
		struct log_batch b;
		uint32_t pos = 0, n = 0;
		uint64_t max = r->max_bytes > r->bytes ? r->max_bytes - r->bytes : 0;

		if (plog__seg_fd(p, v->seg) < 0 || plog__seg_load(p, v->seg))
			return PLOG_STORAGE;
		if (i == 0 && plan->known) {
			pos = plan->pos;
		} else if (i == 0) {
			struct plog_at at;
			int rc = plog__locate(p, v->seg, v->size, r->offset, &at, &b);

			if (rc)
				return rc;
			pos = at.pos;
		}
		if (pos >= v->size)
			continue; /* compaction left nothing behind offset here */
		int rc = cut(v, pos, max, r->at_least_one && !r->bytes, &n, ret_end);

		if (rc)
			return rc;
		if (n) {
			r->slices[r->n_slices++] =
				(struct plog_slice){plog__seg_ref(v->seg), atomic_load(&v->seg->fd), n, pos};
			r->bytes += n;
		}
		if (pos + n < v->size)
			break;
	}
	return PLOG_OK;
}

/* The first segment at or behind "from" that has aborted transactions, with a reference; NULL at the end. */
static struct plog_segment *next_with_txns(struct plog *p, int64_t from)
{
	struct plog_segment *seg = NULL;

	pthread_mutex_lock(&p->lock);
	for (uint32_t i = plog__segs_find(p, from); i < p->n_segs && !seg; i++) {
		if (p->segs[i]->base >= from && p->segs[i]->txn_n)
			seg = plog__seg_ref(p->segs[i]);
	}
	pthread_mutex_unlock(&p->lock);
	return seg;
}

/* Aborted transactions that overlap [r->offset, end): their markers may stand behind it. */
static int find_aborted(struct plog *p, struct plog_read *r, int64_t first_base, int64_t end)
{
	struct plog_segment *seg;
	bool more = true;

	for (int64_t from = first_base; more && (seg = next_with_txns(p, from));
	     from = seg->base + 1, plog__seg_unref(seg)) {
		if (plog__seg_load(p, seg)) {
			plog__seg_unref(seg);
			return PLOG_STORAGE;
		}
		pthread_mutex_lock(&seg->lock);
		const struct plog_txn_entry *e = (const struct plog_txn_entry *)(const void *)seg->index[INDEX_TXN].v;

		for (uint32_t i = 0; i < seg->index[INDEX_TXN].n && more; i++) {
			if (e[i].last >= r->offset && e[i].first < end) {
				if (r->n_aborted < r->aborted_max)
					r->aborted[r->n_aborted] = (struct plog_aborted){e[i].producer_id, e[i].first};
				r->n_aborted++;
			}
			more = e[i].lso < end;
		}
		pthread_mutex_unlock(&seg->lock);
	}
	return PLOG_OK;
}

int plog_read(struct plog *p, struct plog_read *r)
{
	struct plan plan = {0};
	int64_t end = -1;

	r->n_slices = r->n_aborted = 0;
	r->bytes = 0;
	pthread_mutex_lock(&p->lock);
	int rc = p->code;

	r->high_watermark = r->last_stable = r->start = -1;
	if (!rc) {
		r->start = p->start;
		r->high_watermark = plog__hw(p);
		r->last_stable = plog__lso(p);
		if (r->offset < p->start || r->offset > p->end.offset)
			rc = PLOG_OFFSET_OUT_OF_RANGE;
		else
			make_plan(p, r, &plan);
	}
	pthread_mutex_unlock(&p->lock);
	if (!rc)
		rc = make_slices(p, r, &plan, &end);
	/* Of a partition that is deleted meanwhile the files cannot be opened. */
	if (rc == PLOG_STORAGE && plog__open_error(p) == PLOG_GONE)
		rc = PLOG_GONE;
	if (!rc && r->n_slices && r->isolation == PLOG_READ_COMMITTED)
		rc = find_aborted(p, r, plan.v[0].seg->base, end);
	for (uint32_t i = 0; i < plan.n; i++)
		plog__seg_unref(plan.v[i].seg);
	if (rc || r->n_aborted > r->aborted_max)
		plog_read_done(r);
	return rc;
}

void plog_read_done(struct plog_read *r)
{
	for (uint32_t i = 0; i < r->n_slices; i++)
		plog__seg_unref(r->slices[i].seg);
	r->n_slices = 0;
	r->bytes = 0;
}

/* Finds the record in a batch that answers a time: the first at or after it, not below min_offset. */
static bool record_by_time(struct plog *p, const struct view *v, const struct log_batch *b, uint32_t pos, int64_t time,
			   int64_t min_offset, int64_t *ret_offset, int64_t *ret_time)
{
	uint8_t *data = b->size <= PLOG_BATCH_MAX ? mem_try(b->size) : NULL;
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;
	struct buf scratch;
	bool found = false;

	if (!data)
		return false;
	buf_init(&scratch, p->store->cfg.inflate_max);
	if (!plog__read_at(plog__seg_fd(p, v->seg), data, b->size, pos) && batch_whole(data, b->size, &batch) &&
	    !kafka_records_open(&it, &batch, &scratch)) {
		while (!found && kafka_records_next(&it, &r) == 1) {
			found = r.timestamp >= time && r.offset >= min_offset;
			if (found) {
				*ret_offset = r.offset;
				*ret_time = r.timestamp;
			}
		}
	}
	buf_done(&scratch);
	free(data);
	return found;
}

/* Where in the segment to begin to look for a time. */
static uint32_t time_pos(struct plog_segment *seg, int64_t time)
{
	uint32_t pos = 0;

	pthread_mutex_lock(&seg->lock);
	const struct plog_index *idx = &seg->index[INDEX_TIME];
	int64_t i = plog__time_find(idx, time - 1);

	if (i >= 0)
		pos = ((const struct plog_time_entry *)(const void *)idx->v)[i].pos;
	pthread_mutex_unlock(&seg->lock);
	return pos;
}

/* The first batch of the segment with a record at or after time, that is not wholly below start. 1 found, 0 not. */
static int find_time(struct plog *p, const struct view *v, int64_t time, int64_t start, int64_t *ret_offset,
		     int64_t *ret_time, int32_t *ret_epoch)
{
	struct log_batch b;
	struct hop h = {0};
	int there;

	h.fd = plog__seg_fd(p, v->seg);
	if (h.fd < 0 || plog__seg_load(p, v->seg))
		return PLOG_STORAGE;
	for (uint32_t pos = time_pos(v->seg, time); (there = hop_head(&h, pos, v->size, &b)) == 1; pos += b.size) {
		if (b.max_ts < time || b.last < start || (b.attrs & KAFKA_ATTR_CONTROL))
			continue;
		if (!record_by_time(p, v, &b, pos, time, start, ret_offset, ret_time))
			continue;
		*ret_epoch = b.leader_epoch;
		return 1;
	}
	return there < 0 ? PLOG_STORAGE : 0;
}

/* The next segment that may have the time; lock is not held. */
static bool next_by_time(struct plog *p, int64_t from, int64_t time, enum plog_isolation isolation, struct view *ret_v)
{
	bool found = false;

	pthread_mutex_lock(&p->lock);
	struct plog_at lim = visible_end(p, isolation);

	for (uint32_t i = plog__segs_find(p, from); i < p->n_segs && !found; i++) {
		struct plog_segment *seg = p->segs[i];

		if (seg->base < from || seg->max_ts < time || seg->base > lim.seg)
			continue;
		*ret_v = (struct view){plog__seg_ref(seg),
				       seg->base == lim.seg && lim.pos < seg->size ? lim.pos : seg->size, 0};
		found = true;
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}

static int epoch_of(const struct plog *p, int64_t offset)
{
	uint32_t i = p->n_epochs;

	while (i > 1 && p->epochs[i - 1].start > offset)
		i--;
	return i ? p->epochs[i - 1].epoch : 0;
}

int plog_offset_by_time(struct plog *p, int64_t time, enum plog_isolation isolation, int64_t *ret_offset,
			int64_t *ret_time, int32_t *ret_epoch)
{
	struct view v;
	int rc = 0;

	pthread_mutex_lock(&p->lock);
	int64_t start = p->start, last = isolation == PLOG_READ_COMMITTED ? plog__lso(p) : plog__hw(p);
	int64_t wanted = time < 0 ? (time == PLOG_TIME_EARLIEST ? start : last) : -1, newest = -1;
	int code = p->code;

	*ret_offset = *ret_time = -1;
	*ret_epoch = wanted >= 0 ? epoch_of(p, wanted) : -1;
	for (uint32_t i = 0; i < p->n_segs; i++)
		newest = p->segs[i]->max_ts > newest ? p->segs[i]->max_ts : newest;
	pthread_mutex_unlock(&p->lock);
	if (code)
		return code;
	if (time == PLOG_TIME_MAX) {
		*ret_epoch = -1;
		if (newest < 0)
			return PLOG_OK;
		time = newest;
	} else if (time < 0) {
		*ret_offset = wanted;
		return PLOG_OK;
	}
	for (int64_t from = 0; !rc && next_by_time(p, from, time, isolation, &v); plog__seg_unref(v.seg)) {
		rc = find_time(p, &v, time, start, ret_offset, ret_time, ret_epoch);
		from = v.seg->base + 1;
	}
	if (rc == 1 && *ret_offset >= last)
		*ret_offset = *ret_time = *ret_epoch = -1;
	return rc < 0 ? rc : PLOG_OK;
}
