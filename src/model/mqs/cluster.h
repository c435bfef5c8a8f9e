/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MQS_CLUSTER_H
#define MODEL_MQS_CLUSTER_H

#include "model/context.h"

/* The Kafka below message integration, spoken to by its protocol only, so that any Kafka will do: the platform's own
 * broker or a cluster elsewhere (settings mqs.*). Every call may last CLUSTER_WAIT_MS: never within a transaction. All
 * calls of one struct model together end CLUSTER_CALL_MS after its now_ms. When Kafka does not answer in time:
 * ERR_MQS_005000053, retriable; when it refuses the user or is none: ERR_MQS_005000070. Any thread. */
#define CLUSTER_WAIT_MS 10000
#define CLUSTER_CALL_MS 30000

/* Refusals that callers have words of their own for. */
enum { CLUSTER_EXISTS = 1, CLUSTER_UNKNOWN = 2, CLUSTER_BUSY = 3 };

struct cluster_topic {
	struct str name;
	int64_t partitions, replication;
};

/* value STR_NONE: the setting goes back to Kafka's default. */
struct cluster_config {
	const char *name;
	struct str value;
};

/* Does a Kafka answer, and let us in? */
int cluster_ping(struct model *m);

/* A copy of a partition on a broker. */
struct cluster_replica {
	struct str topic;
	int64_t partition, bytes;
};

struct cluster_disk {
	int64_t broker;
	bool answered; /* false: the broker, or one of its disks, is away */
	bool known; /* total and usable: a Kafka before 3.3 does not tell them */
	int64_t total, usable; /* bytes */
	struct cluster_replica *replicas; /* in no order */
	size_t n_replicas;
};

/* The disks of all brokers. An error when none answers. */
int cluster_disks(struct model *m, struct cluster_disk **ret, size_t *ret_n);

/* Internal topics too. */
int cluster_topics(struct model *m, struct cluster_topic **ret, size_t *ret_n);
/* CLUSTER_UNKNOWN. */
int cluster_topic(struct model *m, struct str name, struct cluster_topic *ret);
/* The number of copies is lowered to the number of brokers. CLUSTER_EXISTS. */
int cluster_topic_create(struct model *m, const struct cluster_topic *topic, const struct cluster_config *configs,
			 size_t n);
/* CLUSTER_UNKNOWN. */
int cluster_topic_delete(struct model *m, struct str name);
/* partitions: their number afterwards. CLUSTER_UNKNOWN. */
int cluster_topic_grow(struct model *m, struct str name, int64_t partitions);
/* Changes these settings and leaves the others as they are. CLUSTER_UNKNOWN. */
int cluster_topic_configure(struct model *m, struct str name, const struct cluster_config *configs, size_t n);

/* Offsets of each partition 0..n-1 of a topic: of the first record at or after at_ms, or of an end. When no record is
 * that young, the end. CLUSTER_UNKNOWN. */
#define CLUSTER_END (-1)
#define CLUSTER_START (-2)
int cluster_offsets(struct model *m, struct str topic, size_t n, int64_t at_ms, int64_t *ret);

struct cluster_header {
	struct str name, value; /* value STR_NONE: null */
};

/* Points into the library's memory, valid during the visit only. */
struct cluster_record {
	int64_t partition, offset, timestamp_ms;
	struct str key, value; /* STR_NONE: null */
	struct cluster_header headers[32];
	size_t n_headers;
};

struct cluster_range {
	int64_t partition, from, to; /* offsets from <= x < to */
};

/* Shows the records of the ranges, in order within a range, until all are through or visit returns false.
 * CLUSTER_UNKNOWN. */
int cluster_read(struct model *m, struct str topic, const struct cluster_range *ranges, size_t n,
		 bool (*visit)(void *ctx, const struct cluster_record *record), void *ctx);
/* Appends a record, acknowledged by all replicas. */
int cluster_write(struct model *m, struct str topic, const struct cluster_record *record);

struct cluster_partition {
	struct str topic;
	int64_t partition, offset;
};

struct cluster_member {
	struct str id, client_id, host;
	struct cluster_partition *assigned; /* offset unused */
	size_t n_assigned;
};

struct cluster_group {
	struct str name, state, strategy; /* state: as in section 7.5.1 */
	int64_t coordinator; /* broker; -1: unknown */
	struct cluster_member *members;
	size_t n_members;
};

/* Names of all groups, in order. */
int cluster_groups(struct model *m, struct str_array *ret);
/* One that nobody knows has the state "Dead". ret: as many as names. */
int cluster_describe(struct model *m, const struct str_array *names, struct cluster_group *ret);
struct cluster_offsets {
	struct cluster_partition *v;
	size_t n;
};

/* Committed offsets, by topic and partition. ret: as many as names; nothing for a group that nobody knows. */
int cluster_group_offsets(struct model *m, const struct str_array *names, struct cluster_offsets *ret);
/* list: of one topic. CLUSTER_UNKNOWN; CLUSTER_BUSY: it has members. */
int cluster_group_set_offsets(struct model *m, struct str group, const struct cluster_partition *list, size_t n);
int cluster_group_delete(struct model *m, struct str group);
/* The ends of partitions of any topics: fills in list[].offset. */
int cluster_ends(struct model *m, struct cluster_partition *list, size_t n);

#endif
