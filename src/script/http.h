/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCRIPT_HTTP_H
#define SCRIPT_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "script/script.h"

#define SCRIPT_MAX_HTTP_HEADERS 64

/* One request of a script and its answer; C types only. */
struct script_http {
	struct str method, url, content_type; /* url: without the parameters */
	struct str content;                   /* p == NULL: no body */
	struct { struct str name, value; } headers[SCRIPT_MAX_HTTP_HEADERS];
	size_t n_headers;
	struct str access_key, secret_key; /* both: the request is signed (SDK-HMAC-SHA256) */
	struct str ca_pem, cert_pem, key_pem, key_pass;
	int64_t connect_ms, read_ms; /* 0: none of its own, the call's deadline holds anyway */

	long status;
	struct buf body;          /* the caller initialises it with its maximum and frees it */
	struct { struct str name, value; } reply[SCRIPT_MAX_HTTP_HEADERS];
	size_t n_reply;
	struct arena *a;
};

/* Blocks until the answer or the deadline. False with a reason in why. Any thread. */
bool script__http_perform(const struct script_host *host, struct script_http *http, int64_t deadline_ms, char *why,
                          size_t size);

#endif
