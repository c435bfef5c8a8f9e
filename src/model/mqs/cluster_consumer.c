/* SPDX-License-Identifier: Apache-2.0 */
#include "kafka/error.h"
#include "model/mqs/cluster_priv.h"

#include <stdlib.h>

/* Groups of the new protocol (KIP-848): ConsumerGroupDescribe at their coordinators. To DescribeGroups, all that
 * librdkafka has, Apache Kafka says that they are dead, others show members without partitions. */

struct state_name {
	const char *kafka, *ours;
};

/* Their states, as section 7.5.1 has them. */
static struct str state_of(struct str name)
{
	static const struct state_name names[] = {{"Assigning", "PreparingRebalance"},
						  {"Reconciling", "CompletingRebalance"},
						  {"Stable", "Stable"},
						  {"Empty", "Empty"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (str_is(name, names[i].kafka))
			return str_of(names[i].ours);
	return STR("Dead");
}

static struct str text(struct str s)
{
	return s.p ? s : STR("");
}

static int by_partition(const void *a, const void *b)
{
	const struct cluster_partition *x = a, *y = b;
	int order = str_cmp(x->topic, y->topic);

	return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static void copy_member(struct model *m, const struct kafka_consumer_group_describe_res_member *member,
			struct cluster_member *ret)
{
	size_t n = 0;

	for (int32_t t = 0; t < member->assignment.topic_partitions.n; t++)
		n += (size_t)member->assignment.topic_partitions.v[t].partitions.n;
	*ret = (struct cluster_member){text(member->member_id), text(member->client_id), text(member->client_host),
				       ARENA_ARRAY(m->arena, struct cluster_partition, n + 1), 0};
	for (int32_t t = 0; t < member->assignment.topic_partitions.n; t++) {
		const struct kafka_consumer_group_describe_res_topic_partitions *topic =
			&member->assignment.topic_partitions.v[t];

		for (int32_t p = 0; p < topic->partitions.n; p++)
			ret->assigned[ret->n_assigned++] =
				(struct cluster_partition){topic->topic_name, topic->partitions.v[p], 0};
	}
	qsort(ret->assigned, ret->n_assigned, sizeof(*ret->assigned), by_partition);
}

static int find_coordinator(struct model *m, struct kclient *c, struct str group,
			    struct kafka_find_coordinator_res_coordinator *ret)
{
	struct kafka_find_coordinator_req *req = KAFKA_NEW(m->arena, kafka_find_coordinator_req);
	struct kafka_find_coordinator_res *res = KAFKA_NEW(m->arena, kafka_find_coordinator_res);

	req->coordinator_keys.v = &group;
	req->coordinator_keys.n = 1;
	int rc = kclient_call(c, KAFKA_API_FIND_COORDINATOR, req, res, &m->err);

	if (rc == 0 && res->coordinators.n != 1)
		rc = err_set(&m->err, ERR_MQS_005000020, "Kafka's answer is not about the group");
	if (rc == 0 && res->coordinators.v[0].error_code)
		rc = cluster__refused(m, res->coordinators.v[0].error_code);
	if (rc == 0)
		*ret = res->coordinators.v[0];
	return rc;
}

static int ask(struct model *m, struct kclient *c, struct cluster_group *g)
{
	struct kafka_consumer_group_describe_req *req = KAFKA_NEW(m->arena, kafka_consumer_group_describe_req);
	struct kafka_consumer_group_describe_res *res = KAFKA_NEW(m->arena, kafka_consumer_group_describe_res);

	req->group_ids.v = &g->name;
	req->group_ids.n = 1;
	int rc = kclient_call(c, KAFKA_API_CONSUMER_GROUP_DESCRIBE, req, res, &m->err);

	if (rc || res->groups.n != 1)
		return rc;
	const struct kafka_consumer_group_describe_res_group *group = &res->groups.v[0];

	if (group->error_code == KAFKA_ERR_GROUP_ID_NOT_FOUND)
		return 0;
	if (group->error_code)
		return cluster__refused(m, group->error_code);
	g->state = state_of(group->group_state);
	g->strategy = text(group->assignor_name);
	g->n_members = group->members.n < 0 ? 0 : (size_t)group->members.n;
	g->members = ARENA_ARRAY(m->arena, struct cluster_member, g->n_members + 1);
	for (size_t i = 0; i < g->n_members; i++)
		copy_member(m, &group->members.v[i], &g->members[i]);
	return 0;
}

static int describe_one(struct model *m, struct kclient *c, struct cluster_group *g)
{
	struct kafka_find_coordinator_res_coordinator at;
	struct kclient *there = NULL;
	int rc = find_coordinator(m, c, g->name, &at);

	if (rc)
		return rc;
	rc = cluster__client(m, cluster__address(m, at.host, at.port), CLUSTER_WAIT_MS, &there);
	if (rc == 0)
		rc = ask(m, there, g);
	kclient_close(there);
	if (rc == 0 && !str_is(g->state, "Dead"))
		g->coordinator = at.node_id;
	return rc;
}

static bool may_be_new(const struct cluster_group *g)
{
	for (size_t i = 0; i < g->n_members; i++)
		if (g->members[i].n_assigned)
			return false;
	return g->n_members || str_is(g->state, "Dead");
}

int cluster__describe_consumers(struct model *m, struct cluster_group *groups, size_t n)
{
	struct kclient *c = NULL;
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any |= may_be_new(&groups[i]);
	if (!any)
		return 0;
	int rc = cluster__client(m, STR_NONE, CLUSTER_WAIT_MS, &c);

	/* An older Kafka has no such groups. */
	if (rc == 0 && kclient_version(c, KAFKA_API_CONSUMER_GROUP_DESCRIBE) >= 0)
		for (size_t i = 0; rc == 0 && i < n; i++)
			if (may_be_new(&groups[i]))
				rc = describe_one(m, c, &groups[i]);
	kclient_close(c);
	return rc;
}
