/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

#include <stdarg.h>

/* One lifetime as a place: everything of a request is allocated here and goes at once. Blocks are 16-byte aligned and
 * zeroed. One thread at a time. */
struct arena;

/* max_bytes bounds the sum of all allocations. Aborts when memory is out. */
struct arena *arena_new(size_t max_bytes);

/* Runs the cleanups in reverse order, frees everything. NULL is legal. */
void arena_free(struct arena *a);

/* As arena_free(), but keeps one block for the next round. */
void arena_reset(struct arena *a);

/* Never NULL: aborts on exhausted memory or on passing max_bytes. For sizes our own code decides. */
void *arena_alloc(struct arena *a, size_t n);

/* As arena_alloc(), for n elements; an overflow of their product is exhaustion too. */
void *arena_array(struct arena *a, size_t size, size_t n);

/* NULL when memory or max_bytes is exhausted. For sizes that come from outside: in arenas of 1 MiB and more it leaves
 * an eighth to arena_alloc(), so that nobody can fill an arena to the brim and make the next small allocation abort. */
void *arena_try(struct arena *a, size_t n);

/* Non-memory resources: fn(arg) runs when the arena goes. */
void arena_cleanup(struct arena *a, void (*fn)(void *arg), void *arg);

/* Copies into the arena, NUL-terminated behind the n bytes. STR_NONE stays STR_NONE. */
struct str arena_str(struct arena *a, struct str s);
char *arena_cstr(struct arena *a, struct str s);
struct str arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct str arena_vfmt(struct arena *a, const char *fmt, va_list ap);

/* Concatenation of n strings. */
struct str arena_join(struct arena *a, const struct str *parts, size_t n, struct str sep);

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_array((a), sizeof(type), (n)))

#endif
