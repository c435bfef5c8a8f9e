/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/apic/api_param.h"

#include "base/enc.h"
#include "base/mem.h"

#include <pcre2.h>
#include <stdlib.h>

#define MAX_VALUE 1024 /* of a default or sample */

static bool reserved(struct str name, struct str location)
{
	static const char *const prefixes[] = {"x-apig-", "x-sdk-"};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		struct str prefix = str_of(prefixes[i]);

		if (name.n >= prefix.n && str_eq_nocase(str_sub(name, 0, prefix.n), prefix))
			return true;
	}
	if (str_eq_nocase(name, STR("x-stage")))
		return true;
	return str_is(location, "HEADER") &&
	       (str_eq_nocase(name, STR("Authorization")) || str_eq_nocase(name, STR("X-Auth-Token")));
}

static int check_name(struct model *m, const char *field, struct str name, struct str location)
{
	if (reserved(name, location))
		return api__invalid(m, field, "the name %.*s is reserved", STR_FMT(name));
	return 0;
}

/* Header names are the same whatever their case. */
static bool same(struct str name_a, struct str location_a, struct str name_b, struct str location_b)
{
	if (!str_eq(location_a, location_b))
		return false;
	return str_is(location_a, "HEADER") ? str_eq_nocase(name_a, name_b) : str_eq(name_a, name_b);
}

/* "-12.5": a decimal number as it stands in a request. */
static bool to_number(struct arena *a, struct str s, double *ret)
{
	size_t i = s.n && s.p[0] == '-', digits = 0;

	for (; i < s.n; i++) {
		if (s.p[i] >= '0' && s.p[i] <= '9')
			digits++;
		else if (s.p[i] != '.' || !digits || memchr(s.p, '.', i) || i + 1 == s.n)
			return false;
	}
	if (!digits || s.n > 64)
		return false;
	*ret = strtod(arena_cstr(a, s), NULL);
	return true;
}

static bool compiles(struct str regexp)
{
	int code;
	PCRE2_SIZE at;
	pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)regexp.p, regexp.n, PCRE2_UTF, &code, &at, NULL);
	bool ok = compiled;

	pcre2_code_free(compiled);
	return ok;
}

static int check_bounds(struct model *m, const struct apic_req_param *p)
{
	if (p->has_min_num && p->has_max_num && p->min_num > p->max_num)
		return api__invalid(m, "min_num", "greater than max_num of parameter %.*s", STR_FMT(p->name));
	if ((p->has_min_size && p->min_size < 0) || (p->has_max_size && p->max_size < 0))
		return api__invalid(m, "min_size", "negative length of parameter %.*s", STR_FMT(p->name));
	/* 0 means no limit. */
	if (p->has_min_size && p->has_max_size && p->max_size && p->min_size > p->max_size)
		return api__invalid(m, "min_size", "greater than max_size of parameter %.*s", STR_FMT(p->name));
	if (!str_empty(p->regular) && !compiles(p->regular))
		return api__invalid(m, "regular", "not a regular expression at parameter %.*s", STR_FMT(p->name));
	return 0;
}

/* A value the definition itself names must be one the gateway would accept. */
static int check_value(struct model *m, const char *field, const struct apic_req_param *p, struct str value)
{
	double v;

	if (value.n > MAX_VALUE)
		return api__invalid(m, field, "longer than %d characters at parameter %.*s", MAX_VALUE,
				    STR_FMT(p->name));
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < 0x20 || value.p[i] == 0x7f)
			return api__invalid(m, field, "control character at parameter %.*s", STR_FMT(p->name));
	if (str_is(p->type, "NUMBER")) {
		if (!to_number(m->arena, value, &v))
			return api__invalid(m, field, "not a number at parameter %.*s", STR_FMT(p->name));
		if ((p->has_min_num && v < (double)p->min_num) || (p->has_max_num && v > (double)p->max_num))
			return api__invalid(m, field, "outside min_num..max_num of parameter %.*s", STR_FMT(p->name));
		return 0;
	}
	int64_t length = (int64_t)enc_utf8_len(value);

	if ((p->has_min_size && length < p->min_size) || (p->has_max_size && p->max_size && length > p->max_size))
		return api__invalid(m, field, "length outside min_size..max_size of parameter %.*s", STR_FMT(p->name));
	return 0;
}

static int check_values(struct model *m, const struct apic_req_param *p)
{
	struct str rest = str_empty(p->enumerations) ? STR_NONE : p->enumerations;
	bool listed = str_empty(p->enumerations);
	int rc = 0;

	while (rc == 0 && rest.p) {
		struct str value = str_cut(&rest, ',');

		rc = check_value(m, "enumerations", p, value);
		listed = listed || str_eq(value, p->default_value);
	}
	if (rc || str_empty(p->default_value))
		return rc;
	if (!listed)
		return api__invalid(m, "default_value", "not one of the enumerations of parameter %.*s",
				    STR_FMT(p->name));
	return check_value(m, "default_value", p, p->default_value);
}

static int check_param(struct model *m, struct apic_req_param *p)
{
	bool path = str_is(p->location, "PATH");
	int rc = check_name(m, "name", p->name, p->location);

	if (rc)
		return rc;
	if (!str_is(p->location, "QUERY") && !str_is(p->location, "HEADER") && !path)
		return api__invalid(m, "location", "must be PATH, QUERY or HEADER");
	if (!str_is(p->type, "STRING") && !str_is(p->type, "NUMBER"))
		return api__invalid(m, "type", "must be STRING or NUMBER");
	if (path && p->has_required && p->required == 2)
		return api__invalid(m, "required", "path parameter %.*s cannot be optional", STR_FMT(p->name));
	if (!p->has_required)
		SET(p, required, path ? 1 : 2);
	if (!p->has_valid_enable)
		SET(p, valid_enable, 2);
	if (!p->has_pass_through)
		SET(p, pass_through, 1);
	rc = check_bounds(m, p);
	return rc ? rc : check_values(m, p);
}

int api__check_params(struct model *m, struct apic_req_param_array *params, const struct api_path *path)
{
	size_t in_path = 0;

	if (params->n > API_MAX_PARAMS)
		return err_set(&m->err, ERR_APIG_3111, "req_params, limit:%d", API_MAX_PARAMS);
	for (size_t i = 0; i < params->n; i++) {
		struct apic_req_param *p = &params->v[i];
		int rc = check_param(m, p);

		if (rc)
			return rc;
		for (size_t k = 0; k < i; k++)
			if (same(p->name, p->location, params->v[k].name, params->v[k].location))
				return err_set(&m->err, ERR_APIG_3209, "req_params, name:%.*s", STR_FMT(p->name));
		if (!str_is(p->location, "PATH"))
			continue;
		if (!api__path_has(path, p->name))
			return err_set(&m->err, ERR_APIG_2026, "parameterName:%.*s", STR_FMT(p->name));
		in_path++;
	}
	if (in_path != path->n_params)
		return err_set(&m->err, ERR_APIG_2026, "req_uri has parameters that req_params does not declare");
	return 0;
}

const struct apic_req_param *api__param_of(const struct apic_req_param_array *params,
					   const struct apic_backend_param *b)
{
	const struct apic_req_param *found = NULL;

	/* One name may stand at several places: the same place first, then the path, then the first. */
	for (size_t i = 0; i < params->n; i++) {
		const struct apic_req_param *p = &params->v[i];

		if (!str_eq(p->name, b->value))
			continue;
		if (str_eq(p->location, b->location))
			return p;
		if (!found || (str_is(p->location, "PATH") && !str_is(found->location, "PATH")))
			found = p;
	}
	return found;
}

static int check_system(struct model *m, const struct apic_backend_param *b, const struct api_backend_rules *rules)
{
	static const char *const names[] = {
		"sourceIp",  "stage",      "apiName",    "apiId",      "appName",       "appId",
		"requestId", "serverAddr", "serverName", "handleTime", "providerAppId", "clientCertCN",
	};
	struct str prefix = STR("$context."), front = STR("authorizer.frontend."), back = STR("authorizer.backend.");

	if (!str_starts(b->value, prefix))
		return api__invalid(m, "value", "system parameter %.*s is unknown", STR_FMT(b->value));
	struct str name = str_sub(b->value, prefix.n, b->value.n);

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_is(name, names[i]))
			return 0;
	if (str_starts(name, front) && name.n > front.n && rules->frontend_authorizer)
		return 0;
	if (str_starts(name, back) && name.n > back.n && rules->backend_authorizer)
		return 0;
	return api__invalid(m, "value", "system parameter %.*s is unknown or has no authorizer", STR_FMT(b->value));
}

static int check_backend_param(struct model *m, struct apic_backend_param *b, const struct api_backend_rules *rules)
{
	int rc = check_name(m, "name", b->name, b->location);

	b->req_param_id = STR_NONE;
	if (rc)
		return rc;
	if (str_is(b->origin, "REQUEST")) {
		if (!api__param_of(rules->params, b))
			return err_set(&m->err, ERR_APIG_2028, "parameterName:%.*s", STR_FMT(b->name));
		return 0;
	}
	for (size_t i = 0; i < b->value.n; i++)
		if ((unsigned char)b->value.p[i] < 0x20 || b->value.p[i] == 0x7f)
			return api__invalid(m, "value", "control character at parameter %.*s", STR_FMT(b->name));
	return str_is(b->origin, "SYSTEM") ? check_system(m, b, rules) : 0;
}

int api__check_backend_params(struct model *m, struct apic_backend_param_array *list,
			      const struct api_backend_rules *rules)
{
	size_t in_path = 0;

	if (list->n > API_MAX_PARAMS)
		return err_set(&m->err, ERR_APIG_3111, "backend_params, limit:%d", API_MAX_PARAMS);
	for (size_t i = 0; i < list->n; i++) {
		struct apic_backend_param *b = &list->v[i];
		int rc = check_backend_param(m, b, rules);

		if (rc)
			return rc;
		for (size_t k = 0; k < i; k++)
			if (same(b->name, b->location, list->v[k].name, list->v[k].location))
				return err_set(&m->err, ERR_APIG_3209, "backend_params, name:%.*s", STR_FMT(b->name));
		if (!str_is(b->location, "PATH"))
			continue;
		if (!rules->path || !api__path_has(rules->path, b->name))
			return err_set(&m->err, ERR_APIG_2027, "parameterName:%.*s", STR_FMT(b->name));
		in_path++;
	}
	if (rules->path && in_path != rules->path->n_params)
		return err_set(&m->err, ERR_APIG_2027,
			       "the back end's req_uri has parameters that backend_params lacks");
	return 0;
}
