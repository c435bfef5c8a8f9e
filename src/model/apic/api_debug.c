/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/api_debug.h"

#include "base/clock.h"
#include "base/rnd.h"
#include "model/apic/publish.h"
#include "model/write.h"

/* An environment made for debugging outlives its call only when the process dies in it. */
#define STALE_MS (10 * 60 * 1000)
#define CALL_MS 65000

/* Debugging takes the same road as every call: through the gateway. An API that is not published, or whose callers
 * need a credential, is served for the time of the call in an environment whose name nobody else can guess. */

struct target {
	struct api_row api;
	struct api_group_row group;
	struct str host;
	struct str stage; /* X-Stage of the call */
	struct str env_name; /* what the back end is told */
	bool temporary; /* stage is made for the call */
};

/* What is served in the temporary environment. */
struct debugged {
	const struct apic_api *def;
	struct str path, address, backend_path;
};

static int choose_host(struct model *m, struct str wanted, const struct api_group_row *group, struct str *ret)
{
	bool found;
	int64_t one;

	if (str_empty(wanted) || str_eq_nocase(wanted, group->sl_domain)) {
		*ret = group->sl_domain;
		return 0;
	}
	int rc = store_get_int(m->tx, &m->err, &one, &found,
			       "SELECT 1 FROM url_domain WHERE group_id = ? AND domain = LOWER(?)", "ss", group->id,
			       wanted);

	if (rc == 0 && !found)
		rc = err_set(&m->err, ERR_APIG_3020, "domain:%.*s", STR_FMT(wanted));
	if (rc == 0)
		*ret = wanted;
	return rc;
}

static int read_edited(struct model *m, const struct target *t, struct debugged *ret)
{
	const struct apic_api *def = t->api.def;
	struct api_path path;
	struct str env_name;
	int rc = api__check_served(m, def);

	if (rc == 0)
		rc = api__path_parse(m, "req_uri", def->req_uri, true, false, &path);
	if (rc)
		return rc;
	*ret = (struct debugged){.def = def, .path = path.path};
	if (!str_is(def->backend_type, "HTTP") || t->api.ld_api_id.p)
		return 0;
	/* What is not published has no environment: its variables are those of RELEASE. */
	rc = api__env_name(m, t->api.instance_id, API_ENV_RELEASE, &env_name);
	return rc ? rc
		  : api__resolve(m, def, t->api.group_id, API_ENV_RELEASE, env_name, &ret->address, &ret->backend_path);
}

static int read_published(struct model *m, const struct target *t, struct debugged *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT v.doc, v.path, v.backend_address, v.backend_path FROM api_publish p"
			     " JOIN api_version v ON v.id = p.version_id"
			     " JOIN api_env e ON e.instance_id = p.instance_id AND e.id = p.env_id"
			     " WHERE p.api_id = ? AND e.name = ?",
			     "ss", t->api.id, t->env_name);

	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		*ret = (struct debugged){
			.def = store_doc(rows, 0, &doc_apic_api, m->arena),
			.path = store_str(rows, 1, m->arena),
			.address = store_str(rows, 2, m->arena),
			.backend_path = store_str(rows, 3, m->arena),
		};
	rc = store_done(&rows, &m->err);
	if (rc == 0 && !found)
		rc = err_set(&m->err, ERR_APIG_3015, "api_id:%.*s, stage:%.*s", STR_FMT(t->api.id),
			     STR_FMT(t->env_name));
	return rc;
}

static int write_debugged(struct model *m, const struct target *t, const struct debugged *d)
{
	int rc = store_exec(
		m->tx, &m->err, NULL,
		"INSERT INTO api_debug (id, api_id, group_id, env_name, path, backend_address, backend_path, doc,"
		" created_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		"sssssssdi", t->stage, t->api.id, t->group.id, t->env_name, d->path, d->address, d->backend_path,
		&doc_apic_api, d->def, m->now_ms);

	return rc ? rc : publish_say(m, "debug", t->stage, t->group.id, t->api.id);
}

int api__debug_forget(struct model *m, struct str api_id, int64_t before_ms)
{
	enum { MAX = 100 };
	struct str ids[MAX], groups[MAX], apis[MAX];
	struct store_rows *rows;
	size_t n = 0;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT id, group_id, api_id FROM api_debug WHERE created_ms < ?"
			     " AND (CAST(? AS TEXT) IS NULL OR api_id = ?) LIMIT 100",
			     "iss", before_ms, api_id, api_id);

	if (rc)
		return rc;
	for (; n < MAX && store_next(rows); n++) {
		ids[n] = store_str(rows, 0, m->arena);
		groups[n] = store_str(rows, 1, m->arena);
		apis[n] = store_str(rows, 2, m->arena);
	}
	rc = store_done(&rows, &m->err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM api_debug WHERE id = ?", "s", ids[i]);
		if (rc == 0)
			rc = publish_say(m, "debug", ids[i], groups[i], apis[i]);
	}
	return rc;
}

static int prepare(struct model *m, struct str instance_id, struct str api_id, const struct apic_api_debug *in,
		   struct target *t)
{
	bool developer = str_is(in->mode, "DEVELOPER");
	struct debugged d;
	int rc = api__get(m, instance_id, api_id, APP_READ, &t->api);

	if (rc == 0)
		rc = api__group(m, instance_id, t->api.group_id, &t->group);
	if (rc == 0)
		rc = choose_host(m, in->domain, &t->group, &t->host);
	if (rc)
		return rc;
	t->env_name = developer ? STR("DEBUG") : str_empty(in->stage) ? STR("RELEASE") : in->stage;
	rc = developer ? read_edited(m, t, &d) : read_published(m, t, &d);
	if (rc)
		return rc;
	t->temporary = developer || (str_empty(in->app_key) && !str_is(d.def->auth_type, "NONE"));
	t->stage = t->temporary ? arena_fmt(m->arena, "debug_%.*s", STR_FMT(rnd_id(m->arena))) : t->env_name;
	rc = api__debug_forget(m, STR_NONE, m->now_ms - STALE_MS);
	return rc || !t->temporary ? rc : write_debugged(m, t, &d);
}

static int write_and_publish(struct model *m, int (*fn)(struct model *m, void *arg), void *arg)
{
	int rc = model_write(m, fn, arg);

	if (rc == 0 && m->publish)
		m->publish(m->publish_ctx);
	return rc;
}

struct start {
	struct str instance_id, api_id;
	const struct apic_api_debug *in;
	struct target target;
	struct api_debug_message message;
};

static int start(struct model *m, void *arg)
{
	struct start *s = arg;
	int rc = prepare(m, s->instance_id, s->api_id, s->in, &s->target);

	return rc ? rc : api__debug_message(m, s->in, s->target.host, &s->message);
}

static int finish(struct model *m, void *arg)
{
	struct start *s = arg;
	int rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM api_debug WHERE id = ?", "s", s->target.stage);

	return rc ? rc : publish_say(m, "debug", s->target.stage, s->target.group.id, s->target.api.id);
}

/* The gateway's own address; one that stands for every address is reached on this machine. */
static struct str gateway_url(struct model *m, const struct start *s)
{
	struct str address = m->settings->gateway_address;
	bool tls = str_is(s->in->scheme, "HTTPS");
	size_t colon = address.n;

	while (colon && address.p[colon - 1] != ':')
		colon--;
	struct str host = colon ? str_sub(address, 0, colon - 1) : address;

	if (str_empty(host) || str_is(host, "0.0.0.0") || str_is(host, "[::]") || str_is(host, "*"))
		host = STR("127.0.0.1");
	return arena_fmt(m->arena, "%s://%.*s:%d%.*s%s%.*s", tls ? "https" : "http", STR_FMT(host),
			 tls ? m->settings->gateway_https_port : m->settings->gateway_http_port,
			 STR_FMT(s->message.path), s->message.query.n ? "?" : "", STR_FMT(s->message.query));
}

static int call(struct model *m, struct start *s, struct apic_api_debug_result *ret)
{
	struct api_debug_message shown = s->message;
	struct net_reply reply;
	int64_t began = clock_mono_ms();

	/* The name of a temporary environment opens it to whoever knows it: it is not shown. */
	if (!s->target.temporary)
		api__debug_header(m, &shown, STR("X-Stage"), s->target.stage);
	ret->request = api__debug_request_text(m, &shown);
	api__debug_header(m, &s->message, STR("X-Stage"), s->target.stage);
	if (!s->target.temporary && !str_empty(s->in->app_key))
		api__debug_sign(m, &s->message, s->in->app_key, s->in->app_secret);
	struct net_request request = {
		.method = s->message.method,
		.url = gateway_url(m, s),
		.headers = s->message.headers,
		.n_headers = s->message.n_headers,
		.body = str_empty(s->message.body) ? STR_NONE : s->message.body,
		.timeout_ms = CALL_MS,
		.insecure = true, /* our own gateway, whose certificate is for the users' domains */
	};
	int rc = net_call(&request, m->arena, &reply, &m->err);

	if (rc) {
		struct str why = arena_str(m->arena, str_of(m->err.text));

		return err_set(&m->err, ERR_APIG_3503, "%.*s", STR_FMT(why));
	}
	SET(ret, latency, clock_mono_ms() - began);
	ret->response = api__debug_reply_text(m, &reply);
	ret->log = STR("");
	return 0;
}

int api_debug(struct model *m, struct str instance_id, struct str api_id, const struct apic_api_debug *in,
	      struct apic_api_debug_result *ret)
{
	struct start s = {.instance_id = instance_id, .api_id = api_id, .in = in};

	if (str_is(in->mode, "MARKET"))
		return err_set(&m->err, ERR_APIG_2030, "no market is connected");
	int rc = write_and_publish(m, start, &s);

	if (rc)
		return rc;
	rc = call(m, &s, ret);
	if (s.target.temporary) {
		struct err kept = m->err;
		int ended = write_and_publish(m, finish, &s);

		/* What the call said matters more; a leftover goes with the next debugging. */
		if (rc)
			m->err = kept;
		else
			rc = ended;
	}
	return rc;
}
