/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/api_release.h"
#include "model/apic/publish.h"

struct version_row {
	struct api_release release;
	struct str version_no;
	int64_t published_ms;
	struct apic_api *def;
	struct str publish_id; /* absent: does not serve */
};

#define VERSION_COLUMNS                                                                                                \
	"SELECT v.id, v.instance_id, v.api_id, v.env_id, e.name, v.group_id, v.remark, v.req_method, v.path, "         \
	"v.match_mode,"                                                                                                \
	" v.shape, v.version_no, v.published_ms, v.doc, p.id FROM api_version v"                                       \
	" JOIN api_env e ON e.instance_id = v.instance_id AND e.id = v.env_id"                                         \
	" LEFT JOIN api_publish p ON p.version_id = v.id WHERE v.instance_id = ? AND "

static struct version_row read_version(struct model *m, struct store_rows *rows)
{
	return (struct version_row){
		.release = {.version_id = store_str(rows, 0, m->arena),
			    .instance_id = store_str(rows, 1, m->arena),
			    .api_id = store_str(rows, 2, m->arena),
			    .env_id = store_str(rows, 3, m->arena),
			    .env_name = store_str(rows, 4, m->arena),
			    .group_id = store_str(rows, 5, m->arena),
			    .remark = store_str(rows, 6, m->arena),
			    .method = store_str(rows, 7, m->arena),
			    .path = store_str(rows, 8, m->arena),
			    .match_mode = store_str(rows, 9, m->arena),
			    .shape = store_str(rows, 10, m->arena)},
		.version_no = store_str(rows, 11, m->arena),
		.published_ms = store_int(rows, 12),
		.def = store_doc(rows, 13, &doc_apic_api, m->arena),
		.publish_id = store_str(rows, 14, m->arena),
	};
}

/* By its id, or (id absent) what an environment serves. *ret_found: there is one. */
static int find_version(struct model *m, struct str instance_id, struct str id, struct str api_id, struct str env_id,
			struct version_row *ret, bool *ret_found)
{
	struct store_rows *rows;
	int rc = id.p ? store_query(m->tx, &m->err, &rows, VERSION_COLUMNS "v.id = ?", "ss", instance_id, id)
		      : store_query(m->tx, &m->err, &rows, VERSION_COLUMNS "p.api_id = ? AND p.env_id = ?", "sss",
				    instance_id, api_id, env_id);

	if (rc)
		return rc;
	*ret_found = store_next(rows);
	if (*ret_found)
		*ret = read_version(m, rows);
	return store_done(&rows, &m->err);
}

static int get_version(struct model *m, struct str instance_id, struct str id, enum app_role role,
		       struct version_row *ret, struct api_row *ret_api)
{
	bool found;
	int rc = find_version(m, instance_id, id, STR_NONE, STR_NONE, ret, &found);

	if (rc == 0 && !found)
		return err_set(&m->err, ERR_APIG_3022, "id:%.*s", STR_FMT(id));
	return rc ? rc : api__get(m, instance_id, ret->release.api_id, role, ret_api);
}

int api_version_switch(struct model *m, struct str instance_id, struct str api_id, struct str version_id,
		       struct apic_publish *ret)
{
	struct version_row version;
	struct api_row row;
	int rc = api__get(m, instance_id, api_id, APP_MODIFY, &row);

	if (rc == 0)
		rc = get_version(m, instance_id, version_id, APP_MODIFY, &version, &row);
	if (rc == 0 && !str_eq(version.release.api_id, api_id))
		rc = err_set(&m->err, ERR_APIG_3022, "id:%.*s", STR_FMT(version_id));
	if (rc)
		return rc;
	version.release.api_name = version.def->name;
	return api__serve(m, &version.release, NULL, ret);
}

int api_version_offline(struct model *m, struct str instance_id, struct str version_id)
{
	struct version_row version;
	struct api_row row;
	bool found;
	int rc = get_version(m, instance_id, version_id, APP_MODIFY, &version, &row);

	if (rc == 0 && !version.publish_id.p)
		rc = err_set(&m->err, ERR_APIG_3015, "version_id:%.*s", STR_FMT(version_id));
	return rc ? rc : api__unpublish(m, instance_id, row.id, version.release.env_id, &found);
}

/* The definition of then, under the names of now. */
static int reply_version(struct model *m, const struct version_row *version, const struct api_row *api,
			 struct apic_api *ret)
{
	struct api_row row = *api;

	row.def = version->def;
	row.group_id = version->release.group_id;
	row.app_id = version->def->roma_app_id;
	int rc = api__reply(m, &row, ret);

	if (rc)
		return rc;
	ret->run_env_id = version->release.env_id;
	ret->run_env_name = version->release.env_name;
	ret->publish_id = version->publish_id.p ? version->publish_id : STR("");
	ret->publish_time = api__time(m, version->published_ms);
	ret->sl_domain = ret->api_group_info->sl_domain;
	ret->sl_domains.v = ARENA_NEW(m->arena, struct str);
	ret->sl_domains.v[0] = ret->sl_domain;
	ret->sl_domains.n = 1;
	ret->version_id = version->release.version_id;
	return 0;
}

int api_version_show(struct model *m, struct str instance_id, struct str version_id, struct apic_api *ret)
{
	struct version_row version;
	struct api_row row;
	int rc = get_version(m, instance_id, version_id, APP_READ, &version, &row);

	return rc ? rc : reply_version(m, &version, &row, ret);
}

int api_runtime(struct model *m, struct str instance_id, struct str api_id, struct str env_id, struct apic_api *ret)
{
	struct version_row version;
	struct api_row row;
	struct str env_name;
	bool found;

	if (str_empty(env_id))
		env_id = API_ENV_RELEASE;
	int rc = api__get(m, instance_id, api_id, APP_READ, &row);

	if (rc == 0)
		rc = api__env_name(m, instance_id, env_id, &env_name);
	if (rc == 0)
		rc = find_version(m, instance_id, STR_NONE, api_id, env_id, &version, &found);
	if (rc == 0 && !found)
		rc = err_set(&m->err, ERR_APIG_3015, "api_id:%.*s, env_id:%.*s", STR_FMT(api_id), STR_FMT(env_id));
	return rc ? rc : reply_version(m, &version, &row, ret);
}

#define VERSIONS_WHERE                                                                                                 \
	" FROM api_version v JOIN api_env e ON e.instance_id = v.instance_id AND e.id = v.env_id"                      \
	" LEFT JOIN api_publish p ON p.version_id = v.id WHERE v.api_id = ?"                                           \
	" AND (CAST(? AS TEXT) IS NULL OR v.env_id = ?) AND (CAST(? AS TEXT) IS NULL OR e.name = ?)"

int api_version_list(struct model *m, const struct apic_list_api_versions_in *in, struct apic_api_version_list *ret)
{
	struct str env = str_empty(in->env_id) ? STR_NONE : in->env_id;
	struct str env_name = str_empty(in->env_name) ? STR_NONE : in->env_name;
	int64_t total, limit = in->has_limit ? in->limit : 20,
		       offset = in->has_offset && in->offset > 0 ? in->offset : 0;
	struct store_rows *rows;
	struct api_row row;
	int rc = api__get(m, in->instance_id, in->api_id, APP_READ, &row);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &total, NULL, "SELECT COUNT(*)" VERSIONS_WHERE, "sssss", row.id, env,
				   env, env_name, env_name);
	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 "SELECT v.id, v.version_no, v.api_id, v.env_id, e.name, v.remark, v.published_ms,"
				 " p.id" VERSIONS_WHERE " ORDER BY v.published_ms DESC, v.id LIMIT ? OFFSET ?",
				 "sssssii", row.id, env, env, env_name, env_name, limit, offset);
	if (rc)
		return rc;
	ret->api_versions.v = ARENA_ARRAY(m->arena, struct apic_api_version, (size_t)limit + 1);
	while (ret->api_versions.n < (size_t)limit && store_next(rows)) {
		struct apic_api_version *v = &ret->api_versions.v[ret->api_versions.n++];

		v->version_id = store_str(rows, 0, m->arena);
		v->version_no = store_str(rows, 1, m->arena);
		v->api_id = store_str(rows, 2, m->arena);
		v->env_id = store_str(rows, 3, m->arena);
		v->env_name = store_str(rows, 4, m->arena);
		v->remark = store_str(rows, 5, m->arena);
		v->publish_time = api__time(m, store_int(rows, 6));
		SET(v, status, store_null(rows, 7) ? 2 : 1);
	}
	SET(ret, total, total);
	SET(ret, size, (int64_t)ret->api_versions.n);
	return store_done(&rows, &m->err);
}

#define VARIABLE_PAGE 100

static bool uses(const struct apic_api *def, struct str marked)
{
	const struct apic_backend_api *b = def ? def->backend_api : NULL;

	return b && (str_contains(b->url_domain, marked) || str_contains(b->req_uri, marked));
}

/* One page of the versions that serve, from after on; *ret_last: id of its last one, STR_NONE at the end. */
static int resolve_page(struct model *m, const struct api_release *where, struct str marked, struct str after,
			struct str *ret_last)
{
	struct version_row found[VARIABLE_PAGE];
	struct store_rows *rows;
	size_t n = 0;
	int rc = store_query(m->tx, &m->err, &rows,
			     VERSION_COLUMNS "p.group_id = ? AND p.env_id = ? AND v.backend_address IS NOT NULL"
					     " AND LOWER(v.doc) LIKE ? ESCAPE '\\' AND v.id > ? ORDER BY v.id LIMIT ?",
			     "sssssi", where->instance_id, where->group_id, where->env_id, store_like(m->arena, marked),
			     after, (int64_t)VARIABLE_PAGE);

	if (rc)
		return rc;
	while (n < VARIABLE_PAGE && store_next(rows))
		found[n++] = read_version(m, rows);
	rc = store_done(&rows, &m->err);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct api_release *r = &found[i].release;

		if (!uses(found[i].def, marked))
			continue;
		rc = api__resolve_backend(m, found[i].def, r);
		if (rc == 0)
			rc = store_exec(m->tx, &m->err, NULL,
					"UPDATE api_version SET backend_address = ?, backend_path = ? WHERE id = ?",
					"sss", r->backend_address, r->backend_path, r->version_id);
		if (rc == 0)
			rc = publish_say(m, "api", r->env_id, r->api_id, STR_NONE);
	}
	*ret_last = rc == 0 && n == VARIABLE_PAGE ? found[n - 1].release.version_id : STR_NONE;
	return rc;
}

int api__variable_changed(struct model *m, struct str instance_id, struct str group_id, struct str env_id,
			  struct str name)
{
	struct api_release where = {.instance_id = instance_id, .group_id = group_id, .env_id = env_id};
	struct str marked = arena_fmt(m->arena, "#%.*s#", STR_FMT(name)), last = STR("");
	struct arena *call = m->arena;
	int rc = 0;

	/* However many APIs there are, memory holds one page. */
	while (rc == 0 && last.p) {
		m->arena = arena_new((size_t)256 << 20);
		rc = resolve_page(m, &where, marked, last, &last);
		last = arena_str(call, last);
		arena_free(m->arena);
		m->arena = call;
	}
	return rc;
}
