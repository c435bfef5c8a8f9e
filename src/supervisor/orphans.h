/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPERVISOR_ORPHANS_H
#define SUPERVISOR_ORPHANS_H

#include "base/err.h"

/* A supervisor that was killed leaves processes that are about to end, and, where the master of nginx was killed with
 * it, some that are not. They hold ports, sockets and databases. Each of them has inherited an open file with a lock on
 * it, which goes with the last of them. */

/* Waits until no process of an earlier supervisor is left: patience_ms for them to end by themselves, then they are
 * killed. path: absolute, without links. After it, the processes that this one starts hold the lock at path, for as
 * long as one of them lives. Call with the supervisor's own lock held. */
int orphans_wait(const char *path, int64_t patience_ms, struct err *err);

#endif
