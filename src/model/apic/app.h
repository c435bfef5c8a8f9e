/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_APP_H
#define MODEL_APIC_APP_H

#include "api_apic.h"
#include "model/context.h"

/* Applications as callers of APIs (reference, 6.16.1 and 6.16.2); model/public/app.h is where they are made. All run
 * in m->tx and return 0 or the documented code, set in m->err. Secrets are shown by their ends only. */

int apic_app_list_by(struct model *m, const struct apic_list_apps_in *in, struct apic_app_list *ret);
int apic_app_show(struct model *m, struct str instance_id, struct str app_id, struct apic_app *ret);

#endif
