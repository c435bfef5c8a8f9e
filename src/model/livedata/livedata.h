/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_LIVEDATA_LIVEDATA_H
#define MODEL_LIVEDATA_LIVEDATA_H

#include "api_apic.h"
#include "model/context.h"

/* Custom back ends (6.19): what is edited, its tests, and what is deployed. Their integration application decides who
 * may do what. Unknown: ERR_APIG_3084; not permitted: ERR_APIG_1139; of the application: ERR_APIG_3004,
 * ERR_APIG_1141. */

#define LIVEDATA_MAX 10000 /* per instance */
#define LIVEDATA_MAX_SCRIPTS 50 /* per back end */
#define LIVEDATA_KEPT 100 /* tests and deployments remembered per back end */

/* Names and pairs of path and method are unique per instance: ERR_APIG_3215, ERR_APIG_3314. */
int livedata_create(struct model *m, struct str instance_id, const struct apic_livedata_api *in,
		    struct apic_livedata_api *ret);
/* Path, method and application of a deployed back end stay: ERR_APIG_2011. */
int livedata_update(struct model *m, struct str instance_id, struct str id, const struct apic_livedata_api *in,
		    struct apic_livedata_api *ret);
/* ERR_APIG_3483 while deployed, ERR_APIG_3460 while an authorizer uses it. */
int livedata_delete(struct model *m, struct str instance_id, struct str id);
int livedata_show(struct model *m, struct str instance_id, struct str id, struct apic_livedata_api *ret);
int livedata_list(struct model *m, const struct apic_list_live_data_api_in *in, struct apic_livedata_api_list *ret);
int livedata_validate(struct model *m, struct str instance_id, const struct apic_livedata_check *in);
int livedata_quota(struct model *m, struct str instance_id, struct apic_livedata_quota *ret);
/* Data sources of an application that a script can name. */
int livedata_source_list(struct model *m, const struct apic_list_live_data_data_sources_in *in,
			 struct apic_livedata_datasource_list *ret);

/* Replaces all scripts. Begins its own transactions: the worker checks the scripts, if it runs. ERR_APIG_3083 unknown
 * data source, ERR_APIG_3489 one that scripts cannot use, ERR_APIG_3315, ERR_APIG_2011, ERR_APIG_3135. */
int livedata_scripts_set(struct model *m, struct str instance_id, struct str id, const struct apic_livedata_scripts *in,
			 struct apic_livedata_api *ret);

/* Runs it as it is edited, by the worker, and remembers the result. Begins its own transactions. ERR_APIG_3503. */
int livedata_run_test(struct model *m, struct str instance_id, struct str id, const struct apic_livedata_debug *in,
		      struct apic_livedata_test *ret);
int livedata_tests(struct model *m, const struct apic_list_live_data_api_test_history_in *in,
		   struct apic_livedata_test_list *ret);

/* Makes what is edited what runs; with deploy_front_api makes or changes its front API and publishes it.
 * ERR_APIG_3484 without scripts, ERR_APIG_3479 another application. */
int livedata_deploy(struct model *m, struct str instance_id, struct str id, const struct apic_livedata_publish *in,
		    struct apic_livedata_deploy *ret);
int livedata_deployments(struct model *m, struct str instance_id, struct str id, struct apic_livedata_deploy_list *ret);
/* Takes its front APIs offline and deletes them. ERR_APIG_3486 unless deployed, ERR_APIG_3460. */
int livedata_undeploy(struct model *m, struct str instance_id, struct str id);

#endif
