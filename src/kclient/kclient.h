/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KCLIENT_KCLIENT_H
#define KCLIENT_KCLIENT_H

#include "base/arena.h"
#include "base/err.h"
#include "kafka/wire.h"
#include "kafka_msg.h"

#include <stdint.h>

/* A small blocking Kafka client: one connection, one request at a time, every message of the protocol that the tables
 * of src/kafka have. For what librdkafka lacks; it neither produces nor follows leaders by itself. Negotiates versions
 * (KIP-35, KIP-511), speaks TLS and SASL PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677).
 *
 * Nothing lasts longer than the deadline, besides looking up a host name, which the resolver bounds. Errors:
 *   ERR_MQS_005000053  nobody listens, no answer in time or the connection broke; retriable
 *   ERR_MQS_005000070  what is there is no Kafka, has another security protocol or a certificate that does not fit,
 *                      or refuses the user
 *   ERR_MQS_005000020  Kafka lacks the request, or its answer is damaged or too large for the arena
 * Texts name the server, never the password. */
struct kclient;

struct kclient_settings {
	struct str servers; /* "host:port,host:port": the first that answers is taken */
	struct str protocol; /* plaintext, ssl, sasl_plaintext, sasl_ssl */
	struct str mechanism; /* PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 */
	struct str user, password;
	struct str ca_file; /* certificates in PEM form that the server's is checked against */
};

/* Connects and logs in. deadline_ms: of clock_mono_ms(), for this and all calls. The connection, its settings and all
 * answers live in the arena: it is closed with it at the latest. One thread at a time. */
int kclient_open(struct arena *a, const struct kclient_settings *settings, int64_t deadline_ms, struct kclient **ret,
		 struct err *err);

/* One request, KAFKA_API_<NAME>, in the newest version that both sides offer; req and ret: the C structs of its
 * messages (made with KAFKA_NEW). Error codes within the answer are the caller's. After an error the connection is of
 * no use. */
int kclient_call(struct kclient *c, int key, const void *req, void *ret, struct err *err);

/* The newest version that both sides offer, or -1. */
int kclient_version(const struct kclient *c, int key);

/* Passes bytes between the connection and a socket until either ends; without a deadline. Closes neither. */
void kclient_relay(struct kclient *c, int fd);

/* NULL is legal. */
void kclient_close(struct kclient *c);

#endif
