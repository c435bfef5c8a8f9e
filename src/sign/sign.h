/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SIGN_SIGN_H
#define SIGN_SIGN_H

#include "base/arena.h"
#include "base/err.h"

#include <stdint.h>

/* SDK-HMAC-SHA256 request signatures (the vendor's API signing guide; the same for application keys and access keys).
 * Any thread. */

struct sign_pair {
	struct str name, value;
};

struct sign_request {
	struct str method;
	struct str path;  /* raw, percent-encoded, as received */
	struct str query; /* raw, without '?' */
	const struct sign_pair *headers; /* all of the request's */
	size_t n_headers;
	struct str body_sha256; /* lower-case hex of the body's hash */
};

struct sign_header { /* parsed Authorization header */
	struct str access, signed_headers, signature;
};

/* Parses "SDK-HMAC-SHA256 Access=..., SignedHeaders=..., Signature=...". False when it is not one. */
bool sign_parse(struct str authorization, struct sign_header *ret);

enum sign_result {
	SIGN_OK,
	SIGN_NO_DATE,     /* X-Sdk-Date missing or malformed */
	SIGN_EXPIRED,     /* outside the 15 minute window */
	SIGN_BAD_HEADERS, /* host or x-sdk-date unsigned, or a signed header missing */
	SIGN_MISMATCH
};

/* Checks header against the request with the secret. canonical (may be NULL) receives the server's canonical request
 * with '|' for newlines, for error texts. Honours X-Sdk-Content-Sha256. Constant-time compare. */
enum sign_result sign_verify(struct arena *a, const struct sign_request *req, const struct sign_header *header,
                             struct str secret, int64_t now_ms, struct str *canonical);

/* Value of the Authorization header that signs the request; headers must hold host and x-sdk-date and are all signed. */
struct str sign_make(struct arena *a, const struct sign_request *req, struct str access, struct str secret);

struct str sign_sha256_hex(struct arena *a, struct str bytes);
void sign_hmac_sha256(struct str key, struct str data, unsigned char ret[32]);

/* Sealed secrets and tokens, by the installation's master key (XChaCha20-Poly1305, libsodium). */
struct sign_keyring;

/* Reads the 32-byte key file, creating it with 0600 when create is true. A file readable by others is refused. */
int sign_keyring_open(const char *path, bool create, struct sign_keyring **ret, struct err *err);
void sign_keyring_free(struct sign_keyring *keys);

/* purpose binds a sealed text to its use ("app.secret"): opening with another purpose fails. Base64 text. */
struct str sign_seal(struct arena *a, const struct sign_keyring *keys, const char *purpose, struct str plain);
bool sign_open(struct arena *a, const struct sign_keyring *keys, const char *purpose, struct str sealed,
               struct str *ret_plain);

/* Identity tokens: sealed, self-contained, so that a gateway checks them without asking. */
struct sign_token {
	struct str user_id, user_name, domain_id, domain_name, project_id, project_name;
	unsigned roles; /* bit set, SIGN_ROLE_* */
	int64_t issued_ms, expires_ms;
	struct str id; /* audit id */
};

enum { SIGN_ROLE_ADMINISTRATOR = 1, SIGN_ROLE_DEVELOPER = 2, SIGN_ROLE_OPERATOR = 4, SIGN_ROLE_READER = 8 };

struct str sign_token_make(struct arena *a, const struct sign_keyring *keys, const struct sign_token *token);
/* False when forged, damaged or expired at now_ms. Whether the user still exists is the caller's question. */
bool sign_token_read(struct arena *a, const struct sign_keyring *keys, struct str text, int64_t now_ms,
                     struct sign_token *ret);

/* Passwords: argon2id (libsodium, interactive limits). The hash is printable. */
struct str sign_password_hash(struct arena *a, struct str password);
bool sign_password_check(struct str hash, struct str password);

#endif
