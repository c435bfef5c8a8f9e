/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/tags.h"

#include "json/json.h"
#include "kafka/error.h"
#include "kafka/wire.h"

#include <unistd.h>

enum { ERRORS_MAX = 1000, ADDRESSED_MAX = 16 };

/* ---- records ---- */

static bool among(const struct tags *tags, struct str tag)
{
	for (size_t i = 0; i < tags->n; i++)
		if (str_eq(tags->v[i], tag))
			return true;
	return false;
}

/* Counts tags of one header, and those that are among the given. */
static void count_tags(const struct tags *tags, struct str value, size_t *n, size_t *ours)
{
	while (value.p) {
		struct str tag = str_trim(str_cut(&value, '|'));

		if (tag.n == 0)
			continue;
		(*n)++;
		*ours += among(tags, tag);
	}
}

/* False when the headers cannot be read. *ret_other: the record is for another application than key. */
static bool look(const struct tags *tags, struct str key, struct kafka_record r, size_t *ret_n, size_t *ret_ours,
		 bool *ret_other)
{
	bool addressed = false, to_key = false;
	struct str name, value;
	int rc;

	*ret_n = *ret_ours = 0;
	while ((rc = kafka_record_header_next(&r, &name, &value)) == 1)
		if (str_is(name, TAGS_HEADER)) {
			count_tags(tags, value, ret_n, ret_ours);
		} else if (str_is(name, CONSUMER_KEY_HEADER)) {
			addressed = true;
			to_key = to_key || str_eq(value, key);
		}
	*ret_other = addressed && !to_key;
	return rc == 0;
}

bool tags_may_publish(const struct tags *tags, const struct kafka_record *record)
{
	size_t n, ours;
	bool other;

	return look(tags, STR_NONE, *record, &n, &ours, &other) && n > 0 && ours == n;
}

bool tags_may_see(const struct tags_filter *filter, const struct kafka_record *record)
{
	size_t n, ours;
	bool other;

	return look(&filter->tags, filter->app_key, *record, &n, &ours, &other) && !other &&
	       (filter->tags.n == 0 || ours > 0);
}

/* ---- rights ---- */

static bool side_of(struct mqs_request *rq, struct str topic, int operation, const char *side, struct tags *ret)
{
	const struct json *right;

	*ret = (struct tags){NULL, 0};
	if (!mqs_may_topic(rq, topic, operation, &right))
		return false;
	const struct json *list = right ? json_get(right, side) : NULL;
	size_t n = list ? json_len(list) : 0;

	ret->v = ARENA_ARRAY(rq->arena, struct str, n + 1);
	for (size_t i = 0; i < n; i++)
		ret->v[ret->n++] = json_str(json_at(list, i));
	return true;
}

bool tags_may_write(struct mqs_request *rq, struct str topic, const struct tags **ret)
{
	struct tags tags;

	if (!side_of(rq, topic, OP_WRITE, "pub_tags", &tags))
		return false;
	*ret = NULL;
	if (tags.n) {
		struct tags *own = ARENA_NEW(rq->arena, struct tags);

		*own = tags;
		*ret = own;
	}
	return true;
}

bool tags_may_read(struct mqs_request *rq, struct str topic, const struct tags_filter **ret)
{
	const struct mqs_peer *peer = mqs_peer(rq);
	struct tags tags;

	if (!side_of(rq, topic, OP_READ, "sub_tags", &tags))
		return false;
	*ret = NULL;
	if (peer->sasl && peer->app && !peer->administrator) {
		struct tags_filter *filter = ARENA_NEW(rq->arena, struct tags_filter);

		*filter = (struct tags_filter){str_of(peer->user), tags};
		*ret = filter;
	}
	return true;
}

/* ---- publishing ---- */

static void blame(struct arena *a, struct kafka_produce_res_partition_response *out, int32_t index)
{
	if (out->record_errors.n == ERRORS_MAX)
		return;
	if (out->record_errors.n == 0)
		out->record_errors.v = KAFKA_ARRAY(a, kafka_produce_res_record_error, ERRORS_MAX);
	struct kafka_produce_res_record_error *e = &out->record_errors.v[out->record_errors.n++];

	e->batch_index = index;
	e->batch_index_error_message =
		STR("the header " TAGS_HEADER " has no tag, or one that the application may not publish");
}

/* Opens the records with what may still be decompressed. */
static int open_records(struct kafka_records *it, const struct kafka_batch *batch, struct buf *scratch,
			uint64_t *inflate)
{
	scratch->max = *inflate < TAGS_INFLATE_MAX ? (size_t)*inflate : TAGS_INFLATE_MAX;
	int code = kafka_records_open(it, batch, scratch);

	if (code)
		return code == KAFKA_WIRE_MEMORY ? KAFKA_ERR_MESSAGE_TOO_LARGE : KAFKA_ERR_CORRUPT_MESSAGE;
	if (kafka_batch_codec(batch))
		*inflate -= scratch->n < *inflate ? scratch->n : *inflate;
	return 0;
}

int tags_check(struct arena *a, const struct tags *tags, struct str batches, uint64_t *inflate, struct buf *scratch,
	       struct kafka_produce_res_partition_response *out)
{
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;
	int32_t index = 0;
	int code = 0;

	while (!code && batches.n) {
		if (kafka_batch_next(&batches, &batch) != 0)
			return KAFKA_ERR_CORRUPT_MESSAGE;
		code = open_records(&it, &batch, scratch, inflate);
		if (code)
			return code;
		for (; (code = kafka_records_next(&it, &r)) == 1; index++)
			if (!tags_may_publish(tags, &r))
				blame(a, out, index);
		code = code ? KAFKA_ERR_CORRUPT_MESSAGE : 0;
	}
	return code ? code : out->record_errors.n ? KAFKA_ERR_INVALID_RECORD : 0;
}

static bool addressed(const struct kafka_batch *batch)
{
	struct kafka_records it;
	struct kafka_record r;
	struct str name, value;

	if (kafka_batch_codec(batch) || batch->count > ADDRESSED_MAX || kafka_records_open(&it, batch, NULL) != 0)
		return false;
	while (kafka_records_next(&it, &r) == 1)
		while (kafka_record_header_next(&r, &name, &value) == 1)
			if (str_is(name, CONSUMER_KEY_HEADER))
				return true;
	return false;
}

bool tags_addressed(struct str batches)
{
	struct kafka_batch batch;

	while (batches.n && kafka_batch_next(&batches, &batch) == 0)
		if (addressed(&batch))
			return true;
	return false;
}

/* ---- reading ---- */

struct filtering {
	const struct tags_filter *filter;
	struct tags_budget *budget;
	int64_t from;
	struct buf scratch, out;
	bool gap; /* there is one that is not written yet */
	int64_t gap_base, gap_last, gap_time;
	int32_t gap_epoch;
};

static bool keep(void *arg, const struct kafka_record *r)
{
	return tags_may_see(arg, r);
}

static void end_gap(struct filtering *f)
{
	if (f->gap && kafka_gap_batch(f->gap_base, f->gap_last, f->gap_epoch, f->gap_time, &f->out) != 0)
		f->out.failed = true;
	f->gap = false;
}

/* Gaps that follow each other are one. */
static void add_gap(struct filtering *f, const struct kafka_batch *batch)
{
	int64_t last = kafka_batch_last_offset(batch);

	if (f->gap && last - f->gap_base > INT32_MAX)
		end_gap(f);
	if (!f->gap)
		f->gap_base = batch->base_offset;
	f->gap = true;
	f->gap_last = last;
	f->gap_time = batch->max_timestamp;
	f->gap_epoch = batch->leader_epoch;
}

/* False when the budget is spent. */
static bool filter_batch(struct filtering *f, const struct kafka_batch *batch)
{
	struct tags_budget *b = f->budget;
	bool compressed = kafka_batch_codec(batch) != KAFKA_CODEC_NONE;
	/* GZIP and Zstandard at their quickest: this is done for each fetch. */
	int level = kafka_batch_codec(batch) == KAFKA_CODEC_GZIP || kafka_batch_codec(batch) == KAFKA_CODEC_ZSTD
			    ? 1
			    : KAFKA_LEVEL_DEFAULT;

	if (batch->attributes & KAFKA_ATTR_CONTROL) {
		end_gap(f);
		buf_str(&f->out, batch->bytes);
		return true;
	}
	if (b->spent && (b->bytes == 0 || (!compressed && batch->records.n > b->bytes)))
		return false;
	f->scratch.max = b->spent ? (size_t)b->bytes : TAGS_INFLATE_MAX;
	size_t before = f->out.n;
	bool gap = f->gap;

	end_gap(f);
	int rc = kafka_batch_filter(batch, f->from, &f->scratch, keep, (void *)(uintptr_t)f->filter, level, &f->out);
	uint64_t cost = compressed ? f->scratch.n : batch->records.n;

	if (rc == KAFKA_WIRE_MEMORY && b->spent)
		return false;
	b->spent = true;
	b->bytes -= cost < b->bytes ? cost : b->bytes;
	if (rc == KAFKA_FILTER_SOME)
		return true;
	if (rc == KAFKA_FILTER_ALL) {
		buf_str(&f->out, batch->bytes);
		return true;
	}
	/* Nothing, or nothing that can be read. */
	f->out.n = before;
	f->gap = gap;
	add_gap(f, batch);
	return true;
}

static int read_slices(const struct plog_read *r, struct buf *in)
{
	buf_init(in, r->bytes + 1);
	for (unsigned i = 0; i < r->n_slices; i++) {
		size_t left = r->slices[i].len;

		for (off_t at = r->slices[i].pos; left;) {
			char *p = buf_reserve(in, left);
			ssize_t got = p ? pread(r->slices[i].fd, p, left, at) : -1;

			if (got <= 0)
				return PLOG_STORAGE;
			in->n += (size_t)got;
			left -= (size_t)got;
			at += got;
		}
	}
	return 0;
}

/* Hands the bytes over to the arena, as what was read. */
static int give(struct arena *a, struct buf *out, struct plog_read *r)
{
	char *p = out->failed ? NULL : arena_try(a, out->n + 1);

	plog_read_done(r);
	if (!p)
		return PLOG_STORAGE;
	if (out->n) {
		memcpy(p, out->p, out->n);
		r->slices[0] = (struct plog_slice){.fd = -1, .len = (uint32_t)out->n, .memory = p};
		r->n_slices = 1;
		r->bytes = out->n;
	}
	return 0;
}

int tags_filter_read(struct arena *a, const struct tags_filter *filter, struct plog_read *r, int64_t from,
		     struct tags_budget *budget)
{
	struct filtering f = {.filter = filter, .budget = budget, .from = from};
	struct kafka_batch batch;
	struct buf in;
	int rc = read_slices(r, &in);

	buf_init(&f.scratch, TAGS_INFLATE_MAX);
	buf_init(&f.out, (size_t)2 * TAGS_INFLATE_MAX);
	for (struct str rest = buf_view(&in); rc == 0 && rest.n && kafka_batch_next(&rest, &batch) == 0;)
		if (!filter_batch(&f, &batch))
			break;
	end_gap(&f);
	if (rc == 0)
		rc = give(a, &f.out, r);
	else
		plog_read_done(r);
	buf_done(&in);
	buf_done(&f.scratch);
	buf_done(&f.out);
	return rc;
}
