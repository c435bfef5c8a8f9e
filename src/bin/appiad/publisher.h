/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BIN_APPIAD_PUBLISHER_H
#define BIN_APPIAD_PUBLISHER_H

#include "model/context.h"
#include "published/published.h"

/* Keeps the published state up to date: after each commit on the caller's thread, and once a second on its own, for
 * what another process committed and for what could not be projected before (full disk). */
struct publisher;

/* The pointers are kept. Projects what is open before it returns; what fails is tried again later. */
int publisher_start(struct store *store, struct pub *pub, const struct sign_keyring *keys,
                    const struct model_settings *settings, struct publisher **ret, struct err *err);
/* Any thread. Failures are logged and tried again. */
void publisher_kick(struct publisher *publisher);
/* NULL is legal. */
void publisher_stop(struct publisher *publisher);

#endif
