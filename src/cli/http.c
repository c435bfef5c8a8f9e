/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/http.h"

#include "base/clock.h"
#include "base/mem.h"
#include "sign/sign.h"

#include <time.h>

#define TIMEOUT_MS 330000 /* a little more than the front door grants */

/* The host and port of a URL: what the Host header will say. */
static struct str host_of(struct str url)
{
	size_t at = str_find(url, '/', 0);

	if (at + 2 > url.n || url.p[at + 1] != '/')
		return STR_NONE;
	struct str host = str_sub(url, at + 2, url.n);

	return str_sub(host, 0, str_find(host, '/', 0));
}

static struct str signature(const struct cli_profile *profile, struct str method, struct str target, struct str body,
                            const struct net_header *headers, size_t n, struct arena *a)
{
	struct sign_pair pairs[8];
	struct str query = target, path = str_cut(&query, '?');

	for (size_t i = 0; i < n; i++)
		pairs[i] = (struct sign_pair){headers[i].name, headers[i].value};
	struct sign_request req = {
		.method = method,
		.path = path,
		.query = query,
		.headers = pairs,
		.n_headers = n,
		.body_sha256 = sign_sha256_hex(a, body.p ? body : STR("")),
	};

	return sign_make(a, &req, profile->access_key, profile->secret_key);
}

int cli_http(const struct cli_profile *profile, struct str method, struct str target, struct str body, struct arena *a,
             struct net_reply *ret, struct err *err)
{
	struct net_header headers[8];
	char date[32];
	size_t n = 0;
	time_t now = (time_t)(clock_now_ms() / 1000);
	struct tm tm;

	if (!host_of(profile->management_url).n)
		return err_set_text(err, ERR_APPIA_0400, "the profile has no management_url");
	headers[n++] = (struct net_header){STR("Host"), host_of(profile->management_url)};
	if (profile->token.n) {
		headers[n++] = (struct net_header){STR("X-Auth-Token"), profile->token};
	} else if (profile->access_key.n) {
		strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
		headers[n++] = (struct net_header){STR("X-Sdk-Date"), str_of(date)};
		if (profile->project_id.n)
			headers[n++] = (struct net_header){STR("X-Project-Id"), profile->project_id};
		struct str value = signature(profile, method, target, body, headers, n, a);

		headers[n++] = (struct net_header){STR("Authorization"), value};
	}
	if (body.p)
		headers[n++] = (struct net_header){STR("Content-Type"), STR("application/json")};
	struct net_request req = {
		.method = method,
		.url = arena_fmt(a, "%.*s%.*s", STR_FMT(profile->management_url), STR_FMT(target)),
		.headers = headers,
		.n_headers = n,
		.body = body,
		.timeout_ms = TIMEOUT_MS,
		.max_reply_bytes = (size_t)64 << 20,
		.ca_file = profile->ca_file.n ? arena_cstr(a, profile->ca_file) : NULL,
	};

	return net_call(&req, a, ret, err);
}
