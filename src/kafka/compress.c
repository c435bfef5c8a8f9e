/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/compress.h"

#include "kafka/wire.h"
#include "kafka_msg.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#define CHUNK 65536u
#define SNAPPY_BLOCK 32768u

/* xerial's framing: this, two int32 versions, then blocks with an int32 length each. */
static const char snappy_magic[8] = {(char)0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

/* Room for the next piece of output, less at the end of what the buffer may hold. */
static char *next_room(struct buf *out, size_t *ret_n)
{
	size_t left = out->max - out->n, n = left < CHUNK ? left : CHUNK;

	if (!n || out->failed)
		return NULL;
	*ret_n = n;
	return buf_reserve(out, n);
}

static int gunzip(struct str in, struct buf *out)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n};
	int code = 0, zc = Z_OK;

	if (inflateInit2(&z, 15 + 16) != Z_OK)
		return KAFKA_WIRE_MEMORY;
	while (!code) {
		size_t room = 0;
		char *p = next_room(out, &room);
		char spare;

		/* With a full buffer one more byte of output is one too many, but the end may still come. */
		z.next_out = (Bytef *)(p ? p : &spare);
		z.avail_out = p ? (uInt)room : 1;
		zc = inflate(&z, Z_NO_FLUSH);
		if (p)
			out->n += room - z.avail_out;
		else if (!z.avail_out)
			code = KAFKA_WIRE_MEMORY;
		if (zc == Z_STREAM_END && !z.avail_in)
			break;
		if (zc == Z_STREAM_END) /* members can follow each other */
			zc = inflateReset(&z);
		if (zc != Z_OK)
			code = code ? code : KAFKA_WIRE_CORRUPT;
	}
	inflateEnd(&z);
	return code;
}

static int gzip(int level, struct str in, struct buf *out)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)in.p, .avail_in = (uInt)in.n};

	if (deflateInit2(&z, level == KAFKA_LEVEL_DEFAULT ? Z_DEFAULT_COMPRESSION : level, Z_DEFLATED, 15 + 16, 8,
		Z_DEFAULT_STRATEGY) != Z_OK)
		return KAFKA_WIRE_MEMORY;
	size_t bound = deflateBound(&z, in.n);
	char *p = buf_reserve(out, bound);
	int code = KAFKA_WIRE_MEMORY;

	if (p) {
		z.next_out = (Bytef *)p;
		z.avail_out = (uInt)bound;
		code = deflate(&z, Z_FINISH) == Z_STREAM_END ? 0 : KAFKA_WIRE_MEMORY;
		out->n += bound - z.avail_out;
	}
	deflateEnd(&z);
	return code;
}

static int unsnappy_block(struct str in, struct buf *out)
{
	size_t n = 0;

	/* Three bytes of input make at most 64 of output; who claims more lies. */
	if (snappy_uncompressed_length(in.p, in.n, &n) != SNAPPY_OK || n > in.n * 64)
		return KAFKA_WIRE_CORRUPT;
	if (!n)
		return snappy_validate_compressed_buffer(in.p, in.n) == SNAPPY_OK ? 0 : KAFKA_WIRE_CORRUPT;
	char *p = buf_reserve(out, n);

	if (!p)
		return KAFKA_WIRE_MEMORY;
	if (snappy_uncompress(in.p, in.n, p, &n) != SNAPPY_OK)
		return KAFKA_WIRE_CORRUPT;
	out->n += n;
	return 0;
}

static int unsnappy(struct str in, struct buf *out)
{
	if (!str_starts(in, (struct str){snappy_magic, sizeof(snappy_magic)}))
		return unsnappy_block(in, out);
	struct cursor c = cursor_of(in);
	int code = 0;

	cursor_bytes(&c, 16);
	while (!code && !c.failed && cursor_left(&c)) {
		struct str block = cursor_bytes(&c, kafka_get32(&c));

		if (!c.failed)
			code = unsnappy_block(block, out);
	}
	return code ? code : c.failed ? KAFKA_WIRE_CORRUPT : 0;
}

static int snappy(struct str in, struct buf *out)
{
	buf_add(out, snappy_magic, sizeof(snappy_magic));
	kafka_put32(out, 1);
	kafka_put32(out, 1);
	while (in.n && !out->failed) {
		size_t block = in.n < SNAPPY_BLOCK ? in.n : SNAPPY_BLOCK;
		size_t n = snappy_max_compressed_length(block);
		char *p = buf_reserve(out, 4 + n);

		if (!p || snappy_compress(in.p, block, p + 4, &n) != SNAPPY_OK)
			return KAFKA_WIRE_MEMORY;
		kafka_store32(p, (uint32_t)n);
		out->n += 4 + n;
		in = str_sub(in, block, in.n);
	}
	return out->failed ? KAFKA_WIRE_MEMORY : 0;
}

static int unlz4(struct str in, struct buf *out)
{
	LZ4F_dctx *d = NULL;
	size_t hint = 1;
	int code = 0;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)))
		return KAFKA_WIRE_MEMORY;
	while (!code && (hint || in.n)) {
		size_t room = 0, used = in.n;
		char *p = next_room(out, &room), spare;

		if (!p)
			room = 1;
		hint = LZ4F_decompress(d, p ? p : &spare, &room, in.p, &used, NULL);
		if (LZ4F_isError(hint)) {
			code = KAFKA_WIRE_CORRUPT;
			break;
		}
		in = str_sub(in, used, in.n);
		if (p)
			out->n += room;
		else if (room)
			code = KAFKA_WIRE_MEMORY;
		if (!code && hint && !room && !used)
			code = KAFKA_WIRE_CORRUPT; /* it waits for bytes that are not there */
	}
	LZ4F_freeDecompressionContext(d);
	return code;
}

static int lz4(int level, struct str in, struct buf *out)
{
	/* Kafka's Java reader refuses blocks that depend on each other. */
	LZ4F_preferences_t prefs = {.frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
		.compressionLevel = level == KAFKA_LEVEL_DEFAULT ? 0 : level};
	size_t bound = LZ4F_compressFrameBound(in.n, &prefs);
	char *p = buf_reserve(out, bound);

	if (!p)
		return KAFKA_WIRE_MEMORY;
	size_t n = LZ4F_compressFrame(p, bound, in.p, in.n, &prefs);

	if (LZ4F_isError(n))
		return KAFKA_WIRE_MEMORY;
	out->n += n;
	return 0;
}

static int unzstd(struct str in, struct buf *out)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();
	ZSTD_inBuffer from = {in.p, in.n, 0};
	size_t hint = 1;
	int code = 0;

	if (!d)
		return KAFKA_WIRE_MEMORY;
	while (!code && (hint || from.pos < from.size)) {
		size_t room = 0, before = from.pos;
		char *p = next_room(out, &room), spare;
		ZSTD_outBuffer to = {p ? p : &spare, p ? room : 1, 0};

		hint = ZSTD_decompressStream(d, &to, &from);
		if (ZSTD_isError(hint)) {
			code = KAFKA_WIRE_CORRUPT;
			break;
		}
		if (p)
			out->n += to.pos;
		else if (to.pos)
			code = KAFKA_WIRE_MEMORY;
		if (!code && hint && !to.pos && from.pos == before)
			code = KAFKA_WIRE_CORRUPT;
	}
	ZSTD_freeDCtx(d);
	return code;
}

static int zstd(int level, struct str in, struct buf *out)
{
	size_t bound = ZSTD_compressBound(in.n);
	char *p = buf_reserve(out, bound);

	if (!p)
		return KAFKA_WIRE_MEMORY;
	size_t n = ZSTD_compress(p, bound, in.p, in.n, level == KAFKA_LEVEL_DEFAULT ? ZSTD_CLEVEL_DEFAULT : level);

	if (ZSTD_isError(n))
		return KAFKA_WIRE_MEMORY;
	out->n += n;
	return 0;
}

int kafka_compress(int codec, int level, struct str in, struct buf *out)
{
	if (in.n > INT32_MAX)
		return KAFKA_WIRE_MEMORY;
	switch (codec) {
	case KAFKA_CODEC_NONE:
		buf_str(out, in);
		return out->failed ? KAFKA_WIRE_MEMORY : 0;
	case KAFKA_CODEC_GZIP:
		return gzip(level, in, out);
	case KAFKA_CODEC_SNAPPY:
		return snappy(in, out);
	case KAFKA_CODEC_LZ4:
		return lz4(level, in, out);
	case KAFKA_CODEC_ZSTD:
		return zstd(level, in, out);
	}
	return KAFKA_WIRE_UNSUPPORTED;
}

int kafka_decompress(int codec, struct str in, struct buf *out)
{
	if (in.n > INT32_MAX)
		return KAFKA_WIRE_MEMORY;
	switch (codec) {
	case KAFKA_CODEC_NONE:
		buf_str(out, in);
		return out->failed ? KAFKA_WIRE_MEMORY : 0;
	case KAFKA_CODEC_GZIP:
		return gunzip(in, out);
	case KAFKA_CODEC_SNAPPY:
		return unsnappy(in, out);
	case KAFKA_CODEC_LZ4:
		return unlz4(in, out);
	case KAFKA_CODEC_ZSTD:
		return unzstd(in, out);
	}
	return KAFKA_WIRE_UNSUPPORTED;
}
