/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"

#include "base/enc.h"
#include "json/node.h"

enum json_kind json_kind(const struct json *j)
{
	return j ? j->kind : JSON_NULL;
}

static bool container(const struct json *j)
{
	return j && (j->kind == JSON_ARRAY || j->kind == JSON_OBJECT);
}

const struct json *json_get(const struct json *j, const char *name)
{
	struct str want = str_of(name);

	if (!j || j->kind != JSON_OBJECT)
		return NULL;
	for (uint32_t i = 0; i < j->n; i++)
		if (str_eq(j->names[i], want))
			return j->values[i];
	return NULL;
}

size_t json_len(const struct json *j)
{
	return container(j) ? j->n : 0;
}

const struct json *json_at(const struct json *j, size_t i)
{
	return container(j) && i < j->n ? j->values[i] : NULL;
}

bool json_member(const struct json *j, size_t i, struct str *ret_name, const struct json **ret_value)
{
	if (!j || j->kind != JSON_OBJECT || i >= j->n)
		return false;
	*ret_name = j->names[i];
	*ret_value = j->values[i];
	return true;
}

struct str json_str(const struct json *j)
{
	return j && j->kind == JSON_STRING ? (struct str){j->s, j->n} : STR_NONE;
}

long long json_int(const struct json *j)
{
	return j && j->kind == JSON_INT ? j->i : 0;
}

double json_num(const struct json *j)
{
	if (j && j->kind == JSON_INT)
		return (double)j->i;
	return j && j->kind == JSON_NUM ? j->d : 0;
}

bool json_bool(const struct json *j)
{
	return j && j->kind == JSON_BOOL && j->b;
}

static struct json *node(struct arena *a, enum json_kind kind)
{
	struct json *j = ARENA_NEW(a, struct json);

	j->kind = kind;
	j->arena = a;
	return j;
}

struct json *json_new_object(struct arena *a)
{
	return node(a, JSON_OBJECT);
}

struct json *json_new_array(struct arena *a)
{
	return node(a, JSON_ARRAY);
}

/* A copy in the arena with U+FFFD for every byte that is not part of valid UTF-8. */
static struct str valid_copy(struct arena *a, struct str s)
{
	if (enc_utf8_valid(s))
		return (struct str){arena_cstr(a, s), s.n};
	char *p = arena_alloc(a, s.n * 3 + 1), *w = p;

	for (size_t i = 0; i < s.n;) {
		size_t n = enc_utf8_step(s, i);

		memcpy(w, n ? s.p + i : "\xef\xbf\xbd", n ? n : 3);
		w += n ? n : 3;
		i += n ? n : 1;
	}
	return (struct str){p, (size_t)(w - p)};
}

struct json *json_new_str(struct arena *a, struct str s)
{
	struct json *j = node(a, JSON_STRING);
	struct str copy = valid_copy(a, s);

	j->s = copy.p;
	j->n = (uint32_t)copy.n;
	return j;
}

struct json *json_new_int(struct arena *a, long long v)
{
	struct json *j = node(a, JSON_INT);

	j->i = v;
	return j;
}

struct json *json_new_num(struct arena *a, double v)
{
	struct json *j = node(a, JSON_NUM);

	j->d = v;
	return j;
}

struct json *json_new_bool(struct arena *a, bool v)
{
	struct json *j = node(a, JSON_BOOL);

	j->b = v;
	return j;
}

struct json *json_new_null(struct arena *a)
{
	return node(a, JSON_NULL);
}

/* Moves n elements of the given size into an array twice as long. */
static void *twice(struct arena *a, const void *old, uint32_t n, size_t size)
{
	void *p = arena_alloc(a, (n ? n * (size_t)2 : 4) * size);

	if (n)
		memcpy(p, old, n * size);
	return p;
}

/* Room for one more child. The capacity needs no field: it is 4, 8, 16, ... and full when the count gets there. */
static void grow(struct json *j)
{
	if (j->n && (j->n < 4 || (j->n & (j->n - 1))))
		return;
	j->values = twice(j->arena, j->values, j->n, sizeof(*j->values));
	if (j->kind == JSON_OBJECT)
		j->names = twice(j->arena, j->names, j->n, sizeof(*j->names));
}

void json_set(struct json *object, struct str name, const struct json *value)
{
	for (uint32_t i = 0; i < object->n; i++) {
		if (str_eq(object->names[i], name)) {
			object->values[i] = value;
			return;
		}
	}
	grow(object);
	object->names[object->n] = valid_copy(object->arena, name);
	object->values[object->n++] = value;
}

void json_push(struct json *array, const struct json *value)
{
	grow(array);
	array->values[array->n++] = value;
}
