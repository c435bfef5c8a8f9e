/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"
#include "load.h"

#include "kafka/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* A member of a group of KIP-848, which librdkafka 2.0 does not know yet. */

enum { HEARTBEAT_MS = 300 };

struct owned {
	int topic;
	int32_t part;
	int64_t position, committed;
	bool keep;
};

struct member {
	struct client client;
	char id[40];
	int32_t epoch;
	struct owned v[TOPICS * PARTS_MAX];
	int n;
	bool unsure; /* the last heartbeat was not answered */
};

static struct kafka_consumer_group_heartbeat_req *beat(struct member *m, struct arena *a)
{
	struct kafka_consumer_group_heartbeat_req *req = KAFKA_NEW(a, kafka_consumer_group_heartbeat_req);
	struct kafka_consumer_group_heartbeat_req_topic_partition *tp =
		KAFKA_ARRAY(a, kafka_consumer_group_heartbeat_req_topic_partition, TOPICS);
	struct str *names = ARENA_ARRAY(a, struct str, TOPICS);
	int32_t n = 0;

	for (int t = 0; t < TOPIC_KEYS; t++) {
		int32_t *parts = ARENA_ARRAY(a, int32_t, PARTS_MAX), k = 0;

		names[t] = str_of(topics[t].name);
		for (int i = 0; i < m->n; i++)
			if (m->v[i].topic == t)
				parts[k++] = m->v[i].part;
		if (!k)
			continue;
		tp[n].topic_id = topics[t].id;
		tp[n].partitions.v = parts;
		tp[n++].partitions.n = k;
	}
	req->group_id = str_of(group_names[1]);
	req->member_id = str_of(m->id);
	req->member_epoch = m->epoch;
	req->rebalance_timeout_ms = 30000;
	req->topic_partitions.v = tp;
	req->topic_partitions.n = n;
	req->subscribed_topic_names.n = -1;
	/* All is said again behind an answer that did not come, as the assignment may have been in it. */
	if (m->epoch == 0 || m->unsure) {
		req->subscribed_topic_names.v = names;
		req->subscribed_topic_names.n = TOPIC_KEYS;
	}
	return req;
}

static int topic_of(struct kafka_uuid id)
{
	for (int t = 0; t < TOPICS; t++)
		if (kafka_uuid_eq(topics[t].id, id))
			return t;
	wrong("an assignment of a topic that nobody asked for");
}

/* 0 or an error of the protocol, -1 without an answer. */
static int commit_one(struct member *m, struct owned *o)
{
	struct arena *a = arena_new(1 << 20);
	struct kafka_offset_commit_req *req = KAFKA_NEW(a, kafka_offset_commit_req);
	int code = -1;

	req->group_id = str_of(group_names[1]);
	req->member_id = str_of(m->id);
	req->generation_id_or_member_epoch = m->epoch;
	req->topics.v = KAFKA_ARRAY(a, kafka_offset_commit_req_topic, 1);
	req->topics.n = 1;
	req->topics.v[0].name = str_of(topics[o->topic].name);
	req->topics.v[0].partitions.v = KAFKA_ARRAY(a, kafka_offset_commit_req_partition, 1);
	req->topics.v[0].partitions.n = 1;
	req->topics.v[0].partitions.v[0].partition_index = o->part;
	req->topics.v[0].partitions.v[0].committed_offset = o->position;
	req->topics.v[0].partitions.v[0].committed_leader_epoch = -1;
	struct kafka_offset_commit_res *res = client_call(&m->client, KAFKA_API_OFFSET_COMMIT, 9, req, a);

	if (res && res->topics.n == 1 && res->topics.v[0].partitions.n == 1)
		code = res->topics.v[0].partitions.v[0].error_code;
	arena_free(a);
	if (code == 0) {
		ledger_committed(1, o->topic, o->part, o->position);
		o->committed = o->position;
	}
	return code;
}

static void take(struct member *m, int topic, int32_t part)
{
	for (int i = 0; i < m->n; i++)
		if (m->v[i].topic == topic && m->v[i].part == part) {
			m->v[i].keep = true;
			return;
		}
	m->v[m->n++] = (struct owned){.topic = topic, .part = part, .position = -1, .committed = -1, .keep = true};
}

static void assign(struct member *m, const struct kafka_consumer_group_heartbeat_res_assignment *as)
{
	for (int i = 0; i < m->n; i++)
		m->v[i].keep = false;
	for (int32_t i = 0; i < as->topic_partitions.n; i++) {
		const struct kafka_consumer_group_heartbeat_res_topic_partitions *tp = &as->topic_partitions.v[i];

		for (int32_t k = 0; k < tp->partitions.n; k++)
			take(m, topic_of(tp->topic_id), tp->partitions.v[k]);
	}
	for (int i = m->n; i-- > 0;) {
		if (m->v[i].keep)
			continue;
		/* What was read is not read again by the next owner, if this can be told. */
		if (m->v[i].position > m->v[i].committed)
			commit_one(m, &m->v[i]);
		m->v[i] = m->v[--m->n];
	}
}

static void heartbeat(struct member *m)
{
	struct arena *a = arena_new(1 << 20);
	struct kafka_consumer_group_heartbeat_res *res =
		client_call(&m->client, KAFKA_API_CONSUMER_GROUP_HEARTBEAT, 1, beat(m, a), a);
	int code = res ? res->error_code : -1;

	m->unsure = code != 0;
	if (code == KAFKA_ERR_FENCED_MEMBER_EPOCH || code == KAFKA_ERR_UNKNOWN_MEMBER_ID) {
		fprintf(stderr, "member %s of epoch %d is fenced (%d)\n", m->id, m->epoch, code);
		atomic_fetch_add(&load_fenced, 1);
		m->epoch = 0;
		m->n = 0;
	} else if (code > 0 && code != KAFKA_ERR_COORDINATOR_LOAD_IN_PROGRESS &&
		   code != KAFKA_ERR_COORDINATOR_NOT_AVAILABLE && code != KAFKA_ERR_NOT_COORDINATOR) {
		wrong("ConsumerGroupHeartbeat: error %d: %.*s", code, STR_FMT(res->error_message));
	} else if (code == 0) {
		m->epoch = res->member_epoch;
		if (res->assignment)
			assign(m, res->assignment);
	}
	arena_free(a);
}

static void note(struct owned *o, struct str rest)
{
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;
	struct buf scratch;

	buf_init(&scratch, 64 << 20);
	while (kafka_batch_next(&rest, &batch) == 0) {
		if (kafka_records_open(&it, &batch, &scratch) != 0)
			wrong("a batch that cannot be read");
		while (!(batch.attributes & KAFKA_ATTR_CONTROL) && kafka_records_next(&it, &r) == 1)
			if (r.offset >= o->position)
				ledger_consumed(1, o->topic, o->part, r.offset, r.value.p, r.value.n);
		o->position = kafka_batch_last_offset(&batch) + 1;
	}
	buf_done(&scratch);
}

static void find_position(struct member *m, struct owned *o)
{
	int64_t at = -1;

	if (client_committed(&m->client, group_names[1], topics[o->topic].name, o->part, &at) == 0) {
		o->position = at < 0 ? 0 : at;
		o->committed = at;
	}
}

static bool fetch_one(struct member *m, struct owned *o)
{
	struct arena *a = arena_new(64 << 20);
	struct kafka_fetch_req *req = KAFKA_NEW(a, kafka_fetch_req);
	struct kafka_fetch_req_topic *t = KAFKA_ARRAY(a, kafka_fetch_req_topic, 1);
	bool got = false;

	t->topic = str_of(topics[o->topic].name);
	t->partitions.v = KAFKA_ARRAY(a, kafka_fetch_req_partition, 1);
	t->partitions.n = 1;
	t->partitions.v[0].partition = o->part;
	t->partitions.v[0].fetch_offset = o->position;
	t->partitions.v[0].current_leader_epoch = -1;
	t->partitions.v[0].partition_max_bytes = 1 << 20;
	req->replica_id = -1;
	req->max_bytes = 1 << 20;
	req->session_epoch = -1;
	req->topics.v = t;
	req->topics.n = 1;
	struct kafka_fetch_res *res = client_call(&m->client, KAFKA_API_FETCH, 11, req, a);

	if (res && res->responses.n == 1 && res->responses.v[0].partitions.n == 1) {
		const struct kafka_fetch_res_partition *in = &res->responses.v[0].partitions.v[0];

		if (in->error_code)
			wrong("%s-%d: fetch at %" PRId64 ": error %d", topics[o->topic].name, o->part, o->position,
			      in->error_code);
		got = in->records.n > 0;
		note(o, in->records);
	}
	arena_free(a);
	return got;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Asks often until it has its partitions for the first time, later in Kafka's manner. */
void *load_consumer_group(void *arg)
{
	struct member m = {.epoch = 0};
	int number = (int)(intptr_t)arg % 10;
	int64_t next = 0;

	client_init(&m.client, (uint16_t)((intptr_t)arg / 10));
	snprintf(m.id, sizeof(m.id), "member-%d-%08x", number, 0x1234567 * (unsigned)(number + 1));
	while (!atomic_load(&load_stop_read)) {
		bool got = false;

		if (now_ms() >= next) {
			heartbeat(&m);
			next = now_ms() + HEARTBEAT_MS;
		}
		for (int i = 0; i < m.n; i++) {
			struct owned *o = &m.v[i];

			if (o->position < 0)
				find_position(&m, o);
			if (o->position >= 0 && fetch_one(&m, o)) {
				got = true;
				commit_one(&m, o);
			}
		}
		if (!got)
			nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	client_done(&m.client);
	return NULL;
}
