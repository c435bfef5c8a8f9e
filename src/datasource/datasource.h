/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASOURCE_DATASOURCE_H
#define DATASOURCE_DATASOURCE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "json/json.h"

#include <stdint.h>

/* One driver per folder behind one interface. Drivers run only inside appia-worker. A connection is used by one
 * thread at a time; calls block, but never longer than the deadline. */

/* Where and how to connect: the documented content fields of a data source, secrets opened. */
struct datasource_config {
	struct str id, type;             /* "MYSQL", "POSTGRESQL", "SQLITE", ... */
	const struct json *content;      /* host, port, database_name, user_name, password, url, ... */
	int64_t version;                 /* changes with the content: pooled connections of an older one are dropped */
};

struct datasource_conn; /* each driver embeds it first in its own struct */

/* A typed value of a row. */
enum value_kind { VALUE_NULL, VALUE_BOOL, VALUE_INT, VALUE_DECIMAL /* exact, as text */, VALUE_DOUBLE, VALUE_TEXT,
                  VALUE_BINARY, VALUE_TIME /* as text */, VALUE_JSON /* text of a JSON value */ };

struct value {
	enum value_kind kind;
	int64_t i; /* BOOL, INT */
	double d;
	struct str s; /* DECIMAL, TEXT, BINARY, TIME, JSON: valid until the next row */
};

/* Receives a result: columns once, then rows. Returning false stops the walk. Names and values are UTF-8 as the
 * server sent it. */
struct datasource_sink {
	void (*columns)(void *ctx, const struct str *names, size_t n); /* may be NULL */
	bool (*row)(void *ctx, const struct value *values, size_t n);
	void *ctx;
};

struct datasource_table_info {
	struct str schema, name, comment;
};

struct datasource_column_info {
	struct str name, type, comment, def;
	int64_t size, scale;
	bool nullable, primary_key;
};

/* How the server's SQL spells literals, comments and parameters. */
enum datasource_dialect { DATASOURCE_SQLITE, DATASOURCE_MYSQL, DATASOURCE_POSTGRESQL };

/* Errors of the functions: ERR_APPIA_0503_DATASOURCE_UNREACHABLE (connect, connection lost; retriable),
 * ERR_APPIA_0500_SQL_FAILED, ERR_APPIA_0504 (deadline), ERR_APPIA_0400 (bad configuration or call). Their text quotes
 * the server's message, which may quote the statement: it is for the owner of the data source, not for callers of an
 * API. Deadlines are monotonic milliseconds (clock_mono_ms()). */
struct datasource_driver {
	const char *type; /* documented type it serves */
	enum datasource_dialect dialect;
	int (*connect)(const struct datasource_config *config, int64_t deadline_ms, struct datasource_conn **ret,
	               struct err *err);
	void (*close)(struct datasource_conn *conn);
	/* False when the connection is no longer usable and must be closed, not pooled. */
	bool (*alive)(struct datasource_conn *conn);
	int (*ping)(struct datasource_conn *conn, int64_t deadline_ms, struct err *err);
	int (*tables)(struct datasource_conn *conn, struct arena *a, struct str pattern, int64_t deadline_ms,
	              struct datasource_table_info **ret, size_t *ret_n, struct err *err);
	int (*columns)(struct datasource_conn *conn, struct arena *a, struct str schema, struct str table,
	               int64_t deadline_ms, struct datasource_column_info **ret, size_t *ret_n, struct err *err);
	/* The columns a query would return, without running it; *ret_n is 0 for other statements. */
	int (*describe)(struct datasource_conn *conn, struct arena *a, struct str sql, int64_t deadline_ms,
	                struct datasource_column_info **ret, size_t *ret_n, struct err *err);
	/* Runs one statement with bound parameters (all as text; p == NULL: NULL). sql uses '?' for each; a driver
	 * turns that into its own form ('??' is a question mark for POSTGRESQL). Several statements in one text are
	 * refused. When the walk stops early (sink or max_rows) the connection may be unusable afterwards: see alive().
	 * sink may be NULL. *ret_changed: rows changed, or -1 for a result set. max_rows bounds the rows
	 * given to the sink. procedure: sql is a CALL whose result sets all go to the sink, one after the other. */
	int (*execute)(struct datasource_conn *conn, struct str sql, const struct str *params, size_t n_params,
	               bool procedure, int64_t max_rows, int64_t deadline_ms, const struct datasource_sink *sink,
	               int64_t *ret_changed, struct err *err);
};

/* NULL when no driver of that type is installed. Types are compared without regard to case. */
const struct datasource_driver *datasource_driver(struct str type);

/* Same, with ERR_APPIA_0501_DRIVER_MISSING. */
int datasource_driver_get(struct str type, const struct datasource_driver **ret, struct err *err);

/* Pool of connections keyed by data source id and version; bounded per source. Any thread. When all are in use a
 * caller waits until its deadline or wait_ms, then gets ERR_APPIA_0503_POOL_EXHAUSTED. */
struct datasource_pool;
struct datasource_pool *datasource_pool_new(unsigned max_per_source, int64_t idle_ms);
void datasource_pool_free(struct datasource_pool *pool);
int datasource_pool_get(struct datasource_pool *pool, const struct datasource_config *config, int64_t deadline_ms,
                        struct datasource_conn **ret, struct err *err);
/* usable false: closed instead of kept. */
void datasource_pool_put(struct datasource_pool *pool, struct datasource_conn *conn, bool usable);

/* Connections open now, idle or in use. */
size_t datasource_pool_count(struct datasource_pool *pool);

/* Every driver's connection starts with this. */
struct datasource_conn {
	const struct datasource_driver *driver;
	struct datasource_conn *next; /* of the pool */
	char id[65];
	int64_t version, used_ms;
};

#endif
