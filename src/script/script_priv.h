/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SCRIPT_SCRIPT_PRIV_H
#define SCRIPT_SCRIPT_PRIV_H

#include "base/arena.h"
#include "base/buf.h"
#include "script/script.h"

#include <JavaScriptCore/JavaScript.h>

#define SCRIPT_MAX_TEXT ((size_t)16 << 20) /* longest string that crosses between script and host */
#define SCRIPT_MAX_SCRATCH ((size_t)256 << 20) /* one host function call */
#define SCRIPT_MAX_BODY ((size_t)16 << 20) /* reply body */
#define SCRIPT_MAX_LOG ((size_t)64 << 10)
#define SCRIPT_MAX_HTTP ((size_t)16 << 20) /* body HttpClient receives */
#define SCRIPT_MAX_ROWS 10000 /* rows DataSourceClient returns */

enum script_stop { SCRIPT_STOP_NONE, SCRIPT_STOP_CPU, SCRIPT_STOP_DEADLINE, SCRIPT_STOP_MEMORY };

/* One run of a script. Host functions find it with script__call(). */
struct script_call {
	const struct script_host *host;
	const struct script_limits *limits;
	struct arena *a; /* scratch and reply */
	struct buf log;
	JSContextGroupRef group;
	JSGlobalContextRef ctx;
	int64_t cpu_start_us, exact_us,
		next_exact_us; /* thread CPU time: start, last heap measurement, earliest next */
	size_t rss_start;
	enum script_stop stop;
};

/* The calling thread's run, NULL outside of one. */
struct script_call *script__call(void);

/* A class of the platform: methods and statics as {name, function} arrays, both ended by a NULL name. */
struct script_class {
	const char *const *paths; /* full names, the first is the main one; NULL-terminated */
	const char *name;
	JSObjectCallAsConstructorCallback construct; /* NULL: cannot be made with new */
	const JSStaticFunction *methods;
	const JSStaticFunction *statics;
	const char *const *enums; /* "KEYLENGTH.KL_128": nested constants, whose value is their own name; may be NULL */
};

extern const struct script_class script__response, script__http_client, script__http_config, script__http_reply,
	script__http_headers, script__http_body, script__ds_client, script__ds_config, script__base64, script__json,
	script__string, script__md5, script__aes, script__text;

/* engine.c: the thread's virtual machine. script__begin() makes a fresh global object and starts the limits. */
void script__begin(struct script_call *call);
/* abnormal: the virtual machine is thrown away, not kept for the next run. */
void script__end(struct script_call *call, bool abnormal);

/* package.c */
void script__globals(JSContextRef ctx);
/* A new object of a class, with its methods. */
JSObjectRef script__new(JSContextRef ctx, const struct script_class *cls);
bool script__is(JSContextRef ctx, JSValueRef v, const struct script_class *cls);

/* value.c. Text is UTF-8; lone surrogates and invalid bytes become U+FFFD. */
JSStringRef script__jsstr(struct str s);
JSValueRef script__str(JSContextRef ctx, struct str s);
/* False when longer than max or when the arena is full. */
bool script__utf8(struct arena *a, JSStringRef s, size_t max, struct str *ret);
/* The value as text (STR_NONE for undefined and null). On failure sets *exc and returns false. */
bool script__text_of(JSContextRef ctx, JSValueRef v, struct str *ret, JSValueRef *exc);
/* As above, for argument i; absent counts as undefined. */
bool script__arg(JSContextRef ctx, size_t argc, const JSValueRef *argv, size_t i, struct str *ret, JSValueRef *exc);
/* Bytes of a string (its UTF-8) or of an array of numbers or a typed array. */
bool script__bytes(JSContextRef ctx, JSValueRef v, struct str *ret, JSValueRef *exc);
/* An array of signed numbers, as Java's byte[]. */
JSValueRef script__byte_array(JSContextRef ctx, struct str bytes, JSValueRef *exc);
JSValueRef script__get(JSContextRef ctx, JSObjectRef o, const char *name, JSValueRef *exc);
void script__set(JSContextRef ctx, JSObjectRef o, const char *name, JSValueRef v);
/* Throws Error(text): sets *exc, returns undefined. */
JSValueRef script__throw(JSContextRef ctx, JSValueRef *exc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Properties that only the host sees, and methods "setName" and "getName" over them. */
JSValueRef script__priv_get(JSContextRef ctx, JSObjectRef o, const char *name);
void script__priv_set(JSContextRef ctx, JSObjectRef o, const char *name, JSValueRef v);
JSValueRef script__bag_set(JSContextRef ctx, JSObjectRef fn, JSObjectRef self, size_t argc, const JSValueRef argv[],
			   JSValueRef *exc);
JSValueRef script__bag_get(JSContextRef ctx, JSObjectRef fn, JSObjectRef self, size_t argc, const JSValueRef argv[],
			   JSValueRef *exc);

/* Calls fn for each own enumerable string-keyed member. False: fn or a getter failed and *exc is set. */
bool script__each(JSContextRef ctx, JSObjectRef o,
		  bool (*fn)(JSContextRef ctx, struct str name, JSValueRef value, void *arg, JSValueRef *exc),
		  void *arg, JSValueRef *exc);

/* True when a script may connect there: public, or private networks are allowed. sockaddr of AF_INET or AF_INET6. */
struct sockaddr;
bool script__address_allowed(const struct script_host *host, const struct sockaddr *sa);

/* Not in the public headers of JavaScriptCore, but exported by it. */
typedef bool script_terminate_f(JSContextRef ctx, void *arg);
void JSContextGroupSetExecutionTimeLimit(JSContextGroupRef group, double seconds, script_terminate_f *fn, void *arg);
JSObjectRef JSGetMemoryUsageStatistics(JSContextRef ctx);
void JSSynchronousGarbageCollectForDebugging(JSContextRef ctx);
bool JSObjectSetPrivateProperty(JSContextRef ctx, JSObjectRef o, JSStringRef name, JSValueRef v);
JSValueRef JSObjectGetPrivateProperty(JSContextRef ctx, JSObjectRef o, JSStringRef name);

/* Defines a host function with an arena of its own for scratch: what it needed goes when it returns. */
#define SCRIPT_ARGS                                                                                                    \
	JSContextRef ctx, JSObjectRef self_fn, JSObjectRef self, size_t argc, const JSValueRef argv[], JSValueRef *exc
#define SCRIPT_FN(fn)                                                                                                  \
	static JSValueRef fn##_body(SCRIPT_ARGS);                                                                      \
	static JSValueRef fn(SCRIPT_ARGS)                                                                              \
	{                                                                                                              \
		return script__host_call(fn##_body, ctx, self_fn, self, argc, argv, exc);                              \
	}                                                                                                              \
	static JSValueRef fn##_body(SCRIPT_ARGS)
JSValueRef script__host_call(JSObjectCallAsFunctionCallback body, SCRIPT_ARGS);
#define SCRIPT_ATTR (kJSPropertyAttributeDontEnum)
#define SCRIPT_BAG(Name)                                                                                               \
	{"set" Name, script__bag_set, SCRIPT_ATTR},                                                                    \
	{                                                                                                              \
		"get" Name, script__bag_get, SCRIPT_ATTR                                                               \
	}

#endif
