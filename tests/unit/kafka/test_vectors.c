/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/batch.h"
#include "kafka/crc32c.h"
#include "kafka/error.h"
#include "kafka/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* usage: test_kafka_vectors MESSAGES BATCHES   (lines made by tests/kafka_codec/Vectors.java)
 *        test_kafka_vectors write              prints batches of ours in hex, and what a reader must find */

enum { MAX = 1 << 20 };

static const char *messages_path, *batches_path;

/* Decodes hex in place. */
static struct str unhex(char *p)
{
	size_t n = 0;

	for (; p[2 * n] && p[2 * n] != '\n'; n++) {
		char digits[3] = {p[2 * n], p[2 * n + 1], 0};

		p[n] = (char)strtoul(digits, NULL, 16);
	}
	return (struct str){p, n};
}

static void check_message(const struct kafka_schema *schema, int version, struct str bytes)
{
	struct arena *arena = arena_new(MAX);
	void *msg = arena_alloc(arena, schema->size);
	struct buf again;
	int code = kafka_decode(schema, version, bytes, arena, msg);

	if (code)
		fail_msg("%s %d: %s", schema->name, version, kafka_wire_text(code));
	buf_init(&again, MAX);
	assert_int_equal(kafka_encode(schema, version, msg, &again, NULL), 0);
	if (!str_eq(buf_view(&again), bytes))
		fail_msg("%s %d: other bytes", schema->name, version);
	buf_done(&again);
	arena_free(arena);
}

static void test_messages(void **state)
{
	bool seen[KAFKA_API_KEY_MAX + 1][2][32] = {0};
	char *line = NULL;
	size_t cap = 0;
	FILE *f = fopen(messages_path, "r");

	assert_non_null(f);
	while (getline(&line, &cap, f) > 0) {
		int key, version, used = 0;
		char side;

		assert_int_equal(sscanf(line, "%d %c %d%n", &key, &side, &version, &used), 3);
		const struct kafka_api *api = kafka_api_of(key);

		if (!api || version < api->codec_min || version > api->codec_max)
			continue;
		check_message(side == 'q' ? api->request : api->response, version,
			unhex(line + used + (line[used] == ' ')));
		seen[key][side == 'q'][version] = true;
	}
	for (unsigned i = 0; i < KAFKA_API_COUNT; i++)
		for (int v = kafka_apis[i].codec_min; v <= kafka_apis[i].codec_max; v++)
			if (!seen[kafka_apis[i].key][0][v] || !seen[kafka_apis[i].key][1][v])
				fail_msg("%s %d: no vector", kafka_apis[i].name, v);
	free(line);
	fclose(f);
}

/* The records of Vectors.batches(). */
static void check_record(const struct kafka_record *r, int i, bool timed, bool headed)
{
	char want[16];

	snprintf(want, sizeof(want), "key-%d", i);
	assert_int_equal(r->timestamp, timed ? 1700000000000 + 3 * i : -1);
	assert_true(i % 5 ? str_is(r->key, want) : !r->key.p);
	assert_int_equal(r->value.n, i == 7 ? 0 : 20 * i);
	assert_int_equal(!r->value.p, i == 7);
	assert_int_equal(r->headers, headed && i == 3 ? 2 : 0);
}

static void check_batch(int magic, int codec, struct str bytes)
{
	struct buf up, scratch;
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;

	buf_init(&up, MAX);
	buf_init(&scratch, MAX);
	assert_int_equal(kafka_batch_magic(bytes), magic);
	if (magic < 2) {
		int code = kafka_legacy_up(bytes, &scratch, &up);

		/* LZ4 in magic 0 is refused: its header checksum is wrong on purpose */
		bool refused = magic == 0 && codec == KAFKA_CODEC_LZ4;

		assert_int_equal(code, refused ? KAFKA_ERR_UNSUPPORTED_COMPRESSION_TYPE : 0);
		bytes = buf_view(&up);
		if (code)
			goto out;
	}
	assert_int_equal(kafka_batch_next(&bytes, &batch), 0);
	assert_int_equal(bytes.n, 0);
	assert_int_equal(kafka_batch_codec(&batch), codec);
	assert_int_equal(kafka_batch_validate(&batch), 0);
	assert_int_equal(kafka_records_open(&it, &batch, &scratch), 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(kafka_records_next(&it, &r), 1);
		check_record(&r, i, magic > 0, magic == 2);
	}
	assert_int_equal(kafka_records_next(&it, &r), 0);
out:
	buf_done(&up);
	buf_done(&scratch);
}

static void test_batches(void **state)
{
	char *line = NULL;
	size_t cap = 0;
	int lines = 0;
	FILE *f = fopen(batches_path, "r");

	assert_non_null(f);
	for (; getline(&line, &cap, f) > 0; lines++) {
		int magic, codec, used = 0;

		assert_int_equal(sscanf(line, "%d %d %n", &magic, &codec, &used), 2);
		check_batch(magic, codec, unhex(line + used));
	}
	assert_int_equal(lines, 13);
	free(line);
	fclose(f);
}

static void print_batch(struct str bytes)
{
	for (size_t i = 0; i < bytes.n; i++)
		printf("%02x", (unsigned char)bytes.p[i]);
	printf("\n");
}

/* Batches of magic 2 in each codec with append time, then the same as magic 1 and 0; to the error output what
 * Vectors.read() says of each: magic, codec, records, sum of offsets, times and sizes. */
static void write_batches(void)
{
	struct kafka_record_header header = {STR("h"), STR("v")};

	for (int codec = 0; codec <= KAFKA_CODEC_ZSTD; codec++) {
		struct kafka_builder b;
		struct buf out, scratch, old;
		struct kafka_batch batch;

		kafka_builder_init(&b, MAX);
		buf_init(&out, MAX);
		buf_init(&scratch, MAX);
		buf_init(&old, MAX);
		b.head.base_offset = 50;
		for (int i = 0; i < 3000; i++)
			kafka_builder_add(&b, i, STR_NONE, STR("twelve bytes"), &header, i == 0);
		kafka_builder_finish(&b, codec, KAFKA_LEVEL_DEFAULT, &out);
		kafka_batch_set_append_time(out.p, out.n, 5000);
		kafka_batch_set_place(out.p, 100, 3);
		print_batch(buf_view(&out));
		fprintf(stderr, "2 %d 3000 %d\n", codec, 3000 * 100 + 2999 * 1500 + 3000 * (5000 - 1 + 12) + 1);
		kafka_batch_next(&(struct str){out.p, out.n}, &batch);
		for (int magic = 1; magic >= 0 && codec == KAFKA_CODEC_ZSTD; magic--) {
			buf_reset(&old);
			kafka_legacy_down(&batch, magic, &scratch, &old);
			print_batch(buf_view(&old));
			for (int i = 0; i < 3000; i++) /* there each message is a batch */
				fprintf(stderr, "%d 0 1 %d\n", magic, 100 + i + (magic ? 5000 : -1) - 1 + 12);
		}
		kafka_builder_done(&b);
		buf_done(&out);
		buf_done(&scratch);
		buf_done(&old);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_batches),
	};

	if (argc == 2) {
		write_batches();
		return 0;
	}
	if (argc != 3)
		return 2;
	messages_path = argv[1];
	batches_path = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
