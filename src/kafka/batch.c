/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/batch.h"

#include "kafka/crc32c.h"
#include "kafka/error.h"
#include "kafka/wire.h"

enum { LENGTH_END = KAFKA_BATCH_AT_LENGTH + 4 }; /* the length counts from here; so it does in magic 0 and 1 */

int kafka_batch_magic(struct str bytes)
{
	return bytes.n <= KAFKA_BATCH_AT_MAGIC ? -1 : (uint8_t)bytes.p[KAFKA_BATCH_AT_MAGIC];
}

int64_t kafka_batch_size(struct str bytes)
{
	if (bytes.n < LENGTH_END)
		return 0;
	int32_t length = (int32_t)kafka_load32(bytes.p + KAFKA_BATCH_AT_LENGTH);

	/* The smallest thing with a length is a message of magic 0 with null key and value. */
	if (length < KAFKA_MESSAGE_V0_SIZE + 8 - LENGTH_END)
		return KAFKA_WIRE_MALFORMED;
	return (int64_t)length + LENGTH_END;
}

int kafka_batch_next(struct str *rest, struct kafka_batch *ret)
{
	int64_t size = kafka_batch_size(*rest);
	const char *p = rest->p;

	if (size < 0)
		return (int)size;
	if (!size || rest->n <= KAFKA_BATCH_AT_MAGIC)
		return KAFKA_WIRE_TRUNCATED;
	if (p[KAFKA_BATCH_AT_MAGIC] != 2)
		return KAFKA_WIRE_UNSUPPORTED;
	if (size < KAFKA_BATCH_SIZE)
		return KAFKA_WIRE_MALFORMED;
	if ((uint64_t)size > rest->n)
		return KAFKA_WIRE_TRUNCATED;
	*ret = (struct kafka_batch){
		.base_offset = (int64_t)kafka_load64(p + KAFKA_BATCH_AT_BASE_OFFSET),
		.leader_epoch = (int32_t)kafka_load32(p + KAFKA_BATCH_AT_LEADER_EPOCH),
		.crc = kafka_load32(p + KAFKA_BATCH_AT_CRC),
		.attributes = (int16_t)kafka_load16(p + KAFKA_BATCH_AT_ATTRIBUTES),
		.last_offset_delta = (int32_t)kafka_load32(p + KAFKA_BATCH_AT_LAST_OFFSET_DELTA),
		.base_timestamp = (int64_t)kafka_load64(p + KAFKA_BATCH_AT_BASE_TIMESTAMP),
		.max_timestamp = (int64_t)kafka_load64(p + KAFKA_BATCH_AT_MAX_TIMESTAMP),
		.producer_id = (int64_t)kafka_load64(p + KAFKA_BATCH_AT_PRODUCER_ID),
		.producer_epoch = (int16_t)kafka_load16(p + KAFKA_BATCH_AT_PRODUCER_EPOCH),
		.base_sequence = (int32_t)kafka_load32(p + KAFKA_BATCH_AT_BASE_SEQUENCE),
		.count = (int32_t)kafka_load32(p + KAFKA_BATCH_AT_COUNT),
		.bytes = str_sub(*rest, 0, (size_t)size),
		.records = str_sub(*rest, KAFKA_BATCH_SIZE, (size_t)size),
	};
	*rest = str_sub(*rest, (size_t)size, rest->n);
	return 0;
}

static uint32_t crc_of(const char *p, size_t n)
{
	return kafka_crc32c(p + KAFKA_BATCH_AT_ATTRIBUTES, n - KAFKA_BATCH_AT_ATTRIBUTES);
}

int kafka_batch_check(const struct kafka_batch *batch)
{
	return crc_of(batch->bytes.p, batch->bytes.n) == batch->crc ? 0 : KAFKA_WIRE_CORRUPT;
}

int kafka_batch_validate(const struct kafka_batch *batch)
{
	bool producer = batch->producer_id >= 0;

	if (kafka_batch_check(batch))
		return KAFKA_ERR_CORRUPT_MESSAGE;
	if (kafka_batch_codec(batch) > KAFKA_CODEC_ZSTD)
		return KAFKA_ERR_UNSUPPORTED_COMPRESSION_TYPE;
	if (batch->attributes & KAFKA_ATTR_APPEND_TIME)
		return KAFKA_ERR_INVALID_TIMESTAMP;
	if (batch->count < 1 || batch->last_offset_delta != batch->count - 1)
		return KAFKA_ERR_INVALID_RECORD;
	if (batch->attributes & KAFKA_ATTR_CONTROL)
		return KAFKA_ERR_INVALID_RECORD;
	if (producer && (batch->producer_epoch < 0 || batch->base_sequence < 0))
		return KAFKA_ERR_INVALID_RECORD;
	if (!producer && batch->attributes & KAFKA_ATTR_TRANSACTIONAL)
		return KAFKA_ERR_INVALID_RECORD;
	return KAFKA_ERR_NONE;
}

int kafka_batch_validate_records(const struct kafka_batch *batch, bool need_key, struct buf *scratch,
	int32_t *ret_index)
{
	struct kafka_records it;
	struct kafka_record record;
	int code = kafka_records_open(&it, batch, scratch);

	*ret_index = -1;
	if (code)
		return code == KAFKA_WIRE_MEMORY ? KAFKA_ERR_MESSAGE_TOO_LARGE : KAFKA_ERR_CORRUPT_MESSAGE;
	for (int32_t i = 0; (code = kafka_records_next(&it, &record)) == 1; i++) {
		if (record.offset == batch->base_offset + i && (record.key.p || !need_key))
			continue;
		*ret_index = i;
		return KAFKA_ERR_INVALID_RECORD;
	}
	return code ? KAFKA_ERR_CORRUPT_MESSAGE : KAFKA_ERR_NONE;
}

void kafka_batch_set_place(char *p, int64_t base_offset, int32_t leader_epoch)
{
	kafka_store64(p + KAFKA_BATCH_AT_BASE_OFFSET, (uint64_t)base_offset);
	kafka_store32(p + KAFKA_BATCH_AT_LEADER_EPOCH, (uint32_t)leader_epoch);
}

void kafka_batch_set_append_time(char *p, size_t n, int64_t time)
{
	enum { FROM = KAFKA_BATCH_AT_ATTRIBUTES, TO = KAFKA_BATCH_AT_MAX_TIMESTAMP + 8 };
	char delta[TO - FROM];
	uint16_t attributes = kafka_load16(p + KAFKA_BATCH_AT_ATTRIBUTES);

	memcpy(delta, p + FROM, sizeof(delta));
	kafka_store16(p + KAFKA_BATCH_AT_ATTRIBUTES, attributes | KAFKA_ATTR_APPEND_TIME);
	kafka_store64(p + KAFKA_BATCH_AT_MAX_TIMESTAMP, (uint64_t)time);
	for (size_t i = 0; i < sizeof(delta); i++)
		delta[i] = (char)(delta[i] ^ p[FROM + i]);
	uint32_t crc = kafka_load32(p + KAFKA_BATCH_AT_CRC);

	kafka_store32(p + KAFKA_BATCH_AT_CRC, kafka_crc32c_patch(crc, delta, sizeof(delta), n - TO));
}

void kafka_batch_set_crc(char *p, size_t n)
{
	kafka_store32(p + KAFKA_BATCH_AT_CRC, crc_of(p, n));
}

/* ---- reading records ---- */

int kafka_records_open(struct kafka_records *it, const struct kafka_batch *batch, struct buf *scratch)
{
	struct str records = batch->records;

	if (kafka_batch_codec(batch) != KAFKA_CODEC_NONE && batch->count) {
		buf_reset(scratch);
		int code = kafka_decompress(kafka_batch_codec(batch), records, scratch);

		if (code)
			return code;
		records = buf_view(scratch);
	}
	*it = (struct kafka_records){batch, cursor_of(records), batch->count};
	return batch->count < 0 ? KAFKA_WIRE_MALFORMED : 0;
}

/* A varint length, -1 for null, and so many bytes. */
static struct str get_bytes(struct cursor *c)
{
	int32_t n = kafka_get_varint(c);

	if (n < -1)
		c->failed = true;
	return n < 0 ? STR_NONE : cursor_bytes(c, (size_t)n);
}

int kafka_records_next(struct kafka_records *it, struct kafka_record *ret)
{
	const struct kafka_batch *batch = it->batch;

	if (!it->left)
		return cursor_left(&it->c) && batch->count ? KAFKA_WIRE_MALFORMED : 0;
	int32_t n = kafka_get_varint(&it->c);

	if (it->c.failed || n < 0)
		return KAFKA_WIRE_MALFORMED;
	struct cursor c = cursor_of(cursor_bytes(&it->c, (size_t)n));

	if (it->c.failed)
		return KAFKA_WIRE_TRUNCATED;
	kafka_get8(&c); /* attributes: none are defined */
	uint64_t time = (uint64_t)batch->base_timestamp + (uint64_t)kafka_get_varlong(&c);
	int64_t offset = (int64_t)((uint64_t)batch->base_offset + (uint64_t)(int64_t)kafka_get_varint(&c));
	struct str key = get_bytes(&c), value = get_bytes(&c);
	int32_t headers = kafka_get_varint(&c);

	/* A header takes two bytes at least. */
	if (c.failed || headers < 0 || (size_t)headers > cursor_left(&c) / 2 || (!headers && cursor_left(&c)))
		return KAFKA_WIRE_MALFORMED;
	it->left--;
	if (batch->attributes & KAFKA_ATTR_APPEND_TIME)
		time = (uint64_t)batch->max_timestamp;
	*ret = (struct kafka_record){offset, (int64_t)time, key, value, headers, c};
	return 1;
}

int kafka_record_header_next(struct kafka_record *record, struct str *ret_key, struct str *ret_value)
{
	if (!record->headers)
		return cursor_left(&record->header_bytes) ? KAFKA_WIRE_MALFORMED : 0;
	struct str key = get_bytes(&record->header_bytes), value = get_bytes(&record->header_bytes);

	if (record->header_bytes.failed || !key.p)
		return KAFKA_WIRE_MALFORMED;
	record->headers--;
	*ret_key = key;
	*ret_value = value;
	return 1;
}

int kafka_control_type(struct str key)
{
	return key.n < KAFKA_CONTROL_KEY_SIZE ? -1 : (int16_t)kafka_load16(key.p + KAFKA_CONTROL_KEY_AT_TYPE);
}
