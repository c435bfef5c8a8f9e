/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

#include "base/clock.h"
#include "policy/answer.h"
#include "policy/uri.h"

#define DAY_MS INT64_C(86400000)
#define DEBUG_CALLS_PER_DAY 1000

static ngx_int_t refuse(struct gateway_ctx *ctx, const char *why)
{
	err_set_text(&ctx->err, ERR_APIG_0201_REQUEST_ERROR, "API request error: %s", why);
	return NGX_ERROR;
}

static struct str without_port(struct str host)
{
	size_t end = host.n && host.p[0] == '[' ? str_find(host, ']', 0) : 0;
	size_t colon = str_find(host, ':', end);

	host = str_sub(host, 0, colon);
	return host.n && host.p[host.n - 1] == '.' ? str_sub(host, 0, host.n - 1) : host;
}

/* What nginx lets through and no back end should see: HTTP/0.9 and versions nobody defined, CONNECT and TRACE, a
 * request line that names another host than the Host header. */
static ngx_int_t step_line(struct gateway_ctx *ctx)
{
	ngx_http_request_t *r = ctx->r;
	struct str server = gateway_str(r->headers_in.server);

	if (r->http_version != NGX_HTTP_VERSION_10 && r->http_version != NGX_HTTP_VERSION_11 &&
	    r->http_version != NGX_HTTP_VERSION_20)
		return refuse(ctx, "the HTTP version is not supported");
	if (r->request_length > GATEWAY_HEAD_MAX) {
		err_set(&ctx->err, ERR_APIG_0201_HEADERS_TOO_LARGE, NULL);
		return NGX_ERROR;
	}
	if (str_is(gateway_str(r->method_name), "CONNECT") || str_is(gateway_str(r->method_name), "TRACE"))
		return refuse(ctx, "the method is not supported");
	if (r->headers_in.host) {
		struct str host = without_port(gateway_str(r->headers_in.host->value));

		if (!str_eq_nocase(host, without_port(server)))
			return refuse(ctx, "the request line contradicts the Host header");
	}
	return NGX_OK;
}

static ngx_int_t step_path(struct gateway_ctx *ctx)
{
	struct gateway_loc_conf *conf = ngx_http_get_module_loc_conf(ctx->r, ngx_http_appia_module);
	struct str target = gateway_str(ctx->r->unparsed_uri);
	size_t mark = str_find(target, '?', 0);

	ctx->raw_path = str_sub(target, 0, mark);
	ctx->query = mark < target.n ? str_sub(target, mark + 1, target.n) : STR("");
	for (size_t i = 0; i < ctx->query.n; i++) {
		unsigned char c = (unsigned char)ctx->query.p[i];

		if (c <= ' ' || c == 0x7f || c == '#')
			return refuse(ctx, "the request target holds a forbidden character");
	}
	ctx->request.raw_path = conf->raw_path;
	return policy_path_canonical(ctx->arena, ctx->raw_path, conf->raw_path, &ctx->path, &ctx->err) ? NGX_ERROR
												       : NGX_OK;
}

#define LAYERS_MAX 10

/* An API whose back end is an API, and so on: the gateway counts in a header of its own. What clients send under its
 * name can only shorten the way. */
static ngx_int_t step_layer(struct gateway_ctx *ctx)
{
	long long above = 0;

	if (ctx->layer.p && !str_to_int(ctx->layer, 0, LAYERS_MAX - 1, &above)) {
		err_set(&ctx->err, ERR_APIG_0612, NULL);
		return NGX_ERROR;
	}
	ctx->layers = (int)above + 1;
	return NGX_OK;
}

/* The group behind the host name; unknown names and addresses belong to group DEFAULT. */
static ngx_int_t find_group(struct gateway_ctx *ctx, struct pub_view *view)
{
	char key[PUB_KEY_MAX + 1];
	struct pub_host host;
	struct str name = without_port(gateway_str(ctx->r->headers_in.server));
	struct str value = name.n ? pub_get(view, pub_key(key, "host", name, STR_NONE, STR_NONE)) : STR_NONE;

	if (!value.p)
		value = pub_get(view, STR("default"));
	if (!value.p) {
		err_set(&ctx->err, ERR_APIG_0101_NOT_PUBLISHED, NULL);
		return NGX_ERROR;
	}
	if (!pub_host_decode(value, &host)) {
		err_set(&ctx->err, ERR_APIG_0606, NULL);
		return NGX_ERROR;
	}
	if (host.verify_client && !gateway_tls_client_ok(ctx->r, name)) {
		err_set(&ctx->err, ERR_APIG_0205, NULL);
		return NGX_ERROR;
	}
	ctx->server_name = name;
	ctx->group_id = arena_str(ctx->arena, host.group_id);
	ctx->debugging = host.debugging;
	ctx->redirect = host.redirect;
	return NGX_OK;
}

static void keep_match(struct gateway_ctx *ctx, const struct router_match *match)
{
	struct arena *a = ctx->arena;

	ctx->path_params = match->n_params ? ARENA_ARRAY(a, struct sign_pair, match->n_params) : NULL;
	for (size_t i = 0; i < match->n_params; i++)
		ctx->path_params[i] = (struct sign_pair){arena_str(a, match->params[i].name), match->params[i].value};
	ctx->n_path_params = match->n_params;
	ctx->tail = match->tail; /* in the path */
}

/* api_id: "<env_id>/<api_id>" */
static void choose_counter(struct gateway_ctx *ctx, struct str api_id, struct str stage)
{
	struct str id = api_id;

	str_cut(&id, '/');
	ctx->counter = arena_join(ctx->arena, (struct str[]){STR("api"), id.p ? id : api_id, stage}, 3, STR(" "));
	gateway_shm_prefetch(ctx->counter);
}

static ngx_int_t find_api(struct gateway_ctx *ctx, struct pub_view *view)
{
	char key[PUB_KEY_MAX + 1];
	struct router_match match;
	struct str stage = ctx->stage.n ? ctx->stage : STR("RELEASE");
	struct str router = pub_get(view, pub_key(key, "route", ctx->group_id, stage, STR_NONE));
	struct str value = STR_NONE;

	if (router.p && router_match(router, gateway_str(ctx->r->method_name), ctx->path, &match) == ROUTER_FOUND) {
		value = pub_get(view, pub_key(key, "api", match.api_id, STR_NONE, STR_NONE));
		keep_match(ctx, &match);
		choose_counter(ctx, match.api_id, stage);
	}
	if (!value.p) {
		err_set(&ctx->err, ERR_APIG_0101_NOT_PUBLISHED, NULL);
		return NGX_ERROR;
	}
	/* The call may outlive the snapshot, so it works on a copy. */
	if (!pub_api_decode(arena_str(ctx->arena, value), ctx->arena, &ctx->api)) {
		err_set(&ctx->err, ERR_APIG_0606, NULL);
		return NGX_ERROR;
	}
	ctx->has_api = true;
	return NGX_OK;
}

static ngx_int_t step_route(struct gateway_ctx *ctx)
{
	struct pub_view *view = gateway_view(ctx->r->connection->log);

	if (!view) {
		err_set(&ctx->err, ERR_APIG_0606, NULL);
		return NGX_ERROR;
	}
	return find_group(ctx, view) == NGX_OK ? find_api(ctx, view) : NGX_ERROR;
}

static ngx_int_t redirect(struct gateway_ctx *ctx)
{
	struct gateway_loc_conf *conf = ngx_http_get_module_loc_conf(ctx->r, ngx_http_appia_module);
	ngx_table_elt_t *h = ngx_list_push(&ctx->r->headers_out.headers);
	struct str target = gateway_str(ctx->r->unparsed_uri);

	if (!h) {
		err_set(&ctx->err, ERR_APIG_0601, NULL);
		return NGX_ERROR;
	}
	struct str port = conf->https_port == 443 ? STR("") : arena_fmt(ctx->arena, ":%d", (int)conf->https_port);

	*h = (ngx_table_elt_t){.hash = 1};
	ngx_str_set(&h->key, "Location");
	h->value = gateway_ngx(arena_join(ctx->arena, (struct str[]){STR("https://"), ctx->server_name, port, target},
					  4, STR("")));
	ctx->rc = gateway_answer(ctx->r, NGX_HTTP_MOVED_PERMANENTLY, STR("text/plain"), STR(""));
	return NGX_DECLINED;
}

static ngx_int_t step_protocol(struct gateway_ctx *ctx)
{
	unsigned used = ctx->r->connection->ssl ? PUB_PROTO_HTTPS : PUB_PROTO_HTTP;

	if (ctx->redirect && used == PUB_PROTO_HTTP && (!ctx->api.protocols || ctx->api.protocols & PUB_PROTO_HTTPS))
		return redirect(ctx);
	if (ctx->api.protocols && !(ctx->api.protocols & used)) {
		err_set(&ctx->err, ERR_APIG_0607, "%s", ctx->api.protocols & PUB_PROTO_HTTPS ? "https" : "http");
		return NGX_ERROR;
	}
	if (ctx->debugging) {
		struct str key = arena_join(ctx->arena, (struct str[]){STR("group"), ctx->group_id}, 2, STR(" "));

		if (!gateway_shm_limit(key, clock_now_ms(), DAY_MS, DEBUG_CALLS_PER_DAY)) {
			err_set(&ctx->err, ERR_APIG_0308, NULL);
			return NGX_ERROR;
		}
	}
	return NGX_OK;
}

/* Up to here the published state is read in place; nothing behind it may look at it. */
static ngx_int_t step_leave(struct gateway_ctx *ctx)
{
	gateway_view_end();
	return NGX_OK;
}

static ngx_int_t (*const steps[])(struct gateway_ctx *ctx) = {
	step_line,
	gateway_step_headers,
	step_layer,
	step_path,
	step_route,
	step_protocol,
	gateway_step_authenticate,
	step_leave,
	gateway_step_body_signed,
	gateway_step_signature,
	gateway_step_authorise,
	gateway_step_validate,
	gateway_step_map,
	gateway_step_backend,
	gateway_step_body,
	gateway_step_forward,
};

enum outcome {
	SUSPENDED, /* somebody holds a reference and will resume the call */
	TAKEN, /* the upstream goes on with our reference */
	FINAL /* to be finalised with ctx->rc */
};

static enum outcome run(struct gateway_ctx *ctx)
{
	while (ctx->step < sizeof(steps) / sizeof(steps[0])) {
		/* Counted before: a step that suspends may be resumed before it returns. */
		ngx_int_t rc = steps[ctx->step++](ctx);

		if (rc == NGX_OK)
			continue;
		gateway_view_end();
		if (rc == NGX_AGAIN)
			return SUSPENDED;
		if (rc == NGX_DONE)
			return TAKEN;
		if (rc == NGX_ERROR)
			ctx->rc = gateway_answer_error(ctx);
		return FINAL;
	}
	return TAKEN;
}

/* Steps that suspend hold a reference to the request, taken by the reader of the body or gateway_resolve(). */
void gateway_resume(struct gateway_ctx *ctx)
{
	ngx_http_request_t *r = ctx->r;

	switch (run(ctx)) {
	case SUSPENDED:
		ngx_http_finalize_request(r, NGX_DONE);
		break;
	case FINAL:
		ngx_http_finalize_request(r, ctx->rc);
		break;
	case TAKEN:
		break;
	}
}

/* nginx's own refusals that are sent here by error_page: 494 keeps its status only so. */
static ngx_int_t answer_redirected(struct gateway_ctx *ctx)
{
	int status = (int)ctx->r->err_status;

	err_set(&ctx->err, policy_error_of_status(status), NULL);
	ctx->r->err_status = 0;
	ctx->r->keepalive = 0;
	return gateway_answer_error(ctx);
}

ngx_int_t gateway_handle(ngx_http_request_t *r)
{
	struct gateway_ctx *ctx;

	if (r->http_version < NGX_HTTP_VERSION_10)
		return NGX_HTTP_CLOSE;
	ctx = gateway_ctx_get(r);
	if (!ctx)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	if (r->error_page && r->err_status)
		return answer_redirected(ctx);
	return run(ctx) == FINAL ? ctx->rc : NGX_DONE;
}
