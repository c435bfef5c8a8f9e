/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

/* Idle connections to back ends, per worker. A connection is used again only for exactly what it was made for: address,
 * TLS, server name, verification. nginx's own cache compares addresses only, and so would give one host's connection
 * to another one behind the same address. */

#define BUCKETS 1024

struct item {
	ngx_queue_t lru; /* all idle ones, newest first; or the free list */
	ngx_queue_t bucket; /* same hash, newest first */
	ngx_connection_t *connection;
	uint32_t hash;
	size_t key_len;
	u_char key[GATEWAY_POOL_KEY_MAX];
};

static struct {
	struct item *items;
	ngx_queue_t lru, free;
	ngx_queue_t buckets[BUCKETS];
	ngx_uint_t per_key;
	ngx_msec_t idle;
} pool;

int gateway_pool_init(const struct gateway_main_conf *conf)
{
	ngx_queue_init(&pool.lru);
	ngx_queue_init(&pool.free);
	/* Braces: these macros are several statements. */
	for (size_t i = 0; i < BUCKETS; i++) {
		ngx_queue_init(&pool.buckets[i]);
	}
	pool.per_key = (ngx_uint_t)conf->keepalive_per_key;
	pool.idle = conf->keepalive_idle;
	/* Pages of items that are never used are never touched. */
	pool.items = conf->keepalive ? ngx_calloc((size_t)conf->keepalive * sizeof(struct item), ngx_cycle->log) : NULL;
	if (conf->keepalive && !pool.items)
		return NGX_ERROR;
	for (ngx_int_t i = conf->keepalive; i > 0; i--) {
		ngx_queue_insert_head(&pool.free, &pool.items[i - 1].lru);
	}
	return NGX_OK;
}

static void close_connection(ngx_connection_t *c)
{
	if (c->ssl) {
		c->ssl->no_wait_shutdown = 1;
		c->ssl->no_send_shutdown = 1;
		if (ngx_ssl_shutdown(c) == NGX_AGAIN) {
			c->ssl->handler = close_connection;
			return;
		}
	}
	ngx_destroy_pool(c->pool);
	ngx_close_connection(c);
}

static void take_out(struct item *item)
{
	ngx_queue_remove(&item->lru);
	ngx_queue_remove(&item->bucket);
	ngx_queue_insert_head(&pool.free, &item->lru);
}

/* The peer closed, spoke out of turn, or the idle time is over. */
static void idle_event(ngx_event_t *ev)
{
	ngx_connection_t *c = ev->data;
	struct item *item = c->data;
	char byte;

	if (!c->close && !ev->timedout) {
		ssize_t n = recv(c->fd, &byte, 1, MSG_PEEK);

		if (n < 0 && ngx_socket_errno == NGX_EAGAIN) {
			ev->ready = 0;
			if (ngx_handle_read_event(c->read, 0) == NGX_OK)
				return;
		}
	}
	take_out(item);
	close_connection(c);
}

static void no_event(ngx_event_t *ev)
{
}

static struct item *find(const struct gateway_peer *peer, uint32_t hash, ngx_uint_t *ret_same)
{
	ngx_queue_t *bucket = &pool.buckets[hash % BUCKETS];
	struct item *first = NULL;
	ngx_uint_t same = 0;

	for (ngx_queue_t *q = ngx_queue_head(bucket); q != ngx_queue_sentinel(bucket); q = ngx_queue_next(q)) {
		struct item *item = ngx_queue_data(q, struct item, bucket);

		if (item->hash != hash || item->key_len != peer->key_len ||
		    memcmp(item->key, peer->key, item->key_len) != 0)
			continue;
		if (!first)
			first = item;
		same++;
		if (!ret_same)
			break;
	}
	if (ret_same)
		*ret_same = same;
	return first;
}

/* key: tls, verify, length and text of the server name, socket address. Plain connections differ by address only. */
static uint32_t make_key(struct gateway_peer *peer)
{
	const struct gateway_addr *addr = &peer->addrs[peer->at];
	u_char *p = peer->key;

	*p++ = peer->tls ? (u_char)(1 + peer->verify) : 0;
	if (peer->tls) {
		*p++ = (u_char)peer->sni.len;
		p = ngx_cpymem(p, peer->sni.data, peer->sni.len);
	}
	p = ngx_cpymem(p, &addr->sa, addr->len);
	peer->key_len = (size_t)(p - peer->key);
	return ngx_murmur_hash2(peer->key, peer->key_len);
}

static ngx_int_t get_peer(ngx_peer_connection_t *pc, void *data)
{
	struct gateway_ctx *ctx = data;
	struct gateway_peer *peer = &ctx->peer;
	struct gateway_addr *addr = &peer->addrs[peer->at];
	struct item *item = find(peer, make_key(peer), NULL);

	pc->sockaddr = (struct sockaddr *)&addr->sa;
	pc->socklen = addr->len;
	pc->name = &peer->name;
	pc->cached = 0;
	pc->connection = NULL;
	if (!item)
		return NGX_OK;
	ngx_connection_t *c = item->connection;

	take_out(item);
	c->idle = 0;
	c->sent = 0;
	c->data = NULL;
	c->log = pc->log;
	c->read->log = pc->log;
	c->write->log = pc->log;
	c->pool->log = pc->log;
	if (c->read->timer_set)
		ngx_del_timer(c->read);
	pc->connection = c;
	pc->cached = 1;
	return NGX_DONE;
}

/* Only a connection whose last exchange ended cleanly on both sides may serve somebody else. */
static bool reusable(ngx_http_request_t *r, ngx_connection_t *c, ngx_uint_t state)
{
	ngx_http_upstream_t *u = r->upstream;

	return c && !(state & NGX_PEER_FAILED) && u->keepalive && u->request_body_sent && !c->read->eof &&
	       !c->read->error && !c->read->timedout && !c->write->error && !c->write->timedout && !ngx_terminate &&
	       !ngx_exiting && ngx_handle_read_event(c->read, 0) == NGX_OK;
}

static void put(struct gateway_peer *peer, ngx_peer_connection_t *pc)
{
	ngx_connection_t *c = pc->connection;
	uint32_t hash = make_key(peer);
	ngx_uint_t same;

	find(peer, hash, &same);
	if (same >= pool.per_key || !pool.items)
		return;
	if (ngx_queue_empty(&pool.free)) {
		struct item *oldest = ngx_queue_data(ngx_queue_last(&pool.lru), struct item, lru);
		ngx_connection_t *old = oldest->connection;

		take_out(oldest);
		close_connection(old);
	}
	struct item *item = ngx_queue_data(ngx_queue_head(&pool.free), struct item, lru);

	ngx_queue_remove(&item->lru);
	item->connection = c;
	item->hash = hash;
	item->key_len = peer->key_len;
	ngx_memcpy(item->key, peer->key, peer->key_len);
	ngx_queue_insert_head(&pool.lru, &item->lru);
	ngx_queue_insert_head(&pool.buckets[hash % BUCKETS], &item->bucket);
	pc->connection = NULL;
	c->read->delayed = 0;
	ngx_add_timer(c->read, pool.idle);
	if (c->write->timer_set)
		ngx_del_timer(c->write);
	c->write->handler = no_event;
	c->read->handler = idle_event;
	c->data = item;
	c->idle = 1;
	c->log = ngx_cycle->log;
	c->read->log = ngx_cycle->log;
	c->write->log = ngx_cycle->log;
	c->pool->log = ngx_cycle->log;
	if (c->read->ready)
		idle_event(c->read);
}

/* Decides about another attempt: other addresses of the name when this one took no connection, and the retries of the
 * API. tries is what the upstream code asks for: more than zero means that it may come back to get_peer(). */
static void after_failure(struct gateway_ctx *ctx, ngx_peer_connection_t *pc)
{
	struct gateway_peer *peer = &ctx->peer;
	bool connected = ctx->r->upstream->request_sent;

	pc->tries = 0;
	if (peer->n_addrs)
		peer->at = (peer->at + 1) % peer->n_addrs;
	if (!connected && peer->addrs_left) {
		peer->addrs_left--;
		pc->tries = 1;
	} else if (peer->retries_left) {
		peer->retries_left--;
		pc->tries = 1;
	}
}

static void free_peer(ngx_peer_connection_t *pc, void *data, ngx_uint_t state)
{
	struct gateway_ctx *ctx = data;

	if (reusable(ctx->r, pc->connection, state))
		put(&ctx->peer, pc);
	if (state & NGX_PEER_FAILED)
		after_failure(ctx, pc);
}

ngx_int_t gateway_peer_init(ngx_http_request_t *r, ngx_http_upstream_srv_conf_t *us)
{
	struct gateway_ctx *ctx = GATEWAY_CTX(r);
	ngx_http_upstream_t *u = r->upstream;

	u->peer.data = ctx;
	u->peer.get = get_peer;
	u->peer.free = free_peer;
	u->peer.tries = 1;
	u->ssl_name = ctx->peer.sni;
	return NGX_OK;
}
