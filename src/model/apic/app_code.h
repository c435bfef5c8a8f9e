/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_APP_CODE_H
#define MODEL_APIC_APP_CODE_H

#include "api_apic.h"
#include "model/context.h"

/* AppCodes: secrets by which an application calls APIs without signing (reference, 6.16.3 to 6.16.7). All run in m->tx
 * and return 0 or the documented code, set in m->err. They are as secret as the application's own secret, so only its
 * administrators see and change them: ERR_APIG_1104. */

/* ERR_APIG_3311: used already in the installation; ERR_APIG_3131: too many. code STR_NONE: one is drawn. */
int apic_app_code_create(struct model *m, struct str instance_id, struct str app_id, struct str code,
                         struct apic_app_code *ret);
int apic_app_code_show(struct model *m, struct str instance_id, struct str app_id, struct str id,
                       struct apic_app_code *ret);
int apic_app_code_delete(struct model *m, struct str instance_id, struct str app_id, struct str id);
int apic_app_code_list_by(struct model *m, const struct apic_list_app_codes_in *in, struct apic_app_code_list *ret);

/* For whoever deletes an application. */
int apic_app_code_delete_all(struct model *m, struct str app_id);

#endif
