/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_apic.h"
#include "model/apic/group.h"

int apic_create_api_group(struct api_call *call, const struct apic_create_api_group_in *in, struct apic_api_group *out)
{
	return apic_group_create(&call->m, in->instance_id, in->body, out);
}

int apic_update_api_group(struct api_call *call, const struct apic_update_api_group_in *in, struct apic_api_group *out)
{
	return apic_group_update(&call->m, in->instance_id, in->group_id, in->body, out);
}

int apic_delete_api_group(struct api_call *call, const struct apic_delete_api_group_in *in)
{
	return apic_group_delete(&call->m, in->instance_id, in->group_id);
}

int apic_show_details_of_api_group(struct api_call *call, const struct apic_show_details_of_api_group_in *in,
                                   struct apic_api_group *out)
{
	return apic_group_show(&call->m, in->instance_id, in->group_id, out);
}

int apic_list_api_groups(struct api_call *call, const struct apic_list_api_groups_in *in,
                         struct apic_api_group_list *out)
{
	return apic_group_list(&call->m, in, out);
}

int apic_check_api_groups(struct api_call *call, const struct apic_check_api_groups_in *in)
{
	return apic_group_check(&call->m, in->instance_id, in->body);
}
