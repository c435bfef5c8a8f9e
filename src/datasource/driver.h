/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASOURCE_DRIVER_H
#define DATASOURCE_DRIVER_H

#include "datasource/datasource.h"

#include <poll.h>
#include <stdint.h>

/* What the drivers share; only for src/datasource. */

extern const struct datasource_driver datasource__mysql;
extern const struct datasource_driver datasource__postgresql;
extern const struct datasource_driver datasource__sqlite;

/* The documented content fields of a relational data source, or those of its JDBC URL (mode "professional"). */
struct datasource_target {
	const char *host, *port, *database, *user, *password; /* NUL-terminated; password may be "" */
	const char *address; /* host resolved to an IP address, or the socket's path when host starts with '/' */
};

/* Reads the target and resolves the host, within the deadline. */
int datasource__target(const struct datasource_config *config, const char *default_port, struct arena *a,
                       int64_t deadline_ms, struct datasource_target *ret, struct err *err);

/* A string member, or an integer one as text; STR_NONE when absent. */
struct str datasource__member(const struct json *content, const char *name, struct arena *a);

/* Milliseconds left, as poll() takes them; 0 when the deadline has passed. */
int datasource__left(int64_t deadline_ms);

/* Waits for events; false at the deadline. */
bool datasource__wait(int fd, short events, int64_t deadline_ms);

/* True when the peer has closed the idle connection or says something nobody asked for. */
bool datasource__stale(int fd);

/* Statement cache of one connection: statements seen once are run directly, from the second time on prepared. */
#define DATASOURCE_STATEMENTS 64
struct datasource_statement {
	unsigned long long hash;
	char *sql;
	size_t n;
	void *handle;
	uint64_t used;
};

struct datasource_statements {
	struct datasource_statement rows[DATASOURCE_STATEMENTS];
	unsigned long long seen[256];
	uint64_t clock;
};

/* The prepared statement of sql, or NULL. */
struct datasource_statement *datasource__statement_find(struct datasource_statements *s, struct str sql);
/* True when the text was asked for lately: it is worth preparing. Remembers it. */
bool datasource__statement_seen(struct datasource_statements *s, struct str sql);
/* The place for one more: an empty row, or the one used least recently (handle != NULL: the caller frees it first). */
struct datasource_statement *datasource__statement_room(struct datasource_statements *s);
void datasource__statement_set(struct datasource_statements *s, struct datasource_statement *row, struct str sql,
                               void *handle);
void datasource__statement_clear(struct datasource_statement *row);

/* Text of a server for err->text: one line, at most 400 bytes. Returns buf. */
const char *datasource__oneline(const char *text, char *buf, size_t size);

/* A whole result as text, row by row in cells; NULL is STR_NONE. For the catalogue queries of the drivers. */
struct datasource_grid {
	struct arena *a;
	struct str *cells;
	size_t n, cap, width;
	bool full;
};

int datasource__query(struct datasource_conn *conn, struct arena *a, struct str sql, const struct str *params,
                      size_t n_params, int64_t deadline_ms, struct datasource_grid *ret, struct err *err);
/* A grid of schema, name, comment; and one of name, type, comment, default, size, scale, nullable (1), number of
 * primary keys it is part of. Return 0. */
int datasource__grid_tables(const struct datasource_grid *g, struct datasource_table_info **ret, size_t *ret_n);
int datasource__grid_columns(const struct datasource_grid *g, struct datasource_column_info **ret, size_t *ret_n);
/* Integer text, 0 for anything else. */
int64_t datasource__cell_int(struct str s);

#endif
