/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_LOOKUP_H
#define CLI_LOOKUP_H

#include "api/api.h"

/* The resource and verb of an operation's command ("apps list"). False for twins, which have none. */
bool cli_lookup_names(const struct api_op *op, struct str *ret_resource, struct str *ret_verb);

/* True when word names the resource: in the plural ("apps") or the singular ("app"). */
bool cli_lookup_is(struct str resource, struct str word);

/* NULL when there is no such operation. */
const struct api_op *cli_lookup(struct str resource, struct str verb);

#endif
