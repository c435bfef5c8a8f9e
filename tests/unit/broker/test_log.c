/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include "base/clock.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void test_append_read(void **state)
{
	struct help h = {0};
	struct plog_append a;
	int64_t last;
	uint8_t *bytes;
	size_t n;

	help_open(&h, NULL);
	struct help_batch hb = {.pid = -1, .count = 3, .ts = 1000, .value = "abc"};

	assert_int_equal(help_append(&h, &hb, &a), 0);
	assert_int_equal(a.base_offset, 0);
	assert_int_equal(a.end_offset, 3);
	assert_int_equal(a.append_time, -1);
	assert_false(a.duplicate);
	assert_int_equal(help_append(&h, &hb, &a), 0);
	assert_int_equal(a.base_offset, 3);
	/* The bytes are what was sent, apart from offset and epoch; a read within a batch gives all of it. */
	uint8_t *sent = help_make(&hb, &n);
	struct plog_read r = {.offset = 4, .max_bytes = 1 << 20};

	assert_int_equal(help_read(&h, &r, &bytes), 0);
	assert_int_equal(r.bytes, n);
	kafka_batch_set_place((char *)sent, 3, 0);
	assert_memory_equal(bytes, sent, n);
	assert_int_equal(r.high_watermark, 6);
	assert_int_equal(r.last_stable, 6);
	plog_read_done(&r);
	free(bytes);
	/* At the end there is nothing, behind it is an error. */
	r.offset = 6;
	assert_int_equal(plog_read(h.p, &r), 0);
	assert_int_equal(r.n_slices, 0);
	r.offset = 7;
	assert_int_equal(plog_read(h.p, &r), PLOG_OFFSET_OUT_OF_RANGE);
	assert_int_equal(r.high_watermark, 6);
	r.offset = -1;
	assert_int_equal(plog_read(h.p, &r), PLOG_OFFSET_OUT_OF_RANGE);
	assert_int_equal(help_read_all(&h, 0, &last), 6);
	free(sent);
	help_done(&h);
}

static void test_limits(void **state)
{
	struct help h = {0};
	size_t n;
	uint8_t *bytes;

	help_open(&h, NULL);
	for (int i = 0; i < 100; i++)
		assert_int_equal(help_put(&h, 1, i), i);
	struct plog_read r = {.offset = 0, .max_bytes = 1 << 20};

	assert_int_equal(plog_read(h.p, &r), 0);
	uint64_t one = r.bytes / 100;

	plog_read_done(&r);
	/* Whole batches only. */
	for (uint32_t max = 0; max < 8 * one; max += 7) {
		for (int64_t at = 0; at < 100; at += 13) {
			r = (struct plog_read){.offset = at, .max_bytes = max};
			assert_int_equal(plog_read(h.p, &r), 0);
			uint64_t want = max / one, have = (uint64_t)(100 - at);

			assert_int_equal(r.bytes, (want < have ? want : have) * one);
			plog_read_done(&r);
		}
	}
	r = (struct plog_read){.offset = 50, .max_bytes = 0, .at_least_one = true};
	assert_int_equal(plog_read(h.p, &r), 0);
	assert_int_equal(r.bytes, one);
	plog_read_done(&r);
	/* max.message.bytes */
	h.topic.max_message_bytes = 500;
	plog_configure(h.p, &h.topic);
	assert_int_equal(
		help_append(&h, &(struct help_batch){.pid = -1, .count = 1, .ts = 1, .value = "x", .size = 1000}, NULL),
		PLOG_TOO_LARGE);
	assert_int_equal(help_info(&h).end, 100);
	/* Damage in each byte that the checksum covers, and in the length. */
	bytes = help_make(&(struct help_batch){.pid = -1, .count = 1, .ts = 1, .value = "x"}, &n);
	for (size_t i = 8; i < n; i++) {
		struct plog_append a = {.batches = bytes, .n = n, .leader_epoch = -1};

		if (i >= 12 && i < 16)
			continue;
		bytes[i] ^= 0x10;
		assert_int_not_equal(plog_append(h.p, &a), 0);
		bytes[i] ^= 0x10;
	}
	for (size_t i = 0; i < n; i++) {
		struct plog_append a = {.batches = bytes, .n = i, .leader_epoch = -1};

		assert_int_not_equal(plog_append(h.p, &a), 0);
	}
	assert_int_equal(help_info(&h).end, 100);
	free(bytes);
	help_done(&h);
}

static void test_several_batches(void **state)
{
	struct help h = {0};
	size_t n1, n2;
	int64_t last;

	help_open(&h, NULL);
	uint8_t *b1 = help_make(&(struct help_batch){.pid = -1, .count = 2, .ts = 5, .value = "x"}, &n1);
	uint8_t *b2 = help_make(&(struct help_batch){.pid = -1, .count = 3, .ts = 6, .value = "y"}, &n2);
	uint8_t *both = mem_alloc(n1 + n2);

	memcpy(both, b1, n1);
	memcpy(both + n1, b2, n2);
	struct plog_append a = {.batches = both, .n = n1 + n2, .leader_epoch = -1};

	assert_int_equal(plog_append(h.p, &a), 0);
	assert_int_equal(a.end_offset, 5);
	/* All or none. */
	memcpy(both, b1, n1);
	memcpy(both + n1, b2, n2);
	both[n1 + n2 - 1] ^= 1;
	assert_int_equal(plog_append(h.p, &a), PLOG_CORRUPT);
	assert_int_equal(help_info(&h).end, 5);
	assert_int_equal(help_read_all(&h, 0, &last), 5);
	free(b1);
	free(b2);
	free(both);
	help_done(&h);
}

static void test_append_time(void **state)
{
	struct help h = {0};
	struct plog_append a;
	int64_t last, offset, ts;
	int32_t epoch;

	help_open(&h, NULL);
	h.topic.append_time = true;
	plog_configure(h.p, &h.topic);
	struct help_batch hb = {.pid = -1, .count = 2, .ts = 77, .value = "abc"};

	assert_int_equal(help_append(&h, &hb, &a), 0);
	assert_in_range(a.append_time, help_now() - 10000, help_now());
	assert_int_equal(help_read_all(&h, 0, &last), 2); /* checks the checksum */
	assert_int_equal(plog_offset_by_time(h.p, 78, PLOG_READ_UNCOMMITTED, &offset, &ts, &epoch), 0);
	assert_int_equal(offset, 0);
	assert_int_equal(ts, a.append_time);
	/* Limits of create time. */
	h.topic.append_time = false;
	h.topic.timestamp_after_max_ms = 1000;
	h.topic.timestamp_before_max_ms = 1000;
	plog_configure(h.p, &h.topic);
	hb.ts = help_now() + 100000;
	assert_int_equal(help_append(&h, &hb, NULL), PLOG_INVALID_TIMESTAMP);
	hb.ts = help_now() - 100000;
	assert_int_equal(help_append(&h, &hb, NULL), PLOG_INVALID_TIMESTAMP);
	hb.ts = help_now();
	assert_int_equal(help_append(&h, &hb, NULL), 0);
	help_done(&h);
}

static void check_content(struct help *h, int64_t n, int64_t start)
{
	int64_t last, offset, ts;
	int32_t epoch;

	assert_int_equal(help_read_all(h, start, &last), n - start);
	assert_int_equal(last, n);
	for (int64_t i = start; i < n; i += 17) {
		struct plog_read r = {.offset = i, .max_bytes = 1, .at_least_one = true};
		struct kafka_batch b;
		uint8_t *bytes;

		assert_int_equal(help_read(h, &r, &bytes), 0);
		struct str s = {(char *)bytes, r.bytes};

		plog_read_done(&r);
		assert_int_equal(kafka_batch_next(&s, &b), 0);
		assert_int_equal(b.base_offset, i);
		free(bytes);
		assert_int_equal(plog_offset_by_time(h->p, 1000 + i * 10, PLOG_READ_UNCOMMITTED, &offset, &ts, &epoch),
				 0);
		assert_int_equal(offset, i);
		assert_int_equal(ts, 1000 + i * 10);
		plog_offset_by_time(h->p, 1000 + i * 10 - 5, PLOG_READ_UNCOMMITTED, &offset, &ts, &epoch);
		assert_int_equal(offset, i);
	}
	plog_offset_by_time(h->p, 1000 + n * 10, PLOG_READ_UNCOMMITTED, &offset, &ts, &epoch);
	assert_int_equal(offset, -1);
	plog_offset_by_time(h->p, PLOG_TIME_EARLIEST, PLOG_READ_UNCOMMITTED, &offset, &ts, &epoch);
	assert_int_equal(offset, start);
	plog_offset_by_time(h->p, PLOG_TIME_LATEST, PLOG_READ_UNCOMMITTED, &offset, &ts, &epoch);
	assert_int_equal(offset, n);
	plog_offset_by_time(h->p, PLOG_TIME_MAX, PLOG_READ_UNCOMMITTED, &offset, &ts, &epoch);
	assert_int_equal(offset, n - 1);
	assert_int_equal(ts, 1000 + (n - 1) * 10);
}

static void test_roll_index_reopen(void **state)
{
	struct help h = {0};
	enum { N = 2000 };

	help_open(&h, NULL);
	h.topic.segment_bytes = 50000;
	h.topic.retention_ms = -1;
	plog_configure(h.p, &h.topic);
	for (int i = 0; i < N; i++)
		assert_int_equal(help_put(&h, 1, 1000 + i * 10), i);
	assert_true(help_info(&h).segments > 5);
	check_content(&h, N, 0);
	/* After an orderly stop, after a crash without and with a checkpoint, always the same. */
	help_reopen(&h, true);
	struct plog_store_stats st;

	plog_store_stats(h.store, &st);
	assert_int_equal(st.recovered, 0);
	assert_int_equal(st.open_files, 0);
	assert_int_equal(help_info(&h).leader_epoch, 0);
	check_content(&h, N, 0);
	assert_int_equal(help_put(&h, 1, 1000 + N * 10), N);
	help_reopen(&h, false);
	plog_store_stats(h.store, &st);
	assert_int_equal(st.recovered, 1);
	assert_int_equal(st.truncated_bytes, 0);
	assert_int_equal(st.open_files, 1); /* the active segment's, not all that were looked through */
	assert_int_equal(help_info(&h).leader_epoch, 1);
	check_content(&h, N + 1, 0);
	for (int i = 1; i < 500; i++)
		assert_int_equal(help_put(&h, 1, 1000 + (N + i) * 10), N + i);
	h.store->checkpoint_due = 0;
	plog_store_step(h.store, 2000, 1000);
	assert_int_equal(help_info(&h).durable, N + 500);
	for (int i = 500; i < 900; i++)
		assert_int_equal(help_put(&h, 1, 1000 + (N + i) * 10), N + i);
	help_reopen(&h, false);
	check_content(&h, N + 900, 0);
	help_reopen(&h, true);
	check_content(&h, N + 900, 0);
	int32_t epoch;
	int64_t end;

	plog_epoch_end(h.p, 0, &epoch, &end);
	assert_int_equal(epoch, 0);
	assert_int_equal(end, N + 1);
	plog_epoch_end(h.p, 99, &epoch, &end);
	assert_int_equal(end, N + 900);
	help_done(&h);
}

static void test_retention(void **state)
{
	struct help h = {0};
	int64_t now = help_now(), last, start;

	help_open(&h, NULL);
	h.topic.segment_bytes = 5000;
	plog_configure(h.p, &h.topic);
	for (int i = 0; i < 300; i++)
		help_put(&h, 1, now);
	struct plog_info before = help_info(&h);

	/* By size: as much goes as leaves the limit. */
	h.topic.retention_bytes = 20000;
	plog_configure(h.p, &h.topic);
	plog_store_step(h.store, now, 100);
	struct plog_info after = help_info(&h);

	assert_true(after.start > 0 && after.bytes >= 20000 && after.bytes < 26000);
	assert_true(after.segments < before.segments);
	assert_int_equal(help_read_all(&h, after.start, &last), 300 - after.start);
	assert_int_equal(help_read_all(&h, after.start - 1, &last), PLOG_OFFSET_OUT_OF_RANGE);
	/* A slice that is being sent outlives its segment. */
	struct plog_read r = {.offset = after.start, .max_bytes = 1000};
	char byte[64];

	assert_int_equal(plog_read(h.p, &r), 0);
	/* By time: everything, and offsets go on. */
	h.topic.retention_ms = 1000;
	plog_configure(h.p, &h.topic);
	plog_store_step(h.store, now + 2000, 100);
	assert_int_equal(help_info(&h).start, 300);
	assert_int_equal(help_info(&h).bytes, 0);
	assert_int_equal(pread(r.slices[0].fd, byte, 64, r.slices[0].pos), 64);
	plog_read_done(&r);
	help_reopen(&h, false);
	assert_int_equal(help_info(&h).end, 300);
	assert_int_equal(help_put(&h, 1, now), 300);
	/* DeleteRecords. */
	assert_int_equal(help_put(&h, 1, now), 301);
	assert_int_equal(plog_delete_before(h.p, 400, &start), PLOG_OFFSET_OUT_OF_RANGE);
	assert_int_equal(plog_delete_before(h.p, 301, &start), 0);
	assert_int_equal(start, 301);
	help_reopen(&h, false);
	assert_int_equal(help_info(&h).start, 301);
	assert_int_equal(help_read_all(&h, 301, &last), 1);
	assert_int_equal(plog_delete_before(h.p, -1, &start), 0);
	assert_int_equal(start, 302);
	help_reopen(&h, true);
	assert_int_equal(help_info(&h).start, 302);
	assert_int_equal(help_put(&h, 1, now), 302);
	help_done(&h);
}

static void test_old_records_arrive(void **state)
{
	struct help h = {0};
	int64_t now = help_now(), day = 86400000;

	help_open(&h, NULL);
	h.topic.retention_ms = 3 * day;
	plog_configure(h.p, &h.topic);
	assert_int_equal(help_put(&h, 5, now - 10 * day), 0);
	plog_store_step(h.store, help_now() + 1000, 100);
	assert_int_equal(help_info(&h).start, 0);
	plog_store_step(h.store, help_now() + 301000, 100);
	assert_int_equal(help_info(&h).start, 5);
	help_done(&h);
}

static void test_truncate(void **state)
{
	struct help h = {0};
	int64_t last;

	help_open(&h, NULL);
	h.topic.segment_bytes = 5000;
	plog_configure(h.p, &h.topic);
	for (int i = 0; i < 200; i++)
		help_put(&h, 1, 1000 + i * 10);
	assert_int_equal(plog_truncate(h.p, 77), 0);
	assert_int_equal(help_info(&h).end, 77);
	assert_int_equal(help_read_all(&h, 0, &last), 77);
	assert_int_equal(help_put(&h, 1, 1000 + 77 * 10), 77);
	help_reopen(&h, true);
	check_content(&h, 78, 0);
	assert_int_equal(plog_truncate(h.p, 0), 0);
	assert_int_equal(help_info(&h).end, 0);
	assert_int_equal(help_put(&h, 1, 1), 0);
	help_done(&h);
}

static void test_store(void **state)
{
	struct help h = {0};
	struct plog *q;
	const uint8_t id[16] = {9};
	struct err err;
	struct plog_store *other;
	size_t at = 0;
	int n = 0;

	help_open(&h, NULL);
	assert_int_equal(plog_store_create(h.store, STR("t"), 0, id, &h.topic, &q), PLOG_EXISTS);
	const char *bad[] = {"", ".", "..", "a/b", "a b", "a#b", "\xff"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(plog_store_create(h.store, str_of(bad[i]), 0, id, &h.topic, &q), PLOG_INVALID_TOPIC);
	assert_int_equal(plog_store_create(h.store, STR("t"), -1, id, &h.topic, &q), PLOG_INVALID_TOPIC);
	assert_int_equal(plog_store_create(h.store, STR("x-1"), 7, id, &h.topic, &q), 0);
	assert_true(str_is(plog_topic(q), "x-1"));
	assert_int_equal(plog_partition(q), 7);
	assert_memory_equal(plog_topic_id(q), id, 16);
	assert_int_equal(plog_store_commit(h.store), 0);
	/* One process at a time. */
	assert_int_equal(plog_store_open(&h.cfg, &other, &err), ERR_APPIA_0503);
	plog_unref(q);
	help_reopen(&h, false);
	q = plog_store_find(h.store, STR("x-1"), 7);
	assert_memory_equal(plog_topic_id(q), id, 16);
	for (struct plog *p; (p = plog_store_next(h.store, &at)); n++)
		plog_unref(p);
	assert_int_equal(n, 2);
	/* Deleted: waiters and later calls hear of it, the name is free. */
	assert_int_equal(plog_store_delete(h.store, q), 0);
	assert_int_equal(plog_store_delete(h.store, q), PLOG_GONE);
	struct plog_read r = {.offset = 0, .max_bytes = 10};

	assert_int_equal(plog_read(q, &r), PLOG_GONE);
	plog_unref(q);
	assert_null(plog_store_find(h.store, STR("x-1"), 7));
	assert_int_equal(plog_store_create(h.store, STR("x-1"), 7, id, &h.topic, &q), 0);
	plog_unref(q);
	help_done(&h);
}

static void test_many_partitions(void **state)
{
	struct help h = {0};
	const uint8_t id[16] = {9};
	struct plog_store_stats st;

	help_open(&h, NULL);
	for (int i = 0; i < 1000; i++) {
		struct plog *q;

		assert_int_equal(plog_store_create(h.store, STR("many"), i, id, &h.topic, &q), 0);
		plog_unref(q);
	}
	int64_t t = clock_mono_ms();

	help_reopen(&h, true);
	plog_store_stats(h.store, &st);
	print_message("close and open of 1001 partitions: %lld ms\n", (long long)(clock_mono_ms() - t));
	assert_int_equal(st.partitions, 1001);
	assert_int_equal(st.recovered, 0);
	assert_int_equal(st.open_files, 0);
	plog_unref(h.p);
	plog_store_close(&h.store);
	t = clock_mono_ms();
	struct err err;

	assert_int_equal(plog_store_open(&h.cfg, &h.store, &err), 0);
	print_message("open of 1001 partitions: %lld ms\n", (long long)(clock_mono_ms() - t));
	h.p = plog_store_find(h.store, STR("t"), 0);
	help_done(&h);
}

static atomic_bool stop_threads;

/* Follows the log while others write, delete and compact; what it reads is whole, whatever happens to the file. */
static void *reader(void *arg)
{
	struct plog *p = arg;
	int64_t offset = 0;
	uint8_t *bytes = mem_alloc(1 << 20);
	long batches = 0;

	while (!atomic_load(&stop_threads)) {
		struct plog_read r = {.offset = offset, .max_bytes = 20000, .at_least_one = true};
		int64_t at, ts;
		int32_t epoch;
		int rc = plog_read(p, &r);

		if (rc == PLOG_OFFSET_OUT_OF_RANGE) {
			offset = r.start;
			continue;
		}
		if (rc)
			return "read failed";
		size_t n = 0;

		for (uint32_t i = 0; i < r.n_slices; n += r.slices[i++].len) {
			if (pread(r.slices[i].fd, bytes + n, r.slices[i].len, r.slices[i].pos) !=
			    (ssize_t)r.slices[i].len)
				return "short read";
		}
		plog_read_done(&r);
		struct str rest = {(char *)bytes, n};
		struct kafka_batch b;

		for (; rest.n; batches++) {
			if (kafka_batch_next(&rest, &b) || kafka_batch_check(&b) ||
			    kafka_batch_last_offset(&b) < offset)
				return "bad batch";
			offset = kafka_batch_last_offset(&b) + 1;
		}
		if (!n || batches % 500 == 0)
			offset = r.start;
		if (plog_offset_by_time(p, help_now() - 20, PLOG_READ_UNCOMMITTED, &at, &ts, &epoch))
			return "no offset by time";
	}
	free(bytes);
	return NULL;
}

static void *keeper(void *arg)
{
	while (!atomic_load(&stop_threads))
		plog_store_step(arg, help_now(), 5);
	return NULL;
}

static void test_threads(void **state)
{
	struct help h = {.cfg = {.checkpoint_ms = 20, .idle_close_ms = 1, .open_files_max = 4}};
	pthread_t threads[3];
	char key[16];
	void *what;

	help_open(&h, NULL);
	h.topic.segment_bytes = 20000;
	h.topic.retention_bytes = -1;
	h.topic.cleanup_compact = true;
	h.topic.min_dirty_percent = 5;
	plog_configure(h.p, &h.topic);
	atomic_store(&stop_threads, false);
	pthread_create(&threads[0], NULL, reader, h.p);
	pthread_create(&threads[1], NULL, reader, h.p);
	pthread_create(&threads[2], NULL, keeper, h.store);
	struct plog_store_stats st = {0};

	for (int64_t start = clock_mono_ms(), i = 0, t = 0;
	     t < 1500 || (t < 30000 && (!st.compacted_segments || !st.deleted_segments)); i++) {
		snprintf(key, sizeof(key), "k%d", (int)(i * i % 1000));
		int rc = help_append(&h,
				     &(struct help_batch){.pid = 1,
							  .seq = (int)i,
							  .count = 1,
							  .ts = help_now(),
							  .key = key,
							  .value = "value",
							  .size = (size_t)(i % 900)},
				     NULL);

		assert_int_equal(rc, 0);
		if (i % 100 == 0)
			help_wait(&h, help_info(&h).end);
		t = clock_mono_ms() - start;
		plog_store_stats(h.store, &st);
		/* Not from the beginning: where this thread is fast nothing would live long enough to be compacted. */
		if (h.topic.retention_bytes < 0 && t > 500 && st.compacted_segments) {
			h.topic.retention_bytes = 40000;
			plog_configure(h.p, &h.topic);
		}
	}
	atomic_store(&stop_threads, true);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &what);
		if (what)
			fail_msg("%s", (char *)what);
	}
	assert_true(st.compacted_segments > 0);
	assert_true(st.deleted_segments > 0);
	help_done(&h);
}

static void *retainer(void *arg)
{
	while (!atomic_load(&stop_threads))
		plog__retain(arg, help_now());
	return NULL;
}

/* An empty log has nothing to keep; what comes while retention looks at it stays. */
static void test_first_records_stay(void **state)
{
	struct help h = {0};
	pthread_t thread;
	int64_t start = 0;

	help_open(&h, NULL);
	atomic_store(&stop_threads, false);
	pthread_create(&thread, NULL, retainer, h.p);
	for (int i = 0; i < 1000; i++) {
		help_put(&h, 1, help_now());
		help_put(&h, 1, help_now());
		assert_int_equal(help_info(&h).start, start);
		assert_int_equal(plog_delete_before(h.p, -1, &start), 0);
	}
	atomic_store(&stop_threads, true);
	pthread_join(thread, NULL);
	help_done(&h);
}

/* ---- appends that are left to the thread that writes ---- */

static void on_left(struct plog_waiter *w, int code)
{
	w->offset = ((struct plog_append *)w)->base_offset;
	w->code = code;
	w->fn = NULL;
}

static struct plog_append leave(struct plog *p, struct plog_inbox *inbox, const struct help_batch *hb)
{
	struct plog_append a = {.done = {.inbox = inbox, .fn = on_left}, .leader_epoch = -1, .now_ms = help_now()};

	a.batches = help_make(hb, &a.n);
	return a;
}

static void test_left_to_the_writer(void **state)
{
	struct help h = {0};
	struct plog_inbox *inbox = plog_inbox_new();

	help_open(&h, NULL);
	struct help_batch plain = {.pid = -1, .count = 2, .ts = 1000, .value = "v"};
	struct plog_append a = leave(h.p, inbox, &plain), b = leave(h.p, inbox, &plain), c = leave(h.p, inbox, &plain);

	/* Nobody writes: done at once, and nothing comes later. */
	assert_int_equal(plog_submit(h.p, &a), 0);
	assert_int_equal(a.base_offset, 0);
	plog_inbox_take(inbox);
	assert_non_null(a.done.fn);
	/* Somebody writes: what is left to him is done in order when he ends, the errors too. */
	pthread_mutex_lock(&h.p->writer);
	assert_int_equal(plog_submit(h.p, &a), PLOG_PENDING);
	assert_int_equal(plog_submit(h.p, &c), PLOG_PENDING);
	b.n--; /* cut off */
	assert_int_equal(plog_submit(h.p, &b), PLOG_PENDING);
	assert_int_equal(help_info(&h).end, 2);
	plog__writer_unlock(h.p);
	assert_int_equal(help_info(&h).end, 6);
	assert_non_null(a.done.fn);
	plog_inbox_take(inbox);
	assert_null(a.done.fn);
	assert_int_equal(a.done.code, 0);
	assert_int_equal(a.done.offset, 2);
	assert_int_equal(c.done.offset, 4);
	assert_int_equal(b.done.code, PLOG_CORRUPT);
	/* A plain append takes what was left along, too. */
	pthread_mutex_lock(&h.p->writer);
	a.done.fn = on_left;
	assert_int_equal(plog_submit(h.p, &a), PLOG_PENDING);
	pthread_mutex_unlock(&h.p->writer);
	assert_int_equal(help_put(&h, 1, 1000), 6);
	plog_inbox_take(inbox);
	assert_int_equal(a.done.offset, 7);
	free(a.batches);
	free(b.batches);
	free(c.batches);
	plog_inbox_free(inbox);
	help_done(&h);
}

enum { SUBMITTERS = 3, SUBMITS = 3000, UNDER_WAY = 32 };

/* Numbered batches of one thread, several under way, each written once and in order. */
static void *submitter(void *arg)
{
	struct plog *p = arg;
	struct plog_inbox *inbox = plog_inbox_new();
	struct plog_append v[UNDER_WAY];
	int64_t last = -1;

	for (int i = 0; i < SUBMITS; i += UNDER_WAY) {
		int pending = 0;

		for (int k = 0; k < UNDER_WAY; k++) {
			v[k] = leave(p, inbox, &(struct help_batch){.pid = -1, .count = 1, .ts = 1, .value = "x"});
			int rc = plog_submit(p, &v[k]);

			if (rc != PLOG_PENDING)
				on_left(&v[k].done, rc);
			else
				pending++;
		}
		for (int k = 0; k < UNDER_WAY; k++) {
			while (v[k].done.fn)
				plog_inbox_take(inbox);
			if (v[k].done.code || v[k].done.offset <= last)
				return "an append failed or changed places";
			last = v[k].done.offset;
			free(v[k].batches);
		}
	}
	plog_inbox_free(inbox);
	return NULL;
}

static void test_submitting_threads(void **state)
{
	struct help h = {0};
	pthread_t threads[SUBMITTERS];
	int64_t last;
	void *what;

	help_open(&h, NULL);
	for (int i = 0; i < SUBMITTERS; i++)
		pthread_create(&threads[i], NULL, submitter, h.p);
	for (int i = 0; i < SUBMITTERS; i++) {
		pthread_join(threads[i], &what);
		if (what)
			fail_msg("%s", (char *)what);
	}
	int64_t each = (SUBMITS + UNDER_WAY - 1) / UNDER_WAY * UNDER_WAY;

	assert_int_equal(help_read_all(&h, 0, &last), SUBMITTERS * each);
	help_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_read),        cmocka_unit_test(test_limits),
		cmocka_unit_test(test_several_batches),    cmocka_unit_test(test_append_time),
		cmocka_unit_test(test_roll_index_reopen),  cmocka_unit_test(test_retention),
		cmocka_unit_test(test_old_records_arrive),
		cmocka_unit_test(test_truncate),           cmocka_unit_test(test_store),
		cmocka_unit_test(test_many_partitions),    cmocka_unit_test(test_threads),
		cmocka_unit_test(test_first_records_stay), cmocka_unit_test(test_left_to_the_writer),
		cmocka_unit_test(test_submitting_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
