/* SPDX-License-Identifier: Apache-2.0 */
#include "group_help.h"

#include <string.h>

static int16_t commit_in(struct world *w, struct group_commit in, const struct group_offset *v, size_t n,
			 int16_t *ret_codes)
{
	uint64_t t = ++w->token;
	struct answer *a = world_answer(w, t);

	a->there = false;
	if (!in.group_id.p)
		in.group_id = STR("g");
	in.v = v;
	in.n = n;
	group_commit(w->g, &in, t, w->now);
	assert_true(a->there);
	for (size_t i = 0; i < n && ret_codes; i++)
		ret_codes[i] = a->codes[i];
	return a->code;
}

static int16_t txn_end_code(struct world *w, int64_t pid, bool commit_it)
{
	uint64_t t = ++w->token;

	world_answer(w, t)->there = false;
	group_txn_end(w->g, STR("g"), pid, commit_it, t, w->now);
	assert_true(world_answer(w, t)->there);
	return world_answer(w, t)->code;
}

static struct group_fetched fetch_one(struct world *w, const char *topic, int32_t partition, bool stable)
{
	static char metadata[5000];
	struct arena *a = arena_new(1 << 20);
	struct group_offset o = {.topic = str_of(topic), .partition = partition};
	struct group_fetch in = {.group_id = STR("g"), .epoch = -1, .v = &o, .n = 1, .require_stable = stable};
	const struct group_fetched *f;
	size_t n;

	assert_int_equal(group_offsets_fetch(w->g, &in, a, &f, &n), 0);
	struct group_fetched got = f[0];

	snprintf(metadata, sizeof(metadata), "%.*s", STR_FMT(got.metadata));
	got.metadata = got.metadata.p ? str_of(metadata) : STR_NONE;
	arena_free(a);
	return got;
}

/* Rivals: metadata of OffsetCommit did not come back. */
static void metadata_round_trip(void **st)
{
	struct world w;
	struct group_offset v[3] = {{STR("t"), 0, 42, 7, STR("sch\xc3\xb6n")},
				    {STR("t"), 1, 43, -1, STR("")},
				    {STR("t"), 2, 44, -1, STR_NONE}};
	struct group_commit in = {.generation = -1, .retention_ms = -1};

	world_open(&w);
	assert_int_equal(commit_in(&w, in, v, 3, NULL), 0);
	for (int i = 0; i < 2; i++) {
		struct group_fetched f = fetch_one(&w, "t", 0, false);

		assert_int_equal(f.offset, 42);
		assert_int_equal(f.leader_epoch, 7);
		assert_true(str_is(f.metadata, "sch\xc3\xb6n"));
		assert_true(fetch_one(&w, "t", 1, false).metadata.p);
		assert_null(fetch_one(&w, "t", 2, false).metadata.p);
		world_restart(&w);
	}
	world_close(&w);
}

/* Rivals: zero instead of "no offset". */
static void no_spurious_zero(void **st)
{
	struct world w;

	world_open(&w);
	assert_int_equal(fetch_one(&w, "t", 0, false).offset, -1);
	assert_int_equal(commit(&w, "", -1, "t", 0), 0);
	assert_int_equal(fetch_one(&w, "t", 0, false).offset, 0);
	assert_int_equal(fetch_one(&w, "t", 1, false).offset, -1);
	assert_int_equal(fetch_one(&w, "u", 0, true).offset, -1);
	assert_int_equal(fetch_one(&w, "u", 0, true).leader_epoch, -1);
	world_close(&w);
}

static void limits(void **st)
{
	struct world w;
	char big[4098], name[252];
	int16_t codes[4];
	struct group_commit in = {.generation = -1, .retention_ms = -1};

	memset(big, 'x', sizeof(big));
	memset(name, 't', sizeof(name));
	world_open(&w);
	struct group_offset v[4] = {{STR("t"), 0, 1, -1, {big, 4096}},
				    {STR("t"), 1, 1, -1, {big, 4097}},
				    {{name, 250}, 0, 1, -1, STR("")},
				    {STR("t"), -1, 1, -1, STR("")}};

	assert_int_equal(commit_in(&w, in, v, 4, codes), 0);
	assert_int_equal(codes[0], 0);
	assert_int_equal(codes[1], COORD_OFFSET_METADATA_TOO_LARGE);
	assert_int_equal(codes[2], COORD_INVALID_REQUEST);
	assert_int_equal(codes[3], COORD_INVALID_REQUEST);
	world_close(&w);

	world_open(&w);
	w.cfg.offsets_max = 2;
	world_restart(&w);
	struct group_offset many[3] = {
		{STR("t"), 0, 1, -1, STR("")}, {STR("t"), 1, 1, -1, STR("")}, {STR("t"), 2, 1, -1, STR("")}};

	commit_in(&w, in, many, 3, codes);
	assert_int_equal(codes[1], 0);
	assert_int_equal(codes[2], COORD_INVALID_COMMIT_OFFSET_SIZE);
	commit_in(&w, in, many, 2, codes); /* known ones may move on */
	assert_int_equal(codes[1], 0);
	world_close(&w);

	world_open(&w);
	w.cfg.bytes_max = 100000;
	world_restart(&w);
	for (int i = 0; i < 40; i++) {
		v[0].partition = i;
		commit_in(&w, in, v, 1, codes);
	}
	assert_int_equal(codes[0], COORD_INVALID_COMMIT_OFFSET_SIZE);
	struct group_stats s;

	group_coord_stats(w.g, &s);
	assert_true(s.bytes <= 100000);
	world_close(&w);
}

static void who_may_commit(void **st)
{
	struct world w;
	char ids[1][320];

	world_open(&w);
	assert_int_equal(commit(&w, "", 3, "t", 1), COORD_ILLEGAL_GENERATION);
	/* Without members the id says nothing: clients of KIP-848 send one when they assign by themselves, too. */
	assert_int_equal(commit(&w, "m", -1, "t", 1), 0);
	assert_int_equal(commit(&w, "", -1, "t", 1), 0);
	int32_t gen = stable_group(&w, 1, ids);

	assert_int_equal(commit(&w, ids[0], gen, "t", 2), 0);
	assert_int_equal(commit(&w, ids[0], gen - 1, "t", 3), COORD_ILLEGAL_GENERATION);
	assert_int_equal(commit(&w, "", -1, "t", 3), COORD_UNKNOWN_MEMBER_ID);
	assert_int_equal(commit(&w, "m", -1, "t", 3), COORD_UNKNOWN_MEMBER_ID);
	assert_int_equal(committed(&w, "t", 0), 2);
	/* A commit is a sign of life. */
	for (int i = 0; i < 5; i++) {
		world_pass(&w, 8000);
		assert_int_equal(commit(&w, ids[0], gen, "t", 2), 0);
	}
	world_close(&w);
}

static void fetching_all_and_member_checks(void **st)
{
	struct world w;
	char ids[1][320];
	struct arena *a = arena_new(1 << 20);
	const struct group_fetched *f;
	size_t n;
	struct group_offset v[3] = {
		{STR("b"), 1, 3, -1, STR("")}, {STR("b"), 0, 2, -1, STR("")}, {STR("a"), 9, 1, -1, STR("")}};
	struct group_commit in = {.generation = -1, .retention_ms = -1};
	struct group_fetch all = {.group_id = STR("g"), .epoch = -1, .all = true};

	world_open(&w);
	assert_int_equal(group_offsets_fetch(w.g, &all, a, &f, &n), 0);
	assert_int_equal(n, 0);
	commit_in(&w, in, v, 3, NULL);
	assert_int_equal(group_offsets_fetch(w.g, &all, a, &f, &n), 0);
	assert_int_equal(n, 3);
	assert_true(str_is(f[0].topic, "a") && f[1].offset == 2 && f[2].offset == 3);
	int32_t gen = stable_group(&w, 1, ids);

	all.member_id = STR("ghost");
	all.epoch = gen;
	assert_int_equal(group_offsets_fetch(w.g, &all, a, &f, &n), 0);
	all.member_id = str_of(ids[0]);
	assert_int_equal(group_offsets_fetch(w.g, &all, a, &f, &n), 0);
	all.epoch = gen + 1;
	assert_int_equal(group_offsets_fetch(w.g, &all, a, &f, &n), 0);
	arena_free(a);
	world_close(&w);
}

static void transactional_offsets(void **st)
{
	struct world w;
	struct group_offset v = {STR("t"), 0, 10, -1, STR("m")};
	struct group_commit txn = {.generation = -1, .retention_ms = -1, .txn = true, .producer_id = 7};

	world_open(&w);
	assert_int_equal(commit(&w, "", -1, "t", 5), 0);
	assert_int_equal(commit_in(&w, txn, &v, 1, NULL), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fetch_one(&w, "t", 0, false).offset, 5);
		assert_int_equal(fetch_one(&w, "t", 0, true).code, COORD_UNSTABLE_OFFSET_COMMIT);
		world_restart(&w);
	}
	assert_int_equal(txn_end_code(&w, 8, true), 0); /* another producer's marker */
	assert_int_equal(fetch_one(&w, "t", 0, true).code, COORD_UNSTABLE_OFFSET_COMMIT);
	assert_int_equal(txn_end_code(&w, 7, true), 0);
	assert_int_equal(fetch_one(&w, "t", 0, true).offset, 10);
	assert_int_equal(txn_end_code(&w, 7, true), 0); /* again, after a restart of the transaction coordinator */
	v.offset = 20;
	assert_int_equal(commit_in(&w, txn, &v, 1, NULL), 0);
	assert_int_equal(txn_end_code(&w, 7, false), 0);
	assert_int_equal(fetch_one(&w, "t", 0, true).offset, 10);
	world_restart(&w);
	assert_int_equal(fetch_one(&w, "t", 0, true).offset, 10);
	/* A partition that only an aborted transaction touched has no offset. */
	v.partition = 3;
	assert_int_equal(commit_in(&w, txn, &v, 1, NULL), 0);
	assert_int_equal(txn_end_code(&w, 7, false), 0);
	assert_int_equal(fetch_one(&w, "t", 3, true).offset, -1);
	assert_int_equal(fetch_one(&w, "t", 3, true).code, 0);
	struct group_stats s;

	group_coord_stats(w.g, &s);
	assert_int_equal(s.pending_offsets, 0);
	assert_int_equal(s.offsets, 1);
	world_close(&w);
}

/* KIP-447: a fenced member cannot commit through its transaction. */
static void transactional_offsets_check_the_generation(void **st)
{
	struct world w;
	char ids[1][320];
	int16_t code;
	struct group_offset v = {STR("t"), 0, 10, -1, STR("m")};
	struct group_commit txn = {.retention_ms = -1, .txn = true, .producer_id = 7};

	world_open(&w);
	txn.generation = stable_group(&w, 1, ids);
	txn.member_id = str_of(ids[0]);
	assert_int_equal(commit_in(&w, txn, &v, 1, &code), 0);
	txn.generation--;
	assert_int_equal(commit_in(&w, txn, &v, 1, &code), COORD_ILLEGAL_GENERATION);
	txn.member_id = STR("ghost");
	assert_int_equal(commit_in(&w, txn, &v, 1, &code), COORD_UNKNOWN_MEMBER_ID);
	assert_int_equal(code, COORD_UNKNOWN_MEMBER_ID);
	world_close(&w);
}

enum { DAY = 86400 * 1000 };

static void expiry(void **st)
{
	struct world w;
	struct group_offset v = {STR("t"), 0, 10, -1, STR("m")};
	struct group_commit in = {.generation = -1, .retention_ms = -1};

	world_open(&w);
	in.retention_ms = DAY; /* versions 2 to 4 */
	commit_in(&w, in, &v, 1, NULL);
	v.partition = 1;
	in.retention_ms = -1;
	commit_in(&w, in, &v, 1, NULL);
	world_pass(&w, DAY + 700000);
	assert_int_equal(committed(&w, "t", 0), -1);
	assert_int_equal(committed(&w, "t", 1), 10);
	world_pass(&w, 6 * (int64_t)DAY);
	assert_int_equal(committed(&w, "t", 1), -1);
	assert_string_equal(state(&w, "g"), "Dead"); /* the group went with its last offset */
	world_restart(&w);
	assert_string_equal(state(&w, "g"), "Dead");
	struct group_stats s;

	group_coord_stats(w.g, &s);
	assert_int_equal(s.bytes, 0);
	world_close(&w);
}

/* KIP-211: the clock runs from when the group became empty. */
static void offsets_of_a_group_expire_after_its_end(void **st)
{
	struct world w;
	char ids[1][320];

	world_open(&w);
	int32_t gen = stable_group(&w, 1, ids);

	assert_int_equal(commit(&w, ids[0], gen, "t", 10), 0);
	for (int64_t t = 0; t < 8 * (int64_t)DAY; t += 9000) {
		w.now += 9000;
		assert_int_equal(beat(&w, ids[0], gen), 0);
		if (t % 90000 == 0)
			group_tick(w.g, w.now);
	}
	assert_int_equal(committed(&w, "t", 0), 10);
	assert_int_equal(leave(&w, ids[0], NULL), 0);
	world_pass(&w, 6 * (int64_t)DAY);
	assert_int_equal(committed(&w, "t", 0), 10);
	world_pass(&w, 2 * (int64_t)DAY);
	assert_int_equal(committed(&w, "t", 0), -1);
	world_close(&w);
}

static int16_t delete_offset(struct world *w, const char *topic, int32_t partition)
{
	struct group_offset o = {.topic = str_of(topic), .partition = partition};
	uint64_t t = ++w->token;
	struct answer *a = world_answer(w, t);

	a->there = false;
	group_offsets_delete(w->g, STR("g"), &o, 1, t, w->now);
	assert_true(a->there);
	return a->code ? a->code : a->codes[0];
}

static void deleting(void **st)
{
	struct world w;
	/* ConsumerProtocolSubscription: version 0, one topic "t", no user data */
	static const char meta[] = "\0\0\0\0\0\1\0\1t\0\0\0\0";
	struct group_protocol p[1] = {{STR("range"), {meta, sizeof(meta) - 1}}};
	struct group_join in = {JOIN_DEFAULTS};

	world_open(&w);
	assert_int_equal(delete_offset(&w, "t", 0), COORD_GROUP_ID_NOT_FOUND);
	assert_int_equal(commit(&w, "", -1, "t", 1), 0);
	assert_int_equal(commit(&w, "", -1, "u", 1), 0);
	in.version = 3;
	in.protocols = p;
	struct answer *a = world_answer(&w, join(&w, in));

	assert_int_equal(a->code, 0);
	assert_int_equal(delete_offset(&w, "t", 0), COORD_GROUP_SUBSCRIBED_TO_TOPIC);
	assert_int_equal(delete_offset(&w, "u", 0), 0);
	assert_int_equal(delete_offset(&w, "u", 0), 0); /* nothing there is fine */
	assert_int_equal(committed(&w, "u", 0), -1);
	assert_int_equal(leave(&w, a->member_id, NULL), 0);
	assert_int_equal(delete_offset(&w, "t", 0), 0);
	assert_int_equal(committed(&w, "t", 0), -1);
	assert_int_equal(commit(&w, "", -1, "t", 1), 0);
	group_topic_deleted(w.g, STR("t"), w.now);
	assert_int_equal(committed(&w, "t", 0), -1);
	world_restart(&w);
	assert_int_equal(committed(&w, "t", 0), -1);
	world_close(&w);
}

static void failed_commits_leave_no_trace(void **st)
{
	struct world w;

	world_open(&w);
	assert_int_equal(commit(&w, "", -1, "t", 1), 0);
	w.failing = true;
	assert_int_equal(commit(&w, "", -1, "t", 2), COORD_NOT_AVAILABLE);
	assert_int_equal(committed(&w, "t", 0), 1);
	w.failing = false;
	world_pass(&w, 200);
	assert_int_equal(committed(&w, "t", 0), 1);
	assert_int_equal(commit(&w, "", -1, "t", 3), 0);
	world_restart(&w);
	assert_int_equal(committed(&w, "t", 0), 3);
	world_close(&w);
}

static void commits_share_batches(void **st)
{
	struct world w;
	struct group_offset v = {STR("t"), 0, 10, -1, STR("m")};
	struct group_commit in = {.group_id = STR("g"), .generation = -1, .retention_ms = -1, .v = &v, .n = 1};

	world_open(&w);
	w.hold = true;
	for (int i = 0; i < 100; i++) {
		world_answer(&w, ++w.token)->there = false;
		v.partition = i;
		group_commit(w.g, &in, w.token, w.now);
	}
	assert_int_equal(committed(&w, "t", 99), -1); /* not stored, not seen */
	world_settle(&w);
	assert_int_equal(w.store.n, 2);
	assert_int_equal(committed(&w, "t", 99), 10);
	world_close(&w);
}

static void ends_of_transactions_share_batches(void **st)
{
	struct world w;
	struct group_offset v = {STR("t"), 0, 10, -1, STR("m")};
	struct group_commit in = {.group_id = STR("g"), .generation = -1, .retention_ms = -1, .v = &v, .n = 1,
	                          .txn = true};

	world_open(&w);
	for (int i = 0; i < 20; i++) {
		v.partition = i;
		in.producer_id = i;
		assert_int_equal(commit_in(&w, in, &v, 1, NULL), 0);
	}
	size_t before = w.store.n;

	w.hold = true;
	for (int i = 0; i < 20; i++) {
		world_answer(&w, ++w.token)->there = false;
		group_txn_end(w.g, STR("g"), i, true, w.token, w.now);
	}
	world_settle(&w);
	assert_int_equal(w.store.n, before + 2);
	assert_int_equal(committed(&w, "t", 19), 10);
	/* An end behind offsets that are still on their way takes them along. */
	in.v = &v;
	for (int i = 0; i < 3; i++) {
		world_answer(&w, ++w.token)->there = false;
		v.offset = 20 + i;
		in.producer_id = 7;
		group_commit(w.g, &in, w.token, w.now);
	}
	world_answer(&w, ++w.token)->there = false;
	group_txn_end(w.g, STR("g"), 7, true, w.token, w.now);
	world_settle(&w);
	assert_int_equal(committed(&w, "t", 19), 22);
	world_restart(&w);
	assert_int_equal(fetch_one(&w, "t", 19, true).offset, 22);
	world_close(&w);
}

static void hostile_records(void **st)
{
	struct world w;
	char ids[2][320];

	world_open(&w);
	stable_group(&w, 2, ids);
	commit(&w, "", -1, "t", 1);
	struct group_coord *g = group_coord_new(&w.env, &w.cfg);
	unsigned refused = 0;

	for (size_t i = 0; i < w.store.n; i++)
		for (size_t k = 0; k < w.store.v[i].n; k++) {
			struct coord_record rec = w.store.v[i].v[k];

			for (size_t cut = 1; cut <= rec.value.n; cut += 3) {
				struct coord_record torn = {rec.key, {rec.value.p, rec.value.n - cut}};

				refused += group_replay(g, torn) != 0;
			}
			for (size_t cut = 1; cut <= rec.key.n; cut++) {
				struct coord_record torn = {{rec.key.p, rec.key.n - cut}, rec.value};

				refused += group_replay(g, torn) != 0;
			}
		}
	assert_true(refused > 100);
	struct group_stats s;

	group_coord_stats(g, &s);
	assert_int_equal(s.members, 0);
	group_coord_free(g);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata_round_trip),
		cmocka_unit_test(no_spurious_zero),
		cmocka_unit_test(limits),
		cmocka_unit_test(who_may_commit),
		cmocka_unit_test(fetching_all_and_member_checks),
		cmocka_unit_test(transactional_offsets),
		cmocka_unit_test(transactional_offsets_check_the_generation),
		cmocka_unit_test(expiry),
		cmocka_unit_test(offsets_of_a_group_expire_after_its_end),
		cmocka_unit_test(deleting),
		cmocka_unit_test(failed_commits_leave_no_trace),
		cmocka_unit_test(commits_share_batches),
		cmocka_unit_test(ends_of_transactions_share_batches),
		cmocka_unit_test(hostile_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
