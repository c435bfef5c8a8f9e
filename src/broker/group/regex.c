/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "broker/group/group_priv.h"

#include "base/mem.h"

#include <pcre2.h>

/* Regular expressions of subscriptions (KIP-848). Kafka means RE2 syntax and a match of the whole name; PCRE2 reads the
 * same expressions, and its match limit bounds what a hostile one can cost. */

enum { REGEX_MAX = 1024, MATCH_LIMIT = 20000, HEAP_KIB = 64, MATCHED_MAX = 20000 };

static pcre2_code *compile(struct str regex)
{
	int code;
	PCRE2_SIZE at;

	if (!regex.n || regex.n > REGEX_MAX)
		return NULL;
	return pcre2_compile((PCRE2_SPTR)regex.p, regex.n,
			     PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &at,
			     NULL);
}

bool group__regex_check(struct str regex)
{
	pcre2_code *re = compile(regex);

	pcre2_code_free(re);
	return re;
}

static int str_order(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static bool adopt(struct group_coord *g, struct member *m, struct str *v, size_t n)
{
	bool same = n == m->n_matched;

	for (size_t i = 0; same && i < n; i++)
		same = str_eq(v[i], m->matched[i]);
	for (size_t i = 0; i < m->n_matched; i++)
		coord_disown(&m->matched[i]);
	free(m->matched);
	m->matched = v;
	m->n_matched = n;
	group__member_count(g, m);
	return !same;
}

bool group__regex_resolve(struct group_coord *g, struct member *m)
{
	if (str_empty(m->regex))
		return adopt(g, m, NULL, 0);
	pcre2_code *re = compile(m->regex);
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	pcre2_match_context *limits = pcre2_match_context_create(NULL);
	struct str *v = NULL, name;
	size_t n = 0, cap = 0;

	pcre2_set_match_limit(limits, MATCH_LIMIT);
	pcre2_set_heap_limit(limits, HEAP_KIB);
	for (size_t at = 0; re && n < MATCHED_MAX && g->env.topic_next(g->env.arg, &at, &name);) {
		if (pcre2_match(re, (PCRE2_SPTR)name.p, name.n, 0, 0, data, limits) < 0)
			continue;
		if (g->env.topic_visible && !g->env.topic_visible(g->env.arg, m->principal, name))
			continue;
		if (n == cap) {
			cap = cap ? 2 * cap : 16;
			v = mem_realloc(v, cap * sizeof(*v));
		}
		v[n++] = coord_own(name);
	}
	pcre2_match_context_free(limits);
	pcre2_match_data_free(data);
	pcre2_code_free(re);
	if (n)
		qsort(v, n, sizeof(*v), str_order);
	return adopt(g, m, v, n);
}
