/* SPDX-License-Identifier: Apache-2.0 */
#include "datasource/driver.h"

#include "base/clock.h"
#include "base/mem.h"
#include "datasource/mysql/result.h"

#include <mysql.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* MariaDB and MySQL by libmariadb's non-blocking calls, each wait a poll() that ends at the deadline. Everything runs
 * as a prepared statement: the binary protocol keeps types exact and takes one statement only. */

#define MAX_PARAMS 1000
#define MAX_KILLERS 8
#define KILL_SECONDS 3

struct my {
	struct datasource_conn conn;
	MYSQL *mysql;
	struct datasource_statements statements;
	struct arena *arena; /* of the target */
	struct datasource_target target;
	int64_t deadline_ms; /* of the running call */
	bool broken;         /* a call was abandoned half-way */
};

static struct my *my_of(struct datasource_conn *conn)
{
	return (struct my *)(void *)conn;
}

/* KILL QUERY needs a connection of its own; nobody waits for it. */
struct killer {
	struct arena *arena;
	struct datasource_target target;
	unsigned long id;
};

static atomic_uint killers;

static MYSQL *connect_blocking(const struct datasource_target *t)
{
	MYSQL *mysql = mysql_init(NULL);
	unsigned seconds = KILL_SECONDS, off = 0;
	bool local = t->address[0] == '/';

	if (!mysql)
		return NULL;
	mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
	mysql_options(mysql, MYSQL_OPT_READ_TIMEOUT, &seconds);
	mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
	mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &off);
	if (!mysql_real_connect(mysql, local ? NULL : t->address, t->user, t->password, NULL,
	                        (unsigned)strtoul(t->port, NULL, 10), local ? t->address : NULL, 0)) {
		mysql_close(mysql);
		return NULL;
	}
	return mysql;
}

static void *kill_thread(void *arg)
{
	struct killer *k = arg;
	MYSQL *mysql = connect_blocking(&k->target);
	char text[64];

	if (mysql) {
		snprintf(text, sizeof(text), "KILL QUERY %lu", k->id);
		mysql_real_query(mysql, text, strlen(text));
		mysql_close(mysql);
	}
	arena_free(k->arena);
	free(k);
	mysql_thread_end();
	atomic_fetch_sub(&killers, 1);
	return NULL;
}

/* Gives the running statement up: the connection is of no use any more. */
static void abandon(struct my *my)
{
	struct killer *k;
	pthread_t thread;

	if (my->broken)
		return;
	my->broken = true;
	if (atomic_fetch_add(&killers, 1) >= MAX_KILLERS) {
		atomic_fetch_sub(&killers, 1);
		return;
	}
	k = mem_zalloc(sizeof(*k));
	k->arena = arena_new(1 << 20);
	k->target = (struct datasource_target){.user = arena_cstr(k->arena, str_of(my->target.user)),
		.password = arena_cstr(k->arena, str_of(my->target.password)),
		.address = arena_cstr(k->arena, str_of(my->target.address)),
		.port = arena_cstr(k->arena, str_of(my->target.port))};
	k->id = mysql_thread_id(my->mysql);
	if (k->id && pthread_create(&thread, NULL, kill_thread, k) == 0) {
		pthread_detach(thread);
		return;
	}
	arena_free(k->arena);
	free(k);
	atomic_fetch_sub(&killers, 1);
}

/* Waits for what the library waits for; false at the deadline. */
static bool ready(struct my *my, int *status)
{
	short events =
		(short)(((*status & MYSQL_WAIT_READ) ? POLLIN : 0) | ((*status & MYSQL_WAIT_WRITE) ? POLLOUT : 0) |
			((*status & MYSQL_WAIT_EXCEPT) ? POLLPRI : 0));

	if (!datasource__wait(mysql_get_socket(my->mysql), events, my->deadline_ms))
		return false;
	*status &= ~MYSQL_WAIT_TIMEOUT;
	return true;
}

static int timed_out(struct my *my, struct err *err)
{
	abandon(my);
	return err_set(err, ERR_APPIA_0504, NULL);
}

/* Drives a call of the library to its end; returns from the function at the deadline. */
#define AWAIT(status, cont)                         \
	do {                                            \
		while (status) {                            \
			if (!ready(my, &(status)))              \
				return timed_out(my, err);          \
			(status) = (cont);                      \
		}                                           \
	} while (0)

/* The connection is gone: server shutting down, connection killed, and what the client library sees then. */
static bool is_lost(unsigned number)
{
	static const unsigned lost[] = {1053, 1927, 2001, 2002, 2003, 2005, 2006, 2011, 2012, 2013, 2026, 2055};

	for (size_t i = 0; i < ARRAY_LEN(lost); i++)
		if (number == lost[i])
			return true;
	return false;
}

static int refused(struct my *my, unsigned number, const char *state, const char *message, struct err *err)
{
	char text[512];

	datasource__oneline(message, text, sizeof(text));
	/* After an error of the client library nobody knows where the conversation stands. */
	if (number >= 2000)
		my->broken = true;
	if (is_lost(number)) {
		my->broken = true;
		return err_set_retriable(err, ERR_APPIA_0503_DATASOURCE_UNREACHABLE, "%s", text);
	}
	return err_set(err, ERR_APPIA_0500_SQL_FAILED, "[%s] %s", state, text);
}

static int stmt_refused(struct my *my, MYSQL_STMT *stmt, struct err *err)
{
	return refused(my, mysql_stmt_errno(stmt), mysql_stmt_sqlstate(stmt), mysql_stmt_error(stmt), err);
}

static void my_close(struct datasource_conn *conn)
{
	struct my *my = my_of(conn);

	if (my->broken && mysql_get_socket(my->mysql) >= 0)
		shutdown(mysql_get_socket(my->mysql), SHUT_RDWR); /* so that nothing below waits for the peer */
	mysql_close(my->mysql);
	for (size_t i = 0; i < DATASOURCE_STATEMENTS; i++) {
		if (my->statements.rows[i].handle)
			mysql_stmt_close(my->statements.rows[i].handle);
		free(my->statements.rows[i].sql);
	}
	arena_free(my->arena);
	free(my);
}

static int handshake(struct my *my, struct err *err)
{
	const struct datasource_target *t = &my->target;
	bool local = t->address[0] == '/';
	MYSQL *done = NULL;
	char text[512];
	int status =
		mysql_real_connect_start(&done, my->mysql, local ? NULL : t->address, t->user, t->password,
					 *t->database ? t->database : NULL, (unsigned)strtoul(t->port, NULL, 10),
					 local ? t->address : NULL, CLIENT_MULTI_RESULTS | CLIENT_PS_MULTI_RESULTS);

	while (status) {
		if (!ready(my, &status)) {
			my->broken = true;
			return err_set(err, ERR_APPIA_0504, "connecting to the data source");
		}
		status = mysql_real_connect_cont(&done, my->mysql, status);
	}
	if (!done)
		return err_set_retriable(err, ERR_APPIA_0503_DATASOURCE_UNREACHABLE, "%s",
		                         datasource__oneline(mysql_error(my->mysql), text, sizeof(text)));
	return 0;
}

static void library_init(void)
{
	mysql_library_init(0, NULL, NULL);
}

static int my_connect(const struct datasource_config *config, int64_t deadline_ms, struct datasource_conn **ret,
                      struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct my *my = mem_zalloc(sizeof(*my));
	unsigned off = 0;

	pthread_once(&once, library_init);
	my->conn.driver = &datasource__mysql;
	my->deadline_ms = deadline_ms;
	my->arena = arena_new(1 << 20);
	my->mysql = mysql_init(NULL);
	if (!my->mysql)
		abort();
	int code = datasource__target(config, "3306", my->arena, deadline_ms, &my->target, err);

	mysql_options(my->mysql, MYSQL_OPT_NONBLOCK, NULL);
	mysql_options(my->mysql, MYSQL_OPT_LOCAL_INFILE, &off);
	mysql_options(my->mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	if (!code)
		code = handshake(my, err);
	if (code) {
		my_close(&my->conn);
		return code;
	}
	*ret = &my->conn;
	return 0;
}

static bool my_alive(struct datasource_conn *conn)
{
	struct my *my = my_of(conn);
	unsigned status = 0;

	mariadb_get_infov(my->mysql, MARIADB_CONNECTION_SERVER_STATUS, &status);
	return !my->broken && !(status & SERVER_STATUS_IN_TRANS) && !datasource__stale(mysql_get_socket(my->mysql));
}

static int my_ping(struct datasource_conn *conn, int64_t deadline_ms, struct err *err)
{
	struct my *my = my_of(conn);
	int rc = 0;

	my->deadline_ms = deadline_ms;
	int status = mysql_ping_start(&rc, my->mysql);

	AWAIT(status, mysql_ping_cont(&rc, my->mysql, status));
	return rc ? refused(my, mysql_errno(my->mysql), mysql_sqlstate(my->mysql), mysql_error(my->mysql), err) : 0;
}

static int prepare(struct my *my, struct str sql, MYSQL_STMT **ret, struct err *err)
{
	struct datasource_statement *row = datasource__statement_find(&my->statements, sql);
	int rc = 0;

	if (row) {
		*ret = row->handle;
		return 0;
	}
	row = datasource__statement_room(&my->statements);
	if (row->handle) {
		mysql_stmt_close(row->handle); /* one packet without an answer */
		datasource__statement_clear(row);
	}
	MYSQL_STMT *stmt = mysql_stmt_init(my->mysql);

	if (!stmt)
		abort();
	/* Into the cache at once, so that my_close() finds it whatever happens. */
	datasource__statement_set(&my->statements, row, sql, stmt);
	int status = mysql_stmt_prepare_start(&rc, stmt, sql.p, sql.n);

	AWAIT(status, mysql_stmt_prepare_cont(&rc, stmt, status));
	if (rc) {
		int code = stmt_refused(my, stmt, err);

		if (!my->broken) {
			mysql_stmt_close(stmt);
			datasource__statement_clear(row);
		}
		return code;
	}
	*ret = stmt;
	return 0;
}

/* One execute() on its way. */
struct run {
	struct my *my;
	MYSQL_STMT *stmt;
	int64_t max_rows, rows, changed;
	const struct datasource_sink *sink;
	bool stopped;
};

/* Reads one result set. */
static int fetch(struct run *r, struct datasource_mysql_result *result, struct err *err)
{
	struct my *my = r->my;

	if (r->sink && r->sink->columns)
		r->sink->columns(r->sink->ctx, result->names, result->n);
	for (;;) {
		int rc = 0, status = mysql_stmt_fetch_start(&rc, r->stmt);

		AWAIT(status, mysql_stmt_fetch_cont(&rc, r->stmt, status));
		if (rc == MYSQL_NO_DATA)
			return 0;
		if (rc == 1)
			return stmt_refused(my, r->stmt, err);
		if (r->rows++ >= r->max_rows) {
			r->stopped = true;
			return 0;
		}
		if (!datasource__mysql_row(result, r->stmt))
			return err_set(err, ERR_APPIA_0422_RESULT_TOO_LARGE, "64 MiB in one value");
		if (r->sink && r->sink->row && !r->sink->row(r->sink->ctx, result->values, result->n)) {
			r->stopped = true;
			return 0;
		}
	}
}

static int result_sets(struct run *r, struct err *err)
{
	struct my *my = r->my;

	for (;;) {
		if (mysql_stmt_field_count(r->stmt)) {
			struct datasource_mysql_result result;
			int code = 0;

			r->changed = -1;
			if (datasource__mysql_bind(&result, r->stmt))
				code = fetch(r, &result, err);
			else
				code = stmt_refused(my, r->stmt, err);
			datasource__mysql_unbind(&result);
			if (code || r->stopped)
				return code;
		} else if (r->changed >= 0) {
			r->changed += (int64_t)mysql_stmt_affected_rows(r->stmt);
		}
		if (!mysql_stmt_more_results(r->stmt))
			return 0;
		int rc = 0, status = mysql_stmt_next_result_start(&rc, r->stmt);

		AWAIT(status, mysql_stmt_next_result_cont(&rc, r->stmt, status));
		if (rc > 0)
			return stmt_refused(my, r->stmt, err);
		if (rc < 0)
			return 0;
	}
}

static int run(struct run *r, struct err *err)
{
	struct my *my = r->my;
	int rc = 0, status = mysql_stmt_execute_start(&rc, r->stmt);

	AWAIT(status, mysql_stmt_execute_cont(&rc, r->stmt, status));
	if (rc)
		return stmt_refused(my, r->stmt, err);
	int code = result_sets(r, err);

	if (r->stopped || code) {
		/* What is left unread would be taken for the answer to the next call. */
		if (r->stopped || !mysql_stmt_errno(r->stmt))
			abandon(my);
		return code;
	}
	my_bool failed = 0;

	status = mysql_stmt_free_result_start(&failed, r->stmt);
	AWAIT(status, mysql_stmt_free_result_cont(&failed, r->stmt, status));
	return 0;
}

static int my_execute(struct datasource_conn *conn, struct str sql, const struct str *params, size_t n_params,
                      bool procedure, int64_t max_rows, int64_t deadline_ms, const struct datasource_sink *sink,
                      int64_t *ret_changed, struct err *err)
{
	struct my *my = my_of(conn);
	struct run r = {.my = my, .max_rows = max_rows, .sink = sink};
	char is_null = 1;

	my->deadline_ms = deadline_ms;
	int code = prepare(my, sql, &r.stmt, err);

	if (code)
		return code;
	if (n_params > MAX_PARAMS || mysql_stmt_param_count(r.stmt) != n_params)
		return err_set(err, ERR_APPIA_0500_SQL_FAILED, "the number of parameters does not fit the statement");
	MYSQL_BIND *binds = mem_zalloc(sizeof(*binds) * (n_params + 1));

	for (size_t i = 0; i < n_params; i++) {
		binds[i].buffer_type = MYSQL_TYPE_STRING;
		binds[i].buffer = (void *)(uintptr_t)params[i].p;
		binds[i].buffer_length = params[i].n;
		if (!params[i].p)
			binds[i].is_null = &is_null;
	}
	if (n_params)
		mysql_stmt_bind_param(r.stmt, binds);
	code = run(&r, err);
	free(binds);
	if (!code && ret_changed)
		*ret_changed = r.changed;
	return code;
}

static int my_tables(struct datasource_conn *conn, struct arena *a, struct str pattern, int64_t deadline_ms,
                     struct datasource_table_info **ret, size_t *ret_n, struct err *err)
{
	struct str params[] = {pattern.p ? pattern : STR("")};
	struct datasource_grid g;
	int code = datasource__query(conn, a, STR(
		"SELECT table_schema, table_name, table_comment FROM information_schema.tables"
		" WHERE table_schema = database() AND locate(lower(?), lower(table_name)) > 0 ORDER BY table_name"),
		params, 1, deadline_ms, &g, err);

	return code ? code : datasource__grid_tables(&g, ret, ret_n);
}

static int my_columns(struct datasource_conn *conn, struct arena *a, struct str schema, struct str table,
                      int64_t deadline_ms, struct datasource_column_info **ret, size_t *ret_n, struct err *err)
{
	struct str params[] = {schema.n ? schema : STR_NONE, table};
	struct datasource_grid g;
	int code = datasource__query(
		conn, a,
		STR("SELECT column_name, data_type, column_comment, column_default,"
		    " coalesce(character_maximum_length, numeric_precision, datetime_precision, 0), "
		    "coalesce(numeric_scale, 0),"
		    " is_nullable = 'YES', column_key = 'PRI' FROM information_schema.columns"
		    " WHERE table_schema = coalesce(?, database()) AND table_name = ? ORDER BY ordinal_position"),
		params, 2, deadline_ms, &g, err);

	return code ? code : datasource__grid_columns(&g, ret, ret_n);
}

static int my_describe(struct datasource_conn *conn, struct arena *a, struct str sql, int64_t deadline_ms,
                       struct datasource_column_info **ret, size_t *ret_n, struct err *err)
{
	struct my *my = my_of(conn);
	MYSQL_STMT *stmt;

	my->deadline_ms = deadline_ms;
	int code = prepare(my, sql, &stmt, err);

	if (!code)
		datasource__mysql_describe(stmt, a, ret, ret_n);
	return code;
}

const struct datasource_driver datasource__mysql = {
	.type = "MYSQL",
	.dialect = DATASOURCE_MYSQL,
	.connect = my_connect,
	.close = my_close,
	.alive = my_alive,
	.ping = my_ping,
	.tables = my_tables,
	.columns = my_columns,
	.describe = my_describe,
	.execute = my_execute,
};
