/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIVEDATA_RUN_H
#define LIVEDATA_RUN_H

#include "livedata/params.h"

/* The two kinds of back end; only for src/livedata. */
struct livedata_run {
	const struct livedata_options *options;
	const struct livedata_plan *plan;
	const struct livedata_request *req;
	struct livedata_params params;
	struct livedata_reply *reply;
	struct buf log; /* lines for the owner */
};

/* Errors as livedata_call(). */
int livedata_run_data(struct livedata_run *run, struct err *err);
int livedata_run_function(struct livedata_run *run, struct err *err);

#endif
