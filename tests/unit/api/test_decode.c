/* SPDX-License-Identifier: Apache-2.0 */
#include "api/decode.h"
#include "tables.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static struct arena *a;
static struct err err;
static union {
	struct list_in list;
	struct thing_in thing;
	struct show_in show;
	struct upload_in upload;
	struct raw_in raw;
} in;

static int set_up(void **state)
{
	a = arena_new((size_t)4 << 20);
	return 0;
}

static int tear_down(void **state)
{
	arena_free(a);
	return 0;
}

/* headers: "Name: value" or NULL. target with its query. */
static int decode(const char *method, const char *target, const char *header, struct str body)
{
	struct httpd_pair pair = {STR("None"), STR("")};
	struct str query = str_of(target), path = str_cut(&query, '?');
	struct api_route route;

	if (header) {
		pair.value = str_of(header);
		pair.name = str_cut(&pair.value, ':');
		pair.value = str_trim(pair.value);
	}
	struct httpd_request req = {.method = str_of(method),
	                            .target = path,
	                            .query = query,
	                            .headers = &pair,
	                            .n_headers = 1,
	                            .body = body,
	                            .arena = a};

	api_route(&test_tables, req.method, path, &route);
	assert_true(route.op >= 0);
	memset(&in, 0, sizeof(in));
	err = (struct err){0};
	return api_decode(&test_tables.ops[route.op], &route, &req, &in, &err);
}

static void contains(const char *needle)
{
	if (!strstr(err.text, needle))
		fail_msg("\"%s\" lacks \"%s\"", err.text, needle);
}

static void test_params(void **state)
{
	assert_int_equal(decode("GET", "/v2/a%20b/things?name=abc&limit=7", "x-token: t", STR("")), 0);
	assert_true(str_is(in.list.project_id, "a b"));
	assert_true(str_is(in.list.name, "abc"));
	assert_int_equal(in.list.limit, 7);
	assert_true(str_is(in.list.token, "t"));
	assert_int_equal(decode("GET", "/v2/p/things", "X-Token: t", STR("")), 0);
	assert_false(in.list.name.p);
	assert_true(in.list.has_limit && in.list.limit == 20); /* the default */
}

static void test_bad_params(void **state)
{
	assert_int_equal(decode("GET", "/v2/p/things", NULL, STR("")), ERR_APIG_2001);
	contains("header.X-Token");
	assert_int_equal(decode("GET", "/v2/p/things?limit=x", "X-Token: t", STR("")), ERR_APIG_2012);
	contains("parameterName:limit");
	assert_int_equal(decode("GET", "/v2/p/things?limit=501", "X-Token: t", STR("")), ERR_APIG_2004);
	assert_int_equal(decode("GET", "/v2/p/things?limit=", "X-Token: t", STR("")), ERR_APIG_2012);
	assert_int_equal(decode("GET", "/v2/p/things?limit=99999999999999999999", "X-Token: t", STR("")),
			 ERR_APIG_2012);
	assert_int_equal(decode("GET", "/v2/p/things?name=a", "X-Token: t", STR("")), ERR_APIG_2005);
	assert_int_equal(decode("GET", "/v2/p/things?name=abcdefghi", "X-Token: t", STR("")), ERR_APIG_2006);
	assert_int_equal(decode("GET", "/v2/p/things?name=AB", "X-Token: t", STR("")), ERR_APIG_2011);
	/* The codes of other domains. */
	assert_int_equal(decode("GET", "/v2/p/things/AB", NULL, STR("")), ERR_ROMA_13000);
	assert_int_equal(decode("DELETE", "/v2/p/things/AB", NULL, STR("")), ERR_FDI_3033);
}

/* A filter that cannot be read must not become no filter at all. */
static void test_bad_encoding(void **state)
{
	assert_int_equal(decode("GET", "/v2/p/things?name=%ff%fe", "X-Token: t", STR("")), ERR_APIG_2012);
	contains("query.name");
	assert_int_equal(decode("GET", "/v2/p/things?name=%zz", "X-Token: t", STR("")), ERR_APIG_2012);
	assert_int_equal(decode("GET", "/v2/p/things?name=a%00b", "X-Token: t", STR("")), ERR_APIG_2012);
	assert_int_equal(decode("GET", "/v2/%ff/things", "X-Token: t", STR("")), ERR_APIG_2012);
	assert_int_equal(decode("GET", "/v2/%f/things", "X-Token: t", STR("")), ERR_APIG_2012);
	assert_int_equal(decode("GET", "/v2/p/things", "X-Token: \xff", STR("")), ERR_APIG_2012);
	assert_false(in.list.token.p);
}

static void test_body(void **state)
{
	assert_int_equal(decode("POST", "/v2/p/things", NULL, STR("{\"name\":\"abc\",\"tags\":[\"x\"],\"more\":1}")),
			 0);
	assert_true(str_is(in.thing.body->name, "abc") && str_is(in.thing.body->kind, "small"));
	assert_int_equal(in.thing.body->size, 20);
	assert_int_equal(in.thing.body->tags.n, 1);
}

static void test_bad_body(void **state)
{
	static const struct {
		const char *body;
		int code;
		const char *text;
	} cases[] = {
		{"", ERR_APIG_2000, "missing"},
		{"{", ERR_APIG_2000, "line 1"},
		{"{\"name\":\"abc\"}x", ERR_APIG_2000, "line 1"},
		{"[]", ERR_APIG_2012, "body"},
		{"null", ERR_APIG_2012, "body"},
		{"{}", ERR_APIG_2001, "body.name"},
		{"{\"name\":null}", ERR_APIG_2001, "body.name"},
		{"{\"name\":1}", ERR_APIG_2012, "body.name"},
		{"{\"name\":\"abc\",\"kind\":\"huge\"}", ERR_APIG_2012, "body.kind"},
		{"{\"name\":\"abc\",\"size\":0}", ERR_APIG_2004, "body.size"},
		{"{\"name\":\"abc\",\"size\":1.5}", ERR_APIG_2012, "body.size"},
		{"{\"name\":\"abc\",\"tags\":[\"1\",\"2\",\"3\",\"4\"]}", ERR_APIG_2012, "body.tags"},
		{"{\"name\":\"abc\",\"tags\":[1]}", ERR_APIG_2012, "body.tags"},
		{"{\"name\":\"abc\",\"name\":\"abd\"}", ERR_APIG_2000, "duplicate"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(decode("POST", "/v2/p/things", NULL, str_of(cases[i].body)), cases[i].code);
		contains(cases[i].text);
	}
	assert_int_equal(decode("POST", "/v2/p/things/check", NULL, STR("{}")), ERR_MQS_00400062);
	assert_int_equal(decode("POST", "/v2/p/things/check", NULL, STR("")), ERR_MQS_00400005);
	assert_int_equal(decode("POST", "/login", NULL, STR("{}")), ERR_IAM_1103);
	assert_int_equal(decode("POST", "/login", NULL, STR("{\"name\":1}")), ERR_IAM_0007);
}

/* A parser's message must not carry what it could not parse. */
static void test_no_echo(void **state)
{
	decode("POST", "/v2/p/things", NULL, STR("{\"password\":\"hunter2\" \"x\"}"));
	assert_null(strstr(err.text, "hunter2"));
}

#define TYPE "Content-Type: multipart/form-data; boundary=b"
#define PART(name, data) "--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" data "\r\n"

static void test_form(void **state)
{
	assert_int_equal(decode("POST", "/upload", TYPE, STR(PART("note", "abc") PART("file", "x") "--b--")), 0);
	assert_true(str_is(in.upload.note, "abc") && str_is(in.upload.file, "x"));
	assert_int_equal(decode("POST", "/upload", TYPE, STR(PART("file", "x") "--b--")), 0);
	assert_true(str_is(in.upload.note, "none"));
	assert_int_equal(decode("POST", "/upload", TYPE, STR(PART("note", "abc") "--b--")), ERR_APIG_2001);
	contains("form.file");
	assert_int_equal(decode("POST", "/upload", TYPE, STR(PART("note", "A") PART("file", "x") "--b--")),
			 ERR_APIG_2005);
	assert_int_equal(decode("POST", "/upload", TYPE, STR(PART("file", "x"))), ERR_APIG_2001); /* never closed */
	assert_int_equal(decode("POST", "/upload", "Content-Type: application/json", STR("{}")), ERR_APIG_2001);
	assert_int_equal(decode("POST", "/upload", NULL, STR("")), ERR_APIG_2001);
}

static void test_raw(void **state)
{
	assert_int_equal(decode("PUT", "/raw", NULL, STR("\xff\0{")), 0);
	assert_int_equal(in.raw.body.n, 3);
	assert_int_equal(decode("PUT", "/raw", NULL, STR("")), 0);
	assert_true(in.raw.body.p && in.raw.body.n == 0);
}

static void test_path_param(void **state)
{
	struct api_route route;

	api_route(&test_tables, STR("GET"), STR("/v2/p%41/things/x"), &route);
	assert_true(str_is(api_path_param(&test_tables.ops[OP_SHOW], &route, "project_id", a), "pA"));
	assert_true(str_is(api_path_param(&test_tables.ops[OP_SHOW], &route, "id", a), "x"));
	assert_false(api_path_param(&test_tables.ops[OP_SHOW], &route, "project", a).p);
	assert_false(api_path_param(&test_tables.ops[OP_SHOW], &route, "v2", a).p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_params, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_params, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_encoding, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_body, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_body, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_echo, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_form, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_raw, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_path_param, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
