/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_apic.h"
#include "model/apic/app.h"
#include "model/apic/app_code.h"

int apic_list_apps(struct api_call *call, const struct apic_list_apps_in *in, struct apic_app_list *out)
{
	return apic_app_list_by(&call->m, in, out);
}

int apic_show_details_of_app(struct api_call *call, const struct apic_show_details_of_app_in *in, struct apic_app *out)
{
	return apic_app_show(&call->m, in->instance_id, in->app_id, out);
}

int apic_create_app_code(struct api_call *call, const struct apic_create_app_code_in *in, struct apic_app_code *out)
{
	return apic_app_code_create(&call->m, in->instance_id, in->app_id, in->body->app_code, out);
}

int apic_create_app_code_auto(struct api_call *call, const struct apic_create_app_code_auto_in *in,
                              struct apic_app_code *out)
{
	return apic_app_code_create(&call->m, in->instance_id, in->app_id, STR_NONE, out);
}

int apic_list_app_codes(struct api_call *call, const struct apic_list_app_codes_in *in, struct apic_app_code_list *out)
{
	return apic_app_code_list_by(&call->m, in, out);
}

int apic_show_details_of_app_code(struct api_call *call, const struct apic_show_details_of_app_code_in *in,
                                  struct apic_app_code *out)
{
	return apic_app_code_show(&call->m, in->instance_id, in->app_id, in->app_code_id, out);
}

int apic_delete_app_code(struct api_call *call, const struct apic_delete_app_code_in *in)
{
	return apic_app_code_delete(&call->m, in->instance_id, in->app_id, in->app_code_id);
}
