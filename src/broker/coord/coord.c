/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/coord/coord.h"

#include "base/mem.h"

#include <stdlib.h>

static void place(struct coord_timers *ts, size_t i, struct coord_timer *t)
{
	ts->v[i] = t;
	t->pos = i + 1;
}

static void sift_up(struct coord_timers *ts, size_t i)
{
	struct coord_timer *t = ts->v[i];

	for (; i > 0 && ts->v[(i - 1) / 2]->at > t->at; i = (i - 1) / 2)
		place(ts, i, ts->v[(i - 1) / 2]);
	place(ts, i, t);
}

static void sift_down(struct coord_timers *ts, size_t i)
{
	struct coord_timer *t = ts->v[i];

	for (;;) {
		size_t c = 2 * i + 1;

		if (c + 1 < ts->n && ts->v[c + 1]->at < ts->v[c]->at)
			c++;
		if (c >= ts->n || ts->v[c]->at >= t->at)
			break;
		place(ts, i, ts->v[c]);
		i = c;
	}
	place(ts, i, t);
}

void coord_timer_set(struct coord_timers *ts, struct coord_timer *t, int64_t at)
{
	t->at = at;
	if (!t->pos) {
		if (ts->n == ts->cap) {
			ts->cap = ts->cap ? 2 * ts->cap : 64;
			ts->v = mem_realloc(ts->v, ts->cap * sizeof(struct coord_timer *));
		}
		place(ts, ts->n++, t);
	}
	sift_up(ts, t->pos - 1);
	sift_down(ts, t->pos - 1);
}

void coord_timer_stop(struct coord_timers *ts, struct coord_timer *t)
{
	if (!t->pos)
		return;
	size_t i = t->pos - 1;
	struct coord_timer *last = ts->v[--ts->n];

	t->pos = 0;
	if (last == t)
		return;
	place(ts, i, last);
	sift_up(ts, i);
	sift_down(ts, last->pos - 1);
}

struct coord_timer *coord_timers_due(struct coord_timers *ts, int64_t now_ms)
{
	if (!ts->n || ts->v[0]->at > now_ms)
		return NULL;
	struct coord_timer *t = ts->v[0];

	coord_timer_stop(ts, t);
	return t;
}

int64_t coord_timers_next(const struct coord_timers *ts)
{
	return ts->n ? ts->v[0]->at : INT64_MAX;
}

void coord_timers_done(struct coord_timers *ts)
{
	free(ts->v);
	*ts = (struct coord_timers){0};
}

struct str coord_own(struct str s)
{
	if (!s.p)
		return STR_NONE;
	char *p = mem_alloc(s.n + 1);

	memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return (struct str){p, s.n};
}

void coord_disown(struct str *s)
{
	union {
		const char *c;
		char *p;
	} u = {s->p};

	free(u.p);
	*s = STR_NONE;
}

void coord_put_str(struct buf *b, struct str s)
{
	buf_u32(b, s.p ? (uint32_t)s.n : UINT32_MAX);
	if (s.p)
		buf_add(b, s.p, s.n);
}
