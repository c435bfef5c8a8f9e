/* SPDX-License-Identifier: Apache-2.0 */
#include "livedata/internal.h"

#include "base/clock.h"
#include "base/mem.h"
#include "json/json.h"
#include "livedata/params.h"
#include "livedata/result.h"

#include <stdlib.h>

#define MAX_ROWS 10000
#define MAX_PARAMS 1000
#define TEST_BODY_BYTES (16u << 20)

/* Opens a connection of its own to the data source of the body: it may not be saved yet. */
static int connect_to(const struct livedata_internal *call, struct datasource_conn **ret, struct err *err)
{
	const struct json *doc = json_get(call->body, "datasource");
	struct datasource_config config = {.id = STR("test"), .type = json_str(json_get(doc, "type")),
	                                   .content = json_get(doc, "content")};
	const struct datasource_driver *driver;

	if (json_kind(doc) != JSON_OBJECT || !config.type.p || json_kind(config.content) != JSON_OBJECT)
		return err_set_text(err, ERR_APPIA_0400, "The body needs a datasource with type and content.");
	int code = datasource_driver_get(config.type, &driver, err);

	return code ? code : driver->connect(&config, call->deadline_ms, ret, err);
}

static int ping(struct livedata_internal *call, struct err *err)
{
	int64_t start = clock_mono_ms();
	struct datasource_conn *conn;
	int code = connect_to(call, &conn, err);

	if (code)
		return code;
	code = conn->driver->ping(conn, call->deadline_ms, err);
	conn->driver->close(conn);
	if (!code)
		buf_fmt(call->out, "{\"used_ms\":%lld}", (long long)(clock_mono_ms() - start));
	return code;
}

static void put(struct buf *out, const char *before, struct str value)
{
	buf_cstr(out, before);
	json_print_str(out, value.p ? value : STR(""));
}

static int tables(struct livedata_internal *call, struct err *err)
{
	struct datasource_table_info *list;
	struct datasource_conn *conn;
	size_t n;
	int code = connect_to(call, &conn, err);

	if (code)
		return code;
	code = conn->driver->tables(conn, call->arena, json_str(json_get(call->body, "filter")), call->deadline_ms,
				    &list, &n, err);
	conn->driver->close(conn);
	if (code)
		return code;
	buf_cstr(call->out, "{\"tables\":[");
	for (size_t i = 0; i < n; i++) {
		put(call->out, i ? ",{\"schema\":" : "{\"schema\":", list[i].schema);
		put(call->out, ",\"name\":", list[i].name);
		put(call->out, ",\"comment\":", list[i].comment);
		buf_char(call->out, '}');
	}
	buf_cstr(call->out, "]}");
	return 0;
}

static void put_columns(struct buf *out, const struct datasource_column_info *list, size_t n)
{
	buf_cstr(out, "{\"columns\":[");
	for (size_t i = 0; i < n; i++) {
		const struct datasource_column_info *c = &list[i];

		put(out, i ? ",{\"name\":" : "{\"name\":", c->name);
		put(out, ",\"type\":", c->type);
		buf_fmt(out, ",\"size\":%lld,\"scale\":%lld,\"nullable\":%s,\"primary_key\":%s", (long long)c->size,
		        (long long)c->scale, c->nullable ? "true" : "false", c->primary_key ? "true" : "false");
		put(out, ",\"comment\":", c->comment);
		put(out, ",\"default\":", c->def);
		buf_char(out, '}');
	}
	buf_cstr(out, "]}");
}

static int columns(struct livedata_internal *call, struct err *err)
{
	struct str table = json_str(json_get(call->body, "table"));
	struct datasource_column_info *list;
	struct datasource_conn *conn;
	size_t n;

	if (!table.n)
		return err_set(err, ERR_APPIA_0400_PARAMETER_MISSING, "table");
	int code = connect_to(call, &conn, err);

	if (code)
		return code;
	code = conn->driver->columns(conn, call->arena, json_str(json_get(call->body, "schema")), table,
				     call->deadline_ms, &list, &n, err);
	conn->driver->close(conn);
	if (!code)
		put_columns(call->out, list, n);
	return code;
}

static int describe(struct livedata_internal *call, struct err *err)
{
	struct str sql = json_str(json_get(call->body, "sql"));
	struct datasource_column_info *list;
	struct datasource_conn *conn;
	size_t n;

	if (!sql.n)
		return err_set(err, ERR_APPIA_0400_PARAMETER_MISSING, "sql");
	int code = connect_to(call, &conn, err);

	if (code)
		return code;
	code = conn->driver->describe(conn, call->arena, sql, call->deadline_ms, &list, &n, err);
	conn->driver->close(conn);
	if (!code)
		put_columns(call->out, list, n);
	return code;
}

/* Rows of a statement: {"results":[{"columns":[...],"rows":[[...],...]}],...} */
struct rows {
	struct buf *out;
	struct arena *scratch;
	int64_t n, max;
	size_t sets;
	bool first, truncated;
};

static void on_columns(void *ctx, const struct str *names, size_t n)
{
	struct rows *r = ctx;

	buf_cstr(r->out, r->sets++ ? "]},{\"columns\":[" : "{\"columns\":[");
	for (size_t i = 0; i < n; i++)
		put(r->out, i ? "," : "", names[i]);
	buf_cstr(r->out, "],\"rows\":[");
	r->first = true;
}

static bool on_row(void *ctx, const struct value *values, size_t n)
{
	struct rows *r = ctx;

	if (r->n++ >= r->max) {
		r->truncated = true;
		return false;
	}
	buf_cstr(r->out, r->first ? "[" : ",[");
	r->first = false;
	for (size_t i = 0; i < n; i++) {
		if (i)
			buf_char(r->out, ',');
		livedata_value_print(r->out, &values[i], r->scratch);
	}
	buf_char(r->out, ']');
	return !r->out->failed;
}

static int read_params(const struct livedata_internal *call, struct str **ret, size_t *ret_n, struct err *err)
{
	const struct json *list = json_get(call->body, "params");
	size_t n = json_len(list);

	if (n > MAX_PARAMS)
		return err_set_text(err, ERR_APPIA_0400, "There are too many parameters.");
	*ret = ARENA_ARRAY(call->arena, struct str, n + 1);
	for (size_t i = 0; i < n; i++) {
		const struct json *j = json_at(list, i);
		struct buf text;

		if (json_kind(j) == JSON_STRING) {
			(*ret)[i] = json_str(j);
		} else if (json_kind(j) != JSON_NULL) {
			buf_init(&text, 1 << 20);
			json_print(&text, j);
			(*ret)[i] = arena_str(call->arena, buf_view(&text));
			buf_done(&text);
		}
	}
	*ret_n = n;
	return 0;
}

static int sql(struct livedata_internal *call, struct err *err)
{
	struct str text = json_str(json_get(call->body, "sql")), *params;
	const struct json *max = json_get(call->body, "max_rows");
	struct rows rows = {.out = call->out, .max = max ? json_int(max) : 1000};
	struct datasource_sink sink = {on_columns, on_row, &rows};
	struct datasource_conn *conn;
	int64_t changed = -1;
	size_t n;

	if (!text.n)
		return err_set(err, ERR_APPIA_0400_PARAMETER_MISSING, "sql");
	if (rows.max < 0 || rows.max > MAX_ROWS)
		return err_set(err, ERR_APPIA_0400_PARAMETER_INVALID, "max_rows" ERR_NEXT "a number from 0 to %d",
			       MAX_ROWS);
	int code = read_params(call, &params, &n, err);

	if (!code)
		code = connect_to(call, &conn, err);
	if (code)
		return code;
	rows.scratch = arena_new((size_t)256 << 20);
	buf_cstr(call->out, "{\"results\":[");
	code = conn->driver->execute(conn, text, params, n, json_bool(json_get(call->body, "procedure")), INT64_MAX,
	                             call->deadline_ms, &sink, &changed, err);
	conn->driver->close(conn);
	arena_free(rows.scratch);
	buf_fmt(call->out, "%s],\"changed\":%lld,\"truncated\":%s}", rows.sets ? "]}" : "", (long long)changed,
	        rows.truncated ? "true" : "false");
	if (!code && call->out->failed)
		code = err_set(err, ERR_APPIA_0422_RESULT_TOO_LARGE, "%zu MiB", call->out->max >> 20);
	return code;
}

/* {"name":"value"} or [{"name":...,"value":...}] as pairs. */
static size_t read_pairs(const struct json *j, struct arena *a, struct httpd_pair **ret)
{
	const struct json *value;
	struct str name;
	size_t n = 0;

	*ret = ARENA_ARRAY(a, struct httpd_pair, json_len(j) + 1);
	for (size_t i = 0; json_kind(j) == JSON_OBJECT && i < json_len(j) && json_member(j, i, &name, &value); i++)
		if (json_kind(value) == JSON_STRING)
			(*ret)[n++] = (struct httpd_pair){name, json_str(value)};
	for (size_t i = 0; json_kind(j) == JSON_ARRAY && i < json_len(j); i++)
		if (json_str(json_get(json_at(j, i), "name")).p && json_str(json_get(json_at(j, i), "value")).p)
			(*ret)[n++] = (struct httpd_pair){json_str(json_get(json_at(j, i), "name")),
			                                  json_str(json_get(json_at(j, i), "value"))};
	return n;
}

static void put_log(struct buf *out, struct str log)
{
	bool any = false;

	buf_cstr(out, ",\"log\":[");
	while (log.p && log.n) {
		struct str line = str_cut(&log, '\n');

		if (!line.n)
			continue;
		put(out, any ? "," : "", line);
		any = true;
	}
	buf_char(out, ']');
}

static void put_test(struct livedata_internal *call, const struct livedata_reply *r, int64_t used_ms)
{
	struct buf *out = call->out;

	buf_fmt(out, "{\"status_code\":%d,\"headers\":{", r->status);
	for (size_t i = 0; i < r->n_headers; i++) {
		put(out, i ? "," : "", r->headers[i].name);
		put(out, ":", r->headers[i].value);
	}
	if (r->content_type.p) {
		put(out, r->n_headers ? "," : "", STR("Content-Type"));
		put(out, ":", r->content_type);
	}
	put(out, "},\"body\":", buf_view(r->body));
	buf_fmt(out, ",\"used_ms\":%lld", (long long)used_ms);
	put_log(out, r->log);
	buf_char(out, '}');
}

/* A failing back end is a result of the test, not a failure of the call. */
static void test_failed(struct livedata_internal *call, struct livedata_reply *r, const struct err *failure)
{
	const struct err_row *row = err_row(failure->code);

	r->status = row->status;
	r->content_type = STR("application/json");
	r->n_headers = 0;
	buf_reset(r->body);
	put(r->body, "{\"error_msg\":", str_of(failure->text));
	put(r->body, ",\"error_code\":", str_of(row->code));
	put(r->body, ",\"request_id\":", call->request_id);
	buf_char(r->body, '}');
}

static int test(struct livedata_internal *call, struct err *err)
{
	const struct json *def = json_get(call->body, "definition"), *r = json_get(call->body, "request");
	struct httpd_pair *headers, *query;
	struct livedata_request req = {.method = json_str(json_get(r, "method")), .path = json_str(json_get(r, "path")),
		.body = json_str(json_get(r, "body")), .app_id = json_str(json_get(def, "app_id")),
		.request_id = call->request_id, .deadline_ms = call->deadline_ms, .arena = call->arena};
	int64_t start = clock_mono_ms();
	struct livedata_reply reply = {0};
	struct err failure = {0};
	struct buf body;

	if (json_kind(def) != JSON_OBJECT)
		return err_set(err, ERR_APPIA_0400_PARAMETER_MISSING, "definition");
	req.n_headers = read_pairs(json_get(r, "headers"), call->arena, &headers);
	req.n_query = read_pairs(json_get(r, "query"), call->arena, &query);
	req.headers = headers;
	req.query = query;
	buf_init(&body, TEST_BODY_BYTES);
	reply.body = &body;
	if (livedata_test(call->ld, def, json_get(call->body, "datasources"), &req, &reply, &failure))
		test_failed(call, &reply, &failure);
	put_test(call, &reply, clock_mono_ms() - start);
	buf_done(&body);
	return 0;
}

static int check(struct livedata_internal *call, struct err *err)
{
	struct json *warnings = json_new_array(call->arena);
	int code = livedata_check(json_get(call->body, "definition"), json_get(call->body, "datasources"), warnings,
	                          call->arena, err);

	if (code)
		return code;
	buf_cstr(call->out, "{\"unbound_parameters\":");
	json_print(call->out, warnings);
	buf_char(call->out, '}');
	return 0;
}

bool livedata_internal_run(struct livedata_internal *call, int *ret_code, struct err *err)
{
	static const struct {
		const char *operation;
		int (*run)(struct livedata_internal *call, struct err *err);
	} operations[] = {
		{"datasource/ping", ping},         {"datasource/tables", tables}, {"datasource/columns", columns},
		{"datasource/describe", describe}, {"datasource/sql", sql},       {"livedata/test", test},
		{"livedata/check", check},
	};

	for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
		if (str_is(call->operation, operations[i].operation)) {
			*ret_code = operations[i].run(call, err);
			return true;
		}
	}
	return false;
}
