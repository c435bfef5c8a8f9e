/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_PROFILE_H
#define CLI_PROFILE_H

#include "base/arena.h"
#include "base/err.h"

/* Where to send requests and as whom. Kept in $APPIA_CONFIG, else ~/.config/appia/profiles.json (0600), by name. */
struct cli_profile {
	struct str management_url, domain, user, project_id, project_name, instance_id;
	struct str access_key, secret_key; /* signs requests; or */
	struct str token;                  /* X-Auth-Token */
	struct str ca_file; /* certificates in PEM form that an https address is checked against, beside the system's */
};

/* The named profile. Without a name: "default" when there is one, else the installation's own credentials.json in
 * $APPIA_HOME or ./data. */
int cli_profile_load(struct arena *a, const char *name, struct cli_profile *ret, struct err *err);

/* Reads a credentials.json. The platform's own authority, tls/ca.pem beside it, is trusted. */
int cli_profile_read(struct arena *a, const char *path, struct cli_profile *ret, struct err *err);

/* Trusts the certificates in file, which must be readable. */
int cli_profile_trust(struct arena *a, struct cli_profile *profile, const char *file, struct err *err);

/* Adds or replaces the profile; durable, 0600. */
int cli_profile_save(struct arena *a, const char *name, const struct cli_profile *profile, struct err *err);

#endif
