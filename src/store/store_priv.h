/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_PRIV_H
#define STORE_STORE_PRIV_H

#include "store/store.h"

/* What the folder's own files share: the interface an engine implements, and the pool of connections. */

#define STORE_MAX_PARAMS 64
#define STORE_MAX_DOCUMENTS ((size_t)32 << 20) /* bytes of all documents of one statement */
#define STORE_MAX_STATEMENTS 256               /* prepared statements kept per connection */

/* How long store_begin() waits for its turn, milliseconds. A variable only so that tests need not wait that long. */
extern int store__wait_ms;
/* How long a start waits for another process that is migrating, milliseconds. */
#define STORE_MIGRATE_WAIT_MS 60000

/* A mode of the engines beyond enum store_mode: exclusive among all processes, sees each commit before it. */
#define STORE_MIGRATE 2

enum store_param_kind { STORE_TEXT, STORE_INT, STORE_BYTES };

struct store_param {
	enum store_param_kind kind;
	bool null;
	struct str s;
	int64_t i;
};

struct store_outbox_row {
	struct store_outbox_row *next;
	struct str kind, key;
};

/* Engines embed these as first members. */
struct store {
	const struct store_engine *engine;
};

struct store_tx {
	struct store *store;
	int mode;
	struct store_rows *rows; /* the open one, or NULL */
	struct err failed;       /* code != 0: a statement failed, nothing but the end of the transaction is left */
	struct arena *arena;     /* of the outbox rows; NULL before the first */
	struct store_outbox_row *outbox, **outbox_end;
	int64_t n_outbox;
};

struct store_rows {
	struct store_tx *tx;
	struct err err; /* code != 0: what ended the walk */
};

struct store_engine {
	int (*open)(const char *url, unsigned connections, struct store **ret, struct err *err);
	void (*close)(struct store *store);
	int (*begin)(struct store *store, int mode, struct store_tx **ret, struct err *err);
	/* Both free the transaction; no rows are open. */
	int (*commit)(struct store_tx *tx, struct err *err);
	void (*rollback)(struct store_tx *tx);
	int (*exec)(struct store_tx *tx, struct err *err, int64_t *ret_changed, const char *sql,
	            const struct store_param *params, unsigned n);
	/* Has already run the statement up to its first row, so its errors show here. */
	int (*query)(struct store_tx *tx, struct err *err, struct store_rows **ret, const char *sql,
	             const struct store_param *params, unsigned n);
	/* False at the end or with rows->err set. */
	bool (*next)(struct store_rows *rows);
	void (*done)(struct store_rows *rows);
	bool (*is_null)(struct store_rows *rows, int col);
	int64_t (*get_int)(struct store_rows *rows, int col);
	/* Valid until the next call on these rows. Not called for NULL. */
	struct str (*get_str)(struct store_rows *rows, int col);
	/* Several statements without parameters. */
	int (*script)(struct store_tx *tx, struct err *err, const char *sql);
	/* Reserves n consecutive outbox numbers above all that were ever committed. Who reserves later commits
	 * later. */
	int (*reserve)(struct store_tx *tx, struct err *err, int64_t n, int64_t *ret_first);
	/* 0 when there is room to write. */
	int (*room)(struct store *store, struct err *err);
	const char *migrated_sql; /* counts tables called schema_migration */
	bool pg;
};

/* An engine is one file, and its functions have the same names in each. */
#define STORE_ENGINE_FUNCTIONS                                                                                         \
	.open = open_store, .close = close_store, .begin = begin, .commit = commit, .rollback = end, .exec = exec,     \
	.query = query, .next = next, .done = done, .is_null = is_null, .get_int = get_int, .get_str = get_str,        \
	.script = script, .reserve = reserve, .room = room

extern const struct store_engine store__sqlite, store__pg;

/* One migration, embedded from migrations/NNN_<name>.sql. */
struct store_migration {
	int64_t version;
	const char *name;
	const char *checksum; /* SHA-256 of the file, hex */
	const char *sqlite, *pg;
};

extern const struct store_migration store__migrations[];
extern const size_t store__migrations_n;

/* Brings the schema up to the n given migrations; see store_open(). Any thread, any process. */
int store__migrate(struct store *store, const struct store_migration *migrations, size_t n, struct err *err);

/* store_open() with other migrations. */
int store__open(const char *url, unsigned connections, const struct store_migration *migrations, size_t n,
                struct store **ret, struct err *err);

/* Writes sql to out with the n-th '?' as "$n"; quoted text and comments stay. Returns the number of parameters. */
unsigned store__dollars(struct buf *out, const char *sql);

/* The busy store, retriable. */
int store__busy(struct err *err);

/* Things that one thread at a time may hold; waiting is first come, first served. Any thread. */
struct store_pool;

struct store_pool *store__pool_new(void);
/* All things must be back; they are not freed. */
void store__pool_free(struct store_pool *pool);
/* Adds a thing or returns one; the last returned is the next taken, so idle ones stay idle. */
void store__pool_give(struct store_pool *pool, void *thing);
/* NULL after wait_ms milliseconds. */
void *store__pool_take(struct store_pool *pool, int wait_ms);

#endif
