/* SPDX-License-Identifier: Apache-2.0 */
#include "sign/sign.h"

#include "base/clock.h"
#include "sign/sign_priv.h"

#include <stdio.h>
#include <stdlib.h>

#define ALGORITHM "SDK-HMAC-SHA256"
#define UNSIGNED_PAYLOAD STR("UNSIGNED-PAYLOAD")

/* More signed headers than any client sends; bounds the search for duplicates. */
enum { MAX_SIGNED = 256 };

/* Decoded and encoded form of a query parameter. */
struct param {
	struct str name, value, raw_name, raw_value;
};

/* Writes into a block that was sized before; so no checks. */
struct out {
	char *p;
	size_t n;
};

static void put(struct out *o, struct str s)
{
	if (s.n)
		memcpy(o->p + o->n, s.p, s.n);
	o->n += s.n;
}

static void put_char(struct out *o, char c)
{
	o->p[o->n++] = c;
}

static void put_lower(struct out *o, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		put_char(o, (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i]));
}

static bool space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct str skip_spaces(struct str s)
{
	while (s.n && space(s.p[0]))
		s = str_sub(s, 1, s.n);
	return s;
}

/* Takes "key" and the value behind it, up to the next comma, off *rest. */
static bool take_field(struct str *rest, struct str key, struct str *ret)
{
	struct str s = skip_spaces(*rest);

	if (!str_starts(s, key))
		return false;
	s = str_sub(s, key.n, s.n);
	size_t end = str_find(s, ',', 0);

	*ret = str_trim(str_sub(s, 0, end));
	*rest = end < s.n ? str_sub(s, end + 1, s.n) : str_sub(s, s.n, s.n);
	return ret->n > 0;
}

bool sign_parse(struct str authorization, struct sign_header *ret)
{
	struct sign_header h;
	struct str rest = skip_spaces(authorization);

	if (!str_starts(rest, STR(ALGORITHM)))
		return false;
	rest = str_sub(rest, sizeof(ALGORITHM) - 1, rest.n);
	if (!rest.n || !space(rest.p[0]))
		return false;
	if (!take_field(&rest, STR("Access="), &h.access) ||
	    !take_field(&rest, STR("SignedHeaders="), &h.signed_headers) ||
	    !take_field(&rest, STR("Signature="), &h.signature) || skip_spaces(rest).n)
		return false;
	for (size_t i = 0; i < h.signature.n; i++) {
		char c = h.signature.p[i];

		if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_'))
			return false;
	}
	*ret = h;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes as the signers do: a '%' that starts no escape stands for itself. */
static struct str decode(struct out *o, struct str s, bool plus)
{
	struct str ret = {o->p + o->n, 0};

	for (size_t i = 0; i < s.n; i++) {
		int hi = s.p[i] == '%' && s.n - i > 2 ? hex_value(s.p[i + 1]) : -1;
		int lo = hi >= 0 ? hex_value(s.p[i + 2]) : -1;

		if (lo >= 0) {
			put_char(o, (char)(hi << 4 | lo));
			i += 2;
		} else {
			put_char(o, plus && s.p[i] == '+' ? ' ' : s.p[i]);
		}
	}
	ret.n = (size_t)(o->p + o->n - ret.p);
	return ret;
}

/* RFC 3986 unreserved stay; slash too when keep_slash. */
static struct str encode(struct out *o, struct str s, bool keep_slash)
{
	static const char upper[] = "0123456789ABCDEF";
	struct str ret = {o->p + o->n, 0};

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' || c == '_' ||
		    c == '.' || c == '~' || (c == '/' && keep_slash)) {
			put_char(o, (char)c);
		} else {
			put_char(o, '%');
			put_char(o, upper[c >> 4]);
			put_char(o, upper[c & 15]);
		}
	}
	ret.n = (size_t)(o->p + o->n - ret.p);
	return ret;
}

static int cmp_decoded(const void *x, const void *y)
{
	const struct param *a = x, *b = y;
	int d = str_cmp(a->raw_name, b->raw_name);

	return d ? d : str_cmp(a->raw_value, b->raw_value);
}

static int cmp_encoded(const void *x, const void *y)
{
	const struct param *a = x, *b = y;
	int d = str_cmp(a->name, b->name);

	return d ? d : str_cmp(a->value, b->value);
}

static struct str header_find(const struct sign_request *req, struct str name)
{
	for (size_t i = 0; i < req->n_headers; i++)
		if (str_eq_nocase(req->headers[i].name, name))
			return str_trim(req->headers[i].value);
	return STR_NONE;
}

bool sign_needs_body(const struct sign_request *req)
{
	return !str_eq(header_find(req, STR("x-sdk-content-sha256")), UNSIGNED_PAYLOAD);
}

/* A request taken apart, ready for its canonical text. */
struct canon {
	const struct sign_request *req;
	struct str uri;
	struct param *params;
	size_t n_params;
	struct str *names; /* the signed headers' */
	size_t n_names;
	size_t max; /* size of the canonical text at most */
};

static bool canon_params(struct arena *a, struct canon *c)
{
	struct str query = c->req->query;
	size_t n = query.n > 0;

	for (size_t i = 0; i < query.n; i++)
		n += query.p[i] == '&';
	if (!n)
		return true;
	/* Encoding makes three bytes of one, decoding none more. */
	struct out o = {arena_try(a, query.n * 4), 0};

	c->params = arena_try(a, n * sizeof(*c->params));
	if (!o.p || !c->params)
		return false;
	while (query.p) {
		struct str value = str_cut(&query, '&');

		if (!value.n)
			continue;
		struct str name = str_cut(&value, '=');
		struct param *p = &c->params[c->n_params++];

		p->raw_name = decode(&o, name, true);
		p->raw_value = decode(&o, value, true);
		p->name = encode(&o, p->raw_name, false);
		p->value = encode(&o, p->raw_value, false);
	}
	return true;
}

/* names: NULL-free list of the signed headers, in the order of signing. */
static bool canon_init(struct arena *a, const struct sign_request *req, struct str *names, size_t n_names,
		       struct canon *c)
{
	*c = (struct canon){.req = req, .names = names, .n_names = n_names};
	struct out o = {arena_try(a, req->path.n * 4 + 2), 0};

	if (!o.p || !canon_params(a, c))
		return false;
	c->uri = encode(&o, decode(&o, req->path, false), true);
	if (!c->uri.n || c->uri.p[c->uri.n - 1] != '/') {
		put_char(&o, '/');
		c->uri.n++;
	}
	c->max = req->method.n + c->uri.n + 3 * req->query.n + 2 * c->n_params + 256;
	for (size_t i = 0; i < n_names; i++)
		c->max += 2 * names[i].n + 4;
	for (size_t i = 0; i < req->n_headers; i++)
		c->max += req->headers[i].name.n + req->headers[i].value.n + 2;
	return true;
}

static int cmp_str(const void *x, const void *y)
{
	return str_cmp(*(const struct str *)x, *(const struct str *)y);
}

/* One line per value, values sorted, as the vendor's Go signer does. False when the header is missing. */
static bool put_header(struct out *o, const struct canon *c, struct str name)
{
	struct str values[16];
	size_t n = 0;

	for (size_t i = 0; i < c->req->n_headers; i++) {
		if (!str_eq_nocase(c->req->headers[i].name, name))
			continue;
		if (n == sizeof(values) / sizeof(values[0]))
			return false;
		values[n++] = str_trim(c->req->headers[i].value);
	}
	if (n > 1)
		qsort(values, n, sizeof(values[0]), cmp_str);
	for (size_t i = 0; i < n; i++) {
		put_lower(o, name);
		put_char(o, ':');
		put(o, values[i]);
		put_char(o, '\n');
	}
	return n > 0;
}

/* STR_NONE when a signed header is missing or comes more than 16 times, or memory does not suffice. */
static struct str canon_text(struct arena *a, const struct canon *c, struct str body_hash)
{
	struct out o = {arena_try(a, c->max + body_hash.n), 0};

	if (!o.p)
		return STR_NONE;
	for (size_t i = 0; i < c->req->method.n; i++) {
		char m = c->req->method.p[i];

		put_char(&o, (char)(m >= 'a' && m <= 'z' ? m & ~0x20 : m));
	}
	put_char(&o, '\n');
	put(&o, c->uri);
	put_char(&o, '\n');
	for (size_t i = 0; i < c->n_params; i++) {
		if (i)
			put_char(&o, '&');
		put(&o, c->params[i].name);
		put_char(&o, '=');
		put(&o, c->params[i].value);
	}
	put_char(&o, '\n');
	for (size_t i = 0; i < c->n_names; i++)
		if (!put_header(&o, c, c->names[i]))
			return STR_NONE;
	put_char(&o, '\n');
	for (size_t i = 0; i < c->n_names; i++) {
		if (i)
			put_char(&o, ';');
		put_lower(&o, c->names[i]);
	}
	put_char(&o, '\n');
	put(&o, body_hash);
	return (struct str){o.p, o.n};
}

/* Small fixed sizes, so on the stack: nothing here can fail. date has passed clock_parse_basic(), so
 * it has 16 bytes. */
static struct str signature(struct str canonical, struct str date, struct str secret, char ret[65])
{
	char to_sign[sizeof(ALGORITHM) + 16 + 65], hash[65];
	struct out o = {to_sign, 0};
	unsigned char mac[32];

	put(&o, STR(ALGORITHM "\n"));
	put(&o, date);
	put_char(&o, '\n');
	put(&o, sign__sha256_hex(canonical, hash));
	sign_hmac_sha256(secret, (struct str){to_sign, o.n}, mac);
	return sign__hex(mac, ret);
}

/* Splits the client's list. False when it is too long, names a header twice, or lacks host or x-sdk-date. */
static bool signed_names(struct str list, struct str names[MAX_SIGNED], size_t *ret_n)
{
	bool host = false, date = false;
	size_t n = 0;

	while (list.p) {
		struct str name = str_trim(str_cut(&list, ';'));

		if (!name.n || n == MAX_SIGNED)
			return false;
		for (size_t i = 0; i < n; i++)
			if (str_eq_nocase(names[i], name))
				return false;
		host |= str_eq_nocase(name, STR("host"));
		date |= str_eq_nocase(name, STR("x-sdk-date"));
		names[n++] = name;
	}
	*ret_n = n;
	return host && date;
}

static struct str with_bars(struct arena *a, struct str text)
{
	char *p = text.p ? arena_try(a, text.n + 1) : NULL;

	if (!p)
		return STR_NONE;
	for (size_t i = 0; i < text.n; i++)
		p[i] = (char)(text.p[i] == '\n' ? '|' : text.p[i]);
	return (struct str){p, text.n};
}

/* The hashes the client may have put in the last line: what it declares, and for an empty body also the empty body's
 * (newer signers ignore the declaration then). Returns their number. */
static size_t body_hashes(const struct sign_request *req, struct str ret[2])
{
	struct str declared = header_find(req, STR("x-sdk-content-sha256"));
	size_t n = 0;

	if (!declared.n) {
		if (req->body_sha256.n)
			ret[n++] = req->body_sha256;
		return n;
	}
	if (str_eq(declared, UNSIGNED_PAYLOAD) || str_eq_nocase(declared, req->body_sha256))
		ret[n++] = declared;
	if (str_eq(req->body_sha256, SIGN_EMPTY_BODY) && !str_eq(declared, SIGN_EMPTY_BODY))
		ret[n++] = SIGN_EMPTY_BODY;
	return n;
}

static bool attempt(struct arena *a, const struct canon *c, const struct sign_header *header, struct str date,
		    struct str secret, struct str *text)
{
	struct str hashes[2];
	char sig[65];
	size_t n = body_hashes(c->req, hashes);

	for (size_t i = 0; i < n; i++) {
		struct str t = canon_text(a, c, hashes[i]);

		if (!text->p)
			*text = t;
		if (t.p && str_eq_secret(signature(t, date, secret, sig), header->signature))
			return true;
	}
	if (!n && !text->p)
		*text = canon_text(a, c, c->req->body_sha256);
	return false;
}

/* Checks a request taken apart. Signers differ in one point: most sort the query by its decoded names, some by the
 * encoded ones. Both are accepted; they differ only for odd characters. */
static bool matches(struct arena *a, struct canon *c, const struct sign_header *header, struct str date,
		    struct str secret, struct str *text)
{
	if (c->n_params > 1)
		qsort(c->params, c->n_params, sizeof(*c->params), cmp_decoded);
	if (attempt(a, c, header, date, secret, text))
		return true;
	bool same = true;

	for (size_t i = 1; i < c->n_params && same; i++)
		same = cmp_encoded(&c->params[i - 1], &c->params[i]) <= 0;
	if (same)
		return false;
	qsort(c->params, c->n_params, sizeof(*c->params), cmp_encoded);
	return attempt(a, c, header, date, secret, text);
}

enum sign_result sign_verify(struct arena *a, const struct sign_request *req, const struct sign_header *header,
			     struct str secret, int64_t now_ms, struct str *canonical)
{
	struct str date = header_find(req, STR("x-sdk-date")), names[MAX_SIGNED], text = STR_NONE;
	struct canon c;
	size_t n;
	int64_t at;

	if (canonical)
		*canonical = STR_NONE;
	if (!date.p || !clock_parse_basic(date, &at))
		return SIGN_NO_DATE;
	if (now_ms - at > SIGN_WINDOW_MS || at - now_ms > SIGN_WINDOW_MS)
		return SIGN_EXPIRED;
	if (!signed_names(header->signed_headers, names, &n))
		return SIGN_BAD_HEADERS;
	for (size_t i = 0; i < n; i++)
		if (!header_find(req, names[i]).p)
			return SIGN_BAD_HEADERS;
	if (!canon_init(a, req, names, n, &c))
		return SIGN_MISMATCH;
	bool ok = matches(a, &c, header, date, secret, &text);

	if (canonical)
		*canonical = with_bars(a, text);
	return ok ? SIGN_OK : SIGN_MISMATCH;
}

/* Lower-cased, sorted, each once: what sign_make() signs. */
static size_t names_to_sign(struct arena *a, const struct sign_request *req, struct str *names)
{
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < req->n_headers; i++) {
		struct str name = req->headers[i].name;

		if (str_find(name, '_', 0) < name.n || str_eq_nocase(name, STR("authorization")))
			continue;
		struct out o = {arena_alloc(a, name.n + 1), 0};

		put_lower(&o, name);
		names[n++] = (struct str){o.p, o.n};
	}
	qsort(names, n, sizeof(*names), cmp_str);
	for (size_t i = 0; i < n; i++)
		if (!i || !str_eq(names[i], names[kept - 1]))
			names[kept++] = names[i];
	return kept;
}

struct str sign_make(struct arena *a, const struct sign_request *req, struct str access, struct str secret)
{
	struct str date = header_find(req, STR("x-sdk-date"));
	struct str declared = header_find(req, STR("x-sdk-content-sha256"));
	struct canon c;
	int64_t at;

	if (!date.p || !clock_parse_basic(date, &at) || !header_find(req, STR("host")).p)
		return STR_NONE;
	struct str *names = ARENA_ARRAY(a, struct str, req->n_headers);
	size_t n = names_to_sign(a, req, names);

	if (!canon_init(a, req, names, n, &c))
		return STR_NONE;
	if (c.n_params > 1)
		qsort(c.params, c.n_params, sizeof(*c.params), cmp_decoded);
	struct str text = canon_text(a, &c, declared.n ? declared : req->body_sha256);

	if (!text.p)
		return STR_NONE;
	struct str list = arena_join(a, names, n, STR(";"));
	char hex[65];
	struct str sig = signature(text, date, secret, hex);

	return arena_fmt(a, ALGORITHM " Access=%.*s, SignedHeaders=%.*s, Signature=%.*s", STR_FMT(access),
			 STR_FMT(list), STR_FMT(sig));
}
