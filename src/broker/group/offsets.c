/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/group/group_priv.h"

#include "base/mem.h"

/* Committed offsets, those of open transactions, their expiry, and the deletion of groups. */

enum { TOPIC_MAX = 249, KEY_MAX = TOPIC_MAX + 8, OFFSET_BYTES = 160 };

/* ---- The table ---- */

static struct str offset_key(char *out, struct str topic, int32_t partition)
{
	if (topic.n > TOPIC_MAX)
		return STR_NONE;
	if (topic.n)
		memcpy(out, topic.p, topic.n);
	out[topic.n] = '\0';
	memcpy(out + topic.n + 1, &partition, sizeof(partition));
	return (struct str){out, topic.n + 1 + sizeof(partition)};
}

struct offset *group__offset_find(struct group *gr, struct str topic, int32_t partition)
{
	char buf[KEY_MAX];
	struct str key = offset_key(buf, topic, partition);

	return key.p ? map_get(gr->offsets, key) : NULL;
}

static struct offset *offset_make(struct group_coord *g, struct group *gr, struct str topic, int32_t partition)
{
	char buf[KEY_MAX];
	struct str key = offset_key(buf, topic, partition);
	struct offset *o = key.p ? map_get(gr->offsets, key) : NULL;

	if (!key.p || o)
		return o;
	o = mem_zalloc(sizeof(*o));
	o->key = coord_own(key);
	o->topic = (struct str){o->key.p, topic.n};
	o->partition = partition;
	o->offset = -1;
	o->leader_epoch = -1;
	o->expire_ms = -1;
	map_put(gr->offsets, o->key, o);
	g->stats.offsets++;
	g->stats.bytes += OFFSET_BYTES + o->key.n;
	return o;
}

void group__offset_drop(struct group_coord *g, struct group *gr, struct offset *o)
{
	map_del(gr->offsets, o->key);
	g->stats.offsets--;
	g->stats.bytes -= OFFSET_BYTES + o->key.n + o->metadata.n;
	coord_disown(&o->metadata);
	coord_disown(&o->key);
	free(o);
}

/* Forgets the committed offset; what transactions still hold for the partition stays. */
static void uncommit(struct group_coord *g, struct group *gr, struct offset *o)
{
	o->committed = false;
	if (!o->pending)
		group__offset_drop(g, gr, o);
}

void group__offset_apply(struct group_coord *g, struct group *gr, const struct group_offset *in, int64_t now_ms,
			 int64_t expire_ms)
{
	struct offset *o = offset_make(g, gr, in->topic, in->partition);

	if (!o)
		return;
	g->stats.bytes += in->metadata.n - o->metadata.n;
	group__set_str(&o->metadata, in->metadata);
	o->offset = in->offset;
	o->leader_epoch = in->leader_epoch;
	o->commit_ms = now_ms;
	o->expire_ms = expire_ms;
	o->committed = true;
}

void group__txn_offset_apply(struct group_coord *g, struct group *gr, int64_t producer_id,
			     const struct group_offset *in, int64_t now_ms)
{
	struct offset *o = offset_make(g, gr, in->topic, in->partition);
	struct txn_offset *t = gr->txn;

	if (!o)
		return;
	while (t && !(t->producer_id == producer_id && t->partition == in->partition && str_eq(t->topic, in->topic)))
		t = t->next;
	if (!t) {
		t = mem_zalloc(sizeof(*t));
		t->producer_id = producer_id;
		t->topic = coord_own(in->topic);
		t->partition = in->partition;
		t->next = gr->txn;
		gr->txn = t;
		o->pending++;
		g->stats.pending_offsets++;
		g->stats.bytes += sizeof(*t) + t->topic.n;
	}
	g->stats.bytes += in->metadata.n - t->metadata.n;
	group__set_str(&t->metadata, in->metadata);
	t->offset = in->offset;
	t->leader_epoch = in->leader_epoch;
	t->commit_ms = now_ms;
}

void group__txn_offset_drop(struct group_coord *g, struct group *gr, struct txn_offset **at)
{
	struct txn_offset *t = *at;
	struct offset *o = group__offset_find(gr, t->topic, t->partition);

	*at = t->next;
	if (o && !--o->pending && !o->committed)
		group__offset_drop(g, gr, o);
	g->stats.pending_offsets--;
	g->stats.bytes -= sizeof(*t) + t->topic.n + t->metadata.n;
	coord_disown(&t->topic);
	coord_disown(&t->metadata);
	free(t);
}

/* ---- Subscriptions ---- */

static bool be16(struct cursor *c, size_t *ret)
{
	struct str s = cursor_bytes(c, 2);

	*ret = c->failed ? 0 : (size_t)(unsigned char)s.p[0] << 8 | (unsigned char)s.p[1];
	return !c->failed;
}

/* Whether the metadata of the consumer protocol (ConsumerProtocolSubscription: version, then the topics) names the
 * topic. *ret_known becomes false when it cannot be read. */
static bool metadata_names(struct str metadata, struct str topic, bool *ret_known)
{
	struct cursor c = cursor_of(metadata);
	size_t version, high, n, len;
	bool found = false;

	be16(&c, &version);
	be16(&c, &high);
	be16(&c, &n);
	n |= high << 16;
	for (; n && !c.failed; n--) {
		be16(&c, &len);
		found = str_eq(cursor_bytes(&c, len), topic) || found;
	}
	if (c.failed)
		*ret_known = false;
	return found && !c.failed;
}

bool group__classic_subscribed(const struct group *gr, struct str topic, bool *ret_known)
{
	struct str key;
	void *v;
	bool found = false;

	*ret_known = str_is(gr->protocol_type, "consumer");
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);) {
		const struct member *m = v;

		for (size_t i = 0; i < m->n_protocols; i++)
			found = metadata_names(m->protocols[i].metadata, topic, ret_known) || found;
	}
	return found;
}

static bool subscribed(const struct group *gr, struct str topic)
{
	struct str key;
	bool known;
	void *v;

	if (gr->type == GROUP_CLASSIC)
		return map_count(gr->members) && (group__classic_subscribed(gr, topic, &known) || !known);
	for (size_t at = 0; map_next(gr->members, &at, &key, &v);)
		if (group__consumer_subscribed(v, topic))
			return true;
	return false;
}

/* ---- Commit ---- */

static int16_t check_classic(struct group_coord *g, struct group *gr, const struct group_commit *in, int64_t now_ms)
{
	int16_t code = COORD_OK;
	struct member *m = NULL;

	/* Who assigns partitions by itself is no member. Clients of KIP-848 have a member id all the same. */
	if (in->generation < 0 && !map_count(gr->members))
		return COORD_OK;
	if (in->generation >= 0 || !str_empty(in->member_id) || in->instance_id.p) {
		m = group__checked_member(gr, in->member_id, in->instance_id, &code);
		if (!m)
			return code;
		/* A transaction may come without generation from a client before KIP-447, if it names no member. */
		if (in->generation != gr->generation)
			return COORD_ILLEGAL_GENERATION;
	} else if (!in->txn && map_count(gr->members)) {
		return COORD_UNKNOWN_MEMBER_ID;
	}
	if (gr->state == GROUP_COMPLETING && !in->txn)
		return COORD_REBALANCE_IN_PROGRESS;
	if (m && m->session.pos)
		group__session_start(g, m, now_ms);
	return COORD_OK;
}

static int16_t check_consumer(struct group *gr, const struct group_commit *in)
{
	int16_t code;

	if (in->generation < 0 && !map_count(gr->members))
		return COORD_OK;
	if (in->txn && in->generation < 0 && str_empty(in->member_id) && !in->instance_id.p)
		return COORD_OK;
	struct member *m = group__checked_member(gr, in->member_id, in->instance_id, &code);

	if (!m)
		return code;
	return in->generation == m->epoch ? COORD_OK : COORD_STALE_MEMBER_EPOCH;
}

static int16_t check_commit(struct group_coord *g, const struct group_commit *in, struct group **ret_gr,
			    int64_t now_ms)
{
	struct group *gr = group__find(g, in->group_id);
	size_t bytes = 0;

	for (size_t i = 0; i < in->n; i++)
		bytes += OFFSET_BYTES + in->v[i].topic.n + in->v[i].metadata.n;
	if (!group__fits(g, bytes))
		return COORD_INVALID_COMMIT_OFFSET_SIZE;
	if (!gr && in->generation >= 0)
		return COORD_ILLEGAL_GENERATION;
	if (!gr && !(gr = group__make(g, in->group_id, GROUP_CLASSIC, now_ms)))
		return COORD_INVALID_COMMIT_OFFSET_SIZE;
	*ret_gr = gr;
	if (gr->deleting)
		return COORD_LOAD_IN_PROGRESS;
	if (gr->type == GROUP_SHARE)
		return COORD_GROUP_ID_NOT_FOUND;
	return gr->type == GROUP_CONSUMER ? check_consumer(gr, in) : check_classic(g, gr, in, now_ms);
}

static int16_t check_offset(const struct group_coord *g, const struct group *gr, const struct group_offset *o,
			    size_t more)
{
	if (o->metadata.n > (size_t)g->cfg.offset_metadata_max)
		return COORD_OFFSET_METADATA_TOO_LARGE;
	if (o->topic.n > TOPIC_MAX || str_empty(o->topic) || o->partition < 0)
		return COORD_INVALID_REQUEST;
	if (map_count(gr->offsets) + more > (size_t)g->cfg.offsets_max)
		return COORD_INVALID_COMMIT_OFFSET_SIZE;
	return COORD_OK;
}

static void copy_offsets(struct waiter *w, const struct group_offset *v, size_t n)
{
	w->offsets = mem_zalloc((n + 1) * sizeof(*w->offsets));
	w->codes = mem_zalloc((n + 1) * sizeof(*w->codes));
	w->n = n;
	for (size_t i = 0; i < n; i++) {
		w->offsets[i] = v[i];
		w->offsets[i].topic = coord_own(v[i].topic);
		w->offsets[i].metadata = coord_own(v[i].metadata);
	}
}

void group_commit(struct group_coord *g, const struct group_commit *in, uint64_t token, int64_t now_ms)
{
	struct group *gr = NULL;

	g->now_ms = now_ms;
	int16_t code = check_commit(g, in, &gr, now_ms);

	if (code) {
		group__refuse_each(g, GROUP_COMMIT, token, code, in->n);
		group__pump(g);
		return;
	}
	struct waiter *w = group__waiter(g, GROUP_COMMIT, token, now_ms);

	w->group_id = coord_own(in->group_id);
	copy_offsets(w, in->v, in->n);
	w->txn = in->txn;
	w->producer_id = in->producer_id;
	w->retention_ms = in->retention_ms;
	for (size_t i = 0, more = 0; i < in->n; i++) {
		bool known = group__offset_find(gr, in->v[i].topic, in->v[i].partition);

		w->codes[i] = check_offset(g, gr, &in->v[i], known ? 0 : more + 1);
		more += !known && !w->codes[i];
	}
	group__enqueue(g, w);
	group__pump(g);
}

static int64_t expire_of(const struct waiter *w)
{
	return w->retention_ms < 0 ? -1 : w->now_ms + w->retention_ms;
}

static void put_commit(struct waiter *w, struct batch *b)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct group_offset *in = &w->offsets[i];
		struct txn_offset t = {.producer_id = w->producer_id, .topic = in->topic, .metadata = in->metadata,
		                       .partition = in->partition, .leader_epoch = in->leader_epoch,
		                       .offset = in->offset, .commit_ms = w->now_ms};
		struct offset o = {.topic = in->topic, .partition = in->partition, .offset = in->offset,
		                   .leader_epoch = in->leader_epoch, .metadata = in->metadata,
		                   .commit_ms = w->now_ms, .expire_ms = expire_of(w)};

		if (w->codes[i])
			continue;
		if (w->txn)
			group__put_txn_offset(b, w->group_id, &t);
		else
			group__put_offset(b, w->group_id, &o);
	}
}

static void commit_done(struct group_coord *g, struct waiter *w)
{
	struct group *gr = group__find(g, w->group_id);

	if (!gr)
		gr = group__make(g, w->group_id, GROUP_CLASSIC, w->now_ms);
	for (size_t i = 0; gr && i < w->n; i++) {
		if (w->codes[i])
			continue;
		if (w->txn)
			group__txn_offset_apply(g, gr, w->producer_id, &w->offsets[i], w->now_ms);
		else
			group__offset_apply(g, gr, &w->offsets[i], w->now_ms, expire_of(w));
	}
}

/* ---- End of a transaction ---- */

void group_txn_end(struct group_coord *g, struct str group_id, int64_t producer_id, bool commit, uint64_t token,
		   int64_t now_ms)
{
	struct waiter *w = group__waiter(g, GROUP_TXN_END, token, now_ms);

	g->now_ms = now_ms;
	w->group_id = coord_own(group_id);
	w->producer_id = producer_id;
	w->commit = commit;
	group__enqueue(g, w);
	group__pump(g);
}

static struct group_offset offset_of(const struct txn_offset *t)
{
	return (struct group_offset){t->topic, t->partition, t->offset, t->leader_epoch, t->metadata};
}

static void put_txn_end(struct group_coord *g, struct waiter *w, struct batch *b)
{
	struct group *gr = group__find(g, w->group_id);

	for (const struct txn_offset *t = gr ? gr->txn : NULL; t; t = t->next) {
		struct offset o = {.topic = t->topic, .partition = t->partition, .offset = t->offset,
		                   .leader_epoch = t->leader_epoch, .metadata = t->metadata,
		                   .commit_ms = t->commit_ms, .expire_ms = -1};

		if (t->producer_id != w->producer_id)
			continue;
		if (w->commit)
			group__put_offset(b, w->group_id, &o);
		group__del_txn_offset(b, w->group_id, t);
	}
}

static void txn_end_done(struct group_coord *g, struct waiter *w)
{
	struct group *gr = group__find(g, w->group_id);

	for (struct txn_offset **at = gr ? &gr->txn : NULL; at && *at;) {
		if ((*at)->producer_id != w->producer_id) {
			at = &(*at)->next;
			continue;
		}
		struct group_offset in = offset_of(*at);

		if (w->commit)
			group__offset_apply(g, gr, &in, (*at)->commit_ms, -1);
		group__txn_offset_drop(g, gr, at);
	}
}

/* ---- Fetch ---- */

static void fetched(struct group *gr, struct str topic, int32_t partition, bool stable, struct arena *a,
		    struct group_fetched *ret)
{
	const struct offset *o = gr ? group__offset_find(gr, topic, partition) : NULL;

	*ret = (struct group_fetched){topic, partition, -1, -1, STR(""), COORD_OK};
	if (o && stable && o->pending) {
		ret->code = COORD_UNSTABLE_OFFSET_COMMIT;
	} else if (o && o->committed) {
		ret->offset = o->offset;
		ret->leader_epoch = o->leader_epoch;
		ret->metadata = arena_str(a, o->metadata);
	}
}

static int fetched_cmp(const void *a, const void *b)
{
	const struct group_fetched *x = a, *y = b;
	int c = str_cmp(x->topic, y->topic);

	return c ? c : (x->partition > y->partition) - (x->partition < y->partition);
}

static int16_t check_fetch(struct group *gr, const struct group_fetch *in)
{
	int16_t code;

	/* Members of classic groups have no epoch; clients send what they like, and Apache Kafka does not look. */
	if (gr && gr->type == GROUP_SHARE)
		return COORD_GROUP_ID_NOT_FOUND;
	if (!gr || gr->type != GROUP_CONSUMER || (in->epoch < 0 && !in->member_id.p))
		return COORD_OK;
	struct member *m = group__checked_member(gr, in->member_id, STR_NONE, &code);

	if (!m)
		return code;
	return in->epoch == m->epoch ? COORD_OK : COORD_STALE_MEMBER_EPOCH;
}

int16_t group_offsets_fetch(struct group_coord *g, const struct group_fetch *in, struct arena *a,
			    const struct group_fetched **ret, size_t *ret_n)
{
	struct group *gr = group__find(g, in->group_id);
	int16_t code = check_fetch(gr, in);
	size_t cap = in->all && gr ? map_count(gr->offsets) : in->all ? 0 : in->n, n = 0;
	struct group_fetched *v = ARENA_ARRAY(a, struct group_fetched, cap + 1);
	struct str key;
	void *p;

	*ret = v;
	*ret_n = 0;
	if (code)
		return code;
	for (size_t i = 0; !in->all && i < in->n; i++)
		fetched(gr, in->v[i].topic, in->v[i].partition, in->require_stable, a, &v[n++]);
	for (size_t at = 0; in->all && gr && map_next(gr->offsets, &at, &key, &p);) {
		const struct offset *o = p;

		if (o->committed || in->require_stable)
			fetched(gr, arena_str(a, o->topic), o->partition, in->require_stable, a, &v[n++]);
	}
	if (in->all)
		qsort(v, n, sizeof(*v), fetched_cmp);
	*ret_n = n;
	return COORD_OK;
}

/* ---- Deleting ---- */

void group_delete(struct group_coord *g, struct str group_id, uint64_t token, int64_t now_ms)
{
	struct waiter *w = group__waiter(g, GROUP_DELETE, token, now_ms);

	g->now_ms = now_ms;
	w->group_id = coord_own(group_id);
	group__enqueue(g, w);
	group__pump(g);
}

void group_offsets_delete(struct group_coord *g, struct str group_id, const struct group_offset *v, size_t n,
			  uint64_t token, int64_t now_ms)
{
	struct waiter *w = group__waiter(g, GROUP_OFFSET_DELETE, token, now_ms);

	g->now_ms = now_ms;
	w->group_id = coord_own(group_id);
	copy_offsets(w, v, n);
	group__enqueue(g, w);
	group__pump(g);
}

void group_topic_deleted(struct group_coord *g, struct str topic, int64_t now_ms)
{
	struct waiter *w = group__waiter(g, GROUP_OFFSET_DELETE, 0, now_ms);

	g->now_ms = now_ms;
	w->silent = true;
	w->member_id = coord_own(topic);
	group__enqueue(g, w);
	group__pump(g);
}

static void put_all_gone(struct batch *b, struct group *gr)
{
	struct str key;
	void *v;

	for (size_t at = 0; map_next(gr->offsets, &at, &key, &v);) {
		const struct offset *o = v;

		if (o->committed)
			group__del_offset(b, gr->id, o->topic, o->partition);
	}
	for (const struct txn_offset *t = gr->txn; t; t = t->next)
		group__del_txn_offset(b, gr->id, t);
	group__del_group(b, gr->id);
	gr->deleting = true;
}

static void put_delete(struct group_coord *g, struct waiter *w, struct batch *b)
{
	struct group *gr = group__find(g, w->group_id);

	if (str_empty(w->group_id))
		w->code = COORD_INVALID_GROUP_ID;
	else if (!gr)
		w->code = COORD_GROUP_ID_NOT_FOUND;
	else if (map_count(gr->members) || map_count(gr->pending))
		w->code = COORD_NON_EMPTY_GROUP;
	else
		put_all_gone(b, gr);
}

static void put_offset_delete(struct group_coord *g, struct waiter *w, struct batch *b)
{
	struct group *gr = group__find(g, w->group_id);

	if (!gr || gr->type == GROUP_SHARE)
		w->code = str_empty(w->group_id) ? COORD_INVALID_GROUP_ID : COORD_GROUP_ID_NOT_FOUND;
	else if (gr->type == GROUP_CLASSIC && map_count(gr->members) && !str_is(gr->protocol_type, "consumer"))
		w->code = COORD_NON_EMPTY_GROUP;
	for (size_t i = 0; !w->code && i < w->n; i++) {
		const struct offset *o = group__offset_find(gr, w->offsets[i].topic, w->offsets[i].partition);

		if (subscribed(gr, w->offsets[i].topic))
			w->codes[i] = COORD_GROUP_SUBSCRIBED_TO_TOPIC;
		else if (o && o->committed)
			group__del_offset(b, gr->id, o->topic, o->partition);
	}
}

static void offset_delete_done(struct group_coord *g, struct waiter *w)
{
	struct group *gr = group__find(g, w->group_id);

	for (size_t i = 0; gr && !w->code && i < w->n; i++) {
		struct offset *o = group__offset_find(gr, w->offsets[i].topic, w->offsets[i].partition);

		if (o && !w->codes[i])
			uncommit(g, gr, o);
	}
}

/* ---- Expiry (KIP-211), and offsets of deleted topics ---- */

static bool expired(const struct group_coord *g, const struct group *gr, const struct offset *o, int64_t now_ms)
{
	int64_t since = o->commit_ms;
	bool simple = gr->type == GROUP_CLASSIC && str_empty(gr->protocol_type);

	if (!o->committed || o->pending)
		return false;
	if (o->expire_ms >= 0)
		return now_ms >= o->expire_ms;
	if (!simple && !map_count(gr->members) && gr->state_ms > since)
		since = gr->state_ms;
	if (map_count(gr->members) && subscribed(gr, o->topic))
		return false;
	return now_ms - since >= g->cfg.offsets_retention_ms;
}

static bool chosen(const struct group_coord *g, const struct waiter *w, const struct group *gr, const struct offset *o)
{
	return w->member_id.p ? o->committed && str_eq(o->topic, w->member_id) : expired(g, gr, o, w->now_ms);
}

/* The same walk before and after storing: nothing of it changes meanwhile, as the waiter is alone in its batch and
 * members that come keep a group from deletion. */
static void put_sweep(struct group_coord *g, struct waiter *w, struct batch *b)
{
	struct str key;
	void *v, *p;

	for (size_t at = 0; map_next(g->groups, &at, &key, &v);) {
		struct group *gr = v;
		size_t kept = 0;

		for (size_t i = 0; map_next(gr->offsets, &i, &key, &p);)
			kept += !chosen(g, w, gr, p);
		if (gr->type == GROUP_SHARE) /* its offsets are in broker/share and do not expire */
			continue;
		if (!w->member_id.p && !kept && !gr->txn && !map_count(gr->members) && !map_count(gr->pending)) {
			put_all_gone(b, gr);
			continue;
		}
		for (size_t i = 0; map_next(gr->offsets, &i, &key, &p);) {
			struct offset *o = p;

			o->going = chosen(g, w, gr, o);
			if (o->going)
				group__del_offset(b, gr->id, o->topic, o->partition);
		}
	}
}

static void sweep_done(struct group_coord *g, struct waiter *w, bool ok)
{
	struct str key;
	void *v, *p;

	g->expiring = w->member_id.p ? g->expiring : false;
	for (size_t at = 0; map_next(g->groups, &at, &key, &v);) {
		struct group *gr = v;

		for (size_t i = 0; map_next(gr->offsets, &i, &key, &p);) {
			struct offset *o = p;

			if (!o->going)
				continue;
			o->going = false;
			if (ok) {
				g->stats.expired_offsets += !w->member_id.p;
				uncommit(g, gr, o);
			}
		}
		if (gr->deleting) {
			gr->deleting = false;
			if (ok) {
				g->stats.expired_offsets += map_count(gr->offsets);
				group__drop(g, gr);
			}
		}
	}
}

static void delete_done(struct group_coord *g, struct waiter *w, bool ok)
{
	struct group *gr = group__find(g, w->group_id);

	if (!gr || w->code)
		return;
	gr->deleting = false;
	if (ok)
		group__drop(g, gr);
}

/* ---- Of waiters ---- */

bool group__waiter_alone(const struct waiter *w)
{
	return w->op == GROUP_DELETE || w->op == GROUP_OFFSET_DELETE;
}

bool group__waiter_follows(const struct waiter *w, const struct waiter *sent)
{
	if (w->op != GROUP_TXN_END)
		return false;
	for (; sent; sent = sent->next)
		if (sent->op == GROUP_COMMIT && sent->txn && sent->producer_id == w->producer_id)
			return true;
	return false;
}

void group__waiter_put(struct group_coord *g, struct waiter *w, struct batch *b)
{
	if (w->op == GROUP_COMMIT)
		put_commit(w, b);
	else if (w->op == GROUP_TXN_END)
		put_txn_end(g, w, b);
	else if (w->op == GROUP_DELETE)
		put_delete(g, w, b);
	else if (w->op == GROUP_OFFSET_DELETE && w->silent)
		put_sweep(g, w, b);
	else if (w->op == GROUP_OFFSET_DELETE)
		put_offset_delete(g, w, b);
}

void group__waiter_done(struct group_coord *g, struct waiter *w, bool ok)
{
	if (w->op == GROUP_DELETE)
		delete_done(g, w, ok);
	else if (w->op == GROUP_OFFSET_DELETE && w->silent)
		sweep_done(g, w, ok);
	else if (!ok)
		return;
	else if (w->op == GROUP_COMMIT)
		commit_done(g, w);
	else if (w->op == GROUP_TXN_END)
		txn_end_done(g, w);
	else if (w->op == GROUP_OFFSET_DELETE)
		offset_delete_done(g, w);
}
