/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "published/published.h"
#include "published/router.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Prints what compiling and matching cost at several group sizes. Usage: bench_router */

enum { PATH = 96, MATCHES = 1000000 };

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Routes as people write them: a version, a resource, ids, sub-resources; some are prefixes. */
static void make(size_t i, char *path, char *request)
{
	static const char *sub[] = {"", "/{id}", "/{id}/details", "/{id}/items/{item_id}"};
	static const char *asked[] = {"", "/77b6a44cba5143ab91d13ab9a8ff44fd",
				      "/77b6a44cba5143ab91d13ab9a8ff44fd/details",
				      "/77b6a44cba5143ab91d13ab9a8ff44fd/items/42"};

	snprintf(path, PATH, "/v1/resource-%zu%s", i / 4, sub[i % 4]);
	snprintf(request, PATH, "/v1/resource-%zu%s", i / 4, asked[i % 4]);
}

static void run(size_t n)
{
	struct router_route *routes = mem_zalloc(n * sizeof(*routes));
	char *paths = mem_alloc(n * PATH), *requests = mem_alloc(n * PATH);
	struct str *asks = mem_alloc(n * sizeof(*asks));
	struct router_match m;
	struct buf value;
	size_t found = 0, k = 0;

	for (size_t i = 0; i < n; i++) {
		make(i, paths + i * PATH, requests + i * PATH);
		routes[i] = (struct router_route){STR("GET"), str_of(paths + i * PATH), i % 40 == 0,
						  STR("0123456789abcdef0123456789abcdef")};
		asks[i] = str_of(requests + i * PATH);
	}
	buf_init(&value, 1 << 28);
	double t0 = now();
	int rc = router_compile(routes, n, &value, NULL);
	double t1 = now();

	for (size_t i = 0; i < MATCHES && !rc; i++) {
		k = (k + 7919) % n; /* all over the trie, not one warm path */
		found += router_match(buf_view(&value), STR("GET"), asks[k], &m) == ROUTER_FOUND;
	}
	double t2 = now();

	for (size_t i = 0; i < MATCHES && !rc; i++)
		router_match(buf_view(&value), STR("GET"), STR("/v1/no-such-resource/1/2"), &m);
	double t3 = now();

	printf("%7zu routes: compile %8.2f ms, %9zu bytes, match %6.0f ns, miss %6.0f ns%s\n", n, (t1 - t0) * 1e3,
	       value.n, (t2 - t1) / MATCHES * 1e9, (t3 - t2) / MATCHES * 1e9,
	       found == MATCHES ? "" : " (not all found!)");
	buf_done(&value);
	free(asks);
	free(requests);
	free(paths);
	free(routes);
}

int main(void)
{
	static const size_t sizes[] = {10, 100, 1000, 10000, 100000};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		run(sizes[i]);
	return 0;
}
