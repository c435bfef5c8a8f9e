/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "model/mqs/cluster_priv.h"

#include <time.h>

#define POLL_MS 200

struct reading {
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *queue;
	const struct cluster_range *ranges;
	bool *ended;
	size_t n, left;
};

/* A connection for this reading alone: partitions are read from the given offsets, without a group. */
static rd_kafka_t *consumer(struct model *m)
{
	rd_kafka_conf_t *conf = cluster__conf(m);
	rd_kafka_t *rk;
	char why[256];

	if (!conf)
		return NULL;
	cluster__set(conf, "enable.auto.commit", "false");
	cluster__set(conf, "enable.partition.eof", "true");
	cluster__set(conf, "isolation.level", "read_uncommitted");
	cluster__set(conf, "allow.auto.create.topics", "false");
	cluster__set(conf, "queued.max.messages.kbytes", "4096");
	cluster__set(conf, "fetch.wait.max.ms", "50");
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	if (!rk) {
		rd_kafka_conf_destroy(conf);
		err_set(&m->err, ERR_MQS_005000070, "%s", why);
	}
	return rk;
}

static void end_range(struct reading *r, size_t i)
{
	if (r->ended[i])
		return;
	r->ended[i] = true;
	r->left--;
	rd_kafka_consume_stop(r->topic, (int32_t)r->ranges[i].partition);
}

static int start(struct model *m, struct reading *r, struct str topic)
{
	r->rk = consumer(m);
	if (!r->rk)
		return m->err.code;
	rd_kafka_topic_conf_t *conf = rd_kafka_topic_conf_new();

	/* An offset that is gone meanwhile: what is left of the range is wanted. */
	rd_kafka_topic_conf_set(conf, "auto.offset.reset", "smallest", NULL, 0);
	r->topic = rd_kafka_topic_new(r->rk, arena_cstr(m->arena, topic), conf);
	r->queue = rd_kafka_queue_new(r->rk);
	r->ended = ARENA_ARRAY(m->arena, bool, r->n + 1);
	for (size_t i = 0; i < r->n; i++) {
		const struct cluster_range *range = &r->ranges[i];

		if (range->from >= range->to ||
		    rd_kafka_consume_start_queue(r->topic, (int32_t)range->partition, range->from, r->queue)) {
			r->ended[i] = true;
			continue;
		}
		r->left++;
	}
	return 0;
}

static void finish(struct reading *r)
{
	for (size_t i = 0; r->ended && i < r->n; i++)
		end_range(r, i);
	if (r->queue)
		rd_kafka_queue_destroy(r->queue);
	if (r->topic)
		rd_kafka_topic_destroy(r->topic);
	if (r->rk)
		rd_kafka_destroy(r->rk);
}

static struct str bytes(const void *p, size_t n)
{
	return p ? (struct str){p, n} : STR_NONE;
}

static void read_record(const rd_kafka_message_t *msg, struct cluster_record *ret)
{
	rd_kafka_headers_t *headers = NULL;

	*ret = (struct cluster_record){.partition = msg->partition, .offset = msg->offset,
				       .timestamp_ms = rd_kafka_message_timestamp(msg, NULL),
				       .key = bytes(msg->key, msg->key_len), .value = bytes(msg->payload, msg->len)};
	if (rd_kafka_message_headers(msg, &headers))
		return;
	while (ret->n_headers < ARRAY_LEN(ret->headers)) {
		const char *name;
		const void *value;
		size_t size;

		if (rd_kafka_header_get_all(headers, ret->n_headers, &name, &value, &size))
			break;
		ret->headers[ret->n_headers++] = (struct cluster_header){str_of(name), bytes(value, size)};
	}
}

static size_t range_of(const struct reading *r, int64_t partition)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->ranges[i].partition == partition)
			return i;
	return r->n;
}

/* One message, or an event of a partition. */
static int take(struct model *m, struct reading *r, const rd_kafka_message_t *msg,
		bool (*visit)(void *ctx, const struct cluster_record *record), void *ctx, bool *ret_stop)
{
	size_t i = range_of(r, msg->partition);
	struct cluster_record record;

	if (msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		if (i < r->n)
			end_range(r, i);
		return 0;
	}
	/* The library retries what it can by itself. */
	if (msg->err == RD_KAFKA_RESP_ERR__TRANSPORT || msg->err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		return 0;
	if (msg->err)
		return cluster__fault(m, msg->err, rd_kafka_message_errstr(msg));
	if (i == r->n || r->ended[i])
		return 0;
	if (msg->offset < r->ranges[i].to) {
		read_record(msg, &record);
		*ret_stop = !visit(ctx, &record);
	}
	if (msg->offset + 1 >= r->ranges[i].to)
		end_range(r, i);
	return 0;
}

int cluster_read(struct model *m, struct str topic, const struct cluster_range *ranges, size_t n,
		 bool (*visit)(void *ctx, const struct cluster_record *record), void *ctx)
{
	struct reading r = {.ranges = ranges, .n = n};
	int64_t until = clock_mono_ms() + cluster__left_ms(m);
	bool stop = false;
	int rc = cluster_ping(m);

	if (rc == 0)
		rc = start(m, &r, topic);
	while (rc == 0 && r.left && !stop && clock_mono_ms() < until) {
		rd_kafka_message_t *msg = rd_kafka_consume_queue(r.queue, POLL_MS);

		if (!msg)
			continue;
		rc = take(m, &r, msg, visit, ctx, &stop);
		rd_kafka_message_destroy(msg);
	}
	if (rc == 0 && r.left && !stop)
		rc = cluster__away(m, "reading the messages takes too long");
	finish(&r);
	return rc;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *msg, void *opaque)
{
	*(rd_kafka_resp_err_t *)msg->_private = msg->err;
}

static int send_record(struct model *m, rd_kafka_t *rk, struct str topic, const struct cluster_record *record)
{
	rd_kafka_resp_err_t code, result = RD_KAFKA_RESP_ERR__TIMED_OUT;
	rd_kafka_headers_t *headers = rd_kafka_headers_new(record->n_headers + 1);

	for (size_t i = 0; i < record->n_headers; i++) {
		const struct cluster_header *h = &record->headers[i];

		rd_kafka_header_add(headers, h->name.p, (ssize_t)h->name.n, h->value.p, (ssize_t)h->value.n);
	}
	/* clang-format off */
	code = rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(arena_cstr(m->arena, topic)),
				 RD_KAFKA_V_PARTITION((int32_t)record->partition),
				 RD_KAFKA_V_KEY(record->key.p, record->key.n),
				 RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value.p, record->value.n),
				 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers),
				 RD_KAFKA_V_OPAQUE(&result), RD_KAFKA_V_END);
	/* clang-format on */
	if (code) {
		rd_kafka_headers_destroy(headers);
		return cluster__fault(m, code, NULL);
	}
	rd_kafka_flush(rk, (int)cluster__left_ms(m) + 1000);
	/* What is still in the queue must not report into a frame that is gone. */
	if (result == RD_KAFKA_RESP_ERR__TIMED_OUT) {
		rd_kafka_purge(rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
		rd_kafka_flush(rk, 1000);
	}
	return result ? cluster__fault(m, result, NULL) : 0;
}

int cluster_write(struct model *m, struct str topic, const struct cluster_record *record)
{
	rd_kafka_conf_t *conf;
	rd_kafka_t *rk;
	char why[256];
	int rc = cluster_ping(m);

	if (rc)
		return rc;
	conf = cluster__conf(m);
	if (!conf)
		return m->err.code;
	cluster__set(conf, "acks", "all");
	cluster__set(conf, "linger.ms", "0");
	cluster__set(conf, "message.timeout.ms", "10000");
	cluster__set(conf, "message.max.bytes", "104857600");
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (!rk) {
		rd_kafka_conf_destroy(conf);
		return err_set(&m->err, ERR_MQS_005000070, "%s", why);
	}
	rc = send_record(m, rk, topic, record);
	rd_kafka_destroy(rk);
	return rc;
}
