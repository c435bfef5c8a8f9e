/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "broker/log/log.h"
#include "kafka/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Kills a writer of the log at random times and looks what is left.
 *
 * usage: crash ROUNDS [SEED]
 *
 * Each round a child opens the store and appends batches whose content follows from partition and sequence number;
 * when a batch is durable it says so on a pipe. The parent kills it with SIGKILL, sometimes adds half a batch to a file
 * as a torn write would, opens the store itself and checks: every batch that was reported is there, at the reported
 * offset, byte by byte; offsets and sequences are without gap and repetition; the remembered sequence is the last one;
 * sending the last batch again is answered as a duplicate. Exit code 1 with the first thing that is wrong. */

enum { PARTS = 4, WINDOW = 64, RECORDS_MAX = 8, TXN_PART = 3 };

struct ack {
	int32_t part, seq; /* first sequence of the batch */
	int64_t offset;
};

struct part {
	int64_t *offset_of; /* by sequence: offset + 1, 0 unknown */
	int32_t cap;
	int64_t checked; /* everything below this offset has been looked at */
	int32_t checked_seq;
	int32_t last_first; /* first sequence of the newest batch, and its offset */
	int64_t last_offset;
};

static char dir[64];
static struct part parts[PARTS];
static uint64_t rng;
static long long acked, checked_batches, torn, clean_stops, duplicates;

static uint32_t draw(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)((rng >> 11) % n);
}

static void wrong(const char *what, int part, long long a, long long b)
{
	fprintf(stderr, "crash: partition %d: %s (%lld, %lld), kept in %s\n", part, what, a, b, dir);
	exit(1);
}

static uint32_t mix(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	x *= 0x846ca68bu;
	return x ^ x >> 16;
}

/* The batch of a partition that begins at a sequence; how many records it has. */
static int make(int part, int32_t seq, struct buf *out)
{
	static char value[40000];
	uint32_t h = mix((uint32_t)seq * 7 + (uint32_t)part);
	int count = 1 + (int)(h % RECORDS_MAX);
	size_t size = h % 5 == 0 ? h % sizeof(value) : h % 500;
	struct kafka_builder kb;

	kafka_builder_init(&kb, 1 << 20);
	for (int i = 0; i < count; i++) {
		for (size_t k = 0; k < size; k += 97)
			value[k] = (char)mix(h + (uint32_t)(k * 31) + (uint32_t)i);
		if (kafka_builder_add(&kb, 1000 + seq, STR_NONE, (struct str){value, size}, NULL, 0))
			abort();
	}
	kb.head.producer_id = part;
	kb.head.producer_epoch = 0;
	kb.head.base_sequence = seq;
	kb.head.attributes = part == TXN_PART ? KAFKA_ATTR_TRANSACTIONAL : 0;
	buf_reset(out);
	if (kafka_builder_finish(&kb, KAFKA_CODEC_NONE, KAFKA_LEVEL_DEFAULT, out))
		abort();
	kafka_builder_done(&kb);
	return count;
}

static struct plog_store *open_store(struct plog **ret)
{
	struct plog_store_config cfg = {
		.dir = dir, .checkpoint_ms = 40, .prealloc_max = 1 << 20, .open_files_max = 500};
	struct plog_config topic;
	struct plog_store *store;
	struct err err;
	uint8_t id[16] = {1};

	if (plog_store_open(&cfg, &store, &err)) {
		fprintf(stderr, "crash: %s\n", err.text);
		exit(1);
	}
	plog_config_default(&topic);
	topic.retention_ms = -1;
	topic.segment_bytes = 300000;
	for (int i = 0; i < PARTS; i++) {
		ret[i] = plog_store_find(store, STR("crash"), i);
		if (!ret[i] && plog_store_create(store, STR("crash"), i, id, &topic, &ret[i]))
			wrong("cannot be made", i, 0, 0);
		plog_configure(ret[i], &topic);
	}
	return store;
}

static int32_t next_seq(struct plog *p)
{
	struct plog_producer pr;

	return plog_producers(p, &pr, 1) == 1 ? pr.last_sequence + 1 : 0;
}

/* ---- the child ---- */

struct wait {
	struct plog_waiter w;
	struct ack ack;
	bool busy;
};

static int ack_fd;

static void durable(struct plog_waiter *w, int code)
{
	struct wait *wait = (struct wait *)(void *)w;

	if (code)
		wrong("flush failed", wait->ack.part, code, 0);
	if (write(ack_fd, &wait->ack, sizeof(wait->ack)) != (ssize_t)sizeof(wait->ack))
		_exit(1);
	wait->busy = false;
}

static void append(struct plog *p, struct wait *wait, int part, int32_t *seq, struct buf *bytes)
{
	int count = make(part, *seq, bytes);
	struct plog_append a = {
		.batches = (uint8_t *)bytes->p, .n = bytes->n, .leader_epoch = -1, .now_ms = time(NULL) * 1000};
	int rc = plog_append(p, &a);

	if (rc || a.duplicate)
		wrong("append refused", part, rc, *seq);
	wait->ack = (struct ack){part, *seq, a.base_offset};
	wait->busy = true;
	*seq += count;
	plog_wait_durable(p, a.end_offset, &wait->w);
	if (part == TXN_PART && draw(8) == 0) {
		int64_t at, end;
		struct plog_marker m = {.producer_id = part, .commit = draw(2), .now_ms = time(NULL) * 1000};

		rc = plog_append_marker(p, &m, &at, &end);
		if (rc)
			wrong("marker refused", part, rc, 0);
	}
}

static void child(int fd)
{
	struct plog *p[PARTS];
	static struct wait waits[WINDOW];
	struct plog_store *store = open_store(p);
	struct plog_inbox *inbox = plog_inbox_new();
	int32_t seq[PARTS];
	struct buf bytes;

	ack_fd = fd;
	buf_init(&bytes, 1 << 20);
	for (int i = 0; i < PARTS; i++)
		seq[i] = next_seq(p[i]);
	for (int i = 0; i < WINDOW; i++)
		waits[i].w = (struct plog_waiter){.inbox = inbox, .fn = durable};
	for (unsigned n = 0;; n++) {
		struct pollfd pfd = {.fd = plog_inbox_fd(inbox), .events = POLLIN};
		int i = 0, part = (int)draw(PARTS);

		while (i < WINDOW && waits[i].busy)
			i++;
		if (i < WINDOW)
			append(p[part], &waits[i], part, &seq[part], &bytes);
		if (poll(&pfd, 1, i < WINDOW ? 0 : -1) > 0)
			plog_inbox_take(inbox);
		if (n % 50 == 0)
			plog_store_step(store, time(NULL) * 1000, 2);
	}
}

/* ---- the parent ---- */

static void note(const struct ack *a)
{
	struct part *pt = &parts[a->part];

	if (a->seq >= pt->cap) {
		int32_t cap = pt->cap ? pt->cap : 1024;

		while (cap <= a->seq)
			cap *= 2;
		pt->offset_of = mem_realloc(pt->offset_of, (size_t)cap * sizeof(int64_t));
		memset(pt->offset_of + pt->cap, 0, (size_t)(cap - pt->cap) * sizeof(int64_t));
		pt->cap = cap;
	}
	if (pt->offset_of[a->seq] && pt->offset_of[a->seq] != a->offset + 1)
		wrong("a sequence was acknowledged twice", a->part, a->seq, a->offset);
	pt->offset_of[a->seq] = a->offset + 1;
	acked++;
}

static void check_batch(int part, const struct kafka_batch *b, int64_t *offset, int32_t *seq, struct buf *want)
{
	struct part *pt = &parts[part];

	if (b->base_offset != *offset)
		wrong("offsets have a gap or repeat", part, b->base_offset, *offset);
	*offset = kafka_batch_last_offset(b) + 1;
	if (kafka_batch_check(b))
		wrong("bad checksum", part, b->base_offset, 0);
	if (b->attributes & KAFKA_ATTR_CONTROL)
		return;
	if (b->base_sequence != *seq)
		wrong("sequences have a gap or repeat", part, b->base_sequence, *seq);
	if (*seq < pt->cap && pt->offset_of[*seq] && pt->offset_of[*seq] != b->base_offset + 1)
		wrong("not at the offset that was acknowledged", part, pt->offset_of[*seq] - 1, b->base_offset);
	pt->last_first = *seq;
	pt->last_offset = b->base_offset;
	*seq += make(part, b->base_sequence, want);
	kafka_batch_set_place(want->p, b->base_offset, b->leader_epoch);
	if (want->n != b->bytes.n || memcmp(want->p, b->bytes.p, want->n))
		wrong("other bytes than were sent", part, b->base_offset, 0);
	checked_batches++;
}

static void check_part(struct plog_store *store, struct plog *p, int part, bool all)
{
	unsigned reads = 0;
	struct part *pt = &parts[part];
	int64_t offset = all ? 0 : pt->checked;
	int32_t seq = all ? 0 : pt->checked_seq;
	struct plog_info info;
	struct buf want;

	buf_init(&want, 1 << 20);
	plog_info(p, &info);
	if (info.code)
		wrong("does not work", part, info.code, 0);
	while (offset < info.end) {
		struct plog_read r = {.offset = offset, .max_bytes = 1 << 20, .at_least_one = true};
		struct kafka_batch b;
		int rc = plog_read(p, &r);

		if (rc || !r.n_slices)
			wrong("cannot be read", part, rc, offset);
		char *bytes = mem_alloc(r.bytes);
		uint64_t n = 0;

		for (uint32_t i = 0; i < r.n_slices; n += r.slices[i++].len) {
			if (pread(r.slices[i].fd, bytes + n, r.slices[i].len, r.slices[i].pos) !=
			    (ssize_t)r.slices[i].len)
				wrong("short read", part, offset, 0);
		}
		plog_read_done(&r);
		/* Closes files: after many rounds there are more than may be open. */
		if (++reads % 16 == 0)
			plog_store_step(store, time(NULL) * 1000, 1);
		struct str rest = {bytes, n};

		while (rest.n) {
			if (kafka_batch_next(&rest, &b))
				wrong("not a whole batch", part, offset, 0);
			check_batch(part, &b, &offset, &seq, &want);
		}
		free(bytes);
	}
	for (int32_t s = seq; s < pt->cap; s++) {
		if (pt->offset_of[s])
			wrong("acknowledged and lost", part, s, pt->offset_of[s] - 1);
	}
	if (next_seq(p) != seq)
		wrong("another sequence is remembered", part, next_seq(p), seq);
	pt->checked = offset;
	pt->checked_seq = seq;
	buf_done(&want);
}

/* The producer that never got its answer sends its last batch again. */
static void check_duplicate(struct plog *p, int part)
{
	struct part *pt = &parts[part];
	struct buf bytes;

	buf_init(&bytes, 1 << 20);
	if (pt->checked_seq) {
		make(part, pt->last_first, &bytes);
		struct plog_append a = {
			.batches = (uint8_t *)bytes.p, .n = bytes.n, .leader_epoch = -1, .now_ms = time(NULL) * 1000};
		int rc = plog_append(p, &a);

		if (rc || !a.duplicate || a.base_offset != pt->last_offset)
			wrong("a repeated batch was taken for new", part, rc, a.base_offset);
		duplicates++;
	}
	buf_done(&bytes);
}

/* Half of a batch behind the end of the newest file, as a write that was interrupted leaves it. */
static void tear(int part)
{
	char cmd[200], path[256];
	struct buf bytes;

	snprintf(cmd, sizeof(cmd), "ls %s/crash-%d/*.log 2>/dev/null | tail -1", dir, part);
	FILE *f = popen(cmd, "r");

	if (!f || !fgets(path, sizeof(path), f)) {
		if (f)
			pclose(f);
		return;
	}
	pclose(f);
	path[strcspn(path, "\n")] = 0;
	buf_init(&bytes, 1 << 20);
	make(part, parts[part].checked_seq + 1000000, &bytes);
	int fd = open(path, O_WRONLY | O_APPEND);

	if (fd >= 0 && write(fd, bytes.p, 1 + draw((uint32_t)bytes.n - 1)) > 0)
		torn++;
	if (fd >= 0)
		close(fd);
	buf_done(&bytes);
}

static void check(bool all)
{
	struct plog *p[PARTS];
	struct plog_store *store = open_store(p);

	for (int i = 0; i < PARTS; i++) {
		check_part(store, p[i], i, all);
		check_duplicate(p[i], i);
		plog_unref(p[i]);
	}
	if (draw(2)) {
		plog_store_close(&store);
		clean_stops++;
	} else {
		plog_store_abandon(&store);
	}
}

static void run_round(void)
{
	int fds[2];
	struct ack a;

	if (pipe(fds))
		abort();
	pid_t pid = fork();

	if (pid == 0) {
		close(fds[0]);
		child(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	struct timespec t = {.tv_nsec = (long)(10 + draw(140)) * 1000000};
	struct pollfd pfd = {.fd = fds[0], .events = POLLIN};
	struct timespec now, end;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_nsec += t.tv_nsec;
	for (;;) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		long left = (end.tv_sec - now.tv_sec) * 1000 + (end.tv_nsec - now.tv_nsec) / 1000000;

		if (left <= 0)
			break;
		if (poll(&pfd, 1, (int)left) > 0) {
			if (read(fds[0], &a, sizeof(a)) != (ssize_t)sizeof(a))
				break;
			note(&a);
		}
	}
	kill(pid, SIGKILL);
	while (read(fds[0], &a, sizeof(a)) == (ssize_t)sizeof(a))
		note(&a);
	close(fds[0]);
	int status;

	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		wrong("the writer ended by itself", -1, status, 0);
	if (draw(3) == 0)
		tear((int)draw(PARTS));
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 30;

	rng = argc > 2 ? strtoull(argv[2], NULL, 10) : (uint64_t)time(NULL);
	rng = rng * 2654435761u + 88172645463325252u;
	snprintf(dir, sizeof(dir), "%s/appia-crash-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(dir))
		return 1;
	for (int i = 0; i < rounds; i++) {
		run_round();
		rng += (uint64_t)i; /* the children draw from where the parent is */
		check(i % 100 == 99 || i + 1 == rounds);
	}
	printf("%d rounds: %lld batches acknowledged, %lld looked at, %lld torn writes, %lld orderly stops, %lld "
	       "duplicates "
	       "recognised\n",
	       rounds, acked, checked_batches, torn, clean_stops, duplicates);
	char cmd[100];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	pclose(popen(cmd, "r"));
	return 0;
}
