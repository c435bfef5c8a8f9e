/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "kafka/error.h"
#include "model/mqs/cluster_priv.h"

#include <stdlib.h>

/* Consumer groups, by our own client: what librdkafka (up to 2.14 at least) asks of coordinators ends the process by an
 * assertion when the connection breaks meanwhile. */

#define MAX_GROUPS 10000
#define AT_ONCE 50 /* groups in a request */

/* The brokers that look after some groups. */
struct node {
	int32_t id;
	struct str address;
	struct kclient *c; /* NULL: not connected yet */
};

struct coordinators {
	struct node *v;
	size_t n;
	size_t *of; /* which one is a group's */
};

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static int by_partition(const void *a, const void *b)
{
	const struct cluster_partition *x = a, *y = b;
	int order = str_cmp(x->topic, y->topic);

	return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static struct str text(struct str s)
{
	return s.p ? s : STR("");
}

static int off_topic(struct model *m)
{
	return err_set(&m->err, ERR_MQS_005000020, "Kafka's answer is not about the group");
}

/* What Kafka says about one group or its partitions. */
static int group_fault(struct model *m, int code)
{
	switch (code) {
	case KAFKA_ERR_GROUP_ID_NOT_FOUND:
	case KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION:
		return CLUSTER_UNKNOWN;
	case KAFKA_ERR_NON_EMPTY_GROUP:
	case KAFKA_ERR_UNKNOWN_MEMBER_ID:
	case KAFKA_ERR_ILLEGAL_GENERATION:
	case KAFKA_ERR_REBALANCE_IN_PROGRESS:
	case KAFKA_ERR_STALE_MEMBER_EPOCH:
		return CLUSTER_BUSY;
	default:
		return cluster__refused(m, code);
	}
}

/* ---- coordinators ---- */

static void take(struct model *m, struct coordinators *c, size_t group, int32_t id, struct str host, int port)
{
	size_t k = 0;

	while (k < c->n && c->v[k].id != id)
		k++;
	if (k == c->n)
		c->v[c->n++] = (struct node){id, cluster__address(m, host, port), NULL};
	c->of[group] = k;
}

/* Before version 4 a request is about one group. */
static int find_one(struct model *m, struct kclient *k, struct str group, size_t i, struct coordinators *c)
{
	struct kafka_find_coordinator_req *req = KAFKA_NEW(m->arena, kafka_find_coordinator_req);
	struct kafka_find_coordinator_res *res = KAFKA_NEW(m->arena, kafka_find_coordinator_res);

	req->key = group;
	int rc = kclient_call(k, KAFKA_API_FIND_COORDINATOR, req, res, &m->err);

	if (rc == 0 && res->error_code)
		rc = cluster__refused(m, res->error_code);
	if (rc == 0)
		take(m, c, i, res->node_id, res->host, res->port);
	return rc;
}

static int find_some(struct model *m, struct kclient *k, const struct str_array *names, size_t from, size_t n,
		     struct coordinators *c)
{
	struct kafka_find_coordinator_req *req = KAFKA_NEW(m->arena, kafka_find_coordinator_req);
	struct kafka_find_coordinator_res *res = KAFKA_NEW(m->arena, kafka_find_coordinator_res);

	req->coordinator_keys.v = names->v + from;
	req->coordinator_keys.n = (int32_t)n;
	int rc = kclient_call(k, KAFKA_API_FIND_COORDINATOR, req, res, &m->err);

	for (size_t i = 0; rc == 0 && i < n; i++) {
		int32_t r = 0;

		while (r < res->coordinators.n && !str_eq(res->coordinators.v[r].key, names->v[from + i]))
			r++;
		if (r >= res->coordinators.n)
			rc = off_topic(m);
		else if (res->coordinators.v[r].error_code)
			rc = cluster__refused(m, res->coordinators.v[r].error_code);
		else
			take(m, c, from + i, res->coordinators.v[r].node_id, res->coordinators.v[r].host,
			     res->coordinators.v[r].port);
	}
	return rc;
}

static int find_coordinators(struct model *m, const struct str_array *names, struct coordinators *ret)
{
	struct kclient *k = NULL;
	int rc = cluster__client(m, STR_NONE, CLUSTER_WAIT_MS, &k);
	bool many = rc == 0 && kclient_version(k, KAFKA_API_FIND_COORDINATOR) >= 4;

	*ret = (struct coordinators){ARENA_ARRAY(m->arena, struct node, names->n + 1), 0,
				     ARENA_ARRAY(m->arena, size_t, names->n + 1)};
	for (size_t i = 0; rc == 0 && i < names->n; i += many ? AT_ONCE : 1)
		rc = many ? find_some(m, k, names, i, names->n - i < AT_ONCE ? names->n - i : AT_ONCE, ret)
			  : find_one(m, k, names->v[i], i, ret);
	kclient_close(k);
	return rc;
}

static void leave(struct coordinators *c)
{
	for (size_t i = 0; i < c->n; i++)
		kclient_close(c->v[i].c);
}

/* Calls ask() with some groups at a time that have the same coordinator: their indexes. */
static int at_coordinators(struct model *m, const struct str_array *names, void *ctx,
			   int (*ask)(struct model *m, struct node *node, const size_t *which, size_t n, void *ctx))
{
	struct coordinators c;
	int rc = find_coordinators(m, names, &c);

	for (size_t k = 0; rc == 0 && k < c.n; k++) {
		size_t which[AT_ONCE], n = 0;

		rc = cluster__client(m, c.v[k].address, CLUSTER_WAIT_MS, &c.v[k].c);
		for (size_t i = 0; rc == 0 && i < names->n; i++) {
			if (c.of[i] != k)
				continue;
			which[n++] = i;
			if (n == AT_ONCE) {
				rc = ask(m, &c.v[k], which, n, ctx);
				n = 0;
			}
		}
		if (rc == 0 && n)
			rc = ask(m, &c.v[k], which, n, ctx);
	}
	leave(&c);
	return rc;
}

/* ---- the list ---- */

static int list_broker(struct model *m, struct str address, struct str_array *ret)
{
	struct kafka_list_groups_req *req = KAFKA_NEW(m->arena, kafka_list_groups_req);
	struct kafka_list_groups_res *res = KAFKA_NEW(m->arena, kafka_list_groups_res);
	struct kclient *c = NULL;
	int rc = cluster__client(m, address, CLUSTER_WAIT_MS, &c);

	req->states_filter.n = req->types_filter.n = 0;
	if (rc == 0)
		rc = kclient_call(c, KAFKA_API_LIST_GROUPS, req, res, &m->err);
	kclient_close(c);
	if (rc == 0 && res->error_code)
		rc = cluster__refused(m, res->error_code);
	for (int32_t i = 0; rc == 0 && i < res->groups.n && ret->n < MAX_GROUPS; i++)
		/* Others are not consumers': Kafka Connect's, for example. */
		if (res->groups.v[i].protocol_type.n == 0 || str_is(res->groups.v[i].protocol_type, "consumer"))
			ret->v[ret->n++] = res->groups.v[i].group_id;
	return rc;
}

int cluster_groups(struct model *m, struct str_array *ret)
{
	struct kafka_metadata_res *md;
	int rc = cluster__metadata(m, &md);

	*ret = (struct str_array){ARENA_ARRAY(m->arena, struct str, MAX_GROUPS + 1), 0};
	/* Groups of a broker that does not answer would be missing. */
	for (int32_t i = 0; rc == 0 && i < md->brokers.n; i++)
		rc = list_broker(m, cluster__address(m, md->brokers.v[i].host, md->brokers.v[i].port), ret);
	if (rc == 0)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_text);
	return rc;
}

/* ---- description ---- */

struct describing {
	const struct str_array *names;
	struct cluster_group *groups;
};

/* States of both protocols, as section 7.5.1 has them. */
static struct str state_of(struct str name)
{
	static const char *const same[] = {"Dead", "Empty", "PreparingRebalance", "CompletingRebalance", "Stable"};

	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		if (str_is(name, same[i]))
			return str_of(same[i]);
	/* "Reconciling", "Assigning" and what may come: members wait for partitions. */
	return str_is(name, "Reconciling") ? STR("CompletingRebalance") : STR("PreparingRebalance");
}

/* The assignment of a member of a classic group is its client's (the consumer protocol); what is none is left out. */
static void copy_assignment(struct model *m, struct str bytes, struct cluster_member *ret)
{
	struct kafka_consumer_protocol_assignment *a = KAFKA_NEW(m->arena, kafka_consumer_protocol_assignment);
	size_t n = 0;

	ret->assigned = ARENA_ARRAY(m->arena, struct cluster_partition, 1);
	if (bytes.n == 0 ||
	    kafka_decode_versioned(&kafka_consumer_protocol_assignment_schema, bytes, m->arena, a, NULL))
		return;
	for (int32_t t = 0; t < a->assigned_partitions.n; t++)
		for (int32_t p = 0; p < a->assigned_partitions.v[t].partitions.n; p++)
			n++;
	ret->assigned = ARENA_ARRAY(m->arena, struct cluster_partition, n + 1);
	for (int32_t t = 0; t < a->assigned_partitions.n; t++)
		for (int32_t p = 0; p < a->assigned_partitions.v[t].partitions.n; p++)
			ret->assigned[ret->n_assigned++] = (struct cluster_partition){
				a->assigned_partitions.v[t].topic, a->assigned_partitions.v[t].partitions.v[p], 0};
	qsort(ret->assigned, ret->n_assigned, sizeof(*ret->assigned), by_partition);
}

static void copy_classic(struct model *m, const struct kafka_describe_groups_res_group *g, int32_t node,
			 struct cluster_group *ret)
{
	ret->state = state_of(g->group_state);
	ret->strategy = text(g->protocol_data);
	ret->coordinator = node;
	ret->n_members = g->members.n < 0 ? 0 : (size_t)g->members.n;
	ret->members = ARENA_ARRAY(m->arena, struct cluster_member, ret->n_members + 1);
	for (size_t i = 0; i < ret->n_members; i++) {
		const struct kafka_describe_groups_res_member *member = &g->members.v[i];

		ret->members[i] = (struct cluster_member){.id = text(member->member_id),
							  .client_id = text(member->client_id),
							  .host = text(member->client_host)};
		copy_assignment(m, str_is(g->protocol_type, "consumer") ? member->member_assignment : STR_NONE,
				&ret->members[i]);
	}
}

static int describe_classic(struct model *m, struct node *node, const size_t *which, size_t n,
			    const struct describing *d)
{
	struct kafka_describe_groups_req *req = KAFKA_NEW(m->arena, kafka_describe_groups_req);
	struct kafka_describe_groups_res *res = KAFKA_NEW(m->arena, kafka_describe_groups_res);

	req->groups.v = ARENA_ARRAY(m->arena, struct str, n);
	req->groups.n = (int32_t)n;
	for (size_t i = 0; i < n; i++)
		req->groups.v[i] = d->names->v[which[i]];
	int rc = kclient_call(node->c, KAFKA_API_DESCRIBE_GROUPS, req, res, &m->err);

	if (rc == 0 && res->groups.n != (int32_t)n)
		rc = off_topic(m);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		const struct kafka_describe_groups_res_group *g = &res->groups.v[i];

		if (!str_eq(g->group_id, d->names->v[which[i]]))
			rc = off_topic(m);
		else if (g->error_code && g->error_code != KAFKA_ERR_GROUP_ID_NOT_FOUND)
			rc = cluster__refused(m, g->error_code);
		else if (!g->error_code && !str_is(g->group_state, "Dead"))
			copy_classic(m, g, node->id, &d->groups[which[i]]);
	}
	return rc;
}

/* A group of the new protocol (KIP-848): to DescribeGroups Apache Kafka says that it is dead, others show members
 * without partitions. */
static bool may_be_new(const struct cluster_group *g)
{
	for (size_t i = 0; i < g->n_members; i++)
		if (g->members[i].n_assigned)
			return false;
	return g->n_members || str_is(g->state, "Dead");
}

static void copy_new_member(struct model *m, const struct kafka_consumer_group_describe_res_member *member,
			    struct cluster_member *ret)
{
	size_t n = 0;

	for (int32_t t = 0; t < member->assignment.topic_partitions.n; t++)
		for (int32_t p = 0; p < member->assignment.topic_partitions.v[t].partitions.n; p++)
			n++;
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

static int describe_new(struct model *m, struct node *node, struct cluster_group *ret)
{
	struct kafka_consumer_group_describe_req *req = KAFKA_NEW(m->arena, kafka_consumer_group_describe_req);
	struct kafka_consumer_group_describe_res *res = KAFKA_NEW(m->arena, kafka_consumer_group_describe_res);

	req->group_ids.v = &ret->name;
	req->group_ids.n = 1;
	int rc = kclient_call(node->c, KAFKA_API_CONSUMER_GROUP_DESCRIBE, req, res, &m->err);

	if (rc || res->groups.n != 1)
		return rc ? rc : off_topic(m);
	const struct kafka_consumer_group_describe_res_group *g = &res->groups.v[0];

	if (g->error_code)
		return g->error_code == KAFKA_ERR_GROUP_ID_NOT_FOUND ? 0 : cluster__refused(m, g->error_code);
	ret->state = state_of(g->group_state);
	ret->strategy = text(g->assignor_name);
	ret->coordinator = node->id;
	ret->n_members = g->members.n < 0 ? 0 : (size_t)g->members.n;
	ret->members = ARENA_ARRAY(m->arena, struct cluster_member, ret->n_members + 1);
	for (size_t i = 0; i < ret->n_members; i++)
		copy_new_member(m, &g->members.v[i], &ret->members[i]);
	return 0;
}

static int describe_some(struct model *m, struct node *node, const size_t *which, size_t n, void *ctx)
{
	const struct describing *d = ctx;
	int rc = describe_classic(m, node, which, n, d);

	/* An older Kafka has no groups of the new protocol. */
	if (rc == 0 && kclient_version(node->c, KAFKA_API_CONSUMER_GROUP_DESCRIBE) >= 0)
		for (size_t i = 0; rc == 0 && i < n; i++)
			if (may_be_new(&d->groups[which[i]]))
				rc = describe_new(m, node, &d->groups[which[i]]);
	return rc;
}

int cluster_describe(struct model *m, const struct str_array *names, struct cluster_group *ret)
{
	struct describing d = {names, ret};

	for (size_t i = 0; i < names->n; i++)
		ret[i] = (struct cluster_group){
			.name = names->v[i], .state = STR("Dead"), .strategy = STR(""), .coordinator = -1};
	return names->n ? at_coordinators(m, names, &d, describe_some) : 0;
}

/* ---- offsets ---- */

struct fetching {
	const struct str_array *names;
	struct cluster_offsets *ret;
};

static void add_offset(struct cluster_offsets *o, struct str topic, int32_t partition, int64_t offset, int error)
{
	if (offset >= 0 && error == 0)
		o->v[o->n++] = (struct cluster_partition){topic, partition, offset};
}

/* Version 8 and later: several groups. */
static int copy_offsets(struct model *m, const struct kafka_offset_fetch_res_group *g, struct cluster_offsets *ret)
{
	size_t n = 0;

	if (g->error_code == KAFKA_ERR_GROUP_ID_NOT_FOUND)
		return 0;
	if (g->error_code)
		return cluster__refused(m, g->error_code);
	for (int32_t t = 0; t < g->topics.n; t++)
		for (int32_t p = 0; p < g->topics.v[t].partitions.n; p++)
			n++;
	ret->v = ARENA_ARRAY(m->arena, struct cluster_partition, n + 1);
	for (int32_t t = 0; t < g->topics.n; t++)
		for (int32_t p = 0; p < g->topics.v[t].partitions.n; p++) {
			const struct kafka_offset_fetch_res_topic_partition *part = &g->topics.v[t].partitions.v[p];

			add_offset(ret, g->topics.v[t].name, part->partition_index, part->committed_offset,
				   part->error_code);
		}
	qsort(ret->v, ret->n, sizeof(*ret->v), by_partition);
	return 0;
}

static int fetch_many(struct model *m, struct node *node, const size_t *which, size_t n, const struct fetching *f)
{
	struct kafka_offset_fetch_req *req = KAFKA_NEW(m->arena, kafka_offset_fetch_req);
	struct kafka_offset_fetch_res *res = KAFKA_NEW(m->arena, kafka_offset_fetch_res);

	req->groups.v = KAFKA_ARRAY(m->arena, kafka_offset_fetch_req_group, n);
	req->groups.n = (int32_t)n;
	for (size_t i = 0; i < n; i++) {
		req->groups.v[i].group_id = f->names->v[which[i]];
		req->groups.v[i].topics.n = -1; /* all */
	}
	int rc = kclient_call(node->c, KAFKA_API_OFFSET_FETCH, req, res, &m->err);

	if (rc == 0 && res->groups.n != (int32_t)n)
		rc = off_topic(m);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = str_eq(res->groups.v[i].group_id, f->names->v[which[i]])
			     ? copy_offsets(m, &res->groups.v[i], &f->ret[which[i]])
			     : off_topic(m);
	return rc;
}

static int fetch_one(struct model *m, struct node *node, struct str group, struct cluster_offsets *ret)
{
	struct kafka_offset_fetch_req *req = KAFKA_NEW(m->arena, kafka_offset_fetch_req);
	struct kafka_offset_fetch_res *res = KAFKA_NEW(m->arena, kafka_offset_fetch_res);
	size_t n = 0;

	req->group_id = group;
	req->topics.n = -1;
	int rc = kclient_call(node->c, KAFKA_API_OFFSET_FETCH, req, res, &m->err);

	if (rc == 0 && res->error_code && res->error_code != KAFKA_ERR_GROUP_ID_NOT_FOUND)
		rc = cluster__refused(m, res->error_code);
	if (rc)
		return rc;
	for (int32_t t = 0; t < res->topics.n; t++)
		for (int32_t p = 0; p < res->topics.v[t].partitions.n; p++)
			n++;
	ret->v = ARENA_ARRAY(m->arena, struct cluster_partition, n + 1);
	for (int32_t t = 0; t < res->topics.n; t++)
		for (int32_t p = 0; p < res->topics.v[t].partitions.n; p++) {
			const struct kafka_offset_fetch_res_partition *part = &res->topics.v[t].partitions.v[p];

			add_offset(ret, res->topics.v[t].name, part->partition_index, part->committed_offset,
				   part->error_code);
		}
	qsort(ret->v, ret->n, sizeof(*ret->v), by_partition);
	return 0;
}

static int fetch_some(struct model *m, struct node *node, const size_t *which, size_t n, void *ctx)
{
	const struct fetching *f = ctx;
	int rc = 0;

	if (kclient_version(node->c, KAFKA_API_OFFSET_FETCH) >= 8)
		return fetch_many(m, node, which, n, f);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = fetch_one(m, node, f->names->v[which[i]], &f->ret[which[i]]);
	return rc;
}

int cluster_group_offsets(struct model *m, const struct str_array *names, struct cluster_offsets *ret)
{
	struct fetching f = {names, ret};

	for (size_t i = 0; i < names->n; i++)
		ret[i] = (struct cluster_offsets){ARENA_NEW(m->arena, struct cluster_partition), 0};
	return names->n ? at_coordinators(m, names, &f, fetch_some) : 0;
}

struct committing {
	struct str group;
	const struct cluster_partition *list; /* of one topic */
	size_t n;
};

static int commit(struct model *m, struct node *node, const size_t *which, size_t n, void *ctx)
{
	const struct committing *c = ctx;
	struct kafka_offset_commit_req *req = KAFKA_NEW(m->arena, kafka_offset_commit_req);
	struct kafka_offset_commit_res *res = KAFKA_NEW(m->arena, kafka_offset_commit_res);
	struct kafka_offset_commit_req_topic *topic = KAFKA_ARRAY(m->arena, kafka_offset_commit_req_topic, 1);

	req->group_id = c->group;
	req->generation_id_or_member_epoch = -1; /* no member */
	req->topics.v = topic;
	req->topics.n = 1;
	topic->name = c->list[0].topic;
	topic->partitions.n = (int32_t)c->n;
	topic->partitions.v = KAFKA_ARRAY(m->arena, kafka_offset_commit_req_partition, c->n);
	for (size_t i = 0; i < c->n; i++) {
		topic->partitions.v[i].partition_index = (int32_t)c->list[i].partition;
		topic->partitions.v[i].committed_offset = c->list[i].offset;
		topic->partitions.v[i].committed_metadata = STR("");
	}
	int rc = kclient_call(node->c, KAFKA_API_OFFSET_COMMIT, req, res, &m->err);

	for (int32_t t = 0; rc == 0 && t < res->topics.n; t++)
		for (int32_t p = 0; rc == 0 && p < res->topics.v[t].partitions.n; p++)
			if (res->topics.v[t].partitions.v[p].error_code)
				rc = group_fault(m, res->topics.v[t].partitions.v[p].error_code);
	return rc;
}

int cluster_group_set_offsets(struct model *m, struct str group, const struct cluster_partition *list, size_t n)
{
	struct committing c = {group, list, n};
	struct str_array one = {&group, 1};

	return n ? at_coordinators(m, &one, &c, commit) : 0;
}

static int delete (struct model *m, struct node *node, const size_t *which, size_t n, void *ctx)
{
	struct kafka_delete_groups_req *req = KAFKA_NEW(m->arena, kafka_delete_groups_req);
	struct kafka_delete_groups_res *res = KAFKA_NEW(m->arena, kafka_delete_groups_res);

	req->groups_names.v = ctx;
	req->groups_names.n = 1;
	int rc = kclient_call(node->c, KAFKA_API_DELETE_GROUPS, req, res, &m->err);

	if (rc == 0 && res->results.n != 1)
		rc = off_topic(m);
	return rc || !res->results.v[0].error_code ? rc : group_fault(m, res->results.v[0].error_code);
}

int cluster_group_delete(struct model *m, struct str group)
{
	struct str_array one = {&group, 1};

	return at_coordinators(m, &one, &group, delete);
}
