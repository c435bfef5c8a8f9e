/* SPDX-License-Identifier: Apache-2.0 */
#include "model/public/instance.h"

#include "base/clock.h"
#include "base/rnd.h"

#define DEFAULT_LIMIT 20
#define MAX_LIMIT 500

#define COLUMNS                                                                                                        \
	"SELECT id, project_id, name, description, flavor_type, status, maintain_begin, maintain_end, "                \
	"enterprise_project_id,"                                                                                       \
	" created_by, created_ms, updated_ms FROM instance WHERE project_id = ?"

static struct str processor(void)
{
#if defined(__aarch64__)
	return STR("aarch64");
#else
	return STR("x86_64");
#endif
}

static struct str when(struct model *m, int64_t ms)
{
	char buf[CLOCK_ISO_SIZE];

	return arena_str(m->arena, clock_iso(ms, buf));
}

static struct str gateway_host(struct model *m)
{
	struct str rest = m->settings->gateway_address;

	return rest.p ? str_cut(&rest, ':') : STR("");
}

static int run_part(struct model *m, bool make, struct str id)
{
	if (!&apic_instance_part)
		return 0;
	return (make ? apic_instance_part.make : apic_instance_part.remove)(m, id);
}

static int insert(struct model *m, struct str project_id, const struct public_instance *in, struct str user_id,
		  struct str *ret_id)
{
	struct str id = rnd_uuid(m->arena);
	int rc = store_exec(
		m->tx, &m->err, NULL,
		"INSERT INTO instance (id, project_id, name, description, flavor_type, status, maintain_begin,"
		" maintain_end, enterprise_project_id, created_by, created_ms, updated_ms)"
		" VALUES (?, ?, ?, ?, ?, 'RUNNING', ?, ?, ?, ?, ?, ?)",
		"sssssssssii", id, project_id, in->name, in->description.p ? in->description : STR(""),
		in->flavor_type.p ? in->flavor_type : STR("basic"),
		in->maintain_begin.p ? in->maintain_begin : STR("22:00:00"),
		in->maintain_end.p ? in->maintain_end : STR("02:00:00"),
		in->enterprise_project_id.p ? in->enterprise_project_id : STR("0"), user_id, m->now_ms, m->now_ms);

	if (rc == 0)
		rc = run_part(m, true, id);
	if (rc == 0)
		*ret_id = id;
	return rc;
}

int instance_make(struct model *m, struct str project_id, struct str name, struct str description, struct str user_id,
		  struct str *ret_id)
{
	struct public_instance in = {.name = name, .description = description};

	return insert(m, project_id, &in, user_id, ret_id);
}

int instance_exists(struct model *m, struct str project_id, struct str id, bool *ret_found)
{
	int64_t n;

	return store_get_int(m->tx, &m->err, &n, ret_found, "SELECT 1 FROM instance WHERE id = ? AND project_id = ?",
			     "ss", id, project_id);
}

/* No network and no payment of a cloud stands behind an instance here: such fields are empty. */
static void read_instance(struct model *m, struct store_rows *rows, struct public_instance *i)
{
	i->id = store_str(rows, 0, m->arena);
	i->project_id = store_str(rows, 1, m->arena);
	i->name = store_str(rows, 2, m->arena);
	i->description = store_str(rows, 3, m->arena);
	i->flavor_type = store_str(rows, 4, m->arena);
	i->status = store_str(rows, 5, m->arena);
	i->maintain_begin = store_str(rows, 6, m->arena);
	i->maintain_end = store_str(rows, 7, m->arena);
	i->enterprise_project_id = store_str(rows, 8, m->arena);
	i->create_time = when(m, store_int(rows, 10));
	i->update_time = when(m, store_int(rows, 11));
	i->cpu_arch = processor();
	i->publicip_enable = false;
	i->has_publicip_enable = true;
	i->publicip_address = gateway_host(m);
	i->available_zone_ids.v = ARENA_NEW(m->arena, struct str);
	i->available_zone_ids.v[0] = m->settings->region;
	i->available_zone_ids.n = 1;
	struct str *const none[] = {&i->flavor_id,   &i->vpc_id,     &i->subnet_id, &i->security_group_id,
				    &i->publicip_id, &i->error_code, &i->error_msg, &i->charge_type};

	for (size_t k = 0; k < sizeof(none) / sizeof(none[0]); k++)
		*none[k] = STR("");
}

int instance_list_by(struct model *m, struct str project_id, struct str status, int64_t offset, int64_t limit,
		     struct public_instance_list *ret)
{
	struct store_rows *rows;
	int rc = store_get_int(m->tx, &m->err, &ret->total, NULL,
			       "SELECT COUNT(*) FROM instance WHERE project_id = ? AND status = COALESCE(?, status)",
			       "ss", project_id, status);

	limit = limit <= 0 ? DEFAULT_LIMIT : limit > MAX_LIMIT ? MAX_LIMIT : limit;
	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 COLUMNS " AND status = COALESCE(?, status) ORDER BY created_ms, id LIMIT ? OFFSET ?",
				 "ssii", project_id, status, limit, offset);
	if (rc)
		return rc;
	ret->instances.v = ARENA_ARRAY(m->arena, struct public_instance, (size_t)limit);
	while (ret->instances.n < (size_t)limit && store_next(rows))
		read_instance(m, rows, &ret->instances.v[ret->instances.n++]);
	ret->size = (int64_t)ret->instances.n;
	ret->has_size = ret->has_total = true;
	return store_done(&rows, &m->err);
}

/* Also who made it and when, which only one of the two views shows. */
static int find(struct model *m, struct str project_id, struct str id, struct public_instance *ret,
		struct str *ret_user, int64_t *ret_created_ms)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, COLUMNS " AND id = ?", "ss", project_id, id);

	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found) {
		read_instance(m, rows, ret);
		*ret_user = store_str(rows, 9, m->arena);
		*ret_created_ms = store_int(rows, 10);
	}
	rc = store_done(&rows, &m->err);
	return rc || found ? rc : err_set_status(&m->err, ERR_ROMA_14002, 404, NULL);
}

int instance_show(struct model *m, struct str project_id, struct str id, struct public_instance *ret)
{
	struct str user;
	int64_t created;

	return find(m, project_id, id, ret, &user, &created);
}

static struct str spec_of(struct str flavor)
{
	return str_is(flavor, "platinum")       ? STR("ROMA_PLATINUM")
	       : str_is(flavor, "enterprise")   ? STR("ROMA_ENTERPRISE")
	       : str_is(flavor, "professional") ? STR("ROMA_PROFESSIONAL")
						: STR("ROMA_BASIC");
}

int instance_show_apic(struct model *m, struct str project_id, struct str id, struct apic_instance *ret)
{
	struct public_instance i = {0};
	struct str user = STR_NONE, *host = ARENA_NEW(m->arena, struct str);
	int64_t created = 0;
	int rc = find(m, project_id, id, &i, &user, &created);

	if (rc)
		return rc;
	*host = gateway_host(m);
	ret->id = i.id;
	ret->project_id = i.project_id;
	ret->instance_name = i.name;
	ret->description = i.description;
	ret->status = STR("Running");
	ret->instance_statuses = 6; /* Running */
	ret->spec = spec_of(i.flavor_type);
	ret->create_time = created;
	ret->charging_mode = 0;
	ret->bandwidth_size = 0;
	ret->has_instance_statuses = ret->has_create_time = ret->has_charging_mode = ret->has_bandwidth_size = true;
	ret->enterprise_project_id = i.enterprise_project_id;
	ret->maintain_begin = i.maintain_begin;
	ret->maintain_end = i.maintain_end;
	ret->ingress_ip = *host;
	ret->ingress_ips = *host;
	ret->eip_address = *host;
	ret->user_id = user;
	ret->available_zone_ids = arena_fmt(m->arena, "[%.*s]", STR_FMT(m->settings->region));
	ret->node_ips = ARENA_NEW(m->arena, struct apic_node_ips);
	ret->node_ips->livedata = ret->node_ips->shubao = (struct str_array){host, 1};
	ret->supported_features.v = host; /* present, and empty: optional features are asked for by 6.14 */
	struct str *const none[] = {&ret->vpc_id,          &ret->subnet_id,         &ret->security_group_id,
				    &ret->cbc_metadata,    &ret->nat_eip_ipv6_cidr, &ret->eip_ipv6_address,
				    &ret->nat_eip_address, &ret->ingress_ip_v6};

	for (size_t k = 0; k < sizeof(none) / sizeof(none[0]); k++)
		*none[k] = STR("");
	return 0;
}

int instance_create(struct model *m, struct str project_id, const struct public_instance *in,
		    struct public_instance *ret)
{
	int64_t all, same;
	struct str id;
	int rc = store_get_int(m->tx, &m->err, &all, NULL, "SELECT COUNT(*) FROM instance WHERE project_id = ?", "s",
			       project_id);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &same, NULL,
				   "SELECT COUNT(*) FROM instance WHERE project_id = ? AND name = ?", "ss", project_id,
				   in->name);
	if (rc)
		return rc;
	if (same)
		return err_set_text(&m->err, ERR_APPIA_0409, "The instance name already exists.");
	if (all >= INSTANCE_MAX)
		return err_set(&m->err, ERR_ROMA_15002, NULL);
	rc = insert(m, project_id, in, m->who->user_id, &id);
	return rc ? rc : instance_show(m, project_id, id, ret);
}

int instance_delete(struct model *m, struct str project_id, struct str id)
{
	struct public_instance i = {0};
	int rc = instance_show(m, project_id, id, &i);

	if (rc == 0)
		rc = run_part(m, false, id);
	if (rc == 0)
		rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM instance WHERE id = ?", "s", id);
	if (rc == ERR_APPIA_0422) /* foreign keys */
		return err_set_text(&m->err, ERR_APPIA_0409,
				    "The instance cannot be deleted because it contains resources.");
	return rc;
}
