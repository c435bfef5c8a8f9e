/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPERVISOR_SAMPLE_H
#define SUPERVISOR_SAMPLE_H

#include "cli/profile.h"
#include "supervisor/home.h"

/* Opens a sample SQLite database through the gateway, with the same management calls a user would make: an
 * application, a data source, a data back end, its deployment as GET /sample/cities in the group DEFAULT. Does
 * nothing when the sample stands already; what a broken-off attempt left is used again. */
int sample_ensure(const struct home *home, const struct cli_profile *profile, struct err *err);

#endif
