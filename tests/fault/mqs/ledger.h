/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FAULT_MQS_LEDGER_H
#define TESTS_FAULT_MQS_LEDGER_H

#include "client.h"

/* What the broker said, and what was read from it: everything it said has to stay true. wrong() ends the program with
 * the first thing that is not. Any thread. */

enum { GROUPS = 2, PARTS_MAX = 4 };

struct topic {
	const char *name;
	int32_t parts;
	bool once; /* sequences per partition are without gap and repetition */
	bool txn; /* values carry a transaction */
	bool compacted; /* records may go; the newest of a key stays */
	const char *const *configs;
	struct kafka_uuid id;
	struct book *books; /* by partition */
};

enum { TOPIC_ONCE, TOPIC_TXN, TOPIC_LOOSE, TOPIC_KEYS, TOPICS };
extern struct topic topics[TOPICS];
extern const char *const group_names[GROUPS];

enum outcome { TXN_UNKNOWN, TXN_COMMITTED, TXN_ABORTED };

struct tally {
	long long acked, read, committed_txns, aborted_txns, unknown_txns, commits, consumed, churned, keys;
};
extern struct tally tally;

__attribute__((noreturn, format(printf, 1, 2))) void wrong(const char *fmt, ...);

void ledger_init(void);
/* A value of the load: "<topic> <a> <b> ...": sequence and filler, or transaction and number in it. */
size_t value_make(char *out, size_t max, int topic, int64_t a, int64_t b);

/* The broker acknowledged a record. */
void ledger_acked(int topic, int32_t part, int64_t offset, const void *value, size_t n);
/* A member of a group has had the record. */
void ledger_consumed(int group, int topic, int32_t part, int64_t offset, const void *value, size_t n);
/* The broker acknowledged a commit. */
void ledger_committed(int group, int topic, int32_t part, int64_t offset);
/* The end of transaction number txn, of n records, is known, or will never be. */
void ledger_txn(int64_t txn, int n, enum outcome how);
void ledger_key(int key, int64_t seq);

/* Reads what is new (all: everything) and compares. Returns -1 when the broker went away. */
int ledger_check(struct client *c, bool all);
/* True when every acknowledged record was consumed by every group; what is missing goes to stderr with tell. */
bool ledger_drained(bool tell);
/* At the end: outcomes of all transactions. */
void ledger_finish(void);

#endif
