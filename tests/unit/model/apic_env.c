/* SPDX-License-Identifier: Apache-2.0 */
#include "apic_env.h"

#include "base/mem.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

static int no_project(struct model *m, struct pub_batch *batch, struct str key)
{
	(void)m, (void)batch, (void)key;
	return 0;
}

/* Kinds of domains that are not part of these tests; the real ones take their place where they are linked. */
__attribute__((weak))
const struct publish_kind publish_datasource = {"datasource", no_project, "SELECT id FROM project WHERE 1 = 0"};
__attribute__((weak))
const struct publish_kind publish_livedata = {"livedata", no_project, "SELECT id FROM project WHERE 1 = 0"};

static const char *const rows[] = {
	"INSERT INTO iam_domain (id, name, description, created_ms) VALUES ('d1', 'acme', '', 1)",
	"INSERT INTO project (id, domain_id, name, description, enabled, created_ms, updated_ms)"
	" VALUES ('p1', 'd1', 'local', '', 1, 1, 1)",
	"INSERT INTO instance (id, project_id, name, description, flavor_type, status, maintain_begin, maintain_end,"
	" enterprise_project_id, created_by, created_ms, updated_ms)"
	" VALUES ('instance1', 'p1', 'one', '', 'basic', 'Running', '', '', '', 'u1', 1, 1)",
	"INSERT INTO app (id, instance_id, name, remark, key, secret_sealed, created_by, created_by_name, updated_by,"
	" updated_by_name, created_ms, updated_ms) VALUES ('11111111-1111-4111-8111-111111111111', 'instance1', 'app1',"
	" '', 'key1', '', 'u1', 'u', 'u1', 'u', 1, 1)",
	"INSERT INTO app (id, instance_id, name, remark, key, secret_sealed, created_by, created_by_name, updated_by,"
	" updated_by_name, created_ms, updated_ms) VALUES ('22222222-2222-4222-8222-222222222222', 'instance1', 'app2',"
	" '', 'key2', '', 'u1', 'u', 'u1', 'u', 1, 1)",
	"INSERT INTO api_group (id, instance_id, app_id, name, remark, status, is_default, sl_domain, version, "
	"created_ms,"
	" updated_ms) VALUES ('" GROUP_DEFAULT "', 'instance1', NULL, 'DEFAULT', '', 1, 1, '" GROUP_DEFAULT
	".apic.local', 'V2', 1, 1)",
	"INSERT INTO api_group (id, instance_id, app_id, name, remark, status, is_default, sl_domain, version, "
	"created_ms,"
	" updated_ms) VALUES ('" GROUP
	"', 'instance1', '11111111-1111-4111-8111-111111111111', 'group1', '', 1, 2, '" GROUP
	".apic.local', 'V2', 2, 2)",
	"INSERT INTO api_group (id, instance_id, app_id, name, remark, status, is_default, sl_domain, version, "
	"created_ms,"
	" updated_ms) VALUES ('" GROUP2
	"', 'instance1', '11111111-1111-4111-8111-111111111111', 'group2', '', 1, 2, '" GROUP2
	".apic.local', 'V2', 3, 3)",
	"INSERT INTO url_domain (id, instance_id, group_id, domain, status, min_ssl_version, http_redirect_to_https,"
	" verified_client_certificate, created_ms, updated_ms)"
	" VALUES ('dom1', 'instance1', '" GROUP "', 'www.example.com', 3, 'TLSv1.1', 0, 0, 1, 1)",
	"INSERT INTO api_env (instance_id, id, name, remark, created_ms)"
	" VALUES ('instance1', 'DEFAULT_ENVIRONMENT_RELEASE_ID', 'RELEASE', '', 1)",
	"INSERT INTO api_env (instance_id, id, name, remark, created_ms)"
	" VALUES ('instance1', 'e0000000000000000000000000000001', 'test', '', 2)",
};

struct model *begin(struct fixture *env)
{
	env->m.err = (struct err){0};
	env->m.now_ms += 7;
	assert_int_equal(store_begin(env->store, STORE_WRITE, &env->m.tx, &env->m.err), 0);
	return &env->m;
}

int end(struct fixture *env, int rc)
{
	struct err err;

	if (rc)
		store_rollback(&env->m.tx);
	else if (store_commit(&env->m.tx, &err))
		fail_msg("%s", err.text);
	return rc;
}

void run_sql(struct fixture *env, const char *sql)
{
	struct model *m = begin(env);
	int rc = store_exec(m->tx, &m->err, NULL, sql, "");

	if (end(env, rc))
		fail_msg("%s: %s", sql, m->err.text);
}

void check_code(int rc, int want, const char *text, const char *file, int line)
{
	if (rc == want)
		return;
	print_error("%s %s instead of %s\n", rc ? err_row(rc)->code : "success", rc ? text : "",
		    want ? err_row(want)->code : "success");
	_fail(file, line);
}

static void report(void *ctx, struct str key, const char *what)
{
	(void)ctx;
	print_error("%.*s %s\n", STR_FMT(key), what);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void project_and_verify(struct fixture *env)
{
	char scratch[sizeof(env->dir) + 16];
	size_t differences = 1;

	if (publish_run(&env->m, env->pub))
		fail_msg("%s", env->m.err.text);
	snprintf(scratch, sizeof(scratch), "%s/scratch", env->dir);
	nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	if (publish_verify(&env->m, env->pub, scratch, &differences, report, NULL))
		fail_msg("%s", env->m.err.text);
	assert_int_equal(differences, 0);
}

struct str published(struct fixture *env, const char *key)
{
	struct pub_view *view;
	struct err err;

	assert_int_equal(pub_view_begin(env->pub, &view, &err), 0);
	struct str value = arena_str(env->m.arena, pub_get(view, str_of(key)));

	pub_view_end(&view);
	return value;
}

struct apic_api *definition(struct fixture *env, const char *text)
{
	struct arena *a = env->m.arena;
	char *copy = arena_cstr(a, str_of(text)), why[96];
	const struct json *tree;
	struct apic_api *def = ARENA_NEW(a, struct apic_api);

	for (char *p = copy; *p; p++)
		if (*p == '\'')
			*p = '"';
	if (!json_parse(a, str_of(copy), &tree, why, sizeof(why)))
		fail_msg("%s: %s", why, copy);
	assert_true(schema_load(&doc_apic_api, tree, a, def));
	return def;
}

int apic_env_setup(void **state)
{
	struct fixture *env = mem_zalloc(sizeof(*env));
	char url[128], path[96];
	struct err err;

	snprintf(env->dir, sizeof(env->dir), "/tmp/appia-apic-XXXXXX");
	assert_non_null(mkdtemp(env->dir));
	snprintf(url, sizeof(url), "sqlite:%s/store.db", env->dir);
	if (store_open(url, 2, &env->store, &err))
		fail_msg("%s", err.text);
	snprintf(path, sizeof(path), "%s/published", env->dir);
	if (pub_open(path, (size_t)256 << 20, true, &env->pub, &err))
		fail_msg("%s", err.text);
	env->who = (struct identity){.user_id = STR("u1"), .user_name = STR("u"), .administrator = true};
	env->settings = (struct model_settings){.gateway_domain = STR("apic.local")};
	env->m = (struct model){.arena = arena_new((size_t)1 << 30),
				.store = env->store,
				.who = &env->who,
				.settings = &env->settings,
				.now_ms = 1700000000000};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		run_sql(env, rows[i]);
	if (publish_rebuild(&env->m, env->pub))
		fail_msg("%s", env->m.err.text);
	*state = env;
	return 0;
}

int apic_env_teardown(void **state)
{
	struct fixture *env = *state;

	store_rollback(&env->m.tx);
	pub_close(env->pub);
	store_close(env->store);
	arena_free(env->m.arena);
	nftw(env->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(env);
	return 0;
}
