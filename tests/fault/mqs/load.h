/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FAULT_MQS_LOAD_H
#define TESTS_FAULT_MQS_LOAD_H

#include <stdatomic.h>
#include <stdint.h>

/* Clients that go on while their broker dies and comes back. */

extern atomic_bool load_stop; /* producers finish what they have */
extern atomic_bool load_stop_read; /* consumers end */
extern atomic_int load_churn_fast; /* topics are made and deleted without pause */
extern atomic_llong load_rebalances, load_fenced;

/* A member of the group of KIP-848, on a thread of its own (member.c). arg: port * 10 + number. */
void *load_consumer_group(void *arg);
void load_start(uint16_t port, uint64_t seed);
void load_join_producers(void);
void load_join_consumers(void);

#endif
