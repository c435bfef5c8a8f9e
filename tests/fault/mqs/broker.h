/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FAULT_MQS_BROKER_H
#define TESTS_FAULT_MQS_BROKER_H

#include "client.h"

#include <sys/types.h>

/* The process of a broker, whose settings come from the environment and whose log is HOME/log. One thread. */

struct broker {
	const char *program, *home;
	uint16_t port;
	pid_t pid;
	struct client admin; /* connected by broker_wait_ready() */
};

void broker_init(struct broker *b, const char *program, const char *home, const char *port);
void broker_spawn(struct broker *b);
/* Ends the program when the broker ended. */
void broker_check_alive(struct broker *b);
/* Until it takes connections; how long that took, in microseconds. */
int64_t broker_wait_ready(struct broker *b);
/* SIGTERM has to end it with 0. */
void broker_end(struct broker *b, int number);

int64_t now_us(void); /* monotonic */
void sleep_us(long us);

#endif
