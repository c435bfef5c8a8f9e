/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/mem.h"
#include "broker/server/priv.h"
#include "kafka_msg.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_poll(uv_poll_t *poll, int status, int events);

void mqs__conn_unref(struct mqs_conn *c)
{
	if (--c->refs)
		return;
	if (c->peer.free_state)
		c->peer.free_state(c->peer.sasl_state);
	free(c->frame);
	free(c);
}

static void on_closed(uv_handle_t *h)
{
	struct mqs_conn *c = h->data;

	if (--c->handles)
		return;
	SSL_free(c->ssl);
	close(c->fd);
	mqs__conn_unref(c);
}

void mqs__conn_close(struct mqs_conn *c)
{
	if (c->closing)
		return;
	c->closing = true;
	if (c->prev)
		c->prev->next = c->next;
	else
		c->loop->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	mqs__uncharge(c->server, &c->charged);
	atomic_fetch_sub(&c->server->stats.connections, 1);
	uv_poll_stop(&c->poll);
	uv_timer_stop(&c->timer);
	c->timer_rq = NULL;
	uv_close((uv_handle_t *)&c->poll, on_closed);
	uv_close((uv_handle_t *)&c->timer, on_closed);
	uv_close((uv_handle_t *)&c->unmute, on_closed);
	/* Requests that run are told, and go when they are answered; the others go now. */
	for (struct mqs_request *rq = c->first, *next; rq; rq = next) {
		next = rq->next;
		rq->next = NULL;
		if (!rq->started || rq->done)
			mqs__request_free(rq);
		else if (rq->cancel)
			rq->cancel(rq);
	}
	c->first = c->last = NULL;
	if (c->peer.gone && !atomic_load(&c->server->stopping))
		c->peer.gone(c->server->options.broker, (uint64_t)(uintptr_t)c);
}

static void host_text(int fd, char *buf, size_t n)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	snprintf(buf, n, "unknown");
	if (getpeername(fd, (struct sockaddr *)&ss, &len) != 0)
		return;
	if (ss.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&ss)->sin_addr, buf, (socklen_t)n);
	else if (ss.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&ss)->sin6_addr, buf, (socklen_t)n);
}

/* A peer on this machine: the name of its host, which host_text() made, is ours too. */
static bool is_local(int fd, const char *peer)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char own[INET6_ADDRSTRLEN] = "";

	if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
		return false;
	if (ss.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)&ss)->sin_addr, own, sizeof(own));
	else if (ss.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&ss)->sin6_addr, own, sizeof(own));
	return strcmp(own, peer) == 0;
}

static void tune(int fd, const char *peer)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	/* Where there is no network, one that guesses how fast it is (BBR) only paces with timers: a third of the time
	 * of a consumer's fetches. Reno is in every kernel, and just goes on without losses. */
	if (is_local(fd, peer))
		setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", strlen("reno"));
}

/* Of a connection that no loop knows yet. */
static void give_up(struct mqs_conn *c)
{
	atomic_fetch_sub(&c->server->stats.connections, 1);
	SSL_free(c->ssl);
	close(c->fd);
	free(c);
}

void mqs__conn_open(struct mqs_loop *loop, int fd, const struct mqs_listener *listener)
{
	struct mqs_conn *c = mem_zalloc(sizeof(*c));

	c->loop = loop;
	c->server = loop->server;
	c->listener = listener;
	c->fd = fd;
	c->active_ms = clock_mono_ms();
	c->peer.sasl = listener->sasl;
	c->peer.tls = listener->tls;
	c->peer.authenticated = !listener->sasl;
	snprintf(c->peer.user, sizeof(c->peer.user), "ANONYMOUS");
	host_text(fd, c->peer.host, sizeof(c->peer.host));
	if (c->server->options.admit && !c->server->options.admit(c->server->options.broker, c->peer.host)) {
		atomic_fetch_add(&c->server->stats.refused, 1);
		give_up(c);
		return;
	}
	tune(fd, c->peer.host);
	if (listener->tls) {
		c->ssl = SSL_new(c->server->tls);
		if (!c->ssl || !SSL_set_fd(c->ssl, fd)) {
			give_up(c);
			return;
		}
		SSL_set_accept_state(c->ssl);
	}
	c->refs = 1;
	c->handles = 3;
	uv_poll_init(&loop->uv, &c->poll, fd);
	uv_timer_init(&loop->uv, &c->timer);
	uv_timer_init(&loop->uv, &c->unmute);
	c->poll.data = c->timer.data = c->unmute.data = c;
	c->next = loop->conns;
	if (loop->conns)
		loop->conns->prev = c;
	loop->conns = c;
	c->events = UV_READABLE;
	uv_poll_start(&c->poll, c->events, on_poll);
}

/* ---- receiving ---- */

/* As recv(): 0 at the end, -1 with errno EAGAIN when there is nothing. */
ssize_t mqs__conn_recv(struct mqs_conn *c, char *p, size_t n)
{
	if (!c->ssl)
		return recv(c->fd, p, n, 0);
	ERR_clear_error(); /* what another connection of the thread left would be taken for this one's */
	int got = SSL_read(c->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);

	if (got > 0)
		return got;
	int e = SSL_get_error(c->ssl, got);

	c->want_write = c->want_write || e == SSL_ERROR_WANT_WRITE;
	errno = EAGAIN;
	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? -1 : 0;
}

void mqs__conn_queue(struct mqs_conn *c, struct mqs_request *rq)
{
	if (c->last)
		c->last->next = rq;
	else
		c->first = rq;
	c->last = rq;
	c->queued++;
}

static bool take(struct mqs_conn *c, char *frame, size_t n, size_t charged)
{
	struct mqs_request *rq = mqs__request_new(c, frame, n, charged);

	if (!rq)
		return false;
	mqs__conn_queue(c, rq);
	return true;
}

/* Memory for a long request; waits when there is too much under way. */
static bool charge(struct mqs_conn *c, size_t n)
{
	struct mqs_stats *st = &c->server->stats;

	if (n < BIG_FRAME)
		return true;
	size_t before = atomic_fetch_add(&st->memory, n);

	c->starved = before > 0 && before + n > c->server->options.memory_max;
	if (c->starved)
		atomic_fetch_sub(&st->memory, n);
	else
		c->charged = n;
	return !c->starved;
}

/* Cuts requests out of rbuf. False when the connection must go. */
static bool parse(struct mqs_conn *c)
{
	size_t at = 0;

	while (c->rn - at >= 4 && !c->frame && c->queued < PIPELINE) {
		int32_t len = (int32_t)kafka_load32(c->rbuf + at);
		size_t n = (size_t)len, have = c->rn - at - 4;
		size_t max = c->peer.authenticated ? c->server->options.request_max : RBUF * 4;

		if (len < 8 || n > max)
			return false;
		if (have < n && n + 4 <= RBUF)
			break;
		if (!charge(c, n))
			break;
		char *frame = mem_try(n);

		if (!frame)
			return false;
		memcpy(frame, c->rbuf + at + 4, have < n ? have : n);
		if (have < n) {
			c->frame = frame;
			c->frame_n = n;
			c->frame_got = have;
			c->frame_since = clock_mono_ms();
			at = c->rn;
			break;
		}
		at += 4 + n;
		size_t charged = c->charged;

		c->charged = 0;
		if (!take(c, frame, n, charged))
			return false;
	}
	memmove(c->rbuf, c->rbuf + at, c->rn - at);
	c->rn -= at;
	return true;
}

static bool readable(const struct mqs_conn *c)
{
	return !c->closing && !c->parting && c->queued < PIPELINE && !c->starved && (c->frame || c->rn < RBUF);
}

/* False when the connection must go. */
static bool receive(struct mqs_conn *c)
{
	size_t turn = 0;

	if (!parse(c))
		return false;
	while (readable(c) && turn < READ_TURN) {
		char *p = c->frame ? c->frame + c->frame_got : c->rbuf + c->rn;
		size_t room = c->frame ? c->frame_n - c->frame_got : RBUF - c->rn;
		ssize_t n = mqs__conn_recv(c, p, room);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n <= 0)
			return false;
		turn += (size_t)n;
		c->active_ms = clock_mono_ms();
		if (!c->frame) {
			c->rn += (size_t)n;
		} else if ((c->frame_got += (size_t)n) == c->frame_n) {
			char *frame = c->frame;
			size_t charged = c->charged;

			c->frame = NULL;
			c->charged = 0;
			if (!take(c, frame, c->frame_n, charged))
				return false;
		}
		if (!parse(c))
			return false;
		/* A short read of a plain socket has emptied it. */
		if (!c->ssl && (size_t)n < room)
			return true;
	}
	return true;
}

/* ---- starting ---- */

static void pump(struct mqs_conn *c)
{
	struct mqs_request *rq = c->first;

	c->pumping = true;
	for (; rq && !c->closing; rq = rq->next) {
		if (rq->started || rq->done)
			continue;
		if (atomic_load_explicit(&c->server->stopping, memory_order_relaxed))
			break; /* what runs is answered, nothing begins */
		bool produce = rq->head.key == KAFKA_API_PRODUCE;

		if (c->running && !(produce && c->produce_only))
			break;
		c->produce_only = produce;
		mqs__request_start(rq);
	}
	c->pumping = false;
}

static void update(struct mqs_conn *c)
{
	bool muted = c->muted_until > 0;
	int events = (c->parting || (readable(c) && !muted) ? UV_READABLE : 0) | (c->want_write ? UV_WRITABLE : 0) |
		     (c->half ? 0 : UV_DISCONNECT);

	if (c->closing || events == c->events)
		return;
	c->events = events;
	uv_poll_start(&c->poll, events, on_poll);
}

static void go(struct mqs_conn *c)
{
	if (c->closing || c->parting)
		return;
	/* A muted peer gets what is under way. */
	bool open = !c->muted_until || mqs__conn_flush(c);

	for (size_t before = SIZE_MAX; open && before != c->rn && !c->muted_until;) {
		pump(c);
		open = mqs__conn_flush(c);
		before = c->rn;
		if (open && !parse(c)) {
			mqs__conn_close(c);
			return;
		}
	}
	update(c);
}

void mqs__conn_go(struct mqs_conn *c)
{
	c->refs++;
	go(c);
	/* Bytes that TLS holds already make no event: not now, and not when there is room for them again. */
	while (!c->closing && c->ssl && readable(c) && !c->muted_until && SSL_pending(c->ssl) > 0) {
		if (receive(c))
			go(c);
		else
			mqs__conn_close(c);
	}
	mqs__conn_unref(c);
}

static bool handshake(struct mqs_conn *c)
{
	if (!c->ssl || c->tls_ready)
		return true;
	ERR_clear_error();
	int n = SSL_do_handshake(c->ssl);

	if (n == 1) {
		c->tls_ready = true;
		c->want_write = false;
		return true;
	}
	int e = SSL_get_error(c->ssl, n);

	c->want_write = e == SSL_ERROR_WANT_WRITE;
	if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
		mqs__conn_close(c);
	else
		update(c);
	return false;
}

/* Of a peer that has got its last answer. */
static void waste(struct mqs_conn *c)
{
	char bytes[4096];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		mqs__conn_close(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct mqs_conn *c = poll->data;

	if (status < 0) {
		mqs__conn_close(c);
		return;
	}
	if (c->parting) {
		waste(c);
		return;
	}
	if (!handshake(c))
		return;
	if (events & UV_WRITABLE)
		c->want_write = false;
	c->refs++;
	if ((events & UV_READABLE) || (c->ssl && SSL_pending(c->ssl) > 0)) {
		if (!receive(c))
			mqs__conn_close(c);
	} else if (events & UV_DISCONNECT) {
		/* The peer will send no more, and as it is not read now, it is not known where that ends. Who waits for
		 * records has gone; any other is read on when there is room. The event would come again at once. */
		c->half = true;
		if (c->running)
			mqs__conn_close(c);
	}
	mqs__conn_go(c);
	mqs__conn_unref(c);
}

/* Half of the memory for requests is taken, and this one takes some of it for longer than it needs at 1 MB/s. */
static bool hoards(const struct mqs_conn *c, int64_t now)
{
	return c->frame && c->charged && atomic_load(&c->server->stats.memory) > c->server->options.memory_max / 2 &&
	       now - c->frame_since > HOARD_MS + (int64_t)(c->frame_n / 1000);
}

void mqs__conn_tick(struct mqs_conn *c, int64_t now)
{
	if ((!c->first && now - c->active_ms > c->server->options.idle_ms) || hoards(c, now)) {
		mqs__conn_close(c);
	} else if (c->starved) {
		c->starved = false;
		mqs__conn_go(c);
	} else if (c->peer.expires_ms && clock_now_ms() > c->peer.expires_ms + 10000) {
		mqs__conn_close(c);
	}
}
