/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/handlers/broker.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define VALUE_VERSION 1
#define VALUE_GONE 255 /* the topic of this id is being deleted */
#define VALUE_MAX (256 * 1024)

/* ---- references ---- */

struct mqs_topic *mqs_topic_ref(struct mqs_topic *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

static void part_free(struct mqs_part *p)
{
	plog_unref(p->log);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void mqs_topic_unref(struct mqs_topic *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	struct mqs_parts *parts = atomic_load(&t->parts);

	for (int32_t i = 0; parts && i < parts->n; i++)
		part_free(parts->v[i]);
	while (parts) {
		struct mqs_parts *older = parts->older;

		free(parts);
		parts = older;
	}
	mqs_settings_done(&t->settings);
	free((char *)(uintptr_t)t->name.p);
	free(t);
}

static struct str id_key(const struct kafka_uuid *id)
{
	return (struct str){(const char *)id->b, sizeof(id->b)};
}

static void unref_later(void *arg)
{
	mqs_topic_unref(arg);
}

static struct mqs_topic *find(struct mqs_request *rq, bool by_id, struct str key)
{
	struct mqs_broker *b = mqs_broker(rq);

	pthread_rwlock_rdlock(&b->topics);
	struct mqs_topic *t = map_get(by_id ? b->by_id : b->by_name, key);

	if (t)
		mqs_topic_ref(t);
	pthread_rwlock_unlock(&b->topics);
	if (t)
		arena_cleanup(rq->arena, unref_later, t);
	return t;
}

struct mqs_topic *mqs_topic_of(struct mqs_request *rq, struct str name)
{
	return name.p ? find(rq, false, name) : NULL;
}

struct mqs_topic *mqs_topic_of_id(struct mqs_request *rq, struct kafka_uuid id)
{
	return find(rq, true, id_key(&id));
}

struct mqs_part *mqs_part_of(struct mqs_topic *t, int32_t index)
{
	struct mqs_parts *parts = t ? atomic_load(&t->parts) : NULL;

	return parts && index >= 0 && index < parts->n ? parts->v[index] : NULL;
}

static int by_name(const void *a, const void *b)
{
	return str_cmp((*(struct mqs_topic *const *)a)->name, (*(struct mqs_topic *const *)b)->name);
}

struct mqs_topic **mqs_topics_all(struct mqs_request *rq, size_t *ret_n)
{
	struct mqs_broker *b = mqs_broker(rq);
	size_t at = 0, n = 0;
	void *value;

	pthread_rwlock_rdlock(&b->topics);
	struct mqs_topic **v = ARENA_ARRAY(rq->arena, struct mqs_topic *, map_count(b->by_name) + 1);

	while (map_next(b->by_name, &at, &(struct str){0}, &value))
		v[n++] = mqs_topic_ref(value);
	pthread_rwlock_unlock(&b->topics);
	for (size_t i = 0; i < n; i++)
		arena_cleanup(rq->arena, unref_later, v[i]);
	qsort(v, n, sizeof(struct mqs_topic *), by_name);
	*ret_n = n;
	return v;
}

bool mqs_topic_internal(struct str name)
{
	return str_eq(name, MQS_STATE_TOPIC) || str_eq(name, MQS_GROUPS_TOPIC) || str_eq(name, MQS_TXNS_TOPIC);
}

/* ---- watches ---- */

void mqs_watch_add(struct mqs_watch *w, struct mqs_part *part)
{
	w->part = part;
	w->prev = NULL;
	pthread_mutex_lock(&part->lock);
	w->next = part->watches;
	if (w->next)
		w->next->prev = w;
	part->watches = w;
	atomic_fetch_add(&part->n_watches, 1);
	pthread_mutex_unlock(&part->lock);
}

void mqs_watch_remove(struct mqs_watch *w)
{
	struct mqs_part *part = w->part;

	pthread_mutex_lock(&part->lock);
	if (w->prev)
		w->prev->next = w->next;
	else
		part->watches = w->next;
	if (w->next)
		w->next->prev = w->prev;
	atomic_fetch_sub(&part->n_watches, 1);
	pthread_mutex_unlock(&part->lock);
}

void mqs_part_notify(struct mqs_part *part)
{
	if (atomic_load(&part->n_watches) == 0)
		return;
	pthread_mutex_lock(&part->lock);
	for (struct mqs_watch *w = part->watches; w; w = w->next)
		mqs_post(w->loop, w->task);
	pthread_mutex_unlock(&part->lock);
}

/* ---- settings ---- */

static struct str number_text(struct arena *a, int64_t n)
{
	return arena_fmt(a, "%lld", (long long)n);
}

/* Where a value comes from, in Kafka's numbers: 1 topic, 3 dynamic default, 4 settings file, 5 built in. */
struct str mqs_config_value(struct mqs_broker *b, const struct mqs_settings *s, int id, struct arena *a,
			    int *ret_source)
{
	int source = 5;
	struct str v = str_of(mqs_config_defs[id].def);

	if (s && s->v[id]) {
		source = 1;
		v = arena_str(a, str_of(s->v[id]));
	} else if (b->defaults.v[id]) {
		source = 3;
		v = arena_str(a, str_of(b->defaults.v[id]));
	} else if (id == CFG_RETENTION_MS || id == CFG_MAX_MESSAGE_BYTES || id == CFG_SEGMENT_BYTES) {
		source = 4;
		v = number_text(a, id == CFG_RETENTION_MS        ? b->options.retention_ms
				   : id == CFG_MAX_MESSAGE_BYTES ? b->options.max_message_bytes
								 : b->options.segment_bytes);
	}
	if (ret_source)
		*ret_source = source;
	return v;
}

static int64_t number(struct mqs_broker *b, const struct mqs_settings *s, int id, struct arena *a)
{
	long long n = 0;

	str_to_int(mqs_config_value(b, s, id, a, NULL), INT64_MIN, INT64_MAX, &n);
	return n;
}

static void to_plog(struct mqs_broker *b, const struct mqs_settings *s, struct plog_config *ret)
{
	struct arena *a = arena_new(1 << 20);
	struct str policy = mqs_config_value(b, s, CFG_CLEANUP_POLICY, a, NULL);

	plog_config_default(ret);
	ret->cleanup_compact = str_contains(policy, STR("compact"));
	ret->cleanup_delete = str_contains(policy, STR("delete"));
	ret->segment_bytes = number(b, s, CFG_SEGMENT_BYTES, a);
	ret->segment_ms = number(b, s, CFG_SEGMENT_MS, a);
	ret->retention_bytes = number(b, s, CFG_RETENTION_BYTES, a);
	ret->retention_ms = number(b, s, CFG_RETENTION_MS, a);
	ret->max_message_bytes = number(b, s, CFG_MAX_MESSAGE_BYTES, a);
	ret->flush_messages = number(b, s, CFG_FLUSH_MESSAGES, a);
	ret->flush_ms = number(b, s, CFG_FLUSH_MS, a);
	if (ret->flush_messages == INT64_MAX)
		ret->flush_messages = -1;
	if (ret->flush_ms == INT64_MAX)
		ret->flush_ms = -1;
	ret->delete_retention_ms = number(b, s, CFG_DELETE_RETENTION_MS, a);
	ret->min_compaction_lag_ms = number(b, s, CFG_MIN_COMPACTION_LAG_MS, a);
	ret->timestamp_before_max_ms = number(b, s, CFG_TIMESTAMP_BEFORE, a);
	ret->timestamp_after_max_ms = number(b, s, CFG_TIMESTAMP_AFTER, a);
	ret->min_dirty_percent =
		(int)lround(strtod(mqs_config_value(b, s, CFG_MIN_DIRTY_RATIO, a, NULL).p, NULL) * 100);
	ret->append_time = str_is(mqs_config_value(b, s, CFG_TIMESTAMP_TYPE, a, NULL), "LogAppendTime");
	arena_free(a);
}

/* ---- stored form ---- */

static void encode_settings(struct buf *out, const struct mqs_settings *s)
{
	uint32_t n = 0;

	for (int i = 0; i < CFG_COUNT; i++)
		n += s->v[i] != NULL;
	buf_u32(out, n);
	for (int i = 0; i < CFG_COUNT; i++)
		if (s->v[i]) {
			coord_put_str(out, str_of(mqs_config_defs[i].name));
			coord_put_str(out, str_of(s->v[i]));
		}
}

static void decode_settings(struct cursor *c, struct mqs_settings *ret)
{
	uint32_t n = cursor_u32(c);

	for (uint32_t i = 0; i < n && !c->failed; i++) {
		struct str name = cursor_str(c), value = cursor_str(c);
		int id = mqs_config_find(name);

		if (id >= 0 && !c->failed)
			mqs_settings_set(ret, id, value);
	}
}

static int store(struct mqs_broker *b, const char *prefix, struct str name, struct buf *value)
{
	struct buf key;

	buf_init(&key, 1024);
	buf_cstr(&key, prefix);
	buf_str(&key, name);
	struct coord_record rec = {buf_view(&key), value ? buf_view(value) : STR_NONE};
	int rc = value && value->failed ? KAFKA_ERR_INVALID_CONFIG : mqs_statelog_put(&b->state, &rec, 1);

	buf_done(&key);
	return rc;
}

static int store_topic(struct mqs_broker *b, const struct mqs_topic *t, int32_t partitions,
		       const struct mqs_settings *s)
{
	struct buf v;

	buf_init(&v, VALUE_MAX);
	buf_u8(&v, VALUE_VERSION);
	buf_u32(&v, (uint32_t)partitions);
	buf_add(&v, t->id.b, sizeof(t->id.b));
	encode_settings(&v, s);
	buf_u8(&v, atomic_load(&t->addressed));
	int rc = store(b, "topic/", t->name, &v);

	buf_done(&v);
	return rc;
}

static int store_gone(struct mqs_broker *b, const struct mqs_topic *t)
{
	struct buf v;

	buf_init(&v, 64);
	buf_u8(&v, VALUE_GONE);
	buf_add(&v, t->id.b, sizeof(t->id.b));
	int rc = store(b, "topic/", t->name, &v);

	buf_done(&v);
	return rc;
}

static struct mqs_topic *topic_new(struct str name, struct kafka_uuid id)
{
	struct mqs_topic *t = mem_zalloc(sizeof(*t));

	atomic_store(&t->refs, 1);
	t->name = coord_own(name);
	t->id = id;
	return t;
}

static struct mqs_parts *parts_new(struct mqs_topic *t, int32_t n)
{
	struct mqs_parts *old = atomic_load(&t->parts);
	struct mqs_parts *parts = mem_zalloc(sizeof(*parts) + (size_t)n * sizeof(parts->v[0]));

	parts->older = old;
	for (int32_t i = 0; old && i < old->n && i < n; i++)
		parts->v[i] = old->v[i];
	parts->n = n;
	return parts;
}

static struct mqs_part *part_new(struct mqs_topic *t, int32_t index, struct plog *log)
{
	struct mqs_part *p = mem_zalloc(sizeof(*p));

	p->log = log;
	p->topic = t;
	p->index = index;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

/* What handlers ask for with each request. */
static void note_codec(struct mqs_broker *b, struct mqs_topic *t)
{
	static const char *const names[] = {"uncompressed", "gzip", "snappy", "lz4", "zstd"};
	struct arena *a = arena_new(1 << 20);
	struct str type = mqs_config_value(b, &t->settings, CFG_COMPRESSION_TYPE, a, NULL);
	int codec = -1;

	for (int i = KAFKA_CODEC_NONE; i <= KAFKA_CODEC_ZSTD; i++)
		if (str_is(type, names[i]))
			codec = i;
	atomic_store(&t->codec, codec);
	arena_free(a);
}

/* Opens or makes partitions up to n. */
static int open_parts(struct mqs_broker *b, struct mqs_topic *t, int32_t n)
{
	struct mqs_parts *old = atomic_load(&t->parts);
	int32_t had = old ? old->n : 0;
	struct mqs_parts *parts = parts_new(t, n);
	struct plog_config cfg;
	bool made = false;
	int rc = 0;

	to_plog(b, &t->settings, &cfg);
	note_codec(b, t);
	for (int32_t i = had; i < n && rc == 0; i++) {
		struct plog *log = plog_store_find(b->store, t->name, i);

		made = made || !log;
		if (log)
			plog_configure(log, &cfg);
		else
			rc = plog_store_create(b->store, t->name, i, t->id.b, &cfg, &log);
		if (rc == 0)
			parts->v[i] = part_new(t, i, log);
		else
			parts->n = i;
	}
	if (rc == 0 && made)
		rc = plog_store_commit(b->store);
	atomic_store(&t->parts, parts);
	return rc;
}

static void publish(struct mqs_broker *b, struct mqs_topic *t)
{
	pthread_rwlock_wrlock(&b->topics);
	map_put(b->by_name, t->name, t);
	map_put(b->by_id, id_key(&t->id), t);
	pthread_rwlock_unlock(&b->topics);
}

void mqs_groups_refresh(struct mqs_broker *b)
{
	pthread_mutex_lock(&b->coord);
	if (b->groups)
		group_topics_changed(b->groups, mqs_now());
	pthread_mutex_unlock(&b->coord);
}

/* ---- changes ---- */

int mqs_topic_check(struct mqs_broker *b, struct str name, const char **ret_text)
{
	*ret_text = "a name has 1 to 249 letters, digits, '.', '_' and '-'";
	if (!name.p || name.n == 0 || name.n > 249 || str_is(name, ".") || str_is(name, ".."))
		return KAFKA_ERR_INVALID_TOPIC_EXCEPTION;
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
		      c == '_' || c == '-'))
			return KAFKA_ERR_INVALID_TOPIC_EXCEPTION;
	}
	*ret_text = "the name is reserved";
	if (mqs_topic_internal(name))
		return KAFKA_ERR_INVALID_TOPIC_EXCEPTION;
	pthread_rwlock_rdlock(&b->topics);
	bool there = map_get(b->by_name, name);

	pthread_rwlock_unlock(&b->topics);
	*ret_text = there ? "the topic exists" : NULL;
	return there ? KAFKA_ERR_TOPIC_ALREADY_EXISTS : 0;
}

static void remove_parts(struct mqs_broker *b, struct mqs_topic *t)
{
	struct mqs_parts *parts = atomic_load(&t->parts);

	for (int32_t i = 0; parts && i < parts->n; i++) {
		plog_store_delete(b->store, parts->v[i]->log);
		mqs_part_notify(parts->v[i]);
	}
	plog_store_commit(b->store);
}

int mqs_topic_create(struct mqs_broker *b, struct str name, int32_t partitions, struct mqs_settings *settings,
		     struct kafka_uuid *ret_id)
{
	struct kafka_uuid id;

	rnd_bytes(id.b, sizeof(id.b));
	id.b[6] = (uint8_t)((id.b[6] & 0x0f) | 0x40);
	id.b[8] = (uint8_t)((id.b[8] & 0x3f) | 0x80);
	struct mqs_topic *t = topic_new(name, id);

	mqs_settings_copy(&t->settings, settings);
	int rc = store_topic(b, t, partitions, settings);

	if (rc == 0) {
		rc = mqs_code(open_parts(b, t, partitions));
		if (rc != 0) {
			remove_parts(b, t);
			store(b, "topic/", name, NULL);
		}
	}
	if (rc != 0) {
		mqs_topic_unref(t);
		return rc;
	}
	*ret_id = t->id;
	publish(b, t);
	mqs_groups_refresh(b);
	return 0;
}

int mqs_topic_grow(struct mqs_broker *b, struct mqs_topic *t, int32_t partitions)
{
	int rc = store_topic(b, t, partitions, &t->settings);

	if (rc == 0)
		rc = mqs_code(open_parts(b, t, partitions));
	mqs_groups_refresh(b);
	return rc;
}

int mqs_topic_delete(struct mqs_broker *b, struct mqs_topic *t)
{
	pthread_rwlock_wrlock(&b->topics);
	bool had = map_get(b->by_id, id_key(&t->id)) == t;

	if (had) {
		map_del(b->by_name, t->name);
		map_del(b->by_id, id_key(&t->id));
		t->gone = true;
	}
	pthread_rwlock_unlock(&b->topics);
	if (!had)
		return KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION;
	/* A start behind a crash in between goes on with it. On a full disk it goes without: deleting makes room. */
	store_gone(b, t);
	remove_parts(b, t);
	int rc = store(b, "topic/", t->name, NULL);
	struct coord_uuid id;

	memcpy(id.b, t->id.b, sizeof(id.b));
	pthread_mutex_lock(&b->coord);
	group_topic_deleted(b->groups, t->name, mqs_now());
	share_topic_deleted(b->share, &id, mqs_now());
	pthread_mutex_unlock(&b->coord);
	mqs_groups_refresh(b);
	mqs_topic_unref(t);
	return rc;
}

static void apply(struct mqs_broker *b, struct mqs_topic *t)
{
	struct mqs_parts *parts = atomic_load(&t->parts);
	struct plog_config cfg;

	to_plog(b, &t->settings, &cfg);
	note_codec(b, t);
	for (int32_t i = 0; parts && i < parts->n; i++)
		plog_configure(parts->v[i]->log, &cfg);
}

int mqs_topic_configure(struct mqs_broker *b, struct mqs_topic *t, const struct mqs_settings *settings)
{
	struct mqs_parts *parts = atomic_load(&t->parts);
	int rc = store_topic(b, t, parts->n, settings);

	if (rc != 0)
		return rc;
	pthread_rwlock_wrlock(&b->topics);
	mqs_settings_done(&t->settings);
	mqs_settings_copy(&t->settings, settings);
	apply(b, t);
	pthread_rwlock_unlock(&b->topics);
	return 0;
}

int mqs_topic_address(struct mqs_broker *b, struct mqs_topic *t)
{
	bool had = atomic_exchange(&t->addressed, true);
	int rc = had ? 0 : store_topic(b, t, atomic_load(&t->parts)->n, &t->settings);

	if (rc != 0)
		atomic_store(&t->addressed, false);
	return rc;
}

static void apply_all(struct mqs_broker *b)
{
	size_t at = 0;
	void *t;

	while (map_next(b->by_name, &at, &(struct str){0}, &t))
		apply(b, t);
}

int mqs_defaults_configure(struct mqs_broker *b, const struct mqs_settings *settings)
{
	struct buf v;

	buf_init(&v, VALUE_MAX);
	buf_u8(&v, VALUE_VERSION);
	encode_settings(&v, settings);
	int rc = store(b, "defaults", STR(""), &v);

	buf_done(&v);
	if (rc != 0)
		return rc;
	pthread_rwlock_wrlock(&b->topics);
	mqs_settings_done(&b->defaults);
	mqs_settings_copy(&b->defaults, settings);
	apply_all(b);
	pthread_rwlock_unlock(&b->topics);
	return 0;
}

/* ---- start ---- */

/* The newest record of a name counts: what was said of its deletion before is over. */
static void note_gone(struct mqs_broker *b, struct str name, struct str id)
{
	for (size_t i = b->n_gone; i-- > 0;)
		if (str_eq(b->gone[i].name, name)) {
			free((char *)(uintptr_t)b->gone[i].name.p);
			b->gone[i] = b->gone[--b->n_gone];
		}
	if (id.n != sizeof(b->gone->id.b))
		return;
	b->gone = mem_realloc(b->gone, (b->n_gone + 1) * sizeof(*b->gone));
	b->gone[b->n_gone].name = coord_own(name);
	memcpy(b->gone[b->n_gone++].id.b, id.p, id.n);
}

/* Ends deletions that a crash has interrupted. */
static void delete_gone(struct mqs_broker *b)
{
	size_t at = 0;
	struct plog *p;

	while (b->n_gone && (p = plog_store_next(b->store, &at))) {
		for (size_t i = 0; i < b->n_gone; i++)
			if (memcmp(b->gone[i].id.b, plog_topic_id(p), sizeof(b->gone[i].id.b)) == 0) {
				plog_store_delete(b->store, p);
				break;
			}
		plog_unref(p);
	}
	for (size_t i = 0; i < b->n_gone; i++) {
		store(b, "topic/", b->gone[i].name, NULL);
		free((char *)(uintptr_t)b->gone[i].name.p);
	}
	free(b->gone);
	b->gone = NULL;
	b->n_gone = 0;
}

static void replay_topic(struct mqs_broker *b, struct str name, struct str value)
{
	struct mqs_topic *old = map_get(b->by_name, name);
	struct cursor c = cursor_of(value);
	struct kafka_uuid id;

	if (old) {
		map_del(b->by_name, old->name);
		map_del(b->by_id, id_key(&old->id));
		mqs_topic_unref(old);
	}
	uint8_t version = value.p ? cursor_u8(&c) : 0;

	note_gone(b, name, version == VALUE_GONE ? cursor_bytes(&c, sizeof(id.b)) : STR_NONE);
	if (version != VALUE_VERSION)
		return;
	uint32_t n = cursor_u32(&c);
	struct str bytes = cursor_bytes(&c, sizeof(id.b));

	if (c.failed || n == 0 || n > 100000)
		return;
	memcpy(id.b, bytes.p, sizeof(id.b));
	struct mqs_topic *t = topic_new(name, id);

	t->wanted = (int32_t)n;
	decode_settings(&c, &t->settings);
	/* Absent in what older versions wrote. */
	atomic_store(&t->addressed, cursor_u8(&c) == 1);
	map_put(b->by_name, t->name, t);
	map_put(b->by_id, id_key(&t->id), t);
}

void mqs_topic_replay(struct mqs_broker *b, struct str key, struct str value)
{
	if (str_starts(key, STR("topic/"))) {
		replay_topic(b, str_sub(key, 6, key.n), value);
	} else if (str_is(key, "defaults")) {
		struct cursor c = cursor_of(value);

		mqs_settings_done(&b->defaults);
		if (cursor_u8(&c) == VALUE_VERSION)
			decode_settings(&c, &b->defaults);
	}
}

/* Logs that no topic is known of: their record was lost, their data is not given up. */
static void adopt(struct mqs_broker *b)
{
	size_t at = 0;
	struct plog *p;

	while ((p = plog_store_next(b->store, &at))) {
		struct str name = plog_topic(p);
		struct mqs_topic *t = map_get(b->by_name, name);

		if (!mqs_topic_internal(name)) {
			struct kafka_uuid id;

			if (!t) {
				memcpy(id.b, plog_topic_id(p), sizeof(id.b));
				t = topic_new(name, id);
				map_put(b->by_name, t->name, t);
				map_put(b->by_id, id_key(&t->id), t);
			}
			if (plog_partition(p) >= t->wanted)
				t->wanted = plog_partition(p) + 1;
		}
		plog_unref(p);
	}
}

int mqs_topics_load(struct mqs_broker *b)
{
	size_t at = 0;
	void *value;
	int rc = 0;

	delete_gone(b);
	adopt(b);
	while (map_next(b->by_name, &at, &(struct str){0}, &value)) {
		struct mqs_topic *t = value;

		if (open_parts(b, t, t->wanted) != 0)
			rc = -1;
	}
	return rc;
}

void mqs_topics_free(struct mqs_broker *b)
{
	size_t at = 0;
	void *t;

	while (b->by_name && map_next(b->by_name, &at, &(struct str){0}, &t))
		mqs_topic_unref(t);
	map_free(b->by_name);
	map_free(b->by_id);
	mqs_settings_done(&b->defaults);
}
