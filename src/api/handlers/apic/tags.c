/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_apic.h"
#include "model/apic/tag.h"

int apic_list_tags(struct api_call *call, const struct apic_list_tags_in *in, struct apic_tag_list *out)
{
	return apic_tag_list_by(&call->m, in, out);
}
