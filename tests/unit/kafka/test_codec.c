/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/error.h"
#include "kafka/header.h"
#include "kafka_msg.h"
#include "random_msg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

enum { ARENA_MAX = 4 << 20, ROUNDS = 12 };

typedef void message_f(const struct kafka_schema *schema, int version);

/* Runs fn for every message in every version. */
static void each_message(message_f *fn)
{
	static const struct kafka_schema *const others[] = {&kafka_consumer_protocol_subscription_schema,
		&kafka_consumer_protocol_assignment_schema, &kafka_end_txn_marker_schema};

	for (unsigned i = 0; i < KAFKA_API_COUNT; i++)
		for (int v = kafka_apis[i].codec_min; v <= kafka_apis[i].codec_max; v++) {
			fn(kafka_apis[i].request, v);
			fn(kafka_apis[i].response, v);
		}
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		for (int v = others[i]->min; v <= others[i]->max; v++)
			fn(others[i], v);
}

/* The bytes of a random message, in memory of exactly that size so that the sanitizer sees each step too far. */
static struct str encode_random(const struct kafka_schema *schema, int version, struct arena *arena, void **ret_msg)
{
	struct buf out;
	void *msg = kafka_new(arena, schema);

	random_struct(schema, version, arena, msg);
	buf_init(&out, ARENA_MAX);
	assert_int_equal(kafka_encode(schema, version, msg, &out, NULL), 0);
	char *p = malloc(out.n ? out.n : 1);

	memcpy(p, out.p ? out.p : "", out.n);
	struct str bytes = {p, out.n};

	buf_done(&out);
	*ret_msg = msg;
	return bytes;
}

static void check_round_trip(const struct kafka_schema *schema, int version)
{
	for (int round = 0; round < ROUNDS; round++) {
		struct arena *arena = arena_new(ARENA_MAX);
		struct buf again;
		void *msg, *got = arena_alloc(arena, schema->size);
		struct str bytes = encode_random(schema, version, arena, &msg);

		assert_true(bytes.n >= schema->min_size[version]);
		assert_int_equal(kafka_decode(schema, version, bytes, arena, got), 0);
		assert_true(same_struct(schema, msg, got));
		buf_init(&again, ARENA_MAX);
		assert_int_equal(kafka_encode(schema, version, got, &again, NULL), 0);
		assert_true(str_eq(buf_view(&again), bytes));
		buf_done(&again);
		free((void *)(uintptr_t)bytes.p);
		arena_free(arena);
	}
}

static void test_round_trip(void **state)
{
	each_message(check_round_trip);
}

static void check_truncation(const struct kafka_schema *schema, int version)
{
	struct arena *arena = arena_new(ARENA_MAX);
	void *msg;
	struct str bytes = encode_random(schema, version, arena, &msg);

	for (size_t n = 0; n < bytes.n; n += 1 + (bytes.n > 3000 ? random_below(5) : 0)) {
		struct arena *a = arena_new(ARENA_MAX);
		char *part = malloc(n ? n : 1);

		memcpy(part, bytes.p, n);
		int code = kafka_decode(schema, version, (struct str){part, n}, a, arena_alloc(a, schema->size));

		assert_true(code == KAFKA_WIRE_TRUNCATED || code == KAFKA_WIRE_MALFORMED);
		free(part);
		arena_free(a);
	}
	free((void *)(uintptr_t)bytes.p);
	arena_free(arena);
}

static void test_truncation(void **state)
{
	each_message(check_truncation);
}

/* Damaged messages decode or fail, within a memory that the honest ones would fit many times. */
static void check_damage(const struct kafka_schema *schema, int version)
{
	struct arena *arena = arena_new(ARENA_MAX);
	void *msg;
	struct str bytes = encode_random(schema, version, arena, &msg);
	char *p = (char *)(uintptr_t)bytes.p;

	for (int i = 0; i < 60 && bytes.n; i++) {
		struct arena *a = arena_new(bytes.n * 256 + 65536);
		unsigned at = random_below((unsigned)bytes.n);
		char old = p[at];

		p[at] = (char)(random_below(2) ? 0xff : random_next());
		int code = kafka_decode(schema, version, bytes, a, arena_alloc(a, schema->size));

		assert_true(code != KAFKA_WIRE_MEMORY);
		p[at] = old;
		arena_free(a);
	}
	free(p);
	arena_free(arena);
}

static void test_damage(void **state)
{
	each_message(check_damage);
}

static void test_trailing(void **state)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct kafka_heartbeat_req req;
	struct str bytes = {"\0\1g\0\0\0\7\0\1mXY", 12}, rest = bytes;

	assert_int_equal(kafka_decode(&kafka_heartbeat_req_schema, 0, bytes, arena, &req), KAFKA_WIRE_MALFORMED);
	assert_int_equal(kafka_decode_part(&kafka_heartbeat_req_schema, 0, &rest, arena, &req), 0);
	assert_true(str_is(rest, "XY"));
	assert_true(str_is(req.group_id, "g"));
	assert_int_equal(req.generation_id, 7);
	assert_true(str_is(req.member_id, "m"));
	assert_null(req.group_instance_id.p);
	assert_int_equal(kafka_decode(&kafka_heartbeat_req_schema, 5, bytes, arena, &req), KAFKA_WIRE_VERSION);
	assert_int_equal(kafka_decode(&kafka_heartbeat_req_schema, -1, bytes, arena, &req), KAFKA_WIRE_VERSION);
	arena_free(arena);
}

static int decode_metadata(int version, struct str bytes)
{
	struct arena *arena = arena_new(4096);
	struct kafka_metadata_req req;
	int code = kafka_decode(&kafka_metadata_req_schema, version, bytes, arena, &req);

	arena_free(arena);
	return code;
}

static void test_hostile_lengths(void **state)
{
	/* counts beyond the bytes: never an allocation */
	assert_int_equal(decode_metadata(0, (struct str){"\x7f\xff\xff\xff", 4}), KAFKA_WIRE_TRUNCATED);
	assert_int_equal(decode_metadata(0, (struct str){"\0\0\0\3\0\0\0\0", 8}), KAFKA_WIRE_TRUNCATED);
	/* negative counts other than null */
	assert_int_equal(decode_metadata(1, (struct str){"\xff\xff\xff\xfe", 4}), KAFKA_WIRE_MALFORMED);
	/* null before the version that allows it, and in it */
	assert_int_equal(decode_metadata(0, (struct str){"\xff\xff\xff\xff", 4}), KAFKA_WIRE_MALFORMED);
	assert_int_equal(decode_metadata(1, (struct str){"\xff\xff\xff\xff", 4}), 0);
	/* a null name inside the array */
	assert_int_equal(decode_metadata(1, (struct str){"\0\0\0\1\xff\xff", 6}), KAFKA_WIRE_MALFORMED);
	/* flexible: no topics, three flags, then tags */
	assert_int_equal(decode_metadata(9, (struct str){"\1\0\0\0\0", 5}), 0);
	assert_int_equal(decode_metadata(9, (struct str){"\1\0\0\0\1\5\2ab", 9}), 0);         /* an unknown tag */
	assert_int_equal(decode_metadata(9, (struct str){"\1\0\0\0\2\5\0\5\0", 9}), KAFKA_WIRE_MALFORMED); /* twice */
	assert_int_equal(decode_metadata(9, (struct str){"\1\0\0\0\2\5\0\4\0", 9}), KAFKA_WIRE_MALFORMED); /* falling */
	assert_int_equal(decode_metadata(9, (struct str){"\1\0\0\0\xff\xff\xff\xff\x0f", 9}), KAFKA_WIRE_TRUNCATED);
	assert_int_equal(decode_metadata(9, (struct str){"\xff\xff\xff\xff\x0f\0\0\0\0", 9}), KAFKA_WIRE_MALFORMED);
	assert_int_equal(decode_metadata(9, (struct str){"\xff\xff\xff\xff\x1f\0\0\0\0", 9}), KAFKA_WIRE_TRUNCATED);
	assert_int_equal(decode_metadata(9, (struct str){"\x80\x80\x80\x80\x80\x01\0\0\0", 9}), KAFKA_WIRE_TRUNCATED);
}

static void test_arena_limit(void **state)
{
	enum { N = 10000 };
	struct arena *arena = arena_new(65536);
	struct buf b;
	struct kafka_metadata_req req;

	buf_init(&b, 1 << 20);
	kafka_put32(&b, N);
	for (int i = 0; i < N; i++)
		kafka_put16(&b, 0);
	assert_int_equal(kafka_decode(&kafka_metadata_req_schema, 0, buf_view(&b), arena, &req), KAFKA_WIRE_MEMORY);
	buf_done(&b);
	arena_free(arena);
}

static void test_defaults(void **state)
{
	struct arena *arena = arena_new(65536);
	struct kafka_fetch_req *req = KAFKA_NEW(arena, kafka_fetch_req);
	struct buf b;

	assert_int_equal(req->max_bytes, INT32_MAX);
	assert_int_equal(req->session_epoch, -1);
	assert_int_equal(req->replica_state.replica_id, -1);
	assert_null(req->cluster_id.p);
	assert_non_null(req->rack_id.p);
	struct kafka_describe_cluster_res *res = KAFKA_NEW(arena, kafka_describe_cluster_res);

	assert_int_equal(res->cluster_authorized_operations, INT32_MIN);
	/* fields at their default make no tag; a changed one does */
	buf_init(&b, 4096);
	assert_int_equal(kafka_encode(&kafka_fetch_req_schema, 15, req, &b, NULL), 0);
	assert_int_equal(b.p[b.n - 1], 0);
	buf_reset(&b);
	req->cluster_id = STR("c");
	assert_int_equal(kafka_encode(&kafka_fetch_req_schema, 15, req, &b, NULL), 0);
	assert_memory_equal(b.p + b.n - 5, "\1\0\2\2c", 5);
	/* null where none may be is written as empty */
	buf_reset(&b);
	assert_int_equal(kafka_encode(&kafka_heartbeat_req_schema, 0, &(struct kafka_heartbeat_req){0}, &b, NULL), 0);
	assert_int_equal(b.n, 8);
	buf_done(&b);
	arena_free(arena);
}

static void test_encode_limits(void **state)
{
	struct kafka_heartbeat_req req = {.group_id = {"", 0}};
	char *big = calloc(1, 40000);
	struct buf b;

	buf_init(&b, 16);
	req.member_id = STR("0123456789");
	assert_int_equal(kafka_encode(&kafka_heartbeat_req_schema, 0, &req, &b, NULL), KAFKA_WIRE_MEMORY);
	buf_done(&b);
	buf_init(&b, 1 << 20);
	req.member_id = (struct str){big, 40000};
	assert_int_equal(kafka_encode(&kafka_heartbeat_req_schema, 0, &req, &b, NULL), KAFKA_WIRE_TOO_LONG);
	assert_true(b.failed);
	buf_done(&b);
	buf_init(&b, 1 << 20);
	assert_int_equal(kafka_encode(&kafka_heartbeat_req_schema, 4, &req, &b, NULL), KAFKA_WIRE_TOO_LONG);
	buf_done(&b);
	buf_init(&b, 1 << 20);
	assert_int_equal(kafka_encode(&kafka_heartbeat_req_schema, 9, &req, &b, NULL), KAFKA_WIRE_VERSION);
	buf_done(&b);
	free(big);
}

/* A fetch answer with two partitions, whole and with the records left out. */
static void check_gather(int version)
{
	struct arena *arena = arena_new(65536);
	const struct kafka_api *api = kafka_api_of(KAFKA_API_FETCH);
	struct kafka_fetch_res *res = KAFKA_NEW(arena, kafka_fetch_res);
	struct kafka_fetch_res_response *topic = KAFKA_ARRAY(arena, kafka_fetch_res_response, 1);
	struct kafka_cut cuts[2];
	struct kafka_gather gather = {.v = cuts, .cap = 2};
	struct buf whole, parts, joined;

	res->responses.v = topic;
	res->responses.n = 1;
	topic->topic = STR("t");
	topic->partitions.v = KAFKA_ARRAY(arena, kafka_fetch_res_partition, 3);
	topic->partitions.n = 3;
	topic->partitions.v[0].records = STR("first records");
	topic->partitions.v[1].records = STR("");
	topic->partitions.v[2].records = STR("second");
	buf_init(&whole, 4096);
	buf_init(&parts, 4096);
	buf_init(&joined, 4096);
	assert_int_equal(kafka_response_encode(api, version, 7, res, &whole, NULL), 0);
	assert_int_equal(kafka_response_encode(api, version, 7, res, &parts, &gather), 0);
	assert_int_equal(gather.n, 2);
	assert_int_equal(gather.bytes, 13 + 6);
	size_t at = 0;

	for (size_t i = 0; i < gather.n; i++) {
		buf_add(&joined, parts.p + at, cuts[i].at - at);
		buf_str(&joined, cuts[i].records);
		at = cuts[i].at;
	}
	buf_add(&joined, parts.p + at, parts.n - at);
	assert_true(str_eq(buf_view(&joined), buf_view(&whole)));
	assert_int_equal(kafka_load32(whole.p), whole.n - 4);
	/* no room for the second place */
	gather = (struct kafka_gather){.v = cuts, .cap = 1};
	buf_reset(&parts);
	assert_int_equal(kafka_response_encode(api, version, 7, res, &parts, &gather), KAFKA_WIRE_MEMORY);
	buf_done(&whole);
	buf_done(&parts);
	buf_done(&joined);
	arena_free(arena);
}

static void test_gather(void **state)
{
	for (int v = 0; v <= 18; v++)
		check_gather(v);
}

static void test_request_header(void **state)
{
	struct kafka_request_header h;
	struct str body;
	const char v1[] = "\0\3\0\1\0\0\0\x2a\0\2me\xff\xff\xff\xff";
	const char v2[] = "\0\3\0\x09\0\0\0\x2a\xff\xff\1\7\1x\1\0\0\0\0";

	assert_int_equal(kafka_request_header_decode((struct str){v1, sizeof(v1) - 1}, &h, &body), 0);
	assert_int_equal(h.verdict, KAFKA_HEADER_OK);
	assert_int_equal(h.key, 3);
	assert_int_equal(h.correlation, 42);
	assert_string_equal(h.api->name, "Metadata");
	assert_true(str_is(h.client_id, "me"));
	assert_int_equal(body.n, 4);
	assert_int_equal(kafka_request_header_decode((struct str){v2, sizeof(v2) - 1}, &h, &body), 0);
	assert_null(h.client_id.p);
	assert_int_equal(body.n, 5);
	for (size_t n = 0; n < 12; n++)
		assert_int_equal(kafka_request_header_decode((struct str){v1, n}, &h, &body), KAFKA_WIRE_TRUNCATED);
	assert_int_equal(kafka_request_header_decode((struct str){"\0\7\0\0\0\0\0\1", 8}, &h, &body), 0);
	assert_int_equal(h.verdict, KAFKA_HEADER_KEY);
	assert_int_equal(kafka_request_header_decode((struct str){"\xff\xff\0\0\0\0\0\1", 8}, &h, &body), 0);
	assert_int_equal(h.verdict, KAFKA_HEADER_KEY);
	assert_int_equal(kafka_request_header_decode((struct str){"\0\3\0\x63\0\0\0\1", 8}, &h, &body), 0);
	assert_int_equal(h.verdict, KAFKA_HEADER_VERSION);
	assert_int_equal(h.version, 99);
}

/* ApiVersions of a version we lack is answered in version 0, with error 35 and our range. */
static void test_api_versions_trap(void **state)
{
	struct arena *arena = arena_new(65536);
	struct kafka_request_header h;
	struct kafka_api_versions_res res;
	struct buf out;
	struct str body;
	const char ask[] = "\0\x12\0\x63\0\0\0\5whatever follows";

	assert_int_equal(kafka_request_header_decode((struct str){ask, sizeof(ask) - 1}, &h, &body), 0);
	assert_int_equal(h.verdict, KAFKA_HEADER_VERSION);
	assert_int_equal(h.key, KAFKA_API_API_VERSIONS);
	buf_init(&out, 4096);
	assert_int_equal(kafka_api_versions_refuse(h.correlation, &out), 0);
	assert_int_equal(out.n, 20);
	assert_memory_equal(out.p, "\0\0\0\x10\0\0\0\5\0\x23\0\0\0\1\0\x12\0\0\0\4", 20);
	/* header 0 also for flexible versions */
	buf_reset(&out);
	kafka_init(&kafka_api_versions_res_schema, &res);
	kafka_api_versions_fill(&res, arena, NULL, NULL);
	assert_int_equal(res.api_keys.n, KAFKA_API_COUNT);
	assert_int_equal(kafka_response_encode(h.api, 3, 5, &res, &out, NULL), 0);
	assert_memory_equal(out.p + 4, "\0\0\0\5\0\0", 6);
	assert_int_equal((uint8_t)out.p[10], KAFKA_API_COUNT + 1);
	buf_done(&out);
	arena_free(arena);
}

static void test_client_side(void **state)
{
	struct arena *arena = arena_new(1 << 20);
	struct buf out;

	buf_init(&out, 1 << 20);
	for (unsigned i = 0; i < KAFKA_API_COUNT; i++) {
		const struct kafka_api *api = &kafka_apis[i];
		struct kafka_request_header h;
		struct str body;
		int32_t correlation;

		buf_reset(&out);
		void *msg = kafka_new(arena, api->request);

		assert_int_equal(kafka_request_encode(api, api->max, 9, STR("c"), msg, &out), 0);
		assert_int_equal(kafka_load32(out.p), out.n - 4);
		assert_int_equal(kafka_request_header_decode(str_sub(buf_view(&out), 4, out.n), &h, &body), 0);
		assert_ptr_equal(h.api, api);
		assert_int_equal(kafka_decode(api->request, api->max, body, arena, msg), 0);
		buf_reset(&out);
		msg = kafka_new(arena, api->response);
		assert_int_equal(kafka_response_encode(api, api->max, 9, msg, &out, NULL), 0);
		assert_int_equal(kafka_response_header_decode(api, api->max, str_sub(buf_view(&out), 4, out.n),
			&correlation, &body), 0);
		assert_int_equal(correlation, 9);
		assert_int_equal(kafka_decode(api->response, api->max, body, arena, msg), 0);
	}
	buf_done(&out);
	arena_free(arena);
}

/* Which versions are offered decides which features clients switch on: old librdkafka needs the low ends. */
static void test_table(void **state)
{
	static const int8_t zero[] = {0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
		26, 28, 29, 30, 31, 32, 33, 35, 36, 37, 42, 44, 47, 48, 49, 50, 51, 60, 68, 69, 75};

	for (unsigned i = 0; i < sizeof(zero); i++) {
		assert_non_null(kafka_api_of(zero[i]));
		assert_int_equal(kafka_api_of(zero[i])->key, zero[i]);
		assert_int_equal(kafka_api_of(zero[i])->min, 0);
		assert_int_equal(kafka_api_of(zero[i])->tier, 1);
	}
	assert_int_equal(kafka_api_of(0)->max, 13);
	assert_int_equal(kafka_api_of(1)->max, 17);
	assert_int_equal(kafka_api_of(1)->flexible, 12);
	assert_int_equal(kafka_api_of(17)->flexible, KAFKA_VERSION_MAX);
	assert_null(kafka_api_of(4));
	assert_null(kafka_api_of(-1));
	assert_null(kafka_api_of(1000));
	for (unsigned i = 0; i < KAFKA_API_COUNT; i++) {
		assert_true(kafka_apis[i].min >= kafka_apis[i].codec_min);
		assert_true(kafka_apis[i].max <= kafka_apis[i].codec_max);
	}
}

static void test_errors(void **state)
{
	assert_string_equal(kafka_error_row(0)->name, "NONE");
	assert_string_equal(kafka_error_row(35)->name, "UNSUPPORTED_VERSION");
	assert_string_equal(kafka_error_row(KAFKA_ERR_REBALANCE_IN_PROGRESS)->name, "REBALANCE_IN_PROGRESS");
	assert_true(kafka_error_row(KAFKA_ERR_NOT_LEADER_OR_FOLLOWER)->retriable);
	assert_false(kafka_error_row(KAFKA_ERR_MESSAGE_TOO_LARGE)->retriable);
	assert_string_equal(kafka_error_row(30000)->name, "UNKNOWN_SERVER_ERROR");
	assert_string_equal(kafka_error_row(-7)->name, "UNKNOWN_SERVER_ERROR");
	for (int i = 0; i < KAFKA_ERR_COUNT; i++)
		assert_int_equal(kafka_error_rows[i].code, i - 1);
}

static void test_versioned(void **state)
{
	struct arena *arena = arena_new(65536);
	struct kafka_consumer_protocol_subscription *s = KAFKA_NEW(arena, kafka_consumer_protocol_subscription);
	struct str topics[] = {STR("a"), STR("bc")};
	struct buf b;
	int version;

	s->topics.v = topics;
	s->topics.n = 2;
	buf_init(&b, 4096);
	assert_int_equal(kafka_encode_versioned(&kafka_consumer_protocol_subscription_schema, 1, s, &b), 0);
	kafka_store16(b.p, 77); /* a later version has more at its end */
	buf_cstr(&b, "more and more");
	assert_int_equal(kafka_decode_versioned(&kafka_consumer_protocol_subscription_schema,
		(struct str){"\0\0\0\0\0\1\0\1x\xff\xff\xff\xff", 13}, arena, s, &version), 0);
	assert_int_equal(version, 0);
	assert_int_equal(s->topics.n, 1);
	assert_null(s->user_data.p);
	assert_int_equal(kafka_decode_versioned(&kafka_consumer_protocol_subscription_schema, STR("x"), arena, s, NULL),
		KAFKA_WIRE_TRUNCATED);
	buf_done(&b);
	arena_free(arena);
}

static void test_varints(void **state)
{
	static const int64_t values[] = {0, -1, 1, 63, 64, -64, -65, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
	struct buf b;

	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		buf_init(&b, 64);
		kafka_put_varlong(&b, values[i]);
		struct cursor c = cursor_of(buf_view(&b));

		assert_int_equal(kafka_get_varlong(&c), values[i]);
		assert_int_equal(cursor_left(&c), 0);
		assert_false(c.failed);
		assert_int_equal(b.n, kafka_varlong_size(values[i]));
		c = cursor_of(buf_view(&b));
		kafka_get_varint(&c);
		assert_int_equal(c.failed, values[i] > INT32_MAX || values[i] < INT32_MIN);
		buf_reset(&b);
		kafka_put_uvarint(&b, (uint32_t)values[i]);
		c = cursor_of(buf_view(&b));
		assert_int_equal(kafka_get_uvarint(&c), (uint32_t)values[i]);
		assert_int_equal(b.n, kafka_uvarint_size((uint32_t)values[i]));
		buf_done(&b);
	}
	struct cursor c = cursor_of((struct str){"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10});

	kafka_get_varlong(&c);
	assert_true(c.failed);
}

int main(int argc, char **argv)
{
	random_state = argc > 1 ? strtoull(argv[1], NULL, 10) | 1 : 0x9e3779b97f4a7c15;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_trailing),
		cmocka_unit_test(test_hostile_lengths),
		cmocka_unit_test(test_arena_limit),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_encode_limits),
		cmocka_unit_test(test_gather),
		cmocka_unit_test(test_request_header),
		cmocka_unit_test(test_api_versions_trap),
		cmocka_unit_test(test_client_side),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_versioned),
		cmocka_unit_test(test_varints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
