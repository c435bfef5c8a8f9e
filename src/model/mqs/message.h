/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MQS_MESSAGE_H
#define MODEL_MQS_MESSAGE_H

#include "api_mqs.h"
#include "model/context.h"

/* Messages of a topic (7.4), for those who may read its application. Refusals as in topic.h. */

#define MESSAGE_PREVIEW 1024        /* bytes of a value in a list; what has more is a huge_message */
#define MESSAGE_WHOLE (1 << 20)     /* bytes of the value of one message, by its offset */
#define MESSAGE_SCAN 100000         /* records that a search by key, tag or content looks at */

/* By time (start_time, end_time), newest first, or by partition and message_offset. A message's tag, id and
 * application are the headers TAGS, message_id and app_id. */
int message_list(struct model *m, const struct mqs_show_mqs_instance_messages_in *in, struct mqs_message_list *ret);
/* Appends a copy to the same partition; consumer_key becomes a header: only that application shall take it. */
int message_resend(struct model *m, struct str instance_id, const struct mqs_message_reset *in,
		   struct mqs_message_reset_result *ret);

#endif
