/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/map.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#define N 2000

static struct str keys[N];
static int values[N];

static void test_basics(void **state)
{
	struct map *m = map_new();
	int one, two;

	assert_null(map_get(m, STR("a")));
	assert_null(map_del(m, STR("a")));
	assert_null(map_put(m, STR("a"), &one));
	assert_ptr_equal(map_put(m, STR("a"), &two), &one);
	assert_ptr_equal(map_get(m, STR("a")), &two);
	assert_int_equal(map_count(m), 1);
	assert_null(map_put(m, STR(""), &one));
	assert_ptr_equal(map_get(m, STR_NONE), &one);
	assert_null(map_put(m, STR("a\0"), &one));
	assert_ptr_equal(map_del(m, STR("a")), &two);
	assert_null(map_get(m, STR("a")));
	assert_int_equal(map_count(m), 2);
	map_free(m);
	map_free(NULL);
}

static void test_growth_and_tombstones(void **state)
{
	struct map *m = map_new();

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i++)
			assert_null(map_put(m, keys[i], &values[i]));
		for (int i = 0; i < N; i++)
			assert_ptr_equal(map_get(m, keys[i]), &values[i]);
		for (int i = 0; i < N; i += 2)
			assert_ptr_equal(map_del(m, keys[i]), &values[i]);
		for (int i = 0; i < N; i++)
			assert_ptr_equal(map_get(m, keys[i]), i % 2 ? &values[i] : NULL);
		assert_int_equal(map_count(m), N / 2);
		for (int i = 1; i < N; i += 2)
			assert_ptr_equal(map_del(m, keys[i]), &values[i]);
		assert_int_equal(map_count(m), 0);
	}
	/* Few live entries, many deleted ones: neither endless search nor endless growth. */
	for (int i = 0; i < 100 * N; i++) {
		assert_null(map_put(m, keys[i % N], &values[i % N]));
		assert_ptr_equal(map_del(m, keys[i % N]), &values[i % N]);
	}
	assert_null(map_get(m, keys[0]));
	map_free(m);
}

static void test_walk(void **state)
{
	struct map *m = map_new();
	size_t at = 0, n = 0;
	bool seen[N] = {false};
	struct str key;
	void *value;

	assert_false(map_next(m, &at, &key, &value));
	for (int i = 0; i < N; i++)
		map_put(m, keys[i], &values[i]);
	for (int i = 0; i < N; i += 3)
		map_del(m, keys[i]);
	for (at = 0; map_next(m, &at, &key, &value); n++) {
		long i = (int *)value - values;

		assert_true(str_eq(key, keys[i]));
		assert_false(seen[i]);
		assert_true(i % 3);
		seen[i] = true;
	}
	assert_int_equal(n, map_count(m));
	/* Who wants the values only. */
	for (at = n = 0; map_next(m, &at, NULL, &value); n++)
		assert_non_null(value);
	assert_int_equal(n, map_count(m));
	map_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_basics), cmocka_unit_test(test_growth_and_tombstones),
					   cmocka_unit_test(test_walk)};
	struct arena *a = arena_new(1 << 20);

	for (int i = 0; i < N; i++)
		keys[i] = arena_fmt(a, "%.*s%d", i % 20, "long keys have tails", i);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	arena_free(a);
	return failed;
}
