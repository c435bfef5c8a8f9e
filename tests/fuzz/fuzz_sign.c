/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cursor.h"
#include "sign/sign.h"

#include <stdlib.h>

/* Method, path, query, Authorization and headers as length-prefixed pieces; checks parser and canonical form. What
 * sign_make() signs must verify. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct str piece(struct cursor *c)
{
	size_t n = cursor_u8(c);

	return cursor_bytes(c, n < cursor_left(c) ? n : cursor_left(c));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of((struct str){(const char *)data, size});
	struct sign_pair headers[10] = {{STR("Host"), STR("h")}, {STR("X-Sdk-Date"), STR("20240229T235959Z")}};
	struct sign_request r = {piece(&c), piece(&c), piece(&c), headers, 2, SIGN_EMPTY_BODY};
	struct str auth = piece(&c);
	struct arena *a = arena_new(1 << 18);
	struct sign_header h;
	const int64_t now = 1709251199000; /* the date above */

	while (cursor_left(&c) && !c.failed && r.n_headers < 10) {
		headers[r.n_headers].name = piece(&c);
		headers[r.n_headers++].value = piece(&c);
	}
	struct str canonical;

	if (sign_parse(auth, &h))
		sign_verify(a, &r, &h, STR("secret"), now, &canonical);
	struct str made = sign_make(a, &r, STR("key"), STR("secret"));

	/* Signed names with a separator in them cannot come back; such headers do not get through any HTTP parser. */
	bool odd = false;

	for (size_t i = 2; i < r.n_headers; i++) {
		odd |= !headers[i].name.n || headers[i].name.n != str_trim(headers[i].name).n;
		odd |= str_eq_nocase(headers[i].name, STR("x-sdk-content-sha256"));
		for (size_t k = 0; k < headers[i].name.n; k++)
			odd |= strchr(",; \t\r\n\v\f", headers[i].name.p[k]) != NULL;
	}
	if (made.p && !odd && (!sign_parse(made, &h) || sign_verify(a, &r, &h, STR("secret"), now, NULL) != SIGN_OK))
		abort();
	arena_free(a);
	return 0;
}
