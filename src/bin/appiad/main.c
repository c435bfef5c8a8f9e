/* SPDX-License-Identifier: Apache-2.0 */

/* appiad: the control plane. Answers the management API on a Unix socket, keeps the system of record and projects the
 * published state. */
#include "api/authorise.h"
#include "api/credentials.h"
#include "api/dispatch.h"
#include "base/clock.h"
#include "base/life.h"
#include "base/log.h"
#include "bin/appiad/acl_keeper.h"
#include "bin/appiad/audit.h"
#include "bin/appiad/credentials_file.h"
#include "bin/appiad/mqs_settings.h"
#include "bin/appiad/publisher.h"
#include "conf/conf.h"
#include "httpd/httpd.h"
#include "model/iam/bootstrap.h"
#include "openapi_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BODY ((size_t)64 << 20)

struct daemon {
	char home[4096];
	struct conf *conf;
	struct sign_keyring *keys;
	struct store *store;
	struct pub *pub;
	struct publisher *publisher;
	struct acl_keeper *acl_keeper; /* NULL: the own broker reads the published state */
	struct audit *audit;
	struct httpd *httpd;
	struct arena *arena; /* of the settings */
	struct model_settings settings;
	struct api api;
};

static const char *in_home(const struct daemon *d, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s", d->home, name);
	return buf;
}

static struct str url_of(struct daemon *d, struct str address, int64_t port)
{
	bool any = str_is(address, "0.0.0.0") || str_is(address, "::");
	bool v6 = !any && str_find(address, ':', 0) < address.n && address.p[0] != '[';

	return arena_fmt(d->arena, "http://%s%.*s%s:%lld", v6 ? "[" : "", STR_FMT(any ? STR("127.0.0.1") : address),
	                 v6 ? "]" : "", (long long)port);
}

static void fill_settings(struct daemon *d)
{
	struct model_settings *s = &d->settings;
	struct str url = conf_str(d->conf, CONF_MANAGEMENT_URL);
	struct str address = conf_str(d->conf, CONF_GATEWAY_ADDRESS);

	s->region = conf_str(d->conf, CONF_REGION_NAME);
	s->management_url = url.n ? url
	                          : url_of(d, conf_str(d->conf, CONF_MANAGEMENT_ADDRESS),
	                                   conf_int(d->conf, CONF_MANAGEMENT_HTTP_PORT));
	s->gateway_domain = conf_str(d->conf, CONF_GATEWAY_DOMAIN);
	s->gateway_http_port = (int)conf_int(d->conf, CONF_GATEWAY_HTTP_PORT);
	s->gateway_https_port = (int)conf_int(d->conf, CONF_GATEWAY_HTTPS_PORT);
	s->gateway_address = arena_fmt(d->arena, "%.*s:%d", STR_FMT(address), s->gateway_http_port);
	s->worker_socket = arena_fmt(d->arena, "%s/run/worker.sock", d->home);
	s->data_dir = str_of(d->home);
	s->token_lifetime_ms = conf_int(d->conf, CONF_IAM_TOKEN_LIFETIME);
	s->lock_after = conf_int(d->conf, CONF_IAM_LOCK_AFTER);
	s->lock_for_ms = conf_int(d->conf, CONF_IAM_LOCK_FOR);
	s->identity_providers = conf_str(d->conf, CONF_IAM_IDENTITY_PROVIDERS);
}

static void on_publish(void *ctx)
{
	struct daemon *d = ctx;

	publisher_kick(d->publisher);
	acl_keeper_kick(d->acl_keeper);
}

static void on_audit(void *ctx, const struct api_call *call, int status)
{
	audit_write(((struct daemon *)ctx)->audit, call, status);
}

static void on_reopen(void *ctx)
{
	audit_reopen(((struct daemon *)ctx)->audit);
}

static int open_store(struct daemon *d, struct err *err)
{
	char path[4200], url[4300];
	struct str set = conf_str(d->conf, CONF_STORE_URL);

	snprintf(url, sizeof(url), "sqlite:%s", in_home(d, "appia.db", path, sizeof(path)));
	return store_open(set.n ? set.p : url, (unsigned)conf_int(d->conf, CONF_STORE_CONNECTIONS), &d->store, err);
}

static struct model model_of(struct daemon *d)
{
	return (struct model){.arena = arena_new((size_t)16 << 20),
			      .store = d->store,
			      .keys = d->keys,
			      .now_ms = clock_now_ms(),
			      .settings = &d->settings};
}

/* A key is made at the first start only. Later, a file that is missing is one to be put back: with a new key nothing of
 * what is stored could be opened. */
static int open_keys(struct daemon *d, struct err *err)
{
	struct model m = model_of(d);
	char path[4200];
	bool installed = false;
	int rc = iam_installed(&m, &installed);

	if (rc == 0)
		rc = sign_keyring_open(in_home(d, "master.key", path, sizeof(path)), !installed, &d->keys, &m.err);
	m.keys = d->keys;
	if (rc == 0)
		rc = iam_check_keys(&m);
	arena_free(m.arena);
	*err = m.err;
	return rc;
}

static int bootstrap(struct daemon *d, struct err *err)
{
	struct model m = model_of(d);
	int rc = credentials_bootstrap(
		&m, d->home, conf_str(d->conf, CONF_IAM_DOMAIN_NAME), conf_str(d->conf, CONF_IAM_USER_NAME),
		d->settings.management_url,
		url_of(d, conf_str(d->conf, CONF_GATEWAY_ADDRESS), d->settings.gateway_http_port));

	arena_free(m.arena);
	*err = m.err;
	return rc;
}

static int serve(struct daemon *d, struct err *err)
{
	char path[4200];
	struct httpd_options options = {
		.socket_path = in_home(d, "run/appiad.sock", path, sizeof(path)),
		.max_body = MAX_BODY,
		.memory_max = (size_t)conf_int(d->conf, CONF_MANAGEMENT_MEMORY),
		.max_connections = 512,
		.idle_seconds = 120,
		.handler = api_serve,
		.ctx = &d->api,
	};

	d->api = (struct api){
		.tables = &api_tables,
		.calls = api_calls,
		.store = d->store,
		.keys = d->keys,
		.settings = &d->settings,
		.openapi = {openapi_text, openapi_text_len},
		.authenticate = api_authenticate,
		.authorise = api_authorise,
		.publish = on_publish,
		.audit = on_audit,
		.ctx = d,
	};
	return httpd_start(&options, &d->httpd, err);
}

static int start(struct daemon *d, struct err *err)
{
	char path[4200];
	int rc = conf_load(d->home, &d->conf, err);

	if (rc)
		return rc;
	d->arena = arena_new((size_t)1 << 20);
	fill_settings(d);
	mkdir(in_home(d, "run", path, sizeof(path)), 0700);
	mkdir(in_home(d, "log", path, sizeof(path)), 0700);
	rc = open_store(d, err);
	if (rc == 0)
		rc = open_keys(d, err);
	if (rc == 0)
		rc = mqs_settings_fill(d->conf, d->keys, d->arena, &d->settings, err);
	if (rc == 0)
		rc = pub_open(in_home(d, "published", path, sizeof(path)),
			      (size_t)conf_int(d->conf, CONF_PUBLISHED_MAP_SIZE), true, &d->pub, err);
	if (rc == 0)
		rc = bootstrap(d, err);
	if (rc == 0)
		rc = publisher_start(d->store, d->pub, d->keys, &d->settings, &d->publisher, err);
	if (rc == 0 && str_is(d->settings.mqs_engine, "kafka"))
		rc = acl_keeper_start(d->store, &d->settings, &d->acl_keeper, err);
	if (rc == 0)
		rc = audit_open(in_home(d, "log/audit.log", path, sizeof(path)), &d->audit, err);
	return rc ? rc : serve(d, err);
}

static void stop(struct daemon *d)
{
	httpd_stop(d->httpd);
	acl_keeper_stop(d->acl_keeper);
	publisher_stop(d->publisher);
	audit_close(d->audit);
	pub_close(d->pub);
	store_close(d->store);
	sign_keyring_free(d->keys);
	conf_free(d->conf);
	arena_free(d->arena);
}

static enum log_level level_of(const char *name)
{
	return !name                        ? LOG_INFO
	       : strcmp(name, "debug") == 0 ? LOG_DEBUG
	       : strcmp(name, "warn") == 0  ? LOG_WARN
	       : strcmp(name, "error") == 0 ? LOG_ERROR
	                                    : LOG_INFO;
}

int main(int argc, char **argv)
{
	static struct daemon d;
	struct err err = {0};

	if (argc != 3 || strcmp(argv[1], "--home") != 0 || !realpath(argv[2], d.home)) {
		fprintf(stderr, "usage: appiad --home DIRECTORY\n");
		return 2;
	}
	log_init("appiad", level_of(getenv("APPIA_LOG_LEVEL")));
	umask(0077);
	life_begin();
	if (start(&d, &err)) {
		log_error("%s", err.text);
		stop(&d);
		return 1;
	}
	log_info("ready");
	life_wait(on_reopen, &d);
	log_info("stopping");
	stop(&d);
	return 0;
}
