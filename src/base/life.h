/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_LIFE_H
#define BASE_LIFE_H

/* The life of a program that serves until it is told to stop. */

/* Blocks SIGTERM, SIGINT and SIGHUP and ignores SIGPIPE. Call before the first thread is made: all inherit it. */
void life_begin(void);

/* Returns on SIGTERM and SIGINT. On SIGHUP it opens the log anew (log_reopen()) and calls reopen, which may be NULL. */
void life_wait(void (*reopen)(void *ctx), void *ctx);

/* Allows this process as many open files as the system lets it. */
void life_raise_files(void);

#endif
