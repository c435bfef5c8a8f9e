/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/httpd.h"

#include <string.h>

#define PARTS_MAX 64
#define BOUNDARY_MAX 70 /* RFC 2046, section 5.1.1 */

/* Cuts one parameter ("; name=value" or "; name=\"value\"") off *rest. A backslash before a quote or a backslash
 * stays in *ret_value, *ret_escaped says so. False when there is none or it is malformed (then rest->n != 0). */
static bool cut_param(struct str *rest, struct str *ret_name, struct str *ret_value, bool *ret_escaped)
{
	struct str s = str_trim(*rest);

	*rest = s;
	if (!s.n || s.p[0] != ';')
		return false;
	s = str_trim(str_sub(s, 1, s.n));
	size_t eq = str_find(s, '=', 0);

	if (eq == s.n)
		return false;
	*ret_name = str_sub(s, 0, eq);
	*ret_escaped = false;
	s = str_sub(s, eq + 1, s.n);
	if (!s.n || s.p[0] != '"') {
		size_t end = str_find(s, ';', 0);

		*ret_value = str_trim(str_sub(s, 0, end));
		*rest = str_sub(s, end, s.n);
		return ret_value->n > 0;
	}
	size_t i = 1;

	for (; i < s.n && s.p[i] != '"'; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n && (s.p[i + 1] == '"' || s.p[i + 1] == '\\')) {
			*ret_escaped = true;
			i++;
		}
	}
	if (i >= s.n)
		return false;
	*ret_value = str_sub(s, 1, i);
	*rest = str_sub(s, i + 1, s.n);
	return true;
}

static struct str unescape(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n && (s.p[i + 1] == '"' || s.p[i + 1] == '\\'))
			i++;
		p[n++] = s.p[i];
	}
	return (struct str){p, n};
}

static bool find_boundary(struct str content_type, struct str *ret)
{
	struct str rest = content_type, name, value;
	bool escaped;
	size_t end = str_find(rest, ';', 0);

	if (!str_eq_nocase(str_trim(str_sub(rest, 0, end)), STR("multipart/form-data")))
		return false;
	rest = str_sub(rest, end, rest.n);
	while (cut_param(&rest, &name, &value, &escaped)) {
		if (!str_eq_nocase(name, STR("boundary")))
			continue;
		*ret = value;
		return !escaped && value.n >= 1 && value.n <= BOUNDARY_MAX;
	}
	return false;
}

static bool parse_disposition(struct arena *a, struct str value, struct httpd_form_part *part)
{
	size_t end = str_find(value, ';', 0);
	struct str rest = str_sub(value, end, value.n), name, v;
	bool escaped;

	if (!str_eq_nocase(str_trim(str_sub(value, 0, end)), STR("form-data")))
		return false;
	while (cut_param(&rest, &name, &v, &escaped)) {
		struct str *to = str_eq_nocase(name, STR("name"))       ? &part->name
		                 : str_eq_nocase(name, STR("filename")) ? &part->filename
		                                                        : NULL;

		if (!to)
			continue;
		if (to->p)
			return false; /* twice: the two ends might not agree which counts */
		*to = escaped ? unescape(a, v) : v;
	}
	return rest.n == 0 && part->name.p;
}

static bool parse_part_header(struct arena *a, struct str line, struct httpd_form_part *part)
{
	struct str value = line, name = str_cut(&value, ':');

	if (!value.p)
		return false;
	value = str_trim(value);
	if (str_eq_nocase(name, STR("content-disposition")))
		return !part->name.p && parse_disposition(a, value, part);
	if (str_eq_nocase(name, STR("content-type")))
		part->content_type = value;
	else if (str_eq_nocase(name, STR("content-transfer-encoding"))) /* obsolete: RFC 7578, section 4.7 */
		return str_eq_nocase(value, STR("binary")) || str_eq_nocase(value, STR("8bit")) ||
		       str_eq_nocase(value, STR("7bit"));
	return true;
}

/* Offset of needle at or after from, or s.n. */
static size_t find(struct str s, struct str needle, size_t from)
{
	const char *hit = from < s.n ? memmem(s.p + from, s.n - from, needle.p, needle.n) : NULL;

	return hit ? (size_t)(hit - s.p) : s.n;
}

/* Reads header lines from *at up to behind the empty one. */
static bool parse_part_headers(struct arena *a, struct str body, size_t *at, struct httpd_form_part *part)
{
	for (;;) {
		size_t end = find(body, STR("\r\n"), *at);

		if (end == body.n)
			return false;
		struct str line = str_sub(body, *at, end);

		*at = end + 2;
		if (!line.n)
			return part->name.p != NULL;
		if (!parse_part_header(a, line, part))
			return false;
	}
}

/* Behind a delimiter: 0 malformed, 1 the next part begins at *at, 2 the end. */
static int after_delimiter(struct str body, size_t *at)
{
	size_t i = *at;

	if (i + 2 <= body.n && memcmp(body.p + i, "--", 2) == 0)
		return 2;
	while (i < body.n && (body.p[i] == ' ' || body.p[i] == '\t'))
		i++;
	if (i + 2 > body.n || memcmp(body.p + i, "\r\n", 2) != 0)
		return 0;
	*at = i + 2;
	return 1;
}

bool httpd_form(const struct httpd_request *req, struct httpd_form_part *parts, size_t max, size_t *ret_n)
{
	char text[BOUNDARY_MAX + 4] = "\r\n--";
	struct str boundary, body = req->body;
	size_t n = 0, at;
	int more;

	if (!body.p || !find_boundary(httpd_header(req, "Content-Type"), &boundary))
		return false;
	memcpy(text + 4, boundary.p, boundary.n);
	struct str delimiter = {text, boundary.n + 4};
	struct str first = str_sub(delimiter, 2, delimiter.n);

	if (body.n >= first.n && memcmp(body.p, first.p, first.n) == 0)
		at = first.n;
	else if ((at = find(body, delimiter, 0)) < body.n) /* behind a preamble */
		at += delimiter.n;
	else
		return false;
	while ((more = after_delimiter(body, &at)) == 1) {
		struct httpd_form_part part = {0};

		if (n == max || n == PARTS_MAX || !parse_part_headers(req->arena, body, &at, &part))
			return false;
		/* The delimiter's line break may be the one that ended the headers of an empty part. */
		size_t end = find(body, delimiter, at - 2);

		if (end == body.n)
			return false;
		part.data = end < at ? str_sub(body, at, at) : str_sub(body, at, end);
		parts[n++] = part;
		at = end + delimiter.n;
	}
	if (more != 2)
		return false;
	*ret_n = n;
	return true;
}
