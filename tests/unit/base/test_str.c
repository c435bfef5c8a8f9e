/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/str.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

static void test_compare(void **state)
{
	assert_true(str_eq(STR_NONE, STR("")));
	assert_false(str_is(STR_NONE, ""));
	assert_true(str_is(STR(""), ""));
	assert_false(str_eq(STR("a"), STR("b")));
	assert_true(str_eq(STR("a\0b"), STR("a\0b")));
	assert_false(str_eq(STR("a\0b"), STR("a\0c")));
	assert_true(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
	assert_false(str_eq_nocase(STR("@"), STR("`"))); /* differ by the case bit, are no letters */
	assert_true(str_cmp(STR("a"), STR("ab")) < 0);
	assert_true(str_cmp(STR("b"), STR("ab")) > 0);
	assert_true(str_cmp(STR("\x80"), STR("a")) > 0);
	assert_int_equal(str_cmp(STR_NONE, STR("")), 0);
	assert_true(str_eq_secret(STR("abc"), STR("abc")));
	assert_false(str_eq_secret(STR("abc"), STR("abd")));
	assert_false(str_eq_secret(STR("abc"), STR("ab")));
	assert_true(str_eq_secret(STR_NONE, STR("")));
	assert_true(str_starts(STR("abc"), STR("ab")));
	assert_true(str_starts(STR_NONE, STR_NONE));
	assert_false(str_starts(STR("a"), STR("ab")));
}

static void test_search(void **state)
{
	assert_int_equal(str_find(STR("abca"), 'a', 1), 3);
	assert_int_equal(str_find(STR("abc"), 'x', 0), 3);
	assert_int_equal(str_find(STR("abc"), 'a', 99), 3);
	assert_int_equal(str_find(STR_NONE, 'a', 0), 0);
	assert_true(str_contains(STR("abc"), STR("bc")));
	assert_true(str_contains(STR_NONE, STR("")));
	assert_false(str_contains(STR("abc"), STR("abcd")));
	assert_true(str_is(str_trim(STR(" \t a b\t ")), "a b"));
	assert_true(str_is(str_trim(STR("  ")), ""));
	assert_int_equal(str_trim(STR_NONE).n, 0);
}

static void test_cut(void **state)
{
	static const struct {
		const char *text, *joined;
	} rows[] = {{"a,b", "a|b|"}, {"", "|"}, {",", "||"}, {"a,", "a||"}, {",a", "|a|"}, {"a", "a|"}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char joined[20];
		size_t n = 0;

		for (struct str rest = str_of(rows[i].text); rest.p;) {
			struct str part = str_cut(&rest, ',');

			n += (size_t)snprintf(joined + n, sizeof(joined) - n, "%.*s|", STR_FMT(part));
		}
		assert_string_equal(joined, rows[i].joined);
	}
	struct str none = STR_NONE;

	assert_null(str_cut(&none, ',').p);
}

static void test_to_int(void **state)
{
	static const char *const bad[] = {"",
					  "-",
					  "+1",
					  " 1",
					  "1 ",
					  "1.0",
					  "0x1",
					  "9223372036854775808",
					  "-9223372036854775809",
					  "99999999999999999999",
					  "--1",
					  "1-"};
	long long v = 42;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(str_to_int(str_of(bad[i]), LLONG_MIN, LLONG_MAX, &v));
	assert_false(str_to_int(STR_NONE, LLONG_MIN, LLONG_MAX, &v));
	assert_false(str_to_int(STR("6"), 1, 5, &v));
	assert_false(str_to_int(STR("0"), 1, 5, &v));
	assert_false(str_to_int(STR("1\0"), 1, 5, &v));
	assert_int_equal(v, 42); /* untouched by failures */
	assert_true(str_to_int(STR("9223372036854775807"), LLONG_MIN, LLONG_MAX, &v) && v == LLONG_MAX);
	assert_true(str_to_int(STR("-9223372036854775808"), LLONG_MIN, LLONG_MAX, &v) && v == LLONG_MIN);
	assert_true(str_to_int(STR("-0"), 0, 5, &v) && v == 0);
	assert_true(str_to_int(STR("007"), 0, 7, &v) && v == 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_compare), cmocka_unit_test(test_search),
					   cmocka_unit_test(test_cut), cmocka_unit_test(test_to_int)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
