/* SPDX-License-Identifier: Apache-2.0 */
/* appia-mqs: the message broker. */
#include "base/life.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/handlers/broker.h"
#include "conf/conf.h"
#include "httpd/httpd.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct program {
	struct conf *conf;
	struct mqs_options options;
	struct mqs_broker broker;
	struct mqs_server *server;
	struct httpd *httpd;
	char data[PATH_MAX], published[PATH_MAX], key[PATH_MAX], cert[PATH_MAX], cert_key[PATH_MAX], socket[108];
	struct err err;
};

static int usage(void)
{
	fprintf(stderr, "usage: appia-mqs --home DIR\n");
	return 2;
}

static const char *in_home(struct program *p, char *buf, size_t n, const char *name)
{
	snprintf(buf, n, "%.*s/%s", STR_FMT(conf_home(p->conf)), name);
	return buf;
}

/* ---- settings ---- */

static void listener(struct program *p, const char *name, int64_t port, bool sasl, bool tls)
{
	struct str address = conf_str(p->conf, CONF_MQS_ADDRESS), host = conf_str(p->conf, CONF_MQS_ADVERTISED_HOST);
	bool all = str_is(address, "0.0.0.0") || str_is(address, "::");

	if (port == 0)
		return;
	struct mqs_listener *l = &p->options.listeners[p->options.n_listeners++];

	*l = (struct mqs_listener){
		.name = name, .port = (uint16_t)port, .advertised_port = (uint16_t)port, .sasl = sasl, .tls = tls};
	snprintf(l->address, sizeof(l->address), "%.*s", STR_FMT(address));
	if (host.n)
		snprintf(l->advertised_host, sizeof(l->advertised_host), "%.*s", STR_FMT(host));
	else if (!all || gethostname(l->advertised_host, sizeof(l->advertised_host) - 1) != 0)
		snprintf(l->advertised_host, sizeof(l->advertised_host), "%.*s", all ? 9 : (int)address.n,
			 all ? "localhost" : address.p);
}

static void configure(struct program *p)
{
	const struct conf *c = p->conf;
	bool tls;

	in_home(p, p->data, sizeof(p->data), "mqs");
	in_home(p, p->published, sizeof(p->published), "published");
	in_home(p, p->key, sizeof(p->key), "master.key");
	in_home(p, p->cert, sizeof(p->cert), "tls/server.pem");
	in_home(p, p->cert_key, sizeof(p->cert_key), "tls/server.key");
	in_home(p, p->socket, sizeof(p->socket), "mqs.sock");
	tls = access(p->cert, R_OK) == 0 && access(p->cert_key, R_OK) == 0;
	if (!tls && conf_int(c, CONF_MQS_SASL_PORT))
		log_warn("no certificate in tls/: the port with TLS stays closed");
	listener(p, "PLAINTEXT", conf_int(c, CONF_MQS_PORT), false, false);
	listener(p, "SASL_SSL", tls ? conf_int(c, CONF_MQS_SASL_PORT) : 0, true, true);
	listener(p, "SASL_PLAINTEXT", conf_int(c, CONF_MQS_SASL_PLAINTEXT_PORT), true, false);
	p->options.loops = (unsigned)conf_int(c, CONF_MQS_LOOPS);
	p->options.connections_max = (unsigned)conf_int(c, CONF_MQS_CONNECTIONS);
	p->options.request_max = (size_t)conf_int(c, CONF_MQS_MAX_REQUEST);
	p->options.memory_max = (size_t)conf_int(c, CONF_MQS_MEMORY);
	p->options.idle_ms = 600000;
	p->options.tls_cert = p->cert;
	p->options.tls_key = p->cert_key;
	p->options.no_kernel_tls = !conf_bool(c, CONF_MQS_KERNEL_TLS);
	p->options.handlers = mqs_handlers;
	p->options.broker = &p->broker;
	p->options.admit = mqs_quota_admit;
	int64_t delay = conf_int(c, CONF_MQS_REBALANCE_DELAY), session = conf_int(c, CONF_MQS_REST_SESSION);

	p->broker.options = (struct mqs_broker_options){
		.dir = p->data,
		.published = p->published,
		.key = p->key,
		.default_partitions = (int32_t)conf_int(c, CONF_MQS_PARTITIONS),
		.retention_ms = conf_int(c, CONF_MQS_RETENTION),
		.max_message_bytes = conf_int(c, CONF_MQS_MAX_MESSAGE),
		.segment_bytes = conf_int(c, CONF_MQS_SEGMENT),
		.auto_create = conf_bool(c, CONF_MQS_AUTO_CREATE),
		.delete_topics = true,
		.offsets_retention_ms = conf_int(c, CONF_MQS_OFFSETS_RETENTION),
		.sasl_lifetime_ms = conf_int(c, CONF_MQS_SESSION_LIFETIME),
		.administrators = conf_str(c, CONF_MQS_ADMINISTRATORS),
		.group_initial_delay_ms = delay ? (int32_t)delay : -1,
		.group_session_ms = (int32_t)conf_int(c, CONF_MQS_GROUP_SESSION),
		/* Kafka's minimum, unless the platform's own client needs a shorter one. */
		.group_session_min_ms = (int32_t)(session < 6000 ? session : 6000),
		.group_interval_ms = (int32_t)conf_int(c, CONF_MQS_GROUP_HEARTBEAT),
		.group_members_max = (int32_t)conf_int(c, CONF_MQS_GROUP_MEMBERS),
		.fetch_sessions_max = 2000,
	};
}

/* ---- health and metrics ---- */

struct metric {
	const char *name, *type;
	unsigned long long value;
};

static void write_metrics(struct buf *b, const struct metric *m, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_fmt(b, "# TYPE appia_mqs_%s %s\nappia_mqs_%s %llu\n", m[i].name, m[i].type, m[i].name, m[i].value);
}

static void log_metrics(struct buf *b, struct mqs_broker *broker)
{
	struct plog_store_stats s;

	plog_store_stats(broker->store, &s);
	const struct metric rows[] = {
		{"partitions", "gauge", s.partitions},
		{"partitions_broken", "gauge", s.broken},
		{"open_files", "gauge", s.open_files},
		{"appended_bytes_total", "counter", s.appended_bytes},
		{"append_errors_total", "counter", s.append_errors},
		{"sync_rounds_total", "counter", s.sync_rounds},
		{"sync_errors_total", "counter", s.sync_errors},
		{"compacted_segments_total", "counter", s.compacted_segments},
		{"deleted_segments_total", "counter", s.deleted_segments},
	};

	write_metrics(b, rows, ARRAY_LEN(rows));
}

static void coord_metrics(struct buf *b, struct mqs_broker *broker)
{
	struct group_stats g;
	struct txn_stats t;
	struct share_stats s;

	pthread_mutex_lock(&broker->coord);
	group_coord_stats(broker->groups, &g);
	txn_coord_stats(broker->txns, &t);
	share_stats(broker->share, &s);
	pthread_mutex_unlock(&broker->coord);
	const struct metric rows[] = {
		{"groups", "gauge", g.groups},
		{"group_members", "gauge", g.members},
		{"group_offsets", "gauge", g.offsets},
		{"group_rebalances_total", "counter", g.rebalances},
		{"transactional_ids", "gauge", t.ids},
		{"transactions_ongoing", "gauge", t.ongoing},
		{"transaction_timeouts_total", "counter", t.timeouts},
		{"share_partitions", "gauge", s.parts},
		{"share_sessions", "gauge", s.sessions},
		{"share_offsets_in_flight", "gauge", (unsigned long long)s.in_flight},
		{"share_lock_timeouts_total", "counter", s.timeouts},
		{"share_archived_total", "counter", s.archived},
	};

	write_metrics(b, rows, ARRAY_LEN(rows));
}

static void server_metrics(struct buf *b, struct mqs_stats *s)
{
	const struct metric rows[] = {
		{"connections", "gauge", atomic_load(&s->connections)},
		{"connections_accepted_total", "counter", atomic_load(&s->accepted)},
		{"connections_refused_total", "counter", atomic_load(&s->refused)},
		{"requests_total", "counter", atomic_load(&s->requests)},
		{"bad_requests_total", "counter", atomic_load(&s->bad_requests)},
		{"auth_failures_total", "counter", atomic_load(&s->auth_failures)},
		{"bytes_in_total", "counter", atomic_load(&s->bytes_in)},
		{"bytes_out_total", "counter", atomic_load(&s->bytes_out)},
		{"request_memory_bytes", "gauge", atomic_load(&s->memory)},
	};

	write_metrics(b, rows, ARRAY_LEN(rows));
	buf_cstr(b, "# TYPE appia_mqs_api_requests_total counter\n");
	for (int i = 0; i <= KAFKA_API_KEY_MAX; i++)
		if (atomic_load(&s->by_key[i]))
			buf_fmt(b, "appia_mqs_api_requests_total{api=\"%s\"} %llu\n", kafka_api_of(i)->name,
				(unsigned long long)atomic_load(&s->by_key[i]));
}

static void on_http(void *ctx, const struct httpd_request *req, struct httpd_reply *reply)
{
	struct program *p = ctx;

	reply->status = 200;
	reply->content_type = STR("text/plain; version=0.0.4");
	if (str_is(req->target, "/metrics")) {
		server_metrics(&reply->body, mqs_server_stats(p->server));
		log_metrics(&reply->body, &p->broker);
		coord_metrics(&reply->body, &p->broker);
	} else if (str_is(req->target, "/health")) {
		reply->content_type = STR("application/json");
		buf_fmt(&reply->body, "{\"status\":\"ok\",\"cluster_id\":\"%.*s\"}", STR_FMT(p->broker.cluster_id));
	} else {
		reply->status = 404;
	}
}

/* ---- life ---- */

/* Connections leave descriptors for the files of partitions. */
static void limit_connections(struct program *p)
{
	enum { FILES = 6000 };
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == RLIM_INFINITY)
		return;
	rlim_t most = r.rlim_cur > 2 * FILES ? r.rlim_cur - FILES : r.rlim_cur / 2;

	if (p->options.connections_max <= most)
		return;
	log_warn("only %llu files may be open: at most %llu connections are taken", (unsigned long long)r.rlim_cur,
		 (unsigned long long)most);
	p->options.connections_max = (unsigned)most;
}

static int start(struct program *p)
{
	int code = mqs_server_start(&p->options, &p->server, &p->err);

	if (code == 0)
		code = mqs_broker_open(&p->broker, p->server, &p->err);
	if (code == 0)
		code = httpd_start(&(struct httpd_options){.socket_path = p->socket,
							   .max_body = 1024,
							   .idle_seconds = 60,
							   .handler = on_http,
							   .ctx = p},
				   &p->httpd, &p->err);
	if (code == 0)
		code = mqs_server_listen(p->server, &p->err);
	for (unsigned i = 0; code == 0 && i < p->options.n_listeners; i++)
		log_info("listening: %s on %s:%u", p->options.listeners[i].name, p->options.listeners[i].address,
			 p->options.listeners[i].port);
	return code;
}

static void stop(struct program *p)
{
	httpd_stop(p->httpd);
	if (p->server)
		mqs_server_stop(p->server);
	mqs_broker_close(&p->broker);
	mqs_server_free(p->server);
	mqs_broker_free(&p->broker);
	conf_free(p->conf);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"home", 1, NULL, 'h'}, {NULL, 0, NULL, 0}};
	static struct program p;
	const char *home = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (c == 'h')
			home = optarg;
		else
			return usage();
	if (!home || optind != argc)
		return usage();
	log_init("appia-mqs", LOG_INFO);
	umask(0077);
	/* Requests of a megabyte and more come and go: their memory is kept. */
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 96 << 20);
	mallopt(M_ARENA_MAX, 4);
	life_raise_files();
	life_begin();
	int code = conf_load(home, &p.conf, &p.err);

	if (code == 0) {
		configure(&p);
		limit_connections(&p);
		code = start(&p);
	}
	if (code == 0) {
		log_info("ready after %lld ms", (long long)(clock_now_ms() - p.broker.started_ms));
		life_wait(NULL, NULL);
		log_info("stopping");
	} else {
		log_error("%s", p.err.text);
	}
	stop(&p);
	return code ? 1 : 0;
}
