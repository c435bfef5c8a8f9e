/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/env_variable.h"

#include "base/rnd.h"
#include "model/apic/list.h"

#define COLUMNS "SELECT id, group_id, env_id, name, value"

static void read_variable(struct model *m, struct store_rows *rows, struct apic_env_variable *ret)
{
	ret->id = store_str(rows, 0, m->arena);
	ret->group_id = store_str(rows, 1, m->arena);
	ret->env_id = store_str(rows, 2, m->arena);
	ret->variable_name = store_str(rows, 3, m->arena);
	ret->variable_value = store_str(rows, 4, m->arena);
}

/* The role is that in the group's application. */
static int get(struct model *m, struct str instance_id, struct str id, enum app_role role,
	       struct apic_env_variable *ret)
{
	struct api_group_row group;
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, COLUMNS " FROM env_variable WHERE instance_id = ? AND id = ?", "ss",
			     instance_id, id);

	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		read_variable(m, rows, ret);
	rc = store_done(&rows, &m->err);
	if (rc == 0 && !found)
		return err_set_text(&m->err, ERR_APIG_3011, "The environment variable does not exist, id: %.*s",
				    STR_FMT(id));
	if (rc == 0)
		rc = apic_group_get(m, instance_id, ret->group_id, role, &group);
	return rc == ERR_APIG_1101 ? err_set(&m->err, ERR_APIG_1110, NULL) : rc;
}

static int check_room(struct model *m, const struct apic_env_variable *in)
{
	bool found;
	int64_t n;
	int rc = store_get_int(m->tx, &m->err, &n, &found,
			       "SELECT 1 FROM env_variable WHERE group_id = ? AND env_id = ? AND name = ?", "sss",
			       in->group_id, in->env_id, in->variable_name);

	if (rc == 0 && found)
		return err_set(&m->err, ERR_APIG_3303, NULL);
	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &n, NULL,
				   "SELECT COUNT(*) FROM env_variable WHERE group_id = ? AND env_id = ?", "ss",
				   in->group_id, in->env_id);
	return rc == 0 && n >= APIC_MAX_VARIABLES ? err_set(&m->err, ERR_APIG_3106, "limit:%d", APIC_MAX_VARIABLES)
						  : rc;
}

int apic_variable_create(struct model *m, struct str instance_id, const struct apic_env_variable *in,
			 struct apic_env_variable *ret)
{
	struct api_group_row group;
	int rc = apic_group_get(m, instance_id, in->group_id, APP_MODIFY, &group);

	if (rc == 0)
		rc = apic_env_check(m, instance_id, in->env_id, NULL);
	if (rc == 0)
		rc = check_room(m, in);
	if (rc)
		return rc;
	*ret = *in;
	ret->id = rnd_id(m->arena);
	return store_exec(
		m->tx, &m->err, NULL,
		"INSERT INTO env_variable (id, instance_id, group_id, env_id, name, value, created_ms, updated_ms)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		"ssssssii", ret->id, instance_id, in->group_id, in->env_id, in->variable_name, in->variable_value,
		m->now_ms, m->now_ms);
}

int apic_variable_update(struct model *m, struct str instance_id, struct str id, const struct apic_env_variable *in,
			 struct apic_env_variable *ret)
{
	int rc = get(m, instance_id, id, APP_MODIFY, ret);

	if (rc || str_eq(ret->variable_value, in->variable_value))
		return rc;
	ret->variable_value = in->variable_value;
	rc = store_exec(m->tx, &m->err, NULL, "UPDATE env_variable SET value = ?, updated_ms = ? WHERE id = ?", "sis",
			in->variable_value, m->now_ms, id);
	return rc ? rc : api__variable_changed(m, instance_id, ret->group_id, ret->env_id, ret->variable_name);
}

int apic_variable_delete(struct model *m, struct str instance_id, struct str id)
{
	struct apic_env_variable old;
	int rc = get(m, instance_id, id, APP_MODIFY, &old);

	return rc ? rc : store_exec(m->tx, &m->err, NULL, "DELETE FROM env_variable WHERE id = ?", "s", id);
}

int apic_variable_show(struct model *m, struct str instance_id, struct str id, struct apic_env_variable *ret)
{
	return get(m, instance_id, id, APP_READ, ret);
}

#define FILTER " FROM env_variable WHERE group_id = ?" APIC_EQUALS("env_id") APIC_MATCH("name")

int apic_variable_list(struct model *m, const struct apic_list_environment_variables_in *in,
		       struct apic_env_variable_list *ret)
{
	struct str env = apic_given(in->env_id);
	struct apic_match name = apic_match_of(m, in->variable_name, in->precise_search, "variable_name");
	struct apic_page page = APIC_PAGE(in);
	struct api_group_row group;
	struct store_rows *rows;
	int64_t total;
	int rc = apic_group_get(m, in->instance_id, in->group_id, APP_READ, &group);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &total, NULL, "SELECT COUNT(*)" FILTER, "ssssss", in->group_id, env,
				   env, name.exact, name.exact, name.like);
	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows, COLUMNS FILTER " ORDER BY created_ms DESC, id LIMIT ? OFFSET ?",
				 "ssssssii", in->group_id, env, env, name.exact, name.exact, name.like, page.limit,
				 page.offset);
	if (rc)
		return rc;
	ret->variables.v = ARENA_ARRAY(m->arena, struct apic_env_variable, (size_t)page.limit);
	while (ret->variables.n < (size_t)page.limit && store_next(rows))
		read_variable(m, rows, &ret->variables.v[ret->variables.n++]);
	SET(ret, total, total);
	SET(ret, size, (int64_t)ret->variables.n);
	return store_done(&rows, &m->err);
}
