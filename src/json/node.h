/* SPDX-License-Identifier: Apache-2.0 */
#ifndef JSON_NODE_H
#define JSON_NODE_H

#include "json/json.h"

/* A node of a tree, in an arena. Private to this folder. 32 bytes: hostile text is mostly small nodes. */
struct json {
	enum json_kind kind;
	uint32_t n; /* STRING: bytes; ARRAY, OBJECT: children */
	union {
		const char *s;
		int64_t i;
		double d;
		bool b;
		const struct json **values; /* ARRAY, OBJECT */
	};
	struct str *names;   /* OBJECT: of the values */
	struct arena *arena; /* of a container still being built: where it grows */
};

/* Shortest text that reads back as the same double; "null" for what JSON cannot say. point: whole numbers get ".0", so
 * that they stay a NUM when read again. */
void json_print_num(struct buf *out, double v, bool point);

#endif
