/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IAM_ACCESS_KEY_H
#define MODEL_IAM_ACCESS_KEY_H

#include "api_iam.h"
#include "model/context.h"

#define IAM_MAX_KEYS 2 /* permanent ones per user */

/* Permanent access keys: of the caller, or of any user of the account for administrators. Unknown ones and those of
 * others: ERR_IAM_0004. */
int iam_access_key_list_of(struct model *m, struct str user_id, struct iam_credential_array *ret);
int iam_access_key_show(struct model *m, struct str access, struct iam_credential *ret);
/* The only time the secret is shown. A third key: ERR_400. */
int iam_access_key_create(struct model *m, struct str user_id, struct str description, struct iam_credential *ret);
/* status "active" or "inactive"; absent parts stay as they are. */
int iam_access_key_update(struct model *m, struct str access, struct str status, struct str description,
			  struct iam_credential *ret);
int iam_access_key_delete(struct model *m, struct str access);

/* Stores a new key without asking who calls; for the first start too. */
int iam_access_key_make(struct model *m, struct str user_id, struct str description, struct str *ret_access,
			struct str *ret_secret);

/* A temporary key for the holder of a token (auth->identity.token.id, or the caller), with a security token. Nothing is
 * stored: the security token holds it, sealed. */
int iam_access_key_lend(struct model *m, const struct iam_token_auth *auth, struct iam_security_token *ret);

#endif
