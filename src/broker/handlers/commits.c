/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

#include <stdlib.h>

/* Committed offsets: OffsetCommit, TxnOffsetCommit, OffsetFetch, OffsetDelete. */

enum { MANY = 50000 };

/* Partitions that pass the checks go to the coordinator; codes of the others are set here. */
struct commit {
	struct mqs_request *rq;
	void *res;
	struct group_commit in;
	struct group_offset *v;
	int16_t **code; /* of each in v */
	size_t n;
	bool add_first; /* a transaction of the second version: its group is added before */
	struct str txn_id;
	struct mqs_call *call;
};

static void answer_codes(struct commit *c, int16_t code, const int16_t *each, size_t n)
{
	for (size_t i = 0; i < c->n; i++)
		*c->code[i] = code ? code : i < n ? each[i] : (int16_t)KAFKA_ERR_UNKNOWN_SERVER_ERROR;
	mqs_answer(c->rq, c->res);
}

static void on_commit(struct mqs_call *call, const struct group_reply *r)
{
	answer_codes(call->res, r->code, r->each.codes, r->code ? 0 : r->each.n);
}

static struct commit *commit_new(struct mqs_request *rq, size_t n, void *res)
{
	struct commit *c = ARENA_NEW(rq->arena, struct commit);

	c->rq = rq;
	c->res = res;
	c->v = ARENA_ARRAY(rq->arena, struct group_offset, n + 1);
	c->code = ARENA_ARRAY(rq->arena, int16_t *, n + 1);
	c->call = mqs_call_new(rq);
	c->call->res = c;
	c->call->group = on_commit;
	return c;
}

static void commit_add(struct commit *c, int16_t refused, const struct group_offset *offset, int16_t *code)
{
	struct mqs_topic *t = refused ? NULL : mqs_topic_of(c->rq, offset->topic);

	if (!refused && !mqs_part_of(t, offset->partition))
		refused = KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
	*code = refused;
	if (refused)
		return;
	c->v[c->n] = *offset;
	c->code[c->n++] = code;
}

static void commit_run(struct commit *c)
{
	struct mqs_broker *b = mqs_broker(c->rq);

	if (c->n == 0) {
		mqs_answer(c->rq, c->res);
		return;
	}
	c->in.v = c->v;
	c->in.n = c->n;
	pthread_mutex_lock(&b->coord);
	group_commit(b->groups, &c->in, mqs_token(c->call), mqs_now());
	pthread_mutex_unlock(&b->coord);
}

static size_t count_commit(const struct kafka_offset_commit_req *in)
{
	size_t n = 0;

	for (int32_t i = 0; i < in->topics.n; i++)
		n += in->topics.v[i].partitions.n > 0 ? (size_t)in->topics.v[i].partitions.n : 0;
	return n;
}

void mqs_handle_offset_commit(struct mqs_request *rq)
{
	const struct kafka_offset_commit_req *in = rq->in;
	struct kafka_offset_commit_res *res = KAFKA_NEW(rq->arena, kafka_offset_commit_res);
	size_t n = count_commit(in);
	int32_t topics = in->topics.n > 0 ? in->topics.n : 0;
	int16_t group = mqs_may(rq, ACL_GROUP, in->group_id, OP_READ) ? 0 : KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;

	if (n > MANY || topics > MANY) {
		mqs_hang_up(rq);
		return;
	}
	struct commit *c = commit_new(rq, n, res);

	res->topics.n = topics;
	res->topics.v = KAFKA_ARRAY(rq->arena, kafka_offset_commit_res_topic, (size_t)topics);
	for (int32_t i = 0; i < topics; i++) {
		const struct kafka_offset_commit_req_topic *t = &in->topics.v[i];
		struct kafka_offset_commit_res_topic *out = &res->topics.v[i];
		int32_t parts = t->partitions.n > 0 ? t->partitions.n : 0;
		bool by_id = rq->head.version >= 10;
		struct mqs_topic *topic = by_id ? mqs_topic_of_id(rq, t->topic_id) : NULL;
		struct str name = by_id ? topic ? topic->name : STR_NONE : t->name;
		int16_t code = group                                   ? group
			       : !name.p                               ? KAFKA_ERR_UNKNOWN_TOPIC_ID
			       : mqs_may(rq, ACL_TOPIC, name, OP_READ) ? 0
								       : KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;

		out->name = t->name;
		out->topic_id = t->topic_id;
		out->partitions.n = parts;
		out->partitions.v = KAFKA_ARRAY(rq->arena, kafka_offset_commit_res_partition, (size_t)parts);
		for (int32_t k = 0; k < parts; k++) {
			const struct kafka_offset_commit_req_partition *p = &t->partitions.v[k];

			out->partitions.v[k].partition_index = p->partition_index;
			commit_add(c, code,
				   &(struct group_offset){name, p->partition_index, p->committed_offset,
							  p->committed_leader_epoch, p->committed_metadata},
				   &out->partitions.v[k].error_code);
		}
	}
	c->in = (struct group_commit){.group_id = in->group_id,
				      .member_id = in->member_id,
				      .instance_id = in->group_instance_id,
				      .generation = rq->head.version == 0 ? -1 : in->generation_id_or_member_epoch,
				      .retention_ms = in->retention_time_ms};
	commit_run(c);
}

/* ---- in a transaction ---- */

static void on_offsets_added(struct mqs_call *call, const struct txn_reply *r)
{
	struct commit *c = call->res;
	struct mqs_broker *b = mqs_broker(c->rq);

	if (r->code) {
		answer_codes(c, r->code, NULL, 0);
		return;
	}
	c->in.v = c->v;
	c->in.n = c->n;
	group_commit(b->groups, &c->in, mqs_token(c->call), mqs_now());
}

static void commit_in_txn(struct commit *c, struct str txn_id)
{
	struct mqs_broker *b = mqs_broker(c->rq);
	const struct kafka_txn_offset_commit_req *in = c->rq->in;

	if (c->n == 0) {
		mqs_answer(c->rq, c->res);
		return;
	}
	c->call->txn = on_offsets_added;
	pthread_mutex_lock(&b->coord);
	if (c->rq->head.version >= 5) {
		txn_add_offsets(b->txns, txn_id, in->producer_id, in->producer_epoch, in->group_id, mqs_token(c->call),
				mqs_now());
	} else {
		int16_t code = txn_verify_offsets(b->txns, txn_id, in->producer_id, in->producer_epoch, in->group_id);

		on_offsets_added(c->call, &(struct txn_reply){.code = txn_code_for(code, true)});
	}
	pthread_mutex_unlock(&b->coord);
}

void mqs_handle_txn_offset_commit(struct mqs_request *rq)
{
	const struct kafka_txn_offset_commit_req *in = rq->in;
	struct kafka_txn_offset_commit_res *res = KAFKA_NEW(rq->arena, kafka_txn_offset_commit_res);
	size_t n = 0;
	int32_t topics = in->topics.n > 0 ? in->topics.n : 0;
	int16_t first = !mqs_may(rq, ACL_TXN, in->transactional_id, OP_WRITE)
				? KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
			: !mqs_may(rq, ACL_GROUP, in->group_id, OP_READ) ? KAFKA_ERR_GROUP_AUTHORIZATION_FAILED
									 : 0;

	for (int32_t i = 0; i < topics; i++)
		n += in->topics.v[i].partitions.n > 0 ? (size_t)in->topics.v[i].partitions.n : 0;
	if (n > MANY || topics > MANY) {
		mqs_hang_up(rq);
		return;
	}
	struct commit *c = commit_new(rq, n, res);

	res->topics.n = topics;
	res->topics.v = KAFKA_ARRAY(rq->arena, kafka_txn_offset_commit_res_topic, (size_t)topics);
	for (int32_t i = 0; i < topics; i++) {
		const struct kafka_txn_offset_commit_req_topic *t = &in->topics.v[i];
		struct kafka_txn_offset_commit_res_topic *out = &res->topics.v[i];
		int32_t parts = t->partitions.n > 0 ? t->partitions.n : 0;
		int16_t code = first                                      ? first
			       : mqs_may(rq, ACL_TOPIC, t->name, OP_READ) ? 0
									  : KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;

		out->name = t->name;
		out->partitions.n = parts;
		out->partitions.v = KAFKA_ARRAY(rq->arena, kafka_txn_offset_commit_res_partition, (size_t)parts);
		for (int32_t k = 0; k < parts; k++) {
			const struct kafka_txn_offset_commit_req_partition *p = &t->partitions.v[k];

			out->partitions.v[k].partition_index = p->partition_index;
			commit_add(c, code,
				   &(struct group_offset){t->name, p->partition_index, p->committed_offset,
							  p->committed_leader_epoch, p->committed_metadata},
				   &out->partitions.v[k].error_code);
		}
	}
	c->in = (struct group_commit){.group_id = in->group_id,
				      .member_id = in->member_id,
				      .instance_id = in->group_instance_id,
				      .generation = rq->head.version < 3 ? -1 : in->generation_id,
				      .retention_ms = -1,
				      .txn = true,
				      .producer_id = in->producer_id};
	commit_in_txn(c, in->transactional_id);
}

/* ---- fetching ---- */

/* Results are in order of the request, or grouped by topic; each topic is one entry either way. */
struct fetched {
	const struct group_fetched *v;
	size_t n;
	int16_t code;
};

static struct fetched fetch_group(struct mqs_request *rq, struct group_fetch *in)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct fetched f = {0};

	if (!mqs_may(rq, ACL_GROUP, in->group_id, OP_DESCRIBE)) {
		f.code = KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
		return f;
	}
	pthread_mutex_lock(&b->coord);
	f.code = group_offsets_fetch(b->groups, in, rq->arena, &f.v, &f.n);
	pthread_mutex_unlock(&b->coord);
	if (f.code)
		f.n = 0;
	/* Of all offsets, those of topics that the peer may not see are left out. */
	if (in->all && f.n) {
		struct group_fetched *kept = ARENA_ARRAY(rq->arena, struct group_fetched, f.n);
		size_t n = 0;

		for (size_t i = 0; i < f.n; i++)
			if (mqs_may(rq, ACL_TOPIC, f.v[i].topic, OP_DESCRIBE))
				kept[n++] = f.v[i];
		f.v = kept;
		f.n = n;
	}
	return f;
}

static size_t run_of(const struct fetched *f, size_t i)
{
	size_t end = i;

	while (end < f->n && str_eq(f->v[end].topic, f->v[i].topic))
		end++;
	return end;
}

static int16_t fetched_code(struct mqs_request *rq, const struct group_fetched *g)
{
	return mqs_may(rq, ACL_TOPIC, g->topic, OP_DESCRIBE) ? g->code : KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
}

static void fetch_one(struct mqs_request *rq)
{
	const struct kafka_offset_fetch_req *in = rq->in;
	struct kafka_offset_fetch_res *res = KAFKA_NEW(rq->arena, kafka_offset_fetch_res);
	struct group_fetch gf = {
		.group_id = in->group_id, .epoch = -1, .all = in->topics.n < 0, .require_stable = in->require_stable};
	size_t n = 0;

	for (int32_t i = 0; i < in->topics.n; i++)
		n += in->topics.v[i].partition_indexes.n > 0 ? (size_t)in->topics.v[i].partition_indexes.n : 0;
	struct group_offset *v = ARENA_ARRAY(rq->arena, struct group_offset, n + 1);

	for (int32_t i = 0; i < in->topics.n; i++)
		for (int32_t k = 0; k < in->topics.v[i].partition_indexes.n; k++)
			v[gf.n++] = (struct group_offset){.topic = in->topics.v[i].name,
							  .partition = in->topics.v[i].partition_indexes.v[k]};
	gf.v = v;
	struct fetched f = fetch_group(rq, &gf);

	res->error_code = f.code;
	res->topics.n = 0;
	res->topics.v = KAFKA_ARRAY(rq->arena, kafka_offset_fetch_res_topic, f.n);
	for (size_t i = 0, end; i < f.n; i = end) {
		struct kafka_offset_fetch_res_topic *t = &res->topics.v[res->topics.n++];

		end = run_of(&f, i);
		t->name = f.v[i].topic;
		t->partitions.n = (int32_t)(end - i);
		t->partitions.v = KAFKA_ARRAY(rq->arena, kafka_offset_fetch_res_partition, end - i);
		for (size_t k = i; k < end; k++)
			t->partitions.v[k - i] = (struct kafka_offset_fetch_res_partition){
				f.v[k].partition, f.v[k].offset, f.v[k].leader_epoch,
				f.v[k].metadata.p ? f.v[k].metadata : STR(""), fetched_code(rq, &f.v[k])};
	}
	mqs_answer(rq, res);
}

static void fetch_for(struct mqs_request *rq, const struct kafka_offset_fetch_req_group *g,
		      struct kafka_offset_fetch_res_group *out)
{
	const struct kafka_offset_fetch_req *in = rq->in;
	bool by_id = rq->head.version >= 10;
	struct group_fetch gf = {.group_id = g->group_id,
				 .member_id = g->member_id,
				 .epoch = rq->head.version >= 9 ? g->member_epoch : -1,
				 .all = g->topics.n < 0,
				 .require_stable = in->require_stable};
	size_t n = 0;

	for (int32_t i = 0; i < g->topics.n; i++)
		n += g->topics.v[i].partition_indexes.n > 0 ? (size_t)g->topics.v[i].partition_indexes.n : 0;
	struct group_offset *v = ARENA_ARRAY(rq->arena, struct group_offset, n + 1);

	for (int32_t i = 0; i < g->topics.n; i++) {
		struct mqs_topic *t = by_id ? mqs_topic_of_id(rq, g->topics.v[i].topic_id) : NULL;
		struct str name = by_id ? t ? t->name : STR("") : g->topics.v[i].name;

		for (int32_t k = 0; k < g->topics.v[i].partition_indexes.n; k++)
			v[gf.n++] = (struct group_offset){.topic = name,
							  .partition = g->topics.v[i].partition_indexes.v[k]};
	}
	gf.v = v;
	struct fetched f = fetch_group(rq, &gf);

	out->group_id = g->group_id;
	out->error_code = f.code;
	out->topics.n = 0;
	out->topics.v = KAFKA_ARRAY(rq->arena, kafka_offset_fetch_res_group_topic, f.n);
	for (size_t i = 0, end; i < f.n; i = end) {
		struct kafka_offset_fetch_res_group_topic *t = &out->topics.v[out->topics.n++];
		struct mqs_topic *topic = mqs_topic_of(rq, f.v[i].topic);

		end = run_of(&f, i);
		t->name = f.v[i].topic;
		if (topic)
			t->topic_id = topic->id;
		t->partitions.n = (int32_t)(end - i);
		t->partitions.v = KAFKA_ARRAY(rq->arena, kafka_offset_fetch_res_topic_partition, end - i);
		for (size_t k = i; k < end; k++)
			t->partitions.v[k - i] = (struct kafka_offset_fetch_res_topic_partition){
				f.v[k].partition, f.v[k].offset, f.v[k].leader_epoch,
				f.v[k].metadata.p ? f.v[k].metadata : STR(""), fetched_code(rq, &f.v[k])};
	}
}

void mqs_handle_offset_fetch(struct mqs_request *rq)
{
	const struct kafka_offset_fetch_req *in = rq->in;

	if (rq->head.version < 8) {
		fetch_one(rq);
		return;
	}
	struct kafka_offset_fetch_res *res = KAFKA_NEW(rq->arena, kafka_offset_fetch_res);
	int32_t n = in->groups.n > 0 && in->groups.n < 10000 ? in->groups.n : 0;

	res->groups.n = n;
	res->groups.v = KAFKA_ARRAY(rq->arena, kafka_offset_fetch_res_group, (size_t)n);
	for (int32_t i = 0; i < n; i++)
		fetch_for(rq, &in->groups.v[i], &res->groups.v[i]);
	mqs_answer(rq, res);
}

/* ---- deleting ---- */

static void on_offsets_deleted(struct mqs_call *call, const struct group_reply *r)
{
	struct commit *c = call->res;
	struct kafka_offset_delete_res *res = c->res;

	if (r->code) {
		res->error_code = r->code;
		res->topics.n = 0;
		mqs_answer(c->rq, res);
		return;
	}
	answer_codes(c, 0, r->each.codes, r->each.n);
}

void mqs_handle_offset_delete(struct mqs_request *rq)
{
	const struct kafka_offset_delete_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_offset_delete_res *res = KAFKA_NEW(rq->arena, kafka_offset_delete_res);
	int32_t topics = in->topics.n > 0 && in->topics.n < MANY ? in->topics.n : 0;
	size_t n = 0;

	for (int32_t i = 0; i < topics; i++)
		n += in->topics.v[i].partitions.n > 0 ? (size_t)in->topics.v[i].partitions.n : 0;
	struct commit *c = commit_new(rq, n, res);

	c->call->group = on_offsets_deleted;
	res->topics.n = topics;
	res->topics.v = KAFKA_ARRAY(rq->arena, kafka_offset_delete_res_topic, (size_t)topics);
	for (int32_t i = 0; i < topics; i++) {
		const struct kafka_offset_delete_req_topic *t = &in->topics.v[i];
		int32_t parts = t->partitions.n > 0 ? t->partitions.n : 0;
		int16_t code = mqs_may(rq, ACL_TOPIC, t->name, OP_READ) ? 0 : KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;

		res->topics.v[i].name = t->name;
		res->topics.v[i].partitions.n = parts;
		res->topics.v[i].partitions.v =
			KAFKA_ARRAY(rq->arena, kafka_offset_delete_res_partition, (size_t)parts);
		for (int32_t k = 0; k < parts; k++) {
			res->topics.v[i].partitions.v[k].partition_index = t->partitions.v[k].partition_index;
			commit_add(c, code,
				   &(struct group_offset){.topic = t->name,
							  .partition = t->partitions.v[k].partition_index},
				   &res->topics.v[i].partitions.v[k].error_code);
		}
	}
	if (!mqs_may(rq, ACL_GROUP, in->group_id, OP_DELETE)) {
		on_offsets_deleted(c->call, &(struct group_reply){.code = KAFKA_ERR_GROUP_AUTHORIZATION_FAILED});
		return;
	}
	pthread_mutex_lock(&b->coord);
	group_offsets_delete(b->groups, in->group_id, c->v, c->n, mqs_token(c->call), mqs_now());
	pthread_mutex_unlock(&b->coord);
}
