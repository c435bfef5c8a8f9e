/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BROKER_SERVER_PRIV_H
#define BROKER_SERVER_PRIV_H

#include "broker/server/server.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>

enum {
	RBUF = 16 * 1024, /* first bytes of requests; longer ones are received in place */
	PIPELINE = 64, /* requests of one connection that were read ahead */
	BIG_FRAME = 64 * 1024, /* from here on requests count against memory_max */
	SEND_TURN = 2 << 20, /* bytes one connection sends before others have their turn */
	READ_TURN = 4 << 20,
	SPARE_ARENAS = 32,
	TICK_MS = 20,
	HOARD_MS = 5000 /* a long request may come so much later than its size explains, when memory is short */
};

struct mqs_conn {
	struct mqs_loop *loop;
	struct mqs_server *server;
	const struct mqs_listener *listener;
	struct mqs_conn *prev, *next;
	struct mqs_peer peer;
	int fd;
	uv_poll_t poll;
	uv_timer_t timer, unmute;
	struct mqs_request *timer_rq;
	void (*timer_fn)(struct mqs_request *rq);
	unsigned refs, handles;
	int events;
	bool closing, want_write, starved, pumping, tls_ready;
	bool parting; /* all is said; waits for the peer to close */
	SSL *ssl;
	char *frame; /* a long request under way */
	size_t frame_n, frame_got, charged;
	int64_t frame_since; /* monotonic ms */
	struct mqs_request *first, *last;
	unsigned queued, running;
	bool produce_only; /* all that run are Produce */
	int64_t muted_until, active_ms; /* monotonic ms */
	size_t rn;
	char rbuf[RBUF];
};

struct mqs_loop {
	struct mqs_server *server;
	unsigned number;
	uv_loop_t uv;
	pthread_t thread;
	bool running;
	uv_async_t wake;
	uv_timer_t tick;
	uv_poll_t inbox_poll;
	struct plog_inbox *inbox;
	int held;
	int64_t stop_since;
	pthread_mutex_t lock;
	struct mqs_task *tasks, **tasks_end;
	struct {
		int fd;
		const struct mqs_listener *listener;
	} * fds;
	size_t n_fds, cap_fds;
	struct mqs_conn *conns;
	struct mqs_request *requests;
	struct arena *spare[SPARE_ARENAS];
	unsigned n_spare, turn;
};

struct listening {
	uv_poll_t poll;
	int fd;
	const struct mqs_listener *listener;
	struct mqs_server *server;
};

struct mqs_server {
	struct mqs_options options;
	SSL_CTX *tls;
	int spare_fd; /* given up to refuse a connection when there are no descriptors left */
	struct mqs_loop *loops;
	unsigned n_loops, next_loop;
	struct listening listening[8];
	unsigned n_listening;
	atomic_bool stopping;
	atomic_int held;
	struct mqs_stats stats;
	pthread_t worker;
	bool worker_running, worker_stop;
	pthread_mutex_t work_lock;
	pthread_cond_t work_wake;
	struct mqs_request *work, **work_end;
};

extern _Thread_local struct mqs_loop *mqs__here;

void mqs__conn_open(struct mqs_loop *loop, int fd, const struct mqs_listener *listener);
void mqs__conn_close(struct mqs_conn *c);
void mqs__conn_go(struct mqs_conn *c); /* sends, starts, reads what can be */
void mqs__conn_tick(struct mqs_conn *c, int64_t now);
void mqs__conn_unref(struct mqs_conn *c);
void mqs__conn_queue(struct mqs_conn *c, struct mqs_request *rq);
/* Sends what is ready. False when the connection was closed. */
bool mqs__conn_flush(struct mqs_conn *c);
ssize_t mqs__conn_recv(struct mqs_conn *c, char *p, size_t n);

/* Takes the frame. NULL when the request is not to be understood: the connection has to go. */
struct mqs_request *mqs__request_new(struct mqs_conn *c, char *frame, size_t n, size_t charged);
void mqs__request_free(struct mqs_request *rq);
void mqs__request_start(struct mqs_request *rq);
void mqs__uncharge(struct mqs_server *s, size_t *charged);

int mqs__loops_start(struct mqs_server *s, struct err *err);
int mqs__loops_run(struct mqs_server *s, struct err *err);
void mqs__loops_join(struct mqs_server *s);
void mqs__loops_free(struct mqs_server *s);

#endif
