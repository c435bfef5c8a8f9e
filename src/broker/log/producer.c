/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "broker/log/priv.h"

#include <stdlib.h>

/* Producers of a partition: which batches came last, for idempotence (KIP-98), and open transactions. The entries lie
 * densely in v; slots is a hash table of their numbers. */

void plog__producers_done(struct producers *ps)
{
	uint32_t max = ps->max;

	free(ps->v);
	free(ps->slots);
	free(ps->txns);
	*ps = (struct producers){.max = max};
}

static uint32_t hash(int64_t id)
{
	uint64_t h = (uint64_t)id * 0x9e3779b97f4a7c15u;

	return (uint32_t)(h >> 32);
}

static void index_all(struct producers *ps)
{
	memset(ps->slots, 0, ps->n_slots * sizeof(*ps->slots));
	for (uint32_t i = 0; i < ps->n; i++) {
		uint32_t s = hash(ps->v[i].id) & (ps->n_slots - 1);

		while (ps->slots[s])
			s = (s + 1) & (ps->n_slots - 1);
		ps->slots[s] = i + 1;
	}
}

struct producer *plog__producer_find(const struct producers *ps, int64_t id)
{
	if (!ps->n_slots)
		return NULL;
	for (uint32_t s = hash(id) & (ps->n_slots - 1); ps->slots[s]; s = (s + 1) & (ps->n_slots - 1)) {
		if (ps->v[ps->slots[s] - 1].id == id)
			return &ps->v[ps->slots[s] - 1];
	}
	return NULL;
}

static int64_t last_offset(const struct producer *pr)
{
	return pr->n_batches ? pr->batches[pr->n_batches - 1].last_offset : -1;
}

/* Forgets who did not write since a time or an offset, except open transactions. */
static void filter(struct producers *ps, int64_t since_ms, int64_t since_offset)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ps->n; i++) {
		const struct producer *pr = &ps->v[i];

		if ((pr->seen_ms >= since_ms && last_offset(pr) >= since_offset) || pr->txn_first >= 0)
			ps->v[n++] = *pr;
	}
	if (n != ps->n) {
		ps->n = n;
		index_all(ps);
	}
}

void plog__producers_expire(struct producers *ps, int64_t before_ms)
{
	filter(ps, before_ms, -1);
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The limit is reached: the eighth that was silent for longest is forgotten. */
static void evict(struct producers *ps)
{
	int64_t *offsets = mem_alloc((ps->n + 1) * sizeof(*offsets));

	for (uint32_t i = 0; i < ps->n; i++)
		offsets[i] = last_offset(&ps->v[i]);
	if (ps->n)
		qsort(offsets, ps->n, sizeof(*offsets), by_value);
	int64_t cut = ps->n ? offsets[ps->n / 8] : -1;

	free(offsets);
	filter(ps, INT64_MIN, cut + 1);
}

static struct producer *insert(struct producers *ps, int64_t id)
{
	if (ps->n >= ps->max)
		evict(ps);
	if (ps->n == ps->cap) {
		ps->cap = ps->cap ? ps->cap * 2 : 4;
		ps->v = mem_realloc(ps->v, ps->cap * sizeof(*ps->v));
	}
	ps->v[ps->n++] = (struct producer){.id = id, .txn_first = -1, .epoch = -1, .coordinator_epoch = -1};
	if (ps->n * 2 > ps->n_slots) {
		ps->n_slots = ps->n_slots ? ps->n_slots * 2 : 16;
		free(ps->slots);
		ps->slots = mem_alloc(ps->n_slots * sizeof(*ps->slots));
		index_all(ps);
	} else {
		uint32_t s = hash(id) & (ps->n_slots - 1);

		while (ps->slots[s])
			s = (s + 1) & (ps->n_slots - 1);
		ps->slots[s] = ps->n;
	}
	return &ps->v[ps->n - 1];
}

static int32_t last_seq(const struct producer *pr)
{
	return pr->n_batches ? pr->batches[pr->n_batches - 1].last_seq : -1;
}

int plog__producer_check(const struct producers *ps, const struct log_batch *b, const struct producer_batch **ret_dup)
{
	const struct producer *pr = plog__producer_find(ps, b->producer_id);

	if (b->producer_epoch < 0 || b->first_seq < 0)
		return PLOG_INVALID_RECORD;
	if (!pr && ps->n_txns >= ps->max)
		return PLOG_INVALID_REQUEST; /* all are in transactions: nobody can be forgotten */
	if (!pr)
		return PLOG_OK; /* forgotten or new: any sequence, as Kafka does since 2.5 */
	if (b->producer_epoch < pr->epoch)
		return PLOG_INVALID_EPOCH;
	for (int i = 0; i < pr->n_batches && b->producer_epoch == pr->epoch; i++) {
		if (pr->batches[i].first_seq == b->first_seq && pr->batches[i].last_seq == batch_last_seq(b)) {
			*ret_dup = &pr->batches[i];
			return PLOG_OK;
		}
	}
	if (b->producer_epoch > pr->epoch) {
		if (b->first_seq != 0 && pr->epoch >= 0)
			return PLOG_OUT_OF_ORDER;
	} else if (b->first_seq != (last_seq(pr) == -1 ? 0 : batch_seq_add(last_seq(pr), 1))) {
		return PLOG_OUT_OF_ORDER;
	}
	if (pr->txn_first >= 0 && !(b->attrs & KAFKA_ATTR_TRANSACTIONAL))
		return PLOG_INVALID_TXN_STATE;
	return PLOG_OK;
}

int plog__producer_check_marker(const struct producers *ps, const struct plog_marker *m)
{
	const struct producer *pr = plog__producer_find(ps, m->producer_id);

	if (!pr)
		return PLOG_OK;
	if (m->producer_epoch < pr->epoch || (m->newer && m->producer_epoch == pr->epoch && pr->txn_first >= 0))
		return PLOG_INVALID_EPOCH;
	return m->coordinator_epoch < pr->coordinator_epoch ? PLOG_COORDINATOR_FENCED : PLOG_OK;
}

static struct producer *get(struct producers *ps, const struct log_batch *b, int64_t now_ms)
{
	struct producer *pr = plog__producer_find(ps, b->producer_id);

	if (!pr)
		pr = insert(ps, b->producer_id);
	if (b->producer_epoch != pr->epoch) {
		pr->epoch = b->producer_epoch;
		pr->n_batches = 0;
	}
	pr->seen_ms = now_ms;
	if (b->max_ts > pr->last_ts)
		pr->last_ts = b->max_ts;
	return pr;
}

void plog__producer_apply(struct producers *ps, const struct log_batch *b, const struct plog_at *at, int64_t now_ms)
{
	struct producer *pr = get(ps, b, now_ms);

	if (pr->n_batches == PLOG_PRODUCER_BATCHES)
		memmove(pr->batches, pr->batches + 1, sizeof(pr->batches[0]) * --pr->n_batches);
	pr->batches[pr->n_batches++] = (struct producer_batch){b->last, b->max_ts, b->first_seq, batch_last_seq(b)};
	/* Compaction leaves empty batches for their sequence; their transactions are over. */
	if (!(b->attrs & KAFKA_ATTR_TRANSACTIONAL) || pr->txn_first >= 0 || !b->count)
		return;
	pr->txn_first = b->base;
	if (ps->n_txns == ps->cap_txns) {
		ps->cap_txns = ps->cap_txns ? ps->cap_txns * 2 : 8;
		ps->txns = mem_realloc(ps->txns, ps->cap_txns * sizeof(*ps->txns));
	}
	ps->txns[ps->n_txns++] = (struct plog_txn){b->producer_id, *at};
}

bool plog__producer_apply_marker(struct producers *ps, const struct log_batch *b, int type, int32_t coordinator_epoch,
				 int64_t now_ms, struct plog_txn_entry *ret_abort)
{
	struct producer *pr = get(ps, b, now_ms);
	int64_t first = pr->txn_first;

	if (coordinator_epoch > pr->coordinator_epoch)
		pr->coordinator_epoch = coordinator_epoch;
	if (first < 0)
		return false;
	pr->txn_first = -1;
	for (uint32_t i = 0; i < ps->n_txns; i++) {
		if (ps->txns[i].producer_id == b->producer_id) {
			memmove(ps->txns + i, ps->txns + i + 1, (--ps->n_txns - i) * sizeof(*ps->txns));
			break;
		}
	}
	if (type != 0)
		return false;
	*ret_abort = (struct plog_txn_entry){b->producer_id, first, b->last,
					     ps->n_txns ? ps->txns[0].at.offset : b->last + 1};
	return true;
}

/* Snapshot file: magic, version, offset, producers, open transactions with their places, checksum of all before. */
enum { SNAPSHOT_MAGIC = 0x4e534c50, SNAPSHOT_VERSION = 1, PRODUCERS_LIMIT = 1 << 22 };

void plog__producers_encode(const struct producers *ps, int64_t offset, struct buf *out)
{
	buf_u32(out, SNAPSHOT_MAGIC);
	buf_u32(out, SNAPSHOT_VERSION);
	buf_u64(out, (uint64_t)offset);
	buf_u32(out, ps->n);
	for (uint32_t i = 0; i < ps->n; i++) {
		const struct producer *pr = &ps->v[i];

		buf_u64(out, (uint64_t)pr->id);
		buf_u64(out, (uint64_t)pr->last_ts);
		buf_u64(out, (uint64_t)pr->seen_ms);
		buf_u64(out, (uint64_t)pr->txn_first);
		buf_u32(out, (uint32_t)pr->coordinator_epoch);
		buf_u16(out, (uint16_t)pr->epoch);
		buf_u8(out, pr->n_batches);
		for (int k = 0; k < pr->n_batches; k++) {
			buf_u64(out, (uint64_t)pr->batches[k].last_offset);
			buf_u64(out, (uint64_t)pr->batches[k].ts);
			buf_u32(out, (uint32_t)pr->batches[k].first_seq);
			buf_u32(out, (uint32_t)pr->batches[k].last_seq);
		}
	}
	buf_u32(out, ps->n_txns);
	for (uint32_t i = 0; i < ps->n_txns; i++) {
		buf_u64(out, (uint64_t)ps->txns[i].producer_id);
		buf_u64(out, (uint64_t)ps->txns[i].at.offset);
		buf_u64(out, (uint64_t)ps->txns[i].at.seg);
		buf_u32(out, ps->txns[i].at.pos);
	}
	buf_u32(out, kafka_crc32c_extend(0, out->p, out->n));
}

static void decode_producer(struct cursor *c, struct producer *pr)
{
	pr->last_ts = (int64_t)cursor_u64(c);
	pr->seen_ms = (int64_t)cursor_u64(c);
	pr->txn_first = (int64_t)cursor_u64(c);
	pr->coordinator_epoch = (int32_t)cursor_u32(c);
	pr->epoch = (int16_t)cursor_u16(c);
	pr->n_batches = cursor_u8(c);
	if (pr->n_batches > PLOG_PRODUCER_BATCHES) {
		pr->n_batches = 0;
		c->failed = true;
	}
	for (int k = 0; k < pr->n_batches; k++) {
		pr->batches[k].last_offset = (int64_t)cursor_u64(c);
		pr->batches[k].ts = (int64_t)cursor_u64(c);
		pr->batches[k].first_seq = (int32_t)cursor_u32(c);
		pr->batches[k].last_seq = (int32_t)cursor_u32(c);
	}
}

static bool decode_txns(struct cursor *c, struct producers *ps)
{
	uint32_t n = cursor_u32(c);

	if (n > ps->n)
		return false;
	ps->txns = mem_alloc((n + 1) * sizeof(*ps->txns));
	ps->cap_txns = n + 1;
	for (; ps->n_txns < n; ps->n_txns++) {
		struct plog_txn *t = &ps->txns[ps->n_txns];

		t->producer_id = (int64_t)cursor_u64(c);
		t->at.offset = (int64_t)cursor_u64(c);
		t->at.seg = (int64_t)cursor_u64(c);
		t->at.pos = cursor_u32(c);
	}
	return !c->failed;
}

bool plog__producers_decode(struct producers *ps, struct str file, int64_t *ret_offset)
{
	uint32_t want = 0;

	if (file.n < 28)
		return false;
	struct cursor tail = cursor_of(str_sub(file, file.n - 4, file.n));
	struct cursor c = cursor_of(str_sub(file, 0, file.n - 4));

	if (cursor_u32(&tail) != kafka_crc32c_extend(0, file.p, file.n - 4) || cursor_u32(&c) != SNAPSHOT_MAGIC ||
	    cursor_u32(&c) != SNAPSHOT_VERSION)
		return false;
	*ret_offset = (int64_t)cursor_u64(&c);
	want = cursor_u32(&c);
	if (want > PRODUCERS_LIMIT)
		return false;
	plog__producers_done(ps);
	for (uint32_t i = 0; i < want && !c.failed; i++) {
		int64_t id = (int64_t)cursor_u64(&c);

		if (c.failed || plog__producer_find(ps, id))
			c.failed = true;
		else
			decode_producer(&c, insert(ps, id));
	}
	if (c.failed || !decode_txns(&c, ps) || cursor_left(&c)) {
		plog__producers_done(ps);
		return false;
	}
	return true;
}
