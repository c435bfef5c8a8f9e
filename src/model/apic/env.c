/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/env.h"

#include "base/rnd.h"
#include "model/apic/app_auth.h"
#include "model/apic/list.h"
#include "model/apic/publish.h"

static void read_env(struct model *m, struct store_rows *rows, struct apic_env *ret)
{
	ret->id = store_str(rows, 0, m->arena);
	ret->name = store_str(rows, 1, m->arena);
	ret->remark = store_str(rows, 2, m->arena);
	ret->create_time = api__time(m, store_int(rows, 3));
}

static int load(struct model *m, struct str instance_id, struct str env_id, struct apic_env *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT id, name, remark, created_ms FROM api_env WHERE instance_id = ? AND id = ?", "ss",
			     instance_id, env_id);

	if (rc)
		return rc;
	if (store_next(rows))
		read_env(m, rows, ret);
	return store_done(&rows, &m->err);
}

static int check_name(struct model *m, struct str instance_id, struct str name, struct str except)
{
	bool found;
	int64_t one;
	int rc = store_get_int(m->tx, &m->err, &one, &found,
			       "SELECT 1 FROM api_env WHERE instance_id = ? AND name = ? AND id <> ?", "sss",
			       instance_id, name, except);

	return rc == 0 && found ? err_set(&m->err, ERR_APIG_3205, NULL) : rc;
}

static int check_quota(struct model *m, struct str instance_id)
{
	int64_t n = 0;
	int rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM api_env WHERE instance_id = ?", "s",
			       instance_id);

	return rc == 0 && n >= APIC_MAX_ENVS ? err_set(&m->err, ERR_APIG_3104, "limit:%d", APIC_MAX_ENVS) : rc;
}

static int insert(struct model *m, struct str instance_id, struct str id, struct str name, struct str remark)
{
	return store_exec(m->tx, &m->err, NULL,
			  "INSERT INTO api_env (instance_id, id, name, remark, created_ms) VALUES (?, ?, ?, ?, ?)",
			  "ssssi", instance_id, id, name, remark.p ? remark : STR(""), m->now_ms);
}

int apic_env_create(struct model *m, struct str instance_id, const struct apic_env *in, struct apic_env *ret)
{
	struct str id = rnd_id(m->arena);
	int rc = check_name(m, instance_id, in->name, STR(""));

	if (rc == 0)
		rc = check_quota(m, instance_id);
	if (rc == 0)
		rc = insert(m, instance_id, id, in->name, in->remark);
	return rc ? rc : load(m, instance_id, id, ret);
}

static int check_changeable(struct model *m, struct str instance_id, struct str env_id, struct str *ret_name)
{
	int rc = apic_env_check(m, instance_id, env_id, ret_name);

	if (rc == 0 && str_eq(env_id, API_ENV_RELEASE))
		rc = err_set(&m->err, ERR_APIG_1103, "RELEASE can be neither changed nor deleted");
	return rc;
}

int apic_env_update(struct model *m, struct str instance_id, struct str env_id, const struct apic_env *in,
		    struct apic_env *ret)
{
	struct str old_name;
	int rc = check_changeable(m, instance_id, env_id, &old_name);

	if (rc == 0)
		rc = check_name(m, instance_id, in->name, env_id);
	if (rc == 0)
		rc = store_exec(
			m->tx, &m->err, NULL,
			"UPDATE api_env SET name = ?, remark = COALESCE(?, remark) WHERE instance_id = ? AND id = ?",
			"ssss", in->name, in->remark, instance_id, env_id);
	if (rc == 0 && !str_eq(in->name, old_name))
		rc = publish_env_renamed(m, instance_id, env_id, old_name);
	return rc ? rc : load(m, instance_id, env_id, ret);
}

int apic_env_delete(struct model *m, struct str instance_id, struct str env_id)
{
	struct str name;
	bool found = false;
	int64_t one;
	int rc = check_changeable(m, instance_id, env_id, &name);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &one, &found,
				   "SELECT 1 FROM api_publish WHERE instance_id = ? AND env_id = ? LIMIT 1", "ss",
				   instance_id, env_id);
	if (rc == 0 && found)
		return err_set(&m->err, ERR_APIG_3418, NULL);
	if (rc == 0)
		rc = apic_auth_delete_of_env(m, instance_id, env_id);
	return rc ? rc
		  : store_exec(m->tx, &m->err, NULL, "DELETE FROM api_env WHERE instance_id = ? AND id = ?", "ss",
			       instance_id, env_id);
}

#define FILTER " FROM api_env WHERE instance_id = ? AND LOWER(name) LIKE ? ESCAPE '\\'"

int apic_env_list(struct model *m, const struct apic_list_environments_in *in, struct apic_env_list *ret)
{
	struct str like = store_like(m->arena, apic_given(in->name));
	struct apic_page page = APIC_PAGE(in);
	struct store_rows *rows;
	int64_t total;
	int rc = store_get_int(m->tx, &m->err, &total, NULL, "SELECT COUNT(*)" FILTER, "ss", in->instance_id, like);

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 "SELECT id, name, remark, created_ms" FILTER
				 " ORDER BY created_ms, id LIMIT ? OFFSET ?",
				 "ssii", in->instance_id, like, page.limit, page.offset);
	if (rc)
		return rc;
	ret->envs.v = ARENA_ARRAY(m->arena, struct apic_env, (size_t)page.limit);
	while (ret->envs.n < (size_t)page.limit && store_next(rows))
		read_env(m, rows, &ret->envs.v[ret->envs.n++]);
	SET(ret, total, total);
	SET(ret, size, (int64_t)ret->envs.n);
	return store_done(&rows, &m->err);
}

int apic_default_env(struct model *m, struct str instance_id)
{
	return insert(m, instance_id, API_ENV_RELEASE, STR("RELEASE"), STR("Environment of the instance"));
}

int apic_default_env_delete(struct model *m, struct str instance_id)
{
	return store_exec(m->tx, &m->err, NULL,
			  "DELETE FROM api_env WHERE instance_id = ? AND id = ? AND NOT EXISTS"
			  " (SELECT 1 FROM api WHERE api.instance_id = api_env.instance_id)",
			  "ss", instance_id, API_ENV_RELEASE);
}
