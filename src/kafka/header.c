/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/header.h"

#include "kafka/error.h"
#include "kafka_msg.h"

const struct kafka_api *kafka_api_of(int key)
{
	if (key < 0 || key > KAFKA_API_KEY_MAX || !kafka_api_index[key])
		return NULL;
	return &kafka_apis[kafka_api_index[key] - 1];
}

/* Headers have no tagged fields that we know. */
static int skip_tags(struct cursor *c)
{
	uint32_t n = kafka_get_uvarint(c);
	int64_t last = -1;

	for (uint32_t i = 0; i < n && !c->failed; i++) {
		uint32_t tag = kafka_get_uvarint(c);

		cursor_bytes(c, kafka_get_uvarint(c));
		if (!c->failed && tag <= last)
			return KAFKA_WIRE_MALFORMED;
		last = tag;
	}
	return 0;
}

int kafka_request_header_decode(struct str frame, struct kafka_request_header *ret, struct str *ret_body)
{
	struct cursor c = cursor_of(frame);
	struct kafka_request_header h = {.key = (int16_t)kafka_get16(&c)};
	int code = 0;

	h.version = (int16_t)kafka_get16(&c);
	h.correlation = (int32_t)kafka_get32(&c);
	h.api = kafka_api_of(h.key);
	if (!h.api)
		h.verdict = KAFKA_HEADER_KEY;
	else if (h.version < h.api->codec_min || h.version > h.api->codec_max)
		h.verdict = KAFKA_HEADER_VERSION;
	/* Header 0, without client id, is for ControlledShutdown 0 between brokers: no API of ours. The client id stays
	 * a classic string in header 2, so that a server can read it whatever the version. */
	if (h.verdict == KAFKA_HEADER_OK) {
		h.client_id = kafka_get_str(&c);
		if (h.version >= h.api->flexible)
			code = skip_tags(&c);
	}
	if (c.failed || code)
		return code ? code : KAFKA_WIRE_TRUNCATED;
	*ret = h;
	*ret_body = h.verdict == KAFKA_HEADER_OK ? (struct str){(const char *)c.p, cursor_left(&c)} : STR("");
	return 0;
}

int kafka_response_header_decode(const struct kafka_api *api, int version, struct str frame, int32_t *ret_correlation,
				 struct str *ret_body)
{
	struct cursor c = cursor_of(frame);
	int32_t correlation = (int32_t)kafka_get32(&c);
	int code = 0;

	if (version >= api->flexible && api->key != KAFKA_API_API_VERSIONS)
		code = skip_tags(&c);
	if (c.failed || code)
		return code ? code : KAFKA_WIRE_TRUNCATED;
	*ret_correlation = correlation;
	*ret_body = (struct str){(const char *)c.p, cursor_left(&c)};
	return 0;
}

/* Sets the length that the frame starting at start announces. */
static int finish_frame(struct buf *out, size_t start, size_t extra)
{
	size_t n = out->n - start - 4 + extra;

	if (out->failed)
		return KAFKA_WIRE_MEMORY;
	if (n > INT32_MAX) {
		out->failed = true;
		return KAFKA_WIRE_TOO_LONG;
	}
	kafka_store32(out->p + start, (uint32_t)n);
	return 0;
}

int kafka_request_encode(const struct kafka_api *api, int version, int32_t correlation, struct str client_id,
			 const void *req, struct buf *out)
{
	size_t start = out->n;

	kafka_put32(out, 0);
	kafka_put16(out, (uint16_t)api->key);
	kafka_put16(out, (uint16_t)version);
	kafka_put32(out, (uint32_t)correlation);
	if (client_id.n > INT16_MAX)
		client_id.n = INT16_MAX;
	kafka_put16(out, client_id.p ? (uint16_t)client_id.n : (uint16_t)-1);
	buf_str(out, client_id);
	if (version >= api->flexible)
		kafka_put8(out, 0);
	int code = kafka_encode(api->request, version, req, out, NULL);

	return code ? code : finish_frame(out, start, 0);
}

int kafka_response_encode(const struct kafka_api *api, int version, int32_t correlation, const void *res,
			  struct buf *out, struct kafka_gather *gather)
{
	size_t start = out->n;

	kafka_put32(out, 0);
	kafka_put32(out, (uint32_t)correlation);
	/* A client that does not know our version yet must be able to read this one. */
	if (version >= api->flexible && api->key != KAFKA_API_API_VERSIONS)
		kafka_put8(out, 0);
	int code = kafka_encode(api->response, version, res, out, gather);

	return code ? code : finish_frame(out, start, gather ? gather->bytes : 0);
}

static void fill_row(struct kafka_api_versions_res_api_key *row, const struct kafka_api *api)
{
	row->api_key = api->key;
	row->min_version = api->min;
	row->max_version = api->max;
}

void kafka_response_throttle(const struct kafka_api *api, int32_t ms, void *res)
{
	const struct kafka_schema *s = api->response;

	for (unsigned i = 0; i < s->plain; i++)
		if (s->fields[i].type == KAFKA_TYPE_INT32 && strcmp(s->fields[i].name, "throttle_time_ms") == 0)
			memcpy((char *)res + s->fields[i].offset, &ms, sizeof(ms));
}

int kafka_api_versions_refuse(int32_t correlation, struct buf *out)
{
	const struct kafka_api *api = kafka_api_of(KAFKA_API_API_VERSIONS);
	struct kafka_api_versions_res_api_key row = {0};
	struct kafka_api_versions_res res;

	kafka_init(&kafka_api_versions_res_schema, &res);
	fill_row(&row, api);
	res.error_code = KAFKA_ERR_UNSUPPORTED_VERSION;
	res.api_keys.v = &row;
	res.api_keys.n = 1;
	return kafka_response_encode(api, 0, correlation, &res, out, NULL);
}

void kafka_api_versions_fill(struct kafka_api_versions_res *res, struct arena *arena,
			     bool (*offered)(int key, void *arg), void *arg)
{
	res->api_keys.v = KAFKA_ARRAY(arena, kafka_api_versions_res_api_key, KAFKA_API_COUNT);
	res->api_keys.n = 0;
	for (unsigned i = 0; i < KAFKA_API_COUNT; i++)
		if (!offered || offered(kafka_apis[i].key, arg))
			fill_row(&res->api_keys.v[res->api_keys.n++], &kafka_apis[i]);
}
