/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "broker/log/priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void plog_config_default(struct plog_config *ret_cfg)
{
	*ret_cfg = (struct plog_config){.segment_bytes = 1 << 30,
					.segment_ms = 7LL * 86400 * 1000,
					.retention_bytes = -1,
					.retention_ms = 72LL * 3600 * 1000,
					.max_message_bytes = 1048588,
					.flush_messages = -1,
					.flush_ms = -1,
					.delete_retention_ms = 86400 * 1000,
					.timestamp_before_max_ms = -1,
					.timestamp_after_max_ms = -1,
					.min_dirty_percent = 50,
					.cleanup_delete = true};
}

/* "<topic>-<partition>"; topic names as Kafka allows them: letters, digits, '.', '_', '-'. */
bool plog__name_split(struct str name, size_t *ret_topic_n, int32_t *ret_partition)
{
	size_t dash = name.n;
	long long part;

	while (dash && name.p[dash - 1] != '-')
		dash--;
	if (dash < 2 || dash - 1 > PLOG_TOPIC_MAX || !str_to_int(str_sub(name, dash, name.n), 0, INT32_MAX, &part) ||
	    (name.n - dash > 1 && name.p[dash] == '0'))
		return false;
	for (size_t i = 0; i + 1 < dash; i++) {
		char c = name.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
		      c == '_' || c == '-'))
			return false;
	}
	if (name.p[0] == '.' && (dash == 2 || (dash == 3 && name.p[1] == '.')))
		return false;
	*ret_topic_n = dash - 1;
	*ret_partition = (int32_t)part;
	return true;
}

struct plog *plog__new(struct plog_store *store, struct str name, const uint8_t *topic_id)
{
	struct plog *p = mem_zalloc(sizeof(*p));

	atomic_init(&p->refs, 1);
	p->store = store;
	snprintf(p->name, sizeof(p->name), "%.*s", STR_FMT(name));
	plog__name_split(name, &p->topic_n, &p->partition);
	memcpy(p->topic_id, topic_id, 16);
	pthread_mutex_init(&p->writer, NULL);
	pthread_mutex_init(&p->lock, NULL);
	p->left_end = &p->left;
	plog_config_default(&p->cfg);
	buf_init(&p->marker, 4096);
	p->producers.max = store->cfg.producers_max;
	p->stable.offset = p->snapshots[0] = p->snapshots[1] = -1;
	p->compact_skip = -1;
	return p;
}

struct plog *plog_ref(struct plog *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void plog_unref(struct plog *p)
{
	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (uint32_t i = 0; i < p->n_segs; i++)
		plog__seg_unref(p->segs[i]);
	free(p->segs);
	free(p->epochs);
	buf_done(&p->marker);
	plog__producers_done(&p->producers);
	pthread_mutex_destroy(&p->writer);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

struct str plog_topic(const struct plog *p)
{
	return (struct str){p->name, p->topic_n};
}

int32_t plog_partition(const struct plog *p)
{
	return p->partition;
}

const uint8_t *plog_topic_id(const struct plog *p)
{
	return p->topic_id;
}

void plog_configure(struct plog *p, const struct plog_config *cfg)
{
	struct plog_config c = *cfg;

	if (c.segment_bytes < 1024)
		c.segment_bytes = 1024;
	if (c.segment_bytes > INT32_MAX)
		c.segment_bytes = INT32_MAX;
	if (c.max_message_bytes < 0 || c.max_message_bytes > PLOG_BATCH_MAX)
		c.max_message_bytes = PLOG_BATCH_MAX;
	pthread_mutex_lock(&p->writer);
	pthread_mutex_lock(&p->lock);
	p->cfg = c;
	p->compact_skip = -1;
	pthread_mutex_unlock(&p->lock);
	plog__writer_unlock(p);
}

struct plog_segment *plog__active(struct plog *p)
{
	return p->segs[p->n_segs - 1];
}

void plog__segs_add(struct plog *p, struct plog_segment *seg)
{
	if (p->n_segs == p->cap_segs) {
		p->cap_segs = p->cap_segs ? p->cap_segs * 2 : 2;
		p->segs = mem_realloc(p->segs, p->cap_segs * sizeof(*p->segs));
	}
	p->segs[p->n_segs++] = seg;
}

void plog__segs_remove(struct plog *p, uint32_t at, uint32_t n)
{
	memmove(p->segs + at, p->segs + at + n, (p->n_segs - at - n) * sizeof(*p->segs));
	p->n_segs -= n;
}

uint32_t plog__segs_find(const struct plog *p, int64_t offset)
{
	uint32_t lo = 0, hi = p->n_segs;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (p->segs[mid]->base <= offset)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? lo - 1 : 0;
}

int64_t plog__seg_end(const struct plog *p, uint32_t i)
{
	return i + 1 < p->n_segs ? p->segs[i + 1]->base : p->end.offset;
}

int64_t plog__hw(const struct plog *p)
{
	return p->cfg.hw_durable ? p->durable.offset : p->end.offset;
}

int64_t plog__lso(const struct plog *p)
{
	int64_t hw = plog__hw(p);

	if (p->stable.offset < 0 || p->stable.offset >= hw)
		return hw;
	return p->stable.offset > p->start ? p->stable.offset : p->start;
}

void plog__stable_update(struct plog *p)
{
	p->stable = p->producers.n_txns ? p->producers.txns[0].at : (struct plog_at){.offset = -1};
}

int plog__open_error(struct plog *p)
{
	pthread_mutex_lock(&p->lock);
	int code = p->code;

	pthread_mutex_unlock(&p->lock);
	return code;
}

void plog_info(struct plog *p, struct plog_info *ret_info)
{
	pthread_mutex_lock(&p->lock);
	*ret_info = (struct plog_info){.start = p->start,
				       .end = p->end.offset,
				       .high_watermark = plog__hw(p),
				       .durable = p->durable.offset,
				       .last_stable = plog__lso(p),
				       .bytes = p->bytes,
				       .leader_epoch = p->n_epochs ? p->epochs[p->n_epochs - 1].epoch : 0,
				       .segments = p->n_segs,
				       .code = p->code};
	pthread_mutex_unlock(&p->lock);
}

size_t plog_producers(struct plog *p, struct plog_producer *ret, size_t max)
{
	size_t n = 0;

	pthread_mutex_lock(&p->writer);
	if (!plog__open_error(p) && !plog__producers_ready(p)) {
		n = p->producers.n;
		for (size_t i = 0; i < n && i < max; i++) {
			const struct producer *pr = &p->producers.v[i];

			ret[i] = (struct plog_producer){
				.id = pr->id,
				.epoch = pr->epoch,
				.coordinator_epoch = pr->coordinator_epoch,
				.last_sequence = pr->n_batches ? pr->batches[pr->n_batches - 1].last_seq : -1,
				.last_timestamp = pr->last_ts,
				.txn_first = pr->txn_first};
		}
	}
	plog__writer_unlock(p);
	return n;
}

void plog_epoch_end(struct plog *p, int32_t epoch, int32_t *ret_epoch, int64_t *ret_end)
{
	pthread_mutex_lock(&p->lock);
	uint32_t i = p->n_epochs;

	while (i && p->epochs[i - 1].epoch > epoch)
		i--;
	*ret_epoch = i ? p->epochs[i - 1].epoch : -1;
	*ret_end = !i ? -1 : i < p->n_epochs ? p->epochs[i].start : p->end.offset;
	pthread_mutex_unlock(&p->lock);
}

/* meta: magic, version, topic id, log start offset, leader epochs, checksum of all before. */
enum { META_MAGIC = 0x544d4c50, META_VERSION = 1, META_MAX = 64 + PLOG_EPOCHS_MAX * 12 };

int plog__meta_save(struct plog *p, bool sync)
{
	char path[PLOG_PATH];
	struct buf b;

	buf_init(&b, META_MAX);
	buf_u32(&b, META_MAGIC);
	buf_u32(&b, META_VERSION);
	buf_add(&b, p->topic_id, 16);
	buf_u64(&b, (uint64_t)p->start);
	buf_u32(&b, p->n_epochs);
	for (uint32_t i = 0; i < p->n_epochs; i++) {
		buf_u32(&b, (uint32_t)p->epochs[i].epoch);
		buf_u64(&b, (uint64_t)p->epochs[i].start);
	}
	buf_u32(&b, kafka_crc32c_extend(0, b.p, b.n));
	snprintf(path, sizeof(path), "%s/meta", p->name);
	int rc = plog__replace(p->store->dirfd, path, buf_view(&b), sync);

	buf_done(&b);
	return rc;
}

static bool meta_decode(struct str s, uint8_t *topic_id, int64_t *ret_start, struct plog_epoch **ret_epochs,
			uint32_t *ret_n)
{
	if (s.n < 40)
		return false;
	struct cursor c = cursor_of(str_sub(s, 0, s.n - 4)), tail = cursor_of(str_sub(s, s.n - 4, s.n));

	if (cursor_u32(&tail) != kafka_crc32c_extend(0, s.p, s.n - 4) || cursor_u32(&c) != META_MAGIC ||
	    cursor_u32(&c) != META_VERSION)
		return false;
	memcpy(topic_id, cursor_bytes(&c, 16).p, 16);
	*ret_start = (int64_t)cursor_u64(&c);
	uint32_t n = cursor_u32(&c);

	if (n > PLOG_EPOCHS_MAX || cursor_left(&c) != n * 12 || *ret_start < 0)
		return false;
	*ret_epochs = mem_zalloc((n + 1) * sizeof(**ret_epochs));
	*ret_n = n;
	for (uint32_t i = 0; i < n; i++) {
		(*ret_epochs)[i].epoch = (int32_t)cursor_u32(&c);
		(*ret_epochs)[i].start = (int64_t)cursor_u64(&c);
	}
	return true;
}

int plog__meta_load(struct plog_store *store, struct str name, uint8_t *topic_id, int64_t *ret_start,
		    struct plog_epoch **ret_epochs, uint32_t *ret_n)
{
	char path[PLOG_PATH];
	struct buf b;

	buf_init(&b, META_MAX);
	snprintf(path, sizeof(path), "%.*s/meta", STR_FMT(name));
	int rc = plog__slurp(store->dirfd, path, &b);

	if (!rc && !meta_decode(buf_view(&b), topic_id, ret_start, ret_epochs, ret_n))
		rc = -1;
	buf_done(&b);
	return rc;
}

int plog__producers_ready(struct plog *p)
{
	int64_t at;

	if (p->producers_loaded)
		return PLOG_OK;
	plog__snapshot_load(p, p->end.offset, &at);
	if (at != p->end.offset && p->checkpoint_producers) {
		/* The snapshot is lost: the log knows. */
		plog__producers_done(&p->producers);
		int rc = plog__replay(p, 0, 0, 0, false);

		if (rc)
			return rc;
	}
	p->producers_loaded = true;
	pthread_mutex_lock(&p->lock);
	plog__stable_update(p);
	pthread_mutex_unlock(&p->lock);
	return PLOG_OK;
}

int plog__roll(struct plog *p, int64_t now_ms)
{
	struct plog_segment *old = plog__active(p), *seg;

	if (!old->size)
		return PLOG_OK;
	if (plog__seg_load(p, old))
		return PLOG_STORAGE;
	seg = plog__seg_new(p->store, p->end.offset);
	seg->created_ms = now_ms;
	if (plog__seg_create(p, seg)) {
		plog__seg_unref(seg);
		return PLOG_STORAGE;
	}
	seg->saved = true;
	int fd = plog__seg_fd(p, old);

	/* Gives back what was reserved and not used. Trimming may fail: then it only costs space. */
	if (fd >= 0 && old->reserved > old->size && ftruncate(fd, old->size))
		errno = 0;
	old->reserved = old->size;
	old->sealed = true;
	plog__seg_save(p, old); /* on failure it stays in memory; tried again by housekeeping */
	pthread_mutex_lock(&p->lock);
	plog__segs_add(p, seg);
	p->end.seg = seg->base;
	p->end.pos = 0;
	p->dir_dirty = true;
	pthread_mutex_unlock(&p->lock);
	return PLOG_OK;
}

int plog_roll(struct plog *p)
{
	pthread_mutex_lock(&p->writer);
	int rc = plog__open_error(p);

	if (!rc)
		rc = plog__roll(p, clock_now_ms());
	plog__writer_unlock(p);
	return rc;
}
