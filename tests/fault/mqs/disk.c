/* SPDX-License-Identifier: Apache-2.0 */
#include "broker.h"
#include "ledger.h"

#include "kafka/batch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

/* A full disk under a broker.
 *
 * usage: mqs_disk APPIA_MQS HOME PORT
 *
 * HOME is on a small file system of its own. Fills it with a file, looks that producers and groups are told so, that
 * consumers go on, that nothing that was acknowledged is lost, also over kill -9 and a start without space, and that
 * all works again when there is space. Exit code 1 with the first thing that is wrong. */

enum { PATIENCE_US = 30000000, KEYS = 20, BIG = 200000 };

static struct broker broker;
static struct client *client = &broker.admin;
static char ballast[4096];
static long long acked[TOPICS][PARTS_MAX]; /* how many records; their values count from 0 */

/* ---- the disk ---- */

static void fill(size_t leave)
{
	static const char zeros[4096];
	struct statvfs fs;
	int fd = open(ballast, O_WRONLY | O_CREAT | O_APPEND, 0600);

	for (;;) {
		if (fd < 0 || statvfs(ballast, &fs) != 0)
			wrong("ballast: %s", strerror(errno));
		if (fs.f_bavail * fs.f_frsize <= leave || write(fd, zeros, sizeof(zeros)) != (ssize_t)sizeof(zeros))
			break;
	}
	close(fd);
}

static void empty(void)
{
	if (unlink(ballast) != 0)
		wrong("ballast: %s", strerror(errno));
}

/* ---- requests ---- */

/* Appends a record with its number as value; the error, or -1. */
static int append(int topic, int32_t part, size_t size)
{
	struct arena *a = arena_new(16 << 20);
	struct kafka_produce_req *req = KAFKA_NEW(a, kafka_produce_req);
	char *value = arena_alloc(a, size + 40), key[16];
	struct kafka_builder kb;
	struct buf batch;
	int code = -1;

	memset(value, 'x', size);
	int n = snprintf(value, 40, "%lld ", acked[topic][part]);

	value[n] = 'x';
	snprintf(key, sizeof(key), "%lld", acked[topic][part] % KEYS);
	buf_init(&batch, 16 << 20);
	kafka_builder_init(&kb, 16 << 20);
	kafka_builder_add(&kb, (int64_t)time(NULL) * 1000, str_of(key), (struct str){value, size + 20}, NULL, 0);
	kb.head.producer_id = kb.head.producer_epoch = -1;
	kb.head.base_sequence = -1;
	kafka_builder_finish(&kb, KAFKA_CODEC_NONE, KAFKA_LEVEL_DEFAULT, &batch);
	req->topic_data.v = KAFKA_ARRAY(a, kafka_produce_req_topic_data, 1);
	req->topic_data.n = 1;
	req->topic_data.v[0].name = str_of(topics[topic].name);
	req->topic_data.v[0].partition_data.v = KAFKA_ARRAY(a, kafka_produce_req_partition_data, 1);
	req->topic_data.v[0].partition_data.n = 1;
	req->topic_data.v[0].partition_data.v[0].index = part;
	req->topic_data.v[0].partition_data.v[0].records = buf_view(&batch);
	req->acks = -1;
	req->timeout_ms = 10000;
	struct kafka_produce_res *res = client_call(client, KAFKA_API_PRODUCE, 9, req, a);

	if (res && res->responses.n == 1 && res->responses.v[0].partition_responses.n == 1)
		code = res->responses.v[0].partition_responses.v[0].error_code;
	if (code == 0)
		acked[topic][part]++;
	kafka_builder_done(&kb);
	buf_done(&batch);
	arena_free(a);
	return code;
}

static int commit(int64_t offset)
{
	struct arena *a = arena_new(1 << 20);
	struct kafka_offset_commit_req *req = KAFKA_NEW(a, kafka_offset_commit_req);
	int code = -1;

	req->group_id = STR("disk");
	req->generation_id_or_member_epoch = -1;
	req->topics.v = KAFKA_ARRAY(a, kafka_offset_commit_req_topic, 1);
	req->topics.n = 1;
	req->topics.v[0].name = str_of(topics[TOPIC_ONCE].name);
	req->topics.v[0].partitions.v = KAFKA_ARRAY(a, kafka_offset_commit_req_partition, 1);
	req->topics.v[0].partitions.n = 1;
	req->topics.v[0].partitions.v[0].committed_offset = offset;
	req->topics.v[0].partitions.v[0].committed_leader_epoch = -1;
	struct kafka_offset_commit_res *res = client_call(client, KAFKA_API_OFFSET_COMMIT, 7, req, a);

	if (res && res->topics.n == 1 && res->topics.v[0].partitions.n == 1)
		code = res->topics.v[0].partitions.v[0].error_code;
	arena_free(a);
	return code;
}

static int init_producer(void)
{
	struct arena *a = arena_new(1 << 20);
	struct kafka_init_producer_id_req *req = KAFKA_NEW(a, kafka_init_producer_id_req);

	req->transactional_id = STR("disk");
	req->transaction_timeout_ms = 60000;
	req->producer_id = req->producer_epoch = -1;
	struct kafka_init_producer_id_res *res = client_call(client, KAFKA_API_INIT_PRODUCER_ID, 4, req, a);
	int code = res ? res->error_code : -1;

	arena_free(a);
	return code;
}

/* ---- checks ---- */

/* Every acknowledged record is there, in order. What nobody acknowledged may be there too, once. */
static void check_records(int topic, int32_t part)
{
	long long next = 0;
	int64_t at = 0, end = -1;

	if (client_offset(client, topics[topic].name, part, false, &end) != 0)
		wrong("%s: no end", topics[topic].name);
	while (at < end) {
		struct arena *a = arena_new(64 << 20);
		struct str rest = client_fetch(client, topics[topic].name, part, at, a);
		struct kafka_batch b;
		struct kafka_records it;
		struct kafka_record r;

		if (!rest.n)
			wrong("%s: nothing at %lld of %lld", topics[topic].name, (long long)at, (long long)end);
		while (kafka_batch_next(&rest, &b) == 0) {
			if (kafka_batch_check(&b) || kafka_records_open(&it, &b, NULL))
				wrong("%s: damaged batch at %lld", topics[topic].name, (long long)b.base_offset);
			while (b.base_offset >= at && kafka_records_next(&it, &r) == 1) {
				long long number = strtoll(r.value.p, NULL, 10);

				/* A record that was refused is sent anew under the same number. */
				if (number != next && number != next - 1)
					wrong("%s: record %lld instead of %lld", topics[topic].name, number, next);
				next = number + 1;
			}
			at = kafka_batch_last_offset(&b) + 1;
		}
		arena_free(a);
	}
	if (next < acked[topic][part])
		wrong("%s: %lld records of %lld", topics[topic].name, next, acked[topic][part]);
}

static void check_all(void)
{
	check_records(TOPIC_ONCE, 0);
	check_records(TOPIC_ONCE, 1);
}

/* Both answers are honest as long as they are true. */
static void check_commit(int64_t offset)
{
	int64_t before = -1, after = -1;

	if (client_committed(client, "disk", topics[TOPIC_ONCE].name, 0, &before) != 0)
		wrong("OffsetFetch on a full disk");
	int code = commit(offset);

	if (code != 0 && code != KAFKA_ERR_COORDINATOR_NOT_AVAILABLE && code != KAFKA_ERR_KAFKA_STORAGE_ERROR)
		wrong("OffsetCommit on a full disk: %d", code);
	if (client_committed(client, "disk", topics[TOPIC_ONCE].name, 0, &after) != 0 ||
	    after != (code == 0 ? offset : before))
		wrong("commit of %lld answered %d: %lld became %lld", (long long)offset, code, (long long)before,
		      (long long)after);
}

/* Something that has to work soon. */
static void soon(const char *what, int (*fn)(void))
{
	int64_t until = now_us() + PATIENCE_US;
	int code;

	while ((code = fn()) != 0) {
		broker_check_alive(&broker);
		if (now_us() > until)
			wrong("%s: still error %d", what, code);
		sleep_us(20000);
	}
}

static int append_once(void)
{
	int code = append(TOPIC_ONCE, 0, 100);

	return code ? code : append(TOPIC_ONCE, 1, 100);
}

static int append_key(void)
{
	return append(TOPIC_KEYS, 0, 100);
}

static int commit_some(void)
{
	return commit(acked[TOPIC_ONCE][0]);
}

static int create_again(void)
{
	struct kafka_uuid id;
	int code = client_create_topic(client, "afterwards", 2, NULL, &id);

	return code == KAFKA_ERR_TOPIC_ALREADY_EXISTS ? 0 : code;
}

static void works_again(void)
{
	soon("produce", append_once);
	soon("produce with keys", append_key);
	soon("commit", commit_some);
	soon("InitProducerId", init_producer);
	soon("create", create_again);
	check_all();
	if (client_delete_topic(client, "afterwards") != 0)
		wrong("delete");
}

/* ---- scenarios ---- */

static void while_full(void)
{
	struct kafka_uuid id;
	int code = 0;

	for (int i = 0; i < 5000 && code == 0; i++)
		code = append(TOPIC_ONCE, i % 2, i % 10 ? 500 : BIG);
	if (code != KAFKA_ERR_KAFKA_STORAGE_ERROR)
		wrong("produce on a full disk: %d", code);
	for (int i = 0; i < 50; i++) {
		code = append(TOPIC_ONCE, i % 2, i % 3 ? 10 : BIG);
		if (code != 0 && code != KAFKA_ERR_KAFKA_STORAGE_ERROR)
			wrong("produce on a full disk: %d", code);
		check_commit(i);
	}
	code = client_create_topic(client, "full", 3, NULL, &id);
	if (code == -1)
		wrong("create on a full disk: no answer");
	if (init_producer() == -1)
		wrong("InitProducerId on a full disk: no answer");
	check_all();
}

/* Compaction needs space for the new file before it can give back the old one. */
static void compaction_while_full(void)
{
	int64_t until = now_us() + 2000000;

	for (int i = 0; i < 3000; i++)
		if (append(TOPIC_KEYS, 0, 300) != 0)
			wrong("no space for keys yet");
	fill(0);
	while (now_us() < until) {
		int code = append(TOPIC_KEYS, 0, 300);

		if (code != 0 && code != KAFKA_ERR_KAFKA_STORAGE_ERROR)
			wrong("produce with keys on a full disk: %d", code);
		sleep_us(20000);
	}
	empty();
	works_again();
}

static void restart(int number)
{
	broker_end(&broker, number);
	broker_spawn(&broker);
	broker_wait_ready(&broker);
}

static void start_while_full(int number)
{
	fill(0);
	while_full();
	restart(number);
	check_all();
	while_full();
	empty();
	works_again();
	restart(number);
	check_all();
	works_again();
}

/* The disk is full, then deleting makes room. */
static void deleting_makes_room(void)
{
	struct kafka_uuid id;

	if (client_create_topic(client, "big", 1, NULL, &id) != 0)
		wrong("topic big");
	for (int i = 0; i < 20; i++)
		if (client_produce(client, "big", 1) != 0)
			wrong("produce to big");
	fill(0);
	while_full();
	int code = client_delete_topic(client, "big");

	if (code != 0 && code != KAFKA_ERR_KAFKA_STORAGE_ERROR)
		wrong("delete on a full disk: %d", code);
	empty();
	works_again();
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: mqs_disk APPIA_MQS HOME PORT\n");
		return 2;
	}
	broker_init(&broker, argv[1], argv[2], argv[3]);
	snprintf(ballast, sizeof(ballast), "%s/ballast", argv[2]);
	broker_spawn(&broker);
	broker_wait_ready(&broker);
	for (int t = 0; t < TOPICS; t++)
		if (client_create_topic(client, topics[t].name, topics[t].parts, topics[t].configs, &topics[t].id) != 0)
			wrong("topic %s", topics[t].name);
	works_again();
	compaction_while_full();
	fill(100000);
	while_full();
	empty();
	works_again();
	deleting_makes_room();
	start_while_full(SIGKILL);
	start_while_full(SIGTERM);
	broker_end(&broker, SIGTERM);
	printf("%lld records acknowledged, all there\n", acked[TOPIC_ONCE][0] + acked[TOPIC_ONCE][1]);
	return 0;
}
