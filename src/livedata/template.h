/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIVEDATA_TEMPLATE_H
#define LIVEDATA_TEMPLATE_H

#include "base/arena.h"
#include "base/err.h"
#include "datasource/datasource.h"

/* SQL with "${name}" parameters and "[optional ${name}]" parts, compiled once per script.
 *
 * What becomes of a parameter depends on where it stands:
 *   '${x}', '%${x}%'   the whole literal is bound as one parameter
 *   = ${x}, LIMIT ${x}, VALUES (${x}), IN (${x})
 *                      a value: must be a number, a quoted literal, NULL, TRUE or FALSE (IN: a list of them)
 *   date '${x}', "${x}", `${x}`
 *                      inserted with its quotes escaped, because nothing can be bound there
 *   anywhere else      inserted as it is (identifiers, whole conditions): open to SQL injection, told in the warnings
 * With prepared set every ${x} outside of quotes is bound instead, as text. In comments nothing is replaced. */
struct livedata_template;

/* err: ERR_APPIA_0400 with the reason (unterminated quote, too many parameters). Text and names point into text. */
int livedata_template_parse(struct str text, enum datasource_dialect dialect, bool prepared, struct arena *a,
                            struct livedata_template **ret, struct err *err);

/* True: present; *ret has p == NULL for a null. */
typedef bool livedata_lookup(void *ctx, struct str name, struct str *ret);

struct livedata_statement {
	struct str sql; /* with '?' */
	struct str *params;
	size_t n_params;
};

/* Errors: ERR_APPIA_0400_PARAMETER_MISSING, ERR_APPIA_0400_PARAMETER_INVALID, ERR_APPIA_0422_RESULT_TOO_LARGE (the
 * statement grows above 4 MiB). */
int livedata_template_render(const struct livedata_template *t, livedata_lookup *lookup, void *ctx, struct arena *a,
                             struct livedata_statement *ret, struct err *err);

/* Names of the parameters that are inserted as they are; valid as long as the template. */
size_t livedata_template_warnings(const struct livedata_template *t, const struct str **ret);

#endif
