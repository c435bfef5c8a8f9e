/* SPDX-License-Identifier: Apache-2.0 */
#include "group_help.h"

#include <string.h>

/* Clients that come, go, crash and pause, on a coordinator that restarts and whose disk fills up. Always: no partition
 * at two members of one generation, generations only grow, what was stored replays to the same state. In the end: every
 * partition at exactly one member, nobody waits. */

enum { CLIENTS = 6, PARTS = 12, SEEDS = 25, STEPS = 250 };

/* ---- Replay ---- */

static void assert_replays(struct world *w)
{
	struct image live = {0}, again = {0};
	struct group_coord *g = world_replay(w, w->store.n);

	group_snapshot(w->g, image_add, &live);
	group_snapshot(g, image_add, &again);
	image_sort(&live);
	image_sort(&again);
	assert_true(image_equal(&live, &again));
	image_done(&live);
	image_done(&again);
	group_coord_free(g);
}

struct lone {
	struct group_coord *g;
};

static void lone_persist(void *arg, const struct coord_record *v, size_t n, uint64_t batch)
{
	group_persisted(((struct lone *)arg)->g, batch, true, 0);
}

static void lone_reply(void *arg, uint64_t token, const struct group_reply *r)
{
}

/* A crash behind any batch, and behind any record of it although batches are whole: nothing hangs, members that do not
 * come back go, and the group is usable. */
static void assert_every_crash_heals(struct world *w, size_t step)
{
	struct arena *a = arena_new(4 << 20);

	for (size_t stop = 0; stop <= w->store.n; stop += step) {
		struct lone lone;
		struct group_env env = w->env;
		struct group_described d;
		int64_t now = w->now;

		env.persist = lone_persist;
		env.reply = lone_reply;
		env.topic = NULL;
		lone.g = NULL;
		env.arg = &lone;
		lone.g = group_coord_new(&env, &w->cfg);
		for (size_t i = 0; i < stop; i++)
			for (size_t k = 0; w->store.v[i].ok && k < w->store.v[i].n; k++) {
				if (i + 1 == stop && stop % 2 && k > w->store.v[i].n / 2)
					break;
				assert_int_equal(group_replay(lone.g, w->store.v[i].v[k]), 0);
			}
		struct arena *names = arena_new(1 << 20);
		const struct group_listed *l;
		size_t n = group_list(lone.g, NULL, 0, NULL, 0, names, &l);

		if (n && str_is(l[0].type, "classic")) {
			group_loaded(lone.g, now);
			for (int i = 0; i < 200 && group_deadline(lone.g) < now + 200000; i++)
				group_tick(lone.g, now = group_deadline(lone.g));
			group_describe(lone.g, STR("g"), a, &d);
			assert_true(str_is(d.state, "Empty") || str_is(d.state, "Dead"));
		}
		arena_free(names);
		group_coord_free(lone.g);
		arena_reset(a);
	}
	arena_free(a);
}

/* ---- Classic ---- */

enum phase { OUT, JOINING, SYNCING, IN };

struct client {
	enum phase phase;
	char id[320], instance[8];
	uint64_t token;
	int32_t generation;
	char parts[PARTS + 1]; /* letters */
	int64_t beat;
	int32_t above;         /* was told of a rebalance: the next generation is larger */
};

static void client_join(struct world *w, struct client *c)
{
	struct group_join in = {JOIN_DEFAULTS};
	struct group_protocol both[2] = {{STR("range"), STR("meta")}, {STR("sticky"), STR("meta")}};

	in.protocols = both;
	in.n = 2;
	in.member_id = str_of(c->id);
	in.instance_id = c->instance[0] ? str_of(c->instance) : STR_NONE;
	in.version = 9;
	c->parts[0] = '\0';
	c->phase = JOINING;
	c->token = join(w, in);
}

static void client_sync(struct world *w, struct client *c, const struct answer *a)
{
	struct group_assignment v[16];
	char shares[16][PARTS + 1];
	struct group_sync in = {.group_id = STR("g"), .member_id = str_of(c->id), .generation = a->generation};

	memset(shares, 0, sizeof(shares));
	for (size_t p = 0; a->n_members && !a->skip && p < PARTS; p++) {
		char *share = shares[p % a->n_members];

		share[strlen(share)] = (char)('a' + p);
	}
	for (size_t i = 0; i < a->n_members; i++)
		v[i] = (struct group_assignment){str_of(a->members[i].id), str_of(shares[i])};
	in.instance_id = c->instance[0] ? str_of(c->instance) : STR_NONE;
	in.assignments = v;
	in.n = a->skip ? 0 : a->n_members;
	c->generation = a->generation;
	c->phase = SYNCING;
	world_answer(w, ++w->token)->there = false;
	c->token = w->token;
	group_sync(w->g, &in, c->token, w->now);
}

static void on_error(struct world *w, struct client *c, int16_t code)
{
	assert_int_not_equal(code, COORD_INCONSISTENT_GROUP_PROTOCOL);
	if (code == COORD_UNKNOWN_MEMBER_ID || code == COORD_FENCED_INSTANCE_ID)
		c->id[0] = '\0';
	client_join(w, c);
}

/* What a client does when it has the processor. */
static void client_step(struct world *w, struct client *c, int32_t *max_generation)
{
	struct answer *a = world_answer(w, c->token);

	if (c->phase == IN && w->now - c->beat >= 2000) {
		int16_t code = group_heartbeat(w->g, STR("g"), str_of(c->id),
					       c->instance[0] ? str_of(c->instance) : STR_NONE, c->generation, w->now);

		c->beat = w->now;
		if (code == COORD_REBALANCE_IN_PROGRESS)
			c->above = c->generation;
		if (code)
			on_error(w, c, code);
	} else if ((c->phase == JOINING || c->phase == SYNCING) && a->there) {
		if (a->code == COORD_MEMBER_ID_REQUIRED) {
			snprintf(c->id, sizeof(c->id), "%s", a->member_id);
			client_join(w, c);
		} else if (a->code) {
			on_error(w, c, a->code);
		} else if (c->phase == JOINING) {
			snprintf(c->id, sizeof(c->id), "%s", a->member_id);
			assert_true(a->generation >= *max_generation);
			*max_generation = a->generation;
			assert_true(a->generation > c->above);
			c->above = 0;
			client_sync(w, c, a);
		} else {
			snprintf(c->parts, sizeof(c->parts), "%.*s", PARTS, a->assignment);
			c->phase = IN;
			c->beat = w->now - 2000;
		}
	}
}

static void assert_disjoint(struct client *c)
{
	for (int i = 0; i < CLIENTS; i++)
		for (int k = 0; k < i; k++)
			if (c[i].phase == IN && c[k].phase == IN && c[i].generation == c[k].generation)
				assert_int_equal(strcspn(c[i].parts, c[k].parts), strlen(c[i].parts));
}

static void crash_coordinator(struct world *w, struct client *c)
{
	world_restart(w);
	for (int i = 0; i < CLIENTS; i++) { /* connections broke: requests are repeated from the join */
		c[i].above = 0; /* the start of a rebalance may not have been stored */
		if (c[i].phase == JOINING || c[i].phase == SYNCING)
			client_join(w, &c[i]);
	}
}

static void disturb(struct world *w, struct client *c, unsigned seed)
{
	struct client *one = &c[rand() % CLIENTS];
	int what = rand() % 20;

	if (what < 6 && one->phase == OUT) {
		if (!one->instance[0])
			one->id[0] = '\0';
		if (one->instance[0])
			one->id[0] = '\0';
		client_join(w, one);
	} else if (what == 6 && one->phase != OUT) {
		one->phase = OUT; /* crash */
	} else if (what == 7 && one->phase == IN) {
		struct group_leaver l = {str_of(one->id), STR_NONE};

		one->phase = OUT;
		world_answer(w, ++w->token)->there = false;
		group_leave(w->g, STR("g"), &l, 1, w->token, w->now);
	} else if (what == 8) {
		crash_coordinator(w, c);
	} else if (what == 9) {
		w->failing = rand() % 3 == 0;
	} else if (what == 10) {
		w->hold = !w->hold;
	} else if (what > 13) {
		world_pass(w, rand() % 2500);
	}
	if (w->hold && rand() % 3 == 0)
		world_settle(w);
}

static void assert_settled(struct world *w, struct client *c)
{
	char all[PARTS * 2] = "";
	int in = 0;

	for (int i = 0; i < CLIENTS; i++) {
		if (c[i].phase == OUT)
			continue;
		assert_int_equal(c[i].phase, IN);
		in++;
		strncat(all, c[i].parts, sizeof(all) - strlen(all) - 1);
	}
	assert_int_equal(strlen(all), in ? PARTS : 0);
	for (char p = 'a'; in && p < 'a' + PARTS; p++)
		assert_non_null(strchr(all, p));
	assert_string_equal(state(w, "g"), in ? "Stable" : "Empty");
}

static void classic_groups(void **st)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct client c[CLIENTS];
		int32_t max_generation = 0;
		struct world w;

		memset(c, 0, sizeof(c));
		srand(seed);
		world_open(&w);
		w.cfg.initial_delay_ms = seed % 2 ? -1 : 3000;
		world_restart(&w);
		snprintf(c[0].instance, sizeof(c[0].instance), "i0");
		snprintf(c[1].instance, sizeof(c[1].instance), "i1");
		client_join(&w, &c[2]);
		for (int step = 0; step < STEPS; step++) {
			disturb(&w, c, seed);
			for (int i = 0; i < CLIENTS; i++)
				if (rand() % 4)
					client_step(&w, &c[i], &max_generation);
			assert_disjoint(c);
		}
		w.hold = w.failing = false;
		world_settle(&w);
		for (int t = 0; t < 120; t++) {
			world_pass(&w, 1000);
			for (int i = 0; i < CLIENTS; i++)
				for (int n = 0; n < 4; n++)
					client_step(&w, &c[i], &max_generation);
		}
		assert_settled(&w, c);
		assert_replays(&w);
		assert_every_crash_heals(&w, 7);
		world_close(&w);
	}
}

/* ---- KIP-848 ---- */

struct consumer {
	bool on, full; /* full: the last answer was lost, all is said again */
	char id[16];
	int32_t epoch;
	struct group_partition held[64], told[64]; /* what it works on, what it shall work on */
	size_t n, n_told;
	int64_t beat;
};

static const struct str topics[2] = {{"t", 1}, {"u", 1}};

static bool in_set(const struct group_partition *v, size_t n, const struct group_partition *p)
{
	for (size_t i = 0; i < n; i++)
		if (!memcmp(&v[i], p, sizeof(*p)))
			return true;
	return false;
}

/* Takes up what it was given, and gives up what was taken from it: the latter takes a while. */
static void consumer_work(struct consumer *c, bool done)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++)
		if (!done || in_set(c->told, c->n_told, &c->held[i]))
			c->held[n++] = c->held[i];
	c->n = n;
	for (size_t i = 0; i < c->n_told; i++)
		if (!in_set(c->held, c->n, &c->told[i]))
			c->held[c->n++] = c->told[i];
}

static void consumer_beat(struct world *w, struct consumer *c, int i)
{
	static const struct group_partition none[1];
	struct group_consumer_heartbeat in = {.member_id = str_of(c->id), .epoch = c->epoch,
	                                      .rebalance_timeout_ms = c->epoch ? -1 : 60000, .owned = c->held,
	                                      .n_owned = c->n};

	if (!c->epoch) {
		c->n = c->n_told = 0;
		in.owned = none;
		in.n_owned = 0;
	}
	if (!c->epoch || c->full) {
		in.topics = i % 3 ? topics : topics + 1; /* some only "u" */
		in.n_topics = i % 3 ? 2 : 1;
	}
	struct answer *a = world_answer(w, chb(w, in));

	if (!a->there || a->code == COORD_NOT_AVAILABLE) {
		c->full = true;
		return;
	}
	c->beat = w->now;
	c->full = false;
	if (a->code) {
		assert_true(a->code == COORD_UNKNOWN_MEMBER_ID || a->code == COORD_FENCED_MEMBER_EPOCH ||
			    a->code == COORD_GROUP_ID_NOT_FOUND);
		c->epoch = 0;
		c->n = c->n_told = 0;
		return;
	}
	assert_true(a->epoch >= c->epoch);
	c->epoch = a->epoch;
	if (a->has_assignment) {
		memcpy(c->told, a->parts, sizeof(c->told));
		c->n_told = a->n_parts;
	}
	consumer_work(c, false);
}

static void assert_nobody_shares(const struct consumer *c)
{
	for (int i = 0; i < CLIENTS; i++)
		for (size_t x = 0; c[i].on && x < c[i].n; x++)
			for (int k = 0; k < i; k++)
				for (size_t y = 0; c[k].on && y < c[k].n; y++)
					assert_memory_not_equal(&c[i].held[x], &c[k].held[y], sizeof(c[i].held[x]));
}

static void disturb_consumers(struct world *w, struct consumer *c, int step)
{
	int i = rand() % CLIENTS, what = rand() % 20;

	if (what < 5 && !c[i].on) {
		snprintf(c[i].id, sizeof(c[i].id), "m%d-%d", i, step);
		c[i].on = true;
		c[i].epoch = 0;
		c[i].n = c[i].n_told = 0;
	} else if (what == 5) {
		c[i].on = false;
	} else if (what == 6 && c[i].on && c[i].epoch) {
		struct group_consumer_heartbeat in = {.member_id = str_of(c[i].id), .epoch = -1,
		                                      .rebalance_timeout_ms = -1};

		chb(w, in);
		c[i].on = false;
	} else if (what == 7) {
		world_restart(w);
		for (int k = 0; k < CLIENTS; k++)
			c[k].full = true;
	} else if (what == 8) {
		w->failing = rand() % 3 == 0;
	} else if (what == 9 && w->topics[0].partitions < 10) {
		w->topics[0].partitions++;
		group_topics_changed(w->g, w->now);
	} else if (what > 12) {
		world_pass(w, rand() % 4000);
	}
}

static void consumer_groups(void **st)
{
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct consumer c[CLIENTS];
		struct world w;
		size_t held = 0, on = 0, both = 0;

		memset(c, 0, sizeof(c));
		srand(seed + 1000);
		world_open(&w);
		w.topics[0] = (struct topic_row){"t", 5};
		w.topics[1] = (struct topic_row){"u", 7};
		for (int step = 0; step < STEPS; step++) {
			disturb_consumers(&w, c, step);
			for (int i = 0; i < CLIENTS; i++) {
				if (c[i].on && w.now - c[i].beat > 44000 && c[i].epoch) {
					c[i].epoch = 0; /* a client knows when its session is over */
					c[i].n = c[i].n_told = 0;
				}
				if (rand() % 3 == 0)
					consumer_work(&c[i], true);
				if (c[i].on && rand() % 3)
					consumer_beat(&w, &c[i], i);
			}
			assert_nobody_shares(c);
			if (!w.failing && !w.hold && step % 10 == 0) {
				world_pass(&w, 200);
				assert_replays(&w);
			}
		}
		w.failing = false;
		for (int t = 0; t < 40; t++) {
			world_pass(&w, 5000);
			for (int i = 0; i < CLIENTS; i++)
				if (c[i].on) {
					consumer_work(&c[i], true);
					consumer_beat(&w, &c[i], i);
				}
			assert_nobody_shares(c);
		}
		for (int i = 0; i < CLIENTS; i++)
			if (c[i].on) {
				held += c[i].n;
				on++;
				both += i % 3 != 0;
			}
		assert_int_equal(held, both ? (size_t)w.topics[0].partitions + 7 : on ? 7 : 0);
		assert_string_equal(state(&w, "g"), on ? "Stable" : "Empty");
		assert_replays(&w);
		world_close(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classic_groups),
		cmocka_unit_test(consumer_groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
