/* SPDX-License-Identifier: Apache-2.0 */
/* appia-worker: runs what users bring, SQL against their databases and scripts, away from the control plane. */
#include "base/life.h"
#include "base/log.h"
#include "base/mem.h"
#include "livedata/server.h"
#include "sign/sign.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* As much of the published state as can be mapped; address space, not memory. */
#define MAP_BYTES ((size_t)64 << 30)
#define STACK_MIB 8

struct settings {
	const char *socket, *published, *key;
	long long connections, pool, pool_idle_seconds, deadline_ms;
	long long script_cpu_ms, script_memory_mib, memory_mib, max_rows;
	bool allow_private_networks;
};

static const struct number {
	const char *name;
	size_t offset;
	long long min, max;
} numbers[] = {
#define NUMBER(name, field, min, max) {name, offsetof(struct settings, field), min, max}
	NUMBER("connections", connections, 1, 10000),
	NUMBER("pool", pool, 1, 1000),
	NUMBER("pool-idle", pool_idle_seconds, 1, 86400),
	NUMBER("deadline-ms", deadline_ms, 1, 3600000),
	NUMBER("script-cpu-ms", script_cpu_ms, 1, 600000),
	NUMBER("script-memory", script_memory_mib, 1, 4096),
	NUMBER("memory", memory_mib, 1, 1048576),
	NUMBER("max-rows", max_rows, 1, 10000000),
};

static int usage(void)
{
	fprintf(stderr, "usage: appia-worker --socket PATH [--published DIR] [--key FILE] [--connections N]\n"
	                "  [--pool N] [--pool-idle SECONDS] [--deadline-ms MS] [--script-cpu-ms MS]\n"
	                "  [--script-memory MIB] [--memory MIB] [--max-rows N] [--allow-private-networks 0|1]\n");
	return 2;
}

static bool set_number(struct settings *s, const struct number *n, const char *text)
{
	return str_to_int(str_of(text), n->min, n->max, (long long *)(void *)((char *)s + n->offset));
}

static bool set_option(struct settings *s, const char *name, const char *value)
{
	if (strcmp(name, "socket") == 0)
		s->socket = value;
	else if (strcmp(name, "published") == 0)
		s->published = value;
	else if (strcmp(name, "key") == 0)
		s->key = value;
	else if (strcmp(name, "allow-private-networks") == 0)
		s->allow_private_networks = strcmp(value, "0") != 0;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (strcmp(name, numbers[i].name) == 0)
			return set_number(s, &numbers[i], value);
	return true;
}

static bool read_arguments(struct settings *s, int argc, char **argv)
{
	static const struct option options[] = {
		{"socket", 1, NULL, 0},        {"published", 1, NULL, 0},
		{"key", 1, NULL, 0},           {"allow-private-networks", 1, NULL, 0},
		{"connections", 1, NULL, 0},   {"pool", 1, NULL, 0},
		{"pool-idle", 1, NULL, 0},     {"deadline-ms", 1, NULL, 0},
		{"script-cpu-ms", 1, NULL, 0}, {"script-memory", 1, NULL, 0}, {"memory", 1, NULL, 0},
		{"max-rows", 1, NULL, 0},      {NULL, 0, NULL, 0},
	};
	int c, index;

	while ((c = getopt_long(argc, argv, "", options, &index)) != -1)
		if (c != 0 || !set_option(s, options[index].name, optarg))
			return false;
	return optind == argc && s->socket;
}

/* Memory that one step of a script asks for is bounded by the address space; sanitizers need all of it. The published
 * state is mapped later, each connection has a stack, and buffers of bodies are up to twice as large as these. */
static int limit_memory(const struct settings *s, struct err *err)
{
#ifdef __SANITIZE_ADDRESS__
	return 0;
#else
	return script_process_limit(
		MAP_BYTES + ((size_t)(s->connections * (s->script_memory_mib + STACK_MIB) + 2 * s->memory_mib + 1024)
	                     << 20), err);
#endif
}

static int serve(const struct settings *s, const struct sign_keyring *keys, struct err *err)
{
	struct datasource_pool *pool = datasource_pool_new((unsigned)s->pool, s->pool_idle_seconds * 1000);
	struct livedata_options options = {.published_dir = s->published, .published_map_bytes = MAP_BYTES,
		.keys = keys, .script_host = {.pool = pool, .allow_private_networks = s->allow_private_networks},
		.script_cpu_ms = s->script_cpu_ms, .script_memory_bytes = (size_t)s->script_memory_mib << 20,
		.max_rows = s->max_rows};
	struct livedata *ld = livedata_new(&options);
	struct livedata_server *server = livedata_server_new(
		&(struct livedata_server_options){.ld = ld, .pool = pool, .deadline_ms = s->deadline_ms});
	struct httpd *httpd = NULL;
	int code = httpd_start(&(struct httpd_options){.socket_path = s->socket, .max_body = 16 << 20,
		.memory_max = (size_t)s->memory_mib << 20, .max_connections = (unsigned)s->connections,
		.idle_seconds = 300, .handler = livedata_server_handle, .ctx = server}, &httpd, err);
	if (!code && chmod(s->socket, 0600) != 0)
		code = err_set(err, ERR_APPIA_0500, "the socket's mode cannot be set");
	if (!code) {
		log_info("listening on %s", s->socket);
		life_wait(NULL, NULL);
		log_info("stopping");
	}
	httpd_stop(httpd);
	livedata_server_free(server);
	livedata_free(ld);
	datasource_pool_free(pool);
	return code;
}

int main(int argc, char **argv)
{
	struct settings s = {.connections = 256, .pool = 32, .pool_idle_seconds = 60, .deadline_ms = 60000,
	                     .script_cpu_ms = 10000, .script_memory_mib = 64, .memory_mib = 256, .max_rows = 10000};
	struct sign_keyring *keys = NULL;
	struct err err = {0};

	log_init("appia-worker", LOG_INFO);
	if (!read_arguments(&s, argc, argv))
		return usage();
	umask(0077);
	life_begin();
	script_init();
	int code = s.key ? sign_keyring_open(s.key, false, &keys, &err) : 0;

	if (!code)
		code = limit_memory(&s, &err);
	if (!code)
		code = serve(&s, keys, &err);
	sign_keyring_free(keys);
	if (code)
		log_error("%s %s", err_row(err.code)->code, err.text);
	return code ? 1 : 0;
}
