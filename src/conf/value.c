/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf_priv.h"

#include "base/enc.h"
#include "base/mem.h"

#include <stdio.h>

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit sizes[] = {
	{"", 1}, {"K", 1LL << 10}, {"M", 1LL << 20}, {"G", 1LL << 30}, {"T", 1LL << 40}, {NULL, 0}};
static const struct unit times[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

/* "12M": digits, then a unit. */
static bool parse_unit(struct str text, const struct unit *units, int64_t *ret)
{
	size_t digits = 0;
	long long value;

	while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
		digits++;
	if (digits == 0 || !str_to_int(str_sub(text, 0, digits), 0, INT64_MAX, &value))
		return false;
	for (; units->name; units++) {
		if (str_is(str_sub(text, digits, text.n), units->name))
			return !__builtin_mul_overflow(value, units->factor, ret);
	}
	return false;
}

static bool parse_int(struct str text, int64_t *ret)
{
	long long value;

	if (!str_to_int(text, INT64_MIN, INT64_MAX, &value))
		return false;
	*ret = value;
	return true;
}

static bool parse_bool(struct str text, int64_t *ret)
{
	static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (str_eq_nocase(text, str_of(words[i]))) {
			*ret = (int64_t)(i % 2);
			return true;
		}
	}
	return false;
}

/* Line feeds and the like would end up in the configuration of the programs that we start. */
static bool is_clean(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			return false;
	}
	return text.n <= CONF_MAX_TEXT && enc_utf8_valid(text);
}

static bool set_text(struct conf *conf, enum conf_id id, struct str text, char *why, size_t size)
{
	const struct conf_row *row = &conf__rows[id];
	int used = snprintf(why, size, "must be one of");

	/* The value is not repeated: it may hold a password. */
	for (const char *const *c = row->choices; c && *c; c++) {
		if (str_is(text, *c))
			break;
		if (used > 0 && (size_t)used < size)
			used += snprintf(why + used, size - (size_t)used, " %s", *c);
		if (!c[1])
			return false;
	}
	if (row->type == CONF_TYPE_PATH && text.n > 0 && text.p[0] != '/')
		conf->values[id].s = arena_fmt(conf->a, "%.*s/%.*s", STR_FMT(conf->home), STR_FMT(text));
	else
		conf->values[id].s = arena_str(conf->a, text.p ? text : STR(""));
	return true;
}

static bool set_number(struct conf *conf, enum conf_id id, struct str text, char *why, size_t size)
{
	const struct conf_row *row = &conf__rows[id];
	int64_t value = 0;
	bool good;

	switch (row->type) {
	case CONF_TYPE_BOOL:
		snprintf(why, size, "must be true or false");
		if (!parse_bool(text, &value))
			return false;
		conf->values[id].i = value;
		return true;
	case CONF_TYPE_SIZE:
		snprintf(why, size, "must be a size from %s to %s", row->min_text, row->max_text);
		good = parse_unit(text, sizes, &value);
		break;
	case CONF_TYPE_DURATION:
		snprintf(why, size, "must be a duration from %s to %s, with its unit (ms, s, m, h, d)", row->min_text,
		         row->max_text);
		good = parse_unit(text, times, &value);
		break;
	default:
		snprintf(why, size, "must be a number from %s to %s", row->min_text, row->max_text);
		good = parse_int(text, &value);
		break;
	}
	if (!good || value < row->min || value > row->max)
		return false;
	conf->values[id].i = value;
	return true;
}

bool conf__set(struct conf *conf, enum conf_id id, struct str text, char *ret_why, size_t size)
{
	enum conf_type type = conf__rows[id].type;
	bool good;

	if (!is_clean(text)) {
		snprintf(ret_why, size, "must be UTF-8 of at most %d bytes without control characters", CONF_MAX_TEXT);
		return false;
	}
	good = type == CONF_TYPE_STRING || type == CONF_TYPE_PATH ? set_text(conf, id, text, ret_why, size)
	                                                          : set_number(conf, id, text, ret_why, size);
	if (good)
		conf->values[id].set = true;
	return good;
}
