/* SPDX-License-Identifier: Apache-2.0 */
#include "livedata/run.h"

#include "base/mem.h"
#include "json/json.h"

/* Function back ends: the request becomes the JSON text that execute(data) gets. "url" repeats "parameters", as older
 * scripts expect it. */

#define MAX_DATA (64u << 20)

static void lower(struct buf *out, struct str name, struct arena *a)
{
	char *copy = arena_cstr(a, name);

	for (size_t i = 0; i < name.n; i++)
		if (copy[i] >= 'A' && copy[i] <= 'Z')
			copy[i] = (char)(copy[i] + 32);
	json_print_str(out, (struct str){copy, name.n});
}

/* {"name":"value",...}; of pairs with one name the first counts, headers are joined as RFC 9110 5.3 says. */
static void put_pairs(struct livedata_run *run, struct buf *out, const struct httpd_pair *pairs, size_t n, bool headers)
{
	struct arena *a = run->req->arena;
	bool any = false;

	buf_char(out, '{');
	for (size_t i = 0; i < n; i++) {
		struct str value = pairs[i].value;
		bool again = false;

		for (size_t k = 0; k < i && !again; k++)
			again = headers ? str_eq_nocase(pairs[k].name, pairs[i].name)
					: str_eq(pairs[k].name, pairs[i].name);
		if (again)
			continue;
		for (size_t k = i + 1; headers && k < n; k++)
			if (str_eq_nocase(pairs[k].name, pairs[i].name))
				value = arena_join(a, (struct str[]){value, pairs[k].value}, 2, STR(", "));
		if (any)
			buf_char(out, ',');
		any = true;
		if (headers)
			lower(out, pairs[i].name, a);
		else
			json_print_str(out, pairs[i].name);
		buf_char(out, ':');
		json_print_str(out, value);
	}
	buf_char(out, '}');
}

/* Query parameters and, where the call leaves them out, the declared defaults. */
static void put_query(struct livedata_run *run, struct buf *out)
{
	const struct livedata_plan *plan = run->plan;
	struct httpd_pair *pairs =
		ARENA_ARRAY(run->req->arena, struct httpd_pair, run->req->n_query + plan->n_params + 1);
	size_t n = run->req->n_query;

	if (n)
		memcpy(pairs, run->req->query, n * sizeof(*pairs));
	for (size_t i = 0; i < plan->n_params; i++) {
		bool sent = !str_is(plan->params[i].in, "Parameters") || !plan->params[i].def.n;

		for (size_t k = 0; k < run->req->n_query && !sent; k++)
			sent = str_eq_nocase(run->req->query[k].name, plan->params[i].name);
		if (!sent)
			pairs[n++] = (struct httpd_pair){plan->params[i].name, plan->params[i].def};
	}
	put_pairs(run, out, pairs, n, false);
}

static void put_member(struct buf *out, const char *name, struct str value)
{
	buf_fmt(out, "\"%s\":", name);
	json_print_str(out, value.p ? value : STR(""));
	buf_char(out, ',');
}

static void put_body(struct livedata_run *run, struct buf *out)
{
	buf_cstr(out, "\"body\":");
	if (run->params.form)
		put_pairs(run, out, run->params.form, run->params.n_form, false);
	else if (run->params.body_is_json)
		buf_str(out, run->req->body);
	else
		json_print_str(out, run->req->body.p ? run->req->body : STR(""));
}

static struct str make_data(struct livedata_run *run)
{
	struct buf out;

	buf_init(&out, MAX_DATA);
	buf_char(&out, '{');
	put_member(&out, "method", run->req->method);
	put_member(&out, "uri", run->req->path);
	buf_cstr(&out, "\"headers\":");
	put_pairs(run, &out, run->req->headers, run->req->n_headers, true);
	buf_cstr(&out, ",\"parameters\":");
	put_query(run, &out);
	buf_cstr(&out, ",\"url\":");
	put_query(run, &out);
	buf_char(&out, ',');
	put_body(run, &out);
	buf_cstr(&out, ",\"env\":{");
	put_member(&out, "$appId", run->req->app_id);
	put_member(&out, "$requestId", run->req->request_id);
	buf_cstr(&out, "\"$appConfig\":");
	if (run->plan->app_config)
		json_print(&out, run->plan->app_config);
	else
		buf_cstr(&out, "{}");
	buf_cstr(&out, "}}");
	struct str data = out.failed ? STR_NONE : arena_str(run->req->arena, buf_view(&out));

	buf_done(&out);
	return data;
}

/* Without a type of its own the body has that of the definition, or JSON when it looks like it. */
static struct str type_of(struct livedata_run *run, const struct script_reply *r)
{
	if (r->content_type.p || !r->body.n)
		return r->content_type;
	if (run->plan->content == LIVEDATA_XML)
		return STR("application/xml");
	if (run->plan->content == LIVEDATA_STREAM)
		return STR("application/octet-stream");
	return r->body.p[0] == '{' || r->body.p[0] == '[' ? STR("application/json") : STR("text/plain; charset=utf-8");
}

int livedata_run_function(struct livedata_run *run, struct err *err)
{
	struct script_limits limits = {run->options->script_cpu_ms, run->options->script_memory_bytes,
	                               run->req->deadline_ms};
	struct script_reply r = {0};
	struct str data = make_data(run);

	if (!data.p)
		return err_set(err, ERR_APPIA_0413, NULL);
	int code = script_run(&run->options->script_host, run->plan->scripts[0].content, data, &limits, run->req->arena,
			      &r, err);

	buf_str(&run->log, r.log);
	if (code) {
		buf_fmt(&run->log, "%s%s\n", r.log.n && r.log.p[r.log.n - 1] != '\n' ? "\n" : "", err->text);
		if (code == ERR_APPIA_0504)
			return code;
		/* A script's exception may quote anything; its line is enough for the caller. */
		return err_set_text(err, ERR_APPIA_0500_SCRIPT_FAILED, "The script of the backend failed.");
	}
	run->reply->status = r.status;
	run->reply->content_type = type_of(run, &r);
	buf_str(run->reply->body, r.body);
	for (size_t i = 0; i < r.n_headers && i < ARRAY_LEN(run->reply->headers); i++) {
		run->reply->headers[i].name = r.headers[i].name;
		run->reply->headers[i].value = r.headers[i].value;
		run->reply->n_headers = i + 1;
	}
	if (run->reply->body->failed)
		return err_set(err, ERR_APPIA_0422_RESULT_TOO_LARGE, "%zu MiB", run->reply->body->max >> 20);
	return 0;
}
