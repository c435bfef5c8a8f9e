/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mqs/policy.h"

#include "model/mqs/topic.h"

#define MAX_POLICIES 1000 /* per topic */
#define MAX_TAG 48
#define MAX_TOPICS 100 /* in a request */
#define MAX_LIMIT 1000

static bool tag_ok(struct str tag)
{
	if (tag.n > MAX_TAG)
		return false;
	for (size_t i = 0; i < tag.n; i++) {
		char c = tag.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '_'))
			return false;
	}
	return true;
}

int policy_check_tag(struct model *m, struct str tag)
{
	struct str sides = tag;
	size_t n = 0;

	while (sides.p && sides.n) {
		struct str side = str_cut(&sides, '&');

		if (++n > 2)
			return err_set(&m->err, ERR_MQS_00400800, "tag");
		/* "||" is cut at each bar: what is between the two is empty. */
		while (side.p)
			if (!tag_ok(str_trim(str_cut(&side, '|'))))
				return err_set(&m->err, ERR_MQS_00400800, "tag");
	}
	return 0;
}

int policy_add(struct model *m, struct str topic, struct str app_id, struct str access, struct str tag)
{
	return store_exec(m->tx, &m->err, NULL,
			  "INSERT INTO mqs_policy (topic, app_id, access, tag, created_ms) VALUES (?, ?, ?, ?, ?)"
			  " ON CONFLICT (topic, app_id) DO UPDATE SET access = EXCLUDED.access, tag = EXCLUDED.tag",
			  "ssssi", topic, app_id, access, tag, m->now_ms);
}

static int check_quota(struct model *m, struct str topic)
{
	int64_t n;
	int rc = store_get_int(m->tx, &m->err, &n, NULL, "SELECT COUNT(*) FROM mqs_policy WHERE topic = ?", "s", topic);

	return rc || n <= MAX_POLICIES ? rc : err_set(&m->err, ERR_MQS_00400800, "policies");
}

static int add_all(struct model *m, struct str instance_id, struct str topic,
		   const struct mqs_access_policy_array *list)
{
	int rc = 0;

	if (list->n > MAX_POLICIES)
		return err_set(&m->err, ERR_MQS_00400800, "policies");
	for (size_t i = 0; rc == 0 && i < list->n; i++) {
		const struct mqs_access_policy *p = &list->v[i];
		struct str app_id;

		rc = policy_check_tag(m, p->tag);
		if (rc == 0)
			rc = topic_app(m, instance_id, p->app_id.p ? p->app_id : p->user_name, &app_id);
		if (rc == 0)
			rc = policy_add(m, topic, app_id, p->access_policy, p->tag.p ? p->tag : STR(""));
	}
	if (rc == 0)
		rc = check_quota(m, topic);
	return rc ? rc : store_outbox(m->tx, &m->err, STR("mqs_right"), topic);
}

int policy_replace(struct model *m, struct str instance_id, const struct mqs_topic_policies_array *topics)
{
	int rc = 0;

	if (topics->n > MAX_TOPICS)
		return err_set(&m->err, ERR_MQS_00400800, "topics");
	for (size_t i = 0; rc == 0 && i < topics->n; i++) {
		const struct mqs_topic_policies *t = &topics->v[i];
		struct topic row;

		rc = topic_get(m, instance_id, t->name, APP_ACCESS, &row);
		if (rc == 0)
			rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM mqs_policy WHERE topic = ? AND app_id <> ?",
					"ss", t->name, row.app_id);
		if (rc == 0)
			rc = store_exec(m->tx, &m->err, NULL,
					"UPDATE mqs_topic SET description = COALESCE(?, description), sensitive_word ="
					" COALESCE(?, sensitive_word), updated_ms = ? WHERE name = ?",
					"ssis", t->description, t->sensitive_word, m->now_ms, t->name);
		if (rc == 0)
			rc = add_all(m, instance_id, t->name, &t->policies);
	}
	return rc;
}

int policy_batch_add(struct model *m, struct str instance_id, struct str topic,
		     const struct mqs_access_policy_array *list)
{
	struct topic row;
	int rc = topic_get(m, instance_id, topic, APP_ACCESS, &row);

	return rc ? rc : add_all(m, instance_id, topic, list);
}

int policy_list(struct model *m, const struct mqs_show_mqs_instance_topic_access_policy_in *in,
		struct mqs_topic_policy_list *ret)
{
	int64_t limit = 0, offset = 0;
	struct store_rows *rows;
	struct topic t;
	int rc = mqs_number(m, "limit", in->limit, 1, MAX_LIMIT, MAX_LIMIT, &limit);

	if (rc == 0)
		rc = mqs_number(m, "offset", in->offset, 0, INT32_MAX, 0, &offset);
	if (rc == 0)
		rc = topic_get(m, in->instance_id, in->topic_name, APP_READ, &t);
	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &ret->total, NULL, "SELECT COUNT(*) FROM mqs_policy WHERE topic = ?",
				   "s", t.name);
	if (rc == 0)
		rc = store_query(m->tx, &m->err, &rows,
				 "SELECT a.key, a.name, p.access, p.tag, p.app_id FROM mqs_policy p JOIN app a ON a.id"
				 " = p.app_id WHERE p.topic = ? ORDER BY p.created_ms, a.key LIMIT ? OFFSET ?",
				 "sii", t.name, limit, offset);
	if (rc)
		return rc;
	ret->policies.v = ARENA_ARRAY(m->arena, struct mqs_access_policy, (size_t)limit);
	while ((int64_t)ret->policies.n < limit && store_next(rows))
		ret->policies.v[ret->policies.n++] = (struct mqs_access_policy){
			.user_name = store_str(rows, 0, m->arena),
			.app_name = store_str(rows, 1, m->arena),
			.access_policy = store_str(rows, 2, m->arena),
			.tag = store_str(rows, 3, m->arena),
			.owner = str_eq(store_str(rows, 4, m->arena), t.app_id),
			.has_owner = true,
		};
	ret->name = ret->operation = t.name;
	ret->size = (int64_t)ret->policies.n;
	ret->has_size = ret->has_total = true;
	return store_done(&rows, &m->err);
}
