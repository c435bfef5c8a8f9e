/* SPDX-License-Identifier: Apache-2.0 */
#include "broker.h"
#include "ledger.h"

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
 * kill -9, looks that everything is there, opens CONNECTIONS connections that all get an answer, and prints times
 * (cpu_: processor time of a start) and resident memory: "name value" lines in ms and MiB. */

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

/* User and system time so far, in ms. */
static double cpu(void)
{
	char path[64];
	unsigned long user = 0, sys = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)broker.pid);
	FILE *f = fopen(path, "r");

	if (f && fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
		user = sys = 0;
	if (f)
		fclose(f);
	return (double)(user + sys) * 1000 / (double)sysconf(_SC_CLK_TCK);
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

static void produce_all(void)
{
	int64_t began = now_us();
	int code;

	for (int i = 0; i < n_topics; i++)
		if ((code = client_produce(&broker.admin, topic_name(i), n_parts)) != 0)
			wrong("produce to %s: error %d", topic_name(i), code);
	show("produce_ms", (double)(now_us() - began) / 1000);
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
	snprintf(name, sizeof(name), "cpu_%s_ms", what);
	show(name, cpu());
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
