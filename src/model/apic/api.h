/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_API_H
#define MODEL_APIC_API_H

#include "api_apic.h"
#include "model/context.h"

/* APIs: their definition as it is edited, its versions, and which version each environment serves (reference, chapter
 * 6.3). All run in m->tx and return 0 or the documented code, set in m->err. Replies are in m->arena. Who may read or
 * modify an API is decided by its application. */

#define API_ENV_RELEASE STR("DEFAULT_ENVIRONMENT_RELEASE_ID")

int api_create(struct model *m, struct str instance_id, const struct apic_api *def, struct apic_api *ret);
/* Replaces the definition; what is published stays as it was published. */
int api_update(struct model *m, struct str instance_id, struct str api_id, const struct apic_api *def,
	       struct apic_api *ret);
/* Refused while an environment serves it. */
int api_delete(struct model *m, struct str instance_id, struct str api_id);
int api_show(struct model *m, struct str instance_id, struct str api_id, struct apic_api *ret);
int api_list(struct model *m, const struct apic_list_apis_in *in, struct apic_api_list *ret);
/* ERR_APIG_3202 or ERR_APIG_3301 when another API has that name or path. */
int api_check(struct model *m, struct str instance_id, const struct apic_api_check *in);

/* Makes the environment serve the definition as it is now. */
int api_publish(struct model *m, struct str instance_id, struct str api_id, struct str env_id, struct str remark,
		struct apic_publish *ret);
int api_offline(struct model *m, struct str instance_id, struct str api_id, struct str env_id,
		struct apic_publish *ret);
/* Each API by itself: what a rule refuses stands in ret->failure, and the others are done. */
int api_publish_batch(struct model *m, struct str instance_id, bool online, const struct apic_api_batch_publish *in,
		      struct apic_api_batch_publish_result *ret);

/* Deletes APIs, or all of a group when apis is empty, each by itself. ret->success names those deleted. */
int api_delete_batch(struct model *m, struct str instance_id, struct str group_id, const struct str_array *apis,
		     struct apic_api_batch_publish_result *ret);

/* Makes the version's environment serve that version. */
int api_version_switch(struct model *m, struct str instance_id, struct str api_id, struct str version_id,
		       struct apic_publish *ret);
/* Takes the version's environment offline, if it serves that version. */
int api_version_offline(struct model *m, struct str instance_id, struct str version_id);
int api_version_show(struct model *m, struct str instance_id, struct str version_id, struct apic_api *ret);
int api_version_list(struct model *m, const struct apic_list_api_versions_in *in, struct apic_api_version_list *ret);
/* What env_id (STR_NONE: RELEASE) serves. */
int api_runtime(struct model *m, struct str instance_id, struct str api_id, struct str env_id, struct apic_api *ret);

/* Calls the API through the gateway, as edited (DEVELOPER) or as published (CONSUMER), and tells what went over the
 * wire. Begins and ends its own transactions: m->tx must be NULL. */
int api_debug(struct model *m, struct str instance_id, struct str api_id, const struct apic_api_debug *in,
	      struct apic_api_debug_result *ret);

/* An API whose back end is the custom back end livedata_id. def as for api_create(), with backend_type HTTP;
 * def->backend_api may be absent, or gives timeout, retry_count, req_method and req_uri (the custom back end's path)
 * for display. Request parameters the definition does not map are passed on under their own names. */
int api_create_for_livedata(struct model *m, struct str instance_id, const struct apic_api *def, struct str livedata_id,
			    struct apic_api *ret);
/* Takes the API offline everywhere and deletes it, when the custom back end is taken down. A missing API is no error.
 */
int api_delete_for_livedata(struct model *m, struct str instance_id, struct str api_id);

#endif
