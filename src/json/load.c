/* SPDX-License-Identifier: Apache-2.0 */
#include "json/schema.h"

#include "json/walk.h"

/* Structure without constraints, for documents that were checked when they came in. */

#define MAX_DEFAULT 256

struct vector {
	void *v;
	size_t n;
};

static bool load_object(const struct json_schema *schema, const struct json *tree, struct arena *a, char *to);
static bool load_value(const struct json_schema *schema, const struct json *tree, struct arena *a, void *to);

static bool load_array(const struct json_schema *schema, const struct json *tree, struct arena *a, struct vector *to)
{
	const struct json_schema *items = schema->items;
	size_t n = json_len(tree);
	size_t size = walk_item_size(items);
	char *v = arena_try(a, size * n + 1);

	if (!v)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct json *item = json_at(tree, i);

		if (!items)
			((const struct json **)(void *)v)[i] = item;
		else if (items->kind == JSON_OBJECT ? !load_object(items, item, a, v + size * i)
		                                    : !load_value(items, item, a, v + size * i))
			return false;
	}
	to->v = v;
	to->n = n;
	return true;
}

static bool load_value(const struct json_schema *schema, const struct json *tree, struct arena *a, void *to)
{
	enum json_kind kind = json_kind(tree);
	void *object;

	if (schema->kind != JSON_ANY && schema->kind != JSON_MAP && kind != schema->kind &&
	    !(schema->kind == JSON_NUM && kind == JSON_INT))
		return false;
	switch (schema->kind) {
	case JSON_STRING:
		*(struct str *)to = json_str(tree);
		return true;
	case JSON_INT:
		*(int64_t *)to = json_int(tree);
		return true;
	case JSON_NUM:
		*(double *)to = kind == JSON_INT ? (double)json_int(tree) : json_num(tree);
		return true;
	case JSON_BOOL:
		*(bool *)to = json_bool(tree);
		return true;
	case JSON_ARRAY:
		return load_array(schema, tree, a, to);
	case JSON_OBJECT:
		object = arena_try(a, schema->size);
		*(void **)to = object;
		return object && load_object(schema, tree, a, object);
	default:
		*(const struct json **)to = tree;
		return true;
	}
}

static bool load_field(const struct json_field *field, const struct json *value, struct arena *a, char *to)
{
	char why[MAX_DEFAULT];

	if (value && json_kind(value) == JSON_NULL && field->schema->kind != JSON_ANY)
		value = NULL;
	/* Written before the field existed. */
	if (!value && field->def && !json_parse(a, str_of(field->def), &value, why, sizeof(why)))
		return false;
	if (!value)
		return true;
	if (!load_value(field->schema, value, a, to + field->offset))
		return false;
	if (field->has_offset != SCHEMA_NO_OFFSET)
		*(bool *)(to + field->has_offset) = true;
	return true;
}

static bool load_object(const struct json_schema *schema, const struct json *tree, struct arena *a, char *to)
{
	if (json_kind(tree) != JSON_OBJECT)
		return false;
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct json_field *field = &schema->fields[i];

		if (!load_field(field, json_get(tree, field->name), a, to))
			return false;
	}
	return true;
}

bool schema_load(const struct json_schema *schema, const struct json *tree, struct arena *a, void *ret)
{
	return schema->kind == JSON_OBJECT ? load_object(schema, tree, a, ret) : load_value(schema, tree, a, ret);
}
