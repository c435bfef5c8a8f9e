/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "httpd/httpd.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define MAX_BODY 1000

static char dir[] = "/tmp/appia-httpd-XXXXXX";
static char path[64];
static struct httpd *server;
static char answer[200000];
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static _Atomic bool in_handler;

/* Tells what it got; some targets make it misbehave. */
static void handler(void *ctx, const struct httpd_request *req, struct httpd_reply *reply)
{
	assert_ptr_equal(ctx, &server);
	reply->status = 200;
	reply->content_type = STR("text/plain");
	if (str_is(req->target, "/none"))
		reply->status = 204;
	if (str_is(req->target, "/broken"))
		reply->status = 0;
	if (str_is(req->target, "/big"))
		for (int i = 0; i < 100000; i++)
			buf_char(&reply->body, 'x');
	if (str_is(req->target, "/huge"))
		reply->body.failed = true;
	if (str_is(req->target, "/slow")) {
		in_handler = true;
		pthread_mutex_lock(&gate);
		pthread_mutex_unlock(&gate);
	}
	struct str q = httpd_query(req, "q"), x = httpd_header(req, "x-test");

	buf_fmt(&reply->body, "%.*s %.*s ?%.*s q=%.*s x=%.*s [%.*s]", STR_FMT(req->method), STR_FMT(req->target),
		STR_FMT(req->query), STR_FMT(q), STR_FMT(x), STR_FMT(req->body));
	httpd_reply_header(reply, STR("X-Ok"), STR("1"));
	httpd_reply_header(reply, STR("X-Bad"), STR("1\r\nX-Evil: 1"));
}

static int dial(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct timeval limit = {10, 0};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void say(int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);

		if (sent <= 0)
			return; /* the server may have hung up: its answer tells */
		text += sent;
		n -= (size_t)sent;
	}
}

/* Sends, half-closes, reads to the end. */
static const char *talk(const char *request, size_t n)
{
	int fd = dial();
	size_t got = 0;
	ssize_t r;

	assert_true(fd >= 0);
	say(fd, request, n);
	while (got < sizeof(answer) - 1 && (r = recv(fd, answer + got, sizeof(answer) - 1 - got, 0)) > 0)
		got += (size_t)r;
	answer[got] = '\0';
	close(fd);
	return answer;
}

#define TALK(text) talk(text, sizeof(text) - 1)
#define END "Host: x\r\nConnection: close\r\n\r\n"

static int start(void **state)
{
	struct httpd_options options = {path, MAX_BODY, 8, 5, 0, handler, &server};
	struct err err;

	return httpd_start(&options, &server, &err);
}

static int stop(void **state)
{
	httpd_stop(server);
	server = NULL;
	return 0;
}

static void assert_status(const char *reply, int status)
{
	char want[20];

	snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
	if (strncmp(reply, want, strlen(want)) != 0)
		fail_msg("want %d, got: %.300s", status, reply);
}

static void assert_has(const char *reply, const char *part)
{
	if (!strstr(reply, part))
		fail_msg("no %s in: %.500s", part, reply);
}

static void test_request(void **state)
{
	const char *r = TALK("GET /a%2Fb/%00?x=1&q=a+%26b&q=2 HTTP/1.1\r\nX-Test:  v \r\n" END);

	assert_status(r, 200);
	assert_has(r, "\r\n\r\nGET /a%2Fb/%00 ?x=1&q=a+%26b&q=2 q=a &b x=v []");
	assert_has(r, "X-Ok: 1\r\n");
	assert_has(r, "Content-Type: text/plain\r\n");
	assert_null(strstr(r, "Evil"));
	r = TALK("PATCH /p? HTTP/1.1\r\nContent-Length: 3\r\n" END "a\0b");
	assert_status(r, 200);
	assert_has(r, "PATCH /p ? q= x= [a");
	r = TALK("POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
	assert_has(r, "[abc]");
}

static void test_head_and_empty(void **state)
{
	const char *r = TALK("HEAD /big HTTP/1.1\r\n" END);

	assert_status(r, 200);
	assert_has(r, "Content-Length: 1000");
	assert_string_equal(strstr(r, "\r\n\r\n"), "\r\n\r\n");
	r = TALK("GET /none HTTP/1.1\r\n" END);
	assert_status(r, 204);
	assert_string_equal(strstr(r, "\r\n\r\n"), "\r\n\r\n");
	assert_status(TALK("GET /broken HTTP/1.1\r\n" END), 500);
	assert_status(TALK("GET /huge HTTP/1.1\r\n" END), 500);
	assert_has(TALK("GET /big HTTP/1.1\r\n" END), "xxGET /big ? q= x= []");
}

static void test_keep_alive(void **state)
{
	const char *r = TALK("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na"
			     "GET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3?q=7 HTTP/1.1\r\n" END);

	assert_has(r, "POST /1 ? q= x= [a]");
	assert_has(r, "GET /2 ? q= x= []");
	assert_has(r, "GET /3 ?q=7 q=7 x= []");
}

/* Each must be answered 400 and nothing behind it be taken for a request. */
static void test_smuggling(void **state)
{
	static const char next[] = "GET /smuggled HTTP/1.1\r\n" END;
	static const char *const heads[] = {
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PATCH / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
		"DELETE / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\ncontent-length: 0\r\n\r\na",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: "
		"chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0b"
		"chunked\r\n\r\n0\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\na",
		"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n folded\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n\tfolded\r\n more\r\n\r\n",
		"GET / HTTP/1.1\r\n X-A: 1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX A: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-A : 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\x01\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\rb\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
		"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"G\x7fT / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
	};
	char text[1000];

	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		int n = snprintf(text, sizeof(text), "%s%s", heads[i], next);
		const char *r = talk(text, (size_t)n);

		if (strncmp(r, "HTTP/1.1 400 ", 13) != 0 || strstr(r, "smuggled"))
			fail_msg("%s -> %.300s", heads[i], r);
	}
	const char *r = TALK("GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: abc-1\r\nX A: 1\r\n\r\n");

	assert_has(r, "{\"error_code\":\"APPIA.0400\",\"error_msg\":\"The request is malformed.\",\"request_id\":\"");
}

static void test_limits(void **state)
{
	struct buf b;
	const char *r;

	buf_init(&b, 1 << 20);
	buf_fmt(&b, "POST /l HTTP/1.1\r\nX-Request-Id: abc-1\r\nContent-Length: %d\r\n" END "%0*d", MAX_BODY, MAX_BODY,
		0);
	assert_status(talk(b.p, b.n), 200);
	buf_reset(&b);
	buf_fmt(&b, "POST /l HTTP/1.1\r\nX-Request-Id: abc-1\r\nContent-Length: %d\r\n" END "%0*d", MAX_BODY + 1,
		MAX_BODY + 1, 0);
	r = talk(b.p, b.n);
	assert_status(r, 413);
	assert_has(r, "Connection: close");
	assert_has(r, "{\"error_code\":\"APPIA.0413\",\"error_msg\":\"The request body is too "
		      "large.\",\"request_id\":\"abc-1\"}");
	buf_reset(&b);
	buf_cstr(&b, "POST /l HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" END);
	for (int i = 0; i < 101; i++)
		buf_fmt(&b, "a\r\n%010d\r\n", i);
	buf_cstr(&b, "0\r\n\r\n");
	assert_status(talk(b.p, b.n), 413);
	assert_status(TALK("POST /l HTTP/1.1\r\nContent-Length: 99999999999\r\n" END), 413);
	buf_reset(&b);
	buf_fmt(&b, "GET /%0100000d HTTP/1.1\r\n" END, 0);
	r = talk(b.p, b.n);
	assert_true(strncmp(r, "HTTP/1.1 4", 10) == 0 || !*r);
	buf_done(&b);
	assert_status(TALK("GET /alive HTTP/1.1\r\n" END), 200);
}

static void test_lost_peers(void **state)
{
	for (int i = 0; i < 17; i++) {
		int fd = dial();

		say(fd, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nab", (size_t)i * 3);
		close(fd);
	}
	assert_status(TALK("GET /alive HTTP/1.1\r\n" END), 200);
}

/* More peers than connections: they wait, nobody is turned away. */
static void test_connection_limit(void **state)
{
	static const char get[] = "GET / HTTP/1.1\r\n" END;
	int fds[20];

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		fds[i] = dial();
	for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
		say(fds[i], get, sizeof(get) - 1);
		assert_true(recv(fds[i], answer, 12, MSG_WAITALL) == 12);
		assert_memory_equal(answer, "HTTP/1.1 200", 12);
		close(fds[i]);
	}
}

#define LONG ((size_t)1 << 20)

/* A request with a body of n bytes, of which the last few are not sent yet; returns the socket. */
static int half(const char *target, size_t n, bool chunked)
{
	char head[160], *body = mem_alloc(n);
	int fd = dial();

	memset(body, 'x', n);
	snprintf(head, sizeof(head),
		 chunked ? "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n"
			 : "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
		 target, n);
	say(fd, head, strlen(head));
	say(fd, body, n - 4);
	free(body);
	return fd;
}

static void finish(int fd, bool chunked, int status, const char *header)
{
	size_t got = 0;
	ssize_t r;

	say(fd, "last\r\n0\r\n\r\n", chunked ? 11 : 4);
	shutdown(fd, SHUT_WR);
	while (got < sizeof(answer) - 1 && (r = recv(fd, answer + got, sizeof(answer) - 1 - got, 0)) > 0)
		got += (size_t)r;
	answer[got] = '\0';
	close(fd);
	assert_status(answer, status);
	assert_has(answer, header);
}

/* Whether such a request is taken; behind it, it is over for the server, too. */
static bool taken(size_t n)
{
	int fd = half("/none", n, false);
	char rest[512];

	say(fd, "last", 4);
	assert_true(recv(fd, answer, 12, MSG_WAITALL) == 12);
	shutdown(fd, SHUT_WR);
	while (recv(fd, rest, sizeof(rest), 0) > 0)
		;
	close(fd);
	return memcmp(answer, "HTTP/1.1 204", 12) == 0;
}

/* Long bodies share a bound; short ones are always taken. */
static void test_memory(void **state)
{
	struct httpd_options options = {path, 4 * LONG, 8, 5, 3 * LONG, handler, &server};
	struct err err;

	assert_int_equal(httpd_start(&options, &server, &err), 0);
	for (int round = 0; round < 3; round++) {
		int one = half("/none", LONG, false), two = half("/none", LONG + LONG / 2, false);

		while (taken(LONG))
			usleep(1000); /* until both are there */
		finish(half("/none", LONG, false), false, 503, "Retry-After: 1\r\n");
		assert_has(answer, "APPIA.0503");
		finish(half("/none", LONG, true), true, 503, "Retry-After: 1\r\n");
		assert_true(taken(HTTPD_SMALL_BODY));
		assert_true(taken(LONG / 2));
		/* Given back at the end, and when the peer goes. */
		finish(one, false, 204, "X-Ok: 1");
		close(two);
		while (!taken(2 * LONG + LONG / 2))
			usleep(1000);
		finish(half("/none", LONG, true), true, 204, "X-Ok: 1");
	}
	/* What would never fit is too large at any time. */
	finish(half("/none", 3 * LONG + 1, false), false, 413, "APPIA.0413");
	finish(half("/none", 3 * LONG + 1, true), true, 413, "APPIA.0413");
	stop(NULL);
}

static void *stopper(void *arg)
{
	httpd_stop(server);
	return NULL;
}

static void test_stop_waits(void **state)
{
	static const char slow[] = "GET /slow HTTP/1.1\r\n" END;
	pthread_t t;
	int fd, idle, again;

	assert_int_equal(start(NULL), 0);
	idle = dial();
	pthread_mutex_lock(&gate);
	fd = dial();
	say(fd, slow, sizeof(slow) - 1);
	while (!in_handler)
		usleep(1000);
	pthread_create(&t, NULL, stopper, NULL);
	while ((again = dial()) >= 0) {
		close(again);
		usleep(1000);
	}
	pthread_mutex_unlock(&gate);
	size_t got = 0;
	ssize_t r;

	while ((r = recv(fd, answer + got, sizeof(answer) - 1 - got, 0)) > 0)
		got += (size_t)r;
	answer[got] = '\0';
	assert_has(answer, "GET /slow");
	pthread_join(t, NULL);
	server = NULL;
	assert_int_equal(dial(), -1);
	close(fd);
	close(idle);
}

static void test_socket_file(void **state)
{
	struct httpd_options options = {path, MAX_BODY, 8, 5, 0, handler, &server};
	struct httpd *second = NULL;
	struct stat st;
	struct err err;
	mode_t old = umask(077);

	assert_int_equal(start(NULL), 0);
	umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(httpd_start(&options, &second, &err), ERR_APPIA_0500); /* alive */
	assert_string_equal(err.text, "the socket is in use by another process");
	stop(NULL);
	assert_int_equal(access(path, F_OK), -1);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	assert_int_equal(start(NULL), 0); /* stale */
	stop(NULL);
	FILE *f = fopen(path, "w");

	fclose(f);
	assert_int_equal(httpd_start(&options, &second, &err), ERR_APPIA_0500); /* not ours to remove */
	unlink(path);
	options.socket_path = "/nowhere/at/all.sock";
	assert_int_equal(httpd_start(&options, &second, &err), ERR_APPIA_0500);
	httpd_stop(NULL);
}

int main(void)
{
	const struct CMUnitTest running[] = {
		cmocka_unit_test(test_request),          cmocka_unit_test(test_head_and_empty),
		cmocka_unit_test(test_keep_alive),       cmocka_unit_test(test_smuggling),
		cmocka_unit_test(test_limits),           cmocka_unit_test(test_lost_peers),
		cmocka_unit_test(test_connection_limit),
	};
	const struct CMUnitTest alone[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_stop_waits),
					   cmocka_unit_test(test_socket_file)};

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/s", dir);
	int failed = cmocka_run_group_tests(running, start, stop) + cmocka_run_group_tests(alone, NULL, NULL);

	rmdir(dir);
	return failed;
}
