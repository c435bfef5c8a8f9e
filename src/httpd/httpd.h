/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_HTTPD_H
#define HTTPD_HTTPD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* HTTP/1.1 (RFC 9112) over a Unix socket behind the front door; nothing above this folder knows the HTTP library. One
 * thread per connection, so handlers may block. Requests whose extent two parsers could read differently are answered
 * 400 and the connection is closed. */
struct httpd;

struct httpd_pair {
	struct str name, value;
};

struct httpd_form_part {
	struct str name, filename, content_type, data;
};

struct httpd_request {
	struct str method, target; /* target: path, still percent-encoded, without query */
	struct str query; /* raw, without '?' ; STR_NONE when there is none */
	const struct httpd_pair *headers;
	size_t n_headers;
	struct str body; /* whole, p never NULL; bounded by httpd_options.max_body (413 above) */
	struct arena *arena; /* of this request: goes, with all of the above, when the reply is sent */
};

struct httpd_reply {
	int status; /* 200..599; anything else is answered 500 */
	struct str content_type; /* STR_NONE: no such header */
	struct httpd_pair headers[16];
	size_t n_headers;
	struct buf body; /* initialised by the caller of the handler, max 64 MiB; failed: 500 is sent instead */
};

/* Answers a request. For HEAD it does what it does for GET: the body is not sent, its length is. Likewise 204 and 304
 * have no body. All strings of the reply must live as long as the request's arena. */
typedef void httpd_handler(void *ctx, const struct httpd_request *req, struct httpd_reply *reply);

/* Bodies up to here are always taken: max_connections bounds them. Longer ones count in full, from the request's head
 * to the end of its reply; one that does not fit in memory_max is answered 503 with Retry-After. */
#define HTTPD_SMALL_BODY ((size_t)256 << 10)

struct httpd_options {
	const char *socket_path; /* created 0660, a stale one is replaced */
	size_t max_body;
	unsigned max_connections; /* 0: 256; peers above it wait */
	unsigned idle_seconds; /* a peer silent for so long is hung up on; 0: never */
	size_t memory_max; /* bytes of all bodies beyond HTTPD_SMALL_BODY that are under way; 0: 256 MiB */
	httpd_handler *handler; /* called on the connection's thread */
	void *ctx;
};

/* Copies options and socket_path; ctx must outlive the server. ERR_APPIA_0500 when the socket is in use or cannot be
 * made. */
int httpd_start(const struct httpd_options *options, struct httpd **ret, struct err *err);
/* Stops accepting, waits for running handlers, closes. NULL is legal. */
void httpd_stop(struct httpd *httpd);

/* First value of a header, name case-insensitive; STR_NONE when absent. */
struct str httpd_header(const struct httpd_request *req, const char *name);
/* First value of a query parameter, decoded into the request's arena; STR_NONE when absent or badly escaped. */
struct str httpd_query(const struct httpd_request *req, const char *name);
/* Adds a header to a reply; name and value must outlive it. Values with control characters are dropped. */
void httpd_reply_header(struct httpd_reply *reply, struct str name, struct str value);

/* Splits a multipart/form-data body (RFC 7578) into at most max parts (and never more than 64). Parts point into the
 * body, names with escaped quotes into the arena; what a part does not give is STR_NONE. False when malformed, when a
 * part has no name or a transfer encoding, or when there are too many. */
bool httpd_form(const struct httpd_request *req, struct httpd_form_part *parts, size_t max, size_t *ret_n);

#endif
