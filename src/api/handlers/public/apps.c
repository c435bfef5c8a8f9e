/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_public.h"
#include "model/public/app.h"

int public_validate_roma_app(struct api_call *call, const struct public_validate_roma_app_in *in,
			     struct public_app_name *out)
{
	return app_validate(&call->m, in->instance_id, in->name, in->id, in->key, out);
}

int public_list_roma_app(struct api_call *call, const struct public_list_roma_app_in *in, struct public_app_list *out)
{
	struct app_filter filter = {
		.name = in->name,
		.key = in->key,
		.auth_role = in->auth_role,
		.user_name = in->user_name,
		.favorite = in->has_favorite ? &in->favorite : NULL,
		.owner = in->has_owner ? &in->owner : NULL,
		.offset = in->offset,
		.limit = in->limit,
	};

	return app_list_by(&call->m, in->instance_id, &filter, out);
}

int public_create_roma_app(struct api_call *call, const struct public_create_roma_app_in *in, struct public_app *out)
{
	return app_create(&call->m, in->instance_id, in->body, out);
}

int public_check_roma_app_details(struct api_call *call, const struct public_check_roma_app_details_in *in,
				  struct public_app *out)
{
	return app_show(&call->m, in->instance_id, in->app_id, out);
}

int public_update_roma_app(struct api_call *call, const struct public_update_roma_app_in *in, struct public_app *out)
{
	static const struct public_app nothing;

	return app_update(&call->m, in->instance_id, in->app_id, in->body ? in->body : &nothing, out);
}

int public_delete_roma_app(struct api_call *call, const struct public_delete_roma_app_in *in)
{
	return app_delete(&call->m, in->instance_id, in->app_id);
}

int public_check_roma_app_secret(struct api_call *call, const struct public_check_roma_app_secret_in *in,
				 struct public_app_secret *out)
{
	return app_secret_show(&call->m, in->instance_id, in->app_id, out);
}

int public_reset_roma_app_secret(struct api_call *call, const struct public_reset_roma_app_secret_in *in,
				 struct public_app_secret *out)
{
	return app_secret_reset(&call->m, in->instance_id, in->app_id, in->body ? in->body->secret : STR_NONE, out);
}

int public_check_auth_users_of_app(struct api_call *call, const struct public_check_auth_users_of_app_in *in,
				   struct public_app_user_list *out)
{
	return app_member_list(&call->m, in->instance_id, in->app_id, in->user_name, out);
}

/* An empty list takes all members away; no list at all changes nothing. */
int public_add_user_to_app(struct api_call *call, const struct public_add_user_to_app_in *in,
			   struct public_app_user_list *out)
{
	if (!in->body || !in->body->users.v)
		return app_member_list(&call->m, in->instance_id, in->app_id, STR_NONE, out);
	return app_member_set(&call->m, in->instance_id, in->app_id, &in->body->users, out);
}

int public_check_can_auth_users_of_app(struct api_call *call, const struct public_check_can_auth_users_of_app_in *in,
				       struct public_app_candidate_list *out)
{
	return app_candidate_list(&call->m, in->instance_id, in->app_id, in->filter, out);
}
