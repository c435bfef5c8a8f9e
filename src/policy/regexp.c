/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/map.h"
#include "base/mem.h"
#include "policy/request.h"

#include <pcre2.h>
#include <stdlib.h>

/* Steps a match may take before it counts as failed: patterns come from API owners, subjects from anybody. */
#define MATCH_LIMIT 100000
#define PATTERN_MAX 4096

struct entry {
	struct str pattern;
	pcre2_code *code; /* NULL: the pattern is not valid */
};

struct policy_regexps {
	struct map *map;
	size_t max;
	pcre2_match_context *context;
};

struct policy_regexps *policy_regexps_new(size_t max)
{
	struct policy_regexps *regexps = mem_zalloc(sizeof(*regexps));

	regexps->map = map_new();
	regexps->max = max;
	regexps->context = pcre2_match_context_create(NULL);
	if (regexps->context) {
		pcre2_set_match_limit(regexps->context, MATCH_LIMIT);
		pcre2_set_depth_limit(regexps->context, MATCH_LIMIT);
	}
	return regexps;
}

static void clear(struct policy_regexps *regexps)
{
	struct str key;
	void *value;

	for (size_t at = 0; map_next(regexps->map, &at, &key, &value);) {
		struct entry *entry = value;

		pcre2_code_free(entry->code);
		free(entry);
	}
	map_free(regexps->map);
	regexps->map = NULL;
}

void policy_regexps_free(struct policy_regexps *regexps)
{
	if (!regexps)
		return;
	clear(regexps);
	pcre2_match_context_free(regexps->context);
	free(regexps);
}

static struct entry *compile(struct policy_regexps *regexps, struct str pattern)
{
	int error;
	size_t offset;

	if (map_count(regexps->map) >= regexps->max) {
		/* Declarations are few; a full table means that most of it is of APIs long gone. */
		clear(regexps);
		regexps->map = map_new();
	}
	struct entry *entry = mem_zalloc(sizeof(*entry) + pattern.n);

	memcpy(entry + 1, pattern.p, pattern.n);
	entry->pattern = (struct str){(char *)(entry + 1), pattern.n};
	entry->code = pcre2_compile((PCRE2_SPTR)entry->pattern.p, pattern.n, PCRE2_UTF | PCRE2_MATCH_INVALID_UTF,
				    &error, &offset, NULL);
	if (entry->code)
		pcre2_jit_compile(entry->code, PCRE2_JIT_COMPLETE);
	map_put(regexps->map, entry->pattern, entry);
	return entry;
}

int policy_regexp_match(struct policy_regexps *regexps, struct str pattern, struct str subject)
{
	if (pattern.n > PATTERN_MAX)
		return -1;
	struct entry *entry = map_get(regexps->map, pattern);

	if (!entry)
		entry = compile(regexps, pattern);
	if (!entry->code)
		return -1;
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);

	if (!data)
		return 0;
	int rc = pcre2_match(entry->code, (PCRE2_SPTR)(subject.p ? subject.p : ""), subject.n, 0, 0, data,
			     regexps->context);

	pcre2_match_data_free(data);
	return rc >= 0;
}
