/* SPDX-License-Identifier: Apache-2.0 */
#include "datasource/lex.h"
#include "livedata/template.h"

#include <stdint.h>
#include <stdlib.h>

/* First byte: dialect and mode; then the value of every parameter up to a NUL; then the script. What is rendered from
 * a script without textual parameters must split into as many statements as the script does with a harmless value. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lookup(void *ctx, struct str name, struct str *ret)
{
	*ret = *(struct str *)ctx;
	return true;
}

static size_t statements(struct str sql, enum datasource_dialect dialect)
{
	struct lex lex = {.sql = sql, .dialect = dialect};
	struct lex_token t;
	size_t n = 0;

	while ((t = datasource_lex_next(&lex)).kind != LEX_END)
		n += t.kind == LEX_OTHER && t.text.p[0] == ';' ? 1 : 0;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str all = {(const char *)data + 1, size ? size - 1 : 0}, harmless = STR("1");
	struct livedata_statement one, two;
	struct livedata_template *t;
	const struct str *names;

	if (size < 2 || size > 4096 || !memchr(all.p, 0, all.n))
		return 0;
	enum datasource_dialect dialect = (enum datasource_dialect)(data[0] % 3);
	struct str value = str_cut(&all, 0);
	struct arena *a = arena_new((size_t)1 << 30);

	if (livedata_template_parse(all, dialect, data[0] & 64, a, &t, NULL) == 0 &&
	    livedata_template_render(t, lookup, &value, a, &one, NULL) == 0 &&
	    livedata_template_warnings(t, &names) == 0 &&
	    livedata_template_render(t, lookup, &harmless, a, &two, NULL) == 0 &&
	    statements(one.sql, dialect) != statements(two.sql, dialect))
		abort();
	arena_free(a);
	return 0;
}
