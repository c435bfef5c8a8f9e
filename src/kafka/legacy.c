/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/batch.h"
#include "kafka/error.h"
#include "kafka/wire.h"

#include <zlib.h>

/* A message of magic 0 or 1 (KIP-32). */
struct message {
	int64_t offset, timestamp; /* -1 in magic 0 */
	int magic, codec;
	struct str key, value;
};

/* A classic length, -1 for null, and so many bytes. */
static struct str get_bytes(struct cursor *c)
{
	int32_t n = (int32_t)kafka_get32(c);

	if (n < -1)
		c->failed = true;
	return n < 0 ? STR_NONE : cursor_bytes(c, (size_t)n);
}

static uint32_t crc_of(const char *p, size_t n)
{
	return (uint32_t)crc32_z(0, (const Bytef *)p + KAFKA_MESSAGE_V0_AT_MAGIC, n - KAFKA_MESSAGE_V0_AT_MAGIC);
}

/* Takes the next message off *rest; returns an error of the protocol. */
static int next(struct str *rest, struct message *ret)
{
	int64_t size = kafka_batch_size(*rest);

	if (size <= 0 || (uint64_t)size > rest->n)
		return KAFKA_ERR_CORRUPT_MESSAGE;
	struct str bytes = str_sub(*rest, 0, (size_t)size);
	struct cursor c = cursor_of(str_sub(bytes, KAFKA_MESSAGE_V0_AT_MAGIC, bytes.n));
	struct message m = {.offset = (int64_t)kafka_load64(bytes.p), .timestamp = -1};

	if (crc_of(bytes.p, bytes.n) != kafka_load32(bytes.p + KAFKA_MESSAGE_V0_AT_CRC))
		return KAFKA_ERR_CORRUPT_MESSAGE;
	m.magic = kafka_get8(&c);
	m.codec = kafka_get8(&c) & KAFKA_ATTR_CODEC_MASK;
	if (m.magic > 1)
		return KAFKA_ERR_INVALID_RECORD;
	if (m.magic == 1)
		m.timestamp = (int64_t)kafka_get64(&c);
	m.key = get_bytes(&c);
	m.value = get_bytes(&c);
	if (c.failed || cursor_left(&c))
		return KAFKA_ERR_CORRUPT_MESSAGE;
	*rest = str_sub(*rest, bytes.n, rest->n);
	*ret = m;
	return 0;
}

static int add(struct kafka_builder *b, const struct message *m)
{
	return kafka_builder_add(b, m->timestamp, m->key, m->value, NULL, 0) ? KAFKA_ERR_MESSAGE_TOO_LARGE : 0;
}

/* A compressed message holds a message set; those inside are not compressed again. */
static int add_inner(struct kafka_builder *b, const struct message *outer, struct buf *scratch)
{
	struct message m;

	/* Zstandard came after these formats, and LZ4 of magic 0 has a wrong header checksum. */
	if (outer->codec > KAFKA_CODEC_LZ4 || (outer->codec == KAFKA_CODEC_LZ4 && outer->magic == 0))
		return KAFKA_ERR_UNSUPPORTED_COMPRESSION_TYPE;
	buf_reset(scratch);
	int code = kafka_decompress(outer->codec, outer->value.p ? outer->value : STR(""), scratch);

	if (code)
		return code == KAFKA_WIRE_MEMORY ? KAFKA_ERR_MESSAGE_TOO_LARGE : KAFKA_ERR_CORRUPT_MESSAGE;
	for (struct str rest = buf_view(scratch); !code && rest.n;) {
		code = next(&rest, &m);
		if (!code && (m.codec || m.magic != outer->magic))
			code = KAFKA_ERR_INVALID_RECORD;
		if (!code)
			code = add(b, &m);
	}
	return code;
}

int kafka_legacy_up(struct str set, struct buf *scratch, struct buf *out)
{
	struct kafka_builder b;
	struct message m;
	int codec = -1, code = set.n ? 0 : KAFKA_ERR_INVALID_RECORD;

	kafka_builder_init(&b, scratch->max);
	while (!code && set.n) {
		code = next(&set, &m);
		if (code)
			break;
		codec = codec < 0 ? m.codec : codec;
		code = m.codec ? add_inner(&b, &m, scratch) : add(&b, &m);
	}
	if (!code && !b.head.count)
		code = KAFKA_ERR_INVALID_RECORD;
	if (!code && kafka_builder_finish(&b, codec, KAFKA_LEVEL_DEFAULT, out))
		code = KAFKA_ERR_MESSAGE_TOO_LARGE;
	kafka_builder_done(&b);
	return code;
}

static void put(struct buf *out, struct str s)
{
	kafka_put32(out, s.p ? (uint32_t)s.n : (uint32_t)-1);
	buf_str(out, s);
}

static void put_message(const struct kafka_record *r, int magic, int attributes, struct buf *out)
{
	size_t start = out->n;

	kafka_put64(out, (uint64_t)r->offset);
	kafka_put64(out, 0); /* length and checksum, when they are known */
	kafka_put8(out, (uint8_t)magic);
	kafka_put8(out, magic ? (uint8_t)attributes : 0);
	if (magic)
		kafka_put64(out, (uint64_t)r->timestamp);
	put(out, r->key);
	put(out, r->value);
	if (out->failed)
		return;
	char *p = out->p + start;

	kafka_store32(p + KAFKA_MESSAGE_V0_AT_LENGTH, (uint32_t)(out->n - start - KAFKA_MESSAGE_V0_AT_CRC));
	kafka_store32(p + KAFKA_MESSAGE_V0_AT_CRC, crc_of(p, out->n - start));
}

int kafka_legacy_down(const struct kafka_batch *batch, int magic, struct buf *scratch, struct buf *out)
{
	struct kafka_records it;
	struct kafka_record record;

	if (batch->attributes & KAFKA_ATTR_CONTROL)
		return 0;
	int code = kafka_records_open(&it, batch, scratch);

	if (code)
		return code;
	while ((code = kafka_records_next(&it, &record)) == 1)
		put_message(&record, magic, batch->attributes & KAFKA_ATTR_APPEND_TIME, out);
	return code ? code : out->failed ? KAFKA_WIRE_MEMORY : 0;
}
