/* SPDX-License-Identifier: Apache-2.0 */
#include "base/enc.h"
#include "base/mem.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

static struct arena *a;

static void test_hex(void **state)
{
	struct str s;

	assert_string_equal(enc_hex(a, STR("\x00\x7f\xff")).p, "007fff");
	assert_string_equal(enc_hex(a, STR_NONE).p, "");
	assert_true(enc_unhex(a, STR("007FfF"), &s));
	assert_true(str_eq(s, STR("\x00\x7f\xff")));
	assert_true(enc_unhex(a, STR(""), &s) && s.p && s.n == 0);
	assert_false(enc_unhex(a, STR("0"), &s));
	assert_false(enc_unhex(a, STR("0g"), &s));
	assert_false(enc_unhex(a, STR("-1"), &s));
}

static void test_xml_text(void **state)
{
	struct buf b;

	buf_init(&b, 1024);
	enc_xml_text(&b, STR("a<b>&c\r\n\t\x01\x7f\xc3\xa4\"'"));
	assert_true(str_is(buf_view(&b), "a&lt;b&gt;&amp;c&#13;\n\t\x7f\xc3\xa4\"'"));
	buf_reset(&b);
	enc_xml_text(&b, STR("a\xff"));
	enc_xml_text(&b, STR_NONE);
	assert_int_equal(b.n, 0);
	buf_done(&b);
}

static void test_base64(void **state)
{
	/* RFC 4648, section 10 */
	static const char *const rows[][2] = {{"", ""},
					      {"f", "Zg=="},
					      {"fo", "Zm8="},
					      {"foo", "Zm9v"},
					      {"foob", "Zm9vYg=="},
					      {"fooba", "Zm9vYmE="},
					      {"foobar", "Zm9vYmFy"},
					      {"\xff\xfe\xfd", "//79"}};
	static const char *const bad[] = {
		"Z", "Zg", "Zg=", "Zg==Zg==", "Zh==", "Zm9=", "Z===", "====", "Zg= ", "Zm9v\n", "_-79", "Zm=v", "=Zm9"};
	struct str s;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_string_equal(enc_base64(a, str_of(rows[i][0])).p, rows[i][1]);
		assert_true(enc_unbase64(a, str_of(rows[i][1]), &s));
		assert_true(str_is(s, rows[i][0]));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (enc_unbase64(a, str_of(bad[i]), &s))
			fail_msg("accepted: %s", bad[i]);
}

static void test_percent(void **state)
{
	struct buf b;
	struct str s;

	buf_init(&b, 1000);
	enc_percent(&b, STR("aZ09-_.~ /%\0\xff"), "/");
	assert_string_equal(buf_view(&b).p, "aZ09-_.~%20/%25%00%FF");
	assert_true(enc_unpercent(a, buf_view(&b), false, &s));
	assert_true(str_eq(s, STR("aZ09-_.~ /%\0\xff")));
	buf_done(&b);
	assert_true(enc_unpercent(a, STR("a+b%2B%2f"), true, &s) && str_is(s, "a b+/"));
	assert_true(enc_unpercent(a, STR("a+b"), false, &s) && str_is(s, "a+b"));
	static const char *const bad[] = {"%", "%2", "a%", "%g0", "%0g", "%%20", "%-1"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(enc_unpercent(a, str_of(bad[i]), false, &s));
}

static void test_utf8(void **state)
{
	static const char *const good[] = {"",
					   "a",
					   "\xc2\x80",
					   "\xdf\xbf",
					   "\xe0\xa0\x80",
					   "\xed\x9f\xbf",
					   "\xee\x80\x80",
					   "\xef\xbf\xbf",
					   "\xf0\x90\x80\x80",
					   "\xf4\x8f\xbf\xbf"};
	static const char *const bad[] = {"\x80",
					  "\xc0\x80",
					  "\xc1\xbf",
					  "\xc2",
					  "\xc2"
					  "a",
					  "\xe0\x9f\xbf",
					  "\xe0\xa0",
					  "\xed\xa0\x80",
					  "\xed\xbf\xbf",
					  "\xf0\x8f\xbf\xbf",
					  "\xf4\x90\x80\x80",
					  "\xf5\x80\x80\x80",
					  "\xff",
					  "\xf0\x90\x80",
					  "a\xe2\x82"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(enc_utf8_valid(str_of(good[i])));
		assert_int_equal(enc_utf8_len(str_of(good[i])), i ? 1 : 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(enc_utf8_valid(str_of(bad[i])));
	assert_true(enc_utf8_valid(STR("a\0b")));
	assert_int_equal(enc_utf8_len(STR("a\xe2\x82\xac"
					  "b")),
			 3);
	assert_int_equal(enc_utf8_step(STR("a\xe2\x82\xac"), 1), 3);
	assert_int_equal(enc_utf8_step(STR("a\xe2\x82"), 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_hex), cmocka_unit_test(test_xml_text),
	                                   cmocka_unit_test(test_base64),
					   cmocka_unit_test(test_percent), cmocka_unit_test(test_utf8)};

	a = arena_new(1 << 20);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	arena_free(a);
	return failed;
}
