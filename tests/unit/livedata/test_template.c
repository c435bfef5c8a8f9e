/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "livedata/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static struct arena *a;
static struct err err;
static char shown[4096];

/* Parameters as "name=value" pairs; "name" alone is null. */
static bool lookup(void *ctx, struct str name, struct str *ret)
{
	for (const char *const *p = ctx; *p; p++) {
		struct str pair = str_of(*p), key = str_cut(&pair, '=');

		if (str_eq(key, name)) {
			*ret = pair;
			return true;
		}
	}
	return false;
}

static int render(const char *text, enum datasource_dialect dialect, bool prepared, const char *const *params)
{
	struct livedata_template *t;
	struct livedata_statement s;
	size_t n;

	err = (struct err){0};
	int code = livedata_template_parse(str_of(text), dialect, prepared, a, &t, &err);

	if (!code)
		code = livedata_template_render(t, lookup, (void *)(uintptr_t)params, a, &s, &err);
	if (code)
		return code;
	n = (size_t)snprintf(shown, sizeof(shown), "%.*s", STR_FMT(s.sql));
	for (size_t i = 0; i < s.n_params; i++)
		n += (size_t)snprintf(shown + n, sizeof(shown) - n, "|%.*s", (int)(s.params[i].p ? s.params[i].n : 4),
		                      s.params[i].p ? s.params[i].p : "NULL");
	return 0;
}

#define P(...) ((const char *const[]){__VA_ARGS__, NULL})
#define CHECK(dialect, text, params, want)                                         \
	do {                                                                           \
		assert_int_equal(render(text, DATASOURCE_##dialect, false, params), 0);    \
		assert_string_equal(shown, want);                                          \
	} while (0)
#define PREPARED(dialect, text, params, want)                                      \
	do {                                                                           \
		assert_int_equal(render(text, DATASOURCE_##dialect, true, params), 0);     \
		assert_string_equal(shown, want);                                          \
	} while (0)
#define REFUSED(dialect, text, params, code)                                       \
	assert_int_equal(render(text, DATASOURCE_##dialect, false, params), code)

static void test_literals_are_bound(void **state)
{
	CHECK(MYSQL, "select * from t where name='${n}'", P("n=x' or 1=1"), "select * from t where name=?|x' or 1=1");
	CHECK(POSTGRESQL, "where name like '%${n}%'", P("n=o'b"), "where name like ?|%o'b%");
	CHECK(SQLITE, "where a='it''s ${n}' and b = '${m}'", P("n=1", "m="), "where a=? and b = ?|it's 1|");
	CHECK(MYSQL, "where a='\\%\\n\\'${n}'", P("n=\\"), "where a=?|\\%\n'\\");
	CHECK(MYSQL, "where a=\"${n}\"", P("n=x"), "where a=?|x");
	CHECK(MYSQL, "insert into t values ('${a}', ${b}), ('c', ${c})", P("a=1", "b=2", "c=-3.5e2"),
	      "insert into t values (?, 2), ('c', (-3.5e2))|1");
	CHECK(POSTGRESQL, "select '${x}'::int", P("x=5"), "select ?::int|5");
	CHECK(SQLITE, "a = '${x}'", P("x"), "a = ?|NULL");
}

static void test_escaped_where_nothing_binds(void **state)
{
	CHECK(POSTGRESQL, "select date '${d}'", P("d=2024-01-01' or '"), "select date '2024-01-01'' or '''");
	CHECK(POSTGRESQL, "select E'a\\n${x}'", P("x=\\' --"), "select E'a\\n\\\\'' --'");
	CHECK(POSTGRESQL, "select \"${c}\" from t", P("c=a\"b"), "select \"a\"\"b\" from t");
	CHECK(MYSQL, "select `${c}` from t", P("c=a`b"), "select `a``b` from t");
	CHECK(MYSQL, "select N'${c}'", P("c=\\' or 1"), "select N'\\\\'' or 1'");
	CHECK(POSTGRESQL, "select $$ ${x} $$", P("x=a'b"), "select $$ a'b $$");
	REFUSED(POSTGRESQL, "select $$ ${x} $$", P("x=$$; drop"), ERR_APPIA_0400_PARAMETER_INVALID);
}

static void test_values_are_checked(void **state)
{
	static const char *const bad[] = {
		"v=1 or 1=1", "v=1;drop table t", "v=abc", "v='a' or 'b'", "v=",   "v='\\'",
		"v=1--",      "v=0x10",           "v=1e",  "v=.",          "v='a", "v=sleep(5)",
		"v=/**/1"};

	CHECK(POSTGRESQL, "where id=${id}", P("id=7"), "where id=?|7");
	CHECK(POSTGRESQL, "where id=${id}", P("id=99999999999"), "where id=99999999999");
	CHECK(SQLITE, "where id=${id}", P("id=7"), "where id=7");
	CHECK(MYSQL, "where a=${v}", P("v='x''y'"), "where a='x''y'");
	CHECK(MYSQL, "where a=${v}", P("v=null"), "where a=null");
	CHECK(MYSQL, "where a -${v}", P("v=-1"), "where a -(-1)");
	CHECK(MYSQL, "limit '${l}' offset ${o}", P("l=10", "o=5"), "limit 10 offset 5");
	CHECK(MYSQL, "where a between ${x} and ${y} and ${z}", P("x=1", "y=2", "z=b = 3"),
	      "where a between 1 and 2 and b = 3");
	CHECK(MYSQL, "call p(${x}, '${y}')", P("x=1", "y=2"), "call p(1, ?)|2");
	CHECK(MYSQL, "where id in (${ids})", P("ids=1, 2,'a,b'"), "where id in (1,2,'a,b')");
	CHECK(MYSQL, "where id in (${ids})", P("ids=[1,2]"), "where id in (1,2)");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		REFUSED(MYSQL, "where id=${v}", P(bad[i]), ERR_APPIA_0400_PARAMETER_INVALID);
		REFUSED(MYSQL, "limit ${v}", P(bad[i]), ERR_APPIA_0400_PARAMETER_INVALID);
		REFUSED(MYSQL, "limit '${v}'", P(bad[i]), ERR_APPIA_0400_PARAMETER_INVALID);
		REFUSED(MYSQL, "where id in (${v})", P(bad[i]), ERR_APPIA_0400_PARAMETER_INVALID);
		REFUSED(MYSQL, "insert into t values(1,${v})", P(bad[i]), ERR_APPIA_0400_PARAMETER_INVALID);
	}
	REFUSED(MYSQL, "where id in (${v})", P("v=1) or (1=1"), ERR_APPIA_0400_PARAMETER_INVALID);
	REFUSED(MYSQL, "where id in (${v})", P("v=1,,2"), ERR_APPIA_0400_PARAMETER_INVALID);
}

static void test_names_are_inserted_and_warned_about(void **state)
{
	struct livedata_template *t;
	const struct str *names;

	CHECK(MYSQL, "select ${cols} from ${t} order by ${o}", P("cols=a, b", "t=x", "o=a desc"),
	      "select a, b from x order by a desc");
	CHECK(MYSQL, "select * from t_${x} where ${y}_z = 1", P("x=a", "y=b"), "select * from t_a where b_z = 1");
	assert_int_equal(livedata_template_parse(STR("select '${a}', ${b} from t where c=${d}"), DATASOURCE_MYSQL,
						 false, a, &t, &err),
			 0);
	assert_int_equal(livedata_template_warnings(t, &names), 1);
	assert_true(str_is(names[0], "b"));
}

static void test_optional(void **state)
{
	const char *text = "select * from t where id=${id} [or sex='${sex}'] [and a=${a} [and b=${b}]] end";

	CHECK(SQLITE, text, P("id=1"), "select * from t where id=1   end");
	CHECK(SQLITE, text, P("id=1", "sex=m"), "select * from t where id=1 or sex=?  end|m");
	CHECK(SQLITE, text, P("id=1", "sex"), "select * from t where id=1   end");
	CHECK(SQLITE, text, P("id=1", "b=2"), "select * from t where id=1   end");
	CHECK(SQLITE, text, P("id=1", "a=1", "b=2"), "select * from t where id=1  and a=1 and b=2 end");
	CHECK(POSTGRESQL, "select a[1], ARRAY[${x}], '[${x}]'", P("x=2"), "select a[1], ARRAY[2], ?|[2]");
	REFUSED(SQLITE, text, P("sex=m"), ERR_APPIA_0400_PARAMETER_MISSING);
	assert_non_null(strstr(err.text, "id"));
	CHECK(SQLITE, "a [ b ${x}", P("x=1"), "a [ b 1");
	CHECK(SQLITE, "a ] b", P("x=1"), "a ] b");
}

static void test_prepared(void **state)
{
	PREPARED(MYSQL, "where a like concat('%',${n}) and id=${id} limit ${l}", P("n=x", "id=1 or 1", "l=3"),
	         "where a like concat('%',?) and id=? limit ?|x|1 or 1|3");
	PREPARED(MYSQL, "where a='${n}'", P("n=x"), "where a=?|x");
	PREPARED(MYSQL, "where a=1 [and b=${n}]", P("m=x"), "where a=1 ");
	PREPARED(POSTGRESQL, "a ? 'k' and b=${n}", P("n=x"), "a ?? 'k' and b=?|x");
}

static void test_left_alone(void **state)
{
	CHECK(MYSQL, "select 1 /* ${x} */ -- ${y}\n, '$', '${', ${}", P("x=1"),
	      "select 1 /* ${x} */ -- ${y}\n, '$', '${', ${}");
	REFUSED(MYSQL, "select 'open", P("x=1"), ERR_APPIA_0400);
	REFUSED(MYSQL, "select /* open", P("x=1"), ERR_APPIA_0400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_literals_are_bound), cmocka_unit_test(test_escaped_where_nothing_binds),
		cmocka_unit_test(test_values_are_checked), cmocka_unit_test(test_names_are_inserted_and_warned_about),
		cmocka_unit_test(test_optional), cmocka_unit_test(test_prepared), cmocka_unit_test(test_left_alone),
	};

	a = arena_new(SIZE_MAX / 2);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	arena_free(a);
	return failed;
}
