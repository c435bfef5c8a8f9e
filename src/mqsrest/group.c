/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rnd.h"
#include "mqsrest/priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define POLL_MS 100
#define OFFSETS_MS 10000
#define ENTRIES_MAX 1024 /* in hand of a partition */
#define READY_MAX 512 /* of these, read ahead */
#define BYTES_MAX ((size_t)4 << 20)
#define COMMIT_EVERY_MS 1000 /* of what was passed over */

/* ---- flow ---- */

static bool enough(const struct rest_group *g, const struct rest_part *part)
{
	const struct rest_window *w = &part->window;
	size_t all = atomic_load(&g->server->bytes);
	/* What is paused begins again somewhat later, for each pause throws away what the library has read ahead. */
	size_t half = part->paused ? 2 : 1;

	return w->n >= ENTRIES_MAX || w->ready >= READY_MAX / half || g->bytes >= BYTES_MAX / half ||
	       (g->bytes && all >= g->server->options.memory_max);
}

static void count_bytes(struct rest_group *g)
{
	size_t bytes = 0;

	for (size_t i = 0; i < g->n_parts; i++)
		bytes += g->parts[i].window.bytes;
	if (bytes > g->bytes)
		atomic_fetch_add(&g->server->bytes, bytes - g->bytes);
	else
		atomic_fetch_sub(&g->server->bytes, g->bytes - bytes);
	g->bytes = bytes;
}

/* Pausing is for the group's own thread: then no message is on its way to us that a pause makes the library forget. */
static void flow(struct rest_group *g, bool pause)
{
	rd_kafka_topic_partition_list_t *list = NULL;

	for (size_t i = 0; i < g->n_parts; i++) {
		struct rest_part *part = &g->parts[i];

		if (!part->assigned || part->paused == pause || enough(g, part) != pause)
			continue;
		part->paused = pause;
		if (!list)
			list = rd_kafka_topic_partition_list_new(4);
		rd_kafka_topic_partition_list_add(list, g->topic, part->id);
	}
	if (!list)
		return;
	if (pause)
		rd_kafka_pause_partitions(g->rk, list);
	else
		rd_kafka_resume_partitions(g->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
}

void rest_group_resume(struct rest_group *g)
{
	count_bytes(g);
	flow(g, false);
}

void rest_group_wait(struct rest_group *g, int64_t until_ms)
{
	struct timespec t = {until_ms / 1000, (until_ms % 1000) * 1000000};

	pthread_cond_timedwait(&g->wake, &g->lock, &t);
}

/* ---- rebalances, on the group's thread ---- */

static struct rest_part *part_of(struct rest_group *g, int32_t id)
{
	for (size_t i = 0; i < g->n_parts; i++)
		if (g->parts[i].id == id)
			return &g->parts[i];
	g->parts = mem_realloc(g->parts, (g->n_parts + 1) * sizeof(*g->parts));
	struct rest_part *part = &g->parts[g->n_parts++];

	*part = (struct rest_part){.id = id, .epoch = ++g->epoch};
	rest_window_init(&part->window, free);
	return part;
}

static void renew(struct rest_group *g, struct rest_part *part, const rd_kafka_topic_partition_t *from)
{
	struct str metadata = {from->metadata, from->metadata ? from->metadata_size : 0};

	part->epoch = ++g->epoch;
	rest_window_restore(&part->window, from->err ? -1 : from->offset, metadata);
}

/* Takes the partition over. What was under consumption stays so when nobody has committed anything since. */
static void take_over(struct rest_group *g, rd_kafka_topic_partition_t *p)
{
	struct rest_part *part = part_of(g, p->partition);
	int64_t offset = p->err || p->offset < 0 ? -1 : p->offset;

	if (!rest_window_own(&part->window, offset))
		renew(g, part, p);
	part->assigned = true;
	part->paused = false;
	p->offset = part->window.next >= 0 ? part->window.next : RD_KAFKA_OFFSET_INVALID;
	p->err = 0;
}

static void drop_others(struct rest_group *g)
{
	size_t kept = 0;

	for (size_t i = 0; i < g->n_parts; i++) {
		if (g->parts[i].assigned)
			g->parts[kept++] = g->parts[i];
		else
			rest_window_done(&g->parts[i].window);
	}
	g->n_parts = kept;
}

static void assign(struct rest_group *g, rd_kafka_topic_partition_list_t *list)
{
	rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_copy(list);
	rd_kafka_resp_err_t code = list->cnt ? rd_kafka_committed(g->rk, offsets, OFFSETS_MS) : 0;

	/* The library then asks by itself, later; only what was done out of order is not known. */
	if (code) {
		log_warn("topic=%s group=%s offsets unknown: %s", g->topic, g->name, rd_kafka_err2name(code));
		for (int i = 0; i < offsets->cnt; i++)
			offsets->elems[i].offset = RD_KAFKA_OFFSET_INVALID;
	}
	pthread_mutex_lock(&g->lock);
	for (int i = 0; i < offsets->cnt; i++) {
		take_over(g, &offsets->elems[i]);
		list->elems[i].offset = offsets->elems[i].offset;
	}
	drop_others(g);
	pthread_mutex_unlock(&g->lock);
	rd_kafka_assign(g->rk, list);
	if (list->cnt)
		rd_kafka_resume_partitions(g->rk, list); /* they may have been paused when they were ours before */
	rd_kafka_topic_partition_list_destroy(offsets);
	pthread_mutex_lock(&g->lock);
	g->joined = true;
	g->down = false;
	g->unknown = g->unknown && !list->cnt;
	count_bytes(g);
	pthread_cond_broadcast(&g->wake);
	pthread_mutex_unlock(&g->lock);
}

static void revoke(struct rest_group *g)
{
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < g->n_parts; i++)
		g->parts[i].assigned = false;
	g->joined = false;
	pthread_mutex_unlock(&g->lock);
	rd_kafka_assign(g->rk, NULL);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list, void *opaque)
{
	struct rest_group *g = opaque;

	if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		assign(g, list);
	else
		revoke(g);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
	struct rest_group *g = opaque;

	log_debug("librdkafka: %s", reason);
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
		return;
	pthread_mutex_lock(&g->lock);
	g->down = true;
	pthread_cond_broadcast(&g->wake);
	pthread_mutex_unlock(&g->lock);
}

/* ---- the group's thread ---- */

static void on_fault(struct rest_group *g, rd_kafka_message_t *m)
{
	if (m->err == RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT)
		log_warn("topic=%s group=%s Kafka does not allow mqs.rest_session", g->topic, g->name);
	log_debug("topic=%s group=%s %s", g->topic, g->name, rd_kafka_err2name(m->err));
	if (m->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || m->err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) {
		g->unknown = true;
		pthread_cond_broadcast(&g->wake);
	}
}

static struct str header(const rd_kafka_message_t *m, const char *name)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t n;

	if (rd_kafka_message_headers(m, &headers) || rd_kafka_header_get_last(headers, name, &value, &n) || !value)
		return STR_NONE;
	return (struct str){value, n};
}

/* Copies s behind *at. */
static struct str keep(char **at, struct str s)
{
	struct str ret = {s.p ? *at : NULL, s.n};

	if (s.n)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return ret;
}

static struct rest_record *copy(const rd_kafka_message_t *m, size_t *ret_bytes)
{
	struct str tags = header(m, "TAGS"), id = header(m, "message_id"), only = header(m, "consumer_key");
	size_t n = sizeof(struct rest_record) + m->len + m->key_len + tags.n + id.n + only.n;
	rd_kafka_timestamp_type_t type;
	struct rest_record *r = mem_alloc(n);
	char *at = (char *)(r + 1);

	r->timestamp_ms = rd_kafka_message_timestamp(m, &type);
	r->key = keep(&at, (struct str){m->key, m->key_len});
	r->content = keep(&at, (struct str){m->payload ? m->payload : "", m->len});
	r->tags = keep(&at, tags);
	r->id = keep(&at, id);
	r->only = keep(&at, only);
	*ret_bytes = n;
	return r;
}

static void add_message(struct rest_group *g, const rd_kafka_message_t *m)
{
	struct rest_part *part = part_of(g, m->partition);
	size_t bytes;

	if (!part->assigned)
		return;
	/* The topic was deleted and made again. */
	if (m->offset < part->window.next) {
		log_warn("topic=%s partition=%d group=%s begins anew at %lld", g->topic, part->id, g->name,
			 (long long)m->offset);
		rest_window_restore(&part->window, m->offset, STR_NONE);
		part->epoch = ++g->epoch;
	}
	struct rest_record *r = copy(m, &bytes);

	if (!rest_window_add(&part->window, m->offset, r, bytes))
		free(r);
	g->down = g->unknown = false;
	count_bytes(g);
	flow(g, true);
	pthread_cond_broadcast(&g->wake);
}

static void on_message(struct rest_group *g, rd_kafka_message_t *m)
{
	pthread_mutex_lock(&g->lock);
	if (m->err)
		on_fault(g, m);
	else
		add_message(g, m);
	pthread_mutex_unlock(&g->lock);
	rd_kafka_message_destroy(m);
}

static bool busy(struct rest_group *g, int64_t now)
{
	bool yes = g->committing || g->waiters;

	for (size_t i = 0; i < g->n_parts && !yes; i++)
		yes = g->parts[i].assigned && rest_window_busy(&g->parts[i].window, now);
	return yes;
}

/* Takes it off the table; its thread closes it. groups_lock held. */
static void retire(struct rest_group *g)
{
	if (!g->stop)
		map_del(g->server->groups, g->key);
	g->stop = true;
}

/* True when it is time to go. */
static bool leaving(struct rest_group *g, int64_t now)
{
	struct rest_server *s = g->server;

	pthread_mutex_lock(&s->groups_lock);
	if (!g->users && now - g->used_ms >= s->options.idle_ms) {
		pthread_mutex_lock(&g->lock);
		bool needed = busy(g, now);

		pthread_mutex_unlock(&g->lock);
		if (!needed)
			retire(g);
	}
	bool stop = g->stop && !g->users;

	pthread_mutex_unlock(&s->groups_lock);
	return stop;
}

/* Several times a second. True at the end of the group. */
static bool tick(struct rest_group *g)
{
	int64_t now = clock_mono_ms();
	bool stop = leaving(g, now), dirty = false;

	pthread_mutex_lock(&g->lock);
	rest_group_resume(g);
	flow(g, true);
	for (size_t i = 0; i < g->n_parts; i++)
		dirty |= g->parts[i].assigned && g->parts[i].window.dirty;
	if (dirty && !g->committing && (stop || now - g->committed_ms >= COMMIT_EVERY_MS))
		rest_group_commit(g);
	pthread_mutex_unlock(&g->lock);
	return stop;
}

static void free_group(struct rest_group *g)
{
	for (size_t i = 0; i < g->n_parts; i++)
		rest_window_done(&g->parts[i].window);
	count_bytes(g);
	for (size_t i = 0; i < REST_MEMBERS_MAX; i++)
		arena_free(g->members[i].arena);
	if (g->rk)
		rd_kafka_destroy(g->rk);
	pthread_mutex_destroy(&g->lock);
	pthread_cond_destroy(&g->wake);
	free(g->parts);
	free(g->topic);
	free(g->name);
	free((void *)(uintptr_t)g->key.p);
	free(g);
}

static void *run(void *arg)
{
	struct rest_group *g = arg;
	struct rest_server *s = g->server;
	int64_t ticked = 0;

	for (;;) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(g->rk, POLL_MS);

		if (m)
			on_message(g, m);
		if (clock_mono_ms() - ticked < POLL_MS)
			continue;
		ticked = clock_mono_ms();
		if (tick(g))
			break;
	}
	rd_kafka_consumer_close(g->rk);
	free_group(g);
	pthread_mutex_lock(&s->groups_lock);
	s->open--;
	pthread_cond_broadcast(&s->groups_gone);
	pthread_mutex_unlock(&s->groups_lock);
	return NULL;
}

/* ---- opening ---- */

static void set_number(rd_kafka_conf_t *conf, const char *name, int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", value);
	rest_kafka_set(conf, name, text);
}

/* Of librdkafka's threads. */
static int on_connect(int fd, const struct sockaddr *to, int size, const char *id, void *opaque)
{
	const struct rest_group *g = opaque;

	return kclient_rdkafka_connect(&g->server->options.kafka, fd, id);
}

static rd_kafka_conf_t *consumer_conf(struct rest_group *g, struct err *err)
{
	rd_kafka_conf_t *conf = rest_kafka_conf(g->server, on_connect, g, err);

	if (!conf)
		return NULL;
	rest_kafka_set(conf, "group.id", g->name);
	rest_kafka_set(conf, "enable.auto.commit", "false");
	rest_kafka_set(conf, "enable.auto.offset.store", "false");
	rest_kafka_set(conf, "auto.offset.reset", "earliest");
	rest_kafka_set(conf, "topic.metadata.refresh.interval.ms", "10000");
	rest_kafka_set(conf, "allow.auto.create.topics", "false");
	/* A process that was killed holds its partitions for so long. */
	set_number(conf, "session.timeout.ms", g->server->options.session_ms);
	set_number(conf, "heartbeat.interval.ms", g->server->options.session_ms / 5);
	rest_kafka_set(conf, "queued.min.messages", "500");
	rest_kafka_set(conf, "queued.max.messages.kbytes", "1024");
	rest_kafka_set(conf, "fetch.message.max.bytes", "1048576");
	rest_kafka_set(conf, "message.max.bytes", "2097152");
	rest_kafka_set(conf, "fetch.max.bytes", "2097152");
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	rd_kafka_conf_set_error_cb(conf, on_error);
	return conf;
}

static int start(struct rest_group *g, struct err *err)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
	rd_kafka_conf_t *conf = consumer_conf(g, err);
	char why[256] = "";
	pthread_t thread;
	bool ok = false;

	if (conf && !(g->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why))))
		rd_kafka_conf_destroy(conf);
	if (g->rk) {
		rd_kafka_topic_partition_list_add(topics, g->topic, RD_KAFKA_PARTITION_UA);
		rd_kafka_poll_set_consumer(g->rk);
		ok = rd_kafka_subscribe(g->rk, topics) == 0 && pthread_create(&thread, NULL, run, g) == 0;
	}
	rd_kafka_topic_partition_list_destroy(topics);
	if (!ok)
		return err->code ? err->code
				 : err_set_text(err, ERR_APPIA_0500, "the consumer cannot be started: %s", why);
	pthread_detach(thread);
	return 0;
}

static struct rest_group *make(struct rest_server *s, struct str topic, struct str name, struct str key)
{
	struct rest_group *g = mem_zalloc(sizeof(*g));
	pthread_condattr_t attr;
	uint32_t session;

	g->server = s;
	g->topic = mem_zalloc(topic.n + 1);
	memcpy(g->topic, topic.p, topic.n);
	g->name = mem_zalloc(name.n + 1);
	memcpy(g->name, name.p, name.n);
	char *copy = mem_alloc(key.n);

	memcpy(copy, key.p, key.n);
	g->key = (struct str){copy, key.n};
	rnd_bytes(&session, sizeof(session));
	g->session = session;
	pthread_mutex_init(&g->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&g->wake, &attr);
	pthread_condattr_destroy(&attr);
	return g;
}

/* Retires the one that was not asked for longest, among those that nobody needs. groups_lock held. */
static bool make_room(struct rest_server *s)
{
	struct rest_group *oldest = NULL;
	int64_t now = clock_mono_ms();
	size_t at = 0;
	struct str key;
	void *value;

	if (map_count(s->groups) < s->options.groups_max)
		return s->open < 2 * s->options.groups_max;
	while (map_next(s->groups, &at, &key, &value)) {
		struct rest_group *g = value;

		if (g->users || (oldest && oldest->used_ms <= g->used_ms))
			continue;
		pthread_mutex_lock(&g->lock);
		bool needed = busy(g, now);

		pthread_mutex_unlock(&g->lock);
		if (!needed)
			oldest = g;
	}
	if (oldest && s->open < 2 * s->options.groups_max)
		retire(oldest);
	return oldest && s->open < 2 * s->options.groups_max;
}

/* groups_lock held. */
static int open_group(struct rest_server *s, struct str topic, struct str name, struct str key, struct rest_group **ret,
		      struct err *err)
{
	if (atomic_load(&s->stopping))
		return err_set_retriable(err, ERR_APPIA_0503, NULL);
	if (!make_room(s))
		return err_set_retriable(err, ERR_APPIA_0429, "too many consumer groups are in use");
	struct rest_group *g = make(s, topic, name, key);
	int rc = start(g, err);

	if (rc) {
		free_group(g);
		return rc;
	}
	s->open++;
	map_put(s->groups, g->key, g);
	*ret = g;
	return 0;
}

int rest_group_get(struct rest_server *s, struct str topic, struct str name, bool open, struct rest_group **ret,
		   struct err *err)
{
	char text[2 * REST_NAME_MAX + 2];
	struct str key = {text, topic.n + 1 + name.n};
	int rc = 0;

	memcpy(text, topic.p, topic.n);
	text[topic.n] = ' ';
	memcpy(text + topic.n + 1, name.p, name.n);
	pthread_mutex_lock(&s->groups_lock);
	struct rest_group *g = map_get(s->groups, key);

	if (!g && open)
		rc = open_group(s, topic, name, key, &g, err);
	if (rc == 0 && g) {
		g->users++;
		g->used_ms = clock_mono_ms();
	}
	if (rc == 0)
		*ret = g;
	pthread_mutex_unlock(&s->groups_lock);
	return rc;
}

void rest_group_put(struct rest_group *g)
{
	struct rest_server *s = g->server;

	pthread_mutex_lock(&s->groups_lock);
	g->users--;
	g->used_ms = clock_mono_ms();
	pthread_mutex_unlock(&s->groups_lock);
}

/* ---- the end ---- */

void rest_groups_stop(struct rest_server *s)
{
	size_t at = 0;
	struct str key;
	void *value;

	pthread_mutex_lock(&s->groups_lock);
	while (map_next(s->groups, &at, &key, &value)) {
		struct rest_group *g = value;

		pthread_mutex_lock(&g->lock);
		g->stopped = true;
		pthread_cond_broadcast(&g->wake);
		pthread_mutex_unlock(&g->lock);
	}
	pthread_mutex_unlock(&s->groups_lock);
}

void rest_groups_close(struct rest_server *s)
{
	struct str key;
	void *value;

	pthread_mutex_lock(&s->groups_lock);
	for (size_t at = 0; map_next(s->groups, &at, &key, &value); at = 0)
		retire(value);
	while (s->open)
		pthread_cond_wait(&s->groups_gone, &s->groups_lock);
	pthread_mutex_unlock(&s->groups_lock);
}
