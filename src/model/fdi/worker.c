/* SPDX-License-Identifier: Apache-2.0 */
#include "model/fdi/worker.h"

#include "base/mem.h"
#include "net/client.h"

/* What the worker needs beyond the data source's time to say that it took too long. */
#define GRACE_MS 2000

/* The codes have variants that differ by their message only. */
static int code_of(struct str code, struct str text)
{
	static const int plain[] = {ERR_APPIA_0504, ERR_APPIA_0400, ERR_APPIA_0404, ERR_APPIA_0503};
	static const struct {
		int code;
		const char *start;
	} variants[] = {
		{ERR_APPIA_0501_DRIVER_MISSING, "No driver"},
		{ERR_APPIA_0503_DATASOURCE_UNREACHABLE, "The data source cannot"},
		{ERR_APPIA_0503_POOL_EXHAUSTED, "All connections"},
		{ERR_APPIA_0500_SQL_FAILED, "The data source refused"},
		{ERR_APPIA_0500_SCRIPT_FAILED, "The script failed"},
	};

	for (size_t i = 0; i < ARRAY_LEN(variants); i++)
		if (str_is(code, err_row(variants[i].code)->code) && str_starts(text, str_of(variants[i].start)))
			return variants[i].code;
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (str_is(code, err_row(plain[i])->code))
			return plain[i];
	return ERR_APPIA_0500;
}

int worker_call(struct model *m, const char *operation, struct str body, int64_t timeout_ms, const struct json **ret)
{
	struct net_header headers[] = {
		{STR("Content-Type"), STR("application/json")},
		{STR("X-Request-Id"), m->request_id.p ? m->request_id : STR("none")},
		{STR("X-Appia-Timeout"), arena_fmt(m->arena, "%lld", (long long)timeout_ms)},
	};
	struct net_request request = {
		.method = STR("POST"),
		.socket_path = m->settings->worker_socket,
		.target = arena_fmt(m->arena, "/internal/%s", operation),
		.headers = headers,
		.n_headers = ARRAY_LEN(headers),
		.body = body,
		.timeout_ms = timeout_ms + GRACE_MS,
		.max_reply_bytes = (size_t)64 << 20,
	};
	struct net_reply reply;
	char why[160];
	int rc = net_call(&request, m->arena, &reply, &m->err);

	if (rc == ERR_APPIA_0408)
		return err_set_retriable(&m->err, ERR_APPIA_0504, NULL);
	if (rc == ERR_APPIA_0503_WORKER_UNAVAILABLE)
		return err_set_retriable(&m->err, rc, NULL);
	if (rc)
		return rc;
	if (!json_parse(m->arena, reply.body, ret, why, sizeof(why)))
		return err_set(&m->err, ERR_APPIA_0500, "the worker's answer cannot be read: %s", why);
	if (reply.status == 200)
		return 0;
	struct str text = json_str(json_get(*ret, "error_msg"));

	return err_set_text(&m->err, code_of(json_str(json_get(*ret, "error_code")), text), "%.*s", STR_FMT(text));
}
