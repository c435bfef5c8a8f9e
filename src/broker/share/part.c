/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/share/share_priv.h"

/* The runs of a share partition. They lie without gaps from start to end, neighbours that are alike are one, and the
 * first is neither acknowledged nor archived. */

/* ---- Who holds what ---- */

static struct owner *owner_ref(struct share_coord *c, struct str id)
{
	struct owner *o = map_get(c->owners, id);

	if (!o) {
		o = mem_zalloc(sizeof(*o));
		o->id = coord_own(id);
		map_put(c->owners, o->id, o);
	}
	o->runs++;
	return o;
}

static void owner_unref(struct share_coord *c, struct owner *o)
{
	if (!o || --o->runs)
		return;
	map_del(c->owners, o->id);
	coord_disown(&o->id);
	free(o);
}

/* ---- Life ---- */

struct share_part *share__find(struct share_coord *c, struct str group, const struct share_tp *tp)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	struct share_part *p = map_get(c->parts, share__key(&b, group, tp));

	buf_done(&b);
	return p;
}

struct share_part *share__make(struct share_coord *c, struct str group, const struct share_tp *tp, int64_t start)
{
	struct buf b;

	if (map_count(c->parts) >= c->cfg.parts_max)
		return NULL;
	struct share_part *p = mem_zalloc(sizeof(*p));

	buf_init(&b, 1 << 20);
	p->key = coord_own(share__key(&b, group, tp));
	buf_done(&b);
	p->group = str_sub(p->key, 6, 6 + group.n);
	p->tp = *tp;
	p->start = p->end = start;
	p->timer.kind = TIMER_PART;
	map_put(c->parts, p->key, p);
	return p;
}

void share__part_clear(struct share_coord *c, struct share_part *p, int64_t start)
{
	for (size_t i = 0; i < p->n; i++)
		owner_unref(c, p->v[i].owner);
	c->stats.in_flight -= p->end - p->start;
	p->n = 0;
	p->start = p->end = start;
	coord_timer_stop(&c->timers, &p->timer);
}

void share__part_free(struct share_coord *c, struct share_part *p)
{
	share__part_clear(c, p, p->start);
	map_del(c->parts, p->key);
	coord_disown(&p->key);
	free(p->v);
	free(p);
}

void share__part_drop(struct share_coord *c, struct share_part *p)
{
	share__gone(c, p->key);
	share__part_free(c, p);
}

/* ---- Runs ---- */

static void room(struct share_part *p, size_t more)
{
	if (p->n + more <= p->cap)
		return;
	p->cap = p->cap ? 2 * p->cap : 4;
	p->cap = p->cap < p->n + more ? p->n + more : p->cap;
	p->v = mem_realloc(p->v, p->cap * sizeof(*p->v));
}

/* The run that holds the offset, between start and end. */
static size_t run_at(const struct share_part *p, int64_t offset)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (p->v[mid].last < offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Makes a run begin at the offset, if it is inside of one. Its index; p->n behind the end. */
static size_t split(struct share_part *p, int64_t offset)
{
	size_t i = run_at(p, offset);

	if (i == p->n || p->v[i].first >= offset)
		return i;
	room(p, 1);
	memmove(&p->v[i + 1], &p->v[i], (p->n - i) * sizeof(*p->v));
	p->n++;
	p->v[i].last = offset - 1;
	p->v[i + 1].first = offset;
	if (p->v[i].owner)
		p->v[i].owner->runs++;
	return i + 1;
}

static void set_state(struct share_coord *c, struct run *r, enum run_state state)
{
	if (r->state == RUN_ACQUIRED && state != RUN_ACQUIRED) {
		owner_unref(c, r->owner);
		r->owner = NULL;
		r->until = 0;
	}
	r->state = state;
}

static void append(struct share_coord *c, struct share_part *p, int64_t last, enum run_state state, int16_t count)
{
	room(p, 1);
	p->v[p->n++] = (struct run){.first = p->end, .last = last, .state = state, .count = count};
	c->stats.in_flight += last + 1 - p->end;
	p->end = last + 1;
}

void share__part_append(struct share_coord *c, struct share_part *p, int64_t n, enum run_state state, int16_t count)
{
	append(c, p, p->end + n - 1, state, count);
}

static bool alike(const struct run *a, const struct run *b)
{
	bool done = a->state == RUN_ACKNOWLEDGED || a->state == RUN_ARCHIVED;

	/* How often something was delivered is of no interest once it is done with. */
	return a->state == b->state && (done || a->count == b->count) && a->owner == b->owner && a->until == b->until;
}

/* Restores what the top of this file says, and the timer. */
static void tidy(struct share_coord *c, struct share_part *p)
{
	size_t n = 0, from = 0;
	int64_t until = INT64_MAX;

	while (from < p->n && (p->v[from].state == RUN_ACKNOWLEDGED || p->v[from].state == RUN_ARCHIVED))
		from++;
	int64_t start = from < p->n ? p->v[from].first : p->end;

	c->stats.in_flight -= start - p->start;
	p->start = start;
	for (size_t i = from; i < p->n; i++) {
		struct run r = p->v[i];

		if (r.state == RUN_ACQUIRED && r.until < until)
			until = r.until;
		if (n && alike(&p->v[n - 1], &r)) {
			p->v[n - 1].last = r.last;
			owner_unref(c, r.owner);
		} else {
			p->v[n++] = r;
		}
	}
	p->n = n;
	if (until != INT64_MAX)
		coord_timer_set(&c->timers, &p->timer, until);
	else
		coord_timer_stop(&c->timers, &p->timer);
	if (p->cap > 64 && p->n < p->cap / 4) {
		p->cap /= 2;
		p->v = mem_realloc(p->v, p->cap * sizeof(*p->v));
	}
}

/* ---- Looking ---- */

enum share_look share_look(struct share_coord *c, struct str group, const struct share_tp *tp, int32_t max_records,
			   int64_t *ret_from, int64_t *ret_upto)
{
	struct share_part *p = share__find(c, group, tp);
	int64_t left = max_records > 0 ? max_records : 1, from = -1, upto = -1;

	if (!p)
		return SHARE_UNKNOWN;
	if (!p->stored)
		return SHARE_WAIT;
	for (size_t i = 0; i < p->n && left > 0; i++) {
		const struct run *r = &p->v[i];

		if (r->state != RUN_AVAILABLE)
			continue;
		from = from < 0 ? r->first : from;
		upto = r->last - r->first >= left ? r->first + left - 1 : r->last;
		left -= r->last + 1 - r->first;
	}
	int64_t free_here = c->cfg.records_max - (p->end - p->start);
	int64_t free_all = c->cfg.offsets_max - c->stats.in_flight;

	if (free_here > free_all)
		free_here = free_all;
	if (left > 0 && free_here > 0) {
		from = from < 0 ? p->end : from;
		upto = p->end + (left < free_here ? left : free_here) - 1;
	}
	if (from < 0)
		return SHARE_WAIT;
	*ret_from = from;
	*ret_upto = upto;
	return SHARE_READ;
}

/* ---- Acquiring ---- */

struct taking {
	struct share_coord *c;
	struct share_part *p;
	const struct share_acquire *in;
	struct share_acquired *v;
	size_t n, cap;
	struct arena *a;
	int64_t left, until;
	struct owner *owner;
	bool fresh; /* the next piece begins a new entry */
};

static void note(struct taking *t, int64_t first, int64_t last, int16_t deliveries)
{
	struct share_acquired *e = t->n ? &t->v[t->n - 1] : NULL;

	if (e && e->last + 1 == first && e->deliveries == deliveries && !t->fresh) {
		e->last = last;
	} else {
		if (t->n == t->cap) {
			struct share_acquired *v = ARENA_ARRAY(t->a, struct share_acquired, t->cap * 2 + 16);

			if (t->n)
				memcpy(v, t->v, t->n * sizeof(*v));
			t->v = v;
			t->cap = t->cap * 2 + 16;
		}
		t->v[t->n++] = (struct share_acquired){first, last, deliveries};
	}
	t->fresh = false;
	t->left -= last + 1 - first;
}

static void take(struct taking *t, struct run *r)
{
	r->state = RUN_ACQUIRED;
	r->count = r->count < INT16_MAX ? r->count + 1 : r->count;
	r->until = t->until;
	r->owner = t->owner;
	t->owner->runs++;
	note(t, r->first, r->last, r->count);
}

/* How much of a run is given at once. What was given back often goes in ever smaller pieces and alone, in the end one
 * by one: so that a record that nobody can digest does not take its neighbours with it. */
static int64_t portion(const struct taking *t, const struct run *r)
{
	int most = t->c->cfg.deliveries_max, from = (most + 1) / 2 > 2 ? (most + 1) / 2 : 2;
	int64_t n = r->last + 1 - r->first;

	if (r->count < from)
		return n;
	if (t->n)
		return 0;
	n = r->count >= most - 1 ? 1 : n >> (r->count - from + 1);
	if (t->in->exact && n > t->left)
		n = t->left;
	return n > 0 ? n : 1;
}

/* What is known of the range: the free runs of it. False when that was all for now. */
static bool take_known(struct taking *t, int64_t first, int64_t last, bool hidden)
{
	struct share_part *p = t->p;

	for (size_t i = split(p, first); i < p->n && p->v[i].first <= last; i++) {
		if (p->v[i].state != RUN_AVAILABLE)
			continue;
		if (p->v[i].last > last)
			split(p, last + 1);
		if (hidden) {
			set_state(t->c, &p->v[i], RUN_ARCHIVED);
			continue;
		}
		int64_t n = portion(t, &p->v[i]);

		if (n == 0)
			return false;
		if (n <= p->v[i].last - p->v[i].first || p->v[i].count >= t->c->cfg.deliveries_max - 1) {
			split(p, p->v[i].first + n);
			take(t, &p->v[i]);
			return false;
		}
		if (t->in->exact && t->left <= 0)
			return false;
		if (t->in->exact && p->v[i].last + 1 - p->v[i].first > t->left)
			split(p, p->v[i].first + t->left);
		take(t, &p->v[i]);
	}
	return true;
}

/* What nobody has looked at yet. False when no more fits. */
static bool take_new(struct taking *t, int64_t last, bool hidden)
{
	struct share_part *p = t->p;
	int64_t n = last + 1 - p->end, most = t->c->cfg.records_max - (p->end - p->start);
	int64_t all = t->c->cfg.offsets_max - t->c->stats.in_flight;
	bool whole = true;

	/* Nothing in flight: what is hidden is passed by, however long it is. */
	if (hidden && !p->n) {
		p->start = p->end = last + 1;
		return true;
	}
	most = most < all ? most : all;
	if (!hidden && t->in->exact && most > t->left)
		most = t->left;
	if (n > most) {
		n = most;
		whole = false;
	}
	if (n <= 0)
		return false;
	append(t->c, p, p->end + n - 1, hidden ? RUN_ARCHIVED : RUN_AVAILABLE, 0);
	if (!hidden)
		take(t, &p->v[p->n - 1]);
	return whole;
}

size_t share_acquire(struct share_coord *c, const struct share_acquire *in, struct arena *a,
		     const struct share_acquired **ret, int64_t now_ms)
{
	struct taking t = {.c = c, .in = in, .a = a, .left = in->max_records, .until = now_ms + in->lock_ms};
	int64_t at = in->from;

	t.p = share__find(c, in->group, &in->tp);
	if (!t.p || !t.p->stored)
		return 0;
	t.owner = owner_ref(c, in->member); /* for as long as this takes */
	for (size_t i = 0; i < in->n && (t.left > 0 || in->batches[i].hidden); i++) {
		const struct share_batch *b = &in->batches[i];
		int64_t first = at > t.p->start ? at : t.p->start, known = t.p->end - 1;

		at = b->last + 1;
		if (b->last < first)
			continue;
		known = known < b->last ? known : b->last;
		t.fresh = t.n && t.v[t.n - 1].last + 1 - t.v[t.n - 1].first >= in->batch_size;
		if (first <= known && !take_known(&t, first, known, b->hidden))
			break;
		/* A run never begins in the middle of the unknown: somebody else was here, or moved the start. */
		if (b->last >= t.p->end && first <= t.p->end && (t.left > 0 || b->hidden || !in->exact) &&
		    !take_new(&t, b->last, b->hidden))
			break;
	}
	owner_unref(c, t.owner);
	tidy(c, t.p);
	*ret = t.v;
	return t.n;
}

/* ---- Giving back ---- */

static void give_up(struct share_coord *c, struct run *r)
{
	bool over = r->count >= c->cfg.deliveries_max;

	c->stats.archived += over;
	set_state(c, r, over ? RUN_ARCHIVED : RUN_AVAILABLE);
}

static void changed(struct share_coord *c, struct share_part *p)
{
	tidy(c, p);
	share__touch(c, p);
	/* What was given back, or room for more. */
	c->env.available(c->env.arg, &p->tp);
}

void share__part_due(struct share_coord *c, struct share_part *p, int64_t now_ms)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].state == RUN_ACQUIRED && p->v[i].until <= now_ms) {
			c->stats.timeouts++;
			give_up(c, &p->v[i]);
		}
	changed(c, p);
}

void share__release(struct share_coord *c, struct share_part *p, struct str member)
{
	struct owner *o = map_get(c->owners, member);
	bool any = false;

	for (size_t i = 0; o && i < p->n; i++) {
		if (p->v[i].owner != o)
			continue;
		if (o->runs == 1) /* it goes with its last run */
			o = NULL;
		give_up(c, &p->v[i]);
		any = true;
	}
	if (any)
		changed(c, p);
}

/* ---- Acknowledging ---- */

int16_t share_ack_check(const struct share_ack *v, size_t n, bool renew)
{
	for (size_t i = 0; i < n; i++) {
		const struct share_ack *a = &v[i];

		if (a->first < 0 || a->last < a->first || a->n == 0 || (i && a->first <= v[i - 1].last) ||
		    (a->n > 1 && (uint64_t)(a->last - a->first) + 1 != a->n))
			return COORD_INVALID_REQUEST;
		for (size_t k = 0; k < a->n; k++)
			if (a->types[k] < SHARE_GAP || a->types[k] > (renew ? SHARE_RENEW : SHARE_REJECT))
				return COORD_INVALID_REQUEST;
	}
	return COORD_OK;
}

static bool holds(const struct share_part *p, const struct owner *o, int64_t first, int64_t last)
{
	if (first < p->start)
		first = p->start;
	if (last < first)
		return true;
	if (last >= p->end)
		return false;
	for (size_t i = run_at(p, first); i < p->n && p->v[i].first <= last; i++)
		if (p->v[i].state != RUN_ACQUIRED || p->v[i].owner != o)
			return false;
	return true;
}

/* One type for a range that the member holds. */
static void settle(struct share_coord *c, struct share_part *p, int64_t first, int64_t last, int8_t type, int64_t until)
{
	if (first < p->start)
		first = p->start;
	if (last < first)
		return;
	for (size_t i = split(p, first); i < p->n && p->v[i].first <= last; i++) {
		if (p->v[i].last > last)
			split(p, last + 1);
		if (type == SHARE_RENEW)
			p->v[i].until = until;
		else if (type == SHARE_RELEASE)
			give_up(c, &p->v[i]);
		else
			set_state(c, &p->v[i], type == SHARE_ACCEPT ? RUN_ACKNOWLEDGED : RUN_ARCHIVED);
	}
}

static bool settle_all(struct share_coord *c, struct share_part *p, const struct share_ack *a, int64_t until)
{
	int64_t n = a->last - a->first + 1;
	bool changes = false;

	for (int64_t i = 0, end; i < n; i = end) {
		int8_t type = a->types[a->n == 1 ? 0 : i];

		for (end = a->n == 1 ? n : i + 1; end < n && a->types[end] == type;)
			end++;
		settle(c, p, a->first + i, a->first + end - 1, type, until);
		changes = changes || type != SHARE_RENEW;
	}
	return changes;
}

int16_t share_acknowledge(struct share_coord *c, struct str group, struct str member, const struct share_tp *tp,
			  const struct share_ack *v, size_t n, int32_t lock_ms, bool *ret_changed, int64_t now_ms)
{
	struct share_part *p = share__find(c, group, tp);
	const struct owner *o = map_get(c->owners, member);
	bool changes = false;

	*ret_changed = false;
	if (!p)
		return COORD_INVALID_RECORD_STATE;
	for (size_t i = 0; i < n; i++)
		if (!holds(p, o, v[i].first, v[i].last))
			return COORD_INVALID_RECORD_STATE;
	for (size_t i = 0; i < n; i++)
		changes |= settle_all(c, p, &v[i], now_ms + lock_ms);
	if (changes)
		changed(c, p);
	else
		tidy(c, p);
	*ret_changed = changes;
	share__pump(c, now_ms);
	return COORD_OK;
}

/* ---- The log has moved ---- */

void share_fit(struct share_coord *c, struct str group, const struct share_tp *tp, int64_t start, int64_t end,
	       int64_t now_ms)
{
	struct share_part *p = share__find(c, group, tp);

	if (!p || (p->start >= start && p->end <= end))
		return;
	if (p->start > end || p->end < start) {
		share__part_clear(c, p, p->start > end ? end : start);
	} else {
		for (size_t i = p->start < start ? split(p, start) : 0; i-- > 0;)
			set_state(c, &p->v[i], RUN_ARCHIVED);
		size_t n = p->end > end ? split(p, end) : p->n;

		while (p->n > n)
			set_state(c, &p->v[--p->n], RUN_ARCHIVED);
		if (p->end > end) {
			c->stats.in_flight -= p->end - end;
			p->end = end;
		}
	}
	changed(c, p);
	share__pump(c, now_ms);
}
