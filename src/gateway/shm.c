/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

/* An open-addressing table that only grows. A worker that dies while it makes a cell leaves that one cell unusable and
 * nothing else: there is no lock to be left held. */
enum { CELL_FREE, CELL_CLAIMED, CELL_READY };

#define PROBES 64

struct table {
	size_t n;
	_Atomic uint64_t lost; /* keys that found no cell */
	struct gateway_cell cells[];
};

static struct table *table;

#define LOCK_AFTER 5
#define LOCK_MS INT64_C(300000)

ngx_int_t gateway_shm_init(ngx_shm_zone_t *zone, void *old)
{
	ngx_slab_pool_t *slab = (ngx_slab_pool_t *)zone->shm.addr;

	if (old) {
		zone->data = table = old;
		return NGX_OK;
	}
	if (zone->shm.exists) {
		zone->data = table = slab->data;
		return NGX_OK;
	}
	/* The slab keeps about one part in a hundred for itself. */
	size_t bytes = zone->shm.size - zone->shm.size / 32 - 4 * ngx_pagesize; /* whole pages, so aligned */
	struct table *t = ngx_slab_calloc(slab, bytes);

	if (!t)
		return NGX_ERROR;
	t->n = (bytes - sizeof(*t)) / sizeof(t->cells[0]);
	slab->data = t;
	zone->data = table = t;
	return NGX_OK;
}

static bool cell_is(const struct gateway_cell *cell, struct str key, uint32_t hash)
{
	return cell->hash == hash && strncmp(cell->key, key.p, key.n) == 0 && cell->key[key.n] == '\0';
}

/* May make a second cell for a key when two workers meet it first at the same time; readers add them up. */
static bool claim(struct gateway_cell *cell, struct str key, uint32_t hash)
{
	uint32_t state = CELL_FREE;

	if (!atomic_compare_exchange_strong(&cell->state, &state, CELL_CLAIMED))
		return false;
	cell->hash = hash;
	memcpy(cell->key, key.p, key.n);
	cell->key[key.n] = '\0';
	atomic_store_explicit(&cell->state, CELL_READY, memory_order_release);
	return true;
}

static struct gateway_cell *find(struct str key, bool make)
{
	if (!table || !table->n || key.n >= sizeof(table->cells[0].key))
		return NULL;
	uint32_t hash = ngx_murmur_hash2(gateway_ngx(key).data, key.n);

	for (size_t i = 0; i < PROBES; i++) {
		struct gateway_cell *cell = &table->cells[(hash + i) % table->n];
		uint32_t state = atomic_load_explicit(&cell->state, memory_order_acquire);

		if (state == CELL_READY && cell_is(cell, key, hash))
			return cell;
		if (state == CELL_FREE && !make)
			return NULL;
		if (state == CELL_FREE && claim(cell, key, hash))
			return cell;
	}
	if (make)
		atomic_fetch_add_explicit(&table->lost, 1, memory_order_relaxed);
	return NULL;
}

void gateway_shm_prefetch(struct str key)
{
	if (!table || !table->n)
		return;
	const struct gateway_cell *cell = &table->cells[ngx_murmur_hash2(gateway_ngx(key).data, key.n) % table->n];

	__builtin_prefetch(cell, 1);
	__builtin_prefetch((const char *)cell + 64, 1);
}

struct gateway_cell *gateway_shm_cell(struct str key)
{
	return find(key, true);
}

size_t gateway_shm_cells(struct gateway_cell **ret)
{
	*ret = table ? table->cells : NULL;
	return table ? table->n : 0;
}

uint64_t gateway_shm_lost(void)
{
	return table ? atomic_load(&table->lost) : 0;
}

/* One word holds the window's number (high half) and its count. */
bool gateway_shm_limit(struct str key, int64_t now_ms, int64_t window_ms, uint32_t max)
{
	struct gateway_cell *cell = find(key, true);
	uint64_t window = (uint64_t)(now_ms / window_ms) & UINT32_MAX;

	if (!cell)
		return true;
	uint64_t old = atomic_load(&cell->counts[0]), new;

	do {
		uint64_t count = old >> 32 == window ? old & UINT32_MAX : 0;

		if (count >= max)
			return false;
		new = window << 32 | (count + 1);
	} while (!atomic_compare_exchange_weak(&cell->counts[0], &old, new));
	return true;
}

/* counts[0]: failures in a row; counts[1]: locked until (ms). */
bool gateway_shm_locked(struct str key, int64_t now_ms)
{
	struct gateway_cell *cell = find(key, false);

	return cell && (int64_t)atomic_load(&cell->counts[1]) > now_ms;
}

void gateway_shm_note(struct str key, bool ok, int64_t now_ms)
{
	struct gateway_cell *cell = find(key, !ok);

	if (!cell)
		return;
	if (ok) {
		if (atomic_load_explicit(&cell->counts[0], memory_order_relaxed))
			atomic_store(&cell->counts[0], 0);
		return;
	}
	if (atomic_fetch_add(&cell->counts[0], 1) + 1 < LOCK_AFTER)
		return;
	atomic_store(&cell->counts[0], 0);
	atomic_store(&cell->counts[1], (uint64_t)(now_ms + LOCK_MS));
}
