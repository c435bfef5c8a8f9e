/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/quota.h"

#include <stdlib.h>
#include <unistd.h>

/* Fetch: slices of log files, sent without being read. A fetch that finds too little waits at its partitions until
 * records come or its time is over. Sessions (KIP-227) are in session.c. */

#include "broker/handlers/session.h"

enum { REQUEST_PARTS_MAX = 20000 };

struct fetch {
	struct mqs_request *rq;
	struct mqs_task task; /* records came; outlives the request while it is queued */
	bool over;
	struct mqs_watch *watches;
	size_t n_watches;
	struct fetch_want *v;
	size_t n;
	struct fetch_session *session;
	bool incremental;
	int32_t session_id;
	int64_t until_ms;
	struct tags_budget filtering;
};

static void read_aborted(struct mqs_request *rq, struct fetch_want *w, struct plog_read *r)
{
	struct kafka_fetch_res_partition *out = &w->out;

	out->aborted_transactions.n = (int32_t)r->n_aborted;
	out->aborted_transactions.v = KAFKA_ARRAY(rq->arena, kafka_fetch_res_aborted_transaction, r->n_aborted);
	for (uint32_t i = 0; i < r->n_aborted; i++) {
		out->aborted_transactions.v[i].producer_id = r->aborted[i].producer_id;
		out->aborted_transactions.v[i].first_offset = r->aborted[i].first_offset;
	}
}

static int read_log(struct mqs_request *rq, struct fetch_want *w, struct plog_read *r)
{
	int rc;

	r->aborted = w->aborted;
	r->aborted_max = w->aborted_max;
	for (int i = 0; (rc = plog_read(w->part->log, r)) == 0 && r->n_aborted > r->aborted_max && i < 8; i++) {
		plog_read_done(r);
		w->aborted_max = r->n_aborted * 2 + 16;
		w->aborted = ARENA_ARRAY(rq->arena, struct plog_aborted, w->aborted_max);
		r->aborted = w->aborted;
		r->aborted_max = w->aborted_max;
	}
	return rc;
}

/* Epochs of the leader that a client knows from Metadata (KIP-320). */
static int16_t epoch_code(struct fetch_want *w)
{
	struct plog_info info;

	if (w->leader_epoch < 0)
		return 0;
	plog_info(w->part->log, &info);
	return w->leader_epoch < info.leader_epoch   ? KAFKA_ERR_FENCED_LEADER_EPOCH
	       : w->leader_epoch > info.leader_epoch ? KAFKA_ERR_UNKNOWN_LEADER_EPOCH
						     : 0;
}

/* Clients that cannot know Zstandard are told so, where the topic has it (KIP-110). Before version 4 records are
 * unpacked for them. */
static int16_t codec_code(struct mqs_request *rq, struct fetch_want *w)
{
	int version = rq->head.version;

	return version >= 4 && version < 10 && atomic_load(&w->part->topic->codec) == KAFKA_CODEC_ZSTD
		       ? KAFKA_ERR_UNSUPPORTED_COMPRESSION_TYPE
		       : 0;
}

static bool diverges(struct fetch_want *w)
{
	int32_t epoch;
	int64_t end;

	if (w->last_epoch < 0)
		return false;
	plog_epoch_end(w->part->log, w->last_epoch, &epoch, &end);
	if (epoch == w->last_epoch && end >= w->offset)
		return false;
	w->out.diverging_epoch.epoch = epoch;
	w->out.diverging_epoch.end_offset = end;
	return epoch >= 0;
}

static int16_t filter(struct fetch *f, struct fetch_want *w)
{
	/* Answers of magic 0 and 1 cannot say that there is nothing to be seen. */
	if (f->rq->head.version < 4) {
		plog_read_done(&w->read);
		return KAFKA_ERR_UNSUPPORTED_VERSION;
	}
	return mqs_code(tags_filter_read(f->rq->arena, w->filter, &w->read, w->offset, &f->filtering));
}

static void read_part(struct fetch *f, struct fetch_want *w, uint32_t max_bytes, bool at_least_one)
{
	const struct kafka_fetch_req *in = f->rq->in;
	struct kafka_fetch_res_partition *out = &w->out;
	bool committed = in->isolation_level == 1;

	kafka_init(&kafka_fetch_res_partition_schema, out);
	out->partition_index = w->index;
	out->high_watermark = out->last_stable_offset = out->log_start_offset = -1;
	out->aborted_transactions.v = NULL;
	out->aborted_transactions.n = committed ? 0 : -1;
	out->records = STR("");
	out->error_code = w->code;
	if (out->error_code == 0)
		out->error_code = epoch_code(w);
	if (out->error_code == 0)
		out->error_code = codec_code(f->rq, w);
	if (out->error_code)
		return;
	w->read = (struct plog_read){.offset = w->offset,
				     .max_bytes = max_bytes,
				     .at_least_one = at_least_one,
				     .isolation = committed ? PLOG_READ_COMMITTED : PLOG_READ_UNCOMMITTED};
	int rc = read_log(f->rq, w, &w->read);

	out->error_code = mqs_code(rc);
	out->high_watermark = rc == 0 || rc == PLOG_OFFSET_OUT_OF_RANGE ? w->read.high_watermark : -1;
	out->last_stable_offset = rc == 0 || rc == PLOG_OFFSET_OUT_OF_RANGE ? w->read.last_stable : -1;
	out->log_start_offset = rc == 0 || rc == PLOG_OFFSET_OUT_OF_RANGE ? w->read.start : -1;
	w->is_read = rc == 0;
	if (rc != 0)
		return;
	if (diverges(w)) {
		plog_read_done(&w->read);
		w->is_read = false;
		return;
	}
	if (w->read.bytes && tags_apply(w->filter, w->part->topic)) {
		out->error_code = filter(f, w);
		w->is_read = out->error_code == 0;
	}
	w->bytes = w->read.bytes;
	out->records = (struct str){(const char *)&w->read, w->read.bytes};
}

static void forget(struct fetch *f)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->v[i].is_read)
			plog_read_done(&f->v[i].read);
		f->v[i].is_read = false;
		f->v[i].bytes = 0;
	}
}

/* True when it is to be answered now. */
static bool read_all(struct fetch *f)
{
	const struct kafka_fetch_req *in = f->rq->in;
	uint64_t total = 0, max = in->max_bytes > 0 ? (uint64_t)in->max_bytes : 0;
	bool error = false;

	if (max > 64 << 20)
		max = 64 << 20;
	f->filtering = (struct tags_budget){TAGS_FETCH_BYTES, false};
	for (size_t i = 0; i < f->n; i++) {
		struct fetch_want *w = &f->v[i];
		uint64_t left = total < max ? max - total : 0;
		uint64_t part = w->max_bytes > 0 ? (uint64_t)w->max_bytes : 0;

		part = part < left ? part : left;
		if (w->part && tags_apply(w->filter, w->part->topic) && part > f->filtering.bytes)
			part = f->filtering.bytes;
		read_part(f, w, (uint32_t)part, total == 0);
		total += w->bytes;
		/* What was filtered is not filtered again when more comes. */
		error = error || w->out.error_code != 0 || w->out.diverging_epoch.epoch >= 0 || f->filtering.spent;
	}
	return error || total >= (uint64_t)(in->min_bytes > 0 ? in->min_bytes : 0) || f->n == 0;
}

/* ---- the answer ---- */

static int by_order(const void *a, const void *b)
{
	const struct fetch_want *x = *(struct fetch_want *const *)a, *y = *(struct fetch_want *const *)b;

	return x->topic_number < y->topic_number ? -1 : x->topic_number > y->topic_number;
}

/* Groups what is to be sent by topic. */
static void build(struct fetch *f, struct kafka_fetch_res *res)
{
	struct arena *a = f->rq->arena;
	struct fetch_want **v = ARENA_ARRAY(a, struct fetch_want *, f->n + 1);
	size_t n = 0, topics = 0;

	for (size_t i = 0; i < f->n; i++) {
		struct fetch_want *w = &f->v[i];

		if (!f->incremental || fetch_session_news(f->session, w))
			v[n++] = w;
		else if (w->is_read)
			plog_read_done(&w->read);
	}
	qsort(v, n, sizeof(v[0]), by_order);
	for (size_t i = 0; i < n; i++)
		topics += i == 0 || v[i]->topic_number != v[i - 1]->topic_number;
	res->responses.v = KAFKA_ARRAY(a, kafka_fetch_res_response, topics);
	res->responses.n = 0;
	for (size_t i = 0, end; i < n; i = end) {
		struct kafka_fetch_res_response *t = &res->responses.v[res->responses.n++];

		for (end = i; end < n && v[end]->topic_number == v[i]->topic_number;)
			end++;
		t->topic = v[i]->topic;
		t->topic_id = v[i]->topic_id;
		t->partitions.n = (int32_t)(end - i);
		t->partitions.v = KAFKA_ARRAY(a, kafka_fetch_res_partition, end - i);
		for (size_t k = i; k < end; k++) {
			if (v[k]->read.isolation == PLOG_READ_COMMITTED && v[k]->read.n_aborted && v[k]->bytes)
				read_aborted(f->rq, v[k], &v[k]->read);
			t->partitions.v[k - i] = v[k]->out;
		}
	}
}

/* Fetch 0 to 3 knows messages of magic 0 and 1 only. */
static struct str down(struct arena *a, struct plog_read *r, int magic)
{
	struct buf in, out, scratch;
	struct kafka_batch batch;

	buf_init(&in, r->bytes + 1);
	buf_init(&out, (size_t)128 << 20);
	buf_init(&scratch, (size_t)128 << 20);
	for (unsigned i = 0; i < r->n_slices; i++) {
		char *p = buf_reserve(&in, r->slices[i].len);
		ssize_t got = p ? pread(r->slices[i].fd, p, r->slices[i].len, r->slices[i].pos) : -1;

		in.n += got > 0 ? (size_t)got : 0;
	}
	struct str rest = buf_view(&in);

	while (kafka_batch_next(&rest, &batch) == 0) {
		buf_reset(&scratch);
		kafka_legacy_down(&batch, magic, &scratch, &out);
	}
	char *p = arena_try(a, out.n + 1);
	struct str ret = {p, p ? out.n : 0};

	if (p && out.n)
		memcpy(p, out.p, out.n);
	buf_done(&in);
	buf_done(&out);
	buf_done(&scratch);
	return ret;
}

static void convert_down(struct fetch *f)
{
	for (size_t i = 0; i < f->n; i++) {
		struct fetch_want *w = &f->v[i];

		if (!w->is_read)
			continue;
		w->out.records = down(f->rq->arena, &w->read, f->rq->head.version < 2 ? 0 : 1);
		plog_read_done(&w->read);
		w->is_read = false;
	}
}

static size_t bytes_of(const struct fetch *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++)
		n += f->v[i].bytes;
	return n;
}

static void stop_waiting(struct fetch *f)
{
	for (size_t i = 0; i < f->n_watches; i++)
		mqs_watch_remove(&f->watches[i]);
	f->n_watches = 0;
}

static void done(struct fetch *f)
{
	free(f->watches);
	f->watches = NULL;
	f->over = true;
	f->rq->cancel = NULL;
	/* Nobody queues it any more; when it still is, it goes when it runs. */
	if (!f->task.queued)
		free(f);
}

static void answer(struct fetch *f)
{
	struct mqs_request *rq = f->rq;
	struct kafka_fetch_res *res = KAFKA_NEW(rq->arena, kafka_fetch_res);

	stop_waiting(f);
	if (rq->head.version < 4)
		convert_down(f);
	build(f, res);
	res->session_id = f->session_id;
	res->throttle_time_ms = mqs_quota_fetch(rq, bytes_of(f));
	fetch_session_release(mqs_broker(rq), f->session);
	done(f);
	mqs_answer(rq, res);
}

static void answer_error(struct mqs_request *rq, int16_t code)
{
	struct kafka_fetch_res *res = KAFKA_NEW(rq->arena, kafka_fetch_res);

	res->error_code = code;
	res->responses.n = 0;
	mqs_answer(rq, res);
}

/* ---- waiting ---- */

static void on_timeout(struct mqs_request *rq)
{
	struct fetch *f = rq->own;

	forget(f);
	read_all(f);
	answer(f);
}

static void look_again(struct mqs_request *rq)
{
	struct fetch *f = rq->own;

	forget(f);
	if (read_all(f))
		answer(f);
}

static void on_records(struct mqs_task *task)
{
	struct fetch *f = (struct fetch *)(void *)((char *)task - offsetof(struct fetch, task));

	if (f->over) {
		free(f);
		return;
	}
	mqs_run_timed(f->rq, look_again, true);
}

static void on_gone(struct mqs_request *rq)
{
	struct fetch *f = rq->own;

	stop_waiting(f);
	forget(f);
	fetch_session_release(mqs_broker(rq), f->session);
	done(f);
	mqs_hang_up(rq);
}

static void wait(struct fetch *f, int64_t ms)
{
	struct mqs_loop *loop = mqs_loop_of(f->rq);

	f->watches = mem_zalloc((f->n + 1) * sizeof(*f->watches));
	for (size_t i = 0; i < f->n; i++) {
		struct mqs_watch *w = &f->watches[f->n_watches];

		if (!f->v[i].part)
			continue;
		w->loop = loop;
		w->task = &f->task;
		mqs_watch_add(w, f->v[i].part);
		f->n_watches++;
	}
	f->rq->own = f;
	f->rq->cancel = on_gone;
	/* Records may have come between the look and the watch. */
	forget(f);
	if (read_all(f))
		answer(f);
	else
		mqs_after(f->rq, ms, on_timeout);
}

void mqs_handle_fetch(struct mqs_request *rq)
{
	const struct kafka_fetch_req *in = rq->in;
	struct fetch *f = mem_zalloc(sizeof(*f));
	size_t n = 0;
	bool full;

	f->rq = rq;
	f->task.fn = on_records;
	for (int32_t i = 0; i < in->topics.n; i++)
		n += in->topics.v[i].partitions.n > 0 ? (size_t)in->topics.v[i].partitions.n : 0;
	if (n > REQUEST_PARTS_MAX || in->topics.n > REQUEST_PARTS_MAX) {
		free(f);
		mqs_hang_up(rq);
		return;
	}
	int16_t code = fetch_session_begin(rq, &f->session, &f->v, &f->n, &full);

	if (code != 0) {
		free(f);
		answer_error(rq, code);
		return;
	}
	f->incremental = f->session && !full;
	f->session_id = fetch_session_id(f->session);
	int64_t ms = in->max_wait_ms > 0 ? in->max_wait_ms : 0;

	if (read_all(f) || ms == 0)
		answer(f);
	else
		wait(f, ms < 600000 ? ms : 600000);
}
