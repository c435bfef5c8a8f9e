/* SPDX-License-Identifier: Apache-2.0 */
#include "model/livedata/livedata_priv.h"

#include "base/enc.h"
#include "model/fdi/worker.h"
#include "model/livedata/definition.h"
#include "model/write.h"

#include <stdio.h>

#define CHECK_MS 10000

/* A result is found by this name, in JSON and in XML. */
static int check_object_name(struct model *m, const struct apic_livedata_script_array *list, size_t at)
{
	struct str name = list->v[at].object_name;

	if (str_trim(name).n == 0)
		return api__invalid(m, "object_name", "must not be empty");
	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] < ' ' || strchr("<>&\"'", name.p[i]))
			return api__invalid(m, "object_name", "has a character that is not allowed");
	for (size_t i = 0; i < at; i++)
		if (str_eq(list->v[i].object_name, name))
			return err_set(&m->err, ERR_APIG_3315, "object_name:%.*s", STR_FMT(name));
	return 0;
}

static int check_content(struct model *m, struct str content)
{
	struct str text;

	if (!enc_unbase64(m->arena, content, &text))
		return api__invalid(m, "content", "must be base64");
	if (!enc_utf8_valid(text) || (text.n && memchr(text.p, 0, text.n)))
		return api__invalid(m, "content", "must be the base64 of UTF-8 text");
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] > ' ')
			return 0;
	return api__invalid(m, "content", "is empty");
}

static int take_source(struct model *m, struct str instance_id, struct apic_livedata_script *s)
{
	struct datasource source;

	if (str_empty(s->ds_id))
		return api__missing(m, "ds_id");
	int rc = datasource_get(m, instance_id, s->ds_id, APP_ACCESS, &source);

	if (rc == ERR_FDI_3101)
		return err_set_status(&m->err, ERR_APIG_3083, 404, "id:%.*s", STR_FMT(s->ds_id));
	if (rc == ERR_FDI_3478)
		return err_set_status(&m->err, ERR_APIG_1141, 403, NULL);
	if (rc)
		return rc;
	s->ds_name = source.name;
	s->ds_type = livedata__source_type(source.type);
	return s->ds_type.p ? 0 : err_set(&m->err, ERR_APIG_3489, "type:%.*s", STR_FMT(source.type));
}

static int take_script(struct model *m, struct str instance_id, bool function, struct apic_livedata_script *s)
{
	int rc = check_content(m, s->content);

	s->created_time = s->modified_time = api__time(m, m->now_ms);
	if (str_empty(s->type))
		s->type = STR("SQL");
	if (rc || !function)
		return rc ? rc : take_source(m, instance_id, s);
	s->ds_id = s->ds_name = s->ds_type = STR_NONE;
	return 0;
}

/* A script that was there before keeps the time it was made. */
static void keep_times(const struct apic_livedata_script_array *old, struct apic_livedata_script_array *list)
{
	for (size_t i = 0; i < list->n; i++) {
		for (size_t k = 0; k < old->n; k++) {
			if (!str_eq(old->v[k].object_name, list->v[i].object_name))
				continue;
			list->v[i].created_time = old->v[k].created_time;
			if (str_eq(old->v[k].content, list->v[i].content))
				list->v[i].modified_time = old->v[k].modified_time;
		}
	}
}

static int take(struct model *m, struct str instance_id, const struct apic_livedata_scripts *in,
		struct livedata_row *row)
{
	struct apic_livedata_script_array list = {ARENA_ARRAY(m->arena, struct apic_livedata_script, in->scripts.n + 1),
						  in->scripts.n};
	struct str type = in->api_type.n ? in->api_type : row->def->type.n ? row->def->type : STR("data");
	bool function = str_is(type, "function");
	int rc = 0;

	if (list.n == 0)
		return api__missing(m, "scripts");
	if (list.n > LIVEDATA_MAX_SCRIPTS)
		return err_set(&m->err, ERR_APIG_3135, "maximum:%d", LIVEDATA_MAX_SCRIPTS);
	if (function && list.n > 1)
		return api__invalid(m, "scripts", "a function is one script");
	for (size_t i = 0; rc == 0 && i < list.n; i++) {
		list.v[i] = in->scripts.v[i];
		rc = check_object_name(m, &list, i);
		if (rc == 0)
			rc = take_script(m, instance_id, function, &list.v[i]);
	}
	if (rc)
		return rc;
	keep_times(&row->def->scripts, &list);
	row->def->type = type;
	row->def->scripts = list;
	return 0;
}

int livedata__encode(struct model *m, struct str instance_id, const struct livedata_row *row, struct buf *out)
{
	struct livedata_deployed definition = {.id = row->id, .api = row->def};
	size_t n = 0;
	int rc;

	buf_cstr(out, "{\"definition\":");
	rc = livedata_definition_encode(m, &definition, out);
	buf_cstr(out, ",\"datasources\":[");
	for (size_t i = 0; rc == 0 && i < row->def->scripts.n; i++) {
		struct str id = row->def->scripts.v[i].ds_id;
		struct datasource source;
		bool before = str_empty(id);

		for (size_t k = 0; k < i && !before; k++)
			before = str_eq(row->def->scripts.v[k].ds_id, id);
		if (before)
			continue;
		rc = datasource_get(m, instance_id, id, APP_ACCESS, &source);
		if (rc == ERR_FDI_3478)
			rc = err_set_status(&m->err, ERR_APIG_1141, 403, NULL);
		buf_cstr(out, n++ ? "," : "");
		if (rc == 0)
			rc = datasource_encode(m, &source, out);
	}
	buf_char(out, ']');
	return rc;
}

/* The scripts as they would be, and what the worker needs to check them. */
static int prepare(struct model *m, struct str instance_id, struct str id, const struct apic_livedata_scripts *in,
		   struct livedata_row *row, struct buf *body)
{
	int rc = livedata__get(m, instance_id, id, APP_MODIFY, row);

	if (rc == 0)
		rc = take(m, instance_id, in, row);
	return rc || !body ? rc : livedata__encode(m, instance_id, row, body);
}

/* The worker knows the syntax. When it does not run, a broken script shows at the first test instead. */
static int check_syntax(struct model *m, struct buf *body)
{
	const struct json *reply;
	char why[sizeof(m->err.text)];

	buf_char(body, '}');
	if (body->failed)
		return api__invalid(m, "scripts", "are too large");
	if (worker_call(m, "livedata/check", buf_view(body), CHECK_MS, &reply) != ERR_APPIA_0400)
		return 0;
	snprintf(why, sizeof(why), "%s", m->err.text);
	return api__invalid(m, "content", "%s", why);
}

struct change {
	struct str instance_id, id;
	const struct apic_livedata_scripts *in;
	struct livedata_row row;
};

/* Again, as things are now. */
static int change(struct model *m, void *arg)
{
	struct change *c = arg;
	int rc = prepare(m, c->instance_id, c->id, c->in, &c->row, NULL);

	if (rc)
		return rc;
	c->row.status = c->row.status == LIVEDATA_DEPLOYED ? LIVEDATA_DEPLOYED : LIVEDATA_DEVELOPED;
	c->row.updated_ms = m->now_ms;
	return livedata__save(m, &c->row);
}

int livedata_scripts_set(struct model *m, struct str instance_id, struct str id, const struct apic_livedata_scripts *in,
			 struct apic_livedata_api *ret)
{
	struct change c = {.instance_id = instance_id, .id = id, .in = in};
	struct buf body;
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	buf_init(&body, LIVEDATA_DOCUMENT_BYTES);
	if (rc == 0)
		rc = prepare(m, instance_id, id, in, &c.row, &body);
	store_rollback(&m->tx);
	if (rc == 0)
		rc = check_syntax(m, &body);
	buf_done(&body);
	if (rc == 0)
		rc = model_write(m, change, &c);
	if (rc == 0)
		livedata__reply(m, &c.row, ret);
	return rc;
}
