/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "broker/log/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* Group commit. Partitions that somebody waits for queue up; the sync thread takes all of them, starts the writing of
 * all their files, then waits for each. Who comes meanwhile is in the next round, so the rounds set the pace: an idle
 * broker answers after one flush, a busy one shares each flush among all that came. */

int (*plog__fdatasync)(int fd) = fdatasync;

/* ---- inboxes ---- */

struct plog_inbox {
	pthread_mutex_t lock;
	struct plog_waiter *first, **last;
	int fd;
};

struct plog_inbox *plog_inbox_new(void)
{
	struct plog_inbox *in = mem_zalloc(sizeof(*in));

	pthread_mutex_init(&in->lock, NULL);
	in->last = &in->first;
	in->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (in->fd < 0)
		abort();
	return in;
}

void plog_inbox_free(struct plog_inbox *inbox)
{
	if (!inbox)
		return;
	close(inbox->fd);
	pthread_mutex_destroy(&inbox->lock);
	free(inbox);
}

int plog_inbox_fd(const struct plog_inbox *inbox)
{
	return inbox->fd;
}

void plog_inbox_take(struct plog_inbox *inbox)
{
	uint64_t n;

	if (read(inbox->fd, &n, sizeof(n)) < 0)
		n = 0; /* nothing was there; looking costs little */
	pthread_mutex_lock(&inbox->lock);
	struct plog_waiter *w = inbox->first, *next;

	inbox->first = NULL;
	inbox->last = &inbox->first;
	pthread_mutex_unlock(&inbox->lock);
	for (; w; w = next) {
		next = w->next;
		w->fn(w, w->code);
	}
}

void plog__deliver(struct plog_waiter *w, int code)
{
	struct plog_inbox *in = w->inbox;
	uint64_t one = 1;

	w->code = code;
	w->next = NULL;
	if (!in) {
		w->fn(w, code);
		return;
	}
	pthread_mutex_lock(&in->lock);
	bool first = !in->first;

	*in->last = w;
	in->last = &w->next;
	/* Under the lock: behind it the inbox may be gone. */
	if (first && write(in->fd, &one, sizeof(one)) < 0)
		abort();
	pthread_mutex_unlock(&in->lock);
}

/* ---- asking ---- */

static void queue(struct plog_sync *s, struct plog *p)
{
	if (p->sync_queued)
		return;
	p->sync_queued = true;
	p->sync_next = s->queue;
	s->queue = plog_ref(p);
	if (!p->sync_next)
		pthread_cond_signal(&s->wake);
}

void plog__sync_kick(struct plog *p)
{
	struct plog_sync *s = &p->store->sync;

	pthread_mutex_lock(&s->lock);
	queue(s, p);
	pthread_mutex_unlock(&s->lock);
}

void plog__sync_timed(struct plog *p, int64_t due_mono_ms)
{
	struct plog_sync *s = &p->store->sync;

	pthread_mutex_lock(&s->lock);
	if (!p->timed && !p->sync_queued) {
		p->timed = true;
		p->sync_due = due_mono_ms;
		p->timed_next = s->timed;
		s->timed = plog_ref(p);
		if (due_mono_ms < s->next_due) {
			s->next_due = due_mono_ms;
			pthread_cond_signal(&s->wake);
		}
	}
	pthread_mutex_unlock(&s->lock);
}

void plog_wait_durable(struct plog *p, int64_t offset, struct plog_waiter *w)
{
	w->offset = offset;
	pthread_mutex_lock(&p->lock);
	int code = p->code;
	bool wait = !code && p->durable.offset < offset;

	if (wait) {
		w->next = p->waiters;
		p->waiters = w;
	}
	pthread_mutex_unlock(&p->lock);
	atomic_fetch_add_explicit(&p->store->sync_waiters, 1, memory_order_relaxed);
	if (wait)
		plog__sync_kick(p);
	else
		plog__deliver(w, code);
}

/* ---- a round ---- */

struct job {
	struct plog *p;
	struct plog_segment **segs;
	uint32_t n;
	struct plog_at end;
	uint64_t generation;
	bool dir;
};

/* Notes what is to be flushed: the segments from the durable point on. */
static void job_begin(struct job *j, struct plog *p)
{
	*j = (struct job){.p = p};
	pthread_mutex_lock(&p->lock);
	j->end = p->end;
	j->generation = p->generation;
	j->dir = p->dir_dirty;
	if (p->n_segs && p->code != PLOG_GONE && p->durable.offset < p->end.offset) {
		uint32_t from = plog__segs_find(p, p->durable.offset);

		/* A segment that ended right at the durable point was synced, but its successor's name was not. */
		j->n = p->n_segs - from;
		j->segs = mem_alloc(j->n * sizeof(*j->segs));
		for (uint32_t i = 0; i < j->n; i++)
			j->segs[i] = plog__seg_ref(p->segs[from + i]);
	}
	pthread_mutex_unlock(&p->lock);
	for (uint32_t i = 0; i < j->n; i++) {
		int fd = plog__seg_fd(p, j->segs[i]);

		/* Only a start: the answer is fdatasync()'s. */
		if (fd >= 0)
			sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	}
}

static int job_flush(struct job *j)
{
	int rc = 0;

	for (uint32_t i = 0; i < j->n && !rc; i++) {
		int fd = plog__seg_fd(j->p, j->segs[i]);

		rc = fd < 0 ? -1 : plog__fdatasync(fd);
		atomic_fetch_add_explicit(&j->p->store->sync_files, 1, memory_order_relaxed);
	}
	if (!rc && j->n && j->dir)
		rc = plog__dir_sync(j->p->store->dirfd, j->p->name);
	return rc;
}

/* Takes the waiters off whose offset is reached; with code those of all. lock is held. */
static struct plog_waiter *waiters_take(struct plog *p, int64_t durable, int code)
{
	struct plog_waiter **at = &p->waiters, *taken = NULL, *w;

	while ((w = *at)) {
		if (code || w->offset <= durable) {
			*at = w->next;
			w->next = taken;
			taken = w;
		} else {
			at = &w->next;
		}
	}
	return taken; /* oldest first: the list has the newest in front */
}

static void waiters_call(struct plog_waiter *w, int code)
{
	struct plog_waiter *next;

	for (; w; w = next) {
		next = w->next;
		plog__deliver(w, code);
	}
}

void plog__waiters_fail(struct plog *p, int code)
{
	pthread_mutex_lock(&p->lock);
	struct plog_waiter *w = waiters_take(p, 0, code);

	pthread_mutex_unlock(&p->lock);
	waiters_call(w, code);
}

static int job_end(struct job *j, int rc)
{
	struct plog *p = j->p;

	pthread_mutex_lock(&p->lock);
	int code = p->code;

	if (rc && !code) {
		/* After a failed flush the kernel may have dropped what was not written: nothing more is accepted
		 * until plog__heal() has written it again. */
		p->code = code = PLOG_STORAGE;
		atomic_fetch_add(&p->store->sync_errors, 1);
	} else if (!code && j->generation == p->generation) {
		if (j->end.offset > p->durable.offset || j->end.seg != p->durable.seg)
			p->durable = j->end;
		if (j->n && j->dir && j->segs[j->n - 1] == p->segs[p->n_segs - 1])
			p->dir_dirty = false;
	}
	struct plog_waiter *w = waiters_take(p, p->durable.offset, code);
	bool again = !code && p->waiters && j->generation != p->generation;

	pthread_mutex_unlock(&p->lock);
	waiters_call(w, code);
	for (uint32_t i = 0; i < j->n; i++)
		plog__seg_unref(j->segs[i]);
	free(j->segs);
	if (again)
		plog__sync_kick(p);
	return code;
}

int plog__sync_now(struct plog *p)
{
	struct job j;

	job_begin(&j, p);
	return job_end(&j, job_flush(&j));
}

static void round_run(struct plog_store *store, struct plog *list)
{
	struct job *jobs = NULL;
	size_t n = 0, cap = 0;

	for (struct plog *p = list, *next; p; p = next) {
		pthread_mutex_lock(&store->sync.lock);
		next = p->sync_next;
		p->sync_queued = false; /* who appends from here on asks again */
		pthread_mutex_unlock(&store->sync.lock);
		if (n == cap) {
			cap = cap ? cap * 2 : 16;
			jobs = mem_realloc(jobs, cap * sizeof(*jobs));
		}
		job_begin(&jobs[n++], p);
	}
	for (size_t i = 0; i < n; i++) {
		job_end(&jobs[i], job_flush(&jobs[i]));
		plog_unref(jobs[i].p);
	}
	free(jobs);
	atomic_fetch_add_explicit(&store->sync_rounds, 1, memory_order_relaxed);
}

/* Moves partitions whose flush.ms is over into the queue; lock is held. */
static void timed_due(struct plog_sync *s, int64_t now)
{
	struct plog **at = &s->timed, *p;

	s->next_due = INT64_MAX;
	while ((p = *at)) {
		if (p->sync_due <= now) {
			*at = p->timed_next;
			p->timed = false;
			queue(s, p);
			plog_unref(p); /* the queue has its own */
		} else {
			s->next_due = p->sync_due < s->next_due ? p->sync_due : s->next_due;
			at = &p->timed_next;
		}
	}
}

static void sleep_until(struct plog_sync *s)
{
	struct timespec t = {.tv_sec = s->next_due / 1000, .tv_nsec = s->next_due % 1000 * 1000000};

	if (s->next_due == INT64_MAX)
		pthread_cond_wait(&s->wake, &s->lock);
	else
		pthread_cond_timedwait(&s->wake, &s->lock, &t);
}

static void *sync_main(void *arg)
{
	struct plog_store *store = arg;
	struct plog_sync *s = &store->sync;

	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		timed_due(s, clock_mono_ms());
		struct plog *list = s->queue;

		if (!list) {
			sleep_until(s);
			continue;
		}
		s->queue = NULL;
		pthread_mutex_unlock(&s->lock);
		round_run(store, list);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

int plog__sync_start(struct plog_store *store)
{
	struct plog_sync *s = &store->sync;
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&s->lock, NULL);
	s->next_due = INT64_MAX;
	s->running = pthread_create(&s->thread, NULL, sync_main, store) == 0;
	return s->running ? 0 : -1;
}

void plog__sync_stop(struct plog_store *store)
{
	struct plog_sync *s = &store->sync;

	if (!s->running)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	s->running = false;
	for (struct plog *p = s->queue, *next; p; p = next) {
		next = p->sync_next;
		p->sync_queued = false;
		plog_unref(p);
	}
	for (struct plog *p = s->timed, *next; p; p = next) {
		next = p->timed_next;
		p->timed = false;
		plog_unref(p);
	}
	s->queue = s->timed = NULL;
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
}

/* ---- after a failed flush ---- */

static int scan_any(void *arg, const struct log_batch *b, const uint8_t *data, uint32_t pos)
{
	return 0;
}

/* Reads [from, to) back, checks it and writes it again in place, which makes the kernel try anew. */
static int rewrite(int fd, uint32_t from, uint32_t to)
{
	enum { CHUNK = 256 << 10 };
	uint32_t valid = 0;

	if (plog__scan(fd, from, to, 0, true, scan_any, NULL, &valid) || valid != to)
		return -1;
	char *chunk = mem_alloc(CHUNK);
	int rc = 0;

	for (uint32_t at = from; at < to && !rc; at += CHUNK) {
		uint32_t n = to - at < CHUNK ? to - at : CHUNK;

		rc = plog__read_at(fd, chunk, n, at) || plog__write(fd, chunk, n, at);
	}
	free(chunk);
	return rc ? -1 : plog__fdatasync(fd);
}

/* A partition that stopped at a failed flush works again once everything behind its durable point could be written
 * again. Housekeeping. */
void plog__heal(struct plog *p)
{
	struct job j;
	int rc = 0;

	pthread_mutex_lock(&p->writer);
	job_begin(&j, p);
	pthread_mutex_lock(&p->lock);
	struct plog_at from = p->durable;

	pthread_mutex_unlock(&p->lock);
	for (uint32_t i = 0; i < j.n && !rc; i++) {
		int fd = plog__seg_fd(p, j.segs[i]);

		rc = fd < 0 ? -1 : rewrite(fd, j.segs[i]->base == from.seg ? from.pos : 0, j.segs[i]->size);
	}
	if (!rc && j.n)
		rc = plog__dir_sync(p->store->dirfd, p->name);
	if (!rc && p->n_segs) {
		pthread_mutex_lock(&p->lock);
		if (p->code == PLOG_STORAGE)
			p->code = PLOG_OK;
		pthread_mutex_unlock(&p->lock);
	}
	j.dir = false;
	job_end(&j, rc);
	plog__writer_unlock(p);
}
