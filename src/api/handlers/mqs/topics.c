/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_mqs.h"
#include "model/mqs/topic.h"
#include "model/mqs/topic_file.h"
#include "model/mqs/usage.h"

int mqs_list_mqs_instance_topics(struct api_call *call, const struct mqs_list_mqs_instance_topics_in *in,
				 struct mqs_topic_list *out)
{
	return topic_list(&call->m, in, out);
}

int mqs_create_mqs_instance_topic(struct api_call *call, const struct mqs_create_mqs_instance_topic_in *in,
				  struct mqs_topic_name *out)
{
	out->name = in->body->name;
	return topic_create(&call->m, in->instance_id, in->body);
}

int mqs_update_mqs_instance_topic(struct api_call *call, const struct mqs_update_mqs_instance_topic_in *in)
{
	return topic_update(&call->m, in->instance_id, &in->body->topics);
}

/* The reference separates names by a full-width comma; both are taken. */
static struct str plain_commas(struct arena *a, struct str names)
{
	char *out = arena_cstr(a, names);
	size_t n = 0;

	for (size_t i = 0; i < names.n; n++) {
		bool wide = str_starts(str_sub(names, i, names.n), STR("\xef\xbc\x8c"));

		out[n] = wide ? ',' : names.p[i];
		i += wide ? 3 : 1;
	}
	return (struct str){out, n};
}

int mqs_delete_mqs_instance_topic(struct api_call *call, const struct mqs_delete_mqs_instance_topic_in *in,
				  struct mqs_topic_deletion_list *out)
{
	struct str_array names = {ARENA_ARRAY(call->m.arena, struct str, in->name.n + 1), 0};
	struct str rest = plain_commas(call->m.arena, in->name);

	while (rest.p) {
		struct str name = str_trim(str_cut(&rest, ','));

		if (name.n)
			names.v[names.n++] = name;
	}
	return topic_delete(&call->m, in->instance_id, &names, out);
}

int mqs_batch_delete_mqs_instance_topic(struct api_call *call, const struct mqs_batch_delete_mqs_instance_topic_in *in,
					struct mqs_topic_deletion_list *out)
{
	return topic_delete(&call->m, in->instance_id, &in->body->topics, out);
}

int mqs_import_mqs_instance_topic(struct api_call *call, const struct mqs_import_mqs_instance_topic_in *in)
{
	return topic_import(&call->m, in->instance_id, in->upload_file_name, str_is(in->mode, "Merge"), in->prefix);
}

int mqs_export_mqs_instance_topic(struct api_call *call, const struct mqs_export_mqs_instance_topic_in *in)
{
	int rc = topic_export(&call->m, in->instance_id, in->name, &call->reply->body);

	if (rc) {
		buf_reset(&call->reply->body);
		return rc;
	}
	call->raw = true;
	call->reply->content_type = STR("application/octet-stream");
	httpd_reply_header(call->reply, STR("Content-Disposition"), STR("attachment; filename=\"topics.json\""));
	return 0;
}

int mqs_list_mqs_instance_topic_disk_usage(struct api_call *call,
					   const struct mqs_list_mqs_instance_topic_disk_usage_in *in,
					   struct mqs_usage *out)
{
	return usage_list(&call->m, in, out);
}
