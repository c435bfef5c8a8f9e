/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

#include <stdlib.h>

/* Consumer groups of KIP-848 that have times of their own (resource GROUP of the requests for settings). Few have: the
 * others are not here. */

#define PREFIX STR("group/")

const struct mqs_config_def mqs_group_defs[GROUP_SETTINGS] = {
	[GROUP_SESSION_MS] = {.name = "consumer.session.timeout.ms", .type = CFG_INT, .min = 1000, .max = 1800000},
	[GROUP_INTERVAL_MS] = {.name = "consumer.heartbeat.interval.ms", .type = CFG_INT, .min = 100, .max = 60000},
};

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
	struct mqs_group_setting s = {0};

	for (int i = 0; i < GROUP_SETTINGS; i++)
		s.v[i] = (int32_t)cursor_u32(&c);
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

void mqs_group_of(struct mqs_broker *b, struct str group, int32_t ret_v[GROUP_SETTINGS])
{
	pthread_mutex_lock(&b->coord);
	const struct mqs_group_setting *s = b->groups_set ? map_get(b->groups_set, group) : NULL;

	for (int i = 0; i < GROUP_SETTINGS; i++)
		ret_v[i] = s ? s->v[i] : -1;
	pthread_mutex_unlock(&b->coord);
}

int mqs_group_put(struct mqs_broker *b, struct str group, const int32_t v[GROUP_SETTINGS])
{
	bool none = v[GROUP_SESSION_MS] < 0 && v[GROUP_INTERVAL_MS] < 0;
	struct buf key, value;

	buf_init(&key, 4096);
	buf_init(&value, 64);
	buf_str(&key, PREFIX);
	buf_str(&key, group);
	for (int i = 0; i < GROUP_SETTINGS; i++)
		buf_u32(&value, (uint32_t)v[i]);
	struct coord_record rec = {buf_view(&key), none ? STR_NONE : buf_view(&value)};
	int code = key.failed ? KAFKA_ERR_INVALID_REQUEST : mqs_statelog_put(&b->state, &rec, 1);

	if (code == 0)
		mqs_group_replay(b, rec.key, rec.value);
	buf_done(&key);
	buf_done(&value);
	return code;
}
