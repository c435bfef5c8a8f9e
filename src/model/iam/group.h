/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IAM_GROUP_H
#define MODEL_IAM_GROUP_H

#include "api_iam.h"
#include "model/context.h"

/* Groups: one per role and account. Being in one is having its role. */

/* Creates the groups of a new account. */
int iam_group_create_all(struct model *m, struct str domain_id);

/* Groups of the caller's account: of a user, or all when user_id is STR_NONE; of that name, or of any. */
int iam_group_list_by(struct model *m, struct str user_id, struct str name, struct iam_group_array *ret);

/* Administrators only. The last administrator stays one: ERR_IAM_0002. */
int iam_group_add(struct model *m, struct str group_id, struct str user_id);
int iam_group_remove(struct model *m, struct str group_id, struct str user_id);

/* Behind a change: ERR_IAM_0002 when the account has no enabled administrator any more. */
int iam_group_keep_administrator(struct model *m);

#endif
