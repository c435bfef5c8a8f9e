/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "kafka/error.h"
#include "model/mqs/cluster_priv.h"

/* What librdkafka lacks, by our own client. */

#define PROBE_MS 5000
#define MAX_BROKERS 1000

int64_t cluster__left_ms(const struct model *m)
{
	int64_t left = m->now_ms + CLUSTER_CALL_MS - clock_now_ms();

	return left < 0 ? 0 : left > CLUSTER_WAIT_MS ? CLUSTER_WAIT_MS : left;
}

int cluster__away(struct model *m, const char *why)
{
	return err_set_retriable(&m->err, ERR_MQS_005000053, "Kafka at %.*s does not answer (%s)",
				 STR_FMT(m->settings->mqs_servers), why);
}

struct kclient_settings cluster__settings(const struct model_settings *s)
{
	return (struct kclient_settings){
		.servers = s->mqs_servers,
		.protocol = s->mqs_protocol,
		.mechanism = s->mqs_mechanism,
		.user = s->mqs_user,
		.password = s->mqs_password,
		.ca_file = s->mqs_ca_file,
	};
}

int cluster__client(struct model *m, struct str server, int64_t wait_ms, struct kclient **ret)
{
	struct kclient_settings *k = ARENA_NEW(m->arena, struct kclient_settings);
	int64_t left = cluster__left_ms(m);

	*k = cluster__settings(m->settings);
	if (server.p)
		k->servers = server;
	return kclient_open(m->arena, k, clock_mono_ms() + (wait_ms < left ? wait_ms : left), ret, &m->err);
}

int cluster_ping(struct model *m)
{
	struct kclient *c = NULL;
	int rc = cluster__client(m, STR_NONE, PROBE_MS, &c);

	if (rc == 0)
		kclient_close(c);
	return rc;
}

int cluster__refused(struct model *m, int code)
{
	const struct kafka_error_row *row = kafka_error_row(code);

	return row->retriable ? cluster__away(m, row->name)
			      : err_set(&m->err, ERR_MQS_005000020, "Kafka refused it: %s", row->text);
}

struct str cluster__address(struct model *m, struct str host, int port)
{
	bool v6 = str_find(host, ':', 0) < host.n;

	return arena_fmt(m->arena, v6 ? "[%.*s]:%d" : "%.*s:%d", STR_FMT(host), port);
}

int cluster__metadata(struct model *m, struct kafka_metadata_res **ret)
{
	struct kafka_metadata_req *req = KAFKA_NEW(m->arena, kafka_metadata_req);
	struct kclient *c = NULL;
	int rc = cluster__client(m, STR_NONE, PROBE_MS, &c);

	*ret = KAFKA_NEW(m->arena, kafka_metadata_res);
	req->topics.n = 0;
	if (rc == 0)
		rc = kclient_call(c, KAFKA_API_METADATA, req, *ret, &m->err);
	kclient_close(c);
	if (rc == 0 && (*ret)->brokers.n > MAX_BROKERS)
		rc = err_set(&m->err, ERR_MQS_005000020, "Kafka has too many brokers");
	return rc;
}

/* ---- disks ---- */

static int ask_dirs(struct model *m, const struct kafka_metadata_res_broker *b, struct kafka_describe_log_dirs_res *res)
{
	struct kafka_describe_log_dirs_req *req = KAFKA_NEW(m->arena, kafka_describe_log_dirs_req);
	struct kclient *c = NULL;
	int rc = cluster__client(m, cluster__address(m, b->host, b->port), PROBE_MS, &c);

	req->topics.v = NULL;
	req->topics.n = -1; /* all */
	if (rc == 0)
		rc = kclient_call(c, KAFKA_API_DESCRIBE_LOG_DIRS, req, res, &m->err);
	kclient_close(c);
	/* Older versions answer with nothing where the user lacks the right. */
	if (rc == 0 && res->error_code)
		rc = cluster__refused(m, res->error_code);
	return rc;
}

static void add_dir(const struct kafka_describe_log_dirs_res_result *dir, struct cluster_disk *ret)
{
	for (int32_t t = 0; t < dir->topics.n; t++) {
		const struct kafka_describe_log_dirs_res_topic *topic = &dir->topics.v[t];

		for (int32_t p = 0; p < topic->partitions.n; p++)
			ret->replicas[ret->n_replicas++] =
				(struct cluster_replica){topic->name, topic->partitions.v[p].partition_index,
							 topic->partitions.v[p].partition_size};
	}
	if (dir->total_bytes < 0 || dir->usable_bytes < 0)
		ret->known = false;
	ret->total += dir->total_bytes < 0 ? 0 : dir->total_bytes;
	ret->usable += dir->usable_bytes < 0 ? 0 : dir->usable_bytes;
}

/* Folders of a broker are taken for disks of their own, as Kafka means them. */
static int read_disk(struct model *m, const struct kafka_metadata_res_broker *b, struct cluster_disk *ret)
{
	struct kafka_describe_log_dirs_res *res = KAFKA_NEW(m->arena, kafka_describe_log_dirs_res);
	size_t n = 0;
	int rc = ask_dirs(m, b, res);

	if (rc)
		return rc;
	for (int32_t d = 0; d < res->results.n; d++)
		for (int32_t t = 0; t < res->results.v[d].topics.n; t++)
			n += (size_t)res->results.v[d].topics.v[t].partitions.n;
	ret->replicas = arena_try(m->arena, (n + 1) * sizeof(*ret->replicas));
	if (!ret->replicas)
		return err_set(&m->err, ERR_MQS_005000020, "Kafka has too many partitions");
	ret->known = res->results.n > 0;
	ret->answered = true;
	for (int32_t d = 0; d < res->results.n; d++) {
		if (res->results.v[d].error_code)
			ret->answered = false; /* a disk that has failed */
		else
			add_dir(&res->results.v[d], ret);
	}
	return 0;
}

int cluster_disks(struct model *m, struct cluster_disk **ret, size_t *ret_n)
{
	struct kafka_metadata_res *md;
	struct err first = {0};
	size_t failures = 0;
	int rc = cluster__metadata(m, &md);

	if (rc)
		return rc;
	*ret_n = md->brokers.n < 0 ? 0 : (size_t)md->brokers.n;
	*ret = ARENA_ARRAY(m->arena, struct cluster_disk, *ret_n + 1);
	for (size_t i = 0; i < *ret_n; i++) {
		struct cluster_disk *disk = &(*ret)[i];

		*disk = (struct cluster_disk){.broker = md->brokers.v[i].node_id};
		if (read_disk(m, &md->brokers.v[i], disk) && failures++ == 0)
			first = m->err;
		m->err = (struct err){0};
	}
	if (failures && failures == *ret_n)
		m->err = first;
	return m->err.code;
}
