/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPERVISOR_CHILD_H
#define SUPERVISOR_CHILD_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

#define CHILD_MAX_ARGS 24
#define CHILD_MAX_ENV 24

/* A process the supervisor keeps alive. */
struct child {
	const char *name;
	const char *argv[CHILD_MAX_ARGS];
	const char *env[CHILD_MAX_ENV]; /* added to our own, "NAME=value" */
	const char *log_path; /* standard output and error, appended; APPIA_LOG_FILE in its environment */
	const char *second_log; /* another file that it appends to; NULL: none */
	int stop_signal;
	int reopen_signal; /* asks it to open its logs anew; ignored until it has a handler; 0: it cannot */
	const char *ready_socket; /* Unix socket that accepts when it is ready; or */
	const char *ready_file;   /* a file that is there then; both NULL: ready at once */
	pid_t pid;                /* 0: not running */
	int64_t started_ms, restart_at_ms;
	unsigned failures; /* quick exits in a row */
};

/* Starts it; it dies with us. */
int child_start(struct child *child, struct err *err);

/* True when its socket accepts a connection. */
bool child_ready(const struct child *child);

/* Takes note of its exit and says when it may be started again: at once the first time, then after 0.2 s, doubling
 * up to 10 s; a run of 30 s forgives. */
void child_exited(struct child *child, int64_t now_ms);

/* Reaps a process that has ended, and kills what is left of its group: workers of a front door that was killed would
 * keep its ports. pid 0: any. Returns its process id, 0 when none has ended. */
pid_t child_reap(pid_t pid, int *ret_status);

/* Asks it to stop, waits up to timeout_ms, then kills it and the processes it has made. */
void child_stop(struct child *child, int64_t timeout_ms);

#endif
