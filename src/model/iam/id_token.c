/* SPDX-License-Identifier: Apache-2.0 */
#include "model/iam/id_token.h"

#include "base/enc.h"
#include "base/log.h"
#include "json/json.h"
#include "sign/jwk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define MAX_FILE ((size_t)1 << 20)
#define MAX_TOKEN ((size_t)64 << 10)
#define LEEWAY_MS 60000 /* between the clocks */

static int refuse(struct model *m, const char *why)
{
	return err_set_text(&m->err, ERR_IAM_0001, "The ID token %s.", why);
}

/* NULL: there is none, or the file is broken, which the log says. */
static const struct json *read_file(struct model *m)
{
	const char *path = m->settings->identity_providers.p;
	const struct json *tree;
	char why[160] = "";

	if (!path || !*path)
		return NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = arena_alloc(m->arena, MAX_FILE);
	ssize_t n = fd < 0 ? -1 : read(fd, text, MAX_FILE);

	if (n < 0)
		snprintf(why, sizeof(why), "%s", strerror(errno));
	if (fd >= 0)
		close(fd);
	if (n >= 0 && json_parse(m->arena, (struct str){text, (size_t)n}, &tree, why, sizeof(why)))
		return tree;
	log_error("identity providers: %s: %s", path, why);
	return NULL;
}

static const struct json *find_provider(struct model *m, struct str id)
{
	const struct json *list = read_file(m);

	for (size_t i = 0; i < json_len(list); i++) {
		const struct json *p = json_at(list, i);

		if (str_eq(json_str(json_get(p, "id")), id) && json_str(json_get(p, "issuer")).n &&
		    json_str(json_get(p, "audience")).n)
			return p;
	}
	return NULL;
}

/* RFC 7515, appendix C. */
static bool from_base64url(struct arena *a, struct str s, struct str *ret)
{
	char *p = arena_alloc(a, s.n + 4);
	size_t n = 0;

	for (; n < s.n; n++) {
		if (s.p[n] == '+' || s.p[n] == '/' || s.p[n] == '=')
			return false;
		p[n] = s.p[n];
		if (p[n] == '-')
			p[n] = '+';
		else if (p[n] == '_')
			p[n] = '/';
	}
	while (n % 4)
		p[n++] = '=';
	return enc_unbase64(a, (struct str){p, n}, ret);
}

static bool part(struct arena *a, struct str encoded, const struct json **ret)
{
	struct str text;
	char why[160];

	return from_base64url(a, encoded, &text) && json_parse(a, text, ret, why, sizeof(why)) &&
	       json_kind(*ret) == JSON_OBJECT;
}

/* A number of a key. */
static struct str member(struct arena *a, const struct json *key, const char *name)
{
	struct str value;

	return from_base64url(a, json_str(json_get(key, name)), &value) ? value : STR_NONE;
}

static bool signed_by(struct arena *a, const struct json *key, struct str algorithm, struct str data,
		      struct str signature)
{
	struct str type = json_str(json_get(key, "kty"));

	/* The key says what it is for: the token cannot choose. */
	if (str_is(type, "RSA") && str_is(algorithm, "RS256"))
		return sign_rs256_verify(member(a, key, "n"), member(a, key, "e"), data, signature);
	if (str_is(type, "EC") && str_is(algorithm, "ES256") && str_is(json_str(json_get(key, "crv")), "P-256"))
		return sign_es256_verify(member(a, key, "x"), member(a, key, "y"), data, signature);
	return false;
}

static bool verify(struct arena *a, const struct json *provider, const struct json *header, struct str data,
		   struct str signature)
{
	const struct json *keys = json_get(json_get(provider, "keys"), "keys");
	struct str algorithm = json_str(json_get(header, "alg")), kid = json_str(json_get(header, "kid"));

	if (json_get(header, "crit")) /* extensions that must be understood */
		return false;
	for (size_t i = 0; i < json_len(keys); i++) {
		const struct json *key = json_at(keys, i);
		struct str own = json_str(json_get(key, "kid"));

		if ((!kid.p || !own.p || str_eq(kid, own)) && signed_by(a, key, algorithm, data, signature))
			return true;
	}
	return false;
}

/* "aud" is one or several. */
static bool is_for(const struct json *aud, struct str audience)
{
	if (json_kind(aud) == JSON_STRING)
		return str_eq(json_str(aud), audience);
	for (size_t i = 0; json_kind(aud) == JSON_ARRAY && i < json_len(aud); i++)
		if (str_eq(json_str(json_at(aud, i)), audience))
			return true;
	return false;
}

/* Seconds since 1970, maybe with a fraction. 0: absent. */
static int64_t time_ms(const struct json *claims, const char *name)
{
	double s = json_num(json_get(claims, name));

	return s > 0 && s < 1e11 ? (int64_t)(s * 1000) : 0;
}

static int check_claims(struct model *m, const struct json *provider, const struct json *claims)
{
	if (!str_eq(json_str(json_get(claims, "iss")), json_str(json_get(provider, "issuer"))))
		return refuse(m, "is of another issuer");
	if (!is_for(json_get(claims, "aud"), json_str(json_get(provider, "audience"))))
		return refuse(m, "is for another audience");
	if (time_ms(claims, "exp") <= m->now_ms - LEEWAY_MS)
		return refuse(m, "has expired");
	if (time_ms(claims, "nbf") > m->now_ms + LEEWAY_MS || time_ms(claims, "iat") > m->now_ms + LEEWAY_MS)
		return refuse(m, "is of the future");
	return 0;
}

static int find_user(struct model *m, struct str name, struct iam_account *ret)
{
	bool found = false;
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc == 0)
		rc = iam_account_by_name(m, name, STR_NONE, STR_NONE, ret, &found);
	store_rollback(&m->tx);
	if (rc == 0 && (!found || !ret->enabled))
		rc = refuse(m, "is of a user who is unknown here or disabled");
	return rc;
}

int iam_id_token_check(struct model *m, struct str provider_id, struct str id_token, struct iam_account *ret)
{
	const struct json *provider = find_provider(m, provider_id), *header, *claims;
	struct str rest = id_token, head = str_cut(&rest, '.'), body = str_cut(&rest, '.'), signature;

	if (!provider)
		return err_set_text(&m->err, ERR_IAM_0001, "There is no identity provider %.*s.", STR_FMT(provider_id));
	if (id_token.n > MAX_TOKEN || !rest.p || str_find(rest, '.', 0) != rest.n ||
	    !from_base64url(m->arena, rest, &signature) || !part(m->arena, head, &header) ||
	    !part(m->arena, body, &claims))
		return refuse(m, "is malformed");
	if (!verify(m->arena, provider, header, (struct str){id_token.p, head.n + 1 + body.n}, signature))
		return refuse(m, "has no signature of the identity provider");
	int rc = check_claims(m, provider, claims);

	if (rc)
		return rc;
	struct str claim = json_str(json_get(provider, "user_claim"));
	struct str name = json_str(json_get(claims, claim.n ? arena_cstr(m->arena, claim) : "sub"));

	return name.n ? find_user(m, name, ret) : refuse(m, "names no user");
}
