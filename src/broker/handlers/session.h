/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_HANDLERS_SESSION_H
#define BROKER_HANDLERS_SESSION_H

#include "broker/handlers/tags.h"

/* Fetch sessions (KIP-227): the broker remembers what a consumer wants, requests and answers carry only what changed.
 */

struct fetch_session;

/* A partition that a fetch wants, and what it found. Lives in the request's arena. */
struct fetch_want {
	struct str topic;
	struct kafka_uuid topic_id;
	uint32_t topic_number; /* the same for the same topic */
	int32_t index, leader_epoch, last_epoch, max_bytes;
	int64_t offset;
	struct mqs_part *part;
	int16_t code;
	const struct tags_filter *filter; /* NULL: everything is seen */
	/* found */
	struct plog_aborted *aborted;
	uint32_t aborted_max;
	struct plog_read read;
	bool is_read;
	uint64_t bytes;
	struct kafka_fetch_res_partition out;
};

/* Finds or makes the session of a request and lists all partitions it wants. *ret_session NULL: none. *ret_full: the
 * answer names every partition. Returns an error of the protocol. The session is the request's until it is released. */
int16_t fetch_session_begin(struct mqs_request *rq, struct fetch_session **ret_session, struct fetch_want **ret_v,
			    size_t *ret_n, bool *ret_full);
void fetch_session_release(struct mqs_broker *b, struct fetch_session *s); /* NULL is legal */
/* Whether there is anything new about a partition since the last answer; notes what is sent. */
bool fetch_session_news(struct fetch_session *s, struct fetch_want *w);
int32_t fetch_session_id(const struct fetch_session *s); /* 0 for NULL */
void fetch_sessions_free(struct mqs_broker *b);

#endif
