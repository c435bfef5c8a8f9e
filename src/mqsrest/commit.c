/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "mqsrest/priv.h"

#include <stdlib.h>

#define ACK_MS 15000 /* how long an acknowledgement waits for rebalances to end; its last commit comes on top */
#define AGAIN_MS 50
#define COMMIT_MS 5000

/* A window whose state is in the commit under way. */
struct part_commit {
	int32_t id;
	uint64_t epoch;
	int64_t prefix;
};

static struct rest_part *find_part(struct rest_group *g, int32_t id)
{
	for (size_t i = 0; i < g->n_parts; i++)
		if (g->parts[i].id == id)
			return &g->parts[i];
	return NULL;
}

/* ---- commits: one at a time, for all who wait ---- */

static void add_offset(rd_kafka_topic_partition_list_t *list, struct rest_group *g, struct rest_part *part,
		       struct part_commit *ret)
{
	struct buf metadata;

	buf_init(&metadata, 4096);
	*ret = (struct part_commit){part->id, part->epoch, rest_window_save(&part->window, &metadata)};
	rd_kafka_topic_partition_t *entry = rd_kafka_topic_partition_list_add(list, g->topic, part->id);
	struct str text = buf_view(&metadata);

	entry->offset = ret->prefix;
	if (text.n) {
		entry->metadata = malloc(text.n); /* the library frees it */
		if (entry->metadata) {
			memcpy(entry->metadata, text.p, text.n);
			entry->metadata_size = text.n;
		}
	}
	buf_done(&metadata);
}

/* Without a lock: waits for Kafka. */
static rd_kafka_resp_err_t send_offsets(struct rest_group *g, rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_queue_t *queue = rd_kafka_queue_new(g->rk);
	rd_kafka_resp_err_t code = rd_kafka_commit_queue(g->rk, list, queue, NULL, NULL);
	rd_kafka_event_t *event = code ? NULL : rd_kafka_queue_poll(queue, COMMIT_MS);

	if (!code)
		code = event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
	rd_kafka_topic_partition_list_t *done = event && !code ? rd_kafka_event_topic_partition_list(event) : NULL;

	for (int i = 0; done && !code && i < done->cnt; i++)
		code = done->elems[i].err;
	if (event)
		rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	return code;
}

static void end_commit(struct rest_group *g, const struct part_commit *v, size_t n, rd_kafka_resp_err_t code)
{
	for (size_t i = 0; i < n; i++) {
		struct rest_part *part = find_part(g, v[i].id);

		if (!part || part->epoch != v[i].epoch)
			continue;
		if (code)
			rest_window_unsaved(&part->window);
		else
			rest_window_saved(&part->window, v[i].prefix);
	}
}

void rest_group_commit(struct rest_group *g)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)g->n_parts + 1);
	struct part_commit *v = mem_zalloc((g->n_parts + 1) * sizeof(*v));
	uint64_t number = g->number;
	bool lost = false;
	size_t n = 0;

	for (size_t i = 0; i < g->n_parts; i++) {
		struct rest_part *part = &g->parts[i];

		lost |= part->window.dirty && !part->assigned;
		if (part->assigned && part->window.dirty && rest_window_prefix(&part->window) >= 0)
			add_offset(list, g, part, &v[n++]);
	}
	g->committing = true;
	pthread_mutex_unlock(&g->lock);
	rd_kafka_resp_err_t code = n ? send_offsets(g, list) : RD_KAFKA_RESP_ERR_NO_ERROR;

	pthread_mutex_lock(&g->lock);
	g->committing = false;
	g->committed_ms = clock_mono_ms();
	if (code)
		log_debug("commit: %s", rd_kafka_err2name(code));
	end_commit(g, v, n, code);
	/* Partitions of which something was acknowledged have been taken from us. */
	if (!code && (lost || !n))
		code = RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST;
	while (g->waiters && g->waiters->number <= number) {
		g->waiters->done = true;
		g->waiters->code = code;
		g->waiters = g->waiters->next;
	}
	rest_group_resume(g);
	pthread_cond_broadcast(&g->wake);
	rd_kafka_topic_partition_list_destroy(list);
	free(v);
}

/* Until all that is done by now is committed, or cannot be. Lock held. */
static rd_kafka_resp_err_t commit_now(struct rest_group *g)
{
	struct rest_waiter w = {.number = ++g->number}, **end = &g->waiters;

	while (*end)
		end = &(*end)->next;
	*end = &w;
	while (!w.done) {
		if (g->committing)
			pthread_cond_wait(&g->wake, &g->lock);
		else
			rest_group_commit(g);
	}
	return w.code;
}

/* ---- acknowledgements ---- */

enum ack_state { ACK_REFUSED, ACK_RETURNED, ACK_HELD, ACK_DONE };

struct ack {
	const struct rest_ack *in;
	uint64_t epoch; /* of the window that has the message */
	enum ack_state state;
};

static struct rest_entry *find_entry(struct rest_group *g, const struct rest_ack *ack, struct rest_part **ret)
{
	struct rest_part *part =
		ack->known && ack->handler.session == g->session ? find_part(g, ack->handler.partition) : NULL;

	*ret = part;
	return part && part->assigned
		       ? rest_window_find(&part->window, ack->handler.offset, ack->handler.delivery, clock_mono_ms())
		       : NULL;
}

static bool any_ours(const struct rest_group *g, const struct rest_ack *acks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (acks[i].known && acks[i].handler.session == g->session)
			return true;
	return false;
}

/* In a rebalance nothing is ours; mostly it is ours again soon. False when it goes on. */
static bool wait_joined(struct rest_group *g, int64_t until)
{
	while (!g->joined && !g->stopped && clock_mono_ms() < until)
		rest_group_wait(g, until);
	return g->joined;
}

static void begin(struct rest_group *g, const struct rest_ack *acks, size_t n, struct ack *v)
{
	bool returned = false;

	for (size_t i = 0; i < n; i++) {
		struct rest_part *part;
		struct rest_entry *e = find_entry(g, &acks[i], &part);

		v[i].in = &acks[i];
		if (!e)
			continue;
		v[i].epoch = part->epoch;
		v[i].state = acks[i].success ? ACK_HELD : ACK_RETURNED;
		if (acks[i].success)
			rest_window_finish(&part->window, e);
		else
			rest_window_return(&part->window, e);
		returned |= !acks[i].success;
	}
	if (returned)
		pthread_cond_broadcast(&g->wake);
}

/* Looks what became of those that are to be committed. True when there are some yet. */
static bool settle(struct rest_group *g, struct ack *v, size_t n)
{
	bool more = false;

	for (size_t i = 0; i < n; i++) {
		const struct rest_handler *h = &v[i].in->handler;
		struct rest_part *part = v[i].state == ACK_HELD ? find_part(g, h->partition) : NULL;

		if (v[i].state != ACK_HELD)
			continue;
		enum rest_fate fate = part && part->epoch == v[i].epoch
					      ? rest_window_fate(&part->window, h->offset, h->delivery)
					      : REST_LOST;

		if (fate == REST_OPEN) /* in time when it came, however late it is by now */
			rest_window_finish(&part->window,
					   rest_window_find(&part->window, h->offset, h->delivery, INT64_MIN));
		v[i].state = fate == REST_COMMITTED ? ACK_DONE : fate == REST_LOST ? ACK_REFUSED : ACK_HELD;
		more |= v[i].state == ACK_HELD;
	}
	return more;
}

/* Kafka moves partitions, or the group: it takes the commit later. */
static bool passes(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS:
	case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
	case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
	case RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
	case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
	case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
		return true;
	default:
		return false;
	}
}

/* Until all of them are committed or refused, or the time is over, or Kafka does not want them. */
static rd_kafka_resp_err_t commit_all(struct rest_group *g, struct ack *v, size_t n, int64_t until)
{
	rd_kafka_resp_err_t code = 0;

	for (;;) {
		bool joined = wait_joined(g, until);
		int64_t now = clock_mono_ms();

		if (!settle(g, v, n))
			return 0;
		if (!joined || now >= until || (code && g->stopped))
			return RD_KAFKA_RESP_ERR__TIMED_OUT;
		code = commit_now(g);
		if (code && !passes(code))
			return settle(g, v, n) ? code : 0;
		if (code)
			rest_group_wait(g, now + AGAIN_MS);
	}
}

static size_t count(const struct ack *v, size_t n, enum ack_state state)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += v[i].state == state;
	return found;
}

int rest_group_ack(struct rest_group *g, const struct rest_ack *acks, size_t n, size_t *ret_done, struct err *err)
{
	int64_t until = clock_mono_ms() + ACK_MS;
	struct ack *v = mem_zalloc(n * sizeof(*v));
	rd_kafka_resp_err_t code = 0;

	pthread_mutex_lock(&g->lock);
	if (!any_ours(g, acks, n) || wait_joined(g, until)) {
		begin(g, acks, n, v);
		code = commit_all(g, v, n, until);
	} else {
		code = RD_KAFKA_RESP_ERR__TIMED_OUT;
	}
	pthread_mutex_unlock(&g->lock);
	size_t done = count(v, n, ACK_DONE), returned = count(v, n, ACK_RETURNED);

	free(v);
	atomic_fetch_add(&g->server->stats.acknowledged, done);
	atomic_fetch_add(&g->server->stats.failed, returned);
	if (rest_kafka_away(code))
		return rest_kafka_unavailable(err, "it did not take the acknowledgement in time");
	*ret_done = returned + done;
	return 0;
}
