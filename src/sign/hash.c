/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/sign.h"

#include "base/mem.h"
#include "sign/sign_priv.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <pthread.h>
#include <stdlib.h>

/* Fetching an algorithm and allocating a context cost more than hashing a request's head, so every thread keeps its
 * own contexts until it ends. */
struct contexts {
	EVP_MD_CTX *md;
	EVP_MAC_CTX *mac;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t contexts_key;
static EVP_MD *sha256;
static EVP_MAC *hmac;

/* The library refusing SHA-256 means out of memory or a broken installation: there is no going on. */
static void must(bool ok)
{
	if (!ok)
		abort();
}

static void contexts_free(void *p)
{
	struct contexts *c = p;

	EVP_MD_CTX_free(c->md);
	EVP_MAC_CTX_free(c->mac);
	free(c);
}

static void init(void)
{
	sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	must(sha256 && hmac && pthread_key_create(&contexts_key, contexts_free) == 0);
}

static struct contexts *contexts(void)
{
	pthread_once(&once, init);
	struct contexts *c = pthread_getspecific(contexts_key);

	if (c)
		return c;
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
			       OSSL_PARAM_construct_end()};

	c = mem_zalloc(sizeof(*c));
	c->md = EVP_MD_CTX_new();
	c->mac = EVP_MAC_CTX_new(hmac);
	must(c->md && c->mac && EVP_MAC_CTX_set_params(c->mac, params) == 1);
	must(pthread_setspecific(contexts_key, c) == 0);
	return c;
}

struct str sign__hex(const unsigned char sum[32], char ret[65])
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < 32; i++) {
		ret[2 * i] = digits[sum[i] >> 4];
		ret[2 * i + 1] = digits[sum[i] & 15];
	}
	ret[64] = '\0';
	return (struct str){ret, 64};
}

struct str sign__sha256_hex(struct str bytes, char ret[65])
{
	EVP_MD_CTX *md = contexts()->md;
	unsigned char sum[32];

	must(EVP_DigestInit_ex2(md, sha256, NULL) == 1 && EVP_DigestUpdate(md, bytes.p, bytes.n) == 1 &&
	     EVP_DigestFinal_ex(md, sum, NULL) == 1);
	return sign__hex(sum, ret);
}

struct str sign_sha256_hex(struct arena *a, struct str bytes)
{
	return sign__sha256_hex(bytes, arena_alloc(a, 65));
}

void sign_hmac_sha256(struct str key, struct str data, unsigned char ret[32])
{
	EVP_MAC_CTX *mac = contexts()->mac;
	/* A NULL key would mean "the one before". */
	const unsigned char *k = (const unsigned char *)(key.n ? key.p : "");
	size_t n;

	must(EVP_MAC_init(mac, k, key.n, NULL) == 1 &&
	     EVP_MAC_update(mac, (const unsigned char *)data.p, data.n) == 1 && EVP_MAC_final(mac, ret, &n, 32) == 1);
}

struct sign_hash {
	struct arena *arena;
	EVP_MD_CTX *md;
};

static void hash_free(void *arg)
{
	EVP_MD_CTX_free(arg);
}

struct sign_hash *sign_hash_begin(struct arena *a)
{
	pthread_once(&once, init);
	struct sign_hash *h = ARENA_NEW(a, struct sign_hash);

	h->arena = a;
	h->md = EVP_MD_CTX_new();
	must(h->md && EVP_DigestInit_ex2(h->md, sha256, NULL) == 1);
	arena_cleanup(a, hash_free, h->md);
	return h;
}

void sign_hash_add(struct sign_hash *h, struct str bytes)
{
	must(EVP_DigestUpdate(h->md, bytes.p, bytes.n) == 1);
}

struct str sign_hash_end(struct sign_hash *h)
{
	unsigned char sum[32];

	must(EVP_DigestFinal_ex(h->md, sum, NULL) == 1);
	return sign__hex(sum, arena_alloc(h->arena, 65));
}
