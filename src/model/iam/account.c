/* SPDX-License-Identifier: Apache-2.0 */
#include "model/iam/account.h"

#include "base/clock.h"
#include "base/mem.h"

/* The bits of the built-in groups are distinct powers of two. */
#define COLUMNS                                                                                                        \
	"SELECT u.id, u.name, u.domain_id, d.name, u.description, u.access_mode, u.email, u.areacode, u.phone,"        \
	" u.xuser_type, u.xuser_id, u.password_hash, u.password_strength, u.enabled, u.owner, u.change_password,"      \
	" CAST((SELECT COALESCE(SUM(DISTINCT g.roles), 0) FROM iam_group g JOIN iam_group_user gu ON gu.group_id = "   \
	"g.id"                                                                                                         \
	" WHERE gu.user_id = u.id) AS BIGINT), u.password_ms, u.tokens_after_ms, u.last_login_ms, u.failing_since_ms," \
	" u.locked_until_ms, u.created_ms, u.updated_ms, u.failures"                                                   \
	" FROM iam_user u JOIN iam_domain d ON d.id = u.domain_id"

static void read_account(struct model *m, struct store_rows *rows, struct iam_account *a)
{
	struct str *texts[] = {
		&a->id,          &a->name,          &a->domain_id,        &a->domain_name, &a->description,
		&a->access_mode, &a->email,         &a->areacode,         &a->phone,       &a->xuser_type,
		&a->xuser_id,    &a->password_hash, &a->password_strength};
	int64_t *numbers[] = {&a->password_ms,     &a->tokens_after_ms, &a->last_login_ms, &a->failing_since_ms,
			      &a->locked_until_ms, &a->created_ms,      &a->updated_ms,    &a->failures};
	int col = 0;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		*texts[i] = store_str(rows, col++, m->arena);
	a->enabled = store_int(rows, col++);
	a->owner = store_int(rows, col++);
	a->change_password = store_int(rows, col++);
	a->roles = (unsigned)store_int(rows, col++);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		*numbers[i] = store_int(rows, col++);
}

/* The only row, if there is exactly one. */
static int read_only(struct model *m, struct store_rows *rows, struct iam_account *ret, bool *ret_found)
{
	struct iam_account a = {0};
	size_t n = 0;

	for (; store_next(rows); n++)
		read_account(m, rows, &a);
	*ret_found = n == 1;
	if (n == 1)
		*ret = a;
	return store_done(&rows, &m->err);
}

int iam_account_by_id(struct model *m, struct str id, struct iam_account *ret, bool *ret_found)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, COLUMNS " WHERE u.id = ?", "s", id);

	return rc ? rc : read_only(m, rows, ret, ret_found);
}

int iam_account_by_name(struct model *m, struct str name, struct str domain_id, struct str domain_name,
			struct iam_account *ret, bool *ret_found)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     COLUMNS " WHERE u.name = ? AND d.id = COALESCE(?, d.id) AND d.name = COALESCE(?, d.name)",
			     "sss", name, domain_id, domain_name);

	return rc ? rc : read_only(m, rows, ret, ret_found);
}

int iam_place_find(struct model *m, struct str domain_id, struct str id, struct str name, struct iam_place *ret,
		   bool *ret_found)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT id, name, domain_id, enabled FROM project WHERE domain_id = ?"
			     " AND id = COALESCE(?, id) AND name = COALESCE(?, name) ORDER BY created_ms, id LIMIT 1",
			     "sss", domain_id, id, id.p ? STR_NONE : name);

	if (rc)
		return rc;
	*ret_found = store_next(rows);
	if (*ret_found)
		*ret = (struct iam_place){store_str(rows, 0, m->arena), store_str(rows, 1, m->arena),
					  store_str(rows, 2, m->arena), store_int(rows, 3)};
	return store_done(&rows, &m->err);
}

struct iam_links *iam_links_self(struct model *m, const char *fmt, ...)
{
	struct iam_links *links = ARENA_NEW(m->arena, struct iam_links);
	va_list ap;

	va_start(ap, fmt);
	struct str path = arena_vfmt(m->arena, fmt, ap);

	va_end(ap);
	links->self = arena_fmt(m->arena, "%.*s%.*s", STR_FMT(m->settings->management_url), STR_FMT(path));
	return links;
}

struct str iam_time(struct model *m, int64_t ms)
{
	char buf[CLOCK_ISO_SIZE];
	struct str s = clock_iso_ms(ms, buf);

	return ms ? arena_fmt(m->arena, "%.*s000Z", (int)s.n - 1, s.p) : STR_NONE;
}
