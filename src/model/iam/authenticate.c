/* SPDX-License-Identifier: Apache-2.0 */
#include "model/iam/authenticate.h"

#include "base/buf.h"
#include "base/cursor.h"
#include "model/iam/account.h"
#include "model/iam/roles.h"
#include "model/iam/token.h"
#include "model/write.h"

#define USE_INTERVAL_MS (60 * 1000) /* the last use of a key is written down once a minute */
#define MAX_SECURITY_TOKEN 4096

/* An access key on its way to being believed. */
struct key {
	struct str access, secret;
	struct iam_account account;
	struct str project_id; /* temporary keys: scope of the token they came from */
	bool temporary;
	int64_t failures, locked_until_ms, last_use_ms;
};

static int refuse(struct model *m, const char *why)
{
	return err_set_text(&m->err, ERR_IAM_0063, "Incorrect IAM authentication information: %s", why);
}

static void identify(const struct iam_account *a, struct identity *who)
{
	*who = (struct identity){
		.user_id = a->id, .user_name = a->name, .domain_id = a->domain_id, .domain_name = a->domain_name};
	iam_roles_set(who, a->roles);
}

static int by_token(struct model *m, const struct iam_credentials *c, struct identity *ret)
{
	struct sign_token token;
	struct iam_account account;
	struct iam_place place;
	bool found = true;
	int rc = iam_token_open(m, c->token, &token, &account);

	if (rc == 0 && token.project_id.p)
		rc = iam_place_find(m, account.domain_id, token.project_id, STR_NONE, &place, &found);
	if (rc == 0 && !found)
		rc = err_set(&m->err, ERR_IAM_0067, NULL);
	if (rc)
		return rc;
	identify(&account, ret);
	ret->project_id = token.project_id;
	ret->project_name = token.project_name;
	return 0;
}

/* u8 version, then the strings as u32 length and bytes, then two i64. */
enum { TEMPORARY_VERSION = 1 };

static void add_str(struct buf *b, struct str s)
{
	buf_u32(b, s.p ? (uint32_t)s.n : UINT32_MAX);
	buf_str(b, s);
}

struct str iam_temporary_key_seal(struct model *m, const struct iam_temporary_key *key)
{
	struct buf b;

	buf_init(&b, MAX_SECURITY_TOKEN / 2);
	buf_u8(&b, TEMPORARY_VERSION);
	add_str(&b, key->access);
	add_str(&b, key->secret);
	add_str(&b, key->user_id);
	add_str(&b, key->project_id);
	buf_u64(&b, (uint64_t)key->issued_ms);
	buf_u64(&b, (uint64_t)key->expires_ms);
	struct str text = b.failed ? STR_NONE : sign_seal(m->arena, m->keys, IAM_SEAL_SECURITY_TOKEN, buf_view(&b));

	buf_done(&b);
	return text;
}

bool iam_temporary_key_open(struct model *m, struct str security_token, struct iam_temporary_key *ret)
{
	struct str plain;

	if (security_token.n > MAX_SECURITY_TOKEN ||
	    !sign_open(m->arena, m->keys, IAM_SEAL_SECURITY_TOKEN, security_token, &plain))
		return false;
	struct cursor c = cursor_of(plain);

	if (cursor_u8(&c) != TEMPORARY_VERSION)
		return false;
	ret->access = cursor_str(&c);
	ret->secret = cursor_str(&c);
	ret->user_id = cursor_str(&c);
	ret->project_id = cursor_str(&c);
	ret->issued_ms = (int64_t)cursor_u64(&c);
	ret->expires_ms = (int64_t)cursor_u64(&c);
	return !c.failed && cursor_left(&c) == 0;
}

static int find_temporary(struct model *m, struct str security_token, struct key *key)
{
	struct iam_temporary_key t;
	bool found;

	if (!iam_temporary_key_open(m, security_token, &t) || !str_eq(t.access, key->access))
		return refuse(m, "the security token is invalid");
	if (m->now_ms >= t.expires_ms)
		return refuse(m, "the security token has expired");
	int rc = iam_account_by_id(m, t.user_id, &key->account, &found);

	if (rc)
		return rc;
	if (!found || t.issued_ms < key->account.tokens_after_ms)
		return refuse(m, "the security token is invalid");
	key->temporary = true;
	key->secret = t.secret;
	key->project_id = t.project_id;
	return 0;
}

static int read_permanent(struct model *m, struct key *key, struct str *ret_user, bool *ret_found)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT user_id, secret_sealed, failures, locked_until_ms, last_use_ms FROM iam_access_key"
			     " WHERE access = ? AND active = 1",
			     "s", key->access);

	if (rc)
		return rc;
	*ret_found = store_next(rows);
	if (*ret_found) {
		*ret_user = store_str(rows, 0, m->arena);
		key->secret = store_str(rows, 1, m->arena);
		key->failures = store_int(rows, 2);
		key->locked_until_ms = store_int(rows, 3);
		key->last_use_ms = store_int(rows, 4);
	}
	return store_done(&rows, &m->err);
}

static int find_permanent(struct model *m, struct key *key)
{
	struct str user_id = STR_NONE;
	bool found;
	int rc = read_permanent(m, key, &user_id, &found);

	if (rc == 0 && found)
		rc = iam_account_by_id(m, user_id, &key->account, &found);
	if (rc)
		return rc;
	/* The same words as for a wrong signature: whether a key exists is nobody's business. */
	if (!found)
		return refuse(m, "verify ak sk signature fail");
	if (key->locked_until_ms > m->now_ms)
		return err_set_text(
			&m->err, ERR_IAM_0061,
			"Incorrect IAM authentication information: AK access failed to reach the limit,forbidden");
	if (!sign_open(m->arena, m->keys, IAM_SEAL_SECRET, key->secret, &key->secret))
		return err_set(&m->err, ERR_APPIA_0500, "the secret of an access key cannot be opened");
	return 0;
}

static int note_failure(struct model *m, void *arg)
{
	const struct key *key = arg;
	int rc = store_exec(m->tx, &m->err, NULL, "UPDATE iam_access_key SET failures = failures + 1 WHERE access = ?",
			    "s", key->access);

	return rc ? rc
		  : store_exec(m->tx, &m->err, NULL,
			       "UPDATE iam_access_key SET failures = 0, locked_until_ms = ? WHERE access = ? AND "
			       "failures >= ?",
			       "isi", m->now_ms + IAM_KEY_LOCK_MS, key->access, (int64_t)IAM_KEY_FAILURES);
}

static int note_use(struct model *m, void *arg)
{
	const struct key *key = arg;

	return store_exec(m->tx, &m->err, NULL,
			  "UPDATE iam_access_key SET failures = 0, last_use_ms = ? WHERE access = ?", "is", m->now_ms,
			  key->access);
}

/* Book-keeping must not refuse what is right, nor turn a wrong signature into another error. */
static void note(struct model *m, struct key *key, bool right)
{
	if (key->temporary || (right && key->failures == 0 && m->now_ms - key->last_use_ms < USE_INTERVAL_MS))
		return;
	store_rollback(&m->tx);
	(void)model_write(m, right ? note_use : note_failure, key);
	m->err = (struct err){0};
}

static int verify(struct model *m, const struct iam_credentials *c, const struct sign_header *header,
		  const struct key *key, bool *ret_mismatch)
{
	*ret_mismatch = false;
	switch (sign_verify(m->arena, &c->request, header, key->secret, m->now_ms, NULL)) {
	case SIGN_OK:
		return 0;
	case SIGN_NO_DATE:
		return refuse(m, "X-Sdk-Date is missing or malformed");
	case SIGN_EXPIRED:
		return refuse(m, "Signature expired");
	case SIGN_BAD_HEADERS:
		return refuse(m, "a signed header is missing");
	case SIGN_MISMATCH:
		*ret_mismatch = true;
		break;
	}
	return refuse(m, "verify ak sk signature fail");
}

/* The scope of a signed call: X-Project-Id, else the project of the path; none is an account-wide call. */
static int choose_project(struct model *m, const struct iam_credentials *c, const struct key *key, struct identity *who)
{
	struct str given = c->project_id.n ? c->project_id : STR_NONE;
	struct str wanted = given.p ? given : key->project_id.p ? key->project_id : c->path_project_id;
	struct iam_place place;
	bool found = false;

	if (c->domain_id.n && !str_eq(c->domain_id, who->domain_id))
		return refuse(m, "X-Domain-Id is not the account of the access key");
	if (given.p && key->project_id.p && !str_eq(given, key->project_id))
		return refuse(m, "X-Project-Id is not the project of the security token");
	if (!wanted.p)
		return 0;
	int rc = iam_place_find(m, who->domain_id, wanted, STR_NONE, &place, &found);

	if (rc)
		return rc;
	if (!found && given.p)
		return refuse(m, "X-Project-Id is not a project of the account");
	if (found) {
		who->project_id = place.id;
		who->project_name = place.name;
	}
	return 0;
}

static int admit(struct model *m, const struct key *key)
{
	if (!key->account.enabled)
		return err_set_status(&m->err, ERR_IAM_0082, 401, "%.*s", STR_FMT(key->account.name));
	if (!key->temporary && str_is(key->account.access_mode, "console"))
		return err_set_status(&m->err, ERR_IAM_0081, 401, NULL);
	return 0;
}

static int by_key(struct model *m, const struct iam_credentials *c, const struct sign_header *header,
		  struct identity *ret)
{
	struct key key = {.access = header->access};
	bool mismatch;
	int rc = c->security_token.n ? find_temporary(m, c->security_token, &key) : find_permanent(m, &key);

	if (rc)
		return rc;
	rc = verify(m, c, header, &key, &mismatch);
	if (mismatch) {
		struct err err = m->err;

		note(m, &key, false);
		m->err = err;
	}
	if (rc == 0)
		rc = admit(m, &key);
	if (rc)
		return rc;
	struct identity who;

	identify(&key.account, &who);
	who.access_key = key.access;
	rc = choose_project(m, c, &key, &who);
	if (rc)
		return rc;
	note(m, &key, true);
	*ret = who;
	return 0;
}

int iam_authenticate(struct model *m, const struct iam_credentials *c, struct identity *ret)
{
	struct sign_header header;

	if (c->authorization.p && sign_parse(c->authorization, &header))
		return by_key(m, c, &header, ret);
	if (c->token.n)
		return by_token(m, c, ret);
	if (c->authorization.p && str_starts(c->authorization, STR("SDK-HMAC-SHA256")))
		return refuse(m, "the Authorization header is malformed");
	return err_set(&m->err, ERR_APPIA_0401, NULL);
}
