/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include "base/str.h"

#include <stdint.h>

/* Reads bytes that may be hostile: cannot pass its end, remembers its first failure and from then on returns zeros
 * and empty strings, so a parser needs one check, at the bottom. Integers are little-endian. */
struct cursor {
	const unsigned char *p, *end;
	bool failed;
};

static inline struct cursor cursor_of(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	return (struct cursor){p, p ? p + s.n : p, false};
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static inline bool cursor_need(struct cursor *c, size_t n)
{
	if (c->failed || cursor_left(c) < n) {
		c->failed = true;
		return false;
	}
	return true;
}

static inline uint64_t cursor_le(struct cursor *c, size_t bytes)
{
	uint64_t v = 0;

	if (!cursor_need(c, bytes))
		return 0;
	for (size_t i = 0; i < bytes; i++)
		v |= (uint64_t)c->p[i] << (8 * i);
	c->p += bytes;
	return v;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
	return (uint8_t)cursor_le(c, 1);
}

static inline uint16_t cursor_u16(struct cursor *c)
{
	return (uint16_t)cursor_le(c, 2);
}

static inline uint32_t cursor_u32(struct cursor *c)
{
	return (uint32_t)cursor_le(c, 4);
}

static inline uint64_t cursor_u64(struct cursor *c)
{
	return cursor_le(c, 8);
}

/* The next n bytes, not copied. */
static inline struct str cursor_bytes(struct cursor *c, size_t n)
{
	if (!cursor_need(c, n))
		return STR("");
	struct str s = {(const char *)c->p, n};

	c->p += n;
	return s;
}

/* u32 length, then bytes. 0xffffffff is STR_NONE. */
static inline struct str cursor_str(struct cursor *c)
{
	uint32_t n = cursor_u32(c);

	return n == UINT32_MAX ? STR_NONE : cursor_bytes(c, n);
}

#endif
