/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JSON_SCHEMA_H
#define JSON_SCHEMA_H

#include "json/json.h"

/* Tables (generated from spec/) that say how JSON and a C struct correspond, and what is valid.
 *
 * How a value lies in a struct at field.offset:
 *   STRING   struct str                 absent: p == NULL
 *   INT      int64_t                    present: bool at field.has_offset
 *   NUM      double                     present: bool at field.has_offset
 *   BOOL     bool                       present: bool at field.has_offset
 *   ARRAY    struct { T *v; size_t n; } absent: v == NULL (a present empty array has v != NULL)
 *            T: struct str, int64_t, double, bool, or the item's struct itself (not a pointer)
 *   OBJECT   struct X *                 absent: NULL
 *   ANY, MAP const struct json *        absent: NULL
 */
enum {
	SCHEMA_NULLABLE = 1,   /* null is accepted and means absent */
	SCHEMA_SECRET = 2,     /* never logged, never in errors */
	SCHEMA_MULTI = 4,      /* enum: several values separated by commas */
	SCHEMA_HAS_MIN = 8,
	SCHEMA_HAS_MAX = 16
};

#define SCHEMA_NO_LIMIT UINT32_MAX
#define SCHEMA_NO_OFFSET UINT32_MAX

struct json_schema;

struct json_field {
	const char *name;
	const struct json_schema *schema;
	uint32_t offset, has_offset; /* has_offset: INT, NUM and BOOL, else SCHEMA_NO_OFFSET */
	bool required;
	const char *def; /* default as JSON text, or NULL */
};

/* A regular expression (PCRE2, UTF mode), compiled when first used. */
struct json_pattern {
	const char *text;
	void *compiled; /* set once, atomically */
};

struct json_schema {
	enum json_kind kind;
	unsigned flags;
	int64_t min, max;           /* INT, NUM: value, when flagged */
	uint32_t min_len, max_len;  /* STRING: code points; ARRAY: items; max_len SCHEMA_NO_LIMIT: none */
	struct json_pattern *pattern;
	const char *const *enums;   /* NULL-terminated; ints as text */
	const struct json_field *fields;
	size_t n_fields;
	const struct json_schema *items; /* ARRAY, MAP (may be NULL: anything) */
	size_t size;                /* bytes of the C struct (OBJECT) */
	const char *name;           /* OBJECT: name in the description */
};

/* Why a value was refused. path is like "body.backend.timeout" or "query.limit". */
enum schema_fault {
	SCHEMA_OK,
	SCHEMA_MISSING,
	SCHEMA_WRONG_TYPE,
	SCHEMA_TOO_LONG,
	SCHEMA_TOO_SHORT,
	SCHEMA_OUT_OF_RANGE,
	SCHEMA_NOT_IN_ENUM,
	SCHEMA_BAD_PATTERN,
	SCHEMA_TOO_MANY,
	SCHEMA_TOO_FEW
};

struct schema_error {
	enum schema_fault fault;
	char path[256];
	char name[96];  /* last part of the path: the field */
	char why[192];  /* "must be 1..60000", "must not be longer than 64 characters", ... */
};

/* Decodes a tree into the zeroed struct at ret (schema.kind OBJECT: of schema.size bytes; ARRAY: the {v, n} pair),
 * checking every constraint and filling defaults. Unknown members are ignored. root names the start of the path
 * ("body"). Strings, arrays and nested structs are in the arena or in the tree. An explicit null for a field that is
 * not required counts as absent (its default is filled), also for free-form fields; for a required one it is
 * SCHEMA_MISSING unless the schema is SCHEMA_NULLABLE or free-form. An INT is taken where a NUM is expected, 1.0 is
 * not where an INT is. Values of a MAP are checked against its items. What does not fit into the arena is
 * SCHEMA_TOO_MANY. Patterns are searched, not anchored, and a match that takes too many steps counts as none. */
bool schema_decode(const struct json_schema *schema, const struct json *tree, const char *root, struct arena *a,
                   void *ret, struct schema_error *error);

/* Decodes a document of our own store into the zeroed struct at ret, as schema_decode() does, but checks only the
 * structure: constraints may have become narrower since it was written. Defaults are filled, unknown members ignored.
 * False when a value has another kind than its schema says, or the arena is full. Any thread. */
bool schema_load(const struct json_schema *schema, const struct json *tree, struct arena *a, void *ret);

/* Decodes one parameter given as text (query, path, header, form field): an INT, NUM, BOOL ("true"/"false") or
 * STRING, or an ARRAY of STRINGs split at commas. field.offset and has_offset say where. text absent: default or
 * SCHEMA_MISSING when required. where is "query", "path", "header" or "form". Strings point into text. Lists may
 * also be of INT, NUM and BOOL; an empty text is an empty list. */
bool schema_decode_text(const struct json_field *field, struct str text, const char *where, struct arena *a,
                        void *ret_struct, struct schema_error *error);

/* Writes the struct (for an ARRAY the {v, n} pair, for ANY and MAP the pointer) as JSON: only the schema's own fields,
 * absent ones left out. */
void schema_encode(const struct json_schema *schema, const void *value, struct buf *out);

/* Checks a JSON text that we are about to send or have stored (dev builds, tests): unknown members are errors here. */
bool schema_check_reply(const struct json_schema *schema, const struct json *tree, struct schema_error *error);

#endif
