/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

static void count(struct gateway_cell *cell, enum gateway_counter which, uint64_t n)
{
	atomic_fetch_add_explicit(&cell->counts[which], n, memory_order_relaxed);
}

static uint64_t elapsed_ms(const ngx_http_request_t *r)
{
	ngx_time_t *tp = ngx_timeofday();
	int64_t ms = (int64_t)(tp->sec - r->start_sec) * 1000 + ((int64_t)tp->msec - (int64_t)r->start_msec);

	return ms > 0 ? (uint64_t)ms : 0;
}

static uint64_t backend_ms(const ngx_http_request_t *r)
{
	uint64_t sum = 0;

	if (!r->upstream_states)
		return 0;
	ngx_http_upstream_state_t *states = r->upstream_states->elts;

	for (size_t i = 0; i < r->upstream_states->nelts; i++) {
		if (states[i].response_time != (ngx_msec_t)-1)
			sum += states[i].response_time;
	}
	return sum;
}

ngx_int_t gateway_log(ngx_http_request_t *r)
{
	struct gateway_ctx *ctx = GATEWAY_CTX(r);

	if (!ctx || r != r->main || ctx->counted)
		return NGX_OK;
	ctx->counted = true;
	struct str key = ctx->has_api ? ctx->counter : STR("none");
	ngx_uint_t status = r->err_status ? r->err_status : r->headers_out.status;

	struct gateway_cell *cell = gateway_shm_cell(key);

	if (!cell)
		return NGX_OK;
	count(cell, COUNT_REQUESTS, 1);
	if (status >= 200 && status < 600)
		count(cell, (enum gateway_counter)(COUNT_2XX + status / 100 - 2), 1);
	count(cell, COUNT_BYTES_IN, (uint64_t)r->request_length);
	count(cell, COUNT_BYTES_OUT, (uint64_t)r->connection->sent);
	count(cell, COUNT_MS, elapsed_ms(r));
	count(cell, COUNT_BACKEND_MS, backend_ms(r));
	return NGX_OK;
}

enum variable { VAR_REQUEST_ID, VAR_API_ID, VAR_API_NAME, VAR_APP_ID, VAR_USER_ID, VAR_GROUP_ID, VAR_STAGE, VAR_ERROR };

static struct str value_of(const struct gateway_ctx *ctx, enum variable which)
{
	switch (which) {
	case VAR_REQUEST_ID:
		return (struct str){ctx->request_id, 32};
	case VAR_API_ID:
		return ctx->api.id;
	case VAR_API_NAME:
		return ctx->api.name;
	case VAR_APP_ID:
		return ctx->app_id;
	case VAR_USER_ID:
		return ctx->user_id;
	case VAR_GROUP_ID:
		return ctx->group_id;
	case VAR_STAGE:
		return ctx->api.env_name;
	case VAR_ERROR:
		return ctx->err.code ? str_of(err_row(ctx->err.code)->code) : STR_NONE;
	}
	return STR_NONE;
}

static ngx_int_t get_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data)
{
	struct gateway_ctx *ctx = GATEWAY_CTX(r->main);
	struct str s = ctx ? value_of(ctx, (enum variable)data) : STR_NONE;

	if (!s.n) {
		v->not_found = 1;
		return NGX_OK;
	}
	v->len = (unsigned)s.n;
	v->data = gateway_ngx(s).data;
	v->valid = 1;
	v->no_cacheable = 1;
	v->not_found = 0;
	return NGX_OK;
}

ngx_int_t gateway_variables_add(ngx_conf_t *cf)
{
	static ngx_str_t names[] = {
		[VAR_REQUEST_ID] = ngx_string("appia_request_id"), [VAR_API_ID] = ngx_string("appia_api_id"),
		[VAR_API_NAME] = ngx_string("appia_api_name"),     [VAR_APP_ID] = ngx_string("appia_app_id"),
		[VAR_USER_ID] = ngx_string("appia_user_id"),       [VAR_GROUP_ID] = ngx_string("appia_group_id"),
		[VAR_STAGE] = ngx_string("appia_stage"),           [VAR_ERROR] = ngx_string("appia_error"),
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ngx_http_variable_t *var = ngx_http_add_variable(cf, &names[i], NGX_HTTP_VAR_NOCACHEABLE);

		if (!var)
			return NGX_ERROR;
		var->get_handler = get_variable;
		var->data = i;
	}
	return NGX_OK;
}
