/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/group/group_priv.h"

#include "base/mem.h"

/* Keys:    u8 1, u8 kind, then
 *   'G' group              group
 *   'M' group member       member
 *   'O' group topic i32    committed offset
 *   'T' group i64 topic i32   pending offset of a producer's transaction
 * Values:  u8 1, then the fields in the order of the functions below. */

enum { LAYOUT = 1, SET_MAX = 1 << 20 };

static void begin(struct batch *b, char kind, struct str group_id)
{
	if (!b->bytes.max)
		buf_init(&b->bytes, SIZE_MAX / 2);
	if (b->n == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 16;
		b->v = mem_realloc(b->v, b->cap * sizeof(*b->v));
	}
	b->v[b->n].key = b->bytes.n;
	b->v[b->n].has_value = false;
	b->v[b->n].value = b->v[b->n].value_n = 0;
	buf_u8(&b->bytes, LAYOUT);
	buf_char(&b->bytes, kind);
	coord_put_str(&b->bytes, group_id);
}

static void begin_value(struct batch *b)
{
	b->v[b->n].key_n = b->bytes.n - b->v[b->n].key;
	b->v[b->n].value = b->bytes.n;
	b->v[b->n].has_value = true;
	buf_u8(&b->bytes, LAYOUT);
}

static void end(struct batch *b)
{
	if (b->v[b->n].has_value)
		b->v[b->n].value_n = b->bytes.n - b->v[b->n].value;
	else
		b->v[b->n].key_n = b->bytes.n - b->v[b->n].key;
	b->n++;
}

struct coord_record group__batch_at(const struct batch *b, size_t i)
{
	struct coord_record rec = {{b->bytes.p + b->v[i].key, b->v[i].key_n}, STR_NONE};

	if (b->v[i].has_value)
		rec.value = (struct str){b->bytes.p + b->v[i].value, b->v[i].value_n};
	return rec;
}

void group__batch_done(struct batch *b)
{
	if (b->bytes.max)
		buf_done(&b->bytes);
	free(b->v);
	*b = (struct batch){0};
}

void group__put_group(struct batch *b, const struct group *gr)
{
	struct buf *o = &b->bytes;

	begin(b, 'G', gr->id);
	begin_value(b);
	buf_u8(o, (uint8_t)gr->type);
	buf_u8(o, (uint8_t)gr->state);
	buf_u32(o, (uint32_t)gr->generation);
	buf_u32(o, (uint32_t)gr->target_epoch);
	buf_u64(o, (uint64_t)gr->state_ms);
	coord_put_str(o, gr->protocol_type);
	coord_put_str(o, gr->protocol_name);
	coord_put_str(o, gr->leader);
	coord_put_str(o, gr->assignor);
	end(b);
}

static void put_set(struct buf *o, const struct part_set *s)
{
	buf_u32(o, (uint32_t)s->n);
	for (size_t i = 0; i < s->n; i++) {
		buf_add(o, s->v[i].topic.b, 16);
		buf_u32(o, (uint32_t)s->v[i].partition);
	}
}

void group__put_member(struct batch *b, const struct member *m)
{
	struct buf *o = &b->bytes;

	begin(b, 'M', m->group->id);
	coord_put_str(o, m->id);
	begin_value(b);
	coord_put_str(o, m->instance_id);
	coord_put_str(o, m->client_id);
	coord_put_str(o, m->host);
	buf_u32(o, (uint32_t)m->rebalance_ms);
	buf_u32(o, (uint32_t)m->session_ms);
	buf_u32(o, (uint32_t)m->n_protocols);
	for (size_t i = 0; i < m->n_protocols; i++) {
		coord_put_str(o, m->protocols[i].name);
		coord_put_str(o, m->protocols[i].metadata);
	}
	coord_put_str(o, m->assignment);
	coord_put_str(o, m->rack_id);
	coord_put_str(o, m->regex);
	coord_put_str(o, m->assignor);
	coord_put_str(o, m->principal);
	buf_u32(o, (uint32_t)m->n_topics);
	for (size_t i = 0; i < m->n_topics; i++)
		coord_put_str(o, m->topics[i]);
	buf_u32(o, (uint32_t)m->epoch);
	buf_u32(o, (uint32_t)m->previous_epoch);
	buf_u8(o, (uint8_t)m->state);
	put_set(o, &m->assigned);
	put_set(o, &m->revoking);
	put_set(o, &m->target);
	end(b);
}

static void offset_key(struct batch *b, struct str group_id, struct str topic, int32_t partition)
{
	begin(b, 'O', group_id);
	coord_put_str(&b->bytes, topic);
	buf_u32(&b->bytes, (uint32_t)partition);
}

void group__put_offset(struct batch *b, struct str group_id, const struct offset *of)
{
	struct buf *o = &b->bytes;

	offset_key(b, group_id, of->topic, of->partition);
	begin_value(b);
	buf_u64(o, (uint64_t)of->offset);
	buf_u32(o, (uint32_t)of->leader_epoch);
	coord_put_str(o, of->metadata);
	buf_u64(o, (uint64_t)of->commit_ms);
	buf_u64(o, (uint64_t)of->expire_ms);
	end(b);
}

static void txn_key(struct batch *b, struct str group_id, const struct txn_offset *of)
{
	begin(b, 'T', group_id);
	buf_u64(&b->bytes, (uint64_t)of->producer_id);
	coord_put_str(&b->bytes, of->topic);
	buf_u32(&b->bytes, (uint32_t)of->partition);
}

void group__put_txn_offset(struct batch *b, struct str group_id, const struct txn_offset *of)
{
	struct buf *o = &b->bytes;

	txn_key(b, group_id, of);
	begin_value(b);
	buf_u64(o, (uint64_t)of->offset);
	buf_u32(o, (uint32_t)of->leader_epoch);
	coord_put_str(o, of->metadata);
	buf_u64(o, (uint64_t)of->commit_ms);
	end(b);
}

void group__del_group(struct batch *b, struct str group_id)
{
	begin(b, 'G', group_id);
	end(b);
}

void group__del_member(struct batch *b, struct str group_id, struct str member_id)
{
	begin(b, 'M', group_id);
	coord_put_str(&b->bytes, member_id);
	end(b);
}

void group__del_offset(struct batch *b, struct str group_id, struct str topic, int32_t partition)
{
	offset_key(b, group_id, topic, partition);
	end(b);
}

void group__del_txn_offset(struct batch *b, struct str group_id, const struct txn_offset *of)
{
	txn_key(b, group_id, of);
	end(b);
}

/* ---- Reading ---- */

static struct group *group_of(struct group_coord *g, struct str id)
{
	struct group *gr = group__find(g, id);

	return gr ? gr : group__make(g, id, GROUP_CLASSIC, 0);
}

static int replay_group(struct group_coord *g, struct str id, struct str value)
{
	struct cursor c = cursor_of(value);

	if (!value.p) {
		struct group *gone = group__find(g, id);

		if (gone)
			group__drop(g, gone);
		return 0;
	}
	bool known = cursor_u8(&c) == LAYOUT;
	uint8_t type = cursor_u8(&c), state = cursor_u8(&c);
	int32_t generation = (int32_t)cursor_u32(&c), target = (int32_t)cursor_u32(&c);
	int64_t state_ms = (int64_t)cursor_u64(&c);
	struct str protocol_type = cursor_str(&c), name = cursor_str(&c), leader = cursor_str(&c);
	struct str assignor = cursor_str(&c);

	if (c.failed || !known || type > GROUP_SHARE || state > GROUP_STABLE || cursor_left(&c))
		return -1;
	struct group *gr = group_of(g, id);

	if (!gr)
		return -1;
	gr->type = (enum group_type)type;
	gr->state = (enum group_state)state;
	gr->generation = generation;
	gr->target_epoch = target;
	gr->state_ms = state_ms;
	group__set_str(&gr->protocol_type, protocol_type);
	group__set_str(&gr->protocol_name, name);
	group__set_str(&gr->leader, leader);
	group__set_str(&gr->assignor, assignor);
	return 0;
}

static void read_set(struct cursor *c, struct part_set *s)
{
	uint32_t n = cursor_u32(c);

	if (c->failed || n > SET_MAX || (size_t)n * 20 > cursor_left(c)) {
		c->failed = true;
		return;
	}
	s->v = n ? mem_alloc(n * sizeof(*s->v)) : NULL;
	s->n = n;
	for (uint32_t i = 0; i < n; i++) {
		struct str id = cursor_bytes(c, 16);

		memcpy(s->v[i].topic.b, id.p, 16);
		s->v[i].partition = (int32_t)cursor_u32(c);
	}
	group__parts_sort(s);
}

static void read_protocols(struct cursor *c, struct member *m)
{
	uint32_t n = cursor_u32(c);

	if (c->failed || (size_t)n * 8 > cursor_left(c)) {
		c->failed = true;
		return;
	}
	m->protocols = n ? mem_zalloc(n * sizeof(*m->protocols)) : NULL;
	for (; m->n_protocols < n; m->n_protocols++) {
		m->protocols[m->n_protocols].name = coord_own(cursor_str(c));
		m->protocols[m->n_protocols].metadata = coord_own(cursor_str(c));
	}
}

static void read_topics(struct cursor *c, struct member *m)
{
	uint32_t n = cursor_u32(c);

	if (c->failed || (size_t)n * 4 > cursor_left(c)) {
		c->failed = true;
		return;
	}
	m->topics = n ? mem_zalloc(n * sizeof(*m->topics)) : NULL;
	for (; m->n_topics < n; m->n_topics++)
		m->topics[m->n_topics] = coord_own(cursor_str(c));
}

static bool read_member(struct cursor *c, struct member *m)
{
	bool known = cursor_u8(c) == LAYOUT;

	m->instance_id = coord_own(cursor_str(c));
	m->client_id = coord_own(cursor_str(c));
	m->host = coord_own(cursor_str(c));
	m->rebalance_ms = (int32_t)cursor_u32(c);
	m->session_ms = (int32_t)cursor_u32(c);
	read_protocols(c, m);
	m->assignment = coord_own(cursor_str(c));
	m->rack_id = coord_own(cursor_str(c));
	m->regex = coord_own(cursor_str(c));
	m->assignor = coord_own(cursor_str(c));
	m->principal = coord_own(cursor_str(c));
	read_topics(c, m);
	m->epoch = (int32_t)cursor_u32(c);
	m->previous_epoch = (int32_t)cursor_u32(c);
	uint8_t state = cursor_u8(c);

	m->state = (enum member_state)state;
	read_set(c, &m->assigned);
	read_set(c, &m->revoking);
	read_set(c, &m->target);
	return !c->failed && known && state <= MEMBER_UNRELEASED && !cursor_left(c) && m->rebalance_ms >= 0 &&
	       m->session_ms >= 0;
}

static int replay_member(struct group_coord *g, struct str group_id, struct str id, struct str value)
{
	struct group *gr = group__find(g, group_id);
	struct member *old = gr ? group__member(gr, id) : NULL;

	if (!value.p) {
		if (old)
			group__member_free(g, old);
		return 0;
	}
	struct cursor c = cursor_of(value);
	struct member *m = mem_zalloc(sizeof(*m));

	if (!read_member(&c, m) || (!gr && !(gr = group_of(g, group_id)))) {
		group__member_free(g, m);
		return -1;
	}
	if (old)
		group__member_free(g, old);
	m->group = gr;
	m->id = coord_own(id);
	m->session.kind = TIMER_SESSION;
	m->revoke.kind = TIMER_REVOKE;
	map_put(gr->members, m->id, m);
	if (m->instance_id.p)
		map_put(gr->instances, m->instance_id, m);
	g->stats.members++;
	group__member_count(g, m);
	return 0;
}

static int replay_offset(struct group_coord *g, struct str group_id, struct str topic, int32_t partition,
			 struct str value)
{
	struct group *gr = group__find(g, group_id);

	if (!value.p) {
		struct offset *o = gr ? group__offset_find(gr, topic, partition) : NULL;

		if (o)
			group__offset_drop(g, gr, o);
		return 0;
	}
	struct cursor c = cursor_of(value);
	bool known = cursor_u8(&c) == LAYOUT;
	struct group_offset in = {.topic = topic, .partition = partition};

	in.offset = (int64_t)cursor_u64(&c);
	in.leader_epoch = (int32_t)cursor_u32(&c);
	in.metadata = cursor_str(&c);
	int64_t commit_ms = (int64_t)cursor_u64(&c), expire_ms = (int64_t)cursor_u64(&c);

	if (c.failed || !known || cursor_left(&c) || (!gr && !(gr = group_of(g, group_id))))
		return -1;
	group__offset_apply(g, gr, &in, commit_ms, expire_ms);
	return 0;
}

static int replay_txn(struct group_coord *g, struct str group_id, int64_t pid, struct group_offset *in,
		      struct str value)
{
	struct group *gr = group__find(g, group_id);

	if (!value.p) {
		for (struct txn_offset **at = gr ? &gr->txn : NULL; at && *at;) {
			if ((*at)->producer_id == pid && (*at)->partition == in->partition &&
			    str_eq((*at)->topic, in->topic))
				group__txn_offset_drop(g, gr, at);
			else
				at = &(*at)->next;
		}
		return 0;
	}
	struct cursor c = cursor_of(value);
	bool known = cursor_u8(&c) == LAYOUT;

	in->offset = (int64_t)cursor_u64(&c);
	in->leader_epoch = (int32_t)cursor_u32(&c);
	in->metadata = cursor_str(&c);
	int64_t commit_ms = (int64_t)cursor_u64(&c);

	if (c.failed || !known || cursor_left(&c) || (!gr && !(gr = group_of(g, group_id))))
		return -1;
	group__txn_offset_apply(g, gr, pid, in, commit_ms);
	return 0;
}

int group_replay(struct group_coord *g, struct coord_record rec)
{
	struct cursor c = cursor_of(rec.key);
	uint8_t layout = cursor_u8(&c), kind = cursor_u8(&c);
	struct str group_id = cursor_str(&c), name = STR_NONE;
	int64_t pid = kind == 'T' ? (int64_t)cursor_u64(&c) : 0;
	int32_t partition = 0;

	if (kind != 'G')
		name = cursor_str(&c);
	if (kind == 'O' || kind == 'T')
		partition = (int32_t)cursor_u32(&c);
	if (c.failed || layout != LAYOUT || cursor_left(&c) || !group_id.p || (kind != 'G' && !name.p) ||
	    partition < 0 || g->loaded)
		return -1;
	switch (kind) {
	case 'G':
		return replay_group(g, group_id, rec.value);
	case 'M':
		return replay_member(g, group_id, name, rec.value);
	case 'O':
		return replay_offset(g, group_id, name, partition, rec.value);
	case 'T': {
		struct group_offset in = {.topic = name, .partition = partition};

		return replay_txn(g, group_id, pid, &in, rec.value);
	}
	default:
		return -1;
	}
}

/* ---- Snapshot ---- */

static void flush(struct batch *b, coord_record_f *fn, void *arg)
{
	for (size_t i = 0; i < b->n; i++)
		fn(arg, group__batch_at(b, i));
	b->n = 0;
	buf_reset(&b->bytes);
}

void group_snapshot(struct group_coord *g, coord_record_f *fn, void *arg)
{
	struct batch b = {0};
	struct str key;
	void *gv, *v;

	for (size_t at = 0; map_next(g->groups, &at, &key, &gv);) {
		struct group *gr = gv;

		group__put_group(&b, gr);
		for (size_t i = 0; map_next(gr->members, &i, &key, &v);) {
			group__put_member(&b, v);
			flush(&b, fn, arg);
		}
		for (size_t i = 0; map_next(gr->offsets, &i, &key, &v);) {
			const struct offset *o = v;

			if (o->committed)
				group__put_offset(&b, gr->id, o);
		}
		for (const struct txn_offset *o = gr->txn; o; o = o->next)
			group__put_txn_offset(&b, gr->id, o);
		flush(&b, fn, arg);
	}
	group__batch_done(&b);
}
