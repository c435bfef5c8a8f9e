/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POLICY_URI_H
#define POLICY_URI_H

#include "base/arena.h"
#include "base/err.h"

/* The path of a request target in the one form that is matched, signed for and forwarded. Any thread.
 *
 * raw: the target up to '?', percent-encoded, as received. The result is percent-decoded; "." and ".." segments
 * (RFC 3986 section 5.2.4) are resolved, encoded ones too; runs of slashes are kept. With keep_escapes the escapes stay
 * as they are and dot segments are refused instead. It points into raw when nothing had to change, else into the arena.
 * Refused with APIG.0201 (400): a path that does not start with '/' or climbs above the root, bad escapes, control
 * bytes, '#', spaces, "..;" and the like, dot segments between backslashes. */
int policy_path_canonical(struct arena *a, struct str raw, bool keep_escapes, struct str *ret, struct err *err);

/* Percent-encodes a canonical path for a request line: everything but RFC 3986 pchar and '/'. */
struct str policy_path_encode(struct arena *a, struct str path);

/* Percent-encodes all but unreserved characters (RFC 3986 section 2.3) and those of keep. */
struct str policy_encode(struct arena *a, struct str s, const char *keep);

/* True when the (encoded or decoded) path has a "." or ".." segment, plain, encoded or followed by ';'. */
bool policy_path_has_dots(struct str path);

struct policy_query_pair {
	struct str name, value; /* decoded */
	struct str raw; /* as received, without '&' */
};

#define POLICY_QUERY_MAX 1000

/* Splits a query (without '?') at '&'; empty pieces are skipped. Pieces with bad escapes are refused with APIG.0201,
 * more than POLICY_QUERY_MAX as well. */
int policy_query_parse(struct arena *a, struct str query, struct policy_query_pair **ret, size_t *ret_n,
		       struct err *err);

/* "host", "host:port", "[v6]:port", "v4": the host without brackets and the port (443 or 80 when absent). */
bool policy_address_split(struct str address, bool tls, struct str *ret_host, unsigned *ret_port);

#endif
