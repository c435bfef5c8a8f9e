/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "datasource/datasource.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include <sqlite3.h>

struct fixture {
	struct arena *a;
	char path[64];
	struct datasource_config config;
	struct datasource_pool *pool;
	struct datasource_conn *conn;
	struct err err;
};

static void create(const char *path)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(
			db,
			"CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price DECIMAL(10,2), ok BOOLEAN, "
			"at DATETIME,"
			" doc JSON, raw BLOB, n INT);"
			"INSERT INTO t VALUES (1, 'one', 1.5, 1, '2024-01-02T03:04:05', '{\"a\":1}', x'00ff', "
			"9223372036854775807),"
			" (2, 'two', NULL, 0, NULL, NULL, NULL, NULL), (3, 'it''s', 3, NULL, NULL, NULL, NULL, -1);"
			"CREATE VIEW v AS SELECT id FROM t;",
			NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
}

static int64_t soon(void)
{
	return clock_mono_ms() + 5000;
}

static int set_up(void **state)
{
	struct fixture *f = mem_zalloc(sizeof(*f));

	f->a = arena_new(1 << 24);
	snprintf(f->path, sizeof(f->path), "/tmp/appia-test-%d.db", (int)getpid());
	create(f->path);
	struct json *content = json_new_object(f->a);

	json_set(content, STR("database_name"), json_new_str(f->a, str_of(f->path)));
	f->config = (struct datasource_config){STR("ds1"), STR("sqlite"), content, 1};
	f->pool = datasource_pool_new(2, 60000);
	assert_int_equal(datasource_pool_get(f->pool, &f->config, soon(), &f->conn, &f->err), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	if (f->conn)
		datasource_pool_put(f->pool, f->conn, true);
	datasource_pool_free(f->pool);
	unlink(f->path);
	arena_free(f->a);
	free(f);
	return 0;
}

/* Rows as text: kind letter and value. */
struct text_sink {
	char out[4096];
	size_t n, rows;
	size_t stop_after;
};

static void columns(void *ctx, const struct str *names, size_t n)
{
	struct text_sink *s = ctx;

	for (size_t i = 0; i < n; i++)
		s->n += (size_t)snprintf(s->out + s->n, sizeof(s->out) - s->n, "%.*s ", STR_FMT(names[i]));
	s->n += (size_t)snprintf(s->out + s->n, sizeof(s->out) - s->n, "|");
}

static bool row(void *ctx, const struct value *v, size_t n)
{
	static const char letters[] = "NBIDFTXMJ";
	struct text_sink *s = ctx;

	for (size_t i = 0; i < n; i++) {
		s->n += (size_t)snprintf(s->out + s->n, sizeof(s->out) - s->n, "%c", letters[v[i].kind]);
		if (v[i].kind == VALUE_BOOL || v[i].kind == VALUE_INT)
			s->n += (size_t)snprintf(s->out + s->n, sizeof(s->out) - s->n, "%lld", (long long)v[i].i);
		else if (v[i].kind == VALUE_DOUBLE)
			s->n += (size_t)snprintf(s->out + s->n, sizeof(s->out) - s->n, "%g", v[i].d);
		else if (v[i].kind == VALUE_BINARY)
			s->n += (size_t)snprintf(s->out + s->n, sizeof(s->out) - s->n, "%zu", v[i].s.n);
		else
			s->n += (size_t)snprintf(s->out + s->n, sizeof(s->out) - s->n, "%.*s", STR_FMT(v[i].s));
		s->n += (size_t)snprintf(s->out + s->n, sizeof(s->out) - s->n, " ");
	}
	s->rows++;
	return s->rows != s->stop_after;
}

static int execute(struct fixture *f, struct text_sink *s, const char *sql, const struct str *params, size_t n,
                   int64_t max_rows, int64_t *changed)
{
	size_t stop = s->stop_after;
	struct datasource_sink sink = {columns, row, s};

	*s = (struct text_sink){.stop_after = stop};
	f->err = (struct err){0};
	return f->conn->driver->execute(f->conn, str_of(sql), params, n, false, max_rows, soon(), &sink, changed,
					&f->err);
}

static void test_types(void **state)
{
	struct text_sink s = {.stop_after = 0};
	int64_t changed = 0;

	assert_int_equal(execute(*state, &s, "SELECT * FROM t WHERE id < ? ORDER BY id", (struct str[]){STR("3")}, 1,
				 10, &changed),
			 0);
	assert_string_equal(s.out, "id name price ok at doc raw n |I1 Tone F1.5 B1 M2024-01-02T03:04:05 J{\"a\":1} X2 "
	                           "I9223372036854775807 I2 Ttwo N B0 N N N N ");
	assert_int_equal(changed, -1);
}

static void test_changes(void **state)
{
	struct text_sink s = {.stop_after = 0};
	int64_t changed = -5;
	struct str params[] = {STR("x'; drop table t; --"), STR_NONE};

	for (int i = 0; i < 3; i++) { /* direct, prepared, from the cache */
		assert_int_equal(execute(*state, &s, "UPDATE t SET name = ?, price = ?", params, 2, 10, &changed), 0);
		assert_int_equal(changed, 3);
	}
	assert_int_equal(execute(*state, &s, "SELECT name, price FROM t WHERE id = 1", NULL, 0, 10, NULL), 0);
	assert_string_equal(s.out, "name price |Tx'; drop table t; -- N ");
	assert_int_equal(execute(*state, &s, "CREATE TABLE u (a)", NULL, 0, 10, &changed), 0);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {"", " ; ", "SELECT 1; SELECT 2", "SELECT 1; /* x */ DROP TABLE t", "SELEC 1",
	                                  "SELECT ?", "ATTACH DATABASE '/tmp/appia-x.db' AS x", "SELECT nope FROM t",
	                                  "VACUUM INTO '/tmp/appia-x.db'", "SELECT load_extension('x')",
	                                  "INSERT INTO t (id, name) VALUES (1, 'again')"};
	struct text_sink s = {.stop_after = 0};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(execute(f, &s, bad[i], NULL, 0, 10, NULL), ERR_APPIA_0500_SQL_FAILED);
		assert_true(strlen(f->err.text) > 10);
	}
	assert_int_not_equal(access("/tmp/appia-x.db", F_OK), 0);
	assert_int_equal(execute(f, &s, "SELECT 1; -- fine", NULL, 0, 10, NULL), 0);
	assert_int_equal(execute(f, &s, "SELECT 1 ;\n", NULL, 0, 10, NULL), 0);
}

static void test_limits(void **state)
{
	struct text_sink s = {.stop_after = 0};
	struct fixture *f = *state;

	assert_int_equal(execute(f, &s, "SELECT id FROM t", NULL, 0, 2, NULL), 0);
	assert_int_equal(s.rows, 2);
	s.stop_after = 1;
	assert_int_equal(execute(f, &s, "SELECT id FROM t", NULL, 0, 10, NULL), 0);
	assert_int_equal(s.rows, 1);
	assert_true(f->conn->driver->alive(f->conn));
}

static void test_deadline(void **state)
{
	struct fixture *f = *state;
	int64_t before = clock_mono_ms();
	int code = f->conn->driver->execute(f->conn, STR("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c)"
		" SELECT count(*) FROM c"), NULL, 0, false, 10, before + 200, NULL, NULL, &f->err);

	assert_int_equal(code, ERR_APPIA_0504);
	assert_in_range(clock_mono_ms() - before, 150, 2000);
	assert_int_equal(f->conn->driver->ping(f->conn, soon(), &f->err), 0);
}

static void test_locked(void **state)
{
	struct fixture *f = *state;
	sqlite3 *db;
	int64_t before = clock_mono_ms();

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(f->conn->driver->execute(f->conn, STR("DELETE FROM t"), NULL, 0, false, 1, before + 200, NULL,
	                                          NULL, &f->err), ERR_APPIA_0504);
	sqlite3_close(db);
	assert_in_range(clock_mono_ms() - before, 150, 2000);
}

static void test_catalogue(void **state)
{
	struct fixture *f = *state;
	struct datasource_table_info *tables;
	struct datasource_column_info *cols;
	size_t n;

	assert_int_equal(f->conn->driver->tables(f->conn, f->a, STR_NONE, soon(), &tables, &n, &f->err), 0);
	assert_int_equal(n, 2);
	assert_true(str_is(tables[0].name, "t") && str_is(tables[1].name, "v"));
	assert_int_equal(f->conn->driver->tables(f->conn, f->a, STR("V"), soon(), &tables, &n, &f->err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(f->conn->driver->columns(f->conn, f->a, STR_NONE, STR("t"), soon(), &cols, &n, &f->err), 0);
	assert_int_equal(n, 8);
	assert_true(cols[0].primary_key && str_is(cols[0].type, "INTEGER"));
	assert_true(str_is(cols[2].type, "DECIMAL") && cols[2].size == 10 && cols[2].scale == 2 && cols[2].nullable);
	assert_false(cols[1].nullable);
	assert_int_equal(f->conn->driver->columns(f->conn, f->a, STR_NONE, STR("x'y"), soon(), &cols, &n, &f->err), 0);
	assert_int_equal(n, 0);
	assert_int_equal(f->conn->driver->describe(f->conn, f->a, STR("SELECT id, price p FROM t WHERE id = ?"), soon(),
	                                           &cols, &n, &f->err), 0);
	assert_int_equal(n, 2);
	assert_true(str_is(cols[1].name, "p"));
	assert_int_equal(f->conn->driver->describe(f->conn, f->a, STR("DELETE FROM t"), soon(), &cols, &n, &f->err), 0);
	assert_int_equal(n, 0);
}

static void test_absent(void **state)
{
	struct fixture *f = *state;
	struct datasource_config config = f->config;
	struct json *content = json_new_object(f->a);
	struct datasource_conn *conn;

	json_set(content, STR("database_name"), json_new_str(f->a, STR("/tmp/appia-none.db")));
	config.content = content;
	config.id = STR("ds2");
	assert_int_equal(datasource_pool_get(f->pool, &config, soon(), &conn, &f->err),
	                 ERR_APPIA_0503_DATASOURCE_UNREACHABLE);
	assert_int_not_equal(access("/tmp/appia-none.db", F_OK), 0);
	config.type = STR("ORACLE");
	assert_int_equal(datasource_pool_get(f->pool, &config, soon(), &conn, &f->err), ERR_APPIA_0501_DRIVER_MISSING);
	assert_non_null(strstr(f->err.text, "ORACLE"));
	config.type = STR("SQLITE");
	config.content = json_new_object(f->a);
	assert_int_equal(datasource_pool_get(f->pool, &config, soon(), &conn, &f->err), ERR_APPIA_0400);
}

static void test_pool(void **state)
{
	struct fixture *f = *state;
	struct datasource_conn *second, *third, *first = f->conn;
	int64_t before = clock_mono_ms();

	assert_int_equal(datasource_pool_get(f->pool, &f->config, soon(), &second, &f->err), 0);
	assert_int_equal(datasource_pool_get(f->pool, &f->config, before + 100, &third, &f->err),
	                 ERR_APPIA_0503_POOL_EXHAUSTED);
	assert_true(f->err.retriable);
	assert_in_range(clock_mono_ms() - before, 90, 2000);
	datasource_pool_put(f->pool, second, true);
	assert_int_equal(datasource_pool_get(f->pool, &f->config, soon(), &third, &f->err), 0);
	assert_ptr_equal(third, second); /* reused */
	datasource_pool_put(f->pool, third, true);
	assert_int_equal(datasource_pool_count(f->pool), 2);
	f->config.version = 2; /* changed: the idle one of version 1 goes */
	assert_int_equal(datasource_pool_get(f->pool, &f->config, soon(), &third, &f->err), 0);
	assert_int_equal(third->version, 2);
	datasource_pool_put(f->pool, third, false);
	datasource_pool_put(f->pool, first, true);
	f->conn = NULL;
	assert_int_equal(datasource_pool_count(f->pool), 1);
}

static void test_open_transaction_is_not_pooled(void **state)
{
	struct fixture *f = *state;
	struct text_sink s = {.stop_after = 0};

	assert_int_equal(execute(f, &s, "BEGIN", NULL, 0, 1, NULL), 0);
	assert_false(f->conn->driver->alive(f->conn));
	datasource_pool_put(f->pool, f->conn, true);
	f->conn = NULL;
	assert_int_equal(datasource_pool_count(f->pool), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_types), TEST(test_changes), TEST(test_refused), TEST(test_limits), TEST(test_deadline),
		TEST(test_locked), TEST(test_catalogue), TEST(test_absent), TEST(test_pool),
		TEST(test_open_transaction_is_not_pooled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
