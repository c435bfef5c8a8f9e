/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JSON_WALK_H
#define JSON_WALK_H

#include "json/schema.h"

/* Private to this folder: what the parts of the schema walker share. */

/* A part of the path to the value at hand; the parts are linked on the stack, the text is made only for an error. */
struct step {
	const struct step *up;
	struct str name; /* p == NULL: element at index */
	size_t index;
};

struct walk {
	struct arena *a; /* NULL: check only, nothing is stored */
	bool closed;     /* unknown members are errors, null only where the schema says so */
	struct schema_error *error;
	void *match;     /* memory of the pattern matcher, made when first needed */
};

/* Writes the error and returns false. */
bool walk_fail(struct walk *w, const struct step *at, enum schema_fault fault, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Frees what the walk holds. */
void walk_done(struct walk *w);

/* Constraints of one value: length, pattern and enum; range and enum. s must be valid UTF-8. */
bool walk_check_str(struct walk *w, const struct step *at, const struct json_schema *schema, struct str s);
bool walk_check_int(struct walk *w, const struct step *at, const struct json_schema *schema, int64_t v);
bool walk_check_num(struct walk *w, const struct step *at, const struct json_schema *schema, double v);
bool walk_check_count(struct walk *w, const struct step *at, const struct json_schema *schema, size_t n);

/* Decodes into field's place in the struct at base (NULL: check only). node NULL: absent. */
bool walk_field(struct walk *w, const struct step *up, const struct json_field *field, const struct json *node,
                void *base);

/* Bytes of one value of that schema in an array; NULL: free-form. */
size_t walk_item_size(const struct json_schema *items);

#endif
