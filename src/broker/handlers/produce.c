/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/tags.h"

/* Produce: every partition's batches are appended as they came; acks=all is answered when all of them are durable. */

enum { PARTITIONS_MAX = 20000, ERRORS_MAX = 10000 };

#define LEGACY_MAX ((size_t)128 << 20)
#define INFLATE_MAX ((uint64_t)128 << 20) /* of one request, where records have to be looked at */

struct produce;

struct produce_part {
	struct plog_append append; /* first */
	struct plog_waiter waiter; /* for its durability */
	struct produce *p;
	struct mqs_part *part;
	struct str records;
	const struct tags *tags; /* that records must have; NULL: any */
	struct kafka_produce_res_partition_response *out;
	struct buf legacy, recoded; /* what records lie in, when they are not as they came */
};

struct produce {
	struct mqs_request *rq;
	struct kafka_produce_res *res;
	struct produce_part *v;
	size_t n, pending; /* appends, then flushes, that are not done */
	struct mqs_task task; /* back on the loop, from the coordinator */
	int16_t txn_code;
	bool holds;
	uint64_t inflate; /* what may still be decompressed */
};

static void answer(struct produce *p)
{
	const struct kafka_produce_req *in = p->rq->in;

	if (p->holds)
		mqs_loop_hold(mqs_loop_of(p->rq), -1);
	if (in->acks == 0) {
		mqs_answer_nothing(p->rq);
		return;
	}
	p->res->throttle_time_ms = mqs_quota_produce(p->rq, p->rq->frame_n);
	mqs_answer(p->rq, p->res);
}

static void on_durable(struct plog_waiter *w, int code)
{
	struct produce_part *pp = (struct produce_part *)(void *)((char *)w - offsetof(struct produce_part, waiter));
	struct produce *p = pp->p;

	if (code != 0) {
		pp->out->error_code = mqs_code(code);
		pp->out->base_offset = -1;
	}
	mqs_part_notify(pp->part);
	if (--p->pending == 0)
		answer(p);
}

/* Messages of magic 0 and 1 become batches; the buffer stays until the append. */
static int convert(struct produce_part *pp, struct buf *out)
{
	struct buf scratch;

	buf_init(&scratch, LEGACY_MAX);
	int code = kafka_legacy_up(pp->records, &scratch, out);

	buf_done(&scratch);
	pp->records = buf_view(out);
	return code;
}

#define NO_KEY "the record is not valid here: a compacted topic wants a key"

static const char *code_text(const struct produce_part *pp, int code)
{
	if (code == KAFKA_ERR_UNSUPPORTED_COMPRESSION_TYPE)
		return "there is no such codec, or not in this version of Produce";
	if (code != KAFKA_ERR_INVALID_RECORD)
		return NULL;
	if (pp->append.keyless)
		return NO_KEY;
	return pp->out->record_errors.n ? "the application may not publish records with these tags, or without a tag"
					: "the batch is not valid";
}

/* Which records to leave out, so that the client can send the others (KIP-467). */
static void name_keyless(struct produce *p, struct produce_part *pp)
{
	typeof(pp->out->record_errors) *e = &pp->out->record_errors;
	struct str rest = pp->records;
	struct kafka_records it;
	struct kafka_batch batch;
	struct kafka_record r;
	struct buf scratch;

	e->n = 0;
	if (kafka_batch_next(&rest, &batch) != 0)
		return;
	int32_t room = batch.count < ERRORS_MAX ? batch.count : ERRORS_MAX;

	e->v = KAFKA_ARRAY(p->rq->arena, kafka_produce_res_record_error, (size_t)room);
	buf_init(&scratch, TAGS_INFLATE_MAX);
	if (kafka_records_open(&it, &batch, &scratch) == 0)
		for (int32_t i = 0; e->n < room && kafka_records_next(&it, &r) == 1; i++)
			if (!r.key.p)
				e->v[e->n++] = (struct kafka_produce_res_record_error){i, STR(NO_KEY)};
	buf_done(&scratch);
}

/* Topics with a compression of their own: batches with another one are compressed anew, into out. */
static int recompress(struct produce *p, struct produce_part *pp, struct buf *scratch, struct buf *out)
{
	int codec = atomic_load(&pp->part->topic->codec), code = 0;
	struct kafka_batch batch;
	bool other = false;

	for (struct str rest = pp->records; codec >= 0 && rest.n && kafka_batch_next(&rest, &batch) == 0;)
		other = other || kafka_batch_codec(&batch) != codec;
	if (!other)
		return 0;
	for (struct str rest = pp->records; !code && rest.n;) {
		/* The new checksum must not hide that the old one was wrong. */
		if (kafka_batch_next(&rest, &batch) != 0)
			return KAFKA_ERR_CORRUPT_MESSAGE;
		code = kafka_batch_validate(&batch);
		scratch->max = p->inflate < TAGS_INFLATE_MAX ? (size_t)p->inflate : TAGS_INFLATE_MAX;
		buf_reset(scratch);
		if (!code)
			code = kafka_batch_recompress(&batch, codec, scratch, out);
		p->inflate -= scratch->n < p->inflate ? scratch->n : p->inflate;
	}
	if (!code)
		pp->records = buf_view(out);
	return code;
}

/* Came with version 7 (KIP-110). */
static bool has_zstandard(struct str rest)
{
	struct kafka_batch batch;

	while (rest.n && kafka_batch_next(&rest, &batch) == 0)
		if (kafka_batch_codec(&batch) == KAFKA_CODEC_ZSTD)
			return true;
	return false;
}

/* What has to look at the records themselves. */
static int look(struct produce *p, struct produce_part *pp, struct buf *out)
{
	struct buf scratch;
	int code = 0;

	if (p->rq->head.version < 7 && has_zstandard(pp->records))
		return KAFKA_ERR_UNSUPPORTED_COMPRESSION_TYPE;
	if (!pp->tags && atomic_load(&pp->part->topic->codec) < 0)
		return 0;
	buf_init(&scratch, TAGS_INFLATE_MAX);
	if (pp->tags)
		code = tags_check(p->rq->arena, pp->tags, pp->records, &p->inflate, &scratch, pp->out);
	if (!code)
		code = recompress(p, pp, &scratch, out);
	buf_done(&scratch);
	return code;
}

/* With the code of the append, or of what was wrong before. */
static void appended(struct produce_part *pp, int code)
{
	const struct plog_append *a = &pp->append;

	if (code == 0) {
		pp->out->base_offset = a->base_offset;
		pp->out->log_append_time_ms = a->append_time;
		pp->out->log_start_offset = a->start;
		if (!a->duplicate)
			mqs_part_notify(pp->part);
	} else {
		if (a->keyless)
			name_keyless(pp->p, pp);
		pp->out->base_offset = pp->out->log_start_offset = -1;
		pp->out->error_message = str_of(code_text(pp, code));
		pp->part = NULL;
	}
	pp->out->error_code = (int16_t)code;
	buf_done(&pp->legacy);
	buf_done(&pp->recoded);
}

static void hold(struct produce *p)
{
	if (!p->holds)
		mqs_loop_hold(mqs_loop_of(p->rq), 1);
	p->holds = true;
}

/* Only now, so that one flush is for all partitions. */
static void wait_for_all(struct produce *p)
{
	const struct kafka_produce_req *in = p->rq->in;

	p->pending = 1;
	for (size_t i = 0; in->acks == -1 && i < p->n; i++) {
		struct produce_part *pp = &p->v[i];

		if (!pp->part)
			continue;
		hold(p);
		p->pending++;
		pp->waiter.inbox = mqs_loop_inbox(mqs_loop_of(p->rq));
		pp->waiter.fn = on_durable;
		plog_wait_durable(pp->part->log, pp->append.end_offset, &pp->waiter);
	}
	if (--p->pending == 0)
		answer(p);
}

static void on_appended(struct plog_waiter *w, int code)
{
	struct produce_part *pp = (struct produce_part *)w;
	struct produce *p = pp->p;

	appended(pp, code ? mqs_code(code) : 0);
	if (--p->pending == 0)
		wait_for_all(p);
}

/* PLOG_PENDING when another loop writes to the partition: on_appended() then. */
static int append(struct produce_part *pp)
{
	if (pp->records.n == 0)
		return KAFKA_ERR_INVALID_RECORD;
	pp->append = (struct plog_append){
		.done = {.inbox = mqs_loop_inbox(mqs_loop_of(pp->p->rq)), .fn = on_appended},
		.batches = (uint8_t *)(uintptr_t)pp->records.p,
		.n = pp->records.n,
		.leader_epoch = -1,
		.now_ms = clock_now_ms(),
	};
	int rc = plog_submit(pp->part->log, &pp->append);

	return rc < 0 ? mqs_code(rc) : rc;
}

/* False when it will be done later. */
static bool append_part(struct produce *p, struct produce_part *pp)
{
	int code = pp->out->error_code;

	buf_init(&pp->legacy, LEGACY_MAX);
	buf_init(&pp->recoded, LEGACY_MAX);
	if (code == 0 && p->rq->head.version < 3)
		code = convert(pp, &pp->legacy);
	if (code == 0)
		code = look(p, pp, &pp->recoded);
	if (code == 0 && (code = append(pp)) == PLOG_PENDING)
		return false;
	appended(pp, code);
	return true;
}

static void append_all(struct produce *p)
{
	p->pending = 1;
	for (size_t i = 0; i < p->n; i++) {
		if (p->txn_code && !p->v[i].out->error_code)
			p->v[i].out->error_code = p->txn_code;
		if (!append_part(p, &p->v[i]))
			p->pending++;
	}
	if (--p->pending == 0)
		wait_for_all(p);
	else
		hold(p);
}

static void on_addressed(struct mqs_task *task)
{
	append_all((struct produce *)(void *)((char *)task - offsetof(struct produce, task)));
}

static bool to_address(const struct produce_part *pp)
{
	return pp->out->error_code == 0 && !atomic_load(&pp->part->topic->addressed) && tags_addressed(pp->records);
}

/* On the worker: the topic is marked before the record is there. */
static void address(struct mqs_request *rq)
{
	struct produce *p = rq->own;

	for (size_t i = 0; i < p->n; i++)
		if (to_address(&p->v[i]))
			p->v[i].out->error_code = (int16_t)mqs_topic_address(mqs_broker(rq), p->v[i].part->topic);
	p->task.fn = on_addressed;
	mqs_post(mqs_loop_of(rq), &p->task);
}

static void begin(struct produce *p)
{
	for (size_t i = 0; i < p->n && !p->txn_code; i++)
		if (to_address(&p->v[i])) {
			p->rq->own = p;
			mqs_to_worker(p->rq, address);
			return;
		}
	append_all(p);
}

static void on_added(struct mqs_task *task)
{
	begin((struct produce *)(void *)((char *)task - offsetof(struct produce, task)));
}

static void on_txn(struct mqs_call *call, const struct txn_reply *reply)
{
	struct produce *p = call->res;

	p->txn_code = reply->code;
	mqs_post(mqs_loop_of(p->rq), &p->task);
}

static bool transactional(const struct produce_part *pp)
{
	return pp->records.n >= KAFKA_BATCH_SIZE &&
	       (kafka_load16(pp->records.p + KAFKA_BATCH_AT_ATTRIBUTES) & KAFKA_ATTR_TRANSACTIONAL);
}

/* Clients before Produce 12 give a transaction up for errors they do not expect here; they try again for this one, as
 * Kafka's own broker tells them. */
static int16_t verify_code(int16_t code)
{
	switch (code) {
	case COORD_TRANSACTION_ABORTABLE:
		return KAFKA_ERR_INVALID_TXN_STATE;
	case COORD_CONCURRENT_TRANSACTIONS:
	case COORD_NOT_AVAILABLE:
	case COORD_LOAD_IN_PROGRESS:
		return KAFKA_ERR_NOT_ENOUGH_REPLICAS;
	default:
		return txn_code_for(code, false);
	}
}

/* Batches of a transaction have to be part of one: clients before Produce 12 have said so with AddPartitionsToTxn,
 * newer ones do it here. True when the coordinator answers later. */
static bool ask_coordinator(struct produce *p)
{
	const struct kafka_produce_req *in = p->rq->in;
	struct mqs_broker *b = mqs_broker(p->rq);
	struct txn_partition *v = ARENA_ARRAY(p->rq->arena, struct txn_partition, p->n + 1);
	struct produce_part **of = ARENA_ARRAY(p->rq->arena, struct produce_part *, p->n + 1);
	int16_t *codes = ARENA_ARRAY(p->rq->arena, int16_t, p->n + 1);
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].out->error_code == 0 && transactional(&p->v[i])) {
			of[n] = &p->v[i];
			v[n++] = (struct txn_partition){p->v[i].part->topic->name, p->v[i].part->index};
		}
	if (n == 0)
		return false;
	const char *head = of[0]->records.p;
	int64_t id = (int64_t)kafka_load64(head + KAFKA_BATCH_AT_PRODUCER_ID);
	int16_t epoch = (int16_t)kafka_load16(head + KAFKA_BATCH_AT_PRODUCER_EPOCH);
	struct mqs_call *call = mqs_call_new(p->rq);

	call->txn = on_txn;
	call->res = p;
	p->task.fn = on_added;
	pthread_mutex_lock(&b->coord);
	if (p->rq->head.version >= 12)
		txn_add_partitions(b->txns, in->transactional_id, id, epoch, v, n, mqs_token(call), mqs_now());
	else
		txn_verify_partitions(b->txns, in->transactional_id, id, epoch, v, n, codes);
	pthread_mutex_unlock(&b->coord);
	if (p->rq->head.version >= 12)
		return true;
	for (size_t i = 0; i < n; i++)
		of[i]->out->error_code = verify_code(codes[i]);
	return false;
}

static void collect_topic(struct produce *p, const struct kafka_produce_req_topic_data *td,
			  struct kafka_produce_res_response *out)
{
	struct mqs_request *rq = p->rq;
	bool by_id = rq->head.version >= 13;
	const struct tags *tags = NULL;
	struct mqs_topic *t = by_id ? mqs_topic_of_id(rq, td->topic_id) : mqs_topic_of(rq, td->name);
	struct str name = t ? t->name : td->name;
	int16_t code = 0;

	out->name = td->name;
	out->topic_id = td->topic_id;
	if (name.p && !tags_may_write(rq, name, &tags))
		code = KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
	else if (!t)
		code = by_id ? KAFKA_ERR_UNKNOWN_TOPIC_ID : KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
	int32_t n = td->partition_data.n > 0 ? td->partition_data.n : 0;

	out->partition_responses.n = n;
	out->partition_responses.v = KAFKA_ARRAY(rq->arena, kafka_produce_res_partition_response, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		struct produce_part *pp = &p->v[p->n++];

		pp->p = p;
		pp->out = &out->partition_responses.v[i];
		pp->out->index = td->partition_data.v[i].index;
		pp->out->error_code = code;
		pp->out->base_offset = pp->out->log_append_time_ms = -1;
		pp->out->record_errors.n = 0;
		pp->records = td->partition_data.v[i].records;
		pp->tags = tags;
		pp->part = mqs_part_of(t, pp->out->index);
		if (!code && !pp->part)
			pp->out->error_code = KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
	}
}

static size_t count(const struct kafka_produce_req *in)
{
	size_t n = 0;

	for (int32_t i = 0; i < in->topic_data.n; i++)
		n += in->topic_data.v[i].partition_data.n > 0 ? (size_t)in->topic_data.v[i].partition_data.n : 0;
	return n;
}

void mqs_handle_produce(struct mqs_request *rq)
{
	const struct kafka_produce_req *in = rq->in;
	size_t n = count(in);

	if (n > PARTITIONS_MAX || in->topic_data.n > PARTITIONS_MAX) {
		mqs_hang_up(rq);
		return;
	}
	struct produce *p = ARENA_NEW(rq->arena, struct produce);
	int32_t topics = in->topic_data.n > 0 ? in->topic_data.n : 0;

	p->rq = rq;
	p->inflate = INFLATE_MAX;
	p->v = ARENA_ARRAY(rq->arena, struct produce_part, n + 1);
	p->res = KAFKA_NEW(rq->arena, kafka_produce_res);
	p->res->responses.n = topics;
	p->res->responses.v = KAFKA_ARRAY(rq->arena, kafka_produce_res_response, (size_t)topics);
	for (int32_t i = 0; i < topics; i++)
		collect_topic(p, &in->topic_data.v[i], &p->res->responses.v[i]);
	if (in->acks < -1 || in->acks > 1)
		p->txn_code = KAFKA_ERR_INVALID_REQUIRED_ACKS;
	else if (in->transactional_id.p && !mqs_may(rq, ACL_TXN, in->transactional_id, OP_WRITE))
		p->txn_code = KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	else if (ask_coordinator(p))
		return;
	begin(p);
}
