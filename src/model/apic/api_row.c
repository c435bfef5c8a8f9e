/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/api_priv.h"

#include "base/clock.h"

struct str api__time(struct model *m, int64_t ms)
{
	char text[CLOCK_ISO_SIZE];

	return arena_str(m->arena, clock_iso_ms(ms, text));
}

int api__group(struct model *m, struct str instance_id, struct str group_id, struct api_group_row *ret)
{
	struct store_rows *rows;
	bool found;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT id, instance_id, app_id, name, version, sl_domain, status, created_ms, updated_ms,"
			     " is_default FROM api_group WHERE id = ? AND instance_id = ?",
			     "ss", group_id, instance_id);

	if (rc)
		return rc;
	found = store_next(rows);
	if (found)
		*ret = (struct api_group_row){
			.id = store_str(rows, 0, m->arena),
			.instance_id = store_str(rows, 1, m->arena),
			.app_id = store_str(rows, 2, m->arena),
			.name = store_str(rows, 3, m->arena),
			.version = store_str(rows, 4, m->arena),
			.sl_domain = store_str(rows, 5, m->arena),
			.status = store_int(rows, 6),
			.created_ms = store_int(rows, 7),
			.updated_ms = store_int(rows, 8),
			.is_default = store_int(rows, 9) == 1,
		};
	rc = store_done(&rows, &m->err);
	if (rc == 0 && !found)
		rc = err_set(&m->err, ERR_APIG_3001, "id:%.*s", STR_FMT(group_id));
	return rc;
}

int api__env_name(struct model *m, struct str instance_id, struct str env_id, struct str *ret)
{
	bool found;
	int rc = store_get_str(m->tx, &m->err, m->arena, ret, &found,
			       "SELECT name FROM api_env WHERE instance_id = ? AND id = ?", "ss", instance_id, env_id);

	if (rc == 0 && !found)
		rc = err_set(&m->err, ERR_APIG_3003, "id:%.*s", STR_FMT(env_id));
	return rc;
}

int api__allow(struct model *m, struct str instance_id, struct str app_id, enum app_role role)
{
	int rc = app_require(m, instance_id, app_id, role);

	return rc > 0 ? err_set(&m->err, ERR_APIG_1102, NULL) : rc;
}

int api__get(struct model *m, struct str instance_id, struct str api_id, enum app_role role, struct api_row *ret)
{
	struct store_rows *rows;
	struct api_row row;
	bool found;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT id, instance_id, group_id, app_id, ld_api_id, created_ms, updated_ms, doc FROM api"
			     " WHERE id = ? AND instance_id = ?",
			     "ss", api_id, instance_id);

	if (rc)
		return rc;
	found = store_next(rows);
	if (found)
		row = (struct api_row){
			.id = store_str(rows, 0, m->arena),
			.instance_id = store_str(rows, 1, m->arena),
			.group_id = store_str(rows, 2, m->arena),
			.app_id = store_str(rows, 3, m->arena),
			.ld_api_id = store_str(rows, 4, m->arena),
			.created_ms = store_int(rows, 5),
			.updated_ms = store_int(rows, 6),
			.def = store_doc(rows, 7, &doc_apic_api, m->arena),
		};
	rc = store_done(&rows, &m->err);
	if (rc == 0 && !found)
		rc = err_set(&m->err, ERR_APIG_3002, "id:%.*s", STR_FMT(api_id));
	if (rc == 0)
		rc = api__allow(m, instance_id, row.app_id, role);
	if (rc == 0)
		*ret = row;
	return rc;
}

static int reply_domains(struct model *m, struct apic_api_group *group)
{
	struct store_rows *rows;
	struct apic_url_domain *list = ARENA_ARRAY(m->arena, struct apic_url_domain, 8);
	size_t n = 0;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT id, domain, status, min_ssl_version, verified_client_certificate FROM url_domain"
			     " WHERE group_id = ? ORDER BY created_ms, id LIMIT 8",
			     "s", group->id);

	if (rc)
		return rc;
	while (n < 8 && store_next(rows)) {
		struct apic_url_domain *d = &list[n++];

		d->id = store_str(rows, 0, m->arena);
		d->domain = store_str(rows, 1, m->arena);
		SET(d, cname_status, store_int(rows, 2));
		d->min_ssl_version = store_str(rows, 3, m->arena);
		SET(d, verified_client_certificate_enabled, store_int(rows, 4) == 1);
	}
	group->url_domains = (struct apic_url_domain_array){list, n};
	return store_done(&rows, &m->err);
}

static int reply_certificates(struct model *m, struct apic_url_domain *d)
{
	struct store_rows *rows;
	int rc = store_query(
		m->tx, &m->err, &rows,
		"SELECT c.id, c.name FROM url_domain_certificate l JOIN certificate c ON c.id = l.certificate_id"
		" WHERE l.domain_id = ? ORDER BY c.created_ms, c.id LIMIT 1",
		"s", d->id);

	if (rc)
		return rc;
	if (store_next(rows)) {
		d->ssl_id = store_str(rows, 0, m->arena);
		d->ssl_name = store_str(rows, 1, m->arena);
	}
	return store_done(&rows, &m->err);
}

static int reply_group(struct model *m, const struct api_group_row *row, struct apic_api *ret)
{
	struct apic_api_group *group = ARENA_NEW(m->arena, struct apic_api_group);

	group->id = row->id;
	group->name = row->name;
	SET(group, status, row->status);
	group->sl_domain = row->sl_domain;
	group->register_time = api__time(m, row->created_ms);
	group->update_time = api__time(m, row->updated_ms);
	SET(group, on_sell_status, 2);
	int rc = reply_domains(m, group);

	for (size_t i = 0; rc == 0 && i < group->url_domains.n; i++)
		rc = reply_certificates(m, &group->url_domains.v[i]);
	/* The address callers use, when the definition names none itself. */
	if (rc == 0 && str_empty(ret->domain_name) && group->url_domains.n)
		ret->domain_name = group->url_domains.v[0].domain;
	ret->group_name = row->name;
	ret->group_version = row->version;
	ret->api_group_info = group;
	return rc;
}

int api__reply_publications(struct model *m, struct str api_id, struct apic_api *ret)
{
	enum { MAX = 64 };
	struct str ids[MAX], names[MAX], publish_ids[MAX], times[MAX];
	struct store_rows *rows;
	size_t n = 0;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT p.env_id, e.name, p.id, p.published_ms FROM api_publish p JOIN api_env e"
			     " ON e.instance_id = p.instance_id AND e.id = p.env_id"
			     " WHERE p.api_id = ? ORDER BY e.created_ms, e.id LIMIT 64",
			     "s", api_id);

	if (rc)
		return rc;
	for (; n < MAX && store_next(rows); n++) {
		ids[n] = store_str(rows, 0, m->arena);
		names[n] = store_str(rows, 1, m->arena);
		publish_ids[n] = store_str(rows, 2, m->arena);
		times[n] = api__time(m, store_int(rows, 3));
	}
	ret->run_env_id = arena_join(m->arena, ids, n, STR("|"));
	ret->run_env_name = arena_join(m->arena, names, n, STR("|"));
	ret->publish_id = arena_join(m->arena, publish_ids, n, STR("|"));
	ret->publish_time = arena_join(m->arena, times, n, STR("|"));
	return store_done(&rows, &m->err);
}

int api__reply(struct model *m, const struct api_row *row, struct apic_api *ret)
{
	struct apic_api out = *row->def;
	struct api_group_row group;
	int rc = api__group(m, row->instance_id, row->group_id, &group);

	out.id = row->id;
	out.group_id = row->group_id;
	out.roma_app_id = row->app_id;
	out.ld_api_id = row->ld_api_id.p ? row->ld_api_id : STR("");
	out.register_time = api__time(m, row->created_ms);
	out.update_time = api__time(m, row->updated_ms);
	if (rc == 0)
		rc = reply_group(m, &group, &out);
	if (rc == 0)
		rc = api__reply_publications(m, row->id, &out);
	if (rc == 0)
		rc = store_get_str(m->tx, &m->err, m->arena, &out.roma_app_name, NULL,
				   "SELECT name FROM app WHERE id = ?", "s", row->app_id);
	if (rc == 0)
		*ret = out;
	return rc;
}
