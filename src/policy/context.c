/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "policy/request.h"

static const struct {
	const char *name;
	size_t offset;
} variables[] = {
#define VARIABLE(name, field)                                                                                          \
	{                                                                                                              \
		"$context." name, offsetof(struct policy_context, field)                                               \
	}
	VARIABLE("sourceIp", source_ip),
	VARIABLE("stage", stage),
	VARIABLE("apiId", api_id),
	VARIABLE("appId", app_id),
	VARIABLE("requestId", request_id),
	VARIABLE("serverAddr", server_addr),
	VARIABLE("serverName", server_name),
	VARIABLE("handleTime", handle_time),
	VARIABLE("providerAppId", provider_app_id),
	VARIABLE("apiName", api_name),
	VARIABLE("appName", app_name),
	VARIABLE("reqPath", req_path),
	VARIABLE("reqUri", req_uri),
	VARIABLE("reqMethod", req_method),
#undef VARIABLE
};

struct str policy_context_get(const struct policy_context *context, struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
		if (str_is(name, variables[i].name))
			return *(const struct str *)(const void *)((const char *)context + variables[i].offset);
	}
	return STR_NONE;
}
