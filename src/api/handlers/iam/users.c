/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_iam.h"
#include "model/iam/group.h"
#include "model/iam/password.h"
#include "model/iam/roles.h"
#include "model/iam/user.h"

int iam_keystone_list_users(struct api_call *call, const struct iam_keystone_list_users_in *in,
			    struct iam_user_list *out)
{
	out->links = iam_links_self(&call->m, "/v3/users");
	if (in->password_expires_at.n) { /* passwords do not expire here: none matches */
		out->users.v = ARENA_NEW(call->m.arena, struct iam_user);
		return iam_require_administrator(&call->m);
	}
	return iam_user_list_by(&call->m, in->domain_id, in->name, !in->has_enabled || in->enabled, &out->users);
}

/* The identity v3 form knows one code for names taken. */
static int in_v3_form(struct api_call *call, int rc, struct str name)
{
	return rc == ERR_1109
		       ? err_set(&call->m.err, ERR_IAM_0005, "user" ERR_NEXT "the name %.*s is taken", STR_FMT(name))
		       : rc;
}

int iam_keystone_create_user(struct api_call *call, const struct iam_keystone_create_user_in *in,
			     struct iam_user_body *out)
{
	out->user = ARENA_NEW(call->m.arena, struct iam_user);
	return in_v3_form(call, iam_user_create(&call->m, in->body->user, out->user), in->body->user->name);
}

int iam_keystone_show_user(struct api_call *call, const struct iam_keystone_show_user_in *in, struct iam_user_body *out)
{
	out->user = ARENA_NEW(call->m.arena, struct iam_user);
	return iam_user_show(&call->m, in->user_id, out->user);
}

int iam_keystone_update_user_by_admin(struct api_call *call, const struct iam_keystone_update_user_by_admin_in *in,
				      struct iam_user_body *out)
{
	out->user = ARENA_NEW(call->m.arena, struct iam_user);
	return in_v3_form(call, iam_user_update(&call->m, in->user_id, in->body->user, out->user),
			  in->body->user->name);
}

int iam_keystone_delete_user(struct api_call *call, const struct iam_keystone_delete_user_in *in)
{
	return iam_user_delete(&call->m, in->user_id);
}

/* Begins its transactions itself, as CreateToken does. */
int iam_keystone_update_user_password(struct api_call *call, const struct iam_keystone_update_user_password_in *in)
{
	const struct iam_user_password *p = in->body->user;

	return iam_password_change(&call->m, in->user_id, p->original_password, p->password);
}

int iam_keystone_list_groups_for_user(struct api_call *call, const struct iam_keystone_list_groups_for_user_in *in,
				      struct iam_group_list *out)
{
	struct iam_account account;
	int rc = iam_require_self(&call->m, in->user_id);

	if (rc == 0)
		rc = iam_user_find(&call->m, in->user_id, &account);
	out->links = iam_links_self(&call->m, "/v3/users/%.*s/groups", STR_FMT(in->user_id));
	return rc ? rc : iam_group_list_by(&call->m, in->user_id, STR_NONE, &out->groups);
}

int iam_create_user(struct api_call *call, const struct iam_create_user_in *in, struct iam_user_body *out)
{
	out->user = ARENA_NEW(call->m.arena, struct iam_user);
	return iam_user_create(&call->m, in->body->user, out->user);
}

int iam_show_user(struct api_call *call, const struct iam_show_user_in *in, struct iam_user_body *out)
{
	out->user = ARENA_NEW(call->m.arena, struct iam_user);
	return iam_user_show(&call->m, in->user_id, out->user);
}

int iam_update_user(struct api_call *call, const struct iam_update_user_in *in, struct iam_user_body *out)
{
	out->user = ARENA_NEW(call->m.arena, struct iam_user);
	return iam_user_update(&call->m, in->user_id, in->body->user, out->user);
}

int iam_update_user_information(struct api_call *call, const struct iam_update_user_information_in *in)
{
	return iam_user_inform(&call->m, in->user_id, in->body->user);
}
