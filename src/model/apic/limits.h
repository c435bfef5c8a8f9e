/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_APIC_LIMITS_H
#define MODEL_APIC_LIMITS_H

/* How many of what users may have; per instance where nothing else is said. ListProjectConfigs shows them. */
#define APIC_MAX_APIS 100000
#define APIC_MAX_APIS_PER_GROUP 20000
#define APIC_MAX_TAGS 10       /* per API */
#define APIC_MAX_VERSIONS 10   /* per API and environment */
#define APIC_MAX_GROUPS 1500
#define APIC_MAX_ENVS 10
#define APIC_MAX_VARIABLES 50  /* per group and environment */
#define APIC_MAX_DOMAINS 5     /* per group */
#define APIC_MAX_APP_CODES 5   /* per app */
#define APIC_MAX_CERTIFICATES 150 /* per project */

#endif
