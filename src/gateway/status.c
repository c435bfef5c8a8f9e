/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/priv.h"

#include "base/buf.h"

/* Prometheus text (exposition format 0.0.4). Belongs on an internal address, never on the data port. */

#define METRICS_MAX ((size_t)64 << 20)

static const struct {
	const char *name, *help;
	enum gateway_counter counter;
} metrics[] = {
	{"appia_api_requests_total", "Calls.", COUNT_REQUESTS},
	{"appia_api_responses_2xx_total", "Answers with a status of 200 to 299.", COUNT_2XX},
	{"appia_api_responses_3xx_total", "Answers with a status of 300 to 399.", COUNT_3XX},
	{"appia_api_responses_4xx_total", "Answers with a status of 400 to 499.", COUNT_4XX},
	{"appia_api_responses_5xx_total", "Answers with a status of 500 to 599.", COUNT_5XX},
	{"appia_api_received_bytes_total", "Bytes of requests.", COUNT_BYTES_IN},
	{"appia_api_sent_bytes_total", "Bytes sent to clients.", COUNT_BYTES_OUT},
	{"appia_api_milliseconds_total", "Time from the first byte received to the last byte sent.", COUNT_MS},
	{"appia_api_backend_milliseconds_total", "Time spent waiting for back ends.", COUNT_BACKEND_MS},
};

/* "api <id> <environment>" or "none"; other cells are not counters of APIs. */
static bool labels(const struct gateway_cell *cell, struct str *ret_api, struct str *ret_env)
{
	struct str rest = str_of(cell->key), kind = str_cut(&rest, ' ');

	if (str_is(kind, "none")) {
		*ret_api = STR("");
		*ret_env = STR("");
		return true;
	}
	if (!str_is(kind, "api"))
		return false;
	*ret_api = str_cut(&rest, ' ');
	*ret_env = rest.p ? rest : STR("");
	return true;
}

static void write_metric(struct buf *out, size_t which)
{
	struct gateway_cell *cells;
	size_t n = gateway_shm_cells(&cells);
	struct str api, env;

	buf_fmt(out, "# HELP %s %s\n# TYPE %s counter\n", metrics[which].name, metrics[which].help,
		metrics[which].name);
	for (size_t i = 0; i < n; i++) {
		/* Cells are only ever added, so what is ready stays as it is. */
		if (atomic_load_explicit(&cells[i].state, memory_order_acquire) != 2 || !labels(&cells[i], &api, &env))
			continue;
		buf_fmt(out, "%s{api=\"%.*s\",environment=\"%.*s\"} %llu\n", metrics[which].name, STR_FMT(api),
			STR_FMT(env),
			(unsigned long long)atomic_load_explicit(&cells[i].counts[metrics[which].counter],
								 memory_order_relaxed));
	}
}

static void write_set_aside(struct buf *out, ngx_log_t *log)
{
	struct pub_view *view = gateway_view(log);

	if (view)
		buf_fmt(out,
			"# HELP appia_published_set_aside Objects whose configuration could not be published.\n"
			"# TYPE appia_published_set_aside gauge\nappia_published_set_aside %llu\n",
			(unsigned long long)pub_set_aside(view));
	gateway_view_end();
}

static void buf_free(void *data)
{
	buf_done(data);
}

ngx_int_t gateway_metrics(ngx_http_request_t *r)
{
	ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(r->pool, sizeof(struct buf));

	if (!cleanup)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	struct buf *out = cleanup->data;

	buf_init(out, METRICS_MAX);
	cleanup->handler = buf_free;
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		write_metric(out, i);
	buf_fmt(out,
		"# HELP appia_counters_lost_total Keys that found no room in the table of counters.\n"
		"# TYPE appia_counters_lost_total counter\nappia_counters_lost_total %llu\n",
		(unsigned long long)gateway_shm_lost());
	write_set_aside(out, r->connection->log);
	if (out->failed)
		return NGX_HTTP_INTERNAL_SERVER_ERROR;
	return gateway_answer(r, NGX_HTTP_OK, STR("text/plain; version=0.0.4"), buf_view(out));
}
