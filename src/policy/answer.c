/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/answer.h"

#include "base/buf.h"
#include "base/enc.h"
#include "base/mem.h"

static const struct {
	int code;
	const char *type;
} types[] = {
	{ERR_APIG_0101_NOT_PUBLISHED, "NOT_FOUND"},
	{ERR_APIG_0101_NOT_FOUND, "NOT_FOUND"},
	{ERR_APIG_0201_REQUEST_ERROR, "REQUEST_PARAMETERS_FAILURE"},
	{ERR_APIG_0201_BACKEND_UNAVAILABLE, "BACKEND_UNAVAILABLE"},
	{ERR_APIG_0202, "BACKEND_UNAVAILABLE"},
	{ERR_APIG_0610, "BACKEND_UNAVAILABLE"},
	{ERR_APIG_0201_BACKEND_TIMEOUT, "BACKEND_TIMEOUT"},
	{ERR_APIG_0203, "BACKEND_TIMEOUT"},
	{ERR_APIG_0301, "AUTH_FAILURE"},
	{ERR_APIG_0301_TOKEN_MISSING, "AUTH_HEADER_MISSING"},
	{ERR_APIG_0301_TOKEN_INVALID, "AUTH_FAILURE"},
	{ERR_APIG_0301_TOKEN_EXPIRED, "AUTH_FAILURE"},
	{ERR_APIG_0301_AK_UNKNOWN, "AUTH_FAILURE"},
	{ERR_APIG_0301_AK_BLOCKED, "AUTH_FAILURE"},
	{ERR_APIG_0301_SIGNATURE_WRONG, "AUTH_FAILURE"},
	{ERR_APIG_0303, "AUTH_FAILURE"},
	{ERR_APIG_0303_APP_UNKNOWN, "AUTH_FAILURE"},
	{ERR_APIG_0303_SIGNATURE_EXPIRED, "AUTH_FAILURE"},
	{ERR_APIG_0303_SIGNATURE_WRONG, "AUTH_FAILURE"},
	{ERR_APIG_0302, "UNAUTHORIZED"},
	{ERR_APIG_0304, "UNAUTHORIZED"},
	{ERR_APIG_0305, "AUTHORIZER_IDENTITIES_FAILURE"},
	{ERR_APIG_0306, "ACCESS_DENIED"},
	{ERR_APIG_0308, "THROTTLED"},
	{ERR_APIG_0312, "THIRD_AUTH_FAILURE"},
	{ERR_APIG_0313, "THIRD_AUTH_IDENTITIES_FAILURE"},
	{ERR_APIG_0401, "ACCESS_DENIED"},
	{ERR_APIG_0402, "ACCESS_DENIED"},
	{ERR_APIG_0404, "ACCESS_DENIED"},
	{ERR_APIG_0405, "ACCESS_DENIED"},
	{ERR_APIG_0616, "THIRD_AUTH_CONF_FAILURE"},
	{ERR_APIG_0617, "THIRD_AUTH_CONF_FAILURE"},
};

const char *policy_response_type(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i].code == code)
			return types[i].type;
	}
	return err_row(code)->status < 500 ? "DEFAULT_4XX" : "DEFAULT_5XX";
}

int policy_error_of_status(int status)
{
	switch (status) {
	case 400:
		return ERR_APIG_0201_REQUEST_ERROR;
	case 404:
		return ERR_APIG_0101_NOT_FOUND;
	case 413:
		return ERR_APIG_0201_BODY_TOO_LARGE;
	case 414:
		return ERR_APIG_0201_URI_TOO_LONG;
	case 494:
		return ERR_APIG_0201_HEADERS_TOO_LARGE;
	case 429:
		return ERR_APIG_0308;
	case 502:
		return ERR_APIG_0201_BACKEND_UNAVAILABLE;
	case 504:
		return ERR_APIG_0201_BACKEND_TIMEOUT;
	case 500:
		return ERR_APIG_0201_UNEXPECTED;
	default:
		return status < 500 ? ERR_APIG_0602 : ERR_APIG_0601;
	}
}

/* Length of the valid UTF-8 sequence at s.p[i], 0 when there is none. */
static size_t utf8_at(struct str s, size_t i)
{
	unsigned char c = (unsigned char)s.p[i];
	size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 0;

	return n && s.n - i >= n && enc_utf8_valid(str_sub(s, i, i + n)) ? n : 0;
}

static void add_escaped(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n;) {
		unsigned char c = (unsigned char)s.p[i];
		size_t n = utf8_at(s, i);

		if (!n)
			buf_cstr(out, "\\ufffd");
		else if (c == '"' || c == '\\')
			buf_fmt(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_fmt(out, "\\u%04x", c);
		else
			buf_add(out, s.p + i, n);
		i += n ? n : 1;
	}
}

struct str policy_error_body(struct arena *a, const struct err *err, struct str request_id)
{
	struct buf out;

	buf_init(&out, 16384);
	buf_cstr(&out, "{\"error_msg\":\"");
	add_escaped(&out, str_of(err->text));
	buf_cstr(&out, "\",\"error_code\":\"");
	add_escaped(&out, str_of(err_row(err->code)->code));
	buf_cstr(&out, "\",\"request_id\":\"");
	add_escaped(&out, request_id);
	buf_cstr(&out, "\"}");
	struct str body = out.failed ? STR("{}") : arena_str(a, buf_view(&out));

	buf_done(&out);
	return body;
}
