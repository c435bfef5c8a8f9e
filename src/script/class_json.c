/* SPDX-License-Identifier: Apache-2.0 */
#include "script/script_priv.h"

#include "base/enc.h"

#define MAX_DEPTH 64

/* JsonUtils: JSON text to and from objects, and to XML. */

SCRIPT_FN(to_json)
{
	(void)self_fn, (void)self;
	if (!argc)
		return JSValueMakeNull(ctx);
	JSStringRef s = JSValueCreateJSONString(ctx, argv[0], 0, exc);

	if (!s)
		return *exc ? JSValueMakeUndefined(ctx)
			    : script__throw(ctx, exc, "JsonUtils: the value has no JSON form");
	JSValueRef v = JSValueMakeString(ctx, s);

	JSStringRelease(s);
	return v;
}

static JSValueRef parse(JSContextRef ctx, size_t argc, const JSValueRef argv[], JSValueRef *exc)
{
	JSStringRef s = JSValueToStringCopy(ctx, argc ? argv[0] : JSValueMakeNull(ctx), exc);

	if (!s)
		return NULL;
	JSValueRef v = JSValueMakeFromJSONString(ctx, s);

	JSStringRelease(s);
	if (!v)
		script__throw(ctx, exc, "JsonUtils: the text is not JSON");
	return v;
}

SCRIPT_FN(to_map)
{
	(void)self_fn, (void)self;
	JSValueRef v = parse(ctx, argc, argv, exc);

	return v ? v : JSValueMakeUndefined(ctx);
}

/* Characters that no element name may hold (XML 1.0, 2.3) become '_'. */
static void xml_name(struct buf *out, struct str s)
{
	if (!s.n || (s.p[0] >= '0' && s.p[0] <= '9') || s.p[0] == '-' || s.p[0] == '.')
		buf_char(out, '_');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool ok = c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			  c == '_' || c == '-' || c == '.';

		buf_char(out, ok ? (char)c : '_');
	}
}

struct xml {
	struct buf *out;
	struct str name; /* of the element that the value becomes */
	unsigned depth;
};

static bool xml_value(JSContextRef ctx, struct str name, JSValueRef v, void *arg, JSValueRef *exc);

static bool xml_array(JSContextRef ctx, struct xml *xml, struct str name, JSObjectRef o, JSValueRef *exc)
{
	JSValueRef len = script__get(ctx, o, "length", exc);
	double n = len ? JSValueToNumber(ctx, len, exc) : 0;

	for (unsigned i = 0; i < n && !*exc && !xml->out->failed; i++) {
		JSValueRef e = JSObjectGetPropertyAtIndex(ctx, o, i, exc);

		if (!e || *exc || !xml_value(ctx, name, e, xml, exc))
			return false;
	}
	return !*exc;
}

/* <name>value</name>; an array repeats its element, null is an empty one. */
static bool xml_value(JSContextRef ctx, struct str name, JSValueRef v, void *arg, JSValueRef *exc)
{
	struct xml *xml = arg;
	struct str text;
	bool ok = true;

	if (++xml->depth > MAX_DEPTH) {
		script__throw(ctx, exc, "JsonUtils: nested too deeply");
		return false;
	}
	if (JSValueIsArray(ctx, v)) {
		ok = xml_array(ctx, xml, name, JSValueToObject(ctx, v, exc), exc);
		xml->depth--;
		return ok;
	}
	buf_char(xml->out, '<');
	xml_name(xml->out, name);
	buf_char(xml->out, '>');
	if (JSValueIsObject(ctx, v))
		ok = script__each(ctx, JSValueToObject(ctx, v, exc), xml_value, xml, exc);
	else if ((ok = script__text_of(ctx, v, &text, exc)))
		enc_xml_text(xml->out, text);
	buf_cstr(xml->out, "</");
	xml_name(xml->out, name);
	buf_char(xml->out, '>');
	xml->depth--;
	return ok;
}

SCRIPT_FN(to_xml)
{
	struct str root;
	struct buf out;
	struct xml xml = {.out = &out};

	(void)self_fn, (void)self;
	JSValueRef v = parse(ctx, argc, argv, exc), ret = JSValueMakeUndefined(ctx);

	if (!v || !script__arg(ctx, argc, argv, 1, &root, exc))
		return ret;
	buf_init(&out, SCRIPT_MAX_TEXT);
	bool ok = !root.p && JSValueIsObject(ctx, v) && !JSValueIsArray(ctx, v)
			  ? script__each(ctx, JSValueToObject(ctx, v, exc), xml_value, &xml, exc)
			  : xml_value(ctx, root.p ? root : STR("array"), v, &xml, exc);

	if (ok)
		ret = out.failed ? script__throw(ctx, exc, "JsonUtils: the result is too long")
				 : script__str(ctx, buf_view(&out));
	buf_done(&out);
	return ret;
}

static const JSStaticFunction none[] = {{0}};
static const JSStaticFunction statics[] = {{"toJson", to_json, 0},
					   {"toMap", to_map, 0},
					   {"toBean", to_map, 0},
					   {"jsonToMap", to_map, 0},
					   {"convertJsonToXml", to_xml, 0},
					   {"json2XmlWithoutType", to_xml, 0},
					   {0}};
static const char *const paths[] = {"com.roma.apic.livedata.common.v1.JsonUtils", "com.huawei.livedata.util.JSONHelper",
				    NULL};

const struct script_class script__json = {paths, "JsonUtils", NULL, none, statics, NULL};
