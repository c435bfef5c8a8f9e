/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/orphans.h"

#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define KILL_MS 5000 /* until a killed process is gone */

static bool is_open_in(const char *pid, const char *file)
{
	char path[PATH_MAX], target[PATH_MAX];
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	DIR *dir = opendir(path);

	if (!dir)
		return false;
	for (const struct dirent *e; !found && (e = readdir(dir)) != NULL;) {
		ssize_t n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target));

		found = n > 0 && str_is((struct str){target, (size_t)n}, file);
	}
	closedir(dir);
	return found;
}

/* Only what we started has the file open. */
static void kill_all(const char *file)
{
	DIR *proc = opendir("/proc");
	long long pid;

	if (!proc)
		return;
	for (const struct dirent *e; (e = readdir(proc)) != NULL;) {
		if (!str_to_int(str_of(e->d_name), 1, INT_MAX, &pid) || pid == getpid() || !is_open_in(e->d_name, file))
			continue;
		log_warn("process %lld of a supervisor that was killed does not end: killed", pid);
		kill((pid_t)pid, SIGKILL);
	}
	closedir(proc);
}

static bool wait_lock(int fd, int64_t ms)
{
	const struct timespec pause = {0, 5 * 1000 * 1000};
	int64_t deadline = clock_mono_ms() + ms;
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	while (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
		if (clock_mono_ms() > deadline)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

int orphans_wait(const char *path, int64_t patience_ms, struct err *err)
{
	/* Inherited, so without O_CLOEXEC; the lock is one of the open file and not of the process (fcntl(2)). */
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	if (fd < 0)
		return err_set_text(err, ERR_APPIA_0500, "%s: %s", path, strerror(errno));
	if (wait_lock(fd, 0))
		return 0;
	log_info("processes of a supervisor that was killed are ending: waiting for them");
	if (wait_lock(fd, patience_ms))
		return 0;
	kill_all(path);
	if (wait_lock(fd, KILL_MS))
		return 0;
	close(fd);
	return err_set_text(err, ERR_APPIA_0409, "processes of a supervisor that was killed hold %s and do not end",
			    path);
}
