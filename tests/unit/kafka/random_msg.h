/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_RANDOM_MSG_H
#define TEST_RANDOM_MSG_H

#include "kafka/wire.h"

#include <stdio.h>

/* Random messages of any schema, from a seed so that a failure can be repeated. */

static uint64_t random_state = 1;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned random_below(unsigned n)
{
	return (unsigned)(random_next() >> 33) % n;
}

static void random_struct(const struct kafka_schema *schema, int version, struct arena *arena, void *msg);

static struct str random_str(struct arena *arena)
{
	static const unsigned sizes[] = {0, 1, 3, 17, 126, 127, 200};
	size_t n = sizes[random_below(sizeof(sizes) / sizeof(sizes[0]))];
	char *p = arena_alloc(arena, n + 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)random_next();
	return (struct str){p, n};
}

static void random_one(const struct kafka_field *f, int version, struct arena *arena, char *at)
{
	if (f->type == KAFKA_TYPE_STRUCT) {
		random_struct(f->schema, version, arena, at);
	} else if (f->type >= KAFKA_TYPE_STRING) {
		struct str s = random_str(arena);

		memcpy(at, &s, sizeof(s));
	} else if (f->type == KAFKA_TYPE_BOOL) {
		*(bool *)at = random_below(2);
	} else {
		for (uint32_t i = 0; i < f->size; i++)
			at[i] = (char)random_next();
	}
}

static void random_field(const struct kafka_field *f, int version, struct arena *arena, char *at)
{
	bool null = version >= f->null_min && version <= f->null_max && random_below(4) == 0;

	if (f->flags & KAFKA_IS_ARRAY) {
		struct {
			void *v;
			int32_t n;
		} a = {NULL, null ? -1 : (int32_t)random_below(4)};

		if (a.n > 0)
			a.v = arena_array(arena, f->size, (size_t)a.n);
		for (int32_t i = 0; i < a.n; i++)
			random_one(f, version, arena, (char *)a.v + (size_t)i * f->size);
		memcpy(at, &a, sizeof(a));
	} else if (f->flags & KAFKA_IS_POINTER) {
		void *p = null ? NULL : arena_alloc(arena, f->size);

		if (p)
			random_struct(f->schema, version, arena, p);
		memcpy(at, &p, sizeof(p));
	} else if (null && f->type >= KAFKA_TYPE_STRING && f->type != KAFKA_TYPE_STRUCT) {
		memcpy(at, &STR_NONE, sizeof(struct str));
	} else {
		random_one(f, version, arena, at);
	}
}

/* Fields that the version has are random, some tagged ones and all others keep their defaults. */
static void random_struct(const struct kafka_schema *schema, int version, struct arena *arena, void *msg)
{
	kafka_init(schema, msg);
	for (unsigned i = 0; i < schema->plain + schema->tagged; i++) {
		const struct kafka_field *f = &schema->fields[i];

		if (version >= f->min && version <= f->max && (f->tag < 0 || random_below(2)))
			random_field(f, version, arena, (char *)msg + f->offset);
	}
}

static bool same_field(const struct kafka_field *f, const char *a, const char *b);

static bool same_struct(const struct kafka_schema *schema, const char *a, const char *b)
{
	for (unsigned i = 0; i < schema->plain + schema->tagged; i++)
		if (!same_field(&schema->fields[i], a + schema->fields[i].offset, b + schema->fields[i].offset)) {
			fprintf(stderr, "%s.%s differs\n", schema->name, schema->fields[i].name);
			return false;
		}
	return true;
}

static bool same_one(const struct kafka_field *f, const char *a, const char *b)
{
	if (f->type == KAFKA_TYPE_STRUCT)
		return same_struct(f->schema, a, b);
	if (f->type < KAFKA_TYPE_STRING)
		return memcmp(a, b, f->size) == 0;
	struct str x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return !x.p == !y.p && str_eq(x, y);
}

static bool same_field(const struct kafka_field *f, const char *a, const char *b)
{
	struct {
		const char *v;
		int32_t n;
	} x = {NULL, 0}, y = {NULL, 0};

	if (!(f->flags & (KAFKA_IS_ARRAY | KAFKA_IS_POINTER)))
		return same_one(f, a, b);
	if (f->flags & KAFKA_IS_POINTER) {
		memcpy(&x.v, a, sizeof(x.v));
		memcpy(&y.v, b, sizeof(y.v));
		return !x.v == !y.v && (!x.v || same_struct(f->schema, x.v, y.v));
	}
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	for (int32_t i = 0; i < x.n && x.n == y.n; i++)
		if (!same_one(f, x.v + (size_t)i * f->size, y.v + (size_t)i * f->size))
			return false;
	return x.n == y.n;
}

#endif
