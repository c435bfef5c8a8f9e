/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTPD_CONN_H
#define HTTPD_CONN_H

#include "httpd/httpd.h"

#include <microhttpd.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

/* Private to this folder. */
struct httpd {
	struct httpd_options options;
	char *path; /* of the socket, to be removed */
	int fd;
	struct MHD_Daemon *daemon;
	pthread_t acceptor;
	sem_t free_slots; /* connections that may still be opened */

	pthread_mutex_t lock; /* for the two below */
	pthread_cond_t idle; /* running became 0 */
	unsigned running; /* handlers, up to the last byte of their reply */
	atomic_size_t memory; /* of long bodies */
	bool stopping;
};

/* A connection, with the memory that its requests use one after the other. Belongs to the connection's thread. */
struct conn {
	struct httpd *httpd;
	struct arena *arena;
	struct buf body;
	struct httpd_request req;
	struct httpd_reply reply;
	size_t received, length; /* of the body; length as announced, 0: not known */
	size_t charged; /* in httpd.memory */
	int refused; /* error code: the rest of the body is read and dropped, then this is said; 0: none */
	bool started; /* the library has called back for this request */
	bool counted; /* in httpd.running */
	bool close; /* after this reply */
};

struct conn *conn_new(struct httpd *httpd);
void conn_free(struct conn *c);
/* Gets ready for the next request and gives back memory that only a big one needs. */
void conn_reset(struct conn *c);
/* Takes the raw request target. */
void conn_target(struct conn *c, const char *uri);
/* One call back of the library; see MHD_AccessHandlerCallback. */
enum MHD_Result conn_request(struct conn *c, struct MHD_Connection *m, const char *method, const char *data, size_t *n);
/* The reply is sent, or its connection is lost. */
void conn_completed(struct conn *c);

/* Fills req->headers from the library. False when the request is to be refused (400): Content-Length together with
 * Transfer-Encoding, more than one of either, more than one Host, folded lines, names that are no token, control
 * characters. */
bool check_headers(struct conn *c, struct MHD_Connection *m);
bool check_request_line(struct str method, struct str target, struct str query);

#endif
