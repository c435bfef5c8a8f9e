/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FAULT_MQS_CLIENT_H
#define TESTS_FAULT_MQS_CLIENT_H

#include "kafka/header.h"
#include "kafka_err.h"
#include "kafka_msg.h"

#include <pthread.h>

/* A client of the Kafka protocol that does one request at a time and tells what happened. One thread at a time. */

struct client {
	uint16_t port;
	int fd; /* -1: not connected */
	int32_t correlation;
	struct buf out;
	char *frame;
};

void client_init(struct client *c, uint16_t port);
void client_done(struct client *c);
/* 0 when it is connected, -1 at once when it cannot be. */
int client_connect(struct client *c);
/* The answer, decoded into arena, which points into a buffer that lasts until the next call. NULL: there was none; the
 * connection is closed then, and the next call makes a new one. */
void *client_call(struct client *c, int key, int version, const void *req, struct arena *arena);

/* An error of the protocol, -1 without an answer. */
int client_create_topic(struct client *c, const char *name, int32_t partitions, const char *const *configs,
			struct kafka_uuid *ret_id);
int client_delete_topic(struct client *c, const char *name);
/* timestamp -1: end, -2: start, -3: stable end by isolation 1. */
int client_offset(struct client *c, const char *topic, int32_t partition, bool stable, int64_t *ret);
/* Committed offset, -1 when there is none. */
int client_committed(struct client *c, const char *group, const char *topic, int32_t partition, int64_t *ret);
/* One record to each of the first n partitions of a topic, acks=all. The first error of a partition. */
int client_produce(struct client *c, const char *topic, int32_t n);
/* Records from an offset on, uncommitted ones too; points into the client's buffer. Empty
 * with an error or without an answer. */
struct str client_fetch(struct client *c, const char *topic, int32_t partition, int64_t offset, struct arena *arena);
/* Partitions of a topic, or a negative error. */
int client_partitions(struct client *c, const char *topic);

#endif
