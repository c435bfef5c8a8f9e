/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BIN_APPIAD_ACL_KEEPER_H
#define BIN_APPIAD_ACL_KEEPER_H

#include "model/context.h"

/* A thread that keeps the access control list of a Kafka elsewhere up to the permissions of topics. Calls do not wait
 * for it: a Kafka that is away is tried again until it answers. */
struct acl_keeper;

int acl_keeper_start(struct store *store, const struct model_settings *settings, struct acl_keeper **ret,
		     struct err *err);
/* Something may have changed. Any thread. NULL is legal. */
void acl_keeper_kick(struct acl_keeper *k);
/* NULL is legal. */
void acl_keeper_stop(struct acl_keeper *k);

#endif
