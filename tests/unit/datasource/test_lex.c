/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "datasource/lex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

/* One letter per token: S string, N name, C comment, $ dollar quote, H hole, ? mark, w word, 9 number, . other. */
static const char *shape(const char *sql, enum datasource_dialect dialect, bool templates)
{
	static const char letters[] = {[LEX_SPACE] = '_', [LEX_COMMENT] = 'C', [LEX_WORD] = 'w', [LEX_NUMBER] = '9',
	                               [LEX_STRING] = 'S', [LEX_NAME] = 'N', [LEX_DOLLAR] = '$', [LEX_HOLE] = 'H',
	                               [LEX_MARK] = '?', [LEX_OTHER] = '.'};
	static char out[128];
	struct lex lex = {.sql = str_of(sql), .dialect = dialect, .templates = templates};
	struct lex_token t;
	size_t n = 0, bytes = 0;

	while ((t = datasource_lex_next(&lex)).kind != LEX_END) {
		out[n++] = letters[t.kind];
		bytes += t.text.n;
	}
	out[n] = 0;
	assert_int_equal(bytes, strlen(sql)); /* nothing is lost */
	return out;
}

static void test_all_dialects(void **state)
{
	assert_string_equal(shape("select a1 from t where x='it''s ?' and y=?", DATASOURCE_SQLITE, false),
	                    "w_w_w_w_w_w.S_w_w.?");
	assert_string_equal(shape("1e-5+2.5", DATASOURCE_SQLITE, false), "9.9");
	assert_string_equal(shape("a -- ? '\nb /* ' ? */ c", DATASOURCE_SQLITE, false), "w_C_w_C_w");
	assert_string_equal(shape("\"a\"\"b\"", DATASOURCE_POSTGRESQL, false), "N");
	assert_string_equal(shape("'${x}' ${x} ${1x} ${}", DATASOURCE_SQLITE, true), "S_H_..9._...");
	assert_string_equal(shape("${x}", DATASOURCE_SQLITE, false), "..w.");
}

static void test_mysql(void **state)
{
	assert_string_equal(shape("'a\\'b' \"c\\\"d\" `e`", DATASOURCE_MYSQL, false), "S_S_N");
	assert_string_equal(shape("1--1", DATASOURCE_MYSQL, false), "9..9");
	assert_string_equal(shape("1-- x", DATASOURCE_MYSQL, false), "9C");
	assert_string_equal(shape("1 # ?\n2", DATASOURCE_MYSQL, false), "9_C_9");
	assert_string_equal(shape("/* /* */ 1", DATASOURCE_MYSQL, false), "C_9");
	assert_string_equal(shape("a$b${x}", DATASOURCE_MYSQL, true), "wH");
}

static void test_postgresql(void **state)
{
	assert_string_equal(shape("'a\\' E'a\\'b'", DATASOURCE_POSTGRESQL, false), "S_S");
	assert_string_equal(shape("$$ ' ? $$ $t$ $$ $t$ $1", DATASOURCE_POSTGRESQL, false), "$_$_.9");
	assert_string_equal(shape("/* /* ? */ ? */ 1", DATASOURCE_POSTGRESQL, false), "C_9");
	assert_string_equal(shape("a ? 'b'", DATASOURCE_POSTGRESQL, false), "w_?_S");
}

static void test_unterminated(void **state)
{
	static const char *const texts[] = {"'",     "'a''", "\"",  "/*", "/* *", "$$",
					    "$a$ $", "E'\\", "'\\", "`",  "${",   "${a"};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		for (int d = DATASOURCE_SQLITE; d <= DATASOURCE_POSTGRESQL; d++)
			shape(texts[i], (enum datasource_dialect)d, true);
	struct lex lex = {.sql = STR("x = 'open"), .dialect = DATASOURCE_SQLITE};

	while (datasource_lex_next(&lex).kind != LEX_END)
		continue;
	assert_true(lex.unterminated);
}

static void test_hole(void **state)
{
	assert_int_equal(datasource_lex_hole(STR("${a}"), 0), 4);
	assert_int_equal(datasource_lex_hole(STR("x${a.b-c_1}y"), 1), 10);
	assert_int_equal(datasource_lex_hole(STR("${a b}"), 0), 0);
	assert_int_equal(datasource_lex_hole(STR("${"), 0), 0);
	assert_int_equal(datasource_lex_hole(STR("${\xc3\xa9}"), 0), 0);
	assert_int_equal(datasource_lex_hole(STR(
		"${aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}"), 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_dialects), cmocka_unit_test(test_mysql), cmocka_unit_test(test_postgresql),
		cmocka_unit_test(test_unterminated), cmocka_unit_test(test_hole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
