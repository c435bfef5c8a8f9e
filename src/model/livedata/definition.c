/* SPDX-License-Identifier: Apache-2.0 */
#include "model/livedata/definition.h"

#include "base/enc.h"
#include "json/json.h"

static void put(struct buf *out, const char *before, struct str value)
{
	if (!value.p)
		return;
	buf_cstr(out, before);
	json_print_str(out, value);
}

static void put_flag(struct buf *out, const char *before, bool value)
{
	buf_cstr(out, before);
	buf_cstr(out, value ? "true" : "false");
}

static void put_parameters(struct buf *out, const struct apic_livedata_parameter_array *list)
{
	buf_cstr(out, ",\"parameters\":[");
	for (size_t i = 0; i < list->n; i++) {
		const struct apic_livedata_parameter *p = &list->v[i];

		put(out, i ? ",{\"name\":" : "{\"name\":", p->name);
		put(out, ",\"in\":", p->in);
		put(out, ",\"default\":", p->default_);
		put_flag(out, ",\"required\":", p->required);
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

/* Scripts were decoded when they were saved; one that cannot be now is passed as it is. */
static void put_scripts(struct model *m, struct buf *out, const struct apic_livedata_api *api)
{
	bool function = str_is(api->type, "function");

	buf_cstr(out, ",\"scripts\":[");
	for (size_t i = 0; i < api->scripts.n; i++) {
		const struct apic_livedata_script *s = &api->scripts.v[i];
		struct str text;

		put(out, i ? ",{\"object_name\":" : "{\"object_name\":", s->object_name);
		put(out, ",\"content\":", enc_unbase64(m->arena, s->content, &text) ? text : s->content);
		if (!function) {
			put(out, ",\"type\":", s->type);
			put(out, ",\"datasource_id\":", s->ds_id);
			put_flag(out, ",\"enable_result_paging\":", s->enable_result_paging);
			put_flag(out, ",\"enable_preparestatement\":", s->enable_preparestatement);
		}
		buf_char(out, '}');
	}
	buf_char(out, ']');
}

int livedata_definition_encode(struct model *m, const struct livedata_deployed *in, struct buf *out)
{
	const struct apic_livedata_api *api = in->api;

	put(out, "{\"id\":", in->id);
	put(out, ",\"name\":", api->name);
	put(out, ",\"project_id\":", in->project_id);
	put(out, ",\"app_id\":", api->roma_app_id);
	put(out, ",\"type\":", api->type);
	put(out, ",\"content_type\":", api->content_type);
	put_flag(out, ",\"return_format\":", api->return_format);
	put(out, ",\"method\":", api->method);
	put(out, ",\"path\":", api->path);
	put_parameters(out, &api->parameters);
	put_scripts(m, out, api);
	buf_char(out, '}');
	return out->failed ? err_set(&m->err, ERR_APPIA_0500, "a published value is too large") : 0;
}
