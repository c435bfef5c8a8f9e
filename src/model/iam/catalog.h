/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_IAM_CATALOG_H
#define MODEL_IAM_CATALOG_H

#include "api_iam.h"
#include "model/context.h"

/* The service catalogue: what this installation offers, where. Made from the settings; needs no transaction. */

/* Entries of a token or of GET /v3/auth/catalog; services of a project are left out when project_id is STR_NONE. */
void iam_catalog_for_token(struct model *m, struct str project_id, struct iam_token_catalog_array *ret);

void iam_region_list_all(struct model *m, struct iam_region_array *ret);
void iam_service_list_all(struct model *m, struct str type, struct iam_service_array *ret);
void iam_endpoint_list_all(struct model *m, struct str interface, struct str service_id,
			   struct iam_endpoint_array *ret);
/* Error: ERR_IAM_0004. */
int iam_region_show(struct model *m, struct str id, struct iam_region *ret);
int iam_service_show(struct model *m, struct str id, struct iam_service *ret);
int iam_endpoint_show(struct model *m, struct str id, struct iam_endpoint *ret);

#endif
