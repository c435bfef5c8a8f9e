/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Kills appia-mqs at random times under the load of real clients and looks whether what it said stays true.
 *
 * usage: mqs_kill APPIA_MQS HOME PORT ROUNDS [SEED]
 *
 * The settings of the broker come from the environment. Each round: start (sometimes killed once more while it
 * starts), check what is new, run for a while, kill -9 (sometimes an orderly stop). At the end all is read again, all
 * consumers have to get everything, and every transaction is whole or absent. Exit code 1 with the first thing that is
 * wrong. */

static const char *program, *home;
static uint16_t port;
static uint64_t rng;
static pid_t broker;
static struct client admin;
static long long kills, early_kills, stops, slowest_ms;

static uint32_t draw(uint32_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)((rng >> 11) % n);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sleep_us(long us)
{
	nanosleep(&(struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000}, NULL);
}

static void spawn(void)
{
	char log[4096];

	snprintf(log, sizeof(log), "%s/log", home);
	broker = fork();
	if (broker == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fd, 2);
		execl(program, program, "--home", home, (char *)NULL);
		_exit(127);
	}
	if (broker < 0)
		wrong("fork: %s", strerror(errno));
}

static void check_alive(void)
{
	int status;

	if (waitpid(broker, &status, WNOHANG) == broker)
		wrong("the broker ended by itself (status %x)", (unsigned)status);
}

static void wait_ready(void)
{
	int64_t began = now_ms();

	while (client_connect(&admin) != 0) {
		check_alive();
		if (now_ms() - began > 60000)
			wrong("the broker does not start");
		sleep_us(500);
	}
	if (now_ms() - began > slowest_ms)
		slowest_ms = now_ms() - began;
}

static void end_broker(int number)
{
	int status;

	check_alive();
	kill(broker, number);
	if (waitpid(broker, &status, 0) != broker)
		wrong("waitpid: %s", strerror(errno));
	if (number == SIGTERM ? status != 0 : !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		wrong("the broker ended with status %x", (unsigned)status);
	client_done(&admin);
	client_init(&admin, port);
}

static void make_topics(void)
{
	for (int t = 0; t < TOPICS; t++) {
		int code =
			client_create_topic(&admin, topics[t].name, topics[t].parts, topics[t].configs, &topics[t].id);

		if (code != 0)
			wrong("topic %s cannot be made: %d", topics[t].name, code);
	}
}

static void run_round(bool all)
{
	atomic_store(&load_churn_fast, draw(4) == 0);
	sleep_us(20000 + (long)draw(230000));
	if (draw(10) == 0) {
		end_broker(SIGTERM);
		stops++;
	} else {
		end_broker(SIGKILL);
		kills++;
	}
	spawn();
	while (draw(4) == 0) {
		sleep_us(draw(40000));
		end_broker(SIGKILL);
		early_kills++;
		spawn();
	}
	wait_ready();
	if (ledger_check(&admin, all) != 0) {
		check_alive();
		wrong("the broker does not answer");
	}
}

/* Consumers get what is left. */
static void drain(void)
{
	int64_t until = now_ms() + 120000;

	atomic_store(&load_stop, true);
	load_join_producers();
	if (ledger_check(&admin, true) != 0)
		wrong("the broker does not answer at the end");
	while (!ledger_drained(false)) {
		if (now_ms() > until) {
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
	program = argv[1];
	home = argv[2];
	port = (uint16_t)strtol(argv[3], NULL, 10);
	int rounds = (int)strtol(argv[4], NULL, 10);
	uint64_t seed = argc > 5 ? strtoull(argv[5], NULL, 10) : (uint64_t)time(NULL);

	printf("seed %" PRIu64 "\n", seed);
	fflush(stdout);
	rng = seed * 2654435761u + 88172645463325252u;
	signal(SIGPIPE, SIG_IGN);
	client_init(&admin, port);
	ledger_init();
	spawn();
	wait_ready();
	make_topics();
	load_start(port, seed | 1);
	for (int i = 0; i < rounds; i++)
		run_round(i % 100 == 99);
	drain();
	end_broker(SIGTERM);
	client_done(&admin);
	printf("%d rounds: %lld kills, %lld of them while starting, %lld orderly stops; slowest start %lld ms\n"
	       "%lld records acknowledged, %lld read, %lld consumed, %lld commits of groups, %lld rebalances\n"
	       "transactions: %lld committed, %lld aborted, %lld unknown; %lld topics made and deleted\n"
	       "lost 0, repeated 0, offsets used twice 0, read though aborted 0\n",
	       rounds, kills + early_kills, early_kills, stops, slowest_ms, tally.acked, tally.read, tally.consumed,
	       tally.commits, atomic_load(&load_rebalances), tally.committed_txns, tally.aborted_txns,
	       tally.unknown_txns, tally.churned);
	return 0;
}
