/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/api.h"

#include "api/api.h"

int apic_create_api(struct api_call *call, const struct apic_create_api_in *in, struct apic_api *out)
{
	return api_create(&call->m, in->instance_id, in->body, out);
}

int apic_update_api(struct api_call *call, const struct apic_update_api_in *in, struct apic_api *out)
{
	return api_update(&call->m, in->instance_id, in->api_id, in->body, out);
}

int apic_delete_api(struct api_call *call, const struct apic_delete_api_in *in)
{
	return api_delete(&call->m, in->instance_id, in->api_id);
}

int apic_show_details_of_api(struct api_call *call, const struct apic_show_details_of_api_in *in, struct apic_api *out)
{
	return api_show(&call->m, in->instance_id, in->api_id, out);
}

int apic_list_apis(struct api_call *call, const struct apic_list_apis_in *in, struct apic_api_list *out)
{
	return api_list(&call->m, in, out);
}

int apic_check_apis(struct api_call *call, const struct apic_check_apis_in *in)
{
	return api_check(&call->m, in->instance_id, in->body);
}

int apic_create_or_delete_publish_record_for_api(struct api_call *call,
						 const struct apic_create_or_delete_publish_record_for_api_in *in,
						 struct apic_publish *out)
{
	const struct apic_publish *body = in->body;

	if (str_is(body->action, "online"))
		return api_publish(&call->m, in->instance_id, body->api_id, body->env_id, body->remark, out);
	return api_offline(&call->m, in->instance_id, body->api_id, body->env_id, out);
}

int apic_batch_publish_or_offline_api(struct api_call *call, const struct apic_batch_publish_or_offline_api_in *in,
				      struct apic_api_batch_publish_result *out)
{
	return api_publish_batch(&call->m, in->instance_id, str_is(in->action, "online"), in->body, out);
}

int apic_change_api_version(struct api_call *call, const struct apic_change_api_version_in *in,
			    struct apic_publish *out)
{
	return api_version_switch(&call->m, in->instance_id, in->api_id, in->body->version_id, out);
}

int apic_list_api_version_detail(struct api_call *call, const struct apic_list_api_version_detail_in *in,
				 struct apic_api *out)
{
	return api_version_show(&call->m, in->instance_id, in->version_id, out);
}

int apic_delete_api_by_version_id(struct api_call *call, const struct apic_delete_api_by_version_id_in *in)
{
	return api_version_offline(&call->m, in->instance_id, in->version_id);
}

int apic_list_api_versions(struct api_call *call, const struct apic_list_api_versions_in *in,
			   struct apic_api_version_list *out)
{
	return api_version_list(&call->m, in, out);
}

int apic_list_api_runtime_definition(struct api_call *call, const struct apic_list_api_runtime_definition_in *in,
				     struct apic_api *out)
{
	return api_runtime(&call->m, in->instance_id, in->api_id, in->env_id, out);
}

int apic_debug_api(struct api_call *call, const struct apic_debug_api_in *in, struct apic_api_debug_result *out)
{
	return api_debug(&call->m, in->instance_id, in->api_id, in->body, out);
}
