/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_PG_SERVER_H
#define TEST_PG_SERVER_H

#include <stdbool.h>
#include <stddef.h>

/* A PostgreSQL server of our own on a Unix socket in a temporary folder, or the one APPIA_TEST_PG names (a URL with
 * an empty query part). False when there is none. It goes when the process ends, however it ends. */
bool pg_server_start(void);
void pg_server_stop(void);

/* A URL whose search_path is an empty schema of its own, dropped never: the server goes anyway. */
void pg_server_fresh(char *ret_url, size_t size);

/* Ends all other sessions, as a restart of the server does. */
void pg_server_drop_sessions(void);

#endif
