/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MQS_GROUP_H
#define MODEL_MQS_GROUP_H

#include "api_mqs.h"
#include "model/context.h"

/* Consumer groups (7.5). They are Kafka's: all instances see all. Unknown group: ERR_MQS_00400800, group. */

int group_list(struct model *m, const struct mqs_list_mqs_instance_groups_in *in, struct mqs_group_list *ret);
int group_show(struct model *m, struct str name, struct mqs_group_detail *ret);
/* For those who may change the topic's application. ERR_MQS_00400026 while the group has members. */
int group_reset(struct model *m, struct str instance_id, struct str name, const struct mqs_offset_reset *in);
/* body: a list of names, or {"group_ids": [..]}. */
int group_delete(struct model *m, const struct json *body, struct mqs_group_failure_list *ret);

#endif
