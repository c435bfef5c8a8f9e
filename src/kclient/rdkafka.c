/* SPDX-License-Identifier: Apache-2.0 */
#include "kclient/rdkafka.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* librdkafka gets one end of a pair of sockets instead of its TCP connection; a thread logs in with our own client and
 * passes the bytes on. For librdkafka that is a Kafka without passwords. It closes its end when it needs the connection
 * no more, which ends the thread. */

#define LOGIN_MS 10000
#define END_MS 1000
#define SCRAM_SINCE 0x020601ff /* librdkafka 2.6.1 */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t less;
	unsigned n; /* threads */
} relays = {.lock = PTHREAD_MUTEX_INITIALIZER, .less = PTHREAD_COND_INITIALIZER};

static void count(bool more)
{
	pthread_mutex_lock(&relays.lock);
	relays.n += more ? 1 : -1U;
	if (!more)
		pthread_cond_broadcast(&relays.less);
	pthread_mutex_unlock(&relays.lock);
}

static bool set(rd_kafka_conf_t *conf, const char *name, struct str value)
{
	char *text = mem_zalloc(value.n + 1), why[256];

	memcpy(text, value.n ? value.p : "", value.n);
	bool ok = rd_kafka_conf_set(conf, name, text, why, sizeof(why)) == RD_KAFKA_CONF_OK;

	free(text);
	return ok;
}

const char *kclient_rdkafka_secure(rd_kafka_conf_t *conf, const struct kclient_settings *settings,
				   int (*on_connect)(int fd, const struct sockaddr *to, int size, const char *id,
						     void *opaque))
{
	bool sasl = str_starts(settings->protocol, STR("sasl_"));
	const struct {
		const char *name;
		struct str value;
		bool needed;
	} rows[] = {
		{"security.protocol", settings->protocol, true},
		{"ssl.ca.location", settings->ca_file, str_contains(settings->protocol, STR("ssl"))},
		{"sasl.mechanism", settings->mechanism, settings->user.n > 0},
		{"sasl.username", settings->user, settings->user.n > 0},
		{"sasl.password", settings->password, settings->user.n > 0},
	};

	if (sasl && str_starts(settings->mechanism, STR("SCRAM")) && rd_kafka_version() < SCRAM_SINCE) {
		rd_kafka_conf_set_connect_cb(conf, on_connect);
		return set(conf, "security.protocol", STR("plaintext")) ? NULL : "security.protocol";
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (rows[i].needed && !set(conf, rows[i].name, rows[i].value))
			return rows[i].name;
	return NULL;
}

struct relay {
	struct arena *arena; /* holds this too */
	struct kclient_settings settings;
	int fd;
};

static void *run(void *arg)
{
	struct relay *r = arg;
	struct kclient *c = NULL;
	struct err err = {0};

	if (kclient_open(r->arena, &r->settings, clock_mono_ms() + LOGIN_MS, &c, &err) == 0)
		kclient_relay(c, r->fd);
	else
		log_debug("%s", err.text);
	close(r->fd);
	arena_free(r->arena);
	OPENSSL_thread_stop();
	count(false);
	return NULL;
}

/* "host:port/bootstrap", "host:port/1" or with "sasl_ssl://" before it. */
static struct str server_of(struct str id)
{
	size_t from = 0;

	for (size_t i = 0; i + 3 <= id.n; i++)
		if (str_eq(str_sub(id, i, i + 3), STR("://")))
			from = i + 3;
	id = str_sub(id, from, id.n);
	return str_sub(id, 0, str_find(id, '/', 0));
}

static struct relay *make(const struct kclient_settings *s, struct str server, int fd)
{
	struct arena *a = arena_new((size_t)1 << 20);
	struct relay *r = ARENA_NEW(a, struct relay);

	*r = (struct relay){
		.arena = a,
		.fd = fd,
		.settings = {.servers = arena_str(a, server),
			     .protocol = arena_str(a, s->protocol),
			     .mechanism = arena_str(a, s->mechanism),
			     .user = arena_str(a, s->user),
			     .password = arena_str(a, s->password),
			     .ca_file = arena_str(a, s->ca_file)},
	};
	return r;
}

int kclient_rdkafka_connect(const struct kclient_settings *settings, int fd, const char *id)
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
	struct relay *r = make(settings, server_of(str_of(id)), pair[1]);

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	count(true);
	int rc = pthread_create(&thread, &attr, run, r);

	pthread_attr_destroy(&attr);
	if (rc) {
		count(false);
		close(r->fd);
		arena_free(r->arena);
	}
	return rc;
}

void kclient_rdkafka_end(void)
{
	int64_t until = clock_now_ms() + END_MS;
	struct timespec t = {until / 1000, until % 1000 * 1000000};

	pthread_mutex_lock(&relays.lock);
	while (relays.n && pthread_cond_timedwait(&relays.less, &relays.lock, &t) == 0)
		;
	pthread_mutex_unlock(&relays.lock);
}
