/* SPDX-License-Identifier: Apache-2.0 */
#include "json/schema.h"

#include "base/enc.h"
#include "json/walk.h"

#include <math.h>
#include <stdlib.h>

/* A JSON number (RFC 8259 section 6) as the whole text; strtod() alone takes more: hexadecimal, "inf", spaces. */
static bool to_num(struct str text, double *ret)
{
	char copy[64], *end;

	if (text.n == 0 || text.n >= sizeof(copy))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	const char *first = copy[0] == '-' ? copy + 1 : copy, *last = copy + text.n - 1;

	if (strspn(copy, "0123456789+-.eE") != text.n || *first < '0' || *first > '9' || *last < '0' || *last > '9')
		return false;
	double v = strtod(copy, &end);

	if (*end || !isfinite(v))
		return false;
	*ret = v;
	return true;
}

static bool fail_text(struct walk *w, const struct step *at, const char *why)
{
	return walk_fail(w, at, SCHEMA_WRONG_TYPE, "must be %s", why);
}

static bool decode_scalar(struct walk *w, const struct step *at, const struct json_schema *schema, struct str text,
                          void *slot)
{
	long long v;

	switch (schema->kind) {
	case JSON_STRING:
		if (!enc_utf8_valid(text) || str_find(text, '\0', 0) != text.n)
			return fail_text(w, at, "valid UTF-8 without NUL characters");
		*(struct str *)slot = text;
		return walk_check_str(w, at, schema, text);
	case JSON_INT:
		if (!str_to_int(text, INT64_MIN, INT64_MAX, &v))
			return fail_text(w, at, "an integer");
		*(int64_t *)slot = v;
		return walk_check_int(w, at, schema, v);
	case JSON_NUM:
		if (!to_num(text, slot))
			return fail_text(w, at, "a number");
		return walk_check_num(w, at, schema, *(double *)slot);
	case JSON_BOOL:
		if (!str_is(text, "true") && !str_is(text, "false"))
			return fail_text(w, at, "true or false");
		*(bool *)slot = text.n == 4;
		return true;
	default:
		return fail_text(w, at, "a value that can be written as text");
	}
}

static bool decode_list(struct walk *w, const struct step *at, const struct json_schema *schema, struct str text,
                        void *slot)
{
	size_t n = 0, size = walk_item_size(schema->items);

	for (struct str rest = text; text.n && rest.p; n++)
		str_cut(&rest, ',');
	if (!schema->items || schema->items->kind > JSON_BOOL)
		return fail_text(w, at, "a list that can be written as text");
	if (!walk_check_count(w, at, schema, n))
		return false;
	char *items = arena_try(w->a, n * size);

	if (!items)
		return walk_fail(w, at, SCHEMA_TOO_MANY, "needs too much memory");
	struct str rest = text;

	for (size_t i = 0; i < n; i++) {
		struct step step = {at, STR_NONE, i};

		if (!decode_scalar(w, &step, schema->items, str_cut(&rest, ','), items + i * size))
			return false;
	}
	*(struct str_array *)slot = (struct str_array){(struct str *)(void *)items, n};
	return true;
}

static bool decode_text(struct walk *w, const struct step *up, const struct json_field *field, struct str text,
                        void *base)
{
	struct step at = {up, str_of(field->name), 0};
	void *slot = (char *)base + field->offset;
	bool ok = field->schema->kind == JSON_ARRAY ? decode_list(w, &at, field->schema, text, slot)
	                                            : decode_scalar(w, &at, field->schema, text, slot);

	if (ok && field->has_offset != SCHEMA_NO_OFFSET)
		*((bool *)base + field->has_offset) = true;
	return ok;
}

bool schema_decode_text(const struct json_field *field, struct str text, const char *where, struct arena *a,
                        void *ret_struct, struct schema_error *error)
{
	struct walk w = {.a = a, .error = error};
	struct step up = {NULL, str_of(where), 0};

	error->fault = SCHEMA_OK;
	bool ok = text.p ? decode_text(&w, &up, field, text, ret_struct) : walk_field(&w, &up, field, NULL, ret_struct);

	walk_done(&w);
	return ok;
}
