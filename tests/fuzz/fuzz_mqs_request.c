/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "broker/handlers/broker.h"
#include "broker/server/priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* A connection of a hostile client to a whole broker with data in a temporary folder. The first byte says what follows:
 *   0: the bytes of the stream as they are
 *   1: requests, each u8 API key, u8 version, u16 length (little-endian) and so many bytes of body, on a listener
 *      where everybody may do everything
 *   2: such requests on a listener with SASL, without a login
 *   3: the same after a login
 * The broker must answer or close, must not crash, and must serve the next connection. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RESTART_AFTER = 3000, PARTITIONS_MAX = 3000, PATIENCE = 8, LAST = 0x7ea51d };

static struct mqs_options options = {
	.listeners =
		{{.name = "PLAINTEXT", .advertised_host = "127.0.0.1", .advertised_port = 9092},
		 {.name = "SASL_PLAINTEXT", .advertised_host = "127.0.0.1", .advertised_port = 9093, .sasl = true}},
	.n_listeners = 2,
	.loops = 1,
	.connections_max = 100,
	.request_max = 1 << 20,
	.memory_max = 16 << 20,
	.idle_ms = 600000,
	.handlers = mqs_handlers};
static struct mqs_server *server;
static struct mqs_broker broker;
static char dir[64];
static unsigned runs;

static void remove_tree(const char *path)
{
	char name[600];
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && unlink(name) != 0)
			remove_tree(name);
	}
	if (d)
		closedir(d);
	rmdir(path);
}

static void stop(void)
{
	if (!server)
		return;
	/* The loop has no thread of its own here. */
	while (server->loops[0].conns)
		mqs__conn_close(server->loops[0].conns);
	mqs_server_stop(server);
	mqs_broker_close(&broker);
	mqs_server_free(server);
	mqs_broker_free(&broker);
	server = NULL;
	remove_tree(dir);
}

static void make_topic(const char *name)
{
	struct mqs_settings settings = {0};
	struct kafka_uuid id;

	if (mqs_topic_create(&broker, str_of(name), 2, &settings, &id) != 0)
		abort();
}

static void start(void)
{
	struct err err;

	log_init("fuzz", LOG_ERROR);
	snprintf(dir, sizeof(dir), "/tmp/fuzz-mqs-XXXXXX");
	if (!mkdtemp(dir))
		abort();
	memset(&broker, 0, sizeof(broker));
	broker.options = (struct mqs_broker_options){.dir = dir,
						     .published = "/nonexistent",
						     .key = "/nonexistent",
						     .default_partitions = 2,
						     .retention_ms = 1000000,
						     .max_message_bytes = 1 << 20,
						     .segment_bytes = 1 << 20,
						     .auto_create = true,
						     .delete_topics = true,
						     .offsets_retention_ms = 1000000,
						     .administrators = STR("root"),
						     .group_initial_delay_ms = -1,
						     .fetch_sessions_max = 20};
	options.broker = &broker;
	if (mqs_server_start(&options, &server, &err) != 0 || mqs_broker_open(&broker, server, &err) != 0)
		abort();
	mqs__here = &server->loops[0];
	make_topic("t");
	make_topic("te");
	make_topic("text");
}

/* ---- the client ---- */

static void put_request(struct buf *out, int key, int version, int32_t correlation, struct str body)
{
	const struct kafka_api *api = kafka_api_of(key);
	bool flexible = api && version >= api->flexible;
	size_t n = 10 + (flexible ? 1 : 0) + body.n;
	char head[4 + 10 + 1] = {0};

	kafka_store32(head, (uint32_t)n);
	kafka_store16(head + 4, (uint16_t)key);
	kafka_store16(head + 6, (uint16_t)version);
	kafka_store32(head + 8, (uint32_t)correlation);
	kafka_store16(head + 12, 0xffff);
	buf_add(out, head, flexible ? 15 : 14);
	buf_str(out, body);
}

static void put_sasl(struct buf *out, const char *user)
{
	static const char mechanism[] = "\0\5PLAIN";
	char auth[100];
	int n = snprintf(auth + 4, sizeof(auth) - 4, "%c%s%c%s", 0, user, 0, "secret");

	kafka_store32(auth, (uint32_t)n);
	put_request(out, KAFKA_API_SASL_HANDSHAKE, 1, 1, (struct str){mechanism, 7});
	put_request(out, KAFKA_API_SASL_AUTHENTICATE, 1, 2, (struct str){auth, (size_t)n + 4});
}

static void build(const uint8_t *data, size_t size, struct buf *out)
{
	int mode = data[0] & 3;

	data++;
	size--;
	if (mode == 0)
		buf_add(out, data, size);
	if (mode == 3)
		put_sasl(out, "root");
	while (mode && size >= 4) {
		size_t n = data[2] | (size_t)data[3] << 8;

		n = n < size - 4 ? n : size - 4;
		put_request(out, data[0], data[1], 3, (struct str){(const char *)data + 4, n});
		data += 4 + n;
		size -= 4 + n;
	}
	/* The answer to this one says that all before are done. */
	put_request(out, KAFKA_API_API_VERSIONS, 0, LAST, STR(""));
}

/* True when the last request was answered or the connection ended. */
static bool take(int fd)
{
	static char in[1 << 16];
	bool over = false;
	ssize_t n;

	while ((n = recv(fd, in, sizeof(in), MSG_DONTWAIT)) > 0) {
		char last[4];

		kafka_store32(last, LAST);
		over = over || memmem(in, (size_t)n, last, 4);
	}
	return over || n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
}

static void talk(int fd, struct str bytes)
{
	uv_loop_t *uv = &server->loops[0].uv;
	size_t sent = 0;

	for (int i = 0; i < PATIENCE;) {
		ssize_t n = send(fd, bytes.p + sent, bytes.n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		else
			i++;
		uv_run(uv, sent < bytes.n ? UV_RUN_NOWAIT : UV_RUN_ONCE);
		if (take(fd))
			break;
	}
}

static void connect_and_talk(const struct mqs_listener *listener, struct str bytes)
{
	struct mqs_loop *loop = &server->loops[0];
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		abort();
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	atomic_fetch_add(&server->stats.connections, 1);
	mqs__conn_open(loop, fds[0], listener);
	talk(fds[1], bytes);
	close(fds[1]);
	/* What waits in vain is told to stop. */
	for (int i = 0; i < 20 && loop->conns; i++)
		uv_run(&loop->uv, UV_RUN_ONCE);
	if (loop->conns)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct plog_store_stats stats = {0};
	struct buf bytes;

	if (size < 1 || size > 1 << 16)
		return 0;
	if (server)
		plog_store_stats(broker.store, &stats);
	if (++runs % RESTART_AFTER == 0 || stats.partitions > PARTITIONS_MAX)
		stop();
	if (!server) {
		start();
		atexit(stop);
	}
	buf_init(&bytes, 4 << 20);
	build(data, size, &bytes);
	connect_and_talk(&server->options.listeners[(data[0] & 3) >= 2], buf_view(&bytes));
	buf_done(&bytes);
	return 0;
}
