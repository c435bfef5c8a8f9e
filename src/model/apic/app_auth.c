/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/app_auth.h"

#include "base/rnd.h"
#include "model/apic/list.h"
#include "model/apic/publish.h"

#define MAX_PAIRS 1000
#define MAX_ADDRESSES 100

/* An API as far as rights concern it. refusal: code that stands against every pair with it. */
struct target {
	struct str id, name;
	int refusal;
	struct str reason;
};

struct caller {
	struct str id, name;
};

static bool is_repeated(const struct str_array *list, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (str_eq(list->v[k], list->v[i]))
			return true;
	return false;
}

static int read_target(struct model *m, struct str instance_id, struct str api_id, struct target *ret)
{
	struct store_rows *rows;
	struct str app_id = STR_NONE, auth_type = STR_NONE;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT name, app_id, auth_type FROM api WHERE id = ? AND instance_id = ?", "ss", api_id,
			     instance_id);

	if (rc)
		return rc;
	*ret = (struct target){.id = api_id};
	bool found = store_next(rows);

	if (found) {
		ret->name = store_str(rows, 0, m->arena);
		app_id = store_str(rows, 1, m->arena);
		auth_type = store_str(rows, 2, m->arena);
	}
	rc = store_done(&rows, &m->err);
	if (rc == 0 && !found)
		return err_set_text(&m->err, ERR_APIG_3002, "API %.*s does not exist", STR_FMT(api_id));
	if (rc)
		return rc;
	rc = app_require(m, instance_id, app_id, APP_ACCESS);
	if (rc < 0)
		return rc;
	if (rc)
		ret->refusal = ERR_APIG_1102;
	else if (!str_is(auth_type, "APP"))
		ret->refusal = ERR_APIG_2012;
	ret->reason = rc == 0 ? STR("Invalid parameter value,parameterName:api_ids. The API does not authenticate apps")
			      : str_of(err_row(ERR_APIG_1102)->message);
	return 0;
}

static int read_caller(struct model *m, struct str instance_id, struct str app_id, struct caller *ret)
{
	bool found;
	int rc = store_get_str(m->tx, &m->err, m->arena, &ret->name, &found,
			       "SELECT name FROM app WHERE id = ? AND instance_id = ?", "ss", app_id, instance_id);

	ret->id = app_id;
	return rc == 0 && !found ? err_set_text(&m->err, ERR_APIG_3004, "App %.*s does not exist", STR_FMT(app_id))
				 : rc;
}

static int check_request(struct model *m, struct str instance_id, const struct apic_api_auth_request *in)
{
	if (in->app_ids.n == 0)
		return api__invalid(m, "app_ids", "at least one");
	if (in->api_ids.n == 0)
		return api__invalid(m, "api_ids", "at least one");
	if (in->app_ids.n > MAX_PAIRS || in->api_ids.n > MAX_PAIRS || in->app_ids.n * in->api_ids.n > MAX_PAIRS)
		return api__invalid(m, "api_ids", "at most %d pairs of API and app at a time", MAX_PAIRS);
	if (in->auth_whitelist.n > MAX_ADDRESSES || in->auth_blacklist.n > MAX_ADDRESSES)
		return api__invalid(m, "auth_whitelist", "at most %d addresses", MAX_ADDRESSES);
	/* Calls without authentication: the gateway has no such way, so none is promised. */
	if (str_is(in->auth_tunnel, "GREEN"))
		return err_set(&m->err, ERR_APIG_3458, "green_tunnel");
	return apic_env_check(m, instance_id, in->env_id, NULL);
}

/* The most particular one: of API and app, else of the API. */
static struct str visit_param(const struct apic_api_auth_request *in, struct str api_id, struct str app_id)
{
	struct str general = STR_NONE;

	for (size_t i = 0; i < in->visit_params.n; i++) {
		const struct apic_api_auth_visit_param *v = &in->visit_params.v[i];

		if (!str_eq(v->api_id, api_id))
			continue;
		if (str_eq(v->app_id, app_id))
			return v->visit_param;
		if (str_empty(v->app_id))
			general = v->visit_param;
	}
	return general;
}

static struct str_array present(struct model *m, struct str_array list)
{
	if (!list.v)
		list.v = ARENA_NEW(m->arena, struct str);
	return list;
}

/* Writes the right unless it is there. ret holds what is stored besides; its id and status are set. */
static int give(struct model *m, struct str instance_id, const struct apic_api_auth_request *in,
		struct apic_api_auth *ret)
{
	struct apic_api_auth doc = {.auth_role = ret->auth_role,
				    .auth_tunnel = ret->auth_tunnel,
				    .auth_whitelist = ret->auth_whitelist,
				    .auth_blacklist = ret->auth_blacklist,
				    .visit_param = ret->visit_params};
	int64_t changed = 0, created = m->now_ms;
	int rc = store_exec(m->tx, &m->err, &changed,
			    "INSERT INTO app_auth (id, instance_id, api_id, env_id, app_id, doc, created_ms)"
			    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (api_id, env_id, app_id) DO NOTHING",
			    "sssssdi", ret->id, instance_id, ret->api_id, in->env_id, ret->app_id, &doc_apic_api_auth,
			    &doc, created);

	if (rc == 0 && changed)
		rc = publish_say(m, "app_auth", in->env_id, ret->api_id, ret->app_id);
	if (rc == 0 && !changed) {
		ret->auth_result->status = STR("SKIPPED");
		rc = store_get_str(m->tx, &m->err, m->arena, &ret->id, NULL,
				   "SELECT id FROM app_auth WHERE api_id = ? AND env_id = ? AND app_id = ?", "sss",
				   ret->api_id, in->env_id, ret->app_id);
		if (rc == 0)
			rc = store_get_int(m->tx, &m->err, &created, NULL,
					   "SELECT created_ms FROM app_auth WHERE id = ?", "s", ret->id);
	}
	ret->auth_time = api__time(m, created);
	return rc;
}

static int pair(struct model *m, struct str instance_id, const struct apic_api_auth_request *in,
		const struct target *api, const struct caller *app, struct apic_api_auth *ret)
{
	struct apic_api_auth_result *result = ARENA_NEW(m->arena, struct apic_api_auth_result);

	*ret = (struct apic_api_auth){
		.api_id = api->id,
		.app_id = app->id,
		.auth_result = result,
		.auth_role = STR("PROVIDER"),
		.auth_tunnel = STR("NORMAL"),
		.auth_whitelist = present(m, in->auth_whitelist),
		.auth_blacklist = present(m, in->auth_blacklist),
		.visit_params = visit_param(in, api->id, app->id),
	};
	if (api->refusal) {
		*result = (struct apic_api_auth_result){
			.status = STR("FAILED"),
			.error_code = str_of(err_row(api->refusal)->code),
			.error_msg = api->reason,
			.api_name = api->name,
			.app_name = app->name,
		};
		return 0;
	}
	result->status = STR("SUCCESS");
	ret->id = rnd_id(m->arena);
	return give(m, instance_id, in, ret);
}

int apic_auth_create(struct model *m, struct str instance_id, const struct apic_api_auth_request *in,
		     struct apic_api_auth_list *ret)
{
	int rc = check_request(m, instance_id, in);

	if (rc)
		return rc;
	struct caller *apps = ARENA_ARRAY(m->arena, struct caller, in->app_ids.n);
	size_t n_apps = 0;

	ret->auths.v = ARENA_ARRAY(m->arena, struct apic_api_auth, in->app_ids.n * in->api_ids.n);
	for (size_t i = 0; rc == 0 && i < in->app_ids.n; i++)
		if (!is_repeated(&in->app_ids, i))
			rc = read_caller(m, instance_id, in->app_ids.v[i], &apps[n_apps++]);
	for (size_t i = 0; rc == 0 && i < in->api_ids.n; i++) {
		struct target api;

		if (is_repeated(&in->api_ids, i))
			continue;
		rc = read_target(m, instance_id, in->api_ids.v[i], &api);
		for (size_t k = 0; rc == 0 && k < n_apps; k++)
			rc = pair(m, instance_id, in, &api, &apps[k], &ret->auths.v[ret->auths.n++]);
	}
	return rc;
}

static int take(struct model *m, struct str id, struct str env_id, struct str api_id, struct str app_id)
{
	int rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM app_auth WHERE id = ?", "s", id);

	return rc ? rc : publish_say(m, "app_auth", env_id, api_id, app_id);
}

struct auth_row {
	struct str id, env_id, api_id, app_id, owner;
};

static int read_row(struct model *m, struct str id, struct str instance_id, struct auth_row *ret, bool *ret_found)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT x.id, x.env_id, x.api_id, x.app_id, a.app_id FROM app_auth x JOIN api a"
			     " ON a.id = x.api_id WHERE x.id = ? AND x.instance_id = ?",
			     "ss", id, instance_id);

	if (rc)
		return rc;
	*ret_found = store_next(rows);
	if (*ret_found)
		*ret = (struct auth_row){store_str(rows, 0, m->arena), store_str(rows, 1, m->arena),
					 store_str(rows, 2, m->arena), store_str(rows, 3, m->arena),
					 store_str(rows, 4, m->arena)};
	return store_done(&rows, &m->err);
}

int apic_auth_delete(struct model *m, struct str instance_id, struct str id)
{
	struct auth_row row;
	bool found;
	int rc = read_row(m, id, instance_id, &row, &found);

	if (rc == 0 && !found)
		return err_set_text(&m->err, ERR_APIG_3009, "The app authorization record does not exist,id:%.*s",
				    STR_FMT(id));
	if (rc == 0)
		rc = app_require(m, instance_id, row.owner, APP_ACCESS);
	if (rc > 0)
		rc = app_require(m, instance_id, row.app_id, APP_ADMIN);
	if (rc)
		return rc > 0 ? err_set(&m->err, ERR_APIG_1109, NULL) : rc;
	return take(m, row.id, row.env_id, row.api_id, row.app_id);
}

/* Page by page, so that however many there are, memory is bounded by the arena of the call. */
static int delete_where(struct model *m, const char *sql, struct str a, struct str b)
{
	enum { PAGE = 200 };
	size_t n;

	do {
		struct auth_row page[PAGE];
		struct store_rows *rows;
		int rc = b.p ? store_query(m->tx, &m->err, &rows, sql, "ss", a, b)
			     : store_query(m->tx, &m->err, &rows, sql, "s", a);

		if (rc)
			return rc;
		for (n = 0; n < PAGE && store_next(rows); n++)
			page[n] = (struct auth_row){.id = store_str(rows, 0, m->arena),
						    .env_id = store_str(rows, 1, m->arena),
						    .api_id = store_str(rows, 2, m->arena),
						    .app_id = store_str(rows, 3, m->arena)};
		rc = store_done(&rows, &m->err);
		for (size_t i = 0; rc == 0 && i < n; i++)
			rc = take(m, page[i].id, page[i].env_id, page[i].api_id, page[i].app_id);
		if (rc)
			return rc;
	} while (n);
	return 0;
}

int apic_auth_delete_of_env(struct model *m, struct str instance_id, struct str env_id)
{
	return delete_where(m,
			    "SELECT id, env_id, api_id, app_id FROM app_auth WHERE instance_id = ? AND env_id = ?"
			    " ORDER BY id LIMIT 200",
			    instance_id, env_id);
}

int apic_auth_delete_of_app(struct model *m, struct str app_id)
{
	return delete_where(m, "SELECT id, env_id, api_id, app_id FROM app_auth WHERE app_id = ? ORDER BY id LIMIT 200",
			    app_id, STR_NONE);
}
