/* SPDX-License-Identifier: Apache-2.0 */
#include "livedata/result.h"

#include "base/enc.h"
#include "base/mem.h"
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define SCRATCH_BYTES (256u << 20)

/* RFC 8259 number. */
static bool is_json_number(struct str s)
{
	size_t i = s.n && s.p[0] == '-' ? 1 : 0, from = i;

	while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
		i++;
	if (i == from || (i > from + 1 && s.p[from] == '0'))
		return false;
	if (i < s.n && s.p[i] == '.') {
		from = ++i;
		while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
			i++;
		if (i == from)
			return false;
	}
	return i == s.n;
}

/* The shortest decimal that reads back as the same double. */
static void print_double(struct buf *out, double d)
{
	char text[40];

	if (!isfinite(d)) {
		buf_cstr(out, isnan(d) ? "\"NaN\"" : d > 0 ? "\"Infinity\"" : "\"-Infinity\"");
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, d);
		if (strtod(text, NULL) == d)
			break;
	}
	buf_cstr(out, text);
	if (!strpbrk(text, ".e"))
		buf_cstr(out, ".0");
}

static void print_json(struct buf *out, struct str text, struct arena *scratch)
{
	const struct json *tree;
	char why[160];

	/* What is no JSON after all, or beyond our limits, is handed on as text. */
	if (json_parse(scratch, text, &tree, why, sizeof(why)))
		buf_str(out, text);
	else
		json_print_str(out, text);
	arena_reset(scratch);
}

void livedata_value_print(struct buf *out, const struct value *v, struct arena *scratch)
{
	switch (v->kind) {
	case VALUE_NULL:
		buf_cstr(out, "null");
		break;
	case VALUE_BOOL:
		buf_cstr(out, v->i ? "true" : "false");
		break;
	case VALUE_INT:
		buf_int(out, v->i);
		break;
	case VALUE_DOUBLE:
		print_double(out, v->d);
		break;
	case VALUE_DECIMAL:
		if (is_json_number(v->s))
			buf_str(out, v->s);
		else
			json_print_str(out, v->s);
		break;
	case VALUE_BINARY:
		buf_char(out, '"');
		buf_str(out, enc_base64(scratch, v->s));
		buf_char(out, '"');
		arena_reset(scratch);
		break;
	case VALUE_JSON:
		print_json(out, v->s, scratch);
		break;
	default:
		json_print_str(out, v->s);
	}
}

struct str livedata_xml_name(struct arena *a, struct str name)
{
	char *out = arena_alloc(a, name.n + 2);
	size_t n = 0;

	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;

		if (n == 0 && !letter && c >= '0' && c <= '9')
			out[n++] = '_';
		out[n++] = letter || (c >= '0' && c <= '9') || c == '-' || c == '.' ? (char)c : '_';
		if (n == 1 && (c == '-' || c == '.'))
			out[0] = '_';
	}
	if (n == 0 || !enc_utf8_valid((struct str){out, n}))
		return STR("value");
	return (struct str){out, n};
}

static void print_xml(struct livedata_result *r, struct str tag, const struct value *v)
{
	if (v->kind == VALUE_NULL) {
		buf_fmt(r->out, "<%.*s null=\"true\"/>", STR_FMT(tag));
		return;
	}
	buf_fmt(r->out, "<%.*s>", STR_FMT(tag));
	if (v->kind == VALUE_TEXT || v->kind == VALUE_TIME || v->kind == VALUE_JSON || v->kind == VALUE_DECIMAL) {
		enc_xml_text(r->out, v->s);
	} else if (v->kind == VALUE_BINARY) {
		buf_str(r->out, enc_base64(r->scratch, v->s));
		arena_reset(r->scratch);
	} else if (v->kind == VALUE_DOUBLE && !isfinite(v->d)) {
		buf_cstr(r->out, isnan(v->d) ? "NaN" : v->d > 0 ? "Infinity" : "-Infinity");
	} else {
		livedata_value_print(r->out, v, r->scratch);
	}
	buf_fmt(r->out, "</%.*s>", STR_FMT(tag));
}

static struct str json_key(struct livedata_result *r, struct str name)
{
	struct buf key;

	buf_init(&key, 1 << 20);
	json_print_str(&key, name);
	buf_char(&key, ':');
	struct str s = arena_str(r->a, buf_view(&key));

	buf_done(&key);
	return s;
}

static void end_set(struct livedata_result *r)
{
	if (r->sets && r->content == LIVEDATA_JSON)
		buf_char(r->out, ']');
}

static void on_columns(void *ctx, const struct str *names, size_t n)
{
	struct livedata_result *r = ctx;

	end_set(r);
	if (r->content == LIVEDATA_JSON)
		buf_cstr(r->out, r->sets ? ",[" : "[");
	r->sets++;
	r->written = 0;
	r->keys = ARENA_ARRAY(r->a, struct str, n + 1);
	r->n_keys = n;
	for (size_t i = 0; i < n; i++) {
		bool again = false;

		for (size_t k = i + 1; k < n && !again; k++)
			again = str_eq(names[i], names[k]);
		if (!again)
			r->keys[i] =
				r->content == LIVEDATA_XML ? livedata_xml_name(r->a, names[i]) : json_key(r, names[i]);
	}
}

static void write_json_row(struct livedata_result *r, const struct value *values, size_t n)
{
	bool first = true;

	buf_cstr(r->out, r->written ? ",{" : "{");
	for (size_t i = 0; i < n; i++) {
		if (!r->keys[i].p)
			continue;
		if (!first)
			buf_char(r->out, ',');
		first = false;
		buf_str(r->out, r->keys[i]);
		livedata_value_print(r->out, &values[i], r->scratch);
	}
	buf_char(r->out, '}');
}

static void write_stream(struct livedata_result *r, const struct value *v)
{
	if (v->kind == VALUE_NULL)
		return;
	if (v->kind == VALUE_BOOL || v->kind == VALUE_INT || v->kind == VALUE_DOUBLE)
		livedata_value_print(r->out, v, r->scratch);
	else
		buf_str(r->out, v->s);
}

static bool on_row(void *ctx, const struct value *values, size_t n)
{
	struct livedata_result *r = ctx;

	if (r->rows >= r->skip + r->limit) {
		/* One row too many tells that there are more; only the next one is worth losing the connection for. */
		bool first = !r->overflow;

		r->overflow = true;
		return first;
	}
	if (r->rows++ < r->skip)
		return true;
	n = n < r->n_keys ? n : r->n_keys;
	if (r->content == LIVEDATA_JSON) {
		write_json_row(r, values, n);
	} else if (r->content == LIVEDATA_XML) {
		buf_cstr(r->out, "<row>");
		for (size_t i = 0; i < n; i++)
			if (r->keys[i].p)
				print_xml(r, r->keys[i], &values[i]);
		buf_cstr(r->out, "</row>");
	} else if (r->rows == r->skip + 1 && n) {
		write_stream(r, &values[0]);
	}
	r->written++;
	return !r->out->failed;
}

void livedata_result_init(struct livedata_result *r, struct buf *out, struct arena *a, enum livedata_content content,
                          int64_t skip, int64_t limit)
{
	*r = (struct livedata_result){.out = out, .a = a, .content = content, .skip = skip, .limit = limit};
	r->scratch = arena_new(SCRATCH_BYTES);
}

struct datasource_sink livedata_result_sink(struct livedata_result *r)
{
	return (struct datasource_sink){on_columns, on_row, r};
}

void livedata_result_end(struct livedata_result *r)
{
	end_set(r);
	arena_free(r->scratch);
	r->scratch = NULL;
}
