/* SPDX-License-Identifier: Apache-2.0 */
#include "datasource/postgresql/types.h"

#include "base/enc.h"
#include "base/mem.h"

#include <stdlib.h>

/* Object ids of pg_type.dat; they never change. */
enum { OID_BOOL = 16, OID_BYTEA = 17, OID_CHAR = 18, OID_NAME = 19, OID_INT8 = 20, OID_INT2 = 21, OID_INT4 = 23,
       OID_TEXT = 25, OID_OID = 26, OID_JSON = 114, OID_XML = 142, OID_FLOAT4 = 700, OID_FLOAT8 = 701,
       OID_MONEY = 790, OID_BPCHAR = 1042, OID_VARCHAR = 1043, OID_DATE = 1082, OID_TIME = 1083,
       OID_TIMESTAMP = 1114, OID_TIMESTAMPTZ = 1184, OID_INTERVAL = 1186, OID_TIMETZ = 1266, OID_BIT = 1560,
       OID_VARBIT = 1562, OID_NUMERIC = 1700, OID_UUID = 2950, OID_JSONB = 3802 };

static const struct {
	unsigned oid;
	enum value_kind kind;
	const char *name;
} types[] = {
	{OID_BOOL, VALUE_BOOL, "boolean"},
	{OID_BYTEA, VALUE_BINARY, "bytea"},
	{OID_CHAR, VALUE_TEXT, "\"char\""},
	{OID_NAME, VALUE_TEXT, "name"},
	{OID_INT8, VALUE_INT, "bigint"},
	{OID_INT2, VALUE_INT, "smallint"},
	{OID_INT4, VALUE_INT, "integer"},
	{OID_TEXT, VALUE_TEXT, "text"},
	{OID_OID, VALUE_INT, "oid"},
	{OID_JSON, VALUE_JSON, "json"},
	{OID_XML, VALUE_TEXT, "xml"},
	{OID_FLOAT4, VALUE_DOUBLE, "real"},
	{OID_FLOAT8, VALUE_DOUBLE, "double precision"},
	{OID_MONEY, VALUE_TEXT, "money"},
	{OID_BPCHAR, VALUE_TEXT, "character"},
	{OID_VARCHAR, VALUE_TEXT, "character varying"},
	{OID_DATE, VALUE_TIME, "date"},
	{OID_TIME, VALUE_TIME, "time without time zone"},
	{OID_TIMESTAMP, VALUE_TIME, "timestamp without time zone"},
	{OID_TIMESTAMPTZ, VALUE_TIME, "timestamp with time zone"},
	{OID_INTERVAL, VALUE_TEXT, "interval"},
	{OID_TIMETZ, VALUE_TIME, "time with time zone"},
	{OID_BIT, VALUE_TEXT, "bit"},
	{OID_VARBIT, VALUE_TEXT, "bit varying"},
	{OID_NUMERIC, VALUE_DECIMAL, "numeric"},
	{OID_UUID, VALUE_TEXT, "uuid"},
	{OID_JSONB, VALUE_JSON, "jsonb"},
};

struct str datasource__pg_type_name(unsigned oid)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].oid == oid)
			return str_of(types[i].name);
	return STR("other");
}

bool datasource__pg_is_numeric(unsigned oid)
{
	return oid == OID_NUMERIC;
}

/* "2024-01-02 03:04:05.6+02" -> "2024-01-02T03:04:05.6+02:00", as RFC 3339 wants it; infinity, BC as they are. */
static struct str iso_time(struct str text, struct arena *a)
{
	size_t space = str_find(text, ' ', 0), sign = text.n;

	if (text.n == 0 || text.p[0] < '0' || text.p[0] > '9' || text.p[text.n - 1] == 'C')
		return text;
	for (size_t i = text.n; i > 0 && sign == text.n; i--) {
		char c = text.p[i - 1];

		if (c == '+' || (c == '-' && str_find(text, ':', 0) < i))
			sign = i - 1;
		else if ((c < '0' || c > '9') && c != ':')
			break;
	}
	char *out = arena_alloc(a, text.n + 4);
	size_t n = text.n;

	memcpy(out, text.p, text.n);
	if (space < text.n)
		out[space] = 'T';
	if (sign < text.n && text.n - sign == 3) {
		memcpy(out + n, ":00", 3);
		n += 3;
	}
	return (struct str){out, n};
}

static bool is_plain_number(struct str s)
{
	return s.n && ((s.p[s.n - 1] >= '0' && s.p[s.n - 1] <= '9'));
}

void datasource__pg_value(unsigned oid, int mod, struct str text, struct arena *a, struct value *ret)
{
	*ret = (struct value){.kind = VALUE_TEXT, .s = text};
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i].oid == oid) {
			ret->kind = types[i].kind;
			break;
		}
	}
	switch (ret->kind) {
	case VALUE_BOOL:
		ret->i = str_is(text, "t");
		break;
	case VALUE_INT:
		ret->i = strtoll(text.p, NULL, 10); /* libpq ends values with NUL */
		break;
	case VALUE_DOUBLE:
		ret->d = strtod(text.p, NULL);
		break;
	case VALUE_DECIMAL:
		if (!is_plain_number(text)) /* NaN, Infinity */
			ret->kind = VALUE_TEXT;
		break;
	case VALUE_BINARY:
		if (!str_starts(text, STR("\\x")) || !enc_unhex(a, str_sub(text, 2, text.n), &ret->s))
			ret->kind = VALUE_TEXT;
		break;
	case VALUE_TIME:
		ret->s = iso_time(text, a);
		break;
	default:
		break;
	}
}
