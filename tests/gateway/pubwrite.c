/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a published state for the gateway's tests: reads one JSON array of objects per line from standard input, makes
 * each array one atomic change and answers with one line: a JSON array of the tokens that were asked for.
 *
 * usage: pubwrite DIR KEY_FILE */
#include "base/enc.h"
#include "published/published.h"
#include "published/router.h"
#include "sign/sign.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static struct arena *arena;
static struct sign_keyring *keys;
static struct pub_batch *batch;
static json_t *tokens;
static struct err err;

static void check(int rc)
{
	if (rc) {
		fprintf(stderr, "pubwrite: %s\n", err.text);
		exit(1);
	}
}

static struct str text(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	return json_is_string(v) ? (struct str){json_string_value(v), json_string_length(v)} : STR("");
}

static int64_t number(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static bool flag(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

static void put(const char *kind, struct str a, struct str b, struct str c, struct buf *value)
{
	char key[PUB_KEY_MAX + 1];

	check(value->failed);
	check(pub_put(batch, pub_key(key, kind, a, b, c), buf_view(value), &err));
	buf_reset(value);
}

static void put_host(const json_t *o, struct buf *b, bool by_default)
{
	struct pub_host host = {.group_id = text(o, "group_id"),
				.instance_id = text(o, "instance_id"),
				.debugging = flag(o, "debugging"),
				.redirect = flag(o, "redirect"),
				.verify_client = flag(o, "verify_client"),
				.by_ip = by_default};

	pub_host_encode(b, &host);
	put(by_default ? "default" : "host", by_default ? STR_NONE : text(o, "name"), STR_NONE, STR_NONE, b);
}

static void put_route(const json_t *o, struct buf *b)
{
	const json_t *list = json_object_get(o, "routes"), *item;
	struct router_route *routes = calloc(json_array_size(list) + 1, sizeof(*routes));
	size_t i;

	json_array_foreach(list, i, item) routes[i] = (struct router_route){.method = text(item, "method"),
									    .path = text(item, "path"),
									    .prefix = flag(item, "prefix"),
									    .api_id = text(item, "api_id")};
	check(router_compile(routes, json_array_size(list), b, &err));
	free(routes);
	put("route", text(o, "group_id"), text(o, "env"), STR_NONE, b);
}

static struct pub_param *read_params(const json_t *list, size_t *ret_n)
{
	struct pub_param *params = ARENA_ARRAY(arena, struct pub_param, json_array_size(list) + 1);
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o) params[i] =
		(struct pub_param){.name = text(o, "name"),
				   .location = (enum pub_location)number(o, "location"),
				   .number = flag(o, "number"),
				   .required = flag(o, "required"),
				   .validate = flag(o, "validate"),
				   .pass_through = flag(o, "pass_through"),
				   .has_min = text(o, "min").n > 0,
				   .has_max = text(o, "max").n > 0,
				   .min = text(o, "min"),
				   .max = text(o, "max"),
				   .min_len = number(o, "min_len"),
				   .max_len = number(o, "max_len"),
				   .regexp = text(o, "regexp"),
				   .enums = text(o, "enums"),
				   .def = text(o, "def")};
	*ret_n = json_array_size(list);
	return params;
}

static struct pub_backend_param *read_backend_params(const json_t *list, size_t *ret_n)
{
	struct pub_backend_param *params = ARENA_ARRAY(arena, struct pub_backend_param, json_array_size(list) + 1);
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o) params[i] =
		(struct pub_backend_param){.name = text(o, "name"),
					   .location = (enum pub_location)number(o, "location"),
					   .origin = (enum pub_origin)number(o, "origin"),
					   .value = text(o, "value"),
					   .from = (enum pub_location)number(o, "from")};
	*ret_n = json_array_size(list);
	return params;
}

static void put_api(const json_t *o, struct buf *b)
{
	struct pub_api api = {.id = text(o, "id"),
			      .name = text(o, "name"),
			      .group_id = text(o, "group_id"),
			      .env_id = text(o, "env_id"),
			      .env_name = text(o, "env_name"),
			      .instance_id = text(o, "instance_id"),
			      .project_id = text(o, "project_id"),
			      .app_id = text(o, "app_id"),
			      .version_id = text(o, "version_id"),
			      .auth = (enum pub_auth)number(o, "auth"),
			      .app_code = flag(o, "app_code"),
			      .cors = flag(o, "cors"),
			      .prefix = flag(o, "prefix"),
			      .protocols = (unsigned)number(o, "protocols"),
			      .method = text(o, "method"),
			      .path = text(o, "path"),
			      .backend = (enum pub_backend)number(o, "backend"),
			      .tls = flag(o, "tls"),
			      .tls_verify = flag(o, "tls_verify"),
			      .address = text(o, "address"),
			      .host_header = text(o, "host_header"),
			      .backend_method = text(o, "backend_method"),
			      .backend_path = text(o, "backend_path"),
			      .timeout_ms = number(o, "timeout_ms"),
			      .retries = number(o, "retries"),
			      .livedata_id = text(o, "livedata_id"),
			      .mock_body = text(o, "mock_body"),
			      .mock_status = number(o, "mock_status")};

	api.params = read_params(json_object_get(o, "params"), &api.n_params);
	api.backend_params = read_backend_params(json_object_get(o, "backend_params"), &api.n_backend_params);
	const json_t *headers = json_object_get(o, "mock_headers"), *item;
	size_t i;

	api.n_mock_headers = json_array_size(headers);
	api.mock_headers = ARENA_ARRAY(arena, struct pub_header, api.n_mock_headers + 1);
	json_array_foreach(headers, i, item) api.mock_headers[i] =
		(struct pub_header){text(item, "name"), text(item, "value")};
	pub_api_encode(b, &api);
	put("api", api.env_id, api.id, STR_NONE, b);
}

static void put_app(const json_t *o, struct buf *b)
{
	struct pub_app app = {.id = text(o, "id"),
			      .name = text(o, "name"),
			      .key = text(o, "key"),
			      .project_id = text(o, "project_id"),
			      .disabled = flag(o, "disabled"),
			      .sealed_secret = sign_seal(arena, keys, "app.secret", text(o, "secret"))};

	pub_app_encode(b, &app);
	put("app", app.id, STR_NONE, STR_NONE, b);
	buf_str(b, app.id);
	put("appkey", app.key, STR_NONE, STR_NONE, b);
}

static void put_cert(const json_t *o, struct buf *b)
{
	const json_t *list = json_object_get(o, "keys"), *item;
	struct pub_cert cert = {.min_version = (unsigned)number(o, "min_version"), .client_ca = text(o, "client_ca")};
	size_t i;

	cert.keys = ARENA_ARRAY(arena, struct pub_cert_key, json_array_size(list) + 1);
	cert.n_keys = json_array_size(list);
	json_array_foreach(list, i, item) cert.keys[i] =
		(struct pub_cert_key){text(item, "chain"),
				      sign_seal(arena, keys, "certificate.key", text(item, "key"))};
	pub_cert_encode(b, &cert);
	put("cert", text(o, "name"), STR_NONE, STR_NONE, b);
}

static void put_user(const json_t *o, struct buf *b)
{
	struct pub_user user = {.id = text(o, "id"),
				.name = text(o, "name"),
				.domain_id = text(o, "domain_id"),
				.disabled = flag(o, "disabled"),
				.tokens_after_ms = number(o, "tokens_after_ms")};

	pub_user_encode(b, &user);
	put("user", user.id, STR_NONE, STR_NONE, b);
}

static void put_ak(const json_t *o, struct buf *b)
{
	struct pub_ak ak = {.user_id = text(o, "user_id"),
			    .project_id = text(o, "project_id"),
			    .sealed_secret = sign_seal(arena, keys, "ak.secret", text(o, "secret"))};

	pub_ak_encode(b, &ak);
	put("ak", text(o, "access"), STR_NONE, STR_NONE, b);
}

static void make_token(const json_t *o)
{
	struct sign_token token = {.user_id = text(o, "user_id"),
				   .user_name = STR("u"),
				   .domain_id = STR("d"),
				   .domain_name = STR("d"),
				   .project_id = STR("p"),
				   .project_name = STR("p"),
				   .issued_ms = number(o, "issued_ms"),
				   .expires_ms = number(o, "expires_ms"),
				   .id = STR("t")};
	struct str s = sign_token_make(arena, keys, &token);

	json_array_append_new(tokens, json_stringn(s.p, s.n));
}

static void apply(const json_t *o, struct buf *b)
{
	struct str kind = text(o, "put");

	if (str_is(kind, "host"))
		put_host(o, b, false);
	else if (str_is(kind, "default"))
		put_host(o, b, true);
	else if (str_is(kind, "route"))
		put_route(o, b);
	else if (str_is(kind, "api"))
		put_api(o, b);
	else if (str_is(kind, "app"))
		put_app(o, b);
	else if (str_is(kind, "cert"))
		put_cert(o, b);
	else if (str_is(kind, "user"))
		put_user(o, b);
	else if (str_is(kind, "ak"))
		put_ak(o, b);
	else if (str_is(kind, "appcode"))
		buf_str(b, text(o, "app_id")),
			put("appcode", sign_sha256_hex(arena, text(o, "code")), STR_NONE, STR_NONE, b);
	else if (str_is(kind, "auth"))
		put("auth", text(o, "env_id"), text(o, "api_id"), text(o, "app_id"), b);
	else if (str_is(kind, "token"))
		make_token(o);
	else if (str_is(kind, "raw"))
		buf_str(b, text(o, "value")), check(pub_put(batch, text(o, "key"), buf_view(b), &err)), buf_reset(b);
	else
		check(pub_del(batch, text(o, "del"), &err));
}

int main(int argc, char **argv)
{
	struct pub *pub;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (argc != 3)
		return 2;
	check(pub_open(argv[1], (size_t)1 << 30, true, &pub, &err));
	check(sign_keyring_open(argv[2], true, &keys, &err));
	while ((n = getline(&line, &cap, stdin)) > 0) {
		json_t *list = json_loadb(line, (size_t)n, 0, NULL), *o;
		struct buf b;
		size_t i;

		if (!json_is_array(list))
			return 2;
		arena = arena_new((size_t)1 << 30);
		tokens = json_array();
		buf_init(&b, (size_t)64 << 20);
		check(pub_batch_begin(pub, &batch, &err));
		json_array_foreach(list, i, o) apply(o, &b);
		check(pub_batch_commit(&batch, &err));
		char *out = json_dumps(tokens, JSON_COMPACT);

		puts(out);
		fflush(stdout);
		free(out);
		buf_done(&b);
		json_decref(tokens);
		json_decref(list);
		arena_free(arena);
	}
	free(line);
	sign_keyring_free(keys);
	pub_close(pub);
	return 0;
}
