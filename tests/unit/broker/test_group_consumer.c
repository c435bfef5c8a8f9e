/* SPDX-License-Identifier: Apache-2.0 */
#include "group_help.h"

#include <string.h>

/* KIP-848. */

static const struct str topic_t[1] = {{"t", 1}}, topic_u[1] = {{"u", 1}};
static const struct group_partition none[1];

#define FIRST .epoch = 0, .rebalance_timeout_ms = 60000, .topics = topic_t, .n_topics = 1, .owned = none
#define LATER .rebalance_timeout_ms = -1

/* A client: what it was told, and what it holds. */
struct client {
	const char *id, *instance;
	int32_t epoch;
	struct group_partition held[256];
	size_t n;
	int16_t code;
};

static void open_with(struct world *w, int32_t t, int32_t u)
{
	world_open(w);
	w->topics[0] = (struct topic_row){"t", t};
	w->topics[1] = (struct topic_row){"u", u};
}

static void learn(struct client *c, const struct answer *a)
{
	assert_true(a->there);
	c->code = a->code;
	if (a->code)
		return;
	c->epoch = a->epoch;
	if (a->has_assignment) {
		memcpy(c->held, a->parts, sizeof(c->held));
		c->n = a->n_parts;
	}
}

static int16_t first_with(struct world *w, struct client *c, struct group_consumer_heartbeat in)
{
	in.member_id = str_of(c->id);
	in.instance_id = c->instance ? str_of(c->instance) : STR_NONE;
	c->n = 0;
	learn(c, world_answer(w, chb(w, in)));
	return c->code;
}

static int16_t first(struct world *w, struct client *c)
{
	return first_with(w, c, (struct group_consumer_heartbeat){FIRST});
}

/* A heartbeat of a client that has done what it was told. */
static int16_t again(struct world *w, struct client *c)
{
	struct group_consumer_heartbeat in = {LATER, .epoch = c->epoch, .owned = c->held, .n_owned = c->n};

	in.member_id = str_of(c->id);
	in.instance_id = c->instance ? str_of(c->instance) : STR_NONE;
	learn(c, world_answer(w, chb(w, in)));
	return c->code;
}

static void rounds(struct world *w, struct client *c, size_t n, int times)
{
	while (times--)
		for (size_t i = 0; i < n; i++)
			assert_int_equal(again(w, &c[i]), 0);
}

/* Each of the topic's partitions at exactly one client. */
static void assert_spread(const struct client *c, size_t n, size_t topic, int32_t partitions)
{
	struct coord_uuid id = topic_id(topic);

	for (int32_t p = 0; p < partitions; p++) {
		int owners = 0;

		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < c[i].n; k++)
				owners += c[i].held[k].partition == p && !memcmp(&c[i].held[k].topic, &id, sizeof(id));
		assert_int_equal(owners, 1);
	}
}

static void one_member_gets_all(void **st)
{
	struct world w;
	struct client c = {.id = "m1"};

	open_with(&w, 6, 0);
	assert_int_equal(first(&w, &c), 0);
	assert_int_equal(c.epoch, 1);
	assert_int_equal(c.n, 6);
	assert_string_equal(state(&w, "g"), "Stable");
	/* Nothing new: no assignment in the answer. */
	struct group_consumer_heartbeat in = {LATER, .epoch = 1, .member_id = STR("m1")};
	struct answer *a = world_answer(&w, chb(&w, in));

	assert_int_equal(a->epoch, 1);
	assert_false(a->has_assignment);
	world_close(&w);
}

static void revocation_comes_before_assignment(void **st)
{
	struct world w;
	struct client c[2] = {{.id = "m1"}, {.id = "m2"}};

	open_with(&w, 6, 0);
	first(&w, &c[0]);
	assert_int_equal(first(&w, &c[1]), 0);
	assert_int_equal(c[1].epoch, 2);
	assert_int_equal(c[1].n, 0); /* all is still with m1 */
	assert_string_equal(state(&w, "g"), "Reconciling");
	struct client before = c[0];

	assert_int_equal(again(&w, &c[0]), 0); /* told to give three back */
	assert_int_equal(c[0].n, 3);
	assert_int_equal(c[0].epoch, 1);
	again(&w, &c[1]);
	assert_int_equal(c[1].n, 0);
	struct client slow = before; /* says it still has all of them */

	assert_int_equal(again(&w, &slow), 0);
	again(&w, &c[1]);
	assert_int_equal(c[1].n, 0);
	assert_int_equal(again(&w, &c[0]), 0); /* given back */
	assert_int_equal(c[0].epoch, 2);
	again(&w, &c[1]);
	assert_int_equal(c[1].n, 3);
	assert_spread(c, 2, 0, 6);
	assert_string_equal(state(&w, "g"), "Stable");
	world_close(&w);
}

static void who_does_not_revoke_is_fenced(void **st)
{
	struct world w;
	struct client c[2] = {{.id = "m1"}, {.id = "m2"}};

	open_with(&w, 6, 0);
	first(&w, &c[0]);
	first(&w, &c[1]);
	struct client slow = c[0];

	again(&w, &slow);
	for (int i = 0; i < 7; i++) {
		struct client busy = c[0];

		world_pass(&w, 10000);
		again(&w, &c[1]);
		again(&w, &busy);
		slow = busy;
	}
	assert_int_equal(slow.code, COORD_UNKNOWN_MEMBER_ID);
	rounds(&w, &c[1], 1, 1);
	assert_spread(&c[1], 1, 0, 6);
	world_close(&w);
}

static void sessions_end(void **st)
{
	struct world w;
	struct client c[2] = {{.id = "m1"}, {.id = "m2"}};

	open_with(&w, 4, 0);
	first(&w, &c[0]);
	first(&w, &c[1]);
	rounds(&w, c, 2, 3);
	for (int i = 0; i < 5; i++) {
		world_pass(&w, 10000);
		assert_int_equal(again(&w, &c[0]), 0);
	}
	rounds(&w, c, 1, 2);
	assert_spread(c, 1, 0, 4);
	assert_int_equal(again(&w, &c[1]), COORD_UNKNOWN_MEMBER_ID);
	world_close(&w);
}

static void epochs(void **st)
{
	struct world w;
	struct client c[2] = {{.id = "m1"}, {.id = "m2"}};

	open_with(&w, 4, 0);
	first(&w, &c[0]);
	struct client ahead = c[0];

	ahead.epoch = 9;
	assert_int_equal(again(&w, &ahead), COORD_FENCED_MEMBER_EPOCH);
	first(&w, &c[1]);
	again(&w, &c[0]);
	struct client lost = c[0];

	assert_int_equal(again(&w, &c[0]), 0);
	assert_int_equal(c[0].epoch, 2);
	/* The answer with epoch 2 got lost: epoch 1 with no more than assigned is a repetition. */
	assert_int_equal(again(&w, &lost), 0);
	assert_int_equal(lost.epoch, 2);
	struct client older = c[0];

	rounds(&w, c, 2, 2);
	struct client third = {.id = "m3"};

	first(&w, &third);
	rounds(&w, c, 2, 2);
	older.epoch = 1;
	assert_int_equal(again(&w, &older), COORD_FENCED_MEMBER_EPOCH);
	struct group_consumer_heartbeat in = {LATER, .epoch = 1, .member_id = STR("ghost")};

	assert_int_equal(world_answer(&w, chb(&w, in))->code, COORD_UNKNOWN_MEMBER_ID);
	in.group_id = STR("no group");
	assert_int_equal(world_answer(&w, chb(&w, in))->code, COORD_GROUP_ID_NOT_FOUND);
	world_close(&w);
}

static int16_t code_of(struct world *w, struct group_consumer_heartbeat in)
{
	struct answer *a = world_answer(w, chb(w, in));

	assert_true(a->there);
	return a->code;
}

static void hostile_heartbeats(void **st)
{
	struct world w;
	struct group_consumer_heartbeat ok = {FIRST, .member_id = STR("m")}, in;

	open_with(&w, 4, 0);
	in = ok, in.group_id = STR("");
	assert_int_equal(code_of(&w, in), COORD_INVALID_REQUEST);
	in = ok, in.rebalance_timeout_ms = -1;
	assert_int_equal(code_of(&w, in), COORD_INVALID_REQUEST);
	in = ok, in.owned = NULL;
	assert_int_equal(code_of(&w, in), COORD_INVALID_REQUEST);
	in = ok, in.topics = NULL;
	assert_int_equal(code_of(&w, in), COORD_INVALID_REQUEST);
	in = ok, in.epoch = -3;
	assert_int_equal(code_of(&w, in), COORD_INVALID_REQUEST);
	in = ok, in.epoch = -2;
	assert_int_equal(code_of(&w, in), COORD_INVALID_REQUEST);
	in = ok, in.epoch = 5, in.member_id = STR("");
	assert_int_equal(code_of(&w, in), COORD_INVALID_REQUEST);
	in = ok, in.instance_id = STR("");
	assert_int_equal(code_of(&w, in), COORD_INVALID_REQUEST);
	in = ok, in.assignor = STR("magic");
	assert_int_equal(code_of(&w, in), COORD_UNSUPPORTED_ASSIGNOR);
	in = ok, in.regex = STR("(");
	assert_int_equal(code_of(&w, in), COORD_INVALID_REGULAR_EXPRESSION);
	in = ok, in.topics = NULL, in.regex = STR("(a*)*(a*)*(a*)*b"); /* costs little, matches nothing */
	w.topics[2] = (struct topic_row){"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1};
	assert_int_equal(code_of(&w, in), 0);
	world_close(&w);
}

static void broker_makes_ids_for_version_0(void **st)
{
	struct world w;
	struct group_consumer_heartbeat in = {FIRST, .member_id = STR("")};

	open_with(&w, 4, 0);
	struct answer *a = world_answer(&w, chb(&w, in));

	assert_int_equal(a->code, 0);
	assert_int_equal(strlen(a->member_id), 36);
	world_close(&w);
}

static void leaving(void **st)
{
	struct world w;
	struct client c[2] = {{.id = "m1"}, {.id = "m2"}};

	open_with(&w, 4, 0);
	first(&w, &c[0]);
	first(&w, &c[1]);
	rounds(&w, c, 2, 3);
	struct group_consumer_heartbeat bye = {LATER, .epoch = -1, .member_id = STR("m1")};

	assert_int_equal(code_of(&w, bye), 0);
	assert_int_equal(code_of(&w, bye), COORD_UNKNOWN_MEMBER_ID);
	rounds(&w, &c[1], 1, 1);
	assert_int_equal(c[1].n, 4);
	bye.member_id = STR("m2");
	assert_int_equal(code_of(&w, bye), 0);
	assert_string_equal(state(&w, "g"), "Empty");
	world_close(&w);
}

static void static_member_comes_back(void **st)
{
	struct world w;
	struct client c[2] = {{.id = "m1", .instance = "i1"}, {.id = "m2"}}, next = {.id = "m1b", .instance = "i1"};

	open_with(&w, 4, 0);
	first(&w, &c[0]);
	first(&w, &c[1]);
	rounds(&w, c, 2, 3);
	int32_t epoch = c[1].epoch;

	assert_int_equal(first(&w, &next), COORD_UNRELEASED_INSTANCE_ID);
	struct group_consumer_heartbeat bye = {LATER, .epoch = -2, .member_id = STR("m1"), .instance_id = STR("i1")};
	struct answer *a = world_answer(&w, chb(&w, bye));

	assert_int_equal(a->code, 0);
	assert_int_equal(a->epoch, -2);
	world_restart(&w);
	rounds(&w, &c[1], 1, 2);
	assert_int_equal(c[1].n, 2); /* its partitions are kept */
	assert_int_equal(first(&w, &next), 0);
	assert_int_equal(next.epoch, epoch); /* no rebalance */
	assert_int_equal(next.n, 2);
	assert_int_equal(again(&w, &c[0]), COORD_FENCED_INSTANCE_ID);
	c[0] = next;
	rounds(&w, c, 2, 2);
	assert_spread(c, 2, 0, 4);
	/* Gone for too long. */
	bye.member_id = STR("m1b");
	assert_int_equal(code_of(&w, bye), 0);
	for (int i = 0; i < 5; i++) {
		world_pass(&w, 10000);
		again(&w, &c[1]);
	}
	rounds(&w, &c[1], 1, 2);
	assert_int_equal(c[1].n, 4);
	world_close(&w);
}

static void topics_grow_come_and_go(void **st)
{
	struct world w;
	struct client c[2] = {{.id = "m1"}, {.id = "m2"}};
	struct group_consumer_heartbeat in = {FIRST};

	open_with(&w, 4, 0);
	in.regex = STR("t|u.*");
	in.topics = NULL;
	in.n_topics = 0;
	first_with(&w, &c[0], in);
	first_with(&w, &c[1], in);
	rounds(&w, c, 2, 3);
	assert_spread(c, 2, 0, 4);
	w.topics[0].partitions = 8;
	w.topics[1].partitions = 3;
	w.topics[2] = (struct topic_row){"other", 3};
	group_topics_changed(w.g, w.now);
	rounds(&w, c, 2, 4);
	assert_spread(c, 2, 0, 8);
	assert_spread(c, 2, 1, 3);
	assert_int_equal(c[0].n + c[1].n, 11);
	w.topics[0].partitions = 0;
	group_topics_changed(w.g, w.now);
	rounds(&w, c, 2, 4);
	assert_int_equal(c[0].n + c[1].n, 3);
	int32_t epoch = c[0].epoch;

	w.topics[2].partitions = 9; /* concerns nobody */
	group_topics_changed(w.g, w.now);
	rounds(&w, c, 2, 2);
	assert_int_equal(c[0].epoch, epoch);
	world_close(&w);
}

static void subscriptions_change(void **st)
{
	struct world w;
	struct client c[2] = {{.id = "m1"}, {.id = "m2"}};

	open_with(&w, 4, 4);
	first(&w, &c[0]);
	first(&w, &c[1]);
	rounds(&w, c, 2, 3);
	struct group_consumer_heartbeat in = {
		LATER,         .epoch = c[1].epoch, .member_id = STR("m2"), .topics = topic_u,
		.n_topics = 1, .owned = c[1].held,  .n_owned = c[1].n};

	learn(&c[1], world_answer(&w, chb(&w, in)));
	rounds(&w, c, 2, 3);
	assert_spread(&c[0], 1, 0, 4);
	assert_spread(&c[1], 1, 1, 4);
	world_close(&w);
}

static void assignors(void **st)
{
	struct world w;
	struct client c[3] = {{.id = "m1"}, {.id = "m2"}, {.id = "m3"}};
	struct group_consumer_heartbeat in = {FIRST};
	struct arena *a = arena_new(1 << 20);
	struct group_described d;

	open_with(&w, 7, 0);
	in.assignor = STR("range");
	for (int i = 0; i < 3; i++)
		first_with(&w, &c[i], in);
	rounds(&w, c, 3, 4);
	assert_spread(c, 3, 0, 7);
	assert_int_equal(c[0].n, 3); /* contiguous: 0-2, 3-4, 5-6 */
	assert_int_equal(c[0].held[2].partition, 2);
	assert_int_equal(c[1].held[0].partition, 3);
	group_consumer_describe(w.g, STR("g"), a, &d);
	assert_true(str_is(d.assignor, "range"));
	assert_int_equal(d.n, 3);
	assert_int_equal(d.members[0].n_assigned, 3);
	assert_int_equal(d.members[0].n_target, 3);
	assert_int_equal(d.epoch, d.assignment_epoch);
	arena_free(a);
	world_close(&w);
}

static void uniform_is_even_and_moves_little(void **st)
{
	struct world w;
	struct client c[5] = {{.id = "m1"}, {.id = "m2"}, {.id = "m3"}, {.id = "m4"}, {.id = "m5"}};

	open_with(&w, 23, 0);
	for (size_t i = 0; i < 4; i++)
		first(&w, &c[i]);
	rounds(&w, c, 4, 5);
	struct client before[5];

	memcpy(before, c, sizeof(c));
	first(&w, &c[4]);
	rounds(&w, c, 5, 5);
	assert_spread(c, 5, 0, 23);
	size_t moved = 0;

	for (size_t i = 0; i < 5; i++) {
		assert_in_range(c[i].n, 4, 5);
		for (size_t k = 0; k < c[i].n; k++) {
			bool had = false;

			for (size_t j = 0; j < before[i].n; j++)
				had |= before[i].held[j].partition == c[i].held[k].partition;
			moved += !had;
		}
	}
	assert_int_equal(moved, c[4].n); /* only what the new one got */
	world_close(&w);
}

static void mixed_subscriptions_are_balanced(void **st)
{
	struct world w;
	struct client c[3] = {{.id = "m1"}, {.id = "m2"}, {.id = "m3"}};
	static const struct str both[2] = {{"t", 1}, {"u", 1}};
	struct group_consumer_heartbeat in = {FIRST};

	open_with(&w, 4, 8);
	in.topics = both;
	in.n_topics = 2;
	first_with(&w, &c[0], in);
	first(&w, &c[1]);
	in.topics = topic_u;
	in.n_topics = 1;
	first_with(&w, &c[2], in);
	rounds(&w, c, 3, 5);
	assert_spread(c, 3, 0, 4);
	assert_spread(c, 3, 1, 8);
	for (int i = 0; i < 3; i++)
		assert_int_equal(c[i].n, 4);
	world_close(&w);
}

static void restart_is_not_noticed(void **st)
{
	struct world w;
	struct client c[3] = {{.id = "m1"}, {.id = "m2"}, {.id = "m3"}};

	open_with(&w, 6, 0);
	for (int i = 0; i < 3; i++)
		first(&w, &c[i]);
	rounds(&w, c, 3, 4);
	int32_t epoch = c[0].epoch;

	world_restart(&w);
	assert_string_equal(state(&w, "g"), "Stable");
	rounds(&w, c, 3, 2);
	assert_int_equal(c[0].epoch, epoch);
	assert_spread(c, 3, 0, 6);
	world_close(&w);
}

static void committing(void **st)
{
	struct world w;
	struct client c = {.id = "m1"};

	open_with(&w, 1, 0);
	first(&w, &c);
	assert_int_equal(commit(&w, "m1", c.epoch, "t", 5), 0);
	assert_int_equal(commit(&w, "m1", c.epoch + 1, "t", 5), COORD_STALE_MEMBER_EPOCH);
	assert_int_equal(commit(&w, "ghost", c.epoch, "t", 5), COORD_UNKNOWN_MEMBER_ID);
	assert_int_equal(commit(&w, "", -1, "t", 5), COORD_UNKNOWN_MEMBER_ID);
	world_close(&w);
}

static void changing_sides(void **st)
{
	struct world w;
	char ids[1][320];
	struct client c = {.id = "m1"};
	struct group_join in = {JOIN_DEFAULTS};

	open_with(&w, 2, 0);
	int32_t gen = stable_group(&w, 1, ids);

	assert_int_equal(commit(&w, ids[0], gen, "t", 5), 0);
	assert_int_equal(first(&w, &c), COORD_GROUP_ID_NOT_FOUND);
	assert_int_equal(leave(&w, ids[0], NULL), 0);
	assert_int_equal(first(&w, &c), 0);
	assert_true(c.epoch > gen);
	assert_int_equal(committed(&w, "t", 0), 5);
	assert_int_equal(world_answer(&w, join(&w, in))->code, COORD_INCONSISTENT_GROUP_PROTOCOL);
	struct group_consumer_heartbeat bye = {LATER, .epoch = -1, .member_id = STR("m1")};

	assert_int_equal(code_of(&w, bye), 0);
	in.version = 3;
	struct answer *a = world_answer(&w, join(&w, in));

	assert_int_equal(a->code, 0);
	assert_true(a->generation > c.epoch);
	assert_int_equal(committed(&w, "t", 0), 5);
	world_close(&w);
}

static void full_disk(void **st)
{
	struct world w;
	struct client c[2] = {{.id = "m1"}, {.id = "m2"}};

	open_with(&w, 4, 0);
	first(&w, &c[0]);
	w.failing = true;
	assert_int_equal(again(&w, &c[0]), 0); /* without change no need of the disk */
	assert_int_equal(first(&w, &c[1]), COORD_NOT_AVAILABLE);
	w.failing = false;
	world_pass(&w, 300);
	assert_int_equal(first(&w, &c[1]), 0);
	rounds(&w, c, 2, 4);
	assert_spread(c, 2, 0, 4);
	world_restart(&w);
	rounds(&w, c, 2, 1);
	assert_spread(c, 2, 0, 4);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_member_gets_all),
		cmocka_unit_test(revocation_comes_before_assignment),
		cmocka_unit_test(who_does_not_revoke_is_fenced),
		cmocka_unit_test(sessions_end),
		cmocka_unit_test(epochs),
		cmocka_unit_test(hostile_heartbeats),
		cmocka_unit_test(broker_makes_ids_for_version_0),
		cmocka_unit_test(leaving),
		cmocka_unit_test(static_member_comes_back),
		cmocka_unit_test(topics_grow_come_and_go),
		cmocka_unit_test(subscriptions_change),
		cmocka_unit_test(assignors),
		cmocka_unit_test(uniform_is_even_and_moves_little),
		cmocka_unit_test(mixed_subscriptions_are_balanced),
		cmocka_unit_test(restart_is_not_noticed),
		cmocka_unit_test(committing),
		cmocka_unit_test(changing_sides),
		cmocka_unit_test(full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
