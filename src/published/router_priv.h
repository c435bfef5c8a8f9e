/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PUBLISHED_ROUTER_PRIV_H
#define PUBLISHED_ROUTER_PRIV_H

#include "base/str.h"

#include <endian.h>
#include <stdint.h>

/* Layout of a compiled router. Integers are little-endian u32 (the child key: u64) at any alignment; offsets count from
 * the value's start, 0 is "none".
 *
 *   header  magic, longest path in segments, offset of the root node
 *   node    number of literal children, their offset, {x} child, then three tables: routes that end here, routes that
 *           end here with {x+}, prefixes
 *   child   key (router__key()), length, offset of the segment, node; sorted by key, length, bytes
 *   table   number of methods, then per method: length, offset of the name, leaf; length 0 is ANY
 *   leaf    length and offset of the API's id, number of parameters, then per parameter: segment (with
 *           ROUTER_REST: from there to the end), length and offset of the name
 */
#define ROUTER_MAGIC 0x32525041u /* "APR2" */
#define ROUTER_REST 0x80000000u

enum {
	ROUTER_HEADER_SIZE = 12,
	ROUTER_NODE_SIZE = 24,
	ROUTER_CHILD_SIZE = 20,
	ROUTER_ENTRY_SIZE = 12,
};

/* A bijection (the finalizer of MurmurHash3). */
static inline uint64_t router__mix(uint64_t v)
{
	v = (v ^ (v >> 33)) * UINT64_C(0xff51afd7ed558ccd);
	v = (v ^ (v >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
	return v ^ (v >> 33);
}

/* Spread evenly, so that a guess at a child's place is mostly near it. Segments of up to eight bytes with the same key
 * and length are equal. Longer ones may be chosen to share a key; that makes their search slower, not wrong. */
static inline uint64_t router__key(struct str s)
{
	uint64_t key = 0, word = 0;

	for (; s.n > 8; s.p += 8, s.n -= 8) {
		memcpy(&word, s.p, 8);
		key = router__mix(key ^ le64toh(word));
	}
	word = 0;
	memcpy(&word, s.p, s.n);
	return router__mix(key ^ le64toh(word));
}

#endif
