/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_DISPATCH_H
#define API_DISPATCH_H

#include "api/api.h"
#include "sign/sign.h"

/* What makes the tables an API: filled by the program before the server starts, then read only. */
struct api {
	const struct api_tables *tables;
	api_handler *const *calls;
	struct store *store;
	const struct sign_keyring *keys;
	const struct model_settings *settings;
	struct str openapi; /* answered at /openapi.json; STR_NONE: not served */

	/* Establishes who calls, from the request's token or signature; runs in a read transaction at m->tx. Returns 0,
	 * ERR_APPIA_0401 (no credentials), or a code that says what is wrong with them. NULL: everybody is trusted. */
	int (*authenticate)(struct model *m, const struct httpd_request *req, struct identity *ret);
	/* May m->who do this? project_id and instance_id come from the path (STR_NONE when it has none). */
	int (*authorise)(struct model *m, const struct api_op *op, struct str project_id, struct str instance_id);
	/* After a commit that wrote to the outbox: brings the published state up to date. Cannot refuse. */
	void (*publish)(void *ctx);
	/* After every write operation, committed or refused. */
	void (*audit)(void *ctx, const struct api_call *call, int status);
	void *ctx;
};

/* Answers one request: route, authenticate, decode, validate, authorise, begin, handle, commit, publish, encode,
 * audit. An httpd_handler; ctx is the struct api. */
void api_serve(void *ctx, const struct httpd_request *req, struct httpd_reply *reply);

#endif
