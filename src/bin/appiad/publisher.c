/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/appiad/publisher.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/publish/publish.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define PERIOD_MS 1000
#define TEND_EVERY 60 /* periods between clean-ups of the outbox */
#define OUTBOX_KEEP 10000
#define ARENA_MAX ((size_t)1 << 30)

struct publisher {
	struct model template;
	struct pub *pub;
	pthread_t thread;
	pthread_mutex_t run_lock; /* one projection at a time; guards caught_up */
	bool caught_up; /* the published state is one that the outbox continues */
	pthread_mutex_t stop_lock; /* guards stopping */
	pthread_cond_t stop_cond;
	bool stopping;
};

static int run(struct publisher *p, int (*how)(struct model *m, struct pub *pub), struct err *err)
{
	struct model m = p->template;

	m.arena = arena_new(ARENA_MAX);
	m.now_ms = clock_now_ms();
	pthread_mutex_lock(&p->run_lock);
	int rc = how(&m, p->pub);

	pthread_mutex_unlock(&p->run_lock);
	arena_free(m.arena);
	*err = m.err;
	return rc;
}

/* What has been set aside for a reason that is gone needs nobody to repair it. */
static int tend(struct model *m, struct pub *pub)
{
	int rc = publish_retry(m, pub);

	return rc ? rc : publish_trim(m, pub, OUTBOX_KEEP);
}

/* Waits for the end of the period; true when it is time to stop. */
static bool pause_or_stop(struct publisher *p)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PERIOD_MS / 1000;
	pthread_mutex_lock(&p->stop_lock);
	while (!p->stopping && pthread_cond_timedwait(&p->stop_cond, &p->stop_lock, &until) == 0)
		;
	bool stop = p->stopping;

	pthread_mutex_unlock(&p->stop_lock);
	return stop;
}

static void *loop(void *arg)
{
	struct publisher *p = arg;
	struct err err;

	for (unsigned i = 1; !pause_or_stop(p); i++) {
		publisher_kick(p);
		if (i % TEND_EVERY == 0 && run(p, tend, &err))
			log_warn("outbox: %s", err.text);
	}
	return NULL;
}

static int catch_up(struct model *m, struct pub *pub)
{
	struct publisher *p = m->publish_ctx;
	int rc = p->caught_up ? publish_run(m, pub) : publish_catch_up(m, pub);

	p->caught_up = p->caught_up || rc == 0;
	return rc;
}

void publisher_kick(struct publisher *p)
{
	struct err err;

	if (run(p, catch_up, &err))
		log_error("published state: %s", err.text);
}

static void destroy(struct publisher *p)
{
	pthread_cond_destroy(&p->stop_cond);
	pthread_mutex_destroy(&p->stop_lock);
	pthread_mutex_destroy(&p->run_lock);
	free(p);
}

int publisher_start(struct store *store, struct pub *pub, const struct sign_keyring *keys,
		    const struct model_settings *settings, struct publisher **ret, struct err *err)
{
	struct publisher *p = mem_zalloc(sizeof(*p));
	pthread_condattr_t attr;

	p->template = (struct model){.store = store, .keys = keys, .settings = settings, .publish_ctx = p};
	p->pub = pub;
	pthread_mutex_init(&p->run_lock, NULL);
	pthread_mutex_init(&p->stop_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->stop_cond, &attr);
	pthread_condattr_destroy(&attr);
	/* What cannot be projected, such as on a full disk, is no reason not to answer: it is tried again. */
	publisher_kick(p);
	if (pthread_create(&p->thread, NULL, loop, p)) {
		destroy(p);
		return err_set(err, ERR_APPIA_0500, "cannot start a thread");
	}
	*ret = p;
	return 0;
}

void publisher_stop(struct publisher *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->stop_lock);
	p->stopping = true;
	pthread_cond_signal(&p->stop_cond);
	pthread_mutex_unlock(&p->stop_lock);
	pthread_join(p->thread, NULL);
	destroy(p);
}
