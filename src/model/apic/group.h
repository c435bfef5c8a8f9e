/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_GROUP_H
#define MODEL_APIC_GROUP_H

#include "api_apic.h"
#include "model/context.h"
#include "model/public/instance.h"

/* API groups (reference, chapter 6.2). All run in m->tx and return 0 or the documented code, set in m->err. A group of
 * version V2 belongs to an application, whose members' roles count; V1 groups belong to the instance. */

int apic_group_create(struct model *m, struct str instance_id, const struct apic_api_group *in,
                      struct apic_api_group *ret);
/* Name and remark. */
int apic_group_update(struct model *m, struct str instance_id, struct str group_id, const struct apic_api_group *in,
                      struct apic_api_group *ret);
/* With its domain names and variables. ERR_APIG_3415 while it has APIs; ERR_APIG_3482 for DEFAULT. */
int apic_group_delete(struct model *m, struct str instance_id, struct str group_id);
int apic_group_show(struct model *m, struct str instance_id, struct str group_id, struct apic_api_group *ret);
int apic_group_list(struct model *m, const struct apic_list_api_groups_in *in, struct apic_api_group_list *ret);
/* ERR_APIG_3201 when the name is in use. */
int apic_group_check(struct model *m, struct str instance_id, const struct apic_api_group_check *in);

/* What every instance has: group DEFAULT. It is made with the instance. */
int apic_default_group(struct model *m, struct str instance_id);

#endif
