/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/api_priv.h"

#include "base/enc.h"

#include <stdarg.h>

#define MAX_PATH 512
#define MAX_NAME 32

int api__invalid(struct model *m, const char *field, const char *why_fmt, ...)
{
	va_list ap;

	va_start(ap, why_fmt);
	struct str why = arena_vfmt(m->arena, why_fmt, ap);

	va_end(ap);
	return err_set_text(&m->err, ERR_APIG_2011, "Invalid parameter value,parameterName:%s. %.*s", field,
			    STR_FMT(why));
}

int api__missing(struct model *m, const char *field)
{
	return err_set(&m->err, ERR_APIG_2001, "parameterName:%s", field);
}

static bool is_name(struct str s)
{
	if (s.n == 0 || s.n > MAX_NAME)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.')))
			return false;
	}
	return true;
}

/* Requests are matched after decoding; bytes that would then mean something else are refused. */
static int add_literal(struct model *m, const char *field, struct str segment, struct buf *path, struct buf *shape)
{
	struct str text;

	if (!enc_unpercent(m->arena, segment, false, &text))
		return api__invalid(m, field, "bad percent-encoding");
	if (str_is(text, ".") || str_is(text, ".."))
		return api__invalid(m, field, "dot segments are not allowed");
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f || strchr("{}/?#", text.p[i]))
			return api__invalid(m, field, "a segment is literal text or one {name}");
	if (!enc_utf8_valid(text))
		return api__invalid(m, field, "percent-encoded text is not UTF-8");
	buf_str(path, text);
	buf_str(shape, text);
	return 0;
}

static int add_param(struct model *m, const char *field, struct str segment, bool greedy, struct buf *path,
		     struct buf *shape, struct api_path *out)
{
	struct str name = str_sub(segment, 1, segment.n - 1);
	bool tail = greedy && name.n && name.p[name.n - 1] == '+';

	if (tail)
		name.n--;
	if (!is_name(name))
		return api__invalid(m, field, "bad parameter name in the path");
	if (api__path_has(out, name))
		return api__invalid(m, field, "parameter %.*s stands twice in the path", STR_FMT(name));
	if (out->n_params == API_MAX_PATH_PARAMS)
		return api__invalid(m, field, "more than %d parameters in the path", API_MAX_PATH_PARAMS);
	out->params[out->n_params++] = name;
	buf_str(path, segment);
	buf_cstr(shape, tail ? "{+}" : "{}");
	return 0;
}

/* #x# stands for text that is known when the API is published. */
static struct str without_vars(struct model *m, struct str uri)
{
	char *out = arena_alloc(m->arena, uri.n + 1);
	size_t n = 0;
	bool inside = false;

	for (size_t i = 0; i < uri.n; i++) {
		if (uri.p[i] == '#') {
			inside = !inside;
			if (!inside)
				out[n++] = 'x';
		} else if (!inside) {
			out[n++] = uri.p[i];
		}
	}
	/* An unpaired one stays and is refused as a literal. */
	if (inside)
		out[n++] = '#';
	return (struct str){out, n};
}

static int parse(struct model *m, const char *field, struct str uri, bool greedy, struct buf *path, struct buf *shape,
		 struct api_path *out)
{
	struct str rest = str_sub(uri, 1, uri.n);
	int rc = 0;

	while (rc == 0 && rest.p) {
		struct str segment = str_cut(&rest, '/');
		bool param = segment.n >= 2 && segment.p[0] == '{' && segment.p[segment.n - 1] == '}';

		buf_char(path, '/');
		buf_char(shape, '/');
		if (segment.n == 0 && rest.p)
			return api__invalid(m, field, "empty segments are not allowed");
		if (param && segment.p[segment.n - 2] == '+' && rest.p)
			return api__invalid(m, field, "{name+} must be the last segment");
		rc = param ? add_param(m, field, segment, greedy, path, shape, out)
			   : add_literal(m, field, segment, path, shape);
	}
	return rc;
}

/* As a prefix, "/a/" is "/a"; behind a prefix the rest is free, as it is in {x+}. */
void api__path_prefix(struct model *m, struct api_path *path)
{
	struct str shape = path->shape;

	if (shape.n >= 3 && str_is(str_sub(shape, shape.n - 3, shape.n), "{+}"))
		return;
	if (shape.p[shape.n - 1] == '/')
		shape.n--;
	path->shape = arena_fmt(m->arena, "%.*s{*}", STR_FMT(shape));
}

int api__path_parse(struct model *m, const char *field, struct str uri, bool greedy, bool vars, struct api_path *ret)
{
	struct api_path out = {.n_params = 0};
	struct buf path, shape;

	if (uri.n > MAX_PATH)
		return api__invalid(m, field, "longer than %d characters", MAX_PATH);
	if (vars)
		uri = without_vars(m, uri);
	if (uri.n == 0 || uri.p[0] != '/')
		return api__invalid(m, field, "must start with '/'");
	buf_init(&path, 2 * MAX_PATH);
	buf_init(&shape, 2 * MAX_PATH);
	int rc = parse(m, field, uri, greedy, &path, &shape, &out);

	if (rc == 0) {
		out.path = arena_str(m->arena, buf_view(&path));
		out.shape = arena_str(m->arena, buf_view(&shape));
		*ret = out;
	}
	buf_done(&path);
	buf_done(&shape);
	return rc;
}

bool api__path_has(const struct api_path *path, struct str param)
{
	for (size_t i = 0; i < path->n_params; i++)
		if (str_eq(path->params[i], param))
			return true;
	return false;
}
