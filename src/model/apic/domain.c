/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/domain_priv.h"

#include "base/rnd.h"
#include "model/apic/publish.h"

#define RESOLVED 3 /* we do not ask the DNS: a name works as soon as it leads to the gateway */

static bool is_label(struct str s)
{
	if (s.n == 0 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-'))
			return false;
	return true;
}

/* RFC 1123 section 2.1, with at least two labels; the last one is not a number, so that no address passes. */
static bool is_host_name(struct str s)
{
	size_t labels = 0;
	bool number = true;

	if (s.n == 0 || s.n > 253)
		return false;
	for (struct str rest = s; rest.p; labels++) {
		struct str label = str_cut(&rest, '.');

		if (!is_label(label))
			return false;
		number = true;
		for (size_t i = 0; i < label.n; i++)
			number = number && label.p[i] >= '0' && label.p[i] <= '9';
	}
	return labels >= 2 && !number;
}

static bool is_ours(struct str host, struct str domain)
{
	if (domain.n == 0 || host.n < domain.n || !str_eq_nocase(str_sub(host, host.n - domain.n, host.n), domain))
		return false;
	return host.n == domain.n || host.p[host.n - domain.n - 1] == '.';
}

static struct str lower(struct arena *a, struct str s)
{
	char *p = arena_cstr(a, s);

	for (size_t i = 0; i < s.n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] + 'a' - 'A');
	return (struct str){p, s.n};
}

void domain__reply(const struct domain_row *row, struct apic_url_domain *ret)
{
	ret->id = row->id;
	ret->url_domain = row->name;
	SET(ret, status, row->status);
	ret->min_ssl_version = row->min_ssl_version;
	SET(ret, is_http_redirect_to_https, row->redirect);
	SET(ret, verified_client_certificate_enabled, row->verify_client);
}

int domain__get(struct model *m, struct str instance_id, struct str group_id, struct str domain_id, enum app_role role,
		struct domain_row *ret)
{
	struct api_group_row group;
	struct store_rows *rows;
	int rc = apic_group_get(m, instance_id, group_id, role, &group);

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 "SELECT id, group_id, domain, min_ssl_version, status, http_redirect_to_https,"
				 " verified_client_certificate FROM url_domain WHERE id = ? AND instance_id = ?",
				 "ss", domain_id, instance_id);
	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		*ret = (struct domain_row){
			.id = store_str(rows, 0, m->arena),
			.group_id = store_str(rows, 1, m->arena),
			.name = store_str(rows, 2, m->arena),
			.min_ssl_version = store_str(rows, 3, m->arena),
			.status = store_int(rows, 4),
			.redirect = store_int(rows, 5) == 1,
			.verify_client = store_int(rows, 6) == 1,
		};
	rc = store_done(&rows, &m->err);
	if (rc == 0 && !found)
		return err_set(&m->err, ERR_APIG_3020, NULL);
	if (rc == 0 && !str_eq(ret->group_id, group_id))
		return err_set(&m->err, ERR_APIG_3474, NULL);
	return rc;
}

static int check_name(struct model *m, struct str group_id, struct str host)
{
	bool found;
	int64_t n;

	if (!is_host_name(host) || is_ours(host, m->settings->gateway_domain))
		return err_set(&m->err, ERR_APIG_2024, NULL);
	int rc = store_get_int(m->tx, &m->err, &n, &found, "SELECT 1 FROM url_domain WHERE domain = ?", "s", host);

	if (rc == 0 && found)
		return err_set(&m->err, ERR_APIG_3305, NULL);
	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM url_domain WHERE group_id = ?", "s",
				   group_id);
	return rc == 0 && n >= APIC_MAX_DOMAINS ? err_set(&m->err, ERR_APIG_3108, "limit:%d", APIC_MAX_DOMAINS) : rc;
}

int apic_domain_bind(struct model *m, const struct apic_associate_domain_in *in, struct apic_url_domain *ret)
{
	struct domain_row row = {
		.id = rnd_id(m->arena),
		.group_id = in->group_id,
		.name = lower(m->arena, in->body->url_domain),
		.status = RESOLVED,
		.min_ssl_version = in->body->min_ssl_version,
		.redirect = in->body->is_http_redirect_to_https,
	};
	struct api_group_row group;
	int rc = apic_group_get(m, in->instance_id, in->group_id, APP_MODIFY, &group);

	if (rc == 0)
		rc = check_name(m, in->group_id, row.name);
	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL,
				"INSERT INTO url_domain (id, instance_id, group_id, domain, status, min_ssl_version,"
				" http_redirect_to_https, verified_client_certificate, created_ms, updated_ms)"
				" VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
				"ssssisiii", row.id, in->instance_id, in->group_id, row.name, row.status,
				row.min_ssl_version, (int64_t)row.redirect, m->now_ms, m->now_ms);
	if (rc == 0)
		rc = publish_say(m, "host", row.name, STR_NONE, STR_NONE);
	if (rc == 0)
		domain__reply(&row, ret);
	return rc;
}

/* Clients are verified by the roots that came with a certificate: without them there is nothing to verify by. When the
 * caller does not say, they are verified where they can be. */
static int choose_verify(struct model *m, struct str domain_id, const struct apic_url_domain *in, bool *ret)
{
	struct apic_url_domain now = {0};
	int rc = domain__certificates(m, domain_id, &now);

	*ret = now.is_has_trusted_root_ca &&
	       (!in->has_verified_client_certificate_enabled || in->verified_client_certificate_enabled);
	return rc;
}

int apic_domain_update(struct model *m, const struct apic_update_domain_in *in, struct apic_url_domain *ret)
{
	struct domain_row row;
	int rc = domain__get(m, in->instance_id, in->group_id, in->domain_id, APP_MODIFY, &row);

	if (rc == 0)
		rc = choose_verify(m, row.id, in->body, &row.verify_client);
	if (rc)
		return rc;
	row.min_ssl_version = in->body->min_ssl_version;
	row.redirect = in->body->is_http_redirect_to_https;
	rc = store_exec(m->tx, &m->err, NULL,
			"UPDATE url_domain SET min_ssl_version = ?, http_redirect_to_https = ?,"
			" verified_client_certificate = ?, updated_ms = ? WHERE id = ?",
			"siiis", row.min_ssl_version, (int64_t)row.redirect, (int64_t)row.verify_client, m->now_ms,
			row.id);
	if (rc == 0)
		rc = publish_say(m, "host", row.name, STR_NONE, STR_NONE);
	if (rc == 0)
		domain__reply(&row, ret);
	return rc;
}

static int delete_row(struct model *m, struct str id, struct str name)
{
	int rc = domain__drop_certificates(m, id);

	if (rc == 0)
		rc = publish_say(m, "host", name, STR_NONE, STR_NONE);
	return rc ? rc : store_exec(m->tx, &m->err, NULL, "DELETE FROM url_domain WHERE id = ?", "s", id);
}

int apic_domain_unbind(struct model *m, const struct apic_disassociate_domain_in *in)
{
	struct domain_row row;
	int rc = domain__get(m, in->instance_id, in->group_id, in->domain_id, APP_MODIFY, &row);

	return rc ? rc : delete_row(m, row.id, row.name);
}

int apic_domain_of_group(struct model *m, struct str group_id, struct apic_url_domain_array *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT id, domain, status, min_ssl_version, verified_client_certificate FROM url_domain"
			     " WHERE group_id = ? ORDER BY created_ms, id LIMIT ?",
			     "si", group_id, (int64_t)APIC_MAX_DOMAINS);

	if (rc)
		return rc;
	ret->v = ARENA_ARRAY(m->arena, struct apic_url_domain, APIC_MAX_DOMAINS);
	ret->n = 0;
	while (ret->n < APIC_MAX_DOMAINS && store_next(rows)) {
		struct apic_url_domain *d = &ret->v[ret->n++];

		d->id = store_str(rows, 0, m->arena);
		d->domain = store_str(rows, 1, m->arena);
		SET(d, cname_status, store_int(rows, 2));
		d->min_ssl_version = store_str(rows, 3, m->arena);
		SET(d, verified_client_certificate_enabled, store_int(rows, 4) == 1);
	}
	rc = store_done(&rows, &m->err);
	for (size_t i = 0; rc == 0 && i < ret->n; i++)
		rc = domain__certificates(m, ret->v[i].id, &ret->v[i]);
	return rc;
}

int apic_domain_delete_all(struct model *m, struct str group_id)
{
	struct apic_url_domain_array list;
	int rc = apic_domain_of_group(m, group_id, &list);

	for (size_t i = 0; rc == 0 && i < list.n; i++)
		rc = delete_row(m, list.v[i].id, list.v[i].domain);
	return rc;
}
