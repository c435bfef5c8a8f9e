/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_iam.h"
#include "model/iam/account.h"
#include "model/iam/project.h"
#include "model/iam/roles.h"
#include "model/iam/user.h"

int iam_keystone_list_auth_projects(struct api_call *call, const struct iam_keystone_list_auth_projects_in *in,
				    struct iam_project_list *out)
{
	static const bool enabled = true;
	struct iam_project_filter filter = {.enabled = &enabled};

	out->links = iam_links_self(&call->m, "/v3/auth/projects");
	return iam_project_list_by(&call->m, &filter, &out->projects);
}

int iam_keystone_list_projects(struct api_call *call, const struct iam_keystone_list_projects_in *in,
			       struct iam_project_list *out)
{
	struct iam_project_filter filter = {
		.domain_id = in->domain_id,
		.name = in->name,
		.parent_id = in->parent_id,
		.enabled = in->has_enabled ? &in->enabled : NULL,
		.is_domain = in->has_is_domain ? &in->is_domain : NULL,
		.page = in->page,
		.per_page = in->per_page,
	};

	out->links = iam_links_self(&call->m, "/v3/projects");
	return iam_project_list_by(&call->m, &filter, &out->projects);
}

/* Every user may use every project of its account. */
int iam_keystone_list_projects_for_user(struct api_call *call, const struct iam_keystone_list_projects_for_user_in *in,
					struct iam_project_list *out)
{
	struct iam_project_filter filter = {.page = 0};
	struct iam_account account;
	int rc = iam_require_self(&call->m, in->user_id);

	if (rc == 0)
		rc = iam_user_find(&call->m, in->user_id, &account);
	out->links = iam_links_self(&call->m, "/v3/users/%.*s/projects", STR_FMT(in->user_id));
	return rc ? rc : iam_project_list_by(&call->m, &filter, &out->projects);
}

int iam_keystone_create_project(struct api_call *call, const struct iam_keystone_create_project_in *in,
				struct iam_project_body *out)
{
	out->project = ARENA_NEW(call->m.arena, struct iam_project);
	return iam_project_create(&call->m, in->body->project, out->project);
}

int iam_keystone_show_project(struct api_call *call, const struct iam_keystone_show_project_in *in,
			      struct iam_project_body *out)
{
	out->project = ARENA_NEW(call->m.arena, struct iam_project);
	return iam_project_show(&call->m, in->project_id, out->project);
}

int iam_keystone_update_project(struct api_call *call, const struct iam_keystone_update_project_in *in,
				struct iam_project_body *out)
{
	out->project = ARENA_NEW(call->m.arena, struct iam_project);
	return iam_project_update(&call->m, in->project_id, in->body->project, out->project);
}

int iam_show_project_details_and_status(struct api_call *call, const struct iam_show_project_details_and_status_in *in,
					struct iam_project_body *out)
{
	out->project = ARENA_NEW(call->m.arena, struct iam_project);
	return iam_project_show(&call->m, in->project_id, out->project);
}

int iam_update_project_status(struct api_call *call, const struct iam_update_project_status_in *in)
{
	return iam_project_suspend(&call->m, in->project_id, str_is(in->body->project->status, "suspended"));
}
