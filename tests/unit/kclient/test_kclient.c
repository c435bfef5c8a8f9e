/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/enc.h"
#include "base/mem.h"
#include "kafka/header.h"
#include "kclient/priv.h"
#include "kclient/rdkafka.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* A server that answers the first connection with the given frames, one per request, and closes it. */
struct server {
	int fd, port;
	pthread_t thread;
	struct str frames[4];
	size_t n;
	bool silent; /* after the last frame it keeps the connection open */
};

static bool read_all(int fd, char *p, size_t n)
{
	while (n) {
		ssize_t got = read(fd, p, n);

		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

static void *serve(void *arg)
{
	struct server *s = arg;
	char head[4], body[65536];
	int fd = accept(s->fd, NULL, NULL);

	for (size_t i = 0; i < s->n + s->silent && read_all(fd, head, 4); i++) {
		size_t n = kafka_load32(head);

		if (n > sizeof(body) || !read_all(fd, body, n))
			break;
		if (i < s->n && write(fd, s->frames[i].p, s->frames[i].n) < 0)
			break;
	}
	if (s->silent)
		read_all(fd, head, 1); /* until the client goes */
	close(fd);
	return NULL;
}

static void start(struct server *s)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(at);

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(s->fd, 5), 0);
	getsockname(s->fd, (struct sockaddr *)&at, &size);
	s->port = ntohs(at.sin_port);
	pthread_create(&s->thread, NULL, serve, s);
}

static void stop(struct server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

/* A whole answer to ApiVersions, with one request on offer. */
static struct str versions(struct arena *a, int key, int max, int error)
{
	struct kafka_api_versions_res *res = KAFKA_NEW(a, kafka_api_versions_res);
	struct buf out;

	buf_init(&out, 65536);
	res->error_code = (int16_t)error;
	res->api_keys.n = 1;
	res->api_keys.v = KAFKA_ARRAY(a, kafka_api_versions_res_api_key, 1);
	res->api_keys.v[0].api_key = (int16_t)key;
	res->api_keys.v[0].max_version = (int16_t)max;
	assert_int_equal(kafka_response_encode(kafka_api_of(KAFKA_API_API_VERSIONS), error ? 0 : 3, error ? 1 : 1, res,
					       &out, NULL),
			 0);
	struct str ret = arena_str(a, buf_view(&out));

	buf_done(&out);
	return ret;
}

static int open_it(struct arena *a, int port, const char *protocol, int64_t wait_ms, struct kclient **ret,
		   struct err *err)
{
	struct kclient_settings *s = ARENA_NEW(a, struct kclient_settings);

	*s = (struct kclient_settings){.servers = arena_fmt(a, "127.0.0.1:%d", port),
				       .protocol = str_of(protocol),
				       .mechanism = STR("PLAIN"),
				       .user = STR("u"),
				       .password = STR("p"),
				       .ca_file = STR("/nowhere")};
	*err = (struct err){0};
	return kclient_open(a, s, clock_mono_ms() + wait_ms, ret, err);
}

static void test_scram(void **state)
{
	/* RFC 7677 section 3 */
	struct arena *a = arena_new(1 << 20);
	struct str bare = STR("n=user,r=rOprNGfwEbeRWgbNEkqO"), nonce = STR("rOprNGfwEbeRWgbNEkqO"), message, signature;
	const char *first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

	assert_true(kclient__scram_final(a, false, STR("pencil"), bare, nonce, str_of(first), &message, &signature));
	assert_string_equal(message.p, "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
				       "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
	assert_string_equal(enc_base64(a, signature).p, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
	static const char *const bad[] = {
		"",
		",",
		"r=",
		"r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096",
		"r=other,s=W22Z,i=4096",
		"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z",
		"r=rOprNGfwEbeRWgbNEkqOx,s=W2,i=4096",
		"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=0",
		"r=rOprNGfwEbeRWgbNEkqOx,s=W22Z,i=99999999",
		"e=other-error",
		"s=W22Z,r=rOprNGfwEbeRWgbNEkqOx,i=1",
	};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(kclient__scram_final(a, true, STR("pencil"), bare, nonce, str_of(bad[i]), &message,
						  &signature));
	arena_free(a);
}

static void test_versions(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct server s = {.n = 1, .frames = {versions(a, KAFKA_API_DESCRIBE_LOG_DIRS, 99, 0)}};
	struct kclient *c;
	struct err err;

	start(&s);
	assert_int_equal(open_it(a, s.port, "plaintext", 5000, &c, &err), 0);
	assert_int_equal(kclient_version(c, KAFKA_API_DESCRIBE_LOG_DIRS),
			 kafka_api_of(KAFKA_API_DESCRIBE_LOG_DIRS)->max);
	assert_int_equal(kclient_version(c, KAFKA_API_CREATE_ACLS), -1);
	assert_int_equal(kclient_version(c, 9999), -1);
	struct kafka_create_acls_req *req = KAFKA_NEW(a, kafka_create_acls_req);
	struct kafka_create_acls_res *res = KAFKA_NEW(a, kafka_create_acls_res);

	assert_int_equal(kclient_call(c, KAFKA_API_CREATE_ACLS, req, res, &err), ERR_MQS_005000020);
	/* The server has gone. */
	struct kafka_describe_log_dirs_req *dirs = KAFKA_NEW(a, kafka_describe_log_dirs_req);

	assert_int_equal(kclient_call(c, KAFKA_API_DESCRIBE_LOG_DIRS, dirs, res, &err), ERR_MQS_005000053);
	assert_true(err.retriable);
	stop(&s);
	arena_free(a);
}

static void test_old_server(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct server s = {.n = 2, .frames = {versions(a, 1, 1, 35), versions(a, 35, 1, 1)}};
	struct kclient *c;
	struct err err;

	/* What it says the second time, in version 0 and to the second request, holds. */
	char *second = arena_cstr(a, s.frames[1]);

	second[4 + 3] = 2;
	second[4 + 4] = second[4 + 5] = 0;
	s.frames[1].p = second;
	start(&s);
	assert_int_equal(open_it(a, s.port, "plaintext", 5000, &c, &err), 0);
	assert_int_equal(kclient_version(c, KAFKA_API_DESCRIBE_LOG_DIRS), 1);
	stop(&s);
	arena_free(a);
}

static void refuse(struct str frame, bool silent, const char *protocol, int code)
{
	struct arena *a = arena_new(1 << 20);
	struct server s = {.n = frame.p ? 1 : 0, .frames = {frame}, .silent = silent};
	struct kclient *c;
	struct err err;

	start(&s);
	assert_int_equal(open_it(a, s.port, protocol, 300, &c, &err), code);
	assert_int_equal(err.retriable, code == ERR_MQS_005000053);
	arena_free(a); /* closes the connection */
	stop(&s);
}

static void test_hostile(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct str good = versions(a, 35, 1, 0);
	char *wrong = arena_cstr(a, good);

	refuse(STR_NONE, false, "plaintext", ERR_MQS_005000053);
	refuse(STR_NONE, true, "plaintext", ERR_MQS_005000053);
	refuse(STR("\x15\x03\x03\x00\x02\x02\x46"), true, "plaintext", ERR_MQS_005000070);
	refuse(STR("HTTP/1.1 400 Bad Request\r\n\r\n"), false, "plaintext", ERR_MQS_005000070);
	refuse(STR("\0\0\0\0"), true, "plaintext", ERR_MQS_005000070);
	refuse(str_sub(good, 0, good.n - 1), false, "plaintext", ERR_MQS_005000053);
	refuse(str_sub(good, 0, good.n - 1), true, "plaintext", ERR_MQS_005000053);
	wrong[7]++; /* correlation */
	refuse((struct str){wrong, good.n}, true, "plaintext", ERR_MQS_005000070);
	wrong[7]--;
	wrong[10] = 0x7f; /* so many rows */
	refuse((struct str){wrong, good.n}, true, "plaintext", ERR_MQS_005000070);
	/* Offers no SASL; has no TLS; the CA file is not there. */
	refuse(good, false, "sasl_plaintext", ERR_MQS_005000020);
	refuse(STR("x"), false, "ssl", ERR_MQS_005000070);
	arena_free(a);
}

static void test_nobody(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct kclient_settings s = {.protocol = STR("plaintext")};
	struct kclient *c;
	struct err err = {0};

	s.servers = STR("127.0.0.1:1");
	assert_int_equal(kclient_open(a, &s, clock_mono_ms() + 500, &c, &err), ERR_MQS_005000053);
	for (size_t i = 0; i < 4; i++) {
		static const char *const bad[] = {"", "host", ":9092", "host:"};

		s.servers = str_of(bad[i]);
		assert_int_equal(kclient_open(a, &s, clock_mono_ms() + 500, &c, &err), ERR_MQS_005000070);
	}
	/* The second of a list. */
	struct server server = {.n = 1, .frames = {versions(a, 35, 1, 0)}};

	start(&server);
	s.servers = arena_fmt(a, "127.0.0.1:1, 127.0.0.1:%d", server.port);
	assert_int_equal(kclient_open(a, &s, clock_mono_ms() + 5000, &c, &err), 0);
	kclient_close(c);
	kclient_close(NULL);
	stop(&server);
	arena_free(a);
}

struct passing {
	struct kclient *c;
	int fd;
};

static void *pass(void *arg)
{
	struct passing *p = arg;

	kclient_relay(p->c, p->fd);
	close(p->fd);
	return NULL;
}

/* What comes behind the first answer is the relay's, in both directions, until a side goes. */
static void test_relay(void **state)
{
	struct arena *a = arena_new(1 << 20);
	static char big[300000];
	struct server s = {.n = 2, .frames = {versions(a, 35, 1, 0), {big, sizeof(big)}}, .silent = true};
	struct kclient *c;
	struct err err;
	pthread_t thread;
	char got[4096], request[8] = {0, 0, 0, 4, 'a', 'b', 'c', 'd'};
	size_t n = 0;
	int pair[2];

	memset(big, 'x', sizeof(big));
	start(&s);
	assert_int_equal(open_it(a, s.port, "plaintext", 5000, &c, &err), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	struct passing p = {c, pair[1]};

	pthread_create(&thread, NULL, pass, &p);
	assert_int_equal(write(pair[0], request, 8), 8);
	while (n < sizeof(big)) {
		ssize_t part = read(pair[0], got, sizeof(got));

		assert_true(part > 0 && got[0] == 'x' && got[part - 1] == 'x');
		n += (size_t)part;
	}
	close(pair[0]);
	pthread_join(thread, NULL);
	kclient_close(c);
	stop(&s);
	arena_free(a);
}

/* librdkafka's socket becomes a way to the server that the id names, logged in; settings are copied. */
static void connect_as(const char *before, const char *behind, bool listens)
{
	struct arena *a = arena_new(1 << 20);
	struct server s = {.n = 2, .frames = {versions(a, 35, 1, 0), STR("hello")}, .silent = true};
	struct kclient_settings *k = mem_zalloc(sizeof(*k));
	char id[64], got[8] = "", request[8] = {0, 0, 0, 4, 'a', 'b', 'c', 'd'};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	start(&s);
	k->protocol = STR("plaintext");
	snprintf(id, sizeof(id), "%s127.0.0.1:%d/%s", before, listens ? s.port : 1, behind);
	assert_int_equal(kclient_rdkafka_connect(k, fd, id), 0);
	memset(k, 0xff, sizeof(*k));
	free(k);
	fcntl(fd, F_SETFL, 0);
	if (listens) {
		assert_int_equal(write(fd, request, 8), 8);
		assert_int_equal(recv(fd, got, 5, MSG_WAITALL), 5);
		assert_string_equal(got, "hello");
	} else {
		assert_int_equal(read(fd, got, 1), 0);
	}
	close(fd);
	int64_t begin = clock_mono_ms();

	kclient_rdkafka_end();
	assert_true(clock_mono_ms() - begin < 900);
	stop(&s);
	arena_free(a);
}

static void test_for_rdkafka(void **state)
{
	connect_as("", "bootstrap", true);
	connect_as("sasl_plaintext://", "1", true);
	connect_as("", "1", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scram),       cmocka_unit_test(test_versions), cmocka_unit_test(test_old_server),
		cmocka_unit_test(test_hostile),     cmocka_unit_test(test_nobody),   cmocka_unit_test(test_relay),
		cmocka_unit_test(test_for_rdkafka),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
