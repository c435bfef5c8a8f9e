/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/httpd.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool within(struct str part, struct str whole)
{
	return !part.p || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

/* First line: Content-Type; the rest: body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str body = {(const char *)data, size}, type = str_cut(&body, '\n');
	struct httpd_pair header = {STR("Content-Type"), type};
	struct arena *a = arena_new(1 << 20);
	struct httpd_request req = {.headers = &header, .n_headers = 1, .body = body, .query = type, .arena = a};
	struct httpd_form_part parts[64];
	size_t n = 0;

	if (httpd_form(&req, parts, 64, &n)) {
		if (n > 64)
			abort();
		for (size_t i = 0; i < n; i++)
			if (!parts[i].name.p || !within(parts[i].data, body) || !within(parts[i].content_type, body))
				abort();
	}
	httpd_query(&req, "name");
	arena_free(a);
	return 0;
}
