/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mqs/instance.h"

#include "model/mqs/cluster.h"

#include <stdio.h>
#include <zlib.h>

#define MAX_INSTANCES 100 /* per project */
#define MAX_CA (1 << 20)

#define COLUMNS                                                                                                        \
	"SELECT i.id, i.name, i.description, i.maintain_begin, i.maintain_end, i.created_by, i.created_ms, u.name"     \
	" FROM instance i LEFT JOIN iam_user u ON u.id = i.created_by WHERE i.project_id = ?"

/* "h1:9092, h2:9092": hosts "h1,h2", servers "h1:9092,h2:9092". */
struct servers {
	struct str hosts, all;
	struct str host[32];
	int64_t port[32];
	size_t n;
};

static void read_servers(struct model *m, struct servers *s)
{
	struct str rest = m->settings->mqs_client_servers, all[32];

	s->n = 0;
	while (rest.p && s->n < 32) {
		struct str server = str_trim(str_cut(&rest, ','));
		size_t colon = server.n;
		long long port = 0;

		while (colon && server.p[colon - 1] != ':')
			colon--;
		if (colon < 2 || !str_to_int(str_sub(server, colon, server.n), 0, 65535, &port))
			continue;
		s->host[s->n] = str_sub(server, 0, colon - 1);
		s->port[s->n] = port;
		all[s->n++] = server;
	}
	s->hosts = arena_join(m->arena, s->host, s->n, STR(","));
	s->all = arena_join(m->arena, all, s->n, STR(","));
}

static void flags(struct model *m, struct mqs_instance *i)
{
	bool ssl = m->settings->mqs_client_ssl;

	i->ssl_enable = ssl;
	i->vpc_client_plain = !ssl;
	i->message_query_inst_enable = true;
	i->rest_enable = m->settings->mqs_rest_address.n > 0;
	if (i->rest_enable)
		i->rest_connect_address = m->settings->mqs_rest_address;
	i->has_ssl_enable = i->has_vpc_client_plain = i->has_message_query_inst_enable = true;
	i->has_enable_publicip = i->has_ipv6_enable = i->has_connector_enable = i->has_mqs_connector_enable = true;
	i->has_rest_enable = i->has_trace_enable = i->has_agent_enable = i->has_disk_encrypted = true;
	i->has_enable_auto_topic = i->has_plugin_enable = i->has_enable_log_collection = true;
}

static void fill(struct model *m, const struct servers *s, bool runs, struct mqs_instance *i)
{
	i->engine = STR("kafka");
	i->status = runs ? STR("RUNNING") : STR("ERROR");
	i->type = s->n > 1 ? STR("cluster") : STR("single");
	i->port = s->n ? s->port[0] : 0;
	i->has_port = true;
	i->connect_address = s->hosts;
	i->kafka_private_connect_address = s->all;
	i->partition_num = arena_fmt(m->arena, "%lld", (long long)m->settings->mqs_max_partitions);
	i->node_num = (int64_t)s->n;
	i->has_node_num = true;
	i->available_zones.v = ARENA_NEW(m->arena, struct str);
	i->available_zones.v[0] = m->settings->region;
	i->available_zones.n = 1;
	i->retention_policy = STR("produce_reject");
	i->kafka_public_status = i->public_access_enabled = STR("false");
	i->support_features = STR("feature.physerver.kafka.topic.accesspolicy,feature.physerver.kafka.topic.modify");
	flags(m, i);
}

static void read_row(struct model *m, struct store_rows *rows, struct mqs_instance *i)
{
	i->instance_id = store_str(rows, 0, m->arena);
	i->name = store_str(rows, 1, m->arena);
	i->description = store_str(rows, 2, m->arena);
	i->maintain_begin = store_str(rows, 3, m->arena);
	i->maintain_end = store_str(rows, 4, m->arena);
	i->user_id = store_str(rows, 5, m->arena);
	i->created_at = arena_fmt(m->arena, "%lld", (long long)store_int(rows, 6));
	i->user_name = store_null(rows, 7) ? STR("") : store_str(rows, 7, m->arena);
}

static bool answers(struct model *m)
{
	bool yes = cluster_ping(m) == 0;

	m->err = (struct err){0};
	return yes;
}

int mqs_instance_list_by(struct model *m, struct str project_id, struct str include_internal, struct str engine,
			 struct mqs_instance_list *ret)
{
	struct servers servers = {0};
	struct store_rows *rows;

	ret->has_instance_num = true;
	if (!str_eq_nocase(include_internal, STR("true")))
		return err_set(&m->err, ERR_MQS_00400800, "include_internal");
	if (engine.n && !str_eq_nocase(engine, STR("kafka")))
		return 0;
	bool runs = answers(m);
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	read_servers(m, &servers);
	ret->instances.v = ARENA_ARRAY(m->arena, struct mqs_instance, MAX_INSTANCES);
	rc = store_query(m->tx, &m->err, &rows, COLUMNS " ORDER BY i.created_ms, i.id LIMIT ?", "si", project_id,
			 (int64_t)MAX_INSTANCES);
	if (rc == 0) {
		while (ret->instances.n < MAX_INSTANCES && store_next(rows)) {
			fill(m, &servers, runs, &ret->instances.v[ret->instances.n]);
			read_row(m, rows, &ret->instances.v[ret->instances.n++]);
		}
		rc = store_done(&rows, &m->err);
	}
	ret->instance_num = (int64_t)ret->instances.n;
	store_rollback(&m->tx);
	return rc;
}

static void listeners(struct model *m, const struct servers *s, struct mqs_instance *i)
{
	i->listeners.v = ARENA_ARRAY(m->arena, struct mqs_listener, s->n + 1);
	for (; i->listeners.n < s->n; i->listeners.n++) {
		struct mqs_listener *l = &i->listeners.v[i->listeners.n];

		l->name = arena_fmt(m->arena, "mqs-kafka-%zu", i->listeners.n);
		l->port = s->port[i->listeners.n];
		l->has_port = true;
		l->backend = ARENA_NEW(m->arena, struct mqs_backend);
		l->backend->port = l->port;
		l->backend->has_port = true;
		l->backend->ip.v = ARENA_NEW(m->arena, struct str);
		l->backend->ip.v[0] = s->host[i->listeners.n];
		l->backend->ip.n = 1;
	}
}

int mqs_instance_get(struct model *m, struct str project_id, struct str id, struct mqs_instance *ret)
{
	struct servers servers = {0};
	struct store_rows *rows;
	bool runs = answers(m), found = false;
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	read_servers(m, &servers);
	rc = store_query(m->tx, &m->err, &rows, COLUMNS " AND i.id = ?", "ss", project_id, id);
	if (rc == 0) {
		found = store_next(rows);
		if (found) {
			fill(m, &servers, runs, ret);
			listeners(m, &servers, ret);
			read_row(m, rows, ret);
		}
		rc = store_done(&rows, &m->err);
	}
	store_rollback(&m->tx);
	return rc || found ? rc : err_set(&m->err, ERR_MQS_00404022, NULL);
}

/* One stored file: local header, content, central directory, its end (PKWARE APPNOTE 4.3). 1 January 1980. */
static void put_entry(struct buf *out, uint32_t crc, size_t size, struct str name, bool central)
{
	buf_u32(out, central ? 0x02014b50 : 0x04034b50);
	if (central)
		buf_u16(out, 20);
	buf_u16(out, 20);
	buf_u16(out, 0);
	buf_u16(out, 0);
	buf_u16(out, 0);
	buf_u16(out, 0x21);
	buf_u32(out, crc);
	buf_u32(out, (uint32_t)size);
	buf_u32(out, (uint32_t)size);
	buf_u16(out, (uint16_t)name.n);
	buf_u16(out, 0);
	if (central) {
		buf_u16(out, 0);
		buf_u16(out, 0);
		buf_u16(out, 0);
		buf_u32(out, 0);
		buf_u32(out, 0);
	}
	buf_str(out, name);
}

static void put_zip(struct buf *out, struct str name, struct str content)
{
	uint32_t crc = (uint32_t)crc32(0, (const unsigned char *)content.p, (uInt)content.n);
	size_t start = out->n, directory;

	put_entry(out, crc, content.n, name, false);
	buf_str(out, content);
	directory = out->n - start;
	put_entry(out, crc, content.n, name, true);
	size_t size = out->n - start - directory;

	buf_u32(out, 0x06054b50);
	buf_u16(out, 0);
	buf_u16(out, 0);
	buf_u16(out, 1);
	buf_u16(out, 1);
	buf_u32(out, (uint32_t)size);
	buf_u32(out, (uint32_t)directory);
	buf_u16(out, 0);
}

int mqs_certificate(struct model *m, struct buf *out)
{
	FILE *f = fopen(arena_cstr(m->arena, m->settings->mqs_ca_file), "re");

	if (!f)
		return err_set(&m->err, ERR_MQS_00400026, "there is no certificate");
	char *content = arena_alloc(m->arena, MAX_CA);
	size_t n = fread(content, 1, MAX_CA, f);
	bool failed = ferror(f) || n == 0 || n == MAX_CA;

	fclose(f);
	if (failed)
		return err_set(&m->err, ERR_MQS_00500000, "the certificate cannot be read");
	put_zip(out, STR("phy_ca.crt"), (struct str){content, n});
	return 0;
}
