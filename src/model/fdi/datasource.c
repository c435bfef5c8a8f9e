/* SPDX-License-Identifier: Apache-2.0 */
#include "model/fdi/datasource.h"

#include "base/rnd.h"
#include "model/fdi/content.h"

#define DEFAULT_LIMIT 20
#define MAX_LIMIT 200 /* what the reply may hold */

/* Parameters: user. */
#define COLUMNS                                                                                                        \
	"SELECT d.id, d.instance_id, d.app_id, a.name, d.name, d.type, d.description, d.created_ms, d.updated_ms,"     \
	" d.content, a.created_by, COALESCE(u.roles, 0)"
#define TABLES                                                                                                         \
	" FROM datasource d JOIN app a ON a.id = d.app_id LEFT JOIN app_user u ON u.app_id = a.id AND u.user_id = ?"

static int allow(struct model *m, struct str instance_id, struct str app_id, enum app_role role)
{
	int rc = app_require(m, instance_id, app_id, role);

	if (rc == APP_UNKNOWN)
		return err_set(&m->err, ERR_FDI_3435, NULL);
	return rc == APP_FORBIDDEN ? err_set_status(&m->err, ERR_FDI_3478, 403, NULL) : rc;
}

static unsigned read_row(struct model *m, struct store_rows *rows, struct datasource *ret)
{
	struct str creator = store_str(rows, 10, m->arena);
	bool all = !m->who || m->who->administrator || str_eq(creator, m->who->user_id);

	*ret = (struct datasource){
		.id = store_str(rows, 0, m->arena),
		.instance_id = store_str(rows, 1, m->arena),
		.app_id = store_str(rows, 2, m->arena),
		.app_name = store_str(rows, 3, m->arena),
		.name = store_str(rows, 4, m->arena),
		.type = store_str(rows, 5, m->arena),
		.description = store_str(rows, 6, m->arena),
		.created_ms = store_int(rows, 7),
		.updated_ms = store_int(rows, 8),
		.content = store_doc(rows, 9, &doc_fdi_content, m->arena),
	};
	return all ? APP_ALL : (unsigned)store_int(rows, 11);
}

static struct str_array permissions(struct model *m, unsigned roles)
{
	static const char *const names[] = {"read", "access", "delete", "modify"};
	struct str_array list = {ARENA_ARRAY(m->arena, struct str, 4), 0};

	for (size_t i = 0; i < 4; i++)
		if (roles & 1u << i)
			list.v[list.n++] = str_of(names[i]);
	return list;
}

static void show(struct model *m, const struct datasource *d, unsigned roles, struct fdi_datasource *ret)
{
	*ret = (struct fdi_datasource){
		.datasource_id = d->id,
		.datasource_name = d->name,
		.datasource_type = d->type,
		.app_id = d->app_id,
		.app_name = d->app_name,
		.instance_id = d->instance_id,
		.description = d->description,
		.content = d->content ? content_mask(m, d->content) : NULL,
		.app_permission = permissions(m, roles),
	};
	ret->create_time = d->created_ms;
	ret->has_create_time = true;
	ret->update_time = d->updated_ms;
	ret->has_update_time = true;
}

static int load(struct model *m, struct str instance_id, struct str id, struct datasource *ret, unsigned *ret_roles)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, COLUMNS TABLES " WHERE d.id = ? AND d.instance_id = ?", "sss",
			     m->who ? m->who->user_id : STR(""), id, instance_id);

	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		*ret_roles = read_row(m, rows, ret);
	rc = store_done(&rows, &m->err);
	return rc || found ? rc : err_set(&m->err, ERR_FDI_3101, NULL);
}

int datasource_get(struct model *m, struct str instance_id, struct str id, enum app_role role, struct datasource *ret)
{
	unsigned roles = 0;
	int rc = load(m, instance_id, id, ret, &roles);

	if (rc == 0 && (roles & role) != (unsigned)role)
		return err_set_status(&m->err, ERR_FDI_3478, 403, NULL);
	return rc;
}

int datasource_encode(struct model *m, const struct datasource *source, struct buf *out)
{
	struct fdi_content *opened;
	int rc = content_open(m, source->content, &opened);

	if (rc)
		return rc;
	buf_cstr(out, "{\"id\":");
	json_print_str(out, source->id.p ? source->id : STR("test"));
	buf_cstr(out, ",\"type\":");
	json_print_str(out, source->type);
	buf_cstr(out, ",\"content\":");
	schema_encode(&doc_fdi_content, opened, out);
	buf_char(out, '}');
	return 0;
}

static int check_name(struct model *m, struct str instance_id, struct str name)
{
	bool found;
	int64_t one;
	int rc = store_get_int(m->tx, &m->err, &one, &found,
			       "SELECT 1 FROM datasource WHERE instance_id = ? AND name = ?", "ss", instance_id, name);

	if (rc == 0 && found)
		return err_set(&m->err, ERR_FDI_3033, "body.datasource_name: another data source has this name");
	return rc;
}

static int check_quota(struct model *m, struct str instance_id)
{
	int64_t n;
	int rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM datasource WHERE instance_id = ?", "s",
			       instance_id);

	return rc || n < DATASOURCE_MAX ? rc : err_set(&m->err, ERR_FDI_3057, NULL);
}

int datasource_create(struct model *m, struct str instance_id, const struct fdi_datasource *in,
		      struct fdi_datasource *ret)
{
	struct fdi_content *sealed = content_seal(m, in->content, NULL);
	struct str id = rnd_id(m->arena);
	int rc = allow(m, instance_id, in->app_id, APP_MODIFY);

	if (rc == 0)
		rc = content_check(m, in->datasource_type, sealed);
	if (rc == 0)
		rc = check_name(m, instance_id, in->datasource_name);
	if (rc == 0)
		rc = check_quota(m, instance_id);
	if (rc == 0)
		rc = store_exec(
			m->tx, &m->err, NULL,
			"INSERT INTO datasource (id, instance_id, app_id, name, type, description, content, created_ms,"
			" updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			"ssssssdii", id, instance_id, in->app_id, in->datasource_name, in->datasource_type,
			in->description.p ? in->description : STR(""), &doc_fdi_content, sealed, m->now_ms, m->now_ms);
	if (rc == 0)
		rc = store_outbox(m->tx, &m->err, STR("datasource"), id);
	return rc ? rc : datasource_show(m, instance_id, id, ret);
}

int datasource_show(struct model *m, struct str instance_id, struct str id, struct fdi_datasource *ret)
{
	struct datasource d;
	unsigned roles;
	int rc = load(m, instance_id, id, &d, &roles);

	if (rc == 0 && !(roles & APP_READ))
		return err_set_status(&m->err, ERR_FDI_3478, 403, NULL);
	if (rc == 0)
		show(m, &d, roles, ret);
	return rc;
}

/* "%" fits everything. */
#define FILTERS                                                                                                        \
	" WHERE d.instance_id = ? AND LOWER(d.name) LIKE ? ESCAPE '\\' AND (CAST(? AS TEXT) IS NULL OR d.type = ?)"    \
	" AND (CAST(? AS TEXT) IS NULL OR d.app_id = ?)" APP_VISIBLE("d.app_id")
#define FILTER_TYPES                                                                                                   \
	"ss"                                                                                                           \
	"ss"                                                                                                           \
	"ss"                                                                                                           \
	"sss"

static int order(struct model *m, const struct fdi_list_datasources_in *in, const char **ret)
{
	bool up = str_eq_nocase(in->sort_type, STR("ASC"));

	if (in->sort_field.n && !str_eq_nocase(in->sort_field, STR("CREATED_DATE")))
		return err_set(&m->err, ERR_FDI_3049, NULL);
	if (in->sort_type.n && !up && !str_eq_nocase(in->sort_type, STR("DESC")))
		return err_set(&m->err, ERR_FDI_3049, NULL);
	*ret = up ? " ORDER BY d.created_ms, d.id LIMIT ? OFFSET ?"
		  : " ORDER BY d.created_ms DESC, d.id LIMIT ? OFFSET ?";
	return 0;
}

static struct str given(struct str s)
{
	return s.n ? s : STR_NONE;
}

int datasource_list(struct model *m, const struct fdi_list_datasources_in *in, struct fdi_datasource_list *ret)
{
	int64_t limit = !in->has_limit || in->limit == 0 ? DEFAULT_LIMIT
			: in->limit > MAX_LIMIT          ? MAX_LIMIT
							 : in->limit;
	struct str name = store_like(m->arena, given(in->name)), type = given(in->datasource_type);
	struct str app = given(in->app_id), me = app_visible_user(m), instance = in->instance_id;
	struct store_rows *rows;
	const char *sql = NULL;
	int rc = order(m, in, &sql);

	ret->entities.v = ARENA_ARRAY(m->arena, struct fdi_datasource, (size_t)limit);
	ret->total = 0;
	ret->has_total = true;
	ret->size = 0;
	ret->has_size = true;
	/* Connectors of one's own are not offered yet: nothing is made by one. */
	if (rc || in->custom_plugin_id.n || str_is(in->customized, "true"))
		return rc;
	rc = store_get_int(m->tx, &m->err, &ret->total, NULL, "SELECT COUNT(*) FROM datasource d" FILTERS, FILTER_TYPES,
			   instance, name, type, type, app, app, me, me, me);
	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows, arena_fmt(m->arena, "%s%s", COLUMNS TABLES FILTERS, sql).p,
				 "s" FILTER_TYPES "ii", m->who ? m->who->user_id : STR(""), instance, name, type, type,
				 app, app, me, me, me, limit, in->has_offset ? in->offset : (int64_t)0);
	if (rc)
		return rc;
	while (ret->entities.n < (size_t)limit && store_next(rows)) {
		struct datasource d;
		unsigned roles = read_row(m, rows, &d);

		show(m, &d, roles, &ret->entities.v[ret->entities.n++]);
	}
	ret->size = (int64_t)ret->entities.n;
	return store_done(&rows, &m->err);
}

/* A connection of another kind, with other data behind it, would surprise the scripts that use it. */
static int check_type(struct model *m, const struct datasource *old, struct str type)
{
	bool found;
	int64_t one;

	if (str_eq(old->type, type))
		return 0;
	int rc = store_get_int(m->tx, &m->err, &one, &found,
			       "SELECT 1 FROM livedata_source WHERE datasource_id = ? LIMIT 1", "s", old->id);

	if (rc == 0 && found)
		return err_set(&m->err, ERR_FDI_3033, "body.datasource_type: custom back ends use the data source");
	return rc;
}

static int check_change(struct model *m, const struct datasource *old, const struct fdi_datasource *in)
{
	int rc = check_type(m, old, in->datasource_type);

	if (rc == 0 && !str_eq(in->app_id, old->app_id))
		rc = allow(m, old->instance_id, in->app_id, APP_MODIFY);
	if (rc == 0 && !str_eq(in->datasource_name, old->name))
		rc = check_name(m, old->instance_id, in->datasource_name);
	return rc;
}

int datasource_update(struct model *m, struct str instance_id, struct str id, const struct fdi_datasource *in,
		      struct fdi_datasource *ret)
{
	struct datasource old;
	int rc = datasource_get(m, instance_id, id, APP_MODIFY, &old);

	if (rc == 0)
		rc = check_change(m, &old, in);
	if (rc)
		return rc;
	struct fdi_content *sealed =
		content_seal(m, in->content, str_eq(in->datasource_type, old.type) ? old.content : NULL);

	rc = content_check(m, in->datasource_type, sealed);
	if (rc == 0)
		rc = store_exec(
			m->tx, &m->err, NULL,
			"UPDATE datasource SET app_id = ?, name = ?, type = ?, description = COALESCE(?, description),"
			" content = ?, updated_ms = ? WHERE id = ?",
			"ssssdis", in->app_id, in->datasource_name, in->datasource_type, in->description,
			&doc_fdi_content, sealed, m->now_ms, id);
	if (rc == 0)
		rc = store_outbox(m->tx, &m->err, STR("datasource"), id);
	return rc ? rc : datasource_show(m, instance_id, id, ret);
}

int datasource_delete(struct model *m, struct str instance_id, struct str id)
{
	struct datasource d;
	bool used = false;
	int64_t one;
	int rc = datasource_get(m, instance_id, id, APP_DELETE, &d);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &one, &used,
				   "SELECT 1 FROM livedata_source WHERE datasource_id = ? LIMIT 1", "s", id);
	if (rc == 0 && used)
		return err_set_text(&m->err, ERR_FDI_3121,
				    "Failed to delete the data source: custom back ends use it.");
	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM datasource WHERE id = ?", "s", id);
	return rc ? rc : store_outbox(m->tx, &m->err, STR("datasource"), id);
}
