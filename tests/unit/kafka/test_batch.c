/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/batch.h"
#include "kafka/crc32c.h"
#include "kafka/error.h"
#include "kafka/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MAX = 8 << 20 };

static void fill(char *p, size_t n)
{
	uint32_t v = 12345;

	for (size_t i = 0; i < n; i++) {
		v = v * 1103515245 + 12345;
		p[i] = (char)(v >> 16);
	}
}

static void test_crc(void **state)
{
	char zeros[32] = {0}, *p = malloc(100000);

	/* RFC 3720, B.4, and the usual check value */
	assert_int_equal(kafka_crc32c(zeros, 32), 0x8a9136aa);
	assert_int_equal(kafka_crc32c("123456789", 9), 0xe3069283);
	assert_int_equal(kafka_crc32c_soft("123456789", 9), 0xe3069283);
	assert_int_equal(kafka_crc32c("", 0), 0);
	fill(p, 100000);
	for (size_t n = 0; n < 100000; n = n * 3 + 1) {
		assert_int_equal(kafka_crc32c(p, n), kafka_crc32c_soft(p, n));
		assert_int_equal(kafka_crc32c(p + 3, n), kafka_crc32c_soft(p + 3, n));
		assert_int_equal(kafka_crc32c_extend(kafka_crc32c(p, n / 3), p + n / 3, n - n / 3), kafka_crc32c(p, n));
	}
	free(p);
}

static void test_crc_patch(void **state)
{
	enum { N = 70001 };
	static const size_t places[] = {0, 1, 21, 4096, 69000, N - 5};
	char *p = malloc(N), delta[5];

	fill(p, N);
	for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		uint32_t crc = kafka_crc32c(p, N);

		memcpy(delta, p + places[i], 5);
		memcpy(p + places[i], "hello", 5);
		for (int k = 0; k < 5; k++)
			delta[k] = (char)(delta[k] ^ "hello"[k]);
		assert_int_equal(kafka_crc32c_patch(crc, delta, 5, N - 5 - places[i]), kafka_crc32c(p, N));
	}
	free(p);
}

static const struct kafka_record_header two_headers[] = {{STR("h1"), STR("v1")}, {STR("h2"), STR_NONE}};

/* n records with keys, values and headers of all kinds. */
static void build(struct buf *out, int n, int codec, int16_t attributes)
{
	struct kafka_builder b;
	char key[32], value[200];

	kafka_builder_init(&b, MAX);
	b.head.base_offset = 1000;
	b.head.attributes = attributes;
	for (int i = 0; i < n; i++) {
		size_t kn = (size_t)snprintf(key, sizeof(key), "key-%d", i);

		memset(value, 'a' + i % 26, sizeof(value));
		assert_int_equal(kafka_builder_add(&b, 1700000000000 + i * 3, i % 5 ? (struct str){key, kn} : STR_NONE,
			i % 7 ? (struct str){value, (size_t)i % 200} : STR_NONE, two_headers, i % 3), 0);
	}
	assert_int_equal(kafka_builder_finish(&b, codec, KAFKA_LEVEL_DEFAULT, out), 0);
	kafka_builder_done(&b);
}

static void check_record(const struct kafka_record *r, int i)
{
	struct kafka_record copy = *r;
	struct str key, value;
	char want[32];

	snprintf(want, sizeof(want), "key-%d", i);
	assert_int_equal(r->offset, 1000 + i);
	assert_int_equal(r->timestamp, 1700000000000 + i * 3);
	assert_true(i % 5 ? str_is(r->key, want) : !r->key.p);
	assert_true(i % 7 ? r->value.p && r->value.n == (size_t)i % 200 : !r->value.p);
	assert_int_equal(r->headers, i % 3);
	for (int h = 0; h < i % 3; h++) {
		assert_int_equal(kafka_record_header_next(&copy, &key, &value), 1);
		assert_true(str_eq(key, two_headers[h].key) && str_eq(value, two_headers[h].value));
		assert_int_equal(!value.p, h == 1);
	}
	assert_int_equal(kafka_record_header_next(&copy, &key, &value), 0);
}

static void test_build_and_read(void **state)
{
	for (int codec = 0; codec <= KAFKA_CODEC_ZSTD; codec++) {
		struct buf out, scratch;
		struct kafka_batch batch;
		struct kafka_records it;
		struct kafka_record r;
		int32_t bad;

		buf_init(&out, MAX);
		buf_init(&scratch, MAX);
		build(&out, 1500, codec, 0);
		struct str rest = buf_view(&out);

		assert_int_equal(kafka_batch_magic(rest), 2);
		assert_int_equal(kafka_batch_size(rest), out.n);
		assert_int_equal(kafka_batch_next(&rest, &batch), 0);
		assert_int_equal(rest.n, 0);
		assert_int_equal(kafka_batch_check(&batch), 0);
		assert_int_equal(kafka_batch_validate(&batch), 0);
		assert_int_equal(kafka_batch_codec(&batch), codec);
		assert_int_equal(kafka_batch_last_offset(&batch), 1000 + 1499);
		assert_int_equal(batch.max_timestamp, 1700000000000 + 1499 * 3);
		assert_int_equal(kafka_batch_validate_records(&batch, false, &scratch, &bad), 0);
		assert_int_equal(kafka_batch_validate_records(&batch, true, &scratch, &bad), KAFKA_ERR_INVALID_RECORD);
		assert_int_equal(bad, 0);
		assert_int_equal(kafka_records_open(&it, &batch, &scratch), 0);
		for (int i = 0; i < 1500; i++) {
			assert_int_equal(kafka_records_next(&it, &r), 1);
			check_record(&r, i);
		}
		assert_int_equal(kafka_records_next(&it, &r), 0);
		buf_done(&out);
		buf_done(&scratch);
	}
}

/* Whatever byte is damaged behind the checksum is noticed; whatever length is cut too. */
static void test_damage(void **state)
{
	struct buf out, scratch;
	struct kafka_batch batch;
	int32_t bad;

	buf_init(&out, MAX);
	buf_init(&scratch, MAX);
	build(&out, 12, KAFKA_CODEC_NONE, 0);
	for (size_t n = 0; n < out.n; n++) {
		char *part = malloc(n + 1);

		memcpy(part, out.p, n);
		struct str rest = {part, n};

		assert_int_equal(kafka_batch_next(&rest, &batch), KAFKA_WIRE_TRUNCATED);
		assert_int_equal(rest.n, n);
		free(part);
	}
	for (size_t at = KAFKA_BATCH_AT_CRC; at < out.n; at++) {
		struct str rest = buf_view(&out);

		out.p[at] ^= 0x41;
		assert_int_equal(kafka_batch_next(&rest, &batch), 0);
		assert_int_equal(kafka_batch_check(&batch), KAFKA_WIRE_CORRUPT);
		assert_int_equal(kafka_batch_validate(&batch), KAFKA_ERR_CORRUPT_MESSAGE);
		kafka_batch_validate_records(&batch, false, &scratch, &bad); /* must survive it */
		out.p[at] ^= 0x41;
	}
	out.p[KAFKA_BATCH_AT_MAGIC] = 3;
	assert_int_equal(kafka_batch_next(&(struct str){out.p, out.n}, &batch), KAFKA_WIRE_UNSUPPORTED);
	out.p[KAFKA_BATCH_AT_MAGIC] = 2;
	kafka_store32(out.p + KAFKA_BATCH_AT_LENGTH, 48);
	assert_int_equal(kafka_batch_next(&(struct str){out.p, out.n}, &batch), KAFKA_WIRE_MALFORMED);
	kafka_store32(out.p + KAFKA_BATCH_AT_LENGTH, 0x80000000);
	assert_int_equal(kafka_batch_next(&(struct str){out.p, out.n}, &batch), KAFKA_WIRE_MALFORMED);
	buf_done(&out);
	buf_done(&scratch);
}

static int validate_with(size_t at, size_t width, int64_t value)
{
	struct buf out;
	struct kafka_batch batch;

	buf_init(&out, MAX);
	build(&out, 3, KAFKA_CODEC_NONE, 0);
	if (width == 2)
		kafka_store16(out.p + at, (uint16_t)value);
	else if (width == 4)
		kafka_store32(out.p + at, (uint32_t)value);
	else
		kafka_store64(out.p + at, (uint64_t)value);
	kafka_batch_set_crc(out.p, out.n);
	assert_int_equal(kafka_batch_next(&(struct str){out.p, out.n}, &batch), 0);
	int code = kafka_batch_validate(&batch);

	buf_done(&out);
	return code;
}

static void test_validate(void **state)
{
	assert_int_equal(validate_with(KAFKA_BATCH_AT_COUNT, 4, 3), 0);
	assert_int_equal(validate_with(KAFKA_BATCH_AT_COUNT, 4, 2), KAFKA_ERR_INVALID_RECORD);
	assert_int_equal(validate_with(KAFKA_BATCH_AT_COUNT, 4, -1), KAFKA_ERR_INVALID_RECORD);
	assert_int_equal(validate_with(KAFKA_BATCH_AT_LAST_OFFSET_DELTA, 4, 7), KAFKA_ERR_INVALID_RECORD);
	assert_int_equal(validate_with(KAFKA_BATCH_AT_ATTRIBUTES, 2, 5), KAFKA_ERR_UNSUPPORTED_COMPRESSION_TYPE);
	assert_int_equal(validate_with(KAFKA_BATCH_AT_ATTRIBUTES, 2, KAFKA_ATTR_CONTROL), KAFKA_ERR_INVALID_RECORD);
	assert_int_equal(validate_with(KAFKA_BATCH_AT_ATTRIBUTES, 2, KAFKA_ATTR_APPEND_TIME),
		KAFKA_ERR_INVALID_TIMESTAMP);
	assert_int_equal(validate_with(KAFKA_BATCH_AT_ATTRIBUTES, 2, KAFKA_ATTR_TRANSACTIONAL),
		KAFKA_ERR_INVALID_RECORD);
	assert_int_equal(validate_with(KAFKA_BATCH_AT_PRODUCER_ID, 8, 4), KAFKA_ERR_INVALID_RECORD);
}

/* Records that lie about lengths, offsets or their number. */
static int records_with(const char *bytes, size_t n, int32_t count)
{
	struct kafka_batch batch = {.count = count, .last_offset_delta = count - 1, .records = {bytes, n}};
	struct buf scratch;
	int32_t bad;

	buf_init(&scratch, 4096);
	int code = kafka_batch_validate_records(&batch, false, &scratch, &bad);

	buf_done(&scratch);
	return code;
}

static void test_hostile_records(void **state)
{
	/* length, attributes, time, offset, key, value, headers */
	assert_int_equal(records_with("\x0c\0\0\0\1\1\0", 7, 1), 0);
	assert_int_equal(records_with("\x0c\0\0\0\1\1\0", 6, 1), KAFKA_ERR_CORRUPT_MESSAGE);
	assert_int_equal(records_with("\x0c\0\0\0\1\1\0x", 8, 1), KAFKA_ERR_CORRUPT_MESSAGE);
	assert_int_equal(records_with("\x0c\0\0\0\1\1\0", 7, 2), KAFKA_ERR_CORRUPT_MESSAGE);
	assert_int_equal(records_with("\x0c\0\0\2\1\1\0", 7, 1), KAFKA_ERR_INVALID_RECORD);
	assert_int_equal(records_with("\x0c\0\0\0\3\1\0", 7, 1), KAFKA_ERR_CORRUPT_MESSAGE);
	assert_int_equal(records_with("\x0c\0\0\0\x7e\1\0", 7, 1), KAFKA_ERR_CORRUPT_MESSAGE);
	assert_int_equal(records_with("\x0c\0\0\0\1\1\2", 7, 1), KAFKA_ERR_CORRUPT_MESSAGE);
	assert_int_equal(records_with("\x0c\0\0\0\1\1\1", 7, 1), KAFKA_ERR_CORRUPT_MESSAGE);
	assert_int_equal(records_with("\1", 1, 1), KAFKA_ERR_CORRUPT_MESSAGE);
	assert_int_equal(records_with("", 0, INT32_MAX), KAFKA_ERR_CORRUPT_MESSAGE);
}

static void test_patching(void **state)
{
	struct buf out, scratch;
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;

	buf_init(&out, MAX);
	buf_init(&scratch, MAX);
	build(&out, 900, KAFKA_CODEC_LZ4, 0);
	kafka_batch_set_place(out.p, 77, 5);
	assert_int_equal(kafka_batch_next(&(struct str){out.p, out.n}, &batch), 0);
	assert_int_equal(kafka_batch_check(&batch), 0);
	assert_int_equal(batch.base_offset, 77);
	assert_int_equal(batch.leader_epoch, 5);
	for (int64_t time = 1; time < INT64_MAX / 1000; time *= 999) { /* the flag is set already the second time */
		kafka_batch_set_append_time(out.p, out.n, time);
		assert_int_equal(kafka_batch_next(&(struct str){out.p, out.n}, &batch), 0);
		assert_int_equal(kafka_batch_check(&batch), 0);
		assert_int_equal(kafka_records_open(&it, &batch, &scratch), 0);
		assert_int_equal(kafka_records_next(&it, &r), 1);
		assert_int_equal(r.timestamp, time);
		assert_int_equal(r.offset, 77);
	}
	buf_done(&out);
	buf_done(&scratch);
}

static void test_compression(void **state)
{
	enum { N = 300000 };
	char *p = malloc(N);

	fill(p, N / 3);
	memset(p + N / 3, 'z', N - N / 3);
	for (int codec = 0; codec <= KAFKA_CODEC_ZSTD; codec++)
		for (size_t n = 0; n <= N; n = n * 7 + 1) {
			struct buf packed, got, tight;

			buf_init(&packed, MAX);
			buf_init(&got, n);
			buf_init(&tight, n ? n - 1 : 0);
			assert_int_equal(kafka_compress(codec, KAFKA_LEVEL_DEFAULT, (struct str){p, n}, &packed), 0);
			assert_int_equal(kafka_decompress(codec, buf_view(&packed), &got), 0);
			assert_true(str_eq(buf_view(&got), (struct str){p, n}));
			if (n)
				assert_int_equal(kafka_decompress(codec, buf_view(&packed), &tight), KAFKA_WIRE_MEMORY);
			/* cut short */
			for (size_t cut = 1; cut < packed.n && codec; cut = cut * 5) {
				buf_reset(&got);
				int code = kafka_decompress(codec, str_sub(buf_view(&packed), 0, packed.n - cut), &got);

				assert_true(code || codec == KAFKA_CODEC_SNAPPY);
			}
			buf_done(&packed);
			buf_done(&got);
			buf_done(&tight);
		}
	free(p);
}

static void test_compression_hostile(void **state)
{
	struct buf got, bomb, zeros;

	buf_init(&got, 1 << 20);
	buf_init(&zeros, 64 << 20);
	memset(buf_reserve(&zeros, 60 << 20), 0, 60 << 20);
	zeros.n = 60 << 20;
	for (int codec = KAFKA_CODEC_GZIP; codec <= KAFKA_CODEC_ZSTD; codec++) {
		buf_reset(&got);
		assert_int_equal(kafka_decompress(codec, STR("this is no compressed data at all"), &got),
			KAFKA_WIRE_CORRUPT);
		buf_reset(&got);
		assert_int_equal(kafka_decompress(codec, STR(""), &got), KAFKA_WIRE_CORRUPT);
		/* 60 MiB of zeros from little: stopped at the limit */
		buf_init(&bomb, 64 << 20);
		assert_int_equal(kafka_compress(codec, KAFKA_LEVEL_DEFAULT, buf_view(&zeros), &bomb), 0);
		buf_reset(&got);
		assert_int_equal(kafka_decompress(codec, buf_view(&bomb), &got), KAFKA_WIRE_MEMORY);
		buf_done(&bomb);
	}
	/* raw snappy, as librdkafka writes it; and one that claims 4 GiB */
	buf_reset(&got);
	assert_int_equal(kafka_decompress(KAFKA_CODEC_SNAPPY, (struct str){"\3\x08" "abc", 5}, &got), 0);
	assert_true(str_is(buf_view(&got), "abc"));
	assert_int_equal(kafka_decompress(KAFKA_CODEC_SNAPPY, (struct str){"\xff\xff\xff\xff\x0f" "abc", 8}, &got),
		KAFKA_WIRE_CORRUPT);
	assert_int_equal(kafka_decompress(5, STR("x"), &got), KAFKA_WIRE_UNSUPPORTED);
	assert_int_equal(kafka_compress(7, 0, STR("x"), &got), KAFKA_WIRE_UNSUPPORTED);
	buf_done(&got);
	buf_done(&zeros);
}

/* Compaction: every second record stays, with its offset; then none. */
static void test_compaction(void **state)
{
	struct buf out, scratch, kept;
	struct kafka_batch batch, after;
	struct kafka_records it;
	struct kafka_record r;
	struct kafka_builder b;

	buf_init(&out, MAX);
	buf_init(&scratch, MAX);
	buf_init(&kept, MAX);
	build(&out, 100, KAFKA_CODEC_ZSTD, 0);
	assert_int_equal(kafka_batch_next(&(struct str){out.p, out.n}, &batch), 0);
	kafka_builder_init(&b, MAX);
	b.head.base_offset = batch.base_offset;
	assert_int_equal(kafka_records_open(&it, &batch, &scratch), 0);
	for (int i = 0; kafka_records_next(&it, &r) == 1; i++)
		if (i % 2)
			assert_int_equal(kafka_builder_copy(&b, (int32_t)(r.offset - batch.base_offset), &r), 0);
	assert_int_equal(kafka_builder_finish(&b, KAFKA_CODEC_ZSTD, 3, &kept), 0);
	assert_int_equal(kafka_batch_next(&(struct str){kept.p, kept.n}, &after), 0);
	assert_int_equal(after.count, 50);
	assert_int_equal(kafka_records_open(&it, &after, &scratch), 0);
	for (int i = 1; i < 100; i += 2) {
		assert_int_equal(kafka_records_next(&it, &r), 1);
		check_record(&r, i);
	}
	assert_int_equal(kafka_records_next(&it, &r), 0);
	kafka_builder_reset(&b);
	b.head.last_offset_delta = 99;
	buf_reset(&kept);
	assert_int_equal(kafka_builder_finish(&b, KAFKA_CODEC_ZSTD, 3, &kept), 0);
	assert_int_equal(kept.n, KAFKA_BATCH_SIZE);
	assert_int_equal(kafka_batch_next(&(struct str){kept.p, kept.n}, &after), 0);
	assert_int_equal(kafka_records_open(&it, &after, &scratch), 0);
	assert_int_equal(kafka_records_next(&it, &r), 0);
	kafka_builder_done(&b);
	buf_done(&out);
	buf_done(&scratch);
	buf_done(&kept);
}

static void test_builder_limit(void **state)
{
	struct kafka_builder b;
	struct buf out;

	buf_init(&out, MAX);
	kafka_builder_init(&b, 20);
	assert_int_equal(kafka_builder_add(&b, 0, STR_NONE, STR("12345"), NULL, 0), 0);
	assert_int_equal(kafka_builder_add(&b, 0, STR_NONE, STR("1234567890123"), NULL, 0), KAFKA_WIRE_MEMORY);
	assert_int_equal(kafka_builder_finish(&b, 0, 0, &out), KAFKA_WIRE_MEMORY);
	kafka_builder_done(&b);
	buf_done(&out);
}

static void test_control(void **state)
{
	struct buf out;
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;
	struct arena *arena = arena_new(4096);
	struct kafka_end_txn_marker marker;

	buf_init(&out, 4096);
	assert_int_equal(kafka_control_batch(9, 4, 2, KAFKA_CONTROL_COMMIT, 6, 123, &out), 0);
	assert_int_equal(kafka_batch_next(&(struct str){out.p, out.n}, &batch), 0);
	assert_int_equal(kafka_batch_check(&batch), 0);
	assert_int_equal(batch.attributes, KAFKA_ATTR_CONTROL | KAFKA_ATTR_TRANSACTIONAL);
	assert_int_equal(batch.producer_id, 4);
	assert_int_equal(kafka_records_open(&it, &batch, NULL), 0);
	assert_int_equal(kafka_records_next(&it, &r), 1);
	assert_int_equal(kafka_control_type(r.key), KAFKA_CONTROL_COMMIT);
	assert_int_equal(kafka_control_type(STR("x")), -1);
	assert_int_equal(kafka_decode_versioned(&kafka_end_txn_marker_schema, r.value, arena, &marker, NULL), 0);
	assert_int_equal(marker.coordinator_epoch, 6);
	assert_int_equal(kafka_batch_validate(&batch), KAFKA_ERR_INVALID_RECORD); /* not for clients */
	buf_done(&out);
	arena_free(arena);
}

static void check_legacy(int magic)
{
	struct buf out, scratch, old, up;
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;

	buf_init(&out, MAX);
	buf_init(&scratch, MAX);
	buf_init(&old, MAX);
	buf_init(&up, MAX);
	build(&out, 50, KAFKA_CODEC_GZIP, 0);
	assert_int_equal(kafka_batch_next(&(struct str){out.p, out.n}, &batch), 0);
	assert_int_equal(kafka_legacy_down(&batch, magic, &scratch, &old), 0);
	assert_int_equal(kafka_batch_magic(buf_view(&old)), magic);
	assert_int_equal(kafka_batch_next(&(struct str){old.p, old.n}, &batch), KAFKA_WIRE_UNSUPPORTED);
	assert_int_equal(kafka_legacy_up(buf_view(&old), &scratch, &up), 0);
	assert_int_equal(kafka_batch_next(&(struct str){up.p, up.n}, &batch), 0);
	assert_int_equal(kafka_batch_validate(&batch), 0);
	assert_int_equal(batch.count, 50);
	assert_int_equal(kafka_records_open(&it, &batch, &scratch), 0);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(kafka_records_next(&it, &r), 1);
		assert_int_equal(r.timestamp, magic ? 1700000000000 + i * 3 : -1);
		assert_int_equal(!r.key.p, i % 5 == 0);
		assert_int_equal(r.headers, 0);
	}
	size_t first = (size_t)kafka_batch_size(buf_view(&old));

	for (size_t n = 0; n < first; n++) {
		buf_reset(&up);
		assert_int_not_equal(kafka_legacy_up((struct str){old.p, n}, &scratch, &up), 0);
		assert_int_not_equal(kafka_legacy_up((struct str){old.p, first + n}, &scratch, &up), n ? 0 : -1);
		old.p[n] ^= 0x10; /* the offset, which comes first, is not part of the checksum */
		buf_reset(&up);
		assert_int_equal(kafka_legacy_up(buf_view(&old), &scratch, &up) == 0, n < 8);
		old.p[n] ^= 0x10;
	}
	buf_done(&out);
	buf_done(&scratch);
	buf_done(&old);
	buf_done(&up);
}

static void test_legacy(void **state)
{
	check_legacy(0);
	check_legacy(1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),
		cmocka_unit_test(test_crc_patch),
		cmocka_unit_test(test_build_and_read),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_validate),
		cmocka_unit_test(test_hostile_records),
		cmocka_unit_test(test_patching),
		cmocka_unit_test(test_compression),
		cmocka_unit_test(test_compression_hostile),
		cmocka_unit_test(test_compaction),
		cmocka_unit_test(test_builder_limit),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_legacy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
