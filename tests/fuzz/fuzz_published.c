/* SPDX-License-Identifier: Apache-2.0 */
#include "published/published.h"

#include <stdlib.h>

/* First byte: which value; the rest: its bytes. What decodes must encode to the same bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool again(unsigned kind, struct str value, struct arena *a, struct buf *out)
{
	struct pub_host host;
	struct pub_api api;
	struct pub_app app;
	struct pub_user user;
	struct pub_ak ak;
	struct pub_cert cert;
	bool ok = false;

	if (kind == 0 && (ok = pub_host_decode(value, &host)))
		pub_host_encode(out, &host);
	else if (kind == 1 && (ok = pub_api_decode(value, a, &api)))
		pub_api_encode(out, &api);
	else if (kind == 2 && (ok = pub_app_decode(value, &app)))
		pub_app_encode(out, &app);
	else if (kind == 3 && (ok = pub_user_decode(value, &user)))
		pub_user_encode(out, &user);
	else if (kind == 4 && (ok = pub_ak_decode(value, &ak)))
		pub_ak_encode(out, &ak);
	else if (kind == 5 && (ok = pub_cert_decode(value, a, &cert)))
		pub_cert_encode(out, &cert);
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	struct arena *a = arena_new(1 << 20);
	struct str value = {(const char *)data + 1, size - 1};
	struct buf out;

	buf_init(&out, 1 << 20);
	if (again(data[0] % 6, value, a, &out) && !str_eq(buf_view(&out), value))
		abort();
	buf_done(&out);
	arena_free(a);
	return 0;
}
