/* SPDX-License-Identifier: Apache-2.0 */
#include "base/enc.h"

#include <stdint.h>

static const char hex_digits[] = "0123456789abcdef";

struct str enc_hex(struct arena *a, struct str bytes)
{
	char *p = arena_alloc(a, bytes.n * 2 + 1);

	for (size_t i = 0; i < bytes.n; i++) {
		p[2 * i] = hex_digits[(unsigned char)bytes.p[i] >> 4];
		p[2 * i + 1] = hex_digits[bytes.p[i] & 15];
	}
	return (struct str){p, bytes.n * 2};
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool enc_unhex(struct arena *a, struct str hex, struct str *ret)
{
	if (hex.n % 2)
		return false;
	char *p = arena_alloc(a, hex.n / 2 + 1);

	for (size_t i = 0; i < hex.n; i += 2) {
		int hi = hex_value(hex.p[i]), lo = hex_value(hex.p[i + 1]);

		if (hi < 0 || lo < 0)
			return false;
		p[i / 2] = (char)(hi << 4 | lo);
	}
	*ret = (struct str){p, hex.n / 2};
	return true;
}

struct str enc_base64(struct arena *a, struct str bytes)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *p = arena_alloc(a, (bytes.n + 2) / 3 * 4 + 1), *w = p;

	for (size_t i = 0; i < bytes.n; i += 3) {
		uint32_t v = (uint32_t)(unsigned char)bytes.p[i] << 16;
		size_t left = bytes.n - i;

		if (left > 1)
			v |= (uint32_t)(unsigned char)bytes.p[i + 1] << 8;
		if (left > 2)
			v |= (unsigned char)bytes.p[i + 2];
		*w++ = digits[v >> 18];
		*w++ = digits[v >> 12 & 63];
		*w++ = left > 1 ? digits[v >> 6 & 63] : '=';
		*w++ = left > 2 ? digits[v & 63] : '=';
	}
	return (struct str){p, (size_t)(w - p)};
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool enc_unbase64(struct arena *a, struct str text, struct str *ret)
{
	if (text.n % 4)
		return false;
	char *p = arena_alloc(a, text.n / 4 * 3 + 1), *w = p;

	for (size_t i = 0; i < text.n; i += 4) {
		bool last = i + 4 == text.n;
		int pad = last && text.p[i + 3] == '=' ? (text.p[i + 2] == '=' ? 2 : 1) : 0;
		uint32_t v = 0;

		for (size_t k = 0; k < 4; k++) {
			int d = k >= (size_t)(4 - pad) ? 0 : base64_value(text.p[i + k]);

			if (d < 0)
				return false;
			v = v << 6 | (uint32_t)d;
		}
		if (v & (pad == 2 ? 0xffffu : pad == 1 ? 0xffu : 0))
			return false;
		*w++ = (char)(v >> 16);
		if (pad < 2)
			*w++ = (char)(v >> 8);
		if (pad < 1)
			*w++ = (char)v;
	}
	*ret = (struct str){p, (size_t)(w - p)};
	return true;
}

static bool unreserved(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '.' || c == '~';
}

void enc_percent(struct buf *out, struct str s, const char *keep)
{
	static const char upper[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (unreserved(c) || (c && keep && strchr(keep, c))) {
			buf_char(out, c);
		} else {
			char esc[3] = {'%', upper[(unsigned char)c >> 4], upper[c & 15]};

			buf_add(out, esc, 3);
		}
	}
}

bool enc_unpercent(struct arena *a, struct str s, bool plus, struct str *ret)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			int hi = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
			int lo = hi >= 0 ? hex_value(s.p[i + 2]) : -1;

			if (lo < 0)
				return false;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (plus && c == '+') {
			c = ' ';
		}
		p[n++] = c;
	}
	*ret = (struct str){p, n};
	return true;
}

size_t enc_utf8_step(struct str s, size_t i)
{
	unsigned char c = (unsigned char)s.p[i];
	size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;

	if (n == 0 || i + n > s.n)
		return 0;
	for (size_t k = 1; k < n; k++)
		if (((unsigned char)s.p[i + k] & 0xc0) != 0x80)
			return 0;
	unsigned char d = n > 1 ? (unsigned char)s.p[i + 1] : 0;

	if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f))
		return 0;
	return n;
}

bool enc_utf8_valid(struct str s)
{
	for (size_t i = 0; i < s.n;) {
		size_t n = enc_utf8_step(s, i);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

size_t enc_utf8_len(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

void enc_xml_text(struct buf *out, struct str s)
{
	if (!enc_utf8_valid(s))
		return;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '<')
			buf_cstr(out, "&lt;");
		else if (c == '>')
			buf_cstr(out, "&gt;");
		else if (c == '&')
			buf_cstr(out, "&amp;");
		else if (c == '\r')
			buf_cstr(out, "&#13;"); /* else it would be read as a line's end */
		else if (c >= ' ' || c == '\t' || c == '\n')
			buf_char(out, (char)c);
	}
}
