/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BROKER_HELP_H
#define TESTS_BROKER_HELP_H

#include "broker/log/log.h"
#include "broker/log/priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

/* What the tests of the log share: a store in a directory of its own, and batches made by the wire codec. */

struct help {
	char dir[64];
	struct plog_store_config cfg;
	struct plog_store *store;
	struct plog *p;
	struct plog_config topic;
};

struct help_batch {
	int64_t pid; /* -1: plain */
	int epoch, seq, count;
	bool txn;
	int codec;
	int64_t ts;
	const char *key; /* NULL: no key; "%d" is replaced by the record's number */
	const char *value; /* NULL: tombstone */
	size_t size; /* bytes of value; 0: strlen(value) */
};

void help_open(struct help *h, const char *base); /* new directory, one partition "t-0" */
void help_reopen(struct help *h, bool clean);
void help_done(struct help *h);

/* A batch; free() it. */
uint8_t *help_make(const struct help_batch *b, size_t *ret_n);
/* Appends it; the code, and what was answered in *a when that is not NULL. */
int help_append(struct help *h, const struct help_batch *b, struct plog_append *a);
/* n plain records in one batch. */
int64_t help_put(struct help *h, int n, int64_t ts);

/* Reads everything from offset on, checks that offsets grow and checksums hold; the number of records, or a code. */
int64_t help_read_all(struct help *h, int64_t offset, int64_t *ret_last);
/* One read; the bytes are copied out (free them). */
int help_read(struct help *h, struct plog_read *r, uint8_t **ret_bytes);
void help_wait(struct help *h, int64_t offset);
int64_t help_now(void);
struct plog_info help_info(struct help *h);

#endif
