/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

#include <stdarg.h>
#include <stdint.h>

/* A growable buffer with its maximum built in. Going past the maximum (or out of memory) sets "failed", keeps what
 * was written before and makes every further write a no-op: check once, at the end. One thread at a time. */
struct buf {
	char *p;
	size_t n, cap, max;
	bool failed;
};

void buf_init(struct buf *b, size_t max);
/* Frees; the buffer may be initialised again. */
void buf_done(struct buf *b);
/* Keeps the memory, forgets the content and the failure. */
void buf_reset(struct buf *b);

void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_cstr(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_int(struct buf *b, long long v);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Room for n more bytes, for a writer of its own: it adds to b->n what it has written. NULL (and failed) when that
 * would pass the maximum. Valid until the next write. */
char *buf_reserve(struct buf *b, size_t n);

/* Little-endian integers, for our own binary layouts. */
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
/* Overwrites four bytes written before, at offset at. */
void buf_put_u32(struct buf *b, size_t at, uint32_t v);

/* The content, valid until the next write; NUL-terminated behind the last byte. */
struct str buf_view(struct buf *b);

#endif
