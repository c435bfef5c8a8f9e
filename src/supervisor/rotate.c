/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/rotate.h"

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The name of the n-th before; 0: the log itself. */
static const char *name_of(const char *path, int n, char *buf, size_t size)
{
	snprintf(buf, size, n ? "%s.%d" : "%s", path, n);
	return buf;
}

/* From the oldest on: wherever a crash comes, no file is overwritten but the oldest. */
static bool shift(const char *path, int keep)
{
	char from[PATH_MAX], to[PATH_MAX];

	for (int n = keep; n-- > 0;)
		if (rename(name_of(path, n, from, sizeof(from)), name_of(path, n + 1, to, sizeof(to))) < 0 &&
		    errno != ENOENT)
			return false;
	/* Of a time when more were kept. */
	for (int n = keep + 1; unlink(name_of(path, n, to, sizeof(to))) == 0; n++)
		;
	return true;
}

/* True when its writer has to open it anew. */
static bool rotate(const struct rotation *r, const char *path)
{
	static bool said;
	struct stat st;

	if (!path)
		return false;
	if (stat(path, &st) < 0)
		return errno == ENOENT; /* renamed, and not yet opened anew */
	if (st.st_size <= r->max_bytes)
		return false;
	if (shift(path, r->keep))
		return true;
	if (!said)
		log_warn("%s cannot be rotated: %s", path, strerror(errno));
	said = true; /* it will go on failing, once a second */
	return false;
}

void rotate_logs(const struct rotation *r, const struct child *children, size_t n)
{
	if (!r->max_bytes)
		return;
	for (size_t i = 0; i < n; i++) {
		bool log = rotate(r, children[i].log_path), second = rotate(r, children[i].second_log);

		if ((log || second) && children[i].pid)
			kill(children[i].pid, children[i].reopen_signal);
	}
}
