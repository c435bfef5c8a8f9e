/* SPDX-License-Identifier: Apache-2.0 */
#include "base/life.h"

#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/resource.h>

static sigset_t watched;

void life_begin(void)
{
	sigemptyset(&watched);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &watched, NULL);
	/* Whoever starts us ignores it, because it may come before we are ready; from now on it waits. */
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
}

void life_wait(void (*reopen)(void *ctx), void *ctx)
{
	int number;

	while (sigwait(&watched, &number) == 0 && number == SIGHUP) {
		log_reopen();
		if (reopen)
			reopen(ctx);
	}
}

void life_raise_files(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
		r.rlim_cur = r.rlim_max;
		setrlimit(RLIMIT_NOFILE, &r);
	}
}
