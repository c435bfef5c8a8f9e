/* SPDX-License-Identifier: Apache-2.0 */
#include "group_help.h"

#include <string.h>

const struct group_protocol range_protocol[1] = {{{"range", 5}, {"meta", 4}}};

static void copy(char *dst, size_t cap, struct str s)
{
	snprintf(dst, cap, "%.*s", STR_FMT(s));
}

struct answer *world_answer(struct world *w, uint64_t token)
{
	return &w->answers[token % ANSWERS];
}

static void on_reply(void *arg, uint64_t token, const struct group_reply *r)
{
	struct world *w = arg;
	struct answer *a = world_answer(w, token);

	assert_false(a->there); /* answered once */
	*a = (struct answer){.there = true, .op = r->op, .code = r->code};
	copy(a->member_id, sizeof(a->member_id), r->member_id);
	if (r->op == GROUP_LEAVE || r->op == GROUP_COMMIT || r->op == GROUP_OFFSET_DELETE) {
		a->n_codes = r->each.n;
		for (size_t i = 0; i < r->each.n && i < ARRAY_LEN(a->codes); i++)
			a->codes[i] = r->each.codes[i];
	} else if (r->op == GROUP_CONSUMER_HEARTBEAT) {
		a->epoch = r->consumer.epoch;
		a->has_assignment = r->consumer.has_assignment;
		a->n_parts = r->consumer.n;
		assert_true(r->consumer.n <= ARRAY_LEN(a->parts));
		for (size_t i = 0; i < r->consumer.n; i++)
			a->parts[i] = r->consumer.v[i];
	} else if (r->op == GROUP_SYNC && !r->code) {
		copy(a->assignment, sizeof(a->assignment), r->sync.assignment);
		copy(a->protocol, sizeof(a->protocol), r->sync.protocol_name);
	} else if (r->op == GROUP_JOIN && !r->code) {
		a->generation = r->join.generation;
		a->skip = r->join.skip_assignment;
		copy(a->leader, sizeof(a->leader), r->join.leader);
		copy(a->protocol, sizeof(a->protocol), r->join.protocol_name);
		a->n_members = r->join.n;
		for (size_t i = 0; i < r->join.n && i < ARRAY_LEN(a->members); i++) {
			copy(a->members[i].id, sizeof(a->members[i].id), r->join.members[i].member_id);
			copy(a->members[i].metadata, sizeof(a->members[i].metadata), r->join.members[i].metadata);
		}
	}
}

static void on_persist(void *arg, const struct coord_record *v, size_t n, uint64_t batch)
{
	struct world *w = arg;

	store_add(&w->store, v, n, batch);
	if (!w->hold)
		world_settle(w);
}

void world_settle(struct world *w)
{
	while (w->store.told < w->store.n) {
		struct stored_batch *b = &w->store.v[w->store.told++];
		bool ok = !w->failing;

		b->settled = true;
		b->ok = ok;
		group_persisted(w->g, b->id, ok, w->now);
	}
}

struct coord_uuid topic_id(size_t i)
{
	struct coord_uuid id = {{0}};

	id.b[0] = (uint8_t)(i * 37 + 1);
	id.b[15] = (uint8_t)(i + 1);
	return id;
}

static bool on_topic(void *arg, struct str name, struct coord_uuid *ret_id, int32_t *ret_partitions)
{
	struct world *w = arg;

	for (size_t i = 0; i < TOPICS; i++)
		if (w->topics[i].partitions && str_is(name, w->topics[i].name)) {
			*ret_id = topic_id(i);
			*ret_partitions = w->topics[i].partitions;
			return true;
		}
	return false;
}

static struct str on_topic_name(void *arg, const struct coord_uuid *id)
{
	struct world *w = arg;

	for (size_t i = 0; i < TOPICS; i++) {
		struct coord_uuid t = topic_id(i);

		if (w->topics[i].partitions && !memcmp(&t, id, sizeof(t)))
			return str_of(w->topics[i].name);
	}
	return STR_NONE;
}

static bool on_topic_next(void *arg, size_t *at, struct str *ret_name)
{
	struct world *w = arg;

	while (*at < TOPICS) {
		struct topic_row *t = &w->topics[(*at)++];

		if (t->partitions) {
			*ret_name = str_of(t->name);
			return true;
		}
	}
	return false;
}

void world_open(struct world *w)
{
	*w = (struct world){.now = 1000000};
	w->env = (struct group_env){.arg = w,
				    .persist = on_persist,
				    .reply = on_reply,
				    .topic = on_topic,
				    .topic_name = on_topic_name,
				    .topic_next = on_topic_next};
	w->cfg.initial_delay_ms = -1;
	w->answers = mem_zalloc(ANSWERS * sizeof(*w->answers));
	w->g = group_coord_new(&w->env, &w->cfg);
	group_loaded(w->g, w->now);
}

void world_close(struct world *w)
{
	group_coord_free(w->g);
	store_done(&w->store);
	free(w->answers);
}

struct group_coord *world_replay(struct world *w, size_t n)
{
	struct group_coord *g = group_coord_new(&w->env, &w->cfg);

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; w->store.v[i].ok && k < w->store.v[i].n; k++)
			assert_int_equal(group_replay(g, w->store.v[i].v[k]), 0);
	return g;
}

void world_restart(struct world *w)
{
	group_coord_free(w->g);
	w->store.told = w->store.n; /* what was not reported is lost */
	w->g = world_replay(w, w->store.n);
	group_loaded(w->g, w->now);
}

void world_pass(struct world *w, int64_t ms)
{
	int64_t end = w->now + ms;

	while (group_deadline(w->g) <= end) {
		if (group_deadline(w->g) > w->now)
			w->now = group_deadline(w->g);
		group_tick(w->g, w->now);
	}
	w->now = end;
	group_tick(w->g, w->now);
}

static uint64_t new_token(struct world *w)
{
	uint64_t token = ++w->token;

	world_answer(w, token)->there = false;
	return token;
}

uint64_t join(struct world *w, struct group_join in)
{
	uint64_t token = new_token(w);

	group_join(w->g, &in, token, w->now);
	return token;
}

uint64_t join_dynamic(struct world *w, const char *group)
{
	struct group_join in = {JOIN_DEFAULTS};
	struct answer *a;
	char id[320];

	in.group_id = str_of(group);
	a = world_answer(w, join(w, in));
	assert_true(a->there);
	assert_int_equal(a->code, COORD_MEMBER_ID_REQUIRED);
	snprintf(id, sizeof(id), "%s", a->member_id);
	in.member_id = str_of(id);
	uint64_t token = join(w, in);

	if (!world_answer(w, token)->there) /* for tests that need the id while the join waits */
		snprintf(world_answer(w, token)->member_id, 320, "%s", id);
	return token;
}

uint64_t sync_one(struct world *w, const char *id, int32_t generation, const struct group_assignment *v, size_t n)
{
	uint64_t token = new_token(w);
	struct group_sync in = {
		.group_id = STR("g"), .member_id = str_of(id), .generation = generation, .assignments = v, .n = n};

	group_sync(w->g, &in, token, w->now);
	return token;
}

uint64_t sync_empty(struct world *w, const char *id, int32_t generation)
{
	return sync_one(w, id, generation, NULL, 0);
}

int16_t beat(struct world *w, const char *id, int32_t generation)
{
	return group_heartbeat(w->g, STR("g"), str_of(id), STR_NONE, generation, w->now);
}

int16_t leave(struct world *w, const char *id, const char *instance)
{
	struct group_leaver l = {str_of(id), instance ? str_of(instance) : STR_NONE};
	uint64_t token = new_token(w);

	group_leave(w->g, STR("g"), &l, 1, token, w->now);
	struct answer *a = world_answer(w, token);

	assert_true(a->there);
	return a->code ? a->code : a->codes[0];
}

int16_t commit(struct world *w, const char *id, int32_t generation, const char *topic, int64_t offset)
{
	struct group_offset o = {str_of(topic), 0, offset, -1, STR("m")};
	struct group_commit in = {.group_id = STR("g"),
				  .member_id = str_of(id),
				  .generation = generation,
				  .retention_ms = -1,
				  .v = &o,
				  .n = 1};
	uint64_t token = new_token(w);

	group_commit(w->g, &in, token, w->now);
	struct answer *a = world_answer(w, token);

	assert_true(a->there);
	assert_int_equal(a->n_codes, 1);
	return a->codes[0];
}

int64_t committed(struct world *w, const char *topic, int32_t partition)
{
	struct arena *a = arena_new(1 << 20);
	struct group_offset o = {.topic = str_of(topic), .partition = partition};
	struct group_fetch in = {.group_id = STR("g"), .epoch = -1, .v = &o, .n = 1};
	const struct group_fetched *f;
	size_t n;

	assert_int_equal(group_offsets_fetch(w->g, &in, a, &f, &n), 0);
	assert_int_equal(n, 1);
	int64_t offset = f[0].offset;

	arena_free(a);
	return offset;
}

const char *state(struct world *w, const char *group)
{
	static char name[32];
	struct arena *a = arena_new(16 << 20);
	struct group_described d;

	group_describe(w->g, str_of(group), a, &d);
	snprintf(name, sizeof(name), "%.*s", STR_FMT(d.state));
	arena_free(a);
	return name;
}

/* Completes a rebalance of members whose joins were answered: the leader gives everybody its own id. */
static void sync_all(struct world *w, size_t n, char ids[][320], int32_t generation)
{
	struct group_assignment v[16];

	for (size_t i = 0; i < n; i++)
		v[i] = (struct group_assignment){str_of(ids[i]), str_of(ids[i])};
	for (size_t i = n; i-- > 0;)
		sync_one(w, ids[i], generation, i ? NULL : v, i ? 0 : n);
}

int32_t stable_group(struct world *w, size_t n, char ret_ids[][320])
{
	uint64_t tokens[16];
	struct answer *a = NULL;

	for (size_t i = 0; i < n; i++) {
		tokens[i] = join_dynamic(w, "g");
		snprintf(ret_ids[i], 320, "%s", world_answer(w, tokens[i])->member_id);
		/* Those who are in already see the rebalance and join again. */
		for (size_t k = 0; k < i; k++) {
			struct group_join in = {JOIN_DEFAULTS};

			in.member_id = str_of(ret_ids[k]);
			tokens[k] = join(w, in);
		}
	}
	a = world_answer(w, tokens[0]);
	assert_true(a->there);
	assert_int_equal(a->code, 0);
	assert_string_equal(a->leader, ret_ids[0]);
	sync_all(w, n, ret_ids, a->generation);
	assert_string_equal(state(w, "g"), "Stable");
	return a->generation;
}

uint64_t chb(struct world *w, struct group_consumer_heartbeat in)
{
	uint64_t token = new_token(w);

	if (!in.group_id.p)
		in.group_id = STR("g");
	group_consumer_heartbeat(w->g, &in, token, w->now);
	return token;
}
