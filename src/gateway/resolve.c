/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

#include "base/map.h"
#include "base/mem.h"

#include <netdb.h>
#include <stdlib.h>

/* Names of back ends. getaddrinfo() knows everything the machine knows (/etc/hosts, search lists, DNS) but blocks, so
 * it runs in nginx's thread pool; answers are kept per worker. A stale answer serves while it is refreshed, and for a
 * while when the refresh fails. */

#define FRESH_MS 30000
#define STALE_MS 600000
#define FAILED_MS 2000
#define NAMES_MAX 4096

struct gateway_waiter {
	ngx_queue_t queue;
	struct gateway_ctx *ctx;
};

struct name {
	char *host;
	struct gateway_addr addrs[GATEWAY_ADDRS_MAX];
	size_t n_addrs, turn;
	ngx_msec_t refresh_at, drop_at;
	bool pending;
	ngx_queue_t waiters;
	ngx_thread_task_t *task;
};

/* What the thread works on; it touches nothing else. */
struct lookup {
	struct name *name; /* for the event loop only */
	char host[256];
	struct gateway_addr addrs[GATEWAY_ADDRS_MAX];
	size_t n_addrs;
};

static struct map *names;

static void collect(struct lookup *lookup, const struct addrinfo *list, int family)
{
	for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
		struct gateway_addr *addr = &lookup->addrs[lookup->n_addrs];

		if (ai->ai_family != family || lookup->n_addrs == GATEWAY_ADDRS_MAX)
			continue;
		memcpy(&addr->sa, ai->ai_addr, ai->ai_addrlen);
		addr->len = ai->ai_addrlen;
		lookup->n_addrs++;
	}
}

static void look_up(void *data, ngx_log_t *log)
{
	struct lookup *lookup = data;
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG}, *list = NULL;

	lookup->n_addrs = 0;
	if (getaddrinfo(lookup->host, NULL, &hints, &list))
		return;
	/* Version 4 first: a back end called "localhost" rarely listens on ::1. */
	collect(lookup, list, AF_INET);
	collect(lookup, list, AF_INET6);
	freeaddrinfo(list);
}

static void looked_up(ngx_event_t *ev)
{
	struct lookup *lookup = ev->data;
	struct name *name = lookup->name;
	ngx_queue_t waiters;

	name->pending = false;
	if (lookup->n_addrs) {
		memcpy(name->addrs, lookup->addrs, sizeof(name->addrs));
		name->n_addrs = lookup->n_addrs;
		name->refresh_at = ngx_current_msec + FRESH_MS;
		name->drop_at = ngx_current_msec + STALE_MS;
	} else {
		name->refresh_at = ngx_current_msec + FAILED_MS;
		if ((ngx_msec_int_t)(ngx_current_msec - name->drop_at) >= 0)
			name->n_addrs = 0;
	}
	ngx_queue_init(&waiters);
	if (!ngx_queue_empty(&name->waiters)) {
		ngx_queue_add(&waiters, &name->waiters);
		ngx_queue_init(&name->waiters);
	}
	while (!ngx_queue_empty(&waiters)) {
		struct gateway_waiter *waiter = ngx_queue_data(ngx_queue_head(&waiters), struct gateway_waiter, queue);
		struct gateway_ctx *ctx = waiter->ctx;
		ngx_connection_t *c = ctx->r->connection;

		ngx_queue_remove(&waiter->queue);
		ctx->waiter = NULL;
		ctx->step--; /* the step that asked asks again */
		gateway_resume(ctx);
		ngx_http_run_posted_requests(c);
	}
}

static bool start(struct name *name)
{
	ngx_thread_pool_t *tp = gateway_worker.conf->threads;

	if (!tp || ngx_thread_task_post(tp, name->task) != NGX_OK)
		return false;
	name->pending = true;
	return true;
}

static void forget_all(void)
{
	struct str key;
	void *value;
	struct map *kept = map_new();

	for (size_t at = 0; map_next(names, &at, &key, &value);) {
		struct name *name = value;

		if (name->pending) {
			map_put(kept, key, name);
			continue;
		}
		free(name->host);
		free(name->task);
		free(name);
	}
	map_free(names);
	names = kept;
}

static struct name *find(struct str host)
{
	if (!names)
		names = map_new();
	struct name *name = map_get(names, host);

	if (name)
		return name;
	if (map_count(names) >= NAMES_MAX)
		forget_all();
	if (map_count(names) >= NAMES_MAX)
		return NULL;
	struct lookup *lookup;

	name = mem_zalloc(sizeof(*name));
	name->task = mem_zalloc(sizeof(*name->task) + sizeof(*lookup));
	lookup = (struct lookup *)(name->task + 1);
	lookup->name = name;
	memcpy(lookup->host, host.p, host.n);
	name->host = mem_strdup(lookup->host);
	name->task->ctx = lookup;
	name->task->handler = look_up;
	name->task->event.handler = looked_up;
	name->task->event.data = lookup;
	name->refresh_at = ngx_current_msec;
	ngx_queue_init(&name->waiters);
	map_put(names, (struct str){name->host, host.n}, name);
	return name;
}

static bool literal(struct gateway_ctx *ctx, struct str host, unsigned port)
{
	struct gateway_addr *addr = ARENA_NEW(ctx->arena, struct gateway_addr);
	struct sockaddr_in *v4 = (struct sockaddr_in *)&addr->sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&addr->sa;
	char text[INET6_ADDRSTRLEN];

	if (host.n >= sizeof(text))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((in_port_t)port);
		addr->len = sizeof(*v4);
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((in_port_t)port);
		addr->len = sizeof(*v6);
	} else {
		return false;
	}
	ctx->peer.addrs = addr;
	ctx->peer.n_addrs = 1;
	return true;
}

static void use(struct gateway_ctx *ctx, struct name *name, unsigned port)
{
	struct gateway_addr *addrs = ARENA_ARRAY(ctx->arena, struct gateway_addr, name->n_addrs);

	memcpy(addrs, name->addrs, name->n_addrs * sizeof(*addrs));
	for (size_t i = 0; i < name->n_addrs; i++) {
		if (addrs[i].sa.ss_family == AF_INET)
			((struct sockaddr_in *)&addrs[i].sa)->sin_port = htons((in_port_t)port);
		else
			((struct sockaddr_in6 *)&addrs[i].sa)->sin6_port = htons((in_port_t)port);
	}
	ctx->peer.addrs = addrs;
	ctx->peer.n_addrs = name->n_addrs;
	/* Turns go round the addresses of the first family only: the others are for when those fail. */
	size_t same = 0;

	while (same < name->n_addrs && addrs[same].sa.ss_family == addrs[0].sa.ss_family)
		same++;
	ctx->peer.at = name->turn++ % same;
}

static ngx_int_t wait_for(struct gateway_ctx *ctx, struct name *name)
{
	if (!name->pending && !start(name)) {
		err_set(&ctx->err, ERR_APIG_0605, NULL);
		return NGX_ERROR;
	}
	ctx->waiter = ARENA_NEW(ctx->arena, struct gateway_waiter);
	ctx->waiter->ctx = ctx;
	ngx_queue_insert_tail(&name->waiters, &ctx->waiter->queue);
	ctx->r->main->count++;
	return NGX_AGAIN;
}

ngx_int_t gateway_resolve(struct gateway_ctx *ctx, struct str host, unsigned port)
{
	if (literal(ctx, host, port))
		return NGX_OK;
	struct name *name = host.n < sizeof(((struct lookup *)0)->host) ? find(host) : NULL;
	bool due = name && (ngx_msec_int_t)(ngx_current_msec - name->refresh_at) >= 0;

	if (name && name->n_addrs) {
		if (due && !name->pending)
			start(name);
		use(ctx, name, port);
		return NGX_OK;
	}
	if (name && (due || name->pending))
		return wait_for(ctx, name);
	err_set(&ctx->err, ERR_APIG_0605, NULL);
	return NGX_ERROR;
}

void gateway_resolve_cancel(struct gateway_ctx *ctx)
{
	if (ctx->waiter) {
		ngx_queue_remove(&ctx->waiter->queue);
	}
	ctx->waiter = NULL;
}
