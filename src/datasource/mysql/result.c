/* SPDX-License-Identifier: Apache-2.0 */
#include "datasource/mysql/result.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX_VALUE (64u << 20)
#define CHARSET_BINARY 63

struct datasource_mysql_column {
	enum enum_field_types type;
	enum value_kind kind;
	bool is_unsigned;
	my_bool is_null, error;
	unsigned long length;
	char *buf; /* of values of variable length */
	size_t cap;
	union {
		int64_t i;
		double d;
		float f;
		MYSQL_TIME t;
	} v;
	char text[40]; /* times, unsigned integers above INT64_MAX */
};

static bool is_json(const MYSQL_FIELD *f)
{
	MARIADB_CONST_STRING attr;

	if (f->type == MYSQL_TYPE_JSON)
		return true;
	/* MariaDB's JSON is a text column whose extended metadata says so. */
	return mariadb_field_attr(&attr, f, MARIADB_FIELD_ATTR_FORMAT_NAME) == 0 && attr.length == 4 &&
	       memcmp(attr.str, "json", 4) == 0;
}

/* Chooses how a column is fetched and what it becomes. */
static void choose(struct datasource_mysql_column *c, const MYSQL_FIELD *f, MYSQL_BIND *bind)
{
	bind->buffer_type = MYSQL_TYPE_STRING;
	switch (f->type) {
	case MYSQL_TYPE_TINY:
	case MYSQL_TYPE_SHORT:
	case MYSQL_TYPE_INT24:
	case MYSQL_TYPE_LONG:
	case MYSQL_TYPE_LONGLONG:
	case MYSQL_TYPE_YEAR:
		c->kind = VALUE_INT;
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		break;
	case MYSQL_TYPE_FLOAT:
	case MYSQL_TYPE_DOUBLE:
		c->kind = VALUE_DOUBLE;
		bind->buffer_type = f->type;
		break;
	case MYSQL_TYPE_DECIMAL:
	case MYSQL_TYPE_NEWDECIMAL:
		c->kind = VALUE_DECIMAL;
		break;
	case MYSQL_TYPE_DATE:
	case MYSQL_TYPE_NEWDATE:
	case MYSQL_TYPE_TIME:
	case MYSQL_TYPE_DATETIME:
	case MYSQL_TYPE_TIMESTAMP:
		c->kind = VALUE_TIME;
		bind->buffer_type = f->type == MYSQL_TYPE_NEWDATE ? MYSQL_TYPE_DATE : f->type;
		break;
	case MYSQL_TYPE_BIT:
		c->kind = f->length == 1 ? VALUE_BOOL : VALUE_INT;
		bind->buffer_type = MYSQL_TYPE_BLOB;
		break;
	default:
		c->kind = is_json(f) ? VALUE_JSON : f->charsetnr == CHARSET_BINARY ? VALUE_BINARY : VALUE_TEXT;
		bind->buffer_type = c->kind == VALUE_BINARY ? MYSQL_TYPE_BLOB : MYSQL_TYPE_STRING;
	}
}

static void bind_column(struct datasource_mysql_column *c, const MYSQL_FIELD *f, MYSQL_BIND *bind)
{
	c->type = f->type;
	c->is_unsigned = (f->flags & UNSIGNED_FLAG) != 0;
	choose(c, f, bind);
	bind->is_unsigned = c->is_unsigned;
	bind->is_null = &c->is_null;
	bind->length = &c->length;
	bind->error = &c->error;
	if (bind->buffer_type == MYSQL_TYPE_STRING || bind->buffer_type == MYSQL_TYPE_BLOB) {
		c->cap = f->length < 4096 ? f->length + 1 : 4096;
		c->buf = mem_alloc(c->cap);
		bind->buffer = c->buf;
		bind->buffer_length = c->cap;
	} else {
		bind->buffer = &c->v;
		bind->buffer_length = sizeof(c->v);
	}
}

bool datasource__mysql_bind(struct datasource_mysql_result *ret, MYSQL_STMT *stmt)
{
	*ret = (struct datasource_mysql_result){.meta = mysql_stmt_result_metadata(stmt)};
	if (!ret->meta)
		return false;
	ret->n = mysql_num_fields(ret->meta);
	ret->binds = mem_zalloc(sizeof(*ret->binds) * ret->n);
	ret->columns = mem_zalloc(sizeof(*ret->columns) * ret->n);
	ret->names = mem_zalloc(sizeof(*ret->names) * ret->n);
	ret->values = mem_zalloc(sizeof(*ret->values) * ret->n);
	for (size_t i = 0; i < ret->n; i++) {
		const MYSQL_FIELD *f = mysql_fetch_field_direct(ret->meta, (unsigned)i);

		ret->names[i] = (struct str){f->name, f->name_length};
		bind_column(&ret->columns[i], f, &ret->binds[i]);
	}
	return mysql_stmt_bind_result(stmt, ret->binds) == 0;
}

void datasource__mysql_unbind(struct datasource_mysql_result *result)
{
	for (size_t i = 0; i < result->n; i++)
		free(result->columns[i].buf);
	free(result->binds);
	free(result->columns);
	free(result->names);
	free(result->values);
	if (result->meta)
		mysql_free_result(result->meta);
}

/* The value did not fit: fetches it again into a larger buffer. */
static bool refetch(struct datasource_mysql_result *result, MYSQL_STMT *stmt, size_t i)
{
	struct datasource_mysql_column *c = &result->columns[i];
	MYSQL_BIND *bind = &result->binds[i];

	if (c->length > MAX_VALUE)
		return false;
	c->cap = c->length + c->length / 2 + 1;
	c->buf = mem_realloc(c->buf, c->cap);
	bind->buffer = c->buf;
	bind->buffer_length = c->cap;
	if (mysql_stmt_fetch_column(stmt, bind, (unsigned)i, 0) != 0)
		return false;
	/* The statement keeps a copy of the binds. */
	mysql_stmt_bind_result(stmt, result->binds);
	return true;
}

/* ISO 8601; DATETIME and TIMESTAMP have no zone of their own. */
static struct str time_text(struct datasource_mysql_column *c, unsigned decimals)
{
	const MYSQL_TIME *t = &c->v.t;
	int n;

	if (c->type == MYSQL_TYPE_TIME)
		n = snprintf(c->text, sizeof(c->text), "%s%02u:%02u:%02u", t->neg ? "-" : "", t->hour + 24 * t->day,
			     t->minute, t->second);
	else if (c->type == MYSQL_TYPE_DATE || c->type == MYSQL_TYPE_NEWDATE)
		n = snprintf(c->text, sizeof(c->text), "%04u-%02u-%02u", t->year, t->month, t->day);
	else
		n = snprintf(c->text, sizeof(c->text), "%04u-%02u-%02uT%02u:%02u:%02u", t->year, t->month, t->day,
			     t->hour, t->minute, t->second);
	if (decimals > 0 && decimals <= 6 && c->type != MYSQL_TYPE_DATE) {
		char fraction[16];

		snprintf(fraction, sizeof(fraction), "%06lu", t->second_part % 1000000);
		n += snprintf(c->text + n, sizeof(c->text) - (size_t)n, ".%.*s", (int)decimals, fraction);
	}
	return (struct str){c->text, (size_t)n};
}

/* The double that prints as the float does. */
static double widen(float f)
{
	char text[32];

	for (int digits = 6; digits < 9; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, (double)f);
		if (strtof(text, NULL) == f)
			return strtod(text, NULL);
	}
	return f;
}

static int64_t bits(struct str bytes)
{
	uint64_t v = 0;

	for (size_t i = 0; i < bytes.n && i < 8; i++)
		v = v << 8 | (unsigned char)bytes.p[i];
	return (int64_t)v;
}

bool datasource__mysql_row(struct datasource_mysql_result *result, MYSQL_STMT *stmt)
{
	for (size_t i = 0; i < result->n; i++) {
		struct datasource_mysql_column *c = &result->columns[i];
		struct value *v = &result->values[i];

		*v = (struct value){.kind = c->is_null ? VALUE_NULL : c->kind};
		if (c->is_null)
			continue;
		if (c->buf) {
			if (c->length > c->cap && !refetch(result, stmt, i))
				return false;
			v->s = (struct str){c->buf, c->length};
		}
		if (c->type == MYSQL_TYPE_BIT) {
			v->i = bits(v->s);
		} else if (c->kind == VALUE_INT) {
			v->i = c->v.i;
			if (c->is_unsigned && c->v.i < 0) {
				int n = snprintf(c->text, sizeof(c->text), "%llu", (unsigned long long)c->v.i);

				*v = (struct value){.kind = VALUE_DECIMAL, .s = {c->text, (size_t)n}};
			}
		} else if (c->kind == VALUE_DOUBLE) {
			v->d = c->type == MYSQL_TYPE_FLOAT ? widen(c->v.f) : c->v.d;
		} else if (c->kind == VALUE_TIME) {
			v->s = time_text(c, mysql_fetch_field_direct(result->meta, (unsigned)i)->decimals);
		}
	}
	return true;
}

static const char *type_name(const MYSQL_FIELD *f)
{
	bool binary = f->charsetnr == CHARSET_BINARY;

	switch (f->type) {
	case MYSQL_TYPE_TINY: return "tinyint";
	case MYSQL_TYPE_SHORT: return "smallint";
	case MYSQL_TYPE_INT24: return "mediumint";
	case MYSQL_TYPE_LONG: return "int";
	case MYSQL_TYPE_LONGLONG: return "bigint";
	case MYSQL_TYPE_FLOAT: return "float";
	case MYSQL_TYPE_DOUBLE: return "double";
	case MYSQL_TYPE_DECIMAL:
	case MYSQL_TYPE_NEWDECIMAL: return "decimal";
	case MYSQL_TYPE_BIT: return "bit";
	case MYSQL_TYPE_YEAR: return "year";
	case MYSQL_TYPE_DATE:
	case MYSQL_TYPE_NEWDATE: return "date";
	case MYSQL_TYPE_TIME: return "time";
	case MYSQL_TYPE_DATETIME: return "datetime";
	case MYSQL_TYPE_TIMESTAMP: return "timestamp";
	case MYSQL_TYPE_JSON: return "json";
	case MYSQL_TYPE_STRING:
		return f->flags & ENUM_FLAG ? "enum" : f->flags & SET_FLAG ? "set" : binary ? "binary" : "char";
	case MYSQL_TYPE_VAR_STRING:
	case MYSQL_TYPE_VARCHAR: return binary ? "varbinary" : "varchar";
	default: return is_json(f) ? "json" : binary ? "blob" : "text";
	}
}

void datasource__mysql_describe(MYSQL_STMT *stmt, struct arena *a, struct datasource_column_info **ret, size_t *ret_n)
{
	MYSQL_RES *meta = mysql_stmt_result_metadata(stmt);

	*ret_n = meta ? mysql_num_fields(meta) : 0;
	*ret = ARENA_ARRAY(a, struct datasource_column_info, *ret_n + 1);
	for (size_t i = 0; i < *ret_n; i++) {
		const MYSQL_FIELD *f = mysql_fetch_field_direct(meta, (unsigned)i);

		(*ret)[i] = (struct datasource_column_info){.name = arena_str(a, (struct str){f->name, f->name_length}),
			.type = str_of(type_name(f)), .comment = STR(""), .def = STR(""), .size = (int64_t)f->length,
			.scale = f->decimals <= 30 ? f->decimals : 0, .nullable = !(f->flags & NOT_NULL_FLAG),
			.primary_key = (f->flags & PRI_KEY_FLAG) != 0};
	}
	if (meta)
		mysql_free_result(meta);
}
