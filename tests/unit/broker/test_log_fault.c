/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void limit_files(rlim_t bytes)
{
	struct rlimit r = {bytes, RLIM_INFINITY};

	setrlimit(RLIMIT_FSIZE, &r);
}

/* Files cannot grow: appends fail and leave nothing, and work again afterwards. */
static void test_file_limit(void **state)
{
	struct help h = {0};
	int64_t last, n = 0;

	signal(SIGXFSZ, SIG_IGN);
	help_open(&h, NULL);
	h.topic.retention_ms = -1;
	plog_configure(h.p, &h.topic);
	for (rlim_t limit = 1000; limit < 40000; limit += 777) {
		limit_files(limit);
		int rc = 0;

		for (int i = 0; i < 100 && !rc; i++) {
			int64_t offset = help_put(&h, 3, 1000);

			rc = offset < 0 ? (int)offset : 0;
			if (!rc) {
				assert_int_equal(offset, n);
				n += 3;
			}
		}
		assert_int_equal(rc, PLOG_STORAGE);
		assert_int_equal(help_read_all(&h, 0, &last), n);
		limit_files(RLIM_INFINITY);
		if (limit % 2)
			help_reopen(&h, false);
		assert_int_equal(help_info(&h).end, n);
	}
	/* Under a limit that stops indexes, snapshots and state too; then everything is written after all. */
	limit_files(10);
	h.store->checkpoint_due = 0;
	plog_store_step(h.store, help_now(), 100);
	assert_int_equal(help_put(&h, 1, 1000), PLOG_STORAGE);
	assert_int_equal(plog_roll(h.p), 0);
	limit_files(RLIM_INFINITY);
	assert_int_equal(help_put(&h, 3, 1000), n);
	h.store->checkpoint_due = 0;
	plog_store_step(h.store, help_now(), 100);
	help_reopen(&h, true);
	assert_int_equal(help_read_all(&h, 0, &last), n + 3);
	help_done(&h);
}

/* A file system that is full: a small tmpfs, where the test may mount one. */
static void test_full_disk(void **state)
{
	struct help h = {.cfg = {.spare_files = 1}};
	char dir[] = "/tmp/appia-full-XXXXXX", filler[64];
	int64_t last, n = 0;

	assert_non_null(mkdtemp(dir));
	if (mount("tmpfs", dir, "tmpfs", 0, "size=2m")) {
		rmdir(dir);
		skip();
	}
	help_open(&h, dir);
	h.topic.segment_bytes = 100000;
	h.topic.retention_ms = -1;
	plog_configure(h.p, &h.topic);
	for (int round = 0; round < 6; round++) {
		int rc = 0;

		while (!rc) {
			struct plog_append a;

			rc = help_append(&h,
					 &(struct help_batch){.pid = 5,
							      .seq = (int)n,
							      .count = 1,
							      .ts = 1000,
							      .value = "0123456789",
							      .size = 5000 + (size_t)round * 100},
					 &a);
			if (!rc) {
				assert_int_equal(a.base_offset, n);
				n++;
			}
		}
		assert_int_equal(rc, PLOG_STORAGE);
		h.store->checkpoint_due = 0;
		plog_store_step(h.store, help_now(), 100); /* cannot write its state either */
		assert_int_equal(help_read_all(&h, help_info(&h).start, &last), n - help_info(&h).start);
		if (round == 2)
			help_reopen(&h, false);
		assert_int_equal(help_info(&h).end, n);
		/* Consumers have read on, old records may go: producing works again. */
		int64_t start;

		assert_int_equal(plog_delete_before(h.p, n - 100, &start), 0);
	}
	/* Nearly no room at the stop, nothing is lost. */
	snprintf(filler, sizeof(filler), "%s/filler", dir);
	int fd = open(filler, O_WRONLY | O_CREAT, 0600);
	char block[4096] = {0};

	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
	int64_t start = help_info(&h).start;

	help_reopen(&h, true);
	assert_int_equal(help_info(&h).end, n);
	assert_int_equal(help_read_all(&h, start, &last), n - start);
	unlink(filler);
	help_done(&h);
	umount(dir);
	rmdir(dir);
}

static bool flush_fails;

static int failing_fdatasync(int fd)
{
	if (flush_fails) {
		errno = EIO;
		return -1;
	}
	return fdatasync(fd);
}

static pthread_mutex_t got_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t got_cond = PTHREAD_COND_INITIALIZER;
static int got_code, got_n;

static void got(struct plog_waiter *w, int code)
{
	pthread_mutex_lock(&got_lock);
	got_code = code;
	got_n++;
	pthread_cond_signal(&got_cond);
	pthread_mutex_unlock(&got_lock);
}

static int wait_code(struct help *h, int64_t offset)
{
	struct plog_waiter w = {.fn = got};

	got_n = 0;
	plog_wait_durable(h->p, offset, &w);
	pthread_mutex_lock(&got_lock);
	while (!got_n)
		pthread_cond_wait(&got_cond, &got_lock);
	pthread_mutex_unlock(&got_lock);
	return got_code;
}

/* A flush that fails: waiters hear of it, the partition stops, and heals when the disk does. */
static void test_failed_flush(void **state)
{
	struct help h = {0};
	int64_t last;

	plog__fdatasync = failing_fdatasync;
	help_open(&h, NULL);
	h.topic.retention_ms = -1;
	plog_configure(h.p, &h.topic);
	assert_int_equal(help_put(&h, 3, 1000), 0);
	assert_int_equal(wait_code(&h, 3), 0);
	assert_int_equal(help_info(&h).durable, 3);
	assert_int_equal(help_put(&h, 3, 1000), 3);
	flush_fails = true;
	assert_int_equal(wait_code(&h, 6), PLOG_STORAGE);
	assert_int_equal(help_put(&h, 3, 1000), PLOG_STORAGE);
	plog_store_step(h.store, help_now(), 100);
	assert_int_equal(help_info(&h).code, PLOG_STORAGE);
	flush_fails = false;
	plog_store_step(h.store, help_now(), 100);
	assert_int_equal(help_info(&h).code, 0);
	assert_int_equal(help_info(&h).durable, 6);
	assert_int_equal(help_put(&h, 3, 1000), 6);
	assert_int_equal(help_read_all(&h, 0, &last), 9);
	help_done(&h);
	plog__fdatasync = fdatasync;
}

static void test_flush_policies(void **state)
{
	struct help h = {0};

	help_open(&h, NULL);
	h.topic.flush_messages = 10;
	h.topic.hw_durable = true;
	plog_configure(h.p, &h.topic);
	help_put(&h, 9, 1000);
	assert_int_equal(help_info(&h).high_watermark, 0);
	help_put(&h, 1, 1000);
	for (int i = 0; i < 5000 && help_info(&h).durable < 10; i++)
		usleep(1000);
	assert_int_equal(help_info(&h).high_watermark, 10);
	h.topic.flush_messages = -1;
	h.topic.flush_ms = 20;
	plog_configure(h.p, &h.topic);
	help_put(&h, 1, 1000);
	/* What is not durable is not to be seen. */
	struct plog_read r = {.offset = 10, .max_bytes = 1000};

	for (int i = 0; i < 5000 && help_info(&h).durable < 11; i++)
		usleep(1000);
	assert_int_equal(help_info(&h).high_watermark, 11);
	assert_int_equal(plog_read(h.p, &r), 0);
	assert_int_equal(r.n_slices, 1);
	plog_read_done(&r);
	/* Of one deletion all waiters hear. */
	assert_int_equal(plog_store_delete(h.store, h.p), 0);
	assert_int_equal(wait_code(&h, 100), PLOG_GONE);
	help_done(&h);
}

static uint8_t *slurp(const char *path, size_t *ret_n)
{
	struct stat st;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	fstat(fd, &st);
	uint8_t *p = mem_alloc((size_t)st.st_size + 1);

	*ret_n = (size_t)read(fd, p, (size_t)st.st_size);
	close(fd);
	return p;
}

static void spit(const char *path, const uint8_t *p, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, p, n), n);
	close(fd);
}

/* Whatever byte of the log is damaged, and wherever it ends: the batches before it are kept, and the log goes on. */
static void test_damage(void **state)
{
	struct help h = {0};
	size_t ends[12], n, meta_n;
	char log[200], meta[200], cmd[300];
	int64_t last;

	/* Hundreds of stores: in memory where there is such a place. */
	help_open(&h, access("/dev/shm", W_OK) ? NULL : "/dev/shm");
	h.topic.retention_ms = -1;
	plog_configure(h.p, &h.topic);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(help_append(&h,
					     &(struct help_batch){
						     .pid = 4, .seq = i, .count = 1, .ts = 1000, .value = "some text"},
					     NULL),
				 0);
		ends[i] = h.p->end.pos;
	}
	snprintf(log, sizeof(log), "%s/t-0/%020d.log", h.dir, 0);
	snprintf(meta, sizeof(meta), "%s/t-0/meta", h.dir);
	snprintf(cmd, sizeof(cmd), "cd %s && rm -f state clean t-0/*index t-0/*.snapshot t-0/0*.log", h.dir);
	plog_unref(h.p);
	plog_store_abandon(&h.store);
	uint8_t *good = slurp(log, &n), *meta_good = slurp(meta, &meta_n);

	assert_int_equal(n, ends[9]);
	for (size_t at = 0; at < 2 * n; at += at < n ? 1 : 7) {
		size_t cut = at < n ? n : at - n, keep = 0;
		uint8_t was = good[at % n];
		int64_t want = 0;

		pclose(popen(cmd, "r"));
		if (at < n)
			good[at] ^= (uint8_t)(1 + at % 255);
		spit(log, good, cut);
		spit(meta, meta_good, meta_n);
		good[at % n] = was;
		while (want < 10 && ends[want] <= (at < n ? at : cut))
			keep = ends[want++];
		struct err err;

		assert_int_equal(plog_store_open(&h.cfg, &h.store, &err), 0);
		h.p = plog_store_find(h.store, STR("t"), 0);
		/* Base offset and epoch are not under the checksum: a batch with a larger offset is not known from a
		 * good one, but what is kept is in order. */
		if (at < n && (at - keep) < 16 && help_info(&h).end > want) {
			assert_true(help_read_all(&h, 0, &last) >= want);
		} else {
			assert_int_equal(help_info(&h).end, want);
			assert_int_equal(help_read_all(&h, 0, &last), want);
			assert_int_equal(
				help_append(&h,
					    &(struct help_batch){
						    .pid = 4, .seq = (int)want, .count = 1, .ts = 1, .value = "more"},
					    NULL),
				0);
		}
		plog_unref(h.p);
		plog_store_abandon(&h.store);
	}
	/* Damaged metadata: this partition does not work, the store does. */
	spit(meta, good, 10);
	struct err err;
	struct plog_store_stats st;

	assert_int_equal(plog_store_open(&h.cfg, &h.store, &err), 0);
	h.p = plog_store_find(h.store, STR("t"), 0);
	assert_int_equal(help_info(&h).code, PLOG_STORAGE);
	plog_store_stats(h.store, &st);
	assert_int_equal(st.broken, 1);
	assert_int_equal(help_put(&h, 1, 1), PLOG_STORAGE);
	/* It is tried again. */
	spit(meta, meta_good, meta_n);
	plog_store_step(h.store, help_now(), 100);
	assert_int_equal(help_info(&h).code, 0);
	free(good);
	free(meta_good);
	help_done(&h);
}

/* Damage in the files beside the log costs nothing but time. */
static void test_damaged_companions(void **state)
{
	struct help h = {0};
	const char *names[] = {"state", "clean", "t-0/%020d.index", "t-0/%020d.timeindex", "t-0/%020d.snapshot"};
	int64_t last, n = 0, offset, ts;
	int32_t epoch;
	char path[200], name[64];

	help_open(&h, NULL);
	h.topic.retention_ms = -1;
	h.topic.segment_bytes = 20000;
	plog_configure(h.p, &h.topic);
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < 20; i++, n++)
			assert_int_equal(help_append(&h,
						     &(struct help_batch){.pid = 4,
									  .seq = (int)n,
									  .count = 1,
									  .ts = 1000 + n,
									  .value = "some text",
									  .size = 500},
						     NULL),
					 0);
		plog_unref(h.p);
		if (round % 2)
			plog_store_close(&h.store);
		else
			plog_store_abandon(&h.store);
		snprintf(name, sizeof(name), "%s", names[round / 2 % 5]);
		if (strchr(name, '%'))
			snprintf(name, sizeof(name), "t-0/%020d%s", round / 2 % 5 == 4 ? (int)n : 0,
				 strchr(names[round / 2 % 5], '.'));
		snprintf(path, sizeof(path), "%s/%s", h.dir, name);
		int fd = open(path, O_RDWR);

		if (fd >= 0) {
			assert_true(pwrite(fd, "\xff\xff", 2, round * 3) == 2);
			close(fd);
		}
		struct err err;

		assert_int_equal(plog_store_open(&h.cfg, &h.store, &err), 0);
		h.p = plog_store_find(h.store, STR("t"), 0);
		plog_configure(h.p, &h.topic);
		assert_int_equal(help_read_all(&h, 0, &last), n);
		for (int64_t i = 0; i < n; i += 19) {
			assert_int_equal(
				plog_offset_by_time(h.p, 1000 + i, PLOG_READ_UNCOMMITTED, &offset, &ts, &epoch), 0);
			assert_int_equal(offset, i);
		}
	}
	help_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_limit),   cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_failed_flush), cmocka_unit_test(test_flush_policies),
		cmocka_unit_test(test_damage),       cmocka_unit_test(test_damaged_companions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
