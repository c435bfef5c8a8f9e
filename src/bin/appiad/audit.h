/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BIN_APPIAD_AUDIT_H
#define BIN_APPIAD_AUDIT_H

#include "api/api.h"

/* One JSON line per management write, committed or refused: who, what, on what, how it ended. No bodies: they may hold
 * secrets. */
struct audit;

int audit_open(const char *path, struct audit **ret, struct err *err);
void audit_write(struct audit *audit, const struct api_call *call, int status); /* any thread */
/* Opens the file anew, because it has been renamed; lines go to one of the two meanwhile. */
void audit_reopen(struct audit *audit);
void audit_close(struct audit *audit);                                          /* NULL is legal */

#endif
