/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_WRITE_H
#define MODEL_WRITE_H

#include "model/context.h"

/* A short write transaction of a call that does without the dispatcher's (API_OP_NO_TX), because something
 * slow stands before or after it. m->tx is NULL before and after. fn writes at m->tx; it is run again when another
 * transaction got in between, as PostgreSQL's SERIALIZABLE wants it, so it does nothing but what a rollback takes back,
 * and asks nobody but the store. Committed when it returns 0. m->err is of the last run. Ends after a few tries or
 * seconds: ERR_APPIA_0503, retriable. */
int model_write(struct model *m, int (*fn)(struct model *m, void *arg), void *arg);

#endif
