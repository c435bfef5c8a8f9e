/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_mqs.h"
#include "model/mqs/group.h"

int mqs_show_mqs_instance_group(struct api_call *call, const struct mqs_show_mqs_instance_group_in *in,
				struct mqs_group_reply *out)
{
	out->group = ARENA_NEW(call->m.arena, struct mqs_group_detail);
	return group_show(&call->m, in->group, out->group);
}

int mqs_list_mqs_instance_groups(struct api_call *call, const struct mqs_list_mqs_instance_groups_in *in,
				 struct mqs_group_list *out)
{
	return group_list(&call->m, in, out);
}

int mqs_reset_mqs_instance_message_offset(struct api_call *call,
					  const struct mqs_reset_mqs_instance_message_offset_in *in)
{
	if (!str_eq_nocase(in->engine, STR("kafka")))
		return err_set(&call->m.err, ERR_MQS_00400800, "engine");
	return group_reset(&call->m, in->instance_id, in->group_id, in->body);
}

int mqs_batch_delete_mqs_instance_groups(struct api_call *call,
					 const struct mqs_batch_delete_mqs_instance_groups_in *in,
					 struct mqs_group_failure_list *out)
{
	return group_delete(&call->m, in->body, out);
}
