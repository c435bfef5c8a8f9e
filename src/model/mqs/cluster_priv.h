/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODEL_MQS_CLUSTER_PRIV_H
#define MODEL_MQS_CLUSTER_PRIV_H

#include "kclient/kclient.h"
#include "model/mqs/cluster.h"

#include <librdkafka/rdkafka.h>

/* Settings of a connection to the cluster, or NULL with m->err. The caller gives it to rd_kafka_new() or destroys
 * it. */
rd_kafka_conf_t *cluster__conf(struct model *m);
/* Sets one; our own names and values only: a refusal is a bug. */
void cluster__set(rd_kafka_conf_t *conf, const char *name, const char *value);
/* The connection that all administrative calls share; made at the first use. */
int cluster__handle(struct model *m, rd_kafka_t **ret);
/* Puts an error of the library into m->err, or returns one of CLUSTER_*. */
int cluster__fault(struct model *m, rd_kafka_resp_err_t code, const char *text);

/* How long a request to Kafka may last now: CLUSTER_WAIT_MS, and less towards the end of CLUSTER_CALL_MS. 0: not at
 * all. */
int64_t cluster__left_ms(const struct model *m);
/* ERR_MQS_005000053. */
int cluster__away(struct model *m, const char *why);
/* A code in an answer that is not 0. */
int cluster__refused(struct model *m, int code);

/* A connection of our own client, to a server "host:port" or (STR_NONE) one of the settings'; to be closed soon. It and
 * all its requests last at most wait_ms. */
int cluster__client(struct model *m, struct str server, int64_t wait_ms, struct kclient **ret);

/* How it connects and logs in. */
struct kclient_settings cluster__settings(const struct model_settings *settings);

/* "host:port" of a server that Kafka has named. */
struct str cluster__address(struct model *m, struct str host, int port);
/* The brokers; no topics. */
int cluster__metadata(struct model *m, struct kafka_metadata_res **ret);

/* One administrative request: begin, call the API with ask.rk, ask.options, ask.queue; await; read ask.event; end. */
struct cluster_ask {
	rd_kafka_t *rk;
	rd_kafka_queue_t *queue;
	rd_kafka_AdminOptions_t *options;
	rd_kafka_event_t *event;
};
int cluster__begin(struct model *m, struct cluster_ask *ask, rd_kafka_admin_op_t op);
int cluster__await(struct model *m, struct cluster_ask *ask);
void cluster__end(struct cluster_ask *ask);

#endif
