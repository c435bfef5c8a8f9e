/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "kclient/priv.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int kclient__away(struct kclient *c, struct err *err, const char *why)
{
	return err_set_retriable(err, ERR_MQS_005000053, "Kafka at %.*s:%.*s does not answer (%s)", STR_FMT(c->host),
				 STR_FMT(c->port), why);
}

int kclient__unfit(struct kclient *c, struct err *err, const char *why)
{
	return err_set(err, ERR_MQS_005000070, "Kafka at %.*s:%.*s: %s", STR_FMT(c->host), STR_FMT(c->port), why);
}

/* False: the deadline is over. Errors of the socket show at the next read or write. */
static bool wait_for(const struct kclient *c, int fd, short events)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n;

	do {
		int64_t left = c->deadline_ms - clock_mono_ms();

		if (left <= 0)
			return false;
		n = poll(&p, 1, left > 60000 ? 60000 : (int)left);
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n > 0;
}

/* A connected socket, or -1 with *ret_why. */
static int connect_to(const struct kclient *c, const struct addrinfo *at, const char **ret_why)
{
	int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error = 0, on = 1;
	socklen_t size = sizeof(error);

	*ret_why = "nobody listens";
	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, at->ai_addr, at->ai_addrlen) == 0)
		return fd;
	if (errno == EINPROGRESS) {
		if (!wait_for(c, fd, POLLOUT))
			*ret_why = "no connection in time";
		else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
			return fd;
	}
	close(fd);
	return -1;
}

static int open_socket(struct kclient *c, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	const char *why = "nobody listens";

	if (getaddrinfo(c->host.p, c->port.p, &hints, &list))
		return kclient__away(c, err, "its name is not known");
	for (struct addrinfo *at = list; at && c->fd < 0; at = at->ai_next)
		c->fd = connect_to(c, at, &why);
	freeaddrinfo(list);
	return c->fd < 0 ? kclient__away(c, err, why) : 0;
}

/* After a call of OpenSSL that did not succeed: 0 when it is to be made again. */
static int tls_wait(struct kclient *c, int result, struct err *err)
{
	switch (SSL_get_error(c->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(c, c->fd, POLLIN) ? 0 : kclient__away(c, err, "no answer in time");
	case SSL_ERROR_WANT_WRITE:
		return wait_for(c, c->fd, POLLOUT) ? 0 : kclient__away(c, err, "no answer in time");
	default:
		return kclient__away(c, err, "the connection broke");
	}
}

static int tls_prepare(struct kclient *c, struct err *err)
{
	unsigned char address[16];

	c->ctx = SSL_CTX_new(TLS_client_method());
	if (!c->ctx || !SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION))
		return kclient__unfit(c, err, "TLS is not to be had");
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_load_verify_locations(c->ctx, arena_cstr(c->arena, c->settings->ca_file), NULL) != 1)
		return kclient__unfit(c, err, "the file of certificates to check its own against cannot be read");
	c->ssl = SSL_new(c->ctx);
	if (!c->ssl || !SSL_set_fd(c->ssl, c->fd))
		return kclient__unfit(c, err, "TLS is not to be had");
	SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (inet_pton(AF_INET, c->host.p, address) == 1 || inet_pton(AF_INET6, c->host.p, address) == 1) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl), c->host.p);
	} else {
		SSL_set_tlsext_host_name(c->ssl, c->host.p);
		SSL_set1_host(c->ssl, c->host.p);
	}
	return 0;
}

static int tls_open(struct kclient *c, struct err *err)
{
	char why[160];
	int rc = tls_prepare(c, err);

	while (rc == 0) {
		ERR_clear_error();
		int n = SSL_connect(c->ssl);

		if (n == 1)
			return 0;
		long verdict = SSL_get_verify_result(c->ssl);

		if (verdict != X509_V_OK) {
			snprintf(why, sizeof(why), "its certificate does not fit (%s)",
				 X509_verify_cert_error_string(verdict));
			rc = kclient__unfit(c, err, why);
		} else if (SSL_get_error(c->ssl, n) == SSL_ERROR_SSL) {
			rc = kclient__unfit(c, err, "it does not speak TLS there");
		} else {
			rc = tls_wait(c, n, err);
		}
	}
	ERR_clear_error();
	return rc;
}

int kclient__connect(struct kclient *c, struct err *err)
{
	struct str protocol = c->settings->protocol;
	int rc = open_socket(c, err);

	return rc || !(str_is(protocol, "ssl") || str_is(protocol, "sasl_ssl")) ? rc : tls_open(c, err);
}

int kclient__send(struct kclient *c, struct str bytes, struct err *err)
{
	int rc = 0;

	while (rc == 0 && bytes.n) {
		ERR_clear_error();
		ssize_t n =
			c->ssl ? SSL_write(c->ssl, bytes.p, (int)bytes.n) : send(c->fd, bytes.p, bytes.n, MSG_NOSIGNAL);

		if (n > 0)
			bytes = str_sub(bytes, (size_t)n, bytes.n);
		else if (c->ssl)
			rc = tls_wait(c, (int)n, err);
		else if (errno != EAGAIN && errno != EINTR)
			rc = kclient__away(c, err, "the connection broke");
		else if (!wait_for(c, c->fd, POLLOUT))
			rc = kclient__away(c, err, "no answer in time");
	}
	return rc;
}

int kclient__receive(struct kclient *c, char *p, size_t n, struct err *err)
{
	int rc = 0;

	while (rc == 0 && n) {
		ERR_clear_error();
		ssize_t got = c->ssl ? SSL_read(c->ssl, p, (int)n) : recv(c->fd, p, n, 0);

		if (got > 0) {
			p += got;
			n -= (size_t)got;
		} else if (c->ssl) {
			rc = tls_wait(c, (int)got, err);
		} else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
			rc = kclient__away(c, err, "the connection broke");
		} else if (!wait_for(c, c->fd, POLLIN)) {
			rc = kclient__away(c, err, "no answer in time");
		}
	}
	return rc;
}
