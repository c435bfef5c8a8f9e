/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/wire.h"

#include <assert.h>

/* An array field in memory. The element pointer differs per field, its place does not. */
struct array {
	void *v;
	int32_t n;
};

static bool has(const struct kafka_field *f, int version)
{
	return version >= f->min && version <= f->max;
}

static bool nullable(const struct kafka_field *f, int version)
{
	return version >= f->null_min && version <= f->null_max;
}

static void store_number(const struct kafka_field *f, char *at, int64_t v)
{
	double d = (double)v;

	switch (f->size) {
	case 1:
		*at = (char)v;
		return;
	case 2:
		memcpy(at, &(uint16_t){(uint16_t)v}, 2);
		return;
	case 4:
		memcpy(at, &(uint32_t){(uint32_t)v}, 4);
		return;
	}
	memcpy(at, f->type == KAFKA_TYPE_FLOAT64 ? (const void *)&d : (const void *)&v, 8);
}

static void set_default(const struct kafka_field *f, char *at)
{
	if (f->flags & KAFKA_IS_ARRAY)
		memcpy(at, &(struct array){NULL, f->flags & KAFKA_NULL_DEFAULT ? -1 : 0}, sizeof(struct array));
	else if (f->flags & KAFKA_IS_POINTER)
		memcpy(at, &(void *){NULL}, sizeof(void *));
	else if (f->type == KAFKA_TYPE_STRUCT)
		kafka_init(f->schema, at);
	else if (f->type >= KAFKA_TYPE_STRING)
		*(struct str *)(void *)at = f->flags & KAFKA_NULL_DEFAULT ? STR_NONE : STR("");
	else if (f->type == KAFKA_TYPE_UUID)
		memset(at, 0, sizeof(struct kafka_uuid));
	else
		store_number(f, at, f->def);
}

void kafka_init(const struct kafka_schema *schema, void *msg)
{
	for (unsigned i = 0; i < schema->plain + schema->tagged; i++)
		set_default(&schema->fields[i], (char *)msg + schema->fields[i].offset);
}

void *kafka_new(struct arena *arena, const struct kafka_schema *schema)
{
	return kafka_new_array(arena, schema, 1);
}

void *kafka_new_array(struct arena *arena, const struct kafka_schema *schema, size_t n)
{
	char *p = arena_array(arena, schema->size, n);

	for (size_t i = 0; i < n; i++)
		kafka_init(schema, p + i * schema->size);
	return p;
}

/* ---- decoding ---- */

struct reader {
	struct cursor c;
	struct arena *arena;
	int version;
	bool flexible;
	int code; /* the first failure that is not a missing byte */
};

static void fail(struct reader *r, int code)
{
	if (!r->c.failed)
		r->code = code;
	r->c.failed = true;
}

static void get_struct(struct reader *r, const struct kafka_schema *schema, char *out);

/* A length: -1 is null, and only allowed where null is. Varints and classic lengths of 2 or 4 bytes. */
static int64_t get_length(struct reader *r, const struct kafka_field *f, size_t classic)
{
	int64_t n;

	if (r->flexible)
		n = (int64_t)kafka_get_uvarint(&r->c) - 1;
	else if (classic == 2)
		n = (int16_t)kafka_get16(&r->c);
	else
		n = (int32_t)kafka_get32(&r->c);
	if (n < -1 || n > INT32_MAX || (n == -1 && !nullable(f, r->version))) {
		fail(r, KAFKA_WIRE_MALFORMED);
		return 0;
	}
	return n;
}

/* Strings inside an array are never null, whatever the array is. */
static struct str get_bytes(struct reader *r, const struct kafka_field *f)
{
	int64_t n = get_length(r, f, f->type == KAFKA_TYPE_STRING ? 2 : 4);

	if ((n == -1 && (f->flags & KAFKA_IS_ARRAY)) || (n > INT16_MAX && f->type == KAFKA_TYPE_STRING))
		fail(r, KAFKA_WIRE_MALFORMED);
	return n < 0 ? STR_NONE : cursor_bytes(&r->c, (size_t)n);
}

static void get_one(struct reader *r, const struct kafka_field *f, char *at)
{
	switch ((enum kafka_type)f->type) {
	case KAFKA_TYPE_BOOL:
		*(bool *)at = kafka_get8(&r->c) != 0;
		return;
	case KAFKA_TYPE_INT8:
		*(uint8_t *)at = kafka_get8(&r->c);
		return;
	case KAFKA_TYPE_INT16:
	case KAFKA_TYPE_UINT16:
		*(uint16_t *)(void *)at = kafka_get16(&r->c);
		return;
	case KAFKA_TYPE_INT32:
	case KAFKA_TYPE_UINT32:
		*(uint32_t *)(void *)at = kafka_get32(&r->c);
		return;
	case KAFKA_TYPE_INT64:
	case KAFKA_TYPE_FLOAT64:
		*(uint64_t *)(void *)at = kafka_get64(&r->c);
		return;
	case KAFKA_TYPE_UUID:
		if (cursor_need(&r->c, 16))
			memcpy(at, cursor_bytes(&r->c, 16).p, 16);
		return;
	case KAFKA_TYPE_STRING:
	case KAFKA_TYPE_BYTES:
	case KAFKA_TYPE_RECORDS:
		*(struct str *)(void *)at = get_bytes(r, f);
		return;
	case KAFKA_TYPE_STRUCT:
		get_struct(r, f->schema, at);
		return;
	}
}

static size_t least_size(const struct reader *r, const struct kafka_field *f)
{
	size_t n = f->size;

	if (f->type == KAFKA_TYPE_STRUCT)
		n = f->schema->min_size[r->version];
	else if (f->type >= KAFKA_TYPE_STRING)
		n = r->flexible ? 1 : f->type == KAFKA_TYPE_STRING ? 2 : 4;
	return n ? n : 1;
}

static void *get_memory(struct reader *r, size_t size, size_t n)
{
	void *p = size > SIZE_MAX / n ? NULL : arena_try(r->arena, size * n);

	if (!p)
		fail(r, KAFKA_WIRE_MEMORY);
	return p;
}

static void get_array(struct reader *r, const struct kafka_field *f, char *at)
{
	int64_t n = get_length(r, f, 4);
	struct array a = {NULL, (int32_t)n};

	/* A count is only believed when so many of the smallest elements fit the bytes that are left. */
	if (n > 0 && (uint64_t)n > cursor_left(&r->c) / least_size(r, f))
		fail(r, KAFKA_WIRE_TRUNCATED);
	if (r->c.failed)
		a.n = 0;
	if (a.n > 0)
		a.v = get_memory(r, f->size, (size_t)a.n);
	for (int32_t i = 0; i < a.n && !r->c.failed; i++)
		get_one(r, f, (char *)a.v + (size_t)i * f->size);
	memcpy(at, &a, sizeof(a));
}

/* A struct that can be null has a byte before it: 1 it follows, -1 it is null. */
static void get_pointer(struct reader *r, const struct kafka_field *f, char *at)
{
	void *p = NULL;
	int8_t mark = nullable(f, r->version) ? (int8_t)kafka_get8(&r->c) : 1;

	if (mark != 1 && mark != -1)
		fail(r, KAFKA_WIRE_MALFORMED);
	if (mark == 1 && !r->c.failed)
		p = get_memory(r, f->size, 1);
	if (p)
		get_struct(r, f->schema, p);
	memcpy(at, &p, sizeof(p));
}

static void get_field(struct reader *r, const struct kafka_field *f, char *at)
{
	if (f->flags & KAFKA_IS_ARRAY)
		get_array(r, f, at);
	else if (f->flags & KAFKA_IS_POINTER)
		get_pointer(r, f, at);
	else
		get_one(r, f, at);
}

static const struct kafka_field *find_tag(const struct kafka_schema *schema, int version, uint32_t tag)
{
	const struct kafka_field *f = schema->fields + schema->plain;

	for (unsigned i = 0; i < schema->tagged; i++, f++)
		if ((uint32_t)f->tag == tag && has(f, version))
			return f;
	return NULL;
}

/* Tagged fields ascend; a known one must fill exactly the size it announces. */
static void get_tags(struct reader *r, const struct kafka_schema *schema, char *out)
{
	uint32_t n = kafka_get_uvarint(&r->c);
	int64_t last = -1;

	for (uint32_t i = 0; i < n && !r->c.failed; i++) {
		uint32_t tag = kafka_get_uvarint(&r->c);
		struct cursor body = cursor_of(cursor_bytes(&r->c, kafka_get_uvarint(&r->c)));
		const struct kafka_field *f = schema ? find_tag(schema, r->version, tag) : NULL;

		if (tag <= last)
			fail(r, KAFKA_WIRE_MALFORMED);
		last = tag;
		if (!f || r->c.failed)
			continue;
		struct cursor after = r->c;

		r->c = body;
		get_field(r, f, out + f->offset);
		if (r->c.p != r->c.end)
			fail(r, KAFKA_WIRE_MALFORMED);
		after.failed = r->c.failed;
		r->c = after;
	}
}

static void get_struct(struct reader *r, const struct kafka_schema *schema, char *out)
{
	const struct kafka_field *f = schema->fields;

	for (unsigned i = 0; i < schema->plain; i++, f++) {
		if (has(f, r->version))
			get_field(r, f, out + f->offset);
		else
			set_default(f, out + f->offset);
	}
	for (unsigned i = 0; i < schema->tagged; i++, f++)
		set_default(f, out + f->offset);
	if (r->flexible)
		get_tags(r, schema, out);
}

int kafka_decode_part(const struct kafka_schema *schema, int version, struct str *rest, struct arena *arena, void *ret)
{
	if (version < schema->min || version > schema->max)
		return KAFKA_WIRE_VERSION;
	struct reader r = {.c = cursor_of(rest->p ? *rest : STR("")), .arena = arena, .version = version,
		.flexible = version >= schema->flexible};

	get_struct(&r, schema, ret);
	if (r.c.failed)
		return r.code ? r.code : KAFKA_WIRE_TRUNCATED;
	*rest = (struct str){(const char *)r.c.p, cursor_left(&r.c)};
	return 0;
}

int kafka_decode(const struct kafka_schema *schema, int version, struct str bytes, struct arena *arena, void *ret)
{
	int code = kafka_decode_part(schema, version, &bytes, arena, ret);

	return code ? code : bytes.n ? KAFKA_WIRE_MALFORMED : 0;
}

int kafka_decode_versioned(const struct kafka_schema *schema, struct str bytes, struct arena *arena, void *ret,
	int *ret_version)
{
	if (!bytes.p || bytes.n < 2)
		return KAFKA_WIRE_TRUNCATED;
	int version = (int16_t)kafka_load16(bytes.p);
	struct str rest = str_sub(bytes, 2, bytes.n);
	int code = kafka_decode_part(schema, version > schema->max ? schema->max : version, &rest, arena, ret);

	if (!code && ret_version)
		*ret_version = version;
	return code;
}

/* ---- encoding ---- */

struct writer {
	struct buf *out;
	struct kafka_gather *gather;
	int version;
	bool flexible;
	int code;
};

static void put_struct(struct writer *w, const struct kafka_schema *schema, const char *msg);

static void put_length(struct writer *w, int64_t n, int64_t max, size_t classic)
{
	if (n > max) {
		w->code = w->code ? w->code : KAFKA_WIRE_TOO_LONG;
		w->out->failed = true;
	} else if (w->flexible)
		kafka_put_uvarint(w->out, (uint32_t)(n + 1));
	else if (classic == 2)
		kafka_put16(w->out, (uint16_t)n);
	else
		kafka_put32(w->out, (uint32_t)n);
}

static void put_records(struct writer *w, struct str s)
{
	struct kafka_gather *g = w->gather;

	if (!g || !s.n) {
		buf_str(w->out, s);
		return;
	}
	if (g->n == g->cap) {
		w->code = w->code ? w->code : KAFKA_WIRE_MEMORY;
		w->out->failed = true;
		return;
	}
	g->v[g->n++] = (struct kafka_cut){w->out->n, s};
	g->bytes += s.n;
}

static void put_bytes(struct writer *w, const struct kafka_field *f, struct str s)
{
	bool text = f->type == KAFKA_TYPE_STRING;
	bool null = !s.p && !s.n && nullable(f, w->version) && !(f->flags & KAFKA_IS_ARRAY);

	put_length(w, null ? -1 : (int64_t)s.n, text ? INT16_MAX : INT32_MAX - 1, text ? 2 : 4);
	if (f->type == KAFKA_TYPE_RECORDS)
		put_records(w, s);
	else
		buf_str(w->out, s);
}

static void put_one(struct writer *w, const struct kafka_field *f, const char *at)
{
	switch ((enum kafka_type)f->type) {
	case KAFKA_TYPE_BOOL:
		kafka_put8(w->out, *(const bool *)at);
		return;
	case KAFKA_TYPE_INT8:
		kafka_put8(w->out, *(const uint8_t *)at);
		return;
	case KAFKA_TYPE_INT16:
	case KAFKA_TYPE_UINT16:
		kafka_put16(w->out, *(const uint16_t *)(const void *)at);
		return;
	case KAFKA_TYPE_INT32:
	case KAFKA_TYPE_UINT32:
		kafka_put32(w->out, *(const uint32_t *)(const void *)at);
		return;
	case KAFKA_TYPE_INT64:
	case KAFKA_TYPE_FLOAT64:
		kafka_put64(w->out, *(const uint64_t *)(const void *)at);
		return;
	case KAFKA_TYPE_UUID:
		buf_add(w->out, at, sizeof(struct kafka_uuid));
		return;
	case KAFKA_TYPE_STRING:
	case KAFKA_TYPE_BYTES:
	case KAFKA_TYPE_RECORDS:
		put_bytes(w, f, *(const struct str *)(const void *)at);
		return;
	case KAFKA_TYPE_STRUCT:
		put_struct(w, f->schema, at);
		return;
	}
}

static void put_array(struct writer *w, const struct kafka_field *f, const char *at)
{
	struct array a;

	memcpy(&a, at, sizeof(a));
	put_length(w, a.n < 0 ? (nullable(f, w->version) ? -1 : 0) : a.n, INT32_MAX - 1, 4);
	for (int32_t i = 0; i < a.n && !w->out->failed; i++)
		put_one(w, f, (const char *)a.v + (size_t)i * f->size);
}

static void put_field(struct writer *w, const struct kafka_field *f, const char *at)
{
	if (f->flags & KAFKA_IS_ARRAY) {
		put_array(w, f, at);
	} else if (f->flags & KAFKA_IS_POINTER) {
		const char *p;

		memcpy(&p, at, sizeof(p));
		if (nullable(f, w->version))
			kafka_put8(w->out, p ? 1 : (uint8_t)-1);
		if (p)
			put_struct(w, f->schema, p);
	} else {
		put_one(w, f, at);
	}
}

static bool is_default(const struct kafka_field *f, const char *at);

static bool all_default(const struct kafka_schema *schema, const char *msg)
{
	for (unsigned i = 0; i < schema->plain + schema->tagged; i++)
		if (!is_default(&schema->fields[i], msg + schema->fields[i].offset))
			return false;
	return true;
}

static bool is_default(const struct kafka_field *f, const char *at)
{
	_Alignas(8) char want[16] = {0};

	if (f->flags & (KAFKA_IS_ARRAY | KAFKA_IS_POINTER)) {
		struct array a = {NULL, 0};

		memcpy(&a, at, f->flags & KAFKA_IS_ARRAY ? sizeof(a) : sizeof(a.v));
		return f->flags & KAFKA_IS_ARRAY ? a.n == (f->flags & KAFKA_NULL_DEFAULT ? -1 : 0) : !a.v;
	}
	if (f->type == KAFKA_TYPE_STRUCT)
		return all_default(f->schema, at);
	if (f->type >= KAFKA_TYPE_STRING) {
		struct str s = *(const struct str *)(const void *)at;

		return s.n == 0 && (!s.p || !(f->flags & KAFKA_NULL_DEFAULT));
	}
	if (f->size == 4) /* most of them */
		return *(const int32_t *)(const void *)at == (int32_t)f->def;
	if (f->size == 8 && f->type == KAFKA_TYPE_INT64)
		return *(const int64_t *)(const void *)at == f->def;
	set_default(f, want);
	return memcmp(at, want, f->size) == 0;
}

static bool wants_tag(const struct writer *w, const struct kafka_field *f, const char *msg)
{
	return has(f, w->version) && !is_default(f, msg + f->offset);
}

/* The size of a tagged field stands before it: written first, then moved up by the width of its size. */
static void put_tag(struct writer *w, const struct kafka_field *f, const char *at)
{
	static const char room[5];
	struct buf *out = w->out;

	kafka_put_uvarint(out, (uint32_t)f->tag);
	size_t start = out->n;

	put_field(w, f, at);
	size_t n = out->n - start, width = kafka_uvarint_size((uint32_t)n);

	buf_add(out, room, width);
	if (out->failed)
		return;
	memmove(out->p + start + width, out->p + start, n);
	out->n = start;
	kafka_put_uvarint(out, (uint32_t)n);
	out->n += n;
}

static void put_tags(struct writer *w, const struct kafka_schema *schema, const char *msg)
{
	const struct kafka_field *tagged = schema->fields + schema->plain;
	uint64_t wanted = 0;

	for (unsigned i = 0; i < schema->tagged; i++)
		wanted |= (uint64_t)wants_tag(w, &tagged[i], msg) << i;
	kafka_put_uvarint(w->out, (uint32_t)__builtin_popcountll(wanted));
	for (unsigned i = 0; wanted >> i && i < schema->tagged; i++)
		if (wanted >> i & 1)
			put_tag(w, &tagged[i], msg + tagged[i].offset);
}

static void put_struct(struct writer *w, const struct kafka_schema *schema, const char *msg)
{
	const struct kafka_field *f = schema->fields;

	for (unsigned i = 0; i < schema->plain; i++, f++)
		if (has(f, w->version))
			put_field(w, f, msg + f->offset);
	if (w->flexible)
		put_tags(w, schema, msg);
}

int kafka_encode(const struct kafka_schema *schema, int version, const void *msg, struct buf *out,
	struct kafka_gather *gather)
{
	if (version < schema->min || version > schema->max) {
		out->failed = true;
		return KAFKA_WIRE_VERSION;
	}
	struct writer w = {out, gather, version, version >= schema->flexible, 0};

	put_struct(&w, schema, msg);
	if (!out->failed)
		return 0;
	return w.code ? w.code : KAFKA_WIRE_MEMORY;
}

int kafka_encode_versioned(const struct kafka_schema *schema, int version, const void *msg, struct buf *out)
{
	kafka_put16(out, (uint16_t)version);
	return kafka_encode(schema, version, msg, out, NULL);
}
