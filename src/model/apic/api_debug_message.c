/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/api_debug.h"

#include "base/enc.h"
#include "base/mem.h"
#include "sign/sign.h"

#include <time.h>

#define MAX_BODY ((size_t)2097152)
#define MAX_PATH 1024
#define MAX_NAME 32
#define MAX_HEADERS 64
#define MAX_QUERY (32 * 1024)

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters, digits, '.', '-' and (in queries) '_'; a letter first. */
static bool is_name(struct str s, bool underscore)
{
	if (s.n == 0 || s.n > MAX_NAME || !is_letter(s.p[0]))
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!is_letter(s.p[i]) && !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '.' && s.p[i] != '-' &&
		    !(underscore && s.p[i] == '_'))
			return false;
	return true;
}

static bool is_one_of(struct str name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq_nocase(name, str_of(names[i])))
			return true;
	return false;
}

static bool starts_nocase(struct str s, struct str prefix)
{
	return s.n >= prefix.n && str_eq_nocase(str_sub(s, 0, prefix.n), prefix);
}

static int check_name(struct model *m, const char *field, struct str name, bool header, bool market)
{
	static const char *const ours[] = {"X-Stage", "Host", "Content-Length", "Transfer-Encoding", "Connection"};
	static const char *const credentials[] = {"X-Auth-Token", "Authorization"};

	if (!is_name(name, !header))
		return api__invalid(m, field, "a name has 1..%d letters, digits, '.' and '-' and begins with a letter",
				    MAX_NAME);
	if (starts_nocase(name, STR("X-Apig-")) || starts_nocase(name, STR("X-Sdk-")) ||
	    is_one_of(name, ours, header ? ARRAY_LEN(ours) : 1) ||
	    (header && market && is_one_of(name, credentials, ARRAY_LEN(credentials))))
		return api__invalid(m, field, "the name %.*s is reserved", STR_FMT(name));
	return 0;
}

/* "x-MY-hEaDer" becomes "X-My-Header". */
static struct str canonical(struct arena *a, struct str name)
{
	char *p = arena_cstr(a, name);

	for (size_t i = 0; i < name.n; i++) {
		bool first = i == 0 || p[i - 1] == '-';

		if (first && p[i] >= 'a' && p[i] <= 'z')
			p[i] = (char)(p[i] - 'a' + 'A');
		if (!first && p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] - 'A' + 'a');
	}
	return (struct str){p, name.n};
}

static bool is_header_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

void api__debug_header(struct model *m, struct api_debug_message *message, struct str name, struct str value)
{
	if (!message->headers)
		message->headers = ARENA_ARRAY(m->arena, struct net_header, MAX_HEADERS + 8);
	message->headers[message->n_headers++] = (struct net_header){name, value};
}

static int add_headers(struct model *m, const struct apic_api_debug *in, struct api_debug_message *out)
{
	bool market = !str_is(in->mode, "DEVELOPER");
	struct str name;
	const struct json *values;

	for (size_t i = 0; json_member(in->header, i, &name, &values); i++) {
		int rc = check_name(m, "header", name, true, market);

		if (rc)
			return rc;
		for (size_t k = 0; k < json_len(values); k++) {
			struct str value = json_str(json_at(values, k));

			if (out->n_headers >= MAX_HEADERS)
				return api__invalid(m, "header", "more than %d values", MAX_HEADERS);
			if (!value.p || !is_header_value(value))
				return api__invalid(m, "header", "bad value of %.*s", STR_FMT(name));
			api__debug_header(m, out, canonical(m->arena, name), value);
		}
	}
	return 0;
}

static int add_query(struct model *m, const struct apic_api_debug *in, struct api_debug_message *out)
{
	struct buf query;
	struct str name;
	const struct json *values;
	int rc = 0;

	buf_init(&query, MAX_QUERY);
	for (size_t i = 0; rc == 0 && json_member(in->query, i, &name, &values); i++) {
		rc = check_name(m, "query", name, false, false);
		for (size_t k = 0; rc == 0 && k < json_len(values); k++) {
			if (query.n)
				buf_char(&query, '&');
			enc_percent(&query, name, "");
			buf_char(&query, '=');
			enc_percent(&query, json_str(json_at(values, k)), "");
		}
	}
	if (rc == 0 && query.failed)
		rc = api__invalid(m, "query", "longer than %d bytes", MAX_QUERY);
	if (rc == 0)
		out->query = arena_str(m->arena, buf_view(&query));
	buf_done(&query);
	return rc;
}

static int check_path(struct model *m, struct str path)
{
	struct str decoded;

	if (path.n == 0 || path.n > MAX_PATH || path.p[0] != '/')
		return api__invalid(m, "path", "starts with '/' and has at most %d characters", MAX_PATH);
	for (size_t i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] <= 0x20 || (unsigned char)path.p[i] >= 0x7f || path.p[i] == '?' ||
		    path.p[i] == '#')
			return api__invalid(m, "path", "has a character that must be percent-encoded");
	if (!enc_unpercent(m->arena, path, false, &decoded))
		return api__invalid(m, "path", "bad percent-encoding");
	return 0;
}

int api__debug_message(struct model *m, const struct apic_api_debug *in, struct str host, struct api_debug_message *ret)
{
	struct api_debug_message out = {.method = in->method, .path = in->path, .host = host, .body = in->body};
	int rc = check_path(m, in->path);

	if (rc == 0 && (!api__is_method(in->method) || str_is(in->method, "ANY")))
		rc = api__invalid(m, "method", "must be GET, POST, PUT, DELETE, HEAD, PATCH or OPTIONS");
	if (rc == 0 && in->body.n > MAX_BODY)
		rc = err_set(&m->err, ERR_APIG_2006, "parameterName:body");
	api__debug_header(m, &out, STR("Host"), host);
	api__debug_header(m, &out, STR("User-Agent"), STR("APIGatewayDebugClient/1.0"));
	api__debug_header(m, &out, STR("X-Apig-Mode"), STR("debug"));
	if (rc == 0)
		rc = add_headers(m, in, &out);
	if (rc == 0)
		rc = add_query(m, in, &out);
	if (rc == 0)
		*ret = out;
	return rc;
}

void api__debug_sign(struct model *m, struct api_debug_message *message, struct str key, struct str secret)
{
	char date[32];
	time_t now = time(NULL);
	struct tm tm;

	gmtime_r(&now, &tm);
	size_t n = strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);

	api__debug_header(m, message, STR("X-Sdk-Date"), arena_str(m->arena, (struct str){date, n}));
	struct sign_pair *pairs = ARENA_ARRAY(m->arena, struct sign_pair, message->n_headers);

	for (size_t i = 0; i < message->n_headers; i++)
		pairs[i] = (struct sign_pair){message->headers[i].name, message->headers[i].value};
	struct sign_request request = {
		.method = message->method,
		.path = message->path,
		.query = message->query,
		.headers = pairs,
		.n_headers = message->n_headers,
		.body_sha256 = str_empty(message->body) ? SIGN_EMPTY_BODY : sign_sha256_hex(m->arena, message->body),
	};

	api__debug_header(m, message, STR("Authorization"), sign_make(m->arena, &request, key, secret));
}

static void put_headers(struct buf *out, const struct net_header *headers, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_str(out, headers[i].name);
		buf_cstr(out, ": ");
		buf_str(out, headers[i].value);
		buf_cstr(out, "\r\n");
	}
	buf_cstr(out, "\r\n");
}

static struct str finish(struct model *m, struct buf *out, struct str body)
{
	buf_str(out, (struct str){body.p, body.n < MAX_BODY ? body.n : MAX_BODY});
	if (body.n > MAX_BODY)
		buf_cstr(out, "[TRUNCATED]");
	struct str text = arena_str(m->arena, buf_view(out));

	buf_done(out);
	return text;
}

struct str api__debug_request_text(struct model *m, const struct api_debug_message *message)
{
	struct buf out;

	buf_init(&out, MAX_BODY + 256 * 1024);
	buf_str(&out, message->method);
	buf_char(&out, ' ');
	buf_str(&out, message->path);
	if (message->query.n)
		buf_char(&out, '?');
	buf_str(&out, message->query);
	buf_cstr(&out, " HTTP/1.1\r\n");
	put_headers(&out, message->headers, message->n_headers);
	return finish(m, &out, message->body.p ? message->body : STR(""));
}

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} reasons[] = {
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{204, "No Content"},
		{206, "Partial Content"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Not Allowed"},
		{413, "Request Entity Too Large"},
		{414, "Request-URI Too Large"},
		{429, "Too Many Requests"},
		{500, "Internal Server Error"},
		{502, "Bad Gateway"},
		{503, "Service Temporarily Unavailable"},
		{504, "Gateway Time-out"},
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "";
}

struct str api__debug_reply_text(struct model *m, const struct net_reply *reply)
{
	struct buf out;

	buf_init(&out, MAX_BODY + 512 * 1024);
	buf_fmt(&out, "HTTP/1.1 %d %s\r\n", reply->status, reason(reply->status));
	put_headers(&out, reply->headers, reply->n_headers);
	return finish(m, &out, reply->body);
}
