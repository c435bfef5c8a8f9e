/* Generated from spec/. */
#ifndef API_IAM_H
#define API_IAM_H

#include "base/str.h"
#include "json/schema.h"

struct api_call;

/* POST /v3/login
 * Issues a token. */
struct iam_login_in {
	struct str x_idp_id;
	struct str body; /* as received */
};
int iam_login(struct api_call *call, const struct iam_login_in *in);

#endif
