/* SPDX-License-Identifier: Apache-2.0 */
/* Batches made from batches: filtered, compressed anew, gaps. */
#include "kafka/batch.h"
#include "kafka/error.h"
#include "kafka/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { MAX = 4 << 20, N = 50 };

static void build(struct buf *out, int codec, const int32_t *deltas, int n)
{
	struct kafka_record_header header = {STR("h"), STR("v")};
	struct kafka_builder b;
	char value[64];

	kafka_builder_init(&b, MAX);
	for (int i = 0; i < n; i++) {
		size_t len = (size_t)snprintf(value, sizeof(value), "value-%d-xxxxxxxxxxxxxxxxxxxxxxxxxxx", i);

		assert_int_equal(kafka_builder_add_at(&b, deltas ? deltas[i] : i, 1700000000000 + i, STR("k"),
			(struct str){value, len}, &header, 1), 0);
	}
	b.head.base_offset = 100;
	b.head.leader_epoch = 7;
	b.head.producer_id = 5;
	b.head.producer_epoch = 1;
	b.head.base_sequence = 9;
	b.head.attributes = KAFKA_ATTR_TRANSACTIONAL;
	assert_int_equal(kafka_builder_finish(&b, codec, KAFKA_LEVEL_DEFAULT, out), 0);
	kafka_builder_done(&b);
}

static struct kafka_batch first(struct buf *b)
{
	struct str rest = buf_view(b);
	struct kafka_batch batch;

	assert_int_equal(kafka_batch_next(&rest, &batch), 0);
	assert_int_equal(kafka_batch_check(&batch), 0);
	assert_int_equal(rest.n, 0);
	return batch;
}

struct want {
	int64_t from, to;
	int step;
};

static bool keep(void *arg, const struct kafka_record *r)
{
	const struct want *w = arg;

	return r->offset >= w->from && r->offset < w->to && (r->offset - w->from) % w->step == 0;
}

static int filter(struct buf *in, struct want w, int64_t from, struct buf *out)
{
	struct kafka_batch batch = first(in);
	struct buf scratch;

	buf_init(&scratch, MAX);
	int rc = kafka_batch_filter(&batch, from, &scratch, keep, &w, KAFKA_LEVEL_DEFAULT, out);

	buf_done(&scratch);
	return rc;
}

static void test_filter(void **state)
{
	for (int codec = KAFKA_CODEC_NONE; codec <= KAFKA_CODEC_ZSTD; codec++) {
		struct buf in, out, scratch;
		struct kafka_records it;
		struct kafka_record r;
		struct str key, value;
		int64_t at = 103;

		buf_init(&in, MAX);
		buf_init(&out, MAX);
		buf_init(&scratch, MAX);
		build(&in, codec, NULL, N);
		assert_int_equal(filter(&in, (struct want){0, 1000, 1}, 100, &out), KAFKA_FILTER_ALL);
		assert_int_equal(filter(&in, (struct want){0, 0, 1}, 100, &out), KAFKA_FILTER_NONE);
		assert_int_equal(filter(&in, (struct want){100, 110, 1}, 110, &out), KAFKA_FILTER_NONE);
		assert_int_equal(out.n, 0);
		assert_int_equal(filter(&in, (struct want){103, 130, 5}, 123, &out), KAFKA_FILTER_SOME);
		struct kafka_batch batch = first(&out);

		assert_int_equal(kafka_batch_codec(&batch), codec);
		assert_int_equal(batch.base_offset, 100);
		assert_int_equal(kafka_batch_last_offset(&batch), 100 + N - 1);
		assert_int_equal(batch.leader_epoch, 7);
		assert_int_equal(batch.producer_id, 5);
		assert_int_equal(batch.base_sequence, 9);
		assert_true(batch.attributes & KAFKA_ATTR_TRANSACTIONAL);
		assert_int_equal(batch.count, 6);
		assert_int_equal(kafka_records_open(&it, &batch, &scratch), 0);
		for (; kafka_records_next(&it, &r) == 1; at += 5) {
			assert_int_equal(r.offset, at);
			assert_int_equal(r.timestamp, 1700000000000 + at - 100);
			assert_int_equal(kafka_record_header_next(&r, &key, &value), 1);
			assert_true(str_is(key, "h") && str_is(value, "v"));
		}
		assert_int_equal(at, 133);
		buf_done(&in);
		buf_done(&out);
		buf_done(&scratch);
	}
}

/* Records of a producer that lies about offsets, or inflates without end. */
static void test_filter_hostile(void **state)
{
	struct buf in, out, scratch;

	buf_init(&in, MAX);
	buf_init(&out, MAX);
	build(&in, KAFKA_CODEC_NONE, NULL, 3);
	char *p = in.p + KAFKA_BATCH_SIZE + 3; /* length, attributes and time of the first record, then its offset */

	assert_int_equal(*p, 0);
	*p = 2 * 40;
	kafka_batch_set_crc(in.p, in.n);
	assert_int_equal(filter(&in, (struct want){0, 1000, 2}, 100, &out), KAFKA_WIRE_MALFORMED);
	*p = 2 * 1; /* the same offset twice */
	kafka_batch_set_crc(in.p, in.n);
	assert_int_equal(filter(&in, (struct want){0, 1000, 2}, 100, &out), KAFKA_WIRE_MALFORMED);
	buf_reset(&in);
	build(&in, KAFKA_CODEC_ZSTD, NULL, N);
	struct kafka_batch batch = first(&in);
	struct want all = {0, 1000, 1};

	buf_init(&scratch, 100);
	assert_int_equal(kafka_batch_filter(&batch, 0, &scratch, keep, &all, KAFKA_LEVEL_DEFAULT, &out),
		KAFKA_WIRE_MEMORY);
	buf_done(&scratch);
	buf_done(&in);
	buf_done(&out);
}

static void test_recompress(void **state)
{
	for (int from = KAFKA_CODEC_NONE; from <= KAFKA_CODEC_ZSTD; from++)
		for (int to = KAFKA_CODEC_NONE; to <= KAFKA_CODEC_ZSTD; to++) {
			struct buf in, out, back, scratch;

			buf_init(&in, MAX);
			buf_init(&out, MAX);
			buf_init(&back, MAX);
			buf_init(&scratch, MAX);
			build(&in, from, NULL, N);
			struct kafka_batch a = first(&in);

			assert_int_equal(kafka_batch_recompress(&a, to, &scratch, &out), 0);
			struct kafka_batch b = first(&out);

			assert_int_equal(kafka_batch_codec(&b), to);
			assert_int_equal(b.producer_id, 5);
			assert_int_equal(b.max_timestamp, a.max_timestamp);
			assert_int_equal(kafka_batch_recompress(&b, KAFKA_CODEC_NONE, &scratch, &back), 0);
			buf_reset(&in);
			build(&in, KAFKA_CODEC_NONE, NULL, N);
			assert_int_equal(in.n, back.n);
			assert_memory_equal(in.p, back.p, in.n);
			buf_done(&in);
			buf_done(&out);
			buf_done(&back);
			buf_done(&scratch);
		}
}

static void test_recompress_refuses(void **state)
{
	static const int32_t gaps[] = {0, 2};
	struct buf in, out, scratch;

	buf_init(&in, MAX);
	buf_init(&out, MAX);
	buf_init(&scratch, MAX);
	build(&in, KAFKA_CODEC_NONE, gaps, 2);
	struct kafka_batch batch = first(&in);

	assert_int_equal(kafka_batch_recompress(&batch, KAFKA_CODEC_GZIP, &scratch, &out), KAFKA_ERR_INVALID_RECORD);
	buf_reset(&in);
	buf_reset(&out);
	build(&in, KAFKA_CODEC_GZIP, NULL, N);
	in.p[in.n - 6]++; /* gzip's own checksum */
	batch = (struct kafka_batch){0};
	kafka_batch_set_crc(in.p, in.n);
	batch = first(&in);
	assert_int_equal(kafka_batch_recompress(&batch, KAFKA_CODEC_NONE, &scratch, &out), KAFKA_ERR_CORRUPT_MESSAGE);
	buf_done(&in);
	buf_done(&out);
	buf_done(&scratch);
}

static void test_gap(void **state)
{
	struct kafka_records it;
	struct kafka_record r;
	struct buf out;

	buf_init(&out, MAX);
	assert_int_equal(kafka_gap_batch(50, 70, 3, 12345, &out), 0);
	struct kafka_batch batch = first(&out);

	assert_int_equal(batch.base_offset, 50);
	assert_int_equal(kafka_batch_last_offset(&batch), 70);
	assert_int_equal(batch.leader_epoch, 3);
	assert_int_equal(batch.producer_id, -1);
	assert_int_equal(batch.attributes, KAFKA_ATTR_CONTROL);
	assert_int_equal(kafka_records_open(&it, &batch, NULL), 0);
	assert_int_equal(kafka_records_next(&it, &r), 1);
	assert_int_equal(r.offset, 70);
	assert_int_equal(kafka_control_type(r.key), KAFKA_CONTROL_COMMIT);
	assert_int_equal(kafka_gap_batch(0, (int64_t)INT32_MAX + 1, 0, 0, &out), KAFKA_WIRE_TOO_LONG);
	assert_int_equal(kafka_gap_batch(1, 0, 0, 0, &out), KAFKA_WIRE_TOO_LONG);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_filter_hostile),
		cmocka_unit_test(test_recompress),
		cmocka_unit_test(test_recompress_refuses),
		cmocka_unit_test(test_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
