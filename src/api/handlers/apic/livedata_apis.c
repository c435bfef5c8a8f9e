/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_apic.h"
#include "model/livedata/livedata.h"

int apic_create_live_data_api(struct api_call *call, const struct apic_create_live_data_api_in *in,
			      struct apic_livedata_api *out)
{
	return livedata_create(&call->m, in->instance_id, in->body, out);
}

int apic_update_live_data_api(struct api_call *call, const struct apic_update_live_data_api_in *in,
			      struct apic_livedata_api *out)
{
	return livedata_update(&call->m, in->instance_id, in->ld_api_id, in->body, out);
}

int apic_delete_live_data_api(struct api_call *call, const struct apic_delete_live_data_api_in *in)
{
	return livedata_delete(&call->m, in->instance_id, in->ld_api_id);
}

int apic_show_live_data_api(struct api_call *call, const struct apic_show_live_data_api_in *in,
			    struct apic_livedata_api *out)
{
	return livedata_show(&call->m, in->instance_id, in->ld_api_id, out);
}

int apic_list_live_data_api(struct api_call *call, const struct apic_list_live_data_api_in *in,
			    struct apic_livedata_api_list *out)
{
	return livedata_list(&call->m, in, out);
}

int apic_create_live_data_api_script(struct api_call *call, const struct apic_create_live_data_api_script_in *in,
				     struct apic_livedata_api *out)
{
	static const struct apic_livedata_scripts nothing;

	return livedata_scripts_set(&call->m, in->instance_id, in->ld_api_id, in->body ? in->body : &nothing, out);
}

int apic_debug_live_data_api(struct api_call *call, const struct apic_debug_live_data_api_in *in,
			     struct apic_livedata_test *out)
{
	static const struct apic_livedata_debug nothing;

	return livedata_run_test(&call->m, in->instance_id, in->ld_api_id, in->body ? in->body : &nothing, out);
}

int apic_list_live_data_api_test_history(struct api_call *call,
					 const struct apic_list_live_data_api_test_history_in *in,
					 struct apic_livedata_test_list *out)
{
	return livedata_tests(&call->m, in, out);
}

/* Without a body everything has its default, so that a front API is asked for. */
int apic_publish_live_data_api(struct api_call *call, const struct apic_publish_live_data_api_in *in,
			       struct apic_livedata_deploy *out)
{
	static const struct apic_livedata_publish nothing = {.deploy_front_api = true};

	return livedata_deploy(&call->m, in->instance_id, in->ld_api_id, in->body ? in->body : &nothing, out);
}

int apic_list_live_data_api_deployment_history(struct api_call *call,
					       const struct apic_list_live_data_api_deployment_history_in *in,
					       struct apic_livedata_deploy_list *out)
{
	return livedata_deployments(&call->m, in->instance_id, in->ld_api_id, out);
}

int apic_unpublish_live_data_api(struct api_call *call, const struct apic_unpublish_live_data_api_in *in)
{
	return livedata_undeploy(&call->m, in->instance_id, in->ld_api_id);
}

int apic_check_livedata_apis(struct api_call *call, const struct apic_check_livedata_apis_in *in)
{
	return livedata_validate(&call->m, in->instance_id, in->body);
}

int apic_list_live_data_quota(struct api_call *call, const struct apic_list_live_data_quota_in *in,
			      struct apic_livedata_quota *out)
{
	return livedata_quota(&call->m, in->instance_id, out);
}

int apic_list_live_data_data_sources(struct api_call *call, const struct apic_list_live_data_data_sources_in *in,
				     struct apic_livedata_datasource_list *out)
{
	return livedata_source_list(&call->m, in, out);
}
