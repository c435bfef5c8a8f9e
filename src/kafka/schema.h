/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_SCHEMA_H
#define KAFKA_SCHEMA_H

#include "base/str.h"

/* The tables that tools/gen_kafka.py makes from spec/kafka/; their values are in the generated kafka_msg.h, with one C
 * struct per message: all fields of all versions. In those structs
 *   text, bytes and records are struct str; p == NULL is null. Decoded ones point into the decoded bytes;
 *   arrays are {v, n}; n == -1 is null (so a loop over i < n needs no check);
 *   a struct that can be null is a pointer;
 *   fields that the version at hand lacks hold their defaults. */

struct kafka_uuid {
	uint8_t b[16];
};

enum kafka_type {
	KAFKA_TYPE_BOOL,
	KAFKA_TYPE_INT8,
	KAFKA_TYPE_INT16,
	KAFKA_TYPE_UINT16,
	KAFKA_TYPE_INT32,
	KAFKA_TYPE_UINT32,
	KAFKA_TYPE_INT64,
	KAFKA_TYPE_FLOAT64,
	KAFKA_TYPE_UUID,
	KAFKA_TYPE_STRING,
	KAFKA_TYPE_BYTES,
	KAFKA_TYPE_RECORDS,
	KAFKA_TYPE_STRUCT,
};

enum {
	KAFKA_IS_ARRAY = 1,
	KAFKA_IS_POINTER = 2,   /* a struct that can be null */
	KAFKA_NULL_DEFAULT = 4, /* the default is null */
	KAFKA_VERSION_MAX = 127 /* "and all later versions" */
};

struct kafka_field {
	const char *name;
	const struct kafka_schema *schema; /* of a struct */
	int64_t def;                       /* default of a number */
	uint32_t offset;                   /* in the C struct */
	uint32_t size;                     /* of one element in memory */
	uint8_t type;                      /* enum kafka_type, of the element */
	uint8_t flags;
	int8_t min, max;           /* versions that have the field */
	int8_t null_min, null_max; /* versions where it can be null */
	int16_t tag;               /* -1: not a tagged field */
};

/* A message or a struct inside of one. */
struct kafka_schema {
	const char *name;
	const struct kafka_field *fields; /* plain ones in wire order, then tagged ones by tag */
	const uint16_t *min_size;         /* fewest bytes on the wire, by version */
	uint32_t size;                    /* of the C struct */
	uint8_t plain, tagged;            /* how many fields of each kind */
	int8_t min, max;                  /* versions of the message */
	int8_t flexible;                  /* first flexible version (KIP-482), or KAFKA_VERSION_MAX */
};

struct kafka_api {
	int16_t key;
	const char *name;
	int8_t min, max;             /* versions to offer (ApiVersions) */
	int8_t codec_min, codec_max; /* versions that can be encoded and decoded */
	int8_t flexible;             /* first flexible version, or KAFKA_VERSION_MAX */
	int8_t tier;                 /* 1 needed by every client, 2 by tools, 3 rarely */
	const struct kafka_schema *request, *response;
};

#endif
