/* SPDX-License-Identifier: Apache-2.0 */
#include "model/livedata/livedata_priv.h"

#include "base/rnd.h"

#define COLUMNS                                                                                                        \
	"SELECT l.id, l.app_id, a.name, l.deploy_id, l.api_id, l.status, l.created_ms, l.updated_ms, l.doc, "          \
	"l.instance_id"
#define TABLES " FROM livedata_api l JOIN app a ON a.id = l.app_id"

static void read_row(struct model *m, struct store_rows *rows, struct livedata_row *ret)
{
	*ret = (struct livedata_row){
		.id = store_str(rows, 0, m->arena),
		.app_id = store_str(rows, 1, m->arena),
		.app_name = store_str(rows, 2, m->arena),
		.deploy_id = store_str(rows, 3, m->arena),
		.api_id = store_str(rows, 4, m->arena),
		.status = store_int(rows, 5),
		.created_ms = store_int(rows, 6),
		.updated_ms = store_int(rows, 7),
		.def = store_doc(rows, 8, &doc_apic_livedata_api, m->arena),
	};
	if (!ret->def)
		ret->def = ARENA_NEW(m->arena, struct apic_livedata_api); /* told at store_done() */
	ret->def->id = ret->id;
	ret->def->instance = store_str(rows, 9, m->arena);
	ret->def->roma_app_id = ret->app_id;
}

static int not_found(struct model *m, struct str id)
{
	return err_set_text(&m->err, ERR_APIG_3084, "The livedata API does not exist, id: %.*s", STR_FMT(id));
}

int livedata__get(struct model *m, struct str instance_id, struct str id, enum app_role role, struct livedata_row *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, COLUMNS TABLES " WHERE l.id = ? AND l.instance_id = ?", "ss", id,
			     instance_id);

	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		read_row(m, rows, ret);
	rc = store_done(&rows, &m->err);
	if (rc == 0 && !found)
		return not_found(m, id);
	return rc ? rc : apic_app_allow(m, instance_id, ret->app_id, role, ERR_APIG_3004, ERR_APIG_1139);
}

void livedata__reply(struct model *m, const struct livedata_row *row, struct apic_livedata_api *ret)
{
	struct arena *a = m->arena;

	*ret = *row->def;
	ret->roma_app_name = row->app_name;
	SET(ret, status, row->status);
	ret->created_time = api__time(m, row->created_ms);
	ret->modified_time = api__time(m, row->updated_ms);
	if (!ret->description.p)
		ret->description = STR("");
	if (!ret->parameters.v)
		ret->parameters.v = ARENA_ARRAY(a, struct apic_livedata_parameter, 1);
	if (!ret->scripts.v)
		ret->scripts.v = ARENA_ARRAY(a, struct apic_livedata_script, 1);
}

int livedata__note_sources(struct model *m, struct str id, int64_t deployed, const struct apic_livedata_api *def)
{
	int rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM livedata_source WHERE ld_api_id = ? AND deployed = ?",
			    "si", id, deployed);

	for (size_t i = 0; rc == 0 && i < def->scripts.n; i++)
		if (def->scripts.v[i].ds_id.n)
			rc = store_exec(
				m->tx, &m->err, NULL,
				"INSERT INTO livedata_source (ld_api_id, deployed, datasource_id) VALUES (?, ?, ?)"
				" ON CONFLICT DO NOTHING",
				"sis", id, deployed, def->scripts.v[i].ds_id);
	return rc;
}

int livedata__save(struct model *m, const struct livedata_row *row)
{
	int rc = store_exec(
		m->tx, &m->err, NULL,
		"UPDATE livedata_api SET app_id = ?, name = ?, method = ?, path = ?, type = ?, status = ?, doc = ?,"
		" updated_ms = ? WHERE id = ?",
		"sssssidis", row->app_id, row->def->name, row->def->method, row->def->path, row->def->type, row->status,
		&doc_apic_livedata_api, row->def, row->updated_ms, row->id);

	return rc ? rc : livedata__note_sources(m, row->id, 0, row->def);
}

/* Is there another back end of the name, or of the path and method? */
static int check_unique(struct model *m, struct str instance_id, struct str id, const struct apic_livedata_api *in)
{
	int64_t one;
	bool found = false;
	int rc = 0;

	if (in->name.p)
		rc = store_get_int(m->tx, &m->err, &one, &found,
				   "SELECT 1 FROM livedata_api WHERE instance_id = ? AND name = ? AND id <> ?", "sss",
				   instance_id, in->name, id);
	if (rc == 0 && found)
		return err_set_text(&m->err, ERR_APIG_3215, "The livedata API name already exists");
	if (rc == 0 && in->path.p)
		rc = store_get_int(
			m->tx, &m->err, &one, &found,
			"SELECT 1 FROM livedata_api WHERE instance_id = ? AND path = ? AND method = ? AND id <> ?",
			"ssss", instance_id, in->path, in->method, id);
	return rc || !found ? rc : err_set(&m->err, ERR_APIG_3314, NULL);
}

/* Parameters in the body are named by its content type, all others by themselves. */
static int check_parameters(struct model *m, const struct apic_livedata_parameter_array *list)
{
	if (list->n > 200)
		return api__invalid(m, "parameters", "there are more than 200");
	for (size_t i = 0; i < list->n; i++) {
		const struct apic_livedata_parameter *p = &list->v[i];
		bool type = str_starts(p->name, STR("application/"));

		if (str_empty(p->name))
			return api__invalid(m, "name", "a parameter has no name");
		if (type != str_is(p->in, "Body"))
			return api__invalid(m, "name",
					    "parameters in Body are called application/json, application/xml or"
					    " application/text, others are not");
	}
	return 0;
}

static int check_definition(struct model *m, const struct apic_livedata_api *in)
{
	struct str type = in->content_type;

	if (type.n && !str_eq_nocase(type, STR("json")) && !str_eq_nocase(type, STR("xml")) &&
	    !str_eq_nocase(type, STR("stream")))
		return api__invalid(m, "content_type", "must be json, xml or stream");
	return check_parameters(m, &in->parameters);
}

/* What a request may set; scripts and type come with the scripts. */
static void take(struct apic_livedata_api *def, const struct apic_livedata_api *in)
{
	def->name = in->name;
	def->path = in->path;
	def->method = in->method;
	def->description = in->description;
	def->version = in->version;
	def->content_type = in->content_type.n ? in->content_type : STR("json");
	def->api_signature_id = in->api_signature_id;
	SET(def, return_format, in->return_format);
	def->parameters = in->parameters;
	def->roma_app_id = in->roma_app_id;
}

static int check_quota(struct model *m, struct str instance_id)
{
	int64_t n;
	int rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM livedata_api WHERE instance_id = ?", "s",
			       instance_id);

	return rc || n < LIVEDATA_MAX ? rc : err_set(&m->err, ERR_APIG_3134, NULL);
}

int livedata_create(struct model *m, struct str instance_id, const struct apic_livedata_api *in,
		    struct apic_livedata_api *ret)
{
	struct apic_livedata_api *def = ARENA_NEW(m->arena, struct apic_livedata_api);
	struct str id = rnd_id(m->arena);
	int rc = apic_app_allow(m, instance_id, in->roma_app_id, APP_MODIFY, ERR_APIG_3004, ERR_APIG_1141);

	if (rc == 0)
		rc = check_definition(m, in);
	if (rc == 0)
		rc = check_unique(m, instance_id, id, in);
	if (rc == 0)
		rc = check_quota(m, instance_id);
	if (rc)
		return rc;
	take(def, in);
	rc = store_exec(
		m->tx, &m->err, NULL,
		"INSERT INTO livedata_api (id, instance_id, app_id, name, method, path, status, doc, created_ms,"
		" updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		"ssssssidii", id, instance_id, in->roma_app_id, in->name, in->method, in->path, (int64_t)LIVEDATA_NEW,
		&doc_apic_livedata_api, def, m->now_ms, m->now_ms);
	return rc ? rc : livedata_show(m, instance_id, id, ret);
}

/* What runs is found by them. */
static int check_deployed(struct model *m, const struct livedata_row *row, const struct apic_livedata_api *in)
{
	if (row->status != LIVEDATA_DEPLOYED)
		return 0;
	if (!str_eq(in->path, row->def->path))
		return api__invalid(m, "path", "cannot be changed while the back end is deployed");
	if (!str_eq(in->method, row->def->method))
		return api__invalid(m, "method", "cannot be changed while the back end is deployed");
	if (!str_eq(in->roma_app_id, row->app_id))
		return api__invalid(m, "roma_app_id", "cannot be changed while the back end is deployed");
	return 0;
}

int livedata_update(struct model *m, struct str instance_id, struct str id, const struct apic_livedata_api *in,
		    struct apic_livedata_api *ret)
{
	struct livedata_row row;
	int rc = livedata__get(m, instance_id, id, APP_MODIFY, &row);

	if (rc == 0)
		rc = check_deployed(m, &row, in);
	if (rc == 0 && !str_eq(in->roma_app_id, row.app_id))
		rc = apic_app_allow(m, instance_id, in->roma_app_id, APP_MODIFY, ERR_APIG_3004, ERR_APIG_1141);
	if (rc == 0)
		rc = check_definition(m, in);
	if (rc == 0)
		rc = check_unique(m, instance_id, id, in);
	if (rc)
		return rc;
	take(row.def, in);
	row.app_id = in->roma_app_id;
	row.updated_ms = m->now_ms;
	rc = livedata__save(m, &row);
	return rc ? rc : livedata_show(m, instance_id, id, ret);
}

int livedata__check_authorizers(struct model *m, struct str id)
{
	bool found;
	int64_t one;
	int rc = store_get_int(m->tx, &m->err, &one, &found, "SELECT 1 FROM authorizer WHERE ld_api_id = ? LIMIT 1",
			       "s", id);

	return rc || !found ? rc : err_set(&m->err, ERR_APIG_3460, NULL);
}

int livedata_delete(struct model *m, struct str instance_id, struct str id)
{
	struct livedata_row row;
	int rc = livedata__get(m, instance_id, id, APP_DELETE, &row);

	if (rc == 0 && row.status == LIVEDATA_DEPLOYED)
		return err_set(&m->err, ERR_APIG_3483, NULL);
	if (rc == 0)
		rc = livedata__check_authorizers(m, id);
	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM livedata_api WHERE id = ?", "s", id);
	return rc ? rc : store_outbox(m->tx, &m->err, STR("livedata"), id);
}

/* Names of data sources as they are now. */
static int refresh_sources(struct model *m, struct str id, struct apic_livedata_api *def)
{
	struct store_rows *rows;
	int rc = store_query(
		m->tx, &m->err, &rows,
		"SELECT d.id, d.name, d.type FROM livedata_source s JOIN datasource d ON d.id = s.datasource_id"
		" WHERE s.ld_api_id = ? AND s.deployed = 0",
		"s", id);

	if (rc)
		return rc;
	while (store_next(rows)) {
		struct str source = store_str(rows, 0, m->arena), name = store_str(rows, 1, m->arena);
		struct str type = livedata__source_type(store_str(rows, 2, m->arena));

		for (size_t i = 0; i < def->scripts.n; i++) {
			if (!str_eq(def->scripts.v[i].ds_id, source))
				continue;
			def->scripts.v[i].ds_name = name;
			def->scripts.v[i].ds_type = type;
		}
	}
	return store_done(&rows, &m->err);
}

int livedata_show(struct model *m, struct str instance_id, struct str id, struct apic_livedata_api *ret)
{
	struct livedata_row row;
	int rc = livedata__get(m, instance_id, id, APP_READ, &row);

	if (rc == 0)
		rc = refresh_sources(m, id, row.def);
	if (rc == 0)
		livedata__reply(m, &row, ret);
	return rc;
}

#define FILTERS                                                                                                        \
	" WHERE l.instance_id = ?" APIC_EQUALS("l.app_id") APIC_EQUALS("CAST(l.status AS TEXT)") APIC_MATCH("l.name")  \
		APIC_MATCH("l.path") " AND LOWER(a.name) LIKE ? ESCAPE '\\'" APIC_VISIBLE_APP
#define APIC_VISIBLE_APP APP_VISIBLE("l.app_id")
#define FILTER_TYPES                                                                                                   \
	"s"                                                                                                            \
	"ss"                                                                                                           \
	"ss"                                                                                                           \
	"sss"                                                                                                          \
	"sss"                                                                                                          \
	"s"                                                                                                            \
	"sss"

int livedata_list(struct model *m, const struct apic_list_live_data_api_in *in, struct apic_livedata_api_list *ret)
{
	struct apic_match name = apic_match_of(m, in->name, in->precise_search, "name");
	struct apic_match path = apic_match_of(m, in->path, in->precise_search, "path");
	struct apic_page page = APIC_PAGE(in);
	struct str app = apic_given(in->app_id), status = apic_given(in->status), me = app_visible_user(m);
	struct str app_name = store_like(m->arena, apic_given(in->app_name));
	struct store_rows *rows;
	int rc = store_get_int(m->tx, &m->err, &ret->total, NULL, "SELECT COUNT(*)" TABLES FILTERS, FILTER_TYPES,
			       in->instance_id, app, app, status, status, name.exact, name.exact, name.like, path.exact,
			       path.exact, path.like, app_name, me, me, me);

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 COLUMNS TABLES FILTERS " ORDER BY l.created_ms DESC, l.id LIMIT ? OFFSET ?",
				 FILTER_TYPES "ii", in->instance_id, app, app, status, status, name.exact, name.exact,
				 name.like, path.exact, path.exact, path.like, app_name, me, me, me, page.limit,
				 page.offset);
	if (rc)
		return rc;
	ret->apis.v = ARENA_ARRAY(m->arena, struct apic_livedata_api, (size_t)page.limit);
	while (ret->apis.n < (size_t)page.limit && store_next(rows)) {
		struct livedata_row row;

		read_row(m, rows, &row);
		livedata__reply(m, &row, &ret->apis.v[ret->apis.n++]);
	}
	SET(ret, size, (int64_t)ret->apis.n);
	ret->has_total = true;
	return store_done(&rows, &m->err);
}

int livedata_validate(struct model *m, struct str instance_id, const struct apic_livedata_check *in)
{
	struct apic_livedata_api wanted = {.name = STR_NONE};

	if (str_is(in->type, "name")) {
		if (str_empty(in->ld_api_name))
			return api__missing(m, "ld_api_name");
		wanted.name = in->ld_api_name;
	} else {
		if (str_empty(in->ld_api_method))
			return api__missing(m, "ld_api_method");
		if (str_empty(in->ld_api_path))
			return api__missing(m, "ld_api_path");
		wanted.method = in->ld_api_method;
		wanted.path = in->ld_api_path;
	}
	return check_unique(m, instance_id, STR(""), &wanted);
}

int livedata_quota(struct model *m, struct str instance_id, struct apic_livedata_quota *ret)
{
	int64_t apis, sources;
	int rc = store_get_int(m->tx, &m->err, &apis, NULL, "SELECT COUNT(*) FROM livedata_api WHERE instance_id = ?",
			       "s", instance_id);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &sources, NULL,
				   "SELECT COUNT(*) FROM datasource WHERE instance_id = ?", "s", instance_id);
	if (rc)
		return rc;
	*ret = (struct apic_livedata_quota){
		.api = arena_fmt(m->arena, "%d", LIVEDATA_MAX),
		.api_used = arena_fmt(m->arena, "%lld", (long long)apis),
		.scripts = arena_fmt(m->arena, "%d", LIVEDATA_MAX_SCRIPTS),
		.datasource = arena_fmt(m->arena, "%d", DATASOURCE_MAX),
		.datasource_used = arena_fmt(m->arena, "%lld", (long long)sources),
	};
	return 0;
}
