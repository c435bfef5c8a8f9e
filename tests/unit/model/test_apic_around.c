/* SPDX-License-Identifier: Apache-2.0 */

/* What surrounds APIs, as far as the published state shows it: tests/api has the rest. */
#include "apic_env.h"

#include "model/apic/app_auth.h"
#include "model/apic/app_code.h"
#include "model/apic/domain.h"
#include "model/apic/env.h"
#include "model/apic/env_variable.h"
#include "model/apic/group.h"
#include "sign/sign.h"

#include <stdio.h>

#define DEFINITION                                                                                                     \
	"{'name':'%s','type':1,'req_protocol':'HTTP','req_method':'GET','req_uri':'/%s','match_mode':'NORMAL',"        \
	"'auth_type':'APP','backend_type':'HTTP','group_id':'" GROUP "','backend_api':{'req_protocol':'HTTP',"         \
	"'req_method':'GET','req_uri':'%s','timeout':5000,'url_domain':'%s'}}"

static struct str make_api(struct fixture *env, const char *name, const char *uri, const char *address)
{
	char text[1024];
	struct apic_api api = {0};
	struct apic_publish done;

	snprintf(text, sizeof(text), DEFINITION, name, name, uri, address);
	struct model *m = begin(env);
	int rc = api_create(m, INSTANCE, definition(env, text), &api);

	if (rc == 0)
		rc = api_publish(m, INSTANCE, api.id, ENV_TEST, STR_NONE, &done);
	assert_code(end(env, rc), 0);
	return api.id;
}

static bool serves(struct fixture *env, struct str api_id, const char *text)
{
	char key[128];

	project_and_verify(env);
	snprintf(key, sizeof(key), "api/%.*s/%.*s", STR_FMT(ENV_TEST), STR_FMT(api_id));
	return str_contains(published(env, key), str_of(text));
}

static struct str make_variable(struct fixture *env, const char *name, const char *value)
{
	struct apic_env_variable v = {.group_id = STR(GROUP),
				      .env_id = ENV_TEST,
				      .variable_name = str_of(name),
				      .variable_value = str_of(value)};
	struct model *m = begin(env);

	assert_code(end(env, apic_variable_create(m, INSTANCE, &v, &v)), 0);
	return v.id;
}

static int set_variable(struct fixture *env, struct str id, const char *value)
{
	struct apic_env_variable in = {.variable_value = str_of(value)}, out;
	struct model *m = begin(env);

	return end(env, apic_variable_update(m, INSTANCE, id, &in, &out));
}

static void test_variable_changes(void **state)
{
	struct fixture *env = *state;
	struct str host = make_variable(env, "Host", "one.example"), hos = make_variable(env, "Hos", "two.example");
	struct str part = make_variable(env, "part", "first");
	struct str a = make_api(env, "a", "/x", "#Host#:80"), b = make_api(env, "b", "/#part#/y", "#Hos#:80");
	struct str c = make_api(env, "c", "/z", "fixed.example:80");

	assert_true(serves(env, a, "one.example"));
	assert_code(set_variable(env, host, "three.example"), 0);
	assert_true(serves(env, a, "three.example") && !serves(env, a, "one.example"));
	assert_true(serves(env, b, "two.example") && serves(env, c, "fixed.example"));
	assert_code(set_variable(env, part, "second"), 0);
	assert_true(serves(env, b, "/second/y"));
	/* What no definition could say is refused, and nothing has changed. */
	assert_int_not_equal(set_variable(env, hos, "two/example"), 0);
	assert_true(serves(env, b, "two.example"));
	/* More than one page of APIs. */
	for (int i = 0; i < 230; i++) {
		char name[16];

		snprintf(name, sizeof(name), "many%d", i);
		c = make_api(env, name, "/x", "#Host#:80");
	}
	assert_code(set_variable(env, host, "four.example"), 0);
	assert_true(serves(env, a, "four.example") && serves(env, c, "four.example"));
	struct pub_view *view;
	struct err err;
	struct str key = STR_NONE, value;
	int found = 0;

	assert_int_equal(pub_view_begin(env->pub, &view, &err), 0);
	while (pub_next(view, STR("api/"), key, &key, &value))
		found += str_contains(value, STR("four.example"));
	pub_view_end(&view);
	assert_int_equal(found, 231);
}

static void test_environment(void **state)
{
	struct fixture *env = *state;
	struct str api = make_api(env, "a", "/x", "fixed.example:80"), apps[] = {APP2}, apis[] = {api};
	struct apic_api_auth_request in = {.env_id = ENV_TEST, .app_ids = {apps, 1}, .api_ids = {apis, 1}};
	struct apic_api_auth_list made = {0};
	struct apic_env renamed = {.name = STR("PROD")}, out;
	struct model *m = begin(env);
	char key[200];

	assert_code(end(env, apic_auth_create(m, INSTANCE, &in, &made)), 0);
	project_and_verify(env);
	snprintf(key, sizeof(key), "auth/%.*s/%.*s/%.*s", STR_FMT(ENV_TEST), STR_FMT(api), STR_FMT(APP2));
	assert_non_null(published(env, key).p);
	assert_non_null(published(env, "route/" GROUP "/test").p);
	m = begin(env);
	assert_code(end(env, apic_env_update(m, INSTANCE, ENV_TEST, &renamed, &out)), 0);
	project_and_verify(env);
	assert_null(published(env, "route/" GROUP "/test").p);
	assert_non_null(published(env, "route/" GROUP "/PROD").p);
	m = begin(env);
	assert_code(end(env, apic_env_delete(m, INSTANCE, ENV_TEST)), ERR_APIG_3418);
	struct apic_publish done;

	m = begin(env);
	assert_code(end(env, api_offline(m, INSTANCE, api, ENV_TEST, &done)), 0);
	m = begin(env);
	assert_code(end(env, apic_env_delete(m, INSTANCE, ENV_TEST)), 0);
	project_and_verify(env);
	assert_null(published(env, key).p);
}

static void test_rights(void **state)
{
	struct fixture *env = *state;
	struct str api = make_api(env, "a", "/x", "fixed.example:80"), apps[] = {APP, APP2}, apis[] = {api};
	struct apic_api_auth_request in = {.env_id = ENV_TEST, .app_ids = {apps, 2}, .api_ids = {apis, 1}};
	struct apic_api_auth_list made = {0};
	struct model *m = begin(env);
	char one[200], two[200];

	assert_code(end(env, apic_auth_create(m, INSTANCE, &in, &made)), 0);
	snprintf(one, sizeof(one), "auth/%.*s/%.*s/%.*s", STR_FMT(ENV_TEST), STR_FMT(api), STR_FMT(APP));
	snprintf(two, sizeof(two), "auth/%.*s/%.*s/%.*s", STR_FMT(ENV_TEST), STR_FMT(api), STR_FMT(APP2));
	project_and_verify(env);
	assert_true(published(env, one).p && published(env, two).p);
	m = begin(env);
	assert_code(end(env, apic_auth_delete(m, INSTANCE, made.auths.v[0].id)), 0);
	project_and_verify(env);
	assert_true(!published(env, one).p && published(env, two).p);
	m = begin(env);
	assert_code(end(env, apic_auth_delete_of_app(m, APP2)), 0);
	project_and_verify(env);
	assert_null(published(env, two).p);
}

static void test_hosts(void **state)
{
	struct fixture *env = *state;
	struct apic_api_group in = {.name = STR("group9")}, group = {0};
	struct apic_url_domain name = {.url_domain = STR("New.Example.com"), .min_ssl_version = STR("TLSv1.2")},
			       bound = {0};
	struct model *m = begin(env);
	char own[128];

	assert_code(end(env, apic_group_create(m, INSTANCE, &in, &group)), 0);
	struct apic_associate_domain_in bind = {.instance_id = INSTANCE, .group_id = group.id, .body = &name};

	m = begin(env);
	assert_code(end(env, apic_domain_bind(m, &bind, &bound)), 0);
	project_and_verify(env);
	snprintf(own, sizeof(own), "host/%.*s", STR_FMT(group.sl_domain));
	assert_true(str_contains(published(env, own), group.id));
	assert_true(str_contains(published(env, "host/new.example.com"), group.id));
	struct apic_disassociate_domain_in unbind = {
		.instance_id = INSTANCE, .group_id = group.id, .domain_id = bound.id};

	m = begin(env);
	assert_code(end(env, apic_domain_unbind(m, &unbind)), 0);
	project_and_verify(env);
	assert_null(published(env, "host/new.example.com").p);
	m = begin(env);
	assert_code(end(env, apic_domain_bind(m, &bind, &bound)), 0);
	project_and_verify(env);
	m = begin(env);
	assert_code(end(env, apic_group_delete(m, INSTANCE, group.id)), 0);
	project_and_verify(env);
	assert_true(!published(env, own).p && !published(env, "host/new.example.com").p);
}

static void test_codes(void **state)
{
	struct fixture *env = *state;
	struct sign_keyring *keys;
	struct apic_app_code one = {0}, two = {0};
	char path[96], key[96];

	snprintf(path, sizeof(path), "%s/master.key", env->dir);
	assert_int_equal(sign_keyring_open(path, true, &keys, &env->m.err), 0);
	env->m.keys = keys;
	struct model *m = begin(env);
	int rc = apic_app_code_create(m, INSTANCE, APP, STR_NONE, &one);

	assert_code(end(env, rc ? rc : apic_app_code_create(m, INSTANCE, APP, STR_NONE, &two)), 0);
	project_and_verify(env);
	snprintf(key, sizeof(key), "appcode/%.*s", STR_FMT(sign_sha256_hex(env->m.arena, one.app_code)));
	assert_true(str_eq(published(env, key), APP));
	m = begin(env);
	assert_code(end(env, apic_app_code_delete_all(m, APP)), 0);
	project_and_verify(env);
	assert_null(published(env, key).p);
	env->m.keys = NULL;
	sign_keyring_free(keys);
}

static void test_instance(void **state)
{
	struct fixture *env = *state;
	struct str id;
	struct model *m = begin(env);

	assert_code(end(env, instance_make(m, STR("p1"), STR("two"), STR(""), STR("u1"), &id)), 0);
	project_and_verify(env);
	m = begin(env);
	assert_code(end(env, instance_delete(m, STR("p1"), id)), 0);
	project_and_verify(env);
	/* Who lost everything but an API in it keeps the instance. */
	make_api(env, "a", "/x", "fixed.example:80");
	m = begin(env);
	assert_code(end(env, instance_delete(m, STR("p1"), INSTANCE)), ERR_APPIA_0409);
}

/* What has been set aside, by the system of record and by the published state. */
static size_t dead(struct fixture *env, const char *key)
{
	struct publish_dead *list = NULL;
	struct pub_view *view;
	size_t n = 0, found = 0;

	env->m.err = (struct err){0};
	assert_int_equal(store_begin(env->store, STORE_READ, &env->m.tx, &env->m.err), 0);
	assert_int_equal(publish_dead_list(&env->m, &list, &n), 0);
	store_rollback(&env->m.tx);
	for (size_t i = 0; i < n; i++)
		found += str_contains(list[i].key, str_of(key)) && list[i].error.n && list[i].since_ms;
	assert_int_equal(pub_view_begin(env->pub, &view, &env->m.err), 0);
	assert_int_equal(pub_set_aside(view), n);
	pub_view_end(&view);
	return key[0] ? found : n;
}

static void say_api(struct fixture *env, struct str api)
{
	char key[128];
	struct model *m = begin(env);

	snprintf(key, sizeof(key), "%.*s/%.*s", STR_FMT(ENV_TEST), STR_FMT(api));
	assert_code(end(env, store_outbox(m->tx, &m->err, STR("api"), str_of(key))), 0);
}

static void damage(struct fixture *env, struct str api, bool repair)
{
	char sql[256];

	snprintf(sql, sizeof(sql), "UPDATE api_version SET doc = %s WHERE api_id = '%.*s'",
		 repair ? "REPLACE(doc, 'broken', '')" : "'broken' || doc", STR_FMT(api));
	run_sql(env, sql);
}

static bool is_published(struct fixture *env, struct str api, const char *text)
{
	char key[128];

	snprintf(key, sizeof(key), "api/%.*s/%.*s", STR_FMT(ENV_TEST), STR_FMT(api));
	struct str value = published(env, key);

	return value.p && str_contains(value, str_of(text));
}

/* One object that cannot be projected keeps no other from it, and comes back by itself. */
static void test_set_aside(void **state)
{
	struct fixture *env = *state;
	struct str host = make_variable(env, "Host", "one.example");
	struct str a = make_api(env, "a", "/x", "#Host#:80"), b = make_api(env, "b", "/y", "#Host#:80");
	char id[64];

	snprintf(id, sizeof(id), "%.*s", STR_FMT(a));
	project_and_verify(env);
	damage(env, a, false);
	say_api(env, a);
	assert_code(set_variable(env, host, "two.example"), ERR_APPIA_0500); /* it reads a as well */
	run_sql(env, "UPDATE api_version SET backend_address = REPLACE(backend_address, 'one', 'two')");
	say_api(env, b);
	say_api(env, a);
	assert_code(publish_run(&env->m, env->pub), 0);
	assert_true(is_published(env, b, "two.example") && is_published(env, a, "one.example"));
	assert_int_equal(dead(env, id), 1);
	/* What comes later goes on, and it is counted once. */
	struct str c = make_api(env, "c", "/z", "late.example:80");

	say_api(env, a);
	assert_code(publish_run(&env->m, env->pub), 0);
	assert_true(is_published(env, c, "late.example"));
	assert_int_equal(dead(env, ""), 1);
	/* A rebuild does without it. */
	assert_code(publish_rebuild(&env->m, env->pub), 0);
	assert_true(is_published(env, b, "two.example") && !is_published(env, a, ""));
	assert_int_equal(dead(env, id), 1);
	project_and_verify(env);
	/* A later row repairs it. */
	damage(env, a, true);
	say_api(env, a);
	project_and_verify(env);
	assert_true(is_published(env, a, "two.example"));
	assert_int_equal(dead(env, ""), 0);
	/* So does the next attempt without one, and a rebuild. */
	for (int i = 0; i < 2; i++) {
		damage(env, a, false);
		say_api(env, a);
		assert_code(publish_run(&env->m, env->pub), 0);
		assert_code(publish_retry(&env->m, env->pub), 0);
		assert_int_equal(dead(env, id), 1);
		damage(env, a, true);
		assert_code(i ? publish_rebuild(&env->m, env->pub) : publish_retry(&env->m, env->pub), 0);
		assert_int_equal(dead(env, ""), 0);
		project_and_verify(env);
	}
}

/* Many at once, of kinds that nobody knows, over several batches. */
static void test_set_aside_many(void **state)
{
	struct fixture *env = *state;
	struct model *m = begin(env);
	int rc = 0;

	for (int i = 0; rc == 0 && i < 1200; i++)
		rc = store_outbox(m->tx, &m->err, i % 2 ? STR("api") : STR("of another release"),
				  arena_fmt(m->arena, "key/%d", i));
	assert_code(end(env, rc), 0);
	struct str api = make_api(env, "a", "/x", "fixed.example:80");

	assert_code(publish_run(&env->m, env->pub), 0);
	assert_true(is_published(env, api, "fixed.example"));
	assert_int_equal(dead(env, ""), 600);
	assert_code(publish_rebuild(&env->m, env->pub), 0);
	assert_int_equal(dead(env, ""), 0);
	project_and_verify(env);
}

/* A crash between what is written to the store and to the published state, either way round. */
static void test_set_aside_crash(void **state)
{
	struct fixture *env = *state;
	struct str a = make_api(env, "a", "/x", "fixed.example:80");
	char sql[300];

	snprintf(sql, sizeof(sql),
		 "INSERT INTO outbox_dead (kind, key, seq, error, since_ms) SELECT 'api', '%.*s/%.*s', MAX(seq), 'x',"
		 " 1 FROM outbox WHERE kind = 'api'",
		 STR_FMT(ENV_TEST), STR_FMT(a));
	run_sql(env, sql);
	/* Set aside, and not yet gone past: it is tried again. */
	project_and_verify(env);
	assert_int_equal(dead(env, ""), 0);
	/* Projected, and not yet forgotten. */
	run_sql(env, sql);
	assert_code(publish_catch_up(&env->m, env->pub), 0);
	assert_int_equal(dead(env, ""), 0);
	assert_true(is_published(env, a, "fixed.example"));
	project_and_verify(env);
}

/* Where the published state has no room, no object is at fault. */
static void test_no_room(void **state)
{
	struct fixture *env = *state;
	char path[96];

	for (int i = 0; i < 60; i++) {
		char name[16];

		snprintf(name, sizeof(name), "many%d", i);
		make_api(env, name, "/x", "fixed.example:80");
	}
	pub_close(env->pub);
	snprintf(path, sizeof(path), "%s/published", env->dir);
	assert_int_equal(pub_open(path, 1, true, &env->pub, &env->m.err), 0);
	assert_code(publish_run(&env->m, env->pub), ERR_APPIA_0507);
	assert_int_equal(dead(env, ""), 0);
	pub_close(env->pub);
	assert_int_equal(pub_open(path, (size_t)256 << 20, true, &env->pub, &env->m.err), 0);
	project_and_verify(env);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, apic_env_setup, apic_env_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_variable_changes),
		TEST(test_environment),
		TEST(test_rights),
		TEST(test_hosts),
		TEST(test_codes),
		TEST(test_instance),
		TEST(test_set_aside),
		TEST(test_set_aside_many),
		TEST(test_set_aside_crash),
		TEST(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
