/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_PUBLIC_INSTANCE_H
#define MODEL_PUBLIC_INSTANCE_H

#include "api_apic.h"
#include "api_public.h"
#include "model/context.h"

#define INSTANCE_MAX 100 /* per project */

/* What a domain gives every instance (a group DEFAULT, an environment RELEASE): made with the instance, removed when
 * nothing else belongs to it. Both run in the transaction at m->tx; remove returns without error when something else
 * is left, the references from that refuse the deletion. */
struct instance_part {
	int (*make)(struct model *m, struct str instance_id);
	int (*remove)(struct model *m, struct str instance_id);
};

/* Defined by src/model/apic. Weak: programs without that domain have none. */
extern const struct instance_part apic_instance_part __attribute__((weak));

/* Creates one, with its parts, without asking who calls; for the first start too. */
int instance_make(struct model *m, struct str project_id, struct str name, struct str description, struct str user_id,
		  struct str *ret_id);

int instance_exists(struct model *m, struct str project_id, struct str id, bool *ret_found);

int instance_list_by(struct model *m, struct str project_id, struct str status, int64_t offset, int64_t limit,
		     struct public_instance_list *ret);
/* Unknown: ERR_ROMA_14002. */
int instance_show(struct model *m, struct str project_id, struct str id, struct public_instance *ret);
/* The same, in the words of API management (6.1.1). */
int instance_show_apic(struct model *m, struct str project_id, struct str id, struct apic_instance *ret);

/* Our extension. A name twice: ERR_APPIA_0409; too many: ERR_ROMA_15002. */
int instance_create(struct model *m, struct str project_id, const struct public_instance *in,
		    struct public_instance *ret);
/* ERR_APPIA_0409 while anything belongs to it. */
int instance_delete(struct model *m, struct str project_id, struct str id);

#endif
