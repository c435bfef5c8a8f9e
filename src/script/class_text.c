/* SPDX-License-Identifier: Apache-2.0 */
#include "base/enc.h"
#include "base/mem.h"
#include "script/script_priv.h"

#include <openssl/evp.h>

/* Base64Utils, StringUtils, Md5Utils, TextUtils: statics over text (UTF-8) and byte arrays. */

static void swap_alphabet(char *p, size_t n, bool to_url)
{
	for (size_t i = 0; i < n; i++)
		p[i] = to_url ? (p[i] == '+'   ? '-'
				 : p[i] == '/' ? '_'
					       : p[i])
			      : (p[i] == '-'   ? '+'
				 : p[i] == '_' ? '/'
					       : p[i]);
}

static JSValueRef base64_out(JSContextRef ctx, size_t argc, const JSValueRef argv[], bool url, JSValueRef *exc)
{
	struct arena *a = script__call()->a;
	struct str s;

	if (!script__bytes(ctx, argc ? argv[0] : NULL, &s, exc))
		return JSValueMakeUndefined(ctx);
	if (!s.p)
		return JSValueMakeNull(ctx);
	char *p = arena_cstr(a, enc_base64(a, s));

	if (url)
		swap_alphabet(p, strlen(p), true);
	return script__str(ctx, str_of(p));
}

/* White space is skipped and missing padding is added, as Java's MIME decoder does. */
static JSValueRef base64_in(JSContextRef ctx, size_t argc, const JSValueRef argv[], bool url, JSValueRef *exc)
{
	struct arena *a = script__call()->a;
	struct str s, bytes;
	size_t n = 0;

	if (!script__arg(ctx, argc, argv, 0, &s, exc))
		return JSValueMakeUndefined(ctx);
	if (!s.p)
		return JSValueMakeNull(ctx);
	char *p = arena_alloc(a, s.n + 4);

	for (size_t i = 0; i < s.n; i++)
		if (!strchr(" \t\r\n", s.p[i]) || !s.p[i])
			p[n++] = s.p[i];
	while (n % 4)
		p[n++] = '=';
	if (url)
		swap_alphabet(p, n, false);
	if (!enc_unbase64(a, (struct str){p, n}, &bytes))
		return script__throw(ctx, exc, "Base64Utils: the text is not Base64");
	return script__str(ctx, bytes);
}

SCRIPT_FN(base64_encode)
{
	(void)self_fn, (void)self;
	return base64_out(ctx, argc, argv, false, exc);
}

SCRIPT_FN(base64_encode_url)
{
	(void)self_fn, (void)self;
	return base64_out(ctx, argc, argv, true, exc);
}

SCRIPT_FN(base64_decode)
{
	(void)self_fn, (void)self;
	return base64_in(ctx, argc, argv, false, exc);
}

SCRIPT_FN(base64_decode_url)
{
	(void)self_fn, (void)self;
	return base64_in(ctx, argc, argv, true, exc);
}

SCRIPT_FN(md5_encode)
{
	struct arena *a = script__call()->a;
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	struct str s;

	(void)self_fn, (void)self;
	if (!script__bytes(ctx, argc ? argv[0] : NULL, &s, exc))
		return JSValueMakeUndefined(ctx);
	if (!s.p)
		return JSValueMakeNull(ctx);
	if (EVP_Digest(s.p, s.n, hash, &n, EVP_md5(), NULL) != 1)
		return script__throw(ctx, exc, "Md5Utils: MD5 is not available");
	return script__str(ctx, enc_hex(a, (struct str){(char *)hash, n}));
}

/* ISO-8859-1 bytes as UTF-8. */
static struct str from_latin1(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n * 2 + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= 0x80)
			p[n++] = (char)(0xc0 | c >> 6);
		p[n++] = (char)(c < 0x80 ? c : 0x80 | (c & 0x3f));
	}
	return (struct str){p, n};
}

SCRIPT_FN(string_to_string)
{
	struct str s, name;

	(void)self_fn, (void)self;
	if (argc == 0)
		return script__str(ctx, STR("StringUtils"));
	if (!script__bytes(ctx, argv[0], &s, exc) || !script__arg(ctx, argc, argv, 1, &name, exc))
		return JSValueMakeUndefined(ctx);
	if (!name.p || str_eq_nocase(name, STR("utf-8")) || str_eq_nocase(name, STR("utf8")) ||
	    str_eq_nocase(name, STR("us-ascii")))
		return script__str(ctx, s);
	if (str_eq_nocase(name, STR("iso-8859-1")) || str_eq_nocase(name, STR("latin1")))
		return script__str(ctx, from_latin1(script__call()->a, s));
	return script__throw(ctx, exc, "StringUtils: the encoding is not one of UTF-8, ISO-8859-1, US-ASCII");
}

SCRIPT_FN(string_to_hex)
{
	struct str s;

	(void)self_fn, (void)self;
	if (!script__bytes(ctx, argc ? argv[0] : NULL, &s, exc))
		return JSValueMakeUndefined(ctx);
	return s.p ? script__str(ctx, enc_hex(script__call()->a, s)) : JSValueMakeNull(ctx);
}

SCRIPT_FN(string_from_hex)
{
	struct str s, bytes;

	(void)self_fn, (void)self;
	if (!script__arg(ctx, argc, argv, 0, &s, exc))
		return JSValueMakeUndefined(ctx);
	if (!enc_unhex(script__call()->a, s.p ? s : STR(""), &bytes))
		return script__throw(ctx, exc, "StringUtils: the text is not hexadecimal");
	return script__byte_array(ctx, bytes, exc);
}

/* java.net.URLEncoder: form encoding, space is '+'. */
static void form_encode(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c && strchr(".-*_", c)))
			buf_char(out, (char)c);
		else if (c == ' ')
			buf_char(out, '+');
		else
			buf_fmt(out, "%%%02X", c);
	}
}

struct form {
	struct buf query; /* "a=1&b=2" */
	JSObjectRef map; /* or an object of encoded names and values, when not NULL */
};

static bool form_add(JSContextRef ctx, struct str name, JSValueRef value, void *arg, JSValueRef *exc)
{
	struct form *form = arg;
	struct str text;

	if (!script__text_of(ctx, value, &text, exc))
		return false;
	if (!form->map) {
		if (form->query.n)
			buf_char(&form->query, '&');
		form_encode(&form->query, name);
		buf_char(&form->query, '=');
		form_encode(&form->query, text);
		return true;
	}
	buf_reset(&form->query);
	form_encode(&form->query, name);
	JSStringRef key = script__jsstr(buf_view(&form->query));

	buf_reset(&form->query);
	form_encode(&form->query, text);
	JSObjectSetProperty(ctx, form->map, key, script__str(ctx, buf_view(&form->query)), kJSPropertyAttributeNone,
			    exc);
	JSStringRelease(key);
	return !*exc;
}

static JSValueRef form_of(JSContextRef ctx, size_t argc, const JSValueRef argv[], JSObjectRef map, JSValueRef *exc)
{
	struct form form = {.map = map};

	if (!argc || !JSValueIsObject(ctx, argv[0]))
		return script__throw(ctx, exc, "TextUtils: the argument is not a map");
	buf_init(&form.query, SCRIPT_MAX_TEXT);
	JSValueRef ret = JSValueMakeUndefined(ctx);

	if (script__each(ctx, JSValueToObject(ctx, argv[0], exc), form_add, &form, exc))
		ret = form.query.failed ? script__throw(ctx, exc, "TextUtils: the result is too long")
		      : map             ? (JSValueRef)map
					: script__str(ctx, buf_view(&form.query));
	buf_done(&form.query);
	return ret;
}

SCRIPT_FN(text_query)
{
	(void)self_fn, (void)self;
	return form_of(ctx, argc, argv, NULL, exc);
}

SCRIPT_FN(text_encode)
{
	(void)self_fn, (void)self;
	return form_of(ctx, argc, argv, JSObjectMake(ctx, NULL, NULL), exc);
}

SCRIPT_FN(text_boolean)
{
	struct str s;

	(void)self_fn, (void)self;
	if (!script__arg(ctx, argc, argv, 0, &s, exc))
		return JSValueMakeUndefined(ctx);
	if (s.p && str_eq_nocase(s, STR("true")))
		return JSValueMakeBoolean(ctx, true);
	if (s.p && str_eq_nocase(s, STR("false")))
		return JSValueMakeBoolean(ctx, false);
	return JSValueMakeBoolean(ctx, argc > 1 && JSValueToBoolean(ctx, argv[1]));
}

static const JSStaticFunction none[] = {{0}};
static const JSStaticFunction base64_statics[] = {{"encode", base64_encode, 0},
						  {"encodeUrlSafe", base64_encode_url, 0},
						  {"decode", base64_decode, 0},
						  {"decodeUrlSafe", base64_decode_url, 0},
						  {0}};
static const JSStaticFunction md5_statics[] = {{"encode", md5_encode, 0}, {"md5", md5_encode, 0}, {0}};
static const JSStaticFunction string_statics[] = {{"toString", string_to_string, 0},
						  {"toHexString", string_to_hex, 0},
						  {"hexToByteArray", string_from_hex, 0},
						  {0}};
static const JSStaticFunction text_statics[] = {{"encodeByUrlEncoder", text_encode, 0},
						{"toHttpParameters", text_query, 0},
						{"parseBoolean", text_boolean, 0},
						{0}};
static const char *const base64_paths[] = {"com.roma.apic.livedata.common.v1.Base64Utils", NULL};
static const char *const md5_paths[] = {"com.roma.apic.livedata.common.v1.Md5Utils",
					"com.huawei.livedata.lambdaservice.util.MD5Encoder", NULL};
static const char *const string_paths[] = {"com.roma.apic.livedata.common.v1.StringUtils", NULL};
static const char *const text_paths[] = {"com.roma.apic.livedata.common.v1.TextUtils", NULL};

const struct script_class script__base64 = {base64_paths, "Base64Utils", NULL, none, base64_statics, NULL};
const struct script_class script__string = {string_paths, "StringUtils", NULL, none, string_statics, NULL};
const struct script_class script__text = {text_paths, "TextUtils", NULL, none, text_statics, NULL};
const struct script_class script__md5 = {md5_paths, "Md5Utils", NULL, none, md5_statics, NULL};
