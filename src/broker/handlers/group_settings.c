/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

#include <stdlib.h>

/* Groups that have settings of their own (resource GROUP of the requests for settings). Few have: the others are not
 * here. */

#define PREFIX STR("group/")

const struct mqs_config_def mqs_group_defs[GROUP_SETTINGS] = {
	[GROUP_SESSION_MS] = {.name = "consumer.session.timeout.ms", .type = CFG_INT, .min = 1000, .max = 1800000},
	[GROUP_INTERVAL_MS] = {.name = "consumer.heartbeat.interval.ms", .type = CFG_INT, .min = 100, .max = 60000},
	[GROUP_SHARE_SESSION_MS] = {.name = "share.session.timeout.ms", .type = CFG_INT, .min = 1000, .max = 1800000},
	[GROUP_SHARE_INTERVAL_MS] = {.name = "share.heartbeat.interval.ms", .type = CFG_INT, .min = 100, .max = 60000},
	[GROUP_SHARE_LOCK_MS] = {.name = "share.record.lock.duration.ms", .type = CFG_INT, .min = 15000, .max = 60000},
	[GROUP_SHARE_ISOLATION] = {.name = "share.isolation.level",
				   .type = CFG_STRING,
				   .values = "read_uncommitted,read_committed"},
	[GROUP_SHARE_RESET] = {.name = "share.auto.offset.reset", .type = CFG_STRING},
};

/* ---- values ---- */

/* A number of one unit of a duration, "12H"; false when there is none. */
static bool unit(struct str *rest, char letter, int64_t ms, int64_t *sum)
{
	size_t n = 0;
	long long value;

	while (n < rest->n && rest->p[n] >= '0' && rest->p[n] <= '9')
		n++;
	if (n == 0 || n == rest->n || rest->p[n] != letter || !str_to_int(str_sub(*rest, 0, n), 0, 1000000000, &value))
		return false;
	*sum += value * ms;
	*rest = str_sub(*rest, n + 1, rest->n);
	return true;
}

/* ISO 8601, PnDTnHnMnS, in whole seconds. -1 when it is none. */
static int64_t duration(struct str text)
{
	int64_t sum = 0;
	bool any = false;

	if (!str_starts(text, STR("P")))
		return -1;
	text = str_sub(text, 1, text.n);
	any = unit(&text, 'D', 86400000, &sum);
	if (text.n && text.p[0] == 'T') {
		text = str_sub(text, 1, text.n);
		bool hours = unit(&text, 'H', 3600000, &sum), minutes = unit(&text, 'M', 60000, &sum);
		bool seconds = unit(&text, 'S', 1000, &sum);

		any = hours || minutes || seconds;
	}
	return any && text.n == 0 ? sum : -1;
}

#define BY_DURATION STR("by_duration:")

static bool is_reset(struct str value)
{
	return str_is(value, "latest") || str_is(value, "earliest") ||
	       (str_starts(value, BY_DURATION) && duration(str_sub(value, BY_DURATION.n, value.n)) >= 0);
}

int64_t mqs_group_reset(const struct mqs_group_setting *s)
{
	struct str value = str_of(s->reset);

	if (str_is(value, "earliest"))
		return -1;
	return str_starts(value, BY_DURATION) ? duration(str_sub(value, BY_DURATION.n, value.n)) : 0;
}

bool mqs_group_set(struct mqs_group_setting *s, int id, struct str value)
{
	const struct mqs_config_def *def = &mqs_group_defs[id];
	long long n = -1;

	if (!value.p) {
		s->v[id] = -1;
		s->reset[0] = id == GROUP_SHARE_RESET ? '\0' : s->reset[0];
	} else if (id == GROUP_SHARE_RESET) {
		if (value.n >= sizeof(s->reset) || !is_reset(value))
			return false;
		memcpy(s->reset, value.p, value.n);
		s->reset[value.n] = '\0';
	} else if (id == GROUP_SHARE_ISOLATION) {
		if (!str_is(value, "read_committed") && !str_is(value, "read_uncommitted"))
			return false;
		s->v[id] = str_is(value, "read_committed");
	} else {
		if (!str_to_int(value, def->min, def->max, &n))
			return false;
		s->v[id] = (int32_t)n;
	}
	return true;
}

struct str mqs_group_text(struct mqs_broker *b, const struct mqs_group_setting *s, int id, struct arena *a,
			  bool *ret_default)
{
	const int32_t of_broker[GROUP_SETTINGS] = {[GROUP_SESSION_MS] = b->options.group_session_ms,
						   [GROUP_INTERVAL_MS] = b->options.group_interval_ms,
						   [GROUP_SHARE_SESSION_MS] = b->options.group_session_ms,
						   [GROUP_SHARE_INTERVAL_MS] = b->options.group_interval_ms,
						   [GROUP_SHARE_LOCK_MS] = SHARE_LOCK_MS};
	int32_t n = s->v[id] < 0 ? of_broker[id] : s->v[id];

	*ret_default = id == GROUP_SHARE_RESET ? !s->reset[0] : s->v[id] < 0;
	if (id == GROUP_SHARE_RESET)
		return s->reset[0] ? arena_str(a, str_of(s->reset)) : STR("latest");
	if (id == GROUP_SHARE_ISOLATION)
		return n > 0 ? STR("read_committed") : STR("read_uncommitted");
	return arena_fmt(a, "%d", n);
}

/* ---- keeping ---- */

static void clear(struct mqs_group_setting *s)
{
	*s = (struct mqs_group_setting){0};
	for (int i = 0; i < GROUP_SETTINGS; i++)
		s->v[i] = -1;
}

static void drop(struct mqs_broker *b, struct str group)
{
	struct mqs_group_setting *s = b->groups_set ? map_del(b->groups_set, group) : NULL;

	if (!s)
		return;
	coord_disown(&s->group);
	free(s);
}

void mqs_group_replay(struct mqs_broker *b, struct str key, struct str value)
{
	struct cursor c = cursor_of(value);

	if (!str_starts(key, PREFIX))
		return;
	struct str group = str_sub(key, PREFIX.n, key.n);
	struct mqs_group_setting s;

	clear(&s);
	/* Earlier versions knew fewer. */
	for (int i = 0; i < GROUP_SHARE_RESET && cursor_left(&c); i++)
		s.v[i] = (int32_t)cursor_u32(&c);
	struct str reset = cursor_left(&c) ? cursor_str(&c) : STR("");

	if (reset.n < sizeof(s.reset) && reset.n)
		memcpy(s.reset, reset.p, reset.n);
	pthread_mutex_lock(&b->coord);
	drop(b, group);
	if (value.p && !c.failed) {
		struct mqs_group_setting *own = mem_zalloc(sizeof(*own));

		*own = s;
		own->group = coord_own(group);
		if (!b->groups_set)
			b->groups_set = map_new();
		map_put(b->groups_set, own->group, own);
	}
	pthread_mutex_unlock(&b->coord);
}

void mqs_group_free(struct mqs_broker *b)
{
	void *v;

	for (size_t at = 0; b->groups_set && map_next(b->groups_set, &at, NULL, &v);) {
		coord_disown(&((struct mqs_group_setting *)v)->group);
		free(v);
	}
	map_free(b->groups_set);
	b->groups_set = NULL;
}

void mqs_group_of(struct mqs_broker *b, struct str group, struct mqs_group_setting *ret)
{
	pthread_mutex_lock(&b->coord);
	const struct mqs_group_setting *s = b->groups_set ? map_get(b->groups_set, group) : NULL;

	clear(ret);
	if (s)
		*ret = *s;
	ret->group = STR_NONE; /* the other's own */
	pthread_mutex_unlock(&b->coord);
}

int mqs_group_put(struct mqs_broker *b, struct str group, const struct mqs_group_setting *s)
{
	bool none = !s->reset[0];
	struct buf key, value;

	buf_init(&key, 4096);
	buf_init(&value, 256);
	buf_str(&key, PREFIX);
	buf_str(&key, group);
	for (int i = 0; i < GROUP_SHARE_RESET; i++) {
		buf_u32(&value, (uint32_t)s->v[i]);
		none = none && s->v[i] < 0;
	}
	coord_put_str(&value, str_of(s->reset));
	struct coord_record rec = {buf_view(&key), none ? STR_NONE : buf_view(&value)};
	int code = key.failed ? KAFKA_ERR_INVALID_REQUEST : mqs_statelog_put(&b->state, &rec, 1);

	if (code == 0)
		mqs_group_replay(b, rec.key, rec.value);
	buf_done(&key);
	buf_done(&value);
	return code;
}
