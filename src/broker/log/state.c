/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/mem.h"
#include "broker/log/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The state file: all partitions with their segments and recovery points, written as a whole. With a file "clean" of
 * the same number beside it, nothing was changed since. */
enum { STATE_MAGIC = 0x54534c50, STATE_VERSION = 1, STATE_MAX = 1 << 30, CLEAN_MAGIC = 0x4e4c4c50 };

static void put_at(struct buf *b, const struct plog_at *at)
{
	buf_u64(b, (uint64_t)at->offset);
	buf_u64(b, (uint64_t)at->seg);
	buf_u32(b, at->pos);
}

static struct plog_at get_at(struct cursor *c)
{
	struct plog_at at;

	at.offset = (int64_t)cursor_u64(c);
	at.seg = (int64_t)cursor_u64(c);
	at.pos = cursor_u32(c);
	return at;
}

/* lock is held */
static void encode(struct plog *p, struct buf *b)
{
	size_t n = strlen(p->name);

	buf_u32(b, (uint32_t)n);
	buf_add(b, p->name, n);
	buf_add(b, p->topic_id, 16);
	buf_u64(b, (uint64_t)p->start);
	buf_u64(b, (uint64_t)p->end.offset);
	buf_u64(b, (uint64_t)p->clean_end);
	put_at(b, &p->checkpoint);
	put_at(b, &p->stable);
	buf_u32(b, p->checkpoint_producers);
	buf_u64(b, (uint64_t)p->snapshots[0]);
	buf_u64(b, (uint64_t)p->snapshots[1]);
	buf_u32(b, p->n_epochs);
	for (uint32_t i = 0; i < p->n_epochs; i++) {
		buf_u32(b, (uint32_t)p->epochs[i].epoch);
		buf_u64(b, (uint64_t)p->epochs[i].start);
	}
	buf_u32(b, p->n_segs);
	for (uint32_t i = 0; i < p->n_segs; i++) {
		const struct plog_segment *seg = p->segs[i];

		buf_u64(b, (uint64_t)seg->base);
		buf_u64(b, (uint64_t)seg->max_ts);
		buf_u64(b, (uint64_t)seg->max_ts_offset);
		buf_u64(b, (uint64_t)seg->created_ms);
		buf_u64(b, (uint64_t)seg->clean_ms);
		buf_u32(b, seg->size);
		/* What came behind the recovery point is not in the index file yet, and is found again by recovery. */
		bool there = p->checkpoint.offset >= 0 && seg->base == p->checkpoint.seg;

		buf_u32(b, there ? p->checkpoint_txns : seg->txn_n);
	}
}

static int mark_clean(struct plog_store *store)
{
	struct buf b;

	buf_init(&b, 64);
	buf_u32(&b, CLEAN_MAGIC);
	buf_u64(&b, store->state_seq);
	int rc = plog__replace(store->dirfd, "clean", buf_view(&b), true);

	buf_done(&b);
	return rc;
}

int plog__state_save(struct plog_store *store, bool clean)
{
	uint32_t count = 0;
	struct buf b;

	buf_init(&b, STATE_MAX);
	buf_u32(&b, STATE_MAGIC);
	buf_u32(&b, STATE_VERSION);
	buf_u64(&b, ++store->state_seq);
	size_t count_at = b.n;

	buf_u32(&b, 0);
	pthread_mutex_lock(&store->lock);
	for (uint32_t i = 0; i < store->n; i++) {
		struct plog *p = store->v[i];

		if (!p)
			continue;
		pthread_mutex_lock(&p->lock);
		if (p->n_segs && p->code != PLOG_GONE) {
			encode(p, &b);
			count++;
		}
		pthread_mutex_unlock(&p->lock);
	}
	pthread_mutex_unlock(&store->lock);
	buf_put_u32(&b, count_at, count);
	buf_u32(&b, kafka_crc32c(b.p, b.n));
	int rc = b.failed ? -1 : plog__replace(store->dirfd, "state", buf_view(&b), true);

	buf_done(&b);
	if (!rc && clean)
		rc = mark_clean(store);
	if (!rc)
		rc = fsync(store->dirfd);
	return rc;
}

static void decode_segs(struct cursor *c, struct arena *a, struct plog_state *s)
{
	s->n_segs = cursor_u32(c);
	if (s->n_segs > cursor_left(c) / 48) {
		c->failed = true;
		return;
	}
	s->segs = ARENA_ARRAY(a, struct plog_seg_state, s->n_segs + 1);
	for (uint32_t i = 0; i < s->n_segs; i++) {
		struct plog_seg_state *seg = &s->segs[i];

		seg->base = (int64_t)cursor_u64(c);
		seg->max_ts = (int64_t)cursor_u64(c);
		seg->max_ts_offset = (int64_t)cursor_u64(c);
		seg->created_ms = (int64_t)cursor_u64(c);
		seg->clean_ms = (int64_t)cursor_u64(c);
		seg->size = cursor_u32(c);
		seg->txn_n = cursor_u32(c);
	}
}

static void decode(struct cursor *c, struct arena *a, struct plog_state *s)
{
	s->name = cursor_str(c);
	s->topic_id = (const uint8_t *)cursor_bytes(c, 16).p;
	s->start = (int64_t)cursor_u64(c);
	s->end = (int64_t)cursor_u64(c);
	s->clean_end = (int64_t)cursor_u64(c);
	s->checkpoint = get_at(c);
	s->stable = get_at(c);
	s->producers = cursor_u32(c);
	s->snapshots[0] = (int64_t)cursor_u64(c);
	s->snapshots[1] = (int64_t)cursor_u64(c);
	s->n_epochs = cursor_u32(c);
	if (s->n_epochs > PLOG_EPOCHS_MAX) {
		c->failed = true;
		return;
	}
	s->epochs = ARENA_ARRAY(a, struct plog_epoch, s->n_epochs + 1);
	for (uint32_t i = 0; i < s->n_epochs; i++) {
		s->epochs[i].epoch = (int32_t)cursor_u32(c);
		s->epochs[i].start = (int64_t)cursor_u64(c);
	}
	decode_segs(c, a, s);
}

static bool is_clean(struct plog_store *store, uint64_t seq)
{
	struct buf b;
	bool clean = false;

	buf_init(&b, 64);
	if (!plog__slurp(store->dirfd, "clean", &b)) {
		struct cursor c = cursor_of(buf_view(&b));

		clean = cursor_u32(&c) == CLEAN_MAGIC && cursor_u64(&c) == seq && !c.failed;
	}
	buf_done(&b);
	return clean;
}

int plog__state_load(struct plog_store *store, struct arena *a, struct plog_state **ret_v, uint32_t *ret_n,
		     bool *ret_clean)
{
	struct buf b;
	int rc = -1;

	buf_init(&b, STATE_MAX);
	if (!plog__slurp(store->dirfd, "state", &b) && b.n > 24) {
		struct str s = arena_str(a, buf_view(&b)), body = str_sub(s, 0, s.n - 4);
		struct cursor c = cursor_of(body), tail = cursor_of(str_sub(s, s.n - 4, s.n));
		bool good = cursor_u32(&tail) == kafka_crc32c(body.p, body.n) && cursor_u32(&c) == STATE_MAGIC &&
			    cursor_u32(&c) == STATE_VERSION;
		uint64_t seq = cursor_u64(&c);
		uint32_t n = cursor_u32(&c);

		if (good && n <= cursor_left(&c) / 100) {
			*ret_v = ARENA_ARRAY(a, struct plog_state, n + 1);
			for (uint32_t i = 0; i < n && !c.failed; i++)
				decode(&c, a, &(*ret_v)[i]);
			rc = c.failed ? -1 : 0;
		}
		if (!rc) {
			*ret_n = n;
			*ret_clean = is_clean(store, seq);
			store->state_seq = seq;
		}
	}
	buf_done(&b);
	return rc;
}

/* ---- recovery points ---- */

static int save_snapshot(struct plog *p)
{
	char path[PLOG_PATH];
	struct buf b;

	if (!p->producers.n)
		return 0;
	buf_init(&b, 512u << 20);
	plog__producers_encode(&p->producers, p->end.offset, &b);
	plog__path(path, p, p->end.offset, ".snapshot");
	int rc = b.failed ? -1 : plog__replace(p->store->dirfd, path, buf_view(&b), false);

	buf_done(&b);
	return rc;
}

bool plog__checkpoint_prepare(struct plog *p, struct plog_at *ret_at, uint32_t *ret_producers, uint64_t *ret_gen)
{
	bool ok = false;

	pthread_mutex_lock(&p->writer);
	if (!plog__open_error(p) && p->end.offset != p->checkpoint.offset && !plog__producers_ready(p)) {
		ok = !save_snapshot(p);
		for (uint32_t i = p->n_segs; ok && i-- > 0 && !p->segs[i]->saved;)
			ok = !plog__seg_save(p, p->segs[i]);
		*ret_at = p->end;
		*ret_producers = p->producers.n;
		p->prepared_txns = plog__active(p)->txn_n;
		*ret_gen = p->generation;
	}
	plog__writer_unlock(p);
	return ok;
}

void plog__checkpoint_set(struct plog *p, const struct plog_at *at, uint32_t producers, uint64_t gen)
{
	char path[PLOG_PATH];
	int64_t old = -1;

	pthread_mutex_lock(&p->lock);
	if (!p->code && p->generation == gen) {
		p->checkpoint = *at;
		p->checkpoint_producers = producers;
		p->checkpoint_txns = p->prepared_txns;
		if (p->durable.offset < at->offset)
			p->durable = *at;
		/* The snapshot before the last goes: the last is what the state file on disk still points to. */
		old = p->snapshots[0];
		p->snapshots[0] = p->snapshots[1];
		p->snapshots[1] = producers ? at->offset : -1;
		if (old == p->snapshots[0] || old == p->snapshots[1])
			old = -1;
	}
	pthread_mutex_unlock(&p->lock);
	if (old < 0)
		return;
	plog__path(path, p, old, ".snapshot");
	unlinkat(p->store->dirfd, path, 0);
}
