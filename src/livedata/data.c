/* SPDX-License-Identifier: Apache-2.0 */
#include "livedata/run.h"

#include "base/mem.h"
#include "datasource/lex.h"
#include "json/json.h"
#include "livedata/result.h"

/* Data back ends. The envelope is ours, the reference does not tell it:
 *   return_format false: {"<object_name>":[{row},...],...} in the order of the scripts; a statement without a result
 *     set gives {"affected_rows":n}; a procedure with several result sets gives an array of them
 *   return_format true, json: {"request_id":"...","data":{as above},"paging":{"<object_name>":{...}}}
 *   return_format true, xml: <response><object_name><row>...</row></object_name></response>
 *   return_format true, stream: the first value of the first script, as bytes
 * Paging (enable_result_paging): parameters pageNum, from 1, and pageSize, at most LIVEDATA_PAGE_MAX. */

#define MAX_PAGE_NUM 1000000

struct page {
	bool on, more;
	int64_t num, size;
};

static enum livedata_content content_of(const struct livedata_plan *plan)
{
	return plan->return_format ? plan->content : LIVEDATA_JSON;
}

static int page_param(struct livedata_run *run, struct str name, int64_t max, int64_t def, int64_t *ret,
		      struct err *err)
{
	struct str text;
	long long v = def;

	if (livedata_params_get(&run->params, name, &text) && text.n && !str_to_int(text, 1, max, &v))
		return err_set(err, ERR_APPIA_0400_PARAMETER_INVALID, "%.*s" ERR_NEXT "a number from 1 to %lld",
			       STR_FMT(name), (long long)max);
	*ret = v;
	return 0;
}

/* True when "LIMIT n OFFSET m" can be put behind the statement. */
static bool takes_limit(struct str sql, enum datasource_dialect dialect)
{
	static const char *const ends[] = {"LIMIT", "OFFSET", "FETCH", "FOR", "INTO", "LOCK", "PROCEDURE", "INSERT",
	                                   "UPDATE", "DELETE", "RETURNING"};
	struct lex lex = {.sql = sql, .dialect = dialect};
	struct lex_token t;
	bool first = true;
	size_t depth = 0;

	while ((t = datasource_lex_next(&lex)).kind != LEX_END) {
		if (t.kind == LEX_SPACE || t.kind == LEX_COMMENT)
			continue;
		if (first && (t.kind != LEX_WORD ||
			      !(str_eq_nocase(t.text, STR("SELECT")) || str_eq_nocase(t.text, STR("WITH")))))
			return false;
		first = false;
		if (t.kind == LEX_OTHER && t.text.p[0] == ';')
			return false;
		depth += t.kind == LEX_OTHER && t.text.p[0] == '(';
		depth -= t.kind == LEX_OTHER && t.text.p[0] == ')' && depth;
		for (size_t i = 0; i < ARRAY_LEN(ends) && t.kind == LEX_WORD && depth == 0; i++)
			if (str_eq_nocase(t.text, str_of(ends[i])))
				return false;
	}
	return !first;
}

/* Message of the data source to the log; err keeps what the caller of the API may know. */
static int hide(struct livedata_run *run, const struct livedata_script *s, struct err *err)
{
	struct str text = str_of(err->text), state = STR("");
	size_t open = str_find(text, '[', 0), end = str_find(text, ']', open);

	buf_fmt(&run->log, "object %.*s: %s\n", STR_FMT(s->object_name), err->text);
	switch (err->code) {
	case ERR_APPIA_0500_SQL_FAILED:
		if (end < text.n && end - open == 6)
			state = str_sub(text, open + 1, end);
		return err_set(err, ERR_APPIA_0500_SQL_FAILED, "object %.*s%s%.*s", STR_FMT(s->object_name),
		               state.n ? ", SQLSTATE " : "", STR_FMT(state));
	case ERR_APPIA_0503_DATASOURCE_UNREACHABLE:
		return err_set_retriable(err, err->code, "object %.*s", STR_FMT(s->object_name));
	case ERR_APPIA_0400:
		return err_set(err, ERR_APPIA_0500, "the data source of object %.*s is not set up correctly",
		               STR_FMT(s->object_name));
	default:
		return err->code;
	}
}

static int take(struct livedata_run *run, const struct livedata_script *s, struct datasource_conn **ret,
                struct err *err)
{
	if (run->plan->pooled)
		return datasource_pool_get(run->options->script_host.pool, &s->source.config, run->req->deadline_ms,
					   ret, err);
	return s->source.driver->connect(&s->source.config, run->req->deadline_ms, ret, err);
}

static void give_back(struct livedata_run *run, struct datasource_conn *conn)
{
	if (run->plan->pooled)
		datasource_pool_put(run->options->script_host.pool, conn, true);
	else
		conn->driver->close(conn);
}

/* {call p(?)} is how JDBC spells CALL. */
static struct str plain_call(struct str sql)
{
	sql = str_trim(sql);
	if (sql.n > 2 && sql.p[0] == '{' && sql.p[sql.n - 1] == '}')
		return str_trim(str_sub(sql, 1, sql.n - 1));
	return sql;
}

static int execute(struct livedata_run *run, const struct livedata_script *s, const struct livedata_statement *st,
                   struct livedata_result *result, int64_t *ret_changed, struct err *err)
{
	struct datasource_sink sink = livedata_result_sink(result);
	struct datasource_conn *conn;
	int code = take(run, s, &conn, err);

	if (!code) {
		code = s->source.driver->execute(conn, s->procedure ? plain_call(st->sql) : st->sql, st->params,
						 st->n_params, s->procedure, INT64_MAX, run->req->deadline_ms, &sink,
						 ret_changed, err);
		give_back(run, conn);
	}
	return code ? hide(run, s, err) : 0;
}

/* Writes what the script gives; the object's name is written by the caller. */
static int run_script(struct livedata_run *run, const struct livedata_script *s, struct page *page, struct err *err)
{
	struct buf *out = run->reply->body;
	int64_t limit = run->options->max_rows, skip = 0, changed = -1;
	struct livedata_statement st;
	struct livedata_result result;
	enum livedata_content content = content_of(run->plan);
	int code = livedata_template_render(s->template, livedata_params_get, &run->params, run->req->arena, &st, err);

	if (code)
		return code;
	if (page->on && !s->procedure) {
		limit = page->size;
		skip = (page->num - 1) * page->size;
		if (takes_limit(st.sql, s->source.driver->dialect)) {
			st.sql = arena_fmt(run->req->arena, "%.*s\nLIMIT %lld OFFSET %lld", STR_FMT(st.sql),
			                   (long long)page->size + 1, (long long)skip);
			skip = 0;
		}
	}
	size_t start = out->n;

	if (s->procedure && content == LIVEDATA_JSON)
		buf_char(out, '[');
	livedata_result_init(&result, out, run->req->arena, content, skip, limit);
	code = execute(run, s, &st, &result, &changed, err);
	livedata_result_end(&result);
	if (code)
		return code;
	page->more = result.overflow;
	if (result.overflow && !page->on)
		return err_set(err, ERR_APPIA_0422_RESULT_TOO_LARGE, "%lld rows", (long long)limit);
	if (out->failed)
		return err_set(err, ERR_APPIA_0422_RESULT_TOO_LARGE, "%zu MiB", out->max >> 20);
	if (s->procedure && content == LIVEDATA_JSON && result.sets > 1) {
		buf_char(out, ']');
	} else if (s->procedure && content == LIVEDATA_JSON) {
		/* One set needs no array around it. */
		memmove(out->p + start, out->p + start + 1, out->n - start - 1);
		out->n--;
	}
	if (result.sets == 0)
		buf_fmt(out,
			content == LIVEDATA_XML    ? "<affected_rows>%lld</affected_rows>"
			: content == LIVEDATA_JSON ? "{\"affected_rows\":%lld}"
						   : "%lld",
			(long long)(changed < 0 ? 0 : changed));
	return 0;
}

static void begin(struct livedata_run *run, enum livedata_content content)
{
	struct buf *out = run->reply->body;

	if (content == LIVEDATA_XML) {
		buf_cstr(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response>");
	} else if (content == LIVEDATA_JSON && run->plan->return_format) {
		buf_cstr(out, "{\"request_id\":");
		json_print_str(out, run->req->request_id.p ? run->req->request_id : STR(""));
		buf_cstr(out, ",\"data\":{");
	} else if (content == LIVEDATA_JSON) {
		buf_char(out, '{');
	}
}

static void finish(struct livedata_run *run, enum livedata_content content, const struct page *pages)
{
	struct buf *out = run->reply->body;
	bool any = false;

	if (content == LIVEDATA_XML)
		buf_cstr(out, "</response>");
	if (content != LIVEDATA_JSON)
		return;
	buf_char(out, '}');
	if (!run->plan->return_format)
		return;
	for (size_t i = 0; i < run->plan->n_scripts; i++) {
		if (!pages[i].on)
			continue;
		buf_cstr(out, any ? "," : ",\"paging\":{");
		any = true;
		json_print_str(out, run->plan->scripts[i].object_name);
		buf_fmt(out, ":{\"pageNum\":%lld,\"pageSize\":%lld,\"more\":%s}", (long long)pages[i].num,
		        (long long)pages[i].size, pages[i].more ? "true" : "false");
	}
	buf_cstr(out, any ? "}}" : "}");
}

static int object(struct livedata_run *run, size_t i, enum livedata_content content, struct page *page, struct err *err)
{
	const struct livedata_script *s = &run->plan->scripts[i];
	struct str tag = content == LIVEDATA_XML ? livedata_xml_name(run->req->arena, s->object_name) : STR("");
	struct buf *out = run->reply->body;

	if (content == LIVEDATA_JSON) {
		if (i)
			buf_char(out, ',');
		json_print_str(out, s->object_name);
		buf_char(out, ':');
	} else if (content == LIVEDATA_XML) {
		buf_fmt(out, "<%.*s>", STR_FMT(tag));
	}
	int code = run_script(run, s, page, err);

	if (content == LIVEDATA_XML)
		buf_fmt(out, "</%.*s>", STR_FMT(tag));
	return code;
}

int livedata_run_data(struct livedata_run *run, struct err *err)
{
	static const char *const types[] = {[LIVEDATA_JSON] = "application/json", [LIVEDATA_XML] = "application/xml",
	                                    [LIVEDATA_STREAM] = "application/octet-stream"};
	enum livedata_content content = content_of(run->plan);
	size_t n = content == LIVEDATA_STREAM ? 1 : run->plan->n_scripts;
	struct page *pages = ARENA_ARRAY(run->req->arena, struct page, n + 1);
	int code = 0;

	begin(run, content);
	for (size_t i = 0; i < n && !code; i++) {
		if (run->plan->scripts[i].paging) {
			pages[i].on = true;
			code = page_param(run, STR("pageNum"), MAX_PAGE_NUM, 1, &pages[i].num, err);
			if (!code)
				code = page_param(run, STR("pageSize"), LIVEDATA_PAGE_MAX, LIVEDATA_PAGE_MAX,
						  &pages[i].size, err);
		}
		if (!code)
			code = object(run, i, content, &pages[i], err);
	}
	if (code)
		return code;
	finish(run, content, pages);
	run->reply->status = 200;
	run->reply->content_type = str_of(types[content]);
	return 0;
}
