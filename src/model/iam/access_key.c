/* SPDX-License-Identifier: Apache-2.0 */
#include "model/iam/access_key.h"

#include "base/rnd.h"
#include "model/iam/account.h"
#include "model/iam/authenticate.h"
#include "model/iam/roles.h"
#include "model/iam/token.h"
#include "model/iam/user.h"

#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define MIXED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

#define COLUMNS                                                                                                        \
	"SELECT k.access, k.user_id, k.description, k.active, k.created_ms, k.last_use_ms FROM iam_access_key k"       \
	" JOIN iam_user u ON u.id = k.user_id WHERE u.domain_id = ?"

static void read_key(struct model *m, struct store_rows *rows, struct iam_credential *k)
{
	k->access = store_str(rows, 0, m->arena);
	k->user_id = store_str(rows, 1, m->arena);
	k->description = store_str(rows, 2, m->arena);
	k->status = store_int(rows, 3) ? STR("active") : STR("inactive");
	k->create_time = iam_time(m, store_int(rows, 4));
	/* A key that was never used counts from its making, as the reference has it. */
	k->last_use_time = store_int(rows, 5) ? iam_time(m, store_int(rows, 5)) : k->create_time;
}

int iam_access_key_list_of(struct model *m, struct str user_id, struct iam_credential_array *ret)
{
	struct str user = user_id.n ? user_id : m->who->user_id;
	struct iam_account account;
	struct store_rows *rows;
	int rc = iam_require_self(m, user);

	if (rc == 0)
		rc = iam_user_find(m, user, &account);
	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows, COLUMNS " AND k.user_id = ? ORDER BY k.created_ms, k.access",
				 "ss", m->who->domain_id, user);
	if (rc)
		return rc;
	ret->v = ARENA_ARRAY(m->arena, struct iam_credential, IAM_MAX_KEYS + 1);
	while (ret->n <= IAM_MAX_KEYS && store_next(rows))
		read_key(m, rows, &ret->v[ret->n++]);
	return store_done(&rows, &m->err);
}

int iam_access_key_show(struct model *m, struct str access, struct iam_credential *ret)
{
	struct iam_credential key = {0};
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, COLUMNS " AND k.access = ?", "ss", m->who->domain_id, access);

	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		read_key(m, rows, &key);
	rc = store_done(&rows, &m->err);
	if (rc)
		return rc;
	if (!found || (!m->who->administrator && !str_eq(key.user_id, m->who->user_id)))
		return err_set(&m->err, ERR_IAM_0004, "credential" ERR_NEXT "%.*s", STR_FMT(access));
	*ret = key;
	return 0;
}

int iam_access_key_make(struct model *m, struct str user_id, struct str description, struct str *ret_access,
			struct str *ret_secret)
{
	struct str access = rnd_text(m->arena, 20, UPPER), secret = rnd_text(m->arena, 40, MIXED);
	struct str sealed = sign_seal(m->arena, m->keys, IAM_SEAL_SECRET, secret);
	int rc = store_exec(
		m->tx, &m->err, NULL,
		"INSERT INTO iam_access_key (access, user_id, secret_sealed, description, active, last_use_ms,"
		" failures, locked_until_ms, created_ms) VALUES (?, ?, ?, ?, 1, 0, 0, 0, ?)",
		"ssssi", access, user_id, sealed, description.p ? description : STR(""), m->now_ms);

	if (rc == 0)
		rc = store_outbox(m->tx, &m->err, STR("access_key"), access);
	if (rc)
		return rc;
	*ret_access = access;
	*ret_secret = secret;
	return 0;
}

int iam_access_key_create(struct model *m, struct str user_id, struct str description, struct iam_credential *ret)
{
	struct iam_credential_array keys = {0};
	struct str access, secret;
	int rc = iam_access_key_list_of(m, user_id, &keys);

	if (rc == 0 && description.n > 255)
		rc = err_set(&m->err, ERR_IAM_0007, "credential.description: must not be longer than 255 characters");
	if (rc == 0 && keys.n >= IAM_MAX_KEYS)
		rc = err_set_text(&m->err, ERR_400, "The user has %d access keys already, which is the maximum.",
				  IAM_MAX_KEYS);
	if (rc == 0)
		rc = iam_access_key_make(m, user_id.n ? user_id : m->who->user_id, description, &access, &secret);
	if (rc == 0)
		rc = iam_access_key_show(m, access, ret);
	if (rc == 0)
		ret->secret = secret;
	return rc;
}

int iam_access_key_update(struct model *m, struct str access, struct str status, struct str description,
			  struct iam_credential *ret)
{
	int64_t active = str_is(status, "active");
	int rc = iam_access_key_show(m, access, ret);

	if (rc == 0 && description.n > 255)
		rc = err_set(&m->err, ERR_IAM_0007, "credential.description: must not be longer than 255 characters");
	if (rc == 0)
		rc = store_exec(
			m->tx, &m->err, NULL,
			"UPDATE iam_access_key SET active = COALESCE(?, active), description = COALESCE(?, description)"
			" WHERE access = ?",
			"nss", status.p ? &active : NULL, description, access);
	if (rc == 0)
		rc = store_outbox(m->tx, &m->err, STR("access_key"), access);
	return rc ? rc : iam_access_key_show(m, access, ret);
}

int iam_access_key_delete(struct model *m, struct str access)
{
	struct iam_credential key;
	int rc = iam_access_key_show(m, access, &key);

	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM iam_access_key WHERE access = ?", "s", access);
	return rc ? rc : store_outbox(m->tx, &m->err, STR("access_key"), access);
}

/* Whose key, and for how long: the token named in the body, or the caller. */
static int lender(struct model *m, const struct iam_identity_token *asked, struct iam_temporary_key *key)
{
	struct sign_token token;
	struct iam_account account;
	int64_t seconds = asked && asked->has_duration_seconds ? asked->duration_seconds : 900;

	key->expires_ms = m->now_ms + seconds * 1000;
	if (asked && asked->id.n) {
		int rc = iam_token_open(m, asked->id, &token, &account);

		if (rc)
			return rc;
		key->user_id = token.user_id;
		key->project_id = token.project_id;
		return 0;
	}
	if (!m->who)
		return err_set(&m->err, ERR_IAM_0001, NULL);
	/* A temporary key must not beget others without end. */
	if (m->who->access_key.p)
		return err_set_text(&m->err, ERR_IAM_0002,
				    "A temporary access key is issued for a token, not for an access key.");
	key->user_id = m->who->user_id;
	key->project_id = m->who->project_id;
	return 0;
}

int iam_access_key_lend(struct model *m, const struct iam_token_auth *auth, struct iam_security_token *ret)
{
	const struct iam_token_auth_identity *identity = auth->identity;
	struct iam_temporary_key key = {.issued_ms = m->now_ms};

	if (identity->methods.n != 1)
		return err_set(&m->err, ERR_IAM_1102, "auth.identity.methods");
	if (str_is(identity->methods.v[0], "assume_role")) /* there are no agencies to assume */
		return err_set_status(&m->err, ERR_IAM_0004, 403, "agency" ERR_NEXT "%.*s",
				      STR_FMT(identity->assume_role ? identity->assume_role->agency_name : STR("")));
	if (identity->policy) /* narrower than the user: not something this installation can enforce */
		return err_set(&m->err, ERR_IAM_1102, "auth.identity.policy");
	int rc = lender(m, identity->token, &key);

	if (rc)
		return rc;
	struct str tail = rnd_text(m->arena, 17, UPPER);

	key.access = arena_fmt(m->arena, "HST%.*s", STR_FMT(tail));
	key.secret = rnd_text(m->arena, 40, MIXED);
	ret->securitytoken = iam_temporary_key_seal(m, &key);
	if (!ret->securitytoken.p)
		return err_set(&m->err, ERR_APPIA_0500, "the security token is too long");
	ret->access = key.access;
	ret->secret = key.secret;
	ret->expires_at = iam_time(m, key.expires_ms);
	return 0;
}
