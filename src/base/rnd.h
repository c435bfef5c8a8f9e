/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_RND_H
#define BASE_RND_H

#include "base/arena.h"

/* Unpredictable bytes from the kernel (getrandom). Any thread. */
void rnd_bytes(void *p, size_t n);

/* A fresh 128-bit id: 32 lower-case hex digits, or the 36 characters of a version 4 UUID. NUL-terminated. */
struct str rnd_id(struct arena *a);
struct str rnd_uuid(struct arena *a);

/* n characters drawn evenly from alphabet, for keys, secrets and passwords. */
struct str rnd_text(struct arena *a, size_t n, const char *alphabet);

#endif
