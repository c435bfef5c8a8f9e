/* SPDX-License-Identifier: Apache-2.0 */
#include "script/script_priv.h"

/* APIConnectResponse(status [, headers [, body [, base64Encoded]]]): status, headers and body of the reply. */
static JSObjectRef construct(JSContextRef ctx, JSObjectRef ctor, size_t argc, const JSValueRef argv[], JSValueRef *exc)
{
	static const char *const keys[] = {"StatusCode", "Headers", "Body", "Base64Encoded"};
	JSObjectRef o = script__new(ctx, &script__response);

	(void)ctor, (void)exc;
	script__priv_set(ctx, o, "StatusCode", JSValueMakeNumber(ctx, 200));
	script__priv_set(ctx, o, "Headers", JSObjectMake(ctx, NULL, NULL));
	script__priv_set(ctx, o, "Body", JSValueMakeNull(ctx));
	script__priv_set(ctx, o, "Base64Encoded", JSValueMakeBoolean(ctx, false));
	for (size_t i = 0; i < argc && i < 4; i++)
		script__priv_set(ctx, o, keys[i], argv[i]);
	return o;
}

SCRIPT_FN(is_base64)
{
	(void)self_fn, (void)argc, (void)argv, (void)exc;
	return JSValueMakeBoolean(ctx, self && JSValueToBoolean(ctx, script__priv_get(ctx, self, "Base64Encoded")));
}

static const JSStaticFunction methods[] = {
	SCRIPT_BAG("StatusCode"), SCRIPT_BAG("Headers"), SCRIPT_BAG("Body"), SCRIPT_BAG("Base64Encoded"),
	{"isBase64Encoded", is_base64, SCRIPT_ATTR}, {0}};
static const char *const paths[] = {"com.roma.apic.livedata.provider.v1.APIConnectResponse",
                                    "com.huawei.livedata.lambdaservice.livedataprovider.APIConnectResponse", NULL};

const struct script_class script__response = {paths, "APIConnectResponse", construct, methods, NULL, NULL};
