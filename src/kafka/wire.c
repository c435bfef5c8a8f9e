/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/wire.h"

const char *kafka_wire_text(int code)
{
	switch (code) {
	case 0:
		return "ok";
	case KAFKA_WIRE_TRUNCATED:
		return "the bytes end too early";
	case KAFKA_WIRE_MALFORMED:
		return "the bytes are malformed";
	case KAFKA_WIRE_VERSION:
		return "no such version";
	case KAFKA_WIRE_MEMORY:
		return "the memory limit is reached";
	case KAFKA_WIRE_TOO_LONG:
		return "a value is too long";
	case KAFKA_WIRE_CORRUPT:
		return "the data is damaged";
	case KAFKA_WIRE_UNSUPPORTED:
		return "the codec or format is not supported";
	}
	return "unknown";
}

/* Seven bits per byte, low ones first; returns how many bytes. */
static size_t varint(unsigned char p[10], uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		p[n++] = (unsigned char)(v | 0x80);
	p[n++] = (unsigned char)v;
	return n;
}

static uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

void kafka_put_uvarint(struct buf *b, uint32_t v)
{
	unsigned char p[10];

	kafka__add(b, p, varint(p, v));
}

void kafka_put_varlong(struct buf *b, int64_t v)
{
	unsigned char p[10];

	kafka__add(b, p, varint(p, zigzag(v)));
}

static size_t size_of_varint(uint64_t v)
{
	unsigned bits = 64 - (unsigned)__builtin_clzll(v | 1);

	return (bits + 6) / 7;
}

size_t kafka_uvarint_size(uint32_t v)
{
	return size_of_varint(v);
}

size_t kafka_varlong_size(int64_t v)
{
	return size_of_varint(zigzag(v));
}
