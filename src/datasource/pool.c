/* SPDX-License-Identifier: Apache-2.0 */
#include "datasource/driver.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* How long a call waits for a connection that others use, whatever its deadline. */
#define WAIT_MS 5000
/* Sources without connections are forgotten once there are more than this many. */
#define MAX_SOURCES 1024

struct source {
	char id[65];
	unsigned n;                   /* connections, idle or in use */
	struct datasource_conn *idle; /* most recently used first */
};

struct datasource_pool {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct map *sources;
	unsigned max;
	int64_t idle_ms;
};

struct datasource_pool *datasource_pool_new(unsigned max_per_source, int64_t idle_ms)
{
	struct datasource_pool *pool = mem_zalloc(sizeof(*pool));
	pthread_condattr_t attr;

	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->freed, &attr);
	pthread_condattr_destroy(&attr);
	pool->sources = map_new();
	pool->max = max_per_source ? max_per_source : 1;
	pool->idle_ms = idle_ms;
	return pool;
}

static void close_list(struct datasource_conn *list)
{
	while (list) {
		struct datasource_conn *next = list->next;

		list->driver->close(list);
		list = next;
	}
}

void datasource_pool_free(struct datasource_pool *pool)
{
	size_t at = 0;
	void *value;
	struct str key;

	if (!pool)
		return;
	while (map_next(pool->sources, &at, &key, &value)) {
		struct source *s = value;

		close_list(s->idle);
		free(s);
	}
	map_free(pool->sources);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->freed);
	free(pool);
}

/* Moves idle connections that are too old, or not of the version (-1: any), to *dead. */
static void expire(struct datasource_pool *pool, struct source *s, const int64_t *version,
		   struct datasource_conn **dead)
{
	int64_t now = clock_mono_ms();
	struct datasource_conn **at = &s->idle;

	while (*at) {
		struct datasource_conn *c = *at;

		if ((version && c->version != *version) || now - c->used_ms > pool->idle_ms) {
			*at = c->next;
			c->next = *dead;
			*dead = c;
			s->n--;
		} else {
			at = &c->next;
		}
	}
}

/* Closes what is idle too long everywhere and forgets empty sources. Called with the lock held. */
static void sweep(struct datasource_pool *pool, struct datasource_conn **dead)
{
	struct source *empty[64];
	size_t n_empty = 0, at = 0;
	struct str key;
	void *value;

	while (map_next(pool->sources, &at, &key, &value)) {
		struct source *s = value;

		expire(pool, s, NULL, dead);
		if (s->n == 0 && map_count(pool->sources) > MAX_SOURCES && n_empty < ARRAY_LEN(empty))
			empty[n_empty++] = s;
	}
	for (size_t i = 0; i < n_empty; i++) {
		map_del(pool->sources, str_of(empty[i]->id));
		free(empty[i]);
	}
}

static struct source *source_get(struct datasource_pool *pool, struct str id)
{
	struct source *s = map_get(pool->sources, id);

	if (s)
		return s;
	s = mem_zalloc(sizeof(*s));
	memcpy(s->id, id.p, id.n);
	map_put(pool->sources, str_of(s->id), s);
	return s;
}

/* Takes an idle connection (*ret set) or the right to open one (*ret NULL). */
static int reserve(struct datasource_pool *pool, const struct datasource_config *config, int64_t deadline_ms,
                   struct datasource_conn **ret, struct datasource_conn **dead, struct err *err)
{
	int64_t until_ms = clock_mono_ms() + WAIT_MS;

	if (until_ms > deadline_ms)
		until_ms = deadline_ms;
	struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
	int code = 0;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct source *s = source_get(pool, config->id);

		expire(pool, s, &config->version, dead);
		*ret = s->idle;
		if (s->idle) {
			s->idle = s->idle->next;
			break;
		}
		if (s->n < pool->max) {
			s->n++;
			break;
		}
		if (pthread_cond_timedwait(&pool->freed, &pool->lock, &until) == ETIMEDOUT) {
			code = err_set_retriable(err, ERR_APPIA_0503_POOL_EXHAUSTED, NULL);
			break;
		}
	}
	pthread_mutex_unlock(&pool->lock);
	return code;
}

static void release(struct datasource_pool *pool, struct str id)
{
	pthread_mutex_lock(&pool->lock);
	struct source *s = map_get(pool->sources, id);

	if (s)
		s->n--;
	pthread_cond_broadcast(&pool->freed);
	pthread_mutex_unlock(&pool->lock);
}

int datasource_pool_get(struct datasource_pool *pool, const struct datasource_config *config, int64_t deadline_ms,
                        struct datasource_conn **ret, struct err *err)
{
	const struct datasource_driver *driver;
	struct datasource_conn *conn, *dead = NULL;
	int code = datasource_driver_get(config->type, &driver, err);

	if (code)
		return code;
	if (!config->id.n || config->id.n > 64 || memchr(config->id.p, 0, config->id.n))
		return err_set_text(err, ERR_APPIA_0400, "The data source has no valid ID.");
	for (;;) {
		code = reserve(pool, config, deadline_ms, &conn, &dead, err);
		close_list(dead);
		dead = NULL;
		if (code)
			return code;
		if (!conn)
			break;
		if (conn->driver == driver && driver->alive(conn)) {
			*ret = conn;
			return 0;
		}
		datasource_pool_put(pool, conn, false);
	}
	code = driver->connect(config, deadline_ms, &conn, err);
	if (code) {
		release(pool, config->id);
		return code;
	}
	conn->next = NULL;
	conn->version = config->version;
	memcpy(conn->id, config->id.p, config->id.n);
	conn->id[config->id.n] = 0;
	*ret = conn;
	return 0;
}

void datasource_pool_put(struct datasource_pool *pool, struct datasource_conn *conn, bool usable)
{
	struct datasource_conn *dead = NULL;

	if (!usable || !conn->driver->alive(conn)) {
		release(pool, str_of(conn->id));
		conn->driver->close(conn);
		return;
	}
	conn->used_ms = clock_mono_ms();
	pthread_mutex_lock(&pool->lock);
	struct source *s = source_get(pool, str_of(conn->id));

	conn->next = s->idle;
	s->idle = conn;
	if (map_count(pool->sources) > MAX_SOURCES || (conn->used_ms & 1023) == 0)
		sweep(pool, &dead);
	pthread_cond_signal(&pool->freed);
	pthread_mutex_unlock(&pool->lock);
	close_list(dead);
}

size_t datasource_pool_count(struct datasource_pool *pool)
{
	struct datasource_conn *dead = NULL;
	size_t at = 0, n = 0;
	struct str key;
	void *value;

	pthread_mutex_lock(&pool->lock);
	sweep(pool, &dead);
	while (map_next(pool->sources, &at, &key, &value))
		n += ((struct source *)value)->n;
	pthread_mutex_unlock(&pool->lock);
	close_list(dead);
	return n;
}
