/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JSON_JSON_H
#define JSON_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

/* JSON trees for free-form values, behind which the JSON library (jansson) hides. Parsing is strict: RFC 8259,
 * duplicate keys, invalid UTF-8, NUL characters, numbers outside int64 and double, nesting above 64 and more than two
 * million values are refused. A tree lives until its arena goes and does not refer to the parsed text. Any thread, one
 * at a time per tree. */
struct json;

enum json_kind {
	JSON_STRING,
	JSON_INT,
	JSON_NUM,
	JSON_BOOL,
	JSON_ARRAY,
	JSON_OBJECT,
	JSON_ANY, /* free-form */
	JSON_MAP, /* free keys, values of one schema; kept as free-form */
	JSON_NULL /* kind of a tree node only, never of a schema */
};

/* Any JSON value, not only objects and arrays. On failure (which includes a full arena) returns false and writes a
 * reason such as "line 1 column 7: duplicate object key" to ret_why (size bytes); it never quotes the text. */
bool json_parse(struct arena *a, struct str text, const struct json **ret, char *ret_why, size_t size);

enum json_kind json_kind(const struct json *j);
/* Member of an object, NULL when absent or when j is no object. */
const struct json *json_get(const struct json *j, const char *name);
/* Element of an array. */
size_t json_len(const struct json *j);
const struct json *json_at(const struct json *j, size_t i);
/* Members of an object in their order; false behind the last. */
bool json_member(const struct json *j, size_t i, struct str *ret_name, const struct json **ret_value);
/* Value of a node of that kind; otherwise, and of NULL, STR_NONE / 0 / false. json_num() takes an INT too. */
struct str json_str(const struct json *j);
long long json_int(const struct json *j);
double json_num(const struct json *j);
bool json_bool(const struct json *j);

/* Building free-form values, in the arena of each node: a full arena aborts, so what others decide the size of is
 * better streamed into a struct buf. Strings and names are copied. Setting a member again replaces its value. */
struct json *json_new_object(struct arena *a);
struct json *json_new_array(struct arena *a);
struct json *json_new_str(struct arena *a, struct str s); /* invalid UTF-8 becomes U+FFFD */
struct json *json_new_int(struct arena *a, long long v);
struct json *json_new_num(struct arena *a, double v);
struct json *json_new_bool(struct arena *a, bool v);
struct json *json_new_null(struct arena *a);
void json_set(struct json *object, struct str name, const struct json *value);
void json_push(struct json *array, const struct json *value);

/* Compact text of a tree, object members in their order. A NUM keeps its point ("3.0") or exponent, so that it reads
 * back as a NUM; infinity and NaN become null. */
void json_print(struct buf *out, const struct json *j);

/* One string with its quotes, escaped. Invalid UTF-8 becomes U+FFFD. */
void json_print_str(struct buf *out, struct str s);

#endif
