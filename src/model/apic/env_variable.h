/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_ENV_VARIABLE_H
#define MODEL_APIC_ENV_VARIABLE_H

#include "api_apic.h"
#include "model/context.h"

/* Variables of an API group in an environment, "#name#" in definitions (reference, chapter 6.5). All run in m->tx and
 * return 0 or the documented code, set in m->err. The roles in the group's application count. */

/* ERR_APIG_3303 when the group has one of that name there. */
int apic_variable_create(struct model *m, struct str instance_id, const struct apic_env_variable *in,
                         struct apic_env_variable *ret);
/* The value. Published APIs that use it follow. */
int apic_variable_update(struct model *m, struct str instance_id, struct str id, const struct apic_env_variable *in,
                         struct apic_env_variable *ret);
/* What is published keeps the value it was published with. */
int apic_variable_delete(struct model *m, struct str instance_id, struct str id);
int apic_variable_show(struct model *m, struct str instance_id, struct str id, struct apic_env_variable *ret);
int apic_variable_list(struct model *m, const struct apic_list_environment_variables_in *in,
                       struct apic_env_variable_list *ret);

#endif
