/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

/* WriteTxnMarkers: an administrator ends a transaction in partitions by producer id and epoch, beside its coordinator,
 * which may not know of it or still wait for its producer (KIP-664, KIP-1228). */

enum { PARTITIONS_MAX = 20000, COORDINATOR_EPOCH = 0, VERSION_2 = 2 };

/* What was written, until all of it is durable. */
struct flush {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	size_t left;
};

struct written {
	struct plog_waiter waiter; /* first */
	struct flush *flush;
	struct kafka_write_txn_markers_res_partition *out;
};

/* Of the log's own thread. */
static void on_durable(struct plog_waiter *waiter, int code)
{
	struct written *w = (struct written *)waiter;
	struct flush *f = w->flush;

	pthread_mutex_lock(&f->lock);
	w->out->error_code = mqs_code(code);
	if (--f->left == 0)
		pthread_cond_signal(&f->wake);
	pthread_mutex_unlock(&f->lock);
}

static int16_t check(const struct kafka_write_txn_markers_req_marker *m, const struct mqs_part *part)
{
	if (!part)
		return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (m->producer_id < 0)
		return KAFKA_ERR_INVALID_REQUEST;
	return m->producer_epoch < 0 ? KAFKA_ERR_INVALID_PRODUCER_EPOCH : 0;
}

static void write_marker(const struct kafka_write_txn_markers_req_marker *m, struct mqs_part *part, struct written *w)
{
	/* There is one coordinator: a claim to be a later one must not shut it out. */
	struct plog_marker marker = {.producer_id = m->producer_id,
				     .producer_epoch = m->producer_epoch,
				     .coordinator_epoch = m->coordinator_epoch < COORDINATOR_EPOCH
								  ? m->coordinator_epoch
								  : COORDINATOR_EPOCH,
				     .newer = m->transaction_version >= VERSION_2,
				     .commit = m->transaction_result,
				     .now_ms = mqs_now()};
	int64_t offset, end;
	int rc = plog_append_marker(part->log, &marker, &offset, &end);

	w->out->error_code = mqs_code(rc);
	if (rc != 0)
		return;
	mqs_part_notify(part);
	w->waiter.fn = on_durable;
	pthread_mutex_lock(&w->flush->lock);
	w->flush->left++;
	pthread_mutex_unlock(&w->flush->lock);
	plog_wait_durable(part->log, end, &w->waiter);
}

static void write_topic(struct mqs_request *rq, const struct kafka_write_txn_markers_req_marker *m,
			const struct kafka_write_txn_markers_req_topic *in, bool may, struct flush *flush,
			struct kafka_write_txn_markers_res_topic *out)
{
	struct mqs_topic *t = may ? mqs_topic_of(rq, in->name) : NULL;
	int32_t n = in->partition_indexes.n > 0 ? in->partition_indexes.n : 0;
	struct written *w = ARENA_ARRAY(rq->arena, struct written, (size_t)n + 1);

	out->name = in->name;
	out->partitions.n = n;
	out->partitions.v = KAFKA_ARRAY(rq->arena, kafka_write_txn_markers_res_partition, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		struct mqs_part *part = mqs_part_of(t, in->partition_indexes.v[i]);

		w[i] = (struct written){.flush = flush, .out = &out->partitions.v[i]};
		w[i].out->partition_index = in->partition_indexes.v[i];
		w[i].out->error_code = may ? check(m, part) : KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		if (w[i].out->error_code == 0)
			write_marker(m, part, &w[i]);
	}
}

/* Of partitions; topics without one count, too. */
static size_t count(const struct kafka_write_txn_markers_req *in)
{
	size_t n = 0;

	for (int32_t i = 0; i < in->markers.n; i++)
		for (int32_t k = 0; k < in->markers.v[i].topics.n; k++) {
			int32_t parts = in->markers.v[i].topics.v[k].partition_indexes.n;

			n += 1 + (parts > 0 ? (size_t)parts : 0);
		}
	return n + (in->markers.n > 0 ? (size_t)in->markers.n : 0);
}

void mqs_handle_write_txn_markers(struct mqs_request *rq)
{
	const struct kafka_write_txn_markers_req *in = rq->in;
	struct kafka_write_txn_markers_res *res = KAFKA_NEW(rq->arena, kafka_write_txn_markers_res);
	struct flush flush = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
	bool may = mqs_may_cluster(rq, OP_ALTER) || mqs_may_cluster(rq, OP_CLUSTER_ACTION);
	int32_t n = in->markers.n > 0 ? in->markers.n : 0;

	if (count(in) > PARTITIONS_MAX) {
		mqs_hang_up(rq);
		return;
	}
	res->markers.n = n;
	res->markers.v = KAFKA_ARRAY(rq->arena, kafka_write_txn_markers_res_marker, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		const struct kafka_write_txn_markers_req_marker *m = &in->markers.v[i];
		struct kafka_write_txn_markers_res_marker *out = &res->markers.v[i];

		out->producer_id = m->producer_id;
		out->topics.n = m->topics.n > 0 ? m->topics.n : 0;
		out->topics.v = KAFKA_ARRAY(rq->arena, kafka_write_txn_markers_res_topic, (size_t)out->topics.n);
		for (int32_t k = 0; k < out->topics.n; k++)
			write_topic(rq, m, &m->topics.v[k], may, &flush, &out->topics.v[k]);
	}
	pthread_mutex_lock(&flush.lock);
	while (flush.left)
		pthread_cond_wait(&flush.wake, &flush.lock);
	pthread_mutex_unlock(&flush.lock);
	mqs_answer(rq, res);
}
