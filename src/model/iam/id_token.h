/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IAM_ID_TOKEN_H
#define MODEL_IAM_ID_TOKEN_H

#include "model/iam/account.h"

/* Federation: users who prove to an identity provider who they are. The providers stand in the file of the setting
 * iam.identity_providers, read at each call:
 *
 *   [{"id": "corp", "issuer": "https://id.example.com", "audience": "appia", "user_claim": "preferred_username",
 *     "keys": {"keys": [{"kty": "RSA", "kid": "1", "n": "...", "e": "AQAB"}]}}]
 *
 * keys is the provider's JWK set (RFC 7517) with RSA (RS256) and P-256 (ES256) keys. The claim (default "sub") names a
 * user of this installation; users are not made on the way. */

/* Checks an ID token (OpenID Connect Core, 3.1.3.7): signature, issuer, audience, times; finds its user. m->tx must
 * be NULL. ERR_IAM_0001 with the reason. */
int iam_id_token_check(struct model *m, struct str provider, struct str id_token, struct iam_account *ret);

#endif
