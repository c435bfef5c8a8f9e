/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "broker/server/priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

/* An answer is its bytes with slices of log files in between (struct kafka_gather). */

enum { SENT = 0, BLOCKED = -1, BROKEN = -2 };
enum { PART_MS = 1000 };

/* How much was sent; negative as above. */
static ssize_t tls_result(struct mqs_conn *c, ssize_t n)
{
	if (n > 0)
		return n;
	int e = SSL_get_error(c->ssl, (int)n);

	return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? BLOCKED : BROKEN;
}

static ssize_t tls_write(struct mqs_conn *c, const char *p, size_t n)
{
	ERR_clear_error();
	return tls_result(c, SSL_write(c->ssl, p, n > (1 << 20) ? 1 << 20 : (int)n));
}

static ssize_t plain_result(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? BLOCKED : BROKEN;
}

static ssize_t send_bytes(struct mqs_conn *c, const char *p, size_t n, bool more)
{
	return c->ssl ? tls_write(c, p, n) : plain_result(send(c->fd, p, n, MSG_NOSIGNAL | (more ? MSG_MORE : 0)));
}

static ssize_t send_file(struct mqs_conn *c, const struct plog_slice *s, size_t from)
{
	size_t n = s->len - from;

	if (s->memory)
		return send_bytes(c, s->memory + from, n > SEND_TURN ? SEND_TURN : n, false);
	off_t at = s->pos + (off_t)from;

	if (!c->ssl) {
		ssize_t sent = plain_result(sendfile(c->fd, s->fd, &at, n > SEND_TURN ? SEND_TURN : n));

		return sent == 0 ? BROKEN : sent; /* the file ended: it was cut */
	}
	/* Where the kernel encrypts (TLS_TX), it reads the file too. */
	if (BIO_get_ktls_send(SSL_get_wbio(c->ssl))) {
		ERR_clear_error();
		return tls_result(c, SSL_sendfile(c->ssl, s->fd, at, n > SEND_TURN ? SEND_TURN : n, 0));
	}
	/* SSL_write() must be repeated with the same bytes after it was blocked: they are read again from the same
	 * place, which log files keep. */
	static _Thread_local char block[64 * 1024];
	ssize_t got = pread(s->fd, block, n < sizeof(block) ? n : sizeof(block), at);

	return got <= 0 ? BROKEN : tls_write(c, block, (size_t)got);
}

/* The next part of an answer. *ret_end when it is complete. */
static ssize_t send_part(struct mqs_conn *c, struct mqs_request *rq, bool *ret_end)
{
	bool cuts = rq->cut < rq->gather.n;
	size_t until = cuts ? rq->gather.v[rq->cut].at : rq->out.n;

	*ret_end = false;
	if (rq->sent < until) {
		ssize_t n = send_bytes(c, rq->out.p + rq->sent, until - rq->sent, cuts);

		if (n > 0)
			rq->sent += (size_t)n;
		*ret_end = !cuts && rq->sent == until;
		return n;
	}
	if (!cuts) {
		*ret_end = true;
		return 0;
	}
	struct plog_read *r = (struct plog_read *)(uintptr_t)rq->gather.v[rq->cut].records.p;

	if (!r || rq->slice == r->n_slices) {
		rq->cut++;
		rq->slice = 0;
		*ret_end = rq->cut == rq->gather.n && rq->sent == rq->out.n;
		return 0;
	}
	ssize_t n = send_file(c, &r->slices[rq->slice], rq->cut_sent);

	if (n > 0 && (rq->cut_sent += (size_t)n) == r->slices[rq->slice].len) {
		rq->slice++;
		rq->cut_sent = 0;
	}
	return n;
}

/* SENT, BLOCKED or BROKEN. */
static int send_answer(struct mqs_conn *c, struct mqs_request *rq, size_t *turn)
{
	for (bool end = false; !end;) {
		if (*turn >= SEND_TURN)
			return BLOCKED;
		ssize_t n = send_part(c, rq, &end);

		if (n < 0)
			return (int)n;
		*turn += (size_t)n;
		atomic_fetch_add(&c->server->stats.bytes_out, (unsigned long long)n);
	}
	return SENT;
}

static void on_unmute(uv_timer_t *t)
{
	struct mqs_conn *c = t->data;

	if (c->parting) {
		mqs__conn_close(c);
		return;
	}
	/* Whatever the clock says: the loop's time lags behind it, so timers fire early, and there is no other call. */
	c->muted_until = 0;
	mqs__conn_go(c);
}

static void mute(struct mqs_conn *c, int32_t ms)
{
	int64_t until = clock_mono_ms() + ms;

	if (until <= c->muted_until)
		return;
	c->muted_until = until;
	uv_timer_start(&c->unmute, on_unmute, (uint64_t)ms + 1, 0);
}

/* Closing a socket while the peer still writes would reset it, and the peer might lose the last answer. */
static void part(struct mqs_conn *c)
{
	if (c->ssl)
		SSL_shutdown(c->ssl);
	shutdown(c->fd, SHUT_WR);
	c->parting = true;
	c->want_write = false;
	uv_timer_start(&c->unmute, on_unmute, PART_MS, 0);
}

bool mqs__conn_flush(struct mqs_conn *c)
{
	size_t turn = 0;

	while (!c->closing && c->first && c->first->done) {
		struct mqs_request *rq = c->first;

		if (rq->close) {
			mqs__conn_close(c);
			return false;
		}
		int rc = rq->silent ? SENT : send_answer(c, rq, &turn);

		if (rc == BLOCKED) {
			c->want_write = true;
			return true;
		}
		if (rc == BROKEN) {
			mqs__conn_close(c);
			return false;
		}
		c->active_ms = clock_mono_ms();
		c->first = rq->next;
		if (!c->first)
			c->last = NULL;
		c->queued--;
		int32_t pause = rq->throttle_ms;
		bool last = rq->last;

		mqs__request_free(rq);
		if (last) {
			part(c);
			return false;
		}
		if (pause > 0)
			mute(c, pause);
	}
	return !c->closing;
}
