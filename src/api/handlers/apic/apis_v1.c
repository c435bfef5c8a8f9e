/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api/set.h"
#include "api_apic_v1.h"
#include "model/apic/api.h"

/* Version 1 of the operations on APIs: the same rules, under other paths. Its structs have the same fields by name, so
 * they are carried over by their descriptions. */

#define MAX_DOCUMENT ((size_t)64 << 20)

static int carry(struct api_call *call, const struct json_schema *from, const void *value, const struct json_schema *to,
		 void *ret)
{
	struct model *m = &call->m;
	struct buf text;
	const struct json *tree;
	char why[96];

	buf_init(&text, MAX_DOCUMENT);
	schema_encode(from, value, &text);
	bool ok = !text.failed && json_parse(m->arena, buf_view(&text), &tree, why, sizeof(why)) &&
		  schema_load(to, tree, m->arena, ret);

	buf_done(&text);
	return ok ? 0 : err_set(&m->err, ERR_APPIA_0500, "a version 1 document does not fit");
}

int apic_v1_create_api_v1(struct api_call *call, const struct apic_v1_create_api_v1_in *in, struct apic_v1_api *out)
{
	struct apic_api def = {.has_type = false}, made = {.has_type = false};
	int rc = carry(call, &doc_apic_v1_api, in->body, &doc_apic_api, &def);

	if (rc == 0)
		rc = api_create(&call->m, in->instance_id, &def, &made);
	return rc ? rc : carry(call, &doc_apic_api, &made, &doc_apic_v1_api, out);
}

int apic_v1_update_api_v1(struct api_call *call, const struct apic_v1_update_api_v1_in *in, struct apic_v1_api *out)
{
	struct apic_api def = {.has_type = false}, made = {.has_type = false};
	int rc = carry(call, &doc_apic_v1_api, in->body, &doc_apic_api, &def);

	if (rc == 0)
		rc = api_update(&call->m, in->instance_id, in->api_id, &def, &made);
	return rc ? rc : carry(call, &doc_apic_api, &made, &doc_apic_v1_api, out);
}

int apic_v1_delete_api_v1(struct api_call *call, const struct apic_v1_delete_api_v1_in *in)
{
	return api_delete(&call->m, in->instance_id, in->api_id);
}

int apic_v1_show_details_of_api_v1(struct api_call *call, const struct apic_v1_show_details_of_api_v1_in *in,
				   struct apic_v1_api *out)
{
	struct apic_api api = {.has_type = false};
	int rc = api_show(&call->m, in->instance_id, in->api_id, &api);

	return rc ? rc : carry(call, &doc_apic_api, &api, &doc_apic_v1_api, out);
}

int apic_v1_list_apis_v1(struct api_call *call, const struct apic_v1_list_apis_v1_in *in, struct apic_v1_api_list *out)
{
	struct apic_list_apis_in filter = {
		.project_id = in->project_id,
		.instance_id = in->instance_id,
		.offset = in->offset,
		.has_offset = in->has_offset,
		.limit = in->limit,
		.has_limit = in->has_limit,
		.id = in->id,
		.name = in->name,
		.group_id = in->group_id,
		.req_protocol = in->req_protocol,
		.req_method = in->req_method,
		.req_uri = in->req_uri,
		.auth_type = in->auth_type,
		.env_id = in->env_id,
		.type = in->type,
		.has_type = in->has_type,
		.precise_search = in->precise_search,
	};
	struct apic_api_list list = {.size = 0};
	int rc = api_list(&call->m, &filter, &list);

	return rc ? rc : carry(call, &doc_apic_api_list, &list, &doc_apic_v1_api_list, out);
}

int apic_v1_batch_delete_apis_v1(struct api_call *call, const struct apic_v1_batch_delete_apis_v1_in *in,
				 struct apic_v1_api_batch_failure_list *out)
{
	struct apic_api_batch_publish_result result = {.success = {NULL, 0}};
	struct str group_id = in->body ? in->body->group_id : STR_NONE;
	struct str_array apis = in->body ? in->body->apis : (struct str_array){NULL, 0};
	int rc = api_delete_batch(&call->m, in->instance_id, group_id, &apis, &result);

	if (rc == 0)
		rc = carry(call, &doc_apic_api_batch_publish_result, &result, &doc_apic_v1_api_batch_failure_list, out);
	if (rc == 0)
		SET(out, success_count, (int64_t)result.success.n);
	return rc;
}

int apic_v1_batch_publish_or_offline_api_v1(struct api_call *call,
					    const struct apic_v1_batch_publish_or_offline_api_v1_in *in,
					    struct apic_v1_api_batch_publish_result *out)
{
	struct apic_api_batch_publish batch = {.env_id = STR_NONE};
	struct apic_api_batch_publish_result result = {.success = {NULL, 0}};
	int rc = carry(call, &doc_apic_v1_api_batch_publish, in->body, &doc_apic_api_batch_publish, &batch);

	if (rc == 0)
		rc = api_publish_batch(&call->m, in->instance_id, str_is(in->action, "online"), &batch, &result);
	if (rc)
		return rc;
	return carry(call, &doc_apic_api_batch_publish_result, &result, &doc_apic_v1_api_batch_publish_result, out);
}

int apic_v1_debug_api_v1(struct api_call *call, const struct apic_v1_debug_api_v1_in *in,
			 struct apic_v1_api_debug_result *out)
{
	struct apic_api_debug request = {.mode = STR_NONE};
	struct apic_api_debug_result result = {.latency = 0};
	int rc = carry(call, &doc_apic_v1_api_debug, in->body, &doc_apic_api_debug, &request);

	if (rc == 0)
		rc = api_debug(&call->m, in->instance_id, in->api_id, &request, &result);
	return rc ? rc : carry(call, &doc_apic_api_debug_result, &result, &doc_apic_v1_api_debug_result, out);
}
