/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mqs/message.h"

#include "base/mem.h"
#include "model/mqs/cluster.h"
#include "model/mqs/topic.h"

#include <stdlib.h>

#define DEFAULT_LIMIT 10
#define MAX_LIMIT 100
#define MAX_OFFSET 10000

struct query {
	struct str key, tag, id, content;
	int64_t limit, offset, start_ms, end_ms;
	bool ascending, filtered;
	size_t preview;
	/* What is found, at most cap; when there is more, the ones that come later in the order go. */
	struct model *m;
	struct str topic;
	struct mqs_message *found;
	size_t n, cap;
	int64_t seen, matches;
};

static struct str header(const struct cluster_record *r, const char *name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (str_is(r->headers[i].name, name))
			return r->headers[i].value;
	return STR("");
}

static bool matches(const struct query *q, const struct cluster_record *r)
{
	return (!q->key.n || str_eq(r->key, q->key)) && (!q->tag.n || str_eq(header(r, "TAGS"), q->tag)) &&
	       (!q->id.n || str_eq(header(r, "message_id"), q->id)) &&
	       (!q->content.n || (r->value.p && str_contains(r->value, q->content)));
}

/* Not in the middle of a character. */
static struct str head(struct str s, size_t max)
{
	size_t n = s.n > max ? max : s.n;

	while (n < s.n && n && ((unsigned char)s.p[n] & 0xc0) == 0x80 && max - n < 3)
		n--;
	return (struct str){s.p, n};
}

static struct str copy(struct model *m, struct str s, size_t max)
{
	struct str part = head(s.p ? s : STR(""), max);
	char *p = arena_try(m->arena, part.n + 1);

	if (!p)
		return STR("");
	/* A NUL is shown as U+FFFD, like bytes that are no UTF-8: many readers of JSON stop at it. */
	for (size_t i = 0; i < part.n; i++)
		p[i] = part.p[i] ? part.p[i] : (char)0xff;
	return (struct str){p, part.n};
}

static void show(const struct query *q, const struct cluster_record *r, struct mqs_message *ret)
{
	*ret = (struct mqs_message){
		.topic = q->topic,
		.partition = r->partition, .has_partition = true,
		.message_offset = r->offset, .has_message_offset = true,
		.timestamp = r->timestamp_ms, .has_timestamp = true,
		.size = (int64_t)(r->key.n + r->value.n), .has_size = true,
		.huge_message = r->value.n > q->preview, .has_huge_message = true,
		.key = r->key.p ? copy(q->m, r->key, MESSAGE_PREVIEW) : STR_NONE,
		.value = copy(q->m, r->value, q->preview),
		.message_id = copy(q->m, header(r, "message_id"), MESSAGE_PREVIEW),
		.app_id = copy(q->m, header(r, "app_id"), MESSAGE_PREVIEW),
		.tag = copy(q->m, header(r, "TAGS"), MESSAGE_PREVIEW),
	};
}

static int oldest_first(const void *a, const void *b)
{
	const struct mqs_message *x = a, *y = b;

	if (x->timestamp != y->timestamp)
		return x->timestamp < y->timestamp ? -1 : 1;
	if (x->partition != y->partition)
		return x->partition < y->partition ? -1 : 1;
	return (x->message_offset > y->message_offset) - (x->message_offset < y->message_offset);
}

static int newest_first(const void *a, const void *b)
{
	return oldest_first(b, a);
}

static void arrange(struct query *q)
{
	qsort(q->found, q->n, sizeof(*q->found), q->ascending ? oldest_first : newest_first);
}

static bool collect(void *ctx, const struct cluster_record *r)
{
	struct query *q = ctx;

	q->seen++;
	if (matches(q, r)) {
		q->matches++;
		/* Only the positions first: values are read again for the page that is shown. */
		q->found[q->n++] = (struct mqs_message){.partition = r->partition, .message_offset = r->offset,
							.timestamp = r->timestamp_ms};
	}
	if (q->n == 2 * q->cap) {
		arrange(q);
		q->n = q->cap;
	}
	return q->seen < MESSAGE_SCAN;
}

struct reading {
	struct query *q;
	struct mqs_message *page;
	size_t n;
};

static bool fill(void *ctx, const struct cluster_record *r)
{
	struct reading *reading = ctx;

	for (size_t i = 0; i < reading->n; i++) {
		struct mqs_message *at = &reading->page[i];

		if (at->partition == r->partition && at->message_offset == r->offset) {
			show(reading->q, r, at);
			break;
		}
	}
	return true;
}

/* The values of a page: one range per partition, from its first to its last message there. */
static int fill_page(struct query *q, struct mqs_message *page, size_t n)
{
	struct cluster_range *ranges = ARENA_ARRAY(q->m->arena, struct cluster_range, n + 1);
	struct reading reading = {q, page, n};
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		size_t k = 0;

		while (k < used && ranges[k].partition != page[i].partition)
			k++;
		if (k == used)
			ranges[used++] = (struct cluster_range){page[i].partition, page[i].message_offset,
								page[i].message_offset + 1};
		if (page[i].message_offset < ranges[k].from)
			ranges[k].from = page[i].message_offset;
		if (page[i].message_offset >= ranges[k].to)
			ranges[k].to = page[i].message_offset + 1;
		page[i].topic = STR_NONE;
	}
	return used ? cluster_read(q->m, q->topic, ranges, used, fill, &reading) : 0;
}

/* Offsets of the time; without a search, only as many as the page can need. */
static int find_ranges(struct query *q, size_t n, struct cluster_range *ret, int64_t *ret_total)
{
	int64_t *from = ARENA_ARRAY(q->m->arena, int64_t, n + 1), *to = ARENA_ARRAY(q->m->arena, int64_t, n + 1);
	int64_t most = q->filtered ? MESSAGE_SCAN / (int64_t)(n ? n : 1) : q->offset + q->limit;
	int rc = cluster_offsets(q->m, q->topic, n, q->start_ms, from);

	if (rc == 0)
		rc = cluster_offsets(q->m, q->topic, n, q->end_ms + 1, to);
	*ret_total = 0;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		int64_t count = to[i] > from[i] ? to[i] - from[i] : 0;

		ret[i] = (struct cluster_range){(int64_t)i, from[i], from[i] + count};
		*ret_total += count;
		if (count > most && q->ascending)
			ret[i].to = ret[i].from + most;
		else if (count > most)
			ret[i].from = ret[i].to - most;
	}
	return rc;
}

static int by_time(struct query *q, size_t partitions, struct mqs_message_list *ret)
{
	struct cluster_range *ranges = ARENA_ARRAY(q->m->arena, struct cluster_range, partitions + 1);
	int64_t total = 0;
	int rc = find_ranges(q, partitions, ranges, &total);

	q->cap = (size_t)(q->offset + q->limit);
	q->found = ARENA_ARRAY(q->m->arena, struct mqs_message, 2 * q->cap);
	if (rc == 0)
		rc = cluster_read(q->m, q->topic, ranges, partitions, collect, q);
	if (rc)
		return rc;
	arrange(q);

	size_t end = q->n < q->cap ? q->n : q->cap, begin = (size_t)q->offset < end ? (size_t)q->offset : end;
	struct mqs_message *page = q->found + begin;

	rc = fill_page(q, page, end - begin);
	/* Those that were deleted meanwhile have no topic. */
	ret->messages.v = page;
	for (size_t i = 0; rc == 0 && i < end - begin; i++)
		if (page[i].topic.p)
			page[ret->messages.n++] = page[i];
	ret->total = (double)(q->filtered ? q->matches : total);
	return rc;
}

struct one {
	struct query *q;
	struct mqs_message *message;
	bool found;
};

static bool keep_one(void *ctx, const struct cluster_record *r)
{
	struct one *one = ctx;

	one->found = true;
	show(one->q, r, one->message);
	return false;
}

static int by_offset(struct query *q, const struct mqs_show_mqs_instance_messages_in *in, size_t partitions,
		     struct mqs_message_list *ret)
{
	struct one one = {q, ARENA_NEW(q->m->arena, struct mqs_message), false};
	int64_t partition = 0, offset = 0;
	int rc = mqs_number(q->m, "partition", in->partition, 0, (int64_t)partitions - 1, -1, &partition);

	if (rc == 0)
		rc = mqs_number(q->m, "message_offset", in->message_offset, 0, INT64_MAX - 1, -1, &offset);
	if (rc)
		return rc;
	if (partition < 0 || offset < 0)
		return err_set_text(&q->m->err, ERR_MQS_00400062, "Invalid request parameter: give start_time and"
				    " end_time, or partition and message_offset.");
	int64_t *start = ARENA_ARRAY(q->m->arena, int64_t, partitions);
	int64_t *end = ARENA_ARRAY(q->m->arena, int64_t, partitions);

	rc = cluster_offsets(q->m, q->topic, partitions, CLUSTER_START, start);
	if (rc == 0)
		rc = cluster_offsets(q->m, q->topic, partitions, CLUSTER_END, end);
	if (rc == 0 && offset >= start[partition] && offset < end[partition]) {
		struct cluster_range range = {partition, offset, offset + 1};

		q->preview = MESSAGE_WHOLE;
		rc = cluster_read(q->m, q->topic, &range, 1, keep_one, &one);
	}
	ret->messages.v = one.message;
	ret->messages.n = rc == 0 && one.found ? 1 : 0;
	ret->total = (double)ret->messages.n;
	return rc;
}

static int read_query(struct model *m, const struct mqs_show_mqs_instance_messages_in *in, struct query *q)
{
	int rc = mqs_number(m, "limit", in->limit, 1, MAX_LIMIT, DEFAULT_LIMIT, &q->limit);

	if (rc == 0)
		rc = mqs_number(m, "offset", in->offset, 0, MAX_OFFSET, 0, &q->offset);
	if (rc == 0)
		rc = mqs_number(m, "start_time", in->start_time, 0, INT64_MAX / 2, -1, &q->start_ms);
	if (rc == 0)
		rc = mqs_number(m, "end_time", in->end_time, 0, INT64_MAX / 2, -1, &q->end_ms);
	if (rc == 0 && q->start_ms > q->end_ms && q->end_ms >= 0)
		return err_set(&m->err, ERR_MQS_00400800, "start_time");
	q->key = in->key;
	q->tag = in->tag;
	q->id = in->message_id;
	q->content = in->content;
	q->filtered = q->key.n || q->tag.n || q->id.n || q->content.n;
	q->ascending = in->has_asc && in->asc;
	q->preview = in->has_download && in->download ? MESSAGE_WHOLE : MESSAGE_PREVIEW;
	return rc;
}

int message_list(struct model *m, const struct mqs_show_mqs_instance_messages_in *in, struct mqs_message_list *ret)
{
	struct query q = {.m = m, .topic = in->topic};
	struct cluster_topic topic;
	struct topic row;
	int rc = read_query(m, in, &q);

	if (rc == 0)
		rc = topic_look(m, in->instance_id, in->topic, APP_READ, &row);
	if (rc == 0)
		rc = cluster_topic(m, in->topic, &topic);
	if (rc == 0)
		rc = q.start_ms >= 0 && q.end_ms >= 0 ? by_time(&q, (size_t)topic.partitions, ret)
						       : by_offset(&q, in, (size_t)topic.partitions, ret);
	ret->size = (double)ret->messages.n;
	ret->has_size = ret->has_total = true;
	return rc > 0 ? err_set(&m->err, ERR_MQS_00400101, "Kafka has no topic of this name") : rc;
}

struct resending {
	struct model *m;
	struct cluster_record record;
	bool found, whole;
};

static struct str keep(struct model *m, struct str s, bool *whole)
{
	char *p = s.p ? arena_try(m->arena, s.n + 1) : NULL;

	if (!s.p)
		return STR_NONE;
	*whole &= p != NULL;
	if (p)
		memcpy(p, s.p, s.n);
	return p ? (struct str){p, s.n} : STR_NONE;
}

static bool keep_record(void *ctx, const struct cluster_record *r)
{
	struct resending *s = ctx;

	s->found = s->whole = true;
	s->record = *r;
	s->record.key = keep(s->m, r->key, &s->whole);
	s->record.value = keep(s->m, r->value, &s->whole);
	s->record.n_headers = 0;
	for (size_t i = 0; i < r->n_headers; i++)
		if (!str_is(r->headers[i].name, "consumer_key"))
			s->record.headers[s->record.n_headers++] = (struct cluster_header){
				keep(s->m, r->headers[i].name, &s->whole), keep(s->m, r->headers[i].value, &s->whole)};
	return false;
}

static int resend(struct model *m, const struct mqs_message_reset *in)
{
	struct cluster_range range = {in->partition, (int64_t)in->message_offset, (int64_t)in->message_offset + 1};
	struct resending s = {.m = m};
	struct cluster_topic topic;
	int rc = cluster_topic(m, in->topic, &topic);

	if (rc == 0 && (in->partition < 0 || in->partition >= topic.partitions))
		return err_set(&m->err, ERR_MQS_00400800, "partition");
	if (rc == 0)
		rc = cluster_read(m, in->topic, &range, 1, keep_record, &s);
	if (rc)
		return rc;
	if (!s.found || s.record.offset != range.from)
		return err_set(&m->err, ERR_MQS_00400800, "message_offset");
	if (!s.whole || (in->consumer_key.n && s.record.n_headers == ARRAY_LEN(s.record.headers)))
		return err_set(&m->err, ERR_MQS_00400062, "the message is too large to be sent again");
	if (in->consumer_key.n)
		s.record.headers[s.record.n_headers++] = (struct cluster_header){STR("consumer_key"), in->consumer_key};
	return cluster_write(m, in->topic, &s.record);
}

int message_resend(struct model *m, struct str instance_id, const struct mqs_message_reset *in,
		   struct mqs_message_reset_result *ret)
{
	struct topic row;
	int rc = topic_look(m, instance_id, in->topic, APP_MODIFY, &row);

	if (rc == 0 && !(in->message_offset >= 0 && in->message_offset < 9e15 &&
			 in->message_offset == (double)(int64_t)in->message_offset))
		return err_set(&m->err, ERR_MQS_00400800, "message_offset");
	if (rc == 0)
		rc = resend(m, in);
	*ret = (struct mqs_message_reset_result){
		in->topic, in->partition, true, (int64_t)in->message_offset, true, in->consumer_key};
	return rc > 0 ? err_set(&m->err, ERR_MQS_00400101, "Kafka has no topic of this name") : rc;
}
