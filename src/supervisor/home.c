/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/home.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_dir(const char *path, struct err *err)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	return err_set_text(err, ERR_APPIA_0500, "cannot create %s: %s", path, strerror(errno));
}

/* Paths go into the configuration of nginx in double quotes; there these would mean something. */
static int check_path(const char *path, struct err *err)
{
	for (const char *p = path; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f || strchr("\"\\$", *p))
			return err_set_text(
				err, ERR_APPIA_0500,
				"the path %s has a character that cannot be used: \", \\, $ or a control character",
				path);
	return 0;
}

static int find_programs(struct home *home, struct err *err)
{
	static const char *const modules[] = {"../gateway/ngx_http_appia_module.so",
	                                      "../lib/appia/ngx_http_appia_module.so"};
	char self[256];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return err_set_text(err, ERR_APPIA_0500, "/proc/self/exe: %s", strerror(errno));
	if ((size_t)n == sizeof(self) - 1)
		return err_set_text(err, ERR_APPIA_0500, "the path of this program is too long");
	self[n] = '\0';
	if (check_path(self, err))
		return err->code;
	snprintf(home->bin, sizeof(home->bin), "%s", dirname(self));
	for (size_t i = 0; i < ARRAY_LEN(modules); i++) {
		snprintf(home->module, sizeof(home->module), "%s/%s", home->bin, modules[i]);
		if (access(home->module, R_OK) == 0)
			return 0;
	}
	home->module[0] = '\0'; /* only a start needs it */
	return 0;
}

const char *home_path(const struct home *home, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%s", home->dir, name);
	return buf;
}

static int set_dir(struct home *home, bool create, struct err *err)
{
	const char *given = getenv("APPIA_HOME");
	char resolved[PATH_MAX];

	if (!given || !*given)
		given = "data";
	if (create && make_dir(given, err))
		return err->code;
	if (!realpath(given, resolved))
		return err_set_text(err, ERR_APPIA_0500, "%s: %s", given, strerror(errno));
	/* Unix socket paths end at 107 bytes. */
	if (strlen(resolved) > 107 - sizeof("/run/worker.sock"))
		return err_set_text(err, ERR_APPIA_0500, "%s: the path is too long for Unix sockets", resolved);
	memcpy(home->dir, resolved, strlen(resolved) + 1);
	return check_path(home->dir, err);
}

/* Started by root in somebody else's directory, we go on as its owner, for good: what root wrote there could be read
 * neither by nginx's workers nor by the owner's next start. */
static int become_owner(const struct home *home, struct err *err)
{
	struct stat st;

	if (geteuid() != 0)
		return 0;
	if (stat(home->dir, &st) < 0)
		return err_set_text(err, ERR_APPIA_0500, "%s: %s", home->dir, strerror(errno));
	if (st.st_uid == 0)
		return 0;
	if (setgroups(0, NULL) < 0 || setgid(st.st_gid) < 0 || setuid(st.st_uid) < 0)
		return err_set_text(err, ERR_APPIA_0500, "cannot become the owner of %s: %s", home->dir,
		                    strerror(errno));
	return 0;
}

int home_open(struct home *home, bool create, struct err *err)
{
	static const char *const parts[] = {"run", "log", "tls", "published", "nginx", "sample"};
	char path[300];
	int rc;

	*home = (struct home){.lock = -1};
	rc = set_dir(home, create, err);
	if (rc == 0)
		rc = become_owner(home, err);
	if (rc == 0)
		rc = find_programs(home, err);
	if (rc == 0 && create && !home->module[0])
		rc = err_set_text(err, ERR_APPIA_0500, "ngx_http_appia_module.so is not beside %s", home->bin);
	for (size_t i = 0; rc == 0 && create && i < ARRAY_LEN(parts); i++)
		rc = make_dir(home_path(home, parts[i], path, sizeof(path)), err);
	if (rc)
		return rc;
	snprintf(home->appiad_socket, sizeof(home->appiad_socket), "%.90s/run/appiad.sock", home->dir);
	snprintf(home->worker_socket, sizeof(home->worker_socket), "%.90s/run/worker.sock", home->dir);
	return 0;
}

int home_lock(struct home *home, struct err *err)
{
	/* A lock of the open file (fcntl(2)): unlike flock(), whether it is held can be asked without taking it, so
	 * that appia status never stands in the way of a start. */
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[300], text[16];
	int fd = open(home_path(home, "run/appia.pid", path, sizeof(path)), O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set_text(err, ERR_APPIA_0500, "%s: %s", path, strerror(errno));
	if (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
		close(fd);
		return err_set_text(err, ERR_APPIA_0409, "another appia runs in %s (process %d)", home->dir,
		                    home_supervisor(home));
	}
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) < 0 || write(fd, text, (size_t)n) != n) {
		close(fd);
		return err_set_text(err, ERR_APPIA_0500, "%s: %s", path, strerror(errno));
	}
	home->lock = fd;
	return 0;
}

int home_supervisor(const struct home *home)
{
	struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	char path[300], text[16] = "";
	long long pid = 0;
	int fd = open(home_path(home, "run/appia.pid", path, sizeof(path)), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	/* A free lock means that the file is what a dead supervisor left. */
	bool alive = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	if (!alive || n <= 1 || !str_to_int((struct str){text, (size_t)n - 1}, 1, INT_MAX, &pid))
		return 0;
	return (int)pid;
}
