/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KCLIENT_PRIV_H
#define KCLIENT_PRIV_H

#include "kclient/kclient.h"

#include <openssl/ssl.h>

struct kclient {
	struct arena *arena;
	const struct kclient_settings *settings;
	struct str host, port;
	int64_t deadline_ms;
	int fd; /* -1: closed */
	SSL_CTX *ctx;
	SSL *ssl; /* NULL: no TLS */
	int32_t correlation;
	struct kafka_api_versions_res *offered; /* NULL: not asked yet */
};

/* Opens the TCP connection, and TLS where the protocol has it. */
int kclient__connect(struct kclient *c, struct err *err);
int kclient__send(struct kclient *c, struct str bytes, struct err *err);
int kclient__receive(struct kclient *c, char *p, size_t n, struct err *err);

/* Logs in. */
int kclient__login(struct kclient *c, struct err *err);

/* One exchange in a given version. */
int kclient__exchange(struct kclient *c, const struct kafka_api *api, int version, const void *req,
		      struct str *ret_body, struct err *err);

/* "Kafka at host:port ...": the connection's fault, or the settings'. */
int kclient__away(struct kclient *c, struct err *err, const char *why);
int kclient__unfit(struct kclient *c, struct err *err, const char *why);

/* SCRAM, apart from the exchange: the client's second message, from its own first one without the GS2 header and the
 * server's. False: what the server says is malformed or not an answer to it. server_signature: 64 bytes. */
bool kclient__scram_final(struct arena *a, bool sha512, struct str password, struct str first_bare, struct str nonce,
			  struct str server_first, struct str *ret_message, struct str *ret_signature);

#endif
