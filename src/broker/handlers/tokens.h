/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_HANDLERS_TOKENS_H
#define BROKER_HANDLERS_TOKENS_H

#include "broker/handlers/broker.h"

/* Delegation tokens (KIP-48, KIP-373): somebody who has logged in gets a name and a password for others to log in in
 * its place, for some days. They log in by SCRAM with the extension tokenauth=true, and may not ask for tokens. */

/* Who logs in by a token. */
struct token_login {
	struct str owner, password; /* in the arena */
	bool app; /* the owner was an application */
	int64_t expiry_ms; /* wall clock */
};

/* False when there is no such token, or no more. Any thread. */
bool token_login(struct mqs_broker *b, struct arena *a, struct str id, struct token_login *ret);

/* From the state, under the security lock; a value of STR_NONE removes the token. */
void token_replay(struct mqs_broker *b, struct str id, struct str value);
void tokens_free(struct mqs_broker *b);

#endif
