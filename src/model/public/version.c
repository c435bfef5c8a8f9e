/* SPDX-License-Identifier: Apache-2.0 */
#include "model/public/version.h"

#include "base/mem.h"

static const struct {
	const char *id, *status, *updated;
} versions[] = {
	{"v1", "SUPPORTED", "2018-06-28T12:20:21Z"},
	{"v2", "CURRENT", "2020-06-28T12:20:21Z"},
};

static void describe(struct model *m, size_t i, struct public_api_version *v)
{
	v->id = str_of(versions[i].id);
	v->status = str_of(versions[i].status);
	v->updated = str_of(versions[i].updated);
	v->version = STR("");
	v->min_version = STR("");
	v->links = ARENA_NEW(m->arena, struct public_api_version_link);
	v->links->rel = STR("self");
	v->links->href = arena_fmt(m->arena, "%.*s/%s", STR_FMT(m->settings->management_url), versions[i].id);
}

void version_list_all(struct model *m, struct public_api_version_list *ret)
{
	ret->versions.v = ARENA_ARRAY(m->arena, struct public_api_version, ARRAY_LEN(versions));
	for (; ret->versions.n < ARRAY_LEN(versions); ret->versions.n++)
		describe(m, ret->versions.n, &ret->versions.v[ret->versions.n]);
}

int version_show(struct model *m, struct str id, struct public_api_version *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		if (str_is(id, versions[i].id)) {
			describe(m, i, ret);
			return 0;
		}
	return err_set(&m->err, ERR_APPIA_0404, NULL);
}
