/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/batch.h"
#include "kafka/wire.h"

void kafka_builder_reset(struct kafka_builder *b)
{
	buf_reset(&b->body);
	b->head = (struct kafka_batch){.producer_id = -1, .producer_epoch = -1, .base_sequence = -1,
		.last_offset_delta = -1, .leader_epoch = -1, .base_timestamp = -1, .max_timestamp = -1};
}

void kafka_builder_init(struct kafka_builder *b, size_t max)
{
	buf_init(&b->body, max);
	kafka_builder_reset(b);
}

void kafka_builder_done(struct kafka_builder *b)
{
	buf_done(&b->body);
}

static size_t size_of(struct str s)
{
	return kafka_varlong_size(s.p ? (int64_t)s.n : -1) + s.n;
}

static void put(struct buf *body, struct str s)
{
	kafka_put_varlong(body, s.p ? (int64_t)s.n : -1);
	buf_str(body, s);
}

/* A record up to its headers, for which n_bytes and the count itself follow. */
static int put_record(struct kafka_builder *b, int32_t offset_delta, int64_t timestamp, struct str key,
	struct str value, size_t n_bytes)
{
	struct kafka_batch *head = &b->head;

	if (offset_delta <= head->last_offset_delta)
		return KAFKA_WIRE_MALFORMED;
	if (!head->count)
		head->base_timestamp = timestamp;
	int64_t time_delta = (int64_t)((uint64_t)timestamp - (uint64_t)head->base_timestamp);

	kafka_put_varlong(&b->body, (int64_t)(1 + kafka_varlong_size(time_delta) + kafka_varlong_size(offset_delta) +
		size_of(key) + size_of(value) + n_bytes));
	kafka_put8(&b->body, 0);
	kafka_put_varlong(&b->body, time_delta);
	kafka_put_varlong(&b->body, offset_delta);
	put(&b->body, key);
	put(&b->body, value);
	if (!head->count || timestamp > head->max_timestamp)
		head->max_timestamp = timestamp;
	head->last_offset_delta = offset_delta;
	head->count++;
	return 0;
}

int kafka_builder_add_at(struct kafka_builder *b, int32_t offset_delta, int64_t timestamp, struct str key,
	struct str value, const struct kafka_record_header *headers, int32_t n_headers)
{
	size_t n = kafka_varlong_size(n_headers);

	for (int32_t i = 0; i < n_headers; i++)
		n += kafka_varlong_size((int64_t)headers[i].key.n) + headers[i].key.n + size_of(headers[i].value);
	int code = put_record(b, offset_delta, timestamp, key, value, n);

	if (code)
		return code;
	kafka_put_varlong(&b->body, n_headers);
	for (int32_t i = 0; i < n_headers; i++) {
		put(&b->body, headers[i].key.p ? headers[i].key : STR(""));
		put(&b->body, headers[i].value);
	}
	return b->body.failed ? KAFKA_WIRE_MEMORY : 0;
}

int kafka_builder_add(struct kafka_builder *b, int64_t timestamp, struct str key, struct str value,
	const struct kafka_record_header *headers, int32_t n_headers)
{
	return kafka_builder_add_at(b, b->head.last_offset_delta + 1, timestamp, key, value, headers, n_headers);
}

int kafka_builder_copy(struct kafka_builder *b, int32_t offset_delta, const struct kafka_record *record)
{
	struct str headers = {(const char *)record->header_bytes.p, cursor_left(&record->header_bytes)};

	int code = put_record(b, offset_delta, record->timestamp, record->key, record->value,
		kafka_varlong_size(record->headers) + headers.n);

	if (code)
		return code;
	kafka_put_varlong(&b->body, record->headers);
	buf_str(&b->body, headers);
	return b->body.failed ? KAFKA_WIRE_MEMORY : 0;
}

static void put_head(const struct kafka_batch *head, int codec, struct buf *out)
{
	kafka_put64(out, (uint64_t)head->base_offset);
	kafka_put32(out, 0); /* the length, when it is known */
	kafka_put32(out, (uint32_t)head->leader_epoch);
	kafka_put8(out, 2);
	kafka_put32(out, 0); /* the checksum */
	kafka_put16(out, (uint16_t)((head->attributes & ~KAFKA_ATTR_CODEC_MASK) | codec));
	kafka_put32(out, (uint32_t)head->last_offset_delta);
	kafka_put64(out, (uint64_t)head->base_timestamp);
	kafka_put64(out, (uint64_t)head->max_timestamp);
	kafka_put64(out, (uint64_t)head->producer_id);
	kafka_put16(out, (uint16_t)head->producer_epoch);
	kafka_put32(out, (uint32_t)head->base_sequence);
	kafka_put32(out, (uint32_t)head->count);
}

int kafka_builder_finish(struct kafka_builder *b, int codec, int level, struct buf *out)
{
	size_t start = out->n;

	if (b->body.failed)
		return KAFKA_WIRE_MEMORY;
	if (!b->head.count)
		codec = KAFKA_CODEC_NONE;
	put_head(&b->head, codec, out);
	int code = kafka_compress(codec, level, buf_view(&b->body), out);

	if (code || out->failed)
		return code ? code : KAFKA_WIRE_MEMORY;
	size_t n = out->n - start;

	if (n > INT32_MAX)
		return KAFKA_WIRE_TOO_LONG;
	kafka_store32(out->p + start + KAFKA_BATCH_AT_LENGTH, (uint32_t)(n - KAFKA_BATCH_AT_LEADER_EPOCH));
	kafka_batch_set_crc(out->p + start, n);
	return 0;
}

int kafka_control_batch(int64_t base_offset, int64_t producer_id, int16_t producer_epoch, int type,
	int32_t coordinator_epoch, int64_t timestamp, struct buf *out)
{
	struct kafka_builder b;
	char key[KAFKA_CONTROL_KEY_SIZE] = {0}, value[6] = {0};

	kafka_store16(key + KAFKA_CONTROL_KEY_AT_TYPE, (uint16_t)type);
	kafka_store32(value + 2, (uint32_t)coordinator_epoch); /* behind the version, 0; see end_txn_marker.yaml */
	kafka_builder_init(&b, 256);
	b.head.base_offset = base_offset;
	b.head.producer_id = producer_id;
	b.head.producer_epoch = producer_epoch;
	b.head.attributes = KAFKA_ATTR_TRANSACTIONAL | KAFKA_ATTR_CONTROL;
	int code = kafka_builder_add(&b, timestamp, (struct str){key, sizeof(key)}, (struct str){value, sizeof(value)},
		NULL, 0);

	if (!code)
		code = kafka_builder_finish(&b, KAFKA_CODEC_NONE, KAFKA_LEVEL_DEFAULT, out);
	kafka_builder_done(&b);
	return code;
}
