/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_ROUTE_H
#define API_ROUTE_H

#include "api/api.h"

#define API_MAX_SEGMENTS 24

struct api_route {
	int op;             /* index into tables->ops; -1: none */
	bool path_exists;   /* op == -1: the path is known, the method is not (405) */
	char allow[64];     /* then: "GET, POST" */
	struct str segments[API_MAX_SEGMENTS]; /* of the path, still percent-encoded */
	size_t n_segments;
};

/* Finds the operation of a method and path. A literal segment wins over a parameter. Any thread. */
void api_route(const struct api_tables *tables, struct str method, struct str path, struct api_route *ret);

#endif
