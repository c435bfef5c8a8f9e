/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/answer.h"
#include "policy/request.h"
#include "policy/uri.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The input is a request target: path, '?', query. What passes must be a fixed point without dot segments. */
static void fuzz_path(struct arena *a, struct str path)
{
	struct err err;
	struct str once, twice;

	policy_path_has_dots(path);
	if (policy_path_canonical(a, path, true, &once, &err) == 0 && policy_path_has_dots(once))
		abort();
	if (policy_path_canonical(a, path, false, &once, &err))
		return;
	if (policy_path_has_dots(policy_path_encode(a, once)))
		abort();
	if (policy_path_canonical(a, policy_path_encode(a, once), false, &twice, &err) || !str_eq(once, twice))
		abort();
}

static void fuzz_map(struct arena *a, struct str path, struct str query)
{
	struct sign_pair headers[] = {{STR("h"), path}}, params[] = {{STR("p"), path}};
	struct pub_param declared[] = {
		{.name = STR("a"),
		 .location = PUB_QUERY,
		 .number = true,
		 .validate = true,
		 .has_min = true,
		 .min = STR("-3.5")},
		{.name = STR("b"), .location = PUB_QUERY, .validate = true, .max_len = 9, .regexp = STR("^[a-z]*$")}};
	struct pub_backend_param back[] = {
		{.name = STR("p"), .location = PUB_PATH, .origin = PUB_REQUEST, .value = STR("p"), .from = PUB_PATH},
		{.name = STR("x"), .location = PUB_HEADER, .origin = PUB_REQUEST, .value = STR("a"), .from = PUB_QUERY},
		{.name = STR("y"),
		 .location = PUB_QUERY,
		 .origin = PUB_REQUEST,
		 .value = STR("h"),
		 .from = PUB_HEADER}};
	struct pub_api api = {.path = STR("/{p+}"),
			      .backend_path = STR("/x/{p}/y"),
			      .params = declared,
			      .n_params = 2,
			      .backend_params = back,
			      .n_backend_params = 3};
	struct policy_request req = {.method = STR("GET"),
				     .path = path,
				     .query = query,
				     .headers = headers,
				     .n_headers = 1,
				     .path_params = params,
				     .n_path_params = 1};
	struct policy_regexps *regexps = policy_regexps_new(4);
	struct policy_target target;
	struct err err;

	policy_params_check(a, regexps, &api, &req, &err);
	if (policy_map(a, &api, &req, &target, &err) == 0) {
		for (size_t i = 0; i < target.path.n; i++) {
			if ((unsigned char)target.path.p[i] <= ' ' || target.path.p[i] == '?' ||
			    target.path.p[i] == '#')
				abort();
		}
		for (size_t i = 0; i < target.n_headers; i++) {
			if (memchr(target.headers[i].value.p, '\n', target.headers[i].value.n))
				abort();
		}
	}
	policy_regexps_free(regexps);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new(16 << 20);
	struct str all = {(const char *)data, size};
	struct str path = str_sub(all, 0, str_find(all, '?', 0));
	struct str query = path.n < size ? str_sub(all, path.n + 1, size) : STR("");
	struct err err;
	struct str host;
	unsigned port;

	if (size > 65536)
		return 0;
	fuzz_path(a, path);
	fuzz_map(a, path, query);
	policy_address_split(all, true, &host, &port);
	err_set_text(&err, ERR_APIG_0303, "%.*s", STR_FMT(query));
	policy_error_body(a, &err, path);
	arena_free(a);
	return 0;
}
