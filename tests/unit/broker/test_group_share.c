/* SPDX-License-Identifier: Apache-2.0 */
#include "group_help.h"

#include <string.h>

/* Members of share groups. */

static const struct str topic_t[1] = {{"t", 1}}, topics_tu[2] = {{"t", 1}, {"u", 1}};

static struct answer *beat_with(struct world *w, const char *id, int32_t epoch, const struct str *topics, size_t n)
{
	struct group_consumer_heartbeat in = {.group_id = STR("g"),
					      .member_id = str_of(id),
					      .epoch = epoch,
					      .rebalance_timeout_ms = -1,
					      .topics = topics,
					      .n_topics = n};
	uint64_t token = ++w->token;

	world_answer(w, token)->there = false;
	group_share_heartbeat(w->g, &in, token, w->now);
	return world_answer(w, token);
}

static struct answer *enter(struct world *w, const char *id)
{
	struct answer *a = beat_with(w, id, 0, topic_t, 1);

	assert_true(a->there);
	assert_int_equal(a->code, 0);
	assert_true(a->has_assignment);
	return a;
}

static void open_with(struct world *w, int32_t t, int32_t u)
{
	world_open(w);
	w->topics[0] = (struct topic_row){"t", t};
	w->topics[1] = (struct topic_row){"u", u};
}

static void test_fewer_members(void **state)
{
	struct world w;
	int seen[7] = {0};

	(void)state;
	open_with(&w, 7, 0);
	assert_int_equal(enter(&w, "a")->n_parts, 7);
	enter(&w, "b");
	enter(&w, "c");
	for (const char *id = "a"; *id; id = *id == 'a' ? "b" : *id == 'b' ? "c" : "") {
		struct answer *a = enter(&w, id);

		assert_in_range(a->n_parts, 2, 3);
		for (size_t i = 0; i < a->n_parts; i++)
			seen[a->parts[i].partition]++;
	}
	for (int i = 0; i < 7; i++)
		assert_int_equal(seen[i], 1);
	/* Nothing new: nothing is told, and the epoch stays. */
	int32_t epoch = enter(&w, "a")->epoch;

	assert_false(beat_with(&w, "a", epoch, NULL, 0)->has_assignment);
	/* More partitions are told with a new epoch. */
	w.topics[0].partitions = 60;
	group_topics_changed(w.g, w.now);
	struct answer *a = beat_with(&w, "a", epoch, NULL, 0);

	assert_true(a->has_assignment);
	assert_int_equal(a->epoch, epoch + 1);
	assert_int_equal(a->n_parts, 20);
	world_close(&w);
}

static void test_more_members(void **state)
{
	struct world w;
	int seen[3] = {0};
	char id[3] = "m0";

	(void)state;
	open_with(&w, 3, 0);
	for (id[1] = '0'; id[1] < '8'; id[1]++)
		enter(&w, id);
	for (id[1] = '0'; id[1] < '8'; id[1]++) {
		struct answer *a = enter(&w, id);

		assert_int_equal(a->n_parts, 1);
		seen[a->parts[0].partition]++;
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(seen[i], 2, 3);
	world_close(&w);
}

static void test_subscriptions(void **state)
{
	struct world w;

	(void)state;
	open_with(&w, 2, 2);
	enter(&w, "a");
	assert_int_equal(beat_with(&w, "b", 0, topics_tu, 2)->code, 0);
	struct answer *b = beat_with(&w, "b", 0, topics_tu, 2);
	struct coord_uuid u = topic_id(1);
	size_t of_u = 0;

	for (size_t i = 0; i < b->n_parts; i++)
		of_u += !memcmp(&b->parts[i].topic, &u, sizeof(u));
	assert_int_equal(of_u, 2); /* nobody else has asked for it */
	assert_int_not_equal(enter(&w, "a")->n_parts, 0);
	world_close(&w);
}

static void test_refusals(void **state)
{
	struct world w;

	(void)state;
	open_with(&w, 1, 0);
	w.cfg.share_members_max = 2;
	group_coord_free(w.g);
	w.g = world_replay(&w, 0);
	group_loaded(w.g, w.now);
	assert_int_equal(beat_with(&w, "a", 1, NULL, 0)->code, COORD_GROUP_ID_NOT_FOUND);
	assert_int_equal(beat_with(&w, "a", -1, NULL, 0)->code, COORD_GROUP_ID_NOT_FOUND);
	assert_int_equal(beat_with(&w, "", 0, topic_t, 1)->code, COORD_INVALID_REQUEST);
	assert_int_equal(beat_with(&w, "a", 0, NULL, 0)->code, COORD_INVALID_REQUEST);
	assert_int_equal(beat_with(&w, "a", -2, topic_t, 1)->code, COORD_INVALID_REQUEST);
	int32_t epoch = enter(&w, "a")->epoch;

	assert_int_equal(beat_with(&w, "a", epoch + 1, NULL, 0)->code, COORD_FENCED_MEMBER_EPOCH);
	assert_int_equal(beat_with(&w, "b", 1, NULL, 0)->code, COORD_UNKNOWN_MEMBER_ID);
	enter(&w, "b");
	assert_int_equal(beat_with(&w, "c", 0, topic_t, 1)->code, COORD_GROUP_MAX_SIZE_REACHED);
	/* Not a group of another kind, also when it is empty. */
	assert_int_equal(commit(&w, "", -1, "t", 1), COORD_GROUP_ID_NOT_FOUND);
	assert_int_equal(leave(&w, "a", NULL), COORD_UNKNOWN_MEMBER_ID);
	beat_with(&w, "a", -1, NULL, 0);
	beat_with(&w, "b", -1, NULL, 0);
	struct group_join in = {JOIN_DEFAULTS};

	assert_int_equal(world_answer(&w, join(&w, in))->code, COORD_INCONSISTENT_GROUP_PROTOCOL);
	struct group_consumer_heartbeat hb = {.member_id = STR("x"),
					      .rebalance_timeout_ms = 1000,
					      .topics = topic_t,
					      .n_topics = 1,
					      .owned = (struct group_partition[1]){{{{0}}, 0}}};

	assert_int_equal(world_answer(&w, chb(&w, hb))->code, COORD_GROUP_ID_NOT_FOUND);
	world_close(&w);
}

static unsigned left;

static void on_left(void *arg, struct str group, struct str member)
{
	(void)arg;
	assert_true(str_is(group, "g"));
	left += member.n == 1;
}

static void test_sessions_and_restarts(void **state)
{
	struct world w;
	bool empty;

	(void)state;
	left = 0;
	open_with(&w, 4, 0);
	group_coord_free(w.g);
	w.env.share_left = on_left;
	w.cfg.share_session_ms = 20000;
	w.g = world_replay(&w, 0);
	group_loaded(w.g, w.now);
	enter(&w, "a");
	enter(&w, "b");
	int32_t epoch = enter(&w, "a")->epoch;

	world_restart(&w);
	assert_true(group_is_share(w.g, STR("g"), &empty));
	assert_false(empty);
	assert_false(beat_with(&w, "a", epoch, NULL, 0)->has_assignment);
	world_pass(&w, 15000);
	assert_int_equal(beat_with(&w, "a", epoch, NULL, 0)->code, 0);
	world_pass(&w, 15000);
	assert_int_equal(left, 1);
	struct answer *a = beat_with(&w, "a", epoch, NULL, 0);

	assert_int_equal(a->n_parts, 4);
	assert_int_equal(beat_with(&w, "a", -1, NULL, 0)->code, 0);
	assert_int_equal(left, 2);
	/* An empty one stays: nothing of it expires. */
	world_pass(&w, 30LL * 86400 * 1000);
	world_restart(&w);
	assert_true(group_is_share(w.g, STR("g"), &empty));
	assert_true(empty);
	assert_true(group_share_make(w.g, STR("h"), w.now));
	world_restart(&w);
	assert_true(group_is_share(w.g, STR("h"), &empty));
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fewer_members),         cmocka_unit_test(test_more_members),
		cmocka_unit_test(test_subscriptions),         cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_sessions_and_restarts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
