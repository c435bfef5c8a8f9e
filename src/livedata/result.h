/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIVEDATA_RESULT_H
#define LIVEDATA_RESULT_H

#include "livedata/plan.h"

/* Writes result sets. JSON: [{"column":value,...},...], columns of equal name: the last one wins. XML: one <row> per
 * row. Stream: the bytes of the first column of the first row. */
struct livedata_result {
	struct buf *out;
	struct arena *a; /* names of columns */
	enum livedata_content content;
	int64_t skip, limit; /* rows not given, rows given at most */
	int64_t rows;        /* seen, with the skipped ones */
	bool overflow;       /* there were more than skip + limit */
	size_t sets;
	/* private */
	struct str *keys;    /* '"name":', or the tag; STR_NONE: not written */
	size_t n_keys;
	int64_t written;     /* rows in this set */
	struct arena *scratch;
};

void livedata_result_init(struct livedata_result *r, struct buf *out, struct arena *a, enum livedata_content content,
                          int64_t skip, int64_t limit);
struct datasource_sink livedata_result_sink(struct livedata_result *r);
/* Closes the last set; frees what the walk needed. */
void livedata_result_end(struct livedata_result *r);

/* One value as JSON: numbers exact, binary as base64, NaN and infinity as strings. */
void livedata_value_print(struct buf *out, const struct value *v, struct arena *scratch);

/* A name as an XML tag: what may not stand in one becomes '_'. */
struct str livedata_xml_name(struct arena *a, struct str name);

#endif
