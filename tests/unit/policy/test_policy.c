/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "policy/answer.h"
#include "policy/request.h"
#include "policy/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct arena *arena;
static struct err err;

static int setup(void **state)
{
	arena = arena_new(1 << 20);
	return 0;
}

static int teardown(void **state)
{
	arena_free(arena);
	return 0;
}

static void assert_str(struct str got, const char *want)
{
	assert_non_null(got.p);
	struct str copy = arena_str(arena, got);

	assert_string_equal(copy.p, want);
}

static void test_canonical(void **state)
{
	static const struct {
		const char *raw, *want;
	} cases[] = {
		{"/", "/"},
		{"/a/b", "/a/b"},
		{"//a//b/", "//a//b/"},
		{"/a/./b", "/a/b"},
		{"/a/../b", "/b"},
		{"/a/b/..", "/a/"},
		{"/a/.", "/a/"},
		{"/%61dm", "/adm"},
		{"/aa%2Faa", "/aa/aa"},
		{"/x%2f..%2fadm", "/adm"},
		{"/x/%2e%2e/adm", "/adm"},
		{"/a..b/.c/...", "/a..b/.c/..."},
		{"/a;v=1/b", "/a;v=1/b"},
		{"/%252e%252e/", "/%2e%2e/"},
		{"/a//../b", "/a/b"},
		{"/caf%C3%A9", "/caf\xc3\xa9"},
		{"/a%20b", "/a b"},
		{"/..a/b", "/..a/b"},
		{"/..", NULL},
		{"/a/../../b", NULL},
		{"/%2e%2e", NULL},
		{"", NULL},
		{"a", NULL},
		{"*", NULL},
		{"/a#b", NULL},
		{"/x#/../adm", NULL},
		{"/a/..;/adm", NULL},
		{"/a/..;x=1/adm", NULL},
		{"/a/.;/adm", NULL},
		{"/a/..%3b/adm", NULL},
		{"/a/%2e%2e;/adm", NULL},
		{"/%00", NULL},
		{"/%0d%0aX:1", NULL},
		{"/%7f", NULL},
		{"/%", NULL},
		{"/%4", NULL},
		{"/%zz", NULL},
		{"/a b", NULL},
		{"/a\tb", NULL},
		{"/a\x7f", NULL},
		{"/a\\..\\adm", NULL},
		{"/a%5c..%5cadm", NULL},
		{"/a%5cb", "/a\\b"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str got = STR_NONE;
		int rc = policy_path_canonical(arena, str_of(cases[i].raw), false, &got, &err);

		if (!cases[i].want) {
			if (rc != ERR_APIG_0201_REQUEST_ERROR)
				fail_msg("%s was not refused", cases[i].raw);
			continue;
		}
		if (rc)
			fail_msg("%s was refused: %s", cases[i].raw, err.text);
		assert_str(got, cases[i].want);
	}
}

static void test_canonical_raw(void **state)
{
	struct str got;

	assert_int_equal(policy_path_canonical(arena, STR("/aa%2Faa"), true, &got, &err), 0);
	assert_str(got, "/aa%2Faa");
	assert_int_not_equal(policy_path_canonical(arena, STR("/a/../b"), true, &got, &err), 0);
	assert_int_not_equal(policy_path_canonical(arena, STR("/a%2f%2e%2e%2fb"), true, &got, &err), 0);
	assert_int_not_equal(policy_path_canonical(arena, STR("/a/..;/b"), true, &got, &err), 0);
	assert_int_not_equal(policy_path_canonical(arena, STR("/a%00"), true, &got, &err), 0);
}

/* The canonical form is a fixed point: encoding and canonicalising it again changes nothing. */
static void test_canonical_stable(void **state)
{
	static const char *const raws[] = {"/a%2fb%20c/%25/x;y", "/%ff%fe", "/a+b%2Bc", "/\"<>", "/a%3fb%23c"};

	for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
		struct str once, twice;

		assert_int_equal(policy_path_canonical(arena, str_of(raws[i]), false, &once, &err), 0);
		assert_int_equal(policy_path_canonical(arena, policy_path_encode(arena, once), false, &twice, &err), 0);
		assert_true(str_eq(once, twice));
	}
}

static void test_query(void **state)
{
	struct policy_query_pair *pairs;
	size_t n;

	assert_int_equal(policy_query_parse(arena, STR("a=1&&b&c=%20+x=y&"), &pairs, &n, &err), 0);
	assert_int_equal(n, 3);
	assert_str(pairs[1].name, "b");
	assert_str(pairs[1].value, "");
	assert_str(pairs[2].value, "  x=y");
	assert_str(pairs[2].raw, "c=%20+x=y");
	assert_int_not_equal(policy_query_parse(arena, STR("a=%"), &pairs, &n, &err), 0);
	struct str many = arena_str(arena, STR(""));
	struct buf b;

	buf_init(&b, 65536);
	for (int i = 0; i < POLICY_QUERY_MAX; i++)
		buf_cstr(&b, "a&");
	many = buf_view(&b);
	assert_int_not_equal(policy_query_parse(arena, many, &pairs, &n, &err), 0);
	buf_done(&b);
}

static void test_address(void **state)
{
	struct str host;
	unsigned port;

	assert_true(policy_address_split(STR("a.example"), true, &host, &port) && port == 443);
	assert_true(policy_address_split(STR("a.example:81"), true, &host, &port) && port == 81);
	assert_true(policy_address_split(STR("[::1]:81"), false, &host, &port) && port == 81);
	assert_str(host, "::1");
	assert_true(policy_address_split(STR("[::1]"), false, &host, &port) && port == 80);
	assert_false(policy_address_split(STR(""), false, &host, &port));
	assert_false(policy_address_split(STR("a:0"), false, &host, &port));
	assert_false(policy_address_split(STR("a:65536"), false, &host, &port));
	assert_false(policy_address_split(STR("a:b"), false, &host, &port));
	assert_false(policy_address_split(STR("[::1"), false, &host, &port));
	assert_false(policy_address_split(STR("a b"), false, &host, &port));
	assert_false(policy_address_split(STR("a/b"), false, &host, &port));
}

static int check_one(struct pub_param param, const char *query)
{
	struct pub_api api = {.params = &param, .n_params = 1};
	struct policy_request req = {.method = STR("GET"), .path = STR("/"), .query = str_of(query)};
	struct policy_regexps *regexps = policy_regexps_new(4);
	int rc = policy_params_check(arena, regexps, &api, &req, &err);

	policy_regexps_free(regexps);
	return rc;
}

#define BAD ERR_APIG_0201_REQUEST_ERROR

static void test_params(void **state)
{
	struct pub_param p = {.name = STR("id"), .location = PUB_QUERY, .required = true};

	assert_int_equal(check_one(p, "id=1"), 0);
	assert_int_equal(check_one(p, "ID=1"), BAD);
	assert_string_equal(err.text, "API request error: the query parameter id is missing");
	p.required = false;
	assert_int_equal(check_one(p, ""), 0);
	p.validate = p.number = p.has_min = p.has_max = true;
	p.min = STR("-1.50");
	p.max = STR("99999999999999999999999999");
	assert_int_equal(check_one(p, "id=-1.5"), 0);
	assert_int_equal(check_one(p, "id=99999999999999999999999999.0"), 0);
	assert_int_equal(check_one(p, "id=-1.51"), BAD);
	assert_int_equal(check_one(p, "id=99999999999999999999999999.00000000001"), BAD);
	assert_int_equal(check_one(p, "id=-0"), 0);
	assert_int_equal(check_one(p, "id=1e3"), BAD);
	assert_int_equal(check_one(p, "id="), BAD);
	assert_int_equal(check_one(p, "id=1&id=x"), BAD); /* every value counts */
	assert_int_equal(check_one(p, "id=%"), BAD);
	p = (struct pub_param){.name = STR("id"), .location = PUB_QUERY, .validate = true, .min_len = 2, .max_len = 3};
	assert_int_equal(check_one(p, "id=a"), BAD);
	assert_int_equal(check_one(p, "id=%C3%A9%C3%A9%C3%A9"), 0);
	assert_int_equal(check_one(p, "id=abcd"), BAD);
	p = (struct pub_param){.name = STR("id"), .location = PUB_QUERY, .validate = true, .enums = STR("a, b")};
	assert_int_equal(check_one(p, "id=b"), 0);
	assert_int_equal(check_one(p, "id=c"), BAD);
	p = (struct pub_param){.name = STR("id"), .location = PUB_QUERY, .validate = true, .regexp = STR("^[a-z]+$")};
	assert_int_equal(check_one(p, "id=abc"), 0);
	assert_int_equal(check_one(p, "id=abC"), BAD);
	p.regexp = STR("(a+)+$"); /* would take exponential time */
	assert_int_equal(check_one(p, "id=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), BAD);
	p.regexp = STR("(");
	assert_int_equal(check_one(p, "id=a"), ERR_APIG_0606);
}

static void test_regexp_cache(void **state)
{
	struct policy_regexps *regexps = policy_regexps_new(2);

	for (int i = 0; i < 3; i++) {
		assert_int_equal(policy_regexp_match(regexps, STR("a"), STR("xax")), 1);
		assert_int_equal(policy_regexp_match(regexps, STR("^b"), STR("ab")), 0);
		assert_int_equal(policy_regexp_match(regexps, STR("c"), STR_NONE), 0);
		assert_int_equal(policy_regexp_match(regexps, STR("["), STR("x")), -1);
	}
	policy_regexps_free(regexps);
}

static struct policy_request sample(void)
{
	static const struct sign_pair headers[] = {{STR("Host"), STR("h")},
						   {STR("X-In"), STR("v1")},
						   {STR("x-secret"), STR("forged")},
						   {STR("Accept"), STR("*/*")}};
	static const struct sign_pair params[] = {{STR("id"), STR("a b/c")}, {STR("rest"), STR("x/y z")}};

	return (struct policy_request){.method = STR("GET"),
				       .path = STR("/v1/a b"),
				       .query = STR("q=1&k=%2F&u"),
				       .headers = headers,
				       .n_headers = 4,
				       .path_params = params,
				       .n_path_params = 2,
				       .context = {.source_ip = STR("10.0.0.1"), .api_id = STR("api1")}};
}

static void test_map_plain(void **state)
{
	struct policy_request req = sample();
	struct pub_api api = {.path = STR("/v1/{id}"), .backend_method = STR("ANY")};
	struct policy_target target;

	assert_int_equal(policy_map(arena, &api, &req, &target, &err), 0);
	assert_str(target.method, "GET");
	assert_str(target.path, "/v1/a%20b");
	assert_str(target.query, "q=1&k=%2F&u");
	assert_null(target.drop);
	api.backend_path = STR("/back/x");
	api.backend_method = STR("POST");
	assert_int_equal(policy_map(arena, &api, &req, &target, &err), 0);
	assert_str(target.method, "POST");
	assert_str(target.path, "/back/x");
}

static void test_map_prefix(void **state)
{
	struct policy_request req = sample();
	struct pub_api api = {.path = STR("/v1"), .prefix = true, .backend_path = STR("/back/")};
	struct policy_target target;

	req.tail = STR("/a b?c");
	assert_int_equal(policy_map(arena, &api, &req, &target, &err), 0);
	assert_str(target.path, "/back/a%20b%3Fc");
	api.backend_path = STR("/back");
	assert_int_equal(policy_map(arena, &api, &req, &target, &err), 0);
	assert_str(target.path, "/back/a%20b%3Fc");
}

static void test_map_params(void **state)
{
	struct policy_request req = sample();
	struct pub_param params[] = {{.name = STR("q"), .location = PUB_QUERY},
				     {.name = STR("X-In"), .location = PUB_HEADER, .pass_through = true},
				     {.name = STR("absent"), .location = PUB_QUERY, .def = STR("d&d")}};
	struct pub_backend_param back[] = {
		{.name = STR("id"), .location = PUB_PATH, .origin = PUB_REQUEST, .value = STR("id"), .from = PUB_PATH},
		{.name = STR("const"), .location = PUB_PATH, .origin = PUB_CONSTANT, .value = STR("c d?e>f")},
		{.name = STR("X-Q"),
		 .location = PUB_HEADER,
		 .origin = PUB_REQUEST,
		 .value = STR("q"),
		 .from = PUB_QUERY},
		{.name = STR("X-Secret"), .location = PUB_HEADER, .origin = PUB_CONSTANT, .value = STR("real")},
		{.name = STR("Content-Length"), .location = PUB_HEADER, .origin = PUB_CONSTANT, .value = STR("0")},
		{.name = STR("k"), .location = PUB_QUERY, .origin = PUB_CONSTANT, .value = STR("a=b c")},
		{.name = STR("ip"), .location = PUB_QUERY, .origin = PUB_SYSTEM, .value = STR("$context.sourceIp")},
		{.name = STR("none"), .location = PUB_QUERY, .origin = PUB_SYSTEM, .value = STR("$context.appName")},
		{.name = STR("dd"),
		 .location = PUB_QUERY,
		 .origin = PUB_REQUEST,
		 .value = STR("absent"),
		 .from = PUB_QUERY},
	};
	struct pub_api api = {.path = STR("/{id}/{rest+}"),
			      .backend_path = STR("/b/{id}/p-{const}/{rest}"),
			      .params = params,
			      .n_params = 3,
			      .backend_params = back,
			      .n_backend_params = ARRAY_LEN(back)};
	struct policy_target target;

	assert_int_equal(policy_map(arena, &api, &req, &target, &err), 0);
	assert_str(target.path, "/b/a%20b%2Fc/p-c%20d%3Fe%3Ef/x/y%20z");
	assert_str(target.query, "u&k=a%3Db%20c&ip=10.0.0.1&dd=d%26d");
	assert_int_equal(target.n_headers, 2);
	assert_str(target.headers[0].name, "X-Q");
	assert_str(target.headers[0].value, "1");
	assert_str(target.headers[1].value, "real");
	assert_false(target.drop[0]);
	assert_true(target.drop[1] == false && target.drop[2] == true && target.drop[3] == false);
}

static void test_map_hostile(void **state)
{
	struct policy_request req = sample();
	struct pub_backend_param back = {
		.name = STR("x"), .location = PUB_HEADER, .origin = PUB_REQUEST, .value = STR("q"), .from = PUB_QUERY};
	struct pub_api api = {.path = STR("/"), .backend_params = &back, .n_backend_params = 1};
	struct policy_target target;

	req.query = STR("q=a%0d%0aX-Evil:%201");
	assert_int_equal(policy_map(arena, &api, &req, &target, &err), BAD);
	req.query = STR("q=%00");
	assert_int_equal(policy_map(arena, &api, &req, &target, &err), BAD);
	back.location = PUB_PATH;
	api.backend_path = STR("/a/{x}/b");
	req.query = STR("q=..");
	assert_int_equal(policy_map(arena, &api, &req, &target, &err), BAD);
	req.query = STR("q=..%2F..%2Fadm");
	assert_int_equal(policy_map(arena, &api, &req, &target, &err), BAD);
	req.query = STR("q=..;");
	assert_int_equal(policy_map(arena, &api, &req, &target, &err), BAD);
	req.query = STR("q=a%3Fb");
	assert_int_equal(policy_map(arena, &api, &req, &target, &err), 0);
	assert_str(target.path, "/a/a%3Fb/b");
	req.query = STR("");
	assert_int_equal(policy_map(arena, &api, &req, &target, &err), BAD);
	api.backend_path = STR("/a/{unknown}");
	assert_int_equal(policy_map(arena, &api, &req, &target, &err), ERR_APIG_0106);
	api.backend_path = STR("/a/{unclosed");
	assert_int_equal(policy_map(arena, &api, &req, &target, &err), 0);
	assert_str(target.path, "/a/%7Bunclosed");
}

static void test_retries(void **state)
{
	assert_int_equal(policy_retries(STR("GET"), -1), 1);
	assert_int_equal(policy_retries(STR("POST"), -1), 0);
	assert_int_equal(policy_retries(STR("PATCH"), -1), 0);
	assert_int_equal(policy_retries(STR("POST"), 3), 3);
	assert_int_equal(policy_retries(STR("GET"), 0), 0);
	assert_int_equal(policy_retries(STR("GET"), 1000), 10);
}

static void test_answer(void **state)
{
	err_set_text(&err, ERR_APIG_0303, "a\"b\\c\n\xff\xc3\xa9");
	assert_str(policy_error_body(arena, &err, STR("0123")),
		   "{\"error_msg\":\"a\\\"b\\\\c\\u000a\\ufffd\xc3\xa9\",\"error_code\":\"APIG.0303\",\"request_id\":"
		   "\"0123\"}");
	assert_string_equal(policy_response_type(ERR_APIG_0304), "UNAUTHORIZED");
	assert_string_equal(policy_response_type(ERR_APIG_0106), "DEFAULT_4XX");
	assert_string_equal(policy_response_type(ERR_APIG_0601), "DEFAULT_5XX");
	static const int statuses[] = {400, 404, 413, 414, 494, 429, 500, 502, 504};

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		assert_int_equal(err_row(policy_error_of_status(statuses[i]))->status, statuses[i]);
	assert_int_equal(policy_error_of_status(405), ERR_APIG_0602);
	assert_int_equal(policy_error_of_status(505), ERR_APIG_0601);
}

static void test_context(void **state)
{
	struct policy_context context = {.source_ip = STR("1.2.3.4"), .req_method = STR("GET")};

	assert_str(policy_context_get(&context, STR("$context.sourceIp")), "1.2.3.4");
	assert_str(policy_context_get(&context, STR("$context.reqMethod")), "GET");
	assert_null(policy_context_get(&context, STR("$context.stage")).p);
	assert_null(policy_context_get(&context, STR("$context.nothing")).p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_canonical, setup, teardown),
		cmocka_unit_test_setup_teardown(test_canonical_raw, setup, teardown),
		cmocka_unit_test_setup_teardown(test_canonical_stable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_query, setup, teardown),
		cmocka_unit_test_setup_teardown(test_address, setup, teardown),
		cmocka_unit_test_setup_teardown(test_params, setup, teardown),
		cmocka_unit_test_setup_teardown(test_regexp_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(test_map_plain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_map_prefix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_map_params, setup, teardown),
		cmocka_unit_test_setup_teardown(test_map_hostile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_retries, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_context, setup, teardown),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
