/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

static void *create_main(ngx_conf_t *cf)
{
	struct gateway_main_conf *conf = ngx_pcalloc(cf->pool, sizeof(*conf));

	if (!conf)
		return NULL;
	conf->map_bytes = NGX_CONF_UNSET_SIZE;
	conf->keepalive = NGX_CONF_UNSET;
	conf->keepalive_per_key = NGX_CONF_UNSET;
	conf->keepalive_idle = NGX_CONF_UNSET_MSEC;
	conf->zone_bytes = NGX_CONF_UNSET_SIZE;
	return conf;
}

static const struct {
	const char *name;
	enum gateway_header class;
} header_classes[] = {
	{"connection", HEADER_CONNECTION},
	{"upgrade", HEADER_UPGRADE},
	{"host", HEADER_HOP},
	{"content-length", HEADER_HOP},
	{"transfer-encoding", HEADER_HOP},
	{"keep-alive", HEADER_HOP},
	{"te", HEADER_HOP},
	{"trailer", HEADER_HOP},
	{"expect", HEADER_HOP},
	{"http2-settings", HEADER_HOP},
	{"proxy-connection", HEADER_HOP},
	{"proxy-authorization", HEADER_HOP},
	{"proxy-authenticate", HEADER_HOP},
	{"authorization", HEADER_AUTHORIZATION},
	{"x-auth-token", HEADER_TOKEN},
	{"x-apig-appcode", HEADER_APPCODE},
	{"x-stage", HEADER_STAGE},
	{"x-apig-mode", HEADER_MODE},
	{"x-sdk-date", HEADER_DATE},
	{"x-sdk-content-sha256", HEADER_PAYLOAD},
	{"x-security-token", HEADER_SECURITY_TOKEN},
	{"x-hw-appkey", HEADER_SECRET},
	{"x-request-id", HEADER_OURS},
	{"x-real-ip", HEADER_OURS},
	{"x-forwarded-proto", HEADER_OURS},
	{"x-appia-livedata", HEADER_OURS},
	{"x-appia-app", HEADER_OURS},
	{"x-appia-layer", HEADER_LAYER},
	{"x-forwarded-for", HEADER_FORWARDED_FOR},
};

static char hash_name[] = "appia_headers";

static char *init_classes(ngx_conf_t *cf, struct gateway_main_conf *conf)
{
	ngx_array_t keys;
	ngx_hash_init_t hash = {.hash = &conf->header_classes,
				.key = ngx_hash_key_lc,
				.max_size = 512,
				.bucket_size = ngx_align(64, ngx_cacheline_size),
				.name = hash_name,
				.pool = cf->pool};

	if (ngx_array_init(&keys, cf->temp_pool, 32, sizeof(ngx_hash_key_t)) != NGX_OK)
		return NGX_CONF_ERROR;
	for (size_t i = 0; i < sizeof(header_classes) / sizeof(header_classes[0]); i++) {
		ngx_hash_key_t *key = ngx_array_push(&keys);

		if (!key)
			return NGX_CONF_ERROR;
		key->key = gateway_ngx(str_of(header_classes[i].name));
		key->key_hash = ngx_hash_key_lc(key->key.data, key->key.len);
		key->value = (void *)(uintptr_t)header_classes[i].class;
	}
	return ngx_hash_init(&hash, keys.elts, keys.nelts) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

static char *init_main(ngx_conf_t *cf, void *data)
{
	struct gateway_main_conf *conf = data;
	static ngx_str_t zone_name = ngx_string("appia");

	ngx_conf_init_size_value(conf->map_bytes, (size_t)1 << 30);
	ngx_conf_init_value(conf->keepalive, 1024);
	ngx_conf_init_value(conf->keepalive_per_key, 256);
	ngx_conf_init_msec_value(conf->keepalive_idle, 30000);
	ngx_conf_init_size_value(conf->zone_bytes, (size_t)8 << 20);
	conf->zone = ngx_shared_memory_add(cf, &zone_name, conf->zone_bytes, &ngx_http_appia_module);
	if (!conf->zone)
		return NGX_CONF_ERROR;
	conf->zone->init = gateway_shm_init;
	conf->threads = ngx_thread_pool_add(cf, NULL);
	if (!conf->threads)
		return NGX_CONF_ERROR;
	if (init_classes(cf, conf) != NGX_CONF_OK)
		return NGX_CONF_ERROR;
	return gateway_upstream_conf(cf, conf);
}

static void *create_srv(ngx_conf_t *cf)
{
	struct gateway_srv_conf *conf = ngx_pcalloc(cf->pool, sizeof(*conf));

	if (conf)
		conf->enabled = NGX_CONF_UNSET;
	return conf;
}

static char *merge_srv(ngx_conf_t *cf, void *parent, void *child)
{
	struct gateway_srv_conf *prev = parent, *conf = child;

	ngx_conf_merge_value(conf->enabled, prev->enabled, 0);
	return NGX_CONF_OK;
}

static void *create_loc(ngx_conf_t *cf)
{
	struct gateway_loc_conf *conf = ngx_pcalloc(cf->pool, sizeof(*conf));

	if (conf) {
		conf->enabled = NGX_CONF_UNSET;
		conf->appcode_plain = NGX_CONF_UNSET;
		conf->raw_path = NGX_CONF_UNSET;
		conf->https_port = NGX_CONF_UNSET;
	}
	return conf;
}

static char *merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
	struct gateway_loc_conf *prev = parent, *conf = child;

	ngx_conf_merge_value(conf->enabled, prev->enabled, 0);
	ngx_conf_merge_value(conf->appcode_plain, prev->appcode_plain, 0);
	ngx_conf_merge_value(conf->raw_path, prev->raw_path, 0);
	ngx_conf_merge_value(conf->https_port, prev->https_port, 443);
	return NGX_CONF_OK;
}

static char *set_gateway(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
	struct gateway_loc_conf *conf = data;
	char *rc = ngx_conf_set_flag_slot(cf, cmd, conf);

	if (rc != NGX_CONF_OK || !conf->enabled)
		return rc;
	ngx_http_core_loc_conf_t *core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
	struct gateway_srv_conf *srv = ngx_http_conf_get_module_srv_conf(cf, ngx_http_appia_module);

	core->handler = gateway_handle;
	srv->enabled = 1;
	return NGX_CONF_OK;
}

static char *set_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
	ngx_http_core_loc_conf_t *core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

	core->handler = gateway_metrics;
	return NGX_CONF_OK;
}

/* What nginx prints behind the name of the directive. */
static char is_duplicate[] = "is duplicate", is_invalid[] = "has an invalid value";

/* appia_published DIR [MAP_SIZE] */
static char *set_published(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
	struct gateway_main_conf *conf = data;
	ngx_str_t *args = cf->args->elts;

	if (conf->published.len)
		return is_duplicate;
	conf->published = args[1];
	if (cf->args->nelts > 2) {
		off_t size = ngx_parse_offset(&args[2]);

		if (size == NGX_ERROR || size <= 0)
			return is_invalid;
		conf->map_bytes = (size_t)size;
	}
	return ngx_conf_full_name(cf->cycle, &conf->published, 0) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

static char *set_path(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
	ngx_str_t *field = (ngx_str_t *)(void *)((char *)data + cmd->offset);

	if (field->len)
		return is_duplicate;
	*field = ((ngx_str_t *)cf->args->elts)[1];
	return ngx_conf_full_name(cf->cycle, field, 0) == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

/* appia_worker unix:/path */
static char *set_worker(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
	struct gateway_main_conf *conf = data;
	ngx_url_t url = {.url = ((ngx_str_t *)cf->args->elts)[1], .default_port = 80};

	if (conf->worker_len)
		return is_duplicate;
	if (ngx_parse_url(cf->pool, &url) != NGX_OK || !url.naddrs || url.addrs[0].socklen > sizeof(conf->worker)) {
		ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "appia_worker: %s", url.err ? url.err : "bad address");
		return NGX_CONF_ERROR;
	}
	ngx_memcpy(&conf->worker, url.addrs[0].sockaddr, url.addrs[0].socklen);
	conf->worker_len = url.addrs[0].socklen;
	conf->worker_name = url.addrs[0].name;
	return NGX_CONF_OK;
}

/* appia_keepalive TOTAL [PER_KEY [IDLE]] */
static char *set_keepalive(ngx_conf_t *cf, ngx_command_t *cmd, void *data)
{
	struct gateway_main_conf *conf = data;
	ngx_str_t *args = cf->args->elts;

	conf->keepalive = ngx_atoi(args[1].data, args[1].len);
	if (cf->args->nelts > 2)
		conf->keepalive_per_key = ngx_atoi(args[2].data, args[2].len);
	if (cf->args->nelts > 3)
		conf->keepalive_idle = (ngx_msec_t)ngx_parse_time(&args[3], 0);
	if (conf->keepalive < 0 || conf->keepalive > 65536 || (cf->args->nelts > 2 && conf->keepalive_per_key < 0) ||
	    conf->keepalive_idle == (ngx_msec_t)NGX_ERROR)
		return is_invalid;
	return NGX_CONF_OK;
}

#define MAIN(field) NGX_HTTP_MAIN_CONF_OFFSET, offsetof(struct gateway_main_conf, field), NULL
#define LOC(field) NGX_HTTP_LOC_CONF_OFFSET, offsetof(struct gateway_loc_conf, field), NULL
#define ANYWHERE (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF)

static ngx_command_t commands[] = {
	{ngx_string("appia_gateway"), NGX_HTTP_LOC_CONF | NGX_CONF_FLAG, set_gateway, LOC(enabled)},
	{ngx_string("appia_metrics"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, set_metrics, LOC(enabled)},
	{ngx_string("appia_appcode_plain"), ANYWHERE | NGX_CONF_FLAG, ngx_conf_set_flag_slot, LOC(appcode_plain)},
	{ngx_string("appia_raw_path"), ANYWHERE | NGX_CONF_FLAG, ngx_conf_set_flag_slot, LOC(raw_path)},
	{ngx_string("appia_https_port"), ANYWHERE | NGX_CONF_TAKE1, ngx_conf_set_num_slot, LOC(https_port)},
	{ngx_string("appia_published"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE12, set_published, MAIN(published)},
	{ngx_string("appia_key"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, set_path, MAIN(key_file)},
	{ngx_string("appia_trusted_certificate"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, set_path, MAIN(trusted)},
	{ngx_string("appia_worker"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, set_worker, MAIN(worker)},
	{ngx_string("appia_zone"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1, ngx_conf_set_size_slot, MAIN(zone_bytes)},
	{ngx_string("appia_keepalive"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE123, set_keepalive, MAIN(keepalive)},
	ngx_null_command,
};

static ngx_int_t preconfiguration(ngx_conf_t *cf)
{
	return gateway_variables_add(cf);
}

static ngx_int_t postconfiguration(ngx_conf_t *cf)
{
	ngx_http_core_main_conf_t *core = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
	ngx_http_handler_pt *handler = ngx_array_push(&core->phases[NGX_HTTP_LOG_PHASE].handlers);

	if (!handler)
		return NGX_ERROR;
	*handler = gateway_log;
	return gateway_tls_init(cf) == NGX_OK ? gateway_body_filter_init(cf) : NGX_ERROR;
}

static void exit_process(ngx_cycle_t *cycle)
{
	gateway_worker_exit();
}

static ngx_int_t init_process(ngx_cycle_t *cycle)
{
	return gateway_worker_init(cycle);
}

static ngx_http_module_t module_context = {
	.preconfiguration = preconfiguration,
	.postconfiguration = postconfiguration,
	.create_main_conf = create_main,
	.init_main_conf = init_main,
	.create_srv_conf = create_srv,
	.merge_srv_conf = merge_srv,
	.create_loc_conf = create_loc,
	.merge_loc_conf = merge_loc,
};

__attribute__((visibility("default"))) ngx_module_t ngx_http_appia_module = {
	NGX_MODULE_V1,           .ctx = &module_context,       .commands = commands,
	.type = NGX_HTTP_MODULE, .init_process = init_process, .exit_process = exit_process,
};

static ngx_http_module_t filter_context = {.postconfiguration = gateway_filter_init};

__attribute__((visibility("default"))) ngx_module_t ngx_http_appia_filter_module = {
	NGX_MODULE_V1,
	.ctx = &filter_context,
	.type = NGX_HTTP_MODULE,
};

/* What nginx looks for in a loadable module. The filter has its place in the chain before the copy filter. */
#define EXPORT __attribute__((visibility("default"))) extern
EXPORT ngx_module_t *ngx_modules[];
EXPORT char *ngx_module_names[];
EXPORT char *ngx_module_order[];

static char handler_name[] = "ngx_http_appia_module", filter_name[] = "ngx_http_appia_filter_module";
static char copy_name[] = "ngx_http_copy_filter_module";

ngx_module_t *ngx_modules[] = {&ngx_http_appia_module, &ngx_http_appia_filter_module, NULL};
char *ngx_module_names[] = {handler_name, filter_name, NULL};
char *ngx_module_order[] = {filter_name, copy_name, NULL};
