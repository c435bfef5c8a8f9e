/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_priv.h"

#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct waiter {
	struct waiter *next;
	pthread_cond_t woken;
	void *thing;
};

struct store_pool {
	pthread_mutex_t lock;
	void **things;
	size_t n, cap;
	struct waiter *first, **last;
};

struct store_pool *store__pool_new(void)
{
	struct store_pool *pool = mem_zalloc(sizeof(*pool));

	pthread_mutex_init(&pool->lock, NULL);
	pool->last = &pool->first;
	return pool;
}

void store__pool_free(struct store_pool *pool)
{
	if (!pool)
		return;
	pthread_mutex_destroy(&pool->lock);
	free(pool->things);
	free(pool);
}

static void unlink_first(struct store_pool *pool)
{
	pool->first = pool->first->next;
	if (!pool->first)
		pool->last = &pool->first;
}

void store__pool_give(struct store_pool *pool, void *thing)
{
	pthread_mutex_lock(&pool->lock);
	if (pool->first) {
		/* Handed over, so that nobody can overtake the one who waits longest. */
		pool->first->thing = thing;
		pthread_cond_signal(&pool->first->woken);
		unlink_first(pool);
	} else {
		if (pool->n == pool->cap) {
			pool->cap = pool->cap ? pool->cap * 2 : 8;
			pool->things = mem_realloc(pool->things, pool->cap * sizeof(*pool->things));
		}
		pool->things[pool->n++] = thing;
	}
	pthread_mutex_unlock(&pool->lock);
}

static void leave_queue(struct store_pool *pool, struct waiter *self)
{
	struct waiter **at = &pool->first;

	while (*at != self)
		at = &(*at)->next;
	*at = self->next;
	if (!*at)
		pool->last = at;
}

static void *queue_up(struct store_pool *pool, int wait_ms)
{
	struct waiter self = {0};
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += wait_ms / 1000;
	until.tv_nsec += (wait_ms % 1000) * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_cond_init(&self.woken, NULL);
	*pool->last = &self;
	pool->last = &self.next;
	while (!self.thing) {
		if (pthread_cond_clockwait(&self.woken, &pool->lock, CLOCK_MONOTONIC, &until) != 0 && !self.thing) {
			leave_queue(pool, &self);
			break;
		}
	}
	pthread_cond_destroy(&self.woken);
	return self.thing;
}

void *store__pool_take(struct store_pool *pool, int wait_ms)
{
	void *thing;

	pthread_mutex_lock(&pool->lock);
	thing = pool->n > 0 ? pool->things[--pool->n] : queue_up(pool, wait_ms);
	pthread_mutex_unlock(&pool->lock);
	return thing;
}
