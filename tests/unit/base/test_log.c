/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/mem.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include <string.h>

/* What one call writes to standard error. */
static const char *line_of(enum log_level level, const char *text)
{
	static char out[8192];
	int ends[2], old = dup(STDERR_FILENO);

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	log_write(level, "%s", text);
	dup2(old, STDERR_FILENO);
	close(old);
	close(ends[1]);
	ssize_t n = read(ends[0], out, sizeof(out) - 1);

	close(ends[0]);
	out[n > 0 ? n : 0] = '\0';
	return out;
}

static void test_lines(void **state)
{
	log_init("tester", LOG_INFO);
	assert_string_equal(line_of(LOG_DEBUG, "no"), "");
	const char *line = line_of(LOG_WARN, "a \"b\" \\ \n\x01");

	assert_non_null(strstr(
		line, "\"level\":\"warn\",\"process\":\"tester\",\"msg\":\"a \\\"b\\\" \\\\ \\u000a\\u0001\"}\n"));
	log_request("req-1");
	assert_non_null(strstr(line_of(LOG_INFO, "x"), "\"request_id\":\"req-1\",\"msg\":\"x\"}\n"));
	log_request(NULL);
	assert_null(strstr(line_of(LOG_INFO, "x"), "request_id"));
}

static void test_long(void **state)
{
	char text[3000];

	memset(text, '\x01', sizeof(text)); /* grows sixfold when quoted */
	text[sizeof(text) - 1] = '\0';
	const char *line = line_of(LOG_ERROR, text);

	assert_string_equal(line + strlen(line) - 3, "\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_long)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
