/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MQSREST_PRIV_H
#define MQSREST_PRIV_H

#include "base/map.h"
#include "kclient/rdkafka.h"
#include "mqsrest/handler.h"
#include "mqsrest/server.h"
#include "mqsrest/window.h"
#include "published/published.h"
#include "sign/sign.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>

/* Private to this folder. */

#define REST_MESSAGES_MAX 10
#define REST_CONTENT_MAX ((size_t)2 << 20) /* of all messages of a request, and what an answer may ask for */
#define REST_TAG_MARK "||" /* between the tags of a message */
#define REST_HANDLERS_MAX 100
#define REST_NAME_MAX 249

struct rest_stats {
	atomic_ullong requests, refused, produced, produce_failures, given, given_again, acknowledged, failed;
};

struct rest_producer;

struct rest_server {
	struct rest_options options;
	struct sign_keyring *keys;
	struct rest_stats stats;
	atomic_uint waiting;
	atomic_size_t bytes; /* of messages in hand */
	atomic_bool stopping;

	pthread_mutex_t pub_lock; /* for the one below */
	struct pub *pub; /* NULL until the control plane has made it */

	pthread_mutex_t producer_lock; /* for the one below */
	struct rest_producer *producer;

	pthread_mutex_t groups_lock; /* for the three below; before a group's own lock */
	pthread_cond_t groups_gone;
	struct map *groups; /* struct rest_group by "topic group" */
	unsigned open; /* threads of groups, those being closed too */
};

/* ---- kafka.c ---- */

/* Where our own client logs in: calls kclient_rdkafka_connect(). */
typedef int rest_kafka_connect(int fd, const struct sockaddr *to, int size, const char *id, void *opaque);
/* Settings that all our clients have in common; NULL with err. The caller gives it to rd_kafka_new() or destroys it.
 * opaque: of all callbacks. */
rd_kafka_conf_t *rest_kafka_conf(const struct rest_server *server, rest_kafka_connect *on_connect, void *opaque,
				 struct err *err);
/* Sets one of our own names and values; a refusal is a bug. */
void rest_kafka_set(rd_kafka_conf_t *conf, const char *name, const char *value);
/* Whether Kafka answers, within two seconds. */
bool rest_kafka_reachable(rd_kafka_t *rk);
/* Whether an error says that Kafka is not there, rather than that it refuses. */
bool rest_kafka_away(rd_kafka_resp_err_t code);
int rest_kafka_unavailable(struct err *err, const char *why);

/* ---- auth.c ---- */

struct rest_caller {
	struct str key, app_id;
	bool pub, sub;
	struct str_array pub_tags, sub_tags; /* n 0: all */
};

/* Who calls, by the signature, and what he may do with the topic. All in the request's arena. */
int rest_authenticate(struct rest_server *server, const struct httpd_request *req, struct str topic,
		      struct rest_caller *ret, struct err *err);
/* Whether text, tags with REST_TAG_MARK between, has one of the list. Of an empty list: always. */
bool rest_tags_any(const struct str_array *list, struct str text);
/* Whether all of its tags are in the list, and it has one. Of an empty list: always. */
bool rest_tags_all(const struct str_array *list, struct str text);

/* ---- request.c: bodies and parameters ---- */

struct rest_message {
	struct str content, id, tags; /* tags: STR_NONE without */
};

struct rest_ack {
	struct rest_handler handler;
	bool known; /* the handler is one */
	bool success; /* what became of the message */
};

struct rest_take {
	long long ack_wait_ms, time_wait_ms, max_messages, max_bytes;
};

int rest_read_messages(const struct httpd_request *req, struct rest_message **ret, size_t *ret_n, struct err *err);
int rest_read_acks(const struct httpd_request *req, struct rest_ack **ret, size_t *ret_n, struct err *err);
int rest_read_take(const struct httpd_request *req, struct rest_take *ret, struct err *err);

/* ---- producer.c ---- */

/* Waits until all are durable or given up. why[i] becomes NULL, or a static text that says why that message was
 * refused. ERR_APPIA_0503_BROKER_UNAVAILABLE: none was taken because Kafka is away. */
int rest_produce(struct rest_server *server, struct str topic, const struct rest_caller *caller,
		 const struct rest_message *messages, size_t n, const char **why, struct err *err);
void rest_producer_free(struct rest_server *server);

/* ---- group.c, take.c, commit.c ---- */

/* One that has consumed lately; who shares a group may see different messages. */
struct rest_member {
	struct rest_caller caller; /* strings are our own */
	struct arena *arena;
	int64_t seen_ms;
};

#define REST_MEMBERS_MAX 16

/* A message in hand: a copy, for one of the library's keeps all it was fetched with. One block of memory. */
struct rest_record {
	int64_t timestamp_ms;
	struct str key, content; /* key: STR_NONE without, as the three below */
	struct str tags, id; /* headers TAGS and message_id */
	struct str only; /* header consumer_key: the application that it was sent again for */
};

/* A partition that is ours, or was until the rebalance that goes on. */
struct rest_part {
	int32_t id;
	bool assigned, paused;
	uint64_t epoch; /* another one for each window */
	struct rest_window window;
};

/* An acknowledgement that waits for its commit. */
struct rest_waiter {
	struct rest_waiter *next;
	uint64_t number;
	bool done;
	rd_kafka_resp_err_t code;
};

/* The consumer of a topic for a group: a member of the Kafka group, whose thread reads ahead a little and serves
 * rebalances. Requests share it under its lock. */
struct rest_group {
	struct rest_server *server;
	char *topic, *name;
	struct str key; /* in rest_server.groups */
	rd_kafka_t *rk;
	int64_t session;

	/* With rest_server.groups_lock. */
	unsigned users;
	int64_t used_ms;
	bool stop;

	pthread_mutex_t lock; /* for all below */
	pthread_cond_t wake; /* a message came, a commit ended, the group has joined, or is stopped */
	struct rest_part *parts;
	size_t n_parts, turn; /* turn: the partition that is served first */
	struct rest_member members[REST_MEMBERS_MAX];
	bool joined; /* Kafka has said which partitions are ours */
	bool down; /* Kafka was away when we last heard of it */
	bool unknown; /* Kafka has no such topic */
	bool stopped;
	int64_t delivery; /* number of the last one */
	uint64_t epoch;
	size_t bytes; /* of this group within rest_server.bytes */

	struct rest_waiter *waiters;
	uint64_t number; /* of the last waiter */
	bool committing;
	int64_t committed_ms;
};

/* The consumer of the pair, held until rest_group_put(). When there is none it is opened, or without open NULL. */
int rest_group_get(struct rest_server *server, struct str topic, struct str name, bool open, struct rest_group **ret,
		   struct err *err);
void rest_group_put(struct rest_group *g);
/* Wakes those who wait, before all groups are closed; then waits until they are. */
void rest_groups_stop(struct rest_server *server);
void rest_groups_close(struct rest_server *server);

/* Goes on with partitions of which less is in hand by now. Lock held. */
void rest_group_resume(struct rest_group *g);
/* On g->wake, until a time of the monotonic clock at most. Lock held. */
void rest_group_wait(struct rest_group *g, int64_t until_ms);

/* Appends the messages as JSON, an array. */
int rest_group_take(struct rest_group *g, const struct rest_caller *caller, const struct rest_take *take,
		    struct arena *a, struct buf *out, struct err *err);

/* Counts those that Kafka has taken note of, durably. */
int rest_group_ack(struct rest_group *g, const struct rest_ack *acks, size_t n, size_t *ret_done, struct err *err);
/* Commits what is done; lock held, let go meanwhile. Needs that no other commit is under way. */
void rest_group_commit(struct rest_group *g);

#endif
