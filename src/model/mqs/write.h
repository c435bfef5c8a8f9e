/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MQS_WRITE_H
#define MODEL_MQS_WRITE_H

#include "model/context.h"

/* A short write transaction of a call that does without the dispatcher's (API_OP_NO_TX), because it asks Kafka before
 * or after it. fn writes at m->tx; it is run again when another transaction got in between, as PostgreSQL's
 * SERIALIZABLE wants it, so it does nothing but what a rollback takes back, and asks nobody but the store. Committed
 * when it returns 0. m->err is of the last run. Ends after a few tries or seconds: ERR_APPIA_0503, retriable. */
int mqs_write(struct model *m, int (*fn)(struct model *m, void *arg), void *arg);

#endif
