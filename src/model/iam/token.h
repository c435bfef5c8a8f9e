/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IAM_TOKEN_H
#define MODEL_IAM_TOKEN_H

#include "model/iam/account.h"
#include "sign/sign.h"

/* Issues a token: POST /v3/auth/tokens. Valid for settings->token_lifetime_ms. *ret_text goes
 * into X-Subject-Token. m->tx must be NULL. */
int iam_token_create(struct model *m, const struct iam_auth *auth, bool with_catalog, struct iam_token *ret,
		     struct str *ret_text);

/* Issues a token to whom an identity provider vouches for: POST /v3.0/OS-AUTH/id-token/tokens. As above. */
int iam_token_by_id_token(struct model *m, struct str provider, const struct iam_id_token_auth *auth,
			  struct iam_token *ret, struct str *ret_text);

/* Opens a token and checks that its user is still there, enabled, and has not changed the password since; the
 * account has today's roles. Reads at m->tx. Errors: ERR_IAM_0067, ERR_IAM_0066 (expired). */
int iam_token_open(struct model *m, struct str text, struct sign_token *ret, struct iam_account *ret_account);

/* Shows a token's content: GET /v3/auth/tokens. Administrators see all tokens of their account, others their own. */
int iam_token_show(struct model *m, struct str text, bool with_catalog, struct iam_token *ret);

#endif
