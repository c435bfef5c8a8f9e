/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

#define HEADERS_MAX 1000

static size_t count_headers(const ngx_http_request_t *r)
{
	size_t n = 0;

	for (const ngx_list_part_t *part = &r->headers_in.headers.part; part; part = part->next)
		n += part->nelts;
	return n;
}

static enum gateway_header class_of(const ngx_table_elt_t *h)
{
	struct str name = {(const char *)h->lowcase_key, h->key.len};
	void *found = ngx_hash_find(&gateway_worker.conf->header_classes, h->hash, h->lowcase_key, h->key.len);

	if (found)
		return (enum gateway_header)(uintptr_t)found;
	/* Names that are reserved for what the gateway says: nobody may speak for it. */
	if (str_starts(name, STR("x-appia-")) || str_starts(name, STR("x-apig-")))
		return HEADER_OURS;
	return HEADER_PLAIN;
}

/* Keeps the value of a header that decides something; it must come once. */
static bool keep(struct str *field, struct str value)
{
	if (field->p)
		return false;
	*field = value.p ? value : STR("");
	return true;
}

static bool note_header(struct gateway_ctx *ctx, enum gateway_header class, struct str value)
{
	struct str mode = STR_NONE;

	switch (class) {
	case HEADER_AUTHORIZATION:
		return keep(&ctx->authorization, value);
	case HEADER_TOKEN:
		return keep(&ctx->token, value);
	case HEADER_SECURITY_TOKEN:
		return keep(&ctx->security_token, value);
	case HEADER_LAYER:
		return keep(&ctx->layer, value);
	case HEADER_APPCODE:
		return keep(&ctx->appcode, value);
	case HEADER_STAGE:
		return keep(&ctx->stage, value);
	case HEADER_DATE:
		return keep(&ctx->sdk_date, value);
	case HEADER_PAYLOAD:
		return keep(&ctx->payload_hash, value);
	case HEADER_MODE:
		ctx->debug = str_eq_nocase(value, STR("debug"));
		return keep(&mode, value);
	case HEADER_CONNECTION:
		ctx->connection = ctx->connection.n
					  ? arena_join(ctx->arena, (struct str[]){ctx->connection, value}, 2, STR(","))
					  : value;
		return true;
	case HEADER_UPGRADE:
		ctx->websocket = str_eq_nocase(value, STR("websocket")) && ctx->r->http_version == NGX_HTTP_VERSION_11;
		return true;
	default:
		return true;
	}
}

/* Headers the client declares to belong to its connection are not forwarded. Ours are added later and so are safe. */
static void drop_named(struct gateway_ctx *ctx)
{
	struct str rest = ctx->connection;
	bool upgrade = false;

	while (rest.p) {
		struct str token = str_trim(str_cut(&rest, ','));

		if (str_eq_nocase(token, STR("upgrade")))
			upgrade = true;
		if (!token.n || str_eq_nocase(token, STR("keep-alive")) || str_eq_nocase(token, STR("close")))
			continue;
		for (size_t i = 0; i < ctx->n_headers; i++) {
			if (ctx->header_class[i] == HEADER_PLAIN && str_eq_nocase(ctx->headers[i].name, token))
				ctx->header_class[i] = HEADER_HOP;
		}
	}
	ctx->websocket = ctx->websocket && upgrade;
}

ngx_int_t gateway_step_headers(struct gateway_ctx *ctx)
{
	size_t n = count_headers(ctx->r), at = 0;

	if (n > HEADERS_MAX) {
		err_set(&ctx->err, ERR_APIG_0201_HEADERS_TOO_LARGE, NULL);
		return NGX_ERROR;
	}
	ctx->headers = ARENA_ARRAY(ctx->arena, struct sign_pair, n + 1);
	ctx->header_class = ARENA_ARRAY(ctx->arena, unsigned char, n + 1);
	for (ngx_list_part_t *part = &ctx->r->headers_in.headers.part; part; part = part->next) {
		ngx_table_elt_t *h = part->elts;

		for (size_t i = 0; i < part->nelts; i++, at++) {
			enum gateway_header class = class_of(&h[i]);

			ctx->headers[at] = (struct sign_pair){gateway_str(h[i].key), gateway_str(h[i].value)};
			ctx->header_class[at] = (unsigned char)class;
			if (class != HEADER_PLAIN && !note_header(ctx, class, gateway_str(h[i].value))) {
				err_set_text(&ctx->err, ERR_APIG_0201_REQUEST_ERROR,
					     "API request error: the header %.*s is repeated",
					     STR_FMT(ctx->headers[at].name));
				return NGX_ERROR;
			}
		}
	}
	ctx->n_headers = n;
	if (ctx->connection.n)
		drop_named(ctx);
	return NGX_OK;
}

static struct str server_addr(struct gateway_ctx *ctx)
{
	u_char *text = arena_alloc(ctx->arena, NGX_SOCKADDR_STRLEN);
	ngx_str_t s = {NGX_SOCKADDR_STRLEN, text};

	return ngx_connection_local_sockaddr(ctx->r->connection, &s, 0) == NGX_OK ? gateway_str(s) : STR_NONE;
}

/* Only APIs with system parameters pay for the values that cost something. */
static void fill_context(struct gateway_ctx *ctx, struct policy_context *c)
{
	ngx_http_request_t *r = ctx->r;

	*c = (struct policy_context){
		.source_ip = gateway_str(r->connection->addr_text),
		.stage = ctx->api.env_name,
		.api_id = ctx->api.id,
		.api_name = ctx->api.name,
		.app_id = ctx->app_id,
		.app_name = ctx->app_name,
		.request_id = {ctx->request_id, 32},
		.server_name = ctx->server_name,
		.provider_app_id = ctx->api.app_id,
		.req_path = ctx->path,
		.req_uri = gateway_str(r->unparsed_uri),
		.req_method = gateway_str(r->method_name),
	};
	for (size_t i = 0; i < ctx->api.n_backend_params; i++) {
		const struct pub_backend_param *param = &ctx->api.backend_params[i];

		if (param->origin != PUB_SYSTEM)
			continue;
		if (str_is(param->value, "$context.serverAddr"))
			c->server_addr = server_addr(ctx);
		if (str_is(param->value, "$context.handleTime"))
			c->handle_time = arena_fmt(
				ctx->arena, "%lu",
				(unsigned long)(ngx_current_msec - ((ngx_msec_t)r->start_sec * 1000 + r->start_msec)));
	}
}

ngx_int_t gateway_step_validate(struct gateway_ctx *ctx)
{
	struct policy_request *req = &ctx->request;

	req->method = gateway_str(ctx->r->method_name);
	req->path = ctx->path;
	req->query = ctx->query;
	req->tail = ctx->tail;
	req->headers = ctx->headers;
	req->n_headers = ctx->n_headers;
	req->path_params = ctx->path_params;
	req->n_path_params = ctx->n_path_params;
	if (!ctx->api.n_params)
		return NGX_OK;
	return policy_params_check(ctx->arena, gateway_worker.regexps, &ctx->api, req, &ctx->err) ? NGX_ERROR : NGX_OK;
}

ngx_int_t gateway_step_map(struct gateway_ctx *ctx)
{
	if (ctx->api.n_backend_params)
		fill_context(ctx, &ctx->request.context);
	return policy_map(ctx->arena, &ctx->api, &ctx->request, &ctx->target, &ctx->err) ? NGX_ERROR : NGX_OK;
}
