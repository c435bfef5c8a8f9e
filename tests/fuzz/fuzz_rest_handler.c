/* SPDX-License-Identifier: Apache-2.0 */
#include "base/enc.h"
#include "mqsrest/handler.h"
#include "mqsrest/window.h"

#include <stdlib.h>

/* A handler that a client sends back, as text and as what its base64 holds: what is read makes the same text again. And
 * the metadata of a commit, which anybody in the group may have written. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct arena *a, struct str text)
{
	struct rest_handler h;

	if (rest_handler_read(a, text, &h) && !str_eq(rest_handler_make(a, &h), text))
		abort();
}

static void metadata(struct str text)
{
	struct rest_window w;
	struct buf out;

	rest_window_init(&w, free);
	buf_init(&out, 4096);
	rest_window_restore(&w, 0, text);
	for (int64_t i = 0; i < 20; i++)
		rest_window_add(&w, i, NULL, 0);
	rest_window_save(&w, &out);
	if (out.failed)
		abort();
	rest_window_done(&w);
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct arena *a = arena_new(1 << 20);

	if (size <= 8192) {
		check(a, text);
		check(a, enc_base64(a, text));
		metadata(text);
	}
	arena_free(a);
	return 0;
}
