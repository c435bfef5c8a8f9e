/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/group/group_priv.h"

#include "base/mem.h"

/* The way of changes to the disk: one batch under way, everything else gathers for the next. */

static void list(struct group_coord *g, struct group *gr)
{
	if (gr->listed)
		return;
	if (g->n_dirty == g->cap_dirty) {
		g->cap_dirty = g->cap_dirty ? 2 * g->cap_dirty : 16;
		g->dirty = mem_realloc(g->dirty, g->cap_dirty * sizeof(*g->dirty));
	}
	g->dirty[g->n_dirty++] = gr;
	gr->listed = true;
}

void group__touch(struct group_coord *g, struct group *gr)
{
	gr->dirty = true;
	list(g, gr);
}

void group__touch_member(struct group_coord *g, struct member *m)
{
	m->dirty = true;
	list(g, m->group);
}

void group__gone(struct group_coord *g, struct group *gr, struct str member_id)
{
	gr->gone = mem_realloc(gr->gone, (gr->n_gone + 1) * sizeof(*gr->gone));
	gr->gone[gr->n_gone++] = coord_own(member_id);
	list(g, gr);
}

/* A group object is about to go. */
void group__saved_forget(struct group_coord *g, struct group *gr)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n_dirty; i++)
		if (g->dirty[i] != gr)
			g->dirty[n++] = g->dirty[i];
	g->n_dirty = n;
	n = 0;
	for (size_t i = 0; i < g->n_flying; i++)
		if (g->flying[i] != gr)
			g->flying[n++] = g->flying[i];
	g->n_flying = n;
}

struct waiter *group__waiter(struct group_coord *g, enum group_op op, uint64_t token, int64_t now_ms)
{
	struct waiter *w = mem_zalloc(sizeof(*w));

	w->op = op;
	w->token = token;
	w->now_ms = now_ms;
	w->retention_ms = -1;
	return w;
}

void group__waiter_free(struct group_coord *g, struct waiter *w)
{
	g->stats.bytes -= w->bytes;
	for (size_t i = 0; w->offsets && i < w->n; i++) {
		coord_disown(&w->offsets[i].topic);
		coord_disown(&w->offsets[i].metadata);
	}
	free(w->offsets);
	free(w->codes);
	coord_disown(&w->member_id);
	coord_disown(&w->group_id);
	group__parts_free(&w->parts);
	free(w);
}

void group__enqueue(struct group_coord *g, struct waiter *w)
{
	w->bytes = sizeof(*w) + w->group_id.n + w->member_id.n + w->n * sizeof(*w->codes) +
		   w->parts.n * sizeof(*w->parts.v);
	for (size_t i = 0; w->offsets && i < w->n; i++)
		w->bytes += sizeof(*w->offsets) + w->offsets[i].topic.n + w->offsets[i].metadata.n;
	g->stats.bytes += w->bytes;
	g->stats.waiting++;
	*g->queue_end = w;
	g->queue_end = &w->next;
}

void group__refuse_each(struct group_coord *g, enum group_op op, uint64_t token, int16_t code, size_t n)
{
	struct group_reply r = {.op = op, .code = code};
	int16_t *codes = mem_alloc((n + 1) * sizeof(*codes));

	for (size_t i = 0; i < n; i++)
		codes[i] = code;
	r.each.codes = codes;
	r.each.n = n;
	g->env.reply(g->env.arg, token, &r);
	free(codes);
}

void group__refuse(struct group_coord *g, enum group_op op, uint64_t token, int16_t code, const char *message)
{
	struct group_reply r = {.op = op, .code = code, .message = str_of(message)};

	g->env.reply(g->env.arg, token, &r);
}

static void answer(struct group_coord *g, struct waiter *w, bool ok)
{
	struct group_reply r = {.op = w->op, .code = ok ? w->code : COORD_NOT_AVAILABLE, .message = w->message,
	                        .member_id = w->member_id};

	if (w->silent)
		return;
	if (w->op == GROUP_CONSUMER_HEARTBEAT) {
		r.consumer.epoch = w->epoch;
		r.consumer.interval_ms = w->interval_ms ? w->interval_ms : g->cfg.consumer_interval_ms;
		r.consumer.has_assignment = w->has_assignment;
		r.consumer.v = w->parts.v;
		r.consumer.n = w->parts.n;
	} else if (w->op == GROUP_LEAVE || w->op == GROUP_COMMIT || w->op == GROUP_OFFSET_DELETE) {
		for (size_t i = 0; i < w->n && r.code; i++)
			w->codes[i] = r.code;
		r.each.codes = w->codes;
		r.each.n = w->n;
	}
	g->env.reply(g->env.arg, w->token, &r);
}

static void put_group(struct group_coord *g, struct group *gr, struct batch *b)
{
	struct str key;
	void *v;

	if (gr->dirty)
		group__put_group(b, gr);
	gr->flying = gr->dirty;
	gr->dirty = gr->listed = false;
	for (size_t i = 0; i < gr->n_gone; i++)
		group__del_member(b, gr->id, gr->gone[i]);
	gr->n_gone_flying = gr->n_gone;
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		struct member *m = v;

		if (m->dirty)
			group__put_member(b, m);
		m->flying = m->dirty;
		m->dirty = false;
	}
	gr->under_way = true;
	g->flying[g->n_flying++] = gr;
}

/* Takes the waiters of the next batch and builds their records. */
static void take(struct group_coord *g, struct batch *b)
{
	struct waiter **end = &g->sent;

	g->flying = mem_realloc(g->flying, (g->n_dirty + 1) * sizeof(*g->flying));
	g->n_flying = 0;
	for (size_t i = 0; i < g->n_dirty; i++)
		put_group(g, g->dirty[i], b);
	g->n_dirty = 0;
	while (g->queue) {
		struct waiter *w = g->queue;
		bool alone = group__waiter_alone(w);

		if ((alone && g->sent) || group__waiter_follows(w, g->sent))
			break;
		g->queue = w->next;
		w->next = NULL;
		*end = w;
		end = &w->next;
		group__waiter_put(g, w, b);
		if (alone || b->bytes.n >= g->cfg.batch_bytes)
			break;
	}
	if (!g->queue)
		g->queue_end = &g->queue;
}

/* What belongs to a group was stored, or not and is marked again. */
static void settle_group(struct group_coord *g, struct group *gr, bool ok)
{
	struct str key;
	void *v;

	if (!ok && gr->flying)
		group__touch(g, gr);
	gr->flying = gr->under_way = false;
	if (ok) {
		for (size_t i = 0; i < gr->n_gone_flying; i++)
			coord_disown(&gr->gone[i]);
		gr->n_gone -= gr->n_gone_flying;
		if (gr->n_gone)
			memmove(gr->gone, gr->gone + gr->n_gone_flying, gr->n_gone * sizeof(*gr->gone));
	} else if (gr->n_gone) {
		list(g, gr);
	}
	gr->n_gone_flying = 0;
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		struct member *m = v;

		if (!ok && m->flying)
			group__touch_member(g, m);
		m->flying = false;
	}
	if (gr->type == GROUP_CLASSIC)
		group__classic_saved(g, gr, ok);
}

static void settle(struct group_coord *g, bool ok)
{
	struct group **v = g->flying;
	size_t n = g->n_flying;

	g->busy = false;
	if (!ok)
		g->stats.failed_batches++;
	/* Groups are not dropped before their waiters are done, so v stays valid in the first loop. */
	g->flying = NULL;
	g->n_flying = 0;
	for (size_t i = 0; i < n; i++)
		settle_group(g, v[i], ok);
	free(v);
	while (g->sent) {
		struct waiter *w = g->sent;

		g->sent = w->next;
		g->stats.waiting--;
		group__waiter_done(g, w, ok);
		answer(g, w, ok);
		group__waiter_free(g, w);
	}
	if (!ok)
		coord_timer_set(&g->timers, &g->retry, g->now_ms + g->cfg.retry_ms);
}

void group__pump(struct group_coord *g)
{
	if (g->pumping)
		return;
	g->pumping = true;
	while (!g->busy && !g->retry.pos && (g->n_dirty || g->queue)) {
		struct batch b = {0};

		take(g, &b);
		g->busy = true;
		g->batch++;
		if (!b.n) {
			settle(g, true);
		} else {
			struct coord_record *v = mem_alloc(b.n * sizeof(*v));

			for (size_t i = 0; i < b.n; i++)
				v[i] = group__batch_at(&b, i);
			g->env.persist(g->env.arg, v, b.n, g->batch);
			free(v);
		}
		group__batch_done(&b);
	}
	g->pumping = false;
}

void group_persisted(struct group_coord *g, uint64_t batch, bool ok, int64_t now_ms)
{
	if (!g->busy || batch != g->batch)
		return;
	g->now_ms = now_ms;
	settle(g, ok);
	group__pump(g);
}
