/* SPDX-License-Identifier: Apache-2.0 */
#include "model/publish/publish.h"

#include "base/cursor.h"
#include "base/log.h"
#include "base/mem.h"

#define ROWS_PER_BATCH 500
#define LOGGED 20 /* objects that are named one by one when they cannot be projected */

static const struct publish_kind *const kinds[] = {
	&publish_user,     &publish_access_key, &publish_app,       &publish_datasource, &publish_livedata,
	&publish_app_code, &publish_api,        &publish_app_auth,  &publish_route,      &publish_group,
	&publish_host,     &publish_debug,      &publish_mqs_right,
};

struct row {
	int64_t seq;
	struct str kind, key;
	const char *error; /* why it cannot be projected; NULL: it can, as far as known */
};

/* What one batch has to project. */
struct work {
	struct row *rows;
	size_t n, cap, failed;
	int64_t seq; /* of the outbox, reached with this batch; -1: where it is */
	bool all; /* all objects, into an empty state */
	bool scratch; /* for comparison only: the store does not hear of it */
	bool more; /* the outbox may have further rows */
	struct publish_dead *dead; /* what was set aside before */
	size_t n_dead;
};

static const struct publish_kind *find_kind(struct str kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (str_is(kind, kinds[i]->kind))
			return kinds[i];
	return NULL;
}

static int64_t read_number(struct str value)
{
	struct cursor c = cursor_of(value);
	uint64_t v = cursor_u64(&c);

	return c.failed ? 0 : (int64_t)v;
}

static int write_number(struct model *m, struct pub_batch *batch, struct str key, int64_t number)
{
	struct buf b;

	buf_init(&b, 64);
	buf_u64(&b, (uint64_t)number);
	int rc = pub_put(batch, key, buf_view(&b), &m->err);

	buf_done(&b);
	return rc;
}

static void add_row(struct model *m, struct work *w, struct row row)
{
	if (w->n == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 64;
		struct row *more = ARENA_ARRAY(m->arena, struct row, cap);

		if (w->n)
			memcpy(more, w->rows, w->n * sizeof(*more));
		w->rows = more;
		w->cap = cap;
	}
	w->rows[w->n++] = row;
}

/* Projecting. */

/* The same object may stand in the list several times: only its last state counts. */
static bool comes_again(const struct work *w, size_t i)
{
	for (size_t k = i + 1; !w->all && k < w->n; k++)
		if (str_eq(w->rows[k].key, w->rows[i].key) && str_eq(w->rows[k].kind, w->rows[i].kind))
			return true;
	return false;
}

static int project(struct model *m, struct pub_batch *batch, const struct row *row)
{
	const struct publish_kind *kind = find_kind(row->kind);

	if (!kind)
		return err_set_text(&m->err, ERR_APPIA_0500, "objects of this kind are not known");
	return kind->project(m, batch, row->key);
}

/* The object itself is the reason, not the store, the disk or the published state. */
static bool is_its_own(const struct model *m, int rc)
{
	return rc != ERR_APPIA_0503 && rc != ERR_APPIA_0507 && !m->err.retriable;
}

static int clear(struct model *m, struct pub_batch *batch)
{
	int rc = pub_del_prefix(batch, STR(""), &m->err);

	return rc ? rc : pub_put(batch, STR("meta/layout"), PUB_LAYOUT, &m->err);
}

/* *ret_own: it was an object that failed, and the others need not wait for it. */
static int project_all(struct model *m, struct pub_batch *batch, const struct work *w, bool *ret_own)
{
	int rc = w->all ? clear(m, batch) : 0;

	for (size_t i = 0; rc == 0 && i < w->n; i++) {
		if (w->rows[i].error || comes_again(w, i))
			continue;
		rc = project(m, batch, &w->rows[i]);
		*ret_own = rc && is_its_own(m, rc);
	}
	if (rc == 0 && w->seq >= 0)
		rc = write_number(m, batch, STR("meta/seq"), w->seq);
	return rc;
}

/* Finds all objects that cannot be projected, each in a batch and a snapshot of its own: the failure of one of them
 * ends both. */
static int find_failing(struct model *m, struct pub *pub, struct work *w)
{
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	for (size_t i = 0; rc == 0 && i < w->n; i++) {
		struct pub_batch *batch = NULL;

		if (comes_again(w, i))
			continue;
		rc = pub_batch_begin(pub, &batch, &m->err);
		if (rc)
			break;
		rc = project(m, batch, &w->rows[i]);
		pub_batch_abort(&batch);
		if (rc == 0 || !is_its_own(m, rc))
			continue;
		w->rows[i].error = arena_cstr(m->arena, str_of(m->err.text));
		w->failed++;
		m->err = (struct err){0};
		store_rollback(&m->tx);
		rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);
	}
	store_rollback(&m->tx);
	return rc;
}

/* What has been set aside. */

int publish_dead_list(struct model *m, struct publish_dead **ret, size_t *ret_n)
{
	struct publish_dead *list = NULL;
	struct store_rows *rows;
	size_t n = 0, cap = 0;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT kind, key, error, seq, since_ms FROM outbox_dead ORDER BY kind, key", "");

	if (rc)
		return rc;
	while (store_next(rows)) {
		if (n == cap) {
			struct publish_dead *more = ARENA_ARRAY(m->arena, struct publish_dead, cap ? cap * 2 : 16);

			if (n)
				memcpy(more, list, n * sizeof(*more));
			list = more;
			cap = cap ? cap * 2 : 16;
		}
		list[n++] = (struct publish_dead){store_str(rows, 0, m->arena), store_str(rows, 1, m->arena),
						  store_str(rows, 2, m->arena), store_int(rows, 3), store_int(rows, 4)};
	}
	*ret = list;
	*ret_n = n;
	return store_done(&rows, &m->err);
}

/* The row that says how the object fared in this batch; NULL: it was none of its objects. */
static const struct row *find_row(const struct work *w, const struct publish_dead *dead)
{
	for (size_t i = w->n; i-- > 0;)
		if (str_eq(w->rows[i].key, dead->key) && str_eq(w->rows[i].kind, dead->kind))
			return &w->rows[i];
	return NULL;
}

/* The number of objects that are set aside once the batch is committed, for those who read only the published state. */
static int count_dead(struct model *m, struct pub_batch *batch, struct work *w)
{
	size_t left = w->failed;
	int rc = w->scratch ? 0 : publish_dead_list(m, &w->dead, &w->n_dead);

	for (size_t i = 0; !w->all && i < w->n_dead; i++)
		left += find_row(w, &w->dead[i]) == NULL;
	if (rc)
		return rc;
	return left ? write_number(m, batch, PUB_SET_ASIDE, (int64_t)left) : pub_del(batch, PUB_SET_ASIDE, &m->err);
}

static int set_aside(struct model *m, const struct work *w)
{
	size_t logged = 0;
	int rc = store_begin(m->store, STORE_WRITE, &m->tx, &m->err);

	for (size_t i = 0; rc == 0 && i < w->n; i++) {
		const struct row *r = &w->rows[i];

		if (r->error)
			rc = store_exec(m->tx, &m->err, NULL,
					"INSERT INTO outbox_dead (kind, key, seq, error, since_ms) VALUES (?, ?, ?, ?,"
					" ?) ON CONFLICT (kind, key) DO UPDATE SET seq = excluded.seq,"
					" error = excluded.error",
					"ssisi", r->kind, r->key, r->seq, str_of(r->error), m->now_ms);
	}
	if (rc == 0)
		rc = store_commit(&m->tx, &m->err);
	store_rollback(&m->tx);
	for (size_t i = 0; rc == 0 && i < w->n && logged < LOGGED; i++) {
		if (w->rows[i].error && ++logged)
			log_error("published state: %.*s %.*s is set aside: %s", STR_FMT(w->rows[i].kind),
				  STR_FMT(w->rows[i].key), w->rows[i].error);
	}
	if (rc == 0 && logged < w->failed)
		log_error("published state: %zu further objects are set aside", w->failed - logged);
	return rc;
}

/* Forgets those that could be projected now; after a batch of all, those that are no more, too. */
static int forget_repaired(struct model *m, const struct work *w)
{
	size_t gone = 0;
	int rc = w->n_dead ? store_begin(m->store, STORE_WRITE, &m->tx, &m->err) : 0;

	for (size_t i = 0; rc == 0 && i < w->n_dead; i++) {
		const struct publish_dead *dead = &w->dead[i];
		const struct row *row = find_row(w, dead);

		if (row ? row->error != NULL || row->seq < dead->seq : !w->all || dead->seq > w->seq)
			continue;
		gone++;
		rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM outbox_dead WHERE kind = ? AND key = ? AND seq = ?",
				"ssi", dead->kind, dead->key, dead->seq);
	}
	if (rc == 0 && gone)
		rc = store_commit(&m->tx, &m->err);
	store_rollback(&m->tx);
	if (rc == 0 && gone)
		log_info("published state: %zu objects are set aside no more", gone);
	return rc;
}

/* Batches. */

static int begin_both(struct model *m, struct pub *pub, struct pub_batch **batch)
{
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	return rc ? rc : pub_batch_begin(pub, batch, &m->err);
}

static void end_both(struct model *m, struct pub_batch **batch)
{
	pub_batch_abort(batch);
	store_rollback(&m->tx);
}

/* Projects what collect finds. What cannot be projected is in the store before the published state goes past it, and
 * leaves the store after it is in the published state: a crash in between means that it is tried once more. */
static int run_batch(struct model *m, struct pub *pub,
		     int (*collect)(struct model *, struct pub_batch *, struct work *), struct work *w)
{
	struct pub_batch *batch = NULL;
	bool own = false;
	int rc = begin_both(m, pub, &batch);

	if (rc == 0)
		rc = collect(m, batch, w);
	if (rc == 0)
		rc = project_all(m, batch, w, &own);
	if (own) {
		/* Without those, in a newer snapshot: later rows of the outbox say what has changed since. */
		end_both(m, &batch);
		rc = find_failing(m, pub, w);
		if (rc == 0)
			rc = begin_both(m, pub, &batch);
		if (rc == 0)
			rc = project_all(m, batch, w, &own);
	}
	bool changes = w->all || w->n;

	if (rc == 0 && changes)
		rc = count_dead(m, batch, w);
	store_rollback(&m->tx);
	if (rc == 0 && w->failed && !w->scratch)
		rc = set_aside(m, w);
	if (rc == 0 && changes)
		rc = pub_batch_commit(&batch, &m->err);
	end_both(m, &batch);
	return rc ? rc : forget_repaired(m, w);
}

static int collect_kind(struct model *m, const struct publish_kind *kind, struct work *w)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, kind->all, "");

	if (rc)
		return rc;
	while (store_next(rows))
		add_row(m, w, (struct row){w->seq, str_of(kind->kind), store_str(rows, 0, m->arena), NULL});
	return store_done(&rows, &m->err);
}

static int collect_all(struct model *m, struct pub_batch *batch, struct work *w)
{
	int rc = store_get_int(m->tx, &m->err, &w->seq, NULL, "SELECT COALESCE(MAX(seq), 0) FROM outbox", "");

	(void)batch;
	w->all = true;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(kinds); i++)
		rc = collect_kind(m, kinds[i], w);
	return rc;
}

/* Rows behind the last one projected, oldest first. */
static int collect_outbox(struct model *m, struct pub_batch *batch, struct work *w)
{
	struct store_rows *rows;

	/* What another release wrote is of no use. */
	if (!str_eq(pub_batch_get(batch, STR("meta/layout")), PUB_LAYOUT))
		return collect_all(m, batch, w);
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT seq, kind, key FROM outbox WHERE seq > ? ORDER BY seq LIMIT ?", "ii",
			     read_number(pub_batch_get(batch, STR("meta/seq"))), (int64_t)ROWS_PER_BATCH);

	if (rc)
		return rc;
	while (store_next(rows)) {
		w->seq = store_int(rows, 0);
		add_row(m, w, (struct row){w->seq, store_str(rows, 1, m->arena), store_str(rows, 2, m->arena), NULL});
	}
	w->more = w->n == ROWS_PER_BATCH;
	return store_done(&rows, &m->err);
}

static int collect_dead(struct model *m, struct pub_batch *batch, struct work *w)
{
	struct publish_dead *dead;
	size_t n = 0;
	int rc = publish_dead_list(m, &dead, &n);

	(void)batch;
	for (size_t i = 0; rc == 0 && i < n; i++)
		add_row(m, w, (struct row){dead[i].seq, dead[i].kind, dead[i].key, NULL});
	return rc;
}

int publish_run(struct model *m, struct pub *pub)
{
	struct work w = {.more = true};
	int rc = 0;

	while (rc == 0 && w.more) {
		w = (struct work){.seq = -1};
		rc = run_batch(m, pub, collect_outbox, &w);
	}
	return rc;
}

int publish_retry(struct model *m, struct pub *pub)
{
	return run_batch(m, pub, collect_dead, &(struct work){.seq = -1});
}

int publish_rebuild(struct model *m, struct pub *pub)
{
	return run_batch(m, pub, collect_all, &(struct work){.seq = -1});
}

static int position(struct model *m, struct pub *pub, int64_t *ret)
{
	struct pub_view *view = NULL;
	int rc = pub_view_begin(pub, &view, &m->err);

	if (rc)
		return rc;
	*ret = read_number(pub_get(view, STR("meta/seq")));
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
	rc = enough ? publish_run(m, pub) : publish_rebuild(m, pub);
	return rc || !enough ? rc : publish_retry(m, pub);
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
		rc = run_batch(m, scratch, collect_all, &(struct work){.seq = -1, .scratch = true});
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
