/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POLICY_ANSWER_H
#define POLICY_ANSWER_H

#include "base/arena.h"
#include "base/err.h"

/* Errors as the callers of published APIs see them. Any thread. */

/* {"error_msg":"...","error_code":"APIG.0101","request_id":"..."}, in this order. Bytes that are not UTF-8 become
 * U+FFFD. */
struct str policy_error_body(struct arena *a, const struct err *err, struct str request_id);

/* The catalogue entry for a status that was not caused by a rule of the gateway: 400, 404, 413, 414, 494, 502, 504, ...
 * Other client errors are APIG.0602, server errors APIG.0601. */
int policy_error_of_status(int status);

/* The kind of gateway response a code belongs to ("NOT_FOUND", "THROTTLED", ...; "DEFAULT_4XX" or "DEFAULT_5XX" for
 * the rest). */
const char *policy_response_type(int code);

#endif
