/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

/* Hash table from strings to pointers. Keys are not copied and must outlive the entry. Iteration order is not
 * defined. One thread at a time. */
struct map;

struct map *map_new(void);
/* Frees the table, not the values. NULL is legal. */
void map_free(struct map *m);
size_t map_count(const struct map *m);
/* NULL when absent. */
void *map_get(const struct map *m, struct str key);
/* Returns the value that was there before, or NULL. value must not be NULL. */
void *map_put(struct map *m, struct str key, void *value);
/* Returns the removed value, or NULL. */
void *map_del(struct map *m, struct str key);
/* Walks all entries: start with *at == 0. False at the end. Nothing may be put meanwhile. ret_key may be NULL. */
bool map_next(const struct map *m, size_t *at, struct str *ret_key, void **ret_value);

/* 64-bit hash keyed per process, so that outsiders cannot choose collisions. */
unsigned long long map_hash(struct str key);

#endif
