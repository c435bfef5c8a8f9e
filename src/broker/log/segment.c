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

void plog__path(char *buf, const struct plog *p, int64_t offset, const char *suffix)
{
	snprintf(buf, PLOG_PATH, "%s/%020" PRId64 "%s", p->name, offset, suffix);
}

struct plog_segment *plog__seg_new(struct plog_store *store, int64_t base)
{
	struct plog_segment *seg = mem_zalloc(sizeof(*seg));

	atomic_init(&seg->refs, 1);
	atomic_init(&seg->fd, -1);
	seg->store = store;
	seg->base = base;
	seg->max_ts = seg->max_ts_offset = -1;
	pthread_mutex_init(&seg->lock, NULL);
	return seg;
}

struct plog_segment *plog__seg_ref(struct plog_segment *seg)
{
	atomic_fetch_add_explicit(&seg->refs, 1, memory_order_relaxed);
	return seg;
}

void plog__seg_close(struct plog_segment *seg)
{
	int fd = atomic_exchange(&seg->fd, -1);

	if (fd >= 0) {
		close(fd);
		atomic_fetch_sub(&seg->store->open_files, 1);
	}
	pthread_mutex_lock(&seg->lock);
	if (seg->saved && seg->sealed && seg->loaded) {
		for (int k = 0; k < INDEX_KINDS; k++)
			plog__index_done(&seg->index[k]);
		seg->loaded = false;
	}
	pthread_mutex_unlock(&seg->lock);
}

void plog__seg_unref(struct plog_segment *seg)
{
	if (!seg || atomic_fetch_sub_explicit(&seg->refs, 1, memory_order_acq_rel) != 1)
		return;
	plog__seg_close(seg);
	for (int k = 0; k < INDEX_KINDS; k++)
		plog__index_done(&seg->index[k]);
	pthread_mutex_destroy(&seg->lock);
	free(seg);
}

int plog__seg_fd(struct plog *p, struct plog_segment *seg)
{
	char path[PLOG_PATH];
	int fd = atomic_load_explicit(&seg->fd, memory_order_acquire), none = -1;

	atomic_store_explicit(&seg->used_ms, clock_mono_ms(), memory_order_relaxed);
	if (fd >= 0)
		return fd;
	plog__path(path, p, seg->base, ".log");
	fd = openat(seg->store->dirfd, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (!atomic_compare_exchange_strong(&seg->fd, &none, fd)) {
		close(fd); /* another thread was first */
		return none;
	}
	atomic_fetch_add(&seg->store->open_files, 1);
	return fd;
}

/* A prepared file under the segment's name; -1 when there is none. */
static int take_spare(struct plog_store *store, const char *path)
{
	char spare[32];

	if (atomic_load(&store->spares) <= 0)
		return -1;
	for (unsigned i = 0; i < store->cfg.spare_files; i++) {
		snprintf(spare, sizeof(spare), "spare-%u", i);
		if (renameat(store->dirfd, spare, store->dirfd, path))
			continue;
		atomic_fetch_sub(&store->spares, 1);
		return openat(store->dirfd, path, O_RDWR | O_CLOEXEC);
	}
	return -1;
}

int plog__seg_create(struct plog *p, struct plog_segment *seg)
{
	struct plog_store *store = p->store;
	char path[PLOG_PATH];

	plog__path(path, p, seg->base, ".log");
	int fd = take_spare(store, path);

	if (fd < 0)
		fd = openat(store->dirfd, path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -1;
	for (int k = 0; k < INDEX_KINDS; k++) {
		plog__path(path, p, seg->base, plog__index_suffix[k]);
		unlinkat(store->dirfd, path, 0);
	}
	seg->loaded = true;
	atomic_store(&seg->fd, fd);
	atomic_store(&seg->used_ms, clock_mono_ms());
	atomic_fetch_add(&store->open_files, 1);
	return 0;
}

void plog__seg_note(struct plog_segment *seg, const struct log_batch *b, uint32_t pos)
{
	struct plog_offset_entry e = {(uint32_t)(b->base - seg->base), pos};

	if (b->max_ts > seg->max_ts) {
		seg->max_ts = b->max_ts;
		seg->max_ts_offset = b->base;
	}
	pthread_mutex_lock(&seg->lock);
	struct plog_index *times = &seg->index[INDEX_TIME];
	const struct plog_time_entry *last =
		times->n ? (const struct plog_time_entry *)(const void *)times->v + times->n - 1 : NULL;
	bool first = seg->index[INDEX_OFFSET].n == 0;

	if (first || pos - seg->indexed_pos >= seg->store->cfg.index_interval) {
		plog__index_add(&seg->index[INDEX_OFFSET], INDEX_OFFSET, &e);
		seg->indexed_pos = pos;
		if (b->max_ts >= 0 && b->max_ts == seg->max_ts && (!last || b->max_ts > last->ts))
			plog__index_add(times, INDEX_TIME, &(struct plog_time_entry){b->max_ts, e.rel, pos});
	}
	pthread_mutex_unlock(&seg->lock);
	seg->saved = false;
}

void plog__seg_note_abort(struct plog_segment *seg, const struct plog_txn_entry *e)
{
	pthread_mutex_lock(&seg->lock);
	plog__index_add(&seg->index[INDEX_TXN], INDEX_TXN, e);
	seg->txn_n = seg->index[INDEX_TXN].n;
	pthread_mutex_unlock(&seg->lock);
	seg->saved = false;
}

/* Only the thread that may change the segment gets here, so the arrays stand still. */
int plog__seg_save(struct plog *p, struct plog_segment *seg)
{
	struct plog_index mapped[INDEX_KINDS] = {0};
	char path[PLOG_PATH];
	bool ok = true;

	if (seg->saved || !seg->loaded)
		return 0;
	for (int k = 0; k < INDEX_KINDS; k++) {
		plog__path(path, p, seg->base, plog__index_suffix[k]);
		if (plog__index_save(p->store->dirfd, path, &seg->index[k], k, seg->base))
			return -1;
	}
	seg->saved = true;
	if (!seg->sealed)
		return 0;
	for (int k = 0; k < INDEX_KINDS && ok; k++) {
		plog__path(path, p, seg->base, plog__index_suffix[k]);
		ok = !seg->index[k].n || !plog__index_load(p->store->dirfd, path, k, seg->base, &mapped[k]);
	}
	pthread_mutex_lock(&seg->lock);
	for (int k = 0; k < INDEX_KINDS; k++) {
		if (ok) {
			plog__index_done(&seg->index[k]);
			seg->index[k] = mapped[k];
		} else {
			plog__index_done(&mapped[k]);
		}
	}
	pthread_mutex_unlock(&seg->lock);
	return 0;
}

int plog__seg_load(struct plog *p, struct plog_segment *seg)
{
	struct plog_index in[INDEX_KINDS] = {0};
	char path[PLOG_PATH];
	bool ok = true;

	pthread_mutex_lock(&seg->lock);
	bool loaded = seg->loaded;

	pthread_mutex_unlock(&seg->lock);
	if (loaded)
		return 0;
	/* A sealed segment: its size stands still. */
	const bool needed[INDEX_KINDS] = {seg->size > 0, false, seg->txn_n > 0};

	for (int k = 0; k < INDEX_KINDS && ok; k++) {
		plog__path(path, p, seg->base, plog__index_suffix[k]);
		ok = !plog__index_load(p->store->dirfd, path, k, seg->base, &in[k]) || !needed[k];
	}
	if (ok && (seg->txn_n != in[INDEX_TXN].n))
		ok = false;
	if (!ok) {
		for (int k = 0; k < INDEX_KINDS; k++)
			plog__index_done(&in[k]);
		if (plog__index_rebuild(p, seg, in))
			return -1;
	}
	pthread_mutex_lock(&seg->lock);
	for (int k = 0; k < INDEX_KINDS; k++) {
		if (seg->loaded) {
			plog__index_done(&in[k]);
		} else {
			seg->index[k] = in[k];
		}
	}
	if (!seg->loaded) {
		const struct plog_offset_entry *e = (const struct plog_offset_entry *)(const void *)in[INDEX_OFFSET].v;

		seg->txn_n = in[INDEX_TXN].n;
		seg->indexed_pos = in[INDEX_OFFSET].n ? e[in[INDEX_OFFSET].n - 1].pos : 0;
	}
	seg->loaded = true;
	seg->saved = ok;
	pthread_mutex_unlock(&seg->lock);
	return 0;
}

int plog__seg_pin(struct plog *p, struct plog_segment *seg)
{
	return plog__seg_fd(p, seg) < 0 || plog__seg_load(p, seg) ? -1 : 0;
}

/* Deleted files become spare ones when nobody reads them, up to a number. */
void plog__seg_unlink(struct plog *p, struct plog_segment *seg)
{
	struct plog_store *store = p->store;
	char path[PLOG_PATH], spare[32];

	plog__path(path, p, seg->base, ".log");
	if (atomic_load(&seg->refs) > 1) {
		plog__seg_pin(p, seg); /* in no list any more: there will be no further readers */
	} else if (atomic_load(&store->spares) < (int)store->cfg.spare_files) {
		for (unsigned i = 0; i < store->cfg.spare_files; i++) {
			snprintf(spare, sizeof(spare), "spare-%u", i);
			if (faccessat(store->dirfd, spare, F_OK, 0) == 0)
				continue;
			int fd = plog__seg_fd(p, seg);

			/* Emptied before it gets the name: old batches must never stand in a new segment. */
			if (fd >= 0 && !ftruncate(fd, 0) && !renameat(store->dirfd, path, store->dirfd, spare))
				atomic_fetch_add(&store->spares, 1);
			break;
		}
	}
	unlinkat(store->dirfd, path, 0);
	for (int k = 0; k < INDEX_KINDS; k++) {
		plog__path(path, p, seg->base, plog__index_suffix[k]);
		unlinkat(store->dirfd, path, 0);
	}
}

enum { SCAN_BUFFER = 256 << 10 };

struct scan {
	int fd;
	uint8_t *buf;
	uint32_t at, n, pos; /* buf[at..n) is the file from pos on */
	uint32_t to;
};

/* At least want bytes in the buffer, or as many as the file has. */
static int scan_fill(struct scan *s, uint32_t want)
{
	if (s->n - s->at >= want)
		return 0;
	memmove(s->buf, s->buf + s->at, s->n - s->at);
	s->n -= s->at;
	s->at = 0;
	while (s->n < want && s->pos + s->n < s->to) {
		uint32_t room = SCAN_BUFFER - s->n, rest = s->to - s->pos - s->n;
		ssize_t k = pread(s->fd, s->buf + s->n, room < rest ? room : rest, (off_t)s->pos + s->n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -1;
		if (k == 0)
			break;
		s->n += (uint32_t)k;
	}
	return 0;
}

static void scan_skip(struct scan *s, uint32_t n)
{
	uint32_t have = s->n - s->at;

	s->at += n < have ? n : have;
	s->pos += n;
	if (n > have)
		s->at = s->n = 0;
}

/* Checksum of a batch of any size: 1 good, 0 bad, -1 unreadable. Leaves the buffer behind the batch. */
static int scan_crc(struct scan *s, const struct log_batch *b)
{
	uint32_t crc = 0, left = b->size, skip = KAFKA_BATCH_AT_ATTRIBUTES;

	while (left) {
		if (scan_fill(s, left < SCAN_BUFFER ? left : SCAN_BUFFER))
			return -1;
		uint32_t k = s->n - s->at < left ? s->n - s->at : left;

		if (k <= skip)
			return 0;
		crc = kafka_crc32c_extend(crc, s->buf + s->at + skip, k - skip);
		skip = 0;
		scan_skip(s, k);
		left -= k;
	}
	return crc == b->crc;
}

int plog__scan(int fd, uint32_t from, uint32_t to, int64_t min_offset, bool crc, plog_scan_f *fn, void *arg,
	       uint32_t *ret_valid)
{
	struct scan s = {.fd = fd, .buf = mem_alloc(SCAN_BUFFER), .pos = from, .to = to};
	uint8_t head[SCAN_WHOLE];
	struct log_batch b;
	uint32_t pos = from;
	int rc = 0;

	for (;;) {
		rc = scan_fill(&s, SCAN_WHOLE);
		if (rc || s.n - s.at < KAFKA_BATCH_SIZE || !batch_parse(s.buf + s.at, &b) || b.base < min_offset ||
		    b.size > to - pos)
			break;
		uint32_t whole = b.size < SCAN_WHOLE ? b.size : SCAN_WHOLE;

		if (s.n - s.at < whole)
			break;
		memcpy(head, s.buf + s.at, whole);
		if (crc) {
			int good = scan_crc(&s, &b);

			rc = good < 0 ? -1 : 0;
			if (good != 1)
				break;
		} else {
			scan_skip(&s, b.size);
		}
		if (fn(arg, &b, head, pos))
			break;
		pos += b.size;
		min_offset = b.last + 1;
	}
	free(s.buf);
	*ret_valid = pos;
	return rc;
}
