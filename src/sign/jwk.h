/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGN_JWK_H
#define SIGN_JWK_H

#include "base/str.h"

/* Signatures that others made, by public keys as JSON Web Keys say them: in big-endian numbers (RFC 7518). Any
 * thread. */

/* RS256: RSA with PKCS #1 v1.5 and SHA-256; n of 2048 to 8192 bits. */
bool sign_rs256_verify(struct str n, struct str e, struct str data, struct str signature);

/* ES256: ECDSA on P-256 with SHA-256; x and y of 32 bytes, the signature r and s of 32 bytes each. */
bool sign_es256_verify(struct str x, struct str y, struct str data, struct str signature);

#endif
