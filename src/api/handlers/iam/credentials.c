/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_iam.h"
#include "model/iam/access_key.h"

int iam_list_permanent_access_keys(struct api_call *call, const struct iam_list_permanent_access_keys_in *in,
				   struct iam_credential_list *out)
{
	return iam_access_key_list_of(&call->m, in->user_id, &out->credentials);
}

int iam_create_permanent_access_key(struct api_call *call, const struct iam_create_permanent_access_key_in *in,
				    struct iam_credential_body *out)
{
	const struct iam_credential *wanted = in->body->credential;

	out->credential = ARENA_NEW(call->m.arena, struct iam_credential);
	return iam_access_key_create(&call->m, wanted->user_id, wanted->description, out->credential);
}

int iam_show_permanent_access_key(struct api_call *call, const struct iam_show_permanent_access_key_in *in,
				  struct iam_credential_body *out)
{
	out->credential = ARENA_NEW(call->m.arena, struct iam_credential);
	return iam_access_key_show(&call->m, in->access_key, out->credential);
}

int iam_update_permanent_access_key(struct api_call *call, const struct iam_update_permanent_access_key_in *in,
				    struct iam_credential_body *out)
{
	const struct iam_credential *wanted = in->body->credential;

	out->credential = ARENA_NEW(call->m.arena, struct iam_credential);
	return iam_access_key_update(&call->m, in->access_key, wanted->status, wanted->description, out->credential);
}

int iam_delete_permanent_access_key(struct api_call *call, const struct iam_delete_permanent_access_key_in *in)
{
	return iam_access_key_delete(&call->m, in->access_key);
}

int iam_create_temporary_access_key(struct api_call *call, const struct iam_create_temporary_access_key_in *in,
				    struct iam_security_token_body *out)
{
	out->credential = ARENA_NEW(call->m.arena, struct iam_security_token);
	return iam_access_key_lend(&call->m, in->body->auth, out->credential);
}
