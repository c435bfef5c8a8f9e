/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_HANDLERS_QUOTA_H
#define BROKER_HANDLERS_QUOTA_H

#include "broker/handlers/broker.h"

/* Whether the partitions may be made or deleted (KIP-599). strict: not when the user has made too many before; else it
 * only pauses. *ret_ms: the pause for the answer, set when there is a quota. */
bool mqs_quota_mutate(struct mqs_request *rq, int64_t partitions, bool strict, int32_t *ret_ms);

/* Runs fn and charges the time it takes. here: on the request's loop, so that the request is still there behind it. */
void mqs_run_timed(struct mqs_request *rq, void (*fn)(struct mqs_request *rq), bool here);

/* From the state, under the security lock; a value of STR_NONE takes the quota away. */
void mqs_quota_replay(struct mqs_broker *b, struct str key, struct str value);
void mqs_ip_quota_replay(struct mqs_broker *b, struct str ip, struct str value);
void mqs_quotas_free(struct mqs_broker *b);
void mqs_usage_free(struct mqs_broker *b);

#endif
