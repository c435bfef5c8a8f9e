/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_CLIENT_H
#define NET_CLIENT_H

#include "base/arena.h"
#include "base/err.h"

#include <stdint.h>

/* A blocking HTTP client, for calls between our processes over Unix sockets and for users' http and https URLs.
 * Connections are kept open per thread and reused. Never follows redirects, never speaks another protocol, ignores
 * proxy settings of the environment. */

struct net_header {
	struct str name, value;
};

struct net_request {
	struct str method;      /* "GET" when empty */
	struct str url;         /* http:// or https://; unless socket_path is given */
	struct str socket_path; /* Unix socket to call, with target (path and query, starting with '/') */
	struct str target;
	const struct net_header *headers; /* Content-Type of a body is up to the caller */
	size_t n_headers;
	struct str body;         /* STR_NONE: none */
	int64_t timeout_ms;      /* whole exchange; 0: 30 s */
	int64_t connect_timeout_ms; /* 0: 5 s, and never longer than timeout_ms */
	size_t max_reply_bytes;  /* of the body; 0: 16 MiB */
	bool public_only;        /* refuses loopback, private, link-local and other special addresses */
	bool insecure;           /* https: takes any certificate */
	const char *ca_file;     /* https: PEM bundle instead of the system's; NULL: the system's */
};

struct net_reply {
	int status;
	const struct net_header *headers; /* at most 100, in order; values trimmed */
	size_t n_headers;
	struct str body; /* p never NULL */
};

/* Does the exchange; any HTTP status is success. The reply lives in the arena. Errors:
 *   ERR_APPIA_0400  the request itself is malformed (URL, protocol, control characters); nothing was sent
 *   ERR_APPIA_0403  public_only and the address is not public
 *   ERR_APPIA_0408  no answer in time; retriable
 *   ERR_APPIA_0503_WORKER_UNAVAILABLE  Unix socket: nobody listens or the connection broke; retriable
 *   ERR_APPIA_0503  the same for a URL, or its host is unknown: retriable; reply too large, not HTTP, or certificate
 *                   refused: not retriable
 * Whether a retriable request has been carried out is not known. Texts name neither URL nor socket. Any thread. */
int net_call(const struct net_request *request, struct arena *a, struct net_reply *ret, struct err *err);

/* First value of a header, name case-insensitive; STR_NONE when absent. */
struct str net_header(const struct net_reply *reply, const char *name);

#endif
