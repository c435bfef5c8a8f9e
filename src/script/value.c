/* SPDX-License-Identifier: Apache-2.0 */
#include "script/script_priv.h"

#include <stdio.h>
#include <stdlib.h>

/* Reads one code point of UTF-8 (RFC 3629); an invalid byte is U+FFFD and one byte long. */
static uint32_t next_utf8(const unsigned char *p, size_t left, size_t *ret_used)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80                   ? 1
		   : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
		   : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
		   : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
						 : 0;
	uint32_t c = n == 1 ? p[0] : n ? p[0] & (0x7fu >> n) : 0;

	*ret_used = 1;
	if (n == 0 || n > left)
		return 0xfffd;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0xfffd;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (n > 1 && (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)))
		return 0xfffd;
	*ret_used = n;
	return c;
}

JSStringRef script__jsstr(struct str s)
{
	JSChar *out = malloc((s.n ? s.n : 1) * sizeof(*out));
	size_t n = 0, used;

	if (!out)
		return JSStringCreateWithUTF8CString("");
	for (size_t i = 0; i < s.n; i += used) {
		uint32_t c = next_utf8((const unsigned char *)s.p + i, s.n - i, &used);

		if (c >= 0x10000) {
			out[n++] = (JSChar)(0xd7c0 + (c >> 10));
			out[n++] = (JSChar)(0xdc00 | (c & 0x3ff));
		} else {
			out[n++] = (JSChar)c;
		}
	}
	JSStringRef ret = JSStringCreateWithCharacters(out, n);

	free(out);
	return ret;
}

JSValueRef script__str(JSContextRef ctx, struct str s)
{
	if (!s.p)
		return JSValueMakeNull(ctx);
	JSStringRef js = script__jsstr(s);
	JSValueRef v = JSValueMakeString(ctx, js);

	JSStringRelease(js);
	return v;
}

static size_t put_utf8(char *p, uint32_t c)
{
	if (c < 0x80) {
		p[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (char)(0xc0 | c >> 6);
		p[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (char)(0xe0 | c >> 12);
		p[1] = (char)(0x80 | (c >> 6 & 0x3f));
		p[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	p[0] = (char)(0xf0 | c >> 18);
	p[1] = (char)(0x80 | (c >> 12 & 0x3f));
	p[2] = (char)(0x80 | (c >> 6 & 0x3f));
	p[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* Code point at *i of UTF-16, a lone surrogate is U+FFFD; moves *i on. */
static uint32_t next_utf16(const JSChar *p, size_t n, size_t *i)
{
	uint32_t c = p[(*i)++];

	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c < 0xdc00 && *i < n && p[*i] >= 0xdc00 && p[*i] <= 0xdfff)
		return 0x10000 + ((c & 0x3ff) << 10 | (p[(*i)++] & 0x3ffu));
	return 0xfffd;
}

bool script__utf8(struct arena *a, JSStringRef s, size_t max, struct str *ret)
{
	size_t n = JSStringGetLength(s), need = 0, out = 0;
	char scratch[4];

	if (n > max)
		return false; /* before the characters are unpacked */
	const JSChar *p = JSStringGetCharactersPtr(s);

	for (size_t i = 0; i < n;)
		need += put_utf8(scratch, next_utf16(p, n, &i));
	if (need > max)
		return false;
	char *text = arena_try(a, need + 1);

	if (!text)
		return false;
	for (size_t i = 0; i < n;)
		out += put_utf8(text + out, next_utf16(p, n, &i));
	*ret = (struct str){text, out};
	return true;
}

bool script__text_of(JSContextRef ctx, JSValueRef v, struct str *ret, JSValueRef *exc)
{
	if (!v || JSValueIsUndefined(ctx, v) || JSValueIsNull(ctx, v)) {
		*ret = STR_NONE;
		return true;
	}
	JSStringRef s = JSValueToStringCopy(ctx, v, exc);

	if (!s)
		return false;
	bool ok = script__utf8(script__call()->a, s, SCRIPT_MAX_TEXT, ret);

	JSStringRelease(s);
	if (!ok)
		script__throw(ctx, exc, "a string is too long for the platform");
	return ok;
}

bool script__arg(JSContextRef ctx, size_t argc, const JSValueRef *argv, size_t i, struct str *ret, JSValueRef *exc)
{
	return script__text_of(ctx, i < argc ? argv[i] : NULL, ret, exc);
}

bool script__bytes(JSContextRef ctx, JSValueRef v, struct str *ret, JSValueRef *exc)
{
	if (!v || !JSValueIsObject(ctx, v))
		return script__text_of(ctx, v, ret, exc);
	JSObjectRef o = JSValueToObject(ctx, v, exc);
	JSValueRef len = o ? script__get(ctx, o, "length", exc) : NULL;

	if (!len)
		return false;
	if (JSValueGetType(ctx, len) != kJSTypeNumber)
		return script__text_of(ctx, v, ret, exc);
	double n = JSValueToNumber(ctx, len, exc);

	if (!(n >= 0 && n <= (double)SCRIPT_MAX_TEXT)) {
		script__throw(ctx, exc, "a byte array is too long");
		return false;
	}
	char *p = arena_try(script__call()->a, (size_t)n + 1);

	if (!p) {
		script__throw(ctx, exc, "a byte array is too long");
		return false;
	}
	for (size_t i = 0; i < (size_t)n; i++) {
		JSValueRef e = JSObjectGetPropertyAtIndex(ctx, o, (unsigned)i, exc);

		if (!e || *exc)
			return false;
		p[i] = (char)JSValueToInt32(ctx, e, exc);
		if (*exc)
			return false;
	}
	*ret = (struct str){p, (size_t)n};
	return true;
}

JSValueRef script__byte_array(JSContextRef ctx, struct str bytes, JSValueRef *exc)
{
	JSObjectRef o = JSObjectMakeArray(ctx, 0, NULL, exc);

	for (size_t i = 0; o && i < bytes.n && !*exc; i++)
		JSObjectSetPropertyAtIndex(ctx, o, (unsigned)i, JSValueMakeNumber(ctx, (signed char)bytes.p[i]), exc);
	return o ? o : JSValueMakeUndefined(ctx);
}

JSValueRef script__get(JSContextRef ctx, JSObjectRef o, const char *name, JSValueRef *exc)
{
	JSStringRef s = JSStringCreateWithUTF8CString(name);
	JSValueRef v = JSObjectGetProperty(ctx, o, s, exc);

	JSStringRelease(s);
	return *exc ? NULL : v;
}

void script__set(JSContextRef ctx, JSObjectRef o, const char *name, JSValueRef v)
{
	JSStringRef s = JSStringCreateWithUTF8CString(name);

	JSObjectSetProperty(ctx, o, s, v, kJSPropertyAttributeDontEnum, NULL);
	JSStringRelease(s);
}

JSValueRef script__throw(JSContextRef ctx, JSValueRef *exc, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	JSValueRef arg = script__str(ctx, str_of(text));

	*exc = JSObjectMakeError(ctx, 1, &arg, NULL);
	return JSValueMakeUndefined(ctx);
}

JSValueRef script__priv_get(JSContextRef ctx, JSObjectRef o, const char *name)
{
	JSStringRef s = JSStringCreateWithUTF8CString(name);
	JSValueRef v = JSObjectGetPrivateProperty(ctx, o, s);

	JSStringRelease(s);
	return v ? v : JSValueMakeUndefined(ctx);
}

void script__priv_set(JSContextRef ctx, JSObjectRef o, const char *name, JSValueRef v)
{
	JSStringRef s = JSStringCreateWithUTF8CString(name);

	JSObjectSetPrivateProperty(ctx, o, s, v);
	JSStringRelease(s);
}

/* "setUrl" -> "Url", the key of the private property; the method's own name says which. */
static bool bag_key(JSContextRef ctx, JSObjectRef fn, char *key, size_t size, JSValueRef *exc)
{
	JSValueRef name = script__get(ctx, fn, "name", exc);
	JSStringRef s = name ? JSValueToStringCopy(ctx, name, exc) : NULL;
	char text[64] = "";

	if (!s)
		return false;
	if (JSStringGetLength(s) < 32)
		JSStringGetUTF8CString(s, text, sizeof(text));
	JSStringRelease(s);
	snprintf(key, size, "%s", strlen(text) > 3 ? text + 3 : "");
	return true;
}

JSValueRef script__bag_set(JSContextRef ctx, JSObjectRef fn, JSObjectRef self, size_t argc, const JSValueRef argv[],
			   JSValueRef *exc)
{
	char key[80];

	if (self && bag_key(ctx, fn, key, sizeof(key), exc))
		script__priv_set(ctx, self, key, argc ? argv[0] : JSValueMakeUndefined(ctx));
	return JSValueMakeUndefined(ctx);
}

JSValueRef script__bag_get(JSContextRef ctx, JSObjectRef fn, JSObjectRef self, size_t argc, const JSValueRef argv[],
			   JSValueRef *exc)
{
	char key[80];

	(void)argc, (void)argv;
	if (!self || !bag_key(ctx, fn, key, sizeof(key), exc))
		return JSValueMakeUndefined(ctx);
	return script__priv_get(ctx, self, key);
}

bool script__each(JSContextRef ctx, JSObjectRef o,
		  bool (*fn)(JSContextRef ctx, struct str name, JSValueRef value, void *arg, JSValueRef *exc),
		  void *arg, JSValueRef *exc)
{
	JSPropertyNameArrayRef names = JSObjectCopyPropertyNames(ctx, o);
	size_t n = JSPropertyNameArrayGetCount(names);
	bool ok = true;

	for (size_t i = 0; ok && i < n; i++) {
		JSStringRef name = JSPropertyNameArrayGetNameAtIndex(names, i);
		JSValueRef v = JSObjectGetProperty(ctx, o, name, exc);
		struct str text;

		ok = !*exc && script__utf8(script__call()->a, name, SCRIPT_MAX_TEXT, &text) &&
		     fn(ctx, text, v, arg, exc);
	}
	JSPropertyNameArrayRelease(names);
	if (!ok && !*exc)
		script__throw(ctx, exc, "a name is too long");
	return ok;
}
