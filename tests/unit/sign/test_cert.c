/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "sign/cert.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

static struct arena *arena;

static int setup(void **state)
{
	arena = arena_new(1 << 26);
	return 0;
}

static int teardown(void **state)
{
	arena_free(arena);
	return 0;
}

static struct str take(BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	struct str s = arena_str(arena, (struct str){p, (size_t)n});

	BIO_free(bio);
	return s;
}

static struct str cert_pem(X509 *x)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_X509(bio, x), 1);
	return take(bio);
}

static struct str key_pem(EVP_PKEY *key, const char *pass)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, pass ? EVP_aes_256_cbc() : NULL, pass,
						       pass ? (int)strlen(pass) : 0, NULL, NULL),
			 1);
	return take(bio);
}

static void name(X509_NAME *to, const char *field, const char *value)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(to, field, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0),
			 1);
}

/* issuer NULL: signed by itself. */
static X509 *make(const char *common, const char *alt, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *x = X509_new();
	X509V3_CTX ctx;

	X509_set_version(x, 2);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), 1234567890123456789u);
	ASN1_TIME_set(X509_getm_notBefore(x), 1700000000);
	ASN1_TIME_set(X509_getm_notAfter(x), 4000000000);
	name(X509_get_subject_name(x), "O", "Example Org");
	name(X509_get_subject_name(x), "OU", "Unit 1");
	name(X509_get_subject_name(x), "OU", "Einheit \xc3\xa4");
	name(X509_get_subject_name(x), "CN", common);
	X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer : x));
	X509_set_pubkey(x, key);
	X509V3_set_ctx(&ctx, issuer ? issuer : x, x, NULL, NULL, 0);
	if (alt) {
		X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, alt);

		assert_non_null(e);
		X509_add_ext(x, e, -1);
		X509_EXTENSION_free(e);
	}
	assert_int_not_equal(X509_sign(x, issuer ? issuer_key : key, EVP_sha256()), 0);
	return x;
}

static void assert_str(struct str got, const char *want)
{
	if (!str_is(got, want))
		fail_msg("\"%.*s\" is not \"%s\"", STR_FMT(got), want);
}

static void test_read(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = make("www.example.com",
		       "DNS:www.example.com,DNS:*.example.org,IP:10.1.2.3,IP:2001:db8::1,email:a@b.c", key, NULL, NULL);
	struct str pem = cert_pem(x);
	struct sign_cert cert;

	assert_true(sign_cert_read(arena, pem, &cert));
	assert_int_equal(cert.version, 3);
	assert_str(cert.serial_number, "1234567890123456789");
	assert_str(cert.signature_algorithm, "ECDSA-SHA256");
	assert_str(cert.key_type, "ECC");
	assert_str(cert.common_name, "www.example.com");
	assert_int_equal(cert.san.n, 4);
	assert_str(cert.san.v[1], "*.example.org");
	assert_str(cert.san.v[2], "10.1.2.3");
	assert_str(cert.san.v[3], "2001:db8:0:0:0:0:0:1");
	assert_int_equal(cert.organizational_unit.n, 2);
	assert_str(cert.organizational_unit.v[1], "Einheit \xc3\xa4");
	assert_int_equal(cert.country.n, 0);
	assert_str(cert.issuer.v[0], "Example Org");
	assert_int_equal(cert.not_before_ms, 1700000000000);
	assert_int_equal(cert.not_after_ms, 4000000000000);
	assert_true(sign_cert_is_for(pem, STR("www.example.com")));
	assert_true(sign_cert_is_for(pem, STR("WWW.EXAMPLE.com")));
	assert_true(sign_cert_is_for(pem, STR("any.example.org")));
	assert_false(sign_cert_is_for(pem, STR("a.b.example.org")));
	assert_false(sign_cert_is_for(pem, STR("example.com")));
	assert_false(sign_cert_is_for(pem, STR("")));
	assert_false(sign_cert_is_for(pem, STR("www.example.com\0.evil.example")));
	X509_free(x);
	EVP_PKEY_free(key);
}

static struct str join(struct str a, struct str b)
{
	return arena_fmt(arena, "%.*s%.*s", STR_FMT(a), STR_FMT(b));
}

static void test_check(void **state)
{
	EVP_PKEY *ca_key = EVP_RSA_gen(2048), *key = EVP_RSA_gen(2048);
	X509 *ca = make("Root", NULL, ca_key, NULL, NULL), *fake = make("Root", NULL, key, NULL, NULL);
	X509 *x = make("www.example.com", "DNS:www.example.com", key, ca, ca_key);
	struct str leaf = cert_pem(x), root = cert_pem(ca), plain = key_pem(key, NULL);

	assert_int_equal(sign_cert_check(leaf, plain), SIGN_CERT_OK);
	assert_int_equal(sign_cert_check(join(leaf, root), plain), SIGN_CERT_OK);
	assert_int_equal(sign_cert_check(join(join(STR("# a comment\n"), leaf), STR("\n\n")), plain), SIGN_CERT_OK);
	assert_int_equal(sign_cert_check(join(leaf, leaf), plain), SIGN_CERT_BAD_CHAIN);
	/* The same names, another key: only the signature tells. */
	assert_int_equal(sign_cert_check(join(leaf, cert_pem(fake)), plain), SIGN_CERT_BAD_CHAIN);
	assert_int_equal(sign_cert_check(leaf, key_pem(ca_key, NULL)), SIGN_CERT_KEY_MISMATCH);
	assert_int_equal(sign_cert_check(leaf, key_pem(key, "secret")), SIGN_CERT_KEY_ENCRYPTED);
	assert_int_equal(sign_cert_check(leaf, leaf), SIGN_CERT_BAD);
	assert_int_equal(sign_cert_check(plain, plain), SIGN_CERT_BAD);
	assert_int_equal(sign_cert_check(join(leaf, str_sub(root, 0, root.n / 2)), plain), SIGN_CERT_BAD);
	X509_free(x);
	X509_free(ca);
	X509_free(fake);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
}

static void test_damaged(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = make("www.example.com", "DNS:www.example.com", key, NULL, NULL);
	struct str pem = cert_pem(x), plain = key_pem(key, NULL);
	struct sign_cert cert;

	for (size_t n = 0; n + 2 < pem.n; n++)
		assert_false(sign_cert_read(arena, str_sub(pem, 0, n), &cert));
	for (size_t n = 0; n + 2 < plain.n; n++)
		assert_int_equal(sign_cert_check(pem, str_sub(plain, 0, n)), SIGN_CERT_BAD);
	/* Changed bytes never crash, and never fit the key in another form than they did. */
	for (size_t i = 0; i < pem.n; i++) {
		char *copy = arena_cstr(arena, pem);

		copy[i] = (char)(copy[i] ^ 1);
		sign_cert_read(arena, (struct str){copy, pem.n}, &cert);
		sign_cert_check((struct str){copy, pem.n}, plain);
	}
	char *huge = arena_alloc(arena, SIGN_CERT_MAX + 1);

	memset(huge, '\n', SIGN_CERT_MAX + 1);
	memcpy(huge, pem.p, pem.n);
	assert_true(sign_cert_read(arena, (struct str){huge, SIGN_CERT_MAX}, &cert));
	assert_false(sign_cert_read(arena, (struct str){huge, SIGN_CERT_MAX + 1}, &cert));
	assert_false(sign_cert_read(arena, STR_NONE, &cert));
	X509_free(x);
	EVP_PKEY_free(key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
