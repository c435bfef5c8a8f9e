/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/cert.h"

/* The first half of the input is a chain, the other a key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(1 << 20);
	struct str pem = {(const char *)data, size / 2}, key = {(const char *)data + size / 2, size - size / 2};
	struct sign_cert cert;

	if (sign_cert_read(a, pem, &cert) && cert.common_name.n)
		sign_cert_is_for(pem, cert.common_name);
	sign_cert_check(pem, key);
	arena_free(a);
	return 0;
}
