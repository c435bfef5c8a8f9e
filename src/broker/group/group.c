/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/group/group_priv.h"

#include "base/mem.h"
#include "base/rnd.h"

#include <stddef.h>
#include <stdio.h>

#define OWNER(t, type, field) ((type *)(void *)((char *)(t)-offsetof(type, field)))

enum { GROUP_BYTES = 600, MEMBER_BYTES = 600 };

static void defaults(struct group_config *c)
{
	c->session_min_ms = c->session_min_ms ? c->session_min_ms : 6000;
	c->session_max_ms = c->session_max_ms ? c->session_max_ms : 1800000;
	c->initial_delay_ms = c->initial_delay_ms ? c->initial_delay_ms : 3000;
	c->consumer_session_ms = c->consumer_session_ms ? c->consumer_session_ms : 45000;
	c->consumer_interval_ms = c->consumer_interval_ms ? c->consumer_interval_ms : 5000;
	c->share_session_ms = c->share_session_ms ? c->share_session_ms : 45000;
	c->share_interval_ms = c->share_interval_ms ? c->share_interval_ms : 5000;
	c->share_members_max = c->share_members_max ? c->share_members_max : 200;
	c->members_max = c->members_max ? c->members_max : 500;
	c->groups_max = c->groups_max ? c->groups_max : 10000;
	c->bytes_max = c->bytes_max ? c->bytes_max : (size_t)256 << 20;
	c->protocols_max = c->protocols_max ? c->protocols_max : 32;
	c->protocols_max = c->protocols_max < GROUP_PROTOCOLS_MAX ? c->protocols_max : GROUP_PROTOCOLS_MAX;
	c->member_metadata_max = c->member_metadata_max ? c->member_metadata_max : (size_t)1 << 20;
	c->offset_metadata_max = c->offset_metadata_max ? c->offset_metadata_max : 4096;
	c->offsets_max = c->offsets_max ? c->offsets_max : 100000;
	c->offsets_retention_ms = c->offsets_retention_ms ? c->offsets_retention_ms : 7LL * 86400 * 1000;
	c->offsets_check_ms = c->offsets_check_ms ? c->offsets_check_ms : 600000;
	c->batch_bytes = c->batch_bytes ? c->batch_bytes : (size_t)1 << 20;
	c->retry_ms = c->retry_ms ? c->retry_ms : 100;
}

struct group_coord *group_coord_new(const struct group_env *env, const struct group_config *cfg)
{
	struct group_coord *g = mem_zalloc(sizeof(*g));

	g->env = *env;
	g->cfg = *cfg;
	defaults(&g->cfg);
	g->groups = map_new();
	g->queue_end = &g->queue;
	g->retry.kind = TIMER_RETRY;
	g->expiry.kind = TIMER_EXPIRY;
	return g;
}

static void free_waiters(struct group_coord *g, struct waiter *w)
{
	while (w) {
		struct waiter *next = w->next;

		group__waiter_free(g, w);
		w = next;
	}
}

void group_coord_free(struct group_coord *g)
{
	struct str key;
	void *v;

	if (!g)
		return;
	for (size_t at = 0; map_next(g->groups, &at, &key, &v);)
		group__drop(g, v);
	free_waiters(g, g->queue);
	free_waiters(g, g->sent);
	map_free(g->groups);
	coord_timers_done(&g->timers);
	free(g->dirty);
	free(g->flying);
	free(g);
}

void group_coord_stats(const struct group_coord *g, struct group_stats *ret_stats)
{
	*ret_stats = g->stats;
	ret_stats->groups = map_count(g->groups);
}

bool group__fits(const struct group_coord *g, size_t more)
{
	return more <= g->cfg.bytes_max && g->stats.bytes <= g->cfg.bytes_max - more;
}

void group__set_str(struct str *dst, struct str src)
{
	struct str copy = coord_own(src);

	coord_disown(dst);
	*dst = copy;
}

struct group *group__find(struct group_coord *g, struct str id)
{
	return map_get(g->groups, id);
}

struct group *group__make(struct group_coord *g, struct str id, enum group_type type, int64_t now_ms)
{
	if (map_count(g->groups) >= (size_t)g->cfg.groups_max || !group__fits(g, GROUP_BYTES + id.n))
		return NULL;
	struct group *gr = mem_zalloc(sizeof(*gr));

	gr->id = coord_own(id);
	gr->type = type;
	gr->state_ms = now_ms;
	gr->members = map_new();
	gr->instances = map_new();
	gr->pending = map_new();
	gr->offsets = map_new();
	gr->timer.kind = TIMER_GROUP;
	gr->initial_left = -1;
	g->stats.bytes += GROUP_BYTES + id.n;
	map_put(g->groups, gr->id, gr);
	return gr;
}

void group__drop(struct group_coord *g, struct group *gr)
{
	struct str key;
	void *v;

	group__saved_forget(g, gr);
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);)
		group__member_free(g, v);
	for (size_t at = 0; map_next(gr->pending, &at, &key, &v);)
		group__pending_drop(g, v);
	while (gr->txn)
		group__txn_offset_drop(g, gr, &gr->txn);
	for (size_t at = 0; map_next(gr->offsets, &at, &key, &v);)
		group__offset_drop(g, gr, v);
	map_free(gr->members);
	map_free(gr->instances);
	map_free(gr->pending);
	map_free(gr->offsets);
	coord_timer_stop(&g->timers, &gr->timer);
	for (size_t i = 0; i < gr->n_gone; i++)
		coord_disown(&gr->gone[i]);
	free(gr->gone);
	g->stats.bytes -= GROUP_BYTES + gr->id.n;
	map_del(g->groups, gr->id);
	coord_disown(&gr->protocol_type);
	coord_disown(&gr->protocol_name);
	coord_disown(&gr->leader);
	coord_disown(&gr->assignor);
	coord_disown(&gr->id);
	free(gr);
}

/* ---- Members ---- */

struct member *group__member(struct group *gr, struct str id)
{
	return map_get(gr->members, id);
}

/* Brings the account of memory up to date after a member's strings or sets changed. */
void group__member_count(struct group_coord *g, struct member *m)
{
	size_t n = MEMBER_BYTES + m->id.n + m->instance_id.n + m->client_id.n + m->host.n + m->assignment.n +
		   m->rack_id.n + m->regex.n + m->assignor.n + m->principal.n;

	for (size_t i = 0; i < m->n_protocols; i++)
		n += sizeof(*m->protocols) + m->protocols[i].name.n + m->protocols[i].metadata.n;
	for (size_t i = 0; i < m->n_topics; i++)
		n += sizeof(*m->topics) + m->topics[i].n;
	for (size_t i = 0; i < m->n_matched; i++)
		n += sizeof(*m->matched) + m->matched[i].n;
	n += (m->assigned.n + m->revoking.n + m->target.n) * sizeof(struct group_partition);
	g->stats.bytes += n - m->bytes;
	m->bytes = n;
}

struct member *group__member_new(struct group_coord *g, struct group *gr, struct str id, struct str instance_id)
{
	struct member *m = mem_zalloc(sizeof(*m));

	m->group = gr;
	m->id = coord_own(id);
	m->instance_id = coord_own(instance_id);
	m->session.kind = TIMER_SESSION;
	m->revoke.kind = TIMER_REVOKE;
	map_put(gr->members, m->id, m);
	if (m->instance_id.p)
		map_put(gr->instances, m->instance_id, m);
	g->stats.members++;
	group__member_count(g, m);
	return m;
}

void group__member_free(struct group_coord *g, struct member *m)
{
	if (m->group) {
		map_del(m->group->members, m->id);
		if (m->instance_id.p && map_get(m->group->instances, m->instance_id) == m)
			map_del(m->group->instances, m->instance_id);
		g->stats.members--;
	}
	g->stats.bytes -= m->bytes;
	coord_timer_stop(&g->timers, &m->session);
	coord_timer_stop(&g->timers, &m->revoke);
	for (size_t i = 0; i < m->n_protocols; i++) {
		coord_disown(&m->protocols[i].name);
		coord_disown(&m->protocols[i].metadata);
	}
	free(m->protocols);
	for (size_t i = 0; i < m->n_topics; i++)
		coord_disown(&m->topics[i]);
	free(m->topics);
	for (size_t i = 0; i < m->n_matched; i++)
		coord_disown(&m->matched[i]);
	free(m->matched);
	struct str *strings[] = {&m->id, &m->instance_id, &m->client_id, &m->host, &m->assignment, &m->rack_id,
	                         &m->regex, &m->assignor, &m->principal};

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		coord_disown(strings[i]);
	group__parts_free(&m->assigned);
	group__parts_free(&m->revoking);
	group__parts_free(&m->target);
	free(m);
}

void group__member_drop(struct group_coord *g, struct member *m, int16_t code)
{
	struct group *gr = m->group;

	group__answer_wait(g, &m->join, GROUP_JOIN, code);
	group__answer_wait(g, &m->sync, GROUP_SYNC, code);
	group__gone(g, gr, m->id);
	if (gr->type == GROUP_SHARE && g->env.share_left)
		g->env.share_left(g->env.arg, gr->id, m->id);
	group__member_free(g, m);
}

void group__member_rename(struct group_coord *g, struct member *m, struct str id)
{
	struct group *gr = m->group;

	group__gone(g, gr, m->id);
	map_del(gr->members, m->id);
	if (str_eq(gr->leader, m->id)) {
		group__set_str(&gr->leader, id);
		group__touch(g, gr);
	}
	group__set_str(&m->id, id);
	map_put(gr->members, m->id, m);
	group__member_count(g, m);
	group__touch_member(g, m);
}

struct member *group__checked_member(struct group *gr, struct str id, struct str instance_id, int16_t *ret_code)
{
	struct member *m = group__member(gr, id);

	*ret_code = COORD_OK;
	if (instance_id.p) {
		struct member *holder = map_get(gr->instances, instance_id);

		if (!holder)
			*ret_code = COORD_UNKNOWN_MEMBER_ID;
		else if (holder != m)
			*ret_code = COORD_FENCED_INSTANCE_ID;
	} else if (!m) {
		*ret_code = COORD_UNKNOWN_MEMBER_ID;
	}
	return *ret_code ? NULL : m;
}

void group__new_id(struct str prefix, char *ret, size_t cap)
{
	uint8_t r[16];
	size_t n = prefix.n < 200 ? prefix.n : 200;
	char hex[40];

	rnd_bytes(r, sizeof(r));
	r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
	r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
	for (size_t i = 0, o = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			hex[o++] = '-';
		hex[o++] = "0123456789abcdef"[r[i] >> 4];
		hex[o++] = "0123456789abcdef"[r[i] & 15];
		hex[o] = '\0';
	}
	snprintf(ret, cap, "%.*s%s%s", (int)n, prefix.p ? prefix.p : "", n ? "-" : "", hex);
}

void group__set_state(struct group *gr, enum group_state state, int64_t now_ms)
{
	if (gr->state != state)
		gr->state_ms = now_ms;
	gr->state = state;
}

static const char *consumer_state(const struct group *gr)
{
	struct str key;
	void *v;

	if (!map_count(gr->members))
		return "Empty";
	if (gr->target_epoch < gr->generation)
		return "Assigning";
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		const struct member *m = v;

		if (m->epoch != -2 && (m->state != MEMBER_STABLE || m->epoch != gr->target_epoch))
			return "Reconciling";
	}
	return "Stable";
}

const char *group__state_name(const struct group *gr)
{
	static const char *const names[] = {
		[GROUP_EMPTY] = "Empty",
		[GROUP_PREPARING] = "PreparingRebalance",
		[GROUP_COMPLETING] = "CompletingRebalance",
		[GROUP_STABLE] = "Stable",
	};

	if (gr->type == GROUP_SHARE)
		return map_count(gr->members) ? "Stable" : "Empty";
	return gr->type == GROUP_CONSUMER ? consumer_state(gr) : names[gr->state];
}

/* ---- Time ---- */

void group_loaded(struct group_coord *g, int64_t now_ms)
{
	struct str key;
	void *v;

	g->loaded = true;
	g->now_ms = now_ms;
	for (size_t at = 0; map_next(g->groups, &at, &key, &v);) {
		struct group *gr = v;

		if (gr->type != GROUP_CLASSIC)
			group__consumer_loaded(g, gr, now_ms);
		else
			group__classic_loaded(g, gr, now_ms);
	}
	coord_timer_set(&g->timers, &g->expiry, now_ms + g->cfg.offsets_check_ms);
	group__pump(g);
}

int64_t group_deadline(const struct group_coord *g)
{
	return coord_timers_next(&g->timers);
}

static void session_expired(struct group_coord *g, struct member *m, int64_t now_ms)
{
	struct group *gr = m->group;

	g->stats.expired_members++;
	group__member_drop(g, m, COORD_UNKNOWN_MEMBER_ID);
	if (gr->type != GROUP_CLASSIC)
		group__consumer_left(g, gr, now_ms);
	else
		group__classic_left(g, gr, now_ms);
}

static void pending_expired(struct group_coord *g, struct pending_member *p, int64_t now_ms)
{
	struct group *gr = p->group;

	group__pending_drop(g, p);
	/* A rebalance may have waited for it; without one nobody is concerned. */
	if (gr->type == GROUP_CLASSIC && gr->state == GROUP_PREPARING)
		group__classic_left(g, gr, now_ms);
	/* A group that nobody ever entered was never stored. */
	if (gr->state == GROUP_EMPTY && !gr->generation && !gr->listed && !gr->deleting && !gr->txn &&
	    !map_count(gr->pending) && !map_count(gr->members) && !map_count(gr->offsets))
		group__drop(g, gr);
}

static void look_for_expired(struct group_coord *g, int64_t now_ms)
{
	coord_timer_set(&g->timers, &g->expiry, now_ms + g->cfg.offsets_check_ms);
	if (g->expiring)
		return;
	struct waiter *w = group__waiter(g, GROUP_OFFSET_DELETE, 0, now_ms);

	w->silent = true;
	g->expiring = true;
	group__enqueue(g, w);
}

static void fire(struct group_coord *g, struct coord_timer *t, int64_t now_ms)
{
	switch ((enum timer_kind)t->kind) {
	case TIMER_SESSION:
		session_expired(g, OWNER(t, struct member, session), now_ms);
		break;
	case TIMER_REVOKE:
		group__consumer_revoke_timeout(g, OWNER(t, struct member, revoke), now_ms);
		break;
	case TIMER_GROUP:
		group__classic_timeout(g, OWNER(t, struct group, timer), now_ms);
		break;
	case TIMER_PENDING:
		pending_expired(g, OWNER(t, struct pending_member, timer), now_ms);
		break;
	case TIMER_EXPIRY:
		look_for_expired(g, now_ms);
		break;
	case TIMER_RETRY:
		break; /* the pump runs below */
	}
}

void group_tick(struct group_coord *g, int64_t now_ms)
{
	struct coord_timer *t;

	g->now_ms = now_ms;
	while ((t = coord_timers_due(&g->timers, now_ms)))
		fire(g, t, now_ms);
	group__pump(g);
}

/* ---- Looking ---- */

static bool named(const char *name, const struct str *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq_nocase(str_of(name), v[i]))
			return true;
	return n == 0;
}

static int listed_cmp(const void *a, const void *b)
{
	const struct group_listed *x = a, *y = b;

	return str_cmp(x->group_id, y->group_id);
}

size_t group_list(struct group_coord *g, const struct str *states, size_t n_states, const struct str *types,
		  size_t n_types, struct arena *a, const struct group_listed **ret)
{
	struct group_listed *v = ARENA_ARRAY(a, struct group_listed, map_count(g->groups) + 1);
	size_t n = 0;
	struct str key;
	void *p;

	for (size_t at = 0; map_next(g->groups, &at, &key, &p);) {
		const struct group *gr = p;
		static const char *const types_of[] = {"classic", "consumer", "share"};
		const char *state = group__state_name(gr), *type = types_of[gr->type];

		if (!named(state, states, n_states) || !named(type, types, n_types))
			continue;
		v[n].group_id = arena_str(a, gr->id);
		v[n].protocol_type = gr->protocol_type.p ? arena_str(a, gr->protocol_type) : STR("");
		v[n].state = str_of(state);
		v[n].type = str_of(type);
		n++;
	}
	qsort(v, n, sizeof(*v), listed_cmp);
	*ret = v;
	return n;
}

static struct str protocol_metadata(const struct member *m, struct str name)
{
	for (size_t i = 0; i < m->n_protocols; i++)
		if (str_eq(m->protocols[i].name, name))
			return m->protocols[i].metadata;
	return STR("");
}

static const struct group_partition *copy_set(struct arena *a, const struct part_set *s)
{
	struct group_partition *v = ARENA_ARRAY(a, struct group_partition, s->n + 1);

	if (s->n)
		memcpy(v, s->v, s->n * sizeof(*v));
	return v;
}

static void describe_member(const struct member *m, struct arena *a, struct group_described_member *d)
{
	const struct group *gr = m->group;
	struct str *topics = ARENA_ARRAY(a, struct str, m->n_topics + 1);

	d->member_id = arena_str(a, m->id);
	d->instance_id = arena_str(a, m->instance_id);
	d->client_id = arena_str(a, m->client_id);
	d->host = arena_str(a, m->host);
	d->metadata = d->assignment = STR("");
	if (gr->type == GROUP_CLASSIC && gr->state == GROUP_STABLE) {
		d->metadata = arena_str(a, protocol_metadata(m, gr->protocol_name));
		if (m->assignment.p)
			d->assignment = arena_str(a, m->assignment);
	}
	d->rack_id = arena_str(a, m->rack_id);
	d->regex = arena_str(a, m->regex);
	d->epoch = m->epoch;
	for (size_t i = 0; i < m->n_topics; i++)
		topics[i] = arena_str(a, m->topics[i]);
	d->topics = topics;
	d->n_topics = m->n_topics;
	d->assigned = copy_set(a, &m->assigned);
	d->n_assigned = m->assigned.n;
	d->target = copy_set(a, &m->target);
	d->n_target = m->target.n;
}

static int described_cmp(const void *a, const void *b)
{
	const struct group_described_member *x = a, *y = b;

	return str_cmp(x->member_id, y->member_id);
}

static void describe(struct group *gr, struct arena *a, struct group_described *ret)
{
	size_t n = map_count(gr->members), i = 0;
	struct group_described_member *v = ARENA_ARRAY(a, struct group_described_member, n + 1);
	struct str key;
	void *p;

	for (size_t at = 0; map_next(gr->members, &at, &key, &p);)
		describe_member(p, a, &v[i++]);
	qsort(v, n, sizeof(*v), described_cmp);
	ret->code = COORD_OK;
	ret->state = str_of(group__state_name(gr));
	ret->protocol_type = gr->protocol_type.p ? arena_str(a, gr->protocol_type) : STR("");
	ret->protocol_name = gr->state == GROUP_STABLE && gr->protocol_name.p ? arena_str(a, gr->protocol_name) :
				     STR("");
	ret->assignor = gr->assignor.p ? arena_str(a, gr->assignor) : STR("");
	ret->epoch = gr->generation;
	ret->assignment_epoch = gr->target_epoch;
	ret->members = v;
	ret->n = n;
}

void group_describe(struct group_coord *g, struct str group_id, struct arena *a, struct group_described *ret)
{
	struct group *gr = group__find(g, group_id);

	*ret = (struct group_described){.code = COORD_GROUP_ID_NOT_FOUND, .state = STR("Dead"),
	                                .protocol_type = STR(""), .protocol_name = STR(""), .assignor = STR("")};
	if (gr && gr->type != GROUP_SHARE)
		describe(gr, a, ret);
}

void group__describe(struct group_coord *g, struct str group_id, enum group_type type, struct arena *a,
		     struct group_described *ret)
{
	struct group *gr = group__find(g, group_id);

	*ret = (struct group_described){.code = COORD_GROUP_ID_NOT_FOUND, .state = STR("Dead"),
	                                .protocol_type = STR(""), .protocol_name = STR(""), .assignor = STR("")};
	if (gr && gr->type == type)
		describe(gr, a, ret);
}

void group_consumer_describe(struct group_coord *g, struct str group_id, struct arena *a,
			     struct group_described *ret)
{
	group__describe(g, group_id, GROUP_CONSUMER, a, ret);
}
