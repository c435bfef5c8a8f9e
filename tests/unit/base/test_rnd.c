/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "base/rnd.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

static void test_shapes(void **state)
{
	struct arena *a = arena_new(1 << 20);
	struct str id = rnd_id(a), uuid = rnd_uuid(a), text = rnd_text(a, 5000, "abc");
	size_t count[3] = {0};

	assert_int_equal(strspn(id.p, "0123456789abcdef"), 32);
	assert_int_equal(id.n, 32);
	assert_int_equal(uuid.n, 36);
	assert_true(uuid.p[8] == '-' && uuid.p[13] == '-' && uuid.p[14] == '4' && uuid.p[18] == '-' &&
		    uuid.p[23] == '-');
	assert_non_null(strchr("89ab", uuid.p[19]));
	assert_false(str_eq(id, rnd_id(a)));
	for (size_t i = 0; i < text.n; i++)
		count[text.p[i] - 'a']++;
	for (size_t i = 0; i < ARRAY_LEN(count); i++) /* expected 1667, standard deviation 33 */
		assert_in_range(count[i], 1300, 2000);
	assert_int_equal(text.p[text.n], '\0');
	arena_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
