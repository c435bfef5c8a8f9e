/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DATASOURCE_POSTGRESQL_TYPES_H
#define DATASOURCE_POSTGRESQL_TYPES_H

#include "datasource/datasource.h"

/* Turns PostgreSQL's text form of a value into a typed one; oid: pg_type.oid of a built-in type. */
void datasource__pg_value(unsigned oid, int mod, struct str text, struct arena *a, struct value *ret);

/* SQL name of a built-in type; "other" for the rest. */
struct str datasource__pg_type_name(unsigned oid);
bool datasource__pg_is_numeric(unsigned oid);

#endif
