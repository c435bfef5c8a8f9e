/* SPDX-License-Identifier: Apache-2.0 */
#include "api/route.h"

#include <stdio.h>

static bool split(struct str path, struct api_route *route)
{
	if (path.n == 0 || path.p[0] != '/')
		return false;
	path = str_sub(path, 1, path.n);
	if (path.n && path.p[path.n - 1] == '/')
		path.n--;
	if (path.n == 0)
		return true;
	while (path.p) {
		if (route->n_segments == API_MAX_SEGMENTS)
			return false;
		route->segments[route->n_segments++] = str_cut(&path, '/');
	}
	return true;
}

/* Picks the operation of the method at a node; collects what is allowed. */
static bool pick(const struct api_tables *tables, const struct api_node *node, struct str method,
                 struct api_route *route)
{
	size_t n = strlen(route->allow);

	for (uint32_t i = node->first_op; i != UINT32_MAX; i = tables->node_ops[i].next) {
		const struct api_op *op = &tables->ops[tables->node_ops[i].op];

		if (str_is(method, op->method) || (str_is(method, "HEAD") && strcmp(op->method, "GET") == 0)) {
			route->op = tables->node_ops[i].op;
			return true;
		}
		if (!strstr(route->allow, op->method))
			n += (size_t)snprintf(route->allow + n, sizeof(route->allow) - n, "%s%s", n ? ", " : "",
					      op->method);
		route->path_exists = true;
	}
	return false;
}

/* Depth is bounded by the number of segments. */
static bool descend(const struct api_tables *tables, uint32_t at, size_t depth, struct str method,
                    struct api_route *route)
{
	const struct api_node *node = &tables->nodes[at];

	if (depth == route->n_segments)
		return pick(tables, node, method, route);
	for (uint32_t i = node->first_child; i; i = tables->nodes[i].next_sibling) {
		const struct api_node *child = &tables->nodes[i];
		struct str segment = route->segments[depth];

		if (child->segment ? str_is(segment, child->segment) : segment.n > 0)
			if (descend(tables, i, depth + 1, method, route))
				return true;
	}
	return false;
}

void api_route(const struct api_tables *tables, struct str method, struct str path, struct api_route *ret)
{
	*ret = (struct api_route){.op = -1};
	if (split(path, ret))
		descend(tables, 0, 0, method, ret);
}
