/* SPDX-License-Identifier: Apache-2.0 */
#include "json/schema.h"

#include "json/node.h"
#include "json/walk.h"

static void encode(const struct json_schema *schema, const void *value, struct buf *out);

static void encode_array(const struct json_schema *schema, const void *value, struct buf *out)
{
	const struct str_array *pair = value; /* all arrays lie alike */
	const char *items = (const char *)pair->v;
	size_t size = walk_item_size(schema->items);

	buf_char(out, '[');
	for (size_t i = 0; i < pair->n; i++) {
		if (i)
			buf_char(out, ',');
		if (schema->items)
			encode(schema->items, items + i * size, out);
		else
			json_print(out, *(const struct json *const *)(const void *)(items + i * size));
	}
	buf_char(out, ']');
}

/* What schema.h says about "absent". */
static bool present(const struct json_field *field, const char *base)
{
	const void *slot = base + field->offset;

	switch (field->schema->kind) {
	case JSON_STRING:
		return ((const struct str *)slot)->p;
	case JSON_ARRAY:
		return ((const struct str_array *)slot)->v;
	case JSON_INT:
	case JSON_NUM:
	case JSON_BOOL:
		return field->has_offset == SCHEMA_NO_OFFSET || *(const bool *)(base + field->has_offset);
	default:
		return *(const void *const *)slot;
	}
}

static void encode_object(const struct json_schema *schema, const char *base, struct buf *out)
{
	bool first = true;

	buf_char(out, '{');
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct json_field *field = &schema->fields[i];
		const void *slot = base + field->offset;

		if (!present(field, base))
			continue;
		if (!first)
			buf_char(out, ',');
		first = false;
		json_print_str(out, str_of(field->name));
		buf_char(out, ':');
		encode(field->schema, field->schema->kind == JSON_OBJECT ? *(const void *const *)slot : slot, out);
	}
	buf_char(out, '}');
}

/* A present value: for an OBJECT the struct itself. */
static void encode(const struct json_schema *schema, const void *value, struct buf *out)
{
	const struct json *tree;

	switch (schema->kind) {
	case JSON_STRING:
		json_print_str(out, *(const struct str *)value);
		break;
	case JSON_INT:
		buf_int(out, *(const int64_t *)value);
		break;
	case JSON_NUM:
		json_print_num(out, *(const double *)value, false);
		break;
	case JSON_BOOL:
		buf_cstr(out, *(const bool *)value ? "true" : "false");
		break;
	case JSON_ARRAY:
		encode_array(schema, value, out);
		break;
	case JSON_OBJECT:
		encode_object(schema, value, out);
		break;
	default:
		tree = *(const struct json *const *)value;
		if (tree)
			json_print(out, tree);
		else
			buf_cstr(out, "null");
	}
}

void schema_encode(const struct json_schema *schema, const void *value, struct buf *out)
{
	encode(schema, value, out);
}
