/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf_priv.h"

#include <assert.h>
#include <stdio.h>
#include <yaml.h>

#define MAX_SECTIONS 64

/* appia.yaml: one document, a mapping of sections to mappings of keys to scalars. libyaml's events (YAML 1.1) are
 * walked by a state per level, so that nothing is built that the file's author controls the size of. */
enum state { BEFORE, SECTIONS, SECTION_VALUE, KEYS, VALUE, AFTER };

struct reader {
	struct conf *conf;
	const char *name;
	enum state state;
	int section; /* in conf__sections */
	unsigned id;
	bool seen_section[MAX_SECTIONS], seen[CONF_COUNT];
	size_t line; /* of the event, from 1 */
	struct err *err;
};

static int bad(struct reader *rd, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int bad(struct reader *rd, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set_text(rd->err, ERR_APPIA_0400, "%s line %zu: %s.", rd->name, rd->line, text);
}

/* Levenshtein distance of short names; beyond 32 bytes nothing is near. */
static unsigned distance(struct str a, struct str b)
{
	unsigned row[33];

	if (a.n > 32 || b.n > 32)
		return 100;
	for (size_t j = 0; j <= b.n; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned corner = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned best = corner + (a.p[i - 1] != b.p[j - 1]);

			corner = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b.n];
}

/* What may be printed of a foreign name. */
static struct str shown(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		if ((unsigned char)name.p[i] < 0x20 || (unsigned char)name.p[i] >= 0x7f)
			return STR("?");
	}
	return name.n > 64 ? str_sub(name, 0, 64) : name;
}

static int on_section(struct reader *rd, struct str name)
{
	const char *nearest = conf__sections[0].name;

	for (size_t i = 0; i < conf__sections_n; i++) {
		const char *candidate = conf__sections[i].name;

		if (str_is(name, candidate)) {
			if (rd->seen_section[i])
				return bad(rd, "section \"%s\" stands here a second time", candidate);
			rd->seen_section[i] = true;
			rd->section = (int)i;
			rd->state = SECTION_VALUE;
			return 0;
		}
		if (distance(name, str_of(candidate)) < distance(name, str_of(nearest)))
			nearest = candidate;
	}
	struct str text = shown(name);

	return bad(rd, "unknown section \"%.*s\"; the nearest is \"%s\"", STR_FMT(text), nearest);
}

static int on_key(struct reader *rd, struct str name)
{
	const char *section = conf__sections[rd->section].name, *nearest = NULL;

	for (unsigned id = 0; id < CONF_COUNT; id++) {
		const char *candidate = conf__rows[id].key;

		if (strcmp(conf__rows[id].section, section) != 0)
			continue;
		if (str_is(name, candidate)) {
			if (rd->seen[id])
				return bad(rd, "key \"%s\" stands here a second time", candidate);
			rd->seen[id] = true;
			rd->id = id;
			rd->state = VALUE;
			return 0;
		}
		if (!nearest || distance(name, str_of(candidate)) < distance(name, str_of(nearest)))
			nearest = candidate;
	}
	struct str text = shown(name);

	return bad(rd, "unknown key \"%.*s\" in section \"%s\"; the nearest is \"%s\"", STR_FMT(text), section,
	           nearest);
}

static bool is_null(struct str text, bool plain)
{
	return plain && (text.n == 0 || str_is(text, "~") || str_eq_nocase(text, STR("null")));
}

static int on_scalar(struct reader *rd, struct str text, bool plain)
{
	char why[256];

	switch (rd->state) {
	case BEFORE:
		if (!is_null(text, plain))
			return bad(rd, "the file must be sections with keys");
		rd->state = AFTER;
		return 0;
	case SECTIONS:
		return on_section(rd, text);
	case SECTION_VALUE:
		/* All its keys are commented out. */
		if (!is_null(text, plain))
			return bad(rd, "section \"%s\" must hold keys", conf__sections[rd->section].name);
		rd->state = SECTIONS;
		return 0;
	case KEYS:
		return on_key(rd, text);
	default:
		rd->state = KEYS;
		if (is_null(text, plain) || conf__set(rd->conf, rd->id, text, why, sizeof(why)))
			return 0;
		return bad(rd, "%s.%s %s", conf__rows[rd->id].section, conf__rows[rd->id].key, why);
	}
}

static int on_mapping(struct reader *rd)
{
	switch (rd->state) {
	case BEFORE:
		rd->state = SECTIONS;
		return 0;
	case SECTION_VALUE:
		rd->state = KEYS;
		return 0;
	case VALUE:
		return bad(rd, "%s.%s must be one value", conf__rows[rd->id].section, conf__rows[rd->id].key);
	default:
		return bad(rd, "a name is expected here");
	}
}

static int on_event(struct reader *rd, const yaml_event_t *event)
{
	rd->line = event->start_mark.line + 1;
	switch (event->type) {
	case YAML_SCALAR_EVENT:
		return on_scalar(rd, (struct str){(const char *)event->data.scalar.value, event->data.scalar.length},
		                 event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE);
	case YAML_MAPPING_START_EVENT:
		return on_mapping(rd);
	case YAML_MAPPING_END_EVENT:
		rd->state = rd->state == KEYS ? SECTIONS : AFTER;
		return 0;
	case YAML_DOCUMENT_START_EVENT:
		return rd->state == BEFORE ? 0 : bad(rd, "only one document is allowed");
	case YAML_SEQUENCE_START_EVENT:
		return bad(rd, "lists are not allowed");
	case YAML_ALIAS_EVENT:
		return bad(rd, "aliases are not allowed");
	default:
		return 0;
	}
}

int conf__read(struct conf *conf, struct str text, const char *name, struct err *err)
{
	struct reader rd = {.conf = conf, .name = name, .err = err};
	yaml_parser_t parser;
	yaml_event_t event;
	bool end = false;
	int r = 0;

	assert(conf__sections_n <= MAX_SECTIONS);
	if (!yaml_parser_initialize(&parser))
		return err_set(err, ERR_APPIA_0500, NULL);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
	while (r == 0 && !end) {
		if (!yaml_parser_parse(&parser, &event)) {
			rd.line = parser.problem_mark.line + 1;
			r = bad(&rd, "%s", parser.problem ? parser.problem : "not YAML");
			break;
		}
		r = on_event(&rd, &event);
		end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return r;
}
