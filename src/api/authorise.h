/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_AUTHORISE_H
#define API_AUTHORISE_H

#include "api/api.h"

/* For struct api.authorise: may m->who do this? Roles against the operation's action, then the project and the
 * instance of the path. What belongs to another project answers as if it did not exist. */
int api_authorise(struct model *m, const struct api_op *op, struct str project_id, struct str instance_id);

#endif
