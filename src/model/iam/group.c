/* SPDX-License-Identifier: Apache-2.0 */
#include "model/iam/group.h"

#include "base/rnd.h"
#include "model/iam/account.h"
#include "model/iam/roles.h"
#include "model/iam/user.h"

#define MAX_GROUPS 100

int iam_group_create_all(struct model *m, struct str domain_id)
{
	int rc = 0;

	for (size_t i = 0; i < IAM_ROLES && rc == 0; i++)
		rc = store_exec(m->tx, &m->err, NULL,
				"INSERT INTO iam_group (id, domain_id, name, description, roles, created_ms)"
				" VALUES (?, ?, ?, ?, ?, ?)",
				"ssssii", rnd_id(m->arena), domain_id, str_of(iam_roles[i].group),
				str_of(iam_roles[i].description), (int64_t)iam_roles[i].bit, m->now_ms);
	return rc;
}

int iam_group_list_by(struct model *m, struct str user_id, struct str name, struct iam_group_array *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT id, domain_id, name, description, created_ms FROM iam_group WHERE domain_id = ?"
			     " AND name = COALESCE(?, name) AND (CAST(? AS TEXT) IS NULL OR id IN"
			     " (SELECT group_id FROM iam_group_user WHERE user_id = ?)) ORDER BY name",
			     "ssss", m->who->domain_id, name, user_id, user_id);

	if (rc)
		return rc;
	ret->v = ARENA_ARRAY(m->arena, struct iam_group, MAX_GROUPS);
	while (ret->n < MAX_GROUPS && store_next(rows)) {
		struct iam_group *g = &ret->v[ret->n++];

		g->id = store_str(rows, 0, m->arena);
		g->domain_id = store_str(rows, 1, m->arena);
		g->name = store_str(rows, 2, m->arena);
		g->description = store_str(rows, 3, m->arena);
		g->create_time = store_int(rows, 4);
		g->has_create_time = true;
		g->links = iam_links_self(m, "/v3/groups/%.*s", STR_FMT(g->id));
	}
	return store_done(&rows, &m->err);
}

static int find_both(struct model *m, struct str group_id, struct str user_id, int64_t *ret_roles)
{
	struct iam_account account;
	bool found;
	int rc = iam_require_administrator(m);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, ret_roles, &found,
				   "SELECT roles FROM iam_group WHERE id = ? AND domain_id = ?", "ss", group_id,
				   m->who->domain_id);
	if (rc == 0 && !found)
		rc = err_set(&m->err, ERR_IAM_0004, "group" ERR_NEXT "%.*s", STR_FMT(group_id));
	return rc ? rc : iam_user_find(m, user_id, &account);
}

int iam_group_add(struct model *m, struct str group_id, struct str user_id)
{
	int64_t roles;
	int rc = find_both(m, group_id, user_id, &roles);

	return rc ? rc
		  : store_exec(m->tx, &m->err, NULL,
			       "INSERT INTO iam_group_user (group_id, user_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
			       "ss", group_id, user_id);
}

int iam_group_keep_administrator(struct model *m)
{
	int64_t left = 0;
	int rc = store_get_int(m->tx, &m->err, &left, NULL,
			       "SELECT COUNT(*) FROM iam_group_user gu JOIN iam_user u ON u.id = gu.user_id"
			       " JOIN iam_group g ON g.id = gu.group_id WHERE g.domain_id = ? AND g.roles = ?"
			       " AND u.enabled = 1",
			       "si", m->who->domain_id, (int64_t)iam_roles[0].bit);

	return rc || left ? rc
			  : err_set_text(&m->err, ERR_IAM_0002,
					 "The last administrator of the account must stay one, and enabled.");
}

int iam_group_remove(struct model *m, struct str group_id, struct str user_id)
{
	int64_t roles, removed;
	int rc = find_both(m, group_id, user_id, &roles);

	if (rc == 0)
		rc = store_exec(m->tx, &m->err, &removed,
				"DELETE FROM iam_group_user WHERE group_id = ? AND user_id = ?", "ss", group_id,
				user_id);
	if (rc == 0 && removed == 0)
		return err_set(&m->err, ERR_IAM_0004, "user in the group" ERR_NEXT "%.*s", STR_FMT(user_id));
	return rc ? rc : iam_group_keep_administrator(m);
}
