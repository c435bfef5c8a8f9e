/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "kclient/priv.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#define SIZE 65536

/* Bytes on their way in one direction. */
struct way {
	char p[SIZE];
	size_t n, at;
};

enum { GONE = -1, NOT_NOW = 0 };

static ssize_t verdict(ssize_t n)
{
	if (n > 0)
		return n;
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? NOT_NOW : GONE;
}

static ssize_t tls_verdict(struct kclient *c, int n, short *events)
{
	if (n > 0)
		return n;
	switch (SSL_get_error(c->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		*events |= POLLIN;
		return NOT_NOW;
	case SSL_ERROR_WANT_WRITE:
		*events |= POLLOUT;
		return NOT_NOW;
	default:
		return GONE;
	}
}

static ssize_t take(struct kclient *c, struct way *w, short *events)
{
	*events |= POLLIN;
	ERR_clear_error();
	return c->ssl ? tls_verdict(c, SSL_read(c->ssl, w->p, SIZE), events) : verdict(recv(c->fd, w->p, SIZE, 0));
}

static ssize_t give(struct kclient *c, const struct way *w, short *events)
{
	*events |= POLLOUT;
	ERR_clear_error();
	return c->ssl ? tls_verdict(c, SSL_write(c->ssl, w->p + w->at, (int)(w->n - w->at)), events)
		      : verdict(send(c->fd, w->p + w->at, w->n - w->at, MSG_NOSIGNAL));
}

/* Fills an empty way or empties a full one; false when a side is gone. */
static bool move(struct way *w, ssize_t n, bool *progress)
{
	if (n == GONE)
		return false;
	*progress |= n > 0;
	if (w->n == 0) {
		w->n = (size_t)n;
	} else {
		w->at += (size_t)n;
		if (w->at == w->n)
			w->at = w->n = 0;
	}
	return true;
}

/* A side that hung up while nothing is read from it would be told of again and again: what is on its way is lost then,
 * as when a connection breaks. */
static bool wait_for(struct pollfd p[2])
{
	poll(p, 2, -1);
	for (size_t i = 0; i < 2; i++)
		if (p[i].revents & (POLLHUP | POLLERR) && !(p[i].events & POLLIN))
			return false;
	return true;
}

void kclient_relay(struct kclient *c, int fd)
{
	struct way *up = mem_alloc(sizeof(*up)), *down = mem_alloc(sizeof(*down));
	bool open = true;

	up->n = up->at = down->n = down->at = 0;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (open) {
		struct pollfd p[2] = {{.fd = fd}, {.fd = c->fd}};
		bool progress = false;

		if (up->n == 0) {
			p[0].events |= POLLIN;
			open = move(up, verdict(recv(fd, up->p, SIZE, 0)), &progress);
		}
		if (open && up->n)
			open = move(up, give(c, up, &p[1].events), &progress);
		if (open && down->n == 0)
			open = move(down, take(c, down, &p[1].events), &progress);
		if (open && down->n) {
			p[0].events |= POLLOUT;
			open = move(down, verdict(send(fd, down->p + down->at, down->n - down->at, MSG_NOSIGNAL)),
				    &progress);
		}
		if (open && !progress)
			open = wait_for(p);
	}
	free(up);
	free(down);
}
