/* SPDX-License-Identifier: Apache-2.0 */
#include "script/script.h"

#include "base/enc.h"
#include "base/mem.h"
#include "script/script_priv.h"

#define MAX_SCRIPT ((size_t)1 << 20)

/* "Error: text (line 3)". The text is the script's own: it may run script code, under the same limits. */
static int exception(struct script_call *call, JSValueRef exc, struct err *err)
{
	JSContextRef ctx = call->ctx;
	struct str text = STR_NONE;
	JSValueRef second = NULL;
	double line = 0;

	if (call->stop == SCRIPT_STOP_NONE && exc && script__text_of(ctx, exc, &text, &second) && text.n > 400)
		text.n = 400;
	while (text.n && ((unsigned char)text.p[text.n - 1] & 0xc0) == 0x80)
		text.n--;
	second = NULL;
	if (call->stop == SCRIPT_STOP_NONE && exc && JSValueIsObject(ctx, exc)) {
		JSObjectRef o = JSValueToObject(ctx, exc, &second);
		JSValueRef v = o ? script__get(ctx, o, "line", &second) : NULL;

		line = v && JSValueIsNumber(ctx, v) ? JSValueToNumber(ctx, v, NULL) : 0;
	}
	switch (call->stop) {
	case SCRIPT_STOP_CPU:
		return err_set_text(err, ERR_APPIA_0500, "The script was stopped: it ran longer than %lld ms.",
				    (long long)call->limits->cpu_ms);
	case SCRIPT_STOP_DEADLINE:
		return err_set_text(err, ERR_APPIA_0500, "The script was stopped: the time for the call is over.");
	case SCRIPT_STOP_MEMORY:
		return err_set_text(err, ERR_APPIA_0500,
				    "The script was stopped: it holds more than %zu bytes of memory.",
				    call->limits->memory_bytes);
	case SCRIPT_STOP_NONE:
		break;
	}
	if (line >= 1 && line < 1e9)
		return err_set_text(err, ERR_APPIA_0500, "The script failed: %.*s (line %d)", STR_FMT(text), (int)line);
	return err_set_text(err, ERR_APPIA_0500, "The script failed: %.*s", STR_FMT(text));
}

static int bad_reply(struct err *err, const char *why)
{
	return err_set_text(err, ERR_APPIA_0500, "The script's return value cannot be sent: %s.", why);
}

/* Text that is a JSON object or array is sent as JSON, any other as plain text. */
static bool looks_json(JSContextRef ctx, struct str s)
{
	struct str t = s;

	while (t.n && strchr(" \t\r\n", *t.p))
		t.p++, t.n--;
	if (!t.n || (*t.p != '{' && *t.p != '['))
		return false;
	JSStringRef js = script__jsstr(s);
	JSValueRef v = JSValueMakeFromJSONString(ctx, js);

	JSStringRelease(js);
	return v != NULL;
}

static int body_of(struct script_call *call, JSValueRef v, struct script_reply *ret, JSValueRef *exc, struct err *err)
{
	JSContextRef ctx = call->ctx;

	if (!v || JSValueIsUndefined(ctx, v) || JSValueIsNull(ctx, v))
		return 0;
	bool text = JSValueIsString(ctx, v);
	JSStringRef s = text ? JSValueToStringCopy(ctx, v, exc) : JSValueCreateJSONString(ctx, v, 0, exc);

	if (!s)
		return *exc ? exception(call, *exc, err) : bad_reply(err, "it has no JSON form");
	bool ok = script__utf8(call->a, s, SCRIPT_MAX_BODY, &ret->body);

	JSStringRelease(s);
	if (!ok)
		return bad_reply(err, "the body is too large");
	ret->content_type =
		!text || looks_json(ctx, ret->body) ? STR("application/json") : STR("text/plain; charset=utf-8");
	return 0;
}

/* RFC 9110: a name is a token, a value has no control characters but tab. */
static bool header_ok(struct str name, struct str value)
{
	static const char mark[] = "!#$%&'*+-.^_`|~";

	if (!name.n || name.n > 128 || value.n > 8192)
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!alnum && (!c || !strchr(mark, c)))
			return false;
	}
	for (size_t i = 0; i < value.n; i++)
		if (((unsigned char)value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
			return false;
	return true;
}

/* Headers that belong to the connection or that the server computes: dropped, so that forwarding the headers of
 * another answer just works. */
static bool header_dropped(struct str name)
{
	static const char *const list[] = {"connection", "keep-alive", "proxy-connection", "transfer-encoding",
					   "te",         "trailer",    "upgrade",          "content-length"};

	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		if (str_eq_nocase(name, str_of(list[i])))
			return true;
	return false;
}

static bool add_header(JSContextRef ctx, struct str name, JSValueRef v, void *arg, JSValueRef *exc)
{
	struct script_reply *ret = arg;
	struct str value;

	if (JSValueIsUndefined(ctx, v) || JSValueIsNull(ctx, v))
		return true;
	if (!script__text_of(ctx, v, &value, exc))
		return false;
	if (!header_ok(name, value)) {
		script__throw(ctx, exc, "a response header has a bad name or value");
		return false;
	}
	if (header_dropped(name))
		return true;
	if (str_eq_nocase(name, STR("content-type"))) {
		ret->content_type = value;
		return true;
	}
	if (ret->n_headers == ARRAY_LEN(ret->headers)) {
		script__throw(ctx, exc, "more than %zu response headers", ARRAY_LEN(ret->headers));
		return false;
	}
	ret->headers[ret->n_headers].name = name;
	ret->headers[ret->n_headers++].value = value;
	return true;
}

/* Base64 to bytes, in place of *body. Returns what is wrong, or NULL. */
static const char *decode_body(struct arena *a, struct str *body)
{
	struct arena *scratch = arena_new(SCRIPT_MAX_BODY * 2);
	struct str bytes;
	bool ok = enc_unbase64(scratch, *body, &bytes);
	char *copy = ok ? arena_try(a, bytes.n + 1) : NULL;

	if (copy && bytes.n)
		memcpy(copy, bytes.p, bytes.n);
	if (copy)
		*body = (struct str){copy, bytes.n};
	arena_free(scratch);
	return !ok ? "the body is not Base64" : !copy ? "the body is too large" : NULL;
}

static int response_of(struct script_call *call, JSObjectRef o, struct script_reply *ret, struct err *err)
{
	JSContextRef ctx = call->ctx;
	JSValueRef exc = NULL;
	double status = JSValueToNumber(ctx, script__priv_get(ctx, o, "StatusCode"), &exc);

	if (exc)
		return exception(call, exc, err);
	if (!(status >= 200 && status <= 599) || status != (int)status)
		return bad_reply(err, "the status code is not one of 200 to 599");
	ret->status = (int)status;
	int rc = body_of(call, script__priv_get(ctx, o, "Body"), ret, &exc, err);

	if (rc)
		return rc;
	if (JSValueToBoolean(ctx, script__priv_get(ctx, o, "Base64Encoded"))) {
		const char *why = ret->body.n ? decode_body(call->a, &ret->body) : NULL;

		if (why)
			return bad_reply(err, why);
		if (ret->body.p)
			ret->content_type = STR("application/octet-stream");
	}
	JSValueRef headers = script__priv_get(ctx, o, "Headers");

	if (!JSValueIsObject(ctx, headers))
		return 0;
	JSObjectRef h = JSValueToObject(ctx, headers, &exc);

	return h && script__each(ctx, h, add_header, ret, &exc) ? 0 : exception(call, exc, err);
}

static JSObjectRef find_entry(JSContextRef ctx, JSValueRef *exc)
{
	static const char *const names[] = {"execute", "excute"};
	JSObjectRef global = JSContextGetGlobalObject(ctx);

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		JSValueRef v = script__get(ctx, global, names[i], exc);
		JSObjectRef o = v && JSValueIsObject(ctx, v) ? JSValueToObject(ctx, v, exc) : NULL;

		if (o && JSObjectIsFunction(ctx, o))
			return o;
	}
	return NULL;
}

static int run(struct script_call *call, struct str script, struct str data, struct script_reply *ret, struct err *err)
{
	JSContextRef ctx = call->ctx;
	JSValueRef exc = NULL;
	JSStringRef source = script__jsstr(script);

	script__globals(ctx);
	JSEvaluateScript(ctx, source, NULL, NULL, 1, &exc);
	JSStringRelease(source);
	if (exc)
		return exception(call, exc, err);
	JSObjectRef entry = find_entry(ctx, &exc);

	if (!entry)
		return exc ? exception(call, exc, err)
			   : err_set_text(err, ERR_APPIA_0500, "The script failed: it has no function execute(data).");
	JSValueRef arg = script__str(ctx, data.p ? data : STR("{}"));
	JSValueRef v = JSObjectCallAsFunction(ctx, entry, NULL, 1, &arg, &exc);

	if (exc || !v)
		return exception(call, exc, err);
	if (script__is(ctx, v, &script__response))
		return response_of(call, JSValueToObject(ctx, v, &exc), ret, err);
	return body_of(call, v, ret, &exc, err);
}

int script_run(const struct script_host *host, struct str script, struct str data, const struct script_limits *limits,
	       struct arena *a, struct script_reply *ret, struct err *err)
{
	struct script_call call = {.host = host, .limits = limits, .a = a};
	struct script_reply reply = {.status = 200};

	if (script.n > MAX_SCRIPT)
		return err_set_text(err, ERR_APPIA_0500, "The script is longer than %zu bytes.", MAX_SCRIPT);
	script__begin(&call);
	int rc = run(&call, script, data, &reply, err);
	struct str log = buf_view(&call.log);
	char *copy = arena_try(a, log.n + 1);

	if (copy && log.n)
		memcpy(copy, log.p, log.n);
	reply.log = copy ? (struct str){copy, log.n} : STR("");
	script__end(&call, call.stop != SCRIPT_STOP_NONE);
	if (rc == 0)
		*ret = reply;
	else
		*ret = (struct script_reply){.status = 500, .log = reply.log};
	return rc;
}

int script_check(struct str script, struct err *err)
{
	static const struct script_limits limits = {.cpu_ms = 5000, .memory_bytes = (size_t)256 << 20};
	struct script_call call = {.limits = &limits};
	JSValueRef exc = NULL;
	int rc = 0;

	if (script.n > MAX_SCRIPT)
		return err_set_text(err, ERR_APPIA_0400, "The script is longer than %zu bytes.", MAX_SCRIPT);
	call.a = arena_new((size_t)4 << 20);
	script__begin(&call);
	JSStringRef source = script__jsstr(script);

	if (!JSCheckScriptSyntax(call.ctx, source, NULL, 1, &exc)) {
		rc = exception(&call, exc, err);
		if (err)
			err->code = rc = ERR_APPIA_0400;
	}
	JSStringRelease(source);
	script__end(&call, false);
	arena_free(call.a);
	return rc;
}
