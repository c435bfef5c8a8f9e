/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_API_RELEASE_H
#define MODEL_APIC_API_RELEASE_H

#include "model/apic/api_priv.h"

/* A version on its way into an environment. */
struct api_release {
	struct str instance_id, api_id, api_name, env_id, env_name, group_id, version_id, remark;
	struct str method, path, match_mode, shape;
	struct str backend_address, backend_path;
};

/* Fills r->backend_address and r->backend_path. What variables brought in must be as good as what could have been
 * written there. */
int api__resolve_backend(struct model *m, const struct apic_api *def, struct api_release *r);

/* After the commit nothing may refuse, so the group's router is compiled once to see that it can be. */
int api__check_routes(struct model *m, struct str group_id, struct str env_name);

/* Makes the environment serve the version; compiles a router only when what it holds changed, and at once unless the
 * caller looks after changed routers itself (ret_routed not NULL). */
int api__serve(struct model *m, const struct api_release *r, bool *ret_routed, struct apic_publish *ret);

/* Makes a version of the definition and serves it. Every refusal of these two comes before their first write, so that
 * a batch can go on after one. */
int api__publish_row(struct model *m, const struct api_row *row, struct str env_id, struct str remark, bool *ret_routed,
		     struct apic_publish *ret);
int api__offline_row(struct model *m, const struct api_row *row, struct str env_id, struct apic_publish *ret);

#endif
