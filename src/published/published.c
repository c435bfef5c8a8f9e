/* SPDX-License-Identifier: Apache-2.0 */
#include "published/published.h"

#include "base/cursor.h"
#include "base/map.h"
#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Readers map this much address space whatever the writer's limit is, so that a writer restarted with a larger limit
 * never forces them to map anew under running views. Only address space: a read-only file mapping costs no memory. */
#define READER_MAP ((size_t)1 << 36)
#define READERS 1024
#define PAGE 4096

_Static_assert(sizeof(size_t) == 8, "the published state needs a 64-bit address space");

struct pub {
	MDB_env *env;
	MDB_dbi dbi;
};

/* Where a value was found in the snapshot of one transaction. */
struct found {
	uint64_t hash, txn; /* txn 0: never used; snapshots begin with 1 */
	const char *p; /* NULL: there is no such key */
	uint64_t n;
};

#define CACHE_SETS 16384
#define CACHE_WAYS 4 /* 128 bytes: two cache lines */
#define CACHE_BYTES ((size_t)CACHE_SETS * CACHE_WAYS * sizeof(struct found))

struct pub_view {
	MDB_txn *txn;
	MDB_dbi dbi;
	uint64_t id; /* of the snapshot */
	struct found (*cache)[CACHE_WAYS]; /* NULL: none */
	MDB_cursor *cursor; /* opened by the first pub_next() */
	bool active, cursor_stale;
};

struct pub_batch {
	MDB_txn *txn;
	MDB_dbi dbi;
	int failed; /* first failure; the batch cannot be committed any more */
};

static int lmdb_error(struct err *err, int rc, const char *what)
{
	if (rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT)
		return err_set_text(err, ERR_APPIA_0507, "The published state is full.");
	if (rc == MDB_READERS_FULL) {
		err_set_retriable(err, ERR_APPIA_0503, NULL);
		return ERR_APPIA_0503;
	}
	return err_set_text(err, ERR_APPIA_0500, "The published state cannot be %s: %s.", what, mdb_strerror(rc));
}

static MDB_val val_of(struct str s)
{
	union {
		const char *in;
		void *out;
	} u = {s.p}; /* LMDB takes non-const pointers but does not write through them */

	return (MDB_val){s.n, u.out};
}

static struct str str_val(MDB_val v)
{
	return v.mv_size ? (struct str){v.mv_data, v.mv_size} : STR("");
}

/* A reader may come before the writer made the first state. */
static bool state_exists(const char *dir)
{
	char path[PATH_MAX];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/data.mdb", dir);

	return n > 0 && (size_t)n < sizeof(path) && stat(path, &st) == 0 && st.st_size >= 2 * PAGE;
}

static int env_open(MDB_env *env, const char *dir, size_t map_bytes, bool writer)
{
	size_t map = map_bytes < 16 * PAGE ? 16 * PAGE : (map_bytes + PAGE - 1) / PAGE * PAGE;
	int rc = mdb_env_set_mapsize(env, writer || map > READER_MAP ? map : READER_MAP);

	if (!rc)
		rc = mdb_env_set_maxreaders(env, READERS);
	/* 0660: readers of the group write themselves into the lock file; the umask narrows it. */
	if (!rc)
		rc = mdb_env_open(env, dir, MDB_NOTLS | (writer ? 0 : MDB_RDONLY), 0660);
	return rc;
}

int pub_open(const char *dir, size_t map_bytes, bool writer, struct pub **ret, struct err *err)
{
	struct pub pub = {0};
	MDB_txn *txn = NULL;

	if (writer && mkdir(dir, 0770) != 0 && errno != EEXIST)
		return lmdb_error(err, errno, "created");
	if (!writer && !state_exists(dir)) {
		err_set_text(err, ERR_APPIA_0503, "Nothing has been published yet.");
		if (err)
			err->retriable = true;
		return ERR_APPIA_0503;
	}
	int rc = mdb_env_create(&pub.env);

	if (rc)
		return lmdb_error(err, rc, "opened");
	rc = env_open(pub.env, dir, map_bytes, writer);
	if (!rc && writer)
		rc = mdb_reader_check(pub.env, NULL);
	if (!rc)
		rc = mdb_txn_begin(pub.env, NULL, writer ? 0 : MDB_RDONLY, &txn);
	if (!rc) {
		rc = mdb_dbi_open(txn, NULL, 0, &pub.dbi);
		if (rc)
			mdb_txn_abort(txn);
		else
			rc = mdb_txn_commit(txn);
	}
	if (rc) {
		mdb_env_close(pub.env);
		return lmdb_error(err, rc, "opened");
	}
	*ret = mem_alloc(sizeof(pub));
	**ret = pub;
	return 0;
}

void pub_close(struct pub *pub)
{
	if (!pub)
		return;
	mdb_env_close(pub->env);
	free(pub);
}

int pub_view_begin(struct pub *pub, struct pub_view **ret, struct err *err)
{
	struct pub_view *view = mem_try(sizeof(*view));

	if (!view)
		return lmdb_error(err, ENOMEM, "read");
	*view = (struct pub_view){.dbi = pub->dbi, .active = true};
	int rc = mdb_txn_begin(pub->env, NULL, MDB_RDONLY, &view->txn);

	if (rc) {
		free(view);
		return lmdb_error(err, rc, "read");
	}
	view->id = mdb_txn_id(view->txn);
	*ret = view;
	return 0;
}

void pub_view_end(struct pub_view **view)
{
	struct pub_view *v = *view;

	if (!v)
		return;
	if (v->cursor)
		mdb_cursor_close(v->cursor);
	mdb_txn_abort(v->txn);
	if (v->cache)
		munmap(v->cache, CACHE_BYTES);
	free(v);
	*view = NULL;
}

void pub_view_reset(struct pub_view *view)
{
	if (!view->active)
		return;
	mdb_txn_reset(view->txn);
	view->active = false;
}

int pub_view_renew(struct pub_view *view, struct err *err)
{
	pub_view_reset(view);
	int rc = mdb_txn_renew(view->txn);

	if (rc)
		return lmdb_error(err, rc, "read");
	view->active = true;
	view->cursor_stale = true;
	view->id = mdb_txn_id(view->txn);
	return 0;
}

/* One huge page, where there are any: it is read all over the place. */
void pub_view_cache(struct pub_view *view)
{
	if (view->cache)
		return;
	char *p = mmap(NULL, 2 * CACHE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return;
	size_t before = (CACHE_BYTES - (uintptr_t)p % CACHE_BYTES) % CACHE_BYTES;

	if (before)
		munmap(p, before);
	munmap(p + before + CACHE_BYTES, CACHE_BYTES - before);
	madvise(p + before, CACHE_BYTES, MADV_HUGEPAGE);
	view->cache = (void *)(p + before);
}

/* mdb_get() works on the stack and on the map: nothing is allocated. */
static struct str look_up(struct pub_view *view, struct str key)
{
	MDB_val k = val_of(key), v;

	return mdb_get(view->txn, view->dbi, &k, &v) == 0 ? str_val(v) : STR_NONE;
}

/* Values are read from end to end, mostly. */
static void fetch_ahead(struct str value)
{
	for (size_t i = 0; i < value.n && i < 512; i += 64)
		__builtin_prefetch(value.p + i);
}

/* An entry made under this snapshot's transaction id is true for this snapshot, although no reader may have held the
 * snapshot meanwhile: a committed transaction's pages are left alone until a later one has been committed, ids only
 * grow, and the snapshot a view gets is the newest. The map never moves (READER_MAP). The hash is keyed with a secret
 * of the process, so nobody outside can look for two keys that share all of its 64 bits. */
static struct str look_up_cached(struct pub_view *view, struct str key)
{
	uint64_t hash = map_hash(key);
	struct found *set = view->cache[hash % CACHE_SETS], *to;

	for (size_t i = 0; i < CACHE_WAYS; i++) {
		if (set[i].hash == hash && set[i].txn == view->id) {
			fetch_ahead((struct str){set[i].p, set[i].n});
			return (struct str){set[i].p, set[i].n};
		}
	}
	struct str value = look_up(view, key);

	/* What is absent keeps to one place of its own: whoever asks for names that do not exist displaces nothing. */
	to = &set[value.p ? 1 + (hash >> 32) % (CACHE_WAYS - 1) : 0];
	for (size_t i = 1; value.p && to->txn == view->id && i < CACHE_WAYS; i++) {
		if (set[i].txn != view->id)
			to = &set[i];
	}
	*to = (struct found){hash, view->id, value.p, value.n};
	return value;
}

struct str pub_get(struct pub_view *view, struct str key)
{
	if (!view->active || !key.n || key.n > PUB_KEY_MAX)
		return STR_NONE;
	return view->cache ? look_up_cached(view, key) : look_up(view, key);
}

uint64_t pub_set_aside(struct pub_view *view)
{
	struct cursor c = cursor_of(pub_get(view, PUB_SET_ASIDE));

	return cursor_u64(&c);
}

struct str pub_key(char *buf, const char *kind, struct str a, struct str b, struct str c)
{
	const struct str parts[] = {str_of(kind), a, b, c};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(parts) && parts[i].p; i++) {
		if (parts[i].n > PUB_KEY_MAX - n || (i && n + parts[i].n + 1 > PUB_KEY_MAX))
			return STR_NONE;
		if (i)
			buf[n++] = '/';
		memcpy(buf + n, parts[i].p, parts[i].n);
		n += parts[i].n;
	}
	return (struct str){buf, n};
}

/* First key that is not before from; any key when from is empty. */
static int seek(MDB_cursor *cursor, struct str from, MDB_val *key, MDB_val *value)
{
	*key = val_of(from);
	return mdb_cursor_get(cursor, key, value, from.n ? MDB_SET_RANGE : MDB_FIRST);
}

static int view_cursor(struct pub_view *view)
{
	int rc = 0;

	if (!view->cursor)
		rc = mdb_cursor_open(view->txn, view->dbi, &view->cursor);
	else if (view->cursor_stale)
		rc = mdb_cursor_renew(view->txn, view->cursor);
	if (!rc)
		view->cursor_stale = false;
	return rc;
}

bool pub_next(struct pub_view *view, struct str prefix, struct str after, struct str *ret_key, struct str *ret_value)
{
	struct str from = after.p && str_cmp(after, prefix) > 0 ? after : prefix;
	MDB_val k, v;

	if (!view->active || from.n > PUB_KEY_MAX || view_cursor(view) != 0 || seek(view->cursor, from, &k, &v) != 0)
		return false;
	if (after.p && str_eq(str_val(k), after) && mdb_cursor_get(view->cursor, &k, &v, MDB_NEXT) != 0)
		return false;
	if (!str_starts(str_val(k), prefix))
		return false;
	*ret_key = str_val(k);
	*ret_value = str_val(v);
	return true;
}

int pub_batch_begin(struct pub *pub, struct pub_batch **ret, struct err *err)
{
	MDB_txn *txn;

	/* A reader that died with a snapshot would keep old pages from reuse for ever. */
	int rc = mdb_reader_check(pub->env, NULL);

	if (!rc)
		rc = mdb_txn_begin(pub->env, NULL, 0, &txn);
	if (rc)
		return lmdb_error(err, rc, "written");
	struct pub_batch *batch = mem_alloc(sizeof(*batch));

	*batch = (struct pub_batch){.txn = txn, .dbi = pub->dbi};
	*ret = batch;
	return 0;
}

static int batch_error(struct pub_batch *batch, int rc, struct err *err)
{
	if (!batch->failed)
		batch->failed = rc;
	return lmdb_error(err, batch->failed, "written");
}

int pub_put(struct pub_batch *batch, struct str key, struct str value, struct err *err)
{
	MDB_val k = val_of(key), v = val_of(value.p ? value : STR(""));

	if (batch->failed)
		return batch_error(batch, batch->failed, err);
	int rc = mdb_put(batch->txn, batch->dbi, &k, &v, 0);

	return rc ? batch_error(batch, rc, err) : 0;
}

int pub_del(struct pub_batch *batch, struct str key, struct err *err)
{
	MDB_val k = val_of(key);

	if (batch->failed)
		return batch_error(batch, batch->failed, err);
	int rc = mdb_del(batch->txn, batch->dbi, &k, NULL);

	return rc && rc != MDB_NOTFOUND ? batch_error(batch, rc, err) : 0;
}

int pub_del_prefix(struct pub_batch *batch, struct str prefix, struct err *err)
{
	MDB_cursor *cursor;
	MDB_val k, v;

	if (batch->failed)
		return batch_error(batch, batch->failed, err);
	int rc = prefix.n > PUB_KEY_MAX ? MDB_BAD_VALSIZE : mdb_cursor_open(batch->txn, batch->dbi, &cursor);

	if (rc)
		return batch_error(batch, rc, err);
	rc = seek(cursor, prefix, &k, &v);
	while (!rc && str_starts(str_val(k), prefix)) {
		rc = mdb_cursor_del(cursor, 0);
		if (!rc)
			rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	return rc && rc != MDB_NOTFOUND ? batch_error(batch, rc, err) : 0;
}

struct str pub_batch_get(struct pub_batch *batch, struct str key)
{
	MDB_val k = val_of(key), v;

	if (batch->failed || !key.n || key.n > PUB_KEY_MAX || mdb_get(batch->txn, batch->dbi, &k, &v) != 0)
		return STR_NONE;
	return str_val(v);
}

int pub_batch_commit(struct pub_batch **batch, struct err *err)
{
	struct pub_batch *b = *batch;
	int rc = b->failed;

	if (rc)
		mdb_txn_abort(b->txn);
	else
		rc = mdb_txn_commit(b->txn);
	free(b);
	*batch = NULL;
	return rc ? lmdb_error(err, rc, "written") : 0;
}

void pub_batch_abort(struct pub_batch **batch)
{
	if (!*batch)
		return;
	mdb_txn_abort((*batch)->txn);
	free(*batch);
	*batch = NULL;
}
