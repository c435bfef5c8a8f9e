/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/quota.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Client quotas (KIP-13, KIP-124, KIP-219, KIP-546, KIP-599, KIP-612): of a user, a client id, or both, and of
 * addresses. A client that is above is answered with the time it has to wait, and its connection is not read for so
 * long. */

enum { USAGE_MAX = 100000, IDLE_MS = 60000 };

/* Seconds of rest that are credited, and the longest pause. Kafka looks at windows of a second for bytes, and of eleven
 * seconds for the rest. */
static const struct {
	double credit;
	int32_t pause_max_ms;
} rules[] = {
	[QUOTA_PRODUCE] = {1, 30000},   [QUOTA_FETCH] = {1, 30000},   [QUOTA_REQUEST] = {1, 1000},
	[QUOTA_MUTATION] = {10, 30000}, [QUOTA_CONNECTION] = {10, 0},
};

struct bucket {
	double debt; /* above the quota; negative: credit */
	int64_t at_ms;
};

struct mqs_usage {
	struct bucket v[QUOTA_KINDS];
	char key[];
};

static bool part_fits(struct str set, bool is_default, struct str have)
{
	return is_default || (set.p && str_eq(set, have));
}

/* How exact a quota names the client; -1: it does not. Kafka's order: user before client, exact before default. */
static int rank(const struct mqs_quota *q, struct str user, struct str client)
{
	bool u = q->user.p || q->user_default, c = q->client.p || q->client_default;

	if ((u && !part_fits(q->user, q->user_default, user)) ||
	    (c && !part_fits(q->client, q->client_default, client)))
		return -1;
	return (u ? q->user_default ? 10 : 20 : 0) + (c ? q->client_default ? 1 : 2 : 0) + (u && c ? 4 : 0);
}

/* Those who share a quota share its bucket: *user and *client become "" where the quota does not tell them apart. */
static double rate_of(struct mqs_broker *b, struct str *user, struct str *client, enum quota_kind kind)
{
	const struct mqs_quota *found = NULL;
	double rate = -1;
	int best = -1;

	pthread_rwlock_rdlock(&b->security);
	for (size_t i = 0; i < b->n_quotas; i++) {
		int k = b->quotas[i].rate[kind] > 0 ? rank(&b->quotas[i], *user, *client) : -1;

		if (k > best) {
			best = k;
			rate = b->quotas[i].rate[kind];
			found = &b->quotas[i];
		}
	}
	if (found && !found->user.p && !found->user_default)
		*user = STR("");
	if (found && !found->client.p && !found->client_default)
		*client = STR("");
	pthread_rwlock_unlock(&b->security);
	return rate;
}

/* ---- buckets; usage_lock ---- */

/* What has been idle for long is as good as new. */
static void sweep(struct mqs_broker *b, int64_t now)
{
	size_t n = 0, at = 0;
	struct mqs_usage **idle = mem_alloc(USAGE_MAX * sizeof(struct mqs_usage *));
	void *v;

	while (n < USAGE_MAX && map_next(b->usage, &at, &(struct str){0}, &v)) {
		struct mqs_usage *u = v;
		int64_t used = 0;

		for (int k = 0; k < QUOTA_KINDS; k++)
			used = u->v[k].at_ms > used ? u->v[k].at_ms : used;
		if (now - used > IDLE_MS)
			idle[n++] = u;
	}
	for (size_t i = 0; i < n; i++) {
		map_del(b->usage, str_of(idle[i]->key));
		free(idle[i]);
	}
	free(idle);
}

static struct mqs_usage *usage_of(struct mqs_broker *b, struct str key, int64_t now)
{
	struct mqs_usage *u = map_get(b->usage, key);

	if (!u && map_count(b->usage) >= USAGE_MAX && now - b->usage_swept_ms > 1000) {
		b->usage_swept_ms = now;
		sweep(b, now);
	}
	if (u || map_count(b->usage) >= USAGE_MAX)
		return u;
	u = mem_zalloc(sizeof(*u) + key.n + 1);
	memcpy(u->key, key.p, key.n);
	map_put(b->usage, (struct str){u->key, key.n}, u);
	return u;
}

/* Adds to a bucket, or with "only" when nothing is owed there. Returns the pause until nothing is owed; 0: none. *ret:
 * whether it was added. */
static int32_t charge(struct mqs_broker *b, struct str key, enum quota_kind kind, double rate, double amount, bool only,
		      bool *ret)
{
	int32_t pause = 0;

	*ret = true;
	pthread_mutex_lock(&b->usage_lock);
	int64_t now = clock_mono_ms();
	struct mqs_usage *u = usage_of(b, key, now);

	if (u) {
		struct bucket *k = &u->v[kind];
		double credit = rate * rules[kind].credit;

		k->debt = fmax(k->debt - rate * (double)(now - k->at_ms) / 1000, -credit);
		k->at_ms = now;
		*ret = !only || k->debt <= 0;
		if (*ret)
			k->debt += amount;
		/* Time was spent before it could be measured: what is owed for it has a limit. */
		if (kind == QUOTA_REQUEST)
			k->debt = fmin(k->debt, rate * 10);
		if (k->debt > 0)
			pause = (int32_t)fmin(fmax(k->debt * 1000 / rate, 1), rules[kind].pause_max_ms);
	}
	pthread_mutex_unlock(&b->usage_lock);
	return pause;
}

/* Who a request is charged to. */
struct who {
	double rate; /* not above 0: nobody */
	char key[1024];
	struct str name;
};

static void who_of(struct mqs_request *rq, enum quota_kind kind, struct who *ret)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct str user = str_of(mqs_peer(rq)->user), client = rq->head.client_id.p ? rq->head.client_id : STR("");

	ret->rate = atomic_load(&b->have_quotas) ? rate_of(b, &user, &client, kind) : -1;
	if (ret->rate <= 0)
		return;
	int n = snprintf(ret->key, sizeof(ret->key), "%.*s\n%.*s", STR_FMT(user), STR_FMT(client));

	ret->name = (struct str){ret->key, n < (int)sizeof(ret->key) ? (size_t)n : sizeof(ret->key) - 1};
}

/* Whoever answers on another thread may look meanwhile. */
static int32_t slow_down(struct mqs_request *rq, int32_t pause)
{
	rq->throttle_ms = pause > rq->throttle_ms ? pause : rq->throttle_ms;
	return rq->throttle_ms;
}

/* ---- kinds ---- */

static int32_t note(struct mqs_request *rq, double amount, enum quota_kind kind)
{
	struct who who;
	bool added;

	who_of(rq, kind, &who);
	if (who.rate <= 0)
		return rq->throttle_ms;
	return slow_down(rq, charge(mqs_broker(rq), who.name, kind, who.rate, amount, false, &added));
}

int32_t mqs_quota_produce(struct mqs_request *rq, size_t bytes)
{
	return note(rq, (double)bytes, QUOTA_PRODUCE);
}

int32_t mqs_quota_fetch(struct mqs_request *rq, size_t bytes)
{
	return note(rq, (double)bytes, QUOTA_FETCH);
}

bool mqs_quota_mutate(struct mqs_request *rq, int64_t partitions, bool strict, int32_t *ret_ms)
{
	struct who who;
	bool added;

	who_of(rq, QUOTA_MUTATION, &who);
	if (who.rate <= 0)
		return true;
	int32_t pause = charge(mqs_broker(rq), who.name, QUOTA_MUTATION, who.rate, (double)partitions, strict, &added);

	*ret_ms = slow_down(rq, pause);
	return added;
}

/* The request whose handler runs on this thread, and is charged. */
struct timed {
	struct mqs_request *rq;
	const struct who *who;
	uint64_t from;
};

static _Thread_local struct timed timed;

/* The rate counts percents of one thread, as Kafka does: a second of a thread is a hundred. Returns the pause. */
static int32_t charge_time(struct mqs_broker *b, const struct who *who)
{
	uint64_t now = uv_hrtime();
	double spent = (double)(now - timed.from) / 1e7;
	bool added;

	timed.from = now;
	return charge(b, who->name, QUOTA_REQUEST, who->rate, spent, false, &added);
}

/* The answer tells of the time until now; what is answered later, of the time its handler took. */
static void answering(struct mqs_request *rq)
{
	if (timed.rq == rq)
		slow_down(rq, charge_time(mqs_broker(rq), timed.who));
}

void mqs_run_timed(struct mqs_request *rq, void (*fn)(struct mqs_request *rq), bool here)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct who who;
	bool added;

	if (!atomic_load(&b->have_request_quotas)) {
		fn(rq);
		return;
	}
	who_of(rq, QUOTA_REQUEST, &who);
	if (who.rate <= 0) {
		fn(rq);
		return;
	}
	struct timed before = timed;

	slow_down(rq, charge(b, who.name, QUOTA_REQUEST, who.rate, 0, false, &added));
	rq->answering = answering;
	timed = (struct timed){rq, &who, uv_hrtime()};
	fn(rq);
	int32_t pause = charge_time(b, &who);

	timed = before;
	/* Elsewhere the request may have gone; the next one pays. */
	if (here)
		slow_down(rq, pause);
}

bool mqs_quota_admit(void *broker, const char *host)
{
	struct mqs_broker *b = broker;
	double rate = -1;
	char key[128];
	bool added;

	if (!atomic_load(&b->have_ip_quotas))
		return true;
	pthread_rwlock_rdlock(&b->security);
	for (size_t i = 0; i < b->n_ip_quotas; i++) {
		if (str_is(b->ip_quotas[i].ip, host)) {
			rate = b->ip_quotas[i].rate;
			break;
		}
		if (b->ip_quotas[i].ip.n == 0)
			rate = b->ip_quotas[i].rate;
	}
	pthread_rwlock_unlock(&b->security);
	if (rate < 0)
		return true;
	snprintf(key, sizeof(key), "\n\n%s", host);
	charge(b, str_of(key), QUOTA_CONNECTION, rate, 1, true, &added);
	return added;
}

void mqs_usage_free(struct mqs_broker *b)
{
	size_t at = 0;
	void *u;

	while (map_next(b->usage, &at, &(struct str){0}, &u))
		free(u);
	map_free(b->usage);
}
