/* SPDX-License-Identifier: Apache-2.0 */
#include "apic_env.h"

#include "base/mem.h"
#include "published/router.h"

#include <stdio.h>

#define HEAD "'type': 1, 'req_protocol': 'HTTPS', 'group_id': '" GROUP "', 'auth_type': 'NONE', "
#define BACKEND                                                                                                        \
	"'backend_type': 'HTTP', 'backend_api': {'url_domain': '10.0.0.1:80', 'req_protocol': 'HTTP',"                 \
	" 'req_method': 'GET', 'req_uri': '/b', 'timeout': 5000}"
#define MOCK "'backend_type': 'MOCK', 'mock_info': {'result_content': 'hello'}"

/* The documented example, with a group and application of ours and no authorizer. */
static const char example[] =
	"{'group_id': '" GROUP
	"', 'match_mode': 'NORMAL', 'name': 'Api_http', 'auth_type': 'APP', 'backend_type': 'HTTP',"
	"'backend_api': {'url_domain': '10.10.10.156:12346', 'req_protocol': 'HTTP', 'req_method': 'GET',"
	"  'req_uri': '/test/benchmark', 'timeout': 5000},"
	"'req_protocol': 'HTTPS', 'req_uri': '/test/http', 'remark': 'Web backend API', 'type': 1, 'req_method': 'GET',"
	"'result_normal_sample': 'Normal', 'result_failure_sample': 'Failure', 'tags': ['webApi'],"
	"'req_params': [{'name': 'query_demo', 'location': 'QUERY', 'type': 'STRING', 'required': 1},"
	"  {'name': 'header-demo', 'location': 'HEADER', 'type': 'STRING', 'required': 2}],"
	"'backend_params': [{'name': 'backHeader', 'value': 'header-demo', 'location': 'HEADER', 'origin': 'REQUEST'},"
	"  {'name': 'backQuery', 'value': 'query_demo', 'location': 'QUERY', 'origin': 'REQUEST'},"
	"  {'name': 'X-CONSTANT-HEADER', 'value': 'demo', 'location': 'HEADER', 'origin': 'CONSTANT'},"
	"  {'name': 'app-id', 'value': '$context.appId', 'location': 'HEADER', 'origin': 'SYSTEM'}]}";

static int create_rc(struct fixture *env, const char *text, struct apic_api *ret)
{
	struct model *m = begin(env);

	*ret = (struct apic_api){.id = STR_NONE};
	return end(env, api_create(m, INSTANCE, definition(env, text), ret));
}

static struct apic_api create(struct fixture *env, const char *text)
{
	struct apic_api api;

	if (create_rc(env, text, &api))
		fail_msg("%s", env->m.err.text);
	return api;
}

/* A small API with that method, path and match mode. */
static int small_rc(struct fixture *env, const char *name, const char *method, const char *uri, const char *mode,
		    const char *params, struct apic_api *ret)
{
	char text[2048];

	snprintf(text, sizeof(text),
		 "{" HEAD MOCK ", 'name': '%s', 'req_method': '%s', 'req_uri': '%s', 'match_mode': '%s',"
		 " 'req_params': [%s]}",
		 name, method, uri, mode, params);
	return create_rc(env, text, ret);
}

static struct apic_publish publish(struct fixture *env, struct str api_id, struct str env_id)
{
	struct apic_publish p;
	struct model *m = begin(env);

	if (end(env, api_publish(m, INSTANCE, api_id, env_id, STR("r"), &p)))
		fail_msg("%s", env->m.err.text);
	return p;
}

static int offline_rc(struct fixture *env, struct str api_id, struct str env_id)
{
	struct apic_publish p;

	return end(env, api_offline(begin(env), INSTANCE, api_id, env_id, &p));
}

static struct pub_api published_api(struct fixture *env, struct str env_id, struct str api_id)
{
	struct pub_api api = {.id = STR_NONE};
	struct str key = arena_fmt(env->m.arena, "api/%.*s/%.*s", STR_FMT(env_id), STR_FMT(api_id));
	struct str value = published(env, key.p);

	if (value.p)
		assert_true(pub_api_decode(value, env->m.arena, &api));
	return api;
}

/* The API behind a path: routers lead to "<env_id>/<api_id>". */
static struct str route_to(struct fixture *env, const char *group, const char *stage, const char *method,
			   const char *path)
{
	struct router_match match;
	struct str key = arena_fmt(env->m.arena, "route/%s/%s", group, stage), router = published(env, key.p);

	if (!router.p || router_match(router, str_of(method), str_of(path), &match) != ROUTER_FOUND)
		return STR_NONE;
	size_t slash = str_find(match.api_id, '/', 0);

	assert_true(slash < match.api_id.n);
	return str_sub(match.api_id, slash + 1, match.api_id.n);
}

#define assert_str(s, text) assert_true(str_is((s), (text)))

static void test_example(void **state)
{
	struct fixture *env = *state;
	struct apic_api api = create(env, example), shown;

	assert_int_equal(api.id.n, 32);
	assert_int_equal(api.status, 1);
	assert_str(api.match_mode, "NORMAL");
	assert_str(api.auth_opt->app_code_auth_type, "DISABLE");
	assert_str(api.group_name, "group1");
	assert_str(api.roma_app_name, "app1");
	assert_str(api.run_env_id, "");
	assert_str(api.domain_name, "www.example.com");
	assert_str(api.backend_api->retry_count, "-1");
	assert_int_equal(api.backend_api->vpc_channel_status, 2);
	assert_int_equal(api.req_params.n, 2);
	assert_int_equal(api.req_params.v[0].pass_through, 1);
	assert_int_equal(api.req_params.v[1].required, 2);
	assert_true(str_eq(api.backend_params.v[0].req_param_id, api.req_params.v[1].id));
	assert_int_equal(end(env, api_show(begin(env), INSTANCE, api.id, &shown)), 0);
	assert_true(str_eq(shown.name, api.name));
	assert_true(str_eq(shown.req_params.v[0].id, api.req_params.v[0].id));

	struct apic_publish p = publish(env, api.id, RELEASE);

	assert_int_equal(p.version_id.n, 32);
	project_and_verify(env);
	struct pub_api value = published_api(env, RELEASE, api.id);

	assert_true(str_eq(value.id, api.id));
	assert_str(value.name, "Api_http");
	assert_str(value.env_name, "RELEASE");
	assert_str(value.project_id, "p1");
	assert_true(str_eq(value.app_id, APP));
	assert_true(str_eq(value.version_id, p.version_id));
	assert_int_equal(value.auth, PUB_AUTH_APP);
	assert_int_equal(value.protocols, PUB_PROTO_HTTPS);
	assert_str(value.path, "/test/http");
	assert_int_equal(value.backend, PUB_BACKEND_HTTP);
	assert_false(value.tls);
	assert_str(value.address, "10.10.10.156:12346");
	assert_str(value.backend_path, "/test/benchmark");
	assert_int_equal(value.timeout_ms, 5000);
	assert_int_equal(value.retries, -1);
	assert_int_equal(value.n_params, 2);
	assert_true(value.params[0].required && !value.params[0].validate && value.params[0].pass_through);
	assert_int_equal(value.n_backend_params, 4);
	assert_int_equal(value.backend_params[0].from, PUB_HEADER);
	assert_int_equal(value.backend_params[1].from, PUB_QUERY);
	assert_int_equal(value.backend_params[3].origin, PUB_SYSTEM);
	assert_true(str_eq(route_to(env, GROUP, "RELEASE", "GET", "/test/http"), api.id));
	assert_null(route_to(env, GROUP, "RELEASE", "POST", "/test/http").p);
	assert_null(route_to(env, GROUP, "test", "GET", "/test/http").p);
}

static void test_refused_definitions(void **state)
{
	struct fixture *env = *state;
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		/* paths */
		{"'req_method': 'GET', 'req_uri': 'a', " BACKEND, ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a//b', " BACKEND, ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a/../b', " BACKEND, ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a/%2e%2E/b', " BACKEND, ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a%2Fb', " BACKEND, ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a%zz', " BACKEND, ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a?b=c', " BACKEND, ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a{b}', " BACKEND, ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/{b+}/c', " BACKEND, ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/{b}/{b}', " BACKEND, ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/{1b}', " BACKEND, ERR_APIG_2011},
		{"'req_method': 'FETCH', 'req_uri': '/a', " BACKEND, ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/apic/health_check', " BACKEND, ERR_APIG_2011},
		/* parameters */
		{"'req_method': 'GET', 'req_uri': '/{a}', " BACKEND, ERR_APIG_2026},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'x', 'type': 'STRING', 'location': "
		 "'PATH'}], " BACKEND,
		 ERR_APIG_2026},
		{"'req_method': 'GET', 'req_uri': '/{x}', 'req_params': [{'name': 'x', 'type': 'STRING', 'location': "
		 "'PATH',"
		 " 'required': 2}], " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'x', 'type': 'TEXT', 'location': "
		 "'QUERY'}], " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'x', 'type': 'STRING', 'location': "
		 "'BODY'}], " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'X-Apig-A', 'type': 'STRING', "
		 "'location': 'QUERY'}],"
		 " " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'x-stage', 'type': 'STRING', "
		 "'location': 'HEADER'}],"
		 " " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'authorization', 'type': 'STRING',"
		 " 'location': 'HEADER'}], " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'authorization', 'type': 'STRING',"
		 " 'location': 'QUERY'}], " BACKEND,
		 0},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'x', 'type': 'STRING', 'location': "
		 "'HEADER'},"
		 " {'name': 'X', 'type': 'STRING', 'location': 'HEADER'}], " BACKEND,
		 ERR_APIG_3209},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'x', 'type': 'NUMBER', 'location': "
		 "'QUERY',"
		 " 'min_num': 5, 'max_num': 4}], " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'x', 'type': 'NUMBER', 'location': "
		 "'QUERY',"
		 " 'max_num': 4, 'default_value': '4.5'}], " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'x', 'type': 'NUMBER', 'location': "
		 "'QUERY',"
		 " 'enumerations': '1,two'}], " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'x', 'type': 'NUMBER', 'location': "
		 "'QUERY',"
		 " 'enumerations': '1,2', 'default_value': '3'}], " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'x', 'type': 'STRING', 'location': "
		 "'QUERY',"
		 " 'min_size': 3, 'default_value': 'ab'}], " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'req_params': [{'name': 'x', 'type': 'STRING', 'location': "
		 "'QUERY',"
		 " 'regular': '(a'}], " BACKEND,
		 ERR_APIG_2011},
		/* back ends */
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'HTTP'", ERR_APIG_2001},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'MOCK'", ERR_APIG_2001},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'FUNCTION', 'func_info': {'function_urn': "
		 "'urn:x',"
		 " 'invocation_type': 'sync', 'timeout': 5000}",
		 ERR_APIG_3019},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'HTTP', 'backend_api': {'url_domain': "
		 "'h:70000',"
		 " 'req_protocol': 'HTTP', 'req_method': 'GET', 'req_uri': '/b', 'timeout': 1}",
		 ERR_APIG_2025},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'HTTP', 'backend_api': {'url_domain': 'a..b',"
		 " 'req_protocol': 'HTTP', 'req_method': 'GET', 'req_uri': '/b', 'timeout': 1}",
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'HTTP', 'backend_api': {'req_protocol': 'HTTP',"
		 " 'req_method': 'GET', 'req_uri': '/b', 'timeout': 1}",
		 ERR_APIG_2001},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'HTTP', 'backend_api': {'url_domain': 'h',"
		 " 'req_protocol': 'FTP', 'req_method': 'GET', 'req_uri': '/b', 'timeout': 1}",
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'HTTP', 'backend_api': {'url_domain': 'h',"
		 " 'req_protocol': 'HTTP', 'req_method': 'GET', 'req_uri': '/b', 'timeout': 60001}",
		 ERR_APIG_2003},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'HTTP', 'backend_api': {'url_domain': 'h',"
		 " 'req_protocol': 'HTTP', 'req_method': 'GET', 'req_uri': '/b', 'timeout': 1, 'retry_count': '11'}",
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'HTTP', 'backend_api': {'vpc_channel_status': "
		 "1,"
		 " 'vpc_channel_info': {'vpc_channel_id': 'none'}, 'req_protocol': 'HTTP', 'req_method': 'GET',"
		 " 'req_uri': '/b', 'timeout': 1}",
		 ERR_APIG_3023},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'HTTP', 'backend_api': {'url_domain': 'h',"
		 " 'req_protocol': 'HTTP', 'req_method': 'GET', 'req_uri': '/{x}', 'timeout': 1}",
		 ERR_APIG_2027},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_params': [{'name': 'x', 'location': 'PATH',"
		 " 'origin': 'CONSTANT', 'value': '1'}], " BACKEND,
		 ERR_APIG_2027},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_params': [{'name': 'x', 'location': 'QUERY',"
		 " 'origin': 'REQUEST', 'value': 'y'}], " BACKEND,
		 ERR_APIG_2028},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_params': [{'name': 'x', 'location': 'QUERY',"
		 " 'origin': 'SYSTEM', 'value': '$context.nothing'}], " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_params': [{'name': 'x', 'location': 'QUERY',"
		 " 'origin': 'SYSTEM', 'value': '$context.authorizer.frontend.u'}], " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_params': [{'name': 'x', 'location': 'HEADER',"
		 " 'origin': 'CONSTANT', 'value': 'a\\r\\nb'}], " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'MOCK', 'mock_info': {'status_code': 299}",
		 ERR_APIG_2004},
		{"'req_method': 'GET', 'req_uri': '/a', 'backend_type': 'MOCK', 'mock_info': {'header': '[1]'}",
		 ERR_APIG_2011},
		/* the rest */
		{"'req_method': 'GET', 'req_uri': '/a', 'tags': ['a', 'a'], " BACKEND, ERR_APIG_3213},
		{"'req_method': 'GET', 'req_uri': '/a', 'tags': "
		 "['a','b','c','d','e','f','g','h','i','j','k'], " BACKEND,
		 ERR_APIG_3133},
		{"'req_method': 'GET', 'req_uri': '/a', 'auth_opt': {'app_code_auth_type': 'HEADER'}, " BACKEND,
		 ERR_APIG_2011},
		{"'req_method': 'GET', 'req_uri': '/a', 'authorizer_id': 'none', " BACKEND, ERR_APIG_3081},
		{"'req_method': 'GET', 'req_uri': '/a', 'roma_app_id': "
		 "'22222222-2222-4222-8222-222222222222', " BACKEND,
		 ERR_APIG_3479},
		{"'req_method': 'GET', 'req_uri': '/a', 'domain_name': 'www.example.com', " BACKEND, ERR_APIG_2001},
		{"'req_method': 'GET', 'req_uri': '/a', 'domain_name': 'other.example.com',"
		 " 'roma_app_id': '11111111-1111-4111-8111-111111111111', " BACKEND,
		 ERR_APIG_3020},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[2048];
		struct apic_api api;

		snprintf(text, sizeof(text), "{" HEAD "'name': 'case%zu', %s}", i, cases[i].text);
		int rc = create_rc(env, text, &api);

		if (rc != cases[i].code)
			fail_msg("%s: %s %s", text, rc ? err_row(rc)->code : "accepted", rc ? env->m.err.text : "");
	}
}

static void test_limits(void **state)
{
	struct fixture *env = *state;
	char params[8192] = "";
	size_t n = 0;
	struct apic_api api;
	char text[10000];

	for (int i = 0; i < 51; i++)
		n += (size_t)snprintf(params + n, sizeof(params) - n,
				      "%s{'name': 'p%d', 'type': 'STRING', 'location': 'QUERY'}", i ? "," : "", i);
	snprintf(text, sizeof(text),
		 "{" HEAD MOCK ", 'name': 'many', 'req_method': 'GET', 'req_uri': '/m',"
		 " 'req_params': [%s]}",
		 params);
	assert_code(create_rc(env, text, &api), ERR_APIG_3111);
}

static void test_unique_paths(void **state)
{
	struct fixture *env = *state;
	static const struct {
		const char *method, *uri, *mode, *params;
		int code;
	} steps[] = {
		{"GET", "/u/{a}", "NORMAL", "{'name': 'a', 'type': 'STRING', 'location': 'PATH'}", 0},
		{"GET", "/u/{b}", "NORMAL", "{'name': 'b', 'type': 'STRING', 'location': 'PATH'}", ERR_APIG_3301},
		{"POST", "/u/{b}", "NORMAL", "{'name': 'b', 'type': 'STRING', 'location': 'PATH'}", 0},
		{"ANY", "/u/{c}", "NORMAL", "{'name': 'c', 'type': 'STRING', 'location': 'PATH'}", ERR_APIG_3301},
		{"GET", "/u/{b+}", "NORMAL", "{'name': 'b', 'type': 'STRING', 'location': 'PATH'}", 0},
		{"GET", "/u/{c+}", "SWA", "{'name': 'c', 'type': 'STRING', 'location': 'PATH'}", ERR_APIG_3301},
		{"GET", "/u", "SWA", "", 0},
		{"GET", "/u/", "SWA", "", ERR_APIG_3301},
		{"GET", "/u", "NORMAL", "", 0},
		{"GET", "/u/", "NORMAL", "", 0},
		{"GET", "/%75", "NORMAL", "", ERR_APIG_3301},
		{"ANY", "/w", "NORMAL", "", 0},
		{"DELETE", "/w", "NORMAL", "", ERR_APIG_3301},
	};
	struct str_array ids = {ARENA_ARRAY(env->m.arena, struct str, ARRAY_LEN(steps)), 0};

	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct apic_api api;
		char name[16];

		snprintf(name, sizeof(name), "unique%zu", i);
		int rc = small_rc(env, name, steps[i].method, steps[i].uri, steps[i].mode, steps[i].params, &api);

		if (rc != steps[i].code)
			fail_msg("%s %s %s: %s", steps[i].method, steps[i].uri, steps[i].mode,
				 rc ? env->m.err.text : "accepted");
		if (rc == 0)
			ids.v[ids.n++] = api.id;
		struct apic_api_check check = {.type = STR("path"),
					       .req_method = str_of(steps[i].method),
					       .req_uri = str_of(steps[i].uri),
					       .match_mode = str_of(steps[i].mode),
					       .group_id = STR(GROUP)};

		assert_int_equal(end(env, api_check(begin(env), INSTANCE, &check)), ERR_APIG_3301);
		check.api_id = api.id;
		assert_int_equal(end(env, api_check(begin(env), INSTANCE, &check)), rc ? ERR_APIG_3301 : 0);
	}
	/* What the rules let through together the router takes. */
	for (size_t i = 0; i < ids.n; i++)
		publish(env, ids.v[i], RELEASE);
	project_and_verify(env);
	assert_true(str_eq(route_to(env, GROUP, "RELEASE", "GET", "/u/1"), ids.v[0]));

	struct apic_api api;

	assert_code(small_rc(env, "unique0", "GET", "/other", "NORMAL", "", &api), ERR_APIG_3202);
	struct apic_api_check check = {.type = STR("name"), .name = STR("unique0")};

	assert_int_equal(end(env, api_check(begin(env), INSTANCE, &check)), ERR_APIG_3202);
	check.name = STR("nobody");
	assert_int_equal(end(env, api_check(begin(env), INSTANCE, &check)), 0);
	check.name = STR_NONE;
	assert_int_equal(end(env, api_check(begin(env), INSTANCE, &check)), ERR_APIG_2001);
}

/* A path somebody moved away from stays taken while it is published. */
static void test_published_path_stays_taken(void **state)
{
	struct fixture *env = *state;
	struct apic_api a, b, moved;
	struct apic_publish p;

	assert_int_equal(small_rc(env, "first", "GET", "/x", "NORMAL", "", &a), 0);
	publish(env, a.id, RELEASE);
	struct apic_api *def =
		definition(env, "{" HEAD MOCK ", 'name': 'first', 'req_method': 'GET', 'req_uri': '/y'}");

	assert_int_equal(end(env, api_update(begin(env), INSTANCE, a.id, def, &moved)), 0);
	project_and_verify(env);
	assert_true(str_eq(route_to(env, GROUP, "RELEASE", "GET", "/x"), a.id));
	assert_int_equal(small_rc(env, "second", "ANY", "/x", "NORMAL", "", &b), 0);
	assert_int_equal(end(env, api_publish(begin(env), INSTANCE, b.id, RELEASE, STR_NONE, &p)), ERR_APIG_3301);
	assert_int_equal(end(env, api_publish(begin(env), INSTANCE, b.id, ENV_TEST, STR_NONE, &p)), 0);
	publish(env, a.id, RELEASE);
	assert_int_equal(end(env, api_publish(begin(env), INSTANCE, b.id, RELEASE, STR_NONE, &p)), 0);
	project_and_verify(env);
	assert_true(str_eq(route_to(env, GROUP, "RELEASE", "GET", "/y"), a.id));
	assert_true(str_eq(route_to(env, GROUP, "RELEASE", "PUT", "/x"), b.id));
}

static void test_life(void **state)
{
	struct fixture *env = *state;
	struct apic_api a, shown;
	struct apic_publish p;
	struct str versions[12];

	assert_int_equal(small_rc(env, "life", "GET", "/life", "NORMAL", "", &a), 0);
	assert_code(offline_rc(env, a.id, RELEASE), ERR_APIG_3015);
	assert_code(end(env, api_publish(begin(env), INSTANCE, a.id, STR("none"), STR_NONE, &p)), ERR_APIG_3003);
	assert_code(end(env, api_publish(begin(env), INSTANCE, STR("none"), RELEASE, STR_NONE, &p)), ERR_APIG_3002);
	assert_code(end(env, api_publish(begin(env), STR("other"), a.id, RELEASE, STR_NONE, &p)), ERR_APIG_3002);
	assert_code(end(env, api_runtime(begin(env), INSTANCE, a.id, STR_NONE, &shown)), ERR_APIG_3015);
	struct str publish_id = STR_NONE;

	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		p = publish(env, a.id, RELEASE);
		versions[i] = p.version_id;
		if (i)
			assert_true(str_eq(publish_id, p.publish_id));
		publish_id = p.publish_id;
	}
	publish(env, a.id, ENV_TEST);
	struct apic_list_api_versions_in in = {.instance_id = INSTANCE, .api_id = a.id, .env_id = RELEASE};
	struct apic_api_version_list list = {.size = 0};

	assert_int_equal(end(env, api_version_list(begin(env), &in, &list)), 0);
	assert_int_equal(list.total, 10);
	assert_int_equal(list.api_versions.v[0].status, 1);
	assert_int_equal(list.api_versions.v[1].status, 2);
	assert_str(list.api_versions.v[0].env_name, "RELEASE");
	assert_int_equal(list.api_versions.v[0].version_no.n, 14);
	assert_true(str_eq(list.api_versions.v[0].version_id, versions[11]));
	in.env_id = STR_NONE;
	in.env_name = STR("test");
	list = (struct apic_api_version_list){.size = 0};
	assert_int_equal(end(env, api_version_list(begin(env), &in, &list)), 0);
	assert_int_equal(list.total, 1);

	assert_int_equal(end(env, api_show(begin(env), INSTANCE, a.id, &shown)), 0);
	assert_str(shown.run_env_name, "RELEASE|test");
	assert_code(end(env, api_delete(begin(env), INSTANCE, a.id)), ERR_APIG_3416);

	assert_code(end(env, api_version_switch(begin(env), INSTANCE, a.id, versions[0], &p)), ERR_APIG_3022);
	assert_int_equal(end(env, api_version_switch(begin(env), INSTANCE, a.id, versions[3], &p)), 0);
	assert_true(str_eq(p.publish_id, publish_id));
	project_and_verify(env);
	assert_true(str_eq(published_api(env, RELEASE, a.id).version_id, versions[3]));
	assert_int_equal(end(env, api_version_show(begin(env), INSTANCE, versions[3], &shown)), 0);
	assert_str(shown.run_env_name, "RELEASE");
	assert_true(str_eq(shown.version_id, versions[3]));
	assert_int_equal(shown.sl_domains.n, 1);
	assert_int_equal(end(env, api_runtime(begin(env), INSTANCE, a.id, STR_NONE, &shown)), 0);
	assert_true(str_eq(shown.version_id, versions[3]));

	assert_code(end(env, api_version_offline(begin(env), INSTANCE, versions[11])), ERR_APIG_3015);
	assert_int_equal(end(env, api_version_offline(begin(env), INSTANCE, versions[3])), 0);
	run_sql(env, "INSERT INTO app_auth (id, instance_id, api_id, env_id, app_id, created_ms) SELECT 'auth1',"
		     " 'instance1', id, 'DEFAULT_ENVIRONMENT_RELEASE_ID', '11111111-1111-4111-8111-111111111111', 1 "
		     "FROM api");
	assert_int_equal(publish_rebuild(&env->m, env->pub), 0);
	assert_int_equal(offline_rc(env, a.id, ENV_TEST), 0);
	assert_int_equal(end(env, api_delete(begin(env), INSTANCE, a.id)), 0);
	project_and_verify(env);
	assert_null(route_to(env, GROUP, "RELEASE", "GET", "/life").p);
	assert_code(end(env, api_show(begin(env), INSTANCE, a.id, &shown)), ERR_APIG_3002);
}

static void test_batch(void **state)
{
	struct fixture *env = *state;
	struct apic_api a, b;
	struct apic_api_batch_publish_result result = {.success = {NULL, 0}};

	assert_int_equal(small_rc(env, "one", "GET", "/1", "NORMAL", "", &a), 0);
	assert_int_equal(small_rc(env, "two", "GET", "/2", "NORMAL", "", &b), 0);
	struct str ids[] = {a.id, STR("none"), b.id};
	struct apic_api_batch_publish in = {.apis = {ids, 3}, .env_id = RELEASE};

	assert_int_equal(end(env, api_publish_batch(begin(env), INSTANCE, true, &in, &result)), 0);
	assert_int_equal(result.success.n, 2);
	assert_int_equal(result.failure.n, 1);
	assert_str(result.failure.v[0].error_code, "APIG.3002");
	project_and_verify(env);
	assert_true(str_eq(route_to(env, GROUP, "RELEASE", "GET", "/2"), b.id));
	result = (struct apic_api_batch_publish_result){.success = {NULL, 0}};
	assert_int_equal(end(env, api_publish_batch(begin(env), INSTANCE, false, &in, &result)), 0);
	assert_int_equal(result.success.n, 2);
	project_and_verify(env);
	assert_null(published(env, "route/" GROUP "/RELEASE").p);
}

static void test_variables(void **state)
{
	struct fixture *env = *state;
	struct apic_publish p;
	struct apic_api api = create(env, "{" HEAD "'name': 'vars', 'req_method': 'GET', 'req_uri': '/v',"
					  " 'backend_type': 'HTTP', 'backend_api': {'url_domain': '#host#:#port#',"
					  " 'req_protocol': 'HTTPS', 'req_method': 'GET', 'req_uri': '/#base#/x',"
					  " 'timeout': 1, 'retry_count': '3'}}");

	assert_code(end(env, api_publish(begin(env), INSTANCE, api.id, RELEASE, STR_NONE, &p)), ERR_APIG_3011);
	run_sql(env,
		"INSERT INTO env_variable (id, instance_id, group_id, env_id, name, value, created_ms, updated_ms)"
		" VALUES ('v1', 'instance1', '" GROUP "', 'DEFAULT_ENVIRONMENT_RELEASE_ID', 'host', 'h.example', 1, 1),"
		" ('v2', 'instance1', '" GROUP "', 'DEFAULT_ENVIRONMENT_RELEASE_ID', 'port', '99999', 1, 1),"
		" ('v3', 'instance1', '" GROUP "', 'DEFAULT_ENVIRONMENT_RELEASE_ID', 'base', 'a/b', 1, 1)");
	assert_code(end(env, api_publish(begin(env), INSTANCE, api.id, RELEASE, STR_NONE, &p)), ERR_APIG_2025);
	run_sql(env, "UPDATE env_variable SET value = '8443' WHERE id = 'v2'");
	publish(env, api.id, RELEASE);
	project_and_verify(env);
	struct pub_api value = published_api(env, RELEASE, api.id);

	assert_str(value.address, "h.example:8443");
	assert_str(value.backend_path, "/a/b/x");
	assert_true(value.tls);
	assert_int_equal(value.retries, 3);
	run_sql(env, "UPDATE env_variable SET value = '/{x}' WHERE id = 'v3'");
	assert_code(end(env, api_publish(begin(env), INSTANCE, api.id, RELEASE, STR_NONE, &p)), ERR_APIG_2011);
	run_sql(env, "UPDATE env_variable SET value = '{x}' WHERE id = 'v3'");
	assert_code(end(env, api_publish(begin(env), INSTANCE, api.id, RELEASE, STR_NONE, &p)), ERR_APIG_2027);
}

static void test_livedata(void **state)
{
	struct fixture *env = *state;
	struct apic_api api, changed;
	struct apic_api *def = definition(env, "{'name': 'Data_API', 'type': 1, 'req_protocol': 'HTTPS',"
					       " 'req_method': 'GET', 'req_uri': '/data/test', 'auth_type': 'APP',"
					       " 'backend_type': 'HTTP', 'group_id': '" GROUP "'}");

	assert_int_equal(end(env, api_create_for_livedata(begin(env), INSTANCE, def, STR("ld1"), &api)), 0);
	assert_str(api.ld_api_id, "ld1");
	publish(env, api.id, RELEASE);
	project_and_verify(env);
	struct pub_api value = published_api(env, RELEASE, api.id);

	assert_int_equal(value.backend, PUB_BACKEND_LIVEDATA);
	assert_str(value.livedata_id, "ld1");
	/* Chapter 9.1: the update names no back end. */
	def = definition(env, "{'name': 'Data_API', 'type': 1, 'req_protocol': 'HTTPS', 'req_method': 'GET',"
			      " 'req_uri': '/data/{id}', 'auth_type': 'APP', 'backend_type': 'HTTP',"
			      " 'group_id': '" GROUP "', 'req_params': [{'name': 'param01', 'type': 'STRING',"
			      " 'location': 'QUERY'}, {'name': 'id', 'type': 'STRING', 'location': 'PATH'}]}");
	assert_int_equal(end(env, api_update(begin(env), INSTANCE, api.id, def, &changed)), 0);
	assert_str(changed.ld_api_id, "ld1");
	assert_int_equal(changed.backend_api->timeout, 5000);
	publish(env, api.id, RELEASE);
	project_and_verify(env);
	value = published_api(env, RELEASE, api.id);
	assert_int_equal(value.backend, PUB_BACKEND_LIVEDATA);
	assert_true(value.params[0].pass_through);
	assert_int_equal(value.n_backend_params, 1);
	assert_int_equal(value.backend_params[0].location, PUB_QUERY);
	assert_int_equal(value.backend_params[0].from, PUB_PATH);
	assert_str(value.backend_params[0].value, "id");

	def = definition(env, "{" HEAD MOCK ", 'name': 'Data_API', 'req_method': 'GET', 'req_uri': '/data/test'}");
	assert_code(end(env, api_update(begin(env), INSTANCE, api.id, def, &changed)), ERR_APIG_3494);
	def = definition(env, "{" HEAD BACKEND ", 'name': 'Data_API', 'req_method': 'GET', 'req_uri': '/data/test'}");
	assert_code(end(env, api_update(begin(env), INSTANCE, api.id, def, &changed)), ERR_APIG_3494);
	assert_int_equal(end(env, api_delete_for_livedata(begin(env), INSTANCE, api.id)), 0);
	project_and_verify(env);
	assert_null(published(env, "route/" GROUP "/RELEASE").p);
	assert_int_equal(end(env, api_delete_for_livedata(begin(env), INSTANCE, api.id)), 0);
}

static void test_mock(void **state)
{
	struct fixture *env = *state;
	struct apic_api *def = definition(env, "{" HEAD "'name': 'mock', 'req_method': 'ANY', 'req_uri': '/m%20x',"
					       " 'match_mode': 'SWA', 'backend_type': 'MOCK',"
					       " 'mock_info': {'result_content': 'x', 'status_code': 202}}");
	struct apic_api api;

	def->mock_info->header = STR("[{\"key\": \"X-A\", \"value\": \"b\", \"remark\": \"\"}]");
	assert_int_equal(end(env, api_create(begin(env), INSTANCE, def, &api)), 0);
	publish(env, api.id, RELEASE);
	project_and_verify(env);
	struct pub_api value = published_api(env, RELEASE, api.id);

	assert_true(value.prefix);
	assert_str(value.path, "/m x");
	assert_int_equal(value.mock_status, 202);
	assert_int_equal(value.n_mock_headers, 1);
	assert_str(value.mock_headers[0].name, "X-A");
	assert_str(value.mock_headers[0].value, "b");
	assert_true(str_eq(route_to(env, GROUP, "RELEASE", "PATCH", "/m x/y"), api.id));
}

static void test_permissions(void **state)
{
	struct fixture *env = *state;
	struct apic_api a, out;
	struct apic_publish p;
	struct apic_api_list list = {.size = 0};
	struct apic_list_apis_in in = {.instance_id = INSTANCE};

	assert_int_equal(small_rc(env, "mine", "GET", "/mine", "NORMAL", "", &a), 0);
	env->who = (struct identity){.user_id = STR("u2"), .developer = true};
	assert_code(small_rc(env, "theirs", "GET", "/theirs", "NORMAL", "", &out), ERR_APIG_1141);
	assert_code(end(env, api_show(begin(env), INSTANCE, a.id, &out)), ERR_APIG_1102);
	assert_code(end(env, api_publish(begin(env), INSTANCE, a.id, RELEASE, STR_NONE, &p)), ERR_APIG_1102);
	assert_code(end(env, api_delete(begin(env), INSTANCE, a.id)), ERR_APIG_1102);
	assert_int_equal(end(env, api_list(begin(env), &in, &list)), 0);
	assert_int_equal(list.total, 0);
	env->who.user_id = STR("u1");
	assert_int_equal(end(env, api_list(begin(env), &in, &list)), 0);
	assert_int_equal(list.total, 1);
}

static int64_t count(struct fixture *env, struct apic_list_apis_in in)
{
	struct apic_api_list list = {.size = 0};

	in.instance_id = INSTANCE;
	if (end(env, api_list(begin(env), &in, &list)))
		fail_msg("%s", env->m.err.text);
	assert_int_equal(list.size, list.apis.n);
	return list.total;
}

static void test_list(void **state)
{
	struct fixture *env = *state;
	struct apic_api a, b;

	assert_int_equal(small_rc(env, "Alpha", "GET", "/abc", "NORMAL", "", &a), 0);
	assert_int_equal(small_rc(env, "Alphabet_1", "POST", "/abcd", "NORMAL", "", &b), 0);
	publish(env, b.id, ENV_TEST);
	assert_int_equal(count(env, (struct apic_list_apis_in){.type = 0}), 2);
	assert_int_equal(count(env, (struct apic_list_apis_in){.name = STR("alpha")}), 2);
	assert_int_equal(count(env, (struct apic_list_apis_in){.name = STR("t_1")}), 1);
	assert_int_equal(count(env, (struct apic_list_apis_in){.name = STR("A_p")}), 0);
	assert_int_equal(count(env, (struct apic_list_apis_in){.name = STR("Alpha"), .precise_search = STR("name")}),
			 1);
	assert_int_equal(
		count(env, (struct apic_list_apis_in){.req_uri = STR("/abc"), .precise_search = STR("name, req_uri")}),
		1);
	assert_int_equal(count(env, (struct apic_list_apis_in){.req_uri = STR("/abc")}), 2);
	assert_int_equal(count(env, (struct apic_list_apis_in){.id = a.id}), 1);
	assert_int_equal(count(env, (struct apic_list_apis_in){.req_method = STR("POST")}), 1);
	assert_int_equal(count(env, (struct apic_list_apis_in){.group_id = STR(GROUP2)}), 0);
	assert_int_equal(count(env, (struct apic_list_apis_in){.auth_type = STR("NONE")}), 2);
	assert_int_equal(count(env, (struct apic_list_apis_in){.req_protocol = STR("HTTP")}), 0);
	assert_int_equal(count(env, (struct apic_list_apis_in){.env_id = ENV_TEST}), 1);
	assert_int_equal(count(env, (struct apic_list_apis_in){.type = 2, .has_type = true}), 0);
	assert_int_equal(count(env, (struct apic_list_apis_in){.roma_app_id = APP}), 2);
	assert_int_equal(count(env, (struct apic_list_apis_in){.roma_app_name = STR("pp1")}), 2);
	assert_int_equal(count(env, (struct apic_list_apis_in){.vpc_channel_name = STR("c")}), 0);
	assert_int_equal(
		count(env, (struct apic_list_apis_in){.limit = 1, .has_limit = true, .offset = 1, .has_offset = true}),
		2);
	struct apic_list_apis_in bad = {.instance_id = INSTANCE, .precise_search = STR("color")};
	struct apic_api_list list = {.size = 0};

	assert_code(end(env, api_list(begin(env), &bad, &list)), ERR_APIG_2012);
}

/* What the database refuses when a rule should have. */
static void test_references(void **state)
{
	struct fixture *env = *state;
	struct apic_api a;
	static const char *const refused[] = {
		"DELETE FROM api",
		"DELETE FROM api_group WHERE id = '" GROUP "'",
		"DELETE FROM api_env WHERE id = 'DEFAULT_ENVIRONMENT_RELEASE_ID'",
		"DELETE FROM app WHERE id = '11111111-1111-4111-8111-111111111111'",
		"DELETE FROM api_version",
	};

	assert_int_equal(small_rc(env, "kept", "GET", "/kept", "NORMAL", "", &a), 0);
	publish(env, a.id, RELEASE);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
		struct model *m = begin(env);

		assert_code(end(env, store_exec(m->tx, &m->err, NULL, refused[i], "")), ERR_APPIA_0422);
	}
}

/* Any order of changes leaves the published state as a rebuild makes it. */
static void test_random(void **state)
{
	struct fixture *env = *state;
	enum { APIS = 12, STEPS = 400 };
	struct str ids[APIS] = {{NULL, 0}}, versions[APIS] = {{NULL, 0}};
	unsigned long long seed = 88172645463325252ULL;
	size_t refused = 0;

	for (int step = 0; step < STEPS; step++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		size_t i = seed % APIS;
		struct str env_id = (seed >> 8) % 2 ? RELEASE : ENV_TEST;
		struct apic_api api = {.id = STR_NONE};
		struct apic_publish p = {.version_id = STR_NONE};
		char text[1024];
		int rc;

		snprintf(text, sizeof(text),
			 "{'type': 1, 'req_protocol': 'BOTH', 'auth_type': 'IAM', " MOCK
			 ", 'name': 'r%zu', 'group_id': '%s',"
			 " 'req_method': '%s', 'req_uri': '/p%llu', 'match_mode': '%s'}",
			 i, (seed >> 16) % 4 ? GROUP : GROUP2, (seed >> 24) % 3 ? "GET" : "ANY", (seed >> 32) % 9,
			 (seed >> 40) % 3 ? "NORMAL" : "SWA");
		if (!ids[i].p) {
			rc = create_rc(env, text, &api);
			ids[i] = api.id;
		} else {
			switch ((seed >> 48) % 8) {
			case 0:
			case 1:
				rc = end(env, api_update(begin(env), INSTANCE, ids[i], definition(env, text), &api));
				break;
			case 2:
			case 3:
			case 4:
				rc = end(env, api_publish(begin(env), INSTANCE, ids[i], env_id, STR_NONE, &p));
				if (rc == 0)
					versions[i] = p.version_id;
				break;
			case 5:
				rc = versions[i].p ? end(env, api_version_switch(begin(env), INSTANCE, ids[i],
										 versions[i], &p))
						   : 0;
				break;
			case 6:
				rc = offline_rc(env, ids[i], env_id);
				break;
			default:
				rc = end(env, api_delete(begin(env), INSTANCE, ids[i]));
				if (rc == 0)
					ids[i] = versions[i] = STR_NONE;
				break;
			}
		}
		/* Refusals are fine, as long as they are the rules'. */
		if (rc && strncmp(err_row(rc)->code, "APIG.", 5) != 0)
			fail_msg("step %d: %s %s", step, err_row(rc)->code, env->m.err.text);
		refused += rc != 0;
		if (step % 40 == 39)
			project_and_verify(env);
	}
	assert_true(refused > 0 && refused < STEPS);
	project_and_verify(env);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, apic_env_setup, apic_env_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_example),
		TEST(test_refused_definitions),
		TEST(test_limits),
		TEST(test_unique_paths),
		TEST(test_published_path_stays_taken),
		TEST(test_life),
		TEST(test_batch),
		TEST(test_variables),
		TEST(test_livedata),
		TEST(test_mock),
		TEST(test_permissions),
		TEST(test_list),
		TEST(test_references),
		TEST(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
