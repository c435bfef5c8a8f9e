/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/jwk.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#define MIN_BYTES 256 /* of an RSA modulus */
#define MAX_BYTES 1024
#define P256_BYTES 32

static const unsigned char *bytes(struct str s)
{
	return (const unsigned char *)s.p;
}

static BIGNUM *number(struct str s)
{
	return BN_bin2bn(bytes(s), (int)s.n, NULL);
}

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *build)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY *key = NULL;

	if (!ctx || !params || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static bool verify(EVP_PKEY *key, struct str data, const unsigned char *signature, size_t n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool good = key && ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		    EVP_DigestVerify(ctx, signature, n, bytes(data), data.n) == 1;

	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return good;
}

bool sign_rs256_verify(struct str n, struct str e, struct str data, struct str signature)
{
	if (n.n < MIN_BYTES || n.n > MAX_BYTES || e.n == 0 || e.n > 8)
		return false;
	BIGNUM *modulus = number(n), *exponent = number(e);
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (modulus && exponent && build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) &&
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent))
		key = make_key("RSA", build);
	OSSL_PARAM_BLD_free(build);
	BN_free(modulus);
	BN_free(exponent);
	return verify(key, data, bytes(signature), signature.n);
}

/* The numbers r and s as OpenSSL takes them: DER. 0 when they are none. */
static size_t to_der(struct str signature, unsigned char *to, size_t size)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = number(str_sub(signature, 0, P256_BYTES));
	BIGNUM *s = number(str_sub(signature, P256_BYTES, 2 * P256_BYTES));
	int n = 0;

	if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL;
		n = i2d_ECDSA_SIG(sig, NULL);
		n = n > 0 && (size_t)n <= size ? i2d_ECDSA_SIG(sig, &to) : 0;
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return n > 0 ? (size_t)n : 0;
}

bool sign_es256_verify(struct str x, struct str y, struct str data, struct str signature)
{
	unsigned char point[1 + 2 * P256_BYTES] = {4}, der[128]; /* uncompressed (SEC 1, 2.3.3) */

	if (x.n != P256_BYTES || y.n != P256_BYTES || signature.n != 2 * P256_BYTES)
		return false;
	memcpy(point + 1, x.p, P256_BYTES);
	memcpy(point + 1 + P256_BYTES, y.p, P256_BYTES);
	size_t n = to_der(signature, der, sizeof(der));
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (n && build && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)))
		key = make_key("EC", build);
	OSSL_PARAM_BLD_free(build);
	return verify(key, data, der, n);
}
