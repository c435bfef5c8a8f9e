/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEYS = 50 };

static int key_of(struct str key)
{
	long long k;

	assert_true(str_to_int(str_sub(key, 1, key.n), 0, KEYS - 1, &k));
	return (int)k;
}

/* What a consumer that reads everything ends up with: the last value of each key, and how many records it saw. */
struct view {
	char value[KEYS][32];
	int64_t records, tombstones, batches, control;
};

static void look(struct help *h, struct view *v)
{
	int64_t offset = help_info(h).start, end = help_info(h).end;
	struct buf scratch;

	memset(v, 0, sizeof(*v));
	buf_init(&scratch, 1 << 20);
	while (offset < end) {
		struct plog_read r = {.offset = offset, .max_bytes = 3000, .at_least_one = true};
		struct kafka_batch b;
		uint8_t *bytes;

		assert_int_equal(help_read(h, &r, &bytes), 0);
		struct str rest = {(char *)bytes, r.bytes};

		plog_read_done(&r);
		if (!rest.n) {
			free(bytes);
			break;
		}
		while (rest.n) {
			struct kafka_records it;
			struct kafka_record rec;

			assert_int_equal(kafka_batch_next(&rest, &b), 0);
			assert_int_equal(kafka_batch_check(&b), 0);
			assert_true(b.base_offset >= offset || offset == help_info(h).start);
			offset = kafka_batch_last_offset(&b) + 1;
			v->batches++;
			if (b.attributes & KAFKA_ATTR_CONTROL) {
				v->control++;
				continue;
			}
			assert_int_equal(kafka_records_open(&it, &b, &scratch), 0);
			while (kafka_records_next(&it, &rec) == 1) {
				int k = key_of(rec.key);

				v->records++;
				v->tombstones += !rec.value.p;
				snprintf(v->value[k], sizeof(v->value[k]), "%.*s", STR_FMT(rec.value));
			}
		}
		free(bytes);
	}
	buf_done(&scratch);
}

static int put(struct help *h, int key, const char *value, int codec)
{
	char k[16];

	snprintf(k, sizeof(k), "k%d", key);
	return help_append(
		h,
		&(struct help_batch){.pid = -1, .count = 1, .ts = help_now(), .key = k, .value = value, .codec = codec},
		NULL);
}

static void compact(struct help *h, int64_t now)
{
	h->store->checkpoint_due = 0;
	for (int i = 0; i < 1000; i++)
		if (!plog_store_step(h->store, now, 50) && i > 5)
			break;
}

static void open_compacted(struct help *h)
{
	help_open(h, NULL);
	h->topic.cleanup_compact = true;
	h->topic.cleanup_delete = false;
	h->topic.segment_bytes = 4000;
	h->topic.min_dirty_percent = 1;
	plog_configure(h->p, &h->topic);
}

static void expect(struct view *v, char (*want)[32])
{
	for (int k = 0; k < KEYS; k++)
		assert_string_equal(v->value[k], want[k]);
}

static void test_keys(void **state)
{
	struct help h = {0};
	char want[KEYS][32] = {0}, value[32];
	struct view v;

	open_compacted(&h);
	assert_int_equal(help_append(&h, &(struct help_batch){.pid = -1, .count = 1, .ts = 1, .value = "no key"}, NULL),
			 PLOG_INVALID_RECORD);
	for (int i = 0; i < 2000; i++) {
		snprintf(value, sizeof(value), "value-%d", i);
		assert_int_equal(put(&h, i * 7 % KEYS, value, i % 5), 0);
		memcpy(want[i * 7 % KEYS], value, sizeof(value));
	}
	struct plog_info before = help_info(&h);

	compact(&h, help_now());
	struct plog_info after = help_info(&h);

	assert_true(after.bytes * 4 < before.bytes);
	assert_int_equal(after.end, before.end);
	assert_int_equal(after.start, 0);
	look(&h, &v);
	expect(&v, want);
	assert_true(v.records < 250);
	/* What was emptied goes, and readers of the first offsets are not told that they are out of range. */
	for (int i = 0; i < 20; i++)
		plog_store_step(h.store, help_now(), 5);
	struct plog_info kept = help_info(&h);

	assert_int_equal(kept.start, 0);
	assert_true(kept.segments < before.segments / 2);
	look(&h, &v);
	expect(&v, want);
	/* Nothing is left to do; what was done outlives stop and crash. */
	struct plog_store_stats st, st2;

	plog_store_stats(h.store, &st);
	compact(&h, help_now());
	plog_store_stats(h.store, &st2);
	assert_int_equal(st.compacted_segments, st2.compacted_segments);
	for (int i = 0; i < 2; i++) {
		help_reopen(&h, i);
		look(&h, &v);
		expect(&v, want);
		assert_int_equal(help_info(&h).end, 2000);
		assert_int_equal(help_info(&h).bytes, after.bytes);
	}
	assert_int_equal(put(&h, 3, "later", 0), 0);
	help_done(&h);
}

static void test_tombstones(void **state)
{
	struct help h = {0};
	char want[KEYS][32] = {0};
	struct view v;
	int64_t now = help_now();

	open_compacted(&h);
	h.topic.delete_retention_ms = 10000;
	plog_configure(h.p, &h.topic);
	for (int i = 0; i < 500; i++) {
		put(&h, i % KEYS, "x", 0);
		snprintf(want[i % KEYS], 32, "x");
	}
	for (int k = 0; k < KEYS; k += 2) {
		put(&h, k, NULL, 0);
		want[k][0] = 0;
	}
	plog_roll(h.p);
	put(&h, 1, "y", 0);
	snprintf(want[1], 32, "y");
	compact(&h, now);
	look(&h, &v);
	expect(&v, want);
	assert_int_equal(v.tombstones, KEYS / 2);
	/* Before their time they stay; then they go, whatever is joined meanwhile. */
	for (int i = 0; i < 4; i++) {
		for (int k = 0; k < 100; k++)
			put(&h, 3, "z", 0);
		snprintf(want[3], 32, "z");
		plog_roll(h.p);
		compact(&h, now + i * 3000);
		look(&h, &v);
		expect(&v, want);
		assert_int_equal(v.tombstones, KEYS / 2);
	}
	for (int k = 0; k < 100; k++)
		put(&h, 3, "z", 0);
	plog_roll(h.p);
	compact(&h, now + 11000);
	look(&h, &v);
	expect(&v, want);
	assert_int_equal(v.tombstones, 0);
	help_done(&h);
}

static void txn(struct help *h, int64_t pid, int seq, int key, const char *value, int commit)
{
	char k[16];
	int64_t at, end;

	snprintf(k, sizeof(k), "k%d", key);
	assert_int_equal(
		help_append(h,
			    &(struct help_batch){
				    .pid = pid, .seq = seq, .count = 1, .txn = true, .ts = 1, .key = k, .value = value},
			    NULL),
		0);
	if (commit >= 0)
		assert_int_equal(
			plog_append_marker(
				h->p, &(struct plog_marker){.producer_id = pid, .commit = commit, .now_ms = help_now()},
				&at, &end),
			0);
}

static void test_transactions(void **state)
{
	struct help h = {0};
	char want[KEYS][32] = {0};
	struct view v;
	int64_t now = help_now();

	open_compacted(&h);
	h.topic.delete_retention_ms = 10000;
	plog_configure(h.p, &h.topic);
	for (int i = 0; i < 200; i++) {
		txn(&h, 1, i, i % 10, "good", 1);
		txn(&h, 2, i, i % 10, "bad", 0);
	}
	txn(&h, 3, 0, 20, "open", -1);
	int64_t lso = help_info(&h).last_stable;

	for (int i = 0; i < 100; i++)
		put(&h, 30, "w", 0);
	plog_roll(h.p);
	compact(&h, now);
	for (int k = 0; k < 10; k++)
		snprintf(want[k], 32, "good");
	look(&h, &v);
	/* Behind the open transaction nothing was touched. */
	assert_int_equal(help_info(&h).last_stable, lso);
	snprintf(want[20], 32, "open");
	snprintf(want[30], 32, "w");
	assert_true(v.control > 300);
	for (int k = 0; k < 10; k++)
		assert_string_equal(v.value[k], lso ? v.value[k] : "");
	txn(&h, 3, 1, 21, "open", 1);
	snprintf(want[21], 32, "open");
	plog_roll(h.p);
	put(&h, 30, "w", 0);
	compact(&h, now);
	look(&h, &v);
	expect(&v, want);
	/* Markers without records go after their time; sequences are still known, also from the log alone. */
	for (int i = 0; i < 100; i++)
		put(&h, 31, "w", 0);
	snprintf(want[31], 32, "w");
	plog_roll(h.p);
	compact(&h, now + 20000);
	look(&h, &v);
	expect(&v, want);
	assert_true(v.control < 30);
	for (int round = 0; round < 2; round++) {
		struct plog_append a;
		struct help_batch dup = {
			.pid = 2, .seq = 199, .count = 1, .txn = true, .ts = 1, .key = "k9", .value = "bad"};

		assert_int_equal(help_append(&h, &dup, &a), 0);
		assert_true(a.duplicate);
		if (round)
			break;
		char cmd[300];

		snprintf(cmd, sizeof(cmd), "rm %s/state %s/t-0/*.snapshot %s/t-0/*index", h.dir, h.dir, h.dir);
		pclose(popen(cmd, "r"));
		help_reopen(&h, false);
	}
	assert_int_equal(help_info(&h).last_stable, help_info(&h).end);
	look(&h, &v);
	expect(&v, want);
	help_done(&h);
}

/* A crash between the renames is finished by recovery. */
static void test_swap(void **state)
{
	struct help h = {0};
	char want[KEYS][32] = {0}, path[200], swap[200];
	struct view v;

	open_compacted(&h);
	for (int i = 0; i < 400; i++) {
		put(&h, i % KEYS, "x", 0);
		snprintf(want[i % KEYS], 32, "x");
	}
	compact(&h, help_now());
	look(&h, &v);
	int64_t records = v.records;
	int64_t end = h.p->segs[1]->base;

	/* As if only the first rename had been done: the result beside an old segment within its range. */
	snprintf(path, sizeof(path), "%s/t-0/%020d.log", h.dir, 0);
	snprintf(swap, sizeof(swap), "%s/t-0/%020d-%020lld.swap", h.dir, 0, (long long)end);
	assert_int_equal(rename(path, swap), 0);
	snprintf(path, sizeof(path), "%s/t-0/%020d.log", h.dir, 1);
	FILE *f = fopen(path, "w");

	fputs("an old segment", f);
	fclose(f);
	help_reopen(&h, false);
	look(&h, &v);
	expect(&v, want);
	assert_int_equal(v.records, records);
	help_done(&h);
}

/* A table that is too small for all keys still makes progress. */
static void test_small_table(void **state)
{
	struct help h = {.cfg = {.compact_memory = 1024}};
	char key[16];

	open_compacted(&h);
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof(key), "x%d", i % 2500);
		assert_int_equal(
			help_append(&h, &(struct help_batch){.pid = -1, .count = 1, .ts = 1, .key = key, .value = "v"},
				    NULL),
			0);
	}
	struct plog_info before = help_info(&h);

	for (int i = 0; i < 10; i++)
		compact(&h, help_now());
	assert_true(help_info(&h).bytes < before.bytes * 3 / 4);
	help_done(&h);
}

/* Key k0 again and again, k1 once in between at the returned offset, in a segment that is not the last. */
static int64_t put_apart(struct help *h)
{
	struct plog_append a;

	for (int i = 0; i < 6; i++)
		assert_int_equal(help_append(h,
					     &(struct help_batch){.pid = -1,
								  .count = 1,
								  .ts = help_now(),
								  .key = i == 1 ? "k1" : "k0",
								  .value = "x",
								  .size = 1000},
					     i == 1 ? &a : NULL),
				 0);
	assert_true(h->p->n_segs > 1);
	return a.base_offset;
}

/* Where the newest batches lie is remembered: not beyond a compaction, which moves them. */
static void test_read_what_was_moved(void **state)
{
	struct help h = {0};

	open_compacted(&h);
	int64_t offset = put_apart(&h);

	compact(&h, help_now());
	struct plog_read r = {.offset = offset, .max_bytes = 3000, .at_least_one = true};
	struct kafka_batch b;
	uint8_t *bytes;

	assert_int_equal(help_read(&h, &r, &bytes), 0);
	struct str rest = {(char *)bytes, r.bytes};

	assert_int_equal(kafka_batch_next(&rest, &b), 0);
	assert_int_equal(b.base_offset, offset);
	plog_read_done(&r);
	free(bytes);
	help_done(&h);
}

/* A reader that has just chosen its segment, whose file nobody has open, when the file's name goes or means another. */
static void test_names_go_while_read(void **state)
{
	for (int removed = 0; removed < 2; removed++) {
		struct help h = {0};
		struct log_batch b;
		struct plog_at at;

		open_compacted(&h);
		int64_t offset = put_apart(&h);

		plog_store_step(h.store, help_now(), 0); /* indexes are saved, so that they can be forgotten */
		assert_int_equal(plog__seg_save(h.p, h.p->segs[0]), 0);
		struct plog_segment *seg = plog__seg_ref(h.p->segs[0]);
		uint32_t size = seg->size;

		plog__seg_close(seg);
		if (removed) {
			int64_t start;

			assert_int_equal(plog_delete_before(h.p, 5, &start), 0);
		} else {
			compact(&h, help_now());
		}
		assert_ptr_not_equal(h.p->segs[0], seg);
		assert_int_equal(plog__locate(h.p, seg, size, offset, &at, &b), 0);
		assert_int_equal(at.offset, offset);
		assert_int_equal(b.base, offset);
		plog__seg_unref(seg);
		help_done(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_tombstones),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_swap),
		cmocka_unit_test(test_small_table),
		cmocka_unit_test(test_read_what_was_moved),
		cmocka_unit_test(test_names_go_while_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
