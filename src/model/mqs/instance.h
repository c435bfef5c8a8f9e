/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MQS_INSTANCE_H
#define MODEL_MQS_INSTANCE_H

#include "api_mqs.h"
#include "model/context.h"

/* Message integration of an instance (7.1): all share the one Kafka. What a cloud would bill or wire (product, network,
 * disks) is left out. Both begin their own transactions. */

/* engine: "kafka" or empty; of other engines there are no instances. */
int mqs_instance_list_by(struct model *m, struct str project_id, struct str include_internal, struct str engine,
			 struct mqs_instance_list *ret);
/* ERR_MQS_00404022. */
int mqs_instance_get(struct model *m, struct str project_id, struct str id, struct mqs_instance *ret);

/* A zip archive with phy_ca.crt, the authority that clients check Kafka's certificate against (7.2.8), appended to out.
 * ERR_MQS_00400026 when there is none. */
int mqs_certificate(struct model *m, struct buf *out);

#endif
