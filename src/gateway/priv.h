/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_PRIV_H
#define GATEWAY_PRIV_H

/* nginx's headers are not ours to lint. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wformat=2"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_event_connect.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>
#pragma GCC diagnostic pop

#include "base/arena.h"
#include "base/err.h"
#include "policy/request.h"
#include "published/published.h"
#include "published/router.h"
#include "sign/sign.h"

#include <stdatomic.h>

/* The gateway: one call of a published API. Everything runs in the worker's only thread. A call is a list of steps
 * (route.c); what it needs beyond routing is copied out of the published state into its arena. */

extern ngx_module_t ngx_http_appia_module;
extern ngx_module_t ngx_http_appia_filter_module;

/* configuration ---------------------------------------------------------------------------------------------------- */

struct gateway_main_conf {
	ngx_str_t published; /* directory; empty: not set */
	size_t map_bytes;
	ngx_str_t key_file;
	struct sockaddr_storage worker; /* socket of appia-worker; family 0: none */
	socklen_t worker_len;
	ngx_str_t worker_name;
	ngx_str_t trusted; /* CA bundle for verified back ends */
	ngx_int_t keepalive, keepalive_per_key;
	ngx_msec_t keepalive_idle;
	ngx_shm_zone_t *zone;
	size_t zone_bytes;
	ngx_hash_t header_classes;
	ngx_http_upstream_conf_t upstream; /* copied per request */
	ngx_ssl_t ssl, ssl_verify;
	ngx_thread_pool_t *threads; /* for name resolution */
};

struct gateway_srv_conf {
	ngx_flag_t enabled; /* some location of the server is a gateway: errors of nginx itself get our form */
};

struct gateway_loc_conf {
	ngx_flag_t enabled, appcode_plain, raw_path;
	ngx_int_t https_port; /* where plain calls are sent */
};

/* request ---------------------------------------------------------------------------------------------------------- */

/* What a request header means to the gateway. */
enum gateway_header {
	HEADER_PLAIN,
	HEADER_HOP,
	HEADER_CONNECTION,
	HEADER_UPGRADE,
	HEADER_AUTHORIZATION,
	HEADER_TOKEN,
	HEADER_APPCODE,
	HEADER_STAGE,
	HEADER_MODE,
	HEADER_OURS,
	HEADER_FORWARDED_FOR,
	HEADER_DATE,
	HEADER_PAYLOAD,
	HEADER_SECRET,
	HEADER_SECURITY_TOKEN,
	HEADER_LAYER
};

struct gateway_addr {
	struct sockaddr_storage sa;
	socklen_t len;
};

#define GATEWAY_ADDRS_MAX 8
#define GATEWAY_POOL_KEY_MAX 512

/* Where the current call goes, and the connection attempt's state (pool.c). */
struct gateway_peer {
	struct gateway_addr *addrs;
	size_t n_addrs, at; /* at: the one in use */
	size_t addrs_left; /* not tried yet */
	unsigned retries_left;
	ngx_str_t name; /* for logs */
	ngx_str_t sni;
	bool tls, verify;
	size_t key_len;
	u_char key[GATEWAY_POOL_KEY_MAX];
};

struct gateway_ctx {
	ngx_http_request_t *r;
	struct arena *arena;
	struct err err;
	unsigned step;
	ngx_int_t rc; /* of an answer given by a step */
	char request_id[33];
	bool answered; /* the answer is ours: the filter leaves its body alone */
	bool replace; /* nginx's own error page: the filter writes our body instead */
	bool from_backend;
	bool debug; /* X-Apig-Mode: debug */
	bool websocket;
	bool counted;

	/* the request */
	struct sign_pair *headers;
	unsigned char *header_class; /* enum gateway_header */
	size_t n_headers;
	struct str raw_path, query, path;
	struct str authorization, token, security_token, appcode, stage, sdk_date, payload_hash, layer;
	int layers; /* calls of APIs that this one is made for, itself included */
	struct str connection; /* tokens of Connection */

	/* what it was routed to; copied */
	struct str group_id, server_name;
	bool debugging, redirect;
	struct pub_api api;
	bool has_api;
	struct str counter; /* key of its cell */
	struct sign_pair *path_params;
	size_t n_path_params;
	struct str tail;

	/* who calls */
	struct sign_header sign;
	struct str sign_secret; /* the signature is still to be verified */
	struct str sign_ak;
	bool signed_app;
	struct str app_id, app_name, user_id;
	bool app_authorised;
	struct sign_hash *hash; /* of the body, while it arrives */

	/* to the back end */
	struct policy_request request;
	struct policy_target target;
	struct str host_header;
	struct gateway_peer peer;
	ngx_http_upstream_conf_t upstream;
	ngx_http_status_t status;
	ngx_http_chunked_t chunked;
	bool head; /* the back end's answer has no body */
	bool length_seen;
	struct gateway_waiter *waiter;
};

/* one worker process ----------------------------------------------------------------------------------------------- */

#define GATEWAY_ARENAS 64
#define GATEWAY_ARENA_MAX ((size_t)16 << 20)
#define GATEWAY_HEAD_MAX ((off_t)512 << 10) /* bytes of request line and headers */

struct gateway_worker {
	struct gateway_main_conf *conf;
	struct pub *pub;
	struct pub_view *view;
	ngx_msec_t next_open; /* not before this time */
	dev_t dev;
	ino_t ino;
	struct sign_keyring *keys;
	struct policy_regexps *regexps;
	struct arena *arenas[GATEWAY_ARENAS];
	size_t n_arenas;
	uint64_t id_seed, id_count;
};

extern struct gateway_worker gateway_worker;

/* nginx's strings and ours */
static inline struct str gateway_str(ngx_str_t s)
{
	return (struct str){(const char *)s.data, s.len};
}

/* Text of nginx's is not const anywhere, although it only reads it. */
static inline ngx_str_t gateway_ngx(struct str s)
{
	union {
		const char *in;
		u_char *out;
	} p = {s.p};

	return (ngx_str_t){s.n, p.out};
}

#define GATEWAY_CTX(r) ((struct gateway_ctx *)ngx_http_get_module_ctx((r), ngx_http_appia_module))

/* context.c: the request's context, made on first use; NULL: out of memory. */
struct gateway_ctx *gateway_ctx_get(ngx_http_request_t *r);
int gateway_worker_init(ngx_cycle_t *cycle);
void gateway_worker_exit(void);
/* The newest state of the published configuration, until gateway_view_end(); NULL when there is none. */
struct pub_view *gateway_view(ngx_log_t *log);
void gateway_view_end(void);

/* route.c: content handler, and going on after the body or a name is there. */
ngx_int_t gateway_handle(ngx_http_request_t *r);
void gateway_resume(struct gateway_ctx *ctx);

/* Steps return NGX_OK (go on), NGX_AGAIN (suspended with a reference of its own; gateway_resume() follows or has been),
 * NGX_DONE (the upstream took the call), NGX_DECLINED (answered; ctx->rc is what to finalise with) or NGX_ERROR
 * (ctx->err says why). */
ngx_int_t gateway_step_headers(struct gateway_ctx *ctx); /* params.c */
ngx_int_t gateway_step_authenticate(struct gateway_ctx *ctx); /* auth.c */
ngx_int_t gateway_step_signature(struct gateway_ctx *ctx); /* auth.c */
ngx_int_t gateway_step_authorise(struct gateway_ctx *ctx); /* auth.c */
ngx_int_t gateway_step_body_signed(struct gateway_ctx *ctx); /* body.c */
ngx_int_t gateway_step_validate(struct gateway_ctx *ctx); /* params.c */
ngx_int_t gateway_step_map(struct gateway_ctx *ctx); /* params.c */
ngx_int_t gateway_step_body(struct gateway_ctx *ctx); /* body.c */
ngx_int_t gateway_step_backend(struct gateway_ctx *ctx); /* upstream.c */
ngx_int_t gateway_step_forward(struct gateway_ctx *ctx); /* upstream.c */

void gateway_secrets_wipe(void); /* auth.c */

/* body.c: hashes bodies while they arrive */
ngx_int_t gateway_body_filter_init(ngx_conf_t *cf);

/* resolve.c: addresses of host and port without blocking. NGX_OK, NGX_AGAIN (the call is resumed) or NGX_ERROR. */
ngx_int_t gateway_resolve(struct gateway_ctx *ctx, struct str host, unsigned port);
void gateway_resolve_cancel(struct gateway_ctx *ctx);

/* pool.c */
int gateway_pool_init(const struct gateway_main_conf *conf);
ngx_int_t gateway_peer_init(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us);

/* upstream.c */
char *gateway_upstream_conf(ngx_conf_t *cf, struct gateway_main_conf *conf);

/* answer.c: error body, or any body, with all of our headers. */
ngx_int_t gateway_answer_error(struct gateway_ctx *ctx);
ngx_int_t gateway_answer(ngx_http_request_t *r, ngx_uint_t status, struct str type, struct str body);

/* filter.c */
ngx_int_t gateway_filter_init(ngx_conf_t *cf);

/* log.c: counts the call when it is over; variables for access logs. */
ngx_int_t gateway_log(ngx_http_request_t *r);
ngx_int_t gateway_variables_add(ngx_conf_t *cf);

/* shm.c: counters shared by all workers. Fixed tables; without locks. */
enum gateway_counter {
	COUNT_REQUESTS,
	COUNT_2XX,
	COUNT_3XX,
	COUNT_4XX,
	COUNT_5XX,
	COUNT_BYTES_IN,
	COUNT_BYTES_OUT,
	COUNT_MS,
	COUNT_BACKEND_MS,
	GATEWAY_COUNTERS
};

/* Three cache lines; counting touches the first two, unless the key is long. */
struct gateway_cell {
	_Alignas(64) _Atomic uint32_t state;
	uint32_t hash;
	_Atomic uint64_t counts[GATEWAY_COUNTERS];
	char key[112];
};

ngx_int_t gateway_shm_init(ngx_shm_zone_t *zone, void *old);
/* The cell of a key, made when it is new; NULL when the table is full (counted). */
struct gateway_cell *gateway_shm_cell(struct str key);
/* The cell will be wanted soon: with many APIs it is in no cache. */
void gateway_shm_prefetch(struct str key);
size_t gateway_shm_cells(struct gateway_cell **ret);
uint64_t gateway_shm_lost(void);
/* One more call in the window that now_ms lies in; false when max was reached already. */
bool gateway_shm_limit(struct str key, int64_t now_ms, int64_t window_ms, uint32_t max);
/* Failures in a row: true while the key is locked; note(false) counts one, note(true) clears. */
bool gateway_shm_locked(struct str key, int64_t now_ms);
void gateway_shm_note(struct str key, bool ok, int64_t now_ms);

/* tls.c: certificates of bound names. init() when all server{} are known. */
ngx_int_t gateway_tls_init(ngx_conf_t *cf);
void gateway_tls_exit(void);
/* Whether the client showed a certificate under this name that the name's roots vouch for. */
bool gateway_tls_client_ok(const ngx_http_request_t *r, struct str host);

/* status.c */
ngx_int_t gateway_metrics(ngx_http_request_t *r);

#endif
