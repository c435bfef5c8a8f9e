/* SPDX-License-Identifier: Apache-2.0 */
#include "datasource/driver.h"

#include "base/mem.h"

/* Types that speak the protocol of another one share its driver. OPENGAUSS and DWS: with password authentication
 * that PostgreSQL knows too (md5, scram-sha-256). */
static const struct {
	const char *type;
	const struct datasource_driver *driver;
} drivers[] = {
	{"MYSQL", &datasource__mysql},
	{"TAURUS", &datasource__mysql},
	{"POSTGRESQL", &datasource__postgresql},
	{"OPENGAUSS", &datasource__postgresql},
	{"DWS", &datasource__postgresql},
	{"SQLITE", &datasource__sqlite},
};

const struct datasource_driver *datasource_driver(struct str type)
{
	for (size_t i = 0; i < ARRAY_LEN(drivers); i++)
		if (str_eq_nocase(type, str_of(drivers[i].type)))
			return drivers[i].driver;
	return NULL;
}

int datasource_driver_get(struct str type, const struct datasource_driver **ret, struct err *err)
{
	const struct datasource_driver *driver = datasource_driver(type);

	if (!driver)
		return err_set(err, ERR_APPIA_0501_DRIVER_MISSING, "%.*s", (int)(type.n > 64 ? 64 : type.n), type.p);
	*ret = driver;
	return 0;
}
