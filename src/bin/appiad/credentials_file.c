/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/appiad/credentials_file.h"

#include "base/rnd.h"
#include "json/json.h"
#include "model/iam/bootstrap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* No letters and digits that look alike. */
#define PASSWORD_ALPHABET "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"

static int io_failed(struct err *err, const char *path)
{
	return err_set(err, ERR_APPIA_0500, "%s: %s", path, strerror(errno));
}

static int write_durably(const char *path, struct str text, struct err *err)
{
	unlink(path); /* what an interrupted start left may be open to others */
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return io_failed(err, path);
	bool ok = write(fd, text.p, text.n) == (ssize_t)text.n && fsync(fd) == 0;

	if (close(fd) < 0 || !ok)
		return io_failed(err, path);
	return 0;
}

static int rename_durably(const char *dir, const char *from, const char *to, struct err *err)
{
	if (rename(from, to) < 0)
		return io_failed(err, to);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return ok ? 0 : io_failed(err, dir);
}

static void member(struct buf *b, const char *name, struct str value)
{
	buf_fmt(b, "%s\n  \"%s\": ", b->n > 1 ? "," : "", name);
	json_print_str(b, value);
}

static int write_file(const char *path, const struct iam_bootstrap_result *r, struct str password,
                      struct str management_url, struct str gateway_url, struct err *err)
{
	struct buf b;

	buf_init(&b, 8192);
	buf_char(&b, '{');
	member(&b, "domain", r->domain);
	member(&b, "user", r->user);
	member(&b, "password", password);
	member(&b, "project_id", r->project_id);
	member(&b, "project_name", r->project_name);
	member(&b, "instance_id", r->instance_id);
	member(&b, "access_key", r->access_key);
	member(&b, "secret_key", r->secret_key);
	member(&b, "management_url", management_url);
	member(&b, "gateway_url", gateway_url);
	buf_cstr(&b, "\n}\n");
	int rc = write_durably(path, buf_view(&b), err);

	buf_done(&b);
	return rc;
}

int credentials_bootstrap(struct model *m, const char *home, struct str domain, struct str user,
                          struct str management_url, struct str gateway_url)
{
	char path[4300], pending[4300];
	struct iam_bootstrap_result result = {0};
	bool created = false;
	int rc;

	snprintf(path, sizeof(path), "%s/credentials.json", home);
	snprintf(pending, sizeof(pending), "%s/credentials.json.new", home);
	rc = store_begin(m->store, STORE_WRITE, &m->tx, &m->err);
	if (rc)
		return rc;
	struct str password = rnd_text(m->arena, 20, PASSWORD_ALPHABET);

	rc = iam_bootstrap(m, domain, user, password, &result, &created);
	if (rc == 0 && created)
		rc = write_file(pending, &result, password, management_url, gateway_url, &m->err);
	if (rc == 0 && created)
		rc = store_commit(&m->tx, &m->err);
	store_rollback(&m->tx);
	if (rc)
		return rc;
	/* The administrator exists. A pending file beside no final one is his: a crash came between commit and rename.
	 */
	if (access(path, F_OK) < 0 && access(pending, F_OK) == 0)
		return rename_durably(home, pending, path, &m->err);
	return 0;
}
