/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KCLIENT_RDKAFKA_H
#define KCLIENT_RDKAFKA_H

#include "kclient/kclient.h"

#include <librdkafka/rdkafka.h>

/* librdkafka on connections that log in. Its own SCRAM was wrong before 2.6.1, and Apache Kafka refuses it since 4.0:
 * then our own client logs in and passes the bytes on. */

/* Sets protocol, mechanism, user, password and ca_file. on_connect is set as the callback of that name where our own
 * client is to log in; it calls kclient_rdkafka_connect() and gets conf's opaque, which stays the caller's. Returns
 * NULL, or the name of the setting that the library refuses. settings may go afterwards. */
const char *kclient_rdkafka_secure(rd_kafka_conf_t *conf, const struct kclient_settings *settings,
				   int (*on_connect)(int fd, const struct sockaddr *to, int size, const char *id,
						     void *opaque));

/* In the callback: makes fd one end of a pair of sockets, behind whose other end a thread logs in to the server that id
 * names and passes bytes on until the library closes fd. settings.servers is not used; settings may go afterwards.
 * Returns 0 or an errno, for the library. Any thread. */
int kclient_rdkafka_connect(const struct kclient_settings *settings, int fd, const char *id);

/* Before the process ends and after the library's handles are gone: waits a second at most until the threads have seen
 * it, so that none is within OpenSSL while that is taken down. */
void kclient_rdkafka_end(void);

#endif
