/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PUBLISHED_ROUTER_H
#define PUBLISHED_ROUTER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* The compiled router of one API group in one environment: a trie of path segments in one position-independent
 * value, read in place by every process. */

struct router_route {
	struct str method; /* "ANY" matches every method */
	struct str path;   /* "/a/{id}/b", "/a/{rest+}" */
	bool prefix;       /* match mode SWA */
	struct str api_id;
};

/* Compiles; the result depends only on the set of routes, not on their order. Two routes that could match the same
 * request with the same precedence are refused. */
int router_compile(const struct router_route *routes, size_t n, struct buf *out, struct err *err);

enum router_result { ROUTER_FOUND, ROUTER_NO_PATH, ROUTER_NO_METHOD };

#define ROUTER_MAX_PARAMS 32

struct router_match {
	struct str api_id;
	struct { struct str name, value; } params[ROUTER_MAX_PARAMS];
	size_t n_params;
	struct str tail; /* SWA: what follows the prefix, with its leading slash; or "" */
};

/* path: canonical (percent-decoded unless configured otherwise), starts with '/'. A literal segment wins over a
 * parameter, that over a prefix; the longest prefix wins. Never reads outside value, whatever it holds. Strings of the
 * match point into value and path. */
enum router_result router_match(struct str value, struct str method, struct str path, struct router_match *ret);

#endif
