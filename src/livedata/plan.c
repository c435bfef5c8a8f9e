/* SPDX-License-Identifier: Apache-2.0 */
#include "livedata/plan.h"

#include "base/map.h"
#include "base/mem.h"
#include "json/json.h"
#include "sign/sign.h"

#include <stdlib.h>

#define MAX_SCRIPTS 100
#define MAX_DECLARED 200
#define PLAN_BYTES (64u << 20)
/* What the control plane seals passwords for; see sign_seal(). */
#define SEAL_PURPOSE "datasource.password"

static struct str member(const struct json *j, const char *name)
{
	return json_str(json_get(j, name));
}

static bool flag(const struct json *script, const struct json *def, const char *name)
{
	const struct json *own = json_get(script, name);

	return json_bool(own ? own : json_get(def, name));
}

/* content with the sealed password opened into it. */
static int open_content(struct arena *a, const struct json *doc, const struct sign_keyring *keys,
                        const struct json **ret, struct err *err)
{
	const struct json *content = json_get(doc, "content"), *value;
	struct str sealed = member(doc, "sealed_password"), password, name;
	struct json *copy;

	*ret = content;
	if (json_kind(content) != JSON_OBJECT)
		return err_set(err, ERR_APPIA_0500, "the data source has no content");
	if (!sealed.n)
		return 0;
	if (!keys || !sign_open(a, keys, SEAL_PURPOSE, sealed, &password))
		return err_set(err, ERR_APPIA_0500, "the password of the data source cannot be opened");
	copy = json_new_object(a);
	for (size_t i = 0; json_member(content, i, &name, &value); i++)
		if (!str_is(name, "password"))
			json_set(copy, name, value);
	json_set(copy, STR("password"), json_new_str(a, password));
	*ret = copy;
	return 0;
}

static int add_source(struct livedata_plan *plan, struct livedata_script *s, livedata_find_source *find, void *ctx,
                      const struct sign_keyring *keys, struct err *err)
{
	const struct json *doc = NULL;
	struct livedata_source *source = &s->source;

	if (!s->datasource_id.n || !find(ctx, s->datasource_id, plan->a, &doc, &source->bytes))
		return err_set(err, ERR_APPIA_0500, "the data source of object %.*s does not exist",
			       STR_FMT(s->object_name));
	source->config.id = s->datasource_id;
	source->config.type = arena_str(plan->a, member(doc, "type"));
	/* Equal bytes, equal version: the pool drops connections made from others. */
	source->config.version = (int64_t)(map_hash(source->bytes) >> 1);
	int code = datasource_driver_get(source->config.type.p ? source->config.type : STR(""), &source->driver, err);

	return code ? code : open_content(plan->a, doc, keys, &source->config.content, err);
}

static int add_script(struct livedata_plan *plan, const struct json *def, const struct json *j,
                      livedata_find_source *find, void *ctx, const struct sign_keyring *keys, struct err *err)
{
	struct livedata_script *s = &plan->scripts[plan->n_scripts++];

	s->object_name = member(j, "object_name");
	s->content = member(j, "content");
	s->datasource_id = member(j, "datasource_id");
	s->procedure = str_is(member(j, "type"), "SP");
	s->paging = flag(j, def, "enable_result_paging");
	s->prepared = flag(j, def, "enable_preparestatement");
	if (!s->content.n)
		return err_set(err, ERR_APPIA_0500, "a script is empty");
	if (plan->function)
		return 0;
	if (!s->object_name.n)
		return err_set(err, ERR_APPIA_0500, "a script has no object name");
	int code = add_source(plan, s, find, ctx, keys, err);

	if (!code)
		code = livedata_template_parse(s->content, s->source.driver->dialect, s->prepared, plan->a,
					       &s->template, err);
	return code;
}

static int decode(struct livedata_plan *plan, const struct json *def, livedata_find_source *find, void *ctx,
                  const struct sign_keyring *keys, struct err *err)
{
	const struct json *params = json_get(def, "parameters"), *scripts = json_get(def, "scripts");
	struct str content = member(def, "content_type");
	int code = 0;

	plan->id = member(def, "id");
	plan->function = str_is(member(def, "type"), "function");
	plan->return_format = json_bool(json_get(def, "return_format"));
	plan->content = content.p && str_eq_nocase(content, STR("xml")) ? LIVEDATA_XML :
	                content.p && str_eq_nocase(content, STR("stream")) ? LIVEDATA_STREAM : LIVEDATA_JSON;
	plan->app_config = json_get(def, "app_config");
	if (json_len(scripts) == 0 || json_len(scripts) > MAX_SCRIPTS || json_len(params) > MAX_DECLARED)
		return err_set(err, ERR_APPIA_0500, "the backend has no script, or too many");
	plan->params = ARENA_ARRAY(plan->a, struct livedata_param, json_len(params) + 1);
	for (size_t i = 0; i < json_len(params); i++) {
		const struct json *p = json_at(params, i);

		plan->params[plan->n_params++] = (struct livedata_param){member(p, "name"), member(p, "in"),
			member(p, "default"), json_bool(json_get(p, "required"))};
	}
	plan->scripts = ARENA_ARRAY(plan->a, struct livedata_script, json_len(scripts));
	for (size_t i = 0; i < json_len(scripts) && !code; i++)
		code = add_script(plan, def, json_at(scripts, i), find, ctx, keys, err);
	return code;
}

int livedata_plan_new(struct str definition, livedata_find_source *find, void *ctx, const struct sign_keyring *keys,
                      bool pooled, struct livedata_plan **ret, struct err *err)
{
	struct livedata_plan *plan = mem_zalloc(sizeof(*plan));
	const struct json *def;
	char why[160];

	atomic_init(&plan->refs, 1);
	plan->a = arena_new(PLAN_BYTES);
	plan->bytes = arena_str(plan->a, definition);
	plan->pooled = pooled;
	int code = json_parse(plan->a, plan->bytes, &def, why, sizeof(why)) ?
	               decode(plan, def, find, ctx, keys, err) :
	               err_set(err, ERR_APPIA_0500, "the definition is damaged: %s", why);

	if (code) {
		livedata_plan_unref(plan);
		return code;
	}
	*ret = plan;
	return 0;
}

struct livedata_plan *livedata_plan_ref(struct livedata_plan *plan)
{
	atomic_fetch_add(&plan->refs, 1);
	return plan;
}

void livedata_plan_unref(struct livedata_plan *plan)
{
	if (!plan || atomic_fetch_sub(&plan->refs, 1) != 1)
		return;
	arena_free(plan->a);
	free(plan);
}
