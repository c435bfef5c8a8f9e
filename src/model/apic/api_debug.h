/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_API_DEBUG_H
#define MODEL_APIC_API_DEBUG_H

#include "model/apic/api_priv.h"
#include "net/client.h"

/* A debugging request on its way to the gateway. */
struct api_debug_message {
	struct str method, path, query, host, body;
	struct net_header *headers; /* what is shown, too */
	size_t n_headers;
};

/* Checks method, path, header and query of the request and builds the message for host. ERR_APIG_2011. */
int api__debug_message(struct model *m, const struct apic_api_debug *in, struct str host,
		       struct api_debug_message *ret);
void api__debug_header(struct model *m, struct api_debug_message *message, struct str name, struct str value);
/* Adds the signature of an application (SDK-HMAC-SHA256) over what is there. */
void api__debug_sign(struct model *m, struct api_debug_message *message, struct str key, struct str secret);

/* The messages as text; long bodies end in "[TRUNCATED]". */
struct str api__debug_request_text(struct model *m, const struct api_debug_message *message);
struct str api__debug_reply_text(struct model *m, const struct net_reply *reply);

#endif
