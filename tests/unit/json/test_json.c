/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "json/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static char why[160];

static const struct json *parse(struct arena *a, const char *text)
{
	const struct json *j = NULL;

	return json_parse(a, str_of(text), &j, why, sizeof(why)) ? j : NULL;
}

static int set_up(void **state)
{
	*state = arena_new(1 << 20);
	return 0;
}

static int tear_down(void **state)
{
	arena_free(*state);
	return 0;
}

static void assert_prints(const struct json *j, const char *want)
{
	struct buf out;

	buf_init(&out, 1 << 20);
	json_print(&out, j);
	assert_string_equal(buf_view(&out).p, want);
	buf_done(&out);
}

static void test_round_trip(void **state)
{
	static const char *const texts[] = {
		"null",
		"true",
		"false",
		"0",
		"-1",
		"9223372036854775807",
		"-9223372036854775808",
		"1.0",
		"0.1",
		"-2.5",
		"1e+300",
		"4.94065645841247e-324",
		"1.7976931348623157e+308",
		"\"\"",
		"\"a\\n\\t\\\"\\\\\\u0001\"",
		"[]",
		"{}",
		"[[],{}]",
		"{\"z\":1,\"a\":[1,2.5,null],\"\":{\"x\":\"\xc3\xa9\"}}",
		"9007199254740993",
		"\"\xf0\x9f\x98\x80\"",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const struct json *j = parse(*state, texts[i]);

		assert_non_null(j);
		assert_prints(j, texts[i]);
	}
}

static void test_refused(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"[",
		"{",
		"[1,]",
		"{\"a\":1,}",
		"[01]",
		"'a'",
		"NaN",
		"Infinity",
		"-",
		"+1",
		"1.",
		".5",
		"1e400",
		"9223372036854775808",
		"-9223372036854775809",
		"{\"a\":1,\"a\":2}",
		"{\"a\":1,\"\\u0061\":2}",
		"\"\\u0000\"",
		"{\"a\\u0000\":1}",
		"\"\\ud800\"",
		"\"\\udc00\\ud800\"",
		"\"\xff\"",
		"\"\xc0\x80\"",
		"\"\xed\xa0\x80\"",
		"\"a\nb\"",
		"\"\\x\"",
		"[1] x",
		"[1][2]",
		"// c\n1",
		"{a:1}",
		"tru",
		"\xef\xbb\xbf{}",
		"]",
		"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		why[0] = '\0';
		if (parse(*state, texts[i]))
			fail_msg("accepted: %s", texts[i]);
		assert_int_equal(strncmp(why, "line ", 5), 0);
	}
	const struct json *j;

	assert_false(json_parse(*state, (struct str){"1\0", 2}, &j, why, sizeof(why)));
	assert_false(json_parse(*state, STR_NONE, &j, why, sizeof(why)));
}

static void test_error_hides_input(void **state)
{
	assert_null(parse(*state, "{\"password\":\"hunter2\" oops}"));
	assert_null(strstr(why, "oops"));
	assert_null(parse(*state, "{\"a\":1,\n \"a\":2}"));
	assert_string_equal(why, "line 2 column 4: duplicate object key");
}

static void test_depth(void **state)
{
	char text[200];

	memset(text, '[', 64);
	memset(text + 64, ']', 64);
	text[128] = '\0';
	assert_non_null(parse(*state, text));
	memset(text, '[', 65);
	memset(text + 65, ']', 65);
	text[130] = '\0';
	assert_null(parse(*state, text));
	assert_string_equal(why, "line 1 column 65: nested deeper than 64 levels");
	memset(text, '[', 100); /* brackets in strings do not count */
	text[0] = text[99] = '"';
	text[50] = '\\';
	text[51] = '"';
	text[100] = '\0';
	assert_non_null(parse(*state, text));
}

static void test_access(void **state)
{
	const struct json *j = parse(*state, "{\"s\":\"x\",\"i\":7,\"n\":1.5,\"b\":true,\"l\":[1,2],\"z\":null}");
	struct str name;
	const struct json *value;

	assert_int_equal(json_kind(j), JSON_OBJECT);
	assert_int_equal(json_len(j), 6);
	assert_true(str_is(json_str(json_get(j, "s")), "x"));
	assert_int_equal(json_int(json_get(j, "i")), 7);
	assert_true(json_num(json_get(j, "n")) == 1.5);
	assert_true(json_num(json_get(j, "i")) == 7);
	assert_true(json_bool(json_get(j, "b")));
	assert_int_equal(json_int(json_at(json_get(j, "l"), 1)), 2);
	assert_null(json_at(json_get(j, "l"), 2));
	assert_int_equal(json_kind(json_get(j, "z")), JSON_NULL);
	assert_null(json_get(j, "no"));
	assert_null(json_get(json_get(j, "l"), "s"));
	assert_null(json_get(NULL, "s"));
	assert_null(json_str(json_get(j, "i")).p);
	assert_int_equal(json_int(json_get(j, "s")), 0);
	assert_false(json_bool(json_get(j, "s")));
	assert_true(json_member(j, 1, &name, &value));
	assert_true(str_is(name, "i"));
	assert_false(json_member(j, 6, &name, &value));
	assert_false(json_member(json_get(j, "l"), 0, &name, &value));
}

static void test_build(void **state)
{
	struct arena *a = *state;
	struct json *o = json_new_object(a), *l = json_new_array(a);

	for (int i = 0; i < 9; i++)
		json_push(l, json_new_int(a, i));
	json_set(o, STR("l"), l);
	json_set(o, STR("bad"), json_new_str(a, STR("a\xff\xc3")));
	json_set(o, STR("t"), json_new_bool(a, true));
	json_set(o, STR("t"), json_new_bool(a, false));
	json_set(o, STR("n"), json_new_num(a, 3));
	json_set(o, STR("inf"), json_new_num(a, INFINITY));
	json_set(o, STR("z"), json_new_null(a));
	json_set(o, STR("none"), json_new_str(a, STR_NONE));
	json_push(l, json_new_str(a, STR("pushed later")));
	assert_prints(o,
		      "{\"l\":[0,1,2,3,4,5,6,7,8,\"pushed later\"],\"bad\":\"a\xef\xbf\xbd\xef\xbf\xbd\",\"t\":false,"
		      "\"n\":3.0,\"inf\":null,\"z\":null,\"none\":\"\"}");
}

static void test_print_str(void **state)
{
	struct buf out;

	buf_init(&out, 1000);
	json_print_str(&out, (struct str){"a\0b\x1f\x7f/\xe2\x82z\xe2\x82\xac", 12});
	assert_string_equal(buf_view(&out).p, "\"a\\u0000b\\u001f\x7f/\xef\xbf\xbd\xef\xbf\xbdz\xe2\x82\xac\"");
	buf_reset(&out);
	json_print_str(&out, STR_NONE);
	assert_string_equal(buf_view(&out).p, "\"\"");
	buf_done(&out);
	buf_init(&out, 3);
	json_print_str(&out, STR("abcd"));
	assert_true(out.failed);
	buf_done(&out);
}

static void test_arena_limit(void **state)
{
	struct arena *small = arena_new(2048);
	char text[1000];

	memset(text, '1', sizeof(text));
	text[0] = '[';
	for (size_t i = 2; i < sizeof(text) - 1; i += 2)
		text[i] = ',';
	memcpy(text + sizeof(text) - 3, "1]", 3);
	assert_null(parse(small, text));
	assert_string_equal(why, "the document needs too much memory");
	arena_free(small);
	assert_non_null(parse(*state, text));
}

/* A value of two bytes of text takes a hundred of memory: their number is bounded, not only the text's length. */
static void test_many_values(void **state)
{
	enum { N = 2000002 };
	struct arena *a = arena_new((size_t)512 << 20);
	char *text = malloc(2 * N + 2);
	const struct json *j;

	text[0] = '[';
	for (size_t i = 0; i < N; i++)
		memcpy(text + 1 + 2 * i, "0,", 2);
	text[2 * N] = ']';
	assert_false(json_parse(a, (struct str){text, 2 * N + 1}, &j, why, sizeof(why)));
	assert_non_null(strstr(why, "more than two million values"));
	text[2 * N - 4] = ']';
	assert_true(json_parse(a, (struct str){text, 2 * N - 3}, &j, why, sizeof(why)));
	assert_int_equal(json_len(j), N - 2);
	free(text);
	arena_free(a);
}

/* Each allocation in turn fails: parsing must refuse, not crash or leak, until it needs no more. */
static void test_allocation_failures(void **state)
{
	static const char text[] = "{\"a\":[1,2.5,\"long enough to be allocated somewhere\",{\"b\":null}],\"c\":true}";

	for (unsigned n = 1;; n++) {
		struct arena *a = arena_new(1 << 20);
		const struct json *j = NULL;

		mem_fail_after(n);
		bool ok = json_parse(a, STR(text), &j, why, sizeof(why));

		mem_fail_after(0);
		arena_free(a);
		assert_true(n < 200);
		if (ok) {
			assert_true(n > 5);
			break;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_error_hides_input, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_depth, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_access, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_build, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_print_str, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_arena_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_allocation_failures, set_up, tear_down),
		cmocka_unit_test(test_many_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
