/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/str.h"

#include <stdint.h>

#define CLOCK_ISO_SIZE 32

/* Wall clock, milliseconds since 1970 UTC; may step. */
int64_t clock_now_ms(void);
/* Monotonic milliseconds, for time-outs and intervals. */
int64_t clock_mono_ms(void);

/* "2019-12-06T06:49:04Z" / "2019-12-06T06:49:04.000Z", NUL-terminated into buf[CLOCK_ISO_SIZE]. Times outside of the
 * years 1970 to 9999 become the nearest end of it. */
struct str clock_iso(int64_t ms, char *buf);
struct str clock_iso_ms(int64_t ms, char *buf);

/* "20191115T033655Z", the X-Sdk-Date form, strictly. False when it is not one. */
bool clock_parse_basic(struct str s, int64_t *ret_ms);

/* RFC 3339 in UTC ("Z"), with optional fraction, years from 1970; no leap seconds. */
bool clock_parse_iso(struct str s, int64_t *ret_ms);

#endif
