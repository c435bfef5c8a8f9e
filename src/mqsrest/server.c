/* SPDX-License-Identifier: Apache-2.0 */
#include "mqsrest/server.h"

#include "base/enc.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rnd.h"
#include "json/json.h"
#include "mqsrest/priv.h"

#include <stdlib.h>

/* ---- what a path names ---- */

struct route {
	struct str topic, group; /* group: STR_NONE where messages are produced */
};

static bool name_ok(struct str s, bool dots)
{
	if (!s.n || s.n > REST_NAME_MAX || str_is(s, ".") || str_is(s, ".."))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '_' && c != '-' &&
		    !(dots && c == '.'))
			return false;
	}
	return true;
}

/* /v1/topic/{topic}/messages or /v1/topic/{topic}/group/{group}/messages */
static int find_route(const struct httpd_request *req, struct route *ret, struct err *err)
{
	struct str part[8], rest = req->target;
	size_t n = 0;

	while (rest.p && n < ARRAY_LEN(part))
		part[n++] = str_cut(&rest, '/');
	bool known = n >= 5 && !part[0].n && str_is(part[1], "v1") && str_is(part[2], "topic") &&
		     str_is(part[n - 1], "messages") && (n == 5 || (n == 7 && str_is(part[4], "group")));

	if (!known || rest.p)
		return err_set(err, ERR_MQS_00404001, NULL);
	*ret = (struct route){.topic = STR_NONE};
	if (!enc_unpercent(req->arena, part[3], false, &ret->topic) || !name_ok(ret->topic, true))
		return err_set(err, ERR_MQS_00400101, NULL);
	if (n == 7 && (!enc_unpercent(req->arena, part[5], false, &ret->group) || !name_ok(ret->group, false)))
		return err_set(err, ERR_MQS_00400800, "group");
	return 0;
}

/* ---- the three operations ---- */

static int forbidden(struct err *err, const char *what)
{
	return err_set(err, ERR_MQS_00403003, "the application may not %s this topic", what);
}

static int produce(struct rest_server *s, const struct httpd_request *req, const struct route *route,
		   const struct rest_caller *caller, struct buf *out, struct err *err)
{
	struct rest_message *messages;
	const char *why[REST_MESSAGES_MAX];
	size_t n;
	int rc = rest_read_messages(req, &messages, &n, err);

	if (rc == 0)
		rc = rest_produce(s, route->topic, caller, messages, n, why, err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		buf_fmt(out, "%s{\"state\":\"%s\",\"id\":", i ? "," : "[", why[i] ? "fail" : "success");
		json_print_str(out, messages[i].id);
		if (why[i]) {
			buf_cstr(out, ",\"error_msg\":");
			json_print_str(out, str_of(why[i]));
		}
		buf_char(out, '}');
	}
	buf_char(out, ']');
	return rc;
}

/* Those who wait have a thread each; more than a part of the threads get what there is at once. */
static void begin_wait(struct rest_server *s, struct rest_take *take)
{
	if (atomic_fetch_add(&s->waiting, 1) >= s->options.waiting_max)
		take->time_wait_ms = 0;
}

static int consume(struct rest_server *s, const struct httpd_request *req, const struct route *route,
		   const struct rest_caller *caller, struct buf *out, struct err *err)
{
	struct rest_group *g;
	struct rest_take take;
	int rc = rest_read_take(req, &take, err);

	if (rc == 0)
		rc = rest_group_get(s, route->topic, route->group, true, &g, err);
	if (rc)
		return rc;
	begin_wait(s, &take);
	rc = rest_group_take(g, caller, &take, req->arena, out, err);
	atomic_fetch_sub(&s->waiting, 1);
	rest_group_put(g);
	return rc;
}

static int acknowledge(struct rest_server *s, const struct httpd_request *req, const struct route *route,
		       struct buf *out, struct err *err)
{
	struct rest_group *g = NULL;
	struct rest_ack *acks;
	size_t n, done = 0;
	int rc = rest_read_acks(req, &acks, &n, err);

	/* Without a consumer nothing is under consumption. */
	if (rc == 0)
		rc = rest_group_get(s, route->topic, route->group, false, &g, err);
	if (rc == 0 && g) {
		rc = rest_group_ack(g, acks, n, &done, err);
		rest_group_put(g);
	}
	buf_fmt(out, "{\"success\":%zu,\"fail\":%zu}", done, n - done);
	return rc;
}

static int operate(struct rest_server *s, const struct httpd_request *req, struct httpd_reply *reply, struct err *err)
{
	struct route route;
	struct rest_caller caller;
	int rc = find_route(req, &route, err);
	bool post = str_is(req->method, "POST"), get = str_is(req->method, "GET") && route.group.p;

	if (rc == 0 && !post && !get) {
		httpd_reply_header(reply, STR("Allow"), route.group.p ? STR("GET, POST") : STR("POST"));
		rc = err_set(err, ERR_MQS_00405001, NULL);
	}
	if (rc == 0)
		rc = rest_authenticate(s, req, route.topic, &caller, err);
	if (rc)
		return rc;
	if (!route.group.p)
		return caller.pub ? produce(s, req, &route, &caller, &reply->body, err) : forbidden(err, "publish to");
	if (!caller.sub)
		return forbidden(err, "subscribe to");
	return get ? consume(s, req, &route, &caller, &reply->body, err)
		   : acknowledge(s, req, &route, &reply->body, err);
}

/* ---- answers ---- */

static void error_body(struct httpd_reply *reply, const struct err *err, struct str request_id)
{
	const struct err_row *row = err_row(err->code);

	buf_reset(&reply->body);
	reply->status = row->status;
	buf_cstr(&reply->body, "{\"error_msg\":");
	json_print_str(&reply->body, str_of(err->text));
	buf_fmt(&reply->body, ",\"error_code\":\"%s\",\"request_id\":", row->code);
	json_print_str(&reply->body, request_id);
	buf_char(&reply->body, '}');
	if (row->status == 429 || row->status == 503)
		httpd_reply_header(reply, STR("Retry-After"), STR("1"));
}

static void metric(struct buf *out, const char *name, const char *type, unsigned long long value)
{
	buf_fmt(out, "# TYPE appia_mqs_rest_%s %s\nappia_mqs_rest_%s %llu\n", name, type, name, value);
}

static void metrics(struct rest_server *s, struct buf *out)
{
	pthread_mutex_lock(&s->groups_lock);
	size_t groups = map_count(s->groups);
	unsigned open = s->open;

	pthread_mutex_unlock(&s->groups_lock);
	metric(out, "groups", "gauge", groups);
	metric(out, "consumers", "gauge", open);
	metric(out, "held_bytes", "gauge", atomic_load(&s->bytes));
	metric(out, "waiting", "gauge", atomic_load(&s->waiting));
	metric(out, "requests_total", "counter", atomic_load(&s->stats.requests));
	metric(out, "refused_total", "counter", atomic_load(&s->stats.refused));
	metric(out, "produced_total", "counter", atomic_load(&s->stats.produced));
	metric(out, "produce_failures_total", "counter", atomic_load(&s->stats.produce_failures));
	metric(out, "given_total", "counter", atomic_load(&s->stats.given));
	metric(out, "given_again_total", "counter", atomic_load(&s->stats.given_again));
	metric(out, "acknowledged_total", "counter", atomic_load(&s->stats.acknowledged));
	metric(out, "failed_total", "counter", atomic_load(&s->stats.failed));
}

static void serve(struct rest_server *s, const struct httpd_request *req, struct httpd_reply *reply)
{
	struct str id = httpd_header(req, "X-Request-Id");
	struct err err = {0};

	if (id.n != 32 || !enc_utf8_valid(id))
		id = rnd_id(req->arena);
	log_request(arena_cstr(req->arena, id));
	atomic_fetch_add(&s->stats.requests, 1);
	reply->status = 200;
	if (operate(s, req, reply, &err)) {
		atomic_fetch_add(&s->stats.refused, 1);
		log_debug("%s %s", err_row(err.code)->code, err.text);
		error_body(reply, &err, id);
	}
	httpd_reply_header(reply, STR("X-Request-Id"), id);
	log_request(NULL);
}

void rest_server_handle(void *ctx, const struct httpd_request *req, struct httpd_reply *reply)
{
	struct rest_server *s = ctx;

	reply->content_type = STR("application/json");
	if (str_is(req->target, "/health")) {
		reply->status = 200;
		buf_cstr(&reply->body, "{\"status\":\"ok\"}");
	} else if (str_is(req->target, "/metrics")) {
		reply->status = 200;
		reply->content_type = STR("text/plain; version=0.0.4");
		metrics(s, &reply->body);
	} else {
		serve(s, req, reply);
	}
}

/* ---- life ---- */

int rest_server_new(const struct rest_options *options, struct rest_server **ret, struct err *err)
{
	struct sign_keyring *keys;
	int rc = sign_keyring_open(options->key_file, false, &keys, err);

	if (rc)
		return rc;
	struct rest_server *s = mem_zalloc(sizeof(*s));

	s->options = *options;
	s->keys = keys;
	s->groups = map_new();
	pthread_mutex_init(&s->pub_lock, NULL);
	pthread_mutex_init(&s->producer_lock, NULL);
	pthread_mutex_init(&s->groups_lock, NULL);
	pthread_cond_init(&s->groups_gone, NULL);
	rd_kafka_conf_t *conf = rest_kafka_conf(s, NULL, NULL, err);

	if (!conf) {
		rest_server_free(s);
		return err->code;
	}
	rd_kafka_conf_destroy(conf);
	*ret = s;
	return 0;
}

void rest_server_stop(struct rest_server *s)
{
	atomic_store(&s->stopping, true);
	rest_groups_stop(s);
}

void rest_server_free(struct rest_server *s)
{
	if (!s)
		return;
	rest_groups_close(s);
	rest_producer_free(s);
	kclient_rdkafka_end();
	map_free(s->groups);
	pub_close(s->pub);
	sign_keyring_free(s->keys);
	pthread_mutex_destroy(&s->pub_lock);
	pthread_mutex_destroy(&s->producer_lock);
	pthread_mutex_destroy(&s->groups_lock);
	pthread_cond_destroy(&s->groups_gone);
	free(s);
}
