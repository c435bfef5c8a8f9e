/* SPDX-License-Identifier: Apache-2.0 */
#include "broker.h"

#include "ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void sleep_us(long us)
{
	nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

void broker_init(struct broker *b, const char *program, const char *home, const char *port)
{
	*b = (struct broker){.program = program, .home = home, .port = (uint16_t)strtol(port, NULL, 10)};
	client_init(&b->admin, b->port);
	signal(SIGPIPE, SIG_IGN);
}

void broker_spawn(struct broker *b)
{
	char log[4096];

	snprintf(log, sizeof(log), "%s/log", b->home);
	b->pid = fork();
	if (b->pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fd, 2);
		execl(b->program, b->program, "--home", b->home, (char *)NULL);
		_exit(127);
	}
	if (b->pid < 0)
		wrong("fork: %s", strerror(errno));
}

void broker_check_alive(struct broker *b)
{
	int status;

	if (waitpid(b->pid, &status, WNOHANG) == b->pid)
		wrong("the broker ended by itself (status %x)", (unsigned)status);
}

int64_t broker_wait_ready(struct broker *b)
{
	int64_t began = now_us();

	while (client_connect(&b->admin) != 0) {
		broker_check_alive(b);
		if (now_us() - began > 60000000)
			wrong("the broker does not start");
		sleep_us(500);
	}
	return now_us() - began;
}

void broker_end(struct broker *b, int number)
{
	int64_t began = now_us();
	pid_t gone;
	int status;

	broker_check_alive(b);
	kill(b->pid, number);
	while ((gone = waitpid(b->pid, &status, WNOHANG)) == 0) {
		/* What it is at, a core file says. */
		if (now_us() - began > 60000000 && kill(b->pid, SIGABRT) == 0)
			wrong("the broker does not end");
		sleep_us(200);
	}
	if (gone != b->pid)
		wrong("waitpid: %s", strerror(errno));
	if (number == SIGTERM ? status != 0 : !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		wrong("the broker ended with status %x", (unsigned)status);
	client_done(&b->admin);
	client_init(&b->admin, b->port);
}
