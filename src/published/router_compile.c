/* SPDX-License-Identifier: Apache-2.0 */
#include "published/router.h"

#include "base/mem.h"
#include "published/router_priv.h"

#include <stdlib.h>

enum kind { LITERAL, PARAM }; /* of a segment; {x+} is no segment but a way to end */
enum { WHOLE, GREEDY, PREFIX, ENDS };

struct seg {
	struct str text; /* of a parameter: its name */
	uint64_t key;
	enum kind kind;
};

/* A route taken apart. */
struct item {
	const struct router_route *route;
	struct seg *segs;
	uint32_t n_segs; /* without the {x+} */
	int end;
	struct str rest; /* name of the {x+} */
	struct str method; /* empty: ANY */
};

static int bad_path(struct err *err, struct str path, const char *why)
{
	return err_set_text(err, ERR_APPIA_0422, "The path %.*s cannot be published: %s.",
			    path.n < 512 ? (int)path.n : 512, path.p ? path.p : "", why);
}

static bool has_brace(struct str s)
{
	return str_find(s, '{', 0) < s.n || str_find(s, '}', 0) < s.n;
}

/* Fills segs (room for one per slash). */
static int parse_path(struct str path, struct item *it, struct err *err)
{
	struct str rest = path;
	size_t n_params = 0;

	if (!path.n || path.p[0] != '/')
		return bad_path(err, path, "it does not start with a slash");
	str_cut(&rest, '/');
	while (rest.p) {
		struct str text = str_cut(&rest, '/');
		bool param = text.n > 2 && text.p[0] == '{' && text.p[text.n - 1] == '}';

		if (param)
			text = str_sub(text, 1, text.n - 1);
		bool greedy = param && text.p[text.n - 1] == '+';

		if (greedy)
			text.n--;
		if (param && !text.n)
			return bad_path(err, path, "a parameter has no name");
		if (has_brace(text))
			return bad_path(err, path, "a parameter takes a whole segment, as in /a/{name}");
		if (greedy && rest.p)
			return bad_path(err, path, "only the last segment can be {name+}");
		if (param && ++n_params > ROUTER_MAX_PARAMS)
			return bad_path(err, path, "it has too many parameters");
		for (size_t i = 0; param && i < it->n_segs; i++)
			if (it->segs[i].kind == PARAM && str_eq(it->segs[i].text, text))
				return bad_path(err, path, "a parameter comes twice");
		if (greedy) {
			it->end = GREEDY;
			it->rest = text;
			return 0;
		}
		if (it->n_segs == ROUTER_MAX_SEGMENTS)
			return bad_path(err, path, "it has too many segments");
		it->segs[it->n_segs++] = (struct seg){text, router__key(text), param ? PARAM : LITERAL};
	}
	return 0;
}

int router_path_check(struct str path, struct err *err)
{
	struct seg segs[ROUTER_MAX_SEGMENTS];
	struct item it = {.segs = segs};

	return parse_path(path, &it, err);
}

static int seg_cmp(const struct seg *a, const struct seg *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->kind == PARAM)
		return 0;
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	if (a->text.n != b->text.n)
		return a->text.n < b->text.n ? -1 : 1;
	return a->text.n ? memcmp(a->text.p, b->text.p, a->text.n) : 0;
}

/* Order of the trie: what ends at a node before its children, literals before the parameter. */
static int item_cmp(const void *x, const void *y)
{
	const struct item *a = x, *b = y;

	for (size_t i = 0; i < a->n_segs && i < b->n_segs; i++) {
		int d = seg_cmp(&a->segs[i], &b->segs[i]);

		if (d)
			return d;
	}
	if (a->n_segs != b->n_segs)
		return a->n_segs < b->n_segs ? -1 : 1;
	if (a->end != b->end)
		return a->end < b->end ? -1 : 1;
	return str_cmp(a->method, b->method);
}

struct compiler {
	struct buf *out;
	size_t base;
	struct item *items;
	uint32_t *pool; /* pairs of (item where a child begins, its node); each node uses its part as a stack */
	size_t n_pool;
	const struct item *crowded; /* a path with too many methods */
};

static uint32_t here(const struct compiler *c)
{
	return (uint32_t)(c->out->n - c->base);
}

static uint32_t put_text(struct compiler *c, struct str s)
{
	uint32_t off = here(c);

	buf_str(c->out, s);
	return off;
}

static uint32_t put_leaf(struct compiler *c, const struct item *it)
{
	uint32_t id = put_text(c, it->route->api_id), names[ROUTER_MAX_PARAMS], n = 0;

	for (size_t i = 0; i < it->n_segs; i++)
		if (it->segs[i].kind == PARAM)
			names[n++] = put_text(c, it->segs[i].text);
	if (it->end == GREEDY)
		names[n++] = put_text(c, it->rest);
	uint32_t leaf = here(c);

	buf_u32(c->out, (uint32_t)it->route->api_id.n);
	buf_u32(c->out, id);
	buf_u32(c->out, n);
	n = 0;
	for (size_t i = 0; i < it->n_segs; i++) {
		if (it->segs[i].kind != PARAM)
			continue;
		buf_u32(c->out, (uint32_t)i);
		buf_u32(c->out, (uint32_t)it->segs[i].text.n);
		buf_u32(c->out, names[n++]);
	}
	if (it->end == GREEDY) {
		buf_u32(c->out, it->n_segs | ROUTER_REST);
		buf_u32(c->out, (uint32_t)it->rest.n);
		buf_u32(c->out, names[n++]);
	}
	return leaf;
}

/* The table of the routes items[lo..hi), which differ in their methods only. */
static uint32_t put_table(struct compiler *c, size_t lo, size_t hi)
{
	uint32_t leaves[ROUTER_MAX_METHODS], methods[ROUTER_MAX_METHODS];

	if (lo == hi)
		return 0;
	if (hi - lo > ROUTER_MAX_METHODS) {
		c->crowded = &c->items[lo];
		return 0;
	}
	for (size_t i = lo; i < hi; i++) {
		leaves[i - lo] = put_leaf(c, &c->items[i]);
		methods[i - lo] = put_text(c, c->items[i].method);
	}
	uint32_t table = here(c);

	buf_u32(c->out, (uint32_t)(hi - lo));
	for (size_t i = lo; i < hi; i++) {
		buf_u32(c->out, (uint32_t)c->items[i].method.n);
		buf_u32(c->out, methods[i - lo]);
		buf_u32(c->out, leaves[i - lo]);
	}
	return table;
}

/* Returns where the array starts. Short segments are in their key; longer ones have their text behind their node. */
static uint32_t put_children(struct compiler *c, size_t from, size_t depth)
{
	uint32_t children = here(c);

	for (size_t i = from; i < c->n_pool; i += 2) {
		const struct seg *s = &c->items[c->pool[i]].segs[depth];

		buf_u64(c->out, s->key);
		buf_u32(c->out, (uint32_t)s->text.n);
		buf_u32(c->out, c->pool[i + 1] + ROUTER_NODE_SIZE);
		buf_u32(c->out, c->pool[i + 1]);
	}
	return children;
}

/* The node for items[lo..hi), which have their first depth segments in common. Children come before their parent. The
 * largest number of nodes that one request can visit below is 1 + that of one literal child + that of the {x} child. */
static uint32_t put_node(struct compiler *c, size_t lo, size_t hi, size_t depth, size_t *ret_visits)
{
	size_t from = c->n_pool, most = 0, visits = 0;
	uint32_t tables[ENDS], param = 0;

	for (int end = 0; end < ENDS; end++) {
		size_t first = lo;

		while (lo < hi && c->items[lo].n_segs == depth && c->items[lo].end == end)
			lo++;
		tables[end] = put_table(c, first, lo);
	}
	while (lo < hi) {
		size_t next = lo + 1;

		while (next < hi && seg_cmp(&c->items[lo].segs[depth], &c->items[next].segs[depth]) == 0)
			next++;
		uint32_t child = put_node(c, lo, next, depth + 1, &visits);

		if (c->items[lo].segs[depth].kind == PARAM) {
			param = child;
		} else {
			if (c->items[lo].segs[depth].text.n > 8)
				put_text(c, c->items[lo].segs[depth].text);
			c->pool[c->n_pool++] = (uint32_t)lo;
			c->pool[c->n_pool++] = child;
			most = visits > most ? visits : most;
			visits = 0;
		}
		lo = next;
	}
	uint32_t children = put_children(c, from, depth), n_children = (uint32_t)((c->n_pool - from) / 2);
	uint32_t node = here(c);

	c->n_pool = from;
	buf_u32(c->out, n_children);
	buf_u32(c->out, children);
	buf_u32(c->out, param);
	for (int end = 0; end < ENDS; end++)
		buf_u32(c->out, tables[end]);
	*ret_visits = 1 + most + visits;
	return node;
}

/* Takes the routes apart; *ret_segs is freed by the caller also on error. */
static int prepare(const struct router_route *routes, size_t n, struct item *items, struct seg **ret_segs,
		   struct err *err)
{
	size_t n_segs = 1;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < routes[i].path.n; k++)
			n_segs += routes[i].path.p[k] == '/';
	struct seg *segs = mem_alloc(n_segs * sizeof(*segs));

	*ret_segs = segs;
	for (size_t i = 0; i < n; i++) {
		struct item *it = &items[i];

		*it = (struct item){.route = &routes[i], .segs = segs, .end = routes[i].prefix ? PREFIX : WHOLE};
		int rc = parse_path(routes[i].path, it, err);

		if (rc)
			return rc;
		if (!routes[i].method.n || routes[i].method.n > 64)
			return bad_path(err, routes[i].path, "its method is empty or too long");
		it->method = str_is(routes[i].method, "ANY") ? STR("") : routes[i].method;
		/* As a prefix, "/a/" is "/a", and "/" is everything. */
		if (it->end == PREFIX && !it->segs[it->n_segs - 1].text.n)
			it->n_segs--;
		segs += it->n_segs;
	}
	return 0;
}

static int sort(struct item *items, size_t n, struct err *err)
{
	if (n > 1)
		qsort(items, n, sizeof(*items), item_cmp);
	for (size_t i = 1; i < n; i++) {
		const struct router_route *a = items[i - 1].route, *b = items[i].route;

		if (item_cmp(&items[i - 1], &items[i]))
			continue;
		/* In an order of their own, so that the message does not depend on the order of the routes. */
		if (str_cmp(a->path, b->path) > 0)
			b = items[i - 1].route, a = items[i].route;
		return err_set_text(err, ERR_APPIA_0409,
				    "The paths %.*s and %.*s have the same method and match the same requests.",
				    a->path.n < 256 ? (int)a->path.n : 256, a->path.p,
				    b->path.n < 256 ? (int)b->path.n : 256, b->path.p);
	}
	return 0;
}

static int emit(struct item *items, size_t n, struct buf *out, struct err *err)
{
	uint32_t max = 0;

	for (size_t i = 0; i < n; i++)
		max = items[i].n_segs > max ? items[i].n_segs : max;
	struct compiler c = {.out = out, .base = out->n, .items = items};
	size_t visits;

	c.pool = mem_alloc(2 * n * sizeof(*c.pool)); /* children under way share no route */
	buf_u32(out, ROUTER_MAGIC);
	buf_u32(out, max);
	buf_u32(out, 0);
	uint32_t root = put_node(&c, 0, n, 0, &visits);

	free(c.pool);
	if (c.crowded)
		return bad_path(err, c.crowded->route->path, "it has too many methods");
	if (visits > ROUTER_MAX_VISITS)
		return err_set_text(err, ERR_APPIA_0422,
				    "Too many paths of the group overlap through their parameters.");
	if (out->failed || out->n - c.base > UINT32_MAX)
		return err_set_text(err, ERR_APPIA_0413, "The routes of the group take too much room.");
	buf_put_u32(out, c.base + 8, root);
	return 0;
}

int router_compile(const struct router_route *routes, size_t n, struct buf *out, struct err *err)
{
	struct item *items = mem_zalloc((n + 1) * sizeof(*items));
	struct seg *segs = NULL;
	int rc = n < UINT32_MAX / 4 ? prepare(routes, n, items, &segs, err)
				    : err_set_text(err, ERR_APPIA_0413, "The group has too many routes.");

	if (!rc)
		rc = sort(items, n, err);
	if (!rc)
		rc = emit(items, n, out, err);
	free(segs);
	free(items);
	return rc;
}
