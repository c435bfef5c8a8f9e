/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/mqs/cluster_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* librdkafka gets one end of a pair of sockets instead of its TCP connection; a thread logs in with our own client and
 * passes the bytes on. For librdkafka that is a Kafka without passwords. It closes its end when it needs the connection
 * no more, which ends the thread. */

#define LOGIN_MS 10000

struct relay {
	const struct model_settings *settings;
	char *server; /* "host:port" */
	int fd;
};

static void *run(void *arg)
{
	struct relay *r = arg;
	const struct model_settings *s = r->settings;
	struct arena *a = arena_new((size_t)1 << 20);
	struct kclient_settings k = {str_of(r->server), s->mqs_protocol, s->mqs_mechanism,
				     s->mqs_user,       s->mqs_password, s->mqs_ca_file};
	struct kclient *c = NULL;
	struct err err = {0};

	if (kclient_open(a, &k, clock_mono_ms() + LOGIN_MS, &c, &err) == 0)
		kclient_relay(c, r->fd);
	else
		log_debug("%s", err.text);
	close(r->fd);
	arena_free(a);
	free(r->server);
	free(r);
	return NULL;
}

/* "host:port/bootstrap", "host:port/1" or with "sasl_ssl://" before it. */
static char *server_of(const char *id)
{
	struct str name = str_of(id);
	size_t from = 0;

	for (size_t i = 0; i + 3 <= name.n; i++)
		if (str_eq(str_sub(name, i, i + 3), STR("://")))
			from = i + 3;
	char *server = mem_strdup(id + from);

	server[str_find(str_of(server), '/', 0)] = 0;
	return server;
}

/* Of librdkafka's threads: 0 or an errno. */
static int on_connect(int fd, const struct sockaddr *to, int size, const char *id, void *opaque)
{
	pthread_attr_t attr;
	pthread_t thread;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return errno;
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	if (dup3(pair[0], fd, O_CLOEXEC) < 0) {
		close(pair[0]);
		close(pair[1]);
		return EMFILE;
	}
	close(pair[0]);
	struct relay *r = mem_zalloc(sizeof(*r));

	*r = (struct relay){opaque, server_of(id), pair[1]};
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int rc = pthread_create(&thread, &attr, run, r);

	pthread_attr_destroy(&attr);
	if (rc) {
		close(r->fd);
		free(r->server);
		free(r);
	}
	return rc;
}

void cluster__relay(struct model *m, rd_kafka_conf_t *conf)
{
	cluster__set(conf, "security.protocol", "plaintext");
	/* The settings live as long as the process. */
	rd_kafka_conf_set_opaque(conf, (void *)(uintptr_t)m->settings);
	rd_kafka_conf_set_connect_cb(conf, on_connect);
}
