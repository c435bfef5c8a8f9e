/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/domain_priv.h"

#include "base/rnd.h"
#include "model/apic/publish.h"
#include "sign/cert.h"
#include "sign/sign.h"

#define MAX_PER_DOMAIN 3 /* one per algorithm */

int domain__certificates(struct model *m, struct str domain_id, struct apic_url_domain *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT c.id, c.name, c.type, c.doc, c.trusted_root_ca FROM url_domain_certificate l"
			     " JOIN certificate c ON c.id = l.certificate_id WHERE l.domain_id = ?"
			     " ORDER BY c.created_ms, c.id LIMIT ?",
			     "si", domain_id, (int64_t)MAX_PER_DOMAIN);

	if (rc)
		return rc;
	ret->ssl_infos.v = ARENA_ARRAY(m->arena, struct apic_ssl_info, MAX_PER_DOMAIN);
	ret->ssl_infos.n = 0;
	SET(ret, is_has_trusted_root_ca, false);
	while (ret->ssl_infos.n < MAX_PER_DOMAIN && store_next(rows)) {
		struct apic_ssl_info *info = &ret->ssl_infos.v[ret->ssl_infos.n++];

		info->ssl_id = store_str(rows, 0, m->arena);
		info->ssl_name = store_str(rows, 1, m->arena);
		info->type = store_str(rows, 2, m->arena);
		info->algorithm_type = ((struct apic_certificate *)store_doc(rows, 3, &doc_apic_certificate, m->arena))
					       ->algorithm_type;
		ret->is_has_trusted_root_ca = ret->is_has_trusted_root_ca || !store_null(rows, 4);
	}
	if (ret->ssl_infos.n) {
		ret->ssl_id = ret->ssl_infos.v[0].ssl_id;
		ret->ssl_name = ret->ssl_infos.v[0].ssl_name;
	}
	return store_done(&rows, &m->err);
}

/* Takes one certificate from a name; nobody else having it, it goes. */
static int drop(struct model *m, struct str domain_id, struct str certificate_id)
{
	int rc = store_exec(m->tx, &m->err, NULL,
			    "DELETE FROM url_domain_certificate WHERE domain_id = ? AND certificate_id = ?", "ss",
			    domain_id, certificate_id);

	return rc ? rc
		  : store_exec(m->tx, &m->err, NULL,
			       "DELETE FROM certificate WHERE id = ? AND NOT EXISTS"
			       " (SELECT 1 FROM url_domain_certificate l WHERE l.certificate_id = certificate.id)",
			       "s", certificate_id);
}

int domain__drop_certificates(struct model *m, struct str domain_id)
{
	struct apic_url_domain now = {0};
	int rc = domain__certificates(m, domain_id, &now);

	for (size_t i = 0; rc == 0 && i < now.ssl_infos.n; i++)
		rc = drop(m, domain_id, now.ssl_infos.v[i].ssl_id);
	return rc;
}

static int check_pair(struct model *m, const struct apic_domain_certificate *in)
{
	switch (sign_cert_check(in->cert_content, in->private_key)) {
	case SIGN_CERT_OK:
		return 0;
	case SIGN_CERT_BAD_CHAIN:
		return err_set(&m->err, ERR_APIG_2104, NULL);
	case SIGN_CERT_KEY_ENCRYPTED:
		return err_set(&m->err, ERR_APIG_2105, NULL);
	case SIGN_CERT_KEY_MISMATCH:
		return err_set(&m->err, ERR_APIG_2101, NULL);
	default:
		return err_set(&m->err, ERR_APIG_2106, NULL);
	}
}

static int check_certificate(struct model *m, const struct apic_domain_certificate *in, struct str host,
			     struct sign_cert *ret)
{
	struct sign_cert ca;
	int rc = check_pair(m, in);

	if (rc)
		return rc;
	if (!sign_cert_read(m->arena, in->cert_content, ret) || !ret->key_type.p)
		return err_set(&m->err, ERR_APIG_2106, "RSA, ECC and SM2 certificates are supported");
	if (ret->not_after_ms <= m->now_ms)
		return err_set(&m->err, ERR_APIG_2102, NULL);
	if (!sign_cert_is_for(in->cert_content, host))
		return err_set(&m->err, ERR_APIG_2103, NULL);
	if (!str_empty(in->trusted_root_ca) && !sign_cert_read(m->arena, in->trusted_root_ca, &ca))
		return err_set(&m->err, ERR_APIG_2106, "trusted_root_ca");
	return 0;
}

static void describe(struct model *m, const struct sign_cert *cert, struct apic_certificate *ret)
{
	SET(ret, version, cert->version);
	ret->common_name = cert->common_name;
	ret->san = cert->san;
	ret->serial_number = cert->serial_number;
	ret->signature_algorithm = cert->signature_algorithm;
	ret->algorithm_type = cert->key_type;
	ret->organization = cert->organization;
	ret->organizational_unit = cert->organizational_unit;
	ret->locality = cert->locality;
	ret->state = cert->state;
	ret->country = cert->country;
	ret->issuer = cert->issuer;
	ret->not_before = api__time(m, cert->not_before_ms);
	ret->not_after = api__time(m, cert->not_after_ms);
}

/* Who may see it: all instances of the project, or one. */
static int choose_scope(struct model *m, const struct apic_associate_certificate_in *in, struct str *ret_instance)
{
	const struct apic_domain_certificate *c = in->body;
	int64_t n = 0;

	*ret_instance = STR_NONE;
	if (str_is(c->type, "instance")) {
		if (str_empty(c->instance_id))
			return api__missing(m, "instance_id");
		if (!str_eq(c->instance_id, in->instance_id))
			return api__invalid(m, "instance_id", "not the instance of the domain name");
		*ret_instance = c->instance_id;
	} else if (!str_is(c->type, "global")) {
		return api__invalid(m, "type", "must be instance or global");
	}
	int rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM certificate WHERE project_id = ?", "s",
			       in->project_id);

	return rc == 0 && n >= APIC_MAX_CERTIFICATES
		       ? err_set(&m->err, ERR_APIG_3146, "limit:%d", APIC_MAX_CERTIFICATES)
		       : rc;
}

static int insert(struct model *m, const struct apic_associate_certificate_in *in, struct str id,
		  struct str instance_id, const struct sign_cert *cert)
{
	const struct apic_domain_certificate *c = in->body;
	struct apic_certificate doc = {0};

	describe(m, cert, &doc);
	return store_exec(m->tx, &m->err, NULL,
			  "INSERT INTO certificate (id, project_id, instance_id, name, type, content, key_sealed,"
			  " trusted_root_ca, common_name, not_after_ms, doc, created_ms, updated_ms)"
			  " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			  "sssssssssidii", id, in->project_id, instance_id, c->name, c->type, c->cert_content,
			  sign_seal(m->arena, m->keys, APIC_SEAL_CERTIFICATE, c->private_key),
			  apic_given(c->trusted_root_ca), cert->common_name.p ? cert->common_name : STR(""),
			  cert->not_after_ms, &doc_apic_certificate, &doc, m->now_ms, m->now_ms);
}

/* A name has one certificate of each algorithm. */
static int replace(struct model *m, struct str domain_id, struct str certificate_id, struct str algorithm)
{
	struct apic_url_domain now = {0};
	int rc = domain__certificates(m, domain_id, &now);

	for (size_t i = 0; rc == 0 && i < now.ssl_infos.n; i++)
		if (str_eq(now.ssl_infos.v[i].algorithm_type, algorithm))
			rc = drop(m, domain_id, now.ssl_infos.v[i].ssl_id);
	return rc ? rc
		  : store_exec(m->tx, &m->err, NULL,
			       "INSERT INTO url_domain_certificate (domain_id, certificate_id) VALUES (?, ?)", "ss",
			       domain_id, certificate_id);
}

/* Clients are verified as soon as there are roots to verify them by, and no longer. */
static int set_verify(struct model *m, struct domain_row *row, struct apic_url_domain *ret)
{
	int rc = domain__certificates(m, row->id, ret);

	if (rc)
		return rc;
	row->verify_client = ret->is_has_trusted_root_ca;
	rc = store_exec(m->tx, &m->err, NULL,
			"UPDATE url_domain SET verified_client_certificate = ?, updated_ms = ? WHERE id = ?", "iis",
			(int64_t)row->verify_client, m->now_ms, row->id);
	return rc ? rc : publish_say(m, "host", row->name, STR_NONE, STR_NONE);
}

int apic_domain_certificate_bind(struct model *m, const struct apic_associate_certificate_in *in,
				 struct apic_url_domain *ret)
{
	struct domain_row row;
	struct sign_cert cert;
	struct str id = rnd_id(m->arena), instance;
	int rc = domain__get(m, in->instance_id, in->group_id, in->domain_id, APP_MODIFY, &row);

	if (rc == 0)
		rc = choose_scope(m, in, &instance);
	if (rc == 0)
		rc = check_certificate(m, in->body, row.name, &cert);
	if (rc == 0)
		rc = insert(m, in, id, instance, &cert);
	if (rc == 0)
		rc = replace(m, row.id, id, cert.key_type);
	if (rc == 0)
		rc = set_verify(m, &row, ret);
	if (rc)
		return rc;
	domain__reply(&row, ret);
	ret->ssl_id = id;
	ret->ssl_name = in->body->name;
	return 0;
}

/* The certificate, when the name has it. ERR_APIG_3025, ERR_APIG_3476. */
static int find(struct model *m, struct str project_id, struct str domain_id, struct str id,
		struct apic_certificate *ret)
{
	struct store_rows *rows;
	int64_t one;
	int rc = store_query(m->tx, &m->err, &rows, "SELECT doc FROM certificate WHERE id = ? AND project_id = ?", "ss",
			     id, project_id);

	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		*ret = *(const struct apic_certificate *)store_doc(rows, 0, &doc_apic_certificate, m->arena);
	rc = store_done(&rows, &m->err);
	if (rc == 0 && !found)
		return err_set(&m->err, ERR_APIG_3025, "id:%.*s", STR_FMT(id));
	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &one, &found,
				   "SELECT 1 FROM url_domain_certificate WHERE domain_id = ? AND certificate_id = ?",
				   "ss", domain_id, id);
	return rc == 0 && !found ? err_set(&m->err, ERR_APIG_3476, NULL) : rc;
}

int apic_domain_certificate_unbind(struct model *m, const struct apic_disassociate_certificate_in *in)
{
	struct domain_row row;
	struct apic_certificate cert;
	struct apic_url_domain now = {0};
	int rc = domain__get(m, in->instance_id, in->group_id, in->domain_id, APP_MODIFY, &row);

	if (rc == 0)
		rc = find(m, in->project_id, row.id, in->certificate_id, &cert);
	if (rc == 0)
		rc = drop(m, row.id, in->certificate_id);
	return rc ? rc : set_verify(m, &row, &now);
}

int apic_domain_certificate_show(struct model *m, const struct apic_show_details_of_domain_name_certificate_in *in,
				 struct apic_certificate *ret)
{
	struct domain_row row;
	int rc = domain__get(m, in->instance_id, in->group_id, in->domain_id, APP_READ, &row);

	return rc ? rc : find(m, in->project_id, row.id, in->certificate_id, ret);
}
