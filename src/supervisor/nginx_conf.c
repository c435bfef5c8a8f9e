/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/nginx_conf.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static void main_part(struct buf *b, const struct home *home, const struct nginx_settings *s)
{
	if (s->workers)
		buf_fmt(b, "worker_processes %d;\n", s->workers);
	else
		buf_cstr(b, "worker_processes auto;\n");
	buf_fmt(b,
	        "# Written at every start; changes are lost.\n"
	        "load_module \"%s\";\n"
	        "daemon off;\n"
	        "pid \"%s/run/nginx.pid\";\n"
		"error_log \"%s/log/nginx.log\" %s;\n"
	        "worker_rlimit_nofile 65536;\n"
	        "worker_shutdown_timeout 5s;\n" /* silent connections do not keep us from ending */
	        "thread_pool default threads=4;\n" /* name resolution */
	        "events { worker_connections 16384; multi_accept on; }\n",
		home->module, home->dir, home->dir, s->error_level);
	if (geteuid() == 0) /* workers are what we are, the owner of the data directory: home_open() */
		buf_cstr(b, "user root;\n");
}

static void http_part(struct buf *b, const struct home *home)
{
	buf_fmt(b,
	        "http {\n"
	        "access_log off;\n"
	        "server_tokens off;\n"
	        "default_type application/octet-stream;\n"
	        "keepalive_timeout 75s;\n"
	        "keepalive_requests 1000000;\n"
	        "tcp_nodelay on;\n"
	        "large_client_header_buffers 8 32k;\n"
	        "ssl_certificate \"%s/tls/server.pem\";\n"
	        "ssl_certificate_key \"%s/tls/server.key\";\n"
	        "ssl_protocols TLSv1.2 TLSv1.3;\n"
	        "ssl_session_cache shared:tls:2m;\n"
	        "client_body_temp_path \"%s/nginx/body\";\n"
	        "proxy_temp_path \"%s/nginx/proxy\";\n"
	        "fastcgi_temp_path \"%s/nginx/fastcgi\";\n"
	        "uwsgi_temp_path \"%s/nginx/uwsgi\";\n"
	        "scgi_temp_path \"%s/nginx/scgi\";\n"
	        "upstream appiad { server \"unix:%s\"; keepalive 32; }\n",
	        home->dir, home->dir, home->dir, home->dir, home->dir, home->dir, home->dir, home->appiad_socket);
}

/* Not a named location: nginx cannot go to one for a request whose first line it could not read. */
static void json_error(struct buf *b, int status, int as, const char *text)
{
	buf_fmt(b,
		"error_page %d =%d /_error_%d;\n"
		"location = /_error_%d { internal; default_type application/json; add_header X-Request-Id $request_id "
		"always;\n"
		"\treturn %d '{\"error_code\":\"APPIA.0%d\",\"error_msg\":\"%s\",\"request_id\":\"$request_id\"}'; }\n",
		status, as, status, status, as, as, text);
}

/* Port 0: does not listen. */
static void listen_at(struct buf *b, const char *address, int port, const char *options)
{
	bool v6 = strchr(address, ':') && address[0] != '[';

	if (port)
		buf_fmt(b, "listen %s%s%s:%d%s;\n", v6 ? "[" : "", address, v6 ? "]" : "", port, options);
}

static void management_part(struct buf *b, const struct nginx_settings *s)
{
	if (!s->management_http_port && !s->management_https_port)
		return;
	buf_cstr(b, "server {\n");
	listen_at(b, s->management_address, s->management_http_port, "");
	listen_at(b, s->management_address, s->management_https_port, " ssl http2");
	buf_cstr(b, "client_max_body_size 64m;\n"
	            "location / {\n"
	            "\tproxy_pass http://appiad;\n"
	            "\tproxy_http_version 1.1;\n"
	            "\tproxy_set_header Connection \"\";\n"
	            "\tproxy_set_header Host $http_host;\n"
	            "\tproxy_set_header X-Request-Id $request_id;\n"
	            "\tproxy_set_header X-Real-Ip $remote_addr;\n"
	            "\tproxy_read_timeout 330s;\n"
	            "}\n"
	            "location = /gateway/metrics { appia_metrics; allow 127.0.0.1; allow ::1; deny all; }\n");
	json_error(b, 400, 400, "The request is malformed.");
	json_error(b, 413, 413, "The request body is too large.");
	json_error(b, 414, 414, "The request URI is too long.");
	json_error(b, 502, 503, "The control plane is starting or stopped.");
	json_error(b, 504, 503, "The control plane did not answer in time.");
	buf_cstr(b, "}\n");
}

static void gateway_part(struct buf *b, const struct home *home, const struct nginx_settings *s)
{
	if (!s->gateway_http_port && !s->gateway_https_port)
		return;
	buf_fmt(b,
	        "appia_published \"%s/published\";\n"
	        "appia_key \"%s/master.key\";\n"
	        "appia_worker \"unix:%s\";\n"
	        "server {\n",
	        home->dir, home->dir, home->worker_socket);
	listen_at(b, s->gateway_address, s->gateway_http_port, " backlog=4096");
	listen_at(b, s->gateway_address, s->gateway_https_port, " ssl http2 backlog=4096");
	buf_fmt(b,
	        "client_max_body_size %lld;\n"
	        "large_client_header_buffers 4 32k;\n" /* 128 KB of headers */
	        "merge_slashes off;\n"
	        "error_page 494 =494 /;\n" /* nginx would say 400 */
	        "appia_https_port %d;\n"
	        "appia_appcode_plain %s;\n"
	        "location / { appia_gateway on; }\n"
	        "}\n",
	        s->max_body, s->gateway_https_port ? s->gateway_https_port : 443, s->app_code_plain ? "on" : "off");
}

/* That each worker keeps to the REST interface. They take places there, which the other workers and those who watch it
 * wait for: an eighth of all at most, beside the three quarters of requests that wait for messages. */
static int idle_connections(const struct nginx_settings *s)
{
	long workers = s->workers ? s->workers : sysconf(_SC_NPROCESSORS_ONLN);
	long each = s->mqs_rest_connections / 8 / (workers > 0 ? workers : 1);

	return (int)(each < 32 ? each : 32);
}

/* The REST interface of message integration. Bodies and answers are kept here until they are whole: slow clients cost
 * no thread behind. */
static void mqs_part(struct buf *b, const struct home *home, const struct nginx_settings *s)
{
	if (!s->mqs_rest_port)
		return;
	int idle = idle_connections(s);

	buf_fmt(b, "upstream mqs_rest { server \"unix:%s/mqs-rest.sock\"; ", home->dir);
	if (idle)
		buf_fmt(b, "keepalive %d; ", idle);
	buf_cstr(b, "}\nserver {\n");
	listen_at(b, s->mqs_address, s->mqs_rest_port, " ssl http2");
	buf_cstr(b, "client_max_body_size 5m;\n"
		    "location /v1/topic/ {\n"
		    "\tproxy_pass http://mqs_rest;\n"
		    "\tproxy_http_version 1.1;\n"
		    "\tproxy_set_header Connection \"\";\n"
		    "\tproxy_set_header Host $http_host;\n"
		    "\tproxy_set_header X-Request-Id $request_id;\n"
		    "\tproxy_read_timeout 90s;\n"
		    "}\n"
		    "location / { return 404; }\n");
	json_error(b, 400, 400, "The request is malformed.");
	json_error(b, 404, 404, "No such path.");
	json_error(b, 413, 413, "The request body is too large.");
	json_error(b, 414, 414, "The request URI is too long.");
	json_error(b, 502, 503, "The REST interface of message integration is starting or stopped.");
	json_error(b, 504, 503, "The REST interface of message integration did not answer in time.");
	buf_cstr(b, "}\n");
}

int nginx_conf_write(const struct home *home, const struct nginx_settings *settings, struct err *err)
{
	char path[300];
	struct buf b;
	int rc = 0;

	buf_init(&b, 65536);
	main_part(&b, home, settings);
	http_part(&b, home);
	management_part(&b, settings);
	gateway_part(&b, home, settings);
	mqs_part(&b, home, settings);
	buf_cstr(&b, "}\n");
	int fd = open(home_path(home, "nginx/nginx.conf", path, sizeof(path)), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
	              0600);

	if (fd < 0 || b.failed || write(fd, b.p, b.n) != (ssize_t)b.n)
		rc = err_set_text(err, ERR_APPIA_0500, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	buf_done(&b);
	return rc;
}
