/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_PUBLIC_APP_H
#define MODEL_PUBLIC_APP_H

#include "model/context.h"

/* What a member of an application may do with it and with everything that belongs to it (4.1.3, field "roles"). Bits
 * of app_user.roles. */
enum app_role {
	APP_READ = 1,   /* see the resources, debug APIs */
	APP_ACCESS = 2, /* manage who may call them */
	APP_DELETE = 4,
	APP_MODIFY = 8, /* create, change, publish, take offline */
	APP_ADMIN = 16  /* the application itself, its secret, its members; implies all others */
};
#define APP_ALL (APP_READ | APP_ACCESS | APP_DELETE | APP_MODIFY | APP_ADMIN)

/* May m->who use the application app_id of the instance in this role? Administrators and the application's creator
 * always may. Reads at m->tx. Returns 0: yes; APP_UNKNOWN: no such application in the instance; APP_FORBIDDEN: not
 * permitted; negative: error in m->err. The domain's code for the two refusals is the caller's. */
enum { APP_UNKNOWN = 1, APP_FORBIDDEN = 2 };
int app_require(struct model *m, struct str instance_id, struct str app_id, enum app_role role);

/* SQL condition (with AND in front) that keeps the rows whose application m->who may read, for lists: the column
 * named there is the application's id. Its three parameters ("sss") are all app_visible_user(m). */
#define APP_VISIBLE(column) \
	" AND (CAST(? AS TEXT) IS NULL OR " column " IN (SELECT a.id FROM app a WHERE a.created_by = ?" \
	" UNION SELECT u.app_id FROM app_user u WHERE u.user_id = ?))"

/* The parameter of APP_VISIBLE: the caller, or STR_NONE for administrators, who see all. */
struct str app_visible_user(const struct model *m);

#endif
