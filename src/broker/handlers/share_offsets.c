/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/share.h"

/* Start offsets of share groups: DescribeShareGroupOffsets, AlterShareGroupOffsets, DeleteShareGroupOffsets. */

enum { MANY = 20000 };

/* ---- describe ---- */

static void fill(struct mqs_broker *b, struct str group, struct mqs_topic *t, int32_t index,
		 struct kafka_describe_share_group_offsets_res_partition *out)
{
	struct kafka_uuid none = {{0}};
	struct share_tp tp = share_tp_of(t ? t->id : none, index);
	struct mqs_part *part = mqs_part_of(t, index);
	struct share_offset found;
	struct plog_info info;

	out->partition_index = index;
	out->start_offset = -1;
	out->lag = -1;
	if (!part) {
		out->error_code = KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
		return;
	}
	pthread_mutex_lock(&b->coord);
	bool there = share_offset(b->share, group, &tp, &found);

	pthread_mutex_unlock(&b->coord);
	if (!there)
		return;
	plog_info(part->log, &info);
	out->start_offset = found.start;
	out->lag = info.high_watermark - found.start - found.done;
	out->lag = out->lag > 0 ? out->lag : 0;
}

static void describe_named(struct mqs_request *rq, const struct kafka_describe_share_group_offsets_req_group *g,
			   struct kafka_describe_share_group_offsets_res_group *out)
{
	int32_t n = g->topics.n < MANY ? g->topics.n : 0;

	out->topics.n = n;
	out->topics.v = KAFKA_ARRAY(rq->arena, kafka_describe_share_group_offsets_res_topic, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		struct kafka_describe_share_group_offsets_res_topic *o = &out->topics.v[i];
		struct mqs_topic *t = mqs_topic_of(rq, g->topics.v[i].topic_name);
		bool may = mqs_may(rq, ACL_TOPIC, g->topics.v[i].topic_name, OP_DESCRIBE);
		int32_t parts = g->topics.v[i].partitions.n;

		o->topic_name = g->topics.v[i].topic_name;
		if (t && may)
			o->topic_id = t->id;
		o->partitions.n = parts > 0 && parts < MANY ? parts : 0;
		o->partitions.v = KAFKA_ARRAY(rq->arena, kafka_describe_share_group_offsets_res_partition,
					      (size_t)o->partitions.n);
		for (int32_t k = 0; k < o->partitions.n; k++) {
			fill(mqs_broker(rq), g->group_id, may ? t : NULL, g->topics.v[i].partitions.v[k],
			     &o->partitions.v[k]);
			if (!may)
				o->partitions.v[k].error_code = KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
		}
	}
}

/* All that the group has; of topics that the peer may describe. */
static void describe_all(struct mqs_request *rq, struct str group,
			 struct kafka_describe_share_group_offsets_res_group *out)
{
	struct mqs_broker *b = mqs_broker(rq);
	const struct share_offset *v;

	pthread_mutex_lock(&b->coord);
	size_t n = share_offsets(b->share, group, rq->arena, &v);

	pthread_mutex_unlock(&b->coord);
	out->topics.n = 0;
	out->topics.v = KAFKA_ARRAY(rq->arena, kafka_describe_share_group_offsets_res_topic, n);
	for (size_t i = 0, end; i < n; i = end) {
		struct kafka_describe_share_group_offsets_res_topic *o = &out->topics.v[out->topics.n];
		struct kafka_uuid id;

		for (end = i + 1; end < n && memcmp(&v[end].tp.topic, &v[i].tp.topic, sizeof(v[i].tp.topic)) == 0;)
			end++;
		memcpy(id.b, v[i].tp.topic.b, sizeof(id.b));
		struct mqs_topic *t = mqs_topic_of_id(rq, id);

		if (!t || !mqs_may(rq, ACL_TOPIC, t->name, OP_DESCRIBE))
			continue;
		o->topic_name = t->name;
		o->topic_id = id;
		o->partitions.n = (int32_t)(end - i);
		o->partitions.v = KAFKA_ARRAY(rq->arena, kafka_describe_share_group_offsets_res_partition, end - i);
		for (size_t k = i; k < end; k++)
			fill(b, group, t, v[k].tp.partition, &o->partitions.v[k - i]);
		out->topics.n++;
	}
}

void mqs_handle_describe_share_group_offsets(struct mqs_request *rq)
{
	const struct kafka_describe_share_group_offsets_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_describe_share_group_offsets_res *res =
		KAFKA_NEW(rq->arena, kafka_describe_share_group_offsets_res);
	int32_t n = in->groups.n > 0 && in->groups.n < MANY ? in->groups.n : 0;
	bool empty;

	res->groups.n = n;
	res->groups.v = KAFKA_ARRAY(rq->arena, kafka_describe_share_group_offsets_res_group, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		struct kafka_describe_share_group_offsets_res_group *out = &res->groups.v[i];
		const struct kafka_describe_share_group_offsets_req_group *g = &in->groups.v[i];

		out->group_id = g->group_id;
		out->topics.n = 0;
		if (!mqs_may(rq, ACL_GROUP, g->group_id, OP_DESCRIBE)) {
			out->error_code = KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
			continue;
		}
		pthread_mutex_lock(&b->coord);
		bool there = group_is_share(b->groups, g->group_id, &empty);

		pthread_mutex_unlock(&b->coord);
		if (!there)
			out->error_code = KAFKA_ERR_GROUP_ID_NOT_FOUND;
		else if (g->topics.n < 0)
			describe_all(rq, g->group_id, out);
		else
			describe_named(rq, g, out);
	}
	mqs_answer(rq, res);
}

/* ---- changes ---- */

/* make: where there is no group of that name. */
static int16_t may_change(struct mqs_request *rq, struct str group, int operation, bool make)
{
	struct mqs_broker *b = mqs_broker(rq);
	bool empty;

	if (str_empty(group))
		return KAFKA_ERR_INVALID_GROUP_ID;
	if (!mqs_may(rq, ACL_GROUP, group, operation))
		return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
	/* Members whose session has just ended are not in the way. */
	if (group_deadline(b->groups) <= mqs_now())
		group_tick(b->groups, mqs_now());
	if (make && !group_share_make(b->groups, group, mqs_now()))
		return KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
	if (!group_is_share(b->groups, group, &empty))
		return KAFKA_ERR_GROUP_ID_NOT_FOUND;
	return empty ? 0 : KAFKA_ERR_NON_EMPTY_GROUP;
}

static int16_t topic_code(struct mqs_request *rq, struct str name, struct mqs_topic **ret)
{
	*ret = NULL;
	if (!mqs_may(rq, ACL_TOPIC, name, OP_READ))
		return KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
	*ret = mqs_topic_of(rq, name);
	return *ret ? 0 : KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static void on_altered(struct mqs_call *call, bool ok)
{
	struct kafka_alter_share_group_offsets_res *res = call->res;

	if (!ok)
		res->error_code = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
	mqs_answer(call->rq, res);
}

static int16_t alter(struct mqs_broker *b, struct str group, struct mqs_topic *t, int32_t index, int64_t start)
{
	struct share_tp tp = share_tp_of(t->id, index);
	struct mqs_part *part = mqs_part_of(t, index);
	struct plog_info info;

	if (!part)
		return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (start < 0)
		return KAFKA_ERR_INVALID_REQUEST;
	plog_info(part->log, &info);
	start = start < info.end ? start : info.end;
	return share_alter(b->share, group, &tp, start, mqs_now()) ? 0 : KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
}

static void alter_all(struct mqs_request *rq, struct kafka_alter_share_group_offsets_res *res)
{
	const struct kafka_alter_share_group_offsets_req *in = rq->in;

	res->responses.n = in->topics.n > 0 && in->topics.n < MANY ? in->topics.n : 0;
	res->responses.v =
		KAFKA_ARRAY(rq->arena, kafka_alter_share_group_offsets_res_response, (size_t)res->responses.n);
	for (int32_t i = 0; i < res->responses.n; i++) {
		struct kafka_alter_share_group_offsets_res_response *o = &res->responses.v[i];
		int32_t n = in->topics.v[i].partitions.n;
		struct mqs_topic *t;
		int16_t code = topic_code(rq, in->topics.v[i].topic_name, &t);

		o->topic_name = in->topics.v[i].topic_name;
		if (t)
			o->topic_id = t->id;
		o->partitions.n = n > 0 && n < MANY ? n : 0;
		o->partitions.v =
			KAFKA_ARRAY(rq->arena, kafka_alter_share_group_offsets_res_partition, (size_t)o->partitions.n);
		for (int32_t k = 0; k < o->partitions.n; k++) {
			o->partitions.v[k].partition_index = in->topics.v[i].partitions.v[k].partition_index;
			o->partitions.v[k].error_code =
				code ? code
				     : alter(mqs_broker(rq), in->group_id, t, o->partitions.v[k].partition_index,
					     in->topics.v[i].partitions.v[k].start_offset);
		}
	}
}

void mqs_handle_alter_share_group_offsets(struct mqs_request *rq)
{
	const struct kafka_alter_share_group_offsets_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_alter_share_group_offsets_res *res = KAFKA_NEW(rq->arena, kafka_alter_share_group_offsets_res);
	struct mqs_call *call = mqs_call_new(rq);

	call->share = on_altered;
	call->res = res;
	res->responses.n = 0;
	pthread_mutex_lock(&b->coord);
	res->error_code = may_change(rq, in->group_id, OP_READ, true);
	if (res->error_code == 0)
		alter_all(rq, res);
	if (res->error_code == 0)
		share_wait(b->share, mqs_token(call), mqs_now());
	else
		mqs_answer(rq, res);
	pthread_mutex_unlock(&b->coord);
}

static void on_deleted(struct mqs_call *call, bool ok)
{
	struct kafka_delete_share_group_offsets_res *res = call->res;

	if (!ok)
		res->error_code = KAFKA_ERR_COORDINATOR_NOT_AVAILABLE;
	mqs_answer(call->rq, res);
}

static void delete_all(struct mqs_request *rq, struct kafka_delete_share_group_offsets_res *res)
{
	const struct kafka_delete_share_group_offsets_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);

	res->responses.n = in->topics.n > 0 && in->topics.n < MANY ? in->topics.n : 0;
	res->responses.v =
		KAFKA_ARRAY(rq->arena, kafka_delete_share_group_offsets_res_response, (size_t)res->responses.n);
	for (int32_t i = 0; i < res->responses.n; i++) {
		struct kafka_delete_share_group_offsets_res_response *o = &res->responses.v[i];
		struct mqs_topic *t;

		o->topic_name = in->topics.v[i].topic_name;
		o->error_code = topic_code(rq, o->topic_name, &t);
		if (!t)
			continue;
		o->topic_id = t->id;
		struct share_tp tp = share_tp_of(t->id, 0);

		share_drop(b->share, in->group_id, &tp.topic, mqs_now());
	}
}

void mqs_handle_delete_share_group_offsets(struct mqs_request *rq)
{
	const struct kafka_delete_share_group_offsets_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_delete_share_group_offsets_res *res = KAFKA_NEW(rq->arena, kafka_delete_share_group_offsets_res);
	struct mqs_call *call = mqs_call_new(rq);

	call->share = on_deleted;
	call->res = res;
	res->responses.n = 0;
	pthread_mutex_lock(&b->coord);
	res->error_code = may_change(rq, in->group_id, OP_DELETE, false);
	if (res->error_code == 0)
		delete_all(rq, res);
	if (res->error_code == 0)
		share_wait(b->share, mqs_token(call), mqs_now());
	else
		mqs_answer(rq, res);
	pthread_mutex_unlock(&b->coord);
}
