/* SPDX-License-Identifier: Apache-2.0 */
#include "model/apic/api_release.h"

#define MAX_BATCH 1000

/* What the store says ends the batch; what a rule says concerns one API. */
static bool is_refusal(const struct model *m, int rc)
{
	return rc < 0 && strncmp(err_row(rc)->code, "APPIA.", 6) != 0 && !m->err.retriable;
}

/* One API of a batch. *ret_group: absent unless the group's router changed. */
static int batch_step(struct model *m, struct str instance_id, bool online, const struct apic_api_batch_publish *in,
		      struct str api_id, struct api_row *row, struct str *ret_group, struct apic_publish *ret)
{
	bool routed = false;
	int rc = api__get(m, instance_id, api_id, APP_MODIFY, row);

	*ret_group = STR_NONE;
	if (rc)
		return rc;
	rc = online ? api__publish_row(m, row, in->env_id, in->remark, &routed, ret)
		    : api__offline_row(m, row, in->env_id, ret);
	if (routed)
		*ret_group = row->group_id;
	return rc;
}

static void add_failure(struct model *m, struct str api_id, const struct api_row *row,
			struct apic_api_batch_failure_array *list)
{
	struct apic_api_batch_failure *failure = &list->v[list->n++];

	failure->api_id = api_id;
	failure->api_name = row->def ? row->def->name : STR_NONE;
	failure->error_code = str_of(err_row(m->err.code)->code);
	failure->error_msg = arena_str(m->arena, str_of(m->err.text));
	m->err = (struct err){0};
}

static void add_once(struct str_array *list, struct str s)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_eq(list->v[i], s))
			return;
	list->v[list->n++] = s;
}

int api_publish_batch(struct model *m, struct str instance_id, bool online, const struct apic_api_batch_publish *in,
		      struct apic_api_batch_publish_result *ret)
{
	struct str_array groups = {ARENA_ARRAY(m->arena, struct str, in->apis.n + 1), 0};
	struct str env_name;
	int rc = in->apis.n ? api__env_name(m, instance_id, in->env_id, &env_name) : api__missing(m, "apis");

	if (rc == 0 && in->apis.n > MAX_BATCH)
		rc = err_set(&m->err, ERR_APIG_2003, "parameterName:apis, at most %d", MAX_BATCH);
	ret->success.v = ARENA_ARRAY(m->arena, struct apic_publish, in->apis.n + 1);
	ret->failure.v = ARENA_ARRAY(m->arena, struct apic_api_batch_failure, in->apis.n + 1);
	for (size_t i = 0; rc == 0 && i < in->apis.n; i++) {
		struct api_row row = {.def = NULL};
		struct str group;

		rc = batch_step(m, instance_id, online, in, in->apis.v[i], &row, &group,
				&ret->success.v[ret->success.n]);
		if (is_refusal(m, rc)) {
			add_failure(m, in->apis.v[i], &row, &ret->failure);
			rc = 0;
		} else if (rc == 0) {
			ret->success.n++;
			if (group.p)
				add_once(&groups, group);
		}
	}
	for (size_t i = 0; rc == 0 && i < groups.n; i++)
		rc = api__check_routes(m, groups.v[i], env_name);
	return rc;
}

static int list_group(struct model *m, struct str instance_id, struct str group_id, struct str_array *ret)
{
	struct api_group_row group;
	struct store_rows *rows;
	int rc = api__group(m, instance_id, group_id, &group);

	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 "SELECT id FROM api WHERE group_id = ? ORDER BY created_ms, id LIMIT ?", "si",
				 group.id, (int64_t)MAX_BATCH);
	if (rc)
		return rc;
	*ret = (struct str_array){ARENA_ARRAY(m->arena, struct str, MAX_BATCH), 0};
	while (ret->n < MAX_BATCH && store_next(rows))
		ret->v[ret->n++] = store_str(rows, 0, m->arena);
	return store_done(&rows, &m->err);
}

int api_delete_batch(struct model *m, struct str instance_id, struct str group_id, const struct str_array *apis,
		     struct apic_api_batch_publish_result *ret)
{
	struct str_array list = *apis;
	int rc = 0;

	if (list.n == 0)
		rc = str_empty(group_id) ? api__missing(m, "apis") : list_group(m, instance_id, group_id, &list);
	if (rc == 0 && list.n > MAX_BATCH)
		rc = err_set(&m->err, ERR_APIG_2003, "parameterName:apis, at most %d", MAX_BATCH);
	if (rc)
		return rc;
	ret->success.v = ARENA_ARRAY(m->arena, struct apic_publish, list.n + 1);
	ret->failure.v = ARENA_ARRAY(m->arena, struct apic_api_batch_failure, list.n + 1);
	for (size_t i = 0; rc == 0 && i < list.n; i++) {
		rc = api_delete(m, instance_id, list.v[i]);
		if (is_refusal(m, rc)) {
			add_failure(m, list.v[i], &(struct api_row){.def = NULL}, &ret->failure);
			rc = 0;
		} else if (rc == 0) {
			ret->success.v[ret->success.n++].api_id = list.v[i];
		}
	}
	return rc;
}
