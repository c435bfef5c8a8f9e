/* SPDX-License-Identifier: Apache-2.0 */
#include "published/router.h"

#include "published/router_priv.h"

struct node {
	uint32_t n_children, children, param, tables[3];
};

enum { WHOLE, GREEDY, PREFIX };

/* One match under way. starts[i] is where segment i begins; one more entry, path.n + 1, ends the last. */
struct walk {
	struct str value, method, path;
	size_t starts[ROUTER_MAX_SEGMENTS + 2];
	size_t n_segments; /* one more than the longest route's: the last one holds the rest */
	size_t visits;
	uint32_t best; /* leaf of the best prefix or {x+} so far */
	size_t best_depth;
	bool best_greedy, path_seen;
};

static uint32_t le32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return le32toh(v);
}

static uint64_t le64(const char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return le64toh(v);
}

/* n bytes of the value at off, or NULL. */
static const char *at(const struct walk *w, uint32_t off, uint64_t n)
{
	return off <= w->value.n && n <= w->value.n - off ? w->value.p + off : NULL;
}

/* STR_NONE when outside. */
static struct str text_at(const struct walk *w, uint32_t off, uint32_t n)
{
	const char *p = at(w, off, n);

	return p ? (struct str){p, n} : STR_NONE;
}

static bool node_at(const struct walk *w, uint32_t off, struct node *ret)
{
	const char *p = off ? at(w, off, ROUTER_NODE_SIZE) : NULL;

	if (!p)
		return false;
	*ret = (struct node){le32(p), le32(p + 4), le32(p + 8), {le32(p + 12), le32(p + 16), le32(p + 20)}};
	return true;
}

static struct str segment(const struct walk *w, size_t i)
{
	return str_sub(w->path, w->starts[i], w->starts[i + 1] - 1);
}

static void split(struct walk *w, size_t max)
{
	size_t pos = 1, n = 0;

	while (n <= max) {
		w->starts[n++] = pos;
		const char *slash = n <= max ? memchr(w->path.p + pos, '/', w->path.n - pos) : NULL;

		if (!slash)
			break;
		pos = (size_t)(slash - w->path.p) + 1;
	}
	w->starts[n] = w->path.n + 1;
	w->n_segments = n;
}

static int child_cmp(const struct walk *w, const char *child, uint64_t key, struct str seg)
{
	uint64_t k = le64(child);
	uint32_t n = le32(child + 8);

	if (k != key)
		return k < key ? -1 : 1;
	if (n != seg.n)
		return n < seg.n ? -1 : 1;
	if (n <= 8)
		return 0;
	struct str text = text_at(w, le32(child + 12), n);

	return text.p ? memcmp(text.p, seg.p, n) : 1;
}

/* Node of the literal child with this name, or 0. Keys are spread evenly, so the search begins where the key would be,
 * goes on from there in growing steps, and halves what is left: with many children it is the places in memory that
 * cost. */
static uint32_t literal_child(const struct walk *w, const struct node *node, struct str seg)
{
	const char *children = at(w, node->children, (uint64_t)node->n_children * ROUTER_CHILD_SIZE);
	uint64_t key = router__key(seg);
	size_t lo = 0, hi = children ? node->n_children : 0, step = 1;
	size_t mid = (size_t)((unsigned __int128)key * hi >> 64);
	bool below = false, above = false;

	while (lo < hi) {
		const char *child = children + mid * ROUTER_CHILD_SIZE;
		int d = child_cmp(w, child, key, seg);

		if (d == 0)
			return le32(child + 16);
		if (d < 0) {
			lo = mid + 1;
			below = true;
		} else {
			hi = mid;
			above = true;
		}
		if (below && above)
			mid = lo + (hi - lo) / 2;
		else if (below)
			mid = step < hi - lo ? lo + step - 1 : hi - 1;
		else
			mid = step < hi - lo ? hi - step : lo;
		step *= 2;
	}
	return 0;
}

/* Leaf for the request's method in a table, or 0. */
static uint32_t find_method(struct walk *w, uint32_t table)
{
	const char *head = table ? at(w, table, 4) : NULL;
	uint32_t n = head ? le32(head) : 0, any = 0;
	const char *entries = n && n <= ROUTER_MAX_METHODS ? at(w, table, 4 + (uint64_t)n * ROUTER_ENTRY_SIZE) : NULL;

	if (!entries)
		return 0;
	w->path_seen = true;
	for (size_t i = 0; i < n; i++) {
		const char *e = entries + 4 + i * ROUTER_ENTRY_SIZE;
		uint32_t len = le32(e);

		if (len == 0) {
			any = le32(e + 8);
			continue;
		}
		struct str name = len == w->method.n ? text_at(w, le32(e + 4), len) : STR_NONE;

		if (name.p && str_eq(name, w->method))
			return le32(e + 8);
	}
	return any;
}

/* The first node seen at a depth has the leftmost literal: only a deeper one is better. */
static void note_prefix(struct walk *w, const struct node *node, size_t depth)
{
	if (w->best && depth <= w->best_depth)
		return;
	bool rest = depth < w->n_segments && w->starts[depth] < w->path.n;
	uint32_t leaf = rest ? find_method(w, node->tables[GREEDY]) : 0;
	bool greedy = leaf != 0;

	if (!leaf)
		leaf = find_method(w, node->tables[PREFIX]);
	if (!leaf)
		return;
	w->best = leaf;
	w->best_depth = depth;
	w->best_greedy = greedy;
}

/* Depth first, literals before parameters, so the first whole match is the best. Each step down to a literal leaves at
 * most one parameter to come back to, and those left are of growing depth. Returns the leaf of a whole match, or 0. */
static uint32_t descend(struct walk *w, uint32_t off)
{
	struct {
		uint32_t node;
		uint32_t depth;
	} left[ROUTER_MAX_SEGMENTS + 1];
	size_t n_left = 0;
	uint32_t depth = 0;
	struct node node;

	for (;;) {
		uint32_t literal = 0, param = 0;

		if (node_at(w, off, &node) && w->visits++ < ROUTER_MAX_VISITS) {
			note_prefix(w, &node, depth);
			if (depth == w->n_segments) {
				uint32_t leaf = find_method(w, node.tables[WHOLE]);

				if (leaf)
					return leaf;
			} else if (depth < ROUTER_MAX_SEGMENTS) {
				struct str seg = segment(w, depth);

				literal = node.n_children ? literal_child(w, &node, seg) : 0;
				param = seg.n ? node.param : 0;
			}
		}
		if (literal && param) {
			left[n_left].node = param;
			left[n_left++].depth = depth + 1;
		}
		if (literal || param) {
			off = literal ? literal : param;
			depth++;
		} else if (n_left && w->visits < ROUTER_MAX_VISITS) {
			off = left[--n_left].node;
			depth = left[n_left].depth;
		} else {
			return 0;
		}
	}
}

static bool fill(const struct walk *w, uint32_t leaf, struct router_match *m)
{
	const char *p = at(w, leaf, 12);

	if (!p)
		return false;
	m->api_id = text_at(w, le32(p + 4), le32(p));
	m->n_params = le32(p + 8);
	m->tail = STR("");
	if (!m->api_id.p || m->n_params > ROUTER_MAX_PARAMS || !at(w, leaf, 12 + m->n_params * 12))
		return false;
	p += 12;
	for (size_t i = 0; i < m->n_params; i++, p += 12) {
		uint32_t where = le32(p), i_segment = where & ~ROUTER_REST;

		m->params[i].name = text_at(w, le32(p + 8), le32(p + 4));
		if (!m->params[i].name.p || i_segment >= w->n_segments)
			return false;
		m->params[i].value =
			where & ROUTER_REST ? str_sub(w->path, w->starts[i_segment], w->path.n) : segment(w, i_segment);
	}
	return true;
}

enum router_result router_match(struct str value, struct str method, struct str path, struct router_match *ret)
{
	struct router_match m;
	struct walk w;

	/* One by one: clearing starts[] would take longer than many a match. */
	w.value = value;
	w.method = method;
	w.path = path;
	w.visits = w.best_depth = 0;
	w.best = 0;
	w.best_greedy = w.path_seen = false;
	const char *head = at(&w, 0, ROUTER_HEADER_SIZE);

	if (!head || !path.n || path.p[0] != '/' || le32(head) != ROUTER_MAGIC)
		return ROUTER_NO_PATH;
	uint32_t max = le32(head + 4);

	if (max > ROUTER_MAX_SEGMENTS)
		return ROUTER_NO_PATH;
	split(&w, max);
	uint32_t leaf = descend(&w, le32(head + 8));
	bool whole = leaf != 0;

	if (!whole)
		leaf = w.best;
	if (!leaf)
		return w.path_seen ? ROUTER_NO_METHOD : ROUTER_NO_PATH;
	if (!fill(&w, leaf, &m))
		return ROUTER_NO_PATH;
	if (!whole && !w.best_greedy && w.best_depth < w.n_segments)
		m.tail = str_sub(path, w.starts[w.best_depth] - 1, path.n);
	ret->api_id = m.api_id;
	ret->tail = m.tail;
	ret->n_params = m.n_params;
	memcpy(ret->params, m.params, m.n_params * sizeof(m.params[0]));
	return ROUTER_FOUND;
}
