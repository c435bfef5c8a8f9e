/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "base/mem.h"
#include "broker/server/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- worker ---- */

static void *work(void *arg)
{
	struct mqs_server *s = arg;

	pthread_mutex_lock(&s->work_lock);
	for (;;) {
		struct mqs_request *rq = s->work;

		if (rq) {
			s->work = rq->work_next;
			if (!s->work)
				s->work_end = &s->work;
			pthread_mutex_unlock(&s->work_lock);
			rq->work(rq);
			mqs_server_hold(s, -1);
			pthread_mutex_lock(&s->work_lock);
		} else if (s->worker_stop) {
			break;
		} else {
			pthread_cond_wait(&s->work_wake, &s->work_lock);
		}
	}
	pthread_mutex_unlock(&s->work_lock);
	return NULL;
}

static int worker_start(struct mqs_server *s, struct err *err)
{
	s->work_end = &s->work;
	pthread_mutex_init(&s->work_lock, NULL);
	pthread_cond_init(&s->work_wake, NULL);
	if (pthread_create(&s->worker, NULL, work, s) != 0)
		return err_set(err, ERR_APPIA_0500, "a thread cannot be made");
	s->worker_running = true;
	return 0;
}

/* ---- listening ---- */

/* To the loops in turn. */
static void hand_over(struct mqs_server *s, int fd, const struct mqs_listener *listener)
{
	struct mqs_loop *loop = &s->loops[s->next_loop++ % s->n_loops];

	pthread_mutex_lock(&loop->lock);
	if (loop->n_fds == loop->cap_fds) {
		loop->cap_fds = loop->cap_fds ? loop->cap_fds * 2 : 16;
		loop->fds = mem_realloc(loop->fds, loop->cap_fds * sizeof(*loop->fds));
	}
	loop->fds[loop->n_fds].fd = fd;
	loop->fds[loop->n_fds++].listener = listener;
	pthread_mutex_unlock(&loop->lock);
	uv_async_send(&loop->wake);
}

/* Without a free descriptor a connection cannot even be refused, and the listener would be ready for ever: one
 * descriptor is kept for that. */
static bool refuse_one(struct mqs_server *s, int listener)
{
	if (s->spare_fd < 0)
		return false;
	close(s->spare_fd);
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		close(fd);
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	atomic_fetch_add(&s->stats.refused, fd >= 0);
	return fd >= 0;
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
	struct listening *l = poll->data;
	struct mqs_server *s = l->server;

	for (int i = 0; i < 64 && !atomic_load(&s->stopping); i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && (errno == EMFILE || errno == ENFILE) && refuse_one(s, l->fd))
			continue;
		if (fd < 0)
			return;
		atomic_fetch_add(&s->stats.accepted, 1);
		if (atomic_fetch_add(&s->stats.connections, 1) >= s->options.connections_max) {
			atomic_fetch_sub(&s->stats.connections, 1);
			atomic_fetch_add(&s->stats.refused, 1);
			close(fd);
			continue;
		}
		hand_over(s, fd, l->listener);
	}
}

static int listen_at(struct mqs_server *s, const struct mqs_listener *l, const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, 1024) != 0) {
		close(fd);
		return -1;
	}
	struct listening *g = &s->listening[s->n_listening++];

	*g = (struct listening){.fd = fd, .listener = l, .server = s};
	uv_poll_init(&s->loops[0].uv, &g->poll, fd);
	g->poll.data = g;
	uv_poll_start(&g->poll, UV_READABLE, on_accept);
	return 0;
}

static int listen_name(struct mqs_server *s, const struct mqs_listener *l, const char *host)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM}, *list;
	char port[16];
	int rc = -1;

	snprintf(port, sizeof(port), "%u", l->port);
	if (getaddrinfo(host, port, &hints, &list) != 0)
		return -1;
	for (struct addrinfo *ai = list; ai && s->n_listening < ARRAY_LEN(s->listening); ai = ai->ai_next)
		if (listen_at(s, l, ai) == 0)
			rc = 0;
	freeaddrinfo(list);
	return rc;
}

static int listen_all(struct mqs_server *s, struct err *err)
{
	for (unsigned i = 0; i < s->options.n_listeners; i++) {
		const struct mqs_listener *l = &s->options.listeners[i];

		if (listen_name(s, l, l->address) != 0)
			return err_set(err, ERR_APPIA_0500, "port %u of %s cannot be listened on: %s", l->port,
				       l->address, strerror(errno));
		/* Clients try ::1 first when they are told "localhost". */
		if (strcmp(l->address, "127.0.0.1") == 0)
			listen_name(s, l, "::1");
		else if (strcmp(l->address, "0.0.0.0") == 0)
			listen_name(s, l, "::");
	}
	return 0;
}

/* ---- TLS ---- */

static SSL_CTX *tls_new(const struct mqs_options *options, struct err *err)
{
	const char *cert = options->tls_cert, *key = options->tls_key;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
		SSL_CTX_free(ctx);
		err_set(err, ERR_APPIA_0500, "the certificate or key of TLS cannot be read");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	/* Without the kernel's help OpenSSL goes on as without the option. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
					 (options->no_kernel_tls ? 0 : SSL_OP_ENABLE_KTLS));
	return ctx;
}

static int tls_start(struct mqs_server *s, struct err *err)
{
	for (unsigned i = 0; i < s->options.n_listeners; i++)
		if (s->options.listeners[i].tls && !s->tls)
			s->tls = tls_new(&s->options, err);
		else
			continue;
	for (unsigned i = 0; i < s->options.n_listeners; i++)
		if (s->options.listeners[i].tls && !s->tls)
			return err->code;
	return 0;
}

/* ---- life ---- */

int mqs_server_start(const struct mqs_options *options, struct mqs_server **ret, struct err *err)
{
	struct mqs_server *s = mem_zalloc(sizeof(*s));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	s->options = *options;
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	s->n_loops = options->loops ? options->loops : cpus > 0 ? (unsigned)cpus : 1;
	*ret = s;
	int code = tls_start(s, err);

	if (code == 0)
		code = mqs__loops_start(s, err);
	if (code == 0)
		code = worker_start(s, err);
	return code;
}

int mqs_server_listen(struct mqs_server *s, struct err *err)
{
	int code = listen_all(s, err);

	return code ? code : mqs__loops_run(s, err);
}

void mqs_server_stop(struct mqs_server *s)
{
	atomic_store(&s->stopping, true);
	mqs__loops_join(s);
	if (s->worker_running) {
		pthread_mutex_lock(&s->work_lock);
		s->worker_stop = true;
		pthread_cond_signal(&s->work_wake);
		pthread_mutex_unlock(&s->work_lock);
		pthread_join(s->worker, NULL);
		s->worker_running = false;
	}
}

void mqs_server_free(struct mqs_server *s)
{
	if (!s)
		return;
	mqs__loops_free(s);
	for (unsigned i = 0; i < s->n_listening; i++)
		close(s->listening[i].fd);
	SSL_CTX_free(s->tls);
	if (s->spare_fd >= 0)
		close(s->spare_fd);
	free(s);
}

void mqs_server_hold(struct mqs_server *s, int by)
{
	atomic_fetch_add(&s->held, by);
}

struct mqs_stats *mqs_server_stats(struct mqs_server *s)
{
	return &s->stats;
}

const struct mqs_options *mqs_server_options(const struct mqs_server *s)
{
	return &s->options;
}

struct mqs_loop *mqs_server_loop(struct mqs_server *s, unsigned i)
{
	return i < s->n_loops ? &s->loops[i] : NULL;
}
