/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rnd.h"

#include "base/enc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void rnd_bytes(void *p, size_t n)
{
	char *w = p;

	while (n) {
		ssize_t got = getrandom(w, n, 0);

		if (got < 0 && errno != EINTR) {
			perror("appia: getrandom");
			abort();
		}
		if (got > 0) {
			w += got;
			n -= (size_t)got;
		}
	}
}

struct str rnd_id(struct arena *a)
{
	char raw[16];

	rnd_bytes(raw, sizeof(raw));
	return enc_hex(a, (struct str){raw, sizeof(raw)});
}

struct str rnd_uuid(struct arena *a)
{
	unsigned char r[16];

	rnd_bytes(r, sizeof(r));
	r[6] = (r[6] & 0x0f) | 0x40;
	r[8] = (r[8] & 0x3f) | 0x80;
	return arena_fmt(a, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0], r[1], r[2],
			 r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13], r[14], r[15]);
}

struct str rnd_text(struct arena *a, size_t n, const char *alphabet)
{
	size_t m = strlen(alphabet), limit = 256 - 256 % m;
	char *p = arena_alloc(a, n + 1);

	for (size_t i = 0; i < n;) {
		unsigned char c;

		rnd_bytes(&c, 1);
		if (c < limit) /* no modulo bias */
			p[i++] = alphabet[c % m];
	}
	return (struct str){p, n};
}
