/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "broker/server/priv.h"
#include "kafka_msg.h"

#include <stdlib.h>

/* What decoding may take, besides what the answer needs: a request of n bytes can ask for many times n in structs. */
#define ARENA_MAX ((size_t)1 << 30)
#define DECODED_MAX ((size_t)4 << 20)
#define OUT_MAX ((size_t)96 << 20)

static struct arena *arena_take(struct mqs_loop *loop)
{
	return loop->n_spare ? loop->spare[--loop->n_spare] : arena_new(ARENA_MAX);
}

static void arena_give(struct mqs_loop *loop, struct arena *a)
{
	if (loop->n_spare == SPARE_ARENAS) {
		arena_free(a);
		return;
	}
	arena_reset(a);
	loop->spare[loop->n_spare++] = a;
}

void mqs__uncharge(struct mqs_server *s, size_t *charged)
{
	atomic_fetch_sub(&s->stats.memory, *charged);
	*charged = 0;
}

/* The structs of a request may not take more than this, by the fewest bytes an element has: decoding checks that
 * against the bytes there are, so only the ratio has to be bounded, by refusing long requests that are not Produce. */
static bool size_fits(const struct kafka_request_header *h, size_t n)
{
	bool member = h->key == KAFKA_API_JOIN_GROUP || h->key == KAFKA_API_SYNC_GROUP;

	return h->key == KAFKA_API_PRODUCE || n <= (member ? 4 * DECODED_MAX : DECODED_MAX);
}

/* Bytes behind the message are let pass, as Kafka does: librdkafka sends one too many in AlterUserScramCredentials. */
static int decode(struct mqs_request *rq)
{
	const struct kafka_schema *schema = rq->head.api->request;
	struct str rest = rq->body;

	rq->in = arena_alloc(rq->arena, schema->size);
	return kafka_decode_part(schema, rq->head.version, &rest, rq->arena, rq->in);
}

static void on_done(struct mqs_task *task)
{
	struct mqs_request *rq = (struct mqs_request *)(void *)((char *)task - offsetof(struct mqs_request, task));
	struct mqs_conn *c = rq->conn;

	rq->done = true;
	c->running--;
	if (c->closing) /* in no list any more */
		mqs__request_free(rq);
	else
		mqs__conn_go(c);
}

struct mqs_request *mqs__request_new(struct mqs_conn *c, char *frame, size_t n, size_t charged)
{
	struct mqs_loop *loop = c->loop;
	struct mqs_request *rq = mem_zalloc(sizeof(*rq));

	*rq = (struct mqs_request){.conn = c,
				   .frame = frame,
				   .frame_n = n,
				   .charged = charged,
				   .arena = arena_take(loop),
				   .task = {.fn = on_done}};
	buf_init(&rq->out, OUT_MAX);
	c->refs++;
	rq->all_next = loop->requests;
	if (loop->requests)
		loop->requests->all_prev = rq;
	loop->requests = rq;
	atomic_fetch_add(&c->server->stats.requests, 1);
	atomic_fetch_add(&c->server->stats.bytes_in, n + 4);
	int code = kafka_request_header_decode((struct str){frame, n}, &rq->head, &rq->body);

	if (code == 0 && rq->head.verdict == KAFKA_HEADER_VERSION && rq->head.key == KAFKA_API_API_VERSIONS) {
		if (kafka_api_versions_refuse(rq->head.correlation, &rq->out) == 0) {
			rq->done = true;
			return rq;
		}
	}
	if (code == 0 && rq->head.verdict == KAFKA_HEADER_OK && size_fits(&rq->head, n) && (code = decode(rq)) == 0)
		return rq;
	atomic_fetch_add(&c->server->stats.bad_requests, 1);
	mqs__request_free(rq);
	return NULL;
}

void mqs__request_free(struct mqs_request *rq)
{
	struct mqs_conn *c = rq->conn;

	for (size_t i = 0; i < rq->gather.n; i++) {
		struct plog_read *r = (struct plog_read *)(uintptr_t)rq->gather.v[i].records.p;

		if (r)
			plog_read_done(r);
	}
	if (rq->all_prev)
		rq->all_prev->all_next = rq->all_next;
	else
		c->loop->requests = rq->all_next;
	if (rq->all_next)
		rq->all_next->all_prev = rq->all_prev;
	mqs__uncharge(c->server, &rq->charged);
	buf_done(&rq->out);
	arena_give(c->loop, rq->arena);
	free(rq->frame);
	free(rq);
	mqs__conn_unref(c);
}

void mqs_to_worker(struct mqs_request *rq, void (*fn)(struct mqs_request *rq))
{
	struct mqs_server *s = rq->conn->server;

	rq->work = fn;
	mqs_server_hold(s, 1);
	pthread_mutex_lock(&s->work_lock);
	rq->work_next = NULL;
	*s->work_end = rq;
	s->work_end = &rq->work_next;
	pthread_cond_signal(&s->work_wake);
	pthread_mutex_unlock(&s->work_lock);
}

static bool may(const struct mqs_request *rq)
{
	int key = rq->head.key;

	return rq->conn->peer.authenticated || key == KAFKA_API_API_VERSIONS || key == KAFKA_API_SASL_HANDSHAKE ||
	       key == KAFKA_API_SASL_AUTHENTICATE;
}

void mqs__request_start(struct mqs_request *rq)
{
	struct mqs_conn *c = rq->conn;
	const struct mqs_handler *h = &c->server->options.handlers[rq->head.key];

	rq->started = true;
	c->running++;
	rq->started_us = (int64_t)(uv_hrtime() / 1000);
	atomic_fetch_add(&c->server->stats.by_key[rq->head.key], 1);
	if (h->where == MQS_ABSENT || !may(rq))
		mqs_hang_up(rq);
	else if (h->where == MQS_LOOP)
		h->fn(rq);
	else
		mqs_to_worker(rq, h->fn);
}

/* The answer is complete; any thread. */
static void finish(struct mqs_request *rq)
{
	struct mqs_conn *c = rq->conn;

	if (mqs__here == c->loop && c->timer_rq == rq) {
		uv_timer_stop(&c->timer);
		c->timer_rq = NULL;
	}
	if (mqs__here == c->loop && c->pumping) {
		rq->done = true;
		c->running--;
		return;
	}
	mqs_post(c->loop, &rq->task);
}

static size_t cuts_of(const struct kafka_fetch_res *res)
{
	size_t n = 1;

	for (int32_t i = 0; i < res->responses.n; i++)
		n += res->responses.v[i].partitions.n > 0 ? (size_t)res->responses.v[i].partitions.n : 0;
	return n;
}

void mqs_answer(struct mqs_request *rq, void *res)
{
	if (rq->answering)
		rq->answering(rq);
	int32_t pause = atomic_load(&rq->throttle_ms);

	if (pause > 0)
		kafka_response_throttle(rq->head.api, pause, res);
	if (rq->head.key == KAFKA_API_FETCH && rq->head.version >= 4) {
		rq->gather.cap = cuts_of(res);
		rq->gather.v = ARENA_ARRAY(rq->arena, struct kafka_cut, rq->gather.cap);
	}
	int code = kafka_response_encode(rq->head.api, rq->head.version, rq->head.correlation, res, &rq->out,
					 rq->gather.cap ? &rq->gather : NULL);

	rq->close = rq->close || code != 0 || rq->out.failed;
	finish(rq);
}

void mqs_answer_nothing(struct mqs_request *rq)
{
	rq->silent = true;
	finish(rq);
}

void mqs_hang_up(struct mqs_request *rq)
{
	rq->close = true;
	finish(rq);
}

static void on_timer(uv_timer_t *t)
{
	struct mqs_conn *c = t->data;
	struct mqs_request *rq = c->timer_rq;

	c->timer_rq = NULL;
	if (rq)
		c->timer_fn(rq);
}

void mqs_after(struct mqs_request *rq, int64_t ms, void (*fn)(struct mqs_request *rq))
{
	struct mqs_conn *c = rq->conn;

	if (c->closing)
		return;
	c->timer_rq = rq;
	c->timer_fn = fn;
	uv_timer_start(&c->timer, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
}

void *mqs_broker(const struct mqs_request *rq)
{
	return rq->conn->server->options.broker;
}

struct mqs_peer *mqs_peer(const struct mqs_request *rq)
{
	return &rq->conn->peer;
}

const struct mqs_listener *mqs_listener_of(const struct mqs_request *rq)
{
	return rq->conn->listener;
}

struct mqs_loop *mqs_loop_of(const struct mqs_request *rq)
{
	return rq->conn->loop;
}
