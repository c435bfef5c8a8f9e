/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_TAG_H
#define MODEL_APIC_TAG_H

#include "api_apic.h"
#include "model/context.h"

/* The tags of the APIs that the caller may see, in alphabetical order (reference, 6.23.1). */
int apic_tag_list_by(struct model *m, const struct apic_list_tags_in *in, struct apic_tag_list *ret);

#endif
