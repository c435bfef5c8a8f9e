/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_BATCH_H
#define KAFKA_BATCH_H

#include "base/buf.h"
#include "base/cursor.h"
#include "kafka/compress.h"
#include "kafka_msg.h" /* KAFKA_BATCH_AT_*, KAFKA_ATTR_*, KAFKA_CODEC_* */

/* Record batches of magic 2 (KIP-98; kafka.apache.org/documentation/#recordbatch), and the older message sets of magic
 * 0 and 1. Functions return 0 or a kafka_wire_code unless they say otherwise. Any thread. */

/* The header of a batch, decoded. */
struct kafka_batch {
	int64_t base_offset, base_timestamp, max_timestamp, producer_id;
	int32_t leader_epoch, last_offset_delta, base_sequence, count;
	uint32_t crc;
	int16_t attributes, producer_epoch;
	struct str bytes;   /* the whole batch */
	struct str records; /* what follows the header, maybe compressed */
};

static inline int kafka_batch_codec(const struct kafka_batch *batch)
{
	return batch->attributes & KAFKA_ATTR_CODEC_MASK;
}

static inline int64_t kafka_batch_last_offset(const struct kafka_batch *batch)
{
	return batch->base_offset + batch->last_offset_delta;
}

/* Magic of the batch or message at the beginning of bytes, or -1 when they are too few to tell. */
int kafka_batch_magic(struct str bytes);

/* Size of the batch or message of any magic at the beginning of bytes, as its length field has it, header and all;
 * 0 when there are too few bytes to tell, negative when the length is impossible. */
int64_t kafka_batch_size(struct str bytes);

/* Takes the next batch off *rest. KAFKA_WIRE_TRUNCATED when it is not whole, KAFKA_WIRE_UNSUPPORTED for another magic,
 * KAFKA_WIRE_MALFORMED for impossible lengths; *rest stays then. The checksum is not looked at. */
int kafka_batch_next(struct str *rest, struct kafka_batch *ret);

/* KAFKA_WIRE_CORRUPT when the checksum is wrong. */
int kafka_batch_check(const struct kafka_batch *batch);

/* May a client append this batch: checksum, codec, counts, flags and the producer's fields. Returns an error of the
 * protocol (enum kafka_error_code), 0 when fine. Does not decompress. */
int kafka_batch_validate(const struct kafka_batch *batch);

/* As kafka_batch_validate() for what is inside: each record is whole, their offsets are without gaps, there are as many
 * as announced, and with need_key each has a key. scratch takes the decompressed records (its maximum is the bound).
 * *ret_index is the number of the refused record, or -1 when the batch is to blame. Returns an error of the
 * protocol. */
int kafka_batch_validate_records(const struct kafka_batch *batch, bool need_key, struct buf *scratch,
	int32_t *ret_index);

/* Writes offset and leader epoch into the batch at p; the checksum does not cover them. */
void kafka_batch_set_place(char *p, int64_t base_offset, int32_t leader_epoch);

/* Makes time the timestamp of all records of the batch at p, as it was appended, and corrects the checksum without
 * reading the records. p is a whole batch of n bytes. */
void kafka_batch_set_append_time(char *p, size_t n, int64_t time);

/* Computes the checksum of the batch of n bytes at p anew. */
void kafka_batch_set_crc(char *p, size_t n);

/* ---- reading records ---- */

struct kafka_record {
	int64_t offset, timestamp;
	struct str key, value; /* STR_NONE: null */
	int32_t headers;       /* how many are left for kafka_record_header_next() */
	struct cursor header_bytes;
};

struct kafka_records {
	const struct kafka_batch *batch;
	struct cursor c;
	int32_t left;
};

/* Begins to read the records of a batch, which must stay. Compressed ones are unpacked into scratch, whose content is
 * forgotten and whose maximum is the bound; it must stay too. Records point into the batch or into scratch. */
int kafka_records_open(struct kafka_records *it, const struct kafka_batch *batch, struct buf *scratch);

/* The next record: 1, or 0 behind the last, or a kafka_wire_code. */
int kafka_records_next(struct kafka_records *it, struct kafka_record *ret);

/* The next header of a record: 1, or 0 behind the last, or a kafka_wire_code. The value may be STR_NONE. */
int kafka_record_header_next(struct kafka_record *record, struct str *ret_key, struct str *ret_value);

/* Type of a control record (KAFKA_CONTROL_*) by its key; -1 when it is none. */
int kafka_control_type(struct str key);

/* ---- writing batches ---- */

struct kafka_record_header {
	struct str key, value;
};

/* Builds one batch. The caller may set head's base_offset, leader_epoch, producer_*, base_sequence and the flags of
 * attributes before kafka_builder_finish(); the rest is computed. */
struct kafka_builder {
	struct kafka_batch head;
	struct buf body;
};

/* max bounds the bytes of the records before compression. */
void kafka_builder_init(struct kafka_builder *b, size_t max);
void kafka_builder_done(struct kafka_builder *b);
/* Ready for the next batch, with the same memory. */
void kafka_builder_reset(struct kafka_builder *b);

/* Appends a record with the next offset. STR_NONE is null. KAFKA_WIRE_MEMORY beyond the maximum. */
int kafka_builder_add(struct kafka_builder *b, int64_t timestamp, struct str key, struct str value,
	const struct kafka_record_header *headers, int32_t n_headers);

/* As kafka_builder_add() with an offset of its own, counted from the base offset and above that of the record before
 * (else KAFKA_WIRE_MALFORMED): compaction leaves gaps. */
int kafka_builder_add_at(struct kafka_builder *b, int32_t offset_delta, int64_t timestamp, struct str key,
	struct str value, const struct kafka_record_header *headers, int32_t n_headers);

/* Copies a record that was read from another batch, headers and all. */
int kafka_builder_copy(struct kafka_builder *b, int32_t offset_delta, const struct kafka_record *record);

/* Appends the batch to out. A batch without records is legal: it keeps the producer's sequence after compaction; raise
 * head.last_offset_delta to keep the range of offsets. */
int kafka_builder_finish(struct kafka_builder *b, int codec, int level, struct buf *out);

/* Takes place, producer, flags and the range of offsets from another batch, after the records were added. */
void kafka_builder_like(struct kafka_builder *b, const struct kafka_batch *batch);

/* Appends a batch with one control record that ends a transaction; type is KAFKA_CONTROL_COMMIT or _ABORT. */
int kafka_control_batch(int64_t base_offset, int64_t producer_id, int16_t producer_epoch, int type,
	int32_t coordinator_epoch, int64_t timestamp, struct buf *out);

/* ---- batches made from batches ---- */

typedef bool kafka_keep_f(void *arg, const struct kafka_record *record);

enum { KAFKA_FILTER_NONE, KAFKA_FILTER_SOME, KAFKA_FILTER_ALL };

/* Which records of a batch stay. KAFKA_FILTER_ALL: all, take the batch as it is. KAFKA_FILTER_NONE: none at or behind
 * offset "from". KAFKA_FILTER_SOME: a batch with those that stay was appended to out, with the same codec, the same
 * place and range of offsets. Or a kafka_wire_code; then what out got is of no use. scratch as for
 * kafka_records_open(); keep is called twice for a record, and must not change it (copy it to read headers). */
int kafka_batch_filter(const struct kafka_batch *batch, int64_t from, struct buf *scratch, kafka_keep_f *keep,
	void *arg, int level, struct buf *out);

/* Appends a batch that says: there is nothing for you in these offsets. It holds one control record, a commit of no
 * producer, at the last offset. Compaction leaves batches without records, but these make trouble: kafkajs goes to the
 * end of the log, and librdkafka takes them for a sign that it has to fetch more bytes. All clients pass control
 * records by. */
int kafka_gap_batch(int64_t base_offset, int64_t last_offset, int32_t leader_epoch, int64_t timestamp, struct buf *out);

/* Appends the batch with its records compressed by another codec (KAFKA_CODEC_*), after having checked them. Returns an
 * error of the protocol; then what out got is of no use. */
int kafka_batch_recompress(const struct kafka_batch *batch, int codec, struct buf *scratch, struct buf *out);

/* ---- magic 0 and 1 ---- */

/* Appends the message set of magic 0 or 1 (Produce 0 to 2), compressed or not, as one batch of magic 2 with the codec
 * of the first message. scratch as for kafka_records_open(). Returns an error of the protocol. */
int kafka_legacy_up(struct str set, struct buf *scratch, struct buf *out);

/* Appends the records of a batch as messages of magic 0 or 1, not compressed (Fetch 0 to 3). Headers are lost, control
 * batches leave nothing. */
int kafka_legacy_down(const struct kafka_batch *batch, int magic, struct buf *scratch, struct buf *out);

#endif
