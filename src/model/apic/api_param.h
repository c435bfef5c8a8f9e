/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_API_PARAM_H
#define MODEL_APIC_API_PARAM_H

#include "model/apic/api_priv.h"

/* Request parameters of a definition, against its path; fills what was left out. Codes: ERR_APIG_2011, 2026, 3111,
 * 3209. */
int api__check_params(struct model *m, struct apic_req_param_array *params, const struct api_path *path);

/* What the parameters of a back end may refer to. */
struct api_backend_rules {
	const struct apic_req_param_array *params;
	const struct api_path *path; /* of the back end; NULL: it has none */
	bool frontend_authorizer, backend_authorizer;
};

/* Codes: ERR_APIG_2011, 2027, 2028, 3111, 3209. */
int api__check_backend_params(struct model *m, struct apic_backend_param_array *list,
			      const struct api_backend_rules *rules);

/* The request parameter a back-end parameter of origin REQUEST takes its value from; NULL: none. */
const struct apic_req_param *api__param_of(const struct apic_req_param_array *params,
					   const struct apic_backend_param *b);

#endif
