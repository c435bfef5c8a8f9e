/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mqs/topic_file.h"

#include "base/clock.h"
#include "base/enc.h"
#include "json/json.h"
#include "model/mqs/policy.h"
#include "model/mqs/topic.h"
#include "model/write.h"

#define MAX_TOPICS 1000
#define MAX_MS 240000

/* A topic of a file. in.access_policy and in.tag: the owner's. */
struct entry {
	struct mqs_topic in;
	struct mqs_topic_policies policies;
	bool exists;
	int64_t partitions; /* of the one that exists */
};

static void put_member(struct buf *out, const char *name, struct str value)
{
	buf_fmt(out, ",\"%s\":", name);
	json_print_str(out, value);
}

static int put_policies(struct model *m, struct str topic, struct buf *out)
{
	struct store_rows *rows;
	bool first = true;
	int rc = store_query(m->tx, &m->err, &rows,
			     "SELECT a.name, p.access, p.tag, CASE WHEN t.app_id = p.app_id THEN 1 ELSE 0 END"
			     " FROM mqs_policy p JOIN app a ON a.id = p.app_id JOIN mqs_topic t ON t.name = p.topic"
			     " WHERE p.topic = ?"
			     " ORDER BY p.created_ms, a.name",
			     "s", topic);

	if (rc)
		return rc;
	buf_cstr(out, ",\"policies\":[");
	while (store_next(rows)) {
		buf_cstr(out, first ? "{\"app_name\":" : ",{\"app_name\":");
		json_print_str(out, store_str(rows, 0, m->arena));
		put_member(out, "access_policy", store_str(rows, 1, m->arena));
		put_member(out, "tag", store_str(rows, 2, m->arena));
		buf_fmt(out, ",\"owner\":%s}", store_int(rows, 3) ? "true" : "false");
		first = false;
	}
	buf_cstr(out, "]}");
	return store_done(&rows, &m->err);
}

static int put_topic(struct model *m, const struct topic *t, struct buf *out)
{
	buf_cstr(out, "{\"name\":");
	json_print_str(out, t->name);
	put_member(out, "app_name", t->app_name);
	buf_fmt(out, ",\"partition\":%lld,\"replication\":%lld,\"retention_time\":%lld", (long long)t->partitions,
		(long long)t->replication, (long long)t->retention_hours);
	buf_fmt(out, ",\"sync_message_flush\":%s,\"sync_replication\":%s", t->sync_flush ? "true" : "false",
		t->sync_replication ? "true" : "false");
	put_member(out, "description", t->description);
	put_member(out, "sensitive_word", t->sensitive_word);
	return put_policies(m, t->name, out);
}

static int all_names(struct model *m, struct str instance_id, struct str_array *ret)
{
	struct str me = app_visible_user(m);
	struct store_rows *rows;
	int rc = store_query(
		m->tx, &m->err, &rows,
		"SELECT t.name FROM mqs_topic t WHERE t.instance_id = ? AND t.state <> 'deleting'" APP_VISIBLE(
			"t.app_id") " ORDER BY t.name LIMIT ?",
		"ssssi", instance_id, me, me, me, (int64_t)MAX_TOPICS);

	if (rc)
		return rc;
	ret->v = ARENA_ARRAY(m->arena, struct str, MAX_TOPICS);
	while (ret->n < MAX_TOPICS && store_next(rows))
		ret->v[ret->n++] = store_str(rows, 0, m->arena);
	return store_done(&rows, &m->err);
}

static int wanted_names(struct model *m, struct str instance_id, struct str names, struct str_array *ret)
{
	if (!names.n)
		return all_names(m, instance_id, ret);
	ret->v = ARENA_ARRAY(m->arena, struct str, MAX_TOPICS);
	while (names.p) {
		struct str name = str_trim(str_cut(&names, ','));

		if (name.n && ret->n == MAX_TOPICS)
			return err_set(&m->err, ERR_MQS_00400800, "name");
		if (name.n)
			ret->v[ret->n++] = name;
	}
	return 0;
}

int topic_export(struct model *m, struct str instance_id, struct str names, struct buf *out)
{
	struct str_array list = {0};
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	rc = wanted_names(m, instance_id, names, &list);
	buf_cstr(out, "{\"version\":\"1.0\",\"topics\":[");
	for (size_t i = 0; rc == 0 && i < list.n; i++) {
		struct topic t;

		rc = topic_get(m, instance_id, list.v[i], APP_READ, &t);
		if (i)
			buf_char(out, ',');
		if (rc == 0)
			rc = put_topic(m, &t, out);
	}
	buf_cstr(out, "]}\n");
	store_rollback(&m->tx);
	return rc;
}

static int wrong(struct model *m, size_t i, const char *what)
{
	return err_set(&m->err, ERR_MQS_00400062, "upload_file_name: topics[%zu].%s", i, what);
}

static bool name_ok(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '_' || c == '-')))
			return false;
	}
	return s.n >= 3 && s.n <= 200;
}

/* A member that is a number, or absent. */
static bool number(const struct json *j, const char *name, int64_t min, int64_t max, int64_t otherwise, int64_t *ret)
{
	const struct json *v = json_get(j, name);

	*ret = v ? json_int(v) : otherwise;
	return !v || (json_kind(v) == JSON_INT && *ret >= min && *ret <= max);
}

static bool text(const struct json *j, const char *name, size_t max, struct str *ret)
{
	const struct json *v = json_get(j, name);

	*ret = v ? json_str(v) : STR("");
	return (!v || json_kind(v) == JSON_STRING) && enc_utf8_len(*ret) <= max;
}

static bool boolean(const struct json *j, const char *name, bool *ret)
{
	const struct json *v = json_get(j, name);

	*ret = v && json_bool(v);
	return !v || json_kind(v) == JSON_BOOL;
}

static bool access_ok(struct str s)
{
	return str_is(s, "all") || str_is(s, "pub") || str_is(s, "sub");
}

/* The application of that name; made when there is a prefix and it is not there. */
static int find_app(struct model *m, struct str instance_id, struct str prefix, struct str name, struct str *ret)
{
	struct str whole = arena_fmt(m->arena, "%.*s%.*s", STR_FMT(prefix), STR_FMT(name));
	struct public_app fresh = {.name = whole}, made = {0};
	bool found;
	int rc = store_get_str(m->tx, &m->err, m->arena, ret, &found,
			       "SELECT id FROM app WHERE instance_id = ? AND name = ?", "ss", instance_id, whole);

	if (rc || found)
		return rc;
	if (!prefix.n)
		return err_set(&m->err, ERR_MQS_00400062, "upload_file_name: no application is called %.*s",
			       (int)(whole.n > 64 ? 64 : whole.n), whole.p);
	rc = app_create(m, instance_id, &fresh, &made);
	*ret = made.id;
	return rc;
}

static int read_policies(struct model *m, struct str instance_id, struct str prefix, const struct json *j, size_t i,
			 struct entry *e)
{
	const struct json *list = json_get(j, "policies");
	size_t n = list ? json_len(list) : 0;

	e->in.access_policy = STR("all");
	e->in.tag = STR("");
	e->policies.name = e->in.name;
	e->policies.policies.v = ARENA_ARRAY(m->arena, struct mqs_access_policy, n + 1);
	for (size_t k = 0; k < n; k++) {
		struct mqs_access_policy *p = &e->policies.policies.v[k];
		const struct json *item = json_at(list, k);

		if (!text(item, "app_name", 64, &p->app_name) || !p->app_name.n ||
		    !text(item, "access_policy", 3, &p->access_policy) || !access_ok(p->access_policy) ||
		    !text(item, "tag", 1000, &p->tag) || !boolean(item, "owner", &p->owner))
			return wrong(m, i, "policies");
		int rc = policy_check_tag(m, p->tag);

		if (rc == 0)
			rc = find_app(m, instance_id, prefix, p->app_name, &p->app_id);
		if (rc)
			return rc;
		if (p->owner) {
			e->in.access_policy = p->access_policy;
			e->in.tag = p->tag;
		}
		e->policies.policies.n++;
	}
	return 0;
}

static int read_entry(struct model *m, struct str instance_id, struct str prefix, const struct json *j, size_t i,
		      struct entry *e)
{
	if (!text(j, "name", 200, &e->in.name) || !name_ok(e->in.name))
		return wrong(m, i, "name");
	if (!text(j, "app_name", 64, &e->in.app_name) || !e->in.app_name.n)
		return wrong(m, i, "app_name");
	if (!number(j, "partition", 1, 100, 3, &e->in.partition))
		return wrong(m, i, "partition");
	if (!number(j, "replication", 1, 8, 3, &e->in.replication))
		return wrong(m, i, "replication");
	if (!number(j, "retention_time", 1, 168, 72, &e->in.retention_time))
		return wrong(m, i, "retention_time");
	if (!boolean(j, "sync_message_flush", &e->in.sync_message_flush) ||
	    !boolean(j, "sync_replication", &e->in.sync_replication))
		return wrong(m, i, "sync_message_flush");
	if (!text(j, "description", 1000, &e->in.description))
		return wrong(m, i, "description");
	if (!text(j, "sensitive_word", 1000, &e->in.sensitive_word))
		return wrong(m, i, "sensitive_word");
	int rc = find_app(m, instance_id, prefix, e->in.app_name, &e->in.app_id);

	return rc ? rc : read_policies(m, instance_id, prefix, j, i, e);
}

static int look_up(struct model *m, struct str instance_id, bool merge, size_t i, struct entry *e)
{
	int rc = store_get_int(m->tx, &m->err, &e->partitions, &e->exists,
			       "SELECT partitions FROM mqs_topic WHERE name = ?", "s", e->in.name);
	struct topic row;

	if (rc || !e->exists)
		return rc;
	if (!merge)
		return err_set(&m->err, ERR_MQS_00400101, "topics[%zu]: a topic has this name already", i);
	return topic_get(m, instance_id, e->in.name, APP_MODIFY, &row);
}

struct import {
	struct str instance_id, prefix;
	bool merge;
	const struct json *topics;
	struct entry *v;
	size_t n;
};

/* Everything that can be wrong shows here, before anything is made. */
static int read_entries(struct model *m, void *arg)
{
	struct import *f = arg;
	int rc = 0;

	f->v = ARENA_ARRAY(m->arena, struct entry, f->n);
	for (size_t i = 0; rc == 0 && i < f->n; i++) {
		rc = read_entry(m, f->instance_id, f->prefix, json_at(f->topics, i), i, &f->v[i]);
		for (size_t k = 0; rc == 0 && k < i; k++)
			if (str_eq(f->v[k].in.name, f->v[i].in.name))
				rc = wrong(m, i, "name: it comes twice");
		if (rc == 0)
			rc = look_up(m, f->instance_id, f->merge, i, &f->v[i]);
	}
	return rc;
}

static int read_file(struct model *m, struct str file, struct import *f)
{
	const struct json *tree;
	char why[160];

	if (!json_parse(m->arena, file, &tree, why, sizeof(why)))
		return err_set(&m->err, ERR_MQS_00400062, "upload_file_name: %s", why);
	f->topics = json_get(tree, "topics");
	f->n = f->topics && json_kind(f->topics) == JSON_ARRAY ? json_len(f->topics) : 0;
	if (f->n == 0 || f->n > MAX_TOPICS)
		return err_set(&m->err, ERR_MQS_00400062, "upload_file_name: 1 to %d topics are expected", MAX_TOPICS);
	return model_write(m, read_entries, f);
}

struct permission {
	struct str instance_id;
	const struct entry *e;
};

static int permit(struct model *m, void *arg)
{
	const struct permission *p = arg;

	return policy_batch_add(m, p->instance_id, p->e->in.name, &p->e->policies.policies);
}

static int apply(struct model *m, struct str instance_id, struct entry *e)
{
	struct permission permission = {instance_id, e};
	int rc;

	if (e->exists) {
		struct mqs_topic_array one = {&e->in, 1};

		e->in.new_partition_numbers = e->in.partition;
		e->in.has_new_partition_numbers = e->in.partition > e->partitions;
		e->in.has_retention_time = e->in.has_sync_message_flush = e->in.has_sync_replication = true;
		rc = topic_update(m, instance_id, &one);
	} else {
		rc = topic_create(m, instance_id, &e->in);
	}
	return rc || !e->policies.policies.n ? rc : model_write(m, permit, &permission);
}

int topic_import(struct model *m, struct str instance_id, struct str file, bool merge, struct str prefix)
{
	struct import f = {.instance_id = instance_id, .prefix = prefix, .merge = merge};
	int rc = read_file(m, file, &f);

	/* Each topic may take as long as a call, a thousand may not. */
	int64_t until = clock_mono_ms() + MAX_MS;

	for (size_t i = 0; rc == 0 && i < f.n; i++) {
		m->now_ms = clock_now_ms();
		rc = clock_mono_ms() < until ? apply(m, instance_id, &f.v[i])
					     : err_set_retriable(&m->err, ERR_MQS_005000053,
								 "%zu topics took too long, %zu are left; import with"
								 " mode Merge again",
								 i, f.n - i);
	}
	if (m->publish)
		m->publish(m->publish_ctx);
	return rc;
}
