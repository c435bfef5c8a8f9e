/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route.h"
#include "tables.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static struct api_route route;

static int find(const char *method, const char *path)
{
	api_route(&test_tables, str_of(method), str_of(path), &route);
	return route.op;
}

static void test_found(void **state)
{
	assert_int_equal(find("GET", "/"), OP_ROOT);
	assert_int_equal(find("GET", "/v2/p/things"), OP_LIST);
	assert_int_equal(route.n_segments, 3);
	assert_true(str_is(route.segments[1], "p"));
	assert_int_equal(find("POST", "/v2/p/things"), OP_CREATE);
	assert_int_equal(find("DELETE", "/v2/p/things/x"), OP_DELETE);
}

/* RFC 9110, section 9.3.2 */
static void test_head_is_get(void **state)
{
	assert_int_equal(find("HEAD", "/v2/p/things"), OP_LIST);
	assert_int_equal(find("HEAD", "/login"), -1);
	assert_true(route.path_exists);
}

static void test_literal_wins(void **state)
{
	assert_int_equal(find("POST", "/v2/p/things/check"), OP_CHECK);
	/* The literal has no GET, the parameter has. */
	assert_int_equal(find("GET", "/v2/p/things/check"), OP_SHOW);
}

static void test_not_found(void **state)
{
	static const char *const paths[] = {"/v", "/v2", "/v2/p", "/v2/p/thing", "/v2/p/thingss", "/v2/p/things/a/b",
	                                    "/V2/p/things", "login", "", "*", "/v2//things", "/v2/p/things//"};

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		assert_int_equal(find("GET", paths[i]), -1);
		assert_false(route.path_exists);
	}
}

static void test_wrong_method(void **state)
{
	assert_int_equal(find("PATCH", "/v2/p/things"), -1);
	assert_true(route.path_exists);
	assert_string_equal(route.allow, "GET, POST");
	/* Both the literal and the parameter fit. */
	assert_int_equal(find("PUT", "/v2/p/things/check"), -1);
	assert_string_equal(route.allow, "POST, GET, DELETE");
	assert_int_equal(find("get", "/"), -1);
	assert_true(route.path_exists);
}

static void test_trailing_slash(void **state)
{
	assert_int_equal(find("GET", "/v2/p/things/"), OP_LIST);
	assert_int_equal(find("POST", "/login/"), OP_LOGIN);
}

static void test_depth(void **state)
{
	char path[2 * API_MAX_SEGMENTS + 8] = "";
	size_t n = 0;

	for (int i = 0; i < API_MAX_SEGMENTS + 1; i++)
		n += (size_t)snprintf(path + n, sizeof(path) - n, "/v");
	assert_int_equal(find("GET", path), -1);
	assert_false(route.path_exists);
	path[n - 2] = '\0';
	assert_int_equal(find("GET", path), -1);
	assert_int_equal(route.n_segments, API_MAX_SEGMENTS);
}

/* What is escaped is one segment, whatever it stands for, and no literal. */
static void test_escapes_stay(void **state)
{
	assert_int_equal(find("GET", "/v2/p/things/a%2Fb"), OP_SHOW);
	assert_true(str_is(route.segments[3], "a%2Fb"));
	assert_int_equal(find("POST", "/v2/p/things/%63heck"), -1);
	assert_true(route.path_exists);
	assert_int_equal(find("POST", "/%6Cogin"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_found),        cmocka_unit_test(test_head_is_get),
		cmocka_unit_test(test_literal_wins), cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_wrong_method), cmocka_unit_test(test_trailing_slash),
		cmocka_unit_test(test_depth),        cmocka_unit_test(test_escapes_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
