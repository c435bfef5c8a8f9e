/* SPDX-License-Identifier: Apache-2.0 */
#include "json/walk.h"

#include "base/enc.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Bounds what a pattern with nested repetition may cost on hostile text; far above what honest values need. */
#define MATCH_STEPS 200000
#define MATCH_DEPTH 2000

static pthread_once_t limits_once = PTHREAD_ONCE_INIT;
static pcre2_match_context *limits; /* NULL when memory was out: the library's own limits apply */

static void make_limits(void)
{
	limits = pcre2_match_context_create(NULL);
	if (!limits)
		return;
	pcre2_set_match_limit(limits, MATCH_STEPS);
	pcre2_set_depth_limit(limits, MATCH_DEPTH);
}

static size_t path_write(char *out, size_t size, size_t n, const struct step *at)
{
	int more;

	if (at->up)
		n = path_write(out, size, n, at->up);
	if (n >= size - 1)
		return n;
	if (at->name.p)
		more = snprintf(out + n, size - n, "%s%.*s", at->up ? "." : "", STR_FMT(at->name));
	else
		more = snprintf(out + n, size - n, "[%zu]", at->index);
	return more > 0 ? n + (size_t)more : n;
}

bool walk_fail(struct walk *w, const struct step *at, enum schema_fault fault, const char *fmt, ...)
{
	struct schema_error *e = w->error;
	const struct step *named = at;
	va_list ap;

	while (!named->name.p && named->up)
		named = named->up;
	e->fault = fault;
	path_write(e->path, sizeof(e->path), 0, at);
	snprintf(e->name, sizeof(e->name), "%.*s", STR_FMT(named->name));
	va_start(ap, fmt);
	vsnprintf(e->why, sizeof(e->why), fmt, ap);
	va_end(ap);
	return false;
}

void walk_done(struct walk *w)
{
	pcre2_match_data_free(w->match);
	w->match = NULL;
}

/* Compiles on first use; threads that race each compile, one wins. NULL: the pattern of the description is wrong. */
static pcre2_code *compiled(struct json_pattern *pattern)
{
	pcre2_code *code = __atomic_load_n(&pattern->compiled, __ATOMIC_ACQUIRE);
	void *expected = NULL;
	PCRE2_SIZE at;
	int why;

	if (code)
		return code;
	/* ALT_BSUX: \uXXXX as in ECMAScript, whose dialect API descriptions use. */
	code = pcre2_compile((PCRE2_SPTR)pattern->text, PCRE2_ZERO_TERMINATED,
	                     PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX | PCRE2_NEVER_BACKSLASH_C, &why, &at,
	                     NULL);
	if (!code)
		return NULL;
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* without it matching is slower, nothing else */
	if (__atomic_compare_exchange_n(&pattern->compiled, &expected, code, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return code;
	pcre2_code_free(code);
	return expected;
}

static bool matches(struct walk *w, struct json_pattern *pattern, struct str s)
{
	pcre2_code *code = compiled(pattern);

	pthread_once(&limits_once, make_limits);
	if (!w->match)
		w->match = pcre2_match_data_create(1, NULL);
	if (!code || !w->match)
		return false;
	return pcre2_match(code, (PCRE2_SPTR)(s.p ? s.p : ""), s.n, 0, PCRE2_NO_UTF_CHECK, w->match, limits) >= 0;
}

static bool one_of(const char *const *enums, struct str s)
{
	for (; *enums; enums++)
		if (str_eq(s, str_of(*enums)))
			return true;
	return false;
}

static bool fail_enum(struct walk *w, const struct step *at, const struct json_schema *schema)
{
	char list[128];
	size_t n = 0;

	list[0] = '\0';
	for (const char *const *e = schema->enums; *e; e++) {
		size_t more = strlen(*e) + (n ? 2 : 0);

		if (n + more + 6 > sizeof(list)) {
			n += (size_t)snprintf(list + n, sizeof(list) - n, ", ...");
			break;
		}
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", *e);
	}
	return walk_fail(w, at, SCHEMA_NOT_IN_ENUM, "must be %s %s",
	                 schema->flags & SCHEMA_MULTI ? "one or more of" : "one of", list);
}

static bool check_enum(struct walk *w, const struct step *at, const struct json_schema *schema, struct str s)
{
	if (!(schema->flags & SCHEMA_MULTI))
		return one_of(schema->enums, s) || fail_enum(w, at, schema);
	for (struct str rest = s; rest.p;)
		if (!one_of(schema->enums, str_cut(&rest, ',')))
			return fail_enum(w, at, schema);
	return true;
}

bool walk_check_str(struct walk *w, const struct step *at, const struct json_schema *schema, struct str s)
{
	/* A string has at most as many characters as bytes, and at least a quarter as many. */
	if (schema->max_len != SCHEMA_NO_LIMIT && s.n > schema->max_len && enc_utf8_len(s) > schema->max_len)
		return walk_fail(w, at, SCHEMA_TOO_LONG, "must not be longer than %" PRIu32 " characters",
		                 schema->max_len);
	if (s.n / 4 < schema->min_len && enc_utf8_len(s) < schema->min_len)
		return walk_fail(w, at, SCHEMA_TOO_SHORT, "must be at least %" PRIu32 " characters long",
		                 schema->min_len);
	if (schema->enums && !check_enum(w, at, schema, s))
		return false;
	if (schema->pattern && !matches(w, schema->pattern, s))
		return walk_fail(w, at, SCHEMA_BAD_PATTERN, "must match %s", schema->pattern->text);
	return true;
}

static bool fail_range(struct walk *w, const struct step *at, const struct json_schema *schema)
{
	bool has_min = schema->flags & SCHEMA_HAS_MIN, has_max = schema->flags & SCHEMA_HAS_MAX;

	if (has_min && has_max)
		return walk_fail(w, at, SCHEMA_OUT_OF_RANGE, "must be %" PRId64 "..%" PRId64, schema->min, schema->max);
	if (has_min)
		return walk_fail(w, at, SCHEMA_OUT_OF_RANGE, "must be at least %" PRId64, schema->min);
	return walk_fail(w, at, SCHEMA_OUT_OF_RANGE, "must be at most %" PRId64, schema->max);
}

bool walk_check_int(struct walk *w, const struct step *at, const struct json_schema *schema, int64_t v)
{
	char text[24];

	if (((schema->flags & SCHEMA_HAS_MIN) && v < schema->min) ||
	    ((schema->flags & SCHEMA_HAS_MAX) && v > schema->max))
		return fail_range(w, at, schema);
	if (!schema->enums)
		return true;
	int n = snprintf(text, sizeof(text), "%" PRId64, v);

	return one_of(schema->enums, (struct str){text, (size_t)n}) || fail_enum(w, at, schema);
}

bool walk_check_num(struct walk *w, const struct step *at, const struct json_schema *schema, double v)
{
	if (((schema->flags & SCHEMA_HAS_MIN) && v < (double)schema->min) ||
	    ((schema->flags & SCHEMA_HAS_MAX) && v > (double)schema->max))
		return fail_range(w, at, schema);
	if (!schema->enums)
		return true;
	for (const char *const *e = schema->enums; *e; e++)
		if (strtod(*e, NULL) == v)
			return true;
	return fail_enum(w, at, schema);
}

bool walk_check_count(struct walk *w, const struct step *at, const struct json_schema *schema, size_t n)
{
	if (schema->max_len != SCHEMA_NO_LIMIT && n > schema->max_len)
		return walk_fail(w, at, SCHEMA_TOO_MANY, "must not have more than %" PRIu32 " elements",
		                 schema->max_len);
	if (n < schema->min_len)
		return walk_fail(w, at, SCHEMA_TOO_FEW, "must have at least %" PRIu32 " elements", schema->min_len);
	return true;
}
