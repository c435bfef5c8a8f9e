/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "broker/log/log.h"
#include "kafka/batch.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Prints what appending costs: 1 KiB records in batches of 128 KiB over 12 partitions, without waiting for the disk and
 * with, then small batches, then reading and opening. usage: bench_broker_log DIR [MIB] */

enum { PARTS = 12, RECORDS = 128, WINDOW = 48 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct slot {
	struct plog_waiter w;
	bool busy;
};

static void done(struct plog_waiter *w, int code)
{
	if (code)
		abort();
	((struct slot *)(void *)w)->busy = false;
}

static uint8_t *make(int records, size_t *ret_n)
{
	static char value[1024];
	struct kafka_builder kb;
	struct buf out;

	kafka_builder_init(&kb, 1 << 20);
	buf_init(&out, 1 << 20);
	for (int i = 0; i < records; i++)
		kafka_builder_add(&kb, time(NULL) * 1000, STR_NONE, (struct str){value, sizeof(value)}, NULL, 0);
	if (kafka_builder_finish(&kb, 0, KAFKA_LEVEL_DEFAULT, &out))
		abort();
	kafka_builder_done(&kb);
	*ret_n = out.n;
	return (uint8_t *)out.p;
}

/* window 0: nobody waits. */
static void produce(const char *what, struct plog_store *store, struct plog **p, int records, double mib, int window)
{
	static struct slot slots[WINDOW];
	struct plog_inbox *inbox = plog_inbox_new();
	struct plog_store_stats s0, s1;
	double start = now(), worst = 0;
	long batches = 0;
	size_t n;
	uint8_t *batch = make(records, &n);

	plog_store_stats(store, &s0);
	for (int i = 0; i < WINDOW; i++)
		slots[i].w = (struct plog_waiter){.inbox = inbox, .fn = done};
	for (int at = 0; (double)batches * (double)n < mib * 1048576; batches++, at++) {
		struct plog_append a = {.batches = batch, .n = n, .leader_epoch = -1, .now_ms = time(NULL) * 1000};
		double t = now();

		if (plog_append(p[batches % PARTS], &a))
			abort();
		t = now() - t;
		worst = t > worst ? t : worst;
		if (window) {
			struct slot *s = &slots[at % window];
			struct pollfd fd = {.fd = plog_inbox_fd(inbox), .events = POLLIN};

			while (s->busy && poll(&fd, 1, -1) > 0)
				plog_inbox_take(inbox);
			s->busy = true;
			plog_wait_durable(p[batches % PARTS], a.end_offset, &s->w);
		}
	}
	for (int i = 0; i < window; i++) {
		struct pollfd fd = {.fd = plog_inbox_fd(inbox), .events = POLLIN};

		while (slots[i].busy && poll(&fd, 1, -1) > 0)
			plog_inbox_take(inbox);
	}
	double t = now() - start;

	plog_store_stats(store, &s1);
	printf("%-46s %7.0f MiB/s %9.0f records/s, append at most %.1f ms", what,
	       (double)batches * (double)n / 1048576 / t, (double)batches * records / t, worst * 1e3);
	if (window)
		printf(", %.0f rounds/s of %.1f files", (double)(s1.sync_rounds - s0.sync_rounds) / t,
		       (double)(s1.sync_files - s0.sync_files) / (double)(s1.sync_rounds - s0.sync_rounds));
	printf("\n");
	free(batch);
	plog_inbox_free(inbox);
}

static void consume(struct plog **p)
{
	double start = now();
	long long reads = 0, bytes = 0;

	for (int i = 0; i < PARTS; i++) {
		struct plog_info info;
		int64_t offset = 0;

		plog_info(p[i], &info);
		while (offset < info.end) {
			struct plog_read r = {.offset = offset, .max_bytes = 1 << 20, .at_least_one = true};

			if (plog_read(p[i], &r) || !r.n_slices)
				abort();
			bytes += (long long)r.bytes;
			reads++;
			offset += (int64_t)(r.bytes / 1040 + 1); /* about: the next read begins within the next batch */
			plog_read_done(&r);
		}
	}
	double t = now() - start;

	printf("%-46s %7.0f reads/s of %lld KiB\n", "find slices for fetches of 1 MiB", (double)reads / t,
	       reads ? bytes / reads / 1024 : 0);
}

static struct plog_store *open_store(const char *dir, struct plog **p)
{
	struct plog_store_config cfg = {.dir = dir};
	struct plog_config topic;
	struct plog_store *store;
	struct err err;
	uint8_t id[16] = {1};
	double start = now();

	if (plog_store_open(&cfg, &store, &err)) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	printf("%-46s %7.1f ms\n", "open", (now() - start) * 1e3);
	plog_config_default(&topic);
	for (int i = 0; i < PARTS; i++) {
		p[i] = plog_store_find(store, STR("bench"), i);
		if (!p[i] && plog_store_create(store, STR("bench"), i, id, &topic, &p[i]))
			abort();
	}
	return store;
}

static void release(struct plog **p)
{
	for (int i = 0; i < PARTS; i++)
		plog_unref(p[i]);
}

int main(int argc, char **argv)
{
	double mib = argc > 2 ? strtod(argv[2], NULL) : 1024;
	struct plog *p[PARTS];

	if (argc < 2)
		return 2;
	struct plog_store *store = open_store(argv[1], p);

	produce("128 KiB batches, not waiting", store, p, RECORDS, mib, 0);
	produce("128 KiB batches, durable, 48 under way", store, p, RECORDS, mib, WINDOW);
	produce("128 KiB batches, durable, 12 under way", store, p, RECORDS, mib / 2, PARTS);
	produce("1 KiB batches, not waiting", store, p, 1, mib / 8, 0);
	produce("1 KiB batches, durable, 48 under way", store, p, 1, 4, WINDOW);
	produce("1 KiB batches, durable, one at a time", store, p, 1, 0.2, 1);
	consume(p);
	release(p);
	plog_store_abandon(&store);
	printf("after kill -9 without a recovery point: ");
	store = open_store(argv[1], p);
	release(p);
	double start = now();

	plog_store_close(&store);
	printf("%-46s %7.1f ms\n", "orderly stop", (now() - start) * 1e3);
	store = open_store(argv[1], p);
	release(p);
	plog_store_close(&store);
	return 0;
}
