/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IAM_BOOTSTRAP_H
#define MODEL_IAM_BOOTSTRAP_H

#include "model/context.h"

/* What the first start makes; strings live in m->arena. */
struct iam_bootstrap_result {
	struct str domain_id, domain, user_id, user;
	struct str project_id, project_name; /* named after the region, as clients look projects up by region */
	struct str instance_id;
	struct str access_key, secret_key;
};

/* The first start: account, groups, administrator with this password, project, access key, default instance; part of
 * the caller's write transaction, so that he may keep the secrets safe before it commits. *ret_created false: the
 * installation has an account already, nothing was changed, *ret is untouched. */
int iam_bootstrap(struct model *m, struct str domain, struct str user, struct str password,
		  struct iam_bootstrap_result *ret, bool *ret_created);

/* Has the first start been? Takes a transaction of its own. */
int iam_installed(struct model *m, bool *ret);

/* Can the keyring open what is stored? ERR_APPIA_0500 when not: better no start than secrets sealed by two keys. Takes
 * a transaction of its own. */
int iam_check_keys(struct model *m);

#endif
