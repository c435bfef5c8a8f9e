/* SPDX-License-Identifier: Apache-2.0 */
#include "model/iam/bootstrap.h"

#include "base/rnd.h"
#include "model/iam/access_key.h"
#include "model/iam/account.h"
#include "model/iam/authenticate.h"
#include "model/iam/group.h"
#include "model/iam/password.h"
#include "model/iam/roles.h"
#include "model/public/instance.h"

struct start {
	struct str domain, user, password;
	struct iam_bootstrap_result result;
};

static int make_user(struct model *m, const struct start *s)
{
	const struct iam_bootstrap_result *r = &s->result;
	struct iam_account account = {.id = r->user_id, .name = r->user};
	int rc = store_exec(
		m->tx, &m->err, NULL,
		"INSERT INTO iam_user (id, domain_id, name, description, enabled, owner, access_mode, email,"
		" areacode, phone, xuser_type, xuser_id, password_hash, password_strength, password_ms,"
		" change_password, tokens_after_ms, last_login_ms, failures, failing_since_ms, locked_until_ms,"
		" created_ms, updated_ms)"
		" VALUES (?, ?, ?, '', 1, 1, 'default', '', '', '', '', '', '', '', 0, 0, 0, 0, 0, 0, 0, ?, ?)",
		"sssii", r->user_id, r->domain_id, r->user, m->now_ms, m->now_ms);

	if (rc == 0)
		rc = iam_group_create_all(m, r->domain_id);
	if (rc == 0)
		rc = store_exec(
			m->tx, &m->err, NULL,
			"INSERT INTO iam_group_user (group_id, user_id) SELECT id, ? FROM iam_group WHERE domain_id = ?"
			" AND roles = ?",
			"ssi", r->user_id, r->domain_id, (int64_t)iam_roles[0].bit);
	return rc ? rc : iam_password_set(m, &account, s->password, false);
}

static int make_all(struct model *m, struct start *s)
{
	struct iam_bootstrap_result *r = &s->result;

	*r = (struct iam_bootstrap_result){.domain_id = rnd_id(m->arena),
					   .domain = s->domain,
					   .user_id = rnd_id(m->arena),
					   .user = s->user,
					   .project_id = rnd_id(m->arena),
					   .project_name = m->settings->region};
	int rc = store_exec(m->tx, &m->err, NULL,
			    "INSERT INTO iam_domain (id, name, description, created_ms) VALUES (?, ?, '', ?)", "ssi",
			    r->domain_id, r->domain, m->now_ms);

	if (rc == 0)
		rc = store_exec(
			m->tx, &m->err, NULL,
			"INSERT INTO project (id, domain_id, name, description, enabled, created_ms, updated_ms)"
			" VALUES (?, ?, ?, '', 1, ?, ?)",
			"sssii", r->project_id, r->domain_id, r->project_name, m->now_ms, m->now_ms);
	if (rc == 0)
		rc = make_user(m, s);
	if (rc == 0)
		rc = iam_access_key_make(m, r->user_id, STR("made at the first start"), &r->access_key, &r->secret_key);
	if (rc == 0)
		rc = instance_make(m, r->project_id, STR("default"), STR("The instance of the first start"), r->user_id,
				   &r->instance_id);
	return rc;
}

int iam_bootstrap(struct model *m, struct str domain, struct str user, struct str password,
		  struct iam_bootstrap_result *ret, bool *ret_created)
{
	struct start s = {.domain = domain, .user = user, .password = password};
	int64_t n;
	int rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM iam_domain", "");

	if (rc == 0 && n == 0)
		rc = make_all(m, &s);
	if (rc)
		return rc;
	if (n == 0)
		*ret = s.result;
	*ret_created = n == 0;
	return 0;
}

int iam_installed(struct model *m, bool *ret)
{
	int64_t n = 0;
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM iam_domain", "");
	store_rollback(&m->tx);
	if (rc == 0)
		*ret = n > 0;
	return rc;
}

int iam_check_keys(struct model *m)
{
	struct str sealed, secret;
	bool found = false;
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	rc = store_get_str(m->tx, &m->err, m->arena, &sealed, &found,
			   "SELECT secret_sealed FROM iam_access_key LIMIT 1", "");
	store_rollback(&m->tx);
	if (rc || !found || sign_open(m->arena, m->keys, IAM_SEAL_SECRET, sealed, &secret))
		return rc;
	return err_set_text(&m->err, ERR_APPIA_0500,
			    "The master key is not the one that sealed the secrets of this store.");
}
