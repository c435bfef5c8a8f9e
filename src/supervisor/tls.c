/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/tls.h"

#include "base/clock.h"
#include "base/rnd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CA_DAYS 3650L
#define SERVER_DAYS 825L /* the longest that common clients accept */
#define RENEW_DAYS 60L   /* a certificate of ours that ends sooner is made anew at the start */
#define AUTHORITY "Appia local authority"
#define COMMON_NAME_MAX 64 /* RFC 5280, ub-common-name */

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
	     add_extension(p.cert, by, NID_basic_constraints,
			   issuer ? "critical,CA:FALSE" : "critical,CA:TRUE,pathlen:0") &&
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

static bool write_pem(FILE *f, X509 *cert, X509 *chain, EVP_PKEY *key)
{
	bool ok = !cert || PEM_write_X509(f, cert);

	ok = ok && (!chain || PEM_write_X509(f, chain));
	ok = ok && (!key || PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL));
	ok = ok && fflush(f) == 0 && fsync(fileno(f)) == 0;
	return fclose(f) == 0 && ok;
}

/* Under another name first: a crash leaves no half of a file, which would count as a user's own. */
static bool write_file(const char *dir, const char *name, mode_t mode, X509 *cert, X509 *chain, EVP_PKEY *key)
{
	char path[PATH_MAX], tmp[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name),
	    m = snprintf(tmp, sizeof(tmp), "%s/%s.new", dir, name);

	if (n < 0 || m < 0 || (size_t)m >= sizeof(tmp))
		return false;
	unlink(tmp);
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

	if (!f && fd >= 0)
		close(fd);
	if (f && write_pem(f, cert, chain, key) && rename(tmp, path) == 0)
		return true;
	unlink(tmp);
	return false;
}

static bool write_cert(const char *dir, const char *name, X509 *cert, X509 *chain)
{
	return write_file(dir, name, 0644, cert, chain, NULL);
}

static bool write_key(const char *dir, const char *name, EVP_PKEY *key)
{
	return write_file(dir, name, 0600, NULL, NULL, key);
}

static FILE *open_file(const char *dir, const char *name)
{
	char path[PATH_MAX];

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

static bool remove_file(const char *dir, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return unlink(path) == 0;
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

/* Made by us, and about to end. What a user has put there is the user's to renew. */
static bool must_renew(const char *dir)
{
	char name[64] = "";
	FILE *f = open_file(dir, "server.pem");
	X509 *cert = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	time_t limit = (time_t)(clock_now_ms() / 1000) + RENEW_DAYS * 86400;

	if (f)
		fclose(f);
	if (cert)
		X509_NAME_get_text_by_NID(X509_get_issuer_name(cert), NID_commonName, name, sizeof(name));
	bool renew = cert && strcmp(name, AUTHORITY) == 0 && X509_cmp_time(X509_get0_notAfter(cert), &limit) < 0;

	X509_free(cert);
	return renew;
}

static int ensure_authority(const char *dir, struct pair *ret, struct err *err)
{
	if (exists(dir, "ca.pem"))
		return read_pair(dir, ret) ? 0 : failed(err, "ca.pem or ca.key cannot be read");
	if (make(AUTHORITY, NULL, NULL, ret) && write_key(dir, "ca.key", ret->key) &&
	    write_cert(dir, "ca.pem", ret->cert, NULL))
		return 0;
	return failed(err, "cannot make the local authority");
}

/* The host's own name where it can stand in a certificate. */
static void host_name(char *to, size_t size)
{
	if (gethostname(to, size) == 0 && memchr(to, '\0', size) && *to && strlen(to) <= COMMON_NAME_MAX &&
	    strspn(to, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == strlen(to))
		return;
	snprintf(to, size, "localhost");
}

int tls_ensure(const char *dir, const char *domain, struct err *err)
{
	char alt[1024], host[256];
	struct pair ca = {NULL, NULL}, server = {NULL, NULL};
	bool cert = exists(dir, "server.pem"), key = exists(dir, "server.key");

	/* Our own key is written before our certificate, so this is no rest of a crash. */
	if (cert && !key)
		return failed(err, "server.pem is there, but no server.key");
	if (cert && !must_renew(dir))
		return 0;
	int rc = ensure_authority(dir, &ca, err);

	host_name(host, sizeof(host));
	snprintf(alt, sizeof(alt), "DNS:localhost,DNS:%s,DNS:%s,DNS:*.%s,IP:127.0.0.1,IP:::1", host, domain, domain);
	/* Between the two files the old certificate must not meet the new key: an interrupted start begins anew. */
	if (rc == 0 && cert && !remove_file(dir, "server.pem"))
		rc = failed(err, "cannot replace server.pem");
	if (rc == 0 && (!make(host, &ca, alt, &server) || !write_key(dir, "server.key", server.key) ||
	                !write_cert(dir, "server.pem", server.cert, ca.cert)))
		rc = failed(err, "cannot make the server certificate");
	pair_done(&ca);
	pair_done(&server);
	return rc;
}
