/* SPDX-License-Identifier: Apache-2.0 */
#include "api/fault.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static struct httpd_reply reply;

static const char *body_of(enum api_error_shape shape, const struct err *err)
{
	buf_done(&reply.body);
	buf_init(&reply.body, 65536);
	buf_cstr(&reply.body, "left over by the handler");
	api_fault_write(&reply, shape, err, STR("0123"));
	assert_true(str_is(reply.content_type, "application/json"));
	return buf_view(&reply.body).p;
}

static void test_shapes(void **state)
{
	struct err err;

	err_set_text(&err, ERR_ROMA_13000, "no \"x\"\n");
	assert_string_equal(
		body_of(API_ERROR_PLAIN, &err),
		"{\"error_code\":\"ROMA.13000\",\"error_msg\":\"no \\\"x\\\"\\n\",\"request_id\":\"0123\"}");
	assert_int_equal(reply.status, 400);
	assert_string_equal(
		body_of(API_ERROR_LINK, &err),
		"{\"error_code\":\"ROMA.13000\",\"error_msg\":\"no \\\"x\\\"\\n\",\"request_id\":\"0123\"}");
	assert_string_equal(
		body_of(API_ERROR_PUBLIC, &err),
		"{\"error_code\":\"ROMA.13000\",\"error_msg\":\"no \\\"x\\\"\\n\",\"error_details\":\"A parameter "
		"is invalid; correct it.\",\"request_id\":\"0123\"}");
	assert_string_equal(body_of(API_ERROR_FDI, &err),
	                    "{\"error_code\":\"ROMA.13000\",\"error_msg\":\"no \\\"x\\\"\\n\",\"detail\":\"A parameter "
	                    "is invalid; correct it.\",\"request_id\":\"0123\"}");
	assert_string_equal(body_of(API_ERROR_SHARE, &err),
	                    "{\"errCode\":\"ROMA.13000\",\"errMsg\":\"no \\\"x\\\"\\n\",\"request_id\":\"0123\"}");
	assert_string_equal(body_of(API_ERROR_IAM, &err),
	                    "{\"error\":{\"code\":400,\"message\":\"no \\\"x\\\"\\n\",\"title\":\"Bad Request\","
	                    "\"error_code\":\"ROMA.13000\"}}");
}

/* An operation's own status wins over the catalogue's. */
static void test_status(void **state)
{
	struct err err;

	err_set_status(&err, ERR_ROMA_13000, 404, NULL);
	assert_non_null(strstr(body_of(API_ERROR_IAM, &err), "\"code\":404,"));
	assert_non_null(strstr(body_of(API_ERROR_IAM, &err), "\"title\":\"Not Found\""));
	assert_int_equal(reply.status, 404);
}

static void test_domains(void **state)
{
	static const int status[API_FAULTS] = {401, 401, 403, 404, 400, 500, 403, 404};
	struct err err;

	for (int d = 0; d < API_DOMAINS; d++) {
		for (int f = 0; f < API_FAULTS; f++) {
			int code = api_fault(&err, (enum api_domain)d, (enum api_fault)f, NULL);

			assert_true(code < 0 && err.code == code);
			assert_int_equal(err.status, status[f]);
			assert_int_equal(api_fault(&err, (enum api_domain)d, (enum api_fault)f, "why"), code);
			assert_non_null(strstr(err.text, "why"));
		}
	}
}

/* Every fault of a field has a code in every domain, and its place is named. */
static void test_invalid(void **state)
{
	struct err err;

	for (int d = 0; d < API_DOMAINS; d++) {
		for (int f = SCHEMA_MISSING; f <= SCHEMA_TOO_FEW; f++) {
			struct schema_error e = {
				.fault = (enum schema_fault)f, .path = "body.a.b", .name = "b", .why = "is bad"};
			int code = api_fault_invalid(&err, (enum api_domain)d, &e);

			assert_true(code < 0 && err.code == code);
			assert_int_equal(err_row(code)->status, 400);
			assert_non_null(strstr(err.text, "body.a.b"));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes), cmocka_unit_test(test_status),
	                                   cmocka_unit_test(test_domains), cmocka_unit_test(test_invalid)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_done(&reply.body);
	return failed;
}
