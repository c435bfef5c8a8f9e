/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_FDI_WORKER_H
#define MODEL_FDI_WORKER_H

#include "json/json.h"
#include "model/context.h"

/* Calls of appia-worker (spec/internal/worker.yaml), which alone has drivers and runs scripts. Never within a
 * transaction: they last as long as the data source takes. */

/* operation: "datasource/ping"; body: its JSON. *ret: the reply. On failure m->err has what the worker says:
 * ERR_APPIA_0501_DRIVER_MISSING, ERR_APPIA_0503_DATASOURCE_UNREACHABLE, ERR_APPIA_0500_SQL_FAILED, ERR_APPIA_0504,
 * ERR_APPIA_0400 or ERR_APPIA_0500; ERR_APPIA_0503_WORKER_UNAVAILABLE when it does not run. */
int worker_call(struct model *m, const char *operation, struct str body, int64_t timeout_ms, const struct json **ret);

#endif
