/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MQS_POLICY_H
#define MODEL_MQS_POLICY_H

#include "api_mqs.h"
#include "model/context.h"

/* Which applications may publish to and subscribe to a topic, with which tags (7.3). Refusals as in topic.h; all run in
 * the transaction at m->tx. The owner's access is shown as it was given, but the brokers always let it do both. */

/* Adds one, or replaces the application's. access: all, pub, sub. */
int policy_add(struct model *m, struct str topic, struct str app_id, struct str access, struct str tag);
/* Tags separated by "||", for all two lists separated by "&"; letters, digits, - and _, at most 48 of them each.
 * ERR_MQS_00400800. */
int policy_check_tag(struct model *m, struct str tag);

/* Replaces the policies of topics; their owners stay. */
int policy_replace(struct model *m, struct str instance_id, const struct mqs_topic_policies_array *topics);
int policy_list(struct model *m, const struct mqs_show_mqs_instance_topic_access_policy_in *in,
		struct mqs_topic_policy_list *ret);
/* Adds some to those that a topic has. */
int policy_batch_add(struct model *m, struct str instance_id, struct str topic,
		     const struct mqs_access_policy_array *list);

#endif
