/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_apic.h"
#include "api_public.h"
#include "model/public/instance.h"

int public_check_roma_instance_list(struct api_call *call, const struct public_check_roma_instance_list_in *in,
				    struct public_instance_list *out)
{
	return instance_list_by(&call->m, in->project_id, in->status, in->offset, in->limit, out);
}

int public_create_roma_instance(struct api_call *call, const struct public_create_roma_instance_in *in,
				struct public_instance *out)
{
	return instance_create(&call->m, in->project_id, in->body, out);
}

int public_show_roma_instance(struct api_call *call, const struct public_show_roma_instance_in *in,
			      struct public_instance *out)
{
	return instance_show(&call->m, in->project_id, in->instance_id, out);
}

int public_delete_roma_instance(struct api_call *call, const struct public_delete_roma_instance_in *in)
{
	return instance_delete(&call->m, in->project_id, in->instance_id);
}

int apic_show_details_of_instance(struct api_call *call, const struct apic_show_details_of_instance_in *in,
				  struct apic_instance *out)
{
	return instance_show_apic(&call->m, in->project_id, in->instance_id, out);
}

/* No subnet is reserved here, so nothing is forbidden to back ends. */
int apic_show_restriction_of_instance(struct api_call *call, const struct apic_show_restriction_of_instance_in *in,
				      struct apic_restriction *out)
{
	out->restrict_cidrs.v = ARENA_NEW(call->m.arena, struct str);
	out->resource_subnet_cidr = STR("");
	return 0;
}
