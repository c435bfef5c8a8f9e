/* SPDX-License-Identifier: Apache-2.0 */
#include "group_help.h"

#include <string.h>

/* Rules of classic groups, one test each. */

static void single_member(void **st)
{
	struct world w;

	world_open(&w);
	uint64_t t = join_dynamic(&w, "g");
	struct answer *a = world_answer(&w, t);

	assert_true(a->there);
	assert_int_equal(a->code, 0);
	assert_int_equal(a->generation, 1);
	assert_string_equal(a->leader, a->member_id);
	assert_string_equal(a->protocol, "range");
	assert_int_equal(a->n_members, 1);
	assert_string_equal(a->members[0].metadata, "meta");
	assert_string_equal(state(&w, "g"), "CompletingRebalance");
	struct group_assignment v = {str_of(a->member_id), STR("A")};
	struct answer *s = world_answer(&w, sync_one(&w, a->member_id, 1, &v, 1));

	assert_true(s->there);
	assert_string_equal(s->assignment, "A");
	assert_string_equal(state(&w, "g"), "Stable");
	assert_int_equal(beat(&w, a->member_id, 1), 0);
	assert_int_equal(beat(&w, a->member_id, 2), COORD_ILLEGAL_GENERATION);
	assert_int_equal(beat(&w, "nobody", 1), COORD_UNKNOWN_MEMBER_ID);
	world_close(&w);
}

static void old_versions_get_their_id_at_once(void **st)
{
	struct world w;
	struct group_join in = {JOIN_DEFAULTS};

	world_open(&w);
	in.version = 3;
	struct answer *a = world_answer(&w, join(&w, in));

	assert_true(a->there);
	assert_int_equal(a->code, 0);
	assert_int_equal(strncmp(a->member_id, "c-", 2), 0);
	world_close(&w);
}

static int16_t join_code(struct world *w, struct group_join in)
{
	struct answer *a = world_answer(w, join(w, in));

	assert_true(a->there);
	return a->code;
}

static void hostile_joins(void **st)
{
	struct world w;
	struct group_join in = {JOIN_DEFAULTS}, bad;
	struct group_protocol other[1] = {{STR("roundrobin"), STR("x")}};
	char ids[1][320];

	world_open(&w);
	bad = in, bad.group_id = STR("");
	assert_int_equal(join_code(&w, bad), COORD_INVALID_GROUP_ID);
	bad = in, bad.session_timeout_ms = 5999;
	assert_int_equal(join_code(&w, bad), COORD_INVALID_SESSION_TIMEOUT);
	bad = in, bad.session_timeout_ms = 1800001;
	assert_int_equal(join_code(&w, bad), COORD_INVALID_SESSION_TIMEOUT);
	bad = in, bad.n = 0;
	assert_int_equal(join_code(&w, bad), COORD_INCONSISTENT_GROUP_PROTOCOL);
	bad = in, bad.protocol_type = STR("");
	assert_int_equal(join_code(&w, bad), COORD_INCONSISTENT_GROUP_PROTOCOL);
	bad = in, bad.member_id = STR("ghost");
	assert_int_equal(join_code(&w, bad), COORD_UNKNOWN_MEMBER_ID);
	stable_group(&w, 1, ids);
	bad = in, bad.protocol_type = STR("connect");
	assert_int_equal(join_code(&w, bad), COORD_INCONSISTENT_GROUP_PROTOCOL);
	bad = in, bad.protocols = other;
	assert_int_equal(join_code(&w, bad), COORD_INCONSISTENT_GROUP_PROTOCOL);
	bad = in, bad.member_id = STR("ghost");
	assert_int_equal(join_code(&w, bad), COORD_UNKNOWN_MEMBER_ID);
	world_close(&w);
}

static void protocol_by_votes(void **st)
{
	struct world w;
	struct group_protocol ab[2] = {{STR("a"), STR("ma")}, {STR("b"), STR("mb")}};
	struct group_protocol ba[2] = {{STR("b"), STR("nb")}, {STR("a"), STR("na")}};
	struct group_join in = {JOIN_DEFAULTS};
	uint64_t t[3];

	world_open(&w);
	w.cfg.initial_delay_ms = 3000;
	group_coord_free(w.g);
	w.g = group_coord_new(&w.env, &w.cfg);
	group_loaded(w.g, w.now);
	in.version = 3;
	in.n = 2;
	for (int i = 0; i < 3; i++) {
		in.protocols = i ? ba : ab;
		t[i] = join(&w, in);
		assert_false(world_answer(&w, t[i])->there);
	}
	world_pass(&w, 6000); /* the first delay, prolonged once by those who came meanwhile */
	for (int i = 0; i < 3; i++) {
		assert_true(world_answer(&w, t[i])->there);
		assert_string_equal(world_answer(&w, t[i])->protocol, "b");
		assert_int_equal(world_answer(&w, t[i])->generation, 1);
	}
	world_close(&w);
}

static void followers_wait_for_the_leader(void **st)
{
	struct world w;
	char ids[3][320];
	uint64_t t[3];

	world_open(&w);
	int32_t gen = stable_group(&w, 2, ids);
	struct group_join in = {JOIN_DEFAULTS};

	in.member_id = str_of(ids[0]); /* the leader joins again: a rebalance */
	t[0] = join(&w, in);
	assert_false(world_answer(&w, t[0])->there);
	assert_string_equal(state(&w, "g"), "PreparingRebalance");
	assert_int_equal(beat(&w, ids[1], gen), COORD_REBALANCE_IN_PROGRESS);
	in.member_id = str_of(ids[1]);
	t[1] = join(&w, in);
	assert_true(world_answer(&w, t[0])->there && world_answer(&w, t[1])->there);
	assert_int_equal(world_answer(&w, t[1])->generation, gen + 1);
	assert_int_equal(world_answer(&w, t[1])->n_members, 0);
	assert_int_equal(world_answer(&w, t[0])->n_members, 2);
	t[1] = sync_empty(&w, ids[1], gen + 1);
	assert_false(world_answer(&w, t[1])->there);
	struct group_assignment v[2] = {{str_of(ids[0]), STR("x")}, {str_of(ids[1]), STR("y")}};

	t[0] = sync_one(&w, ids[0], gen + 1, v, 2);
	assert_string_equal(world_answer(&w, t[0])->assignment, "x");
	assert_string_equal(world_answer(&w, t[1])->assignment, "y");
	world_close(&w);
}

static void follower_that_repeats_its_join_causes_no_rebalance(void **st)
{
	struct world w;
	char ids[2][320];

	world_open(&w);
	int32_t gen = stable_group(&w, 2, ids);
	struct group_join in = {JOIN_DEFAULTS};

	in.member_id = str_of(ids[1]);
	struct answer *a = world_answer(&w, join(&w, in));

	assert_true(a->there);
	assert_int_equal(a->generation, gen);
	assert_string_equal(state(&w, "g"), "Stable");
	world_close(&w);
}

static void absent_members_go_after_the_rebalance_timeout(void **st)
{
	struct world w;
	char ids[2][320];

	world_open(&w);
	int32_t gen = stable_group(&w, 2, ids);
	struct group_join in = {JOIN_DEFAULTS};

	in.session_timeout_ms = 60000;
	in.member_id = str_of(ids[0]);
	uint64_t t = join(&w, in);

	for (int i = 0; i < 6; i++) { /* the other one lives but does not join */
		assert_false(world_answer(&w, t)->there);
		assert_int_equal(beat(&w, ids[1], gen), COORD_REBALANCE_IN_PROGRESS);
		world_pass(&w, 5001);
	}
	assert_true(world_answer(&w, t)->there);
	assert_int_equal(world_answer(&w, t)->n_members, 1);
	assert_int_equal(beat(&w, ids[1], gen), COORD_UNKNOWN_MEMBER_ID);
	world_close(&w);
}

static void silent_members_go_after_their_session(void **st)
{
	struct world w;
	char ids[2][320];

	world_open(&w);
	int32_t gen = stable_group(&w, 2, ids);

	world_pass(&w, 6000);
	assert_int_equal(beat(&w, ids[0], gen), 0);
	world_pass(&w, 5000);
	assert_int_equal(beat(&w, ids[0], gen), COORD_REBALANCE_IN_PROGRESS);
	assert_int_equal(beat(&w, ids[1], gen), COORD_UNKNOWN_MEMBER_ID);
	world_close(&w);
}

static void members_that_never_sync_go(void **st)
{
	struct world w;

	world_open(&w);
	struct answer *a = world_answer(&w, join_dynamic(&w, "g"));

	for (int i = 0; i < 4; i++) {
		assert_int_equal(beat(&w, a->member_id, 1), 0);
		world_pass(&w, 8000);
	}
	assert_int_equal(beat(&w, a->member_id, 1), COORD_UNKNOWN_MEMBER_ID);
	assert_string_equal(state(&w, "g"), "Empty");
	world_close(&w);
}

static void leader_that_dies_before_its_sync(void **st)
{
	struct world w;
	char ids[2][320];
	struct group_join in = {JOIN_DEFAULTS};

	world_open(&w);
	int32_t gen = stable_group(&w, 2, ids);

	in.member_id = str_of(ids[0]);
	join(&w, in);
	in.member_id = str_of(ids[1]);
	join(&w, in);
	uint64_t t = sync_empty(&w, ids[1], gen + 1);

	world_pass(&w, 10001);
	assert_true(world_answer(&w, t)->there);
	assert_int_equal(world_answer(&w, t)->code, COORD_REBALANCE_IN_PROGRESS);
	t = join(&w, in);
	assert_true(world_answer(&w, t)->there);
	assert_string_equal(world_answer(&w, t)->leader, ids[1]);
	assert_int_equal(world_answer(&w, t)->generation, gen + 2);
	world_close(&w);
}

static void leaving(void **st)
{
	struct world w;
	char ids[2][320];

	world_open(&w);
	int32_t gen = stable_group(&w, 2, ids);

	assert_int_equal(leave(&w, "nobody", NULL), COORD_UNKNOWN_MEMBER_ID);
	assert_int_equal(leave(&w, ids[0], NULL), 0);
	assert_int_equal(leave(&w, ids[0], NULL), COORD_UNKNOWN_MEMBER_ID);
	assert_int_equal(beat(&w, ids[1], gen), COORD_REBALANCE_IN_PROGRESS);
	assert_int_equal(leave(&w, ids[1], NULL), 0);
	assert_string_equal(state(&w, "g"), "Empty");
	world_close(&w);
}

/* Rivals: an extra rebalance after max.poll.interval, where the client leaves and comes back. */
static void one_rebalance_after_max_poll(void **st)
{
	struct world w;
	char ids[2][320];

	world_open(&w);
	int32_t gen = stable_group(&w, 2, ids);
	struct group_join in = {JOIN_DEFAULTS};

	assert_int_equal(leave(&w, ids[1], NULL), 0);
	uint64_t back = join_dynamic(&w, "g");

	in.member_id = str_of(ids[0]);
	uint64_t t = join(&w, in);

	assert_true(world_answer(&w, t)->there && world_answer(&w, back)->there);
	assert_int_equal(world_answer(&w, t)->generation, gen + 1);
	assert_int_equal(world_answer(&w, back)->generation, gen + 1);
	assert_int_equal(world_answer(&w, t)->n_members, 2);
	world_close(&w);
}

/* Rivals: UNKNOWN_MEMBER_ID under concurrent joins. */
static void concurrent_joins(void **st)
{
	struct world w;
	uint64_t t[8];
	char ids[8][320];

	world_open(&w);
	w.hold = true;
	for (int i = 0; i < 8; i++) {
		t[i] = join_dynamic(&w, "g");
		snprintf(ids[i], sizeof(ids[i]), "%s", world_answer(&w, t[i])->member_id);
	}
	for (int round = 0; round < 20; round++) {
		world_settle(&w);
		for (int i = 0; i < 8; i++) {
			struct answer *a = world_answer(&w, t[i]);
			struct group_join in = {JOIN_DEFAULTS};

			assert_int_not_equal(a->there ? a->code : 0, COORD_UNKNOWN_MEMBER_ID);
			if (!a->there || (a->generation && beat(&w, ids[i], a->generation) == 0))
				continue;
			in.member_id = str_of(ids[i]);
			t[i] = join(&w, in);
		}
	}
	world_settle(&w);
	for (int i = 0; i < 8; i++) {
		assert_true(world_answer(&w, t[i])->there);
		assert_int_equal(world_answer(&w, t[i])->code, 0);
		assert_int_equal(world_answer(&w, t[i])->generation, world_answer(&w, t[0])->generation);
	}
	world_close(&w);
}

/* Rivals: commit during a rebalance, REBALANCE_IN_PROGRESS against UNKNOWN_MEMBER_ID. */
static void commit_during_rebalance(void **st)
{
	struct world w;
	char ids[2][320];
	struct group_join in = {JOIN_DEFAULTS};

	world_open(&w);
	int32_t gen = stable_group(&w, 2, ids);

	in.member_id = str_of(ids[0]);
	join(&w, in);
	/* While joins are awaited the old generation still commits what it has processed. */
	assert_int_equal(commit(&w, ids[1], gen, "t", 7), 0);
	assert_int_equal(commit(&w, "nobody", gen, "t", 7), COORD_UNKNOWN_MEMBER_ID);
	assert_int_equal(commit(&w, "", -1, "t", 7), COORD_UNKNOWN_MEMBER_ID);
	in.member_id = str_of(ids[1]);
	join(&w, in);
	assert_string_equal(state(&w, "g"), "CompletingRebalance");
	assert_int_equal(commit(&w, ids[1], gen, "t", 8), COORD_ILLEGAL_GENERATION);
	assert_int_equal(commit(&w, ids[1], gen + 1, "t", 8), COORD_REBALANCE_IN_PROGRESS);
	assert_int_equal(committed(&w, "t", 0), 7);
	world_close(&w);
}

/* ---- Static members ---- */

static uint64_t join_static(struct world *w, const char *instance, int16_t version)
{
	struct group_join in = {JOIN_DEFAULTS};

	in.instance_id = str_of(instance);
	in.version = version;
	return join(w, in);
}

static void static_member_returns_without_rebalance(void **st)
{
	struct world w;
	char first[320], second[320];

	world_open(&w);
	struct answer *a = world_answer(&w, join_static(&w, "i1", 9));

	assert_int_equal(a->code, 0);
	snprintf(first, sizeof(first), "%s", a->member_id);
	struct group_assignment v = {str_of(first), STR("A")};

	sync_one(&w, first, 1, &v, 1);
	a = world_answer(&w, join_static(&w, "i1", 9));
	assert_true(a->there);
	assert_int_equal(a->generation, 1);
	assert_true(a->skip);
	assert_string_equal(a->leader, a->member_id);
	snprintf(second, sizeof(second), "%s", a->member_id);
	assert_string_not_equal(first, second);
	assert_string_equal(state(&w, "g"), "Stable");
	assert_string_equal(world_answer(&w, sync_empty(&w, second, 1))->assignment, "A");
	/* The earlier instance is fenced. */
	assert_int_equal(group_heartbeat(w.g, STR("g"), str_of(first), STR("i1"), 1, w.now), COORD_FENCED_INSTANCE_ID);
	assert_int_equal(leave(&w, first, "i1"), COORD_FENCED_INSTANCE_ID);
	assert_int_equal(leave(&w, first, "other"), COORD_UNKNOWN_MEMBER_ID);
	/* Before version 9 it must not take itself for the leader. */
	a = world_answer(&w, join_static(&w, "i1", 5));
	assert_int_equal(a->code, 0);
	assert_string_not_equal(a->leader, a->member_id);
	assert_false(a->skip);
	/* An administrator removes it by its instance id. */
	assert_int_equal(leave(&w, "", "i1"), 0);
	assert_string_equal(state(&w, "g"), "Empty");
	world_close(&w);
}

static void static_member_survives_a_rebalance_it_misses(void **st)
{
	struct world w;

	world_open(&w);
	struct answer *a = world_answer(&w, join_static(&w, "i1", 5));
	char id[320];

	snprintf(id, sizeof(id), "%s", a->member_id);
	sync_empty(&w, id, 1);
	struct group_join in = {JOIN_DEFAULTS};

	in.version = 3;
	in.rebalance_timeout_ms = 7000;
	in.session_timeout_ms = 60000;
	/* The static one has a rebalance timeout of 30 s but a session of 10 s: it beats once. */
	uint64_t t = join(&w, in);

	for (int i = 0; i < 4; i++) {
		assert_int_equal(beat(&w, id, 1), COORD_REBALANCE_IN_PROGRESS);
		world_pass(&w, 7600);
	}
	assert_true(world_answer(&w, t)->there);
	assert_int_equal(world_answer(&w, t)->n_members, 2); /* still part of the assignment */
	world_close(&w);
}

/* Found by fuzzing: a group of one static member that is away, with no time to wait, spun for ever. */
static void static_member_without_patience(void **st)
{
	struct world w;
	struct group_join in = {JOIN_DEFAULTS};

	world_open(&w);
	in.instance_id = STR("i1");
	in.rebalance_timeout_ms = 0;
	in.session_timeout_ms = 60000;
	struct answer *a = world_answer(&w, join(&w, in));

	sync_empty(&w, a->member_id, a->generation);
	struct group_join other = {JOIN_DEFAULTS};

	other.rebalance_timeout_ms = 0;
	other.version = 4;
	assert_int_equal(world_answer(&w, join(&w, other))->code, COORD_MEMBER_ID_REQUIRED);
	other.version = 3;
	uint64_t t = join(&w, other);

	assert_false(world_answer(&w, t)->there);
	assert_int_equal(leave(&w, "", "nobody"), COORD_UNKNOWN_MEMBER_ID);
	world_restart(&w); /* the joins are lost, the rebalance goes on without anybody */
	world_pass(&w, 59000);
	assert_string_equal(state(&w, "g"), "PreparingRebalance");
	world_pass(&w, 2000);
	assert_string_equal(state(&w, "g"), "Empty");
	world_close(&w);
}

/* An id was handed out to somebody who never came back (KIP-394), or who left. */
static void who_never_came_disturbs_nobody(void **st)
{
	struct world w;
	char ids[2][320];
	struct group_join in = {JOIN_DEFAULTS};

	world_open(&w);
	int32_t generation = stable_group(&w, 2, ids);
	char id[320];

	snprintf(id, sizeof(id), "%s", world_answer(&w, join(&w, in))->member_id);
	join(&w, in);
	assert_int_equal(leave(&w, id, NULL), COORD_OK);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(beat(&w, ids[0], generation), COORD_OK);
		assert_int_equal(beat(&w, ids[1], generation), COORD_OK);
		world_pass(&w, 2000);
	}
	assert_string_equal(state(&w, "g"), "Stable");
	world_close(&w);
}

/* ---- Restart, failures ---- */

/* Rivals: stuck consumers after a restart of the coordinator. */
static void restart_without_rebalance(void **st)
{
	struct world w;
	char ids[3][320];

	world_open(&w);
	int32_t gen = stable_group(&w, 3, ids);

	for (int i = 0; i < 3; i++) {
		world_restart(&w);
		assert_string_equal(state(&w, "g"), "Stable");
		for (int k = 0; k < 3; k++) {
			assert_int_equal(beat(&w, ids[k], gen), 0);
			assert_string_equal(world_answer(&w, sync_empty(&w, ids[k], gen))->assignment, ids[k]);
		}
	}
	/* Whoever does not come back after it goes in time. */
	world_pass(&w, 9000);
	assert_int_equal(beat(&w, ids[0], gen), 0);
	assert_int_equal(beat(&w, ids[1], gen), 0);
	world_pass(&w, 2000);
	assert_int_equal(beat(&w, ids[0], gen), COORD_REBALANCE_IN_PROGRESS);
	assert_int_equal(beat(&w, ids[2], gen), COORD_UNKNOWN_MEMBER_ID);
	world_close(&w);
}

static void restart_between_join_and_sync(void **st)
{
	struct world w;

	world_open(&w);
	struct answer *a = world_answer(&w, join_dynamic(&w, "g"));
	struct group_assignment v = {str_of(a->member_id), STR("A")};

	world_restart(&w);
	assert_string_equal(state(&w, "g"), "CompletingRebalance");
	assert_string_equal(world_answer(&w, sync_one(&w, a->member_id, 1, &v, 1))->assignment, "A");
	world_close(&w);
}

static void restart_after_a_leave_goes_on_with_the_rebalance(void **st)
{
	struct world w;
	char ids[2][320];

	world_open(&w);
	int32_t gen = stable_group(&w, 2, ids);

	assert_int_equal(leave(&w, ids[0], NULL), 0);
	world_restart(&w);
	assert_int_equal(beat(&w, ids[0], gen), COORD_UNKNOWN_MEMBER_ID);
	assert_int_equal(beat(&w, ids[1], gen), COORD_REBALANCE_IN_PROGRESS);
	struct group_join in = {JOIN_DEFAULTS};

	in.member_id = str_of(ids[1]);
	struct answer *a = world_answer(&w, join(&w, in));

	assert_true(a->there);
	assert_int_equal(a->generation, gen + 1);
	assert_string_equal(a->leader, ids[1]);
	world_close(&w);
}

static void nothing_is_answered_before_it_is_stored(void **st)
{
	struct world w;

	world_open(&w);
	w.hold = true;
	uint64_t t = join_dynamic(&w, "g");

	assert_false(world_answer(&w, t)->there);
	world_settle(&w);
	struct answer *a = world_answer(&w, t);

	assert_true(a->there);
	struct group_assignment v = {str_of(a->member_id), STR("A")};

	t = sync_one(&w, a->member_id, a->generation, &v, 1);
	assert_false(world_answer(&w, t)->there);
	world_settle(&w);
	assert_true(world_answer(&w, t)->there);
	world_close(&w);
}

/* Rivals: a lock poisoned by one bad append. */
static void full_disk_and_recovery(void **st)
{
	struct world w;
	char ids[2][320];

	world_open(&w);
	int32_t gen = stable_group(&w, 2, ids);

	w.failing = true;
	assert_int_equal(commit(&w, ids[0], gen, "t", 5), COORD_NOT_AVAILABLE);
	assert_int_equal(beat(&w, ids[0], gen), 0); /* members live on */
	assert_int_equal(committed(&w, "t", 0), -1);
	struct group_join in = {JOIN_DEFAULTS};

	in.member_id = str_of(ids[0]);
	uint64_t t = join(&w, in);

	in.member_id = str_of(ids[1]);
	join(&w, in);
	world_pass(&w, 200);
	assert_int_equal(world_answer(&w, t)->code, COORD_NOT_AVAILABLE);
	w.failing = false;
	world_pass(&w, 200);
	for (int i = 0; i < 2; i++) {
		in.member_id = str_of(ids[i]);
		t = join(&w, in);
	}
	assert_true(world_answer(&w, t)->there);
	assert_int_equal(world_answer(&w, t)->code, 0);
	assert_true(world_answer(&w, t)->generation > gen);
	world_close(&w);
}

/* ---- Limits and looking ---- */

static void members_are_limited(void **st)
{
	struct world w;
	struct group_join in = {JOIN_DEFAULTS};

	world_open(&w);
	in.version = 3;
	for (int i = 0; i < 500; i++)
		assert_int_equal(world_answer(&w, join(&w, in))->there, i == 0); /* the first is alone, so complete */
	assert_int_equal(join_code(&w, in), COORD_GROUP_MAX_SIZE_REACHED);
	in.version = 5;
	assert_int_equal(join_code(&w, in), COORD_GROUP_MAX_SIZE_REACHED);
	world_close(&w);
}

static void memory_is_limited_and_given_back(void **st)
{
	struct world w;
	struct group_stats before, after;
	struct group_protocol big[1];
	struct group_join in = {JOIN_DEFAULTS};
	char *blob = mem_zalloc(2 << 20);

	world_open(&w);
	group_coord_stats(w.g, &before);
	big[0] = (struct group_protocol){STR("range"), {blob, 2 << 20}};
	in.protocols = big;
	assert_int_equal(join_code(&w, in), COORD_GROUP_MAX_SIZE_REACHED);
	for (int i = 0; i < 100; i++) { /* ids handed out and never used */
		struct group_join p = {JOIN_DEFAULTS};

		assert_int_equal(join_code(&w, p), COORD_MEMBER_ID_REQUIRED);
	}
	world_pass(&w, 11000);
	group_coord_stats(w.g, &after);
	assert_int_equal(after.bytes, before.bytes);
	assert_int_equal(after.groups, 0);
	free(blob);
	world_close(&w);
}

static int16_t delete_group(struct world *w, const char *id)
{
	uint64_t t = ++w->token;

	world_answer(w, t)->there = false;
	group_delete(w->g, str_of(id), t, w->now);
	assert_true(world_answer(w, t)->there);
	return world_answer(w, t)->code;
}

static void list_describe_delete(void **st)
{
	struct world w;
	char ids[1][320];
	struct arena *a = arena_new(1 << 20);
	const struct group_listed *l;
	struct group_described d;
	struct str stable = STR("stable"), empty = STR("Empty"), consumer = STR("consumer");

	world_open(&w);
	stable_group(&w, 1, ids);
	assert_int_equal(group_list(w.g, NULL, 0, NULL, 0, a, &l), 1);
	assert_true(str_is(l[0].group_id, "g") && str_is(l[0].state, "Stable") && str_is(l[0].type, "classic"));
	assert_int_equal(group_list(w.g, &stable, 1, NULL, 0, a, &l), 1);
	assert_int_equal(group_list(w.g, &empty, 1, NULL, 0, a, &l), 0);
	assert_int_equal(group_list(w.g, NULL, 0, &consumer, 1, a, &l), 0);
	group_describe(w.g, STR("g"), a, &d);
	assert_int_equal(d.n, 1);
	assert_true(str_is(d.members[0].metadata, "meta") && str_is(d.members[0].assignment, ids[0]));
	assert_true(str_is(d.members[0].client_id, "c") && str_is(d.protocol_name, "range"));
	group_describe(w.g, STR("no"), a, &d);
	assert_true(str_is(d.state, "Dead"));
	assert_int_equal(d.code, COORD_GROUP_ID_NOT_FOUND);
	assert_int_equal(delete_group(&w, "no"), COORD_GROUP_ID_NOT_FOUND);
	assert_int_equal(delete_group(&w, "g"), COORD_NON_EMPTY_GROUP);
	assert_int_equal(commit(&w, ids[0], 1, "t", 5), 0);
	assert_int_equal(leave(&w, ids[0], NULL), 0);
	assert_int_equal(committed(&w, "t", 0), 5);
	assert_int_equal(delete_group(&w, "g"), 0);
	assert_int_equal(committed(&w, "t", 0), -1);
	world_restart(&w);
	assert_int_equal(group_list(w.g, NULL, 0, NULL, 0, a, &l), 0);
	assert_int_equal(committed(&w, "t", 0), -1);
	arena_free(a);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_member),
		cmocka_unit_test(old_versions_get_their_id_at_once),
		cmocka_unit_test(hostile_joins),
		cmocka_unit_test(protocol_by_votes),
		cmocka_unit_test(followers_wait_for_the_leader),
		cmocka_unit_test(follower_that_repeats_its_join_causes_no_rebalance),
		cmocka_unit_test(absent_members_go_after_the_rebalance_timeout),
		cmocka_unit_test(silent_members_go_after_their_session),
		cmocka_unit_test(members_that_never_sync_go),
		cmocka_unit_test(leader_that_dies_before_its_sync),
		cmocka_unit_test(leaving),
		cmocka_unit_test(one_rebalance_after_max_poll),
		cmocka_unit_test(concurrent_joins),
		cmocka_unit_test(commit_during_rebalance),
		cmocka_unit_test(static_member_returns_without_rebalance),
		cmocka_unit_test(static_member_survives_a_rebalance_it_misses),
		cmocka_unit_test(static_member_without_patience),
		cmocka_unit_test(who_never_came_disturbs_nobody),
		cmocka_unit_test(restart_without_rebalance),
		cmocka_unit_test(restart_between_join_and_sync),
		cmocka_unit_test(restart_after_a_leave_goes_on_with_the_rebalance),
		cmocka_unit_test(nothing_is_answered_before_it_is_stored),
		cmocka_unit_test(full_disk_and_recovery),
		cmocka_unit_test(members_are_limited),
		cmocka_unit_test(memory_is_limited_and_given_back),
		cmocka_unit_test(list_describe_delete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
