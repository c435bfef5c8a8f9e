/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_SERVER_SERVER_H
#define BROKER_SERVER_SERVER_H

#include "base/arena.h"
#include "base/err.h"
#include "broker/log/log.h"
#include "kafka/header.h"
#include "kafka_msg.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <uv.h>

/* The network side of appia-mqs: event loops, connections, frames, order of answers. It knows the framing of the Kafka
 * protocol and nothing of what requests mean.
 *
 * One loop per core; a connection stays on its loop. Requests of a connection are answered in their order; the next one
 * starts when all before it are answered, except that Produce requests overlap, so that they share a disk flush.
 * Handlers run on the connection's loop and may not block, or, when they do slow work, on the worker thread. */

struct mqs_server;
struct mqs_conn;
struct mqs_loop;

/* Something to be done on a loop. Embedded; queued at most once at a time. */
struct mqs_task {
	struct mqs_task *next;
	void (*fn)(struct mqs_task *task);
	bool queued;
};

/* Any thread. True when it was not queued already. */
bool mqs_post(struct mqs_loop *loop, struct mqs_task *task);

enum { MQS_SESSION_SCRATCH = 512 };

/* Who is at the other end. Written by handlers of SASL requests, while no other request of the connection runs. */
struct mqs_peer {
	bool sasl; /* the listener wants SASL */
	bool tls;
	bool authenticated; /* false: only ApiVersions and SASL requests are served */
	bool administrator;
	bool app; /* the user is an application's key */
	bool by_token; /* somebody who was given a delegation token logged in for the user */
	char user[256]; /* "ANONYMOUS" without SASL */
	char app_id[64];
	char host[INET6_ADDRSTRLEN];
	char client_software[64];
	int mechanism; /* of the SASL exchange under way */
	int step;
	void *sasl_state; /* of the exchange; freed with free_state */
	void (*free_state)(void *state);
	int64_t expires_ms; /* wall clock; 0: never */
	/* The connection, by its address, has gone: behind the cancels of its requests, on its loop; not at a stop. */
	void (*gone)(void *broker, uint64_t conn);
};

/* A listener, as clients see it. */
struct mqs_listener {
	const char *name; /* PLAINTEXT, SASL_PLAINTEXT, SASL_SSL */
	char address[256]; /* to bind */
	uint16_t port;
	char advertised_host[256];
	uint16_t advertised_port;
	bool sasl, tls;
};

struct mqs_request {
	struct mqs_conn *conn;
	struct kafka_request_header head;
	struct str body; /* in the frame, which handlers may change */
	void *in; /* decoded: the request's C struct */
	struct arena *arena; /* of this request */
	void *own; /* the handler's, until the answer */
	void (*cancel)(
		struct mqs_request *rq); /* the connection has gone; on its loop. Must answer or let it be answered */
	void (*answering)(
		struct mqs_request *rq); /* before an answer, on whatever thread it is made; may set throttle_ms */
	_Atomic int32_t throttle_ms; /* the connection pauses for so long behind the answer, which says so */
	int64_t started_us; /* monotonic */
	bool last; /* the connection is closed behind the answer */

	/* the server's */
	struct mqs_request *next; /* of the connection */
	struct mqs_request *all_prev, *all_next; /* of the loop */
	struct mqs_request *work_next;
	void (*work)(struct mqs_request *rq);
	struct mqs_task task;
	char *frame;
	size_t frame_n, charged;
	bool started, done, silent, close;
	struct buf out;
	struct kafka_gather gather;
	size_t cut, cut_sent, sent; /* progress of sending */
	unsigned slice;
};

enum mqs_where { MQS_ABSENT, MQS_LOOP, MQS_WORKER };

struct mqs_handler {
	enum mqs_where where;
	void (*fn)(struct mqs_request *rq);
};

struct mqs_options {
	struct mqs_listener listeners[4];
	unsigned n_listeners;
	unsigned loops; /* 0: one per processor */
	unsigned connections_max;
	size_t request_max; /* bytes of a request */
	size_t memory_max; /* bytes of all requests under way, about */
	int64_t idle_ms; /* silent connections are closed */
	const char *tls_cert, *tls_key; /* PEM files */
	bool no_kernel_tls; /* encrypt here even where the kernel could */
	const struct mqs_handler *handlers; /* by API key, KAFKA_API_KEY_MAX + 1 of them */
	void *broker; /* handlers find it with mqs_broker() */
	/* Whether a peer that connects is served; NULL: all. On the loops, when they run. */
	bool (*admit)(void *broker, const char *host);
};

struct mqs_stats {
	atomic_ullong accepted, refused, requests, bytes_in, bytes_out, bad_requests, auth_failures;
	atomic_ullong by_key[KAFKA_API_KEY_MAX + 1];
	atomic_uint connections;
	atomic_size_t memory;
};

/* Copies options, makes loops, which do not run yet. *ret is set in any case and must be freed. */
int mqs_server_start(const struct mqs_options *options, struct mqs_server **ret, struct err *err);
/* Listens and runs the loops. ERR_APPIA_0500 with the reason. */
int mqs_server_listen(struct mqs_server *server, struct err *err);
/* No new requests; answers that wait for the disk are given, then all connections are closed and threads joined. */
void mqs_server_stop(struct mqs_server *server);
/* Behind mqs_server_stop(), and after everything that could answer a request has gone. NULL is legal. */
void mqs_server_free(struct mqs_server *server);

void *mqs_broker(const struct mqs_request *rq);
struct mqs_peer *mqs_peer(const struct mqs_request *rq);
const struct mqs_listener *mqs_listener_of(const struct mqs_request *rq);
struct mqs_loop *mqs_loop_of(const struct mqs_request *rq);
struct mqs_stats *mqs_server_stats(struct mqs_server *server);
const struct mqs_options *mqs_server_options(const struct mqs_server *server);
/* Loop number i, for timers of the broker; NULL behind the last. */
struct mqs_loop *mqs_server_loop(struct mqs_server *server, unsigned i);
uv_loop_t *mqs_loop_uv(struct mqs_loop *loop);
/* Waiters for durability that belong to this loop. */
struct plog_inbox *mqs_loop_inbox(struct mqs_loop *loop);
/* Counts waiters under way: an orderly stop waits for them. The loop's thread. */
void mqs_loop_hold(struct mqs_loop *loop, int by);
/* The same for what may be answered on any loop. Any thread. */
void mqs_server_hold(struct mqs_server *server, int by);

/* Answers with a response struct of the request's API; sets its throttle_time_ms where it has one. Records in it are
 * struct plog_read pointers (p) with their bytes (n), given back by the server; slices in memory (plog_slice.memory)
 * have to stay as long as the request's arena. Once per request; any thread. */
void mqs_answer(struct mqs_request *rq, void *res);
/* Nothing is sent (Produce with acks=0). */
void mqs_answer_nothing(struct mqs_request *rq);
/* The connection is closed. */
void mqs_hang_up(struct mqs_request *rq);

/* Goes on with fn on the worker thread, instead of an answer. The loop's thread. */
void mqs_to_worker(struct mqs_request *rq, void (*fn)(struct mqs_request *rq));

/* Calls fn after ms on the request's loop, unless it is answered before. One at a time per request; the loop's thread.
 */
void mqs_after(struct mqs_request *rq, int64_t ms, void (*fn)(struct mqs_request *rq));

#endif
