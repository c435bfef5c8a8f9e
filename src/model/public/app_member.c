/* SPDX-License-Identifier: Apache-2.0 */
#include "model/public/app_priv.h"

#define MAX_CANDIDATES 1000

static int list(struct model *m, struct str app_id, struct str user_name, struct public_app_user_list *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT u.id, u.name, m.roles FROM app_user m JOIN iam_user u ON u.id = m.user_id"
			     " WHERE m.app_id = ? AND u.name = COALESCE(?, u.name) ORDER BY u.name, u.id",
			     "ss", app_id, user_name.n ? user_name : STR_NONE);

	if (rc)
		return rc;
	ret->users.v = ARENA_ARRAY(m->arena, struct public_app_user, APP_MAX_MEMBERS);
	while (ret->users.n < APP_MAX_MEMBERS && store_next(rows)) {
		struct public_app_user *u = &ret->users.v[ret->users.n++];

		u->id = store_str(rows, 0, m->arena);
		u->name = store_str(rows, 1, m->arena);
		u->roles = app__role_names(m, (unsigned)store_int(rows, 2));
	}
	ret->id = app_id;
	ret->total = (int64_t)ret->users.n;
	ret->has_total = true;
	return store_done(&rows, &m->err);
}

int app_member_list(struct model *m, struct str instance_id, struct str app_id, struct str user_name,
		    struct public_app_user_list *ret)
{
	int rc = app__allow(m, instance_id, app_id, APP_READ);

	return rc ? rc : list(m, app_id, user_name, ret);
}

static int add(struct model *m, struct str app_id, const struct public_app_user *user)
{
	unsigned roles = APP_READ;
	int64_t known;

	for (size_t i = 0; i < user->roles.n; i++)
		roles |= app__role_bit(user->roles.v[i]);
	if (roles & APP_ADMIN)
		roles = APP_ALL;
	if (!user->id.n)
		return err_set(&m->err, ERR_ROMA_13000, "parameterName:id. body.users.id: is required");
	int rc = store_get_int(m->tx, &m->err, &known, NULL,
			       "SELECT COUNT(*) FROM iam_user WHERE id = ? AND domain_id = ?", "ss", user->id,
			       m->who->domain_id);

	if (rc == 0 && known == 0)
		return err_set(&m->err, ERR_ROMA_13000, "parameterName:id. body.users.id: no user %.*s",
			       STR_FMT(user->id));
	return rc ? rc
		  : store_exec(m->tx, &m->err, NULL,
			       "INSERT INTO app_user (app_id, user_id, roles) VALUES (?, ?, ?)"
			       " ON CONFLICT (app_id, user_id) DO UPDATE SET roles = excluded.roles",
			       "ssi", app_id, user->id, (int64_t)roles);
}

int app_member_set(struct model *m, struct str instance_id, struct str app_id,
		   const struct public_app_user_array *users, struct public_app_user_list *ret)
{
	int rc = app__allow(m, instance_id, app_id, APP_ADMIN);

	if (rc == 0 && users->n > APP_MAX_MEMBERS)
		rc = err_set(&m->err, ERR_ROMA_13000, "parameterName:users. body.users: at most %d", APP_MAX_MEMBERS);
	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM app_user WHERE app_id = ?", "s", app_id);
	for (size_t i = 0; i < users->n && rc == 0; i++)
		rc = add(m, app_id, &users->v[i]);
	return rc ? rc : list(m, app_id, STR_NONE, ret);
}

int app_candidate_list(struct model *m, struct str instance_id, struct str app_id, struct str filter,
		       struct public_app_candidate_list *ret)
{
	struct store_rows *rows;
	int rc = app__allow(m, instance_id, app_id, APP_READ);

	if (rc == 0 && filter.n && !str_is(filter, "members"))
		rc = err_set(&m->err, ERR_ROMA_13000, "parameterName:filter. query.filter: must be members");
	if (rc == 0)
		rc = store_query(
			m->tx, &m->err, &rows,
			"SELECT id, name FROM iam_user WHERE domain_id = ? AND enabled = 1 AND (? = 0 OR id NOT IN"
			" (SELECT user_id FROM app_user WHERE app_id = ?)) ORDER BY name, id",
			"sis", m->who->domain_id, (int64_t)(filter.n > 0), app_id);
	if (rc)
		return rc;
	ret->users.v = ARENA_ARRAY(m->arena, struct public_app_candidate, MAX_CANDIDATES);
	while (ret->users.n < MAX_CANDIDATES && store_next(rows)) {
		struct public_app_candidate *c = &ret->users.v[ret->users.n++];

		c->id = store_str(rows, 0, m->arena);
		c->name = store_str(rows, 1, m->arena);
	}
	return store_done(&rows, &m->err);
}
