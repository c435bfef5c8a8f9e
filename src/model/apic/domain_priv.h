/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_DOMAIN_PRIV_H
#define MODEL_APIC_DOMAIN_PRIV_H

#include "model/apic/domain.h"
#include "model/apic/list.h"

struct domain_row {
	struct str id, group_id, name, min_ssl_version;
	int64_t status;
	bool redirect, verify_client;
};

/* The name of the group, when the caller has the role. ERR_APIG_3001, ERR_APIG_3020, ERR_APIG_3474. */
int domain__get(struct model *m, struct str instance_id, struct str group_id, struct str domain_id, enum app_role role,
                struct domain_row *ret);
void domain__reply(const struct domain_row *row, struct apic_url_domain *ret);

/* Certificates of a name: ssl_infos, ssl_id and ssl_name of the first, is_has_trusted_root_ca. */
int domain__certificates(struct model *m, struct str domain_id, struct apic_url_domain *ret);
/* Certificates that no name has any more after this one lost them are deleted. */
int domain__drop_certificates(struct model *m, struct str domain_id);

#endif
