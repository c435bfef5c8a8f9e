/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/group.h"

#include "base/rnd.h"
#include "model/apic/domain.h"
#include "model/apic/env.h"
#include "model/apic/list.h"
#include "model/apic/publish.h"

#define DEFAULT_NAME STR("DEFAULT")

#define TABLES " FROM api_group g LEFT JOIN app p ON p.id = g.app_id WHERE g.instance_id = ?"
#define COLUMNS                                                                                                        \
	"SELECT g.id, g.name, g.remark, g.status, g.is_default, g.sl_domain, g.version, g.app_id, p.name, "            \
	"g.created_ms,"                                                                                                \
	" g.updated_ms" TABLES

static struct str_array one_of(struct model *m, struct str s)
{
	struct str *v = ARENA_NEW(m->arena, struct str);

	*v = s;
	return (struct str_array){v, 1};
}

/* All but the domain names. */
static void read_group(struct model *m, struct store_rows *rows, struct apic_api_group *ret)
{
	ret->id = store_str(rows, 0, m->arena);
	ret->name = store_str(rows, 1, m->arena);
	ret->remark = store_str(rows, 2, m->arena);
	SET(ret, status, store_int(rows, 3));
	SET(ret, is_default, store_int(rows, 4) == 1 ? 1 : 2);
	SET(ret, on_sell_status, 2); /* there is no market */
	ret->sl_domain = store_str(rows, 5, m->arena);
	ret->sl_domains = one_of(m, ret->sl_domain);
	ret->version = store_str(rows, 6, m->arena);
	ret->roma_app_id = store_str(rows, 7, m->arena);
	ret->roma_app_name = store_str(rows, 8, m->arena);
	ret->register_time = api__time(m, store_int(rows, 9));
	ret->update_time = api__time(m, store_int(rows, 10));
}

static int load(struct model *m, struct str instance_id, struct str group_id, struct apic_api_group *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, COLUMNS " AND g.id = ?", "ss", instance_id, group_id);

	if (rc)
		return rc;
	if (store_next(rows))
		read_group(m, rows, ret);
	rc = store_done(&rows, &m->err);
	return rc ? rc : apic_domain_of_group(m, group_id, &ret->url_domains);
}

static int check_name(struct model *m, struct str instance_id, struct str name, struct str except)
{
	bool found;
	int64_t one;
	int rc = store_get_int(m->tx, &m->err, &one, &found,
			       "SELECT 1 FROM api_group WHERE instance_id = ? AND name = ? AND id <> ?", "sss",
			       instance_id, name, except);

	return rc == 0 && found ? err_set(&m->err, ERR_APIG_3201, NULL) : rc;
}

static int check_quota(struct model *m, struct str instance_id)
{
	int64_t n = 0;
	int rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM api_group WHERE instance_id = ?", "s",
			       instance_id);

	return rc == 0 && n >= APIC_MAX_GROUPS ? err_set(&m->err, ERR_APIG_3101, "limit:%d", APIC_MAX_GROUPS) : rc;
}

static int insert(struct model *m, struct str instance_id, struct str app_id, struct str name, struct str remark,
		  bool is_default, struct str *ret_id)
{
	struct str id = rnd_id(m->arena);
	struct str host = arena_fmt(m->arena, "%.*s.%.*s", STR_FMT(id), STR_FMT(m->settings->gateway_domain));
	int rc = store_exec(
		m->tx, &m->err, NULL,
		"INSERT INTO api_group (id, instance_id, app_id, name, remark, status, is_default, sl_domain,"
		" version, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)",
		"sssssissii", id, instance_id, app_id, name, remark.p ? remark : STR(""), (int64_t)(is_default ? 1 : 2),
		host, app_id.p ? STR("V2") : STR("V1"), m->now_ms, m->now_ms);

	if (rc == 0)
		rc = publish_say(m, "host", host, STR_NONE, STR_NONE);
	if (rc == 0 && is_default)
		rc = publish_say(m, "group", id, STR_NONE, STR_NONE);
	if (rc == 0)
		*ret_id = id;
	return rc;
}

/* V2 groups name their application, V1 groups have none. */
static int choose_app(struct model *m, struct str instance_id, const struct apic_api_group *in, struct str *ret)
{
	bool named = !str_empty(in->roma_app_id);

	*ret = apic_given(in->roma_app_id);
	if (str_is(in->version, "V2") && !named)
		return api__missing(m, "roma_app_id");
	if (str_is(in->version, "V1") && named)
		return api__invalid(m, "version", "a group of version V1 belongs to no application");
	return named ? apic_app_allow(m, instance_id, *ret, APP_MODIFY, ERR_APIG_3004, ERR_APIG_1141) : 0;
}

int apic_group_create(struct model *m, struct str instance_id, const struct apic_api_group *in,
		      struct apic_api_group *ret)
{
	struct str app, id;
	int rc = choose_app(m, instance_id, in, &app);

	if (rc == 0)
		rc = check_name(m, instance_id, in->name, STR(""));
	if (rc == 0)
		rc = check_quota(m, instance_id);
	if (rc == 0)
		rc = insert(m, instance_id, app, in->name, in->remark, false, &id);
	return rc ? rc : load(m, instance_id, id, ret);
}

int apic_group_update(struct model *m, struct str instance_id, struct str group_id, const struct apic_api_group *in,
		      struct apic_api_group *ret)
{
	struct api_group_row row;
	int rc = apic_group_get(m, instance_id, group_id, APP_MODIFY, &row);

	if (rc == 0 && row.is_default && !str_eq(in->name, row.name))
		return api__invalid(m, "name", "group DEFAULT keeps its name");
	if (rc == 0)
		rc = check_name(m, instance_id, in->name, group_id);
	if (rc == 0)
		rc = store_exec(
			m->tx, &m->err, NULL,
			"UPDATE api_group SET name = ?, remark = COALESCE(?, remark), updated_ms = ? WHERE id = ?",
			"ssis", in->name, in->remark, m->now_ms, group_id);
	return rc ? rc : load(m, instance_id, group_id, ret);
}

static int refuse_when_used(struct model *m, const struct api_group_row *row)
{
	bool found;
	int64_t one;
	int rc = store_get_int(m->tx, &m->err, &one, &found, "SELECT 1 FROM api WHERE group_id = ? LIMIT 1", "s",
			       row->id);

	return rc == 0 && found ? err_set(&m->err, ERR_APIG_3415, NULL) : rc;
}

int apic_group_delete(struct model *m, struct str instance_id, struct str group_id)
{
	struct api_group_row row;
	int rc = apic_group_get(m, instance_id, group_id, APP_DELETE, &row);

	if (rc == 0 && row.is_default)
		return err_set(&m->err, ERR_APIG_3482, NULL);
	if (rc == 0)
		rc = refuse_when_used(m, &row);
	if (rc == 0)
		rc = apic_domain_delete_all(m, group_id);
	if (rc == 0)
		rc = publish_say(m, "host", row.sl_domain, STR_NONE, STR_NONE);
	return rc ? rc : store_exec(m->tx, &m->err, NULL, "DELETE FROM api_group WHERE id = ?", "s", group_id);
}

int apic_group_show(struct model *m, struct str instance_id, struct str group_id, struct apic_api_group *ret)
{
	struct api_group_row row;
	int rc = apic_group_get(m, instance_id, group_id, APP_READ, &row);

	return rc ? rc : load(m, instance_id, group_id, ret);
}

/* Domain names are lower case, and searched so. V1 groups are everybody's. */
#define FILTER                                                                                                         \
	APIC_EQUALS("g.id")                                                                                            \
	APIC_MATCH("g.name") APIC_EQUALS(                                                                              \
		"g.app_id") " AND (CAST(? AS TEXT) IS NULL OR g.sl_domain = LOWER(?) OR EXISTS"                        \
			    " (SELECT 1 FROM url_domain d WHERE d.group_id = g.id AND d.domain = LOWER(?)))"           \
			    " AND (g.sl_domain LIKE ? ESCAPE '\\' OR EXISTS"                                           \
			    " (SELECT 1 FROM url_domain d WHERE d.group_id = g.id AND d.domain LIKE ? ESCAPE '\\'))"   \
			    " AND (g.app_id IS NULL OR 1 = 1" APP_VISIBLE("g.app_id") ")"
#define FILTER_TYPES "ssssssssssssssss"
/* clang-format off */
#define FILTER_ARGS \
	in->instance_id, id, id, name.exact, name.exact, name.like, app, app, host.exact, host.exact, host.exact, \
	host.like, host.like, user, user, user
/* clang-format on */

int apic_group_list(struct model *m, const struct apic_list_api_groups_in *in, struct apic_api_group_list *ret)
{
	struct str id = apic_given(in->id), app = apic_given(in->roma_app_id), user = app_visible_user(m);
	struct apic_match name = apic_match_of(m, in->name, in->precise_search, "name");
	struct apic_match host = apic_match_of(m, in->domain_name, in->precise_search, "domain_name");
	struct apic_page page = APIC_PAGE(in);
	struct store_rows *rows;
	int64_t total;
	int rc =
		store_get_int(m->tx, &m->err, &total, NULL, "SELECT COUNT(*)" TABLES FILTER, FILTER_TYPES, FILTER_ARGS);

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 COLUMNS FILTER " ORDER BY g.created_ms DESC, g.id LIMIT ? OFFSET ?", FILTER_TYPES "ii",
				 FILTER_ARGS, page.limit, page.offset);
	if (rc)
		return rc;
	ret->groups.v = ARENA_ARRAY(m->arena, struct apic_api_group, (size_t)page.limit);
	while (ret->groups.n < (size_t)page.limit && store_next(rows))
		read_group(m, rows, &ret->groups.v[ret->groups.n++]);
	rc = store_done(&rows, &m->err);
	for (size_t i = 0; rc == 0 && i < ret->groups.n; i++)
		rc = apic_domain_of_group(m, ret->groups.v[i].id, &ret->groups.v[i].url_domains);
	SET(ret, total, total);
	SET(ret, size, (int64_t)ret->groups.n);
	return rc;
}

int apic_group_check(struct model *m, struct str instance_id, const struct apic_api_group_check *in)
{
	int rc = 0;

	if (!str_empty(in->roma_app_id))
		rc = apic_app_allow(m, instance_id, in->roma_app_id, APP_READ, ERR_APIG_3004, ERR_APIG_1141);
	return rc ? rc : check_name(m, instance_id, in->group_name, STR(""));
}

int apic_default_group(struct model *m, struct str instance_id)
{
	struct str id;

	return insert(m, instance_id, STR_NONE, DEFAULT_NAME, STR("Group of the instance"), true, &id);
}

static int make(struct model *m, struct str instance_id)
{
	int rc = apic_default_env(m, instance_id);

	return rc ? rc : apic_default_group(m, instance_id);
}

/* What users made in the instance is left, and keeps the instance from being deleted. */
static int unmake(struct model *m, struct str instance_id)
{
	struct str group, host;
	bool found;
	int rc = store_get_str(m->tx, &m->err, m->arena, &group, &found,
			       "SELECT id FROM api_group WHERE instance_id = ? AND is_default = 1 AND NOT EXISTS"
			       " (SELECT 1 FROM api WHERE api.group_id = api_group.id) AND NOT EXISTS"
			       " (SELECT 1 FROM url_domain d WHERE d.group_id = api_group.id)",
			       "s", instance_id);

	if (rc == 0 && found)
		rc = store_get_str(m->tx, &m->err, m->arena, &host, NULL,
				   "SELECT sl_domain FROM api_group WHERE id = ?", "s", group);
	if (rc == 0 && found)
		rc = publish_say(m, "host", host, STR_NONE, STR_NONE);
	if (rc == 0 && found)
		rc = publish_say(m, "group", group, STR_NONE, STR_NONE);
	if (rc == 0 && found)
		rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM api_group WHERE id = ?", "s", group);
	return rc ? rc : apic_default_env_delete(m, instance_id);
}

const struct instance_part apic_instance_part = {make, unmake};
