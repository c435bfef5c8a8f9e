/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KAFKA_HEADER_H
#define KAFKA_HEADER_H

#include "kafka/wire.h"

/* Request and response headers (KIP-482: request header 1 or 2, response header 0 or 1; KIP-511: the answer to
 * ApiVersions always has response header 0). A frame is an int32 length and so many bytes. Any thread. */

enum kafka_header_verdict {
	KAFKA_HEADER_OK,
	KAFKA_HEADER_KEY,     /* no such API: close the connection */
	KAFKA_HEADER_VERSION, /* the API has no such version: ApiVersions is answered with kafka_api_versions_refuse(),
	                       * for all others the connection is closed */
};

struct kafka_request_header {
	enum kafka_header_verdict verdict;
	int16_t key, version;
	int32_t correlation;
	struct str client_id;        /* STR_NONE: null. Points into the frame */
	const struct kafka_api *api; /* NULL when the verdict is KAFKA_HEADER_KEY */
};

/* The API of a key, or NULL. */
const struct kafka_api *kafka_api_of(int key);

/* Reads the header of a request; frame is what follows the length. With another verdict than OK only key, version,
 * correlation and api are set, and *ret_body is empty. A version counts as known when it can be decoded, offered or
 * not. Returns 0 or KAFKA_WIRE_TRUNCATED or KAFKA_WIRE_MALFORMED. */
int kafka_request_header_decode(struct str frame, struct kafka_request_header *ret, struct str *ret_body);

/* For clients: a whole request with its length. */
int kafka_request_encode(const struct kafka_api *api, int version, int32_t correlation, struct str client_id,
	const void *req, struct buf *out);

/* For clients: reads the header of a response to a request of api and version. */
int kafka_response_header_decode(const struct kafka_api *api, int version, struct str frame, int32_t *ret_correlation,
	struct str *ret_body);

/* Appends a whole response with its length: the length counts what gather left out. Start gather with n = bytes = 0
 * per response; its places count from the beginning of out. gather may be NULL. */
int kafka_response_encode(const struct kafka_api *api, int version, int32_t correlation, const void *res,
	struct buf *out, struct kafka_gather *gather);

/* Sets throttle_time_ms in a response struct of the API; nothing where it has none. */
void kafka_response_throttle(const struct kafka_api *api, int32_t ms, void *res);

/* Appends the answer to an ApiVersions request of a version we lack: a body of version 0 with error 35 and the range of
 * ApiVersions itself, so the client can ask again (KIP-511). */
int kafka_api_versions_refuse(int32_t correlation, struct buf *out);

/* Fills api_keys of the answer to ApiVersions with all APIs that offered(key, arg) says yes to; offered may be NULL for
 * all. */
struct kafka_api_versions_res;
void kafka_api_versions_fill(struct kafka_api_versions_res *res, struct arena *arena,
	bool (*offered)(int key, void *arg), void *arg);

#endif
