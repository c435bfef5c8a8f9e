/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIVEDATA_SERVER_H
#define LIVEDATA_SERVER_H

#include "livedata/livedata.h"

/* What appia-worker answers on its socket: calls of custom back ends from the gateway (header X-Appia-Livedata: id),
 * the internal operations of spec/internal/, GET /healthz and /metrics. */

struct livedata_server;

struct livedata_server_options {
	struct livedata *ld;
	struct datasource_pool *pool;
	int64_t deadline_ms; /* of any request, from its arrival */
};

struct livedata_server *livedata_server_new(const struct livedata_server_options *options);
void livedata_server_free(struct livedata_server *server);

/* An httpd_handler; ctx is the server. Any thread. */
void livedata_server_handle(void *ctx, const struct httpd_request *req, struct httpd_reply *reply);

#endif
