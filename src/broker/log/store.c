/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/mem.h"
#include "broker/log/priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static void set_defaults(struct plog_store_config *c)
{
	c->checkpoint_ms = c->checkpoint_ms ? c->checkpoint_ms : 10000;
	c->checkpoint_bytes = c->checkpoint_bytes ? c->checkpoint_bytes : 256 << 20;
	c->producer_expiry_ms = c->producer_expiry_ms ? c->producer_expiry_ms : 86400 * 1000;
	c->producers_max = c->producers_max ? c->producers_max : 100000;
	c->open_files_max = c->open_files_max ? c->open_files_max : 4096;
	c->idle_close_ms = c->idle_close_ms ? c->idle_close_ms : 60000;
	c->prealloc_max = c->prealloc_max ? c->prealloc_max : 32 << 20;
	c->spare_files = c->spare_files ? c->spare_files : 4;
	c->index_interval = c->index_interval ? c->index_interval : 4096;
	c->compact_memory = c->compact_memory ? c->compact_memory : 16 << 20;
	c->inflate_max = c->inflate_max ? c->inflate_max : 64 << 20;
}

static int fail(struct err *err, const char *what)
{
	int e = errno;

	return err_set_text(err, e == ENOSPC ? ERR_APPIA_0507 : ERR_APPIA_0500, "message store: %s: %s", what,
			    strerror(e));
}

static void remove_tree(struct plog_store *store, const char *name)
{
	int fd = openat(store->dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		unlinkat(fd, e->d_name, 0);
	if (dir)
		closedir(dir);
	unlinkat(store->dirfd, name, AT_REMOVEDIR);
}

/* ---- the table of partitions ---- */

/* Takes over the reference; lock is held. */
static void table_add(struct plog_store *store, struct plog *p)
{
	uint32_t i = store->free_at;

	while (i < store->n && store->v[i])
		i++;
	store->free_at = i + 1;
	if (i == store->n && store->n == store->cap) {
		store->cap = store->cap ? store->cap * 2 : 64;
		store->v = mem_realloc(store->v, store->cap * sizeof(*store->v));
	}
	if (i == store->n)
		store->n++;
	store->v[i] = p;
	map_put(store->by_name, str_of(p->name), p);
}

struct plog *plog_store_find(struct plog_store *store, struct str topic, int32_t partition)
{
	char name[PLOG_TOPIC_MAX + 16];

	if (topic.n > PLOG_TOPIC_MAX)
		return NULL;
	snprintf(name, sizeof(name), "%.*s-%" PRId32, STR_FMT(topic), partition);
	pthread_mutex_lock(&store->lock);
	struct plog *p = map_get(store->by_name, str_of(name));

	if (p)
		plog_ref(p);
	pthread_mutex_unlock(&store->lock);
	return p;
}

struct plog *plog_store_next(struct plog_store *store, size_t *at)
{
	struct plog *p = NULL;

	pthread_mutex_lock(&store->lock);
	while (*at < store->n && !p)
		p = store->v[(*at)++];
	if (p)
		plog_ref(p);
	pthread_mutex_unlock(&store->lock);
	return p;
}

/* ---- open ---- */

static void open_one(struct plog_store *store, struct str name, const struct plog_state *s, bool clean)
{
	uint8_t none[16] = {0};
	struct plog *p = plog__new(store, name, s ? s->topic_id : none);
	int rc = clean && s && s->n_segs ? plog__adopt(p, s) : plog__recover(p, s);

	if (rc) {
		for (uint32_t i = 0; i < p->n_segs; i++)
			plog__seg_unref(p->segs[i]);
		p->n_segs = 0;
		p->bytes = 0;
		p->code = PLOG_STORAGE;
	}
	table_add(store, p);
	if (!rc && p->durable.offset < p->end.offset)
		plog__sync_kick(p);
}

static void sweep_file(struct plog_store *store, const char *name)
{
	size_t n = strlen(name);

	if (!strncmp(name, "spare-", 6))
		atomic_fetch_add(&store->spares, 1);
	else if (n > 4 && !strcmp(name + n - 4, ".tmp"))
		unlinkat(store->dirfd, name, 0);
}

/* Opens each folder that is a partition, sweeps up what was being made or deleted. */
static int open_all(struct plog_store *store, struct plog_state *states, uint32_t n, bool clean)
{
	struct map *known = map_new();
	int fd = openat(store->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	size_t topic_n;
	int32_t partition;

	for (uint32_t i = 0; i < n; i++)
		map_put(known, states[i].name, &states[i]);
	while (dir && (e = readdir(dir))) {
		struct str name = str_of(e->d_name);

		if (strchr(e->d_name, '#'))
			remove_tree(store, e->d_name);
		else if (e->d_type != DT_REG && plog__name_split(name, &topic_n, &partition))
			open_one(store, name, map_get(known, name), clean);
		else
			sweep_file(store, e->d_name);
	}
	if (dir)
		closedir(dir);
	map_free(known);
	return dir ? 0 : -1;
}

static int lock_dir(struct plog_store *store, struct err *err)
{
	const char *dir = store->cfg.dir;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return fail(err, "the directory cannot be made");
	store->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dirfd < 0)
		return fail(err, "the directory cannot be opened");
	store->lockfd = openat(store->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lockfd < 0)
		return fail(err, "its lock cannot be made");
	if (flock(store->lockfd, LOCK_EX | LOCK_NB))
		return err_set_text(err, ERR_APPIA_0503, "message store: another process uses the directory");
	return 0;
}

static int open_content(struct plog_store *store, struct err *err)
{
	struct arena *a = arena_new(2u << 30);
	struct plog_state *states = NULL;
	uint32_t n = 0;
	bool clean = false;
	int rc = 0;

	plog__state_load(store, a, &states, &n, &clean);
	/* Before anything changes, and for good: a crash must not find the mark again. */
	if (!unlinkat(store->dirfd, "clean", 0))
		rc = fsync(store->dirfd);
	if (!rc)
		rc = plog__sync_start(store);
	if (!rc)
		rc = open_all(store, states, n, clean);
	/* Keeps the new leader epochs. A full disk is no reason not to start. */
	if (!rc && atomic_load(&store->recovered))
		plog__state_save(store, false);
	arena_free(a);
	store->state_dirty = !clean;
	store->checkpoint_due = clock_mono_ms() + store->cfg.checkpoint_ms;
	return rc ? fail(err, "it cannot be read") : 0;
}

static void store_free(struct plog_store *store)
{
	plog__sync_stop(store);
	plog__compact_stop(store);
	for (uint32_t i = 0; i < store->n; i++)
		plog_unref(store->v[i]);
	free(store->v);
	map_free(store->by_name);
	if (store->lockfd >= 0)
		close(store->lockfd);
	if (store->dirfd >= 0)
		close(store->dirfd);
	pthread_mutex_destroy(&store->lock);
	free(store->dir);
	free(store);
}

int plog_store_open(const struct plog_store_config *cfg, struct plog_store **ret, struct err *err)
{
	struct plog_store *store = mem_zalloc(sizeof(*store));

	store->cfg = *cfg;
	store->cfg.dir = store->dir = mem_strdup(cfg->dir);
	set_defaults(&store->cfg);
	store->dirfd = store->lockfd = -1;
	store->by_name = map_new();
	pthread_mutex_init(&store->lock, NULL);
	int rc = lock_dir(store, err);

	if (!rc)
		rc = open_content(store, err);
	if (rc)
		store_free(store);
	else
		*ret = store;
	return rc;
}

void plog_store_abandon(struct plog_store **store)
{
	if (*store)
		store_free(*store);
	*store = NULL;
}

/* ---- checkpoints ---- */

struct point {
	struct plog *p;
	struct plog_at at;
	uint32_t producers;
	uint64_t gen;
};

static int flush_points(struct plog_store *store, struct point *v, size_t n)
{
	enum { FEW = 8 };
	int rc = 0;

	/* Few: one by one, the file system may belong to others, too. Many: one flush for all. */
	if (n > FEW)
		return syncfs(store->dirfd);
	for (size_t i = 0; i < n && !rc; i++)
		rc = plog__sync_now(v[i].p);
	return rc;
}

/* Moves the recovery points of all partitions that have changed to their present ends. */
static void checkpoint_all(struct plog_store *store, bool clean)
{
	struct point *v = NULL;
	size_t n = 0, cap = 0, at = 0;
	struct plog *p;
	bool changed = store->state_dirty, all = true;

	while ((p = plog_store_next(store, &at))) {
		if (n == cap) {
			cap = cap ? cap * 2 : 64;
			v = mem_realloc(v, cap * sizeof(*v));
		}
		v[n].p = p;
		if (plog__checkpoint_prepare(p, &v[n].at, &v[n].producers, &v[n].gen)) {
			n++;
			continue;
		}
		pthread_mutex_lock(&p->lock);
		all = all && p->code != PLOG_STORAGE && p->checkpoint.offset == p->end.offset;
		pthread_mutex_unlock(&p->lock);
		plog_unref(p);
	}
	if (n && !flush_points(store, v, n)) {
		for (size_t i = 0; i < n; i++)
			plog__checkpoint_set(v[i].p, &v[i].at, v[i].producers, v[i].gen);
		changed = true;
	} else if (n) {
		all = false;
	}
	/* The mark of an orderly stop is for the case that everything is as the file says. */
	if ((changed || clean) && !plog__state_save(store, clean && all))
		store->state_dirty = false;
	for (size_t i = 0; i < n; i++)
		plog_unref(v[i].p);
	free(v);
}

void plog_store_close(struct plog_store **store)
{
	struct plog_store *s = *store;
	size_t at = 0;
	struct plog *p;

	if (!s)
		return;
	plog__compact_stop(s);
	while ((p = plog_store_next(s, &at))) {
		/* Space that was reserved ahead is given back. */
		struct plog_segment *seg = p->n_segs ? plog__active(p) : NULL;
		int fd = seg && seg->reserved > seg->size ? plog__seg_fd(p, seg) : -1;

		if (fd >= 0 && !ftruncate(fd, seg->size))
			seg->reserved = seg->size;
		plog_unref(p);
	}
	checkpoint_all(s, true);
	store_free(s);
	*store = NULL;
}

void plog_store_quiet(struct plog_store *store)
{
	size_t at = 0;
	struct plog *p;

	plog__sync_stop(store);
	while ((p = plog_store_next(store, &at))) {
		pthread_mutex_lock(&p->lock);
		p->waiters = NULL;
		pthread_mutex_unlock(&p->lock);
		plog_unref(p);
	}
}

/* ---- create, delete ---- */

static int make_folder(struct plog *p, const char *name)
{
	struct plog_store *store = p->store;
	char tmp[32];

	/* Short, as the name of the topic may be as long as a file name can be; '#' is in none. */
	snprintf(tmp, sizeof(tmp), "new#%u", atomic_fetch_add(&store->spare_seq, 1));
	remove_tree(store, tmp);
	if (mkdirat(store->dirfd, tmp, 0700))
		return -1;
	/* Made aside and renamed: a folder with a partition's name has a good meta file. */
	snprintf(p->name, sizeof(p->name), "%s", tmp);
	int rc = plog__meta_save(p, false);

	snprintf(p->name, sizeof(p->name), "%s", name);
	if (!rc)
		rc = renameat(store->dirfd, tmp, store->dirfd, name);
	if (rc)
		remove_tree(store, tmp);
	return rc;
}

static int make_partition(struct plog_store *store, const char *name, const uint8_t *topic_id, struct plog **ret)
{
	struct plog *p = plog__new(store, str_of(name), topic_id);
	struct plog_segment *seg = plog__seg_new(store, 0);

	p->epochs = mem_zalloc(sizeof(*p->epochs));
	p->n_epochs = 1;
	p->producers_loaded = true;
	p->dir_dirty = true;
	p->checkpoint.offset = -1;
	seg->saved = true;
	if (make_folder(p, name)) {
		plog__seg_unref(seg);
		plog_unref(p);
		return PLOG_STORAGE;
	}
	if (plog__seg_create(p, seg)) {
		plog__seg_unref(seg);
		remove_tree(store, name);
		plog_unref(p);
		return PLOG_STORAGE;
	}
	plog__segs_add(p, seg);
	*ret = p;
	return PLOG_OK;
}

int plog_store_create(struct plog_store *store, struct str topic, int32_t partition, const uint8_t *topic_id,
		      const struct plog_config *cfg, struct plog **ret_p)
{
	char name[PLOG_TOPIC_MAX + 16];
	struct plog *p = NULL;
	size_t topic_n;
	int32_t part;

	if (topic.n > PLOG_TOPIC_MAX || partition < 0)
		return PLOG_INVALID_TOPIC;
	snprintf(name, sizeof(name), "%.*s-%" PRId32, STR_FMT(topic), partition);
	if (!plog__name_split(str_of(name), &topic_n, &part) || topic_n != topic.n)
		return PLOG_INVALID_TOPIC;
	pthread_mutex_lock(&store->lock);
	int rc = map_get(store->by_name, str_of(name)) ? PLOG_EXISTS : make_partition(store, name, topic_id, &p);

	if (!rc) {
		table_add(store, p);
		plog_ref(p);
	}
	pthread_mutex_unlock(&store->lock);
	if (!rc) {
		plog_configure(p, cfg);
		*ret_p = p;
	}
	return rc;
}

int plog_store_commit(struct plog_store *store)
{
	return syncfs(store->dirfd) ? PLOG_STORAGE : PLOG_OK;
}

int plog_store_delete(struct plog_store *store, struct plog *p)
{
	char gone[32];
	bool mine = false;

	pthread_mutex_lock(&p->writer);
	pthread_mutex_lock(&store->lock);
	for (uint32_t i = 0; i < store->n && !mine; i++) {
		if (store->v[i] == p) {
			store->v[i] = NULL;
			store->free_at = i < store->free_at ? i : store->free_at;
			map_del(store->by_name, str_of(p->name));
			mine = true;
		}
	}
	if (mine) {
		pthread_mutex_lock(&p->lock);
		p->code = PLOG_GONE;
		pthread_mutex_unlock(&p->lock);
		/* Under the lock, as the name may be made again at once. */
		snprintf(gone, sizeof(gone), "deleted#%u", atomic_fetch_add(&store->spare_seq, 1));
		if (renameat(store->dirfd, p->name, store->dirfd, gone))
			remove_tree(store, p->name);
	}
	pthread_mutex_unlock(&store->lock);
	if (mine)
		remove_tree(store, gone);
	plog__writer_unlock(p);
	if (!mine)
		return PLOG_GONE;
	plog__waiters_fail(p, PLOG_GONE);
	plog_unref(p);
	return PLOG_OK;
}

/* ---- housekeeping ---- */

uint32_t plog__store_count(struct plog_store *store)
{
	pthread_mutex_lock(&store->lock);
	uint32_t n = store->n;

	pthread_mutex_unlock(&store->lock);
	return n;
}

/* Closes files of a partition that were not used for long. */
static void close_idle(struct plog *p, int64_t mono, int64_t idle)
{
	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; i < p->n_segs; i++) {
		struct plog_segment *seg = p->segs[i];
		bool busy = i + 1 == p->n_segs && p->durable.offset < p->end.offset;

		/* References are taken under the lock, so one is the list's own; the active one also has its writer. */
		if (atomic_load(&seg->refs) == 1 && atomic_load(&seg->fd) >= 0 && !busy &&
		    mono - atomic_load(&seg->used_ms) > idle)
			plog__seg_close(seg);
	}
	pthread_mutex_unlock(&p->lock);
}

static void save_indexes(struct plog *p)
{
	pthread_mutex_lock(&p->writer);
	for (uint32_t i = p->n_segs; i-- > 0;) {
		if (p->segs[i]->sealed && !p->segs[i]->saved)
			plog__seg_save(p, p->segs[i]);
		else if (p->segs[i]->sealed)
			break;
	}
	plog__writer_unlock(p);
}

/* A partition that could not be opened is tried again: the disk may have come back. */
static void reopen(struct plog *p)
{
	pthread_mutex_lock(&p->writer);
	if (!p->n_segs && p->code == PLOG_STORAGE) {
		struct plog *fresh = plog__new(p->store, str_of(p->name), p->topic_id);

		if (!plog__recover(fresh, NULL)) {
			pthread_mutex_lock(&p->lock);
			struct plog old = *p;

			p->segs = fresh->segs;
			p->n_segs = fresh->n_segs;
			p->cap_segs = fresh->cap_segs;
			p->epochs = fresh->epochs;
			p->n_epochs = fresh->n_epochs;
			p->producers = fresh->producers;
			p->producers_loaded = true;
			p->start = fresh->start;
			p->end = fresh->end;
			p->durable = fresh->durable;
			p->stable = fresh->stable;
			p->bytes = fresh->bytes;
			p->checkpoint.offset = -1;
			p->dir_dirty = true;
			p->code = PLOG_OK;
			fresh->segs = old.segs;
			fresh->n_segs = 0;
			fresh->epochs = old.epochs;
			fresh->producers = old.producers;
			pthread_mutex_unlock(&p->lock);
			plog__sync_kick(p);
		}
		plog_unref(fresh);
	}
	plog__writer_unlock(p);
}

static void keep(struct plog *p, int64_t now_ms, int64_t mono)
{
	struct plog_store *store = p->store;
	int code = plog__open_error(p);

	if (code == PLOG_STORAGE) {
		if (p->n_segs && !p->stuck)
			plog__heal(p);
		else
			reopen(p);
		return;
	}
	plog__retain(p, now_ms);
	save_indexes(p);
	if (mono - p->expired_ms > 60000) {
		p->expired_ms = mono;
		pthread_mutex_lock(&p->writer);
		if (p->producers_loaded)
			plog__producers_expire(&p->producers, now_ms - store->cfg.producer_expiry_ms);
		plog__writer_unlock(p);
	}
	bool crowded = atomic_load(&store->open_files) > (int)store->cfg.open_files_max;

	close_idle(p, mono, crowded ? 100 : store->cfg.idle_close_ms);
}

static bool checkpoint_is_due(struct plog_store *store, int64_t mono)
{
	return mono >= store->checkpoint_due;
}

bool plog_store_step(struct plog_store *store, int64_t now_ms, int budget_ms)
{
	int64_t mono = clock_mono_ms(), until = mono + budget_ms;
	/* A tenth of the partitions per call: each is looked at about once a second. */
	uint32_t todo = plog__store_count(store) / 10 + 2;

	for (; todo && clock_mono_ms() <= until; todo--) {
		size_t at = store->step_at;
		struct plog *p = plog_store_next(store, &at);

		store->step_at = p ? (uint32_t)at : 0;
		if (!p && at > 0)
			continue; /* from the beginning again */
		if (!p)
			break;
		keep(p, now_ms, mono);
		plog_unref(p);
	}
	if (checkpoint_is_due(store, mono)) {
		checkpoint_all(store, false);
		store->checkpoint_due = clock_mono_ms() + store->cfg.checkpoint_ms;
	}
	return plog__compact_step(store, now_ms, until);
}

void plog_store_stats(struct plog_store *store, struct plog_store_stats *ret_stats)
{
	struct plog_store_stats s = {.open_files = (uint64_t)atomic_load(&store->open_files),
				     .appended_bytes = atomic_load(&store->appended_bytes),
				     .append_errors = atomic_load(&store->append_errors),
				     .sync_rounds = atomic_load(&store->sync_rounds),
				     .sync_files = atomic_load(&store->sync_files),
				     .sync_waiters = atomic_load(&store->sync_waiters),
				     .sync_errors = atomic_load(&store->sync_errors),
				     .recovered = atomic_load(&store->recovered),
				     .truncated_bytes = atomic_load(&store->truncated_bytes),
				     .compacted_segments = atomic_load(&store->compacted_segments),
				     .deleted_segments = atomic_load(&store->deleted_segments)};

	pthread_mutex_lock(&store->lock);
	for (uint32_t i = 0; i < store->n; i++) {
		struct plog *p = store->v[i];

		if (!p)
			continue;
		s.partitions++;
		s.broken += plog__open_error(p) != 0;
	}
	pthread_mutex_unlock(&store->lock);
	*ret_stats = s;
}
