/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include "ledger.h"

#include <librdkafka/rdkafka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* Producers and consumers of librdkafka, as applications would have them. */

enum { IN_FLIGHT = 300, KEYS = 100, TXN_MAX = 20, TXN_PRODUCERS = 3, CHURN_PARTS = 8 };

atomic_bool load_stop, load_stop_read;
atomic_int load_churn_fast;
atomic_llong load_rebalances, load_fenced;

static char address[32];
static uint16_t broker_port;
static uint64_t seed_of;

static uint32_t draw(uint64_t *rng, uint32_t n)
{
	*rng ^= *rng << 13;
	*rng ^= *rng >> 7;
	*rng ^= *rng << 17;
	return (uint32_t)((*rng >> 11) % n);
}

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char text[200];

	if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
		wrong("%s: %s", name, text);
}

static void on_log(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
	if (getenv("LOAD_LOG"))
		fprintf(stderr, "%lld %s %s %s\n", (long long)time(NULL), rd_kafka_name(rk), fac, text);
}

static rd_kafka_conf_t *conf_new(const char *client)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	set(conf, "bootstrap.servers", address);
	set(conf, "client.id", client);
	set(conf, "reconnect.backoff.ms", "5");
	set(conf, "reconnect.backoff.max.ms", "40");
	set(conf, "retry.backoff.ms", "10");
	set(conf, "topic.metadata.refresh.interval.ms", "2000");
	if (getenv("LOAD_DEBUG"))
		set(conf, "debug", getenv("LOAD_DEBUG"));
	rd_kafka_conf_set_log_cb(conf, on_log);
	return conf;
}

/* ---- producers ---- */

/* The delivery report's opaque: whether it is to be noted, and the topic. */
struct producer {
	int topic;
	bool txn;
	atomic_int in_flight;
	long long failed;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct producer *p = opaque;
	long long kind, a, b;
	char text[64] = {0};

	atomic_fetch_sub(&p->in_flight, 1);
	memcpy(text, m->payload, m->len < 63 ? m->len : 63);
	if (sscanf(text, "%lld %lld %lld ", &kind, &a, &b) != 3)
		wrong("a report of something else: %s", text);
	if (m->err) {
		/* Without transactions nothing may fail: there is no time limit, and the broker comes back. */
		if (!p->txn)
			wrong("%s: sequence %lld failed: %s", topics[p->topic].name, a, rd_kafka_err2str(m->err));
		p->failed++;
		return;
	}
	ledger_acked(p->topic, m->partition, m->offset, m->payload, m->len);
	if (p->topic == TOPIC_KEYS)
		ledger_key((int)b, a);
}

static rd_kafka_t *producer_new(struct producer *p, const char *client, bool idempotent, const char *txn_id)
{
	rd_kafka_conf_t *conf = conf_new(client);
	char text[200];

	set(conf, "acks", "all");
	set(conf, "linger.ms", "2");
	set(conf, "batch.num.messages", "40");
	set(conf, "message.timeout.ms", txn_id ? "60000" : "0");
	set(conf, "request.timeout.ms", "20000");
	set(conf, "enable.idempotence", idempotent ? "true" : "false");
	if (txn_id) {
		set(conf, "transactional.id", txn_id);
		set(conf, "transaction.timeout.ms", "60000");
	}
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_conf_set_opaque(conf, p);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));

	if (!rk)
		wrong("no producer: %s", text);
	return rk;
}

static int produce(rd_kafka_t *rk, struct producer *p, int32_t part, const char *key, int64_t a, int64_t b)
{
	char value[16384];
	size_t n = value_make(value, sizeof(value), p->topic, a, b);

	atomic_fetch_add(&p->in_flight, 1);
	rd_kafka_resp_err_t e = rd_kafka_producev(
		rk, RD_KAFKA_V_TOPIC(topics[p->topic].name), RD_KAFKA_V_PARTITION(part), RD_KAFKA_V_VALUE(value, n),
		RD_KAFKA_V_KEY(key, key ? strlen(key) : 0), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);

	if (e)
		atomic_fetch_sub(&p->in_flight, 1);
	return e;
}

static void check_fatal(rd_kafka_t *rk, const char *who)
{
	char text[300];
	rd_kafka_resp_err_t e = rd_kafka_fatal_error(rk, text, sizeof(text));

	if (e)
		wrong("%s: the producer gave up: %s: %s", who, rd_kafka_err2name(e), text);
}

/* Plain producers: topic "once" and "keys" with idempotence, "loose" without. */
static void *produce_plain(void *arg)
{
	int topic = (int)(intptr_t)arg;
	struct producer p = {.topic = topic};
	rd_kafka_t *rk = producer_new(&p, topics[topic].name, topic != TOPIC_LOOSE, NULL);
	uint64_t rng = seed_of * 31 + (uint64_t)topic + 1;
	int64_t seq[PARTS_MAX] = {0}, n = 0;
	char key[16];

	while (!atomic_load(&load_stop)) {
		int32_t part = (int32_t)draw(&rng, (uint32_t)topics[topic].parts);
		int k = (int)draw(&rng, KEYS);

		snprintf(key, sizeof(key), "k%d", k);
		if (atomic_load(&p.in_flight) < IN_FLIGHT) {
			int e = topic == TOPIC_KEYS ? produce(rk, &p, 0, key, n, k)
						    : produce(rk, &p, part, NULL, seq[part], part);

			if (e)
				wrong("%s: produce: %s", topics[topic].name, rd_kafka_err2str(e));
			seq[part]++;
			n++;
		}
		rd_kafka_poll(rk, n % 8 && atomic_load(&p.in_flight) < IN_FLIGHT ? 0 : 2);
		check_fatal(rk, topics[topic].name);
	}
	if (rd_kafka_flush(rk, 60000))
		wrong("%s: %d records never got an answer", topics[topic].name, atomic_load(&p.in_flight));
	rd_kafka_destroy(rk);
	return NULL;
}

/* Until it works or cannot: 0, 1 when the transaction has to be aborted, 2 when the producer is done for. */
static int insist(rd_kafka_error_t *(*fn)(rd_kafka_t *, int), rd_kafka_t *rk, const char *what)
{
	for (int i = 0; i < 200; i++) {
		rd_kafka_error_t *e = fn(rk, 5000);

		if (!e)
			return 0;
		bool fatal = rd_kafka_error_is_fatal(e), abort_it = rd_kafka_error_txn_requires_abort(e);
		bool again = rd_kafka_error_is_retriable(e);

		/* Of produce requests: Kafka tells such clients to try again. */
		if (rd_kafka_error_code(e) == RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS)
			wrong("%s: %s", what, rd_kafka_error_string(e));
		if (getenv("LOAD_LOG") || (!fatal && !abort_it && !again))
			fprintf(stderr, "%s: %s: %s\n", what, rd_kafka_error_name(e), rd_kafka_error_string(e));
		rd_kafka_error_destroy(e);
		if (fatal || (!abort_it && !again))
			return 2;
		if (abort_it)
			return 1;
	}
	wrong("%s does not end", what);
}

/* One transaction; false when the producer has to be made anew. */
static bool run_txn(rd_kafka_t *rk, struct producer *p, int64_t txn, uint64_t *rng)
{
	int n = 1 + (int)draw(rng, TXN_MAX), sent = 0;
	bool give_up = draw(rng, 3) == 0;
	rd_kafka_error_t *e = rd_kafka_begin_transaction(rk);

	if (e) {
		rd_kafka_error_destroy(e);
		return false;
	}
	p->failed = 0;
	for (int i = 0; i < n; i++) {
		if (produce(rk, p, (int32_t)draw(rng, (uint32_t)topics[p->topic].parts), NULL, txn, i) == 0)
			sent++;
		rd_kafka_poll(rk, 0);
	}
	if (draw(rng, 4) == 0)
		pause_ms((int)draw(rng, 20)); /* open for a while */
	/* What is under way when a transaction is aborted is given up by librdkafka 2.0, which then uses the sequence
	 * numbers again, for other records: a broker that has got the first ones takes the others for repetitions. */
	bool clean = rd_kafka_flush(rk, 30000) == 0 && p->failed == 0;
	int rc = sent == n && clean && !give_up ? insist(rd_kafka_commit_transaction, rk, "commit") : 1;

	if (rc == 1) { /* decided, or demanded by the commit */
		rc = insist(rd_kafka_abort_transaction, rk, "abort");
		ledger_txn(txn, n, rc == 0 ? TXN_ABORTED : TXN_UNKNOWN);
		return rc == 0 && clean;
	}
	ledger_txn(txn, n, rc == 0 ? TXN_COMMITTED : TXN_UNKNOWN);
	return rc == 0;
}

static void *produce_txn(void *arg)
{
	int number = (int)(intptr_t)arg;
	uint64_t rng = seed_of * 77 + (uint64_t)number;
	int64_t txn = number;
	char id[20];

	snprintf(id, sizeof(id), "kill-%d", number);

	while (!atomic_load(&load_stop)) {
		struct producer p = {.topic = TOPIC_TXN, .txn = true};
		rd_kafka_t *rk = producer_new(&p, "txn", true, id);
		bool good = insist(rd_kafka_init_transactions, rk, "init") == 0;

		while (good && !atomic_load(&load_stop)) {
			good = run_txn(rk, &p, txn += TXN_PRODUCERS, &rng);
			pause_ms(2);
		}
		rd_kafka_destroy(rk);
	}
	/* The next owner of the name ends what the last one left. */
	struct producer p = {.topic = TOPIC_TXN, .txn = true};
	rd_kafka_t *rk = producer_new(&p, "txn", true, id);

	if (insist(rd_kafka_init_transactions, rk, "init") != 0)
		wrong("the transactional id is not usable at the end");
	rd_kafka_destroy(rk);
	return NULL;
}

/* ---- a classic group ---- */

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *v, void *opaque)
{
	atomic_fetch_add(&load_rebalances, 1);
	if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		rd_kafka_assign(rk, v);
	else
		rd_kafka_assign(rk, NULL);
}

static int topic_number(const char *name)
{
	for (int t = 0; t < TOPICS; t++)
		if (strcmp(topics[t].name, name) == 0)
			return t;
	wrong("topic %s?", name);
}

static void commit(rd_kafka_t *rk)
{
	rd_kafka_topic_partition_list_t *at = NULL;

	if (rd_kafka_assignment(rk, &at) != 0)
		return;
	if (rd_kafka_position(rk, at) == 0) {
		for (int i = at->cnt; i-- > 0;)
			if (at->elems[i].offset < 0)
				rd_kafka_topic_partition_list_del_by_idx(at, i);
		if (at->cnt && rd_kafka_commit(rk, at, 0) == 0)
			for (int i = 0; i < at->cnt; i++)
				if (at->elems[i].err == 0)
					ledger_committed(0, topic_number(at->elems[i].topic), at->elems[i].partition,
							 at->elems[i].offset);
	}
	rd_kafka_topic_partition_list_destroy(at);
}

static void *consume_classic(void *arg)
{
	rd_kafka_conf_t *conf = conf_new((const char *)arg);
	char text[200];

	set(conf, "group.id", group_names[0]);
	set(conf, "auto.offset.reset", "earliest");
	set(conf, "enable.auto.commit", "false");
	set(conf, "isolation.level", "read_uncommitted");
	set(conf, "session.timeout.ms", "30000");
	set(conf, "heartbeat.interval.ms", "300");
	set(conf, "fetch.wait.max.ms", "50");
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
	rd_kafka_topic_partition_list_t *sub = rd_kafka_topic_partition_list_new(TOPICS);

	if (!rk)
		wrong("no consumer: %s", text);
	rd_kafka_poll_set_consumer(rk);
	for (int t = 0; t < TOPIC_KEYS; t++)
		rd_kafka_topic_partition_list_add(sub, topics[t].name, -1);
	rd_kafka_subscribe(rk, sub);
	rd_kafka_topic_partition_list_destroy(sub);
	for (unsigned n = 0; !atomic_load(&load_stop_read); n++) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 20);

		if (m && !m->err)
			ledger_consumed(0, topic_number(rd_kafka_topic_name(m->rkt)), m->partition, m->offset,
					m->payload, m->len);
		if (m)
			rd_kafka_message_destroy(m);
		if (n % 200 == 199 || !m)
			commit(rk);
	}
	rd_kafka_destroy(rk);
	return NULL;
}

/* ---- topics come and go ---- */

/* A topic that was made is whole and empty. */
static void check_new(struct client *c, const char *name, int where)
{
	int n = client_partitions(c, name);
	int64_t end = -1;

	if (n != CHURN_PARTS && n != -1)
		wrong("%s was made and has %d partitions", name, n);
	int code = client_offset(c, name, where, false, &end);

	if (code > 0 || (code == 0 && end != 0))
		wrong("%s-%d was made and has an end of %lld (error %d)", name, where, (long long)end, code);
}

/* A delete that nobody answered has happened or not, but not by half; the connection may break again meanwhile. */
static void check_half_deleted(struct client *c, const char *name)
{
	int n = -1;
	int64_t end[CHURN_PARTS];

	while (!atomic_load(&load_stop) && (n = client_partitions(c, name)) == -1)
		pause_ms(5);
	if (n < 0)
		return;
	for (int i = 0; i < CHURN_PARTS; i++)
		if (client_offset(c, name, i, false, &end[i]) != 0)
			return;
	for (int i = 0; i < CHURN_PARTS; i++)
		if (n != CHURN_PARTS || end[i] != 1)
			wrong("%s was deleted by half: %d partitions, number %d ends at %lld", name, n, i,
			      (long long)end[i]);
}

static void churn_once(struct client *c, const char *name, uint64_t *rng)
{
	struct kafka_uuid id;
	bool full = false;
	int code = client_create_topic(c, name, CHURN_PARTS, NULL, &id);

	if (code > 0 && code != KAFKA_ERR_TOPIC_ALREADY_EXISTS)
		wrong("create of %s: error %d", name, code);
	if (code == 0) {
		check_new(c, name, (int)draw(rng, CHURN_PARTS));
		full = client_produce(c, name, CHURN_PARTS) == 0;
	}
	code = client_delete_topic(c, name);
	if (code > 0 && code != KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION)
		wrong("delete of %s: error %d", name, code);
	if (code == 0) {
		int n = client_partitions(c, name);

		if (n != -1 && n != -1000 - KAFKA_ERR_UNKNOWN_TOPIC_OR_PARTITION)
			wrong("%s was deleted and has %d partitions", name, n);
		tally.churned++;
	} else if (code == -1 && full) {
		check_half_deleted(c, name);
	}
}

static void *churn(void *arg)
{
	uint64_t rng = seed_of * 13 + 7;
	struct client c;
	char name[32];

	client_init(&c, broker_port);
	while (!atomic_load(&load_stop)) {
		snprintf(name, sizeof(name), "churn-%u", draw(&rng, 3));
		churn_once(&c, name, &rng);
		pause_ms(atomic_load(&load_churn_fast) ? 0 : 20);
	}
	client_done(&c);
	return NULL;
}

/* ---- life ---- */

static pthread_t producers[4 + TXN_PRODUCERS], consumers[4];
static size_t n_producers, n_consumers;

static void start(pthread_t *v, size_t *n, void *(*fn)(void *), void *arg)
{
	if (pthread_create(&v[(*n)++], NULL, fn, arg) != 0)
		wrong("no thread");
}

void load_start(uint16_t port, uint64_t seed)
{
	static char a[] = "a", b[] = "b";

	broker_port = port;
	seed_of = seed;
	snprintf(address, sizeof(address), "127.0.0.1:%u", port);
	start(producers, &n_producers, produce_plain, (void *)(intptr_t)TOPIC_ONCE);
	start(producers, &n_producers, produce_plain, (void *)(intptr_t)TOPIC_LOOSE);
	start(producers, &n_producers, produce_plain, (void *)(intptr_t)TOPIC_KEYS);
	for (int i = 0; i < TXN_PRODUCERS; i++)
		start(producers, &n_producers, produce_txn, (void *)(intptr_t)i);
	start(producers, &n_producers, churn, NULL);
	start(consumers, &n_consumers, consume_classic, a);
	start(consumers, &n_consumers, consume_classic, b);
	start(consumers, &n_consumers, load_consumer_group, (void *)(intptr_t)(port * 10 + 0));
	start(consumers, &n_consumers, load_consumer_group, (void *)(intptr_t)(port * 10 + 1));
}

void load_join_producers(void)
{
	while (n_producers)
		pthread_join(producers[--n_producers], NULL);
}

void load_join_consumers(void)
{
	while (n_consumers)
		pthread_join(consumers[--n_consumers], NULL);
}
