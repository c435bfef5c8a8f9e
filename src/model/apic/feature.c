/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/feature.h"

#include "model/apic/list.h"
#include "sign/sign.h"

/* Since when the instance is as it is: nothing of this has been changed after it was made. */
static int instance_made(struct model *m, struct str instance_id, struct str *ret)
{
	int64_t ms = 0;
	int rc = store_get_int(m->tx, &m->err, &ms, NULL, "SELECT created_ms FROM instance WHERE id = ?", "s",
			       instance_id);

	*ret = api__time(m, ms);
	return rc;
}

int apic_feature_list_by(struct model *m, const struct apic_list_features_in *in, struct apic_feature_list *ret)
{
	struct apic_page page = APIC_PAGE(in);
	struct str since;
	int rc = instance_made(m, in->instance_id, &since);

	ret->features.v = ARENA_ARRAY(m->arena, struct apic_feature, (size_t)page.limit);
	for (int64_t i = page.offset; i < (int64_t)apic_n_features && ret->features.n < (size_t)page.limit; i++) {
		const struct apic_feature_row *row = &apic_features[i];
		struct apic_feature *f = &ret->features.v[ret->features.n++];
		struct str seed = arena_fmt(m->arena, "%.*s/%s", STR_FMT(in->instance_id), row->name);

		/* Nobody ever stored it, so its id is made of what it is. */
		f->id = str_sub(sign_sha256_hex(m->arena, seed), 0, 32);
		f->instance_id = in->instance_id;
		f->name = str_of(row->name);
		f->config = str_of(row->config);
		f->update_time = since;
		SET(f, enable, row->supported);
	}
	SET(ret, total, (int64_t)apic_n_features);
	SET(ret, size, (int64_t)ret->features.n);
	return rc;
}

/* count: SQL with the instance as its parameter; NULL: the limit is of something smaller than an instance. */
static const struct limit {
	const char *name;
	int value;
	const char *remark, *count;
} limits[] = {
	{"API_NUM_LIMIT", APIC_MAX_APIS, "APIs", "SELECT COUNT(*) FROM api WHERE instance_id = ?"},
	{"APP_NUM_LIMIT", APP_MAX, "apps", "SELECT COUNT(*) FROM app WHERE instance_id = ?"},
	{"APIGROUP_NUM_LIMIT", APIC_MAX_GROUPS, "API groups", "SELECT COUNT(*) FROM api_group WHERE instance_id = ?"},
	{"ENVIRONMENT_NUM_LIMIT", APIC_MAX_ENVS, "environments", "SELECT COUNT(*) FROM api_env WHERE instance_id = ?"},
	{"VARIABLE_NUM_LIMIT", APIC_MAX_VARIABLES, "environment variables of a group in an environment", NULL},
	{"APIGROUP_DOMAIN_NUM_LIMIT", APIC_MAX_DOMAINS, "domain names of a group", NULL},
	{"API_VERSION_NUM_LIMIT", APIC_MAX_VERSIONS, "versions of an API in an environment", NULL},
	{"API_PARAM_NUM_LIMIT", API_MAX_PARAMS, "parameters of an API", NULL},
	{"API_NUM_LIMIT_PER_GROUP", APIC_MAX_APIS_PER_GROUP, "APIs of a group", NULL},
	{"API_TAG_NUM_LIMIT", APIC_MAX_TAGS, "tags of an API", NULL},
	{"APP_CODE_NUM_LIMIT", APIC_MAX_APP_CODES, "AppCodes of an app", NULL},
};

#define N_LIMITS ((int64_t)(sizeof(limits) / sizeof(limits[0])))

int apic_config_list_by(struct model *m, const struct apic_list_project_configs_in *in, struct apic_config_list *ret)
{
	struct apic_page page = APIC_PAGE(in);
	struct str since;
	int rc = instance_made(m, in->instance_id, &since);

	ret->configs.v = ARENA_ARRAY(m->arena, struct apic_config, (size_t)page.limit);
	for (int64_t i = page.offset; rc == 0 && i < N_LIMITS && ret->configs.n < (size_t)page.limit; i++) {
		struct apic_config *c = &ret->configs.v[ret->configs.n++];

		c->config_id = arena_fmt(m->arena, "%d", (int)i + 1);
		c->config_name = str_of(limits[i].name);
		c->config_value = arena_fmt(m->arena, "%d", limits[i].value);
		c->config_time = since;
		c->remark = arena_fmt(m->arena, "Largest number of %s", limits[i].remark);
		SET(c, used, 0);
		if (limits[i].count)
			rc = store_get_int(m->tx, &m->err, &c->used, NULL, limits[i].count, "s", in->instance_id);
	}
	SET(ret, total, N_LIMITS);
	SET(ret, size, (int64_t)ret->configs.n);
	return rc;
}
