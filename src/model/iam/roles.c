/* SPDX-License-Identifier: Apache-2.0 */
#include "model/iam/roles.h"

#include "base/mem.h"
#include "sign/sign.h"

#define READS "get", "list"

static const char *const reading[] = {READS, NULL};
/* Runs what others have made, changes none of it. */
static const char *const operating[] = {READS, "operate", "release", "export", NULL};
static const char *const instances[] = {"roma:instances:create", "roma:instances:update", "roma:instances:delete",
					NULL};

const struct iam_role iam_roles[IAM_ROLES] = {
	{SIGN_ROLE_ADMINISTRATOR, "administrator", "admin", "Everything, users and instances included", NULL, NULL},
	{SIGN_ROLE_DEVELOPER, "developer", "developer", "Everything but users and instances", NULL, instances},
	{SIGN_ROLE_OPERATOR, "operator", "operator", "See everything, start, stop, publish, export", operating, NULL},
	{SIGN_ROLE_READER, "reader", "reader", "See everything", reading, NULL},
};

static bool listed(const char *const *list, struct str what)
{
	for (; *list; list++)
		if (str_is(what, *list))
			return true;
	return false;
}

static struct str verb_of(struct str action)
{
	size_t from = action.n;

	while (from && action.p[from - 1] != ':')
		from--;
	return str_sub(action, from, action.n);
}

static bool permits(const struct iam_role *role, struct str action, bool writes)
{
	if (!action.p)
		return !writes || !role->verbs;
	if (role->except && listed(role->except, action))
		return false;
	return !role->verbs || listed(role->verbs, verb_of(action));
}

bool iam_roles_permit(unsigned roles, const char *action, bool writes)
{
	for (size_t i = 0; i < ARRAY_LEN(iam_roles); i++)
		if (roles & iam_roles[i].bit && permits(&iam_roles[i], str_of(action), writes))
			return true;
	return false;
}

unsigned iam_roles_of(const struct identity *who)
{
	return (who->administrator ? SIGN_ROLE_ADMINISTRATOR : 0) | (who->developer ? SIGN_ROLE_DEVELOPER : 0) |
	       (who->operator_ ? SIGN_ROLE_OPERATOR : 0) | (who->reader ? SIGN_ROLE_READER : 0);
}

void iam_roles_set(struct identity *who, unsigned roles)
{
	who->administrator = roles & SIGN_ROLE_ADMINISTRATOR;
	who->developer = roles & SIGN_ROLE_DEVELOPER;
	who->operator_ = roles & SIGN_ROLE_OPERATOR;
	who->reader = roles & SIGN_ROLE_READER;
}

int iam_require_administrator(struct model *m)
{
	return m->who && m->who->administrator ? 0 : err_set(&m->err, ERR_IAM_0002, NULL);
}

int iam_require_self(struct model *m, struct str user_id)
{
	return m->who && str_eq(m->who->user_id, user_id) ? 0 : iam_require_administrator(m);
}
