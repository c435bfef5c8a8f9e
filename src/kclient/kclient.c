/* SPDX-License-Identifier: Apache-2.0 */
#include "kclient/kclient.h"

#include "base/clock.h"
#include "kafka/error.h"
#include "kafka/header.h"
#include "kclient/priv.h"

#include <unistd.h>

#define MAX_REQUEST ((size_t)4 << 20)
#define MAX_ANSWER ((size_t)64 << 20) /* the arena's own limit comes first */
#define VERSIONS_VERSION 3 /* of ApiVersions: the newest that every Kafka since 2.4 knows */

static int damaged(struct kclient *c, struct err *err, const char *what)
{
	return err_set(err, ERR_MQS_005000020, "the answer of Kafka at %.*s:%.*s: %s", STR_FMT(c->host),
		       STR_FMT(c->port), what);
}

static int receive(struct kclient *c, struct str *ret, struct err *err)
{
	char head[4];
	int rc = kclient__receive(c, head, sizeof(head), err);

	if (rc)
		return rc;
	size_t n = kafka_load32(head);

	if (n < 4 || n > MAX_ANSWER)
		return kclient__unfit(c, err, "it does not speak Kafka's protocol there");
	char *p = arena_try(c->arena, n);

	if (!p)
		return damaged(c, err, "too large");
	*ret = (struct str){p, n};
	return kclient__receive(c, p, n, err);
}

int kclient__exchange(struct kclient *c, const struct kafka_api *api, int version, const void *req,
		      struct str *ret_body, struct err *err)
{
	int32_t sent = ++c->correlation, got;
	struct str frame;
	struct buf out;

	buf_init(&out, MAX_REQUEST);
	int rc = kafka_request_encode(api, version, sent, STR("appia"), req, &out)
			 ? err_set(err, ERR_MQS_005000020, "a request to Kafka is too large")
			 : kclient__send(c, buf_view(&out), err);

	buf_done(&out);
	if (rc == 0)
		rc = receive(c, &frame, err);
	if (rc)
		return rc;
	if (kafka_response_header_decode(api, version, frame, &got, ret_body) || got != sent)
		return kclient__unfit(c, err, "it does not speak Kafka's protocol there");
	return 0;
}

/* An old Kafka answers in version 0, with an error, what it does not know (KIP-511). */
static int ask_versions(struct kclient *c, struct err *err)
{
	const struct kafka_api *api = kafka_api_of(KAFKA_API_API_VERSIONS);
	struct kafka_api_versions_req *req = KAFKA_NEW(c->arena, kafka_api_versions_req);
	struct kafka_api_versions_res *res = KAFKA_NEW(c->arena, kafka_api_versions_res);
	int version = VERSIONS_VERSION;
	struct str body;

	req->client_software_name = STR("appia");
	req->client_software_version = STR("1");
	int rc = kclient__exchange(c, api, version, req, &body, err);

	if (rc == 0 && body.n >= 2 && kafka_load16(body.p) == KAFKA_ERR_UNSUPPORTED_VERSION) {
		version = 0;
		rc = kclient__exchange(c, api, version, req, &body, err);
	}
	if (rc)
		return rc;
	if (kafka_decode(api->response, version, body, c->arena, res) || res->error_code)
		return kclient__unfit(c, err, "it does not say what it offers");
	c->offered = res;
	return 0;
}

int kclient_version(const struct kclient *c, int key)
{
	const struct kafka_api *api = kafka_api_of(key);

	for (int32_t i = 0; api && i < c->offered->api_keys.n; i++) {
		const struct kafka_api_versions_res_api_key *row = &c->offered->api_keys.v[i];
		int version = row->max_version < api->max ? row->max_version : api->max;

		if (row->api_key == key)
			return version >= row->min_version && version >= api->min ? version : -1;
	}
	return -1;
}

int kclient_call(struct kclient *c, int key, const void *req, void *ret, struct err *err)
{
	const struct kafka_api *api = kafka_api_of(key);
	int version = kclient_version(c, key);
	struct str body;

	if (version < 0)
		return err_set(err, ERR_MQS_005000020, "Kafka at %.*s:%.*s has no %s", STR_FMT(c->host),
			       STR_FMT(c->port), api ? api->name : "such request");
	int rc = kclient__exchange(c, api, version, req, &body, err);

	if (rc)
		return rc;
	int code = kafka_decode(api->response, version, body, c->arena, ret);

	return code ? damaged(c, err, kafka_wire_text(code)) : 0;
}

static int try_server(struct kclient *c, struct str server, struct err *err)
{
	size_t colon = server.n;

	while (colon && server.p[colon - 1] != ':')
		colon--;
	c->host = arena_str(c->arena, colon ? str_sub(server, 0, colon - 1) : server);
	c->port = arena_str(c->arena, colon ? str_sub(server, colon, server.n) : STR(""));
	if (c->host.n > 2 && c->host.p[0] == '[' && c->host.p[c->host.n - 1] == ']')
		c->host = arena_str(c->arena, str_sub(c->host, 1, c->host.n - 1));
	if (!c->host.n || !c->port.n)
		return kclient__unfit(c, err, "addresses are host:port");
	int rc = kclient__connect(c, err);

	if (rc == 0)
		rc = ask_versions(c, err);
	if (rc == 0 && str_starts(c->settings->protocol, STR("sasl_")))
		rc = kclient__login(c, err);
	return rc;
}

static void at_end(void *arg)
{
	kclient_close(arg);
}

int kclient_open(struct arena *a, const struct kclient_settings *settings, int64_t deadline_ms, struct kclient **ret,
		 struct err *err)
{
	struct kclient *c = ARENA_NEW(a, struct kclient);
	struct str rest = settings->servers;
	int64_t now = clock_mono_ms();
	int rc = 0;
	size_t left = 1;

	*c = (struct kclient){.arena = a, .settings = settings, .fd = -1, .host = STR(""), .port = STR("")};
	arena_cleanup(a, at_end, c);
	for (size_t i = 0; i < rest.n; i++)
		left += rest.p[i] == ',';
	do {
		struct str server = str_trim(str_cut(&rest, ','));

		/* One that is silent leaves time for the others. */
		c->deadline_ms = now + (deadline_ms - now) / (int64_t)left--;
		rc = server.n ? try_server(c, server, err) : kclient__unfit(c, err, "an address is empty");
		if (rc)
			kclient_close(c);
		now = clock_mono_ms();
	} while (rc && rest.p);
	c->deadline_ms = deadline_ms;
	if (rc == 0)
		*ret = c;
	return rc;
}

void kclient_close(struct kclient *c)
{
	if (!c)
		return;
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	if (c->fd >= 0)
		close(c->fd);
	c->ssl = NULL;
	c->ctx = NULL;
	c->fd = -1;
	c->offered = NULL;
}
