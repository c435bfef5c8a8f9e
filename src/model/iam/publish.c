/* SPDX-License-Identifier: Apache-2.0 */
#include "model/publish/publish.h"

#include "model/iam/account.h"

static int put(struct model *m, struct pub_batch *batch, struct str key, struct buf *value)
{
	int rc = value->failed ? err_set(&m->err, ERR_APPIA_0500, "a published value is too large")
			       : pub_put(batch, key, buf_view(value), &m->err);

	buf_done(value);
	return rc;
}

static int project_user(struct model *m, struct pub_batch *batch, struct str key)
{
	char name[PUB_KEY_MAX + 1];
	struct str at = pub_key(name, "user", key, STR_NONE, STR_NONE);
	struct iam_account a;
	struct buf b;
	bool found;
	int rc = iam_account_by_id(m, key, &a, &found);

	if (rc)
		return rc;
	if (!found)
		return pub_del(batch, at, &m->err);
	buf_init(&b, (size_t)1 << 16);
	pub_user_encode(&b, &(struct pub_user){a.id, a.name, a.domain_id, !a.enabled, a.tokens_after_ms});
	return put(m, batch, at, &b);
}

const struct publish_kind publish_user = {"user", project_user, "SELECT id FROM iam_user ORDER BY id"};

/* The project of a key is the first of its account: the one that calls without X-Project-Id count for. */
static int read_key(struct model *m, struct str access, struct pub_ak *ret, bool *ret_found)
{
	struct store_rows *rows;
	int rc = store_query(
		m->tx, &m->err, &rows,
		"SELECT k.user_id, k.secret_sealed, (SELECT p.id FROM project p WHERE p.domain_id = u.domain_id"
		" ORDER BY p.created_ms, p.id LIMIT 1) FROM iam_access_key k JOIN iam_user u ON u.id = k.user_id"
		" WHERE k.access = ? AND k.active = 1 AND u.enabled = 1 AND u.access_mode <> 'console'",
		"s", access);

	if (rc)
		return rc;
	*ret_found = store_next(rows);
	if (*ret_found)
		*ret = (struct pub_ak){store_str(rows, 0, m->arena), store_str(rows, 1, m->arena),
				       store_str(rows, 2, m->arena)};
	return store_done(&rows, &m->err);
}

static int project_key(struct model *m, struct pub_batch *batch, struct str key)
{
	char name[PUB_KEY_MAX + 1];
	struct str at = pub_key(name, "ak", key, STR_NONE, STR_NONE);
	struct pub_ak ak;
	struct buf b;
	bool found;
	int rc = read_key(m, key, &ak, &found);

	if (rc)
		return rc;
	if (!found)
		return pub_del(batch, at, &m->err);
	buf_init(&b, (size_t)1 << 16);
	pub_ak_encode(&b, &ak);
	return put(m, batch, at, &b);
}

const struct publish_kind publish_access_key = {"access_key", project_key,
						"SELECT access FROM iam_access_key ORDER BY access"};
