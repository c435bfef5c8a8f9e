/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IAM_ROLES_H
#define MODEL_IAM_ROLES_H

#include "model/context.h"

/* Roles are bit sets of SIGN_ROLE_* (sign/sign.h). A user has those of the groups it is in. Any thread. */

#define IAM_ROLES 4

struct iam_role {
	unsigned bit;
	const char *name; /* "administrator", also the id in tokens */
	const char *group; /* built-in group that grants it */
	const char *description;
	const char *const *verbs; /* last parts of the actions it permits; NULL: all */
	const char *const *except; /* actions it does not permit all the same; NULL: none */
};

extern const struct iam_role iam_roles[IAM_ROLES];

/* May roles do the action "roma:apis:create"? action may be NULL (operations without one): then writes says what
 * matters, whether it changes anything. */
bool iam_roles_permit(unsigned roles, const char *action, bool writes);

unsigned iam_roles_of(const struct identity *who);
void iam_roles_set(struct identity *who, unsigned roles);

/* 0 for administrators, else ERR_IAM_0002 in m->err. */
int iam_require_administrator(struct model *m);

/* 0 for administrators and for the user itself, else ERR_IAM_0002 in m->err. */
int iam_require_self(struct model *m, struct str user_id);

#endif
