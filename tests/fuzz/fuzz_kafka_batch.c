/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/batch.h"

#include <stdlib.h>

/* Batches and message sets as a producer sends them. The checksum is set right first: a fuzzer does not guess it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_batch(const struct kafka_batch *batch, struct buf *scratch, struct buf *out)
{
	struct kafka_records it;
	struct kafka_record record;
	struct str key, value;
	int32_t bad;

	kafka_batch_validate(batch);
	kafka_batch_validate_records(batch, true, scratch, &bad);
	if (kafka_records_open(&it, batch, scratch))
		return;
	while (kafka_records_next(&it, &record) == 1) {
		kafka_control_type(record.key);
		while (kafka_record_header_next(&record, &key, &value) == 1)
			;
	}
	kafka_legacy_down(batch, 1, scratch, out);
}

static bool keep_odd(void *arg, const struct kafka_record *record)
{
	return record->offset & 1;
}

/* What is made of a batch is one itself, in the same place. */
static void remake(const struct kafka_batch *batch, struct buf *scratch, struct buf *out)
{
	struct kafka_batch made;

	buf_reset(out);
	if (kafka_batch_filter(batch, 0, scratch, keep_odd, NULL, 1, out) == KAFKA_FILTER_SOME) {
		struct str rest = buf_view(out);

		if (kafka_batch_next(&rest, &made) || rest.n || kafka_batch_check(&made) ||
			made.base_offset != batch->base_offset || made.last_offset_delta != batch->last_offset_delta)
			abort();
	}
	for (int codec = 0; codec <= 4; codec++) {
		buf_reset(out);
		if (kafka_batch_recompress(batch, codec, scratch, out))
			continue;
		struct str rest = buf_view(out);

		if (kafka_batch_next(&rest, &made) || rest.n || kafka_batch_check(&made) || made.count != batch->count)
			abort();
	}
	buf_reset(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *copy = malloc(n ? n : 1);
	struct buf scratch, out;
	struct kafka_batch batch;

	buf_init(&scratch, 1 << 20);
	buf_init(&out, 1 << 20);
	if (n)
		memcpy(copy, data, n);
	struct str bytes = {copy, n}, rest = bytes;

	while (kafka_batch_next(&rest, &batch) == 0) {
		char *p = copy + (batch.bytes.p - copy);

		kafka_batch_set_crc(p, batch.bytes.n);
		kafka_batch_next(&(struct str){p, batch.bytes.n}, &batch);
		read_batch(&batch, &scratch, &out);
		remake(&batch, &scratch, &out);
		kafka_batch_set_append_time(p, batch.bytes.n, 7);
		kafka_batch_next(&(struct str){p, batch.bytes.n}, &batch);
		if (kafka_batch_check(&batch))
			abort();
	}
	if (kafka_batch_magic(bytes) < 2)
		kafka_legacy_up(bytes, &scratch, &out);
	if (n)
		for (int codec = 0; codec <= 4; codec++) {
			buf_reset(&scratch);
			kafka_decompress(codec, bytes, &scratch);
		}
	free(copy);
	buf_done(&scratch);
	buf_done(&out);
	return 0;
}
