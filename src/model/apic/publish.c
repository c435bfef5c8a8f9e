/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/publish.h"

#include "base/mem.h"
#include "model/apic/api_priv.h"
#include "model/publish/publish.h"
#include "published/router.h"

#include <stdlib.h>

#define MAX_API_VALUE ((size_t)16 << 20)

int publish_say(struct model *m, const char *kind, struct str a, struct str b, struct str c)
{
	struct str key = c.p   ? arena_fmt(m->arena, "%.*s/%.*s/%.*s", STR_FMT(a), STR_FMT(b), STR_FMT(c))
			 : b.p ? arena_fmt(m->arena, "%.*s/%.*s", STR_FMT(a), STR_FMT(b))
			       : a;

	return store_outbox(m->tx, &m->err, str_of(kind), key);
}

static int say_all(struct model *m, const char *kind, const char *sql, struct str instance_id, struct str env_id,
		   bool key_first, struct str other)
{
	struct store_rows *rows;
	size_t n = 0, cap = 64;
	struct str *ids = ARENA_ARRAY(m->arena, struct str, cap);
	int rc = store_query(m->tx, &m->err, &rows, sql, "ss", instance_id, env_id);

	if (rc)
		return rc;
	while (store_next(rows)) {
		if (n == cap) {
			struct str *more = ARENA_ARRAY(m->arena, struct str, cap * 2);

			memcpy(more, ids, n * sizeof(*ids));
			ids = more;
			cap *= 2;
		}
		ids[n++] = store_str(rows, 0, m->arena);
	}
	rc = store_done(&rows, &m->err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = key_first ? publish_say(m, kind, ids[i], other, STR_NONE)
			       : publish_say(m, kind, other, ids[i], STR_NONE);
	return rc;
}

int publish_env_renamed(struct model *m, struct str instance_id, struct str env_id, struct str old_name)
{
	static const char groups[] = "SELECT DISTINCT group_id FROM api_publish WHERE instance_id = ? AND env_id = ?";
	struct str name;
	int rc = api__env_name(m, instance_id, env_id, &name);

	if (rc == 0)
		rc = say_all(m, "route", groups, instance_id, env_id, true, old_name);
	if (rc == 0)
		rc = say_all(m, "route", groups, instance_id, env_id, true, name);
	if (rc == 0)
		rc = say_all(m, "api", "SELECT api_id FROM api_publish WHERE instance_id = ? AND env_id = ?",
			     instance_id, env_id, false, env_id);
	return rc;
}

/* Splits "a/b/c"; absent parts are STR_NONE. */
static void split(struct str key, struct str *a, struct str *b, struct str *c)
{
	struct str rest = key;

	*a = str_cut(&rest, '/');
	*b = rest.p ? str_cut(&rest, '/') : STR_NONE;
	*c = rest;
}

static int put(struct model *m, struct pub_batch *batch, const char *kind, struct str key, struct buf *value)
{
	char text[PUB_KEY_MAX + 1];
	struct str full = pub_key(text, kind, key, STR_NONE, STR_NONE);
	int rc;

	if (value && value->failed)
		rc = err_set(&m->err, ERR_APPIA_0500, "published value of %s is too large", kind);
	else if (value)
		rc = pub_put(batch, full, buf_view(value), &m->err);
	else
		rc = pub_del(batch, full, &m->err);
	if (value)
		buf_done(value);
	return rc;
}

/* APIs. */

static enum pub_location location(struct str s)
{
	return str_is(s, "PATH") ? PUB_PATH : str_is(s, "QUERY") ? PUB_QUERY : PUB_HEADER;
}

static struct str number(struct arena *a, bool has, int64_t v)
{
	return has ? arena_fmt(a, "%lld", (long long)v) : STR_NONE;
}

static void fill_params(struct arena *a, const struct apic_api *def, struct pub_api *api)
{
	api->params = ARENA_ARRAY(a, struct pub_param, def->req_params.n + 1);
	api->n_params = def->req_params.n;
	for (size_t i = 0; i < def->req_params.n; i++) {
		const struct apic_req_param *p = &def->req_params.v[i];
		bool numeric = str_is(p->type, "NUMBER");

		api->params[i] = (struct pub_param){
			.name = p->name,
			.location = location(p->location),
			.number = numeric,
			.required = p->required == 1,
			.validate = p->valid_enable == 1,
			.pass_through = p->pass_through != 2,
			.has_min = numeric && p->has_min_num,
			.has_max = numeric && p->has_max_num,
			.min = number(a, numeric && p->has_min_num, p->min_num),
			.max = number(a, numeric && p->has_max_num, p->max_num),
			.min_len = !numeric && p->has_min_size ? p->min_size : 0,
			.max_len = !numeric && p->has_max_size ? p->max_size : 0,
			.regexp = str_empty(p->regular) ? STR_NONE : p->regular,
			.enums = str_empty(p->enumerations) ? STR_NONE : p->enumerations,
			.def = str_empty(p->default_value) ? STR_NONE : p->default_value,
		};
	}
}

static bool is_mapped(const struct apic_api *def, const struct apic_req_param *p)
{
	for (size_t i = 0; i < def->backend_params.n; i++) {
		const struct apic_backend_param *b = &def->backend_params.v[i];

		if (str_is(b->origin, "REQUEST") && str_eq(b->value, p->name))
			return true;
	}
	return false;
}

static void fill_backend_params(struct arena *a, const struct apic_api *def, struct pub_api *api)
{
	size_t n = 0;
	struct pub_backend_param *list =
		ARENA_ARRAY(a, struct pub_backend_param, def->backend_params.n + def->req_params.n + 1);

	for (size_t i = 0; i < def->backend_params.n; i++) {
		const struct apic_backend_param *b = &def->backend_params.v[i];
		struct pub_backend_param *out = &list[n++];

		*out = (struct pub_backend_param){
			.name = b->name,
			.location = location(b->location),
			.origin = str_is(b->origin, "REQUEST")    ? PUB_REQUEST
				  : str_is(b->origin, "CONSTANT") ? PUB_CONSTANT
								  : PUB_SYSTEM,
			.value = b->value,
		};
		for (size_t k = 0; k < def->req_params.n; k++)
			if (str_eq(def->req_params.v[k].id, b->req_param_id))
				out->from = location(def->req_params.v[k].location);
	}
	/* A custom back end knows its parameters by name: one from the path reaches it as a query parameter. */
	for (size_t i = 0; api->backend == PUB_BACKEND_LIVEDATA && i < def->req_params.n; i++) {
		const struct apic_req_param *p = &def->req_params.v[i];

		if (str_is(p->location, "PATH") && !is_mapped(def, p))
			list[n++] =
				(struct pub_backend_param){.name = p->name, .location = PUB_QUERY, .value = p->name};
	}
	api->backend_params = list;
	api->n_backend_params = n;
}

static void fill_mock_headers(struct arena *a, struct str text, struct pub_api *api)
{
	const struct json *list;
	char why[64];

	if (str_empty(text) || !json_parse(a, text, &list, why, sizeof(why)))
		return;
	api->n_mock_headers = json_len(list);
	api->mock_headers = ARENA_ARRAY(a, struct pub_header, api->n_mock_headers + 1);
	for (size_t i = 0; i < api->n_mock_headers; i++) {
		api->mock_headers[i].name = json_str(json_get(json_at(list, i), "key"));
		api->mock_headers[i].value = json_str(json_get(json_at(list, i), "value"));
	}
}

static void fill_backend(struct arena *a, const struct apic_api *def, struct str ld_api_id, struct pub_api *api)
{
	const struct apic_backend_api *b = def->backend_api;
	long long retries = -1;

	api->backend = PUB_BACKEND_MOCK;
	if (!b && !def->mock_info)
		return; /* a damaged document: store_done() says so */
	if (!b) {
		api->mock_body = def->mock_info->result_content;
		api->mock_status = def->mock_info->has_status_code ? def->mock_info->status_code : 200;
		fill_mock_headers(a, def->mock_info->header, api);
		return;
	}
	api->backend = str_empty(ld_api_id) ? PUB_BACKEND_HTTP : PUB_BACKEND_LIVEDATA;
	api->livedata_id = str_empty(ld_api_id) ? STR_NONE : ld_api_id;
	api->tls = str_is(b->req_protocol, "HTTPS");
	/* Back ends are private services, mostly with certificates of their own. */
	api->tls_verify = false;
	api->backend_method = b->req_method;
	api->timeout_ms = b->timeout;
	str_to_int(b->retry_count, -1, 10, &retries);
	api->retries = retries;
}

static enum pub_auth auth_of(struct str type)
{
	return str_is(type, "APP")    ? PUB_AUTH_APP
	       : str_is(type, "IAM")  ? PUB_AUTH_IAM
	       : str_is(type, "NONE") ? PUB_AUTH_NONE
				      : PUB_AUTH_AUTHORIZER;
}

static void fill_api(struct arena *a, const struct apic_api *def, struct pub_api *api)
{
	api->id = def->id;
	api->name = def->name;
	api->app_id = def->roma_app_id;
	api->auth = auth_of(def->auth_type);
	api->app_code = def->auth_opt && str_is(def->auth_opt->app_code_auth_type, "HEADER");
	api->cors = def->cors;
	api->prefix = str_is(def->match_mode, "SWA");
	api->protocols = str_is(def->req_protocol, "HTTP")    ? PUB_PROTO_HTTP
			 : str_is(def->req_protocol, "HTTPS") ? PUB_PROTO_HTTPS
							      : PUB_PROTO_HTTP | PUB_PROTO_HTTPS;
	api->method = def->req_method;
	fill_backend(a, def, def->ld_api_id, api);
	fill_params(a, def, api);
	fill_backend_params(a, def, api);
}

/* What serves_sql and debug_sql select. *ret_found: there is such a row. */
static int read_api(struct model *m, const char *sql, struct str a, struct str b, struct pub_api *api, bool *ret_found)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, sql, b.p ? "ss" : "s", a, b);

	if (rc)
		return rc;
	*ret_found = store_next(rows);
	if (*ret_found) {
		api->group_id = store_str(rows, 0, m->arena);
		api->env_id = store_str(rows, 1, m->arena);
		api->env_name = store_str(rows, 2, m->arena);
		api->instance_id = store_str(rows, 3, m->arena);
		api->project_id = store_str(rows, 4, m->arena);
		api->version_id = store_str(rows, 5, m->arena);
		api->path = store_str(rows, 6, m->arena);
		api->address = store_str(rows, 7, m->arena);
		api->backend_path = store_str(rows, 8, m->arena);
		fill_api(m->arena, store_doc(rows, 9, &doc_apic_api, m->arena), api);
	}
	return store_done(&rows, &m->err);
}

/* The definition that an environment serves. */
static const char serves_sql[] =
	"SELECT p.group_id, p.env_id, e.name, p.instance_id, i.project_id, p.version_id, p.path, v.backend_address,"
	" v.backend_path, v.doc FROM api_publish p JOIN api_version v ON v.id = p.version_id"
	" JOIN instance i ON i.id = p.instance_id"
	" JOIN api_env e ON e.instance_id = p.instance_id AND e.id = p.env_id WHERE p.api_id = ? AND p.env_id = ?";

static int project_api(struct model *m, struct pub_batch *batch, struct str key)
{
	struct pub_api api = {.retries = -1};
	struct str env_id, api_id, none;
	struct buf value;
	bool found;

	split(key, &env_id, &api_id, &none);
	int rc = read_api(m, serves_sql, api_id, env_id, &api, &found);

	if (rc || !found)
		return rc ? rc : put(m, batch, "api", key, NULL);
	buf_init(&value, MAX_API_VALUE);
	pub_api_encode(&value, &api);
	return put(m, batch, "api", key, &value);
}

const struct publish_kind publish_api = {
	.kind = "api",
	.project = project_api,
	.all = "SELECT env_id || '/' || api_id FROM api_publish ORDER BY api_id, env_id",
};

/* What is debugged has no version. */
static const char debug_sql[] =
	"SELECT d.group_id, d.id, d.env_name, a.instance_id, i.project_id, NULL, d.path, d.backend_address,"
	" d.backend_path, d.doc FROM api_debug d JOIN api a ON a.id = d.api_id"
	" JOIN instance i ON i.id = a.instance_id WHERE d.id = ?";

static int project_debug(struct model *m, struct pub_batch *batch, struct str key)
{
	struct pub_api api = {.retries = -1};
	struct str stage, group_id, api_id;
	struct buf value, router;
	bool found;

	split(key, &stage, &group_id, &api_id);
	struct str api_key = arena_fmt(m->arena, "%.*s/%.*s", STR_FMT(stage), STR_FMT(api_id));
	struct str route_key = arena_fmt(m->arena, "%.*s/%.*s", STR_FMT(group_id), STR_FMT(stage));
	int rc = read_api(m, debug_sql, stage, STR_NONE, &api, &found);

	if (rc)
		return rc;
	/* It is answered to nobody who does not know the environment's name, and needs no other credential. */
	api.auth = PUB_AUTH_NONE;
	api.app_code = false;
	if (!found) {
		rc = put(m, batch, "api", api_key, NULL);
		return rc ? rc : put(m, batch, "route", route_key, NULL);
	}
	struct router_route route = {api.method, api.path, api.prefix, api_key};

	buf_init(&value, MAX_API_VALUE);
	pub_api_encode(&value, &api);
	rc = put(m, batch, "api", api_key, &value);
	buf_init(&router, API_MAX_ROUTER);
	if (rc == 0)
		rc = router_compile(&route, 1, &router, &m->err);
	if (rc == 0)
		return put(m, batch, "route", route_key, &router);
	buf_done(&router);
	return rc;
}

const struct publish_kind publish_debug = {
	.kind = "debug",
	.project = project_debug,
	.all = "SELECT id || '/' || group_id || '/' || api_id FROM api_debug ORDER BY id",
};

/* Routers. */

/* The routes and their texts are freed at once: a group may have many thousands. */
static int read_routes(struct model *m, struct arena *a, struct str group_id, struct str env_name,
		       struct router_route **ret, size_t *ret_n)
{
	struct store_rows *rows;
	size_t n = 0, cap = 0;
	struct router_route *list = NULL;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT p.req_method, p.path, p.match_mode, p.env_id || '/' || p.api_id FROM api_group g"
			     " JOIN api_env e ON e.instance_id = g.instance_id JOIN api_publish p ON p.group_id = g.id"
			     " AND p.env_id = e.id WHERE g.id = ? AND e.name = ?",
			     "ss", group_id, env_name);

	if (rc)
		return rc;
	while (store_next(rows)) {
		if (n == cap) {
			cap = cap ? cap * 2 : 256;
			list = mem_realloc(list, cap * sizeof(*list));
		}
		list[n].method = store_str(rows, 0, a);
		list[n].path = store_str(rows, 1, a);
		list[n].prefix = str_is(store_str(rows, 2, a), "SWA");
		list[n++].api_id = store_str(rows, 3, a);
	}
	*ret = list;
	*ret_n = n;
	return store_done(&rows, &m->err);
}

int api__routes(struct model *m, struct str group_id, struct str env_name, struct buf *out, size_t *ret_n)
{
	struct arena *a = arena_new((size_t)256 << 20);
	struct router_route *routes = NULL;
	struct err err = {0};
	int rc = read_routes(m, a, group_id, env_name, &routes, ret_n);

	if (rc == 0 && *ret_n && router_compile(routes, *ret_n, out, &err))
		rc = err_set_text(&m->err, err.code == ERR_APPIA_0409 ? ERR_APIG_3301 : ERR_APIG_2011, "%s", err.text);
	free(routes);
	arena_free(a);
	return rc;
}

static int project_route(struct model *m, struct pub_batch *batch, struct str key)
{
	struct str group_id, env_name, none;
	struct buf value;
	size_t n = 0;

	split(key, &group_id, &env_name, &none);
	buf_init(&value, API_MAX_ROUTER);
	int rc = api__routes(m, group_id, env_name, &value, &n);

	if (rc || n == 0) {
		buf_done(&value);
		return rc ? rc : put(m, batch, "route", key, NULL);
	}
	return put(m, batch, "route", key, &value);
}

const struct publish_kind publish_route = {
	.kind = "route",
	.project = project_route,
	.all = "SELECT DISTINCT p.group_id || '/' || e.name FROM api_publish p JOIN api_env e"
	       " ON e.instance_id = p.instance_id AND e.id = p.env_id ORDER BY 1",
};

/* Hosts. */

static int find_host(struct model *m, const char *sql, struct str key, struct pub_host *ret, bool *ret_found)
{
	struct store_rows *rows;
	int rc =
		key.p ? store_query(m->tx, &m->err, &rows, sql, "s", key) : store_query(m->tx, &m->err, &rows, sql, "");

	if (rc)
		return rc;
	*ret_found = store_next(rows);
	if (*ret_found) {
		ret->group_id = store_str(rows, 0, m->arena);
		ret->instance_id = store_str(rows, 1, m->arena);
		ret->redirect = store_int(rows, 2) == 1;
		ret->verify_client = store_int(rows, 3) == 1;
	}
	return store_done(&rows, &m->err);
}

#define MAX_CERTIFICATES 8
#define MAX_CERT_VALUE ((size_t)1 << 20)

static unsigned tls_version(struct str name)
{
	return str_is(name, "TLSv1.3") ? 0x0304 : str_is(name, "TLSv1.2") ? 0x0303 : 0x0302;
}

/* Clients are verified by all the roots that came with the name's certificates. */
static void join_roots(struct model *m, struct str roots, struct pub_cert *cert)
{
	cert->client_ca =
		cert->client_ca.n ? arena_join(m->arena, (struct str[]){cert->client_ca, roots}, 2, STR("\n")) : roots;
}

/* n_keys stays 0 where there is no certificate: the name is served with the gateway's own. */
static int read_cert(struct model *m, struct str host, struct pub_cert *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT c.content, c.key_sealed, c.trusted_root_ca, d.min_ssl_version,"
			     " d.verified_client_certificate FROM url_domain d"
			     " JOIN url_domain_certificate l ON l.domain_id = d.id"
			     " JOIN certificate c ON c.id = l.certificate_id WHERE d.domain = ?"
			     " ORDER BY c.created_ms, c.id",
			     "s", host);

	if (rc)
		return rc;
	ret->keys = ARENA_ARRAY(m->arena, struct pub_cert_key, MAX_CERTIFICATES);
	while (ret->n_keys < MAX_CERTIFICATES && store_next(rows)) {
		struct pub_cert_key *key = &ret->keys[ret->n_keys++];

		key->chain = store_str(rows, 0, m->arena);
		key->sealed_key = store_str(rows, 1, m->arena);
		ret->min_version = tls_version(store_str(rows, 3, m->arena));
		if (store_int(rows, 4) == 1 && !store_null(rows, 2))
			join_roots(m, store_str(rows, 2, m->arena), ret);
	}
	return store_done(&rows, &m->err);
}

static int project_cert(struct model *m, struct pub_batch *batch, struct str host)
{
	struct pub_cert cert = {0};
	struct buf value;
	int rc = read_cert(m, host, &cert);

	if (rc || !cert.n_keys)
		return rc ? rc : put(m, batch, "cert", host, NULL);
	buf_init(&value, MAX_CERT_VALUE);
	pub_cert_encode(&value, &cert);
	return put(m, batch, "cert", host, &value);
}

static int project_host(struct model *m, struct pub_batch *batch, struct str key)
{
	struct pub_host host = {.debugging = true};
	struct buf value;
	bool found;
	int rc = find_host(m, "SELECT id, instance_id, 0, 0 FROM api_group WHERE sl_domain = ?", key, &host, &found);

	if (rc == 0 && !found) {
		host.debugging = false;
		rc = find_host(m,
			       "SELECT group_id, instance_id, http_redirect_to_https, verified_client_certificate"
			       " FROM url_domain WHERE domain = ?",
			       key, &host, &found);
	}
	if (rc == 0)
		rc = project_cert(m, batch, key);
	if (rc || !found)
		return rc ? rc : put(m, batch, "host", key, NULL);
	buf_init(&value, 4096);
	pub_host_encode(&value, &host);
	return put(m, batch, "host", key, &value);
}

const struct publish_kind publish_host = {
	.kind = "host",
	.project = project_host,
	.all = "SELECT sl_domain FROM api_group UNION SELECT domain FROM url_domain ORDER BY 1",
};

/* Calls by address go to the first instance's group DEFAULT. */
static int project_group(struct model *m, struct pub_batch *batch, struct str key)
{
	struct pub_host host = {.by_ip = true};
	struct buf value;
	bool found;
	int rc = find_host(
		m, "SELECT id, instance_id, 0, 0 FROM api_group WHERE is_default = 1 ORDER BY created_ms, id LIMIT 1",
		STR_NONE, &host, &found);

	if (rc || !found)
		return rc ? rc : pub_del(batch, STR("default"), &m->err);
	buf_init(&value, 4096);
	pub_host_encode(&value, &host);
	rc = pub_put(batch, STR("default"), buf_view(&value), &m->err);
	buf_done(&value);
	return rc;
}

const struct publish_kind publish_group = {
	.kind = "group",
	.project = project_group,
	.all = "SELECT id FROM api_group WHERE is_default = 1 ORDER BY created_ms, id LIMIT 1",
};

/* Rights and AppCodes. */

static int project_app_auth(struct model *m, struct pub_batch *batch, struct str key)
{
	struct str env_id, api_id, app_id;
	struct buf value;
	int64_t one;
	bool found;

	split(key, &env_id, &api_id, &app_id);
	int rc = store_get_int(m->tx, &m->err, &one, &found,
			       "SELECT 1 FROM app_auth WHERE env_id = ? AND api_id = ? AND app_id = ?", "sss", env_id,
			       api_id, app_id);

	if (rc || !found)
		return rc ? rc : put(m, batch, "auth", key, NULL);
	buf_init(&value, 16);
	return put(m, batch, "auth", key, &value);
}

const struct publish_kind publish_app_auth = {
	.kind = "app_auth",
	.project = project_app_auth,
	.all = "SELECT env_id || '/' || api_id || '/' || app_id FROM app_auth ORDER BY api_id, env_id, app_id",
};

static int project_app_code(struct model *m, struct pub_batch *batch, struct str key)
{
	struct str app_id;
	struct buf value;
	bool found;
	int rc = store_get_str(m->tx, &m->err, m->arena, &app_id, &found,
			       "SELECT app_id FROM app_code WHERE code_hash = ?", "s", key);

	if (rc || !found)
		return rc ? rc : put(m, batch, "appcode", key, NULL);
	buf_init(&value, 256);
	buf_str(&value, app_id);
	return put(m, batch, "appcode", key, &value);
}

const struct publish_kind publish_app_code = {
	.kind = "app_code",
	.project = project_app_code,
	.all = "SELECT code_hash FROM app_code ORDER BY code_hash",
};
