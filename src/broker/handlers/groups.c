/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

/* Requests of consumer groups: translated for the group coordinator, whose answers come back through calls. */

enum { MANY = 20000, DESCRIBED_MAX = 2000 };

static void lock(struct mqs_request *rq)
{
	struct mqs_broker *b = mqs_broker(rq);

	pthread_mutex_lock(&b->coord);
}

static void unlock(struct mqs_broker *b)
{
	pthread_mutex_unlock(&b->coord);
}

static bool may_read(struct mqs_request *rq, struct str group)
{
	return mqs_may(rq, ACL_GROUP, group, OP_READ);
}

/* ---- coordinator ---- */

static int16_t find_code(struct mqs_request *rq, int type, struct str key)
{
	if (type != 0 && type != 1)
		return KAFKA_ERR_INVALID_REQUEST;
	if (type == 0 && !mqs_may(rq, ACL_GROUP, key, OP_DESCRIBE))
		return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
	if (type == 1 && !mqs_may(rq, ACL_TXN, key, OP_DESCRIBE))
		return KAFKA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	return 0;
}

void mqs_handle_find_coordinator(struct mqs_request *rq)
{
	const struct kafka_find_coordinator_req *in = rq->in;
	const struct mqs_listener *l = mqs_listener_of(rq);
	struct kafka_find_coordinator_res *res = KAFKA_NEW(rq->arena, kafka_find_coordinator_res);
	int32_t n = in->coordinator_keys.n > 0 ? in->coordinator_keys.n : 0;

	if (n > MANY) {
		mqs_hang_up(rq);
		return;
	}
	res->error_code = rq->head.version < 4 ? find_code(rq, in->key_type, in->key) : 0;
	res->node_id = res->error_code ? -1 : MQS_NODE_ID;
	res->host = res->error_code ? STR("") : str_of(l->advertised_host);
	res->port = res->error_code ? -1 : l->advertised_port;
	res->coordinators.n = n;
	res->coordinators.v = KAFKA_ARRAY(rq->arena, kafka_find_coordinator_res_coordinator, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		struct kafka_find_coordinator_res_coordinator *c = &res->coordinators.v[i];

		c->key = in->coordinator_keys.v[i];
		c->error_code = find_code(rq, in->key_type, c->key);
		c->node_id = c->error_code ? -1 : MQS_NODE_ID;
		c->host = c->error_code ? STR("") : str_of(l->advertised_host);
		c->port = c->error_code ? -1 : l->advertised_port;
	}
	mqs_answer(rq, res);
}

/* ---- membership ---- */

static void on_join(struct mqs_call *call, const struct group_reply *r)
{
	struct mqs_request *rq = call->rq;
	struct kafka_join_group_res *res = KAFKA_NEW(rq->arena, kafka_join_group_res);

	res->error_code = r->code;
	res->generation_id = -1;
	res->member_id = r->member_id.p ? r->member_id : STR("");
	res->leader = STR("");
	res->protocol_name = rq->head.version < 7 ? STR("") : STR_NONE;
	res->members.n = 0;
	if (r->code == COORD_OK) {
		res->generation_id = r->join.generation;
		res->protocol_type = r->join.protocol_type;
		res->protocol_name = r->join.protocol_name;
		res->leader = r->join.leader;
		res->skip_assignment = r->join.skip_assignment;
		res->members.n = (int32_t)r->join.n;
		res->members.v = KAFKA_ARRAY(rq->arena, kafka_join_group_res_member, r->join.n);
		for (size_t i = 0; i < r->join.n; i++) {
			res->members.v[i].member_id = r->join.members[i].member_id;
			res->members.v[i].group_instance_id = r->join.members[i].instance_id;
			res->members.v[i].metadata = r->join.members[i].metadata;
		}
	}
	mqs_answer(rq, res);
}

static void refuse_join(struct mqs_request *rq, int16_t code)
{
	struct mqs_call call = {.rq = rq};

	on_join(&call, &(struct group_reply){.code = code});
}

void mqs_handle_join_group(struct mqs_request *rq)
{
	const struct kafka_join_group_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	size_t n = in->protocols.n > 0 && in->protocols.n < MANY ? (size_t)in->protocols.n : 0;
	struct group_protocol *v = ARENA_ARRAY(rq->arena, struct group_protocol, n + 1);

	if (!may_read(rq, in->group_id)) {
		refuse_join(rq, KAFKA_ERR_GROUP_AUTHORIZATION_FAILED);
		return;
	}
	for (size_t i = 0; i < n; i++)
		v[i] = (struct group_protocol){in->protocols.v[i].name, in->protocols.v[i].metadata};
	struct mqs_call *call = mqs_call_new(rq);
	struct group_join join = {.group_id = in->group_id,
				  .member_id = in->member_id,
				  .instance_id = in->group_instance_id,
				  .protocol_type = in->protocol_type,
				  .session_timeout_ms = in->session_timeout_ms,
				  .rebalance_timeout_ms = rq->head.version == 0 ? -1 : in->rebalance_timeout_ms,
				  .protocols = v,
				  .n = n,
				  .version = rq->head.version,
				  .client = mqs_client(rq)};

	call->group = on_join;
	lock(rq);
	group_join(b->groups, &join, mqs_token(call), mqs_now());
	unlock(b);
}

static void on_sync(struct mqs_call *call, const struct group_reply *r)
{
	struct kafka_sync_group_res *res = KAFKA_NEW(call->rq->arena, kafka_sync_group_res);

	res->error_code = r->code;
	res->assignment = STR("");
	if (r->code == COORD_OK) {
		res->protocol_type = r->sync.protocol_type;
		res->protocol_name = r->sync.protocol_name;
		res->assignment = r->sync.assignment.p ? r->sync.assignment : STR("");
	}
	mqs_answer(call->rq, res);
}

void mqs_handle_sync_group(struct mqs_request *rq)
{
	const struct kafka_sync_group_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	size_t n = in->assignments.n > 0 && in->assignments.n < MANY ? (size_t)in->assignments.n : 0;
	struct group_assignment *v = ARENA_ARRAY(rq->arena, struct group_assignment, n + 1);
	struct mqs_call *call = mqs_call_new(rq);

	call->group = on_sync;
	if (!may_read(rq, in->group_id)) {
		on_sync(call, &(struct group_reply){.code = KAFKA_ERR_GROUP_AUTHORIZATION_FAILED});
		return;
	}
	for (size_t i = 0; i < n; i++)
		v[i] = (struct group_assignment){in->assignments.v[i].member_id, in->assignments.v[i].assignment};
	struct group_sync sync = {.group_id = in->group_id,
				  .member_id = in->member_id,
				  .instance_id = in->group_instance_id,
				  .protocol_type = in->protocol_type,
				  .protocol_name = in->protocol_name,
				  .generation = in->generation_id,
				  .assignments = v,
				  .n = n};

	lock(rq);
	group_sync(b->groups, &sync, mqs_token(call), mqs_now());
	unlock(b);
}

void mqs_handle_heartbeat(struct mqs_request *rq)
{
	const struct kafka_heartbeat_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_heartbeat_res *res = KAFKA_NEW(rq->arena, kafka_heartbeat_res);

	if (may_read(rq, in->group_id)) {
		lock(rq);
		res->error_code = group_heartbeat(b->groups, in->group_id, in->member_id, in->group_instance_id,
						  in->generation_id, mqs_now());
		unlock(b);
	} else {
		res->error_code = KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
	}
	mqs_answer(rq, res);
}

static void on_leave(struct mqs_call *call, const struct group_reply *r)
{
	struct mqs_request *rq = call->rq;
	const struct kafka_leave_group_req *in = rq->in;
	struct kafka_leave_group_res *res = KAFKA_NEW(rq->arena, kafka_leave_group_res);

	res->error_code = r->code;
	res->members.n = 0;
	if (rq->head.version < 3) {
		if (r->code == COORD_OK && r->each.n)
			res->error_code = r->each.codes[0];
	} else if (r->code == COORD_OK) {
		res->members.n = (int32_t)r->each.n;
		res->members.v = KAFKA_ARRAY(rq->arena, kafka_leave_group_res_member, r->each.n);
		for (size_t i = 0; i < r->each.n; i++) {
			res->members.v[i].member_id = in->members.v[i].member_id;
			res->members.v[i].group_instance_id = in->members.v[i].group_instance_id;
			res->members.v[i].error_code = r->each.codes[i];
		}
	}
	mqs_answer(rq, res);
}

void mqs_handle_leave_group(struct mqs_request *rq)
{
	const struct kafka_leave_group_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	bool one = rq->head.version < 3;
	size_t n = one ? 1 : in->members.n > 0 && in->members.n < MANY ? (size_t)in->members.n : 0;
	struct group_leaver *v = ARENA_ARRAY(rq->arena, struct group_leaver, n + 1);
	struct mqs_call *call = mqs_call_new(rq);

	call->group = on_leave;
	if (!may_read(rq, in->group_id)) {
		on_leave(call, &(struct group_reply){.code = KAFKA_ERR_GROUP_AUTHORIZATION_FAILED});
		return;
	}
	v[0].member_id = in->member_id;
	for (size_t i = 0; !one && i < n; i++)
		v[i] = (struct group_leaver){in->members.v[i].member_id, in->members.v[i].group_instance_id};
	lock(rq);
	group_leave(b->groups, in->group_id, v, n, mqs_token(call), mqs_now());
	unlock(b);
}

/* ---- KIP-848 ---- */

static void fill_assignment(struct mqs_request *rq, const struct group_reply *r,
			    struct kafka_consumer_group_heartbeat_res *res)
{
	res->assignment = KAFKA_NEW(rq->arena, kafka_consumer_group_heartbeat_res_assignment);
	res->assignment->topic_partitions.n = 0;
	res->assignment->topic_partitions.v =
		KAFKA_ARRAY(rq->arena, kafka_consumer_group_heartbeat_res_topic_partitions, r->consumer.n);
	for (size_t i = 0, end; i < r->consumer.n; i = end) {
		struct kafka_consumer_group_heartbeat_res_topic_partitions *t =
			&res->assignment->topic_partitions.v[res->assignment->topic_partitions.n++];

		for (end = i; end < r->consumer.n && memcmp(&r->consumer.v[end].topic, &r->consumer.v[i].topic,
							    sizeof(struct coord_uuid)) == 0;)
			end++;
		memcpy(t->topic_id.b, r->consumer.v[i].topic.b, sizeof(t->topic_id.b));
		t->partitions.n = (int32_t)(end - i);
		t->partitions.v = ARENA_ARRAY(rq->arena, int32_t, end - i);
		for (size_t k = i; k < end; k++)
			t->partitions.v[k - i] = r->consumer.v[k].partition;
	}
}

static void on_consumer_heartbeat(struct mqs_call *call, const struct group_reply *r)
{
	struct mqs_request *rq = call->rq;
	struct kafka_consumer_group_heartbeat_res *res = KAFKA_NEW(rq->arena, kafka_consumer_group_heartbeat_res);

	res->error_code = r->code;
	res->error_message = r->message;
	res->member_id = r->member_id;
	if (r->code == COORD_OK) {
		res->member_epoch = r->consumer.epoch;
		res->heartbeat_interval_ms = r->consumer.interval_ms;
		if (r->consumer.has_assignment)
			fill_assignment(rq, r, res);
	}
	mqs_answer(rq, res);
}

static struct group_partition *owned(struct mqs_request *rq, size_t *ret_n)
{
	const struct kafka_consumer_group_heartbeat_req *in = rq->in;
	size_t n = 0;

	*ret_n = 0;
	if (in->topic_partitions.n < 0)
		return NULL;
	for (int32_t i = 0; i < in->topic_partitions.n; i++)
		n += in->topic_partitions.v[i].partitions.n > 0 ? (size_t)in->topic_partitions.v[i].partitions.n : 0;
	struct group_partition *v = ARENA_ARRAY(rq->arena, struct group_partition, n + 1);

	for (int32_t i = 0; i < in->topic_partitions.n; i++)
		for (int32_t k = 0; k < in->topic_partitions.v[i].partitions.n; k++) {
			struct group_partition *p = &v[(*ret_n)++];

			memcpy(p->topic.b, in->topic_partitions.v[i].topic_id.b, sizeof(p->topic.b));
			p->partition = in->topic_partitions.v[i].partitions.v[k];
		}
	return v;
}

void mqs_handle_consumer_group_heartbeat(struct mqs_request *rq)
{
	const struct kafka_consumer_group_heartbeat_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_call *call = mqs_call_new(rq);
	struct group_consumer_heartbeat hb = {
		.group_id = in->group_id,
		.member_id = in->member_id,
		.instance_id = in->instance_id,
		.rack_id = in->rack_id,
		.assignor = in->server_assignor,
		.regex = in->subscribed_topic_regex,
		.epoch = in->member_epoch,
		.rebalance_timeout_ms = in->rebalance_timeout_ms,
		.topics = in->subscribed_topic_names.n < 0    ? NULL
			  : in->subscribed_topic_names.n == 0 ? ARENA_NEW(rq->arena, struct str)
							      : in->subscribed_topic_names.v,
		.n_topics = in->subscribed_topic_names.n > 0 ? (size_t)in->subscribed_topic_names.n : 0,
		.client = mqs_client(rq)};

	call->group = on_consumer_heartbeat;
	hb.owned = owned(rq, &hb.n_owned);
	int16_t code = may_read(rq, in->group_id) ? 0 : KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;

	for (size_t i = 0; i < hb.n_topics && !code; i++)
		if (!mqs_may(rq, ACL_TOPIC, hb.topics[i], OP_DESCRIBE))
			code = KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
	if (code) {
		on_consumer_heartbeat(call, &(struct group_reply){.code = code});
		return;
	}
	lock(rq);
	group_consumer_heartbeat(b->groups, &hb, mqs_token(call), mqs_now());
	unlock(b);
}

static void describe_assignment(struct mqs_request *rq, const struct group_partition *v, size_t n,
				struct kafka_consumer_group_describe_res_assignment *out)
{
	out->topic_partitions.n = 0;
	out->topic_partitions.v = KAFKA_ARRAY(rq->arena, kafka_consumer_group_describe_res_topic_partitions, n);
	for (size_t i = 0, end; i < n; i = end) {
		struct kafka_consumer_group_describe_res_topic_partitions *t =
			&out->topic_partitions.v[out->topic_partitions.n++];

		for (end = i; end < n && memcmp(&v[end].topic, &v[i].topic, sizeof(v[i].topic)) == 0;)
			end++;
		memcpy(t->topic_id.b, v[i].topic.b, sizeof(t->topic_id.b));
		struct mqs_topic *topic = mqs_topic_of_id(rq, t->topic_id);

		t->topic_name = topic ? topic->name : STR("");
		t->partitions.n = (int32_t)(end - i);
		t->partitions.v = ARENA_ARRAY(rq->arena, int32_t, end - i);
		for (size_t k = i; k < end; k++)
			t->partitions.v[k - i] = v[k].partition;
	}
}

static void describe_member(struct mqs_request *rq, const struct group_described_member *m,
			    struct kafka_consumer_group_describe_res_member *out)
{
	out->member_id = m->member_id;
	out->instance_id = m->instance_id;
	out->rack_id = m->rack_id;
	out->member_epoch = m->epoch;
	out->client_id = m->client_id;
	out->client_host = m->host;
	out->subscribed_topic_names.n = (int32_t)m->n_topics;
	out->subscribed_topic_names.v = (struct str *)(uintptr_t)m->topics;
	out->subscribed_topic_regex = m->regex;
	out->member_type = 1;
	describe_assignment(rq, m->assigned, m->n_assigned, &out->assignment);
	describe_assignment(rq, m->target, m->n_target, &out->target_assignment);
}

static bool parts_visible(struct mqs_request *rq, const struct group_partition *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct kafka_uuid id;

		if (i > 0 && memcmp(&v[i].topic, &v[i - 1].topic, sizeof(v[i].topic)) == 0)
			continue;
		memcpy(id.b, v[i].topic.b, sizeof(id.b));
		struct mqs_topic *t = mqs_topic_of_id(rq, id);

		if (t && !mqs_may(rq, ACL_TOPIC, t->name, OP_DESCRIBE))
			return false;
	}
	return true;
}

/* Whoever may not know of a topic may not learn of it by a group that reads it. */
bool mqs_group_visible(struct mqs_request *rq, const struct group_described *d)
{
	for (size_t i = 0; i < d->n; i++) {
		const struct group_described_member *m = &d->members[i];

		for (size_t k = 0; k < m->n_topics; k++)
			if (!mqs_may(rq, ACL_TOPIC, m->topics[k], OP_DESCRIBE))
				return false;
		if (!parts_visible(rq, m->assigned, m->n_assigned) || !parts_visible(rq, m->target, m->n_target))
			return false;
	}
	return true;
}

enum { GROUP_OPS = 1 << OP_READ | 1 << OP_DELETE | 1 << OP_DESCRIBE };

void mqs_handle_consumer_group_describe(struct mqs_request *rq)
{
	const struct kafka_consumer_group_describe_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_consumer_group_describe_res *res = KAFKA_NEW(rq->arena, kafka_consumer_group_describe_res);
	int32_t n = in->group_ids.n > 0 && in->group_ids.n < DESCRIBED_MAX ? in->group_ids.n : 0;

	res->groups.n = n;
	res->groups.v = KAFKA_ARRAY(rq->arena, kafka_consumer_group_describe_res_group, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		struct kafka_consumer_group_describe_res_group *g = &res->groups.v[i];
		struct group_described d = {0};

		g->group_id = in->group_ids.v[i];
		g->group_state = g->assignor_name = STR("");
		g->members.n = 0;
		if (!mqs_may(rq, ACL_GROUP, g->group_id, OP_DESCRIBE)) {
			g->error_code = KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
			continue;
		}
		lock(rq);
		group_consumer_describe(b->groups, g->group_id, rq->arena, &d);
		unlock(b);
		g->error_code = d.code;
		if (d.code)
			continue;
		if (!mqs_group_visible(rq, &d)) {
			g->error_code = KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
			g->error_message = STR("the group reads topics that you may not describe");
			continue;
		}
		g->group_state = d.state;
		g->group_epoch = d.epoch;
		g->assignment_epoch = d.assignment_epoch;
		g->assignor_name = d.assignor;
		if (in->include_authorized_operations)
			g->authorized_operations = GROUP_OPS;
		g->members.n = (int32_t)d.n;
		g->members.v = KAFKA_ARRAY(rq->arena, kafka_consumer_group_describe_res_member, d.n);
		for (size_t k = 0; k < d.n; k++)
			describe_member(rq, &d.members[k], &g->members.v[k]);
	}
	mqs_answer(rq, res);
}

/* ---- looking ---- */

static void describe_classic(struct mqs_request *rq, struct str group, struct kafka_describe_groups_res_group *g)
{
	const struct kafka_describe_groups_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct group_described d = {0};

	g->group_id = group;
	g->group_state = g->protocol_type = g->protocol_data = STR("");
	g->members.n = 0;
	if (!mqs_may(rq, ACL_GROUP, group, OP_DESCRIBE)) {
		g->error_code = KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
		return;
	}
	lock(rq);
	group_describe(b->groups, group, rq->arena, &d);
	unlock(b);
	g->error_code = d.code == COORD_GROUP_ID_NOT_FOUND && rq->head.version < 6 ? 0 : d.code;
	g->group_state = d.state.p ? d.state : STR("Dead");
	g->protocol_type = d.protocol_type.p ? d.protocol_type : STR("");
	g->protocol_data = d.protocol_name.p ? d.protocol_name : STR("");
	if (in->include_authorized_operations)
		g->authorized_operations = GROUP_OPS;
	g->members.n = (int32_t)d.n;
	g->members.v = KAFKA_ARRAY(rq->arena, kafka_describe_groups_res_member, d.n);
	for (size_t k = 0; k < d.n; k++) {
		struct kafka_describe_groups_res_member *m = &g->members.v[k];

		m->member_id = d.members[k].member_id;
		m->group_instance_id = d.members[k].instance_id;
		m->client_id = d.members[k].client_id;
		m->client_host = d.members[k].host;
		m->member_metadata = d.members[k].metadata.p ? d.members[k].metadata : STR("");
		m->member_assignment = d.members[k].assignment.p ? d.members[k].assignment : STR("");
	}
}

void mqs_handle_describe_groups(struct mqs_request *rq)
{
	const struct kafka_describe_groups_req *in = rq->in;
	struct kafka_describe_groups_res *res = KAFKA_NEW(rq->arena, kafka_describe_groups_res);
	int32_t n = in->groups.n > 0 && in->groups.n < DESCRIBED_MAX ? in->groups.n : 0;

	res->groups.n = n;
	res->groups.v = KAFKA_ARRAY(rq->arena, kafka_describe_groups_res_group, (size_t)n);
	for (int32_t i = 0; i < n; i++)
		describe_classic(rq, in->groups.v[i], &res->groups.v[i]);
	mqs_answer(rq, res);
}

void mqs_handle_list_groups(struct mqs_request *rq)
{
	const struct kafka_list_groups_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_list_groups_res *res = KAFKA_NEW(rq->arena, kafka_list_groups_res);
	const struct group_listed *v;

	lock(rq);
	size_t n =
		group_list(b->groups, in->states_filter.v, in->states_filter.n > 0 ? (size_t)in->states_filter.n : 0,
			   in->types_filter.v, in->types_filter.n > 0 ? (size_t)in->types_filter.n : 0, rq->arena, &v);

	unlock(b);
	res->groups.n = 0;
	res->groups.v = KAFKA_ARRAY(rq->arena, kafka_list_groups_res_group, n);
	for (size_t i = 0; i < n; i++) {
		struct kafka_list_groups_res_group *g = &res->groups.v[res->groups.n];

		if (!mqs_may(rq, ACL_GROUP, v[i].group_id, OP_DESCRIBE))
			continue;
		g->group_id = v[i].group_id;
		g->protocol_type = v[i].protocol_type.p ? v[i].protocol_type : STR("");
		g->group_state = v[i].state;
		g->group_type = v[i].type;
		res->groups.n++;
	}
	mqs_answer(rq, res);
}

/* ---- deletion: several groups, one answer ---- */

struct deletion {
	struct kafka_delete_groups_res *res;
	int32_t pending;
};

static void deleted(struct mqs_call *call, int16_t code)
{
	struct deletion *d = call->res;

	if (call->index >= 0)
		d->res->results.v[call->index].error_code = code;
	if (--d->pending == 0)
		mqs_answer(call->rq, d->res);
}

static void on_deleted(struct mqs_call *call, const struct group_reply *r)
{
	deleted(call, r->code);
}

/* A share group's offsets have gone: first they, so that no later group of that name finds them. */
static void on_share_dropped(struct mqs_call *call, bool ok)
{
	const struct kafka_delete_groups_req *in = call->rq->in;
	struct mqs_broker *b = mqs_broker(call->rq);

	if (ok)
		group_delete(b->groups, in->groups_names.v[call->index], mqs_token(call), mqs_now());
	else
		deleted(call, KAFKA_ERR_COORDINATOR_NOT_AVAILABLE);
}

static bool drop_share(struct mqs_broker *b, struct str group)
{
	bool empty;

	return group_is_share(b->groups, group, &empty) && empty && share_drop(b->share, group, NULL, mqs_now());
}

static struct mqs_call *deletion_call(struct mqs_request *rq, struct deletion *d, int32_t index)
{
	struct mqs_call *call = mqs_call_new(rq);

	call->group = on_deleted;
	call->share = on_share_dropped;
	call->res = d;
	call->index = index;
	return call;
}

void mqs_handle_delete_groups(struct mqs_request *rq)
{
	const struct kafka_delete_groups_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct deletion *d = ARENA_NEW(rq->arena, struct deletion);
	int32_t n = in->groups_names.n > 0 && in->groups_names.n < MANY ? in->groups_names.n : 0;

	d->res = KAFKA_NEW(rq->arena, kafka_delete_groups_res);
	d->res->results.n = n;
	d->res->results.v = KAFKA_ARRAY(rq->arena, kafka_delete_groups_res_result, (size_t)n);
	d->pending = n + 1;
	lock(rq);
	/* Members whose session has just ended are not in the way. */
	if (group_deadline(b->groups) <= mqs_now())
		group_tick(b->groups, mqs_now());
	for (int32_t i = 0; i < n; i++) {
		struct mqs_call *call = deletion_call(rq, d, i);

		d->res->results.v[i].group_id = in->groups_names.v[i];
		if (!mqs_may(rq, ACL_GROUP, in->groups_names.v[i], OP_DELETE))
			deleted(call, KAFKA_ERR_GROUP_AUTHORIZATION_FAILED);
		else if (drop_share(b, in->groups_names.v[i]))
			share_wait(b->share, mqs_token(call), mqs_now());
		else
			group_delete(b->groups, in->groups_names.v[i], mqs_token(call), mqs_now());
	}
	deleted(deletion_call(rq, d, -1), 0);
	unlock(b);
}
