/* SPDX-License-Identifier: Apache-2.0 */
#include "api/dispatch.h"

#include "api/decode.h"
#include "api/fault.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rnd.h"

#include <assert.h>

#define MAX_ATTEMPTS 4 /* of a transaction that lost against another one */

/* One request on its way through the steps. */
struct run {
	struct api *api;
	struct api_route route;
	struct api_call call;
	struct identity who;
	struct str project_id, instance_id;
	void *in, *out;
	bool done; /* a step has answered */
};

typedef int step_function(struct run *run);

static enum api_error_shape shape_of(const struct run *run)
{
	return run->call.op ? run->call.op->shape : API_ERROR_PLAIN;
}

static enum api_domain domain_of(const struct run *run)
{
	return run->call.op ? run->call.op->domain : API_COMMON;
}

/* The description is served beside the operations it describes. */
static bool serve_openapi(struct run *run, int *ret)
{
	struct httpd_reply *reply = run->call.reply;

	if (!run->api->openapi.p || !str_is(run->call.req->target, "/openapi.json"))
		return false;
	if (!str_is(run->call.req->method, "GET") && !str_is(run->call.req->method, "HEAD")) {
		httpd_reply_header(reply, STR("Allow"), STR("GET"));
		*ret = err_set(&run->call.m.err, ERR_APPIA_0405, NULL);
		return true;
	}
	reply->status = 200;
	reply->content_type = STR("application/json");
	buf_str(&reply->body, run->api->openapi);
	run->done = true;
	*ret = 0;
	return true;
}

static int step_route(struct run *run)
{
	const struct httpd_request *req = run->call.req;
	int rc;

	if (serve_openapi(run, &rc))
		return rc;
	api_route(run->api->tables, req->method, req->target, &run->route);
	if (run->route.op >= 0) {
		run->call.op = &run->api->tables->ops[run->route.op];
		run->project_id = api_path_param(run->call.op, &run->route, "project_id", req->arena);
		run->instance_id = api_path_param(run->call.op, &run->route, "instance_id", req->arena);
		return 0;
	}
	if (run->route.path_exists) {
		httpd_reply_header(run->call.reply, STR("Allow"), str_of(run->route.allow));
		return err_set(&run->call.m.err, ERR_APPIA_0405, NULL);
	}
	return err_set(&run->call.m.err, ERR_APPIA_0404, NULL);
}

/* The domain's code, with the words that say what is wrong. */
static int bad_credentials(struct err *err, enum api_domain domain)
{
	struct err why = *err;
	int rc = api_fault(err, domain, API_FAULT_BAD_CREDENTIALS, NULL);

	memcpy(err->text, why.text, sizeof(err->text));
	return rc;
}

static int step_authenticate(struct run *run)
{
	struct model *m = &run->call.m;
	const struct api_op *op = run->call.op;

	if (!run->api->authenticate)
		return 0;
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	rc = run->api->authenticate(m, run->call.req, &run->who);
	store_rollback(&m->tx);
	if (rc == 0) {
		m->who = &run->who;
		return 0;
	}
	if (op->flags & API_OP_PUBLIC)
		return 0;
	if (rc == ERR_APPIA_0401)
		return api_fault(&m->err, op->domain, API_FAULT_NO_CREDENTIALS, NULL);
	if (op->domain != API_IAM && (m->err.status ? m->err.status : err_row(rc)->status) == 401)
		return bad_credentials(&m->err, op->domain);
	return rc;
}

static int step_decode(struct run *run)
{
	const struct api_op *op = run->call.op;

	if (op->flags & API_OP_TODO)
		return err_set(&run->call.m.err, ERR_APPIA_0501, NULL);
	run->in = arena_alloc(run->call.m.arena, op->in_size);
	return api_decode(op, &run->route, run->call.req, run->in, &run->call.m.err);
}

static int attempt(struct run *run)
{
	struct api_call *call = &run->call;
	struct model *m = &call->m;
	const struct api_op *op = call->op;
	/* Who begins transactions itself must not wait for the only writer just to be let in. */
	bool writes = op->flags & API_OP_WRITE && !(op->flags & API_OP_NO_TX);
	int rc = store_begin(m->store, writes ? STORE_WRITE : STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	if (run->api->authorise)
		rc = run->api->authorise(m, op, run->project_id, run->instance_id);
	if (rc == 0 && !(op->flags & API_OP_NO_TX))
		rc = run->api->calls[run->route.op](call, run->in, run->out);
	if (rc) {
		store_rollback(&m->tx);
		return rc;
	}
	if (writes)
		return store_commit(&m->tx, &m->err);
	store_rollback(&m->tx);
	return 0;
}

/* Authorise, begin, handle, commit: again when another transaction got in between. */
static int step_handle(struct run *run)
{
	struct api_call *call = &run->call;
	const struct api_op *op = call->op;
	int rc = 0;

	for (int i = 0; i < MAX_ATTEMPTS; i++) {
		run->out = op->out_size ? arena_alloc(call->m.arena, op->out_size) : NULL;
		call->m.err = (struct err){0};
		call->status = 0;
		rc = attempt(run);
		if (rc == 0 || !call->m.err.retriable || (op->flags & API_OP_NO_TX))
			break;
	}
	if (rc == 0 && op->flags & API_OP_NO_TX) {
		rc = run->api->calls[run->route.op](call, run->in, run->out);
		store_rollback(&call->m.tx);
	}
	return rc;
}

static int step_publish(struct run *run)
{
	if (run->api->publish && run->call.op->flags & API_OP_WRITE)
		run->api->publish(run->api->ctx);
	return 0;
}

#ifdef APPIA_CHECK_REPLIES
/* Development builds: our own replies obey their description, or the test that provoked them fails. */
static int check_reply(struct run *run)
{
	struct httpd_reply *reply = run->call.reply;
	struct schema_error error;
	const struct json *tree;
	char why[160];

	if (!json_parse(run->call.m.arena, buf_view(&reply->body), &tree, why, sizeof(why))) {
		log_error("reply of %s is no JSON: %s", run->call.op->id, why);
		return err_set(&run->call.m.err, ERR_APPIA_0500, "%s", why);
	}
	if (!schema_check_reply(run->call.op->reply, tree, &error)) {
		log_error("reply of %s: %s %s", run->call.op->id, error.path, error.why);
		return err_set(&run->call.m.err, ERR_APPIA_0500, "reply: %s %s", error.path, error.why);
	}
	return 0;
}
#endif

static int step_encode(struct run *run)
{
	struct api_call *call = &run->call;
	struct httpd_reply *reply = call->reply;

	reply->status = call->status ? call->status : call->op->status;
	if (call->raw)
		return 0;
	if (!call->op->reply || reply->status == 204)
		return 0;
	reply->content_type = STR("application/json");
	schema_encode(call->op->reply, run->out, &reply->body);
	if (reply->body.failed)
		return err_set(&call->m.err, ERR_APPIA_0500, "the reply is too large");
#ifdef APPIA_CHECK_REPLIES
	return check_reply(run);
#else
	return 0;
#endif
}

static const struct {
	const char *name;
	step_function *run;
} steps[] = {
	{"route", step_route},     {"authenticate", step_authenticate}, {"decode", step_decode},
	{"handle", step_handle},   {"publish", step_publish},           {"encode", step_encode},
};

static void start(struct run *run, struct api *api, const struct httpd_request *req, struct httpd_reply *reply)
{
	struct model *m = &run->call.m;
	struct str given = httpd_header(req, "X-Request-Id");

	*run = (struct run){.api = api};
	run->call.req = req;
	run->call.reply = reply;
	m->arena = req->arena;
	m->store = api->store;
	m->keys = api->keys;
	m->settings = api->settings;
	m->publish = api->publish;
	m->publish_ctx = api->ctx;
	m->now_ms = clock_now_ms();
	/* Set by our own front door; anything odd is replaced. */
	m->request_id = given.n == 32 ? arena_str(req->arena, given) : rnd_id(req->arena);
	for (size_t i = 0; i < m->request_id.n; i++)
		if (!strchr("0123456789abcdef", m->request_id.p[i]))
			m->request_id = rnd_id(req->arena);
	log_request(m->request_id.p);
}

void api_serve(void *ctx, const struct httpd_request *req, struct httpd_reply *reply)
{
	struct run run;
	int rc = 0;
	int64_t began = clock_mono_ms();

	start(&run, ctx, req, reply);
	for (size_t i = 0; i < ARRAY_LEN(steps) && rc == 0 && !run.done; i++) {
		rc = steps[i].run(&run);
		if (rc)
			log_debug("%s refused at step %s: %s", run.call.op ? run.call.op->id : "?", steps[i].name,
			          run.call.m.err.text);
	}
	if (rc) {
		assert(run.call.m.err.code == rc);
		if (rc == ERR_APPIA_0500 && run.call.op) {
			log_error("%s: %s", run.call.op->id, run.call.m.err.text);
			api_fault(&run.call.m.err, domain_of(&run), API_FAULT_INTERNAL, NULL);
		}
		/* Headers of an answer that is not given do not go out; those of step_route() stay. */
		if (run.call.op)
			reply->n_headers = 0;
		api_fault_write(reply, shape_of(&run), &run.call.m.err, run.call.m.request_id);
	}
	httpd_reply_header(reply, STR("X-Request-Id"), run.call.m.request_id);
	if (run.api->audit && run.call.op && run.call.op->flags & API_OP_WRITE)
		run.api->audit(run.api->ctx, &run.call, reply->status);
	log_debug("%.*s %.*s %d %lld ms", STR_FMT(req->method), STR_FMT(req->target), reply->status,
	          (long long)(clock_mono_ms() - began));
	log_request(NULL);
}
