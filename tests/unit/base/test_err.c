/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

static void test_templates(void **state)
{
	struct err e = {.retriable = true};

	assert_int_equal(err_set(&e, ERR_APPIA_0500, NULL), ERR_APPIA_0500);
	assert_string_equal(e.text, "Internal error.");
	assert_int_equal(e.code, ERR_APPIA_0500);
	assert_false(e.retriable);
	err_set(&e, ERR_APPIA_0500, "%s %d", "detail", 7);
	assert_string_equal(e.text, "Internal error., detail 7");
	err_set(&e, ERR_APPIA_0500, "%s", "");
	assert_string_equal(e.text, "Internal error.");
	err_set(&e, ERR_ROMA_00110002, "%s" ERR_NEXT "%s", "p1", "i1");
	assert_string_equal(e.text, "The instance does not exist. project_id: p1, instance_id: i1");
	err_set(&e, ERR_ROMA_00110002, "p1");
	assert_string_equal(e.text, "The instance does not exist. project_id: p1, instance_id: ");
	err_set(&e, ERR_ROMA_00110002, NULL);
	assert_string_equal(e.text, "The instance does not exist. project_id: , instance_id: ");
	err_set(&e, ERR_ROMA_00110002, "a" ERR_NEXT "b" ERR_NEXT "c");
	assert_string_equal(e.text, "The instance does not exist. project_id: a, instance_id: b");
	err_set(&e, ERR_ROMA_00110002, "%s" ERR_NEXT "x", "{}"); /* a detail is no template */
	assert_string_equal(e.text, "The instance does not exist. project_id: {}, instance_id: x");
}

static void test_other_setters(void **state)
{
	struct err e = {0};

	assert_int_equal(err_set_retriable(&e, ERR_APPIA_0503_STORE_BUSY, NULL), ERR_APPIA_0503_STORE_BUSY);
	assert_true(e.retriable);
	err_set_text(&e, ERR_APPIA_0400, "only %s", "this");
	assert_string_equal(e.text, "only this");
	assert_false(e.retriable);
	assert_int_equal(err_set(NULL, ERR_APPIA_0400, "x"), ERR_APPIA_0400);
	assert_int_equal(err_set_text(NULL, ERR_APPIA_0400, "x"), ERR_APPIA_0400);
	assert_int_equal(err_set_retriable(NULL, ERR_APPIA_0400, "x"), ERR_APPIA_0400);
}

static void test_long_detail(void **state)
{
	struct err e;

	err_set(&e, ERR_APPIA_0500, "%02000d", 1);
	assert_true(strlen(e.text) > 500 && strlen(e.text) < sizeof(e.text));
	err_set_text(&e, ERR_APPIA_0500, "%02000d", 1);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

static void test_rows(void **state)
{
	for (int i = 1; i < ERR_COUNT; i++) {
		const struct err_row *row = err_row(-i);

		assert_true(row->code && *row->code && row->message && *row->message);
		assert_in_range(row->status, 200, 599);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_templates), cmocka_unit_test(test_other_setters),
					   cmocka_unit_test(test_long_detail), cmocka_unit_test(test_rows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
