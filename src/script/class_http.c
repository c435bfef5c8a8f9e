/* SPDX-License-Identifier: Apache-2.0 */
#include "base/enc.h"
#include "base/mem.h"
#include "script/http.h"
#include "script/script_priv.h"

#include <stdio.h>

/* HttpClient, HttpConfig and the answer, whose accessors are those of okhttp3: code(), headers(), body().string(). */

/* ---- HttpConfig: a bag of settings, with maps of headers and parameters ---- */

static JSObjectRef config_construct(JSContextRef ctx, JSObjectRef ctor, size_t argc, const JSValueRef argv[],
				    JSValueRef *exc)
{
	JSObjectRef o = script__new(ctx, &script__http_config);

	(void)ctor, (void)argc, (void)argv, (void)exc;
	script__priv_set(ctx, o, "Headers", JSObjectMake(ctx, NULL, NULL));
	script__priv_set(ctx, o, "Parameters", JSObjectMake(ctx, NULL, NULL));
	return o;
}

static JSObjectRef map_of(JSContextRef ctx, JSObjectRef self, const char *map)
{
	JSValueRef v = self ? script__priv_get(ctx, self, map) : NULL;

	return v && JSValueIsObject(ctx, v) ? JSValueToObject(ctx, v, NULL) : NULL;
}

static JSValueRef map_put(JSContextRef ctx, JSObjectRef self, const char *map, size_t argc, const JSValueRef argv[],
			  JSValueRef *exc)
{
	JSObjectRef o = map_of(ctx, self, map);
	JSStringRef name = o && argc ? JSValueToStringCopy(ctx, argv[0], exc) : NULL;

	if (name) {
		JSObjectSetProperty(ctx, o, name, argc > 1 ? argv[1] : JSValueMakeNull(ctx), kJSPropertyAttributeNone,
				    exc);
		JSStringRelease(name);
	}
	return JSValueMakeUndefined(ctx);
}

static JSValueRef map_read(JSContextRef ctx, JSObjectRef self, const char *map, size_t argc, const JSValueRef argv[],
			   JSValueRef *exc)
{
	JSObjectRef o = map_of(ctx, self, map);
	JSStringRef name = o && argc ? JSValueToStringCopy(ctx, argv[0], exc) : NULL;

	if (!name)
		return JSValueMakeNull(ctx);
	JSValueRef v = JSObjectGetProperty(ctx, o, name, exc);

	JSStringRelease(name);
	return v;
}

SCRIPT_FN(set_header)
{
	(void)self_fn;
	return map_put(ctx, self, "Headers", argc, argv, exc);
}

SCRIPT_FN(get_header)
{
	(void)self_fn;
	return map_read(ctx, self, "Headers", argc, argv, exc);
}

SCRIPT_FN(set_parameter)
{
	(void)self_fn;
	return map_put(ctx, self, "Parameters", argc, argv, exc);
}

SCRIPT_FN(get_parameter)
{
	(void)self_fn;
	return map_read(ctx, self, "Parameters", argc, argv, exc);
}

/* All headers are signed anyway. */
SCRIPT_FN(nothing)
{
	(void)self_fn, (void)self, (void)argc, (void)argv, (void)exc;
	return JSValueMakeUndefined(ctx);
}

static const JSStaticFunction config_methods[] = {SCRIPT_BAG("Method"),
						  SCRIPT_BAG("Url"),
						  SCRIPT_BAG("Content"),
						  SCRIPT_BAG("ContentType"),
						  SCRIPT_BAG("Headers"),
						  SCRIPT_BAG("Parameters"),
						  SCRIPT_BAG("AccessKey"),
						  SCRIPT_BAG("SecretKey"),
						  SCRIPT_BAG("CaCertData"),
						  SCRIPT_BAG("ClientCertData"),
						  SCRIPT_BAG("ClientKeyData"),
						  SCRIPT_BAG("ClientKeyPassphrase"),
						  SCRIPT_BAG("ClientKeyAlgo"),
						  SCRIPT_BAG("Charset"),
						  SCRIPT_BAG("ConnectTimeout"),
						  SCRIPT_BAG("ConnectionTimeout"),
						  SCRIPT_BAG("ReadTimeout"),
						  {"setHeader", set_header, SCRIPT_ATTR},
						  {"addHeader", set_header, SCRIPT_ATTR},
						  {"getHeader", get_header, SCRIPT_ATTR},
						  {"setParameter", set_parameter, SCRIPT_ATTR},
						  {"addParameter", set_parameter, SCRIPT_ATTR},
						  {"getParameter", get_parameter, SCRIPT_ATTR},
						  {"addHeaderToSign", nothing, SCRIPT_ATTR},
						  {0}};

/* ---- the answer ---- */

SCRIPT_FN(headers_get)
{
	struct str name, text = STR_NONE;
	JSPropertyNameArrayRef names = self ? JSObjectCopyPropertyNames(ctx, self) : NULL;
	JSValueRef ret = JSValueMakeNull(ctx);

	(void)self_fn;
	if (!names)
		return ret;
	bool ok = script__arg(ctx, argc, argv, 0, &name, exc);

	for (size_t i = 0; ok && i < JSPropertyNameArrayGetCount(names); i++) {
		JSStringRef s = JSPropertyNameArrayGetNameAtIndex(names, i);

		if (script__utf8(script__call()->a, s, 1024, &text) && str_eq_nocase(text, name))
			ret = JSObjectGetProperty(ctx, self, s, exc);
	}
	JSPropertyNameArrayRelease(names);
	return ret;
}

SCRIPT_FN(headers_names)
{
	JSPropertyNameArrayRef names = self ? JSObjectCopyPropertyNames(ctx, self) : NULL;
	JSObjectRef list = JSObjectMakeArray(ctx, 0, NULL, exc);

	(void)self_fn, (void)argc, (void)argv;
	for (size_t i = 0; names && list && i < JSPropertyNameArrayGetCount(names); i++)
		JSObjectSetPropertyAtIndex(ctx, list, (unsigned)i,
					   JSValueMakeString(ctx, JSPropertyNameArrayGetNameAtIndex(names, i)), exc);
	if (names)
		JSPropertyNameArrayRelease(names);
	return list ? list : JSValueMakeUndefined(ctx);
}

SCRIPT_FN(body_string)
{
	(void)self_fn, (void)argc, (void)argv, (void)exc;
	return self ? script__priv_get(ctx, self, "Text") : JSValueMakeUndefined(ctx);
}

/* The bytes are kept as Base64, so that those which are no text survive. */
SCRIPT_FN(body_bytes)
{
	struct str text, bytes;

	(void)self_fn, (void)argc, (void)argv;
	if (!self || !script__text_of(ctx, script__priv_get(ctx, self, "Base64"), &text, exc) || !text.p ||
	    !enc_unbase64(script__call()->a, text, &bytes))
		return JSValueMakeUndefined(ctx);
	return script__byte_array(ctx, bytes, exc);
}

SCRIPT_FN(reply_code)
{
	(void)self_fn, (void)argc, (void)argv, (void)exc;
	return self ? script__priv_get(ctx, self, "Code") : JSValueMakeUndefined(ctx);
}

SCRIPT_FN(reply_headers)
{
	(void)self_fn, (void)argc, (void)argv, (void)exc;
	return self ? script__priv_get(ctx, self, "Headers") : JSValueMakeUndefined(ctx);
}

SCRIPT_FN(reply_body)
{
	(void)self_fn, (void)argc, (void)argv, (void)exc;
	return self ? script__priv_get(ctx, self, "Body") : JSValueMakeUndefined(ctx);
}

SCRIPT_FN(reply_header)
{
	JSValueRef h = self ? script__priv_get(ctx, self, "Headers") : NULL;

	if (!h || !JSValueIsObject(ctx, h))
		return JSValueMakeNull(ctx);
	return headers_get_body(ctx, self_fn, JSValueToObject(ctx, h, exc), argc, argv, exc);
}

SCRIPT_FN(reply_ok)
{
	double code = self ? JSValueToNumber(ctx, script__priv_get(ctx, self, "Code"), exc) : 0;

	(void)self_fn, (void)argc, (void)argv;
	return JSValueMakeBoolean(ctx, code >= 200 && code < 300);
}

static JSValueRef make_reply(JSContextRef ctx, struct script_http *http, JSValueRef *exc)
{
	JSObjectRef reply = script__new(ctx, &script__http_reply), headers = script__new(ctx, &script__http_headers);
	JSObjectRef body = script__new(ctx, &script__http_body);
	struct str bytes = buf_view(&http->body);

	for (size_t i = 0; i < http->n_reply; i++) {
		JSStringRef name = script__jsstr(http->reply[i].name);

		JSObjectSetProperty(ctx, headers, name, script__str(ctx, http->reply[i].value),
				    kJSPropertyAttributeNone, exc);
		JSStringRelease(name);
	}
	script__priv_set(ctx, body, "Text", script__str(ctx, bytes.p ? bytes : STR("")));
	script__priv_set(ctx, body, "Base64", script__str(ctx, enc_base64(http->a, bytes.p ? bytes : STR(""))));
	script__priv_set(ctx, reply, "Code", JSValueMakeNumber(ctx, (double)http->status));
	script__priv_set(ctx, reply, "Headers", headers);
	script__priv_set(ctx, reply, "Body", body);
	return reply;
}

/* ---- HttpClient ---- */

static bool add_header(JSContextRef ctx, struct str name, JSValueRef v, void *arg, JSValueRef *exc)
{
	struct script_http *http = arg;
	struct str value;

	if (!script__text_of(ctx, v, &value, exc))
		return false;
	if (!value.p)
		return true;
	if (http->n_headers == ARRAY_LEN(http->headers)) {
		script__throw(ctx, exc, "HttpClient: more than %d request headers", SCRIPT_MAX_HTTP_HEADERS);
		return false;
	}
	http->headers[http->n_headers].name = name;
	http->headers[http->n_headers++].value = value;
	return true;
}

/* Headers as an object, or as JSON text in the old family's calls. */
static bool take_headers(JSContextRef ctx, JSValueRef v, struct script_http *http, JSValueRef *exc)
{
	if (v && JSValueIsString(ctx, v)) {
		JSStringRef s = JSValueToStringCopy(ctx, v, exc);

		v = s && JSStringGetLength(s) ? JSValueMakeFromJSONString(ctx, s) : NULL;
		if (s)
			JSStringRelease(s);
	}
	if (!v || !JSValueIsObject(ctx, v))
		return true;
	return script__each(ctx, JSValueToObject(ctx, v, exc), add_header, http, exc);
}

/* Text and byte arrays as they are, other objects as JSON. */
static bool take_content(JSContextRef ctx, JSValueRef v, struct script_http *http, JSValueRef *exc)
{
	if (!v || !JSValueIsObject(ctx, v) || JSValueIsArray(ctx, v))
		return script__bytes(ctx, v, &http->content, exc);
	JSStringRef s = JSValueCreateJSONString(ctx, v, 0, exc);
	bool ok = s && script__utf8(http->a, s, SCRIPT_MAX_TEXT, &http->content);

	if (s)
		JSStringRelease(s);
	if (!ok && !*exc)
		script__throw(ctx, exc, "HttpClient: the content cannot be sent");
	return ok;
}

static JSValueRef perform(JSContextRef ctx, struct script_http *http, JSValueRef *exc)
{
	struct script_call *call = script__call();
	char why[256] = "out of memory";

	buf_init(&http->body, SCRIPT_MAX_HTTP);
	JSValueRef ret = script__http_perform(call->host, http, call->limits->deadline_ms, why, sizeof(why))
				 ? make_reply(ctx, http, exc)
				 : script__throw(ctx, exc, "HttpClient: %s", why);

	buf_done(&http->body);
	return ret;
}

struct query {
	struct buf text;
	bool first;
};

static bool add_parameter(JSContextRef ctx, struct str name, JSValueRef v, void *arg, JSValueRef *exc)
{
	struct query *query = arg;
	struct str value;

	if (!script__text_of(ctx, v, &value, exc))
		return false;
	buf_char(&query->text, query->first ? '?' : '&');
	query->first = false;
	enc_percent(&query->text, name, "");
	buf_char(&query->text, '=');
	enc_percent(&query->text, value.p ? value : STR(""), "");
	return true;
}

static bool add_query(JSContextRef ctx, JSValueRef map, struct script_http *http, JSValueRef *exc)
{
	struct query query = {.first = str_find(http->url, '?', 0) == http->url.n};

	if (!map || !JSValueIsObject(ctx, map))
		return true;
	buf_init(&query.text, 65536);
	buf_str(&query.text, http->url);
	bool ok = script__each(ctx, JSValueToObject(ctx, map, exc), add_parameter, &query, exc);

	if (ok && query.text.failed) {
		script__throw(ctx, exc, "HttpClient: the URL is too long");
		ok = false;
	}
	if (ok)
		http->url = arena_str(http->a, buf_view(&query.text));
	buf_done(&query.text);
	return ok;
}

static bool take_ms(JSContextRef ctx, JSObjectRef config, const char *name, int64_t *ret, JSValueRef *exc)
{
	JSValueRef v = script__priv_get(ctx, config, name);
	double ms = JSValueIsUndefined(ctx, v) ? 0 : JSValueToNumber(ctx, v, exc);

	if (ms >= 1 && ms < 1e9)
		*ret = (int64_t)ms;
	return !*exc;
}

static bool take_config(JSContextRef ctx, JSObjectRef config, struct script_http *http, JSValueRef *exc)
{
	struct {
		const char *name;
		struct str *to;
	} rows[] = {
		{"Method", &http->method},
		{"Url", &http->url},
		{"ContentType", &http->content_type},
		{"AccessKey", &http->access_key},
		{"SecretKey", &http->secret_key},
		{"CaCertData", &http->ca_pem},
		{"ClientCertData", &http->cert_pem},
		{"ClientKeyData", &http->key_pem},
		{"ClientKeyPassphrase", &http->key_pass},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (!script__text_of(ctx, script__priv_get(ctx, config, rows[i].name), rows[i].to, exc))
			return false;
	if (!http->method.p)
		http->method = STR("GET");
	if (!http->url.p)
		http->url = STR("");
	return take_ms(ctx, config, "ConnectionTimeout", &http->connect_ms, exc) &&
	       take_ms(ctx, config, "ConnectTimeout", &http->connect_ms, exc) &&
	       take_ms(ctx, config, "ReadTimeout", &http->read_ms, exc) &&
	       take_headers(ctx, script__priv_get(ctx, config, "Headers"), http, exc) &&
	       take_content(ctx, script__priv_get(ctx, config, "Content"), http, exc) &&
	       add_query(ctx, script__priv_get(ctx, config, "Parameters"), http, exc);
}

static JSObjectRef client_construct(JSContextRef ctx, JSObjectRef ctor, size_t argc, const JSValueRef argv[],
				    JSValueRef *exc)
{
	JSObjectRef o = script__new(ctx, &script__http_client);

	(void)ctor, (void)exc;
	if (argc && script__is(ctx, argv[0], &script__http_config))
		script__priv_set(ctx, o, "Config", argv[0]);
	return o;
}

/* request(HttpConfig), request() with the constructor's one, or request(method, url, headers, body, contentType). */
SCRIPT_FN(request)
{
	struct script_http http = {.a = script__call()->a};
	JSValueRef config = argc ? argv[0] : self ? script__priv_get(ctx, self, "Config") : NULL;
	bool ok;

	(void)self_fn;
	if (config && script__is(ctx, config, &script__http_config))
		ok = take_config(ctx, JSValueToObject(ctx, config, exc), &http, exc);
	else if (argc < 2)
		return script__throw(ctx, exc,
				     "HttpClient: request() takes (method, url, headers, body, contentType) "
				     "or an HttpConfig");
	else
		ok = script__arg(ctx, argc, argv, 0, &http.method, exc) &&
		     script__arg(ctx, argc, argv, 1, &http.url, exc) &&
		     take_headers(ctx, argc > 2 ? argv[2] : NULL, &http, exc) &&
		     take_content(ctx, argc > 3 ? argv[3] : NULL, &http, exc) &&
		     script__arg(ctx, argc, argv, 4, &http.content_type, exc);
	return ok ? perform(ctx, &http, exc) : JSValueMakeUndefined(ctx);
}

/* The old family's calls answer with the body's text. */
static JSValueRef perform_text(JSContextRef ctx, struct script_http *http, JSValueRef *exc)
{
	JSValueRef reply = perform(ctx, http, exc);
	JSValueRef body = *exc ? NULL : script__priv_get(ctx, JSValueToObject(ctx, reply, exc), "Body");

	return body && JSValueIsObject(ctx, body) ? script__priv_get(ctx, JSValueToObject(ctx, body, exc), "Text")
						  : JSValueMakeUndefined(ctx);
}

/* callGETAPI(host, service, paramsJson, headersJson) or callGETAPI(url). */
SCRIPT_FN(call_get)
{
	struct script_http http = {.a = script__call()->a, .method = STR("GET")};
	struct str host, service;
	JSStringRef text = argc > 2 ? JSValueToStringCopy(ctx, argv[2], exc) : NULL;
	JSValueRef params = text ? JSValueMakeFromJSONString(ctx, text) : NULL;

	(void)self_fn, (void)self;
	if (text)
		JSStringRelease(text);
	if (!script__arg(ctx, argc, argv, 0, &host, exc) || !script__arg(ctx, argc, argv, 1, &service, exc))
		return JSValueMakeUndefined(ctx);
	http.url = arena_fmt(http.a, "%s%.*s%.*s", host.p && str_contains(host, STR("://")) ? "" : "http://",
			     STR_FMT(host), STR_FMT(service));
	if (!take_headers(ctx, argc > 3 ? argv[3] : NULL, &http, exc) || !add_query(ctx, params, &http, exc))
		return JSValueMakeUndefined(ctx);
	return perform_text(ctx, &http, exc);
}

/* get(url, headersJson) */
SCRIPT_FN(plain_get)
{
	struct script_http http = {.a = script__call()->a, .method = STR("GET")};

	(void)self_fn, (void)self;
	if (!script__arg(ctx, argc, argv, 0, &http.url, exc) ||
	    !take_headers(ctx, argc > 1 ? argv[1] : NULL, &http, exc))
		return JSValueMakeUndefined(ctx);
	return perform_text(ctx, &http, exc);
}

/* callPostAPI(url, headersJson, body, contentType) */
SCRIPT_FN(call_post)
{
	struct script_http http = {.a = script__call()->a, .method = STR("POST")};

	(void)self_fn, (void)self;
	if (!script__arg(ctx, argc, argv, 0, &http.url, exc) ||
	    !take_headers(ctx, argc > 1 ? argv[1] : NULL, &http, exc) ||
	    !take_content(ctx, argc > 2 ? argv[2] : NULL, &http, exc) ||
	    !script__arg(ctx, argc, argv, 3, &http.content_type, exc))
		return JSValueMakeUndefined(ctx);
	return perform_text(ctx, &http, exc);
}

static const JSStaticFunction client_methods[] = {{"request", request, SCRIPT_ATTR},
						  {"callGETAPI", call_get, SCRIPT_ATTR},
						  {"get", plain_get, SCRIPT_ATTR},
						  {"callPostAPI", call_post, SCRIPT_ATTR},
						  {0}};
static const JSStaticFunction reply_methods[] = {{"code", reply_code, SCRIPT_ATTR},
						 {"headers", reply_headers, SCRIPT_ATTR},
						 {"body", reply_body, SCRIPT_ATTR},
						 {"header", reply_header, SCRIPT_ATTR},
						 {"isSuccessful", reply_ok, SCRIPT_ATTR},
						 {"close", nothing, SCRIPT_ATTR},
						 {0}};
static const JSStaticFunction headers_methods[] = {
	{"get", headers_get, SCRIPT_ATTR}, {"names", headers_names, SCRIPT_ATTR}, {0}};
static const JSStaticFunction body_methods[] = {
	{"string", body_string, SCRIPT_ATTR}, {"bytes", body_bytes, SCRIPT_ATTR}, {"close", nothing, SCRIPT_ATTR}, {0}};
static const char *const client_paths[] = {"com.roma.apic.livedata.client.v1.HttpClient",
					   "com.huawei.livedata.lambdaservice.livedataprovider.HttpClient", NULL};
static const char *const config_paths[] = {"com.roma.apic.livedata.config.v1.HttpConfig", NULL};
static const char *const no_paths[] = {NULL};

const struct script_class script__http_client = {client_paths,   "HttpClient", client_construct,
						 client_methods, NULL,         NULL};
const struct script_class script__http_config = {config_paths,   "HttpConfig", config_construct,
						 config_methods, NULL,         NULL};
const struct script_class script__http_reply = {no_paths, "Response", NULL, reply_methods, NULL, NULL};
const struct script_class script__http_headers = {no_paths, "Headers", NULL, headers_methods, NULL, NULL};
const struct script_class script__http_body = {no_paths, "ResponseBody", NULL, body_methods, NULL, NULL};
