/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cursor.h"
#include "published/router.h"

#include <stdlib.h>

/* Even first byte: the rest is a compiled router of anybody's making. Odd: routes, one per line ("~" for a prefix),
 * behind a first line that is the request's path; what compiles must match every literal path of its own. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void match_bytes(struct str value)
{
	static const char *paths[] = {"/", "/a", "/a/b", "/a/b/c/d/e/f/g/h", "/longer-than-eight/x", "//"};
	struct router_match m;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (router_match(value, STR("GET"), str_of(paths[i]), &m) == ROUTER_FOUND &&
		    m.n_params > ROUTER_MAX_PARAMS)
			abort();
}

static void compile_lines(struct str text)
{
	struct router_route routes[64];
	struct router_match m;
	struct str path = str_cut(&text, '\n');
	struct buf out;
	size_t n = 0;

	while (text.p && n < 64) {
		struct str line = str_cut(&text, '\n');
		bool prefix = line.n && line.p[0] == '~';

		if (prefix)
			line = str_sub(line, 1, line.n);
		routes[n++] = (struct router_route){STR("GET"), line, prefix, line};
	}
	buf_init(&out, 1 << 20);
	if (router_compile(routes, n, &out, NULL) == 0) {
		router_match(buf_view(&out), STR("GET"), path, &m);
		for (size_t i = 0; i < n; i++) {
			if (str_find(routes[i].path, '{', 0) < routes[i].path.n)
				continue;
			if (router_match(buf_view(&out), STR("GET"), routes[i].path, &m) != ROUTER_FOUND)
				abort();
		}
	}
	buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = {(const char *)data + 1, size - 1};

	if (!size)
		return 0;
	if (data[0] % 2)
		compile_lines(rest);
	else
		match_bytes(rest);
	return 0;
}
