/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "broker/handlers/broker.h"
#include "kafka/batch.h"

#include <stdlib.h>
#include <unistd.h>

#define BATCH_MAX ((size_t)64 << 20)

struct mqs_stored {
	struct plog_waiter waiter; /* first */
	struct mqs_statelog *sl;
	struct mqs_stored *next;
	uint64_t batch;
	bool done, ok;
};

static void replay_batches(struct str rest, mqs_replay_f *replay, void *arg)
{
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;

	while (kafka_batch_next(&rest, &batch) == 0) {
		if (kafka_records_open(&it, &batch, NULL) != 0)
			continue;
		while (kafka_records_next(&it, &r) == 1)
			replay(arg, r.key, r.value);
	}
}

/* Reads all from offset on; *ret_next is where to go on. */
static int replay_some(struct plog *log, int64_t offset, mqs_replay_f *replay, void *arg, int64_t *ret_next)
{
	struct plog_read r = {.offset = offset, .max_bytes = 4 << 20, .at_least_one = true};
	int rc = plog_read(log, &r);

	*ret_next = offset;
	if (rc != 0 || r.bytes == 0) {
		if (rc == 0)
			plog_read_done(&r);
		return rc;
	}
	char *p = mem_alloc(r.bytes);
	size_t n = 0;

	for (unsigned i = 0; i < r.n_slices; i++) {
		ssize_t got = pread(r.slices[i].fd, p + n, r.slices[i].len, r.slices[i].pos);

		if (got < (ssize_t)r.slices[i].len)
			break;
		n += (size_t)got;
	}
	plog_read_done(&r);
	struct str rest = {p, n};
	struct kafka_batch batch;

	replay_batches(rest, replay, arg);
	while (kafka_batch_next(&rest, &batch) == 0)
		*ret_next = kafka_batch_last_offset(&batch) + 1;
	free(p);
	return *ret_next > offset ? 0 : PLOG_CORRUPT;
}

int mqs_statelog_open(struct mqs_statelog *sl, struct mqs_broker *b, struct str topic, mqs_replay_f *replay, void *arg,
		      struct err *err)
{
	struct plog_config cfg;
	struct plog_info info;
	int64_t at;

	sl->broker = b;
	sl->inbox = mqs_loop_inbox(mqs_server_loop(b->server, 0));
	sl->end = &sl->first;
	pthread_mutex_init(&sl->lock, NULL);
	kafka_builder_init(&sl->builder, BATCH_MAX);
	buf_init(&sl->bytes, BATCH_MAX);
	plog_config_default(&cfg);
	cfg.cleanup_delete = false;
	cfg.cleanup_compact = true;
	cfg.segment_bytes = 16 << 20;
	cfg.max_message_bytes = BATCH_MAX;
	cfg.timestamp_after_max_ms = cfg.timestamp_before_max_ms = INT64_MAX;
	cfg.retention_ms = cfg.retention_bytes = -1;
	sl->log = plog_store_find(b->store, topic, 0);
	if (!sl->log) {
		uint8_t id[16];

		rnd_bytes(id, sizeof(id));
		int rc = plog_store_create(b->store, topic, 0, id, &cfg, &sl->log);

		if (rc != 0)
			return err_set(err, ERR_APPIA_0500, "the state cannot be stored (%d)", -rc);
	}
	plog_configure(sl->log, &cfg);
	plog_info(sl->log, &info);
	for (at = info.start; at < info.end;)
		if (replay_some(sl->log, at, replay, arg, &at) != 0)
			return err_set(err, ERR_APPIA_0500, "the state cannot be read at %lld", (long long)at);
	return 0;
}

void mqs_statelog_close(struct mqs_statelog *sl)
{
	if (!sl->broker)
		return;
	for (struct mqs_stored *s = sl->first, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	plog_unref(sl->log);
	kafka_builder_done(&sl->builder);
	buf_done(&sl->bytes);
	pthread_mutex_destroy(&sl->lock);
	sl->broker = NULL;
}

static int append(struct mqs_statelog *sl, const struct coord_record *v, size_t n, int64_t *ret_end)
{
	int64_t now = clock_now_ms();

	kafka_builder_reset(&sl->builder);
	buf_reset(&sl->bytes);
	for (size_t i = 0; i < n; i++)
		if (kafka_builder_add(&sl->builder, now, v[i].key, v[i].value, NULL, 0) != 0)
			return PLOG_TOO_LARGE;
	sl->builder.head.producer_id = -1;
	sl->builder.head.producer_epoch = -1;
	sl->builder.head.base_sequence = -1;
	if (kafka_builder_finish(&sl->builder, KAFKA_CODEC_NONE, KAFKA_LEVEL_DEFAULT, &sl->bytes) != 0)
		return PLOG_TOO_LARGE;
	struct plog_append a = {.batches = (uint8_t *)sl->bytes.p,
				.n = sl->bytes.n,
				.leader_epoch = -1,
				.now_ms = now,
				.crc_checked = true};
	int rc = plog_append(sl->log, &a);

	*ret_end = a.end_offset;
	return rc;
}

/* In order, also when two threads come here: the lock of the coordinators is held from taking to telling. */
static void report_locked(struct mqs_statelog *sl)
{
	for (;;) {
		pthread_mutex_lock(&sl->lock);
		struct mqs_stored *s = sl->first;

		if (s && s->done) {
			sl->first = s->next;
			if (!sl->first)
				sl->end = &sl->first;
		} else {
			s = NULL;
		}
		pthread_mutex_unlock(&sl->lock);
		if (!s)
			return;
		sl->stored(sl, s->batch, s->ok);
		mqs_server_hold(sl->broker->server, -1);
		free(s);
	}
}

static void report(struct mqs_statelog *sl)
{
	pthread_mutex_lock(&sl->broker->coord);
	report_locked(sl);
	pthread_mutex_unlock(&sl->broker->coord);
}

static void on_stored(struct plog_waiter *w, int code)
{
	struct mqs_stored *s = (struct mqs_stored *)w;
	struct mqs_statelog *sl = s->sl;

	pthread_mutex_lock(&sl->lock);
	s->done = true;
	s->ok = code == 0;
	pthread_mutex_unlock(&sl->lock);
	report(sl);
}

void mqs_statelog_add(struct mqs_statelog *sl, const struct coord_record *v, size_t n, uint64_t batch)
{
	struct mqs_stored *s = mem_zalloc(sizeof(*s));
	int64_t end = 0;

	s->sl = sl;
	s->batch = batch;
	s->waiter.inbox = sl->inbox;
	s->waiter.fn = on_stored;
	mqs_server_hold(sl->broker->server, 1);
	pthread_mutex_lock(&sl->lock);
	int rc = append(sl, v, n, &end);

	*sl->end = s;
	sl->end = &s->next;
	pthread_mutex_unlock(&sl->lock);
	if (rc != 0)
		on_stored(&s->waiter, rc);
	else
		plog_wait_durable(sl->log, end, &s->waiter);
}

struct put {
	struct plog_waiter waiter; /* first */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool done;
	int code;
};

static void on_put(struct plog_waiter *w, int code)
{
	struct put *p = (struct put *)w;

	pthread_mutex_lock(&p->lock);
	p->done = true;
	p->code = code;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

int mqs_statelog_put(struct mqs_statelog *sl, const struct coord_record *v, size_t n)
{
	struct put p = {.waiter = {.fn = on_put}, .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
	int64_t end;

	pthread_mutex_lock(&sl->lock);
	int rc = append(sl, v, n, &end);

	pthread_mutex_unlock(&sl->lock);
	if (rc != 0)
		return mqs_code(rc);
	plog_wait_durable(sl->log, end, &p.waiter);
	pthread_mutex_lock(&p.lock);
	while (!p.done)
		pthread_cond_wait(&p.wake, &p.lock);
	pthread_mutex_unlock(&p.lock);
	return mqs_code(p.code);
}
