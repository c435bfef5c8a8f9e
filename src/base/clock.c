/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#define MAX_MS INT64_C(253402300799999) /* end of the year 9999 */

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_now_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_mono_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static struct str format(int64_t ms, char *buf, bool fraction)
{
	if (ms < 0)
		ms = 0;
	else if (ms > MAX_MS)
		ms = MAX_MS;
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	gmtime_r(&t, &tm);
	size_t n = strftime(buf, CLOCK_ISO_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);

	if (fraction)
		n += (size_t)snprintf(buf + n, CLOCK_ISO_SIZE - n, ".%03d", (int)(ms % 1000));
	buf[n++] = 'Z';
	buf[n] = '\0';
	return (struct str){buf, n};
}

struct str clock_iso(int64_t ms, char *buf)
{
	return format(ms, buf, false);
}

struct str clock_iso_ms(int64_t ms, char *buf)
{
	return format(ms, buf, true);
}

static bool number(struct str s, size_t at, size_t n, int min, int max, int *ret)
{
	long long v;

	if (at + n > s.n || s.p[at] == '-' || !str_to_int(str_sub(s, at, at + n), min, max, &v))
		return false;
	*ret = (int)v;
	return true;
}

static bool to_ms(const struct tm *in, int64_t *ret_ms)
{
	struct tm tm = *in;
	time_t t = timegm(&tm);

	if (t == (time_t)-1 || tm.tm_mday != in->tm_mday) /* 31 February */
		return false;
	*ret_ms = (int64_t)t * 1000;
	return true;
}

bool clock_parse_basic(struct str s, int64_t *ret_ms)
{
	struct tm tm = {0};

	if (s.n != 16 || s.p[8] != 'T' || s.p[15] != 'Z' || !number(s, 0, 4, 1970, 9999, &tm.tm_year) ||
	    !number(s, 4, 2, 1, 12, &tm.tm_mon) || !number(s, 6, 2, 1, 31, &tm.tm_mday) ||
	    !number(s, 9, 2, 0, 23, &tm.tm_hour) || !number(s, 11, 2, 0, 59, &tm.tm_min) ||
	    !number(s, 13, 2, 0, 59, &tm.tm_sec))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	return to_ms(&tm, ret_ms);
}

bool clock_parse_iso(struct str s, int64_t *ret_ms)
{
	struct tm tm = {0};
	int ms = 0;

	if (s.n < 20 || s.p[4] != '-' || s.p[7] != '-' || s.p[10] != 'T' || s.p[13] != ':' || s.p[16] != ':' ||
	    s.p[s.n - 1] != 'Z' || !number(s, 0, 4, 1970, 9999, &tm.tm_year) || !number(s, 5, 2, 1, 12, &tm.tm_mon) ||
	    !number(s, 8, 2, 1, 31, &tm.tm_mday) || !number(s, 11, 2, 0, 23, &tm.tm_hour) ||
	    !number(s, 14, 2, 0, 59, &tm.tm_min) || !number(s, 17, 2, 0, 59, &tm.tm_sec))
		return false;
	if (s.n > 20) {
		size_t digits = s.n - 21;
		static const int scale[] = {0, 100, 10, 1};

		if (s.p[19] != '.' || digits == 0 || digits > 9 ||
		    !number(s, 20, digits < 3 ? digits : 3, 0, 999, &ms))
			return false;
		for (size_t i = 20; i < s.n - 1; i++)
			if (s.p[i] < '0' || s.p[i] > '9')
				return false;
		ms *= scale[digits < 3 ? digits : 3];
	}
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (!to_ms(&tm, ret_ms))
		return false;
	*ret_ms += ms;
	return true;
}
