/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "httpd/httpd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static struct httpd_form_part parts[64];
static size_t n_parts;

static bool form(struct arena *a, const char *content_type, struct str body, size_t max)
{
	struct httpd_pair header = {STR("content-type"), str_of(content_type)};
	struct httpd_request req = {.headers = &header, .n_headers = 1, .body = body, .arena = a};

	return httpd_form(&req, parts, max, &n_parts);
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

#define TYPE "multipart/form-data; boundary=xyz"

static void test_good(void **state)
{
	static const char body[] = "preamble\r\n--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n"
				   "--xyz  \r\ncontent-disposition: form-data; name=file; filename=\"q\\\"\\x.txt\"\r\n"
				   "Content-Type: text/plain\r\n\r\nline\r\n--xy\r\n\0z\r\n--xyz\r\n"
				   "Content-Disposition: form-data; name=\"\"\r\n\r\nx\r\n--xyz--\r\nepilogue";

	assert_true(form(*state, "Multipart/Form-Data; charset=utf-8; boundary=\"xyz\"", STR(body), 64));
	assert_int_equal(n_parts, 3);
	assert_true(str_is(parts[0].name, "a") && parts[0].data.p && parts[0].data.n == 0 && !parts[0].filename.p);
	assert_true(str_is(parts[1].name, "file") && str_is(parts[1].filename, "q\"\\x.txt"));
	assert_true(str_is(parts[1].content_type, "text/plain"));
	assert_true(str_eq(parts[1].data, STR("line\r\n--xy\r\n\0z")));
	assert_true(parts[2].name.p && parts[2].name.n == 0 && str_is(parts[2].data, "x"));
	assert_true(form(*state, TYPE, STR("--xyz--"), 64));
	assert_int_equal(n_parts, 0);
	/* Nothing between the headers' end and the delimiter: the two share a line break. */
	assert_true(form(*state, TYPE, STR("--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\n--xyz--"), 64));
	assert_true(n_parts == 1 && parts[0].data.n == 0);
}

#define GOOD "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nv\r\n--xyz--\r\n"

static void test_bad_types(void **state)
{
	static const char *const types[] = {
		"",
		"multipart/form-data",
		"multipart/mixed; boundary=xyz",
		"multipart/form-data; boundary=",
		"multipart/form-data; boundary=\"\"",
		"multipart/form-data; boundary=\"xyz",
		"multipart/form-data boundary=xyz",
		"multipart/form-data; boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
	};

	assert_true(form(*state, TYPE, STR(GOOD), 64));
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (form(*state, types[i], STR(GOOD), 64))
			fail_msg("accepted: %s", types[i]);
}

static void test_bad_bodies(void **state)
{
	static const char *const bodies[] = {
		"",
		"--xy",
		"--xyz",
		"--xyz\r\n",
		"--xyz-",
		"--xyzz\r\n\r\n--xyz--",
		"--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nv",
		"--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nv--xyz--",
		"--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nv\r\n--xyzq\r\n",
		"--xyz\r\nContent-Disposition: form-data\r\n\r\nv\r\n--xyz--",
		"--xyz\r\n\r\nv\r\n--xyz--",
		"--xyz\r\nContent-Disposition: attachment; name=a\r\n\r\nv\r\n--xyz--",
		"--xyz\r\nContent-Disposition: form-data; name=\"a\r\n\r\nv\r\n--xyz--",
		"--xyz\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\nv\r\n--xyz--",
		"--xyz\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; "
		"name=b\r\n\r\nv\r\n--xyz--",
		"--xyz\r\nContent-Disposition: form-data; name=a; oops\r\n\r\nv\r\n--xyz--",
		"--xyz\r\nno colon\r\nContent-Disposition: form-data; name=a\r\n\r\nv\r\n--xyz--",
		"--xyz\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: "
		"base64\r\n\r\nv\r\n--xyz--",
	};

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
		if (form(*state, TYPE, str_of(bodies[i]), 64))
			fail_msg("accepted: %s", bodies[i]);
	assert_false(form(*state, TYPE, STR_NONE, 64));
}

static void test_part_limit(void **state)
{
	struct buf body;

	buf_init(&body, 100000);
	for (int i = 0; i < 65; i++)
		buf_cstr(&body, "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\nv\r\n");
	buf_cstr(&body, "--xyz--");
	assert_false(form(*state, TYPE, buf_view(&body), 64));
	assert_false(form(*state, TYPE, STR(GOOD), 0));
	buf_done(&body);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {T(test_good), T(test_bad_types), T(test_bad_bodies), T(test_part_limit)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
