/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <limits.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

int str_cmp(struct str a, struct str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int c = n ? memcmp(a.p, b.p, n) : 0;

	if (c != 0)
		return c;
	return (a.n > b.n) - (a.n < b.n);
}

size_t str_find(struct str a, char c, size_t from)
{
	if (from >= a.n)
		return a.n;
	const char *hit = memchr(a.p + from, c, a.n - from);

	return hit ? (size_t)(hit - a.p) : a.n;
}

bool str_contains(struct str a, struct str needle)
{
	if (needle.n == 0)
		return true;
	return a.n >= needle.n && memmem(a.p, a.n, needle.p, needle.n) != NULL;
}

struct str str_trim(struct str a)
{
	while (a.n && (a.p[0] == ' ' || a.p[0] == '\t')) {
		a.p++;
		a.n--;
	}
	while (a.n && (a.p[a.n - 1] == ' ' || a.p[a.n - 1] == '\t'))
		a.n--;
	return a;
}

struct str str_cut(struct str *rest, char c)
{
	struct str all = *rest;
	size_t at = str_find(all, c, 0);

	if (at == all.n) {
		*rest = STR_NONE;
		return all;
	}
	*rest = str_sub(all, at + 1, all.n);
	return str_sub(all, 0, at);
}

bool str_eq_secret(struct str a, struct str b)
{
	volatile unsigned char diff = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		diff |= (unsigned char)(a.p[i] ^ b.p[i]);
	return diff == 0;
}

bool str_to_int(struct str a, long long min, long long max, long long *ret)
{
	bool neg = a.n && a.p[0] == '-';
	size_t i = neg ? 1 : 0;
	long long v = 0;

	if (i == a.n)
		return false;
	for (; i < a.n; i++) {
		if (a.p[i] < '0' || a.p[i] > '9')
			return false;
		int d = a.p[i] - '0';

		if (v < (LLONG_MIN + d) / 10)
			return false;
		v = v * 10 - d; /* negative, so that LLONG_MIN fits */
	}
	if (!neg) {
		if (v == LLONG_MIN)
			return false;
		v = -v;
	}
	if (v < min || v > max)
		return false;
	*ret = v;
	return true;
}
