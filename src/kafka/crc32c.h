/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_CRC32C_H
#define KAFKA_CRC32C_H

#include "base/str.h"

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4), with the CPU's instruction where there is one. Any thread. */
uint32_t kafka_crc32c(const void *p, size_t n);

/* The CRC of longer data from that of its beginning. crc of nothing is 0. */
uint32_t kafka_crc32c_extend(uint32_t crc, const void *p, size_t n);

/* The CRC of data after some bytes in it have changed, without reading the rest: delta is old XOR new of the n bytes
 * that changed, after is how many bytes follow them. */
uint32_t kafka_crc32c_patch(uint32_t crc, const void *delta, size_t n, uint64_t after);

/* The way without the CPU's instruction, for tests. */
uint32_t kafka_crc32c_soft(const void *p, size_t n);

#endif
