/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

#include "base/clock.h"
#include "base/rnd.h"

#include <sys/stat.h>

struct gateway_worker gateway_worker;

#define OPEN_EVERY_MS 200
#define CHECK_EVERY_MS 1000

static void ctx_free(void *data)
{
	struct gateway_ctx *ctx = data;
	struct gateway_worker *w = &gateway_worker;

	gateway_resolve_cancel(ctx);
	if (ctx->sign_secret.n)
		explicit_bzero(gateway_ngx(ctx->sign_secret).data, ctx->sign_secret.n);
	if (w->n_arenas < GATEWAY_ARENAS) {
		arena_reset(ctx->arena);
		w->arenas[w->n_arenas++] = ctx->arena;
	} else {
		arena_free(ctx->arena);
	}
}

/* Unique, not secret: a random number of the worker, and a counter put through a bijection of 64 bits (splitmix64). */
static void make_request_id(struct gateway_worker *w, char *out)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t z = w->id_seed + ++w->id_count * UINT64_C(0x9e3779b97f4a7c15), parts[2] = {w->id_seed, 0};

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	parts[1] = z ^ (z >> 31);
	for (int i = 0; i < 32; i++)
		out[i] = digits[parts[i / 16] >> (60 - 4 * (i % 16)) & 15];
	out[32] = '\0';
}

struct gateway_ctx *gateway_ctx_get(ngx_http_request_t *r)
{
	struct gateway_ctx *ctx = GATEWAY_CTX(r);
	struct gateway_worker *w = &gateway_worker;

	if (ctx)
		return ctx;
	ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(r->pool, 0);

	if (!cleanup)
		return NULL;
	struct arena *arena = w->n_arenas ? w->arenas[--w->n_arenas] : arena_new(GATEWAY_ARENA_MAX);

	ctx = ARENA_NEW(arena, struct gateway_ctx);
	ctx->arena = arena;
	ctx->r = r;
	make_request_id(w, ctx->request_id);
	cleanup->handler = ctx_free;
	cleanup->data = ctx;
	ngx_http_set_ctx(r, ctx, ngx_http_appia_module);
	return ctx;
}

int gateway_worker_init(ngx_cycle_t *cycle)
{
	struct gateway_worker *w = &gateway_worker;
	struct gateway_main_conf *conf = cycle->conf_ctx[ngx_http_module.index]
						 ? ngx_http_cycle_get_module_main_conf(cycle, ngx_http_appia_module)
						 : NULL;

	*w = (struct gateway_worker){.conf = conf};
	if (!conf)
		return NGX_OK;
	rnd_bytes(&w->id_seed, sizeof(w->id_seed));
	w->regexps = policy_regexps_new(1024);
	return gateway_pool_init(conf);
}

static void close_published(struct gateway_worker *w)
{
	pub_view_end(&w->view);
	pub_close(w->pub);
	w->pub = NULL;
}

void gateway_worker_exit(void)
{
	struct gateway_worker *w = &gateway_worker;

	close_published(w);
	gateway_secrets_wipe();
	gateway_tls_exit();
	while (w->n_arenas)
		arena_free(w->arenas[--w->n_arenas]);
	sign_keyring_free(w->keys);
	policy_regexps_free(w->regexps);
	w->keys = NULL;
	w->regexps = NULL;
}

static bool stat_published(struct gateway_worker *w, struct stat *st)
{
	char path[NGX_MAX_PATH];
	int n = snprintf(path, sizeof(path), "%s/data.mdb", (const char *)w->conf->published.data);

	return n > 0 && (size_t)n < sizeof(path) && stat(path, st) == 0;
}

/* Opens what is not open yet; both may be made while the worker runs. */
static void open_published(struct gateway_worker *w)
{
	struct err err = {0};
	struct stat st;

	if (!w->keys && w->conf->key_file.len &&
	    sign_keyring_open((const char *)w->conf->key_file.data, false, &w->keys, &err))
		ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0, "appia: key file: %s", err.text);
	if (w->pub || !w->conf->published.len || !stat_published(w, &st))
		return;
	if (pub_open((const char *)w->conf->published.data, w->conf->map_bytes, false, &w->pub, &err)) {
		ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0, "appia: published state: %s", err.text);
		w->pub = NULL;
		return;
	}
	w->dev = st.st_dev;
	w->ino = st.st_ino;
}

/* A state that was replaced as a whole (restored from a backup) is another file: follow it. */
static void check_published(struct gateway_worker *w)
{
	struct stat st;

	if (w->pub && stat_published(w, &st) && (st.st_dev != w->dev || st.st_ino != w->ino))
		close_published(w);
	if (!w->pub || !w->keys)
		open_published(w);
}

struct pub_view *gateway_view(ngx_log_t *log)
{
	struct gateway_worker *w = &gateway_worker;
	struct err err = {0};
	int rc;

	if ((ngx_msec_int_t)(ngx_current_msec - w->next_open) >= 0) {
		check_published(w);
		w->next_open = ngx_current_msec + (w->pub && w->keys ? CHECK_EVERY_MS : OPEN_EVERY_MS);
	}
	if (!w->pub)
		return NULL;
	rc = w->view ? pub_view_renew(w->view, &err) : pub_view_begin(w->pub, &w->view, &err);
	if (!rc) {
		pub_view_cache(w->view);
		return w->view;
	}
	ngx_log_error(NGX_LOG_ERR, log, 0, "appia: published state: %s", err.text);
	close_published(w);
	w->next_open = ngx_current_msec + OPEN_EVERY_MS;
	return NULL;
}

void gateway_view_end(void)
{
	if (gateway_worker.view)
		pub_view_reset(gateway_worker.view);
}
