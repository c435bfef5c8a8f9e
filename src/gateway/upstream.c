/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

#include "policy/uri.h"

/* The exchange with the back end: HTTP/1.1 over nginx's upstream machinery. The request is sent when all of it is here,
 * the answer is passed on as it comes. */

#define BUFFER_BYTES 16384
#define TIMEOUT_MAX_MS 600000
#define TIMEOUT_DEFAULT_MS 5000
#define WEBSOCKET_IDLE_MS 600000

static ngx_str_t hide_headers[] = {
	ngx_string("Date"),
	ngx_string("Server"),
	ngx_string("X-Pad"),
	ngx_string("X-Accel-Expires"),
	ngx_string("X-Accel-Redirect"),
	ngx_string("X-Accel-Limit-Rate"),
	ngx_string("X-Accel-Buffering"),
	ngx_string("X-Accel-Charset"),
	ngx_string("X-Request-Id"),
	ngx_string("X-Apig-Latency"),
	ngx_string("X-Apig-Upstream-Latency"),
	ngx_string("Keep-Alive"),
	ngx_string("Proxy-Connection"),
	ngx_null_string,
};

/* Stands for the upstream{} block that nginx wants; the peers come from the API. */
static ngx_http_upstream_srv_conf_t placeholder = {.peer = {.init = gateway_peer_init}};

static char hash_name[] = "appia_hide_headers";

static char *init_tls(ngx_conf_t *cf, ngx_ssl_t *ssl, ngx_str_t *trusted)
{
	ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(cf->pool, 0);

	ssl->log = cf->log;
	if (!cleanup || ngx_ssl_create(ssl, NGX_SSL_TLSv1_2 | NGX_SSL_TLSv1_3, NULL) != NGX_OK)
		return NGX_CONF_ERROR;
	cleanup->handler = ngx_ssl_cleanup_ctx;
	cleanup->data = ssl;
	if (trusted->len && ngx_ssl_trusted_certificate(cf, ssl, trusted, 10) != NGX_OK)
		return NGX_CONF_ERROR;
	return NGX_CONF_OK;
}

char *gateway_upstream_conf(ngx_conf_t *cf, struct gateway_main_conf *conf)
{
	ngx_http_upstream_conf_t *u = &conf->upstream,
				 none = {.hide_headers = NGX_CONF_UNSET_PTR, .pass_headers = NGX_CONF_UNSET_PTR};
	ngx_hash_init_t hash = {.max_size = 512, .bucket_size = ngx_align(64, ngx_cacheline_size), .name = hash_name};
	static ngx_str_t bundle = ngx_string("/etc/ssl/certs/ca-certificates.crt");
	struct stat st;

	u->upstream = &placeholder;
	u->buffer_size = BUFFER_BYTES;
	u->ignore_headers = NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT | NGX_HTTP_UPSTREAM_IGN_XA_EXPIRES |
			    NGX_HTTP_UPSTREAM_IGN_XA_LIMIT_RATE | NGX_HTTP_UPSTREAM_IGN_XA_BUFFERING |
			    NGX_HTTP_UPSTREAM_IGN_XA_CHARSET | NGX_HTTP_UPSTREAM_IGN_EXPIRES |
			    NGX_HTTP_UPSTREAM_IGN_CACHE_CONTROL | NGX_HTTP_UPSTREAM_IGN_SET_COOKIE;
	u->next_upstream =
		NGX_HTTP_UPSTREAM_FT_ERROR | NGX_HTTP_UPSTREAM_FT_TIMEOUT | NGX_HTTP_UPSTREAM_FT_INVALID_HEADER;
	u->request_buffering = 1;
	u->pass_request_headers = 1;
	u->pass_request_body = 1;
	u->hide_headers = NGX_CONF_UNSET_PTR;
	u->pass_headers = NGX_CONF_UNSET_PTR;
	u->ssl_server_name = 1;
	ngx_str_set(&u->module, "appia");
	if (ngx_http_upstream_hide_headers_hash(cf, u, &none, hide_headers, &hash) != NGX_OK)
		return NGX_CONF_ERROR;
	if (!conf->trusted.len && stat((const char *)bundle.data, &st) == 0)
		conf->trusted = bundle;
	u->ssl = &conf->ssl;
	if (init_tls(cf, &conf->ssl_verify, &conf->trusted) != NGX_CONF_OK)
		return NGX_CONF_ERROR;
	return init_tls(cf, &conf->ssl, &(ngx_str_t)ngx_null_string);
}

/* the request ------------------------------------------------------------------------------------------------------ */

static off_t body_bytes(const ngx_http_request_t *r)
{
	off_t n = 0;

	for (ngx_chain_t *cl = r->request_body ? r->request_body->bufs : NULL; cl; cl = cl->next)
		n += ngx_buf_size(cl->buf);
	return n;
}

/* Credentials of the gateway do not go on; with APIs that need none, such headers belong to the back end. */
static bool forwarded(const struct gateway_ctx *ctx, size_t i)
{
	if (ctx->target.drop && ctx->target.drop[i])
		return false;
	switch ((enum gateway_header)ctx->header_class[i]) {
	case HEADER_PLAIN:
	case HEADER_STAGE:
	case HEADER_DATE:
	case HEADER_PAYLOAD:
		return true;
	case HEADER_AUTHORIZATION:
	case HEADER_TOKEN:
	case HEADER_SECRET:
	case HEADER_SECURITY_TOKEN:
		return ctx->api.auth == PUB_AUTH_NONE;
	default:
		return false;
	}
}

struct writer {
	u_char *p; /* NULL: only count */
	size_t n;
};

static void put(struct writer *w, struct str s)
{
	if (w->p && s.n)
		ngx_memcpy(w->p + w->n, s.p, s.n);
	w->n += s.n;
}

static void put_header(struct writer *w, struct str name, struct str value)
{
	put(w, name);
	put(w, STR(": "));
	put(w, value);
	put(w, STR("\r\n"));
}

static void put_forwarded_for(struct gateway_ctx *ctx, struct writer *w)
{
	put(w, STR("X-Forwarded-For: "));
	for (size_t i = 0; i < ctx->n_headers; i++) {
		if (ctx->header_class[i] != HEADER_FORWARDED_FOR)
			continue;
		put(w, ctx->headers[i].value);
		put(w, STR(", "));
	}
	put(w, gateway_str(ctx->r->connection->addr_text));
	put(w, STR("\r\n"));
}

static void put_framing(struct gateway_ctx *ctx, struct writer *w)
{
	u_char text[NGX_OFF_T_LEN];
	off_t n = body_bytes(ctx->r);

	if (n > 0 || ctx->r->headers_in.content_length_n >= 0 || ctx->r->headers_in.chunked) {
		u_char *end = ngx_sprintf(text, "%O", n);

		put_header(w, STR("Content-Length"), (struct str){(char *)text, (size_t)(end - text)});
	}
	if (ctx->websocket)
		put(w, STR("Connection: Upgrade\r\nUpgrade: websocket\r\n"));
}

static void put_ours(struct gateway_ctx *ctx, struct writer *w)
{
	for (size_t i = 0; i < ctx->target.n_headers; i++) {
		const struct sign_pair *h = &ctx->target.headers[i];

		if (h->name.n < 8 || !str_eq_nocase(str_sub(h->name, 0, 8), STR("x-appia-")))
			put_header(w, h->name, h->value);
	}
	put_forwarded_for(ctx, w);
	put_header(w, STR("X-Forwarded-Proto"), ctx->r->connection->ssl ? STR("https") : STR("http"));
	put_header(w, STR("X-Request-Id"), (struct str){ctx->request_id, 32});
	if (ctx->api.backend == PUB_BACKEND_HTTP) {
		char layer[] = {(char)('0' + ctx->layers / 10), (char)('0' + ctx->layers % 10)};

		put_header(w, STR("X-Appia-Layer"), (struct str){layer, sizeof(layer)});
	}
	if (ctx->api.backend == PUB_BACKEND_LIVEDATA) {
		put_header(w, STR("X-Appia-Livedata"), ctx->api.livedata_id);
		put_header(w, STR("X-Appia-App"), ctx->app_id);
		put_header(w, STR("X-Appia-Timeout"),
			   arena_fmt(ctx->arena, "%lu", (unsigned long)ctx->upstream.read_timeout));
	}
}

static void put_request(struct gateway_ctx *ctx, struct writer *w)
{
	put(w, ctx->target.method);
	put(w, STR(" "));
	put(w, ctx->target.path);
	if (ctx->target.query.n) {
		put(w, STR("?"));
		put(w, ctx->target.query);
	}
	put(w, STR(" HTTP/1.1\r\n"));
	put_header(w, STR("Host"), ctx->host_header);
	put_framing(ctx, w);
	for (size_t i = 0; i < ctx->n_headers; i++) {
		if (forwarded(ctx, i))
			put_header(w, ctx->headers[i].name, ctx->headers[i].value);
	}
	put_ours(ctx, w);
	put(w, STR("\r\n"));
}

static ngx_int_t create_request(ngx_http_request_t *r)
{
	struct gateway_ctx *ctx = GATEWAY_CTX(r);
	struct writer w = {NULL, 0};

	put_request(ctx, &w);
	ngx_buf_t *b = ngx_create_temp_buf(r->pool, w.n);
	ngx_chain_t *cl = ngx_alloc_chain_link(r->pool), *first = cl;

	if (!b || !cl)
		return NGX_ERROR;
	w = (struct writer){b->pos, 0};
	put_request(ctx, &w);
	b->last = b->pos + w.n;
	cl->buf = b;
	for (ngx_chain_t *body = r->request_body ? r->request_body->bufs : NULL; body; body = body->next) {
		b = ngx_alloc_buf(r->pool);
		cl->next = ngx_alloc_chain_link(r->pool);
		if (!b || !cl->next)
			return NGX_ERROR;
		ngx_memcpy(b, body->buf, sizeof(*b));
		cl = cl->next;
		cl->buf = b;
	}
	b->flush = 1;
	cl->next = NULL;
	r->upstream->request_bufs = first;
	return NGX_OK;
}

/* the answer ------------------------------------------------------------------------------------------------------- */

static ngx_int_t process_status(ngx_http_request_t *r);

static ngx_int_t reinit_request(ngx_http_request_t *r)
{
	struct gateway_ctx *ctx = GATEWAY_CTX(r);

	ngx_memzero(&ctx->status, sizeof(ctx->status));
	ngx_memzero(&ctx->chunked, sizeof(ctx->chunked));
	ctx->length_seen = false;
	r->upstream->process_header = process_status;
	r->state = 0;
	return NGX_OK;
}

static ngx_int_t invalid(ngx_http_request_t *r, const char *what)
{
	ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "appia: back end sent %s", what);
	return NGX_HTTP_UPSTREAM_INVALID_HEADER;
}

static ngx_int_t keep_header(ngx_http_request_t *r)
{
	ngx_http_upstream_t *u = r->upstream;
	ngx_http_upstream_main_conf_t *umcf = ngx_http_get_module_main_conf(r, ngx_http_upstream_module);
	struct gateway_ctx *ctx = GATEWAY_CTX(r);
	ngx_table_elt_t *h = ngx_list_push(&u->headers_in.headers);
	size_t key = (size_t)(r->header_name_end - r->header_name_start),
	       value = (size_t)(r->header_end - r->header_start);

	if (!h)
		return NGX_ERROR;
	h->hash = r->header_hash;
	h->key.len = key;
	h->value.len = value;
	h->key.data = ngx_pnalloc(r->pool, key + 1 + value + 1 + key);
	if (!h->key.data) {
		h->hash = 0;
		return NGX_ERROR;
	}
	h->value.data = h->key.data + key + 1;
	h->lowcase_key = h->value.data + value + 1;
	ngx_memcpy(h->key.data, r->header_name_start, key);
	h->key.data[key] = '\0';
	ngx_memcpy(h->value.data, r->header_start, value);
	h->value.data[value] = '\0';
	if (key == r->lowcase_index)
		ngx_memcpy(h->lowcase_key, r->lowcase_header, key);
	else
		ngx_strlow(h->lowcase_key, h->key.data, key);
	struct str name = {(const char *)h->lowcase_key, key};

	if (str_is(name, "content-length")) {
		if (ctx->length_seen)
			return invalid(r, "two lengths");
		ctx->length_seen = true;
	}
	if (str_is(name, "transfer-encoding") && !str_eq_nocase(gateway_str(h->value), STR("chunked")))
		return invalid(r, "an unknown transfer coding");
	ngx_http_upstream_header_t *hh = ngx_hash_find(&umcf->headers_in_hash, h->hash, h->lowcase_key, key);

	return hh && hh->handler(r, h, hh->offset) != NGX_OK ? NGX_ERROR : NGX_OK;
}

/* "100 Continue" and its like come before the answer proper. */
static ngx_int_t skip_interim(ngx_http_request_t *r)
{
	ngx_http_upstream_t *u = r->upstream;

	reinit_request(r);
	ngx_memzero(&u->headers_in, sizeof(u->headers_in));
	u->headers_in.content_length_n = -1;
	u->headers_in.last_modified_time = -1;
	if (ngx_list_init(&u->headers_in.headers, r->pool, 8, sizeof(ngx_table_elt_t)) != NGX_OK ||
	    ngx_list_init(&u->headers_in.trailers, r->pool, 2, sizeof(ngx_table_elt_t)) != NGX_OK)
		return NGX_ERROR;
	return process_status(r);
}

static ngx_int_t headers_done(ngx_http_request_t *r)
{
	ngx_http_upstream_t *u = r->upstream;
	struct gateway_ctx *ctx = GATEWAY_CTX(r);
	ngx_uint_t status = u->headers_in.status_n;

	if (status == NGX_HTTP_SWITCHING_PROTOCOLS) {
		if (!ctx->websocket)
			return invalid(r, "101 without being asked");
		u->keepalive = 0;
		u->upgrade = 1;
		ctx->upstream.read_timeout = WEBSOCKET_IDLE_MS;
		ctx->upstream.send_timeout = WEBSOCKET_IDLE_MS;
		ctx->from_backend = true;
		return NGX_OK;
	}
	if (status < 200)
		return skip_interim(r);
	if (u->headers_in.chunked) {
		if (ctx->length_seen)
			u->headers_in.connection_close = 1; /* who framed this twice is not asked again */
		u->headers_in.content_length_n = -1;
	}
	if (status == NGX_HTTP_NO_CONTENT || status == NGX_HTTP_NOT_MODIFIED || ctx->head ||
	    (!u->headers_in.chunked && u->headers_in.content_length_n == 0))
		u->keepalive = !u->headers_in.connection_close;
	ctx->from_backend = true;
	return NGX_OK;
}

static ngx_int_t process_headers(ngx_http_request_t *r)
{
	for (;;) {
		ngx_int_t rc = ngx_http_parse_header_line(r, &r->upstream->buffer, 1);

		if (rc == NGX_OK)
			rc = keep_header(r);
		else if (rc == NGX_HTTP_PARSE_HEADER_DONE)
			return headers_done(r);
		else if (rc != NGX_AGAIN)
			return invalid(r, "a malformed header");
		if (rc != NGX_OK)
			return rc;
	}
}

static ngx_int_t process_status(ngx_http_request_t *r)
{
	ngx_http_upstream_t *u = r->upstream;
	struct gateway_ctx *ctx = GATEWAY_CTX(r);
	ngx_int_t rc = ngx_http_parse_status_line(r, &u->buffer, &ctx->status);

	if (rc == NGX_AGAIN)
		return rc;
	if (rc == NGX_ERROR)
		return invalid(r, "no HTTP");
	if (u->state && !u->state->status)
		u->state->status = ctx->status.code;
	u->headers_in.status_n = ctx->status.code;
	u->headers_in.status_line.len = (size_t)(ctx->status.end - ctx->status.start);
	u->headers_in.status_line.data = ngx_pnalloc(r->pool, u->headers_in.status_line.len);
	if (!u->headers_in.status_line.data)
		return NGX_ERROR;
	ngx_memcpy(u->headers_in.status_line.data, ctx->status.start, u->headers_in.status_line.len);
	if (ctx->status.http_version < NGX_HTTP_VERSION_11)
		u->headers_in.connection_close = 1;
	u->process_header = process_headers;
	return process_headers(r);
}

static ngx_int_t filter_init(void *data)
{
	struct gateway_ctx *ctx = data;
	ngx_http_upstream_t *u = ctx->r->upstream;

	if (u->headers_in.status_n == NGX_HTTP_NO_CONTENT || u->headers_in.status_n == NGX_HTTP_NOT_MODIFIED ||
	    ctx->head)
		u->length = 0;
	else if (u->headers_in.chunked)
		u->length = 1; /* not yet at the end */
	else
		u->length = u->headers_in.content_length_n;
	if (u->length == 0)
		u->keepalive = !u->headers_in.connection_close;
	return NGX_OK;
}

static ngx_chain_t **out_tail(ngx_http_upstream_t *u)
{
	ngx_chain_t **ll = &u->out_bufs;

	while (*ll)
		ll = &(*ll)->next;
	return ll;
}

static ngx_buf_t *add_out(ngx_http_request_t *r, u_char *pos, u_char *last)
{
	ngx_http_upstream_t *u = r->upstream;
	ngx_chain_t *cl = ngx_chain_get_free_buf(r->pool, &u->free_bufs);

	if (!cl)
		return NULL;
	*out_tail(u) = cl;
	cl->next = NULL;
	cl->buf->flush = 1;
	cl->buf->memory = 1;
	cl->buf->pos = pos;
	cl->buf->last = last;
	cl->buf->tag = u->output.tag;
	return cl->buf;
}

static ngx_int_t filter_chunked(struct gateway_ctx *ctx, ssize_t bytes)
{
	ngx_http_request_t *r = ctx->r;
	ngx_http_upstream_t *u = r->upstream;
	ngx_buf_t *in = &u->buffer;

	in->pos = in->last;
	in->last += bytes;
	for (;;) {
		ngx_int_t rc = ngx_http_parse_chunked(r, in, &ctx->chunked);

		if (rc == NGX_DONE) {
			/* Bytes behind the end would be taken for the next answer. */
			u->keepalive = !u->headers_in.connection_close && in->pos == in->last;
			u->length = 0;
			return NGX_OK;
		}
		if (rc == NGX_AGAIN)
			return NGX_OK;
		if (rc != NGX_OK) {
			invalid(r, "a malformed chunk");
			return NGX_ERROR;
		}
		off_t n = ngx_min((off_t)(in->last - in->pos), ctx->chunked.size);

		if (!add_out(r, in->pos, in->pos + n))
			return NGX_ERROR;
		in->pos += n;
		ctx->chunked.size -= n;
	}
}

static ngx_int_t filter_length(struct gateway_ctx *ctx, ssize_t bytes)
{
	ngx_http_upstream_t *u = ctx->r->upstream;
	u_char *from = u->buffer.last;
	ngx_buf_t *b;

	u->buffer.last += bytes;
	b = add_out(ctx->r, from, u->buffer.last);
	if (!b)
		return NGX_ERROR;
	if (u->length == -1)
		return NGX_OK;
	if (bytes > u->length) {
		ngx_log_error(NGX_LOG_WARN, ctx->r->connection->log, 0,
			      "appia: back end sent more than its Content-Length");
		b->last = b->pos + u->length;
		u->length = 0;
		u->keepalive = 0;
		return NGX_OK;
	}
	u->length -= bytes;
	if (u->length == 0)
		u->keepalive = !u->headers_in.connection_close;
	return NGX_OK;
}

static ngx_int_t filter(void *data, ssize_t bytes)
{
	struct gateway_ctx *ctx = data;

	return ctx->r->upstream->headers_in.chunked ? filter_chunked(ctx, bytes) : filter_length(ctx, bytes);
}

static void abort_request(ngx_http_request_t *r)
{
}

static void finalize_request(ngx_http_request_t *r, ngx_int_t rc)
{
}

/* steps ------------------------------------------------------------------------------------------------------------ */

static bool printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	}
	return true;
}

/* Headers of a MOCK answer. Those that frame the message stay ours; ret_type is Content-Type, when it is among them. */
static bool add_mock_headers(struct gateway_ctx *ctx, struct str *ret_type)
{
	for (size_t i = 0; i < ctx->api.n_mock_headers; i++) {
		const struct pub_header *from = &ctx->api.mock_headers[i];

		if (!printable(from->name) || !printable(from->value))
			continue;
		if (str_eq_nocase(from->name, STR("Content-Type"))) {
			*ret_type = from->value;
			continue;
		}
		if (!from->name.n || policy_header_hop(from->name) || str_eq_nocase(from->name, STR("X-Request-Id")))
			continue;
		ngx_table_elt_t *h = ngx_list_push(&ctx->r->headers_out.headers);

		if (!h)
			return false;
		*h = (ngx_table_elt_t){.hash = 1, .key = gateway_ngx(from->name), .value = gateway_ngx(from->value)};
	}
	return true;
}

static ngx_int_t mock(struct gateway_ctx *ctx)
{
	struct str body = ctx->api.mock_body.p ? ctx->api.mock_body : STR("");
	struct str text = str_trim(body);
	bool json = text.n && (text.p[0] == '{' || text.p[0] == '[');
	struct str type = json ? STR("application/json") : STR("text/plain");
	int64_t status = ctx->api.mock_status;

	ctx->rc = NGX_ERROR;
	if (add_mock_headers(ctx, &type))
		ctx->rc = gateway_answer(ctx->r, (ngx_uint_t)(status >= 200 && status <= 599 ? status : 200), type,
					 body);
	return NGX_DECLINED;
}

static ngx_int_t worker_address(struct gateway_ctx *ctx)
{
	struct gateway_main_conf *conf = gateway_worker.conf;

	if (!conf->worker_len) {
		err_set(&ctx->err, ERR_APIG_0103, NULL);
		return NGX_ERROR;
	}
	ctx->peer.addrs = ARENA_NEW(ctx->arena, struct gateway_addr);
	ctx->peer.n_addrs = 1;
	memcpy(&ctx->peer.addrs->sa, &conf->worker, conf->worker_len);
	ctx->peer.addrs->len = conf->worker_len;
	ctx->peer.name = conf->worker_name;
	ctx->host_header = STR("appia-worker");
	return NGX_OK;
}

static ngx_int_t http_address(struct gateway_ctx *ctx)
{
	struct str host;
	unsigned port;

	if (!policy_address_split(ctx->api.address, ctx->api.tls, &host, &port)) {
		err_set(&ctx->err, ERR_APIG_0105, NULL);
		return NGX_ERROR;
	}
	ctx->peer.name = gateway_ngx(ctx->api.address);
	ctx->peer.tls = ctx->api.tls;
	ctx->peer.verify = ctx->api.tls_verify;
	ctx->host_header = ctx->api.host_header.n ? ctx->api.host_header : ctx->api.address;
	if (ctx->api.tls) {
		/* The name the certificate is for: that of the Host header when one is set. */
		struct str sni = host;

		if (ctx->api.host_header.n)
			policy_address_split(ctx->api.host_header, true, &sni, &port);
		ctx->peer.sni = gateway_ngx(sni);
		policy_address_split(ctx->api.address, true, &host, &port);
	}
	return gateway_resolve(ctx, host, port);
}

ngx_int_t gateway_step_backend(struct gateway_ctx *ctx)
{
	ngx_int_t rc;

	if (ctx->api.backend == PUB_BACKEND_MOCK)
		return mock(ctx);
	rc = ctx->api.backend == PUB_BACKEND_LIVEDATA ? worker_address(ctx) : http_address(ctx);
	if (rc == NGX_OK)
		ctx->peer.addrs_left = ctx->peer.n_addrs - 1;
	return rc;
}

static void copy_conf(struct gateway_ctx *ctx)
{
	struct gateway_main_conf *conf = gateway_worker.conf;
	int64_t timeout = ctx->api.timeout_ms;

	ctx->upstream = conf->upstream;
	timeout = timeout <= 0 ? TIMEOUT_DEFAULT_MS : timeout > TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : timeout;
	ctx->upstream.connect_timeout = (ngx_msec_t)timeout;
	ctx->upstream.send_timeout = (ngx_msec_t)timeout;
	ctx->upstream.read_timeout = (ngx_msec_t)timeout;
	ctx->peer.retries_left = policy_retries(ctx->target.method, ctx->api.retries);
	/* An owner who asks for retries gets them for every method. */
	if (ctx->api.retries > 0)
		ctx->upstream.next_upstream |= NGX_HTTP_UPSTREAM_FT_NON_IDEMPOTENT;
	if (ctx->peer.verify) {
		ctx->upstream.ssl = &conf->ssl_verify;
		ctx->upstream.ssl_verify = 1;
	}
}

ngx_int_t gateway_step_forward(struct gateway_ctx *ctx)
{
	ngx_http_request_t *r = ctx->r;

	if (ngx_http_upstream_create(r) != NGX_OK) {
		ctx->rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
		return NGX_DECLINED;
	}
	ngx_http_upstream_t *u = r->upstream;

	copy_conf(ctx);
	ctx->head = str_is(ctx->target.method, "HEAD");
	u->conf = &ctx->upstream;
	u->ssl = ctx->peer.tls;
	u->schema = gateway_ngx(ctx->peer.tls ? STR("https://") : STR("http://"));
	u->output.tag = (ngx_buf_tag_t)&ngx_http_appia_module;
	u->create_request = create_request;
	u->reinit_request = reinit_request;
	u->process_header = process_status;
	u->abort_request = abort_request;
	u->finalize_request = finalize_request;
	u->input_filter_init = filter_init;
	u->input_filter = filter;
	u->input_filter_ctx = ctx;
	r->state = 0;
	ngx_http_upstream_init(r);
	return NGX_DONE;
}
