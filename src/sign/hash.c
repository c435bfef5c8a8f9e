/* SPDX-License-Identifier: Apache-2.0 */
/* The functions below libcrypto's providers: the generic ones take as long to begin as to hash a request's head. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "sign/sign.h"

#include "sign/sign_priv.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

enum { BLOCK = 64, SUM = 32 };

struct str sign__hex(const unsigned char sum[32], char ret[65])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < SUM; i++) {
		ret[2 * i] = digits[sum[i] >> 4];
		ret[2 * i + 1] = digits[sum[i] & 15];
	}
	ret[64] = '\0';
	return (struct str){ret, 64};
}

struct str sign__sha256_hex(struct str bytes, char ret[65])
{
	unsigned char sum[SUM];
	SHA256_CTX sha;

	SHA256_Init(&sha);
	SHA256_Update(&sha, bytes.p, bytes.n);
	SHA256_Final(sum, &sha);
	return sign__hex(sum, ret);
}

struct str sign_sha256_hex(struct arena *a, struct str bytes)
{
	return sign__sha256_hex(bytes, arena_alloc(a, 65));
}

/* One of the two hashes of RFC 2104: of the key, padded and masked, and data. */
static void masked(const unsigned char key[BLOCK], unsigned char mask, const void *data, size_t n,
		   unsigned char ret[SUM])
{
	unsigned char pad[BLOCK];
	SHA256_CTX sha;

	for (size_t i = 0; i < BLOCK; i++)
		pad[i] = key[i] ^ mask;
	SHA256_Init(&sha);
	SHA256_Update(&sha, pad, BLOCK);
	SHA256_Update(&sha, data, n);
	SHA256_Final(ret, &sha);
	OPENSSL_cleanse(pad, sizeof(pad));
	OPENSSL_cleanse(&sha, sizeof(sha));
}

void sign_hmac_sha256(struct str key, struct str data, unsigned char ret[32])
{
	unsigned char block[BLOCK] = {0}, inner[SUM];
	SHA256_CTX sha;

	if (key.n > BLOCK) {
		SHA256_Init(&sha);
		SHA256_Update(&sha, key.p, key.n);
		SHA256_Final(block, &sha);
	} else if (key.n) {
		memcpy(block, key.p, key.n);
	}
	masked(block, 0x36, data.p, data.n, inner);
	masked(block, 0x5c, inner, SUM, ret);
	OPENSSL_cleanse(block, sizeof(block));
}

struct sign_hash {
	struct arena *arena;
	SHA256_CTX sha;
};

struct sign_hash *sign_hash_begin(struct arena *a)
{
	struct sign_hash *h = ARENA_NEW(a, struct sign_hash);

	h->arena = a;
	SHA256_Init(&h->sha);
	return h;
}

void sign_hash_add(struct sign_hash *h, struct str bytes)
{
	SHA256_Update(&h->sha, bytes.p, bytes.n);
}

void sign_hash_sum(struct sign_hash *h, unsigned char ret[32])
{
	SHA256_Final(ret, &h->sha);
}

struct str sign_hash_end(struct sign_hash *h)
{
	unsigned char sum[SUM];

	SHA256_Final(sum, &h->sha);
	return sign__hex(sum, arena_alloc(h->arena, 65));
}
