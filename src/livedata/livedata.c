/* SPDX-License-Identifier: Apache-2.0 */
#include "livedata/livedata.h"

#include "base/map.h"
#include "base/mem.h"
#include "json/json.h"
#include "livedata/run.h"
#include "published/published.h"

#include <pthread.h>
#include <stdlib.h>

#define LOG_BYTES (128u << 10)
/* Plans of back ends that were deleted go when there are more than this many. */
#define MAX_PLANS 4096
#define MAX_VIEWS 64

struct livedata {
	struct livedata_options options;
	pthread_mutex_t lock;
	struct pub *pub; /* NULL until something is published */
	struct pub_view *views[MAX_VIEWS]; /* idle snapshots, reset */
	size_t n_views;
	struct map *plans; /* id -> struct livedata_plan */
};

struct livedata *livedata_new(const struct livedata_options *options)
{
	struct livedata *ld = mem_zalloc(sizeof(*ld));

	ld->options = *options;
	ld->plans = map_new();
	pthread_mutex_init(&ld->lock, NULL);
	return ld;
}

static void forget_plans(struct livedata *ld)
{
	struct str key;
	void *value;
	size_t at = 0;

	while (map_next(ld->plans, &at, &key, &value))
		livedata_plan_unref(value);
	map_free(ld->plans);
	ld->plans = map_new();
}

void livedata_free(struct livedata *ld)
{
	if (!ld)
		return;
	forget_plans(ld);
	map_free(ld->plans);
	while (ld->n_views)
		pub_view_end(&ld->views[--ld->n_views]);
	if (ld->pub)
		pub_close(ld->pub);
	pthread_mutex_destroy(&ld->lock);
	free(ld);
}

/* A snapshot of now. */
static int view_get(struct livedata *ld, struct pub_view **ret, struct err *err)
{
	struct pub_view *view = NULL;
	int code = 0;

	pthread_mutex_lock(&ld->lock);
	if (!ld->pub)
		code = ld->options.published_dir ?
		           pub_open(ld->options.published_dir, ld->options.published_map_bytes, false, &ld->pub, err) :
		           err_set(err, ERR_APPIA_0503, NULL);
	if (!code && ld->n_views)
		view = ld->views[--ld->n_views];
	pthread_mutex_unlock(&ld->lock);
	if (code)
		return code;
	if (!view)
		return pub_view_begin(ld->pub, ret, err);
	code = pub_view_renew(view, err);
	if (code)
		pub_view_end(&view);
	else
		*ret = view;
	return code;
}

static void view_put(struct livedata *ld, struct pub_view *view)
{
	pub_view_reset(view);
	pthread_mutex_lock(&ld->lock);
	if (ld->n_views < MAX_VIEWS) {
		ld->views[ld->n_views++] = view;
		view = NULL;
	}
	pthread_mutex_unlock(&ld->lock);
	if (view)
		pub_view_end(&view);
}

static struct str published(struct pub_view *view, const char *kind, struct str id)
{
	char key[PUB_KEY_MAX + 1];

	return pub_get(view, pub_key(key, kind, id, STR_NONE, STR_NONE));
}

static bool find_published(void *ctx, struct str id, struct arena *a, const struct json **ret, struct str *ret_bytes)
{
	struct str bytes = published(ctx, "datasource", id);
	char why[160];

	if (!bytes.p)
		return false;
	*ret_bytes = arena_str(a, bytes);
	return json_parse(a, *ret_bytes, ret, why, sizeof(why));
}

/* True when the plan was made from exactly what is published now. */
static bool current(const struct livedata_plan *plan, struct pub_view *view, struct str bytes)
{
	if (!str_eq(plan->bytes, bytes))
		return false;
	for (size_t i = 0; !plan->function && i < plan->n_scripts; i++) {
		struct str source = published(view, "datasource", plan->scripts[i].datasource_id);

		if (!source.p || !str_eq(source, plan->scripts[i].source.bytes))
			return false;
	}
	return true;
}

static void remember(struct livedata *ld, struct livedata_plan *plan, struct str id)
{
	/* The map's key must live as long as the entry: the plan holds it. */
	plan->id = arena_str(plan->a, id);
	pthread_mutex_lock(&ld->lock);
	if (map_count(ld->plans) >= MAX_PLANS)
		forget_plans(ld);
	livedata_plan_unref(map_del(ld->plans, plan->id));
	map_put(ld->plans, plan->id, livedata_plan_ref(plan));
	pthread_mutex_unlock(&ld->lock);
}

static int plan_get(struct livedata *ld, struct str id, struct livedata_plan **ret, struct err *err)
{
	struct pub_view *view;
	int code = view_get(ld, &view, err);

	if (code)
		return code;
	struct str bytes = published(view, "livedata", id);

	pthread_mutex_lock(&ld->lock);
	struct livedata_plan *plan = map_get(ld->plans, id);

	if (plan)
		livedata_plan_ref(plan);
	pthread_mutex_unlock(&ld->lock);
	if (!bytes.p) {
		code = err_set_text(err, ERR_APPIA_0404, "The custom backend does not exist.");
	} else if (plan && current(plan, view, bytes)) {
		*ret = plan;
		plan = NULL;
	} else {
		code = livedata_plan_new(bytes, find_published, view, ld->options.keys, true, ret, err);
		if (!code)
			remember(ld, *ret, id);
	}
	livedata_plan_unref(plan);
	view_put(ld, view);
	return code;
}

static int run_plan(struct livedata *ld, const struct livedata_plan *plan, const struct livedata_request *req,
                    struct livedata_reply *reply, struct err *err)
{
	struct livedata_run run = {.options = &ld->options, .plan = plan, .req = req, .reply = reply};

	buf_init(&run.log, LOG_BYTES);
	int code = livedata_params_init(&run.params, plan, req, err);

	if (!code)
		code = plan->function ? livedata_run_function(&run, err) : livedata_run_data(&run, err);
	reply->log = arena_str(req->arena, buf_view(&run.log));
	buf_done(&run.log);
	return code;
}

int livedata_call(struct livedata *ld, struct str id, const struct livedata_request *req, struct livedata_reply *ret,
                  struct err *err)
{
	struct livedata_plan *plan;
	int code = plan_get(ld, id, &plan, err);

	if (code)
		return code;
	code = run_plan(ld, plan, req, ret, err);
	livedata_plan_unref(plan);
	return code;
}

/* Looks through an array of documents; ctx is the tree. */
static bool find_given(void *ctx, struct str id, struct arena *a, const struct json **ret, struct str *ret_bytes)
{
	const struct json *list = ctx;

	for (size_t i = 0; i < json_len(list); i++) {
		if (str_eq(json_str(json_get(json_at(list, i), "id")), id)) {
			*ret = json_at(list, i);
			*ret_bytes = STR_NONE;
			return true;
		}
	}
	return false;
}

static int plan_of(const struct json *definition, const struct json *datasources, struct livedata_plan **ret,
                   struct err *err)
{
	struct buf text;

	buf_init(&text, 32 << 20);
	json_print(&text, definition);
	int code =
		livedata_plan_new(buf_view(&text), find_given, (void *)(uintptr_t)datasources, NULL, false, ret, err);

	buf_done(&text);
	return code;
}

int livedata_test(struct livedata *ld, const struct json *definition, const struct json *datasources,
                  const struct livedata_request *req, struct livedata_reply *ret, struct err *err)
{
	struct livedata_plan *plan;
	int code = plan_of(definition, datasources, &plan, err);

	if (code)
		return code;
	code = run_plan(ld, plan, req, ret, err);
	livedata_plan_unref(plan);
	return code;
}

int livedata_check(const struct json *definition, const struct json *datasources, struct json *warnings,
		   struct arena *a, struct err *err)
{
	struct livedata_plan *plan;
	int code = plan_of(definition, datasources, &plan, err);

	if (code)
		return code;
	for (size_t i = 0; i < plan->n_scripts && !code; i++) {
		const struct str *names;
		size_t n;

		if (plan->function) {
			code = script_check(plan->scripts[i].content, err);
			continue;
		}
		n = livedata_template_warnings(plan->scripts[i].template, &names);
		for (size_t k = 0; k < n; k++)
			json_push(warnings, json_new_str(a, names[k]));
	}
	livedata_plan_unref(plan);
	return code;
}
