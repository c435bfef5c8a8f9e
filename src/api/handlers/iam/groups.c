/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_iam.h"
#include "model/iam/account.h"
#include "model/iam/group.h"

int iam_keystone_list_groups(struct api_call *call, const struct iam_keystone_list_groups_in *in,
			     struct iam_group_list *out)
{
	out->links = iam_links_self(&call->m, "/v3/groups");
	return iam_group_list_by(&call->m, STR_NONE, in->name, &out->groups);
}

int iam_keystone_add_user_to_group(struct api_call *call, const struct iam_keystone_add_user_to_group_in *in)
{
	return iam_group_add(&call->m, in->group_id, in->user_id);
}

int iam_keystone_remove_user_from_group(struct api_call *call, const struct iam_keystone_remove_user_from_group_in *in)
{
	return iam_group_remove(&call->m, in->group_id, in->user_id);
}
