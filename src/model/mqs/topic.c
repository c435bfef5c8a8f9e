/* SPDX-License-Identifier: Apache-2.0 */
#include "model/mqs/topic.h"

#include "model/mqs/cluster.h"
#include "model/mqs/policy.h"
#include "model/write.h"

#include <time.h>

#define MS_PER_HOUR 3600000LL
#define MAX_BATCH 100
#define LOOKS 20 /* for partitions that were made just now */
#define LOOK_MS 100
/* A row younger than that may belong to a call that still waits for Kafka. */
#define HEAL_AFTER_MS ((int64_t)CLUSTER_CALL_MS + CLUSTER_WAIT_MS)

/* Parameters: user. */
#define COLUMNS                                                                                                        \
	"SELECT t.name, t.instance_id, t.app_id, a.name, a.key, t.state, t.description, t.sensitive_word,"             \
	" t.partitions, t.replication, t.retention_hours, t.created_ms, t.sync_flush, t.sync_replication,"             \
	" a.created_by, COALESCE(u.roles, 0)"
#define TABLES                                                                                                         \
	" FROM mqs_topic t JOIN app a ON a.id = t.app_id LEFT JOIN app_user u ON u.app_id = a.id AND u.user_id = ?"

int mqs_number(struct model *m, const char *name, struct str text, int64_t min, int64_t max, int64_t otherwise,
	       int64_t *ret)
{
	long long v = otherwise;

	if (text.n && !str_to_int(text, min, max, &v))
		return err_set_text(&m->err, ERR_MQS_00400800,
				    "Invalid %s in the request, a number from %lld to %lld is expected.", name,
				    (long long)min, (long long)max);
	*ret = v;
	return 0;
}

int topic_app(struct model *m, struct str instance_id, struct str id_or_key, struct str *ret_id)
{
	bool found;
	int rc = store_get_str(m->tx, &m->err, m->arena, ret_id, &found,
			       "SELECT id FROM app WHERE instance_id = ? AND (id = ? OR key = ?)", "sss", instance_id,
			       id_or_key, id_or_key);

	return rc || found ? rc : err_set(&m->err, ERR_MQS_00400800, "app_id");
}

static int unknown(struct model *m, struct str name)
{
	return err_set(&m->err, ERR_MQS_00400101, "no topic is called %.*s", (int)(name.n > 200 ? 200 : name.n),
		       name.p ? name.p : "");
}

static int allow(struct model *m, struct str instance_id, struct str app_id, enum app_role role)
{
	int rc = app_require(m, instance_id, app_id, role);

	if (rc == APP_UNKNOWN)
		return err_set(&m->err, ERR_MQS_00400800, "app_id");
	return rc == APP_FORBIDDEN ? err_set(&m->err, ERR_MQS_00403003, NULL) : rc;
}

static void read_row(struct model *m, struct store_rows *rows, struct topic *ret)
{
	struct str creator = store_str(rows, 14, m->arena);
	bool all = !m->who || m->who->administrator || str_eq(creator, m->who->user_id);

	*ret = (struct topic){
		.name = store_str(rows, 0, m->arena),
		.instance_id = store_str(rows, 1, m->arena),
		.app_id = store_str(rows, 2, m->arena),
		.app_name = store_str(rows, 3, m->arena),
		.app_key = store_str(rows, 4, m->arena),
		.state = store_str(rows, 5, m->arena),
		.description = store_str(rows, 6, m->arena),
		.sensitive_word = store_str(rows, 7, m->arena),
		.partitions = store_int(rows, 8),
		.replication = store_int(rows, 9),
		.retention_hours = store_int(rows, 10),
		.created_ms = store_int(rows, 11),
		.sync_flush = store_int(rows, 12) != 0,
		.sync_replication = store_int(rows, 13) != 0,
		.roles = all ? APP_ALL : (unsigned)store_int(rows, 15),
	};
}

int topic_get(struct model *m, struct str instance_id, struct str name, enum app_role role, struct topic *ret)
{
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows, COLUMNS TABLES " WHERE t.name = ? AND t.instance_id = ?", "sss",
			     m->who ? m->who->user_id : STR(""), name, instance_id);

	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found)
		read_row(m, rows, ret);
	rc = store_done(&rows, &m->err);
	if (rc)
		return rc;
	if (!found)
		return unknown(m, name);
	return (ret->roles & role) == (unsigned)role ? 0 : err_set(&m->err, ERR_MQS_00403003, NULL);
}

int topic_look(struct model *m, struct str instance_id, struct str name, enum app_role role, struct topic *ret)
{
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc == 0)
		rc = topic_get(m, instance_id, name, role, ret);
	store_rollback(&m->tx);
	return rc;
}

static void publish(struct model *m)
{
	if (m->publish)
		m->publish(m->publish_ctx);
}

struct row {
	struct str name, state;
};

static int drop(struct model *m, void *arg)
{
	const struct row *r = arg;
	int rc = store_exec(m->tx, &m->err, NULL, "DELETE FROM mqs_topic WHERE name = ? AND state = ?", "ss", r->name,
			    r->state);

	return rc ? rc : store_outbox(m->tx, &m->err, STR("mqs_right"), r->name);
}

/* Removes the row and what hangs on it, if it is in this state. m->err is kept but for a failure of this. */
static int drop_row(struct model *m, struct str name, struct str state)
{
	struct row row = {name, state};
	struct err kept = m->err;
	int rc = model_write(m, drop, &row);

	if (rc)
		return rc;
	publish(m);
	m->err = kept;
	return 0;
}

static int check_new(struct model *m, struct str instance_id, const struct mqs_topic *in)
{
	bool found;
	int64_t n;
	int rc = store_get_int(m->tx, &m->err, &n, &found, "SELECT 1 FROM mqs_topic WHERE name = ?", "s", in->name);

	if (rc == 0 && found)
		return err_set(&m->err, ERR_MQS_00400101, "a topic has this name already");
	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &n, NULL,
				   "SELECT COALESCE(SUM(partitions), 0) FROM mqs_topic WHERE instance_id = ?", "s",
				   instance_id);
	if (rc == 0 && n + in->partition > m->settings->mqs_max_partitions)
		return err_set(&m->err, ERR_MQS_00400102,
			       "the topics of the instance may have %lld partitions, %lld"
			       " are left",
			       (long long)m->settings->mqs_max_partitions,
			       (long long)(m->settings->mqs_max_partitions - n));
	return rc;
}

/* Writing that begins with one of these makes a formula of the text in a spreadsheet (7.2.2). */
static int check_text(struct model *m, struct str description)
{
	static const char *const starts[] = {"=", "+", "-", "@", "＝", "＋", "－", "＠"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (description.n && str_starts(description, str_of(starts[i])))
			return err_set(&m->err, ERR_MQS_00400800, "description");
	return 0;
}

static struct str text_of(struct str s)
{
	return s.p ? s : STR("");
}

static int insert(struct model *m, struct str instance_id, struct str app_id, const struct mqs_topic *in)
{
	int rc = store_exec(m->tx, &m->err, NULL,
			    "INSERT INTO mqs_topic (name, instance_id, app_id, state, partitions, replication,"
			    " retention_hours, sync_flush, sync_replication, description, sensitive_word, created_ms,"
			    " updated_ms) VALUES (?, ?, ?, 'creating', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			    "sssiiiiissii", in->name, instance_id, app_id, in->partition, in->replication,
			    in->retention_time, (int64_t)in->sync_message_flush, (int64_t)in->sync_replication,
			    text_of(in->description), text_of(in->sensitive_word), m->now_ms, m->now_ms);

	if (rc == 0)
		rc = policy_add(m, in->name, app_id, in->access_policy, text_of(in->tag));
	return rc;
}

/* min.insync.replicas: a write that waits for all waits for two copies at least. */
static size_t configs_of(struct model *m, int64_t retention_hours, bool flush, bool replicated, int64_t copies,
			 struct cluster_config *out)
{
	out[0] = (struct cluster_config){"retention.ms",
					 arena_fmt(m->arena, "%lld", (long long)(retention_hours * MS_PER_HOUR))};
	out[1] = (struct cluster_config){"flush.messages", flush ? STR("1") : STR_NONE};
	out[2] = (struct cluster_config){"min.insync.replicas", replicated && copies > 1 ? STR("2") : STR_NONE};
	return 3;
}

static int make(struct model *m, const struct mqs_topic *in)
{
	struct cluster_topic topic = {in->name, in->partition, in->replication}, made;
	struct cluster_config configs[3];
	size_t n = configs_of(m, in->retention_time, in->sync_message_flush, in->sync_replication, 1, configs);
	int rc = cluster_topic_create(m, &topic, configs, n);

	/* How many copies there are is known only now. */
	if (rc == 0 && in->sync_replication && in->replication > 1) {
		rc = cluster_topic(m, in->name, &made);
		n = configs_of(m, in->retention_time, in->sync_message_flush, true, rc ? 1 : made.replication, configs);
		if (rc == 0 && made.replication > 1)
			rc = cluster_topic_configure(m, in->name, configs, n);
		rc = rc > 0 ? 0 : rc;
	}
	return rc;
}

struct creation {
	struct str instance_id;
	const struct mqs_topic *in;
};

static int record_new(struct model *m, void *arg)
{
	const struct creation *c = arg;
	struct str app_id = STR_NONE;
	int rc = topic_app(m, c->instance_id, c->in->app_id, &app_id);

	if (rc == 0)
		rc = allow(m, c->instance_id, app_id, APP_MODIFY);
	if (rc == 0)
		rc = check_new(m, c->instance_id, c->in);
	if (rc == 0)
		rc = insert(m, c->instance_id, app_id, c->in);
	return rc ? rc : store_outbox(m->tx, &m->err, STR("mqs_right"), c->in->name);
}

/* CLUSTER_UNKNOWN: the topic was deleted meanwhile. */
static int record_made(struct model *m, void *arg)
{
	const struct mqs_topic *in = arg;
	int64_t changed = 0;
	int rc = store_exec(m->tx, &m->err, &changed,
			    "UPDATE mqs_topic SET state = CASE WHEN state = 'creating' THEN 'ready' ELSE state END,"
			    " updated_ms = ? WHERE name = ? AND state <> 'deleting'",
			    "is", m->now_ms, in->name);

	return rc || changed ? rc : CLUSTER_UNKNOWN;
}

static int end_creation(struct model *m, const struct mqs_topic *in)
{
	struct mqs_topic copy = *in;
	int rc = model_write(m, record_made, &copy);

	if (rc == 0)
		publish(m);
	if (rc != CLUSTER_UNKNOWN)
		return rc;
	/* Who deleted it may have asked Kafka before the topic was there. */
	rc = cluster_topic_delete(m, in->name);
	return rc < 0 ? rc : err_set(&m->err, ERR_MQS_00400101, "the topic was deleted while it was made");
}

int topic_create(struct model *m, struct str instance_id, const struct mqs_topic *in)
{
	struct creation creation = {instance_id, in};
	int rc = check_text(m, in->description);

	if (rc == 0)
		rc = policy_check_tag(m, in->tag);
	if (rc == 0)
		rc = cluster_ping(m);
	if (rc == 0)
		rc = model_write(m, record_new, &creation);
	if (rc)
		return rc;
	rc = make(m, in);
	if (rc == 0)
		return end_creation(m, in);
	if (rc == CLUSTER_EXISTS)
		err_set(&m->err, ERR_MQS_00400101, "Kafka has a topic of this name that is not the platform's");
	/* When Kafka did not answer it may still make the topic: then the row tells topic_heal() to look. */
	if (rc == CLUSTER_EXISTS || !m->err.retriable)
		drop_row(m, in->name, STR("creating"));
	return m->err.code;
}

/* What a row wants of Kafka and whether Kafka has it. */
struct change {
	struct str instance_id;
	const struct mqs_topic *in;
	struct topic t;
	int64_t partitions; /* that Kafka has */
	bool heals, done;
};

/* Says that Kafka has the settings of c->t, or, when others have changed the row meanwhile, reads what it wants now.
 * Partitions only grow; fewer are believed only when nobody else has counted. */
static int record_settled(struct model *m, void *arg)
{
	struct change *c = arg;
	struct topic *t = &c->t;
	struct store_rows *rows;
	int64_t changed = 0;
	int rc = store_exec(m->tx, &m->err, &changed,
			    "UPDATE mqs_topic SET partitions = CASE WHEN partitions = ? OR partitions < ? THEN ? ELSE"
			    " partitions END, state = CASE WHEN state = 'changing' OR ? = 1 THEN 'ready' ELSE state END"
			    " WHERE name = ? AND state <> 'deleting' AND retention_hours = ? AND sync_flush = ? AND"
			    " sync_replication = ?",
			    "iiiisiii", t->partitions, c->partitions, c->partitions, (int64_t)c->heals, t->name,
			    t->retention_hours, (int64_t)t->sync_flush, (int64_t)t->sync_replication);

	c->done = changed > 0;
	if (rc || c->done)
		return rc;
	rc = store_query(m->tx, &m->err, &rows,
			 "SELECT retention_hours, sync_flush, sync_replication, partitions FROM mqs_topic"
			 " WHERE name = ? AND state <> 'deleting'",
			 "s", t->name);
	if (rc)
		return rc;
	bool found = store_next(rows);

	if (found) {
		t->retention_hours = store_int(rows, 0);
		t->sync_flush = store_int(rows, 1) != 0;
		t->sync_replication = store_int(rows, 2) != 0;
		t->partitions = store_int(rows, 3);
	}
	rc = store_done(&rows, &m->err);
	return rc || found ? rc : unknown(m, t->name);
}

/* What Kafka has. A node of it learns a moment after who made partitions was told, so that fewer than the row counts
 * are looked at again before they are believed. */
static int look(struct model *m, const struct topic *t, struct cluster_topic *ret)
{
	int rc = cluster_topic(m, t->name, ret);

	for (int i = 0; i < LOOKS && rc == 0 && ret->partitions < t->partitions; i++) {
		nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
		rc = cluster_topic(m, t->name, ret);
	}
	return rc;
}

/* Makes Kafka have what the row says. Who asks Kafka last has seen the last row, so that of changes at the same time
 * one wins, in both. Ends with the time that a call has for Kafka. */
static int settle(struct model *m, struct change *c, int64_t grow_to)
{
	struct topic *t = &c->t;
	int rc = 0;

	for (c->done = false; rc == 0 && !c->done;) {
		struct cluster_config configs[3];
		struct cluster_topic real;

		rc = look(m, t, &real);
		if (rc == 0) {
			size_t n = configs_of(m, t->retention_hours, t->sync_flush, t->sync_replication,
					      real.replication, configs);

			rc = cluster_topic_configure(m, t->name, configs, n);
		}
		if (rc == 0 && grow_to > real.partitions) {
			rc = cluster_topic_grow(m, t->name, grow_to);
			real.partitions = grow_to;
		}
		c->partitions = real.partitions;
		if (rc == 0)
			rc = model_write(m, record_settled, c);
	}
	return rc;
}

/* Kafka has refused it, or has no such topic: asking again would not help. m->err stays. */
static void give_up(struct model *m, struct change *c)
{
	struct err kept = m->err;

	c->partitions = c->t.partitions;
	c->done = false;
	model_write(m, record_settled, c);
	m->err = kept;
}

static bool may_help_later(const struct model *m, int rc)
{
	return rc < 0 && (m->err.retriable || rc == ERR_MQS_005000070);
}

struct pending {
	struct topic *v;
	size_t n;
};

static int list_pending(struct model *m, struct pending *ret)
{
	struct store_rows *rows;
	int rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);

	if (rc)
		return rc;
	*ret = (struct pending){ARENA_ARRAY(m->arena, struct topic, MAX_BATCH), 0};
	rc = store_query(m->tx, &m->err, &rows,
			 "SELECT name, state, retention_hours, sync_flush, sync_replication, partitions FROM mqs_topic"
			 " WHERE state <> 'ready' AND updated_ms < ? ORDER BY name LIMIT ?",
			 "ii", m->now_ms - HEAL_AFTER_MS, (int64_t)MAX_BATCH);
	if (rc == 0) {
		while (ret->n < MAX_BATCH && store_next(rows))
			ret->v[ret->n++] = (struct topic){
				.name = store_str(rows, 0, m->arena),
				.state = store_str(rows, 1, m->arena),
				.retention_hours = store_int(rows, 2),
				.sync_flush = store_int(rows, 3) != 0,
				.sync_replication = store_int(rows, 4) != 0,
				.partitions = store_int(rows, 5),
			};
		rc = store_done(&rows, &m->err);
	}
	store_rollback(&m->tx);
	return rc;
}

static int heal(struct model *m, const struct topic *t)
{
	struct change c = {.t = *t, .heals = true};
	int rc;

	if (str_is(t->state, "deleting")) {
		rc = cluster_topic_delete(m, t->name);
		return rc == 0 || rc == CLUSTER_UNKNOWN ? drop_row(m, t->name, t->state) : rc;
	}
	rc = settle(m, &c, 0);
	if (rc == CLUSTER_UNKNOWN && str_is(t->state, "creating"))
		return drop_row(m, t->name, t->state);
	if (rc == 0 || may_help_later(m, rc))
		return rc;
	give_up(m, &c);
	return 0;
}

int topic_heal(struct model *m)
{
	struct pending list = {0};
	int rc = list_pending(m, &list);

	for (size_t i = 0; rc == 0 && i < list.n; i++)
		rc = heal(m, &list.v[i]);
	return rc;
}

static struct str_array permissions(struct model *m, unsigned roles)
{
	static const char *const names[] = {"read", "access", "delete", "modify"};
	struct str_array list = {ARENA_ARRAY(m->arena, struct str, 4), 0};

	for (size_t i = 0; i < 4; i++)
		if (roles & 1u << i)
			list.v[list.n++] = str_of(names[i]);
	return list;
}

static void show(struct model *m, const struct topic *t, struct mqs_topic *ret)
{
	*ret = (struct mqs_topic){
		.name = t->name,
		.app_id = t->app_id,
		.app_key = t->app_key,
		.app_name = t->app_name,
		.description = t->description,
		.sensitive_word = t->sensitive_word,
		.partition = t->partitions,
		.has_partition = true,
		.replication = t->replication,
		.has_replication = true,
		.retention_time = t->retention_hours,
		.has_retention_time = true,
		.sync_message_flush = t->sync_flush,
		.has_sync_message_flush = true,
		.sync_replication = t->sync_replication,
		.has_sync_replication = true,
		.has_policiesOnly = true,
		.has_topic_type = true,
		.permissions = permissions(m, t->roles),
		.external_configs = json_new_object(m->arena),
	};
}

/* "%" fits everything. A topic that is going is gone. */
#define FILTERS                                                                                                        \
	" WHERE t.instance_id = ? AND t.state <> 'deleting' AND LOWER(t.name) LIKE ? ESCAPE '\\'"                      \
	" AND LOWER(a.name) LIKE ? ESCAPE '\\' AND (CAST(? AS TEXT) IS NULL OR t.name IN"                              \
	" (SELECT p.topic FROM mqs_policy p WHERE p.app_id = t.app_id AND p.access = ?))" APP_VISIBLE("t.app_id")
#define FILTER_TYPES "ssssssss"

static int count(struct model *m, const struct mqs_list_mqs_instance_topics_in *in, struct mqs_topic_list *ret)
{
	struct str access = in->access_policy.n ? in->access_policy : STR_NONE, me = app_visible_user(m);
	int64_t used = 0;
	int rc = store_get_int(m->tx, &m->err, &ret->total, NULL,
			       "SELECT COUNT(*) FROM mqs_topic t JOIN app a ON a.id = t.app_id" FILTERS, FILTER_TYPES,
			       in->instance_id, store_like(m->arena, in->name), store_like(m->arena, in->app_name),
			       access, access, me, me, me);

	if (rc == 0)
		rc = store_get_int(m->tx, &m->err, &used, NULL,
				   "SELECT COALESCE(SUM(partitions), 0) FROM mqs_topic WHERE instance_id = ?", "s",
				   in->instance_id);
	ret->max_partitions = m->settings->mqs_max_partitions;
	ret->remain_partitions = used < ret->max_partitions ? ret->max_partitions - used : 0;
	ret->has_max_partitions = ret->has_remain_partitions = ret->has_total = ret->has_size = true;
	return rc;
}

static int read_page(struct model *m, const struct mqs_list_mqs_instance_topics_in *in, int64_t limit, int64_t offset,
		     struct mqs_topic_list *ret)
{
	struct str access = in->access_policy.n ? in->access_policy : STR_NONE, me = app_visible_user(m);
	int64_t left = offset < ret->total ? ret->total - offset : 0, room = limit < left ? limit : left;
	struct store_rows *rows;
	int rc = store_query(m->tx, &m->err, &rows,
			     COLUMNS TABLES FILTERS " ORDER BY t.created_ms DESC, t.name LIMIT ? OFFSET ?",
			     "s" FILTER_TYPES "ii", m->who ? m->who->user_id : STR(""), in->instance_id,
			     store_like(m->arena, in->name), store_like(m->arena, in->app_name), access, access, me, me,
			     me, room, offset);

	if (rc)
		return rc;
	ret->topics.v = ARENA_ARRAY(m->arena, struct mqs_topic, (size_t)room + 1);
	while ((int64_t)ret->topics.n < room && store_next(rows)) {
		struct topic t;

		read_row(m, rows, &t);
		show(m, &t, &ret->topics.v[ret->topics.n++]);
	}
	ret->size = (int64_t)ret->topics.n;
	return store_done(&rows, &m->err);
}

int topic_list(struct model *m, const struct mqs_list_mqs_instance_topics_in *in, struct mqs_topic_list *ret)
{
	static struct str modify = {"modify", 6};
	int64_t limit = 0, offset = 0;
	int rc = mqs_number(m, "limit", in->limit, 1, 10000, 10000, &limit);

	if (rc == 0)
		rc = mqs_number(m, "offset", in->offset, 0, INT32_MAX, 0, &offset);
	if (rc)
		return rc;
	/* What Kafka has not yet done is healed by and by; its absence keeps nobody from the list. */
	if (topic_heal(m))
		m->err = (struct err){0};
	rc = store_begin(m->store, STORE_READ, &m->tx, &m->err);
	if (rc)
		return rc;
	rc = count(m, in, ret);
	if (rc == 0)
		rc = read_page(m, in, limit, offset, ret);
	store_rollback(&m->tx);
	if (m->who && (m->who->administrator || m->who->developer))
		ret->permissions = (struct str_array){&modify, 1};
	return rc;
}

static int check_change(struct model *m, struct str instance_id, const struct mqs_topic *in, struct topic *old)
{
	int64_t used;
	int rc = topic_get(m, instance_id, in->name, APP_MODIFY, old);

	if (rc == 0 && str_is(old->state, "deleting"))
		return unknown(m, in->name);
	if (rc == 0)
		rc = check_text(m, in->description);
	if (rc || !in->has_new_partition_numbers || in->new_partition_numbers == old->partitions)
		return rc;
	if (in->new_partition_numbers < old->partitions)
		return err_set(&m->err, ERR_MQS_00400102, "the topic has %lld partitions, it cannot have fewer",
			       (long long)old->partitions);
	rc = store_get_int(m->tx, &m->err, &used, NULL,
			   "SELECT COALESCE(SUM(partitions), 0) FROM mqs_topic WHERE instance_id = ?", "s",
			   instance_id);
	if (rc == 0 && used + in->new_partition_numbers - old->partitions > m->settings->mqs_max_partitions)
		return err_set(&m->err, ERR_MQS_00400102, "the topics of the instance may have %lld partitions",
			       (long long)m->settings->mqs_max_partitions);
	return rc;
}

/* The row says what is wanted before Kafka is asked: when that fails, topic_heal() does it later. */
static int record_change(struct model *m, void *arg)
{
	struct change *c = arg;
	const struct mqs_topic *in = c->in;
	int rc = check_change(m, c->instance_id, in, &c->t);

	if (rc)
		return rc;
	if (in->has_retention_time)
		c->t.retention_hours = in->retention_time;
	if (in->has_sync_message_flush)
		c->t.sync_flush = in->sync_message_flush;
	if (in->has_sync_replication)
		c->t.sync_replication = in->sync_replication;
	return store_exec(m->tx, &m->err, NULL,
			  "UPDATE mqs_topic SET retention_hours = ?, sync_flush = ?, sync_replication = ?,"
			  " description = COALESCE(?, description), sensitive_word = COALESCE(?, sensitive_word),"
			  " state = CASE WHEN state = 'ready' THEN 'changing' ELSE state END, updated_ms = ?"
			  " WHERE name = ?",
			  "iiissis", c->t.retention_hours, (int64_t)c->t.sync_flush, (int64_t)c->t.sync_replication,
			  in->description, in->sensitive_word, m->now_ms, in->name);
}

static int update(struct model *m, struct str instance_id, const struct mqs_topic *in)
{
	struct change c = {.instance_id = instance_id, .in = in};
	int rc = model_write(m, record_change, &c);

	if (rc)
		return rc;
	rc = settle(m, &c, in->has_new_partition_numbers ? in->new_partition_numbers : 0);
	if (rc > 0)
		rc = err_set(&m->err, ERR_MQS_00400101, "Kafka has no topic of this name");
	if (rc && !may_help_later(m, rc))
		give_up(m, &c);
	return rc;
}

int topic_update(struct model *m, struct str instance_id, const struct mqs_topic_array *list)
{
	int rc = 0;

	if (list->n > MAX_BATCH)
		return err_set(&m->err, ERR_MQS_00400800, "topics");
	for (size_t i = 0; rc == 0 && i < list->n; i++)
		rc = update(m, instance_id, &list->v[i]);
	return rc;
}

struct deletion {
	struct str instance_id, name;
};

static int record_deletion(struct model *m, void *arg)
{
	const struct deletion *d = arg;
	struct topic t;
	int rc = topic_get(m, d->instance_id, d->name, APP_DELETE, &t);

	return rc ? rc
		  : store_exec(m->tx, &m->err, NULL,
			       "UPDATE mqs_topic SET state = 'deleting', updated_ms = ? WHERE name = ?", "is",
			       m->now_ms, d->name);
}

static int delete_one(struct model *m, struct str instance_id, struct str name)
{
	struct deletion deletion = {instance_id, name};
	int rc = model_write(m, record_deletion, &deletion);

	if (rc)
		return rc;
	rc = cluster_topic_delete(m, name);
	return rc == 0 || rc == CLUSTER_UNKNOWN ? drop_row(m, name, STR("deleting")) : rc;
}

int topic_delete(struct model *m, struct str instance_id, const struct str_array *names,
		 struct mqs_topic_deletion_list *ret)
{
	size_t failures = 0;
	struct err first = {0};

	if (names->n == 0 || names->n > MAX_BATCH)
		return err_set(&m->err, ERR_MQS_00400800, "topics");
	ret->topics.v = ARENA_ARRAY(m->arena, struct mqs_topic_deletion, names->n);
	for (size_t i = 0; i < names->n; i++) {
		/* When Kafka is away, or does not let us in, it is so for the others. */
		bool hopeless = first.retriable || first.code == ERR_MQS_005000070;
		int rc = hopeless ? first.code : delete_one(m, instance_id, names->v[i]);

		if (rc && (failures++ == 0 || m->err.retriable))
			first = hopeless ? first : m->err;
		m->err = (struct err){0};
		ret->topics.v[ret->topics.n++] = (struct mqs_topic_deletion){names->v[i], rc == 0, true};
	}
	m->err = failures == names->n ? first : (struct err){0};
	return m->err.code;
}
