/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/api_param.h"
#include "model/apic/limits.h"

#include "base/mem.h"
#include "json/json.h"

#define MAX_POLICIES 5
#define MAX_CONDITIONS 5
#define MAX_TIMEOUT_MS 60000
#define MAX_ADDRESS 255
#define MAX_MOCK_BODY ((size_t)1 << 20)
#define MAX_MOCK_HEADERS 32

bool api__is_method(struct str method)
{
	static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "ANY"};

	for (size_t i = 0; i < ARRAY_LEN(methods); i++)
		if (str_is(method, methods[i]))
			return true;
	return false;
}

static int check_method(struct model *m, struct str method)
{
	if (!api__is_method(method))
		return api__invalid(m, "req_method", "must be GET, POST, PUT, DELETE, HEAD, PATCH, OPTIONS or ANY");
	return 0;
}

static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool is_host(struct str host)
{
	struct str rest = host;

	if (str_empty(host))
		return false;
	while (rest.p) {
		struct str label = str_cut(&rest, '.');

		if (label.n == 0 || label.n > 63)
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!is_host_char(label.p[i]))
				return false;
	}
	return true;
}

static bool is_v6(struct str s)
{
	if (s.n < 2 || s.n > 45)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("0123456789abcdefABCDEF:.", s.p[i]))
			return false;
	return str_contains(s, STR(":"));
}

int api__check_address(struct model *m, struct str address)
{
	struct str host = address, port = STR_NONE;
	long long number;
	bool ok;

	if (address.n && address.p[0] == '[') {
		size_t end = str_find(address, ']', 0);

		ok = end < address.n && is_v6(str_sub(address, 1, end));
		if (ok && end + 1 < address.n) {
			ok = address.p[end + 1] == ':';
			port = str_sub(address, end + 2 <= address.n ? end + 2 : address.n, address.n);
		}
	} else {
		size_t colon = str_find(address, ':', 0);

		if (colon < address.n) {
			host = str_sub(address, 0, colon);
			port = str_sub(address, colon + 1, address.n);
		}
		ok = is_host(host);
	}
	if (!ok || address.n > MAX_ADDRESS)
		return api__invalid(m, "url_domain", "must be a host name or address, with an optional port");
	if (port.p && !str_to_int(port, 1, 65535, &number))
		return err_set(&m->err, ERR_APIG_2025, "parameterName:url_domain");
	return 0;
}

static int check_retry(struct model *m, struct str *retry)
{
	long long n;

	if (str_empty(*retry))
		*retry = STR("-1");
	if (!str_to_int(*retry, -1, 10, &n))
		return api__invalid(m, "retry_count", "must be -1..10");
	return 0;
}

/* What HTTP back ends and HTTP policies have in common. */
struct http_backend {
	struct str address, protocol, method, uri;
	int64_t timeout_ms;
	bool client_ssl;
	int64_t vpc_channel_status;
	const struct apic_vpc_info *vpc;
};

static int check_http(struct model *m, const struct http_backend *b, struct api_path *ret_path)
{
	int rc = check_method(m, b->method);

	if (rc)
		return rc;
	if (!str_is(b->protocol, "HTTP") && !str_is(b->protocol, "HTTPS"))
		return api__invalid(m, "req_protocol", "must be HTTP or HTTPS");
	if (b->timeout_ms > MAX_TIMEOUT_MS)
		return err_set(&m->err, ERR_APIG_2003, "parameterName:timeout, maximum:%d", MAX_TIMEOUT_MS);
	if (b->client_ssl && str_is(b->protocol, "HTTP"))
		return err_set(&m->err, ERR_APIG_3717, NULL);
	if (b->vpc_channel_status == 1)
		return b->vpc ? err_set(&m->err, ERR_APIG_3023, "id:%.*s", STR_FMT(b->vpc->vpc_channel_id))
			      : api__missing(m, "vpc_channel_info");
	if (str_empty(b->address))
		return api__missing(m, "url_domain");
	if (b->address.n > MAX_ADDRESS)
		return err_set(&m->err, ERR_APIG_2006, "parameterName:url_domain");
	rc = str_contains(b->address, STR("#")) ? 0 : api__check_address(m, b->address);
	return rc ? rc : api__path_parse(m, "req_uri", b->uri, false, true, ret_path);
}

static int check_backend_http(struct model *m, struct apic_api *def, struct api_path *ret_path)
{
	struct apic_backend_api *b = def->backend_api;

	if (!b)
		return api__missing(m, "backend_api");
	if (!b->has_vpc_channel_status)
		SET(b, vpc_channel_status, 2);
	if (!b->has_enable_client_ssl)
		SET(b, enable_client_ssl, false);
	SET(b, status, 1);
	struct http_backend http = {b->url_domain, b->req_protocol,      b->req_method,         b->req_uri,
				    b->timeout,    b->enable_client_ssl, b->vpc_channel_status, b->vpc_channel_info};
	int rc = check_retry(m, &b->retry_count);

	return rc ? rc : check_http(m, &http, ret_path);
}

static int check_mock_status(struct model *m, int64_t status)
{
	/* clang-format off */
	static const int statuses[] = {
		200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 304, 305, 306, 307, 400, 401, 402, 403, 404, 405,
		406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 450, 451, 500, 501, 502, 503, 504, 505,
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
		if (statuses[i] == status)
			return 0;
	return err_set(&m->err, ERR_APIG_2004, "parameterName:status_code");
}

static bool is_header_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_host_char(s.p[i]) || s.p[i] == '_' || (i == 0 && s.p[i] == '-'))
			return false;
	return s.n >= 1 && s.n <= 64;
}

/* A JSON text: [{"key": "...", "value": "...", "remark": "..."}]. */
static int check_mock_header(struct model *m, struct str text)
{
	const struct json *list;
	char why[96];

	if (str_empty(text))
		return 0;
	if (!json_parse(m->arena, text, &list, why, sizeof(why)) || json_kind(list) != JSON_ARRAY)
		return api__invalid(m, "header", "must be a JSON array of {key, value, remark}");
	if (json_len(list) > MAX_MOCK_HEADERS)
		return api__invalid(m, "header", "more than %d headers", MAX_MOCK_HEADERS);
	for (size_t i = 0; i < json_len(list); i++) {
		struct str value = json_str(json_get(json_at(list, i), "value"));

		if (!is_header_name(json_str(json_get(json_at(list, i), "key"))))
			return api__invalid(m, "header", "key: 1..64 letters, digits and hyphens");
		if (value.n == 0 || value.n > 10240)
			return api__invalid(m, "header", "value: 1..10240 bytes");
		for (size_t k = 0; k < value.n; k++)
			if ((unsigned char)value.p[k] < 0x20 || value.p[k] == 0x7f)
				return api__invalid(m, "header", "value: control character");
		if (json_str(json_get(json_at(list, i), "remark")).n > 2048)
			return api__invalid(m, "header", "remark: longer than 2048 bytes");
	}
	return 0;
}

static int check_mock(struct model *m, struct str body, bool has_status, int64_t status, struct str header)
{
	int rc = has_status ? check_mock_status(m, status) : 0;

	if (rc)
		return rc;
	if (body.n > MAX_MOCK_BODY)
		return err_set(&m->err, ERR_APIG_2006, "parameterName:result_content");
	return check_mock_header(m, header);
}

static int check_backend_mock(struct model *m, struct apic_api *def)
{
	struct apic_api_mock *mock = def->mock_info;

	if (!mock)
		return api__missing(m, "mock_info");
	if (!mock->result_content.p)
		mock->result_content = STR("");
	SET(mock, status, 1);
	return check_mock(m, mock->result_content, mock->has_status_code, mock->status_code, mock->header);
}

static int check_condition(struct model *m, const struct apic_api *def, struct apic_condition *c)
{
	bool typed = str_is(c->condition_origin, "param") || str_is(c->condition_origin, "cookie") ||
		     str_is(c->condition_origin, "frontend_authorizer");

	if (typed && !c->condition_type.p)
		return api__missing(m, "condition_type");
	if (str_is(c->condition_origin, "param")) {
		struct apic_backend_param as_param = {.value = c->req_param_name};

		if (!c->req_param_name.p)
			return api__missing(m, "req_param_name");
		if (!api__param_of(&def->req_params, &as_param))
			return err_set(&m->err, ERR_APIG_2028, "parameterName:%.*s", STR_FMT(c->req_param_name));
	}
	if (str_is(c->condition_origin, "system") && !c->sys_param_name.p)
		return api__missing(m, "sys_param_name");
	if (str_is(c->condition_origin, "cookie") && str_empty(c->cookie_param_name))
		return api__missing(m, "cookie_param_name");
	if (str_is(c->condition_origin, "frontend_authorizer") && str_empty(c->frontend_authorizer_param_name))
		return api__missing(m, "frontend_authorizer_param_name");
	if (str_is(c->condition_origin, "orchestration"))
		return err_set(&m->err, ERR_APIG_3095, NULL);
	return 0;
}

/* Names of policies are unique over all kinds of an API. */
struct policies {
	struct str names[3 * MAX_POLICIES];
	size_t n;
};

static int check_policy(struct model *m, struct apic_api *def, struct policies *seen, struct str name,
			struct apic_condition_array *conditions)
{
	if (seen->n == MAX_POLICIES)
		return err_set(&m->err, ERR_APIG_3113, "limit:%d", MAX_POLICIES);
	for (size_t i = 0; i < seen->n; i++)
		if (str_eq(seen->names[i], name))
			return err_set(&m->err, ERR_APIG_3210, "name:%.*s", STR_FMT(name));
	seen->names[seen->n++] = name;
	if (conditions->n == 0)
		return api__missing(m, "conditions");
	if (conditions->n > MAX_CONDITIONS)
		return err_set(&m->err, ERR_APIG_3114, "limit:%d", MAX_CONDITIONS);
	for (size_t i = 0; i < conditions->n; i++) {
		int rc = check_condition(m, def, &conditions->v[i]);

		if (rc)
			return rc;
	}
	return 0;
}

static int check_policy_http(struct model *m, struct apic_policy_http *p, struct api_backend_rules rules)
{
	struct api_path path;

	if (!p->has_timeout)
		SET(p, timeout, 5000);
	if (!p->has_vpc_channel_status)
		SET(p, vpc_channel_status, 2);
	struct http_backend http = {p->url_domain, p->req_protocol,      p->req_method,         p->req_uri,
				    p->timeout,    p->enable_client_ssl, p->vpc_channel_status, p->vpc_channel_info};
	int rc = check_retry(m, &p->retry_count);

	if (rc == 0)
		rc = check_http(m, &http, &path);
	rules.path = &path;
	rules.backend_authorizer = !str_empty(p->authorizer_id);
	return rc ? rc : api__check_backend_params(m, &p->backend_params, &rules);
}

static int check_policies(struct model *m, struct apic_api *def, struct api_backend_rules rules)
{
	struct policies seen = {.n = 0};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < def->policy_https.n; i++) {
		struct apic_policy_http *p = &def->policy_https.v[i];

		rc = check_policy(m, def, &seen, p->name, &p->conditions);
		if (rc == 0)
			rc = check_policy_http(m, p, rules);
	}
	for (size_t i = 0; rc == 0 && i < def->policy_mocks.n; i++) {
		struct apic_policy_mock *p = &def->policy_mocks.v[i];

		rules.path = NULL;
		rules.backend_authorizer = !str_empty(p->authorizer_id);
		rc = check_policy(m, def, &seen, p->name, &p->conditions);
		if (rc == 0)
			rc = check_mock(m, p->result_content, p->has_status_code, p->status_code, p->header);
		if (rc == 0)
			rc = api__check_backend_params(m, &p->backend_params, &rules);
	}
	/* No function service is connected: a function URN leads nowhere. */
	if (rc == 0 && def->policy_functions.n)
		rc = err_set(&m->err, ERR_APIG_3019, "urn:%.*s", STR_FMT(def->policy_functions.v[0].function_urn));
	return rc;
}

static int check_tags(struct model *m, const struct str_array *tags)
{
	if (tags->n > APIC_MAX_TAGS)
		return err_set(&m->err, ERR_APIG_3133, "limit:%d", APIC_MAX_TAGS);
	for (size_t i = 0; i < tags->n; i++)
		for (size_t k = 0; k < i; k++)
			if (str_eq(tags->v[i], tags->v[k]))
				return err_set(&m->err, ERR_APIG_3213, "tag:%.*s", STR_FMT(tags->v[i]));
	return 0;
}

static int check_auth(struct model *m, struct apic_api *def)
{
	bool by_code = def->auth_opt && str_is(def->auth_opt->app_code_auth_type, "HEADER");

	if (by_code && !str_is(def->auth_type, "APP"))
		return api__invalid(m, "app_code_auth_type", "HEADER needs auth_type APP");
	if (!def->auth_opt)
		def->auth_opt = ARENA_NEW(m->arena, struct apic_auth_opt);
	if (!def->auth_opt->app_code_auth_type.p)
		def->auth_opt->app_code_auth_type = STR("DISABLE");
	if (str_is(def->auth_type, "AUTHORIZER") && str_empty(def->authorizer_id))
		return api__missing(m, "authorizer_id");
	return 0;
}

static void fill(struct arena *a, struct apic_api *def)
{
	struct str *texts[] = {&def->version,
			       &def->remark,
			       &def->body_remark,
			       &def->result_normal_sample,
			       &def->result_failure_sample,
			       &def->authorizer_id,
			       &def->domain_name,
			       &def->tag};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (!texts[i]->p)
			*texts[i] = STR("");
	if (!def->match_mode.p)
		def->match_mode = STR("NORMAL");
	if (!def->has_cors)
		SET(def, cors, false);
	if (!def->tags.v)
		def->tags.v = ARENA_ARRAY(a, struct str, 1);
	if (!def->req_params.v)
		def->req_params.v = ARENA_ARRAY(a, struct apic_req_param, 1);
	if (!def->backend_params.v)
		def->backend_params.v = ARENA_ARRAY(a, struct apic_backend_param, 1);
	SET(def, status, 1);
	SET(def, arrange_necessary, 2);
}

static int check_backend(struct model *m, struct apic_api *def, bool livedata)
{
	struct api_path path = {.n_params = 0};
	struct api_backend_rules rules = {.params = &def->req_params,
					  .frontend_authorizer = !str_empty(def->authorizer_id)};
	struct str authorizer = STR_NONE;
	int rc = 0;

	if (str_is(def->backend_type, "FUNCTION"))
		return def->func_info
			       ? err_set(&m->err, ERR_APIG_3019, "urn:%.*s", STR_FMT(def->func_info->function_urn))
			       : api__missing(m, "func_info");
	if (livedata) {
		rc = check_retry(m, &def->backend_api->retry_count);
		if (rc == 0 && (def->backend_api->timeout < 1 || def->backend_api->timeout > MAX_TIMEOUT_MS))
			rc = err_set(&m->err, ERR_APIG_2003, "parameterName:timeout, maximum:%d", MAX_TIMEOUT_MS);
		authorizer = def->backend_api->authorizer_id;
	} else if (str_is(def->backend_type, "HTTP")) {
		rc = check_backend_http(m, def, &path);
		authorizer = rc ? STR_NONE : def->backend_api->authorizer_id;
		rules.path = &path;
	} else {
		rc = check_backend_mock(m, def);
		authorizer = rc ? STR_NONE : def->mock_info->authorizer_id;
	}
	rules.backend_authorizer = !str_empty(authorizer);
	if (rc == 0)
		rc = api__check_backend_params(m, &def->backend_params, &rules);
	return rc ? rc : check_policies(m, def, rules);
}

int api__check_definition(struct model *m, struct apic_api *def, bool livedata, struct api_path *ret_path)
{
	struct api_path path;
	int rc = check_method(m, def->req_method);

	fill(m->arena, def);
	if (rc == 0)
		rc = api__path_parse(m, "req_uri", def->req_uri, true, false, &path);
	/* The gateway answers there itself. */
	if (rc == 0 && str_is(def->req_method, "GET") && str_is(path.path, "/apic/health_check"))
		rc = api__invalid(m, "req_uri", "GET /apic/health_check is the gateway's own");
	if (rc == 0 && str_is(def->match_mode, "SWA"))
		api__path_prefix(m, &path);
	if (rc == 0)
		rc = check_tags(m, &def->tags);
	if (rc == 0)
		rc = check_auth(m, def);
	if (rc == 0)
		rc = api__check_params(m, &def->req_params, &path);
	if (rc == 0)
		rc = check_backend(m, def, livedata);
	if (rc == 0)
		*ret_path = path;
	return rc;
}
