/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "json/node.h"

/* The library's kinds have the names of ours. */
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_NULL JANSSON_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_NULL
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define DEPTH_MAX 64
#define VALUES_MAX 2000000 /* a value takes some hundred bytes, however short its text */

static pthread_once_t set_up = PTHREAD_ONCE_INIT;

/* Makes the library's allocations fail where ours would, so that the tests of exhausted memory reach into it. */
static void use_our_memory(void)
{
	json_set_alloc_funcs(mem_try, free);
}

/* What the library does not refuse: it stops at 2048 levels only, while everything that walks a tree afterwards
 * recurses; it knows no limit of memory; and it takes a NUL for the end of the text. Returns what is wrong at *ret_at,
 * or NULL. */
static const char *precheck(struct str text, size_t *ret_at)
{
	size_t depth = 0, values = 0;
	bool quoted = false;

	*ret_at = str_find(text, '\0', 0);
	if (*ret_at < text.n)
		return "NUL character";
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];

		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '[' || c == '{') {
			if (++depth > DEPTH_MAX) {
				*ret_at = i;
				return "nested deeper than 64 levels";
			}
			values++;
		} else if (c == ',') {
			values++;
		} else if ((c == ']' || c == '}') && depth) {
			depth--;
		}
		if (values > VALUES_MAX) {
			*ret_at = i;
			return "more than two million values";
		}
	}
	return NULL;
}

static void explain_precheck(const char *fault, struct str text, size_t at, char *ret_why, size_t size)
{
	size_t line = 1, column = 1;

	for (size_t i = 0; i < at; i++) {
		column = text.p[i] == '\n' ? 1 : column + 1;
		line += text.p[i] == '\n';
	}
	snprintf(ret_why, size, "line %zu column %zu: %s", line, column, fault);
}

/* The library quotes the input behind "near": that may be a password, so it is cut. */
static void explain(const json_error_t *e, char *ret_why, size_t size)
{
	const char *near = strstr(e->text, " near ");
	int n = near ? (int)(near - e->text) : (int)strlen(e->text);

	snprintf(ret_why, size, "line %d column %d: %.*s", e->line, e->column, n, e->text);
}

static bool convert(struct arena *a, json_t *in, struct json *out);

/* Memory for n children in one piece; false when the arena is exhausted. */
static bool room_for_children(struct arena *a, size_t n, struct json *out, struct json **ret_nodes)
{
	out->n = (uint32_t)n;
	if (!n)
		return true;
	*ret_nodes = arena_try(a, n * sizeof(struct json));
	out->values = arena_try(a, n * sizeof(*out->values));
	if (out->kind == JSON_OBJECT)
		out->names = arena_try(a, n * sizeof(*out->names));
	return *ret_nodes && out->values && (out->kind != JSON_OBJECT || out->names);
}

static bool copy_bytes(struct arena *a, const char *p, size_t n, struct str *ret)
{
	char *copy = arena_try(a, n + 1);

	if (!copy)
		return false;
	memcpy(copy, p, n);
	*ret = (struct str){copy, n};
	return true;
}

static bool convert_array(struct arena *a, json_t *in, struct json *out)
{
	struct json *nodes = NULL;

	out->kind = JSON_ARRAY;
	if (!room_for_children(a, json_array_size(in), out, &nodes))
		return false;
	for (size_t i = 0; i < out->n; i++) {
		out->values[i] = &nodes[i];
		if (!convert(a, json_array_get(in, i), &nodes[i]))
			return false;
	}
	return true;
}

static bool convert_object(struct arena *a, json_t *in, struct json *out)
{
	struct json *nodes = NULL;
	size_t i = 0;

	out->kind = JSON_OBJECT;
	if (!room_for_children(a, json_object_size(in), out, &nodes))
		return false;
	for (void *it = json_object_iter(in); it; it = json_object_iter_next(in, it), i++) {
		out->values[i] = &nodes[i];
		if (!copy_bytes(a, json_object_iter_key(it), json_object_iter_key_len(it), &out->names[i]) ||
		    !convert(a, json_object_iter_value(it), &nodes[i]))
			return false;
	}
	return true;
}

static bool convert_string(struct arena *a, json_t *in, struct json *out)
{
	struct str s;

	if (!copy_bytes(a, json_string_value(in), json_string_length(in), &s))
		return false;
	*out = (struct json){.kind = JSON_STRING, .n = (uint32_t)s.n, .s = s.p};
	return true;
}

/* Moves a tree of the library into the arena: there, members have an index, and freeing costs nothing. False when the
 * arena is exhausted. */
static bool convert(struct arena *a, json_t *in, struct json *out)
{
	switch (json_typeof(in)) {
	case JANSSON_OBJECT:
		return convert_object(a, in, out);
	case JANSSON_ARRAY:
		return convert_array(a, in, out);
	case JANSSON_STRING:
		return convert_string(a, in, out);
	case JSON_INTEGER:
		*out = (struct json){.kind = JSON_INT, .i = json_integer_value(in)};
		return true;
	case JSON_REAL:
		*out = (struct json){.kind = JSON_NUM, .d = json_real_value(in)};
		return true;
	case JSON_TRUE:
	case JSON_FALSE:
		*out = (struct json){.kind = JSON_BOOL, .b = json_typeof(in) == JSON_TRUE};
		return true;
	case JANSSON_NULL:
		break;
	}
	*out = (struct json){.kind = JSON_NULL};
	return true;
}

bool json_parse(struct arena *a, struct str text, const struct json **ret, char *ret_why, size_t size)
{
	json_error_t e;
	size_t at = 0;

	pthread_once(&set_up, use_our_memory);
	const char *fault = precheck(text, &at);

	if (fault) {
		explain_precheck(fault, text, at, ret_why, size);
		return false;
	}
	json_t *tree = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);

	if (!tree) {
		explain(&e, ret_why, size);
		return false;
	}
	struct json *root = arena_try(a, sizeof(*root));
	bool ok = root && convert(a, tree, root);

	json_decref(tree);
	if (!ok) {
		snprintf(ret_why, size, "the document needs too much memory");
		return false;
	}
	*ret = root;
	return true;
}
