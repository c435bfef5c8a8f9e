/* SPDX-License-Identifier: Apache-2.0 */
#include "api/decode.h"

#include "api/fault.h"
#include "base/enc.h"

#include <ctype.h>
#include <stdio.h>

#define MAX_FORM_PARTS 64

struct str api_path_param(const struct api_op *op, const struct api_route *route, const char *name, struct arena *a)
{
	struct str rest = str_sub(str_of(op->path), 1, strlen(op->path));

	for (size_t i = 0; rest.p && i < route->n_segments; i++) {
		struct str part = str_cut(&rest, '/');
		struct str value;

		if (part.n < 2 || part.p[0] != '{' || !str_is(str_sub(part, 1, part.n - 1), name))
			continue;
		return enc_unpercent(a, route->segments[i], false, &value) ? value : STR_NONE;
	}
	return STR_NONE;
}

struct form {
	struct httpd_form_part parts[MAX_FORM_PARTS];
	size_t n;
	bool read;
};

static struct str form_value(const struct httpd_request *req, struct form *form, const char *name)
{
	if (!form->read) {
		form->read = true;
		if (!httpd_form(req, form->parts, MAX_FORM_PARTS, &form->n))
			form->n = 0;
	}
	for (size_t i = 0; i < form->n; i++)
		if (str_is(form->parts[i].name, name))
			return form->parts[i].data;
	return STR_NONE;
}

static int bad_escape(const struct api_op *op, const char *where, const char *name, struct err *err)
{
	struct schema_error error = {.fault = SCHEMA_WRONG_TYPE, .why = "has a malformed percent-encoding"};

	snprintf(error.path, sizeof(error.path), "%s%s%s", where, *name ? "." : "", name);
	snprintf(error.name, sizeof(error.name), "%s", *name ? name : where);
	return api_fault_invalid(err, op->domain, &error);
}

/* A filter that cannot be read must not count as no filter. */
static bool escapes_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '%' && (s.n - i < 3 || !isxdigit((unsigned char)s.p[i + 1]) ||
		                      !isxdigit((unsigned char)s.p[i + 2])))
			return false;
	return true;
}

static int decode_param(const struct api_op *op, const struct api_param *param, const struct api_route *route,
                        const struct httpd_request *req, struct form *form, void *in, struct err *err)
{
	static const char *const where[] = {
		[API_PATH] = "path", [API_QUERY] = "query", [API_HEADER] = "header", [API_FORM] = "form"};
	const char *name = param->field.name;
	struct schema_error error;
	struct str text = STR_NONE;

	switch (param->where) {
	case API_PATH:
		text = api_path_param(op, route, name, req->arena);
		if (!text.p)
			return bad_escape(op, "path", name, err);
		break;
	case API_QUERY:
		text = httpd_query(req, name);
		break;
	case API_HEADER:
		text = httpd_header(req, name);
		break;
	case API_FORM:
		text = form_value(req, form, name);
		break;
	}
	if (!schema_decode_text(&param->field, text, where[param->where], req->arena, in, &error))
		return api_fault_invalid(err, op->domain, &error);
	return 0;
}

static int decode_body(const struct api_op *op, const struct httpd_request *req, void *in, struct err *err)
{
	char why[160];
	const struct json *tree;
	struct schema_error error;
	char *at = (char *)in + op->body_offset;

	if (op->flags & API_OP_RAW_BODY) {
		*(struct str *)(void *)at = req->body;
		return 0;
	}
	if (!op->body)
		return 0;
	if (req->body.n == 0) {
		if (op->body_required)
			return api_fault(err, op->domain, API_FAULT_BAD_JSON, "the request body is missing");
		return 0;
	}
	if (!json_parse(req->arena, req->body, &tree, why, sizeof(why)))
		return api_fault(err, op->domain, API_FAULT_BAD_JSON, why);
	void *target = at;

	if (op->body->kind == JSON_OBJECT) {
		target = arena_alloc(req->arena, op->body->size);
		*(void **)(void *)at = target;
	} else if (op->body->kind != JSON_ARRAY) {
		*(const struct json **)(void *)at = tree;
		return 0;
	}
	if (!schema_decode(op->body, tree, "body", req->arena, target, &error))
		return api_fault_invalid(err, op->domain, &error);
	return 0;
}

int api_decode(const struct api_op *op, const struct api_route *route, const struct httpd_request *req, void *in,
               struct err *err)
{
	struct form form = {.read = false};

	if (!escapes_ok(req->query))
		return bad_escape(op, "query", "", err);
	for (size_t i = 0; i < op->n_params; i++) {
		int rc = decode_param(op, &op->params[i], route, req, &form, in, err);

		if (rc)
			return rc;
	}
	return decode_body(op, req, in, err);
}
