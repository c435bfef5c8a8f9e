/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int put(struct help *h, int64_t pid, int epoch, int seq, int count, struct plog_append *a)
{
	return help_append(
		h,
		&(struct help_batch){.pid = pid, .epoch = epoch, .seq = seq, .count = count, .ts = 1000, .value = "v"},
		a);
}

static int put_txn(struct help *h, int64_t pid, int epoch, int seq)
{
	return help_append(
		h,
		&(struct help_batch){
			.pid = pid, .epoch = epoch, .seq = seq, .count = 2, .txn = true, .ts = 1, .value = "v"},
		NULL);
}

static int end_txn(struct help *h, int64_t pid, int epoch, bool commit)
{
	int64_t offset, end;

	return plog_append_marker(h->p,
				  &(struct plog_marker){.producer_id = pid,
							.producer_epoch = (int16_t)epoch,
							.coordinator_epoch = 3,
							.commit = commit,
							.now_ms = help_now()},
				  &offset, &end);
}

static void check_sequences(struct help *h)
{
	struct plog_append a;
	struct plog_producer pr;

	assert_int_equal(plog_producers(h->p, &pr, 1), 1);
	assert_int_equal(pr.last_sequence, 13);

	/* The state before: producer 7, epoch 1, last five batches of two records end at sequence 13, offset 13. */
	assert_int_equal(put(h, 7, 1, 12, 2, &a), 0);
	assert_true(a.duplicate);
	assert_int_equal(a.base_offset, 12);
	assert_int_equal(a.end_offset, 14);
	assert_int_equal(put(h, 7, 1, 4, 2, &a), 0);
	assert_true(a.duplicate);
	assert_int_equal(a.base_offset, 4);
	/* Older than what is remembered, a gap, other borders, an older epoch. */
	assert_int_equal(put(h, 7, 1, 2, 2, &a), PLOG_OUT_OF_ORDER);
	assert_int_equal(put(h, 7, 1, 15, 2, &a), PLOG_OUT_OF_ORDER);
	assert_int_equal(put(h, 7, 1, 12, 1, &a), PLOG_OUT_OF_ORDER);
	assert_int_equal(put(h, 7, 0, 14, 1, &a), PLOG_INVALID_EPOCH);
	/* A new epoch begins at 0. */
	assert_int_equal(put(h, 7, 2, 14, 1, &a), PLOG_OUT_OF_ORDER);
	assert_int_equal(help_info(h).end, 14);
}

static void test_idempotence(void **state)
{
	struct help h = {0};
	struct plog_append a;

	help_open(&h, NULL);
	h.topic.retention_ms = -1;
	plog_configure(h.p, &h.topic);
	for (int i = 0; i < 7; i++)
		assert_int_equal(put(&h, 7, 1, i * 2, 2, &a), 0);
	check_sequences(&h);
	help_reopen(&h, true);
	check_sequences(&h);
	help_reopen(&h, false);
	check_sequences(&h);
	h.store->checkpoint_due = 0;
	plog_store_step(h.store, help_now(), 100);
	help_reopen(&h, false);
	check_sequences(&h);
	/* With a damaged snapshot the log is asked. */
	char path[200];

	help_reopen(&h, true);
	snprintf(path, sizeof(path), "%s/t-0/%020d.snapshot", h.dir, 14);
	FILE *f = fopen(path, "r+");

	assert_non_null(f);
	fputc(0, f);
	fclose(f);
	check_sequences(&h);
	assert_int_equal(put(&h, 7, 1, 14, 1, &a), 0);
	assert_int_equal(put(&h, 7, 2, 0, 1, &a), 0);
	assert_int_equal(put(&h, 7, 1, 15, 1, &a), PLOG_INVALID_EPOCH);
	/* Sequences wrap. */
	assert_int_equal(put(&h, 8, 0, INT_MAX - 1, 2, &a), 0);
	assert_int_equal(put(&h, 8, 0, 0, 2, &a), 0);
	assert_int_equal(put(&h, 9, 0, INT_MAX - 1, 4, &a), 0);
	assert_int_equal(put(&h, 9, 0, 2, 1, &a), 0);
	struct plog_producer pr[10];

	assert_int_equal(plog_producers(h.p, pr, 10), 3);
	/* Forgotten after their time. */
	plog__producers_expire(&h.p->producers, help_now() + 1000);
	assert_int_equal(plog_producers(h.p, pr, 10), 0);
	help_done(&h);
}

static void test_many_producers(void **state)
{
	struct help h = {.cfg = {.producers_max = 100}};
	struct plog_producer pr[200];

	help_open(&h, NULL);
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(
			help_append(&h,
				    &(struct help_batch){
					    .pid = i, .epoch = 0, .seq = 0, .count = 1, .ts = 1000 + i, .value = "v"},
				    NULL),
			0);
		assert_true(plog_producers(h.p, pr, 200) <= 100);
	}
	struct plog_append a;

	assert_int_equal(put(&h, 999, 0, 1, 1, &a), 0);
	help_done(&h);
}

struct seen {
	uint32_t n;
	struct plog_aborted v[64];
	int64_t bytes;
};

static void read_committed(struct help *h, int64_t offset, struct seen *s)
{
	struct plog_read r = {.offset = offset,
			      .max_bytes = 1 << 20,
			      .isolation = PLOG_READ_COMMITTED,
			      .aborted = s->v,
			      .aborted_max = 64};

	assert_int_equal(plog_read(h->p, &r), 0);
	s->n = r.n_aborted;
	s->bytes = (int64_t)r.bytes;
	plog_read_done(&r);
}

static void check_txns(struct help *h)
{
	struct seen s;

	/* 0-1 t1, 2-3 t2, 4 abort t2, 5-6 t2 again: t1 is open, so nothing is stable. */
	assert_int_equal(help_info(h).last_stable, 0);
	assert_int_equal(help_info(h).high_watermark, 7);
	read_committed(h, 0, &s);
	assert_int_equal(s.bytes, 0);
}

static void test_transactions(void **state)
{
	struct help h = {0};
	struct seen s;
	struct plog_producer pr[10];

	help_open(&h, NULL);
	assert_int_equal(put_txn(&h, 1, 0, 0), 0);
	assert_int_equal(put_txn(&h, 2, 0, 0), 0);
	assert_int_equal(end_txn(&h, 2, 0, false), 0);
	assert_int_equal(put_txn(&h, 2, 0, 2), 0);
	check_txns(&h);
	/* Inside its transaction a producer may not write outside of it. */
	struct plog_append a;

	assert_int_equal(put(&h, 1, 0, 2, 1, &a), PLOG_INVALID_TXN_STATE);
	help_reopen(&h, false);
	check_txns(&h);
	help_reopen(&h, true);
	check_txns(&h);
	assert_int_equal(plog_producers(h.p, pr, 10), 2);
	assert_int_equal(pr[0].txn_first, 0);
	assert_int_equal(pr[1].txn_first, 5);
	/* Fencing. */
	assert_int_equal(end_txn(&h, 1, -1, true), PLOG_INVALID_EPOCH);
	assert_int_equal(end_txn(&h, 1, 0, true), 0); /* 7 */
	assert_int_equal(help_info(&h).last_stable, 5);
	read_committed(&h, 0, &s);
	assert_true(s.bytes > 0);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.v[0].producer_id, 2);
	assert_int_equal(s.v[0].first_offset, 2);
	assert_int_equal(end_txn(&h, 2, 0, false), 0); /* 8 */
	assert_int_equal(help_info(&h).last_stable, 9);
	for (int i = 0; i < 3; i++) {
		read_committed(&h, 0, &s);
		assert_int_equal(s.n, 2);
		read_committed(&h, 5, &s);
		assert_int_equal(s.n, 1);
		assert_int_equal(s.v[0].first_offset, 5);
		read_committed(&h, 7, &s);
		assert_int_equal(s.n, 1); /* overlaps: its marker is at 8 */
		help_reopen(&h, i == 1);
	}
	/* More room is asked for. */
	struct plog_read r = {.offset = 0, .max_bytes = 1 << 20, .isolation = PLOG_READ_COMMITTED};

	assert_int_equal(plog_read(h.p, &r), 0);
	assert_int_equal(r.n_aborted, 2);
	assert_int_equal(r.n_slices, 0);
	int64_t offset, end;

	assert_int_equal(
		plog_append_marker(h.p, &(struct plog_marker){.producer_id = 1, .coordinator_epoch = 2, .commit = true},
				   &offset, &end),
		PLOG_COORDINATOR_FENCED);
	help_done(&h);
}

/* A marker of the second version of transactions has a newer epoch than what it ends; again, it ends nothing. */
static void test_newer_marker(void **state)
{
	struct help h = {0};
	int64_t offset, end;
	struct plog_marker m = {.producer_id = 5, .producer_epoch = 3, .newer = true, .now_ms = help_now()};

	help_open(&h, NULL);
	assert_int_equal(put_txn(&h, 5, 3, 0), 0);
	assert_int_equal(plog_append_marker(h.p, &m, &offset, &end), PLOG_INVALID_EPOCH);
	assert_int_equal(help_info(&h).last_stable, 0);
	m.producer_epoch = 4;
	assert_int_equal(plog_append_marker(h.p, &m, &offset, &end), 0);
	assert_int_equal(help_info(&h).last_stable, 3);
	assert_int_equal(plog_append_marker(h.p, &m, &offset, &end), 0);
	assert_int_equal(help_info(&h).last_stable, 4);
	help_done(&h);
}

static struct help *during;

static int fdatasync_meanwhile(int fd)
{
	struct help *h = during;

	during = NULL;
	if (h)
		assert_int_equal(end_txn(h, 1, 0, false), 0);
	return fdatasync(fd);
}

/* An abort while the recovery point is being made: its index file knows nothing of it, and is good all the same. */
static void test_abort_during_checkpoint(void **state)
{
	struct help h = {0};
	struct seen s;

	help_open(&h, NULL);
	h.topic.retention_ms = -1;
	h.topic.segment_bytes = 2000;
	plog_configure(h.p, &h.topic);
	for (int i = 0; i < 40; i++)
		help_put(&h, 5, help_now());
	assert_int_equal(put_txn(&h, 1, 0, 0), 0);
	assert_true(help_info(&h).segments > 3);
	plog__fdatasync = fdatasync_meanwhile;
	during = &h;
	h.store->checkpoint_due = 0;
	plog_store_step(h.store, help_now(), 100);
	plog__fdatasync = fdatasync;
	assert_null(during);
	help_reopen(&h, false);
	/* Not read from the beginning. */
	assert_int_equal(h.p->checkpoint.offset, help_info(&h).end - 1);
	read_committed(&h, 200, &s);
	assert_int_equal(s.n, 1);
	help_reopen(&h, true);
	read_committed(&h, 200, &s);
	assert_int_equal(s.n, 1);
	help_done(&h);
}

/* Aborted transactions over many segments, found from any offset, also from rebuilt indexes. */
static void test_aborted_over_segments(void **state)
{
	struct help h = {0};
	enum { N = 200 };

	help_open(&h, NULL);
	h.topic.segment_bytes = 1500;
	plog_configure(h.p, &h.topic);
	for (int i = 0; i < N; i++) {
		assert_int_equal(put_txn(&h, i % 3, 0, i / 3 * 2), 0);
		assert_int_equal(end_txn(&h, i % 3, 0, i % 2), 0);
	}
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < N; i += 7) {
			struct seen s;
			struct plog_read r = {.offset = i * 3,
					      .max_bytes = 1,
					      .at_least_one = true,
					      .isolation = PLOG_READ_COMMITTED,
					      .aborted = s.v,
					      .aborted_max = 64};

			assert_int_equal(plog_read(h.p, &r), 0);
			assert_int_equal(r.n_aborted, i % 2 ? 0 : 1);
			plog_read_done(&r);
		}
		if (round == 0) {
			help_reopen(&h, true);
		} else if (round == 1) {
			char cmd[200];

			help_reopen(&h, true);
			snprintf(cmd, sizeof(cmd), "rm %s/t-0/*index", h.dir);
			pclose(popen(cmd, "r"));
		}
	}
	help_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idempotence),           cmocka_unit_test(test_many_producers),
		cmocka_unit_test(test_transactions),          cmocka_unit_test(test_abort_during_checkpoint),
		cmocka_unit_test(test_aborted_over_segments), cmocka_unit_test(test_newer_marker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
