/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

const struct err_row *err_row(int code)
{
	assert(code < 0 && -code < ERR_COUNT);
	return &err_rows[-code];
}

/* Appends the message with each "{}" replaced by the next part of the detail. Returns whether there was one. */
static bool fill(struct buf *out, const char *message, struct str detail)
{
	bool filled = false;

	for (;;) {
		const char *hole = strstr(message, "{}");

		if (!hole)
			break;
		buf_add(out, message, (size_t)(hole - message));
		buf_str(out, str_cut(&detail, ERR_NEXT[0]));
		message = hole + 2;
		filled = true;
	}
	buf_cstr(out, message);
	return filled;
}

static int set(struct err *err, int code, const char *fmt, va_list ap)
{
	const struct err_row *row = err_row(code);
	char detail[512] = "";
	struct buf out;

	if (!err)
		return code;
	if (fmt)
		vsnprintf(detail, sizeof(detail), fmt, ap);
	buf_init(&out, sizeof(err->text) * 4);
	if (!fill(&out, row->message, str_of(detail)) && *detail) {
		buf_cstr(&out, ", ");
		buf_cstr(&out, detail);
	}
	struct str text = buf_view(&out);

	snprintf(err->text, sizeof(err->text), "%.*s", STR_FMT(text));
	buf_done(&out);
	err->code = code;
	err->status = 0;
	err->retriable = false;
	return code;
}

int err_set(struct err *err, int code, const char *detail_fmt, ...)
{
	va_list ap;

	va_start(ap, detail_fmt);
	set(err, code, detail_fmt, ap);
	va_end(ap);
	return code;
}

int err_set_status(struct err *err, int code, int status, const char *detail_fmt, ...)
{
	va_list ap;

	va_start(ap, detail_fmt);
	set(err, code, detail_fmt, ap);
	va_end(ap);
	if (err)
		err->status = status;
	return code;
}

int err_set_retriable(struct err *err, int code, const char *detail_fmt, ...)
{
	va_list ap;

	va_start(ap, detail_fmt);
	set(err, code, detail_fmt, ap);
	va_end(ap);
	if (err)
		err->retriable = true;
	return code;
}

int err_set_text(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	err->code = code;
	err->status = 0;
	err->retriable = false;
	return code;
}
