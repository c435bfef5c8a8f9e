/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/api_priv.h"
#include "model/apic/publish.h"

#include "base/rnd.h"

#include <time.h>

#define MAX_VERSIONS 10
#define MAX_BATCH 1000

/* A version on its way into an environment. */
struct release {
	struct str instance_id, api_id, api_name, env_id, env_name, group_id, version_id, remark;
	struct str method, path, match_mode, shape;
	struct str backend_address, backend_path;
};

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

static int add_variable(struct model *m, const struct release *r, struct str name, struct buf *out)
{
	struct str value;
	bool found;
	int rc = store_get_str(m->tx, &m->err, m->arena, &value, &found,
	                       "SELECT value FROM env_variable WHERE group_id = ? AND env_id = ? AND name = ?", "sss",
	                       r->group_id, r->env_id, name);

	if (rc == 0 && !found)
		return err_set(&m->err, ERR_APIG_3011, "name:%.*s, environment:%.*s", STR_FMT(name), STR_FMT(r->env_name));
	buf_str(out, value);
	return rc;
}

/* Replaces every #name# by the group's variable in the environment. */
static int resolve(struct model *m, const struct release *r, struct str text, struct str *ret)
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

/* What variables brought in must be as good as what could have been written there. */
static int resolve_backend(struct model *m, const struct apic_api *def, struct release *r)
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
	struct release r = {.group_id = group_id, .env_id = env_id, .env_name = env_name};
	int rc = resolve_backend(m, def, &r);

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
static int check_free(struct model *m, const struct release *r)
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

static bool same_route(const struct serving *old, const struct release *r)
{
	return old->id.p && str_eq(old->group_id, r->group_id) && str_eq(old->method, r->method) &&
	       str_eq(old->path, r->path) && str_eq(old->match_mode, r->match_mode);
}

static int write_serving(struct model *m, const struct release *r, const struct serving *old, struct str publish_id)
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

/* After the commit nothing may refuse, so the group's router is compiled here once to see that it can be. */
static int check_routes(struct model *m, struct str group_id, struct str env_name)
{
	struct buf out;
	size_t n;

	buf_init(&out, API_MAX_ROUTER);
	int rc = api__routes(m, group_id, env_name, &out, &n);

	buf_done(&out);
	return rc;
}

/* Makes the environment serve the version; compiles a router only when what it holds changed, and at once unless the
 * caller looks after changed routers itself (ret_routed not NULL). */
static int serve(struct model *m, const struct release *r, bool *ret_routed, struct apic_publish *ret)
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
		rc = check_routes(m, r->group_id, r->env_name);
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

static int write_version(struct model *m, const struct release *r, const struct apic_api *def)
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
static int forget_old_versions(struct model *m, const struct release *r)
{
	return store_exec(m->tx, &m->err, NULL,
	                  "DELETE FROM api_version WHERE api_id = ? AND env_id = ? AND id NOT IN"
	                  " (SELECT id FROM api_version WHERE api_id = ? AND env_id = ? AND id <> ?"
	                  " ORDER BY published_ms DESC, id LIMIT ?) AND id <> ?",
	                  "sssssis", r->api_id, r->env_id, r->api_id, r->env_id, r->version_id,
	                  (int64_t)(MAX_VERSIONS - 1), r->version_id);
}

/* Every refusal comes before the first write, so that a batch can go on after one. */
static int publish_row(struct model *m, const struct api_row *row, struct str env_id, struct str remark,
                       bool *ret_routed, struct apic_publish *ret)
{
	const struct apic_api *def = row->def;
	struct api_path path;
	struct release r = {
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
		rc = resolve_backend(m, def, &r);
	if (rc == 0)
		rc = check_free(m, &r);
	if (rc == 0)
		rc = write_version(m, &r, def);
	if (rc == 0)
		rc = serve(m, &r, ret_routed, ret);
	return rc ? rc : forget_old_versions(m, &r);
}

int api_publish(struct model *m, struct str instance_id, struct str api_id, struct str env_id, struct str remark,
                struct apic_publish *ret)
{
	struct api_row row;
	int rc = api__get(m, instance_id, api_id, APP_MODIFY, &row);

	return rc ? rc : publish_row(m, &row, env_id, remark, NULL, ret);
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

static int offline_row(struct model *m, const struct api_row *row, struct str env_id, struct apic_publish *ret)
{
	bool found;
	int rc = api__unpublish(m, row->instance_id, row->id, env_id, &found);

	if (rc == 0 && !found)
		rc = err_set(&m->err, ERR_APIG_3015, "api_id:%.*s, env_id:%.*s", STR_FMT(row->id), STR_FMT(env_id));
	if (rc)
		return rc;
	*ret = (struct apic_publish){.api_id = row->id, .api_name = row->def->name, .env_id = env_id, .remark = STR("")};
	return 0;
}

int api_offline(struct model *m, struct str instance_id, struct str api_id, struct str env_id,
                struct apic_publish *ret)
{
	struct api_row row;
	int rc = api__get(m, instance_id, api_id, APP_MODIFY, &row);

	return rc ? rc : offline_row(m, &row, env_id, ret);
}

/* What the store says ends the batch; what a rule says concerns one API. */
static bool is_refusal(const struct model *m, int rc)
{
	return rc < 0 && strncmp(err_row(rc)->code, "APPIA.", 6) != 0 && !m->err.retriable;
}

/* One API of a batch. *ret_group: absent unless the group's router changed. */
static int batch_step(struct model *m, struct str instance_id, bool online, const struct apic_api_batch_publish *in,
                      struct str api_id, struct api_row *row, struct str *ret_group, struct apic_publish *ret)
{
	bool routed = false;
	int rc = api__get(m, instance_id, api_id, APP_MODIFY, row);

	*ret_group = STR_NONE;
	if (rc)
		return rc;
	rc = online ? publish_row(m, row, in->env_id, in->remark, &routed, ret) : offline_row(m, row, in->env_id, ret);
	if (routed)
		*ret_group = row->group_id;
	return rc;
}

static void add_failure(struct model *m, struct str api_id, const struct api_row *row,
                        struct apic_api_batch_failure_array *list)
{
	struct apic_api_batch_failure *failure = &list->v[list->n++];

	failure->api_id = api_id;
	failure->api_name = row->def ? row->def->name : STR_NONE;
	failure->error_code = str_of(err_row(m->err.code)->code);
	failure->error_msg = arena_str(m->arena, str_of(m->err.text));
	m->err = (struct err){0};
}

static void add_once(struct str_array *list, struct str s)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i], s))
			return;
	list->v[list->n++] = s;
}

int api_publish_batch(struct model *m, struct str instance_id, bool online, const struct apic_api_batch_publish *in,
                      struct apic_api_batch_publish_result *ret)
{
	struct str_array groups = {ARENA_ARRAY(m->arena, struct str, in->apis.n + 1), 0};
	struct str env_name;
	int rc = in->apis.n ? api__env_name(m, instance_id, in->env_id, &env_name) : api__missing(m, "apis");

	if (rc == 0 && in->apis.n > MAX_BATCH)
		rc = err_set(&m->err, ERR_APIG_2003, "parameterName:apis, at most %d", MAX_BATCH);
	ret->success.v = ARENA_ARRAY(m->arena, struct apic_publish, in->apis.n + 1);
	ret->failure.v = ARENA_ARRAY(m->arena, struct apic_api_batch_failure, in->apis.n + 1);
	for (size_t i = 0; rc == 0 && i < in->apis.n; i++) {
		struct api_row row = {.def = NULL};
		struct str group;

		rc = batch_step(m, instance_id, online, in, in->apis.v[i], &row, &group, &ret->success.v[ret->success.n]);
		if (is_refusal(m, rc)) {
			add_failure(m, in->apis.v[i], &row, &ret->failure);
			rc = 0;
		} else if (rc == 0) {
			ret->success.n++;
			if (group.p)
				add_once(&groups, group);
		}
	}
	for (size_t i = 0; rc == 0 && i < groups.n; i++)
		rc = check_routes(m, groups.v[i], env_name);
	return rc;
}

static int list_group(struct model *m, struct str instance_id, struct str group_id, struct str_array *ret)
{
	struct api_group_row group;
	struct store_rows *rows;
	int rc = api__group(m, instance_id, group_id, &group);

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows, "SELECT id FROM api WHERE group_id = ? ORDER BY created_ms, id LIMIT ?",
		                 "si", group.id, (int64_t)MAX_BATCH);
	if (rc)
		return rc;
	*ret = (struct str_array){ARENA_ARRAY(m->arena, struct str, MAX_BATCH), 0};
	while (ret->n < MAX_BATCH && store_next(rows))
		ret->v[ret->n++] = store_str(rows, 0, m->arena);
	return store_done(&rows, &m->err);
}

int api_delete_batch(struct model *m, struct str instance_id, struct str group_id, const struct str_array *apis,
                     struct apic_api_batch_publish_result *ret)
{
	struct str_array list = *apis;
	int rc = 0;

	if (list.n == 0)
		rc = str_empty(group_id) ? api__missing(m, "apis") : list_group(m, instance_id, group_id, &list);
	if (rc == 0 && list.n > MAX_BATCH)
		rc = err_set(&m->err, ERR_APIG_2003, "parameterName:apis, at most %d", MAX_BATCH);
	if (rc)
		return rc;
	ret->success.v = ARENA_ARRAY(m->arena, struct apic_publish, list.n + 1);
	ret->failure.v = ARENA_ARRAY(m->arena, struct apic_api_batch_failure, list.n + 1);
	for (size_t i = 0; rc == 0 && i < list.n; i++) {
		rc = api_delete(m, instance_id, list.v[i]);
		if (is_refusal(m, rc)) {
			add_failure(m, list.v[i], &(struct api_row){.def = NULL}, &ret->failure);
			rc = 0;
		} else if (rc == 0) {
			ret->success.v[ret->success.n++].api_id = list.v[i];
		}
	}
	return rc;
}

/* Versions. */

struct version_row {
	struct release release;
	struct str version_no;
	int64_t published_ms;
	struct apic_api *def;
	struct str publish_id; /* absent: does not serve */
};

#define VERSION_COLUMNS \
	"SELECT v.id, v.instance_id, v.api_id, v.env_id, e.name, v.group_id, v.remark, v.req_method, v.path, v.match_mode," \
	" v.shape, v.version_no, v.published_ms, v.doc, p.id FROM api_version v" \
	" JOIN api_env e ON e.instance_id = v.instance_id AND e.id = v.env_id" \
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
	return serve(m, &version.release, NULL, ret);
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

#define VERSIONS_WHERE \
	" FROM api_version v JOIN api_env e ON e.instance_id = v.instance_id AND e.id = v.env_id" \
	" LEFT JOIN api_publish p ON p.version_id = v.id WHERE v.api_id = ?" \
	" AND (CAST(? AS TEXT) IS NULL OR v.env_id = ?) AND (CAST(? AS TEXT) IS NULL OR e.name = ?)"

int api_version_list(struct model *m, const struct apic_list_api_versions_in *in, struct apic_api_version_list *ret)
{
	struct str env = str_empty(in->env_id) ? STR_NONE : in->env_id;
	struct str env_name = str_empty(in->env_name) ? STR_NONE : in->env_name;
	int64_t total, limit = in->has_limit ? in->limit : 20, offset = in->has_offset && in->offset > 0 ? in->offset : 0;
	struct store_rows *rows;
	struct api_row row;
	int rc = api__get(m, in->instance_id, in->api_id, APP_READ, &row);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &total, NULL, "SELECT COUNT(*)" VERSIONS_WHERE, "sssss", row.id, env, env,
		                   env_name, env_name);
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
static int resolve_page(struct model *m, const struct release *where, struct str marked, struct str after,
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
		struct release *r = &found[i].release;

		if (!uses(found[i].def, marked))
			continue;
		rc = resolve_backend(m, found[i].def, r);
		if (rc == 0)
			rc = store_exec(m->tx, &m->err, NULL,
			                "UPDATE api_version SET backend_address = ?, backend_path = ? WHERE id = ?", "sss",
			                r->backend_address, r->backend_path, r->version_id);
		if (rc == 0)
			rc = publish_say(m, "api", r->env_id, r->api_id, STR_NONE);
	}
	*ret_last = rc == 0 && n == VARIABLE_PAGE ? found[n - 1].release.version_id : STR_NONE;
	return rc;
}

int api__variable_changed(struct model *m, struct str instance_id, struct str group_id, struct str env_id,
                          struct str name)
{
	struct release where = {.instance_id = instance_id, .group_id = group_id, .env_id = env_id};
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
