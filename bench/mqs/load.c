/* SPDX-License-Identifier: Apache-2.0 */
/* Produces or consumes with librdkafka as fast as it goes, to measure brokers with a client that costs little.
 *
 * usage: load produce SERVERS TOPIC RECORDS SIZE [property=value]...
 *        load consume SERVERS TOPIC RECORDS [property=value]...
 * Prints "records/s failed" of the records that were acknowledged or read, from the first to the last. */
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH 1000
#define PAYLOADS 64

static long delivered, failed;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[512];

	if (rd_kafka_conf_set(conf, name, value, why, sizeof(why)) != RD_KAFKA_CONF_OK)
		die(name, why);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	if (m->err)
		failed++;
	else
		delivered++;
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char why[512];
	rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof(why));

	if (!rk)
		die("client", why);
	return rk;
}

static void produce(rd_kafka_conf_t *conf, const char *topic, long records, size_t size)
{
	static char noise[1 << 20];

	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, conf);
	rd_kafka_topic_t *rkt = rd_kafka_topic_new(rk, topic, NULL);
	rd_kafka_message_t *batch = calloc(BATCH, sizeof(*batch));

	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)rand();
	double began = now();

	for (long sent = 0; sent < records;) {
		int n = records - sent < BATCH ? (int)(records - sent) : BATCH;

		for (int i = 0; i < n; i++) {
			batch[i].payload = noise + (size_t)(i % PAYLOADS) * ((sizeof(noise) - size) / PAYLOADS);
			batch[i].len = size;
			batch[i].err = 0;
		}
		int taken = rd_kafka_produce_batch(rkt, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, batch, n);

		/* A full queue takes the first ones; the rest is tried again. */
		sent += taken;
		rd_kafka_poll(rk, taken < n ? 10 : 0);
	}
	while (rd_kafka_outq_len(rk) > 0)
		rd_kafka_poll(rk, 10);
	printf("%.0f %ld\n", (double)delivered / (now() - began), failed);
	rd_kafka_topic_destroy(rkt);
	rd_kafka_destroy(rk);
	free(batch);
}

static void consume(rd_kafka_conf_t *conf, const char *topic, long records)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, conf);
	rd_kafka_message_t **batch = calloc(BATCH, sizeof(*batch));
	double began = 0;
	long got = 0;

	rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
	rd_kafka_poll_set_consumer(rk);
	rd_kafka_subscribe(rk, topics);
	rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);

	while (got < records) {
		ssize_t n = rd_kafka_consume_batch_queue(queue, 100, batch, BATCH);

		for (ssize_t i = 0; i < n; i++) {
			if (!batch[i]->err)
				got++;
			else
				failed++;
			rd_kafka_message_destroy(batch[i]);
		}
		if (got && began == 0)
			began = now();
	}
	printf("%.0f %ld\n", (double)got / (now() - began), failed);
	rd_kafka_queue_destroy(queue);
	rd_kafka_consumer_close(rk);
	rd_kafka_topic_partition_list_destroy(topics);
	rd_kafka_destroy(rk);
	free(batch);
}

int main(int argc, char **argv)
{
	bool producing = argc > 5 && strcmp(argv[1], "produce") == 0;

	if (!producing && (argc < 5 || strcmp(argv[1], "consume") != 0)) {
		fprintf(stderr, "usage: load produce SERVERS TOPIC RECORDS SIZE [property=value]...\n"
				"       load consume SERVERS TOPIC RECORDS [property=value]...\n");
		return 2;
	}
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	set(conf, "bootstrap.servers", argv[2]);
	for (int i = producing ? 6 : 5; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			die(argv[i], "has no value");
		*value++ = '\0';
		set(conf, argv[i], value);
	}
	if (producing)
		produce(conf, argv[3], strtol(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
	else
		consume(conf, argv[3], strtol(argv[4], NULL, 10));
	return 0;
}
