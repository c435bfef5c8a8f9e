/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "published/router.h"

#include <stdio.h>
#include <stdlib.h>

/* "GET /a/{x}" is one route; a leading '~' makes it a prefix. Its api_id is the text itself. */
static struct router_route route(const char *text)
{
	struct str rest = str_of(text);
	struct router_route r = {.api_id = rest, .prefix = text[0] == '~'};

	if (r.prefix)
		rest = str_sub(rest, 1, rest.n);
	r.method = str_cut(&rest, ' ');
	r.path = rest;
	return r;
}

static int compile(const char **texts, struct buf *out, struct err *err)
{
	struct router_route routes[64];
	size_t n = 0;

	for (; texts[n]; n++)
		routes[n] = route(texts[n]);
	buf_init(out, 1 << 20);
	return router_compile(routes, n, out, err);
}

/* What a request gets: "api name=value,... tail", "405" or "404". */
static const char *ask(struct buf *value, const char *method, const char *path)
{
	static char text[512];
	struct router_match m = {.api_id = STR("untouched")};
	size_t n;

	switch (router_match(buf_view(value), str_of(method), str_of(path), &m)) {
	case ROUTER_NO_PATH:
		assert_true(str_is(m.api_id, "untouched"));
		return "404";
	case ROUTER_NO_METHOD:
		assert_true(str_is(m.api_id, "untouched"));
		return "405";
	case ROUTER_FOUND:
		break;
	}
	n = (size_t)snprintf(text, sizeof(text), "%.*s", STR_FMT(m.api_id));
	for (size_t i = 0; i < m.n_params; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %.*s=%.*s", STR_FMT(m.params[i].name),
				      STR_FMT(m.params[i].value));
	assert_non_null(m.tail.p);
	if (m.tail.n)
		snprintf(text + n, sizeof(text) - n, " +%.*s", STR_FMT(m.tail));
	return text;
}

struct question {
	const char *method, *path, *answer;
};

static void assert_answers(const char **routes, const struct question *questions, size_t n)
{
	struct buf value;
	struct err err;

	if (compile(routes, &value, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; i < n; i++) {
		const char *got = ask(&value, questions[i].method, questions[i].path);

		if (strcmp(got, questions[i].answer) != 0)
			fail_msg("%s %s: \"%s\", not \"%s\"", questions[i].method, questions[i].path, got,
				 questions[i].answer);
	}
	buf_done(&value);
}

static void test_whole(void **state)
{
	const char *routes[] = {"GET /",
				"GET /a",
				"POST /a",
				"ANY /a",
				"GET /a/",
				"GET /a/b",
				"GET /a/{x}",
				"POST /a/{y}",
				"GET /{p}/{q}/{r}",
				"GET /a/{x}/c",
				"PUT /long-segment-name/1",
				"PUT /long-segment-other/1",
				"GET /A",
				NULL};
	const struct question questions[] = {
		{"GET", "/", "GET /"},
		{"GET", "/a", "GET /a"},
		{"POST", "/a", "POST /a"},
		{"DELETE", "/a", "ANY /a"},
		{"GET", "/a/", "GET /a/"},
		{"POST", "/a/", "405"},
		{"GET", "/a/b", "GET /a/b"},
		{"POST", "/a/b", "POST /a/{y} y=b"},
		{"GET", "/a/x y", "GET /a/{x} x=x y"},
		{"PUT", "/a/b", "405"},
		{"GET", "/a/b/c", "GET /a/{x}/c x=b"},
		{"GET", "/a/b/d", "GET /{p}/{q}/{r} p=a q=b r=d"},
		{"GET", "/a//d", "404"},
		{"GET", "/a/b/c/", "404"},
		{"GET", "/A", "GET /A"},
		{"GET", "/b", "404"},
		{"GET", "//", "404"},
		{"PUT", "/long-segment-name/1", "PUT /long-segment-name/1"},
		{"PUT", "/long-segment-other/1", "PUT /long-segment-other/1"},
		{"PUT", "/long-segment-namf/1", "404"},
		{"PUT", "/long-segment/1", "404"},
		{"get", "/", "405"},
		{"", "/", "405"},
		{"GET", "", "404"},
		{"GET", "a", "404"},
	};

	assert_answers(routes, questions, ARRAY_LEN(questions));
}

static void test_prefix(void **state)
{
	const char *routes[] = {"~GET /test/AA",  "~GET /test",     "GET /test/AA/BB", "GET /test/{x}/CC", "~POST /",
				"~GET /{v}/deep", "GET /g/{rest+}", "~GET /g",         "~ANY /s/",         NULL};
	const struct question questions[] = {
		{"GET", "/test/AA", "~GET /test/AA"},
		{"GET", "/test/AA/", "~GET /test/AA +/"},
		{"GET", "/test/AA/X/Y", "~GET /test/AA +/X/Y"},
		{"GET", "/test/AACC", "~GET /test +/AACC"},
		{"GET", "/test/AA/BB", "GET /test/AA/BB"},
		{"GET", "/test/AA/BB/CC", "~GET /test/AA +/BB/CC"},
		{"GET", "/test/AA/CC", "GET /test/{x}/CC x=AA"},
		{"GET", "/test/deep/1", "~GET /{v}/deep v=test +/1"},
		{"GET", "/tes", "405"},
		{"POST", "/tes", "~POST / +/tes"},
		{"POST", "/", "~POST / +/"},
		{"POST", "/test/AA", "~POST / +/test/AA"},
		{"GET", "/g/1/2", "GET /g/{rest+} rest=1/2"},
		{"GET", "/g/1/", "GET /g/{rest+} rest=1/"},
		{"GET", "/g//", "GET /g/{rest+} rest=/"},
		{"GET", "/g/", "~GET /g +/"},
		{"GET", "/g", "~GET /g"},
		{"PUT", "/s", "~ANY /s/"},
		{"PUT", "/s/t", "~ANY /s/ +/t"},
	};

	assert_answers(routes, questions, ARRAY_LEN(questions));
	const char *all[] = {"GET /{all+}", NULL}, *none[] = {NULL};
	const struct question for_all[] = {
		{"GET", "/", "404"}, {"GET", "/a/b", "GET /{all+} all=a/b"}, {"PUT", "/a", "405"}};
	const struct question for_none[] = {{"GET", "/", "404"}, {"GET", "/a/b", "404"}};

	assert_answers(all, for_all, ARRAY_LEN(for_all));
	assert_answers(none, for_none, ARRAY_LEN(for_none));
}

static void assert_refused(const char *one, const char *two, int code)
{
	const char *texts[] = {one, two, NULL};
	struct buf value;
	struct err err;
	int rc = compile(texts, &value, &err);

	if (rc != code)
		fail_msg("%s, %s: %d (%s)", one, two ? two : "", rc, rc ? err.text : "");
	buf_done(&value);
}

static void test_refused(void **state)
{
	static const char *bad[] = {"GET a",         "GET ",        "GET /{",     "GET /}",      "GET /{}",
				    "GET /{+}",      "GET /x{a}",   "GET /{a}x",  "GET /{a+}/b", "GET /{a}/{a}",
				    "GET /{a}/{a+}", "GET /{a}{b}", "GET /{{a}}", " /a",         "GET /{a+}/"};
	char many[3 * 300 + 8] = "GET ";
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_refused(bad[i], NULL, ERR_APPIA_0422);
	assert_refused("GET /a", "GET /a", ERR_APPIA_0409);
	assert_refused("GET /a/{x}", "GET /a/{y}", ERR_APPIA_0409);
	assert_refused("GET /{x+}", "GET /{y+}", ERR_APPIA_0409);
	assert_refused("~GET /a", "~GET /a/", ERR_APPIA_0409);
	assert_refused("~GET /{x+}", "GET /{x+}", ERR_APPIA_0409);
	assert_refused("ANY /a", "ANY /a", ERR_APPIA_0409);
	assert_refused("ANY /a", "GET /a", 0);
	assert_refused("~GET /a", "GET /a", 0);
	assert_refused("~GET /a", "GET /a/{x+}", 0);
	for (size_t i = 0; i < 256; i++)
		memcpy(many + 4 + 2 * i, "/a", 3);
	assert_refused(many, NULL, 0);
	memcpy(many + strlen(many), "/a", 3);
	assert_refused(many, NULL, ERR_APPIA_0422);
	size_t n = 4;

	for (size_t i = 0; i < ROUTER_MAX_PARAMS; i++)
		n += (size_t)snprintf(many + n, sizeof(many) - n, "/{p%zu}", i);
	assert_refused(many, NULL, 0);
	snprintf(many + n, sizeof(many) - n, "/{last+}");
	assert_refused(many, NULL, ERR_APPIA_0422);
	assert_int_equal(router_path_check(STR("/a/{b}/{c+}"), NULL), 0);
	assert_int_equal(router_path_check(STR("/a/{b"), &err), ERR_APPIA_0422);
	assert_int_equal(router_path_check(STR_NONE, &err), ERR_APPIA_0422);
}

static void test_limits(void **state)
{
	struct router_route routes[ROUTER_MAX_METHODS + 1];
	char methods[ROUTER_MAX_METHODS + 1][8];
	struct buf out;
	struct err err;

	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		snprintf(methods[i], sizeof(methods[i]), "M%zu", i);
		routes[i] = (struct router_route){str_of(methods[i]), STR("/a"), false, STR("id")};
	}
	buf_init(&out, 1 << 20);
	assert_int_equal(router_compile(routes, ROUTER_MAX_METHODS, &out, &err), 0);
	buf_reset(&out);
	assert_int_equal(router_compile(routes, ROUTER_MAX_METHODS + 1, &out, &err), ERR_APPIA_0422);
	buf_done(&out);
	buf_init(&out, 500);
	assert_int_equal(router_compile(routes, ROUTER_MAX_METHODS, &out, &err), ERR_APPIA_0413);
	buf_done(&out);
}

/* All 2^bits routes that have "a" or a parameter at each of so many places. */
static int compile_overlap(unsigned bits, struct buf *out, struct err *err)
{
	size_t n = (size_t)1 << bits;
	struct router_route *routes = mem_alloc(n * sizeof(*routes));
	char *text = mem_alloc(n * 100), *w = text;

	for (size_t i = 0; i < n; i++) {
		char *start = w;

		for (unsigned k = 0; k < bits; k++)
			w += i >> k & 1 ? snprintf(w, 8, "/{p%u}", k) : snprintf(w, 8, "/a");
		memcpy(w, "/end", 4);
		w += 4;
		routes[i] = (struct router_route){STR("GET"), {start, (size_t)(w - start)}, false, STR("id")};
	}
	buf_init(out, 1 << 26);
	int rc = router_compile(routes, n, out, err);

	free(routes);
	free(text);
	return rc;
}

/* A set whose paths overlap in every place makes a failing match try all of them: it is refused above the limit, and
 * below it the match ends. */
static void test_overlap(void **state)
{
	struct buf value;
	struct err err;
	char path[256] = "";

	for (size_t i = 0; i < 10; i++)
		memcpy(path + 2 * i, "/a", 3);
	assert_int_equal(compile_overlap(10, &value, &err), 0);
	assert_string_equal(ask(&value, "GET", path), "404");
	buf_done(&value);
	assert_int_equal(compile_overlap(12, &value, &err), ERR_APPIA_0422);
	buf_done(&value);
	/* Literals that differ do not overlap: few visits however many routes. */
	struct router_route routes[2000];
	char text[2000][32];

	for (size_t i = 0; i < 2000; i++) {
		snprintf(text[i], sizeof(text[i]), "/%zu/{x}/%zu/{y}", i % 50, i);
		routes[i] = (struct router_route){STR("GET"), str_of(text[i]), i % 2, STR("id")};
	}
	buf_init(&value, 1 << 20);
	assert_int_equal(router_compile(routes, 2000, &value, &err), 0);
	assert_string_equal(ask(&value, "GET", "/7/q/57/z"), "id x=q y=z");
	buf_done(&value);
}

/* A long path is cut, not followed. */
static void test_long_path(void **state)
{
	const char *routes[] = {"GET /a/{b}", "~GET /x", NULL};
	struct buf value;
	char path[40001];

	assert_int_equal(compile(routes, &value, NULL), 0);
	memset(path, '/', 40000);
	path[40000] = '\0';
	assert_string_equal(ask(&value, "GET", path), "404");
	memcpy(path, "/x", 2);
	struct router_match m;

	assert_int_equal(router_match(buf_view(&value), STR("GET"), str_of(path), &m), ROUTER_FOUND);
	assert_int_equal(m.tail.n, 39998);
	buf_done(&value);
}

static uint64_t seed = 42;

static unsigned random_below(unsigned n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % n;
}

/* The naive matcher: every route by itself, the best rank wins. */
struct naive {
	bool greedy, prefix;
	size_t n; /* fixed segments */
	char shape[16]; /* 'a' literal, 'b' parameter: the smaller string has the leftmost literal */
	bool any;
};

static size_t pieces(struct str path, struct str *ret)
{
	size_t n = 0;

	str_cut(&path, '/');
	while (path.p)
		ret[n++] = str_cut(&path, '/');
	return n;
}

/* Whether the route's path matches, and its rank. */
static bool naive_path(const struct router_route *r, struct str path, struct naive *ret)
{
	struct str want[16], have[16];
	size_t n_want = pieces(r->path, want), n_have = pieces(path, have);

	*ret = (struct naive){.prefix = r->prefix, .any = str_is(r->method, "ANY")};
	if (n_want && want[n_want - 1].n > 1 && want[n_want - 1].p[want[n_want - 1].n - 2] == '+') {
		ret->greedy = true;
		ret->prefix = false;
		n_want--;
	} else if (ret->prefix && n_want && !want[n_want - 1].n) {
		n_want--;
	}
	if (n_have < n_want || (!ret->greedy && !ret->prefix && n_have != n_want))
		return false;
	for (size_t i = 0; i < n_want; i++) {
		bool param = want[i].n && want[i].p[0] == '{';

		if (param ? !have[i].n : !str_eq(want[i], have[i]))
			return false;
		ret->shape[i] = param ? 'b' : 'a';
	}
	ret->n = n_want;
	if (!ret->greedy)
		return true;
	return n_have > n_want && have[n_want].p < path.p + path.n;
}

static bool naive_better(const struct naive *a, const struct naive *b)
{
	bool open_a = a->greedy || a->prefix, open_b = b->greedy || b->prefix;

	if (open_a != open_b)
		return !open_a;
	if (open_a && a->n != b->n)
		return a->n > b->n;
	int d = strcmp(a->shape, b->shape);

	if (d)
		return d < 0;
	if (a->greedy != b->greedy)
		return a->greedy;
	return !a->any && b->any;
}

static enum router_result naive_match(const struct router_route *routes, size_t n, struct str method, struct str path,
				      struct str *ret_id)
{
	struct naive best, now;
	bool path_seen = false, found = false;

	for (size_t i = 0; i < n; i++) {
		if (!naive_path(&routes[i], path, &now))
			continue;
		path_seen = true;
		if (!now.any && !str_eq(routes[i].method, method))
			continue;
		if (!found || naive_better(&now, &best)) {
			best = now;
			*ret_id = routes[i].api_id;
		}
		found = true;
	}
	return found ? ROUTER_FOUND : path_seen ? ROUTER_NO_METHOD : ROUTER_NO_PATH;
}

static size_t random_path(char *p, bool template)
{
	static const char *words[] = {"a", "b", "", "longer-than-eight", "longer-than-nine"};
	size_t n = 0, segments = 1 + random_below(5);

	for (size_t i = 0; i < segments; i++) {
		p[n++] = '/';
		if (template && i + 1 == segments && random_below(8) == 0)
			n += (size_t)snprintf(p + n, 16, "{z+}");
		else if (template && random_below(3) == 0)
			n += (size_t)snprintf(p + n, 16, "{%c%zu}", 'p' + (int)random_below(3), i);
		else
			n += (size_t)snprintf(p + n, 32, "%s", words[random_below(random_below(4) ? 2 : 5)]);
	}
	p[n] = '\0';
	return n;
}

enum { SETS = 300, ROUTES = 40, ASKS = 200, TEXT = 128 };

static char texts[ROUTES][TEXT], ids[ROUTES][8];

static struct str random_method(bool any)
{
	static const char *methods[] = {"GET", "PUT", "POST", "ANY"};

	return str_of(methods[random_below(any ? 4 : 3)]);
}

/* Random routes, those that conflict left out. */
static size_t random_routes(struct router_route *routes, struct buf *out)
{
	size_t n = 0, tries = 1 + random_below(ROUTES);

	for (size_t i = 0; i < tries; i++) {
		size_t len = random_path(texts[n], true);
		struct err err;

		snprintf(ids[n], sizeof(ids[n]), "%zu", n);
		routes[n] = (struct router_route){
			random_method(true), {texts[n], len}, random_below(3) == 0, str_of(ids[n])};
		buf_reset(out);
		int rc = router_compile(routes, n + 1, out, &err);

		assert_true(rc == 0 || rc == ERR_APPIA_0409);
		n += rc == 0;
	}
	buf_reset(out);
	assert_int_equal(router_compile(routes, n, out, NULL), 0);
	return n;
}

static void assert_order_does_not_matter(struct router_route *routes, size_t n, struct buf *out)
{
	struct buf again;

	for (size_t i = n; i > 1; i--) {
		size_t k = random_below((unsigned)i);
		struct router_route r = routes[k];

		routes[k] = routes[i - 1];
		routes[i - 1] = r;
	}
	buf_init(&again, 1 << 20);
	assert_int_equal(router_compile(routes, n, &again, NULL), 0);
	assert_true(str_eq(buf_view(&again), buf_view(out)));
	buf_done(&again);
}

/* Every value a match gives is where the template has it: putting them in gives the path again. */
static void assert_rebuilds(const struct router_route *routes, size_t n, const struct router_match *m, struct str path)
{
	const struct router_route *r = routes;
	char text[2 * TEXT];
	size_t len = 0, param = 0;
	struct str segs[16];

	while (r < routes + n && !str_eq(r->api_id, m->api_id))
		r++;
	assert_true(r < routes + n);
	size_t count = pieces(r->path, segs);
	bool greedy = count && segs[count - 1].n > 1 && segs[count - 1].p[segs[count - 1].n - 2] == '+';

	if (r->prefix && !greedy && !segs[count - 1].n)
		count--;
	for (size_t i = 0; i < count; i++) {
		struct str s = segs[i];

		if (s.n && s.p[0] == '{') {
			assert_true(param < m->n_params);
			assert_true(str_starts(str_sub(s, 1, s.n), m->params[param].name));
			s = m->params[param++].value;
		}
		len += (size_t)snprintf(text + len, sizeof(text) - len, "/%.*s", STR_FMT(s));
	}
	assert_int_equal(param, m->n_params);
	len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s", STR_FMT(m->tail));
	assert_true(str_eq((struct str){text, len}, path));
}

static void test_against_naive(void **state)
{
	struct router_route routes[ROUTES + 1];
	struct buf value;
	size_t found = 0;

	buf_init(&value, 1 << 20);
	for (int set = 0; set < SETS; set++) {
		size_t n = random_routes(routes, &value);

		assert_order_does_not_matter(routes, n, &value);
		for (int i = 0; i < ASKS; i++) {
			char text[TEXT];
			struct str path = {text, random_path(text, false)}, method = random_method(false),
				   id = STR_NONE;
			struct router_match m;
			enum router_result want = naive_match(routes, n, method, path, &id);
			enum router_result got = router_match(buf_view(&value), method, path, &m);

			if (got != want || (got == ROUTER_FOUND && !str_eq(m.api_id, id)))
				fail_msg("%.*s %s: %d %.*s, not %d %.*s", STR_FMT(method), text, got,
					 got == ROUTER_FOUND ? (int)m.api_id.n : 0, m.api_id.p, want, STR_FMT(id));
			if (got == ROUTER_FOUND) {
				assert_rebuilds(routes, n, &m, path);
				found++;
			}
		}
	}
	assert_true(found > SETS * ASKS / 10);
	buf_done(&value);
}

/* Whatever the bytes: an answer, no wild read. The copy ends where its allocation ends, for the sanitizer. */
static void test_damage(void **state)
{
	const char *routes[] = {"GET /a/{b}/c",
				"POST /a/{b}/c",
				"~GET /a/longer-than-eight",
				"ANY /{x}/{y+}",
				"GET /a",
				"GET /a/b/longer-than-eight",
				NULL};
	static const char *paths[] = {"/a/b/c", "/a/longer-than-eight/x", "/q/r/s/t", "/a/b/longer-than-eight", "/"};
	struct buf value;
	struct router_match m;

	assert_int_equal(compile(routes, &value, NULL), 0);
	for (size_t n = 0; n <= value.n; n++) {
		char *copy = mem_alloc(n);

		memcpy(copy, value.p, n);
		for (size_t i = 0; i < ARRAY_LEN(paths); i++)
			router_match((struct str){copy, n}, STR("GET"), str_of(paths[i]), &m);
		free(copy);
	}
	char *copy = mem_alloc(value.n);

	for (int round = 0; round < 20000; round++) {
		memcpy(copy, value.p, value.n);
		for (unsigned k = random_below(4) + 1; k; k--) {
			size_t at = random_below((unsigned)value.n);

			copy[at] = random_below(2) ? (char)random_below(256) : (char)(random_below(2) ? 0xff : 0);
		}
		for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
			m.n_params = 0;
			if (router_match((struct str){copy, value.n}, STR("GET"), str_of(paths[i]), &m) == ROUTER_FOUND)
				assert_true(m.n_params <= ROUTER_MAX_PARAMS);
		}
	}
	free(copy);
	buf_done(&value);
}

/* A damaged trie with loops must not keep a match busy: there would be 2^250 ways down. */
static void test_loop(void **state)
{
	const char *routes[] = {"GET /a/a", "GET /a/{x}", NULL};
	struct buf value;
	char path[512];

	assert_int_equal(compile(routes, &value, NULL), 0);
	/* Both children of the root are the root. */
	buf_put_u32(&value, 4, ROUTER_MAX_SEGMENTS);
	uint32_t root = (unsigned char)value.p[8] | (uint32_t)(unsigned char)value.p[9] << 8;
	uint32_t children = 0;

	memcpy(&children, value.p + root + 4, 4);
	buf_put_u32(&value, root + 8, root);
	buf_put_u32(&value, children + 16, root);
	for (size_t i = 0; i < 250; i++)
		memcpy(path + 2 * i, "/a", 3);
	assert_string_equal(ask(&value, "GET", path), "404");
	buf_done(&value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),  cmocka_unit_test(test_prefix),  cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits), cmocka_unit_test(test_overlap), cmocka_unit_test(test_long_path),
		cmocka_unit_test(test_damage), cmocka_unit_test(test_loop),    cmocka_unit_test(test_against_naive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
