/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_apic.h"
#include "model/apic/env_variable.h"

int apic_create_environment_variable(struct api_call *call, const struct apic_create_environment_variable_in *in,
                                     struct apic_env_variable *out)
{
	return apic_variable_create(&call->m, in->instance_id, in->body, out);
}

int apic_update_environment_variable(struct api_call *call, const struct apic_update_environment_variable_in *in,
                                     struct apic_env_variable *out)
{
	return apic_variable_update(&call->m, in->instance_id, in->env_variable_id, in->body, out);
}

int apic_delete_environment_variable(struct api_call *call, const struct apic_delete_environment_variable_in *in)
{
	return apic_variable_delete(&call->m, in->instance_id, in->env_variable_id);
}

int apic_show_details_of_environment_variable(struct api_call *call,
                                              const struct apic_show_details_of_environment_variable_in *in,
                                              struct apic_env_variable *out)
{
	return apic_variable_show(&call->m, in->instance_id, in->env_variable_id, out);
}

int apic_list_environment_variables(struct api_call *call, const struct apic_list_environment_variables_in *in,
                                    struct apic_env_variable_list *out)
{
	return apic_variable_list(&call->m, in, out);
}
