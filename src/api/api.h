/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_API_H
#define API_API_H

#include "base/arena.h"
#include "base/err.h"
#include "httpd/httpd.h"
#include "json/schema.h"
#include "model/context.h"

/* The engine that turns a request into a call of a handler, by tables generated from spec/.
 *
 * A handler gets validated input and fills the (zeroed) output struct:
 *
 *     int apic_create_api_group(struct api_call *call, const struct apic_create_api_group_in *in,
 *                               struct apic_api_group *out);
 *
 * It returns 0 or the code it put into call->err. No JSON, HTTP or SQL text in handlers: SQL is in src/model/. The
 * dispatcher has begun call->m.tx (write for everything but GET and operations marked x-read-only) and commits it when
 * the handler returns 0, rolls it back otherwise. */
struct api_call {
	struct model m; /* arena, transaction, who is calling, err: what src/model/ functions take */
	const struct api_op *op;
	const struct httpd_request *req;
	struct httpd_reply *reply;
	int status; /* set by a handler that wants another documented success status; 0: the operation's own */
	bool raw;   /* the handler wrote reply->body and reply->content_type itself (downloads) */
};

typedef int api_handler(struct api_call *call, const void *in, void *out);

enum api_domain {
	API_COMMON,
	API_PUBLIC,
	API_APIC,
	API_FDI,
	API_MQS,
	API_LINK,
	API_IAM,
	API_DEVSTAR,
	API_SERVERS,
	API_INTERNAL,
	API_DOMAINS
};

enum api_where { API_PATH, API_QUERY, API_HEADER, API_FORM };

struct api_param {
	struct json_field field;
	enum api_where where;
};

enum {
	API_OP_WRITE = 1,    /* runs in a write transaction */
	API_OP_PUBLIC = 2,   /* needs no credentials */
	API_OP_RAW_BODY = 4, /* body is handed over as bytes: in has a struct str named body */
	API_OP_TODO = 8,     /* listed in spec/todo.txt: answers 501 */
	API_OP_NO_TX = 16,   /* the handler begins transactions itself (it calls a worker, which may be slow) */
	API_OP_RAW_REPLY = 32 /* the handler may write the reply's bytes itself */
};

/* Forms of error bodies. */
enum api_error_shape {
	API_ERROR_PLAIN,  /* error_code, error_msg, request_id */
	API_ERROR_PUBLIC, /* + error_details */
	API_ERROR_FDI,    /* + detail */
	API_ERROR_LINK,   /* error_code, error_msg, request_id */
	API_ERROR_SHARE,  /* errCode, errMsg */
	API_ERROR_IAM     /* {"error": {code, message, title}} */
};

struct api_op {
	const char *id;     /* "CreateApiGroup" */
	const char *method; /* "POST" */
	const char *path;   /* "/v2/{project_id}/..." */
	const char *action; /* "roma:apic:createApiGroup", or NULL: any authenticated user */
	const char *summary;
	const char *command; /* "apps list", for the command line; "": a second path of another operation */
	enum api_domain domain;
	enum api_error_shape shape;
	unsigned flags;
	int status; /* success status */
	const struct api_param *params;
	size_t n_params;
	const struct json_schema *body; /* NULL: none */
	bool body_required;
	uint32_t body_offset;            /* of the struct pointer or array in the input struct */
	const struct json_schema *reply; /* NULL: none */
	size_t in_size, out_size;
};

/* Routes: a trie of path segments in arrays. node 0 is the root. */
struct api_node {
	const char *segment;   /* literal, or NULL for a parameter */
	uint32_t first_child, next_sibling; /* 0: none */
	uint32_t first_op;     /* index into api_tables.node_ops, UINT32_MAX: none */
};

struct api_node_op {
	uint16_t op;          /* index into api_tables.ops */
	uint32_t next;        /* UINT32_MAX: none */
};

struct api_tables {
	const struct api_op *ops;
	size_t n_ops;
	const struct api_node *nodes;
	const struct api_node_op *node_ops;
};

extern const struct api_tables api_tables;          /* spec/api */

/* Handlers, by index of the operation; NULL: listed in spec/todo.txt. Apart from the tables, so that a program may use
 * the description without the handlers. */
extern api_handler *const api_calls[];
extern api_handler *const internal_calls[];

#endif
