/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_apic.h"
#include "model/apic/env.h"

int apic_create_environment(struct api_call *call, const struct apic_create_environment_in *in, struct apic_env *out)
{
	return apic_env_create(&call->m, in->instance_id, in->body, out);
}

int apic_update_environment(struct api_call *call, const struct apic_update_environment_in *in, struct apic_env *out)
{
	return apic_env_update(&call->m, in->instance_id, in->env_id, in->body, out);
}

int apic_delete_environment(struct api_call *call, const struct apic_delete_environment_in *in)
{
	return apic_env_delete(&call->m, in->instance_id, in->env_id);
}

int apic_list_environments(struct api_call *call, const struct apic_list_environments_in *in,
                           struct apic_env_list *out)
{
	return apic_env_list(&call->m, in, out);
}
