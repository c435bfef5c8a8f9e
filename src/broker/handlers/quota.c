/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Client quotas (KIP-13, KIP-219, KIP-546): bytes per second of a user, a client id, or both. A client that is above is
 * answered with the time it has to wait, and its connection is not read for so long. */

enum { USAGE_MAX = 100000, PAUSE_MAX_MS = 30000 };

struct bucket {
	double debt; /* bytes above the quota */
	int64_t at_ms;
};

struct mqs_usage {
	struct bucket produce, fetch;
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
static double rate_of(struct mqs_broker *b, struct str *user, struct str *client, bool produce)
{
	const struct mqs_quota *found = NULL;
	double rate = -1;
	int best = -1;

	pthread_rwlock_rdlock(&b->security);
	for (size_t i = 0; i < b->n_quotas; i++) {
		double r = produce ? b->quotas[i].produce : b->quotas[i].fetch;
		int k = r > 0 ? rank(&b->quotas[i], *user, *client) : -1;

		if (k > best) {
			best = k;
			rate = r;
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

static struct mqs_usage *usage_of(struct mqs_broker *b, struct str user, struct str client)
{
	char key[1024];
	int n = snprintf(key, sizeof(key), "%.*s\n%.*s", STR_FMT(user), STR_FMT(client));
	size_t len = n < (int)sizeof(key) ? (size_t)n : sizeof(key) - 1;
	struct mqs_usage *u = map_get(b->usage, (struct str){key, len});

	if (u || map_count(b->usage) >= USAGE_MAX)
		return u;
	u = mem_zalloc(sizeof(*u) + len + 1);
	memcpy(u->key, key, len);
	map_put(b->usage, (struct str){u->key, len}, u);
	return u;
}

static int32_t note(struct mqs_request *rq, size_t bytes, bool produce)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct str user = str_of(mqs_peer(rq)->user), client = rq->head.client_id.p ? rq->head.client_id : STR("");
	double rate = atomic_load(&b->have_quotas) ? rate_of(b, &user, &client, produce) : -1;
	int32_t pause = 0;

	if (rate <= 0)
		return 0;
	pthread_mutex_lock(&b->usage_lock);
	struct mqs_usage *u = usage_of(b, user, client);

	if (u) {
		struct bucket *k = produce ? &u->produce : &u->fetch;
		int64_t now = clock_mono_ms();
		double paid = rate * (double)(now - k->at_ms) / 1000;

		/* A second of rest is credited, as Kafka's windows do. */
		k->debt = fmax(k->debt - paid, -rate) + (double)bytes;
		k->at_ms = now;
		if (k->debt > 0)
			pause = (int32_t)fmin(k->debt * 1000 / rate, PAUSE_MAX_MS);
	}
	pthread_mutex_unlock(&b->usage_lock);
	return pause;
}

int32_t mqs_quota_produce(struct mqs_request *rq, size_t bytes)
{
	return note(rq, bytes, true);
}

int32_t mqs_quota_fetch(struct mqs_request *rq, size_t bytes)
{
	return note(rq, bytes, false);
}

/* ---- stored: key: user and client, each with a flag; value: three numbers ---- */

static void key_of(struct buf *key, const struct mqs_quota *q)
{
	buf_cstr(key, "quota/");
	buf_u8(key, q->user_default);
	buf_u8(key, q->client_default);
	coord_put_str(key, q->user);
	coord_put_str(key, q->client);
}

static bool same(const struct mqs_quota *x, const struct mqs_quota *y)
{
	return x->user_default == y->user_default && x->client_default == y->client_default &&
	       !x->user.p == !y->user.p && !x->client.p == !y->client.p && str_eq(x->user, y->user) &&
	       str_eq(x->client, y->client);
}

static double get_double(struct cursor *c)
{
	uint64_t bits = cursor_u64(c);
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

static void put_double(struct buf *b, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	buf_u64(b, bits);
}

void mqs_quota_replay(struct mqs_broker *b, struct str key, struct str value);
void mqs_quotas_free(struct mqs_broker *b);

void mqs_quota_replay(struct mqs_broker *b, struct str key, struct str value)
{
	struct cursor c = cursor_of(key), v = cursor_of(value);
	struct mqs_quota q = {.user_default = cursor_u8(&c), .client_default = cursor_u8(&c)};

	q.user = cursor_str(&c);
	q.client = cursor_str(&c);
	if (c.failed)
		return;
	for (size_t i = 0; i < b->n_quotas; i++)
		if (same(&b->quotas[i], &q)) {
			coord_disown(&b->quotas[i].user);
			coord_disown(&b->quotas[i].client);
			b->quotas[i] = b->quotas[--b->n_quotas];
			break;
		}
	q.produce = get_double(&v);
	q.fetch = get_double(&v);
	q.request = get_double(&v);
	if (value.p && !v.failed) {
		if (b->n_quotas == b->cap_quotas) {
			b->cap_quotas = b->cap_quotas ? b->cap_quotas * 2 : 16;
			b->quotas = mem_realloc(b->quotas, b->cap_quotas * sizeof(*b->quotas));
		}
		q.user = coord_own(q.user);
		q.client = coord_own(q.client);
		b->quotas[b->n_quotas++] = q;
	}
	atomic_store(&b->have_quotas, b->n_quotas > 0);
}

void mqs_quotas_free(struct mqs_broker *b)
{
	size_t at = 0;
	void *u;

	for (size_t i = 0; i < b->n_quotas; i++) {
		coord_disown(&b->quotas[i].user);
		coord_disown(&b->quotas[i].client);
	}
	free(b->quotas);
	while (map_next(b->usage, &at, &(struct str){0}, &u))
		free(u);
}

/* ---- requests ---- */

static const char *const keys[] = {"producer_byte_rate", "consumer_byte_rate", "request_percentage"};

static double *number(struct mqs_quota *q, size_t i)
{
	return i == 0 ? &q->produce : i == 1 ? &q->fetch : &q->request;
}

static int entity(struct mqs_quota *q, struct str type, struct str name)
{
	if (str_is(type, "user")) {
		q->user = name;
		q->user_default = !name.p;
	} else if (str_is(type, "client-id")) {
		q->client = name;
		q->client_default = !name.p;
	} else {
		return KAFKA_ERR_INVALID_REQUEST;
	}
	return 0;
}

static int alter(struct mqs_request *rq, const struct kafka_alter_client_quotas_req_entry *e, struct str *ret_text)
{
	const struct kafka_alter_client_quotas_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_quota q = {.produce = -1, .fetch = -1, .request = -1};
	struct buf key, value;
	int code = e->entity.n > 0 ? 0 : KAFKA_ERR_INVALID_REQUEST;

	for (int32_t i = 0; i < e->entity.n && !code; i++)
		code = entity(&q, e->entity.v[i].entity_type, e->entity.v[i].entity_name);
	*ret_text = code ? STR("quotas are of a user, a client-id, or both") : STR_NONE;
	if (code)
		return code;
	pthread_rwlock_rdlock(&b->security);
	for (size_t i = 0; i < b->n_quotas; i++)
		if (same(&b->quotas[i], &q)) {
			q.produce = b->quotas[i].produce;
			q.fetch = b->quotas[i].fetch;
			q.request = b->quotas[i].request;
		}
	pthread_rwlock_unlock(&b->security);
	for (int32_t i = 0; i < e->ops.n; i++) {
		size_t k = 0;

		while (k < ARRAY_LEN(keys) && !str_is(e->ops.v[i].key, keys[k]))
			k++;
		if (k == ARRAY_LEN(keys) || (!e->ops.v[i].remove && !(e->ops.v[i].value > 0))) {
			*ret_text = STR("unknown quota, or a value that is not positive");
			return KAFKA_ERR_INVALID_REQUEST;
		}
		*number(&q, k) = e->ops.v[i].remove ? -1 : e->ops.v[i].value;
	}
	if (in->validate_only)
		return 0;
	bool empty = q.produce < 0 && q.fetch < 0 && q.request < 0;

	buf_init(&key, 65536);
	buf_init(&value, 256);
	key_of(&key, &q);
	put_double(&value, q.produce);
	put_double(&value, q.fetch);
	put_double(&value, q.request);
	struct coord_record rec = {buf_view(&key), empty ? STR_NONE : buf_view(&value)};

	code = mqs_statelog_put(&b->state, &rec, 1);
	if (code == 0)
		mqs_security_replay(b, rec.key, rec.value);
	buf_done(&key);
	buf_done(&value);
	return code;
}

void mqs_handle_alter_client_quotas(struct mqs_request *rq)
{
	const struct kafka_alter_client_quotas_req *in = rq->in;
	struct kafka_alter_client_quotas_res *res = KAFKA_NEW(rq->arena, kafka_alter_client_quotas_res);
	int32_t n = in->entries.n > 0 && in->entries.n < 5000 ? in->entries.n : 0;
	bool may = mqs_may_cluster(rq, OP_ALTER_CONFIGS);

	res->entries.n = n;
	res->entries.v = KAFKA_ARRAY(rq->arena, kafka_alter_client_quotas_res_entry, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		const struct kafka_alter_client_quotas_req_entry *e = &in->entries.v[i];
		struct kafka_alter_client_quotas_res_entry *out = &res->entries.v[i];

		out->error_code = may ? (int16_t)alter(rq, e, &out->error_message)
				      : (int16_t)KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		out->entity.n = e->entity.n > 0 ? e->entity.n : 0;
		out->entity.v = KAFKA_ARRAY(rq->arena, kafka_alter_client_quotas_res_entity, (size_t)out->entity.n);
		for (int32_t k = 0; k < out->entity.n; k++)
			out->entity.v[k] = (struct kafka_alter_client_quotas_res_entity){e->entity.v[k].entity_type,
											 e->entity.v[k].entity_name};
	}
	mqs_answer(rq, res);
}

/* match_type: 0 exact, 1 default, 2 any that is given */
static bool component_fits(const struct kafka_describe_client_quotas_req_component *c, struct str name, bool is_default)
{
	return c->match_type == 2   ? name.p || is_default
	       : c->match_type == 1 ? is_default
				    : name.p && str_eq(name, c->match);
}

static bool wanted(const struct kafka_describe_client_quotas_req *in, const struct mqs_quota *q)
{
	bool user = false, client = false;

	for (int32_t i = 0; i < in->components.n; i++) {
		const struct kafka_describe_client_quotas_req_component *c = &in->components.v[i];
		bool of_user = str_is(c->entity_type, "user");

		user = user || of_user;
		client = client || !of_user;
		if (!component_fits(c, of_user ? q->user : q->client, of_user ? q->user_default : q->client_default))
			return false;
	}
	return !in->strict ||
	       ((user || (!q->user.p && !q->user_default)) && (client || (!q->client.p && !q->client_default)));
}

static void describe(struct arena *a, const struct mqs_quota *q, struct kafka_describe_client_quotas_res_entry *out)
{
	struct mqs_quota copy = *q;

	out->entity.n = out->values.n = 0;
	out->entity.v = KAFKA_ARRAY(a, kafka_describe_client_quotas_res_entity, 2);
	out->values.v = KAFKA_ARRAY(a, kafka_describe_client_quotas_res_value, ARRAY_LEN(keys));
	if (q->user.p || q->user_default)
		out->entity.v[out->entity.n++] =
			(struct kafka_describe_client_quotas_res_entity){STR("user"), arena_str(a, q->user)};
	if (q->client.p || q->client_default)
		out->entity.v[out->entity.n++] =
			(struct kafka_describe_client_quotas_res_entity){STR("client-id"), arena_str(a, q->client)};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (*number(&copy, i) >= 0)
			out->values.v[out->values.n++] =
				(struct kafka_describe_client_quotas_res_value){str_of(keys[i]), *number(&copy, i)};
}

void mqs_handle_describe_client_quotas(struct mqs_request *rq)
{
	const struct kafka_describe_client_quotas_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_describe_client_quotas_res *res = KAFKA_NEW(rq->arena, kafka_describe_client_quotas_res);

	res->entries.n = 0;
	if (!mqs_may_cluster(rq, OP_DESCRIBE_CONFIGS)) {
		res->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		res->entries.n = -1;
		mqs_answer(rq, res);
		return;
	}
	pthread_rwlock_rdlock(&b->security);
	res->entries.v = KAFKA_ARRAY(rq->arena, kafka_describe_client_quotas_res_entry, b->n_quotas);
	for (size_t i = 0; i < b->n_quotas; i++)
		if (wanted(in, &b->quotas[i]))
			describe(rq->arena, &b->quotas[i], &res->entries.v[res->entries.n++]);
	pthread_rwlock_unlock(&b->security);
	mqs_answer(rq, res);
}
