/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_UNIT_BROKER_GROUP_HELP_H
#define TESTS_UNIT_BROKER_GROUP_HELP_H

#include "broker/group/group.h"
#include "coord_help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { ANSWERS = 4096, TOPICS = 8 };

/* An answer, copied. */
struct answer {
	bool there;
	enum group_op op;
	int16_t code;
	char member_id[320], leader[320], protocol[64], assignment[256];
	int32_t generation;
	bool skip;
	size_t n_members;
	struct {
		char id[320], metadata[128];
	} members[16];
	int16_t codes[64];
	size_t n_codes;
	int32_t epoch;
	bool has_assignment;
	struct group_partition parts[256];
	size_t n_parts;
};

struct topic_row {
	const char *name;
	int32_t partitions; /* 0: there is none */
};

/* A broker around a coordinator: its disk, its topics, its clock and the answers of its clients. */
struct world {
	struct group_coord *g;
	struct group_env env;
	struct group_config cfg;
	struct store store;
	struct topic_row topics[TOPICS];
	struct answer *answers; /* by token */
	uint64_t token;
	int64_t now;
	bool hold;    /* batches wait for world_settle() */
	bool failing; /* the disk is full */
};

void world_open(struct world *w);
void world_close(struct world *w);
/* Ends the coordinator as kill -9 would and starts another one from the batches that were stored. */
void world_restart(struct world *w);
void world_settle(struct world *w);
/* Lets time pass, tick by tick. */
void world_pass(struct world *w, int64_t ms);
struct answer *world_answer(struct world *w, uint64_t token);
/* A fresh coordinator from the first n stored batches. */
struct group_coord *world_replay(struct world *w, size_t n);
struct coord_uuid topic_id(size_t i);

#define JOIN_DEFAULTS .group_id = STR("g"), .member_id = STR(""), .protocol_type = STR("consumer"), \
	.session_timeout_ms = 10000, .rebalance_timeout_ms = 30000, .protocols = range_protocol, .n = 1, .version = 5, \
	.client = {STR("c"), STR("/127.0.0.1"), STR("User:u")}
extern const struct group_protocol range_protocol[1];

uint64_t join(struct world *w, struct group_join in);
uint64_t sync_empty(struct world *w, const char *id, int32_t generation);
uint64_t sync_one(struct world *w, const char *id, int32_t generation, const struct group_assignment *v, size_t n);
/* Joins as a new member with the id hand-out of version 4; the token of the second request. */
uint64_t join_dynamic(struct world *w, const char *group);
int16_t beat(struct world *w, const char *id, int32_t generation);
int16_t leave(struct world *w, const char *id, const char *instance);
int16_t commit(struct world *w, const char *id, int32_t generation, const char *topic, int64_t offset);
int64_t committed(struct world *w, const char *topic, int32_t partition);
const char *state(struct world *w, const char *group);
/* A stable group of n members; ret_ids of 320 bytes each, the leader first. Its generation. */
int32_t stable_group(struct world *w, size_t n, char ret_ids[][320]);

/* KIP-848 */
uint64_t chb(struct world *w, struct group_consumer_heartbeat in);

#endif
