/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

#include <stdlib.h>

/* The coordinators' environment: their records go to logs of their own, markers to the partitions. Everything here runs
 * under broker.coord. */

enum { TIMER_MS = 20, RIGHTS_MS = 5000 };

/* Batches of both coordinators are in one log; this bit tells them apart. */
#define SHARE_BATCH ((uint64_t)1 << 63)

int64_t mqs_now(void)
{
	return clock_now_ms();
}

struct mqs_call *mqs_call_new(struct mqs_request *rq)
{
	struct mqs_call *call = ARENA_NEW(rq->arena, struct mqs_call);

	call->rq = rq;
	return call;
}

struct group_client mqs_client(struct mqs_request *rq)
{
	struct mqs_peer *p = mqs_peer(rq);

	return (struct group_client){rq->head.client_id.p ? rq->head.client_id : STR(""),
				     arena_fmt(rq->arena, "/%s", p->host), p->sasl ? str_of(p->user) : STR("")};
}

/* ---- groups ---- */

static void group_persist(void *arg, const struct coord_record *v, size_t n, uint64_t batch)
{
	struct mqs_broker *b = arg;

	mqs_statelog_add(&b->group_log, v, n, batch);
}

static void group_stored(struct mqs_statelog *sl, uint64_t batch, bool ok)
{
	struct mqs_broker *b = sl->broker;

	if ((batch & SHARE_BATCH) && b->share)
		share_persisted(b->share, batch & ~SHARE_BATCH, ok, mqs_now());
	else if (!(batch & SHARE_BATCH) && b->groups)
		group_persisted(b->groups, batch, ok, mqs_now());
}

static void offsets_ended(uint64_t token, int16_t code);

static void group_answer(void *arg, uint64_t token, const struct group_reply *reply)
{
	struct mqs_call *call = (struct mqs_call *)(uintptr_t)token;

	if (reply->op == GROUP_TXN_END)
		offsets_ended(token, reply->code);
	else
		call->group(call, reply);
}

static bool env_topic(void *arg, struct str name, struct coord_uuid *ret_id, int32_t *ret_partitions)
{
	struct mqs_broker *b = arg;

	pthread_rwlock_rdlock(&b->topics);
	struct mqs_topic *t = map_get(b->by_name, name);

	if (t) {
		memcpy(ret_id->b, t->id.b, sizeof(ret_id->b));
		*ret_partitions = atomic_load(&t->parts)->n;
	}
	pthread_rwlock_unlock(&b->topics);
	return t != NULL;
}

static struct str env_topic_name(void *arg, const struct coord_uuid *id)
{
	static char name[256]; /* under broker.coord */
	struct mqs_broker *b = arg;
	struct str ret = STR_NONE;

	pthread_rwlock_rdlock(&b->topics);
	struct mqs_topic *t = map_get(b->by_id, (struct str){(const char *)id->b, sizeof(id->b)});

	if (t && t->name.n < sizeof(name)) {
		memcpy(name, t->name.p, t->name.n);
		ret = (struct str){name, t->name.n};
	}
	pthread_rwlock_unlock(&b->topics);
	return ret;
}

static bool env_topic_next(void *arg, size_t *at, struct str *ret_name)
{
	static char name[256]; /* under broker.coord */
	struct mqs_broker *b = arg;
	void *value;

	pthread_rwlock_rdlock(&b->topics);
	bool more = map_next(b->by_name, at, &(struct str){0}, &value);

	if (more) {
		struct mqs_topic *t = value;

		memcpy(name, t->name.p, t->name.n);
		*ret_name = (struct str){name, t->name.n};
	}
	pthread_rwlock_unlock(&b->topics);
	return more;
}

static void env_times(void *arg, struct str group_id, bool share, int32_t *session_ms, int32_t *interval_ms)
{
	struct mqs_group_setting s;

	mqs_group_of(arg, group_id, &s);
	int32_t session = s.v[share ? GROUP_SHARE_SESSION_MS : GROUP_SESSION_MS];
	int32_t interval = s.v[share ? GROUP_SHARE_INTERVAL_MS : GROUP_INTERVAL_MS];

	*session_ms = session < 0 ? *session_ms : session;
	*interval_ms = interval < 0 ? *interval_ms : interval;
}

/* ---- share groups ---- */

static void share_persist(void *arg, const struct coord_record *v, size_t n, uint64_t batch)
{
	struct mqs_broker *b = arg;

	mqs_statelog_add(&b->group_log, v, n, batch | SHARE_BATCH);
}

static void share_answer(void *arg, uint64_t token, bool ok)
{
	struct mqs_call *call = (struct mqs_call *)(uintptr_t)token;

	(void)arg;
	call->share(call, ok);
}

static void share_available(void *arg, const struct share_tp *tp)
{
	struct mqs_broker *b = arg;

	pthread_rwlock_rdlock(&b->topics);
	struct mqs_topic *t = map_get(b->by_id, (struct str){(const char *)tp->topic.b, sizeof(tp->topic.b)});
	struct mqs_part *part = mqs_part_of(t, tp->partition);

	if (part)
		mqs_part_notify(part);
	pthread_rwlock_unlock(&b->topics);
}

static bool share_topic(void *arg, const struct coord_uuid *id)
{
	struct mqs_broker *b = arg;

	pthread_rwlock_rdlock(&b->topics);
	bool there = map_get(b->by_id, (struct str){(const char *)id->b, sizeof(id->b)});

	pthread_rwlock_unlock(&b->topics);
	return there;
}

static void share_member_left(void *arg, struct str group_id, struct str member_id)
{
	struct mqs_broker *b = arg;

	if (b->share)
		share_session_end(b->share, group_id, member_id, mqs_now());
}

/* ---- transactions ---- */

struct marker_job;

struct marker_wait {
	struct plog_waiter waiter; /* first */
	struct mqs_task task;
	struct marker_job *job;
};

/* The markers of one transaction on their way. */
struct marker_job {
	struct marker_job *prev, *next; /* of the broker */
	struct mqs_broker *b;
	struct str txn_id;
	int64_t producer_id;
	int16_t epoch;
	size_t pending;
	bool ok;
	struct marker_wait v[];
};

static void txn_persist(void *arg, const struct coord_record *v, size_t n, uint64_t batch)
{
	struct mqs_broker *b = arg;

	mqs_statelog_add(&b->txn_log, v, n, batch);
}

static void txn_stored(struct mqs_statelog *sl, uint64_t batch, bool ok)
{
	if (sl->broker->txns)
		txn_persisted(sl->broker->txns, batch, ok, mqs_now());
}

static void txn_answer(void *arg, uint64_t token, const struct txn_reply *reply)
{
	struct mqs_call *call = (struct mqs_call *)(uintptr_t)token;

	call->txn(call, reply);
}

static void job_free(struct marker_job *job)
{
	if (job->prev)
		job->prev->next = job->next;
	else
		job->b->markers = job->next;
	if (job->next)
		job->next->prev = job->prev;
	coord_disown(&job->txn_id);
	free(job);
}

/* One of a job's parts is done. */
static void marker_done(struct marker_job *job, bool ok)
{
	struct mqs_broker *b = job->b;

	job->ok = job->ok && ok;
	if (--job->pending)
		return;
	if (b->txns)
		txn_markers_done(b->txns, job->txn_id, job->producer_id, job->epoch, job->ok, mqs_now());
	job_free(job);
}

static void on_marker_durable(struct plog_waiter *w, int code)
{
	struct marker_job *job = ((struct marker_wait *)w)->job;
	struct mqs_broker *b = job->b;

	pthread_mutex_lock(&b->coord);
	marker_done(job, code != PLOG_STORAGE);
	pthread_mutex_unlock(&b->coord);
}

static void write_marker(struct marker_job *job, struct marker_wait *w, const struct txn_partition *p, bool commit)
{
	struct mqs_broker *b = job->b;
	struct plog_marker m = {
		.producer_id = job->producer_id, .producer_epoch = job->epoch, .commit = commit, .now_ms = mqs_now()};
	int64_t offset, end;

	pthread_rwlock_rdlock(&b->topics);
	struct mqs_topic *t = map_get(b->by_name, p->topic);

	if (t)
		mqs_topic_ref(t);
	pthread_rwlock_unlock(&b->topics);
	struct mqs_part *part = mqs_part_of(t, p->partition);
	int rc = part ? plog_append_marker(part->log, &m, &offset, &end) : PLOG_GONE;

	w->job = job;
	if (rc == 0) {
		mqs_part_notify(part);
		w->waiter.inbox = mqs_loop_inbox(mqs_server_loop(b->server, 0));
		w->waiter.fn = on_marker_durable;
		plog_wait_durable(part->log, end, &w->waiter);
	} else {
		marker_done(job, rc != PLOG_STORAGE);
	}
	mqs_topic_unref(t);
}

static void on_offsets_ended(struct mqs_task *task)
{
	struct marker_wait *w = (struct marker_wait *)(void *)((char *)task - offsetof(struct marker_wait, task));
	struct mqs_broker *b = w->job->b;

	pthread_mutex_lock(&b->coord);
	marker_done(w->job, w->waiter.code == COORD_OK);
	pthread_mutex_unlock(&b->coord);
}

/* Not from within: the group coordinator is in the middle of its answer. */
static void offsets_ended(uint64_t token, int16_t code)
{
	struct marker_wait *w = (struct marker_wait *)(uintptr_t)token;

	w->waiter.code = code;
	mqs_post(mqs_server_loop(w->job->b->server, 0), &w->task);
}

static void txn_markers(void *arg, const struct txn_markers *m)
{
	struct mqs_broker *b = arg;
	size_t n = m->n_partitions + m->n_groups;
	struct marker_job *job = mem_zalloc(sizeof(*job) + n * sizeof(job->v[0]));

	job->b = b;
	job->next = b->markers;
	if (job->next)
		job->next->prev = job;
	b->markers = job;
	job->txn_id = coord_own(m->txn_id);
	job->producer_id = m->producer_id;
	job->epoch = m->epoch;
	job->pending = n + 1;
	job->ok = true;
	for (size_t i = 0; i < m->n_partitions; i++)
		write_marker(job, &job->v[i], &m->partitions[i], m->commit);
	for (size_t i = 0; i < m->n_groups; i++) {
		struct marker_wait *w = &job->v[m->n_partitions + i];

		w->job = job;
		w->task.fn = on_offsets_ended;
		group_txn_end(b->groups, m->groups[i], m->producer_id, m->commit, (uint64_t)(uintptr_t)w, mqs_now());
	}
	marker_done(job, true);
}

/* ---- life ---- */

struct group_replay {
	struct group_coord *groups;
	struct share_coord *share;
};

static void group_replay_record(void *arg, struct str key, struct str value)
{
	struct group_replay *r = arg;

	if (share_record(key))
		share_replay(r->share, (struct coord_record){key, value});
	else
		group_replay(r->groups, (struct coord_record){key, value});
}

static void txn_replay_record(void *arg, struct str key, struct str value)
{
	txn_replay(arg, (struct coord_record){key, value});
}

int mqs_coord_open(struct mqs_broker *b, struct err *err)
{
	struct group_env ge = {.arg = b,
			       .persist = group_persist,
			       .reply = group_answer,
			       .topic = env_topic,
			       .topic_name = env_topic_name,
			       .topic_next = env_topic_next,
			       .topic_visible = mqs_topic_visible,
			       .times = env_times,
			       .share_left = share_member_left};
	struct share_env se = {.arg = b,
			       .persist = share_persist,
			       .reply = share_answer,
			       .available = share_available,
			       .topic = share_topic};
	struct share_config sc = {0};
	struct group_config gc = {.offsets_retention_ms = b->options.offsets_retention_ms,
				  .initial_delay_ms = b->options.group_initial_delay_ms,
				  .session_min_ms = b->options.group_session_min_ms,
				  .consumer_session_ms = b->options.group_session_ms,
				  .consumer_interval_ms = b->options.group_interval_ms,
				  .share_session_ms = b->options.group_session_ms,
				  .share_interval_ms = b->options.group_interval_ms,
				  .members_max = b->options.group_members_max};
	struct txn_env te = {.arg = b, .persist = txn_persist, .reply = txn_answer, .markers = txn_markers};
	struct txn_config tc = {0};
	struct group_coord *g = group_coord_new(&ge, &gc);
	struct txn_coord *t = txn_coord_new(&te, &tc);
	struct group_replay replay = {g, share_new(&se, &sc)};

	b->group_log.stored = group_stored;
	b->txn_log.stored = txn_stored;
	int code = mqs_statelog_open(&b->group_log, b, MQS_GROUPS_TOPIC, group_replay_record, &replay, err);

	if (code == 0)
		code = mqs_statelog_open(&b->txn_log, b, MQS_TXNS_TOPIC, txn_replay_record, t, err);
	pthread_mutex_lock(&b->coord);
	b->groups = g;
	b->txns = t;
	b->share = replay.share;
	if (code == 0) {
		group_loaded(g, mqs_now());
		share_loaded(b->share, mqs_now());
		txn_loaded(t, mqs_now());
	}
	pthread_mutex_unlock(&b->coord);
	return code;
}

/* Rights of applications decide what regular expressions match. */
static void look_at_rights(struct mqs_broker *b, int64_t now)
{
	static int64_t next;

	if (now < next)
		return;
	next = now + RIGHTS_MS;
	uint64_t seq = mqs_published_seq(b);

	if (seq != b->pub_seq)
		group_topics_changed(b->groups, now);
	b->pub_seq = seq;
}

static void on_timer(uv_timer_t *timer)
{
	struct mqs_broker *b = timer->data;
	int64_t now = mqs_now();

	pthread_mutex_lock(&b->coord);
	if (group_deadline(b->groups) <= now)
		group_tick(b->groups, now);
	if (share_deadline(b->share) <= now)
		share_tick(b->share, now);
	if (txn_deadline(b->txns) <= now)
		txn_tick(b->txns, now);
	look_at_rights(b, now);
	pthread_mutex_unlock(&b->coord);
}

void mqs_coord_start(struct mqs_broker *b)
{
	uv_timer_init(mqs_loop_uv(mqs_server_loop(b->server, 0)), &b->coord_timer);
	b->coord_timer.data = b;
	uv_timer_start(&b->coord_timer, on_timer, TIMER_MS, TIMER_MS);
}

void mqs_coord_close(struct mqs_broker *b)
{
	pthread_mutex_lock(&b->coord);
	group_coord_free(b->groups);
	txn_coord_free(b->txns);
	share_free(b->share);
	b->share = NULL;
	b->groups = NULL;
	b->txns = NULL;
	/* Markers that the stop did not wait for: the next start finds their transactions. */
	while (b->markers)
		job_free(b->markers);
	mqs_group_free(b);
	pthread_mutex_unlock(&b->coord);
}
