/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/api_priv.h"

/* Parameters: see read_page(). Each condition holds when its parameter is absent. */
#define WHERE                                                                                                          \
	" FROM api a JOIN api_group g ON g.id = a.group_id JOIN app p ON p.id = a.app_id WHERE a.instance_id = ?"      \
	" AND (CAST(? AS TEXT) IS NULL OR a.id = ?)"                                                                   \
	" AND (CAST(? AS TEXT) IS NULL OR a.name = ?)"                                                                 \
	" AND LOWER(a.name) LIKE ? ESCAPE '\\'"                                                                        \
	" AND (CAST(? AS TEXT) IS NULL OR a.group_id = ?)"                                                             \
	" AND (CAST(? AS TEXT) IS NULL OR a.req_protocol = ?)"                                                         \
	" AND (CAST(? AS TEXT) IS NULL OR a.req_method = ?)"                                                           \
	" AND (CAST(? AS TEXT) IS NULL OR a.req_uri = ?)"                                                              \
	" AND LOWER(a.req_uri) LIKE ? ESCAPE '\\'"                                                                     \
	" AND (CAST(? AS TEXT) IS NULL OR a.auth_type = ?)"                                                            \
	" AND (CAST(? AS TEXT) IS NULL OR EXISTS"                                                                      \
	" (SELECT 1 FROM api_publish x WHERE x.api_id = a.id AND x.env_id = ?))"                                       \
	" AND (CAST(? AS BIGINT) IS NULL OR a.type = ?)"                                                               \
	" AND (CAST(? AS TEXT) IS NULL OR a.vpc_channel_id = ?)"                                                       \
	" AND (CAST(? AS TEXT) IS NULL OR a.app_id = ?)"                                                               \
	" AND LOWER(p.name) LIKE ? ESCAPE '\\'" APP_VISIBLE("a.app_id")
#define WHERE_TYPES "sssssssssssssssssssnnssssssss"

struct filter {
	struct str id, name, name_like, group, protocol, method, uri, uri_like, auth, env, channel, app, app_like, user;
	const int64_t *type;
};

/* clang-format off */
#define WHERE_ARGS(f, instance) \
	instance, (f)->id, (f)->id, (f)->name, (f)->name, (f)->name_like, (f)->group, (f)->group, (f)->protocol, \
	(f)->protocol, (f)->method, (f)->method, (f)->uri, (f)->uri, (f)->uri_like, (f)->auth, (f)->auth, (f)->env, \
	(f)->env, (f)->type, (f)->type, (f)->channel, (f)->channel, (f)->app, (f)->app, (f)->app_like, (f)->user, \
	(f)->user, (f)->user
/* clang-format on */

static struct str given(struct str s)
{
	return str_empty(s) ? STR_NONE : s;
}

/* precise_search: names of the parameters that are compared exactly, separated by commas. */
static bool precise(struct str list, const char *name)
{
	while (list.p)
		if (str_is(str_trim(str_cut(&list, ',')), name))
			return true;
	return false;
}

static int check_precise(struct model *m, struct str list)
{
	list = given(list);
	while (list.p) {
		struct str name = str_trim(str_cut(&list, ','));

		if (!str_is(name, "name") && !str_is(name, "req_uri") && !str_is(name, "vpc_channel_name"))
			return err_set_text(
				&m->err, ERR_APIG_2012,
				"Invalid parameter value,parameterName:precise_search. It lists name, req_uri and "
				"vpc_channel_name.");
	}
	return 0;
}

static struct filter filter_of(struct model *m, const struct apic_list_apis_in *in)
{
	bool exact_name = precise(in->precise_search, "name"), exact_uri = precise(in->precise_search, "req_uri");

	return (struct filter){
		.id = given(in->id),
		.name = exact_name ? given(in->name) : STR_NONE,
		.name_like = store_like(m->arena, exact_name ? STR_NONE : given(in->name)),
		.group = given(in->group_id),
		.protocol = given(in->req_protocol),
		.method = given(in->req_method),
		.uri = exact_uri ? given(in->req_uri) : STR_NONE,
		.uri_like = store_like(m->arena, exact_uri ? STR_NONE : given(in->req_uri)),
		.auth = given(in->auth_type),
		.env = given(in->env_id),
		/* A channel's name stands for channels nobody has yet. */
		.channel = str_empty(in->vpc_channel_id) ? given(in->vpc_channel_name) : in->vpc_channel_id,
		.app = given(in->roma_app_id),
		.app_like = store_like(m->arena, given(in->roma_app_name)),
		.user = app_visible_user(m),
		.type = in->has_type ? &in->type : NULL,
	};
}

/* Lists show neither back ends nor parameters. */
static void show_row(struct model *m, struct store_rows *rows, struct apic_api *out)
{
	const struct apic_api *def = store_doc(rows, 0, &doc_apic_api, m->arena);
	struct str ld = store_str(rows, 6, m->arena);

	*out = *def;
	out->id = store_str(rows, 1, m->arena);
	out->group_id = store_str(rows, 2, m->arena);
	out->group_name = store_str(rows, 3, m->arena);
	out->group_version = store_str(rows, 4, m->arena);
	out->roma_app_name = store_str(rows, 5, m->arena);
	out->ld_api_id = ld.p ? ld : STR("");
	out->register_time = api__time(m, store_int(rows, 7));
	out->update_time = api__time(m, store_int(rows, 8));
	out->roma_app_id = store_str(rows, 9, m->arena);
	out->backend_api = NULL;
	out->mock_info = NULL;
	out->func_info = NULL;
	out->req_params = (struct apic_req_param_array){NULL, 0};
	out->backend_params = (struct apic_backend_param_array){NULL, 0};
	out->policy_https = (struct apic_policy_http_array){NULL, 0};
	out->policy_mocks = (struct apic_policy_mock_array){NULL, 0};
	out->policy_functions = (struct apic_policy_function_array){NULL, 0};
}

static int read_page(struct model *m, const struct filter *f, struct str instance_id, int64_t offset, int64_t limit,
		     struct apic_api_array *ret)
{
	struct store_rows *rows;
	size_t n = 0;
	struct apic_api *list = ARENA_ARRAY(m->arena, struct apic_api, (size_t)limit + 1);
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT a.doc, a.id, a.group_id, g.name, g.version, p.name, a.ld_api_id, a.created_ms,"
			     " a.updated_ms, a.app_id" WHERE " ORDER BY a.created_ms DESC, a.id LIMIT ? OFFSET ?",
			     WHERE_TYPES "ii", WHERE_ARGS(f, instance_id), limit, offset);

	if (rc)
		return rc;
	while (n < (size_t)limit && store_next(rows))
		show_row(m, rows, &list[n++]);
	*ret = (struct apic_api_array){list, n};
	return store_done(&rows, &m->err);
}

int api_list(struct model *m, const struct apic_list_apis_in *in, struct apic_api_list *ret)
{
	struct filter f = filter_of(m, in);
	int64_t total = 0, offset = in->has_offset && in->offset > 0 ? in->offset : 0;
	int rc = check_precise(m, in->precise_search);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &total, NULL, "SELECT COUNT(*)" WHERE, WHERE_TYPES,
				   WHERE_ARGS(&f, in->instance_id));
	if (rc == 0)
		rc = read_page(m, &f, in->instance_id, offset, in->has_limit ? in->limit : 20, &ret->apis);
	for (size_t i = 0; rc == 0 && i < ret->apis.n; i++)
		rc = api__reply_publications(m, ret->apis.v[i].id, &ret->apis.v[i]);
	if (rc)
		return rc;
	SET(ret, total, total);
	SET(ret, size, (int64_t)ret->apis.n);
	return 0;
}
