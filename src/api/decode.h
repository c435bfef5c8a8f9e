/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_DECODE_H
#define API_DECODE_H

#include "api/route.h"

/* Decodes and validates parameters and body into the operation's (zeroed) input struct. Returns 0 or the domain's
 * code for the first fault, nothing having been changed. */
int api_decode(const struct api_op *op, const struct api_route *route, const struct httpd_request *req, void *in,
               struct err *err);

/* The value of a path parameter as received, percent-decoded; STR_NONE when the operation has no such one. */
struct str api_path_param(const struct api_op *op, const struct api_route *route, const char *name, struct arena *a);

#endif
