/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

#include "base/enc.h"

#define SIGNED_BODY_MAX ((off_t)12 << 20)

static ngx_http_request_body_filter_pt next_filter;

/* Hashes a signed body as it arrives: one pass, whether it stays in memory or goes to a file. */
static ngx_int_t hash_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
	struct gateway_ctx *ctx = GATEWAY_CTX(r);

	if (ctx && ctx->hash) {
		for (ngx_chain_t *cl = in; cl; cl = cl->next) {
			if (!ngx_buf_in_memory(cl->buf) || cl->buf->last == cl->buf->pos)
				continue;
			sign_hash_add(ctx->hash, (struct str){(const char *)cl->buf->pos,
							      (size_t)(cl->buf->last - cl->buf->pos)});
		}
	}
	return next_filter(r, in);
}

ngx_int_t gateway_body_filter_init(ngx_conf_t *cf)
{
	next_filter = ngx_http_top_request_body_filter;
	ngx_http_top_request_body_filter = hash_filter;
	return NGX_OK;
}

static void body_there(ngx_http_request_t *r)
{
	gateway_resume(GATEWAY_CTX(r));
}

/* NGX_AGAIN: body_there() was or will be called. */
static ngx_int_t read_body(struct gateway_ctx *ctx)
{
	ngx_int_t rc = ngx_http_read_client_request_body(ctx->r, body_there);

	if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
		ctx->rc = rc;
		return NGX_DECLINED;
	}
	return NGX_AGAIN;
}

static bool has_body(const ngx_http_request_t *r)
{
	return r->headers_in.content_length_n > 0 || r->headers_in.chunked || r->stream;
}

ngx_int_t gateway_step_body_signed(struct gateway_ctx *ctx)
{
	if (!ctx->sign_secret.p || !has_body(ctx->r))
		return NGX_OK;
	if (ctx->r->headers_in.content_length_n > SIGNED_BODY_MAX) {
		err_set(&ctx->err, ERR_APIG_0201_BODY_TOO_LARGE, NULL);
		return NGX_ERROR;
	}
	ctx->hash = sign_hash_begin(ctx->arena);
	return read_body(ctx);
}

ngx_int_t gateway_step_body(struct gateway_ctx *ctx)
{
	return ctx->r->request_body ? NGX_OK : read_body(ctx);
}
