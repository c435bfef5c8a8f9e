/* SPDX-License-Identifier: Apache-2.0 */
#include "api/credentials.h"

#include "model/iam/authenticate.h"

#define PROJECT_ID_LEN 32

/* Second segment of /v1/... and /v2/..., when it looks like a project. */
static struct str path_project(struct str path)
{
	struct str rest = path;

	str_cut(&rest, '/');
	struct str version = rest.p ? str_cut(&rest, '/') : STR_NONE;
	struct str second = rest.p ? str_cut(&rest, '/') : STR_NONE;

	if (second.n != PROJECT_ID_LEN || !(str_is(version, "v1") || str_is(version, "v2") || str_is(version, "v1.0")))
		return STR_NONE;
	return second;
}

static struct str body_hash(const struct httpd_request *req, const struct sign_request *sign)
{
	if (!sign_needs_body(sign))
		return STR_NONE;
	return req->body.n ? sign_sha256_hex(req->arena, req->body) : SIGN_EMPTY_BODY;
}

int api_authenticate(struct model *m, const struct httpd_request *req, struct identity *ret)
{
	struct sign_pair *headers = ARENA_ARRAY(req->arena, struct sign_pair, req->n_headers + 1);
	struct iam_credentials c = {
		.token = httpd_header(req, "X-Auth-Token"),
		.authorization = httpd_header(req, "Authorization"),
		.security_token = httpd_header(req, "X-Security-Token"),
		.project_id = httpd_header(req, "X-Project-Id"),
		.domain_id = httpd_header(req, "X-Domain-Id"),
		.path_project_id = path_project(req->target),
		.request = {.method = req->method,
			    .path = req->target,
			    .query = req->query,
			    .headers = headers,
			    .n_headers = req->n_headers},
	};

	for (size_t i = 0; i < req->n_headers; i++)
		headers[i] = (struct sign_pair){req->headers[i].name, req->headers[i].value};
	if (c.authorization.p)
		c.request.body_sha256 = body_hash(req, &c.request);
	return iam_authenticate(m, &c, ret);
}
