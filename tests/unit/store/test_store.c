/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "pg_server.h"
#include "store/store_priv.h"

#include "base/clock.h"
#include "base/mem.h"

#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The same tests for both engines: each on an empty database of its own. */
static bool on_pg;

struct env {
	char dir[64], url[384];
	struct store *store;
	struct arena *a;
};

static const char tables_sqlite[] =
	"CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT UNIQUE, data BYTEA, doc TEXT, n BIGINT);"
	"CREATE TABLE child (id BIGINT PRIMARY KEY, item_id BIGINT NOT NULL REFERENCES item(id));";
static const char tables_pg[] =
	"CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT COLLATE \"C\" UNIQUE, data BYTEA, doc TEXT, n BIGINT);"
	"CREATE TABLE child (id BIGINT PRIMARY KEY, item_id BIGINT NOT NULL REFERENCES item(id));";
static const struct store_migration test_tables = {900, "test", "t1", tables_sqlite, tables_pg};

static void check_ok(int r, const struct err *err, const char *file, int line)
{
	if (r < 0) {
		print_error("%s: %s\n", err_row(r)->code, err->text);
		_fail(file, line);
	}
}

#define OK(call) check_ok((call), &err, __FILE__, __LINE__)

/* All migrations of the program and those given; with store == NULL opens, else migrates what is open. */
static int open_with(struct env *env, unsigned connections, struct store *store, const struct store_migration *more,
		     size_t n, struct store **ret, struct err *err)
{
	size_t all_n = store__migrations_n + n;
	struct store_migration *all = mem_zalloc(all_n * sizeof(*all));
	int r;

	memcpy(all, store__migrations, store__migrations_n * sizeof(*all));
	memcpy(all + store__migrations_n, more, n * sizeof(*all));
	r = store ? store__migrate(store, all, all_n, err) : store__open(env->url, connections, all, all_n, ret, err);
	free(all);
	return r;
}

static int migrate_with(struct store *store, const struct store_migration *more, size_t n, struct err *err)
{
	return open_with(NULL, 0, store, more, n, NULL, err);
}

static int open_tables(struct env *env, unsigned connections, struct store **ret, struct err *err)
{
	return open_with(env, connections, NULL, &test_tables, 1, ret, err);
}

static void open_env(struct env *env, unsigned connections)
{
	struct err err;

	OK(open_tables(env, connections, &env->store, &err));
}

static int setup(void **state)
{
	struct env *env = mem_zalloc(sizeof(*env));

	snprintf(env->dir, sizeof(env->dir), "/tmp/appia-store-XXXXXX");
	assert_non_null(mkdtemp(env->dir));
	if (on_pg)
		pg_server_fresh(env->url, sizeof(env->url));
	else
		snprintf(env->url, sizeof(env->url), "sqlite:%s/a.db", env->dir);
	env->a = arena_new(64 << 20);
	open_env(env, 4);
	*state = env;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct env *env = *state;

	store_close(env->store);
	arena_free(env->a);
	nftw(env->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(env);
	store__wait_ms = 5000;
	return 0;
}

static int64_t count(struct store *store, const char *sql)
{
	struct store_tx *tx;
	struct err err;
	int64_t n = -1;

	OK(store_begin(store, STORE_READ, &tx, &err));
	OK(store_get_int(tx, &err, &n, NULL, sql, ""));
	store_rollback(&tx);
	return n;
}

static int insert(struct store_tx *tx, struct err *err, int64_t id, struct str name)
{
	return store_exec(tx, err, NULL, "INSERT INTO item (id, name) VALUES (?, ?)", "is", id, name);
}

static void test_types(void **state)
{
	struct env *env = *state;
	struct store_tx *tx;
	struct store_rows *rows;
	struct err err;
	int64_t big = INT64_MIN;
	struct str text = STR("it's \"\xc3\xa9\" ? $1 \\ %"), bytes = STR("\0\xff\x01'\\x");

	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(store_exec(tx, &err, NULL, "INSERT INTO item (id, name, data, n) VALUES (?, ?, ?, ?)", "isbn", INT64_MAX,
		      text, bytes, &big));
	OK(store_exec(tx, &err, NULL, "INSERT INTO item (id, name, data, n) VALUES (?, ?, ?, ?)", "isbn", (int64_t)-1,
		      STR_NONE, STR_NONE, (const int64_t *)NULL));
	OK(store_exec(tx, &err, NULL, "INSERT INTO item (id, name, data) VALUES (?, ?, ?)", "isb", (int64_t)0, STR(""),
		      STR("")));
	OK(store_commit(&tx, &err));
	assert_null(tx);

	OK(store_begin(env->store, STORE_READ, &tx, &err));
	OK(store_query(tx, &err, &rows,
		       "SELECT id, name, data, n, name = 'a?' FROM item -- why?\n WHERE id >= ? ORDER BY id", "i",
		       (int64_t)-1));
	assert_true(store_next(rows));
	assert_int_equal(store_int(rows, 0), -1);
	assert_true(store_null(rows, 1) && store_null(rows, 2) && store_null(rows, 3));
	assert_null(store_str(rows, 1, env->a).p);
	assert_int_equal(store_int(rows, 3), 0);
	assert_null(store_doc(rows, 1, NULL, env->a));
	assert_true(store_next(rows));
	assert_true(!store_null(rows, 1) && store_str(rows, 1, env->a).p && store_str(rows, 1, env->a).n == 0);
	assert_true(!store_null(rows, 2) && store_str(rows, 2, env->a).p && store_str(rows, 2, env->a).n == 0);
	assert_true(store_next(rows));
	assert_true(store_int(rows, 0) == INT64_MAX && store_int(rows, 3) == INT64_MIN);
	assert_true(str_eq(store_str(rows, 1, env->a), text));
	assert_true(str_eq(store_str(rows, 2, env->a), bytes));
	assert_int_equal(store_int(rows, 4), 0);
	assert_false(store_next(rows));
	assert_false(store_next(rows));
	OK(store_done(&rows, &err));
	assert_null(rows);
	OK(store_commit(&tx, &err));
}

static void test_helpers(void **state)
{
	struct env *env = *state;
	struct store_tx *tx;
	struct err err;
	int64_t n = 7, changed = -1;
	struct str s = STR("untouched");
	bool found = true;

	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(store_get_int(tx, &err, &n, &found, "SELECT id FROM item WHERE id = ?", "i", (int64_t)1));
	assert_true(!found && n == 7);
	OK(store_get_str(tx, &err, env->a, &s, &found, "SELECT name FROM item", ""));
	assert_true(!found && str_is(s, "untouched"));
	OK(store_get_int(tx, &err, &n, &found, "INSERT INTO item (id, name) VALUES (?, ?) RETURNING id", "is",
			 (int64_t)5, STR("Five_%")));
	assert_true(found && n == 5);
	OK(insert(tx, &err, 6, STR("six")));
	OK(store_exec(tx, &err, &changed, "UPDATE item SET n = ?", "i", (int64_t)1));
	assert_int_equal(changed, 2);
	OK(store_get_str(tx, &err, env->a, &s, &found, "SELECT name FROM item WHERE LOWER(name) LIKE ? ESCAPE '\\'",
			 "s", store_like(env->a, STR("FIVE_%"))));
	assert_true(found && str_is(s, "Five_%"));
	OK(store_get_int(tx, &err, &n, &found, "SELECT COUNT(*) FROM item WHERE LOWER(name) LIKE ? ESCAPE '\\'", "s",
			 store_like(env->a, STR_NONE)));
	assert_int_equal(n, 2);
	OK(store_get_int(tx, &err, &n, &found,
			 "SELECT COUNT(*) FROM item WHERE (? IS NULL OR name = ?) LIMIT ? OFFSET ?", "ssii", STR_NONE,
			 STR_NONE, (int64_t)1, (int64_t)0));
	assert_int_equal(n, 2);
	store_rollback(&tx);
	assert_null(tx);
	store_rollback(&tx);
	assert_true(str_is(store_like(env->a, STR("A%_\\\xc3\x89")), "%a\\%\\_\\\\\xc3\x89%"));
}

struct part {
	struct str label;
};

struct thing {
	struct str name;
	int64_t size;
	bool size_set, on, on_set;
	struct {
		struct part *v;
		size_t n;
	} parts;
	const struct json *any;
};

static const struct json_schema str_schema = {.kind = JSON_STRING, .max_len = 3},
				int_schema = {.kind = JSON_INT, .flags = SCHEMA_HAS_MAX, .max = 1},
				bool_schema = {.kind = JSON_BOOL}, any_schema = {.kind = JSON_ANY};
static const struct json_field part_fields[] = {
	{"label", &str_schema, offsetof(struct part, label), SCHEMA_NO_OFFSET, true, NULL},
};
static const struct json_schema part_schema = {
	.kind = JSON_OBJECT, .fields = part_fields, .n_fields = 1, .size = sizeof(struct part), .name = "Part"};
static const struct json_schema parts_schema = {.kind = JSON_ARRAY, .items = &part_schema, .max_len = 1};
static const struct json_field thing_fields[] = {
	{"name", &str_schema, offsetof(struct thing, name), SCHEMA_NO_OFFSET, true, NULL},
	{"size", &int_schema, offsetof(struct thing, size), offsetof(struct thing, size_set), false, NULL},
	{"on", &bool_schema, offsetof(struct thing, on), offsetof(struct thing, on_set), false, "true"},
	{"parts", &parts_schema, offsetof(struct thing, parts), SCHEMA_NO_OFFSET, false, NULL},
	{"any", &any_schema, offsetof(struct thing, any), SCHEMA_NO_OFFSET, false, NULL},
};
static const struct json_schema thing_schema = {
	.kind = JSON_OBJECT, .fields = thing_fields, .n_fields = 5, .size = sizeof(struct thing), .name = "Thing"};

/* Values beyond their constraints come back: constraints hold at the door only. */
static void test_documents(void **state)
{
	struct env *env = *state;
	struct store_tx *tx;
	struct store_rows *rows;
	struct err err;
	struct part parts[] = {{STR("first one")}, {STR("second")}};
	struct thing in = {.name = STR("longer than three"), .size = 99, .size_set = true, .parts = {parts, 2}};
	struct thing small = {.name = STR("b")};

	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(store_exec(tx, &err, NULL, "INSERT INTO item (id, doc, name) VALUES (?, ?, ?), (2, ?, 'x'), (3, ?, 'y')",
		      "idsdd", (int64_t)1, &thing_schema, &in, STR("n"), &thing_schema, &small, &thing_schema, NULL));
	OK(store_query(tx, &err, &rows, "SELECT doc FROM item ORDER BY id", ""));
	assert_true(store_next(rows));
	struct thing *out = store_doc(rows, 0, &thing_schema, env->a);

	assert_true(str_eq(out->name, in.name) && out->size == 99 && out->size_set);
	assert_true(out->on && out->on_set);
	assert_int_equal(out->parts.n, 2);
	assert_true(str_is(out->parts.v[1].label, "second"));
	assert_null(out->any);
	assert_true(store_next(rows));
	out = store_doc(rows, 0, &thing_schema, env->a);
	assert_true(str_is(out->name, "b") && !out->size_set && !out->parts.v);
	assert_true(store_next(rows));
	assert_null(store_doc(rows, 0, &thing_schema, env->a));
	OK(store_done(&rows, &err));
	OK(store_commit(&tx, &err));
}

static void test_bad_documents(void **state)
{
	static const char *const bad[] = {"", "{", "[]", "{\"name\":1}", "{\"name\":\"a\",\"parts\":[1]}", "null"};
	struct env *env = *state;
	struct store_tx *tx;
	struct store_rows *rows;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		OK(store_begin(env->store, STORE_WRITE, &tx, &err));
		OK(store_exec(tx, &err, NULL, "INSERT INTO item (id, doc) VALUES (1, ?), (2, '{}')", "s",
			      str_of(bad[i])));
		OK(store_query(tx, &err, &rows, "SELECT doc FROM item ORDER BY id", ""));
		assert_true(store_next(rows));
		struct thing *out = store_doc(rows, 0, &thing_schema, env->a);

		assert_true(out && !out->name.p);
		assert_false(store_next(rows));
		assert_int_equal(store_done(&rows, &err), ERR_APPIA_0500);
		assert_int_equal(store_commit(&tx, &err), ERR_APPIA_0500);
	}
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM item"), 0);
}

/* What went wrong, and that nothing of such a transaction stays. */
static void expect_failure(struct env *env, int code, const char *sql, const char *types, struct str arg)
{
	struct store_tx *tx;
	struct err err = {0};

	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(insert(tx, &err, 100, STR("before")));
	assert_int_equal(store_exec(tx, &err, NULL, sql, types, arg), code);
	assert_int_equal(err.code, code);
	assert_false(err.retriable);
	assert_null(strstr(err.text, "item"));
	assert_int_equal(insert(tx, &err, 101, STR("after")), code);
	assert_int_equal(store_commit(&tx, &err), code);
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM item WHERE id >= 100"), 0);
}

static void test_errors(void **state)
{
	struct env *env = *state;
	struct store_tx *tx;
	struct err err;

	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(insert(tx, &err, 1, STR("one")));
	OK(store_exec(tx, &err, NULL, "INSERT INTO child (id, item_id) VALUES (1, 1)", ""));
	OK(store_commit(&tx, &err));
	expect_failure(env, ERR_APPIA_0409, "INSERT INTO item (id, name) VALUES (1, ?)", "s", STR("x"));
	expect_failure(env, ERR_APPIA_0409, "INSERT INTO item (id, name) VALUES (2, ?)", "s", STR("one"));
	expect_failure(env, ERR_APPIA_0422, "INSERT INTO child (id, item_id) VALUES (2, 55)", "", STR_NONE);
	expect_failure(env, ERR_APPIA_0422, "DELETE FROM item WHERE name = ?", "s", STR("one"));
	expect_failure(env, ERR_APPIA_0500, "INSERT INTO child (id) VALUES (2)", "", STR_NONE);
	expect_failure(env, ERR_APPIA_0500, "INSERT INTO nothing (id) VALUES (2)", "", STR_NONE);
	expect_failure(env, ERR_APPIA_0500, "SELECT FROM WHERE", "", STR_NONE);
	expect_failure(env, ERR_APPIA_0500, "", "", STR_NONE);
	expect_failure(env, ERR_APPIA_0500, "UPDATE item SET name = ?", "", STR_NONE);
	expect_failure(env, ERR_APPIA_0500, "UPDATE item SET name = 'a'", "s", STR("x"));
	expect_failure(env, ERR_APPIA_0500, "UPDATE item SET name = ?", "z", STR("x"));
	expect_failure(env, ERR_APPIA_0400, "UPDATE item SET name = ?", "s", STR("a\0b"));
	expect_failure(env, ERR_APPIA_0400, "UPDATE item SET name = ?", "s", STR("\xff"));
	expect_failure(env, ERR_APPIA_0400, "UPDATE item SET name = ?", "s", STR("\xed\xa0\x80"));
	OK(store_begin(env->store, STORE_READ, &tx, &err));
	assert_int_equal(insert(tx, &err, 5, STR("in a read transaction")), ERR_APPIA_0500);
	store_rollback(&tx);
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM item"), 1);
}

static void test_rollback(void **state)
{
	struct env *env = *state;
	struct store_tx *tx;
	struct store_rows *rows;
	struct err err;

	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(insert(tx, &err, 1, STR("gone")));
	OK(insert(tx, &err, 2, STR("gone too")));
	OK(store_outbox(tx, &err, STR("api"), STR("1")));
	OK(store_query(tx, &err, &rows, "SELECT id FROM item", ""));
	assert_true(store_next(rows));
	store_rollback(&tx); /* with rows still open */
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM item"), 0);
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM outbox"), 0);
}

static void test_snapshot(void **state)
{
	struct env *env = *state;
	struct store_tx *reader, *writer;
	struct err err;
	int64_t n = -1;

	OK(store_begin(env->store, STORE_READ, &reader, &err));
	OK(store_get_int(reader, &err, &n, NULL, "SELECT COUNT(*) FROM item", ""));
	OK(store_begin(env->store, STORE_WRITE, &writer, &err));
	OK(insert(writer, &err, 1, STR("new")));
	OK(store_commit(&writer, &err));
	OK(store_get_int(reader, &err, &n, NULL, "SELECT COUNT(*) FROM item", ""));
	assert_int_equal(n, 0);
	store_rollback(&reader);
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM item"), 1);
}

struct writer {
	struct env *env;
	int id, times;
	int failed;
};

/* Adds one under the eyes of others, again as long as the store says that again makes sense. */
static int add_one(struct writer *w, int i)
{
	struct store_tx *tx;
	struct err err = {0};
	int64_t n = 0;
	char key[32];
	int r = store_begin(w->env->store, STORE_WRITE, &tx, &err);

	if (r < 0)
		return err.retriable ? 1 : r;
	snprintf(key, sizeof(key), "%d-%d", w->id, i);
	r = store_get_int(tx, &err, &n, NULL, "SELECT n FROM item WHERE id = 1", "");
	if (r == 0)
		r = store_exec(tx, &err, NULL, "UPDATE item SET n = ? WHERE id = 1", "i", n + 1);
	if (r == 0)
		r = store_outbox(tx, &err, STR("api"), str_of(key));
	if (r == 0)
		r = store_commit(&tx, &err);
	store_rollback(&tx);
	return r < 0 && err.retriable ? 1 : r;
}

static void *write_much(void *arg)
{
	struct writer *w = arg;

	for (int i = 0; i < w->times; i++) {
		int r = 1;

		for (int tries = 0; r == 1 && tries < 1000; tries++)
			r = add_one(w, i);
		if (r != 0)
			w->failed = r;
	}
	return NULL;
}

static void test_two_writers(void **state)
{
	struct env *env = *state;
	struct writer w[2] = {{env, 0, 60, 0}, {env, 1, 60, 0}};
	pthread_t threads[2];
	struct store_tx *tx;
	struct err err;

	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(store_exec(tx, &err, NULL, "INSERT INTO item (id, n) VALUES (1, 0)", ""));
	OK(store_commit(&tx, &err));
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_much, &w[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(w[0].failed == 0 && w[1].failed == 0);
	assert_int_equal(count(env->store, "SELECT n FROM item WHERE id = 1"), 120);
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM outbox"), 120);
}

static void *only_outbox(void *arg)
{
	struct writer *w = arg;

	for (int i = 0; i < w->times; i++) {
		struct store_tx *tx;
		struct err err;
		char key[32];

		snprintf(key, sizeof(key), "%d-%d", w->id, i);
		if (store_begin(w->env->store, STORE_WRITE, &tx, &err) < 0 ||
		    store_outbox(tx, &err, STR("api"), str_of(key)) < 0 ||
		    store_outbox(tx, &err, STR("app"), str_of(key)) < 0 || store_commit(&tx, &err) < 0)
			w->failed++;
	}
	return NULL;
}

/* Who reads while others write never sees a number appear behind one it has seen. */
static void test_outbox_order(void **state)
{
	struct env *env = *state;
	struct writer w[2] = {{env, 0, 50, 0}, {env, 1, 50, 0}};
	pthread_t threads[2];
	int64_t seen = 0, last = 0;
	int64_t until = clock_mono_ms() + 30000;

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, only_outbox, &w[i]), 0);
	while (seen < 200 && clock_mono_ms() < until) {
		struct store_tx *tx;
		struct store_rows *rows;
		struct err err;

		OK(store_begin(env->store, STORE_READ, &tx, &err));
		OK(store_query(tx, &err, &rows, "SELECT seq FROM outbox WHERE seq > ? ORDER BY seq", "i", last));
		for (; store_next(rows); seen++)
			last = store_int(rows, 0);
		OK(store_done(&rows, &err));
		store_rollback(&tx);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	/* Without a conflict in the tables nobody has to try again on account of the outbox. */
	assert_true(w[0].failed == 0 && w[1].failed == 0);
	assert_int_equal(seen, 200);
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM outbox"), 200);
}

/* Numbers go on after the reader has deleted all rows, and after a restart. */
static void test_outbox_numbers(void **state)
{
	struct env *env = *state;
	struct store_tx *tx;
	struct err err;
	int64_t first, second;

	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(store_outbox(tx, &err, STR("api"), STR("1")));
	OK(store_outbox(tx, &err, STR("app"), STR("2")));
	OK(store_commit(&tx, &err));
	first = count(env->store, "SELECT MAX(seq) FROM outbox");
	assert_int_equal(count(env->store, "SELECT seq FROM outbox WHERE kind = 'app' AND key = '2'"), first);
	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(store_exec(tx, &err, NULL, "DELETE FROM outbox", ""));
	OK(store_commit(&tx, &err));
	store_close(env->store);
	env->store = NULL;
	open_env(env, 2);
	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(store_outbox(tx, &err, STR("api"), STR("1")));
	OK(store_commit(&tx, &err));
	second = count(env->store, "SELECT MAX(seq) FROM outbox");
	assert_true(second > first);
}

static void test_busy(void **state)
{
	struct env *env = *state;
	struct store *one;
	struct store_tx *held, *tx = NULL;
	struct err err;

	store__wait_ms = 150;
	OK(open_tables(env, 1, &one, &err));
	OK(store_begin(one, STORE_WRITE, &held, &err));
	int64_t from = clock_mono_ms();

	assert_int_equal(store_begin(one, STORE_WRITE, &tx, &err), ERR_APPIA_0503);
	assert_true(err.retriable && !tx);
	assert_in_range(clock_mono_ms() - from, 140, 2000);
	assert_int_equal(store_ping(one, &err), ERR_APPIA_0503);
	if (!on_pg) {
		/* Another connection to the same file stands for another process. */
		assert_int_equal(store_begin(env->store, STORE_WRITE, &tx, &err), ERR_APPIA_0503);
		assert_true(err.retriable);
	}
	store_rollback(&held);
	OK(store_ping(one, &err));
	OK(store_begin(one, STORE_WRITE, &tx, &err));
	OK(store_commit(&tx, &err));
	store_close(one);
}

static void child_writes(struct env *env, int fd)
{
	struct store *store;
	struct store_tx *tx;
	struct err err;

	if (open_tables(env, 2, &store, &err) < 0 || store_begin(store, STORE_WRITE, &tx, &err) < 0)
		_exit(1);
	/* Enough for the log to hold pages of the unfinished transaction. */
	for (int64_t i = 2; i < 3000; i++)
		insert(tx, &err, i, STR_NONE);
	store_outbox(tx, &err, STR("api"), STR("x"));
	if (write(fd, "r", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static void test_kill(void **state)
{
	struct env *env = *state;
	struct store_tx *tx;
	struct err err;
	int fds[2];
	char byte;
	pid_t pid;

	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(insert(tx, &err, 1, STR("kept")));
	OK(store_commit(&tx, &err));
	store_close(env->store);
	env->store = NULL;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		/* No undefined state of the test runner in the child. */
		arena_free(env->a);
		child_writes(env, fds[1]);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	open_env(env, 4);
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM item"), 1);
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM outbox"), 0);
	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(insert(tx, &err, 2, STR("after")));
	OK(store_commit(&tx, &err));
}

static void test_migrations(void **state)
{
	static const struct store_migration broken = {902, "broken", "b", "CREATE TABLE half (id BIGINT); NONSENSE;",
						      "CREATE TABLE half (id BIGINT); NONSENSE;"};
	static const struct store_migration fixed = {902, "fixed", "c", "CREATE TABLE half (id BIGINT);",
						     "CREATE TABLE half (id BIGINT);"};
	struct env *env = *state;
	struct store_migration two[] = {test_tables, broken};
	struct err err;
	int64_t n = (int64_t)store__migrations_n;

	OK(migrate_with(env->store, &test_tables, 1, &err));
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM schema_migration"), n + 1);
	assert_int_equal(migrate_with(env->store, two, 2, &err), ERR_APPIA_0500);
	assert_non_null(strstr(err.text, "broken"));
	two[1] = fixed;
	OK(migrate_with(env->store, two, 2, &err));
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM half"), 0);
	assert_true(count(env->store, "SELECT applied_ms FROM schema_migration WHERE version = 902") > 1700000000000);
	two[1].checksum = "other";
	assert_int_equal(migrate_with(env->store, two, 2, &err), ERR_APPIA_0500);
	assert_non_null(strstr(err.text, "another text"));
	/* The program itself knows nothing of 900 and 902. */
	struct store *again;

	assert_int_equal(store_open(env->url, 2, &again, &err), ERR_APPIA_0500);
	assert_non_null(strstr(err.text, "newer"));
}

static void *open_at_once(void *arg)
{
	struct writer *w = arg;
	struct store *store;
	struct err err;

	w->failed = open_tables(w->env, 2, &store, &err);
	if (w->failed == 0)
		store_close(store);
	else
		print_error("%s\n", err.text);
	return NULL;
}

static void test_starts_at_once(void **state)
{
	struct env *env = *state, other = {0};
	struct writer w[4];
	pthread_t threads[4];

	if (on_pg)
		pg_server_fresh(other.url, sizeof(other.url));
	else
		snprintf(other.url, sizeof(other.url), "sqlite:%s/b.db", env->dir);
	for (int i = 0; i < 4; i++) {
		w[i] = (struct writer){&other, i, 0, 0};
		assert_int_equal(pthread_create(&threads[i], NULL, open_at_once, &w[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(w[i].failed, 0);
}

/* More texts than are kept prepared; each still works, before and after. */
static void test_many_statements(void **state)
{
	struct env *env = *state;
	struct store_tx *tx;
	struct err err;
	char sql[64];

	for (int round = 0; round < 2; round++) {
		for (int64_t i = 0; i < STORE_MAX_STATEMENTS + 50; i++) {
			int64_t n = -1;

			OK(store_begin(env->store, STORE_READ, &tx, &err));
			snprintf(sql, sizeof(sql), "SELECT ? + %d", (int)i);
			OK(store_get_int(tx, &err, &n, NULL, sql, "i", (int64_t)1));
			assert_int_equal(n, i + 1);
			OK(store_commit(&tx, &err));
		}
	}
}

static void test_order_and_case(void **state)
{
	struct env *env = *state;
	struct store_tx *tx;
	struct err err;
	struct str s;

	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(insert(tx, &err, 1, STR("a")));
	OK(insert(tx, &err, 2, STR("B")));
	OK(insert(tx, &err, 3, STR("\xc3\x89")));
	OK(store_get_str(tx, &err, env->a, &s, NULL, "SELECT name FROM item ORDER BY name", ""));
	assert_true(str_is(s, "B"));
	int64_t n = -1;

	OK(store_get_int(tx, &err, &n, NULL, "SELECT COUNT(*) FROM item WHERE name LIKE 'A'", ""));
	assert_int_equal(n, 0);
	OK(store_get_int(tx, &err, &n, NULL, "SELECT COUNT(*) FROM item WHERE LOWER(name) LIKE ? ESCAPE '\\'", "s",
			 store_like(env->a, STR("\xc3\x89"))));
	assert_int_equal(n, 1);
	store_rollback(&tx);
}

static void test_bad_urls(void **state)
{
	struct env *env = *state;
	struct store *store = NULL;
	struct err err;
	char url[128];
	FILE *f;

	assert_int_equal(store_open("mysql://x", 2, &store, &err), ERR_APPIA_0500);
	assert_int_equal(store_open("", 2, &store, &err), ERR_APPIA_0500);
	assert_int_equal(store_open("sqlite:/nonexistent/dir/a.db", 2, &store, &err), ERR_APPIA_0500);
	assert_int_equal(store_open("postgresql://x:secret@/?host=/nonexistent", 2, &store, &err), ERR_APPIA_0503);
	assert_true(err.retriable && !strstr(err.text, "secret"));
	snprintf(url, sizeof(url), "sqlite:%s/garbage.db", env->dir);
	f = fopen(url + strlen("sqlite:"), "w");
	for (int i = 0; i < 5000; i++)
		fputs("garbage", f);
	fclose(f);
	assert_int_equal(store_open(url, 2, &store, &err), ERR_APPIA_0500);
	assert_null(store);
}

static void test_file_mode(void **state)
{
	struct env *env = *state;
	struct stat st;
	char path[96];

	if (on_pg)
		skip();
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/a.db%s", env->dir, i ? "-wal" : "");
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
}

/* What a full disk looks like to SQLite, without one. */
static void test_full(void **state)
{
	struct env *env = *state;
	struct store_tx *tx;
	struct err err;
	char big[4096];
	int r = 0;

	if (on_pg)
		skip();
	memset(big, 'x', sizeof(big));
	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(insert(tx, &err, 1, STR("kept")));
	OK(store_commit(&tx, &err));
	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(tx->store->engine->script(tx, &err, "PRAGMA max_page_count = 40"));
	for (int64_t i = 2; r == 0 && i < 1000; i++)
		r = store_exec(tx, &err, NULL, "INSERT INTO item (id, data) VALUES (?, ?)", "ib", i,
			       (struct str){big, sizeof(big)});
	assert_int_equal(r, ERR_APPIA_0507);
	assert_int_equal(store_commit(&tx, &err), ERR_APPIA_0507);
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM item"), 1);
	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(tx->store->engine->script(tx, &err, "PRAGMA max_page_count = 1000000"));
	OK(insert(tx, &err, 2, STR("room again")));
	OK(store_commit(&tx, &err));
}

static void test_reconnect(void **state)
{
	struct env *env = *state;
	struct store_tx *tx;
	struct err err;

	if (!on_pg)
		skip();
	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(insert(tx, &err, 1, STR("lost")));
	pg_server_drop_sessions();
	assert_int_equal(insert(tx, &err, 2, STR("lost")), ERR_APPIA_0503);
	assert_true(err.retriable);
	assert_int_equal(store_commit(&tx, &err), ERR_APPIA_0503);
	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(insert(tx, &err, 3, STR("kept")));
	OK(store_commit(&tx, &err));
	pg_server_drop_sessions();
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM item"), 1);
	OK(store_begin(env->store, STORE_WRITE, &tx, &err));
	OK(insert(tx, &err, 4, STR("open")));
	pg_server_drop_sessions();
	/* Nobody can know whether it happened, so it is not to be tried again blindly. */
	assert_int_equal(store_commit(&tx, &err), ERR_APPIA_0503);
	assert_false(err.retriable);
}

/* Two that read what the other writes: one of them must fail, retriable. */
static void test_serializable(void **state)
{
	struct env *env = *state;
	struct store_tx *a, *b;
	struct err err = {0};
	int64_t n;
	int r;

	if (!on_pg)
		skip();
	OK(store_begin(env->store, STORE_WRITE, &a, &err));
	OK(store_begin(env->store, STORE_WRITE, &b, &err));
	OK(store_get_int(a, &err, &n, NULL, "SELECT COUNT(*) FROM item", ""));
	OK(store_get_int(b, &err, &n, NULL, "SELECT COUNT(*) FROM item", ""));
	OK(insert(a, &err, 1, STR("a")));
	OK(insert(b, &err, 2, STR("b")));
	OK(store_commit(&a, &err));
	r = store_commit(&b, &err);
	assert_int_equal(r, ERR_APPIA_0503);
	assert_true(err.retriable);
	assert_int_equal(count(env->store, "SELECT COUNT(*) FROM item"), 1);
}

static void test_dollars(void **state)
{
	static const struct {
		const char *in, *out;
		unsigned n;
	} rows[] = {
		{"a = ? AND b = ?", "a = $1 AND b = $2", 2},
		{"'?' \"?\" ?", "'?' \"?\" $1", 1},
		{"'it''s ?' ?", "'it''s ?' $1", 1},
		{"? -- ?\n ?", "$1 -- ?\n $2", 2},
		{"'open ?", "'open ?", 0},
		{"a - ?", "a - $1", 1},
		{"-- end ?", "-- end ?", 0},
		{"", "", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct buf out;

		buf_init(&out, 1000);
		assert_int_equal(store__dollars(&out, rows[i].in), rows[i].n);
		assert_string_equal(buf_view(&out).n ? buf_view(&out).p : "", rows[i].out);
		buf_done(&out);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_types),
		T(test_helpers),
		T(test_documents),
		T(test_bad_documents),
		T(test_errors),
		T(test_rollback),
		T(test_snapshot),
		T(test_two_writers),
		T(test_outbox_order),
		T(test_outbox_numbers),
		T(test_busy),
		T(test_kill),
		T(test_migrations),
		T(test_starts_at_once),
		T(test_many_statements),
		T(test_order_and_case),
		T(test_bad_urls),
		T(test_file_mode),
		T(test_full),
		T(test_reconnect),
		T(test_serializable),
		cmocka_unit_test(test_dollars),
	};
	int failed = cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);

	if (getenv("APPIA_TEST_SQLITE_ONLY"))
		return failed;
	if (!pg_server_start()) {
		fprintf(stderr, "no PostgreSQL: its tests are skipped\n");
		return failed;
	}
	on_pg = true;
	failed += cmocka_run_group_tests_name("postgresql", tests, NULL, NULL);
	pg_server_stop();
	return failed;
}
