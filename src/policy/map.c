/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "policy/priv.h"

/* Bytes 1-31 and 127-255 and what the reference encodes in constants beside them, as what stays. */
#define CONSTANT_PATH_KEEP "!\"$%&'()*+,/:;<=@[\\]^`{|}"
#define CONSTANT_QUERY_KEEP "!$'()*,/:;@"

bool policy_header_hop(struct str name)
{
	static const char *const hop[] = {"connection",
					  "content-length",
					  "transfer-encoding",
					  "host",
					  "keep-alive",
					  "te",
					  "trailer",
					  "upgrade",
					  "expect",
					  "http2-settings",
					  "proxy-connection",
					  "proxy-authorization",
					  "proxy-authenticate"};

	for (size_t i = 0; i < ARRAY_LEN(hop); i++) {
		if (str_eq_nocase(name, str_of(hop[i])))
			return true;
	}
	return false;
}

unsigned policy_retries(struct str method, int64_t retries)
{
	if (retries < 0)
		return str_is(method, "POST") || str_is(method, "PATCH") ? 0 : 1;
	return retries > 10 ? 10 : (unsigned)retries;
}

struct mapping {
	struct policy__values values;
	const struct pub_api *api;
	const struct policy_request *req;
};

static bool same_name(enum pub_location location, struct str a, struct str b)
{
	return location == PUB_HEADER ? str_eq_nocase(a, b) : str_eq(a, b);
}

static const struct pub_param *declared(const struct pub_api *api, enum pub_location location, struct str name)
{
	for (size_t i = 0; i < api->n_params; i++) {
		const struct pub_param *param = &api->params[i];

		if (param->location == location && same_name(location, param->name, name))
			return param;
	}
	return NULL;
}

static const struct pub_backend_param *mapped(const struct pub_api *api, enum pub_location location, struct str name)
{
	for (size_t i = 0; i < api->n_backend_params; i++) {
		const struct pub_backend_param *param = &api->backend_params[i];

		if (param->location == location && same_name(location, param->name, name))
			return param;
	}
	return NULL;
}

/* Whether what the client sent under this name stays away from the back end. */
static bool dropped(const struct pub_api *api, enum pub_location location, struct str name)
{
	const struct pub_param *param = declared(api, location, name);

	return (param && !param->pass_through) || mapped(api, location, name);
}

/* The n-th value of a back-end parameter; STR_NONE: no more. */
static int param_value(struct mapping *m, const struct pub_backend_param *param, size_t n, struct str *ret,
		       struct err *err)
{
	if (param->origin == PUB_REQUEST) {
		int rc = policy__value(&m->values, param->from, param->value, n, ret, err);

		if (!rc && !ret->p && n == 0) {
			const struct pub_param *front = declared(m->api, param->from, param->value);

			*ret = front && front->def.n ? front->def : STR_NONE;
		}
		return rc;
	}
	*ret = STR_NONE;
	if (n == 0)
		*ret = param->origin == PUB_CONSTANT ? param->value
						     : policy_context_get(&m->req->context, param->value);
	return 0;
}

/* Whether the front path declares the parameter as "{name+}", whose value may hold slashes. */
static bool greedy(struct str path, struct str name)
{
	for (size_t i = 0; i + name.n + 3 <= path.n; i++) {
		if (path.p[i] == '{' && str_starts(str_sub(path, i + 1, path.n), name) &&
		    path.p[i + 1 + name.n] == '+' && path.p[i + 2 + name.n] == '}')
			return true;
	}
	return false;
}

static struct str encode_path_value(struct mapping *m, struct str name, struct str value)
{
	bool slashes = greedy(m->api->path, name);

	/* With kept escapes a path value is already encoded; what is not valid there was refused before. */
	return policy_encode(m->values.arena, value,
			     m->req->raw_path ? "/%!$&'()*+,;=:@"
			     : slashes        ? "/!$&'()*+,;=:@"
					      : "!$&'()*+,;=:@");
}

static int path_value(struct mapping *m, struct str name, struct str *ret, struct err *err)
{
	const struct pub_backend_param *param = mapped(m->api, PUB_PATH, name);
	struct str value;

	if (!param) {
		int rc = policy__value(&m->values, PUB_PATH, name, 0, &value, err);

		if (!rc && !value.p)
			rc = err_set_text(err, ERR_APIG_0106, "%s%.*s",
					  "Orchestration error: no value for the path parameter ", STR_FMT(name));
		if (!rc)
			*ret = encode_path_value(m, name, value);
		return rc;
	}
	int rc = param_value(m, param, 0, &value, err);

	if (rc)
		return rc;
	if (!value.p)
		return policy__refuse(err, "the %s parameter %.*s is missing",
				      param->from == PUB_HEADER  ? "header"
				      : param->from == PUB_QUERY ? "query"
								 : "path",
				      STR_FMT(param->value));
	if (param->origin == PUB_CONSTANT)
		*ret = policy_encode(m->values.arena, value, CONSTANT_PATH_KEEP);
	else if (param->origin == PUB_REQUEST && param->from == PUB_PATH)
		*ret = encode_path_value(m, param->value, value);
	else
		*ret = policy_encode(m->values.arena, value, "");
	return 0;
}

/* Bytes of a path template that are not meant to be there are encoded; its own escapes stay. */
static struct str encode_literal(struct mapping *m, struct str s)
{
	return policy_encode(m->values.arena, s, "/%!$&'()*+,;=:@");
}

#define PARTS_MAX 130

static int expand_path(struct mapping *m, struct str *ret, struct err *err)
{
	struct str template = m->api->backend_path, parts[PARTS_MAX];
	size_t n = 0, i = 0;

	while (i < template.n) {
		size_t open = str_find(template, '{', i), close = str_find(template, '}', open);

		if (n + 3 > PARTS_MAX)
			return err_set_text(err, ERR_APIG_0106, "%s",
					    "Orchestration error: the path has too many parameters");
		if (close == template.n)
			open = template.n;
		if (open > i)
			parts[n++] = encode_literal(m, str_sub(template, i, open));
		if (open == template.n)
			break;
		struct str name = str_sub(template, open + 1, close);

		if (name.n && name.p[name.n - 1] == '+')
			name.n--;
		int rc = path_value(m, name, &parts[n++], err);

		if (rc)
			return rc;
		i = close + 1;
	}
	if (m->api->prefix && m->req->tail.n) {
		struct str tail = m->req->tail;

		if (n && parts[n - 1].n && parts[n - 1].p[parts[n - 1].n - 1] == '/' && tail.p[0] == '/')
			tail = str_sub(tail, 1, tail.n);
		parts[n++] = m->req->raw_path ? tail : policy_path_encode(m->values.arena, tail);
	}
	*ret = arena_join(m->values.arena, parts, n, STR(""));
	return 0;
}

static int map_path(struct mapping *m, struct str *ret, struct err *err)
{
	const struct policy_request *req = m->req;

	if (!m->api->backend_path.n) {
		*ret = req->raw_path ? req->path : policy_path_encode(m->values.arena, req->path);
		return 0;
	}
	if (!m->api->prefix && str_find(m->api->backend_path, '{', 0) == m->api->backend_path.n) {
		*ret = encode_literal(m, m->api->backend_path);
		return 0;
	}
	struct str path;
	int rc = expand_path(m, &path, err);

	if (rc)
		return rc;
	if (policy_path_has_dots(path))
		return policy__refuse(err, "%s", "a parameter makes a dot segment in the path");
	*ret = path.n && path.p[0] == '/' ? path
					  : arena_join(m->values.arena, (struct str[]){STR("/"), path}, 2, STR(""));
	return 0;
}

#define QUERY_BYTES_MAX 65536

static int add_query(struct mapping *m, struct buf *out, const struct pub_backend_param *param, struct err *err)
{
	struct str value;

	for (size_t n = 0;; n++) {
		int rc = param_value(m, param, n, &value, err);

		if (rc)
			return rc;
		if (!value.p)
			return 0;
		if (out->n)
			buf_char(out, '&');
		buf_str(out, policy_encode(m->values.arena, param->name, ""));
		buf_char(out, '=');
		buf_str(out, policy_encode(m->values.arena, value,
					   param->origin == PUB_CONSTANT ? CONSTANT_QUERY_KEEP : ""));
	}
}

static bool query_untouched(const struct pub_api *api)
{
	for (size_t i = 0; i < api->n_params; i++) {
		if (api->params[i].location == PUB_QUERY && !api->params[i].pass_through)
			return false;
	}
	for (size_t i = 0; i < api->n_backend_params; i++) {
		if (api->backend_params[i].location == PUB_QUERY)
			return false;
	}
	return true;
}

static int map_query(struct mapping *m, struct str *ret, struct err *err)
{
	struct buf out;
	int rc;

	if (query_untouched(m->api)) {
		*ret = m->req->query;
		return 0;
	}
	rc = policy__query(&m->values, err);
	if (rc)
		return rc;
	buf_init(&out, QUERY_BYTES_MAX);
	for (size_t i = 0; i < m->values.n_query; i++) {
		if (dropped(m->api, PUB_QUERY, m->values.query[i].name))
			continue;
		if (out.n)
			buf_char(&out, '&');
		buf_str(&out, m->values.query[i].raw);
	}
	for (size_t i = 0; !rc && i < m->api->n_backend_params; i++) {
		if (m->api->backend_params[i].location == PUB_QUERY)
			rc = add_query(m, &out, &m->api->backend_params[i], err);
	}
	if (!rc && out.failed)
		rc = err_set(err, ERR_APIG_0201_URI_TOO_LONG, NULL);
	if (!rc)
		*ret = arena_str(m->values.arena, buf_view(&out));
	buf_done(&out);
	return rc;
}

static bool header_value_ok(struct str value)
{
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int add_headers(struct mapping *m, const struct pub_backend_param *param, struct sign_pair *headers, size_t max,
		       size_t *n_headers, struct err *err)
{
	struct str value;

	if (policy_header_hop(param->name) || !param->name.n)
		return 0;
	for (size_t n = 0;; n++) {
		int rc = param_value(m, param, n, &value, err);

		if (rc)
			return rc;
		if (!value.p)
			return 0;
		if (!header_value_ok(value) || *n_headers == max)
			return policy__refuse(err, "the value of %.*s cannot be sent as a header",
					      STR_FMT(param->value));
		headers[(*n_headers)++] = (struct sign_pair){param->name, value};
	}
}

#define HEADERS_MAX 200

static int map_headers(struct mapping *m, struct policy_target *target, struct err *err)
{
	const struct pub_api *api = m->api;
	const struct policy_request *req = m->req;
	struct arena *a = m->values.arena;
	bool *drop = ARENA_ARRAY(a, bool, req->n_headers + 1);
	struct sign_pair *headers = NULL;
	size_t n = 0;

	for (size_t i = 0; i < req->n_headers; i++)
		drop[i] = dropped(api, PUB_HEADER, req->headers[i].name);
	for (size_t i = 0; i < api->n_backend_params; i++) {
		if (api->backend_params[i].location != PUB_HEADER)
			continue;
		if (!headers)
			headers = ARENA_ARRAY(a, struct sign_pair, HEADERS_MAX);
		int rc = add_headers(m, &api->backend_params[i], headers, HEADERS_MAX, &n, err);

		if (rc)
			return rc;
	}
	target->drop = drop;
	target->headers = headers;
	target->n_headers = n;
	return 0;
}

int policy_map(struct arena *a, const struct pub_api *api, const struct policy_request *req, struct policy_target *ret,
	       struct err *err)
{
	struct mapping m = {.values = {.arena = a, .req = req}, .api = api, .req = req};
	struct policy_target target = {.method = api->backend_method};

	if (!target.method.n || str_is(target.method, "ANY"))
		target.method = req->method;
	int rc = map_path(&m, &target.path, err);

	if (!rc)
		rc = map_query(&m, &target.query, err);
	if (!rc && (api->n_params || api->n_backend_params))
		rc = map_headers(&m, &target, err);
	if (!rc)
		*ret = target;
	return rc;
}
