/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPERVISOR_NGINX_CONF_H
#define SUPERVISOR_NGINX_CONF_H

#include "supervisor/home.h"

struct nginx_settings {
	const char *management_address, *gateway_address;
	int management_http_port, management_https_port, gateway_http_port, gateway_https_port; /* 0: none */
	const char *mqs_address;
	int mqs_rest_port;      /* 0: none */
	int mqs_rest_connections; /* that the REST interface takes */
	int workers;            /* 0: one per core */
	long long max_body;     /* bytes, of a call through the gateway */
	bool app_code_plain;    /* AppCodes also over plain HTTP */
	const char *error_level;
};

/* Writes dir/nginx/nginx.conf: the front door of the management API, of the gateway and of the REST
 * interface of message integration. */
int nginx_conf_write(const struct home *home, const struct nginx_settings *settings, struct err *err);

#endif
