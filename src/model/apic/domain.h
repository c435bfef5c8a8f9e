/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_DOMAIN_H
#define MODEL_APIC_DOMAIN_H

#include "api_apic.h"
#include "model/context.h"

/* Domain names bound to API groups, and their certificates (reference, chapter 6.6). All run in m->tx and return 0 or
 * the documented code, set in m->err. The roles in the group's application count. A name leads to one group in the
 * whole installation. */

/* ERR_APIG_2024: not a host name, or one below the gateway's own domain. ERR_APIG_3305: bound already. */
int apic_domain_bind(struct model *m, const struct apic_associate_domain_in *in, struct apic_url_domain *ret);
int apic_domain_update(struct model *m, const struct apic_update_domain_in *in, struct apic_url_domain *ret);
int apic_domain_unbind(struct model *m, const struct apic_disassociate_domain_in *in);

/* Stores a certificate and its key, sealed, and binds it to the name, in place of one of the same algorithm. */
int apic_domain_certificate_bind(struct model *m, const struct apic_associate_certificate_in *in,
                                 struct apic_url_domain *ret);
/* The certificate is deleted when no other name has it. */
int apic_domain_certificate_unbind(struct model *m, const struct apic_disassociate_certificate_in *in);
int apic_domain_certificate_show(struct model *m, const struct apic_show_details_of_domain_name_certificate_in *in,
                                 struct apic_certificate *ret);

/* For groups: the names bound to one, as its own reply shows them; all of them unbound. */
int apic_domain_of_group(struct model *m, struct str group_id, struct apic_url_domain_array *ret);
int apic_domain_delete_all(struct model *m, struct str group_id);

/* Purpose of sign_seal() for private keys of certificates. */
#define APIC_SEAL_CERTIFICATE "certificate.key"

#endif
