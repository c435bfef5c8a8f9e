/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "api_apic.h"
#include "model/apic/domain.h"

int apic_associate_domain(struct api_call *call, const struct apic_associate_domain_in *in,
                          struct apic_url_domain *out)
{
	return apic_domain_bind(&call->m, in, out);
}

int apic_update_domain(struct api_call *call, const struct apic_update_domain_in *in, struct apic_url_domain *out)
{
	return apic_domain_update(&call->m, in, out);
}

int apic_disassociate_domain(struct api_call *call, const struct apic_disassociate_domain_in *in)
{
	return apic_domain_unbind(&call->m, in);
}

int apic_associate_certificate(struct api_call *call, const struct apic_associate_certificate_in *in,
                               struct apic_url_domain *out)
{
	return apic_domain_certificate_bind(&call->m, in, out);
}

int apic_disassociate_certificate(struct api_call *call, const struct apic_disassociate_certificate_in *in)
{
	return apic_domain_certificate_unbind(&call->m, in);
}

int apic_show_details_of_domain_name_certificate(struct api_call *call,
                                                 const struct apic_show_details_of_domain_name_certificate_in *in,
                                                 struct apic_certificate *out)
{
	return apic_domain_certificate_show(&call->m, in, out);
}
