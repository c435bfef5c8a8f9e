/* SPDX-License-Identifier: Apache-2.0 */
#include "model/livedata/livedata_priv.h"

#include "base/rnd.h"
#include "model/apic/api.h"

static int check_request(struct model *m, const struct livedata_row *row, const struct apic_livedata_publish *in)
{
	if (in->ld_api_id.n && !str_eq(in->ld_api_id, row->id))
		return api__invalid(m, "ld_api_id", "is not that of the path");
	if (in->roma_app_id.n && !str_eq(in->roma_app_id, row->app_id))
		return err_set_status(&m->err, ERR_APIG_3479, 409, NULL);
	if (row->def->scripts.n == 0)
		return err_set_text(&m->err, ERR_APIG_3484,
				    "The API status does not support deployment: it has no script.");
	if (!in->deploy_front_api)
		return 0;
	if (str_empty(in->auth_type))
		return api__missing(m, "auth_type");
	if (str_empty(in->group_id))
		return api__missing(m, "group_id");
	if (str_empty(in->env_id))
		return api__missing(m, "env_id");
	if (str_is(in->auth_type, "AUTHORIZER") && str_empty(in->authorizer_id))
		return api__missing(m, "authorizer_id");
	return 0;
}

/* Path parameters of the front API, which have to be defined; the back end gets them as query parameters. */
static int add_path_params(struct model *m, struct apic_api *def)
{
	struct api_path path;
	int rc = api__path_parse(m, "path", def->req_uri, true, false, &path);

	if (rc || path.n_params == 0)
		return rc;
	def->req_params.v = ARENA_ARRAY(m->arena, struct apic_req_param, path.n_params);
	def->backend_params.v = ARENA_ARRAY(m->arena, struct apic_backend_param, path.n_params);
	for (size_t i = 0; i < path.n_params; i++) {
		struct apic_req_param *p = &def->req_params.v[def->req_params.n++];

		*p = (struct apic_req_param){.name = path.params[i], .type = STR("STRING"), .location = STR("PATH")};
		SET(p, required, 1);
		def->backend_params.v[def->backend_params.n++] = (struct apic_backend_param){.name = path.params[i],
											     .location = STR("QUERY"),
											     .origin = STR("REQUEST"),
											     .value = path.params[i]};
	}
	return 0;
}

/* What the deployment says about the front API, whether it is new or was there before. */
static void apply(struct model *m, const struct livedata_row *row, const struct apic_livedata_publish *in,
		  struct apic_api *def)
{
	struct apic_backend_api *backend = ARENA_NEW(m->arena, struct apic_backend_api);

	if (def->backend_api)
		*backend = *def->backend_api;
	def->req_protocol = in->protocol.n ? in->protocol : STR("HTTPS");
	def->req_method = in->method.n ? in->method : row->def->method;
	def->req_uri = in->path.n ? in->path : row->def->path;
	def->auth_type = in->auth_type;
	def->authorizer_id = str_is(in->auth_type, "AUTHORIZER") ? in->authorizer_id : STR_NONE;
	def->group_id = in->group_id;
	SET(def, cors, in->cors);
	def->roma_app_id = row->app_id;
	def->backend_type = STR("HTTP");
	backend->req_protocol = STR("HTTP");
	backend->req_method = row->def->method;
	backend->req_uri = row->def->path;
	backend->retry_count = in->retry_count.n ? in->retry_count : STR("-1");
	if (in->has_backend_timeout)
		SET(backend, timeout, in->backend_timeout);
	def->backend_api = backend;
}

static int make_front(struct model *m, struct str instance_id, const struct livedata_row *row,
		      const struct apic_livedata_publish *in, struct str *ret_api_id)
{
	struct apic_api def = {.name = row->def->name, .remark = row->def->description, .match_mode = STR("NORMAL")};
	struct apic_api made = {.name = STR_NONE};
	int rc;

	SET(&def, type, 1);
	apply(m, row, in, &def);
	rc = add_path_params(m, &def);
	if (rc == 0)
		rc = api_create_for_livedata(m, instance_id, &def, row->id, &made);
	if (rc == 0)
		*ret_api_id = made.id;
	return rc;
}

/* The user may have changed the front API since: parameters and the like stay. */
static int change_front(struct model *m, struct str instance_id, const struct livedata_row *row,
			const struct apic_livedata_publish *in, struct str api_id)
{
	struct apic_api def = {.name = STR_NONE}, changed = {.name = STR_NONE};
	int rc = api_show(m, instance_id, api_id, &def);

	if (rc)
		return rc;
	apply(m, row, in, &def);
	return api_update(m, instance_id, api_id, &def, &changed);
}

static int deploy_front(struct model *m, struct str instance_id, const struct livedata_row *row,
			const struct apic_livedata_publish *in, struct str *ret_api_id)
{
	struct apic_publish published = {.api_id = STR_NONE};
	struct str api_id = STR_NONE;
	bool found;
	int rc = store_get_str(
		m->tx, &m->err, m->arena, &api_id, &found,
		"SELECT id FROM api WHERE ld_api_id = ? AND instance_id = ? ORDER BY created_ms, id LIMIT 1", "ss",
		row->id, instance_id);

	if (rc == 0)
		rc = found ? change_front(m, instance_id, row, in, api_id)
			   : make_front(m, instance_id, row, in, &api_id);
	if (rc == 0)
		rc = api_publish(m, instance_id, api_id, in->env_id, STR_NONE, &published);
	if (rc == 0)
		*ret_api_id = api_id;
	return rc;
}

/* Notes what runs from now on. */
static int record(struct model *m, const struct livedata_row *row, const struct apic_livedata_deploy *d)
{
	int rc = store_exec(m->tx, &m->err, NULL,
			    "INSERT INTO livedata_deploy (id, ld_api_id, api_id, group_id, env_id, doc, deployed_ms)"
			    " VALUES (?, ?, ?, ?, ?, ?, ?)",
			    "sssssdi", d->id, row->id, d->api_id, d->group_id, d->env_id, &doc_apic_livedata_api,
			    d->api_definition, m->now_ms);

	if (rc == 0)
		rc = store_exec(
			m->tx, &m->err, NULL,
			"UPDATE livedata_api SET status = ?, deploy_id = ?, api_id = ?, group_id = ?, env_id = ?"
			" WHERE id = ?",
			"isssss", (int64_t)LIVEDATA_DEPLOYED, d->id, d->api_id, d->group_id, d->env_id, row->id);
	if (rc == 0)
		rc = livedata__note_sources(m, row->id, 1, row->def);
	if (rc == 0)
		rc = store_exec(
			m->tx, &m->err, NULL,
			"DELETE FROM livedata_deploy WHERE ld_api_id = ? AND id <> ? AND id NOT IN (SELECT id FROM"
			" livedata_deploy WHERE ld_api_id = ? ORDER BY deployed_ms DESC, id LIMIT ?)",
			"sssi", row->id, d->id, row->id, (int64_t)LIVEDATA_KEPT);
	return rc ? rc : store_outbox(m->tx, &m->err, STR("livedata"), row->id);
}

int livedata_deploy(struct model *m, struct str instance_id, struct str id, const struct apic_livedata_publish *in,
		    struct apic_livedata_deploy *ret)
{
	struct livedata_row row;
	int rc = livedata__get(m, instance_id, id, APP_MODIFY, &row);

	if (rc == 0)
		rc = check_request(m, &row, in);
	/* Without a front API the one of an earlier deployment stays as it is. */
	ret->api_id = rc == 0 && row.api_id.n ? row.api_id : STR_NONE;
	if (rc == 0 && in->deploy_front_api)
		rc = deploy_front(m, instance_id, &row, in, &ret->api_id);
	if (rc)
		return rc;
	row.status = LIVEDATA_DEPLOYED;
	ret->id = rnd_id(m->arena);
	ret->ld_api_id = id;
	ret->group_id = apic_given(in->group_id);
	ret->env_id = apic_given(in->env_id);
	ret->deploy_time = api__time(m, m->now_ms);
	ret->api_definition = ARENA_NEW(m->arena, struct apic_livedata_api);
	livedata__reply(m, &row, ret->api_definition);
	return record(m, &row, ret);
}

int livedata_deployments(struct model *m, struct str instance_id, struct str id, struct apic_livedata_deploy_list *ret)
{
	struct livedata_row row;
	struct store_rows *rows;
	int rc = livedata__get(m, instance_id, id, APP_READ, &row);

	if (rc == 0)
		rc = store_query(
			m->tx, &m->err, &rows,
			"SELECT id, api_id, group_id, env_id, deployed_ms, doc FROM livedata_deploy WHERE ld_api_id = ?"
			" ORDER BY deployed_ms DESC, id LIMIT ?",
			"si", id, (int64_t)LIVEDATA_KEPT + 1);
	if (rc)
		return rc;
	ret->histories.v = ARENA_ARRAY(m->arena, struct apic_livedata_deploy, LIVEDATA_KEPT + 1);
	while (ret->histories.n <= LIVEDATA_KEPT && store_next(rows))
		ret->histories.v[ret->histories.n++] = (struct apic_livedata_deploy){
			.id = store_str(rows, 0, m->arena),
			.ld_api_id = id,
			.api_id = store_str(rows, 1, m->arena),
			.group_id = store_str(rows, 2, m->arena),
			.env_id = store_str(rows, 3, m->arena),
			.deploy_time = api__time(m, store_int(rows, 4)),
			.api_definition = store_doc(rows, 5, &doc_apic_livedata_api, m->arena),
		};
	SET(ret, size, (int64_t)ret->histories.n);
	SET(ret, total, (int64_t)ret->histories.n);
	return store_done(&rows, &m->err);
}

/* The front API goes with what it stands for. */
static int delete_front(struct model *m, struct str instance_id, struct str id)
{
	for (;;) {
		struct str api;
		bool found;
		int rc = store_get_str(m->tx, &m->err, m->arena, &api, &found,
				       "SELECT id FROM api WHERE ld_api_id = ? AND instance_id = ? LIMIT 1", "ss", id,
				       instance_id);

		if (rc || !found)
			return rc;
		rc = api_delete_for_livedata(m, instance_id, api);
		if (rc)
			return rc;
	}
}

int livedata_undeploy(struct model *m, struct str instance_id, struct str id)
{
	struct livedata_row row;
	int rc = livedata__get(m, instance_id, id, APP_MODIFY, &row);

	if (rc == 0 && row.status != LIVEDATA_DEPLOYED)
		return err_set(&m->err, ERR_APIG_3486, NULL);
	if (rc == 0)
		rc = livedata__check_authorizers(m, id);
	if (rc == 0)
		rc = delete_front(m, instance_id, id);
	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL,
				"UPDATE livedata_api SET status = ?, deploy_id = NULL, api_id = NULL, group_id = NULL,"
				" env_id = NULL WHERE id = ?",
				"is", (int64_t)LIVEDATA_DEVELOPED, id);
	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL,
				"DELETE FROM livedata_source WHERE ld_api_id = ? AND deployed = 1", "s", id);
	return rc ? rc : store_outbox(m->tx, &m->err, STR("livedata"), id);
}
