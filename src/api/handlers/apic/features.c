/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_apic.h"
#include "model/apic/feature.h"

int apic_list_features(struct api_call *call, const struct apic_list_features_in *in, struct apic_feature_list *out)
{
	return apic_feature_list_by(&call->m, in, out);
}

int apic_list_project_configs(struct api_call *call, const struct apic_list_project_configs_in *in,
                              struct apic_config_list *out)
{
	return apic_config_list_by(&call->m, in, out);
}
