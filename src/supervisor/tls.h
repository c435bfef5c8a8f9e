/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPERVISOR_TLS_H
#define SUPERVISOR_TLS_H

#include "base/err.h"

/* Makes a local certificate authority and a server certificate signed by it in dir, once: ca.pem, ca.key, server.pem
 * (with the CA behind it), server.key; keys 0600, EC P-256. The certificate names localhost, the host's own name,
 * 127.0.0.1, ::1, domain and *.domain. Files that exist are kept, so that a user's own certificate can be put there;
 * one of ours is made anew within 60 days of its end. */
int tls_ensure(const char *dir, const char *domain, struct err *err);

#endif
