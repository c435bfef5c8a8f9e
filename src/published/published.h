/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PUBLISHED_PUBLISHED_H
#define PUBLISHED_PUBLISHED_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

/* The published state: what the data planes need at run time, in LMDB. One writer (appiad); readers in nginx workers,
 * appia-worker and later the brokers read it in place. Values are versioned, position-independent, little-endian and
 * bounds-checked. This header is the whole layout: writer and readers share it.
 *
 * Keys (text, '/'-separated):
 *   host/<lower-case host name>              pub_host      which API group answers on it
 *   default                                  pub_host      group DEFAULT, for calls by IP
 *   route/<group_id>/<env name>              compiled router (published/router.h); its api_id fields are the rest of
 *                                            an api key: "<env_id>/<api_id>"
 *   api/<env_id>/<api_id>                    pub_api
 *   app/<app_id>                             pub_app
 *   appkey/<app key>                         app id (text)
 *   appcode/<hex sha256 of the AppCode>      app id (text)
 *   auth/<env_id>/<api_id>/<app_id>          empty value: the app may call the API there
 *   user/<user_id>                           pub_user
 *   ak/<access key>                          pub_ak
 *   livedata/<ld_api_id>                     JSON document of struct internal_livedata (spec/internal), for
 * appia-worker datasource/<datasource_id>               JSON document of struct internal_datasource, secrets sealed
 *   cert/<lower-case host name>              pub_cert      how TLS is spoken under a bound domain name
 *   topic_right/<topic>/<app key>            JSON {"pub","sub","owner": bool, "pub_tags","sub_tags": [..]}; no
 *                                            tags: all
 *   meta/seq                                 u64: last outbox row projected
 *   meta/set_aside                           u64: objects that could not be projected; absent: none
 *   meta/layout                              PUB_LAYOUT: a state with another one is built anew by its writer
 */
#define PUB_LAYOUT STR("2")
#define PUB_SET_ASIDE STR("meta/set_aside")

struct pub; /* an open environment; any thread */

/* dir is one folder of its own; writer creates it. map_bytes is the writer's limit: growth beyond is refused with
 * ERR_APPIA_0507; readers need not know it. A reader before the first writer gets ERR_APPIA_0503, retriable. Once per
 * process and folder, and after fork(): an open environment does not survive it. Readers need to write the lock file
 * (group of the folder). */
int pub_open(const char *dir, size_t map_bytes, bool writer, struct pub **ret, struct err *err);
/* Views and batches must have ended. NULL is legal. */
void pub_close(struct pub *pub);

/* A consistent snapshot. Not longer than the routing of one request. One thread. */
struct pub_view;
/* ERR_APPIA_0503 (retriable) when more than 1024 views are open on the machine. */
int pub_view_begin(struct pub *pub, struct pub_view **ret, struct err *err);
void pub_view_end(struct pub_view **view);
/* Reusing one view, cheaper than beginning another: reset gives the snapshot up (then nothing is found), renew takes
 * the newest. After a failed renew the view is as after a reset. */
void pub_view_reset(struct pub_view *view);
int pub_view_renew(struct pub_view *view, struct err *err);
/* Makes the view remember where values are, as long as nothing newer is committed: worth its 2 MB in a process that
 * renews one view for every call. Remembers at most 49152 values and 16384 absent keys, and nothing when there is no
 * memory for it. */
void pub_view_cache(struct pub_view *view);
/* The value, in place (valid until the view ends, is reset or renewed); STR_NONE when absent. Allocates nothing. Keys
 * are built with pub_key(). */
struct str pub_get(struct pub_view *view, struct str key);
/* Builds "kind/a/b/c" in buf, which holds PUB_KEY_MAX bytes; STR_NONE, which is found nowhere, when it is longer. The
 * key ends before the first part that is STR_NONE. kind is without slash: pub_key(buf, "api", env_id, api_id,
 * STR_NONE). */
#define PUB_KEY_MAX 511
struct str pub_key(char *buf, const char *kind, struct str a, struct str b, struct str c);
/* The number at PUB_SET_ASIDE. */
uint64_t pub_set_aside(struct pub_view *view);
/* Walks keys with a prefix in order, from after (STR_NONE: from the first). False at the end. */
bool pub_next(struct pub_view *view, struct str prefix, struct str after, struct str *ret_key, struct str *ret_value);

/* One atomic change; one writer at a time, others wait in begin. Nothing is visible before commit; commit is durable.
 * After a failed write the batch can only be ended, and its commit fails too. One thread. */
struct pub_batch;
int pub_batch_begin(struct pub *pub, struct pub_batch **ret, struct err *err);
int pub_put(struct pub_batch *batch, struct str key, struct str value, struct err *err);
int pub_del(struct pub_batch *batch, struct str key, struct err *err);         /* absent: no error */
int pub_del_prefix(struct pub_batch *batch, struct str prefix, struct err *err);
/* Sees the batch's own writes; the value is good until the next write. */
struct str pub_batch_get(struct pub_batch *batch, struct str key);
/* Ends the batch also when it fails; then nothing was changed. */
int pub_batch_commit(struct pub_batch **batch, struct err *err);
/* *batch may be NULL. */
void pub_batch_abort(struct pub_batch **batch); /* NULL behind it is legal */

/* Values. pub_x_encode() appends the bytes; pub_x_decode() fills a struct whose strings point into the value, lists
 * into the arena; false when the value is damaged or of a newer version. */

struct pub_host {
	struct str group_id, instance_id;
	bool debugging;  /* the group's own sub-domain: 1000 calls a day */
	bool by_ip;      /* found by address, not by name */
	bool redirect;   /* plain HTTP is sent to HTTPS where the API is offered there */
	bool verify_client; /* only clients with a certificate that pub_cert.client_ca vouches for */
};

/* A name may have a certificate of each algorithm. */
struct pub_cert_key {
	struct str chain, sealed_key; /* PEM, the server's certificate first; base64 of sign_seal() */
};

struct pub_cert {
	unsigned min_version; /* of TLS, as on the wire: 0x0303 is TLS 1.2; 0: what the server says */
	struct str client_ca; /* PEM; empty: clients are not asked for certificates */
	struct pub_cert_key *keys;
	size_t n_keys;
};

enum pub_auth { PUB_AUTH_NONE, PUB_AUTH_APP, PUB_AUTH_IAM, PUB_AUTH_AUTHORIZER };
enum pub_backend { PUB_BACKEND_HTTP, PUB_BACKEND_MOCK, PUB_BACKEND_LIVEDATA };
enum pub_location { PUB_PATH, PUB_QUERY, PUB_HEADER };
enum pub_origin { PUB_REQUEST, PUB_CONSTANT, PUB_SYSTEM };
enum { PUB_PROTO_HTTP = 1, PUB_PROTO_HTTPS = 2 };

struct pub_param { /* a declared request parameter */
	struct str name;
	enum pub_location location;
	bool number;     /* NUMBER, else STRING */
	bool required, validate, pass_through;
	bool has_min, has_max;
	struct str min, max; /* NUMBER: decimal text bounds */
	int64_t min_len, max_len; /* STRING; 0: none */
	struct str regexp, enums /* comma-separated */, def;
};

struct pub_backend_param {
	struct str name; /* at the back end */
	enum pub_location location;
	enum pub_origin origin;
	struct str value; /* REQUEST: name of the request parameter; CONSTANT: value; SYSTEM: "$context.sourceIp" */
	enum pub_location from;  /* REQUEST: where the request parameter is */
};

struct pub_header {
	struct str name, value;
};

struct pub_api {
	struct str id, name, group_id, env_id, env_name, instance_id, project_id, app_id /* the owner's app */;
	struct str version_id;
	enum pub_auth auth;
	bool app_code, cors, prefix /* match mode SWA */;
	unsigned protocols; /* PUB_PROTO_* */
	struct str method /* "ANY" too */, path;
	enum pub_backend backend;
	/* HTTP; address is "host", "host:port" or "[v6]:port", env variables already resolved */
	bool tls, tls_verify;
	struct str address, host_header /* empty: the address */, backend_method, backend_path;
	int64_t timeout_ms, retries /* -1: once for idempotent methods */;
	struct str livedata_id;
	struct str mock_body;
	int64_t mock_status;
	struct pub_param *params;
	size_t n_params;
	struct pub_backend_param *backend_params;
	size_t n_backend_params;
	struct pub_header *mock_headers; /* of the answer, beside those the gateway makes itself */
	size_t n_mock_headers;
};

struct pub_app {
	struct str id, name, key, sealed_secret /* base64 of sign_seal() */, project_id;
	bool disabled;
};

struct pub_user {
	struct str id, name, domain_id;
	bool disabled;
	int64_t tokens_after_ms; /* tokens issued before are void */
};

struct pub_ak {
	struct str user_id, sealed_secret, project_id;
};

void pub_host_encode(struct buf *out, const struct pub_host *v);
bool pub_host_decode(struct str value, struct pub_host *ret);
void pub_cert_encode(struct buf *out, const struct pub_cert *v);
bool pub_cert_decode(struct str value, struct arena *a, struct pub_cert *ret);
void pub_api_encode(struct buf *out, const struct pub_api *v);
bool pub_api_decode(struct str value, struct arena *a, struct pub_api *ret);
void pub_app_encode(struct buf *out, const struct pub_app *v);
bool pub_app_decode(struct str value, struct pub_app *ret);
void pub_user_encode(struct buf *out, const struct pub_user *v);
bool pub_user_decode(struct str value, struct pub_user *ret);
void pub_ak_encode(struct buf *out, const struct pub_ak *v);
bool pub_ak_decode(struct str value, struct pub_ak *ret);

#endif
