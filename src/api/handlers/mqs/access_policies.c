/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_mqs.h"
#include "model/mqs/policy.h"

int mqs_update_topic_access_policy(struct api_call *call, const struct mqs_update_topic_access_policy_in *in)
{
	return policy_replace(&call->m, in->instance_id, &in->body->topics);
}

int mqs_show_mqs_instance_topic_access_policy(struct api_call *call,
					      const struct mqs_show_mqs_instance_topic_access_policy_in *in,
					      struct mqs_topic_policy_list *out)
{
	return policy_list(&call->m, in, out);
}

int mqs_batch_add_mqs_instance_topic_access_policies(
	struct api_call *call, const struct mqs_batch_add_mqs_instance_topic_access_policies_in *in)
{
	return policy_batch_add(&call->m, in->instance_id, in->topic_name, &in->body->policies);
}
