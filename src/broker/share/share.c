/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/share/share_priv.h"

#include <stddef.h>

#define OWNER(t, type, field) ((type *)(void *)((char *)(t)-offsetof(type, field)))

static void defaults(struct share_config *c)
{
	c->deliveries_max = c->deliveries_max ? c->deliveries_max : 5;
	c->records_max = c->records_max ? c->records_max : 2000;
	c->offsets_max = c->offsets_max ? c->offsets_max : 4000000;
	c->parts_max = c->parts_max ? c->parts_max : 100000;
	c->sessions_max = c->sessions_max ? c->sessions_max : 2000;
	c->session_parts_max = c->session_parts_max ? c->session_parts_max : 2000;
	c->batch_bytes = c->batch_bytes ? c->batch_bytes : (size_t)1 << 20;
	c->retry_ms = c->retry_ms ? c->retry_ms : 100;
}

struct share_coord *share_new(const struct share_env *env, const struct share_config *cfg)
{
	struct share_coord *c = mem_zalloc(sizeof(*c));

	c->env = *env;
	c->cfg = *cfg;
	defaults(&c->cfg);
	c->parts = map_new();
	c->sessions = map_new();
	c->owners = map_new();
	c->retry.kind = TIMER_RETRY;
	c->waiting_end = &c->waiting;
	return c;
}

void share_free(struct share_coord *c)
{
	void *v;

	if (!c)
		return;
	for (size_t at = 0; map_next(c->sessions, &at, NULL, &v);)
		share__session_free(c, v);
	for (size_t at = 0; map_next(c->parts, &at, NULL, &v);)
		share__part_free(c, v);
	for (size_t i = 0; i < c->n_queue; i++)
		coord_disown(&c->queue[i].key);
	for (size_t i = 0; i < c->n_flying; i++)
		coord_disown(&c->flying[i].key);
	for (struct waiting *w = c->waiting, *next; w; w = next) {
		next = w->next;
		free(w);
	}
	map_free(c->parts);
	map_free(c->sessions);
	map_free(c->owners);
	coord_timers_done(&c->timers);
	free(c->queue);
	free(c->flying);
	free(c);
}

void share_loaded(struct share_coord *c, int64_t now_ms)
{
	void *v;

	c->loaded = true;
	for (size_t at = 0; map_next(c->parts, &at, NULL, &v);)
		if (!c->env.topic(c->env.arg, &((struct share_part *)v)->tp.topic))
			share__part_drop(c, v);
	share__pump(c, now_ms);
}

int64_t share_deadline(const struct share_coord *c)
{
	return coord_timers_next(&c->timers);
}

void share_tick(struct share_coord *c, int64_t now_ms)
{
	struct coord_timer *t;

	while ((t = coord_timers_due(&c->timers, now_ms)))
		if (t->kind == TIMER_PART)
			share__part_due(c, OWNER(t, struct share_part, timer), now_ms);
	share__pump(c, now_ms);
}

void share_stats(const struct share_coord *c, struct share_stats *ret_stats)
{
	*ret_stats = c->stats;
	ret_stats->parts = map_count(c->parts);
	ret_stats->sessions = map_count(c->sessions);
}

bool share_open(struct share_coord *c, struct str group, const struct share_tp *tp, int64_t start, int64_t now_ms)
{
	if (share__find(c, group, tp))
		return true;
	struct share_part *p = share__make(c, group, tp, start);

	if (!p)
		return false;
	share__touch(c, p);
	share__pump(c, now_ms);
	return true;
}

/* ---- Administration ---- */

static int offset_cmp(const void *a, const void *b)
{
	const struct share_offset *x = a, *y = b;
	int c = memcmp(x->tp.topic.b, y->tp.topic.b, sizeof(x->tp.topic.b));

	return c ? c : (x->tp.partition > y->tp.partition) - (x->tp.partition < y->tp.partition);
}

static void describe(const struct share_part *p, struct share_offset *ret)
{
	*ret = (struct share_offset){p->tp, p->start, 0};
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].state == RUN_ACKNOWLEDGED || p->v[i].state == RUN_ARCHIVED)
			ret->done += p->v[i].last + 1 - p->v[i].first;
}

size_t share_offsets(struct share_coord *c, struct str group, struct arena *a, const struct share_offset **ret)
{
	size_t n = 0, max = 0;
	struct share_offset *out;
	void *v;

	for (size_t at = 0; map_next(c->parts, &at, NULL, &v);)
		max += str_eq(((struct share_part *)v)->group, group);
	out = ARENA_ARRAY(a, struct share_offset, max + 1);
	for (size_t at = 0; map_next(c->parts, &at, NULL, &v);)
		if (str_eq(((struct share_part *)v)->group, group))
			describe(v, &out[n++]);
	qsort(out, n, sizeof(*out), offset_cmp);
	*ret = out;
	return n;
}

bool share_offset(struct share_coord *c, struct str group, const struct share_tp *tp, struct share_offset *ret)
{
	const struct share_part *p = share__find(c, group, tp);

	if (p)
		describe(p, ret);
	return p;
}

bool share_alter(struct share_coord *c, struct str group, const struct share_tp *tp, int64_t start, int64_t now_ms)
{
	struct share_part *p = share__find(c, group, tp);

	if (p)
		share__part_clear(c, p, start);
	else if (!(p = share__make(c, group, tp, start)))
		return false;
	share__touch(c, p);
	share__pump(c, now_ms);
	return true;
}

static bool drop_where(struct share_coord *c, const struct str *group, const struct coord_uuid *topic)
{
	bool any = false;
	void *v;

	for (size_t at = 0; map_next(c->parts, &at, NULL, &v);) {
		struct share_part *p = v;

		if ((group && !str_eq(p->group, *group)) || (topic && memcmp(&p->tp.topic, topic, sizeof(*topic)) != 0))
			continue;
		share__part_drop(c, p);
		any = true;
	}
	return any;
}

bool share_drop(struct share_coord *c, struct str group, const struct coord_uuid *topic, int64_t now_ms)
{
	bool any = drop_where(c, &group, topic);

	share__pump(c, now_ms);
	return any;
}

void share_topic_deleted(struct share_coord *c, const struct coord_uuid *topic, int64_t now_ms)
{
	drop_where(c, NULL, topic);
	share__pump(c, now_ms);
}
