/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/log/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int plog__write(int fd, const void *p, size_t n, int64_t pos)
{
	const char *at = p;

	while (n) {
		ssize_t k = pwrite(fd, at, n, pos);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			if (k == 0)
				errno = ENOSPC;
			return -1;
		}
		at += k;
		pos += k;
		n -= (size_t)k;
	}
	return 0;
}

int plog__read_at(int fd, void *p, size_t n, int64_t pos)
{
	char *at = p;

	while (n) {
		ssize_t k = pread(fd, at, n, pos);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -1;
		at += k;
		pos += k;
		n -= (size_t)k;
	}
	return 0;
}

int plog__replace(int dirfd, const char *path, struct str content, bool sync)
{
	char tmp[PLOG_PATH + 8];

	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return -1;
	int rc = plog__write(fd, content.p, content.n, 0);

	if (!rc && sync)
		rc = fdatasync(fd);
	/* close() reports late write errors of some file systems. */
	if (close(fd) && !rc)
		rc = -1;
	if (!rc)
		rc = renameat(dirfd, tmp, dirfd, path);
	if (rc) {
		int e = errno;

		unlinkat(dirfd, tmp, 0);
		errno = e;
	}
	return rc;
}

int plog__slurp(int dirfd, const char *path, struct buf *out)
{
	char chunk[16384];
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	ssize_t k;

	while ((k = read(fd, chunk, sizeof(chunk))) > 0)
		buf_add(out, chunk, (size_t)k);
	close(fd);
	return k < 0 || out->failed ? -1 : 0;
}

int plog__dir_sync(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	int rc = fsync(fd);

	close(fd);
	return rc;
}
