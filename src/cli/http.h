/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_HTTP_H
#define CLI_HTTP_H

#include "cli/profile.h"
#include "net/client.h"

/* One management request as the profile's user: signed with its access key, or with its token. target: path and query,
 * encoded. body: JSON text or STR_NONE. Any HTTP status is success. */
int cli_http(const struct cli_profile *profile, struct str method, struct str target, struct str body, struct arena *a,
             struct net_reply *ret, struct err *err);

#endif
