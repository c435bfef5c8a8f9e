/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/err.h"
#include "json/schema.h"

/* The system of record: SQL, in SQLite or PostgreSQL, behind one interface.
 *
 * SQL is written once, in the common subset: parameters are '?'; types BIGINT (booleans 0/1, times in ms since 1970
 * UTC), TEXT, BYTEA (migrations only; SQLite takes any name); INSERT ... ON CONFLICT, RETURNING, LIMIT ? OFFSET ?;
 * case-insensitive search by LOWER(x) LIKE ? with store_like(). No JSON functions, no dates, no AUTOINCREMENT.
 *
 * Parameters and their types string, one letter each:
 *   s  struct str            (p == NULL: SQL NULL)
 *   i  int64_t               (cast literals: (int64_t)1)
 *   n  const int64_t *       (NULL: SQL NULL; a BIGINT column does not take a NULL of type s on PostgreSQL)
 *   b  struct str as bytes   (BYTEA)
 *   d  const struct json_schema *, const void *   a struct as a JSON document (TEXT); value NULL: SQL NULL
 *
 * Text must be UTF-8 without NUL, else ERR_APPIA_0400. LIKE is case-sensitive, text is ordered by its bytes, LOWER()
 * knows A to Z only. After a statement failed, the transaction is good for nothing but its end: each further call
 * returns that failure again, store_commit() too, having rolled back. Expected conflicts: ON CONFLICT.
 *
 * A store is used by any thread; a transaction and its rows by one thread. */
struct store;
struct store_tx;
struct store_rows;

enum store_mode { STORE_READ, STORE_WRITE };

/* url: "sqlite:/path/file.db" or a libpq URI "postgresql://...". Runs missing migrations. connections: pool size. */
int store_open(const char *url, unsigned connections, struct store **ret, struct err *err);
void store_close(struct store *store);

/* A write transaction holds the single writer on SQLite from its start (BEGIN IMMEDIATE); on PostgreSQL it is
 * SERIALIZABLE. Waits up to 5 s, then fails retriable with ERR_APPIA_0503. A read transaction sees one snapshot. */
int store_begin(struct store *store, enum store_mode mode, struct store_tx **ret, struct err *err);
/* Durable when it returns 0. The transaction is gone either way; *tx becomes NULL. Serialization failures
 * (ERR_APPIA_0503, retriable) show here at the latest. ERR_APPIA_0503 that is not retriable: the connection was lost
 * while committing, and whether it happened is unknown. */
int store_commit(struct store_tx **tx, struct err *err);
/* NULL and *tx == NULL are legal. */
void store_rollback(struct store_tx **tx);

/* Runs a statement without result. ret_changed may be NULL. Unique violation: ERR_APPIA_0409; foreign key
 * violation: ERR_APPIA_0422; anything else: ERR_APPIA_0500, retriable where it is, full disk: ERR_APPIA_0507. */
int store_exec(struct store_tx *tx, struct err *err, int64_t *ret_changed, const char *sql, const char *types, ...);

/* Runs a query. Rows are read with store_next() until it returns false and closed with store_done(), which returns
 * the error that ended the walk, if any. Only one set of rows may be open per transaction at a time: read all, done,
 * then query again. */
int store_query(struct store_tx *tx, struct err *err, struct store_rows **ret, const char *sql, const char *types, ...);
bool store_next(struct store_rows *rows);
int store_done(struct store_rows **rows, struct err *err);

/* Columns of the current row, from 0. Strings are copied into the arena. SQL NULL: STR_NONE / 0 / false+absent. */
struct str store_str(struct store_rows *rows, int col, struct arena *a);
int64_t store_int(struct store_rows *rows, int col);
bool store_null(struct store_rows *rows, int col);
/* Decodes a document column into a new struct of schema.size bytes; NULL for SQL NULL. A document that no longer
 * fits its schema is a bug or a broken disk: a zeroed struct here, ERR_APPIA_0500 at store_done(). Constraints are
 * not checked again. */
void *store_doc(struct store_rows *rows, int col, const struct json_schema *schema, struct arena *a);

/* One-row helpers: *ret_found says whether there was a row. */
int store_get_int(struct store_tx *tx, struct err *err, int64_t *ret, bool *ret_found, const char *sql,
                  const char *types, ...);
int store_get_str(struct store_tx *tx, struct err *err, struct arena *a, struct str *ret, bool *ret_found,
                  const char *sql, const char *types, ...);

/* "%text%" in lower case with %, _ and \ escaped by \ ; use: LOWER(name) LIKE ? ESCAPE '\'. STR_NONE gives "%". */
struct str store_like(struct arena *a, struct str text);

/* Says that the published state of one object has to be projected again; part of the transaction. kind: one of the
 * kinds the projector knows (published/project.h), key: the object's id. Becomes a row of outbox(seq, kind, key) at
 * commit: seq only grows and follows the order of the commits, so a reader that has seen seq never finds a lower one
 * appear later. */
int store_outbox(struct store_tx *tx, struct err *err, struct str kind, struct str key);

/* Free-space and health probe: 0 when a write transaction could begin now. */
int store_ping(struct store *store, struct err *err);

#endif
