/* SPDX-License-Identifier: Apache-2.0 */
#include "tables.h"

#include "base/mem.h"

#include <stddef.h>

static struct json_pattern letters = {"^[a-z]+$", NULL};
static const char *const kinds[] = {"big", "small", NULL};
static const struct json_schema text = {.kind = JSON_STRING, .max_len = SCHEMA_NO_LIMIT};
static const struct json_schema name = {.kind = JSON_STRING, .min_len = 2, .max_len = 8, .pattern = &letters};
static const struct json_schema kind = {.kind = JSON_STRING, .max_len = SCHEMA_NO_LIMIT, .enums = kinds};
static const struct json_schema size = {
	.kind = JSON_INT, .flags = SCHEMA_HAS_MIN | SCHEMA_HAS_MAX, .min = 1, .max = 500, .max_len = SCHEMA_NO_LIMIT};
static const struct json_schema tags = {.kind = JSON_ARRAY, .max_len = 3, .items = &text};

#define AT(type, member) offsetof(struct type, member), SCHEMA_NO_OFFSET

static const struct json_field thing_fields[] = {
	{"name", &name, AT(thing, name), true, NULL},
	{"kind", &kind, AT(thing, kind), false, "\"small\""},
	{"size", &size, offsetof(struct thing, size), offsetof(struct thing, has_size), false, "20"},
	{"tags", &tags, AT(thing, tags), false, NULL},
};
static const struct json_schema thing = {.kind = JSON_OBJECT,
                                         .max_len = SCHEMA_NO_LIMIT,
                                         .fields = thing_fields,
                                         .n_fields = ARRAY_LEN(thing_fields),
                                         .size = sizeof(struct thing),
                                         .name = "thing"};

static const struct api_param list_params[] = {
	{{"project_id", &text, AT(list_in, project_id), true, NULL}, API_PATH},
	{{"name", &name, AT(list_in, name), false, NULL}, API_QUERY},
	{{"limit", &size, offsetof(struct list_in, limit), offsetof(struct list_in, has_limit), false, "20"},
	 API_QUERY},
	{{"X-Token", &text, AT(list_in, token), true, NULL}, API_HEADER},
};
static const struct api_param thing_params[] = {
	{{"project_id", &text, AT(thing_in, project_id), true, NULL}, API_PATH}};
static const struct api_param show_params[] = {{{"project_id", &text, AT(show_in, project_id), true, NULL}, API_PATH},
                                               {{"id", &name, AT(show_in, id), true, NULL}, API_PATH}};
static const struct api_param upload_params[] = {
	{{"note", &name, AT(upload_in, note), false, "\"none\""}, API_FORM},
	{{"file", &text, AT(upload_in, file), true, NULL}, API_FORM}};

#define PARAMS(p) .params = p, .n_params = ARRAY_LEN(p)
#define BODY .body = &thing, .body_required = true, .body_offset = offsetof(struct thing_in, body)
#define REPLY .reply = &thing, .out_size = sizeof(struct thing)

static const struct api_op ops[OPS] = {
	[OP_LIST] = {.id = "List",
		     .method = "GET",
		     .path = "/v2/{project_id}/things",
		     .domain = API_APIC,
		     .status = 200,
		     PARAMS(list_params),
		     REPLY,
		     .in_size = sizeof(struct list_in)},
	[OP_CREATE] = {.id = "Create",
		       .method = "POST",
		       .path = "/v2/{project_id}/things",
		       .domain = API_APIC,
		       .flags = API_OP_WRITE,
		       .status = 201,
		       PARAMS(thing_params),
		       BODY,
		       REPLY,
		       .in_size = sizeof(struct thing_in)},
	[OP_SHOW] = {.id = "Show",
		     .method = "GET",
		     .path = "/v2/{project_id}/things/{id}",
		     .domain = API_PUBLIC,
		     .shape = API_ERROR_PUBLIC,
		     .status = 200,
		     PARAMS(show_params),
		     REPLY,
		     .in_size = sizeof(struct show_in)},
	[OP_DELETE] = {.id = "Delete",
		       .method = "DELETE",
		       .path = "/v2/{project_id}/things/{id}",
		       .domain = API_FDI,
		       .shape = API_ERROR_FDI,
		       .flags = API_OP_WRITE,
		       .status = 204,
		       PARAMS(show_params),
		       .in_size = sizeof(struct show_in)},
	[OP_CHECK] = {.id = "Check",
		      .method = "POST",
		      .path = "/v2/{project_id}/things/check",
		      .domain = API_MQS,
		      .status = 200,
		      PARAMS(thing_params),
		      BODY,
		      .in_size = sizeof(struct thing_in)},
	[OP_LOGIN] = {.id = "Login",
		      .method = "POST",
		      .path = "/login",
		      .domain = API_IAM,
		      .shape = API_ERROR_IAM,
		      .flags = API_OP_WRITE | API_OP_PUBLIC,
		      .status = 200,
		      BODY,
		      .in_size = sizeof(struct thing_in)},
	[OP_LATER] = {.id = "Later",
		      .method = "PUT",
		      .path = "/later",
		      .domain = API_LINK,
		      .shape = API_ERROR_LINK,
		      .flags = API_OP_WRITE | API_OP_TODO,
		      .status = 200,
		      .in_size = 1},
	[OP_SLOW] = {.id = "Slow",
		     .method = "POST",
		     .path = "/slow",
		     .domain = API_FDI,
		     .shape = API_ERROR_FDI,
		     .flags = API_OP_WRITE | API_OP_NO_TX,
		     .status = 200,
		     .in_size = 1},
	[OP_UPLOAD] = {.id = "Upload",
		       .method = "POST",
		       .path = "/upload",
		       .domain = API_APIC,
		       .status = 200,
		       PARAMS(upload_params),
		       .in_size = sizeof(struct upload_in)},
	[OP_RAW] = {.id = "Raw",
		    .method = "PUT",
		    .path = "/raw",
		    .domain = API_SERVERS,
		    .flags = API_OP_RAW_BODY,
		    .status = 200,
		    .in_size = sizeof(struct raw_in)},
	[OP_ROOT] = {.id = "Root", .method = "GET", .path = "/", .domain = API_COMMON, .status = 200, .in_size = 1},
};

/* Literal children come before the parameter. */
enum { N_ROOT, N_V2, N_PROJECT, N_THINGS, N_CHECK, N_ID, N_LOGIN, N_LATER, N_SLOW, N_UPLOAD, N_RAW };
#define NONE UINT32_MAX

static const struct api_node nodes[] = {
	[N_ROOT] = {NULL, N_V2, 0, 10},       [N_V2] = {"v2", N_PROJECT, N_LOGIN, NONE},
	[N_PROJECT] = {NULL, N_THINGS, 0, NONE}, [N_THINGS] = {"things", N_CHECK, 0, 0},
	[N_CHECK] = {"check", 0, N_ID, 4},    [N_ID] = {NULL, 0, 0, 2},
	[N_LOGIN] = {"login", 0, N_LATER, 5}, [N_LATER] = {"later", 0, N_SLOW, 6},
	[N_SLOW] = {"slow", 0, N_UPLOAD, 7},  [N_UPLOAD] = {"upload", 0, N_RAW, 8},
	[N_RAW] = {"raw", 0, 0, 9},
};
static const struct api_node_op node_ops[OPS] = {
	{OP_LIST, 1},      {OP_CREATE, NONE}, {OP_SHOW, 3},   {OP_DELETE, NONE}, {OP_CHECK, NONE}, {OP_LOGIN, NONE},
	{OP_LATER, NONE},  {OP_SLOW, NONE},   {OP_UPLOAD, NONE}, {OP_RAW, NONE}, {OP_ROOT, NONE},
};

const struct api_tables test_tables = {ops, OPS, nodes, node_ops};
api_handler *test_calls[OPS];
