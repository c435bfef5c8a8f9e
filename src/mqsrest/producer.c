/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/mem.h"
#include "mqsrest/priv.h"

#include <stdlib.h>

#define POLL_MS 100
#define FLUSH_MS 5000
#define TAGS_REFUSED "the application may not publish messages with these tags"

/* One for the process, used by all requests at the same time. After a fatal error another takes its place. */
struct rest_producer {
	const struct rest_server *server;
	rd_kafka_t *rk;
	pthread_t thread; /* serves the reports */
	atomic_uint users;
	atomic_bool down, stop;
};

/* The messages of one request, until each has its report. */
struct sending {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	size_t open;
};

struct sent {
	struct sending *of;
	rd_kafka_resp_err_t code;
};

static void report(struct sent *s, rd_kafka_resp_err_t code)
{
	struct sending *of = s->of;

	pthread_mutex_lock(&of->lock);
	s->code = code;
	if (--of->open == 0)
		pthread_cond_signal(&of->wake);
	pthread_mutex_unlock(&of->lock);
}

static void on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct rest_producer *p = opaque;

	if (!m->err)
		atomic_store(&p->down, false);
	report(m->_private, m->err);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct rest_producer *p = opaque;

	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		atomic_store(&p->down, true);
	log_debug("librdkafka: %s", reason);
}

static int on_connect(int fd, const struct sockaddr *to, int size, const char *id, void *opaque)
{
	const struct rest_producer *p = opaque;

	return kclient_rdkafka_connect(&p->server->options.kafka, fd, id);
}

static void *serve(void *arg)
{
	struct rest_producer *p = arg;

	while (!atomic_load(&p->stop))
		rd_kafka_poll(p->rk, POLL_MS);
	return NULL;
}

/* Needs that nobody uses it any more. */
static void destroy(struct rest_producer *p)
{
	atomic_store(&p->stop, true);
	pthread_join(p->thread, NULL);
	rd_kafka_flush(p->rk, FLUSH_MS);
	rd_kafka_destroy(p->rk);
	free(p);
}

static struct rest_producer *make(struct rest_server *s, struct err *err)
{
	struct rest_producer *p = mem_zalloc(sizeof(*p));
	rd_kafka_conf_t *conf = rest_kafka_conf(s, on_connect, p, err);
	char why[256];

	if (!conf) {
		free(p);
		return NULL;
	}
	p->server = s;
	rest_kafka_set(conf, "acks", "all");
	rest_kafka_set(conf, "enable.idempotence", "true");
	rest_kafka_set(conf, "queue.buffering.max.ms", "1");
	rest_kafka_set(conf, "queue.buffering.max.kbytes", "65536");
	rest_kafka_set(conf, "message.max.bytes", "4194304");
	rest_kafka_set(conf, "message.timeout.ms", "10000");
	rd_kafka_conf_set_dr_msg_cb(conf, on_report);
	rd_kafka_conf_set_error_cb(conf, on_error);
	p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (!p->rk) {
		rd_kafka_conf_destroy(conf);
		err_set_text(err, ERR_APPIA_0500, "the producer cannot be started: %s", why);
	} else if (pthread_create(&p->thread, NULL, serve, p) != 0) {
		rd_kafka_destroy(p->rk);
		p->rk = NULL;
		err_set_text(err, ERR_APPIA_0500, "the producer's thread cannot be started");
	}
	if (p->rk)
		return p;
	free(p);
	return NULL;
}

static struct rest_producer *take(struct rest_server *s, struct err *err)
{
	struct rest_producer *old = NULL, *p;
	char why[256];

	pthread_mutex_lock(&s->producer_lock);
	p = s->producer;
	if (p && rd_kafka_fatal_error(p->rk, why, sizeof(why))) {
		log_error("the producer begins anew: %s", why);
		/* Until the last user has let it go, there is no other. */
		old = atomic_load(&p->users) == 0 ? p : NULL;
		p = NULL;
		if (old)
			s->producer = NULL;
		else
			rest_kafka_unavailable(err, "the producer begins anew");
	}
	if (!s->producer)
		p = s->producer = make(s, err);
	if (p)
		atomic_fetch_add(&p->users, 1);
	pthread_mutex_unlock(&s->producer_lock);
	if (old)
		destroy(old);
	return p;
}

void rest_producer_free(struct rest_server *s)
{
	if (s->producer)
		destroy(s->producer);
	s->producer = NULL;
}

static rd_kafka_headers_t *make_headers(const struct rest_caller *caller, const struct rest_message *m)
{
	rd_kafka_headers_t *h = rd_kafka_headers_new(3);

	rd_kafka_header_add(h, "message_id", -1, m->id.p, (ssize_t)m->id.n);
	rd_kafka_header_add(h, "app_id", -1, caller->app_id.p, (ssize_t)caller->app_id.n);
	if (m->tags.n)
		rd_kafka_header_add(h, "TAGS", -1, m->tags.p, (ssize_t)m->tags.n);
	return h;
}

static void send_one(struct rest_producer *p, const char *topic, const struct rest_caller *caller,
		     const struct rest_message *m, struct sent *sent)
{
	rd_kafka_headers_t *headers = make_headers(caller, m);
	/* Not copied: the request waits for the report. */
	rd_kafka_resp_err_t code =
		rd_kafka_producev(p->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(0),
				  RD_KAFKA_V_VALUE((void *)(uintptr_t)m->content.p, m->content.n),
				  RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(sent), RD_KAFKA_V_END);

	if (code) {
		rd_kafka_headers_destroy(headers);
		report(sent, code);
	}
}

/* As the interface says it; NULL: it is stored. */
static const char *explain(rd_kafka_resp_err_t code)
{
	return code ? rd_kafka_err2str(code) : NULL;
}

static int send_all(struct rest_producer *p, const char *topic, const struct rest_caller *caller,
		    const struct rest_message *messages, size_t n, const char **why, struct err *err)
{
	struct sending sending = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, n};
	struct sent sent[REST_MESSAGES_MAX];
	size_t away = 0, tried = 0;

	for (size_t i = 0; i < n; i++) {
		sent[i] = (struct sent){&sending, 0};
		if (rest_tags_all(&caller->pub_tags, messages[i].tags))
			send_one(p, topic, caller, &messages[i], &sent[i]);
		else
			report(&sent[i], RD_KAFKA_RESP_ERR__NOENT);
	}
	pthread_mutex_lock(&sending.lock);
	while (sending.open)
		pthread_cond_wait(&sending.wake, &sending.lock);
	pthread_mutex_unlock(&sending.lock);
	for (size_t i = 0; i < n; i++) {
		bool refused = sent[i].code == RD_KAFKA_RESP_ERR__NOENT;

		why[i] = refused ? TAGS_REFUSED : explain(sent[i].code);
		tried += !refused;
		away += rest_kafka_away(sent[i].code);
	}
	return tried && away == tried ? rest_kafka_unavailable(err, "it did not take the messages in time") : 0;
}

int rest_produce(struct rest_server *s, struct str topic, const struct rest_caller *caller,
		 const struct rest_message *messages, size_t n, const char **why, struct err *err)
{
	char name[REST_NAME_MAX + 1];
	struct rest_producer *p = take(s, err);
	int rc = 0;

	if (!p)
		return err->code;
	memcpy(name, topic.p, topic.n);
	name[topic.n] = '\0';
	/* Known to be away: said at once, not after the time that a message may take. */
	if (atomic_load(&p->down)) {
		if (rest_kafka_reachable(p->rk))
			atomic_store(&p->down, false);
		else
			rc = rest_kafka_unavailable(err, "it does not answer");
	}
	if (rc == 0)
		rc = send_all(p, name, caller, messages, n, why, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		atomic_fetch_add(why[i] ? &s->stats.produce_failures : &s->stats.produced, 1);
	atomic_fetch_sub(&p->users, 1);
	return rc;
}
