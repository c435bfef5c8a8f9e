/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_FEATURE_H
#define MODEL_APIC_FEATURE_H

#include "api_apic.h"
#include "model/context.h"

/* What an instance can do, and how much (reference, 6.22.1 and 6.24.1). Both run in m->tx and return 0 or the
 * documented code, set in m->err. */

/* A row of spec/features.yaml. */
struct apic_feature_row {
	const char *name, *config;
	bool supported;
};

extern const struct apic_feature_row apic_features[];
extern const size_t apic_n_features;

int apic_feature_list_by(struct model *m, const struct apic_list_features_in *in, struct apic_feature_list *ret);
/* The limits of this build, and how much of those that count for a whole instance is used. */
int apic_config_list_by(struct model *m, const struct apic_list_project_configs_in *in, struct apic_config_list *ret);

#endif
