/* SPDX-License-Identifier: Apache-2.0 */
#include "datasource/driver.h"

#include "base/clock.h"
#include "base/mem.h"
#include "datasource/lex.h"
#include "datasource/postgresql/types.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* PostgreSQL by libpq's non-blocking calls: every wait is a poll() that ends at the deadline. Parameters go as text
 * of unknown type, so that the server infers each from where it stands; where it cannot, they are text. */

#define MAX_PARAMS 1000
#define OID_TEXT 25

struct pg {
	struct datasource_conn conn;
	PGconn *pq;
	struct datasource_statements statements;
	unsigned long last_name;
	struct arena *row; /* converted values of the current row */
	bool broken;       /* a call was abandoned half-way */
};

struct prepared {
	char name[24];
};

static struct pg *pg_of(struct datasource_conn *conn)
{
	return (struct pg *)(void *)conn;
}

static int unreachable(struct pg *pg, struct err *err)
{
	char text[512];

	return err_set_retriable(err, ERR_APPIA_0503_DATASOURCE_UNREACHABLE, "%s",
	                         datasource__oneline(PQerrorMessage(pg->pq), text, sizeof(text)));
}

static void pg_close(struct datasource_conn *conn)
{
	struct pg *pg = pg_of(conn);

	for (size_t i = 0; i < DATASOURCE_STATEMENTS; i++) {
		free(pg->statements.rows[i].handle);
		free(pg->statements.rows[i].sql);
	}
	PQfinish(pg->pq);
	arena_free(pg->row);
	free(pg);
}

/* The notices of a server are nobody's business here. */
static void no_notice(void *arg, const PGresult *result)
{
}

static PGconn *start(const struct datasource_target *t)
{
	const char *keys[] = {"host", "hostaddr", "port", "dbname", "user", "password", "application_name",
	                      "client_encoding", "options", "keepalives_idle", "passfile", NULL};
	const char *values[] = {t->host,
				t->host[0] == '/' ? NULL : t->address,
				t->port,
				*t->database ? t->database : NULL,
				t->user,
				t->password,
				"appia",
				"UTF8",
				"-c datestyle=ISO,YMD -c bytea_output=hex -c intervalstyle=iso_8601",
				"60",
				"/dev/null",
				NULL};

	return PQconnectStartParams(keys, values, 0);
}

static int pg_connect(const struct datasource_config *config, int64_t deadline_ms, struct datasource_conn **ret,
                      struct err *err)
{
	struct arena *a = arena_new(1 << 20);
	struct datasource_target t;
	int code = datasource__target(config, "5432", a, deadline_ms, &t, err);
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;

	if (code) {
		arena_free(a);
		return code;
	}
	struct pg *pg = mem_zalloc(sizeof(*pg));

	pg->conn.driver = &datasource__postgresql;
	pg->pq = start(&t);
	arena_free(a);
	if (PQstatus(pg->pq) == CONNECTION_BAD)
		state = PGRES_POLLING_FAILED;
	while (state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
		if (!datasource__wait(PQsocket(pg->pq), state == PGRES_POLLING_READING ? POLLIN : POLLOUT,
				      deadline_ms)) {
			pg_close(&pg->conn);
			return err_set(err, ERR_APPIA_0504, "connecting to the data source");
		}
		state = PQconnectPoll(pg->pq);
	}
	if (state == PGRES_POLLING_FAILED) {
		code = unreachable(pg, err);
		pg_close(&pg->conn);
		return code;
	}
	PQsetnonblocking(pg->pq, 1);
	PQsetNoticeReceiver(pg->pq, no_notice, NULL);
	pg->row = arena_new(SIZE_MAX / 2);
	*ret = &pg->conn;
	return 0;
}

static bool pg_alive(struct datasource_conn *conn)
{
	struct pg *pg = pg_of(conn);

	if (pg->broken || PQstatus(pg->pq) != CONNECTION_OK || PQtransactionStatus(pg->pq) != PQTRANS_IDLE)
		return false;
	if (!datasource__stale(PQsocket(pg->pq)))
		return true;
	/* A notice or a changed setting is harmless; an end of file is not. */
	return PQconsumeInput(pg->pq) && PQstatus(pg->pq) == CONNECTION_OK && !datasource__stale(PQsocket(pg->pq));
}

/* PQcancel() opens a connection of its own and may block, so nobody waits for it. */
static void *cancel_thread(void *arg)
{
	char text[256];

	PQcancel(arg, text, sizeof(text));
	PQfreeCancel(arg);
	return NULL;
}

static void abandon(struct pg *pg)
{
	PGcancel *cancel = PQgetCancel(pg->pq);
	pthread_t thread;

	pg->broken = true;
	if (!cancel)
		return;
	if (pthread_create(&thread, NULL, cancel_thread, cancel) == 0)
		pthread_detach(thread);
	else
		PQfreeCancel(cancel);
}

/* Sends what is buffered; the server may want us to read meanwhile. */
static int flush(struct pg *pg, int64_t deadline_ms, struct err *err)
{
	int more;

	while ((more = PQflush(pg->pq)) == 1) {
		if (!datasource__wait(PQsocket(pg->pq), POLLIN | POLLOUT, deadline_ms)) {
			abandon(pg);
			return err_set(err, ERR_APPIA_0504, NULL);
		}
		if (!PQconsumeInput(pg->pq))
			return unreachable(pg, err);
	}
	return more ? unreachable(pg, err) : 0;
}

/* The next result, NULL behind the last. */
static int next_result(struct pg *pg, int64_t deadline_ms, PGresult **ret, struct err *err)
{
	while (PQisBusy(pg->pq)) {
		if (!datasource__wait(PQsocket(pg->pq), POLLIN, deadline_ms)) {
			abandon(pg);
			return err_set(err, ERR_APPIA_0504, NULL);
		}
		if (!PQconsumeInput(pg->pq)) {
			pg->broken = true;
			return unreachable(pg, err);
		}
	}
	*ret = PQgetResult(pg->pq);
	return 0;
}

static int refused(struct pg *pg, const PGresult *result, struct err *err)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	char text[512];

	if (PQstatus(pg->pq) != CONNECTION_OK || !state || strncmp(state, "57P", 3) == 0) {
		pg->broken = true;
		return err_set_retriable(
			err, ERR_APPIA_0503_DATASOURCE_UNREACHABLE, "%s",
			datasource__oneline(message ? message : PQresultErrorMessage(result), text, sizeof(text)));
	}
	return err_set(err, ERR_APPIA_0500_SQL_FAILED, "[%s] %s", state,
		       datasource__oneline(message, text, sizeof(text)));
}

/* Reads to the end of the command; keeps the first error. */
static int drain(struct pg *pg, int64_t deadline_ms, struct err *err)
{
	PGresult *result;
	int code = 0;

	for (;;) {
		int lost = next_result(pg, deadline_ms, &result, code ? NULL : err);

		if (lost)
			return code ? code : lost;
		if (!result)
			return code;
		ExecStatusType status = PQresultStatus(result);

		if ((status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE) && !code)
			code = refused(pg, result, err);
		if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
			PQclear(result);
			abandon(pg);
			return err_set(err, ERR_APPIA_0500_SQL_FAILED, "COPY is not supported");
		}
		PQclear(result);
	}
}

/* "?" becomes "$n", "??" a question mark. False when the number of parameters differs. */
static bool number_marks(struct str sql, struct buf *out, size_t n_params)
{
	struct lex lex = {.sql = sql, .dialect = DATASOURCE_POSTGRESQL};
	struct lex_token t;
	size_t n = 0;

	while ((t = datasource_lex_next(&lex)).kind != LEX_END) {
		if (t.kind != LEX_MARK) {
			buf_str(out, t.text);
		} else if (lex.at < sql.n && sql.p[lex.at] == '?') {
			buf_char(out, '?');
			lex.at++;
		} else {
			buf_fmt(out, "$%zu", ++n);
		}
	}
	return n == n_params && !out->failed;
}

/* One execute() on its way. */
struct run {
	struct pg *pg;
	struct str sql;
	char *text; /* numbered */
	const char **values;
	int *lengths;
	Oid *types; /* 0: the server infers it */
	size_t n;
	int64_t max_rows, rows, deadline_ms;
	const struct datasource_sink *sink;
	bool columns_given, stopped;
	int64_t changed;
	char state[6];      /* SQLSTATE of a refusal */
	unsigned undecided; /* parameter whose type the server could not infer, or 0 */
};

/* "$3" in the message of SQLSTATE 42P18, whatever its language. */
static unsigned undecided(const char *message)
{
	const char *p = message ? strchr(message, '$') : NULL;

	return p ? (unsigned)strtoul(p + 1, NULL, 10) : 0;
}

static int run_refused(struct run *r, const PGresult *result, struct err *err)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (state) {
		snprintf(r->state, sizeof(r->state), "%s", state);
		if (strcmp(state, "42P18") == 0)
			r->undecided = undecided(PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
	}
	return refused(r->pg, result, err);
}

static void give_columns(struct run *r, const PGresult *result)
{
	int n = PQnfields(result);
	struct str *names = arena_alloc(r->pg->row, sizeof(*names) * (size_t)(n ? n : 1));

	for (int i = 0; i < n; i++)
		names[i] = str_of(PQfname(result, i));
	r->columns_given = true;
	r->changed = -1;
	if (r->sink && r->sink->columns)
		r->sink->columns(r->sink->ctx, names, (size_t)n);
	arena_reset(r->pg->row);
}

static void give_rows(struct run *r, const PGresult *result)
{
	int n = PQnfields(result);

	if (!r->columns_given)
		give_columns(r, result);
	for (int row = 0; row < PQntuples(result) && !r->stopped; row++) {
		if (r->rows++ >= r->max_rows) {
			r->stopped = true;
			break;
		}
		if (!r->sink || !r->sink->row)
			continue;
		struct value *values = arena_alloc(r->pg->row, sizeof(*values) * (size_t)(n ? n : 1));

		for (int i = 0; i < n; i++) {
			if (PQgetisnull(result, row, i))
				continue; /* zeroed: VALUE_NULL */
			struct str text = {PQgetvalue(result, row, i), (size_t)PQgetlength(result, row, i)};

			datasource__pg_value(PQftype(result, i), PQfmod(result, i), text, r->pg->row, &values[i]);
		}
		if (!r->sink->row(r->sink->ctx, values, (size_t)n))
			r->stopped = true;
		arena_reset(r->pg->row);
	}
}

/* Reads all results of the command that was sent. */
static int collect(struct run *r, struct err *err)
{
	PGresult *result;
	int code = flush(r->pg, r->deadline_ms, err);

	while (!code && !(code = next_result(r->pg, r->deadline_ms, &result, err)) && result) {
		switch (PQresultStatus(result)) {
		case PGRES_SINGLE_TUPLE:
		case PGRES_TUPLES_OK:
			give_rows(r, result);
			break;
		case PGRES_COMMAND_OK:
			r->changed = strtoll(PQcmdTuples(result), NULL, 10);
			break;
		case PGRES_EMPTY_QUERY:
			code = err_set(err, ERR_APPIA_0500_SQL_FAILED, "the statement is empty");
			break;
		case PGRES_COPY_IN:
		case PGRES_COPY_OUT:
		case PGRES_COPY_BOTH:
			abandon(r->pg);
			code = err_set(err, ERR_APPIA_0500_SQL_FAILED, "COPY is not supported");
			break;
		default:
			code = run_refused(r, result, err);
		}
		PQclear(result);
		if (r->stopped) {
			abandon(r->pg); /* the rest is not worth reading */
			return 0;
		}
	}
	if (code && !r->pg->broken)
		drain(r->pg, r->deadline_ms, NULL);
	return code;
}

static void forget(struct datasource_statement *row)
{
	free(row->handle);
	datasource__statement_clear(row);
}

/* Frees a row of the cache at the server too. */
static int evict(struct run *r, struct datasource_statement *row, struct err *err)
{
	char text[64];
	struct prepared *p = row->handle;

	snprintf(text, sizeof(text), "DEALLOCATE %s", p->name);
	forget(row);
	if (!PQsendQuery(r->pg->pq, text))
		return unreachable(r->pg, err);
	int code = flush(r->pg, r->deadline_ms, err);

	return code ? code : drain(r->pg, r->deadline_ms, err);
}

/* Prepares the text under a new name. */
static int prepare(struct run *r, struct datasource_statement **ret, struct err *err)
{
	struct datasource_statement *row = datasource__statement_room(&r->pg->statements);
	int code = row->handle ? evict(r, row, err) : 0;
	PGresult *result = NULL;

	if (code)
		return code;
	struct prepared *p = mem_zalloc(sizeof(*p));

	snprintf(p->name, sizeof(p->name), "appia_%lu", ++r->pg->last_name);
	if (!PQsendPrepare(r->pg->pq, p->name, r->text, (int)r->n, r->types))
		code = unreachable(r->pg, err);
	if (!code)
		code = flush(r->pg, r->deadline_ms, err);
	if (!code)
		code = next_result(r->pg, r->deadline_ms, &result, err);
	if (!code && PQresultStatus(result) != PGRES_COMMAND_OK)
		code = run_refused(r, result, err);
	PQclear(result);
	if (!r->pg->broken) {
		int rest = drain(r->pg, r->deadline_ms, code ? NULL : err);

		code = code ? code : rest;
	}
	if (code) {
		free(p);
		return code;
	}
	datasource__statement_set(&r->pg->statements, row, r->sql, p);
	*ret = row;
	return 0;
}

static int number(struct run *r, struct err *err)
{
	struct buf out;

	buf_init(&out, 16 << 20);
	if (!number_marks(r->sql, &out, r->n) || (r->sql.n && memchr(r->sql.p, 0, r->sql.n))) {
		buf_done(&out);
		return err_set(err, ERR_APPIA_0500_SQL_FAILED, "the number of parameters does not fit the statement");
	}
	buf_char(&out, 0);
	r->text = out.p;
	return 0;
}

static int run_once(struct run *r, struct err *err)
{
	struct datasource_statement *row = datasource__statement_find(&r->pg->statements, r->sql);
	int code = 0, sent;

	r->undecided = 0;
	r->state[0] = 0;
	if (!row && !r->text)
		code = number(r, err);
	if (!code && !row && datasource__statement_seen(&r->pg->statements, r->sql))
		code = prepare(r, &row, err);
	if (code)
		return code;
	if (row)
		sent = PQsendQueryPrepared(r->pg->pq, ((struct prepared *)row->handle)->name, (int)r->n, r->values,
					   r->lengths, NULL, 0);
	else
		sent = PQsendQueryParams(r->pg->pq, r->text, (int)r->n, r->types, r->values, r->lengths, NULL, 0);
	if (!sent)
		return unreachable(r->pg, err);
	PQsetSingleRowMode(r->pg->pq);
	code = collect(r, err);
	/* A table changed under a prepared statement, or the statement is gone (DISCARD): forget it. */
	if (code && row && (strcmp(r->state, "0A000") == 0 || strcmp(r->state, "26000") == 0)) {
		forget(row);
		if (!r->columns_given && PQtransactionStatus(r->pg->pq) == PQTRANS_IDLE)
			return run_once(r, err);
	}
	return code;
}

static int run(struct run *r, struct err *err)
{
	int code = run_once(r, err);

	/* "could not determine data type of parameter $n", as in concat('%', ?): then it is text. */
	for (size_t tries = 0; code && r->undecided && tries < r->n; tries++) {
		if (r->undecided > r->n || r->types[r->undecided - 1])
			break;
		r->types[r->undecided - 1] = OID_TEXT;
		code = run_once(r, err);
	}
	return code;
}

static int pg_execute(struct datasource_conn *conn, struct str sql, const struct str *params, size_t n_params,
                      bool procedure, int64_t max_rows, int64_t deadline_ms, const struct datasource_sink *sink,
                      int64_t *ret_changed, struct err *err)
{
	struct run r = {.pg = pg_of(conn), .sql = sql, .n = n_params, .max_rows = max_rows, .deadline_ms = deadline_ms,
	                .sink = sink};
	char *copies = NULL;
	size_t total = 0;

	if (n_params > MAX_PARAMS)
		return err_set(err, ERR_APPIA_0500_SQL_FAILED, "too many parameters");
	for (size_t i = 0; i < n_params; i++) {
		if (params[i].n && memchr(params[i].p, 0, params[i].n))
			return err_set(err, ERR_APPIA_0500_SQL_FAILED, "a parameter holds a NUL character");
		total += params[i].n + 1;
	}
	r.values = mem_zalloc(sizeof(*r.values) * (n_params + 1));
	r.lengths = mem_zalloc(sizeof(*r.lengths) * (n_params + 1));
	r.types = mem_zalloc(sizeof(*r.types) * (n_params + 1));
	copies = mem_alloc(total + 1);
	char *at = copies;

	for (size_t i = 0; i < n_params; i++) {
		if (!params[i].p)
			continue;
		memcpy(at, params[i].p, params[i].n);
		at[params[i].n] = 0;
		r.values[i] = at;
		at += params[i].n + 1;
	}
	int code = run(&r, err);

	free(copies);
	free(r.values);
	free(r.lengths);
	free(r.types);
	free(r.text);
	if (!code && ret_changed)
		*ret_changed = r.changed;
	return code;
}

static int pg_ping(struct datasource_conn *conn, int64_t deadline_ms, struct err *err)
{
	return pg_execute(conn, STR("SELECT 1"), NULL, 0, false, 1, deadline_ms, NULL, NULL, err);
}

static int pg_tables(struct datasource_conn *conn, struct arena *a, struct str pattern, int64_t deadline_ms,
                     struct datasource_table_info **ret, size_t *ret_n, struct err *err)
{
	struct str params[] = {pattern.p ? pattern : STR("")};
	struct datasource_grid g;
	int code = datasource__query(conn, a, STR(
		"SELECT n.nspname, c.relname, coalesce(obj_description(c.oid, 'pg_class'), '')"
		" FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
		" WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%'"
		" AND n.nspname <> 'information_schema' AND strpos(lower(c.relname), lower(?)) > 0"
		" AND has_schema_privilege(n.oid, 'USAGE') ORDER BY 1, 2"),
		params, 1, deadline_ms, &g, err);

	return code ? code : datasource__grid_tables(&g, ret, ret_n);
}

static int pg_columns(struct datasource_conn *conn, struct arena *a, struct str schema, struct str table,
                      int64_t deadline_ms, struct datasource_column_info **ret, size_t *ret_n, struct err *err)
{
	struct str params[] = {table, schema.n ? schema : STR_NONE};
	struct datasource_grid g;
	/* Without a schema: the table of that name on the search path, else the first one. */
	int code = datasource__query(conn, a, STR(
		"SELECT a.attname, format_type(a.atttypid, NULL), coalesce(col_description(a.attrelid, a.attnum), ''),"
		" coalesce(pg_get_expr(d.adbin, d.adrelid), ''),"
		" coalesce(information_schema._pg_char_max_length(a.atttypid, a.atttypmod),"
		" information_schema._pg_numeric_precision(a.atttypid, a.atttypmod), 0),"
		" coalesce(information_schema._pg_numeric_scale(a.atttypid, a.atttypmod), 0),"
		" CASE WHEN a.attnotnull THEN 0 ELSE 1 END,"
		" (SELECT count(*) FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary"
		" AND a.attnum = ANY (i.indkey))"
		" FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
		" WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = (SELECT c.oid FROM pg_class c"
		" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = ? AND (?::text IS NULL"
		" OR n.nspname = ?::text) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')"
		" ORDER BY pg_table_is_visible(c.oid) DESC, n.nspname LIMIT 1) ORDER BY a.attnum"),
		(struct str[]){params[0], params[1], params[1]}, 3, deadline_ms, &g, err);

	return code ? code : datasource__grid_columns(&g, ret, ret_n);
}

static void describe_columns(const PGresult *result, struct arena *a, struct datasource_column_info **ret,
                             size_t *ret_n)
{
	*ret_n = (size_t)PQnfields(result);
	*ret = ARENA_ARRAY(a, struct datasource_column_info, *ret_n + 1);
	for (size_t i = 0; i < *ret_n; i++) {
		struct datasource_column_info *c = &(*ret)[i];
		int mod = PQfmod(result, (int)i), size = PQfsize(result, (int)i);

		c->name = arena_str(a, str_of(PQfname(result, (int)i)));
		c->type = datasource__pg_type_name(PQftype(result, (int)i));
		c->nullable = true;
		c->size = size > 0 ? size : 0;
		if (datasource__pg_is_numeric(PQftype(result, (int)i)) && mod >= 4) {
			c->size = ((mod - 4) >> 16) & 0xffff;
			c->scale = (mod - 4) & 0xffff;
		} else if (size < 0 && mod >= 4) {
			c->size = mod - 4;
		}
	}
}

static int pg_describe(struct datasource_conn *conn, struct arena *a, struct str sql, int64_t deadline_ms,
                       struct datasource_column_info **ret, size_t *ret_n, struct err *err)
{
	struct run r = {.pg = pg_of(conn), .sql = sql, .deadline_ms = deadline_ms, .types = (Oid[1]){0}};
	struct datasource_statement *row = datasource__statement_find(&r.pg->statements, sql);
	PGresult *result = NULL;
	int code = row ? 0 : number(&r, err);

	if (!code && !row)
		code = prepare(&r, &row, err);
	free(r.text);
	if (code)
		return code;
	if (!PQsendDescribePrepared(r.pg->pq, ((struct prepared *)row->handle)->name))
		return unreachable(r.pg, err);
	code = flush(r.pg, deadline_ms, err);
	if (!code)
		code = next_result(r.pg, deadline_ms, &result, err);
	if (!code && PQresultStatus(result) != PGRES_COMMAND_OK)
		code = refused(r.pg, result, err);
	if (!code)
		describe_columns(result, a, ret, ret_n);
	PQclear(result);
	if (!r.pg->broken)
		drain(r.pg, deadline_ms, NULL);
	return code;
}

const struct datasource_driver datasource__postgresql = {
	.type = "POSTGRESQL",
	.dialect = DATASOURCE_POSTGRESQL,
	.connect = pg_connect,
	.close = pg_close,
	.alive = pg_alive,
	.ping = pg_ping,
	.tables = pg_tables,
	.columns = pg_columns,
	.describe = pg_describe,
	.execute = pg_execute,
};
