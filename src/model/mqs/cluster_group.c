/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mqs/cluster_priv.h"

#include <stdlib.h>

#define MAX_GROUPS 10000

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

int cluster_groups(struct model *m, struct str_array *ret)
{
	struct cluster_ask ask;
	size_t n = 0, errors = 0;
	int rc = cluster__begin(m, &ask, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS);

	if (rc == 0) {
		rd_kafka_ListConsumerGroups(ask.rk, ask.options, ask.queue);
		rc = cluster__await(m, &ask);
	}
	if (rc == 0) {
		const rd_kafka_ListConsumerGroups_result_t *result =
			rd_kafka_event_ListConsumerGroups_result(ask.event);
		const rd_kafka_ConsumerGroupListing_t **list = rd_kafka_ListConsumerGroups_result_valid(result, &n);
		const rd_kafka_error_t **bad = rd_kafka_ListConsumerGroups_result_errors(result, &errors);

		/* Groups of a broker that does not answer would be missing. */
		if (errors)
			rc = cluster__fault(m, rd_kafka_error_code(bad[0]), rd_kafka_error_string(bad[0]));
		n = n > MAX_GROUPS ? MAX_GROUPS : n;
		ret->v = ARENA_ARRAY(m->arena, struct str, n + 1);
		for (ret->n = 0; ret->n < n; ret->n++)
			ret->v[ret->n] = arena_str(m->arena,
						   str_of(rd_kafka_ConsumerGroupListing_group_id(list[ret->n])));
		qsort(ret->v, ret->n, sizeof(*ret->v), by_text);
	}
	cluster__end(&ask);
	return rc;
}

static struct cluster_partition *copy_partitions(struct model *m, const rd_kafka_topic_partition_list_t *list,
						 size_t *ret_n)
{
	size_t n = list ? (size_t)list->cnt : 0;
	struct cluster_partition *out = ARENA_ARRAY(m->arena, struct cluster_partition, n + 1);

	for (size_t i = 0; i < n; i++)
		out[i] = (struct cluster_partition){arena_str(m->arena, str_of(list->elems[i].topic)),
						    list->elems[i].partition, list->elems[i].offset};
	qsort(out, n, sizeof(*out), by_partition);
	*ret_n = n;
	return out;
}

/* The groups of KIP-848 have states of their own, in which members wait for partitions. */
static const char *state_name(rd_kafka_consumer_group_state_t state)
{
	return state == RD_KAFKA_CONSUMER_GROUP_STATE_UNKNOWN ? "PreparingRebalance"
							      : rd_kafka_consumer_group_state_name(state);
}

static struct str text(struct model *m, const char *s)
{
	return s ? arena_str(m->arena, str_of(s)) : STR("");
}

static void copy_group(struct model *m, const rd_kafka_ConsumerGroupDescription_t *g, struct cluster_group *ret)
{
	const rd_kafka_Node_t *node = rd_kafka_ConsumerGroupDescription_coordinator(g);

	ret->state = str_of(state_name(rd_kafka_ConsumerGroupDescription_state(g)));
	ret->strategy = text(m, rd_kafka_ConsumerGroupDescription_partition_assignor(g));
	ret->coordinator = node ? rd_kafka_Node_id(node) : -1;
	ret->n_members = rd_kafka_ConsumerGroupDescription_member_count(g);
	ret->members = ARENA_ARRAY(m->arena, struct cluster_member, ret->n_members + 1);
	for (size_t i = 0; i < ret->n_members; i++) {
		const rd_kafka_MemberDescription_t *member = rd_kafka_ConsumerGroupDescription_member(g, i);
		const rd_kafka_MemberAssignment_t *has = rd_kafka_MemberDescription_assignment(member);
		struct cluster_member *out = &ret->members[i];

		out->id = text(m, rd_kafka_MemberDescription_consumer_id(member));
		out->client_id = text(m, rd_kafka_MemberDescription_client_id(member));
		out->host = text(m, rd_kafka_MemberDescription_host(member));
		out->assigned = copy_partitions(m, has ? rd_kafka_MemberAssignment_partitions(has) : NULL,
						&out->n_assigned);
	}
}

static int copy_groups(struct model *m, rd_kafka_event_t *event, const struct str_array *names,
		       struct cluster_group *ret)
{
	size_t n = 0;
	const rd_kafka_ConsumerGroupDescription_t **list = rd_kafka_DescribeConsumerGroups_result_groups(
		rd_kafka_event_DescribeConsumerGroups_result(event), &n);

	for (size_t i = 0; i < names->n; i++) {
		ret[i] = (struct cluster_group){.name = names->v[i], .state = STR("Dead"), .coordinator = -1};
		for (size_t k = 0; k < n; k++) {
			const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(list[k]);
			int rc = 0;

			if (!str_is(names->v[i], rd_kafka_ConsumerGroupDescription_group_id(list[k])))
				continue;
			if (error && rd_kafka_error_code(error))
				rc = cluster__fault(m, rd_kafka_error_code(error), rd_kafka_error_string(error));
			if (rc < 0)
				return rc;
			if (rc == 0)
				copy_group(m, list[k], &ret[i]);
		}
	}
	return 0;
}

int cluster_describe(struct model *m, const struct str_array *names, struct cluster_group *ret)
{
	const char **asked = ARENA_ARRAY(m->arena, const char *, names->n + 1);
	struct cluster_ask ask;

	if (names->n == 0)
		return 0;
	int rc = cluster__begin(m, &ask, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);

	for (size_t i = 0; i < names->n; i++)
		asked[i] = arena_cstr(m->arena, names->v[i]);
	if (rc == 0) {
		rd_kafka_DescribeConsumerGroups(ask.rk, asked, names->n, ask.options, ask.queue);
		rc = cluster__await(m, &ask);
	}
	if (rc == 0)
		rc = copy_groups(m, ask.event, names, ret);
	cluster__end(&ask);
	return rc ? rc : cluster__describe_consumers(m, ret, names->n);
}

/* The first error of a group's answer, of the group or of one of its partitions. */
static int group_result(struct model *m, const rd_kafka_group_result_t **list, size_t n)
{
	if (n != 1)
		return err_set(&m->err, ERR_MQS_005000020, "Kafka's answer is not about the group");
	const rd_kafka_error_t *error = rd_kafka_group_result_error(list[0]);
	const rd_kafka_topic_partition_list_t *parts = rd_kafka_group_result_partitions(list[0]);

	if (error)
		return cluster__fault(m, rd_kafka_error_code(error), rd_kafka_error_string(error));
	for (int i = 0; parts && i < parts->cnt; i++)
		if (parts->elems[i].err)
			return cluster__fault(m, parts->elems[i].err, NULL);
	return 0;
}

int cluster_group_offsets(struct model *m, struct str group, struct cluster_partition **ret, size_t *ret_n)
{
	struct cluster_ask ask;
	size_t n = 0, kept = 0;
	int rc = cluster__begin(m, &ask, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);

	*ret = NULL;
	*ret_n = 0;
	if (rc == 0) {
		rd_kafka_ListConsumerGroupOffsets_t *asked =
			rd_kafka_ListConsumerGroupOffsets_new(arena_cstr(m->arena, group), NULL);

		rd_kafka_ListConsumerGroupOffsets(ask.rk, &asked, 1, ask.options, ask.queue);
		rc = cluster__await(m, &ask);
		rd_kafka_ListConsumerGroupOffsets_destroy(asked);
	}
	if (rc == 0) {
		const rd_kafka_group_result_t **list = rd_kafka_ListConsumerGroupOffsets_result_groups(
			rd_kafka_event_ListConsumerGroupOffsets_result(ask.event), &n);

		rc = group_result(m, list, n);
		if (rc == 0)
			*ret = copy_partitions(m, rd_kafka_group_result_partitions(list[0]), &n);
		for (size_t i = 0; rc == 0 && i < n; i++)
			if ((*ret)[i].offset >= 0)
				(*ret)[kept++] = (*ret)[i];
		*ret_n = kept;
	}
	cluster__end(&ask);
	return rc == CLUSTER_UNKNOWN ? 0 : rc;
}

static rd_kafka_topic_partition_list_t *list_of(struct model *m, const struct cluster_partition *list, size_t n)
{
	rd_kafka_topic_partition_list_t *out = rd_kafka_topic_partition_list_new((int)n);

	for (size_t i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(out, arena_cstr(m->arena, list[i].topic), (int32_t)list[i].partition)
			->offset = list[i].offset;
	return out;
}

int cluster_group_set_offsets(struct model *m, struct str group, const struct cluster_partition *list, size_t n)
{
	rd_kafka_topic_partition_list_t *parts = list_of(m, list, n);
	struct cluster_ask ask;
	size_t results = 0;
	int rc = cluster__begin(m, &ask, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);

	if (rc == 0) {
		rd_kafka_AlterConsumerGroupOffsets_t *asked =
			rd_kafka_AlterConsumerGroupOffsets_new(arena_cstr(m->arena, group), parts);

		rd_kafka_AlterConsumerGroupOffsets(ask.rk, &asked, 1, ask.options, ask.queue);
		rc = cluster__await(m, &ask);
		rd_kafka_AlterConsumerGroupOffsets_destroy(asked);
	}
	if (rc == 0) {
		const rd_kafka_group_result_t **answer = rd_kafka_AlterConsumerGroupOffsets_result_groups(
			rd_kafka_event_AlterConsumerGroupOffsets_result(ask.event), &results);

		rc = group_result(m, answer, results);
	}
	cluster__end(&ask);
	rd_kafka_topic_partition_list_destroy(parts);
	return rc;
}

int cluster_group_delete(struct model *m, struct str group)
{
	struct cluster_ask ask;
	size_t n = 0;
	int rc = cluster__begin(m, &ask, RD_KAFKA_ADMIN_OP_DELETEGROUPS);

	if (rc == 0) {
		rd_kafka_DeleteGroup_t *old = rd_kafka_DeleteGroup_new(arena_cstr(m->arena, group));

		rd_kafka_DeleteGroups(ask.rk, &old, 1, ask.options, ask.queue);
		rc = cluster__await(m, &ask);
		rd_kafka_DeleteGroup_destroy(old);
	}
	if (rc == 0) {
		const rd_kafka_group_result_t **answer =
			rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(ask.event), &n);

		rc = group_result(m, answer, n);
	}
	cluster__end(&ask);
	return rc;
}

/* The library passes special times (-1: end, -2: start) on as they are. A partition that is gone has no end: 0. */
int cluster_ends(struct model *m, struct cluster_partition *list, size_t n)
{
	rd_kafka_topic_partition_list_t *parts;
	rd_kafka_resp_err_t code;
	rd_kafka_t *rk;

	if (n == 0)
		return 0;
	int rc = cluster__handle(m, &rk);

	if (rc)
		return rc;
	parts = list_of(m, list, n);
	for (size_t i = 0; i < n; i++)
		parts->elems[i].offset = CLUSTER_END;
	code = rd_kafka_offsets_for_times(rk, parts, (int)cluster__left_ms(m));
	for (size_t i = 0; i < n; i++)
		list[i].offset = parts->elems[i].err || parts->elems[i].offset < 0 ? 0 : parts->elems[i].offset;
	rd_kafka_topic_partition_list_destroy(parts);
	rc = code ? cluster__fault(m, code, NULL) : 0;
	return rc == CLUSTER_UNKNOWN ? 0 : rc;
}

int cluster_offsets(struct model *m, struct str topic, size_t n, int64_t at_ms, int64_t *ret)
{
	struct cluster_partition *list = ARENA_ARRAY(m->arena, struct cluster_partition, n + 1), *ends;
	rd_kafka_topic_partition_list_t *parts;
	rd_kafka_resp_err_t code;
	rd_kafka_t *rk;
	int rc = cluster__handle(m, &rk);

	if (rc)
		return rc;
	for (size_t i = 0; i < n; i++)
		list[i] = (struct cluster_partition){topic, (int64_t)i, at_ms};
	parts = list_of(m, list, n);
	code = rd_kafka_offsets_for_times(rk, parts, (int)cluster__left_ms(m));
	for (size_t i = 0; !code && i < n; i++) {
		code = parts->elems[i].err;
		ret[i] = parts->elems[i].offset;
	}
	rd_kafka_topic_partition_list_destroy(parts);
	if (code)
		return cluster__fault(m, code, NULL);
	if (at_ms < 0)
		return 0;
	/* No record is that young. */
	ends = list;
	rc = cluster_ends(m, ends, n);
	for (size_t i = 0; rc == 0 && i < n; i++)
		if (ret[i] < 0)
			ret[i] = ends[i].offset;
	return rc;
}
