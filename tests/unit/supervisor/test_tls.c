/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "supervisor/tls.h"

#include <fcntl.h>
#include <ftw.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char dir[64];
static struct err err;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static int set_up(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/appia-tls.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static X509 *read_cert(const char *name, int which)
{
	FILE *f = fopen(in_dir(name), "re");
	X509 *cert = NULL;

	assert_non_null(f);
	for (int i = 0; i <= which; i++) {
		X509_free(cert);
		cert = PEM_read_X509(f, NULL, NULL, NULL);
	}
	fclose(f);
	return cert;
}

/* Verifies as a client does that knows only the authority and wants to reach host. */
static int verify(const char *host, bool ip)
{
	X509_STORE *trusted = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509 *ca = read_cert("ca.pem", 0), *server = read_cert("server.pem", 0);

	X509_STORE_add_cert(trusted, ca);
	X509_STORE_CTX_init(ctx, trusted, server, NULL);
	X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
	X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(ctx);

	if (ip)
		X509_VERIFY_PARAM_set1_ip_asc(p, host);
	else
		X509_VERIFY_PARAM_set1_host(p, host, 0);
	X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_X509_STRICT);
	int rc = X509_verify_cert(ctx) == 1 ? 0 : X509_STORE_CTX_get_error(ctx);

	X509_STORE_CTX_free(ctx);
	X509_STORE_free(trusted);
	X509_free(ca);
	X509_free(server);
	return rc;
}

static void test_chain(void **state)
{
	assert_int_equal(tls_ensure(dir, "apic.local", &err), 0);
	assert_int_equal(verify("localhost", false), X509_V_OK);
	assert_int_equal(verify("group.apic.local", false), X509_V_OK);
	assert_int_equal(verify("127.0.0.1", true), X509_V_OK);
	assert_int_equal(verify("::1", true), X509_V_OK);
	assert_int_equal(verify("example.com", false), X509_V_ERR_HOSTNAME_MISMATCH);
	/* The file that the front door serves has the whole chain. */
	X509 *ca = read_cert("ca.pem", 0), *second = read_cert("server.pem", 1);

	assert_non_null(second);
	assert_int_equal(X509_cmp(ca, second), 0);
	X509_free(ca);
	X509_free(second);
}

static void test_keys(void **state)
{
	struct stat st;

	assert_int_equal(tls_ensure(dir, "apic.local", &err), 0);
	assert_int_equal(stat(in_dir("server.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(in_dir("ca.key"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	FILE *f = fopen(in_dir("server.key"), "re");
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	X509 *cert = read_cert("server.pem", 0);

	fclose(f);
	assert_int_equal(X509_check_private_key(cert, key), 1);
	EVP_PKEY_free(key);
	X509_free(cert);
}

static void put(const char *name, const char *text, mode_t mode)
{
	int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, mode);

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static bool holds(const char *name, const char *text)
{
	char buf[256] = "";
	int fd = open(in_dir(name), O_RDONLY);

	assert_true(fd >= 0 && read(fd, buf, sizeof(buf) - 1) >= 0);
	close(fd);
	return strcmp(buf, text) == 0;
}

/* What a user has put there stays. */
static void test_own_files(void **state)
{
	put("server.pem", "mine", 0600);
	assert_int_equal(tls_ensure(dir, "apic.local", &err), ERR_APPIA_0500);
	assert_true(holds("server.pem", "mine"));
	put("server.key", "mine too", 0600);
	assert_int_equal(tls_ensure(dir, "apic.local", &err), 0);
	assert_true(holds("server.pem", "mine") && holds("server.key", "mine too"));
}

/* A crash after the first of the files, and one in the middle of one. */
static void test_crash(void **state)
{
	assert_int_equal(tls_ensure(dir, "apic.local", &err), 0);
	unlink(in_dir("server.pem"));
	put("server.pem.new", "half a", 0666);
	put("server.key.new", "half a", 0666);
	assert_int_equal(tls_ensure(dir, "apic.local", &err), 0);
	assert_int_equal(verify("localhost", false), X509_V_OK);
	test_keys(state);
	unlink(in_dir("server.pem"));
	unlink(in_dir("ca.pem"));
	assert_int_equal(tls_ensure(dir, "apic.local", &err), 0);
	assert_int_equal(verify("localhost", false), X509_V_OK);
	unlink(in_dir("server.pem"));
	put("ca.key", "", 0600);
	assert_int_equal(tls_ensure(dir, "apic.local", &err), ERR_APPIA_0500);
}

static int64_t days_left(void)
{
	X509 *cert = read_cert("server.pem", 0);
	int days = 0, seconds = 0;

	assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)), 1);
	X509_free(cert);
	return days;
}

/* Signs the server's certificate anew, so that it ends soon. */
static void shorten(void)
{
	FILE *f = fopen(in_dir("ca.key"), "re");
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	X509 *cert = read_cert("server.pem", 0);

	fclose(f);
	X509_gmtime_adj(X509_getm_notAfter(cert), 10 * 86400L);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	f = fopen(in_dir("server.pem"), "we");
	assert_int_equal(PEM_write_X509(f, cert), 1);
	fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void test_renewal(void **state)
{
	assert_int_equal(tls_ensure(dir, "apic.local", &err), 0);
	assert_true(days_left() > 800);
	shorten();
	assert_true(days_left() < 11);
	assert_int_equal(tls_ensure(dir, "apic.local", &err), 0);
	assert_true(days_left() > 800);
	assert_int_equal(verify("localhost", false), X509_V_OK);
	test_keys(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_chain, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_keys, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_own_files, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_crash, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_renewal, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
