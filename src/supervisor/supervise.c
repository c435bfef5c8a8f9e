/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervise.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define STOP_MS 15000

static sigset_t watched;

int supervise_init(struct err *err)
{
	sigemptyset(&watched);
	sigaddset(&watched, SIGCHLD);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &watched, NULL) < 0)
		return err_set(err, ERR_APPIA_0500, "sigprocmask: %s", strerror(errno));
	return 0;
}

/* Waits for one of the signals, at most ms; 0 when none came. */
static int wait_signal(int64_t ms)
{
	struct timespec limit = {ms / 1000, ms % 1000 * 1000000};
	int sig = sigtimedwait(&watched, NULL, &limit);

	return sig < 0 ? 0 : sig;
}

static void reap(struct child *children, size_t n)
{
	int status;
	pid_t pid;

	while ((pid = child_reap(0, &status)) > 0) {
		for (size_t i = 0; i < n; i++) {
			if (children[i].pid != pid)
				continue;
			if (WIFSIGNALED(status))
				log_warn("%s (process %d) was killed by signal %d", children[i].name, (int)pid,
					 WTERMSIG(status));
			else
				log_warn("%s (process %d) exited with %d", children[i].name, (int)pid,
					 WEXITSTATUS(status));
			child_exited(&children[i], clock_mono_ms());
		}
	}
}

/* Waits for the last of the n children; the others may end meanwhile, too. */
static int wait_ready(struct child *children, size_t n, int64_t deadline, struct err *err)
{
	const struct child *child = &children[n - 1];

	while (!child_ready(child)) {
		int sig = wait_signal(5);

		if (sig == SIGTERM || sig == SIGINT)
			return err_set_text(err, ERR_APPIA_0503, "stopped while starting");
		if (sig == SIGCHLD)
			reap(children, n);
		if (child->pid == 0)
			return err_set_text(err, ERR_APPIA_0500, "%s did not start; its last words are in %s",
					    child->name, child->log_path);
		if (clock_mono_ms() > deadline)
			return err_set_text(err, ERR_APPIA_0503, "%s is not ready in time; see %s", child->name,
			                    child->log_path);
	}
	return 0;
}

int supervise_start(struct child *children, size_t n, int64_t timeout_ms, struct err *err)
{
	int64_t deadline = clock_mono_ms() + timeout_ms;

	for (size_t i = 0; i < n; i++) {
		int rc = child_start(&children[i], err);

		if (rc == 0)
			rc = wait_ready(children, i + 1, deadline, err);
		if (rc) {
			supervise_stop(children, i + 1);
			return rc;
		}
	}
	return 0;
}

/* Milliseconds until the next restart is due; a minute when none is. */
static int64_t restart_due(struct child *children, size_t n)
{
	int64_t now = clock_mono_ms(), wait = 60000;
	struct err err;

	for (size_t i = 0; i < n; i++) {
		struct child *c = &children[i];

		if (c->pid)
			continue;
		if (c->restart_at_ms <= now) {
			if (child_start(c, &err))
				child_exited(c, now);
			else
				log_info("%s started again (process %d)", c->name, (int)c->pid);
		}
		if (!c->pid && c->restart_at_ms - now < wait)
			wait = c->restart_at_ms > now ? c->restart_at_ms - now : 1;
	}
	return wait;
}

void supervise_run(struct child *children, size_t n, const struct rotation *rotation)
{
	for (;;) {
		int64_t wait = restart_due(children, n);
		int sig = wait_signal(rotation->max_bytes && wait > ROTATE_EVERY_MS ? ROTATE_EVERY_MS : wait);

		if (sig == SIGTERM || sig == SIGINT)
			return;
		reap(children, n);
		rotate_logs(rotation, children, n);
	}
}

void supervise_stop(struct child *children, size_t n)
{
	while (n--)
		child_stop(&children[n], STOP_MS);
}
