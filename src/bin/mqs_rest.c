/* SPDX-License-Identifier: Apache-2.0 */
/* appia-mqs-rest: the REST interface of message integration, a Kafka client behind the front door. */
#include "base/life.h"
#include "base/log.h"
#include "bin/appiad/mqs_settings.h"
#include "conf/conf.h"
#include "httpd/httpd.h"
#include "mqsrest/server.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#define MAX_BODY ((size_t)5 << 20) /* 2 MiB of messages, escaped, with what is around them */

struct program {
	struct arena *arena;
	struct conf *conf;
	struct sign_keyring *keys;
	struct rest_server *server;
	struct httpd *httpd;
	char published[PATH_MAX], key[PATH_MAX], socket[PATH_MAX];
	struct err err;
};

static int usage(void)
{
	fprintf(stderr, "usage: appia-mqs-rest --home DIR\n");
	return 2;
}

static const char *in_home(struct program *p, char *buf, const char *name)
{
	snprintf(buf, PATH_MAX, "%.*s/%s", STR_FMT(conf_home(p->conf)), name);
	return buf;
}

static int make_server(struct program *p)
{
	struct model_settings kafka = {0};
	int64_t connections = conf_int(p->conf, CONF_MQS_REST_CONNECTIONS);
	int rc = sign_keyring_open(in_home(p, p->key, "master.key"), false, &p->keys, &p->err);

	if (rc == 0)
		rc = mqs_settings_fill(p->conf, p->keys, p->arena, &kafka, &p->err);
	if (rc)
		return rc;
	struct rest_options o = {.published = in_home(p, p->published, "published"),
				 .key_file = p->key,
				 .kafka = {.servers = arena_str(p->arena, kafka.mqs_servers),
					   .protocol = kafka.mqs_protocol,
					   .mechanism = kafka.mqs_mechanism,
					   .user = kafka.mqs_user,
					   .password = kafka.mqs_password,
					   .ca_file = kafka.mqs_ca_file},
				 /* The others are for those who produce and acknowledge. */
				 .waiting_max = (unsigned)(connections * 3 / 4),
				 .groups_max = (unsigned)conf_int(p->conf, CONF_MQS_REST_GROUPS),
				 .memory_max = (size_t)conf_int(p->conf, CONF_MQS_REST_MEMORY),
				 .idle_ms = conf_int(p->conf, CONF_MQS_REST_IDLE),
				 .session_ms = (int)conf_int(p->conf, CONF_MQS_REST_SESSION)};

	return rest_server_new(&o, &p->server, &p->err);
}

static int start(struct program *p, const char *home)
{
	int rc = conf_load(home, &p->conf, &p->err);

	if (rc == 0)
		rc = make_server(p);
	return rc ? rc
		  : httpd_start(&(struct httpd_options){.socket_path = in_home(p, p->socket, "mqs-rest.sock"),
							.max_body = MAX_BODY,
							.max_connections =
								(unsigned)conf_int(p->conf, CONF_MQS_REST_CONNECTIONS),
							.memory_max = (size_t)conf_int(p->conf, CONF_MQS_REST_MEMORY),
							.idle_seconds = 300,
							.handler = rest_server_handle,
							.ctx = p->server},
				&p->httpd, &p->err);
}

static void stop(struct program *p)
{
	if (p->server)
		rest_server_stop(p->server);
	httpd_stop(p->httpd);
	rest_server_free(p->server);
	sign_keyring_free(p->keys);
	conf_free(p->conf);
	arena_free(p->arena);
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
	log_init("appia-mqs-rest", LOG_INFO);
	umask(0077);
	life_raise_files();
	life_begin();
	p.arena = arena_new(1 << 20);
	int code = start(&p, home);

	if (code == 0) {
		log_info("listening on %s", p.socket);
		life_wait(NULL, NULL);
		log_info("stopping");
	} else {
		log_error("%s", p.err.text);
	}
	stop(&p);
	return code ? 1 : 0;
}
