/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/batch.h"
#include "kafka/error.h"
#include "kafka/wire.h"

void kafka_builder_like(struct kafka_builder *b, const struct kafka_batch *batch)
{
	struct kafka_batch *h = &b->head;

	h->base_offset = batch->base_offset;
	h->leader_epoch = batch->leader_epoch;
	h->producer_id = batch->producer_id;
	h->producer_epoch = batch->producer_epoch;
	h->base_sequence = batch->base_sequence;
	h->attributes = (int16_t)(batch->attributes & (KAFKA_ATTR_APPEND_TIME | KAFKA_ATTR_TRANSACTIONAL));
	h->last_offset_delta = batch->last_offset_delta;
}

/* How many records stay; negative: a kafka_wire_code. *ret_last is the offset of the last one. */
static int count(const struct kafka_batch *batch, struct buf *scratch, kafka_keep_f *keep, void *arg, int64_t *ret_last)
{
	struct kafka_records it;
	struct kafka_record r;
	int code = kafka_records_open(&it, batch, scratch), kept = 0;
	int64_t before = batch->base_offset - 1;

	*ret_last = -1;
	if (code)
		return code;
	for (; (code = kafka_records_next(&it, &r)) == 1; before = r.offset) {
		if (r.offset <= before || r.offset > kafka_batch_last_offset(batch))
			return KAFKA_WIRE_MALFORMED;
		if (keep(arg, &r)) {
			kept++;
			*ret_last = r.offset;
		}
	}
	return code ? code : kept;
}

/* scratch holds the unpacked records from count(). */
static int rebuild(const struct kafka_batch *batch, struct str records, kafka_keep_f *keep, void *arg, int level,
	struct buf *out)
{
	struct kafka_records it = {batch, cursor_of(records), batch->count};
	struct kafka_builder b;
	struct kafka_record r;
	int code = 0;

	kafka_builder_init(&b, records.n + KAFKA_BATCH_SIZE);
	while (!code && kafka_records_next(&it, &r) == 1)
		if (keep(arg, &r))
			code = kafka_builder_copy(&b, (int32_t)(r.offset - batch->base_offset), &r);
	kafka_builder_like(&b, batch);
	if (!code)
		code = kafka_builder_finish(&b, kafka_batch_codec(batch), level, out);
	kafka_builder_done(&b);
	return code;
}

int kafka_batch_filter(const struct kafka_batch *batch, int64_t from, struct buf *scratch, kafka_keep_f *keep,
	void *arg, int level, struct buf *out)
{
	int64_t last;
	int kept = count(batch, scratch, keep, arg, &last);

	if (kept <= 0 || last < from)
		return kept < 0 ? kept : KAFKA_FILTER_NONE;
	if (kept == batch->count)
		return KAFKA_FILTER_ALL;
	struct str records = kafka_batch_codec(batch) ? buf_view(scratch) : batch->records;
	int code = rebuild(batch, records, keep, arg, level, out);

	return code ? code : KAFKA_FILTER_SOME;
}

int kafka_gap_batch(int64_t base_offset, int64_t last_offset, int32_t leader_epoch, int64_t timestamp, struct buf *out)
{
	static const char key[KAFKA_CONTROL_KEY_SIZE] = {0, 0, 0, KAFKA_CONTROL_COMMIT}, value[6];
	struct kafka_builder b;

	if (last_offset < base_offset || last_offset - base_offset > INT32_MAX)
		return KAFKA_WIRE_TOO_LONG;
	kafka_builder_init(&b, 256);
	int code = kafka_builder_add_at(&b, (int32_t)(last_offset - base_offset), timestamp,
		(struct str){key, sizeof(key)}, (struct str){value, sizeof(value)}, NULL, 0);

	b.head.base_offset = base_offset;
	b.head.leader_epoch = leader_epoch;
	b.head.attributes = KAFKA_ATTR_CONTROL;
	if (!code)
		code = kafka_builder_finish(&b, KAFKA_CODEC_NONE, KAFKA_LEVEL_DEFAULT, out);
	kafka_builder_done(&b);
	return code;
}

int kafka_batch_recompress(const struct kafka_batch *batch, int codec, struct buf *scratch, struct buf *out)
{
	size_t start = out->n;
	int32_t index;
	/* Also what makes the records of no use to readers has to be found here, as Kafka does. */
	int code = kafka_batch_validate_records(batch, false, scratch, &index);

	if (code)
		return code;
	struct str records = kafka_batch_codec(batch) ? buf_view(scratch) : batch->records;

	buf_str(out, str_sub(batch->bytes, 0, KAFKA_BATCH_SIZE));
	code = kafka_compress(codec, KAFKA_LEVEL_DEFAULT, records, out);
	if (code || out->failed || out->n - start > INT32_MAX)
		return KAFKA_ERR_MESSAGE_TOO_LARGE;
	char *p = out->p + start;

	kafka_store32(p + KAFKA_BATCH_AT_LENGTH, (uint32_t)(out->n - start - KAFKA_BATCH_AT_LEADER_EPOCH));
	kafka_store16(p + KAFKA_BATCH_AT_ATTRIBUTES, (uint16_t)((batch->attributes & ~KAFKA_ATTR_CODEC_MASK) | codec));
	kafka_batch_set_crc(p, out->n - start);
	return 0;
}
