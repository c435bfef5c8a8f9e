/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "published/published.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAP = 1 << 20 };

static char folder[64];

static int setup(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/appia-pub-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *names[] = {"data.mdb", "lock.mdb"};
	char path[96];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static void assert_str(struct str got, const char *want)
{
	if (!str_is(got, want))
		fail_msg("\"%.*s\" is not \"%s\"", STR_FMT(got), want);
}

static struct pub *open_pub(bool writer)
{
	struct pub *pub = NULL;
	struct err err;

	if (pub_open(folder, MAP, writer, &pub, &err))
		fail_msg("%s", err.text);
	return pub;
}

static void put(struct pub *pub, const char *key, const char *value)
{
	struct pub_batch *batch = NULL;

	assert_int_equal(pub_batch_begin(pub, &batch, NULL), 0);
	assert_int_equal(pub_put(batch, str_of(key), str_of(value), NULL), 0);
	assert_int_equal(pub_batch_commit(&batch, NULL), 0);
	assert_null(batch);
}

/* A child process that runs fn(fd) with one end of a socket pair; an open environment must not cross a fork, so callers
 * fork before they open. */
struct child {
	pid_t pid;
	int to, from;
};

static struct child spawn(int (*fn)(int in, int out))
{
	int down[2], up[2];

	assert_int_equal(pipe(down), 0);
	assert_int_equal(pipe(up), 0);
	pid_t pid = fork();

	if (pid == 0) {
		close(down[1]);
		close(up[0]);
		_exit(fn(down[0], up[1]));
	}
	close(down[0]);
	close(up[1]);
	return (struct child){pid, down[1], up[0]};
}

static void tell(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static bool hear(int fd)
{
	char c;

	return read(fd, &c, 1) == 1;
}

static int join(struct child *c)
{
	int status = -1;

	close(c->to);
	close(c->from);
	waitpid(c->pid, &status, 0);
	return status;
}

static void test_keys(void **state)
{
	char buf[PUB_KEY_MAX], long_part[600];

	memset(long_part, 'x', sizeof(long_part));
	assert_str(pub_key(buf, "default", STR_NONE, STR_NONE, STR_NONE), "default");
	assert_str(pub_key(buf, "host", STR("h"), STR_NONE, STR("ignored")), "host/h");
	assert_str(pub_key(buf, "auth", STR("e"), STR("a"), STR("")), "auth/e/a/");
	assert_int_equal(pub_key(buf, "a", (struct str){long_part, 509}, STR_NONE, STR_NONE).n, 511);
	assert_null(pub_key(buf, "a", (struct str){long_part, 510}, STR_NONE, STR_NONE).p);
	assert_null(pub_key(buf, "a", (struct str){long_part, 508}, STR("b"), STR_NONE).p);
	assert_null(pub_key(buf, "a", (struct str){long_part, 509}, STR(""), STR_NONE).p);
	assert_null(pub_key(buf, "a", (struct str){long_part, 600}, STR_NONE, STR_NONE).p);
	assert_null(pub_key(buf, "a", STR("b"), (struct str){long_part, SIZE_MAX - 4}, STR_NONE).p);
}

static void test_batch(void **state)
{
	struct pub *pub = open_pub(true);
	struct pub_batch *batch;
	struct pub_view *view, *old;
	struct str key, value;

	put(pub, "a/1", "one");
	assert_int_equal(pub_view_begin(pub, &old, NULL), 0);
	assert_int_equal(pub_batch_begin(pub, &batch, NULL), 0);
	assert_int_equal(pub_put(batch, STR("a/2"), STR("two"), NULL), 0);
	assert_int_equal(pub_put(batch, STR("auth/x"), STR_NONE, NULL), 0);
	assert_int_equal(pub_del(batch, STR("absent"), NULL), 0);
	assert_str(pub_batch_get(batch, STR("a/2")), "two");
	assert_null(pub_batch_get(batch, STR("a/3")).p);
	assert_int_equal(pub_view_begin(pub, &view, NULL), 0);
	assert_null(pub_get(view, STR("a/2")).p);
	assert_int_equal(pub_batch_commit(&batch, NULL), 0);
	assert_null(pub_get(view, STR("a/2")).p); /* still its snapshot */
	assert_int_equal(pub_view_renew(view, NULL), 0);
	assert_str(pub_get(view, STR("a/2")), "two");
	assert_str(pub_get(view, STR("auth/x")), "");
	assert_null(pub_get(view, STR("auth/")).p);
	assert_null(pub_get(view, STR("")).p);
	assert_null(pub_get(view, STR_NONE).p);
	pub_view_reset(view);
	pub_view_reset(view);
	assert_null(pub_get(view, STR("a/2")).p);
	assert_false(pub_next(view, STR("a/"), STR_NONE, &key, &value));
	pub_view_end(&view);
	pub_view_end(&view);
	assert_null(pub_get(old, STR("a/2")).p);
	pub_view_end(&old);

	assert_int_equal(pub_batch_begin(pub, &batch, NULL), 0);
	assert_int_equal(pub_del(batch, STR("a/1"), NULL), 0);
	pub_batch_abort(&batch);
	pub_batch_abort(&batch);
	assert_int_equal(pub_batch_begin(pub, &batch, NULL), 0);
	assert_str(pub_batch_get(batch, STR("a/1")), "one");
	/* A refused write spoils the batch. */
	assert_int_equal(pub_put(batch, STR("b"), STR("x"), NULL), 0);
	assert_int_equal(pub_put(batch, STR(""), STR("x"), NULL), ERR_APPIA_0500);
	assert_int_equal(pub_put(batch, STR("c"), STR("x"), NULL), ERR_APPIA_0500);
	assert_int_equal(pub_batch_commit(&batch, NULL), ERR_APPIA_0500);
	assert_null(batch);
	assert_int_equal(pub_view_begin(pub, &view, NULL), 0);
	assert_null(pub_get(view, STR("b")).p);
	pub_view_end(&view);
	pub_close(pub);
	pub_close(NULL);
}

/* Keys with a prefix, joined with commas. */
static const char *walk(struct pub_view *view, const char *prefix)
{
	static char text[256];
	struct str key = STR_NONE, value;
	size_t n = 0;

	text[0] = '\0';
	while (pub_next(view, str_of(prefix), key, &key, &value))
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s=%.*s,", STR_FMT(key), STR_FMT(value));
	return text;
}

static void test_walk(void **state)
{
	struct pub *pub = open_pub(true);
	struct pub_batch *batch;
	struct pub_view *view;
	struct str key, value;

	put(pub, "a/1", "1");
	put(pub, "a/2", "2");
	put(pub, "a0", "x");
	put(pub, "b/1", "3");
	assert_int_equal(pub_view_begin(pub, &view, NULL), 0);
	assert_string_equal(walk(view, "a/"), "a/1=1,a/2=2,");
	assert_string_equal(walk(view, ""), "a/1=1,a/2=2,a0=x,b/1=3,");
	assert_string_equal(walk(view, "c"), "");
	assert_true(pub_next(view, STR("a/"), STR("a/10"), &key, &value));
	assert_str(key, "a/2");
	assert_true(pub_next(view, STR("b/"), STR("a/1"), &key, &value));
	assert_str(key, "b/1");
	assert_false(pub_next(view, STR("a/"), STR("b"), &key, &value));
	assert_int_equal(pub_batch_begin(pub, &batch, NULL), 0);
	assert_int_equal(pub_put(batch, STR("a/3"), STR("4"), NULL), 0);
	assert_int_equal(pub_del_prefix(batch, STR("a/"), NULL), 0);
	assert_int_equal(pub_del_prefix(batch, STR("zzz"), NULL), 0);
	assert_int_equal(pub_batch_commit(&batch, NULL), 0);
	assert_string_equal(walk(view, "a"), "a/1=1,a/2=2,a0=x,");
	assert_int_equal(pub_view_renew(view, NULL), 0);
	assert_string_equal(walk(view, ""), "a0=x,b/1=3,");
	assert_int_equal(pub_batch_begin(pub, &batch, NULL), 0);
	for (int i = 0; i < 2000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "many/%d", i);
		assert_int_equal(pub_put(batch, str_of(name), STR("some value"), NULL), 0);
	}
	assert_int_equal(pub_del_prefix(batch, STR("many/"), NULL), 0);
	assert_int_equal(pub_batch_commit(&batch, NULL), 0);
	assert_int_equal(pub_view_renew(view, NULL), 0);
	assert_string_equal(walk(view, ""), "a0=x,b/1=3,");
	pub_view_end(&view);
	pub_close(pub);
}

/* Holds a snapshot while the parent writes, then takes the newest; three rounds. */
static int reader(int in, int out)
{
	struct pub *pub;
	struct pub_view *view;
	bool ok = hear(in) && pub_open(folder, 0, false, &pub, NULL) == 0 && pub_view_begin(pub, &view, NULL) == 0;

	for (int round = 1; ok && round <= 3; round++) {
		char before[2] = {(char)('0' + round), 0}, after[2] = {(char)('1' + round), 0};

		ok = str_is(pub_get(view, STR("n")), before);
		ok = ok && write(out, "x", 1) == 1 && hear(in) && str_is(pub_get(view, STR("n")), before);
		pub_view_reset(view);
		ok = ok && pub_view_renew(view, NULL) == 0 && str_is(pub_get(view, STR("n")), after);
	}
	return ok ? 0 : 1;
}

static void test_two_processes(void **state)
{
	struct child child = spawn(reader);
	struct pub *pub = open_pub(true);

	put(pub, "n", "1");
	tell(child.to);
	assert_true(hear(child.from));
	put(pub, "n", "2");
	tell(child.to);
	assert_true(hear(child.from));
	pub_close(pub); /* the writer goes and comes back */
	pub = open_pub(true);
	put(pub, "n", "3");
	tell(child.to);
	assert_true(hear(child.from));
	pub_close(pub);
	assert_int_equal(pub_open(folder, 8 * MAP, true, &pub, NULL), 0); /* with another limit */
	struct pub_batch *batch;

	assert_int_equal(pub_batch_begin(pub, &batch, NULL), 0);
	char *big = mem_zalloc(4 * MAP);

	assert_int_equal(pub_put(batch, STR("big"), (struct str){big, 4 * MAP}, NULL), 0);
	assert_int_equal(pub_put(batch, STR("n"), STR("4"), NULL), 0);
	assert_int_equal(pub_batch_commit(&batch, NULL), 0);
	free(big);
	tell(child.to);
	assert_int_equal(join(&child), 0);
	pub_close(pub);
}

static int dying_writer(int in, int out)
{
	struct pub *pub;
	struct pub_batch *batch;

	if (pub_open(folder, MAP, true, &pub, NULL))
		return 1;
	if (pub_batch_begin(pub, &batch, NULL) || pub_put(batch, STR("kept"), STR("yes"), NULL) ||
	    pub_batch_commit(&batch, NULL) || pub_batch_begin(pub, &batch, NULL))
		return 2;
	for (int i = 0; i < 1000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "half/%d", i);
		if (pub_put(batch, str_of(name), STR("x"), NULL))
			return 3;
	}
	tell(out);
	hear(in); /* killed here */
	return 4;
}

static void test_killed_writer(void **state)
{
	for (int round = 0; round < 3; round++) {
		struct child child = spawn(dying_writer);

		assert_true(hear(child.from));
		kill(child.pid, SIGKILL);
		assert_true(WIFSIGNALED(join(&child)));
		struct pub *pub = open_pub(true);
		struct pub_view *view;

		assert_int_equal(pub_view_begin(pub, &view, NULL), 0);
		assert_string_equal(walk(view, "half/"), "");
		assert_str(pub_get(view, STR("kept")), "yes");
		pub_view_end(&view);
		put(pub, "after", "works"); /* the dead one's lock is free */
		pub_close(pub);
	}
}

static int dying_reader(int in, int out)
{
	struct pub *pub;
	struct pub_view *view;

	if (!hear(in) || pub_open(folder, MAP, false, &pub, NULL) || pub_view_begin(pub, &view, NULL))
		return 1;
	tell(out);
	hear(in);
	return 2;
}

/* A dead reader's snapshot must not keep pages: rewriting one value many times fits a small map only when old pages
 * are used again. */
static void test_killed_reader(void **state)
{
	struct child child = spawn(dying_reader);
	struct pub *pub = open_pub(true);
	char *value = mem_zalloc(100000);

	put(pub, "v", "x");
	tell(child.to);
	assert_true(hear(child.from));
	kill(child.pid, SIGKILL);
	assert_true(WIFSIGNALED(join(&child)));
	for (int i = 0; i < 100; i++) {
		struct pub_batch *batch;

		assert_int_equal(pub_batch_begin(pub, &batch, NULL), 0);
		assert_int_equal(pub_put(batch, STR("v"), (struct str){value, 100000}, NULL), 0);
		assert_int_equal(pub_batch_commit(&batch, NULL), 0);
	}
	free(value);
	pub_close(pub);
}

static void test_full(void **state)
{
	struct pub *pub = open_pub(true);
	struct pub_batch *batch;
	struct pub_view *view;
	struct err err;
	int rc = 0;
	char *value = mem_zalloc(50000);

	put(pub, "old", "state");
	assert_int_equal(pub_batch_begin(pub, &batch, NULL), 0);
	assert_int_equal(pub_put(batch, STR("old"), STR("new"), NULL), 0);
	for (int i = 0; !rc && i < 100; i++) {
		char name[32];

		snprintf(name, sizeof(name), "fill/%d", i);
		rc = pub_put(batch, str_of(name), (struct str){value, 50000}, &err);
	}
	free(value);
	assert_int_equal(rc, ERR_APPIA_0507);
	assert_int_equal(err.code, ERR_APPIA_0507);
	assert_null(pub_batch_get(batch, STR("old")).p);
	assert_int_equal(pub_batch_commit(&batch, &err), ERR_APPIA_0507);
	assert_int_equal(pub_view_begin(pub, &view, NULL), 0);
	assert_string_equal(walk(view, ""), "old=state,");
	pub_view_end(&view);
	put(pub, "old", "and on");
	pub_close(pub);
}

static void test_open_errors(void **state)
{
	struct pub *pub = NULL;
	struct err err;

	assert_int_equal(pub_open(folder, MAP, false, &pub, &err), ERR_APPIA_0503);
	assert_true(err.retriable);
	assert_int_equal(pub_open("/nonexistent/x", MAP, true, &pub, &err), ERR_APPIA_0500);
	assert_null(pub);
	pub_close(open_pub(true));
	pub = open_pub(false);
	struct pub_batch *batch = NULL;

	assert_int_equal(pub_batch_begin(pub, &batch, &err), ERR_APPIA_0500);
	assert_null(batch);
	pub_close(pub);
}

/* Decodes a copy whose end is the end of an allocation, so that the sanitizer sees every byte too far. */
static bool decode_tight(int kind, struct str value, struct arena *a, void *ret)
{
	char *copy = mem_alloc(value.n);
	struct str v = {copy, value.n};
	bool ok = false;

	memcpy(copy, value.p, value.n);
	switch (kind) {
	case 0:
		ok = pub_host_decode(v, ret);
		break;
	case 1:
		ok = pub_api_decode(v, a, ret);
		break;
	case 2:
		ok = pub_app_decode(v, ret);
		break;
	case 3:
		ok = pub_user_decode(v, ret);
		break;
	case 4:
		ok = pub_ak_decode(v, ret);
		break;
	}
	free(copy);
	return ok;
}

static void assert_damage_refused(int kind, struct str value)
{
	struct arena *a = arena_new(1 << 20);
	struct pub_api ret, untouched;
	char *longer = mem_zalloc(value.n + 1);

	memset(&ret, 0x5a, sizeof(ret));
	memset(&untouched, 0x5a, sizeof(untouched));
	for (size_t n = 0; n < value.n; n++) {
		if (decode_tight(kind, str_sub(value, 0, n), a, &ret))
			fail_msg("kind %d taken at %zu of %zu bytes", kind, n, value.n);
		arena_reset(a);
	}
	memcpy(longer, value.p, value.n);
	assert_false(decode_tight(kind, (struct str){longer, value.n + 1}, a, &ret));
	longer[0]++; /* version */
	assert_false(decode_tight(kind, (struct str){longer, value.n}, a, &ret));
	assert_memory_equal(&ret, &untouched, sizeof(ret));
	/* Any one byte wrong: refused or another content, never a wild read. */
	longer[0]--;
	for (size_t i = 0; i < value.n; i++) {
		longer[i] = (char)~longer[i];
		decode_tight(kind, (struct str){longer, value.n}, a, &ret);
		longer[i] = (char)~longer[i];
		arena_reset(a);
	}
	free(longer);
	arena_free(a);
}

static void test_small_values(void **state)
{
	struct buf b;
	const struct pub_host host = {STR("g"), STR_NONE, true, false};
	const struct pub_app app = {STR("i"), STR(""), STR("k"), STR("s"), STR("p"), true};
	const struct pub_user user = {STR("i"), STR("n"), STR("d"), true, -5};
	const struct pub_ak ak = {STR("u"), STR("s"), STR("p")};
	struct pub_host host2;
	struct pub_app app2;
	struct pub_user user2;
	struct pub_ak ak2;

	buf_init(&b, 4096);
	pub_host_encode(&b, &host);
	assert_true(pub_host_decode(buf_view(&b), &host2));
	assert_str(host2.group_id, "g");
	assert_null(host2.instance_id.p);
	assert_true(host2.debugging && !host2.by_ip);
	assert_damage_refused(0, buf_view(&b));
	buf_reset(&b);
	pub_app_encode(&b, &app);
	assert_true(pub_app_decode(buf_view(&b), &app2));
	assert_str(app2.id, "i");
	assert_str(app2.name, "");
	assert_str(app2.key, "k");
	assert_str(app2.sealed_secret, "s");
	assert_str(app2.project_id, "p");
	assert_true(app2.disabled);
	assert_damage_refused(2, buf_view(&b));
	buf_reset(&b);
	pub_user_encode(&b, &user);
	assert_true(pub_user_decode(buf_view(&b), &user2));
	assert_str(user2.id, "i");
	assert_str(user2.name, "n");
	assert_str(user2.domain_id, "d");
	assert_true(user2.disabled);
	assert_int_equal(user2.tokens_after_ms, -5);
	assert_damage_refused(3, buf_view(&b));
	buf_reset(&b);
	pub_ak_encode(&b, &ak);
	assert_true(pub_ak_decode(buf_view(&b), &ak2));
	assert_str(ak2.user_id, "u");
	assert_str(ak2.sealed_secret, "s");
	assert_str(ak2.project_id, "p");
	assert_damage_refused(4, buf_view(&b));
	buf_done(&b);
	assert_false(pub_ak_decode(STR_NONE, &ak2));
}

static struct pub_param params[] = {
	{STR("p1"), PUB_PATH, false, true, true, false, false, false, STR(""), STR(""), 1, 20, STR("^a+$"), STR("a,aa"),
	 STR_NONE},
	{STR("p2"), PUB_HEADER, true, false, false, true, true, true, STR("-1.5"), STR("7"), 0, 0, STR_NONE, STR_NONE,
	 STR("3")},
};
static struct pub_backend_param backend_params[] = {
	{STR("b1"), PUB_QUERY, PUB_REQUEST, STR("p1"), PUB_PATH},
	{STR("b2"), PUB_HEADER, PUB_SYSTEM, STR("$context.sourceIp"), PUB_PATH},
	{STR("b3"), PUB_PATH, PUB_CONSTANT, STR("c"), PUB_HEADER},
};
static const struct pub_api api = {
	.id = STR("id"),
	.name = STR("name"),
	.group_id = STR("group"),
	.env_id = STR("env"),
	.env_name = STR("RELEASE"),
	.instance_id = STR("instance"),
	.project_id = STR("project"),
	.app_id = STR("app"),
	.version_id = STR("version"),
	.auth = PUB_AUTH_AUTHORIZER,
	.app_code = true,
	.prefix = true,
	.protocols = PUB_PROTO_HTTP | PUB_PROTO_HTTPS,
	.method = STR("ANY"),
	.path = STR("/a/{p1}"),
	.backend = PUB_BACKEND_LIVEDATA,
	.tls_verify = true,
	.address = STR("[::1]:80"),
	.host_header = STR(""),
	.backend_method = STR("GET"),
	.backend_path = STR("/b"),
	.timeout_ms = 5000,
	.retries = -1,
	.livedata_id = STR("ld"),
	.mock_body = STR_NONE,
	.mock_status = 200,
	.params = params,
	.n_params = ARRAY_LEN(params),
	.backend_params = backend_params,
	.n_backend_params = ARRAY_LEN(backend_params),
};

static void assert_same_str(struct str a, struct str b)
{
	assert_true(str_eq(a, b) && !a.p == !b.p);
}

static void assert_same_api(const struct pub_api *a, const struct pub_api *b)
{
	assert_same_str(a->id, b->id);
	assert_same_str(a->name, b->name);
	assert_same_str(a->group_id, b->group_id);
	assert_same_str(a->env_id, b->env_id);
	assert_same_str(a->env_name, b->env_name);
	assert_same_str(a->instance_id, b->instance_id);
	assert_same_str(a->project_id, b->project_id);
	assert_same_str(a->app_id, b->app_id);
	assert_same_str(a->version_id, b->version_id);
	assert_same_str(a->method, b->method);
	assert_same_str(a->path, b->path);
	assert_same_str(a->address, b->address);
	assert_same_str(a->host_header, b->host_header);
	assert_same_str(a->backend_method, b->backend_method);
	assert_same_str(a->backend_path, b->backend_path);
	assert_same_str(a->livedata_id, b->livedata_id);
	assert_same_str(a->mock_body, b->mock_body);
	assert_int_equal(a->auth, b->auth);
	assert_int_equal(a->backend, b->backend);
	assert_int_equal(a->protocols, b->protocols);
	assert_int_equal(a->timeout_ms, b->timeout_ms);
	assert_int_equal(a->retries, b->retries);
	assert_int_equal(a->mock_status, b->mock_status);
	assert_true(a->app_code == b->app_code && a->cors == b->cors && a->prefix == b->prefix && a->tls == b->tls &&
		    a->tls_verify == b->tls_verify);
}

static void test_api_value(void **state)
{
	struct arena *a = arena_new(1 << 16);
	struct pub_api got;
	struct buf b;

	buf_init(&b, 4096);
	pub_api_encode(&b, &api);
	assert_true(pub_api_decode(buf_view(&b), a, &got));
	assert_same_api(&got, &api);
	assert_int_equal(got.n_params, 2);
	for (size_t i = 0; i < got.n_params; i++) {
		const struct pub_param *p = &got.params[i], *q = &params[i];

		assert_same_str(p->name, q->name);
		assert_same_str(p->min, q->min);
		assert_same_str(p->max, q->max);
		assert_same_str(p->regexp, q->regexp);
		assert_same_str(p->enums, q->enums);
		assert_same_str(p->def, q->def);
		assert_true(p->location == q->location && p->number == q->number && p->required == q->required &&
			    p->validate == q->validate && p->pass_through == q->pass_through &&
			    p->has_min == q->has_min && p->has_max == q->has_max && p->min_len == q->min_len &&
			    p->max_len == q->max_len);
	}
	assert_int_equal(got.n_backend_params, 3);
	for (size_t i = 0; i < got.n_backend_params; i++) {
		const struct pub_backend_param *p = &got.backend_params[i], *q = &backend_params[i];

		assert_same_str(p->name, q->name);
		assert_same_str(p->value, q->value);
		assert_true(p->location == q->location && p->origin == q->origin && p->from == q->from);
	}
	assert_damage_refused(1, buf_view(&b));
	struct arena *small = arena_new(64);

	assert_false(pub_api_decode(buf_view(&b), small, &got));
	arena_free(small);
	buf_reset(&b);
	pub_api_encode(&b, &(struct pub_api){0});
	assert_true(pub_api_decode(buf_view(&b), a, &got));
	assert_null(got.params);
	assert_null(got.id.p);
	assert_damage_refused(1, buf_view(&b));
	buf_done(&b);
	arena_free(a);
}

/* A list count that promises more than there is must not allocate for it. */
static void test_huge_count(void **state)
{
	struct arena *a = arena_new(1 << 16);
	struct pub_api got;
	struct buf b;

	buf_init(&b, 4096);
	pub_api_encode(&b, &(struct pub_api){0});
	for (size_t back = 4; back <= 8; back += 4)
		for (uint32_t count = 1; count; count *= 2) {
			buf_put_u32(&b, b.n - back, count);
			assert_false(pub_api_decode(buf_view(&b), a, &got));
			buf_put_u32(&b, b.n - back, 0);
		}
	buf_done(&b);
	arena_free(a);
}

static void test_cert_value(void **state)
{
	struct pub_cert_key keys[] = {{STR("chain 1"), STR("key 1")}, {STR("chain 2"), STR("key 2")}};
	struct pub_cert cert = {.min_version = 0x0303, .client_ca = STR("roots"), .keys = keys, .n_keys = 2}, got;
	struct arena *a = arena_new(1 << 16);
	struct buf b;

	buf_init(&b, 1 << 16);
	pub_cert_encode(&b, &cert);
	assert_true(pub_cert_decode(buf_view(&b), a, &got));
	assert_int_equal(got.min_version, 0x0303);
	assert_str(got.client_ca, "roots");
	assert_int_equal(got.n_keys, 2);
	assert_str(got.keys[0].chain, "chain 1");
	assert_str(got.keys[1].sealed_key, "key 2");
	for (size_t n = 0; n < b.n; n++)
		assert_false(pub_cert_decode(str_sub(buf_view(&b), 0, n), a, &got));
	assert_false(pub_cert_decode(STR_NONE, a, &got));
	buf_done(&b);
	arena_free(a);
}

/* Values that were found are found again, or not, as every commit leaves them. */
static void test_cache_sees_every_commit(void **state)
{
	struct pub *writer = open_pub(true), *reader = open_pub(false);
	struct pub_view *cached = NULL, *plain = NULL;
	char key[32], value[300];
	unsigned seed = 1;

	assert_int_equal(pub_view_begin(reader, &cached, NULL), 0);
	assert_int_equal(pub_view_begin(reader, &plain, NULL), 0);
	pub_view_cache(cached);
	pub_view_cache(cached);
	for (int round = 0; round < 300; round++) {
		struct pub_batch *batch = NULL;

		/* Nobody holds the old snapshot: its pages are free to be used again. */
		pub_view_reset(cached);
		pub_view_reset(plain);
		for (int commits = rand_r(&seed) % 3; commits > 0; commits--) {
			assert_int_equal(pub_batch_begin(writer, &batch, NULL), 0);
			for (int i = 0; i < 20; i++) {
				snprintf(key, sizeof(key), "k/%d", rand_r(&seed) % 200);
				memset(value, 'a' + rand_r(&seed) % 26, sizeof(value));
				size_t n = (size_t)rand_r(&seed) % sizeof(value);

				if (rand_r(&seed) % 4)
					assert_int_equal(pub_put(batch, str_of(key), (struct str){value, n}, NULL), 0);
				else
					assert_int_equal(pub_del(batch, str_of(key), NULL), 0);
			}
			if (rand_r(&seed) % 5)
				assert_int_equal(pub_batch_commit(&batch, NULL), 0);
			else
				pub_batch_abort(&batch);
		}
		assert_false(pub_get(cached, STR("k/1")).p);
		assert_int_equal(pub_view_renew(plain, NULL), 0);
		assert_int_equal(pub_view_renew(cached, NULL), 0);
		for (int twice = 0; twice < 2; twice++) {
			for (int i = 0; i < 220; i++) {
				snprintf(key, sizeof(key), "k/%d", i);
				struct str got = pub_get(cached, str_of(key)), want = pub_get(plain, str_of(key));

				assert_int_equal(got.p == NULL, want.p == NULL);
				assert_true(str_eq(got, want));
			}
		}
	}
	pub_view_end(&cached);
	pub_view_end(&plain);
	pub_close(reader);
	pub_close(writer);
}

/* More keys than it holds, most of them absent, displace each other and nothing worse. */
static void test_cache_is_bounded(void **state)
{
	struct pub *writer = open_pub(true), *reader = open_pub(false);
	struct pub_view *view = NULL;
	char key[32];

	put(writer, "host/a", "1");
	put(writer, "empty", "");
	assert_int_equal(pub_view_begin(reader, &view, NULL), 0);
	pub_view_cache(view);
	for (int i = 0; i < 100000; i++) {
		snprintf(key, sizeof(key), "host/%d", i);
		assert_false(pub_get(view, str_of(key)).p);
	}
	for (int i = 0; i < 2; i++) {
		assert_str(pub_get(view, STR("host/a")), "1");
		assert_str(pub_get(view, STR("empty")), "");
		assert_false(pub_get(view, STR("")).p);
	}
	pub_view_end(&view);
	pub_close(reader);
	pub_close(writer);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_keys),          TEST(test_batch),         TEST(test_walk),       TEST(test_two_processes),
		TEST(test_killed_writer), TEST(test_killed_reader), TEST(test_full),       TEST(test_open_errors),
		TEST(test_small_values),  TEST(test_api_value),     TEST(test_huge_count),
		TEST(test_cache_sees_every_commit), TEST(test_cache_is_bounded), TEST(test_cert_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
