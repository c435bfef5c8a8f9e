/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include "base/mem.h"
#include "kafka/batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_S = 30, FRAME_MAX = 64 << 20 };

void client_init(struct client *c, uint16_t port)
{
	*c = (struct client){.port = port, .fd = -1};
	buf_init(&c->out, 16 << 20);
}

static void disconnect(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void client_done(struct client *c)
{
	disconnect(c);
	buf_done(&c->out);
	free(c->frame);
	c->frame = NULL;
}

int client_connect(struct client *c)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(c->port)};
	struct timeval patience = {.tv_sec = ANSWER_S};
	int one = 1;

	if (c->fd >= 0)
		return 0;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(c->fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return 0;
	disconnect(c);
	return -1;
}

static int get(int fd, char *p, size_t n)
{
	while (n) {
		ssize_t k = recv(fd, p, n, 0);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -1;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

static int put(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -1;
		p += k;
		n -= (size_t)k;
	}
	return 0;
}

static int receive(struct client *c, struct str *ret)
{
	char head[4];

	if (get(c->fd, head, 4) != 0)
		return -1;
	uint32_t n = kafka_load32(head);

	if (n > FRAME_MAX)
		return -1;
	free(c->frame);
	c->frame = mem_alloc(n + 1);
	*ret = (struct str){c->frame, n};
	return get(c->fd, c->frame, n);
}

void *client_call(struct client *c, int key, int version, const void *req, struct arena *arena)
{
	const struct kafka_api *api = kafka_api_of(key);
	struct str frame, body;
	int32_t correlation;

	if (client_connect(c) != 0)
		return NULL;
	buf_reset(&c->out);
	if (kafka_request_encode(api, version, ++c->correlation, STR("fault"), req, &c->out) != 0)
		abort();
	void *res = arena_alloc(arena, api->response->size);

	if (put(c->fd, c->out.p, c->out.n) != 0 || receive(c, &frame) != 0 ||
	    kafka_response_header_decode(api, version, frame, &correlation, &body) != 0 ||
	    correlation != c->correlation || kafka_decode(api->response, version, body, arena, res) != 0) {
		disconnect(c);
		return NULL;
	}
	return res;
}

int client_create_topic(struct client *c, const char *name, int32_t partitions, const char *const *configs,
			struct kafka_uuid *ret_id)
{
	struct arena *a = arena_new(1 << 20);
	struct kafka_create_topics_req *req = KAFKA_NEW(a, kafka_create_topics_req);
	struct kafka_create_topics_req_topic *t = KAFKA_ARRAY(a, kafka_create_topics_req_topic, 1);
	int32_t n = 0;

	while (configs && configs[n * 2])
		n++;
	t->name = str_of(name);
	t->num_partitions = partitions;
	t->replication_factor = 1;
	t->configs.v = KAFKA_ARRAY(a, kafka_create_topics_req_config, (size_t)n);
	t->configs.n = n;
	for (int32_t i = 0; i < n; i++)
		t->configs.v[i] =
			(struct kafka_create_topics_req_config){str_of(configs[i * 2]), str_of(configs[i * 2 + 1])};
	req->topics.v = t;
	req->topics.n = 1;
	req->timeout_ms = 10000;
	struct kafka_create_topics_res *res = client_call(c, KAFKA_API_CREATE_TOPICS, 7, req, a);
	int code = res && res->topics.n == 1 ? res->topics.v[0].error_code : -1;

	if (code == 0)
		*ret_id = res->topics.v[0].topic_id;
	arena_free(a);
	return code;
}

int client_delete_topic(struct client *c, const char *name)
{
	struct arena *a = arena_new(1 << 20);
	struct kafka_delete_topics_req *req = KAFKA_NEW(a, kafka_delete_topics_req);
	struct str names[1] = {str_of(name)};

	req->topic_names.v = names;
	req->topic_names.n = 1;
	req->timeout_ms = 10000;
	struct kafka_delete_topics_res *res = client_call(c, KAFKA_API_DELETE_TOPICS, 5, req, a);
	int code = res && res->responses.n == 1 ? res->responses.v[0].error_code : -1;

	arena_free(a);
	return code;
}

int client_offset(struct client *c, const char *topic, int32_t partition, bool stable, int64_t *ret)
{
	struct arena *a = arena_new(1 << 20);
	struct kafka_list_offsets_req *req = KAFKA_NEW(a, kafka_list_offsets_req);
	struct kafka_list_offsets_req_topic *t = KAFKA_ARRAY(a, kafka_list_offsets_req_topic, 1);
	int code = -1;

	t->name = str_of(topic);
	t->partitions.v = KAFKA_ARRAY(a, kafka_list_offsets_req_partition, 1);
	t->partitions.n = 1;
	t->partitions.v[0].partition_index = partition;
	t->partitions.v[0].timestamp = -1;
	req->topics.v = t;
	req->topics.n = 1;
	req->isolation_level = stable;
	struct kafka_list_offsets_res *res = client_call(c, KAFKA_API_LIST_OFFSETS, 5, req, a);

	if (res && res->topics.n == 1 && res->topics.v[0].partitions.n == 1) {
		code = res->topics.v[0].partitions.v[0].error_code;
		if (code == 0)
			*ret = res->topics.v[0].partitions.v[0].offset;
	}
	arena_free(a);
	return code;
}

int client_committed(struct client *c, const char *group, const char *topic, int32_t partition, int64_t *ret)
{
	struct arena *a = arena_new(1 << 20);
	struct kafka_offset_fetch_req *req = KAFKA_NEW(a, kafka_offset_fetch_req);
	struct kafka_offset_fetch_req_topic *t = KAFKA_ARRAY(a, kafka_offset_fetch_req_topic, 1);
	int code = -1;

	t->name = str_of(topic);
	t->partition_indexes.v = &partition;
	t->partition_indexes.n = 1;
	req->group_id = str_of(group);
	req->topics.v = t;
	req->topics.n = 1;
	struct kafka_offset_fetch_res *res = client_call(c, KAFKA_API_OFFSET_FETCH, 6, req, a);

	if (res && res->error_code)
		code = res->error_code;
	else if (res && res->topics.n == 1 && res->topics.v[0].partitions.n == 1) {
		code = res->topics.v[0].partitions.v[0].error_code;
		if (code == 0)
			*ret = res->topics.v[0].partitions.v[0].committed_offset;
	}
	arena_free(a);
	return code;
}

int client_partitions(struct client *c, const char *topic)
{
	struct arena *a = arena_new(1 << 20);
	struct kafka_metadata_req *req = KAFKA_NEW(a, kafka_metadata_req);
	int n = -1;

	req->topics.v = KAFKA_ARRAY(a, kafka_metadata_req_topic, 1);
	req->topics.v[0].name = str_of(topic);
	req->topics.n = 1;
	req->allow_auto_topic_creation = false;
	struct kafka_metadata_res *res = client_call(c, KAFKA_API_METADATA, 9, req, a);

	if (res && res->topics.n == 1)
		n = res->topics.v[0].error_code ? -1000 - res->topics.v[0].error_code : res->topics.v[0].partitions.n;
	arena_free(a);
	return n;
}

static void make_batch(struct buf *out)
{
	struct kafka_builder kb;
	char value[100];

	memset(value, 'x', sizeof(value));
	kafka_builder_init(&kb, 1 << 20);
	if (kafka_builder_add(&kb, (int64_t)time(NULL) * 1000, STR("key"), (struct str){value, sizeof(value)}, NULL, 0))
		abort();
	kb.head.producer_id = -1;
	kb.head.producer_epoch = -1;
	kb.head.base_sequence = -1;
	if (kafka_builder_finish(&kb, KAFKA_CODEC_NONE, KAFKA_LEVEL_DEFAULT, out))
		abort();
	kafka_builder_done(&kb);
}

int client_produce(struct client *c, const char *topic, int32_t n)
{
	struct arena *a = arena_new(64 << 20);
	struct kafka_produce_req *req = KAFKA_NEW(a, kafka_produce_req);
	struct kafka_produce_req_topic_data *t = KAFKA_ARRAY(a, kafka_produce_req_topic_data, 1);
	struct buf batch;
	int code = -1;

	buf_init(&batch, 1 << 20);
	make_batch(&batch);
	t->name = str_of(topic);
	t->partition_data.n = n;
	t->partition_data.v = KAFKA_ARRAY(a, kafka_produce_req_partition_data, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		t->partition_data.v[i].index = i;
		t->partition_data.v[i].records = buf_view(&batch);
	}
	req->acks = -1;
	req->timeout_ms = 30000;
	req->topic_data.v = t;
	req->topic_data.n = 1;
	struct kafka_produce_res *res = client_call(c, KAFKA_API_PRODUCE, 9, req, a);

	if (res && res->responses.n == 1 && res->responses.v[0].partition_responses.n == n)
		for (int32_t i = code = 0; i < n && code == 0; i++)
			code = res->responses.v[0].partition_responses.v[i].error_code;
	buf_done(&batch);
	arena_free(a);
	return code;
}

struct str client_fetch(struct client *c, const char *topic, int32_t partition, int64_t offset, struct arena *a)
{
	struct kafka_fetch_req *req = KAFKA_NEW(a, kafka_fetch_req);
	struct kafka_fetch_req_topic *t = KAFKA_ARRAY(a, kafka_fetch_req_topic, 1);

	t->topic = str_of(topic);
	t->partitions.v = KAFKA_ARRAY(a, kafka_fetch_req_partition, 1);
	t->partitions.n = 1;
	t->partitions.v[0].partition = partition;
	t->partitions.v[0].fetch_offset = offset;
	t->partitions.v[0].current_leader_epoch = -1;
	t->partitions.v[0].partition_max_bytes = 4 << 20;
	req->replica_id = -1;
	req->max_bytes = 4 << 20;
	req->session_epoch = -1;
	req->topics.v = t;
	req->topics.n = 1;
	struct kafka_fetch_res *res = client_call(c, KAFKA_API_FETCH, 11, req, a);

	if (!res || res->responses.n != 1 || res->responses.v[0].partitions.n != 1)
		return STR_NONE;
	return res->responses.v[0].partitions.v[0].records;
}
