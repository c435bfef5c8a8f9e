/* SPDX-License-Identifier: Apache-2.0 */
#include "broker.h"
#include "ledger.h"
#include "load.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Kills appia-mqs at random times under the load of real clients and looks whether what it said stays true.
 *
 * usage: mqs_kill APPIA_MQS HOME PORT ROUNDS [SEED]
 *
 * The settings of the broker come from the environment. Each round: start (sometimes killed once more while it
 * starts), check what is new, run for a while, kill -9 (sometimes an orderly stop). At the end all is read again, all
 * consumers have to get everything, and every transaction is whole or absent. Exit code 1 with the first thing that is
 * wrong. */

static struct broker broker;
static uint64_t rng;
static long long kills, early_kills, stops, slowest_us;

static uint32_t draw(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)((rng >> 11) % n);
}

static void make_topics(void)
{
	for (int t = 0; t < TOPICS; t++) {
		int code = client_create_topic(&broker.admin, topics[t].name, topics[t].parts, topics[t].configs,
					       &topics[t].id);

		if (code != 0)
			wrong("topic %s cannot be made: %d", topics[t].name, code);
	}
}

static void run_round(bool all)
{
	atomic_store(&load_churn_fast, draw(4) == 0);
	sleep_us(20000 + (long)draw(230000));
	if (draw(10) == 0) {
		broker_end(&broker, SIGTERM);
		stops++;
	} else {
		broker_end(&broker, SIGKILL);
		kills++;
	}
	broker_spawn(&broker);
	while (draw(4) == 0) {
		sleep_us(draw(40000));
		broker_end(&broker, SIGKILL);
		early_kills++;
		broker_spawn(&broker);
	}
	int64_t took = broker_wait_ready(&broker);

	slowest_us = took > slowest_us ? took : slowest_us;
	if (ledger_check(&broker.admin, all) != 0) {
		broker_check_alive(&broker);
		wrong("the broker does not answer");
	}
}

/* Consumers get what is left. */
static void drain(void)
{
	int64_t until = now_us() + 120000000;

	atomic_store(&load_stop, true);
	load_join_producers();
	if (ledger_check(&broker.admin, true) != 0)
		wrong("the broker does not answer at the end");
	while (!ledger_drained(false)) {
		if (now_us() > until) {
			ledger_drained(true);
			wrong("the groups do not get everything");
		}
		sleep_us(20000);
	}
	atomic_store(&load_stop_read, true);
	load_join_consumers();
	ledger_finish();
	if (atomic_load(&load_fenced))
		wrong("members of the new protocol were fenced %lld times", atomic_load(&load_fenced));
}

int main(int argc, char **argv)
{
	if (argc < 5) {
		fprintf(stderr, "usage: mqs_kill APPIA_MQS HOME PORT ROUNDS [SEED]\n");
		return 2;
	}
	broker_init(&broker, argv[1], argv[2], argv[3]);
	int rounds = (int)strtol(argv[4], NULL, 10);
	uint64_t seed = argc > 5 ? strtoull(argv[5], NULL, 10) : (uint64_t)time(NULL);

	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	rng = seed * 2654435761u + 88172645463325252u;
	ledger_init();
	broker_spawn(&broker);
	broker_wait_ready(&broker);
	make_topics();
	load_start(broker.port, seed | 1);
	for (int i = 0; i < rounds; i++)
		run_round(i % 100 == 99);
	drain();
	broker_end(&broker, SIGTERM);
	printf("%d rounds: %lld kills, %lld of them while starting, %lld orderly stops; slowest start %lld ms\n"
	       "%lld records acknowledged, %lld read, %lld consumed, %lld commits of groups, %lld rebalances of "
	       "librdkafka\n"
	       "transactions: %lld committed, %lld aborted, %lld unknown; %lld topics made and deleted\n"
	       "lost 0, repeated 0, offsets used twice 0, read though aborted 0\n",
	       rounds, kills + early_kills, early_kills, stops, slowest_us / 1000, tally.acked, tally.read,
	       tally.consumed, tally.commits, atomic_load(&load_rebalances), tally.committed_txns, tally.aborted_txns,
	       tally.unknown_txns, tally.churned);
	return 0;
}
