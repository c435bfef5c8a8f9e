/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

/* Requests of producers: translated for the transaction coordinator. */

enum { MANY = 20000, DESCRIBED_MAX = 1000 };

static struct mqs_call *new_call(struct mqs_request *rq, void (*fn)(struct mqs_call *, const struct txn_reply *))
{
	struct mqs_call *call = mqs_call_new(rq);

	call->txn = fn;
	return call;
}

static int16_t fenced(struct mqs_request *rq, int16_t code, int since)
{
	return txn_code_for(code, rq->head.version >= since);
}

/* ---- InitProducerId ---- */

static void on_init(struct mqs_call *call, const struct txn_reply *r)
{
	struct kafka_init_producer_id_res *res = KAFKA_NEW(call->rq->arena, kafka_init_producer_id_res);

	res->error_code = fenced(call->rq, r->code, 4);
	res->producer_id = r->code ? -1 : r->producer_id;
	res->producer_epoch = r->code ? -1 : r->epoch;
	mqs_answer(call->rq, res);
}

void mqs_handle_init_producer_id(struct mqs_request *rq)
{
	const struct kafka_init_producer_id_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_call *call = new_call(rq, on_init);
	bool may = in->transactional_id.p ? mqs_may(rq, ACL_TXN, in->transactional_id, OP_WRITE)
					  : mqs_may_cluster(rq, OP_IDEMPOTENT_WRITE);

	if (!may) {
		on_init(call, &(struct txn_reply){.code = in->transactional_id.p
								  ? KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
								  : KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED});
		return;
	}
	bool old = rq->head.version < 3;

	pthread_mutex_lock(&b->coord);
	txn_init(b->txns, in->transactional_id, in->transaction_timeout_ms, old ? -1 : in->producer_id,
		 old ? -1 : in->producer_epoch, mqs_token(call), mqs_now());
	pthread_mutex_unlock(&b->coord);
}

/* ---- AddPartitionsToTxn ---- */

struct adding {
	struct kafka_add_partitions_to_txn_res *res;
	int32_t pending;
};

static void set_codes(struct kafka_add_partitions_to_txn_res_topic_result *v, int32_t n, int16_t code, bool only_good)
{
	for (int32_t i = 0; i < n; i++)
		for (int32_t k = 0; k < v[i].results_by_partition.n; k++)
			if (!only_good || !v[i].results_by_partition.v[k].partition_error_code)
				v[i].results_by_partition.v[k].partition_error_code = code;
}

/* Fills the results of the topics. False when one of them is refused: then nothing is added, and the others are told
 * OPERATION_NOT_ATTEMPTED. */
static bool check_topics(struct mqs_request *rq, const struct kafka_add_partitions_to_txn_req_topic *in, int32_t n,
			 struct kafka_add_partitions_to_txn_res_topic_result **ret)
{
	struct kafka_add_partitions_to_txn_res_topic_result *v =
		KAFKA_ARRAY(rq->arena, kafka_add_partitions_to_txn_res_topic_result, (size_t)n);
	bool good = true;

	for (int32_t i = 0; i < n; i++) {
		struct mqs_topic *t = mqs_topic_of(rq, in[i].name);
		bool may = mqs_may(rq, ACL_TOPIC, in[i].name, OP_WRITE);
		int32_t parts = in[i].partitions.n > 0 ? in[i].partitions.n : 0;

		v[i].name = in[i].name;
		v[i].results_by_partition.n = parts;
		v[i].results_by_partition.v =
			KAFKA_ARRAY(rq->arena, kafka_add_partitions_to_txn_res_partition_result, (size_t)parts);
		for (int32_t k = 0; k < parts; k++) {
			struct kafka_add_partitions_to_txn_res_partition_result *p = &v[i].results_by_partition.v[k];

			p->partition_index = in[i].partitions.v[k];
			p->partition_error_code = !may ? KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED
						  : !mqs_part_of(t, p->partition_index)
							  ? KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION
							  : 0;
			good = good && !p->partition_error_code;
		}
	}
	if (!good)
		set_codes(v, n, KAFKA_ERR_OPERATION_NOT_ATTEMPTED, true);
	*ret = v;
	return good;
}

static struct txn_partition *flatten(struct mqs_request *rq, const struct kafka_add_partitions_to_txn_req_topic *in,
				     int32_t topics, size_t *ret_n)
{
	size_t n = 0;

	*ret_n = 0;
	for (int32_t i = 0; i < topics; i++)
		n += in[i].partitions.n > 0 ? (size_t)in[i].partitions.n : 0;
	struct txn_partition *v = ARENA_ARRAY(rq->arena, struct txn_partition, n + 1);

	for (int32_t i = 0; i < topics; i++)
		for (int32_t k = 0; k < in[i].partitions.n; k++)
			v[(*ret_n)++] = (struct txn_partition){in[i].name, in[i].partitions.v[k]};
	return v;
}

static void added(struct mqs_call *call)
{
	struct adding *a = call->res;

	if (--a->pending == 0)
		mqs_answer(call->rq, a->res);
}

static void on_added(struct mqs_call *call, const struct txn_reply *r)
{
	struct adding *a = call->res;
	struct mqs_request *rq = call->rq;
	bool one = rq->head.version < 4;
	int16_t code = fenced(rq, r->code, 2);

	if (call->index >= 0 && one) {
		set_codes(a->res->results_by_topic_v3_and_below.v, a->res->results_by_topic_v3_and_below.n, code,
			  false);
	} else if (call->index >= 0) {
		struct kafka_add_partitions_to_txn_res_results_by_transaction *t =
			&a->res->results_by_transaction.v[call->index];

		set_codes(t->topic_results.v, t->topic_results.n, code, false);
	}
	added(call);
}

static void verify(struct mqs_request *rq, const struct kafka_add_partitions_to_txn_req_transaction *t,
		   const struct txn_partition *v, size_t n,
		   struct kafka_add_partitions_to_txn_res_results_by_transaction *out)
{
	struct mqs_broker *b = mqs_broker(rq);
	int16_t *codes = ARENA_ARRAY(rq->arena, int16_t, n + 1);
	size_t at = 0;

	txn_verify_partitions(b->txns, t->transactional_id, t->producer_id, t->producer_epoch, v, n, codes);
	for (int32_t i = 0; i < out->topic_results.n; i++)
		for (int32_t k = 0; k < out->topic_results.v[i].results_by_partition.n; k++, at++)
			out->topic_results.v[i].results_by_partition.v[k].partition_error_code =
				codes[at] == COORD_TRANSACTION_ABORTABLE && rq->head.version < 5
					? (int16_t)KAFKA_ERR_INVALID_TXN_STATE
					: codes[at];
}

static void add_batch(struct mqs_request *rq, struct adding *a)
{
	const struct kafka_add_partitions_to_txn_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	int32_t n = a->res->results_by_transaction.n;

	for (int32_t i = 0; i < n; i++) {
		const struct kafka_add_partitions_to_txn_req_transaction *t = &in->transactions.v[i];
		struct kafka_add_partitions_to_txn_res_results_by_transaction *out =
			&a->res->results_by_transaction.v[i];
		int32_t topics = t->topics.n > 0 && t->topics.n < MANY ? t->topics.n : 0;
		struct mqs_call *call = new_call(rq, on_added);
		size_t parts;
		struct txn_partition *v = flatten(rq, t->topics.v, topics, &parts);

		call->res = a;
		call->index = i;
		out->transactional_id = t->transactional_id;
		out->topic_results.n = topics;
		bool good = check_topics(rq, t->topics.v, topics, &out->topic_results.v);

		if (!mqs_may(rq, ACL_TXN, t->transactional_id, OP_WRITE)) {
			on_added(call, &(struct txn_reply){.code = KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED});
		} else if (!good) {
			added(call);
		} else if (t->verify_only) {
			verify(rq, t, v, parts, out);
			added(call);
		} else {
			txn_add_partitions(b->txns, t->transactional_id, t->producer_id, t->producer_epoch, v, parts,
					   mqs_token(call), mqs_now());
		}
	}
}

static void add_one(struct mqs_request *rq, struct adding *a)
{
	const struct kafka_add_partitions_to_txn_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	int32_t topics =
		in->v3_and_below_topics.n > 0 && in->v3_and_below_topics.n < MANY ? in->v3_and_below_topics.n : 0;
	struct mqs_call *call = new_call(rq, on_added);
	size_t parts;
	struct txn_partition *v = flatten(rq, in->v3_and_below_topics.v, topics, &parts);

	call->res = a;
	a->res->results_by_topic_v3_and_below.n = topics;
	bool good = check_topics(rq, in->v3_and_below_topics.v, topics, &a->res->results_by_topic_v3_and_below.v);

	if (!mqs_may(rq, ACL_TXN, in->v3_and_below_transactional_id, OP_WRITE))
		on_added(call, &(struct txn_reply){.code = KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED});
	else if (!good)
		added(call);
	else
		txn_add_partitions(b->txns, in->v3_and_below_transactional_id, in->v3_and_below_producer_id,
				   in->v3_and_below_producer_epoch, v, parts, mqs_token(call), mqs_now());
}

void mqs_handle_add_partitions_to_txn(struct mqs_request *rq)
{
	const struct kafka_add_partitions_to_txn_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct adding *a = ARENA_NEW(rq->arena, struct adding);
	int32_t n = in->transactions.n > 0 && in->transactions.n < MANY ? in->transactions.n : 0;
	struct mqs_call *last = new_call(rq, on_added);

	a->res = KAFKA_NEW(rq->arena, kafka_add_partitions_to_txn_res);
	a->res->results_by_transaction.n = n;
	a->res->results_by_transaction.v =
		KAFKA_ARRAY(rq->arena, kafka_add_partitions_to_txn_res_results_by_transaction, (size_t)n);
	a->res->results_by_topic_v3_and_below.n = 0;
	a->pending = (rq->head.version < 4 ? 1 : n) + 1;
	last->res = a;
	pthread_mutex_lock(&b->coord);
	if (rq->head.version < 4)
		add_one(rq, a);
	else
		add_batch(rq, a);
	added(last);
	pthread_mutex_unlock(&b->coord);
}

/* ---- AddOffsetsToTxn, EndTxn ---- */

static void on_offsets(struct mqs_call *call, const struct txn_reply *r)
{
	struct kafka_add_offsets_to_txn_res *res = KAFKA_NEW(call->rq->arena, kafka_add_offsets_to_txn_res);

	res->error_code = fenced(call->rq, r->code, 2);
	mqs_answer(call->rq, res);
}

void mqs_handle_add_offsets_to_txn(struct mqs_request *rq)
{
	const struct kafka_add_offsets_to_txn_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_call *call = new_call(rq, on_offsets);
	int16_t code = !mqs_may(rq, ACL_TXN, in->transactional_id, OP_WRITE)
			       ? KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
		       : !mqs_may(rq, ACL_GROUP, in->group_id, OP_READ) ? KAFKA_ERR_GROUP_AUTHORIZATION_FAILED
									: 0;

	if (code) {
		on_offsets(call, &(struct txn_reply){.code = code});
		return;
	}
	pthread_mutex_lock(&b->coord);
	txn_add_offsets(b->txns, in->transactional_id, in->producer_id, in->producer_epoch, in->group_id,
			mqs_token(call), mqs_now());
	pthread_mutex_unlock(&b->coord);
}

static void on_end(struct mqs_call *call, const struct txn_reply *r)
{
	struct kafka_end_txn_res *res = KAFKA_NEW(call->rq->arena, kafka_end_txn_res);

	res->error_code = fenced(call->rq, r->code, 2);
	res->producer_id = r->code ? -1 : r->producer_id;
	res->producer_epoch = r->code ? -1 : r->epoch;
	mqs_answer(call->rq, res);
}

void mqs_handle_end_txn(struct mqs_request *rq)
{
	const struct kafka_end_txn_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_call *call = new_call(rq, on_end);

	if (!mqs_may(rq, ACL_TXN, in->transactional_id, OP_WRITE)) {
		on_end(call, &(struct txn_reply){.code = KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED});
		return;
	}
	pthread_mutex_lock(&b->coord);
	txn_end(b->txns, in->transactional_id, in->producer_id, in->producer_epoch, in->committed,
		rq->head.version >= 5, mqs_token(call), mqs_now());
	pthread_mutex_unlock(&b->coord);
}

/* ---- looking ---- */

static void describe(struct mqs_request *rq, struct str id,
		     struct kafka_describe_transactions_res_transaction_state *out)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct txn_described d = {0};

	out->transactional_id = id;
	out->transaction_state = STR("");
	out->topics.n = 0;
	if (!mqs_may(rq, ACL_TXN, id, OP_DESCRIBE)) {
		out->error_code = KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
		return;
	}
	pthread_mutex_lock(&b->coord);
	txn_describe(b->txns, id, rq->arena, &d);
	pthread_mutex_unlock(&b->coord);
	out->error_code = d.code;
	if (d.code)
		return;
	out->transaction_state = str_of(txn_state_name(d.state));
	out->transaction_timeout_ms = d.timeout_ms;
	out->transaction_start_time_ms = d.start_ms;
	out->producer_id = d.producer_id;
	out->producer_epoch = d.epoch;
	out->topics.v = KAFKA_ARRAY(rq->arena, kafka_describe_transactions_res_topic, d.n_partitions);
	for (size_t i = 0, end; i < d.n_partitions; i = end) {
		for (end = i; end < d.n_partitions && str_eq(d.partitions[end].topic, d.partitions[i].topic);)
			end++;
		if (!mqs_may(rq, ACL_TOPIC, d.partitions[i].topic, OP_DESCRIBE))
			continue;
		struct kafka_describe_transactions_res_topic *t = &out->topics.v[out->topics.n++];

		t->topic = d.partitions[i].topic;
		t->partitions.n = (int32_t)(end - i);
		t->partitions.v = ARENA_ARRAY(rq->arena, int32_t, end - i);
		for (size_t k = i; k < end; k++)
			t->partitions.v[k - i] = d.partitions[k].partition;
	}
}

void mqs_handle_describe_transactions(struct mqs_request *rq)
{
	const struct kafka_describe_transactions_req *in = rq->in;
	struct kafka_describe_transactions_res *res = KAFKA_NEW(rq->arena, kafka_describe_transactions_res);
	int32_t n =
		in->transactional_ids.n > 0 && in->transactional_ids.n < DESCRIBED_MAX ? in->transactional_ids.n : 0;

	res->transaction_states.n = n;
	res->transaction_states.v =
		KAFKA_ARRAY(rq->arena, kafka_describe_transactions_res_transaction_state, (size_t)n);
	for (int32_t i = 0; i < n; i++)
		describe(rq, in->transactional_ids.v[i], &res->transaction_states.v[i]);
	mqs_answer(rq, res);
}

void mqs_handle_list_transactions(struct mqs_request *rq)
{
	const struct kafka_list_transactions_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_list_transactions_res *res = KAFKA_NEW(rq->arena, kafka_list_transactions_res);
	struct txn_filter f = {.producer_ids = in->producer_id_filters.v,
			       .n_producer_ids = in->producer_id_filters.n > 0 ? (size_t)in->producer_id_filters.n : 0,
			       .min_duration_ms = rq->head.version >= 1 ? in->duration_filter : -1};
	int32_t filters = in->state_filters.n > 0 ? in->state_filters.n : 0;
	const struct txn_described *v;

	res->unknown_state_filters.n = 0;
	res->unknown_state_filters.v = ARENA_ARRAY(rq->arena, struct str, (size_t)filters + 1);
	for (int32_t i = 0; i < filters; i++) {
		int state = txn_state_find(in->state_filters.v[i]);

		if (state >= 0)
			f.states |= 1u << state;
		else
			res->unknown_state_filters.v[res->unknown_state_filters.n++] = in->state_filters.v[i];
	}
	res->transaction_states.n = 0;
	if (filters && !f.states) {
		mqs_answer(rq, res);
		return;
	}
	pthread_mutex_lock(&b->coord);
	size_t n = txn_list(b->txns, &f, mqs_now(), rq->arena, &v);

	pthread_mutex_unlock(&b->coord);
	res->transaction_states.v = KAFKA_ARRAY(rq->arena, kafka_list_transactions_res_transaction_state, n);
	for (size_t i = 0; i < n; i++) {
		struct kafka_list_transactions_res_transaction_state *t =
			&res->transaction_states.v[res->transaction_states.n];

		if (!mqs_may(rq, ACL_TXN, v[i].txn_id, OP_DESCRIBE))
			continue;
		t->transactional_id = v[i].txn_id;
		t->producer_id = v[i].producer_id;
		t->transaction_state = str_of(txn_state_name(v[i].state));
		res->transaction_states.n++;
	}
	mqs_answer(rq, res);
}
