/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/txn/txn_priv.h"

#include "base/mem.h"

/* Keys: u8 1, u8 kind; 'X' and the transactional id, or 'P' for the end of the reserved producer ids.
 * Values: u8 1, then the fields below. */

enum { LAYOUT = 1 };

void txn__key(struct buf *key, struct str id)
{
	buf_u8(key, LAYOUT);
	buf_char(key, 'X');
	coord_put_str(key, id);
}

void txn__put_block(struct buf *key, struct buf *value, int64_t end)
{
	buf_u8(key, LAYOUT);
	buf_char(key, 'P');
	buf_u8(value, LAYOUT);
	buf_u64(value, (uint64_t)end);
}

void txn__put(struct buf *key, struct buf *value, struct str id, const struct txn_data *d)
{
	txn__key(key, id);
	buf_u8(value, LAYOUT);
	buf_u64(value, (uint64_t)d->pid);
	buf_u64(value, (uint64_t)d->last_pid);
	buf_u64(value, (uint64_t)d->next_pid);
	buf_u16(value, (uint16_t)d->epoch);
	buf_u16(value, (uint16_t)d->last_epoch);
	buf_u32(value, (uint32_t)d->timeout_ms);
	buf_u8(value, (uint8_t)d->state);
	buf_u64(value, (uint64_t)d->start_ms);
	buf_u64(value, (uint64_t)d->update_ms);
	buf_u32(value, (uint32_t)d->n_parts);
	for (size_t i = 0; i < d->n_parts; i++) {
		coord_put_str(value, d->parts[i].topic);
		buf_u32(value, (uint32_t)d->parts[i].partition);
	}
	buf_u32(value, (uint32_t)d->n_groups);
	for (size_t i = 0; i < d->n_groups; i++)
		coord_put_str(value, d->groups[i].id);
}

static void read_lists(struct cursor *c, struct txn_data *d)
{
	uint32_t n = cursor_u32(c);

	if (c->failed || (uint64_t)n * 8 > cursor_left(c)) {
		c->failed = true;
		return;
	}
	d->parts = mem_zalloc((n + 1) * sizeof(*d->parts));
	for (; d->n_parts < n; d->n_parts++) {
		d->parts[d->n_parts].topic = coord_own(cursor_str(c));
		d->parts[d->n_parts].partition = (int32_t)cursor_u32(c);
	}
	if (n)
		qsort(d->parts, n, sizeof(*d->parts), txn__part_cmp);
	n = cursor_u32(c);
	if (c->failed || (uint64_t)n * 4 > cursor_left(c)) {
		c->failed = true;
		return;
	}
	d->groups = mem_zalloc((n + 1) * sizeof(*d->groups));
	for (; d->n_groups < n; d->n_groups++)
		d->groups[d->n_groups].id = coord_own(cursor_str(c));
}

static bool read_data(struct str value, struct txn_data *d)
{
	struct cursor c = cursor_of(value);
	bool known = cursor_u8(&c) == LAYOUT;

	d->pid = (int64_t)cursor_u64(&c);
	d->last_pid = (int64_t)cursor_u64(&c);
	d->next_pid = (int64_t)cursor_u64(&c);
	d->epoch = (int16_t)cursor_u16(&c);
	d->last_epoch = (int16_t)cursor_u16(&c);
	d->timeout_ms = (int32_t)cursor_u32(&c);
	uint8_t state = cursor_u8(&c);

	d->state = (enum txn_state)state;
	d->start_ms = (int64_t)cursor_u64(&c);
	d->update_ms = (int64_t)cursor_u64(&c);
	read_lists(&c, d);
	return !c.failed && known && state < TXN_STATES && !cursor_left(&c) && d->timeout_ms >= 0;
}

static int replay_block(struct txn_coord *t, struct str value)
{
	struct cursor c = cursor_of(value);
	bool known = cursor_u8(&c) == LAYOUT;
	int64_t end = (int64_t)cursor_u64(&c);

	if (c.failed || !known || cursor_left(&c) || end < 0)
		return -1;
	if (end > t->reserved)
		t->reserved = end;
	return 0;
}

int txn_replay(struct txn_coord *t, struct coord_record rec)
{
	struct cursor c = cursor_of(rec.key);
	uint8_t layout = cursor_u8(&c), kind = cursor_u8(&c);

	if (c.failed || layout != LAYOUT || t->loaded)
		return -1;
	if (kind == 'P')
		return cursor_left(&c) || !rec.value.p ? -1 : replay_block(t, rec.value);
	struct str id = cursor_str(&c);
	struct txn *x = kind == 'X' && id.n ? txn__find(t, id) : NULL;

	if (kind != 'X' || c.failed || cursor_left(&c) || !id.n)
		return -1;
	if (!rec.value.p) {
		if (x)
			txn__drop(t, x);
		return 0;
	}
	struct txn_data d = {0};

	if (!read_data(rec.value, &d) || (!x && !(x = txn__make(t, id)))) {
		txn__free_data(&d);
		return -1;
	}
	txn__free_data(&x->cur);
	x->cur = d;
	txn__count(t, x);
	return 0;
}

void txn_snapshot(struct txn_coord *t, coord_record_f *fn, void *arg)
{
	struct buf key, value;
	struct str name;
	void *v;

	buf_init(&key, SIZE_MAX / 2);
	buf_init(&value, SIZE_MAX / 2);
	txn__put_block(&key, &value, t->reserved);
	fn(arg, (struct coord_record){buf_view(&key), buf_view(&value)});
	for (size_t at = 0; map_next(t->ids, &at, &name, &v);) {
		const struct txn *x = v;

		if (x->cur.pid < 0)
			continue;
		buf_reset(&key);
		buf_reset(&value);
		txn__put(&key, &value, x->id, &x->cur);
		fn(arg, (struct coord_record){buf_view(&key), buf_view(&value)});
	}
	buf_done(&key);
	buf_done(&value);
}
