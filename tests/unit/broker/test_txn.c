/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/txn/txn.h"
#include "coord_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { ANSWERS = 256 };

struct marks {
	int64_t pid;
	int16_t epoch;
	bool commit;
	size_t partitions, groups;
};

struct world {
	struct txn_coord *t;
	struct txn_env env;
	struct txn_config cfg;
	struct store store;
	struct txn_reply answers[ANSWERS];
	bool there[ANSWERS];
	uint64_t token;
	struct marks marks[64];
	size_t n_marks;
	int64_t now;
	bool hold, failing;
	bool mark_now; /* markers are written at once */
};

static void settle(struct world *w)
{
	while (w->store.told < w->store.n) {
		struct stored_batch *b = &w->store.v[w->store.told++];
		bool ok = !w->failing;

		b->ok = ok;
		txn_persisted(w->t, b->id, ok, w->now);
	}
}

static void on_persist(void *arg, const struct coord_record *v, size_t n, uint64_t batch)
{
	struct world *w = arg;

	store_add(&w->store, v, n, batch);
	if (!w->hold)
		settle(w);
}

static void on_reply(void *arg, uint64_t token, const struct txn_reply *r)
{
	struct world *w = arg;

	assert_false(w->there[token % ANSWERS]);
	w->there[token % ANSWERS] = true;
	w->answers[token % ANSWERS] = *r;
}

static void on_markers(void *arg, const struct txn_markers *m)
{
	struct world *w = arg;

	w->marks[w->n_marks++ % ARRAY_LEN(w->marks)] =
		(struct marks){m->producer_id, m->epoch, m->commit, m->n_partitions, m->n_groups};
	if (w->mark_now)
		txn_markers_done(w->t, m->txn_id, m->producer_id, m->epoch, true, w->now);
}

static void open_world(struct world *w)
{
	*w = (struct world){.now = 1000000, .mark_now = true};
	w->env = (struct txn_env){w, on_persist, on_reply, on_markers};
	w->t = txn_coord_new(&w->env, &w->cfg);
	txn_loaded(w->t, w->now);
}

static struct txn_coord *replay(struct world *w)
{
	struct txn_coord *t = txn_coord_new(&w->env, &w->cfg);

	for (size_t i = 0; i < w->store.n; i++)
		for (size_t k = 0; w->store.v[i].ok && k < w->store.v[i].n; k++)
			assert_int_equal(txn_replay(t, w->store.v[i].v[k]), 0);
	return t;
}

static void restart(struct world *w)
{
	txn_coord_free(w->t);
	w->store.told = w->store.n;
	w->t = replay(w);
	txn_loaded(w->t, w->now);
}

static void close_world(struct world *w)
{
	/* What the log says is what was known: a replay gives the same records. */
	struct image live = {0}, again = {0};
	struct txn_coord *t = replay(w);

	txn_snapshot(w->t, image_add, &live);
	txn_snapshot(t, image_add, &again);
	image_sort(&live);
	image_sort(&again);
	assert_true(image_equal(&live, &again));
	image_done(&live);
	image_done(&again);
	txn_coord_free(t);
	txn_coord_free(w->t);
	store_done(&w->store);
}

static void pass(struct world *w, int64_t ms)
{
	int64_t end = w->now + ms;

	while (txn_deadline(w->t) <= end) {
		if (txn_deadline(w->t) > w->now)
			w->now = txn_deadline(w->t);
		txn_tick(w->t, w->now);
	}
	w->now = end;
}

static uint64_t token(struct world *w)
{
	w->there[++w->token % ANSWERS] = false;
	return w->token;
}

static struct txn_reply answer(struct world *w, uint64_t t)
{
	assert_true(w->there[t % ANSWERS]);
	return w->answers[t % ANSWERS];
}

static struct txn_reply init(struct world *w, const char *id, int64_t pid, int16_t epoch)
{
	uint64_t t = token(w);

	txn_init(w->t, id ? str_of(id) : STR_NONE, 60000, pid, epoch, t, w->now);
	return answer(w, t);
}

static int16_t add(struct world *w, const char *id, int64_t pid, int16_t epoch, const char *topic, int32_t partition)
{
	struct txn_partition p = {str_of(topic), partition};
	uint64_t t = token(w);

	txn_add_partitions(w->t, str_of(id), pid, epoch, &p, 1, t, w->now);
	return answer(w, t).code;
}

static int16_t add_group(struct world *w, const char *id, int64_t pid, int16_t epoch, const char *group)
{
	uint64_t t = token(w);

	txn_add_offsets(w->t, str_of(id), pid, epoch, str_of(group), t, w->now);
	return answer(w, t).code;
}

static struct txn_reply end_txn(struct world *w, const char *id, int64_t pid, int16_t epoch, bool commit, bool bump)
{
	uint64_t t = token(w);

	txn_end(w->t, str_of(id), pid, epoch, commit, bump, t, w->now);
	return answer(w, t);
}

static enum txn_state state(struct world *w, const char *id)
{
	struct arena *a = arena_new(1 << 20);
	struct txn_described d;

	txn_describe(w->t, str_of(id), a, &d);
	enum txn_state s = d.state;

	assert_int_equal(d.code, 0);
	arena_free(a);
	return s;
}

static void idempotent_ids(void **st)
{
	struct world w;
	int64_t last = -1;

	open_world(&w);
	for (int i = 0; i < 2500; i++) {
		struct txn_reply r = init(&w, NULL, -1, -1);

		assert_int_equal(r.code, 0);
		assert_int_equal(r.epoch, 0);
		assert_true(r.producer_id > last);
		last = r.producer_id;
		if (i % 700 == 0)
			restart(&w); /* an id is never given twice */
	}
	w.failing = true;
	int given = 0;

	while (init(&w, NULL, -1, -1).code == 0)
		assert_true(given++ < 1000);
	w.failing = false;
	pass(&w, 200);
	assert_int_equal(init(&w, NULL, -1, -1).code, 0);
	close_world(&w);
}

static void commit_and_abort(void **st)
{
	struct world w;

	open_world(&w);
	struct txn_reply r = init(&w, "x", -1, -1);

	assert_int_equal(r.code, 0);
	assert_int_equal(state(&w, "x"), TXN_EMPTY);
	assert_int_equal(add(&w, "x", r.producer_id, 0, "t", 0), 0);
	assert_int_equal(add(&w, "x", r.producer_id, 0, "t", 1), 0);
	assert_int_equal(add(&w, "x", r.producer_id, 0, "t", 1), 0);
	assert_int_equal(add_group(&w, "x", r.producer_id, 0, "g"), 0);
	assert_int_equal(add_group(&w, "x", r.producer_id, 0, "g"), 0);
	assert_int_equal(state(&w, "x"), TXN_ONGOING);
	assert_int_equal(end_txn(&w, "x", r.producer_id, 0, true, false).code, 0);
	assert_int_equal(w.n_marks, 1);
	assert_true(w.marks[0].commit && w.marks[0].partitions == 2 && w.marks[0].groups == 1);
	assert_int_equal(state(&w, "x"), TXN_COMPLETE_COMMIT);
	/* Repeated, and contradicted. */
	assert_int_equal(end_txn(&w, "x", r.producer_id, 0, true, false).code, 0);
	assert_int_equal(end_txn(&w, "x", r.producer_id, 0, false, false).code, COORD_INVALID_TXN_STATE);
	/* The next transaction begins without those partitions. */
	assert_int_equal(add(&w, "x", r.producer_id, 0, "u", 0), 0);
	assert_int_equal(end_txn(&w, "x", r.producer_id, 0, false, false).code, 0);
	assert_int_equal(w.n_marks, 2);
	assert_true(!w.marks[1].commit && w.marks[1].partitions == 1 && w.marks[1].groups == 0);
	assert_int_equal(state(&w, "x"), TXN_COMPLETE_ABORT);
	close_world(&w);
}

/* Rivals: EndTxn without a transaction. */
static void end_without_transaction(void **st)
{
	struct world w;

	open_world(&w);
	struct txn_reply r = init(&w, "x", -1, -1);

	assert_int_equal(end_txn(&w, "x", r.producer_id, 0, true, false).code, COORD_INVALID_TXN_STATE);
	assert_int_equal(end_txn(&w, "x", r.producer_id, 0, false, false).code, COORD_INVALID_TXN_STATE);
	assert_int_equal(end_txn(&w, "y", r.producer_id, 0, true, false).code, COORD_INVALID_PRODUCER_ID_MAPPING);
	assert_int_equal(end_txn(&w, "x", r.producer_id + 1, 0, true, false).code, COORD_INVALID_PRODUCER_ID_MAPPING);
	assert_int_equal(end_txn(&w, "x", r.producer_id, 1, true, false).code, COORD_PRODUCER_FENCED);
	assert_int_equal(end_txn(&w, "", 0, 0, true, false).code, COORD_INVALID_REQUEST);
	assert_int_equal(add(&w, "x", r.producer_id, 4, "t", 0), COORD_PRODUCER_FENCED);
	assert_int_equal(add(&w, "y", r.producer_id, 0, "t", 0), COORD_INVALID_PRODUCER_ID_MAPPING);
	assert_int_equal(w.n_marks, 0);
	close_world(&w);
}

/* Rivals: transaction.timeout.ms above the maximum was accepted. */
static void timeout_above_maximum(void **st)
{
	struct world w;
	static const int32_t bad[] = {900001, 0, -1, INT32_MAX};

	open_world(&w);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		uint64_t t = token(&w);

		txn_init(w.t, STR("x"), bad[i], -1, -1, t, w.now);
		assert_int_equal(answer(&w, t).code, COORD_INVALID_TRANSACTION_TIMEOUT);
		assert_int_equal(answer(&w, t).producer_id, -1);
	}
	uint64_t t = token(&w);

	txn_init(w.t, STR("x"), 900000, -1, -1, t, w.now);
	assert_int_equal(answer(&w, t).code, 0);
	close_world(&w);
}

static void new_instance_fences_the_old(void **st)
{
	struct world w;

	open_world(&w);
	struct txn_reply a = init(&w, "x", -1, -1);

	assert_int_equal(add(&w, "x", a.producer_id, a.epoch, "t", 0), 0);
	assert_int_equal(init(&w, "x", -1, -1).code, COORD_CONCURRENT_TRANSACTIONS);
	assert_int_equal(w.n_marks, 1);
	assert_false(w.marks[0].commit);
	assert_int_equal(w.marks[0].epoch, a.epoch + 1); /* the markers fence what the old one still sends */
	struct txn_reply b = init(&w, "x", -1, -1);

	assert_int_equal(b.code, 0);
	assert_int_equal(b.producer_id, a.producer_id);
	assert_true(b.epoch > a.epoch + 1);
	assert_int_equal(add(&w, "x", a.producer_id, a.epoch, "t", 0), COORD_PRODUCER_FENCED);
	assert_int_equal(end_txn(&w, "x", a.producer_id, a.epoch, true, false).code, COORD_PRODUCER_FENCED);
	assert_int_equal(init(&w, "x", a.producer_id, a.epoch).code, COORD_PRODUCER_FENCED);
	assert_int_equal(add(&w, "x", b.producer_id, b.epoch, "t", 0), 0);
	close_world(&w);
}

/* KIP-360 */
static void bump_by_the_producer_itself(void **st)
{
	struct world w;

	open_world(&w);
	struct txn_reply a = init(&w, "x", -1, -1), b = init(&w, "x", a.producer_id, a.epoch);

	assert_int_equal(b.epoch, a.epoch + 1);
	b = init(&w, "x", a.producer_id, a.epoch); /* the answer got lost */
	assert_int_equal(b.code, 0);
	assert_int_equal(b.epoch, a.epoch + 1);
	assert_int_equal(init(&w, "x", a.producer_id + 5, 0).code, COORD_PRODUCER_FENCED);
	struct txn_reply c = init(&w, "x", -1, -1); /* another instance */

	assert_int_equal(c.epoch, b.epoch + 1);
	assert_int_equal(init(&w, "x", b.producer_id, b.epoch).code, COORD_PRODUCER_FENCED);
	assert_int_equal(init(&w, "x", 5, -1).code, COORD_INVALID_REQUEST);
	close_world(&w);
}

static void exhausted_epochs_get_a_new_id(void **st)
{
	struct world w;

	open_world(&w);
	w.hold = false;
	struct txn_reply a = init(&w, "x", -1, -1), b = a;

	for (int i = 0; i < 40000; i++) {
		a = b;
		b = init(&w, "x", a.producer_id, a.epoch);
		assert_int_equal(b.code, 0);
		if (b.producer_id != a.producer_id)
			break;
		assert_int_equal(b.epoch, a.epoch + 1);
		store_done(&w.store);
	}
	assert_int_equal(a.epoch, INT16_MAX - 1);
	assert_int_equal(b.epoch, 0);
	struct txn_reply c = init(&w, "x", a.producer_id, a.epoch); /* repeated */

	assert_int_equal(c.producer_id, b.producer_id);
	assert_int_equal(c.epoch, 0);
	txn_coord_free(w.t);
	store_done(&w.store);
}

/* KIP-890 */
static void epoch_grows_with_each_transaction(void **st)
{
	struct world w;

	open_world(&w);
	struct txn_reply a = init(&w, "x", -1, -1);

	assert_int_equal(add(&w, "x", a.producer_id, 0, "t", 0), 0);
	struct txn_reply b = end_txn(&w, "x", a.producer_id, 0, true, true);

	assert_int_equal(b.code, 0);
	assert_int_equal(b.producer_id, a.producer_id);
	assert_int_equal(b.epoch, 1);
	assert_int_equal(w.marks[0].epoch, 1);
	/* Repeated with the old epoch; the contrary is refused. */
	struct txn_reply c = end_txn(&w, "x", a.producer_id, 0, true, true);

	assert_int_equal(c.code, 0);
	assert_int_equal(c.epoch, 1);
	assert_int_equal(end_txn(&w, "x", a.producer_id, 0, false, true).code, COORD_INVALID_TXN_STATE);
	/* A late request of the first transaction does not get into the second. */
	assert_int_equal(add(&w, "x", a.producer_id, 0, "t", 1), COORD_PRODUCER_FENCED);
	assert_int_equal(add(&w, "x", a.producer_id, 1, "t", 0), 0);
	assert_int_equal(end_txn(&w, "x", a.producer_id, 0, true, true).code, COORD_PRODUCER_FENCED);
	b = end_txn(&w, "x", a.producer_id, 1, false, true);
	assert_int_equal(b.epoch, 2);
	/* Nothing was sent: an abort is fine and raises the epoch, a commit is not. */
	assert_int_equal(end_txn(&w, "x", a.producer_id, 2, true, true).code, COORD_INVALID_TXN_STATE);
	b = end_txn(&w, "x", a.producer_id, 2, false, true);
	assert_int_equal(b.code, 0);
	assert_int_equal(b.epoch, 3);
	close_world(&w);
}

static void epoch_overflow_moves_to_a_new_id(void **st)
{
	struct world w;

	open_world(&w);
	struct txn_reply a = init(&w, "x", -1, -1);
	int64_t first = a.producer_id;

	while (a.epoch < INT16_MAX - 1) {
		a = end_txn(&w, "x", a.producer_id, a.epoch, false, true);
		assert_int_equal(a.code, 0);
		assert_int_equal(a.producer_id, first);
		store_done(&w.store);
	}
	assert_int_equal(add(&w, "x", first, a.epoch, "t", 0), 0);
	w.mark_now = false;
	struct txn_reply b = end_txn(&w, "x", first, a.epoch, true, true);

	assert_int_equal(b.code, 0);
	assert_int_not_equal(b.producer_id, first);
	assert_int_equal(b.epoch, 0);
	struct marks m = w.marks[(w.n_marks - 1) % ARRAY_LEN(w.marks)];

	assert_int_equal(m.pid, first);
	assert_int_equal(m.epoch, INT16_MAX);
	assert_int_equal(add(&w, "x", b.producer_id, 0, "t", 0), COORD_CONCURRENT_TRANSACTIONS);
	assert_int_equal(end_txn(&w, "x", b.producer_id, 0, false, true).code, COORD_CONCURRENT_TRANSACTIONS);
	txn_markers_done(w.t, STR("x"), first, INT16_MAX, true, w.now);
	struct txn_reply c = end_txn(&w, "x", first, a.epoch, true, true); /* repeated */

	assert_int_equal(c.code, 0);
	assert_int_equal(c.producer_id, b.producer_id);
	assert_int_equal(c.epoch, 0);
	assert_int_equal(add(&w, "x", b.producer_id, 0, "t", 0), 0);
	txn_coord_free(w.t);
	store_done(&w.store);
}

static void verification(void **st)
{
	struct world w;
	struct txn_partition v[2] = {{STR("t"), 0}, {STR("t"), 1}};
	int16_t codes[2];

	open_world(&w);
	struct txn_reply a = init(&w, "x", -1, -1);

	txn_verify_partitions(w.t, STR("x"), a.producer_id, 0, v, 2, codes);
	assert_int_equal(codes[0], COORD_TRANSACTION_ABORTABLE);
	add(&w, "x", a.producer_id, 0, "t", 0);
	txn_verify_partitions(w.t, STR("x"), a.producer_id, 0, v, 2, codes);
	assert_int_equal(codes[0], 0);
	assert_int_equal(codes[1], COORD_TRANSACTION_ABORTABLE);
	txn_verify_partitions(w.t, STR("x"), a.producer_id, 1, v, 2, codes);
	assert_int_equal(codes[0], COORD_PRODUCER_FENCED);
	txn_verify_partitions(w.t, STR("y"), a.producer_id, 0, v, 2, codes);
	assert_int_equal(codes[1], COORD_INVALID_PRODUCER_ID_MAPPING);
	assert_int_equal(txn_verify_offsets(w.t, STR("x"), a.producer_id, 0, STR("g")), COORD_TRANSACTION_ABORTABLE);
	add_group(&w, "x", a.producer_id, 0, "g");
	assert_int_equal(txn_verify_offsets(w.t, STR("x"), a.producer_id, 0, STR("g")), 0);
	assert_int_equal(txn_code_for(COORD_PRODUCER_FENCED, false), COORD_INVALID_PRODUCER_EPOCH);
	assert_int_equal(txn_code_for(COORD_PRODUCER_FENCED, true), COORD_PRODUCER_FENCED);
	close_world(&w);
}

static void timed_out_transactions_abort(void **st)
{
	struct world w;

	open_world(&w);
	struct txn_reply a = init(&w, "x", -1, -1);

	add(&w, "x", a.producer_id, 0, "t", 0);
	pass(&w, 30000);
	add(&w, "x", a.producer_id, 0, "t", 1); /* does not prolong it */
	pass(&w, 29999);
	assert_int_equal(state(&w, "x"), TXN_ONGOING);
	restart(&w); /* neither does a restart */
	pass(&w, 1);
	assert_int_equal(state(&w, "x"), TXN_COMPLETE_ABORT);
	assert_int_equal(w.marks[0].partitions, 2);
	assert_int_equal(w.marks[0].epoch, 1);
	assert_int_equal(end_txn(&w, "x", a.producer_id, 0, true, false).code, COORD_PRODUCER_FENCED);
	assert_int_equal(init(&w, "x", -1, -1).code, 0);
	close_world(&w);
}

static void markers_are_repeated_until_written(void **st)
{
	struct world w;

	open_world(&w);
	w.mark_now = false;
	struct txn_reply a = init(&w, "x", -1, -1);

	add(&w, "x", a.producer_id, 0, "t", 0);
	add_group(&w, "x", a.producer_id, 0, "g");
	assert_int_equal(end_txn(&w, "x", a.producer_id, 0, true, false).code, 0);
	assert_int_equal(w.n_marks, 1);
	assert_int_equal(state(&w, "x"), TXN_PREPARE_COMMIT);
	assert_int_equal(end_txn(&w, "x", a.producer_id, 0, true, false).code, COORD_CONCURRENT_TRANSACTIONS);
	assert_int_equal(end_txn(&w, "x", a.producer_id, 0, false, false).code, COORD_INVALID_TXN_STATE);
	assert_int_equal(add(&w, "x", a.producer_id, 0, "t", 0), COORD_CONCURRENT_TRANSACTIONS);
	assert_int_equal(init(&w, "x", -1, -1).code, COORD_CONCURRENT_TRANSACTIONS);
	txn_markers_done(w.t, STR("x"), a.producer_id, 0, false, w.now);
	assert_int_equal(w.n_marks, 1);
	pass(&w, 200);
	assert_int_equal(w.n_marks, 2);
	restart(&w);
	assert_int_equal(w.n_marks, 3);
	assert_true(w.marks[2].commit && w.marks[2].partitions == 1 && w.marks[2].groups == 1);
	txn_markers_done(w.t, STR("x"), a.producer_id, 9, true, w.now); /* of something else */
	assert_int_equal(state(&w, "x"), TXN_PREPARE_COMMIT);
	txn_markers_done(w.t, STR("x"), a.producer_id, 0, true, w.now);
	assert_int_equal(state(&w, "x"), TXN_COMPLETE_COMMIT);
	txn_markers_done(w.t, STR("x"), a.producer_id, 0, true, w.now); /* again */
	assert_int_equal(state(&w, "x"), TXN_COMPLETE_COMMIT);
	close_world(&w);
}

static void the_next_transaction_waits_for_the_markers(void **st)
{
	struct world w;

	open_world(&w);
	struct txn_reply a = init(&w, "x", -1, -1);

	w.mark_now = false;
	add(&w, "x", a.producer_id, 0, "t", 0);
	assert_int_equal(end_txn(&w, "x", a.producer_id, 0, true, true).epoch, 1);
	assert_int_equal(add(&w, "x", a.producer_id, 1, "t", 0), COORD_CONCURRENT_TRANSACTIONS);
	/* The next one is given up before it got anywhere; the first one's contrary is still refused. */
	assert_int_equal(end_txn(&w, "x", a.producer_id, 1, false, true).code, COORD_CONCURRENT_TRANSACTIONS);
	assert_int_equal(end_txn(&w, "x", a.producer_id, 0, false, true).code, COORD_INVALID_TXN_STATE);
	txn_markers_done(w.t, STR("x"), a.producer_id, 1, true, w.now);
	assert_int_equal(end_txn(&w, "x", a.producer_id, 1, false, true).epoch, 2);
	close_world(&w);
}

static void one_change_at_a_time(void **st)
{
	struct world w;
	struct txn_partition p = {STR("t"), 0};

	open_world(&w);
	struct txn_reply a = init(&w, "x", -1, -1);

	w.hold = true;
	uint64_t t1 = token(&w);

	txn_add_partitions(w.t, STR("x"), a.producer_id, 0, &p, 1, t1, w.now);
	assert_false(w.there[t1]);
	assert_int_equal(add(&w, "x", a.producer_id, 0, "u", 0), COORD_CONCURRENT_TRANSACTIONS);
	assert_int_equal(end_txn(&w, "x", a.producer_id, 0, true, false).code, COORD_CONCURRENT_TRANSACTIONS);
	assert_int_equal(state(&w, "x"), TXN_EMPTY); /* not stored, not seen */
	settle(&w);
	assert_int_equal(answer(&w, t1).code, 0);
	assert_int_equal(state(&w, "x"), TXN_ONGOING);
	w.hold = false;
	close_world(&w);
}

static void full_disk(void **st)
{
	struct world w;

	open_world(&w);
	struct txn_reply a = init(&w, "x", -1, -1);

	add(&w, "x", a.producer_id, 0, "t", 0);
	w.failing = true;
	assert_int_equal(add(&w, "x", a.producer_id, 0, "t", 1), COORD_NOT_AVAILABLE);
	assert_int_equal(end_txn(&w, "x", a.producer_id, 0, true, false).code, COORD_NOT_AVAILABLE);
	assert_int_equal(init(&w, "new", -1, -1).code, COORD_NOT_AVAILABLE);
	assert_int_equal(state(&w, "x"), TXN_ONGOING);
	assert_int_equal(w.n_marks, 0);
	pass(&w, 70000); /* its timeout cannot be stored either, and is tried again */
	assert_int_equal(state(&w, "x"), TXN_ONGOING);
	w.failing = false;
	pass(&w, 500);
	assert_int_equal(state(&w, "x"), TXN_COMPLETE_ABORT);
	assert_int_equal(w.n_marks, 1);
	assert_int_equal(w.marks[0].partitions, 1);
	close_world(&w);
}

static void markers_written_but_completion_lost(void **st)
{
	struct world w;

	open_world(&w);
	struct txn_reply a = init(&w, "x", -1, -1);

	w.mark_now = false;
	add(&w, "x", a.producer_id, 0, "t", 0);
	end_txn(&w, "x", a.producer_id, 0, true, true);
	w.failing = true;
	txn_markers_done(w.t, STR("x"), a.producer_id, 1, true, w.now);
	assert_int_equal(state(&w, "x"), TXN_PREPARE_COMMIT);
	w.failing = false;
	w.mark_now = true;
	pass(&w, 300);
	assert_int_equal(state(&w, "x"), TXN_COMPLETE_COMMIT);
	close_world(&w);
}

static void expiry_and_limits(void **st)
{
	struct world w;
	struct txn_stats s;
	char id[16];

	open_world(&w);
	w.cfg.ids_max = 10;
	w.cfg.partitions_max = 5;
	restart(&w);
	for (int i = 0; i < 10; i++) {
		snprintf(id, sizeof(id), "x%d", i);
		assert_int_equal(init(&w, id, -1, -1).code, 0);
	}
	assert_int_equal(init(&w, "more", -1, -1).code, COORD_LOAD_IN_PROGRESS);
	struct txn_reply a = init(&w, "x0", -1, -1);

	for (int i = 0; i < 5; i++)
		assert_int_equal(add(&w, "x0", a.producer_id, a.epoch, "t", i), 0);
	assert_int_equal(add(&w, "x0", a.producer_id, a.epoch, "t", 5), COORD_TRANSACTION_ABORTABLE);
	pass(&w, 8LL * 86400 * 1000);
	txn_coord_stats(w.t, &s);
	assert_int_equal(s.ids, 0);
	assert_int_equal(s.bytes, 0);
	assert_int_equal(s.expired, 10);
	assert_int_equal(s.timeouts, 1);
	close_world(&w);
}

static void listing(void **st)
{
	struct world w;
	struct arena *a = arena_new(1 << 20);
	const struct txn_described *v;
	struct txn_described d;
	struct txn_filter f = {.min_duration_ms = -1};

	open_world(&w);
	struct txn_reply x = init(&w, "x", -1, -1), y = init(&w, "y", -1, -1);

	add(&w, "y", y.producer_id, 0, "t", 3);
	w.now += 1000;
	assert_int_equal(txn_list(w.t, &f, w.now, a, &v), 2);
	assert_true(str_is(v[0].txn_id, "x") && str_is(v[1].txn_id, "y"));
	f.states = 1u << TXN_ONGOING;
	assert_int_equal(txn_list(w.t, &f, w.now, a, &v), 1);
	f.states = 0;
	f.producer_ids = &x.producer_id;
	f.n_producer_ids = 1;
	assert_int_equal(txn_list(w.t, &f, w.now, a, &v), 1);
	assert_true(str_is(v[0].txn_id, "x"));
	f.n_producer_ids = 0;
	f.min_duration_ms = 999;
	assert_int_equal(txn_list(w.t, &f, w.now, a, &v), 1);
	f.min_duration_ms = 1000;
	assert_int_equal(txn_list(w.t, &f, w.now, a, &v), 0);
	txn_describe(w.t, STR("y"), a, &d);
	assert_int_equal(d.code, 0);
	assert_int_equal(d.n_partitions, 1);
	assert_int_equal(d.partitions[0].partition, 3);
	assert_int_equal(d.start_ms, w.now - 1000);
	txn_describe(w.t, STR("z"), a, &d);
	assert_int_equal(d.code, COORD_TRANSACTIONAL_ID_NOT_FOUND);
	txn_describe(w.t, STR(""), a, &d);
	assert_int_equal(d.code, COORD_INVALID_REQUEST);
	assert_int_equal(txn_state_find(STR("PrepareAbort")), TXN_PREPARE_ABORT);
	assert_int_equal(txn_state_find(STR("Nonsense")), -1);
	arena_free(a);
	close_world(&w);
}

/* Random producers with crashes: what was answered survives, markers come for every decision and never change it. */
static void random_producers(void **st)
{
	for (unsigned seed = 1; seed <= 30; seed++) {
		struct world w;
		struct txn_reply p[4] = {
			{.producer_id = -1}, {.producer_id = -1}, {.producer_id = -1}, {.producer_id = -1}};
		int decided[4] = {0}; /* 0: none, 1: commit, 2: abort was answered */

		srand(seed);
		open_world(&w);
		for (int step = 0; step < 300; step++) {
			int i = rand() % 4, what = rand() % 10;
			char id[8];

			snprintf(id, sizeof(id), "p%d", i);
			w.mark_now = rand() % 3;
			w.failing = rand() % 10 == 0;
			if (what < 2 || p[i].producer_id < 0) {
				struct txn_reply r = init(&w, id, -1, -1);

				if (!r.code) {
					assert_true(r.producer_id != p[i].producer_id || r.epoch > p[i].epoch);
					p[i] = r;
					decided[i] = 0;
				}
			} else if (what < 6) {
				if (!add(&w, id, p[i].producer_id, p[i].epoch, "t", rand() % 5))
					decided[i] = 0;
			} else if (what < 8) {
				bool commit = rand() % 2;
				struct txn_reply r = end_txn(&w, id, p[i].producer_id, p[i].epoch, commit, true);

				if (!r.code) {
					p[i] = r;
					decided[i] = commit ? 1 : 2;
				}
			} else if (what == 8) {
				w.mark_now = true;
				w.failing = false;
				restart(&w);
				enum txn_state s = decided[i] ? state(&w, id) : TXN_EMPTY;

				if (decided[i])
					assert_int_equal(s, decided[i] == 1 ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
			} else {
				pass(&w, rand() % 20000);
			}
		}
		w.failing = false;
		w.mark_now = true;
		restart(&w);
		pass(&w, 100000);
		struct txn_stats s;

		txn_coord_stats(w.t, &s);
		assert_int_equal(s.ongoing + s.preparing, 0);
		close_world(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idempotent_ids),
		cmocka_unit_test(commit_and_abort),
		cmocka_unit_test(end_without_transaction),
		cmocka_unit_test(timeout_above_maximum),
		cmocka_unit_test(new_instance_fences_the_old),
		cmocka_unit_test(bump_by_the_producer_itself),
		cmocka_unit_test(exhausted_epochs_get_a_new_id),
		cmocka_unit_test(epoch_grows_with_each_transaction),
		cmocka_unit_test(epoch_overflow_moves_to_a_new_id),
		cmocka_unit_test(verification),
		cmocka_unit_test(timed_out_transactions_abort),
		cmocka_unit_test(markers_are_repeated_until_written),
		cmocka_unit_test(the_next_transaction_waits_for_the_markers),
		cmocka_unit_test(one_change_at_a_time),
		cmocka_unit_test(full_disk),
		cmocka_unit_test(markers_written_but_completion_lost),
		cmocka_unit_test(expiry_and_limits),
		cmocka_unit_test(listing),
		cmocka_unit_test(random_producers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
