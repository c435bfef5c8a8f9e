/* SPDX-License-Identifier: Apache-2.0 */
#include "datasource/driver.h"

#include "base/clock.h"
#include "base/mem.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

/* Files of SQLite: content.database_name is the path. The file is opened read and write, never created. A statement
 * cannot reach other files (ATTACH and VACUUM INTO are off, no extensions). */

#define BUSY_SLEEP_US 2000
#define MAX_VALUE (64 << 20)

struct lite {
	struct datasource_conn conn;
	sqlite3 *db;
	int64_t deadline_ms; /* of the running call */
	struct datasource_statements statements;
};

static struct lite *lite_of(struct datasource_conn *conn)
{
	return (struct lite *)(void *)conn;
}

static int past_deadline(void *arg)
{
	return clock_mono_ms() >= ((struct lite *)arg)->deadline_ms;
}

static int on_busy(void *arg, int tries)
{
	if (past_deadline(arg))
		return 0;
	usleep(BUSY_SLEEP_US);
	return 1;
}

static int failed(struct lite *l, int rc, struct err *err)
{
	char text[512];

	if (rc == SQLITE_INTERRUPT || ((rc & 0xff) == SQLITE_BUSY && past_deadline(l)))
		return err_set(err, ERR_APPIA_0504, NULL);
	if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
		return err_set_retriable(err, ERR_APPIA_0503_DATASOURCE_UNREACHABLE, "the database is locked");
	return err_set(err, ERR_APPIA_0500_SQL_FAILED, "%s",
	               datasource__oneline(sqlite3_errmsg(l->db), text, sizeof(text)));
}

static void lite_close(struct datasource_conn *conn)
{
	struct lite *l = lite_of(conn);

	for (size_t i = 0; i < DATASOURCE_STATEMENTS; i++) {
		sqlite3_finalize(l->statements.rows[i].handle);
		free(l->statements.rows[i].sql);
	}
	sqlite3_close_v2(l->db);
	free(l);
}

static int lite_connect(const struct datasource_config *config, int64_t deadline_ms, struct datasource_conn **ret,
                        struct err *err)
{
	struct arena *a = arena_new(1 << 20);
	struct str path = datasource__member(config->content, "database_name", a);

	if (!path.n || memchr(path.p, 0, path.n) || path.p[0] == ':') {
		arena_free(a);
		return err_set_text(err, ERR_APPIA_0400, "The path of the database file is missing.");
	}
	struct lite *l = mem_zalloc(sizeof(*l));
	/* No URI names: what the path says is the file. */
	int rc = sqlite3_open_v2(arena_cstr(a, path), &l->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, NULL);

	arena_free(a);
	l->conn.driver = &datasource__sqlite;
	l->deadline_ms = deadline_ms;
	if (rc == SQLITE_OK) {
		sqlite3_extended_result_codes(l->db, 1);
		sqlite3_limit(l->db, SQLITE_LIMIT_ATTACHED, 0);
		sqlite3_limit(l->db, SQLITE_LIMIT_LENGTH, MAX_VALUE);
		sqlite3_db_config(l->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		sqlite3_db_config(l->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		sqlite3_busy_handler(l->db, on_busy, l);
		sqlite3_progress_handler(l->db, 1000, past_deadline, l);
		/* Opening is lazy: this reads the header. */
		rc = sqlite3_exec(l->db, "PRAGMA schema_version", NULL, NULL, NULL);
	}
	if (rc != SQLITE_OK) {
		char text[512];

		if (rc == SQLITE_INTERRUPT)
			err_set(err, ERR_APPIA_0504, NULL);
		else
			err_set(err, ERR_APPIA_0503_DATASOURCE_UNREACHABLE, "%s",
				datasource__oneline(l->db ? sqlite3_errmsg(l->db) : "out of memory", text,
						    sizeof(text)));
		lite_close(&l->conn);
		return rc == SQLITE_INTERRUPT ? ERR_APPIA_0504 : ERR_APPIA_0503_DATASOURCE_UNREACHABLE;
	}
	*ret = &l->conn;
	return 0;
}

static bool lite_alive(struct datasource_conn *conn)
{
	return sqlite3_get_autocommit(lite_of(conn)->db);
}

static int lite_ping(struct datasource_conn *conn, int64_t deadline_ms, struct err *err)
{
	struct lite *l = lite_of(conn);

	l->deadline_ms = deadline_ms;
	int rc = sqlite3_exec(l->db, "SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : failed(l, rc, err);
}

static bool only_blanks(const char *tail, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strchr(" \t\r\n;", tail[i]) || !tail[i])
			return false;
	return true;
}

static int prepare(struct lite *l, struct str sql, bool keep, sqlite3_stmt **ret, struct err *err)
{
	const char *tail = NULL;
	sqlite3_stmt *stmt = NULL;

	if (sql.n > 1 << 20)
		return err_set(err, ERR_APPIA_0500_SQL_FAILED, "the statement is too long");
	int rc = sqlite3_prepare_v3(l->db, sql.p, (int)sql.n, keep ? SQLITE_PREPARE_PERSISTENT : 0, &stmt, &tail);

	if (rc != SQLITE_OK)
		return failed(l, rc, err);
	if (!stmt)
		return err_set(err, ERR_APPIA_0500_SQL_FAILED, "the statement is empty");
	size_t left = sql.n - (size_t)(tail - sql.p);

	if (!only_blanks(tail, left)) {
		sqlite3_stmt *second = NULL;

		/* Comments may follow, a second statement may not. */
		rc = sqlite3_prepare_v2(l->db, tail, (int)left, &second, NULL);
		sqlite3_finalize(second);
		if (rc != SQLITE_OK || second) {
			sqlite3_finalize(stmt);
			return err_set(err, ERR_APPIA_0500_SQL_FAILED, "only one statement is allowed");
		}
	}
	*ret = stmt;
	return 0;
}

/* From the cache, or prepared; *ret_cached tells whether the caller must finalize it. */
static int statement(struct lite *l, struct str sql, sqlite3_stmt **ret, bool *ret_cached, struct err *err)
{
	struct datasource_statement *row = datasource__statement_find(&l->statements, sql);

	*ret_cached = true;
	if (row) {
		*ret = row->handle;
		return 0;
	}
	*ret_cached = datasource__statement_seen(&l->statements, sql);
	int code = prepare(l, sql, *ret_cached, ret, err);

	if (code || !*ret_cached)
		return code;
	row = datasource__statement_room(&l->statements);
	if (row->handle) {
		sqlite3_finalize(row->handle);
		datasource__statement_clear(row);
	}
	datasource__statement_set(&l->statements, row, sql, *ret);
	return 0;
}

static bool declared(sqlite3_stmt *stmt, int i, const char *const *words)
{
	const char *type = sqlite3_column_decltype(stmt, i);

	for (; type && *words; words++)
		if (strcasestr(type, *words))
			return true;
	return false;
}

/* SQLite types values, not columns; the declared type tells booleans, times and JSON. */
static void get_value(sqlite3_stmt *stmt, int i, struct value *v)
{
	static const char *const bools[] = {"BOOL", NULL}, *const times[] = {"DATE", "TIME", NULL};

	*v = (struct value){.kind = VALUE_NULL};
	switch (sqlite3_column_type(stmt, i)) {
	case SQLITE_INTEGER:
		v->i = sqlite3_column_int64(stmt, i);
		v->kind = (v->i == 0 || v->i == 1) && declared(stmt, i, bools) ? VALUE_BOOL : VALUE_INT;
		break;
	case SQLITE_FLOAT:
		v->kind = VALUE_DOUBLE;
		v->d = sqlite3_column_double(stmt, i);
		break;
	case SQLITE_TEXT:
		v->kind = declared(stmt, i, times) ? VALUE_TIME :
		          declared(stmt, i, (const char *const[]){"JSON", NULL}) ? VALUE_JSON : VALUE_TEXT;
		v->s.p = (const char *)sqlite3_column_text(stmt, i);
		v->s.n = (size_t)sqlite3_column_bytes(stmt, i);
		break;
	case SQLITE_BLOB:
		v->kind = VALUE_BINARY;
		v->s.p = sqlite3_column_blob(stmt, i);
		v->s.n = (size_t)sqlite3_column_bytes(stmt, i);
		if (!v->s.p)
			v->s = STR("");
		break;
	}
}

static void give_columns(sqlite3_stmt *stmt, int n, const struct datasource_sink *sink)
{
	struct str *names = mem_zalloc(sizeof(*names) * (size_t)(n + 1));

	for (int i = 0; i < n; i++)
		names[i] = str_of(sqlite3_column_name(stmt, i));
	if (sink && sink->columns)
		sink->columns(sink->ctx, names, (size_t)n);
	free(names);
}

static int walk(struct lite *l, sqlite3_stmt *stmt, int64_t max_rows, const struct datasource_sink *sink,
                struct err *err)
{
	/* The first step compiles the statement anew when tables have changed: columns are known only behind it. */
	int rc = sqlite3_step(stmt), n = sqlite3_column_count(stmt);
	struct value *values = mem_zalloc(sizeof(*values) * (size_t)(n + 1));

	if (n && (rc == SQLITE_ROW || rc == SQLITE_DONE))
		give_columns(stmt, n, sink);
	for (int64_t rows = 0; rc == SQLITE_ROW && rows < max_rows; rows++) {
		for (int i = 0; i < n; i++)
			get_value(stmt, i, &values[i]);
		if (sink && sink->row && !sink->row(sink->ctx, values, (size_t)n))
			break;
		rc = sqlite3_step(stmt);
	}
	free(values);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : failed(l, rc, err);
}

static int lite_execute(struct datasource_conn *conn, struct str sql, const struct str *params, size_t n_params,
                        bool procedure, int64_t max_rows, int64_t deadline_ms, const struct datasource_sink *sink,
                        int64_t *ret_changed, struct err *err)
{
	struct lite *l = lite_of(conn);
	sqlite3_stmt *stmt;
	bool cached;

	l->deadline_ms = deadline_ms;
	if (procedure)
		return err_set(err, ERR_APPIA_0500_SQL_FAILED, "the database has no stored procedures");
	int code = statement(l, sql, &stmt, &cached, err);

	if (code)
		return code;
	int rc = (size_t)sqlite3_bind_parameter_count(stmt) == n_params ? SQLITE_OK : SQLITE_RANGE;

	for (size_t i = 0; i < n_params && rc == SQLITE_OK; i++)
		rc = params[i].p ? sqlite3_bind_text64(stmt, (int)i + 1, params[i].p, params[i].n, SQLITE_STATIC,
						       SQLITE_UTF8)
				 : sqlite3_bind_null(stmt, (int)i + 1);
	if (rc == SQLITE_RANGE)
		code = err_set(err, ERR_APPIA_0500_SQL_FAILED, "the number of parameters does not fit the statement");
	else if (rc != SQLITE_OK)
		code = failed(l, rc, err);
	else
		code = walk(l, stmt, max_rows, sink, err);
	if (!code && ret_changed)
		*ret_changed = sqlite3_column_count(stmt)    ? -1
			       : sqlite3_stmt_readonly(stmt) ? 0
							     : sqlite3_changes64(l->db);
	if (cached) {
		sqlite3_reset(stmt);
		sqlite3_clear_bindings(stmt);
	} else {
		sqlite3_finalize(stmt);
	}
	return code;
}

static int lite_tables(struct datasource_conn *conn, struct arena *a, struct str pattern, int64_t deadline_ms,
                       struct datasource_table_info **ret, size_t *ret_n, struct err *err)
{
	static const char sql[] = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE"
		" 'sqlite\\_%' ESCAPE '\\' AND instr(lower(name), lower(?1)) > 0 ORDER BY name LIMIT 100000";
	struct lite *l = lite_of(conn);
	struct datasource_table_info *list = NULL;
	size_t n = 0, cap = 0;
	sqlite3_stmt *stmt;
	int rc;

	l->deadline_ms = deadline_ms;
	rc = sqlite3_prepare_v2(l->db, sql, -1, &stmt, NULL);
	if (rc != SQLITE_OK)
		return failed(l, rc, err);
	sqlite3_bind_text64(stmt, 1, pattern.p ? pattern.p : "", pattern.n, SQLITE_STATIC, SQLITE_UTF8);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (n == cap) {
			cap = cap ? cap * 2 : 64;
			struct datasource_table_info *more = ARENA_ARRAY(a, struct datasource_table_info, cap);

			if (n)
				memcpy(more, list, n * sizeof(*more));
			list = more;
		}
		list[n++] = (struct datasource_table_info){.schema = STR("main"), .comment = STR(""),
			.name = arena_str(a, str_of((const char *)sqlite3_column_text(stmt, 0)))};
	}
	sqlite3_finalize(stmt);
	if (rc != SQLITE_DONE)
		return failed(l, rc, err);
	*ret = list;
	*ret_n = n;
	return 0;
}

static void column_info(sqlite3_stmt *stmt, struct arena *a, struct datasource_column_info *c)
{
	const char *def = (const char *)sqlite3_column_text(stmt, 3);
	struct str type = arena_str(a, str_of((const char *)sqlite3_column_text(stmt, 1)));
	size_t open = str_find(type, '(', 0);

	*c = (struct datasource_column_info){.name = arena_str(a, str_of((const char *)sqlite3_column_text(stmt, 0))),
		.comment = STR(""), .def = def ? arena_str(a, str_of(def)) : STR(""),
		.nullable = !sqlite3_column_int(stmt, 2), .primary_key = sqlite3_column_int(stmt, 4) > 0};
	/* "DECIMAL(10,2)" */
	if (open < type.n) {
		struct str args = str_sub(type, open + 1, str_find(type, ')', open)), size = str_cut(&args, ',');
		long long v;

		if (str_to_int(str_trim(size), 0, INT32_MAX, &v))
			c->size = v;
		if (args.p && str_to_int(str_trim(args), 0, INT32_MAX, &v))
			c->scale = v;
	}
	c->type = str_trim(str_sub(type, 0, open));
}

static int lite_columns(struct datasource_conn *conn, struct arena *a, struct str schema, struct str table,
                        int64_t deadline_ms, struct datasource_column_info **ret, size_t *ret_n, struct err *err)
{
	static const char sql[] = "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info(?1)";
	struct datasource_column_info *list = ARENA_ARRAY(a, struct datasource_column_info, 2001);
	struct lite *l = lite_of(conn);
	sqlite3_stmt *stmt;
	size_t n = 0;
	int rc;

	l->deadline_ms = deadline_ms;
	rc = sqlite3_prepare_v2(l->db, sql, -1, &stmt, NULL);
	if (rc != SQLITE_OK)
		return failed(l, rc, err);
	sqlite3_bind_text64(stmt, 1, table.p ? table.p : "", table.n, SQLITE_STATIC, SQLITE_UTF8);
	while (n < 2000 && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		column_info(stmt, a, &list[n++]);
	sqlite3_finalize(stmt);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		return failed(l, rc, err);
	*ret = list;
	*ret_n = n;
	return 0;
}

static int lite_describe(struct datasource_conn *conn, struct arena *a, struct str sql, int64_t deadline_ms,
                         struct datasource_column_info **ret, size_t *ret_n, struct err *err)
{
	struct lite *l = lite_of(conn);
	sqlite3_stmt *stmt;

	l->deadline_ms = deadline_ms;
	int code = prepare(l, sql, false, &stmt, err);

	if (code)
		return code;
	*ret_n = (size_t)sqlite3_column_count(stmt);
	*ret = ARENA_ARRAY(a, struct datasource_column_info, *ret_n + 1);
	for (size_t i = 0; i < *ret_n; i++) {
		const char *type = sqlite3_column_decltype(stmt, (int)i);

		(*ret)[i] =
			(struct datasource_column_info){.name = arena_str(a, str_of(sqlite3_column_name(stmt, (int)i))),
							.type = arena_str(a, str_of(type ? type : "")),
							.comment = STR(""),
							.def = STR(""),
							.nullable = true};
	}
	sqlite3_finalize(stmt);
	return 0;
}

const struct datasource_driver datasource__sqlite = {
	.type = "SQLITE",
	.dialect = DATASOURCE_SQLITE,
	.connect = lite_connect,
	.close = lite_close,
	.alive = lite_alive,
	.ping = lite_ping,
	.tables = lite_tables,
	.columns = lite_columns,
	.describe = lite_describe,
	.execute = lite_execute,
};
