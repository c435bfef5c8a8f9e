/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "net/client.h"

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

/* A peer that takes one connection after the other, keeps what it was sent and answers with a given text. */
static char dir[] = "/tmp/appia-net-XXXXXX", path[64], url[64];
static int unix_fd, tcp_fd, connections;
static char got[10000];
static struct str reply; /* STR_NONE: never answers */
static int replies; /* per connection */
static struct arena *arena;
static struct err err;

static bool read_request(int fd)
{
	size_t n = 0;
	ssize_t r;

	while ((r = recv(fd, got + n, sizeof(got) - 1 - n, 0)) > 0) {
		n += (size_t)r;
		got[n] = '\0';
		const char *end = strstr(got, "\r\n\r\n"), *length = strstr(got, "Content-Length: ");

		if (end && (size_t)(got + n - (end + 4)) >= (length ? (size_t)strtol(length + 16, NULL, 10) : 0))
			return true;
	}
	return false;
}

static void *peer(void *arg)
{
	int listener = *(int *)arg;

	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			return NULL;
		connections++;
		for (int i = 0; i < replies && read_request(fd); i++) {
			if (reply.p)
				send(fd, reply.p, reply.n, MSG_NOSIGNAL);
			else
				recv(fd, got, 1, 0); /* until the client gives up */
		}
		close(fd);
	}
}

static void listen_all(void)
{
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(in);

	snprintf(path, sizeof(path), "%s/s", dir);
	snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
	unix_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	tcp_fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(unix_fd, (struct sockaddr *)&un, sizeof(un)) | listen(unix_fd, 5), 0);
	assert_int_equal(bind(tcp_fd, (struct sockaddr *)&in, sizeof(in)) | listen(tcp_fd, 5), 0);
	getsockname(tcp_fd, (struct sockaddr *)&in, &n);
	snprintf(url, sizeof(url), "http://127.0.0.1:%d/t?q", ntohs(in.sin_port));
}

static int call(struct net_request r, struct net_reply *ret)
{
	if (!r.url.p && !r.socket_path.p) {
		r.socket_path = str_of(path);
		r.target = STR("/x?y=%20");
	}
	err = (struct err){0};
	return net_call(&r, arena, ret, &err);
}

static int set_up(void **state)
{
	arena = arena_new(1 << 20);
	reply = STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A:  v \r\nConnection: close\r\n\r\nok");
	replies = 1;
	return 0;
}

static int tear_down(void **state)
{
	arena_free(arena);
	return 0;
}

static void test_exchange(void **state)
{
	struct net_header headers[] = {{STR("X-T"), STR("1")}, {STR("X-Empty"), STR("")}};
	struct net_reply r;

	assert_int_equal(call((struct net_request){.headers = headers, .n_headers = 2}, &r), 0);
	assert_int_equal(r.status, 200);
	assert_true(str_is(r.body, "ok") && str_is(net_header(&r, "x-a"), "v") && !net_header(&r, "no").p);
	assert_memory_equal(got, "GET /x?y=%20 HTTP/1.1\r\n", 23);
	assert_non_null(strstr(got, "X-T: 1\r\n"));
	assert_non_null(strstr(got, "X-Empty:"));
	assert_int_equal(
		call((struct net_request){.method = STR("PATCH"), .body = {"a\0b", 3}, .url = str_of(url)}, &r), 0);
	assert_memory_equal(got, "PATCH /t?q HTTP/1.1\r\n", 21);
	assert_non_null(strstr(got, "Content-Length: 3\r\n"));
	assert_null(strstr(got, "Content-Type"));
	assert_null(strstr(got, "Expect"));
	assert_int_equal(call((struct net_request){.method = STR("POST")}, &r), 0);
	assert_non_null(strstr(got, "Content-Length: 0\r\n"));
	reply = STR("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: "
		    "close\r\n\r\n");
	assert_int_equal(call((struct net_request){0}, &r), 0);
	assert_int_equal(r.status, 302);
	assert_true(r.body.p && r.body.n == 0);
	reply = STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
	assert_int_equal(call((struct net_request){.method = STR("HEAD")}, &r), 0);
	assert_int_equal(r.body.n, 0);
}

static void test_connection_reuse(void **state)
{
	struct net_reply r;

	reply = STR("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	replies = 2;
	int before = connections;

	for (int i = 0; i < 4; i++) /* the peer hangs up after two */
		assert_int_equal(call((struct net_request){.method = STR("POST"), .body = STR("b")}, &r), 0);
	assert_int_equal(connections - before, 2);
	replies = 1;
}

static void test_failures(void **state)
{
	struct net_reply r;

	reply = STR("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nshort");
	assert_int_equal(call((struct net_request){0}, &r), ERR_APPIA_0503_WORKER_UNAVAILABLE);
	assert_true(err.retriable);
	reply = STR("");
	assert_int_equal(call((struct net_request){.url = str_of(url)}, &r), ERR_APPIA_0503);
	assert_true(err.retriable);
	reply = STR("what?\r\n\r\n");
	assert_int_equal(call((struct net_request){.url = str_of(url)}, &r), ERR_APPIA_0503);
	assert_false(err.retriable);
	assert_int_equal(call((struct net_request){.socket_path = STR("/nowhere/s"), .target = STR("/")}, &r),
			 ERR_APPIA_0503_WORKER_UNAVAILABLE);
	assert_true(err.retriable);
	assert_null(strstr(err.text, "nowhere"));
	assert_int_equal(call((struct net_request){.url = STR("http://127.0.0.1:1/")}, &r), ERR_APPIA_0503);
	assert_true(err.retriable);
}

static void test_timeout(void **state)
{
	struct net_reply r;
	int64_t start = clock_mono_ms();

	reply = STR_NONE;
	assert_int_equal(call((struct net_request){.timeout_ms = 100}, &r), ERR_APPIA_0408);
	assert_true(err.retriable);
	assert_string_equal(err.text, "no answer within 100 ms");
	assert_in_range(clock_mono_ms() - start, 90, 5000);
}

static void test_too_large(void **state)
{
	struct net_reply r;
	struct buf b;

	assert_int_equal(call((struct net_request){.max_reply_bytes = 1}, &r), ERR_APPIA_0503);
	assert_false(err.retriable);
	assert_string_equal(err.text, "the answer is larger than allowed");
	assert_int_equal(call((struct net_request){.max_reply_bytes = 2}, &r), 0);
	buf_init(&b, 1 << 20);
	buf_cstr(&b, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n");
	for (int i = 0; i < 101; i++)
		buf_fmt(&b, "X-%d: 1\r\n", i);
	buf_cstr(&b, "\r\n");
	reply = buf_view(&b);
	assert_int_equal(call((struct net_request){0}, &r), ERR_APPIA_0503);
	assert_string_equal(err.text, "the answer is larger than allowed");
	buf_done(&b);
}

static void test_refused(void **state)
{
	static const char *const urls[] = {"",
					   "file:///etc/passwd",
					   "ftp://127.0.0.1/",
					   "gopher://127.0.0.1:1/x",
					   "127.0.0.1",
					   "http:/x",
					   "http://127.0.0.1/a b",
					   "http://127.0.0.1/\r\nX: y",
					   "http://",
					   "http://127.0.0.1:99999/"};
	static const struct net_header bad[] = {{{"A\r\nB", 4}, {"c", 1}},
						{{"A", 1}, {"b\nC: d", 6}},
						{{"", 0}, {"b", 1}},
						{{"A:", 2}, {"b", 1}},
						{{"A B", 3}, {"c", 1}}};
	struct net_reply r;
	int before = connections;

	for (size_t i = 0; i < ARRAY_LEN(urls); i++)
		assert_int_equal(call((struct net_request){.url = str_of(urls[i])}, &r), ERR_APPIA_0400);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(call((struct net_request){.headers = &bad[i], .n_headers = 1}, &r), ERR_APPIA_0400);
	assert_int_equal(call((struct net_request){.method = STR("GET /\r\n")}, &r), ERR_APPIA_0400);
	assert_int_equal(call((struct net_request){.socket_path = str_of(path), .target = STR("x")}, &r),
			 ERR_APPIA_0400);
	assert_int_equal(connections, before);
}

static void test_public_only(void **state)
{
	static const char *const urls[] = {
		"http://127.0.0.1:1/",
		"http://localhost:1/",
		"http://10.1.2.3/",
		"http://192.168.0.1/",
		"http://169.254.169.254/",
		"http://[::1]:1/",
		"http://[::ffff:127.0.0.1]:1/",
		"http://0x7f000001/",
		"http://0/",
		"http://[fe80::1]/",
		"http://[fd00::1]/",
		"http://100.64.0.1/",
		"http://172.31.0.1/",
		"http://224.0.0.1/",
		"http://[2002:7f00:1::]/",
	};
	struct net_reply r;

	for (size_t i = 0; i < ARRAY_LEN(urls); i++)
		if (call((struct net_request){.url = str_of(urls[i]), .public_only = true}, &r) != ERR_APPIA_0403)
			fail_msg("%s: %s", urls[i], err.text);
	assert_int_equal(call((struct net_request){.url = str_of(url)}, &r), 0);
	assert_int_equal(call((struct net_request){.url = str_of(url), .public_only = true}, &r), ERR_APPIA_0403);
}

static void *one_call(void *arg)
{
	struct arena *a = arena_new(1 << 20);
	struct net_request request = {.socket_path = str_of(path), .target = STR("/")};
	struct net_reply r;

	*(int *)arg = net_call(&request, a, &r, NULL);
	arena_free(a);
	return NULL;
}

/* A thread's handle goes with it: the leak checker is the judge. */
static void test_threads(void **state)
{
	for (int i = 0; i < 3; i++) {
		pthread_t t;
		int rc = -1;

		pthread_create(&t, NULL, one_call, &rc);
		pthread_join(t, NULL);
		assert_int_equal(rc, 0);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {T(test_exchange),    T(test_connection_reuse), T(test_failures),
					   T(test_timeout),     T(test_too_large),        T(test_refused),
					   T(test_public_only), T(test_threads)};
	pthread_t threads[2];

	if (!mkdtemp(dir))
		return 1;
	listen_all();
	pthread_create(&threads[0], NULL, peer, &unix_fd);
	pthread_create(&threads[1], NULL, peer, &tcp_fd);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	shutdown(unix_fd, SHUT_RDWR);
	shutdown(tcp_fd, SHUT_RDWR);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	unlink(path);
	rmdir(dir);
	return failed;
}
