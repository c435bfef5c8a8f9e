/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/share.h"

/* ShareAcknowledge, and acknowledgements in general. */

enum { REQUEST_PARTS_MAX = 20000 };

struct share_tp share_tp_of(struct kafka_uuid topic, int32_t partition)
{
	struct share_tp tp = {.partition = partition};

	memcpy(tp.topic.b, topic.b, sizeof(tp.topic.b));
	return tp;
}

int32_t share_lock_ms(const struct mqs_group_setting *set)
{
	return set->v[GROUP_SHARE_LOCK_MS] < 0 ? SHARE_LOCK_MS : set->v[GROUP_SHARE_LOCK_MS];
}

int16_t share_request_code(struct mqs_request *rq, struct str group, struct str member)
{
	struct mqs_broker *b = mqs_broker(rq);
	bool empty;

	if (str_empty(group) || str_empty(member) || member.n > 300)
		return KAFKA_ERR_INVALID_REQUEST;
	if (!mqs_may(rq, ACL_GROUP, group, OP_READ))
		return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
	pthread_mutex_lock(&b->coord);
	bool there = group_is_share(b->groups, group, &empty);

	pthread_mutex_unlock(&b->coord);
	return there ? 0 : KAFKA_ERR_GROUP_ID_NOT_FOUND;
}

static void on_gone(void *broker, uint64_t conn)
{
	struct mqs_broker *b = broker;

	pthread_mutex_lock(&b->coord);
	if (b->share)
		share_conn_gone(b->share, conn, mqs_now());
	pthread_mutex_unlock(&b->coord);
}

uint64_t share_conn_of(struct mqs_request *rq)
{
	mqs_peer(rq)->gone = on_gone;
	return (uint64_t)(uintptr_t)rq->conn;
}

void share_item_resolve(struct mqs_request *rq, struct share_item *it)
{
	struct kafka_uuid id;

	memcpy(id.b, it->tp.topic.b, sizeof(id.b));
	struct mqs_topic *t = mqs_topic_of_id(rq, id);

	if (!t)
		it->code = KAFKA_ERR_UNKNOWN_TOPIC_ID;
	else if (!tags_may_read(rq, t->name, &it->filter))
		it->code = KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
	else if (!(it->part = mqs_part_of(t, it->tp.partition)))
		it->code = KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

bool share_items_acknowledge(struct mqs_broker *b, struct str group, struct str member, struct share_item *v, size_t n,
			     int32_t lock_ms, bool renew)
{
	bool any = false, changed;

	for (size_t i = 0; i < n; i++) {
		struct share_item *it = &v[i];

		if (!it->n_acks)
			continue;
		it->ack_code = it->code ? it->code : share_ack_check(it->acks, it->n_acks, renew);
		if (it->ack_code)
			continue;
		it->ack_code = share_acknowledge(b->share, group, member, &it->tp, it->acks, it->n_acks, lock_ms,
						 &changed, mqs_now());
		any |= changed;
	}
	return any;
}

/* ---- ShareAcknowledge ---- */

struct acknowledging {
	struct share_item *v;
	size_t n;
	int32_t lock_ms;
};

static void answer_code(struct mqs_request *rq, int16_t code)
{
	struct kafka_share_acknowledge_res *res = KAFKA_NEW(rq->arena, kafka_share_acknowledge_res);

	res->error_code = code;
	res->responses.n = res->node_endpoints.n = 0;
	mqs_answer(rq, res);
}

static void on_stored(struct mqs_call *call, bool ok)
{
	struct mqs_request *rq = call->rq;
	const struct kafka_share_acknowledge_req *in = rq->in;
	const struct acknowledging *a = call->res;
	struct kafka_share_acknowledge_res *res = KAFKA_NEW(rq->arena, kafka_share_acknowledge_res);
	const struct share_item *it = a->v;

	res->acquisition_lock_timeout_ms = a->lock_ms;
	res->node_endpoints.n = 0;
	res->responses.n = in->topics.n > 0 ? in->topics.n : 0;
	res->responses.v = KAFKA_ARRAY(rq->arena, kafka_share_acknowledge_res_response, (size_t)res->responses.n);
	for (int32_t i = 0; i < res->responses.n; i++) {
		const struct kafka_share_acknowledge_req_topic *t = &in->topics.v[i];
		struct kafka_share_acknowledge_res_response *out = &res->responses.v[i];

		out->topic_id = t->topic_id;
		out->partitions.n = t->partitions.n > 0 ? t->partitions.n : 0;
		out->partitions.v =
			KAFKA_ARRAY(rq->arena, kafka_share_acknowledge_res_partition, (size_t)out->partitions.n);
		for (int32_t k = 0; k < out->partitions.n; k++, it++) {
			out->partitions.v[k].partition_index = it->tp.partition;
			out->partitions.v[k].error_code = it->code       ? it->code
							  : it->ack_code ? it->ack_code
							  : !ok          ? KAFKA_ERR_KAFKA_STORAGE_ERROR
									 : 0;
		}
	}
	mqs_answer(rq, res);
}

static void list_items(struct mqs_request *rq, struct acknowledging *a)
{
	const struct kafka_share_acknowledge_req *in = rq->in;

	a->v = ARENA_ARRAY(rq->arena, struct share_item, a->n + 1);
	a->n = 0;
	for (int32_t i = 0; i < in->topics.n; i++)
		for (int32_t k = 0; k < in->topics.v[i].partitions.n; k++) {
			const struct kafka_share_acknowledge_req_partition *p = &in->topics.v[i].partitions.v[k];
			struct share_item *it = &a->v[a->n++];

			it->tp = share_tp_of(in->topics.v[i].topic_id, p->partition_index);
			it->n_acks = p->acknowledgement_batches.n > 0 ? (size_t)p->acknowledgement_batches.n : 0;
			it->acks = ARENA_ARRAY(rq->arena, struct share_ack, it->n_acks + 1);
			for (size_t m = 0; m < it->n_acks; m++) {
				const struct kafka_share_acknowledge_req_acknowledgement_batch *b =
					&p->acknowledgement_batches.v[m];

				it->acks[m] = (struct share_ack){
					b->first_offset, b->last_offset, b->acknowledge_types.v,
					b->acknowledge_types.n > 0 ? (size_t)b->acknowledge_types.n : 0};
			}
			share_item_resolve(rq, it);
		}
}

void mqs_handle_share_acknowledge(struct mqs_request *rq)
{
	const struct kafka_share_acknowledge_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct acknowledging *a = ARENA_NEW(rq->arena, struct acknowledging);
	struct mqs_call *call = mqs_call_new(rq);
	struct mqs_group_setting set;
	const struct share_tp *tps;
	size_t n_tps;

	for (int32_t i = 0; i < in->topics.n; i++)
		a->n += in->topics.v[i].partitions.n > 0 ? (size_t)in->topics.v[i].partitions.n : 0;
	if (a->n > REQUEST_PARTS_MAX || in->topics.n > REQUEST_PARTS_MAX) {
		mqs_hang_up(rq);
		return;
	}
	int16_t code = share_request_code(rq, in->group_id, in->member_id);

	if (code) {
		answer_code(rq, code);
		return;
	}
	call->share = on_stored;
	call->res = a;
	mqs_group_of(b, in->group_id, &set);
	a->lock_ms = share_lock_ms(&set);
	list_items(rq, a);
	pthread_mutex_lock(&b->coord);
	code = share_session(b->share,
			     &(struct share_session_req){.group = in->group_id,
							 .member = in->member_id,
							 .conn = share_conn_of(rq),
							 .epoch = in->share_session_epoch},
			     rq->arena, &tps, &n_tps);
	if (code == 0) {
		bool wait = share_items_acknowledge(b, in->group_id, in->member_id, a->v, a->n, a->lock_ms,
						    in->is_renew_ack);

		if (in->share_session_epoch == SHARE_EPOCH_FINAL)
			share_session_end(b->share, in->group_id, in->member_id, mqs_now());
		if (wait)
			share_wait(b->share, mqs_token(call), mqs_now());
		else
			on_stored(call, true);
	}
	pthread_mutex_unlock(&b->coord);
	if (code)
		answer_code(rq, code);
}
