/* SPDX-License-Identifier: Apache-2.0 */
#include "json/schema.h"

#include "json/walk.h"

static bool decode(struct walk *w, const struct step *at, const struct json_schema *schema, const struct json *node,
                   void *slot);

size_t walk_item_size(const struct json_schema *items)
{
	switch (items ? items->kind : JSON_ANY) {
	case JSON_STRING:
		return sizeof(struct str);
	case JSON_INT:
		return sizeof(int64_t);
	case JSON_NUM:
		return sizeof(double);
	case JSON_BOOL:
		return sizeof(bool);
	case JSON_ARRAY:
		return sizeof(struct str_array);
	case JSON_OBJECT:
		return items->size;
	default:
		return sizeof(const struct json *);
	}
}

static bool fail_memory(struct walk *w, const struct step *at)
{
	return walk_fail(w, at, SCHEMA_TOO_MANY, "needs too much memory");
}

static bool fail_type(struct walk *w, const struct step *at, const struct json_schema *schema)
{
	static const char *const names[] = {
		[JSON_STRING] = "a string",    [JSON_INT] = "an integer", [JSON_NUM] = "a number",
		[JSON_BOOL] = "true or false", [JSON_ARRAY] = "an array", [JSON_OBJECT] = "an object",
		[JSON_ANY] = "a value",        [JSON_MAP] = "an object",  [JSON_NULL] = "null",
	};

	return walk_fail(w, at, SCHEMA_WRONG_TYPE, "must be %s", names[schema->kind]);
}

static bool decode_array(struct walk *w, const struct step *at, const struct json_schema *schema,
                         const struct json *node, void *slot)
{
	size_t n = json_len(node), size = walk_item_size(schema->items);
	char *items = NULL;

	if (!walk_check_count(w, at, schema, n))
		return false;
	if (slot) {
		items = size && n > SIZE_MAX / 2 / size ? NULL : arena_try(w->a, n * size);
		if (!items)
			return fail_memory(w, at);
	}
	for (size_t i = 0; i < n; i++) {
		const struct json *item = json_at(node, i);
		struct step step = {at, STR_NONE, i};
		void *place = items ? items + i * size : NULL;

		if (schema->items && !decode(w, &step, schema->items, item, place))
			return false;
		if (!schema->items && place)
			*(const struct json **)place = item;
	}
	if (slot) {
		struct {
			void *v;
			size_t n;
		} pair = {items, n};

		_Static_assert(sizeof(pair) == sizeof(struct str_array), "all arrays lie alike");
		memcpy(slot, &pair, sizeof(pair));
	}
	return true;
}

static bool known(const struct json_schema *schema, struct str name)
{
	for (size_t i = 0; i < schema->n_fields; i++)
		if (str_is(name, schema->fields[i].name))
			return true;
	return false;
}

static bool decode_object(struct walk *w, const struct step *at, const struct json_schema *schema,
                          const struct json *node, void *base)
{
	const struct json *value;
	struct str name;

	for (size_t i = 0; i < schema->n_fields; i++)
		if (!walk_field(w, at, &schema->fields[i], json_get(node, schema->fields[i].name), base))
			return false;
	for (size_t i = 0; w->closed && json_member(node, i, &name, &value); i++) {
		struct step step = {at, name, 0};

		if (!known(schema, name))
			return walk_fail(w, &step, SCHEMA_WRONG_TYPE, "is not in the description");
	}
	return true;
}

/* The values are checked and the tree is kept. */
static bool decode_map(struct walk *w, const struct step *at, const struct json_schema *schema,
                       const struct json *node, void *slot)
{
	const struct json *value;
	struct str name;

	for (size_t i = 0; schema->items && json_member(node, i, &name, &value); i++) {
		struct step step = {at, name, 0};

		if (!decode(w, &step, schema->items, value, NULL))
			return false;
	}
	if (slot)
		*(const struct json **)slot = node;
	return true;
}

static bool kind_fits(const struct json_schema *schema, const struct json *node)
{
	enum json_kind kind = json_kind(node);

	switch (schema->kind) {
	case JSON_ANY:
		return true;
	case JSON_MAP:
		return kind == JSON_OBJECT;
	case JSON_NUM:
		return kind == JSON_NUM || kind == JSON_INT;
	default:
		return kind == schema->kind;
	}
}

/* Decodes a present value into slot: for an OBJECT the struct itself. slot NULL: check only. */
static bool decode(struct walk *w, const struct step *at, const struct json_schema *schema, const struct json *node,
                   void *slot)
{
	if (!kind_fits(schema, node))
		return fail_type(w, at, schema);
	switch (schema->kind) {
	case JSON_STRING:
		if (slot)
			*(struct str *)slot = json_str(node);
		return walk_check_str(w, at, schema, json_str(node));
	case JSON_INT:
		if (slot)
			*(int64_t *)slot = json_int(node);
		return walk_check_int(w, at, schema, json_int(node));
	case JSON_NUM:
		if (slot)
			*(double *)slot = json_num(node);
		return walk_check_num(w, at, schema, json_num(node));
	case JSON_BOOL:
		if (slot)
			*(bool *)slot = json_bool(node);
		return true;
	case JSON_ARRAY:
		return decode_array(w, at, schema, node, slot);
	case JSON_OBJECT:
		return decode_object(w, at, schema, node, slot);
	case JSON_MAP:
		return decode_map(w, at, schema, node, slot);
	default:
		if (slot)
			*(const struct json **)slot = node;
		return true;
	}
}

/* Defaults are JSON text of our own description; plain ones, nearly all, need no parser. */
static const struct json *parse_default(struct walk *w, const char *def)
{
	struct str text = str_of(def);
	const struct json *node = NULL;
	char why[80];
	long long v;

	if (str_to_int(text, INT64_MIN, INT64_MAX, &v))
		return json_new_int(w->a, v);
	if (str_is(text, "true") || str_is(text, "false"))
		return json_new_bool(w->a, *def == 't');
	return json_parse(w->a, text, &node, why, sizeof(why)) ? node : NULL;
}

static bool absent(struct walk *w, const struct step *at, const struct json_field *field, void *base)
{
	if (field->required)
		return walk_fail(w, at, SCHEMA_MISSING, "is required");
	if (!field->def || !base)
		return true;
	const struct json *node = parse_default(w, field->def);

	if (!node)
		return walk_fail(w, at, SCHEMA_WRONG_TYPE, "has a default that is no JSON");
	if (json_kind(node) == JSON_NULL)
		return true;
	struct json_field present = *field;

	present.def = NULL;
	return walk_field(w, at->up, &present, node, base);
}

/* Where null is to be taken for "no value". */
static bool null_is_absent(const struct walk *w, const struct json_field *field)
{
	if (field->schema->flags & SCHEMA_NULLABLE)
		return true;
	if (w->closed)
		return false;
	return !field->required || field->schema->kind != JSON_ANY;
}

bool walk_field(struct walk *w, const struct step *up, const struct json_field *field, const struct json *node,
                void *base)
{
	const struct json_schema *schema = field->schema;
	struct step at = {up, str_of(field->name), 0};

	if (node && json_kind(node) == JSON_NULL && null_is_absent(w, field)) {
		if (schema->flags & SCHEMA_NULLABLE && field->required)
			return true;
		node = NULL;
	}
	if (!node)
		return absent(w, &at, field, base);
	if (!base)
		return decode(w, &at, schema, node, NULL);
	void *slot = (char *)base + field->offset;

	if (schema->kind == JSON_OBJECT) {
		void *object = arena_try(w->a, schema->size);

		if (!object)
			return fail_memory(w, &at);
		if (!decode(w, &at, schema, node, object))
			return false;
		*(void **)slot = object;
		return true;
	}
	if (!decode(w, &at, schema, node, slot))
		return false;
	if (field->has_offset != SCHEMA_NO_OFFSET)
		*((bool *)base + field->has_offset) = true;
	return true;
}

bool schema_decode(const struct json_schema *schema, const struct json *tree, const char *root, struct arena *a,
                   void *ret, struct schema_error *error)
{
	struct walk w = {.a = a, .error = error};
	struct step at = {NULL, str_of(root), 0};

	error->fault = SCHEMA_OK;
	bool ok = decode(&w, &at, schema, tree, ret);

	walk_done(&w);
	return ok;
}

bool schema_check_reply(const struct json_schema *schema, const struct json *tree, struct schema_error *error)
{
	struct walk w = {.closed = true, .error = error};
	struct step at = {NULL, STR("reply"), 0};

	error->fault = SCHEMA_OK;
	bool ok = decode(&w, &at, schema, tree, NULL);

	walk_done(&w);
	return ok;
}
