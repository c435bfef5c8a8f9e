/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_ENV_H
#define MODEL_APIC_ENV_H

#include "api_apic.h"
#include "model/context.h"

/* Environments (reference, chapter 6.4). All run in m->tx and return 0 or the documented code, set in m->err. RELEASE,
 * which every instance has, can be neither changed nor deleted: ERR_APIG_1103. */

int apic_env_create(struct model *m, struct str instance_id, const struct apic_env *in, struct apic_env *ret);
int apic_env_update(struct model *m, struct str instance_id, struct str env_id, const struct apic_env *in,
                    struct apic_env *ret);
/* With its variables, and the rights to call APIs there. ERR_APIG_3418 while APIs are published in it. */
int apic_env_delete(struct model *m, struct str instance_id, struct str env_id);
int apic_env_list(struct model *m, const struct apic_list_environments_in *in, struct apic_env_list *ret);

/* RELEASE is made with the instance, and deleted before it unless something refers to it. */
int apic_default_env(struct model *m, struct str instance_id);
int apic_default_env_delete(struct model *m, struct str instance_id);

#endif
