/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *process_name = "appia";
static enum log_level max_level = LOG_INFO;
static _Thread_local char request[65];

void log_init(const char *process, enum log_level max)
{
	process_name = process;
	max_level = max;
}

void log_reopen(void)
{
	const char *path = getenv("APPIA_LOG_FILE");

	if (!path)
		return;
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		log_error("the log cannot be opened anew: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

void log_request(const char *request_id)
{
	snprintf(request, sizeof(request), "%s", request_id ? request_id : "");
}

/* Appends s as the inside of a JSON string, cutting what does not fit. */
static size_t quote(char *out, size_t cap, const char *s)
{
	size_t n = 0;

	for (; *s && n + 7 < cap; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c < 0x20) {
			n += (size_t)snprintf(out + n, cap - n, "\\u%04x", c);
		} else {
			out[n++] = (char)c;
		}
	}
	out[n] = '\0';
	return n;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	char text[2048], quoted[3072], line[4096], now[CLOCK_ISO_SIZE];
	va_list ap;

	if (level > max_level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	quote(quoted, sizeof(quoted), text);
	clock_iso_ms(clock_now_ms(), now);
	int n = snprintf(line, sizeof(line),
			 "{\"time\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",%s%s%s\"msg\":\"%s\"}\n", now,
			 names[level], process_name, *request ? "\"request_id\":\"" : "", request,
			 *request ? "\"," : "", quoted);

	if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
		return; /* nowhere left to say it */
}
