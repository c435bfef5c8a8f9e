/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/share/share_priv.h"

/* Key:    u8 1, u8 'S', group, 16 bytes of topic id, u32 partition
 * Value:  u8 1, u64 start, u32 n, and n runs: u32 offsets, u8 state, u16 deliveries */

enum { LAYOUT = 1, KIND = 'S', RUN_BYTES = 7, KEY_HEAD = 2 };

struct str share__key(struct buf *b, struct str group, const struct share_tp *tp)
{
	buf_u8(b, LAYOUT);
	buf_u8(b, KIND);
	coord_put_str(b, group);
	buf_add(b, tp->topic.b, sizeof(tp->topic.b));
	buf_u32(b, (uint32_t)tp->partition);
	return buf_view(b);
}

bool share_record(struct str key)
{
	return key.n > KEY_HEAD && key.p[0] == LAYOUT && key.p[1] == KIND;
}

/* ---- What has to be written ---- */

static void enqueue(struct share_coord *c, struct str key)
{
	if (c->n_queue == c->cap_queue) {
		c->cap_queue = c->cap_queue ? 2 * c->cap_queue : 16;
		c->queue = mem_realloc(c->queue, c->cap_queue * sizeof(*c->queue));
	}
	c->queue[c->n_queue++] = (struct queued){coord_own(key), ++c->seq};
}

void share__touch(struct share_coord *c, struct share_part *p)
{
	if (p->listed)
		return;
	p->listed = true;
	enqueue(c, p->key);
}

void share__gone(struct share_coord *c, struct str key)
{
	enqueue(c, key);
}

static void put_value(const struct share_coord *c, struct buf *o, const struct share_part *p)
{
	buf_u8(o, LAYOUT);
	buf_u64(o, (uint64_t)p->start);
	buf_u32(o, (uint32_t)p->n);
	for (size_t i = 0; i < p->n; i++) {
		const struct run *r = &p->v[i];
		bool last = r->state == RUN_ACQUIRED && r->count >= c->cfg.deliveries_max;

		buf_u32(o, (uint32_t)(r->last + 1 - r->first));
		buf_u8(o, (uint8_t)(r->state == RUN_ACQUIRED ? RUN_AVAILABLE : r->state));
		/* Nobody said that the last delivery failed: behind a crash it is made again. */
		buf_u16(o, (uint16_t)(last ? c->cfg.deliveries_max - 1 : r->count));
	}
}

/* ---- Batches ---- */

static void answer(struct share_coord *c, uint64_t seq, bool ok)
{
	for (struct waiting *w = c->waiting; w && !ok; w = w->next)
		w->failed = true;
	while (c->waiting && c->waiting->seq <= seq) {
		struct waiting *w = c->waiting;

		c->waiting = w->next;
		if (!c->waiting)
			c->waiting_end = &c->waiting;
		c->env.reply(c->env.arg, w->token, !w->failed);
		free(w);
	}
}

static void settle_one(struct share_coord *c, struct str key, bool ok)
{
	struct share_part *p = map_get(c->parts, key);

	if (ok && p && p->batch == c->batch && !p->stored) {
		p->stored = true;
		c->env.available(c->env.arg, &p->tp);
	}
	if (!ok && p)
		share__touch(c, p);
	else if (!ok)
		enqueue(c, key);
}

static void settle(struct share_coord *c, bool ok, int64_t now_ms)
{
	struct queued *v = c->flying;
	size_t n = c->n_flying;
	uint64_t seq = n ? v[n - 1].seq : 0;

	c->busy = false;
	c->flying = NULL;
	c->n_flying = 0;
	c->stats.failed_batches += !ok;
	for (size_t i = 0; i < n; i++) {
		settle_one(c, v[i].key, ok);
		coord_disown(&v[i].key);
	}
	free(v);
	if (!ok)
		coord_timer_set(&c->timers, &c->retry, now_ms + c->cfg.retry_ms);
	answer(c, seq, ok);
}

struct place {
	size_t at, n;
	bool has;
};

/* Takes the first of the queue, up to a batch's size. */
static void take(struct share_coord *c, struct buf *o, struct place **ret)
{
	struct place *at = mem_alloc(c->n_queue * sizeof(*at));
	size_t n = 0;

	c->batch++;
	while (n < c->n_queue && o->n < c->cfg.batch_bytes) {
		struct share_part *p = map_get(c->parts, c->queue[n].key);

		at[n] = (struct place){o->n, 0, p};
		if (p) {
			put_value(c, o, p);
			p->listed = false;
			p->batch = c->batch;
		}
		at[n].n = o->n - at[n].at;
		n++;
	}
	c->flying = mem_alloc(n * sizeof(*c->flying));
	c->n_flying = n;
	memcpy(c->flying, c->queue, n * sizeof(*c->flying));
	c->n_queue -= n;
	memmove(c->queue, c->queue + n, c->n_queue * sizeof(*c->queue));
	*ret = at;
}

static void write_batch(struct share_coord *c)
{
	struct place *at;
	struct buf o;

	buf_init(&o, SIZE_MAX / 2);
	take(c, &o, &at);
	size_t n = c->n_flying;
	struct coord_record *v = mem_alloc(n * sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		v[i].key = coord_own(c->flying[i].key); /* persist() may free it by answering within */
		v[i].value = at[i].has ? (struct str){o.p + at[i].at, at[i].n} : STR_NONE;
	}
	c->busy = true;
	c->env.persist(c->env.arg, v, n, c->batch);
	for (size_t i = 0; i < n; i++)
		coord_disown(&v[i].key);
	free(v);
	free(at);
	buf_done(&o);
}

void share__pump(struct share_coord *c, int64_t now_ms)
{
	(void)now_ms;
	if (c->pumping || !c->loaded)
		return;
	c->pumping = true;
	while (!c->busy && !c->retry.pos && c->n_queue)
		write_batch(c);
	c->pumping = false;
}

void share_persisted(struct share_coord *c, uint64_t batch, bool ok, int64_t now_ms)
{
	if (!c->busy || batch != c->batch)
		return;
	settle(c, ok, now_ms);
	share__pump(c, now_ms);
}

void share_wait(struct share_coord *c, uint64_t token, int64_t now_ms)
{
	if (!c->busy && !c->n_queue) {
		c->env.reply(c->env.arg, token, true);
		return;
	}
	struct waiting *w = mem_zalloc(sizeof(*w));

	w->token = token;
	w->seq = c->seq;
	*c->waiting_end = w;
	c->waiting_end = &w->next;
	share__pump(c, now_ms);
}

/* ---- Reading ---- */

static int read_runs(struct share_coord *c, struct share_part *p, struct cursor *in)
{
	uint32_t n = cursor_u32(in);
	int64_t most = INT64_MAX - p->start;

	if (in->failed || (uint64_t)n * RUN_BYTES != cursor_left(in))
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t length = cursor_u32(in);
		uint8_t state = cursor_u8(in);
		uint16_t count = cursor_u16(in);

		if (length == 0 || length > most || state == RUN_ACQUIRED || state > RUN_ARCHIVED || count > INT16_MAX)
			return -1;
		most -= length;
		share__part_append(c, p, length, (enum run_state)state, (int16_t)count);
	}
	return 0;
}

int share_replay(struct share_coord *c, struct coord_record rec)
{
	struct cursor k = cursor_of(rec.key), in = cursor_of(rec.value);
	struct share_tp tp;

	if (!share_record(rec.key) || c->loaded)
		return -1;
	cursor_u16(&k);
	struct str group = cursor_str(&k), id = cursor_bytes(&k, sizeof(tp.topic.b));

	tp.partition = (int32_t)cursor_u32(&k);
	if (k.failed || !group.p || cursor_left(&k) || tp.partition < 0)
		return -1;
	memcpy(tp.topic.b, id.p, sizeof(tp.topic.b));
	struct share_part *old = share__find(c, group, &tp), *p;

	if (!rec.value.p) {
		if (old)
			share__part_free(c, old);
		return 0;
	}
	bool known = cursor_u8(&in) == LAYOUT;
	int64_t start = (int64_t)cursor_u64(&in);

	if (in.failed || !known || start < 0)
		return -1;
	if (old)
		share__part_free(c, old);
	p = share__make(c, group, &tp, start);
	if (!p || read_runs(c, p, &in) != 0) {
		if (p)
			share__part_free(c, p);
		return -1;
	}
	p->stored = true;
	return 0;
}

void share_snapshot(struct share_coord *c, coord_record_f *fn, void *arg)
{
	struct buf o;
	void *v;

	buf_init(&o, SIZE_MAX / 2);
	for (size_t at = 0; map_next(c->parts, &at, NULL, &v);) {
		const struct share_part *p = v;

		buf_reset(&o);
		put_value(c, &o, p);
		fn(arg, (struct coord_record){p->key, buf_view(&o)});
	}
	buf_done(&o);
}
