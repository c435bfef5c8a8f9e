/* SPDX-License-Identifier: Apache-2.0 */
#include "model/livedata/livedata_priv.h"

#include "base/mem.h"

/* The types of chapter 5.1 that scripts can name, as section 6.19 calls them. jdbc: how a connection string starts. */
static const struct source_type {
	const char *fdi, *name, *jdbc;
} types[] = {
	{"MYSQL", "mysql", "jdbc:mysql://"},
	{"TAURUS", "mysql", "jdbc:mysql://"},
	{"ORACLE", "oracle", "jdbc:oracle:thin:@//"},
	{"MONGODB", "mongodb", "mongodb://"},
	{"REDIS", "redis", "redis://"},
	{"MRSREDIS", "redis", "redis://"},
	{"POSTGRESQL", "postgresql", "jdbc:postgresql://"},
	{"OPENGAUSS", "postgresql", "jdbc:postgresql://"},
	{"HIVE", "hive", "jdbc:hive2://"},
	{"MRSHIVE", "mrshive", "jdbc:hive2://"},
	{"SQLSERVER", "sqlserver", "jdbc:sqlserver://"},
	{"DWS", "dws", "jdbc:postgresql://"},
	{"GAUSS100", "gauss100", "jdbc:zenith:@"},
	{"HANA", "hana", "jdbc:sap://"},
	{"CLICKHOUSE", "clickhouse", "jdbc:clickhouse://"},
	{"MRSCLICKHOUSE", "clickhouse", "jdbc:clickhouse://"},
	{"DM", "dm", "jdbc:dm://"},
	{"SQLITE", "sqlite", "jdbc:sqlite:"},
};

static const struct source_type *find_type(struct str fdi_type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (str_is(fdi_type, types[i].fdi))
			return &types[i];
	return NULL;
}

struct str livedata__source_type(struct str fdi_type)
{
	const struct source_type *type = find_type(fdi_type);

	return type ? str_of(type->name) : STR_NONE;
}

static struct str url_of(struct model *m, const struct source_type *type, const struct fdi_content *c)
{
	if (str_is(c->mode, "professional"))
		return c->url;
	if (str_is(str_of(type->fdi), "SQLITE"))
		return arena_fmt(m->arena, "%s%.*s", type->jdbc, STR_FMT(c->database_name));
	if (c->address.n)
		return arena_fmt(m->arena, "%s%.*s", type->jdbc, STR_FMT(c->address));
	return arena_fmt(m->arena, "%s%.*s:%.*s/%.*s", type->jdbc, STR_FMT(c->host), STR_FMT(c->port),
			 STR_FMT(c->database_name));
}

static void show(struct model *m, struct store_rows *rows, struct apic_livedata_datasource *ret)
{
	const struct source_type *type = find_type(store_str(rows, 2, m->arena));
	const struct fdi_content *content = store_doc(rows, 4, &doc_fdi_content, m->arena);

	*ret = (struct apic_livedata_datasource){
		.id = store_str(rows, 0, m->arena),
		.name = store_str(rows, 1, m->arena),
		.description = store_str(rows, 3, m->arena),
		.status = STR("new"),
		.created_time = api__time(m, store_int(rows, 5)),
		.modified_time = api__time(m, store_int(rows, 6)),
	};
	if (!type || !content)
		return;
	ret->type = str_of(type->name);
	ret->url = url_of(m, type, content);
	ret->user = content->user_name;
}

/* "'MYSQL','TAURUS',...": the table above as SQL. */
static struct str type_list(struct model *m)
{
	struct str parts[ARRAY_LEN(types)];

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		parts[i] = arena_fmt(m->arena, "'%s'", types[i].fdi);
	return arena_join(m->arena, parts, ARRAY_LEN(types), STR(","));
}

int livedata_source_list(struct model *m, const struct apic_list_live_data_data_sources_in *in,
			 struct apic_livedata_datasource_list *ret)
{
	struct apic_page page = APIC_PAGE(in);
	struct str name = store_like(m->arena, apic_given(in->name)), kinds = type_list(m);
	struct str where = arena_fmt(m->arena,
				     " FROM datasource WHERE instance_id = ? AND app_id = ? AND type IN (%.*s)"
				     " AND LOWER(name) LIKE ? ESCAPE '\\'",
				     STR_FMT(kinds));
	struct store_rows *rows;
	int rc = apic_app_allow(m, in->instance_id, in->app_id, APP_READ, ERR_APIG_3004, ERR_APIG_1141);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &ret->total, NULL,
				   arena_fmt(m->arena, "SELECT COUNT(*)%s", where.p).p, "sss", in->instance_id,
				   in->app_id, name);
	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 arena_fmt(m->arena,
					   "SELECT id, name, type, description, content, created_ms, updated_ms%s"
					   " ORDER BY created_ms DESC, id LIMIT ? OFFSET ?",
					   where.p)
					 .p,
				 "sssii", in->instance_id, in->app_id, name, page.limit, page.offset);
	if (rc)
		return rc;
	ret->data_sources.v = ARENA_ARRAY(m->arena, struct apic_livedata_datasource, (size_t)page.limit);
	while (ret->data_sources.n < (size_t)page.limit && store_next(rows))
		show(m, rows, &ret->data_sources.v[ret->data_sources.n++]);
	SET(ret, size, (int64_t)ret->data_sources.n);
	ret->has_total = true;
	return store_done(&rows, &m->err);
}
