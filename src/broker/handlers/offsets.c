/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

#include <stdlib.h>

enum { ASKED_MAX = 20000 };

/* ListOffsets, OffsetForLeaderEpoch, DeleteRecords, DescribeProducers: questions about partitions. */

static int16_t part_code(struct mqs_request *rq, struct str topic, int32_t index, int operation, struct mqs_part **ret)
{
	*ret = NULL;
	if (!mqs_may(rq, ACL_TOPIC, topic, operation))
		return KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
	*ret = mqs_part_of(mqs_topic_of(rq, topic), index);
	return *ret ? 0 : KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static int16_t leader_code(struct mqs_part *part, int32_t epoch)
{
	struct plog_info info;

	plog_info(part->log, &info);
	return epoch < 0                   ? 0
	       : epoch < info.leader_epoch ? KAFKA_ERR_FENCED_LEADER_EPOCH
	       : epoch > info.leader_epoch ? KAFKA_ERR_UNKNOWN_LEADER_EPOCH
					   : 0;
}

static void offset_of(struct mqs_request *rq, struct mqs_part *part, int64_t time,
		      struct kafka_list_offsets_res_partition *out)
{
	const struct kafka_list_offsets_req *in = rq->in;

	if (time == -5)
		return;
	if (time < -5) {
		out->error_code = KAFKA_ERR_INVALID_REQUEST;
		return;
	}
	int rc = plog_offset_by_time(part->log, time == -4 ? PLOG_TIME_EARLIEST : time,
				     in->isolation_level == 1 ? PLOG_READ_COMMITTED : PLOG_READ_UNCOMMITTED,
				     &out->offset, &out->timestamp, &out->leader_epoch);

	out->error_code = mqs_code(rc);
	if (rc != 0)
		out->offset = out->timestamp = out->leader_epoch = -1;
	/* The position of a time is the record's, that of an end has none. */
	if (time == PLOG_TIME_LATEST || time == PLOG_TIME_EARLIEST || time == -4)
		out->timestamp = -1;
}

static void old_style(struct mqs_request *rq, struct kafka_list_offsets_res_partition *out)
{
	out->old_style_offsets.n = out->offset >= 0 ? 1 : 0;
	out->old_style_offsets.v = ARENA_NEW(rq->arena, int64_t);
	out->old_style_offsets.v[0] = out->offset;
}

void mqs_handle_list_offsets(struct mqs_request *rq)
{
	const struct kafka_list_offsets_req *in = rq->in;
	struct kafka_list_offsets_res *res = KAFKA_NEW(rq->arena, kafka_list_offsets_res);
	int32_t n = in->topics.n > 0 ? in->topics.n : 0;

	if (n > ASKED_MAX) {
		mqs_hang_up(rq);
		return;
	}
	res->topics.n = n;
	res->topics.v = KAFKA_ARRAY(rq->arena, kafka_list_offsets_res_topic, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		const struct kafka_list_offsets_req_topic *t = &in->topics.v[i];
		int32_t parts = t->partitions.n > 0 ? t->partitions.n : 0;

		res->topics.v[i].name = t->name;
		res->topics.v[i].partitions.n = parts;
		res->topics.v[i].partitions.v = KAFKA_ARRAY(rq->arena, kafka_list_offsets_res_partition, (size_t)parts);
		for (int32_t k = 0; k < parts; k++) {
			struct kafka_list_offsets_res_partition *out = &res->topics.v[i].partitions.v[k];
			struct mqs_part *part;

			out->partition_index = t->partitions.v[k].partition_index;
			out->offset = out->timestamp = out->leader_epoch = -1;
			out->error_code = part_code(rq, t->name, out->partition_index, OP_DESCRIBE, &part);
			if (!out->error_code)
				out->error_code = leader_code(part, t->partitions.v[k].current_leader_epoch);
			if (!out->error_code)
				offset_of(rq, part, t->partitions.v[k].timestamp, out);
			if (rq->head.version == 0)
				old_style(rq, out);
		}
	}
	mqs_answer(rq, res);
}

void mqs_handle_offset_for_leader_epoch(struct mqs_request *rq)
{
	const struct kafka_offset_for_leader_epoch_req *in = rq->in;
	struct kafka_offset_for_leader_epoch_res *res = KAFKA_NEW(rq->arena, kafka_offset_for_leader_epoch_res);
	int32_t n = in->topics.n > 0 ? in->topics.n : 0;

	if (n > ASKED_MAX) {
		mqs_hang_up(rq);
		return;
	}
	res->topics.n = n;
	res->topics.v = KAFKA_ARRAY(rq->arena, kafka_offset_for_leader_epoch_res_topic, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		const struct kafka_offset_for_leader_epoch_req_topic *t = &in->topics.v[i];
		int32_t parts = t->partitions.n > 0 ? t->partitions.n : 0;

		res->topics.v[i].topic = t->topic;
		res->topics.v[i].partitions.n = parts;
		res->topics.v[i].partitions.v =
			KAFKA_ARRAY(rq->arena, kafka_offset_for_leader_epoch_res_partition, (size_t)parts);
		for (int32_t k = 0; k < parts; k++) {
			struct kafka_offset_for_leader_epoch_res_partition *out = &res->topics.v[i].partitions.v[k];
			struct mqs_part *part;

			out->partition = t->partitions.v[k].partition;
			out->leader_epoch = -1;
			out->end_offset = -1;
			out->error_code = part_code(rq, t->topic, out->partition, OP_DESCRIBE, &part);
			if (!out->error_code)
				out->error_code = leader_code(part, t->partitions.v[k].current_leader_epoch);
			if (!out->error_code)
				plog_epoch_end(part->log, t->partitions.v[k].leader_epoch, &out->leader_epoch,
					       &out->end_offset);
		}
	}
	mqs_answer(rq, res);
}

void mqs_handle_delete_records(struct mqs_request *rq)
{
	const struct kafka_delete_records_req *in = rq->in;
	struct kafka_delete_records_res *res = KAFKA_NEW(rq->arena, kafka_delete_records_res);
	int32_t n = in->topics.n > 0 ? in->topics.n : 0;

	if (n > ASKED_MAX) {
		mqs_hang_up(rq);
		return;
	}
	res->topics.n = n;
	res->topics.v = KAFKA_ARRAY(rq->arena, kafka_delete_records_res_topic, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		const struct kafka_delete_records_req_topic *t = &in->topics.v[i];
		int32_t parts = t->partitions.n > 0 ? t->partitions.n : 0;

		res->topics.v[i].name = t->name;
		res->topics.v[i].partitions.n = parts;
		res->topics.v[i].partitions.v =
			KAFKA_ARRAY(rq->arena, kafka_delete_records_res_partition, (size_t)parts);
		for (int32_t k = 0; k < parts; k++) {
			struct kafka_delete_records_res_partition *out = &res->topics.v[i].partitions.v[k];
			struct mqs_part *part;
			int64_t start;

			out->partition_index = t->partitions.v[k].partition_index;
			out->low_watermark = -1;
			out->error_code = part_code(rq, t->name, out->partition_index, OP_DELETE, &part);
			if (out->error_code)
				continue;
			int rc = plog_delete_before(part->log, t->partitions.v[k].offset, &start);

			out->error_code = mqs_code(rc);
			if (rc == 0)
				out->low_watermark = start;
		}
	}
	mqs_answer(rq, res);
}

static void producers_of(struct mqs_request *rq, struct mqs_part *part,
			 struct kafka_describe_producers_res_partition *out)
{
	enum { MAX_PRODUCERS = 10000 };
	struct plog_producer *v = mem_alloc(MAX_PRODUCERS * sizeof(*v));
	size_t n = plog_producers(part->log, v, MAX_PRODUCERS);

	if (n > MAX_PRODUCERS)
		n = MAX_PRODUCERS;
	out->active_producers.n = (int32_t)n;
	out->active_producers.v = KAFKA_ARRAY(rq->arena, kafka_describe_producers_res_active_producer, n);
	for (size_t i = 0; i < n; i++) {
		struct kafka_describe_producers_res_active_producer *p = &out->active_producers.v[i];

		p->producer_id = v[i].id;
		p->producer_epoch = v[i].epoch;
		p->last_sequence = v[i].last_sequence;
		p->last_timestamp = v[i].last_timestamp;
		p->coordinator_epoch = v[i].coordinator_epoch;
		p->current_txn_start_offset = v[i].txn_first;
	}
	free(v);
}

void mqs_handle_describe_producers(struct mqs_request *rq)
{
	const struct kafka_describe_producers_req *in = rq->in;
	struct kafka_describe_producers_res *res = KAFKA_NEW(rq->arena, kafka_describe_producers_res);
	int32_t n = in->topics.n > 0 ? in->topics.n : 0, left = 200;

	if (n > ASKED_MAX) {
		mqs_hang_up(rq);
		return;
	}
	res->topics.n = n;
	res->topics.v = KAFKA_ARRAY(rq->arena, kafka_describe_producers_res_topic, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		const struct kafka_describe_producers_req_topic *t = &in->topics.v[i];
		int32_t parts = t->partition_indexes.n > 0 ? t->partition_indexes.n : 0;

		res->topics.v[i].name = t->name;
		res->topics.v[i].partitions.n = parts;
		res->topics.v[i].partitions.v =
			KAFKA_ARRAY(rq->arena, kafka_describe_producers_res_partition, (size_t)parts);
		for (int32_t k = 0; k < parts; k++) {
			struct kafka_describe_producers_res_partition *out = &res->topics.v[i].partitions.v[k];
			struct mqs_part *part;

			out->partition_index = t->partition_indexes.v[k];
			out->active_producers.n = 0;
			out->error_code = part_code(rq, t->name, out->partition_index, OP_READ, &part);
			if (!out->error_code && left-- > 0)
				producers_of(rq, part, out);
		}
	}
	mqs_answer(rq, res);
}
