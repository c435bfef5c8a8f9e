/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parses must print to text that parses again and prints the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(1 << 22);
	const struct json *first, *second;
	struct buf one, two;
	char why[200];

	buf_init(&one, 1 << 22);
	buf_init(&two, 1 << 22);
	if (json_parse(a, (struct str){(const char *)data, size}, &first, why, sizeof(why))) {
		json_print(&one, first);
		if (!json_parse(a, buf_view(&one), &second, why, sizeof(why)))
			abort();
		json_print(&two, second);
		if (!str_eq(buf_view(&one), buf_view(&two)))
			abort();
	}
	buf_reset(&one);
	json_print_str(&one, (struct str){(const char *)data, size});
	if (memchr(data, 0, size) == NULL && !json_parse(a, buf_view(&one), &first, why, sizeof(why)))
		abort();
	buf_done(&one);
	buf_done(&two);
	arena_free(a);
	return 0;
}
