/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POLICY_PRIV_H
#define POLICY_PRIV_H

#include "policy/request.h"
#include "policy/uri.h"

/* Where parameters are looked up; the query is decoded when it is first needed. */
struct policy__values {
	struct arena *arena;
	const struct policy_request *req;
	struct policy_query_pair *query;
	size_t n_query;
	bool query_parsed;
};

/* The n-th value of the parameter; STR_NONE when there are no more. -1 and err when the query is damaged. */
int policy__value(struct policy__values *values, enum pub_location location, struct str name, size_t n, struct str *ret,
		  struct err *err);

/* Parses the query if it was not parsed yet. */
int policy__query(struct policy__values *values, struct err *err);

int policy__refuse(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
