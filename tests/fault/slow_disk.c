/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A disk that takes its time, for LD_PRELOAD: while the file SLOW_DISK exists, flushing a file whose path has the text
 * in it takes 400 ms more. The file SLOW_DISK.seen says that one has begun. */
int fdatasync(int fd)
{
	const char *name = getenv("SLOW_DISK");
	char text[256] = "", link[64], path[4096] = "", seen[4096];
	int in = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;

	if (in >= 0) {
		ssize_t n = read(in, text, sizeof(text) - 1);

		close(in);
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (n > 0 && readlink(link, path, sizeof(path) - 1) > 0 && strstr(path, text)) {
			snprintf(seen, sizeof(seen), "%s.seen", name);
			close(open(seen, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
			nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
		}
	}
	return (int)syscall(SYS_fdatasync, fd);
}
