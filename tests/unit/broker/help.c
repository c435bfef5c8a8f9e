/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include "base/clock.h"
#include "base/mem.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t topic_id[16] = {1, 2, 3, 4};

static void start(struct help *h)
{
	struct err err;

	h->cfg.dir = h->dir;
	if (plog_store_open(&h->cfg, &h->store, &err))
		fail_msg("%s", err.text);
	h->p = plog_store_find(h->store, STR("t"), 0);
}

void help_open(struct help *h, const char *base)
{
	snprintf(h->dir, sizeof(h->dir), "%s/appia-log-XXXXXX", base ? base : "/tmp");
	assert_non_null(mkdtemp(h->dir));
	plog_config_default(&h->topic);
	start(h);
	assert_int_equal(plog_store_create(h->store, STR("t"), 0, topic_id, &h->topic, &h->p), 0);
}

void help_reopen(struct help *h, bool clean)
{
	plog_unref(h->p);
	if (clean)
		plog_store_close(&h->store);
	else
		plog_store_abandon(&h->store);
	start(h);
	assert_non_null(h->p);
	plog_configure(h->p, &h->topic);
}

void help_done(struct help *h)
{
	char cmd[128];

	plog_unref(h->p);
	plog_store_close(&h->store);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", h->dir);
	FILE *f = popen(cmd, "r");

	pclose(f);
}

uint8_t *help_make(const struct help_batch *b, size_t *ret_n)
{
	struct kafka_builder kb;
	struct buf out;
	char key[64], *value = NULL;
	size_t n = b->size ? b->size : b->value ? strlen(b->value) : 0;

	kafka_builder_init(&kb, 64 << 20);
	buf_init(&out, 64 << 20);
	if (b->value) {
		value = mem_zalloc(n + 1);
		for (size_t i = 0; i < n; i++)
			value[i] = b->value[i % strlen(b->value)];
	}
	for (int i = 0; i < b->count; i++) {
		snprintf(key, sizeof(key), "%s", b->key ? b->key : "");
		if (b->key && strstr(b->key, "%d"))
			snprintf(key, sizeof(key), "%.*s%d", (int)(strstr(b->key, "%d") - b->key), b->key, i);
		assert_int_equal(kafka_builder_add(&kb, b->ts, b->key ? str_of(key) : STR_NONE,
						   value ? (struct str){value, n} : STR_NONE, NULL, 0),
				 0);
	}
	kb.head.producer_id = b->pid;
	kb.head.producer_epoch = (int16_t)(b->pid >= 0 ? b->epoch : -1);
	kb.head.base_sequence = b->pid >= 0 ? b->seq : -1;
	kb.head.attributes = b->txn ? KAFKA_ATTR_TRANSACTIONAL : 0;
	assert_int_equal(kafka_builder_finish(&kb, b->codec, KAFKA_LEVEL_DEFAULT, &out), 0);
	uint8_t *bytes = mem_alloc(out.n);

	memcpy(bytes, out.p, out.n);
	*ret_n = out.n;
	buf_done(&out);
	kafka_builder_done(&kb);
	free(value);
	return bytes;
}

int help_append(struct help *h, const struct help_batch *b, struct plog_append *a)
{
	struct plog_append own = {.leader_epoch = -1, .now_ms = help_now()};
	size_t n;
	uint8_t *bytes = help_make(b, &n);

	if (!a)
		a = &own;
	else
		*a = own;
	a->batches = bytes;
	a->n = n;
	int rc = plog_append(h->p, a);

	a->batches = NULL;
	free(bytes);
	return rc;
}

int64_t help_put(struct help *h, int n, int64_t ts)
{
	struct plog_append a;
	int rc = help_append(h, &(struct help_batch){.pid = -1, .count = n, .ts = ts, .value = "value", .size = 100},
			     &a);

	return rc ? rc : a.base_offset;
}

int help_read(struct help *h, struct plog_read *r, uint8_t **ret_bytes)
{
	int rc = plog_read(h->p, r);
	uint64_t at = 0;

	*ret_bytes = NULL;
	if (rc)
		return rc;
	*ret_bytes = mem_alloc(r->bytes + 1);
	for (uint32_t i = 0; i < r->n_slices; i++) {
		assert_int_equal(pread(r->slices[i].fd, *ret_bytes + at, r->slices[i].len, r->slices[i].pos),
				 r->slices[i].len);
		at += r->slices[i].len;
	}
	assert_int_equal(at, r->bytes);
	return 0;
}

int64_t help_read_all(struct help *h, int64_t offset, int64_t *ret_last)
{
	int64_t records = 0;

	for (;;) {
		struct plog_read r = {.offset = offset, .max_bytes = 100000, .at_least_one = true};
		struct kafka_batch b;
		uint8_t *bytes;
		int rc = help_read(h, &r, &bytes);

		if (rc) {
			free(bytes);
			return rc;
		}
		struct str rest = {(const char *)bytes, r.bytes};

		plog_read_done(&r);
		if (!rest.n) {
			free(bytes);
			*ret_last = offset;
			return records;
		}
		while (rest.n) {
			assert_int_equal(kafka_batch_next(&rest, &b), 0);
			assert_int_equal(kafka_batch_check(&b), 0);
			assert_true(b.base_offset + b.last_offset_delta >= offset);
			records += b.count;
			offset = b.base_offset + b.last_offset_delta + 1;
		}
		free(bytes);
	}
}

static void noted(struct plog_waiter *w, int code)
{
	w->offset = -1;
	w->code = code;
}

void help_wait(struct help *h, int64_t offset)
{
	struct plog_inbox *in = plog_inbox_new();
	struct plog_waiter w = {.inbox = in, .fn = noted};
	struct pollfd fd = {.fd = plog_inbox_fd(in), .events = POLLIN};

	plog_wait_durable(h->p, offset, &w);
	assert_int_equal(poll(&fd, 1, 10000), 1);
	plog_inbox_take(in);
	assert_int_equal(w.offset, -1);
	assert_int_equal(w.code, 0);
	plog_inbox_free(in);
}

int64_t help_now(void)
{
	return clock_now_ms();
}

struct plog_info help_info(struct help *h)
{
	struct plog_info info;

	plog_info(h->p, &info);
	return info;
}
