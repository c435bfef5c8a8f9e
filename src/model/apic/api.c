/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/api_param.h"
#include "model/apic/limits.h"
#include "model/apic/publish.h"

#include "base/rnd.h"

#define LIVEDATA_TIMEOUT_MS 5000

/* The application an API belongs to: its own, or its group's. */
static int choose_app(struct model *m, const struct api_group_row *group, struct str wanted, struct str *ret)
{
	if (str_empty(wanted) && str_empty(group->app_id))
		return api__missing(m, "roma_app_id");
	if (!str_empty(wanted) && !str_empty(group->app_id) && !str_eq(wanted, group->app_id))
		return err_set(&m->err, ERR_APIG_3479, "the API and its group belong to different applications");
	*ret = str_empty(wanted) ? group->app_id : wanted;
	int rc = app_require(m, group->instance_id, *ret, APP_MODIFY);

	if (rc == APP_UNKNOWN)
		return err_set(&m->err, ERR_APIG_3004, "id:%.*s", STR_FMT(*ret));
	return rc == APP_FORBIDDEN ? err_set(&m->err, ERR_APIG_1141, NULL) : rc;
}

/* type: FRONTEND or BACKEND. An absent id is fine. */
static int check_authorizer(struct model *m, struct str instance_id, struct str id, const char *type)
{
	struct str have;
	bool found;

	if (str_empty(id))
		return 0;
	int rc = store_get_str(m->tx, &m->err, m->arena, &have, &found,
			       "SELECT type FROM authorizer WHERE id = ? AND instance_id = ?", "ss", id, instance_id);

	if (rc == 0 && !found)
		return err_set(&m->err, ERR_APIG_3081, "id:%.*s", STR_FMT(id));
	if (rc == 0 && !str_is(have, type))
		return err_set(&m->err, ERR_APIG_3477, "id:%.*s", STR_FMT(id));
	return rc;
}

static int check_authorizers(struct model *m, struct str instance_id, const struct apic_api *def)
{
	int rc = check_authorizer(m, instance_id, def->authorizer_id, "FRONTEND");

	if (rc == 0 && def->backend_api)
		rc = check_authorizer(m, instance_id, def->backend_api->authorizer_id, "BACKEND");
	if (rc == 0 && def->mock_info)
		rc = check_authorizer(m, instance_id, def->mock_info->authorizer_id, "BACKEND");
	for (size_t i = 0; rc == 0 && i < def->policy_https.n; i++)
		rc = check_authorizer(m, instance_id, def->policy_https.v[i].authorizer_id, "BACKEND");
	for (size_t i = 0; rc == 0 && i < def->policy_mocks.n; i++)
		rc = check_authorizer(m, instance_id, def->policy_mocks.v[i].authorizer_id, "BACKEND");
	return rc;
}

/* A domain of its own has to be bound to the group, and needs the application to be named. */
static int check_domain(struct model *m, const struct api_group_row *group, const struct apic_api *def,
			struct str wanted_app)
{
	bool found;
	int64_t one;

	if (str_empty(def->domain_name))
		return 0;
	if (str_empty(wanted_app))
		return api__missing(m, "roma_app_id");
	int rc = store_get_int(m->tx, &m->err, &one, &found,
			       "SELECT 1 FROM url_domain WHERE group_id = ? AND domain = LOWER(?)", "ss", group->id,
			       def->domain_name);

	if (rc == 0 && !found)
		rc = err_set(&m->err, ERR_APIG_3020, "domain:%.*s", STR_FMT(def->domain_name));
	return rc;
}

static int check_name(struct model *m, struct str group_id, struct str name, struct str except)
{
	bool found;
	int64_t one;
	int rc = store_get_int(m->tx, &m->err, &one, &found,
			       "SELECT 1 FROM api WHERE group_id = ? AND name = ? AND id <> ?", "sss", group_id, name,
			       except);

	if (rc == 0 && found)
		rc = err_set(&m->err, ERR_APIG_3202, "api_name:%.*s", STR_FMT(name));
	return rc;
}

/* Two definitions of one shape meet where a method is the same, or ANY. */
static int check_path(struct model *m, struct str group_id, struct str method, struct str shape, struct str except)
{
	bool found;
	struct str other;
	int rc = store_get_str(m->tx, &m->err, m->arena, &other, &found,
			       "SELECT name FROM api WHERE group_id = ? AND shape = ? AND id <> ?"
			       " AND (req_method = ? OR req_method = 'ANY' OR CAST(? AS TEXT) = 'ANY') LIMIT 1",
			       "sssss", group_id, shape, except, method, method);

	if (rc == 0 && found)
		rc = err_set(&m->err, ERR_APIG_3301, "the same method and path has API %.*s", STR_FMT(other));
	return rc;
}

static int check_quota(struct model *m, struct str instance_id, struct str group_id)
{
	int64_t n;
	int rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM api WHERE instance_id = ?", "s",
			       instance_id);

	if (rc == 0 && n >= APIC_MAX_APIS)
		return err_set(&m->err, ERR_APIG_3102, "limit:%d", APIC_MAX_APIS);
	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM api WHERE group_id = ?", "s",
				   group_id);
	if (rc == 0 && n >= APIC_MAX_APIS_PER_GROUP)
		return err_set(&m->err, ERR_APIG_3125, "limit:%d", APIC_MAX_APIS_PER_GROUP);
	return rc;
}

/* Parts keep their ids and times as long as they are recognisably the same. */

static struct str old_param_id(const struct apic_api *old, const struct apic_req_param *p)
{
	for (size_t i = 0; old && i < old->req_params.n; i++)
		if (str_eq(old->req_params.v[i].name, p->name) && str_eq(old->req_params.v[i].location, p->location))
			return old->req_params.v[i].id;
	return STR_NONE;
}

static struct str old_backend_param_id(const struct apic_api *old, const struct apic_backend_param *p)
{
	for (size_t i = 0; old && i < old->backend_params.n; i++)
		if (str_eq(old->backend_params.v[i].name, p->name) &&
		    str_eq(old->backend_params.v[i].location, p->location))
			return old->backend_params.v[i].id;
	return STR_NONE;
}

static struct str id_or_new(struct model *m, struct str id)
{
	return str_empty(id) ? rnd_id(m->arena) : id;
}

static void name_backend_params(struct model *m, struct apic_api *def, const struct apic_api *old,
				struct apic_backend_param_array *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct apic_backend_param *b = &list->v[i];

		b->id = id_or_new(m, old_backend_param_id(old, b));
		if (str_is(b->origin, "REQUEST"))
			b->req_param_id = api__param_of(&def->req_params, b)->id;
	}
}

static void name_conditions(struct model *m, struct apic_api *def, struct apic_condition_array *list)
{
	for (size_t i = 0; i < list->n; i++) {
		struct apic_condition *c = &list->v[i];
		struct apic_backend_param as_param = {.value = c->req_param_name};
		const struct apic_req_param *p = api__param_of(&def->req_params, &as_param);

		c->id = rnd_id(m->arena);
		if (str_is(c->condition_origin, "param") && p) {
			c->req_param_id = p->id;
			c->req_param_location = p->location;
		}
	}
}

static void name_policies(struct model *m, struct apic_api *def)
{
	for (size_t i = 0; i < def->policy_https.n; i++) {
		def->policy_https.v[i].id = rnd_id(m->arena);
		name_backend_params(m, def, NULL, &def->policy_https.v[i].backend_params);
		name_conditions(m, def, &def->policy_https.v[i].conditions);
	}
	for (size_t i = 0; i < def->policy_mocks.n; i++) {
		def->policy_mocks.v[i].id = rnd_id(m->arena);
		name_backend_params(m, def, NULL, &def->policy_mocks.v[i].backend_params);
		name_conditions(m, def, &def->policy_mocks.v[i].conditions);
	}
}

static void name_parts(struct model *m, struct apic_api *def, const struct apic_api *old)
{
	struct str now = api__time(m, m->now_ms);

	for (size_t i = 0; i < def->req_params.n; i++)
		def->req_params.v[i].id = id_or_new(m, old_param_id(old, &def->req_params.v[i]));
	name_backend_params(m, def, old, &def->backend_params);
	name_policies(m, def);
	if (def->backend_api) {
		const struct apic_backend_api *was = old ? old->backend_api : NULL;

		def->backend_api->id = id_or_new(m, was ? was->id : STR_NONE);
		def->backend_api->register_time = was ? was->register_time : now;
		def->backend_api->update_time = now;
	}
	if (def->mock_info) {
		const struct apic_api_mock *was = old ? old->mock_info : NULL;

		def->mock_info->id = id_or_new(m, was ? was->id : STR_NONE);
		def->mock_info->register_time = was ? was->register_time : now;
		def->mock_info->update_time = now;
	}
}

/* Only what the back end type uses stays. */
static void drop_other_backends(struct apic_api *def)
{
	def->func_info = NULL;
	if (!str_is(def->backend_type, "HTTP"))
		def->backend_api = NULL;
	if (!str_is(def->backend_type, "MOCK"))
		def->mock_info = NULL;
	def->api_group_info = NULL;
}

static int write_tags(struct model *m, struct str api_id, const struct str_array *tags)
{
	int rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM api_tag WHERE api_id = ?", "s", api_id);

	for (size_t i = 0; rc == 0 && i < tags->n; i++)
		rc = store_exec(m->tx, &m->err, NULL, "INSERT INTO api_tag (api_id, tag) VALUES (?, ?)", "ss", api_id,
				tags->v[i]);
	return rc;
}

static struct str none_if_empty(struct str s)
{
	return str_empty(s) ? STR_NONE : s;
}

static int insert(struct model *m, const struct api_row *row, const struct api_path *path)
{
	const struct apic_api *def = row->def;

	return store_exec(m->tx, &m->err, NULL,
			  "INSERT INTO api (id, instance_id, group_id, app_id, name, type, req_protocol, req_method,"
			  " req_uri, match_mode, shape, auth_type, backend_type, authorizer_id, ld_api_id, doc,"
			  " created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			  "sssssisssssssssdii", row->id, row->instance_id, row->group_id, row->app_id, def->name,
			  def->type, def->req_protocol, def->req_method, def->req_uri, def->match_mode, path->shape,
			  def->auth_type, def->backend_type, none_if_empty(def->authorizer_id), row->ld_api_id,
			  &doc_apic_api, def, row->created_ms, row->updated_ms);
}

static int update(struct model *m, const struct api_row *row, const struct api_path *path)
{
	const struct apic_api *def = row->def;

	return store_exec(
		m->tx, &m->err, NULL,
		"UPDATE api SET group_id = ?, app_id = ?, name = ?, type = ?, req_protocol = ?, req_method = ?,"
		" req_uri = ?, match_mode = ?, shape = ?, auth_type = ?, backend_type = ?, authorizer_id = ?,"
		" doc = ?, updated_ms = ? WHERE id = ?",
		"sssissssssssdis", row->group_id, row->app_id, def->name, def->type, def->req_protocol, def->req_method,
		def->req_uri, def->match_mode, path->shape, def->auth_type, def->backend_type,
		none_if_empty(def->authorizer_id), &doc_apic_api, def, row->updated_ms, row->id);
}

/* Everything that is checked of a definition, new or changed; row->def is completed. */
static int prepare(struct model *m, struct api_row *row, const struct apic_api *old, struct api_path *ret_path)
{
	struct apic_api *def = row->def;
	struct str wanted_app = def->roma_app_id;
	struct api_group_row group;
	int rc = api__check_definition(m, def, row->ld_api_id.p != NULL, ret_path);

	if (rc == 0)
		rc = api__group(m, row->instance_id, def->group_id, &group);
	if (rc == 0)
		rc = choose_app(m, &group, wanted_app, &row->app_id);
	if (rc == 0)
		rc = check_domain(m, &group, def, wanted_app);
	if (rc == 0)
		rc = check_authorizers(m, row->instance_id, def);
	if (rc == 0)
		rc = check_name(m, group.id, def->name, row->id);
	if (rc == 0)
		rc = check_path(m, group.id, def->req_method, ret_path->shape, row->id);
	if (rc)
		return rc;
	row->group_id = group.id;
	def->roma_app_id = row->app_id;
	def->ld_api_id = row->ld_api_id;
	def->id = row->id;
	drop_other_backends(def);
	name_parts(m, def, old);
	return 0;
}

static struct apic_api *copy(struct model *m, const struct apic_api *def)
{
	struct apic_api *c = ARENA_NEW(m->arena, struct apic_api);

	*c = *def;
	return c;
}

static int create(struct model *m, struct str instance_id, const struct apic_api *def, struct str livedata_id,
		  struct apic_api *ret)
{
	struct api_row row = {
		.id = rnd_id(m->arena),
		.instance_id = instance_id,
		.ld_api_id = livedata_id,
		.created_ms = m->now_ms,
		.updated_ms = m->now_ms,
		.def = copy(m, def),
	};
	struct api_path path;
	int rc;

	/* A custom back end is reached by its id; what stands here is for people to see. */
	if (livedata_id.p && !row.def->backend_api) {
		row.def->backend_api = ARENA_NEW(m->arena, struct apic_backend_api);
		row.def->backend_api->req_method = def->req_method;
		row.def->backend_api->req_uri = def->req_uri;
	}
	if (livedata_id.p && !row.def->backend_api->has_timeout)
		SET(row.def->backend_api, timeout, LIVEDATA_TIMEOUT_MS);
	rc = prepare(m, &row, NULL, &path);
	if (rc == 0)
		rc = check_quota(m, instance_id, row.group_id);
	if (rc == 0)
		rc = insert(m, &row, &path);
	if (rc == 0)
		rc = write_tags(m, row.id, &row.def->tags);
	return rc ? rc : api__reply(m, &row, ret);
}

int api_create(struct model *m, struct str instance_id, const struct apic_api *def, struct apic_api *ret)
{
	return create(m, instance_id, def, STR_NONE, ret);
}

int api_create_for_livedata(struct model *m, struct str instance_id, const struct apic_api *def, struct str livedata_id,
			    struct apic_api *ret)
{
	return create(m, instance_id, def, livedata_id, ret);
}

/* The custom back end stays what it is; time-out and retries may change. */
static int keep_livedata(struct model *m, const struct api_row *row, struct apic_api *def)
{
	const struct apic_backend_api *old = row->def->backend_api, *given = def->backend_api;
	struct apic_backend_api *kept = ARENA_NEW(m->arena, struct apic_backend_api);

	if (!str_is(def->backend_type, "HTTP"))
		return err_set(&m->err, ERR_APIG_3494, NULL);
	if (!str_eq(def->group_id, row->group_id))
		return err_set(&m->err, ERR_APIG_3490, NULL);
	*kept = *old;
	if (given) {
		if ((!str_empty(given->url_domain) && !str_eq(given->url_domain, old->url_domain)) ||
		    !str_eq(given->req_uri, old->req_uri) || !str_eq(given->req_method, old->req_method) ||
		    (given->has_vpc_channel_status && given->vpc_channel_status == 1))
			return err_set(&m->err, ERR_APIG_3494, NULL);
		SET(kept, timeout, given->timeout);
		if (given->retry_count.p)
			kept->retry_count = given->retry_count;
		kept->authorizer_id = given->authorizer_id;
	}
	def->backend_api = kept;
	return 0;
}

int api_update(struct model *m, struct str instance_id, struct str api_id, const struct apic_api *def,
	       struct apic_api *ret)
{
	struct api_row row;
	struct api_path path;
	int rc = api__get(m, instance_id, api_id, APP_MODIFY, &row);

	if (rc)
		return rc;
	const struct apic_api *old = row.def;
	struct apic_api *changed = copy(m, def);

	/* An API of group DEFAULT stays with its application unless another is named. */
	if (str_empty(changed->roma_app_id) && str_eq(changed->group_id, row.group_id))
		changed->roma_app_id = row.app_id;
	rc = row.ld_api_id.p ? keep_livedata(m, &row, changed) : 0;
	if (rc)
		return rc;
	row.def = changed;
	row.updated_ms = m->now_ms;
	rc = prepare(m, &row, old, &path);
	if (rc == 0)
		rc = update(m, &row, &path);
	if (rc == 0)
		rc = write_tags(m, row.id, &row.def->tags);
	return rc ? rc : api__reply(m, &row, ret);
}

int api_show(struct model *m, struct str instance_id, struct str api_id, struct apic_api *ret)
{
	struct api_row row;
	int rc = api__get(m, instance_id, api_id, APP_READ, &row);

	return rc ? rc : api__reply(m, &row, ret);
}

/* Rights to call go with the API, in the published state too. */
static int delete_auths(struct model *m, struct str api_id)
{
	struct store_rows *rows;
	struct str_array envs = {NULL, 0}, apps = {NULL, 0};
	int64_t n = 0;
	int rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM app_auth WHERE api_id = ?", "s", api_id);

	if (rc || n == 0)
		return rc;
	envs.v = ARENA_ARRAY(m->arena, struct str, (size_t)n);
	apps.v = ARENA_ARRAY(m->arena, struct str, (size_t)n);
	rc = store_query(m->tx, &m->err, &rows, "SELECT env_id, app_id FROM app_auth WHERE api_id = ?", "s", api_id);
	if (rc)
		return rc;
	for (; envs.n < (size_t)n && store_next(rows); envs.n++) {
		envs.v[envs.n] = store_str(rows, 0, m->arena);
		apps.v[envs.n] = store_str(rows, 1, m->arena);
	}
	rc = store_done(&rows, &m->err);
	for (size_t i = 0; rc == 0 && i < envs.n; i++)
		rc = publish_say(m, "app_auth", envs.v[i], api_id, apps.v[i]);
	return rc ? rc : store_exec(m->tx, &m->err, NULL, "DELETE FROM app_auth WHERE api_id = ?", "s", api_id);
}

static int delete_row(struct model *m, struct str api_id)
{
	int rc = delete_auths(m, api_id);

	if (rc == 0)
		rc = api__debug_forget(m, api_id, INT64_MAX);
	return rc ? rc : store_exec(m->tx, &m->err, NULL, "DELETE FROM api WHERE id = ?", "s", api_id);
}

int api_delete(struct model *m, struct str instance_id, struct str api_id)
{
	struct api_row row;
	bool published;
	int64_t one;
	int rc = api__get(m, instance_id, api_id, APP_DELETE, &row);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &one, &published,
				   "SELECT 1 FROM api_publish WHERE api_id = ? LIMIT 1", "s", row.id);
	if (rc == 0 && published)
		return err_set(&m->err, ERR_APIG_3416, "id:%.*s", STR_FMT(api_id));
	return rc ? rc : delete_row(m, row.id);
}

int api_delete_for_livedata(struct model *m, struct str instance_id, struct str api_id)
{
	for (;;) {
		struct str env;
		bool found;
		int rc = store_get_str(m->tx, &m->err, m->arena, &env, &found,
				       "SELECT env_id FROM api_publish WHERE api_id = ? AND instance_id = ? LIMIT 1",
				       "ss", api_id, instance_id);

		if (rc == 0 && !found)
			return delete_row(m, api_id);
		if (rc == 0)
			rc = api__unpublish(m, instance_id, api_id, env, &found);
		if (rc)
			return rc;
	}
}

/* The other API is looked for in a group, or among an application's, or in the whole instance. */
static int check_exists(struct model *m, struct str instance_id, const struct apic_api_check *in, const char *what,
			int code, struct str value, struct str method)
{
	struct str sql = arena_fmt(m->arena,
				   "SELECT name FROM api WHERE instance_id = ? AND id <> ?"
				   " AND (CAST(? AS TEXT) IS NULL OR group_id = ?)"
				   " AND (CAST(? AS TEXT) IS NULL OR app_id = ?) AND %s LIMIT 1",
				   what);
	struct str group = none_if_empty(in->group_id), app = none_if_empty(in->roma_app_id);
	struct str except = in->api_id.p ? in->api_id : STR(""), name;
	bool found;
	int rc = method.p ? store_get_str(m->tx, &m->err, m->arena, &name, &found, sql.p, "sssssssss", instance_id,
					  except, group, group, app, app, value, method, method)
			  : store_get_str(m->tx, &m->err, m->arena, &name, &found, sql.p, "sssssss", instance_id,
					  except, group, group, app, app, value);

	if (rc == 0 && found)
		rc = err_set(&m->err, code, "api_name:%.*s", STR_FMT(name));
	return rc;
}

int api_check(struct model *m, struct str instance_id, const struct apic_api_check *in)
{
	struct api_path path;

	if (str_is(in->type, "name")) {
		if (str_empty(in->name))
			return api__missing(m, "name");
		return check_exists(m, instance_id, in, "name = ?", ERR_APIG_3202, in->name, STR_NONE);
	}
	if (str_empty(in->req_method))
		return api__missing(m, "req_method");
	if (str_empty(in->req_uri))
		return api__missing(m, "req_uri");
	if (str_empty(in->match_mode))
		return api__missing(m, "match_mode");
	if (!api__is_method(in->req_method))
		return api__invalid(m, "req_method", "must be GET, POST, PUT, DELETE, HEAD, PATCH, OPTIONS or ANY");
	int rc = api__path_parse(m, "req_uri", in->req_uri, true, false, &path);

	if (rc)
		return rc;
	if (str_is(in->match_mode, "SWA"))
		api__path_prefix(m, &path);
	return check_exists(m, instance_id, in,
			    "shape = ? AND (req_method = ? OR req_method = 'ANY' OR CAST(? AS TEXT) = 'ANY')",
			    ERR_APIG_3301, path.shape, in->req_method);
}
