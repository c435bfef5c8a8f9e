/* SPDX-License-Identifier: Apache-2.0 */
#include "mqsrest/handler.h"

#include "base/enc.h"

#define TEXT_MAX 128 /* base64 of four numbers of 19 digits */

struct str rest_handler_make(struct arena *a, const struct rest_handler *h)
{
	return enc_base64(a, arena_fmt(a, "%d#%lld#%lld#%lld", h->partition, (long long)h->offset,
				       (long long)h->delivery, (long long)h->session));
}

/* The next number; signs and leading zeros would give one message several names. */
static bool number(struct str *rest, long long max, long long *ret)
{
	struct str part = rest->p ? str_cut(rest, '#') : STR_NONE;

	return part.n && part.p[0] != '-' && (part.p[0] != '0' || part.n == 1) && str_to_int(part, 0, max, ret);
}

bool rest_handler_read(struct arena *a, struct str text, struct rest_handler *ret)
{
	struct str rest;
	long long partition, offset, delivery, session;

	if (text.n > TEXT_MAX || !enc_unbase64(a, text, &rest))
		return false;
	if (!number(&rest, INT32_MAX, &partition) || !number(&rest, INT64_MAX, &offset) ||
	    !number(&rest, INT64_MAX, &delivery) || !number(&rest, INT64_MAX, &session) || rest.p)
		return false;
	*ret = (struct rest_handler){(int32_t)partition, offset, delivery, session};
	return true;
}
