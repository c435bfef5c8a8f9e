/* SPDX-License-Identifier: Apache-2.0 */
#include "json/schema.h"

#include <stddef.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct leaf {
	struct str name;
	int64_t n;
	double d;
	bool has_n, has_d, b, has_b;
	const struct json *any, *map;
	struct str_array list;
};

struct root {
	struct {
		struct leaf *v;
		size_t n;
	} leaves;
	struct leaf *leaf;
};

static const char *const words[] = {"a", "b", NULL};
static struct json_pattern pattern = {.text = "^(a|b|,)*$"};
static const struct json_schema s_str = {
	.kind = JSON_STRING, .flags = SCHEMA_MULTI, .max_len = 20, .enums = words, .pattern = &pattern};
static const struct json_schema s_int = {.kind = JSON_INT, .flags = SCHEMA_HAS_MAX, .max = 100};
static const struct json_schema s_num = {.kind = JSON_NUM};
static const struct json_schema s_bool = {.kind = JSON_BOOL};
static const struct json_schema s_any = {.kind = JSON_ANY};
static const struct json_schema s_map = {.kind = JSON_MAP, .items = &s_int};
static const struct json_schema s_list = {.kind = JSON_ARRAY, .max_len = SCHEMA_NO_LIMIT, .items = &s_str};

#define PLAIN(s, f, sch, def)                                                                                          \
	{                                                                                                              \
#f, sch, offsetof(struct s, f), SCHEMA_NO_OFFSET, false, def                                           \
	}
#define SCALAR(s, f, sch, def)                                                                                         \
	{                                                                                                              \
#f, sch, offsetof(struct s, f), offsetof(struct s, has_##f), false, def                                \
	}
static const struct json_field leaf_fields[] = {
	PLAIN(leaf, name, &s_str, NULL),       SCALAR(leaf, n, &s_int, "5"),   SCALAR(leaf, d, &s_num, NULL),
	SCALAR(leaf, b, &s_bool, NULL),        PLAIN(leaf, any, &s_any, NULL), PLAIN(leaf, map, &s_map, NULL),
	PLAIN(leaf, list, &s_list, "[\"a\"]"),
};
static const struct json_schema s_leaf = {
	.kind = JSON_OBJECT, .fields = leaf_fields, .n_fields = 7, .size = sizeof(struct leaf)};
static const struct json_schema s_leaves = {.kind = JSON_ARRAY, .max_len = 10, .items = &s_leaf};
static const struct json_field root_fields[] = {PLAIN(root, leaves, &s_leaves, NULL), PLAIN(root, leaf, &s_leaf, NULL)};
static const struct json_schema s_root = {
	.kind = JSON_OBJECT, .fields = root_fields, .n_fields = 2, .size = sizeof(struct root)};

/* What decodes must encode to text that passes the reply check. */
static void round_trip(struct arena *a, const struct json *tree)
{
	struct schema_error error;
	struct root root = {0};
	char why[200];
	struct buf out;

	if (!schema_decode(&s_root, tree, "body", a, &root, &error)) {
		if (error.fault == SCHEMA_OK || !*error.path || !*error.why)
			abort();
		return;
	}
	buf_init(&out, 1 << 22);
	schema_encode(&s_root, &root, &out);
	if (!json_parse(a, buf_view(&out), &tree, why, sizeof(why)) || !schema_check_reply(&s_root, tree, &error))
		abort();
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(1 << 22);
	struct str text = {(const char *)data, size};
	struct schema_error error;
	const struct json *tree;
	struct leaf leaf = {0};
	char why[200];

	if (json_parse(a, text, &tree, why, sizeof(why)))
		round_trip(a, tree);
	for (size_t i = 0; i < s_leaf.n_fields; i++)
		schema_decode_text(&leaf_fields[i], text, "query", a, &leaf, &error);
	arena_free(a);
	return 0;
}
