/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MQSREST_HANDLER_H
#define MQSREST_HANDLER_H

#include "base/arena.h"

/* What a client gives back to say which message it means: base64 of "partition#offset#delivery#session". Opaque to
 * clients. A delivery is one hand-out of a message; numbers of deliveries are good within one session, that is the life
 * of a consumer of ours. */
struct rest_handler {
	int32_t partition;
	int64_t offset, delivery, session; /* none is negative */
};

/* In the arena. Any thread. */
struct str rest_handler_make(struct arena *a, const struct rest_handler *h);
/* False when text is nothing that rest_handler_make() makes. */
bool rest_handler_read(struct arena *a, struct str text, struct rest_handler *ret);

#endif
