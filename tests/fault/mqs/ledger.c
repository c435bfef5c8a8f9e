/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include "base/map.h"
#include "base/mem.h"
#include "kafka/batch.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ACKED = 1, SEEN = 2, CONSUMED = 4 /* << group */, KEYS_MAX = 256 };

struct entry {
	uint64_t hash; /* of the value; 0: unknown */
	uint8_t flags;
};

/* A partition. */
struct book {
	struct entry *v; /* by offset */
	int64_t cap, highest_acked, checked, next_seq;
	int64_t committed[GROUPS];
};

struct txn {
	int expected, seen;
	uint8_t how;
};

static const char *const small[] = {"segment.bytes", "65536", NULL};
static const char *const compact[] = {
	"segment.bytes", "16384", "cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01", NULL};
struct topic topics[TOPICS] = {
	[TOPIC_ONCE] = {.name = "once", .parts = 3, .once = true, .configs = small},
	[TOPIC_TXN] = {.name = "txn", .parts = 2, .txn = true, .configs = small},
	[TOPIC_LOOSE] = {.name = "loose", .parts = 2, .configs = small},
	[TOPIC_KEYS] = {.name = "keys", .parts = 1, .compacted = true, .configs = compact},
};
const char *const group_names[GROUPS] = {"classic", "consumer"};
struct tally tally;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct txn *txns;
static int64_t cap_txns;
static int64_t key_acked[KEYS_MAX], key_seen[KEYS_MAX];

void wrong(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "WRONG: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
	va_end(ap);
	_exit(1);
}

void ledger_init(void)
{
	for (int t = 0; t < TOPICS; t++) {
		topics[t].books = mem_zalloc(PARTS_MAX * sizeof(struct book));
		for (int p = 0; p < PARTS_MAX; p++) {
			topics[t].books[p].highest_acked = -1;
			for (int g = 0; g < GROUPS; g++)
				topics[t].books[p].committed[g] = -1;
		}
	}
	for (int k = 0; k < KEYS_MAX; k++)
		key_acked[k] = key_seen[k] = -1;
}

size_t value_make(char *out, size_t max, int topic, int64_t a, int64_t b)
{
	uint32_t h = (uint32_t)(a * 2654435761u + b * 40503u);
	int n = snprintf(out, max, "%d %" PRId64 " %" PRId64 " ", topic, a, b);
	size_t want = h % 50 == 0 ? 4000 + h % 9000 : 20 + h % 200;

	for (size_t i = (size_t)n; i < want && i < max; i++)
		out[i] = (char)('a' + (h >> (i % 24)) % 26);
	return want < (size_t)n ? (size_t)n : want < max ? want : max;
}

static uint64_t hash(const void *p, size_t n)
{
	return map_hash((struct str){p, n}) | 1;
}

static struct entry *entry(struct book *b, int64_t offset)
{
	if (offset >= b->cap) {
		int64_t cap = b->cap ? b->cap : 4096;

		while (cap <= offset)
			cap *= 2;
		b->v = mem_realloc(b->v, (size_t)cap * sizeof(*b->v));
		memset(b->v + b->cap, 0, (size_t)(cap - b->cap) * sizeof(*b->v));
		b->cap = cap;
	}
	return &b->v[offset];
}

/* One offset has one content for ever. */
static void note(int topic, int32_t part, int64_t offset, const void *value, size_t n, int flag, const char *who)
{
	if (offset < 0 || part < 0 || part >= topics[topic].parts)
		wrong("%s-%d: %s at %" PRId64, topics[topic].name, part, who, offset);
	struct book *b = &topics[topic].books[part];
	uint64_t h = hash(value, n);
	struct entry *e = entry(b, offset);

	if (e->hash && e->hash != h)
		wrong("%s-%d: offset %" PRId64 " has two contents, %s now (flags %d): %.*s", topics[topic].name, part,
		      offset, who, e->flags, n > 60 ? 60 : (int)n, (const char *)value);
	e->hash = h;
	e->flags |= (uint8_t)flag;
	if ((flag & ACKED) && offset > b->highest_acked)
		b->highest_acked = offset;
}

void ledger_acked(int topic, int32_t part, int64_t offset, const void *value, size_t n)
{
	pthread_mutex_lock(&lock);
	note(topic, part, offset, value, n, ACKED, "acknowledged");
	tally.acked++;
	pthread_mutex_unlock(&lock);
}

void ledger_consumed(int group, int topic, int32_t part, int64_t offset, const void *value, size_t n)
{
	pthread_mutex_lock(&lock);
	note(topic, part, offset, value, n, CONSUMED << group, "consumed");
	tally.consumed++;
	pthread_mutex_unlock(&lock);
}

void ledger_committed(int group, int topic, int32_t part, int64_t offset)
{
	pthread_mutex_lock(&lock);
	struct book *b = &topics[topic].books[part];

	/* Two members may tell of theirs in another order than the broker. */
	if (offset > b->committed[group])
		b->committed[group] = offset;
	tally.commits++;
	pthread_mutex_unlock(&lock);
}

static struct txn *txn_of(int64_t id)
{
	if (id < 0 || id > 100000000)
		wrong("a transaction %" PRId64, id);
	if (id >= cap_txns) {
		int64_t cap = cap_txns ? cap_txns : 4096;

		while (cap <= id)
			cap *= 2;
		txns = mem_realloc(txns, (size_t)cap * sizeof(*txns));
		memset(txns + cap_txns, 0, (size_t)(cap - cap_txns) * sizeof(*txns));
		cap_txns = cap;
	}
	return &txns[id];
}

void ledger_txn(int64_t id, int n, enum outcome how)
{
	pthread_mutex_lock(&lock);
	struct txn *t = txn_of(id);

	t->expected = n;
	t->how = (uint8_t)how;
	tally.committed_txns += how == TXN_COMMITTED;
	tally.aborted_txns += how == TXN_ABORTED;
	tally.unknown_txns += how == TXN_UNKNOWN;
	if (how == TXN_ABORTED && t->seen)
		wrong("transaction %" PRId64 " was aborted and read", id);
	pthread_mutex_unlock(&lock);
}

void ledger_key(int key, int64_t seq)
{
	pthread_mutex_lock(&lock);
	if (seq > key_acked[key])
		key_acked[key] = seq;
	pthread_mutex_unlock(&lock);
}

/* ---- reading ---- */

struct aborted {
	const struct kafka_fetch_res_partition *part;
	int64_t open[64]; /* producers inside a transaction that was aborted */
	int n;
};

static bool is_aborted(struct aborted *ab, const struct kafka_batch *b)
{
	const struct kafka_fetch_res_partition *p = ab->part;

	/* They come in no order: each begins with the batch that is at its first offset, or is the first behind it. */
	for (int32_t i = 0; i < p->aborted_transactions.n; i++) {
		struct kafka_fetch_res_aborted_transaction *x = &p->aborted_transactions.v[i];

		if (x->producer_id < 0 || x->first_offset > kafka_batch_last_offset(b))
			continue;
		if (ab->n == 64)
			wrong("too many aborted transactions at once");
		ab->open[ab->n++] = x->producer_id;
		x->producer_id = -1;
	}
	for (int i = 0; i < ab->n; i++) {
		if (ab->open[i] != b->producer_id)
			continue;
		if (b->attributes & KAFKA_ATTR_CONTROL)
			ab->open[i] = ab->open[--ab->n];
		return true;
	}
	return false;
}

static void check_record(int topic, int32_t part, const struct kafka_record *r, bool aborted, bool fresh)
{
	struct topic *t = &topics[topic];
	struct book *b = &t->books[part];
	long long kind, x, y;

	note(topic, part, r->offset, r->value.p, r->value.n, SEEN, "read");
	tally.read++;
	char text[64] = {0};

	memcpy(text, r->value.p, r->value.n < 63 ? r->value.n : 63);
	if (sscanf(text, "%lld %lld %lld ", &kind, &x, &y) != 3 || kind != topic)
		wrong("%s-%d: foreign record at %" PRId64 ": %.40s", t->name, part, r->offset, text);
	if (t->once && fresh && x != b->next_seq)
		wrong("%s-%d: sequence %lld instead of %" PRId64 " at %" PRId64, t->name, part, x, b->next_seq,
		      r->offset);
	if (t->once && fresh)
		b->next_seq++;
	if (t->txn && fresh && !aborted) {
		struct txn *txn = txn_of(x);

		txn->seen++;
		if (txn->how == TXN_ABORTED)
			wrong("%s-%d: aborted transaction %lld is read at %" PRId64, t->name, part, x, r->offset);
	}
	if (t->compacted)
		key_seen[y % KEYS_MAX] = x;
}

static void check_batches(int topic, int32_t part, const struct kafka_fetch_res_partition *in, int64_t from, bool fresh,
			  int64_t *ret_next)
{
	struct aborted ab = {.part = in};
	struct str rest = in->records;
	struct kafka_batch batch;
	struct kafka_records it;
	struct kafka_record r;
	struct buf scratch;

	buf_init(&scratch, 64 << 20);
	while (kafka_batch_next(&rest, &batch) == 0) {
		bool aborted = is_aborted(&ab, &batch);

		if (kafka_batch_check(&batch) != 0 || kafka_records_open(&it, &batch, &scratch) != 0)
			wrong("%s-%d: damaged batch at %" PRId64, topics[topic].name, part, batch.base_offset);
		while (!(batch.attributes & KAFKA_ATTR_CONTROL) && kafka_records_next(&it, &r) == 1)
			if (r.offset >= from)
				check_record(topic, part, &r, aborted, fresh);
		*ret_next = kafka_batch_last_offset(&batch) + 1;
	}
	buf_done(&scratch);
}

static struct kafka_fetch_res_partition *fetch(struct client *c, int topic, int32_t part, int64_t at, struct arena *a)
{
	struct kafka_fetch_req *req = KAFKA_NEW(a, kafka_fetch_req);
	struct kafka_fetch_req_topic *t = KAFKA_ARRAY(a, kafka_fetch_req_topic, 1);

	t->topic = str_of(topics[topic].name);
	t->partitions.v = KAFKA_ARRAY(a, kafka_fetch_req_partition, 1);
	t->partitions.n = 1;
	t->partitions.v[0].partition = part;
	t->partitions.v[0].fetch_offset = at;
	t->partitions.v[0].current_leader_epoch = -1;
	t->partitions.v[0].partition_max_bytes = 4 << 20;
	req->replica_id = -1;
	req->max_bytes = 4 << 20;
	req->isolation_level = 1;
	req->session_epoch = -1;
	req->topics.v = t;
	req->topics.n = 1;
	struct kafka_fetch_res *res = client_call(c, KAFKA_API_FETCH, 11, req, a);

	if (!res || res->responses.n != 1 || res->responses.v[0].partitions.n != 1)
		return NULL;
	return &res->responses.v[0].partitions.v[0];
}

/* Reads [from, to) and notes it. */
static int read_range(struct client *c, int topic, int32_t part, int64_t from, int64_t to, bool fresh)
{
	while (from < to) {
		struct arena *a = arena_new(64 << 20);
		struct kafka_fetch_res_partition *in = fetch(c, topic, part, from, a);
		int64_t next = from;

		if (in && in->error_code)
			wrong("%s-%d: fetch from %" PRId64 " below %" PRId64 ": error %d", topics[topic].name, part,
			      from, to, in->error_code);
		if (in) {
			pthread_mutex_lock(&lock);
			check_batches(topic, part, in, from, fresh, &next);
			pthread_mutex_unlock(&lock);
		}
		bool gone = !in;

		arena_free(a);
		if (gone)
			return -1;
		if (next <= from)
			wrong("%s-%d: nothing to read at %" PRId64 " of %" PRId64, topics[topic].name, part, from, to);
		if (fresh)
			topics[topic].books[part].checked = next;
		from = next;
	}
	return 0;
}

static void check_acked(int topic, int32_t part, int64_t from, int64_t to)
{
	struct book *b = &topics[topic].books[part];

	pthread_mutex_lock(&lock);
	for (int64_t o = from; o < to && o < b->cap; o++)
		if ((b->v[o].flags & (ACKED | SEEN)) == ACKED && !topics[topic].compacted)
			wrong("%s-%d: acknowledged record at %" PRId64 " is lost", topics[topic].name, part, o);
	pthread_mutex_unlock(&lock);
}

static int check_part(struct client *c, int topic, int32_t part, bool all)
{
	struct book *b = &topics[topic].books[part];
	int64_t end, stable;

	pthread_mutex_lock(&lock);
	int64_t acked = b->highest_acked;

	pthread_mutex_unlock(&lock);
	int code = client_offset(c, topics[topic].name, part, false, &end);

	if (code == 0)
		code = client_offset(c, topics[topic].name, part, true, &stable);
	if (code > 0)
		wrong("%s-%d: ListOffsets: error %d", topics[topic].name, part, code);
	if (code != 0)
		return -1;
	if (end <= acked)
		wrong("%s-%d: ends at %" PRId64 ", %" PRId64 " was acknowledged", topics[topic].name, part, end, acked);
	int64_t from = b->checked;

	if (all && read_range(c, topic, part, 0, from, false) != 0)
		return -1;
	if (read_range(c, topic, part, from, stable, true) != 0)
		return -1;
	check_acked(topic, part, all ? 0 : from, stable);
	return 0;
}

static int check_group(struct client *c, int group, int topic, int32_t part)
{
	int64_t at = -1;

	pthread_mutex_lock(&lock);
	int64_t want = topics[topic].books[part].committed[group];

	pthread_mutex_unlock(&lock);
	if (want < 0)
		return 0;
	int code = client_committed(c, group_names[group], topics[topic].name, part, &at);

	if (code > 0)
		wrong("OffsetFetch of %s: error %d", group_names[group], code);
	if (code == 0 && at < want)
		wrong("%s-%d: group %s had committed %" PRId64 ", now it is %" PRId64, topics[topic].name, part,
		      group_names[group], want, at);
	return code;
}

static int check_keys(struct client *c)
{
	int64_t end, acked[KEYS_MAX];

	pthread_mutex_lock(&lock);
	memcpy(acked, key_acked, sizeof(acked));
	for (int k = 0; k < KEYS_MAX; k++)
		key_seen[k] = -1;
	pthread_mutex_unlock(&lock);
	if (client_offset(c, topics[TOPIC_KEYS].name, 0, false, &end) != 0 ||
	    read_range(c, TOPIC_KEYS, 0, 0, end, false) != 0)
		return -1;
	for (int k = 0; k < KEYS_MAX; k++) {
		if (key_seen[k] < acked[k])
			wrong("key %d: %" PRId64 " was acknowledged, the newest is %" PRId64, k, acked[k], key_seen[k]);
		tally.keys += acked[k] >= 0;
	}
	return 0;
}

int ledger_check(struct client *c, bool all)
{
	for (int t = 0; t < TOPICS; t++) {
		for (int32_t p = 0; p < topics[t].parts; p++) {
			if (t != TOPIC_KEYS && check_part(c, t, p, all) != 0)
				return -1;
			for (int g = 0; g < GROUPS; g++)
				if (check_group(c, g, t, p) != 0)
					return -1;
		}
	}
	return check_keys(c);
}

bool ledger_drained(bool tell)
{
	bool all = true;

	pthread_mutex_lock(&lock);
	for (int t = 0; t < TOPIC_KEYS; t++) {
		for (int32_t p = 0; p < topics[t].parts; p++) {
			struct book *b = &topics[t].books[p];

			for (int g = 0; g < GROUPS; g++) {
				long long missing = 0;
				int64_t first = -1;

				for (int64_t o = 0; o < b->cap; o++)
					if ((b->v[o].flags & SEEN) && !(b->v[o].flags & CONSUMED << g) && !missing++)
						first = o;
				if (missing && tell)
					fprintf(stderr, "%s-%d: group %s lacks %lld records from %" PRId64 " on\n",
						topics[t].name, p, group_names[g], missing, first);
				all = all && !missing;
			}
		}
	}
	pthread_mutex_unlock(&lock);
	return all;
}

void ledger_finish(void)
{
	for (int64_t i = 0; i < cap_txns; i++) {
		const struct txn *t = &txns[i];
		bool none = t->seen == 0, whole = t->seen == t->expected;

		if (t->how == TXN_COMMITTED ? !whole : t->how == TXN_ABORTED ? !none : !none && !whole)
			wrong("transaction %" PRId64 " (%d): %d of %d records are read", i, t->how, t->seen,
			      t->expected);
	}
}
