/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/mem.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

static void test_alloc(void **state)
{
	struct arena *a = arena_new(1 << 20);
	char *first = arena_alloc(a, 1), *second = arena_alloc(a, 100);

	assert_int_equal((uintptr_t)first % 16, 0);
	assert_int_equal((uintptr_t)second % 16, 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(second[i], 0);
	memset(second, 'x', 100);
	char *large = arena_alloc(a, 100000);

	memset(large, 'y', 100000);
	assert_int_equal(second[99], 'x');
	assert_non_null(arena_alloc(a, 0));
	arena_free(a);
	arena_free(NULL);
}

static void test_limit(void **state)
{
	struct arena *a = arena_new(1000);

	assert_null(arena_try(a, 1001));
	assert_non_null(arena_try(a, 900));
	assert_null(arena_try(a, 900));
	assert_non_null(arena_try(a, 50)); /* a refusal takes nothing */
	assert_null(arena_try(a, SIZE_MAX));
	assert_null(arena_try(a, SIZE_MAX / 2));
	arena_reset(a);
	char *again = arena_try(a, 900);

	assert_non_null(again);
	assert_int_equal(again[0] | again[899], 0); /* zeroed again */
	arena_free(a);
}

/* However full others have made it, what our own code needs still fits. */
static void test_reserve(void **state)
{
	struct arena *a = arena_new(1 << 20);
	size_t n = 0;

	for (size_t step = 1 << 16; step; step /= 2)
		while (arena_try(a, step))
			n++;
	assert_true(n > 0);
	assert_null(arena_try(a, 1));
	assert_non_null(arena_alloc(a, 100000));
	assert_null(arena_try(a, 1));
	arena_reset(a);
	assert_non_null(arena_try(a, 900000));
	arena_free(a);
}

static void test_no_memory(void **state)
{
	struct arena *a = arena_new(1 << 20);

	mem_fail_after(1);
	assert_null(arena_try(a, 10));
	assert_non_null(arena_try(a, 10));
	mem_fail_after(1);
	assert_null(arena_try(a, 10000));
	mem_fail_after(0);
	assert_non_null(arena_try(a, 10));
	arena_free(a);
}

static int order[3], n_cleanups;

static void note(void *arg)
{
	order[n_cleanups++] = (int)(intptr_t)arg;
}

static void test_cleanup(void **state)
{
	struct arena *a = arena_new(1 << 20);

	arena_cleanup(a, note, (void *)1);
	arena_cleanup(a, note, (void *)2);
	arena_reset(a);
	assert_int_equal(n_cleanups, 2);
	assert_true(order[0] == 2 && order[1] == 1);
	arena_cleanup(a, note, (void *)3);
	arena_free(a);
	assert_int_equal(n_cleanups, 3);
}

static void test_strings(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct str parts[] = {STR("a"), STR_NONE, STR("c")};

	assert_null(arena_str(a, STR_NONE).p);
	assert_string_equal(arena_str(a, STR("")).p, "");
	assert_string_equal(arena_cstr(a, STR_NONE), "");
	assert_string_equal(arena_str(a, str_sub(STR("abc"), 1, 2)).p, "b");
	assert_string_equal(arena_fmt(a, "%s-%05d", "x", 42).p, "x-00042");
	assert_int_equal(arena_fmt(a, "%0*d", 20000, 1).n, 20000);
	assert_string_equal(arena_join(a, parts, 3, STR(", ")).p, "a, , c");
	assert_string_equal(arena_join(a, parts, 0, STR(", ")).p, "");
	assert_string_equal(arena_join(a, parts, 3, STR_NONE).p, "ac");
	int *v = ARENA_ARRAY(a, int, 10);

	assert_int_equal(v[9], 0);
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_alloc), cmocka_unit_test(test_limit),
	                                   cmocka_unit_test(test_reserve),
					   cmocka_unit_test(test_no_memory), cmocka_unit_test(test_cleanup),
					   cmocka_unit_test(test_strings)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
