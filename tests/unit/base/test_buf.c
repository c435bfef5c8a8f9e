/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/mem.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

static void test_write(void **state)
{
	struct buf b;

	buf_init(&b, 1000);
	assert_string_equal(buf_view(&b).p, "");
	buf_char(&b, 'a');
	buf_str(&b, STR("bc"));
	buf_str(&b, STR_NONE);
	buf_cstr(&b, "d");
	buf_int(&b, LLONG_MIN);
	buf_int(&b, LLONG_MAX);
	buf_int(&b, 0);
	buf_fmt(&b, "-%s-%d", "x", 7);
	assert_string_equal(buf_view(&b).p, "abcd-922337203685477580892233720368547758070-x-7");
	assert_false(b.failed);
	buf_reset(&b);
	assert_int_equal(buf_view(&b).n, 0);
	buf_done(&b);
}

static void test_limit(void **state)
{
	struct buf b;

	buf_init(&b, 4);
	buf_cstr(&b, "abcd");
	assert_false(b.failed);
	buf_add(&b, NULL, 0);
	assert_false(b.failed);
	buf_char(&b, 'e');
	assert_true(b.failed);
	assert_string_equal(buf_view(&b).p, "abcd");
	buf_reset(&b);
	buf_char(&b, 'x');
	buf_fmt(&b, "%d", 1234); /* does not fit as a whole */
	assert_true(b.failed);
	buf_char(&b, 'y'); /* would fit, but something is missing before it */
	assert_string_equal(buf_view(&b).p, "x");
	buf_reset(&b);
	assert_false(b.failed);
	buf_add(&b, "x", SIZE_MAX);
	assert_true(b.failed);
	buf_done(&b);
	buf_init(&b, 0);
	assert_string_equal(buf_view(&b).p, "");
	assert_false(b.failed);
	buf_done(&b);
}

static void test_growth(void **state)
{
	struct buf b;

	buf_init(&b, 100000);
	for (int i = 0; i < 100000; i++)
		buf_char(&b, (char)('a' + i % 26));
	assert_false(b.failed);
	assert_int_equal(buf_view(&b).p[99999], 'a' + 99999 % 26);
	buf_done(&b);
}

static void test_binary(void **state)
{
	struct buf b;

	buf_init(&b, 100);
	buf_u8(&b, 0xff);
	buf_u16(&b, 0x0102);
	buf_u32(&b, 0x01020304);
	buf_u64(&b, 0x0102030405060708);
	buf_put_u32(&b, 3, 0xa0b0c0d0);
	assert_memory_equal(buf_view(&b).p, "\xff\x02\x01\xd0\xc0\xb0\xa0\x08\x07\x06\x05\x04\x03\x02\x01", 15);
	buf_done(&b);
}

static void test_no_memory(void **state)
{
	struct buf b;

	buf_init(&b, 10000);
	mem_fail_after(1);
	assert_string_equal(buf_view(&b).p, "");
	buf_cstr(&b, "a");
	assert_true(b.failed);
	buf_reset(&b);
	buf_cstr(&b, "kept");
	mem_fail_after(1);
	for (int i = 0; i < 300; i++)
		buf_char(&b, 'x');
	mem_fail_after(0);
	assert_true(b.failed);
	assert_memory_equal(buf_view(&b).p, "keptx", 5);
	assert_int_equal(b.n, 255);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_write), cmocka_unit_test(test_limit),
					   cmocka_unit_test(test_growth), cmocka_unit_test(test_binary),
					   cmocka_unit_test(test_no_memory)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
