/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIVEDATA_INTERNAL_H
#define LIVEDATA_INTERNAL_H

#include "livedata/livedata.h"

/* The operations of spec/internal/worker.yaml, which the control plane calls. Only for src/livedata. */

struct livedata_internal {
	struct livedata *ld;
	struct str operation; /* path behind "/internal/" */
	const struct json *body;
	struct str request_id;
	int64_t deadline_ms;
	struct arena *arena;
	struct buf *out; /* the reply's JSON */
};

/* False when there is no such operation. On failure *ret_code is negative and err is set. */
bool livedata_internal_run(struct livedata_internal *call, int *ret_code, struct err *err);

#endif
