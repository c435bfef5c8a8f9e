/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/list.h"

static bool is_precise(struct str list, const char *field)
{
	while (list.p)
		if (str_is(str_trim(str_cut(&list, ',')), field))
			return true;
	return false;
}

struct apic_match apic_match_of(struct model *m, struct str text, struct str precise, const char *field)
{
	bool exact = is_precise(precise, field);

	text = apic_given(text);
	return (struct apic_match){
		.exact = exact ? text : STR_NONE,
		.like = store_like(m->arena, exact ? STR_NONE : text),
	};
}

int apic_app_allow(struct model *m, struct str instance_id, struct str app_id, enum app_role role, int unknown,
		   int forbidden)
{
	int rc = app_require(m, instance_id, app_id, role);

	if (rc == APP_UNKNOWN)
		return err_set_text(&m->err, unknown, "App %.*s does not exist", STR_FMT(app_id));
	return rc == APP_FORBIDDEN ? err_set(&m->err, forbidden, NULL) : rc;
}

int apic_app_check(struct model *m, struct str instance_id, struct str app_id, enum app_role role)
{
	return apic_app_allow(m, instance_id, app_id, role, ERR_APIG_3004, ERR_APIG_1104);
}

int apic_group_get(struct model *m, struct str instance_id, struct str group_id, enum app_role role,
		   struct api_group_row *ret)
{
	int rc = api__group(m, instance_id, group_id, ret);

	if (rc == ERR_APIG_3001)
		return err_set_text(&m->err, rc, "API group %.*s does not exist", STR_FMT(group_id));
	if (rc || str_empty(ret->app_id))
		return rc;
	return apic_app_allow(m, instance_id, ret->app_id, role, ERR_APIG_3004, ERR_APIG_1101);
}

int apic_env_check(struct model *m, struct str instance_id, struct str env_id, struct str *ret_name)
{
	struct str name;
	int rc = api__env_name(m, instance_id, env_id, ret_name ? ret_name : &name);

	if (rc == ERR_APIG_3003)
		return err_set_text(&m->err, rc, "Environment %.*s does not exist", STR_FMT(env_id));
	return rc;
}
