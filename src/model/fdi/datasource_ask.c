/* SPDX-License-Identifier: Apache-2.0 */
#include "model/fdi/datasource.h"

#include "model/fdi/content.h"
#include "model/fdi/worker.h"

#include <stdio.h>

#define TIMEOUT_MS 20000
#define BODY_BYTES ((size_t)16 << 20)

/* {"datasource":{...} : the caller adds members and the brace. */
static int begin_body(struct model *m, const struct datasource *source, struct buf *out)
{
	buf_init(out, BODY_BYTES);
	buf_cstr(out, "{\"datasource\":");
	return datasource_encode(m, source, out);
}

static int ask(struct model *m, const char *operation, struct buf *body, const struct json **ret)
{
	buf_char(body, '}');
	return body->failed ? err_set(&m->err, ERR_FDI_3002, "the request is too large")
			    : worker_call(m, operation, buf_view(body), TIMEOUT_MS, ret);
}

/* Reads the source in a transaction that is over before the worker is asked. */
static int get_stored(struct model *m, struct str instance_id, struct str id, enum app_role role,
		      struct datasource *ret)
{
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc == 0)
		rc = datasource_get(m, instance_id, id, role, ret);
	store_rollback(&m->tx);
	return rc;
}

/* The source of a body. The stored secrets go to where the body says: only for who may change the source. */
static int merge(struct model *m, struct str instance_id, struct str id, const struct fdi_datasource *in,
		 struct datasource *ret)
{
	struct datasource old = {.content = NULL};
	int rc = datasource_get(m, instance_id, id, APP_MODIFY, &old);

	if (rc && rc != ERR_FDI_3101)
		return rc;
	if (rc == ERR_FDI_3101 || !str_eq(old.type, in->datasource_type))
		old.content = NULL;
	rc = app_require(m, instance_id, in->app_id, APP_MODIFY);
	if (rc == APP_UNKNOWN)
		return err_set(&m->err, ERR_FDI_3435, NULL);
	if (rc == APP_FORBIDDEN)
		return err_set_status(&m->err, ERR_FDI_3478, 403, NULL);
	if (rc)
		return rc;
	*ret = (struct datasource){.type = in->datasource_type, .content = content_seal(m, in->content, old.content)};
	return content_check(m, ret->type, ret->content);
}

static int get_described(struct model *m, struct str instance_id, struct str id, const struct fdi_datasource *in,
			 struct datasource *ret)
{
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc == 0)
		rc = merge(m, instance_id, id, in, ret);
	store_rollback(&m->tx);
	return rc;
}

/* What the worker said about the source becomes the domain's code; that it is not there stays what it is. */
static int reword(struct model *m, int code, const char *what)
{
	char text[sizeof(m->err.text)];

	if (m->err.code == ERR_APPIA_0503_WORKER_UNAVAILABLE || m->err.code == ERR_APPIA_0500)
		return m->err.code;
	snprintf(text, sizeof(text), "%s", m->err.text);
	return err_set_text(&m->err, code, "%s: %s", what, text);
}

int datasource_test(struct model *m, struct str instance_id, struct str id, const struct fdi_datasource *in,
		    struct fdi_datasource_test *ret)
{
	struct datasource source;
	const struct json *reply;
	struct buf body;
	int rc =
		in ? get_described(m, instance_id, id, in, &source) : get_stored(m, instance_id, id, APP_READ, &source);

	if (rc)
		return rc;
	rc = begin_body(m, &source, &body);
	if (rc == 0 && ask(m, "datasource/ping", &body, &reply))
		rc = reword(m, ERR_FDI_3016, "Failed to test the connectivity");
	buf_done(&body);
	if (rc == 0)
		*ret = (struct fdi_datasource_test){.result = true, .has_result = true};
	return rc;
}

int datasource_tables(struct model *m, const struct fdi_list_datasource_tables_in *in,
		      struct fdi_datasource_table_list *ret)
{
	struct datasource source;
	const struct json *reply, *tables;
	struct buf body;
	int rc = get_stored(m, in->instance_id, in->datasource_id, APP_READ, &source);

	if (rc)
		return rc;
	rc = begin_body(m, &source, &body);
	if (rc == 0 && in->filter.n) {
		buf_cstr(&body, ",\"filter\":");
		json_print_str(&body, in->filter);
	}
	if (rc == 0 && ask(m, "datasource/tables", &body, &reply))
		rc = reword(m, ERR_FDI_3016, "Failed to list the tables");
	buf_done(&body);
	if (rc)
		return rc;
	tables = json_get(reply, "tables");
	ret->tables.v = ARENA_ARRAY(m->arena, struct str, json_len(tables) + 1);
	for (size_t i = 0; i < json_len(tables); i++) {
		const struct json *t = json_at(tables, i);
		struct str schema = json_str(json_get(t, "schema")), name = json_str(json_get(t, "name"));

		if (in->db_schema.n && !str_eq(schema, in->db_schema))
			continue;
		/* As it has to be written in SQL: what is found without a schema goes by its name alone. */
		bool plain = str_empty(schema) || str_is(schema, "public") || str_is(schema, "main") ||
			     str_eq(schema, source.content->database_name);

		ret->tables.v[ret->tables.n++] =
			plain ? name : arena_fmt(m->arena, "%.*s.%.*s", STR_FMT(schema), STR_FMT(name));
	}
	return 0;
}

static struct str yes_no(bool value)
{
	return value ? STR("true") : STR("false");
}

/* The reference: digits behind the point for numbers, nothing for other types. */
static bool is_number(struct str type)
{
	static const char *const parts[] = {"int", "dec", "num", "float", "double", "real", "serial"};
	char lower[32];
	size_t n = type.n < sizeof(lower) ? type.n : sizeof(lower);

	for (size_t i = 0; i < n; i++)
		lower[i] = type.p[i] >= 'A' && type.p[i] <= 'Z' ? (char)(type.p[i] + 32) : type.p[i];
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (str_contains((struct str){lower, n}, str_of(parts[i])))
			return true;
	return false;
}

static void read_columns(struct model *m, const struct json *reply, struct fdi_column_list *ret)
{
	const struct json *list = json_get(reply, "columns");

	ret->columns.v = ARENA_ARRAY(m->arena, struct fdi_column, json_len(list) + 1);
	ret->columns.n = json_len(list);
	for (size_t i = 0; i < ret->columns.n; i++) {
		const struct json *c = json_at(list, i);
		struct fdi_column *out = &ret->columns.v[i];
		long long size = json_int(json_get(c, "size")), scale = json_int(json_get(c, "scale"));

		out->field_name = json_str(json_get(c, "name"));
		out->field_type = json_str(json_get(c, "type"));
		out->null_able = yes_no(json_bool(json_get(c, "nullable")));
		out->primary = yes_no(json_bool(json_get(c, "primary_key")));
		if (size > 0)
			out->field_length = arena_fmt(m->arena, "%lld", size);
		if (out->field_type.p && is_number(out->field_type))
			out->decimal_digits = arena_fmt(m->arena, "%lld", scale);
	}
}

static int ask_columns(struct model *m, const struct datasource *source, struct str schema, struct str table,
		       const struct json **ret)
{
	struct buf body;
	int rc = begin_body(m, source, &body);

	buf_cstr(&body, ",\"table\":");
	json_print_str(&body, table);
	if (schema.n) {
		buf_cstr(&body, ",\"schema\":");
		json_print_str(&body, schema);
	}
	if (rc == 0 && ask(m, "datasource/columns", &body, ret))
		rc = reword(m, ERR_FDI_3126, "Failed to query the field");
	buf_done(&body);
	return rc;
}

int datasource_columns(struct model *m, const struct fdi_list_datasource_columns_in *in, struct fdi_column_list *ret)
{
	struct str rest = in->table_name, schema = str_cut(&rest, '.');
	struct datasource source;
	const struct json *reply;
	int rc = get_stored(m, in->instance_id, in->datasource_id, APP_READ, &source);

	if (rc == 0)
		rc = ask_columns(m, &source, STR_NONE, in->table_name, &reply);
	if (rc == 0 && json_len(json_get(reply, "columns")) == 0 && rest.n)
		rc = ask_columns(m, &source, schema, rest, &reply);
	if (rc == 0 && json_len(json_get(reply, "columns")) == 0)
		return err_set_text(&m->err, ERR_FDI_3126, "Failed to query the field: there is no such table.");
	if (rc == 0)
		read_columns(m, reply, ret);
	return rc;
}

int datasource_describe(struct model *m, struct str instance_id, struct str id, struct str sql,
			struct fdi_column_list *ret)
{
	struct datasource source;
	const struct json *reply;
	struct buf body;
	int rc = get_stored(m, instance_id, id, APP_READ, &source);

	if (rc)
		return rc;
	if (str_trim(sql).n == 0)
		return err_set(&m->err, ERR_FDI_3073, NULL);
	rc = begin_body(m, &source, &body);
	buf_cstr(&body, ",\"sql\":");
	json_print_str(&body, sql);
	if (rc == 0 && ask(m, "datasource/describe", &body, &reply))
		rc = m->err.code == ERR_APPIA_0500_SQL_FAILED || m->err.code == ERR_APPIA_0400
			     ? reword(m, ERR_FDI_3035, "Invalid SQL statement")
			     : reword(m, ERR_FDI_3016, "Failed to test the statement");
	buf_done(&body);
	if (rc == 0)
		read_columns(m, reply, ret);
	return rc;
}
