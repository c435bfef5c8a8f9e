/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/quota.h"

#include <stdlib.h>
#include <sys/statvfs.h>

/* Topics made, changed and deleted; on the worker thread. */

enum { MANY = 5000, PARTITIONS_MAX = 20000 };

static bool may_create(struct mqs_request *rq, struct str name)
{
	return mqs_may(rq, ACL_TOPIC, name, OP_CREATE) || mqs_may_cluster(rq, OP_CREATE);
}

static int fail(struct str *ret_text, int code, const char *text)
{
	*ret_text = str_of(text);
	return code;
}

/* Replicas named one by one: there is one node, and numbers go up from 0. */
static int assigned_parts(const struct kafka_create_topics_req_topic *t, int32_t *ret_n, struct str *ret_text)
{
	bool *seen = mem_zalloc((size_t)t->assignments.n);
	int code = 0;

	for (int32_t i = 0; i < t->assignments.n && code == 0; i++) {
		int32_t p = t->assignments.v[i].partition_index;

		if (p < 0 || p >= t->assignments.n || seen[p] || t->assignments.v[i].broker_ids.n != 1 ||
		    t->assignments.v[i].broker_ids.v[0] != MQS_NODE_ID)
			code = fail(ret_text, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT,
				    "each partition from 0 on needs the one replica on node 1");
		else
			seen[p] = true;
	}
	free(seen);
	*ret_n = t->assignments.n;
	return code;
}

static int wanted_parts(struct mqs_request *rq, const struct kafka_create_topics_req_topic *t, int32_t *ret_n,
			struct str *ret_text)
{
	struct mqs_broker *b = mqs_broker(rq);

	if (t->assignments.n > PARTITIONS_MAX)
		return fail(ret_text, KAFKA_ERR_INVALID_PARTITIONS, "too many partitions");
	if (t->assignments.n > 0 && (t->num_partitions != -1 || t->replication_factor != -1))
		return fail(ret_text, KAFKA_ERR_INVALID_REQUEST,
			    "partitions and replication factor must be -1 beside an assignment");
	if (t->assignments.n > 0)
		return assigned_parts(t, ret_n, ret_text);
	if (t->num_partitions == 0 || t->num_partitions < -1 || t->num_partitions > PARTITIONS_MAX)
		return fail(ret_text, KAFKA_ERR_INVALID_PARTITIONS, "the number of partitions is not valid");
	/* More than one replica is accepted as one: clients made for clusters ask for three. */
	if (t->replication_factor == 0 || t->replication_factor < -1)
		return fail(ret_text, KAFKA_ERR_INVALID_REPLICATION_FACTOR, "the replication factor is not valid");
	*ret_n = t->num_partitions == -1 ? b->options.default_partitions : t->num_partitions;
	return 0;
}

static int wanted_settings(const struct kafka_create_topics_req_topic *t, struct mqs_settings *settings,
			   struct str *ret_text)
{
	for (int32_t i = 0; i < t->configs.n; i++) {
		int id = mqs_config_find(t->configs.v[i].name);
		const char *wrong = id < 0                    ? "unknown setting"
				    : t->configs.v[i].value.p ? mqs_config_check(id, t->configs.v[i].value)
							      : NULL;

		if (wrong)
			return fail(ret_text, KAFKA_ERR_INVALID_CONFIG, wrong);
		mqs_settings_set(settings, id, t->configs.v[i].value);
	}
	return 0;
}

static void created_configs(struct mqs_request *rq, const struct mqs_settings *s,
			    struct kafka_create_topics_res_topic *out)
{
	out->configs.n = CFG_COUNT;
	out->configs.v = KAFKA_ARRAY(rq->arena, kafka_create_topics_res_config, CFG_COUNT);
	for (int i = 0; i < CFG_COUNT; i++) {
		int source;

		out->configs.v[i].name = str_of(mqs_config_defs[i].name);
		out->configs.v[i].value = mqs_config_value(mqs_broker(rq), s, i, rq->arena, &source);
		out->configs.v[i].config_source = (int8_t)source;
	}
}

static bool named_twice(const struct kafka_create_topics_req *in, int32_t i)
{
	for (int32_t k = 0; k < in->topics.n; k++)
		if (k != i && str_eq(in->topics.v[k].name, in->topics.v[i].name))
			return true;
	return false;
}

/* Users that make or delete too many partitions are refused; clients that do not know of that only have to wait. */
static int mutate(struct mqs_request *rq, int64_t partitions, int strict_from, int32_t *ret_ms, struct str *ret_text)
{
	if (mqs_quota_mutate(rq, partitions, rq->head.version >= strict_from, ret_ms))
		return 0;
	return fail(ret_text, KAFKA_ERR_THROTTLING_QUOTA_EXCEEDED, "controller_mutation_rate is exceeded");
}

static int create(struct mqs_request *rq, int32_t i, struct kafka_create_topics_res_topic *out, int32_t *ret_ms)
{
	const struct kafka_create_topics_req *in = rq->in;
	const struct kafka_create_topics_req_topic *t = &in->topics.v[i];
	struct mqs_settings settings = {0};
	int32_t parts = 0;
	const char *text;

	if (named_twice(in, i))
		return fail(&out->error_message, KAFKA_ERR_INVALID_REQUEST, "the topic is named twice");
	if (!may_create(rq, t->name))
		return KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
	int code = mqs_topic_check(mqs_broker(rq), t->name, &text);

	if (code)
		return fail(&out->error_message, code, text);
	code = wanted_parts(rq, t, &parts, &out->error_message);
	if (code == 0)
		code = wanted_settings(t, &settings, &out->error_message);
	if (code == 0 && !in->validate_only)
		code = mutate(rq, parts, 6, ret_ms, &out->error_message);
	if (code == 0 && !in->validate_only)
		code = mqs_topic_create(mqs_broker(rq), t->name, parts, &settings, &out->topic_id);
	if (code == 0) {
		out->num_partitions = parts;
		out->replication_factor = 1;
		created_configs(rq, &settings, out);
	}
	mqs_settings_done(&settings);
	return code;
}

void mqs_handle_create_topics(struct mqs_request *rq)
{
	const struct kafka_create_topics_req *in = rq->in;
	struct kafka_create_topics_res *res = KAFKA_NEW(rq->arena, kafka_create_topics_res);
	int32_t n = in->topics.n > 0 && in->topics.n < MANY ? in->topics.n : 0;

	res->topics.n = n;
	res->topics.v = KAFKA_ARRAY(rq->arena, kafka_create_topics_res_topic, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		struct kafka_create_topics_res_topic *out = &res->topics.v[i];

		out->name = in->topics.v[i].name;
		out->num_partitions = -1;
		out->replication_factor = -1;
		out->configs.n = -1;
		out->error_code = (int16_t)create(rq, i, out, &res->throttle_time_ms);
	}
	mqs_answer(rq, res);
}

static void delete_one(struct mqs_request *rq, struct str name, struct kafka_uuid id,
		       struct kafka_delete_topics_res_response *out, int32_t *ret_ms)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_topic *t = name.p ? mqs_topic_of(rq, name) : mqs_topic_of_id(rq, id);

	out->name = name.p ? name : t ? t->name : STR_NONE;
	out->topic_id = id;
	/* Also of names of no topic: the answer must not tell which there are. */
	if (out->name.p && !mqs_may(rq, ACL_TOPIC, out->name, OP_DELETE)) {
		out->error_code = KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
		if (!name.p)
			out->name = STR_NONE;
	} else if (!t) {
		out->error_code = name.p ? KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION : KAFKA_ERR_UNKNOWN_TOPIC_ID;
	} else if (!b->options.delete_topics) {
		out->error_code = KAFKA_ERR_TOPIC_DELETION_DISABLED;
	} else {
		out->topic_id = t->id;
		int code = mutate(rq, atomic_load(&t->parts)->n, 5, ret_ms, &out->error_message);

		out->error_code = (int16_t)(code ? code : mqs_topic_delete(b, t));
	}
}

void mqs_handle_delete_topics(struct mqs_request *rq)
{
	const struct kafka_delete_topics_req *in = rq->in;
	struct kafka_delete_topics_res *res = KAFKA_NEW(rq->arena, kafka_delete_topics_res);
	bool names = rq->head.version < 6;
	int32_t n = names ? in->topic_names.n : in->topics.n;

	n = n > 0 && n < MANY ? n : 0;
	res->responses.n = n;
	res->responses.v = KAFKA_ARRAY(rq->arena, kafka_delete_topics_res_response, (size_t)n);
	for (int32_t i = 0; i < n; i++)
		if (names)
			delete_one(rq, in->topic_names.v[i], (struct kafka_uuid){{0}}, &res->responses.v[i],
				   &res->throttle_time_ms);
		else
			delete_one(rq, in->topics.v[i].name, in->topics.v[i].topic_id, &res->responses.v[i],
				   &res->throttle_time_ms);
	mqs_answer(rq, res);
}

static int grow(struct mqs_request *rq, const struct kafka_create_partitions_req_topic *in, int32_t *ret_ms,
		struct str *ret_text)
{
	const struct kafka_create_partitions_req *all = rq->in;
	struct mqs_topic *t = mqs_topic_of(rq, in->name);

	if (!mqs_may(rq, ACL_TOPIC, in->name, OP_ALTER))
		return KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
	if (!t)
		return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
	int32_t had = atomic_load(&t->parts)->n;

	if (in->count <= had || in->count > PARTITIONS_MAX)
		return fail(ret_text, KAFKA_ERR_INVALID_PARTITIONS, "there must be more partitions than before");
	if (in->assignments.n >= 0 && in->assignments.n != in->count - had)
		return fail(ret_text, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT, "one assignment per new partition");
	for (int32_t i = 0; i < in->assignments.n; i++)
		if (in->assignments.v[i].broker_ids.n != 1 || in->assignments.v[i].broker_ids.v[0] != MQS_NODE_ID)
			return fail(ret_text, KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT, "the one replica is on node 1");
	if (all->validate_only)
		return 0;
	int code = mutate(rq, in->count - had, 3, ret_ms, ret_text);

	return code ? code : mqs_topic_grow(mqs_broker(rq), t, in->count);
}

void mqs_handle_create_partitions(struct mqs_request *rq)
{
	const struct kafka_create_partitions_req *in = rq->in;
	struct kafka_create_partitions_res *res = KAFKA_NEW(rq->arena, kafka_create_partitions_res);
	int32_t n = in->topics.n > 0 && in->topics.n < MANY ? in->topics.n : 0;

	res->results.n = n;
	res->results.v = KAFKA_ARRAY(rq->arena, kafka_create_partitions_res_result, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		res->results.v[i].name = in->topics.v[i].name;
		res->results.v[i].error_code =
			(int16_t)grow(rq, &in->topics.v[i], &res->throttle_time_ms, &res->results.v[i].error_message);
	}
	mqs_answer(rq, res);
}

/* ---- log directories ---- */

/* Whether a partition is asked for; -1: any of the topic. */
static bool wanted(const struct kafka_describe_log_dirs_req *in, struct str topic, int32_t part)
{
	for (int32_t i = 0; i < in->topics.n; i++)
		for (int32_t k = 0; k < in->topics.v[i].partitions.n && str_eq(in->topics.v[i].topic, topic); k++)
			if (part == -1 || in->topics.v[i].partitions.v[k] == part)
				return true;
	return in->topics.n < 0;
}

void mqs_handle_describe_log_dirs(struct mqs_request *rq)
{
	const struct kafka_describe_log_dirs_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_describe_log_dirs_res *res = KAFKA_NEW(rq->arena, kafka_describe_log_dirs_res);
	struct kafka_describe_log_dirs_res_result *r = KAFKA_ARRAY(rq->arena, kafka_describe_log_dirs_res_result, 1);
	struct statvfs fs;
	size_t n;

	res->results.n = 0;
	if (!mqs_may_cluster(rq, OP_DESCRIBE)) {
		res->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		mqs_answer(rq, res);
		return;
	}
	struct mqs_topic **v = mqs_topics_all(rq, &n);

	res->results.n = 1;
	res->results.v = r;
	r->log_dir = str_of(b->options.dir);
	if (statvfs(b->options.dir, &fs) == 0) {
		r->total_bytes = (int64_t)(fs.f_blocks * fs.f_frsize);
		r->usable_bytes = (int64_t)(fs.f_bavail * fs.f_frsize);
	}
	r->topics.n = 0;
	r->topics.v = KAFKA_ARRAY(rq->arena, kafka_describe_log_dirs_res_topic, n);
	for (size_t i = 0; i < n; i++) {
		struct mqs_parts *parts = atomic_load(&v[i]->parts);

		if (!wanted(in, v[i]->name, -1))
			continue;
		struct kafka_describe_log_dirs_res_topic *t = &r->topics.v[r->topics.n++];

		t->name = v[i]->name;
		t->partitions.n = 0;
		t->partitions.v = KAFKA_ARRAY(rq->arena, kafka_describe_log_dirs_res_partition, (size_t)parts->n);
		for (int32_t k = 0; k < parts->n; k++) {
			struct plog_info info;

			if (!wanted(in, t->name, k))
				continue;
			plog_info(parts->v[k]->log, &info);
			t->partitions.v[t->partitions.n].partition_index = k;
			t->partitions.v[t->partitions.n++].partition_size = info.bytes;
		}
	}
	mqs_answer(rq, res);
}

void mqs_handle_alter_replica_log_dirs(struct mqs_request *rq)
{
	const struct kafka_alter_replica_log_dirs_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_alter_replica_log_dirs_res *res = KAFKA_NEW(rq->arena, kafka_alter_replica_log_dirs_res);
	size_t n = 0;

	for (int32_t i = 0; i < in->dirs.n; i++)
		n += in->dirs.v[i].topics.n > 0 ? (size_t)in->dirs.v[i].topics.n : 0;
	res->results.n = 0;
	res->results.v = KAFKA_ARRAY(rq->arena, kafka_alter_replica_log_dirs_res_result, n);
	for (int32_t i = 0; i < in->dirs.n; i++)
		for (int32_t k = 0; k < in->dirs.v[i].topics.n; k++) {
			const struct kafka_alter_replica_log_dirs_req_topic *t = &in->dirs.v[i].topics.v[k];
			struct kafka_alter_replica_log_dirs_res_result *out = &res->results.v[res->results.n++];
			int32_t parts = t->partitions.n > 0 ? t->partitions.n : 0;
			int16_t code = !mqs_may_cluster(rq, OP_ALTER) ? KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED
				       : str_is(in->dirs.v[i].path, b->options.dir) ? 0
										    : KAFKA_ERR_LOG_DIR_NOT_FOUND;

			out->topic_name = t->name;
			out->partitions.n = parts;
			out->partitions.v =
				KAFKA_ARRAY(rq->arena, kafka_alter_replica_log_dirs_res_partition, (size_t)parts);
			for (int32_t p = 0; p < parts; p++) {
				out->partitions.v[p].partition_index = t->partitions.v[p];
				out->partitions.v[p].error_code = code;
			}
		}
	mqs_answer(rq, res);
}

/* ---- what a cluster of one has little to say about ---- */

void mqs_handle_elect_leaders(struct mqs_request *rq)
{
	const struct kafka_elect_leaders_req *in = rq->in;
	struct kafka_elect_leaders_res *res = KAFKA_NEW(rq->arena, kafka_elect_leaders_res);
	int32_t n = in->topic_partitions.n > 0 && in->topic_partitions.n < MANY ? in->topic_partitions.n : 0;

	if (!mqs_may_cluster(rq, OP_ALTER)) {
		res->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		n = 0;
	}
	res->replica_election_results.n = n;
	res->replica_election_results.v =
		KAFKA_ARRAY(rq->arena, kafka_elect_leaders_res_replica_election_result, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		const struct kafka_elect_leaders_req_topic_partition *t = &in->topic_partitions.v[i];
		struct kafka_elect_leaders_res_replica_election_result *out = &res->replica_election_results.v[i];
		struct mqs_topic *topic = mqs_topic_of(rq, t->topic);
		int32_t parts = t->partitions.n > 0 ? t->partitions.n : 0;

		out->topic = t->topic;
		out->partition_result.n = parts;
		out->partition_result.v =
			KAFKA_ARRAY(rq->arena, kafka_elect_leaders_res_partition_result, (size_t)parts);
		for (int32_t k = 0; k < parts; k++) {
			out->partition_result.v[k].partition_id = t->partitions.v[k];
			out->partition_result.v[k].error_code = mqs_part_of(topic, t->partitions.v[k])
									? KAFKA_ERR_ELECTION_NOT_NEEDED
									: KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
		}
	}
	mqs_answer(rq, res);
}

static int16_t reassign_code(struct mqs_request *rq, struct str topic,
			     const struct kafka_alter_partition_reassignments_req_partition *p)
{
	if (!mqs_part_of(mqs_topic_of(rq, topic), p->partition_index))
		return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (p->replicas.n < 0)
		return KAFKA_ERR_NO_REASSIGNMENT_IN_PROGRESS;
	return p->replicas.n == 1 && p->replicas.v[0] == MQS_NODE_ID ? 0 : KAFKA_ERR_INVALID_REPLICA_ASSIGNMENT;
}

void mqs_handle_alter_partition_reassignments(struct mqs_request *rq)
{
	const struct kafka_alter_partition_reassignments_req *in = rq->in;
	struct kafka_alter_partition_reassignments_res *res =
		KAFKA_NEW(rq->arena, kafka_alter_partition_reassignments_res);
	int32_t n = in->topics.n > 0 && in->topics.n < MANY ? in->topics.n : 0;

	if (!mqs_may_cluster(rq, OP_ALTER)) {
		res->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		n = 0;
	}
	res->responses.n = n;
	res->responses.v = KAFKA_ARRAY(rq->arena, kafka_alter_partition_reassignments_res_response, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		int32_t parts = in->topics.v[i].partitions.n > 0 ? in->topics.v[i].partitions.n : 0;

		res->responses.v[i].name = in->topics.v[i].name;
		res->responses.v[i].partitions.n = parts;
		res->responses.v[i].partitions.v =
			KAFKA_ARRAY(rq->arena, kafka_alter_partition_reassignments_res_partition, (size_t)parts);
		for (int32_t k = 0; k < parts; k++) {
			res->responses.v[i].partitions.v[k].partition_index =
				in->topics.v[i].partitions.v[k].partition_index;
			res->responses.v[i].partitions.v[k].error_code =
				reassign_code(rq, in->topics.v[i].name, &in->topics.v[i].partitions.v[k]);
		}
	}
	mqs_answer(rq, res);
}

void mqs_handle_list_partition_reassignments(struct mqs_request *rq)
{
	struct kafka_list_partition_reassignments_res *res =
		KAFKA_NEW(rq->arena, kafka_list_partition_reassignments_res);

	res->error_code = mqs_may_cluster(rq, OP_DESCRIBE) ? 0 : KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
	res->topics.n = 0;
	mqs_answer(rq, res);
}

void mqs_handle_describe_quorum(struct mqs_request *rq)
{
	const struct kafka_describe_quorum_req *in = rq->in;
	const struct mqs_listener *l = mqs_listener_of(rq);
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_describe_quorum_res *res = KAFKA_NEW(rq->arena, kafka_describe_quorum_res);
	int32_t n = in->topics.n > 0 && in->topics.n < MANY ? in->topics.n : 0;
	struct plog_info info;

	res->topics.n = res->nodes.n = 0;
	if (!mqs_may_cluster(rq, OP_DESCRIBE)) {
		res->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		mqs_answer(rq, res);
		return;
	}
	plog_info(b->state.log, &info);
	res->topics.n = n;
	res->topics.v = KAFKA_ARRAY(rq->arena, kafka_describe_quorum_res_topic, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		int32_t parts = in->topics.v[i].partitions.n > 0 ? in->topics.v[i].partitions.n : 0;
		bool meta = str_is(in->topics.v[i].topic_name, "__cluster_metadata");

		res->topics.v[i].topic_name = in->topics.v[i].topic_name;
		res->topics.v[i].partitions.n = parts;
		res->topics.v[i].partitions.v =
			KAFKA_ARRAY(rq->arena, kafka_describe_quorum_res_partition, (size_t)parts);
		for (int32_t k = 0; k < parts; k++) {
			struct kafka_describe_quorum_res_partition *p = &res->topics.v[i].partitions.v[k];

			p->partition_index = in->topics.v[i].partitions.v[k].partition_index;
			p->current_voters.n = p->observers.n = 0;
			if (!meta || p->partition_index != 0) {
				p->error_code = KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
				continue;
			}
			p->leader_id = MQS_NODE_ID;
			p->leader_epoch = info.leader_epoch;
			p->high_watermark = info.high_watermark;
			p->current_voters.n = 1;
			p->current_voters.v = KAFKA_ARRAY(rq->arena, kafka_describe_quorum_res_replica_state, 1);
			p->current_voters.v[0].replica_id = MQS_NODE_ID;
			p->current_voters.v[0].log_end_offset = info.end;
			p->current_voters.v[0].last_fetch_timestamp = -1;
			p->current_voters.v[0].last_caught_up_timestamp = mqs_now();
		}
	}
	res->nodes.n = 1;
	res->nodes.v = KAFKA_ARRAY(rq->arena, kafka_describe_quorum_res_node, 1);
	res->nodes.v[0].node_id = MQS_NODE_ID;
	res->nodes.v[0].listeners.n = 1;
	res->nodes.v[0].listeners.v = KAFKA_ARRAY(rq->arena, kafka_describe_quorum_res_listener, 1);
	res->nodes.v[0].listeners.v[0].name = str_of(l->name);
	res->nodes.v[0].listeners.v[0].host = str_of(l->advertised_host);
	res->nodes.v[0].listeners.v[0].port = l->advertised_port;
	mqs_answer(rq, res);
}

void mqs_handle_update_features(struct mqs_request *rq)
{
	const struct kafka_update_features_req *in = rq->in;
	struct kafka_update_features_res *res = KAFKA_NEW(rq->arena, kafka_update_features_res);
	int32_t n = in->feature_updates.n > 0 && in->feature_updates.n < MANY ? in->feature_updates.n : 0;

	if (!mqs_may_cluster(rq, OP_ALTER)) {
		res->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		n = 0;
	} else if (n) {
		res->error_code = KAFKA_ERR_INVALID_UPDATE_VERSION;
		res->error_message = STR("features follow the program's version");
	}
	res->results.n = n;
	res->results.v = KAFKA_ARRAY(rq->arena, kafka_update_features_res_result, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		res->results.v[i].feature = in->feature_updates.v[i].feature;
		res->results.v[i].error_code = KAFKA_ERR_INVALID_UPDATE_VERSION;
	}
	mqs_answer(rq, res);
}

void mqs_handle_get_telemetry_subscriptions(struct mqs_request *rq)
{
	const struct kafka_get_telemetry_subscriptions_req *in = rq->in;
	struct kafka_get_telemetry_subscriptions_res *res = KAFKA_NEW(rq->arena, kafka_get_telemetry_subscriptions_res);

	res->client_instance_id = in->client_instance_id;
	if (kafka_uuid_is_zero(res->client_instance_id))
		rnd_bytes(res->client_instance_id.b, sizeof(res->client_instance_id.b));
	res->subscription_id = 1;
	res->accepted_compression_types.n = 0;
	res->push_interval_ms = 300000;
	res->telemetry_max_bytes = 1 << 20;
	res->requested_metrics.n = 0;
	mqs_answer(rq, res);
}

void mqs_handle_push_telemetry(struct mqs_request *rq)
{
	mqs_answer(rq, KAFKA_NEW(rq->arena, kafka_push_telemetry_res));
}
