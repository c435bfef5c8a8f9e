/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/str.h"
#include "err_codes.h" /* generated from spec/errors.yaml: enum err_code, values < 0; ERR_APIG_3212 for "APIG.3212" */

/* What went wrong: a code of the catalogue, and text for a person. Functions that can fail return 0 or err->code.
 * A peer's or user's fault is retriable when the same call may succeed later (busy store, peer away). */
struct err {
	int code;
	int status; /* HTTP status when the operation documents another than the catalogue; else 0 */
	bool retriable;
	char text[768]; /* message for the client: never holds a secret, SQL text or a path of the server */
};

/* A row of the catalogue. */
struct err_row {
	const char *code;    /* "APIG.3212" */
	const char *message; /* with "{}" per variable part */
	int status;          /* HTTP status */
	const char *explain;
};

extern const struct err_row err_rows[ERR_COUNT];

/* Sets code and text and returns the code. The text is the catalogue's message with its "{}" replaced by the
 * formatted detail (several "{}": by its parts, split at ERR_NEXT); when the message has no "{}" and the detail is not
 * empty, ", detail" is appended. detail_fmt may be NULL. err may be NULL. */
#define ERR_NEXT "\x1f"
int err_set(struct err *err, int code, const char *detail_fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set(), with an HTTP status of its own. */
int err_set_status(struct err *err, int code, int status, const char *detail_fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* As err_set(), and marks it retriable. */
int err_set_retriable(struct err *err, int code, const char *detail_fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set(), but the formatted text is the whole message. */
int err_set_text(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The catalogue's row; code must be one of enum err_code. */
const struct err_row *err_row(int code);

#endif
