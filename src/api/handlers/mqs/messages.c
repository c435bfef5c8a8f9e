/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_mqs.h"
#include "model/mqs/message.h"

int mqs_show_mqs_instance_messages(struct api_call *call, const struct mqs_show_mqs_instance_messages_in *in,
				   struct mqs_message_list *out)
{
	return message_list(&call->m, in, out);
}

int mqs_reset_messages(struct api_call *call, const struct mqs_reset_messages_in *in,
		       struct mqs_message_reset_result *out)
{
	return message_resend(&call->m, in->instance_id, in->body, out);
}
