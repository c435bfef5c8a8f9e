/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/app_auth.h"

#include "model/apic/list.h"

#define MAX_DUPLICATES 1000

struct filter {
	struct str instance_id, app_id, app_like, api_id, api_like, group_id, group_like, env_id, user;
};

/* Who may see the API or the app may see that the one may call the other. */
/* clang-format off */
#define AUTHS \
	" FROM app_auth x JOIN api a ON a.id = x.api_id JOIN api_group g ON g.id = a.group_id" \
	" JOIN app p ON p.id = x.app_id JOIN api_env e ON e.instance_id = x.instance_id AND e.id = x.env_id" \
	" LEFT JOIN api_publish u ON u.api_id = x.api_id AND u.env_id = x.env_id WHERE x.instance_id = ?" \
	APIC_EQUALS("x.app_id") " AND LOWER(p.name) LIKE ? ESCAPE '\\'" \
	APIC_EQUALS("x.api_id") " AND LOWER(a.name) LIKE ? ESCAPE '\\'" \
	APIC_EQUALS("a.group_id") " AND LOWER(g.name) LIKE ? ESCAPE '\\'" APIC_EQUALS("x.env_id") \
	" AND ((1 = 1" APP_VISIBLE("a.app_id") ") OR (1 = 1" APP_VISIBLE("x.app_id") "))"
#define AUTHS_TYPES "ssssssssssssssssss"
#define AUTHS_ARGS(f) \
	(f)->instance_id, (f)->app_id, (f)->app_id, (f)->app_like, (f)->api_id, (f)->api_id, (f)->api_like, \
	(f)->group_id, (f)->group_id, (f)->group_like, (f)->env_id, (f)->env_id, \
	(f)->user, (f)->user, (f)->user, (f)->user, (f)->user, (f)->user
/* clang-format on */

static struct str text(struct str s)
{
	return s.p ? s : STR("");
}

static struct str_array present(struct model *m, struct str_array list)
{
	if (!list.v)
		list.v = ARENA_NEW(m->arena, struct str);
	return list;
}

static void read_auth(struct model *m, struct store_rows *rows, struct apic_api_auth *ret)
{
	const struct apic_api *api = store_doc(rows, 5, &doc_apic_api, m->arena);
	const struct apic_api_auth *doc = store_doc(rows, 14, &doc_apic_api_auth, m->arena);

	if (doc)
		*ret = *doc;
	ret->id = store_str(rows, 0, m->arena);
	ret->api_id = store_str(rows, 1, m->arena);
	ret->api_name = store_str(rows, 2, m->arena);
	ret->group_name = store_str(rows, 3, m->arena);
	SET(ret, api_type, store_int(rows, 4));
	ret->api_remark = api ? text(api->remark) : STR("");
	ret->env_id = store_str(rows, 6, m->arena);
	ret->auth_time = api__time(m, store_int(rows, 7));
	ret->app_name = store_str(rows, 8, m->arena);
	ret->app_remark = store_str(rows, 9, m->arena);
	ret->publish_id = text(store_str(rows, 10, m->arena));
	ret->group_id = store_str(rows, 11, m->arena);
	ret->env_name = store_str(rows, 12, m->arena);
	ret->app_id = store_str(rows, 13, m->arena);
	ret->app_type = STR("roma");
	ret->app_creator = STR("USER");
	ret->roma_app_type = STR("integration");
	ret->auth_whitelist = present(m, ret->auth_whitelist);
	ret->auth_blacklist = present(m, ret->auth_blacklist);
}

static int list_auths(struct model *m, const struct filter *f, struct apic_page page, struct apic_api_auth_list *ret)
{
	struct store_rows *rows;
	int64_t total;
	int rc = store_get_int(m->tx, &m->err, &total, NULL, "SELECT COUNT(*)" AUTHS, AUTHS_TYPES, AUTHS_ARGS(f));

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 "SELECT x.id, x.api_id, a.name, g.name, a.type, a.doc, x.env_id, x.created_ms, p.name,"
				 " p.remark, u.id, a.group_id, e.name, x.app_id, x.doc" AUTHS
				 " ORDER BY x.created_ms DESC, x.id LIMIT ? OFFSET ?",
				 AUTHS_TYPES "ii", AUTHS_ARGS(f), page.limit, page.offset);
	if (rc)
		return rc;
	ret->auths.v = ARENA_ARRAY(m->arena, struct apic_api_auth, (size_t)page.limit);
	while (ret->auths.n < (size_t)page.limit && store_next(rows))
		read_auth(m, rows, &ret->auths.v[ret->auths.n++]);
	SET(ret, total, total);
	SET(ret, size, (int64_t)ret->auths.n);
	return store_done(&rows, &m->err);
}

int apic_auth_list_apis(struct model *m, const struct apic_list_apis_binded_to_app_in *in,
			struct apic_api_auth_list *ret)
{
	struct filter f = {
		.instance_id = in->instance_id,
		.app_id = in->app_id,
		.app_like = store_like(m->arena, STR_NONE),
		.api_id = apic_given(in->api_id),
		.api_like = store_like(m->arena, apic_given(in->api_name)),
		.group_id = apic_given(in->group_id),
		.group_like = store_like(m->arena, apic_given(in->group_name)),
		.env_id = apic_given(in->env_id),
		.user = app_visible_user(m),
	};
	int rc = apic_app_check(m, in->instance_id, in->app_id, APP_READ);

	return rc ? rc : list_auths(m, &f, APIC_PAGE(in), ret);
}

static int check_api(struct model *m, struct str instance_id, struct str api_id)
{
	struct str app_id;
	bool found;
	int rc = store_get_str(m->tx, &m->err, m->arena, &app_id, &found,
			       "SELECT app_id FROM api WHERE id = ? AND instance_id = ?", "ss", api_id, instance_id);

	if (rc == 0 && !found)
		return err_set_text(&m->err, ERR_APIG_3002, "API %.*s does not exist", STR_FMT(api_id));
	return rc ? rc : api__allow(m, instance_id, app_id, APP_READ);
}

int apic_auth_list_apps(struct model *m, const struct apic_list_apps_binded_to_api_in *in,
			struct apic_api_auth_list *ret)
{
	struct filter f = {
		.instance_id = in->instance_id,
		.app_id = apic_given(in->app_id),
		.app_like = store_like(m->arena, apic_given(in->app_name)),
		.api_id = apic_given(in->api_id),
		.api_like = store_like(m->arena, STR_NONE),
		.group_like = store_like(m->arena, STR_NONE),
		.env_id = apic_given(in->env_id),
		.user = app_visible_user(m),
	};
	int rc = f.api_id.p ? check_api(m, in->instance_id, f.api_id) : 0;

	return rc ? rc : list_auths(m, &f, APIC_PAGE(in), ret);
}

#define UNBOUND                                                                                                        \
	" FROM api a JOIN api_group g ON g.id = a.group_id"                                                            \
	" LEFT JOIN api_publish u ON u.api_id = a.id AND u.env_id = ?"                                                 \
	" LEFT JOIN api_env e ON e.instance_id = u.instance_id AND e.id = u.env_id"                                    \
	" WHERE a.instance_id = ? AND a.auth_type = 'APP'" APIC_EQUALS("a.group_id")                                   \
		APIC_EQUALS("a.id") " AND LOWER(a.name) LIKE ? ESCAPE '\\' AND NOT EXISTS"                             \
				    " (SELECT 1 FROM app_auth x WHERE x.api_id = a.id AND x.env_id = ? AND x.app_id "  \
				    "= ?)" APP_VISIBLE("a.app_id")
#define UNBOUND_TYPES "ssssssssssss"
/* clang-format off */
#define UNBOUND_ARGS \
	in->env_id, in->instance_id, group, group, api, api, like, in->env_id, in->app_id, user, user, user
/* clang-format on */

static void read_outline(struct model *m, struct store_rows *rows, struct apic_api_outline *ret)
{
	const struct apic_api *api = store_doc(rows, 9, &doc_apic_api, m->arena);

	ret->id = store_str(rows, 0, m->arena);
	ret->name = store_str(rows, 1, m->arena);
	ret->auth_type = store_str(rows, 2, m->arena);
	ret->group_id = store_str(rows, 3, m->arena);
	ret->group_name = store_str(rows, 4, m->arena);
	ret->publish_id = text(store_str(rows, 5, m->arena));
	ret->run_env_id = text(store_str(rows, 6, m->arena));
	ret->run_env_name = text(store_str(rows, 7, m->arena));
	ret->req_uri = store_str(rows, 8, m->arena);
	ret->remark = api ? text(api->remark) : STR("");
}

int apic_auth_list_unbound(struct model *m, const struct apic_list_apis_unbinded_to_app_in *in,
			   struct apic_api_outline_list *ret)
{
	struct str group = apic_given(in->group_id), api = apic_given(in->api_id), user = app_visible_user(m);
	struct str like = store_like(m->arena, apic_given(in->api_name));
	struct apic_page page = APIC_PAGE(in);
	struct store_rows *rows;
	int64_t total;
	int rc = apic_app_check(m, in->instance_id, in->app_id, APP_READ);

	if (rc == 0)
		rc = apic_env_check(m, in->instance_id, in->env_id, NULL);
	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &total, NULL, "SELECT COUNT(*)" UNBOUND, UNBOUND_TYPES,
				   UNBOUND_ARGS);
	if (rc == 0)
		rc = store_query(
			m->tx, &m->err, &rows,
			"SELECT a.id, a.name, a.auth_type, a.group_id, g.name, u.id, u.env_id, e.name, a.req_uri,"
			" a.doc" UNBOUND " ORDER BY a.created_ms DESC, a.id LIMIT ? OFFSET ?",
			UNBOUND_TYPES "ii", UNBOUND_ARGS, page.limit, page.offset);
	if (rc)
		return rc;
	ret->apis.v = ARENA_ARRAY(m->arena, struct apic_api_outline, (size_t)page.limit);
	while (ret->apis.n < (size_t)page.limit && store_next(rows))
		read_outline(m, rows, &ret->apis.v[ret->apis.n++]);
	SET(ret, total, total);
	SET(ret, size, (int64_t)ret->apis.n);
	return store_done(&rows, &m->err);
}

/* Twice the same route is more than one row of its group in mine. */
#define DUPLICATES                                                                                                     \
	"WITH mine AS (SELECT a.id, a.req_method, a.req_uri, a.match_mode FROM api a WHERE a.instance_id = ?"          \
	" AND (a.app_id = ? OR EXISTS (SELECT 1 FROM app_auth x WHERE x.api_id = a.id AND x.app_id = ?))),"            \
	" twice AS (SELECT req_method, req_uri, match_mode FROM mine GROUP BY req_method, req_uri, match_mode"         \
	" HAVING COUNT(*) > 1)"                                                                                        \
	" SELECT a.req_method, a.req_uri, a.match_mode, a.id, a.name, g.id, g.name, a.app_id, a.doc FROM twice t"      \
	" JOIN mine n ON n.req_method = t.req_method AND n.req_uri = t.req_uri AND n.match_mode = t.match_mode"        \
	" JOIN api a ON a.id = n.id JOIN api_group g ON g.id = a.group_id"                                             \
	" ORDER BY a.req_uri, a.req_method, a.match_mode, a.created_ms, a.id LIMIT ?"

static void add_duplicate(struct model *m, struct store_rows *rows, struct str app_id, struct apic_duplicate_api *all,
			  size_t at, struct apic_api_duplication_list *ret)
{
	struct apic_api_duplication *last = ret->apis.n ? &ret->apis.v[ret->apis.n - 1] : NULL;
	struct str method = store_str(rows, 0, m->arena), uri = store_str(rows, 1, m->arena);
	struct str mode = store_str(rows, 2, m->arena);
	const struct apic_api *api = store_doc(rows, 8, &doc_apic_api, m->arena);

	if (!last || !str_eq(last->req_method, method) || !str_eq(last->req_uri, uri) ||
	    !str_eq(last->match_mode, mode)) {
		last = &ret->apis.v[ret->apis.n++];
		*last = (struct apic_api_duplication){
			.req_method = method, .req_uri = uri, .match_mode = mode, .duplicated_apis = {&all[at], 0}};
	}
	last->duplicated_apis.n++;
	all[at] = (struct apic_duplicate_api){
		.api_id = store_str(rows, 3, m->arena),
		.api_name = store_str(rows, 4, m->arena),
		.group_id = store_str(rows, 5, m->arena),
		.group_name = store_str(rows, 6, m->arena),
		.api_type = str_eq(store_str(rows, 7, m->arena), app_id) ? STR("self-owned") : STR("authorized"),
		.remark = api ? text(api->remark) : STR(""),
	};
}

int apic_auth_list_duplicates(struct model *m, struct str instance_id, struct str app_id,
			      struct apic_api_duplication_list *ret)
{
	struct store_rows *rows;
	int rc = apic_app_check(m, instance_id, app_id, APP_READ);

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows, DUPLICATES, "sssi", instance_id, app_id, app_id,
				 (int64_t)MAX_DUPLICATES);
	if (rc)
		return rc;
	struct apic_duplicate_api *all = ARENA_ARRAY(m->arena, struct apic_duplicate_api, MAX_DUPLICATES);

	ret->apis.v = ARENA_ARRAY(m->arena, struct apic_api_duplication, MAX_DUPLICATES);
	for (size_t at = 0; at < MAX_DUPLICATES && store_next(rows); at++)
		add_duplicate(m, rows, app_id, all, at, ret);
	SET(ret, total, (int64_t)ret->apis.n);
	SET(ret, size, (int64_t)ret->apis.n);
	return store_done(&rows, &m->err);
}
