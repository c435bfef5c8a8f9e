/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"
#include "policy/answer.h"

/* Every answer of a gateway server passes here: ours, the back end's, and nginx's own error pages, whose bodies are
 * replaced by the documented form. */

static ngx_http_output_header_filter_pt next_header;
static ngx_http_output_body_filter_pt next_body;

static ngx_int_t add(ngx_http_request_t *r, const char *name, struct str value)
{
	ngx_table_elt_t *h = ngx_list_push(&r->headers_out.headers);

	if (!h)
		return NGX_ERROR;
	h->hash = 1;
	h->key = gateway_ngx(str_of(name));
	h->value = gateway_ngx(value);
	return NGX_OK;
}

static ngx_int_t add_ms(struct gateway_ctx *ctx, const char *name, ngx_msec_t ms)
{
	return add(ctx->r, name, arena_fmt(ctx->arena, "%lu", (unsigned long)ms));
}

static ngx_int_t add_latency(struct gateway_ctx *ctx)
{
	ngx_http_request_t *r = ctx->r;
	ngx_http_upstream_state_t *state = ctx->from_backend && r->upstream ? r->upstream->state : NULL;
	ngx_time_t *tp = ngx_timeofday();
	ngx_msec_int_t ms =
		(ngx_msec_int_t)((tp->sec - r->start_sec) * 1000 + (time_t)tp->msec - (time_t)r->start_msec);
	ngx_msec_t all = (ngx_msec_t)ngx_max(ms, 0);

	if (!state || state->header_time == (ngx_msec_t)-1)
		return add_ms(ctx, "X-Apig-Latency", all);
	/* The two come from different clocks; the part is never more than the whole. */
	if (add_ms(ctx, "X-Apig-Latency", ngx_max(all, state->header_time)) != NGX_OK)
		return NGX_ERROR;
	return add_ms(ctx, "X-Apig-Upstream-Latency", state->header_time);
}

static const struct {
	const char *name, *value;
} cors[] = {
	{"Access-Control-Max-Age", "172800"},
	{"Access-Control-Allow-Origin", "*"},
	{"Access-Control-Allow-Headers",
	 "X-Sdk-Date, X-Sdk-Nonce, X-Proxy-Signed-Headers, X-Sdk-Content-Sha256, X-Forwarded-For, Authorization, "
	 "Content-Type, Accept, Accept-Ranges, Cache-Control, Range"},
	{"Access-Control-Allow-Methods", "GET, POST, PUT, DELETE, HEAD, OPTIONS, PATCH"},
};

/* The switch of the API decides, whatever the back end says. */
static ngx_int_t add_cors(ngx_http_request_t *r)
{
	for (ngx_list_part_t *part = &r->headers_out.headers.part; part; part = part->next) {
		ngx_table_elt_t *h = part->elts;

		for (size_t i = 0; i < part->nelts; i++) {
			for (size_t k = 0; k < sizeof(cors) / sizeof(cors[0]); k++) {
				if (str_eq_nocase(gateway_str(h[i].key), str_of(cors[k].name)))
					h[i].hash = 0;
			}
		}
	}
	for (size_t k = 0; k < sizeof(cors) / sizeof(cors[0]); k++) {
		if (add(r, cors[k].name, str_of(cors[k].value)) != NGX_OK)
			return NGX_ERROR;
	}
	return NGX_OK;
}

static void replace_error(struct gateway_ctx *ctx)
{
	ngx_http_request_t *r = ctx->r;

	err_set(&ctx->err, policy_error_of_status((int)r->headers_out.status), NULL);
	struct str body = policy_error_body(ctx->arena, &ctx->err, (struct str){ctx->request_id, 32});

	ctx->replace = true;
	ngx_http_clear_accept_ranges(r);
	ngx_http_clear_last_modified(r);
	ngx_http_clear_etag(r);
	ngx_str_set(&r->headers_out.content_type, "application/json");
	r->headers_out.content_type_len = r->headers_out.content_type.len;
	r->headers_out.content_type_lowcase = NULL;
	if (r->headers_out.content_length) {
		r->headers_out.content_length->hash = 0;
		r->headers_out.content_length = NULL;
	}
	r->headers_out.content_length_n = (off_t)body.n;
}

static ngx_int_t header_filter(ngx_http_request_t *r)
{
	struct gateway_srv_conf *conf = ngx_http_get_module_srv_conf(r, ngx_http_appia_module);
	struct gateway_ctx *ctx;

	if (r != r->main || !conf->enabled)
		return next_header(r);
	ctx = gateway_ctx_get(r);
	if (!ctx)
		return NGX_ERROR;
	if (!ctx->answered && !ctx->from_backend && r->headers_out.status >= NGX_HTTP_BAD_REQUEST)
		replace_error(ctx);
	/* A back end that was asked with HEAD states the length of what it did not send. */
	if (ctx->from_backend && ctx->head && r->method != NGX_HTTP_HEAD) {
		ngx_http_clear_content_length(r);
		r->headers_out.content_length_n = 0;
	}
	if (add(r, "X-Request-Id", (struct str){ctx->request_id, 32}) != NGX_OK)
		return NGX_ERROR;
	if (ctx->debug && add_latency(ctx) != NGX_OK)
		return NGX_ERROR;
	if (ctx->has_api && ctx->api.cors && add_cors(r) != NGX_OK)
		return NGX_ERROR;
	return next_header(r);
}

static ngx_int_t send_replacement(struct gateway_ctx *ctx)
{
	ngx_http_request_t *r = ctx->r;
	struct str body = policy_error_body(ctx->arena, &ctx->err, (struct str){ctx->request_id, 32});
	ngx_buf_t *b = ngx_calloc_buf(r->pool);
	ngx_chain_t *out = ngx_alloc_chain_link(r->pool);

	if (!b || !out)
		return NGX_ERROR;
	b->pos = gateway_ngx(body).data;
	b->last = b->pos + body.n;
	b->memory = 1;
	b->last_buf = 1;
	b->last_in_chain = 1;
	out->buf = b;
	out->next = NULL;
	return next_body(r, out);
}

static ngx_int_t body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
	struct gateway_ctx *ctx = r == r->main ? GATEWAY_CTX(r) : NULL;
	bool last = false;

	if (!ctx || !ctx->replace || !in)
		return next_body(r, in);
	for (ngx_chain_t *cl = in; cl; cl = cl->next) {
		last |= cl->buf->last_buf;
		cl->buf->pos = cl->buf->last;
		cl->buf->file_pos = cl->buf->file_last;
	}
	return last ? send_replacement(ctx) : NGX_OK;
}

ngx_int_t gateway_filter_init(ngx_conf_t *cf)
{
	next_header = ngx_http_top_header_filter;
	ngx_http_top_header_filter = header_filter;
	next_body = ngx_http_top_body_filter;
	ngx_http_top_body_filter = body_filter;
	return NGX_OK;
}
