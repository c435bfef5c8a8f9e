/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "base/mem.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

/* A platform of one canned answer, that remembers what it was asked. */
static int listener = -1;
static char asked[65536];
static const char *answer;

static bool complete(size_t n)
{
	const char *end = strstr(asked, "\r\n\r\n"), *length = strstr(asked, "Content-Length: ");

	return end && n >= (size_t)(end + 4 - asked) + (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
}

static void *serve(void *arg)
{
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		ssize_t got;
		size_t n = 0;

		if (fd < 0)
			return NULL;
		memset(asked, 0, sizeof(asked));
		while (!complete(n) && (got = read(fd, asked + n, sizeof(asked) - 1 - n)) > 0)
			n += (size_t)got;
		if (write(fd, answer, strlen(answer)) < 0)
			perror("write");
		close(fd);
	}
}

static char dir[64], saved_out[128];

static int set_up(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(in);
	pthread_t thread;
	char path[128];

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(listener, 8) < 0 ||
	    getsockname(listener, (struct sockaddr *)&in, &n) < 0 || pthread_create(&thread, NULL, serve, NULL))
		return -1;
	pthread_detach(thread);
	snprintf(dir, sizeof(dir), "/tmp/appia-command.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(saved_out, sizeof(saved_out), "%s/out", dir);
	snprintf(path, sizeof(path), "%s/p.json", dir);
	setenv("APPIA_CONFIG", path, 1);
	FILE *f = fopen(path, "we");

	fprintf(f,
		"{\"default\":{\"management_url\":\"http://127.0.0.1:%d\",\"project_id\":\"p\",\"instance_id\":\"i i\","
		"\"access_key\":\"AK\",\"secret_key\":\"SK\"},"
		"\"token\":{\"management_url\":\"http://127.0.0.1:%d\",\"project_id\":\"p\",\"token\":\"T\"},"
		"\"empty\":{},\"away\":{\"management_url\":\"http://127.0.0.1:1\",\"project_id\":\"p\","
		"\"instance_id\":\"i\"}}",
		ntohs(in.sin_port), ntohs(in.sin_port));
	fclose(f);
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"p.json", "out", "body.json"};
	char path[128];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nConnection: close\r\n\r\n{\"id\":\"abc\"}"

/* Runs the words, NULL behind the last; standard output goes to a file. */
static int run(const char *word, ...)
{
	char *argv[32] = {(char *)(uintptr_t)word};
	int argc = 1, out = dup(STDOUT_FILENO), fd = open(saved_out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	va_list ap;

	va_start(ap, word);
	while ((argv[argc] = va_arg(ap, char *)))
		argc++;
	va_end(ap);
	asked[0] = '\0';
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	int rc = cli_command(argc, argv);

	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	close(fd);
	return rc;
}

static bool printed(const char *needle)
{
	char text[4096] = "";
	int fd = open(saved_out, O_RDONLY | O_CLOEXEC);
	bool found = read(fd, text, sizeof(text) - 1) >= 0 && strstr(text, needle);

	close(fd);
	return found;
}

static bool sent(const char *needle)
{
	return strstr(asked, needle);
}

static void test_path_and_query(void **state)
{
	answer = OK_REPLY;
	assert_int_equal(run("apps", "list", "--name", "a&b=c/d", "--limit=5", NULL), 0);
	assert_true(sent("GET /v2/p/instances/i%20i/apps?"));
	assert_true(sent("name=a%26b%3Dc%2Fd"));
	assert_true(sent("limit=5"));
	assert_true(printed("\"id\": \"abc\"")); /* JSON where nobody looks */
	/* An id cannot lead to another path. */
	assert_int_equal(run("app", "show", "--app-id", "../../x?y", "--instance-id=j", NULL), 0);
	assert_true(sent("/v2/p/instances/j/apps/..%2F..%2Fx%3Fy HTTP"));
}

static void test_credentials(void **state)
{
	answer = OK_REPLY;
	assert_int_equal(run("apps", "list", NULL), 0);
	assert_true(sent("Authorization: SDK-HMAC-SHA256 Access=AK"));
	assert_true(sent("X-Project-Id: p"));
	assert_false(sent("SK"));
	assert_int_equal(run("apps", "list", "--profile", "token", "--instance_id", "i", NULL), 0);
	assert_true(sent("X-Auth-Token: T"));
	assert_false(sent("Authorization"));
}

static void test_body(void **state)
{
	char path[128];
	FILE *f;

	answer = OK_REPLY;
	assert_int_equal(run("apps", "create", "--name", "5", "--favorite", "true", NULL), 0);
	assert_true(sent("POST /v2/p/instances/i%20i/apps HTTP") && sent("Content-Type: application/json"));
	assert_true(sent("\"name\":\"5\"") && sent("\"favorite\":true")); /* by the description's types */
	snprintf(path, sizeof(path), "%s/body.json", dir);
	f = fopen(path, "we");
	fputs("{\"name\":\"file\",\"remark\":\"kept\"}", f);
	fclose(f);
	assert_int_equal(run("apps", "create", "--file", path, "--name", "option", NULL), 0);
	assert_true(sent("\"name\":\"option\"") && sent("\"remark\":\"kept\"") && !sent("\"file\""));
	assert_int_equal(run("apps", "create", "--file", path, NULL), 0);
	assert_true(sent("\r\n\r\n{\"name\":\"file\",\"remark\":\"kept\"}"));
	assert_int_equal(run("apps", "create", "--file", "/none", NULL), 1);
	assert_int_equal(run("apps", "create", "--file", dir, NULL), 1); /* a folder */
	assert_string_equal(asked, "");
}

static void test_wrong_usage(void **state)
{
	assert_int_equal(run("apps", "fly", NULL), 2);
	assert_int_equal(run("apps", "list", "word", NULL), 2);
	assert_int_equal(run("apps", "list", "--name", NULL), 2);
	assert_int_equal(run("apps", "list", "--", NULL), 2);
	assert_int_equal(run("apps", "list", "--nonsense", "1", NULL), 2);
	assert_int_equal(run("apps", "list", "--output", "xml", NULL), 2);
	assert_int_equal(run("app", "show", NULL), 2); /* app_id */
	assert_int_equal(run("apps", "create", "--favorite", "maybe", NULL), 2);
	assert_int_equal(run("apps", "list", "--profile", "none", NULL), 1);
	assert_int_equal(run("apps", "list", "--profile", "empty", NULL), 2); /* has no project */
	assert_string_equal(asked, "");
	assert_int_equal(run("apps", "list", "--profile", "away", NULL), 1);
}

static void test_replies(void **state)
{
	answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 18\r\nConnection: close\r\n\r\n{\"error_code\":\"X\"}";
	assert_int_equal(run("apps", "list", NULL), 1);
	assert_false(printed("error_code")); /* that goes to standard error */
	answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
	assert_int_equal(run("apps", "list", NULL), 0);
	answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n\x1b[2J\n";
	assert_int_equal(run("apps", "list", NULL), 0);
	assert_true(printed(" [2J\n"));
	answer = "HTTP/1.1 200 OK\r\nContent-Length: 26\r\nConnection: close\r\n\r\n{\"apps\":[{\"id\":\"abcdefg\"}]}";
	assert_int_equal(run("apps", "list", "--output", "table", NULL), 0);
	answer = "nonsense\r\n\r\n";
	assert_int_equal(run("apps", "list", NULL), 1);
}

static void test_help(void **state)
{
	assert_int_equal(run("apps", NULL), 0);
	assert_true(printed("apps list"));
	assert_int_equal(run("apps", "create", "--help", NULL), 0);
	assert_true(printed("--name") && printed("required"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_path_and_query), cmocka_unit_test(test_credentials), cmocka_unit_test(test_body),
		cmocka_unit_test(test_wrong_usage),    cmocka_unit_test(test_replies),     cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
