/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/tokens.h"

#include "base/enc.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define DAY_MS INT64_C(86400000)
#define LIFE_MAX_MS (7 * DAY_MS) /* delegation.token.max.lifetime.ms */
#define LIFE_MS DAY_MS /* delegation.token.expiry.time.ms */
#define PURPOSE "mqs.token"

enum { VERSION = 1, TOKENS_MAX = 10000, RENEWERS_MAX = 100, NAME_MAX_BYTES = 255, SECRET = 64, DIGEST = 32 };

/* The secret is what Kafka calls HMAC: whoever knows it may log in. On disk it is sealed with the installation's key,
 * where there is one; found it is by its digest. */
struct mqs_token {
	struct str id, owner, requester, secret, digest; /* owned */
	struct str *renewers; /* owned */
	uint32_t n_renewers;
	bool app, sealed;
	int64_t issue_ms, max_ms, expiry_ms;
};

/* ---- stored: "token/<id>" ---- */

static void free_token(struct mqs_token *t)
{
	OPENSSL_cleanse((char *)(uintptr_t)t->secret.p, t->secret.n);
	coord_disown(&t->id);
	coord_disown(&t->owner);
	coord_disown(&t->requester);
	coord_disown(&t->secret);
	coord_disown(&t->digest);
	for (uint32_t i = 0; i < t->n_renewers; i++)
		coord_disown(&t->renewers[i]);
	free(t->renewers);
}

static void encode(struct buf *out, const struct mqs_token *t)
{
	buf_u8(out, VERSION);
	buf_u8(out, (uint8_t)(t->app | t->sealed << 1));
	coord_put_str(out, t->owner);
	coord_put_str(out, t->requester);
	coord_put_str(out, t->secret);
	coord_put_str(out, t->digest);
	buf_u64(out, (uint64_t)t->issue_ms);
	buf_u64(out, (uint64_t)t->max_ms);
	buf_u64(out, (uint64_t)t->expiry_ms);
	buf_u32(out, t->n_renewers);
	for (uint32_t i = 0; i < t->n_renewers; i++)
		coord_put_str(out, t->renewers[i]);
}

/* Points into the value, but for the list. */
static bool decode(struct cursor c, struct mqs_token *ret)
{
	if (cursor_u8(&c) != VERSION)
		return false;
	uint8_t flags = cursor_u8(&c);

	*ret = (struct mqs_token){.app = flags & 1, .sealed = flags & 2};
	ret->owner = cursor_str(&c);
	ret->requester = cursor_str(&c);
	ret->secret = cursor_str(&c);
	ret->digest = cursor_str(&c);
	ret->issue_ms = (int64_t)cursor_u64(&c);
	ret->max_ms = (int64_t)cursor_u64(&c);
	ret->expiry_ms = (int64_t)cursor_u64(&c);
	uint32_t n = cursor_u32(&c);

	if (c.failed || n > RENEWERS_MAX || ret->digest.n != DIGEST)
		return false;
	ret->renewers = mem_zalloc((n + 1) * sizeof(struct str));
	for (; ret->n_renewers < n; ret->n_renewers++)
		ret->renewers[ret->n_renewers] = cursor_str(&c);
	if (c.failed)
		free(ret->renewers);
	return !c.failed;
}

void token_replay(struct mqs_broker *b, struct str id, struct str value)
{
	struct mqs_token t;

	for (size_t i = 0; i < b->n_tokens; i++)
		if (str_eq(b->tokens[i].id, id)) {
			free_token(&b->tokens[i]);
			b->tokens[i] = b->tokens[--b->n_tokens];
			break;
		}
	if (!value.p || !decode(cursor_of(value), &t))
		return;
	t.id = coord_own(id);
	t.owner = coord_own(t.owner);
	t.requester = coord_own(t.requester);
	t.secret = coord_own(t.secret);
	t.digest = coord_own(t.digest);
	for (uint32_t i = 0; i < t.n_renewers; i++)
		t.renewers[i] = coord_own(t.renewers[i]);
	b->tokens = mem_realloc(b->tokens, (b->n_tokens + 1) * sizeof(*b->tokens));
	b->tokens[b->n_tokens++] = t;
}

void tokens_free(struct mqs_broker *b)
{
	for (size_t i = 0; i < b->n_tokens; i++)
		free_token(&b->tokens[i]);
	free(b->tokens);
}

/* What is stored is in force behind it. */
static int store(struct mqs_broker *b, const struct mqs_token *t, bool there)
{
	struct buf key, value;

	buf_init(&key, 512);
	buf_init(&value, 65536);
	buf_cstr(&key, "token/");
	buf_str(&key, t->id);
	if (there)
		encode(&value, t);
	struct coord_record rec = {buf_view(&key), there ? buf_view(&value) : STR_NONE};
	int code = key.failed || value.failed ? KAFKA_ERR_INVALID_REQUEST : mqs_statelog_put(&b->state, &rec, 1);

	if (code == 0)
		mqs_security_replay(b, rec.key, rec.value);
	if (value.p)
		OPENSSL_cleanse(value.p, value.n);
	buf_done(&key);
	buf_done(&value);
	return code;
}

/* ---- looking; copies live in the arena ---- */

static void copy(struct arena *a, const struct mqs_token *from, struct mqs_token *to)
{
	*to = *from;
	to->id = arena_str(a, from->id);
	to->owner = arena_str(a, from->owner);
	to->requester = arena_str(a, from->requester);
	to->secret = arena_str(a, from->secret);
	to->digest = arena_str(a, from->digest);
	to->renewers = ARENA_ARRAY(a, struct str, from->n_renewers + 1);
	for (uint32_t i = 0; i < from->n_renewers; i++)
		to->renewers[i] = arena_str(a, from->renewers[i]);
}

static struct mqs_token *all(struct mqs_broker *b, struct arena *a, size_t *ret_n)
{
	pthread_rwlock_rdlock(&b->security);
	struct mqs_token *v = ARENA_ARRAY(a, struct mqs_token, b->n_tokens + 1);

	*ret_n = b->n_tokens;
	for (size_t i = 0; i < b->n_tokens; i++)
		copy(a, &b->tokens[i], &v[i]);
	pthread_rwlock_unlock(&b->security);
	return v;
}

static bool find(struct mqs_broker *b, struct arena *a, struct str id, struct str digest, struct mqs_token *ret)
{
	bool found = false;

	pthread_rwlock_rdlock(&b->security);
	for (size_t i = 0; i < b->n_tokens && !found; i++) {
		const struct mqs_token *t = &b->tokens[i];

		found = id.p ? str_eq(t->id, id) : str_eq_secret(t->digest, digest);
		if (found)
			copy(a, t, ret);
	}
	pthread_rwlock_unlock(&b->security);
	return found;
}

static bool secret_of(struct mqs_broker *b, struct arena *a, const struct mqs_token *t, struct str *ret)
{
	if (t->sealed)
		return b->keys && sign_open(a, b->keys, PURPOSE, t->secret, ret);
	*ret = t->secret;
	return true;
}

static bool expired(const struct mqs_token *t, int64_t now)
{
	return now >= t->expiry_ms || now >= t->max_ms;
}

bool token_login(struct mqs_broker *b, struct arena *a, struct str id, struct token_login *ret)
{
	struct mqs_token t;
	struct str secret;

	if (!find(b, a, id, STR_NONE, &t) || expired(&t, clock_now_ms()) || !secret_of(b, a, &t, &secret))
		return false;
	*ret = (struct token_login){t.owner, enc_base64(a, secret), t.app,
				    t.expiry_ms < t.max_ms ? t.expiry_ms : t.max_ms};
	return true;
}

/* ---- requests; on the worker, one after the other ---- */

/* Whoever logged in by a token gets no more of them, and without a login there is nobody to get one. */
static bool may_ask(struct mqs_request *rq)
{
	const struct mqs_peer *p = mqs_peer(rq);

	return p->sasl && p->authenticated && !p->by_token;
}

static bool is_user(struct str type)
{
	return type.n == 0 || str_is(type, "User");
}

static bool named_by(const struct mqs_token *t, struct str user)
{
	bool found = str_eq(t->owner, user) || str_eq(t->requester, user);

	for (uint32_t i = 0; i < t->n_renewers && !found; i++)
		found = str_eq(t->renewers[i], user);
	return found;
}

static bool may_for(struct mqs_request *rq, struct str owner, int operation)
{
	return mqs_may(rq, ACL_USER, arena_fmt(rq->arena, "User:%.*s", STR_FMT(owner)), operation);
}

/* Tokens whose time is over make room. */
static size_t sweep(struct mqs_request *rq)
{
	struct mqs_broker *b = mqs_broker(rq);
	int64_t now = clock_now_ms();
	size_t n, left = 0;
	struct mqs_token *v = all(b, rq->arena, &n);

	for (size_t i = 0; i < n; i++)
		left += !expired(&v[i], now) || store(b, &v[i], false) != 0;
	return left;
}

static int who(struct mqs_request *rq, struct mqs_token *t)
{
	const struct kafka_create_delegation_token_req *in = rq->in;
	const struct mqs_peer *p = mqs_peer(rq);
	struct str secret, app_id;
	int32_t n = in->renewers.n > 0 ? in->renewers.n : 0;

	t->requester = t->owner = str_of(p->user);
	t->app = p->app;
	if (!is_user(in->owner_principal_type))
		return KAFKA_ERR_INVALID_PRINCIPAL_TYPE;
	if (in->owner_principal_name.n && !str_eq(in->owner_principal_name, t->requester)) {
		t->owner = in->owner_principal_name;
		t->app = mqs_app_secret(mqs_broker(rq), rq->arena, t->owner, &secret, &app_id);
		if (t->owner.n > NAME_MAX_BYTES || !may_for(rq, t->owner, OP_CREATE_TOKENS))
			return KAFKA_ERR_DELEGATION_TOKEN_AUTHORIZATION_FAILED;
	}
	if (n > RENEWERS_MAX)
		return KAFKA_ERR_INVALID_REQUEST;
	t->renewers = ARENA_ARRAY(rq->arena, struct str, (size_t)n + 1);
	for (; t->n_renewers < (uint32_t)n; t->n_renewers++) {
		struct str name = in->renewers.v[t->n_renewers].principal_name;

		if (!is_user(in->renewers.v[t->n_renewers].principal_type) || name.n == 0 || name.n > NAME_MAX_BYTES)
			return KAFKA_ERR_INVALID_PRINCIPAL_TYPE;
		t->renewers[t->n_renewers] = name;
	}
	return 0;
}

static void make_secret(struct mqs_request *rq, struct mqs_token *t, struct str *ret)
{
	struct mqs_broker *b = mqs_broker(rq);
	char *secret = arena_alloc(rq->arena, SECRET), *digest = arena_alloc(rq->arena, DIGEST);

	rnd_bytes(secret, SECRET);
	EVP_Digest(secret, SECRET, (unsigned char *)digest, NULL, EVP_sha256(), NULL);
	*ret = t->secret = (struct str){secret, SECRET};
	t->digest = (struct str){digest, DIGEST};
	t->sealed = b->keys != NULL;
	if (t->sealed)
		t->secret = sign_seal(rq->arena, b->keys, PURPOSE, t->secret);
}

static int create(struct mqs_request *rq, struct mqs_token *t, struct str *ret_secret)
{
	const struct kafka_create_delegation_token_req *in = rq->in;
	int64_t life = in->max_lifetime_ms > 0 && in->max_lifetime_ms < LIFE_MAX_MS ? in->max_lifetime_ms : LIFE_MAX_MS;

	if (!may_ask(rq))
		return KAFKA_ERR_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED;
	int code = who(rq, t);

	if (code == 0 && sweep(rq) >= TOKENS_MAX)
		code = KAFKA_ERR_POLICY_VIOLATION;
	if (code)
		return code;
	t->id = rnd_text(rq->arena, 22, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789");
	t->issue_ms = clock_now_ms();
	t->max_ms = t->issue_ms + life;
	t->expiry_ms = t->issue_ms + (life < LIFE_MS ? life : LIFE_MS);
	make_secret(rq, t, ret_secret);
	return store(mqs_broker(rq), t, true);
}

void mqs_handle_create_delegation_token(struct mqs_request *rq)
{
	struct kafka_create_delegation_token_res *res = KAFKA_NEW(rq->arena, kafka_create_delegation_token_res);
	struct mqs_token t = {0};
	struct str secret = STR("");

	res->error_code = (int16_t)create(rq, &t, &secret);
	if (res->error_code == 0) {
		res->principal_type = res->token_requester_principal_type = STR("User");
		res->principal_name = t.owner;
		res->token_requester_principal_name = t.requester;
		res->issue_timestamp_ms = t.issue_ms;
		res->expiry_timestamp_ms = t.expiry_ms;
		res->max_timestamp_ms = t.max_ms;
		res->token_id = t.id;
		res->hmac = secret;
	}
	mqs_answer(rq, res);
}

/* The token of a secret that the peer may renew and end. */
static int own(struct mqs_request *rq, struct str secret, struct mqs_token *ret)
{
	unsigned char digest[DIGEST];

	if (!may_ask(rq))
		return KAFKA_ERR_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED;
	EVP_Digest(secret.p, secret.n, digest, NULL, EVP_sha256(), NULL);
	if (!find(mqs_broker(rq), rq->arena, STR_NONE, (struct str){(const char *)digest, DIGEST}, ret))
		return KAFKA_ERR_DELEGATION_TOKEN_NOT_FOUND;
	return named_by(ret, str_of(mqs_peer(rq)->user)) ? 0 : KAFKA_ERR_DELEGATION_TOKEN_OWNER_MISMATCH;
}

/* Lets the token live for so long from now on, at most to its end. */
static int prolong(struct mqs_request *rq, struct mqs_token *t, int64_t period, int64_t *ret_ms)
{
	int64_t now = clock_now_ms();

	if (expired(t, now))
		return KAFKA_ERR_DELEGATION_TOKEN_EXPIRED;
	t->expiry_ms = period < t->max_ms - now ? now + period : t->max_ms;
	*ret_ms = t->expiry_ms;
	return store(mqs_broker(rq), t, true);
}

void mqs_handle_renew_delegation_token(struct mqs_request *rq)
{
	const struct kafka_renew_delegation_token_req *in = rq->in;
	struct kafka_renew_delegation_token_res *res = KAFKA_NEW(rq->arena, kafka_renew_delegation_token_res);
	struct mqs_token t;
	int code = own(rq, in->hmac, &t);

	if (code == 0)
		code = prolong(rq, &t, in->renew_period_ms < 0 ? LIFE_MS : in->renew_period_ms,
			       &res->expiry_timestamp_ms);
	res->error_code = (int16_t)code;
	mqs_answer(rq, res);
}

void mqs_handle_expire_delegation_token(struct mqs_request *rq)
{
	const struct kafka_expire_delegation_token_req *in = rq->in;
	struct kafka_expire_delegation_token_res *res = KAFKA_NEW(rq->arena, kafka_expire_delegation_token_res);
	struct mqs_token t;
	int code = own(rq, in->hmac, &t);

	if (code == 0 && in->expiry_time_period_ms < 0) {
		code = store(mqs_broker(rq), &t, false);
		res->expiry_timestamp_ms = clock_now_ms();
	} else if (code == 0) {
		code = prolong(rq, &t, in->expiry_time_period_ms, &res->expiry_timestamp_ms);
	}
	res->error_code = (int16_t)code;
	mqs_answer(rq, res);
}

static bool wanted(struct mqs_request *rq, const struct mqs_token *t)
{
	const struct kafka_describe_delegation_token_req *in = rq->in;
	bool asked = in->owners.n < 0;

	for (int32_t i = 0; i < in->owners.n && !asked; i++)
		asked = is_user(in->owners.v[i].principal_type) && str_eq(in->owners.v[i].principal_name, t->owner);
	return asked && (named_by(t, str_of(mqs_peer(rq)->user)) || mqs_may(rq, ACL_TOKEN, t->id, OP_DESCRIBE) ||
			 may_for(rq, t->owner, OP_DESCRIBE_TOKENS));
}

static void describe(struct arena *a, const struct mqs_token *t, struct str secret,
		     struct kafka_describe_delegation_token_res_token *out)
{
	out->principal_type = out->token_requester_principal_type = STR("User");
	out->principal_name = t->owner;
	out->token_requester_principal_name = t->requester;
	out->issue_timestamp = t->issue_ms;
	out->expiry_timestamp = t->expiry_ms;
	out->max_timestamp = t->max_ms;
	out->token_id = t->id;
	out->hmac = secret;
	out->renewers.n = (int32_t)t->n_renewers;
	out->renewers.v = KAFKA_ARRAY(a, kafka_describe_delegation_token_res_renewer, t->n_renewers);
	for (uint32_t i = 0; i < t->n_renewers; i++) {
		out->renewers.v[i].principal_type = STR("User");
		out->renewers.v[i].principal_name = t->renewers[i];
	}
}

void mqs_handle_describe_delegation_token(struct mqs_request *rq)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_describe_delegation_token_res *res = KAFKA_NEW(rq->arena, kafka_describe_delegation_token_res);
	int64_t now = clock_now_ms();
	size_t n;

	res->tokens.n = 0;
	if (!may_ask(rq)) {
		res->error_code = KAFKA_ERR_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED;
		mqs_answer(rq, res);
		return;
	}
	struct mqs_token *v = all(b, rq->arena, &n);
	struct str secret;

	res->tokens.v = KAFKA_ARRAY(rq->arena, kafka_describe_delegation_token_res_token, n);
	for (size_t i = 0; i < n; i++)
		if (!expired(&v[i], now) && wanted(rq, &v[i]) && secret_of(b, rq->arena, &v[i], &secret))
			describe(rq->arena, &v[i], secret, &res->tokens.v[res->tokens.n++]);
	mqs_answer(rq, res);
}
