/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Recovery of a partition whose files hold anything: first byte chooses the file that gets the bytes (segment, second
 * segment, snapshot, index, transaction index, meta, state), with checksums put right in part of the cases, so that
 * what is behind them is reached. Whatever survives must be readable and appendable. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];
static struct plog_config topic;

static void write_file(const char *name, const uint8_t *p, size_t n)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || write(fd, p, n) != (ssize_t)n)
		abort();
	close(fd);
}

static void remove_files(void)
{
	char cmd[128];
	const char *names[] = {"state",
			       "clean",
			       "t-0/00000000000000000000.log",
			       "t-0/00000000000000000010.log",
			       "t-0/00000000000000000000.index",
			       "t-0/00000000000000000000.timeindex",
			       "t-0/00000000000000000000.txnindex",
			       "t-0/00000000000000000003.snapshot"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(cmd, sizeof(cmd), "%s/%s", dir, names[i]);
		unlink(cmd);
	}
}

static void once(void)
{
	struct plog_store_config cfg = {.dir = dir};
	struct plog_store *store;
	struct plog *p;
	struct err err;
	const uint8_t id[16] = {1};

	if (dir[0])
		return;
	snprintf(dir, sizeof(dir), "%s/appia-fuzz-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	plog_config_default(&topic);
	topic.retention_ms = -1;
	if (!mkdtemp(dir) || plog_store_open(&cfg, &store, &err) ||
	    plog_store_create(store, STR("t"), 0, id, &topic, &p))
		abort();
	plog_unref(p);
	plog_store_abandon(&store);
}

/* Makes the checksums of the batches right, as far as there are batches. */
static void seal_batches(uint8_t *p, size_t n)
{
	struct log_batch b;

	while (n >= KAFKA_BATCH_SIZE && batch_parse(p, &b) && b.size <= n) {
		kafka_batch_set_crc((char *)p, b.size);
		p += b.size;
		n -= b.size;
	}
}

static void read_all(struct plog *p)
{
	struct plog_aborted aborted[8];
	struct plog_info info;
	int64_t offset, ts;
	int32_t epoch;

	plog_info(p, &info);
	for (int i = 0; i < 2; i++) {
		int64_t at = info.start;

		while (at < info.end) {
			struct plog_read r = {.offset = at,
					      .max_bytes = 300,
					      .at_least_one = true,
					      .isolation = i ? PLOG_READ_COMMITTED : PLOG_READ_UNCOMMITTED,
					      .aborted = aborted,
					      .aborted_max = 8};

			if (plog_read(p, &r))
				break;
			plog_read_done(&r);
			at += (info.end - at) / 8 + 1;
		}
	}
	plog_offset_by_time(p, 0, PLOG_READ_UNCOMMITTED, &offset, &ts, &epoch);
	plog_offset_by_time(p, PLOG_TIME_MAX, PLOG_READ_COMMITTED, &offset, &ts, &epoch);
}

static void open_and_use(bool clean)
{
	struct plog_store_config cfg = {.dir = dir};
	struct plog_store *store;
	struct plog *p;
	struct err err;

	if (plog_store_open(&cfg, &store, &err))
		abort();
	p = plog_store_find(store, STR("t"), 0);
	if (p) {
		struct plog_marker m = {.producer_id = 1, .producer_epoch = 0, .now_ms = 1};
		int64_t at, end;

		plog_configure(p, &topic);
		read_all(p);
		plog_append_marker(p, &m, &at, &end);
		read_all(p);
		plog_unref(p);
	}
	if (clean)
		plog_store_close(&store);
	else
		plog_store_abandon(&store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"t-0/00000000000000000000.log",
					    "t-0/00000000000000000010.log",
					    "t-0/00000000000000000003.snapshot",
					    "t-0/00000000000000000000.index",
					    "t-0/00000000000000000000.txnindex",
					    "t-0/00000000000000000000.timeindex",
					    "state"};
	uint8_t copy[4096];

	if (size < 2 || size > sizeof(copy))
		return 0;
	once();
	unsigned which = data[0] % 8, flags = data[0] / 8;

	data++;
	size--;
	memcpy(copy, data, size);
	remove_files();
	if (which == 7) { /* both segments */
		seal_batches(copy, size / 2);
		seal_batches(copy + size / 2, size - size / 2);
		write_file(names[0], copy, size / 2);
		write_file(names[1], copy + size / 2, size - size / 2);
	} else {
		if (which < 2 && flags & 1)
			seal_batches(copy, size);
		if ((which == 2 || which == 6) && flags & 1 && size > 4) {
			uint32_t crc = kafka_crc32c(copy, size - 4);

			memcpy(copy + size - 4, &crc, 4);
		}
		write_file(names[which], copy, size);
	}
	open_and_use(flags & 2);
	open_and_use(flags & 4);
	return 0;
}
