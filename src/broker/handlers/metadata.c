/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	TOPIC_OPS = 1 << OP_READ | 1 << OP_WRITE | 1 << OP_CREATE | 1 << OP_DELETE | 1 << OP_ALTER | 1 << OP_DESCRIBE |
		    1 << OP_DESCRIBE_CONFIGS | 1 << OP_ALTER_CONFIGS,
	CLUSTER_OPS = 1 << OP_CREATE | 1 << OP_ALTER | 1 << OP_DESCRIBE | 1 << OP_CLUSTER_ACTION |
		      1 << OP_DESCRIBE_CONFIGS | 1 << OP_ALTER_CONFIGS | 1 << OP_IDEMPOTENT_WRITE,
	ASKED_MAX = 20000,
	PARTS_MAX = 500000
};

/* Telemetry is answered and not offered, as by a Kafka without a receiver for it: clients would only log about it. */
static bool offered(int key, void *arg)
{
	return key != KAFKA_API_GET_TELEMETRY_SUBSCRIPTIONS && key != KAFKA_API_PUSH_TELEMETRY &&
	       mqs_handlers[key].where != MQS_ABSENT;
}

static const struct {
	const char *name;
	int16_t min, max, level;
} features[] = {
	{"metadata.version", 1, 25, 25},
	{"group.version", 0, 1, 1},
	{"transaction.version", 0, 2, 2},
	{"share.version", 0, 1, 1},
};

void mqs_handle_api_versions(struct mqs_request *rq)
{
	const struct kafka_api_versions_req *in = rq->in;
	struct kafka_api_versions_res *res = KAFKA_NEW(rq->arena, kafka_api_versions_res);
	struct mqs_peer *peer = mqs_peer(rq);

	snprintf(peer->client_software, sizeof(peer->client_software), "%.*s %.*s", STR_FMT(in->client_software_name),
		 STR_FMT(in->client_software_version));
	kafka_api_versions_fill(res, rq->arena, offered, NULL);
	res->supported_features.n = res->finalized_features.n = ARRAY_LEN(features);
	res->supported_features.v =
		KAFKA_ARRAY(rq->arena, kafka_api_versions_res_supported_feature, ARRAY_LEN(features));
	res->finalized_features.v =
		KAFKA_ARRAY(rq->arena, kafka_api_versions_res_finalized_feature, ARRAY_LEN(features));
	for (size_t i = 0; i < ARRAY_LEN(features); i++) {
		struct kafka_api_versions_res_supported_feature *s = &res->supported_features.v[i];
		struct kafka_api_versions_res_finalized_feature *f = &res->finalized_features.v[i];

		s->name = f->name = str_of(features[i].name);
		s->min_version = features[i].min;
		s->max_version = features[i].max;
		f->max_version_level = f->min_version_level = features[i].level;
	}
	res->finalized_features_epoch = 1;
	mqs_answer(rq, res);
}

static int32_t *one_node(struct mqs_request *rq)
{
	int32_t *v = ARENA_NEW(rq->arena, int32_t);

	*v = MQS_NODE_ID;
	return v;
}

static int32_t ops_of(struct mqs_request *rq, int resource, struct str name, int all)
{
	int32_t ops = 0;

	for (int op = OP_READ; op <= OP_IDEMPOTENT_WRITE; op++)
		if ((all & 1 << op) && mqs_may(rq, resource, name, op))
			ops |= 1 << op;
	return ops;
}

static void describe_parts(struct mqs_request *rq, struct mqs_topic *t, struct kafka_metadata_res_topic *out)
{
	struct mqs_parts *parts = atomic_load(&t->parts);
	int32_t *node = one_node(rq);

	out->partitions.n = parts->n;
	out->partitions.v = KAFKA_ARRAY(rq->arena, kafka_metadata_res_partition, (size_t)parts->n);
	for (int32_t i = 0; i < parts->n; i++) {
		struct kafka_metadata_res_partition *p = &out->partitions.v[i];
		struct plog_info info;

		plog_info(parts->v[i]->log, &info);
		p->partition_index = i;
		p->leader_id = MQS_NODE_ID;
		p->leader_epoch = info.leader_epoch;
		p->replica_nodes.v = p->isr_nodes.v = node;
		p->replica_nodes.n = p->isr_nodes.n = 1;
		p->offline_replicas.n = 0;
	}
}

static void describe(struct mqs_request *rq, struct mqs_topic *t, bool ops, struct kafka_metadata_res_topic *out)
{
	out->error_code = 0;
	out->name = t->name;
	out->topic_id = t->id;
	describe_parts(rq, t, out);
	if (ops)
		out->topic_authorized_operations = ops_of(rq, ACL_TOPIC, t->name, TOPIC_OPS);
}

static int auto_create(struct mqs_request *rq, struct str name)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_settings none = {0};
	struct kafka_uuid id;
	const char *text;
	int rc = mqs_topic_check(b, name, &text);

	if (rc == 0)
		rc = mqs_topic_create(b, name, b->options.default_partitions, &none, &id);
	return rc == KAFKA_ERR_TOPIC_ALREADY_EXISTS ? 0 : rc;
}

static void metadata_topic(struct mqs_request *rq, const struct kafka_metadata_req_topic *asked, bool create,
			   struct kafka_metadata_res_topic *out)
{
	const struct kafka_metadata_req *in = rq->in;
	bool by_id = !asked->name.p || !kafka_uuid_is_zero(asked->topic_id);
	struct mqs_topic *t = by_id ? mqs_topic_of_id(rq, asked->topic_id) : mqs_topic_of(rq, asked->name);
	struct str name = t ? t->name : asked->name;
	int rc = by_id ? KAFKA_ERR_UNKNOWN_TOPIC_ID : KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;

	out->name = by_id ? STR_NONE : asked->name;
	out->topic_id = asked->topic_id;
	if (name.p && !mqs_may(rq, ACL_TOPIC, name, OP_DESCRIBE)) {
		out->error_code = by_id ? KAFKA_ERR_UNKNOWN_TOPIC_ID : KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
		return;
	}
	if (!t && create && !by_id) {
		rc = mqs_may(rq, ACL_TOPIC, name, OP_CREATE) || mqs_may_cluster(rq, OP_CREATE)
			     ? auto_create(rq, name)
			     : KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
		t = rc == 0 ? mqs_topic_of(rq, name) : NULL;
	}
	if (t) {
		describe(rq, t, in->include_topic_authorized_operations, out);
		return;
	}
	const char *text;
	int wrong = by_id ? 0 : mqs_topic_check(mqs_broker(rq), name, &text);

	out->error_code = (int16_t)(wrong == KAFKA_ERR_INVALID_TOPIC_EXCEPTION ? wrong : rc);
}

static void metadata_all(struct mqs_request *rq, struct kafka_metadata_res *res)
{
	const struct kafka_metadata_req *in = rq->in;
	size_t n;
	struct mqs_topic **v = mqs_topics_all(rq, &n);

	res->topics.n = 0;
	res->topics.v = KAFKA_ARRAY(rq->arena, kafka_metadata_res_topic, n);
	for (size_t i = 0; i < n; i++)
		if (mqs_may(rq, ACL_TOPIC, v[i]->name, OP_DESCRIBE))
			describe(rq, v[i], in->include_topic_authorized_operations, &res->topics.v[res->topics.n++]);
}

static void metadata_answer(struct mqs_request *rq, bool create)
{
	const struct kafka_metadata_req *in = rq->in;
	const struct mqs_listener *l = mqs_listener_of(rq);
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_metadata_res *res = KAFKA_NEW(rq->arena, kafka_metadata_res);

	res->brokers.n = 1;
	res->brokers.v = KAFKA_ARRAY(rq->arena, kafka_metadata_res_broker, 1);
	res->brokers.v[0].node_id = MQS_NODE_ID;
	res->brokers.v[0].host = str_of(l->advertised_host);
	res->brokers.v[0].port = l->advertised_port;
	res->cluster_id = b->cluster_id;
	res->controller_id = MQS_NODE_ID;
	if (in->include_cluster_authorized_operations)
		res->cluster_authorized_operations = ops_of(rq, ACL_CLUSTER, STR("kafka-cluster"), CLUSTER_OPS);
	if (in->topics.n < 0 || (rq->head.version == 0 && in->topics.n == 0)) {
		metadata_all(rq, res);
	} else {
		res->topics.n = in->topics.n;
		res->topics.v = KAFKA_ARRAY(rq->arena, kafka_metadata_res_topic, (size_t)in->topics.n);
		for (int32_t i = 0; i < in->topics.n; i++)
			metadata_topic(rq, &in->topics.v[i], create, &res->topics.v[i]);
	}
	mqs_answer(rq, res);
}

static void metadata_create(struct mqs_request *rq)
{
	metadata_answer(rq, true);
}

/* A topic that is named many times is described as often: that needs a limit. */
static bool too_much(struct mqs_request *rq)
{
	const struct kafka_metadata_req *in = rq->in;
	int64_t parts = 0;

	if (in->topics.n > ASKED_MAX)
		return true;
	for (int32_t i = 0; i < in->topics.n && parts <= PARTS_MAX; i++) {
		struct mqs_topic *t = in->topics.v[i].name.p ? mqs_topic_of(rq, in->topics.v[i].name)
							     : mqs_topic_of_id(rq, in->topics.v[i].topic_id);

		parts += t ? atomic_load(&t->parts)->n : 0;
	}
	return parts > PARTS_MAX;
}

void mqs_handle_metadata(struct mqs_request *rq)
{
	const struct kafka_metadata_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	bool create = b->options.auto_create && (rq->head.version < 4 || in->allow_auto_topic_creation);

	if (too_much(rq)) {
		mqs_hang_up(rq);
		return;
	}
	for (int32_t i = 0; create && i < in->topics.n; i++) {
		const struct kafka_metadata_req_topic *t = &in->topics.v[i];

		if (t->name.p && !mqs_topic_of(rq, t->name)) {
			mqs_to_worker(rq, metadata_create);
			return;
		}
	}
	metadata_answer(rq, false);
}

void mqs_handle_describe_cluster(struct mqs_request *rq)
{
	const struct kafka_describe_cluster_req *in = rq->in;
	const struct mqs_listener *l = mqs_listener_of(rq);
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_describe_cluster_res *res = KAFKA_NEW(rq->arena, kafka_describe_cluster_res);

	res->endpoint_type = in->endpoint_type;
	res->cluster_id = b->cluster_id;
	if (in->endpoint_type != 1) {
		res->error_code = in->endpoint_type == 2 ? KAFKA_ERR_MISMATCHED_ENDPOINT_TYPE
							 : KAFKA_ERR_UNSUPPORTED_ENDPOINT_TYPE;
		mqs_answer(rq, res);
		return;
	}
	res->controller_id = MQS_NODE_ID;
	res->brokers.n = 1;
	res->brokers.v = KAFKA_ARRAY(rq->arena, kafka_describe_cluster_res_broker, 1);
	res->brokers.v[0].broker_id = MQS_NODE_ID;
	res->brokers.v[0].host = str_of(l->advertised_host);
	res->brokers.v[0].port = l->advertised_port;
	if (in->include_cluster_authorized_operations)
		res->cluster_authorized_operations = ops_of(rq, ACL_CLUSTER, STR("kafka-cluster"), CLUSTER_OPS);
	mqs_answer(rq, res);
}

static void describe_more(struct mqs_request *rq, struct mqs_topic *t, int32_t from, int32_t n,
			  struct kafka_describe_topic_partitions_res_topic *out)
{
	int32_t *node = one_node(rq);

	out->name = t->name;
	out->topic_id = t->id;
	out->topic_authorized_operations = ops_of(rq, ACL_TOPIC, t->name, TOPIC_OPS);
	out->partitions.n = n;
	out->partitions.v = KAFKA_ARRAY(rq->arena, kafka_describe_topic_partitions_res_partition, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		struct kafka_describe_topic_partitions_res_partition *p = &out->partitions.v[i];
		struct plog_info info;

		plog_info(mqs_part_of(t, from + i)->log, &info);
		p->partition_index = from + i;
		p->leader_id = MQS_NODE_ID;
		p->leader_epoch = info.leader_epoch;
		p->replica_nodes.v = p->isr_nodes.v = node;
		p->replica_nodes.n = p->isr_nodes.n = 1;
		p->eligible_leader_replicas.n = p->last_known_elr.n = p->offline_replicas.n = 0;
	}
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* The names asked for, sorted, or all; from the cursor on. */
static struct str *names_from(struct mqs_request *rq, size_t *ret_n)
{
	const struct kafka_describe_topic_partitions_req *in = rq->in;
	size_t n = 0, kept = 0;
	struct str *v;

	if (in->topics.n <= 0) {
		struct mqs_topic **all = mqs_topics_all(rq, &n);

		v = ARENA_ARRAY(rq->arena, struct str, n + 1);
		for (size_t i = 0; i < n; i++)
			v[i] = all[i]->name;
	} else {
		n = (size_t)in->topics.n;
		v = ARENA_ARRAY(rq->arena, struct str, n + 1);
		for (size_t i = 0; i < n; i++)
			v[i] = in->topics.v[i].name;
		qsort(v, n, sizeof(v[0]), by_text);
	}
	for (size_t i = 0; i < n; i++)
		if (!in->cursor || str_cmp(v[i], in->cursor->topic_name) >= 0)
			v[kept++] = v[i];
	*ret_n = kept;
	return v;
}

void mqs_handle_describe_topic_partitions(struct mqs_request *rq)
{
	const struct kafka_describe_topic_partitions_req *in = rq->in;
	struct kafka_describe_topic_partitions_res *res = KAFKA_NEW(rq->arena, kafka_describe_topic_partitions_res);
	int32_t left = in->response_partition_limit > 0 && in->response_partition_limit < 2000
			       ? in->response_partition_limit
			       : 2000;
	bool all = in->topics.n <= 0;
	size_t n;
	struct str *names = names_from(rq, &n);

	res->topics.n = 0;
	res->topics.v = KAFKA_ARRAY(rq->arena, kafka_describe_topic_partitions_res_topic, n);
	for (size_t i = 0; i < n; i++) {
		struct mqs_topic *t = mqs_topic_of(rq, names[i]);
		bool may = mqs_may(rq, ACL_TOPIC, names[i], OP_DESCRIBE);
		int32_t from = in->cursor && str_eq(in->cursor->topic_name, names[i]) ? in->cursor->partition_index : 0;

		if (all && (!may || !t))
			continue;
		if (left == 0) {
			res->next_cursor = KAFKA_NEW(rq->arena, kafka_describe_topic_partitions_res_next_cursor);
			res->next_cursor->topic_name = names[i];
			res->next_cursor->partition_index = from;
			break;
		}
		struct kafka_describe_topic_partitions_res_topic *out = &res->topics.v[res->topics.n++];

		out->name = names[i];
		if (!may || !t) {
			out->error_code =
				may ? KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
			continue;
		}
		int32_t count = atomic_load(&t->parts)->n, rest = from >= 0 && from < count ? count - from : 0;
		int32_t take = rest < left ? rest : left;

		describe_more(rq, t, from, take, out);
		left -= take;
		if (take < rest) {
			res->next_cursor = KAFKA_NEW(rq->arena, kafka_describe_topic_partitions_res_next_cursor);
			res->next_cursor->topic_name = names[i];
			res->next_cursor->partition_index = from + take;
			break;
		}
	}
	mqs_answer(rq, res);
}
