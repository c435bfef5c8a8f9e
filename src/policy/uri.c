/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/uri.h"

#include "base/enc.h"

#include <stdint.h>

static int refuse(struct err *err, const char *why)
{
	return err_set_text(err, ERR_APIG_0201_REQUEST_ERROR, "API request error: %s", why);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

/* The byte at *i, decoded; moves *i behind it. -1 on a bad escape. */
static int next_byte(struct str s, size_t *i)
{
	if (s.p[*i] != '%')
		return (unsigned char)s.p[(*i)++];
	if (s.n - *i < 3)
		return -1;
	int hi = hex_digit(s.p[*i + 1]), lo = hex_digit(s.p[*i + 2]);

	if (hi < 0 || lo < 0)
		return -1;
	*i += 3;
	return hi * 16 + lo;
}

/* Number of dots when s is a dot segment, also one with a path parameter ("..;x"); 0 when it is none. */
static size_t dots_of(struct str s, bool *ret_param)
{
	size_t n = 0;

	while (n < s.n && n < 3 && s.p[n] == '.')
		n++;
	*ret_param = n < s.n;
	return (n == 1 || n == 2) && (n == s.n || s.p[n] == ';') ? n : 0;
}

/* Whether one of the parts between backslashes is a dot segment: servers on other systems take '\' for '/'. */
static bool backslash_dots(struct str segment)
{
	struct str rest = segment;
	bool param;

	if (str_find(segment, '\\', 0) == segment.n)
		return false;
	while (rest.p) {
		if (dots_of(str_cut(&rest, '\\'), &param))
			return true;
	}
	return false;
}

/* Resolves the dot segments of the decoded path in place. */
static int resolve(char *path, size_t n, struct str *ret, struct err *err)
{
	size_t out = 0; /* path[0..out) is resolved; no trailing slash beyond the one of the last segment */
	size_t i = 1;

	path[out++] = '/';
	for (;;) {
		size_t end = i;

		while (end < n && path[end] != '/')
			end++;
		struct str segment = {path + i, end - i};
		bool param, last = end == n;
		size_t dots = dots_of(segment, &param);

		if ((dots && param) || backslash_dots(segment))
			return refuse(err, "the path holds a disguised dot segment");
		if (dots == 2) {
			if (out == 1)
				return refuse(err, "the path climbs above the root");
			out--;
			while (path[out - 1] != '/')
				out--;
		} else if (!dots) {
			memmove(path + out, segment.p, segment.n);
			out += segment.n;
			if (!last)
				path[out++] = '/';
		}
		if (last)
			break;
		i = end + 1;
	}
	*ret = (struct str){path, out};
	return 0;
}

int policy_path_canonical(struct arena *a, struct str raw, bool keep_escapes, struct str *ret, struct err *err)
{
	bool plain = true;

	if (!raw.n || raw.p[0] != '/')
		return refuse(err, "the request target is not a path");
	for (size_t i = 0; i < raw.n; i++) {
		unsigned char c = (unsigned char)raw.p[i];

		if (c <= ' ' || c == 0x7f || c == '#')
			return refuse(err, "the request target holds a forbidden character");
		if (c == '%' || c == '.' || c == '\\')
			plain = false;
	}
	if (plain) {
		*ret = raw;
		return 0;
	}
	char *path = arena_try(a, raw.n + 1);
	size_t n = 0;

	if (!path)
		return err_set(err, ERR_APIG_0201_URI_TOO_LONG, NULL);
	for (size_t i = 0; i < raw.n;) {
		int c = next_byte(raw, &i);

		if (c < 0 || is_control((unsigned char)c))
			return refuse(err, "the request target holds a bad escape");
		path[n++] = (char)c;
	}
	if (!keep_escapes)
		return resolve(path, n, ret, err);
	if (policy_path_has_dots((struct str){path, n}))
		return refuse(err, "the path holds dot segments");
	*ret = raw;
	return 0;
}

bool policy_path_has_dots(struct str path)
{
	char segment[4]; /* its first bytes decide */
	size_t n = 0;
	bool param;

	for (size_t i = 0; i < path.n;) {
		int c = next_byte(path, &i);

		if (c < 0)
			c = (unsigned char)path.p[i++];
		if (c != '/' && c != '\\') {
			if (n < sizeof(segment))
				segment[n++] = (char)c;
			continue;
		}
		if (dots_of((struct str){segment, n}, &param))
			return true;
		n = 0;
	}
	return dots_of((struct str){segment, n}, &param) > 0;
}

/* One bit per byte value. */
struct byte_set {
	uint64_t bits[4];
};

static void set_add(struct byte_set *set, const char *chars)
{
	for (; *chars; chars++)
		set->bits[(unsigned char)*chars >> 6] |= UINT64_C(1) << ((unsigned char)*chars & 63);
}

static bool set_has(const struct byte_set *set, char c)
{
	return set->bits[(unsigned char)c >> 6] >> ((unsigned char)c & 63) & 1;
}

/* RFC 3986 unreserved: '-' '.' 0-9 in the first word, A-Z '_' a-z '~' in the second. */
#define LETTERS UINT64_C(0x3ffffff)
static const struct byte_set unreserved = {{UINT64_C(3) << 45 | UINT64_C(0x3ff) << 48,
					    LETTERS << 1 | UINT64_C(1) << 31 | LETTERS << 33 | UINT64_C(1) << 62}};

struct str policy_encode(struct arena *a, struct str s, const char *keep)
{
	static const char digits[] = "0123456789ABCDEF";
	struct byte_set set = unreserved;
	size_t extra = 0;

	set_add(&set, keep);
	for (size_t i = 0; i < s.n; i++)
		extra += set_has(&set, s.p[i]) ? 0 : 2;
	if (!extra)
		return s;
	char *p = arena_try(a, s.n + extra + 1);
	size_t n = 0;

	if (!p)
		return STR_NONE;
	for (size_t i = 0; i < s.n; i++) {
		if (set_has(&set, s.p[i])) {
			p[n++] = s.p[i];
			continue;
		}
		p[n++] = '%';
		p[n++] = digits[(unsigned char)s.p[i] >> 4];
		p[n++] = digits[(unsigned char)s.p[i] & 15];
	}
	return (struct str){p, n};
}

struct str policy_path_encode(struct arena *a, struct str path)
{
	return policy_encode(a, path, "/!$&'()*+,;=:@");
}

static int decode_piece(struct arena *a, struct str s, struct str *ret, struct err *err)
{
	if (str_find(s, '%', 0) == s.n && str_find(s, '+', 0) == s.n) {
		*ret = s;
		return 0;
	}
	if (!enc_unpercent(a, s, true, ret))
		return refuse(err, "the query holds a bad escape");
	return 0;
}

int policy_query_parse(struct arena *a, struct str query, struct policy_query_pair **ret, size_t *ret_n,
		       struct err *err)
{
	size_t count = 1, n = 0;

	for (size_t i = 0; i < query.n; i++)
		count += query.p[i] == '&';
	if (count > POLICY_QUERY_MAX)
		return refuse(err, "the query holds too many parameters");
	struct policy_query_pair *pairs = arena_try(a, count * sizeof(*pairs));

	if (!pairs)
		return err_set(err, ERR_APIG_0201_URI_TOO_LONG, NULL);
	struct str rest = query;

	while (rest.p) {
		struct str piece = str_cut(&rest, '&');
		size_t eq = str_find(piece, '=', 0);
		struct policy_query_pair *pair = &pairs[n];

		if (!piece.n)
			continue;
		pair->raw = piece;
		int rc = decode_piece(a, str_sub(piece, 0, eq), &pair->name, err);

		if (!rc)
			rc = decode_piece(a, eq < piece.n ? str_sub(piece, eq + 1, piece.n) : STR(""), &pair->value,
					  err);
		if (rc)
			return rc;
		n++;
	}
	*ret = pairs;
	*ret_n = n;
	return 0;
}

bool policy_address_split(struct str address, bool tls, struct str *ret_host, unsigned *ret_port)
{
	struct str host = address, port = STR_NONE;
	long long number = tls ? 443 : 80;

	if (address.n && address.p[0] == '[') {
		size_t end = str_find(address, ']', 0);

		if (end == address.n)
			return false;
		host = str_sub(address, 1, end);
		if (end + 1 < address.n) {
			if (address.p[end + 1] != ':')
				return false;
			port = str_sub(address, end + 2, address.n);
		}
	} else {
		size_t colon = str_find(address, ':', 0);

		if (colon < address.n) {
			host = str_sub(address, 0, colon);
			port = str_sub(address, colon + 1, address.n);
		}
	}
	if (!host.n || host.n > 255 || (port.p && !str_to_int(port, 1, 65535, &number)))
		return false;
	for (size_t i = 0; i < host.n; i++) {
		if ((unsigned char)host.p[i] <= ' ' || host.p[i] == '/' || host.p[i] == 0x7f)
			return false;
	}
	*ret_host = host;
	*ret_port = (unsigned)number;
	return true;
}
