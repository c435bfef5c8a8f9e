/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/server/priv.h"

#include <stdlib.h>
#include <unistd.h>

#define STOP_GRACE_MS 5000

_Thread_local struct mqs_loop *mqs__here;

bool mqs_post(struct mqs_loop *loop, struct mqs_task *task)
{
	pthread_mutex_lock(&loop->lock);
	bool fresh = !task->queued, first = !loop->tasks;

	if (fresh) {
		task->queued = true;
		task->next = NULL;
		*loop->tasks_end = task;
		loop->tasks_end = &task->next;
	}
	pthread_mutex_unlock(&loop->lock);
	if (fresh && first)
		uv_async_send(&loop->wake);
	return fresh;
}

static struct mqs_task *next_task(struct mqs_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	struct mqs_task *task = loop->tasks;

	if (task) {
		loop->tasks = task->next;
		if (!loop->tasks)
			loop->tasks_end = &loop->tasks;
		task->queued = false;
	}
	pthread_mutex_unlock(&loop->lock);
	return task;
}

static void take_connections(struct mqs_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	size_t n = loop->n_fds;
	typeof(loop->fds) v = loop->fds;

	loop->fds = NULL;
	loop->n_fds = loop->cap_fds = 0;
	pthread_mutex_unlock(&loop->lock);
	for (size_t i = 0; i < n; i++)
		mqs__conn_open(loop, v[i].fd, v[i].listener);
	free(v);
}

static void on_wake(uv_async_t *a)
{
	struct mqs_loop *loop = a->data;
	struct mqs_task *task;

	take_connections(loop);
	/* A bound, so that tasks that make tasks do not starve the sockets. */
	for (int i = 0; i < 10000 && (task = next_task(loop)); i++)
		task->fn(task);
	pthread_mutex_lock(&loop->lock);
	bool more = loop->tasks;

	pthread_mutex_unlock(&loop->lock);
	if (more)
		uv_async_send(&loop->wake);
}

static void on_inbox(uv_poll_t *poll, int status, int events)
{
	struct mqs_loop *loop = poll->data;

	plog_inbox_take(loop->inbox);
}

/* Answers may still come, or have come and are not sent yet. */
static bool stop_waits(struct mqs_loop *loop)
{
	if (loop->held || atomic_load(&loop->server->held))
		return true;
	pthread_mutex_lock(&loop->lock);
	bool more = loop->tasks;

	pthread_mutex_unlock(&loop->lock);
	return more;
}

static void stop_if_idle(struct mqs_loop *loop, int64_t now)
{
	if (!loop->stop_since)
		loop->stop_since = now;
	if (now - loop->stop_since < STOP_GRACE_MS && stop_waits(loop))
		return;
	while (loop->conns)
		mqs__conn_close(loop->conns);
	uv_stop(&loop->uv);
}

static void on_tick(uv_timer_t *t)
{
	struct mqs_loop *loop = t->data;
	int64_t now = clock_mono_ms();
	bool all = ++loop->turn % 50 == 0;

	if (atomic_load(&loop->server->stopping)) {
		stop_if_idle(loop, now);
		return;
	}
	for (struct mqs_conn *c = loop->conns, *next; c; c = next) {
		next = c->next;
		if (all || c->starved)
			mqs__conn_tick(c, now);
	}
}

static void *run(void *arg)
{
	struct mqs_loop *loop = arg;

	mqs__here = loop;
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	return NULL;
}

static int loop_start(struct mqs_server *s, unsigned number, struct err *err)
{
	struct mqs_loop *loop = &s->loops[number];

	loop->server = s;
	loop->number = number;
	loop->tasks_end = &loop->tasks;
	pthread_mutex_init(&loop->lock, NULL);
	loop->inbox = plog_inbox_new();
	if (!loop->inbox || uv_loop_init(&loop->uv) != 0)
		return err_set(err, ERR_APPIA_0500, "an event loop cannot be made");
	uv_async_init(&loop->uv, &loop->wake, on_wake);
	uv_timer_init(&loop->uv, &loop->tick);
	uv_poll_init(&loop->uv, &loop->inbox_poll, plog_inbox_fd(loop->inbox));
	loop->wake.data = loop->tick.data = loop->inbox_poll.data = loop;
	uv_timer_start(&loop->tick, on_tick, TICK_MS, TICK_MS);
	uv_poll_start(&loop->inbox_poll, UV_READABLE, on_inbox);
	return 0;
}

int mqs__loops_start(struct mqs_server *s, struct err *err)
{
	int code = 0;

	s->loops = mem_zalloc(s->n_loops * sizeof(*s->loops));
	for (unsigned i = 0; i < s->n_loops && code == 0; i++)
		code = loop_start(s, i, err);
	return code;
}

int mqs__loops_run(struct mqs_server *s, struct err *err)
{
	for (unsigned i = 0; i < s->n_loops; i++) {
		if (pthread_create(&s->loops[i].thread, NULL, run, &s->loops[i]) != 0)
			return err_set(err, ERR_APPIA_0500, "a thread cannot be made");
		s->loops[i].running = true;
	}
	return 0;
}

static void close_handle(uv_handle_t *h, void *arg)
{
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

void mqs__loops_join(struct mqs_server *s)
{
	for (unsigned i = 0; i < s->n_loops; i++) {
		struct mqs_loop *loop = &s->loops[i];

		if (loop->running)
			pthread_join(loop->thread, NULL);
		loop->running = false;
	}
}

void mqs__loops_free(struct mqs_server *s)
{
	for (unsigned i = 0; s->loops && i < s->n_loops; i++) {
		struct mqs_loop *loop = &s->loops[i];

		if (!loop->inbox)
			continue;
		mqs__here = loop;
		for (struct mqs_request *rq = loop->requests, *next; rq; rq = next) {
			next = rq->all_next;
			mqs__request_free(rq);
		}
		/* Connections that were closed go with their handles. */
		uv_walk(&loop->uv, close_handle, NULL);
		uv_run(&loop->uv, UV_RUN_DEFAULT);
		uv_loop_close(&loop->uv);
		for (size_t k = 0; k < loop->n_fds; k++)
			close(loop->fds[k].fd);
		free(loop->fds);
		while (loop->n_spare)
			arena_free(loop->spare[--loop->n_spare]);
		plog_inbox_free(loop->inbox);
		pthread_mutex_destroy(&loop->lock);
	}
	mqs__here = NULL;
	free(s->loops);
}

uv_loop_t *mqs_loop_uv(struct mqs_loop *loop)
{
	return &loop->uv;
}

struct plog_inbox *mqs_loop_inbox(struct mqs_loop *loop)
{
	return loop->inbox;
}

void mqs_loop_hold(struct mqs_loop *loop, int by)
{
	loop->held += by;
}
