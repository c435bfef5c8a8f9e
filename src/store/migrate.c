/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_priv.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>

#define MAX_ROWS_BYTES ((size_t)4 << 20)

/* Migrations that the database has and the program lacks, or that have changed, mean that someone would lose data. */
static int check_row(const struct store_migration *migrations, size_t n, int64_t version, struct str checksum,
                     bool *done, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		if (migrations[i].version != version)
			continue;
		if (!str_is(checksum, migrations[i].checksum))
			return err_set_text(err, ERR_APPIA_0500,
			                    "The database was made with another text of migration %" PRId64
			                    " (%s): restore the file of that migration.", version, migrations[i].name);
		done[i] = true;
		return 0;
	}
	return err_set_text(err, ERR_APPIA_0500,
	                    "The database is newer than this program: it has migration %" PRId64
	                    ", which this program does not know. Install the newer version.", version);
}

static int read_rows(struct store_tx *tx, const struct store_migration *migrations, size_t n, bool *done,
                     struct arena *a, struct err *err)
{
	struct store_rows *rows;
	int64_t tables = 0;
	int bad = 0;
	int r = store_get_int(tx, err, &tables, NULL, tx->store->engine->migrated_sql, "");

	if (r < 0 || tables == 0)
		return r;
	r = store_query(tx, err, &rows, "SELECT version, checksum FROM schema_migration ORDER BY version", "");
	if (r < 0)
		return r;
	while (bad == 0 && store_next(rows))
		bad = check_row(migrations, n, store_int(rows, 0), store_str(rows, 1, a), done, err);
	if (bad < 0) {
		store_done(&rows, NULL);
		return bad;
	}
	return store_done(&rows, err);
}

/* Which of the migrations the database has. */
static int check(struct store_tx *tx, const struct store_migration *migrations, size_t n, bool *done, struct err *err)
{
	struct arena *a = arena_new(MAX_ROWS_BYTES);
	int r;

	memset(done, 0, n * sizeof(*done));
	r = read_rows(tx, migrations, n, done, a, err);
	arena_free(a);
	return r;
}

static int apply(struct store_tx *tx, const struct store_migration *m, struct err *err)
{
	int r = tx->store->engine->script(tx, err, tx->store->engine->pg ? m->pg : m->sqlite);

	if (r < 0) {
		bool retriable = err && err->retriable;

		/* Full disk and busy store keep their own words. */
		if (r == ERR_APPIA_0500 && !retriable)
			err_set_text(err, r, "Migration %" PRId64 " (%s) of the database failed.", m->version, m->name);
		return r;
	}
	log_debug("store: migration=%" PRId64 " name=%s", m->version, m->name);
	return store_exec(tx, err, NULL,
	                  "INSERT INTO schema_migration (version, name, checksum, applied_ms) VALUES (?, ?, ?, ?)",
	                  "issi", m->version, str_of(m->name), str_of(m->checksum), clock_now_ms());
}

/* Applies the first missing one. Looks again under the lock: another process may have been faster. */
static int step(struct store *store, const struct store_migration *migrations, size_t n, bool *done, struct err *err)
{
	struct store_tx *tx;
	size_t i = 0;
	int r = store->engine->begin(store, STORE_MIGRATE, &tx, err);

	if (r < 0)
		return r;
	r = check(tx, migrations, n, done, err);
	while (i < n && done[i])
		i++;
	if (r == 0 && i < n) {
		r = apply(tx, &migrations[i], err);
		done[i] = true;
	}
	if (r < 0) {
		store_rollback(&tx);
		return r;
	}
	return store_commit(&tx, err);
}

int store__migrate(struct store *store, const struct store_migration *migrations, size_t n, struct err *err)
{
	struct arena *a = arena_new(MAX_ROWS_BYTES);
	bool *done = ARENA_ARRAY(a, bool, n + 1);
	struct store_tx *tx;
	size_t i = 0;
	int r = store_begin(store, STORE_READ, &tx, err);

	if (r == 0) {
		/* The usual start writes nothing. */
		r = check(tx, migrations, n, done, err);
		store_rollback(&tx);
	}
	while (r == 0 && i < n) {
		if (done[i])
			i++;
		else
			r = step(store, migrations, n, done, err);
	}
	arena_free(a);
	return r;
}
