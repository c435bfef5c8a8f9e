/* SPDX-License-Identifier: Apache-2.0 */
#include "httpd/httpd.h"

#include "base/mem.h"
#include "httpd/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HEAD_MAX ((size_t)64 << 10) /* request line and headers; also the read buffer for bodies */
#define BACKLOG 511
#define DEFAULT_CONNECTIONS 256
#define DEFAULT_MEMORY ((size_t)256 << 20)
#define LIBRARY_LIMIT 1000000u /* ours counts: see accept_loop() */

/* A socket file that nobody listens on any more may be replaced. */
static bool stale(const struct sockaddr_un *addr)
{
	struct stat st;

	if (lstat(addr->sun_path, &st) < 0)
		return errno == ENOENT;
	if (!S_ISSOCK(st.st_mode))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	bool alive = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0 || errno != ECONNREFUSED;

	close(fd);
	return !alive && unlink(addr->sun_path) == 0;
}

static int listen_at(const char *path, int *ret_fd, struct err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(addr.sun_path))
		return err_set_text(err, ERR_APPIA_0500, "the path of the socket is longer than %zu bytes",
				    sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, n);
	if (!stale(&addr))
		return err_set_text(err, ERR_APPIA_0500, "the socket is in use by another process");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* The mode is set before the name exists, so that at no time more may connect. */
	if (fd < 0 || fchmod(fd, 0660) < 0 || bind(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    chmod(path, 0660) < 0 || listen(fd, BACKLOG) < 0) {
		int why = errno;

		if (fd >= 0)
			close(fd);
		return err_set_text(err, ERR_APPIA_0500, "cannot listen on the socket: %s", strerror(why));
	}
	*ret_fd = fd;
	return 0;
}

static void on_connection(void *cls, struct MHD_Connection *m, void **context, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = conn_new(cls);
	} else if (*context) {
		conn_free(*context);
		*context = NULL;
		sem_post(&((struct httpd *)cls)->free_slots);
	}
}

/* Called with the raw target before the library takes it apart; what it returns is *request of the others. */
static void *on_target(void *cls, const char *uri, struct MHD_Connection *m)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(m, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct conn *c = info->socket_context;

	conn_reset(c);
	conn_target(c, uri);
	return c;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *m, const char *url, const char *method,
				  const char *version, const char *data, size_t *n, void **request)
{
	return conn_request(*request, m, method, data, n);
}

static void on_completed(void *cls, struct MHD_Connection *m, void **request, enum MHD_RequestTerminationCode code)
{
	if (*request)
		conn_completed(*request);
	*request = NULL;
}

/* Targets are handed on as they came. */
static size_t no_unescape(void *cls, struct MHD_Connection *m, char *s)
{
	return strlen(s);
}

/* The library alone would hang up on peers above the limit; here they wait in the kernel's queue. */
static void *accept_loop(void *arg)
{
	struct httpd *h = arg;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	for (;;) {
		while (sem_wait(&h->free_slots) < 0)
			; /* interrupted by a signal */
		int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			/* From here on the end of the connection gives the slot back; on failure fd is closed. */
			if (MHD_add_connection(h->daemon, fd, (struct sockaddr *)&addr, sizeof(addr)) == MHD_YES)
				continue;
		} else if (errno == EINVAL || errno == EBADF) {
			return NULL; /* httpd_stop() */
		}
		sem_post(&h->free_slots);
		if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
			usleep(10000); /* out of descriptors or memory */
	}
}

static bool start_threads(struct httpd *h)
{
	unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
			 MHD_USE_NO_LISTEN_SOCKET;

	h->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, h, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
				     h, MHD_OPTION_URI_LOG_CALLBACK, on_target, h, MHD_OPTION_NOTIFY_COMPLETED,
				     on_completed, h, MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, h,
				     MHD_OPTION_CONNECTION_LIMIT, LIBRARY_LIMIT, MHD_OPTION_CONNECTION_TIMEOUT,
				     h->options.idle_seconds, MHD_OPTION_CONNECTION_MEMORY_LIMIT, HEAD_MAX,
				     MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	if (!h->daemon)
		return false;
	if (pthread_create(&h->acceptor, NULL, accept_loop, h) == 0)
		return true;
	MHD_stop_daemon(h->daemon);
	return false;
}

static void release(struct httpd *h)
{
	unlink(h->path); /* before the descriptor goes: until then no successor takes the name */
	close(h->fd);
	sem_destroy(&h->free_slots);
	pthread_cond_destroy(&h->idle);
	pthread_mutex_destroy(&h->lock);
	free(h->path);
	free(h);
}

int httpd_start(const struct httpd_options *options, struct httpd **ret, struct err *err)
{
	int fd, rc = listen_at(options->socket_path, &fd, err);

	if (rc)
		return rc;
	struct httpd *h = mem_zalloc(sizeof(*h));

	h->options = *options;
	if (!h->options.memory_max)
		h->options.memory_max = DEFAULT_MEMORY;
	if (h->options.max_body > h->options.memory_max && h->options.max_body > HTTPD_SMALL_BODY)
		h->options.max_body = h->options.memory_max; /* it would never fit */
	h->path = mem_strdup(options->socket_path);
	h->fd = fd;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->idle, NULL);
	sem_init(&h->free_slots, 0, options->max_connections ? options->max_connections : DEFAULT_CONNECTIONS);
	if (!start_threads(h)) {
		release(h);
		return err_set_text(err, ERR_APPIA_0500, "cannot start the threads of the HTTP server");
	}
	*ret = h;
	return 0;
}

void httpd_stop(struct httpd *h)
{
	if (!h)
		return;
	shutdown(h->fd, SHUT_RDWR); /* wakes the acceptor */
	sem_post(&h->free_slots);
	pthread_join(h->acceptor, NULL);
	pthread_mutex_lock(&h->lock);
	h->stopping = true;
	while (h->running)
		pthread_cond_wait(&h->idle, &h->lock);
	pthread_mutex_unlock(&h->lock);
	MHD_stop_daemon(h->daemon);
	release(h);
}
