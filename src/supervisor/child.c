/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/child.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FORGIVE_MS 30000
#define BACKOFF_FIRST_MS 200
#define BACKOFF_MAX_MS 10000

/* In the new process: only what is safe after fork(). */
static void run(const struct child *child, pid_t parent)
{
	sigset_t none;

	/* A supervisor that is killed leaves nothing behind; the check closes the gap before prctl. */
	if (prctl(PR_SET_PDEATHSIG, child->stop_signal) < 0 || getppid() != parent)
		_exit(126);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (child->reopen_signal)
		signal(child->reopen_signal, SIG_IGN); /* it may come before the program is ready for it */
	setpgid(0, 0); /* Ctrl-C reaches the supervisor only, which stops us in order */
	int in = open("/dev/null", O_RDONLY),
	    out = open(child->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	setenv("APPIA_LOG_FILE", child->log_path, 1);
	for (size_t i = 0; i < CHILD_MAX_ENV && child->env[i]; i++)
		putenv((char *)(uintptr_t)child->env[i]);
	execvp(child->argv[0], (char *const *)(uintptr_t)child->argv);
	perror(child->argv[0]);
	_exit(127);
}

int child_start(struct child *child, struct err *err)
{
	pid_t parent = getpid(), pid;

	if (child->ready_file)
		unlink(child->ready_file); /* what a run that was killed left */
	pid = fork();
	if (pid < 0)
		return err_set(err, ERR_APPIA_0500, "fork: %s", strerror(errno));
	if (pid == 0)
		run(child, parent);
	setpgid(pid, pid); /* as the child does itself: whoever comes first */
	child->pid = pid;
	child->started_ms = clock_mono_ms();
	return 0;
}

bool child_ready(const struct child *child)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (!child->ready_socket)
		return !child->ready_file || access(child->ready_file, F_OK) == 0;
	size_t n = strlen(child->ready_socket);

	if (n >= sizeof(addr.sun_path))
		return false;
	memcpy(addr.sun_path, child->ready_socket, n + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	bool ready = connect(fd, (const struct sockaddr *)(const void *)&addr, sizeof(addr)) == 0;

	close(fd);
	return ready;
}

void child_exited(struct child *child, int64_t now_ms)
{
	if (now_ms - child->started_ms > FORGIVE_MS)
		child->failures = 0;
	int64_t wait = child->failures == 0 ? 0 : BACKOFF_FIRST_MS;

	for (unsigned i = 1; i < child->failures && wait < BACKOFF_MAX_MS; i++)
		wait *= 2;
	child->restart_at_ms = now_ms + (wait < BACKOFF_MAX_MS ? wait : BACKOFF_MAX_MS);
	child->failures++;
	child->pid = 0;
}

pid_t child_reap(pid_t pid, int *ret_status)
{
	siginfo_t info = {0};

	/* Looked at first and reaped afterwards: until then nobody else can get its process group. */
	if (waitid(pid ? P_PID : P_ALL, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
		return 0;
	kill(-info.si_pid, SIGKILL);
	return waitpid(info.si_pid, ret_status, 0);
}

void child_stop(struct child *child, int64_t timeout_ms)
{
	const struct timespec pause = {0, 10 * 1000 * 1000};
	int64_t deadline = clock_mono_ms() + timeout_ms;
	bool killed = false;
	int status;

	if (child->pid == 0)
		return;
	kill(child->pid, child->stop_signal);
	while (child_reap(child->pid, &status) == 0 && kill(child->pid, 0) == 0) {
		if (!killed && clock_mono_ms() > deadline) {
			kill(-child->pid, SIGKILL);
			killed = true;
		}
		nanosleep(&pause, NULL);
	}
	child->pid = 0;
}
