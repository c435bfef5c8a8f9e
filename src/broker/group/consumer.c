/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/group/group_priv.h"

#include "base/mem.h"

/* ConsumerGroupHeartbeat (KIP-848): one request joins, keeps alive, revokes, assigns and leaves. */

enum { TOPICS_MAX = 10000, ID_MAX = 300 };

static int str_order(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool among(const struct str *v, size_t n, struct str s)
{
	return n && bsearch(&s, v, n, sizeof(*v), str_order);
}

bool group__consumer_subscribed(const struct member *m, struct str topic)
{
	return among(m->topics, m->n_topics, topic) || among(m->matched, m->n_matched, topic);
}

/* ---- Group epoch and target ---- */

void group__new_epoch(struct group_coord *g, struct group *gr)
{
	gr->generation++;
	group__retarget(g, gr);
	gr->target_epoch = gr->generation;
	g->stats.rebalances++;
	group__touch(g, gr);
}

void group__consumer_left(struct group_coord *g, struct group *gr, int64_t now_ms)
{
	if (!map_count(gr->members))
		gr->state_ms = now_ms;
	group__new_epoch(g, gr);
}

void group__consumer_revoke_timeout(struct group_coord *g, struct member *m, int64_t now_ms)
{
	struct group *gr = m->group;

	g->stats.expired_members++;
	group__member_drop(g, m, COORD_UNKNOWN_MEMBER_ID);
	group__consumer_left(g, gr, now_ms);
}

static void times_of(const struct group_coord *g, const struct group *gr, int32_t *ret_session_ms,
		     int32_t *ret_interval_ms)
{
	bool share = gr->type == GROUP_SHARE;

	*ret_session_ms = share ? g->cfg.share_session_ms : g->cfg.consumer_session_ms;
	*ret_interval_ms = share ? g->cfg.share_interval_ms : g->cfg.consumer_interval_ms;
	if (g->env.times)
		g->env.times(g->env.arg, gr->id, share, ret_session_ms, ret_interval_ms);
}

int32_t group__session_of(const struct group_coord *g, const struct group *gr)
{
	int32_t session_ms, interval_ms;

	times_of(g, gr, &session_ms, &interval_ms);
	return session_ms;
}

void group__consumer_loaded(struct group_coord *g, struct group *gr, int64_t now_ms)
{
	struct str key;
	void *v;

	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		struct member *m = v;

		coord_timer_set(&g->timers, &m->session, now_ms + group__session_of(g, m->group));
		if (m->state == MEMBER_UNREVOKED)
			coord_timer_set(&g->timers, &m->revoke, now_ms + m->rebalance_ms);
		group__regex_resolve(g, m);
	}
	/* Topics may have changed since; without a change the epoch stays, and nobody notices the restart. */
	if (map_count(gr->members) && (gr->target_epoch != gr->generation || group__retarget(g, gr)))
		group__new_epoch(g, gr);
}

void group_topics_changed(struct group_coord *g, int64_t now_ms)
{
	struct str key;
	void *v, *p;

	g->now_ms = now_ms;
	for (size_t at = 0; map_next(g->groups, &at, &key, &v);) {
		struct group *gr = v;

		if (gr->type == GROUP_CLASSIC || !map_count(gr->members))
			continue;
		for (size_t i = 0; map_next(gr->members, &i, &key, &p);)
			if (((struct member *)p)->regex.p)
				group__regex_resolve(g, p);
		if (group__retarget(g, gr))
			group__new_epoch(g, gr);
	}
	group__pump(g);
}

/* ---- Reconciliation ---- */

static bool owned_elsewhere(const struct group *gr, const struct member *me, const struct group_partition *p)
{
	struct str key;
	void *v;

	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		const struct member *m = v;

		if (m != me && (group__parts_have(&m->assigned, p) || group__parts_have(&m->revoking, p)))
			return true;
	}
	return false;
}

static void push(struct part_set *s, const struct group_partition *p)
{
	s->v = mem_realloc(s->v, (s->n + 1) * sizeof(*s->v));
	s->v[s->n++] = *p;
}

static bool still_owns(const struct group_consumer_heartbeat *in, const struct part_set *revoking)
{
	if (!in->owned)
		return true;
	for (size_t i = 0; i < in->n_owned; i++)
		if (group__parts_have(revoking, &in->owned[i]))
			return true;
	return false;
}

static void adopt(struct part_set *dst, struct part_set *src)
{
	group__parts_free(dst);
	*dst = *src;
}

static void advance(struct member *m, int32_t epoch)
{
	if (m->epoch == epoch)
		return;
	m->previous_epoch = m->epoch;
	m->epoch = epoch;
}

/* Steps towards the target: first what has to be given back, then what others have given back. */
static void next_assignment(struct group_coord *g, struct member *m, const struct group_consumer_heartbeat *in,
			    int64_t now_ms)
{
	struct part_set assigned = {0}, revoking = {0}, free_parts = {0};
	struct group *gr = m->group;
	bool unreleased = false;

	for (size_t i = 0; i < m->assigned.n; i++)
		push(group__parts_have(&m->target, &m->assigned.v[i]) ? &assigned : &revoking, &m->assigned.v[i]);
	for (size_t i = 0; i < m->target.n; i++) {
		if (group__parts_have(&m->assigned, &m->target.v[i]))
			continue;
		if (owned_elsewhere(gr, m, &m->target.v[i]))
			unreleased = true;
		else
			push(&free_parts, &m->target.v[i]);
	}
	if (revoking.n && still_owns(in, &revoking)) {
		m->state = MEMBER_UNREVOKED;
		adopt(&m->assigned, &assigned);
		adopt(&m->revoking, &revoking);
		group__parts_free(&free_parts);
		coord_timer_set(&g->timers, &m->revoke, now_ms + m->rebalance_ms);
		return;
	}
	for (size_t i = 0; i < free_parts.n; i++)
		push(&assigned, &free_parts.v[i]);
	group__parts_sort(&assigned);
	group__parts_free(&free_parts);
	group__parts_free(&revoking);
	group__parts_free(&m->revoking);
	adopt(&m->assigned, &assigned);
	m->state = unreleased ? MEMBER_UNRELEASED : MEMBER_STABLE;
	advance(m, gr->target_epoch);
	coord_timer_stop(&g->timers, &m->revoke);
}

/* True when what the member has to know changed. */
static bool reconcile(struct group_coord *g, struct member *m, const struct group_consumer_heartbeat *in,
		      int64_t now_ms)
{
	struct part_set before = {0};
	enum member_state state = m->state;
	int32_t epoch = m->epoch;
	size_t revoking = m->revoking.n;

	if (m->state == MEMBER_STABLE && m->epoch == m->group->target_epoch)
		return false;
	if (m->state == MEMBER_UNREVOKED && still_owns(in, &m->revoking))
		return false;
	group__parts_copy(&before, m->assigned.v, m->assigned.n);
	next_assignment(g, m, in, now_ms);
	bool changed = !group__parts_equal(&before, &m->assigned);

	group__parts_free(&before);
	if (changed || state != m->state || epoch != m->epoch || revoking != m->revoking.n) {
		group__member_count(g, m);
		group__touch_member(g, m);
	}
	return changed;
}

/* ---- Answers ---- */

void group__consumer_refuse(struct group_coord *g, const struct group_consumer_heartbeat *in, uint64_t token,
			    int16_t code, const char *message)
{
	struct group_reply r = {.op = GROUP_CONSUMER_HEARTBEAT, .code = code, .message = str_of(message),
	                        .member_id = in->member_id};

	r.consumer.interval_ms = g->cfg.consumer_interval_ms;
	g->env.reply(g->env.arg, token, &r);
}

static void answer_now(struct group_coord *g, struct str member_id, int32_t epoch, const struct part_set *parts,
		       int32_t interval_ms, uint64_t token)
{
	struct group_reply r = {.op = GROUP_CONSUMER_HEARTBEAT, .member_id = member_id};

	r.consumer.epoch = epoch;
	r.consumer.interval_ms = interval_ms;
	r.consumer.has_assignment = parts;
	r.consumer.v = parts ? parts->v : NULL;
	r.consumer.n = parts ? parts->n : 0;
	g->env.reply(g->env.arg, token, &r);
}

void group__consumer_respond(struct group_coord *g, const struct group *gr, struct str member_id, int32_t epoch,
			     const struct part_set *parts, uint64_t token, int64_t now_ms)
{
	int32_t session_ms, interval_ms;
	struct waiter *w;

	times_of(g, gr, &session_ms, &interval_ms);
	if (!gr->listed && !gr->under_way) { /* nothing to store: also a full disk does not keep this answer back */
		answer_now(g, member_id, epoch, parts, interval_ms, token);
		return;
	}
	w = group__waiter(g, GROUP_CONSUMER_HEARTBEAT, token, now_ms);
	w->member_id = coord_own(member_id);
	w->epoch = epoch;
	w->interval_ms = interval_ms;
	if (parts) {
		w->has_assignment = true;
		group__parts_copy(&w->parts, parts->v, parts->n);
	}
	group__enqueue(g, w);
}

/* ---- Leaving ---- */

static void leave(struct group_coord *g, const struct group_consumer_heartbeat *in, uint64_t token, int64_t now_ms)
{
	struct group *gr = group__find(g, in->group_id);
	int16_t code = COORD_GROUP_ID_NOT_FOUND;
	struct member *m = gr && gr->type == GROUP_CONSUMER ?
				   group__checked_member(gr, in->member_id, in->instance_id, &code) :
				   NULL;

	if (!m) {
		group__consumer_refuse(g, in, token, code, NULL);
		return;
	}
	if (in->epoch == -2 && m->instance_id.p) { /* comes back soon: keeps everything */
		m->epoch = -2;
		m->previous_epoch = -2;
		group__parts_free(&m->revoking);
		coord_timer_stop(&g->timers, &m->revoke);
		coord_timer_set(&g->timers, &m->session, now_ms + group__session_of(g, m->group));
		group__touch_member(g, m);
	} else {
		group__member_drop(g, m, COORD_UNKNOWN_MEMBER_ID);
		group__consumer_left(g, gr, now_ms);
	}
	group__consumer_respond(g, gr, in->member_id, in->epoch, NULL, token, now_ms);
}

/* ---- Joining and staying ---- */

static void set_topics(struct member *m, const struct str *v, size_t n)
{
	for (size_t i = 0; i < m->n_topics; i++)
		coord_disown(&m->topics[i]);
	m->topics = mem_realloc(m->topics, (n + 1) * sizeof(*m->topics));
	m->n_topics = 0;
	for (size_t i = 0; i < n; i++)
		m->topics[i] = coord_own(v[i]);
	qsort(m->topics, n, sizeof(*m->topics), str_order);
	for (size_t i = 0; i < n; i++) {
		if (m->n_topics && str_eq(m->topics[m->n_topics - 1], m->topics[i]))
			coord_disown(&m->topics[i]);
		else
			m->topics[m->n_topics++] = m->topics[i];
	}
}

static bool same_topics(const struct member *m, const struct str *v, size_t n)
{
	size_t distinct = 0;

	for (size_t i = 0; i < n; i++) {
		if (!among(m->topics, m->n_topics, v[i]))
			return false;
		distinct++;
	}
	return distinct >= m->n_topics; /* duplicates in v cost a needless epoch at most */
}

static bool set(struct str *dst, struct str src)
{
	if (!src.p || (dst->p && str_eq(*dst, src)))
		return false;
	group__set_str(dst, src);
	return true;
}

/* True when the target has to be computed again. */
bool group__consumer_update(struct group_coord *g, struct member *m, const struct group_consumer_heartbeat *in)
{
	bool subscription = false, other;

	if (in->topics && !same_topics(m, in->topics, in->n_topics)) {
		set_topics(m, in->topics, in->n_topics);
		subscription = true;
	}
	if (in->regex.p && !str_eq(in->regex, m->regex)) {
		group__set_str(&m->regex, in->regex.n ? in->regex : STR_NONE);
		group__set_str(&m->principal, in->client.principal);
		group__regex_resolve(g, m);
		subscription = true;
	}
	subscription |= set(&m->assignor, in->assignor);
	other = set(&m->rack_id, in->rack_id);
	other |= set(&m->client_id, in->client.client_id);
	other |= set(&m->host, in->client.host);
	if (in->rebalance_timeout_ms >= 0 && in->rebalance_timeout_ms != m->rebalance_ms) {
		m->rebalance_ms = in->rebalance_timeout_ms;
		other = true;
	}
	if (subscription || other) {
		group__member_count(g, m);
		group__touch_member(g, m);
	}
	return subscription;
}

/* The member that joins: known, a static one that comes back, or new. *ret_fresh: it counts as a change. */
static struct member *joining(struct group_coord *g, struct group *gr, const struct group_consumer_heartbeat *in,
			      struct str id, int16_t *ret_code, bool *ret_fresh)
{
	struct member *m = group__member(gr, id);
	struct member *holder = in->instance_id.p ? map_get(gr->instances, in->instance_id) : NULL;

	if (holder && holder != m) {
		if (m || holder->epoch != -2) {
			*ret_code = COORD_UNRELEASED_INSTANCE_ID;
			return NULL;
		}
		group__member_rename(g, holder, id);
		m = holder;
	} else if (m && m->instance_id.p && !in->instance_id.p) {
		*ret_code = COORD_INVALID_REQUEST;
		return NULL;
	}
	if (m) {
		if (m->epoch == -2) { /* reconciles from what it had; an epoch of 0 makes it receive all of it */
			m->epoch = m->previous_epoch = 0;
			m->state = MEMBER_STABLE;
			group__touch_member(g, m);
		}
		return m;
	}
	if (map_count(gr->members) >= (size_t)g->cfg.members_max) {
		*ret_code = COORD_GROUP_MAX_SIZE_REACHED;
		return NULL;
	}
	*ret_fresh = true;
	m = group__member_new(g, gr, id, in->instance_id);
	group__touch_member(g, m);
	return m;
}

static bool owned_within(const struct group_consumer_heartbeat *in, const struct part_set *s)
{
	for (size_t i = 0; in->owned && i < in->n_owned; i++)
		if (!group__parts_have(s, &in->owned[i]))
			return false;
	return in->owned;
}

static struct member *staying(struct group *gr, const struct group_consumer_heartbeat *in, int16_t *ret_code)
{
	struct member *m = group__checked_member(gr, in->member_id, in->instance_id, ret_code);

	if (!m)
		return NULL;
	/* An older epoch is that of an answer that got lost, if the member has no more than it was given. */
	if (in->epoch > m->epoch ||
	    (in->epoch < m->epoch && (in->epoch != m->previous_epoch || !owned_within(in, &m->assigned)))) {
		*ret_code = COORD_FENCED_MEMBER_EPOCH;
		return NULL;
	}
	return m;
}

static size_t subscription_bytes(const struct group_consumer_heartbeat *in)
{
	size_t n = 1000;

	for (size_t i = 0; in->topics && i < in->n_topics; i++)
		n += in->topics[i].n + sizeof(struct str);
	return n;
}

static int16_t check(const struct group_coord *g, const struct group_consumer_heartbeat *in, const char **ret_why)
{
	bool joins = in->epoch == 0;

	*ret_why = NULL;
	if (str_empty(in->group_id))
		*ret_why = "GroupId can't be empty.";
	else if ((in->instance_id.p && !in->instance_id.n) || (in->rack_id.p && !in->rack_id.n))
		*ret_why = "InstanceId and RackId can't be empty.";
	else if (in->member_id.n > ID_MAX || in->instance_id.n > ID_MAX || in->n_topics > TOPICS_MAX)
		*ret_why = "The request is too large.";
	else if (in->epoch < -2 || (in->epoch == -2 && !in->instance_id.p))
		*ret_why = "MemberEpoch is invalid.";
	else if (!joins && str_empty(in->member_id))
		*ret_why = "MemberId can't be empty.";
	else if (joins && in->rebalance_timeout_ms < 0)
		*ret_why = "RebalanceTimeoutMs must be provided in first request.";
	else if (joins && (!in->owned || in->n_owned > 0))
		*ret_why = "TopicPartitions must be empty when (re-)joining.";
	else if (joins && (!in->topics || !in->n_topics) && str_empty(in->regex))
		*ret_why = "SubscribedTopicNames or SubscribedTopicRegex must be set in first request.";
	if (*ret_why)
		return COORD_INVALID_REQUEST;
	if (in->epoch < 0)
		return COORD_OK;
	if (in->assignor.p && !str_is(in->assignor, "uniform") && !str_is(in->assignor, "range")) {
		*ret_why = "ServerAssignor is not supported. Supported assignors: uniform, range.";
		return COORD_UNSUPPORTED_ASSIGNOR;
	}
	if (in->regex.n && !group__regex_check(in->regex)) {
		*ret_why = "SubscribedTopicRegex is not a valid regular expression.";
		return COORD_INVALID_REGULAR_EXPRESSION;
	}
	return group__fits(g, subscription_bytes(in)) ? COORD_OK : COORD_GROUP_MAX_SIZE_REACHED;
}

/* The group of the request, made or changed from an empty classic one when somebody joins. */
static struct group *group_for(struct group_coord *g, const struct group_consumer_heartbeat *in, int16_t *ret_code,
			       int64_t now_ms)
{
	struct group *gr = group__find(g, in->group_id);

	*ret_code = COORD_OK;
	if (gr && gr->deleting)
		*ret_code = COORD_LOAD_IN_PROGRESS;
	else if (!gr && in->epoch)
		*ret_code = COORD_GROUP_ID_NOT_FOUND;
	else if (!gr && !(gr = group__make(g, in->group_id, GROUP_CONSUMER, now_ms)))
		*ret_code = COORD_GROUP_MAX_SIZE_REACHED;
	else if (gr->type == GROUP_SHARE)
		*ret_code = COORD_GROUP_ID_NOT_FOUND;
	else if (gr->type == GROUP_CLASSIC && (in->epoch || map_count(gr->members) || map_count(gr->pending)))
		*ret_code = COORD_GROUP_ID_NOT_FOUND;
	if (*ret_code)
		return NULL;
	if (gr->type == GROUP_CLASSIC) {
		gr->type = GROUP_CONSUMER;
		gr->target_epoch = gr->generation;
	}
	group__set_str(&gr->protocol_type, STR("consumer"));
	gr->state = GROUP_EMPTY; /* of no meaning for consumer groups */
	return gr;
}

static void beat(struct group_coord *g, const struct group_consumer_heartbeat *in, uint64_t token, int64_t now_ms)
{
	char made[64];
	struct str id = in->member_id;
	int16_t code;
	bool fresh = false;
	struct group *gr = group_for(g, in, &code, now_ms);
	struct member *m = NULL;

	if (gr && str_empty(id)) { /* version 0 lets the broker choose */
		group__new_id(STR(""), made, sizeof(made));
		id = str_of(made);
	}
	if (gr)
		m = in->epoch ? staying(gr, in, &code) : joining(g, gr, in, id, &code, &fresh);
	if (!m) {
		group__consumer_refuse(g, in, token, code, NULL);
		return;
	}
	coord_timer_set(&g->timers, &m->session, now_ms + group__session_of(g, m->group));
	if (group__consumer_update(g, m, in) || fresh)
		group__new_epoch(g, gr);
	bool changed = reconcile(g, m, in, now_ms);
	/* All of it when it changed, at a join, when the member states all of its own, or is behind. */
	bool full = changed || in->epoch == 0 || in->epoch != m->epoch ||
		    (in->owned && (in->topics || in->regex.p));

	group__consumer_respond(g, gr, m->id, m->epoch, full ? &m->assigned : NULL, token, now_ms);
}

void group_consumer_heartbeat(struct group_coord *g, const struct group_consumer_heartbeat *in, uint64_t token,
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
