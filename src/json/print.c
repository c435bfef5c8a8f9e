/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"

#include "base/enc.h"
#include "json/node.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void escape(struct buf *out, unsigned char c)
{
	static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt"; /* pairs of byte and escape letter */

	for (const char *p = letters; *p; p += 2) {
		if ((unsigned char)*p == c) {
			buf_char(out, '\\');
			buf_char(out, p[1]);
			return;
		}
	}
	buf_fmt(out, "\\u%04x", c);
}

static bool plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

void json_print_str(struct buf *out, struct str s)
{
	size_t from = 0, i = 0; /* bytes before from are written */

	buf_char(out, '"');
	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i];

		if (plain(c)) {
			i++;
			continue;
		}
		size_t n = c >= 0x80 ? enc_utf8_step(s, i) : 0;

		if (n) {
			i += n;
			continue;
		}
		buf_add(out, s.p + from, i - from);
		if (c >= 0x80)
			buf_cstr(out, "\xef\xbf\xbd");
		else
			escape(out, c);
		from = ++i;
	}
	if (s.n)
		buf_add(out, s.p + from, i - from);
	buf_char(out, '"');
}

void json_print_num(struct buf *out, double v, bool point)
{
	char text[40];

	if (!isfinite(v)) {
		buf_cstr(out, "null");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_cstr(out, text);
	if (point && !strpbrk(text, ".e"))
		buf_cstr(out, ".0");
}

static void print_children(struct buf *out, const struct json *j)
{
	bool object = j->kind == JSON_OBJECT;

	buf_char(out, object ? '{' : '[');
	for (uint32_t i = 0; i < j->n; i++) {
		if (i)
			buf_char(out, ',');
		if (object) {
			json_print_str(out, j->names[i]);
			buf_char(out, ':');
		}
		json_print(out, j->values[i]);
	}
	buf_char(out, object ? '}' : ']');
}

void json_print(struct buf *out, const struct json *j)
{
	switch (j->kind) {
	case JSON_STRING:
		json_print_str(out, (struct str){j->s, j->n});
		break;
	case JSON_INT:
		buf_int(out, j->i);
		break;
	case JSON_NUM:
		json_print_num(out, j->d, true);
		break;
	case JSON_BOOL:
		buf_cstr(out, j->b ? "true" : "false");
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		print_children(out, j);
		break;
	default:
		buf_cstr(out, "null");
	}
}
