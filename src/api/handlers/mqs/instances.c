/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_mqs.h"
#include "model/mqs/instance.h"

int mqs_list_mqs_instance(struct api_call *call, const struct mqs_list_mqs_instance_in *in,
			  struct mqs_instance_list *out)
{
	return mqs_instance_list_by(&call->m, in->project_id, in->include_internal, in->engine, out);
}

int mqs_show_mqs_instance(struct api_call *call, const struct mqs_show_mqs_instance_in *in, struct mqs_instance *out)
{
	return mqs_instance_get(&call->m, in->project_id, in->instance_id, out);
}

int mqs_download_mqs_instance_certificate(struct api_call *call,
					  const struct mqs_download_mqs_instance_certificate_in *in)
{
	int rc = mqs_certificate(&call->m, &call->reply->body);

	if (rc)
		return rc;
	call->raw = true;
	call->reply->content_type = STR("application/zip");
	httpd_reply_header(call->reply, STR("Content-Disposition"), STR("attachment; filename=\"mqs-ca.zip\""));
	return 0;
}
