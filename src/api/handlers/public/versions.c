/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_public.h"
#include "model/public/version.h"

int public_list_service_api_versions(struct api_call *call, const struct public_list_service_api_versions_in *in,
				     struct public_api_version_list *out)
{
	version_list_all(&call->m, out);
	return 0;
}

int public_show_service_api_version(struct api_call *call, const struct public_show_service_api_version_in *in,
				    struct public_api_version *out)
{
	return version_show(&call->m, in->version, out);
}
