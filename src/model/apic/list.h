/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_LIST_H
#define MODEL_APIC_LIST_H

#include "model/apic/api_priv.h"
#include "model/apic/limits.h"

/* What the lists of API management have in common. */

struct apic_page {
	int64_t offset, limit;
};

/* in: an input struct with offset and limit. Offsets below 0 mean 0. */
#define APIC_PAGE(in)                                                                                                  \
	((struct apic_page){(in)->has_offset && (in)->offset > 0 ? (in)->offset : 0,                                   \
			    (in)->has_limit ? (in)->limit : 20})

/* A filter by name: SQL "(CAST(? AS TEXT) IS NULL OR x = ?) AND LOWER(x) LIKE ? ESCAPE '\'" with exact, exact, like. */
struct apic_match {
	struct str exact, like;
};

/* precise: the parameter precise_search, names separated by commas; field: this parameter's name in it. */
struct apic_match apic_match_of(struct model *m, struct str text, struct str precise, const char *field);

/* SQL of apic_match for a column. */
#define APIC_MATCH(column) " AND (CAST(? AS TEXT) IS NULL OR " column " = ?) AND LOWER(" column ") LIKE ? ESCAPE '\\'"
/* SQL that holds when the parameter (given twice) is absent or equal to the column. */
#define APIC_EQUALS(column) " AND (CAST(? AS TEXT) IS NULL OR " column " = ?)"

static inline struct str apic_given(struct str s)
{
	return str_empty(s) ? STR_NONE : s;
}

/* The caller's role in an application. unknown, forbidden: codes for the two refusals. */
int apic_app_allow(struct model *m, struct str instance_id, struct str app_id, enum app_role role, int unknown,
		   int forbidden);

/* ERR_APIG_3004, ERR_APIG_1104, as the reference words them. */
int apic_app_check(struct model *m, struct str instance_id, struct str app_id, enum app_role role);

/* The group, when the caller has the role: of groups that belong to no application everybody has it. ERR_APIG_3001,
 * ERR_APIG_1101. */
int apic_group_get(struct model *m, struct str instance_id, struct str group_id, enum app_role role,
		   struct api_group_row *ret);

/* ERR_APIG_3003 unless the environment exists. ret_name may be NULL. */
int apic_env_check(struct model *m, struct str instance_id, struct str env_id, struct str *ret_name);

#endif
