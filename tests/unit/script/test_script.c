/* SPDX-License-Identifier: Apache-2.0 */
#include "script/script.h"

#include "base/clock.h"
#include "base/enc.h"
#include "base/mem.h"
#include "datasource/datasource.h"

#include <microhttpd.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cmocka.h>

#define P "importClass(com.roma.apic.livedata.provider.v1.APIConnectResponse);\n"
#define U(name) "importClass(com.roma.apic.livedata.common.v1." name ");\n"

static struct script_host host = {.allow_private_networks = true};
static uint16_t http_port;
static struct arena *arena;
static struct script_reply reply;
static struct err err;

static int run_with(const char *script, struct str data, int64_t cpu_ms, size_t memory)
{
	struct script_limits limits = {
		.cpu_ms = cpu_ms, .memory_bytes = memory, .deadline_ms = clock_mono_ms() + 20000};

	err = (struct err){0};
	arena_reset(arena);
	return script_run(&host, str_of(script), data, &limits, arena, &reply, &err);
}

static int run(const char *script)
{
	return run_with(script, STR("{\"body\":{\"a\":1}}"), 5000, (size_t)128 << 20);
}

static void expect(const char *script, const char *body)
{
	if (run(script))
		fail_msg("%s: %s", script, err.text);
	if (!str_eq(reply.body, str_of(body)))
		fail_msg("%s gave \"%.*s\", not \"%s\"", script, STR_FMT(reply.body), body);
}

static void expect_error(const char *script, const char *part)
{
	int rc = run(script);

	if (rc == 0)
		fail_msg("%s gave \"%.*s\" instead of an error", script, STR_FMT(reply.body));
	assert_int_equal(rc, err.code);
	if (!strstr(err.text, part))
		fail_msg("%s: \"%s\" does not hold \"%s\"", script, err.text, part);
	assert_null(strstr(err.text, "/src/"));
}

static void test_returns(void **state)
{
	(void)state;
	expect("function execute(data) { return 'hello'; }", "hello");
	assert_int_equal(reply.status, 200);
	assert_true(str_is(reply.content_type, "text/plain; charset=utf-8"));
	expect("function execute(data) { return '{\"a\":[1]}'; }", "{\"a\":[1]}");
	assert_true(str_is(reply.content_type, "application/json"));
	expect("function execute(data) { return '{broken'; }", "{broken");
	assert_true(str_is(reply.content_type, "text/plain; charset=utf-8"));
	expect("function excute(data) { return {b: JSON.parse(data).body.a, c: [null, true]}; }",
	       "{\"b\":1,\"c\":[null,true]}");
	assert_true(str_is(reply.content_type, "application/json"));
	expect("function execute() {}", "");
	assert_null(reply.content_type.p);
	expect("function execute() { return null; }", "");
	expect("function execute() { return 42; }", "42");
	expect("function execute(d) { return typeof d; }", "string");
	expect_error("function execute() { return execute; }", "no JSON form");
	expect_error("function execute() { var a = {}; a.a = a; return a; }", "cyclic");
	expect_error("function execute() { return {toJSON: function () { throw new Error('mine'); }}; }", "mine");
	expect_error("var x = 1;", "no function execute");
}

static void test_response(void **state)
{
	(void)state;
	expect(P "function execute(data) { return new APIConnectResponse(401, {\"X-Type\":\"Demo\"}, \"unauthorized\", "
		 "false);}",
	       "unauthorized");
	assert_int_equal(reply.status, 401);
	assert_int_equal(reply.n_headers, 1);
	assert_true(str_is(reply.headers[0].name, "X-Type") && str_is(reply.headers[0].value, "Demo"));
	expect(P "function execute(data) { return new APIConnectResponse(204); }", "");
	assert_int_equal(reply.status, 204);
	expect(P "function execute() { return new APIConnectResponse(200, {'content-type': 'text/xml', "
		 "'Content-Length': 1}, '<a/>'); }",
	       "<a/>");
	assert_true(str_is(reply.content_type, "text/xml"));
	assert_int_equal(reply.n_headers, 0);
	expect(P "function execute() { return new APIConnectResponse(200, {}, {a: 1}); }", "{\"a\":1}");
	expect(P "function execute() { var r = new APIConnectResponse(200); r.setStatusCode(201); r.setBody('aGk=');"
		 "r.setBase64Encoded(true); r.setHeaders({A: 'b'});"
		 "if (!r.isBase64Encoded() || r.getStatusCode() !== 201 || r.getBody() !== 'aGk=' || r.getHeaders().A "
		 "!== 'b')"
		 "throw new Error('accessors'); if (!(r instanceof APIConnectResponse)) throw new Error('instanceof'); "
		 "return r; }",
	       "hi");
	assert_int_equal(reply.status, 201);
	expect_error(P "function execute() { return new APIConnectResponse(99); }", "status code");
	expect_error(P "function execute() { return new APIConnectResponse('x'); }", "status code");
	expect_error(P "function execute() { return new APIConnectResponse(200, {}, '%%', true); }", "not Base64");
	expect_error(P "function execute() { return new APIConnectResponse(200, {A: 'b\\r\\nSet-Cookie: c'}); }",
		     "bad name or value");
	expect_error(P "function execute() { return new APIConnectResponse(200, {'A: b\\r\\nC': 'd'}); }",
		     "bad name or value");
	expect_error(P "function execute() { return new APIConnectResponse(200, {'A': '\\u0000'}); }",
		     "bad name or value");
	expect_error(P "function execute() { var h = {}; for (var i = 0; i < 40; i++) h['h' + i] = 'x';"
		       "return new APIConnectResponse(200, h); }",
		     "response headers");
}

static void test_binary_body(void **state)
{
	(void)state;
	assert_int_equal(run(P "function execute() { return new APIConnectResponse(200, null, 'AAH/', true); }"), 0);
	assert_int_equal(reply.body.n, 3);
	assert_memory_equal(reply.body.p, "\0\1\377", 3);
	assert_true(str_is(reply.content_type, "application/octet-stream"));
}

static void test_import(void **state)
{
	(void)state;
	expect("var R = Java.type('com.roma.apic.livedata.provider.v1.APIConnectResponse');"
	       "function execute() { return new R(200, {}, 'x'); }",
	       "x");
	expect("function execute() { return new com.roma.apic.livedata.provider.v1.APIConnectResponse(200, {}, 'y'); }",
	       "y");
	expect("importClass(Packages.com.roma.apic.livedata.common.v1.Md5Utils);"
	       "function execute() { return Md5Utils.encode('Hello world!'); }",
	       "86fb269d190d2c85f6e0468ceca42a20");
	expect("importClass(com.huawei.livedata.lambdaservice.util.MD5Encoder);"
	       "function execute() { return Md5Utils.md5('a'); }",
	       "0cc175b9c0f1b6a831c399e269772661");
	expect_error("importClass(com.roma.apic.livedata.client.v1.Nothing);function execute() {}",
		     "class com.roma.apic.livedata.client.v1.Nothing is not available");
	expect_error("\n\nJava.type('java.lang.System');function execute() {}",
		     "class java.lang.System is not available");
	assert_non_null(strstr(err.text, "line 3"));
	expect_error("importClass(5);function execute() {}", "takes a class");
	expect_error("function execute() { return new java.io.File('/etc/passwd'); }", "TypeError");
	expect_error(U("Md5Utils") "function execute() { return new Md5Utils(); }", "static");
	expect("function execute() { return [typeof require, typeof process, typeof load, typeof fetch, typeof "
	       "WebAssembly,"
	       "typeof SharedArrayBuffer].join(); }",
	       "undefined,undefined,undefined,undefined,undefined,undefined");
}

static void test_errors(void **state)
{
	(void)state;
	expect_error("function execute() {\n\n throw new Error('boom'); }", "Error: boom (line 3)");
	expect_error("function execute( {", "SyntaxError");
	expect_error("function execute() { return nothing.here; }", "ReferenceError");
	expect_error("function execute() { throw 'text'; }", "text");
	expect_error("function execute() { throw {toString: function () { throw 1; }}; }", "The script failed");
	expect_error("function execute() { throw undefined; }", "The script failed");
	assert_int_equal(script_check(STR("function execute() {}"), &err), 0);
	assert_int_equal(script_check(STR("\nfunction ("), &err), ERR_APPIA_0400);
	assert_non_null(strstr(err.text, "line 2"));
}

static void test_isolation(void **state)
{
	const char *script = "var n; n = (n || 0) + 1; Array.prototype.x = (Array.prototype.x || 0) + 1;"
			     "JSON.left = (JSON.left || 0) + 1;"
			     "function execute() { return [n, Array.prototype.x, JSON.left].join(); }";

	(void)state;
	expect(script, "1,1,1");
	expect(script, "1,1,1");
	expect("function execute() { return typeof n + typeof [].x; }", "undefinedundefined");
}

static void test_log(void **state)
{
	(void)state;
	expect("console.log('a', 1, {b: 2}, null); print('x'); function execute() { log(undefined); }", "");
	assert_true(str_is(reply.log, "a 1 {\"b\":2} null\nx\nundefined\n"));
	assert_int_not_equal(run("function execute() { console.error('before'); throw 1; }"), 0);
	assert_true(str_is(reply.log, "before\n"));
	expect("function execute() { for (var i = 0; i < 100000; i++) print('0123456789'); }", "");
	assert_true(reply.log.n <= 65536 && reply.log.n > 60000);
}

static void test_text_classes(void **state)
{
	(void)state;
	expect(U("Base64Utils") "function execute() { return Base64Utils.encode('Hello world!'); }",
	       "SGVsbG8gd29ybGQh");
	expect(U("Base64Utils") "function execute() { return Base64Utils.decode('SGVsbG8g\\nd29ybGQh'); }",
	       "Hello world!");
	expect(U("Base64Utils") "function execute() { return Base64Utils.encode([0, -1, 254]) + "
				"Base64Utils.encodeUrlSafe([0, -1, 254]); }",
	       "AP/+AP_-");
	expect(U("Base64Utils") "function execute() { return "
				"Base64Utils.decodeUrlSafe(Base64Utils.encodeUrlSafe('\\u20ac?~')); }",
	       "\xe2\x82\xac?~");
	expect_error(U("Base64Utils") "function execute() { return Base64Utils.decode('***'); }", "not Base64");
	expect(U("StringUtils") "function execute() { return StringUtils.toString([97,96,95,94,93,92], 'UTF-8'); }",
	       "a`_^]\\");
	expect(U("StringUtils") "function execute() { return StringUtils.toHexString([0, 255, -128]); }", "00ff80");
	expect(U("StringUtils") "function execute() { return StringUtils.hexToByteArray('00ff80'); }", "[0,-1,-128]");
	expect(U("StringUtils") "function execute() { return StringUtils.toString([228], 'ISO-8859-1'); }", "\xc3\xa4");
	expect_error(U("StringUtils") "function execute() { return StringUtils.toString([228], 'EBCDIC'); }",
		     "encoding");
	expect_error(U("StringUtils") "function execute() { return StringUtils.toHexString({length: 1e12}); }",
		     "too long");
	expect(U("TextUtils") "function execute() { return TextUtils.toHttpParameters({a: 'b c', 'ä': '&'}); }",
	       "a=b+c&%C3%A4=%26");
	expect(U("TextUtils") "function execute() { return TextUtils.encodeByUrlEncoder({'a b': 'c/d'}); }",
	       "{\"a+b\":\"c%2Fd\"}");
	expect(U("TextUtils") "function execute() { return [TextUtils.parseBoolean('TRUE', false), "
			      "TextUtils.parseBoolean('?', true)]; }",
	       "[true,true]");
	expect(U("JsonUtils") "function execute() { return JsonUtils.toJson({a: [1, 'x']}); }", "{\"a\":[1,\"x\"]}");
	expect(U("JsonUtils") "function execute() { return JsonUtils.toMap('{\"a\":{\"b\":2}}').a.b; }", "2");
	expect(U("JsonUtils") "function execute() { return JsonUtils.convertJsonToXml('{\"a\":1}'); }", "<a>1</a>");
	expect(U("JsonUtils") "function execute() { return "
			      "JsonUtils.convertJsonToXml('{\"a\":[\"<\",null],\"1b\":{\"c\":true}}', 'r'); }",
	       "<r><a>&lt;</a><a></a><_1b><c>true</c></_1b></r>");
	expect_error(U("JsonUtils") "function execute() { return JsonUtils.toMap('{'); }", "not JSON");
	expect_error(U("JsonUtils") "function execute() { var s = ''; for (var i = 0; i < 100; i++) s = '{\"a\":' + (s "
				    "|| 1) + '}';"
				    "return JsonUtils.convertJsonToXml(s); }",
		     "too deeply");
}

static void test_aes(void **state)
{
	(void)state;
	/* NIST SP 800-38A, F.1.1: AES-128 ECB. */
	expect(U("AesUtils") U("Base64Utils") "importClass(com.roma.apic.livedata.common.v1.StringUtils);"
					      "function execute() { var k = "
					      "StringUtils.hexToByteArray('2b7e151628aed2a6abf7158809cf4f3c');"
					      "return AesUtils.encrypt('0123456789abcdef', k, '', "
					      "AesUtils.KEYLENGTH.KL_128, AesUtils.MODE.ECB, AesUtils.PAD.NOPADDING)"
					      " === AesUtils.encrypt('0123456789abcdef', k, '', 'KL_128', 'ECB', "
					      "'NOPADDING'); }",
	       "true");
	expect(U("AesUtils") "function execute() { var r = [], M = ['CBC','CFB','CTR','ECB','GCM','OFB'];"
			     "for (var i = 0; i < M.length; i++) { var iv = '0123456789abcdef', k = "
			     "'0123456789abcdef0123456789abcdef';"
			     "var e = AesUtils.encrypt('gr\\u00fc\\u00dfe', k, iv, AesUtils.KEYLENGTH.KL_256, "
			     "AesUtils.MODE[M[i]], AesUtils.PAD.PKCS5PADDING);"
			     "r.push(AesUtils.decrypt(e, k, iv, AesUtils.KEYLENGTH.KL_256, AesUtils.MODE[M[i]], "
			     "AesUtils.PAD.PKCS5PADDING)); }"
			     "return r.join(); }",
	       "gr\xc3\xbc\xc3\x9f"
	       "e,gr\xc3\xbc\xc3\x9f"
	       "e,gr\xc3\xbc\xc3\x9f"
	       "e,gr\xc3\xbc\xc3\x9f"
	       "e,gr\xc3\xbc\xc3\x9f"
	       "e,gr\xc3\xbc\xc3\x9f"
	       "e");
	/* openssl enc -aes-128-cbc -K 30..66 -iv 30..66 of "plainText" */
	expect(U("AesUtils") "function execute() { return AesUtils.encrypt('plainText', '0123456789abcdef', "
			     "'0123456789abcdef',"
			     "AesUtils.KEYLENGTH.KL_128, AesUtils.MODE.CBC, AesUtils.PAD.PKCS5PADDING); }",
	       "TJslbOPcdwqMax7CNDjvTA==");
	expect(U("AesUtils") "function execute() { var k = '0123456789abcdef'; var a = AesUtils.encrypt('x', k);"
			     "return (a !== AesUtils.encrypt('x', k)) + AesUtils.decrypt(a, k); }",
	       "truex");
	expect_error(U("AesUtils") "function execute() { return AesUtils.encrypt('x', 'short'); }", "5 bytes");
	expect_error(U("AesUtils") "function execute() { var k = '0123456789abcdef'; var a = AesUtils.encrypt('x', k);"
				   "return AesUtils.decrypt(a, '0123456789abcdeX'); }",
		     "cannot decrypt");
	expect_error(U("AesUtils") "function execute() { return AesUtils.decrypt('AAAA', '0123456789abcdef'); }",
		     "not what");
	expect_error(U("AesUtils") "function execute() { return AesUtils.encrypt('x', '0123456789abcdef', 'iv', "
				   "'KL_128', 'XTS', ''); }",
		     "mode");
}

/* Limits: what the script does, what the error says. */
static void stopped_in(const char *body, const char *part, int64_t cpu_ms)
{
	char script[1024];
	int64_t start = clock_mono_ms();

	snprintf(script, sizeof(script), "function execute() { %s }", body);
	int rc = run_with(script, STR("{}"), cpu_ms, (size_t)64 << 20);
	int64_t took = clock_mono_ms() - start;

	if (rc == 0)
		fail_msg("%s was not stopped", body);
	if (!strstr(err.text, part))
		fail_msg("%s: %s", body, err.text);
	if (took > 20000)
		fail_msg("%s took %lld ms", body, (long long)took);
	expect("function execute() { return 'alive'; }", "alive");
}

static void stopped(const char *body, const char *part)
{
	stopped_in(body, part, 500);
}

static void test_loops(void **state)
{
	(void)state;
	stopped("while (true) {}", "ran longer than 500 ms");
	stopped("while (true) { try { while (true) {} } catch (e) {} finally { continue; } }", "ran longer");
	stopped("for (;;) JSON.parse('[1]');", "ran longer");
	stopped("for (;;) importClass(com.roma.apic.livedata.common.v1.Md5Utils), Md5Utils.encode('x');", "ran longer");
	stopped("[3, 1, 2].sort(function () { while (true) {} });", "ran longer");
	stopped("function f() { f(); } f();", "Maximum call stack");
	stopped("return {toJSON: function () { while (true) {} }};", "ran longer");
	stopped("throw {toString: function () { while (true) {} }};", "");
	stopped("return /(a+)+$/.test(Array(40).join('a') + 'b') || function () { while (true) {} }();", "ran longer");
}

/* The limit may run out anywhere, also inside what a host function asks of the engine. */
static void test_loops_of_host_calls(void **state)
{
	static const char *const bodies[] = {
		"for (;;) importClass(com.roma.apic.livedata.common.v1.Md5Utils), Md5Utils.encode('x');",
		"for (;;) try { importClass(com.roma.apic.livedata.common.v1.Md5Utils); } catch (e) {}",
		"for (;;) try { JsonUtils.convertToMap('[' + JSON.stringify({a: 1}) + ']'); } catch (e) {}",
		"for (;;) try { JSON.stringify({toJSON: function () { for (;;) print(1); }}); } catch (e) {}",
	};
	char script[512];

	(void)state;
	for (int i = 0; i < 60; i++) {
		snprintf(script, sizeof(script), U("JsonUtils") "function execute() { %s }", bodies[i % 4]);
		assert_int_not_equal(run_with(script, STR("{}"), 30, (size_t)64 << 20), 0);
		assert_non_null(strstr(err.text, "ran longer than 30 ms"));
	}
}

static void test_memory(void **state)
{
	(void)state;
	stopped_in("var a = []; for (;;) a.push([1, 2, 3, 4]);", "holds more than", 5000);
	stopped_in("var a = []; for (;;) a = [a];", "stopped", 5000);
	stopped_in("var s = 'x'; for (;;) s = (s + s).split('').join('y');", "", 5000);
	stopped_in("var s = 'x'; for (;;) s += s;", "Out of memory", 5000);
	stopped_in("var a = []; for (var i = 0; ; i++) a.push(('x' + i).repeat(1 << 20));", "holds more than", 5000);
	stopped_in("var o = {}; for (var i = 0; ; i++) o['k' + i] = {i: i};", "stopped", 5000);
}

static void test_large_values(void **state)
{
	(void)state;
	expect_error("function execute() { return 'x'.repeat(17 << 20); }", "too large");
	expect_error(P "function execute() { return new APIConnectResponse(200, {}, 'x'.repeat(17 << 20)); }",
		     "too large");
	expect_error(U("Md5Utils") "function execute() { return Md5Utils.encode('x'.repeat(17 << 20)); }", "too long");
	assert_int_equal(run("function execute() { return 'x'.repeat(8 << 20); }"), 0);
	assert_int_equal(reply.body.n, 8 << 20);
}

/* What one step of the engine asks for fails inside the script when the process is bounded. In a program of its own,
 * because the bound stays. */
static int limited_main(void)
{
	struct arena *a = arena_new((size_t)64 << 20);
	struct script_limits limits = {.cpu_ms = 3000, .memory_bytes = (size_t)64 << 20};

	alarm(60);
	if (script_process_limit((size_t)512 << 20, &err))
		return 2;
	int rc = script_run(&host, STR("function execute() { return 'x'.repeat(1 << 30).length; }"), STR("{}"), &limits,
			    a, &reply, &err);

	if (rc == 0 || !strstr(err.text, "Out of memory"))
		return 3;
	rc = script_run(&host, STR("function execute() { return 'alive'; }"), STR("{}"), &limits, a, &reply, &err);
	arena_free(a);
	return rc ? 4 : 0;
}

static void test_process_limit(void **state)
{
	char self[] = "/proc/self/exe", mode[] = "--limited";
	char *const args[] = {self, mode, NULL};
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		execv(self, args);
		_exit(9);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_unicode(void **state)
{
	(void)state;
	expect("function execute() { return 'a\\ud800b\\udc00'; }", "a\xef\xbf\xbd"
								    "b\xef\xbf\xbd");
	expect("function execute() { return '\\ud83d\\ude00'; }", "\xf0\x9f\x98\x80");
	expect("function execute() { return '\xf0\x9f\x98\x80'.length; }", "2");
	expect("function execute() { return '\xff\xc0\x80\xed\xa0\x80'.length; }", "6");
	assert_int_equal(
		run_with("function execute(d) { return d.length + d; }", (struct str){"\xe2\x82", 2}, 1000, 1 << 26),
		0);
	assert_true(str_is(reply.body, "2\xef\xbf\xbd\xef\xbf\xbd"));
	assert_int_equal(run_with("function execute(d) { return String(d.charCodeAt(1)) + d.length; }",
				  (struct str){"a\0b", 3}, 1000, 1 << 26),
			 0);
	assert_true(str_is(reply.body, "03"));
	expect(P "function execute() { return new APIConnectResponse(200, {A: '\\ud800'}); }", "");
	assert_true(str_is(reply.headers[0].value, "\xef\xbf\xbd"));
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *c, const char *url, const char *method,
			      const char *version, const char *data, size_t *n, void **req)
{
	static int marker;
	static char text[512];

	(void)cls, (void)version;
	if (!*req) {
		*req = &marker;
		text[0] = '\0';
		return MHD_YES;
	}
	if (*n) {
		snprintf(text, sizeof(text), "%.*s", (int)*n, data);
		*n = 0;
		return MHD_YES;
	}
	char body[2048];
	const char *q = MHD_lookup_connection_value(c, MHD_GET_ARGUMENT_KIND, "q");
	const char *h = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "X-In");
	const char *auth = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
	const char *type = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Type");

	if (strcmp(url, "/slow") == 0)
		sleep(3);
	snprintf(body, sizeof(body), "%s %s q=%s h=%s a=%.28s t=%s b=%s", method, url, q ? q : "", h ? h : "",
		 auth ? auth : "", type ? type : "", text);
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_COPY);

	MHD_add_response_header(r, "X-Out", "yes");
	if (strcmp(url, "/away") == 0)
		MHD_add_response_header(r, "Location", "file:///etc/passwd");
	enum MHD_Result ok = MHD_queue_response(c, strcmp(url, "/away") == 0 ? 302 : 200, r);

	MHD_destroy_response(r);
	return ok;
}

static void http_script(char *out, size_t size, const char *body)
{
	snprintf(out, size,
		 "importClass(com.roma.apic.livedata.client.v1.HttpClient);importClass(com.roma.apic.livedata.config."
		 "v1.HttpConfig);" P "var base = 'http://127.0.0.1:%u';\nfunction execute(data) { %s }",
		 http_port, body);
}

static void test_http(void **state)
{
	char s[2048];

	(void)state;
	http_script(
		s, sizeof(s),
		"var httpClient = new HttpClient(); var resp = httpClient.request('GET', base + '/echo?q=1', {}, null,"
		"'application/json'); var h = resp.headers(), out = {}; for (var key in h) out[key] = h.get(key);"
		"return new APIConnectResponse(resp.code(), out, resp.body().string(), false);");
	expect(s, "GET /echo q=1 h= a= t= b=");
	bool found = false;

	for (size_t i = 0; i < reply.n_headers; i++)
		found = found || str_is(reply.headers[i].name, "X-Out");
	assert_true(found);
	http_script(s, sizeof(s),
		    "return new HttpClient().request('POST', base + '/p', {'X-In': 'v'}, {a: 1}, 'application/json')"
		    ".body().string();");
	expect(s, "POST /p q= h=v a= t=application/json b={\"a\":1}");
	http_script(s, sizeof(s),
		    "var c = new HttpConfig(); c.setMethod('PUT'); c.setUrl(base + '/c'); c.setContent('body');"
		    "c.setContentType('text/plain'); c.setParameter('q', 'a b'); c.setHeader('X-In', 'w'); "
		    "c.setAccessKey('ak');"
		    "c.setSecretKey('sk'); return new HttpClient().request(c).body().string();");
	expect(s, "PUT /c q=a b h=w a=SDK-HMAC-SHA256 Access=ak, S t=text/plain b=body");
	http_script(s, sizeof(s),
		    "return new HttpClient().callGETAPI(base, '/old', JSON.stringify({q: 7}), JSON.stringify({'X-In': "
		    "'z'}));");
	expect(s, "GET /old q=7 h=z a= t= b=");
	http_script(s, sizeof(s), "return new HttpClient().callPostAPI(base + '/o', '{}', 'B', 'text/plain');");
	expect(s, "POST /o q= h= a= t=text/plain b=B");
	http_script(
		s, sizeof(s),
		"var r = new HttpClient().request('GET', base + '/x'); return r.isSuccessful() + r.header('x-out') +"
		"r.body().bytes()[0];");
	expect(s, "trueyes71");
	http_script(s, sizeof(s), "return new HttpClient().request('GET', base + '/away').code();");
	expect_error(s, "HttpClient");
	http_script(s, sizeof(s), "return new HttpClient().request('GET', base + '/', {'A': 'b\\r\\nC: d'}).code();");
	expect_error(s, "bad name or value");
	http_script(s, sizeof(s), "return new HttpClient().request('G T', base).code();");
	expect_error(s, "malformed");
	expect_error(
		"importClass(com.roma.apic.livedata.client.v1.HttpClient);"
		"function execute() { return new HttpClient().request('GET', 'file:///etc/passwd').body().string(); }",
		"HttpClient");
}

static void test_http_refused(void **state)
{
	char s[2048];
	static const char *const urls[] = {
		"http://127.0.0.1:9/",       "http://[::1]:9/", "http://[::ffff:127.0.0.1]:9/", "http://10.0.0.1/",
		"http://169.254.169.254/",   "http://0x7f.1/",  "http://localhost:9/",          "http://[fe80::1]/",
		"http://[64:ff9b::7f00:1]/", "http://0/"};

	(void)state;
	host.allow_private_networks = false;
	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		snprintf(s, sizeof(s),
			 "importClass(com.roma.apic.livedata.client.v1.HttpClient);"
			 "function execute() { return new HttpClient().request('GET', '%s').code(); }",
			 urls[i]);
		expect_error(s, "private network");
	}
	host.allow_private_networks = true;
}

static void test_http_deadline(void **state)
{
	char s[2048];
	struct script_limits limits = {.cpu_ms = 1000, .memory_bytes = 1 << 26};

	(void)state;
	http_script(s, sizeof(s), "return new HttpClient().request('GET', base + '/slow').code();");
	arena_reset(arena);
	limits.deadline_ms = clock_mono_ms() + 300;
	assert_int_not_equal(script_run(&host, str_of(s), STR("{}"), &limits, arena, &reply, &err), 0);
	assert_true(clock_mono_ms() < limits.deadline_ms + 1500);
}

#define DS                                                                                                             \
	"importClass(com.roma.apic.livedata.client.v1.DataSourceClient);"                                              \
	"importClass(com.roma.apic.livedata.config.v1.DataSourceConfig);\n"

static void test_datasource(void **state)
{
	(void)state;
	host.pool = datasource_pool_new(4, 60000);
	expect_error(DS "function execute() { return new DataSourceClient(new DataSourceConfig('sqlite', "
			"'/etc/passwd', '', '')).execute('x'); }",
		     "not open to scripts");
	expect_error(DS "function execute() { return new DataSourceClient(new DataSourceConfig('mysql', '/run/x.sock', "
			"'', '')).execute('x'); }",
		     "malformed");
	expect_error(DS "function execute() { return new DataSourceClient(new DataSourceConfig('oracle', 'h:1', '', "
			"'')).execute('x'); }",
		     "no driver for type ORACLE");
	expect_error(DS "function execute() { return new DataSourceClient({}); }", "not a DataSourceConfig");
	expect_error(DS
		     "function execute() { var c = new DataSourceConfig(); c.setType('mysql'); "
		     "c.setUrl('jdbc:mysql://127.0.0.1:9/db?a=b');"
		     "c.setUser('u'); c.setPassword('secret'); return new DataSourceClient(c).execute('SELECT 1'); }",
		     "DataSourceClient:");
	assert_null(strstr(err.text, "secret"));
	host.allow_private_networks = false;
	expect_error(DS "function execute() { return new DataSourceClient(new DataSourceConfig('postgresql', "
			"'localhost:9/x', '', '')).execute('x'); }",
		     "private network");
	host.allow_private_networks = true;
	datasource_pool_free(host.pool);
	host.pool = NULL;
}

static void *thread_main(void *arg)
{
	struct arena *a = arena_new((size_t)16 << 20);
	char script[256], want[32];
	intptr_t bad = 0;

	for (int i = 0; i < 30; i++) {
		struct script_reply r;
		struct script_limits limits = {.cpu_ms = 5000, .memory_bytes = (size_t)64 << 20};
		struct err e = {0};

		snprintf(script, sizeof(script),
			 U("Md5Utils") "var n = %d; function execute() { for (var i = 0; i < 1000; i++) n++;"
				       "Md5Utils.encode('x'); return n + %d; }",
			 i, (int)(intptr_t)arg);
		snprintf(want, sizeof(want), "%d", i + 1000 + (int)(intptr_t)arg);
		arena_reset(a);
		if (script_run(&host, str_of(script), STR("{}"), &limits, a, &r, &e) || !str_is(r.body, want))
			bad++;
		limits.cpu_ms = 30;
		if (i == 10 &&
		    script_run(&host, STR("function execute() { for (;;); }"), STR("{}"), &limits, a, &r, &e) == 0)
			bad++;
	}
	arena_free(a);
	return (void *)bad;
}

static void test_threads(void **state)
{
	pthread_t t[8];

	(void)state;
	for (intptr_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&t[i], NULL, thread_main, (void *)i), 0);
	for (int i = 0; i < 8; i++) {
		void *bad;

		pthread_join(t[i], &bad);
		assert_null(bad);
	}
}

static int setup(void **state)
{
	struct MHD_Daemon *d = MHD_start_daemon(
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0, NULL, NULL, answer, NULL,
		MHD_OPTION_SOCK_ADDR,
		&(struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)}, MHD_OPTION_END);

	if (!d)
		return -1;
	http_port = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port;
	arena = arena_new((size_t)64 << 20);
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	MHD_stop_daemon(*state);
	arena_free(arena);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_limit), cmocka_unit_test(test_returns),
		cmocka_unit_test(test_response),      cmocka_unit_test(test_binary_body),
		cmocka_unit_test(test_import),        cmocka_unit_test(test_errors),
		cmocka_unit_test(test_isolation),     cmocka_unit_test(test_log),
		cmocka_unit_test(test_text_classes),  cmocka_unit_test(test_aes),
		cmocka_unit_test(test_unicode),       cmocka_unit_test(test_large_values),
		cmocka_unit_test(test_http),          cmocka_unit_test(test_http_refused),
		cmocka_unit_test(test_http_deadline), cmocka_unit_test(test_datasource),
		cmocka_unit_test(test_loops),         cmocka_unit_test(test_loops_of_host_calls),
		cmocka_unit_test(test_memory),        cmocka_unit_test(test_threads),
	};

	if (argc > 1 && strcmp(argv[1], "--limited") == 0)
		return limited_main();
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, setup, teardown);
}
