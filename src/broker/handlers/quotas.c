/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/quota.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* Quotas as they are stored, described and altered. */

static const char *const keys[] = {[QUOTA_PRODUCE] = "producer_byte_rate",
				   [QUOTA_FETCH] = "consumer_byte_rate",
				   [QUOTA_REQUEST] = "request_percentage",
				   [QUOTA_MUTATION] = "controller_mutation_rate",
				   [QUOTA_CONNECTION] = "connection_creation_rate"};

/* ---- stored: "quota/": user and client, each with a flag; the value are numbers. "quota-ip/": the address or nothing
 * for the default; one number ---- */

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

static void free_quota(struct mqs_quota *q)
{
	coord_disown(&q->user);
	coord_disown(&q->client);
}

static void note_kinds(struct mqs_broker *b)
{
	bool request = false;

	for (size_t i = 0; i < b->n_quotas; i++)
		request = request || b->quotas[i].rate[QUOTA_REQUEST] > 0;
	atomic_store(&b->have_quotas, b->n_quotas > 0);
	atomic_store(&b->have_request_quotas, request);
}

/* The security lock is held for writing. */
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
			free_quota(&b->quotas[i]);
			b->quotas[i] = b->quotas[--b->n_quotas];
			break;
		}
	/* Older versions had fewer kinds. */
	for (int k = 0; k < QUOTA_CLIENT_KINDS; k++)
		q.rate[k] = cursor_left(&v) ? get_double(&v) : -1;
	if (value.p && !v.failed) {
		if (b->n_quotas == b->cap_quotas) {
			b->cap_quotas = b->cap_quotas ? b->cap_quotas * 2 : 16;
			b->quotas = mem_realloc(b->quotas, b->cap_quotas * sizeof(*b->quotas));
		}
		q.user = coord_own(q.user);
		q.client = coord_own(q.client);
		b->quotas[b->n_quotas++] = q;
	}
	note_kinds(b);
}

void mqs_ip_quota_replay(struct mqs_broker *b, struct str ip, struct str value)
{
	struct cursor v = cursor_of(value);
	double rate = get_double(&v);

	for (size_t i = 0; i < b->n_ip_quotas; i++)
		if (str_eq(b->ip_quotas[i].ip, ip)) {
			coord_disown(&b->ip_quotas[i].ip);
			b->ip_quotas[i] = b->ip_quotas[--b->n_ip_quotas];
			break;
		}
	if (value.p && !v.failed) {
		b->ip_quotas = mem_realloc(b->ip_quotas, (b->n_ip_quotas + 1) * sizeof(*b->ip_quotas));
		b->ip_quotas[b->n_ip_quotas++] = (struct mqs_ip_quota){coord_own(ip), rate};
	}
	atomic_store(&b->have_ip_quotas, b->n_ip_quotas > 0);
}

void mqs_quotas_free(struct mqs_broker *b)
{
	for (size_t i = 0; i < b->n_quotas; i++)
		free_quota(&b->quotas[i]);
	for (size_t i = 0; i < b->n_ip_quotas; i++)
		coord_disown(&b->ip_quotas[i].ip);
	free(b->quotas);
	free(b->ip_quotas);
	mqs_usage_free(b);
}

static int put(struct mqs_broker *b, struct buf *key, struct buf *value, bool there)
{
	struct coord_record rec = {buf_view(key), there ? buf_view(value) : STR_NONE};
	int code = key->failed ? KAFKA_ERR_INVALID_REQUEST : mqs_statelog_put(&b->state, &rec, 1);

	if (code == 0)
		mqs_security_replay(b, rec.key, rec.value);
	return code;
}

/* ---- requests ---- */

static int refuse(struct str *ret_text, struct str text)
{
	*ret_text = text;
	return KAFKA_ERR_INVALID_REQUEST;
}

/* Kind of a quota by its name, which must be one of the range, and its value; negative when that is not valid. */
static int kind_of(const struct kafka_alter_client_quotas_req_op *op, int from, int to, struct str *ret_text)
{
	int k = from;

	while (k < to && !str_is(op->key, keys[k]))
		k++;
	if (k == to)
		refuse(ret_text, STR("the entity has no quota of this name"));
	else if (!op->remove && !(op->value > 0))
		refuse(ret_text, STR("the value has to be positive"));
	return k < to && (op->remove || op->value > 0) ? k : -1;
}

static int entity(struct mqs_quota *q, struct str type, struct str name)
{
	bool user = str_is(type, "user");

	if (!user && !str_is(type, "client-id"))
		return KAFKA_ERR_INVALID_REQUEST;
	*(user ? &q->user : &q->client) = name;
	*(user ? &q->user_default : &q->client_default) = !name.p;
	return 0;
}

static int store(struct mqs_broker *b, const struct mqs_quota *q)
{
	struct buf key, value;
	bool there = false;

	buf_init(&key, 65536);
	buf_init(&value, 256);
	key_of(&key, q);
	for (int k = 0; k < QUOTA_CLIENT_KINDS; k++) {
		put_double(&value, q->rate[k]);
		there = there || q->rate[k] >= 0;
	}
	int code = put(b, &key, &value, there);

	buf_done(&key);
	buf_done(&value);
	return code;
}

static int alter_client(struct mqs_request *rq, const struct kafka_alter_client_quotas_req_entry *e,
			struct str *ret_text)
{
	const struct kafka_alter_client_quotas_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_quota q = {0};
	int code = e->entity.n > 0 ? 0 : KAFKA_ERR_INVALID_REQUEST;

	for (int k = 0; k < QUOTA_KINDS; k++)
		q.rate[k] = -1;
	for (int32_t i = 0; i < e->entity.n && !code; i++)
		code = entity(&q, e->entity.v[i].entity_type, e->entity.v[i].entity_name);
	if (code)
		return refuse(ret_text, STR("quotas are of a user, a client-id, both, or an ip"));
	pthread_rwlock_rdlock(&b->security);
	for (size_t i = 0; i < b->n_quotas; i++)
		if (same(&b->quotas[i], &q))
			memcpy(q.rate, b->quotas[i].rate, sizeof(q.rate));
	pthread_rwlock_unlock(&b->security);
	for (int32_t i = 0; i < e->ops.n; i++) {
		int k = kind_of(&e->ops.v[i], 0, QUOTA_CLIENT_KINDS, ret_text);

		if (k < 0)
			return KAFKA_ERR_INVALID_REQUEST;
		q.rate[k] = e->ops.v[i].remove ? -1 : e->ops.v[i].value;
	}
	return in->validate_only ? 0 : store(b, &q);
}

/* The address as the server writes it; "" for the default. */
static bool address(struct str name, char *ret, size_t n)
{
	struct in6_addr a;
	char text[INET6_ADDRSTRLEN];

	ret[0] = 0;
	if (!name.p)
		return true;
	if (name.n >= sizeof(text))
		return false;
	memcpy(text, name.p, name.n);
	text[name.n] = 0;
	for (int family = AF_INET;; family = AF_INET6) {
		if (inet_pton(family, text, &a) == 1)
			return inet_ntop(family, &a, ret, (socklen_t)n);
		if (family == AF_INET6)
			return false;
	}
}

static int alter_ip(struct mqs_request *rq, const struct kafka_alter_client_quotas_req_entry *e, struct str *ret_text)
{
	const struct kafka_alter_client_quotas_req *in = rq->in;
	char ip[INET6_ADDRSTRLEN];
	struct buf key, value;
	int code = 0;

	if (e->entity.n != 1 || !address(e->entity.v[0].entity_name, ip, sizeof(ip)))
		return refuse(ret_text, STR("an ip is an address of IPv4 or IPv6, and stands alone"));
	for (int32_t i = 0; i < e->ops.n; i++)
		if (kind_of(&e->ops.v[i], QUOTA_CONNECTION, QUOTA_KINDS, ret_text) < 0)
			return KAFKA_ERR_INVALID_REQUEST;
	buf_init(&key, 256);
	buf_init(&value, 64);
	buf_fmt(&key, "quota-ip/%s", ip);
	for (int32_t i = 0; i < e->ops.n && !in->validate_only && !code; i++) {
		buf_reset(&value);
		put_double(&value, e->ops.v[i].value);
		code = put(mqs_broker(rq), &key, &value, !e->ops.v[i].remove);
	}
	buf_done(&key);
	buf_done(&value);
	return code;
}

static int alter(struct mqs_request *rq, const struct kafka_alter_client_quotas_req_entry *e, struct str *ret_text)
{
	*ret_text = STR_NONE;
	for (int32_t i = 0; i < e->entity.n; i++)
		if (str_is(e->entity.v[i].entity_type, "ip"))
			return alter_ip(rq, e, ret_text);
	return alter_client(rq, e, ret_text);
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

		if (!of_user && !str_is(c->entity_type, "client-id"))
			return false;
		user = user || of_user;
		client = client || !of_user;
		if (!component_fits(c, of_user ? q->user : q->client, of_user ? q->user_default : q->client_default))
			return false;
	}
	return !in->strict ||
	       ((user || (!q->user.p && !q->user_default)) && (client || (!q->client.p && !q->client_default)));
}

static bool wanted_ip(const struct kafka_describe_client_quotas_req *in, struct str ip)
{
	for (int32_t i = 0; i < in->components.n; i++)
		if (!str_is(in->components.v[i].entity_type, "ip") ||
		    !component_fits(&in->components.v[i], ip.n ? ip : STR_NONE, ip.n == 0))
			return false;
	return !in->strict || in->components.n > 0;
}

static void describe(struct arena *a, const struct mqs_quota *q, struct kafka_describe_client_quotas_res_entry *out)
{
	out->entity.n = out->values.n = 0;
	out->entity.v = KAFKA_ARRAY(a, kafka_describe_client_quotas_res_entity, 2);
	out->values.v = KAFKA_ARRAY(a, kafka_describe_client_quotas_res_value, ARRAY_LEN(keys));
	if (q->user.p || q->user_default)
		out->entity.v[out->entity.n++] =
			(struct kafka_describe_client_quotas_res_entity){STR("user"), arena_str(a, q->user)};
	if (q->client.p || q->client_default)
		out->entity.v[out->entity.n++] =
			(struct kafka_describe_client_quotas_res_entity){STR("client-id"), arena_str(a, q->client)};
	for (int k = 0; k < QUOTA_CLIENT_KINDS; k++)
		if (q->rate[k] >= 0)
			out->values.v[out->values.n++] =
				(struct kafka_describe_client_quotas_res_value){str_of(keys[k]), q->rate[k]};
}

static void describe_ip(struct arena *a, const struct mqs_ip_quota *q,
			struct kafka_describe_client_quotas_res_entry *out)
{
	out->entity.n = out->values.n = 1;
	out->entity.v = KAFKA_ARRAY(a, kafka_describe_client_quotas_res_entity, 1);
	out->values.v = KAFKA_ARRAY(a, kafka_describe_client_quotas_res_value, 1);
	out->entity.v[0] =
		(struct kafka_describe_client_quotas_res_entity){STR("ip"), q->ip.n ? arena_str(a, q->ip) : STR_NONE};
	out->values.v[0] = (struct kafka_describe_client_quotas_res_value){str_of(keys[QUOTA_CONNECTION]), q->rate};
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
	res->entries.v = KAFKA_ARRAY(rq->arena, kafka_describe_client_quotas_res_entry, b->n_quotas + b->n_ip_quotas);
	for (size_t i = 0; i < b->n_quotas; i++)
		if (wanted(in, &b->quotas[i]))
			describe(rq->arena, &b->quotas[i], &res->entries.v[res->entries.n++]);
	for (size_t i = 0; i < b->n_ip_quotas; i++)
		if (wanted_ip(in, b->ip_quotas[i].ip))
			describe_ip(rq->arena, &b->ip_quotas[i], &res->entries.v[res->entries.n++]);
	pthread_rwlock_unlock(&b->security);
	mqs_answer(rq, res);
}
