/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/share.h"

#include <unistd.h>

/* Reads of the log for share groups: batch by batch, because what a member gets is counted in records. */

enum { WINDOW = 64 * 1024, ABORTED = 16 };

struct walk {
	struct plog_read read;
	struct share_found *out;
	unsigned slice;
	uint32_t at; /* in the slice */
	struct plog_aborted *aborted;
	bool *over; /* of each of them: its marker has come */
};

static int fill_some(struct walk *w, size_t n)
{
	const struct plog_slice *s = &w->read.slices[w->slice];
	size_t left = s->len - w->at;

	n = n < left ? n : left;
	char *p = buf_reserve(&w->out->bytes, n);
	ssize_t got = (ssize_t)n;

	if (!p)
		return PLOG_STORAGE;
	if (s->memory)
		memcpy(p, s->memory + w->at, n);
	else
		got = pread(s->fd, p, n, s->pos + w->at);
	if (got <= 0)
		return PLOG_STORAGE;
	w->out->bytes.n += (size_t)got;
	w->at += (uint32_t)got;
	if (w->at == s->len) {
		w->slice++;
		w->at = 0;
	}
	return 0;
}

/* Until there are n bytes behind "from"; false at the end. */
static bool fill(struct walk *w, size_t from, size_t n, int *code)
{
	while (*code == 0 && w->out->bytes.n - from < n && w->slice < w->read.n_slices) {
		size_t more = n - (w->out->bytes.n - from);

		*code = fill_some(w, more > WINDOW ? more : WINDOW);
	}
	return *code == 0 && w->out->bytes.n - from >= n;
}

static void end_of_transaction(struct walk *w, const struct kafka_batch *b)
{
	struct kafka_records it;
	struct kafka_record r;

	if (kafka_records_open(&it, b, NULL) != 0 || kafka_records_next(&it, &r) != 1 ||
	    kafka_control_type(r.key) != KAFKA_CONTROL_ABORT)
		return;
	for (uint32_t i = 0; i < w->read.n_aborted; i++)
		if (w->aborted[i].producer_id == b->producer_id && w->aborted[i].first_offset <= b->base_offset)
			w->over[i] = true;
}

static bool is_hidden(struct walk *w, const struct kafka_batch *b)
{
	if (b->attributes & KAFKA_ATTR_CONTROL) {
		end_of_transaction(w, b);
		return true;
	}
	if (!(b->attributes & KAFKA_ATTR_TRANSACTIONAL))
		return b->count == 0;
	for (uint32_t i = 0; i < w->read.n_aborted; i++)
		if (!w->over[i] && w->aborted[i].producer_id == b->producer_id &&
		    w->aborted[i].first_offset <= b->base_offset)
			return true;
	return b->count == 0;
}

static int walk(struct walk *w, int64_t upto)
{
	int code = 0;

	for (size_t at = 0; fill(w, at, 12, &code);) {
		struct str rest = {w->out->bytes.p + at, w->out->bytes.n - at};
		int64_t size = kafka_batch_size(rest);
		struct kafka_batch b;

		if (size <= 0)
			return PLOG_CORRUPT;
		if (!fill(w, at, (size_t)size, &code))
			break;
		rest = (struct str){w->out->bytes.p + at, (size_t)size};
		if (kafka_batch_next(&rest, &b) != 0)
			return PLOG_CORRUPT;
		at += (size_t)size;
		struct share_batch found = {b.base_offset, kafka_batch_last_offset(&b), is_hidden(w, &b)};

		buf_add(&w->out->batches, &found, sizeof(found));
		buf_add(&w->out->ends, &at, sizeof(at));
		w->out->n++;
		if (found.last >= upto)
			break;
	}
	return code;
}

static int find(struct arena *a, const struct share_reading *in, struct walk *w)
{
	uint32_t room = in->committed ? ABORTED : 0;
	int rc;

	for (int i = 0;; i++) {
		w->aborted = room ? ARENA_ARRAY(a, struct plog_aborted, room) : NULL;
		w->read = (struct plog_read){.offset = in->from,
					     .max_bytes = in->max_bytes,
					     .at_least_one = true,
					     .isolation = in->committed ? PLOG_READ_COMMITTED : PLOG_READ_UNCOMMITTED,
					     .aborted = w->aborted,
					     .aborted_max = room};
		rc = plog_read(in->part->log, &w->read);
		if (rc != 0 || w->read.n_aborted <= room || i == 8)
			break;
		plog_read_done(&w->read);
		room = w->read.n_aborted * 2;
	}
	if (rc == 0 && w->read.n_aborted > room) {
		plog_read_done(&w->read);
		return PLOG_STORAGE;
	}
	return rc;
}

int share_read(struct arena *a, const struct share_reading *in, struct share_found *ret)
{
	struct walk w = {.out = ret};

	*ret = (struct share_found){0};
	buf_init(&ret->bytes, (size_t)64 << 20);
	buf_init(&ret->batches, (size_t)16 << 20);
	buf_init(&ret->ends, (size_t)16 << 20);
	int rc = find(a, in, &w);

	if (rc != 0)
		return rc;
	w.over = ARENA_ARRAY(a, bool, w.read.n_aborted + 1);
	if (w.read.bytes && tags_apply(in->filter, in->part->topic))
		rc = tags_filter_read(a, in->filter, &w.read, in->from, in->budget);
	if (rc == 0) {
		rc = w.read.bytes ? walk(&w, in->upto) : 0;
		plog_read_done(&w.read);
	}
	return ret->batches.failed || ret->ends.failed ? PLOG_STORAGE : rc;
}

struct str share_found_bytes(struct arena *a, const struct share_found *f, int64_t first, int64_t last)
{
	const struct share_batch *v = share_batches(f);
	const size_t *ends = (const size_t *)(const void *)f->ends.p;
	size_t low = 0, high = f->n;

	while (low < high && v[low].last < first)
		low++;
	while (high > low && v[high - 1].first > last)
		high--;
	if (low == high)
		return STR("");
	size_t from = low ? ends[low - 1] : 0, n = ends[high - 1] - from;
	char *p = arena_try(a, n + 1);

	if (!p)
		return STR_NONE;
	memcpy(p, f->bytes.p + from, n);
	return (struct str){p, n};
}

void share_found_done(struct share_found *f)
{
	buf_done(&f->bytes);
	buf_done(&f->batches);
	buf_done(&f->ends);
}
