/* SPDX-License-Identifier: Apache-2.0 */
#include "base/enc.h"
#include "broker/handlers/tokens.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

/* SASL PLAIN (RFC 4616) and SCRAM-SHA-256 and -512 (RFC 5802, RFC 7677). The user is an application's key with its
 * secret, or a user made with AlterUserScramCredentials. */

enum { NONE, SCRAM_256, SCRAM_512, PLAIN };
enum { START, FINAL, NONCE = 24, ITERATIONS = 4096, ITERATIONS_MAX = 16384, MANY = 1000, FIELD_MAX = 1024 };

static const char *const names[] = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};
static const int numbers[] = {PLAIN, SCRAM_256, SCRAM_512};

struct key {
	unsigned char b[64];
};

/* An exchange under way. */
struct scram {
	struct key stored, server;
	bool known, by_token;
	int64_t expiry_ms; /* of the token */
	char user[256], app_id[64];
	struct buf first; /* client-first-message-bare ',' server-first-message */
	struct buf nonce;
};

static void scram_free(void *state)
{
	struct scram *s = state;

	if (!s)
		return;
	buf_done(&s->first);
	buf_done(&s->nonce);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

static const EVP_MD *digest(int mechanism)
{
	return mechanism == SCRAM_512 ? EVP_sha512() : EVP_sha256();
}

static size_t size_of(int mechanism)
{
	return mechanism == SCRAM_512 ? 64 : 32;
}

static struct key hmac(int mechanism, struct str secret, struct str text)
{
	struct key k = {{0}};
	unsigned n = sizeof(k.b);

	HMAC(digest(mechanism), secret.p, (int)secret.n, (const unsigned char *)text.p, text.n, k.b, &n);
	return k;
}

static struct str bytes(const struct key *k, int mechanism)
{
	return (struct str){(const char *)k->b, size_of(mechanism)};
}

static void derive_from_salted(int mechanism, struct str salted, struct key *ret_stored, struct key *ret_server)
{
	struct key client = hmac(mechanism, salted, STR("Client Key"));

	EVP_Digest(client.b, size_of(mechanism), ret_stored->b, NULL, digest(mechanism), NULL);
	*ret_server = hmac(mechanism, salted, STR("Server Key"));
}

static void derive(int mechanism, struct str password, struct str salt, int iterations, struct key *ret_stored,
		   struct key *ret_server)
{
	struct key salted = {{0}};

	PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)salt.p, (int)salt.n, iterations,
			  digest(mechanism), (int)size_of(mechanism), salted.b);
	derive_from_salted(mechanism, bytes(&salted, mechanism), ret_stored, ret_server);
	OPENSSL_cleanse(&salted, sizeof(salted));
}

/* ---- credentials ---- */

static bool stored_credential(struct mqs_broker *b, struct arena *a, struct str user, int mechanism,
			      struct mqs_scram *ret)
{
	bool found = false;

	pthread_rwlock_rdlock(&b->security);
	for (size_t i = 0; i < b->n_scram && !found; i++)
		if (b->scram[i].mechanism == mechanism && str_eq(b->scram[i].user, user)) {
			*ret = b->scram[i];
			ret->user = arena_str(a, ret->user);
			ret->salt = arena_str(a, ret->salt);
			ret->stored_key = arena_str(a, ret->stored_key);
			ret->server_key = arena_str(a, ret->server_key);
			found = true;
		}
	pthread_rwlock_unlock(&b->security);
	return found;
}

/* expiry_ms: of the token that was used, or 0. */
static void welcome(struct mqs_request *rq, struct str user, struct str app_id, int64_t expiry_ms)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_peer *p = mqs_peer(rq);

	snprintf(p->user, sizeof(p->user), "%.*s", STR_FMT(user));
	snprintf(p->app_id, sizeof(p->app_id), "%.*s", STR_FMT(app_id));
	p->app = app_id.p && app_id.n;
	p->administrator = mqs_administrator(b, user);
	p->authenticated = true;
	if (b->options.sasl_lifetime_ms)
		p->expires_ms = clock_now_ms() + b->options.sasl_lifetime_ms;
	p->by_token = expiry_ms > 0;
	if (p->by_token && (!b->options.sasl_lifetime_ms || expiry_ms < p->expires_ms))
		p->expires_ms = expiry_ms;
}

static void forget(struct mqs_peer *p)
{
	if (p->free_state)
		p->free_state(p->sasl_state);
	p->sasl_state = NULL;
	p->free_state = NULL;
	p->step = START;
}

/* Another user may not take over a connection by authenticating again. */
static bool same_user(const struct mqs_peer *p, struct str user)
{
	return !p->authenticated || str_is(user, p->user);
}

/* ---- PLAIN ---- */

static bool plain_stored(struct mqs_request *rq, struct str user, struct str password)
{
	struct mqs_scram cred;

	for (int m = SCRAM_256; m <= SCRAM_512; m++)
		if (stored_credential(mqs_broker(rq), rq->arena, user, m, &cred)) {
			struct key stored, server;

			derive(m, password, cred.salt, cred.iterations, &stored, &server);
			if (str_eq_secret(bytes(&stored, m), cred.stored_key))
				return true;
		}
	return false;
}

static bool plain(struct mqs_request *rq, struct str message)
{
	size_t first = str_find(message, 0, 0),
	       second = first < message.n ? str_find(message, 0, first + 1) : message.n;
	struct str secret, app_id = STR_NONE;

	if (second >= message.n)
		return false;
	struct str user = str_sub(message, first + 1, second), password = str_sub(message, second + 1, message.n);

	if (user.n == 0 || user.n > 255 || password.n > FIELD_MAX || !same_user(mqs_peer(rq), user))
		return false;
	bool good = mqs_app_secret(mqs_broker(rq), rq->arena, user, &secret, &app_id)
			    ? str_eq_secret(secret, password)
			    : plain_stored(rq, user, password);

	if (good)
		welcome(rq, user, app_id, 0);
	return good;
}

/* ---- SCRAM ---- */

/* "r=...": the value of the attribute when the next field is that one. */
static bool field(struct str *rest, char name, struct str *ret)
{
	struct str part = rest->p ? str_cut(rest, ',') : STR_NONE;

	if (part.n < 2 || part.p[0] != name || part.p[1] != '=')
		return false;
	*ret = str_sub(part, 2, part.n);
	return true;
}

/* "=2C" and "=3D" stand for ',' and '='. */
static bool unescape(struct arena *a, struct str in, struct str *ret)
{
	char *p = arena_alloc(a, in.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++) {
		if (in.p[i] != '=') {
			p[n++] = in.p[i];
			continue;
		}
		if (i + 2 >= in.n ||
		    !(str_eq(str_sub(in, i, i + 3), STR("=2C")) || str_eq(str_sub(in, i, i + 3), STR("=3D"))))
			return false;
		p[n++] = in.p[i + 2] == 'C' ? ',' : '=';
		i += 2;
	}
	*ret = (struct str){p, n};
	return n > 0;
}

/* Salt for users that have none stored: the same for a name at each try, so that nobody learns which names exist. */
static struct str made_salt(struct mqs_broker *b, struct arena *a, struct str user)
{
	struct key k = hmac(SCRAM_256, b->cluster_id, user);

	return arena_str(a, (struct str){(const char *)k.b, 16});
}

static bool wants_token(struct str extensions)
{
	while (extensions.p)
		if (str_is(str_cut(&extensions, ','), "tokenauth=true"))
			return true;
	return false;
}

/* False when the peer is somebody else already. An unknown name goes on, to fail at the end. */
static bool by_name(struct mqs_request *rq, struct scram *s, struct str user, struct mqs_scram *cred)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_peer *p = mqs_peer(rq);
	struct str secret, app_id = STR_NONE;

	snprintf(s->user, sizeof(s->user), "%.*s", STR_FMT(user));
	if (mqs_app_secret(b, rq->arena, user, &secret, &app_id)) {
		derive(p->mechanism, secret, cred->salt, ITERATIONS, &s->stored, &s->server);
		snprintf(s->app_id, sizeof(s->app_id), "%.*s", STR_FMT(app_id));
		s->known = true;
	} else if (stored_credential(b, rq->arena, user, p->mechanism, cred) &&
		   cred->stored_key.n == size_of(p->mechanism) && cred->server_key.n == size_of(p->mechanism)) {
		memcpy(s->stored.b, cred->stored_key.p, cred->stored_key.n);
		memcpy(s->server.b, cred->server_key.p, cred->server_key.n);
		s->known = true;
	}
	return same_user(p, user);
}

/* As by_name(), with the name of a token. A token of an application ends with the application. */
static bool by_token(struct mqs_request *rq, struct scram *s, struct str id, struct str salt)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_peer *p = mqs_peer(rq);
	struct token_login login;
	struct str secret, app_id = STR_NONE;

	if (!token_login(b, rq->arena, id, &login))
		return !p->authenticated;
	if (login.app && !mqs_app_secret(b, rq->arena, login.owner, &secret, &app_id))
		return !p->authenticated;
	derive(p->mechanism, login.password, salt, ITERATIONS, &s->stored, &s->server);
	snprintf(s->user, sizeof(s->user), "%.*s", STR_FMT(login.owner));
	snprintf(s->app_id, sizeof(s->app_id), "%.*s", STR_FMT(app_id));
	s->expiry_ms = login.expiry_ms;
	s->known = true;
	return same_user(p, login.owner);
}

static bool scram_first(struct mqs_request *rq, struct str message, struct str *ret_answer)
{
	struct mqs_peer *p = mqs_peer(rq);
	struct mqs_broker *b = mqs_broker(rq);
	struct str rest = message, name, user, nonce;
	struct mqs_scram cred = {.iterations = ITERATIONS};

	/* "n,," or "y,,", with an authorization identity that is ignored as Kafka does */
	struct str binding = str_cut(&rest, ',');

	if (!(str_is(binding, "n") || str_is(binding, "y")) || !rest.p)
		return false;
	str_cut(&rest, ',');
	if (!rest.p || rest.n > FIELD_MAX)
		return false;
	struct str bare = rest;

	if (!field(&rest, 'n', &name) || !field(&rest, 'r', &nonce) || !unescape(rq->arena, name, &user) ||
	    user.n > 255 || nonce.n == 0)
		return false;
	struct scram *s = mem_zalloc(sizeof(*s));

	buf_init(&s->first, 8192);
	buf_init(&s->nonce, 4096);
	p->sasl_state = s;
	p->free_state = scram_free;
	cred.salt = made_salt(b, rq->arena, user);
	s->by_token = wants_token(rest);
	if (!(s->by_token ? by_token(rq, s, user, cred.salt) : by_name(rq, s, user, &cred)))
		return false;
	buf_str(&s->nonce, nonce);
	buf_str(&s->nonce,
		rnd_text(rq->arena, NONCE, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"));
	*ret_answer = arena_fmt(rq->arena, "r=%.*s,s=%.*s,i=%d", STR_FMT(buf_view(&s->nonce)),
				STR_FMT(enc_base64(rq->arena, cred.salt)), cred.iterations);
	buf_str(&s->first, bare);
	buf_char(&s->first, ',');
	buf_str(&s->first, *ret_answer);
	p->step = FINAL;
	return true;
}

/* The client repeats the whole nonce. librdkafka before 2.6.1, Debian's among them, puts its own part before it once
 * more; what is proved covers the whole all the same. */
static bool nonce_fits(struct str nonce, struct str whole)
{
	struct str own = str_sub(whole, 0, whole.n - NONCE);

	return str_eq(nonce, whole) ||
	       (nonce.n == own.n + whole.n && str_starts(nonce, own) && str_eq(str_sub(nonce, own.n, nonce.n), whole));
}

static bool scram_final(struct mqs_request *rq, struct str message, struct str *ret_answer)
{
	struct mqs_peer *p = mqs_peer(rq);
	struct scram *s = p->sasl_state;
	struct str rest = message, channel, nonce, proof = STR_NONE, proof_text;
	size_t n = size_of(p->mechanism), at = message.n;
	unsigned char client[64], stored[64];

	if (message.n > 4 * FIELD_MAX || !field(&rest, 'c', &channel) || !field(&rest, 'r', &nonce) ||
	    !nonce_fits(nonce, buf_view(&s->nonce)))
		return false;
	while (at > 2 && !(message.p[at - 1] == '=' && message.p[at - 2] == 'p' && message.p[at - 3] == ','))
		at--;
	if (at <= 2)
		return false;
	proof_text = str_sub(message, at, message.n);
	if (!enc_unbase64(rq->arena, proof_text, &proof) || proof.n != n)
		return false;
	struct str auth =
		arena_fmt(rq->arena, "%.*s,%.*s", STR_FMT(buf_view(&s->first)), STR_FMT(str_sub(message, 0, at - 3)));
	struct key signature = hmac(p->mechanism, bytes(&s->stored, p->mechanism), auth);

	for (size_t i = 0; i < n; i++)
		client[i] = (unsigned char)(proof.p[i] ^ signature.b[i]);
	EVP_Digest(client, n, stored, NULL, digest(p->mechanism), NULL);
	if (CRYPTO_memcmp(stored, s->stored.b, n) != 0 || !s->known)
		return false;
	struct key server = hmac(p->mechanism, bytes(&s->server, p->mechanism), auth);

	*ret_answer = arena_fmt(rq->arena, "v=%.*s", STR_FMT(enc_base64(rq->arena, bytes(&server, p->mechanism))));
	welcome(rq, str_of(s->user), s->app_id[0] ? str_of(s->app_id) : STR_NONE, s->expiry_ms);
	return true;
}

/* ---- requests ---- */

void mqs_handle_sasl_handshake(struct mqs_request *rq)
{
	const struct kafka_sasl_handshake_req *in = rq->in;
	struct mqs_peer *p = mqs_peer(rq);
	struct kafka_sasl_handshake_res *res = KAFKA_NEW(rq->arena, kafka_sasl_handshake_res);

	res->mechanisms.n = ARRAY_LEN(names);
	res->mechanisms.v = ARENA_ARRAY(rq->arena, struct str, ARRAY_LEN(names));
	res->error_code = p->sasl ? KAFKA_ERR_UNSUPPORTED_SASL_MECHANISM : KAFKA_ERR_ILLEGAL_SASL_STATE;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		res->mechanisms.v[i] = str_of(names[i]);
		if (p->sasl && str_is(in->mechanism, names[i])) {
			forget(p);
			p->mechanism = numbers[i];
			res->error_code = 0;
		}
	}
	mqs_answer(rq, res);
}

void mqs_handle_sasl_authenticate(struct mqs_request *rq)
{
	const struct kafka_sasl_authenticate_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_peer *p = mqs_peer(rq);
	struct kafka_sasl_authenticate_res *res = KAFKA_NEW(rq->arena, kafka_sasl_authenticate_res);
	struct str answer = STR("");
	bool was_final = p->step == FINAL;
	bool good = p->mechanism == PLAIN  ? plain(rq, in->auth_bytes)
		    : p->mechanism == NONE ? false
		    : was_final            ? scram_final(rq, in->auth_bytes, &answer)
					   : scram_first(rq, in->auth_bytes, &answer);

	if (p->mechanism == NONE) {
		res->error_code = KAFKA_ERR_ILLEGAL_SASL_STATE;
		rq->last = true;
	} else if (!good) {
		res->error_code = KAFKA_ERR_SASL_AUTHENTICATION_FAILED;
		res->error_message = STR("Authentication failed: wrong user or password.");
		rq->last = true;
		atomic_fetch_add(&mqs_server_stats(b->server)->auth_failures, 1);
	} else if (p->mechanism == PLAIN || was_final) {
		res->session_lifetime_ms = p->expires_ms ? p->expires_ms - clock_now_ms() : 0;
		forget(p);
		p->mechanism = NONE;
	}
	if (!good)
		forget(p);
	res->auth_bytes = answer;
	mqs_answer(rq, res);
}

/* ---- SCRAM users ---- */

static bool asked(const struct kafka_describe_user_scram_credentials_req *in, struct str user)
{
	for (int32_t i = 0; i < in->users.n; i++)
		if (str_eq(in->users.v[i].name, user))
			return true;
	return in->users.n <= 0;
}

static struct kafka_describe_user_scram_credentials_res_result *
result_of(struct mqs_request *rq, struct kafka_describe_user_scram_credentials_res *res, struct str user)
{
	for (int32_t i = 0; i < res->results.n; i++)
		if (str_eq(res->results.v[i].user, user))
			return &res->results.v[i];
	struct kafka_describe_user_scram_credentials_res_result *r = &res->results.v[res->results.n++];

	r->user = arena_str(rq->arena, user);
	r->credential_infos.n = 0;
	r->credential_infos.v = KAFKA_ARRAY(rq->arena, kafka_describe_user_scram_credentials_res_credential_info, 2);
	return r;
}

void mqs_handle_describe_user_scram_credentials(struct mqs_request *rq)
{
	const struct kafka_describe_user_scram_credentials_req *in = rq->in;
	struct mqs_broker *b = mqs_broker(rq);
	struct kafka_describe_user_scram_credentials_res *res =
		KAFKA_NEW(rq->arena, kafka_describe_user_scram_credentials_res);
	int32_t n = in->users.n > 0 && in->users.n < MANY ? in->users.n : 0;

	res->results.n = 0;
	if (!mqs_may_cluster(rq, OP_DESCRIBE)) {
		res->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		mqs_answer(rq, res);
		return;
	}
	pthread_rwlock_rdlock(&b->security);
	res->results.v =
		KAFKA_ARRAY(rq->arena, kafka_describe_user_scram_credentials_res_result, b->n_scram + (size_t)n);
	for (size_t i = 0; i < b->n_scram; i++)
		if (asked(in, b->scram[i].user)) {
			struct kafka_describe_user_scram_credentials_res_result *r =
				result_of(rq, res, b->scram[i].user);

			r->credential_infos.v[r->credential_infos.n].mechanism = (int8_t)b->scram[i].mechanism;
			r->credential_infos.v[r->credential_infos.n++].iterations = b->scram[i].iterations;
		}
	pthread_rwlock_unlock(&b->security);
	for (int32_t i = 0; i < n; i++) {
		struct kafka_describe_user_scram_credentials_res_result *r = result_of(rq, res, in->users.v[i].name);

		if (r->credential_infos.n == 0)
			r->error_code = KAFKA_ERR_RESOURCE_NOT_FOUND;
	}
	mqs_answer(rq, res);
}

static int put(struct mqs_request *rq, struct str user, int mechanism, struct str value)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct str key = arena_fmt(rq->arena, "scram/%d/%.*s", mechanism, STR_FMT(user));
	struct coord_record rec = {key, value};
	int code = mqs_statelog_put(&b->state, &rec, 1);

	if (code == 0)
		mqs_security_replay(b, key, value);
	return code;
}

static int upsert(struct mqs_request *rq, const struct kafka_alter_user_scram_credentials_req_upsertion *u)
{
	struct key stored, server;
	struct buf value;

	if (u->mechanism != SCRAM_256 && u->mechanism != SCRAM_512)
		return KAFKA_ERR_UNSUPPORTED_SASL_MECHANISM;
	if (u->name.n == 0 || u->name.n > 255 || u->iterations < ITERATIONS || u->iterations > ITERATIONS_MAX ||
	    u->salt.n == 0 || u->salt.n > FIELD_MAX || u->salted_password.n != size_of(u->mechanism))
		return KAFKA_ERR_UNACCEPTABLE_CREDENTIAL;
	derive_from_salted(u->mechanism, u->salted_password, &stored, &server);
	buf_init(&value, 8192);
	buf_u32(&value, (uint32_t)u->iterations);
	coord_put_str(&value, u->salt);
	coord_put_str(&value, bytes(&stored, u->mechanism));
	coord_put_str(&value, bytes(&server, u->mechanism));
	int code = put(rq, u->name, u->mechanism, buf_view(&value));

	buf_done(&value);
	return code;
}

static int delete (struct mqs_request *rq, const struct kafka_alter_user_scram_credentials_req_deletion *d)
{
	struct mqs_scram cred;

	if (d->mechanism != SCRAM_256 && d->mechanism != SCRAM_512)
		return KAFKA_ERR_UNSUPPORTED_SASL_MECHANISM;
	if (!stored_credential(mqs_broker(rq), rq->arena, d->name, d->mechanism, &cred))
		return KAFKA_ERR_RESOURCE_NOT_FOUND;
	return put(rq, d->name, d->mechanism, STR_NONE);
}

void mqs_handle_alter_user_scram_credentials(struct mqs_request *rq)
{
	const struct kafka_alter_user_scram_credentials_req *in = rq->in;
	struct kafka_alter_user_scram_credentials_res *res =
		KAFKA_NEW(rq->arena, kafka_alter_user_scram_credentials_res);
	int32_t d = in->deletions.n > 0 && in->deletions.n < MANY ? in->deletions.n : 0;
	int32_t u = in->upsertions.n > 0 && in->upsertions.n < MANY ? in->upsertions.n : 0;
	bool may = mqs_may_cluster(rq, OP_ALTER);

	res->results.n = d + u;
	res->results.v = KAFKA_ARRAY(rq->arena, kafka_alter_user_scram_credentials_res_result, (size_t)(d + u));
	for (int32_t i = 0; i < d + u; i++) {
		struct kafka_alter_user_scram_credentials_res_result *r = &res->results.v[i];

		r->user = i < d ? in->deletions.v[i].name : in->upsertions.v[i - d].name;
		r->error_code = !may    ? (int16_t)KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED
				: i < d ? (int16_t) delete (rq, &in->deletions.v[i])
					: (int16_t)upsert(rq, &in->upsertions.v[i - d]);
	}
	mqs_answer(rq, res);
}
