/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_PUBLIC_VERSION_H
#define MODEL_PUBLIC_VERSION_H

#include "api_public.h"
#include "model/context.h"

/* Versions of the API (section 4.4). Need no transaction. */
void version_list_all(struct model *m, struct public_api_version_list *ret);
/* Unknown: ERR_APPIA_0404. */
int version_show(struct model *m, struct str id, struct public_api_version *ret);

#endif
