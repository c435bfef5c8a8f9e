/* SPDX-License-Identifier: Apache-2.0 */
#include "api/dispatch.h"
#include "tables.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

/* What happened, in order: one letter per event. */
static char trace[64];
static int authenticate_says, authorise_says, handler_says, fail_times;
static struct api api;
static struct httpd_reply reply;
static struct arena *a;
static struct identity seen;
static int audited;
static char audited_text[1024];

static void note(char c)
{
	size_t n = strlen(trace);

	if (n + 1 < sizeof(trace))
		trace[n] = c;
}

static int authenticate(struct model *m, const struct httpd_request *req, struct identity *ret)
{
	note('a');
	assert_non_null(m->tx);
	if (authenticate_says)
		return err_set(&m->err, authenticate_says, NULL);
	ret->user_id = STR("somebody");
	return 0;
}

static int authorise(struct model *m, const struct api_op *op, struct str project_id, struct str instance_id)
{
	note('z');
	assert_non_null(m->tx);
	assert_false(instance_id.p);
	assert_true(op->domain == API_IAM || op->path[1] != 'v' || str_is(project_id, "p"));
	return authorise_says ? err_set(&m->err, authorise_says, NULL) : 0;
}

static void publish(void *ctx)
{
	note('p');
}

static void audit(void *ctx, const struct api_call *call, int status)
{
	note('u');
	audited = status;
	snprintf(audited_text, sizeof(audited_text), "%s", call->m.err.text);
}

static int handler(struct api_call *call, const void *in, void *out)
{
	note('h');
	seen = call->m.who ? *call->m.who : (struct identity){.user_id = STR_NONE};
	if (call->op->flags & API_OP_NO_TX)
		assert_null(call->m.tx);
	else
		assert_non_null(call->m.tx);
	if (call->op->flags & API_OP_WRITE && call->m.tx)
		assert_int_equal(
			store_exec(call->m.tx, &call->m.err, NULL,
				   "INSERT INTO iam_domain (id, name, description, created_ms) VALUES (?, ?, '', ?)",
				   "ssi", call->m.request_id, call->m.request_id, (int64_t)1),
			0);
	if (fail_times && fail_times--)
		return err_set_retriable(&call->m.err, ERR_APPIA_0503, NULL);
	if (handler_says)
		return err_set(&call->m.err, handler_says, "secret of the handler");
	if (out)
		*(struct thing *)out = (struct thing){.name = STR("abc"), .kind = STR("big")};
	return 0;
}

/* Rows that handlers wrote and that were committed. */
static int64_t rows(void)
{
	struct store_tx *tx;
	struct err err;
	int64_t n = -1;

	assert_int_equal(store_begin(api.store, STORE_READ, &tx, &err), 0);
	assert_int_equal(store_get_int(tx, &err, &n, NULL, "SELECT COUNT(*) FROM iam_domain", ""), 0);
	store_rollback(&tx);
	return n;
}

static struct str reply_header(const char *name)
{
	for (size_t i = 0; i < reply.n_headers; i++)
		if (str_is(reply.headers[i].name, name))
			return reply.headers[i].value;
	return STR_NONE;
}

static int call_with(const char *method, const char *path, const char *body, struct httpd_pair header)
{
	arena_reset(a);
	memset(trace, 0, sizeof(trace));
	buf_reset(&reply.body);
	reply.n_headers = 0;
	reply.status = 0;
	reply.content_type = STR_NONE;
	audited = 0;
	struct httpd_request req = {.method = str_of(method),
	                            .target = str_of(path),
	                            .headers = &header,
	                            .n_headers = 1,
	                            .body = str_of(body),
	                            .arena = a};

	api_serve(&api, &req, &reply);
	assert_int_equal(reply_header("X-Request-Id").n, 32);
	return reply.status;
}

static int call(const char *method, const char *path, const char *body)
{
	return call_with(method, path, body, (struct httpd_pair){STR("X-Token"), STR("t")});
}

static const char *body(void)
{
	return buf_view(&reply.body).p;
}

static int set_up(void **state)
{
	authenticate_says = authorise_says = handler_says = fail_times = 0;
	for (size_t i = 0; i < OPS; i++)
		test_calls[i] = i == OP_LATER ? NULL : handler;
	return 0;
}

static void test_read(void **state)
{
	int64_t before = rows();

	assert_int_equal(call("GET", "/v2/p/things", ""), 200);
	assert_string_equal(trace, "azh"); /* nothing to publish, nothing to audit */
	assert_string_equal(body(), "{\"name\":\"abc\",\"kind\":\"big\"}");
	assert_true(str_is(seen.user_id, "somebody"));
	assert_int_equal(rows(), before);
}

static void test_write(void **state)
{
	int64_t before = rows();

	assert_int_equal(call("POST", "/v2/p/things", "{\"name\":\"abc\"}"), 201);
	assert_string_equal(trace, "azhpu");
	assert_int_equal(audited, 201);
	assert_int_equal(rows(), before + 1);
	assert_int_equal(call("DELETE", "/v2/p/things/abc", ""), 204);
	assert_string_equal(trace, "azhpu");
	assert_int_equal(reply.body.n, 0);
}

/* A POST that changes nothing. */
static void test_read_only_post(void **state)
{
	assert_int_equal(call("POST", "/v2/p/things/check", "{\"name\":\"abc\"}"), 200);
	assert_string_equal(trace, "azh");
}

static void test_no_transaction(void **state)
{
	assert_int_equal(call("POST", "/slow", ""), 200);
	assert_string_equal(trace, "azhpu");
	fail_times = 1;
	assert_int_equal(call("POST", "/slow", ""), 503);
	assert_string_equal(trace, "azhu"); /* may have had its effect: never run twice */
}

/* Such an operation is let in while another one holds the only writer. */
static void test_no_transaction_waits_for_none(void **state)
{
	struct store_tx *tx;
	struct err err;

	assert_int_equal(store_begin(api.store, STORE_WRITE, &tx, &err), 0);
	assert_int_equal(call("POST", "/slow", ""), 200);
	store_rollback(&tx);
}

static void test_refused(void **state)
{
	int64_t before = rows();

	handler_says = ERR_APIG_3001;
	assert_int_equal(call("POST", "/v2/p/things", "{\"name\":\"abc\"}"), err_row(ERR_APIG_3001)->status);
	assert_string_equal(trace, "azhu");
	assert_int_equal(audited, reply.status);
	assert_int_equal(rows(), before); /* rolled back */
	handler_says = 0;
	authorise_says = ERR_APPIA_0403;
	assert_int_equal(call("POST", "/v2/p/things", "{\"name\":\"abc\"}"), 403);
	assert_string_equal(trace, "azu");
	authorise_says = 0;
	/* Whoever is not known learns nothing about the body. */
	authenticate_says = ERR_APPIA_0401;
	assert_int_equal(call("POST", "/v2/p/things", "{"), 401);
	assert_string_equal(trace, "au");
	assert_non_null(strstr(body(), "APIG.1002"));
	authenticate_says = 0;
	assert_int_equal(call("POST", "/v2/p/things", "{"), 400);
	assert_string_equal(trace, "au");
}

/* What went wrong inside is in the log, not in the answer. */
static void test_internal(void **state)
{
	handler_says = ERR_APPIA_0500;
	assert_int_equal(call("GET", "/v2/p/things", ""), 500);
	assert_null(strstr(body(), "secret of the handler"));
	assert_non_null(strstr(body(), "APIG.9999"));
	assert_int_equal(call("POST", "/v2/p/things", "{\"name\":\"abc\"}"), 500);
	assert_null(strstr(audited_text, "secret of the handler"));
}

static void test_retry(void **state)
{
	int64_t before = rows();

	fail_times = 2;
	assert_int_equal(call("POST", "/v2/p/things", "{\"name\":\"abc\"}"), 201);
	assert_string_equal(trace, "azhzhzhpu"); /* authorised anew each time */
	assert_int_equal(rows(), before + 1);
	fail_times = 100;
	assert_int_equal(call("POST", "/v2/p/things", "{\"name\":\"abc\"}"), 503);
	assert_string_equal(trace, "azhzhzhzhu");
	assert_int_equal(rows(), before + 1);
}

static void test_todo(void **state)
{
	assert_int_equal(call("PUT", "/later", ""), 501);
	assert_string_equal(trace, "au");
	assert_non_null(strstr(body(), "APPIA.0501"));
}

static void test_public(void **state)
{
	authenticate_says = ERR_IAM_0067;
	assert_int_equal(call("POST", "/login", "{\"name\":\"abc\"}"), 200);
	assert_false(seen.user_id.p);
	assert_string_equal(trace, "azhpu");
	/* Elsewhere the domain's code, in the words that say why. */
	assert_int_equal(call("GET", "/v2/p/things", ""), 401);
	assert_non_null(strstr(body(), "APIG.1002"));
	assert_non_null(strstr(body(), err_row(ERR_IAM_0067)->message));
}

static void test_no_route(void **state)
{
	assert_int_equal(call("GET", "/nowhere", ""), 404);
	assert_non_null(strstr(body(), "APPIA.0404"));
	assert_string_equal(trace, "");
	assert_int_equal(call("PATCH", "/v2/p/things", ""), 405);
	assert_true(str_is(reply_header("Allow"), "GET, POST"));
	assert_string_equal(trace, "");
}

static void test_openapi(void **state)
{
	assert_int_equal(call("GET", "/openapi.json", ""), 200);
	assert_string_equal(body(), "{}");
	assert_int_equal(call("DELETE", "/openapi.json", ""), 405);
}

static struct str id_for(const char *given)
{
	call_with("GET", "/", "", (struct httpd_pair){STR("x-request-id"), str_of(given)});
	return reply_header("X-Request-Id");
}

static void test_request_id(void **state)
{
	assert_true(str_is(id_for("0123456789abcdef0123456789abcdef"), "0123456789abcdef0123456789abcdef"));
	assert_false(str_is(id_for("0123456789ABCDEF0123456789abcdef"), "0123456789ABCDEF0123456789abcdef"));
	assert_int_equal(id_for("short").n, 32);
	assert_int_equal(id_for("0123456789abcdef0123456789abcde\n").n, 32);
	assert_null(memchr(id_for("0123456789abcdef0123456789abcde\n").p, '\n', 32));
}

static int failing_late(struct api_call *c, const void *in, void *out)
{
	httpd_reply_header(c->reply, STR("X-Subject-Token"), STR("of a call that failed"));
	buf_cstr(&c->reply->body, "half an answer");
	return err_set(&c->m.err, ERR_APIG_3001, NULL);
}

/* What a handler had prepared does not go out with a refusal. */
static void test_nothing_left_over(void **state)
{
	test_calls[OP_LIST] = failing_late;
	assert_int_equal(call("GET", "/v2/p/things", ""), err_row(ERR_APIG_3001)->status);
	assert_false(reply_header("X-Subject-Token").p);
	assert_null(strstr(body(), "half an answer"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_read, set_up),
		cmocka_unit_test_setup(test_write, set_up),
		cmocka_unit_test_setup(test_read_only_post, set_up),
		cmocka_unit_test_setup(test_no_transaction, set_up),
		cmocka_unit_test_setup(test_no_transaction_waits_for_none, set_up),
		cmocka_unit_test_setup(test_refused, set_up),
		cmocka_unit_test_setup(test_internal, set_up),
		cmocka_unit_test_setup(test_retry, set_up),
		cmocka_unit_test_setup(test_todo, set_up),
		cmocka_unit_test_setup(test_public, set_up),
		cmocka_unit_test_setup(test_no_route, set_up),
		cmocka_unit_test_setup(test_openapi, set_up),
		cmocka_unit_test_setup(test_request_id, set_up),
		cmocka_unit_test_setup(test_nothing_left_over, set_up),
	};
	char dir[] = "/tmp/appia-api.XXXXXX", url[64], path[64];
	struct err err;

	if (!mkdtemp(dir))
		return 1;
	snprintf(url, sizeof(url), "sqlite:%s/a.db", dir);
	api = (struct api){.tables = &test_tables,
	                   .calls = test_calls,
	                   .openapi = STR("{}"),
	                   .authenticate = authenticate,
	                   .authorise = authorise,
	                   .publish = publish,
	                   .audit = audit};
	if (store_open(url, 2, &api.store, &err))
		return 1;
	a = arena_new((size_t)1 << 20);
	buf_init(&reply.body, (size_t)1 << 20);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	buf_done(&reply.body);
	arena_free(a);
	store_close(api.store);
	for (size_t i = 0; i < 3; i++) {
		static const char *const ends[] = {"", "-wal", "-shm"};

		snprintf(path, sizeof(path), "%s/a.db%s", dir, ends[i]);
		unlink(path);
	}
	rmdir(dir);
	return failed;
}
