/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_priv.h"

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

#include <endian.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdlib.h>

/* Type numbers of pg_type, fixed in the catalogue. */
#define OID_BYTEA 17
#define OID_BIGINT 20
#define OID_TEXT 25
#define MAX_SQL ((size_t)1 << 20)
/* Any numbers, the same in all our processes. */
#define LOCK_OUTBOX "7303014150504901"
#define LOCK_MIGRATE "7303014150504902"
/* Milliseconds. A session that dies without a word must not keep its locks for ever. */
#define SETUP                                                                                                         \
	"SET statement_timeout = 30000; SET lock_timeout = 5000; SET idle_in_transaction_session_timeout = 120000; "  \
	"SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET bytea_output = 'hex'; "              \
	"SET client_min_messages = 'warning'; SET synchronous_commit = on"

struct statement {
	char name[24];
	char *key; /* key in the map: types, line feed, SQL */
};

struct connection {
	PGconn *pg; /* NULL: not connected yet */
	struct map *statements;
	struct buf key;
	uint64_t last_name;
	bool stale; /* prepared statements no longer fit the tables */
};

struct pg_store {
	struct store base;
	char *url;
	struct connection *connections;
	unsigned n;
	struct store_pool *pool;
};

struct pg_tx {
	struct store_tx base;
	struct connection *c;
};

struct pg_rows {
	struct store_rows base;
	struct connection *c;
	PGresult *row;
	unsigned char *bytes; /* the last column of bytes looked at */
	bool fetched;         /* the current row has not been handed out */
};

static struct pg_store *store_of(struct store *store)
{
	return (struct pg_store *)store;
}

static struct connection *connection_of(struct store_tx *tx)
{
	return ((struct pg_tx *)tx)->c;
}

static int unavailable(struct err *err)
{
	return err_set_retriable(err, ERR_APPIA_0503, NULL);
}

static bool state_in(const char *state, const char *const *list)
{
	for (; *list; list++) {
		if (strncmp(state, *list, strlen(*list)) == 0)
			return true;
	}
	return false;
}

/* SQLSTATEs and their classes: PostgreSQL 15 documentation, appendix A. */
static int fail_state(struct connection *c, struct err *err, const char *state, const char *message)
{
	/* Serialization failure, deadlock, lock not available, query cancelled (time-out), out of memory. */
	static const char *const busy[] = {"40", "55P03", "57014", "53200", NULL};
	/* Connection exception, too many connections, shut down, idle time-out. */
	static const char *const away[] = {"08", "53300", "57P", "25P03", NULL};

	log_debug("store: pg state=%s message=%s", state, message ? message : "");
	if (strcmp(state, "23505") == 0)
		return err_set(err, ERR_APPIA_0409, NULL);
	if (strcmp(state, "23503") == 0 || strcmp(state, "23001") == 0)
		return err_set(err, ERR_APPIA_0422, NULL);
	if (strcmp(state, "53100") == 0)
		return err_set_retriable(err, ERR_APPIA_0507, NULL);
	if (strcmp(state, "0A000") == 0 || strcmp(state, "26000") == 0) {
		/* A plan from before a migration: works again with new statements. */
		c->stale = true;
		return unavailable(err);
	}
	if (state_in(state, busy))
		return store__busy(err);
	if (state_in(state, away))
		return unavailable(err);
	return err_set(err, ERR_APPIA_0500, NULL);
}

static int fail(struct connection *c, struct err *err, const PGresult *res)
{
	const char *state = res ? PQresultErrorField(res, PG_DIAG_SQLSTATE) : NULL;

	if (PQstatus(c->pg) == CONNECTION_BAD) {
		log_debug("store: pg connection lost");
		return unavailable(err);
	}
	return fail_state(c, err, state ? state : "XX000", res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : "");
}

static bool is_good(const PGresult *res)
{
	ExecStatusType status = PQresultStatus(res);

	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_SINGLE_TUPLE;
}

static int run(struct connection *c, struct err *err, const char *sql)
{
	PGresult *res = PQexec(c->pg, sql);
	int r = is_good(res) ? 0 : fail(c, err, res);

	PQclear(res);
	return r;
}

static void forget_statements(struct connection *c)
{
	struct str key;
	void *value;

	for (size_t at = 0; map_next(c->statements, &at, &key, &value);) {
		struct statement *st = value;

		free(st->key);
		free(st);
	}
	map_free(c->statements);
	c->statements = map_new();
	c->stale = false;
}

static void disconnect(struct connection *c)
{
	PQfinish(c->pg);
	c->pg = NULL;
}

/* Notices of the server go nowhere: standard error belongs to the log. */
static void ignore_notice(void *arg, const PGresult *res)
{
}

/* For the person who starts the program; the first line is enough and holds no password. */
static int fail_connect(struct connection *c, struct err *err)
{
	struct str text = str_of(PQerrorMessage(c->pg));
	struct str line = str_cut(&text, '\n');

	log_debug("store: pg connect failed message=%.*s", STR_FMT(line));
	return unavailable(err);
}

static int connect_db(struct pg_store *s, struct connection *c, struct err *err)
{
	/* What the URL says of these wins, because it comes later. */
	static const char *const names[] = {
		"connect_timeout", "application_name", "keepalives_idle", "tcp_user_timeout", "dbname", NULL};
	const char *values[] = {"5", "appia", "30", "30000", s->url, NULL};
	int r;

	if (c->pg && PQstatus(c->pg) == CONNECTION_OK)
		return 0;
	disconnect(c);
	forget_statements(c);
	c->pg = PQconnectdbParams(names, values, 1);
	if (PQstatus(c->pg) != CONNECTION_OK) {
		r = fail_connect(c, err);
		disconnect(c);
		return r;
	}
	PQsetNoticeReceiver(c->pg, ignore_notice, NULL);
	r = run(c, err, SETUP);
	if (r < 0)
		disconnect(c);
	return r;
}

static void close_store(struct store *store)
{
	struct pg_store *s = store_of(store);

	for (unsigned i = 0; i < s->n; i++) {
		struct connection *c = &s->connections[i];

		disconnect(c);
		forget_statements(c);
		map_free(c->statements);
		buf_done(&c->key);
	}
	store__pool_free(s->pool);
	free(s->connections);
	free(s->url);
	free(s);
}

static int open_store(const char *url, unsigned connections, struct store **ret, struct err *err)
{
	struct pg_store *s = mem_zalloc(sizeof(*s));

	s->url = mem_strdup(url);
	s->n = connections;
	s->connections = mem_zalloc(s->n * sizeof(*s->connections));
	s->pool = store__pool_new();
	for (unsigned i = 0; i < s->n; i++) {
		s->connections[i].statements = map_new();
		buf_init(&s->connections[i].key, MAX_SQL);
		store__pool_give(s->pool, &s->connections[i]);
	}
	int r = connect_db(s, &s->connections[0], err);

	if (r < 0) {
		close_store(&s->base);
		if (r == ERR_APPIA_0503) {
			err_set_text(err, r, "The PostgreSQL server of the store cannot be reached; check store.url.");
			if (err)
				err->retriable = true;
		}
		return r;
	}
	*ret = &s->base;
	return 0;
}

/* The lock is taken outside of any snapshot: what comes behind it sees all that others committed under it. */
static const char *begin_sql(int mode)
{
	switch (mode) {
	case STORE_READ:
		return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
	case STORE_WRITE:
		return "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE";
	default:
		return "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL lock_timeout = 60000; "
		       "SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(" LOCK_MIGRATE ")";
	}
}

static int start(struct pg_store *s, struct connection *c, int mode, struct err *err)
{
	int r = connect_db(s, c, err);

	if (r < 0)
		return r;
	if (c->stale || map_count(c->statements) > STORE_MAX_STATEMENTS) {
		forget_statements(c);
		r = run(c, err, "DEALLOCATE ALL");
		if (r < 0 && PQstatus(c->pg) == CONNECTION_OK)
			return r;
	}
	r = run(c, err, begin_sql(mode));
	if (r < 0 && PQstatus(c->pg) == CONNECTION_BAD) {
		/* The server was restarted since the last use: nothing was asked of it yet, so ask again. */
		r = connect_db(s, c, err);
		if (r == 0)
			r = run(c, err, begin_sql(mode));
	}
	if (r < 0 && c->pg && PQtransactionStatus(c->pg) != PQTRANS_IDLE)
		disconnect(c);
	return r;
}

static int begin(struct store *store, int mode, struct store_tx **ret, struct err *err)
{
	struct pg_store *s = store_of(store);
	struct connection *c = store__pool_take(s->pool, store__wait_ms);
	int r;

	if (!c)
		return store__busy(err);
	r = start(s, c, mode, err);
	if (r < 0) {
		store__pool_give(s->pool, c);
		return r;
	}
	struct pg_tx *tx = mem_zalloc(sizeof(*tx));

	tx->base.store = store;
	tx->base.mode = mode;
	tx->c = c;
	*ret = &tx->base;
	return 0;
}

static void end(struct store_tx *tx)
{
	struct connection *c = connection_of(tx);

	if (PQstatus(c->pg) == CONNECTION_OK && PQtransactionStatus(c->pg) != PQTRANS_IDLE)
		run(c, NULL, "ROLLBACK");
	if (PQtransactionStatus(c->pg) != PQTRANS_IDLE)
		disconnect(c);
	store__pool_give(store_of(tx->store)->pool, c);
	free(tx);
}

static int commit(struct store_tx *tx, struct err *err)
{
	struct connection *c = connection_of(tx);
	PGresult *res = PQexec(c->pg, "COMMIT");
	int r = 0;

	if (PQresultStatus(res) != PGRES_COMMAND_OK) {
		r = fail(c, err, res);
		/* Lost here, nobody knows whether the server committed: doing it again is for people to decide. */
		if (PQstatus(c->pg) == CONNECTION_BAD && err)
			err->retriable = false;
	} else if (strcmp(PQcmdStatus(res), "COMMIT") != 0) {
		r = err_set(err, ERR_APPIA_0500, NULL);
	}
	PQclear(res);
	end(tx);
	return r;
}

static Oid oid_of(const struct store_param *p)
{
	switch (p->kind) {
	case STORE_INT:
		return OID_BIGINT;
	case STORE_BYTES:
		return OID_BYTEA;
	default:
		return OID_TEXT;
	}
}

static int prepare_new(struct connection *c, const char *sql, const struct store_param *params, unsigned n,
                       struct statement **ret, struct err *err)
{
	struct statement *st;
	Oid oids[STORE_MAX_PARAMS];
	struct buf text;
	PGresult *res;
	int r = 0;

	for (unsigned i = 0; i < n; i++)
		oids[i] = oid_of(&params[i]);
	buf_init(&text, MAX_SQL);
	if (store__dollars(&text, sql) != n || text.failed) {
		buf_done(&text);
		log_debug("store: number of parameters differs from the types string");
		return err_set(err, ERR_APPIA_0500, NULL);
	}
	st = mem_zalloc(sizeof(*st));
	snprintf(st->name, sizeof(st->name), "s%" PRIu64, ++c->last_name);
	res = PQprepare(c->pg, st->name, buf_view(&text).p, (int)n, oids);
	if (!is_good(res)) {
		r = fail(c, err, res);
		free(st);
	} else {
		*ret = st;
	}
	PQclear(res);
	buf_done(&text);
	return r;
}

static int prepare(struct connection *c, const char *sql, const struct store_param *params, unsigned n,
                   const char **ret_name, struct err *err)
{
	struct statement *st;
	int r;

	/* The same text may be used with other types. */
	buf_reset(&c->key);
	for (unsigned i = 0; i < n; i++)
		buf_char(&c->key, "tib"[params[i].kind]);
	buf_char(&c->key, '\n');
	buf_cstr(&c->key, sql);
	if (c->key.failed)
		return err_set(err, ERR_APPIA_0500, NULL);
	st = map_get(c->statements, buf_view(&c->key));
	if (!st) {
		r = prepare_new(c, sql, params, n, &st, err);
		if (r < 0)
			return r;
		st->key = mem_strdup(buf_view(&c->key).p);
		map_put(c->statements, str_of(st->key), st);
	}
	*ret_name = st->name;
	return 0;
}

/* All in binary, so that nothing has to be NUL-terminated: bytes as they are, integers in network order. */
struct wire {
	const char *values[STORE_MAX_PARAMS];
	int lengths[STORE_MAX_PARAMS];
	int formats[STORE_MAX_PARAMS];
	uint64_t ints[STORE_MAX_PARAMS];
};

static void to_wire(struct wire *w, const struct store_param *params, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct store_param *p = &params[i];

		w->formats[i] = 1;
		w->ints[i] = htobe64((uint64_t)p->i);
		w->values[i] = p->kind == STORE_INT ? (const char *)&w->ints[i] : p->s.p;
		w->lengths[i] = p->kind == STORE_INT ? (int)sizeof(w->ints[i]) : (int)p->s.n;
		if (p->null)
			w->values[i] = NULL;
	}
}

static int send_query(struct connection *c, struct err *err, const char *sql, const struct store_param *params,
                      unsigned n)
{
	struct wire w;
	const char *name = NULL;
	int r = prepare(c, sql, params, n, &name, err);

	if (r < 0)
		return r;
	to_wire(&w, params, n);
	if (!PQsendQueryPrepared(c->pg, name, (int)n, w.values, w.lengths, w.formats, 0))
		return fail(c, err, NULL);
	return 0;
}

/* Reads to the end of the current statement, keeping its first failure. */
static int drain(struct connection *c, struct err *err, int64_t *ret_changed)
{
	PGresult *res;
	int r = 0;

	while ((res = PQgetResult(c->pg)) != NULL) {
		if (!is_good(res) && r == 0)
			r = fail(c, err, res);
		else if (ret_changed && r == 0)
			*ret_changed = strtoll(PQcmdTuples(res), NULL, 10);
		PQclear(res);
	}
	return r;
}

static int exec(struct store_tx *tx, struct err *err, int64_t *ret_changed, const char *sql,
                const struct store_param *params, unsigned n)
{
	struct connection *c = connection_of(tx);
	int64_t changed = 0;
	int r = send_query(c, err, sql, params, n);

	if (r == 0)
		r = drain(c, err, &changed);
	if (r == 0 && ret_changed)
		*ret_changed = changed;
	return r;
}

/* Fetches one row; without one, rows->row is NULL. */
static int fetch(struct pg_rows *rows, struct err *err)
{
	PGresult *res = PQgetResult(rows->c->pg);
	int r;

	PQclear(rows->row);
	rows->row = NULL;
	if (!res)
		return 0;
	if (PQresultStatus(res) == PGRES_SINGLE_TUPLE) {
		rows->row = res;
		return 0;
	}
	r = is_good(res) ? 0 : fail(rows->c, err, res);
	PQclear(res);
	if (r == 0)
		return drain(rows->c, err, NULL);
	drain(rows->c, NULL, NULL);
	return r;
}

static void done(struct store_rows *base)
{
	struct pg_rows *rows = (struct pg_rows *)base;

	PQclear(rows->row);
	PQfreemem(rows->bytes);
	/* Rows that nobody wanted. */
	drain(rows->c, NULL, NULL);
	free(rows);
}

static int query(struct store_tx *tx, struct err *err, struct store_rows **ret, const char *sql,
                 const struct store_param *params, unsigned n)
{
	struct connection *c = connection_of(tx);
	struct pg_rows *rows;
	int r = send_query(c, err, sql, params, n);

	if (r < 0)
		return r;
	PQsetSingleRowMode(c->pg);
	rows = mem_zalloc(sizeof(*rows));
	rows->base.tx = tx;
	rows->c = c;
	r = fetch(rows, err);
	if (r < 0) {
		done(&rows->base);
		return r;
	}
	rows->fetched = rows->row != NULL;
	*ret = &rows->base;
	return 0;
}

static bool next(struct store_rows *base)
{
	struct pg_rows *rows = (struct pg_rows *)base;

	if (rows->fetched) {
		rows->fetched = false;
		return true;
	}
	if (!rows->row)
		return false;
	return fetch(rows, &base->err) == 0 && rows->row;
}

static bool is_null(struct store_rows *rows, int col)
{
	return PQgetisnull(((struct pg_rows *)rows)->row, 0, col);
}

static int64_t get_int(struct store_rows *rows, int col)
{
	const char *text = PQgetvalue(((struct pg_rows *)rows)->row, 0, col);

	/* An expression of type BOOLEAN, which SQLite gives as 1. */
	return *text == 't' ? 1 : strtoll(text, NULL, 10);
}

static struct str get_str(struct store_rows *base, int col)
{
	struct pg_rows *rows = (struct pg_rows *)base;
	char *text = PQgetvalue(rows->row, 0, col);
	size_t n;

	if (PQftype(rows->row, col) != OID_BYTEA)
		return (struct str){text, (size_t)PQgetlength(rows->row, 0, col)};
	PQfreemem(rows->bytes);
	rows->bytes = PQunescapeBytea((unsigned char *)text, &n);
	if (!rows->bytes)
		abort();
	return (struct str){(const char *)rows->bytes, n};
}

static int script(struct store_tx *tx, struct err *err, const char *sql)
{
	return run(connection_of(tx), err, sql);
}

/* The lock is held until the commit is visible, so numbers show in the order in which they were drawn. It is the last
 * thing a transaction waits for: who holds it waits for nobody. A sequence, because a counter row would make each
 * writer that overlaps another one fail. */
static int reserve(struct store_tx *tx, struct err *err, int64_t n, int64_t *ret_first)
{
	int64_t dummy;
	int r = store_get_int(tx, err, &dummy, NULL, "SELECT 1 FROM pg_advisory_xact_lock(" LOCK_OUTBOX ")", "");

	if (r < 0)
		return r;
	return store_get_int(tx, err, ret_first, NULL,
	                     "SELECT MIN(nextval('outbox_last')) FROM generate_series(1, ?)", "i", n);
}

/* The server's disk is the server's matter; it says so when it is full. */
static int room(struct store *store, struct err *err)
{
	return 0;
}

const struct store_engine store__pg = {
	STORE_ENGINE_FUNCTIONS,
	.migrated_sql = "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('schema_migration')",
	.pg = true,
};
