/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_PUBLIC_APP_H
#define MODEL_PUBLIC_APP_H

#include "api_public.h"
#include "model/context.h"

#define APP_MAX 10000 /* per instance */
#define APP_MAX_MEMBERS 500
#define APP_SEAL_SECRET "app.secret" /* purpose of sign_seal() for app.secret_sealed and pub_app.sealed_secret */

/* What a member of an application may do with it and with everything that belongs to it (4.1.3, field "roles"). Bits
 * of app_user.roles. */
enum app_role {
	APP_READ = 1, /* see the resources, debug APIs */
	APP_ACCESS = 2, /* manage who may call them */
	APP_DELETE = 4,
	APP_MODIFY = 8, /* create, change, publish, take offline */
	APP_ADMIN = 16 /* the application itself, its secret, its members; implies all others */
};
#define APP_ALL (APP_READ | APP_ACCESS | APP_DELETE | APP_MODIFY | APP_ADMIN)

/* May m->who use the application app_id of the instance in this role? Administrators and the application's creator
 * always may. Reads at m->tx. Returns 0: yes; APP_UNKNOWN: no such application in the instance; APP_FORBIDDEN: not
 * permitted; negative: error in m->err. The domain's code for the two refusals is the caller's. */
enum { APP_UNKNOWN = 1, APP_FORBIDDEN = 2 };
int app_require(struct model *m, struct str instance_id, struct str app_id, enum app_role role);

/* SQL condition (with AND in front) that keeps the rows whose application m->who may read, for lists: the column
 * named there is the application's id. Its three parameters ("sss") are all app_visible_user(m). */
#define APP_VISIBLE(column)                                                                                            \
	" AND (CAST(? AS TEXT) IS NULL OR " column " IN (SELECT a.id FROM app a WHERE a.created_by = ?"                \
	" UNION SELECT u.app_id FROM app_user u WHERE u.user_id = ?))"

/* The parameter of APP_VISIBLE: the caller, or STR_NONE for administrators, who see all. */
struct str app_visible_user(const struct model *m);

/* The operations of section 4.1. Unknown applications: ERR_ROMA_14001; what the caller may not do: ERR_ROMA_12001. */

struct app_filter {
	struct str name, key; /* part of it */
	struct str auth_role; /* the caller has it */
	struct str user_name; /* this user may use it too */
	const bool *favorite, *owner; /* NULL: all */
	int64_t offset, limit; /* limit 0: 20 */
};

/* At least one of name, id, key given. */
int app_validate(struct model *m, struct str instance_id, struct str name, struct str id, struct str key,
		 struct public_app_name *ret);
/* Favourites first, then the newest. */
int app_list_by(struct model *m, struct str instance_id, const struct app_filter *filter, struct public_app_list *ret);
int app_show(struct model *m, struct str instance_id, struct str app_id, struct public_app *ret);
/* Name and key are unique: ERR_ROMA_14011, ERR_ROMA_14012. Key and secret are drawn when absent. */
int app_create(struct model *m, struct str instance_id, const struct public_app *in, struct public_app *ret);
int app_update(struct model *m, struct str instance_id, struct str app_id, const struct public_app *in,
	       struct public_app *ret);
/* ERR_ROMA_14014 while anything belongs to it. */
int app_delete(struct model *m, struct str instance_id, struct str app_id);
int app_secret_show(struct model *m, struct str instance_id, struct str app_id, struct public_app_secret *ret);
/* secret STR_NONE: a new one is drawn. */
int app_secret_reset(struct model *m, struct str instance_id, struct str app_id, struct str secret,
		     struct public_app_secret *ret);

/* Members. Setting replaces all; admin implies all roles, each implies read. */
int app_member_list(struct model *m, struct str instance_id, struct str app_id, struct str user_name,
		    struct public_app_user_list *ret);
int app_member_set(struct model *m, struct str instance_id, struct str app_id,
		   const struct public_app_user_array *users, struct public_app_user_list *ret);
/* Enabled users of the account; without the members when filter is "members". */
int app_candidate_list(struct model *m, struct str instance_id, struct str app_id, struct str filter,
		       struct public_app_candidate_list *ret);

#endif
