/* Generated from spec/. */
#include "api/api.h"
#include <stddef.h>
#include "api_apic.h"
#include "api_iam.h"
static int call_apic_check_thing(struct api_call *call, const void *in, void *out)
{
	(void)out;
	return apic_check_thing(call, in);
}

static int call_apic_create_thing(struct api_call *call, const void *in, void *out)
{
	return apic_create_thing(call, in, out);
}

static int call_apic_list_things(struct api_call *call, const void *in, void *out)
{
	return apic_list_things(call, in, out);
}

static int call_iam_login(struct api_call *call, const void *in, void *out)
{
	(void)out;
	return iam_login(call, in);
}

api_handler *const api_calls[] = {
	call_apic_check_thing,
	call_apic_create_thing,
	call_apic_create_thing,
	NULL,
	call_apic_list_things,
	call_iam_login};
