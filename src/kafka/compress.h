/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_COMPRESS_H
#define KAFKA_COMPRESS_H

#include "base/buf.h"

/* The codecs of record batches (KAFKA_CODEC_*): gzip (RFC 1952), snappy (raw or in the framing of xerial's Java
 * library, which is what Kafka's own clients write), LZ4 frames with independent blocks, and Zstandard. Any thread. */

enum { KAFKA_LEVEL_DEFAULT = INT32_MIN };

/* Appends the compressed bytes to out. level is the codec's own or KAFKA_LEVEL_DEFAULT. Returns 0, or
 * KAFKA_WIRE_UNSUPPORTED, or KAFKA_WIRE_MEMORY when out's maximum is reached. */
int kafka_compress(int codec, int level, struct str in, struct buf *out);

/* Appends the decompressed bytes to out, whose maximum is the bound against hostile input: KAFKA_WIRE_MEMORY beyond.
 * KAFKA_WIRE_CORRUPT for damaged or incomplete input, KAFKA_WIRE_UNSUPPORTED for an unknown codec. */
int kafka_decompress(int codec, struct str in, struct buf *out);

#endif
