/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/api_release.h"
#include "model/apic/limits.h"
#include "model/apic/publish.h"

#include "base/rnd.h"

#include <time.h>

/* What serves now. id absent: nothing does. */
struct serving {
	struct str id, version_id, group_id, method, path, match_mode;
};

static int read_serving(struct model *m, struct str api_id, struct str env_id, struct serving *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT id, version_id, group_id, req_method, path, match_mode FROM api_publish"
			     " WHERE api_id = ? AND env_id = ?",
			     "ss", api_id, env_id);

	*ret = (struct serving){.id = STR_NONE};
	if (rc)
		return rc;
	if (store_next(rows))
		*ret = (struct serving){store_str(rows, 0, m->arena), store_str(rows, 1, m->arena),
					store_str(rows, 2, m->arena), store_str(rows, 3, m->arena),
					store_str(rows, 4, m->arena), store_str(rows, 5, m->arena)};
	return store_done(&rows, &m->err);
}

static int add_variable(struct model *m, const struct api_release *r, struct str name, struct buf *out)
{
	struct str value;
	bool found;
	int rc = store_get_str(m->tx, &m->err, m->arena, &value, &found,
			       "SELECT value FROM env_variable WHERE group_id = ? AND env_id = ? AND name = ?", "sss",
			       r->group_id, r->env_id, name);

	if (rc == 0 && !found)
		return err_set(&m->err, ERR_APIG_3011, "name:%.*s, environment:%.*s", STR_FMT(name),
			       STR_FMT(r->env_name));
	buf_str(out, value);
	return rc;
}

/* Replaces every #name# by the group's variable in the environment. */
static int resolve(struct model *m, const struct api_release *r, struct str text, struct str *ret)
{
	struct buf out;
	size_t at = 0;
	int rc = 0;

	buf_init(&out, 64 * 1024);
	while (rc == 0 && at < text.n) {
		size_t from = str_find(text, '#', at);

		buf_str(&out, str_sub(text, at, from));
		if (from == text.n)
			break;
		size_t to = str_find(text, '#', from + 1);

		if (to == text.n)
			rc = api__invalid(m, "url_domain", "'#' without a second one");
		else
			rc = add_variable(m, r, str_sub(text, from + 1, to), &out);
		at = to + 1;
	}
	if (rc == 0 && out.failed)
		rc = api__invalid(m, "url_domain", "too long with its variables");
	if (rc == 0)
		*ret = arena_str(m->arena, buf_view(&out));
	buf_done(&out);
	return rc;
}

int api__resolve_backend(struct model *m, const struct apic_api *def, struct api_release *r)
{
	const struct apic_backend_api *b = def->backend_api;
	struct api_path path;
	size_t in_path = 0;
	int rc = resolve(m, r, b->url_domain, &r->backend_address);

	if (rc == 0)
		rc = api__check_address(m, r->backend_address);
	if (rc == 0)
		rc = resolve(m, r, b->req_uri, &r->backend_path);
	if (rc == 0)
		rc = api__path_parse(m, "req_uri", r->backend_path, false, false, &path);
	if (rc)
		return rc;
	for (size_t i = 0; i < def->backend_params.n; i++)
		if (str_is(def->backend_params.v[i].location, "PATH")) {
			in_path++;
			if (!api__path_has(&path, def->backend_params.v[i].name))
				return err_set(&m->err, ERR_APIG_2027, NULL);
		}
	return in_path == path.n_params ? 0 : err_set(&m->err, ERR_APIG_2027, NULL);
}

int api__resolve(struct model *m, const struct apic_api *def, struct str group_id, struct str env_id,
		 struct str env_name, struct str *ret_address, struct str *ret_path)
{
	struct api_release r = {.group_id = group_id, .env_id = env_id, .env_name = env_name};
	int rc = api__resolve_backend(m, def, &r);

	if (rc)
		return rc;
	*ret_address = r.backend_address;
	*ret_path = r.backend_path;
	return 0;
}

/* What can be written down but not served is refused here, rather than left out in silence. */
int api__check_served(struct model *m, const struct apic_api *def)
{
	if (def->policy_https.n || def->policy_mocks.n)
		return err_set(&m->err, ERR_APIG_3458, "back end policies");
	if (def->backend_api && def->backend_api->enable_client_ssl)
		return err_set(&m->err, ERR_APIG_3458, "enable_client_ssl");
	return 0;
}

/* Another API may have moved away from a path and still be published there. */
static int check_free(struct model *m, const struct api_release *r)
{
	struct str other;
	bool found;
	int rc = store_get_str(m->tx, &m->err, m->arena, &other, &found,
			       "SELECT api_id FROM api_publish WHERE group_id = ? AND env_id = ? AND shape = ?"
			       " AND api_id <> ?"
			       " AND (req_method = ? OR req_method = 'ANY' OR CAST(? AS TEXT) = 'ANY') LIMIT 1",
			       "ssssss", r->group_id, r->env_id, r->shape, r->api_id, r->method, r->method);

	if (rc == 0 && found)
		rc = err_set(&m->err, ERR_APIG_3301, "its method and path are published for API %.*s", STR_FMT(other));
	return rc;
}

static bool same_route(const struct serving *old, const struct api_release *r)
{
	return old->id.p && str_eq(old->group_id, r->group_id) && str_eq(old->method, r->method) &&
	       str_eq(old->path, r->path) && str_eq(old->match_mode, r->match_mode);
}

static int write_serving(struct model *m, const struct api_release *r, const struct serving *old, struct str publish_id)
{
	if (old->id.p)
		return store_exec(m->tx, &m->err, NULL,
				  "UPDATE api_publish SET version_id = ?, group_id = ?, req_method = ?, path = ?,"
				  " match_mode = ?, shape = ?, remark = ?, published_ms = ? WHERE id = ?",
				  "sssssssis", r->version_id, r->group_id, r->method, r->path, r->match_mode, r->shape,
				  r->remark, m->now_ms, old->id);
	return store_exec(m->tx, &m->err, NULL,
			  "INSERT INTO api_publish (id, instance_id, api_id, env_id, version_id, group_id, req_method,"
			  " path, match_mode, shape, remark, published_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			  "sssssssssssi", publish_id, r->instance_id, r->api_id, r->env_id, r->version_id, r->group_id,
			  r->method, r->path, r->match_mode, r->shape, r->remark, m->now_ms);
}

int api__check_routes(struct model *m, struct str group_id, struct str env_name)
{
	struct buf out;
	size_t n;

	buf_init(&out, API_MAX_ROUTER);
	int rc = api__routes(m, group_id, env_name, &out, &n);

	buf_done(&out);
	return rc;
}

int api__serve(struct model *m, const struct api_release *r, bool *ret_routed, struct apic_publish *ret)
{
	struct serving old;
	int rc = check_free(m, r);

	if (rc == 0)
		rc = read_serving(m, r->api_id, r->env_id, &old);
	if (rc)
		return rc;
	struct str publish_id = old.id.p ? old.id : rnd_id(m->arena);

	rc = write_serving(m, r, &old, publish_id);
	if (rc == 0)
		rc = publish_say(m, "api", r->env_id, r->api_id, STR_NONE);
	if (rc == 0 && !same_route(&old, r))
		rc = publish_say(m, "route", r->group_id, r->env_name, STR_NONE);
	if (rc == 0 && old.id.p && !str_eq(old.group_id, r->group_id))
		rc = publish_say(m, "route", old.group_id, r->env_name, STR_NONE);
	if (ret_routed)
		*ret_routed = !same_route(&old, r);
	else if (rc == 0 && !same_route(&old, r))
		rc = api__check_routes(m, r->group_id, r->env_name);
	if (rc)
		return rc;
	*ret = (struct apic_publish){
		.publish_id = publish_id,
		.api_id = r->api_id,
		.api_name = r->api_name,
		.env_id = r->env_id,
		.remark = r->remark,
		.publish_time = api__time(m, m->now_ms),
		.version_id = r->version_id,
	};
	return 0;
}

/* "20200803093600", UTC. */
static struct str version_no(struct model *m)
{
	time_t s = (time_t)(m->now_ms / 1000);
	struct tm tm;
	char text[32];

	gmtime_r(&s, &tm);
	size_t n = strftime(text, sizeof(text), "%Y%m%d%H%M%S", &tm);

	return arena_str(m->arena, (struct str){text, n});
}

static int write_version(struct model *m, const struct api_release *r, const struct apic_api *def)
{
	int rc = store_exec(m->tx, &m->err, NULL,
			    "INSERT INTO api_version (id, instance_id, api_id, env_id, version_no, remark, group_id,"
			    " req_method, path, match_mode, shape, backend_address, backend_path, doc, published_ms)"
			    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			    "sssssssssssssdi", r->version_id, r->instance_id, r->api_id, r->env_id, version_no(m),
			    r->remark, r->group_id, r->method, r->path, r->match_mode, r->shape, r->backend_address,
			    r->backend_path, &doc_apic_api, def, m->now_ms);

	return rc;
}

/* The oldest go; the one that serves is the newest by now. */
static int forget_old_versions(struct model *m, const struct api_release *r)
{
	return store_exec(m->tx, &m->err, NULL,
			  "DELETE FROM api_version WHERE api_id = ? AND env_id = ? AND id NOT IN"
			  " (SELECT id FROM api_version WHERE api_id = ? AND env_id = ? AND id <> ?"
			  " ORDER BY published_ms DESC, id LIMIT ?) AND id <> ?",
			  "sssssis", r->api_id, r->env_id, r->api_id, r->env_id, r->version_id,
			  (int64_t)(APIC_MAX_VERSIONS - 1), r->version_id);
}

int api__publish_row(struct model *m, const struct api_row *row, struct str env_id, struct str remark, bool *ret_routed,
		     struct apic_publish *ret)
{
	const struct apic_api *def = row->def;
	struct api_path path;
	struct api_release r = {
		.instance_id = row->instance_id,
		.api_id = row->id,
		.api_name = def->name,
		.env_id = env_id,
		.group_id = row->group_id,
		.version_id = rnd_id(m->arena),
		.remark = remark.p ? remark : STR(""),
		.method = def->req_method,
		.match_mode = def->match_mode,
	};
	int rc = api__env_name(m, row->instance_id, env_id, &r.env_name);

	if (rc == 0)
		rc = api__check_served(m, def);
	if (rc == 0)
		rc = api__path_parse(m, "req_uri", def->req_uri, true, false, &path);
	if (rc)
		return rc;
	if (str_is(def->match_mode, "SWA"))
		api__path_prefix(m, &path);
	r.path = path.path;
	r.shape = path.shape;
	if (str_is(def->backend_type, "HTTP") && !row->ld_api_id.p)
		rc = api__resolve_backend(m, def, &r);
	if (rc == 0)
		rc = check_free(m, &r);
	if (rc == 0)
		rc = write_version(m, &r, def);
	if (rc == 0)
		rc = api__serve(m, &r, ret_routed, ret);
	return rc ? rc : forget_old_versions(m, &r);
}

int api_publish(struct model *m, struct str instance_id, struct str api_id, struct str env_id, struct str remark,
		struct apic_publish *ret)
{
	struct api_row row;
	int rc = api__get(m, instance_id, api_id, APP_MODIFY, &row);

	return rc ? rc : api__publish_row(m, &row, env_id, remark, NULL, ret);
}

int api__unpublish(struct model *m, struct str instance_id, struct str api_id, struct str env_id, bool *ret_found)
{
	struct serving old;
	struct str env_name;
	int rc = api__env_name(m, instance_id, env_id, &env_name);

	if (rc == 0)
		rc = read_serving(m, api_id, env_id, &old);
	if (rc)
		return rc;
	*ret_found = old.id.p;
	if (!old.id.p)
		return 0;
	rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM api_publish WHERE id = ?", "s", old.id);
	if (rc == 0)
		rc = publish_say(m, "api", env_id, api_id, STR_NONE);
	return rc ? rc : publish_say(m, "route", old.group_id, env_name, STR_NONE);
}

int api__offline_row(struct model *m, const struct api_row *row, struct str env_id, struct apic_publish *ret)
{
	bool found;
	int rc = api__unpublish(m, row->instance_id, row->id, env_id, &found);

	if (rc == 0 && !found)
		rc = err_set(&m->err, ERR_APIG_3015, "api_id:%.*s, env_id:%.*s", STR_FMT(row->id), STR_FMT(env_id));
	if (rc)
		return rc;
	*ret = (struct apic_publish){
		.api_id = row->id, .api_name = row->def->name, .env_id = env_id, .remark = STR("")};
	return 0;
}

int api_offline(struct model *m, struct str instance_id, struct str api_id, struct str env_id, struct apic_publish *ret)
{
	struct api_row row;
	int rc = api__get(m, instance_id, api_id, APP_MODIFY, &row);

	return rc ? rc : api__offline_row(m, &row, env_id, ret);
}
