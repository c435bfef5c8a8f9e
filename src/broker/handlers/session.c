/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/session.h"

#include <stdlib.h>

enum { SESSION_PARTS_MAX = 2000 };

struct session_part {
	struct str topic; /* owned */
	struct kafka_uuid topic_id;
	uint32_t topic_number;
	int32_t index, leader_epoch, last_epoch, max_bytes;
	int64_t offset, sent_hw, sent_start;
	bool sent_error;
};

struct fetch_session {
	int32_t id, epoch;
	bool busy, dropped, by_id;
	int64_t used_ms;
	char user[256];
	struct session_part *v;
	size_t n, cap;
	uint32_t next_topic;
};

int32_t fetch_session_id(const struct fetch_session *s)
{
	return s ? s->id : 0;
}

static void session_free(struct fetch_session *s)
{
	for (size_t i = 0; i < s->n; i++)
		coord_disown(&s->v[i].topic);
	free(s->v);
	free(s);
}

void fetch_sessions_free(struct mqs_broker *b)
{
	for (uint32_t i = 0; i < b->n_sessions; i++)
		session_free(b->sessions[i]);
	free(b->sessions);
	b->sessions = NULL;
	b->n_sessions = 0;
}

/* ---- the table; sessions_lock ---- */

static uint32_t place_of(struct mqs_broker *b, int32_t id)
{
	uint32_t i = 0;

	while (i < b->n_sessions && b->sessions[i]->id != id)
		i++;
	return i;
}

static void drop(struct mqs_broker *b, uint32_t i)
{
	struct fetch_session *s = b->sessions[i];

	b->sessions[i] = b->sessions[--b->n_sessions];
	if (s->busy)
		s->dropped = true;
	else
		session_free(s);
}

/* Room for one more: the session that was idle for longest, two minutes at least, makes place. */
static bool make_room(struct mqs_broker *b, int64_t now)
{
	uint32_t oldest = UINT32_MAX;

	if (b->n_sessions < (uint32_t)b->options.fetch_sessions_max)
		return true;
	for (uint32_t i = 0; i < b->n_sessions; i++)
		if (!b->sessions[i]->busy &&
		    (oldest == UINT32_MAX || b->sessions[i]->used_ms < b->sessions[oldest]->used_ms))
			oldest = i;
	if (oldest == UINT32_MAX || now - b->sessions[oldest]->used_ms < 120000)
		return false;
	drop(b, oldest);
	return true;
}

static struct fetch_session *session_new(struct mqs_request *rq)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct fetch_session *s = NULL;

	pthread_mutex_lock(&b->sessions_lock);
	if (make_room(b, clock_mono_ms())) {
		s = mem_zalloc(sizeof(*s));
		do {
			rnd_bytes(&s->id, sizeof(s->id));
			s->id &= INT32_MAX;
		} while (s->id == 0 || place_of(b, s->id) < b->n_sessions);
		s->busy = true;
		s->epoch = 1;
		s->by_id = rq->head.version >= 13;
		memcpy(s->user, mqs_peer(rq)->user, sizeof(s->user));
		b->sessions = mem_realloc(b->sessions, (b->n_sessions + 1) * sizeof(struct fetch_session *));
		b->sessions[b->n_sessions++] = s;
	}
	pthread_mutex_unlock(&b->sessions_lock);
	return s;
}

void fetch_session_release(struct mqs_broker *b, struct fetch_session *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&b->sessions_lock);
	s->busy = false;
	s->used_ms = clock_mono_ms();
	if (s->dropped)
		session_free(s);
	pthread_mutex_unlock(&b->sessions_lock);
}

/* The session of an incremental request. */
static int16_t session_find(struct mqs_request *rq, struct fetch_session **ret)
{
	const struct kafka_fetch_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	int16_t code = 0;

	pthread_mutex_lock(&b->sessions_lock);
	uint32_t i = place_of(b, in->session_id);
	struct fetch_session *s = i < b->n_sessions ? b->sessions[i] : NULL;

	if (!s || strcmp(s->user, mqs_peer(rq)->user) != 0)
		code = KAFKA_ERR_FETCH_SESSION_ID_NOT_FOUND;
	else if (s->busy || s->epoch != in->session_epoch)
		code = KAFKA_ERR_INVALID_FETCH_SESSION_EPOCH;
	else if (s->by_id != (rq->head.version >= 13))
		code = KAFKA_ERR_FETCH_SESSION_TOPIC_ID_ERROR;
	if (code == 0) {
		s->busy = true;
		s->epoch = s->epoch == INT32_MAX ? 1 : s->epoch + 1;
		*ret = s;
	}
	pthread_mutex_unlock(&b->sessions_lock);
	return code;
}

static void session_close(struct mqs_broker *b, int32_t id)
{
	pthread_mutex_lock(&b->sessions_lock);
	uint32_t i = place_of(b, id);

	if (id != 0 && i < b->n_sessions)
		drop(b, i);
	pthread_mutex_unlock(&b->sessions_lock);
}

/* ---- partitions of a session ---- */

static bool same_topic(const struct session_part *p, bool by_id, struct str name, struct kafka_uuid id)
{
	return by_id ? kafka_uuid_eq(p->topic_id, id) : str_eq(p->topic, name);
}

static struct session_part *part_find(struct fetch_session *s, struct str name, struct kafka_uuid id, int32_t index)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].index == index && same_topic(&s->v[i], s->by_id, name, id))
			return &s->v[i];
	return NULL;
}

static struct session_part *part_add(struct fetch_session *s, struct str name, struct kafka_uuid id, int32_t index)
{
	uint32_t number = s->next_topic;

	if (s->n == SESSION_PARTS_MAX)
		return NULL;
	for (size_t i = s->n; i-- > 0;)
		if (same_topic(&s->v[i], s->by_id, name, id)) {
			number = s->v[i].topic_number;
			break;
		}
	if (number == s->next_topic)
		s->next_topic++;
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 16;
		s->v = mem_realloc(s->v, s->cap * sizeof(*s->v));
	}
	s->v[s->n] = (struct session_part){.topic = coord_own(name),
					   .topic_id = id,
					   .topic_number = number,
					   .index = index,
					   .sent_hw = -2,
					   .sent_start = -2};
	return &s->v[s->n++];
}

static void update(struct fetch_session *s, const struct kafka_fetch_req *in)
{
	for (int32_t i = 0; i < in->topics.n; i++)
		for (int32_t k = 0; k < in->topics.v[i].partitions.n; k++) {
			const struct kafka_fetch_req_topic *t = &in->topics.v[i];
			const struct kafka_fetch_req_partition *p = &t->partitions.v[k];
			struct session_part *sp = part_find(s, t->topic, t->topic_id, p->partition);

			if (!sp)
				sp = part_add(s, t->topic, t->topic_id, p->partition);
			if (!sp)
				continue;
			sp->leader_epoch = p->current_leader_epoch;
			sp->last_epoch = p->last_fetched_epoch;
			sp->max_bytes = p->partition_max_bytes;
			sp->offset = p->fetch_offset;
		}
	for (int32_t i = 0; i < in->forgotten_topics_data.n; i++)
		for (int32_t k = 0; k < in->forgotten_topics_data.v[i].partitions.n; k++) {
			const struct kafka_fetch_req_forgotten_topics_data *t = &in->forgotten_topics_data.v[i];
			struct session_part *sp = part_find(s, t->topic, t->topic_id, t->partitions.v[k]);

			if (!sp)
				continue;
			coord_disown(&sp->topic);
			memmove(sp, sp + 1, (size_t)(&s->v[s->n] - (sp + 1)) * sizeof(*sp));
			s->n--;
		}
}

/* Those that were served go behind the others, so that all have their turn (KIP-74). */
static void rotate(struct fetch_session *s, const struct session_part *served)
{
	size_t i = (size_t)(served - s->v);
	struct session_part p = s->v[i];

	memmove(&s->v[i], &s->v[i + 1], (s->n - i - 1) * sizeof(p));
	s->v[s->n - 1] = p;
}

bool fetch_session_news(struct fetch_session *s, struct fetch_want *w)
{
	struct session_part *sp = part_find(s, w->topic, w->topic_id, w->index);
	bool news = w->bytes > 0 || w->out.error_code != 0 || w->out.diverging_epoch.epoch >= 0;

	if (!sp)
		return true;
	news = news || sp->sent_hw != w->out.high_watermark || sp->sent_start != w->out.log_start_offset ||
	       sp->sent_error;
	sp->sent_hw = w->out.high_watermark;
	sp->sent_start = w->out.log_start_offset;
	sp->sent_error = w->out.error_code != 0;
	if (w->bytes > 0)
		rotate(s, sp);
	return news;
}

/* ---- wanted partitions ---- */

/* What all partitions of a topic have in common. */
struct access {
	struct mqs_topic *t;
	int16_t code;
	const struct tags_filter *filter;
};

static struct access access_to(struct mqs_request *rq, bool by_id, struct str name, struct kafka_uuid id)
{
	struct access a = {.t = by_id ? mqs_topic_of_id(rq, id) : mqs_topic_of(rq, name)};

	if (a.t)
		name = a.t->name;
	if (name.p && !tags_may_read(rq, name, &a.filter))
		a.code = KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
	else if (!a.t)
		a.code = by_id ? KAFKA_ERR_UNKNOWN_TOPIC_ID : KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
	return a;
}

static void resolve(struct fetch_want *w, const struct access *a)
{
	w->code = a->code;
	w->filter = a->filter;
	if (w->code == 0 && !(w->part = mqs_part_of(a->t, w->index)))
		w->code = KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
}

static struct fetch_want *wants_of_session(struct mqs_request *rq, struct fetch_session *s)
{
	struct fetch_want *v = ARENA_ARRAY(rq->arena, struct fetch_want, s->n + 1);
	struct access a = {0};

	for (size_t i = 0; i < s->n; i++) {
		const struct session_part *p = &s->v[i];

		if (i == 0 || p->topic_number != s->v[i - 1].topic_number)
			a = access_to(rq, s->by_id, p->topic, p->topic_id);
		v[i] = (struct fetch_want){.topic = arena_str(rq->arena, p->topic),
					   .topic_id = p->topic_id,
					   .topic_number = p->topic_number,
					   .index = p->index,
					   .leader_epoch = p->leader_epoch,
					   .last_epoch = p->last_epoch,
					   .max_bytes = p->max_bytes,
					   .offset = p->offset};
		resolve(&v[i], &a);
	}
	return v;
}

static struct fetch_want *wants_of_request(struct mqs_request *rq, size_t *ret_n)
{
	const struct kafka_fetch_req *in = rq->in;
	bool by_id = rq->head.version >= 13;
	size_t n = 0;

	for (int32_t i = 0; i < in->topics.n; i++)
		n += in->topics.v[i].partitions.n > 0 ? (size_t)in->topics.v[i].partitions.n : 0;
	struct fetch_want *v = ARENA_ARRAY(rq->arena, struct fetch_want, n + 1);

	*ret_n = 0;
	for (int32_t i = 0; i < in->topics.n; i++) {
		const struct kafka_fetch_req_topic *rt = &in->topics.v[i];
		struct access a = access_to(rq, by_id, rt->topic, rt->topic_id);

		for (int32_t k = 0; k < rt->partitions.n; k++) {
			const struct kafka_fetch_req_partition *p = &rt->partitions.v[k];
			struct fetch_want *w = &v[(*ret_n)++];

			*w = (struct fetch_want){.topic = rt->topic,
						 .topic_id = rt->topic_id,
						 .topic_number = (uint32_t)i,
						 .index = p->partition,
						 .leader_epoch = p->current_leader_epoch,
						 .last_epoch = p->last_fetched_epoch,
						 .max_bytes = p->partition_max_bytes,
						 .offset = p->fetch_offset};
			resolve(w, &a);
		}
	}
	return v;
}

int16_t fetch_session_begin(struct mqs_request *rq, struct fetch_session **ret_session, struct fetch_want **ret_v,
			    size_t *ret_n, bool *ret_full)
{
	const struct kafka_fetch_req *in = rq->in;

	*ret_session = NULL;
	*ret_full = in->session_epoch <= 0 || rq->head.version < 7;
	if (*ret_full) {
		if (rq->head.version >= 7 && in->session_id != 0)
			session_close(mqs_broker(rq), in->session_id);
		*ret_v = wants_of_request(rq, ret_n);
		if (rq->head.version >= 7 && in->session_epoch == 0 && *ret_n > 0 && *ret_n <= SESSION_PARTS_MAX)
			*ret_session = session_new(rq);
		if (*ret_session)
			update(*ret_session, in);
		return 0;
	}
	int16_t code = session_find(rq, ret_session);

	if (code != 0)
		return code;
	update(*ret_session, in);
	*ret_v = wants_of_session(rq, *ret_session);
	*ret_n = (*ret_session)->n;
	return 0;
}
