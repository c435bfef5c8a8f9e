/* SPDX-License-Identifier: Apache-2.0 */
#include "bin/appiad/audit.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_PATH 2048

struct audit {
	int fd;
	char path[4300];
};

static int open_file(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

int audit_open(const char *path, struct audit **ret, struct err *err)
{
	int fd = open_file(path);

	if (fd < 0)
		return err_set(err, ERR_APPIA_0500, "audit log: %s", strerror(errno));
	*ret = mem_zalloc(sizeof(**ret));
	(*ret)->fd = fd;
	snprintf((*ret)->path, sizeof((*ret)->path), "%s", path);
	return 0;
}

void audit_reopen(struct audit *audit)
{
	int fd = open_file(audit->path);

	/* Onto the same number: other threads are writing to it. */
	if (fd < 0 || dup3(fd, audit->fd, O_CLOEXEC) < 0)
		log_error("audit log: it cannot be opened anew: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void member(struct buf *out, const char *name, struct str value)
{
	buf_fmt(out, ",\"%s\":", name);
	json_print_str(out, value);
}

void audit_write(struct audit *audit, const struct api_call *call, int status)
{
	char now[CLOCK_ISO_SIZE];
	struct buf out;

	buf_init(&out, 32768);
	buf_fmt(&out, "{\"time\":\"%s\"", clock_iso_ms(call->m.now_ms, now).p);
	member(&out, "request_id", call->m.request_id);
	member(&out, "operation", str_of(call->op->id));
	/* Escaped, a path may become six times as long: no line is left out because of it. */
	member(&out, "path",
	       str_sub(call->req->target, 0, call->req->target.n < MAX_PATH ? call->req->target.n : MAX_PATH));
	if (call->m.who) {
		member(&out, "user_id", call->m.who->user_id);
		member(&out, "user_name", call->m.who->user_name);
		member(&out, "project_id", call->m.who->project_id);
	}
	buf_fmt(&out, ",\"status\":%d", status);
	if (status >= 400)
		member(&out, "error", str_of(call->m.err.text));
	buf_cstr(&out, "}\n");
	/* One write per line: lines of several threads do not mix (O_APPEND). */
	if (out.failed || write(audit->fd, out.p, out.n) != (ssize_t)out.n)
		log_error("audit log: a line could not be written");
	buf_done(&out);
}

void audit_close(struct audit *audit)
{
	if (!audit)
		return;
	close(audit->fd);
	free(audit);
}
