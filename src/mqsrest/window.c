/* SPDX-License-Identifier: Apache-2.0 */
#include "mqsrest/window.h"

#include "base/arena.h"
#include "base/enc.h"
#include "base/mem.h"

#include <stdlib.h>

#define MARK "appia:1:" /* in front of our metadata */

void rest_window_init(struct rest_window *w, void (*release)(void *message))
{
	*w = (struct rest_window){.next = -1, .committed = -1, .tried = -1, .done_base = -1, .release = release};
}

static void let_go(struct rest_window *w, struct rest_entry *e)
{
	if (!e->message)
		return;
	w->bytes -= e->bytes;
	w->release(e->message);
	e->message = NULL;
}

void rest_window_done(struct rest_window *w)
{
	for (size_t i = 0; i < w->n; i++)
		let_go(w, &w->v[i]);
	free(w->v);
	rest_window_init(w, w->release);
}

/* ---- what is done, as text ---- */

static bool bit(const uint8_t *map, int64_t i)
{
	return i >= 0 && i < REST_SPAN && (map[i / 8] >> (i % 8) & 1);
}

static void read_metadata(struct rest_window *w, struct str metadata)
{
	struct arena *a = arena_new(8192);
	struct str bits;

	if (metadata.n < 4096 && str_starts(metadata, STR(MARK)) &&
	    enc_unbase64(a, str_sub(metadata, sizeof(MARK) - 1, metadata.n), &bits) && bits.n <= sizeof(w->done))
		memcpy(w->done, bits.p, bits.n);
	arena_free(a);
}

void rest_window_restore(struct rest_window *w, int64_t offset, struct str metadata)
{
	rest_window_done(w);
	if (offset < 0)
		return;
	w->next = w->committed = w->done_base = offset;
	if (metadata.n)
		read_metadata(w, metadata);
}

/* All that was read and is not waiting for anything is done: gaps of the log too. What was not read yet may have been
 * done in a former life. */
static size_t make_bits(const struct rest_window *w, int64_t prefix, uint8_t *map)
{
	size_t used = 0;
	size_t e = 0;

	for (int64_t i = 0; i < REST_SPAN; i++) {
		int64_t offset = prefix + i;

		while (e < w->n && w->v[e].offset < offset)
			e++;
		bool pending = e < w->n && w->v[e].offset == offset && w->v[e].state != REST_DONE;
		bool set = offset < w->next ? !pending : w->done_base >= 0 && bit(w->done, offset - w->done_base);

		if (set) {
			map[i / 8] = (uint8_t)(map[i / 8] | 1 << (i % 8));
			used = (size_t)i / 8 + 1;
		}
	}
	return used;
}

bool rest_window_own(const struct rest_window *w, int64_t offset)
{
	return offset == w->committed || (offset >= 0 && offset == w->tried);
}

int64_t rest_window_save(struct rest_window *w, struct buf *metadata)
{
	int64_t prefix = rest_window_prefix(w);
	uint8_t map[REST_SPAN / 8] = {0};
	size_t used = prefix < 0 ? 0 : make_bits(w, prefix, map);

	if (used) {
		struct arena *a = arena_new(4096);

		buf_cstr(metadata, MARK);
		buf_str(metadata, enc_base64(a, (struct str){(const char *)map, used}));
		arena_free(a);
	}
	for (size_t i = 0; i < w->n; i++)
		w->v[i].saved = w->v[i].state == REST_DONE;
	w->dirty = false;
	w->tried = prefix;
	return prefix;
}

void rest_window_saved(struct rest_window *w, int64_t prefix)
{
	size_t kept = 0;

	w->committed = prefix;
	for (size_t i = 0; i < w->n; i++) {
		struct rest_entry *e = &w->v[i];

		if (e->saved)
			let_go(w, e);
		if (e->saved && e->offset < prefix)
			continue;
		e->saved = false;
		w->v[kept++] = *e;
	}
	w->n = kept;
}

void rest_window_unsaved(struct rest_window *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct rest_entry *e = &w->v[i];

		/* Without a delivery it was passed over; that holds. */
		if (e->saved && e->delivery)
			e->state = REST_OUT;
		e->saved = false;
	}
	w->dirty = true;
}

/* ---- entries ---- */

bool rest_window_add(struct rest_window *w, int64_t offset, void *message, size_t bytes)
{
	if (offset < w->next)
		return false;
	w->next = offset + 1;
	if (w->done_base >= 0 && bit(w->done, offset - w->done_base)) {
		w->dirty = true;
		return false;
	}
	if (w->n == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 64;
		w->v = mem_realloc(w->v, w->cap * sizeof(*w->v));
	}
	w->v[w->n++] = (struct rest_entry){.offset = offset, .message = message, .bytes = bytes, .state = REST_READY};
	w->ready++;
	w->bytes += bytes;
	return true;
}

int64_t rest_window_prefix(const struct rest_window *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].state != REST_DONE)
			return w->v[i].offset;
	return w->next;
}

struct rest_entry *rest_window_next(struct rest_window *w, size_t *at, int64_t now_ms)
{
	int64_t end = rest_window_prefix(w) + REST_SPAN;

	for (size_t i = *at; i < w->n && w->v[i].offset < end; i++) {
		struct rest_entry *e = &w->v[i];

		if (e->state == REST_READY || (e->state == REST_OUT && e->deadline_ms <= now_ms)) {
			*at = i + 1;
			return e;
		}
	}
	*at = w->n;
	return NULL;
}

int64_t rest_window_wake(const struct rest_window *w)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].state == REST_OUT && w->v[i].deadline_ms < first)
			first = w->v[i].deadline_ms;
	return first;
}

bool rest_window_busy(const struct rest_window *w, int64_t now_ms)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->v[i].state == REST_OUT && w->v[i].deadline_ms > now_ms)
			return true;
	return false;
}

static void never_given(struct rest_window *w, const struct rest_entry *e)
{
	if (e->state == REST_READY && !e->delivery)
		w->ready--;
}

void rest_window_give(struct rest_window *w, struct rest_entry *e, int64_t delivery, int64_t deadline_ms)
{
	never_given(w, e);
	e->state = REST_OUT;
	e->delivery = delivery;
	e->deadline_ms = deadline_ms;
}

void rest_window_pass(struct rest_window *w, struct rest_entry *e)
{
	never_given(w, e);
	e->state = REST_DONE;
	e->delivery = 0;
	w->dirty = true;
	let_go(w, e);
}

static int by_offset(const void *key, const void *entry)
{
	int64_t offset = *(const int64_t *)key, other = ((const struct rest_entry *)entry)->offset;

	return (offset > other) - (offset < other);
}

static struct rest_entry *entry_at(const struct rest_window *w, int64_t offset)
{
	return w->n ? bsearch(&offset, w->v, w->n, sizeof(*w->v), by_offset) : NULL;
}

enum rest_fate rest_window_fate(const struct rest_window *w, int64_t offset, int64_t delivery)
{
	const struct rest_entry *e = entry_at(w, offset);

	if (!e)
		return REST_COMMITTED;
	if (e->delivery != delivery || e->state == REST_READY)
		return REST_LOST;
	if (e->state == REST_OUT)
		return REST_OPEN;
	return e->message ? REST_FINISHED : REST_COMMITTED;
}

struct rest_entry *rest_window_find(struct rest_window *w, int64_t offset, int64_t delivery, int64_t now_ms)
{
	struct rest_entry *e = entry_at(w, offset);

	return e && e->state == REST_OUT && e->delivery == delivery && e->deadline_ms > now_ms ? e : NULL;
}

void rest_window_finish(struct rest_window *w, struct rest_entry *e)
{
	e->state = REST_DONE;
	w->dirty = true;
}

void rest_window_return(struct rest_window *w, struct rest_entry *e)
{
	e->state = REST_READY;
}
