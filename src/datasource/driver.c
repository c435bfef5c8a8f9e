/* SPDX-License-Identifier: Apache-2.0 */
#include "datasource/driver.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

int datasource__left(int64_t deadline_ms)
{
	int64_t left = deadline_ms - clock_mono_ms();

	return left <= 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

bool datasource__wait(int fd, short events, int64_t deadline_ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		int left = datasource__left(deadline_ms);

		if (left == 0)
			return false;
		int n = poll(&p, 1, left);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return true; /* the library's own call tells what is wrong */
	}
}

bool datasource__stale(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return fd < 0 || poll(&p, 1, 0) != 0;
}

struct str datasource__member(const struct json *content, const char *name, struct arena *a)
{
	const struct json *j = json_get(content, name);

	if (!j)
		return STR_NONE;
	if (json_kind(j) == JSON_INT)
		return arena_fmt(a, "%lld", json_int(j));
	return json_kind(j) == JSON_STRING ? json_str(j) : STR_NONE;
}

/* getaddrinfo() has no time limit, so it runs on a thread of its own, which outlives us when it must. */
struct lookup {
	pthread_mutex_t lock;
	pthread_cond_t done_cond;
	char host[256];
	char address[INET6_ADDRSTRLEN];
	int error;
	bool done;
	unsigned refs;
};

static void lookup_unref(struct lookup *l)
{
	pthread_mutex_lock(&l->lock);
	bool last = --l->refs == 0;

	pthread_mutex_unlock(&l->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->done_cond);
	free(l);
}

static int lookup_now(const char *host, int flags, char *ret_address)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
	struct addrinfo *list = NULL;
	int error = getaddrinfo(host, NULL, &hints, &list);

	if (error == 0)
		error = getnameinfo(list->ai_addr, list->ai_addrlen, ret_address, INET6_ADDRSTRLEN, NULL, 0,
				    NI_NUMERICHOST);
	if (list)
		freeaddrinfo(list);
	return error;
}

static void *lookup_thread(void *arg)
{
	struct lookup *l = arg;
	char address[INET6_ADDRSTRLEN] = "";
	int error = lookup_now(l->host, AI_ADDRCONFIG, address);

	pthread_mutex_lock(&l->lock);
	l->error = error;
	memcpy(l->address, address, sizeof(address));
	l->done = true;
	pthread_cond_signal(&l->done_cond);
	pthread_mutex_unlock(&l->lock);
	lookup_unref(l);
	return NULL;
}

static struct lookup *lookup_new(const char *host)
{
	struct lookup *l = mem_zalloc(sizeof(*l));
	pthread_condattr_t attr;

	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->done_cond, &attr);
	pthread_condattr_destroy(&attr);
	memcpy(l->host, host, strlen(host) + 1);
	l->refs = 2;
	return l;
}

static int resolve(const char *host, struct arena *a, int64_t deadline_ms, const char **ret, struct err *err)
{
	char numeric[INET6_ADDRSTRLEN] = "";
	pthread_t thread;

	if (strlen(host) >= sizeof(((struct lookup *)0)->host))
		return err_set_text(err, ERR_APPIA_0400, "The host name is too long.");
	if (lookup_now(host, AI_NUMERICHOST, numeric) == 0) {
		*ret = arena_cstr(a, str_of(numeric));
		return 0;
	}
	struct lookup *l = lookup_new(host);

	if (pthread_create(&thread, NULL, lookup_thread, l) != 0) {
		l->refs = 1;
		lookup_unref(l);
		return err_set_retriable(err, ERR_APPIA_0503, NULL);
	}
	pthread_detach(thread);
	struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
	int code = 0;

	pthread_mutex_lock(&l->lock);
	while (!l->done && pthread_cond_timedwait(&l->done_cond, &l->lock, &until) != ETIMEDOUT)
		continue;
	if (!l->done)
		code = err_set(err, ERR_APPIA_0504, "resolving the host name");
	else if (l->error)
		code = err_set_retriable(err, ERR_APPIA_0503_DATASOURCE_UNREACHABLE, "the host name does not resolve");
	else
		*ret = arena_cstr(a, str_of(l->address));
	pthread_mutex_unlock(&l->lock);
	lookup_unref(l);
	return code;
}

/* jdbc:<kind>://host[:port][/database][?options] */
static bool parse_url(struct str url, struct str *host, struct str *port, struct str *database)
{
	size_t at = 0;

	while (at + 3 <= url.n && memcmp(url.p + at, "://", 3) != 0)
		at++;
	if (at + 3 > url.n)
		return false;
	struct str rest = str_sub(url, at + 3, url.n);
	struct str path = str_sub(rest, 0, str_find(rest, '?', 0));
	struct str authority = str_cut(&path, '/');

	if (authority.n && authority.p[0] == '[') {
		size_t end = str_find(authority, ']', 0);

		if (end == authority.n)
			return false;
		*host = str_sub(authority, 1, end);
		if (end + 1 < authority.n && authority.p[end + 1] == ':')
			*port = str_sub(authority, end + 2, authority.n);
	} else {
		struct str tail = authority;

		*host = str_cut(&tail, ':');
		if (tail.p)
			*port = tail;
	}
	if (path.p && path.n)
		*database = path;
	return host->n > 0;
}

static bool has_nul(struct str s)
{
	return s.n && memchr(s.p, 0, s.n);
}

int datasource__target(const struct datasource_config *config, const char *default_port, struct arena *a,
                       int64_t deadline_ms, struct datasource_target *ret, struct err *err)
{
	struct str host = datasource__member(config->content, "host", a);
	struct str port = datasource__member(config->content, "port", a);
	struct str database = datasource__member(config->content, "database_name", a);
	struct str user = datasource__member(config->content, "user_name", a);
	struct str password = datasource__member(config->content, "password", a);
	struct str url = datasource__member(config->content, "url", a);
	long long number;

	if (url.n && (str_is(datasource__member(config->content, "mode", a), "professional") || !host.n) &&
	    !parse_url(url, &host, &port, &database))
		return err_set_text(err, ERR_APPIA_0400, "The URL of the data source is malformed.");
	if (!port.n)
		port = str_of(default_port);
	if (!host.n || has_nul(host) || has_nul(database) || has_nul(user) || has_nul(password))
		return err_set_text(err, ERR_APPIA_0400, "The address of the data source is missing or malformed.");
	if (!str_to_int(port, 1, 65535, &number))
		return err_set_text(err, ERR_APPIA_0400,
				    "The port of the data source must be a number from 1 to 65535.");
	ret->host = arena_cstr(a, host);
	ret->port = arena_cstr(a, port);
	ret->database = arena_cstr(a, database.p ? database : STR(""));
	ret->user = arena_cstr(a, user.p ? user : STR(""));
	ret->password = arena_cstr(a, password.p ? password : STR(""));
	if (host.p[0] == '/') {
		ret->address = ret->host;
		return 0;
	}
	return resolve(ret->host, a, deadline_ms, &ret->address, err);
}

struct datasource_statement *datasource__statement_find(struct datasource_statements *s, struct str sql)
{
	unsigned long long hash = map_hash(sql);

	for (size_t i = 0; i < DATASOURCE_STATEMENTS; i++) {
		struct datasource_statement *row = &s->rows[i];

		if (row->handle && row->hash == hash && str_eq((struct str){row->sql, row->n}, sql)) {
			row->used = ++s->clock;
			return row;
		}
	}
	return NULL;
}

bool datasource__statement_seen(struct datasource_statements *s, struct str sql)
{
	unsigned long long hash = map_hash(sql), *slot = &s->seen[hash % ARRAY_LEN(s->seen)];
	bool seen = *slot == hash;

	*slot = hash;
	return seen;
}

struct datasource_statement *datasource__statement_room(struct datasource_statements *s)
{
	struct datasource_statement *oldest = &s->rows[0];

	for (size_t i = 0; i < DATASOURCE_STATEMENTS; i++) {
		if (!s->rows[i].handle)
			return &s->rows[i];
		if (s->rows[i].used < oldest->used)
			oldest = &s->rows[i];
	}
	return oldest;
}

void datasource__statement_set(struct datasource_statements *s, struct datasource_statement *row, struct str sql,
                               void *handle)
{
	row->hash = map_hash(sql);
	row->sql = mem_alloc(sql.n + 1);
	memcpy(row->sql, sql.p, sql.n);
	row->n = sql.n;
	row->handle = handle;
	row->used = ++s->clock;
}

void datasource__statement_clear(struct datasource_statement *row)
{
	free(row->sql);
	*row = (struct datasource_statement){0};
}

const char *datasource__oneline(const char *text, char *buf, size_t size)
{
	size_t n = 0;

	for (; text && *text && n + 1 < size && n < 400; text++)
		buf[n++] = (unsigned char)*text < ' ' ? ' ' : *text;
	while (n && (buf[n - 1] == ' ' || buf[n - 1] == '.' || (n == 400 && (unsigned char)buf[n - 1] >= 0x80)))
		n--;
	buf[n] = 0;
	return buf;
}

static bool grid_row(void *ctx, const struct value *values, size_t n)
{
	struct datasource_grid *g = ctx;

	g->width = n;
	if (g->n + n > g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 64 * n;
		struct str *cells = arena_try(g->a, cap * sizeof(*cells));

		if (!cells) {
			g->full = true;
			return false;
		}
		if (g->n)
			memcpy(cells, g->cells, g->n * sizeof(*cells));
		g->cells = cells;
		g->cap = cap;
	}
	for (size_t i = 0; i < n; i++) {
		const struct value *v = &values[i];

		g->cells[g->n++] = v->kind == VALUE_NULL ? STR_NONE :
		                   v->kind == VALUE_INT || v->kind == VALUE_BOOL ?
		                       arena_fmt(g->a, "%lld", (long long)v->i) : arena_str(g->a, v->s);
	}
	return true;
}

int datasource__query(struct datasource_conn *conn, struct arena *a, struct str sql, const struct str *params,
                      size_t n_params, int64_t deadline_ms, struct datasource_grid *g, struct err *err)
{
	struct datasource_sink sink = {.row = grid_row, .ctx = g};

	*g = (struct datasource_grid){.a = a, .width = 1};
	int code = conn->driver->execute(conn, sql, params, n_params, false, 100000, deadline_ms, &sink, NULL, err);

	if (!code && g->full)
		code = err_set(err, ERR_APPIA_0422_RESULT_TOO_LARGE, "the memory for one call");
	return code;
}

int64_t datasource__cell_int(struct str s)
{
	long long v = 0;

	str_to_int(s.p ? s : STR(""), INT64_MIN, INT64_MAX, &v);
	return v;
}

int datasource__grid_tables(const struct datasource_grid *g, struct datasource_table_info **ret, size_t *ret_n)
{
	*ret_n = g->n / g->width;
	*ret = ARENA_ARRAY(g->a, struct datasource_table_info, *ret_n + 1);
	for (size_t i = 0; i < *ret_n; i++) {
		const struct str *c = g->cells + g->width * i;

		(*ret)[i] = (struct datasource_table_info){c[0], c[1], c[2]};
	}
	return 0;
}

int datasource__grid_columns(const struct datasource_grid *g, struct datasource_column_info **ret, size_t *ret_n)
{
	*ret_n = g->n / g->width;
	*ret = ARENA_ARRAY(g->a, struct datasource_column_info, *ret_n + 1);
	for (size_t i = 0; i < *ret_n; i++) {
		const struct str *c = g->cells + g->width * i;

		(*ret)[i] = (struct datasource_column_info){.name = c[0],
		                                            .type = c[1],
		                                            .comment = c[2],
		                                            .def = c[3].p ? c[3] : STR(""),
		                                            .size = datasource__cell_int(c[4]),
		                                            .scale = datasource__cell_int(c[5]),
		                                            .nullable = str_is(c[6], "1"),
		                                            .primary_key = datasource__cell_int(c[7]) > 0};
	}
	return 0;
}
