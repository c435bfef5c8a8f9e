/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_API_PRIV_H
#define MODEL_APIC_API_PRIV_H

#include "model/apic/api.h"
#include "model/public/app.h"

#ifndef SET
#define SET(s, f, v) ((s)->f = (v), (s)->has_##f = true)
#endif

#define API_MAX_ROUTER ((size_t)64 << 20) /* bytes of one compiled router */
#define API_MAX_PARAMS 50
#define API_MAX_PATH_PARAMS 32 /* of the router */

/* A path template taken apart. */
struct api_path {
	struct str path; /* percent-decoded */
	struct str shape; /* names left out: two templates of one shape match the same requests */
	struct str params[API_MAX_PATH_PARAMS];
	size_t n_params;
};

/* Takes req_uri (field name for errors: field) apart. greedy: a last segment {x+} is allowed. vars: #x# is taken for
 * text. Returns 0, or ERR_APIG_2011 in m->err. */
int api__path_parse(struct model *m, const char *field, struct str uri, bool greedy, bool vars, struct api_path *ret);
/* Makes the shape that of match mode SWA. */
void api__path_prefix(struct model *m, struct api_path *path);
bool api__path_has(const struct api_path *path, struct str param);

/* ERR_APIG_2011 with the parameter's name in the documented form, and why. */
int api__invalid(struct model *m, const char *field, const char *why_fmt, ...) __attribute__((format(printf, 3, 4)));
/* ERR_APIG_2001 likewise. */
int api__missing(struct model *m, const char *field);

/* Checks a definition as far as it can be judged by itself, and fills what was left out. def and its lists are
 * changed. livedata: the back end is a custom one. */
int api__check_definition(struct model *m, struct apic_api *def, bool livedata, struct api_path *ret_path);
/* "host", "host:port", "[v6]:port"; no variables. */
int api__check_address(struct model *m, struct str address);
bool api__is_method(struct str method);

struct api_group_row {
	struct str id, instance_id, app_id, name, version, sl_domain;
	int64_t status, created_ms, updated_ms;
	bool is_default;
};

/* A row of api. def: the document, without what the columns and other tables say. */
struct api_row {
	struct str id, instance_id, group_id, app_id, ld_api_id;
	int64_t created_ms, updated_ms;
	struct apic_api *def;
};

/* ERR_APIG_3001. */
int api__group(struct model *m, struct str instance_id, struct str group_id, struct api_group_row *ret);
/* ERR_APIG_3003. */
int api__env_name(struct model *m, struct str instance_id, struct str env_id, struct str *ret);
/* ERR_APIG_3002, ERR_APIG_1102. */
int api__get(struct model *m, struct str instance_id, struct str api_id, enum app_role role, struct api_row *ret);
/* The caller's role in the API's application: ERR_APIG_1102. */
int api__allow(struct model *m, struct str instance_id, struct str app_id, enum app_role role);

/* The reply that shows a definition: names of group and application, domains, publications. */
int api__reply(struct model *m, const struct api_row *row, struct apic_api *ret);
/* run_env_id, run_env_name, publish_id, publish_time. */
int api__reply_publications(struct model *m, struct str api_id, struct apic_api *ret);

/* Compiles the router of a group in an environment, as m->tx sees it, into out. *ret_n: number of its routes. What
 * the routes together make impossible is ERR_APIG_3301 or ERR_APIG_2011. */
int api__routes(struct model *m, struct str group_id, struct str env_name, struct buf *out, size_t *ret_n);

/* Address and path of the HTTP back end with the variables of the environment filled in. ERR_APIG_3011 and what a
 * definition is refused with. */
int api__resolve(struct model *m, const struct apic_api *def, struct str group_id, struct str env_id,
		 struct str env_name, struct str *ret_address, struct str *ret_path);
/* ERR_APIG_3458 for what can be defined but not served yet. */
int api__check_served(struct model *m, const struct apic_api *def);
/* Ends what is being debugged of an API (STR_NONE: of any) and began before that time. */
int api__debug_forget(struct model *m, struct str api_id, int64_t before_ms);

/* Takes one publication down. *ret_found: there was one. */
int api__unpublish(struct model *m, struct str instance_id, struct str api_id, struct str env_id, bool *ret_found);

/* A variable of the group has another value: the versions that serve in the environment and use it take it over. What
 * would not be accepted in a definition is refused as it is there. */
int api__variable_changed(struct model *m, struct str instance_id, struct str group_id, struct str env_id,
			  struct str name);

struct str api__time(struct model *m, int64_t ms);

#endif
