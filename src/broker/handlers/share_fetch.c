/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/quota.h"
#include "broker/handlers/share.h"

#include <stdlib.h>

/* ShareFetch: acknowledges, then acquires. A fetch that finds nothing waits at its partitions until records come or are
 * given back, or its time is over. It is answered when its acknowledgements are stored, too. */

/* A session has no more partitions. */
enum { REQUEST_PARTS_MAX = 2000, LOOKS = 8, BYTES_MAX = 8 << 20, PART_BYTES = 4 << 20 };

/* What a fetch reads in vain, because others are faster, before it is answered with nothing. */
enum { VAIN_READS = 1000, VAIN_BYTES = 16 << 20 };

struct share_fetch;

/* Outlives the request while it is queued. */
struct wake {
	struct mqs_task task; /* first */
	struct share_fetch *f; /* NULL: over */
};

struct share_fetch {
	struct mqs_request *rq;
	struct share_item *v;
	size_t n, n_forgotten;
	struct wake *wake;
	struct mqs_watch *watches;
	size_t n_watches;
	struct mqs_call *call;
	struct mqs_task stored_task;
	bool fetched, stored, storing_failed, full;
	struct mqs_group_setting set;
	int32_t lock_ms, left; /* records */
	uint64_t bytes, vain_bytes;
	unsigned reads;
	struct tags_budget filtering;
};

static void answer_code(struct mqs_request *rq, int16_t code)
{
	struct kafka_share_fetch_res *res = KAFKA_NEW(rq->arena, kafka_share_fetch_res);

	res->error_code = code;
	res->responses.n = res->node_endpoints.n = 0;
	mqs_answer(rq, res);
}

/* ---- the answer ---- */

static void fill(struct share_fetch *f, const struct share_item *it, struct kafka_share_fetch_res_partition *out)
{
	out->partition_index = it->tp.partition;
	out->error_code = it->code;
	if (it->n_acks)
		out->acknowledge_error_code = it->ack_code        ? it->ack_code
					      : f->storing_failed ? KAFKA_ERR_KAFKA_STORAGE_ERROR
								  : 0;
	out->records = it->records.p ? it->records : STR("");
	out->acquired_records.n = (int32_t)it->n_acquired;
	out->acquired_records.v = KAFKA_ARRAY(f->rq->arena, kafka_share_fetch_res_acquired_record, it->n_acquired);
	for (size_t i = 0; i < it->n_acquired; i++) {
		out->acquired_records.v[i].first_offset = it->acquired[i].first;
		out->acquired_records.v[i].last_offset = it->acquired[i].last;
		out->acquired_records.v[i].delivery_count = it->acquired[i].deliveries;
	}
}

static int by_topic(const void *a, const void *b)
{
	const struct share_item *x = *(struct share_item *const *)a, *y = *(struct share_item *const *)b;

	return memcmp(&x->tp.topic, &y->tp.topic, sizeof(x->tp.topic));
}

static void build(struct share_fetch *f, struct kafka_share_fetch_res *res)
{
	struct arena *a = f->rq->arena;
	struct share_item **v = ARENA_ARRAY(a, struct share_item *, f->n + 1);
	size_t n = 0, topics = 0;

	for (size_t i = 0; i < f->n; i++)
		if (f->full || f->v[i].n_acks || f->v[i].code || f->v[i].n_acquired)
			v[n++] = &f->v[i];
	qsort(v, n, sizeof(*v), by_topic);
	for (size_t i = 0; i < n; i++)
		topics += i == 0 || by_topic(&v[i], &v[i - 1]) != 0;
	res->responses.n = 0;
	res->responses.v = KAFKA_ARRAY(a, kafka_share_fetch_res_response, topics);
	for (size_t i = 0, end; i < n; i = end) {
		struct kafka_share_fetch_res_response *t = &res->responses.v[res->responses.n++];

		for (end = i + 1; end < n && by_topic(&v[end], &v[i]) == 0;)
			end++;
		memcpy(t->topic_id.b, v[i]->tp.topic.b, sizeof(t->topic_id.b));
		t->partitions.n = (int32_t)(end - i);
		t->partitions.v = KAFKA_ARRAY(a, kafka_share_fetch_res_partition, end - i);
		for (size_t k = i; k < end; k++)
			fill(f, v[k], &t->partitions.v[k - i]);
	}
}

static void answer_if_done(struct share_fetch *f)
{
	struct mqs_request *rq = f->rq;

	if (!f->fetched || !f->stored)
		return;
	struct kafka_share_fetch_res *res = KAFKA_NEW(rq->arena, kafka_share_fetch_res);

	build(f, res);
	res->node_endpoints.n = 0;
	res->acquisition_lock_timeout_ms = f->lock_ms;
	res->throttle_time_ms = mqs_quota_fetch(rq, f->bytes);
	rq->cancel = NULL;
	mqs_answer(rq, res);
}

/* Nothing more is looked for. */
static void end_fetch(struct share_fetch *f)
{
	for (size_t i = 0; i < f->n_watches; i++)
		mqs_watch_remove(&f->watches[i]);
	f->n_watches = 0;
	if (f->wake) {
		f->wake->f = NULL;
		if (!f->wake->task.queued)
			free(f->wake);
		f->wake = NULL;
	}
	f->fetched = true;
	answer_if_done(f);
}

/* ---- looking ---- */

static int64_t first_offset(struct share_fetch *f, struct mqs_part *part, const struct plog_info *info)
{
	int64_t back = mqs_group_reset(&f->set), offset, time;
	int32_t epoch;

	if (back < 0)
		return info->start;
	if (back == 0 ||
	    plog_offset_by_time(part->log, mqs_now() - back, PLOG_READ_UNCOMMITTED, &offset, &time, &epoch) != 0)
		return info->high_watermark;
	return offset < 0 ? info->high_watermark : offset;
}

static int16_t log_code(int rc)
{
	return rc == PLOG_GONE ? KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION : mqs_code(rc);
}

/* Whether there is something to read. */
static bool look(struct share_fetch *f, struct share_item *it, int64_t *ret_from, int64_t *ret_upto)
{
	const struct kafka_share_fetch_req *in = f->rq->in;
	struct mqs_broker *b = mqs_broker(f->rq);
	struct plog_info info;
	bool empty;

	pthread_mutex_lock(&b->coord);
	/* Within the lock: an older end would cut off what somebody else has just acquired. */
	plog_info(it->part->log, &info);
	if (info.code) {
		pthread_mutex_unlock(&b->coord);
		it->code = log_code(info.code);
		return false;
	}
	share_fit(b->share, in->group_id, &it->tp, info.start, info.end, mqs_now());
	enum share_look rc = share_look(b->share, in->group_id, &it->tp, f->left, ret_from, ret_upto);

	/* A group that was deleted meanwhile does not get a state any more. */
	if (rc == SHARE_UNKNOWN && group_is_share(b->groups, in->group_id, &empty) &&
	    share_open(b->share, in->group_id, &it->tp, first_offset(f, it->part, &info), mqs_now()))
		rc = share_look(b->share, in->group_id, &it->tp, f->left, ret_from, ret_upto);
	pthread_mutex_unlock(&b->coord);
	return rc == SHARE_READ && *ret_from < info.high_watermark;
}

static void acquire(struct share_fetch *f, struct share_item *it, const struct share_found *found, int64_t from)
{
	const struct kafka_share_fetch_req *in = f->rq->in;
	struct mqs_broker *b = mqs_broker(f->rq);
	struct share_acquire acq = {.group = in->group_id,
				    .member = in->member_id,
				    .tp = it->tp,
				    .from = from,
				    .batches = share_batches(found),
				    .n = found->n,
				    .max_records = f->left,
				    .batch_size = in->batch_size > 0 ? in->batch_size : 1,
				    .lock_ms = f->lock_ms,
				    .exact = in->share_acquire_mode == 1};

	pthread_mutex_lock(&b->coord);
	it->n_acquired = share_acquire(b->share, &acq, f->rq->arena, &it->acquired, mqs_now());
	pthread_mutex_unlock(&b->coord);
	if (!it->n_acquired)
		return;
	it->records =
		share_found_bytes(f->rq->arena, found, it->acquired[0].first, it->acquired[it->n_acquired - 1].last);
	for (size_t i = 0; i < it->n_acquired; i++)
		f->left -= (int32_t)(it->acquired[i].last + 1 - it->acquired[i].first);
	f->bytes += it->records.n;
}

static void read_part(struct share_fetch *f, struct share_item *it)
{
	const struct kafka_share_fetch_req *in = f->rq->in;
	uint64_t most = in->max_bytes < BYTES_MAX ? (uint64_t)in->max_bytes : BYTES_MAX;
	int64_t from, upto;
	int rc = 0;

	/* What is hidden is passed by; and another member may have been faster. */
	for (int i = 0; i < LOOKS && rc == 0 && !it->n_acquired && look(f, it, &from, &upto); i++) {
		struct share_found found;
		uint64_t left = most - f->bytes;

		rc = share_read(f->rq->arena,
				&(struct share_reading){.part = it->part,
							.from = from,
							.upto = upto,
							.max_bytes = left < PART_BYTES ? (uint32_t)left : PART_BYTES,
							.committed = f->set.v[GROUP_SHARE_ISOLATION] == 1,
							.filter = it->filter,
							.budget = &f->filtering},
				&found);
		bool none = found.n == 0;

		f->reads++;
		if (rc == 0 && !none)
			acquire(f, it, &found, from);
		if (!it->n_acquired)
			f->vain_bytes += found.bytes.n;
		share_found_done(&found);
		if (none)
			break;
	}
	if (rc != 0 && rc != PLOG_OFFSET_OUT_OF_RANGE)
		it->code = log_code(rc);
}

/* True when it is to be answered now. */
static bool read_all(struct share_fetch *f)
{
	const struct kafka_share_fetch_req *in = f->rq->in;
	uint64_t most = in->max_bytes < BYTES_MAX ? (uint64_t)in->max_bytes : BYTES_MAX;
	bool found = false;

	f->filtering = (struct tags_budget){TAGS_FETCH_BYTES, false};
	for (size_t i = 0; i < f->n && f->left > 0 && f->bytes < most; i++) {
		struct share_item *it = &f->v[i];

		if (it->code == 0 && it->wanted)
			read_part(f, it);
		found = found || it->n_acquired || it->code;
	}
	return found || f->reads > VAIN_READS || f->vain_bytes > VAIN_BYTES;
}

/* ---- waiting ---- */

static void on_timeout(struct mqs_request *rq)
{
	struct share_fetch *f = rq->own;

	if (!f->fetched)
		end_fetch(f);
}

static void look_again(struct mqs_request *rq)
{
	struct share_fetch *f = rq->own;

	if (!f->fetched && read_all(f))
		end_fetch(f);
}

static void on_records(struct mqs_task *task)
{
	struct wake *w = (struct wake *)task;

	if (w->f)
		mqs_run_timed(w->f->rq, look_again, true);
	else
		free(w);
}

static void on_cancel(struct mqs_request *rq)
{
	struct share_fetch *f = rq->own;

	if (!f->fetched)
		end_fetch(f);
}

static void wait(struct share_fetch *f, int64_t ms)
{
	struct mqs_loop *loop = mqs_loop_of(f->rq);

	f->wake = mem_zalloc(sizeof(*f->wake));
	f->wake->f = f;
	f->wake->task.fn = on_records;
	f->watches = ARENA_ARRAY(f->rq->arena, struct mqs_watch, f->n + 1);
	for (size_t i = 0; i < f->n; i++) {
		struct mqs_watch *w = &f->watches[f->n_watches];

		if (!f->v[i].part || !f->v[i].wanted)
			continue;
		w->loop = loop;
		w->task = &f->wake->task;
		mqs_watch_add(w, f->v[i].part);
		f->n_watches++;
	}
	f->rq->cancel = on_cancel;
	/* Records may have come between the look and the watch. */
	if (read_all(f))
		end_fetch(f);
	else
		mqs_after(f->rq, ms, on_timeout);
}

/* ---- the request ---- */

static void on_stored_here(struct mqs_task *task)
{
	struct share_fetch *f =
		(struct share_fetch *)(void *)((char *)task - offsetof(struct share_fetch, stored_task));

	f->stored = true;
	answer_if_done(f);
}

static void on_stored(struct mqs_call *call, bool ok)
{
	struct share_fetch *f = call->res;

	f->storing_failed = !ok;
	mqs_post(mqs_loop_of(f->rq), &f->stored_task);
}

static void list_item(struct mqs_request *rq, struct kafka_uuid topic, const struct kafka_share_fetch_req_partition *p,
		      struct share_item *it)
{
	*it = (struct share_item){.tp = share_tp_of(topic, p->partition_index)};
	it->n_acks = p->acknowledgement_batches.n > 0 ? (size_t)p->acknowledgement_batches.n : 0;
	it->acks = ARENA_ARRAY(rq->arena, struct share_ack, it->n_acks + 1);
	for (size_t i = 0; i < it->n_acks; i++) {
		const struct kafka_share_fetch_req_acknowledgement_batch *b = &p->acknowledgement_batches.v[i];

		it->acks[i] = (struct share_ack){b->first_offset, b->last_offset, b->acknowledge_types.v,
						 b->acknowledge_types.n > 0 ? (size_t)b->acknowledge_types.n : 0};
	}
	share_item_resolve(rq, it);
}

/* What the request names. */
static bool list_items(struct share_fetch *f)
{
	struct mqs_request *rq = f->rq;
	const struct kafka_share_fetch_req *in = rq->in;
	size_t n = 0;

	for (int32_t i = 0; i < in->topics.n; i++)
		n += in->topics.v[i].partitions.n > 0 ? (size_t)in->topics.v[i].partitions.n : 0;
	for (int32_t i = 0; i < in->forgotten_topics_data.n; i++) {
		int32_t more = in->forgotten_topics_data.v[i].partitions.n;

		f->n_forgotten += more > 0 ? (size_t)more : 0;
	}
	if (n > REQUEST_PARTS_MAX || f->n_forgotten > REQUEST_PARTS_MAX || in->topics.n > REQUEST_PARTS_MAX)
		return false;
	f->v = ARENA_ARRAY(rq->arena, struct share_item, n + 1);
	for (int32_t i = 0; i < in->topics.n; i++)
		for (int32_t k = 0; k < in->topics.v[i].partitions.n; k++)
			list_item(rq, in->topics.v[i].topic_id, &in->topics.v[i].partitions.v[k], &f->v[f->n++]);
	return true;
}

static bool any_acks(const struct share_fetch *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].n_acks)
			return true;
	return false;
}

/* Looked at is what the session has now: also what the request does not name, and not what it only acknowledges and
 * forgets. */
static void add_session(struct share_fetch *f, const struct share_tp *v, size_t n)
{
	struct share_item *all = ARENA_ARRAY(f->rq->arena, struct share_item, f->n + n + 1);
	size_t named = f->n;

	if (named)
		memcpy(all, f->v, named * sizeof(*all));
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < named && memcmp(&all[k].tp, &v[i], sizeof(v[i])) != 0)
			k++;
		if (k == named) {
			all[f->n] = (struct share_item){.tp = v[i]};
			share_item_resolve(f->rq, &all[f->n++]);
		}
		all[k < named ? k : f->n - 1].wanted = true;
	}
	f->v = all;
}

static int16_t begin_session(struct share_fetch *f, const struct share_tp **ret, size_t *ret_n)
{
	struct mqs_request *rq = f->rq;
	const struct kafka_share_fetch_req *in = rq->in;
	struct share_session_req sr = {.group = in->group_id,
				       .member = in->member_id,
				       .conn = share_conn_of(rq),
				       .epoch = in->share_session_epoch,
				       .fetch = true};
	struct share_tp *add = ARENA_ARRAY(rq->arena, struct share_tp, f->n + 1);
	struct share_tp *forget = ARENA_ARRAY(rq->arena, struct share_tp, f->n_forgotten + 1);

	for (size_t i = 0; i < f->n; i++)
		if (f->v[i].code == 0)
			add[sr.n_add++] = f->v[i].tp;
	for (int32_t i = 0; i < in->forgotten_topics_data.n; i++)
		for (int32_t k = 0; k < in->forgotten_topics_data.v[i].partitions.n; k++)
			forget[sr.n_forget++] = share_tp_of(in->forgotten_topics_data.v[i].topic_id,
							    in->forgotten_topics_data.v[i].partitions.v[k]);
	sr.add = add;
	sr.forget = forget;
	return share_session(((struct mqs_broker *)mqs_broker(rq))->share, &sr, rq->arena, ret, ret_n);
}

static int16_t begin(struct share_fetch *f)
{
	struct mqs_request *rq = f->rq;
	const struct kafka_share_fetch_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	const struct share_tp *tps = NULL;
	size_t n_tps = 0;

	if (in->is_renew_ack && (in->max_wait_ms || in->min_bytes || in->max_bytes || in->max_records))
		return KAFKA_ERR_INVALID_REQUEST;
	if (in->share_session_epoch == SHARE_EPOCH_FIRST && any_acks(f))
		return KAFKA_ERR_INVALID_REQUEST;
	pthread_mutex_lock(&b->coord);
	int16_t code = begin_session(f, &tps, &n_tps);

	if (code == 0) {
		bool wait = share_items_acknowledge(b, in->group_id, in->member_id, f->v, f->n, f->lock_ms,
						    in->is_renew_ack);

		if (in->share_session_epoch == SHARE_EPOCH_FINAL)
			share_session_end(b->share, in->group_id, in->member_id, mqs_now());
		f->stored = !wait;
		if (wait)
			share_wait(b->share, mqs_token(f->call), mqs_now());
	}
	pthread_mutex_unlock(&b->coord);
	if (code == 0)
		add_session(f, tps, n_tps);
	return code;
}

void mqs_handle_share_fetch(struct mqs_request *rq)
{
	const struct kafka_share_fetch_req *in = rq->in;
	struct share_fetch *f = ARENA_NEW(rq->arena, struct share_fetch);
	int16_t code = share_request_code(rq, in->group_id, in->member_id);

	f->rq = rq;
	f->call = mqs_call_new(rq);
	f->call->share = on_stored;
	f->call->res = f;
	f->stored_task.fn = on_stored_here;
	f->left = in->max_records;
	f->full = in->share_session_epoch == SHARE_EPOCH_FIRST;
	rq->own = f;
	mqs_group_of(mqs_broker(rq), in->group_id, &f->set);
	f->lock_ms = share_lock_ms(&f->set);
	if (code == 0 && !list_items(f)) {
		mqs_hang_up(rq);
		return;
	}
	if (code == 0)
		code = begin(f);
	if (code) {
		answer_code(rq, code);
		return;
	}
	int64_t ms = in->max_wait_ms > 0 ? in->max_wait_ms : 0;
	bool none = in->share_session_epoch == SHARE_EPOCH_FINAL || in->max_records <= 0 || in->max_bytes <= 0;

	if (none || read_all(f) || ms == 0)
		end_fetch(f);
	else
		wait(f, ms < 600000 ? ms : 600000);
}
