/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_LOG_BATCH_H
#define BROKER_LOG_BATCH_H

#include "kafka/batch.h"
#include "kafka/crc32c.h"
#include "kafka/wire.h"

/* The head of a record batch (message format 2) as it lies in a file, read without the records behind it. */

enum { BATCH_OVERHEAD = KAFKA_BATCH_AT_LEADER_EPOCH }; /* the length field counts from here */

struct log_batch {
	int64_t base, last;
	uint32_t size; /* of the whole batch */
	int32_t leader_epoch;
	uint32_t crc;
	int16_t attrs;
	int32_t count;
	int64_t base_ts, max_ts;
	int64_t producer_id;
	int16_t producer_epoch;
	int32_t first_seq;
};

/* Reads KAFKA_BATCH_SIZE bytes. False when they cannot be the head of such a batch; the checksum is not looked at. */
static inline bool batch_parse(const uint8_t *p, struct log_batch *ret)
{
	int32_t len = (int32_t)kafka_load32(p + KAFKA_BATCH_AT_LENGTH);
	int32_t delta = (int32_t)kafka_load32(p + KAFKA_BATCH_AT_LAST_OFFSET_DELTA);
	int64_t base = (int64_t)kafka_load64(p);

	if (p[KAFKA_BATCH_AT_MAGIC] != 2 || len < KAFKA_BATCH_SIZE - BATCH_OVERHEAD ||
	    len > INT32_MAX - BATCH_OVERHEAD || delta < 0 || base < 0 || base > INT64_MAX - 1 - delta)
		return false;
	*ret = (struct log_batch){.base = base,
				  .last = base + delta,
				  .size = (uint32_t)len + BATCH_OVERHEAD,
				  .leader_epoch = (int32_t)kafka_load32(p + KAFKA_BATCH_AT_LEADER_EPOCH),
				  .crc = kafka_load32(p + KAFKA_BATCH_AT_CRC),
				  .attrs = (int16_t)kafka_load16(p + KAFKA_BATCH_AT_ATTRIBUTES),
				  .count = (int32_t)kafka_load32(p + KAFKA_BATCH_AT_COUNT),
				  .base_ts = (int64_t)kafka_load64(p + KAFKA_BATCH_AT_BASE_TIMESTAMP),
				  .max_ts = (int64_t)kafka_load64(p + KAFKA_BATCH_AT_MAX_TIMESTAMP),
				  .producer_id = (int64_t)kafka_load64(p + KAFKA_BATCH_AT_PRODUCER_ID),
				  .producer_epoch = (int16_t)kafka_load16(p + KAFKA_BATCH_AT_PRODUCER_EPOCH),
				  .first_seq = (int32_t)kafka_load32(p + KAFKA_BATCH_AT_BASE_SEQUENCE)};
	return ret->count >= 0;
}

/* Sequence numbers wrap from 2^31-1 to 0. */
static inline int32_t batch_seq_add(int32_t seq, int32_t n)
{
	return (int32_t)(((uint32_t)seq + (uint32_t)n) & INT32_MAX);
}

static inline int32_t batch_last_seq(const struct log_batch *b)
{
	return batch_seq_add(b->first_seq, (int32_t)(b->last - b->base));
}

/* A whole batch in memory as src/kafka has it; false when it is none. */
static inline bool batch_whole(const uint8_t *p, size_t n, struct kafka_batch *ret)
{
	struct str s = {(const char *)p, n};

	return kafka_batch_next(&s, ret) == 0;
}

/* How a control batch ends its transaction: KAFKA_CONTROL_COMMIT or _ABORT, or -1 when it is no such thing. */
static inline int batch_marker(const uint8_t *data, size_t n, int32_t *ret_coordinator_epoch)
{
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;

	if (!batch_whole(data, n, &batch) || kafka_batch_codec(&batch) || kafka_records_open(&it, &batch, NULL) ||
	    kafka_records_next(&it, &r) != 1 || r.value.n < 6)
		return -1;
	int type = kafka_control_type(r.key);

	*ret_coordinator_epoch = (int32_t)kafka_load32(r.value.p + 2);
	return type == KAFKA_CONTROL_COMMIT || type == KAFKA_CONTROL_ABORT ? type : -1;
}

#endif
