/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "script/script_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Java's package names as JavaScript objects: com.roma.apic... Each step makes the next package object, the last one
 * the class. Classes come into being when a script names them. */

static const struct script_class *const classes[] = {
	&script__response,  &script__http_client, &script__http_config, &script__http_reply, &script__http_headers,
	&script__http_body, &script__ds_client,   &script__ds_config,   &script__base64,     &script__json,
	&script__string,    &script__md5,         &script__aes,         &script__text,
};

#define N_CLASSES ARRAY_LEN(classes)
#define MAX_PATH 256

static JSClassRef js_classes[N_CLASSES], package_class;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static JSValueRef package_get(JSContextRef ctx, JSObjectRef self, JSStringRef name, JSValueRef *exc);

static void package_done(JSObjectRef self)
{
	free(JSObjectGetPrivate(self));
}

static void make_classes(void)
{
	JSClassDefinition def = kJSClassDefinitionEmpty;

	def.className = "JavaPackage";
	def.getProperty = package_get;
	def.finalize = package_done;
	package_class = JSClassCreate(&def);
	for (size_t i = 0; i < N_CLASSES; i++) {
		def = kJSClassDefinitionEmpty;
		def.className = classes[i]->name;
		def.staticFunctions = classes[i]->methods;
		js_classes[i] = JSClassCreate(&def);
	}
}

static size_t class_index(const struct script_class *cls)
{
	size_t i = 0;

	while (classes[i] != cls)
		i++;
	return i;
}

JSObjectRef script__new(JSContextRef ctx, const struct script_class *cls)
{
	return JSObjectMake(ctx, js_classes[class_index(cls)], NULL);
}

bool script__is(JSContextRef ctx, JSValueRef v, const struct script_class *cls)
{
	return JSValueIsObjectOfClass(ctx, v, js_classes[class_index(cls)]);
}

static const struct script_class *find_class(const char *path)
{
	for (size_t i = 0; i < N_CLASSES; i++)
		for (const char *const *p = classes[i]->paths; *p; p++)
			if (strcmp(*p, path) == 0)
				return classes[i];
	return NULL;
}

static JSObjectRef refuse_new(JSContextRef ctx, JSObjectRef ctor, size_t argc, const JSValueRef argv[], JSValueRef *exc)
{
	(void)ctor, (void)argc, (void)argv;
	script__throw(ctx, exc, "this class has only static methods");
	return NULL;
}

/* "GROUP.NAME" becomes ctor.GROUP.NAME = "NAME". */
static void add_enums(JSContextRef ctx, JSObjectRef ctor, const char *const *enums)
{
	JSValueRef exc = NULL;

	for (; enums && *enums; enums++) {
		struct str rest = str_of(*enums), group = str_cut(&rest, '.');
		char name[32];

		snprintf(name, sizeof(name), "%.*s", STR_FMT(group));
		JSValueRef v = script__get(ctx, ctor, name, &exc);
		JSObjectRef o =
			v && JSValueIsObject(ctx, v) ? JSValueToObject(ctx, v, NULL) : JSObjectMake(ctx, NULL, NULL);

		script__set(ctx, ctor, name, o);
		script__set(ctx, o, rest.p, script__str(ctx, rest));
	}
}

static JSObjectRef make_constructor(JSContextRef ctx, const struct script_class *cls)
{
	JSObjectRef ctor = JSObjectMakeConstructor(ctx, js_classes[class_index(cls)],
						   cls->construct ? cls->construct : refuse_new);

	for (const JSStaticFunction *f = cls->statics; f && f->name; f++) {
		JSStringRef name = JSStringCreateWithUTF8CString(f->name);

		JSObjectSetProperty(ctx, ctor, name, JSObjectMakeFunctionWithCallback(ctx, name, f->callAsFunction),
				    kJSPropertyAttributeDontEnum, NULL);
		JSStringRelease(name);
	}
	add_enums(ctx, ctor, cls->enums);
	script__set(ctx, ctor, "className", script__str(ctx, str_of(cls->paths[0])));
	script__set(ctx, ctor, "simpleName", script__str(ctx, str_of(cls->name)));
	return ctor;
}

/* One constructor per class and run, so that instanceof and added statics behave. */
static JSObjectRef constructor_of(JSContextRef ctx, const struct script_class *cls)
{
	JSObjectRef global = JSContextGetGlobalObject(ctx);
	char key[64];
	JSValueRef exc = NULL;

	snprintf(key, sizeof(key), "%%class %s", cls->name);
	JSValueRef v = script__get(ctx, global, key, &exc);

	if (v && JSValueIsObject(ctx, v))
		return JSValueToObject(ctx, v, NULL);
	JSObjectRef ctor = make_constructor(ctx, cls);

	script__set(ctx, global, key, ctor);
	return ctor;
}

static JSValueRef make_package(JSContextRef ctx, const char *path)
{
	return JSObjectMake(ctx, package_class, mem_strdup(path));
}

static JSValueRef package_get(JSContextRef ctx, JSObjectRef self, JSStringRef name, JSValueRef *exc)
{
	static const char *const own[] = {"toString",  "valueOf",        "constructor", "prototype", "toJSON",
					  "__proto__", "hasOwnProperty", "then",        "length"};
	const char *base = JSObjectGetPrivate(self);
	char step[128], path[MAX_PATH];

	if (!base || JSStringGetMaximumUTF8CStringSize(name) > sizeof(step))
		return NULL;
	JSStringGetUTF8CString(name, step, sizeof(step));
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (strcmp(step, own[i]) == 0)
			return NULL;
	int n = snprintf(path, sizeof(path), "%s%s%s", base, *base ? "." : "", step);

	if (n < 0 || (size_t)n >= sizeof(path))
		return script__throw(ctx, exc, "a package name is too long");
	const struct script_class *cls = find_class(path);

	return cls ? (JSValueRef)constructor_of(ctx, cls) : make_package(ctx, path);
}

static JSValueRef no_class(JSContextRef ctx, JSValueRef *exc, const char *path)
{
	return script__throw(ctx, exc, "class %s is not available; the guide to function back ends lists the classes",
			     path);
}

/* importClass(C): C's simple name becomes global. */
SCRIPT_FN(import_class)
{
	for (size_t i = 0; i < argc; i++) {
		if (JSValueIsObjectOfClass(ctx, argv[i], package_class)) {
			JSObjectRef pkg = JSValueToObject(ctx, argv[i], exc);

			return no_class(ctx, exc, JSObjectGetPrivate(pkg));
		}
		JSObjectRef ctor = JSValueIsObject(ctx, argv[i]) ? JSValueToObject(ctx, argv[i], exc) : NULL;
		JSValueRef name = ctor ? script__get(ctx, ctor, "simpleName", exc) : NULL;

		if (*exc)
			return JSValueMakeUndefined(ctx);
		if (!name || !JSValueIsString(ctx, name))
			return script__throw(ctx, exc,
					     "importClass() takes a class such as "
					     "com.roma.apic.livedata.provider.v1.APIConnectResponse");
		JSStringRef s = JSValueToStringCopy(ctx, name, exc);

		if (!s)
			return JSValueMakeUndefined(ctx);
		JSObjectSetProperty(ctx, JSContextGetGlobalObject(ctx), s, ctor, kJSPropertyAttributeNone, exc);
		JSStringRelease(s);
	}
	(void)self_fn, (void)self;
	return JSValueMakeUndefined(ctx);
}

SCRIPT_FN(java_type)
{
	struct str name;
	char path[MAX_PATH];

	(void)self_fn, (void)self;
	if (!script__arg(ctx, argc, argv, 0, &name, exc))
		return JSValueMakeUndefined(ctx);
	snprintf(path, sizeof(path), "%.*s", STR_FMT(name));
	const struct script_class *cls = find_class(path);

	return cls ? (JSValueRef)constructor_of(ctx, cls) : no_class(ctx, exc, path);
}

/* Java.from and Java.to: arrays are JavaScript's already. */
SCRIPT_FN(java_same)
{
	(void)self_fn, (void)self, (void)exc;
	return argc ? argv[0] : JSValueMakeUndefined(ctx);
}

/* print, log, console.log: what does not fit SCRIPT_MAX_LOG is dropped. */
SCRIPT_FN(print)
{
	struct buf *log = &script__call()->log;

	(void)self_fn, (void)self;
	for (size_t i = 0; i < argc && !log->failed; i++) {
		struct str s;
		JSStringRef json = JSValueIsObject(ctx, argv[i]) ? JSValueCreateJSONString(ctx, argv[i], 0, exc) : NULL;
		bool ok = !*exc && (json ? script__utf8(script__call()->a, json, SCRIPT_MAX_LOG, &s)
					 : script__text_of(ctx, argv[i], &s, exc));

		if (json)
			JSStringRelease(json);
		if (*exc)
			break;
		if (i)
			buf_char(log, ' ');
		buf_str(log, !ok                           ? STR("[too long]")
			     : s.p                         ? s
			     : JSValueIsNull(ctx, argv[i]) ? STR("null")
							   : STR("undefined"));
	}
	buf_char(log, '\n');
	return JSValueMakeUndefined(ctx);
}

static void add_function(JSContextRef ctx, JSObjectRef to, const char *name, JSObjectCallAsFunctionCallback fn)
{
	JSStringRef s = JSStringCreateWithUTF8CString(name);

	JSObjectSetProperty(ctx, to, s, JSObjectMakeFunctionWithCallback(ctx, s, fn), kJSPropertyAttributeDontEnum,
			    NULL);
	JSStringRelease(s);
}

void script__globals(JSContextRef ctx)
{
	static const char *const roots[] = {"com", "java", "javax", "org"};
	static const char *const removed[] = {"WebAssembly", "SharedArrayBuffer", "Atomics"}; /* memory out of sight */
	static const char *const levels[] = {"log", "info", "warn", "error", "debug"};
	JSObjectRef global = JSContextGetGlobalObject(ctx);

	pthread_once(&once, make_classes);
	for (size_t i = 0; i < ARRAY_LEN(removed); i++) {
		JSStringRef s = JSStringCreateWithUTF8CString(removed[i]);

		JSObjectDeleteProperty(ctx, global, s, NULL);
		JSStringRelease(s);
	}
	for (size_t i = 0; i < ARRAY_LEN(roots); i++)
		script__set(ctx, global, roots[i], make_package(ctx, roots[i]));
	script__set(ctx, global, "Packages", make_package(ctx, ""));
	add_function(ctx, global, "importClass", import_class);
	add_function(ctx, global, "print", print);
	add_function(ctx, global, "log", print);
	JSObjectRef java = JSObjectMake(ctx, NULL, NULL), console = JSObjectMake(ctx, NULL, NULL);

	add_function(ctx, java, "type", java_type);
	add_function(ctx, java, "from", java_same);
	add_function(ctx, java, "to", java_same);
	script__set(ctx, global, "Java", java);
	for (size_t i = 0; i < ARRAY_LEN(levels); i++)
		add_function(ctx, console, levels[i], print);
	script__set(ctx, global, "console", console);
}
