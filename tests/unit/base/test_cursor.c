/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/cursor.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

static void test_read_back(void **state)
{
	struct buf b;

	buf_init(&b, 100);
	buf_u8(&b, 7);
	buf_u16(&b, 0xfffe);
	buf_u32(&b, 0xfffffffd);
	buf_u64(&b, UINT64_MAX - 3);
	buf_u32(&b, 2);
	buf_cstr(&b, "ab");
	buf_u32(&b, UINT32_MAX);
	buf_u32(&b, 0);
	struct cursor c = cursor_of(buf_view(&b));

	assert_int_equal(cursor_u8(&c), 7);
	assert_int_equal(cursor_u16(&c), 0xfffe);
	assert_int_equal(cursor_u32(&c), 0xfffffffd);
	assert_true(cursor_u64(&c) == UINT64_MAX - 3);
	assert_true(str_is(cursor_str(&c), "ab"));
	assert_null(cursor_str(&c).p);
	assert_true(str_is(cursor_str(&c), ""));
	assert_false(c.failed);
	assert_int_equal(cursor_left(&c), 0);
	buf_done(&b);
}

static void test_end(void **state)
{
	struct cursor c = cursor_of(STR("\x01\x02\x03"));

	assert_int_equal(cursor_u32(&c), 0);
	assert_true(c.failed);
	assert_int_equal(cursor_u8(&c), 0); /* stays failed although a byte is there */
	assert_true(str_is(cursor_bytes(&c, 1), ""));
	c = cursor_of(STR("\xff\xff\xff\x7f"
			  "ab")); /* a length beyond the end */
	assert_true(str_is(cursor_str(&c), ""));
	assert_true(c.failed);
	c = cursor_of(STR("ab"));
	cursor_bytes(&c, SIZE_MAX);
	assert_true(c.failed);
	c = cursor_of(STR_NONE);
	assert_int_equal(cursor_left(&c), 0);
	assert_int_equal(cursor_u8(&c), 0);
	assert_true(c.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_read_back), cmocka_unit_test(test_end)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
