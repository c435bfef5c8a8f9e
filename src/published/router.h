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
	struct str path; /* "/a/{id}/b", "/a/{rest+}" */
	bool prefix; /* match mode SWA; without meaning for a path that ends in {x+} */
	struct str api_id;
};

#define ROUTER_MAX_PARAMS 32
#define ROUTER_MAX_SEGMENTS 256
/* Methods of one path. */
#define ROUTER_MAX_METHODS 64
/* Nodes of the trie that one match may look at. */
#define ROUTER_MAX_VISITS 4096

/* Whether a path can be compiled: starts with '/', at most ROUTER_MAX_SEGMENTS segments, a parameter takes a whole
 * segment, {x+} only at the end, names not empty and unique, at most ROUTER_MAX_PARAMS. ERR_APPIA_0422 else. */
int router_path_check(struct str path, struct err *err);

/* Compiles, appending to out; the result depends only on the set of routes, not on their order. Errors: ERR_APPIA_0422
 * for a bad path or method; ERR_APPIA_0409 for two routes that could match the same request with the same precedence
 * (same method, same path but for the names of parameters, same kind; the path "/a/" with match mode SWA is "/a");
 * ERR_APPIA_0422 when so many paths overlap through parameters that some request would visit more than
 * ROUTER_MAX_VISITS nodes; ERR_APPIA_0413 when the result does not fit out. */
int router_compile(const struct router_route *routes, size_t n, struct buf *out, struct err *err);

enum router_result { ROUTER_FOUND, ROUTER_NO_PATH, ROUTER_NO_METHOD };

struct router_match {
	struct str api_id;
	struct {
		struct str name, value;
	} params[ROUTER_MAX_PARAMS];
	size_t n_params;
	struct str tail; /* SWA: what follows the prefix, with its leading slash; or "" */
};

/* path: canonical (percent-decoded unless configured otherwise), starts with '/'. Among the routes whose method fits:
 * a whole match beats prefixes and {x+}; of whole matches the one with a literal in the leftmost segment where they
 * differ wins; of prefixes and {x+} the longest, then the one with the leftmost literal, then {x+}. On one path the
 * request's own method beats "ANY". {x} takes one segment, {x+} the rest, neither takes nothing. SWA "/a" matches "/a",
 * "/a/" and "/a/b", not "/ab".
 *
 * Never reads outside value, whatever it holds. Strings of the match point into value and path; *ret is written only
 * when a route is found. Looks at ROUTER_MAX_VISITS nodes at most, at each by a search that halves. */
enum router_result router_match(struct str value, struct str method, struct str path, struct router_match *ret);

#endif
