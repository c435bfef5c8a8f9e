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
	struct str path; /* raw, percent-encoded, as received */
	struct str query; /* raw, without '?' */
	const struct sign_pair *headers; /* all of the request's */
	size_t n_headers;
	/* Lower-case hex of the body's hash, SIGN_EMPTY_BODY for none. May be absent when sign_needs_body() says no;
	 * otherwise an absent hash matches nothing. */
	struct str body_sha256;
};

#define SIGN_EMPTY_BODY STR("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

struct sign_header { /* parsed Authorization header */
	struct str access, signed_headers, signature;
};

/* Parses "SDK-HMAC-SHA256 Access=..., SignedHeaders=..., Signature=...". False when it is not one. */
bool sign_parse(struct str authorization, struct sign_header *ret);

/* False when the request says that its body is not part of the signature (X-Sdk-Content-Sha256: UNSIGNED-PAYLOAD). */
bool sign_needs_body(const struct sign_request *req);

#define SIGN_WINDOW_MS (15 * 60 * 1000)

enum sign_result {
	SIGN_OK,
	SIGN_NO_DATE, /* X-Sdk-Date missing or malformed */
	SIGN_EXPIRED, /* outside the 15 minute window */
	SIGN_BAD_HEADERS, /* host or x-sdk-date unsigned, or a signed header missing */
	SIGN_MISMATCH
};

/* Checks header against the request with the secret. canonical (may be NULL) receives the server's canonical request
 * with '|' for newlines, for error texts; STR_NONE when it was not built. Honours X-Sdk-Content-Sha256: a hash there
 * must be the body's. Constant-time compare. Takes a small multiple of the request's head of the arena and answers
 * SIGN_MISMATCH when that passes the arena's limit. */
enum sign_result sign_verify(struct arena *a, const struct sign_request *req, const struct sign_header *header,
			     struct str secret, int64_t now_ms, struct str *canonical);

/* Value of the Authorization header that signs the request; headers must hold host and a well-formed x-sdk-date (else
 * STR_NONE) and are all signed, except Authorization itself and names with '_' (the vendor's signers leave those out:
 * proxies drop them). X-Sdk-Content-Sha256 among them replaces body_sha256. */
struct str sign_make(struct arena *a, const struct sign_request *req, struct str access, struct str secret);

struct str sign_sha256_hex(struct arena *a, struct str bytes);
void sign_hmac_sha256(struct str key, struct str data, unsigned char ret[32]);

/* SHA-256 of data that comes in pieces; freed with the arena. One thread at a time. */
struct sign_hash;
struct sign_hash *sign_hash_begin(struct arena *a);
void sign_hash_add(struct sign_hash *h, struct str bytes);
/* Either ends it; h is used up. The text is lower-case hex. */
void sign_hash_sum(struct sign_hash *h, unsigned char ret[32]);
struct str sign_hash_end(struct sign_hash *h);

/* Sealed secrets and tokens, by the installation's master key (XChaCha20-Poly1305, libsodium). */
struct sign_keyring;

/* Reads the 32-byte key file, creating it with 0600 when create is true (atomically: a crash leaves all or nothing, and
 * of two creators one wins). A file that anyone but its owner may read or write is refused. Error: ERR_APPIA_0500,
 * ERR_APPIA_0507 when the disk is full; the text does not name the path. */
int sign_keyring_open(const char *path, bool create, struct sign_keyring **ret, struct err *err);
/* Wipes the key. NULL is legal. */
void sign_keyring_free(struct sign_keyring *keys);

/* purpose binds a sealed text to its use ("app.secret"): opening with another purpose fails. Base64 text. */
struct str sign_seal(struct arena *a, const struct sign_keyring *keys, const char *purpose, struct str plain);
/* False when forged, damaged or sealed for another purpose or by another key; the plain text is NUL-terminated. */
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

/* STR_NONE when a field is longer than SIGN_TOKEN_FIELD_MAX. Absent fields stay absent. */
#define SIGN_TOKEN_FIELD_MAX 1024
struct str sign_token_make(struct arena *a, const struct sign_keyring *keys, const struct sign_token *token);
/* False when forged, damaged or expired at now_ms. Whether the user still exists is the caller's question. */
bool sign_token_read(struct arena *a, const struct sign_keyring *keys, struct str text, int64_t now_ms,
		     struct sign_token *ret);

/* Passwords: argon2id (libsodium, interactive limits). The hash is printable;
 * STR_NONE when the 64 MB it takes are not to be had. Slow on purpose (some 50 ms): not on an event loop. */
struct str sign_password_hash(struct arena *a, struct str password);
bool sign_password_check(struct str hash, struct str password);

#endif
