/* SPDX-License-Identifier: Apache-2.0 */
#include "livedata/server.h"

#include "base/clock.h"
#include "base/enc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rnd.h"
#include "json/json.h"
#include "livedata/internal.h"
#include "livedata/params.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define SHOWN_LOG 2000

struct livedata_server {
	struct livedata_server_options options;
	atomic_ullong calls[6]; /* by first digit of the status */
	atomic_ullong used_us;
	atomic_uint running;
};

struct livedata_server *livedata_server_new(const struct livedata_server_options *options)
{
	struct livedata_server *server = mem_zalloc(sizeof(*server));

	server->options = *options;
	return server;
}

void livedata_server_free(struct livedata_server *server)
{
	free(server);
}

static void error_body(struct httpd_reply *reply, const struct err *err, struct str request_id)
{
	const struct err_row *row = err_row(err->code);

	buf_reset(&reply->body);
	reply->n_headers = 0;
	reply->status = row->status;
	reply->content_type = STR("application/json");
	buf_cstr(&reply->body, "{\"error_msg\":");
	json_print_str(&reply->body, str_of(err->text));
	buf_fmt(&reply->body, ",\"error_code\":\"%s\",\"request_id\":", row->code);
	json_print_str(&reply->body, request_id);
	buf_fmt(&reply->body, "%s}", err->retriable ? ",\"retriable\":true" : "");
}

/* Headers of the caller: without those that only our processes exchange. */
static size_t caller_headers(const struct httpd_request *req, struct httpd_pair **ret)
{
	static const struct str prefix = {"x-appia-", 8};
	size_t n = 0;

	*ret = ARENA_ARRAY(req->arena, struct httpd_pair, req->n_headers + 1);
	for (size_t i = 0; i < req->n_headers; i++) {
		struct str name = req->headers[i].name;

		if (name.n < prefix.n || !str_eq_nocase(str_sub(name, 0, prefix.n), prefix))
			(*ret)[n++] = req->headers[i];
	}
	return n;
}

/* The gateway may give the call less time than we would. */
static int64_t deadline(const struct livedata_server *server, const struct httpd_request *req)
{
	long long ms = server->options.deadline_ms;

	str_to_int(httpd_header(req, "X-Appia-Timeout"), 1, server->options.deadline_ms, &ms);
	return clock_mono_ms() + ms;
}

static void log_failure(struct str id, const struct err *err, struct str log)
{
	log_warn("livedata=%.*s error=%s %s %.*s", STR_FMT(id), err_row(err->code)->code, err->text,
	         (int)(log.n > SHOWN_LOG ? SHOWN_LOG : log.n), log.p ? log.p : "");
}

static void call_backend(struct livedata_server *server, struct str id, struct str request_id,
                         const struct httpd_request *req, struct httpd_reply *reply)
{
	struct httpd_pair *headers, *query;
	struct livedata_request call = {.method = req->method,
					.path = req->target,
					.body = req->body,
					.request_id = request_id,
					.app_id = httpd_header(req, "X-Appia-App"),
					.deadline_ms = deadline(server, req),
					.arena = req->arena};
	struct livedata_reply out = {.body = &reply->body};
	struct err err = {0};

	call.n_headers = caller_headers(req, &headers);
	call.headers = headers;
	call.n_query = req->query.p ? livedata_params_split(req->query, req->arena, &query) : 0;
	call.query = call.n_query ? query : NULL;
	if (livedata_call(server->options.ld, id, &call, &out, &err)) {
		log_failure(id, &err, out.log);
		error_body(reply, &err, request_id);
		return;
	}
	reply->status = out.status;
	reply->content_type = out.content_type;
	for (size_t i = 0; i < out.n_headers && reply->n_headers < ARRAY_LEN(reply->headers); i++)
		httpd_reply_header(reply, out.headers[i].name, out.headers[i].value);
}

static void internal(struct livedata_server *server, struct str request_id, const struct httpd_request *req,
                     struct httpd_reply *reply)
{
	struct livedata_internal call = {.ld = server->options.ld,
					 .operation = str_sub(req->target, 10, req->target.n),
					 .request_id = request_id,
					 .deadline_ms = deadline(server, req),
					 .arena = req->arena,
					 .out = &reply->body};
	struct err err = {0};
	char why[160];
	int code = 0;

	reply->status = 200;
	reply->content_type = STR("application/json");
	if (!str_is(req->method, "POST"))
		code = err_set(&err, ERR_APPIA_0405, NULL);
	else if (!json_parse(req->arena, req->body, &call.body, why, sizeof(why)))
		code = err_set(&err, ERR_APPIA_0400, "%s", why);
	else if (!livedata_internal_run(&call, &code, &err))
		code = err_set(&err, ERR_APPIA_0404, NULL);
	if (code)
		error_body(reply, &err, request_id);
}

static void metrics(struct livedata_server *server, struct httpd_reply *reply)
{
	struct buf *out = &reply->body;

	reply->status = 200;
	reply->content_type = STR("text/plain; version=0.0.4");
	buf_cstr(out, "# HELP appia_worker_calls_total Calls answered, by class of status.\n"
	              "# TYPE appia_worker_calls_total counter\n");
	for (size_t i = 2; i < 6; i++)
		buf_fmt(out, "appia_worker_calls_total{status=\"%zuxx\"} %llu\n", i, atomic_load(&server->calls[i]));
	buf_fmt(out, "# HELP appia_worker_call_seconds_total Time spent in calls.\n"
	             "# TYPE appia_worker_call_seconds_total counter\n"
	             "appia_worker_call_seconds_total %.6f\n", (double)atomic_load(&server->used_us) / 1e6);
	buf_fmt(out, "# HELP appia_worker_calls_running Calls being answered.\n"
	             "# TYPE appia_worker_calls_running gauge\n"
	             "appia_worker_calls_running %u\n", atomic_load(&server->running));
	buf_fmt(out, "# HELP appia_worker_datasource_connections Connections to data sources.\n"
	             "# TYPE appia_worker_datasource_connections gauge\n"
	             "appia_worker_datasource_connections %zu\n", datasource_pool_count(server->options.pool));
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void answer(struct livedata_server *server, const struct httpd_request *req, struct httpd_reply *reply)
{
	struct str id = httpd_header(req, "X-Appia-Livedata"), request_id = httpd_header(req, "X-Request-Id");
	int64_t start = now_us();

	if (!request_id.n || request_id.n > 64)
		request_id = rnd_id(req->arena);
	log_request(arena_cstr(req->arena, request_id));
	atomic_fetch_add(&server->running, 1);
	if (id.p)
		call_backend(server, id, request_id, req, reply);
	else
		internal(server, request_id, req, reply);
	atomic_fetch_sub(&server->running, 1);
	atomic_fetch_add(&server->calls[reply->status >= 200 && reply->status < 600 ? reply->status / 100 : 5], 1);
	atomic_fetch_add(&server->used_us, (unsigned long long)(now_us() - start));
	log_request(NULL);
}

void livedata_server_handle(void *ctx, const struct httpd_request *req, struct httpd_reply *reply)
{
	struct livedata_server *server = ctx;
	struct err err = {0};

	/* A gateway's call may have any path; only calls of our own processes lack the header. */
	if (httpd_header(req, "X-Appia-Livedata").p || str_starts(req->target, STR("/internal/"))) {
		answer(server, req, reply);
	} else if (str_is(req->target, "/healthz")) {
		reply->status = 200;
		reply->content_type = STR("application/json");
		buf_cstr(&reply->body, "{\"status\":\"ok\"}");
	} else if (str_is(req->target, "/metrics")) {
		metrics(server, reply);
	} else {
		err_set(&err, ERR_APPIA_0404, NULL);
		error_body(reply, &err, rnd_id(req->arena));
	}
}
