/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/tls.h"

#include "base/rnd.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CA_DAYS 3650L
#define SERVER_DAYS 825L /* the longest that common clients accept */

struct pair {
	X509 *cert;
	EVP_PKEY *key;
};

static int failed(struct err *err, const char *what)
{
	return err_set(err, ERR_APPIA_0500, "certificate: %s", what);
}

static void pair_done(struct pair *pair)
{
	X509_free(pair->cert);
	EVP_PKEY_free(pair->key);
}

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	bool ok = ext && X509_add_ext(cert, ext, -1);

	X509_EXTENSION_free(ext);
	return ok;
}

static bool set_identity(X509 *cert, const char *name, long days)
{
	unsigned char serial[16];
	X509_NAME *subject = X509_get_subject_name(cert);

	rnd_bytes(serial, sizeof(serial));
	serial[0] &= 0x7f;
	BIGNUM *bn = BN_bin2bn(serial, sizeof(serial), NULL);
	bool ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert)) && X509_set_version(cert, 2) &&
	          X509_gmtime_adj(X509_getm_notBefore(cert), -300) &&
	          X509_gmtime_adj(X509_getm_notAfter(cert), days * 86400L) &&
	          X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);

	BN_free(bn);
	return ok;
}

/* issuer NULL: signs itself, as an authority. alt: subject alternative names of a server. */
static bool make(const char *name, const struct pair *issuer, const char *alt, struct pair *ret)
{
	struct pair p = {X509_new(), EVP_EC_gen("P-256")};
	bool ok = p.cert && p.key && set_identity(p.cert, name, issuer ? SERVER_DAYS : CA_DAYS) &&
	          X509_set_pubkey(p.cert, p.key);
	X509 *by = issuer ? issuer->cert : p.cert;

	ok = ok && X509_set_issuer_name(p.cert, X509_get_subject_name(by)) &&
	     add_extension(p.cert, by, NID_subject_key_identifier, "hash") &&
	     add_extension(p.cert, by, NID_basic_constraints, issuer ? "critical,CA:FALSE" : "critical,CA:TRUE,pathlen:0") &&
	     add_extension(p.cert, by, NID_key_usage,
	                   issuer ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign") &&
	     (!issuer || (add_extension(p.cert, by, NID_ext_key_usage, "serverAuth") &&
	                  add_extension(p.cert, by, NID_authority_key_identifier, "keyid") &&
	                  add_extension(p.cert, by, NID_subject_alt_name, alt)));
	ok = ok && X509_sign(p.cert, issuer ? issuer->key : p.key, EVP_sha256());
	if (!ok) {
		pair_done(&p);
		return false;
	}
	*ret = p;
	return true;
}

static FILE *create(const char *dir, const char *name, mode_t mode)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	return fd < 0 ? NULL : fdopen(fd, "w");
}

static bool finish(FILE *f, bool ok)
{
	ok = ok && fflush(f) == 0 && fsync(fileno(f)) == 0;
	return fclose(f) == 0 && ok;
}

static bool write_cert(const char *dir, const char *name, X509 *cert, X509 *chain)
{
	FILE *f = create(dir, name, 0644);

	return f && finish(f, PEM_write_X509(f, cert) && (!chain || PEM_write_X509(f, chain)));
}

static bool write_key(const char *dir, const char *name, EVP_PKEY *key)
{
	FILE *f = create(dir, name, 0600);

	return f && finish(f, PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
}

static FILE *open_file(const char *dir, const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return fopen(path, "re");
}

static bool exists(const char *dir, const char *name)
{
	FILE *f = open_file(dir, name);

	if (f)
		fclose(f);
	return f != NULL;
}

static bool read_pair(const char *dir, struct pair *ret)
{
	FILE *cert = open_file(dir, "ca.pem"), *key = open_file(dir, "ca.key");

	*ret = (struct pair){NULL, NULL};
	if (cert && key) {
		ret->cert = PEM_read_X509(cert, NULL, NULL, NULL);
		ret->key = PEM_read_PrivateKey(key, NULL, NULL, NULL);
	}
	if (cert)
		fclose(cert);
	if (key)
		fclose(key);
	return ret->cert && ret->key;
}

int tls_ensure(const char *dir, const char *domain, struct err *err)
{
	char alt[1024], host[256] = "localhost";
	struct pair ca = {NULL, NULL}, server = {NULL, NULL};
	int rc = 0;

	if (exists(dir, "server.pem") && exists(dir, "server.key"))
		return 0;
	if (!exists(dir, "ca.pem")) {
		if (!make("Appia local authority", NULL, NULL, &ca) || !write_key(dir, "ca.key", ca.key) ||
		    !write_cert(dir, "ca.pem", ca.cert, NULL))
			rc = failed(err, "cannot make the local authority");
	} else if (!read_pair(dir, &ca)) {
		rc = failed(err, "ca.pem or ca.key cannot be read");
	}
	gethostname(host, sizeof(host) - 1);
	snprintf(alt, sizeof(alt), "DNS:localhost,DNS:%s,DNS:%s,DNS:*.%s,IP:127.0.0.1,IP:::1", host, domain, domain);
	if (rc == 0 && (!make(host, &ca, alt, &server) || !write_key(dir, "server.key", server.key) ||
	                !write_cert(dir, "server.pem", server.cert, ca.cert)))
		rc = failed(err, "cannot make the server certificate");
	pair_done(&ca);
	pair_done(&server);
	return rc;
}
