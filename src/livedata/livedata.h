/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIVEDATA_LIVEDATA_H
#define LIVEDATA_LIVEDATA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "datasource/datasource.h"
#include "httpd/httpd.h"
#include "script/script.h"

#include <stdint.h>

/* Runs custom back ends: SQL and stored procedures (type data) and JavaScript (type function). Definitions and data
 * sources come from the published state (keys livedata/<id>, datasource/<id>; documents in spec/internal). What was
 * compiled from them is kept as long as their bytes stay the same. Any thread. */

struct sign_keyring;

struct livedata_options {
	const char *published_dir;       /* NULL: only tests can be run */
	size_t published_map_bytes;
	const struct sign_keyring *keys; /* opens sealed_password; may be NULL */
	struct script_host script_host;  /* its pool serves data back ends too */
	int64_t script_cpu_ms;
	size_t script_memory_bytes;
	int64_t max_rows;                /* of a result without paging */
};

/* The most rows of one page when paging is on. */
#define LIVEDATA_PAGE_MAX 2000

struct livedata_request {
	struct str method, path;
	const struct httpd_pair *headers, *query; /* query: decoded */
	size_t n_headers, n_query;
	struct str body;
	struct str request_id, app_id; /* app_id: the calling application, may be STR_NONE */
	int64_t deadline_ms;
	struct arena *arena; /* the reply's strings live here */
};

struct livedata_reply {
	int status;
	struct str content_type;
	struct { struct str name, value; } headers[32];
	size_t n_headers;
	struct buf *body; /* initialised by the caller */
	struct str log; /* what the script logged, messages of data sources, warnings; for the owner of the back end */
};

struct livedata;

struct livedata *livedata_new(const struct livedata_options *options);
void livedata_free(struct livedata *ld);

/* Answers a call of the back end. On failure err->text is for the caller of the API (no SQL, no server's message) and
 * reply->log tells the owner more. Errors beside those of the template: ERR_APPIA_0404 (no such back end),
 * ERR_APPIA_0500_SQL_FAILED, _SCRIPT_FAILED, ERR_APPIA_0501_DRIVER_MISSING, ERR_APPIA_0503_*, ERR_APPIA_0504. */
int livedata_call(struct livedata *ld, struct str id, const struct livedata_request *req, struct livedata_reply *ret,
                  struct err *err);

/* The same with documents given by the caller, secrets opened (content.password), nothing cached. */
int livedata_test(struct livedata *ld, const struct json *definition, const struct json *datasources,
                  const struct livedata_request *req, struct livedata_reply *ret, struct err *err);

/* Checks the scripts of a definition without running them; names of parameters that are inserted unbound go to
 * warnings as JSON strings (an array). */
int livedata_check(const struct json *definition, const struct json *datasources, struct json *warnings,
		   struct arena *a, struct err *err);

#endif
