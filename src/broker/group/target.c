/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/group/group_priv.h"

#include "base/mem.h"

/* Server-side assignors of KIP-848: who shall have which partition. */

enum { PASSES_MAX = 16, TOPIC_PARTITIONS_MAX = 1 << 20 };

/* ---- Sets ---- */

int group__part_cmp(const struct group_partition *a, const struct group_partition *b)
{
	int c = memcmp(a->topic.b, b->topic.b, sizeof(a->topic.b));

	return c ? c : (a->partition > b->partition) - (a->partition < b->partition);
}

static int part_cmp(const void *a, const void *b)
{
	return group__part_cmp(a, b);
}

bool group__parts_have(const struct part_set *s, const struct group_partition *p)
{
	return s->n && bsearch(p, s->v, s->n, sizeof(*s->v), part_cmp);
}

void group__parts_sort(struct part_set *s)
{
	size_t n = 0;

	if (s->n < 2)
		return;
	qsort(s->v, s->n, sizeof(*s->v), part_cmp);
	for (size_t i = 0; i < s->n; i++)
		if (!n || group__part_cmp(&s->v[i], &s->v[n - 1]))
			s->v[n++] = s->v[i];
	s->n = n;
}

void group__parts_copy(struct part_set *dst, const struct group_partition *v, size_t n)
{
	struct group_partition *copy = n ? mem_alloc(n * sizeof(*copy)) : NULL;

	if (n)
		memcpy(copy, v, n * sizeof(*copy));
	group__parts_free(dst);
	*dst = (struct part_set){copy, n};
}

void group__parts_free(struct part_set *s)
{
	free(s->v);
	*s = (struct part_set){0};
}

bool group__parts_equal(const struct part_set *a, const struct part_set *b)
{
	return a->n == b->n && (!a->n || !memcmp(a->v, b->v, a->n * sizeof(*a->v)));
}

/* ---- The problem to solve ---- */

struct topic {
	struct str name;
	struct coord_uuid id;
	size_t first;             /* index of its partition 0 in owner[] */
	size_t n;
};

struct work {
	struct member **members;  /* sorted: static ones by instance id, then the others by member id */
	size_t n_members;
	struct topic *topics;     /* sorted by id */
	size_t n_topics, cap_topics;
	size_t n_parts;
	int32_t *owner;           /* member per partition, -1: none */
	uint8_t *subscribed;      /* members x topics */
	size_t *load;
	bool homogeneous;
};

static bool subscribes(const struct work *w, size_t member, size_t topic)
{
	return w->subscribed[member * w->n_topics + topic];
}

static int member_cmp(const void *a, const void *b)
{
	const struct member *x = *(struct member *const *)a, *y = *(struct member *const *)b;

	if (!x->instance_id.p != !y->instance_id.p)
		return x->instance_id.p ? -1 : 1;
	return x->instance_id.p ? str_cmp(x->instance_id, y->instance_id) : str_cmp(x->id, y->id);
}

static int topic_cmp(const void *a, const void *b)
{
	return memcmp(((const struct topic *)a)->id.b, ((const struct topic *)b)->id.b, 16);
}

static void add_topic(struct group_coord *g, struct work *w, struct map *seen, struct str name)
{
	struct topic t = {.name = name};
	int32_t n = 0;

	if (map_get(seen, name) || !g->env.topic(g->env.arg, name, &t.id, &n) || n < 1 || n > TOPIC_PARTITIONS_MAX)
		return;
	t.n = (size_t)n;
	if (w->n_topics == w->cap_topics) {
		w->cap_topics = w->cap_topics ? 2 * w->cap_topics : 16;
		w->topics = mem_realloc(w->topics, w->cap_topics * sizeof(*w->topics));
	}
	w->topics[w->n_topics++] = t;
	map_put(seen, name, w);
}

static void set_up(struct group_coord *g, struct group *gr, struct work *w)
{
	struct map *seen = map_new();
	struct str key;
	void *v;

	w->members = mem_alloc((map_count(gr->members) + 1) * sizeof(struct member *));
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		struct member *m = v;

		w->members[w->n_members++] = m;
		for (size_t i = 0; i < m->n_topics; i++)
			add_topic(g, w, seen, m->topics[i]);
		for (size_t i = 0; i < m->n_matched; i++)
			add_topic(g, w, seen, m->matched[i]);
	}
	map_free(seen);
	qsort(w->members, w->n_members, sizeof(*w->members), member_cmp);
	if (w->n_topics)
		qsort(w->topics, w->n_topics, sizeof(*w->topics), topic_cmp);
	for (size_t i = 0; i < w->n_topics; i++) {
		w->topics[i].first = w->n_parts;
		w->n_parts += w->topics[i].n;
	}
	w->owner = mem_alloc((w->n_parts + 1) * sizeof(*w->owner));
	for (size_t i = 0; i < w->n_parts; i++)
		w->owner[i] = -1;
	w->load = mem_zalloc((w->n_members + 1) * sizeof(*w->load));
	w->subscribed = mem_zalloc(w->n_members * w->n_topics + 1);
	w->homogeneous = true;
	for (size_t m = 0; m < w->n_members; m++)
		for (size_t t = 0; t < w->n_topics; t++) {
			bool on = group__consumer_subscribed(w->members[m], w->topics[t].name);

			w->subscribed[m * w->n_topics + t] = on;
			w->homogeneous = w->homogeneous && on;
		}
}

static void clear(struct work *w)
{
	free(w->members);
	free(w->topics);
	free(w->owner);
	free(w->load);
	free(w->subscribed);
}

/* ---- range: each topic in contiguous shares, the first members get one more ---- */

static void assign_range(struct work *w)
{
	for (size_t t = 0; t < w->n_topics; t++) {
		const struct topic *tp = &w->topics[t];
		size_t n = 0, i = 0, at = 0;

		for (size_t m = 0; m < w->n_members; m++)
			n += subscribes(w, m, t);
		for (size_t m = 0; m < w->n_members; m++) {
			if (!subscribes(w, m, t))
				continue;
			size_t share = tp->n / n + (i++ < tp->n % n);

			for (; share--; at++)
				w->owner[tp->first + at] = (int32_t)m;
		}
	}
}

/* ---- uniform: even shares, and as few moves as possible ---- */

static const struct topic *topic_of(const struct work *w, const struct coord_uuid *id)
{
	struct topic key = {.id = *id};

	return w->n_topics ? bsearch(&key, w->topics, w->n_topics, sizeof(key), topic_cmp) : NULL;
}

/* Members keep what they were to have; with limit, up to their share. */
static void keep(struct work *w, size_t m, size_t limit)
{
	const struct part_set *old = &w->members[m]->target;

	for (size_t i = 0; i < old->n && w->load[m] < limit; i++) {
		const struct topic *tp = topic_of(w, &old->v[i].topic);

		if (!tp || (size_t)old->v[i].partition >= tp->n || !subscribes(w, m, (size_t)(tp - w->topics)))
			continue;
		size_t p = tp->first + (size_t)old->v[i].partition;

		if (w->owner[p] < 0) {
			w->owner[p] = (int32_t)m;
			w->load[m]++;
		}
	}
}

static void assign_even(struct work *w)
{
	size_t low = w->n_parts / w->n_members, extra = w->n_parts % w->n_members, next = 0;

	/* First everybody up to the smaller share; who had more may keep one more while there are extras. */
	for (size_t m = 0; m < w->n_members; m++)
		keep(w, m, low);
	for (size_t m = 0; m < w->n_members && extra; m++) {
		if (w->load[m] < low)
			continue;
		keep(w, m, low + 1);
		extra -= w->load[m] > low;
	}
	for (size_t p = 0; p < w->n_parts; p++) {
		if (w->owner[p] >= 0)
			continue;
		while (next < w->n_members && w->load[next] >= low)
			next++;
		if (next == w->n_members)
			break;
		w->owner[p] = (int32_t)next;
		w->load[next]++;
	}
	next = 0;
	for (size_t p = 0; p < w->n_parts; p++) {
		if (w->owner[p] >= 0)
			continue;
		while (w->load[next] > low)
			next++;
		w->owner[p] = (int32_t)next;
		w->load[next]++;
	}
}

static int32_t least(const struct work *w, size_t topic)
{
	int32_t best = -1;

	for (size_t m = 0; m < w->n_members; m++)
		if (subscribes(w, m, topic) && (best < 0 || w->load[m] < w->load[best]))
			best = (int32_t)m;
	return best;
}

/* One round over all partitions: gives to the least loaded what is free, or what is held by somebody with at least two
 * more. True when something moved. */
static bool balance(struct work *w, bool only_free)
{
	bool moved = false;

	for (size_t t = 0; t < w->n_topics; t++)
		for (size_t i = 0; i < w->topics[t].n; i++) {
			int32_t *owner = &w->owner[w->topics[t].first + i], to;

			if ((only_free && *owner >= 0) || (to = least(w, t)) < 0)
				continue;
			if (*owner >= 0) {
				if (w->load[*owner] < w->load[to] + 2)
					continue;
				w->load[*owner]--;
			}
			*owner = to;
			w->load[to]++;
			moved = true;
		}
	return moved;
}

static void assign_mixed(struct work *w)
{
	for (size_t m = 0; m < w->n_members; m++)
		keep(w, m, SIZE_MAX);
	balance(w, true);
	for (int pass = 0; pass < PASSES_MAX && balance(w, false); pass++)
		;
}

/* The assignor that most members want; ties and silence: "uniform", Kafka's first. */
static bool wants_range(const struct group *gr)
{
	size_t range = 0, uniform = 0;
	struct str key;
	void *v;

	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		const struct member *m = v;

		range += str_is(m->assignor, "range");
		uniform += str_is(m->assignor, "uniform");
	}
	return range > uniform;
}

static bool store_target(struct group_coord *g, struct work *w)
{
	struct part_set *next = mem_zalloc((w->n_members + 1) * sizeof(*next));
	bool changed = false;

	memset(w->load, 0, w->n_members * sizeof(*w->load));
	for (size_t p = 0; p < w->n_parts; p++)
		if (w->owner[p] >= 0)
			w->load[w->owner[p]]++;
	for (size_t m = 0; m < w->n_members; m++)
		next[m].v = w->load[m] ? mem_alloc(w->load[m] * sizeof(*next[m].v)) : NULL;
	for (size_t t = 0; t < w->n_topics; t++) /* in order, so the sets come out sorted */
		for (size_t i = 0; i < w->topics[t].n; i++) {
			int32_t m = w->owner[w->topics[t].first + i];

			if (m >= 0)
				next[m].v[next[m].n++] = (struct group_partition){w->topics[t].id, (int32_t)i};
		}
	for (size_t m = 0; m < w->n_members; m++) {
		if (!group__parts_equal(&next[m], &w->members[m]->target)) {
			struct part_set old = w->members[m]->target;

			w->members[m]->target = next[m];
			next[m] = old;
			group__member_count(g, w->members[m]);
			group__touch_member(g, w->members[m]);
			changed = true;
		}
		group__parts_free(&next[m]);
	}
	free(next);
	return changed;
}

bool group__retarget(struct group_coord *g, struct group *gr)
{
	struct work w = {0};
	bool range = wants_range(gr), changed;

	if (gr->type == GROUP_SHARE)
		return group__share_retarget(g, gr);

	group__set_str(&gr->assignor, range ? STR("range") : STR("uniform"));
	set_up(g, gr, &w);
	if (!w.n_members)
		;
	else if (range)
		assign_range(&w);
	else if (w.homogeneous)
		assign_even(&w);
	else
		assign_mixed(&w);
	changed = store_target(g, &w);
	clear(&w);
	return changed;
}
