/* SPDX-License-Identifier: Apache-2.0 */
#include "model/publish/publish.h"

#include "base/cursor.h"
#include "base/mem.h"

#define ROWS_PER_BATCH 500

static const struct publish_kind *const kinds[] = {
	&publish_user,     &publish_access_key, &publish_app, &publish_datasource, &publish_livedata,
	&publish_app_code, &publish_api,        &publish_app_auth, &publish_route,      &publish_group,
	&publish_host,     &publish_debug,      &publish_mqs_right,
};

struct row {
	int64_t seq;
	struct str kind, key;
};

static const struct publish_kind *find_kind(struct str kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_is(kind, kinds[i]->kind))
			return kinds[i];
	return NULL;
}

static int64_t read_seq(struct str value)
{
	struct cursor c = cursor_of(value);
	uint64_t v = cursor_u64(&c);

	return c.failed ? 0 : (int64_t)v;
}

static int write_seq(struct model *m, struct pub_batch *batch, int64_t seq)
{
	struct buf b;

	buf_init(&b, 64);
	buf_u64(&b, (uint64_t)seq);
	int rc = pub_put(batch, STR("meta/seq"), buf_view(&b), &m->err);

	buf_done(&b);
	return rc;
}

/* Rows after seq, oldest first; *ret_n == ROWS_PER_BATCH: there may be more. */
static int read_rows(struct model *m, int64_t seq, struct row **ret, size_t *ret_n)
{
	struct store_rows *rows;
	struct row *list = ARENA_ARRAY(m->arena, struct row, ROWS_PER_BATCH);
	size_t n = 0;
	int rc = store_query(m->tx, &m->err, &rows,
	                     "SELECT seq, kind, key FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?", "ii", seq,
	                     (int64_t)ROWS_PER_BATCH);

	if (rc)
		return rc;
	for (; n < ROWS_PER_BATCH && store_next(rows); n++)
		list[n] = (struct row){store_int(rows, 0), store_str(rows, 1, m->arena), store_str(rows, 2, m->arena)};
	*ret = list;
	*ret_n = n;
	return store_done(&rows, &m->err);
}

/* The same object may stand in the list several times: only its last state counts. */
static bool comes_again(const struct row *rows, size_t n, size_t i)
{
	for (size_t k = i + 1; k < n; k++)
		if (str_eq(rows[k].key, rows[i].key) && str_eq(rows[k].kind, rows[i].kind))
			return true;
	return false;
}

static int project_rows(struct model *m, struct pub_batch *batch, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct publish_kind *kind = find_kind(rows[i].kind);

		if (!kind)
			return err_set(&m->err, ERR_APPIA_0500, "outbox: unknown kind %.*s", STR_FMT(rows[i].kind));
		if (comes_again(rows, n, i))
			continue;
		int rc = kind->project(m, batch, rows[i].key);

		if (rc)
			return rc;
	}
	return n ? write_seq(m, batch, rows[n - 1].seq) : 0;
}

static int project_all(struct model *m, struct pub_batch *batch);

static int run_batch(struct model *m, struct pub *pub, bool *ret_more)
{
	struct pub_batch *batch = NULL;
	struct row *rows;
	size_t n = 0;
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	rc = pub_batch_begin(pub, &batch, &m->err);
	if (rc)
		goto out;
	bool fits = str_eq(pub_batch_get(batch, STR("meta/layout")), PUB_LAYOUT);

	/* What another release wrote is of no use. */
	if (!fits)
		rc = project_all(m, batch);
	if (rc == 0)
		rc = read_rows(m, read_seq(pub_batch_get(batch, STR("meta/seq"))), &rows, &n);
	if (rc == 0)
		rc = project_rows(m, batch, rows, n);
	if (rc == 0 && (n || !fits))
		rc = pub_batch_commit(&batch, &m->err);
	*ret_more = n == ROWS_PER_BATCH;
out:
	pub_batch_abort(&batch);
	store_rollback(&m->tx);
	return rc;
}

int publish_run(struct model *m, struct pub *pub)
{
	bool more = true;
	int rc = 0;

	while (rc == 0 && more)
		rc = run_batch(m, pub, &more);
	return rc;
}

static int read_keys(struct model *m, const char *sql, struct str_array *ret)
{
	struct store_rows *rows;
	size_t cap = 64;
	struct str_array list = {ARENA_ARRAY(m->arena, struct str, cap), 0};
	int rc = store_query(m->tx, &m->err, &rows, sql, "");

	if (rc)
		return rc;
	while (store_next(rows)) {
		if (list.n == cap) {
			struct str *more = ARENA_ARRAY(m->arena, struct str, cap * 2);

			memcpy(more, list.v, cap * sizeof(*more));
			list.v = more;
			cap *= 2;
		}
		list.v[list.n++] = store_str(rows, 0, m->arena);
	}
	*ret = list;
	return store_done(&rows, &m->err);
}

/* Makes everything anew in a batch. */
static int project_all(struct model *m, struct pub_batch *batch)
{
	int rc = pub_del_prefix(batch, STR(""), &m->err);

	if (rc == 0)
		rc = pub_put(batch, STR("meta/layout"), PUB_LAYOUT, &m->err);
	if (rc)
		return rc;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct str_array keys;

		rc = read_keys(m, kinds[i]->all, &keys);
		for (size_t k = 0; rc == 0 && k < keys.n; k++)
			rc = kinds[i]->project(m, batch, keys.v[k]);
		if (rc)
			return rc;
	}
	int64_t seq;
	bool found;

	rc = store_get_int(m->tx, &m->err, &seq, &found, "SELECT COALESCE(MAX(seq), 0) FROM outbox", "");

	return rc ? rc : write_seq(m, batch, seq);
}

int publish_rebuild(struct model *m, struct pub *pub)
{
	struct pub_batch *batch = NULL;
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	rc = pub_batch_begin(pub, &batch, &m->err);
	if (rc == 0)
		rc = project_all(m, batch);
	if (rc == 0)
		rc = pub_batch_commit(&batch, &m->err);
	pub_batch_abort(&batch);
	store_rollback(&m->tx);
	return rc;
}

static int position(struct model *m, struct pub *pub, int64_t *ret)
{
	struct pub_view *view = NULL;
	int rc = pub_view_begin(pub, &view, &m->err);

	if (rc)
		return rc;
	*ret = read_seq(pub_get(view, STR("meta/seq")));
	pub_view_end(&view);
	return 0;
}

/* The outbox tells what is missing only when it reaches back to where the published state is, and that is no later than
 * the system of record: after the published state was lost or the other one put back, it does not. */
static int outbox_suffices(struct model *m, int64_t at, bool *ret)
{
	int64_t first = 0, last = 0;
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	rc = store_get_int(m->tx, &m->err, &first, NULL, "SELECT COALESCE(MIN(seq), 0) FROM outbox", "");
	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &last, NULL, "SELECT COALESCE(MAX(seq), 0) FROM outbox", "");
	store_rollback(&m->tx);
	*ret = at <= last && first <= at + 1;
	return rc;
}

int publish_catch_up(struct model *m, struct pub *pub)
{
	bool enough = false;
	int64_t at = 0;
	int rc = position(m, pub, &at);

	if (rc == 0)
		rc = outbox_suffices(m, at, &enough);
	if (rc)
		return rc;
	return enough ? publish_run(m, pub) : publish_rebuild(m, pub);
}

int publish_trim(struct model *m, struct pub *pub, int64_t keep)
{
	int64_t at = 0;
	int rc = position(m, pub, &at);

	if (rc == 0)
		rc = store_begin(m->store, STORE_WRITE, &m->tx, &m->err);
	if (rc)
		return rc;
	rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM outbox WHERE seq <= ?", "i", at - keep);
	if (rc == 0)
		return store_commit(&m->tx, &m->err);
	store_rollback(&m->tx);
	return rc;
}

struct comparison {
	size_t differences;
	void (*report)(void *ctx, struct str key, const char *what);
	void *ctx;
};

static void differ(struct comparison *c, struct str key, const char *what)
{
	c->differences++;
	if (c->report)
		c->report(c->ctx, key, what);
}

/* Both views walk in key order, like merging two sorted lists. */
static void compare(struct pub_view *have, struct pub_view *want, struct comparison *c)
{
	struct str ka = STR_NONE, va, kb = STR_NONE, vb;
	bool a = pub_next(have, STR(""), STR_NONE, &ka, &va), b = pub_next(want, STR(""), STR_NONE, &kb, &vb);

	while (a || b) {
		int order = !a ? 1 : !b ? -1 : str_cmp(ka, kb);

		if (order < 0)
			differ(c, ka, "is not in the system of record");
		else if (order > 0)
			differ(c, kb, "is missing");
		else if (!str_eq(va, vb))
			differ(c, ka, "differs");
		if (order <= 0)
			a = pub_next(have, STR(""), ka, &ka, &va);
		if (order >= 0)
			b = pub_next(want, STR(""), kb, &kb, &vb);
	}
}

int publish_verify(struct model *m, struct pub *pub, const char *scratch_dir, size_t *ret_differences,
                   void (*report)(void *ctx, struct str key, const char *what), void *ctx)
{
	struct comparison c = {0, report, ctx};
	struct pub_view *have = NULL, *want = NULL;
	struct pub *scratch = NULL;
	int rc = pub_open(scratch_dir, (size_t)1 << 32, true, &scratch, &m->err);

	if (rc == 0)
		rc = publish_rebuild(m, scratch);
	if (rc == 0)
		rc = pub_view_begin(pub, &have, &m->err);
	if (rc == 0)
		rc = pub_view_begin(scratch, &want, &m->err);
	if (rc == 0) {
		compare(have, want, &c);
		*ret_differences = c.differences;
	}
	pub_view_end(&have);
	pub_view_end(&want);
	pub_close(scratch);
	return rc;
}
