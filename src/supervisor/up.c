/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/up.h"

#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "supervisor/nginx_conf.h"
#include "supervisor/orphans.h"
#include "supervisor/sample.h"
#include "supervisor/supervise.h"
#include "supervisor/tls.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_MS 60000
#define ORPHANS_MS 10000

enum { APPIAD, WORKER, NGINX, CHILDREN = NGINX + 3 };

struct up {
	struct home home;
	struct conf *conf;
	struct arena *a;
	struct child children[CHILDREN];
	size_t n_children; /* what is switched off stands in no place */
	struct err err;
};

static const char *in_home(struct up *up, const char *name)
{
	return arena_fmt(up->a, "%s/%s", up->home.dir, name).p;
}

static const char *program(struct up *up, const char *name)
{
	struct str beside = arena_fmt(up->a, "%s/%s", up->home.bin, name);

	return access(beside.p, X_OK) == 0 ? beside.p
					   : arena_fmt(up->a, "%s/../libexec/appia/%s", up->home.bin, name).p;
}

static const char *number(struct up *up, int64_t v)
{
	return arena_fmt(up->a, "%lld", (long long)v).p;
}

/* With the engine "kafka" the messages are elsewhere. */
static bool has_broker(const struct up *up)
{
	return conf_bool(up->conf, CONF_MQS_ENABLED) && str_is(conf_str(up->conf, CONF_MQS_ENGINE), "embedded");
}

/* The REST interface is a client of either Kafka. */
static bool has_rest(const struct up *up)
{
	return conf_int(up->conf, CONF_MQS_REST_PORT) &&
	       (has_broker(up) || str_is(conf_str(up->conf, CONF_MQS_ENGINE), "kafka"));
}

static void plan_mqs(struct up *up, const char *name, const char *log, const char *socket)
{
	up->children[up->n_children++] = (struct child){
		.name = name,
		.argv = {program(up, name), "--home", up->home.dir},
		.log_path = in_home(up, log),
		.stop_signal = SIGTERM,
		.reopen_signal = SIGHUP,
		.ready_socket = in_home(up, socket),
	};
}

static void plan_children(struct up *up)
{
	struct arena *a = up->a;
	const struct conf *conf = up->conf;

	up->children[APPIAD] = (struct child){
		.name = "appiad",
		.argv = {program(up, "appiad"), "--home", up->home.dir},
		.env = {arena_fmt(a, "APPIA_LOG_LEVEL=%s", conf_str(conf, CONF_LOG_LEVEL).p).p},
		.log_path = in_home(up, "log/appiad.log"),
		.second_log = in_home(up, "log/audit.log"),
		.stop_signal = SIGTERM,
		.reopen_signal = SIGHUP,
		.ready_socket = up->home.appiad_socket,
	};
	up->children[WORKER] = (struct child){
		.name = "appia-worker",
		.argv = {program(up, "appia-worker"), "--socket", up->home.worker_socket, "--published",
	                 in_home(up, "published"), "--key", in_home(up, "master.key"), "--connections",
	                 number(up, conf_int(conf, CONF_WORKER_THREADS)), "--pool",
	                 number(up, conf_int(conf, CONF_WORKER_CONNECTIONS)), "--script-cpu-ms",
	                 number(up, conf_int(conf, CONF_WORKER_SCRIPT_CPU)), "--script-memory",
	                 number(up, conf_int(conf, CONF_WORKER_SCRIPT_MEMORY) >> 20), "--memory",
	                 number(up, conf_int(conf, CONF_WORKER_MEMORY) >> 20), "--allow-private-networks",
	                 conf_bool(conf, CONF_WORKER_ALLOW_PRIVATE_NETWORKS) ? "1" : "0"},
		.log_path = in_home(up, "log/appia-worker.log"),
		.stop_signal = SIGTERM,
		.reopen_signal = SIGHUP,
		.ready_socket = up->home.worker_socket,
	};
	up->children[NGINX] = (struct child){
		.name = "nginx",
		.argv = {"/usr/sbin/nginx", "-p", up->home.dir, "-c", in_home(up, "nginx/nginx.conf"), "-e",
			 in_home(up, "log/nginx.log")},
		.log_path = in_home(up, "log/nginx.log"),
		.stop_signal = SIGQUIT,
		.reopen_signal = SIGUSR1,
		.ready_file = in_home(up, "run/nginx.pid"), /* written after the ports are bound */
	};
	up->n_children = NGINX + 1;
	if (has_broker(up))
		plan_mqs(up, "appia-mqs", "log/appia-mqs.log", "mqs.sock");
	if (has_rest(up))
		plan_mqs(up, "appia-mqs-rest", "log/appia-mqs-rest.log", "mqs-rest.sock");
}

static int write_nginx_conf(struct up *up)
{
	const struct conf *conf = up->conf;
	struct nginx_settings s = {
		.management_address = conf_str(conf, CONF_MANAGEMENT_ADDRESS).p,
		.gateway_address = conf_str(conf, CONF_GATEWAY_ADDRESS).p,
		.management_http_port = (int)conf_int(conf, CONF_MANAGEMENT_HTTP_PORT),
		.management_https_port = (int)conf_int(conf, CONF_MANAGEMENT_HTTPS_PORT),
		.gateway_http_port = (int)conf_int(conf, CONF_GATEWAY_HTTP_PORT),
		.gateway_https_port = (int)conf_int(conf, CONF_GATEWAY_HTTPS_PORT),
		.mqs_address = conf_str(conf, CONF_MQS_ADDRESS).p,
		.mqs_rest_port = has_rest(up) ? (int)conf_int(conf, CONF_MQS_REST_PORT) : 0,
		.mqs_rest_connections = (int)conf_int(conf, CONF_MQS_REST_CONNECTIONS),
		.workers = (int)conf_int(conf, CONF_GATEWAY_WORKERS),
		.max_body = conf_int(conf, CONF_GATEWAY_MAX_BODY),
		.error_level = conf_str(conf, CONF_LOG_LEVEL).p,
	};

	return nginx_conf_write(&up->home, &s, &up->err);
}

static int prepare(struct up *up)
{
	int rc = home_open(&up->home, true, &up->err);

	if (rc == 0)
		rc = home_lock(&up->home, &up->err);
	if (rc == 0)
		rc = orphans_wait(in_home(up, "run/children.lock"), ORPHANS_MS, &up->err);
	if (rc == 0 && access(in_home(up, "appia.yaml"), F_OK) < 0)
		rc = conf_write_default(in_home(up, "appia.yaml"), &up->err);
	if (rc == 0)
		rc = conf_load(up->home.dir, &up->conf, &up->err);
	if (rc == 0)
		rc = tls_ensure(in_home(up, "tls"), conf_str(up->conf, CONF_GATEWAY_DOMAIN).p, &up->err);
	if (rc == 0)
		rc = write_nginx_conf(up);
	if (rc == 0)
		plan_children(up);
	return rc ? rc : supervise_init(&up->err);
}

/* How this machine reaches what listens at the address. */
static const char *host_of(struct up *up, enum conf_id id)
{
	struct str address = conf_str(up->conf, id);

	if (str_is(address, "0.0.0.0"))
		return "127.0.0.1";
	if (str_is(address, "::"))
		return "[::1]";
	return str_find(address, ':', 0) < address.n && address.p[0] != '['
		       ? arena_fmt(up->a, "[%.*s]", STR_FMT(address)).p
		       : address.p;
}

static void print_gateway(struct up *up)
{
	int http = (int)conf_int(up->conf, CONF_GATEWAY_HTTP_PORT),
	    https = (int)conf_int(up->conf, CONF_GATEWAY_HTTPS_PORT);
	const char *host = host_of(up, CONF_GATEWAY_ADDRESS);

	printf("  gateway     ");
	if (http)
		printf(" http://%s:%d", host, http);
	if (https)
		printf("%s https://%s:%d (CA: %s)", http ? "," : "", host, https, in_home(up, "tls/ca.pem"));
	puts(http || https ? "" : " off");
}

/* who: of the credentials file; NULL: it has been put away. */
static void print_summary(struct up *up, const struct cli_profile *who, struct str url, bool first)
{
	int http = (int)conf_int(up->conf, CONF_GATEWAY_HTTP_PORT);

	printf("Appia is running; its data is in %s\n", up->home.dir);
	printf("  management   %.*s\n", STR_FMT(url));
	print_gateway(up);
	if (who && first)
		printf("  first login  domain %.*s, user %.*s, password and keys in %s\n", STR_FMT(who->domain),
		       STR_FMT(who->user), in_home(up, "credentials.json"));
	else if (who)
		printf("  credentials  %s\n", in_home(up, "credentials.json"));
	if (http)
		printf("  try          curl 'http://%s:%d/sample/cities?country=IT'\n",
		       host_of(up, CONF_GATEWAY_ADDRESS), http);
	if (has_broker(up) && conf_int(up->conf, CONF_MQS_PORT))
		printf("  Kafka        echo hello | kcat -b %s:%d -P -t sample; kcat -b %s:%d -C -t sample -e\n",
		       host_of(up, CONF_MQS_ADDRESS), (int)conf_int(up->conf, CONF_MQS_PORT),
		       host_of(up, CONF_MQS_ADDRESS), (int)conf_int(up->conf, CONF_MQS_PORT));
	if (has_rest(up))
		printf("  messages     https://%s:%d/v1/topic/ (REST)\n", host_of(up, CONF_MQS_ADDRESS),
		       (int)conf_int(up->conf, CONF_MQS_REST_PORT));
	if (str_is(conf_str(up->conf, CONF_MQS_ENGINE), "kafka"))
		printf("  Kafka        %.*s is managed, no broker is started\n",
		       STR_FMT(conf_str(up->conf, CONF_MQS_BOOTSTRAP_SERVERS)));
	fflush(stdout);
}

static struct str management_url(struct up *up)
{
	int http = (int)conf_int(up->conf, CONF_MANAGEMENT_HTTP_PORT);
	int https = (int)conf_int(up->conf, CONF_MANAGEMENT_HTTPS_PORT);
	const char *host = host_of(up, CONF_MANAGEMENT_ADDRESS);

	if (!http && !https)
		return STR("off");
	return http ? arena_fmt(up->a, "http://%s:%d", host, http) : arena_fmt(up->a, "https://%s:%d", host, https);
}

static int run(struct up *up)
{
	struct cli_profile profile;
	bool first = access(in_home(up, "credentials.json"), F_OK) < 0;
	int rc = supervise_start(up->children, up->n_children, START_MS, &up->err);

	if (rc)
		return rc;
	struct err err = {0};
	struct str url = management_url(up);
	/* Whoever keeps the credentials elsewhere does without the sample. */
	bool known = cli_profile_read(up->a, in_home(up, "credentials.json"), &profile, &err) == 0;

	profile.management_url = url;
	if (!known || !conf_int(up->conf, CONF_MANAGEMENT_HTTP_PORT))
		log_info("the sample is not looked at: %s", known ? "no HTTP port" : err.text);
	else if (sample_ensure(&up->home, &profile, &err))
		log_warn("the sample could not be made: %s", err.text);
	print_summary(up, known ? &profile : NULL, url, first);
	supervise_run(
		up->children, up->n_children,
		&(struct rotation){conf_int(up->conf, CONF_LOG_MAX_SIZE), (int)conf_int(up->conf, CONF_LOG_KEEP)});
	supervise_stop(up->children, up->n_children);
	return 0;
}

int up_run(int argc, char **argv)
{
	struct up up = {.a = arena_new((size_t)16 << 20)};
	int rc;

	if (argc > 0) {
		fprintf(stderr, "usage: appia up   (settings: $APPIA_HOME/appia.yaml)\n");
		return 2;
	}
	umask(0077);
	log_init("appia", LOG_INFO);
	rc = prepare(&up);
	if (rc == 0)
		rc = run(&up);
	if (rc)
		fprintf(stderr, "appia: %s\n", up.err.text);
	conf_free(up.conf);
	arena_free(up.a);
	return rc ? 1 : 0;
}
