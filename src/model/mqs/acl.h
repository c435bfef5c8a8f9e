/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MQS_ACL_H
#define MODEL_MQS_ACL_H

#include "model/context.h"

/* With the engine "kafka" what applications may do with topics becomes the access control list of that Kafka, for users
 * "User:<key of the application>": pub is WRITE and DESCRIBE, sub READ and DESCRIBE on the topic. Who may subscribe to
 * anything gets READ and DESCRIBE on all groups, who may publish WRITE and DESCRIBE on all transactional ids, as the
 * platform's own broker has it. Entries that others made are left alone. */

/* Brings Kafka's list up to what is stored, in steps of at most some hundred entries; *ret_more: there is more to do.
 * Without a difference Kafka is not asked. ACL_NONE: that Kafka has no authoriser. Begins its own transactions. */
enum { ACL_NONE = 1 };
int acl_sync(struct model *m, bool *ret_more);

/* Whatever was made before is made again by the next acl_sync(): it may be another Kafka, or somebody has changed the
 * list. */
int acl_forget(struct model *m);

#endif
