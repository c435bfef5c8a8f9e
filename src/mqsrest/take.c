/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/enc.h"
#include "json/json.h"
#include "mqsrest/priv.h"

#include <stdlib.h>

#define JOIN_MS 15000 /* how long a request waits for a group that is not there yet, beside its own time */
#define MEMBER_MS 60000 /* how long one who has not come back counts */
#define SHOWN_MAX (8u << 20) /* a longer message is given without its content: its JSON could not be sent */
#define PROBE_EVERY_MS 2000

/* ---- who may see what ---- */

static bool sees(const struct rest_caller *caller, struct str only, struct str tags)
{
	return (!only.n || str_eq(only, caller->key)) && rest_tags_any(&caller->sub_tags, tags);
}

/* Whether another application that shares the group may see what the caller may not. */
static bool other_sees(const struct rest_group *g, struct str only, struct str tags, int64_t now)
{
	for (size_t i = 0; i < REST_MEMBERS_MAX; i++) {
		const struct rest_member *m = &g->members[i];

		if (m->arena && now - m->seen_ms < MEMBER_MS && sees(&m->caller, only, tags))
			return true;
	}
	return false;
}

/* Remembers who consumes; when there are too many, who has not come for longest is forgotten. */
static void remember(struct rest_group *g, const struct rest_caller *caller, int64_t now)
{
	struct rest_member *to = &g->members[0];

	for (size_t i = 0; i < REST_MEMBERS_MAX; i++) {
		struct rest_member *m = &g->members[i];

		if (m->arena && str_eq(m->caller.key, caller->key)) {
			to = m;
			break;
		}
		if (to->arena && (!m->arena || m->seen_ms < to->seen_ms))
			to = m;
	}
	if (to->arena)
		arena_reset(to->arena);
	else
		to->arena = arena_new(1 << 20);
	struct str *tags = ARENA_ARRAY(to->arena, struct str, caller->sub_tags.n + 1);

	for (size_t i = 0; i < caller->sub_tags.n; i++)
		tags[i] = arena_str(to->arena, caller->sub_tags.v[i]);
	to->caller =
		(struct rest_caller){.key = arena_str(to->arena, caller->key), .sub_tags = {tags, caller->sub_tags.n}};
	to->seen_ms = now;
}

/* ---- a message as JSON ---- */

static void print_text(struct buf *out, const char *name, struct str value)
{
	if (!value.p)
		return;
	buf_fmt(out, ",\"%s\":", name);
	json_print_str(out, value);
}

static void print_content(struct buf *out, struct str content)
{
	if (content.n > SHOWN_MAX) {
		buf_fmt(out, "null,\"encoding\":\"none\",\"size\":%zu", content.n);
	} else if (enc_utf8_valid(content)) {
		json_print_str(out, content);
	} else {
		struct arena *a = arena_new(2 * (size_t)SHOWN_MAX);

		json_print_str(out, enc_base64(a, content));
		buf_cstr(out, ",\"encoding\":\"base64\"");
		arena_free(a);
	}
}

static void print(struct buf *out, struct arena *a, const struct rest_group *g, const struct rest_part *part,
		  const struct rest_entry *e)
{
	const struct rest_record *r = e->message;
	struct rest_handler handler = {part->id, e->offset, e->delivery, g->session};

	buf_fmt(out, "{\"handler\":\"%s\",\"topic\":\"%s\",\"partition\":%d,\"offset\":%lld,\"timestamp\":%lld",
		rest_handler_make(a, &handler).p, g->topic, part->id, (long long)e->offset, (long long)r->timestamp_ms);
	print_text(out, "tags", r->tags);
	buf_cstr(out, ",\"message\":{\"content\":");
	print_content(out, r->content);
	print_text(out, "id", r->id);
	print_text(out, "key", r->key);
	buf_cstr(out, "}}");
}

/* ---- giving ---- */

struct giving {
	struct rest_group *g;
	const struct rest_caller *caller;
	const struct rest_take *take;
	struct arena *arena;
	struct buf *out;
	int64_t now;
	size_t n, bytes;
	bool full;
};

static void give(struct giving *x, struct rest_part *part, struct rest_entry *e)
{
	struct rest_stats *stats = &x->g->server->stats;

	atomic_fetch_add(e->delivery ? &stats->given_again : &stats->given, 1);
	rest_window_give(&part->window, e, ++x->g->delivery, x->now + x->take->ack_wait_ms);
	if (x->n++)
		buf_char(x->out, ',');
	x->bytes += ((const struct rest_record *)e->message)->content.n;
	print(x->out, x->arena, x->g, part, e);
	x->full = x->n == (size_t)x->take->max_messages;
}

static void give_of(struct giving *x, struct rest_part *part)
{
	struct rest_entry *e;
	size_t at = 0;

	while (!x->full && (e = rest_window_next(&part->window, &at, x->now)) != NULL) {
		const struct rest_record *r = e->message;

		if (!sees(x->caller, r->only, r->tags)) {
			if (!other_sees(x->g, r->only, r->tags, x->now))
				rest_window_pass(&part->window, e);
			continue;
		}
		/* One message is always given, or a longer one than all ask for would be the end of its partition. */
		x->full = x->n && x->bytes + r->content.n > (size_t)x->take->max_bytes;
		if (!x->full)
			give(x, part, e);
	}
}

static size_t give_some(struct giving *x)
{
	struct rest_group *g = x->g;

	x->now = clock_mono_ms();
	for (size_t i = 0; i < g->n_parts && !x->full; i++) {
		struct rest_part *part = &g->parts[(g->turn + i) % g->n_parts];

		if (part->assigned)
			give_of(x, part);
	}
	g->turn = g->n_parts ? (g->turn + 1) % g->n_parts : 0;
	rest_group_resume(g);
	return x->n;
}

/* ---- waiting ---- */

/* Asks Kafka when it was away. Lock held, let go meanwhile. */
static bool back(struct rest_group *g)
{
	pthread_mutex_unlock(&g->lock);
	bool yes = rest_kafka_reachable(g->rk);

	pthread_mutex_lock(&g->lock);
	if (yes)
		g->down = false;
	return yes;
}

static int64_t next_wake(const struct rest_group *g, int64_t until)
{
	for (size_t i = 0; i < g->n_parts; i++) {
		int64_t at = g->parts[i].assigned ? rest_window_wake(&g->parts[i].window) : INT64_MAX;

		until = at < until ? at : until;
	}
	return until;
}

static int wait_some(struct giving *x, int64_t *until, bool *joined, int64_t *probe, struct err *err)
{
	struct rest_group *g = x->g;
	int64_t now = clock_mono_ms();

	if (g->unknown)
		return err_set_text(err, ERR_MQS_00400101, "Invalid topic name: Kafka has no topic of this name.");
	if (g->down && now >= *probe) {
		if (!back(g))
			return rest_kafka_unavailable(err, "it does not answer");
		*probe = clock_mono_ms() + PROBE_EVERY_MS;
		return 0;
	}
	/* The time begins when the group can have something. */
	if (g->joined && !*joined) {
		*joined = true;
		*until = now + x->take->time_wait_ms;
	}
	rest_group_wait(g, next_wake(g, *until));
	return 0;
}

int rest_group_take(struct rest_group *g, const struct rest_caller *caller, const struct rest_take *take,
		    struct arena *a, struct buf *out, struct err *err)
{
	struct giving x = {.g = g, .caller = caller, .take = take, .arena = a, .out = out};
	int64_t start = clock_mono_ms(), probe = 0, until;
	int rc = 0;

	buf_char(out, '[');
	pthread_mutex_lock(&g->lock);
	remember(g, caller, start);
	bool joined = g->joined;

	until = start + take->time_wait_ms + (joined || !take->time_wait_ms ? 0 : JOIN_MS);
	while (!g->stopped && give_some(&x) == 0 && clock_mono_ms() < until)
		if ((rc = wait_some(&x, &until, &joined, &probe, err)) != 0)
			break;
	/* Nobody has told us that Kafka is away, but it has not let us into the group either. */
	if (rc == 0 && !x.n && !g->joined && !g->stopped && take->time_wait_ms && !back(g))
		rc = rest_kafka_unavailable(err, "it does not answer");
	pthread_mutex_unlock(&g->lock);
	buf_char(out, ']');
	return rc;
}
