/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/conn.h"

#include "base/enc.h"
#include "base/mem.h"
#include "base/rnd.h"

#include <stdlib.h>

#define ARENA_MAX ((size_t)256 << 20)
#define REPLY_MAX ((size_t)64 << 20)
#define DISCARD_MAX ((size_t)64 << 20) /* read beyond the limit so that the peer gets to see the 413 */

struct conn *conn_new(struct httpd *httpd)
{
	struct conn *c = mem_zalloc(sizeof(*c));

	c->httpd = httpd;
	c->arena = arena_new(ARENA_MAX);
	buf_init(&c->body, httpd->options.max_body);
	buf_init(&c->reply.body, REPLY_MAX);
	return c;
}

/* Whether a body of n bytes fits beside the others. */
static bool charge(struct conn *c, size_t n)
{
	struct httpd *h = c->httpd;

	if (n <= HTTPD_SMALL_BODY || n <= c->charged)
		return true;
	size_t more = n - c->charged, used = atomic_fetch_add(&h->memory, more);

	if (used + more > h->options.memory_max) {
		atomic_fetch_sub(&h->memory, more);
		return false;
	}
	c->charged = n;
	return true;
}

static void uncharge(struct conn *c)
{
	atomic_fetch_sub(&c->httpd->memory, c->charged);
	c->charged = 0;
}

void conn_free(struct conn *c)
{
	uncharge(c);
	buf_done(&c->body);
	buf_done(&c->reply.body);
	arena_free(c->arena);
	free(c);
}

static void shrink(struct buf *b)
{
	if (b->cap > HTTPD_SMALL_BODY) /* what an idle connection may hold */
		buf_done(b);
	buf_reset(b);
}

void conn_reset(struct conn *c)
{
	arena_reset(c->arena);
	shrink(&c->body);
	shrink(&c->reply.body);
	uncharge(c);
	c->req = (struct httpd_request){.arena = c->arena};
	c->reply.status = 0;
	c->reply.content_type = STR_NONE;
	c->reply.n_headers = 0;
	c->received = c->length = 0;
	c->refused = 0;
	c->started = c->close = false;
}

void conn_target(struct conn *c, const char *uri)
{
	struct str rest = arena_str(c->arena, str_of(uri));

	c->req.target = str_cut(&rest, '?');
	c->req.query = rest;
}

/* The request id that the front door gave, or a new one. */
static struct str request_id(struct conn *c)
{
	struct str id = httpd_header(&c->req, "X-Request-Id");

	if (id.n == 0 || id.n > 64)
		return rnd_id(c->arena);
	for (size_t i = 0; i < id.n; i++) {
		char x = id.p[i];

		if (!(x >= 'a' && x <= 'z') && !(x >= 'A' && x <= 'Z') && !(x >= '0' && x <= '9') && x != '-')
			return rnd_id(c->arena);
	}
	return id;
}

static void error_reply(struct conn *c, int code)
{
	const struct err_row *row = err_row(code);

	buf_reset(&c->reply.body);
	c->reply.n_headers = 0;
	c->reply.status = row->status;
	c->reply.content_type = STR("application/json");
	struct str id = request_id(c);

	/* The catalogue's messages need no escapes. */
	buf_fmt(&c->reply.body, "{\"error_code\":\"%s\",\"error_msg\":\"%s\",\"request_id\":\"%.*s\"}", row->code,
		row->message, STR_FMT(id));
}

static void add_header(struct conn *c, struct MHD_Response *r, struct str name, struct str value)
{
	MHD_add_response_header(r, arena_cstr(c->arena, name), arena_cstr(c->arena, value));
}

static bool bodyless(int status)
{
	return status < 200 || status == 204 || status == 304;
}

static enum MHD_Result queue(struct conn *c, struct MHD_Connection *m)
{
	struct httpd_reply *reply = &c->reply;

	if (reply->body.failed || reply->status < 200 || reply->status > 599)
		error_reply(c, ERR_APPIA_0500);
	struct str body = bodyless(reply->status) ? STR("") : buf_view(&reply->body);
	/* Not copied: the buffer stays as it is until the next request of this connection. */
	struct MHD_Response *r =
		MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_PERSISTENT);

	if (!r)
		return MHD_NO;
	if (reply->content_type.n && !bodyless(reply->status))
		add_header(c, r, STR("Content-Type"), reply->content_type);
	for (size_t i = 0; i < reply->n_headers; i++)
		add_header(c, r, reply->headers[i].name, reply->headers[i].value);
	if (c->close)
		add_header(c, r, STR("Connection"), STR("close"));
	enum MHD_Result ok = MHD_queue_response(m, (unsigned)reply->status, r);

	MHD_destroy_response(r);
	return ok;
}

static enum MHD_Result refuse(struct conn *c, struct MHD_Connection *m, int code)
{
	c->close = true; /* what follows on this connection may be a body nobody read */
	error_reply(c, code);
	if (code == ERR_APPIA_0503_MEMORY)
		httpd_reply_header(&c->reply, STR("Retry-After"), STR("1"));
	return queue(c, m);
}

/* Head of the request is there. */
static enum MHD_Result begin(struct conn *c, struct MHD_Connection *m, const char *method)
{
	long long length = 0;

	c->started = true;
	c->req.method = arena_str(c->arena, str_of(method));
	if (!check_headers(c, m) || !check_request_line(c->req.method, c->req.target, c->req.query))
		return refuse(c, m, ERR_APPIA_0400);
	struct str text = httpd_header(&c->req, "Content-Length");

	if (text.p && !str_to_int(text, 0, INT64_MAX, &length))
		return refuse(c, m, ERR_APPIA_0413);
	if ((unsigned long long)length > c->httpd->options.max_body + DISCARD_MAX)
		return refuse(c, m, ERR_APPIA_0413);
	c->length = (size_t)length;
	if (c->length > c->httpd->options.max_body)
		c->refused = ERR_APPIA_0413;
	else if (!charge(c, c->length))
		c->refused = ERR_APPIA_0503_MEMORY;
	return MHD_YES;
}

/* Of unknown length, a body is charged with what its buffer may take. */
static size_t expected(const struct conn *c)
{
	size_t max = c->httpd->options.max_body;

	if (c->length || c->received <= c->charged)
		return c->length;
	return c->received > max / 2 ? max : 2 * c->received;
}

static enum MHD_Result collect(struct conn *c, const char *data, size_t n)
{
	c->received += n;
	if (!c->refused && c->received > c->httpd->options.max_body)
		c->refused = ERR_APPIA_0413;
	else if (!c->refused && !charge(c, expected(c)))
		c->refused = ERR_APPIA_0503_MEMORY;
	if (c->refused) {
		buf_done(&c->body);
		uncharge(c);
	} else {
		buf_reserve(&c->body, c->length > c->body.n ? c->length - c->body.n : 0);
		buf_add(&c->body, data, n);
		if (c->body.failed)
			c->refused = ERR_APPIA_0413;
	}
	return c->received > c->httpd->options.max_body + DISCARD_MAX ? MHD_NO : MHD_YES;
}

/* False when the server is stopping. */
static bool count(struct conn *c)
{
	pthread_mutex_lock(&c->httpd->lock);
	c->counted = !c->httpd->stopping;
	c->httpd->running += c->counted;
	pthread_mutex_unlock(&c->httpd->lock);
	return c->counted;
}

static enum MHD_Result handle(struct conn *c, struct MHD_Connection *m)
{
	const struct httpd_options *o = &c->httpd->options;

	if (c->refused)
		return refuse(c, m, c->refused);
	if (!count(c))
		return refuse(c, m, ERR_APPIA_0503);
	c->req.body = buf_view(&c->body);
	o->handler(o->ctx, &c->req, &c->reply);
	return queue(c, m);
}

enum MHD_Result conn_request(struct conn *c, struct MHD_Connection *m, const char *method, const char *data, size_t *n)
{
	if (!c->started)
		return begin(c, m, method);
	if (*n == 0)
		return handle(c, m);
	enum MHD_Result more = collect(c, data, *n);

	*n = 0;
	return more;
}

void conn_completed(struct conn *c)
{
	struct httpd *httpd = c->httpd;

	if (c->counted) {
		pthread_mutex_lock(&httpd->lock);
		if (--httpd->running == 0)
			pthread_cond_broadcast(&httpd->idle);
		pthread_mutex_unlock(&httpd->lock);
	}
	c->counted = false;
	conn_reset(c);
}

struct str httpd_header(const struct httpd_request *req, const char *name)
{
	struct str want = str_of(name);

	for (size_t i = 0; i < req->n_headers; i++)
		if (str_eq_nocase(req->headers[i].name, want))
			return req->headers[i].value;
	return STR_NONE;
}

static bool is_name(const struct httpd_request *req, struct str raw, const char *name)
{
	struct str key;

	if (str_find(raw, '%', 0) == raw.n && str_find(raw, '+', 0) == raw.n)
		return str_is(raw, name);
	return enc_unpercent(req->arena, raw, true, &key) && str_is(key, name);
}

struct str httpd_query(const struct httpd_request *req, const char *name)
{
	struct str rest = req->query, value;

	while (rest.p) {
		struct str raw = str_cut(&rest, '&'), key = str_cut(&raw, '=');

		if (is_name(req, key, name))
			return enc_unpercent(req->arena, raw.p ? raw : STR(""), true, &value) ? value : STR_NONE;
	}
	return STR_NONE;
}

void httpd_reply_header(struct httpd_reply *reply, struct str name, struct str value)
{
	if (reply->n_headers == sizeof(reply->headers) / sizeof(reply->headers[0]) || !name.n)
		return;
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < 0x20 && value.p[i] != '\t')
			return;
	reply->headers[reply->n_headers++] = (struct httpd_pair){name, value};
}
