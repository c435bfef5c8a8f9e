/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

#include <stdio.h>
#include <stdlib.h>

/* DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, ListConfigResources. Settings of topics, and the same
 * settings by their broker names as defaults of all topics. */

enum { MANY = 5000, RES_TOPIC = 2, RES_BROKER = 4, RES_GROUP = 32, SOURCE_GROUP = 8 };

struct fixed {
	const char *name, *value;
	enum mqs_config_type type;
};

/* Settings of a broker that clients look at and that cannot be changed here. */
static const struct fixed fixed[] = {
	{"broker.id", "1", CFG_INT},
	{"node.id", "1", CFG_INT},
	{"process.roles", "broker,controller", CFG_LIST},
	{"default.replication.factor", "1", CFG_INT},
	{"offsets.topic.replication.factor", "1", CFG_INT},
	{"transaction.state.log.replication.factor", "1", CFG_INT},
	{"group.coordinator.rebalance.protocols", "classic,consumer", CFG_LIST},
	{"group.consumer.assignors", "uniform,range", CFG_LIST},
	{"group.share.delivery.count.limit", "5", CFG_INT},
	{"group.share.max.share.sessions", "2000", CFG_INT},
	{"group.share.max.size", "200", CFG_INT},
	{"group.share.partition.max.record.locks", "2000", CFG_INT},
	{"group.share.record.lock.duration.ms", "30000", CFG_INT},
	{"group.share.min.record.lock.duration.ms", "15000", CFG_INT},
	{"group.share.max.record.lock.duration.ms", "60000", CFG_INT},
	{"transaction.max.timeout.ms", "900000", CFG_INT},
	{"group.max.session.timeout.ms", "1800000", CFG_INT},
	{"super.users", "", CFG_STRING},
	{"authorizer.class.name", "appia", CFG_STRING},
};

static bool asked(const struct kafka_describe_configs_req_resource *r, const char *name)
{
	for (int32_t i = 0; i < r->configuration_keys.n; i++)
		if (str_is(r->configuration_keys.v[i], name))
			return true;
	return r->configuration_keys.n < 0;
}

static void add_synonym(struct kafka_describe_configs_res_config *c, const char *name, struct str value, int source)
{
	struct kafka_describe_configs_res_synonym *s = &c->synonyms.v[c->synonyms.n++];

	s->name = str_of(name);
	s->value = value;
	s->source = (int8_t)source;
}

static void fill(struct mqs_request *rq, const struct mqs_settings *s, int id, bool of_broker,
		 struct kafka_describe_configs_res_config *c)
{
	const struct kafka_describe_configs_req *in = rq->in;
	const struct mqs_config_def *d = &mqs_config_defs[id];
	struct mqs_broker *b = mqs_broker(rq);
	int source, under;

	c->name = str_of(of_broker ? d->broker_name : d->name);
	c->value = mqs_config_value(b, s, id, rq->arena, &source);
	c->config_source = (int8_t)source;
	c->is_default = source == 5 || source == 4;
	c->config_type = (int8_t)d->type;
	c->synonyms.n = 0;
	if (in->include_synonyms) {
		c->synonyms.v = KAFKA_ARRAY(rq->arena, kafka_describe_configs_res_synonym, 3);
		struct str below = mqs_config_value(b, NULL, id, rq->arena, &under);

		if (source == 1)
			add_synonym(c, d->name, c->value, 1);
		if (d->broker_name)
			add_synonym(c, d->broker_name, below, under);
		if (d->broker_name && under != 5)
			add_synonym(c, d->broker_name, str_of(d->def), 5);
	}
	if (in->include_documentation)
		c->documentation = str_of(d->doc);
}

static void describe_topic(struct mqs_request *rq, const struct kafka_describe_configs_req_resource *r,
			   struct kafka_describe_configs_res_result *out)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_topic *t = mqs_topic_of(rq, r->resource_name);

	if (!mqs_may(rq, ACL_TOPIC, r->resource_name, OP_DESCRIBE_CONFIGS))
		out->error_code = KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
	else if (!t)
		out->error_code = KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (out->error_code)
		return;
	out->configs.v = KAFKA_ARRAY(rq->arena, kafka_describe_configs_res_config, CFG_COUNT);
	pthread_rwlock_rdlock(&b->topics);
	for (int i = 0; i < CFG_COUNT; i++)
		if (asked(r, mqs_config_defs[i].name))
			fill(rq, &t->settings, i, false, &out->configs.v[out->configs.n++]);
	pthread_rwlock_unlock(&b->topics);
}

static void add_fixed(struct kafka_describe_configs_res_result *out,
		      const struct kafka_describe_configs_req_resource *r, const char *name, struct str value,
		      enum mqs_config_type type)
{
	struct kafka_describe_configs_res_config *c = &out->configs.v[out->configs.n];

	if (!asked(r, name))
		return;
	out->configs.n++;
	c->name = str_of(name);
	c->value = value;
	c->read_only = true;
	c->config_source = 4;
	c->config_type = (int8_t)type;
	c->synonyms.n = 0;
}

static void describe_broker(struct mqs_request *rq, const struct kafka_describe_configs_req_resource *r,
			    struct kafka_describe_configs_res_result *out)
{
	struct mqs_broker *b = mqs_broker(rq);
	bool whole = r->resource_name.n > 0;

	if (!mqs_may_cluster(rq, OP_DESCRIBE_CONFIGS)) {
		out->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		return;
	}
	if (whole && !str_is(r->resource_name, "1")) {
		out->error_code = KAFKA_ERR_INVALID_REQUEST;
		out->error_message = STR("there is only node 1");
		return;
	}
	out->configs.v = KAFKA_ARRAY(rq->arena, kafka_describe_configs_res_config, CFG_COUNT + ARRAY_LEN(fixed) + 5);
	pthread_rwlock_rdlock(&b->topics);
	for (int i = 0; i < CFG_COUNT; i++)
		if (mqs_config_defs[i].broker_name && asked(r, mqs_config_defs[i].broker_name) &&
		    (whole || b->defaults.v[i]))
			fill(rq, NULL, i, true, &out->configs.v[out->configs.n++]);
	pthread_rwlock_unlock(&b->topics);
	for (size_t i = 0; whole && i < ARRAY_LEN(fixed); i++)
		add_fixed(out, r, fixed[i].name, str_of(fixed[i].value), fixed[i].type);
	if (!whole)
		return;
	add_fixed(out, r, "num.partitions", arena_fmt(rq->arena, "%d", b->options.default_partitions), CFG_INT);
	add_fixed(out, r, "auto.create.topics.enable", b->options.auto_create ? STR("true") : STR("false"),
		  CFG_BOOLEAN);
	add_fixed(out, r, "delete.topic.enable", b->options.delete_topics ? STR("true") : STR("false"), CFG_BOOLEAN);
	add_fixed(out, r, "group.min.session.timeout.ms", arena_fmt(rq->arena, "%d", b->options.group_session_min_ms),
		  CFG_INT);
	add_fixed(out, r, "log.dirs", str_of(b->options.dir), CFG_STRING);
}

static void describe_group(struct mqs_request *rq, const struct kafka_describe_configs_req_resource *r,
			   struct kafka_describe_configs_res_result *out)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_group_setting set;

	if (!mqs_may(rq, ACL_GROUP, r->resource_name, OP_DESCRIBE_CONFIGS)) {
		out->error_code = KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
		return;
	}
	mqs_group_of(b, r->resource_name, &set);
	out->configs.v = KAFKA_ARRAY(rq->arena, kafka_describe_configs_res_config, GROUP_SETTINGS);
	for (int i = 0; i < GROUP_SETTINGS; i++) {
		struct kafka_describe_configs_res_config *c = &out->configs.v[out->configs.n];
		bool is_default;
		struct str value = mqs_group_text(b, &set, i, rq->arena, &is_default);

		if (!asked(r, mqs_group_defs[i].name))
			continue;
		add_fixed(out, r, mqs_group_defs[i].name, value, mqs_group_defs[i].type);
		c->read_only = false;
		c->is_default = is_default;
		c->config_source = is_default ? 5 : SOURCE_GROUP;
	}
}

void mqs_handle_describe_configs(struct mqs_request *rq)
{
	const struct kafka_describe_configs_req *in = rq->in;
	struct kafka_describe_configs_res *res = KAFKA_NEW(rq->arena, kafka_describe_configs_res);
	int32_t n = in->resources.n > 0 && in->resources.n < MANY ? in->resources.n : 0;

	res->results.n = n;
	res->results.v = KAFKA_ARRAY(rq->arena, kafka_describe_configs_res_result, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		const struct kafka_describe_configs_req_resource *r = &in->resources.v[i];
		struct kafka_describe_configs_res_result *out = &res->results.v[i];

		out->resource_type = r->resource_type;
		out->resource_name = r->resource_name;
		out->configs.n = 0;
		if (r->resource_type == RES_TOPIC)
			describe_topic(rq, r, out);
		else if (r->resource_type == RES_BROKER)
			describe_broker(rq, r, out);
		else if (r->resource_type == RES_GROUP)
			describe_group(rq, r, out);
		else if (r->resource_type != 8 && r->resource_type != 16)
			out->error_code = KAFKA_ERR_INVALID_REQUEST;
	}
	mqs_answer(rq, res);
}

/* ---- changes ---- */

enum { SET, DELETE, APPEND, SUBTRACT };

static int setting_of(bool broker, struct str name)
{
	for (int i = 0; i < CFG_COUNT; i++)
		if (str_is(name, broker ? mqs_config_defs[i].broker_name : mqs_config_defs[i].name) &&
		    (!broker || mqs_config_defs[i].broker_name))
			return i;
	return -1;
}

static struct str without(struct arena *a, struct str list, struct str gone)
{
	struct buf b;
	struct str rest = list.n ? list : STR_NONE;

	buf_init(&b, 65536);
	while (rest.p) {
		struct str item = str_trim(str_cut(&rest, ','));
		struct str other = gone;
		bool drop = item.n == 0;

		while (other.p && !drop)
			drop = str_eq(str_trim(str_cut(&other, ',')), item);
		if (drop)
			continue;
		if (b.n)
			buf_char(&b, ',');
		buf_str(&b, item);
	}
	struct str ret = arena_str(a, buf_view(&b));

	buf_done(&b);
	return ret;
}

static int apply(struct mqs_request *rq, struct mqs_settings *s, bool broker, struct str name, int op, struct str value,
		 struct str *ret_text)
{
	int id = setting_of(broker, name);

	/* What is not there is not set: Kafka's tools clear throttles that they never made. */
	if (id < 0 && op == DELETE)
		return 0;
	if (id < 0) {
		*ret_text = arena_fmt(rq->arena, "unknown setting %.*s", STR_FMT(name));
		return KAFKA_ERR_INVALID_CONFIG;
	}
	if (op == DELETE || (op == SET && !value.p)) {
		mqs_settings_set(s, id, STR_NONE);
		return 0;
	}
	if (op < SET || op > SUBTRACT || ((op == APPEND || op == SUBTRACT) && mqs_config_defs[id].type != CFG_LIST)) {
		*ret_text = STR("only lists can be appended to or subtracted from");
		return KAFKA_ERR_INVALID_CONFIG;
	}
	if (op != SET) {
		struct str old = mqs_config_value(mqs_broker(rq), s, id, rq->arena, NULL);
		struct str rest = without(rq->arena, old, value);

		value = op == SUBTRACT ? rest
			: rest.n       ? arena_fmt(rq->arena, "%.*s,%.*s", STR_FMT(rest), STR_FMT(value))
				       : value;
	}
	const char *wrong = mqs_config_check(id, value);

	if (wrong) {
		*ret_text = arena_fmt(rq->arena, "%.*s: %s", STR_FMT(name), wrong);
		return KAFKA_ERR_INVALID_CONFIG;
	}
	mqs_settings_set(s, id, value);
	return 0;
}

struct change {
	int8_t type;
	struct str name;
	bool incremental, validate_only;
	const void *configs;
	int32_t n;
};

static int apply_all(struct mqs_request *rq, const struct change *c, struct mqs_settings *s, struct str *ret_text)
{
	const struct kafka_incremental_alter_configs_req_config *inc = c->configs;
	const struct kafka_alter_configs_req_config *all = c->configs;
	bool broker = c->type == RES_BROKER;
	int code = 0;

	for (int32_t i = 0; i < c->n && code == 0; i++)
		code = c->incremental
			       ? apply(rq, s, broker, inc[i].name, inc[i].config_operation, inc[i].value, ret_text)
			       : apply(rq, s, broker, all[i].name, SET, all[i].value, ret_text);
	return code;
}

static int apply_group(struct mqs_request *rq, struct mqs_group_setting *set, struct str name, int op, struct str value,
		       struct str *ret_text)
{
	int id = 0;

	while (id < GROUP_SETTINGS && !str_is(name, mqs_group_defs[id].name))
		id++;
	if (id == GROUP_SETTINGS && op == DELETE)
		return 0;
	if (id == GROUP_SETTINGS || op > DELETE || op < SET ||
	    !mqs_group_set(set, id, op == DELETE ? STR_NONE : value)) {
		*ret_text = arena_fmt(rq->arena, "%.*s: no such setting, or not such a value", STR_FMT(name));
		return KAFKA_ERR_INVALID_CONFIG;
	}
	return 0;
}

/* The interval of a session's time, which is the setting behind it. */
static bool too_slow(const struct mqs_broker *b, const struct mqs_group_setting *set, int id)
{
	int32_t session = set->v[id] < 0 ? b->options.group_session_ms : set->v[id];
	int32_t interval = set->v[id + 1] < 0 ? b->options.group_interval_ms : set->v[id + 1];

	return interval >= session;
}

static int alter_group(struct mqs_request *rq, const struct change *c, struct str *ret_text)
{
	const struct kafka_incremental_alter_configs_req_config *inc = c->configs;
	const struct kafka_alter_configs_req_config *all = c->configs;
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_group_setting set;
	int code = 0;

	if (!mqs_may(rq, ACL_GROUP, c->name, OP_ALTER_CONFIGS))
		return KAFKA_ERR_GROUP_AUTHORIZATION_FAILED;
	if (!c->name.n)
		return KAFKA_ERR_INVALID_REQUEST;
	mqs_group_of(b, c->incremental ? c->name : STR(""), &set);
	for (int32_t i = 0; i < c->n && code == 0; i++)
		code = c->incremental
			       ? apply_group(rq, &set, inc[i].name, inc[i].config_operation, inc[i].value, ret_text)
			       : apply_group(rq, &set, all[i].name, SET, all[i].value, ret_text);
	if (code == 0 && (too_slow(b, &set, GROUP_SESSION_MS) || too_slow(b, &set, GROUP_SHARE_SESSION_MS))) {
		*ret_text = STR("members have to report more often than they may be silent");
		code = KAFKA_ERR_INVALID_CONFIG;
	}
	return code || c->validate_only ? code : mqs_group_put(b, c->name, &set);
}

static int alter(struct mqs_request *rq, const struct change *c, struct str *ret_text)
{
	struct mqs_broker *b = mqs_broker(rq);
	struct mqs_topic *t = c->type == RES_TOPIC ? mqs_topic_of(rq, c->name) : NULL;
	struct mqs_settings s = {0};

	if (c->type == RES_GROUP)
		return alter_group(rq, c, ret_text);
	if (c->type != RES_TOPIC && c->type != RES_BROKER) {
		*ret_text = STR("settings of this resource cannot be changed");
		return KAFKA_ERR_INVALID_REQUEST;
	}
	if (c->type == RES_TOPIC && !mqs_may(rq, ACL_TOPIC, c->name, OP_ALTER_CONFIGS))
		return KAFKA_ERR_TOPIC_AUTHORIZATION_FAILED;
	if (c->type == RES_BROKER && !mqs_may_cluster(rq, OP_ALTER_CONFIGS))
		return KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
	if (c->type == RES_TOPIC && !t)
		return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (c->incremental)
		mqs_settings_copy(&s, t ? &t->settings : &b->defaults);
	int code = apply_all(rq, c, &s, ret_text);

	if (code == 0 && !c->validate_only)
		code = t ? mqs_topic_configure(b, t, &s) : mqs_defaults_configure(b, &s);
	mqs_settings_done(&s);
	return code;
}

void mqs_handle_alter_configs(struct mqs_request *rq)
{
	const struct kafka_alter_configs_req *in = rq->in;
	struct kafka_alter_configs_res *res = KAFKA_NEW(rq->arena, kafka_alter_configs_res);
	int32_t n = in->resources.n > 0 && in->resources.n < MANY ? in->resources.n : 0;

	res->responses.n = n;
	res->responses.v = KAFKA_ARRAY(rq->arena, kafka_alter_configs_res_response, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		const struct kafka_alter_configs_req_resource *r = &in->resources.v[i];
		struct kafka_alter_configs_res_response *out = &res->responses.v[i];

		out->resource_type = r->resource_type;
		out->resource_name = r->resource_name;
		out->error_code = (int16_t)alter(rq,
						 &(struct change){r->resource_type, r->resource_name, false,
								  in->validate_only, r->configs.v, r->configs.n},
						 &out->error_message);
	}
	mqs_answer(rq, res);
}

void mqs_handle_incremental_alter_configs(struct mqs_request *rq)
{
	const struct kafka_incremental_alter_configs_req *in = rq->in;
	struct kafka_incremental_alter_configs_res *res = KAFKA_NEW(rq->arena, kafka_incremental_alter_configs_res);
	int32_t n = in->resources.n > 0 && in->resources.n < MANY ? in->resources.n : 0;

	res->responses.n = n;
	res->responses.v = KAFKA_ARRAY(rq->arena, kafka_incremental_alter_configs_res_response, (size_t)n);
	for (int32_t i = 0; i < n; i++) {
		const struct kafka_incremental_alter_configs_req_resource *r = &in->resources.v[i];
		struct kafka_incremental_alter_configs_res_response *out = &res->responses.v[i];

		out->resource_type = r->resource_type;
		out->resource_name = r->resource_name;
		out->error_code = (int16_t)alter(rq,
						 &(struct change){r->resource_type, r->resource_name, true,
								  in->validate_only, r->configs.v, r->configs.n},
						 &out->error_message);
	}
	mqs_answer(rq, res);
}

void mqs_handle_list_config_resources(struct mqs_request *rq)
{
	const struct kafka_list_config_resources_req *in = rq->in;
	struct kafka_list_config_resources_res *res = KAFKA_NEW(rq->arena, kafka_list_config_resources_res);
	bool topics = rq->head.version > 0 && in->resource_types.n <= 0, brokers = topics, groups = topics;
	struct mqs_broker *b = mqs_broker(rq);
	size_t n, at = 0;
	void *set;

	for (int32_t i = 0; i < in->resource_types.n; i++) {
		topics = topics || in->resource_types.v[i] == RES_TOPIC;
		brokers = brokers || in->resource_types.v[i] == RES_BROKER;
		groups = groups || in->resource_types.v[i] == RES_GROUP;
	}
	res->config_resources.n = 0;
	if (!mqs_may_cluster(rq, OP_DESCRIBE_CONFIGS)) {
		res->error_code = KAFKA_ERR_CLUSTER_AUTHORIZATION_FAILED;
		mqs_answer(rq, res);
		return;
	}
	struct mqs_topic **v = mqs_topics_all(rq, &n);

	pthread_mutex_lock(&b->coord);
	size_t n_groups = b->groups_set && groups ? map_count(b->groups_set) : 0;

	res->config_resources.v =
		KAFKA_ARRAY(rq->arena, kafka_list_config_resources_res_config_resource, n + n_groups + 1);
	while (n_groups && map_next(b->groups_set, &at, NULL, &set)) {
		struct str name = ((struct mqs_group_setting *)set)->group;

		res->config_resources.v[res->config_resources.n].resource_name = arena_str(rq->arena, name);
		res->config_resources.v[res->config_resources.n++].resource_type = RES_GROUP;
	}
	pthread_mutex_unlock(&b->coord);
	if (brokers) {
		res->config_resources.v[res->config_resources.n].resource_name = STR("1");
		res->config_resources.v[res->config_resources.n++].resource_type = RES_BROKER;
	}
	for (size_t i = 0; topics && i < n; i++) {
		res->config_resources.v[res->config_resources.n].resource_name = v[i]->name;
		res->config_resources.v[res->config_resources.n++].resource_type = RES_TOPIC;
	}
	mqs_answer(rq, res);
}
