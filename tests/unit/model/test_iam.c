/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/enc.h"
#include "base/mem.h"
#include "model/iam/access_key.h"
#include "model/iam/authenticate.h"
#include "model/iam/bootstrap.h"
#include "model/iam/group.h"
#include "model/iam/password.h"
#include "model/iam/roles.h"
#include "model/iam/token.h"
#include "model/iam/user.h"
#include "model/public/app.h"
#include "model/public/instance.h"
#include "model/publish/publish.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define MINUTE ((int64_t)60 * 1000)
#define PASSWORD STR("Example_Pa55")

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

struct fixture {
	char dir[64];
	struct store *store;
	struct pub *pub;
	struct sign_keyring *keys;
	struct model_settings settings;
	struct identity who; /* the administrator */
	struct iam_bootstrap_result first;
	struct model m;
};

static struct model *begin(struct fixture *f)
{
	f->m.err = (struct err){0};
	f->m.now_ms += 7;
	assert_int_equal(store_begin(f->store, STORE_WRITE, &f->m.tx, &f->m.err), 0);
	return &f->m;
}

static int end(struct fixture *f, int rc)
{
	struct err err;

	if (rc)
		store_rollback(&f->m.tx);
	else if (store_commit(&f->m.tx, &err))
		fail_msg("%s", err.text);
	return rc;
}

static int first_start(struct fixture *f, bool *ret_created)
{
	return end(f, iam_bootstrap(begin(f), STR("acme"), STR("admin"), PASSWORD, &f->first, ret_created));
}

static int setup(void **state)
{
	static struct fixture fixture;
	struct fixture *f = &fixture;
	char path[128], url[160];
	bool created = false;
	struct err err;

	*f = (struct fixture){.dir = "/tmp/appia-iam-XXXXXX"};
	assert_non_null(mkdtemp(f->dir));
	snprintf(url, sizeof(url), "sqlite:%s/a.db", f->dir);
	assert_int_equal(store_open(url, 4, &f->store, &err), 0);
	snprintf(path, sizeof(path), "%s/master.key", f->dir);
	assert_int_equal(sign_keyring_open(path, true, &f->keys, &err), 0);
	snprintf(path, sizeof(path), "%s/published", f->dir);
	assert_int_equal(pub_open(path, (size_t)16 << 20, true, &f->pub, &err), 0);
	f->settings = (struct model_settings){.region = STR("local"),
					      .management_url = STR("http://127.0.0.1:8080"),
					      .gateway_domain = STR("apic.local"),
					      .token_lifetime_ms = 24 * 60 * MINUTE,
					      .lock_after = 5,
					      .lock_for_ms = 15 * MINUTE};
	f->m = (struct model){.arena = arena_new((size_t)256 << 20),
			      .store = f->store,
			      .keys = f->keys,
			      .settings = &f->settings,
			      .now_ms = 1700000000000};
	assert_int_equal(first_start(f, &created), 0);
	assert_true(created);
	f->who = (struct identity){.user_id = f->first.user_id,
				   .user_name = f->first.user,
				   .domain_id = f->first.domain_id,
				   .domain_name = f->first.domain,
				   .project_id = f->first.project_id,
				   .administrator = true};
	f->m.who = &f->who;
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pub_close(f->pub);
	store_close(f->store);
	sign_keyring_free(f->keys);
	arena_free(f->m.arena);
	nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return 0;
}

static void test_bootstrap_once(void **state)
{
	struct fixture *f = *state;
	struct iam_bootstrap_result before = f->first;
	bool created = true;

	assert_int_equal(first_start(f, &created), 0);
	assert_false(created);
	assert_true(str_eq(before.secret_key, f->first.secret_key));
	assert_int_equal(f->first.access_key.n, 20);
	assert_int_equal(f->first.secret_key.n, 40);
	assert_true(str_is(f->first.project_name, "local"));
}

static int login(struct fixture *f, const char *password)
{
	struct iam_login who = {.user_name = STR("admin"), .domain_name = STR("acme")};
	struct iam_account account;

	f->m.err = (struct err){0};
	return iam_password_check(&f->m, &who, str_of(password), &account);
}

static void test_lock_out(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++)
		assert_int_equal(login(f, "wrong"), ERR_401_WRONG_PASSWORD);
	assert_int_equal(login(f, "Example_Pa55"), ERR_401_ACCOUNT_LOCKED);
	f->m.now_ms += 15 * MINUTE - 1;
	assert_int_equal(login(f, "Example_Pa55"), ERR_401_ACCOUNT_LOCKED);
	f->m.now_ms += 1;
	assert_int_equal(login(f, "Example_Pa55"), 0);
}

/* Wrong ones count within 15 minutes only, and a right one forgives them. */
static void test_lock_window(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 4; i++)
		assert_int_equal(login(f, "wrong"), ERR_401_WRONG_PASSWORD);
	f->m.now_ms += 15 * MINUTE;
	assert_int_equal(login(f, "wrong"), ERR_401_WRONG_PASSWORD);
	assert_int_equal(login(f, "Example_Pa55"), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(login(f, "wrong"), ERR_401_WRONG_PASSWORD);
	assert_int_equal(login(f, "Example_Pa55"), 0);
}

static void *guess(void *arg)
{
	struct fixture mine = *(struct fixture *)arg;

	mine.m.arena = arena_new((size_t)16 << 20);
	mine.m.err = (struct err){0};
	int rc = login(&mine, "wrong");

	arena_free(mine.m.arena);
	return (void *)(intptr_t)rc;
}

/* Guesses that come all at once do not outrun the lock. */
static void test_lock_many(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[12];
	int checked = 0;

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, guess, f), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		void *rc;

		pthread_join(threads[i], &rc);
		checked += (int)(intptr_t)rc == ERR_401_WRONG_PASSWORD;
	}
	assert_int_equal(checked, 5);
	assert_int_equal(login(f, "Example_Pa55"), ERR_401_ACCOUNT_LOCKED);
}

static void test_unknown_user(void **state)
{
	struct fixture *f = *state;
	struct iam_login nobody = {.user_name = STR("nobody"), .domain_name = STR("acme")};
	struct iam_login elsewhere = {.user_name = STR("admin"), .domain_name = STR("other")};
	struct iam_login null = {.user_name = STR("a"), .domain_id = STR("")};
	struct iam_account account;

	assert_int_equal(iam_password_check(&f->m, &nobody, PASSWORD, &account), ERR_401_WRONG_PASSWORD);
	assert_int_equal(iam_password_check(&f->m, &elsewhere, PASSWORD, &account), ERR_401_WRONG_PASSWORD);
	assert_int_equal(iam_password_check(&f->m, &null, STR(""), &account), ERR_401_WRONG_PASSWORD);
}

static struct str new_token(struct fixture *f)
{
	struct str method = STR("password"), text = STR_NONE;
	struct iam_domain_ref domain = {.name = STR("acme")};
	struct iam_password_user user = {.name = STR("admin"), .password = PASSWORD, .domain = &domain};
	struct iam_password_method by_password = {&user};
	struct iam_identity identity = {.methods = {&method, 1}, .password = &by_password};
	struct iam_project_ref project = {.name = STR("local")};
	struct iam_scope scope = {.project = &project};
	struct iam_auth auth = {&identity, &scope};
	struct iam_token out = {0};

	f->m.now_ms += 7; /* what was made in one millisecond with the password is older than it */
	if (iam_token_create(&f->m, &auth, true, &out, &text))
		fail_msg("%s", f->m.err.text);
	assert_true(str_eq(out.project->id, f->first.project_id));
	return text;
}

static int use_token(struct fixture *f, struct str token, struct identity *who)
{
	struct iam_credentials c = {.token = token};
	struct identity unused;

	return end(f, iam_authenticate(begin(f), &c, who ? who : &unused));
}

static void test_token(void **state)
{
	struct fixture *f = *state;
	struct str token = new_token(f), forged = arena_str(f->m.arena, token);
	struct identity who;

	assert_int_equal(use_token(f, token, &who), 0);
	assert_true(str_eq(who.user_id, f->first.user_id) && str_eq(who.project_id, f->first.project_id));
	assert_true(who.administrator && !who.reader);
	for (size_t i = 0; i < forged.n; i += 7) {
		char *p = arena_cstr(f->m.arena, token);

		p[i] = p[i] == 'A' ? 'B' : 'A';
		assert_int_equal(use_token(f, (struct str){p, token.n}, NULL), ERR_IAM_0067);
	}
	f->m.now_ms += 24 * 60 * MINUTE - 1000;
	assert_int_equal(use_token(f, token, NULL), 0);
	f->m.now_ms += 1000;
	assert_int_equal(use_token(f, token, NULL), ERR_IAM_0066);
	assert_int_equal(use_token(f, STR_NONE, NULL), ERR_APPIA_0401);
}

static void test_token_ends_with_password(void **state)
{
	struct fixture *f = *state;
	struct str token = new_token(f);

	assert_int_equal(iam_password_change(&f->m, f->first.user_id, PASSWORD, PASSWORD), ERR_1108);
	assert_int_equal(iam_password_change(&f->m, f->first.user_id, STR("wrong"), STR("Other_Pa55")), ERR_IAM_0062);
	assert_int_equal(use_token(f, token, NULL), 0);
	assert_int_equal(iam_password_change(&f->m, f->first.user_id, PASSWORD, STR("Other_Pa55")), 0);
	assert_int_equal(use_token(f, token, NULL), ERR_IAM_0067);
	assert_int_equal(login(f, "Other_Pa55"), 0);
}

/* A clock that is set back must not lock everybody out until it has caught up. */
static void test_token_after_clock_step(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(iam_password_change(&f->m, f->first.user_id, PASSWORD, STR("Other_Pa55")), 0);
	assert_int_equal(iam_password_change(&f->m, f->first.user_id, STR("Other_Pa55"), PASSWORD), 0);
	f->m.now_ms -= 60 * MINUTE;
	struct str token = new_token(f);

	assert_int_equal(use_token(f, token, NULL), 0);
}

static struct str administrators(struct fixture *f)
{
	struct iam_group_array groups = {0};

	assert_int_equal(end(f, iam_group_list_by(begin(f), STR_NONE, STR("admin"), &groups)), 0);
	assert_int_equal(groups.n, 1);
	return groups.v[0].id;
}

/* However the last one would go. */
static void test_last_administrator(void **state)
{
	struct fixture *f = *state;
	struct iam_user in = {.name = STR("jane"), .password = PASSWORD}, jane = {0}, out = {0};
	struct iam_user off = {.enabled = false, .has_enabled = true}, on = {.enabled = true, .has_enabled = true};
	struct str group = administrators(f);

	assert_int_equal(end(f, iam_user_create(begin(f), &in, &jane)), 0);
	assert_int_equal(end(f, iam_group_remove(begin(f), group, f->first.user_id)), ERR_IAM_0002);
	assert_int_equal(end(f, iam_group_add(begin(f), group, jane.id)), 0);
	assert_int_equal(end(f, iam_user_update(begin(f), jane.id, &off, &out)), 0);
	assert_int_equal(end(f, iam_group_remove(begin(f), group, f->first.user_id)), ERR_IAM_0002);
	assert_int_equal(end(f, iam_user_update(begin(f), jane.id, &on, &out)), 0);
	assert_int_equal(end(f, iam_group_remove(begin(f), group, f->first.user_id)), 0);
	assert_int_equal(end(f, iam_user_update(begin(f), jane.id, &off, &out)), ERR_IAM_0002);
	assert_int_equal(end(f, iam_user_delete(begin(f), jane.id)), ERR_IAM_0002);
	assert_int_equal(end(f, iam_group_add(begin(f), group, f->first.user_id)), 0);
	assert_int_equal(end(f, iam_user_delete(begin(f), jane.id)), 0);
}

static int signed_call(struct fixture *f, struct str access, struct str secret, struct str security_token,
		       struct identity *ret)
{
	char date[32];
	time_t at = (time_t)(f->m.now_ms / 1000);
	struct tm tm;

	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", gmtime_r(&at, &tm));
	struct sign_pair headers[] = {{STR("Host"), STR("127.0.0.1")}, {STR("X-Sdk-Date"), str_of(date)}};
	struct iam_credentials c = {.security_token = security_token,
				    .path_project_id = f->first.project_id,
				    .request = {.method = STR("GET"),
						.path = STR("/v3/projects"),
						.headers = headers,
						.n_headers = 2,
						.body_sha256 = SIGN_EMPTY_BODY}};

	c.authorization = sign_make(f->m.arena, &c.request, access, secret);
	int rc = iam_authenticate(begin(f), &c, ret);

	store_rollback(&f->m.tx);
	return rc;
}

static void test_key_lock(void **state)
{
	struct fixture *f = *state;
	struct str access = f->first.access_key, secret = f->first.secret_key;
	struct identity who;

	assert_int_equal(signed_call(f, access, secret, STR_NONE, &who), 0);
	assert_true(str_eq(who.project_id, f->first.project_id) && str_eq(who.access_key, access));
	for (int i = 0; i < 5; i++)
		assert_int_equal(signed_call(f, access, STR("wrong"), STR_NONE, &who), ERR_IAM_0063);
	assert_int_equal(signed_call(f, access, secret, STR_NONE, &who), ERR_IAM_0061);
	f->m.now_ms += 5 * MINUTE - 1000;
	assert_int_equal(signed_call(f, access, secret, STR_NONE, &who), ERR_IAM_0061);
	f->m.now_ms += 1000;
	assert_int_equal(signed_call(f, access, secret, STR_NONE, &who), 0);
}

static void test_temporary_key(void **state)
{
	struct fixture *f = *state;
	struct str method = STR("token"), token = new_token(f);
	struct iam_identity_token asked = {.id = token, .duration_seconds = 900, .has_duration_seconds = true};
	struct iam_token_auth_identity identity = {.methods = {&method, 1}, .token = &asked};
	struct iam_token_auth auth = {&identity};
	struct iam_security_token key = {0};
	struct identity who;

	assert_int_equal(end(f, iam_access_key_lend(begin(f), &auth, &key)), 0);
	assert_int_equal(signed_call(f, key.access, key.secret, key.securitytoken, &who), 0);
	assert_true(str_eq(who.project_id, f->first.project_id));
	assert_int_equal(signed_call(f, f->first.access_key, key.secret, key.securitytoken, &who), ERR_IAM_0063);
	assert_int_equal(signed_call(f, key.access, key.secret, STR("x"), &who), ERR_IAM_0063);
	f->m.now_ms += 15 * MINUTE;
	assert_int_equal(signed_call(f, key.access, key.secret, key.securitytoken, &who), ERR_IAM_0063);
}

static void test_roles(void **state)
{
	enum { A = SIGN_ROLE_ADMINISTRATOR, D = SIGN_ROLE_DEVELOPER, O = SIGN_ROLE_OPERATOR, R = SIGN_ROLE_READER };
	static const struct {
		const char *action;
		bool writes;
		unsigned allowed;
	} rows[] = {
		{"roma:apis:list", false, A | D | O | R},
		{"roma:apis:get", false, A | D | O | R},
		{"roma:apis:create", true, A | D},
		{"roma:apis:delete", true, A | D},
		{"roma:apis:release", true, A | D | O},
		{"roma:tasks:operate", true, A | D | O},
		{"roma:instances:create", true, A},
		{"roma:instances:delete", true, A},
		{"roma:instances:list", false, A | D | O | R},
		{"roma:applications:user", true, A | D},
		{NULL, false, A | D | O | R},
		{NULL, true, A | D},
		{"roma:apis:listen", false, A | D},
		{"", true, A | D},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		for (unsigned role = 1; role <= R; role <<= 1)
			assert_int_equal(iam_roles_permit(role, rows[i].action, rows[i].writes),
					 (rows[i].allowed & role) != 0);
		assert_false(iam_roles_permit(0, rows[i].action, rows[i].writes));
		assert_true(iam_roles_permit(O | D, "roma:apis:create", true));
	}
}

static void report(void *ctx, struct str key, const char *what)
{
	(void)ctx;
	print_error("%.*s %s\n", STR_FMT(key), what);
}

static void project(struct fixture *f)
{
	char scratch[sizeof(f->dir) + 16];
	size_t differences = 1;

	if (publish_run(&f->m, f->pub))
		fail_msg("%s", f->m.err.text);
	snprintf(scratch, sizeof(scratch), "%s/scratch", f->dir);
	nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	if (publish_verify(&f->m, f->pub, scratch, &differences, report, NULL))
		fail_msg("%s", f->m.err.text);
	assert_int_equal(differences, 0);
}

static struct str published(struct fixture *f, const char *kind, struct str key)
{
	struct pub_view *view;
	char name[PUB_KEY_MAX + 1];

	assert_int_equal(pub_view_begin(f->pub, &view, &f->m.err), 0);
	struct str value = arena_str(f->m.arena, pub_get(view, pub_key(name, kind, key, STR_NONE, STR_NONE)));

	pub_view_end(&view);
	return value;
}

static void test_publish_users_and_keys(void **state)
{
	struct fixture *f = *state;
	struct iam_user in = {.name = STR("jane"), .password = PASSWORD}, jane = {0}, again = {0};
	struct iam_credential key = {0};
	struct pub_user user;
	struct pub_ak ak;
	struct str secret;

	assert_int_equal(end(f, iam_user_create(begin(f), &in, &jane)), 0);
	assert_int_equal(end(f, iam_access_key_create(begin(f), jane.id, STR_NONE, &key)), 0);
	project(f);
	assert_true(pub_user_decode(published(f, "user", jane.id), &user));
	assert_false(user.disabled);
	assert_true(pub_ak_decode(published(f, "ak", key.access), &ak));
	assert_true(str_eq(ak.project_id, f->first.project_id));
	assert_true(sign_open(f->m.arena, f->keys, IAM_SEAL_SECRET, ak.sealed_secret, &secret));
	assert_true(str_eq(secret, key.secret));
	in = (struct iam_user){.enabled = false, .has_enabled = true};
	assert_int_equal(end(f, iam_user_update(begin(f), jane.id, &in, &again)), 0);
	project(f);
	assert_true(pub_user_decode(published(f, "user", jane.id), &user));
	assert_true(user.disabled && user.tokens_after_ms > 0);
	assert_null(published(f, "ak", key.access).p);
	assert_int_equal(end(f, iam_user_delete(begin(f), jane.id)), 0);
	project(f);
	assert_null(published(f, "user", jane.id).p);
}

static void write_sql(struct fixture *f, const char *sql)
{
	assert_int_equal(store_exec(begin(f)->tx, &f->m.err, NULL, sql, ""), 0);
	assert_int_equal(end(f, 0), 0);
}

static int64_t outbox_rows(struct fixture *f)
{
	int64_t n = -1;

	assert_int_equal(store_get_int(begin(f)->tx, &f->m.err, &n, NULL, "SELECT COUNT(*) FROM outbox", ""), 0);
	assert_int_equal(end(f, 0), 0);
	return n;
}

/* What is not yet projected is not thrown away, and what is lost is made anew. */
static void test_publish_catches_up(void **state)
{
	struct fixture *f = *state;
	struct iam_user in = {.name = STR("jane"), .password = PASSWORD}, jane = {0};
	int64_t before = outbox_rows(f);
	char path[sizeof(f->dir) + 16];

	assert_int_equal(publish_trim(&f->m, f->pub, 1), 0);
	assert_int_equal(outbox_rows(f), before); /* nothing was projected */
	project(f);
	assert_int_equal(end(f, iam_user_create(begin(f), &in, &jane)), 0);
	assert_int_equal(publish_trim(&f->m, f->pub, 1), 0);
	project(f);
	assert_true(published(f, "user", jane.id).p);
	assert_int_equal(publish_trim(&f->m, f->pub, 1), 0);
	assert_int_equal(outbox_rows(f), 1);
	/* The published state is gone, its rows of the outbox long since too. */
	pub_close(f->pub);
	snprintf(path, sizeof(path), "%s/published", f->dir);
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	assert_int_equal(pub_open(path, (size_t)16 << 20, true, &f->pub, &f->m.err), 0);
	assert_int_equal(publish_catch_up(&f->m, f->pub), 0);
	assert_true(published(f, "user", jane.id).p);
	project(f);
	/* The system of record was put back to an earlier state than the published one. */
	write_sql(f, "DELETE FROM iam_user WHERE name = 'jane'");
	write_sql(f, "UPDATE outbox SET seq = 1");
	assert_int_equal(publish_catch_up(&f->m, f->pub), 0);
	assert_null(published(f, "user", jane.id).p);
	project(f);
}

static void test_publish_apps(void **state)
{
	struct fixture *f = *state;
	struct public_app in = {.name = STR("one"), .key = STR("key-1")}, app = {0}, next = {0};
	struct public_app_secret secret = {0};
	struct pub_app found;
	struct str plain;

	assert_int_equal(end(f, app_create(begin(f), f->first.instance_id, &in, &app)), 0);
	assert_int_equal(end(f, app_secret_reset(begin(f), f->first.instance_id, app.id, STR("s3cret"), &secret)), 0);
	project(f);
	assert_true(str_eq(published(f, "appkey", STR("key-1")), app.id));
	assert_true(pub_app_decode(published(f, "app", app.id), &found));
	assert_true(sign_open(f->m.arena, f->keys, APP_SEAL_SECRET, found.sealed_secret, &plain) &&
		    str_is(plain, "s3cret"));
	/* The key goes to another application, both changes in one batch. */
	assert_int_equal(end(f, app_delete(begin(f), f->first.instance_id, app.id)), 0);
	assert_int_equal(end(f, app_create(begin(f), f->first.instance_id, &in, &next)), 0);
	project(f);
	assert_true(str_eq(published(f, "appkey", STR("key-1")), next.id));
	assert_null(published(f, "app", app.id).p);
}

static void test_app_require(void **state)
{
	struct fixture *f = *state;
	struct iam_user in = {.name = STR("jane"), .password = PASSWORD}, jane = {0};
	struct public_app fields = {.name = STR("one")}, app = {0};
	struct str read = STR("read"), instance = f->first.instance_id;
	struct public_app_user member = {.roles = {&read, 1}};
	struct public_app_user_array members = {&member, 1};
	struct public_app_user_list list = {0};
	struct identity other;

	assert_int_equal(end(f, iam_user_create(begin(f), &in, &jane)), 0);
	assert_int_equal(end(f, app_create(begin(f), instance, &fields, &app)), 0);
	other = (struct identity){.user_id = jane.id, .domain_id = f->first.domain_id, .developer = true};
	assert_int_equal(end(f, app_require(begin(f), instance, app.id, APP_ADMIN)), 0);
	assert_int_equal(end(f, app_require(begin(f), instance, STR("x"), APP_READ)), APP_UNKNOWN);
	assert_int_equal(end(f, app_require(begin(f), STR("x"), app.id, APP_READ)), APP_UNKNOWN);
	f->m.who = &other;
	assert_int_equal(end(f, app_require(begin(f), instance, app.id, APP_READ)), APP_FORBIDDEN);
	f->m.who = &f->who;
	member.id = jane.id;
	assert_int_equal(end(f, app_member_set(begin(f), instance, app.id, &members, &list)), 0);
	f->m.who = &other;
	assert_int_equal(end(f, app_require(begin(f), instance, app.id, APP_READ)), 0);
	assert_int_equal(end(f, app_require(begin(f), instance, app.id, APP_MODIFY)), APP_FORBIDDEN);
	f->m.who = &f->who;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bootstrap_once),
		TEST(test_lock_out),
		TEST(test_lock_window),
		TEST(test_lock_many),
		TEST(test_unknown_user),
		TEST(test_token),
		TEST(test_token_ends_with_password),
		TEST(test_token_after_clock_step),
		TEST(test_last_administrator),
		TEST(test_key_lock),
		TEST(test_temporary_key),
		TEST(test_roles),
		TEST(test_publish_users_and_keys),
		TEST(test_publish_catches_up),
		TEST(test_publish_apps),
		TEST(test_app_require),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
