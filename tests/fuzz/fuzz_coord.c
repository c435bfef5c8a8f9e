/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "broker/group/group.h"
#include "broker/txn/txn.h"

#include <stdlib.h>

/* A history of records for both coordinators: u8 which and whether there is a value, u8 key length, key, u16 value
 * length, value. Whatever was accepted, the coordinator starts, lets time pass, and its snapshot is accepted again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct group_coord *groups;
static struct txn_coord *txns;

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
		if (what & 1)
			txn_replay(txns, rec);
		else
			group_replay(groups, rec);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct group_config gc = {0};
	struct txn_config tc = {0};
	struct cursor c = cursor_of((struct str){(const char *)data, size});
	int64_t now = 1000;

	groups = group_coord_new(&group_env, &gc);
	txns = txn_coord_new(&txn_env, &tc);
	feed(&c);
	struct group_coord *g = group_coord_new(&group_env, &gc);
	struct txn_coord *t = txn_coord_new(&txn_env, &tc);

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
