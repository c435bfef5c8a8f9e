/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/txn/txn_priv.h"

#include "base/mem.h"

#include <stddef.h>

/* The life of transactional ids: storing, timers, producer ids, looking. */

#define OWNER(t, type, field) ((type *)(void *)((char *)(t)-offsetof(type, field)))

enum { TXN_BYTES = 400 };

struct txn_coord *txn_coord_new(const struct txn_env *env, const struct txn_config *cfg)
{
	struct txn_coord *t = mem_zalloc(sizeof(*t));
	struct txn_config *c = &t->cfg;

	t->env = *env;
	*c = *cfg;
	c->timeout_max_ms = c->timeout_max_ms ? c->timeout_max_ms : 900000;
	c->expiry_ms = c->expiry_ms ? c->expiry_ms : 7LL * 86400 * 1000;
	c->ids_max = c->ids_max ? c->ids_max : 50000;
	c->partitions_max = c->partitions_max ? c->partitions_max : 10000;
	c->bytes_max = c->bytes_max ? c->bytes_max : (size_t)64 << 20;
	c->id_block = c->id_block ? c->id_block : 1000;
	c->retry_ms = c->retry_ms ? c->retry_ms : 100;
	t->ids = map_new();
	t->flying = map_new();
	t->block_timer.kind = TXN_TIMER_BLOCK;
	return t;
}

void txn_coord_free(struct txn_coord *t)
{
	struct str key;
	void *v;

	if (!t)
		return;
	for (size_t at = 0; map_next(t->ids, &at, &key, &v);)
		txn__drop(t, v);
	map_free(t->ids);
	map_free(t->flying);
	coord_timers_done(&t->timers);
	free(t);
}

struct txn *txn__find(struct txn_coord *t, struct str id)
{
	return map_get(t->ids, id);
}

struct txn *txn__make(struct txn_coord *t, struct str id)
{
	if (map_count(t->ids) >= (size_t)t->cfg.ids_max || t->stats.bytes + TXN_BYTES + id.n > t->cfg.bytes_max)
		return NULL;
	struct txn *x = mem_zalloc(sizeof(*x));

	x->id = coord_own(id);
	x->cur.pid = x->cur.last_pid = x->cur.next_pid = -1;
	x->cur.epoch = x->cur.last_epoch = -1;
	x->cur.start_ms = -1;
	x->timer.kind = TXN_TIMER_TXN;
	map_put(t->ids, x->id, x);
	txn__count(t, x);
	return x;
}

void txn__free_data(struct txn_data *d)
{
	for (size_t i = 0; i < d->n_parts; i++)
		coord_disown(&d->parts[i].topic);
	for (size_t i = 0; i < d->n_groups; i++)
		coord_disown(&d->groups[i].id);
	free(d->parts);
	free(d->groups);
	*d = (struct txn_data){0};
}

/* Gives up what only one side of a change has. */
static void free_fresh(struct txn_data *d)
{
	for (size_t i = 0; i < d->n_parts; i++)
		if (d->parts[i].fresh)
			coord_disown(&d->parts[i].topic);
	for (size_t i = 0; i < d->n_groups; i++)
		if (d->groups[i].fresh)
			coord_disown(&d->groups[i].id);
	free(d->parts);
	free(d->groups);
	*d = (struct txn_data){0};
}

void txn__drop(struct txn_coord *t, struct txn *x)
{
	if (x->saving) {
		map_del(t->flying, (struct str){(const char *)&x->batch, sizeof(x->batch)});
		free_fresh(&x->next);
	}
	t->stats.bytes -= x->bytes;
	coord_timer_stop(&t->timers, &x->timer);
	map_del(t->ids, x->id);
	txn__free_data(&x->cur);
	coord_disown(&x->id);
	free(x);
}

void txn__count(struct txn_coord *t, struct txn *x)
{
	size_t n = TXN_BYTES + x->id.n;

	for (size_t i = 0; i < x->cur.n_parts; i++)
		n += sizeof(*x->cur.parts) + x->cur.parts[i].topic.n;
	for (size_t i = 0; i < x->cur.n_groups; i++)
		n += sizeof(*x->cur.groups) + x->cur.groups[i].id.n;
	t->stats.bytes += n - x->bytes;
	x->bytes = n;
}

int txn__part_cmp(const void *a, const void *b)
{
	const struct txn_part *x = a, *y = b;
	int c = str_cmp(x->topic, y->topic);

	return c ? c : (x->partition > y->partition) - (x->partition < y->partition);
}

/* ---- Storing ---- */

void txn__begin(struct txn *x, int64_t now_ms)
{
	x->next = x->cur;
	x->next.update_ms = now_ms;
	x->next.parts = mem_alloc((x->cur.n_parts + 1) * sizeof(*x->next.parts));
	x->next.groups = mem_alloc((x->cur.n_groups + 1) * sizeof(*x->next.groups));
	if (x->cur.n_parts)
		memcpy(x->next.parts, x->cur.parts, x->cur.n_parts * sizeof(*x->next.parts));
	if (x->cur.n_groups)
		memcpy(x->next.groups, x->cur.groups, x->cur.n_groups * sizeof(*x->next.groups));
	x->answer = false;
}

void txn__answer_after(struct txn *x, enum txn_op op, uint64_t token, int16_t code)
{
	x->answer = true;
	x->op = op;
	x->token = token;
	x->code = code;
}

void txn__reply(struct txn_coord *t, enum txn_op op, uint64_t token, int16_t code, int64_t pid, int16_t epoch)
{
	struct txn_reply r = {op, code, code ? -1 : pid, code ? -1 : epoch};

	t->env.reply(t->env.arg, token, &r);
}

void txn__save(struct txn_coord *t, struct txn *x, int64_t now_ms)
{
	struct buf key, value;
	struct coord_record rec;

	buf_init(&key, SIZE_MAX / 2);
	buf_init(&value, SIZE_MAX / 2);
	txn__put(&key, &value, x->id, &x->next);
	rec = (struct coord_record){buf_view(&key), buf_view(&value)};
	x->saving = true;
	x->batch = ++t->batch;
	map_put(t->flying, (struct str){(const char *)&x->batch, sizeof(x->batch)}, x);
	coord_timer_stop(&t->timers, &x->timer);
	t->env.persist(t->env.arg, &rec, 1, x->batch);
	buf_done(&key);
	buf_done(&value);
}

static bool prepared(const struct txn *x)
{
	return x->cur.state == TXN_PREPARE_COMMIT || x->cur.state == TXN_PREPARE_ABORT;
}

/* When the state has to change by itself. */
void txn__set_timer(struct txn_coord *t, struct txn *x, int64_t now_ms)
{
	if (x->saving)
		return;
	if (x->cur.state == TXN_ONGOING)
		coord_timer_set(&t->timers, &x->timer, x->cur.start_ms + x->cur.timeout_ms);
	else if (prepared(x))
		coord_timer_set(&t->timers, &x->timer, now_ms + t->cfg.retry_ms);
	else
		coord_timer_set(&t->timers, &x->timer, x->cur.update_ms + t->cfg.expiry_ms);
}

static void adopt(struct txn_coord *t, struct txn *x)
{
	/* The strings that next kept belong to it now; those it does not have go. */
	if (!x->next.n_parts && !x->next.n_groups) {
		txn__free_data(&x->cur);
	} else {
		free(x->cur.parts);
		free(x->cur.groups);
	}
	x->cur = x->next;
	x->next = (struct txn_data){0};
	for (size_t i = 0; i < x->cur.n_parts; i++)
		x->cur.parts[i].fresh = false;
	for (size_t i = 0; i < x->cur.n_groups; i++)
		x->cur.groups[i].fresh = false;
	txn__count(t, x);
}

/* The producer id and epoch that the client goes on with. */
static void answer(struct txn_coord *t, const struct txn *x, int16_t code)
{
	const struct txn_data *d = &x->cur;
	bool moves = d->next_pid >= 0 && prepared(x);

	if (x->answer)
		txn__reply(t, x->op, x->token, code, moves ? d->next_pid : d->pid, moves ? 0 : d->epoch);
}

static void block_done(struct txn_coord *t, bool ok, int64_t now_ms)
{
	t->block_batch = 0;
	if (!ok) {
		t->stats.failed_batches++;
		coord_timer_set(&t->timers, &t->block_timer, now_ms + t->cfg.retry_ms);
		return;
	}
	if (t->next_pid == t->end_pid)
		t->next_pid = t->reserved;
	t->reserved += t->cfg.id_block;
	t->end_pid = t->reserved;
}

void txn_persisted(struct txn_coord *t, uint64_t batch, bool ok, int64_t now_ms)
{
	struct txn *x;

	if (batch && batch == t->block_batch) {
		block_done(t, ok, now_ms);
		return;
	}
	x = map_del(t->flying, (struct str){(const char *)&batch, sizeof(batch)});
	if (!x)
		return;
	x->saving = false;
	if (ok) {
		adopt(t, x);
	} else {
		t->stats.failed_batches++;
		free_fresh(&x->next);
	}
	answer(t, x, ok ? x->code : COORD_NOT_AVAILABLE);
	if (!ok && x->cur.pid < 0) { /* was never stored */
		txn__drop(t, x);
		return;
	}
	txn__set_timer(t, x, now_ms);
	if (!ok && x->timer.at <= now_ms)
		coord_timer_set(&t->timers, &x->timer, now_ms + t->cfg.retry_ms);
	if (ok && prepared(x) && !x->marking)
		txn__hand_out(t, x);
}

/* ---- Producer ids ---- */

void txn__reserve(struct txn_coord *t, int64_t now_ms)
{
	struct buf key, value;

	/* One block ahead at most: ids of a block are used up before the next begins. */
	if (t->block_batch || t->block_timer.pos || t->next_pid != t->end_pid)
		return;
	buf_init(&key, 64);
	buf_init(&value, 64);
	txn__put_block(&key, &value, t->reserved + t->cfg.id_block);
	struct coord_record rec = {buf_view(&key), buf_view(&value)};

	t->block_batch = ++t->batch;
	t->env.persist(t->env.arg, &rec, 1, t->block_batch);
	buf_done(&key);
	buf_done(&value);
}

int64_t txn__new_pid(struct txn_coord *t)
{
	return t->next_pid < t->end_pid ? t->next_pid++ : -1;
}

/* ---- Time ---- */

void txn_loaded(struct txn_coord *t, int64_t now_ms)
{
	struct str key;
	void *v;

	t->loaded = true;
	t->next_pid = t->end_pid = t->reserved;
	txn__reserve(t, now_ms);
	for (size_t at = 0; map_next(t->ids, &at, &key, &v);)
		txn__set_timer(t, v, now_ms);
	for (size_t at = 0; map_next(t->ids, &at, &key, &v);)
		if (prepared(v))
			txn__hand_out(t, v);
}

int64_t txn_deadline(const struct txn_coord *t)
{
	return coord_timers_next(&t->timers);
}

static void expire(struct txn_coord *t, struct txn *x, int64_t now_ms)
{
	struct buf key;

	buf_init(&key, SIZE_MAX / 2);
	txn__key(&key, x->id);
	struct coord_record rec = {buf_view(&key), STR_NONE};

	/* Whether it is stored does not matter: what comes back with a restart expires again. */
	t->env.persist(t->env.arg, &rec, 1, ++t->batch);
	buf_done(&key);
	t->stats.expired++;
	txn__drop(t, x);
}

static void fire(struct txn_coord *t, struct txn *x, int64_t now_ms)
{
	if (x->cur.state == TXN_ONGOING) {
		t->stats.timeouts++;
		txn__begin(x, now_ms);
		if (txn__prepare(t, x, false, false, true, now_ms)) {
			txn__save(t, x, now_ms);
		} else {
			free_fresh(&x->next);
			coord_timer_set(&t->timers, &x->timer, now_ms + t->cfg.retry_ms);
		}
	} else if (prepared(x)) {
		if (!x->marking)
			txn__hand_out(t, x);
	} else {
		expire(t, x, now_ms);
	}
}

void txn_tick(struct txn_coord *t, int64_t now_ms)
{
	struct coord_timer *timer;

	while ((timer = coord_timers_due(&t->timers, now_ms))) {
		if (timer->kind == TXN_TIMER_BLOCK)
			txn__reserve(t, now_ms);
		else
			fire(t, OWNER(timer, struct txn, timer), now_ms);
	}
}

/* ---- Looking ---- */

static const char *const state_names[] = {
	[TXN_EMPTY] = "Empty",
	[TXN_ONGOING] = "Ongoing",
	[TXN_PREPARE_COMMIT] = "PrepareCommit",
	[TXN_PREPARE_ABORT] = "PrepareAbort",
	[TXN_COMPLETE_COMMIT] = "CompleteCommit",
	[TXN_COMPLETE_ABORT] = "CompleteAbort",
};
_Static_assert(ARRAY_LEN(state_names) == TXN_STATES, "a name for each state");

const char *txn_state_name(enum txn_state state)
{
	return state_names[state];
}

int txn_state_find(struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(state_names); i++)
		if (str_is(name, state_names[i]))
			return (int)i;
	return -1;
}

int16_t txn_code_for(int16_t code, bool fenced)
{
	return code == COORD_PRODUCER_FENCED && !fenced ? COORD_INVALID_PRODUCER_EPOCH : code;
}

static void describe(const struct txn *x, struct txn_described *ret)
{
	const struct txn_data *d = &x->cur;

	ret->state = d->state;
	ret->timeout_ms = d->timeout_ms;
	ret->start_ms = d->state == TXN_ONGOING || prepared(x) ? d->start_ms : -1;
	ret->producer_id = d->pid;
	ret->epoch = d->epoch;
}

void txn_describe(struct txn_coord *t, struct str txn_id, struct arena *a, struct txn_described *ret)
{
	const struct txn *x = txn_id.n ? txn__find(t, txn_id) : NULL;

	*ret = (struct txn_described){.txn_id = arena_str(a, txn_id), .start_ms = -1, .producer_id = -1, .epoch = -1};
	ret->code = !txn_id.n ? COORD_INVALID_REQUEST : x && x->cur.pid >= 0 ? COORD_OK :
									       COORD_TRANSACTIONAL_ID_NOT_FOUND;
	if (ret->code)
		return;
	struct txn_partition *v = ARENA_ARRAY(a, struct txn_partition, x->cur.n_parts + 1);

	describe(x, ret);
	for (size_t i = 0; i < x->cur.n_parts; i++)
		v[i] = (struct txn_partition){arena_str(a, x->cur.parts[i].topic), x->cur.parts[i].partition};
	ret->partitions = v;
	ret->n_partitions = x->cur.n_parts;
}

static bool passes(const struct txn *x, const struct txn_filter *f, int64_t now_ms)
{
	bool pid = !f->n_producer_ids;

	for (size_t i = 0; i < f->n_producer_ids && !pid; i++)
		pid = f->producer_ids[i] == x->cur.pid;
	if (!pid || x->cur.pid < 0 || (f->states && !(f->states & 1u << x->cur.state)))
		return false;
	return f->min_duration_ms < 0 ||
	       ((x->cur.state == TXN_ONGOING || prepared(x)) && now_ms - x->cur.start_ms > f->min_duration_ms);
}

static int described_cmp(const void *a, const void *b)
{
	const struct txn_described *x = a, *y = b;

	return str_cmp(x->txn_id, y->txn_id);
}

size_t txn_list(struct txn_coord *t, const struct txn_filter *f, int64_t now_ms, struct arena *a,
		const struct txn_described **ret)
{
	struct txn_described *v = ARENA_ARRAY(a, struct txn_described, map_count(t->ids) + 1);
	size_t n = 0;
	struct str key;
	void *p;

	for (size_t at = 0; map_next(t->ids, &at, &key, &p);) {
		if (!passes(p, f, now_ms))
			continue;
		v[n].txn_id = arena_str(a, ((const struct txn *)p)->id);
		describe(p, &v[n++]);
	}
	qsort(v, n, sizeof(*v), described_cmp);
	*ret = v;
	return n;
}

void txn_coord_stats(const struct txn_coord *t, struct txn_stats *ret_stats)
{
	struct str key;
	void *v;

	*ret_stats = t->stats;
	ret_stats->ids = map_count(t->ids);
	for (size_t at = 0; map_next(t->ids, &at, &key, &v);) {
		ret_stats->ongoing += ((const struct txn *)v)->cur.state == TXN_ONGOING;
		ret_stats->preparing += prepared(v);
	}
}
