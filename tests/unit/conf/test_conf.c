/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "conf/conf_priv.h"

#include "base/mem.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char home[64];

static int make_home(void **state)
{
	snprintf(home, sizeof(home), "/tmp/appia-conf-XXXXXX");
	assert_non_null(mkdtemp(home));
	return 0;
}

static const char *file(void)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/appia.yaml", home);
	return path;
}

static int drop_home(void **state)
{
	unlink(file());
	rmdir(home);
	return 0;
}

static void put(const char *text)
{
	FILE *f = fopen(file(), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static struct conf *load(void)
{
	struct conf *conf = NULL;
	struct err err = {0};

	if (conf_load(home, &conf, &err) < 0)
		print_error("%s\n", err.text);
	assert_non_null(conf);
	return conf;
}

/* The load fails with a text that contains each of the parts. */
static void refuse(const char *part, const char *second)
{
	struct conf *conf = NULL;
	struct err err = {0};

	assert_int_equal(conf_load(home, &conf, &err), ERR_APPIA_0400);
	assert_null(conf);
	if (!strstr(err.text, part) || (second && !strstr(err.text, second)))
		fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err.text, part, second ? second : "");
}

static void refuse_text(const char *text, const char *part, const char *second)
{
	put(text);
	refuse(part, second);
}

static void test_defaults(void **state)
{
	struct conf *conf = load();

	assert_int_equal(conf_int(conf, CONF_MANAGEMENT_HTTP_PORT), 8080);
	assert_int_equal(conf_int(conf, CONF_GATEWAY_MAX_BODY), 12 << 20);
	assert_int_equal(conf_int(conf, CONF_IAM_TOKEN_LIFETIME), 24 * 3600 * 1000);
	assert_int_equal(conf_int(conf, CONF_IAM_LOCK_FOR), 15 * 60 * 1000);
	assert_true(str_is(conf_str(conf, CONF_GATEWAY_DOMAIN), "apic.local"));
	assert_true(conf_str(conf, CONF_STORE_URL).p && conf_str(conf, CONF_STORE_URL).n == 0);
	assert_true(conf_bool(conf, CONF_WORKER_ALLOW_PRIVATE_NETWORKS));
	assert_true(conf_is_default(conf, CONF_GATEWAY_DOMAIN));
	assert_true(str_is(conf_home(conf), home));
	conf_free(conf);
	conf_free(NULL);
}

static void test_file(void **state)
{
	put("# comment\ngateway:\n  http_port: 80   # low\n  domain: \"a b\"\n  max_body: 1G\nlog: {level: debug}\n"
	    "mqs:\n  enabled: No\n  auto_create: \"true\"\niam:\n  lock_for: 90s\nstore:\nmanagement: ~\nregion:\n  "
	    "name:\n");
	struct conf *conf = load();

	assert_int_equal(conf_int(conf, CONF_GATEWAY_HTTP_PORT), 80);
	assert_false(conf_is_default(conf, CONF_GATEWAY_HTTP_PORT));
	assert_int_equal(conf_int(conf, CONF_GATEWAY_HTTPS_PORT), 9443);
	assert_true(str_is(conf_str(conf, CONF_GATEWAY_DOMAIN), "a b"));
	assert_true(conf_int(conf, CONF_GATEWAY_MAX_BODY) == 1 << 30);
	assert_true(str_is(conf_str(conf, CONF_LOG_LEVEL), "debug"));
	assert_false(conf_bool(conf, CONF_MQS_ENABLED));
	assert_true(conf_bool(conf, CONF_MQS_AUTO_CREATE));
	assert_int_equal(conf_int(conf, CONF_IAM_LOCK_FOR), 90000);
	assert_true(str_is(conf_str(conf, CONF_REGION_NAME), "local"));
	conf_free(conf);
}

static void test_empty_files(void **state)
{
	static const char *const texts[] = {"", "\n\n", "# only words\n", "---\n", "~\n", "{}\n", "\xef\xbb\xbflog:\n"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		put(texts[i]);
		conf_free(load());
	}
}

static void test_bad_files(void **state)
{
	refuse_text("gateway:\n  htp_port: 80\n", "line 2", "the nearest is \"http_port\"");
	refuse_text("\n\ngatway:\n  http_port: 80\n", "line 3", "the nearest is \"gateway\"");
	refuse_text("gateway:\n  http_port: 80\n  http_port: 81\n", "line 3", "second time");
	refuse_text("log:\n  level: info\nlog:\n  level: info\n", "line 3", "second time");
	refuse_text("gateway: 80\n", "line 1", "must hold keys");
	refuse_text("gateway: \"\"\n", "line 1", "must hold keys");
	refuse_text("gateway:\n  http_port: [80]\n", "line 2", "lists");
	refuse_text("gateway:\n  http_port: {a: b}\n", "line 2", "one value");
	refuse_text("gateway:\n  {a: b}: 1\n", "line 2", "name is expected");
	refuse_text("? {a: b}\n: 1\n", "line 1", "name is expected");
	refuse_text("- gateway\n", "line 1", "lists");
	refuse_text("words\n", "line 1", "sections");
	refuse_text("gateway:\n  domain: &a x\n  address: *a\n", "line 3", "aliases");
	refuse_text("log:\n  level: info\n---\nlog:\n", "line 3", "one document");
	refuse_text("gateway:\n\thttp_port: 80\n", "line 2", NULL);
	refuse_text("gateway: {\n", "line", NULL);
	refuse_text("gateway:\n  domain: \"\\x00\"\n", "line 2", "control characters");
	refuse_text("gateway:\n  domain: \"a\\nb\"\n", "line 2", "control characters");
	refuse_text("gateway:\n  domain: \"\xff\"\n", "line", NULL);
	refuse_text("log:\n  level: loud\n", "line 2", "must be one of error warn info debug");
	refuse_text("log:\n  level: \"\"\n", "line 2", "must be one of");
}

static void test_ranges(void **state)
{
	static const char *const bad[] = {
		"gateway: {http_port: -1}",
		"gateway: {http_port: 65536}",
		"gateway: {http_port: 8080x}",
		"gateway: {http_port: 1e3}",
		"gateway: {http_port: 0x50}",
		"gateway: {http_port: \" 80\"}",
		"gateway: {http_port: \"\"}",
		"gateway: {http_port: 99999999999999999999}",
		"gateway: {max_body: 1023}",
		"gateway: {max_body: 1025M}",
		"gateway: {max_body: 12m}",
		"gateway: {max_body: 12MB}",
		"gateway: {max_body: M}",
		"gateway: {max_body: -1M}",
		"gateway: {max_body: 9223372036854775807T}",
		"gateway: {max_body: 1.5M}",
		"iam: {lock_for: 0}",
		"iam: {lock_for: 60}",
		"iam: {lock_for: 999ms}",
		"iam: {lock_for: 31d}",
		"iam: {lock_for: 1M}",
		"iam: {lock_for: 1 h}",
		"iam: {lock_for: 106751991168d}",
		"mqs: {enabled: maybe}",
		"mqs: {enabled: 2}",
		"mqs: {enabled: \"\"}",
	};
	static const char *const good[] = {
		"gateway: {http_port: 0}",   "gateway: {http_port: 65535}", "gateway: {max_body: 1K}",
		"gateway: {max_body: 1024}", "gateway: {max_body: 1G}",     "iam: {lock_for: 1s}",
		"iam: {lock_for: 1000ms}",   "iam: {lock_for: 30d}",        "mqs: {enabled: OFF}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refuse_text(bad[i], "line 1: ", " must be ");
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		put(good[i]);
		conf_free(load());
	}
}

static void test_environment(void **state)
{
	put("gateway:\n  http_port: 80\n  domain: x\n");
	setenv("APPIA_GATEWAY_HTTP_PORT", "81", 1);
	setenv("APPIA_GATEWAY_PORT", "tcp://10.0.0.1:80", 1); /* what Kubernetes makes for a service */
	setenv("APPIA_STORE_URL", "", 1);
	struct conf *conf = load();

	assert_int_equal(conf_int(conf, CONF_GATEWAY_HTTP_PORT), 81);
	assert_true(str_is(conf_str(conf, CONF_GATEWAY_DOMAIN), "x"));
	assert_int_equal(conf_str(conf, CONF_STORE_URL).n, 0);
	assert_false(conf_is_default(conf, CONF_STORE_URL));
	conf_free(conf);
	setenv("APPIA_GATEWAY_HTTP_PORT", "many", 1);
	refuse("APPIA_GATEWAY_HTTP_PORT", "must be a number from 0 to 65535");
	setenv("APPIA_GATEWAY_HTTP_PORT", "", 1);
	refuse("APPIA_GATEWAY_HTTP_PORT", "must be a number");
	setenv("APPIA_GATEWAY_HTTP_PORT", "82", 1);
	setenv("APPIA_STORE_URL", "postgresql://u:secret@h/\n", 1);
	struct err err;
	struct conf *none = NULL;

	assert_int_equal(conf_load(home, &none, &err), ERR_APPIA_0400);
	assert_null(strstr(err.text, "secret"));
	unsetenv("APPIA_GATEWAY_HTTP_PORT");
	unsetenv("APPIA_GATEWAY_PORT");
	unsetenv("APPIA_STORE_URL");
}

static void test_places(void **state)
{
	struct conf *conf = NULL;
	struct err err;

	/* A home that is not there yet. */
	assert_int_equal(conf_load("/nonexistent/home//", &conf, &err), 0);
	assert_true(str_is(conf_home(conf), "/nonexistent/home"));
	conf_free(conf);
	assert_int_equal(conf_load("relative", &conf, &err), 0);
	assert_true(conf_home(conf).p[0] == '/' && strstr(conf_home(conf).p, "/relative"));
	conf_free(conf);
	/* A folder where the file should be. */
	conf = NULL;
	assert_int_equal(mkdir(file(), 0700), 0);
	assert_int_equal(conf_load(home, &conf, &err), ERR_APPIA_0500);
	assert_null(conf);
	rmdir(file());
}

static void test_long_file(void **state)
{
	FILE *f = fopen(file(), "w");

	for (size_t i = 0; i < CONF_MAX_FILE / 8 + 1; i++)
		fputs("# words\n", f);
	fclose(f);
	refuse("longer than 1M", NULL);
}

static void test_write_default(void **state)
{
	struct err err;
	struct stat st;
	char text[16384];
	FILE *f;
	size_t n;

	assert_int_equal(conf_write_default(file(), &err), 0);
	assert_int_equal(conf_write_default(file(), &err), ERR_APPIA_0409);
	assert_int_equal(stat(file(), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	struct conf *conf = load();

	for (unsigned id = 0; id < CONF_COUNT; id++)
		assert_true(conf_is_default(conf, id));
	conf_free(conf);
	/* With the # of each key removed, every line is read, and still says the default. */
	f = fopen(file(), "r");
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	assert_in_range(n, 100, sizeof(text) - 2);
	text[n] = 0;
	for (char *at = text; (at = strstr(at, "\n  #")) != NULL; at++) {
		if (at[4] != ' ')
			at[3] = ' ';
	}
	for (char *at = text; (at = strstr(at, "\n   ")) != NULL; at++)
		memmove(at + 1, at + 2, strlen(at + 2) + 1);
	put(text);
	struct conf *written = load(), *plain = conf__new(str_of(home));

	for (unsigned id = 0; id < CONF_COUNT; id++) {
		assert_false(conf_is_default(written, id));
		assert_int_equal(written->values[id].i, plain->values[id].i);
		assert_true(str_eq(written->values[id].s, plain->values[id].s));
	}
	conf_free(written);
	conf_free(plain);
	assert_int_equal(conf_write_default("/nonexistent/appia.yaml", &err), ERR_APPIA_0500);
}

#define T(name) cmocka_unit_test_setup_teardown(name, make_home, drop_home)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_defaults),    T(test_file),   T(test_empty_files), T(test_bad_files),     T(test_ranges),
		T(test_environment), T(test_places), T(test_long_file),   T(test_write_default),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
