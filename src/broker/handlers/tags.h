/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_HANDLERS_TAGS_H
#define BROKER_HANDLERS_TAGS_H

#include "broker/handlers/broker.h"

/* Tags of records and what applications may do with them.
 *
 * A record's tags stand in its header TAGS, several with "||" between them; a record may have more than one such
 * header. An application whose right to a topic names tags
 *   - publishes only records with at least one tag, all of them among its own: else nothing of the partition's batch is
 *     written, and INVALID_RECORD names the records;
 *   - sees only records with at least one of its tags.
 * A record with header consumer_key, which the management API adds when it sends a record again, is seen by the
 * application of that key and by no other. That is looked for in topics only that have got such a record: an
 * uncompressed batch of few records, as the management API sends it, marks its topic for ever, before it is written.
 * Users who are no applications see everything. */

#define TAGS_HEADER "TAGS"
#define CONSUMER_KEY_HEADER "consumer_key"

struct tags {
	struct str *v;
	size_t n; /* 0: every record */
};

/* What an application sees of a topic. */
struct tags_filter {
	struct str app_key;
	struct tags tags;
};

/* One record. */
bool tags_may_publish(const struct tags *tags, const struct kafka_record *record);
bool tags_may_see(const struct tags_filter *filter, const struct kafka_record *record);

/* Whether the peer may publish to a topic, or read it. *ret: which records, NULL for all; in the request's arena. */
bool tags_may_write(struct mqs_request *rq, struct str topic, const struct tags **ret);
bool tags_may_read(struct mqs_request *rq, struct str topic, const struct tags_filter **ret);

/* Whether the filter has anything to do in the topic now. To be asked behind the read: a topic is marked before its
 * first record for one application is there. */
static inline bool tags_apply(const struct tags_filter *filter, struct mqs_topic *t)
{
	return filter && (filter->tags.n || atomic_load(&t->addressed));
}

/* Looks at all records of a partition's batches before they are appended: an error of the protocol; then *out says
 * which records are to blame, up to a thousand. inflate is what may still be decompressed; scratch is for that. */
int tags_check(struct arena *a, const struct tags *tags, struct str batches, uint64_t *inflate, struct buf *scratch,
	       struct kafka_produce_res_partition_response *out);

/* Whether the batches hold a record for one application only, as the management API sends it. */
bool tags_addressed(struct str batches);

/* What one fetch may spend on filtering. */
struct tags_budget {
	uint64_t bytes; /* of records, decompressed; the first batch may take more, up to TAGS_INFLATE_MAX */
	bool spent; /* something was filtered */
};
enum { TAGS_FETCH_BYTES = 4 << 20, TAGS_INFLATE_MAX = 64 << 20 };

/* Replaces what was read by what may be seen, from offset "from" on: whole batches as they are, batches with fewer
 * records, and gaps (kafka_gap_batch()) where nothing is left. Ends early when the budget is spent; the client comes
 * again. What cannot be read, or is too large decompressed, is a gap. The bytes live in the arena. 0 or PLOG_STORAGE.
 */
int tags_filter_read(struct arena *a, const struct tags_filter *filter, struct plog_read *r, int64_t from,
		     struct tags_budget *budget);

#endif
