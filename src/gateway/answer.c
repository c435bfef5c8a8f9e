/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"
#include "policy/answer.h"

/* A client that waits for "100 Continue" has not sent its body: do not ask for it only to throw it away. */
static ngx_int_t discard_body(ngx_http_request_t *r)
{
	if (r->headers_in.expect && !r->expect_tested && !r->request_body) {
		r->expect_tested = 1;
		r->keepalive = 0;
		return NGX_OK;
	}
	return ngx_http_discard_request_body(r);
}

ngx_int_t gateway_answer(ngx_http_request_t *r, ngx_uint_t status, struct str type, struct str body)
{
	struct gateway_ctx *ctx = GATEWAY_CTX(r);
	ngx_int_t rc = discard_body(r);

	if (rc != NGX_OK)
		return rc;
	if (ctx)
		ctx->answered = true;
	r->headers_out.status = status;
	r->headers_out.content_type = gateway_ngx(type);
	r->headers_out.content_type_len = type.n;
	r->headers_out.content_type_lowcase = NULL;
	r->headers_out.content_length_n = (off_t)body.n;
	rc = ngx_http_send_header(r);
	if (rc == NGX_ERROR || rc > NGX_OK || r->header_only)
		return rc;
	ngx_buf_t *b = ngx_calloc_buf(r->pool);

	if (!b)
		return NGX_ERROR;
	b->pos = gateway_ngx(body).data;
	b->last = b->pos + body.n;
	b->memory = body.n > 0;
	b->last_buf = r == r->main;
	b->last_in_chain = 1;
	ngx_chain_t out = {.buf = b};

	return ngx_http_output_filter(r, &out);
}

ngx_int_t gateway_answer_error(struct gateway_ctx *ctx)
{
	int status = err_row(ctx->err.code)->status;

	/* The request line or headers were not understood to their end: nothing on this connection can be trusted. */
	if (status == 400 || status == 494)
		ctx->r->keepalive = ctx->r->keepalive && ctx->has_api;
	return gateway_answer(ctx->r, (ngx_uint_t)status, STR("application/json"),
			      policy_error_body(ctx->arena, &ctx->err, (struct str){ctx->request_id, 32}));
}
