/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_WIRE_H
#define KAFKA_WIRE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "kafka/schema.h"

/* The Kafka protocol's primitive types (kafka.apache.org/protocol, "Protocol Primitive Types"; KIP-482 for compact
 * types and tagged fields) and the codec that walks the tables of kafka/schema.h. Any thread. */

/* What can be wrong with bytes or with a message; other functions of this folder return these too. */
enum kafka_wire_code {
	KAFKA_WIRE_TRUNCATED = -10101, /* the bytes end too early, or a length says more than there is */
	KAFKA_WIRE_MALFORMED = -10102, /* null where none may be, a bad varint, tags out of order, bytes left over */
	KAFKA_WIRE_VERSION = -10103,   /* the schema has no such version */
	KAFKA_WIRE_MEMORY = -10104,    /* the arena's or buffer's limit is reached */
	KAFKA_WIRE_TOO_LONG = -10105,  /* a value does not fit its length field */
	KAFKA_WIRE_CORRUPT = -10106,   /* wrong checksum or damaged compressed data */
	KAFKA_WIRE_UNSUPPORTED = -10107, /* unknown codec or format */
};

/* Text for a log line. */
const char *kafka_wire_text(int code);

/* Decodes one message. Text, bytes and records in *ret point into bytes, arrays and structs are allocated in the arena
 * (never more of them than bytes can hold). Unknown tagged fields are skipped. All of bytes must be used.
 * ret has the schema's C type; on failure its content is undefined. Returns 0 or a kafka_wire_code. */
int kafka_decode(const struct kafka_schema *schema, int version, struct str bytes, struct arena *arena, void *ret);

/* As kafka_decode(), but leaves what follows the message in *rest. */
int kafka_decode_part(const struct kafka_schema *schema, int version, struct str *rest, struct arena *arena, void *ret);

/* Places in an encoded message where records belong that were not copied. */
struct kafka_cut {
	size_t at;          /* offset in the buffer */
	struct str records; /* as the message had it: p is whatever the caller put there */
};

struct kafka_gather {
	struct kafka_cut *v;
	size_t n, cap;
	size_t bytes; /* sum of the lengths */
};

/* Appends the message to out. With gather, records are not copied: only their length is written and the place is
 * noted in gather->v (room for cap; KAFKA_WIRE_MEMORY when there are more); p may then be a cookie, such as a file
 * range. Null where the version allows none is written as empty. Fields that the version lacks are left out.
 * Returns 0 or a kafka_wire_code; then out is marked failed. */
int kafka_encode(const struct kafka_schema *schema, int version, const void *msg, struct buf *out,
	struct kafka_gather *gather);

/* Sets every field to its default. Needed before a message is filled in by hand: defaults are not all zero. */
void kafka_init(const struct kafka_schema *schema, void *msg);

/* A message or struct, or n structs for an array, with defaults. Aborts when the arena is exhausted. */
void *kafka_new(struct arena *arena, const struct kafka_schema *schema);
void *kafka_new_array(struct arena *arena, const struct kafka_schema *schema, size_t n);

/* struct kafka_metadata_res *res = KAFKA_NEW(arena, kafka_metadata_res); */
#define KAFKA_NEW(arena, type) ((struct type *)kafka_new((arena), &type##_schema))
#define KAFKA_ARRAY(arena, type, n) ((struct type *)kafka_new_array((arena), &type##_schema, (n)))

/* An int16 version and a message of that version: consumer protocol payloads and the values of control records. A
 * version above the schema's newest is read as the newest, as clients do; bytes left over are no error then.
 * ret_version may be NULL. */
int kafka_decode_versioned(const struct kafka_schema *schema, struct str bytes, struct arena *arena, void *ret,
	int *ret_version);
int kafka_encode_versioned(const struct kafka_schema *schema, int version, const void *msg, struct buf *out);

static inline bool kafka_uuid_is_zero(struct kafka_uuid u)
{
	static const struct kafka_uuid zero;

	return memcmp(&u, &zero, sizeof(u)) == 0;
}

static inline bool kafka_uuid_eq(struct kafka_uuid a, struct kafka_uuid b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

/* Big-endian integers at p, for fixed layouts (KAFKA_BATCH_AT_*). */
static inline uint16_t kafka_load16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

static inline uint32_t kafka_load32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t kafka_load64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static inline void kafka_store16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void kafka_store32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void kafka_store64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

/* Readers: as those of base/cursor.h, big-endian. */
static inline uint8_t kafka_get8(struct cursor *c)
{
	return cursor_need(c, 1) ? *c->p++ : 0;
}

static inline uint16_t kafka_get16(struct cursor *c)
{
	if (!cursor_need(c, 2))
		return 0;
	c->p += 2;
	return kafka_load16(c->p - 2);
}

static inline uint32_t kafka_get32(struct cursor *c)
{
	if (!cursor_need(c, 4))
		return 0;
	c->p += 4;
	return kafka_load32(c->p - 4);
}

static inline uint64_t kafka_get64(struct cursor *c)
{
	if (!cursor_need(c, 8))
		return 0;
	c->p += 8;
	return kafka_load64(c->p - 8);
}

/* Unsigned varint of at most 32 bits; more bytes or bits than that fail. */
static inline uint32_t kafka_get_uvarint(struct cursor *c)
{
	uint32_t v = 0;

	for (unsigned shift = 0; shift < 35; shift += 7) {
		uint8_t byte = kafka_get8(c);

		if (shift == 28 && byte > 0x0f)
			break;
		v |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return v;
	}
	c->failed = true;
	return 0;
}

/* Zigzag varint of at most 64 bits. */
static inline int64_t kafka_get_varlong(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70; shift += 7) {
		uint8_t byte = kafka_get8(c);

		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
	}
	c->failed = true;
	return 0;
}

/* Zigzag varint that must fit 32 bits. */
static inline int32_t kafka_get_varint(struct cursor *c)
{
	int64_t v = kafka_get_varlong(c);

	if (v < INT32_MIN || v > INT32_MAX) {
		c->failed = true;
		return 0;
	}
	return (int32_t)v;
}

/* Text with an int16 length, -1 for null. */
static inline struct str kafka_get_str(struct cursor *c)
{
	int16_t n = (int16_t)kafka_get16(c);

	if (n < -1)
		c->failed = true;
	return n < 0 ? STR_NONE : cursor_bytes(c, (size_t)n);
}

/* Writers. What fits the memory at hand is written in place. */
static inline void kafka__add(struct buf *b, const void *p, size_t n)
{
	if (b->failed || b->cap - b->n <= n || b->max - b->n < n) {
		buf_add(b, p, n);
		return;
	}
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static inline void kafka_put8(struct buf *b, uint8_t v)
{
	kafka__add(b, &v, 1);
}

static inline void kafka_put16(struct buf *b, uint16_t v)
{
	v = __builtin_bswap16(v);
	kafka__add(b, &v, 2);
}

static inline void kafka_put32(struct buf *b, uint32_t v)
{
	v = __builtin_bswap32(v);
	kafka__add(b, &v, 4);
}

static inline void kafka_put64(struct buf *b, uint64_t v)
{
	v = __builtin_bswap64(v);
	kafka__add(b, &v, 8);
}

void kafka_put_uvarint(struct buf *b, uint32_t v);
void kafka_put_varlong(struct buf *b, int64_t v);

/* How many bytes kafka_put_uvarint() and kafka_put_varlong() write. */
size_t kafka_uvarint_size(uint32_t v);
size_t kafka_varlong_size(int64_t v);

#endif
