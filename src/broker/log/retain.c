/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/priv.h"

#include <stdlib.h>
#include <unistd.h>

void plog__drop_front(struct plog *p, uint32_t n)
{
	struct plog_segment *seg;

	for (; n; n--) {
		pthread_mutex_lock(&p->lock);
		seg = p->segs[0];
		plog__segs_remove(p, 0, 1);
		p->bytes -= seg->size;
		if (p->start < p->segs[0]->base)
			p->start = p->segs[0]->base;
		if (p->durable.offset < p->segs[0]->base)
			p->durable = (struct plog_at){p->segs[0]->base, p->segs[0]->base, 0};
		pthread_mutex_unlock(&p->lock);
		/* Oldest first: a crash in between leaves a log without its beginning, never with a hole. */
		plog__seg_unlink(p, seg);
		plog__seg_unref(seg);
		atomic_fetch_add(&p->store->deleted_segments, 1);
	}
}

/* What is too old when it comes, by clocks that go wrong or because it is a copy, is there for as long as Kafka's
 * retention check takes to come around, so that those who wait for it get it. */
#define ARRIVAL_MS INT64_C(300000)

static bool too_old(const struct plog *p, const struct plog_segment *seg, int64_t now_ms)
{
	int64_t keep = p->cfg.retention_ms, here = now_ms - seg->appended_ms;

	return keep >= 0 && now_ms - (seg->max_ts >= 0 ? seg->max_ts : seg->created_ms) > keep &&
	       here > (keep < ARRIVAL_MS ? keep : ARRIVAL_MS);
}

static bool expired(const struct plog *p, uint32_t i, int64_t bytes_left, int64_t now_ms)
{
	const struct plog_segment *seg = p->segs[i];
	int64_t end = plog__seg_end(p, i);

	if (end <= p->start)
		return true;
	if (!p->cfg.cleanup_delete || end > plog__hw(p))
		return false;
	if (too_old(p, seg, now_ms))
		return true;
	return p->cfg.retention_bytes >= 0 && bytes_left - seg->size >= p->cfg.retention_bytes;
}

/* Number of a segment of which compaction left nothing; 0: none. The first one stays, as it holds the place of the log
 * start offset: consumers that are at an offset before the next record are not out of range. lock is held. */
static uint32_t find_empty(const struct plog *p)
{
	for (uint32_t i = 1; i + 1 < p->n_segs; i++)
		if (!p->segs[i]->size)
			return i;
	return 0;
}

static void drop_empty(struct plog *p)
{
	pthread_mutex_lock(&p->writer);
	for (;;) {
		struct plog_segment *seg = NULL;

		pthread_mutex_lock(&p->lock);
		uint32_t i = p->code ? 0 : find_empty(p);

		if (i) {
			seg = p->segs[i];
			plog__segs_remove(p, i, 1);
		}
		pthread_mutex_unlock(&p->lock);
		if (!seg)
			break;
		plog__seg_unlink(p, seg);
		plog__seg_unref(seg);
		atomic_fetch_add(&p->store->deleted_segments, 1);
	}
	plog__writer_unlock(p);
}

/* How many segments at the front have expired. An empty active one stays. lock is held. */
static uint32_t count_expired(const struct plog *p, int64_t now_ms)
{
	int64_t left = p->bytes;
	uint32_t n = 0;

	while (n < p->n_segs && expired(p, n, left, now_ms))
		left -= p->segs[n++]->size;
	return n && n == p->n_segs && !p->segs[n - 1]->size ? n - 1 : n;
}

bool plog__retain(struct plog *p, int64_t now_ms)
{
	pthread_mutex_lock(&p->lock);
	bool due = !p->code && count_expired(p, now_ms) > 0, empty = !p->code && find_empty(p) > 0;

	pthread_mutex_unlock(&p->lock);
	if (empty)
		drop_empty(p);
	if (!due)
		return false;
	pthread_mutex_lock(&p->writer);
	/* Again, now that nothing is appended: records that have just come to the active segment have not expired. */
	pthread_mutex_lock(&p->lock);
	uint32_t n = p->code ? 0 : count_expired(p, now_ms);

	pthread_mutex_unlock(&p->lock);
	/* When all has expired the active segment makes place for an empty one, which keeps the next offset. */
	if (n && !plog__open_error(p) && (n < p->n_segs || !plog__roll(p, now_ms)))
		plog__drop_front(p, n);
	plog__writer_unlock(p);
	return true;
}

/* Segments that lie wholly below the log start offset, the active one aside. */
static uint32_t below_start(const struct plog *p)
{
	uint32_t n = 0;

	while (n + 1 < p->n_segs && p->segs[n + 1]->base <= p->start)
		n++;
	return n;
}

static int delete_before(struct plog *p, int64_t offset)
{
	pthread_mutex_lock(&p->lock);
	int64_t before = p->start, hw = plog__hw(p);

	offset = offset == -1 ? hw : offset;
	if (offset > before && offset <= hw)
		p->start = offset;
	pthread_mutex_unlock(&p->lock);
	if (offset < 0 || offset > hw)
		return PLOG_OFFSET_OUT_OF_RANGE;
	if (offset <= before)
		return PLOG_OK;
	int rc = plog__meta_save(p, false);

	/* A full disk must not be in the way of making room. */
	if (rc) {
		plog__drop_front(p, below_start(p));
		rc = plog__meta_save(p, false);
	}
	if (rc) {
		pthread_mutex_lock(&p->lock);
		p->start = before > p->segs[0]->base ? before : p->segs[0]->base;
		pthread_mutex_unlock(&p->lock);
		return PLOG_STORAGE;
	}
	/* When that fails the records are gone all the same; their space goes with the next roll. */
	if (p->start == p->end.offset)
		plog__roll(p, plog__active(p)->created_ms);
	plog__drop_front(p, below_start(p));
	return PLOG_OK;
}

int plog_delete_before(struct plog *p, int64_t offset, int64_t *ret_start)
{
	pthread_mutex_lock(&p->writer);
	int rc = plog__open_error(p);

	if (!rc)
		rc = delete_before(p, offset);
	if (!rc)
		*ret_start = p->start;
	plog__writer_unlock(p);
	return rc;
}

/* Takes the segments from number i on away; the files go. */
static void drop_back(struct plog *p, uint32_t i)
{
	while (p->n_segs > i) {
		pthread_mutex_lock(&p->lock);
		struct plog_segment *seg = p->segs[--p->n_segs];

		p->bytes -= seg->size;
		pthread_mutex_unlock(&p->lock);
		plog__seg_unlink(p, seg);
		plog__seg_unref(seg);
	}
}

/* An empty log that goes on at offset. */
static int restart_at(struct plog *p, int64_t offset)
{
	struct plog_segment *seg = plog__seg_new(p->store, offset);

	drop_back(p, 0);
	if (plog__seg_create(p, seg)) {
		plog__seg_unref(seg);
		return PLOG_STORAGE;
	}
	seg->saved = true;
	pthread_mutex_lock(&p->lock);
	plog__segs_add(p, seg);
	p->start = offset;
	p->end = p->durable = (struct plog_at){offset, offset, 0};
	pthread_mutex_unlock(&p->lock);
	return PLOG_OK;
}

static void remove_index_files(struct plog *p, struct plog_segment *seg)
{
	char path[PLOG_PATH];

	for (int k = 0; k < INDEX_KINDS; k++) {
		plog__path(path, p, seg->base, plog__index_suffix[k]);
		unlinkat(p->store->dirfd, path, 0);
		pthread_mutex_lock(&seg->lock);
		plog__index_done(&seg->index[k]);
		pthread_mutex_unlock(&seg->lock);
	}
}

/* Cuts the segment that becomes the last; its index is built again by the replay. */
static int cut_segment(struct plog *p, uint32_t i, int64_t offset)
{
	struct plog_segment *seg = p->segs[i];
	struct plog_at at;
	struct log_batch b;
	int rc = plog__locate(p, seg, seg->size, offset, &at, &b);

	if (rc)
		return rc;
	drop_back(p, i + 1);
	pthread_mutex_lock(&p->lock);
	p->bytes -= seg->size - at.pos;
	seg->size = at.pos;
	seg->sealed = false;
	seg->saved = false;
	p->end = (struct plog_at){offset, seg->base, at.pos}; /* until the replay has found it out */
	pthread_mutex_unlock(&p->lock);
	seg->reserved = at.pos;
	seg->torn = ftruncate(plog__seg_fd(p, seg), at.pos) != 0;
	return seg->torn ? PLOG_STORAGE : PLOG_OK;
}

static int truncate_to(struct plog *p, int64_t offset)
{
	int rc;

	pthread_mutex_lock(&p->lock);
	uint32_t i = plog__segs_find(p, offset);
	bool all = offset <= p->start;

	p->generation++;
	p->recent_n = 0;
	pthread_mutex_unlock(&p->lock);
	plog__producers_done(&p->producers);
	if (all) {
		rc = restart_at(p, p->start);
	} else {
		rc = cut_segment(p, i, offset);
		/* Producers and transactions are found out from the beginning; this is no everyday operation. */
		for (uint32_t k = 0; k <= i && !rc; k++)
			remove_index_files(p, p->segs[k]);
		if (!rc)
			rc = plog__replay(p, 0, 0, 0, true);
	}
	pthread_mutex_lock(&p->lock);
	while (p->n_epochs > 1 && p->epochs[p->n_epochs - 1].start > p->end.offset)
		p->n_epochs--;
	if (p->durable.offset > p->end.offset)
		p->durable = p->end;
	p->checkpoint.offset = -1;
	if (p->clean_end > p->end.offset)
		p->clean_end = p->end.offset;
	if (rc)
		p->code = PLOG_STORAGE;
	plog__stable_update(p);
	pthread_mutex_unlock(&p->lock);
	plog__meta_save(p, false);
	return rc;
}

int plog_truncate(struct plog *p, int64_t offset)
{
	pthread_mutex_lock(&p->writer);
	int rc = plog__open_error(p);

	if (!rc)
		rc = plog__producers_ready(p);
	if (!rc && offset < p->end.offset)
		rc = truncate_to(p, offset);
	plog__writer_unlock(p);
	if (!rc)
		plog__waiters_fail(p, PLOG_STORAGE);
	return rc;
}
