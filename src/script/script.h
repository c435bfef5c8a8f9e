/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCRIPT_SCRIPT_H
#define SCRIPT_SCRIPT_H

#include "base/arena.h"
#include "base/err.h"

#include <stdint.h>

/* Runs users' JavaScript (ECMAScript 5.1 and later, JavaScriptCore). Only inside appia-worker. Contexts are kept per
 * script text and thread, so a second call does not compile again. */

struct script_reply {
	int status;            /* 200 unless the script returned an APIConnectResponse */
	struct str content_type;
	struct str body;
	struct { struct str name, value; } headers[32];
	size_t n_headers;
	struct str log;        /* what the script logged, 64 KiB at most, for test runs */
};

struct datasource_pool;

struct script_limits {
	int64_t cpu_ms;       /* execution time */
	size_t memory_bytes;  /* heap the script may hold */
	int64_t deadline_ms;  /* monotonic; host functions that wait give up there */
};

struct script_host { /* what scripts may reach */
	struct datasource_pool *pool;
	bool allow_private_networks;
};

/* Calls execute(data) (or the historic excute) with data as a JSON string. Errors: the script's exception with its
 * line as err->text (ERR_APPIA_0500-class codes), time or memory limit, bad return value. */
int script_run(const struct script_host *host, struct str script, struct str data, const struct script_limits *limits,
               struct arena *a, struct script_reply *ret, struct err *err);

/* Syntax check without running. */
int script_check(struct str script, struct err *err);

#endif
