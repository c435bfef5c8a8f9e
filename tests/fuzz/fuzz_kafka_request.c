/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/header.h"

#include <stdlib.h>

/* A whole frame: header, body by the key's table; what decodes must encode and decode to the same bytes again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const struct kafka_schema *schema, int version, struct str body)
{
	struct arena *arena = arena_new(64 << 20);
	void *msg = arena_alloc(arena, schema->size), *again = arena_alloc(arena, schema->size);
	struct buf a, b;

	buf_init(&a, 64 << 20);
	buf_init(&b, 64 << 20);
	if (kafka_decode_part(schema, version, &body, arena, msg) == 0) {
		if (kafka_encode(schema, version, msg, &a, NULL) ||
			kafka_decode(schema, version, buf_view(&a), arena, again) ||
			kafka_encode(schema, version, again, &b, NULL) || !str_eq(buf_view(&a), buf_view(&b)))
			abort();
	}
	buf_done(&a);
	buf_done(&b);
	arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct kafka_request_header header;
	struct str frame = {(const char *)data, n}, body;

	if (kafka_request_header_decode(frame, &header, &body) || header.verdict != KAFKA_HEADER_OK)
		return 0;
	check(header.api->request, header.version, body);
	check(header.api->response, header.version, body);
	return 0;
}
