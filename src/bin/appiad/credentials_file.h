/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BIN_APPIAD_CREDENTIALS_FILE_H
#define BIN_APPIAD_CREDENTIALS_FILE_H

#include "model/context.h"

/* On the first start: creates the administrator with a random password, the project and the default instance, and
 * writes home/credentials.json (0600). A crash in between is made good at the next start: the file is complete on disk
 * under a temporary name before the transaction commits. Later starts change nothing. */
int credentials_bootstrap(struct model *m, const char *home, struct str domain, struct str user,
                          struct str management_url, struct str gateway_url);

#endif
