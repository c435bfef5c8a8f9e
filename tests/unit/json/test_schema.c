/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "json/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

struct point {
	int64_t x;
	double y;
	bool has_x, has_y;
};

struct point_array {
	struct point *v;
	size_t n;
};

struct shape {
	struct str name, kind, modes;
	int64_t count, level;
	bool has_count, has_level;
	bool open, has_open;
	double ratio;
	bool has_ratio;
	struct str_array tags;
	struct int_array sizes;
	struct point_array points;
	struct point *origin;
	const struct json *extra, *labels;
};

static struct json_pattern name_pattern = {.text = "^[A-Za-z\\u4e00-\\u9fa5][A-Za-z0-9_]*$"};
static struct json_pattern slow_pattern = {.text = "^(a+)+$"};
static struct json_pattern broken_pattern = {.text = "("};
static const char *const kinds[] = {"round", "square", NULL};
static const char *const levels[] = {"1", "2", NULL};

#define NO_MAX .max_len = SCHEMA_NO_LIMIT
static const struct json_schema s_name = {.kind = JSON_STRING, .min_len = 2, .max_len = 5, .pattern = &name_pattern};
static const struct json_schema s_kind = {.kind = JSON_STRING, NO_MAX, .enums = kinds};
static const struct json_schema s_modes = {.kind = JSON_STRING, NO_MAX, .enums = kinds, .flags = SCHEMA_MULTI};
static const struct json_schema s_count = {
	.kind = JSON_INT, .flags = SCHEMA_HAS_MIN | SCHEMA_HAS_MAX, .min = 1, .max = 10};
static const struct json_schema s_level = {.kind = JSON_INT, .enums = levels};
static const struct json_schema s_bool = {.kind = JSON_BOOL};
static const struct json_schema s_ratio = {.kind = JSON_NUM, .flags = SCHEMA_HAS_MIN, .min = 0};
static const struct json_schema s_tag = {.kind = JSON_STRING, .min_len = 1, .max_len = 3};
static const struct json_schema s_tags = {.kind = JSON_ARRAY, .max_len = 3, .items = &s_tag};
static const struct json_schema s_int = {.kind = JSON_INT};
static const struct json_schema s_num = {.kind = JSON_NUM};
static const struct json_schema s_sizes = {.kind = JSON_ARRAY, .min_len = 1, NO_MAX, .items = &s_int};
static const struct json_field point_fields[] = {
	{"x", &s_int, offsetof(struct point, x), offsetof(struct point, has_x), true, NULL},
	{"y", &s_num, offsetof(struct point, y), offsetof(struct point, has_y), false, "0.5"},
};
static const struct json_schema s_point = {
	.kind = JSON_OBJECT, .fields = point_fields, .n_fields = ARRAY_LEN(point_fields), .size = sizeof(struct point)};
static const struct json_schema s_points = {.kind = JSON_ARRAY, NO_MAX, .items = &s_point};
static const struct json_schema s_any = {.kind = JSON_ANY};
static const struct json_schema s_labels = {.kind = JSON_MAP, .items = &s_tag};
static const struct json_schema s_strict = {.kind = JSON_STRING, NO_MAX, .flags = SCHEMA_NULLABLE};

#define PLAIN(field, sch, req, def)                                                                                    \
	{                                                                                                              \
#field, sch, offsetof(struct shape, field), SCHEMA_NO_OFFSET, req, def                                 \
	}
#define SCALAR(field, sch, req, def)                                                                                   \
	{                                                                                                              \
#field, sch, offsetof(struct shape, field), offsetof(struct shape, has_##field), req, def              \
	}
static const struct json_field shape_fields[] = {
	PLAIN(name, &s_name, true, NULL),       PLAIN(kind, &s_kind, false, "\"round\""),
	PLAIN(modes, &s_modes, false, NULL),    SCALAR(count, &s_count, false, "3"),
	SCALAR(level, &s_level, false, NULL),   SCALAR(open, &s_bool, false, "true"),
	SCALAR(ratio, &s_ratio, false, NULL),   PLAIN(tags, &s_tags, false, NULL),
	PLAIN(sizes, &s_sizes, false, "[4,5]"), PLAIN(points, &s_points, false, NULL),
	PLAIN(origin, &s_point, false, NULL),   PLAIN(extra, &s_any, false, NULL),
	PLAIN(labels, &s_labels, false, NULL),
};
static const struct json_schema s_shape = {
	.kind = JSON_OBJECT, .fields = shape_fields, .n_fields = ARRAY_LEN(shape_fields), .size = sizeof(struct shape)};

static struct arena *arena;
static struct schema_error error;

static int set_up(void **state)
{
	arena = arena_new(1 << 20);
	return 0;
}

static int tear_down(void **state)
{
	arena_free(arena);
	return 0;
}

static const struct json *tree(const char *text)
{
	const struct json *j = NULL;
	char why[100];

	if (!json_parse(arena, str_of(text), &j, why, sizeof(why)))
		fail_msg("%s: %s", text, why);
	return j;
}

static bool decode(const char *text, struct shape *ret)
{
	*ret = (struct shape){0};
	return schema_decode(&s_shape, tree(text), "body", arena, ret, &error);
}

static void test_all_kinds(void **state)
{
	struct shape s;

	assert_true(
		decode("{\"name\":\"ab\",\"kind\":\"square\",\"modes\":\"square,round\",\"count\":10,\"level\":2,"
		       "\"open\":false,\"ratio\":2,\"tags\":[\"a\",\"b\"],\"sizes\":[-1],\"points\":[{\"x\":1},"
		       "{\"x\":2,\"y\":7}],\"origin\":{\"x\":0},\"extra\":[null],\"labels\":{\"k\":\"v\"},\"new\":1}",
		       &s));
	assert_true(str_is(s.name, "ab"));
	assert_true(str_is(s.modes, "square,round"));
	assert_true(s.has_count && s.count == 10 && s.has_level && s.level == 2);
	assert_true(s.has_open && !s.open && s.has_ratio && s.ratio == 2.0);
	assert_true(s.tags.n == 2 && str_is(s.tags.v[1], "b"));
	assert_true(s.sizes.n == 1 && s.sizes.v[0] == -1);
	assert_true(s.points.n == 2 && s.points.v[1].x == 2 && s.points.v[1].y == 7);
	assert_true(s.points.v[0].has_y && s.points.v[0].y == 0.5);
	assert_true(s.origin && s.origin->has_x && s.origin->x == 0);
	assert_int_equal(json_len(s.extra), 1);
	assert_true(str_is(json_str(json_get(s.labels, "k")), "v"));
}

static void test_defaults_and_null(void **state)
{
	struct shape s;

	assert_true(decode(
		"{\"name\":\"ab\",\"count\":null,\"kind\":null,\"tags\":null,\"origin\":null,\"extra\":null}", &s));
	assert_true(str_is(s.kind, "round"));
	assert_true(s.has_count && s.count == 3 && s.has_open && s.open);
	assert_true(s.sizes.n == 2 && s.sizes.v[1] == 5);
	assert_true(!s.has_level && !s.has_ratio && !s.tags.v && !s.origin && !s.extra && !s.labels && !s.modes.p);
	assert_true(decode("{\"name\":\"ab\",\"tags\":[]}", &s));
	assert_true(s.tags.v && s.tags.n == 0);
}

static void assert_refused(const char *text, enum schema_fault fault, const char *path, const char *name,
			   const char *why)
{
	struct shape s;

	if (decode(text, &s))
		fail_msg("accepted: %s", text);
	assert_string_equal(error.path, path);
	assert_string_equal(error.name, name);
	assert_string_equal(error.why, why);
	assert_int_equal(error.fault, fault);
}

static void test_refused(void **state)
{
	assert_refused("{}", SCHEMA_MISSING, "body.name", "name", "is required");
	assert_refused("{\"name\":null}", SCHEMA_MISSING, "body.name", "name", "is required");
	assert_refused("[]", SCHEMA_WRONG_TYPE, "body", "body", "must be an object");
	assert_refused("{\"name\":5}", SCHEMA_WRONG_TYPE, "body.name", "name", "must be a string");
	assert_refused("{\"name\":\"a\"}", SCHEMA_TOO_SHORT, "body.name", "name", "must be at least 2 characters long");
	assert_refused("{\"name\":\"abcdef\"}", SCHEMA_TOO_LONG, "body.name", "name",
		       "must not be longer than 5 characters");
	assert_refused("{\"name\":\"a-b\"}", SCHEMA_BAD_PATTERN, "body.name", "name",
		       "must match ^[A-Za-z\\u4e00-\\u9fa5][A-Za-z0-9_]*$");
	assert_refused("{\"name\":\"ab\\n\"}", SCHEMA_BAD_PATTERN, "body.name", "name",
		       "must match ^[A-Za-z\\u4e00-\\u9fa5][A-Za-z0-9_]*$");
	assert_refused("{\"name\":\"ab\",\"kind\":\"Round\"}", SCHEMA_NOT_IN_ENUM, "body.kind", "kind",
		       "must be one of round, square");
	assert_refused("{\"name\":\"ab\",\"modes\":\"round,\"}", SCHEMA_NOT_IN_ENUM, "body.modes", "modes",
		       "must be one or more of round, square");
	assert_refused("{\"name\":\"ab\",\"count\":0}", SCHEMA_OUT_OF_RANGE, "body.count", "count", "must be 1..10");
	assert_refused("{\"name\":\"ab\",\"count\":1.0}", SCHEMA_WRONG_TYPE, "body.count", "count",
		       "must be an integer");
	assert_refused("{\"name\":\"ab\",\"count\":\"1\"}", SCHEMA_WRONG_TYPE, "body.count", "count",
		       "must be an integer");
	assert_refused("{\"name\":\"ab\",\"level\":3}", SCHEMA_NOT_IN_ENUM, "body.level", "level",
		       "must be one of 1, 2");
	assert_refused("{\"name\":\"ab\",\"open\":1}", SCHEMA_WRONG_TYPE, "body.open", "open", "must be true or false");
	assert_refused("{\"name\":\"ab\",\"ratio\":-0.5}", SCHEMA_OUT_OF_RANGE, "body.ratio", "ratio",
		       "must be at least 0");
	assert_refused("{\"name\":\"ab\",\"tags\":[\"a\",\"\"]}", SCHEMA_TOO_SHORT, "body.tags[1]", "tags",
		       "must be at least 1 characters long");
	assert_refused("{\"name\":\"ab\",\"tags\":[null]}", SCHEMA_WRONG_TYPE, "body.tags[0]", "tags",
		       "must be a string");
	assert_refused("{\"name\":\"ab\",\"tags\":[1,2,3,4]}", SCHEMA_TOO_MANY, "body.tags", "tags",
		       "must not have more than 3 elements");
	assert_refused("{\"name\":\"ab\",\"sizes\":[]}", SCHEMA_TOO_FEW, "body.sizes", "sizes",
		       "must have at least 1 elements");
	assert_refused("{\"name\":\"ab\",\"points\":[{\"x\":1},{\"y\":1}]}", SCHEMA_MISSING, "body.points[1].x", "x",
		       "is required");
	assert_refused("{\"name\":\"ab\",\"labels\":{\"k\":7}}", SCHEMA_WRONG_TYPE, "body.labels.k", "k",
		       "must be a string");
}

static void test_code_points(void **state)
{
	struct shape s;

	assert_true(decode("{\"name\":\"\\u4e2daaaa\"}", &s)); /* 5 characters, 7 bytes */
	assert_false(decode("{\"name\":\"\\u4e2d\"}", &s)); /* 1 character, 3 bytes */
	assert_int_equal(error.fault, SCHEMA_TOO_SHORT);
}

static void test_hostile_patterns(void **state)
{
	struct json_schema schema = {.kind = JSON_STRING, NO_MAX, .pattern = &slow_pattern};
	struct str out;

	assert_true(schema_decode(&schema, tree("\"aaa\""), "body", arena, &out, &error));
	assert_false(schema_decode(&schema, tree("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\""), "body",
				   arena, &out, &error));
	schema.pattern = &broken_pattern;
	assert_false(schema_decode(&schema, tree("\"aaa\""), "body", arena, &out, &error));
	assert_int_equal(error.fault, SCHEMA_BAD_PATTERN);
}

static void test_array_root(void **state)
{
	struct point_array points;

	assert_true(schema_decode(&s_points, tree("[{\"x\":4}]"), "body", arena, &points, &error));
	assert_true(points.n == 1 && points.v[0].x == 4);
	assert_false(schema_decode(&s_points, tree("[{\"x\":4},{}]"), "body", arena, &points, &error));
	assert_string_equal(error.path, "body[1].x");
}

static void test_memory_limits(void **state)
{
	struct arena *small = arena_new(256);
	struct point_array points;
	const struct json *j =
		tree("[{\"x\":1},{\"x\":1},{\"x\":1},{\"x\":1},{\"x\":1},{\"x\":1},{\"x\":1},{\"x\":1},{\"x\":1},"
		     "{\"x\":1},{\"x\":1},{\"x\":1},{\"x\":1},{\"x\":1},{\"x\":1}]");

	assert_false(schema_decode(&s_points, j, "body", small, &points, &error));
	assert_string_equal(error.why, "needs too much memory");
	arena_free(small);
}

static bool text(size_t field, const char *value, struct shape *s)
{
	*s = (struct shape){0};
	return schema_decode_text(&shape_fields[field], str_of(value), "query", arena, s, &error);
}

static void test_text(void **state)
{
	struct shape s;

	assert_true(text(0, "abc", &s) && str_is(s.name, "abc"));
	assert_true(text(3, "7", &s) && s.has_count && s.count == 7);
	assert_true(text(3, NULL, &s) && s.has_count && s.count == 3);
	assert_true(text(5, "false", &s) && s.has_open && !s.open);
	assert_true(text(6, "1.25e1", &s) && s.ratio == 12.5);
	assert_true(text(7, "a,b", &s) && s.tags.n == 2 && str_is(s.tags.v[1], "b"));
	assert_true(text(8, "4,5", &s) && s.sizes.n == 2 && s.sizes.v[0] == 4);
	assert_true(text(7, "", &s) && s.tags.v && s.tags.n == 0);
	assert_false(text(0, NULL, &s));
	assert_int_equal(error.fault, SCHEMA_MISSING);
	assert_string_equal(error.path, "query.name");
	static const struct {
		size_t field;
		const char *value;
	} bad[] = {{3, ""},    {3, "1.0"},  {3, "+1"},     {3, "99"},    {3, "0x1"},   {5, "1"},  {5, "TRUE"},
		   {6, "inf"}, {6, "0x1"},  {6, ""},       {6, "-"},     {6, "1e999"}, {6, " 1"}, {6, ".5"},
		   {6, "1."},  {7, "a,,b"}, {7, "a,bbbb"}, {0, "a\xff"}, {9, "x"},     {10, "x"}};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (text(bad[i].field, bad[i].value, &s))
			fail_msg("accepted: %zu %s", bad[i].field, bad[i].value);
	assert_false(schema_decode_text(&shape_fields[0], (struct str){"a\0b", 3}, "query", arena, &s, &error));
}

static void assert_encodes(const struct shape *s, const char *want)
{
	struct buf out;

	buf_init(&out, 10000);
	schema_encode(&s_shape, s, &out);
	assert_string_equal(buf_view(&out).p, want);
	buf_done(&out);
}

static void test_encode(void **state)
{
	static const char all[] =
		"{\"name\":\"ab\",\"kind\":\"square\",\"count\":10,\"open\":false,\"ratio\":2,\"tags\":[\"a\",\"b\"],"
		"\"sizes\":[-1],\"points\":[{\"x\":1,\"y\":0.5},{\"x\":2,\"y\":7}],\"origin\":{\"x\":0,\"y\":0.5},"
		"\"extra\":[null,"
		"1.0],\"labels\":{\"k\":\"v\"}}";
	struct shape s;

	assert_true(decode(all, &s));
	assert_encodes(&s, all);
	s = (struct shape){0};
	assert_encodes(&s, "{}");
	s.tags.v = (struct str *)&s;
	s.name = STR("\"\x01");
	assert_encodes(&s, "{\"name\":\"\\\"\\u0001\",\"tags\":[]}");
}

static void test_check_reply(void **state)
{
	assert_true(schema_check_reply(&s_shape, tree("{\"name\":\"ab\",\"labels\":{\"any\":\"x\"}}"), &error));
	assert_false(schema_check_reply(&s_shape, tree("{\"name\":\"ab\",\"new\":1}"), &error));
	assert_string_equal(error.path, "reply.new");
	assert_false(schema_check_reply(&s_shape, tree("{\"name\":\"ab\",\"points\":[{\"x\":1,\"z\":1}]}"), &error));
	assert_string_equal(error.path, "reply.points[0].z");
	assert_false(schema_check_reply(&s_shape, tree("{\"name\":\"ab\",\"kind\":null}"), &error));
	assert_false(schema_check_reply(&s_shape, tree("{}"), &error));
}

static void test_nullable(void **state)
{
	struct str out = STR_NONE;
	const struct json_field fields[] = {{"s", &s_strict, 0, SCHEMA_NO_OFFSET, true, NULL}};
	const struct json_schema schema = {.kind = JSON_OBJECT, .fields = fields, .n_fields = 1, .size = sizeof(out)};

	assert_true(schema_decode(&schema, tree("{\"s\":null}"), "body", arena, &out, &error));
	assert_null(out.p);
	assert_false(schema_decode(&schema, tree("{}"), "body", arena, &out, &error));
	assert_true(schema_check_reply(&schema, tree("{\"s\":null}"), &error));
}

static void test_long_path(void **state)
{
	char json[400];
	struct shape s;

	snprintf(json, sizeof(json), "{\"name\":\"ab\",\"labels\":{\"%0300d\":1}}", 0);
	assert_false(decode(json, &s));
	assert_int_equal(strlen(error.path), sizeof(error.path) - 1);
	assert_int_equal(strlen(error.name), sizeof(error.name) - 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_all_kinds),        T(test_defaults_and_null), T(test_refused),       T(test_code_points),
		T(test_hostile_patterns), T(test_array_root),        T(test_memory_limits), T(test_text),
		T(test_encode),           T(test_check_reply),       T(test_nullable),      T(test_long_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
