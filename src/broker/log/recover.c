/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "broker/log/priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int plog__adopt(struct plog *p, const struct plog_state *s)
{
	p->start = s->start;
	p->clean_end = s->clean_end;
	p->checkpoint = s->checkpoint;
	p->checkpoint_producers = s->producers;
	p->stable = s->stable;
	p->epochs = mem_zalloc((s->n_epochs + 1) * sizeof(*p->epochs));
	p->n_epochs = s->n_epochs;
	memcpy(p->epochs, s->epochs, s->n_epochs * sizeof(*s->epochs));
	memcpy(p->snapshots, s->snapshots, sizeof(p->snapshots));
	for (uint32_t i = 0; i < s->n_segs; i++) {
		const struct plog_seg_state *from = &s->segs[i];
		struct plog_segment *seg = plog__seg_new(p->store, from->base);

		seg->size = seg->reserved = from->size;
		seg->max_ts = from->max_ts;
		seg->max_ts_offset = from->max_ts_offset;
		seg->created_ms = from->created_ms;
		seg->clean_ms = from->clean_ms;
		seg->txn_n = from->txn_n;
		seg->saved = true;
		seg->sealed = i + 1 < s->n_segs;
		if (seg->base == s->checkpoint.seg)
			p->checkpoint_txns = seg->txn_n;
		p->bytes += seg->size;
		plog__segs_add(p, seg);
	}
	p->end = (struct plog_at){s->end, plog__active(p)->base, plog__active(p)->size};
	p->durable = p->end;
	p->producers_loaded = s->producers == 0;
	return PLOG_OK;
}

/* ---- listing ---- */

struct listing {
	int64_t *v;
	size_t n, cap;
	bool left; /* something of an interrupted compaction or write is there */
};

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static bool parse_digits(const char *s, size_t n, int64_t *ret)
{
	long long v;

	while (n > 1 && *s == '0') {
		s++;
		n--;
	}
	if (!str_to_int((struct str){s, n}, 0, INT64_MAX, &v))
		return false;
	*ret = v;
	return true;
}

static DIR *open_dir(struct plog *p)
{
	int fd = openat(p->store->dirfd, p->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? NULL : fdopendir(fd);
}

/* A compaction was stopped between its rename and the removal of what it replaced: "<base>-<end>.swap". */
static void finish_swap(struct plog *p, const char *name)
{
	char from[PLOG_PATH + 32], to[PLOG_PATH];
	int64_t base, end;

	if (!parse_digits(name, 20, &base) || !parse_digits(name + 21, 20, &end))
		return;
	snprintf(from, sizeof(from), "%s/%s", p->name, name);
	/* The old segments within go first, then the new one takes the first one's name; each step can be repeated. */
	DIR *dir = open_dir(p);
	struct dirent *e;

	if (!dir)
		return;
	while ((e = readdir(dir))) {
		int64_t at;

		if (strlen(e->d_name) > 20 && e->d_name[20] == '.' && parse_digits(e->d_name, 20, &at) && at >= base &&
		    at < end && strcmp(e->d_name + 20, ".snapshot"))
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	closedir(dir);
	plog__path(to, p, base, ".log");
	renameat(p->store->dirfd, from, p->store->dirfd, to);
}

static bool is_left(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot && (!strcmp(dot, ".swap") || !strcmp(dot, ".tmp") || !strcmp(dot, ".cleaned"));
}

static void finish_swaps(struct plog *p)
{
	DIR *dir = open_dir(p);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		size_t n = strlen(e->d_name);

		if (n == 46 && !strcmp(e->d_name + 41, ".swap"))
			finish_swap(p, e->d_name);
		else if ((n > 4 && !strcmp(e->d_name + n - 4, ".tmp")) ||
			 (n > 8 && !strcmp(e->d_name + n - 8, ".cleaned")))
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

/* Offsets of the files with a suffix, sorted. */
static int list(struct plog *p, const char *suffix, struct listing *ret)
{
	DIR *dir = open_dir(p);
	struct dirent *e;

	if (!dir)
		return -1;
	while ((e = readdir(dir))) {
		int64_t at;

		ret->left = ret->left || is_left(e->d_name);
		if (strlen(e->d_name) != 20 + strlen(suffix) || strcmp(e->d_name + 20, suffix) ||
		    !parse_digits(e->d_name, 20, &at))
			continue;
		if (ret->n == ret->cap) {
			ret->cap = ret->cap ? ret->cap * 2 : 16;
			ret->v = mem_realloc(ret->v, ret->cap * sizeof(*ret->v));
		}
		ret->v[ret->n++] = at;
	}
	closedir(dir);
	if (ret->n)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_value);
	return 0;
}

/* ---- snapshots ---- */

void plog__snapshot_load(struct plog *p, int64_t max_offset, int64_t *ret_offset)
{
	struct listing l = {0};
	char path[PLOG_PATH];

	*ret_offset = -1;
	plog__producers_done(&p->producers);
	if (list(p, ".snapshot", &l))
		return;
	for (size_t i = l.n; i-- > 0 && *ret_offset < 0;) {
		struct buf b;
		int64_t at;

		if (l.v[i] > max_offset)
			continue;
		buf_init(&b, 512u << 20);
		plog__path(path, p, l.v[i], ".snapshot");
		if (!plog__slurp(p->store->dirfd, path, &b) &&
		    plog__producers_decode(&p->producers, buf_view(&b), &at) && at == l.v[i])
			*ret_offset = at;
		buf_done(&b);
	}
	free(l.v);
}

/* ---- replay ---- */

struct replay {
	struct producers *producers;
	struct plog_segment *seg; /* whose indexes are built; NULL: none */
	int64_t seg_base, producers_from;
	int64_t end; /* offset behind the last batch */
	int64_t now_ms;
};

static int replay_batch(void *arg, const struct log_batch *b, const uint8_t *data, uint32_t pos)
{
	struct replay *r = arg;
	struct plog_txn_entry aborted;
	int32_t coordinator_epoch;

	if (b->last - r->seg_base > INT32_MAX || b->size > PLOG_BATCH_MAX)
		return 1;
	if (r->seg)
		plog__seg_note(r->seg, b, pos);
	if (b->producer_id >= 0 && b->base >= r->producers_from) {
		if (b->attrs & KAFKA_ATTR_CONTROL) {
			int type = b->size <= SCAN_WHOLE ? batch_marker(data, b->size, &coordinator_epoch) : -1;

			if (type >= 0 &&
			    plog__producer_apply_marker(r->producers, b, type, coordinator_epoch, r->now_ms,
							&aborted) &&
			    r->seg)
				plog__seg_note_abort(r->seg, &aborted);
		} else {
			plog__producer_apply(r->producers, b, &(struct plog_at){b->base, r->seg_base, pos}, r->now_ms);
		}
	}
	r->end = b->last + 1;
	return 0;
}

/* Deletes the segments from number i on. */
static void drop_back(struct plog *p, uint32_t i)
{
	for (uint32_t k = i; k < p->n_segs; k++) {
		atomic_fetch_add(&p->store->truncated_bytes, p->segs[k]->size);
		plog__seg_unlink(p, p->segs[k]);
		plog__seg_unref(p->segs[k]);
	}
	p->n_segs = i;
}

int plog__replay(struct plog *p, uint32_t i, uint32_t pos, int64_t producers_from, bool cut)
{
	struct replay r = {.producers = &p->producers,
			   .now_ms = clock_now_ms(),
			   .producers_from = producers_from,
			   .end = pos ? producers_from : p->segs[i]->base};

	for (; i < p->n_segs; i++, pos = 0) {
		struct plog_segment *seg = p->segs[i];
		int fd = plog__seg_fd(p, seg);
		uint32_t valid = 0;

		r.seg = cut ? seg : NULL;
		r.seg_base = seg->base;
		/* An overlap would use offsets twice: what comes later is not believed. */
		if (fd < 0 || (cut && !pos && seg->base < r.end)) {
			if (fd < 0)
				return PLOG_STORAGE;
			drop_back(p, i);
			break;
		}
		if (cut && !pos) {
			seg->max_ts = seg->max_ts_offset = -1;
			seg->txn_n = 0;
			seg->saved = false;
		}
		if (plog__scan(fd, pos, seg->size, pos ? r.end : seg->base, cut, replay_batch, &r, &valid))
			return PLOG_STORAGE;
		if (!cut)
			continue;
		if (valid < seg->size) {
			atomic_fetch_add(&p->store->truncated_bytes, seg->size - valid);
			if (ftruncate(fd, valid))
				return PLOG_STORAGE;
			seg->size = seg->reserved = valid;
			drop_back(p, i + 1);
		}
		seg->loaded = true;
		r.end = larger(r.end, seg->base);
		/* A partition may have more segments than there may be open files. */
		if (i + 1 < p->n_segs)
			plog__seg_close(seg);
	}
	if (cut)
		p->end = (struct plog_at){r.end, plog__active(p)->base, plog__active(p)->size};
	return PLOG_OK;
}

struct plog_segment *plog__seg_after(struct plog *p, int64_t base)
{
	struct plog_segment *seg = NULL;

	pthread_mutex_lock(&p->lock);
	for (uint32_t i = plog__segs_find(p, base); i < p->n_segs && !seg; i++) {
		if (p->segs[i]->base > base)
			seg = plog__seg_ref(p->segs[i]);
	}
	pthread_mutex_unlock(&p->lock);
	return seg;
}

int plog__index_rebuild(struct plog *p, struct plog_segment *seg, struct plog_index *ret_index)
{
	struct producers ps = {.max = p->store->cfg.producers_max};
	struct plog_segment *into = plog__seg_new(p->store, seg->base), *from;
	struct replay r = {.producers = &ps};
	uint32_t valid;
	int rc = 0;

	/* Transactions that were aborted here may have begun in any segment before. */
	for (int64_t at = seg->txn_n ? -1 : seg->base - 1; !rc && at < seg->base && (from = plog__seg_after(p, at));) {
		int fd = plog__seg_fd(p, from);

		r.seg = from->base == seg->base ? into : NULL;
		r.seg_base = at = from->base;
		rc = fd < 0 || plog__scan(fd, 0, from->size, from->base, false, replay_batch, &r, &valid) ? -1 : 0;
		plog__seg_unref(from);
	}
	for (int k = 0; k < INDEX_KINDS && !rc; k++) {
		ret_index[k] = into->index[k];
		into->index[k] = (struct plog_index){0};
	}
	plog__seg_unref(into);
	plog__producers_done(&ps);
	return rc;
}

/* ---- recovery of a partition ---- */

static const struct plog_seg_state *seg_state(const struct plog_state *s, int64_t base)
{
	for (uint32_t i = 0; s && i < s->n_segs; i++) {
		if (s->segs[i].base == base)
			return &s->segs[i];
	}
	return NULL;
}

static int add_segments(struct plog *p)
{
	struct listing l = {0};
	char path[PLOG_PATH];
	struct stat st;
	int rc = list(p, ".log", &l);

	if (!rc && l.left) {
		finish_swaps(p);
		l.n = 0;
		rc = list(p, ".log", &l);
	}

	for (size_t i = 0; i < l.n && !rc; i++) {
		plog__path(path, p, l.v[i], ".log");
		rc = fstatat(p->store->dirfd, path, &st, 0);
		if (rc)
			break;
		struct plog_segment *seg = plog__seg_new(p->store, l.v[i]);

		/* Positions are 31 bits wide; nothing behind them was written here. */
		seg->size = seg->reserved = st.st_size > INT32_MAX ? INT32_MAX : (uint32_t)st.st_size;
		seg->created_ms = (int64_t)st.st_mtim.tv_sec * 1000;
		seg->sealed = i + 1 < l.n;
		plog__segs_add(p, seg);
	}
	free(l.v);
	return rc ? -1 : 0;
}

/* Takes over what the state file says of segments before the recovery point. The number of the first that is to be
 * scanned. */
static uint32_t trust(struct plog *p, const struct plog_state *s)
{
	uint32_t i = 0;

	for (; s && i + 1 < p->n_segs && p->segs[i + 1]->base <= s->checkpoint.offset; i++) {
		const struct plog_seg_state *from = seg_state(s, p->segs[i]->base);
		struct plog_segment *seg = p->segs[i];

		if (!from || from->size != seg->size)
			break;
		seg->max_ts = from->max_ts;
		seg->max_ts_offset = from->max_ts_offset;
		seg->created_ms = from->created_ms;
		seg->clean_ms = from->clean_ms;
		seg->txn_n = from->txn_n;
		seg->saved = true;
	}
	return i;
}

/* Loads the index files that belong to the recovery point within segment i and cuts them there. */
static bool load_head(struct plog *p, uint32_t i, const struct plog_state *s)
{
	struct plog_segment *seg = p->segs[i];
	const struct plog_seg_state *from = seg_state(s, seg->base);
	struct plog_index in[INDEX_KINDS] = {0};
	char path[PLOG_PATH];
	bool ok = from && seg->base == s->checkpoint.seg && s->checkpoint.pos && s->checkpoint.pos <= seg->size;

	for (int k = 0; k < INDEX_KINDS && ok; k++) {
		plog__path(path, p, seg->base, plog__index_suffix[k]);
		bool have = !plog__index_load(p->store->dirfd, path, k, seg->base, &in[k]);

		ok = have || k == INDEX_TIME || (k == INDEX_TXN && !from->txn_n);
	}
	const struct plog_offset_entry *o = (const struct plog_offset_entry *)(const void *)in[INDEX_OFFSET].v;
	const struct plog_time_entry *t = (const struct plog_time_entry *)(const void *)in[INDEX_TIME].v;
	const struct plog_txn_entry *x = (const struct plog_txn_entry *)(const void *)in[INDEX_TXN].v;

	while (ok && in[INDEX_OFFSET].n && o[in[INDEX_OFFSET].n - 1].pos >= s->checkpoint.pos)
		in[INDEX_OFFSET].n--;
	while (ok && in[INDEX_TIME].n && t[in[INDEX_TIME].n - 1].pos >= s->checkpoint.pos)
		in[INDEX_TIME].n--;
	while (ok && in[INDEX_TXN].n && x[in[INDEX_TXN].n - 1].last >= s->checkpoint.offset)
		in[INDEX_TXN].n--;
	ok = ok && in[INDEX_OFFSET].n;
	for (int k = 0; k < INDEX_KINDS; k++) {
		if (ok)
			seg->index[k] = in[k];
		else
			plog__index_done(&in[k]);
	}
	if (!ok)
		return false;
	seg->indexed_pos = o[in[INDEX_OFFSET].n - 1].pos;
	seg->max_ts = from->max_ts;
	seg->max_ts_offset = from->max_ts_offset;
	seg->created_ms = from->created_ms;
	seg->txn_n = in[INDEX_TXN].n;
	return true;
}

/* Finds where to begin, and reads from there on: the recovery point when its index and snapshot are good, else the
 * beginning of the log. */
static int scan_from_checkpoint(struct plog *p, const struct plog_state *s, bool *ret_good)
{
	uint32_t i = trust(p, s), pos = 0;
	int64_t at = -1;
	bool good = s && p->segs[i]->base == s->checkpoint.seg && s->checkpoint.offset >= 0;

	if (good && s->producers) {
		plog__snapshot_load(p, s->checkpoint.offset, &at);
		good = at == s->checkpoint.offset;
	}
	if (good && s->checkpoint.pos) {
		good = load_head(p, i, s);
		pos = s->checkpoint.pos;
	}
	*ret_good = good;
	if (good)
		return plog__replay(p, i, pos, s->checkpoint.offset, true);
	plog__producers_done(&p->producers);
	return plog__replay(p, 0, 0, 0, true);
}

/* Offsets that were handed out before the stop are not handed out again: the log goes on at "next". */
static int skip_to(struct plog *p, int64_t next)
{
	struct plog_segment *seg = p->n_segs ? plog__active(p) : NULL;

	if (seg && (p->end.offset >= next))
		return PLOG_OK;
	if (seg && !seg->size) {
		plog__seg_unlink(p, seg);
		plog__seg_unref(seg);
		p->n_segs--;
	}
	if (p->n_segs)
		plog__active(p)->sealed = true;
	seg = plog__seg_new(p->store, next);
	seg->created_ms = clock_now_ms();
	seg->saved = true;
	if (plog__seg_create(p, seg)) {
		plog__seg_unref(seg);
		return PLOG_STORAGE;
	}
	plog__segs_add(p, seg);
	p->end = (struct plog_at){next, next, 0};
	return PLOG_OK;
}

/* A new leader epoch begins at the end, so that consumers can tell what they read before the stop from what follows. */
static void next_epoch(struct plog *p)
{
	int32_t epoch = p->n_epochs ? p->epochs[p->n_epochs - 1].epoch : -1;

	while (p->n_epochs && p->epochs[p->n_epochs - 1].start >= p->end.offset)
		p->n_epochs--;
	if (p->n_epochs == PLOG_EPOCHS_MAX)
		memmove(p->epochs, p->epochs + 1, --p->n_epochs * sizeof(*p->epochs));
	p->epochs[p->n_epochs++] = (struct plog_epoch){epoch + 1, p->end.offset};
}

/* Are the files as the state file has them, and was everything flushed then? Logs only grow at their ends, so equal
 * sizes are equal contents. */
static bool untouched(const struct plog *p, const struct plog_state *s)
{
	if (!s || s->n_segs != p->n_segs || s->checkpoint.offset != s->end)
		return false;
	for (uint32_t i = 0; i < p->n_segs; i++) {
		if (s->segs[i].base != p->segs[i]->base || s->segs[i].size != p->segs[i]->size)
			return false;
	}
	return true;
}

static void drop_list(struct plog *p)
{
	for (uint32_t i = 0; i < p->n_segs; i++)
		plog__seg_unref(p->segs[i]);
	p->n_segs = 0;
}

static int recover_files(struct plog *p, const struct plog_state *s)
{
	bool from_checkpoint = false;
	int rc = p->n_segs ? scan_from_checkpoint(p, s, &from_checkpoint) : PLOG_OK;

	if (!rc)
		rc = skip_to(p, larger(p->start, s ? s->end : 0));
	if (rc)
		return rc;
	p->start = larger(p->start, p->segs[0]->base);
	p->producers_loaded = true;
	p->clean_end = s ? s->clean_end : 0;
	for (uint32_t i = 0; i < p->n_segs; i++)
		p->bytes += p->segs[i]->size;
	p->checkpoint.offset = -1;
	p->durable = (struct plog_at){p->segs[0]->base, p->segs[0]->base, 0};
	if (from_checkpoint) {
		p->checkpoint = s->checkpoint;
		p->checkpoint_producers = s->producers;
		const struct plog_seg_state *at = seg_state(s, s->checkpoint.seg);

		p->checkpoint_txns = at ? at->txn_n : 0;
		memcpy(p->snapshots, s->snapshots, sizeof(p->snapshots));
		if (s->checkpoint.offset >= p->start)
			p->durable = s->checkpoint;
	}
	p->dir_dirty = true;
	plog__stable_update(p);
	next_epoch(p);
	atomic_fetch_add(&p->store->recovered, 1);
	return PLOG_OK;
}

int plog__recover(struct plog *p, const struct plog_state *s)
{
	struct plog_epoch *epochs = NULL;
	uint32_t n_epochs = 0;
	int64_t start = 0;

	if (plog__meta_load(p->store, str_of(p->name), p->topic_id, &start, &epochs, &n_epochs))
		return PLOG_STORAGE;
	if (s && memcmp(s->topic_id, p->topic_id, 16))
		s = NULL; /* another topic had this name */
	if (add_segments(p)) {
		free(epochs);
		return PLOG_STORAGE;
	}
	if (p->n_segs && untouched(p, s)) {
		free(epochs);
		drop_list(p);
		plog__adopt(p, s);
		p->start = larger(start, s->start);
		return PLOG_OK;
	}
	p->start = s ? larger(start, s->start) : start;
	if (s && s->n_epochs) {
		/* Written more often than meta. */
		epochs = mem_realloc(epochs, (s->n_epochs + 1) * sizeof(*epochs));
		memcpy(epochs, s->epochs, s->n_epochs * sizeof(*epochs));
		n_epochs = s->n_epochs;
	}
	p->epochs = epochs;
	p->n_epochs = n_epochs;
	return recover_files(p, s);
}
