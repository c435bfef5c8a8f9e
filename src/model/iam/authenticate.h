/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IAM_AUTHENTICATE_H
#define MODEL_IAM_AUTHENTICATE_H

#include "model/context.h"
#include "sign/sign.h"

/* What a request says about its sender. Absent parts are STR_NONE. */
struct iam_credentials {
	struct str token; /* X-Auth-Token */
	struct str authorization; /* Authorization */
	struct str security_token; /* X-Security-Token, beside a temporary access key */
	struct str project_id; /* X-Project-Id */
	struct str domain_id; /* X-Domain-Id */
	struct str path_project_id; /* second segment of /v1/... and /v2/... */
	struct sign_request request;
};

#define IAM_KEY_FAILURES 5
#define IAM_KEY_LOCK_MS (5 * 60 * 1000)
/* Purposes of sign_seal(). */
#define IAM_SEAL_SECRET "ak.secret" /* iam_access_key.secret_sealed, pub_ak.sealed_secret */
#define IAM_SEAL_SECURITY_TOKEN "ak.temporary" /* the security token of a temporary access key */

/* Who sent it: by a token, or by a signature with an access key (SDK-HMAC-SHA256). Reads at m->tx; may end that
 * transaction and set m->tx to NULL, to write down a failure or a use in one of its own. Returns ERR_APPIA_0401 when
 * there are no credentials; for wrong ones ERR_IAM_0067 (token), ERR_IAM_0066 (expired), ERR_IAM_0063 (signature, with
 * the reason), ERR_IAM_0061 (key locked after five wrong signatures in a row), ERR_IAM_0081, ERR_IAM_0082. */
int iam_authenticate(struct model *m, const struct iam_credentials *c, struct identity *ret);

/* What a security token holds. */
struct iam_temporary_key {
	struct str access, secret, user_id, project_id;
	int64_t issued_ms, expires_ms;
};
struct str iam_temporary_key_seal(struct model *m, const struct iam_temporary_key *key);
bool iam_temporary_key_open(struct model *m, struct str security_token, struct iam_temporary_key *ret);

#endif
