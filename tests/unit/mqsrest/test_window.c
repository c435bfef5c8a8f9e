/* SPDX-License-Identifier: Apache-2.0 */
#include "mqsrest/window.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static size_t held; /* messages that were not let go */

static void release(void *message)
{
	free(message);
	held--;
}

static bool add(struct rest_window *w, int64_t offset)
{
	void *message = mem_alloc(10);

	held++;
	if (rest_window_add(w, offset, message, 10))
		return true;
	release(message);
	return false;
}

static void add_some(struct rest_window *w, int64_t from, int64_t to)
{
	for (int64_t i = from; i < to; i++)
		assert_true(add(w, i));
}

/* Gives the next until 100 behind now, with its offset as the delivery's number (plus 1000). */
static int64_t give(struct rest_window *w, int64_t now)
{
	size_t at = 0;
	struct rest_entry *e = rest_window_next(w, &at, now);

	if (!e)
		return -1;
	rest_window_give(w, e, e->offset + 1000, now + 100);
	return e->offset;
}

static void finish(struct rest_window *w, int64_t offset)
{
	struct rest_entry *e = rest_window_find(w, offset, offset + 1000, 0);

	assert_non_null(e);
	rest_window_finish(w, e);
}

/* A commit that succeeds; the metadata is put into text. */
static int64_t commit(struct rest_window *w, char text[512])
{
	struct buf metadata;

	buf_init(&metadata, 4096);
	int64_t prefix = rest_window_save(w, &metadata);

	rest_window_saved(w, prefix);
	snprintf(text, 512, "%.*s", STR_FMT(buf_view(&metadata)));
	buf_done(&metadata);
	return prefix;
}

static void begin(struct rest_window *w)
{
	held = 0;
	rest_window_init(w, release);
}

static void end(struct rest_window *w)
{
	rest_window_done(w);
	assert_int_equal(held, 0);
}

static void in_order(void **state)
{
	struct rest_window w;
	char text[512];

	begin(&w);
	assert_int_equal(rest_window_prefix(&w), -1);
	assert_int_equal(give(&w, 0), -1);
	add_some(&w, 5, 8);
	assert_int_equal(w.ready, 3);
	assert_int_equal(w.bytes, 30);
	assert_int_equal(rest_window_prefix(&w), 5);
	for (int64_t i = 5; i < 8; i++)
		assert_int_equal(give(&w, 0), i);
	assert_int_equal(give(&w, 0), -1);
	assert_int_equal(w.ready, 0);
	assert_int_equal(rest_window_wake(&w), 100);
	finish(&w, 5);
	assert_true(w.dirty);
	assert_int_equal(w.bytes, 30); /* nothing is let go before it is committed */
	assert_int_equal(commit(&w, text), 6);
	assert_false(w.dirty);
	assert_string_equal(text, "");
	assert_int_equal(w.n, 2);
	assert_int_equal(w.bytes, 20);
	end(&w);
}

static void given_again_when_late(void **state)
{
	struct rest_window w;

	begin(&w);
	add_some(&w, 0, 2);
	assert_int_equal(give(&w, 0), 0);
	assert_int_equal(give(&w, 50), 1);
	assert_true(rest_window_busy(&w, 99));
	assert_int_equal(give(&w, 99), -1);
	assert_int_equal(give(&w, 100), 0);
	/* The same delivery number is used by the helper, so this is about time. */
	assert_non_null(rest_window_find(&w, 0, 1000, 199));
	assert_null(rest_window_find(&w, 0, 1000, 200));
	assert_null(rest_window_find(&w, 0, 1001, 150));
	assert_null(rest_window_find(&w, 7, 1000, 150));
	assert_false(rest_window_busy(&w, 200));
	struct rest_entry *e = rest_window_find(&w, 0, 1000, 150);

	rest_window_return(&w, e);
	assert_null(rest_window_find(&w, 0, 1000, 150));
	assert_int_equal(give(&w, 100), 0);
	end(&w);
}

static void out_of_order_over_a_crash(void **state)
{
	struct rest_window w, next;
	char text[512], again[512];

	begin(&w);
	rest_window_restore(&w, 10, STR_NONE);
	add_some(&w, 10, 30);
	while (give(&w, 0) >= 0)
		;
	for (int64_t i = 11; i < 30; i += 2)
		finish(&w, i);
	assert_int_equal(commit(&w, text), 10);
	assert_int_equal(w.bytes, 100); /* what is done and committed holds nothing, though it is behind the prefix */
	rest_window_done(&w);

	rest_window_init(&next, release);
	rest_window_restore(&next, 10, str_of(text));
	for (int64_t i = 10; i < 20; i++)
		assert_int_equal(add(&next, i), i % 2 == 0);
	/* Another crash before the rest was read: it is still known. */
	assert_int_equal(give(&next, 0), 10);
	finish(&next, 10);
	assert_int_equal(commit(&next, again), 12);
	rest_window_done(&next);
	rest_window_restore(&next, 12, str_of(again));
	for (int64_t i = 12; i < 31; i++)
		assert_int_equal(add(&next, i), i % 2 == 0);
	end(&next);
}

static void foreign_metadata_is_nothing(void **state)
{
	static const char *const rows[] = {
		"", "x", "appia:1:", "appia:1:!", "appia:2:/w==", "appia:1:/w=", "hello world"};
	struct rest_window w;

	begin(&w);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		rest_window_restore(&w, 0, str_of(rows[i]));
		assert_true(add(&w, 0));
	}
	char longer[600] = "appia:1:";

	memset(longer + 8, '/', 400); /* more bits than a window has */
	rest_window_restore(&w, 0, (struct str){longer, 408});
	assert_true(add(&w, 0));
	rest_window_restore(&w, 3, STR("appia:1:/w=="));
	assert_false(add(&w, 3));
	assert_false(add(&w, 10));
	assert_true(add(&w, 11));
	end(&w);
}

static void gaps_are_done(void **state)
{
	struct rest_window w;
	char text[512];

	begin(&w);
	rest_window_restore(&w, 0, STR_NONE);
	add(&w, 3);
	add(&w, 100);
	assert_int_equal(rest_window_prefix(&w), 3);
	assert_int_equal(give(&w, 0), 3);
	assert_int_equal(give(&w, 0), 100);
	finish(&w, 3);
	assert_int_equal(commit(&w, text), 100);
	assert_false(add(&w, 50)); /* read before */
	finish(&w, 100);
	assert_int_equal(commit(&w, text), 101);
	assert_int_equal(w.n, 0);
	end(&w);
}

static void only_near_to_the_prefix(void **state)
{
	struct rest_window w;
	char text[512];
	int64_t given = 0;

	begin(&w);
	add_some(&w, 0, REST_SPAN + 10);
	while (give(&w, 0) >= 0)
		given++;
	assert_int_equal(given, REST_SPAN);
	for (int64_t i = 1; i < REST_SPAN; i++)
		finish(&w, i);
	/* The largest metadata there is. */
	assert_int_equal(commit(&w, text), 0);
	assert_true(strlen(text) < 200);
	assert_int_equal(give(&w, 0), -1);
	finish(&w, 0);
	assert_int_equal(give(&w, 0), REST_SPAN);
	assert_int_equal(commit(&w, text), REST_SPAN);
	end(&w);
}

static void a_failed_commit(void **state)
{
	struct rest_window w;
	struct buf metadata;
	size_t at = 0;
	char text[512];

	begin(&w);
	buf_init(&metadata, 4096);
	add_some(&w, 0, 4);
	for (int i = 0; i < 3; i++)
		give(&w, 0);
	finish(&w, 0);
	struct rest_entry *e = rest_window_next(&w, &at, 0);

	assert_int_equal(e->offset, 3);
	rest_window_pass(&w, e);
	assert_int_equal(w.ready, 0);
	assert_int_equal(rest_window_save(&w, &metadata), 1);
	finish(&w, 1); /* meanwhile: not in the commit */
	rest_window_unsaved(&w);
	assert_true(w.dirty);
	assert_int_equal(rest_window_prefix(&w), 0);
	assert_non_null(rest_window_find(&w, 0, 1000, 0)); /* may be acknowledged again */
	finish(&w, 0);
	assert_int_equal(commit(&w, text), 2);
	finish(&w, 2);
	assert_int_equal(commit(&w, text), 4); /* what was passed over stays so */
	buf_done(&metadata);
	end(&w);
}

/* What those learn who wait for a commit, whoever makes it and however it ends. */
static void fates(void **state)
{
	struct rest_window w;
	struct buf metadata;
	size_t at = 0;

	begin(&w);
	buf_init(&metadata, 4096);
	add_some(&w, 0, 3);
	for (int i = 0; i < 3; i++)
		give(&w, 0);
	assert_int_equal(rest_window_fate(&w, 1, 1001), REST_OPEN);
	finish(&w, 1);
	assert_int_equal(rest_window_fate(&w, 1, 1001), REST_FINISHED);
	assert_int_equal(rest_window_fate(&w, 1, 1000), REST_LOST);
	assert_true(rest_window_own(&w, -1));
	assert_false(rest_window_own(&w, 0));
	assert_int_equal(rest_window_save(&w, &metadata), 0);
	assert_true(rest_window_own(&w, 0) && rest_window_own(&w, -1)); /* one of them Kafka has */
	rest_window_unsaved(&w);
	assert_int_equal(rest_window_fate(&w, 1, 1001), REST_OPEN);
	assert_true(rest_window_own(&w, 0)); /* it may have got there all the same */
	finish(&w, 1);
	rest_window_saved(&w, rest_window_save(&w, &metadata));
	assert_int_equal(rest_window_fate(&w, 1, 1001), REST_COMMITTED); /* behind the prefix */
	finish(&w, 0);
	rest_window_saved(&w, rest_window_save(&w, &metadata));
	assert_int_equal(rest_window_fate(&w, 0, 1000), REST_COMMITTED);
	assert_int_equal(rest_window_fate(&w, 1, 1001), REST_COMMITTED);
	assert_true(rest_window_own(&w, 2));
	assert_false(rest_window_own(&w, 0) || rest_window_own(&w, 3) || rest_window_own(&w, -1));
	rest_window_return(&w, rest_window_find(&w, 2, 1002, 0));
	assert_int_equal(rest_window_fate(&w, 2, 1002), REST_LOST);
	assert_int_equal(rest_window_next(&w, &at, 0)->offset, 2);
	rest_window_restore(&w, 5, STR_NONE);
	assert_true(rest_window_own(&w, 5));
	assert_false(rest_window_own(&w, 2) || rest_window_own(&w, -1));
	buf_done(&metadata);
	end(&w);
}

/* Against a simple model: what is given and done by chance, with crashes; nothing done and committed comes again,
 * everything else does. */
static void by_chance(void **state)
{
	enum { N = 400 };
	bool done[N] = {false};
	struct rest_window w;
	char text[512] = "";
	int64_t committed = 0;
	unsigned seed = 7;

	begin(&w);
	for (int life = 0; life < 40; life++) {
		rest_window_restore(&w, committed, str_of(text));
		int64_t end_of_life = committed + rand_r(&seed) % 120;

		for (int64_t i = committed; i < N && i < end_of_life; i++)
			assert_int_equal(add(&w, i), !done[i]);
		while (give(&w, 0) >= 0)
			;
		for (size_t i = 0; i < w.n; i++)
			if (w.v[i].state == REST_OUT && rand_r(&seed) % 3) {
				done[w.v[i].offset] = true;
				rest_window_finish(&w, &w.v[i]);
			}
		committed = commit(&w, text);
	}
	assert_true(committed > 100);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(given_again_when_late),
		cmocka_unit_test(out_of_order_over_a_crash),
		cmocka_unit_test(foreign_metadata_is_nothing),
		cmocka_unit_test(gaps_are_done),
		cmocka_unit_test(only_near_to_the_prefix),
		cmocka_unit_test(a_failed_commit),
		cmocka_unit_test(fates),
		cmocka_unit_test(by_chance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
