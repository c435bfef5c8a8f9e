/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/group/group_priv.h"

#include "base/mem.h"

/* JoinGroup, SyncGroup, Heartbeat, LeaveGroup. */

/* ---- Join ---- */

static void refuse_join(struct group_coord *g, const struct group_join *in, uint64_t token, int16_t code)
{
	struct group_reply r = {.op = GROUP_JOIN, .code = code, .member_id = in->member_id};

	g->env.reply(g->env.arg, token, &r);
}

static size_t metadata_bytes(const struct group_join *in)
{
	size_t n = 0;

	for (size_t i = 0; i < in->n; i++)
		n += in->protocols[i].name.n + in->protocols[i].metadata.n;
	return n;
}

static bool same_protocols(const struct member *m, const struct group_join *in)
{
	if (m->n_protocols != in->n)
		return false;
	for (size_t i = 0; i < in->n; i++)
		if (!str_eq(m->protocols[i].name, in->protocols[i].name) ||
		    !str_eq(m->protocols[i].metadata, in->protocols[i].metadata))
			return false;
	return true;
}

static void update_member(struct group_coord *g, struct member *m, const struct group_join *in)
{
	for (size_t i = 0; i < m->n_protocols; i++) {
		coord_disown(&m->protocols[i].name);
		coord_disown(&m->protocols[i].metadata);
	}
	m->protocols = mem_realloc(m->protocols, in->n * sizeof(*m->protocols));
	for (size_t i = 0; i < in->n; i++)
		m->protocols[i] =
			(struct group_protocol){coord_own(in->protocols[i].name), coord_own(in->protocols[i].metadata)};
	m->n_protocols = in->n;
	m->session_ms = in->session_timeout_ms;
	m->rebalance_ms = in->rebalance_timeout_ms < 0 ? in->session_timeout_ms : in->rebalance_timeout_ms;
	group__set_str(&m->client_id, in->client.client_id);
	group__set_str(&m->host, in->client.host);
	m->join_version = in->version;
	group__member_count(g, m);
	if (m->group->state != GROUP_PREPARING)
		group__touch_member(g, m);
}

static void wait_join(struct group_coord *g, struct member *m, uint64_t token)
{
	group__answer_wait(g, &m->join, GROUP_JOIN, COORD_REBALANCE_IN_PROGRESS);
	m->join = (struct waiting_token){true, token};
	/* While its request is with us the member lives; the rebalance timeout bounds that. */
	coord_timer_stop(&g->timers, &m->session);
}

static void join_rebalance(struct group_coord *g, struct member *m, const struct group_join *in, uint64_t token,
			   int64_t now_ms)
{
	update_member(g, m, in);
	wait_join(g, m, token);
	m->joined = true;
	group__rebalance(g, m->group, now_ms);
}

/* The member gets the present generation again; the answer waits for the disk if need be. */
static void join_again(struct group_coord *g, struct member *m, uint64_t token, int64_t now_ms)
{
	wait_join(g, m, token);
	group__session_start(g, m, now_ms);
	group__classic_saved(g, m->group, true);
}

static bool protocols_fit(const struct group *gr, const struct group_join *in)
{
	if (!map_count(gr->members))
		return true;
	if (!str_eq(gr->protocol_type, in->protocol_type))
		return false;
	for (size_t i = 0; i < in->n; i++)
		if (group__all_speak(gr, in->protocols[i].name))
			return true;
	return false;
}

static bool room(const struct group_coord *g, const struct group *gr)
{
	return map_count(gr->members) + map_count(gr->pending) < (size_t)g->cfg.members_max;
}

static void add_member(struct group_coord *g, struct group *gr, const struct group_join *in, struct str id,
		       uint64_t token, int64_t now_ms)
{
	struct member *m = group__member_new(g, gr, id, in->instance_id);

	if (map_count(gr->members) == 1)
		group__set_str(&gr->protocol_type, in->protocol_type);
	if (!gr->leader.p)
		group__set_str(&gr->leader, id);
	join_rebalance(g, m, in, token, now_ms);
}

/* KIP-345: a static member came back under a new member id. */
static void replace_static(struct group_coord *g, struct member *m, const struct group_join *in, uint64_t token,
			   int64_t now_ms)
{
	struct group *gr = m->group;
	char id[300];

	group__new_id(in->instance_id, id, sizeof(id));
	group__answer_wait(g, &m->join, GROUP_JOIN, COORD_FENCED_INSTANCE_ID);
	group__answer_wait(g, &m->sync, GROUP_SYNC, COORD_FENCED_INSTANCE_ID);
	group__member_rename(g, m, str_of(id));
	if (gr->state != GROUP_STABLE) {
		join_rebalance(g, m, in, token, now_ms);
		return;
	}
	update_member(g, m, in);
	if (!str_eq(group__select_protocol(gr), gr->protocol_name)) {
		join_rebalance(g, m, in, token, now_ms);
		return;
	}
	m->skip = true;
	join_again(g, m, token, now_ms);
}

static void hand_out_id(struct group_coord *g, struct group *gr, const struct group_join *in, uint64_t token,
			int64_t now_ms)
{
	struct group_reply r = {.op = GROUP_JOIN, .code = COORD_MEMBER_ID_REQUIRED};
	struct pending_member *p = mem_zalloc(sizeof(*p));
	char id[300];

	group__new_id(in->client.client_id, id, sizeof(id));
	p->group = gr;
	p->id = coord_own(str_of(id));
	p->timer.kind = TIMER_PENDING;
	map_put(gr->pending, p->id, p);
	g->stats.bytes += GROUP_PENDING_BYTES + p->id.n;
	coord_timer_set(&g->timers, &p->timer, now_ms + in->session_timeout_ms);
	r.member_id = p->id;
	g->env.reply(g->env.arg, token, &r);
}

static void join_new(struct group_coord *g, struct group *gr, const struct group_join *in, uint64_t token,
		     int64_t now_ms)
{
	struct member *holder = in->instance_id.p ? map_get(gr->instances, in->instance_id) : NULL;
	char id[300];

	if (holder) {
		replace_static(g, holder, in, token, now_ms);
	} else if (!room(g, gr)) {
		refuse_join(g, in, token, COORD_GROUP_MAX_SIZE_REACHED);
	} else if (!in->instance_id.p && in->version >= 4) {
		hand_out_id(g, gr, in, token, now_ms);
	} else {
		group__new_id(in->instance_id.p ? in->instance_id : in->client.client_id, id, sizeof(id));
		add_member(g, gr, in, str_of(id), token, now_ms);
	}
}

static void join_known(struct group_coord *g, struct group *gr, const struct group_join *in, uint64_t token,
		       int64_t now_ms)
{
	struct pending_member *p = map_get(gr->pending, in->member_id);
	int16_t code;

	if (p) {
		if (in->instance_id.p) {
			refuse_join(g, in, token, COORD_INVALID_REQUEST);
			return;
		}
		group__pending_drop(g, p);
		add_member(g, gr, in, in->member_id, token, now_ms);
		return;
	}
	struct member *m = group__checked_member(gr, in->member_id, in->instance_id, &code);

	if (!m) {
		refuse_join(g, in, token, code);
		return;
	}
	bool same = same_protocols(m, in), leads = str_eq(gr->leader, m->id);

	/* Nothing new from a follower, or an answer that got lost. */
	if ((gr->state == GROUP_STABLE && same && !leads) || (gr->state == GROUP_COMPLETING && same))
		join_again(g, m, token, now_ms);
	else
		join_rebalance(g, m, in, token, now_ms);
}

static int16_t check_join(const struct group_coord *g, const struct group_join *in)
{
	if (str_empty(in->group_id))
		return COORD_INVALID_GROUP_ID;
	if (in->session_timeout_ms < g->cfg.session_min_ms || in->session_timeout_ms > g->cfg.session_max_ms)
		return COORD_INVALID_SESSION_TIMEOUT;
	if (str_empty(in->protocol_type) || !in->n)
		return COORD_INCONSISTENT_GROUP_PROTOCOL;
	if (in->n > (size_t)g->cfg.protocols_max || (in->instance_id.p && !in->instance_id.n))
		return COORD_INVALID_REQUEST;
	size_t bytes = metadata_bytes(in);

	if (bytes > g->cfg.member_metadata_max || !group__fits(g, bytes + 1000))
		return COORD_GROUP_MAX_SIZE_REACHED;
	return COORD_OK;
}

/* An empty group of the other protocol changes sides; its offsets stay. */
static bool make_classic(struct group_coord *g, struct group *gr)
{
	if (gr->type == GROUP_CLASSIC)
		return true;
	if (gr->type == GROUP_SHARE || map_count(gr->members))
		return false;
	gr->type = GROUP_CLASSIC;
	gr->state = GROUP_EMPTY;
	coord_disown(&gr->assignor);
	group__touch(g, gr);
	return true;
}

void group_join(struct group_coord *g, const struct group_join *in, uint64_t token, int64_t now_ms)
{
	struct group *gr = group__find(g, in->group_id);
	int16_t code = check_join(g, in);

	g->now_ms = now_ms;
	if (!code && !gr && !str_empty(in->member_id))
		code = COORD_UNKNOWN_MEMBER_ID;
	else if (!code && !gr && !(gr = group__make(g, in->group_id, GROUP_CLASSIC, now_ms)))
		code = COORD_GROUP_MAX_SIZE_REACHED;
	else if (!code && gr->deleting)
		code = COORD_LOAD_IN_PROGRESS;
	else if (!code && !make_classic(g, gr))
		code = COORD_INCONSISTENT_GROUP_PROTOCOL;
	else if (!code && !protocols_fit(gr, in))
		code = COORD_INCONSISTENT_GROUP_PROTOCOL;
	if (code)
		refuse_join(g, in, token, code);
	else if (str_empty(in->member_id))
		join_new(g, gr, in, token, now_ms);
	else
		join_known(g, gr, in, token, now_ms);
	group__pump(g);
}

/* ---- Sync ---- */

static int16_t take_assignments(struct group_coord *g, struct group *gr, const struct group_sync *in, int64_t now_ms)
{
	struct str key;
	size_t bytes = 0;
	void *v;

	for (size_t i = 0; i < in->n; i++) {
		if (in->assignments[i].assignment.n > g->cfg.member_metadata_max)
			return COORD_GROUP_MAX_SIZE_REACHED;
		bytes += in->assignments[i].assignment.n;
	}
	if (!group__fits(g, bytes))
		return COORD_GROUP_MAX_SIZE_REACHED;
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		struct member *m = v;

		coord_disown(&m->assignment);
		group__touch_member(g, m);
	}
	for (size_t i = 0; i < in->n; i++) {
		struct member *m = group__member(gr, in->assignments[i].member_id);

		if (m)
			group__set_str(&m->assignment, in->assignments[i].assignment);
	}
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);)
		group__member_count(g, v);
	group__set_state(gr, GROUP_STABLE, now_ms);
	group__touch(g, gr);
	return COORD_OK;
}

static int16_t check_sync(struct group *gr, const struct group_sync *in, struct member **ret_m)
{
	int16_t code;
	struct member *m = group__checked_member(gr, in->member_id, in->instance_id, &code);

	if (!m)
		return code;
	if (in->generation != gr->generation)
		return COORD_ILLEGAL_GENERATION;
	if ((in->protocol_type.p && !str_eq(in->protocol_type, gr->protocol_type)) ||
	    (in->protocol_name.p && !str_eq(in->protocol_name, gr->protocol_name)))
		return COORD_INCONSISTENT_GROUP_PROTOCOL;
	if (gr->state == GROUP_EMPTY)
		return COORD_UNKNOWN_MEMBER_ID;
	if (gr->state == GROUP_PREPARING)
		return COORD_REBALANCE_IN_PROGRESS;
	*ret_m = m;
	return COORD_OK;
}

static bool all_synced(const struct group *gr)
{
	struct str key;
	void *v;

	for (size_t at = 0; map_next(gr->members, &at, &key, &v);)
		if (!((const struct member *)v)->synced)
			return false;
	return true;
}

void group_sync(struct group_coord *g, const struct group_sync *in, uint64_t token, int64_t now_ms)
{
	struct group *gr = str_empty(in->group_id) ? NULL : group__find(g, in->group_id);
	struct member *m = NULL;
	int16_t code = str_empty(in->group_id) ? COORD_INVALID_GROUP_ID : COORD_UNKNOWN_MEMBER_ID;

	g->now_ms = now_ms;
	if (gr && gr->type == GROUP_CLASSIC)
		code = check_sync(gr, in, &m);
	if (!code && gr->state == GROUP_COMPLETING && str_eq(gr->leader, m->id))
		code = take_assignments(g, gr, in, now_ms);
	if (code) {
		group__refuse(g, GROUP_SYNC, token, code, NULL);
		return;
	}
	group__answer_wait(g, &m->sync, GROUP_SYNC, COORD_REBALANCE_IN_PROGRESS);
	m->sync = (struct waiting_token){true, token};
	m->synced = true;
	group__session_start(g, m, now_ms);
	if (gr->state == GROUP_COMPLETING) {
		/* Waits for the leader, whose session and the sync deadline bound that. */
		coord_timer_stop(&g->timers, &m->session);
	} else {
		struct str key;
		void *v;

		for (size_t at = 0; map_next(gr->members, &at, &key, &v);)
			if (!((struct member *)v)->session.pos)
				group__session_start(g, v, now_ms);
		if (all_synced(gr))
			coord_timer_stop(&g->timers, &gr->timer);
		group__classic_saved(g, gr, true);
	}
	group__pump(g);
}

/* ---- Heartbeat ---- */

int16_t group_heartbeat(struct group_coord *g, struct str group_id, struct str member_id, struct str instance_id,
			int32_t generation, int64_t now_ms)
{
	struct group *gr = group__find(g, group_id);
	int16_t code = COORD_UNKNOWN_MEMBER_ID;

	g->now_ms = now_ms;
	if (str_empty(group_id))
		return COORD_INVALID_GROUP_ID;
	struct member *m =
		gr && gr->type == GROUP_CLASSIC ? group__checked_member(gr, member_id, instance_id, &code) : NULL;

	if (!m)
		return code;
	if (gr->state == GROUP_EMPTY)
		return COORD_UNKNOWN_MEMBER_ID;
	if (generation != gr->generation)
		return COORD_ILLEGAL_GENERATION;
	if (m->session.pos)
		group__session_start(g, m, now_ms);
	return gr->state == GROUP_PREPARING ? COORD_REBALANCE_IN_PROGRESS : COORD_OK;
}

/* ---- Leave ---- */

/* *left: the group is concerned. */
static int16_t leave_one(struct group_coord *g, struct group *gr, const struct group_leaver *l, bool *left)
{
	struct pending_member *p = map_get(gr->pending, l->member_id);
	struct member *m = NULL;
	int16_t code = COORD_UNKNOWN_MEMBER_ID;

	if (str_empty(l->member_id) && l->instance_id.p) {
		m = map_get(gr->instances, l->instance_id);
	} else if (p) {
		group__pending_drop(g, p);
		*left = *left || gr->state == GROUP_PREPARING;
		return COORD_OK;
	} else {
		m = group__checked_member(gr, l->member_id, l->instance_id, &code);
	}
	if (!m)
		return code;
	group__member_drop(g, m, COORD_UNKNOWN_MEMBER_ID);
	*left = true;
	return COORD_OK;
}

void group_leave(struct group_coord *g, struct str group_id, const struct group_leaver *v, size_t n, uint64_t token,
		 int64_t now_ms)
{
	struct group *gr = group__find(g, group_id);
	bool left = false;

	g->now_ms = now_ms;
	if (str_empty(group_id) || !gr || gr->type == GROUP_SHARE) {
		group__refuse_each(g, GROUP_LEAVE, token,
				   str_empty(group_id) ? COORD_INVALID_GROUP_ID : COORD_UNKNOWN_MEMBER_ID, n);
		return;
	}
	struct waiter *w = group__waiter(g, GROUP_LEAVE, token, now_ms);

	w->codes = mem_zalloc((n + 1) * sizeof(*w->codes));
	w->n = n;
	for (size_t i = 0; i < n; i++)
		w->codes[i] = leave_one(g, gr, &v[i], &left);
	if (left && gr->type == GROUP_CONSUMER)
		group__consumer_left(g, gr, now_ms);
	else if (left)
		group__classic_left(g, gr, now_ms);
	group__enqueue(g, w);
	group__pump(g);
}
