/* SPDX-License-Identifier: Apache-2.0 */
#include "model/publish/publish.h"

struct row {
	struct pub_app app;
	bool found;
};

static int read_app(struct model *m, struct str id, struct row *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT a.id, a.name, a.key, a.secret_sealed, i.project_id FROM app a"
			     " JOIN instance i ON i.id = a.instance_id WHERE a.id = ?",
			     "s", id);

	if (rc)
		return rc;
	ret->found = store_next(rows);
	if (ret->found)
		ret->app = (struct pub_app){store_str(rows, 0, m->arena), store_str(rows, 1, m->arena),
					    store_str(rows, 2, m->arena), store_str(rows, 3, m->arena),
					    store_str(rows, 4, m->arena), false};
	return store_done(&rows, &m->err);
}

/* The key's entry goes when the application goes; keys never change hands while it lives. */
static int remove_app(struct model *m, struct pub_batch *batch, struct str id, struct str at)
{
	char name[PUB_KEY_MAX + 1];
	struct pub_app old;
	struct str key, value = pub_batch_get(batch, at);

	if (value.p && pub_app_decode(value, &old)) {
		key = pub_key(name, "appkey", old.key, STR_NONE, STR_NONE);
		/* Another application may have taken the free key since, in the same batch. */
		if (str_eq(pub_batch_get(batch, key), id)) {
			int rc = pub_del(batch, key, &m->err);

			if (rc)
				return rc;
		}
	}
	return pub_del(batch, at, &m->err);
}

static int project_app(struct model *m, struct pub_batch *batch, struct str id)
{
	char name[PUB_KEY_MAX + 1], key_name[PUB_KEY_MAX + 1];
	struct str at = pub_key(name, "app", id, STR_NONE, STR_NONE);
	struct row row;
	struct buf b;
	int rc = read_app(m, id, &row);

	if (rc)
		return rc;
	if (!row.found)
		return remove_app(m, batch, id, at);
	buf_init(&b, (size_t)1 << 16);
	pub_app_encode(&b, &row.app);
	rc = b.failed ? err_set(&m->err, ERR_APPIA_0500, "a published value is too large")
		      : pub_put(batch, at, buf_view(&b), &m->err);
	buf_done(&b);
	if (rc)
		return rc;
	return pub_put(batch, pub_key(key_name, "appkey", row.app.key, STR_NONE, STR_NONE), id, &m->err);
}

const struct publish_kind publish_app = {"app", project_app, "SELECT id FROM app ORDER BY id"};
