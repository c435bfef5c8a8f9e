/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_apic.h"
#include "model/apic/app_auth.h"

int apic_create_authorizing_apps(struct api_call *call, const struct apic_create_authorizing_apps_in *in,
                                 struct apic_api_auth_list *out)
{
	return apic_auth_create(&call->m, in->instance_id, in->body, out);
}

int apic_canceling_authorization(struct api_call *call, const struct apic_canceling_authorization_in *in)
{
	return apic_auth_delete(&call->m, in->instance_id, in->app_auth_id);
}

int apic_list_apis_binded_to_app(struct api_call *call, const struct apic_list_apis_binded_to_app_in *in,
                                 struct apic_api_auth_list *out)
{
	return apic_auth_list_apis(&call->m, in, out);
}

int apic_list_apps_binded_to_api(struct api_call *call, const struct apic_list_apps_binded_to_api_in *in,
                                 struct apic_api_auth_list *out)
{
	return apic_auth_list_apps(&call->m, in, out);
}

int apic_list_apis_unbinded_to_app(struct api_call *call, const struct apic_list_apis_unbinded_to_app_in *in,
                                   struct apic_api_outline_list *out)
{
	return apic_auth_list_unbound(&call->m, in, out);
}

int apic_list_duplicate_apis_for_app(struct api_call *call, const struct apic_list_duplicate_apis_for_app_in *in,
                                     struct apic_api_duplication_list *out)
{
	return apic_auth_list_duplicates(&call->m, in->instance_id, in->app_id, out);
}
