/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_FDI_CONTENT_H
#define MODEL_FDI_CONTENT_H

#include "api_fdi.h"
#include "model/context.h"

/* What a data source is reached by (5.1.1, object Content). Its secrets, which the description marks x-secret, and the
 * members of connector_params that are called like one, are sealed wherever a content is stored. The functions return
 * copies. */

/* What replies show instead of a secret, and what a change may send for "as it was". */
#define CONTENT_MASK "******"

/* Checks what the type needs: ERR_FDI_3033 names the field. Secrets may be sealed. */
int content_check(struct model *m, struct str type, const struct fdi_content *in);
/* Seals the secrets. One that is absent or masked is taken from old (sealed; may be NULL). */
struct fdi_content *content_seal(struct model *m, const struct fdi_content *in, const struct fdi_content *old);
/* ERR_APPIA_0500 when a secret was sealed by another key. */
int content_open(struct model *m, const struct fdi_content *sealed, struct fdi_content **ret);
/* For replies. */
struct fdi_content *content_mask(struct model *m, const struct fdi_content *in);
/* Without any secret. */
struct fdi_content *content_strip(struct model *m, const struct fdi_content *in);

#endif
