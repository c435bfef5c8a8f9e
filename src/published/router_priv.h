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
 *   child   key (first 8 bytes of the segment, big-endian, zero-padded), length, offset of the segment, node;
 *           sorted by key, length, bytes
 *   table   number of methods, then per method: length, offset of the name, leaf; length 0 is ANY
 *   leaf    length and offset of the API's id, number of parameters, then per parameter: segment (with
 *           ROUTER_REST: from there to the end), length and offset of the name
 */
#define ROUTER_MAGIC 0x31525041u /* "APR1" */
#define ROUTER_REST 0x80000000u

enum {
	ROUTER_HEADER_SIZE = 12,
	ROUTER_NODE_SIZE = 24,
	ROUTER_CHILD_SIZE = 20,
	ROUTER_ENTRY_SIZE = 12,
};

/* First eight bytes, so that comparing integers orders as memcmp() does. */
static inline uint64_t router__key(struct str s)
{
	unsigned char b[8] = {0};
	uint64_t key;

	memcpy(b, s.p, s.n < 8 ? s.n : 8);
	memcpy(&key, b, 8);
	return be64toh(key);
}

#endif
