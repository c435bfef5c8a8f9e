/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/app.h"

#include "model/apic/list.h"
#include "sign/sign.h"

#define COLUMNS                                                                                                        \
	"SELECT p.id, p.name, p.remark, p.key, p.secret_sealed, p.created_ms, p.updated_ms,"                           \
	" (SELECT COUNT(DISTINCT x.api_id) FROM app_auth x WHERE x.app_id = p.id)"

/* "416*****ab8": enough to recognise it. */
static struct str masked(struct arena *a, struct str secret)
{
	size_t show = secret.n >= 16 ? 3 : 0;

	return arena_fmt(a, "%.*s*****%.*s", (int)show, secret.p, (int)show, secret.p + secret.n - show);
}

static int read_app(struct model *m, struct store_rows *rows, struct apic_app *ret)
{
	struct str secret;

	ret->id = store_str(rows, 0, m->arena);
	ret->name = store_str(rows, 1, m->arena);
	ret->remark = store_str(rows, 2, m->arena);
	ret->app_key = store_str(rows, 3, m->arena);
	ret->register_time = api__time(m, store_int(rows, 5));
	ret->update_time = api__time(m, store_int(rows, 6));
	SET(ret, bind_num, store_int(rows, 7));
	SET(ret, status, 1);
	ret->creator = STR("USER");
	ret->app_type = STR("roma");
	ret->roma_app_type = STR("integration");
	if (!sign_open(m->arena, m->keys, APP_SEAL_SECRET, store_str(rows, 4, m->arena), &secret))
		return err_set(&m->err, ERR_APPIA_0500, "the secret of an application cannot be opened");
	ret->app_secret = masked(m->arena, secret);
	return 0;
}

int apic_app_show(struct model *m, struct str instance_id, struct str app_id, struct apic_app *ret)
{
	struct store_rows *rows;
	/* The reference documents ERR_APIG_3002 here, the code of unknown APIs. */
	int rc = apic_app_allow(m, instance_id, app_id, APP_READ, ERR_APIG_3002, ERR_APIG_1104);
	int bad = 0;

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows, COLUMNS " FROM app p WHERE p.id = ?", "s", app_id);
	if (rc)
		return rc;
	if (store_next(rows))
		bad = read_app(m, rows, ret);
	ret->has_bind_num = false; /* only lists have it */
	rc = store_done(&rows, &m->err);
	return rc ? rc : bad;
}

/* Every application is valid: status 1. */
#define FILTER                                                                                                         \
	" FROM app p WHERE p.instance_id = ?" APIC_EQUALS("p.id") APIC_EQUALS("p.key")                                 \
		APIC_MATCH("p.name") " AND (CAST(? AS BIGINT) IS NULL OR ? = 1)" APP_VISIBLE("p.id")
#define FILTER_TYPES "ssssssssnnsss"
/* clang-format off */
#define FILTER_ARGS \
	in->instance_id, id, id, key, key, name.exact, name.exact, name.like, status, status, user, user, user
/* clang-format on */

int apic_app_list_by(struct model *m, const struct apic_list_apps_in *in, struct apic_app_list *ret)
{
	struct str id = apic_given(in->id), key = apic_given(in->app_key), user = app_visible_user(m);
	struct apic_match name = apic_match_of(m, in->name, in->precise_search, "name");
	const int64_t *status = in->has_status ? &in->status : NULL;
	struct apic_page page = APIC_PAGE(in);
	struct store_rows *rows;
	int64_t total;
	int bad = 0;
	int rc = store_get_int(m->tx, &m->err, &total, NULL, "SELECT COUNT(*)" FILTER, FILTER_TYPES, FILTER_ARGS);

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 COLUMNS FILTER " ORDER BY p.created_ms DESC, p.id LIMIT ? OFFSET ?", FILTER_TYPES "ii",
				 FILTER_ARGS, page.limit, page.offset);
	if (rc)
		return rc;
	ret->apps.v = ARENA_ARRAY(m->arena, struct apic_app, (size_t)page.limit);
	while (bad == 0 && ret->apps.n < (size_t)page.limit && store_next(rows))
		bad = read_app(m, rows, &ret->apps.v[ret->apps.n++]);
	SET(ret, total, total);
	SET(ret, size, (int64_t)ret->apps.n);
	rc = store_done(&rows, &m->err);
	return rc ? rc : bad;
}
