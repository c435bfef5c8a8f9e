/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define MIN_FREE_BYTES (4 << 20)

/* https://www.sqlite.org/wal.html: FULL makes a commit durable at once in WAL mode. LIKE and double quotes are made
 * to work as in PostgreSQL. */
#define SETUP                                                                                                         \
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA case_sensitive_like=ON; "   \
	"PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=67108864;"

struct statement {
	sqlite3_stmt *stmt;
	char *sql; /* key in the map */
};

struct connection {
	sqlite3 *db; /* NULL: not opened yet */
	struct map *statements;
	bool writer;
};

struct sqlite_store {
	struct store base;
	char *path;
	struct connection *connections; /* [0] is the writer */
	unsigned n;
	struct store_pool *writer, *readers;
};

struct sqlite_tx {
	struct store_tx base;
	struct connection *c;
};

struct sqlite_rows {
	struct store_rows base;
	sqlite3_stmt *stmt;
	sqlite3 *db;
	bool stepped; /* the current row has not been handed out */
	bool ended;
};

static struct sqlite_store *store_of(struct store *store)
{
	return (struct sqlite_store *)store;
}

static struct connection *connection_of(struct store_tx *tx)
{
	return ((struct sqlite_tx *)tx)->c;
}

/* Result codes: https://www.sqlite.org/rescode.html */
static int fail(struct err *err, sqlite3 *db, int code)
{
	log_debug("store: sqlite code=%d message=%s", code, db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
	switch (code) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
		return err_set(err, ERR_APPIA_0409, NULL);
	case SQLITE_CONSTRAINT_FOREIGNKEY:
	case SQLITE_CONSTRAINT_TRIGGER: /* ON DELETE RESTRICT; there are no triggers of our own */
		return err_set(err, ERR_APPIA_0422, NULL);
	default:
		break;
	}
	switch (code & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return store__busy(err);
	case SQLITE_FULL:
		return err_set_retriable(err, ERR_APPIA_0507, NULL);
	default:
		return err_set(err, ERR_APPIA_0500, NULL);
	}
}

static void forget_statements(struct connection *c)
{
	struct str key;
	void *value;

	for (size_t at = 0; map_next(c->statements, &at, &key, &value);) {
		struct statement *st = value;

		sqlite3_finalize(st->stmt);
		free(st->sql);
		free(st);
	}
	map_free(c->statements);
	c->statements = NULL;
}

static void disconnect(struct connection *c)
{
	if (!c->db)
		return;
	forget_statements(c);
	sqlite3_close(c->db);
	c->db = NULL;
}

static int connect_db(struct sqlite_store *s, struct connection *c, struct err *err)
{
	int code;

	if (c->db)
		return 0;
	code = sqlite3_open_v2(s->path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	if (code == SQLITE_OK) {
		sqlite3_extended_result_codes(c->db, 1);
		sqlite3_busy_timeout(c->db, STORE_MIGRATE_WAIT_MS);
		sqlite3_db_config(c->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
		sqlite3_db_config(c->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
		sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		code = sqlite3_exec(c->db, SETUP, NULL, NULL, NULL);
	}
	if (code == SQLITE_OK && !c->writer)
		code = sqlite3_exec(c->db, "PRAGMA query_only=ON", NULL, NULL, NULL);
	c->statements = map_new();
	if (code == SQLITE_OK)
		return 0;
	int r = fail(err, c->db, code);

	disconnect(c);
	return r;
}

static void close_store(struct store *store)
{
	struct sqlite_store *s = store_of(store);

	/* Readers first: the last connection to close, the writer, moves the log into the file. */
	for (unsigned i = s->n; i-- > 0;)
		disconnect(&s->connections[i]);
	store__pool_free(s->writer);
	store__pool_free(s->readers);
	free(s->connections);
	free(s->path);
	free(s);
}

/* For the person who starts the program. */
static int fail_open(struct err *err, const char *path, int r, const char *why)
{
	if (r == ERR_APPIA_0500)
		return err_set_text(err, r, "The database %s cannot be opened: %s.", path, why);
	return r;
}

/* Made by us, so that nobody else can read it; the log and index files get the mode of the database. */
static int make_file(const char *path, struct err *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 && errno == ENOSPC)
		return err_set(err, ERR_APPIA_0507, NULL);
	if (fd < 0)
		return fail_open(err, path, ERR_APPIA_0500, strerror(errno));
	close(fd);
	return 0;
}

static int open_store(const char *url, unsigned connections, struct store **ret, struct err *err)
{
	const char *path = url + strlen("sqlite:");
	struct sqlite_store *s;
	int r = make_file(path, err);

	if (r < 0)
		return r;
	s = mem_zalloc(sizeof(*s));
	s->path = mem_strdup(path);
	s->n = 1 + (connections > 1 ? connections - 1 : 1);
	s->connections = mem_zalloc(s->n * sizeof(*s->connections));
	s->connections[0].writer = true;
	s->writer = store__pool_new();
	s->readers = store__pool_new();
	store__pool_give(s->writer, &s->connections[0]);
	for (unsigned i = 1; i < s->n; i++)
		store__pool_give(s->readers, &s->connections[i]);
	r = connect_db(s, &s->connections[0], err);
	if (r < 0) {
		close_store(&s->base);
		return fail_open(err, path, r, "it is no database of this program, or damaged");
	}
	*ret = &s->base;
	return 0;
}

static struct store_pool *pool_for(struct sqlite_store *s, int mode)
{
	return mode == STORE_READ ? s->readers : s->writer;
}

static int begin(struct store *store, int mode, struct store_tx **ret, struct err *err)
{
	struct sqlite_store *s = store_of(store);
	int wait = mode == STORE_MIGRATE ? STORE_MIGRATE_WAIT_MS : store__wait_ms;
	int64_t until = clock_mono_ms() + wait;
	struct connection *c = store__pool_take(pool_for(s, mode), wait);
	int code, r;

	if (!c)
		return store__busy(err);
	r = connect_db(s, c, err);
	if (r == 0) {
		/* Other processes have the file open too: what is left of the time is theirs. */
		int64_t left = until - clock_mono_ms();

		sqlite3_busy_timeout(c->db, left > 1 ? (int)left : 1);
		code = sqlite3_exec(c->db, mode == STORE_READ ? "BEGIN" : "BEGIN IMMEDIATE", NULL, NULL, NULL);
		if (code != SQLITE_OK)
			r = fail(err, c->db, code);
		sqlite3_busy_timeout(c->db, store__wait_ms);
	}
	if (r < 0) {
		store__pool_give(pool_for(s, mode), c);
		return r;
	}
	struct sqlite_tx *tx = mem_zalloc(sizeof(*tx));

	tx->base.store = store;
	tx->base.mode = mode;
	tx->c = c;
	*ret = &tx->base;
	return 0;
}

static void end(struct store_tx *tx)
{
	struct sqlite_store *s = store_of(tx->store);
	struct connection *c = connection_of(tx);

	/* A transaction that failed hard is already rolled back. One that cannot be ended costs the connection. */
	if (!sqlite3_get_autocommit(c->db) && sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
		disconnect(c);
	if (c->db && map_count(c->statements) > STORE_MAX_STATEMENTS) {
		forget_statements(c);
		c->statements = map_new();
	}
	store__pool_give(pool_for(s, tx->mode), c);
	free(tx);
}

static int commit(struct store_tx *tx, struct err *err)
{
	sqlite3 *db = connection_of(tx)->db;
	int code = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	int r = code == SQLITE_OK ? 0 : fail(err, db, code);

	end(tx);
	return r;
}

static int prepare(struct connection *c, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	struct statement *st = map_get(c->statements, str_of(sql));
	int code;

	if (!st) {
		sqlite3_stmt *stmt;

		code = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
		if (code != SQLITE_OK || !stmt)
			return fail(err, c->db, code != SQLITE_OK ? code : SQLITE_MISUSE);
		st = mem_zalloc(sizeof(*st));
		st->stmt = stmt;
		st->sql = mem_strdup(sql);
		map_put(c->statements, str_of(st->sql), st);
	}
	*ret = st->stmt;
	return 0;
}

static int bind_param(sqlite3_stmt *stmt, int i, const struct store_param *p)
{
	if (p->null)
		return sqlite3_bind_null(stmt, i);
	switch (p->kind) {
	case STORE_INT:
		return sqlite3_bind_int64(stmt, i, p->i);
	case STORE_BYTES:
		return sqlite3_bind_blob64(stmt, i, p->s.p, p->s.n, SQLITE_TRANSIENT);
	default:
		return sqlite3_bind_text64(stmt, i, p->s.p, p->s.n, SQLITE_TRANSIENT, SQLITE_UTF8);
	}
}

/* Ends the run of a statement and drops what was bound to it. */
static void rest(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

static int ready(struct connection *c, const char *sql, const struct store_param *params, unsigned n,
                 sqlite3_stmt **ret, struct err *err)
{
	sqlite3_stmt *stmt = NULL;
	int code = SQLITE_OK;
	int r = prepare(c, sql, &stmt, err);

	if (r < 0)
		return r;
	if (sqlite3_bind_parameter_count(stmt) != (int)n)
		return fail(err, NULL, SQLITE_MISUSE);
	for (unsigned i = 0; code == SQLITE_OK && i < n; i++)
		code = bind_param(stmt, (int)i + 1, &params[i]);
	if (code != SQLITE_OK) {
		rest(stmt);
		return fail(err, c->db, code);
	}
	*ret = stmt;
	return 0;
}

static int exec(struct store_tx *tx, struct err *err, int64_t *ret_changed, const char *sql,
                const struct store_param *params, unsigned n)
{
	struct connection *c = connection_of(tx);
	sqlite3_stmt *stmt;
	int code;
	int r = ready(c, sql, params, n, &stmt, err);

	if (r < 0)
		return r;
	do
		code = sqlite3_step(stmt);
	while (code == SQLITE_ROW);
	if (code != SQLITE_DONE)
		r = fail(err, c->db, code);
	else if (ret_changed)
		*ret_changed = sqlite3_changes64(c->db);
	rest(stmt);
	return r;
}

static int query(struct store_tx *tx, struct err *err, struct store_rows **ret, const char *sql,
                 const struct store_param *params, unsigned n)
{
	struct connection *c = connection_of(tx);
	sqlite3_stmt *stmt;
	int r = ready(c, sql, params, n, &stmt, err);

	if (r < 0)
		return r;
	int code = sqlite3_step(stmt);

	if (code != SQLITE_ROW && code != SQLITE_DONE) {
		r = fail(err, c->db, code);
		rest(stmt);
		return r;
	}
	struct sqlite_rows *rows = mem_zalloc(sizeof(*rows));

	rows->base.tx = tx;
	rows->stmt = stmt;
	rows->db = c->db;
	rows->stepped = code == SQLITE_ROW;
	rows->ended = code == SQLITE_DONE;
	*ret = &rows->base;
	return 0;
}

static bool next(struct store_rows *base)
{
	struct sqlite_rows *rows = (struct sqlite_rows *)base;

	if (rows->stepped) {
		rows->stepped = false;
		return true;
	}
	if (rows->ended)
		return false;
	int code = sqlite3_step(rows->stmt);

	if (code == SQLITE_ROW)
		return true;
	rows->ended = true;
	if (code != SQLITE_DONE)
		fail(&base->err, rows->db, code);
	return false;
}

static void done(struct store_rows *base)
{
	struct sqlite_rows *rows = (struct sqlite_rows *)base;

	rest(rows->stmt);
	free(rows);
}

static bool is_null(struct store_rows *rows, int col)
{
	return sqlite3_column_type(((struct sqlite_rows *)rows)->stmt, col) == SQLITE_NULL;
}

static int64_t get_int(struct store_rows *rows, int col)
{
	return sqlite3_column_int64(((struct sqlite_rows *)rows)->stmt, col);
}

static struct str get_str(struct store_rows *rows, int col)
{
	sqlite3_stmt *stmt = ((struct sqlite_rows *)rows)->stmt;
	const char *p = sqlite3_column_type(stmt, col) == SQLITE_BLOB ? sqlite3_column_blob(stmt, col)
	                                                               : (const char *)sqlite3_column_text(stmt, col);

	/* An empty blob has no address. */
	return p ? (struct str){p, (size_t)sqlite3_column_bytes(stmt, col)} : STR("");
}

static int script(struct store_tx *tx, struct err *err, const char *sql)
{
	sqlite3 *db = connection_of(tx)->db;
	int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : fail(err, db, code);
}

/* There is one writer: a counter row cannot be overtaken. */
static int reserve(struct store_tx *tx, struct err *err, int64_t n, int64_t *ret_first)
{
	int64_t last = 0;
	int r = store_get_int(tx, err, &last, NULL,
	                      "UPDATE outbox_last SET seq = seq + ? WHERE id = 1 RETURNING seq", "i", n);

	if (r == 0)
		*ret_first = last - n + 1;
	return r;
}

static int room(struct store *store, struct err *err)
{
	struct statvfs fs;

	if (statvfs(store_of(store)->path, &fs) < 0)
		return err_set(err, ERR_APPIA_0500, NULL);
	if ((uint64_t)fs.f_bavail * fs.f_frsize < MIN_FREE_BYTES)
		return err_set_retriable(err, ERR_APPIA_0507, NULL);
	return 0;
}

const struct store_engine store__sqlite = {
	STORE_ENGINE_FUNCTIONS,
	.migrated_sql = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'schema_migration'",
	.pg = false,
};
