/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_HANDLERS_SHARE_H
#define BROKER_HANDLERS_SHARE_H

#include "broker/handlers/tags.h"

/* What ShareFetch and ShareAcknowledge have in common. */

/* A partition of a request. Lives in its arena. */
struct share_item {
	struct share_tp tp;
	struct mqs_part *part;
	const struct tags_filter *filter;
	int16_t code; /* of the partition: it is not there, or not for the peer */
	struct share_ack *acks;
	size_t n_acks;
	bool wanted; /* its records are, too */
	int16_t ack_code;
	/* found */
	struct str records;
	const struct share_acquired *acquired;
	size_t n_acquired;
};

/* Finds topic, partition and right. */
void share_item_resolve(struct mqs_request *rq, struct share_item *it);
/* Applies the acknowledgements of all items. Returns whether there is something to wait for. Under broker.coord. */
bool share_items_acknowledge(struct mqs_broker *b, struct str group, struct str member, struct share_item *v, size_t n,
			     int32_t lock_ms, bool renew);
/* What the peer may not do with the group, or what is wrong with the names. */
int16_t share_request_code(struct mqs_request *rq, struct str group, struct str member);
int32_t share_lock_ms(const struct mqs_group_setting *set);
struct share_tp share_tp_of(struct kafka_uuid topic, int32_t partition);
/* Has the end of the request's connection end its share sessions. */
uint64_t share_conn_of(struct mqs_request *rq);

/* Batches of a log, read to be shared. */
struct share_found {
	struct buf bytes;
	struct buf batches, ends; /* struct share_batch; size_t, where each ends in bytes */
	size_t n;
};
struct share_reading {
	struct mqs_part *part;
	int64_t from, upto;
	uint32_t max_bytes; /* the first batch comes even when it is larger */
	bool committed;
	const struct tags_filter *filter;
	struct tags_budget *budget;
};
/* Reads whole batches from one offset up to the one that holds another. 0 or a code of a log. *ret is to be freed with
 * share_found_done() in any case. */
int share_read(struct arena *a, const struct share_reading *in, struct share_found *ret);
static inline const struct share_batch *share_batches(const struct share_found *f)
{
	return (const struct share_batch *)(const void *)f->batches.p;
}
/* The batches that hold the offsets, in the arena; STR_NONE when it is full. */
struct str share_found_bytes(struct arena *a, const struct share_found *f, int64_t first, int64_t last);
void share_found_done(struct share_found *f);

#endif
