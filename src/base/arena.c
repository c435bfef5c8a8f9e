/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK_SIZE ((size_t)8192)
#define ALIGN ((size_t)16)
#define RESERVE_FROM ((size_t)1 << 20) /* smaller arenas keep nothing back */

struct block {
	struct block *next;
	size_t size, used;
	_Alignas(16) char data[];
};

struct cleanup {
	struct cleanup *next;
	void (*fn)(void *arg);
	void *arg;
};

struct arena {
	struct block *blocks; /* newest first */
	struct cleanup *cleanups;
	size_t total, max, reserve;
};

struct arena *arena_new(size_t max_bytes)
{
	struct arena *a = mem_zalloc(sizeof(*a));

	a->max = max_bytes;
	a->reserve = max_bytes >= RESERVE_FROM ? max_bytes / 8 : 0;
	return a;
}

static void run_cleanups(struct arena *a)
{
	while (a->cleanups) {
		struct cleanup *c = a->cleanups;

		a->cleanups = c->next;
		c->fn(c->arg);
	}
}

void arena_reset(struct arena *a)
{
	run_cleanups(a);
	while (a->blocks && a->blocks->next) {
		struct block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	if (a->blocks)
		a->blocks->used = 0;
	a->total = 0;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_reset(a);
	free(a->blocks);
	free(a);
}

static void *take(struct arena *a, size_t n, size_t max)
{
	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + ALIGN - 1) & ~(ALIGN - 1);
	if (a->total > max || n > max - a->total)
		return NULL;
	struct block *b = a->blocks;

	if (!b || b->size - b->used < n) {
		size_t size = n > BLOCK_SIZE ? n : BLOCK_SIZE;

		b = mem_try(sizeof(*b) + size);
		if (!b)
			return NULL;
		b->size = size;
		b->used = 0;
		b->next = a->blocks;
		a->blocks = b;
	}
	void *p = b->data + b->used;

	b->used += n;
	a->total += n;
	return memset(p, 0, n);
}

void *arena_try(struct arena *a, size_t n)
{
	return take(a, n, a->max - a->reserve);
}

void *arena_alloc(struct arena *a, size_t n)
{
	void *p = take(a, n, a->max);

	if (!p) {
		fputs("appia: arena exhausted\n", stderr);
		abort();
	}
	return p;
}

void *arena_array(struct arena *a, size_t size, size_t n)
{
	size_t total;

	return arena_alloc(a, __builtin_mul_overflow(size, n, &total) ? SIZE_MAX : total);
}

void arena_cleanup(struct arena *a, void (*fn)(void *arg), void *arg)
{
	struct cleanup *c = ARENA_NEW(a, struct cleanup);

	*c = (struct cleanup){a->cleanups, fn, arg};
	a->cleanups = c;
}

char *arena_cstr(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (s.n)
		memcpy(p, s.p, s.n);
	return p;
}

struct str arena_str(struct arena *a, struct str s)
{
	return s.p ? (struct str){arena_cstr(a, s), s.n} : STR_NONE;
}

struct str arena_vfmt(struct arena *a, const char *fmt, va_list ap)
{
	va_list again;

	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);

	if (n < 0)
		n = 0;
	char *p = arena_alloc(a, (size_t)n + 1);

	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return (struct str){p, (size_t)n};
}

struct str arena_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	struct str s = arena_vfmt(a, fmt, ap);

	va_end(ap);
	return s;
}

struct str arena_join(struct arena *a, const struct str *parts, size_t n, struct str sep)
{
	size_t total = 0;

	for (size_t i = 0; i < n; i++)
		total += parts[i].n + (i ? sep.n : 0);
	char *p = arena_alloc(a, total + 1), *w = p;

	for (size_t i = 0; i < n; i++) {
		if (i && sep.n) {
			memcpy(w, sep.p, sep.n);
			w += sep.n;
		}
		if (parts[i].n)
			memcpy(w, parts[i].p, parts[i].n);
		w += parts[i].n;
	}
	return (struct str){p, total};
}
