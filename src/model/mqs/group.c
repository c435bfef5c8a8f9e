/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mqs/group.h"

#include "model/mqs/cluster.h"
#include "model/mqs/topic.h"

#include <ctype.h>

#define DEFAULT_LIMIT 10
#define MAX_BATCH 100

static struct str lower(struct model *m, struct str s)
{
	char *out = arena_cstr(m->arena, s);

	for (size_t i = 0; i < s.n; i++)
		out[i] = (char)tolower((unsigned char)out[i]);
	return (struct str){out, s.n};
}

/* The ends of partitions in which offsets are committed. */
static int ends_of(struct model *m, const struct cluster_offsets *at, struct cluster_partition **ret)
{
	*ret = ARENA_ARRAY(m->arena, struct cluster_partition, at->n + 1);
	for (size_t i = 0; i < at->n; i++)
		(*ret)[i] = at->v[i];
	return cluster_ends(m, *ret, at->n);
}

static int64_t lag_of(const struct cluster_partition *at, const struct cluster_partition *end)
{
	return end->offset > at->offset ? end->offset - at->offset : 0;
}

/* Keeps the groups that have to do with the topic: they have committed an offset of it or read it now. */
static int keep_topic(struct model *m, struct str topic, struct str_array *list)
{
	struct cluster_group *groups = ARENA_ARRAY(m->arena, struct cluster_group, list->n + 1);
	struct cluster_offsets *at = ARENA_ARRAY(m->arena, struct cluster_offsets, list->n + 1);
	size_t kept = 0;
	int rc = cluster_describe(m, list, groups);

	if (rc == 0)
		rc = cluster_group_offsets(m, list, at);
	for (size_t i = 0; rc == 0 && i < list->n; i++) {
		bool uses = false;

		for (size_t k = 0; k < at[i].n; k++)
			uses |= str_eq(at[i].v[k].topic, topic);
		for (size_t k = 0; k < groups[i].n_members; k++)
			for (size_t p = 0; p < groups[i].members[k].n_assigned; p++)
				uses |= str_eq(groups[i].members[k].assigned[p].topic, topic);
		if (uses)
			list->v[kept++] = list->v[i];
	}
	list->n = kept;
	return rc;
}

static int find_all(struct model *m, const struct mqs_list_mqs_instance_groups_in *in, struct str_array *ret)
{
	struct str part = lower(m, in->group.p ? in->group : STR(""));
	size_t kept = 0;
	int rc = cluster_groups(m, ret);

	for (size_t i = 0; rc == 0 && i < ret->n; i++)
		if (part.n == 0 || str_contains(lower(m, ret->v[i]), part))
			ret->v[kept++] = ret->v[i];
	ret->n = kept;
	return rc || !in->topic.n ? rc : keep_topic(m, in->topic, ret);
}

/* The ends of all groups' partitions are asked for together. */
static int summarise(struct model *m, const struct cluster_group *groups, const struct str_array *names,
		     struct mqs_group_list *ret)
{
	struct cluster_offsets *at = ARENA_ARRAY(m->arena, struct cluster_offsets, names->n + 1), all = {0};
	struct cluster_partition *end;
	int rc = cluster_group_offsets(m, names, at);

	for (size_t i = 0; rc == 0 && i < names->n; i++)
		all.n += at[i].n;
	all.v = ARENA_ARRAY(m->arena, struct cluster_partition, all.n + 1);
	all.n = 0;
	for (size_t i = 0; rc == 0 && i < names->n; i++)
		for (size_t k = 0; k < at[i].n; k++)
			all.v[all.n++] = at[i].v[k];
	if (rc == 0)
		rc = ends_of(m, &all, &end);
	for (size_t i = 0, p = 0; rc == 0 && i < names->n; i++) {
		struct mqs_group *g = &ret->groups.v[ret->groups.n++];

		*g = (struct mqs_group){.group_id = groups[i].name, .state = groups[i].state, .group_desc = STR(""),
					.coordinator_id = groups[i].coordinator, .has_coordinator_id = true,
					.has_lag = true};
		for (size_t k = 0; k < at[i].n; k++, p++)
			g->lag += lag_of(&at[i].v[k], &end[p]);
	}
	return rc;
}

int group_list(struct model *m, const struct mqs_list_mqs_instance_groups_in *in, struct mqs_group_list *ret)
{
	size_t offset = in->has_offset ? (size_t)in->offset : 0, limit = in->has_limit ? (size_t)in->limit
											 : DEFAULT_LIMIT;
	struct str_array names = {0};
	int rc = find_all(m, in, &names);

	ret->total = (int64_t)names.n;
	ret->has_total = true;
	offset = offset < names.n ? offset : names.n;
	names = (struct str_array){names.v + offset, names.n - offset < limit ? names.n - offset : limit};

	struct cluster_group *groups = ARENA_ARRAY(m->arena, struct cluster_group, names.n + 1);

	ret->groups.v = ARENA_ARRAY(m->arena, struct mqs_group, names.n + 1);
	if (rc == 0)
		rc = cluster_describe(m, &names, groups);
	return rc ? rc : summarise(m, groups, &names, ret);
}

static int describe(struct model *m, struct str name, struct cluster_group *ret)
{
	struct str_array one = {&name, 1};
	int rc = name.n ? cluster_describe(m, &one, ret) : 0;

	return rc || (name.n && !str_is(ret->state, "Dead")) ? rc : err_set(&m->err, ERR_MQS_00400800, "group");
}

/* Partitions come sorted by topic. */
static struct mqs_assignment_array assignment(struct model *m, const struct cluster_member *member)
{
	struct mqs_assignment_array out = {ARENA_ARRAY(m->arena, struct mqs_assignment, member->n_assigned + 1), 0};

	for (size_t i = 0; i < member->n_assigned; i++) {
		const struct cluster_partition *p = &member->assigned[i];

		if (out.n == 0 || !str_eq(out.v[out.n - 1].topic, p->topic))
			out.v[out.n++] = (struct mqs_assignment){
				p->topic, {ARENA_ARRAY(m->arena, int64_t, member->n_assigned - i), 0}};
		struct int_array *list = &out.v[out.n - 1].partitions;

		list->v[list->n++] = p->partition;
	}
	return out;
}

int group_show(struct model *m, struct str name, struct mqs_group_detail *ret)
{
	struct cluster_group g = {0};
	struct cluster_offsets offsets;
	struct cluster_partition *end;
	struct str_array one = {&name, 1};
	int rc = describe(m, name, &g);

	if (rc == 0)
		rc = cluster_group_offsets(m, &one, &offsets);
	if (rc == 0)
		rc = ends_of(m, &offsets, &end);
	if (rc)
		return rc;
	*ret = (struct mqs_group_detail){.group_id = name, .state = g.state, .assignment_strategy = g.strategy,
					 .coordinator_id = g.coordinator, .has_coordinator_id = true};
	ret->members.v = ARENA_ARRAY(m->arena, struct mqs_group_member, g.n_members + 1);
	for (; ret->members.n < g.n_members; ret->members.n++) {
		const struct cluster_member *member = &g.members[ret->members.n];

		ret->members.v[ret->members.n] = (struct mqs_group_member){
			member->host, assignment(m, member), member->id, member->client_id};
	}
	ret->group_message_offsets.v = ARENA_ARRAY(m->arena, struct mqs_group_offset, offsets.n + 1);
	for (size_t i = 0; i < offsets.n; i++)
		ret->group_message_offsets.v[ret->group_message_offsets.n++] = (struct mqs_group_offset){
			.topic = offsets.v[i].topic,
			.partition = offsets.v[i].partition, .has_partition = true,
			.message_current_offset = offsets.v[i].offset, .has_message_current_offset = true,
			.message_log_end_offset = end[i].offset, .has_message_log_end_offset = true,
			.lag = lag_of(&offsets.v[i], &end[i]), .has_lag = true,
		};
	return 0;
}

static int64_t clamp(int64_t v, int64_t min, int64_t max)
{
	return v < min ? min : v > max ? max : v;
}

static int reset_to(struct model *m, struct str name, const struct mqs_offset_reset *in, size_t n)
{
	struct cluster_partition *list = ARENA_ARRAY(m->arena, struct cluster_partition, n + 1);
	int64_t *start = ARENA_ARRAY(m->arena, int64_t, n + 1), *end = ARENA_ARRAY(m->arena, int64_t, n + 1);
	int64_t *wanted = ARENA_ARRAY(m->arena, int64_t, n + 1);
	size_t chosen = 0;
	int rc = cluster_offsets(m, in->topic, n, CLUSTER_START, start);

	if (rc == 0)
		rc = cluster_offsets(m, in->topic, n, CLUSTER_END, end);
	if (rc == 0 && in->has_timestamp)
		rc = cluster_offsets(m, in->topic, n, in->timestamp < 0 ? 0 : in->timestamp, wanted);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (in->has_partition && in->partition != -1 && in->partition != (int64_t)i)
			continue;
		list[chosen++] = (struct cluster_partition){
			in->topic, (int64_t)i,
			clamp(in->has_timestamp ? wanted[i] : in->message_offset, start[i], end[i])};
	}
	return rc ? rc : cluster_group_set_offsets(m, name, list, chosen);
}

int group_reset(struct model *m, struct str instance_id, struct str name, const struct mqs_offset_reset *in)
{
	struct cluster_topic topic;
	struct cluster_group g = {0};
	struct topic row;
	int rc = topic_look(m, instance_id, in->topic, APP_MODIFY, &row);

	if (rc)
		return rc;
	if (in->has_message_offset == in->has_timestamp)
		return err_set(&m->err, ERR_MQS_00400062, "one of message_offset and timestamp is expected");
	rc = describe(m, name, &g);
	if (rc)
		return rc;
	if (g.n_members)
		return err_set(&m->err, ERR_MQS_00400026, "stop the consumers of the group first");
	rc = cluster_topic(m, in->topic, &topic);
	if (rc == 0 && in->has_partition && in->partition >= topic.partitions)
		return err_set(&m->err, ERR_MQS_00400800, "partition");
	if (rc == 0)
		rc = reset_to(m, name, in, (size_t)topic.partitions);
	if (rc == CLUSTER_UNKNOWN)
		return err_set(&m->err, ERR_MQS_00400101, "Kafka has no such topic");
	return rc > 0 ? err_set(&m->err, ERR_MQS_00400026, "stop the consumers of the group first") : rc;
}

static int delete_one(struct model *m, struct str name, struct str *ret_why)
{
	int rc = cluster_group_delete(m, name);

	if (rc < 0 && (m->err.retriable || rc == ERR_MQS_005000070))
		return rc; /* Kafka is away, or does not let us in: so it is for the others */
	*ret_why = rc == CLUSTER_UNKNOWN ? STR("There is no group of this name.")
		   : rc == CLUSTER_BUSY  ? STR("The group has consumers.")
		   : rc                  ? arena_str(m->arena, str_of(m->err.text))
					 : STR_NONE;
	m->err = (struct err){0};
	return 0;
}

int group_delete(struct model *m, const struct json *body, struct mqs_group_failure_list *ret)
{
	const struct json *names = body && json_kind(body) == JSON_OBJECT ? json_get(body, "group_ids") : body;
	size_t n = names && json_kind(names) == JSON_ARRAY ? json_len(names) : 0;

	for (size_t i = 0; i < n; i++)
		if (json_str(json_at(names, i)).n == 0)
			n = 0;
	if (n == 0 || n > MAX_BATCH)
		return err_set(&m->err, ERR_MQS_00400062, "body: a list of 1 to %d group names is expected", MAX_BATCH);
	ret->failed_groups.v = ARENA_ARRAY(m->arena, struct mqs_group_failure, n);
	for (size_t i = 0; i < n; i++) {
		struct str name = json_str(json_at(names, i)), why = STR_NONE;
		int rc = delete_one(m, name, &why);

		if (rc)
			return rc;
		if (why.p)
			ret->failed_groups.v[ret->failed_groups.n++] = (struct mqs_group_failure){name, why};
	}
	ret->total = (int64_t)ret->failed_groups.n;
	ret->has_total = true;
	return 0;
}
