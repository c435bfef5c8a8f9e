/* SPDX-License-Identifier: Apache-2.0 */
#ifndef POLICY_REQUEST_H
#define POLICY_REQUEST_H

#include "base/arena.h"
#include "base/err.h"
#include "published/published.h"
#include "sign/sign.h"

/* What an API does to a request: checks its declared parameters and builds the request for the back end. */

/* Values of system parameters; STR_NONE: not known. */
struct policy_context {
	struct str source_ip, stage, api_id, app_id, request_id, server_addr, server_name, handle_time, provider_app_id,
		api_name, app_name, req_path, req_uri, req_method;
};

/* The value of "$context.sourceIp" and its like, or STR_NONE. Any thread. */
struct str policy_context_get(const struct policy_context *context, struct str name);

struct policy_request {
	struct str method;
	struct str path; /* canonical */
	bool raw_path; /* path keeps its escapes */
	struct str query; /* as received, without '?' */
	struct str tail; /* match mode SWA: what follows the prefix */
	const struct sign_pair *headers;
	size_t n_headers;
	const struct sign_pair *path_params;
	size_t n_path_params;
	struct policy_context context;
};

/* Compiled regular expressions of parameter declarations, by their text; bounded. One thread. */
struct policy_regexps;
struct policy_regexps *policy_regexps_new(size_t max);
void policy_regexps_free(struct policy_regexps *regexps);

/* 1: subject matches somewhere; 0: it does not, or matching takes too long; -1: the pattern is not valid PCRE2. */
int policy_regexp_match(struct policy_regexps *regexps, struct str pattern, struct str subject);

/* Checks the declared parameters: required ones are there; where validation is on, NUMBER is a decimal within its
 * bounds (compared as text, exactly), STRING has a length (in code points) within its bounds, and both are one of the
 * enumerated values and match the regular expression. Every value of a repeated parameter is checked. APIG.0201 (400)
 * names the parameter; APIG.0606 when the declaration is broken. */
int policy_params_check(struct arena *a, struct policy_regexps *regexps, const struct pub_api *api,
			const struct policy_request *req, struct err *err);

struct policy_target {
	struct str method;
	struct str path; /* percent-encoded */
	struct str query; /* without '?'; empty when there is none */
	const struct sign_pair *headers; /* to be added */
	size_t n_headers;
	const bool *drop; /* per header of the request: not to be forwarded; NULL: drop none */
};

/* The request for the back end. Parameters the API does not declare pass through. Declared ones are forwarded only
 * where a back-end parameter takes them, or under their own name when pass_through is set; an absent one counts as its
 * default. A client cannot set a back-end parameter directly: what it sends under that name is dropped. "{x}" in the
 * back-end path is a back-end parameter of location PATH or else the path parameter of the front end. Values that would
 * break out of their place (control bytes in headers, dot segments in the path) are refused with APIG.0201. */
int policy_map(struct arena *a, const struct pub_api *api, const struct policy_request *req, struct policy_target *ret,
	       struct err *err);

/* How often a failed call may be repeated: retries is that of the API, -1..10; -1 means once for all but POST and
 * PATCH. */
unsigned policy_retries(struct str method, int64_t retries);

/* True for headers that belong to one connection or frame the message (RFC 9110 section 7.6.1), so that neither clients
 * nor mappings may set them at the back end. */
bool policy_header_hop(struct str name);

#endif
