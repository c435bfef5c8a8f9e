/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/group/group_priv.h"

#include "base/mem.h"

/* Members of share groups (KIP-932). A partition may have several members, and nothing has to be given back before
 * somebody else gets it: a member has what its target says from its next heartbeat on. */

enum { TOPICS_MAX = 10000, ID_MAX = 300, PARTITIONS_MAX = 1 << 20 };

/* ---- Who shall fetch what: each partition has a member, each member a partition, as evenly as may be ---- */

struct share {
	struct str topic;
	struct group_partition part;
	int32_t members; /* that have it */
};

struct sharing {
	struct member **m; /* by id */
	size_t n_m;
	struct share *p; /* by topic and partition */
	size_t n_p, cap_p;
	struct part_set *got; /* of each member */
};

static int member_cmp(const void *a, const void *b)
{
	return str_cmp((*(struct member *const *)a)->id, (*(struct member *const *)b)->id);
}

static int share_cmp(const void *a, const void *b)
{
	return group__part_cmp(&((const struct share *)a)->part, &((const struct share *)b)->part);
}

static void add_topic(struct group_coord *g, struct sharing *s, struct str name)
{
	struct coord_uuid id;
	int32_t n = 0;

	if (!g->env.topic(g->env.arg, name, &id, &n) || n > PARTITIONS_MAX)
		return;
	while (s->n_p + (size_t)n > s->cap_p) {
		s->cap_p = s->cap_p ? 2 * s->cap_p : 64;
		s->p = mem_realloc(s->p, s->cap_p * sizeof(*s->p));
	}
	for (int32_t i = 0; i < n; i++)
		s->p[s->n_p++] = (struct share){name, {id, i}, 0};
}

static void set_up(struct group_coord *g, struct group *gr, struct sharing *s)
{
	struct map *seen = map_new();
	void *v;

	s->m = mem_alloc((map_count(gr->members) + 1) * sizeof(*s->m));
	for (size_t at = 0; map_next(gr->members, &at, NULL, &v);)
		s->m[s->n_m++] = v;
	qsort(s->m, s->n_m, sizeof(*s->m), member_cmp);
	for (size_t i = 0; i < s->n_m; i++)
		for (size_t k = 0; k < s->m[i]->n_topics; k++)
			if (!map_put(seen, s->m[i]->topics[k], s))
				add_topic(g, s, s->m[i]->topics[k]);
	map_free(seen);
	if (s->n_p)
		qsort(s->p, s->n_p, sizeof(*s->p), share_cmp);
	s->got = mem_zalloc((s->n_m + 1) * sizeof(*s->got));
}

static void give(struct sharing *s, size_t member, struct share *p)
{
	struct part_set *set = &s->got[member];

	/* Capacity in powers of two. */
	if ((set->n & (set->n - 1)) == 0)
		set->v = mem_realloc(set->v, (set->n ? 2 * set->n : 1) * sizeof(*set->v));
	set->v[set->n++] = p->part;
	p->members++;
}

static struct share *share_of(const struct sharing *s, const struct group_partition *part)
{
	struct share key = {.part = *part};

	return s->n_p ? bsearch(&key, s->p, s->n_p, sizeof(key), share_cmp) : NULL;
}

/* What members have stays, up to an even share. */
static void keep(struct sharing *s)
{
	size_t each = s->n_m >= s->n_p ? 1 : s->n_p / s->n_m, more = s->n_m >= s->n_p ? 0 : s->n_p % s->n_m;
	int32_t both = s->n_p && s->n_m > s->n_p ? (int32_t)((s->n_m + s->n_p - 1) / s->n_p) : 1;

	for (size_t i = 0; i < s->n_m; i++) {
		const struct part_set *old = &s->m[i]->target;

		for (size_t k = 0; k < old->n && s->got[i].n < each + (more > 0); k++) {
			struct share *p = share_of(s, &old->v[k]);

			if (p && p->members < both && group__consumer_subscribed(s->m[i], p->topic))
				give(s, i, p);
		}
		more -= s->got[i].n > each;
	}
}

static void fill_partitions(struct sharing *s)
{
	for (size_t k = 0; k < s->n_p; k++) {
		size_t best = s->n_m;

		for (size_t i = 0; i < s->n_m && !s->p[k].members; i++)
			if (group__consumer_subscribed(s->m[i], s->p[k].topic) &&
			    (best == s->n_m || s->got[i].n < s->got[best].n))
				best = i;
		if (best < s->n_m)
			give(s, best, &s->p[k]);
	}
}

static void fill_members(struct sharing *s)
{
	for (size_t i = 0; i < s->n_m; i++) {
		struct share *best = NULL;

		for (size_t k = 0; k < s->n_p && !s->got[i].n; k++)
			if (group__consumer_subscribed(s->m[i], s->p[k].topic) &&
			    (!best || s->p[k].members < best->members))
				best = &s->p[k];
		if (best)
			give(s, i, best);
	}
}

bool group__share_retarget(struct group_coord *g, struct group *gr)
{
	struct sharing s = {0};
	bool changed = false;

	set_up(g, gr, &s);
	keep(&s);
	fill_partitions(&s);
	fill_members(&s);
	group__set_str(&gr->assignor, STR("simple"));
	for (size_t i = 0; i < s.n_m; i++) {
		struct member *m = s.m[i];

		group__parts_sort(&s.got[i]);
		if (group__parts_equal(&m->target, &s.got[i])) {
			group__parts_free(&s.got[i]);
			continue;
		}
		group__parts_free(&m->target);
		m->target = s.got[i];
		group__member_count(g, m);
		group__touch_member(g, m);
		changed = true;
	}
	free(s.m);
	free(s.p);
	free(s.got);
	return changed;
}

/* ---- Heartbeats ---- */

static int16_t check(const struct group_coord *g, const struct group_consumer_heartbeat *in, const char **ret_why)
{
	size_t bytes = 1000;

	*ret_why = NULL;
	if (str_empty(in->group_id))
		*ret_why = "GroupId can't be empty.";
	else if (str_empty(in->member_id))
		*ret_why = "MemberId can't be empty.";
	else if (in->rack_id.p && !in->rack_id.n)
		*ret_why = "RackId can't be empty.";
	else if (in->member_id.n > ID_MAX || in->n_topics > TOPICS_MAX)
		*ret_why = "The request is too large.";
	else if (in->epoch < -1)
		*ret_why = "MemberEpoch is invalid.";
	else if (in->epoch == 0 && (!in->topics || !in->n_topics))
		*ret_why = "SubscribedTopicNames must be set in first request.";
	if (*ret_why)
		return COORD_INVALID_REQUEST;
	for (size_t i = 0; in->topics && i < in->n_topics; i++)
		bytes += in->topics[i].n + sizeof(struct str);
	return group__fits(g, bytes) ? COORD_OK : COORD_GROUP_MAX_SIZE_REACHED;
}

static struct group *group_for(struct group_coord *g, const struct group_consumer_heartbeat *in, int16_t *ret_code,
			       int64_t now_ms)
{
	struct group *gr = group__find(g, in->group_id);

	*ret_code = COORD_OK;
	if (gr && gr->deleting)
		*ret_code = COORD_LOAD_IN_PROGRESS;
	else if (!gr && in->epoch)
		*ret_code = COORD_GROUP_ID_NOT_FOUND;
	else if (!gr && !(gr = group__make(g, in->group_id, GROUP_SHARE, now_ms)))
		*ret_code = COORD_GROUP_MAX_SIZE_REACHED;
	else if (gr->type != GROUP_SHARE)
		*ret_code = COORD_GROUP_ID_NOT_FOUND;
	if (*ret_code)
		return NULL;
	group__set_str(&gr->protocol_type, STR("share"));
	return gr;
}

static struct member *member_for(struct group_coord *g, struct group *gr, const struct group_consumer_heartbeat *in,
				 int16_t *ret_code, bool *ret_fresh)
{
	struct member *m = group__member(gr, in->member_id);

	if (m && in->epoch && in->epoch != m->epoch && in->epoch != m->previous_epoch)
		*ret_code = COORD_FENCED_MEMBER_EPOCH;
	else if (!m && in->epoch)
		*ret_code = COORD_UNKNOWN_MEMBER_ID;
	else if (!m && map_count(gr->members) >= (size_t)g->cfg.share_members_max)
		*ret_code = COORD_GROUP_MAX_SIZE_REACHED;
	if (*ret_code)
		return NULL;
	if (!m) {
		*ret_fresh = true;
		m = group__member_new(g, gr, in->member_id, STR_NONE);
		group__touch_member(g, m);
	}
	return m;
}

static void leave(struct group_coord *g, const struct group_consumer_heartbeat *in, uint64_t token, int64_t now_ms)
{
	struct group *gr = group__find(g, in->group_id);
	int16_t code = COORD_GROUP_ID_NOT_FOUND;
	struct member *m =
		gr && gr->type == GROUP_SHARE ? group__checked_member(gr, in->member_id, STR_NONE, &code) : NULL;

	if (!m) {
		group__consumer_refuse(g, in, token, code, NULL);
		return;
	}
	group__member_drop(g, m, COORD_UNKNOWN_MEMBER_ID);
	group__consumer_left(g, gr, now_ms);
	group__consumer_respond(g, gr, in->member_id, in->epoch, NULL, token, now_ms);
}

static void beat(struct group_coord *g, const struct group_consumer_heartbeat *in, uint64_t token, int64_t now_ms)
{
	int16_t code;
	bool fresh = false;
	struct group *gr = group_for(g, in, &code, now_ms);
	struct member *m = gr ? member_for(g, gr, in, &code, &fresh) : NULL;

	if (!m) {
		group__consumer_refuse(g, in, token, code, NULL);
		return;
	}
	coord_timer_set(&g->timers, &m->session, now_ms + group__session_of(g, gr));
	if (group__consumer_update(g, m, in) || fresh)
		group__new_epoch(g, gr);
	bool told = in->epoch == m->epoch && in->epoch && group__parts_equal(&m->assigned, &m->target);

	if (m->epoch != gr->target_epoch) {
		m->previous_epoch = m->epoch;
		m->epoch = gr->target_epoch;
		group__parts_copy(&m->assigned, m->target.v, m->target.n);
		group__member_count(g, m);
		group__touch_member(g, m);
	}
	group__consumer_respond(g, gr, m->id, m->epoch, told ? NULL : &m->assigned, token, now_ms);
}

void group_share_heartbeat(struct group_coord *g, const struct group_consumer_heartbeat *in, uint64_t token,
			   int64_t now_ms)
{
	const char *why;
	int16_t code = check(g, in, &why);

	g->now_ms = now_ms;
	if (code)
		group__consumer_refuse(g, in, token, code, why);
	else if (in->epoch < 0)
		leave(g, in, token, now_ms);
	else
		beat(g, in, token, now_ms);
	group__pump(g);
}

void group_share_describe(struct group_coord *g, struct str group_id, struct arena *a, struct group_described *ret)
{
	group__describe(g, group_id, GROUP_SHARE, a, ret);
}

bool group_share_make(struct group_coord *g, struct str group_id, int64_t now_ms)
{
	struct group *gr = group__find(g, group_id);

	if (gr)
		return true;
	gr = group__make(g, group_id, GROUP_SHARE, now_ms);
	if (!gr)
		return false;
	g->now_ms = now_ms;
	group__set_str(&gr->protocol_type, STR("share"));
	group__set_str(&gr->assignor, STR("simple"));
	group__touch(g, gr);
	group__pump(g);
	return true;
}

bool group_is_share(struct group_coord *g, struct str group_id, bool *ret_empty)
{
	const struct group *gr = group__find(g, group_id);

	*ret_empty = !gr || !map_count(gr->members);
	return gr && gr->type == GROUP_SHARE && !gr->deleting;
}
