/* SPDX-License-Identifier: Apache-2.0 */
#include "broker.h"
#include "ledger.h"

#include "kafka/batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Many partitions and many connections.
 *
 * usage: mqs_scale APPIA_MQS HOME PORT TOPICS PARTITIONS CONNECTIONS
 *
 * Makes TOPICS topics of PARTITIONS each, writes to all of them, restarts the broker after an orderly stop and after
 * kill -9, looks that everything is there, opens CONNECTIONS connections that all get an answer, and prints times and
 * resident memory: "name value" lines in ms and MiB. */

static struct broker broker;
static int n_topics;
static int32_t n_parts;

static double rss(void)
{
	char path[64], line[256];
	long kib = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)broker.pid);
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return (double)kib / 1024;
}

static void show(const char *name, double value)
{
	printf("%s %.1f\n", name, value);
	fflush(stdout);
}

static const char *topic_name(int i)
{
	static char name[32];

	snprintf(name, sizeof(name), "scale-%d", i);
	return name;
}

static void make_batch(struct buf *out)
{
	struct kafka_builder kb;
	char value[100];

	memset(value, 'x', sizeof(value));
	kafka_builder_init(&kb, 1 << 20);
	if (kafka_builder_add(&kb, (int64_t)time(NULL) * 1000, STR("key"), (struct str){value, sizeof(value)}, NULL, 0))
		abort();
	kb.head.producer_id = -1;
	kb.head.producer_epoch = -1;
	kb.head.base_sequence = -1;
	if (kafka_builder_finish(&kb, KAFKA_CODEC_NONE, KAFKA_LEVEL_DEFAULT, out))
		abort();
	kafka_builder_done(&kb);
}

/* One record to each partition of a topic. */
static void produce(int topic, struct str batch)
{
	struct arena *a = arena_new(64 << 20);
	struct kafka_produce_req *req = KAFKA_NEW(a, kafka_produce_req);
	struct kafka_produce_req_topic_data *t = KAFKA_ARRAY(a, kafka_produce_req_topic_data, 1);

	t->name = str_of(topic_name(topic));
	t->partition_data.n = n_parts;
	t->partition_data.v = KAFKA_ARRAY(a, kafka_produce_req_partition_data, (size_t)n_parts);
	for (int32_t i = 0; i < n_parts; i++) {
		t->partition_data.v[i].index = i;
		t->partition_data.v[i].records = batch;
	}
	req->acks = -1;
	req->timeout_ms = 30000;
	req->topic_data.v = t;
	req->topic_data.n = 1;
	struct kafka_produce_res *res = client_call(&broker.admin, KAFKA_API_PRODUCE, 9, req, a);

	if (!res || res->responses.n != 1 || res->responses.v[0].partition_responses.n != n_parts)
		wrong("produce to %s: no answer", topic_name(topic));
	for (int32_t i = 0; i < n_parts; i++)
		if (res->responses.v[0].partition_responses.v[i].error_code)
			wrong("produce to %s-%d: error %d", topic_name(topic), i,
			      res->responses.v[0].partition_responses.v[i].error_code);
	arena_free(a);
}

static void produce_all(void)
{
	struct buf batch;

	buf_init(&batch, 1 << 20);
	make_batch(&batch);
	int64_t began = now_us();

	for (int i = 0; i < n_topics; i++)
		produce(i, buf_view(&batch));
	show("produce_ms", (double)(now_us() - began) / 1000);
	buf_done(&batch);
}

static void expect_end(int64_t want)
{
	for (int i = 0; i < n_topics; i++) {
		int64_t end = -1;
		int32_t part = (int32_t)(i * 7919 % n_parts);
		int code = client_offset(&broker.admin, topic_name(i), part, false, &end);

		if (code || end != want)
			wrong("%s-%d ends at %lld (error %d)", topic_name(i), part, (long long)end, code);
	}
}

static void start(const char *what)
{
	char name[64];
	int64_t began = now_us();

	broker_spawn(&broker);
	broker_wait_ready(&broker);
	snprintf(name, sizeof(name), "start_%s_ms", what);
	show(name, (double)(now_us() - began) / 1000);
	snprintf(name, sizeof(name), "rss_%s_mib", what);
	show(name, rss());
}

static void make_topics(void)
{
	struct kafka_uuid id;
	int64_t began = now_us();

	for (int i = 0; i < n_topics; i++) {
		int code = client_create_topic(&broker.admin, topic_name(i), n_parts, NULL, &id);

		if (code)
			wrong("topic %s cannot be made: %d", topic_name(i), code);
	}
	show("create_ms", (double)(now_us() - began) / 1000);
	show("rss_created_mib", rss());
}

/* From many loopback addresses, so that there are ports for all. */
static int connect_from(int number)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(broker.port)}, from = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	from.sin_addr.s_addr = htonl(0x7f000002u + (uint32_t)(number / 10000));
	if (fd < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
	    connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0)
		wrong("connection %d: %s", number, strerror(errno));
	return fd;
}

static void ask(int fd, int number)
{
	/* ApiVersions 0 without a client id. */
	static const unsigned char request[] = {0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff};
	unsigned char head[10];

	if (send(fd, request, sizeof(request), MSG_NOSIGNAL) != (ssize_t)sizeof(request) ||
	    recv(fd, head, sizeof(head), MSG_WAITALL) != (ssize_t)sizeof(head) || head[7] != 7 || head[8] || head[9])
		wrong("connection %d gets no answer", number);
}

static void connections(int n)
{
	int *fds = calloc((size_t)n + 1, sizeof(int));
	int64_t began = now_us();

	for (int i = 0; i < n; i++)
		fds[i] = connect_from(i);
	for (int i = 0; i < n; i++)
		ask(fds[i], i);
	show("connect_ms", (double)(now_us() - began) / 1000);
	show("rss_connected_mib", rss());
	began = now_us();
	produce_all();
	expect_end(3);
	for (int i = 0; i < n; i++)
		close(fds[i]);
	free(fds);
}

int main(int argc, char **argv)
{
	struct rlimit files;

	if (argc != 7) {
		fprintf(stderr, "usage: mqs_scale APPIA_MQS HOME PORT TOPICS PARTITIONS CONNECTIONS\n");
		return 2;
	}
	broker_init(&broker, argv[1], argv[2], argv[3]);
	n_topics = (int)strtol(argv[4], NULL, 10);
	n_parts = (int32_t)strtol(argv[5], NULL, 10);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	start("empty");
	make_topics();
	produce_all();
	show("rss_written_mib", rss());
	int64_t began = now_us();

	broker_end(&broker, SIGTERM);
	show("stop_ms", (double)(now_us() - began) / 1000);
	start("clean");
	expect_end(1);
	broker_end(&broker, SIGKILL);
	start("killed_idle");
	expect_end(1);
	produce_all();
	show("rss_written_again_mib", rss());
	broker_end(&broker, SIGKILL);
	start("killed");
	expect_end(2);
	connections((int)strtol(argv[6], NULL, 10));
	broker_end(&broker, SIGTERM);
	return 0;
}
