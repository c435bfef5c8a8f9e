/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"
#include "cli/lookup.h"
#include "cli/output.h"
#include "cli/profile.h"

#include "base/mem.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static struct arena *a;
static struct buf out;
static struct err err;
static char dir[64];

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path);
}

static int set_up(void **state)
{
	a = arena_new((size_t)64 << 20);
	buf_init(&out, 1 << 20);
	snprintf(dir, sizeof(dir), "/tmp/appia-cli.XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	unsetenv("APPIA_CONFIG");
	unsetenv("APPIA_HOME");
	buf_done(&out);
	arena_free(a);
	return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *in_dir(const char *name)
{
	return arena_fmt(a, "%s/%s", dir, name).p;
}

static const struct json *tree_of(const char *text)
{
	const struct json *tree;
	char why[160];

	if (!json_parse(a, str_of(text), &tree, why, sizeof(why)))
		fail_msg("%s", why);
	return tree;
}

static const char *table(const char *text)
{
	buf_reset(&out);
	cli_output_table(&out, tree_of(text));
	return buf_view(&out).p;
}

static void test_table(void **state)
{
	assert_string_equal(table("{\"total\":2,\"size\":2,\"apps\":[{\"remark\":\"x\",\"name\":\"one\",\"id\":1},"
	                          "{\"id\":22,\"name\":null,\"remark\":\"longer\"}]}"),
	                    "id  name  remark\n1   one   x\n22        longer\n");
	/* Keys that only later rows have are no columns; nested values neither. */
	assert_string_equal(table("[{\"a\":true,\"b\":{}},{\"a\":1.5,\"c\":1}]"), "a\ntrue\n1.5\n");
	assert_string_equal(table("{\"links\":{\"self\":\"u\"},\"users\":[{\"id\":\"x\"}]}"), "id\nx\n");
}

static void test_table_width(void **state)
{
	char text[512];

	/* Code points count, not bytes; what is too long is cut between them. */
	assert_string_equal(table("[{\"a\":\"\xc3\xa4\xc3\xa4\xc3\xa4\",\"b\":1}]"),
	                    "a    b\n\xc3\xa4\xc3\xa4\xc3\xa4  1\n");
	snprintf(text, sizeof(text), "[{\"a\":\"%s%s\"}]",
		 "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4",
		 "0123456789012345678901234567890123456789012345678901234567890123456789");
	struct str line = str_of(table(text));

	str_cut(&line, '\n');
	assert_int_equal(line.n, 8 * 2 + (47 - 8) + 3 + 1);
}

/* What others wrote must not drive the terminal. */
static void test_control_characters(void **state)
{
	assert_string_equal(table("[{\"a\":\"x\\u001b[2Jy\\u007f\\n\\u009bz\"}]"), "a\nx [2Jy   z\n");
	assert_string_equal(table("{\"a\\u001b\":\"b\\r\"}"), "a : b \n");
}

static void test_not_a_list(void **state)
{
	assert_string_equal(table("{\"id\":\"x\",\"open\":true,\"parts\":[{\"id\":1}],\"none\":null}"),
	                    "id: x\nopen: true\nparts: [{\"id\":1}]\nnone: \n");
	assert_string_equal(table("{\"total\":0,\"apps\":[]}"), "total: 0\napps: []\n");
	assert_string_equal(table("[\"a\",\"b\"]"), "[\n  \"a\",\n  \"b\"\n]\n");
	assert_string_equal(table("[]"), "[]\n");
	assert_string_equal(table("3"), "3\n");
}

static void test_json(void **state)
{
	cli_output_json(&out, tree_of("{\"a\":[1,{\"b\":\"\\\"\"}],\"c\":{},\"d\":[]}"));
	assert_string_equal(
		buf_view(&out).p,
		"{\n  \"a\": [\n    1,\n    {\n      \"b\": \"\\\"\"\n    }\n  ],\n  \"c\": {},\n  \"d\": []\n}\n");
}

static void test_lookup(void **state)
{
	assert_true(cli_lookup_is(STR("apps"), STR("apps")));
	assert_true(cli_lookup_is(STR("apps"), STR("app")));
	assert_true(cli_lookup_is(STR("policies"), STR("policy")));
	assert_false(cli_lookup_is(STR("policies"), STR("polic")));
	assert_false(cli_lookup_is(STR("policies"), STR("policie")));
	assert_false(cli_lookup_is(STR("apps"), STR("ap")));
	assert_false(cli_lookup_is(STR("apps"), STR("")));
	assert_false(cli_lookup_is(STR("s"), STR("x")));
	const struct api_op *op = cli_lookup(STR("apps"), STR("list"));

	assert_non_null(op);
	assert_ptr_equal(op, cli_lookup(STR("app"), STR("list")));
	assert_null(cli_lookup(STR("apps"), STR("lis")));
	assert_null(cli_lookup(STR(""), STR("")));
	assert_true(cli_is_resource("app") && cli_is_resource("apps") && !cli_is_resource("") &&
		    !cli_is_resource("up"));
}

/* Every operation but the twins can be called, by names that are its own. */
static void test_names(void **state)
{
	for (size_t i = 0; i < api_tables.n_ops; i++) {
		struct str resource, verb;

		if (!cli_lookup_names(&api_tables.ops[i], &resource, &verb)) {
			assert_string_equal(api_tables.ops[i].command, "");
			continue;
		}
		assert_true(resource.n && verb.n);
		if (cli_lookup(resource, verb) != &api_tables.ops[i])
			fail_msg("appia %s is another operation than %s", api_tables.ops[i].command,
				 api_tables.ops[i].id);
	}
}

static void test_profile(void **state)
{
	struct cli_profile p = {.management_url = STR("http://h:1"), .user = STR("u\"v"), .secret_key = STR("s")}, q;
	struct stat st;

	setenv("APPIA_CONFIG", in_dir("p.json"), 1);
	setenv("APPIA_HOME", dir, 1);
	assert_int_equal(cli_profile_load(a, "none", &q, &err), ERR_APPIA_0404);
	assert_int_equal(cli_profile_load(a, NULL, &q, &err), ERR_APPIA_0401);
	/* What an interrupted one left, open to others. */
	int fd = open(in_dir("p.json.new"), O_WRONLY | O_CREAT, 0666);

	assert_true(fd >= 0 && fchmod(fd, 0666) == 0);
	close(fd);
	assert_int_equal(cli_profile_save(a, "one", &p, &err), 0);
	assert_int_equal(stat(in_dir("p.json"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	p.user = STR("w");
	assert_int_equal(cli_profile_save(a, "two", &p, &err), 0);
	assert_int_equal(cli_profile_load(a, "one", &q, &err), 0);
	assert_true(str_is(q.user, "u\"v") && str_is(q.secret_key, "s") && str_is(q.management_url, "http://h:1"));
	assert_false(q.token.p);
	p.user = STR("x");
	assert_int_equal(cli_profile_save(a, "one", &p, &err), 0);
	assert_int_equal(cli_profile_load(a, "one", &q, &err), 0);
	assert_true(str_is(q.user, "x"));
	assert_int_equal(cli_profile_load(a, "two", &q, &err), 0);
	assert_true(str_is(q.user, "w"));
	assert_int_equal(access(in_dir("p.json.new"), F_OK), -1);
}

static void test_profile_default(void **state)
{
	struct cli_profile p = {.management_url = STR("http://mine")}, q;
	int fd;

	setenv("APPIA_CONFIG", in_dir("p.json"), 1);
	setenv("APPIA_HOME", dir, 1);
	fd = open(in_dir("credentials.json"), O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0 && write(fd, "{\"management_url\":\"http://own\"}", 31) == 31);
	close(fd);
	assert_int_equal(cli_profile_load(a, NULL, &q, &err), 0);
	assert_true(str_is(q.management_url, "http://own"));
	assert_int_equal(cli_profile_save(a, "other", &p, &err), 0);
	assert_int_equal(cli_profile_load(a, NULL, &q, &err), 0);
	assert_true(str_is(q.management_url, "http://own"));
	assert_int_equal(cli_profile_save(a, "default", &p, &err), 0);
	assert_int_equal(cli_profile_load(a, NULL, &q, &err), 0);
	assert_true(str_is(q.management_url, "http://mine"));
}

/* A file that cannot be read is not overwritten: it may hold what the user still needs. */
static void test_profile_broken(void **state)
{
	struct cli_profile p = {.management_url = STR("x")}, q;
	char text[16] = "";
	int fd = open(in_dir("p.json"), O_RDWR | O_CREAT, 0600);

	assert_true(fd >= 0 && write(fd, "{\"one\":", 7) == 7);
	setenv("APPIA_CONFIG", in_dir("p.json"), 1);
	assert_int_equal(cli_profile_load(a, NULL, &q, &err), ERR_APPIA_0400);
	assert_int_equal(cli_profile_save(a, "two", &p, &err), ERR_APPIA_0400);
	assert_int_equal(pread(fd, text, sizeof(text) - 1, 0), 7);
	close(fd);
	setenv("APPIA_CONFIG", in_dir("no/such/p.json"), 1);
	assert_int_equal(cli_profile_save(a, "two", &p, &err), ERR_APPIA_0500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_table, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_table_width, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_control_characters, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_a_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_lookup, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_profile, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_profile_default, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_profile_broken, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
