/* SPDX-License-Identifier: Apache-2.0 */
#include "base/enc.h"
#include "base/rnd.h"
#include "kafka/error.h"
#include "kclient/priv.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define MAX_ITERATIONS 200000 /* some 100 ms; Kafka itself makes at most 16384 */
#define MAX_BYTES 4096

/* PLAIN and SCRAM as SASL messages in SaslAuthenticate requests (KIP-152). Names and passwords are taken as they are,
 * without SASLprep, as Kafka does. */

struct key {
	unsigned char b[64];
	size_t n;
};

static struct str bytes(const struct key *k)
{
	return (struct str){(const char *)k->b, k->n};
}

static struct key hmac(const EVP_MD *md, struct str secret, struct str text)
{
	struct key k = {.n = (size_t)EVP_MD_get_size(md)};
	unsigned n = sizeof(k.b);

	HMAC(md, secret.p, (int)secret.n, (const unsigned char *)text.p, text.n, k.b, &n);
	return k;
}

/* "r=...": the value when the next field is that one. */
static bool field(struct str *rest, char name, struct str *ret)
{
	struct str part = rest->p ? str_cut(rest, ',') : STR_NONE;

	if (part.n < 3 || part.p[0] != name || part.p[1] != '=')
		return false;
	*ret = str_sub(part, 2, part.n);
	return true;
}

/* RFC 5802 section 3. */
static void prove(struct arena *a, const EVP_MD *md, const struct key *salted, struct str auth, struct str *ret_proof,
		  struct str *ret_signature)
{
	struct key client = hmac(md, bytes(salted), STR("Client Key")), stored = {.n = client.n};
	struct key server = hmac(md, bytes(salted), STR("Server Key"));

	EVP_Digest(client.b, client.n, stored.b, NULL, md, NULL);
	struct key signature = hmac(md, bytes(&stored), auth), expected = hmac(md, bytes(&server), auth);

	for (size_t i = 0; i < client.n; i++)
		client.b[i] ^= signature.b[i];
	*ret_proof = enc_base64(a, bytes(&client));
	*ret_signature = arena_str(a, bytes(&expected));
}

bool kclient__scram_final(struct arena *a, bool sha512, struct str password, struct str first_bare, struct str nonce,
			  struct str server_first, struct str *ret_message, struct str *ret_signature)
{
	const EVP_MD *md = sha512 ? EVP_sha512() : EVP_sha256();
	struct key salted = {.n = (size_t)EVP_MD_get_size(md)};
	struct str rest = server_first, whole, salt, count, proof;
	long long iterations;

	if (!field(&rest, 'r', &whole) || !field(&rest, 's', &salt) || !field(&rest, 'i', &count) ||
	    !str_starts(whole, nonce) || whole.n == nonce.n || !enc_unbase64(a, salt, &salt) ||
	    !str_to_int(count, 1, MAX_ITERATIONS, &iterations))
		return false;
	PKCS5_PBKDF2_HMAC(password.p, (int)password.n, (const unsigned char *)salt.p, (int)salt.n, (int)iterations, md,
			  (int)salted.n, salted.b);
	/* biws: "n,,", no channel binding */
	struct str without = arena_fmt(a, "c=biws,r=%.*s", STR_FMT(whole));
	struct str auth = arena_fmt(a, "%.*s,%.*s,%.*s", STR_FMT(first_bare), STR_FMT(server_first), STR_FMT(without));

	prove(a, md, &salted, auth, &proof, ret_signature);
	OPENSSL_cleanse(&salted, sizeof(salted));
	*ret_message = arena_fmt(a, "%.*s,p=%.*s", STR_FMT(without), STR_FMT(proof));
	return true;
}

static int handshake(struct kclient *c, struct err *err)
{
	struct kafka_sasl_handshake_req *req = KAFKA_NEW(c->arena, kafka_sasl_handshake_req);
	struct kafka_sasl_handshake_res *res = KAFKA_NEW(c->arena, kafka_sasl_handshake_res);

	req->mechanism = c->settings->mechanism;
	int rc = kclient_call(c, KAFKA_API_SASL_HANDSHAKE, req, res, err);

	if (rc || !res->error_code)
		return rc;
	return kclient__unfit(c, err,
			      res->error_code == KAFKA_ERR_UNSUPPORTED_SASL_MECHANISM
				      ? "it does not offer the SASL mechanism"
				      : "it takes no SASL there");
}

static int step(struct kclient *c, struct str message, struct str *ret, struct err *err)
{
	struct kafka_sasl_authenticate_req *req = KAFKA_NEW(c->arena, kafka_sasl_authenticate_req);
	struct kafka_sasl_authenticate_res *res = KAFKA_NEW(c->arena, kafka_sasl_authenticate_res);

	req->auth_bytes = message;
	int rc = kclient_call(c, KAFKA_API_SASL_AUTHENTICATE, req, res, err);

	if (rc)
		return rc;
	if (res->error_code)
		return kclient__unfit(c, err, "it refuses the user or his password");
	*ret = res->auth_bytes;
	return 0;
}

static int plain(struct kclient *c, struct err *err)
{
	const struct kclient_settings *s = c->settings;
	struct str answer;
	struct buf b;

	buf_init(&b, MAX_BYTES);
	buf_char(&b, 0);
	buf_str(&b, s->user);
	buf_char(&b, 0);
	buf_str(&b, s->password);
	int rc = b.failed ? kclient__unfit(c, err, "user and password are too long")
			  : step(c, buf_view(&b), &answer, err);

	if (b.p)
		OPENSSL_cleanse(b.p, b.n);
	buf_done(&b);
	return rc;
}

/* ',' and '=' have a meaning in SCRAM messages. */
static struct str escaped(struct arena *a, struct str name)
{
	struct buf b;

	buf_init(&b, 3 * name.n + 1);
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] == ',' || name.p[i] == '=')
			buf_cstr(&b, name.p[i] == ',' ? "=2C" : "=3D");
		else
			buf_char(&b, name.p[i]);
	struct str ret = arena_str(a, buf_view(&b));

	buf_done(&b);
	return ret;
}

static int scram(struct kclient *c, bool sha512, struct err *err)
{
	struct arena *a = c->arena;
	struct str nonce = rnd_id(a), answer, message, signature, proof;
	struct str first = arena_fmt(a, "n=%.*s,r=%.*s", STR_FMT(escaped(a, c->settings->user)), STR_FMT(nonce));
	int rc = step(c, arena_fmt(a, "n,,%.*s", STR_FMT(first)), &answer, err);

	if (rc)
		return rc;
	if (!answer.p || answer.n > MAX_BYTES ||
	    !kclient__scram_final(a, sha512, c->settings->password, first, nonce, answer, &message, &signature))
		return kclient__unfit(c, err, "its SCRAM message is not one");
	rc = step(c, message, &answer, err);
	if (rc)
		return rc;
	/* Only who knows the user's password, or what is stored of it, can say this. */
	if (!answer.p || !field(&answer, 'v', &proof) || !enc_unbase64(a, proof, &proof) ||
	    !str_eq_secret(proof, signature))
		return kclient__unfit(c, err, "it does not prove that it knows the user");
	return 0;
}

int kclient__login(struct kclient *c, struct err *err)
{
	int rc = handshake(c, err);

	if (rc)
		return rc;
	return str_is(c->settings->mechanism, "PLAIN") ? plain(c, err)
						       : scram(c, str_is(c->settings->mechanism, "SCRAM-SHA-512"), err);
}
