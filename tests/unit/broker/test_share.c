/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/share/share.h"
#include "coord_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What share groups have in hand, with a disk of our own. */

#define G STR("g")
enum { LOCK = 30000 };

struct world {
	struct share_coord *c;
	struct share_env env;
	struct share_config cfg;
	struct store store;
	struct arena *a;
	int64_t now;
	bool hold, failing;
	bool no_topics;
	unsigned answers, refusals, woken;
};

static const struct share_tp tp = {{{7}}, 0};

static void settle(struct world *w)
{
	while (w->store.told < w->store.n) {
		struct stored_batch *b = &w->store.v[w->store.told++];

		b->settled = true;
		b->ok = !w->failing;
		share_persisted(w->c, b->id, b->ok, w->now);
	}
}

static void on_persist(void *arg, const struct coord_record *v, size_t n, uint64_t batch)
{
	struct world *w = arg;

	store_add(&w->store, v, n, batch);
	if (!w->hold)
		settle(w);
}

static void on_reply(void *arg, uint64_t token, bool ok)
{
	struct world *w = arg;

	(void)token;
	w->answers++;
	w->refusals += !ok;
}

static void on_available(void *arg, const struct share_tp *which)
{
	(void)which;
	((struct world *)arg)->woken++;
}

static bool on_topic(void *arg, const struct coord_uuid *id)
{
	(void)id;
	return !((struct world *)arg)->no_topics;
}

static void start(struct world *w)
{
	w->env = (struct share_env){w, on_persist, on_reply, on_available, on_topic};
	w->c = share_new(&w->env, &w->cfg);
	for (size_t i = 0; i < w->store.n; i++)
		for (size_t k = 0; w->store.v[i].ok && k < w->store.v[i].n; k++)
			assert_int_equal(share_replay(w->c, w->store.v[i].v[k]), 0);
	share_loaded(w->c, w->now);
}

static void open_world(struct world *w)
{
	struct share_config cfg = w->cfg;

	*w = (struct world){.now = 1000000, .cfg = cfg};
	w->a = arena_new(16 << 20);
	start(w);
}

static void restart(struct world *w)
{
	share_free(w->c);
	w->store.told = w->store.n;
	start(w);
}

static void close_world(struct world *w)
{
	share_free(w->c);
	store_done(&w->store);
	arena_free(w->a);
}

/* Acquires from batches of ten records: what was acquired, as text. */
static const char *take(struct world *w, const char *member, int32_t max, int64_t log_end, bool exact)
{
	static char text[400];
	struct share_batch batches[300];
	const struct share_acquired *v = NULL;
	int64_t from, upto;
	size_t n = 0, at = 0;

	text[0] = '\0';
	if (share_look(w->c, G, &tp, max, &from, &upto) != SHARE_READ || from >= log_end)
		return "nothing";
	for (int64_t first = from - from % 10; first <= upto && first < log_end && n < ARRAY_LEN(batches); first += 10)
		batches[n++] = (struct share_batch){first, first + 9, false};
	struct share_acquire in = {.group = G,
				   .member = str_of(member),
				   .tp = tp,
				   .from = from,
				   .batches = batches,
				   .n = n,
				   .max_records = max,
				   .batch_size = 1000000,
				   .lock_ms = LOCK,
				   .exact = exact};

	n = share_acquire(w->c, &in, w->a, &v, w->now);
	for (size_t i = 0; i < n && at < sizeof(text) - 60; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%lld-%lld*%d", i ? " " : "",
				       (long long)v[i].first, (long long)v[i].last, v[i].deliveries);
	return text;
}

static int16_t ack(struct world *w, const char *member, int64_t first, int64_t last, int8_t type)
{
	struct share_ack a = {first, last, &type, 1};
	bool changed;

	assert_int_equal(share_ack_check(&a, 1, true), 0);
	return share_acknowledge(w->c, G, str_of(member), &tp, &a, 1, LOCK, &changed, w->now);
}

static int64_t start_of(struct world *w)
{
	struct share_offset o;

	return share_offset(w->c, G, &tp, &o) ? o.start : -1;
}

static void test_take_and_settle(void **state)
{
	struct world w = {0};

	(void)state;
	open_world(&w);
	int64_t from, upto;

	assert_int_equal(share_look(w.c, G, &tp, 5, &from, &upto), SHARE_UNKNOWN);
	assert_true(share_open(w.c, G, &tp, 3, w.now));
	assert_int_equal(w.woken, 1);
	assert_string_equal(take(&w, "a", 5, 100, false), "3-9*1");
	assert_string_equal(take(&w, "b", 5, 100, true), "10-14*1");
	assert_string_equal(take(&w, "a", 100, 30, false), "15-29*1");
	assert_string_equal(take(&w, "a", 100, 30, false), "nothing");
	assert_int_equal(ack(&w, "b", 3, 3, SHARE_ACCEPT), COORD_INVALID_RECORD_STATE);
	assert_int_equal(ack(&w, "a", 9, 10, SHARE_ACCEPT), COORD_INVALID_RECORD_STATE);
	assert_int_equal(ack(&w, "a", 29, 30, SHARE_ACCEPT), COORD_INVALID_RECORD_STATE);
	assert_int_equal(ack(&w, "nobody", 3, 4, SHARE_ACCEPT), COORD_INVALID_RECORD_STATE);
	assert_int_equal(start_of(&w), 3);
	assert_int_equal(ack(&w, "a", 4, 5, SHARE_ACCEPT), 0);
	assert_int_equal(start_of(&w), 3);
	assert_int_equal(ack(&w, "a", 0, 3, SHARE_REJECT), 0); /* 0 to 2 are done with for long */
	assert_int_equal(start_of(&w), 6);
	assert_int_equal(ack(&w, "a", 5, 5, SHARE_ACCEPT), 0);
	assert_int_equal(ack(&w, "a", 7, 8, SHARE_RELEASE), 0);
	assert_int_equal(ack(&w, "a", 7, 8, SHARE_ACCEPT), COORD_INVALID_RECORD_STATE);
	assert_string_equal(take(&w, "b", 100, 30, false), "7-8*2");
	assert_int_equal(ack(&w, "b", 7, 8, SHARE_GAP), 0);
	assert_int_equal(ack(&w, "a", 6, 6, SHARE_ACCEPT), 0);
	assert_int_equal(start_of(&w), 9);
	struct share_offset o;

	assert_int_equal(ack(&w, "a", 20, 24, SHARE_ACCEPT), 0);
	assert_true(share_offset(w.c, G, &tp, &o));
	assert_int_equal(o.done, 5);
	close_world(&w);
}

static void test_types_for_each(void **state)
{
	struct world w = {0};
	const int8_t types[] = {1, 1, 2, 3, 0, 4, 1, 2, 2, 1};
	struct share_ack a = {0, 9, types, 10};
	bool changed;

	(void)state;
	open_world(&w);
	share_open(w.c, G, &tp, 0, w.now);
	assert_string_equal(take(&w, "a", 10, 10, false), "0-9*1");
	assert_int_equal(share_ack_check(&a, 1, false), COORD_INVALID_REQUEST); /* a renewal */
	assert_int_equal(share_ack_check(&a, 1, true), 0);
	assert_int_equal(share_acknowledge(w.c, G, STR("a"), &tp, &a, 1, LOCK, &changed, w.now), 0);
	assert_true(changed);
	assert_string_equal(take(&w, "b", 10, 10, false), "2-2*2 7-8*2");
	assert_int_equal(ack(&w, "a", 5, 5, SHARE_ACCEPT), 0);
	assert_int_equal(start_of(&w), 2);
	/* One that does not hold spoils all of it. */
	struct share_ack two[] = {{2, 2, types, 1}, {5, 7, types, 1}};

	assert_int_equal(share_acknowledge(w.c, G, STR("b"), &tp, two, 2, LOCK, &changed, w.now),
			 COORD_INVALID_RECORD_STATE);
	assert_int_equal(ack(&w, "b", 2, 2, SHARE_ACCEPT), 0);
	close_world(&w);
}

static void test_malformed(void **state)
{
	const int8_t one[] = {1, 1, 9, -1};
	const struct share_ack wrong[] = {{-1, 0, one, 1},    {3, 2, one, 1},     {0, 1, one, 0},        {0, 2, one, 2},
					  {0, 0, one + 2, 1}, {0, 0, one + 3, 1}, {0, INT64_MAX, one, 2}};
	const struct share_ack unordered[] = {{0, 3, one, 1}, {3, 4, one, 1}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(share_ack_check(&wrong[i], 1, true), COORD_INVALID_REQUEST);
	assert_int_equal(share_ack_check(unordered, 2, true), COORD_INVALID_REQUEST);
	assert_int_equal(share_ack_check(unordered, 1, true), 0);
}

static void test_locks(void **state)
{
	struct world w = {0};

	(void)state;
	open_world(&w);
	share_open(w.c, G, &tp, 0, w.now);
	assert_string_equal(take(&w, "a", 10, 20, false), "0-9*1");
	w.now += 1000;
	assert_string_equal(take(&w, "b", 10, 20, false), "10-19*1");
	assert_int_equal(share_deadline(w.c), 1000000 + LOCK);
	w.now = 1000000 + LOCK - 1;
	share_tick(w.c, w.now);
	assert_int_equal(ack(&w, "a", 5, 9, SHARE_RENEW), 0);
	w.now++;
	share_tick(w.c, w.now);
	assert_int_equal(ack(&w, "a", 0, 0, SHARE_ACCEPT), COORD_INVALID_RECORD_STATE);
	assert_string_equal(take(&w, "c", 10, 20, false), "0-4*2");
	w.now += 1000;
	share_tick(w.c, w.now);
	assert_string_equal(take(&w, "c", 10, 20, false), "10-19*2");
	assert_int_equal(ack(&w, "a", 5, 9, SHARE_ACCEPT), 0);
	for (int i = 0; i < 60; i++) {
		w.now += LOCK;
		share_tick(w.c, w.now);
		take(&w, "c", 1, 20, false);
	}
	/* Nobody acknowledged any: five deliveries each, and they are given up. */
	assert_int_equal(start_of(&w), 20);
	assert_int_equal(share_deadline(w.c), INT64_MAX);
	struct share_stats s;

	share_stats(w.c, &s);
	assert_int_equal(s.in_flight, 0);
	assert_int_equal(s.archived, 15);
	close_world(&w);
}

static void test_hidden(void **state)
{
	struct world w = {0};
	const struct share_acquired *v;
	/* A marker, records, a hole in the offsets, something aborted, a marker. */
	const struct share_batch batches[] = {{0, 0, true}, {1, 2, false}, {5, 6, false}, {7, 8, true}, {9, 9, true}};
	struct share_acquire in = {.group = G,
				   .member = STR("a"),
				   .tp = tp,
				   .batches = batches,
				   .n = 5,
				   .max_records = 3,
				   .batch_size = 2,
				   .lock_ms = LOCK};

	(void)state;
	open_world(&w);
	share_open(w.c, G, &tp, 0, w.now);
	assert_int_equal(share_acquire(w.c, &in, w.a, &v, w.now), 2);
	assert_int_equal(v[0].first, 1);
	assert_int_equal(v[0].last, 2);
	assert_int_equal(v[1].first, 3);
	assert_int_equal(v[1].last, 6);
	assert_int_equal(start_of(&w), 1);
	assert_int_equal(ack(&w, "a", 1, 6, SHARE_ACCEPT), 0);
	assert_int_equal(start_of(&w), 10);
	close_world(&w);
}

static void test_limits(void **state)
{
	struct world w = {.cfg = {.records_max = 25, .parts_max = 2, .offsets_max = 40}};
	const struct share_tp other = {{{7}}, 1}, third = {{{7}}, 2};
	int64_t from, upto;

	(void)state;
	open_world(&w);
	assert_true(share_open(w.c, G, &tp, 0, w.now));
	assert_true(share_open(w.c, G, &other, 0, w.now));
	assert_false(share_open(w.c, G, &third, 0, w.now));
	assert_false(share_alter(w.c, G, &third, 0, w.now));
	/* Never more than 25 in flight, even within a batch. */
	assert_string_equal(take(&w, "a", 100, 100, false), "0-24*1");
	assert_string_equal(take(&w, "a", 100, 100, false), "nothing");
	assert_int_equal(ack(&w, "a", 5, 24, SHARE_ACCEPT), 0);
	assert_string_equal(take(&w, "a", 100, 100, false), "nothing");
	assert_int_equal(share_look(w.c, G, &other, 100, &from, &upto), SHARE_READ);
	assert_int_equal(upto, 14); /* of all 40 */
	assert_int_equal(ack(&w, "a", 0, 4, SHARE_ACCEPT), 0);
	assert_string_equal(take(&w, "a", 100, 100, false), "25-49*1");
	close_world(&w);
}

static void test_restart(void **state)
{
	struct world w = {0};
	struct image before = {0}, after = {0};

	(void)state;
	open_world(&w);
	share_open(w.c, G, &tp, 0, w.now);
	take(&w, "a", 30, 30, false);
	assert_int_equal(ack(&w, "a", 0, 4, SHARE_ACCEPT), 0);
	assert_int_equal(ack(&w, "a", 7, 8, SHARE_RELEASE), 0);
	assert_int_equal(ack(&w, "a", 10, 12, SHARE_REJECT), 0);
	share_snapshot(w.c, image_add, &before);
	restart(&w);
	share_snapshot(w.c, image_add, &after);
	assert_int_equal(before.n, 1);
	assert_true(image_equal(&before, &after));
	assert_int_equal(start_of(&w), 5);
	assert_string_equal(take(&w, "b", 100, 30, false), "5-9*2 13-29*2");
	/* Of a topic that has gone: nothing, and nothing is stored of it. */
	w.no_topics = true;
	restart(&w);
	assert_int_equal(start_of(&w), -1);
	restart(&w);
	image_done(&after);
	share_snapshot(w.c, image_add, &after);
	assert_int_equal(after.n, 0);
	image_done(&before);
	image_done(&after);
	close_world(&w);
}

static void test_storing(void **state)
{
	struct world w = {0};

	(void)state;
	open_world(&w);
	w.hold = true;
	share_open(w.c, G, &tp, 0, w.now);
	/* Nothing is given before the start is stored: a crash would begin elsewhere. */
	assert_string_equal(take(&w, "a", 10, 30, false), "nothing");
	settle(&w);
	assert_string_equal(take(&w, "a", 30, 30, false), "0-29*1");
	assert_int_equal(ack(&w, "a", 0, 0, SHARE_ACCEPT), 0);
	share_wait(w.c, 1, w.now);
	assert_int_equal(ack(&w, "a", 1, 1, SHARE_ACCEPT), 0);
	share_wait(w.c, 2, w.now);
	assert_int_equal(w.answers, 0);
	struct stored_batch *b = &w.store.v[w.store.told++];

	b->ok = true;
	share_persisted(w.c, b->id, true, w.now);
	assert_int_equal(w.answers, 1);
	settle(&w);
	assert_int_equal(w.answers, 2);
	assert_int_equal(w.refusals, 0);
	/* The disk is full: those who wait are told, and it is tried again. */
	w.failing = true;
	assert_int_equal(ack(&w, "a", 2, 2, SHARE_ACCEPT), 0);
	share_wait(w.c, 3, w.now);
	settle(&w);
	assert_int_equal(w.refusals, 1);
	w.failing = w.hold = false;
	w.now = share_deadline(w.c);
	share_tick(w.c, w.now);
	share_wait(w.c, 4, w.now);
	assert_int_equal(w.answers, 4);
	assert_int_equal(w.refusals, 1);
	restart(&w);
	assert_int_equal(start_of(&w), 3);
	close_world(&w);
}

static void test_log_moves(void **state)
{
	struct world w = {0};

	(void)state;
	open_world(&w);
	share_open(w.c, G, &tp, 0, w.now);
	take(&w, "a", 30, 30, false);
	share_fit(w.c, G, &tp, 12, 30, w.now);
	assert_int_equal(start_of(&w), 12);
	assert_int_equal(ack(&w, "a", 0, 11, SHARE_ACCEPT), 0);
	assert_int_equal(ack(&w, "a", 0, 12, SHARE_RELEASE), 0);
	/* After a loss of power the log may be shorter than what is known of it. */
	share_fit(w.c, G, &tp, 12, 20, w.now);
	assert_int_equal(ack(&w, "a", 19, 20, SHARE_ACCEPT), COORD_INVALID_RECORD_STATE);
	assert_string_equal(take(&w, "b", 100, 40, false), "12-12*2 20-39*1");
	share_fit(w.c, G, &tp, 50, 60, w.now);
	assert_int_equal(start_of(&w), 50);
	share_fit(w.c, G, &tp, 0, 5, w.now);
	assert_int_equal(start_of(&w), 5);
	struct share_stats s;

	share_stats(w.c, &s);
	assert_int_equal(s.in_flight, 0);
	close_world(&w);
}

static int16_t session(struct world *w, const char *member, int32_t epoch, bool fetch, size_t *ret_n)
{
	const struct share_tp *v;
	struct share_session_req in = {.group = G,
				       .member = str_of(member),
				       .conn = 5,
				       .epoch = epoch,
				       .fetch = fetch,
				       .add = &tp,
				       .n_add = 1};

	return share_session(w->c, &in, w->a, &v, ret_n);
}

static void test_sessions(void **state)
{
	struct world w = {.cfg = {.sessions_max = 2}};
	size_t n;

	(void)state;
	open_world(&w);
	share_open(w.c, G, &tp, 0, w.now);
	assert_int_equal(session(&w, "a", 1, true, &n), COORD_SHARE_SESSION_NOT_FOUND);
	assert_int_equal(session(&w, "a", 0, false, &n), COORD_INVALID_SHARE_SESSION_EPOCH);
	assert_int_equal(session(&w, "a", 0, true, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(session(&w, "a", 2, true, &n), COORD_INVALID_SHARE_SESSION_EPOCH);
	assert_int_equal(session(&w, "a", 1, false, &n), 0);
	assert_int_equal(session(&w, "a", 2, true, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(session(&w, "b", 0, true, &n), 0);
	assert_int_equal(session(&w, "c", 0, true, &n), COORD_SHARE_SESSION_LIMIT_REACHED);
	assert_int_equal(session(&w, "a", 0, true, &n), 0); /* its own makes room */
	take(&w, "a", 10, 20, false);
	take(&w, "b", 10, 20, false);
	share_session_end(w.c, G, STR("a"), w.now);
	assert_int_equal(session(&w, "a", -1, true, &n), COORD_SHARE_SESSION_NOT_FOUND);
	assert_string_equal(take(&w, "c", 20, 20, false), "0-9*2");
	share_conn_gone(w.c, 4, w.now);
	assert_string_equal(take(&w, "c", 20, 20, false), "nothing");
	share_conn_gone(w.c, 5, w.now);
	assert_string_equal(take(&w, "c", 20, 20, false), "10-19*2");
	close_world(&w);
}

static void test_administration(void **state)
{
	struct world w = {0};
	const struct share_tp other = {{{8}}, 0};
	const struct share_offset *v;

	(void)state;
	open_world(&w);
	share_open(w.c, G, &other, 1, w.now);
	share_open(w.c, G, &tp, 2, w.now);
	share_open(w.c, STR("h"), &tp, 3, w.now);
	assert_int_equal(share_offsets(w.c, G, w.a, &v), 2);
	assert_int_equal(v[0].start, 2);
	assert_int_equal(v[1].start, 1);
	take(&w, "a", 10, 20, false);
	assert_true(share_alter(w.c, G, &tp, 7, w.now));
	assert_int_equal(ack(&w, "a", 8, 8, SHARE_ACCEPT), COORD_INVALID_RECORD_STATE);
	assert_string_equal(take(&w, "a", 10, 10, false), "7-9*1");
	share_topic_deleted(w.c, &other.topic, w.now);
	assert_false(share_drop(w.c, G, &other.topic, w.now));
	assert_true(share_drop(w.c, G, NULL, w.now));
	assert_int_equal(share_offsets(w.c, G, w.a, &v), 0);
	restart(&w);
	assert_int_equal(share_offsets(w.c, G, w.a, &v), 0);
	assert_int_equal(share_offsets(w.c, STR("h"), w.a, &v), 1);
	close_world(&w);
}

static void test_foreign_records(void **state)
{
	struct world w = {0};

	(void)state;
	w.now = 1;
	w.env = (struct share_env){&w, on_persist, on_reply, on_available, on_topic};
	open_world(&w);
	share_open(w.c, G, &tp, 9, w.now);
	take(&w, "a", 10, 20, false);
	ack(&w, "a", 12, 12, SHARE_ACCEPT);
	struct coord_record rec = w.store.v[w.store.n - 1].v[0];
	struct share_coord *c = share_new(&w.env, &w.cfg);
	char value[200];

	assert_int_equal(share_replay(c, rec), 0);
	/* Cut anywhere, or with any byte changed, it is refused or understood, and never more. */
	for (size_t n = 0; n < rec.value.n; n++)
		assert_int_equal(share_replay(c, (struct coord_record){rec.key, {rec.value.p, n}}), -1);
	for (size_t i = 0; i < rec.value.n; i++)
		for (int bit = 0; bit < 8; bit++) {
			memcpy(value, rec.value.p, rec.value.n);
			value[i] ^= (char)(1 << bit);
			share_replay(c, (struct coord_record){rec.key, {value, rec.value.n}});
		}
	for (size_t n = 0; n < rec.key.n; n++)
		assert_int_equal(share_replay(c, (struct coord_record){{rec.key.p, n}, rec.value}), -1);
	share_free(c);
	close_world(&w);
}

/* What a model of single offsets says, for thousands of random steps. */
enum { OFFSETS = 300 };

struct model {
	int state[OFFSETS]; /* 0 free, 1 held, 2 done */
	int holder[OFFSETS];
};

static void model_ack(struct world *w, struct model *m, unsigned *seed)
{
	static const char *const names[] = {"m0", "m1", "m2"};
	int who = rand_r(seed) % 3, first = rand_r(seed) % OFFSETS, last = first + rand_r(seed) % 4;
	int8_t type = (int8_t)(rand_r(seed) % 2 ? SHARE_ACCEPT : SHARE_RELEASE);
	int64_t start = start_of(w);
	bool fine = true;

	last = last < OFFSETS ? last : OFFSETS - 1;
	for (int i = first; i <= last; i++)
		fine = fine && (i < start || (m->state[i] == 1 && m->holder[i] == who));
	int16_t code = ack(w, names[who], first, last, type);

	assert_int_equal(code, fine ? 0 : COORD_INVALID_RECORD_STATE);
	for (int i = first; i <= last && fine; i++)
		if (i >= start)
			m->state[i] = type == SHARE_ACCEPT ? 2 : 0;
}

static void test_model(void **state)
{
	struct world w = {.cfg = {.deliveries_max = 30000, .records_max = 60}};
	struct model m = {0};
	unsigned seed = 848;

	(void)state;
	open_world(&w);
	share_open(w.c, G, &tp, 0, w.now);
	for (int step = 0; step < 20000; step++) {
		char name[] = "m0";
		int who = rand_r(&seed) % 3, first, last, count, n;

		name[1] = (char)('0' + who);
		const char *got =
			rand_r(&seed) % 4 == 0 ? take(&w, name, 1 + rand_r(&seed) % 20, OFFSETS, step % 2) : "";

		for (; sscanf(got, "%d-%d*%d%n", &first, &last, &count, &n) == 3; got += n)
			for (int i = first; i <= last; i++) {
				assert_int_equal(m.state[i], 0);
				m.state[i] = 1;
				m.holder[i] = who;
			}
		model_ack(&w, &m, &seed);
		arena_reset(w.a);
		if (rand_r(&seed) % 2000)
			continue;
		restart(&w);
		for (int i = 0; i < OFFSETS; i++)
			m.state[i] = m.state[i] == 1 ? 0 : m.state[i];
	}
	for (int i = 0; i < start_of(&w); i++)
		assert_int_equal(m.state[i], 2);
	assert_true(start_of(&w) > 0);
	close_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take_and_settle), cmocka_unit_test(test_types_for_each),
		cmocka_unit_test(test_malformed),       cmocka_unit_test(test_locks),
		cmocka_unit_test(test_hidden),          cmocka_unit_test(test_limits),
		cmocka_unit_test(test_restart),         cmocka_unit_test(test_storing),
		cmocka_unit_test(test_log_moves),       cmocka_unit_test(test_sessions),
		cmocka_unit_test(test_administration),  cmocka_unit_test(test_foreign_records),
		cmocka_unit_test(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
