/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

/* Members of share groups: ShareGroupHeartbeat, ShareGroupDescribe. */

enum { DESCRIBED_MAX = 2000, GROUP_OPS = 1 << OP_READ | 1 << OP_DELETE | 1 << OP_DESCRIBE };

/* How many from i on are of the same topic. */
static size_t topic_run(const struct group_partition *v, size_t n, size_t i)
{
	size_t end = i + 1;

	while (end < n && memcmp(&v[end].topic, &v[i].topic, sizeof(v[i].topic)) == 0)
		end++;
	return end - i;
}

static int32_t *numbers(struct mqs_request *rq, const struct group_partition *v, size_t n)
{
	int32_t *ret = ARENA_ARRAY(rq->arena, int32_t, n);

	for (size_t i = 0; i < n; i++)
		ret[i] = v[i].partition;
	return ret;
}

/* ---- heartbeats ---- */

static void on_heartbeat(struct mqs_call *call, const struct group_reply *r)
{
	struct mqs_request *rq = call->rq;
	struct kafka_share_group_heartbeat_res *res = KAFKA_NEW(rq->arena, kafka_share_group_heartbeat_res);
	const struct group_partition *v = r->consumer.v;

	res->error_code = r->code;
	res->error_message = r->message;
	res->member_id = r->member_id;
	if (r->code == COORD_OK) {
		res->member_epoch = r->consumer.epoch;
		res->heartbeat_interval_ms = r->consumer.interval_ms;
	}
	if (r->code == COORD_OK && r->consumer.has_assignment) {
		struct kafka_share_group_heartbeat_res_assignment *a =
			KAFKA_NEW(rq->arena, kafka_share_group_heartbeat_res_assignment);

		a->topic_partitions.n = 0;
		a->topic_partitions.v =
			KAFKA_ARRAY(rq->arena, kafka_share_group_heartbeat_res_topic_partitions, r->consumer.n);
		for (size_t i = 0, n; i < r->consumer.n; i += n) {
			struct kafka_share_group_heartbeat_res_topic_partitions *t =
				&a->topic_partitions.v[a->topic_partitions.n++];

			n = topic_run(v, r->consumer.n, i);
			memcpy(t->topic_id.b, v[i].topic.b, sizeof(t->topic_id.b));
			t->partitions.n = (int32_t)n;
			t->partitions.v = numbers(rq, &v[i], n);
		}
		res->assignment = a;
	}
	mqs_answer(rq, res);
}

void mqs_handle_share_group_heartbeat(struct mqs_request *rq)
{
	const struct kafka_share_group_heartbeat_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_call *call = mqs_call_new(rq);
	struct group_consumer_heartbeat hb = {
		.group_id = in->group_id,
		.member_id = in->member_id,
		.instance_id = STR_NONE,
		.rack_id = in->rack_id,
		.assignor = STR_NONE,
		.regex = STR_NONE,
		.epoch = in->member_epoch,
		.rebalance_timeout_ms = -1,
		.topics = in->subscribed_topic_names.n < 0    ? NULL
			  : in->subscribed_topic_names.n == 0 ? ARENA_NEW(rq->arena, struct str)
							      : in->subscribed_topic_names.v,
		.n_topics = in->subscribed_topic_names.n > 0 ? (size_t)in->subscribed_topic_names.n : 0,
		.client = mqs_client(rq)};
	int16_t code = mqs_may(rq, ACL_GROUP, in->group_id, OP_READ) ? 0 : KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;

	call->group = on_heartbeat;
	for (size_t i = 0; i < hb.n_topics && !code; i++)
		if (!mqs_may(rq, ACL_TOPIC, hb.topics[i], OP_DESCRIBE))
			code = KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
	if (code) {
		on_heartbeat(call, &(struct group_reply){.code = code});
		return;
	}
	pthread_mutex_lock(&b->coord);
	group_share_heartbeat(b->groups, &hb, mqs_token(call), mqs_now());
	pthread_mutex_unlock(&b->coord);
}

/* ---- looking ---- */

static void describe_member(struct mqs_request *rq, const struct group_described_member *m,
			    struct kafka_share_group_describe_res_member *out)
{
	const struct group_partition *v = m->assigned;

	out->member_id = m->member_id;
	out->rack_id = m->rack_id;
	out->member_epoch = m->epoch;
	out->client_id = m->client_id;
	out->client_host = m->host;
	out->subscribed_topic_names.n = (int32_t)m->n_topics;
	out->subscribed_topic_names.v = (struct str *)(uintptr_t)m->topics;
	out->assignment.topic_partitions.n = 0;
	out->assignment.topic_partitions.v =
		KAFKA_ARRAY(rq->arena, kafka_share_group_describe_res_topic_partitions, m->n_assigned);
	for (size_t i = 0, n; i < m->n_assigned; i += n) {
		struct kafka_share_group_describe_res_topic_partitions *t =
			&out->assignment.topic_partitions.v[out->assignment.topic_partitions.n++];

		n = topic_run(v, m->n_assigned, i);
		memcpy(t->topic_id.b, v[i].topic.b, sizeof(t->topic_id.b));
		struct mqs_topic *topic = mqs_topic_of_id(rq, t->topic_id);

		t->topic_name = topic ? topic->name : STR("");
		t->partitions.n = (int32_t)n;
		t->partitions.v = numbers(rq, &v[i], n);
	}
}

static void describe(struct mqs_request *rq, struct kafka_share_group_describe_res_group *g)
{
	const struct kafka_share_group_describe_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct group_described d = {0};

	g->group_state = g->assignor_name = STR("");
	g->members.n = 0;
	if (!mqs_may(rq, ACL_GROUP, g->group_id, OP_DESCRIBE)) {
		g->error_code = KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
		return;
	}
	pthread_mutex_lock(&b->coord);
	group_share_describe(b->groups, g->group_id, rq->arena, &d);
	pthread_mutex_unlock(&b->coord);
	g->error_code = d.code;
	if (d.code)
		return;
	if (!mqs_group_visible(rq, &d)) {
		g->error_code = KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
		g->error_message = STR("the group reads topics that you may not describe");
		return;
	}
	g->group_state = d.state;
	g->group_epoch = d.epoch;
	g->assignment_epoch = d.assignment_epoch;
	g->assignor_name = d.assignor;
	if (in->include_authorized_operations)
		g->authorized_operations = GROUP_OPS;
	g->members.n = (int32_t)d.n;
	g->members.v = KAFKA_ARRAY(rq->arena, kafka_share_group_describe_res_member, d.n);
	for (size_t i = 0; i < d.n; i++)
		describe_member(rq, &d.members[i], &g->members.v[i]);
}

void mqs_handle_share_group_describe(struct mqs_request *rq)
{
	const struct kafka_share_group_describe_req *in = rq->in;
	struct kafka_share_group_describe_res *res = KAFKA_NEW(rq->arena, kafka_share_group_describe_res);
	int32_t n = in->group_ids.n > 0 && in->group_ids.n < DESCRIBED_MAX ? in->group_ids.n : 0;

	res->groups.n = n;
	res->groups.v = KAFKA_ARRAY(rq->arena, kafka_share_group_describe_res_group, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		res->groups.v[i].group_id = in->group_ids.v[i];
		describe(rq, &res->groups.v[i]);
	}
	mqs_answer(rq, res);
}
