/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_HTTPD_H
#define HTTPD_HTTPD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* HTTP over a Unix socket; nothing above this folder knows the HTTP library. One thread per connection, so handlers
 * may block. */
struct httpd;

struct httpd_pair {
	struct str name, value;
};

struct httpd_form_part {
	struct str name, filename, content_type, data;
};

struct httpd_request {
	struct str method, target; /* target: path, still percent-encoded, without query */
	struct str query;          /* raw, without '?' ; STR_NONE when there is none */
	const struct httpd_pair *headers;
	size_t n_headers;
	struct str body; /* whole; bounded by httpd_options.max_body (413 above) */
	struct arena *arena;
};

struct httpd_reply {
	int status;
	struct str content_type;
	struct httpd_pair headers[16];
	size_t n_headers;
	struct buf body; /* initialised by the caller of the handler, max 64 MiB */
};

typedef void httpd_handler(void *ctx, const struct httpd_request *req, struct httpd_reply *reply);

struct httpd_options {
	const char *socket_path; /* created 0660, a stale one is replaced */
	size_t max_body;
	unsigned max_connections;
	unsigned idle_seconds;
	httpd_handler *handler; /* called on the connection's thread */
	void *ctx;
};

int httpd_start(const struct httpd_options *options, struct httpd **ret, struct err *err);
/* Stops accepting, waits for running handlers, closes. NULL is legal. */
void httpd_stop(struct httpd *httpd);

/* First value of a header, name case-insensitive; STR_NONE when absent. */
struct str httpd_header(const struct httpd_request *req, const char *name);
/* First value of a query parameter, decoded into the request's arena; STR_NONE when absent or badly escaped. */
struct str httpd_query(const struct httpd_request *req, const char *name);
/* Adds a header to a reply; name and value must outlive it. Values with control characters are dropped. */
void httpd_reply_header(struct httpd_reply *reply, struct str name, struct str value);

/* Splits a multipart/form-data body (RFC 7578). Parts point into the body. False when malformed or > 64 parts. */
bool httpd_form(const struct httpd_request *req, struct httpd_form_part *parts, size_t max, size_t *ret_n);

#endif
