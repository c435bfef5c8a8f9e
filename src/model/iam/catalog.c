/* SPDX-License-Identifier: Apache-2.0 */
#include "model/iam/catalog.h"

#include "base/mem.h"
#include "model/iam/account.h"
#include "sign/sign.h"

struct service {
	const char *name, *type, *description;
	const char *path; /* behind the management address; %s stands for the project */
};

/* clang-format off */
static const struct service services[] = {
	{"iam", "identity", "Identity and access management", "/v3"},
	{"roma", "roma", "Application and data integration", "/v2/%s"},
	{"apic", "apic", "Service integration", "/v2/%s/apic"},
	{"apig", "apig", "API gateway", "/v2/%s/apigw"},
	{"fdi", "fdi", "Data integration", "/v2/%s/fdi"},
	{"mqs", "mqs", "Message integration", "/v2/%s/mqs"},
	{"link", "link", "Device integration", "/v2/%s/link"},
};
/* clang-format on */

/* Ids follow from the names, so that they are the same everywhere and always. */
static struct str id_of(struct model *m, const char *kind, const char *name)
{
	struct str hex = sign_sha256_hex(m->arena, arena_fmt(m->arena, "appia:%s:%s", kind, name));

	return str_sub(hex, 0, 32);
}

static struct str url_of(struct model *m, const struct service *s, struct str project)
{
	struct str path = str_of(s->path), rest = path;
	struct str before = str_cut(&rest, '%');

	if (!rest.p)
		return arena_fmt(m->arena, "%.*s%.*s", STR_FMT(m->settings->management_url), STR_FMT(path));
	rest = str_sub(rest, 1, rest.n);
	return arena_fmt(m->arena, "%.*s%.*s%.*s%.*s", STR_FMT(m->settings->management_url), STR_FMT(before),
			 STR_FMT(project), STR_FMT(rest));
}

static bool in_project(const struct service *s)
{
	return strchr(s->path, '%');
}

void iam_catalog_for_token(struct model *m, struct str project_id, struct iam_token_catalog_array *ret)
{
	ret->v = ARENA_ARRAY(m->arena, struct iam_token_catalog, ARRAY_LEN(services));
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		const struct service *s = &services[i];

		if (in_project(s) && !project_id.p)
			continue;
		struct iam_token_catalog *c = &ret->v[ret->n++];
		struct iam_token_endpoint *e = ARENA_NEW(m->arena, struct iam_token_endpoint);

		e->id = id_of(m, "endpoint", s->name);
		e->interface = STR("public");
		e->region = in_project(s) ? m->settings->region : STR("*");
		e->region_id = e->region;
		e->url = url_of(m, s, project_id);
		c->id = id_of(m, "service", s->name);
		c->name = str_of(s->name);
		c->type = str_of(s->type);
		c->endpoints.v = e;
		c->endpoints.n = 1;
	}
}

static void describe_region(struct model *m, struct iam_region *r)
{
	r->id = m->settings->region;
	r->type = STR("public");
	r->description = STR("");
	r->locales = ARENA_NEW(m->arena, struct iam_region_locales);
	r->locales->en_us = r->id;
	r->locales->zh_cn = r->id;
	r->links = iam_links_self(m, "/v3/regions/%.*s", STR_FMT(r->id));
}

static void describe_service(struct model *m, const struct service *s, struct iam_service *ret)
{
	ret->id = id_of(m, "service", s->name);
	ret->name = str_of(s->name);
	ret->type = str_of(s->type);
	ret->description = str_of(s->description);
	ret->enabled = ret->has_enabled = true;
	ret->links = iam_links_self(m, "/v3/services/%.*s", STR_FMT(ret->id));
}

static void describe_endpoint(struct model *m, const struct service *s, struct iam_endpoint *ret)
{
	ret->id = id_of(m, "endpoint", s->name);
	ret->service_id = id_of(m, "service", s->name);
	ret->interface = STR("public");
	ret->region = in_project(s) ? m->settings->region : STR("*");
	ret->region_id = ret->region;
	ret->url = url_of(m, s, STR("$(tenant_id)s"));
	ret->enabled = ret->has_enabled = true;
	ret->links = iam_links_self(m, "/v3/endpoints/%.*s", STR_FMT(ret->id));
}

void iam_region_list_all(struct model *m, struct iam_region_array *ret)
{
	ret->v = ARENA_NEW(m->arena, struct iam_region);
	ret->n = 1;
	describe_region(m, ret->v);
}

void iam_service_list_all(struct model *m, struct str type, struct iam_service_array *ret)
{
	ret->v = ARENA_ARRAY(m->arena, struct iam_service, ARRAY_LEN(services));
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		if (!type.p || str_is(type, services[i].type))
			describe_service(m, &services[i], &ret->v[ret->n++]);
}

void iam_endpoint_list_all(struct model *m, struct str interface, struct str service_id, struct iam_endpoint_array *ret)
{
	ret->v = ARENA_ARRAY(m->arena, struct iam_endpoint, ARRAY_LEN(services));
	if (interface.p && !str_is(interface, "public"))
		return;
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		if (!service_id.p || str_eq(service_id, id_of(m, "service", services[i].name)))
			describe_endpoint(m, &services[i], &ret->v[ret->n++]);
}

static int missing(struct model *m, const char *kind, struct str id)
{
	return err_set(&m->err, ERR_IAM_0004, "%s" ERR_NEXT "%.*s", kind, STR_FMT(id));
}

int iam_region_show(struct model *m, struct str id, struct iam_region *ret)
{
	if (!str_eq(id, m->settings->region))
		return missing(m, "region", id);
	describe_region(m, ret);
	return 0;
}

int iam_service_show(struct model *m, struct str id, struct iam_service *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		if (str_eq(id, id_of(m, "service", services[i].name))) {
			describe_service(m, &services[i], ret);
			return 0;
		}
	return missing(m, "service", id);
}

int iam_endpoint_show(struct model *m, struct str id, struct iam_endpoint *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		if (str_eq(id, id_of(m, "endpoint", services[i].name))) {
			describe_endpoint(m, &services[i], ret);
			return 0;
		}
	return missing(m, "endpoint", id);
}
