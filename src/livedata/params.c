/* SPDX-License-Identifier: Apache-2.0 */
#include "livedata/params.h"

#include "base/enc.h"
#include "json/json.h"

#define MAX_PAIRS 1000

size_t livedata_params_split(struct str text, struct arena *a, struct httpd_pair **ret)
{
	struct httpd_pair *pairs;
	size_t n = 0, max = 1;

	for (size_t i = 0; i < text.n; i++)
		max += text.p[i] == '&';
	if (max > MAX_PAIRS)
		max = MAX_PAIRS;
	pairs = ARENA_ARRAY(a, struct httpd_pair, max);
	while (text.p && n < max) {
		struct str value = str_cut(&text, '&'), name = str_cut(&value, '=');

		if (name.n && enc_unpercent(a, name, true, &pairs[n].name) &&
		    enc_unpercent(a, value.p ? value : STR(""), true, &pairs[n].value))
			n++;
	}
	*ret = pairs;
	return n;
}

static struct str find(const struct httpd_pair *pairs, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq_nocase(pairs[i].name, name))
			return pairs[i].value;
	return STR_NONE;
}

static struct str scalar(struct arena *a, const struct json *j)
{
	struct buf out;

	if (json_kind(j) == JSON_STRING)
		return json_str(j);
	if (json_kind(j) == JSON_NULL)
		return STR_NONE;
	buf_init(&out, 16 << 20);
	json_print(&out, j);
	struct str text = arena_str(a, buf_view(&out));

	buf_done(&out);
	return text;
}

bool livedata_params_get(void *ctx, struct str name, struct str *ret)
{
	const struct livedata_params *p = ctx;
	const struct json *value;
	struct str key;

	for (size_t i = 0; json_kind(p->body) == JSON_OBJECT && json_member(p->body, i, &key, &value); i++) {
		if (str_eq(key, name)) {
			*ret = scalar(p->req->arena, value);
			return true;
		}
	}
	*ret = find(p->form, p->n_form, name);
	if (!ret->p)
		*ret = find(p->req->query, p->req->n_query, name);
	if (!ret->p)
		*ret = find(p->req->headers, p->req->n_headers, name);
	for (size_t i = 0; !ret->p && i < p->plan->n_params; i++) {
		const struct livedata_param *d = &p->plan->params[i];

		if (d->def.n && d->name.p && !str_is(d->in, "Body") && str_eq_nocase(d->name, name))
			*ret = d->def;
	}
	return ret->p != NULL;
}

static bool starts_nocase(struct str s, struct str prefix)
{
	return s.p && s.n >= prefix.n && str_eq_nocase(str_sub(s, 0, prefix.n), prefix);
}

int livedata_params_init(struct livedata_params *ret, const struct livedata_plan *plan,
                         const struct livedata_request *req, struct err *err)
{
	struct str type = find(req->headers, req->n_headers, STR("content-type"));
	char why[160];

	*ret = (struct livedata_params){.plan = plan, .req = req};
	if (starts_nocase(type, STR("application/x-www-form-urlencoded"))) {
		ret->n_form = livedata_params_split(req->body, req->arena, &ret->form);
	} else if (req->body.n) {
		ret->body_is_json = json_parse(req->arena, req->body, &ret->body, why, sizeof(why));
		if (!ret->body_is_json && starts_nocase(type, STR("application/json")))
			return err_set_text(err, ERR_APPIA_0400, "The request body is not valid JSON: %s.", why);
		if (!ret->body_is_json)
			ret->body = NULL;
	}
	for (size_t i = 0; i < plan->n_params; i++) {
		const struct livedata_param *d = &plan->params[i];
		struct str value;

		/* A parameter in the body is named by the content type and stands for the whole body. */
		if (d->required && d->name.p &&
		    (str_is(d->in, "Body") ? req->body.n == 0 : !livedata_params_get(ret, d->name, &value)))
			return err_set(err, ERR_APPIA_0400_PARAMETER_MISSING, "%.*s", STR_FMT(d->name));
	}
	return 0;
}
