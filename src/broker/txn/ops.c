/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/txn/txn_priv.h"

#include "base/mem.h"

/* InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, and the markers. */

static bool preparing(const struct txn *x)
{
	return x->cur.state == TXN_PREPARE_COMMIT || x->cur.state == TXN_PREPARE_ABORT;
}

/* The last epoch is kept for fencing (KIP-98): a producer gets at most one less. */
static bool exhausted(int16_t epoch)
{
	return epoch >= TXN_EPOCH_MAX - 1;
}

/* ---- InitProducerId ---- */

static void init_idempotent(struct txn_coord *t, uint64_t token, int64_t now_ms)
{
	int64_t pid;

	txn__reserve(t, now_ms);
	pid = txn__new_pid(t);
	txn__reply(t, TXN_INIT, token, pid < 0 ? COORD_LOAD_IN_PROGRESS : COORD_OK, pid, 0);
	txn__reserve(t, now_ms);
}

/* KIP-360: who may go on under this id. */
static bool may_continue(const struct txn_data *d, int64_t pid, int16_t epoch)
{
	return pid < 0 || d->epoch < 0 || pid == d->pid || (pid == d->last_pid && exhausted(epoch));
}

/* The next epoch into x->next. COORD_OK, or why not. */
static int16_t bump(struct txn_coord *t, struct txn *x, int64_t pid, int16_t epoch)
{
	struct txn_data *d = &x->next;
	bool expects = pid >= 0;

	/* Retry of a bump whose answer got lost; nobody else came since, or last_epoch would be -1. */
	if (expects && d->epoch >= 0 && epoch != d->epoch && d->last_epoch >= 0 && epoch == d->last_epoch)
		return COORD_OK;
	if (expects && d->epoch >= 0 && epoch != d->epoch)
		return COORD_PRODUCER_FENCED;
	if (d->epoch >= 0 && exhausted(d->epoch)) {
		int64_t next = txn__new_pid(t);

		if (next < 0)
			return COORD_LOAD_IN_PROGRESS;
		d->last_pid = d->pid;
		d->last_epoch = expects ? d->epoch : -1;
		d->pid = next;
		d->epoch = 0;
		return COORD_OK;
	}
	d->last_epoch = expects ? d->epoch : -1;
	d->last_pid = -1;
	d->epoch++;
	return COORD_OK;
}

static void init_known(struct txn_coord *t, struct txn *x, int32_t timeout_ms, int64_t pid, int16_t epoch,
		       uint64_t token, int64_t now_ms)
{
	txn__begin(x, now_ms);
	if (x->cur.state == TXN_ONGOING) {
		/* The earlier instance is fenced and its transaction aborted; the client comes again. */
		if (pid >= 0 && epoch != x->cur.epoch) {
			txn__reply(t, TXN_INIT, token, COORD_PRODUCER_FENCED, -1, -1);
		} else if (!txn__prepare(t, x, false, false, true, now_ms)) {
			txn__reply(t, TXN_INIT, token, COORD_LOAD_IN_PROGRESS, -1, -1);
		} else {
			txn__answer_after(x, TXN_INIT, token, COORD_CONCURRENT_TRANSACTIONS);
			txn__save(t, x, now_ms);
			return;
		}
	} else {
		int16_t code = bump(t, x, pid, epoch);

		if (!code) {
			x->next.state = TXN_EMPTY;
			x->next.start_ms = -1;
			x->next.timeout_ms = timeout_ms;
			txn__answer_after(x, TXN_INIT, token, COORD_OK);
			txn__save(t, x, now_ms);
			return;
		}
		txn__reply(t, TXN_INIT, token, code, -1, -1);
	}
	/* Nothing changed; next holds no strings of its own yet. */
	free(x->next.parts);
	free(x->next.groups);
	x->next = (struct txn_data){0};
}

static void init_new(struct txn_coord *t, struct str txn_id, int32_t timeout_ms, uint64_t token, int64_t now_ms)
{
	int64_t pid = txn__new_pid(t);
	struct txn *x = pid < 0 ? NULL : txn__make(t, txn_id);

	if (!x) {
		txn__reply(t, TXN_INIT, token, COORD_LOAD_IN_PROGRESS, -1, -1);
		return;
	}
	txn__begin(x, now_ms);
	x->next.pid = pid;
	x->next.epoch = 0;
	x->next.timeout_ms = timeout_ms;
	txn__answer_after(x, TXN_INIT, token, COORD_OK);
	txn__save(t, x, now_ms);
}

void txn_init(struct txn_coord *t, struct str txn_id, int32_t timeout_ms, int64_t producer_id, int16_t epoch,
	      uint64_t token, int64_t now_ms)
{
	struct txn *x = txn_id.n ? txn__find(t, txn_id) : NULL;
	int16_t code = COORD_OK;

	if (!txn_id.p) {
		init_idempotent(t, token, now_ms);
		return;
	}
	if (!txn_id.n || (producer_id >= 0) != (epoch >= 0))
		code = COORD_INVALID_REQUEST;
	else if (timeout_ms <= 0 || timeout_ms > t->cfg.timeout_max_ms)
		code = COORD_INVALID_TRANSACTION_TIMEOUT;
	else if (x && (x->saving || preparing(x)))
		code = COORD_CONCURRENT_TRANSACTIONS;
	else if (x && !may_continue(&x->cur, producer_id, epoch))
		code = COORD_PRODUCER_FENCED;
	txn__reserve(t, now_ms);
	if (code)
		txn__reply(t, TXN_INIT, token, code, -1, -1);
	else if (x)
		init_known(t, x, timeout_ms, producer_id, epoch, token, now_ms);
	else
		init_new(t, txn_id, timeout_ms, token, now_ms);
	txn__reserve(t, now_ms);
}

/* ---- Adding ---- */

/* EndTxn has named a new producer id already, and the markers of the old one are still under way. */
static bool moving_to(const struct txn *x, int64_t pid, int16_t epoch)
{
	return preparing(x) && x->cur.next_pid >= 0 && pid == x->cur.next_pid && epoch == 0;
}

static int16_t check(struct txn_coord *t, struct str txn_id, int64_t pid, int16_t epoch, struct txn **ret_x)
{
	struct txn *x = txn_id.n ? txn__find(t, txn_id) : NULL;

	if (!txn_id.n)
		return COORD_INVALID_REQUEST;
	if (x && moving_to(x, pid, epoch))
		return COORD_CONCURRENT_TRANSACTIONS;
	if (!x || x->cur.pid != pid)
		return COORD_INVALID_PRODUCER_ID_MAPPING;
	if (x->cur.epoch != epoch)
		return COORD_PRODUCER_FENCED;
	if (x->saving || preparing(x))
		return COORD_CONCURRENT_TRANSACTIONS;
	*ret_x = x;
	return COORD_OK;
}

static bool has_part(const struct txn_data *d, struct txn_partition p)
{
	struct txn_part key = {.topic = p.topic, .partition = p.partition};

	return d->n_parts && bsearch(&key, d->parts, d->n_parts, sizeof(key), txn__part_cmp);
}

static bool has_group(const struct txn_data *d, struct str id)
{
	for (size_t i = 0; i < d->n_groups; i++)
		if (str_eq(d->groups[i].id, id))
			return true;
	return false;
}

static void go_on(struct txn *x, int64_t now_ms)
{
	if (x->next.state != TXN_ONGOING)
		x->next.start_ms = now_ms;
	x->next.state = TXN_ONGOING;
}

/* The new ones of v into next, which stays sorted. */
static void add_parts(struct txn *x, const struct txn_partition *v, size_t n)
{
	struct txn_data *d = &x->next;
	size_t before = d->n_parts, out = 0;

	d->parts = mem_realloc(d->parts, (before + n + 1) * sizeof(*d->parts));
	for (size_t i = 0; i < n; i++)
		if (!has_part(&x->cur, v[i]))
			d->parts[d->n_parts++] = (struct txn_part){coord_own(v[i].topic), v[i].partition, true};
	qsort(d->parts, d->n_parts, sizeof(*d->parts), txn__part_cmp);
	for (size_t i = 0; i < d->n_parts; i++) {
		if (out && !txn__part_cmp(&d->parts[out - 1], &d->parts[i]))
			coord_disown(&d->parts[i].topic); /* named twice in the request */
		else
			d->parts[out++] = d->parts[i];
	}
	d->n_parts = out;
}

void txn_add_partitions(struct txn_coord *t, struct str txn_id, int64_t producer_id, int16_t epoch,
			const struct txn_partition *v, size_t n, uint64_t token, int64_t now_ms)
{
	struct txn *x = NULL;
	int16_t code = check(t, txn_id, producer_id, epoch, &x);
	size_t missing = 0, bytes = 0;

	for (size_t i = 0; !code && i < n; i++)
		if (!has_part(&x->cur, v[i])) {
			missing++;
			bytes += sizeof(struct txn_part) + v[i].topic.n;
		}
	if (!code && missing &&
	    (x->cur.n_parts + missing > (size_t)t->cfg.partitions_max || t->stats.bytes + bytes > t->cfg.bytes_max))
		code = COORD_TRANSACTION_ABORTABLE;
	if (code || (x->cur.state == TXN_ONGOING && !missing)) {
		txn__reply(t, TXN_ADD_PARTITIONS, token, code, producer_id, epoch);
		return;
	}
	txn__begin(x, now_ms);
	add_parts(x, v, n);
	go_on(x, now_ms);
	txn__answer_after(x, TXN_ADD_PARTITIONS, token, COORD_OK);
	txn__save(t, x, now_ms);
}

void txn_verify_partitions(struct txn_coord *t, struct str txn_id, int64_t producer_id, int16_t epoch,
			   const struct txn_partition *v, size_t n, int16_t *ret_codes)
{
	struct txn *x = NULL;
	int16_t code = check(t, txn_id, producer_id, epoch, &x);

	for (size_t i = 0; i < n; i++)
		ret_codes[i] = code                                                     ? code
			       : x->cur.state == TXN_ONGOING && has_part(&x->cur, v[i]) ? COORD_OK
											: COORD_TRANSACTION_ABORTABLE;
}

void txn_add_offsets(struct txn_coord *t, struct str txn_id, int64_t producer_id, int16_t epoch, struct str group_id,
		     uint64_t token, int64_t now_ms)
{
	struct txn *x = NULL;
	int16_t code = check(t, txn_id, producer_id, epoch, &x);

	if (!code && !group_id.n)
		code = COORD_INVALID_GROUP_ID;
	if (!code &&
	    (x->cur.n_groups >= (size_t)t->cfg.partitions_max || t->stats.bytes + group_id.n > t->cfg.bytes_max))
		code = COORD_TRANSACTION_ABORTABLE;
	if (code || (x->cur.state == TXN_ONGOING && has_group(&x->cur, group_id))) {
		txn__reply(t, TXN_ADD_OFFSETS, token, code, producer_id, epoch);
		return;
	}
	txn__begin(x, now_ms);
	if (!has_group(&x->cur, group_id)) /* begin() left room for one more */
		x->next.groups[x->next.n_groups++] = (struct txn_group){coord_own(group_id), true};
	go_on(x, now_ms);
	txn__answer_after(x, TXN_ADD_OFFSETS, token, COORD_OK);
	txn__save(t, x, now_ms);
}

int16_t txn_verify_offsets(struct txn_coord *t, struct str txn_id, int64_t producer_id, int16_t epoch,
			   struct str group_id)
{
	struct txn *x = NULL;
	int16_t code = check(t, txn_id, producer_id, epoch, &x);

	if (code)
		return code;
	return x->cur.state == TXN_ONGOING && has_group(&x->cur, group_id) ? COORD_OK : COORD_TRANSACTION_ABORTABLE;
}

/* ---- EndTxn ---- */

bool txn__prepare(struct txn_coord *t, struct txn *x, bool commit, bool raise, bool fence, int64_t now_ms)
{
	struct txn_data *d = &x->next;

	d->state = commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT;
	d->next_pid = -1;
	if (!raise && !fence)
		return true;
	/* The markers carry the raised epoch, so what the old one still sends is refused by the partitions. */
	if (raise && exhausted(d->epoch)) {
		d->next_pid = txn__new_pid(t);
		if (d->next_pid < 0) {
			txn__reserve(t, now_ms);
			return false;
		}
	}
	d->last_epoch = fence ? -1 : d->epoch;
	if (d->epoch < TXN_EPOCH_MAX)
		d->epoch++;
	return true;
}

/* What EndTxn means in each state (KIP-98; bump and retry: KIP-890). 1: go ahead, else a code. */
static int16_t end_code(const struct txn *x, bool commit, bool raise, bool retry)
{
	enum txn_state s = x->cur.state;

	switch (s) {
	case TXN_ONGOING:
		return retry ? COORD_PRODUCER_FENCED : 1;
	case TXN_PREPARE_COMMIT:
	case TXN_PREPARE_ABORT:
		/* With the raised epoch it is not about this transaction, but about the next one. */
		return commit == (s == TXN_PREPARE_COMMIT) || (raise && !retry) ? COORD_CONCURRENT_TRANSACTIONS
										: COORD_INVALID_TXN_STATE;
	case TXN_COMPLETE_COMMIT:
	case TXN_COMPLETE_ABORT:
		if (retry || !raise)
			return commit == (s == TXN_COMPLETE_COMMIT) ? COORD_OK : COORD_INVALID_TXN_STATE;
		return commit ? COORD_INVALID_TXN_STATE : 1; /* the abort of a transaction without anything in it */
	default:
		return raise && !commit && !retry ? 1 : COORD_INVALID_TXN_STATE;
	}
}

static int16_t check_end(const struct txn *x, int64_t pid, int16_t epoch, bool commit, bool raise)
{
	const struct txn_data *d = &x->cur;
	bool bumped = raise && pid == d->pid && d->last_epoch == epoch && d->epoch == epoch + 1;
	bool moved = raise && pid == d->last_pid && exhausted(epoch) && d->epoch == 0;

	if (moving_to(x, pid, epoch))
		return COORD_CONCURRENT_TRANSACTIONS;
	if (pid != d->pid && !moved)
		return COORD_INVALID_PRODUCER_ID_MAPPING;
	if (x->saving)
		return COORD_CONCURRENT_TRANSACTIONS;
	if (epoch != d->epoch && !bumped && !moved)
		return COORD_PRODUCER_FENCED;
	return end_code(x, commit, raise, bumped || moved);
}

void txn_end(struct txn_coord *t, struct str txn_id, int64_t producer_id, int16_t epoch, bool commit, bool raise,
	     uint64_t token, int64_t now_ms)
{
	struct txn *x = txn_id.n ? txn__find(t, txn_id) : NULL;
	int16_t code = !txn_id.n ? COORD_INVALID_REQUEST
		       : !x      ? COORD_INVALID_PRODUCER_ID_MAPPING
				 : check_end(x, producer_id, epoch, commit, raise);

	if (code != 1) {
		txn__reply(t, TXN_END, token, code, x ? x->cur.pid : -1, x ? x->cur.epoch : -1);
		return;
	}
	txn__begin(x, now_ms);
	if (x->cur.state != TXN_ONGOING)
		x->next.start_ms = now_ms;
	if (!txn__prepare(t, x, commit, raise, false, now_ms)) {
		free(x->next.parts);
		free(x->next.groups);
		x->next = (struct txn_data){0};
		txn__reply(t, TXN_END, token, COORD_LOAD_IN_PROGRESS, -1, -1);
		return;
	}
	txn__answer_after(x, TXN_END, token, COORD_OK);
	txn__save(t, x, now_ms);
}

/* ---- Markers ---- */

void txn__hand_out(struct txn_coord *t, struct txn *x)
{
	const struct txn_data *d = &x->cur;
	struct txn_partition *parts = mem_alloc((d->n_parts + 1) * sizeof(*parts));
	struct str *groups = mem_alloc((d->n_groups + 1) * sizeof(*groups));
	struct txn_markers m = {x->id, d->pid,     d->epoch, d->state == TXN_PREPARE_COMMIT,
				parts, d->n_parts, groups,   d->n_groups};

	for (size_t i = 0; i < d->n_parts; i++)
		parts[i] = (struct txn_partition){d->parts[i].topic, d->parts[i].partition};
	for (size_t i = 0; i < d->n_groups; i++)
		groups[i] = d->groups[i].id;
	x->marking = true;
	coord_timer_stop(&t->timers, &x->timer);
	t->env.markers(t->env.arg, &m);
	free(parts);
	free(groups);
}

void txn_markers_done(struct txn_coord *t, struct str txn_id, int64_t producer_id, int16_t epoch, bool ok,
		      int64_t now_ms)
{
	struct txn *x = txn__find(t, txn_id);

	if (!x || !x->marking || x->saving || x->cur.pid != producer_id || x->cur.epoch != epoch)
		return;
	x->marking = false;
	if (!ok) {
		txn__set_timer(t, x, now_ms);
		return;
	}
	txn__begin(x, now_ms);
	free(x->next.parts);
	free(x->next.groups);
	x->next.parts = NULL;
	x->next.groups = NULL;
	x->next.n_parts = x->next.n_groups = 0;
	x->next.state = x->cur.state == TXN_PREPARE_COMMIT ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
	if (x->cur.next_pid >= 0) {
		x->next.last_pid = x->cur.pid;
		x->next.pid = x->cur.next_pid;
		x->next.epoch = 0;
		x->next.next_pid = -1;
	}
	txn__save(t, x, now_ms);
}
