/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MQSREST_SERVER_H
#define MQSREST_SERVER_H

#include "base/err.h"
#include "httpd/httpd.h"
#include "kclient/kclient.h"

#include <stdint.h>

/* The REST interface of message integration: produce, consume and acknowledge by HTTP, signed with an application's key
 * and secret. It is a client of a Kafka, our own broker or another one. */
struct rest_server;

struct rest_options {
	/* Strings live as long as the server and are NUL-terminated. */
	const char *published, *key_file; /* folder of the published state; the installation's master key */
	struct kclient_settings kafka; /* user "": no SASL */
	unsigned waiting_max; /* requests that may wait for messages at the same time */
	unsigned groups_max; /* consumers that are open at the same time, each a pair of topic and group */
	size_t memory_max; /* bytes of messages in hand, of all groups; each may have one message beyond it */
	int64_t idle_ms; /* a consumer that nobody asks for so long is closed */
	int session_ms; /* how long Kafka waits for a consumer that is silent, because the process was killed */
};

/* Copies options. ERR_APPIA_0500 when the key file cannot be read, ERR_APPIA_0400 when librdkafka does not like an
 * option. Kafka need not be there. */
int rest_server_new(const struct rest_options *options, struct rest_server **ret, struct err *err);
/* Lets all waiting requests answer at once, and refuses new ones. Any thread. */
void rest_server_stop(struct rest_server *server);
/* Leaves all groups. After rest_server_stop() and when no request is under way. NULL is legal. */
void rest_server_free(struct rest_server *server);

/* An httpd_handler; ctx is the server. Any thread. Beside the interface it answers /health and /metrics. */
void rest_server_handle(void *ctx, const struct httpd_request *req, struct httpd_reply *reply);

#endif
