/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

static void test_format(void **state)
{
	static const struct {
		int64_t ms;
		const char *iso, *iso_ms;
	} rows[] = {
		{0, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"},
		{1575614944007, "2019-12-06T06:49:04Z", "2019-12-06T06:49:04.007Z"},
		{-1, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"},
		{INT64_MIN, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"},
		{INT64_MAX, "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999Z"},
	};
	char buf[CLOCK_ISO_SIZE];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(clock_iso(rows[i].ms, buf).n, 20);
		assert_string_equal(buf, rows[i].iso);
		assert_int_equal(clock_iso_ms(rows[i].ms, buf).n, 24);
		assert_string_equal(buf, rows[i].iso_ms);
	}
}

static void test_parse_basic(void **state)
{
	static const char *const bad[] = {
		"",
		"20191115T033655",
		"20191115T033655ZZ",
		"20191115 033655Z",
		"2019-11-15T03:36:55Z",
		"20191315T033655Z",
		"20190229T033655Z",
		"20191131T033655Z",
		"20191115T243655Z",
		"20191115T036055Z",
		"20191115T033660Z",
		"20191100T033655Z",
		"20190015T033655Z",
		"-0191115T033655Z",
		"2019111 T033655Z",
		"20191115T+33655Z",
		"20191115T0336-5Z",
		"20191115t033655z",
		"19691231T235959Z",
	};
	int64_t ms = 42;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (clock_parse_basic(str_of(bad[i]), &ms))
			fail_msg("accepted: %s", bad[i]);
	assert_int_equal(ms, 42);
	assert_true(clock_parse_basic(STR("20191115T033655Z"), &ms));
	assert_true(ms == 1573789015000);
	assert_true(clock_parse_basic(STR("20200229T235959Z"), &ms));
	assert_true(clock_parse_basic(STR("19700101T000000Z"), &ms) && ms == 0);
	assert_true(clock_parse_basic(STR("99991231T235959Z"), &ms) && ms == 253402300799000);
}

static void test_parse_iso(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"2019-12-06T06:49:04Z", 1575614944000},
		    {"2019-12-06T06:49:04.7Z", 1575614944700},
		    {"2019-12-06T06:49:04.07Z", 1575614944070},
		    {"2019-12-06T06:49:04.007Z", 1575614944007},
		    {"2019-12-06T06:49:04.007999999Z", 1575614944007}};
	static const char *const bad[] = {
		"2019-12-06T06:49:04",    "2019-12-06T06:49:04.Z",     "2019-12-06T06:49:04.0000000001Z",
		"2019-12-06T06:49:04,7Z", "2019-12-06T06:49:04.-7Z",   "2019-12-06T06:49:04.123xZ",
		"2019-12-06 06:49:04Z",   "2019-12-06T06:49:04+00:00", "2019-02-30T06:49:04Z",
		"2019-12-06T06:49:60Z",   "2019-12-06T6:49:04.0Z",     "2100-02-29T00:00:00Z",
	};
	int64_t ms;

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(clock_parse_iso(str_of(good[i].text), &ms));
		assert_true(ms == good[i].ms);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (clock_parse_iso(str_of(bad[i]), &ms))
			fail_msg("accepted: %s", bad[i]);
}

static void test_now(void **state)
{
	int64_t mono = clock_mono_ms();

	assert_true(clock_now_ms() > 1600000000000);
	assert_true(clock_mono_ms() >= mono);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_format), cmocka_unit_test(test_parse_basic),
					   cmocka_unit_test(test_parse_iso), cmocka_unit_test(test_now)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
