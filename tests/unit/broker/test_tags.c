/* SPDX-License-Identifier: Apache-2.0 */
/* What applications with tags publish and see: the rules, and what is made of the bytes of a log. */
#include "broker/handlers/tags.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX = 160 << 20 };

static struct str names[] = {{"a", 1}, {"b", 1}};
static const struct tags_filter ab = {{"me", 2}, {names, 2}}, any = {{"me", 2}, {NULL, 0}};

/* One batch with a record for each text: "a" is tagged so, "-" not at all. */
static void add(struct buf *out, int64_t base, const char *tags, int codec, size_t bytes)
{
	struct kafka_builder b;
	char *value = calloc(1, bytes + 1);

	kafka_builder_init(&b, MAX);
	for (size_t i = 0; tags[i]; i++) {
		struct kafka_record_header h = {STR("TAGS"), {&tags[i], 1}};

		assert_int_equal(kafka_builder_add(&b, 1000, STR("k"), (struct str){value, bytes}, &h, tags[i] != '-'),
				 0);
	}
	b.head.base_offset = base;
	assert_int_equal(kafka_builder_finish(&b, codec, KAFKA_LEVEL_DEFAULT, out), 0);
	kafka_builder_done(&b);
	free(value);
}

static bool decide(bool publish, const struct tags_filter *f, const struct kafka_record_header *h, int n)
{
	struct kafka_builder b;
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;
	struct buf out;

	kafka_builder_init(&b, MAX);
	buf_init(&out, MAX);
	kafka_builder_add(&b, 1, STR_NONE, STR("v"), h, n);
	kafka_builder_finish(&b, KAFKA_CODEC_NONE, KAFKA_LEVEL_DEFAULT, &out);
	struct str rest = buf_view(&out);

	assert_int_equal(kafka_batch_next(&rest, &batch), 0);
	assert_int_equal(kafka_records_open(&it, &batch, NULL), 0);
	assert_int_equal(kafka_records_next(&it, &r), 1);
	bool ret = publish ? tags_may_publish(&f->tags, &r) : tags_may_see(f, &r);

	kafka_builder_done(&b);
	buf_done(&out);
	return ret;
}

#define TAGS(text)                                                                                                     \
	{                                                                                                              \
		{"TAGS", 4}, STR(text)                                                                                 \
	}
#define ONLY(text)                                                                                                     \
	{                                                                                                              \
		{"consumer_key", 12}, STR(text)                                                                        \
	}

static void test_rules(void **state)
{
	static const struct {
		struct kafka_record_header h[2];
		int n;
		bool publish, see, see_any;
	} rows[] = {
		{{TAGS("a")}, 1, true, true, true},
		{{TAGS("a||b")}, 1, true, true, true},
		{{TAGS(" a || b ")}, 1, true, true, true},
		{{TAGS("a"), TAGS("b")}, 2, true, true, true},
		{{TAGS("a||c")}, 1, false, true, true},
		{{TAGS("c"), TAGS("a")}, 2, false, true, true},
		{{TAGS("c")}, 1, false, false, true},
		{{TAGS("ab")}, 1, false, false, true},
		{{TAGS("A")}, 1, false, false, true},
		{{TAGS("")}, 1, false, false, true},
		{{TAGS("||")}, 1, false, false, true},
		{{{{"TAGS", 4}, {NULL, 0}}}, 1, false, false, true},
		{{{{"tags", 4}, {"a", 1}}}, 1, false, false, true},
		{{{{NULL, 0}, {NULL, 0}}}, 0, false, false, true},
		{{TAGS("a"), ONLY("me")}, 2, true, true, true},
		{{TAGS("a"), ONLY("you")}, 2, true, false, false},
		{{ONLY("me")}, 1, false, false, true},
		{{ONLY("you"), ONLY("me")}, 2, false, false, true},
		{{ONLY("")}, 1, false, false, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(decide(true, &ab, rows[i].h, rows[i].n), rows[i].publish);
		assert_int_equal(decide(false, &ab, rows[i].h, rows[i].n), rows[i].see);
		assert_int_equal(decide(false, &any, rows[i].h, rows[i].n), rows[i].see_any);
	}
}

/* The bytes as two slices of a file, filtered. */
static struct str filter(struct arena *a, struct buf *log, int64_t from, struct tags_budget *budget, int *ret_rc)
{
	char path[] = "/tmp/test_tags_XXXXXX";
	int fd = mkstemp(path);
	uint32_t half = (uint32_t)log->n / 2;
	struct plog_read r = {.n_slices = 2, .bytes = log->n};

	unlink(path);
	assert_int_equal(write(fd, log->p, log->n), log->n);
	r.slices[0] = (struct plog_slice){.fd = fd, .len = half};
	r.slices[1] = (struct plog_slice){.fd = fd, .len = (uint32_t)log->n - half, .pos = half};
	*ret_rc = tags_filter_read(a, &ab, &r, from, budget);
	close(fd);
	if (!r.n_slices)
		return STR("");
	assert_int_equal(r.n_slices, 1);
	assert_int_equal(r.slices[0].len, r.bytes);
	return (struct str){r.slices[0].memory, r.bytes};
}

static void expect(struct str *rest, int64_t base, int64_t last, int32_t count, bool gap)
{
	struct kafka_batch batch;

	assert_int_equal(kafka_batch_next(rest, &batch), 0);
	assert_int_equal(kafka_batch_check(&batch), 0);
	assert_int_equal(batch.base_offset, base);
	assert_int_equal(kafka_batch_last_offset(&batch), last);
	assert_int_equal(batch.count, count);
	assert_int_equal(!!(batch.attributes & KAFKA_ATTR_CONTROL), gap);
}

static void test_reading(void **state)
{
	struct tags_budget budget = {1 << 20, false};
	struct arena *a = arena_new(1 << 28);
	struct buf log;
	int rc;

	buf_init(&log, MAX);
	add(&log, 0, "ab", KAFKA_CODEC_NONE, 10);
	add(&log, 2, "axb", KAFKA_CODEC_ZSTD, 10);
	add(&log, 5, "xxx", KAFKA_CODEC_NONE, 10);
	add(&log, 8, "-x", KAFKA_CODEC_GZIP, 10);
	assert_int_equal(kafka_control_batch(10, 7, 0, KAFKA_CONTROL_ABORT, 0, 1, &log), 0);
	add(&log, 11, "xa", KAFKA_CODEC_LZ4, 10);
	add(&log, 13, "x", KAFKA_CODEC_NONE, 10);
	struct str got = filter(a, &log, 0, &budget, &rc);

	assert_int_equal(rc, 0);
	expect(&got, 0, 1, 2, false);
	expect(&got, 2, 4, 2, false);
	expect(&got, 5, 9, 1, true);
	expect(&got, 10, 10, 1, true); /* the marker */
	expect(&got, 11, 12, 1, false);
	expect(&got, 13, 13, 1, true);
	assert_int_equal(got.n, 0);
	assert_true(budget.spent && budget.bytes < 1 << 20 && budget.bytes > 1000);
	/* Behind the last record of a batch that is seen there is nothing of it. */
	buf_reset(&log);
	add(&log, 0, "aax", KAFKA_CODEC_NONE, 10);
	got = filter(a, &log, 2, &budget, &rc);
	expect(&got, 0, 2, 1, true);
	buf_done(&log);
	arena_free(a);
}

static void test_budget(void **state)
{
	struct tags_budget budget = {1000, false};
	struct arena *a = arena_new(1 << 28);
	struct buf log;
	int rc;

	buf_init(&log, MAX);
	add(&log, 0, "aaaa", KAFKA_CODEC_ZSTD, 100000);
	add(&log, 4, "aaaa", KAFKA_CODEC_ZSTD, 100000);
	struct str got = filter(a, &log, 0, &budget, &rc);

	/* The first one in any case. */
	expect(&got, 0, 3, 4, false);
	assert_int_equal(got.n, 0);
	assert_int_equal(budget.bytes, 0);
	got = filter(a, &log, 0, &budget, &rc);
	assert_int_equal(rc, 0);
	assert_int_equal(got.n, 0);
	budget = (struct tags_budget){600000, true};
	got = filter(a, &log, 0, &budget, &rc);
	expect(&got, 0, 3, 4, false);
	assert_int_equal(got.n, 0);
	assert_true(budget.bytes < 300000);
	buf_done(&log);
	arena_free(a);
}

/* Damage and bombs are gaps: what cannot be read is not shown. */
static void test_hostile(void **state)
{
	struct tags_budget budget = {1 << 20, false};
	struct arena *a = arena_new(1 << 28);
	struct buf log;
	int rc;

	buf_init(&log, MAX);
	add(&log, 0, "aa", KAFKA_CODEC_GZIP, 1000);
	log.p[log.n - 20] ^= 1;
	add(&log, 2, "a", KAFKA_CODEC_NONE, 10);
	log.p[log.n - 1] ^= 77; /* the last header */
	struct str got = filter(a, &log, 0, &budget, &rc);

	assert_int_equal(rc, 0);
	expect(&got, 0, 2, 1, true);
	assert_int_equal(got.n, 0);
	buf_reset(&log);
	budget = (struct tags_budget){1 << 20, false};
	add(&log, 0, "aa", KAFKA_CODEC_ZSTD, 40 << 20);
	got = filter(a, &log, 0, &budget, &rc);
	expect(&got, 0, 1, 1, true);
	buf_done(&log);
	arena_free(a);
}

static void test_addressed(void **state)
{
	struct kafka_record_header h = {STR("consumer_key"), STR("x")};
	struct kafka_builder b;
	struct buf out;

	buf_init(&out, MAX);
	kafka_builder_init(&b, MAX);
	add(&out, 0, "a-", KAFKA_CODEC_NONE, 10);
	assert_false(tags_addressed(buf_view(&out)));
	kafka_builder_add(&b, 1, STR_NONE, STR("v"), &h, 1);
	kafka_builder_finish(&b, KAFKA_CODEC_NONE, KAFKA_LEVEL_DEFAULT, &out);
	assert_true(tags_addressed(buf_view(&out)));
	assert_false(tags_addressed(str_sub(buf_view(&out), 0, out.n - 1)));
	assert_false(tags_addressed(STR("")));
	assert_false(tags_addressed(STR("consumer_key")));
	kafka_builder_done(&b);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),   cmocka_unit_test(test_reading),   cmocka_unit_test(test_budget),
		cmocka_unit_test(test_hostile), cmocka_unit_test(test_addressed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
