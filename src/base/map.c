/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/mem.h"
#include "base/rnd.h"

#include <assert.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

struct slot {
	struct str key;
	void *value; /* NULL: never used; &tombstone: deleted */
	uint64_t hash;
};

struct map {
	struct slot *slots;
	size_t cap, used, live; /* used counts tombstones too */
};

static char tombstone;
static uint64_t seed[2];
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
	rnd_bytes(seed, sizeof(seed));
}

static uint64_t rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

/* SipHash-1-3 (Aumasson, Bernstein). */
unsigned long long map_hash(struct str key)
{
	pthread_once(&seeded, make_seed);
	uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du, seed[0] ^ 0x6c7967656e657261u,
	                 seed[1] ^ 0x7465646279746573u};
	size_t i = 0;
	uint64_t m;

	for (; i + 8 <= key.n; i += 8) {
		memcpy(&m, key.p + i, 8);
		v[3] ^= m;
		sip_round(v);
		v[0] ^= m;
	}
	m = (uint64_t)key.n << 56;
	for (size_t k = 0; i + k < key.n; k++)
		m |= (uint64_t)(unsigned char)key.p[i + k] << (8 * k);
	v[3] ^= m;
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (int r = 0; r < 3; r++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *map_new(void)
{
	return mem_zalloc(sizeof(struct map));
}

void map_free(struct map *m)
{
	if (!m)
		return;
	free(m->slots);
	free(m);
}

size_t map_count(const struct map *m)
{
	return m->live;
}

static struct slot *find(const struct map *m, struct str key, uint64_t hash)
{
	if (!m->cap)
		return NULL;
	for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
		struct slot *s = &m->slots[i];

		if (!s->value)
			return NULL;
		if (s->value != &tombstone && s->hash == hash && str_eq(s->key, key))
			return s;
	}
}

static void insert(struct map *m, struct str key, void *value, uint64_t hash)
{
	size_t i = hash & (m->cap - 1);

	while (m->slots[i].value)
		i = (i + 1) & (m->cap - 1);
	m->slots[i] = (struct slot){key, value, hash};
	m->used++;
}

static void grow(struct map *m)
{
	struct slot *old = m->slots;
	size_t n = m->cap;

	m->cap = m->live * 4 < 16 ? 16 : n;
	while (m->cap < m->live * 4)
		m->cap *= 2;
	m->slots = mem_zalloc(m->cap * sizeof(*m->slots));
	m->used = 0;
	for (size_t i = 0; i < n; i++)
		if (old[i].value && old[i].value != &tombstone)
			insert(m, old[i].key, old[i].value, old[i].hash);
	free(old);
}

void *map_get(const struct map *m, struct str key)
{
	struct slot *s = find(m, key, map_hash(key));

	return s ? s->value : NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
	uint64_t hash = map_hash(key);
	struct slot *s = find(m, key, hash);

	assert(value);
	if (s) {
		void *old = s->value;

		s->key = key;
		s->value = value;
		return old;
	}
	if ((m->used + 1) * 2 > m->cap)
		grow(m);
	insert(m, key, value, hash);
	m->live++;
	return NULL;
}

void *map_del(struct map *m, struct str key)
{
	struct slot *s = find(m, key, map_hash(key));

	if (!s)
		return NULL;
	void *old = s->value;

	s->value = &tombstone;
	m->live--;
	return old;
}

bool map_next(const struct map *m, size_t *at, struct str *ret_key, void **ret_value)
{
	for (; *at < m->cap; (*at)++) {
		struct slot *s = &m->slots[*at];

		if (!s->value || s->value == &tombstone)
			continue;
		if (ret_key)
			*ret_key = s->key;
		*ret_value = s->value;
		(*at)++;
		return true;
	}
	return false;
}
