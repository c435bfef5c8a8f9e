/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/group/group_priv.h"

#include "base/mem.h"

/* Rebalances of classic groups: when one begins, when it is complete, who is told. */

void group__pending_drop(struct group_coord *g, struct pending_member *p)
{
	coord_timer_stop(&g->timers, &p->timer);
	map_del(p->group->pending, p->id);
	g->stats.bytes -= GROUP_PENDING_BYTES + p->id.n;
	coord_disown(&p->id);
	free(p);
}

void group__answer_wait(struct group_coord *g, struct waiting_token *w, enum group_op op, int16_t code)
{
	if (!w->on)
		return;
	w->on = false;
	group__refuse(g, op, w->token, code, NULL);
}

/* ---- Votes ---- */

bool group__member_speaks(const struct member *m, struct str protocol)
{
	for (size_t i = 0; i < m->n_protocols; i++)
		if (str_eq(m->protocols[i].name, protocol))
			return true;
	return false;
}

bool group__all_speak(const struct group *gr, struct str protocol)
{
	struct str key;
	void *v;

	for (size_t at = 0; map_next(gr->members, &at, &key, &v);)
		if (!group__member_speaks(v, protocol))
			return false;
	return true;
}

struct str group__select_protocol(const struct group *gr)
{
	struct str common[GROUP_PROTOCOLS_MAX], key, best = STR_NONE;
	size_t votes[GROUP_PROTOCOLS_MAX] = {0}, n = 0, most = 0;
	void *v;

	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		const struct member *first = v;

		for (size_t i = 0; i < first->n_protocols && n < ARRAY_LEN(common); i++)
			if (group__all_speak(gr, first->protocols[i].name))
				common[n++] = first->protocols[i].name;
		break;
	}
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		const struct member *m = v;

		for (size_t i = 0, found = 0; i < m->n_protocols && !found; i++)
			for (size_t k = 0; k < n && !found; k++)
				if (str_eq(common[k], m->protocols[i].name)) {
					votes[k]++;
					found = 1;
				}
	}
	for (size_t k = 0; k < n; k++)
		if (votes[k] > most || (votes[k] == most && best.p && str_cmp(common[k], best) < 0)) {
			most = votes[k];
			best = common[k];
		}
	return best;
}

/* ---- Rebalance ---- */

/* Whatever members say: a rebalance that ends at once would begin again at once. */
enum { REBALANCE_MIN_MS = 1000 };

static int64_t rebalance_timeout(const struct group *gr)
{
	int64_t most = REBALANCE_MIN_MS;
	struct str key;
	void *v;

	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		const struct member *m = v;

		if (m->rebalance_ms > most)
			most = m->rebalance_ms;
	}
	return most;
}

void group__session_start(struct group_coord *g, struct member *m, int64_t now_ms)
{
	coord_timer_set(&g->timers, &m->session, now_ms + m->session_ms);
}

static bool everybody_joined(const struct group *gr)
{
	struct str key;
	void *v;

	if (map_count(gr->pending))
		return false;
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);)
		if (!((const struct member *)v)->joined)
			return false;
	return true;
}

static void drop_absent(struct group_coord *g, struct group *gr)
{
	struct str key;
	void *v;

	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		struct member *m = v;

		/* A static member is away until its session ends (KIP-345). */
		if (!m->joined && !m->instance_id.p)
			group__member_drop(g, m, COORD_UNKNOWN_MEMBER_ID);
	}
	for (size_t at = 0; map_next(gr->pending, &at, &key, &v);)
		group__pending_drop(g, v);
}

/* The leader stays when it joined; else the joined member with the smallest id. */
static bool elect(struct group *gr)
{
	struct member *leader = gr->leader.p ? group__member(gr, gr->leader) : NULL, *best = NULL;
	struct str key;
	void *v;

	if (leader && leader->joined)
		return true;
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		struct member *m = v;

		if (m->joined && (!best || str_cmp(m->id, best->id) < 0))
			best = m;
	}
	if (best)
		group__set_str(&gr->leader, best->id);
	return best;
}

static void become_empty(struct group_coord *g, struct group *gr, int64_t now_ms)
{
	gr->generation++;
	coord_timer_stop(&g->timers, &gr->timer);
	gr->initial_left = -1;
	coord_disown(&gr->leader);
	coord_disown(&gr->protocol_name);
	group__set_state(gr, GROUP_EMPTY, now_ms);
	group__touch(g, gr);
}

static void complete(struct group_coord *g, struct group *gr, int64_t now_ms)
{
	struct str key;
	void *v;

	drop_absent(g, gr);
	if (!map_count(gr->members)) {
		become_empty(g, gr, now_ms);
		return;
	}
	if (!elect(gr)) { /* only static members that are away */
		coord_timer_set(&g->timers, &gr->timer, now_ms + rebalance_timeout(gr));
		return;
	}
	gr->generation++;
	gr->initial_left = -1;
	g->stats.rebalances++;
	group__set_str(&gr->protocol_name, group__select_protocol(gr));
	group__set_state(gr, GROUP_COMPLETING, now_ms);
	group__touch(g, gr);
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		struct member *m = v;

		/* A static member that is away keeps its session and is not waited for. */
		m->synced = !m->joined;
		if (m->joined || !m->session.pos)
			group__session_start(g, m, now_ms);
		m->joined = m->skip = false;
		coord_disown(&m->assignment);
		group__member_count(g, m);
		group__touch_member(g, m);
	}
	coord_timer_set(&g->timers, &gr->timer, now_ms + rebalance_timeout(gr));
}

static void maybe_complete(struct group_coord *g, struct group *gr, int64_t now_ms)
{
	if (gr->state == GROUP_PREPARING && gr->initial_left < 0 && everybody_joined(gr))
		complete(g, gr, now_ms);
}

void group__rebalance(struct group_coord *g, struct group *gr, int64_t now_ms)
{
	struct str key;
	void *v;

	if (gr->state == GROUP_PREPARING) {
		gr->newcomer = true;
		maybe_complete(g, gr, now_ms);
		return;
	}
	bool first = gr->state == GROUP_EMPTY && g->cfg.initial_delay_ms > 0;

	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		struct member *m = v;

		/* Joins whose answer is not out yet count for the new round. */
		m->joined = m->join.on;
		group__answer_wait(g, &m->sync, GROUP_SYNC, COORD_REBALANCE_IN_PROGRESS);
		if (!m->session.pos && !m->join.on)
			group__session_start(g, m, now_ms);
	}
	group__set_state(gr, GROUP_PREPARING, now_ms);
	group__touch(g, gr); /* after a crash the rebalance goes on, also when only a leave was stored */
	gr->newcomer = false;
	gr->initial_left = -1;
	int64_t timeout = rebalance_timeout(gr), delay = timeout;

	if (first) {
		delay = g->cfg.initial_delay_ms < timeout ? g->cfg.initial_delay_ms : timeout;
		gr->initial_left = timeout - delay;
	}
	coord_timer_set(&g->timers, &gr->timer, now_ms + delay);
	maybe_complete(g, gr, now_ms);
}

/* A member went: what that means for the others. */
void group__classic_left(struct group_coord *g, struct group *gr, int64_t now_ms)
{
	if (gr->state == GROUP_STABLE || gr->state == GROUP_COMPLETING) {
		group__rebalance(g, gr, now_ms);
	} else if (gr->state == GROUP_PREPARING) {
		if (!map_count(gr->members) && !map_count(gr->pending))
			become_empty(g, gr, now_ms);
		else
			maybe_complete(g, gr, now_ms);
	}
}

/* Members that were told of the generation but did not ask for their assignment in time go. The timer is stopped when
 * all have asked. */
static void sync_timeout(struct group_coord *g, struct group *gr, int64_t now_ms)
{
	struct str key;
	void *v;

	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		struct member *m = v;

		if (!m->synced && !m->join.on)
			group__member_drop(g, m, COORD_UNKNOWN_MEMBER_ID);
	}
	group__rebalance(g, gr, now_ms);
}

void group__classic_timeout(struct group_coord *g, struct group *gr, int64_t now_ms)
{
	if (gr->state == GROUP_COMPLETING || gr->state == GROUP_STABLE) {
		sync_timeout(g, gr, now_ms);
	} else if (gr->state == GROUP_PREPARING && gr->initial_left > 0 && gr->newcomer) {
		int64_t more = g->cfg.initial_delay_ms < gr->initial_left ? g->cfg.initial_delay_ms : gr->initial_left;

		gr->initial_left -= more;
		gr->newcomer = false;
		coord_timer_set(&g->timers, &gr->timer, now_ms + more);
	} else if (gr->state == GROUP_PREPARING) {
		complete(g, gr, now_ms);
	}
}

/* ---- Answers ---- */

static struct str metadata_of(const struct member *m, struct str protocol)
{
	for (size_t i = 0; i < m->n_protocols; i++)
		if (str_eq(m->protocols[i].name, protocol))
			return m->protocols[i].metadata;
	return STR("");
}

static void answer_join(struct group_coord *g, struct member *m)
{
	const struct group *gr = m->group;
	bool leads = str_eq(gr->leader, m->id);
	struct group_join_member *v = NULL;
	struct group_reply r = {.op = GROUP_JOIN, .member_id = m->id};
	struct str key;
	void *p;

	r.join.generation = gr->generation;
	r.join.protocol_type = gr->protocol_type;
	r.join.protocol_name = gr->protocol_name;
	r.join.leader = gr->leader;
	r.join.skip_assignment = m->skip;
	/* A client that cannot skip must not take itself for the leader, or it would assign anew (KIP-814). */
	if (m->skip && leads && m->join_version < 9) {
		r.join.leader = STR("");
		r.join.skip_assignment = leads = false;
	} else if (m->skip && !leads) {
		r.join.skip_assignment = false;
	}
	if (leads) {
		v = mem_alloc(map_count(gr->members) * sizeof(*v));
		for (size_t at = 0; map_next(gr->members, &at, &key, &p);) {
			const struct member *o = p;

			v[r.join.n++] = (struct group_join_member){o->id, o->instance_id,
			                                           metadata_of(o, gr->protocol_name)};
		}
	}
	r.join.members = v;
	m->join.on = m->skip = false;
	g->env.reply(g->env.arg, m->join.token, &r);
	free(v);
}

static void answer_sync(struct group_coord *g, struct member *m)
{
	struct group_reply r = {.op = GROUP_SYNC, .member_id = m->id};

	r.sync.protocol_type = m->group->protocol_type;
	r.sync.protocol_name = m->group->protocol_name;
	r.sync.assignment = m->assignment.p ? m->assignment : STR("");
	m->sync.on = false;
	g->env.reply(g->env.arg, m->sync.token, &r);
}

static bool clean(const struct group *gr)
{
	struct str key;
	void *v;

	if (gr->dirty || gr->flying || gr->n_gone)
		return false;
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);)
		if (((const struct member *)v)->dirty || ((const struct member *)v)->flying)
			return false;
	return true;
}

void group__classic_saved(struct group_coord *g, struct group *gr, bool ok)
{
	struct str key;
	void *v;

	if (gr->state == GROUP_PREPARING || gr->state == GROUP_EMPTY || (ok && !clean(gr)))
		return;
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		struct member *m = v;

		if (!ok) {
			group__answer_wait(g, &m->join, GROUP_JOIN, COORD_NOT_AVAILABLE);
			group__answer_wait(g, &m->sync, GROUP_SYNC, COORD_NOT_AVAILABLE);
			if (!m->session.pos)
				group__session_start(g, m, g->now_ms);
			continue;
		}
		if (m->join.on)
			answer_join(g, m);
		if (m->sync.on && gr->state == GROUP_STABLE)
			answer_sync(g, m);
	}
}

void group__classic_loaded(struct group_coord *g, struct group *gr, int64_t now_ms)
{
	struct str key;
	void *v;

	for (size_t at = 0; map_next(gr->members, &at, &key, &v);)
		group__session_start(g, v, now_ms);
	if (!map_count(gr->members)) {
		if (gr->state != GROUP_EMPTY)
			become_empty(g, gr, now_ms);
		return;
	}
	if (gr->state == GROUP_COMPLETING) {
		coord_timer_set(&g->timers, &gr->timer, now_ms + rebalance_timeout(gr));
	} else if (gr->state != GROUP_STABLE) {
		gr->state = GROUP_STABLE;
		group__rebalance(g, gr, now_ms);
	}
	/* The leader's removal was stored, the rebalance after it was not. */
	if ((gr->state == GROUP_STABLE || gr->state == GROUP_COMPLETING) &&
	    (!gr->leader.p || !group__member(gr, gr->leader)))
		group__rebalance(g, gr, now_ms);
}
