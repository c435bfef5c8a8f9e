/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* Allocation for daemons: these abort the process when memory is out, so they never return NULL. Sizes that come
 * from outside are checked against a limit before they get here. Free with free(). Any thread. */
void *mem_alloc(size_t n);
void *mem_zalloc(size_t n);
void *mem_realloc(void *p, size_t n);
char *mem_strdup(const char *s);

/* Returns NULL when memory is out, for code that runs inside a host process (nginx, mosquitto). */
void *mem_try(size_t n);

/* Test hook: the n-th next mem_try() fails (n == 1: the next one). 0 switches it off. Not thread-safe. */
void mem_fail_after(unsigned n);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
