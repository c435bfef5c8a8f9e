/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IAM_USER_H
#define MODEL_IAM_USER_H

#include "model/iam/account.h"

#define IAM_MAX_USERS 1000 /* per account */

/* Users of the caller's account; those of others do not exist for it (ERR_IAM_0004). Who is no administrator sees and
 * changes only itself (ERR_IAM_0002). */

int iam_user_find(struct model *m, struct str id, struct iam_account *ret);
int iam_user_show(struct model *m, struct str id, struct iam_user *ret);
int iam_user_list_by(struct model *m, struct str domain_id, struct str name, bool enabled, struct iam_user_array *ret);

/* Administrators only. in as described by the operations; absent fields get defaults, or stay as they are. Errors: the
 * four-digit codes of the user operations; a name twice: ERR_1109. */
int iam_user_create(struct model *m, const struct iam_user *in, struct iam_user *ret);
int iam_user_update(struct model *m, struct str id, const struct iam_user *in, struct iam_user *ret);
/* The owner of the account stays: ERR_1107. */
int iam_user_delete(struct model *m, struct str id);

/* Own mail address (in->email) and phone (in->mobile: "0086-123456789"). */
int iam_user_inform(struct model *m, struct str id, const struct iam_user *in);

#endif
