/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/cert.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#define MAX_CHAIN 10
#define MAX_LIST 200 /* names shown of one kind */

static BIO *open_text(struct str pem)
{
	return pem.n && pem.n <= SIGN_CERT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
}

/* Certificates are not sealed; one that asks for a pass phrase is refused. */
static int no_pass(char *buf, int size, int writing, void *asked)
{
	if (asked)
		*(bool *)asked = true;
	return -1;
}

static X509 *read_first(struct str pem)
{
	BIO *bio = open_text(pem);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, no_pass, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	return x;
}

static struct str text_of(struct arena *a, const ASN1_STRING *s)
{
	unsigned char *utf8 = NULL;
	int n = ASN1_STRING_to_UTF8(&utf8, s);
	/* A NUL inside would end the text early for whoever compares it as a C string. */
	struct str text =
		n >= 0 && !memchr(utf8, 0, (size_t)n) ? arena_str(a, (struct str){(char *)utf8, (size_t)n}) : STR_NONE;

	OPENSSL_free(utf8);
	return text;
}

static void add(struct str_array *list, struct str s)
{
	if (s.n && list->n < MAX_LIST)
		list->v[list->n++] = s;
}

static struct str_array names(struct arena *a, X509_NAME *from, int nid)
{
	struct str_array list = {ARENA_ARRAY(a, struct str, MAX_LIST), 0};

	for (int at = X509_NAME_get_index_by_NID(from, nid, -1); at >= 0;
	     at = X509_NAME_get_index_by_NID(from, nid, at))
		add(&list, text_of(a, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(from, at))));
	return list;
}

static struct str address(struct arena *a, const ASN1_OCTET_STRING *ip)
{
	const unsigned char *b = ASN1_STRING_get0_data(ip);

	if (ASN1_STRING_length(ip) == 4)
		return arena_fmt(a, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	if (ASN1_STRING_length(ip) != 16)
		return STR_NONE;
	char text[40];
	int n = 0;

	for (int i = 0; i < 16; i += 2)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%x", i ? ":" : "",
			      (unsigned)(b[i] << 8 | b[i + 1]));
	return arena_str(a, str_of(text));
}

static struct str_array alt_names(struct arena *a, const X509 *x)
{
	struct str_array list = {ARENA_ARRAY(a, struct str, MAX_LIST), 0};
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(all, i);

		if (name->type == GEN_DNS)
			add(&list, text_of(a, name->d.dNSName));
		else if (name->type == GEN_IPADD)
			add(&list, address(a, name->d.iPAddress));
	}
	GENERAL_NAMES_free(all);
	return list;
}

static bool time_of(const ASN1_TIME *t, int64_t *ret_ms)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*ret_ms = (int64_t)timegm(&tm) * 1000;
	return true;
}

static struct str serial(struct arena *a, const X509 *x)
{
	const ASN1_INTEGER *number_der = X509_get0_serialNumber(x);
	/* RFC 5280 section 4.1.2.2 allows 20; converting a giant to decimal would take for ever. */
	BIGNUM *number = ASN1_STRING_length(number_der) <= 64 ? ASN1_INTEGER_to_BN(number_der, NULL) : NULL;
	char *text = number ? BN_bn2dec(number) : NULL;
	struct str s = text ? arena_str(a, str_of(text)) : STR_NONE;

	OPENSSL_free(text);
	BN_free(number);
	return s;
}

static struct str signature(struct arena *a, const X509 *x)
{
	static const struct {
		int nid;
		const char *name;
	} known[] = {
		{NID_sha1WithRSAEncryption, "SHA1-RSA"},     {NID_sha256WithRSAEncryption, "SHA256-RSA"},
		{NID_sha384WithRSAEncryption, "SHA384-RSA"}, {NID_sha512WithRSAEncryption, "SHA512-RSA"},
		{NID_ecdsa_with_SHA256, "ECDSA-SHA256"},     {NID_ecdsa_with_SHA384, "ECDSA-SHA384"},
		{NID_ecdsa_with_SHA512, "ECDSA-SHA512"},     {NID_ED25519, "Ed25519"},
	};
	int nid = X509_get_signature_nid(x);

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].nid == nid)
			return str_of(known[i].name);
	return arena_str(a, str_of(OBJ_nid2sn(nid)));
}

static struct str key_type(X509 *x)
{
	const EVP_PKEY *key = X509_get0_pubkey(x);

	switch (key ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		return STR("RSA");
	case EVP_PKEY_SM2:
		return STR("SM2");
	case EVP_PKEY_EC:
		return STR("ECC");
	default:
		return STR_NONE;
	}
}

static bool describe(struct arena *a, X509 *x, struct sign_cert *ret)
{
	X509_NAME *subject = X509_get_subject_name(x), *issuer = X509_get_issuer_name(x);
	struct str_array common = names(a, subject, NID_commonName);
	struct sign_cert out = {
		.version = X509_get_version(x) + 1,
		.serial_number = serial(a, x),
		.signature_algorithm = signature(a, x),
		.key_type = key_type(x),
		.common_name = common.n ? common.v[common.n - 1] : STR_NONE, /* the most specific one */
		.san = alt_names(a, x),
		.organization = names(a, subject, NID_organizationName),
		.organizational_unit = names(a, subject, NID_organizationalUnitName),
		.locality = names(a, subject, NID_localityName),
		.state = names(a, subject, NID_stateOrProvinceName),
		.country = names(a, subject, NID_countryName),
		.issuer = names(a, issuer, NID_organizationName),
	};

	if (out.issuer.n == 0)
		out.issuer = names(a, issuer, NID_commonName);
	if (!time_of(X509_get0_notBefore(x), &out.not_before_ms) || !time_of(X509_get0_notAfter(x), &out.not_after_ms))
		return false;
	*ret = out;
	return true;
}

bool sign_cert_read(struct arena *a, struct str pem, struct sign_cert *ret)
{
	X509 *x = read_first(pem);
	bool ok = x && describe(a, x, ret);

	X509_free(x);
	ERR_clear_error();
	return ok;
}

/* Each further certificate has issued, and signed, the one before it. */
static enum sign_cert_fault check_chain(BIO *bio, X509 *first)
{
	enum sign_cert_fault fault = SIGN_CERT_OK;
	X509 *below = first, *next = NULL;

	X509_up_ref(first);
	for (int i = 0; fault == SIGN_CERT_OK && i < MAX_CHAIN; i++) {
		next = PEM_read_bio_X509(bio, NULL, no_pass, NULL);
		if (!next)
			break;
		if (X509_check_issued(next, below) != X509_V_OK || X509_verify(below, X509_get0_pubkey(next)) != 1)
			fault = SIGN_CERT_BAD_CHAIN;
		X509_free(below);
		below = next;
	}
	/* What ended the walk has to be the end of the text. */
	if (fault == SIGN_CERT_OK && (next || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE))
		fault = SIGN_CERT_BAD;
	X509_free(below);
	return fault;
}

static enum sign_cert_fault check_key(X509 *x, struct str key_pem)
{
	bool asked = false;
	BIO *bio = open_text(key_pem);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_pass, &asked) : NULL;
	enum sign_cert_fault fault = asked                                 ? SIGN_CERT_KEY_ENCRYPTED
				     : !key                                ? SIGN_CERT_BAD
				     : X509_check_private_key(x, key) == 1 ? SIGN_CERT_OK
									   : SIGN_CERT_KEY_MISMATCH;

	EVP_PKEY_free(key);
	BIO_free(bio);
	return fault;
}

enum sign_cert_fault sign_cert_check(struct str pem, struct str key_pem)
{
	BIO *bio = open_text(pem);
	X509 *x = bio ? PEM_read_bio_X509(bio, NULL, no_pass, NULL) : NULL;
	enum sign_cert_fault fault = x ? check_chain(bio, x) : SIGN_CERT_BAD;

	if (fault == SIGN_CERT_OK)
		fault = check_key(x, key_pem);
	X509_free(x);
	BIO_free(bio);
	ERR_clear_error();
	return fault;
}

bool sign_cert_is_for(struct str pem, struct str host)
{
	X509 *x = read_first(pem);
	bool yes = x && host.n && X509_check_host(x, host.p, host.n, 0, NULL) == 1;

	X509_free(x);
	ERR_clear_error();
	return yes;
}
