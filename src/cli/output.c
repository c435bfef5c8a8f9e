/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include "base/enc.h"
#include "base/mem.h"

#define MAX_COLUMNS 8
#define MAX_WIDTH 48

static void indent(struct buf *out, unsigned depth)
{
	buf_char(out, '\n');
	while (depth--)
		buf_cstr(out, "  ");
}

static void print(struct buf *out, const struct json *j, unsigned depth)
{
	const struct json *value;
	struct str name;
	enum json_kind kind = json_kind(j);
	size_t i = 0;

	if (kind == JSON_OBJECT) {
		buf_char(out, '{');
		for (; json_member(j, i, &name, &value); i++) {
			if (i)
				buf_char(out, ',');
			indent(out, depth + 1);
			json_print_str(out, name);
			buf_cstr(out, ": ");
			print(out, value, depth + 1);
		}
		if (i)
			indent(out, depth);
		buf_char(out, '}');
	} else if (kind == JSON_ARRAY) {
		buf_char(out, '[');
		for (; i < json_len(j); i++) {
			if (i)
				buf_char(out, ',');
			indent(out, depth + 1);
			print(out, json_at(j, i), depth + 1);
		}
		if (i)
			indent(out, depth);
		buf_char(out, ']');
	} else {
		json_print(out, j);
	}
}

void cli_output_json(struct buf *out, const struct json *tree)
{
	print(out, tree, 0);
	buf_char(out, '\n');
}

static bool scalar(const struct json *j)
{
	return j && json_kind(j) != JSON_OBJECT && json_kind(j) != JSON_ARRAY;
}

void cli_output_plain(struct buf *out, struct str s, bool lines)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i], next = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;

		if (c == 0xc2 && next >= 0x80 && next <= 0x9f) { /* U+0080 to U+009F */
			buf_char(out, ' ');
			i++;
		} else {
			buf_char(out, (c < 0x20 && !(lines && c == '\n')) || c == 0x7f ? ' ' : s.p[i]);
		}
	}
}

static void cell(struct buf *out, const struct json *j)
{
	if (!j || json_kind(j) == JSON_NULL)
		return;
	if (json_kind(j) != JSON_STRING) {
		json_print(out, j);
		return;
	}
	cli_output_plain(out, json_str(j), false);
}

static bool has_rows(const struct json *j)
{
	return json_kind(j) == JSON_ARRAY && json_len(j) && json_kind(json_at(j, 0)) == JSON_OBJECT;
}

/* The list of a reply, NULL when it is none: an array of objects, or an object that has one and beside it nothing but
 * numbers ("total", "size") and objects ("links"). One that has texts is a thing of its own with parts. */
static const struct json *find_list(const struct json *tree)
{
	const struct json *value, *found = NULL;
	struct str name;

	if (has_rows(tree))
		return tree;
	for (size_t i = 0; json_member(tree, i, &name, &value); i++) {
		enum json_kind kind = json_kind(value);

		if (kind == JSON_STRING || kind == JSON_BOOL)
			return NULL;
		if (!found && has_rows(value))
			found = value;
	}
	return found;
}

static size_t choose_columns(const struct json *list, struct str *names)
{
	static const char *const first[] = {"id", "name", "status"};
	const struct json *row = json_at(list, 0), *value;
	struct str name;
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(first); i++)
		if (scalar(json_get(row, first[i])))
			names[n++] = str_of(first[i]);
	for (size_t i = 0; n < MAX_COLUMNS && json_member(row, i, &name, &value); i++) {
		bool known = !scalar(value);

		for (size_t k = 0; k < n; k++)
			known = known || str_eq(names[k], name);
		if (!known)
			names[n++] = name;
	}
	return n;
}

static void pad(struct buf *out, struct str text, size_t width, bool last)
{
	size_t len = enc_utf8_len(text);

	if (len > MAX_WIDTH) {
		size_t cut = 0;

		for (size_t seen = 0; cut < text.n; cut++)
			if (((unsigned char)text.p[cut] & 0xc0) != 0x80 && ++seen > MAX_WIDTH - 1)
				break;
		buf_add(out, text.p, cut);
		buf_cstr(out, "\xe2\x80\xa6");
		len = MAX_WIDTH;
	} else {
		buf_str(out, text);
	}
	for (; !last && len < width + 2; len++)
		buf_char(out, ' ');
}

static struct str heading(struct buf *text, struct str name)
{
	buf_reset(text);
	cli_output_plain(text, name, false);
	return buf_view(text);
}

static void table(struct buf *out, const struct json *list)
{
	struct str names[MAX_COLUMNS], key;
	size_t widths[MAX_COLUMNS], n = choose_columns(list, names);
	struct buf text;

	buf_init(&text, 65536);
	for (size_t c = 0; c < n; c++) {
		widths[c] = enc_utf8_len(names[c]) > MAX_WIDTH ? MAX_WIDTH : enc_utf8_len(names[c]);
		for (size_t r = 0; r < json_len(list); r++) {
			key = names[c];
			buf_reset(&text);
			cell(&text, json_get(json_at(list, r), key.p));
			size_t len = enc_utf8_len(buf_view(&text));

			if (len > widths[c])
				widths[c] = len > MAX_WIDTH ? MAX_WIDTH : len;
		}
	}
	for (size_t c = 0; c < n; c++)
		pad(out, heading(&text, names[c]), widths[c], c + 1 == n);
	buf_char(out, '\n');
	for (size_t r = 0; r < json_len(list); r++) {
		for (size_t c = 0; c < n; c++) {
			buf_reset(&text);
			cell(&text, json_get(json_at(list, r), names[c].p));
			pad(out, buf_view(&text), widths[c], c + 1 == n);
		}
		buf_char(out, '\n');
	}
	buf_done(&text);
}

void cli_output_table(struct buf *out, const struct json *tree)
{
	const struct json *list = find_list(tree), *value;
	struct str name;

	if (list) {
		table(out, list);
		return;
	}
	if (json_kind(tree) != JSON_OBJECT) {
		cli_output_json(out, tree);
		return;
	}
	for (size_t i = 0; json_member(tree, i, &name, &value); i++) {
		cli_output_plain(out, name, false);
		buf_cstr(out, ": ");
		if (scalar(value))
			cell(out, value);
		else
			json_print(out, value);
		buf_char(out, '\n');
	}
}
