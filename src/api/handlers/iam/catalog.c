/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_iam.h"
#include "model/iam/account.h"
#include "model/iam/catalog.h"

int iam_keystone_list_regions(struct api_call *call, const struct iam_keystone_list_regions_in *in,
			      struct iam_region_list *out)
{
	out->links = iam_links_self(&call->m, "/v3/regions");
	iam_region_list_all(&call->m, &out->regions);
	return 0;
}

int iam_keystone_show_region(struct api_call *call, const struct iam_keystone_show_region_in *in,
			     struct iam_region_body *out)
{
	out->region = ARENA_NEW(call->m.arena, struct iam_region);
	return iam_region_show(&call->m, in->region_id, out->region);
}

int iam_keystone_list_services(struct api_call *call, const struct iam_keystone_list_services_in *in,
			       struct iam_service_list *out)
{
	out->links = iam_links_self(&call->m, "/v3/services");
	iam_service_list_all(&call->m, in->type, &out->services);
	return 0;
}

int iam_keystone_show_service(struct api_call *call, const struct iam_keystone_show_service_in *in,
			      struct iam_service_body *out)
{
	out->service = ARENA_NEW(call->m.arena, struct iam_service);
	return iam_service_show(&call->m, in->service_id, out->service);
}

int iam_keystone_list_endpoints(struct api_call *call, const struct iam_keystone_list_endpoints_in *in,
				struct iam_endpoint_list *out)
{
	out->links = iam_links_self(&call->m, "/v3/endpoints");
	iam_endpoint_list_all(&call->m, in->interface, in->service_id, &out->endpoints);
	return 0;
}

int iam_keystone_show_endpoint(struct api_call *call, const struct iam_keystone_show_endpoint_in *in,
			       struct iam_endpoint_body *out)
{
	out->endpoint = ARENA_NEW(call->m.arena, struct iam_endpoint);
	return iam_endpoint_show(&call->m, in->endpoint_id, out->endpoint);
}

int iam_keystone_show_catalog(struct api_call *call, const struct iam_keystone_show_catalog_in *in,
			      struct iam_token_catalog_list *out)
{
	out->links = iam_links_self(&call->m, "/v3/auth/catalog");
	iam_catalog_for_token(&call->m, call->m.who->project_id, &out->catalog);
	return 0;
}

int iam_keystone_list_auth_domains(struct api_call *call, const struct iam_keystone_list_auth_domains_in *in,
				   struct iam_domain_list *out)
{
	const struct identity *who = call->m.who;
	struct iam_domain *domain = ARENA_NEW(call->m.arena, struct iam_domain);

	domain->id = who->domain_id;
	domain->name = who->domain_name;
	domain->description = STR("");
	domain->enabled = domain->has_enabled = true;
	domain->links = iam_links_self(&call->m, "/v3/domains/%.*s", STR_FMT(who->domain_id));
	out->domains.v = domain;
	out->domains.n = 1;
	out->links = iam_links_self(&call->m, "/v3/auth/domains");
	return 0;
}

int iam_keystone_show_version(struct api_call *call, const struct iam_keystone_show_version_in *in,
			      struct iam_version_body *out)
{
	struct iam_version *v = ARENA_NEW(call->m.arena, struct iam_version);
	struct iam_version_links *link = ARENA_NEW(call->m.arena, struct iam_version_links);
	struct iam_version_mediatypes *type = ARENA_NEW(call->m.arena, struct iam_version_mediatypes);

	link->rel = STR("self");
	link->href = iam_links_self(&call->m, "/v3/")->self;
	type->base = STR("application/json");
	type->type = STR("application/vnd.openstack.identity-v3+json");
	v->id = STR("v3.6");
	v->status = STR("stable");
	v->updated = STR("2016-04-04T00:00:00Z");
	v->links.v = link;
	v->media_types.v = type;
	v->links.n = v->media_types.n = 1;
	out->version = v;
	return 0;
}
