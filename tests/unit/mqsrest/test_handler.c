/* SPDX-License-Identifier: Apache-2.0 */
#include "mqsrest/handler.h"

#include "base/enc.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void same_when_read(void **state)
{
	static const struct rest_handler rows[] = {
		{4, 100, 18, 0}, {0, 0, 0, 0}, {INT32_MAX, INT64_MAX, INT64_MAX, INT64_MAX}};
	struct arena *a = arena_new(65536);

	for (size_t i = 0; i < 3; i++) {
		struct rest_handler got;

		assert_true(rest_handler_read(a, rest_handler_make(a, &rows[i]), &got));
		assert_int_equal(got.partition, rows[i].partition);
		assert_int_equal(got.offset, rows[i].offset);
		assert_int_equal(got.delivery, rows[i].delivery);
		assert_int_equal(got.session, rows[i].session);
	}
	/* The form of the reference's own example. */
	assert_true(str_is(rest_handler_make(a, &rows[0]), "NCMxMDAjMTgjMA=="));
	arena_free(a);
}

static void nothing_else_is_read(void **state)
{
	static const char *const rows[] = {
		"",          "#",        "###",      "1#2#3",    "1#2#3#",           "1#2#3#4#",
		"1#2#3#4#5", "-1#2#3#4", "1#-2#3#4", "1#2#3#x",  " 1#2#3#4",         "1#2#3#4 ",
		"+1#2#3#4",  "1#2#3#-0", "01#2#3#4", "1#2#3#00", "2147483648#2#3#4", "1#9223372036854775808#3#4",
	};
	struct arena *a = arena_new(65536);
	struct rest_handler got;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_false(rest_handler_read(a, enc_base64(a, str_of(rows[i])), &got));
	assert_false(rest_handler_read(a, STR("1#2#3#4"), &got));
	assert_false(rest_handler_read(a, STR("NCMxMDAjMTgjMA="), &got));
	assert_false(rest_handler_read(a, STR_NONE, &got));
	char *longer = arena_alloc(a, 4000);

	memset(longer, 'A', 4000);
	assert_false(rest_handler_read(a, (struct str){longer, 4000}, &got));
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_when_read),
		cmocka_unit_test(nothing_else_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
