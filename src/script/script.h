/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCRIPT_SCRIPT_H
#define SCRIPT_SCRIPT_H

#include "base/arena.h"
#include "base/err.h"

#include <stdint.h>

/* Runs users' JavaScript (ECMAScript 5.1 and later, JavaScriptCore). Only inside appia-worker. Every run has a global
 * object of its own; each thread keeps its virtual machine, so that a second run does not parse again. The threads
 * that run scripts need a stack of 1 MiB or more. JavaScriptCore's collector stops threads by SIGUSR1: leave that
 * signal alone. A run costs about 0.25 ms, the first one of a process 6 ms. */

struct script_reply {
	int status; /* 200 unless the script returned an APIConnectResponse */
	struct str content_type; /* STR_NONE when there is no body */
	struct str body;
	struct {
		struct str name, value;
	} headers[32]; /* without Content-Type, Content-Length and connection headers */
	size_t n_headers;
	struct str log; /* what the script logged, 64 KiB at most, for test runs */
};

struct datasource_pool;

struct script_limits {
	int64_t cpu_ms; /* execution time */
	size_t memory_bytes; /* heap the script may hold */
	int64_t deadline_ms; /* monotonic; host functions that wait give up there */
};

struct script_host { /* what scripts may reach */
	struct datasource_pool *pool;
	bool allow_private_networks;
};

/* Optional: sets JavaScriptCore's options (in the environment) and starts it. Call it from main() before threads are
 * made; otherwise the first run does it. Any thread, once. */
void script_init(void);

/* Bounds the address space of the process to what it is now plus bytes, after script_init(): what a script asks for in
 * one step of the engine (a string of 2 GiB) then fails inside the script, where the watchdog cannot look. Sensible:
 * threads * memory_bytes + 1 GiB. */
int script_process_limit(size_t bytes, struct err *err);

/* Calls execute(data) (or the historic excute) with data as a JSON string. Everything in *ret lives in a. ret->log is
 * set on failure, too. Errors: ERR_APPIA_0500 with err->text: the script's exception with its line, a limit that
 * stopped it, or a bad return value. Any thread. */
int script_run(const struct script_host *host, struct str script, struct str data, const struct script_limits *limits,
	       struct arena *a, struct script_reply *ret, struct err *err);

/* Syntax check without running. ERR_APPIA_0400 with the line. Any thread. */
int script_check(struct str script, struct err *err);

#endif
