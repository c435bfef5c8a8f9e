/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIVEDATA_PLAN_H
#define LIVEDATA_PLAN_H

#include "livedata/livedata.h"
#include "livedata/template.h"

#include <stdatomic.h>

/* A back end, decoded from its documents and compiled; immutable, shared between threads, counted. */

struct sign_keyring;

enum livedata_content { LIVEDATA_JSON, LIVEDATA_XML, LIVEDATA_STREAM };

struct livedata_source {
	struct datasource_config config;
	const struct datasource_driver *driver;
	struct str bytes; /* of the document; STR_NONE in tests */
};

struct livedata_script {
	struct str object_name, content, datasource_id;
	bool procedure, paging, prepared;
	struct livedata_template *template; /* NULL for functions */
	struct livedata_source source;
};

struct livedata_param {
	struct str name, in, def;
	bool required;
};

struct livedata_plan {
	atomic_uint refs;
	struct arena *a;
	struct str bytes; /* of the definition */
	struct str id;
	bool function, return_format, pooled;
	enum livedata_content content;
	struct livedata_param *params;
	size_t n_params;
	struct livedata_script *scripts;
	size_t n_scripts;
	const struct json *app_config; /* or NULL */
};

/* Finds the document of a data source: its parsed tree and, when published, its bytes. False when there is none. */
typedef bool livedata_find_source(void *ctx, struct str id, struct arena *a, const struct json **ret,
                                  struct str *ret_bytes);

/* The plan owns copies of everything. Errors: ERR_APPIA_0500 (broken document), ERR_APPIA_0501_DRIVER_MISSING,
 * ERR_APPIA_0400 (broken script). */
int livedata_plan_new(struct str definition, livedata_find_source *find, void *ctx, const struct sign_keyring *keys,
                      bool pooled, struct livedata_plan **ret, struct err *err);
struct livedata_plan *livedata_plan_ref(struct livedata_plan *plan);
void livedata_plan_unref(struct livedata_plan *plan);

#endif
