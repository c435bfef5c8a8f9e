/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/conn.h"

#include <stdint.h>

/* The front door has refused all of this before; whoever reaches the socket without it must not be able to make two
 * parsers disagree about where a request ends (RFC 9112, sections 6.3 and 11.2). */

/* RFC 9110, section 5.6.2. */
static bool token(struct str s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    !(c && strchr(others, c)))
			return false;
	}
	return s.n > 0;
}

static bool has_control(struct str s, char allowed)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < 0x20 && s.p[i] != allowed) || c == 0x7f)
			return true;
	}
	return false;
}

bool check_request_line(struct str method, struct str target, struct str query)
{
	if (!token(method) || has_control(target, ' ') || has_control(query, ' '))
		return false;
	return target.n && (target.p[0] == '/' || str_is(target, "*"));
}

/* A folded line (obs-fold) is appended by the library to the name, which thereby leaves the place right before its
 * value in the read buffer: only the colon (by then a NUL) and white space may lie between them. */
static bool folded(struct str name, struct str value)
{
	uintptr_t end = (uintptr_t)name.p + name.n, start = (uintptr_t)value.p;

	if (start <= end || start - end > 65536 || name.p[name.n] != '\0')
		return true;
	for (size_t i = name.n + 1; i < name.n + (start - end); i++)
		if (name.p[i] != ' ' && name.p[i] != '\t')
			return true;
	return false;
}

struct headers {
	struct httpd_pair *v;
	size_t n, max;
	unsigned lengths, codings, hosts;
	bool bad;
};

static bool digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

static enum MHD_Result take(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_n, const char *value,
                            size_t value_n)
{
	struct headers *h = cls;
	struct httpd_pair pair = {{key, key_n}, {value, value_n}};

	if (!value || !token(pair.name) || folded(pair.name, pair.value) || has_control(pair.value, '\t') ||
	    h->n == h->max) {
		h->bad = true;
		return MHD_NO;
	}
	pair.value = str_trim(pair.value); /* RFC 9110, section 5.5: not part of the value */
	if (str_eq_nocase(pair.name, STR("content-length"))) {
		h->lengths++;
		h->bad |= !digits(pair.value);
	} else if (str_eq_nocase(pair.name, STR("transfer-encoding"))) {
		h->codings++;
		h->bad |= !str_eq_nocase(pair.value, STR("chunked"));
	} else if (str_eq_nocase(pair.name, STR("host"))) {
		h->hosts++;
	}
	h->v[h->n++] = pair;
	return MHD_YES;
}

bool check_headers(struct conn *c, struct MHD_Connection *m)
{
	int n = MHD_get_connection_values_n(m, MHD_HEADER_KIND, NULL, NULL);
	struct headers h = {.max = n > 0 ? (size_t)n : 0};

	h.v = ARENA_ARRAY(c->arena, struct httpd_pair, h.max);
	MHD_get_connection_values_n(m, MHD_HEADER_KIND, take, &h);
	c->req.headers = h.v;
	c->req.n_headers = h.n;
	return !h.bad && h.lengths + h.codings <= 1 && h.hosts <= 1;
}
