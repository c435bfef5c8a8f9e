/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes from outside: pointer and length, by value, not NUL-terminated. p == NULL means "absent";
 * an empty but present string has p != NULL and n == 0. Any thread. */
struct str {
	const char *p;
	size_t n;
};

struct str_array {
	struct str *v;
	size_t n;
};

struct num_array {
	double *v;
	size_t n;
};

struct int_array {
	int64_t *v;
	size_t n;
};

#define STR(lit) ((struct str){(lit), sizeof(lit) - 1})
#define STR_NONE ((struct str){NULL, 0})
/* For printf: "%.*s". Evaluates s more than once. */
#define STR_FMT(s) (int)(s).n, (s).p ? (s).p : ""

static inline struct str str_of(const char *cstr)
{
	return (struct str){cstr, cstr ? strlen(cstr) : 0};
}

static inline bool str_eq(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is(struct str a, const char *cstr)
{
	return a.p && str_eq(a, str_of(cstr));
}

static inline bool str_empty(struct str a)
{
	return a.n == 0;
}

static inline bool str_starts(struct str a, struct str prefix)
{
	return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

static inline struct str str_sub(struct str a, size_t from, size_t to)
{
	return (struct str){a.p + from, to - from};
}

/* ASCII case-insensitive equality, for header names and host names. */
bool str_eq_nocase(struct str a, struct str b);

/* memcmp order, shorter first on a tie. */
int str_cmp(struct str a, struct str b);

/* Index of the first c at or after from, or a.n. */
size_t str_find(struct str a, char c, size_t from);

/* True when needle occurs in a. */
bool str_contains(struct str a, struct str needle);

/* Without leading and trailing spaces and tabs. */
struct str str_trim(struct str a);

/* Cuts the part before the first c off *rest and returns it; without c, all of *rest is returned and *rest becomes
 * STR_NONE. Loop with: while (rest.p) { part = str_cut(&rest, ','); ... } */
struct str str_cut(struct str *rest, char c);

/* Comparison whose time depends only on the lengths, for secrets and signatures. */
bool str_eq_secret(struct str a, struct str b);

/* Decimal integer in [min, max], the whole string, no spaces, no plus sign. False when it is anything else. */
bool str_to_int(struct str a, long long min, long long max, long long *ret);

#endif
