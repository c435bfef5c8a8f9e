/* SPDX-License-Identifier: Apache-2.0 */
#include "pg_server.h"

#include <fcntl.h>
#include <ftw.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BIN "/usr/lib/postgresql/15/bin/"

static char dir[64], url[256];
static pid_t keeper = -1;
static int alive = -1;
static unsigned schemas;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

/* As postgres when we are root, because the server refuses root. */
static bool run_as_postgres(char *const *argv)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		const struct passwd *user = getuid() == 0 ? getpwnam("postgres") : NULL;
		int null = open("/dev/null", O_RDWR);

		if (user && (setgid(user->pw_gid) < 0 || setuid(user->pw_uid) < 0))
			_exit(1);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		if (chdir("/") == 0)
			execv(argv[0], argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool start_server(void)
{
	char data[96], options[256];

	snprintf(data, sizeof(data), "%s/data", dir);
	snprintf(options, sizeof(options), "-k %s -c listen_addresses= -c fsync=off -c max_connections=40", dir);
	char *init[] = {(char *)(BIN "initdb"),
			(char *)"-D",
			data,
			(char *)"-A",
			(char *)"trust",
			(char *)"-U",
			(char *)"postgres",
			(char *)"-E",
			(char *)"UTF8",
			(char *)"--locale=C.UTF-8",
			(char *)"--no-sync",
			NULL};
	char *start[] = {(char *)(BIN "pg_ctl"), (char *)"-D", data, (char *)"-w", (char *)"-o", options,
			 (char *)"start",        NULL};

	return run_as_postgres(init) && run_as_postgres(start);
}

/* Waits for the end of the tests, in whatever way they end, and cleans up. */
static void keep(int fd)
{
	char data[96], byte;
	char *stop[] = {(char *)(BIN "pg_ctl"), (char *)"-D",   data, (char *)"-m",
			(char *)"immediate",    (char *)"stop", NULL};

	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	while (read(fd, &byte, 1) > 0)
		;
	snprintf(data, sizeof(data), "%s/data", dir);
	run_as_postgres(stop);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	_exit(0);
}

bool pg_server_start(void)
{
	const char *given = getenv("APPIA_TEST_PG");
	const struct passwd *user = getpwnam("postgres");
	int fds[2];

	if (given) {
		snprintf(url, sizeof(url), "%s", given);
		return true;
	}
	if (access(BIN "initdb", X_OK) < 0 || (getuid() == 0 && !user))
		return false;
	snprintf(dir, sizeof(dir), "/tmp/appia-pg-XXXXXX");
	if (!mkdtemp(dir) || (getuid() == 0 && chown(dir, user->pw_uid, user->pw_gid) < 0) || pipe2(fds, O_CLOEXEC) < 0)
		return false;
	keeper = fork();
	if (keeper == 0) {
		close(fds[1]);
		keep(fds[0]);
	}
	close(fds[0]);
	alive = fds[1];
	if (!start_server()) {
		pg_server_stop();
		return false;
	}
	snprintf(url, sizeof(url), "postgresql:///postgres?host=%s&user=postgres", dir);
	return true;
}

void pg_server_stop(void)
{
	if (alive < 0)
		return;
	close(alive);
	alive = -1;
	waitpid(keeper, NULL, 0);
}

static void ask(const char *sql)
{
	PGconn *pg = PQconnectdb(url);

	PQclear(PQexec(pg, sql));
	if (*PQerrorMessage(pg))
		fprintf(stderr, "pg: %s", PQerrorMessage(pg));
	PQfinish(pg);
}

void pg_server_fresh(char *ret_url, size_t size)
{
	char sql[128];

	schemas++;
	snprintf(sql, sizeof(sql), "CREATE SCHEMA appia_t%d_%u", (int)getpid(), schemas);
	ask(sql);
	snprintf(ret_url, size, "%s%coptions=-csearch_path%%3Dappia_t%d_%u", url, strchr(url, '?') ? '&' : '?',
		 (int)getpid(), schemas);
}

void pg_server_drop_sessions(void)
{
	ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
	    "AND backend_type = 'client backend'");
}
