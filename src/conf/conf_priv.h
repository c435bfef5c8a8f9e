/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CONF_CONF_PRIV_H
#define CONF_CONF_PRIV_H

#include "base/arena.h"
#include "base/str.h"
#include "conf/conf.h"

#define CONF_MAX_FILE ((size_t)1 << 20)
#define CONF_MAX_TEXT 4096 /* bytes of one value */

enum conf_type {
	CONF_TYPE_STRING,
	CONF_TYPE_INT,
	CONF_TYPE_BOOL,
	CONF_TYPE_SIZE,
	CONF_TYPE_DURATION,
	CONF_TYPE_PATH
};

struct conf_row {
	const char *section, *key;
	enum conf_type type;
	const char *def;
	int64_t min, max;                /* INT, SIZE, DURATION */
	const char *min_text, *max_text; /* as people write them */
	const char *const *choices;      /* STRING: NULL-terminated, or NULL */
	const char *summary;
};

struct conf_section {
	const char *name, *summary;
};

extern const struct conf_row conf__rows[CONF_COUNT];
extern const struct conf_section conf__sections[];
extern const size_t conf__sections_n;

struct conf_value {
	struct str s;
	int64_t i;
	bool set; /* not the default */
};

struct conf {
	struct arena *a;
	struct str home;
	struct conf_value values[CONF_COUNT];
};

/* Parses text as the setting's type and keeps it. False with a reason such as "must be 1 to 9". */
bool conf__set(struct conf *conf, enum conf_id id, struct str text, char *ret_why, size_t size);

/* All defaults. home is absolute. */
struct conf *conf__new(struct str home);

/* The text of an appia.yaml over what conf has. name stands in errors. Foreign bytes. */
int conf__read(struct conf *conf, struct str text, const char *name, struct err *err);

#endif
