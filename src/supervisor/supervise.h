/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPERVISOR_SUPERVISE_H
#define SUPERVISOR_SUPERVISE_H

#include "supervisor/rotate.h"

/* Blocks SIGCHLD, SIGTERM, SIGINT and SIGHUP for this process; call before the first child starts. */
int supervise_init(struct err *err);

/* Starts the children in order, each when the one before is ready; gives up after timeout_ms or when one exits. */
int supervise_start(struct child *children, size_t n, int64_t timeout_ms, struct err *err);

/* Keeps them running, and their logs small, until SIGTERM or SIGINT, then returns. */
void supervise_run(struct child *children, size_t n, const struct rotation *rotation);

/* Stops them in reverse order. */
void supervise_stop(struct child *children, size_t n);

#endif
