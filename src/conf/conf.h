/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/err.h"
#include "conf_keys.h" /* generated from spec/settings.yaml: enum conf_id, gateway.http_port: CONF_GATEWAY_HTTP_PORT */

#include <stdint.h>

/* The settings of one process: home/appia.yaml over the defaults, the environment (APPIA_<SECTION>_<KEY>) over both.
 * Immutable once loaded, so any thread may read. */
struct conf;

/* A missing file means defaults. What is wrong in the file or the environment is ERR_APPIA_0400 with a text for the
 * person who wrote it, that names the line or the variable; a file that cannot be read is ERR_APPIA_0500. home may be
 * relative; it need not exist. */
int conf_load(const char *home, struct conf **ret, struct err *err);
/* NULL is legal. */
void conf_free(struct conf *conf);

/* The value, of the setting's own type (anything else aborts). Strings live as long as conf and are NUL-terminated;
 * an empty setting is "", never absent. Paths are absolute unless empty. */
struct str conf_str(const struct conf *conf, enum conf_id id);
/* int: the number; size: bytes; duration: milliseconds. */
int64_t conf_int(const struct conf *conf, enum conf_id id);
bool conf_bool(const struct conf *conf, enum conf_id id);
/* True when neither the file nor the environment said anything. */
bool conf_is_default(const struct conf *conf, enum conf_id id);

/* The home folder, absolute, without a slash at its end. */
struct str conf_home(const struct conf *conf);

/* Writes a new file with every setting, its meaning and its default, all commented out. Never overwrites:
 * ERR_APPIA_0409 when there is one. Durable when it returns 0. */
int conf_write_default(const char *path, struct err *err);

#endif
