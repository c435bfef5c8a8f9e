/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "broker/group/group.h"
#include "broker/share/share.h"
#include "broker/txn/txn.h"

#include <stdlib.h>

/* A history of records for all coordinators: u8 which and whether there is a value, u8 key length, key, u16 value
 * length, value. Whatever was accepted, the coordinator starts, lets time pass, and its snapshot is accepted again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct group_coord *groups;
static struct txn_coord *txns;
static struct share_coord *shares;

static void group_store(void *arg, const struct coord_record *v, size_t n, uint64_t batch)
{
	group_persisted(groups, batch, true, 0);
}

static void group_answer(void *arg, uint64_t token, const struct group_reply *r)
{
}

static bool topic(void *arg, struct str name, struct coord_uuid *ret_id, int32_t *ret_partitions)
{
	*ret_id = (struct coord_uuid){{(uint8_t)name.n}};
	*ret_partitions = 3;
	return name.n % 2;
}

static bool topic_next(void *arg, size_t *at, struct str *ret_name)
{
	*ret_name = STR("abc");
	return (*at)++ == 0;
}

static void txn_store(void *arg, const struct coord_record *v, size_t n, uint64_t batch)
{
	txn_persisted(txns, batch, true, 0);
}

static void txn_answer(void *arg, uint64_t token, const struct txn_reply *r)
{
}

static void markers(void *arg, const struct txn_markers *m)
{
	txn_markers_done(txns, m->txn_id, m->producer_id, m->epoch, true, 0);
}

static const struct group_env group_env = {.persist = group_store, .reply = group_answer, .topic = topic,
                                           .topic_next = topic_next};
static const struct txn_env txn_env = {.persist = txn_store, .reply = txn_answer, .markers = markers};

static void group_again(void *arg, struct coord_record rec)
{
	if (group_replay(arg, rec))
		abort();
}

static void txn_again(void *arg, struct coord_record rec)
{
	if (txn_replay(arg, rec))
		abort();
}

static void share_again(void *arg, struct coord_record rec)
{
	if (share_replay(arg, rec))
		abort();
}

static void share_store(void *arg, const struct coord_record *v, size_t n, uint64_t batch)
{
	share_persisted(shares, batch, true, 0);
}

static void share_answer(void *arg, uint64_t token, bool ok)
{
}

static void share_available(void *arg, const struct share_tp *tp)
{
}

static bool share_topic(void *arg, const struct coord_uuid *id)
{
	return id->b[0] & 1;
}

static const struct share_env share_env = {.persist = share_store, .reply = share_answer,
                                           .available = share_available, .topic = share_topic};

/* Everything of a group that was read, acquired and acknowledged. */
static void share_use(void)
{
	struct share_tp tp = {{{1}}, 0};
	const struct share_acquired *v;
	const int8_t accept = SHARE_ACCEPT;
	struct arena *a = arena_new(16 << 20);
	int64_t from, upto;
	bool changed;

	share_fit(shares, STR("g"), &tp, 5, 1000000, 1);
	for (int i = 0; i < 100 && share_look(shares, STR("g"), &tp, 50, &from, &upto) == SHARE_READ; i++) {
		struct share_batch batch = {from, upto, i % 7 == 6};
		struct share_acquire in = {.group = STR("g"), .member = STR("m"), .tp = tp, .from = from,
		                           .batches = &batch, .n = 1, .max_records = 50, .batch_size = 9,
		                           .lock_ms = 100, .exact = i & 1};
		size_t n = share_acquire(shares, &in, a, &v, i);

		for (size_t k = 0; k < n; k++) {
			struct share_ack ack = {v[k].first, v[k].last, &accept, 1};

			if (v[k].last < v[k].first || v[k].deliveries < 1 ||
			    (i % 5 && share_acknowledge(shares, STR("g"), STR("m"), &tp, &ack, 1, 9, &changed, i)))
				abort();
		}
	}
	share_tick(shares, 1000);
	arena_free(a);
}

static void feed(struct cursor *c)
{
	while (cursor_left(c)) {
		uint8_t what = cursor_u8(c);
		struct coord_record rec = {cursor_bytes(c, cursor_u8(c)), STR_NONE};
		struct str value = cursor_bytes(c, cursor_u16(c));

		if (c->failed)
			return;
		if (what & 2)
			rec.value = value;
		if (what & 4)
			share_replay(shares, rec);
		else if (what & 1)
			txn_replay(txns, rec);
		else
			group_replay(groups, rec);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct group_config gc = {0};
	struct txn_config tc = {0};
	struct share_config sc = {0};
	struct cursor c = cursor_of((struct str){(const char *)data, size});
	int64_t now = 1000;

	groups = group_coord_new(&group_env, &gc);
	txns = txn_coord_new(&txn_env, &tc);
	shares = share_new(&share_env, &sc);
	feed(&c);
	struct group_coord *g = group_coord_new(&group_env, &gc);
	struct txn_coord *t = txn_coord_new(&txn_env, &tc);

	struct share_coord *s = share_new(&share_env, &sc);

	share_snapshot(shares, share_again, s);
	share_free(s);
	share_loaded(shares, 0);
	share_use();
	share_free(shares);
	group_snapshot(groups, group_again, g);
	txn_snapshot(txns, txn_again, t);
	group_coord_free(g);
	txn_coord_free(t);
	group_loaded(groups, now);
	txn_loaded(txns, now);
	for (int i = 0; i < 5; i++) {
		group_tick(groups, now);
		txn_tick(txns, now);
		now += 20000;
	}
	group_coord_free(groups);
	txn_coord_free(txns);
	return 0;
}
