/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_API_TABLES_H
#define TESTS_API_TABLES_H

#include "api/api.h"

/* A description small enough to be read, in the form the generator writes. */

enum {
	OP_LIST,   /* GET    /v2/{project_id}/things */
	OP_CREATE, /* POST   /v2/{project_id}/things */
	OP_SHOW,   /* GET    /v2/{project_id}/things/{id} */
	OP_DELETE, /* DELETE /v2/{project_id}/things/{id} */
	OP_CHECK,  /* POST   /v2/{project_id}/things/check: read only */
	OP_LOGIN,  /* POST   /login: public */
	OP_LATER,  /* PUT    /later: not implemented */
	OP_SLOW,   /* POST   /slow: without a transaction */
	OP_UPLOAD, /* POST   /upload: a form */
	OP_RAW,    /* PUT    /raw: bytes */
	OP_ROOT,   /* GET    / */
	OPS
};

struct thing {
	struct str name, kind;
	int64_t size;
	bool has_size;
	struct str_array tags;
};

struct list_in {
	struct str project_id, name;
	int64_t limit;
	bool has_limit;
	struct str token;
};

struct thing_in {
	struct str project_id;
	struct thing *body;
};

struct show_in {
	struct str project_id, id;
};

struct upload_in {
	struct str note, file;
};

struct raw_in {
	struct str body;
};

extern const struct api_tables test_tables;
extern api_handler *test_calls[OPS]; /* set by the tests */

#endif
