/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIVEDATA_PARAMS_H
#define LIVEDATA_PARAMS_H

#include "livedata/plan.h"

/* The parameters of one call: members of a JSON object or form fields in the body before the query before headers
 * before declared defaults. Names of the query, headers and declarations are compared without regard to case. */
struct livedata_params {
	const struct livedata_plan *plan;
	const struct livedata_request *req;
	const struct json *body;     /* or NULL */
	bool body_is_json;           /* an object, array or any other JSON value */
	struct httpd_pair *form;
	size_t n_form;
};

/* Reads the body; checks that required parameters are there (ERR_APPIA_0400_PARAMETER_MISSING). */
int livedata_params_init(struct livedata_params *ret, const struct livedata_plan *plan,
                         const struct livedata_request *req, struct err *err);

/* A livedata_lookup; ctx is the struct. JSON numbers, objects and arrays come as their text. */
bool livedata_params_get(void *ctx, struct str name, struct str *ret);

/* Splits application/x-www-form-urlencoded text or a query string. Badly escaped pairs are left out. */
size_t livedata_params_split(struct str text, struct arena *a, struct httpd_pair **ret);

#endif
