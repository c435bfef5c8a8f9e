/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_PUBLIC_APP_PRIV_H
#define MODEL_PUBLIC_APP_PRIV_H

#include "model/public/app.h"

/* app_require(), with the codes of this domain. */
int app__allow(struct model *m, struct str instance_id, struct str app_id, enum app_role role);

struct str_array app__role_names(struct model *m, unsigned roles);
/* 0: no such role. */
unsigned app__role_bit(struct str name);

#endif
