/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASOURCE_MYSQL_RESULT_H
#define DATASOURCE_MYSQL_RESULT_H

#include "datasource/datasource.h"

#include <mysql.h>

/* Buffers of one result set in the binary protocol, and its rows as typed values. */
struct datasource_mysql_column;
struct datasource_mysql_result {
	MYSQL_RES *meta;
	MYSQL_BIND *binds;
	struct datasource_mysql_column *columns;
	struct str *names;
	struct value *values;
	size_t n;
};

/* Binds the buffers of the statement's current result set. False: see mysql_stmt_error(); unbind in any case. */
bool datasource__mysql_bind(struct datasource_mysql_result *ret, MYSQL_STMT *stmt);
/* Turns the row just fetched into result->values. False when a value is larger than 64 MiB. */
bool datasource__mysql_row(struct datasource_mysql_result *result, MYSQL_STMT *stmt);
void datasource__mysql_unbind(struct datasource_mysql_result *result);

void datasource__mysql_describe(MYSQL_STMT *stmt, struct arena *a, struct datasource_column_info **ret, size_t *ret_n);

#endif
