/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/appiad/acl_keeper.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/mqs/acl.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define RETRY_S 5 /* after a failure */
#define PERIOD_S 60 /* changes that nobody told of */
#define ARENA_MAX ((size_t)64 << 20)

struct acl_keeper {
	struct model template;
	pthread_t thread;
	pthread_mutex_t lock; /* guards kicked and stopping */
	pthread_cond_t cond;
	bool kicked, stopping;
	int last; /* result of the last run: a failure is logged when it is a new one */
};

static int run(struct acl_keeper *k, int (*how)(struct model *m, bool *ret_more), bool *ret_more)
{
	struct model m = k->template;

	m.arena = arena_new(ARENA_MAX);
	m.now_ms = clock_now_ms();
	int rc = how(&m, ret_more);

	if (rc && rc != k->last)
		log_warn("access control list of Kafka: %s",
			 rc == ACL_NONE ? "it has no authoriser, permissions of topics have no effect there"
					: m.err.text);
	k->last = rc;
	arena_free(m.arena);
	return rc;
}

static int forget(struct model *m, bool *ret_more)
{
	*ret_more = false;
	return acl_forget(m);
}

/* False: it is time to stop. */
static bool pause_for(struct acl_keeper *k, int seconds)
{
	struct timespec until;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += seconds;
	pthread_mutex_lock(&k->lock);
	while (!k->stopping && !(k->kicked && seconds == PERIOD_S) && rc == 0)
		rc = pthread_cond_timedwait(&k->cond, &k->lock, &until);
	k->kicked = false;
	bool go_on = !k->stopping;

	pthread_mutex_unlock(&k->lock);
	return go_on;
}

static void *loop(void *arg)
{
	struct acl_keeper *k = arg;
	bool more = false, begun = false;
	int rc;

	do {
		rc = begun ? 0 : run(k, forget, &more);
		begun = begun || rc == 0;
		if (begun)
			rc = run(k, acl_sync, &more);
	} while (pause_for(k, rc < 0 ? RETRY_S : rc == 0 && more ? 0 : PERIOD_S));
	return NULL;
}

void acl_keeper_kick(struct acl_keeper *k)
{
	if (!k)
		return;
	pthread_mutex_lock(&k->lock);
	k->kicked = true;
	pthread_cond_signal(&k->cond);
	pthread_mutex_unlock(&k->lock);
}

static void destroy(struct acl_keeper *k)
{
	pthread_cond_destroy(&k->cond);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

int acl_keeper_start(struct store *store, const struct model_settings *settings, struct acl_keeper **ret,
		     struct err *err)
{
	struct acl_keeper *k = mem_zalloc(sizeof(*k));
	pthread_condattr_t attr;

	k->template = (struct model){.store = store, .settings = settings};
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->cond, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&k->thread, NULL, loop, k)) {
		destroy(k);
		return err_set(err, ERR_APPIA_0500, "cannot start a thread");
	}
	*ret = k;
	return 0;
}

void acl_keeper_stop(struct acl_keeper *k)
{
	if (!k)
		return;
	pthread_mutex_lock(&k->lock);
	k->stopping = true;
	pthread_cond_signal(&k->cond);
	pthread_mutex_unlock(&k->lock);
	pthread_join(k->thread, NULL);
	destroy(k);
}
