/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_iam.h"
#include "model/iam/token.h"

/* Issues a token (CreateToken): begins its transactions itself, as checking a password takes long and a wrong one must
 * be counted. */
int iam_create_token(struct api_call *call, const struct iam_create_token_in *in, struct iam_token_body *out)
{
	struct str text;

	out->token = ARENA_NEW(call->m.arena, struct iam_token);
	int rc = iam_token_create(&call->m, in->body->auth, !in->nocatalog.p, out->token, &text);

	if (rc == 0)
		httpd_reply_header(call->reply, STR("X-Subject-Token"), text);
	return rc;
}

int iam_keystone_validate_token(struct api_call *call, const struct iam_keystone_validate_token_in *in,
				struct iam_token_body *out)
{
	out->token = ARENA_NEW(call->m.arena, struct iam_token);
	int rc = iam_token_show(&call->m, in->x_subject_token, !in->nocatalog.p, out->token);

	if (rc == 0)
		httpd_reply_header(call->reply, STR("X-Subject-Token"), in->x_subject_token);
	return rc;
}

/* Begins its transactions itself, as CreateToken does. */
int iam_create_token_with_id_token(struct api_call *call, const struct iam_create_token_with_id_token_in *in,
				   struct iam_token_body *out)
{
	struct str text;

	out->token = ARENA_NEW(call->m.arena, struct iam_token);
	int rc = iam_token_by_id_token(&call->m, in->x_idp_id, in->body->auth, out->token, &text);

	if (rc == 0)
		httpd_reply_header(call->reply, STR("X-Subject-Token"), text);
	return rc;
}
