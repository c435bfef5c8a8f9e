/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_APP_AUTH_H
#define MODEL_APIC_APP_AUTH_H

#include "api_apic.h"
#include "model/context.h"

/* Which applications may call an API in an environment (reference, chapter 6.18). All run in m->tx and return 0 or the
 * documented code, set in m->err. Whoever has the role "access" in the API's application gives and takes the right. */

/* Every application for every API. An unknown one refuses the whole request; what else stands against a pair is in its
 * result, and the others are done. A right that exists is SKIPPED. */
int apic_auth_create(struct model *m, struct str instance_id, const struct apic_api_auth_request *in,
                     struct apic_api_auth_list *ret);
/* The application's own administrators may give a right up, too. ERR_APIG_3009, ERR_APIG_1109. */
int apic_auth_delete(struct model *m, struct str instance_id, struct str id);

int apic_auth_list_apis(struct model *m, const struct apic_list_apis_binded_to_app_in *in,
                        struct apic_api_auth_list *ret);
int apic_auth_list_apps(struct model *m, const struct apic_list_apps_binded_to_api_in *in,
                        struct apic_api_auth_list *ret);
/* APIs with APP authentication that the application may not call in the environment yet. */
int apic_auth_list_unbound(struct model *m, const struct apic_list_apis_unbinded_to_app_in *in,
                           struct apic_api_outline_list *ret);
/* The application's own APIs and those it may call that have the same method, path and match mode. */
int apic_auth_list_duplicates(struct model *m, struct str instance_id, struct str app_id,
                              struct apic_api_duplication_list *ret);

/* For whoever deletes an environment or an application: takes all rights there, in the published state too. */
int apic_auth_delete_of_env(struct model *m, struct str instance_id, struct str env_id);
int apic_auth_delete_of_app(struct model *m, struct str app_id);

#endif
